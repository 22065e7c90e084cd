//! How far it is, on a terminal.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use super::producer::Producer;
use crate::Context;

/// Before progress is shown.
const PROGRESS_AFTER: Duration = Duration::from_secs(1);

/// How far it is, on a terminal, when it takes long.
pub(super) struct Progress {
    bar: ProgressBar,
    started: Instant,
}

impl Progress {
    pub(super) fn new(context: &Context) -> Progress {
        let is_wanted = !context.global.quiet && io::stderr().is_terminal() && !io::stdin().is_terminal();
        let bar = if is_wanted { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {human_pos} records  {per_sec}  {msg}  {elapsed}")
        {
            bar.set_style(style);
        }
        Progress { bar, started: Instant::now() }
    }

    pub(super) fn show(&self, producer: &Producer<'_>) {
        if self.started.elapsed() >= PROGRESS_AFTER {
            self.bar.set_position(producer.records);
            self.bar.set_message(HumanBytes(producer.bytes).to_string());
        }
    }

    /// Takes it off the terminal.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
