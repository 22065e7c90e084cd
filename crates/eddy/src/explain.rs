//! `eddy explain CODE`: what a code of Eddyline or of the Kafka protocol means and what to do.

use std::fmt::Write;

use eddy_types::ErrorCode;

use crate::codes::{self, Code};

/// The page of a code, by number or name; `None` when there is no such code.
pub(crate) fn page(text: &str) -> Option<String> {
    let text = text.trim();
    codes::find(text).map(eddy_page).or_else(|| find_kafka(text).map(kafka_page))
}

/// One line per `ED-nnnn` code.
pub(crate) fn list() -> String {
    let mut out = String::new();
    for code in codes::ALL {
        writeln!(out, "{code}  {}", code.title).ok();
    }
    out.push_str("\nCodes of the Kafka protocol are explained by number or name: eddy explain NOT_LEADER_OR_FOLLOWER\n");
    out
}

/// Finds a Kafka code by its number, its name, or the name of the Java exception.
fn find_kafka(text: &str) -> Option<ErrorCode> {
    if let Ok(number) = text.parse() {
        return ErrorCode::from_code(number);
    }
    let letters = |name: &str| name.replace(['_', '-'], "").to_ascii_lowercase();
    let wanted = letters(text);
    let bare = wanted.strip_suffix("exception").unwrap_or(&wanted);
    ErrorCode::ALL.iter().copied().find(|code| {
        let name = letters(code.name());
        name == wanted || name == bare
    })
}

fn eddy_page(code: &Code) -> String {
    let mut out = String::new();
    writeln!(out, "{code}: {}\n\n{}", code.title, wrapped(code.meaning, "")).ok();
    writeln!(out, "\nCauses").ok();
    for cause in code.causes {
        writeln!(out, "  - {}", wrapped(cause, "    ")).ok();
    }
    writeln!(out, "\nWhat to do").ok();
    for action in code.actions {
        writeln!(out, "  - {}", wrapped(action, "    ")).ok();
    }
    writeln!(out, "\nExit code of the process: {}", code.exit as u8).ok();
    out
}

fn kafka_page(code: ErrorCode) -> String {
    let mut out = String::new();
    writeln!(out, "{code}: an error code of the Kafka protocol\n\n{}", wrapped(code.meaning(), "")).ok();
    let retry = match (code, code.is_retriable()) {
        (ErrorCode::None, _) => "Nothing to do.",
        (_, true) => {
            "Retriable: a client tries again by itself, after refreshing its metadata where that helps."
        }
        (_, false) => "Not retriable: a client reports it to the application.",
    };
    writeln!(out, "\n{}", wrapped(retry, "")).ok();
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
    use super::*;

    #[test]
    fn every_kafka_code_is_found_by_number_name_and_exception() {
        for code in ErrorCode::ALL {
            for text in [code.code().to_string(), code.name().to_owned(), format!("{code:?}Exception")] {
                let page = page(&text).unwrap_or_else(|| panic!("no page for {text}"));
                assert!(page.starts_with(&code.to_string()), "{text}: {page}");
            }
        }
    }

    #[test]
    fn every_code_of_ours_has_a_page_and_a_line() {
        for code in codes::ALL {
            assert!(page(&code.to_string()).unwrap().starts_with(&format!("{code}: {}", code.title)));
            assert!(list().contains(&format!("{code}  {}\n", code.title)));
        }
    }

    #[test]
    fn lines_stay_within_ninety_characters() {
        for code in codes::ALL {
            for line in eddy_page(code).lines() {
                assert!(line.chars().count() <= 94, "{line}");
            }
        }
    }
}
