//! What to try.

use super::super::model::Place;
use super::{Attempt, Looks, Movement, Verdict, waits_for_transaction};

impl Looks<'_> {
    pub(super) fn attempts(&self, verdict: Verdict, worst: &[&Movement<'_>]) -> Vec<Attempt> {
        let group = &self.after.group;
        let attempt = |command: String, effect: &str| Attempt { command, effect: effect.to_owned() };
        let first = worst.first().map(|movement| movement.now);
        match (verdict, first) {
            (Verdict::Ok | Verdict::CatchingUp, _) | (_, None) => Vec::new(),
            (Verdict::Stalled, Some(now)) if waits_for_transaction(now) => Vec::new(),
            (Verdict::Stalled, Some(now)) => {
                let Some(at) = now.committed.or(now.start) else { return Vec::new() };
                let Place { topic, partition } = &now.place;
                vec![
                    attempt(
                        format!("eddy consume {topic} -p {partition} -O {at} -n 1"),
                        "look at the record it is stuck on",
                    ),
                    attempt(
                        format!("eddy group seek {group} --to {} --topic {topic}:{partition}", at + 1),
                        "skip it (dry run; the group must be stopped)",
                    ),
                ]
            }
            (Verdict::Stopped, Some(_)) => {
                vec![attempt(
                    format!("eddy group seek {group} --to latest"),
                    "start from new records only (dry run)",
                )]
            }
            (Verdict::Growing, Some(now)) => vec![
                attempt(format!("eddy topic describe {}", now.place.topic), "see its partitions and rates"),
                attempt(
                    format!("eddy topic alter {} --partitions N", now.place.topic),
                    "more partitions, for more members",
                ),
            ],
            (Verdict::Rebalancing, Some(_)) => {
                vec![attempt(format!("eddy group describe {group}"), "see who is a member now")]
            }
            (Verdict::Unassigned, Some(now)) => {
                vec![attempt(
                    format!("eddy group delete {group} --topic {}", now.place.topic),
                    "forget what it committed there",
                )]
            }
            (Verdict::Lost, Some(now)) => vec![
                attempt(
                    format!("eddy config get topic {} retention.ms retention.bytes", now.place.topic),
                    "see how long records are kept",
                ),
                attempt(
                    format!("eddy group seek {group} --to earliest"),
                    "go on with the oldest record (dry run)",
                ),
            ],
            (Verdict::Ahead, Some(_)) => {
                vec![attempt(
                    format!("eddy group seek {group} --to earliest"),
                    "read the new topic whole (dry run)",
                )]
            }
        }
    }
}
