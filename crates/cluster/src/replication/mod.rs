//! Followers copy the logs of leaders over streams between brokers.
//!
//! A follower opens one stream to each leader broker and names on it the partitions it follows there, with its position in each
//! ([`wire::Follow`]). From then on the leader pushes what it appends, at once and before its own disk has it; the follower appends it
//! and says how far it is as soon as its write-ahead log has synced. Nothing is asked for again and again, and nothing is sent while
//! nothing moves, apart from a sign of life.
//!
//! Back-pressure is the stream: a follower without room in its write-ahead log does not read it. A throttle ([`throttle`]) is not: it
//! concerns some partitions of a stream, so the leader holds those back, on its own account or because the follower has allowed no
//! more of them ([`limits`]).

mod cold;
mod corrections;
mod counters;
mod ending;
mod fetcher;
mod fetchers;
mod following;
mod held;
mod limits;
mod opened;
mod receiving;
mod reporter;
mod reporting;
mod rounds;
mod runs;
mod sending;
mod serving;
mod session;
mod sessions;
mod stream;
mod throttle;
mod wire;

pub(crate) use fetchers::Fetchers;
pub(crate) use sessions::Sessions;
pub(crate) use throttle::{Side, Throttle};

use std::io;
use std::time::Duration;

use bytes::Bytes;
use eddy_peer::StreamReader;

/// A side that has written nothing for this long says that it is there.
const KEEP_ALIVE: Duration = Duration::from_millis(500);

/// The same where less silence is borne.
fn keep_alive(silence: Duration) -> Duration {
    KEEP_ALIVE.min(silence / 4)
}

/// Partitions that one stream follows at most.
const SLOTS_MAX: usize = 200_000;

/// Logs that are opened at the same time, on either side of the streams: opening reads files on threads that block.
const OPENING_MAX: usize = 8;

/// The next frame; an error when none comes for `silence`. Frames that came while this process stood still count.
async fn next_within(reader: &mut StreamReader, silence: Duration) -> io::Result<Option<Bytes>> {
    match tokio::time::timeout(silence, reader.next()).await {
        Ok(next) => next,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no sign of life")),
    }
}
