//! Records from stdin or a file, read by a thread of its own: reading may wait for ever.

use std::io::{self, BufRead, BufReader, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::error::{CliError, Exit};
use crate::jsonl::Draft;

/// What `--help` says of formats.
pub(super) const HELP: &str = "\
INPUT FORMATS
  %v value   %k key   %t topic   %p partition   %d timestamp in milliseconds
  Each ends where the text after it stands; the last one of all at the end of the input.
  %v{hex} %v{base64} decode. %K and %V are lengths, %V{big32} as bytes: what they count ends there.
  \\n \\t \\r \\\\ \\0 \\xHH and %% as in formats of consume.
  Example: -f '%k\\t%v\\n' keys and values;  -f %v the whole input as one record";

const BUFFER_BYTES: usize = 256 << 10;
/// A longer field is not data but a wrong format.
const FIELD_BYTES_MAX: usize = 64 << 20;
/// Records, and bytes, that are handed over at once.
const GROUP_RECORDS: usize = 1024;
const GROUP_BYTES: usize = 256 << 10;
/// Groups that wait.
const GROUPS_MAX: usize = 4;

/// How input is cut into records.
#[derive(Clone, Debug)]
pub(super) enum Form {
    Jsonl,
    Pieces(Pieces),
}

/// A format string for input, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pieces(Vec<Piece>);

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
    pub(super) fn lines(key_separator: Option<&str>) -> Pieces {
        let mut pieces = Vec::new();
        if let Some(separator) = key_separator {
            pieces.push(Piece::Field(Field::Key, Coding::Plain));
            pieces.push(Piece::Literal(separator.as_bytes().to_vec()));
        }
        pieces.push(Piece::Field(Field::Value, Coding::Plain));
        pieces.push(Piece::Literal(b"\n".to_vec()));
        Pieces(pieces)
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

/// Starts the thread. It ends at the end of the input, at an error, which comes last, or when nobody receives any more.
pub(super) fn start(
    source: Box<dyn Read + Send>,
    form: Form,
) -> mpsc::Receiver<Result<Vec<Draft>, CliError>> {
    let (sender, groups) = mpsc::channel(GROUPS_MAX);
    std::thread::spawn(move || {
        let mut input = Input { source: BufReader::with_capacity(BUFFER_BYTES, source), form, number: 0 };
        loop {
            match input.group() {
                Ok(group) if group.is_empty() => return,
                Ok(group) => {
                    if sender.blocking_send(Ok(group)).is_err() {
                        return;
                    }
                }
                Err(error) => {
                    sender.blocking_send(Err(error)).ok();
                    return;
                }
            }
        }
    });
    groups
}

struct Input<R> {
    source: BufReader<R>,
    form: Form,
    /// Of the record that is read.
    number: u64,
}

impl<R: Read> Input<R> {
    /// The next records: as many as are at hand, at least one. Empty at the end.
    fn group(&mut self) -> Result<Vec<Draft>, CliError> {
        let mut group = Vec::new();
        let mut bytes = 0;
        while group.len() < GROUP_RECORDS && bytes < GROUP_BYTES {
            self.number += 1;
            let record = self.record().map_err(|reason| self.failed(&reason))?;
            let Some(record) = record else { break };
            bytes += record.value.as_ref().map_or(0, Bytes::len) + record.key.as_ref().map_or(0, Bytes::len);
            group.push(record);
            // A person, or a slow program, must not wait for the next line to see this one sent.
            if !self.has_more_at_hand() {
                break;
            }
        }
        Ok(group)
    }

    fn failed(&self, reason: &Reason) -> CliError {
        match reason {
            Reason::Read(error) => CliError::new(Exit::Failed, format!("cannot read the input: {error}")),
            Reason::Format(reason) => CliError::new(
                Exit::Failed,
                format!("cannot read record {} of the input: {reason}", self.number),
            ),
        }
    }

    fn has_more_at_hand(&self) -> bool {
        let last = match &self.form {
            Form::Jsonl => Some(&b'\n'),
            Form::Pieces(Pieces(pieces)) => match pieces.last() {
                Some(Piece::Literal(literal)) => literal.last(),
                _ => None,
            },
        };
        last.map_or(!self.source.buffer().is_empty(), |last| self.source.buffer().contains(last))
    }

    fn record(&mut self) -> Result<Option<Draft>, Reason> {
        let Input { source, form, .. } = self;
        match form {
            Form::Jsonl => loop {
                match until(source, b"\n")? {
                    None => return Ok(None),
                    Some(line) if line.bytes.iter().all(u8::is_ascii_whitespace) => {}
                    Some(line) => return Draft::parse(&line.bytes).map(Some).map_err(Reason::Format),
                }
            },
            Form::Pieces(Pieces(pieces)) => by_pieces(source, pieces),
        }
    }
}

/// Why there is no record.
enum Reason {
    Read(io::Error),
    Format(String),
}

impl std::convert::From<io::Error> for Reason {
    fn from(error: io::Error) -> Reason {
        Reason::Read(error)
    }
}

fn ends_early<T>() -> Result<T, Reason> {
    Err(Reason::Format("the input ends within it".to_owned()))
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
                    Some(_) | None => return ends_early(),
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

/// Bytes before a delimiter.
struct Found {
    bytes: Vec<u8>,
    /// Whether the delimiter was there, and not the end of the input.
    is_ended: bool,
}

/// Reads up to a delimiter and past it; none at the end of the input.
fn until(source: &mut impl BufRead, delimiter: &[u8]) -> Result<Option<Found>, Reason> {
    let Some(last) = delimiter.last() else { return ends_early() };
    let mut bytes = Vec::new();
    loop {
        let room = (FIELD_BYTES_MAX + 1).saturating_sub(bytes.len());
        let read = source.by_ref().take(room as u64).read_until(*last, &mut bytes)?;
        if bytes.ends_with(delimiter) {
            bytes.truncate(bytes.len() - delimiter.len());
            return Ok(Some(Found { bytes, is_ended: true }));
        }
        if bytes.len() > FIELD_BYTES_MAX {
            return Err(Reason::Format(format!("longer than {FIELD_BYTES_MAX} bytes")));
        }
        if read == 0 {
            return Ok((!bytes.is_empty()).then_some(Found { bytes, is_ended: false }));
        }
    }
}

fn exactly(source: &mut impl BufRead, count: usize) -> Result<Vec<u8>, Reason> {
    if count > FIELD_BYTES_MAX {
        return Err(Reason::Format(format!("longer than {FIELD_BYTES_MAX} bytes: {count}")));
    }
    let mut bytes = Vec::new();
    source.by_ref().take(count as u64).read_to_end(&mut bytes)?;
    if bytes.len() == count { Ok(bytes) } else { ends_early() }
}

fn to_end(source: &mut impl BufRead) -> Result<Vec<u8>, Reason> {
    let mut bytes = Vec::new();
    source.by_ref().take(FIELD_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > FIELD_BYTES_MAX {
        return Err(Reason::Format(format!("longer than {FIELD_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: &str, input: &[u8]) -> Result<Vec<String>, String> {
        let form = Form::Pieces(format.parse()?);
        let mut input = Input { source: BufReader::new(input), form, number: 0 };
        let mut records = Vec::new();
        loop {
            let group = input.group().map_err(|error| error.message().to_owned())?;
            if group.is_empty() {
                return Ok(records);
            }
            records.extend(group.into_iter().map(|draft| {
                let shown = |bytes: Option<Bytes>| {
                    bytes.map_or("null".to_owned(), |bytes| bytes.escape_ascii().to_string())
                };
                let place = draft.partition.map_or(String::new(), |partition| format!("{partition}:"));
                format!("{place}{}={}", shown(draft.key), shown(draft.value))
            }));
        }
    }

    #[test]
    fn lines_are_values() {
        assert_eq!(read(r"%v\n", b"a\n\nb").unwrap(), ["null=a", "null=", "null=b"]);
        assert_eq!(read(r"%v\n", b"").unwrap(), [""; 0]);
    }

    #[test]
    fn fields_end_at_the_text_after_them() {
        assert_eq!(read(r"%k::%v\n", b"a:b::c\nd::e\n").unwrap(), ["a:b=c", "d=e"]);
        assert_eq!(read(r"%p %k{hex} %v{base64};", b"3 ff00 eA==;").unwrap(), ["3:\\xff\\x00=x"]);
        assert_eq!(read("%v", b"all\nof it").unwrap(), ["null=all\\nof it"]);
        assert_eq!(read(r"<%v>\n", b"<a>\n<b>\n").unwrap(), ["null=a", "null=b"]);
    }

    #[test]
    fn lengths_say_where_fields_end() {
        assert_eq!(read(r"%K{big16}%V{little8}%k%v", b"\0\x01\x02abc\0\0\x01x").unwrap(), ["a=bc", "=x"]);
        assert_eq!(read(r"%V %v\n", b"3 a\nb\n").unwrap(), ["null=a\\nb"]);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_number() {
        assert_eq!(
            read(r"%k:%v\n", b"a:b\nc\n").unwrap_err(),
            "cannot read record 2 of the input: the input ends within it"
        );
        assert!(read(r"%p %v\n", b"x y\n").unwrap_err().contains("must be a number: 'x'"));
        assert!(read(r"%V{big32}%v", b"\xff\xff\xff\xff").unwrap_err().contains("longer than"));
        for format in ["", "x", "%k%v", "%q", "%v{x}", "%", "%v{hex", "%K%k%v"] {
            assert!(read(format, b"").is_err(), "{format}");
        }
    }
}
