//! `eddy serve`: one broker in the foreground.

use std::sync::Arc;
use std::time::Instant;

use eddy_gateway::Loggers;
use eddy_metadata::config::registry;

use crate::args::ServeArgs;
use crate::boot;
use crate::codes;
use crate::config;
use crate::derived::Machine;
use crate::failure::{Failure, Problem};
use crate::limits;
use crate::logging::{self, Form};
use crate::panics;
use crate::signals::StopSignals;

/// Threads that serve requests, at least: one may be busy in a decoder while the other answers.
const WORKERS_MIN: usize = 2;

/// Runs until SIGTERM or Ctrl-C and a clean stop.
pub(crate) fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let began = Instant::now();
    let config = config::load(args)?;
    let form = Form::of(&config.broker.log_format);
    let loggers = logging::start(form, &config.broker.log_level)
        .map_err(|error| bad_level(&config.broker.log_level, &error))?;
    panics::install();
    if let Some(file) = &args.config {
        let honoured = |key| registry::broker(key).is_some_and(|key| key.inert.is_none());
        let set = config.fixed.iter().filter(|(key, _)| honoured(*key)).count();
        let ignored = config.ignored.len();
        tracing::info!(file = %file.display(), set, ignored, "configuration read; eddy config check shows each key");
    }
    for (key, why) in &config.ignored {
        tracing::info!(key, why, "a key of Kafka's that does nothing here");
    }
    let served = run(config, loggers, began);
    if let (Form::Json, Err(failure)) = (form, &served) {
        // Whoever reads the log by machine would not find the text for people that follows.
        for problem in failure.problems() {
            tracing::error!(code = %problem.code(), "{}", problem.message());
        }
    }
    served
}

fn run(config: config::Config, loggers: Arc<dyn Loggers>, began: Instant) -> Result<(), Failure> {
    let workers =
        std::thread::available_parallelism().map_or(WORKERS_MIN, |cores| cores.get().max(WORKERS_MIN));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("eddy-worker")
        .enable_all()
        .build()
        .map_err(|error| internal("cannot start the runtime", &error))?;
    let outcome = runtime.block_on(async {
        let mut signals = StopSignals::install().map_err(|error| internal("cannot take over signals", &error))?;
        let machine = Machine { memory_bytes: limits::memory_bytes(), open_files: limits::raise_open_files() };
        let running = tokio::select! {
            running = boot::run(config, machine, loggers, began) => running?,
            signal = signals.next() => {
                // What a start has written is in order at any moment, as after a crash.
                tracing::info!(signal, "stopped while starting");
                return Ok(());
            }
        };
        let failed = tokio::select! {
            failure = running.failed() => Some(failure),
            signal = signals.next() => {
                tracing::info!(signal, "stopping");
                None
            }
        };
        tokio::select! {
            () = running.stop() => tracing::info!("stopped"),
            signal = signals.next() => {
                tracing::warn!(signal, "stopped before everything was flushed; the next start replays the log");
            }
        }
        failed.map_or(Ok(()), Err)
    });
    // Threads that still wait for the disk or a client must not hold the process.
    runtime.shutdown_background();
    outcome
}

fn internal(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Problem::new(&codes::INTERNAL, format!("{what}: {error}")).into()
}

fn bad_level(level: &str, reason: &str) -> Failure {
    let problem = Problem::new(&codes::BAD_VALUE, format!("`log.level` cannot be {level:?}: {reason}"));
    problem.fix("eddy serve --log-level info", "log state changes only").into()
}
