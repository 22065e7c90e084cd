//! Threads for work that can wait.

use tokio::sync::oneshot;

/// The lowest priority there is: such a thread runs when no other wants the processor, and gives it up when one does.
const NICE: i32 = 19;

/// Gives the calling thread the lowest priority.
pub fn give_way() {
    // On Linux this is the calling thread's alone. It is refused to nobody; a sandbox may all the same.
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "cannot lower the priority of a thread");
    }
}

/// Does `work` on a thread of its own, which gets what the others leave. Ends when it has; a panic was reported by its hook then, and
/// a thread that cannot be made has done nothing.
pub(crate) async fn run(name: &str, work: impl FnOnce() + Send + 'static) {
    let (done, ended) = oneshot::channel::<()>();
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Dropped at the end, whatever that is.
        let _done = done;
        give_way();
        work();
    });
    match spawned {
        Ok(_) => drop(ended.await),
        Err(error) => tracing::warn!(%error, name, "cannot start a thread; tried again later"),
    }
}
