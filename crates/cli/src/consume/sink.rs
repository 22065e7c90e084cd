//! Where consumed records are printed, and how.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::template::{Template, rfc3339_millis};
use crate::error::{CliError, Exit};
use crate::jsonl::Line;
use crate::record::Record;
use crate::{Format, Printer};

/// Bytes that are collected before they are written.
const BUFFER_BYTES: usize = 64 << 10;
const FAINT: Style = Style::new().dimmed();
const KEY: Style = AnsiColor::Cyan.on_default();

/// Prints records one by one.
pub(crate) struct Sink<W> {
    form: Form,
    printer: Printer,
    out: W,
    buffer: Vec<u8>,
    count: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Form {
    Template(Template),
    /// A line for people, with place, time and key.
    Line,
    Json,
    Jsonl,
    Yaml,
}

impl Sink<io::Stdout> {
    /// To stdout. A format string goes before the printer's form; without one a terminal gets lines for people, and a pipe the values.
    pub(crate) fn stdout(printer: Printer, template: Option<&Template>) -> Sink<io::Stdout> {
        Sink::new(io::stdout(), printer, template)
    }
}

impl<W: Write> Sink<W> {
    fn new(out: W, printer: Printer, template: Option<&Template>) -> Sink<W> {
        let form = match (template, printer.format()) {
            (Some(template), _) => Form::Template(template.clone()),
            (None, Format::Json) => Form::Json,
            (None, Format::Jsonl) => Form::Jsonl,
            (None, Format::Yaml) => Form::Yaml,
            (None, Format::Wide) => Form::Line,
            (None, Format::Table) if printer.is_human() => Form::Line,
            (None, Format::Table) => Form::Template(Template::value_lines()),
        };
        let buffer = if form == Form::Json { b"[".to_vec() } else { Vec::new() };
        Sink { form, printer, out, buffer, count: 0 }
    }

    /// Records so far.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Prints a record, perhaps not before [`flush`](Self::flush).
    pub(crate) fn record(&mut self, record: &Record) -> Result<(), CliError> {
        self.count += 1;
        let failed = |error: &dyn std::fmt::Display| {
            CliError::new(Exit::Failed, format!("cannot write a record: {error}"))
        };
        match &self.form {
            Form::Template(template) => template.write(record, self.count, &mut self.buffer),
            Form::Line => self.buffer.extend(line(self.printer, record).into_bytes()),
            Form::Json => {
                self.buffer.extend_from_slice(if self.count == 1 { b"\n" } else { b",\n" });
                serde_json::to_writer(&mut self.buffer, &Line::new(record))
                    .map_err(|error| failed(&error))?;
            }
            Form::Jsonl => {
                serde_json::to_writer(&mut self.buffer, &Line::new(record))
                    .map_err(|error| failed(&error))?;
                self.buffer.push(b'\n');
            }
            Form::Yaml => {
                let one = serde_norway::to_string(&[Line::new(record)]).map_err(|error| failed(&error))?;
                self.buffer.extend(one.into_bytes());
            }
        }
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes what was collected.
    pub(crate) fn flush(&mut self) -> Result<(), CliError> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(self.out.flush()?)
    }

