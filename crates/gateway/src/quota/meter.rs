//! The quota on time: how long the broker's threads worked for a client (KIP-124).

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use eddy_core::QuotaWindows;
use eddy_metadata::Image;
use eddy_metadata::quota::QuotaKey;
use eddy_types::Millis;

use super::{Client, Limited, Pause, Throttled, find, windows};
use crate::call::Call;

/// Measures the work on one request, if the caller's time is limited.
pub(crate) struct Meter {
    limited: Option<Box<LimitedCaller>>,
    spent: Duration,
}

struct LimitedCaller {
    call: Call,
    client: Client,
    limit: f64,
    windows: QuotaWindows,
}

impl Meter {
    pub(crate) fn start(call: &Call, image: &Image) -> Meter {
        let found = find(image, QuotaKey::RequestPercentage, call);
        let limited = found.map(|(client, limit)| {
            Box::new(LimitedCaller { call: call.clone(), client, limit, windows: windows(image) })
        });
        Meter { limited, spent: Duration::ZERO }
    }

    /// Whether time on a thread is counted: what waits there for the disk would be counted with it.
    pub(crate) fn is_running(&self) -> bool {
        self.limited.is_some()
    }

    /// Does a piece of work. Only the time on a thread counts, not what is waited for.
    pub(crate) async fn time<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let is_running = self.is_running();
        std::future::poll_fn(|context| {
            if !is_running {
                return work.as_mut().poll(context);
            }
            let began = Instant::now();
            let polled = work.as_mut().poll(context);
            self.spent += began.elapsed();
            polled
        })
        .await
    }

    /// Counts the work and tells the pause that it costs: one window at most, as in Kafka.
    pub(crate) fn pause(&self) -> Pause {
        let Some(LimitedCaller { call, client, limit, windows }) = self.limited.as_deref() else {
            return Pause::NONE;
        };
        let quotas = &call.ctx.quotas;
        let percent = self.spent.as_secs_f64() * 100.0;
        let delay = quotas.requested.lock().record(quotas.now(), *windows, client, percent, *limit);
        Pause { quota: Limited::Request, millis: delay.min(Millis(i64::from(windows.millis))) }
    }

    /// Makes the client pause for the work, and tells it so in the answer.
    pub(crate) fn charge(self, answer: &mut impl Throttled) {
        let Some(LimitedCaller { call, .. }) = self.limited.as_deref() else { return };
        let millis = call.ctx.quotas.enforce(call, self.pause());
        if let Some(told) = answer.throttle_time_ms() {
            *told = (*told).max(millis);
        }
    }
}
