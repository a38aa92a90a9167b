//! One operation of a history: what was asked, when, and what came of it.

use std::fmt::{Display, Formatter};

use bobbin_cluster::{Slot, SlotMap};
use bobbin_engine::command::{OwnedArgs, find};
use bobbin_proto::Value;

use super::check::{Anomaly, check};
use super::name::Name;
use super::run::{Kind, ROWS, Row};

/// A command in a database.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub(super) words: Vec<Name>,
    pub(super) db: u8,
    pub(super) row: &'static Row,
    keys: Vec<Name>,
}

impl Command {
    pub(crate) fn new(db: u8, text: &str) -> Self {
        let words: Vec<Name> = text.split(' ').map(Name::from).collect();
        let row =
            ROWS.iter().find(|row| words[0].is(row.name)).unwrap_or_else(|| panic!("{text}: not modelled"));
        let keys = keys_of(&words);
        Self { words, db, row, keys }
    }

    /// Whether it may wait for as long as it takes, or for a time.
    pub(crate) fn may_wait(&self) -> bool {
        match self.row.kind {
            Kind::Waits => true,
            Kind::ReadsOrWaits => self.words.iter().any(|word| word.is("BLOCK")),
            Kind::Reads | Kind::Writes | Kind::All | Kind::Walks => false,
        }
    }

    fn moves(&self) -> bool {
        self.words[0].is("BLMOVE") || self.words[0].is("BRPOPLPUSH")
    }

    /// Whether it may wait, with keys on several shards.
    pub(super) fn waits_over_shards(&self, slots: SlotMap) -> bool {
        self.may_wait() && self.is_over_shards(slots)
    }

    fn is_over_shards(&self, slots: SlotMap) -> bool {
        let mut owners = self.keys.iter().map(|key| slots.owner(Slot::of(key.as_bytes())));
        let first = owners.next();
        owners.any(|owner| Some(owner) != first)
    }

    /// Whether it is a key that it waits for, as opposed to one that it stores in.
    pub(super) fn waits_for(&self, key: Name) -> bool {
        let count = if self.moves() { 1 } else { self.keys.len() };
        self.keys[..count].contains(&key)
    }

    /// The request, as it waits, for one of its keys.
    pub(super) fn narrowed(&self, waiting: &[Name], key: Name) -> Vec<Name> {
        if !self.words[0].is("XREAD") && self.keys.len() > 1 && self.waits_for(self.keys[1]) {
            let narrow = |word: &Name| if self.keys.contains(word) { key } else { *word };
            return waiting.iter().map(narrow).collect();
        }
        if self.words[0].is("XREAD") {
            let at = waiting.iter().position(|word| *word == key).unwrap_or(0);
            return vec!["XREAD".into(), "STREAMS".into(), key, waiting[at + self.keys.len()]];
        }
        waiting.to_vec()
    }

    fn is_barrier(&self, slots: SlotMap) -> bool {
        self.may_wait() || matches!(self.row.kind, Kind::All | Kind::Walks) || self.is_over_shards(slots)
    }

    fn words(&self) -> Vec<String> {
        self.words.iter().map(Name::to_string).collect()
    }
}

impl Display for Command {
    fn fmt(&self, out: &mut Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.words().join(" "))
    }
}

/// The keys that a request names, as the server's table has them.
fn keys_of(words: &[Name]) -> Vec<Name> {
    let name = words[0].as_bytes();
    let args = OwnedArgs::new(words.iter().map(Name::as_bytes));
    let mut keys = Vec::new();
    find(name).expect("a command").keys_of(args.as_args(), |index, _| keys.push(words[index]));
    keys
}

/// What a client asked for.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    One(Command),
    Exec(Vec<Command>),
    Watch {
        db: u8,
        keys: Vec<Name>,
    },
    /// UNWATCH, or MULTI and DISCARD.
    Unwatch {
        discards: bool,
    },
}

impl Call {
    /// Of one command: `text` is its words.
    pub(crate) fn new(db: u8, text: &str) -> Self {
        match text.split_once(' ') {
            Some(("WATCH", keys)) => Self::Watch { db, keys: keys.split(' ').map(Name::from).collect() },
            _ if text == "UNWATCH" => Self::Unwatch { discards: false },
            _ if text == "DISCARD" => Self::Unwatch { discards: true },
            _ => Self::One(Command::new(db, text)),
        }
    }

    pub(crate) fn exec(db: u8, block: &[&str]) -> Self {
        Self::Exec(block.iter().map(|text| Command::new(db, text)).collect())
    }

    /// The requests that make it; the last one's reply is its answer.
    pub(crate) fn requests(&self) -> Vec<Vec<String>> {
        let word = |word: &str| vec![word.to_owned()];
        match self {
            Self::One(command) => vec![command.words()],
            Self::Exec(block) => {
                let queued = block.iter().map(Command::words);
                std::iter::once(word("MULTI")).chain(queued).chain([word("EXEC")]).collect()
            }
            Self::Watch { keys, .. } => {
                vec![std::iter::once("WATCH".to_owned()).chain(keys.iter().map(Name::to_string)).collect()]
            }
            Self::Unwatch { discards: true } => vec![word("MULTI"), word("DISCARD")],
            Self::Unwatch { discards: false } => vec![word("UNWATCH")],
        }
    }

    pub(crate) fn may_wait(&self) -> bool {
        matches!(self, Self::One(command) if command.may_wait())
    }

