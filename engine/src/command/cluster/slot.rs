//! A slot's keys. They are looked for among all of their core: nothing is kept by slot.

use bobbin_cluster::Slot;
use bobbin_proto::Reply;

use super::nodes;
use crate::command::number::integer;
use crate::command::{Args, Session};
use crate::core::Core;
use crate::errand::{Errand, Need, Targets};
use crate::error::CommandError;

/// In a cluster there is one database.
const DATABASE: usize = 0;

pub(super) fn keyslot(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    nodes(session)?;
    session.reply(|reply| reply.int(Slot::of(args.at(2)).number().into()));
    Ok(())
}

pub(super) fn countkeysinslot(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    nodes(session)?;
    let slot = slot_of(integer(args.at(2))?).ok_or(CommandError::text("ERR Invalid slot"))?;
    ask(session, slot, Asking::HowMany);
    Ok(())
}

pub(super) fn getkeysinslot(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    nodes(session)?;
    let (slot, most) = (integer(args.at(2))?, integer(args.at(3))?);
    let valid = slot_of(slot).zip(usize::try_from(most).ok());
    let (slot, most) = valid.ok_or(CommandError::text("ERR Invalid slot or number of keys"))?;
    ask(session, slot, Asking::Which { most });
    Ok(())
}

fn slot_of(number: i64) -> Option<Slot> {
    u16::try_from(number).ok().and_then(Slot::new)
}

fn ask(session: &mut Session<'_>, slot: Slot, asking: Asking) {
    let owner = crate::ids::ReactorId::from_index(session.core.slots().owner(slot));
    session.ask(KeysInSlot { slot, asking }, Targets::One(owner));
}

#[derive(Clone, Copy, Debug)]
enum Asking {
    HowMany,
    Which { most: usize },
}

#[derive(Debug)]
struct KeysInSlot {
    slot: Slot,
    asking: Asking,
}

impl Errand for KeysInSlot {
    type Answer = (usize, Vec<Box<[u8]>>);

    fn need(&self) -> Need {
        Need::WholeShard
    }

    /// Expired keys count until they are removed, as in Redis.
    fn visit(&self, core: &mut Core) -> Self::Answer {
        let entries = core.shard.keyspace.db(DATABASE).iter();
        let keys = entries.map(|entry| entry.key()).filter(|key| Slot::of(key) == self.slot);
        match self.asking {
            Asking::HowMany => (keys.count(), Vec::new()),
            Asking::Which { most } => (0, keys.take(most).map(Box::from).collect()),
        }
    }

    fn finish(
        &self,
        answers: Vec<Self::Answer>,
        _: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        for (count, keys) in answers {
            match self.asking {
                Asking::HowMany => reply.int(count as i64),
                Asking::Which { .. } => {
                    reply.array(keys.len());
                    keys.iter().for_each(|key| reply.bulk(key));
                }
            }
        }
        Ok(())
    }
}
