//! A set of connections on which phases run in turn: fill, warm up, measure, read back.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::connection::{Assignment, GENERATIONS};
use super::pace::{Arrivals, Schedule};
use super::tally::Tally;
use super::target::Target;
use super::worker::{Run, Worker};
use super::written::Written;
use crate::Error;
use crate::cpus::Cpus;
use crate::workload::{KeySpace, Mix, Pattern};

/// How often progress is told, and throughput over time sampled.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// Filling and reading back go at this pipeline at least.
const BULK_PIPELINE_MIN: usize = 32;

/// Connections and the threads that drive them.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Connections per thread.
    pub clients: usize,
    pub threads: usize,
    /// One CPU per thread, round and round.
    pub cpus: Option<Cpus>,
    pub seed: u64,
}

/// What the connections do until a limit.
#[derive(Clone, Debug)]
pub struct Phase {
    pub mix: Mix,
    pub pipeline: usize,
    pub limit: Limit,
    /// Requests per second and connection; none in a closed loop.
    pub rate: Option<f64>,
    pub arrivals: Arrivals,
    /// Which of a key's values is written.
    pub generation: u8,
    pub check: Check,
    /// The part of each connection, by its index over all threads; the last holds for the rest.
    pub roles: Vec<Role>,
}

/// A phase ends at whichever comes first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limit {
    /// Requests of each connection.
    pub requests: Option<u64>,
    pub time: Option<Duration>,
    /// Each connection stops when it has been through its part of the keys once.
    pub own_keys: bool,
}

/// What the reply to a GET is compared with.
#[derive(Clone, Debug)]
pub enum Check {
    Nothing,
    /// The key's value, as filled or as overwritten.
    Either,
    /// Exactly what was written last. A key neither overwritten nor filled may be missing, or hold what
    /// another run wrote.
    Last {
        written: Written,
        filled: bool,
    },
}

/// A connection's part in a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// All rows in their ratio, under the phase's limit and pace.
    All,
    /// One row, under the phase's limit, as fast as it is answered.
    Closed { row: usize },
    /// One row at a steady interval, for as long as others run.
    Probe { row: usize, interval: Duration },
}

/// Told of the replies so far.
pub trait Progress {
    fn replies(&mut self, count: u64);
}

impl<F: FnMut(u64)> Progress for F {
    fn replies(&mut self, count: u64) {
        self(count);
    }
}

#[derive(Debug)]
pub struct Session {
    shape: Shape,
    workers: Vec<Worker>,
}

impl Session {
    pub fn connect(target: &Target, shape: &Shape) -> Result<Self, Error> {
        let worker = || {
            let sockets = (0..shape.clients).map(|_| target.connect()?.into_socket());
            Worker::new(sockets.collect::<Result<_, _>>()?)
        };
        let workers = (0..shape.threads).map(|_| worker()).collect::<Result<_, _>>()?;
        Ok(Self { shape: shape.clone(), workers })
    }

    fn connections(&self) -> usize {
        self.shape.clients * self.shape.threads
    }

    /// Remembers from here on which keys are overwritten, for [`Session::read_back`].
    pub fn remember_writes(&mut self, keys: &KeySpace) {
        for worker in &mut self.workers {
            worker.written = Some(Written::new(keys.minimum(), keys.count()));
        }
    }

    /// Runs `line` once for each key, values of the generation before any overwriting.
    pub fn fill(
        &mut self,
        line: &str,
        keys: &KeySpace,
        data_size: usize,
        pipeline: usize,
        progress: &mut dyn Progress,
    ) -> Result<Tally, Error> {
        let mix = Mix::single(line, keys, data_size, Pattern::Parallel)?;
        let phase = Phase::once_over(mix, pipeline, Check::Nothing);
        self.run(&phase, progress)
    }

    /// Gets every key once and compares it with what was written last.
    pub fn read_back(
        &mut self,
        keys: &KeySpace,
        data_size: usize,
        pipeline: usize,
        filled: bool,
        progress: &mut dyn Progress,
    ) -> Result<Tally, Error> {
        let mut written = Written::new(keys.minimum(), keys.count());
        self.workers.iter_mut().filter_map(|worker| worker.written.take()).for_each(|one| written.add(&one));
        let mix = Mix::single("GET __key__", keys, data_size, Pattern::Parallel)?;
        let phase = Phase::once_over(mix, pipeline, Check::Last { written, filled });
        self.run(&phase, progress)
    }

    /// Runs a phase on all threads until every request is answered, or one thread fails.
    pub fn run(&mut self, phase: &Phase, progress: &mut dyn Progress) -> Result<Tally, Error> {
        let assignments = self.assignments(phase)?;
        let counters: Vec<AtomicU64> = self.workers.iter().map(|_| AtomicU64::new(0)).collect();
        let (aborted, running) = (AtomicBool::new(false), AtomicUsize::new(self.workers.len()));
        let (shape, began, watcher) = (&self.shape, Instant::now(), thread::current());
        let threads = self.workers.iter_mut().zip(assignments).zip(&counters).enumerate();
        let (timeline, tallies) = thread::scope(|scope| {
            let mut handles = Vec::new();
            for (index, ((worker, assignments), replies)) in threads {
                let (running, aborted, watcher) = (&running, &aborted, watcher.clone());
                let run = Run { began, replies, aborted };
                handles.push(scope.spawn(move || {
                    let prepared = prepare_thread(shape, index, phase);
                    let tally = prepared.and_then(|()| worker.run(phase, assignments, &run));
                    aborted.fetch_or(tally.is_err(), Relaxed);
                    running.fetch_sub(1, Relaxed);
                    watcher.unpark();
                    tally
                }));
            }
            let is_over = || running.load(Relaxed) == 0 || handles.iter().all(ScopedJoinHandle::is_finished);
            let timeline = watch(is_over, &counters, began, progress);
            (timeline, handles.into_iter().map(join).collect::<Vec<_>>())
        });
        let total = merge(phase.mix.rows.len(), tallies)?;
        Ok(Tally { timeline, ..total })
    }

