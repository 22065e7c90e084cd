//! Format strings: how a record becomes bytes, `%t %p %o %k %v` and so on.

use jiff::Timestamp;

use crate::record::Record;

mod parse;
mod write;

use write::{Source, write_all};

/// What `--help` says of format strings.
pub(crate) const HELP: &str = "\
FORMAT STRINGS
  %t topic       %p partition    %o offset      %k key        %v value
  %d timestamp   %h headers      %e leader epoch  %x producer id   %y producer epoch
  %a codec       %i number of the record as printed, from 1
  %T %K %V length of topic, key, value (-1 for null)   %H number of headers
  %% %{ %} themselves; \\n \\t \\r \\\\ \\0 \\xHH
  Text:    %v{hex} %v{base64} %v{json} (a JSON string, or null)
  Numbers: %o{big64} %V{big32} %p{little16} %K{big8} as bytes
  Time:    %d{s} %d{rfc3339} %d{strftime[%F %T]}, UTC; milliseconds otherwise
  Headers: %h{%k=%v } repeats what is in braces; %h alone is %h{%k=%v,} without the last comma
  Example: -f '%p:%o %d{rfc3339} %k %v\\n'";

/// A format string, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Text(TextField, TextForm),
    Number(NumberField, NumberForm),
    Time(TimeForm),
    /// What is repeated, and whether the last byte of the last one is left out.
    Headers(Vec<Piece>, bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextField {
    Topic,
    Key,
    Value,
    Codec,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextForm {
    Plain,
    Hex,
    Base64,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NumberField {
    Partition,
    Offset,
    LeaderEpoch,
    ProducerId,
    ProducerEpoch,
    Count,
    TopicLength,
    KeyLength,
    ValueLength,
    Headers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NumberForm {
    Decimal,
    /// The low bytes, so many, highest first.
    Big(usize),
    Little(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum TimeForm {
    Millis,
    Seconds,
    Rfc3339,
    Strftime(String),
}

impl std::str::FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Template, String> {
        parse::pieces(text).map(Template)
    }
}

impl Template {
    /// The value and a line end: what a pipe gets unless a format is named.
    pub(crate) fn value_lines() -> Template {
        Template(vec![Piece::Text(TextField::Value, TextForm::Plain), Piece::Literal(b"\n".to_vec())])
    }

    /// Writes a record, the `count`th, at the end of `out`.
    pub(crate) fn write(&self, record: &Record, count: u64, out: &mut Vec<u8>) {
        write_all(&self.0, Source { record, header: None, count }, out);
    }
}

/// A time with its milliseconds always, so that columns stay aligned.
pub(crate) fn rfc3339_millis(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use eddy_batch::Header;

    use super::*;

    fn printed(format: &str) -> Vec<u8> {
        let header = |key: &'static str, value: Option<&'static str>| Header {
            key: Bytes::from_static(key.as_bytes()),
            value: value.map(|value| Bytes::from_static(value.as_bytes())),
        };
        let record = Record {
            headers: vec![header("a", Some("1")), header("b", None)],
            value: None,
            ..Record::sample()
        };
        let template: Template = format.parse().unwrap_or_else(|error| panic!("{format}: {error}"));
        let mut out = Vec::new();
        template.write(&record, 7, &mut out);
        out
    }

    fn check(format: &str, expected: &str) {
        assert_eq!(String::from_utf8(printed(format)).unwrap(), expected, "{format}");
    }

    #[test]
    fn every_verb_prints_its_field() {
        check("%t/%p/%o k=%k v=%v %e %x %y %a %i", "orders/1/42 k=key v= 3 -1 -1 uncompressed 7");
        check("%T %K %V %H", "6 3 -1 2");
        check("%d %d{s} %d{rfc3339}", "1795243622123 1795243622 2026-11-21T06:47:02.123Z");
        check("%d{strftime[%F %H:%M]}", "2026-11-21 06:47");
        check("%k{hex} %k{base64} %k{json} %v{json}", "6b6579 a2V5 \"key\" null");
    }

    #[test]
    fn headers_repeat_what_is_in_braces() {
        check("%h", "a=1,b=");
        check("[%h{%k:%V%%%} }]", "[a:1%} b:-1%} ]");
    }

    #[test]
    fn numbers_can_be_bytes() {
        assert_eq!(printed("%o{big32}%o{little16}%V{big8}"), [0, 0, 0, 42, 42, 0, 255]);
        assert_eq!(printed(r"\n\t\\\x00%%%{%}"), b"\n\t\\\0%{}");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for format in
            ["%", "%q", "%v{hexx}", "%o{big12}", "%h{%o}", "%v{hex", "\\q", "\\x1", "%d{strftime[%]}"]
        {
            assert!(format.parse::<Template>().is_err(), "{format}");
        }
    }
}
