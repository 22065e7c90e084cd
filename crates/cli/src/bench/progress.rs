//! How far a course is, on a terminal.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use super::options::Times;
use crate::Context;

/// How far a course is, on a terminal.
pub(super) struct Progress {
    bar: ProgressBar,
    /// None: until all is done.
    duration: Option<Duration>,
    since: Option<Instant>,
}

impl Progress {
    pub(super) fn new(context: &Context, times: &Times) -> Progress {
        let is_wanted = !context.global.quiet && io::stderr().is_terminal();
        let duration = times.duration();
        let bar = match (is_wanted, duration) {
            (false, _) => ProgressBar::hidden(),
            (true, Some(duration)) => ProgressBar::new(duration.as_millis() as u64),
            (true, None) => ProgressBar::new_spinner(),
        };
        let template =
            if duration.is_some() { "[{bar:24}] {msg}  {elapsed}" } else { "{spinner} {msg}  {elapsed}" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress { bar, duration, since: None }
    }

    pub(super) fn show(&mut self, is_measuring: bool, (records, bytes): (u64, u64)) {
        if self.bar.is_hidden() {
            return;
        }
        if !is_measuring {
            self.bar.set_message("warming up");
            self.bar.tick();
            return;
        }
        let elapsed = self.since.get_or_insert_with(Instant::now).elapsed();
        let seconds = elapsed.as_secs_f64().max(1e-3);
        let (records, bytes) = (records as f64 / seconds, bytes as f64 / seconds);
        self.bar.set_message(format!(
            "{} records/s  {}/s",
            HumanCount(records as u64),
            HumanBytes(bytes as u64)
        ));
        if self.duration.is_some() {
            self.bar.set_position(elapsed.as_millis() as u64);
        }
        self.bar.tick();
    }

    /// Takes it off the terminal.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
