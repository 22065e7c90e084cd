//! Records from stdin or a file, read by a thread of its own: reading may wait for ever.

use std::io::{BufReader, Read};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::error::{CliError, Exit};
use crate::jsonl::Draft;

mod fields;
mod pieces;

use fields::{Reason, until};
pub(super) use pieces::Pieces;

/// What `--help` says of formats.
pub(super) const HELP: &str = "\
INPUT FORMATS
  %v value   %k key   %t topic   %p partition   %d timestamp in milliseconds
  Each ends where the text after it stands; the last one of all at the end of the input.
  %v{hex} %v{base64} decode. %K and %V are lengths, %V{big32} as bytes: what they count ends there.
  \\n \\t \\r \\\\ \\0 \\xHH and %% as in formats of consume.
  Example: -f '%k\\t%v\\n' keys and values;  -f %v the whole input as one record";

const BUFFER_BYTES: usize = 256 << 10;
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
            Form::Jsonl => Some(b'\n'),
            Form::Pieces(pieces) => pieces.last_byte(),
        };
        last.map_or(!self.source.buffer().is_empty(), |last| self.source.buffer().contains(&last))
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
            Form::Pieces(pieces) => pieces.read(source),
        }
    }
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
        assert_eq!(
            read(r"%K{big16}%V{little16}%k%v", b"\0\x01\x02\0abc\0\0\x01\0x").unwrap(),
            ["a=bc", "=x"]
        );
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
