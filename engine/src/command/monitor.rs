//! MONITOR: the connection is shown every command of every reactor, but those that are for administrators.

use bobbin_proto::Reply;

use super::spec::{Command, Group, Run, command, flag};
use super::{Args, Session};
use crate::core::Core;
use crate::errand::{Errand, Targets};
use crate::error::CommandError;
use crate::ids::{ConnId, ReactorId};

pub const ROWS: &[Command] = &[command(
    "monitor",
    1,
    flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::BARRIER,
    Group::Server,
    Run::Conn(monitor),
)
.docs("1.0.0", "", "Shows the connection every command that the server runs.", "")];

/// A connection that is a monitor already is not answered, as in Redis.
fn monitor(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    if session.conn.monitor {
        return Ok(());
    }
    session.conn.monitor = true;
    let (reactor, conn) = (session.core.id, session.conn.id);
    session.ask(AddMonitor { reactor, conn }, Targets::All);
    Ok(())
}

#[derive(Debug)]
struct AddMonitor {
    reactor: ReactorId,
    conn: ConnId,
}

impl Errand for AddMonitor {
    type Answer = ();

    fn visit(&self, core: &mut Core) {
        core.observed.monitors.add(self.reactor, self.conn);
    }

    fn finish(&self, _: Vec<()>, _: &mut Core, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        reply.ok();
        Ok(())
    }
}
