//! WATCH: the shards that own the keys watch them, and look, when the block runs, whether any has changed.

use bobbin_proto::Reply;

use super::Core;
use crate::command::{Args, Session};
use crate::conn::{Conn, Watching};
use crate::errand::{Errand, Need, Targets};
use crate::error::CommandError;
use crate::ids::{ReactorId, WatchId};

impl Session<'_> {
    /// Watches keys; the reply is sent once all their shards know.
    pub fn watch(&mut self, args: Args<'_>) {
        let watching = self.conn.watching.get_or_insert_with(|| Box::new(self.core.new_watching()));
        let mut owners: Vec<ReactorId> = args.iter_from(1).map(|key| self.core.owner(key)).collect();
        owners.sort_unstable();
        owners.dedup();
        for owner in &owners {
            if !watching.shards.contains(owner) {
                watching.shards.push(*owner);
            }
        }
        let keys = args.iter_from(1).map(Box::from).collect();
        let watch = Watch { id: watching.id, db: self.conn.db, keys };
        if *owners == [self.core.id] && !self.core.schedule.blocks_visit(&watch) {
            watch.visit(self.core);
            return self.ok();
        }
        self.ask(watch, Targets::These(owners));
    }
}

/// Has shards watch keys: each those it owns.
#[derive(Debug)]
struct Watch {
    id: WatchId,
    db: u16,
    keys: Vec<Box<[u8]>>,
}

impl Errand for Watch {
    type Answer = ();

    /// A transaction that has taken effect may be on its way to a key: the watch begins behind it.
    fn need(&self) -> Need {
        Need::Keys
    }

    fn keys(&self) -> &[Box<[u8]>] {
        &self.keys
    }

    fn visit(&self, core: &mut Core) {
        for key in &self.keys {
            if core.owner(key) == core.id {
                core.shard.watch(self.id, self.db, key, core.env.now.unix_ms());
            }
        }
    }

    fn finish(&self, _: Vec<()>, _: &mut Core, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        reply.ok();
        Ok(())
    }

    /// A visit may have waited for a lock, and come behind what told the shard to forget the client's watches.
    fn abandon(&self, core: &mut Core) {
        let mut shards: Vec<ReactorId> = self.keys.iter().map(|key| core.owner(key)).collect();
        shards.sort_unstable();
        shards.dedup();
        core.forget_watch(self.id, shards);
    }
}

#[derive(Debug)]
struct Unwatch(WatchId);

impl Errand for Unwatch {
    type Answer = ();

    fn visit(&self, core: &mut Core) {
        core.shard.rest.unwatch(self.0);
    }

    fn finish(&self, _: Vec<()>, _: &mut Core, _: &mut Reply<'_>) -> Result<(), CommandError> {
        Ok(())
    }
}

impl Core {
    fn new_watching(&mut self) -> Watching {
        self.last_watch += 1;
        Watching { id: WatchId { reactor: self.id, number: self.last_watch }, shards: Vec::new() }
    }

    /// Forgets what a connection watches.
    pub(crate) fn unwatch(&mut self, conn: &mut Conn) {
        let Some(watching) = conn.watching.take() else { return };
        self.forget_watch(watching.id, watching.shards);
    }

    fn forget_watch(&mut self, id: WatchId, shards: Vec<ReactorId>) {
        self.shard.rest.unwatch(id);
        let here = self.id;
        let others = shards.into_iter().filter(|shard| *shard != here);
        self.tell(others, Unwatch(id));
    }
}
