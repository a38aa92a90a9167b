//! What a handler of a connection's own command is given: the connection, and the core around it.

use std::sync::Arc;

use bobbin_cluster::catalog::Change;
use bobbin_proto::Reply;

use super::{Args, Command};
use crate::conn::Conn;
use crate::core::Core;
use crate::errand::{Asked, Errand, Targets};
use crate::mesh::SessionBits;

/// The context of one command that runs on its connection's reactor.
#[derive(Debug)]
pub struct Session<'a> {
    pub core: &'a mut Core,
    pub conn: &'a mut Conn,
    pub command: &'static Command,
    args: Args<'a>,
    asked: bool,
    /// It will run later, and be shown to monitors then.
    pub is_deferred: bool,
}

impl<'a> Session<'a> {
    pub fn new(core: &'a mut Core, conn: &'a mut Conn, command: &'static Command, args: Args<'a>) -> Self {
        Self { core, conn, command, args, asked: false, is_deferred: false }
    }

    /// Writes the reply.
    #[inline]
    pub fn reply(&mut self, write: impl FnOnce(&mut Reply<'_>)) {
        let version = self.conn.version();
        self.conn.reply(|out| write(&mut Reply::new(out, version)));
    }

    pub fn ok(&mut self) {
        self.reply(|reply| reply.ok());
    }

    /// Sends an errand out; its reply is this command's. The command's row must have [`flag::BARRIER`], so that the
    /// errand starts after everything that the connection sent earlier.
    ///
    /// [`flag::BARRIER`]: super::flag::BARRIER
    pub fn ask(&mut self, errand: impl Errand, targets: Targets) {
        debug_assert!(self.command.has(super::flag::BARRIER), "{} asks others", self.command.name);
        self.asked = true;
        let asked = Asked { command: self.command, args: self.args.into() };
        self.core.ask(self.conn, asked, Arc::new(errand), targets);
    }

    /// Whose keys the connection is told of: all reactors', or as by a node of a cluster those of its own.
    pub fn own_keys(&self) -> Targets {
        let as_node = self.conn.session.has(SessionBits::AS_NODE);
        if as_node { Targets::One(self.core.id) } else { Targets::All }
    }

    /// Asks for a change of scopes; the reply is OK once every reactor goes by it. The command's row must have
    /// [`flag::BARRIER`](super::flag::BARRIER), as for [`Self::ask`].
    pub fn ask_scope_change(&mut self, change: Change) {
        debug_assert!(self.command.has(super::flag::BARRIER), "{} asks others", self.command.name);
        self.asked = true;
        let asked = Asked { command: self.command, args: self.args.into() };
        self.core.ask_scope_change(self.conn, asked, change);
    }

    /// Whether the command sent an errand out, and so has not run to its end.
    pub fn asked(&self) -> bool {
        self.asked
    }
}
