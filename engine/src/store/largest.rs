//! The largest keys of a database, known without ever looking at all keys.
//!
//! Every key of at least `least` bytes is noted when it becomes so large, and forgotten when it shrinks below or goes.
//! When more are noted than are kept, the smaller half is forgotten and `least` rises; when few are left, it falls again.
//! So what a change of a key costs is a comparison, unless the key is among the largest.
//!
//! Sizes are told apart by class, four to a doubling. `least` is the lower end of a class, and a note follows its key
//! from class to class: that makes the notes exact without a note for every change.
//!
//! Where very many keys are of one class, and `least` has to rise above it, notes of some stay as hints: nobody follows
//! their keys any more, and whoever reads the notes looks what has become of them.
//!
//! Invariant: every key of at least `complete_from` bytes is noted, and what is noted and no hint is there, and of at
//! least `least` bytes.
//!
//! Refused: names longer than [`NAME_MAX`], so that memory is bounded by [`KEPT_MAX`] of those.

use std::collections::BTreeMap;

/// Keys noted at the most.
pub(crate) const KEPT_MAX: usize = 256;
/// Below so many, smaller keys are noted as well.
const KEPT_FEW: usize = KEPT_MAX / 8;
/// Bytes below which no key is large.
pub(crate) const LEAST_MIN: usize = 1 << 10;
/// Bytes of a name.
pub(crate) const NAME_MAX: usize = 1 << 10;

/// The notes of one database.
#[derive(Debug)]
pub(crate) struct Largest {
    least: usize,
    /// What `least` has been at the most: smaller keys from before it fell are not noted.
    complete_from: usize,
    noted: BTreeMap<Box<[u8]>, Note>,
    /// Notes that are no hints.
    certain: usize,
}

#[derive(Clone, Copy, Debug)]
struct Note {
    class: u32,
    is_hint: bool,
}

impl Default for Largest {
    fn default() -> Self {
        Self { least: LEAST_MIN, complete_from: LEAST_MIN, noted: BTreeMap::new(), certain: 0 }
    }
}

/// Of a size from 4 bytes on.
fn class(bytes: usize) -> u32 {
    let log = bytes.ilog2();
    log << 2 | (bytes >> (log - 2)) as u32 & 3
}

/// The smallest size of a class.
fn lower_end(class: u32) -> usize {
    (4 | class as usize & 3) << ((class >> 2) - 2)
}

impl Largest {
    /// Whether a key of this size is noted.
    #[inline]
    pub(crate) fn concerns(&self, bytes: usize) -> bool {
        bytes >= self.least
    }

    /// Bytes from which on no key is missing, but for those with very long names.
    pub(crate) fn complete_from(&self) -> usize {
        self.complete_from
    }

    /// Names of the largest keys, and of some that may have been.
    pub(crate) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.noted.keys().map(|name| &**name)
    }

    /// Has all notes follow their keys again. `bytes`: of a key, if it is there.
    pub(crate) fn look(&mut self, bytes: impl Fn(&[u8]) -> Option<usize>) {
        let least = self.least;
        self.noted.retain(|key, note| {
            let now = bytes(key);
            *note = now.map_or(*note, |now| Note { class: class(now), is_hint: now < least });
            now.is_some()
        });
        self.certain = self.noted.values().filter(|note| !note.is_hint).count();
        if self.noted.is_empty() {
            self.least = LEAST_MIN;
        } else if self.noted.len() < KEPT_FEW {
            self.fall();
        }
    }

    /// The database is empty.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Notes a key that is there now, and [of concern](Self::concerns).
    #[cold]
    pub(crate) fn came(&mut self, key: &[u8], bytes: usize) {
        if key.len() > NAME_MAX {
            return;
        }
        let before = self.noted.insert(key.into(), Note { class: class(bytes), is_hint: false });
        self.certain += usize::from(before.is_none_or(|before| before.is_hint));
        if self.noted.len() > KEPT_MAX {
            self.rise();
        }
    }

    /// Forgets a key that is gone, and was of concern.
    #[cold]
    pub(crate) fn went(&mut self, key: &[u8]) {
        let note = self.noted.remove(key);
        self.certain -= usize::from(note.is_some_and(|note| !note.is_hint));
        if self.certain < KEPT_FEW {
            self.fall();
        }
    }

    /// Follows a key that was of concern, is so now, or both.
    #[cold]
    pub(crate) fn resized(&mut self, key: &[u8], before: usize, after: usize) {
        if !self.concerns(after) {
            self.went(key);
        } else if !self.concerns(before) || class(before) != class(after) {
            self.came(key, after);
        }
    }

    fn fall(&mut self) {
        if self.least > LEAST_MIN {
            self.least = lower_end(class(self.least) - 1);
        }
    }

    /// Gives up the hints, which may be of keys that are gone, or the smaller half. Of the smallest class that stays
    /// some have to go, so all of it are hints from here on, and only above it nothing is missing.
    fn rise(&mut self) {
        self.noted.retain(|_, note| !note.is_hint);
        if self.noted.len() <= KEPT_MAX / 2 {
            return;
        }
        let mut classes: Vec<u32> = self.noted.values().map(|note| note.class).collect();
        classes.sort_unstable_by_key(|&class| std::cmp::Reverse(class));
        let smallest = classes[KEPT_MAX / 2 - 1];
        self.certain = classes.iter().filter(|&&class| class > smallest).count();
        let mut room = KEPT_MAX / 2 - self.certain;
        self.noted.retain(|_, note| {
            note.is_hint = note.class == smallest;
            let stays = note.class > smallest || note.is_hint && room > 0;
            room -= usize::from(stays && note.is_hint);
            stays
        });
        self.least = self.least.max(lower_end(smallest + 1));
        self.complete_from = self.complete_from.max(self.least);
    }
}

#[cfg(test)]
impl Largest {
    /// Checks the notes against all keys with their sizes.
    pub(crate) fn assert_has<'a>(&self, all: impl Iterator<Item = (&'a [u8], usize)>) {
        assert!(self.noted.len() <= KEPT_MAX && self.least <= self.complete_from);
        assert_eq!(self.certain, self.noted.values().filter(|note| !note.is_hint).count());
        let mut met = 0;
        for (key, bytes) in all {
            let shown = key.escape_ascii();
            match self.noted.get(key).filter(|note| !note.is_hint) {
                Some(note) => {
                    met += 1;
                    assert!(
                        note.class == class(bytes) && bytes >= self.least,
                        "{shown} of {bytes}: {note:?}"
                    );
                }
                None => assert!(bytes < self.complete_from || key.len() > NAME_MAX, "{shown} of {bytes}"),
            }
        }
        assert_eq!(met, self.certain, "keys are noted that are not there");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_a_quarter_of_a_doubling() {
        assert_eq!(
            [1024, 1279, 1280, 1535, 1536, 1792, 2047, 2048].map(class),
            [40, 40, 41, 41, 42, 43, 43, 44]
        );
        (8..200).for_each(|number| assert_eq!(class(lower_end(number)), number));
        (9..200).for_each(|number| assert_eq!(class(lower_end(number) - 1), number - 1));
    }
}
