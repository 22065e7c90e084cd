//! What a replication session does, without a network: copies from leaders to followers in this process.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use eddy_core::FollowerFetch;
use eddy_engine::{
    Engine, FollowAnswer, FollowerPosition, Partition, PartitionKey, ReplicaWatch, ReplicateError, Role,
};

/// Least bytes that take several rounds in most tests.
const ROUND_BYTES: usize = 3000;
const RETRY: Duration = Duration::from_millis(2);

/// Finds the engine of a broker that is up and can be reached.
pub(crate) type Reach = Arc<dyn Fn(eddy_types::BrokerId) -> Option<Arc<Engine>> + Send + Sync>;

/// Follows whoever leads `key`, for ever.
pub(crate) async fn follow(me: Arc<Engine>, key: PartitionKey, reach: Reach) {
    loop {
        // Whatever ends a session, the next one asks anew who leads.
        let _ = session(&me, key, &reach).await;
        tokio::time::sleep(RETRY).await;
    }
}

async fn session(me: &Arc<Engine>, key: PartitionKey, reach: &Reach) -> Option<()> {
    let mine = me.replica(&me.image(), key).await.ok()?;
    let Role::Follower { leader: Some(leader) } = mine.role() else { return None };
    let theirs = reach(leader)?.replica(&reach(leader)?.image(), key).await.ok()?;
    let watch = ReplicaWatch::new();
    theirs.watch_replica(&watch, 0);
    mine.watch_replica(&watch, 1);
    let epoch = mine.position()?.leader_epoch;
    while !introduce(me, &mine, &theirs).await? {}
    loop {
        let position = mine.position().filter(|position| position.leader_epoch == epoch)?;
        reach(leader)?;
        theirs.follower_progress(me.me(), epoch, fetch(position)).ok()?;
        let read = theirs.read_replica(position.log_end, ROUND_BYTES).await.ok()?;
        // A link that was cut before the leader had it carries nothing of it.
        reach(leader)?;
        mine.leader_told(epoch, read.high_watermark, read.log_start);
        if read.slices.is_empty() {
            // Once in a while the link is looked at.
            let _ = tokio::time::timeout(RETRY * 5, watch.ready()).await;
            continue;
        }
        let bytes = joined(&read.slices);
        let room = me.admit(read.slices.len() as u32, bytes.len(), tokio::time::Instant::now() + RETRY * 100);
        let room = room.await.ok()?;
        match mine.append_replicated(epoch, bytes, Some(room)) {
            Ok(()) => {}
            Err(ReplicateError::OtherRole(_) | ReplicateError::PartitionGone) => return None,
            Err(error) => panic!("{}: {error}", me.me()),
        }
    }
}

/// Whether the log agrees with the leader's by now.
async fn introduce(me: &Arc<Engine>, mine: &Arc<Partition>, theirs: &Arc<Partition>) -> Option<bool> {
    let position = mine.position()?;
    let epoch = position.leader_epoch;
    match theirs.follow(me.me(), epoch, position.last_epoch, fetch(position)).ok()? {
        FollowAnswer::Granted(_) => return Some(true),
        FollowAnswer::Diverging(diverging) => {
            let to = mine.shared_end(diverging);
            mine.truncate(epoch, to).await.ok()?;
        }
        FollowAnswer::OutOfRange { log_start, .. } => mine.restart_at(epoch, log_start).await.ok()?,
    }
    Some(false)
}

fn fetch(position: FollowerPosition) -> FollowerFetch {
    FollowerFetch {
        offset: position.log_end,
        durable_end: position.durable_end,
        log_start: position.log_start,
        broker_epoch: -1,
    }
}

fn joined(slices: &[Bytes]) -> Bytes {
    let mut bytes = BytesMut::new();
    slices.iter().for_each(|slice| bytes.extend_from_slice(slice));
    bytes.freeze()
}
