//! A set of connections on which phases run in turn: fill, warm up, measure, read back.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::cluster::{self, Routes, Topology};
use super::connection::{Assignment, GENERATIONS, Place};
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
    /// Connections per thread; in a cluster as many to every node.
    pub clients: usize,
    pub threads: usize,
    /// One CPU per thread, round and round.
    pub cpus: Option<Cpus>,
    pub seed: u64,
}

/// What the connections do until a limit. In a cluster, a client's requests and its rate are divided among
/// its connections.
#[derive(Clone, Debug)]
pub struct Phase {
    pub mix: Mix,
    pub pipeline: usize,
    pub limit: Limit,
    /// Requests per second and client; none in a closed loop.
    pub rate: Option<f64>,
    pub arrivals: Arrivals,
    /// Which of a key's values is written.
    pub generation: u8,
    pub check: Check,
    /// The part of each client, by its index over all threads; the last holds for the rest.
    pub roles: Vec<Role>,
}

/// A phase ends at whichever comes first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limit {
    /// Requests of each client.
    pub requests: Option<u64>,
    pub time: Option<Duration>,
    /// Each client stops when it has been through its part of the keys once.
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
    target: Target,
    shape: Shape,
    workers: Vec<Worker>,
}

impl Session {
    pub fn connect(target: &Target, shape: &Shape) -> Result<Self, Error> {
        let topology = if target.cluster { Some(Topology::ask(target)?) } else { None };
        let worker = |thread: usize| {
            let first = thread * shape.clients;
            Worker::connect(target, topology.as_ref(), first..first + shape.clients)
        };
        let workers = (0..shape.threads).map(worker).collect::<Result<_, _>>()?;
        Ok(Self { target: target.clone(), shape: shape.clone(), workers })
    }

    pub fn connections(&self) -> usize {
        self.workers.iter().map(|worker| worker.places().count()).sum()
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
        self.workers.iter_mut().try_for_each(Worker::complete)?;
        let assignments = self.assignments(phase)?;
        let routes =
            if self.target.cluster { cluster::routes(&self.target, &phase.mix)? } else { Routes::new() };
        let counters: Vec<AtomicU64> = self.workers.iter().map(|_| AtomicU64::new(0)).collect();
        let (aborted, running) = (AtomicBool::new(false), AtomicUsize::new(self.workers.len()));
        let (shape, began, watcher) = (&self.shape, Instant::now(), thread::current());
        let threads = self.workers.iter_mut().zip(assignments).zip(&counters).enumerate();
        let (timeline, tallies) = thread::scope(|scope| {
            let mut handles = Vec::new();
            for (index, ((worker, assignments), replies)) in threads {
                let (running, aborted, watcher) = (&running, &aborted, watcher.clone());
                let routes = &routes;
                let run = Run { began, replies, aborted, routes };
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
        let clients = self.shape.clients * self.shape.threads;
        let of_worker = |worker: &Worker| {
            let nodes = worker.places().map(|place| place.node + 1).max().unwrap_or(1);
            worker.places().map(|place| phase.assignment(place, clients, nodes, self.shape.seed)).collect()
        };
        self.workers.iter().map(of_worker).collect()
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

    /// The part of one connection of a client, of which each has one to each of `nodes`.
    fn assignment(&self, place: Place, of: usize, nodes: usize, seed: u64) -> Result<Assignment, Error> {
        let (Place { client, node }, is_cluster) = (place, nodes > 1);
        let own_keys = self.limit.own_keys.then(|| self.mix.keys.part_len(client, of));
        let requests = self.limit.requests.map(|requests| part(requests, node, nodes));
        let left = match (requests, own_keys) {
            (Some(requests), Some(own)) => Some(requests.min(own)),
            (requests, own) => requests.or(own),
        };
        let role = self.roles.get(client).or(self.roles.last()).copied().unwrap_or(Role::All);
        let paced = |rate: f64| {
            let (index, of) = (client * nodes + node, of * nodes);
            Schedule::new(rate / nodes as f64, self.arrivals, index, of, seed)
        };
        let common = |source| Assignment {
            source,
            pipeline: self.pipeline,
            left,
            left_is_draws: is_cluster && own_keys.is_some(),
            schedule: None,
            background: false,
        };
        Ok(match role {
            Role::All => {
                Assignment { schedule: self.rate.map(paced), ..common(self.mix.source(client, of, seed)?) }
            }
            Role::Closed { row } => common(self.mix.source_of_row(row, client, of, seed)?),
            Role::Probe { row, interval } => Assignment {
                left: None,
                schedule: Some(Schedule::new(1.0 / interval.as_secs_f64(), Arrivals::Fixed, 0, 1, seed)),
                background: true,
                ..common(self.mix.source_of_row(row, client, of, seed)?)
            },
        })
    }

    fn is_paced(&self) -> bool {
        self.rate.is_some() || self.roles.iter().any(|role| matches!(role, Role::Probe { .. }))
    }
}

/// What falls to one of `of` when `whole` is divided as evenly as can be.
fn part(whole: u64, index: usize, of: usize) -> u64 {
    whole / of as u64 + u64::from((index as u64) < whole % of as u64)
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
