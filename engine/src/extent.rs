//! How far something is whose length is known: what part of it is done, and how long the rest takes.

use std::fmt;
use std::time::Duration;

/// Bytes of something being read or written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    pub done: u64,
    /// 0: nobody knows.
    pub total: u64,
}

impl Extent {
    /// 0 to 100.
    pub fn percent(self) -> f64 {
        if self.total == 0 { 0.0 } else { self.done.min(self.total) as f64 * 100.0 / self.total as f64 }
    }

    /// Seconds until the rest is done if it goes on as it did.
    pub fn secs_left(self, elapsed: Duration) -> u64 {
        let left = self.total.saturating_sub(self.done);
        (elapsed.as_secs_f64() * left as f64 / (self.done + 1) as f64) as u64
    }
}

/// How far it is in words: `75 %, 3.0 of 4.0 MiB, 7 keys, 0:00:12 left`.
#[derive(Clone, Copy, Debug)]
pub struct Far {
    pub extent: Extent,
    /// So many of these have been done.
    pub count: (u64, &'static str),
    pub elapsed: Duration,
}

impl fmt::Display for Far {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { extent, count: (count, what), elapsed } = *self;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        if extent.total == 0 {
            return write!(f, "{:.1} MiB, {count} {what}", mib(extent.done));
        }
        let (percent, left) = (extent.percent(), extent.secs_left(elapsed));
        let (hours, minutes, seconds) = (left / 3600, left / 60 % 60, left % 60);
        let [done, total] = [extent.done, extent.total].map(mib);
        write!(
            f,
            "{percent:.0} %, {done:.1} of {total:.1} MiB, {count} {what}, {hours}:{minutes:02}:{seconds:02} left"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_takes_as_long_as_what_is_done() {
        let extent = Extent { done: 249, total: 1000 };
        assert_eq!(format!("{:.2}", extent.percent()), "24.90");
        assert_eq!(extent.secs_left(Duration::from_secs(10)), 30);
        assert_eq!(Extent { done: 1000, total: 1000 }.secs_left(Duration::from_secs(10)), 0);
    }

    #[test]
    fn how_far_it_is_is_told_in_words() {
        let mut far = Far {
            extent: Extent { done: 3 << 20, total: 4 << 20 },
            count: (7, "keys"),
            elapsed: Duration::from_mins(200),
        };
        assert_eq!(far.to_string(), "75 %, 3.0 of 4.0 MiB, 7 keys, 1:06:39 left");
        far.extent.total = 0;
        assert_eq!(far.to_string(), "3.0 MiB, 7 keys");
    }

    /// A file may grow while it is read, and a pipe has no length.
    #[test]
    fn what_has_no_length_or_grows_is_no_more_than_whole() {
        assert_eq!(format!("{:.2}", Extent { done: 5, total: 0 }.percent()), "0.00");
        assert_eq!(format!("{:.2}", Extent { done: 5, total: 4 }.percent()), "100.00");
        assert_eq!(Extent { done: 5, total: 4 }.secs_left(Duration::from_secs(1)), 0);
    }
}
