//! The query as a tree.

use std::ops::Bound;

use eddy_types::Millis;

/// What a name in a query stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    /// No field given: the text of the value, and the key.
    Anywhere,
    /// `_key`.
    Key,
    /// `_offset`.
    Offset,
    /// `_partition`.
    Partition,
    /// `_topic`, and `_index` as Elasticsearch calls it.
    Topic,
    /// `@timestamp`.
    Timestamp,
    /// `_headers.NAME`.
    Header(String),
    /// A path in a JSON value.
    Value {
        /// Segments with dots between.
        path: String,
        /// Whole strings (`path.keyword`) in place of their words.
        whole: bool,
    },
}

/// The names of a record's own fields, for messages.
pub(crate) const OWN_NAMES: &str = "_key, _offset, _partition, _topic, @timestamp and _headers.NAME";

impl Name {
    /// What `name` stands for; `None` for a name that begins like a record's own and is none.
    pub(crate) fn parse(name: &str) -> Option<Name> {
        let name = match name {
            "_key" | "_key.keyword" => Name::Key,
            "_offset" => Name::Offset,
            "_partition" => Name::Partition,
            "_topic" | "_index" | "_topic.keyword" => Name::Topic,
            "@timestamp" => Name::Timestamp,
            "_all" | "*" => Name::Anywhere,
            _ => match (name.strip_prefix("_headers."), name.strip_suffix(".keyword")) {
                (Some(header), _) => {
                    let header = header.strip_suffix(".keyword").unwrap_or(header);
                    Name::Header(header.to_owned())
                }
                _ if name.starts_with('_') || name.is_empty() => return None,
                (None, Some(path)) if !path.is_empty() => Name::Value { path: path.to_owned(), whole: true },
                (None, _) => Name::Value { path: name.to_owned(), whole: false },
            },
        };
        Some(name)
    }
}

/// A value in a query, typed as JSON typed it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Number(Number),
    Bool(bool),
    Text(String),
}

impl Literal {
    /// As text, the way a record's text would have it.
    pub(crate) fn text(&self) -> String {
        match self {
            Literal::Number(number) => number.to_string(),
            Literal::Bool(value) => value.to_string(),
            Literal::Text(text) => text.clone(),
        }
    }

    /// The number it is, or says.
    pub(crate) fn number(&self) -> Option<Number> {
        match self {
            Literal::Number(number) => Some(*number),
            Literal::Bool(_) => None,
            Literal::Text(text) => Number::parse(text),
        }
    }

    /// The truth value it is, or says.
    pub(crate) fn bool(&self) -> Option<bool> {
        match self {
            Literal::Bool(value) => Some(*value),
            Literal::Number(_) => None,
            Literal::Text(text) => text.parse().ok(),
        }
    }
}

/// A number as JSON has them: an integer if it is one.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) enum Number {
    Int(i64),
    /// Above the greatest `Int`.
    Uint(u64),
    /// Neither infinite nor NaN.
    Float(f64),
}

impl Number {
    pub(crate) fn parse(text: &str) -> Option<Number> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        if !plain {
            return None;
        }
        if let Ok(number) = text.parse() {
            return Some(Number::Int(number));
        }
        if let Ok(number) = text.parse() {
            return Some(Number::Uint(number));
        }
        text.parse().ok().filter(|number: &f64| number.is_finite()).map(Number::Float)
    }

    pub(crate) fn from_json(number: &serde_json::Number) -> Option<Number> {
        let unsigned = || number.as_u64().map(Number::Uint);
        let float = || number.as_f64().filter(|number| number.is_finite()).map(Number::Float);
        number.as_i64().map(Number::Int).or_else(unsigned).or_else(float)
    }

    pub(crate) fn float(self) -> f64 {
        match self {
            Number::Int(number) => number as f64,
            Number::Uint(number) => number as f64,
            Number::Float(number) => number,
        }
    }

    /// Exact between integers; with a float, as floats.
    pub(crate) fn order(self, other: Number) -> std::cmp::Ordering {
        match (self, other) {
            (Number::Int(one), Number::Int(two)) => one.cmp(&two),
            (Number::Uint(one), Number::Uint(two)) => one.cmp(&two),
            (Number::Int(_), Number::Uint(_)) => std::cmp::Ordering::Less,
            (Number::Uint(_), Number::Int(_)) => std::cmp::Ordering::Greater,
            (one, two) => one.float().total_cmp(&(two.float() + 0.0)),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.order(*other).is_eq()
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Number::Int(number) => number.fmt(f),
            Number::Uint(number) => number.fmt(f),
            Number::Float(number) => number.fmt(f),
        }
    }
}

/// A range, read in each way in which all its bounds can be read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ranges {
    pub(crate) numbers: Option<(Bound<Number>, Bound<Number>)>,
    pub(crate) dates: Option<(Bound<Millis>, Bound<Millis>)>,
    pub(crate) texts: Option<(Bound<String>, Bound<String>)>,
}

/// How the words of a match combine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Combine {
    All,
    /// At least so many.
    Least(Least),
}

/// Elasticsearch's `minimum_should_match`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Least {
    /// So many; negative: all but so many.
    Count(i64),
    /// This share of them, rounded down; negative: all but this share.
    Percent(i64),
}

impl Least {
    /// How many of `all`.
    pub(crate) fn of(self, all: usize) -> usize {
        let all = i64::try_from(all).unwrap_or(i64::MAX);
        let count = match self {
            Least::Count(count) if count < 0 => all.saturating_add(count),
            Least::Count(count) => count,
            Least::Percent(percent) if percent < 0 => all - all.saturating_mul(-percent) / 100,
            Least::Percent(percent) => all.saturating_mul(percent) / 100,
        };
        usize::try_from(count).unwrap_or(0)
    }
}

/// A query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    All,
    None,
    /// The token, or the typed value.
    Term {
        name: Name,
        value: Literal,
    },
    /// The words of a text.
    Match {
        name: Name,
        value: Literal,
        combine: Combine,
    },
    /// The words of a text, one after the other.
    Phrase {
        name: Name,
        value: Literal,
        slop: u32,
    },
    Range {
        name: Name,
        ranges: Ranges,
    },
    /// Tokens that a pattern matches.
    Pattern {
        name: Name,
        pattern: Pattern,
    },
    Exists {
        name: Name,
    },
    /// Partitions and offsets.
    Ids(Vec<(i32, i64)>),
    Bool(Box<Bool>),
    /// The best of several.
    Best(Vec<Node>),
    Boost(Box<Node>, f32),
    /// Counts the same for every match.
    Constant(Box<Node>),
}

/// Clauses of a bool query.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bool {
    pub(crate) must: Vec<Node>,
    pub(crate) should: Vec<Node>,
    pub(crate) filter: Vec<Node>,
    pub(crate) must_not: Vec<Node>,
    pub(crate) least: Option<Least>,
}

impl Bool {
    /// How many of the `should` clauses must match.
    pub(crate) fn least_should(&self) -> usize {
        match self.least {
            Some(least) => least.of(self.should.len()),
            None => usize::from(self.must.is_empty() && self.filter.is_empty() && !self.should.is_empty()),
        }
    }
}

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