    /// Whether it is known what it answers in a block.
    pub(crate) fn may_be_queued(&self) -> bool {
        matches!(self, Self::One(command) if !self.is_walk() || command.words[0].is("DBSIZE"))
    }

    /// Neither its answer nor what it leaves behind depends on when it ran.
    pub(super) fn is_walk(&self) -> bool {
        matches!(self, Self::One(command) if command.row.kind == Kind::Walks)
    }

    pub(super) fn only_reads(&self) -> bool {
        let reads = |command: &Command| {
            matches!(command.row.kind, Kind::Reads | Kind::Walks)
                || command.row.kind == Kind::ReadsOrWaits && !command.may_wait()
        };
        matches!(self, Self::One(command) if reads(command))
    }

    /// Whether it comes before a later one of its connection.
    pub(super) fn precedes(&self, later: &Self, slots: SlotMap) -> bool {
        self.is_barrier(slots) || later.is_barrier(slots) || self.shares_key(later)
    }

    fn is_barrier(&self, slots: SlotMap) -> bool {
        match self {
            Self::One(command) => command.is_barrier(slots),
            Self::Exec(_) => true,
            Self::Watch { .. } | Self::Unwatch { .. } => false,
        }
    }

    fn shares_key(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Watch { .. } | Self::Unwatch { .. }, Self::Watch { .. } | Self::Unwatch { .. }) => true,
            _ => self.keys().iter().any(|key| other.keys().contains(key)),
        }
    }

    fn keys(&self) -> &[Name] {
        match self {
            Self::One(command) => &command.keys,
            Self::Watch { keys, .. } => keys,
            Self::Exec(_) | Self::Unwatch { .. } => &[],
        }
    }
}

impl Display for Call {
    fn fmt(&self, out: &mut Formatter<'_>) -> std::fmt::Result {
        let requests: Vec<String> = self.requests().iter().map(|words| words.join(" ")).collect();
        out.write_str(&requests.join(" · "))
    }
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ending {
    Answered {
        at_us: u64,
        reply: Value,
    },
    /// It stands in line to the end.
    Waits,
    /// Its client went away before it was answered.
    Gone {
        at_us: u64,
    },
    /// Its client is still there, and it is behind another that waits.
    Behind,
}

#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) client: usize,
    pub(crate) call: Call,
    pub(crate) sent_us: u64,
    /// The world was quiet then, and it had no answer: it stood in line.
    pub(crate) in_line_us: Option<u64>,
    pub(crate) ending: Ending,
}

impl Operation {
    pub(super) fn answered_us(&self) -> Option<u64> {
        if let Ending::Answered { at_us, .. } = self.ending { Some(at_us) } else { None }
    }
}

impl Display for Operation {
    fn fmt(&self, out: &mut Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:>6} ", shown(self.sent_us))?;
        match &self.ending {
            Ending::Answered { at_us, .. } => write!(out, "– {:>6}", shown(*at_us))?,
            _ => write!(out, "–       ")?,
        }
        write!(out, "  client {}  {}  →  ", self.client, self.call)?;
        match &self.ending {
            Ending::Answered { reply, .. } => write!(out, "{}", show(reply)),
            Ending::Waits => write!(out, "waits"),
            Ending::Gone { at_us: u64::MAX } => write!(out, "not known yet"),
            Ending::Gone { at_us } => write!(out, "gone at {}", shown(*at_us)),
            Ending::Behind => write!(out, "behind another"),
        }?;
        if let Some(at_us) = self.in_line_us {
            write!(out, "   (in line by {})", shown(at_us))?;
        }
        Ok(())
    }
}

/// A time without the part that all of a history have in common.
fn shown(us: u64) -> u64 {
    us % 1_000_000
}

fn show(value: &Value) -> String {
    match value {
        Value::Simple(text) | Value::Error(text) | Value::Bulk(text) => {
            String::from_utf8_lossy(text).into_owned()
        }
        Value::Int(number) => number.to_string(),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(show).collect::<Vec<_>>().join(" "))
        }
        _ => "nil".to_owned(),
    }
}

/// Operations in the order in which they were sent; those of one client in the order of its connection.
#[derive(Clone, Debug)]
pub(crate) struct History {
    /// Over how many cores.
    pub(crate) cores: usize,
    pub(crate) operations: Vec<Operation>,
}

impl History {
    /// The shortest beginning that is not serializable, and why.
    pub(crate) fn shortest_failing(&self) -> Option<(Self, Anomaly)> {
        let mut ends: Vec<u64> = self.operations.iter().filter_map(Operation::answered_us).collect();
        ends.sort_unstable();
        ends.into_iter().find_map(|end_us| {
            let beginning = self.until(end_us);
            check(&beginning).err().map(|anomaly| (beginning, anomaly))
        })
    }

    /// What was known at a moment.
    fn until(&self, end_us: u64) -> Self {
        let sent = self.operations.iter().filter(|op| op.sent_us <= end_us);
        let known = sent.map(|op| {
            let is_over = op.answered_us().is_some_and(|at_us| at_us <= end_us);
            let ending = if is_over { op.ending.clone() } else { Ending::Gone { at_us: u64::MAX } };
            Operation { ending, in_line_us: op.in_line_us.filter(|&at_us| at_us <= end_us), ..op.clone() }
        });
        Self { cores: self.cores, operations: known.collect() }
    }
}

impl Display for History {
    fn fmt(&self, out: &mut Formatter<'_>) -> std::fmt::Result {
        self.operations.iter().enumerate().try_for_each(|(at, op)| writeln!(out, "{at:>3}: {op}"))
    }
}
