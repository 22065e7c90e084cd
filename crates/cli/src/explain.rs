//! `eddy explain`: what an error code means and what to do, without asking anybody.

use std::fmt::Write as _;

use clap::Args;
use eddy_types::ErrorCode;
use serde::Serialize;

use crate::error::CliError;
use crate::output::Printer;
use crate::{Cell, Column};

mod advice;

/// A code of this program, as the binary knows it.
#[derive(Clone, Copy, Debug)]
pub struct OwnCode {
    /// The four digits behind `ED-`.
    pub number: u16,
    /// How the process ends that meets it.
    pub exit: u8,
    /// What it is called, in lower case.
    pub title: &'static str,
    /// What it means, in sentences.
    pub meaning: &'static str,
    /// Why it happens.
    pub causes: &'static [&'static str],
    /// What to do about it.
    pub actions: &'static [&'static str],
}

#[derive(Debug, Args)]
pub struct Arguments {
    /// ED-nnnn, or number or name of a Kafka error code; all ED codes are listed without it
    #[arg(value_name = "CODE", allow_negative_numbers = true)]
    code: Option<String>,
    /// List the codes of the Kafka protocol too
    #[arg(short, long, conflicts_with = "code")]
    all: bool,
}

/// A code of either kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Page {
    code: String,
    /// The number in the Kafka protocol.
    number: Option<i16>,
    title: String,
    meaning: &'static str,
    /// Whether clients try again by themselves; not said of our own codes.
    retriable: Option<bool>,
    causes: &'static [&'static str],
    actions: &'static [&'static str],
    /// How the process ends that meets it.
    exit: Option<u8>,
}

const COLUMNS: &[Column<Page>] = &[
    Column::new("CODE", |row| Cell::text(row.code.clone())),
    Column::new("NUMBER", |row| row.number.map_or(Cell::None, Cell::count)),
    Column::new("RETRIABLE", |row| {
        row.retriable.map_or(Cell::None, |retriable| Cell::text(if retriable { "yes" } else { "no" }))
    }),
    Column::new("MEANING", |row| {
        Cell::text(if row.number.is_some() { row.meaning } else { row.title.as_str() })
    }),
];

/// Prints a page, or the list; `own` are the binary's codes.
pub(crate) fn run(printer: &Printer, own: &[OwnCode], arguments: &Arguments) -> Result<(), CliError> {
    let Some(text) = &arguments.code else { return list(printer, own, arguments.all) };
    let page = find(own, text).ok_or_else(|| unknown(own, text))?;
    printer.thing(&page, |_| render(&page))
}

fn list(printer: &Printer, own: &[OwnCode], all: bool) -> Result<(), CliError> {
    let kafka = ErrorCode::ALL.iter().filter(|_| all).map(|code| of_kafka(*code));
    let pages: Vec<Page> = own.iter().map(of_own).chain(kafka).collect();
    if all || !printer.is_table() {
        return printer.rows(COLUMNS, &pages);
    }
    let mut out = String::new();
    for page in pages {
        // Writing to a string does not fail.
        writeln!(out, "{}  {}", page.code, page.title).ok();
    }
    out.push_str("\nCodes of the Kafka protocol are explained by number or name: eddy explain NOT_LEADER_OR_FOLLOWER\n");
    printer.write(&out)
}

fn find(own: &[OwnCode], text: &str) -> Option<Page> {
    let text = text.trim();
    find_own(own, text).map(of_own).or_else(|| find_kafka(text).map(of_kafka))
}

/// The code of a text such as `ED-1001`, `ed1001` or `1001`.
fn find_own<'a>(own: &'a [OwnCode], text: &str) -> Option<&'a OwnCode> {
    let text = text.to_ascii_uppercase();
    let number = text.strip_prefix("ED-").or_else(|| text.strip_prefix("ED")).unwrap_or(&text);
    let number: u16 = number.parse().ok().filter(|_| number.len() == 4)?;
    own.iter().find(|code| code.number == number)
}

/// Finds a Kafka code by its number, its name, or the name of the Java exception.
fn find_kafka(text: &str) -> Option<ErrorCode> {
    if let Ok(number) = text.parse() {
        return ErrorCode::from_code(number);
    }
    let wanted = letters(text);
    let bare = wanted.strip_suffix("exception").unwrap_or(&wanted);
    ErrorCode::ALL.iter().copied().find(|code| {
        let name = letters(code.name());
        name == wanted || name == bare
    })
}

fn letters(name: &str) -> String {
    name.replace(['_', '-', ' '], "").to_ascii_lowercase()
}

fn unknown(own: &[OwnCode], text: &str) -> CliError {
    let mut error = CliError::not_found(format!("no such code: {text}"));
    let near = near(own, text);
    if let [first, rest @ ..] = near.as_slice() {
        let others = if rest.is_empty() { String::new() } else { format!(" ({})", rest.join(", ")) };
        error = error.fact(format!("did you mean {first}?{others}"));
        error = error.fix(format!("eddy explain {first}"), "explain that");
    }
    error.fix("eddy explain --all", "list every code")
}

