//! The command table: every family's rows joined at compile time, and the index that finds a row by name.

use super::args::Args;
use super::spec::{Command, flag, key_flag};
use crate::ids::CommandId;

const FAMILIES: &[&[Command]] = &[
    super::acl::ROWS,
    super::bitfield::ROWS,
    super::bitmap::ROWS,
    super::client::ROWS,
    super::cluster::ROWS,
    super::config::ROWS,
    super::connection::ROWS,
    super::counter::ROWS,
    super::debug::ROWS,
    super::dump::ROWS,
    super::expire::ROWS,
    super::geo::point::ROWS,
    super::geo::search::ROWS,
    super::hash::count::ROWS,
    super::hash::expire::ROWS,
    super::hash::lifetime::ROWS,
    super::hash::read::ROWS,
    super::hash::walk::ROWS,
    super::hash::write::ROWS,
    super::hyperloglog::ROWS,
    super::info::ROWS,
    super::introspect::ROWS,
    super::key::ROWS,
    super::keys_report::ROWS,
    super::keyspace::ROWS,
    super::latency::ROWS,
    super::lcs::ROWS,
    super::list::ROWS,
    super::list_block::ROWS,
    super::list_move::ROWS,
    super::lolwut::ROWS,
    super::memory::ROWS,
    super::monitor::ROWS,
    super::persistence::ROWS,
    super::pubsub::ROWS,
    super::replication::ROWS,
    super::scan::ROWS,
    super::scope::ROWS,
    super::server::ROWS,
    super::set::add::ROWS,
    super::set::combine::ROWS,
    super::set::read::ROWS,
    super::set::remove::ROWS,
    super::set::walk::ROWS,
    super::slowlog::ROWS,
    super::stream::add::ROWS,
    super::stream::claim::ROWS,
    super::stream::group::ROWS,
    super::stream::info::ROWS,
    super::stream::pending::ROWS,
    super::stream::range::ROWS,
    super::stream::read::ROWS,
    super::stream::trim::ROWS,
    super::sort::ROWS,
    super::string::ROWS,
    super::transaction::ROWS,
    super::zset::add::ROWS,
    super::zset::block::ROWS,
    super::zset::combine::ROWS,
    super::zset::range::ROWS,
    super::zset::read::ROWS,
    super::zset::remove::ROWS,
    super::zset::walk::ROWS,
];

const ROWS: usize = count();

/// All rows; a command's id is its place here.
pub static TABLE: [Command; ROWS] = join();

/// The row of a command, in any case. Subcommands are not found by their full names.
#[inline]
pub fn find(name: &[u8]) -> Option<&'static Command> {
    probe(&INDEX, name)
}

/// The row of a container's subcommand.
pub fn find_sub(container: &Command, sub: &[u8]) -> Option<&'static Command> {
    let mut name = Vec::with_capacity(container.name.len() + 1 + sub.len());
    name.extend_from_slice(container.name.as_bytes());
    name.push(b'|');
    name.extend_from_slice(sub);
    probe(&SUB_INDEX, &name)
}

/// The row of a request with as many arguments as it takes: of a container the subcommand's.
pub fn find_request(args: Args<'_>) -> Option<&'static Command> {
    let row = find(args.at(0))?;
    let row = match args.get(1) {
        Some(sub) if row.is_container() => find_sub(row, sub)?,
        _ => row,
    };
    row.accepts(args.len()).then_some(row)
}

/// The row of a command or, by its full name, of a subcommand: as the arguments of COMMAND name them.
pub fn find_any(name: &[u8]) -> Option<&'static Command> {
    probe(&INDEX, name).or_else(|| probe(&SUB_INDEX, name))
}

#[inline]
fn probe(index: &[u16; INDEX_SIZE], name: &[u8]) -> Option<&'static Command> {
    if name.len() > NAME_LEN_MAX {
        return None;
    }
    let mut slot = bucket(name);
    loop {
        let row = index[slot];
        if row == EMPTY {
            return None;
        }
        let row = &TABLE[row as usize];
        if row.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(row);
        }
        slot = (slot + 1) % INDEX_SIZE;
    }
}

#[inline]
pub fn row(id: CommandId) -> &'static Command {
    &TABLE[id.0 as usize]
}

