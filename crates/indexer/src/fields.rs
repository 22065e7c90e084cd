//! The fields of every split, the same in all of them.

use tantivy::schema::{
    DateOptions, DateTimePrecision, FAST, Field, IndexRecordOption, JsonObjectOptions, NumericOptions,
    Schema, TextFieldIndexing, TextOptions,
};

/// What a record becomes. Names that begin with `_` or `@` are the record's own; any other name in a query is a path in
/// [`Fields::value`].
#[derive(Clone, Copy, Debug)]
pub struct Fields {
    /// `_offset`: fast.
    pub offset: Field,
    /// `@timestamp`: milliseconds, fast.
    pub timestamp: Field,
    /// `_key`: the key if it is UTF-8, whole, fast.
    pub key: Field,
    /// `_headers.NAME`: values that are UTF-8, whole.
    pub headers: Field,
    /// The fields of a value that is a JSON object, by path, typed; strings tokenised with positions; fast (strings whole).
    pub value: Field,
    /// What a query without a field searches: a plain-text value, or every string and number of a JSON value in its order;
    /// tokenised with positions.
    pub text: Field,
}

impl Fields {
    /// The schema and its fields.
    #[must_use]
    pub fn schema() -> (Schema, Fields) {
        let whole =
            || TextFieldIndexing::default().set_tokenizer("raw").set_index_option(IndexRecordOption::Basic);
        let words = || {
            TextFieldIndexing::default()
                .set_index_option(IndexRecordOption::WithFreqsAndPositions)
                .set_tokenizer("default")
        };
        let mut schema = Schema::builder();
        let fields = Fields {
            offset: schema.add_i64_field("_offset", NumericOptions::default().set_fast()),
            timestamp: schema.add_date_field(
                "@timestamp",
                DateOptions::default().set_fast().set_precision(DateTimePrecision::Milliseconds),
            ),
            key: schema.add_text_field("_key", TextOptions::default().set_indexing_options(whole()) | FAST),
            headers: schema.add_json_field(
                "_headers",
                JsonObjectOptions::default().set_indexing_options(whole()).set_expand_dots_enabled(),
            ),
            value: schema.add_json_field(
                "value",
                JsonObjectOptions::default()
                    .set_indexing_options(words())
                    .set_expand_dots_enabled()
                    .set_fast("raw"),
            ),
            text: schema.add_text_field("text", TextOptions::default().set_indexing_options(words())),
        };
        (schema.build(), fields)
    }
}
