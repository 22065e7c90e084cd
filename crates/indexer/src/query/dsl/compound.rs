//! Queries made of queries: `bool`, `constant_score`, `dis_max`.

use super::Dsl;
use super::keys::{boost_by, least};
use crate::query::tree::{Bool, Node};
use crate::query::wrong::{Part, Wrong};

impl Dsl {
    pub(super) fn bool(&mut self, body: &Part<'_>, depth: usize) -> Result<Node, Wrong> {
        let (mut all, mut boost) = (Bool::default(), 1.0);
        for (key, part) in body.entries("[bool]")? {
            match key {
                "must" => all.must = self.queries(&part, depth)?,
                "should" => all.should = self.queries(&part, depth)?,
                "filter" => all.filter = self.queries(&part, depth)?,
                "must_not" => all.must_not = self.queries(&part, depth)?,
                "minimum_should_match" => all.least = Some(least(&part)?),
                "boost" => boost = part.float("boost")?,
                "adjust_pure_negative" => _ = part.bool(key)?,
                _ => {
                    let served = "must, should, filter, must_not, minimum_should_match and boost";
                    return Err(part.unknown("key in [bool]", key, served));
                }
            }
        }
        let empty =
            all.must.is_empty() && all.should.is_empty() && all.filter.is_empty() && all.must_not.is_empty();
        Ok(boost_by(if empty { Node::All } else { Node::Bool(Box::new(all)) }, boost))
    }

    pub(super) fn constant(&mut self, body: &Part<'_>, depth: usize) -> Result<Node, Wrong> {
        let (mut filter, mut boost) = (None, 1.0);
        for (key, part) in body.entries("[constant_score]")? {
            match key {
                "filter" => filter = Some(self.query(&part, depth + 1)?),
                "boost" => boost = part.float("boost")?,
                _ => return Err(part.unknown("key in [constant_score]", key, "filter and boost")),
            }
        }
        let filter = filter.ok_or_else(|| body.wrong("[constant_score] needs a filter"))?;
        Ok(boost_by(Node::Constant(Box::new(filter)), boost))
    }

    pub(super) fn dis_max(&mut self, body: &Part<'_>, depth: usize) -> Result<Node, Wrong> {
        let (mut nodes, mut boost) = (Vec::new(), 1.0);
        for (key, part) in body.entries("[dis_max]")? {
            match key {
                "queries" => nodes = self.queries(&part, depth)?,
                "boost" => boost = part.float("boost")?,
                _ => return Err(part.unknown("key in [dis_max]", key, "queries and boost")),
            }
        }
        Ok(boost_by(Node::Best(nodes), boost))
    }

    fn queries(&mut self, part: &Part<'_>, depth: usize) -> Result<Vec<Node>, Wrong> {
        part.items().iter().map(|item| self.query(item, depth + 1)).collect()
    }
}
