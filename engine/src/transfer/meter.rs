//! What whoever waits is shown: on a terminal a bar that moves, elsewhere a line every few seconds.

use std::fmt;
use std::io::Write;
use std::time::{Duration, Instant};

use crate::extent::{Extent, Far};

const BAR_LEN: usize = 30;
const ON_TERMINAL: Duration = Duration::from_millis(100);
const ELSEWHERE: Duration = Duration::from_secs(5);
/// To the beginning of the line, which is cleared.
const ANEW: &str = "\r\x1b[K";

/// Writes to `out`. What cannot be written is not shown; the work goes on.
#[derive(Debug)]
pub struct Meter<W: Write> {
    out: W,
    is_terminal: bool,
    every: Duration,
    what: &'static str,
    began: Instant,
    shown: Instant,
    has_bar: bool,
}

impl<W: Write> Meter<W> {
    pub fn new(out: W, is_terminal: bool) -> Self {
        Self::with_pace(out, is_terminal, if is_terminal { ON_TERMINAL } else { ELSEWHERE })
    }

    fn with_pace(out: W, is_terminal: bool, every: Duration) -> Self {
        let now = Instant::now();
        Self { out, is_terminal, every, what: "", began: now, shown: now, has_bar: false }
    }

    /// Something else begins: `"reading"`.
    pub(super) fn begin(&mut self, what: &'static str) {
        self.clear();
        (self.what, self.began, self.shown) = (what, Instant::now(), Instant::now());
    }

    /// Shows how far it is, if it is time to.
    pub(super) fn show(&mut self, extent: Extent, keys: u64) {
        if self.shown.elapsed() < self.every {
            return;
        }
        self.shown = Instant::now();
        let far = Far { extent, count: (keys, "keys"), elapsed: self.began.elapsed() };
        let _ = if self.is_terminal {
            write!(self.out, "{ANEW}{} {} {far}", self.what, Bar(extent))
        } else {
            writeln!(self.out, "{} {far}", self.what)
        };
        let _ = self.out.flush();
        self.has_bar = self.is_terminal;
    }

    /// Something that is to be known, whatever comes of it.
    pub(super) fn warn(&mut self, text: fmt::Arguments<'_>) {
        self.clear();
        let _ = writeln!(self.out, "bobbin-server: {text}");
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.has_bar) {
            let _ = write!(self.out, "{ANEW}");
            let _ = self.out.flush();
        }
    }
}

impl<W: Write> Drop for Meter<W> {
    fn drop(&mut self) {
        self.clear();
    }
}

struct Bar(Extent);

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filled = (self.0.percent() * BAR_LEN as f64 / 100.0) as usize;
        write!(f, "[{:-<BAR_LEN$}]", "#".repeat(filled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(is_terminal: bool) -> String {
        let mut out = Vec::new();
        let mut meter = Meter::with_pace(&mut out, is_terminal, Duration::ZERO);
        meter.begin("reading");
        meter.show(Extent { done: 3 << 20, total: 4 << 20 }, 7);
        meter.warn(format_args!("look"));
        meter.show(Extent { done: 4 << 20, total: 4 << 20 }, 9);
        drop(meter);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_terminal_has_a_bar_that_goes_away() {
        let expected = "\r\x1b[Kreading [######################--------] 75 %, 3.0 of 4.0 MiB, 7 keys, 0:00:00 left\
            \r\x1b[Kbobbin-server: look\n\
            \r\x1b[Kreading [##############################] 100 %, 4.0 of 4.0 MiB, 9 keys, 0:00:00 left\
            \r\x1b[K";
        assert_eq!(shown(true), expected);
    }

    #[test]
    fn elsewhere_there_are_lines() {
        let expected = "reading 75 %, 3.0 of 4.0 MiB, 7 keys, 0:00:00 left\n\
            bobbin-server: look\n\
            reading 100 %, 4.0 of 4.0 MiB, 9 keys, 0:00:00 left\n";
        assert_eq!(shown(false), expected);
    }
}
