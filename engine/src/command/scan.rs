//! Finding keys without naming them: KEYS, SCAN, RANDOMKEY.
//!
//! Each shard is seen at its own moment. A cursor of SCAN is a shard and the store's cursor within it:
//!
//! ```text
//!  63        44 43                 0
//! ┌────────────┬────────────────────┐
//! │ shard      │ cursor of its store│     0 is the start, and as an answer the end
//! └────────────┴────────────────────┘
//! ```
//! Shards are scanned in order. Those after the cursor's that fit what is left of COUNT are answered in the same
//! call, so a small database is seen whole in one.
//!
//! Refuses: nothing that is a number. A cursor of a shard that is not there is the end.

use std::ops::Range;

use bobbin_proto::{Reply, Version};

use super::spec::{Command, Group, Run, acl, command, flag};
use super::{Args, Session};
use crate::core::Core;
use crate::errand::{Errand, Need, Targets};
use crate::error::{CommandError, before_nul};
use crate::ids::ReactorId;
use crate::store::{CURSOR_END, Case, Entry, Pool, Type, glob_matches, is_due, parse_canonical};

pub const ROWS: &[Command] = &[
    command("keys", 2, flag::READONLY | flag::BARRIER, Group::Generic, Run::Conn(keys))
        .acl(acl::DANGEROUS)
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"])
        .differs("Each core is looked at in its own moment.")
        .docs("1.0.0", "O(N) with N keys", "Answers every key that matches a pattern.", "pattern"),
    command("scan", -2, flag::READONLY | flag::BARRIER, Group::Generic, Run::Conn(scan))
        .tips(&["nondeterministic_output", "request_policy:special"])
        .differs("Each core is looked at in its own moment; cursors are larger numbers.")
        .docs(
            "2.8.0",
            "O(COUNT) a call, O(N) for all with N keys",
            "Walks the keys of the database, some at each call.",
            "cursor [MATCH pattern] [COUNT count] [TYPE type]",
        ),
    command("randomkey", 1, flag::READONLY | flag::BARRIER, Group::Generic, Run::Conn(randomkey))
        .tips(&["request_policy:all_shards", "nondeterministic_output"])
        .differs("Each core is looked at in its own moment.")
        .docs("1.0.0", "O(1)", "Answers a key, each with the same chance.", ""),
];

/// Keys found on one shard, as the elements of an array reply.
#[derive(Debug, Default)]
struct Found {
    keys: usize,
    bytes: Vec<u8>,
}

impl Found {
    fn push(&mut self, key: &[u8]) {
        self.keys += 1;
        Reply::new(&mut self.bytes, Version::default()).bulk(key);
    }
}

fn is_live(entry: &Entry, now_ms: u64) -> bool {
    entry.expiry().is_none_or(|at| !is_due(at, now_ms))
}

/// A pattern that keys have to match; none where every key does.
#[derive(Debug)]
struct Pattern(Option<Box<[u8]>>);

impl Pattern {
    fn new(pattern: &[u8]) -> Self {
        Self((pattern != b"*").then(|| pattern.into()))
    }

    fn matches(&self, key: &[u8]) -> bool {
        self.0.as_ref().is_none_or(|pattern| glob_matches(pattern, key, Case::Sensitive))
    }
}

fn keys(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let errand = Keys { db: session.conn.db as usize, pattern: Pattern::new(args.at(1)) };
    session.ask(errand, session.own_keys());
    Ok(())
}

#[derive(Debug)]
struct Keys {
    db: usize,
    pattern: Pattern,
}

impl Errand for Keys {
    type Answer = Found;

    fn need(&self) -> Need {
        Need::WholeShard
    }

    fn visit(&self, core: &mut Core) -> Found {
        let now_ms = core.env.now.unix_ms();
        let mut found = Found::default();
        for entry in core.shard.keyspace.db(self.db).iter() {
            if is_live(entry, now_ms) && self.pattern.matches(entry.key()) {
                found.push(entry.key());
            }
        }
        found
    }

    fn finish(&self, found: Vec<Found>, _: &mut Core, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        reply_found(&found, reply);
        Ok(())
    }
}

fn reply_found(found: &[Found], reply: &mut Reply<'_>) {
    reply.array(found.iter().map(|found| found.keys).sum());
    found.iter().for_each(|found| reply.raw(&found.bytes));
}

