//! Where in a hit's texts the query matched.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use serde_json::{Map, Value, json};
use tantivy::tokenizer::{TextAnalyzer, Token};

use super::Highlight;
use crate::query::name::Name;
use crate::query::pattern::Pattern;
use crate::query::tokens::tokens;
use crate::query::tree::Node;

/// Bytes of a text, from its start, that are looked through for marks.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// What a query wants in the texts of its hits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    marks: Vec<(Name, Mark)>,
}

#[derive(Clone, Debug)]
enum Mark {
    /// Any of the words.
    Words(Vec<String>),
    /// The words, one after the other.
    Phrase(Vec<String>),
    Pattern(Pattern),
    /// The whole text.
    Whole(String),
}

impl Marks {
    /// Those of a query, in which `analyzer` finds the words.
    pub(crate) fn of(query: &Node, analyzer: &mut TextAnalyzer) -> Marks {
        let mut marks = Marks::default();
        marks.collect(query, analyzer);
        marks
    }

    fn collect(&mut self, node: &Node, analyzer: &mut TextAnalyzer) {
        match node {
            Node::Term { name, value } => {
                let mark = match name {
                    Name::Value { whole: true, .. } => Mark::Whole(value.text()),
                    _ => Mark::Words(vec![value.text()]),
                };
                self.marks.push((name.clone(), mark));
            }
            Node::Match { name, value, .. } => {
                self.marks.push((name.clone(), Mark::Words(words(analyzer, &value.text()))));
            }
            Node::Phrase { name, value, slop } => {
                let words = words(analyzer, &value.text());
                let mark = if *slop == 0 { Mark::Phrase(words) } else { Mark::Words(words) };
                self.marks.push((name.clone(), mark));
            }
            Node::Pattern { name, pattern } => {
                let pattern = Pattern { any_case: pattern.any_case || pattern.as_words, ..pattern.clone() };
                self.marks.push((name.clone(), Mark::Pattern(pattern)));
            }
            Node::Bool(all) => {
                all.must
                    .iter()
                    .chain(&all.should)
                    .chain(&all.filter)
                    .for_each(|node| self.collect(node, analyzer));
            }
            Node::Best(nodes) => nodes.iter().for_each(|node| self.collect(node, analyzer)),
            Node::Boost(node, _) | Node::Constant(node) => self.collect(node, analyzer),
            Node::All | Node::None | Node::Range { .. } | Node::Exists { .. } | Node::Ids(_) => {}
        }
    }

    /// The fragments of the texts in a source, by field; `None` when nothing is marked.
    pub(crate) fn highlight(
        &self,
        source: &Value,
        how: &Highlight,
        analyzer: &mut TextAnalyzer,
    ) -> Option<Value> {
        let mut fragments = BTreeMap::new();
        self.walk(source, "", how, analyzer, &mut fragments);
        let shown: Map<String, Value> =
            fragments.into_iter().map(|(path, texts)| (path, json!(texts))).collect();
        (!shown.is_empty()).then_some(Value::Object(shown))
    }

    fn walk(
        &self,
        value: &Value,
        path: &str,
        how: &Highlight,
        analyzer: &mut TextAnalyzer,
        into: &mut BTreeMap<String, Vec<String>>,
    ) {
        match value {
            Value::Object(entries) => {
                for (key, value) in entries {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.walk(value, &path, how, analyzer, into);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.walk(item, path, how, analyzer, into)),
            Value::String(text) => {
                let Some((_, cut)) = how.fields.iter().find(|(pattern, _)| pattern.matches(path)) else {
                    return;
                };
                let marked = self.marked(text, path, how.same_field, analyzer);
                if !marked.is_empty() && how.afford(marked.len()) {
                    into.entry(path.to_owned()).or_default().extend(cut.fragments(text, &marked, how));
                }
            }
            _ => {}
        }
    }

    /// The byte ranges of `text` that are marked, ascending and apart.
    fn marked(
        &self,
        text: &str,
        path: &str,
        same_field: bool,
        analyzer: &mut TextAnalyzer,
    ) -> Vec<Range<usize>> {
        let about = |name: &Name| match name {
            Name::Anywhere => true,
            Name::Value { path: of, .. } => !same_field || **of == *path,
            _ => !same_field,
        };
        let marks = self.marks.iter().filter(|(name, _)| about(name)).map(|(_, mark)| mark);
        let (mut words, mut phrases, mut patterns) = (HashSet::new(), Vec::new(), Vec::new());
        for mark in marks {
            match mark {
                Mark::Whole(whole) if whole == text => return std::iter::once(0..text.len()).collect(),
                Mark::Whole(_) => {}
                Mark::Words(of) => words.extend(of.iter().map(String::as_str)),
                Mark::Phrase(of) => phrases.push(of),
                Mark::Pattern(of) => patterns.push(of),
            }
        }
        if words.is_empty() && phrases.is_empty() && patterns.is_empty() {
            return Vec::new();
        }
        let tokens = tokens(analyzer, text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or(text));
        let is_marked = |token: &Token| {
            words.contains(token.text.as_str()) || patterns.iter().any(|pattern| pattern.matches(&token.text))
        };
        let mut marked: Vec<bool> = tokens.iter().map(is_marked).collect();
        for phrase in phrases {
            mark_phrase(&tokens, phrase, &mut marked);
        }
        let marked = tokens.into_iter().zip(marked).filter(|(_, marked)| *marked);
        marked.map(|(token, _)| token.offset_from..token.offset_to).collect()
    }
}

fn mark_phrase(tokens: &[Token], phrase: &[String], marked: &mut [bool]) {
    if phrase.is_empty() {
        return;
    }
    for (begin, run) in tokens.windows(phrase.len()).enumerate() {
        if run.iter().zip(phrase).all(|(token, word)| token.text == *word) {
            marked.iter_mut().skip(begin).take(phrase.len()).for_each(|marked| *marked = true);
        }
    }
}

/// The words of a text.
fn words(analyzer: &mut TextAnalyzer, text: &str) -> Vec<String> {
    tokens(analyzer, text).into_iter().map(|token| token.text).collect()
}
