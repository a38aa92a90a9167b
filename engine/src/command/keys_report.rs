//! HOTKEYS and MEMORY BIGKEYS: which keys are named most often, and which hold most. Neither looks at all keys.
//!
//! Redis 8.6 has a HOTKEYS as well, which measures CPU time and bytes between START and STOP. Here accesses are counted
//! all the time, so there is nothing to start; fields that mean the same have the same names.

use bobbin_proto::Reply;

use super::help::help;
use super::spec::{Command, Group, Run, command, flag};
use super::{Args, Session};
use crate::core::Core;
use crate::errand::{Errand, Everywhere, Need, Targets};
use crate::error::CommandError;
use crate::observe::{BigKey, BigView, HotView};
use crate::store::parse_canonical;

const ANY_TIME: u32 = flag::LOADING | flag::STALE;
const ADMIN: u32 = flag::ADMIN | ANY_TIME | flag::BARRIER;

pub const ROWS: &[Command] = &[
    command("hotkeys", -2, 0, Group::Server, Run::Container)
        .docs("8.6.0", "See the subcommands.", "Tells which keys are named most often.", "")
        .differs("accesses are counted all the time, so there is no START and no STOP; CPU time and bytes are not told"),
    command("hotkeys|get", -2, ADMIN, Group::Server, Run::Conn(hot))
        .tips(&["request_policy:all_nodes", "nondeterministic_output"])
        .docs(
            "8.6.0",
            "O(N) with N reactors",
            "Shows the keys that commands have named most often in the last one to two minutes, 10 or as many as asked \
             for, estimated from a sample: of each the database, the accesses, and how much too high that may be.",
            "[COUNT count]",
        )
        .differs("by-accesses takes the place of by-cpu-time-us and by-net-bytes"),
    command("hotkeys|reset", 2, ADMIN, Group::Server, Run::Conn(reset))
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .docs("8.6.0", "O(1)", "Forgets what was counted.", ""),
    command("hotkeys|help", 2, ANY_TIME, Group::Server, Run::Conn(help)).docs(
        "8.6.0",
        "O(1)",
        "Prints this help.",
        "",
    ),
    command("memory|bigkeys", -2, flag::BARRIER, Group::Server, Run::Conn(big))
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
        .docs(
            "7.2.4",
            "O(N) with N reactors",
            "Shows the keys that hold most memory, 10 or as many as asked for: of each the database, the type, the bytes, \
             and how many bytes, elements, members, fields or entries it has. From complete-from-bytes on no key is \
             missing, but for those with names longer than 1 KiB.",
            "[COUNT count]",
        ),
];

const COUNT_DEFAULT: usize = 10;

/// `[COUNT count]` behind a subcommand.
fn count_of(args: Args<'_>) -> Result<usize, CommandError> {
    match (args.len(), args.get(3)) {
        (2, _) => Ok(COUNT_DEFAULT),
        (4, Some(count)) if args.is(2, "count") => match parse_canonical(count) {
            Some(count @ 1..) => Ok(count as usize),
            Some(_) => Err(CommandError::text("ERR COUNT must be > 0")),
            None => Err(CommandError::NotInteger),
        },
        _ => Err(CommandError::Syntax),
    }
}

fn hot(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    session.ask(Hottest { count: count_of(args)? }, Targets::All);
    Ok(())
}

fn reset(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    session.ask(Everywhere(|core: &mut Core| core.shard.rest.hot_keys.reset()), Targets::All);
    Ok(())
}

fn big(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    session.ask(Largest { count: count_of(args)? }, Targets::All);
    Ok(())
}

#[derive(Debug)]
struct Hottest {
    count: usize,
}

impl Errand for Hottest {
    type Answer = HotView;

    fn visit(&self, core: &mut Core) -> HotView {
        core.shard.rest.hot_keys.view(core.env.now.unix_ms())
    }

    fn finish(
        &self,
        answers: Vec<HotView>,
        core: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        let mut view = HotView::default();
        answers.iter().for_each(|answer| view.merge(answer));
        let duration_ms = match view.began_ms {
            0 => 0,
            began_ms => core.env.now.unix_ms().saturating_sub(began_ms),
        };
        let figures = [
            ("tracking-active", u64::from(view.ratio > 0)),
            ("sample-ratio", view.ratio.into()),
            ("collection-start-time-unix-ms", view.began_ms),
            ("collection-duration-ms", duration_ms),
            ("accesses", view.accesses),
            ("long-names-accesses", view.too_long),
            ("unlisted-accesses-max", view.unlisted_max),
        ];
        reply.map(figures.len() + 1);
        write_figures(&figures, reply);
        let keys = view.top(self.count);
        reply.bulk(b"by-accesses");
        reply.array(keys.len());
        for (db, key, estimate) in keys {
            reply.map(4);
            write_name(key, db, reply);
            write_figures(&[("accesses", estimate.accesses), ("error-max", estimate.error)], reply);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Largest {
    count: usize,
}

impl Errand for Largest {
    type Answer = BigView;

    fn need(&self) -> Need {
        Need::WholeShard
    }

    fn visit(&self, core: &mut Core) -> BigView {
        BigView::of(&mut core.shard.keyspace, core.env.now.unix_ms())
    }

    fn finish(&self, answers: Vec<BigView>, _: &mut Core, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        let mut view = BigView::default();
        answers.into_iter().for_each(|answer| view.merge(answer));
        reply.map(2);
        write_figures(&[("complete-from-bytes", view.complete_from)], reply);
        let keys = view.top(self.count);
        reply.bulk(b"by-bytes");
        reply.array(keys.len());
        keys.iter().for_each(|key| write_big(key, reply));
        Ok(())
    }
}

fn write_big(key: &BigKey, reply: &mut Reply<'_>) {
    reply.map(5);
    write_name(&key.key, key.db, reply);
    reply.bulk(b"type");
    reply.bulk(key.type_of.name().as_bytes());
    write_figures(&[("bytes", key.bytes), ("elements", key.elements)], reply);
}

fn write_name(key: &[u8], db: u16, reply: &mut Reply<'_>) {
    reply.bulk(b"key");
    reply.bulk(key);
    write_figures(&[("db", db.into())], reply);
}

fn write_figures(figures: &[(&str, u64)], reply: &mut Reply<'_>) {
    for (name, figure) in figures {
        reply.bulk(name.as_bytes());
        reply.int(*figure as i64);
    }
}
