//! The end of the process when going on would break a promise.

use std::fmt::Display;

/// What is done when log data cannot be written or synced: `what` failed, and why. It does not return.
pub type OnFatal = fn(what: &str, error: &dyn Display) -> !;

/// Reports why and aborts. After a failed write or sync of log data the kernel may have dropped the pages: no later
/// success could be believed, so nothing may be acknowledged any more.
pub fn abort(what: &str, error: &dyn Display) -> ! {
    tracing::error!(%error, "ED-1201: {what}; stopping so that nothing unsafe is acknowledged");
    eprintln!("error[ED-1201]: {what}: {error}\n  more: eddy explain ED-1201");
    std::process::abort();
}
