//! What there is to say to replicas: there are none.
//!
//! Source: replies and errors are those of redis-server 7.0.15.

use super::blocking::Patience;
use super::number::integer;
use super::spec::{Command, Group, Run, acl, command, flag};
use super::{Args, Session};
use crate::error::CommandError;
use crate::mesh::SessionBits;

pub const ROWS: &[Command] = &[command("wait", 3, flag::NOSCRIPT, Group::Generic, Run::Conn(wait))
    .acl_apart(acl::CONNECTION)
    .tips(&["request_policy:all_shards", "response_policy:agg_min"])
    .docs(
        "3.0.0",
        "O(1)",
        "Waits until as many replicas have what this connection wrote before, or for so many milliseconds.",
        "numreplicas timeout",
    )];

fn wait(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    const NOT_A_TIMEOUT: CommandError = CommandError::text("ERR timeout is not an integer or out of range");
    let replicas = integer(args.at(1))?;
    let patience = match integer(args.at(2)).map_err(|_| NOT_A_TIMEOUT)? {
        ..0 => return Err(CommandError::text("ERR timeout is negative")),
        0 => Patience::Forever,
        ms => Patience::Ms(ms as u64),
    };
    let never_waits = SessionBits::NEVER_WAITS | SessionBits::HOLDS_LOCKS;
    if replicas <= 0 || session.conn.session.has(never_waits) {
        session.reply(|reply| reply.int(0));
    } else {
        session.core.wait_for_replicas(session.conn, patience);
    }
    Ok(())
}
