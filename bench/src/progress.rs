//! A progress bar on the terminal.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::report::Tally;

/// A run that is shorter shows no bar.
const PATIENCE: Duration = Duration::from_secs(2);
const STEPS: u64 = 1000;

/// The progress of one part of a run; silent unless the standard error is a terminal.
pub struct Progress {
    title: &'static str,
    begin: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// The progress of a part that begins now.
    pub fn new(title: &'static str) -> Self {
        Self { title, begin: Instant::now(), bar: None }
    }

    /// Shows that `fraction` of the part is behind.
    pub fn update(&mut self, fraction: f64, tally: &Tally) {
        let elapsed = self.begin.elapsed();
        if elapsed < PATIENCE {
            return;
        }
        let title = self.title;
        let bar = self.bar.get_or_insert_with(|| new_bar(title));
        if bar.is_hidden() {
            return;
        }
        bar.set_position((fraction * STEPS as f64) as u64);
        bar.set_message(format!(
            "{} ended, {} failed, {:.0}/s",
            tally.ended(),
            tally.failed(),
            tally.ended() as f64 / elapsed.as_secs_f64()
        ));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn new_bar(title: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} [{bar:40}] {percent:>3}% {msg}")
        .expect("the template is well formed");
    ProgressBar::new(STEPS).with_style(style.progress_chars("=> ")).with_prefix(title)
}
