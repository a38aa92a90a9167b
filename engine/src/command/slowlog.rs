//! SLOWLOG: the slow commands of all reactors as one log.

use bobbin_proto::Reply;

use super::help::{help, wrong_usage};
use super::spec::{Command, Group, Run, command, flag};
use super::{Args, Session};
use crate::core::Core;
use crate::errand::{Errand, Everywhere, Targets};
use crate::error::CommandError;
use crate::observe::SlowEntry;
use crate::store::parse_canonical;

const ANY_TIME: u32 = flag::LOADING | flag::STALE;
const ADMIN: u32 = flag::ADMIN | ANY_TIME | flag::BARRIER;

pub const ROWS: &[Command] = &[
    command("slowlog", -2, 0, Group::Server, Run::Container).docs(
        "2.2.12",
        "See the subcommands.",
        "The log of slow commands.",
        "",
    ),
    command("slowlog|get", -2, ADMIN, Group::Server, Run::Conn(slowlog_get))
        .tips(&["request_policy:all_nodes", "nondeterministic_output"])
        .docs(
            "2.2.12",
            "O(N) with N entries",
            "Shows the newest entries, 10 or as many as asked for, all with -1: id, Unix time, microseconds, \
             request, client's address and name.",
            "[count]",
        ),
    command("slowlog|len", 2, ADMIN, Group::Server, Run::Conn(slowlog_len))
        .tips(&["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"])
        .docs("2.2.12", "O(1)", "Counts the entries.", ""),
    command("slowlog|reset", 2, ADMIN, Group::Server, Run::Conn(slowlog_reset))
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .docs("2.2.12", "O(N) with N entries", "Empties the log.", ""),
    command("slowlog|help", 2, ANY_TIME, Group::Server, Run::Conn(help)).docs(
        "6.2.0",
        "O(1)",
        "Prints this help.",
        "",
    ),
];

const COUNT_DEFAULT: usize = 10;

fn slowlog_get(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let count = match (args.len(), args.get(2)) {
        (2, _) => COUNT_DEFAULT,
        (3, Some(count)) => parse_entries(count)?,
        _ => return Err(wrong_usage(args)),
    };
    session.ask(Newest { count }, Targets::All);
    Ok(())
}

/// -1 is all.
fn parse_entries(word: &[u8]) -> Result<usize, CommandError> {
    match parse_canonical(word) {
        Some(-1) => Ok(usize::MAX),
        Some(count @ 0..) => Ok(count as usize),
        _ => Err(CommandError::text("ERR count should be greater than or equal to -1")),
    }
}

fn slowlog_len(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    session.ask(Count, Targets::All);
    Ok(())
}

fn slowlog_reset(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    session.ask(Everywhere(|core: &mut Core| core.observed.slow_log.clear()), Targets::All);
    Ok(())
}

/// What every reactor keeps `slowlog-max-len` of, the server shows as many of.
fn len_max(core: &Core) -> usize {
    core.env.config.slowlog_max_len as usize
}

/// The newest entries of all.
#[derive(Debug)]
struct Newest {
    count: usize,
}

impl Errand for Newest {
    type Answer = Vec<SlowEntry>;

    fn visit(&self, core: &mut Core) -> Vec<SlowEntry> {
        core.observed.slow_log.entries().take(self.count).cloned().collect()
    }

    fn finish(
        &self,
        answers: Vec<Vec<SlowEntry>>,
        core: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        let mut entries: Vec<_> = answers.into_iter().flatten().collect();
        entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.id));
        entries.truncate(self.count.min(len_max(core)));
        reply.array(entries.len());
        entries.iter().for_each(|entry| write_entry(entry, reply));
        Ok(())
    }
}

fn write_entry(entry: &SlowEntry, reply: &mut Reply<'_>) {
    reply.array(6);
    reply.int(entry.id as i64);
    reply.int(entry.unix_s as i64);
    reply.int(entry.us as i64);
    reply.array(entry.args.len());
    entry.args.iter().for_each(|arg| reply.bulk(arg));
    reply.bulk(entry.peer.as_bytes());
    reply.bulk(&entry.name);
}

#[derive(Debug)]
struct Count;

impl Errand for Count {
    type Answer = usize;

    fn visit(&self, core: &mut Core) -> usize {
        core.observed.slow_log.len()
    }

    fn finish(
        &self,
        answers: Vec<usize>,
        core: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        let len: usize = answers.iter().sum();
        reply.int(len.min(len_max(core)) as i64);
        Ok(())
    }
}
