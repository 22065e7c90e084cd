//! The signals that end a broker.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT and SIGTERM, taken over from the moment this exists.
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    _hangup: Signal,
}

impl StopSignals {
    /// Must be called within a runtime. SIGHUP is taken over too, and ignored: a broker outlives the terminal it was
    /// started from.
    pub(crate) fn install() -> io::Result<Self> {
        Ok(StopSignals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            _hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next of them and names it.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
