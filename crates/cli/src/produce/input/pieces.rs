//! Format strings for input: where each field begins and ends.

use std::io::BufRead;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fields::{Reason, exactly, to_end, until};
use crate::jsonl::Draft;

/// A format string for input, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::produce) struct Pieces(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Field(Field, Coding),
    Length(Field, Width),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Topic,
    Partition,
    Timestamp,
    Key,
    Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Plain,
    Hex,
    Base64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    Decimal,
    Big(usize),
    Little(usize),
}

impl Pieces {
    /// One value a line, with the key before a separator when there is one.
    pub(in crate::produce) fn lines(key_separator: Option<&str>) -> Pieces {
        let mut pieces = Vec::new();
        if let Some(separator) = key_separator {
            pieces.push(Piece::Field(Field::Key, Coding::Plain));
            pieces.push(Piece::Literal(separator.as_bytes().to_vec()));
        }
        pieces.push(Piece::Field(Field::Value, Coding::Plain));
        pieces.push(Piece::Literal(b"\n".to_vec()));
        Pieces(pieces)
    }

    /// The last byte of what ends a record; none for one that ends with the input.
    pub(super) fn last_byte(&self) -> Option<u8> {
        match self.0.last() {
            Some(Piece::Literal(literal)) => literal.last().copied(),
            _ => None,
        }
    }

    /// The next record; none at the end.
    pub(super) fn read(&self, source: &mut impl BufRead) -> Result<Option<Draft>, Reason> {
        by_pieces(source, &self.0)
    }
}

impl std::str::FromStr for Pieces {
    type Err = String;

    fn from_str(text: &str) -> Result<Pieces, String> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut chars = text.chars();
        while let Some(next) = chars.next() {
            let literal = match next {
                '%' => match chars.next() {
                    Some('%') => b"%".to_vec(),
                    Some(verb) => {
                        let form = braces(&mut chars)?;
                        pieces.push(piece(verb, form)?);
                        continue;
                    }
                    None => return Err("format ends with %".to_owned()),
                },
                '\\' => vec![escape(&mut chars)?],
                other => other.to_string().into_bytes(),
            };
            match pieces.last_mut() {
                Some(Piece::Literal(before)) => before.extend(literal),
                _ => pieces.push(Piece::Literal(literal)),
            }
        }
        check(&pieces)?;
        Ok(Pieces(pieces))
    }
}

fn braces<'a>(chars: &mut std::str::Chars<'a>) -> Result<Option<&'a str>, String> {
    let Some(inner) = chars.as_str().strip_prefix('{') else { return Ok(None) };
    let (form, rest) = inner.split_once('}').ok_or_else(|| "a brace is not closed".to_owned())?;
    *chars = rest.chars();
    Ok(Some(form))
}

fn escape(chars: &mut std::str::Chars<'_>) -> Result<u8, String> {
    match chars.next() {
        Some('n') => Ok(b'\n'),
        Some('t') => Ok(b'\t'),
        Some('r') => Ok(b'\r'),
        Some('0') => Ok(0),
        Some('\\') => Ok(b'\\'),
        Some('x') => {
            let digits = chars.as_str().get(..2).unwrap_or_default();
            let byte =
                u8::from_str_radix(digits, 16).map_err(|_| format!("\\x needs two hex digits: {digits}"))?;
            *chars = chars.as_str().get(2..).unwrap_or_default().chars();
            Ok(byte)
        }
        other => Err(format!("no such escape: \\{}", other.map_or(String::new(), String::from))),
    }
}

fn piece(verb: char, form: Option<&str>) -> Result<Piece, String> {
    let field = match verb {
        't' => Field::Topic,
        'p' => Field::Partition,
        'd' => Field::Timestamp,
        'k' | 'K' => Field::Key,
        'v' | 'V' => Field::Value,
        other => return Err(format!("no such verb: %{other}")),
    };
    if verb.is_uppercase() {
        let bits = |prefix| {
            form.and_then(|form| form.strip_prefix(prefix)).and_then(|bits| bits.parse::<usize>().ok())
        };
        let width = match (form, bits("big"), bits("little")) {
            (None | Some("ascii"), _, _) => Width::Decimal,
            (_, Some(bits @ (8 | 16 | 32 | 64)), _) => Width::Big(bits / 8),
            (_, _, Some(bits @ (8 | 16 | 32 | 64))) => Width::Little(bits / 8),
            _ => return Err(format!("lengths are ascii, big8 to big64 or little8 to little64: {form:?}")),
        };
        return Ok(Piece::Length(field, width));
    }
    let coding = match form {
        None => Coding::Plain,
        Some("hex") => Coding::Hex,
        Some("base64") => Coding::Base64,
        Some(other) => return Err(format!("text is hex or base64: {{{other}}}")),
    };
    Ok(Piece::Field(field, coding))
}

