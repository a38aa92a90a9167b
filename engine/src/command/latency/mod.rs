//! LATENCY: how long commands took, and what the latency monitor saw.

mod doctor;
mod graph;
mod histogram;

use bobbin_proto::Reply;

use super::help::help;
use super::spec::{Command, Group, Run, command, flag};
use super::{Args, Session};
use crate::core::Core;
use crate::errand::{Errand, Targets};
use crate::error::CommandError;
use crate::observe::{Report, Series, Work};

const ANY_TIME: u32 = flag::LOADING | flag::STALE;
const ADMIN: u32 = flag::ADMIN | flag::NOSCRIPT | ANY_TIME | flag::BARRIER;
const TIPS: &[&str] = &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"];

pub const ROWS: &[Command] = &[
    command("latency", -2, 0, Group::Server, Run::Container).docs(
        "2.8.13",
        "See the subcommands.",
        "Shows where time was lost.",
        "",
    ),
    command("latency|histogram", -2, ADMIN, Group::Server, Run::Conn(histogram::latency_histogram))
        .tips(TIPS)
        .docs(
            "7.0.0",
            "O(N) with N commands",
            "Shows how many calls of the commands named, or of all, took at most so many microseconds.",
            "[command [command ...]]",
        ),
    command("latency|latest", 2, ADMIN, Group::Server, Run::Conn(latency_latest)).tips(TIPS).docs(
        "2.8.13",
        "O(1)",
        "Shows the last and the worst sample of each kind of event.",
        "",
    ),
    command("latency|history", 3, ADMIN, Group::Server, Run::Conn(latency_history)).tips(TIPS).docs(
        "2.8.13",
        "O(1)",
        "Shows the samples of one kind of event: Unix time and milliseconds.",
        "event",
    ),
    command("latency|graph", 3, ADMIN, Group::Server, Run::Conn(latency_graph)).tips(TIPS).docs(
        "2.8.13",
        "O(1)",
        "Draws the samples of one kind of event.",
        "event",
    ),
    command("latency|reset", -2, ADMIN, Group::Server, Run::Conn(latency_reset))
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .docs(
            "2.8.13",
            "O(1)",
            "Forgets the samples of the kinds of event named, or of all; tells of how many there were any.",
            "[event [event ...]]",
        ),
    command("latency|doctor", 2, ADMIN, Group::Server, Run::Conn(latency_doctor)).tips(TIPS).docs(
        "2.8.13",
        "O(1)",
        "Says in words what the samples show, and what to do about it.",
        "",
    ),
    command("latency|help", 2, ANY_TIME, Group::Server, Run::Conn(help)).docs(
        "2.8.13",
        "O(1)",
        "Prints this help.",
        "",
    ),
];

fn latency_latest(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    session.ask(Show(write_latest), Targets::All);
    Ok(())
}

fn latency_doctor(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    session.ask(Diagnosis, Targets::All);
    Ok(())
}

fn latency_history(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    match Work::from_name(args.at(2)) {
        Some(work) => session.ask(History(work), Targets::All),
        None => session.reply(|reply| reply.array(0)),
    }
    Ok(())
}

fn latency_graph(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let Some(work) = Work::from_name(args.at(2)) else { return Err(no_samples(args.at(2))) };
    session.ask(Graph(work), Targets::All);
    Ok(())
}

fn no_samples(event: &[u8]) -> CommandError {
    CommandError::quoting("ERR No samples available for event '", event, "'")
}

fn latency_reset(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let named =
        Work::ALL.into_iter().filter(|work| args.iter_from(2).any(|arg| arg == work.name().as_bytes()));
    let kinds = if args.len() == 2 { Work::ALL.to_vec() } else { named.collect() };
    session.ask(Reset(kinds), Targets::All);
    Ok(())
}

/// The samples of one kind, of all reactors together.
fn merged(answers: &[Series]) -> Series {
    let mut all = Series::default();
    answers.iter().for_each(|series| all.merge(series));
    all
}

/// All samples of a server, kind by kind.
struct Samples(Vec<(Work, Series)>);

