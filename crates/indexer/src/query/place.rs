//! Where in a JSON text a value stands.

/// Line and column, both from 1, of the value that the JSON pointer (RFC 6901) names in `text`; of a string, of its first
/// character. `None` when the text has no such value.
pub(crate) fn locate(text: &str, pointer: &str) -> Option<(usize, usize)> {
    let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
    for segment in pointer.split('/').skip(1) {
        let wanted = segment.replace("~1", "/").replace("~0", "~");
        scan.enter(&wanted)?;
    }
    scan.blank();
    let inside = usize::from(scan.peek() == Some(b'"') && !pointer.is_empty());
    let before = text.get(..scan.at + inside)?;
    Some(line_and_column(before))
}

/// Line and column, both from 1, of what follows `before`.
pub(super) fn line_and_column(before: &str) -> (usize, usize) {
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// Walks over valid JSON; on anything else it gives up.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blank(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Goes to the value of a key, or of an index, of the value that begins here.
    fn enter(&mut self, wanted: &str) -> Option<()> {
        self.blank();
        let object = match self.peek()? {
            b'{' => true,
            b'[' => false,
            _ => return None,
        };
        self.at += 1;
        for index in 0_usize.. {
            self.blank();
            let found = if object {
                let begin = self.at;
                self.string()?;
                let key: String = serde_json::from_slice(self.bytes.get(begin..self.at)?).ok()?;
                self.blank();
                if self.peek()? != b':' {
                    return None;
                }
                self.at += 1;
                key == wanted
            } else {
                wanted.parse() == Ok(index)
            };
            if found {
                return Some(());
            }
            self.value()?;
            self.blank();
            if self.peek()? != b',' {
                return None;
            }
            self.at += 1;
        }
        None
    }

    fn string(&mut self) -> Option<()> {
        if self.peek()? != b'"' {
            return None;
        }
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(())
    }

    /// Goes past the value that begins here.
    fn value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            self.blank();
            match self.peek()? {
                b'"' => self.string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' => {
                    self.at += 1;
                    continue;
                }
                _ => {
                    while self.peek().is_some_and(|byte| !b",]}: \t\r\n".contains(&byte)) {
                        self.at += 1;
                    }
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::locate;

    #[test]
    fn a_pointer_is_found_in_the_text_as_it_was_written() {
        let text = "{\n  \"size\": 3,\n  \"query\": {\"bool\": {\"must\": [{\"a\": [1, {}]},\n {\"trem\": {\"x\": \"ä y\"}}]}}}";
        assert_eq!(locate(text, ""), Some((1, 1)));
        assert_eq!(locate(text, "/size"), Some((2, 11)));
        assert_eq!(locate(text, "/query/bool/must/1/trem"), Some((4, 11)));
        assert_eq!(locate(text, "/query/bool/must/1/trem/x"), Some((4, 18)));
        assert_eq!(locate(text, "/query/none"), None);
        assert_eq!(locate("{\"a\":", "/a/b"), None);
        assert_eq!(locate("[", "/0/0"), None);
    }
}
