//! The quota on partitions made and removed (KIP-599, R-3.152).

use std::error::Error;

use eddy_core::QuotaWindows;
use eddy_metadata::quota::QuotaKey;
use eddy_types::{ErrorCode, Millis};

use super::{Client, Limited, Pause, find};
use crate::call::Call;

/// The partitions of one request against the quota of its caller.
pub(crate) struct Mutations<'a> {
    call: &'a Call,
    limited: Option<(Client, f64, QuotaWindows)>,
    /// Whether the client knows what THROTTLING_QUOTA_EXCEEDED means; for others a change is made, and slowed down.
    strict: bool,
    pause: Millis,
}

/// The caller has changed too much of late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many partitions created or deleted of late; wait {0}")]
pub(crate) struct OverQuota(Millis);

/// Why a change is not made: by a rule of the change, or by the quota.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused<E: Error> {
    #[error(transparent)]
    Rule(E),
    #[error(transparent)]
    OverQuota(#[from] OverQuota),
}

impl OverQuota {
    /// Code and sentence of the answer.
    pub(crate) fn refusal(self) -> (ErrorCode, String) {
        (ErrorCode::ThrottlingQuotaExceeded, self.to_string())
    }
}

impl<E: Error> Refused<E> {
    /// Code and sentence of the answer.
    pub(crate) fn refusal(self, rule: impl FnOnce(E) -> (ErrorCode, String)) -> (ErrorCode, String) {
        match self {
            Refused::Rule(error) => rule(error),
            Refused::OverQuota(over) => over.refusal(),
        }
    }
}

impl<'a> Mutations<'a> {
    /// Versions from `strict_from` on are refused when they are over the quota.
    pub(crate) fn start(call: &'a Call, strict_from: i16) -> Mutations<'a> {
        let image = call.image();
        let limited = find(&image, QuotaKey::ControllerMutationRate, call).map(|(client, limit)| {
            let config = image.broker_config();
            let windows = QuotaWindows::new(
                config.controller_quota_window_num,
                config.controller_quota_window_size_seconds,
            );
            (client, limit, windows)
        });
        Mutations { call, limited, strict: call.version >= strict_from, pause: Millis(0) }
    }

    /// Begins to charge for one change of the metadata.
    pub(crate) fn charge(&mut self) -> Charge<'_, 'a> {
        let pause = self.pause;
        Charge { mutations: self, taken: 0.0, pause }
    }

    /// Makes the client pause for what it did; gives the time to be told in the answer.
    pub(crate) fn finish(self) -> i32 {
        let pause = Pause { quota: Limited::Mutation, millis: self.pause };
        self.call.ctx.quotas.enforce(self.call, pause)
    }
}

/// What one change costs, however often it is decided: only the last decision counts.
pub(crate) struct Charge<'m, 'a> {
    mutations: &'m mut Mutations<'a>,
    /// Taken by the decision that is under way.
    taken: f64,
    /// The pause before the change.
    pause: Millis,
}

impl Charge<'_, '_> {
    /// The change is decided, perhaps not for the first time: what an earlier decision took is given back.
    pub(crate) fn decide(&mut self) {
        self.mutations.pause = self.pause;
        let taken = std::mem::take(&mut self.taken);
        if taken > 0.0
            && let Some((client, limit, _)) = &self.mutations.limited
        {
            let quotas = &self.mutations.call.ctx.quotas;
            quotas.mutated.lock().give_back(quotas.now(), client, taken, *limit);
        }
    }

    /// Counts so many partitions, or refuses them.
    pub(crate) fn take(&mut self, partitions: usize) -> Result<(), OverQuota> {
        let Mutations { call, limited, strict, pause } = &mut *self.mutations;
        let Some((client, limit, windows)) = limited else { return Ok(()) };
        let quotas = &call.ctx.quotas;
        let (now, amount) = (quotas.now(), partitions as f64);
        let mut mutated = quotas.mutated.lock();
        let delay = if *strict {
            match mutated.take_strictly(now, *windows, client, amount, *limit) {
                Ok(()) => Millis(0),
                Err(delay) => {
                    *pause = delay.max(*pause);
                    return Err(OverQuota(delay));
                }
            }
        } else {
            mutated.take(now, *windows, client, amount, *limit)
        };
        *pause = delay.max(*pause);
        self.taken += amount;
        Ok(())
    }
}
