//! The shard's side of blocking commands: who waits for which key, in the order in which they came.
//!
//! Invariant: a wait stands in the line of each of its keys that this shard owns, once, and in no other.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Job;
use crate::collections::Map;
use crate::command::blocking::Blocking;
use crate::command::{OwnedArgs, row};
use crate::ids::ReplyTo;
use crate::rules::{Rule, holds};

/// A blocking command that found nothing: the job is the request as it waits.
#[derive(Clone, Debug)]
pub struct Wait {
    pub job: Arc<Job>,
    pub reply_to: ReplyTo,
}

impl Wait {
    /// How its command waits.
    pub fn blocking(&self) -> Option<&'static Blocking> {
        row(self.job.command).run.blocking()
    }

    /// The keys it waits for; one may come twice.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        let args = self.job.args.as_args();
        keys_of(&self.job).map(move |index| args.at(index))
    }

    /// The request for one of its keys alone.
    pub fn narrowed(&self, key: &[u8]) -> Job {
        let args = self.job.args.as_args();
        let index = keys_of(&self.job).find(|&index| args.at(index) == key);
        let narrowed = index.zip(self.blocking()).map(|(index, blocking)| (blocking.narrow)(args, index));
        Job { args: narrowed.unwrap_or_else(|| OwnedArgs::from(args)), ..Job::clone(&self.job) }
    }
}

/// The keys that a job waits for, as indices of its arguments.
fn keys_of(job: &Job) -> impl Iterator<Item = usize> + use<> {
    let mut keys = Vec::new();
    row(job.command).key_flags_of(job.args.as_args(), |index, flags| {
        if flags & crate::command::spec::key_flag::ACCESS != 0 {
            keys.push(index);
        }
    });
    keys.into_iter()
}

/// Those who wait for a key, by when they came.
type Line = BTreeMap<Turn, ReplyTo>;

/// A place in time among the waits of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn(u64);

impl Turn {
    fn next(self) -> Self {
        if holds(Rule::LongestWaitComesFirst) { Self(self.0 + 1) } else { Self(self.0.wrapping_sub(1) >> 1) }
    }
}

/// The waits of one shard. Keys are ordered, not hashed: clients choose them.
#[derive(Debug, Default)]
pub struct Waits {
    lines: BTreeMap<u16, BTreeMap<Box<[u8]>, Line>>,
    all: Map<ReplyTo, (Turn, Wait)>,
    last: Turn,
}

impl Waits {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Takes in a wait for those of its keys that this shard owns.
    pub fn insert(&mut self, wait: Wait, owned: &[bool]) {
        self.last = self.last.next();
        let lines = self.lines.entry(wait.job.db).or_default();
        for (key, _) in wait.keys().zip(owned).filter(|(_, owned)| **owned) {
            lines.entry(key.into()).or_default().insert(self.last, wait.reply_to);
        }
        self.all.insert(wait.reply_to, (self.last, wait));
    }

    /// Whether somebody waits for a key.
    pub fn has_line(&self, db: u16, key: &[u8]) -> bool {
        self.line(db, key).is_some()
    }

    /// Whether somebody waits for a key in any database.
    pub fn has_any_line(&self, key: &[u8]) -> bool {
        self.lines.values().any(|lines| lines.contains_key(key))
    }

    /// Who came first of those who wait for a key, or came next after a turn.
    pub fn next(&self, db: u16, key: &[u8], after: Option<Turn>) -> Option<(Turn, &Wait)> {
        let from = after.map_or(Turn::default(), |turn| Turn(turn.0 + 1));
        let (&turn, id) = self.line(db, key)?.range(from..).next()?;
        self.all.get(id).map(|(_, wait)| (turn, wait))
    }

    pub fn find(&self, id: ReplyTo) -> Option<&Wait> {
        self.all.get(&id).map(|(_, wait)| wait)
    }

