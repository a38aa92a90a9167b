//! Snapshots by command: SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE.
//!
//! Replies, and what refuses what, are those of redis-server 7.0.15. All of them make a snapshot in the same way (see
//! `saves`): while one is made everybody is served, and SAVE differs from BGSAVE only in that its client waits.

use super::spec::{Command, Group, Run, acl, command, flag};
use super::{Args, Session};
use crate::error::CommandError;
use crate::mesh::SessionBits;
use crate::saves::{Reason, Whom};

const ADMIN: u32 = flag::ADMIN | flag::NOSCRIPT | flag::NO_ASYNC_LOADING | flag::BARRIER;

const BUSY: &str = "ERR Background save already in progress";

pub const ROWS: &[Command] = &[
    command("save", 1, ADMIN | flag::NO_MULTI, Group::Server, Run::Conn(save))
        .differs("Other clients are served meanwhile.")
        .docs(
            "1.0.0",
            "O(N) with N keys in all databases",
            "Saves all databases to disk, and answers when that is done.",
            "",
        ),
    command("bgsave", -1, ADMIN, Group::Server, Run::Conn(bgsave)).docs(
        "1.0.0",
        "O(1)",
        "Saves all databases to disk in the background.",
        "[SCHEDULE]",
    ),
    command("bgrewriteaof", 1, ADMIN, Group::Server, Run::Conn(bgrewriteaof))
        .differs("As BGSAVE: a snapshot takes the place of the journal up to it.")
        .docs("1.0.0", "O(1)", "Replaces the journal by a snapshot, in the background.", ""),
    command("lastsave", 1, flag::LOADING | flag::STALE | flag::FAST, Group::Server, Run::Conn(lastsave))
        .acl(acl::ADMIN | acl::DANGEROUS)
        .tips(&["nondeterministic_output"])
        .docs("1.0.0", "O(1)", "Tells when the databases were last saved, in Unix seconds.", ""),
];

fn save(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let core = &mut *session.core;
    // Behind a rewrite it waits in the saver's line.
    if core.env.shared.saves.begin(Reason::Save, core.env.now.unix_ms()) == Err(Reason::Save) {
        return Err(CommandError::text(BUSY));
    }
    let reply_to = core.hold_behind(session.conn);
    core.ask_save(Reason::Save, Whom::Client(reply_to));
    Ok(())
}

fn bgsave(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let schedules = args.len() > 1;
    if args.len() > 2 || (schedules && !args.is(1, "SCHEDULE")) {
        return Err(CommandError::Syntax);
    }
    match begin(session, Reason::Save) {
        Ok(()) => status(session, "Background saving started"),
        Err(Some(Reason::Save)) => return Err(CommandError::text(BUSY)),
        Err(Some(Reason::Rewrite)) if !schedules => {
            return Err(CommandError::text(
                "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to \
                 schedule a BGSAVE whenever possible.",
            ));
        }
        Err(_) => {
            session.core.env.shared.saves.schedule(Reason::Save);
            status(session, "Background saving scheduled");
        }
    }
    Ok(())
}

fn bgrewriteaof(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    match begin(session, Reason::Rewrite) {
        Ok(()) => status(session, "Background append only file rewriting started"),
        Err(Some(Reason::Rewrite)) => {
            return Err(CommandError::text("ERR Background append only file rewriting already in progress"));
        }
        Err(_) => {
            session.core.env.shared.saves.schedule(Reason::Rewrite);
            status(session, "Background append only file rewriting scheduled");
        }
    }
    Ok(())
}

/// `appendonly` has changed. The journal begins with a snapshot, which is begun or scheduled as by BGREWRITEAOF; its end
/// needs none. The saver sees to both.
pub(super) fn switch_journal(session: &mut Session<'_>, is_on: bool) {
    if !is_on {
        session.core.env.shared.saves.unschedule(Reason::Rewrite);
    } else if begin(session, Reason::Rewrite).is_err() {
        session.core.env.shared.saves.schedule(Reason::Rewrite);
    }
}

/// Begins a snapshot that nobody waits for. `Err`: what is under way; `None`: a transaction, which has to end first.
fn begin(session: &mut Session<'_>, reason: Reason) -> Result<(), Option<Reason>> {
    let core = &mut *session.core;
    let is_in_exec = session.conn.session.has(SessionBits::HOLDS_LOCKS | SessionBits::NEVER_WAITS);
    if is_in_exec {
        return Err(core.env.shared.saves.state().running.map(|running| running.reason));
    }
    core.env.shared.saves.begin(reason, core.env.now.unix_ms()).map_err(Some)?;
    core.ask_save(reason, Whom::Nobody);
    Ok(())
}

fn status(session: &mut Session<'_>, text: &str) {
    session.reply(|reply| reply.simple(text));
}

fn lastsave(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let saved_ms = session.core.env.shared.saves.state().saved_ms;
    session.reply(|reply| reply.int((saved_ms / 1000) as i64));
    Ok(())
}
