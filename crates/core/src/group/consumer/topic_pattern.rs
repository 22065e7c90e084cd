//! Subscriptions by pattern (`SubscribedTopicRegex`, KIP-848 and KIP-1043).
//!
//! Kafka evaluates them with RE2; ours come from the `regex` crate, whose time is linear in the pattern and the topic's
//! name as well. No pattern can hang the coordinator, and those that would take much memory are refused.

use regex::{Regex, RegexBuilder};

/// Longest pattern, in bytes: an alternation of some thousand topic names fits.
pub(super) const PATTERN_BYTES_MAX: usize = 32 * 1024;

/// Most memory that a compiled pattern may take, in bytes, and again for the states that matching keeps.
const COMPILED_BYTES_MAX: usize = 4 << 20;

/// Deepest nesting of groups and repetitions.
const NESTING_MAX: u32 = 100;

/// A pattern that cannot be used: `INVALID_REGULAR_EXPRESSION`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a regular expression that can be used: {reason}")]
pub struct InvalidPattern {
    /// What is wrong with it, in a line.
    pub reason: String,
}

/// A compiled pattern. It matches whole topic names only.
#[derive(Clone, Debug)]
pub(super) struct TopicPattern(Regex);

impl TopicPattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// If it is not a regular expression, or needs more than its share of memory.
    pub(super) fn compile(pattern: &str) -> Result<TopicPattern, InvalidPattern> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(InvalidPattern { reason: format!("it is longer than {PATTERN_BYTES_MAX} bytes") });
        }
        let pattern = unquote(pattern);
        // On its own first: "a)|(b" is a regular expression only between parentheses.
        build(&pattern)?;
        build(&format!(r"\A(?:{pattern})\z")).map(TopicPattern)
    }

    /// Whether the pattern matches the whole name.
    #[must_use]
    pub(super) fn matches(&self, topic: &str) -> bool {
        self.0.is_match(topic)
    }
}

fn build(pattern: &str) -> Result<Regex, InvalidPattern> {
    RegexBuilder::new(pattern)
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(COMPILED_BYTES_MAX)
        .nest_limit(NESTING_MAX)
        .build()
        .map_err(|error| InvalidPattern { reason: reason(&error) })
}

/// The last line of the crate's message says what is wrong; those before draw the pattern.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// Writes `\Q…\E`, which RE2 reads as literal text and Java's `Pattern.quote` makes, in terms of single escapes.
fn unquote(pattern: &str) -> std::borrow::Cow<'_, str> {
    if !pattern.contains(r"\Q") {
        return pattern.into();
    }
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let Some(literal) = escape.strip_prefix(r"\Q") else {
            let pair = escape.char_indices().nth(2).map_or(escape.len(), |(end, _)| end);
            let (pair, after) = escape.split_at(pair);
            out.push_str(pair);
            rest = after;
            continue;
        };
        let (literal, after) = literal.split_once(r"\E").unwrap_or((literal, ""));
        out.push_str(&regex::escape(literal));
        rest = after;
    }
    out.push_str(rest);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, topic: &str) -> bool {
        TopicPattern::compile(pattern).unwrap().matches(topic)
    }

    #[test]
    fn a_pattern_matches_whole_names_only() {
        assert!(matches("orders-.*", "orders-eu"));
        assert!(!matches("orders", "orders-eu"));
        assert!(!matches("eu", "orders-eu"));
        assert!(matches("a|ab", "ab"), "a shorter alternative in front does not hide the longer one");
        assert!(matches("", ""));
        assert!(matches("(?i)ORDERS", "orders"));
    }

    #[test]
    fn quoted_text_is_literal() {
        assert!(matches(r"\Qa.b\E.*", "a.bc"));
        assert!(!matches(r"\Qa.b\E.*", "axbc"));
        assert!(matches(r"x\Qa.b", "xa.b"));
        assert!(matches(r"\\Qa", r"\Qa"), "an escaped backslash does not start a quotation");
    }

    #[test]
    fn what_is_no_regular_expression_is_refused() {
        for pattern in ["(", "a)|(b", "*", "[z-a]", r"(?<x", r"\1", "(?=a)", "a**b)", r"\", "(?x)a#"] {
            let error = TopicPattern::compile(pattern).expect_err(pattern);
            assert!(!error.reason.is_empty() && !error.reason.contains('\n'), "{pattern}: {error}");
        }
    }

    #[test]
    fn patterns_made_to_hang_or_to_fill_memory_are_refused_or_fast() {
        for pattern in [
            "((a{1,1000}){1,1000}){1,1000}".to_owned(),
            format!("{}a{}", "(".repeat(5000), ")".repeat(5000)),
            "a".repeat(PATTERN_BYTES_MAX + 1),
            r"\pL{1000}{1000}".to_owned(),
        ] {
            TopicPattern::compile(&pattern).expect_err("too large");
        }
        let name = format!("{}!", "a".repeat(249));
        for pattern in ["(a+)+", "(a|a)*", "(a*)*b", "(.*a){20}"] {
            assert!(!matches(pattern, &name), "{pattern}");
        }
    }
}