    /// The parts of all connections, by thread.
    fn assignments(&self, phase: &Phase) -> Result<Vec<Vec<Assignment>>, Error> {
        let of = self.connections();
        let assignment = |index| phase.assignment(index, of, self.shape.seed);
        let of_thread = |thread| {
            let first = thread * self.shape.clients;
            (first..first + self.shape.clients).map(assignment).collect()
        };
        (0..self.shape.threads).map(of_thread).collect()
    }
}

impl Phase {
    /// A phase without a limit, as fast as it is answered, that writes the overwriting generation.
    pub fn closed(mix: Mix, pipeline: usize, limit: Limit) -> Self {
        Self {
            mix,
            pipeline,
            limit,
            rate: None,
            arrivals: Arrivals::Fixed,
            generation: GENERATIONS[1],
            check: Check::Nothing,
            roles: vec![Role::All],
        }
    }

    fn once_over(mix: Mix, pipeline: usize, check: Check) -> Self {
        let limit = Limit { own_keys: true, ..Limit::default() };
        let closed = Self::closed(mix, pipeline.max(BULK_PIPELINE_MIN), limit);
        Self { generation: GENERATIONS[0], check, ..closed }
    }

    fn assignment(&self, index: usize, of: usize, seed: u64) -> Result<Assignment, Error> {
        let own_keys = self.limit.own_keys.then(|| self.mix.keys.part_len(index, of));
        let left = match (self.limit.requests, own_keys) {
            (Some(requests), Some(own)) => Some(requests.min(own)),
            (requests, own) => requests.or(own),
        };
        let role = self.roles.get(index).or(self.roles.last()).copied().unwrap_or(Role::All);
        let paced = |rate| Schedule::new(rate, self.arrivals, index, of, seed);
        Ok(match role {
            Role::All => Assignment {
                source: self.mix.source(index, of, seed)?,
                pipeline: self.pipeline,
                left,
                schedule: self.rate.map(paced),
                background: false,
            },
            Role::Closed { row } => Assignment {
                source: self.mix.source_of_row(row, index, of, seed)?,
                pipeline: self.pipeline,
                left,
                schedule: None,
                background: false,
            },
            Role::Probe { row, interval } => Assignment {
                source: self.mix.source_of_row(row, index, of, seed)?,
                pipeline: self.pipeline,
                left: None,
                schedule: Some(Schedule::new(1.0 / interval.as_secs_f64(), Arrivals::Fixed, 0, 1, seed)),
                background: true,
            },
        })
    }

    fn is_paced(&self) -> bool {
        self.rate.is_some() || self.roles.iter().any(|role| matches!(role, Role::Probe { .. }))
    }
}

fn prepare_thread(shape: &Shape, index: usize, phase: &Phase) -> Result<(), Error> {
    if let Some(cpus) = &shape.cpus {
        cpus.one(index).pin_current()?;
    }
    if phase.is_paced() {
        // Timers fire up to 50 µs late otherwise, so that wakes can be shared.
        rustix::thread::set_current_timer_slack(NonZeroU64::new(1))
            .map_err(|errno| Error::system("cannot set the timer slack", errno))?;
    }
    Ok(())
}

/// Tells progress until the phase is over; returns the replies counted over time.
fn watch(
    is_over: impl Fn() -> bool,
    counters: &[AtomicU64],
    began: Instant,
    progress: &mut dyn Progress,
) -> Vec<(u64, u64)> {
    let mut timeline = Vec::new();
    let mut next_sample = PROGRESS_INTERVAL;
    while !is_over() {
        thread::park_timeout(next_sample.saturating_sub(began.elapsed()));
        if began.elapsed() >= next_sample {
            let count = counters.iter().map(|counter| counter.load(Relaxed)).sum();
            timeline.push((began.elapsed().as_nanos() as u64, count));
            progress.replies(count);
            next_sample += PROGRESS_INTERVAL;
        }
    }
    timeline
}

fn join(handle: ScopedJoinHandle<'_, Result<Tally, Error>>) -> Result<Tally, Error> {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The sum, or the failure that made the other threads stop.
fn merge(rows: usize, tallies: Vec<Result<Tally, Error>>) -> Result<Tally, Error> {
    let mut total = Tally::new(rows);
    let mut failure = None;
    for tally in tallies {
        match tally {
            Ok(tally) => total.add(&tally),
            Err(error) if failure.is_none() || matches!(failure, Some(Error::Interrupted)) => {
                failure = Some(error);
            }
            Err(_) => {}
        }
    }
    failure.map_or(Ok(total), Err)
}
