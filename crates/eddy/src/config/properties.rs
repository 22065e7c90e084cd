//! Kafka's `server.properties`: a Java properties file, with the place of each key remembered.

use super::layers::{Place, Position, Setting, Source};

/// Settings of a properties file, in its order. There is no wrong syntax: what is no comment is a key.
pub(super) fn of_text(file: &str, text: &str) -> Vec<Setting> {
    let source = Source { file, text };
    let mut settings = Vec::new();
    let mut lines = Lines { text, at: 0 };
    while let Some(logical) = lines.next_logical() {
        settings.extend(setting(&source, &logical));
    }
    settings
}

/// The lines of a file; one that ends with a backslash goes on in the next.
struct Lines<'a> {
    text: &'a str,
    at: usize,
}

/// One logical line: characters, and for each the byte in the file that it came from.
type Logical = Vec<(usize, char)>;

impl Lines<'_> {
    fn next_natural(&mut self) -> Option<Logical> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let end = rest.find('\n').unwrap_or(rest.len());
        let line = rest.get(..end).unwrap_or_default();
        let begin = self.at;
        self.at += end + 1;
        let line = line.strip_suffix('\r').unwrap_or(line);
        let body = line.trim_start_matches([' ', '\t', '\u{c}']);
        let indent = line.len() - body.len();
        Some(body.char_indices().map(|(at, c)| (begin + indent + at, c)).collect())
    }

    fn next_logical(&mut self) -> Option<Logical> {
        let mut line = self.next_natural()?;
        while line.is_empty() || matches!(line.first(), Some((_, '#' | '!'))) {
            line = self.next_natural()?;
        }
        while continues(&line) {
            line.pop();
            line.extend(self.next_natural().unwrap_or_default());
        }
        Some(line)
    }
}

/// Whether a line ends with a backslash that no other backslash escapes.
fn continues(line: &Logical) -> bool {
    line.iter().rev().take_while(|(_, c)| *c == '\\').count() % 2 == 1
}

fn setting(source: &Source<'_>, line: &Logical) -> Option<Setting> {
    let mut escaped = false;
    let end = line.iter().position(|(_, c)| {
        let ends = !escaped && matches!(c, '=' | ':' | ' ' | '\t' | '\u{c}');
        escaped = *c == '\\' && !escaped;
        ends
    });
    let end = end.unwrap_or(line.len());
    let is_blank = |at: usize| matches!(line.get(at), Some((_, ' ' | '\t' | '\u{c}')));
    let mut start = end;
    while is_blank(start) {
        start += 1;
    }
    if matches!(line.get(start), Some((_, '=' | ':'))) {
        start += 1;
    }
    while is_blank(start) {
        start += 1;
    }
    let (key, value) = (line.get(..end)?, line.get(start..).unwrap_or_default());
    let last = line.last()?;
    let span = |part: &[(usize, char)]| match (part.first(), part.last()) {
        (Some((first, _)), Some((last, c))) => *first..last + c.len_utf8(),
        _ => last.0..last.0 + last.1.len_utf8(),
    };
    let position = Position {
        key: source.excerpt(span(key), String::new()),
        value: source.excerpt(span(value), String::new()),
    };
    // Kafka trims values; Java does not.
    let value = unescaped(value).trim().to_owned();
    Some(Setting { name: unescaped(key), value, place: Place::File(position) })
}

fn unescaped(text: &[(usize, char)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.iter().map(|(_, c)| *c);
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let digits: String = rest.by_ref().take(4).collect();
                let unit = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                out.push(unit.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        of_text("f", text).into_iter().map(|setting| (setting.name, setting.value)).collect()
    }

    #[test]
    fn every_form_of_a_line_is_read() {
        let text = "# comment\n! comment\n\na=1\n b : 2\nc 3\nd\ne =\\\n  x,\\\n  y \r\nf\\=g=\\u0041\\tz\nh==:\ni=a\\\\\nlast=1";
        let expected = [
            ("a", "1"),
            ("b", "2"),
            ("c", "3"),
            ("d", ""),
            ("e", "x,y"),
            ("f=g", "A\tz"),
            ("h", "=:"),
            ("i", "a\\"),
            ("last", "1"),
        ];
        assert_eq!(pairs(text), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn odd_ends_are_no_trouble() {
        for text in ["", "\\", "a\\", "=", "=1", "a=\\u12", "a=\\u", "\u{feff}a=1", "é=ü\\\n", "#\\\na=1"] {
            of_text("f", text);
        }
        assert_eq!(pairs("#\\\na=1").len(), 1, "a comment does not go on");
    }

    #[test]
    fn a_key_and_its_value_are_marked_where_they_stand() {
        let settings = of_text("f", "# first\n  num.partitions = many\n");
        let Place::File(at) = &settings[0].place else { panic!() };
        assert_eq!((at.key.line, at.key.column, at.key.width), (2, 3, 14));
        assert_eq!((at.value.line, at.value.column, at.value.width), (2, 20, 4));
    }
}
