//! One workload on one server: started fresh, filled, read back, warmed up, measured and read back again.

use crate::Error;
use crate::histogram::Latency;
use crate::load::{Limit, Phase, Session, SessionShape, Subscribers, Tally};
use crate::peers::{Peer, Running};
use crate::report::{Sample, timeline};
use crate::workload::{KeySpace, Mix};

use super::workload::{CHANNEL, Fill, Workload};
use super::{CompareArgs, Figures};

const SEED: u64 = 12_345;
const KEY_DIGITS: usize = 12;

pub(super) struct Outcome {
    pub(super) figures: Figures,
    pub(super) latency: Latency,
    pub(super) timeline: Vec<Sample>,
}

/// One workload on one server.
pub(super) struct Bench<'a> {
    pub(super) args: &'a CompareArgs,
    pub(super) workload: Workload,
    pub(super) peer: &'a Peer,
    pub(super) reactors: u16,
    /// Requests per second of an open loop.
    pub(super) rate: Option<f64>,
}

impl Bench<'_> {
    pub(super) fn measure(&self) -> Result<Outcome, Error> {
        let server = self.start()?;
        let keys = KeySpace::new(b"key:", KEY_DIGITS, 0, self.workload.keys - 1)?;
        let shape = self.shape();
        let mut session = Session::connect(&server.target, &shape)?;
        self.fill(&mut session, &keys)?;
        let mut subscribers = self.subscribe(&server)?;
        let phases = [self.args.warmup_time, self.args.test_time].map(|time| self.phase(&keys, &shape, time));
        let [warmup, test] = phases;
        let before = session.run(&warmup?, &mut |_| {})?.requests();
        let outcome = self.measured(&mut session, &test?, &server, |measured| {
            subscribers.as_mut().map_or(Ok(()), |all| all.expect(before + measured))
        })?;
        self.read_back(&mut session, &keys)?;
        Ok(outcome)
    }

    fn start(&self) -> Result<Running, Error> {
        let cpus = &self.args.peers.server_cpus;
        self.peer.start_with(self.workload.journal, usize::from(self.reactors), cpus)
    }

    fn shape(&self) -> SessionShape {
        let cpus = self.args.peers.client_cpus.clone();
        let threads = cpus.count();
        SessionShape {
            clients: self.workload.clients.div_ceil(threads),
            threads,
            cpus: Some(cpus),
            seed: SEED,
        }
    }

    fn phase(
        &self,
        keys: &KeySpace,
        shape: &SessionShape,
        time: std::time::Duration,
    ) -> Result<Phase, Error> {
        let Workload { mix, data_size, pattern, pipeline, .. } = self.workload;
        let mix = Mix::of(mix, keys, data_size, pattern)?;
        let limit = Limit { time: Some(time), ..Limit::default() };
        let rate = self.rate.map(|rate| rate / (shape.clients * shape.threads) as f64);
        Ok(Phase { rate, ..Phase::closed(mix, pipeline, limit) })
    }

    fn fill(&self, session: &mut Session, keys: &KeySpace) -> Result<(), Error> {
        let line = match self.workload.fill {
            _ if !self.peer.keeps_values() => return Ok(()),
            Fill::Nothing => return Ok(()),
            Fill::Values => "SET __key__ __data__",
            Fill::Itself => self.workload.mix[0].1,
            Fill::Line(line) => line,
        };
        let Workload { data_size, pipeline, .. } = self.workload;
        let filled = session.fill(line, keys, data_size, pipeline, &mut |_| {})?;
        self.refuse_errors(&filled)?;
        self.read_back(session, keys)?;
        session.remember_writes(keys);
        Ok(())
    }

    /// None where there are none, or nothing would come of it.
    fn subscribe(&self, server: &Running) -> Result<Option<Subscribers>, Error> {
        let Workload { subscribers, data_size, .. } = self.workload;
        if subscribers == 0 || !self.peer.keeps_values() {
            return Ok(None);
        }
        let cpus = self.args.peers.client_cpus.clone();
        Subscribers::start(&server.target, CHANNEL, subscribers, data_size, cpus).map(Some)
    }

    fn measured(
        &self,
        session: &mut Session,
        phase: &Phase,
        server: &Running,
        settle: impl FnOnce(u64) -> Result<(), Error>,
    ) -> Result<Outcome, Error> {
        let cpu_before = server.process.cpu_ns()?;
        let tally = session.run(phase, &mut |_| {})?;
        self.refuse_errors(&tally)?;
        settle(tally.requests())?;
        let cpu_ns = server.process.cpu_ns()?.saturating_sub(cpu_before);
        let latency = tally.latency();
        let requests = tally.requests().max(1) as f64;
        let per_request_us = |ns: u64| ns as f64 / 1000.0 / requests;
        let figures = Figures {
            requests_per_second: tally.requests_per_second(),
            server_cpu_us_per_request: per_request_us(cpu_ns),
            client_cpu_us_per_request: per_request_us(tally.client_cpu_ns),
            p50_us: latency.percentile_us(50.0),
            p99_us: latency.percentile_us(99.0),
            p999_us: latency.percentile_us(99.9),
            overdue_part: tally.overdue as f64 / (requests + tally.overdue as f64),
            resident_bytes: server.process.resident_bytes()? as f64,
        };
        Ok(Outcome { figures, latency, timeline: timeline(&tally) })
    }

    /// Every value as written last: a server that drops writes must not look good.
    fn read_back(&self, session: &mut Session, keys: &KeySpace) -> Result<(), Error> {
        if !self.peer.keeps_values() || self.workload.fill != Fill::Values {
            return Ok(());
        }
        let Workload { data_size, pipeline, .. } = self.workload;
        let tally = session.read_back(keys, data_size, pipeline, true, &mut |_| {})?;
        self.refuse_errors(&tally)?;
        match tally.mismatches() {
            0 => Ok(()),
            wrong => Err(self.invalid(format!("{wrong} of {} values are not as written", keys.count()))),
        }
    }

    fn refuse_errors(&self, tally: &Tally) -> Result<(), Error> {
        match tally.error_texts.first() {
            Some(text) => Err(self.invalid(format!("{} error replies, the first {text}", tally.errors()))),
            None => Ok(()),
        }
    }

    fn invalid(&self, reason: String) -> Error {
        Error::Invalid { peer: self.peer.name.to_owned(), workload: self.workload.name.to_owned(), reason }
    }
}
