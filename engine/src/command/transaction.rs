//! MULTI, EXEC and what belongs to them. How a block runs is in `core/exec`.
//!
//! Source: replies, errors and their precedence are those of redis-server 7.0.15.

use super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::{Args, Session};
use crate::error::CommandError;

const OWN: u32 = flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::UNQUEUED;

pub const ROWS: &[Command] = &[
    command("multi", 1, OWN | flag::FAST | flag::ALLOW_BUSY, Group::Transactions, Run::Conn(multi)).docs(
        "1.2.0",
        "O(1)",
        "Begins a transaction: commands are queued from now on, until EXEC or DISCARD.",
        "",
    ),
    command(
        "exec",
        1,
        OWN | flag::SKIP_SLOWLOG | flag::BARRIER | flag::RUNS_QUEUE,
        Group::Transactions,
        Run::Conn(exec),
    )
    .docs(
        "1.2.0",
        "Depends on the commands in the transaction",
        "Runs what has been queued since MULTI, all of it at one moment.",
        "",
    ),
    command("discard", 1, OWN | flag::FAST | flag::ALLOW_BUSY, Group::Transactions, Run::Conn(discard)).docs(
        "2.0.0",
        "O(N) with N commands queued",
        "Drops what has been queued since MULTI, and unwatches all keys.",
        "",
    ),
    command(
        "watch",
        -2,
        OWN | flag::FAST | flag::ALLOW_BUSY | flag::BARRIER,
        Group::Transactions,
        Run::Conn(watch),
    )
    .keys(&[KeySpec::range(1, -1, 1, key_flag::RO)])
    .docs(
        "2.2.0",
        "O(N) with N keys",
        "Makes the next EXEC depend on keys: it runs nothing if one of them has changed by then.",
        "key [key ...]",
    ),
    command(
        "unwatch",
        1,
        (OWN & !flag::UNQUEUED) | flag::FAST | flag::ALLOW_BUSY,
        Group::Transactions,
        Run::Conn(unwatch),
    )
    .docs("2.2.0", "O(N) with N keys watched", "Forgets what WATCH has named.", ""),
];

fn multi(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    if session.conn.multi.is_open {
        return Err(CommandError::text("ERR MULTI calls can not be nested"));
    }
    session.conn.multi.is_open = true;
    session.ok();
    Ok(())
}

fn exec(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    if !session.conn.multi.is_open {
        return Err(CommandError::text("ERR EXEC without MULTI"));
    }
    if session.conn.multi.is_aborted {
        session.core.discard(session.conn);
        return Err(CommandError::text("EXECABORT Transaction discarded because of previous errors."));
    }
    session.exec(args);
    Ok(())
}

fn discard(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    if !session.conn.multi.is_open {
        return Err(CommandError::text("ERR DISCARD without MULTI"));
    }
    session.core.discard(session.conn);
    session.ok();
    Ok(())
}

fn watch(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    if session.conn.multi.is_open {
        return Err(CommandError::text("ERR WATCH inside MULTI is not allowed"));
    }
    session.watch(args);
    Ok(())
}

fn unwatch(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    session.core.unwatch(session.conn);
    session.ok();
    Ok(())
}