fn scan(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let cursor = parse_cursor(args.at(1)).ok_or(CommandError::text("ERR invalid cursor"))?;
    let shards = match session.own_keys() {
        Targets::One(own) => own.index()..own.index() + 1,
        Targets::All | Targets::These(_) => 0..session.core.env.shared.reactors(),
    };
    let scan = Scan::parse(session.conn.db as usize, cursor, shards, args)?;
    if !scan.shards.contains(&scan.shard) {
        session.reply(|reply| reply_page(0, &[], reply));
        return Ok(());
    }
    // Keys are spread evenly: if this shard holds more than a call answers, so do the others, and the cursor's alone
    // is asked.
    let small = session.core.shard.keyspace.db(scan.db).len() <= scan.count;
    let alone = !small || scan.shards.len() == 1;
    let targets = if alone { Targets::One(ReactorId::from_index(scan.shard)) } else { Targets::All };
    session.ask(scan, targets);
    Ok(())
}

/// A cursor as Redis reads it, with C's strtoul: a sign is taken, blanks in front are not, nothing at all is 0, and
/// a zero byte ends it.
pub(super) fn parse_cursor(arg: &[u8]) -> Option<u64> {
    let (negative, digits) = match before_nul(arg) {
        [] => return Some(0),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if negative { number.wrapping_neg() } else { number })
}

/// Which values SCAN's TYPE lets pass.
#[derive(Clone, Copy, Debug)]
enum TypeFilter {
    All,
    Only(Type),
    /// A type that does not exist: Redis answers no key, and no error.
    Nothing,
}

impl TypeFilter {
    fn matches(self, entry: &Entry) -> bool {
        match self {
            Self::All => true,
            Self::Only(of) => entry.type_of() == of,
            Self::Nothing => false,
        }
    }
}

#[derive(Debug)]
struct Scan {
    db: usize,
    /// Those to be scanned.
    shards: Range<usize>,
    shard: usize,
    /// Within the shard.
    cursor: u64,
    count: usize,
    pattern: Pattern,
    types: TypeFilter,
}

const COUNT_DEFAULT: usize = 10;

impl Scan {
    fn parse(db: usize, cursor: u64, shards: Range<usize>, args: Args<'_>) -> Result<Self, CommandError> {
        let first = shards.start;
        let mut scan = Self {
            db,
            shards,
            shard: if cursor == 0 { first } else { (cursor / CURSOR_END) as usize },
            cursor: cursor % CURSOR_END,
            count: COUNT_DEFAULT,
            pattern: Pattern(None),
            types: TypeFilter::All,
        };
        for at in (2..args.len()).step_by(2) {
            let value = args.get(at + 1).ok_or(CommandError::Syntax)?;
            match () {
                () if args.is(at, "count") => scan.count = parse_scan_count(value)?,
                () if args.is(at, "match") => scan.pattern = Pattern::new(value),
                () if args.is(at, "type") => {
                    scan.types = Type::from_name(value).map_or(TypeFilter::Nothing, TypeFilter::Only);
                }
                () => return Err(CommandError::Syntax),
            }
        }
        Ok(scan)
    }

    fn page(&self, core: &mut Core) -> Page {
        let shard = core.id.index();
        let now_ms = core.env.now.unix_ms();
        let cursor = if shard == self.shard { self.cursor } else { 0 };
        let mut page = Page { shard, visited: 0, next: 0, found: Found::default() };
        let mut expired: Vec<Box<[u8]>> = Vec::new();
        page.next = core.shard.keyspace.db(self.db).scan(cursor, self.count, |entry| {
            page.visited += 1;
            let key = entry.key();
            if !is_live(entry, now_ms) {
                expired.push(key.into());
            } else if self.types.matches(entry) && self.pattern.matches(key) {
                page.found.push(key);
            }
        });
        let shard = &mut core.shard;
        expired.iter().for_each(|key| shard.rest.expire(&mut shard.keyspace, self.db, key));
        page
    }
}

/// COUNT of SCAN and its kin.
pub(super) fn parse_scan_count(arg: &[u8]) -> Result<usize, CommandError> {
    match parse_canonical(arg) {
        None => Err(CommandError::NotInteger),
        Some(..1) => Err(CommandError::Syntax),
        Some(count) => Ok(count as usize),
    }
}

