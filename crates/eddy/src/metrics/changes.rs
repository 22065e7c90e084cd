//! Counts changes of leaders and of in-sync replicas, by comparing each image of the metadata with the one before.
//!
//! An election counts on the broker that leads from then on, a change of in-sync replicas on the leader: sums over all
//! brokers are those of the cluster.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use eddy_engine::Engine;
use eddy_metadata::{Image, Partition};
use eddy_types::{BrokerId, LeaderEpoch};

/// Pause after each comparison, so that a burst of changes costs one. What changes and changes back in between is missed.
const PAUSE: Duration = Duration::from_millis(100);

/// What was counted since the start.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// By kind, in the order of [`KINDS`].
    elections: [AtomicU64; 5],
    shrinks: AtomicU64,
    expands: AtomicU64,
}

/// Why a broker leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It is the preferred leader, and the one before it was well.
    Preferred,
    /// The one before it was not there any more.
    Failover,
    /// It lacks records that were acknowledged, perhaps.
    Unclean,
    /// Replicas were moved, or the one before it stops.
    Moved,
    /// Of the metadata group.
    Controller,
}

/// Each kind with its label.
const KINDS: [(Kind, &str); 5] = [
    (Kind::Preferred, "preferred"),
    (Kind::Failover, "failover"),
    (Kind::Unclean, "unclean"),
    (Kind::Moved, "moved"),
    (Kind::Controller, "controller"),
];

impl Changes {
    /// Counts from now on, until the engine is gone.
    pub(super) fn start(engine: &Arc<Engine>) -> Arc<Changes> {
        let changes = Arc::new(Changes::default());
        tokio::spawn(watch(Arc::downgrade(engine), Arc::clone(&changes)));
        changes
    }

    pub(super) fn elections(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        KINDS.iter().zip(&self.elections).map(|((_, label), count)| (*label, count.load(Ordering::Relaxed)))
    }

    pub(super) fn isr_changes(&self) -> [(&'static str, u64); 2] {
        [("shrink", &self.shrinks), ("expand", &self.expands)]
            .map(|(label, count)| (label, count.load(Ordering::Relaxed)))
    }

    fn elected(&self, kind: Kind) {
        for ((known, _), count) in KINDS.iter().zip(&self.elections) {
            if *known == kind {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Counts what lies between two images, seen by the broker `me`.
    fn compare(&self, before: &Image, after: &Image, me: BrokerId) {
        for topic in after.topics() {
            let Some(known) = before.topic_by_id(topic.id) else {
                for new in topic.partitions.iter().filter(|new| new.leader_epoch > LeaderEpoch(0)) {
                    self.elections_of(&created(new), new, after, me);
                }
                continue;
            };
            if Arc::ptr_eq(known, topic) {
                continue;
            }
            for (old, new) in known.partitions.iter().zip(&topic.partitions) {
                self.elections_of(old, new, after, me);
                if new.leader == Some(me) {
                    let lost = old.isr.iter().any(|id| !new.isr.contains(id));
                    let won = new.isr.iter().any(|id| !old.isr.contains(id));
                    self.shrinks.fetch_add(lost.into(), Ordering::Relaxed);
                    self.expands.fetch_add(won.into(), Ordering::Relaxed);
                }
            }
        }
    }

    fn elections_of(&self, old: &Partition, new: &Partition, after: &Image, me: BrokerId) {
        if new.leader != Some(me) || old.leader == Some(me) {
            return;
        }
        let known = |id: &BrokerId| *id == me;
        let was_eligible = old.isr.iter().chain(old.elr.iter()).any(known);
        let well = old.leader.and_then(|old| after.broker(old)).is_some_and(|broker| !broker.fenced);
        self.elected(if !was_eligible && !old.isr.is_empty() && !new.adding.iter().any(known) {
            Kind::Unclean
        } else if !well {
            Kind::Failover
        } else if new.replicas.first() == Some(&me) && old.replicas == new.replicas {
            Kind::Preferred
        } else {
            Kind::Moved
        });
    }
}

/// A partition as it was when it was made, of which the first image that is looked at shows an election already.
fn created(partition: &Partition) -> Partition {
    let replicas = &partition.replicas;
    Partition { leader: replicas.first().copied(), isr: Arc::clone(replicas), ..partition.clone() }
}

async fn watch(engine: Weak<Engine>, changes: Arc<Changes>) {
    let Some((mut version, mut before, mut led)) =
        engine.upgrade().map(|engine| (engine.image_version(), engine.image(), engine.quorum().is_leader()))
    else {
        return;
    };
    if led {
        changes.elected(Kind::Controller);
    }
    loop {
        // Who leads the metadata group shows in no image: looked at with each, and now and then.
        let _ = tokio::time::timeout(PAUSE * 10, version.changed()).await;
        let Some(engine) = engine.upgrade() else { return };
        let after = engine.image();
        changes.compare(&before, &after, engine.me());
        before = after;
        let leads = engine.quorum().is_leader();
        if leads && !led {
            changes.elected(Kind::Controller);
        }
        led = leads;
        drop(engine);
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eddy_metadata::Local;
    use eddy_types::PartitionEpoch;

    const ME: BrokerId = BrokerId(1);

    fn brokers(ids: &[i32]) -> Arc<[BrokerId]> {
        ids.iter().copied().map(BrokerId).collect()
    }

    fn partition(leader: Option<i32>, replicas: &[i32], isr: &[i32]) -> Partition {
        Partition {
            replicas: brokers(replicas),
            leader: leader.map(BrokerId),
            leader_epoch: LeaderEpoch(0),
            isr: brokers(isr),
            elr: brokers(&[]),
            adding: brokers(&[]),
            removing: brokers(&[]),
            partition_epoch: PartitionEpoch(0),
        }
    }

    /// What is counted when this broker, 1, sees the change. No broker is registered: none before it is well.
    fn elected(old: &Partition, new: &Partition) -> Vec<&'static str> {
        let image = Image::empty(Arc::new(Local { broker: ME, config: Default::default() }));
        let changes = Changes::default();
        changes.elections_of(old, new, &image, ME);
        changes.elections().filter(|(_, count)| *count > 0).map(|(kind, _)| kind).collect()
    }

    #[test]
    fn an_election_counts_on_the_broker_that_wins_it() {
        let led_by = |leader, isr: &[i32]| partition(leader, &[2, 1, 3], isr);
        let before = led_by(Some(2), &[2, 1, 3]);
        assert_eq!(elected(&before, &led_by(Some(1), &[1, 3])), ["failover"]);
        assert_eq!(elected(&before, &led_by(Some(3), &[1, 3])), [""; 0], "another wins");
        assert_eq!(elected(&before, &before), [""; 0]);
        assert_eq!(elected(&led_by(None, &[1]), &led_by(Some(1), &[1])), ["failover"], "back again");
        assert_eq!(elected(&led_by(None, &[2]), &led_by(Some(1), &[1])), ["unclean"]);
        let mut eligible = led_by(None, &[2]);
        eligible.elr = brokers(&[1]);
        assert_eq!(elected(&eligible, &led_by(Some(1), &[1])), ["failover"], "it holds all there is");
        let new = led_by(Some(1), &[1, 3]);
        assert_eq!(elected(&created(&new), &new), ["failover"], "the first leader died before anyone looked");
    }
}
