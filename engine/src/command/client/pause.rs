//! CLIENT PAUSE, UNPAUSE and UNBLOCK. Paused commands wait in order on their connections; the reactors agree on the
//! end because it is a moment, not a length of time.
//!
//! CLIENT UNPAUSE runs while all commands are paused; in Redis it waits like any other, and so for the end.

use bobbin_proto::Reply;

use crate::command::help::wrong_usage;
use crate::command::{Args, Session};
use crate::core::{Core, Pause};
use crate::errand::{Errand, Targets};
use crate::error::CommandError;
use crate::store::parse_canonical;

pub(super) fn pause(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let writes_only = match args.len() {
        3 => false,
        4 => parse_mode(args)?,
        _ => return Err(wrong_usage(args)),
    };
    let for_ms = parse_timeout(args.at(2))?;
    let until_ms = session.core.env.now.unix_ms().saturating_add(for_ms);
    session.ask(PauseClients(Some(Pause { until_ms, writes_only })), Targets::All);
    Ok(())
}

fn parse_mode(args: Args<'_>) -> Result<bool, CommandError> {
    if args.is(3, "WRITE") {
        Ok(true)
    } else if args.is(3, "ALL") {
        Ok(false)
    } else {
        Err(CommandError::text("ERR CLIENT PAUSE mode must be WRITE or ALL"))
    }
}

fn parse_timeout(arg: &[u8]) -> Result<u64, CommandError> {
    const NOT_A_NUMBER: CommandError = CommandError::text("ERR timeout is not an integer or out of range");
    const NEGATIVE: CommandError = CommandError::text("ERR timeout is negative");
    let timeout_ms = parse_canonical(arg).ok_or(NOT_A_NUMBER)?;
    u64::try_from(timeout_ms).map_err(|_| NEGATIVE)
}

pub(super) fn unpause(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    session.ask(PauseClients(None), Targets::All);
    Ok(())
}

/// Begins a pause everywhere, or ends it.
#[derive(Debug)]
struct PauseClients(Option<Pause>);

impl Errand for PauseClients {
    type Answer = ();

    fn visit(&self, core: &mut Core) {
        match self.0 {
            Some(pause) => core.pause_clients(pause),
            None => core.unpause_clients(),
        }
    }

    fn finish(&self, _: Vec<()>, _: &mut Core, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        reply.ok();
        Ok(())
    }
}

/// Nobody waits in a blocking command: there are none.
pub(super) fn unblock(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    if args.len() > 4 {
        return Err(wrong_usage(args));
    }
    if args.len() == 4 && !args.is(3, "TIMEOUT") && !args.is(3, "ERROR") {
        return Err(CommandError::text("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
    }
    let id = parse_canonical(args.at(2)).ok_or(CommandError::NotInteger)?;
    let Ok(client_id) = u64::try_from(id) else {
        session.reply(|reply| reply.int(0));
        return Ok(());
    };
    session.ask(Unblock { client_id, with_error: args.is(3, "ERROR") }, Targets::All);
    Ok(())
}

/// Ends the wait of a client, on whichever reactor it is.
#[derive(Debug)]
struct Unblock {
    client_id: u64,
    with_error: bool,
}

impl Errand for Unblock {
    type Answer = bool;

    fn visit(&self, core: &mut Core) -> bool {
        core.unblock(self.client_id, self.with_error)
    }

    fn finish(&self, ended: Vec<bool>, _: &mut Core, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        reply.int(i64::from(ended.contains(&true)));
        Ok(())
    }
}