/// Every field must end somewhere.
fn check(pieces: &[Piece]) -> Result<(), String> {
    let is_counted =
        |field| pieces.iter().any(|piece| matches!(piece, Piece::Length(other, _) if *other == field));
    for (index, piece) in pieces.iter().enumerate() {
        let ends = matches!(pieces.get(index + 1), None | Some(Piece::Literal(_)));
        let must_end = match piece {
            Piece::Literal(_) | Piece::Length(_, Width::Big(_) | Width::Little(_)) => false,
            Piece::Length(_, Width::Decimal) => true,
            Piece::Field(field, _) => !is_counted(*field),
        };
        if must_end && !ends {
            return Err("two fields with nothing between them: where does the first end?".to_owned());
        }
    }
    if pieces.iter().any(|piece| matches!(piece, Piece::Field(..))) {
        Ok(())
    } else {
        Err("a format needs a field, such as %v".to_owned())
    }
}

fn by_pieces(source: &mut impl BufRead, pieces: &[Piece]) -> Result<Option<Draft>, Reason> {
    if source.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut draft = Draft::default();
    let (mut key_length, mut value_length) = (None, None);
    let mut pieces = pieces.iter().peekable();
    while let Some(piece) = pieces.next() {
        let length = match piece {
            Piece::Literal(literal) => {
                let found = exactly(source, literal.len())?;
                if found != *literal {
                    let (wanted, found) = (literal.escape_ascii(), found.escape_ascii());
                    return Err(Reason::Format(format!("expected '{wanted}', found '{found}'")));
                }
                continue;
            }
            Piece::Length(field, Width::Big(count) | Width::Little(count)) => {
                let mut bytes = exactly(source, *count)?;
                if matches!(piece, Piece::Length(_, Width::Little(_))) {
                    bytes.reverse();
                }
                let number = bytes.iter().fold(0usize, |number, byte| number << 8 | usize::from(*byte));
                *(if *field == Field::Key { &mut key_length } else { &mut value_length }) = Some(number);
                continue;
            }
            Piece::Field(Field::Key, _) => key_length.take(),
            Piece::Field(Field::Value, _) => value_length.take(),
            Piece::Field(..) | Piece::Length(_, Width::Decimal) => None,
        };
        let bytes = match (length, pieces.peek()) {
            (Some(length), _) => exactly(source, length)?,
            (None, Some(Piece::Literal(literal))) => {
                pieces.next();
                match until(source, literal)? {
                    // The line end after the last record may be left out.
                    Some(found) if found.is_ended || (pieces.peek().is_none() && literal == b"\n") => {
                        found.bytes
                    }
                    None if pieces.peek().is_none() && literal == b"\n" => Vec::new(),
                    Some(_) | None => return Err(Reason::ends_early()),
                }
            }
            (None, _) => to_end(source)?,
        };
        match piece {
            Piece::Length(field, _) => {
                let number = number::<usize>(&bytes)?;
                *(if *field == Field::Key { &mut key_length } else { &mut value_length }) = Some(number);
            }
            Piece::Field(field, coding) => set(&mut draft, *field, decoded(bytes, *coding)?)?,
            Piece::Literal(_) => {}
        }
    }
    Ok(Some(draft))
}

fn set(draft: &mut Draft, field: Field, bytes: Vec<u8>) -> Result<(), Reason> {
    match field {
        Field::Topic => draft.topic = Some(String::from_utf8_lossy(&bytes).into()),
        Field::Partition => draft.partition = Some(number(&bytes)?),
        Field::Timestamp => draft.timestamp = Some(number(&bytes)?),
        Field::Key => draft.key = Some(bytes.into()),
        Field::Value => draft.value = Some(bytes.into()),
    }
    Ok(())
}

fn number<N: std::str::FromStr>(bytes: &[u8]) -> Result<N, Reason> {
    let text = String::from_utf8_lossy(bytes);
    text.trim().parse().map_err(|_| Reason::Format(format!("must be a number: '{}'", bytes.escape_ascii())))
}

fn decoded(bytes: Vec<u8>, coding: Coding) -> Result<Vec<u8>, Reason> {
    match coding {
        Coding::Plain => Ok(bytes),
        Coding::Base64 => {
            STANDARD.decode(&bytes).map_err(|error| Reason::Format(format!("no base64: {error}")))
        }
        Coding::Hex => {
            let pair = |pair: &[u8]| {
                let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
                Some((digit(pair.first())? << 4 | digit(pair.get(1))?) as u8)
            };
            let decoded: Option<Vec<u8>> = bytes.chunks(2).map(pair).collect();
            decoded.ok_or_else(|| Reason::Format("no hexadecimal digits in pairs".to_owned()))
        }
    }
}
