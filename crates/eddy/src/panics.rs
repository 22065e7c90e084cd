//! What happens when a broken invariant panics.
//!
//! A panic in a request ends its connection, and the client tries again. A panic in a thread that keeps the promises of the
//! broker, which log, flush and replicate metadata, must end the process: what is left would take requests and never answer
//! them.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

use crate::codes;
use crate::failure::{Failure, Problem};

/// Beginnings of the names of the threads that no broker can be without.
const VITAL: [&str; 3] = ["eddy-wal", "eddy-flusher", "eddy-quorum"];

/// Takes over the reporting of panics for the life of the process.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed");
        let problem = report(name, panic);
        tracing::error!(code = %problem.code(), thread = name, "{}", problem.message());
        if VITAL.iter().any(|vital| name.starts_with(vital)) {
            eprint!("{}", Failure::from(problem));
            std::process::abort();
        }
    }));
}

fn report(thread: &str, panic: &PanicHookInfo<'_>) -> Problem {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text");
    let place =
        panic.location().map(|place| format!(" at {}:{}", place.file(), place.line())).unwrap_or_default();
    let problem = Problem::new(&codes::INTERNAL, format!("thread {thread} panicked{place}: {text}"));
    let backtrace = Backtrace::capture();
    match backtrace.status() {
        BacktraceStatus::Captured => problem.fact(backtrace.to_string()),
        _ => problem.fact("RUST_BACKTRACE=1 shows how it came there"),
    }
}
