//! The server as a whole: its clock, its role, its modules, its end.

use super::help::help;
use super::spec::{Command, Group, Run, acl, command, flag};
use super::{Args, Session};
use crate::conn::Closing;
use crate::core::Shutdown;
use crate::error::CommandError;

const ANY_TIME: u32 = flag::LOADING | flag::STALE;
const ADMIN: u32 = flag::ADMIN | flag::NOSCRIPT;

pub const ROWS: &[Command] = &[
    command("time", 1, ANY_TIME | flag::FAST, Group::Server, Run::Conn(time))
        .tips(&["nondeterministic_output"])
        .docs("2.6.0", "O(1)", "Tells the server's clock: Unix seconds, and microseconds of the second.", ""),
    command("role", 1, flag::NOSCRIPT | ANY_TIME | flag::FAST, Group::Server, Run::Conn(role))
        .acl(acl::ADMIN | acl::DANGEROUS)
        .docs("2.8.12", "O(1)", "Tells the server's part in replication.", ""),
    command(
        "shutdown",
        -1,
        ADMIN | ANY_TIME | flag::NO_MULTI | flag::ALLOW_BUSY | flag::BARRIER,
        Group::Server,
        Run::Conn(shutdown),
    )
    .docs(
        "1.0.0",
        "O(N) with N keys to save, O(1) without",
        "Stops the server, saving what there is to save.",
        "[NOSAVE|SAVE] [NOW] [FORCE] [ABORT]",
    ),
    command("module", -2, 0, Group::Server, Run::Container).docs(
        "4.0.0",
        "See the subcommands.",
        "What there is to say of modules.",
        "",
    ),
    command("module|list", 2, ADMIN, Group::Server, Run::Conn(module_list))
        .tips(&["nondeterministic_output_order"])
        .docs("4.0.0", "O(N) with N modules", "Lists the modules that are loaded: none, ever.", ""),
    command("module|help", 2, ANY_TIME, Group::Server, Run::Conn(help)).docs(
        "5.0.0",
        "O(1)",
        "Prints this help.",
        "",
    ),
];

fn time(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let unix_us = session.core.env.now.unix_us;
    session.reply(|reply| {
        reply.array(2);
        reply.bulk_int((unix_us / 1_000_000) as i64);
        reply.bulk_int((unix_us % 1_000_000) as i64);
    });
    Ok(())
}

/// A primary without replicas.
fn role(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    session.reply(|reply| {
        reply.array(3);
        reply.bulk(b"master");
        reply.int(0);
        reply.array(0);
    });
    Ok(())
}

fn module_list(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    session.reply(|reply| reply.array(0));
    Ok(())
}

/// What SHUTDOWN asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ShutdownRequest {
    Stop(Shutdown),
    Abort,
}

/// There is no reply to a shutdown but that it cannot be done: the connection is closed, and nothing that the client sent
/// behind it is run.
fn shutdown(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    match parse_shutdown(args)? {
        ShutdownRequest::Stop(mut how) => {
            let config = &session.core.env.config;
            if how.saves(config) || config.appendonly {
                how.reply_to = Some(session.core.hold_behind(session.conn));
            } else {
                session.conn.close(Closing::AfterFlush);
            }
            session.core.ask_shutdown(how);
            Ok(())
        }
        // One that waits has the shards stand still, and cannot be taken back; Redis can, while it waits for replicas.
        ShutdownRequest::Abort => Err(CommandError::text("ERR No shutdown in progress.")),
    }
}

fn parse_shutdown(args: Args<'_>) -> Result<ShutdownRequest, CommandError> {
    let mut how = Shutdown { save: None, now: false, force: false, reply_to: None };
    let mut abort = false;
    for index in 1..args.len() {
        if args.is(index, "NOSAVE") && how.save != Some(true) {
            how.save = Some(false);
        } else if args.is(index, "SAVE") && how.save != Some(false) {
            how.save = Some(true);
        } else if args.is(index, "NOW") {
            how.now = true;
        } else if args.is(index, "FORCE") {
            how.force = true;
        } else if args.is(index, "ABORT") {
            abort = true;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let plain = how == Shutdown { save: None, now: false, force: false, reply_to: None };
    match abort {
        true if plain => Ok(ShutdownRequest::Abort),
        true => Err(CommandError::Syntax),
        false => Ok(ShutdownRequest::Stop(how)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::OwnedArgs;

    fn parsed(request: &str) -> Result<ShutdownRequest, CommandError> {
        let words: Vec<_> = request.split(' ').map(str::as_bytes).collect();
        parse_shutdown(OwnedArgs::new(words.into_iter()).as_args())
    }

    #[test]
    fn shutdown_takes_each_word_in_any_order() {
        let stop =
            |save, now, force| Ok(ShutdownRequest::Stop(Shutdown { save, now, force, reply_to: None }));
        assert_eq!(parsed("SHUTDOWN"), stop(None, false, false));
        assert_eq!(parsed("SHUTDOWN force nosave NOW now"), stop(Some(false), true, true));
        assert_eq!(parsed("SHUTDOWN SAVE save"), stop(Some(true), false, false));
        assert_eq!(parsed("SHUTDOWN abort"), Ok(ShutdownRequest::Abort));
    }

    #[test]
    fn contradictions_are_refused() {
        for request in ["SAVE NOSAVE", "NOSAVE SAVE", "ABORT NOW", "SAVE ABORT", "LATER", ""] {
            assert_eq!(parsed(&format!("SHUTDOWN {request}")), Err(CommandError::Syntax), "{request}");
        }
    }
}
