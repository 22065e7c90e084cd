//! The end of the process when going on would break a promise.

/// Reports why and aborts. After a failed write or sync of log data the kernel may have dropped the pages: no later
/// success could be believed, so nothing may be acknowledged any more.
pub(crate) fn stop(what: &str, error: &dyn std::fmt::Display) -> ! {
    tracing::error!(%error, "ED-1201: {what}; stopping so that nothing unsafe is acknowledged");
    eprintln!("error[ED-1201]: {what}: {error}\n  more: eddy explain ED-1201");
    std::process::abort();
}
