//! One run of the load generator: connect, fill, warm up, measure, read back, report.

use std::time::Duration;

use crate::Error;
use crate::args::LoadArgs;
use crate::load::{Limit, Phase, Session, SessionShape, Tally};
use crate::machine::{Machine, server_version};
use crate::progress::{Goal, Line};
use crate::report::{self, ReadBack, Report};
use crate::workload::KeySpace;

/// Runs what the flags ask for.
pub fn run(args: &LoadArgs) -> Result<Report, Error> {
    let keys = args.key_space()?;
    let shape = args.shape.session()?;
    let phase = args.phase(&keys)?;
    let target = args.server.target();
    let mut session = Session::connect(&target, &shape)?;
    let mut error_texts = Vec::new();
    if args.commands.populate {
        let (line, size) = (&args.commands.populate_command, args.commands.data_size);
        let mut progress = Line::start("populate", Goal::Replies(keys.count()));
        let filled = session.fill(line, &keys, size, phase.pipeline, &mut progress)?;
        error_texts.extend(filled.error_texts);
    }
    if args.commands.verify {
        session.remember_writes(&keys);
    }
    if let Some(time) = args.shape.warmup_time {
        warm_up(&mut session, &phase, time)?;
    }
    let tally = session.run(&phase, &mut Line::start("run", goal(&phase, &keys, &shape)))?;
    let read_back = if args.commands.verify { Some(read_back(&mut session, args, &keys)?) } else { None };
    error_texts.extend(tally.error_texts.iter().cloned());
    let report = describe(args, &phase, &shape, &tally);
    let connections = session.connections();
    Ok(Report { connections, server: server_version(&target), read_back, error_texts, ..report })
}

fn warm_up(session: &mut Session, phase: &Phase, time: Duration) -> Result<(), Error> {
    let limit = Limit { time: Some(time), ..Limit::default() };
    let warm_up = Phase { limit, ..phase.clone() };
    session.run(&warm_up, &mut Line::start("warm-up", Goal::Time(time)))?;
    Ok(())
}

fn read_back(session: &mut Session, args: &LoadArgs, keys: &KeySpace) -> Result<ReadBack, Error> {
    let mut progress = Line::start("read back", Goal::Replies(keys.count()));
    let (size, filled) = (args.commands.data_size, args.commands.populate);
    let tally = session.read_back(keys, size, args.shape.pipeline, filled, &mut progress)?;
    Ok(ReadBack::from(&tally))
}

fn goal(phase: &Phase, keys: &KeySpace, shape: &SessionShape) -> Goal {
    let connections = (shape.clients * shape.threads) as u64;
    match phase.limit {
        Limit { time: Some(time), .. } => Goal::Time(time),
        Limit { own_keys: true, .. } => Goal::Replies(keys.count()),
        Limit { requests, .. } => Goal::Replies(requests.unwrap_or(0).saturating_mul(connections)),
    }
}

fn describe(args: &LoadArgs, phase: &Phase, shape: &SessionShape, tally: &Tally) -> Report {
    let percentiles = args.output.percentiles();
    let clients = shape.clients * shape.threads;
    let requests = tally.requests().max(1) as f64;
    let distribution =
        if args.output.hide_histogram { Vec::new() } else { report::distribution(&tally.latency()) };
    Report {
        machine: Machine::this(),
        server: None,
        target: args.server.target().address.to_string(),
        connections: clients,
        pipeline: phase.pipeline,
        rate: phase.rate.map(|rate| rate * clients as f64),
        overdue: tally.overdue,
        moved: tally.moved,
        elapsed_s: tally.elapsed_ns as f64 / 1e9,
        client_cpu_us_per_request: tally.client_cpu_ns as f64 / 1000.0 / requests,
        commands: report::lines(&phase.mix, tally, percentiles),
        totals: report::totals(tally, percentiles),
        error_texts: Vec::new(),
        read_back: None,
        timeline: report::timeline(tally),
        distribution,
    }
}
