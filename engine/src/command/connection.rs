//! Commands on the connection itself.

use super::spec::{Command, Group, Run, command, flag};
use super::{Args, Session};
use crate::error::CommandError;

pub const ROWS: &[Command] =
    &[
        command("ping", -1, flag::FAST, Group::Connection, Run::Conn(ping)).docs(
            "1.0.0",
            "O(1)",
            "Answers PONG, or the message given.",
            "[message]",
        ),
        command("echo", 2, flag::FAST | flag::LOADING | flag::STALE, Group::Connection, Run::Conn(echo))
            .docs("1.0.0", "O(1)", "Answers with the message given.", "message"),
    ];

fn ping(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    match args.len() {
        1 => session.reply(|reply| reply.simple("PONG")),
        2 => session.reply(|reply| reply.bulk(args.at(1))),
        _ => return Err(CommandError::Arity("ping")),
    }
    Ok(())
}

fn echo(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    session.reply(|reply| reply.bulk(args.at(1)));
    Ok(())
}
