//! DEBUG: what test suites ask of a server, where `enable-debug-command` lets them.
//!
//! Redis's subcommands are not rows of its command table, and take their arguments as they please; so here they have a
//! table of their own. Those that break the server on purpose, or are about files, are not there.

mod digest;
mod keys;
mod protocol;

use std::ops::RangeInclusive;

use super::help::wrong_usage;
use super::spec::{Command, Group, Run, command, flag};
use super::{Args, ConnFn, Session};
use crate::config::{ProtectedAction, memory_value};
use crate::core::Core;
use crate::errand::{Everywhere, Targets};
use crate::error::{CommandError, printable};
use crate::rdb::Checksum;
use crate::store::{Case, glob_matches};

pub const ROWS: &[Command] = &[command(
    "debug",
    -2,
    flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::PROTECTED | flag::BARRIER,
    Group::Server,
    Run::Conn(debug),
)
.differs("Subcommands that break the server on purpose, or are about files, are not there.")
.docs(
    "1.0.0",
    "See DEBUG HELP.",
    "Looks behind the scenes, for tests.",
    "subcommand [argument [argument ...]]",
)];

struct Sub {
    name: &'static str,
    /// Of the request, DEBUG and subcommand included.
    args: RangeInclusive<usize>,
    run: ConnFn,
    syntax: &'static str,
    help: &'static str,
}

const fn sub(
    name: &'static str,
    args: RangeInclusive<usize>,
    run: ConnFn,
    syntax: &'static str,
    help: &'static str,
) -> Sub {
    Sub { name, args, run, syntax, help }
}

const NO_MEANING: &str = "Accepted; what it sets is not there.";

static SUBS: &[Sub] = &[
    sub("change-repl-id", 2..=2, accept, "", NO_MEANING),
    sub("dict-resizing", 3..=3, accept, "<0|1>", NO_MEANING),
    sub("digest", 2..=2, digest::debug_digest, "", "A hash of all keys and values in all databases."),
    sub(
        "digest-value",
        2..=usize::MAX,
        digest::debug_digest_value,
        "<key> [<key> ...]",
        "A hash of the value of each key.",
    ),
    sub("error", 3..=3, error, "<text>", "Answers with this error."),
    sub("htstats", 3..=4, keys::debug_htstats, "<db> [full]", "What the tables of a database hold."),
    sub(
        "htstats-key",
        3..=4,
        keys::debug_htstats_key,
        "<key> [full]",
        "What the table that is a key's value holds.",
    ),
    sub("jmap", 2..=2, accept, "", NO_MEANING),
    sub("log", 3..=3, log, "<text>", "Writes a line to the server's log."),
    sub("object", 3..=4, keys::debug_object, "<key> [fast]", "How the value of a key is kept."),
    sub(
        "populate",
        3..=5,
        keys::debug_populate,
        "<count> [<prefix> [<size>]]",
        "Makes the keys <prefix>:0, <prefix>:1 and so on, with values of this many bytes, where there are none.",
    ),
    sub("protocol", 3..=3, protocol::debug_protocol, "<type>", "Answers with a reply of this type."),
    sub("quicklist-packed-threshold", 3..=3, packed_threshold, "<size>", NO_MEANING),
    sub("replybuffer", 4..=4, reply_buffer, "<peak-reset-time|resizing> <value>", NO_MEANING),
    sub("set-active-expire", 3..=3, set_active_expire, "<0|1>", "Lets expired keys be looked for, or not."),
    sub(
        "set-skip-checksum-validation",
        3..=3,
        set_skip_checksum,
        "<0|1>",
        "Lets RESTORE take payloads whose checksum is wrong, or not.",
    ),
    sub("sleep", 3..=3, sleep, "<seconds>", "All reactors stand still for so long."),
    sub("stringmatch-len", 4..=4, string_match, "<pattern> <text>", "Whether a pattern matches a text."),
    sub("structsize", 2..=2, keys::debug_structsize, "", "Bytes of what there is many of."),
    sub("help", 2..=2, help, "", "Prints this help."),
];

fn debug(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    if !is_allowed(session) {
        return Err(NOT_ALLOWED);
    }
    let sub = SUBS.iter().find(|sub| args.is(1, sub.name) && sub.args.contains(&args.len()));
    (sub.ok_or_else(|| wrong_usage(args))?.run)(session, args)
}

fn is_allowed(session: &Session<'_>) -> bool {
    match session.core.env.config.enable_debug_command {
        ProtectedAction::Yes => true,
        ProtectedAction::Local => session.conn.about.endpoints.is_local(),
        ProtectedAction::No => false,
    }
}

/// Redis's words.
const NOT_ALLOWED: CommandError = CommandError::text(
    "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a \
     local connection, otherwise you need to set this option in the configuration file, and then restart the server.",
);

fn help(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    session.reply(|reply| {
        reply.array(1 + 2 * SUBS.len());
        reply.simple("DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
        for sub in SUBS {
            let blank = if sub.syntax.is_empty() { "" } else { " " };
            reply.simple(format!("{}{blank}{}", sub.name.to_ascii_uppercase(), sub.syntax));
            reply.simple(format!("    {}", sub.help));
        }
    });
    Ok(())
}

fn accept(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    session.ok();
    Ok(())
}

fn error(_: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    Err(CommandError::Quoting(args.at(2).to_vec()))
}

fn log(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    tracing::warn!("DEBUG LOG: {}", printable(args.at(2)));
    session.ok();
    Ok(())
}

/// As C reads numbers: what is none is 0.
fn sleep(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let seconds: f64 = printable(args.at(2)).parse().unwrap_or(0.0);
    let us = (seconds.max(0.0) * 1e6) as u64;
    session.ask(Everywhere(move |core: &mut Core| core.ask_stall(us)), Targets::All);
    Ok(())
}

fn set_active_expire(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let on = is_on(args.at(2));
    session.ask(Everywhere(move |core: &mut Core| core.shard.rest.active_expire = on), Targets::All);
    Ok(())
}

fn set_skip_checksum(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let checksum = if is_on(args.at(2)) { Checksum::Ignored } else { Checksum::Checked };
    session.ask(Everywhere(move |core: &mut Core| core.shard.rest.payload_checksum = checksum), Targets::All);
    Ok(())
}

fn is_on(arg: &[u8]) -> bool {
    printable(arg).parse::<i64>().is_ok_and(|on| on != 0)
}

fn string_match(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let matches = glob_matches(args.at(2), args.at(3), Case::Sensitive);
    session.reply(|reply| reply.int(matches.into()));
    Ok(())
}

fn packed_threshold(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    const SIZE_MAX: u64 = 4 << 30;
    if memory_value(args.at(2)).is_none_or(|size| size > SIZE_MAX) {
        return Err(CommandError::text(
            "ERR argument must be a memory value bigger than 1 and smaller than 4gb",
        ));
    }
    session.ok();
    Ok(())
}

fn reply_buffer(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    if !args.is(2, "peak-reset-time") && !args.is(2, "resizing") {
        return Err(wrong_usage(args));
    }
    session.ok();
    Ok(())
}
