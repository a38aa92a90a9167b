//! Requests that come by a reactor's own port: their keys have to be this shard's, as on a node of a cluster.
//!
//! Source: what is refused, and in which order, is that of redis-server 7.0.15 with `cluster-enabled yes`.

use std::borrow::Cow;

use bobbin_cluster::Slot;

use super::Core;
use crate::command::{Args, Command, flag};
use crate::conn::Conn;
use crate::error::CommandError;
use crate::nodes::Nodes;

const CROSS_SLOT: CommandError =
    CommandError::Redirected(Cow::Borrowed("CROSSSLOT Keys in request don't hash to the same slot"));

impl Core {
    /// Refuses a request with keys of several slots, or of another shard. EXEC is judged by all that is queued.
    pub(super) fn check_slots(&self, conn: &Conn, row: &Command, args: Args<'_>) -> Result<(), CommandError> {
        let mut slots = Slots::default();
        if row.has(flag::RUNS_QUEUE) {
            conn.multi.block.iter().for_each(|(row, args)| slots.add(row, args));
        } else {
            slots.add(row, args);
        }
        match slots {
            Slots { differ: true, .. } => Err(CROSS_SLOT),
            Slots { first: Some(slot), .. } if self.slots.owner(slot) != self.id.index() => {
                Err(Nodes::seen_by(self, &conn.about.endpoints).owner(slot).moved(slot))
            }
            _ => Ok(()),
        }
    }
}

/// What is to be known of the slots of a request's keys.
#[derive(Debug, Default)]
struct Slots {
    first: Option<Slot>,
    differ: bool,
}

impl Slots {
    fn add(&mut self, row: &Command, args: Args<'_>) {
        row.slotted_of(args, |index| {
            let slot = Slot::of(args.at(index));
            self.differ |= *self.first.get_or_insert(slot) != slot;
        });
    }
}
