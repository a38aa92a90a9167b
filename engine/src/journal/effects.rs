//! What commands have done, on its way to the journal: as commands that do the same whenever they are run again, on
//! whatever shards, by a clock that stands still.
//!
//! What a command was asked is what it did, unless its handler [tells](Effects::tell) otherwise, because what it was asked
//! depends on the time, on chance or on how values are laid out. Where what it did would be long to tell and depends on
//! nothing but the time, it is [dated](Effects::date): what it was asked and when. Keys that go because their time is
//! over, or to make room, are [noted](Effects::note).
//!
//! Invariants:
//! - A command that changed nothing leaves no effect.
//! - With the journal off, a command pays one test.
//! - The effects of a block that runs step by step are set aside until it has run: they are journalled as one.

use super::Batch;
use crate::command::Args;

#[derive(Debug, Default)]
pub struct Effects {
    is_on: bool,
    /// The command under way is journalled by somebody else.
    is_muted: bool,
    /// The command under way is one of a block that runs step by step.
    is_aside: bool,
    /// It has told what it did.
    is_told: bool,
    /// It is to be done again by a clock that shows this.
    at_ms: Option<u64>,
    batch: Batch,
    aside: Batch,
}

impl Effects {
    /// Whether effects are kept.
    #[inline]
    pub const fn is_on(&self) -> bool {
        self.is_on
    }

    pub fn set_on(&mut self, is_on: bool) {
        self.is_on = is_on;
    }

    /// Whoever coordinates the transaction has journalled, or will, what is about to run here.
    pub fn mute(&mut self, is_muted: bool) {
        self.is_muted = is_muted;
    }

    /// A command begins; `aside`: it is one of a block that runs step by step.
    #[inline]
    pub fn begin(&mut self, aside: bool) {
        if self.is_on {
            (self.is_told, self.is_aside, self.at_ms) = (false, aside, None);
        }
    }

    /// The command is over.
    #[inline]
    pub fn end(&mut self, has_changed: bool, db: usize, args: Args<'_>) {
        if self.is_on {
            if has_changed && !self.is_told {
                self.push(db, self.at_ms, args.iter());
            }
            self.is_aside = false;
        }
    }

    /// A part of a command is over that has told all it did.
    #[inline]
    pub fn end_part(&mut self) {
        self.is_aside = false;
    }

    /// The command under way did this, instead of what it was asked; several such are done in their order.
    pub fn tell<'a>(
        &mut self,
        db: usize,
        args: impl IntoIterator<Item = &'a [u8], IntoIter: ExactSizeIterator>,
    ) {
        self.is_told = true;
        self.note(db, args);
    }

    /// What the command under way does depends on the time, and on nothing else but the keys.
    #[inline]
    pub fn date(&mut self, now_ms: u64) {
        self.at_ms = Some(now_ms);
    }

    /// The command under way did nothing that has not been noted.
    pub fn tell_nothing(&mut self) {
        self.is_told = true;
    }

    /// This has happened, whatever command is under way.
    pub fn note<'a>(
        &mut self,
        db: usize,
        args: impl IntoIterator<Item = &'a [u8], IntoIter: ExactSizeIterator>,
    ) {
        if self.is_on {
            self.push(db, None, args.into_iter());
        }
    }

    /// Several shards are about to do this as one; `aside`: in a block that runs step by step.
    pub fn note_whole<'a>(&mut self, aside: bool, db: usize, args: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.is_aside = aside;
        self.note(db, args);
        self.is_aside = false;
    }

    fn push<'a>(&mut self, db: usize, at_ms: Option<u64>, args: impl ExactSizeIterator<Item = &'a [u8]>) {
        if self.is_muted {
            return;
        }
        let batch = if self.is_aside { &mut self.aside } else { &mut self.batch };
        batch.push_at(db as u32, at_ms, args);
    }

    /// What has been set aside since this was last asked.
    pub fn take_aside(&mut self) -> Option<Batch> {
        (!self.aside.is_empty()).then(|| std::mem::take(&mut self.aside))
    }

    /// A block that ran step by step is over: these were its effects.
    pub fn join(&mut self, block: &Batch) {
        if self.is_on {
            self.batch.append(block);
        }
    }

    /// Everything since this was last asked, if there is anything.
    #[inline]
    pub fn take(&mut self, empty: impl FnOnce() -> Batch) -> Option<Batch> {
        (!self.batch.is_empty()).then(|| std::mem::replace(&mut self.batch, empty()))
    }
}
