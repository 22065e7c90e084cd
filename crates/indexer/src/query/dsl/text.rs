//! Queries for the words of texts: `match`, `match_phrase`, `multi_match` and the query strings.

use super::keys::{Fielded, fielded, is_and, keys, least, literal, name, weighted};
use super::{CLAUSES_MAX, DEPTH_MAX, Dsl, STRING_MAX};
use crate::query::dates::DateForm;
use crate::query::name::Name;
use crate::query::place::line_and_column;
use crate::query::strings::lexer::Language;
use crate::query::strings::{self, StringForm};
use crate::query::tree::{Combine, Least, Node, SLOP_MAX};
use crate::query::wrong::{Part, Wrong};

impl Dsl {
    pub(super) fn string(&mut self, body: &Part<'_>, language: Language) -> Result<Node, Wrong> {
        let what = match language {
            Language::Full => "[query_string]",
            Language::Simple => "[simple_query_string]",
        };
        let mut form = StringForm {
            language,
            and: false,
            fields: vec![(Name::Anywhere, 1.0)],
            dates: DateForm::new(self.now),
            depth_max: DEPTH_MAX,
            clauses_max: CLAUSES_MAX,
        };
        let mut query = None;
        let (keys, boost) = keys(body, what)?;
        for (key, part) in keys {
            match key {
                "query" => query = Some(part),
                "default_operator" => form.and = is_and(&part)?,
                "default_field" => form.fields = vec![(name(part.text(key)?, &part)?, 1.0)],
                "fields" => form.fields = weighted(&part)?,
                "time_zone" => {
                    form.dates.set_zone(part.text(key)?).map_err(|message| part.wrong(message))?;
                }
                "analyze_wildcard" | "allow_leading_wildcard" | "lenient" => _ = part.bool(key)?,
                _ => {
                    let served = "query, default_operator, default_field, fields, time_zone, boost, analyze_wildcard \
                                  and lenient";
                    return Err(part.unknown(&format!("key in {what}"), key, served));
                }
            }
        }
        let query = query.ok_or_else(|| body.wrong(format!("{what} needs a query")))?;
        let text = query.text("query")?;
        if text.len() > STRING_MAX {
            return Err(query.wrong(format!("the query string is longer than {STRING_MAX} bytes")));
        }
        let node = strings::parse(text, &form, &mut self.clauses).map_err(|(message, before)| {
            let read: String = text.chars().take(before).collect();
            let (line, column) = line_and_column(&read);
            Wrong { line, column, ..query.wrong(message) }
        })?;
        Ok(node.boosted(boost))
    }

    pub(super) fn matches(&mut self, body: &Part<'_>) -> Result<Node, Wrong> {
        let Fielded { name, value, keys, boost } = fielded(body, "[match]", &["query"])?;
        let mut combine = Combine::Least(Least::Count(1));
        for (key, part) in keys {
            match key {
                "operator" if is_and(&part)? => combine = Combine::All,
                "operator" => {}
                "minimum_should_match" => combine = Combine::Least(least(&part)?),
                "lenient" => _ = part.bool(key)?,
                _ => {
                    let served = "query, operator, minimum_should_match and boost";
                    return Err(part.unknown("key in [match]", key, served));
                }
            }
        }
        let value = literal(&value)?;
        self.count(value.words_at_most(), body)?;
        Ok(Node::Match { name, value, combine }.boosted(boost))
    }

    pub(super) fn phrase(&mut self, body: &Part<'_>) -> Result<Node, Wrong> {
        let Fielded { name, value, keys, boost } = fielded(body, "[match_phrase]", &["query"])?;
        let mut slop = 0;
        for (key, part) in keys {
            match key {
                "slop" => slop = u32::try_from(part.count("slop")?).unwrap_or(SLOP_MAX).min(SLOP_MAX),
                _ => return Err(part.unknown("key in [match_phrase]", key, "query, slop and boost")),
            }
        }
        let value = literal(&value)?;
        self.count(value.words_at_most(), body)?;
        Ok(Node::Phrase { name, value, slop }.boosted(boost))
    }

    pub(super) fn multi_match(&mut self, body: &Part<'_>) -> Result<Node, Wrong> {
        let (mut query, mut fields, mut phrase) = (None, vec![(Name::Anywhere, 1.0)], false);
        let mut combine = Combine::Least(Least::Count(1));
        let (keys, boost) = keys(body, "[multi_match]")?;
        for (key, part) in keys {
            match key {
                "query" => query = Some(literal(&part)?),
                "fields" => fields = weighted(&part)?,
                "operator" if is_and(&part)? => combine = Combine::All,
                "operator" => {}
                "minimum_should_match" => combine = Combine::Least(least(&part)?),
                "lenient" => _ = part.bool(key)?,
                "type" => match part.text("type")? {
                    "best_fields" => {}
                    "phrase" => phrase = true,
                    other => {
                        return Err(part.unknown("type of [multi_match]", other, "best_fields and phrase"));
                    }
                },
                _ => {
                    let served = "query, fields, type, operator, minimum_should_match and boost";
                    return Err(part.unknown("key in [multi_match]", key, served));
                }
            }
        }
        let value = query.ok_or_else(|| body.wrong("[multi_match] needs a query"))?;
        self.count(value.words_at_most().saturating_mul(fields.len()), body)?;
        let one = |(name, weight): (Name, f32)| {
            let value = value.clone();
            let node = if phrase {
                Node::Phrase { name, value, slop: 0 }
            } else {
                Node::Match { name, value, combine }
            };
            node.boosted(weight)
        };
        Ok(Node::Best(fields.into_iter().map(one).collect()).boosted(boost))
    }
}
