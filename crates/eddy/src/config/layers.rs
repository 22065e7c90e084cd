//! The places configuration comes from, each turned into a list of settings that remember where they stood.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::properties;
use crate::args::{Assignment, ServeArgs};
use crate::codes;
use crate::failure::{Excerpt, Problem, reason};

/// What every environment variable of ours begins with.
pub(crate) const PREFIX: &str = "EDDY_";

/// Bytes of a configuration file that are read; more is not a configuration file.
const FILE_MAX: u64 = 4 << 20;

/// A name and a value as the user wrote them, before anything is known about the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Name in dots, `wal.profile`.
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) place: Place,
}

/// Where a setting stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The flag as it was typed.
    Flag(String),
    /// The variable's full name.
    Environment(String),
    File(Position),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Flag(flag) => f.write_str(flag),
            Place::Environment(variable) => f.write_str(variable),
            Place::File(at) => write!(f, "{}:{}", at.key.file, at.key.line),
        }
    }
}

/// A place in a file: the marked text of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) key: Excerpt,
    pub(crate) value: Excerpt,
}

impl Setting {
    /// A setting of `--set`.
    pub(super) fn of_flag(given: &Assignment) -> Setting {
        Setting {
            name: given.key.clone(),
            value: given.value.clone(),
            place: Place::Flag(format!("--set {given}")),
        }
    }
}

/// Settings of the command line: `--set` in order, then the flags that are short for a key.
pub(crate) fn of_flags(args: &ServeArgs) -> Vec<Setting> {
    let set = |name: &str, value: &str, flag: String| Setting {
        name: name.to_owned(),
        value: value.to_owned(),
        place: Place::Flag(flag),
    };
    let mut settings: Vec<_> = args.set.iter().map(Setting::of_flag).collect();
    let data_dir = args.data_dir.as_ref().map(|dir| dir.display().to_string());
    let flags = [
        ("data.dir", "--data-dir", &data_dir),
        ("log.format", "--log-format", &args.log_format),
        ("log.level", "--log-level", &args.log_level),
    ];
    for (name, flag, value) in flags {
        settings.extend(value.iter().map(|value| set(name, value, format!("{flag} {value}"))));
    }
    settings
}

/// Variables of the command line, which is no business of a broker that was started from the same shell.
const OF_COMMANDS: &[&str] = &["EDDY_HTTP"];

/// Settings of the environment: `EDDY_WAL__PROFILE` is `wal.profile`. Sorted by variable, so that messages are too.
pub(crate) fn of_environment(variables: impl IntoIterator<Item = (String, String)>) -> Vec<Setting> {
    let mut settings: Vec<_> = variables
        .into_iter()
        .filter(|(variable, _)| !OF_COMMANDS.contains(&variable.as_str()))
        .filter_map(|(variable, value)| {
            let name = variable.strip_prefix(PREFIX)?.replace("__", ".").to_ascii_lowercase();
            Some(Setting { name, value, place: Place::Environment(variable) })
        })
        .collect();
    settings.sort_by(|a, b| a.name.cmp(&b.name));
    settings
}

/// Whether a file is one for Kafka, by its name.
pub(crate) fn is_properties(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("properties"))
}

/// Settings of a file: TOML, or Kafka's form when it is named so ([`is_properties`]). In TOML, nested tables and dotted keys
/// mean the same; a quoted key may hold the dots itself. Every syntax error is reported, and what could be read is returned
/// beside them.
pub(crate) fn of_file(path: &Path, problems: &mut Vec<Problem>) -> Vec<Setting> {
    let name = path.display().to_string();
    let text = match read(path) {
        Ok(text) => text,
        Err(error) => {
            let problem = Problem::new(
                &codes::FILE_UNREADABLE,
                format!("cannot read the configuration file {name}: {}", reason(&error)),
            );
            problems.push(problem.fix(format!("ls -l {name}"), "see whether it is there and may be read"));
            return Vec::new();
        }
    };
    if is_properties(path) { properties::of_text(&name, &text) } else { of_text(&name, &text, problems) }
}

fn read(path: &Path) -> std::io::Result<String> {
    let bytes = fs::metadata(path)?.len();
    if bytes > FILE_MAX {
        return Err(std::io::Error::other(format!("larger than {FILE_MAX} bytes: {bytes}")));
    }
    fs::read_to_string(path)
}

pub(super) fn of_text(file: &str, text: &str, problems: &mut Vec<Problem>) -> Vec<Setting> {
    let source = Source { file, text };
    let (root, mut errors) = DeTable::parse_recoverable(text);
    errors.sort_by_key(|error| error.span().map(|span| span.start));
    let mut broken = BTreeSet::new();
    for error in errors {
        let note = error.message().lines().next().unwrap_or("not TOML").to_owned();
        let excerpt = source.excerpt(error.span().unwrap_or(0..0), note);
        // What follows an error on its line is mostly its echo.
        if broken.insert(excerpt.line) {
            problems.push(Problem::new(&codes::BAD_SYNTAX, format!("{file} is not TOML")).excerpt(excerpt));
        }
    }
    let mut walk = Walk { source, problems, settings: Vec::new() };
    walk.table("", root.get_ref());
    let mut settings = walk.settings;
    settings.retain(|setting| !matches!(&setting.place, Place::File(at) if broken.contains(&at.key.line)));
    settings
}

struct Walk<'a> {
    source: Source<'a>,
    problems: &'a mut Vec<Problem>,
    settings: Vec<Setting>,
}

