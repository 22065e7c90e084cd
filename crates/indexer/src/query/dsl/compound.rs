//! Queries made of queries: `bool`, `constant_score`, `dis_max`.

use super::keys::{keys, least};
use super::{CLAUSES_MAX, Dsl};
use crate::query::tree::{Bool, Node};
use crate::query::wrong::{Part, Wrong};

impl Dsl {
    pub(super) fn bool(&mut self, body: &Part<'_>, depth: usize) -> Result<Node, Wrong> {
        let mut all = Bool::default();
        let (keys, boost) = keys(body, "[bool]")?;
        for (key, part) in keys {
            match key {
                "must" => all.must = self.queries(&part, depth)?,
                "should" => all.should = self.queries(&part, depth)?,
                "filter" => all.filter = self.queries(&part, depth)?,
                "must_not" => all.must_not = self.queries(&part, depth)?,
                "minimum_should_match" => all.least = Some(least(&part)?),
                "adjust_pure_negative" => _ = part.bool(key)?,
                _ => {
                    let served = "must, should, filter, must_not, minimum_should_match and boost";
                    return Err(part.unknown("key in [bool]", key, served));
                }
            }
        }
        let empty =
            all.must.is_empty() && all.should.is_empty() && all.filter.is_empty() && all.must_not.is_empty();
        let node = if empty { Node::All } else { Node::Bool(Box::new(all)) };
        Ok(node.boosted(boost))
    }

    pub(super) fn constant(&mut self, body: &Part<'_>, depth: usize) -> Result<Node, Wrong> {
        let mut filter = None;
        let (keys, boost) = keys(body, "[constant_score]")?;
        for (key, part) in keys {
            match key {
                "filter" => filter = Some(self.query(&part, depth + 1)?),
                _ => return Err(part.unknown("key in [constant_score]", key, "filter and boost")),
            }
        }
        let filter = filter.ok_or_else(|| body.wrong("[constant_score] needs a filter"))?;
        Ok(Node::Constant(Box::new(filter)).boosted(boost))
    }

    pub(super) fn dis_max(&mut self, body: &Part<'_>, depth: usize) -> Result<Node, Wrong> {
        let mut nodes = Vec::new();
        let (keys, boost) = keys(body, "[dis_max]")?;
        for (key, part) in keys {
            match key {
                "queries" => nodes = self.queries(&part, depth)?,
                _ => return Err(part.unknown("key in [dis_max]", key, "queries and boost")),
            }
        }
        Ok(Node::Best(nodes).boosted(boost))
    }

    fn queries(&mut self, part: &Part<'_>, depth: usize) -> Result<Vec<Node>, Wrong> {
        let items = part.items_within(CLAUSES_MAX, "a query")?;
        items.iter().map(|item| self.query(item, depth + 1)).collect()
    }
}
