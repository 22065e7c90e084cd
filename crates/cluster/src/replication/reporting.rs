//! What a follower says: what is to be followed, and how far it is.

use std::sync::Arc;

use eddy_engine::{Partition, PartitionKey, Role};
use eddy_peer::StreamWriter;
use tokio::time::Instant;

use super::ending::Ending;
use super::keep_alive;
use super::stream::Stream;
use super::wire::{FromFollower, UpFrame};

/// A frame to the leader is closed above this.
pub(super) const FRAME_BYTES: usize = 256 << 10;

impl Stream<'_> {
    /// Says until the stream breaks, or nothing is followed any more.
    pub(super) async fn report(&self, mut writer: StreamWriter) -> Ending {
        let mut frame = UpFrame::default();
        let mut said = Instant::now();
        loop {
            let look_again = match self.requests(&mut frame, &mut writer, &mut said).await {
                Ok(look_again) => look_again,
                Err(error) => return error.into(),
            };
            if self.fetcher.is_idle() {
                return Ending::Idle;
            }
            self.reporter.lend(writer);
            let wake = self.wait(look_again, said + keep_alive(self.fetcher.silence)).await;
            match self.reporter.take_back() {
                Some(lent) => writer = lent,
                None => return Ending::Closed,
            }
            match wake {
                Wake::Ready(ready) => self.reporter.progress(&ready, &mut frame),
                Wake::Requests => {}
                Wake::Silence => frame.put(&FromFollower::Ping),
            }
        }
    }

    /// `look_again` is when limits are due, `silence` when something has to be said in any case.
    async fn wait(&self, look_again: Option<Instant>, silence: Instant) -> Wake {
        let pause_end = self.fetcher.following.lock().next_pause_end();
        let due = pause_end.into_iter().chain(look_again).fold(silence, Instant::min);
        tokio::select! {
            ready = self.watch.ready() => Wake::Ready(ready),
            () = self.fetcher.changed() => Wake::Requests,
            () = self.again.notified() => Wake::Requests,
            () = self.reporter.unsent() => Wake::Requests,
            () = tokio::time::sleep_until(due) => {
                if due == silence { Wake::Silence } else { Wake::Requests }
            }
        }
    }

    /// Says what is followed from now on, what no longer, and what is limited, with what waits in `frame`; gives the time to look
    /// at limits again.
    async fn requests(
        &self,
        frame: &mut UpFrame,
        writer: &mut StreamWriter,
        said: &mut Instant,
    ) -> std::io::Result<Option<Instant>> {
        for (key, wanted) in self.fetcher.take_changed() {
            match wanted {
                Some(partition) => self.begin(key, &partition, frame),
                None => self.end(key, frame),
            }
            if frame.len() >= FRAME_BYTES {
                send(frame, writer).await?;
            }
        }
        let due = self.fetcher.following.lock().take_due(Instant::now());
        for key in due {
            if let Some(partition) = self.fetcher.wanted(key) {
                self.begin(key, &partition, frame);
            }
        }
        let look_again = self.limit(frame);
        if !frame.is_empty() {
            *said = Instant::now();
        }
        send(frame, writer).await?;
        Ok(look_again)
    }

    fn begin(&self, key: PartitionKey, partition: &Arc<Partition>, frame: &mut UpFrame) {
        let follows = Role::Follower { leader: Some(self.fetcher.leader) };
        let position = partition.position().filter(|_| partition.role() == follows);
        // Another leader, or none: the roles say so to whom it concerns.
        let Some(position) = position else { return self.end(key, frame) };
        let image = self.engine().image();
        let broker_epoch = image.broker(self.engine().me()).map_or(-1, |broker| broker.epoch);
        let mut following = self.fetcher.following.lock();
        let Some(follow) = following.begin(key, partition, &position, broker_epoch) else { return };
        drop(following);
        partition.watch_replica(&self.watch, follow.slot);
        frame.put(&FromFollower::Follow(follow));
        // In the same frame: the leader sends nothing in between.
        self.limit_new(follow.slot, follow.generation, key, frame);
    }

    fn end(&self, key: PartitionKey, frame: &mut UpFrame) {
        let ended = self.fetcher.following.lock().end(key);
        if let Some((slot, followed)) = ended {
            followed.partition.unwatch_replica(&self.watch, slot);
            frame.put(&FromFollower::Unfollow { slot, generation: followed.generation });
        }
    }
}

enum Wake {
    Ready(Vec<u32>),
    Requests,
    Silence,
}

async fn send(frame: &mut UpFrame, writer: &mut StreamWriter) -> std::io::Result<()> {
    if !frame.is_empty() {
        writer.write(&[frame.take()]).await?;
    }
    if writer.queued() > 0 { writer.flush().await } else { Ok(()) }
}
