//! Look-ups that are about to be made, fetched into the cache together instead of one behind the other.
//!
//! Finding a key follows four pointers, and on many keys each of them is a line that is not in the cache. So a group of
//! keys takes each step together, and what a step needs was asked for by the one before:
//!
//! ```text
//! add, for each key    hash → segment → control bytes and slots
//! fetch, a round each                   slot → block → object → what that points to
//! ```

use super::db::Db;
use super::entry::Entry;
use super::table::Sought;

/// Lines that are fetched ahead are of no use once others have taken their place.
const KEYS_MAX: usize = 32;

/// Keys that are about to be looked up.
#[derive(Debug, Default)]
pub struct Prefetch<'t> {
    /// With whether the value is more than the block.
    sought: [Option<(Sought<'t>, bool)>; KEYS_MAX],
    len: usize,
}

impl<'t> Prefetch<'t> {
    /// How many keys it takes at once.
    pub const KEYS_MAX: usize = KEYS_MAX;

    /// Adds a key of a database; if it is a collection's, what is in that is fetched too.
    #[inline]
    pub fn add(&mut self, db: &'t Db, key: &[u8], is_collection: bool) {
        if self.len == KEYS_MAX {
            self.fetch();
        }
        self.sought[self.len] = db.seek(key).map(|sought| (sought, is_collection));
        self.len += 1;
    }

    /// Takes the rest of the steps.
    #[inline]
    pub fn fetch(&mut self) {
        let (mut collections, mut len) = ([None::<&Entry>; KEYS_MAX], 0);
        for (sought, is_collection) in self.sought[..self.len].iter().flatten() {
            let entry = sought.prefetch();
            if *is_collection {
                collections[len] = entry;
                len += 1;
            }
        }
        let collections = || collections[..len].iter().flatten();
        collections().for_each(|entry| entry.prefetch_object());
        collections().for_each(|entry| entry.prefetch_content());
        self.len = 0;
    }
}
