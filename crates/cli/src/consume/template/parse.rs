//! From a format string to its pieces.

use jiff::Timestamp;

use super::{NumberField, NumberForm, Piece, TextField, TextForm, TimeForm};

/// The pieces of a whole format string.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    Parser { rest: text, in_headers: false }.pieces()
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
