//! Patterns over words, keys, headers and whole strings.

use std::sync::Arc;

use tantivy::Term;

use super::pattern_query::{Among, PatternQuery};
use super::terms::{self, FIELDS, column};
use super::{Boxed, Compiler, constant_if};
use crate::query::name::Name;
use crate::query::pattern::Pattern;
use crate::query::tokens::tokens;

impl Compiler<'_> {
    pub(super) fn pattern(&mut self, name: &Name, pattern: &Pattern) -> Boxed {
        match name {
            Name::Topic => constant_if(pattern.matches(self.topic)),
            Name::Partition => constant_if(pattern.matches(&self.partition.to_string())),
            Name::Offset | Name::Timestamp => constant_if(pattern.is_any()),
            Name::Key => self.among(vec![keys()], pattern),
            Name::Header(name) => {
                let path = path_of(&terms::header(name, ""));
                self.among(vec![Among::Terms { field: FIELDS.headers, path, as_words: false }], pattern)
            }
            Name::Value { path, whole: true } => {
                self.among(vec![Among::Strings { column: column(path) }], pattern)
            }
            Name::Value { path, whole: false } => self.among(vec![words(path)], pattern),
            Name::Anywhere => {
                let texts = Among::Terms { field: FIELDS.text, path: Vec::new(), as_words: true };
                let paths = self.paths.iter().map(|path| words(path));
                self.among([texts, keys()].into_iter().chain(paths).collect(), pattern)
            }
        }
    }

    fn among(&mut self, among: Vec<Among>, pattern: &Pattern) -> Boxed {
        let lower = pattern.as_words
            && tokens(&mut self.analyzer, "A").first().is_some_and(|token| token.text == "a");
        let for_words = Arc::new(if lower { pattern.lower_case() } else { pattern.clone() });
        Box::new(PatternQuery {
            among,
            pattern: Arc::new(pattern.clone()),
            for_words,
            budget: Arc::clone(self.budget),
        })
    }
}

fn keys() -> Among {
    Among::Terms { field: FIELDS.key, path: Vec::new(), as_words: false }
}

/// The words of a path.
fn words(path: &str) -> Among {
    Among::Terms { field: FIELDS.value, path: path_of(&terms::word(path, "")), as_words: true }
}

/// The bytes with which the terms of a path begin.
fn path_of(empty: &Term) -> Vec<u8> {
    empty.serialized_value_bytes().to_vec()
}