    /// Ends a wait.
    pub fn remove(&mut self, id: ReplyTo) {
        let Some((turn, wait)) = self.all.remove(&id) else { return };
        let Some(lines) = self.lines.get_mut(&wait.job.db) else { return };
        for key in wait.keys() {
            let Some(line) = lines.get_mut(key) else { continue };
            line.remove(&turn);
            if line.is_empty() {
                lines.remove(key);
            }
        }
        if lines.is_empty() {
            self.lines.remove(&wait.job.db);
        }
    }

    /// Keys of a database that somebody waits for.
    pub fn keys_in(&self, db: u16) -> impl Iterator<Item = &[u8]> {
        self.lines.get(&db).into_iter().flatten().map(|(key, _)| &**key)
    }

    /// How many keys somebody waits for, and how many of them end somebody's wait when they go.
    pub fn count_keys(&self) -> (usize, usize) {
        let ends = |id: &ReplyTo| {
            self.find(*id).and_then(Wait::blocking).is_some_and(|blocking| blocking.ends_with_key)
        };
        let lines = self.lines.values().flat_map(BTreeMap::values);
        lines.fold((0, 0), |(keys, on_nokey), line| {
            (keys + 1, on_nokey + usize::from(line.values().any(ends)))
        })
    }

    fn line(&self, db: u16, key: &[u8]) -> Option<&Line> {
        self.lines.get(&db)?.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::find;
    use crate::ids::{ConnId, ReactorId};
    use crate::mesh::SessionBits;

    fn wait(seq: u32, request: &str) -> Wait {
        let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let command = find(words[0]).expect("a command").id;
        let args = OwnedArgs::new(words.into_iter());
        let job = Arc::new(Job { command, db: 0, session: SessionBits::default(), args });
        let conn = ConnId { index: 0, generation: 0 };
        Wait { job, reply_to: ReplyTo { reactor: ReactorId(0), conn, seq } }
    }

    fn line(waits: &Waits, key: &[u8]) -> Vec<u32> {
        let (mut seqs, mut turn) = (Vec::new(), None);
        while let Some((next, wait)) = waits.next(0, key, turn) {
            seqs.push(wait.reply_to.seq);
            turn = Some(next);
        }
        seqs
    }

    #[test]
    fn whoever_came_first_is_first_in_every_line() {
        let mut waits = Waits::default();
        waits.insert(wait(1, "BLPOP a b a 0"), &[true; 3]);
        waits.insert(wait(2, "BLMOVE b c LEFT LEFT 0"), &[true]);
        waits.insert(wait(3, "BLPOP a b elsewhere 0"), &[true, true, false]);
        assert_eq!(line(&waits, b"a"), [1, 3]);
        assert_eq!(line(&waits, b"b"), [1, 2, 3]);
        assert_eq!([&b"c"[..], b"elsewhere"].map(|key| waits.has_line(0, key)), [false; 2]);
        assert!(!waits.has_line(1, b"a"));
        waits.remove(wait(1, "PING").reply_to);
        assert_eq!(line(&waits, b"b"), [2, 3]);
        (2..4).for_each(|seq| waits.remove(wait(seq, "PING").reply_to));
        assert!(waits.is_empty() && waits.lines.is_empty());
    }

    #[test]
    fn a_wait_narrows_to_the_key_that_is_ready() {
        for (request, key, narrowed) in [
            ("BLPOP a b 7", "b", "BLPOP b 7"),
            ("BLMOVE a b LEFT RIGHT 7", "a", "BLMOVE a b LEFT RIGHT 7"),
            ("BLMPOP 7 2 a b LEFT COUNT 3", "b", "BLMPOP 7 1 b LEFT COUNT 3"),
            ("BZPOPMIN a b 0.5", "a", "BZPOPMIN a 0.5"),
            ("BZMPOP 7 1 a MAX", "a", "BZMPOP 7 1 a MAX"),
            ("XREAD BLOCK 5 COUNT 2 STREAMS a b 1-1 2-2", "b", "XREAD BLOCK 5 COUNT 2 STREAMS b 2-2"),
        ] {
            let job = wait(1, request).narrowed(key.as_bytes());
            let words: Vec<_> = job.args.as_args().iter().map(String::from_utf8_lossy).collect();
            assert_eq!(words.join(" "), narrowed);
        }
    }
}
