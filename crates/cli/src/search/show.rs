//! Records that were found, printed as they come.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::answer::Hit;
use crate::error::{CliError, Exit};
use crate::{Format, Printer};

const FAINT: Style = Style::new().dimmed();
const KEY: Style = AnsiColor::Cyan.on_default();
const FOUND: Style = AnsiColor::Red.on_default().bold();

/// Prints records one by one: for people with what was found in colour, for a pipe the values, for machines objects.
pub(super) struct Show<W> {
    printer: Printer,
    out: W,
    buffer: Vec<u8>,
    count: u64,
}

impl Show<io::Stdout> {
    pub(super) fn stdout(printer: Printer) -> Show<io::Stdout> {
        Show::new(io::stdout(), printer)
    }
}

impl<W: Write> Show<W> {
    fn new(out: W, printer: Printer) -> Show<W> {
        let buffer = if printer.format() == Format::Json { b"[".to_vec() } else { Vec::new() };
        Show { printer, out, buffer, count: 0 }
    }

    /// Prints one, perhaps not before [`flush`](Self::flush).
    pub(super) fn hit(&mut self, hit: &Hit) -> Result<(), CliError> {
        let failed = |error: &dyn std::fmt::Display| {
            CliError::new(Exit::Failed, format!("cannot write a record: {error}"))
        };
        self.count += 1;
        match self.printer.format() {
            Format::Table if !self.printer.is_human() => {
                self.buffer.extend(raw(&hit.value).into_bytes());
                self.buffer.push(b'\n');
            }
            Format::Table | Format::Wide => self.buffer.extend(line(self.printer, hit).into_bytes()),
            Format::Json => {
                self.buffer.extend_from_slice(if self.count == 1 { b"\n" } else { b",\n" });
                serde_json::to_writer(&mut self.buffer, hit).map_err(|error| failed(&error))?;
            }
            Format::Jsonl => {
                serde_json::to_writer(&mut self.buffer, hit).map_err(|error| failed(&error))?;
                self.buffer.push(b'\n');
            }
            Format::Yaml => {
                let one = serde_norway::to_string(&[hit]).map_err(|error| failed(&error))?;
                self.buffer.extend(one.into_bytes());
            }
        }
        Ok(())
    }

    /// Writes what was collected.
    pub(super) fn flush(&mut self) -> Result<(), CliError> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(self.out.flush()?)
    }

    /// Ends the document.
    pub(super) fn end(&mut self) -> Result<(), CliError> {
        match self.printer.format() {
            Format::Json => self.buffer.extend_from_slice(b"\n]\n"),
            Format::Yaml if self.count == 0 => self.buffer.extend_from_slice(b"[]\n"),
            _ => {}
        }
        self.flush()
    }
}

/// `logs 0:41  2026-11-21T06:47:02.123Z  key  value  {trace=abc}`
fn line(printer: Printer, hit: &Hit) -> String {
    let words = hit.words();
    let place = format!("{} {}:{}", hit.topic, hit.partition, hit.offset);
    let time = if hit.timestamp < 0 { "-".to_owned() } else { crate::moment::rfc3339(hit.timestamp) };
    let mut out = format!("{}  {}  ", printer.styled(FAINT, &place), printer.styled(FAINT, &time));
    out.push_str(&printer.styled(KEY, &shown(&hit.key)));
    out.push_str("  ");
    out.push_str(&highlighted(printer, &shown(&hit.value), &words));
    if !hit.headers.is_empty() {
        let headers: Vec<String> =
            hit.headers.iter().map(|(name, value)| format!("{}={}", safe(name), shown(value))).collect();
        out.push_str(&printer.styled(FAINT, &format!("  {{{}}}", headers.join(", "))));
    }
    out.push('\n');
    out
}

/// The text with every occurrence of the words in a colour. Only whole words: `time` is not found in `timeout`.
fn highlighted(printer: Printer, text: &str, words: &[String]) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut before) = (text, None);
    while let Some(character) = rest.chars().next() {
        let is_start = !before.is_some_and(char::is_alphanumeric);
        let found = words.iter().filter(|_| is_start).find_map(|word| {
            let after = rest.strip_prefix(word.as_str())?;
            (!after.chars().next().is_some_and(char::is_alphanumeric)).then_some((word, after))
        });
        if let Some((word, after)) = found {
            out.push_str(&printer.styled(FOUND, word));
            (rest, before) = (after, word.chars().last());
        } else {
            out.push(character);
            (rest, before) = (rest.strip_prefix(character).unwrap_or_default(), Some(character));
        }
    }
    out
}

/// For a pipe: text as it is, anything else as JSON.
fn raw(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// For people: nothing that a terminal would act on.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => safe(text),
        // JSON escapes control characters itself, but for two.
        other => safe(&other.to_string()),
    }
}

fn safe(text: &str) -> String {
    if text.contains(char::is_control) { text.escape_debug().to_string() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    fn check(printer: Printer, expected: &Expect) {
        let mut show = Show::new(Vec::new(), printer);
        for (value, key) in
            [(json!({ "level": "error", "n": 1 }), json!("k")), (json!("a\u{1b}[2J"), json!(null))]
        {
            let highlight = json!({ "level": ["\u{1}error\u{2}"] }).as_object().unwrap().clone();
            let headers = json!({ "trace": "abc" }).as_object().unwrap().clone();
            let hit = Hit {
                topic: "logs".to_owned(),
                partition: 1,
                offset: 42,
                timestamp: 1_795_243_622_123,
                key,
                value,
                headers,
                highlight,
            };
            show.hit(&hit).unwrap();
        }
        show.end().unwrap();
        expected.assert_eq(&String::from_utf8(show.out).unwrap().replace('\u{1b}', "<ESC>"));
    }

    #[test]
    fn a_terminal_gets_lines_that_do_nothing_to_it() {
        check(
            Printer::plain(Format::Table, true),
            &expect![[r#"
                logs 1:42  2026-11-21T06:47:02.123Z  k  {"level":"error","n":1}  {trace=abc}
                logs 1:42  2026-11-21T06:47:02.123Z  -  a\u{1b}[2J  {trace=abc}
            "#]],
        );
    }

    #[test]
    fn a_pipe_gets_the_values_and_machines_the_records() {
        check(
            Printer::plain(Format::Table, false),
            &expect![[r#"
                {"level":"error","n":1}
                a<ESC>[2J
            "#]],
        );
        check(
            Printer::plain(Format::Jsonl, false),
            &expect![[r#"
                {"topic":"logs","partition":1,"offset":42,"timestamp":1795243622123,"key":"k","value":{"level":"error","n":1},"headers":{"trace":"abc"}}
                {"topic":"logs","partition":1,"offset":42,"timestamp":1795243622123,"key":null,"value":"a\u001b[2J","headers":{"trace":"abc"}}
            "#]],
        );
    }

    #[test]
    fn only_whole_words_are_highlighted() {
        let printer = Printer::colored(Format::Table);
        let text = highlighted(printer, "timeout time: untimed Time", &["time".to_owned()]);
        assert_eq!(text.matches("\u{1b}[0m").count(), 1, "{text}");
        assert!(text.starts_with("timeout \u{1b}") && text.ends_with("untimed Time"), "{text}");
    }
}
