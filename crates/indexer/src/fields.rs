//! The fields of every split, the same in all of them.

use tantivy::schema::{
    BytesOptions, DateOptions, DateTimePrecision, FAST, Field, IndexRecordOption, JsonObjectOptions,
    NumericOptions, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{
    LowerCaser, RawTokenizer, RemoveLongFilter, SimpleTokenizer, TextAnalyzer, TokenizerManager,
    WhitespaceTokenizer,
};

/// Words of more bytes are not indexed.
pub const WORD_BYTES_MAX: usize = 255;

/// Strings of more bytes are in [`Fields::hash`], not in [`Fields::exact`].
pub const EXACT_BYTES_MAX: usize = 64;

/// What [`Fields::hash`] has for a string.
#[must_use]
pub fn hash_of(text: &str) -> u64 {
    u64::from(crc32c::crc32c(text.as_bytes()))
}

/// How text is cut into words (`search.tokenizer`): the name that a schema has for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Words {
    /// Letters and digits between anything else, in lower case.
    #[default]
    Default,
    /// Whatever is between white space, in lower case.
    Whitespace,
}

impl Words {
    /// The name in schemas and in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Words::Default => "default",
            Words::Whitespace => "whitespace",
        }
    }

    /// The one of that name; the default for any other.
    #[must_use]
    pub fn from_name(name: &str) -> Words {
        if name == "whitespace" { Words::Whitespace } else { Words::Default }
    }
}

/// What a record becomes. Names that begin with `_` or `@` are the record's own; any other name in a query is a path in
/// [`Fields::value`] (words, numbers, dates as terms) and in [`Fields::exact`] (whole values as columns).
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
    /// The fields of a value that is a JSON object, by path, typed; strings tokenised with positions, those that are
    /// RFC 3339 times as dates.
    pub value: Field,
    /// The same fields as columns, for sorting, ranges, aggregations and `.keyword`: numbers, dates, booleans, and strings
    /// whole. Strings that are long, or of a path whose values hardly ever repeat, are in [`Fields::hash`] instead:
    /// they would be most of the index, and nobody counts them.
    pub exact: Field,
    /// [`hash_of`] the strings that [`Fields::exact`] leaves out, as columns: together with its words it tells a whole string.
    pub hash: Field,
    /// Words, with positions, of what has no path: a value that is plain text, or that could not be taken apart, or the
    /// fields of a JSON value beyond the number that are indexed by path. A query without a field searches this and
    /// every path of [`View::paths`](crate::View::paths): the words of JSON values are in the index once.
    pub text: Field,
    /// The value itself, stored, if the topic asks for it (`search.store.values`).
    pub source: Field,
}

impl Fields {
    /// The schema and its fields, with the default tokenizer.
    #[must_use]
    pub fn schema() -> (Schema, Fields) {
        Fields::schema_of(Words::Default)
    }

    /// The schema and its fields.
    #[must_use]
    pub fn schema_of(words: Words) -> (Schema, Fields) {
        let whole = || {
            TextFieldIndexing::default()
                .set_tokenizer("raw")
                .set_index_option(IndexRecordOption::Basic)
                .set_fieldnorms(false)
        };
        let tokenised = || {
            TextFieldIndexing::default()
                .set_index_option(IndexRecordOption::WithFreqsAndPositions)
                .set_tokenizer(words.name())
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
                JsonObjectOptions::default().set_indexing_options(tokenised()).set_expand_dots_enabled(),
            ),
            exact: schema.add_json_field(
                "exact",
                JsonObjectOptions::default().set_expand_dots_enabled().set_fast("raw"),
            ),
            hash: schema.add_json_field(
                "hash",
                JsonObjectOptions::default().set_expand_dots_enabled().set_fast("raw"),
            ),
            text: schema.add_text_field("text", TextOptions::default().set_indexing_options(tokenised())),
            source: schema.add_bytes_field("_source", BytesOptions::default().set_stored()),
        };
        (schema.build(), fields)
    }

    /// The tokenizers of every split, by the names in its schema.
    #[must_use]
    pub fn tokenizers() -> TokenizerManager {
        let tokenizers = TokenizerManager::new();
        let words = TextAnalyzer::builder(SimpleTokenizer::default())
            .filter(RemoveLongFilter::limit(WORD_BYTES_MAX + 1))
            .filter(LowerCaser);
        tokenizers.register(Words::Default.name(), words.build());
        let between_spaces = TextAnalyzer::builder(WhitespaceTokenizer::default())
            .filter(RemoveLongFilter::limit(WORD_BYTES_MAX + 1))
            .filter(LowerCaser);
        tokenizers.register(Words::Whitespace.name(), between_spaces.build());
        tokenizers.register("raw", TextAnalyzer::builder(RawTokenizer::default()).build());
        tokenizers
    }
}
