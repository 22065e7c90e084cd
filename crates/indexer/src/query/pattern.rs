//! Patterns over whole texts: what they are made of, and what they match.

/// A pattern over whole tokens: `*` any characters, `?` one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) parts: Vec<Glob>,
    /// Whether upper and lower case are the same.
    pub(crate) any_case: bool,
    /// Whether it is made lower case if the words of the field are.
    pub(crate) as_words: bool,
}

/// One part of a [`Pattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Glob {
    Char(char),
    /// `?`
    One,
    /// `*`
    Any,
}

impl Pattern {
    /// The pattern of a prefix.
    pub(crate) fn prefix(text: &str) -> Pattern {
        let parts = text.chars().map(Glob::Char).chain([Glob::Any]).collect();
        Pattern { parts, any_case: false, as_words: false }
    }

    /// A pattern in which `*` and `?` are special, and `\` takes that from what follows.
    pub(crate) fn wildcard(text: &str, any_case: bool) -> Pattern {
        let mut chars = text.chars();
        let mut parts = Vec::new();
        while let Some(char) = chars.next() {
            parts.push(match char {
                '*' => Glob::Any,
                '?' => Glob::One,
                '\\' => Glob::Char(chars.next().unwrap_or('\\')),
                _ => Glob::Char(char),
            });
        }
        Pattern { parts, any_case, as_words: false }
    }

    /// Refuses what would look at every word of a topic for nothing, or have no end.
    pub(crate) fn check(&self) -> Result<(), String> {
        const PARTS_MAX: usize = 256;
        const WILDCARDS_MAX: usize = 16;
        let wildcards = self.parts.iter().filter(|part| **part == Glob::Any).count();
        if self.parts.len() > PARTS_MAX {
            return Err(format!("the pattern is longer than {PARTS_MAX} characters"));
        }
        if wildcards > WILDCARDS_MAX {
            return Err(format!("the pattern has more than {WILDCARDS_MAX} wildcards *"));
        }
        Ok(())
    }

    /// Matches everything.
    pub(crate) fn any() -> Pattern {
        Pattern { parts: vec![Glob::Any], any_case: false, as_words: false }
    }

    /// The same in lower case.
    pub(crate) fn lower_case(&self) -> Pattern {
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            match part {
                Glob::Char(char) => parts.extend(char.to_lowercase().map(Glob::Char)),
                other => parts.push(*other),
            }
        }
        Pattern { parts, ..*self }
    }

    /// The characters before the first wildcard.
    pub(crate) fn literal_prefix(&self) -> String {
        let char = |part: &Glob| match part {
            Glob::Char(char) => Some(*char),
            Glob::One | Glob::Any => None,
        };
        self.parts.iter().map_while(char).collect()
    }

    /// Whether it is `*`.
    pub(crate) fn is_any(&self) -> bool {
        !self.parts.is_empty() && self.parts.iter().all(|part| *part == Glob::Any)
    }

    /// Whether the whole of `text` matches. Takes at most length times length steps: only the newest `*` is tried again.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let same =
            |one: char, two: char| one == two || (self.any_case && one.to_lowercase().eq(two.to_lowercase()));
        let (mut part, mut rest) = (0, text);
        let mut again: Option<(usize, &str)> = None;
        loop {
            let char = rest.chars().next();
            match (self.parts.get(part), char) {
                (None, None) => return true,
                (Some(Glob::Any), _) => {
                    part += 1;
                    again = Some((part, rest));
                    continue;
                }
                (Some(Glob::One), Some(char)) => {
                    part += 1;
                    rest = rest.get(char.len_utf8()..).unwrap_or_default();
                    continue;
                }
                (Some(Glob::Char(wanted)), Some(char)) if same(*wanted, char) => {
                    part += 1;
                    rest = rest.get(char.len_utf8()..).unwrap_or_default();
                    continue;
                }
                _ => {}
            }
            let Some((star, from)) = again else { return false };
            let Some(skipped) = from.chars().next() else { return false };
            rest = from.get(skipped.len_utf8()..).unwrap_or_default();
            part = star;
            again = Some((star, rest));
        }
    }
}