/// Up to three codes that look like the text, best first.
fn near(own: &[OwnCode], text: &str) -> Vec<String> {
    const LIKENESS_MIN: f64 = 0.7;
    let wanted = letters(text);
    let wanted = wanted.strip_suffix("exception").unwrap_or(&wanted);
    let names = own.iter().map(|code| format!("ED-{:04}", code.number));
    let names = names.chain(ErrorCode::ALL.iter().map(|code| code.name().to_owned()));
    let mut near: Vec<(f64, String)> = names
        .map(|name| (strsim::normalized_damerau_levenshtein(wanted, &letters(&name)), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

fn of_own(code: &OwnCode) -> Page {
    Page {
        code: format!("ED-{:04}", code.number),
        number: None,
        title: code.title.to_owned(),
        meaning: code.meaning,
        retriable: None,
        causes: code.causes,
        actions: code.actions,
        exit: Some(code.exit),
    }
}

fn of_kafka(code: ErrorCode) -> Page {
    Page {
        code: code.name().to_owned(),
        number: Some(code.code()),
        title: "an error code of the Kafka protocol".to_owned(),
        meaning: code.meaning(),
        retriable: Some(code.is_retriable()),
        causes: &[],
        actions: advice::advice(code),
        exit: None,
    }
}

fn render(page: &Page) -> String {
    let mut out = String::new();
    let number = page.number.map_or(String::new(), |number| format!("({number})"));
    writeln!(out, "{}{number}: {}\n\n{}", page.code, page.title, wrapped(page.meaning, "")).ok();
    match page.retriable {
        Some(_) if page.number == Some(0) => {}
        Some(true) => out.push_str(
            "\nRetriable: a client tries again by itself, after refreshing its metadata where that helps.\n",
        ),
        Some(false) => out.push_str("\nNot retriable: the same request would fail again.\n"),
        None => {}
    }
    for (title, sentences) in [("Causes", page.causes), ("What to do", page.actions)] {
        if !sentences.is_empty() {
            writeln!(out, "\n{title}").ok();
        }
        for sentence in sentences {
            writeln!(out, "  - {}", wrapped(sentence, "    ")).ok();
        }
    }
    if let Some(exit) = page.exit {
        writeln!(out, "\nExit code of the process: {exit}").ok();
    }
    out
}

/// Breaks a sentence into lines of 90 characters at most; all but the first begin with `indent`.
fn wrapped(sentence: &str, indent: &str) -> String {
    let mut out = String::new();
    let mut column = indent.len();
    for (index, word) in sentence.split(' ').enumerate() {
        if index > 0 && column + 1 + word.len() > 90 {
            out.push('\n');
            out.push_str(indent);
            column = indent.len();
        } else if index > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
    }
    out
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    const OWN: &[OwnCode] = &[OwnCode {
        number: 1001,
        exit: 1,
        title: "the listener's port is in use",
        meaning: "A listener must be bound before the broker touches its data.",
        causes: &["Another broker runs on this machine."],
        actions: &["eddy up --port 9192 uses another port."],
    }];

    #[test]
    fn every_kafka_code_is_found_by_number_name_and_exception() {
        for code in ErrorCode::ALL {
            for text in [code.code().to_string(), code.name().to_owned(), format!("{code:?}Exception")] {
                assert_eq!(find(OWN, &text), Some(of_kafka(*code)), "{text}");
            }
        }
    }

    #[test]
    fn our_codes_are_found_however_they_are_typed() {
        for text in ["ED-1001", "ed-1001", "ED1001", "1001", " ED-1001 "] {
            assert_eq!(find(OWN, text).map(|page| page.code).as_deref(), Some("ED-1001"), "{text}");
        }
        assert!(find(OWN, "ED-9999").is_none() && find(OWN, "ED-").is_none() && find(OWN, "137").is_none());
    }

    #[test]
    fn a_page_has_meaning_causes_and_remedies() {
        expect![[r#"
            REBALANCE_IN_PROGRESS(27): an error code of the Kafka protocol

            The group is rebalancing: rejoin.

            Not retriable: the same request would fail again.

            What to do
              - Nothing when seldom: the member joins again and goes on.
              - When often: eddy group describe GROUP shows who comes and goes; static members
                (group.instance.id) and the consumer protocol (group.protocol=consumer) rebalance
                less.
        "#]]
        .assert_eq(&render(&find(OWN, "rebalance-in-progress").unwrap()));
        expect![[r#"
            ED-1001: the listener's port is in use

            A listener must be bound before the broker touches its data.

            Causes
              - Another broker runs on this machine.

            What to do
              - eddy up --port 9192 uses another port.

            Exit code of the process: 1
        "#]]
        .assert_eq(&render(&find(OWN, "ED-1001").unwrap()));
    }

    #[test]
    fn a_typing_error_is_guessed() {
        expect![[r#"
            error: no such code: REBALANCE_IN_PROGRES
              did you mean REBALANCE_IN_PROGRESS?
              fix: eddy explain REBALANCE_IN_PROGRESS   explain that
                   eddy explain --all                   list every code
        "#]]
        .assert_eq(&unknown(OWN, "REBALANCE_IN_PROGRES").to_string());
        assert_eq!(near(OWN, "ED-1002"), ["ED-1001"]);
        assert!(near(OWN, "wurst").is_empty());
    }

    #[test]
    fn lines_stay_within_ninety_characters() {
        for code in ErrorCode::ALL {
            for line in render(&of_kafka(*code)).lines() {
                assert!(line.chars().count() <= 94, "{line}");
            }
        }
    }
}
