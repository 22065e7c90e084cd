//! Patterns over words, keys, headers and whole strings.

use std::sync::Arc;

use tantivy::Term;

use super::pattern_query::{Among, PatternQuery};
use super::terms::{FIELDS, column, text_term};
use super::{Boxed, Compiler, any, constant, constant_if};
use crate::query::name::Name;
use crate::query::pattern::{Glob, Pattern};

impl Compiler<'_> {
    pub(super) fn pattern(&mut self, name: &Name, pattern: &Pattern) -> Boxed {
        let lower = pattern.as_words && self.tokens("A").first().is_some_and(|(_, token)| token == "a");
        let as_words = Arc::new(if lower { lower_case(pattern) } else { pattern.clone() });
        let as_is = Arc::new(pattern.clone());
        let among = |among, pattern: &Arc<Pattern>| -> Boxed {
            Box::new(PatternQuery { among, pattern: Arc::clone(pattern), budget: Arc::clone(self.budget) })
        };
        let terms = |field, path: Vec<u8>| Among::Terms { field, path };
        match name {
            Name::Topic => constant_if(pattern.matches(self.topic)),
            Name::Partition => constant_if(pattern.matches(&self.partition.to_string())),
            Name::Offset | Name::Timestamp => constant_if(pattern.is_any()),
            Name::Key => among(terms(FIELDS.key, Vec::new()), &as_is),
            Name::Header(header) => {
                let mut term = Term::from_field_json_path(FIELDS.headers, header, true);
                term.append_type_and_str("");
                among(terms(FIELDS.headers, term.serialized_value_bytes().to_vec()), &as_is)
            }
            Name::Value { path, whole: true } => among(Among::Strings { column: column(path) }, &as_is),
            Name::Value { path, whole: false } => {
                let path = text_term(path, "").serialized_value_bytes().to_vec();
                among(terms(FIELDS.value, path), &as_words)
            }
            Name::Anywhere => {
                let mut found = vec![
                    among(terms(FIELDS.text, Vec::new()), &as_words),
                    among(terms(FIELDS.key, Vec::new()), &as_is),
                ];
                found.extend(self.paths.iter().map(|path| {
                    let path = text_term(path, "").serialized_value_bytes().to_vec();
                    among(terms(FIELDS.value, path), &as_words)
                }));
                constant(any(found))
            }
        }
    }
}

fn lower_case(pattern: &Pattern) -> Pattern {
    let mut parts = Vec::with_capacity(pattern.parts.len());
    for part in &pattern.parts {
        match part {
            Glob::Char(char) => parts.extend(char.to_lowercase().map(Glob::Char)),
            other => parts.push(*other),
        }
    }
    Pattern { parts, ..*pattern }
}