/// Commands as users count them: subcommands belong to their container.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    TABLE.iter().filter(|row| row.container().is_none())
}

pub fn subcommands(container: &Command) -> impl Iterator<Item = &'static Command> {
    let name = container.name;
    TABLE.iter().filter(move |row| row.container() == Some(name))
}

const NAME_LEN_MAX: usize = 32;
/// Four times the rows or more, so that a look-up seldom probes twice.
const INDEX_SIZE: usize = (ROWS * 4).next_power_of_two();
const EMPTY: u16 = u16::MAX;
static INDEX: [u16; INDEX_SIZE] = index(false);
static SUB_INDEX: [u16; INDEX_SIZE] = index(true);

/// The same for both cases of a letter: bit 5 is set in every byte.
#[inline]
const fn bucket(name: &[u8]) -> usize {
    let mut hash = name.len() as u64;
    let mut at = 0;
    while at < name.len() {
        hash = (hash ^ (name[at] | 0x20) as u64).wrapping_mul(0x0000_0100_0000_01B3);
        at += 1;
    }
    ((hash ^ hash >> 23) as usize) & (INDEX_SIZE - 1)
}

const fn count() -> usize {
    let mut rows = 0;
    let mut family = 0;
    while family < FAMILIES.len() {
        rows += FAMILIES[family].len();
        family += 1;
    }
    rows
}

#[expect(clippy::large_stack_arrays, reason = "on the compiler's stack")]
const fn join() -> [Command; ROWS] {
    let mut table = [FAMILIES[0][0]; ROWS];
    let mut filled = 0;
    let mut family = 0;
    while family < FAMILIES.len() {
        let mut at = 0;
        while at < FAMILIES[family].len() {
            let mut row = FAMILIES[family][at];
            check(&row);
            row.id = CommandId(filled as u16);
            table[filled] = row;
            filled += 1;
            at += 1;
        }
        family += 1;
    }
    table
}

/// What can be wrong with one row, found at compile time.
const fn check(row: &Command) {
    assert!(row.name.len() <= NAME_LEN_MAX);
    assert!(row.arity != 0);
    assert!(!(row.has(flag::WRITE) && row.has(flag::READONLY)), "a command reads or writes");
    assert!(!row.summary.is_empty() && !row.since.is_empty(), "a row is documented");
    let keyed = row.run.on_shard().is_some() && !row.says_something();
    assert!(!keyed || row.has(flag::WRITE) || row.has(flag::READONLY), "a keyed command reads or writes");
    assert!(!keyed || !row.keys.is_empty(), "a keyed command has keys");
    let mut at = 0;
    while at < row.keys.len() {
        let flags = row.keys[at].flags;
        let kinds = flags & (key_flag::RO | key_flag::RW | key_flag::OW | key_flag::RM);
        let is_key = flags & key_flag::NOT_KEY == 0;
        assert!(!is_key || kinds.is_power_of_two(), "a key is read, changed, overwritten or removed");
        let changes = key_flag::UPDATE | key_flag::INSERT | key_flag::DELETE | key_flag::CHANGES;
        assert!(row.has(flag::WRITE) || flags & changes == 0, "who changes a key is a write");
        at += 1;
    }
    if let Some(only) = row.only_key() {
        assert!(row.arity.unsigned_abs() as usize > only, "arity covers the key");
    }
}

/// Of commands or of subcommands.
const fn index(subs: bool) -> [u16; INDEX_SIZE] {
    let mut index = [EMPTY; INDEX_SIZE];
    let mut row = 0;
    while row < ROWS {
        if is_sub(TABLE[row].name) != subs {
            row += 1;
            continue;
        }
        let mut slot = bucket(TABLE[row].name.as_bytes());
        while index[slot] != EMPTY {
            assert!(!same(TABLE[index[slot] as usize].name, TABLE[row].name), "names are unique");
            slot = (slot + 1) % INDEX_SIZE;
        }
        index[slot] = row as u16;
        row += 1;
    }
    index
}

const fn is_sub(name: &str) -> bool {
    let mut at = 0;
    while at < name.len() {
        if name.as_bytes()[at] == b'|' {
            return true;
        }
        at += 1;
    }
    false
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}
