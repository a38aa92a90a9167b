//! LATENCY GRAPH: samples as columns of characters, with their age below, read downwards. The layout is Redis's.

use crate::observe::Series;

/// Samples side by side.
const COLUMNS: usize = 80;
const ROWS: usize = 4;
/// A cell a third full, two thirds, and all.
const LEVELS: [u8; 3] = *b"_o#";
const STEPS: u64 = (ROWS * LEVELS.len()) as u64;
/// What stands below a column's top.
const FULL: u8 = b'|';

struct Column {
    /// 0 to `STEPS - 1`.
    step: usize,
    age: String,
}

pub(super) fn draw(event: &str, series: &Series, now_s: u64) -> String {
    let high = series.iter().map(|sample| sample.ms).max().unwrap_or(0);
    let low = series.iter().map(|sample| sample.ms).min().unwrap_or(0);
    let columns: Vec<Column> = series
        .iter()
        .map(|sample| {
            let step = (sample.ms - low) * STEPS / (high - low).max(1);
            Column { step: step.min(STEPS - 1) as usize, age: age(now_s.saturating_sub(sample.unix_s)) }
        })
        .collect();
    let parts: Vec<String> = columns.chunks(COLUMNS).map(draw_part).collect();
    format!(
        "{event} - high {high} ms, low {low} ms (all time high {} ms)\n{}\n{}",
        series.worst_ms(),
        "-".repeat(COLUMNS),
        parts.join("\n")
    )
}

fn draw_part(columns: &[Column]) -> String {
    let mut text = String::new();
    let mut line = |cell: &dyn Fn(&Column) -> u8| {
        text.extend(columns.iter().map(|column| cell(column) as char));
        text.push('\n');
    };
    for row in (0..ROWS).rev() {
        line(&|column| cell(column.step, row));
    }
    line(&|_| b' ');
    let longest = columns.iter().map(|column| column.age.len()).max().unwrap_or(0);
    for at in 0..longest {
        line(&|column| column.age.as_bytes().get(at).copied().unwrap_or(b' '));
    }
    text
}

/// `row` counts from the bottom.
fn cell(step: usize, row: usize) -> u8 {
    match step.checked_sub(row * LEVELS.len()) {
        None => b' ',
        Some(level) => LEVELS.get(level).copied().unwrap_or(FULL),
    }
}

fn age(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match seconds {
        0..MINUTE => format!("{seconds}s"),
        MINUTE..HOUR => format!("{}m", seconds / MINUTE),
        HOUR..DAY => format!("{}h", seconds / HOUR),
        _ => format!("{}d", seconds / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{LatencyMonitor, Work};

    fn series(samples: &[(u64, u64)]) -> Series {
        let mut monitor = LatencyMonitor::default();
        monitor.configure(1);
        samples.iter().for_each(|&(s, ms)| monitor.note(Work::Command, s * 1000, ms * 1_000_000));
        monitor.series(Work::Command).clone()
    }

    #[test]
    fn one_sample_is_drawn_as_redis_draws_it() {
        let line = "-".repeat(COLUMNS);
        assert_eq!(
            draw("command", &series(&[(100, 20)]), 101),
            format!("command - high 20 ms, low 20 ms (all time high 20 ms)\n{line}\n \n \n \n_\n \n1\ns\n")
        );
    }

    #[test]
    fn columns_grow_with_the_samples() {
        let text = draw("command", &series(&[(1, 10), (2, 16), (3, 22)]), 3 + 7200);
        let rows: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(rows, ["  #", " _|", " ||", "_||", "   ", "222", "hhh"]);
    }

    #[test]
    fn many_samples_wrap() {
        let many: Vec<_> = (0..81).map(|second| (second, 5)).collect();
        let text = draw("command", &series(&many), 81);
        assert_eq!(text.lines().filter(|line| line.starts_with('_')).count(), 2);
    }
}
