//! The progress line: drawn on a terminal only, and on standard error.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::load::Progress;

/// How far a phase can be known to be.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    Replies(u64),
    Time(Duration),
}

#[derive(Debug)]
pub struct Line {
    bar: ProgressBar,
    goal: Goal,
    began: Instant,
}

impl Line {
    pub fn start(label: &str, goal: Goal) -> Self {
        let length = match goal {
            Goal::Replies(count) => count,
            Goal::Time(time) => time.as_millis() as u64,
        };
        let style = ProgressStyle::with_template("{prefix:<9} [{bar:30}] {percent:>3}% {msg}")
            .expect("the template is a constant");
        let bar = ProgressBar::new(length).with_style(style).with_prefix(label.to_owned());
        Self { bar, goal, began: Instant::now() }
    }
}

impl Progress for Line {
    fn replies(&mut self, count: u64) {
        let elapsed = self.began.elapsed();
        self.bar.set_position(match self.goal {
            Goal::Replies(_) => count,
            Goal::Time(_) => elapsed.as_millis() as u64,
        });
        let rate = count as f64 / elapsed.as_secs_f64();
        self.bar.set_message(format!("{count} replies, {rate:.0}/s"));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
