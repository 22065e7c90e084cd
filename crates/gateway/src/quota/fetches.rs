//! The quota on fetched bytes. A fetch over it is answered without records, so the bytes are not used after all.

use std::sync::Arc;

use eddy_core::QuotaWindows;
use eddy_metadata::quota::QuotaKey;

use super::{Client, Limited, Pause, find, windows};
use crate::call::Call;
use crate::context::Context;

/// The limit on one fetch.
pub(crate) struct FetchQuota {
    ctx: Arc<Context>,
    client: Client,
    limit: f64,
    windows: QuotaWindows,
}

/// What becomes of a fetch that has its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FetchVerdict {
    /// The records go out, and the client pauses for as long as they cost (which is nothing, mostly).
    Send(Pause),
    /// No records go out; after the pause they may.
    Withhold(Pause),
}

impl FetchQuota {
    /// The quota of the caller, if it has one.
    pub(crate) fn of(call: &Call) -> Option<FetchQuota> {
        let image = call.image();
        let (client, limit) = find(&image, QuotaKey::ConsumerByteRate, call)?;
        Some(FetchQuota { ctx: Arc::clone(&call.ctx), client, limit, windows: windows(&image) })
    }

    /// Most bytes that one answer may have: what the quota lets through at once. More would never be let through.
    pub(crate) fn answer_bytes_max(&self) -> usize {
        // A cast saturates.
        self.windows.burst(self.limit) as usize
    }

    /// Counts an answer of so many bytes, unless it is over the quota.
    pub(crate) fn record(&self, bytes: usize) -> FetchVerdict {
        let quotas = &self.ctx.quotas;
        let now = quotas.now();
        let mut fetched = quotas.fetched.lock();
        let millis = fetched.record(now, self.windows, &self.client, bytes as f64, self.limit);
        let pause = Pause { quota: Limited::Fetch, millis };
        // One batch that is larger than what can be let through at once would wait for ever: it goes, and is paid for.
        if pause.millis.0 <= 0 || bytes > self.answer_bytes_max() {
            return FetchVerdict::Send(pause);
        }
        fetched.unrecord(now, &self.client, bytes as f64, self.limit);
        FetchVerdict::Withhold(pause)
    }

    /// Takes back an answer that was withheld for another reason.
    pub(crate) fn unrecord(&self, bytes: usize) {
        let quotas = &self.ctx.quotas;
        quotas.fetched.lock().unrecord(quotas.now(), &self.client, bytes as f64, self.limit);
    }
}
