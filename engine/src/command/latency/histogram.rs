//! LATENCY HISTOGRAM: run times of commands, by powers of two.
//!
//! Redis walks its histogram in nanoseconds, at 1024 and its doubles, and answers the upper end of the bucket each
//! falls into in microseconds: 1, 2, 4, 8, 16, 33, 66, 132 … Ours has the same buckets, so the numbers are the same.

use bobbin_proto::Reply;
use hdrhistogram::Histogram;

use super::super::{Args, Session, TABLE, find_any, row, subcommands};
use crate::core::Core;
use crate::errand::{Errand, Targets};
use crate::error::CommandError;
use crate::ids::CommandId;
use crate::observe::CommandCounts;

/// Where Redis begins, in nanoseconds.
const FIRST_NS: u64 = 1024;

pub(super) fn latency_histogram(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let wanted = if args.len() == 2 { every_command() } else { named(args) };
    session.ask(Histograms(wanted), Targets::All);
    Ok(())
}

fn every_command() -> Vec<CommandId> {
    TABLE.iter().map(|row| row.id).collect()
}

/// A container stands for its subcommands. Unknown names are left out, as in Redis.
fn named(args: Args<'_>) -> Vec<CommandId> {
    let rows = args.iter_from(2).filter_map(find_any);
    rows.flat_map(|row| std::iter::once(row).chain(subcommands(row))).map(|row| row.id).collect()
}

#[derive(Debug)]
struct Histograms(Vec<CommandId>);

impl Errand for Histograms {
    /// One for each command wanted.
    type Answer = Vec<CommandCounts>;

    fn visit(&self, core: &mut Core) -> Vec<CommandCounts> {
        let rows = core.observed.commands.rows();
        self.0.iter().map(|id| rows[id.0 as usize].clone()).collect()
    }

    fn finish(
        &self,
        answers: Vec<Vec<CommandCounts>>,
        _: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        let mut merged = vec![CommandCounts::default(); self.0.len()];
        for answer in &answers {
            merged.iter_mut().zip(answer).for_each(|(mine, other)| mine.merge(other));
        }
        let found: Vec<_> = self
            .0
            .iter()
            .zip(&merged)
            .filter_map(|(id, counts)| Some((id, counts.latency.histogram()?)))
            .collect();
        reply.map(found.len());
        for (id, latency) in found {
            reply.bulk(row(*id).name.as_bytes());
            write_histogram(latency, reply);
        }
        Ok(())
    }
}

fn write_histogram(latency: &Histogram<u64>, reply: &mut Reply<'_>) {
    reply.map(2);
    reply.bulk(b"calls");
    reply.int(latency.len() as i64);
    reply.bulk(b"histogram_usec");
    let buckets = buckets(latency);
    reply.map(buckets.len());
    for (us, calls) in buckets {
        reply.int(us as i64);
        reply.int(calls as i64);
    }
}

/// Upper ends in microseconds, each with the calls that took no longer; only those that add calls to the one before.
fn buckets(latency: &Histogram<u64>) -> Vec<(u64, u64)> {
    let mut buckets: Vec<(u64, u64)> = Vec::new();
    let (mut level, mut calls) = (FIRST_NS, 0);
    for step in latency.iter_recorded() {
        while step.value_iterated_to() > latency.highest_equivalent(level) {
            close(&mut buckets, latency.highest_equivalent(level) / 1000, calls);
            level *= 2;
        }
        calls += step.count_since_last_iteration();
    }
    close(&mut buckets, latency.highest_equivalent(level) / 1000, calls);
    buckets
}

fn close(buckets: &mut Vec<(u64, u64)>, us: u64, calls: u64) {
    if calls > buckets.last().map_or(0, |&(_, before)| before) {
        buckets.push((us, calls));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{OwnedArgs, commands};

    fn buckets_of(run_times: &[u64]) -> Vec<(u64, u64)> {
        let mut latency = Histogram::new_with_bounds(1, 60_000_000_000, 2).unwrap();
        run_times.iter().for_each(|&ns| latency.saturating_record(ns));
        buckets(&latency)
    }

    #[test]
    fn buckets_are_those_of_redis() {
        let doubles: Vec<_> = (0..18).map(|power| FIRST_NS << power).collect();
        let upper: Vec<_> = buckets_of(&doubles).into_iter().map(|(us, _)| us).collect();
        // What redis-server 7.0.15 answers for these run times.
        assert_eq!(
            upper,
            [1, 2, 4, 8, 16, 33, 66, 132, 264, 528, 1056, 2113, 4227, 8454, 16908, 33816, 67633, 135_266]
        );
    }

    #[test]
    fn calls_add_up_and_empty_buckets_are_left_out() {
        assert_eq!(buckets_of(&[]), []);
        assert_eq!(buckets_of(&[1, 500, 1024, 1025]), [(1, 4)]);
        assert_eq!(buckets_of(&[3000, 100_000, 100_000]), [(4, 1), (132, 3)]);
    }

    #[test]
    fn a_container_stands_for_its_subcommands() {
        let container = commands().find(|row| subcommands(row).next().is_some()).unwrap();
        let request = OwnedArgs::new(
            [&b"latency"[..], b"histogram", container.name.as_bytes(), b"nothing"].into_iter(),
        );
        assert_eq!(named(request.as_args()).len(), 1 + subcommands(container).count());
    }
}