    /// Ends the document.
    pub(crate) fn end(&mut self) -> Result<(), CliError> {
        match self.form {
            Form::Json => self.buffer.extend_from_slice(b"\n]\n"),
            Form::Yaml if self.count == 0 => self.buffer.extend_from_slice(b"[]\n"),
            _ => {}
        }
        self.flush()
    }
}

/// `orders 1:42  2026-11-21T06:47:02.123Z  key  value  {trace=abc}`
fn line(printer: Printer, record: &Record) -> String {
    let place = format!("{} {}:{}", record.topic, record.partition, record.offset);
    let time = if record.timestamp < 0 { "-".to_owned() } else { rfc3339_millis(record.timestamp) };
    let mut out = format!("{}  {}  ", printer.styled(FAINT, &place), printer.styled(FAINT, &time));
    out.push_str(&printer.styled(KEY, &shown(record.key.as_deref())));
    out.push_str("  ");
    out.push_str(&shown(record.value.as_deref()));
    if !record.headers.is_empty() {
        let header = |header: &eddy_batch::Header| {
            format!("{}={}", shown(Some(&header.key)), shown(header.value.as_deref()))
        };
        let headers: Vec<String> = record.headers.iter().map(header).collect();
        out.push_str(&printer.styled(FAINT, &format!("  {{{}}}", headers.join(", "))));
    }
    out.push('\n');
    out
}

/// Text as it is, other bytes in hexadecimal; nothing that a terminal would act on.
fn shown(bytes: Option<&[u8]>) -> String {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => "-".to_owned(),
        Some((_, Ok(""))) => "\"\"".to_owned(),
        Some((_, Ok(text))) if text.contains(char::is_control) => text.escape_debug().to_string(),
        Some((_, Ok(text))) => text.to_owned(),
        Some((bytes, Err(_))) => bytes.iter().fold("0x".to_owned(), |hex, byte| hex + &format!("{byte:02x}")),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use eddy_batch::Header;
    use expect_test::{Expect, expect};

    use super::*;

    fn check(format: Format, human: bool, expected: &Expect) {
        let mut sink = Sink::new(Vec::new(), Printer::plain(format, human), None);
        let trace = Header { key: Bytes::from_static(b"trace"), value: Some(Bytes::from_static(b"abc")) };
        sink.record(&Record { headers: vec![trace], ..Record::sample() }).unwrap();
        let tombstone =
            Record { key: Some(Bytes::from_static(b"\xff\x1b")), value: None, ..Record::sample() };
        sink.record(&tombstone).unwrap();
        sink.record(&Record { key: None, value: Some(Bytes::from_static(b"a\x1b[2J")), ..Record::sample() })
            .unwrap();
        sink.end().unwrap();
        expected.assert_eq(&String::from_utf8(sink.out).unwrap().replace('\u{1b}', "<ESC>"));
    }

    #[test]
    fn a_terminal_gets_lines_that_do_nothing_to_it() {
        check(
            Format::Table,
            true,
            &expect![[r#"
            orders 1:42  2026-11-21T06:47:02.123Z  key  some value  {trace=abc}
            orders 1:42  2026-11-21T06:47:02.123Z  0xff1b  -
            orders 1:42  2026-11-21T06:47:02.123Z  -  a\u{1b}[2J
        "#]],
        );
    }

    #[test]
    fn a_pipe_gets_the_values() {
        check(
            Format::Table,
            false,
            &expect![[r#"
            some value

            a<ESC>[2J
        "#]],
        );
    }

    #[test]
    fn machines_get_documents_that_end() {
        check(
            Format::Json,
            false,
            &expect![[r#"
            [
            {"topic":"orders","partition":1,"offset":42,"timestamp":1795243622123,"key":"key","value":"some value","headers":[{"key":"trace","value":"abc"}]},
            {"topic":"orders","partition":1,"offset":42,"timestamp":1795243622123,"key_base64":"/xs=","value":null,"headers":[]},
            {"topic":"orders","partition":1,"offset":42,"timestamp":1795243622123,"key":null,"value":"a\u001b[2J","headers":[]}
            ]
        "#]],
        );
        check(
            Format::Jsonl,
            true,
            &expect![[r#"
            {"topic":"orders","partition":1,"offset":42,"timestamp":1795243622123,"key":"key","value":"some value","headers":[{"key":"trace","value":"abc"}]}
            {"topic":"orders","partition":1,"offset":42,"timestamp":1795243622123,"key_base64":"/xs=","value":null,"headers":[]}
            {"topic":"orders","partition":1,"offset":42,"timestamp":1795243622123,"key":null,"value":"a\u001b[2J","headers":[]}
        "#]],
        );
        check(
            Format::Yaml,
            true,
            &expect![[r#"
            - topic: orders
              partition: 1
              offset: 42
              timestamp: 1795243622123
              key: key
              value: some value
              headers:
              - key: trace
                value: abc
            - topic: orders
              partition: 1
              offset: 42
              timestamp: 1795243622123
              key_base64: /xs=
              value: null
              headers: []
            - topic: orders
              partition: 1
              offset: 42
              timestamp: 1795243622123
              key: null
              value: "a\e[2J"
              headers: []
        "#]],
        );
        let mut empty = Sink::new(Vec::new(), Printer::plain(Format::Json, true), None);
        empty.end().unwrap();
        assert_eq!(empty.out, b"[\n]\n");
    }
}
