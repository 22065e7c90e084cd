//! Format strings: how a record becomes bytes, `%t %p %o %k %v` and so on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eddy_batch::Header;
use jiff::Timestamp;

use crate::record::Record;

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

/// What a piece is taken from: a record, or one header of it.
#[derive(Clone, Copy)]
struct Source<'a> {
    record: &'a Record,
    header: Option<&'a Header>,
    count: u64,
}

impl std::str::FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Template, String> {
        let mut parser = Parser { rest: text, in_headers: false };
        let pieces = parser.pieces()?;
        Ok(Template(pieces))
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

struct Parser<'a> {
    rest: &'a str,
    in_headers: bool,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    fn pieces(&mut self) -> Result<Vec<Piece>, String> {
        let mut pieces: Vec<Piece> = Vec::new();
        while let Some(next) = self.next() {
            let literal = match next {
                '%' => match self.next() {
                    Some(escaped @ ('%' | '{' | '}')) => escaped.to_string().into_bytes(),
                    Some(verb) => {
                        pieces.push(self.verb(verb)?);
                        continue;
                    }
                    None => return Err("format ends with %".to_owned()),
                },
                '\\' => vec![self.escape()?],
                other => other.to_string().into_bytes(),
            };
            match pieces.last_mut() {
                Some(Piece::Literal(before)) => before.extend(literal),
                _ => pieces.push(Piece::Literal(literal)),
            }
        }
        Ok(pieces)
    }

    fn escape(&mut self) -> Result<u8, String> {
        Ok(match self.next() {
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('r') => b'\r',
            Some('0') => 0,
            Some('\\') => b'\\',
            Some('x') => {
                let digits = self.rest.get(..2).unwrap_or_default();
                let byte = u8::from_str_radix(digits, 16)
                    .map_err(|_| format!("\\x needs two hex digits: {digits}"))?;
                self.rest = self.rest.get(2..).unwrap_or_default();
                byte
            }
            other => return Err(format!("no such escape: \\{}", other.map_or(String::new(), String::from))),
        })
    }

    /// What follows in braces, which may hold braces themselves.
    fn braces(&mut self) -> Result<Option<&'a str>, String> {
        let Some(inner) = self.rest.strip_prefix('{') else { return Ok(None) };
        let mut depth = 1;
        let mut before = ' ';
        for (at, c) in inner.char_indices() {
            match c {
                '{' if before != '%' => depth += 1,
                '}' if before != '%' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.rest = inner.get(at + 1..).unwrap_or_default();
                return Ok(inner.get(..at));
            }
            // A doubled percent sign escapes itself, not the brace after it.
            before = if before == '%' && c == '%' { ' ' } else { c };
        }
        Err("a brace is not closed".to_owned())
    }

    fn verb(&mut self, verb: char) -> Result<Piece, String> {
        let form = self.braces()?;
        if self.in_headers && !matches!(verb, 'k' | 'v' | 'K' | 'V') {
            return Err(format!("headers have only %k %v %K %V: %{verb}"));
        }
        Ok(match verb {
            't' => Piece::Text(TextField::Topic, text_form(form)?),
            'k' => Piece::Text(TextField::Key, text_form(form)?),
            'v' => Piece::Text(TextField::Value, text_form(form)?),
            'a' => Piece::Text(TextField::Codec, text_form(form)?),
            'p' => Piece::Number(NumberField::Partition, number_form(form)?),
            'o' => Piece::Number(NumberField::Offset, number_form(form)?),
            'e' => Piece::Number(NumberField::LeaderEpoch, number_form(form)?),
            'x' => Piece::Number(NumberField::ProducerId, number_form(form)?),
            'y' => Piece::Number(NumberField::ProducerEpoch, number_form(form)?),
            'i' => Piece::Number(NumberField::Count, number_form(form)?),
            'T' => Piece::Number(NumberField::TopicLength, number_form(form)?),
            'K' => Piece::Number(NumberField::KeyLength, number_form(form)?),
            'V' => Piece::Number(NumberField::ValueLength, number_form(form)?),
            'H' => Piece::Number(NumberField::Headers, number_form(form)?),
            'd' => Piece::Time(time_form(form)?),
            'h' => {
                let mut parser = Parser { rest: form.unwrap_or("%k=%v,"), in_headers: true };
                Piece::Headers(parser.pieces()?, form.is_none())
            }
            other => return Err(format!("no such verb: %{other}")),
        })
    }
}

fn text_form(form: Option<&str>) -> Result<TextForm, String> {
    Ok(match form {
        None => TextForm::Plain,
        Some("hex") => TextForm::Hex,
        Some("base64") => TextForm::Base64,
        Some("json") => TextForm::Json,
        Some(other) => return Err(format!("text is hex, base64 or json: {{{other}}}")),
    })
}

fn number_form(form: Option<&str>) -> Result<NumberForm, String> {
    let bytes = |bits: &str| match bits {
        "8" => Some(1),
        "16" => Some(2),
        "32" => Some(4),
        "64" => Some(8),
        _ => None,
    };
    let wanted = |form: &str| format!("numbers are ascii, big8 to big64 or little8 to little64: {{{form}}}");
    match form {
        None | Some("ascii") => Ok(NumberForm::Decimal),
        Some(form) => match (form.strip_prefix("big"), form.strip_prefix("little")) {
            (Some(bits), _) => bytes(bits).map(NumberForm::Big).ok_or_else(|| wanted(form)),
            (None, Some(bits)) => bytes(bits).map(NumberForm::Little).ok_or_else(|| wanted(form)),
            (None, None) => Err(wanted(form)),
        },
    }
}

fn time_form(form: Option<&str>) -> Result<TimeForm, String> {
    Ok(match form {
        None | Some("ms") => TimeForm::Millis,
        Some("s") => TimeForm::Seconds,
        Some("rfc3339") => TimeForm::Rfc3339,
        Some(other) => {
            let pattern = other.strip_prefix("strftime[").and_then(|rest| rest.strip_suffix(']'));
            let pattern =
                pattern.ok_or_else(|| format!("times are ms, s, rfc3339 or strftime[…]: {{{other}}}"))?;
            jiff::fmt::strtime::format(pattern, Timestamp::UNIX_EPOCH).map_err(|error| error.to_string())?;
            TimeForm::Strftime(pattern.to_owned())
        }
    })
}

fn write_all(pieces: &[Piece], source: Source<'_>, out: &mut Vec<u8>) {
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

/// A time with its milliseconds always, so that columns stay aligned.
pub(crate) fn rfc3339_millis(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

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