/// What one shard contributes to a call.
#[derive(Debug)]
struct Page {
    shard: usize,
    /// Keys looked at.
    visited: usize,
    /// Where this shard's scan goes on; 0 if it is done.
    next: u64,
    found: Found,
}

impl Errand for Scan {
    /// None from a shard that is not due yet.
    type Answer = Option<Page>;

    fn need(&self) -> Need {
        Need::WholeShard
    }

    fn visit(&self, core: &mut Core) -> Option<Page> {
        let shard = core.id.index();
        let due =
            shard == self.shard || shard > self.shard && core.shard.keyspace.db(self.db).len() <= self.count;
        due.then(|| self.page(core))
    }

    fn finish(
        &self,
        pages: Vec<Option<Page>>,
        _: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        let (mut found, mut visited) = (Vec::new(), 0);
        let (mut shard, mut next) = (self.shard, self.cursor);
        for page in pages.into_iter().flatten() {
            // In order and without a gap; what does not fit the count any more is scanned again later.
            if page.shard != shard || (visited > 0 && visited + page.visited > self.count) {
                break;
            }
            visited += page.visited;
            found.push(page.found);
            next = page.next;
            if next != 0 {
                break;
            }
            shard += 1;
        }
        let cursor = if shard == self.shards.end { 0 } else { shard as u64 * CURSOR_END + next };
        reply_page(cursor, &found, reply);
        Ok(())
    }
}

fn reply_page(cursor: u64, found: &[Found], reply: &mut Reply<'_>) {
    reply.array(2);
    reply.bulk_int(cursor as i64);
    reply_found(found, reply);
}

fn randomkey(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let db = session.conn.db as usize;
    session.ask(RandomKey { db }, session.own_keys());
    Ok(())
}

#[derive(Debug)]
struct RandomKey {
    db: usize,
}

/// One shard's candidate, and how many keys it stands for.
#[derive(Debug)]
struct Candidate {
    keys: usize,
    key: Box<[u8]>,
}

/// Expired keys that one call removes while it looks for a live one. The active pass keeps them few.
const EXPIRED_DRAWS_MAX: usize = 1000;

impl Errand for RandomKey {
    type Answer = Option<Candidate>;

    fn need(&self) -> Need {
        Need::WholeShard
    }

    fn visit(&self, core: &mut Core) -> Option<Candidate> {
        let now_ms = core.env.now.unix_ms();
        let shard = &mut core.shard;
        for _ in 0..EXPIRED_DRAWS_MAX {
            let db = shard.keyspace.db(self.db);
            let entry = db.random(Pool::All, &mut shard.rest.rng)?;
            let key: Box<[u8]> = entry.key().into();
            if is_live(entry, now_ms) {
                return Some(Candidate { keys: db.len(), key });
            }
            shard.rest.expire(&mut shard.keyspace, self.db, &key);
        }
        None
    }

    fn finish(
        &self,
        candidates: Vec<Option<Candidate>>,
        core: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        let candidates: Vec<Candidate> = candidates.into_iter().flatten().collect();
        let total: usize = candidates.iter().map(|candidate| candidate.keys).sum();
        let mut nth = if total == 0 { 0 } else { core.shard.rest.rng.usize(0..total) };
        let chosen = candidates.iter().find(|candidate| {
            let found = nth < candidate.keys;
            nth = nth.saturating_sub(candidate.keys);
            found
        });
        match chosen {
            Some(candidate) => reply.bulk(&candidate.key),
            None => reply.null(),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_strtoul_reads_them() {
        let good: [(&[u8], u64); 8] = [
            (b"", 0),
            (b"0", 0),
            (b"\x001", 0),
            (b"3\x00x", 3),
            (b"007", 7),
            (b"+5", 5),
            (b"-1", u64::MAX),
            (b"18446744073709551615", u64::MAX),
        ];
        for (arg, cursor) in good {
            assert_eq!(parse_cursor(arg), Some(cursor), "{arg:?}");
        }
        for arg in [&b" 0"[..], b"0 ", b"0x0", b"abc", b"-", b"18446744073709551616", b"\t0", b"+"] {
            assert_eq!(parse_cursor(arg), None, "{arg:?}");
        }
    }
}