impl Walk<'_> {
    fn table(&mut self, above: &str, table: &DeTable<'_>) {
        // The parser's own order is by name; messages follow the file.
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let name = match above {
                "" => key.get_ref().to_string(),
                above => format!("{above}.{}", key.get_ref()),
            };
            match value.get_ref() {
                DeValue::Table(inner) => self.table(&name, inner),
                _ => self.leaf(name, key.span(), value),
            }
        }
    }

    fn leaf(&mut self, name: String, key: std::ops::Range<usize>, value: &Spanned<DeValue<'_>>) {
        let position = Position {
            key: self.source.excerpt(self.source.whole_key(key), String::new()),
            value: self.source.excerpt(value.span(), String::new()),
        };
        match text_of(value.get_ref()) {
            Some(value) => self.settings.push(Setting { name, value, place: Place::File(position) }),
            None => {
                let note = "must be a text, a number, true or false, or a list of them".to_owned();
                let problem = Problem::new(
                    &codes::BAD_VALUE,
                    format!("`{name}` cannot be a {}", value.get_ref().type_str()),
                );
                self.problems.push(problem.excerpt(Excerpt { note, ..position.value }));
            }
        }
    }
}

/// The value as `--set` would give it; lists are joined by commas, as Kafka writes them.
fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Array(items) => {
            let texts: Option<Vec<_>> = items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::Array(_) => None,
                    item => text_of(item),
                })
                .collect();
            Some(texts?.join(","))
        }
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

/// A file's text, to cut lines from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// The whole of a dotted key, given where its last part stands.
    fn whole_key(&self, last: std::ops::Range<usize>) -> std::ops::Range<usize> {
        let before = self.text.get(..last.start).unwrap_or_default();
        let line = before.get(before.rfind('\n').map_or(0, |at| at + 1)..).unwrap_or_default();
        let dotted = line.trim();
        if dotted.ends_with('.') && !dotted.contains(['{', '=']) {
            last.start - line.trim_start().len()..last.end
        } else {
            last
        }
    }

    /// The line that holds the first of `bytes`, with those of them that lie on it marked.
    pub(super) fn excerpt(&self, bytes: std::ops::Range<usize>, note: String) -> Excerpt {
        let start = floor_boundary(self.text, bytes.start);
        let end = floor_boundary(self.text, bytes.end.max(start));
        let (before, after) = self.text.split_at(start);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = after.find('\n').map_or(self.text.len(), |at| start + at);
        let marked = self.text.get(start..end.min(line_end)).unwrap_or_default();
        Excerpt {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: self.text.get(line_start..start).unwrap_or_default().chars().count() + 1,
            width: marked.trim_end().chars().count().max(1),
            text: self.text.get(line_start..line_end).unwrap_or_default().trim_end().to_owned(),
            note,
        }
    }
}

/// The last character boundary at or before `index`.
fn floor_boundary(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Vec<(String, String)>, Vec<String>) {
        let mut problems = Vec::new();
        let settings = of_text("eddy.toml", text, &mut problems);
        let pairs = settings.into_iter().map(|setting| (setting.name, setting.value)).collect();
        (pairs, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn tables_dotted_and_quoted_keys_name_the_same_keys_in_file_order() {
        let text = "num.partitions = 4\n\"max.connections\" = 7\n[wal]\nprofile = \"low\"\n[listeners]\nkafka = \"a:1\"\n";
        let (pairs, problems) = parsed(text);
        let expected = [
            ("num.partitions", "4"),
            ("max.connections", "7"),
            ("wal.profile", "low"),
            ("listeners.kafka", "a:1"),
        ];
        assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(problems, [""; 0]);
    }

    #[test]
    fn every_kind_of_value_becomes_the_text_a_flag_would_carry() {
        let (pairs, _) = parsed("a = true\nb = 0x10\nc = 1_000\nd = 0.5\ne = [\"x\", \"y\"]\n");
        let values: Vec<_> = pairs.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["true", "16", "1000", "0.5", "x,y"]);
    }

    #[test]
    fn a_date_is_refused_where_it_stands() {
        let (_, problems) = parsed("a = 1\nb = 2026-11-21\n");
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("error[ED-1103]: `b` cannot be a datetime\n"), "{}", problems[0]);
        assert!(problems[0].contains("[eddy.toml:2:5]"), "{}", problems[0]);
    }

    #[test]
    fn all_syntax_errors_are_found_and_the_rest_is_read() {
        let (pairs, problems) = parsed("a = low\nb = 2\nc = = 3\nd = 4\n");
        assert!(problems.len() >= 2, "{problems:?}");
        assert!(
            problems[0].contains("[eddy.toml:1:5]") && problems[1].contains("[eddy.toml:3:"),
            "{problems:?}"
        );
        assert!(pairs.contains(&("d".to_owned(), "4".to_owned())));
    }

    #[test]
    fn two_underscores_of_a_variable_are_a_dot() {
        let given = [("EDDY_WAL__PROFILE", "low"), ("HOME", "/"), ("EDDY_A_B", "1"), ("EDDY_HTTP", "a:1")];
        let settings = of_environment(given.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let names: Vec<_> = settings.iter().map(|setting| setting.name.as_str()).collect();
        assert_eq!(names, ["a_b", "wal.profile"]);
    }

    #[test]
    fn an_excerpt_counts_characters_and_stays_on_its_line() {
        let source = Source { file: "f", text: "é = 1\nü = \"x\ny\"" };
        let at = source.text.find('"').unwrap();
        let excerpt = source.excerpt(at..source.text.len(), String::new());
        assert_eq!(
            (excerpt.line, excerpt.column, excerpt.width, excerpt.text.as_str()),
            (2, 5, 2, "ü = \"x")
        );
        let end = source.excerpt(999..999, String::new());
        assert_eq!((end.line, end.width), (3, 1));
    }
}