impl Samples {
    /// Kinds without samples are left out.
    fn merge(answers: &[Vec<Series>]) -> Self {
        let of = |work: Work| -> Vec<Series> {
            answers.iter().map(|series| series[work as usize].clone()).collect()
        };
        let all = Work::ALL.into_iter().map(|work| (work, merged(&of(work))));
        Self(all.filter(|(_, series)| !series.is_empty()).collect())
    }
}

/// Something made of all samples.
#[derive(Debug)]
struct Show(fn(&Samples, &Core, &mut Reply<'_>));

impl Errand for Show {
    type Answer = Vec<Series>;

    fn visit(&self, core: &mut Core) -> Vec<Series> {
        Work::ALL.into_iter().map(|work| core.observed.latency.series(work).clone()).collect()
    }

    fn finish(
        &self,
        answers: Vec<Vec<Series>>,
        core: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        (self.0)(&Samples::merge(&answers), core, reply);
        Ok(())
    }
}

fn write_latest(samples: &Samples, _: &Core, reply: &mut Reply<'_>) {
    reply.array(samples.0.len());
    for (work, series) in &samples.0 {
        let last = series.last().expect("kinds without samples are left out");
        reply.array(4);
        reply.bulk(work.name().as_bytes());
        reply.int(last.unix_s as i64);
        reply.int(last.ms as i64);
        reply.int(series.worst_ms() as i64);
    }
}

/// What the doctor says: of the samples, and of what a request may wait for beside the commands.
#[derive(Debug)]
struct Diagnosis;

impl Errand for Diagnosis {
    type Answer = (Vec<Series>, Report);

    fn visit(&self, core: &mut Core) -> (Vec<Series>, Report) {
        (Show(write_latest).visit(core), Report::of(core, false))
    }

    fn finish(
        &self,
        answers: Vec<(Vec<Series>, Report)>,
        core: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        let (series, reports): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
        let mut total = Report::default();
        reports.iter().for_each(|report| total.merge(report));
        let waits = doctor::Waits { loops: total.loops, stages: total.stages };
        let now_s = core.env.now.unix_ms() / 1000;
        let samples = Samples::merge(&series).0;
        let text = doctor::diagnosis(&samples, &waits, &core.env.config, now_s);
        reply.verbatim(*b"txt", text.as_bytes());
        Ok(())
    }
}

#[derive(Debug)]
struct History(Work);

impl Errand for History {
    type Answer = Series;

    fn visit(&self, core: &mut Core) -> Series {
        core.observed.latency.series(self.0).clone()
    }

    fn finish(&self, answers: Vec<Series>, _: &mut Core, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        let series = merged(&answers);
        reply.array(series.len());
        for sample in series.iter() {
            reply.array(2);
            reply.int(sample.unix_s as i64);
            reply.int(sample.ms as i64);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Graph(Work);

impl Errand for Graph {
    type Answer = Series;

    fn visit(&self, core: &mut Core) -> Series {
        core.observed.latency.series(self.0).clone()
    }

    fn finish(
        &self,
        answers: Vec<Series>,
        core: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        let series = merged(&answers);
        if series.is_empty() {
            return Err(no_samples(self.0.name().as_bytes()));
        }
        let text = graph::draw(self.0.name(), &series, core.env.now.unix_ms() / 1000);
        reply.verbatim(*b"txt", text.as_bytes());
        Ok(())
    }
}

#[derive(Debug)]
struct Reset(Vec<Work>);

impl Errand for Reset {
    /// Kinds of which there were samples.
    type Answer = Vec<Work>;

    fn visit(&self, core: &mut Core) -> Vec<Work> {
        self.0.iter().copied().filter(|&work| core.observed.latency.reset(work)).collect()
    }

    fn finish(
        &self,
        answers: Vec<Vec<Work>>,
        _: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        let mut kinds: Vec<Work> = answers.into_iter().flatten().collect();
        kinds.sort_unstable();
        kinds.dedup();
        reply.int(kinds.len() as i64);
        Ok(())
    }
}
