//! What a change of offsets would do, before it is done.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::{Place, Progress};
use super::target::Target;

/// One partition of a planned change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    #[serde(flatten)]
    pub(crate) place: Place,
    /// What is committed now.
    pub(crate) now: Option<i64>,
    /// What will be; `None` removes the commit.
    pub(crate) new: Option<i64>,
    /// Timestamp in milliseconds of the record at `new`; `None` at the end of the log, and where it was not read.
    pub(crate) record_ms: Option<i64>,
    /// What is special about it; may be empty.
    pub(crate) note: String,
}

impl Step {
    pub(crate) fn delta(&self) -> Option<i64> {
        Some(self.new? - self.now?)
    }

    pub(crate) fn is_change(&self) -> bool {
        self.now != self.new
    }
}

/// An offset that a group had committed, kept so that it can be restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// Before the change; `None` when nothing was committed.
    pub(crate) before: Option<i64>,
    /// What the change set; `None` when it removed the commit.
    pub(crate) after: Option<i64>,
}

/// Where each partition goes. `found` has what brokers answered for the partition: the offset for a time (`None` when no record is that
/// new), or the commit of another group. Partitions whose log is not there are left out of the change, with a note.
pub(crate) fn to_target(
    target: &Target,
    progress: &[Progress],
    found: &BTreeMap<Place, Option<i64>>,
) -> Vec<Step> {
    progress.iter().map(|partition| step(target, partition, found)).collect()
}

fn step(target: &Target, partition: &Progress, found: &BTreeMap<Place, Option<i64>>) -> Step {
    let unchanged = |note: &str| Step {
        place: partition.place.clone(),
        now: partition.committed,
        new: partition.committed,
        record_ms: None,
        note: note.to_owned(),
    };
    let (Some(start), Some(end)) = (partition.start, partition.end) else {
        return unchanged("no leader, left as it is");
    };
    let (wanted, note) = match target {
        Target::Earliest => (start, ""),
        Target::Latest => (end, ""),
        Target::Offset(offset) => (*offset, ""),
        Target::Time(_) => match found.get(&partition.place) {
            Some(Some(offset)) => (*offset, ""),
            Some(None) => (end, "no record that new"),
            None => return unchanged("not answered, left as it is"),
        },
        Target::Shift(records) => match partition.committed {
            Some(committed) => (committed.saturating_add(*records), ""),
            None => return unchanged("nothing committed, left as it is"),
        },
    };
    let new = wanted.clamp(start, end);
    let note = if start == end {
        "empty"
    } else if wanted < start {
        "older records are gone"
    } else if wanted > end {
        "there is no more"
    } else {
        note
    };
    Step { new: Some(new), note: note.to_owned(), ..unchanged("") }
}

/// Where another group is; its partitions only.
pub(crate) fn to_group(progress: &[Progress], other: &BTreeMap<Place, Option<i64>>) -> Vec<Step> {
    progress
        .iter()
        .filter_map(|partition| {
            let theirs = other.get(&partition.place).copied().flatten()?;
            Some(Step {
                place: partition.place.clone(),
                now: partition.committed,
                new: Some(theirs),
                record_ms: None,
                note: String::new(),
            })
        })
        .collect()
}

/// Back to what was kept. A group that moved on since is moved back all the same, and the note says so.
pub(crate) fn back(kept: &[Kept], now: &BTreeMap<Place, Option<i64>>) -> Vec<Step> {
    kept.iter()
        .map(|kept| {
            let place = Place { topic: kept.topic.clone(), partition: kept.partition };
            let now = now.get(&place).copied().flatten();
            let note = if now == kept.after { "" } else { "it moved since" };
            Step { place, now, new: kept.before, record_ms: None, note: note.to_owned() }
        })
        .collect()
}

/// What must be kept to undo the steps.
pub(crate) fn kept(steps: &[Step]) -> Vec<Kept> {
    steps
        .iter()
        .filter(|step| step.is_change())
        .map(|step| Kept {
            topic: step.place.topic.clone(),
            partition: step.place.partition,
            before: step.now,
            after: step.new,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(index: i32, committed: Option<i64>, start: i64, end: i64) -> Progress {
        Progress {
            place: place(index),
            committed,
            start: Some(start),
            end: Some(end),
            last_stable: None,
            waiting_since_ms: None,
            lag_ms: None,
            lag: None,
            member: None,
            host: None,
        }
    }

    fn place(index: i32) -> Place {
        Place { topic: "t".to_owned(), partition: index }
    }

    /// New offset and note of one partition that is committed at 50 of 10 to 100.
    fn seek(target: &str, found: Option<Option<i64>>) -> (Option<i64>, String) {
        let found = found.into_iter().map(|found| (place(0), found)).collect();
        let steps = to_target(&target.parse().unwrap(), &[partition(0, Some(50), 10, 100)], &found);
        (steps[0].new, steps[0].note.clone())
    }

    #[test]
    fn a_step_stays_within_the_log() {
        let at = |offset: i64, note: &str| (Some(offset), note.to_owned());
        assert_eq!(seek("earliest", None), at(10, ""));
        assert_eq!(seek("latest", None), at(100, ""));
        assert_eq!(seek("60", None), at(60, ""));
        assert_eq!(seek("+5", None), at(55, ""));
        assert_eq!(seek("-5", None), at(45, ""));
        assert_eq!(seek("5", None), at(10, "older records are gone"));
        assert_eq!(seek("-50", None), at(10, "older records are gone"));
        assert_eq!(seek("+51", None), at(100, "there is no more"));
    }

    #[test]
    fn a_time_goes_to_the_record_found_or_to_the_end() {
        assert_eq!(seek("@-1h", Some(Some(42))), (Some(42), String::new()));
        assert_eq!(seek("@-1h", Some(None)), (Some(100), "no record that new".to_owned()));
        assert_eq!(seek("@-1h", None), (Some(50), "not answered, left as it is".to_owned()));
    }

    #[test]
    fn a_step_from_nothing_needs_a_place_to_go() {
        let none = [partition(0, None, 10, 100)];
        let steps = to_target(&Target::Shift(5), &none, &BTreeMap::new());
        assert!(!steps[0].is_change());
        let steps = to_target(&Target::Earliest, &none, &BTreeMap::new());
        assert_eq!((steps[0].now, steps[0].new, steps[0].delta()), (None, Some(10), None));
    }

    #[test]
    fn another_groups_places_are_taken_where_it_has_any() {
        let ours = [partition(0, Some(50), 10, 100), partition(1, None, 0, 9)];
        let theirs = BTreeMap::from([(place(0), Some(70)), (place(1), None)]);
        let steps = to_group(&ours, &theirs);
        assert_eq!(steps.len(), 1);
        assert_eq!((steps[0].new, steps[0].delta()), (Some(70), Some(20)));
    }

    #[test]
    fn what_is_kept_brings_everything_back() {
        let ours = [partition(0, Some(50), 10, 100), partition(1, None, 0, 9), partition(2, Some(5), 5, 5)];
        let steps = to_target(&Target::Earliest, &ours, &BTreeMap::new());
        let kept = kept(&steps);
        assert_eq!(kept.len(), 2, "a partition that does not move is not kept");
        let now = BTreeMap::from([(place(0), Some(10)), (place(1), Some(3))]);
        let back = back(&kept, &now);
        assert_eq!((back[0].new, back[0].note.as_str()), (Some(50), ""));
        assert_eq!((back[1].new, back[1].note.as_str()), (None, "it moved since"));
    }
}
