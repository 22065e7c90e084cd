//! Where in a hit's texts the query matched.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value, json};
use tantivy::tokenizer::TextAnalyzer;

use super::source::glob;
use super::tree::{Name, Node, Pattern};
use super::wrong::{Part, Wrong};

/// `highlight` of a body.
#[derive(Clone, Debug)]
pub(crate) struct Highlight {
    /// Patterns of field names, and how their fragments are cut.
    fields: Vec<(Pattern, Cut)>,
    pre: String,
    post: String,
    /// Whether only what searched a field is marked in it.
    same_field: bool,
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    /// Characters.
    size: usize,
    /// Zero: the whole text.
    count: usize,
}

impl Highlight {
    /// Every field, whole, between two control characters that no text has: for those who colour themselves.
    pub(crate) fn native() -> Highlight {
        let cut = Cut { size: 0, count: 0 };
        Highlight {
            fields: vec![(glob("*"), cut)],
            pre: "\u{1}".to_owned(),
            post: "\u{2}".to_owned(),
            same_field: true,
        }
    }
}

/// Reads `highlight`.
pub(crate) fn parse(part: &Part<'_>) -> Result<Highlight, Wrong> {
    let mut cut = Cut { size: 100, count: 5 };
    let mut parsed =
        Highlight { fields: Vec::new(), pre: "<em>".to_owned(), post: "</em>".to_owned(), same_field: true };
    let mut fields = None;
    for (key, part) in part.entries("highlight")? {
        match key {
            "fields" => fields = Some(part),
            "pre_tags" => parsed.pre = tag(&part)?,
            "post_tags" => parsed.post = tag(&part)?,
            "require_field_match" => parsed.same_field = part.bool(key)?,
            _ => option(&mut cut, key, &part)?,
        }
    }
    let fields = fields.ok_or_else(|| part.wrong("highlight needs fields"))?;
    for item in fields.items() {
        for (name, part) in item.entries("fields")? {
            let mut cut = cut;
            for (key, part) in part.entries("a field")? {
                option(&mut cut, key, &part)?;
            }
            parsed.fields.push((glob(name.strip_suffix(".keyword").unwrap_or(name)), cut));
        }
    }
    Ok(parsed)
}

fn tag(part: &Part<'_>) -> Result<String, Wrong> {
    match part.items().first() {
        Some(first) => Ok(first.text("a tag")?.to_owned()),
        None => Ok(String::new()),
    }
}

fn option(cut: &mut Cut, key: &str, part: &Part<'_>) -> Result<(), Wrong> {
    match key {
        "fragment_size" => cut.size = usize::try_from(part.count(key)?).unwrap_or(usize::MAX),
        "number_of_fragments" => cut.count = usize::try_from(part.count(key)?).unwrap_or(usize::MAX).min(100),
        "type" | "order" | "boundary_scanner" => _ = part.text(key)?,
        _ => {
            let served =
                "fields, pre_tags, post_tags, fragment_size, number_of_fragments and require_field_match";
            return Err(part.unknown("key in highlight", key, served));
        }
    }
    Ok(())
}

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
                if !marked.is_empty() {
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
            Name::Value { path: of, .. } => !same_field || of == path,
            _ => !same_field,
        };
        let marks: Vec<&Mark> =
            self.marks.iter().filter(|(name, _)| about(name)).map(|(_, mark)| mark).collect();
        if marks.is_empty() {
            return Vec::new();
        }
        if marks.iter().any(|mark| matches!(mark, Mark::Whole(whole) if whole == text)) {
            return std::iter::once(0..text.len()).collect();
        }
        let mut tokens: Vec<(String, Range<usize>)> = Vec::new();
        let mut stream = analyzer.token_stream(text);
        stream.process(&mut |token| tokens.push((token.text.clone(), token.offset_from..token.offset_to)));
        let mut hit = vec![false; tokens.len()];
        for mark in marks {
            match mark {
                Mark::Words(words) => {
                    mark_if(&mut hit, &tokens, |token| words.iter().any(|word| word == token))
                }
                Mark::Pattern(pattern) => mark_if(&mut hit, &tokens, |token| pattern.matches(token)),
                Mark::Phrase(words) if words.is_empty() => {}
                Mark::Phrase(words) => {
                    for begin in 0..tokens.len() {
                        let Some(run) = tokens.get(begin..begin + words.len()) else { break };
                        if run.iter().zip(words).all(|((token, _), word)| token == word) {
                            hit.iter_mut().skip(begin).take(words.len()).for_each(|hit| *hit = true);
                        }
                    }
                }
                Mark::Whole(_) => {}
            }
        }
        let hits = tokens.into_iter().zip(hit).filter(|(_, hit)| *hit);
        hits.map(|((_, range), _)| range).collect()
    }
}

fn mark_if(hit: &mut [bool], tokens: &[(String, Range<usize>)], is: impl Fn(&str) -> bool) {
    for (hit, (token, _)) in hit.iter_mut().zip(tokens) {
        *hit |= is(token);
    }
}

/// The words of a text.
pub(crate) fn words(analyzer: &mut TextAnalyzer, text: &str) -> Vec<String> {
    let mut words = Vec::new();
    analyzer.token_stream(text).process(&mut |token| words.push(token.text.clone()));
    words
}

impl Cut {
    fn fragments(self, text: &str, marked: &[Range<usize>], how: &Highlight) -> Vec<String> {
        if self.count == 0 || self.size >= text.len() {
            return vec![render(text, 0..text.len(), marked, how)];
        }
        let mut fragments = Vec::new();
        let (mut rest, mut end) = (marked, 0);
        while let Some(first) = rest.first() {
            if fragments.len() == self.count {
                break;
            }
            let lead = self.size.saturating_sub(first.len()) / 2;
            let begin = boundary(text, first.start.saturating_sub(lead).max(end));
            end = boundary(text, begin.saturating_add(self.size).max(first.end).min(text.len()));
            let inside = rest.iter().take_while(|range| range.end <= end).count().max(1);
            let (now, later) = rest.split_at(inside);
            fragments.push(render(text, begin..end, now, how));
            rest = later;
        }
        fragments
    }
}

/// The next place at which the text can be cut.
fn boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at.min(text.len())
}

fn render(text: &str, part: Range<usize>, marked: &[Range<usize>], how: &Highlight) -> String {
    let mut out = String::with_capacity(part.len() + marked.len() * (how.pre.len() + how.post.len()));
    let mut at = part.start;
    for range in marked {
        out.push_str(text.get(at..range.start).unwrap_or_default());
        out.push_str(&how.pre);
        out.push_str(text.get(range.clone()).unwrap_or_default());
        out.push_str(&how.post);
        at = range.end;
    }
    out.push_str(text.get(at..part.end).unwrap_or_default());
    out
}
