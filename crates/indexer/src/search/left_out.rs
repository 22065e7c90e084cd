//! What the sort and the aggregations of a search cannot take into account, and how that is said.
//!
//! Columns leave out long strings, strings of fields whose values hardly ever repeat, and fields beyond those that are indexed by
//! name: an order or a count that ignores them looks like any other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::SearchError;
use crate::fields::EXACT_BYTES_MAX;
use crate::mapping::PATHS_MAX;
use crate::query::body::{Request, SortedBy};
use crate::query::compile::{column, hash_column};
use crate::{SearchableSplit, View};

/// Where the splits that were searched have the values of a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// In columns.
    in_columns: bool,
    /// Strings of which there is only a hash.
    only_hashes: bool,
    /// Among the words without a field, if anywhere: the partition has as many fields as are indexed by name, and this is none.
    beyond: bool,
}

impl Kept {
    fn merge(&mut self, other: Kept) {
        self.in_columns |= other.in_columns;
        self.only_hashes |= other.only_hashes;
        self.beyond |= other.beyond;
    }
}

/// By the path of the field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptFields(BTreeMap<String, Kept>);

impl KeptFields {
    /// Looks at the fields that a request sorts by or aggregates over.
    pub(crate) fn of<'v>(
        request: &Request,
        splits: impl Iterator<Item = (&'v View, &'v SearchableSplit)> + Clone,
    ) -> KeptFields {
        let kept = |field: &SortedBy| {
            let mut kept = Kept::default();
            splits.clone().for_each(|(view, split)| kept.merge(kept_in(view, split, &field.path)));
            (field.path.clone(), kept)
        };
        KeptFields(request.sorted_by.iter().map(kept).collect())
    }

    pub(crate) fn merge(&mut self, other: KeptFields) {
        for (path, kept) in other.0 {
            self.0.entry(path).or_default().merge(kept);
        }
    }

    /// What an answer says of values that it leaves out.
    ///
    /// # Errors
    /// A field of which it leaves out all.
    pub(crate) fn warnings(&self, request: &Request) -> Result<Vec<String>, SearchError> {
        let mut warnings = Vec::new();
        for SortedBy { path, pointer } in &request.sorted_by {
            let kept = self.0.get(path).copied().unwrap_or_default();
            let why = match kept {
                Kept { only_hashes: true, .. } => format!(
                    "strings of more than {EXACT_BYTES_MAX} bytes, and strings of fields whose values hardly ever repeat, \
                     are found, but neither sorted nor aggregated"
                ),
                Kept { beyond: true, .. } => format!(
                    "a partition has {PATHS_MAX} other fields already, and what is beyond them is found only as words; \
                     search.fields names the fields to index"
                ),
                _ => continue,
            };
            if !kept.in_columns {
                let message = format!("cannot sort by [{path}] or aggregate over it: {why}");
                return Err(SearchError::BadQuery { message, line: 1, column: 1, pointer: pointer.clone() });
            }
            warnings.push(format!("the sort or the aggregations leave out some values of [{path}]: {why}"));
        }
        Ok(warnings)
    }
}

/// What cannot be read here fails in the search itself, and is said there.
fn kept_in(view: &View, split: &SearchableSplit, path: &str) -> Kept {
    let has = |name: &str| {
        split.searcher.segment_readers().iter().any(|reader| {
            reader.fast_fields().dynamic_column_handles(name).is_ok_and(|columns| !columns.is_empty())
        })
    };
    Kept {
        in_columns: has(&column(path)),
        only_hashes: has(&hash_column(path)),
        beyond: view.paths.len() >= PATHS_MAX && !view.paths.iter().any(|known| **known == *path),
    }
}
