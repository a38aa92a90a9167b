//! A train: scattered commands (MSET, MGET, DEL …) that one connection sends one behind the other, as one transaction.
//!
//! Each is a barrier: it starts when what was sent before it has taken effect. One by one, a pipeline of them would make a
//! round through the shards for each, and a send to the client for each reply. That all of them take effect at one
//! moment, in their order, is one of the outcomes that a client may see anyway.
//!
//! Invariant: writes come first. A train's writes are journalled when all shards have granted; what a read removes because
//! its time is over, when the read has run. A write behind that read has to be journalled behind that.

use bobbin_proto::Span;

use super::Share;
use super::lock::{Footprint, key_hash};
use crate::command::{Args, Command, Merge, OwnedArgs};
use crate::ids::{ConnId, ReactorId};
use crate::mesh::SessionBits;

/// One command of a train.
#[derive(Debug)]
pub struct Scattered {
    pub command: &'static Command,
    pub merge: Merge,
    pub db: u16,
    pub session: SessionBits,
    pub args: OwnedArgs,
    /// In the order of the shards.
    pub shares: Vec<Share>,
}

impl Scattered {
    fn share(&self, shard: ReactorId) -> Option<&Share> {
        self.shares.iter().find(|share| share.shard == shard)
    }

    pub fn keys(&self) -> usize {
        self.shares.iter().map(|share| share.keys.len()).sum()
    }
}

/// Shared by all shards that have a part in it.
#[derive(Debug)]
pub struct Train {
    /// Whose commands they are.
    pub conn: ConnId,
    pub commands: Vec<Scattered>,
}

impl Train {
    /// The shards that have a part in it, in their order.
    pub fn shards(&self) -> Vec<ReactorId> {
        let mut shards: Vec<_> =
            self.commands.iter().flat_map(|scattered| &scattered.shares).map(|share| share.shard).collect();
        shards.sort_unstable();
        shards.dedup();
        shards
    }

    /// The locks that a shard's part needs.
    pub fn footprint(&self, shard: ReactorId) -> Footprint {
        let shares = self.commands.iter().filter_map(|scattered| Some((scattered, scattered.share(shard)?)));
        Footprint::keys(shares.flat_map(|(scattered, share)| {
            let args = scattered.args.as_args();
            share.keys.iter().map(move |&(index, writes)| (key_hash(args.at(index)), writes))
        }))
    }

    /// A shard's part: every command of which it owns keys, with those keys alone.
    pub fn run(&self, shard: ReactorId, mut run: impl FnMut(&Scattered, Args<'_>)) {
        let mut spans = Vec::new();
        for scattered in &self.commands {
            if let Some(share) = scattered.share(shard) {
                run(scattered, share_of(scattered.command, scattered.args.as_args(), share, &mut spans));
            }
        }
    }
}

/// The command with only the keys of one share, each with the arguments that belong to it (MSET: its value).
pub fn share_of<'a>(command: &Command, args: Args<'a>, share: &Share, spans: &'a mut Vec<Span>) -> Args<'a> {
    let step = command.key_step();
    let indices = share.keys.iter().flat_map(|&(key, _)| key..(key + step).min(args.len()));
    args.pick(std::iter::once(0).chain(indices), spans)
}
