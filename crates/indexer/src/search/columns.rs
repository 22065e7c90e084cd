//! What hits are sorted by, read from the columns of one split.

use std::ops::Bound;

use eddy_types::Offset;
use tantivy::columnar::{Column, DynamicColumn, StrColumn};
use tantivy::{DateTime, DocId, SegmentReader};

use crate::query::compile::column;
use crate::query::literal::Number;
use crate::query::name::Name;
use crate::query::sort::{By, Key, Sort, SortValue};

/// The values of one sort key.
enum Source {
    Score,
    Same(SortValue),
    Columns(Vec<Values>),
}

enum Values {
    Bool(Column<bool>),
    I64(Column<i64>),
    U64(Column<u64>),
    F64(Column<f64>),
    Date(Column<DateTime>),
    Str(StrColumn),
}

/// The sort keys of one split. Texts stand as [`SortValue::Ord`], in the split's own dictionary, until they are
/// [resolved](SortColumns::resolve).
pub(crate) struct SortColumns {
    sources: Vec<(Key, Source)>,
    /// The order, its `after` in terms of the split.
    pub(crate) sort: Sort,
}

impl SortColumns {
    pub(crate) fn open(
        reader: &SegmentReader,
        sort: &Sort,
        topic: &str,
        partition: i32,
    ) -> tantivy::Result<SortColumns> {
        let mut sources = Vec::with_capacity(sort.keys.len());
        let mut sort = sort.clone();
        for (index, key) in sort.keys.iter().enumerate() {
            let source = match &key.by {
                By::Score => Source::Score,
                By::Place => Source::Same(SortValue::Missing),
                By::Field(Name::Topic) => Source::Same(SortValue::Text(topic.to_owned())),
                By::Field(Name::Partition) => {
                    Source::Same(SortValue::Number(Number::Int(i64::from(partition))))
                }
                By::Field(Name::Offset) => Source::Columns(open(reader, "_offset")?),
                By::Field(Name::Timestamp) => Source::Columns(open(reader, "@timestamp")?),
                By::Field(Name::Key) => Source::Columns(open(reader, "_key")?),
                By::Field(Name::Value { path, .. }) => Source::Columns(open(reader, &column(path))?),
                By::Field(Name::Anywhere | Name::Header(_)) => Source::Same(SortValue::Missing),
            };
            if let (Source::Columns(columns), Some(after)) = (&source, &mut sort.after)
                && let Some(value) = after.values.get_mut(index)
                && let SortValue::Text(text) = value
            {
                *value = ordinal(columns, text)?;
            }
            sources.push((key.clone(), source));
        }
        Ok(SortColumns { sources, sort })
    }

    /// What a document is sorted by.
    pub(crate) fn values(&self, doc: DocId, score: f32, into: &mut Vec<SortValue>) {
        into.clear();
        for (key, source) in &self.sources {
            into.push(match source {
                Source::Score => SortValue::Score(score),
                Source::Same(value) => value.clone(),
                Source::Columns(columns) => pick(columns, doc, key.descending),
            });
        }
    }

    /// Puts texts in place of their numbers.
    pub(crate) fn resolve(&self, values: &mut [SortValue]) -> tantivy::Result<()> {
        for ((_, source), value) in self.sources.iter().zip(values) {
            let (Source::Columns(columns), SortValue::Ord(ordinal)) = (source, &*value) else { continue };
            let mut text = String::new();
            for column in columns {
                if let Values::Str(column) = column {
                    column.ord_to_str(u64::try_from(ordinal / 2).unwrap_or(0), &mut text)?;
                }
            }
            *value = SortValue::Text(text);
        }
        Ok(())
    }
}

/// Where a text stands among the texts of a split: at an even number if the split has it, else at the odd one between its
/// neighbours.
fn ordinal(columns: &[Values], text: &str) -> tantivy::Result<SortValue> {
    for column in columns {
        let Values::Str(column) = column else { continue };
        let dictionary = column.dictionary();
        if let Some(exact) = dictionary.term_ord(text)? {
            return Ok(SortValue::Ord(2 * i64::try_from(exact).unwrap_or(i64::MAX / 4)));
        }
        let (next, _) = dictionary.term_bounds_to_ord(Bound::Included(text), Bound::Unbounded)?;
        let next = match next {
            Bound::Included(next) | Bound::Excluded(next) => next.min(column.num_terms() as u64),
            Bound::Unbounded => 0,
        };
        return Ok(SortValue::Ord(2 * i64::try_from(next).unwrap_or(i64::MAX / 4) - 1));
    }
    Ok(SortValue::Ord(-1))
}

fn open(reader: &SegmentReader, name: &str) -> tantivy::Result<Vec<Values>> {
    let mut columns = Vec::new();
    for handle in reader.fast_fields().dynamic_column_handles(name)? {
        columns.push(match handle.open()? {
            DynamicColumn::Bool(column) => Values::Bool(column),
            DynamicColumn::I64(column) => Values::I64(column),
            DynamicColumn::U64(column) => Values::U64(column),
            DynamicColumn::F64(column) => Values::F64(column),
            DynamicColumn::DateTime(column) => Values::Date(column),
            DynamicColumn::Str(column) => Values::Str(column),
            DynamicColumn::IpAddr(_) | DynamicColumn::Bytes(_) => continue,
        });
    }
    Ok(columns)
}

/// Of several values the greatest if the greatest come first, else the least.
fn pick(columns: &[Values], doc: DocId, greatest: bool) -> SortValue {
    let mut best = SortValue::Missing;
    let mut take = |value: SortValue| {
        let better = match best {
            SortValue::Missing => true,
            _ if greatest => value.order(&best).is_gt(),
            _ => value.order(&best).is_lt(),
        };
        if better {
            best = value;
        }
    };
    for column in columns {
        match column {
            Values::Bool(column) => column.values_for_doc(doc).for_each(|value| take(SortValue::Bool(value))),
            Values::I64(column) => {
                column.values_for_doc(doc).for_each(|value| take(SortValue::Number(Number::Int(value))));
            }
            Values::U64(column) => column.values_for_doc(doc).for_each(|value| {
                let number = i64::try_from(value).map_or(Number::Uint(value), Number::Int);
                take(SortValue::Number(number));
            }),
            Values::F64(column) => {
                column.values_for_doc(doc).for_each(|value| take(SortValue::Number(Number::Float(value))));
            }
            Values::Date(column) => {
                let millis = |date: DateTime| date.into_timestamp_nanos().div_euclid(1_000_000);
                column.values_for_doc(doc).for_each(|value| take(SortValue::Date(millis(value))));
            }
            Values::Str(column) => column.term_ords(doc).for_each(|ordinal| {
                take(SortValue::Ord(2 * i64::try_from(ordinal).unwrap_or(i64::MAX / 4)));
            }),
        }
    }
    best
}

/// The offsets of a split's documents, which ascend.
pub(crate) struct Offsets(Column<i64>);

impl Offsets {
    pub(crate) fn open(reader: &SegmentReader) -> tantivy::Result<Offsets> {
        Ok(Offsets(reader.fast_fields().i64("_offset")?))
    }

    pub(crate) fn get(&self, doc: DocId) -> i64 {
        self.0.first(doc).unwrap_or(-1)
    }

    /// The first document that is not below an offset.
    pub(crate) fn first_from(&self, offset: Offset, docs: DocId) -> DocId {
        let (mut begin, mut end) = (0, docs);
        while begin < end {
            let middle = begin + (end - begin) / 2;
            if self.get(middle) < offset.0 { begin = middle + 1 } else { end = middle }
        }
        begin
    }
}
