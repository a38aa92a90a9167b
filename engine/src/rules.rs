//! The rules that transactions over shards and scopes rest on, so that a test can break one and see that it matters.
//!
//! Only the feature `breakable-rules`, which this crate's tests turn on for themselves, lets a rule be broken, for the
//! thread that asks for it. Without it a rule holds, at compile time.

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Rule {
            $($(#[$doc])* $rule,)*
        }

        impl Rule {
            pub const ALL: &[Self] = &[$(Self::$rule),*];
        }
    };
}

rules! {
    /// A command of one shard waits for the locks of its keys.
    CommandsMindLocks,
    /// So does a block of one shard.
    BlocksMindLocks,
    /// And a WATCH.
    WatchesMindLocks,
    /// A scattered command locks its keys.
    SharesAreLocked,
    /// Keys are locked while they are lent.
    LentKeysAreLocked,
    /// Also those that are only read: they are away.
    LentKeysAreNobodyElses,
    /// Nothing takes effect before all shards have granted.
    AllGrantFirst,
    /// Whoever would wait for a higher txid is refused.
    LateComersAreRefused,
    /// A block does not run if a watched key has changed.
    WatchesAreLookedAt,
    /// What is only watched is locked as well.
    WatchedKeysAreLocked,
    /// Shards learn what has changed while it was lent.
    ChangesAreTold,
    /// A block that visits shards holds all of them.
    BlocksHoldShards,
    /// A visit of all shards at one moment holds them.
    VisitsHoldShards,
    /// A course holds all shards from its first round to its last.
    CoursesHoldShards,
    /// A barrier starts when all that was sent before has taken effect.
    BarriersWait,
    /// Nothing sent later overtakes a barrier.
    BarriersAreWaitedFor,
    /// Nothing runs before the journal has begun or ended on every shard.
    SwitchesAreWaitedFor,
    /// A key is locked while it is on offer.
    OffersAreLocked,
    /// Whoever has waited longest is offered a key first.
    LongestWaitComesFirst,
    /// Keys that one block has filled are offered in its order, whichever shards they are on.
    BlocksAreSettledInOrder,
    /// One offer is taken at a time.
    OneOfferIsTaken,
    /// What could not be taken at the time is offered again.
    MissedOffersAreMadeAgain,
    /// Whoever takes an offer does not wait for more keys.
    TakersDoNotWait,
    /// Nothing is taken out for a client that is gone.
    TheGoneTakeNothing,
    /// Whoever is gone stands in no line.
    TheGoneDoNotWait,
    /// And watches nothing.
    TheGoneDoNotWatch,
    /// A write is refused if another node writes one of its keys.
    WritesMindScopes,
    /// So is a block, as a whole.
    BlocksMindScopes,
    /// And a wait that has begun, once another node writes one of its keys.
    WaitsMindScopes,
    /// A change of scopes is answered when every core goes by it.
    ChangesReachAllCores,
    /// What is about to change is recorded first, while a snapshot is made.
    ChangesAreRecordedFirst,
    /// A snapshot's cut holds all shards.
    CutsHoldShards,
    /// Whoever makes the cut has given what it did a stamp before.
    CutsSealFirst,
}

impl Rule {
    /// Those of snapshots: what a client sees does not depend on them.
    pub const OF_SNAPSHOTS: &[Self] =
        &[Self::ChangesAreRecordedFirst, Self::CutsHoldShards, Self::CutsSealFirst];

    /// Those of the journal's beginning and end: nor on them.
    pub const OF_SWITCHES: &[Self] = &[Self::CutsHoldShards, Self::SwitchesAreWaitedFor];
}

/// Whether a rule holds.
#[cfg(not(feature = "breakable-rules"))]
#[inline]
pub const fn holds(_: Rule) -> bool {
    true
}

#[cfg(feature = "breakable-rules")]
pub use breakable::{holds, with_broken};

#[cfg(feature = "breakable-rules")]
mod breakable {
    use std::cell::Cell;

    use super::Rule;

    thread_local! {
        static BROKEN: Cell<Option<Rule>> = const { Cell::new(None) };
    }

    pub fn holds(rule: Rule) -> bool {
        BROKEN.get() != Some(rule)
    }

    /// Does something without a rule.
    pub fn with_broken<R>(rule: Rule, work: impl FnOnce() -> R) -> R {
        struct Mended;
        impl Drop for Mended {
            fn drop(&mut self) {
                BROKEN.set(None);
            }
        }
        BROKEN.set(Some(rule));
        let _mended = Mended;
        work()
    }
}
