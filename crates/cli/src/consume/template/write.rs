//! From a record to bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eddy_batch::Header;
use jiff::Timestamp;

use super::{NumberField, NumberForm, Piece, TextField, TextForm, TimeForm, rfc3339_millis};
use crate::record::Record;

/// What a piece is taken from: a record, or one header of it.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) record: &'a Record,
    pub(super) header: Option<&'a Header>,
    pub(super) count: u64,
}

pub(super) fn write_all(pieces: &[Piece], source: Source<'_>, out: &mut Vec<u8>) {
    for piece in pieces {
        match piece {
            Piece::Literal(bytes) => out.extend_from_slice(bytes),
            Piece::Text(field, form) => text(*field, *form, source, out),
            Piece::Number(field, form) => number(value(*field, source), *form, out),
            Piece::Time(form) => time(form, source.record.timestamp, out),
            Piece::Headers(pieces, is_list) => {
                for header in &source.record.headers {
                    write_all(pieces, Source { header: Some(header), ..source }, out);
                }
                if *is_list && !source.record.headers.is_empty() {
                    out.pop();
                }
            }
        }
    }
}

fn text(field: TextField, form: TextForm, source: Source<'_>, out: &mut Vec<u8>) {
    let record = source.record;
    let codec = record.compression.map_or("unknown", |codec| codec.name());
    let bytes: Option<&[u8]> = match (field, source.header) {
        (TextField::Key, Some(header)) => Some(&header.key),
        (TextField::Value, Some(header)) => header.value.as_deref(),
        (TextField::Topic, _) => Some(record.topic.as_bytes()),
        (TextField::Key, None) => record.key.as_deref(),
        (TextField::Value, None) => record.value.as_deref(),
        (TextField::Codec, _) => Some(codec.as_bytes()),
    };
    let present = bytes.unwrap_or_default();
    match form {
        TextForm::Plain => out.extend_from_slice(present),
        TextForm::Hex => present.iter().for_each(|byte| out.extend(format!("{byte:02x}").into_bytes())),
        TextForm::Base64 => out.extend(STANDARD.encode(present).into_bytes()),
        TextForm::Json => {
            let text = bytes.map(String::from_utf8_lossy);
            out.extend(serde_json::to_vec(&text).unwrap_or_default());
        }
    }
}

fn value(field: NumberField, source: Source<'_>) -> i64 {
    let record = source.record;
    let length = |bytes: Option<usize>| bytes.map_or(-1, |bytes| bytes as i64);
    match (field, source.header) {
        (NumberField::KeyLength, Some(header)) => header.key.len() as i64,
        (NumberField::ValueLength, Some(header)) => length(header.value.as_ref().map(bytes::Bytes::len)),
        (NumberField::KeyLength, None) => length(record.key.as_ref().map(bytes::Bytes::len)),
        (NumberField::ValueLength, None) => length(record.value.as_ref().map(bytes::Bytes::len)),
        (NumberField::TopicLength, _) => record.topic.len() as i64,
        (NumberField::Partition, _) => record.partition.into(),
        (NumberField::Offset, _) => record.offset,
        (NumberField::LeaderEpoch, _) => record.leader_epoch.into(),
        (NumberField::ProducerId, _) => record.producer_id,
        (NumberField::ProducerEpoch, _) => record.producer_epoch.into(),
        (NumberField::Count, _) => i64::try_from(source.count).unwrap_or(i64::MAX),
        (NumberField::Headers, _) => record.headers.len() as i64,
    }
}

fn number(number: i64, form: NumberForm, out: &mut Vec<u8>) {
    match form {
        NumberForm::Decimal => out.extend(number.to_string().into_bytes()),
        NumberForm::Big(count) => out.extend(number.to_be_bytes().iter().skip(8 - count)),
        NumberForm::Little(count) => out.extend(number.to_le_bytes().iter().take(count)),
    }
}

fn time(form: &TimeForm, ms: i64, out: &mut Vec<u8>) {
    let text = match (form, Timestamp::from_millisecond(ms)) {
        (TimeForm::Seconds, _) => ms.div_euclid(1000).to_string(),
        (TimeForm::Rfc3339, _) => rfc3339_millis(ms),
        (TimeForm::Strftime(pattern), Ok(time)) => {
            jiff::fmt::strtime::format(pattern, time).unwrap_or_else(|_| ms.to_string())
        }
        (TimeForm::Millis | TimeForm::Strftime(_), _) => ms.to_string(),
    };
    out.extend(text.into_bytes());
}
