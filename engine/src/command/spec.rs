//! What a row of the command table says, and what follows from it.
//!
//! Shapes and words are those of Redis's COMMAND INFO and COMMAND DOCS, so that the replies of both derive from
//! the rows. Key positions follow Redis 7's key specifications; routing, intent locks, scopes and cluster
//! redirection all read them through [`Command::keys_of`], so a wrong one shows at once.

use bobbin_proto::Reply;

use super::args::Args;
use super::blocking::Blocking;
use super::context::Cx;
use super::session::Session;
use crate::core::{Caller, Core};
use crate::course::Course;
use crate::error::CommandError;
use crate::ids::CommandId;

/// Command flags. The first block is Redis's, in the order COMMAND INFO lists them.
pub mod flag {
    pub const WRITE: u32 = 1 << 0;
    pub const READONLY: u32 = 1 << 1;
    pub const DENYOOM: u32 = 1 << 2;
    pub const MODULE: u32 = 1 << 3;
    pub const ADMIN: u32 = 1 << 4;
    pub const PUBSUB: u32 = 1 << 5;
    pub const NOSCRIPT: u32 = 1 << 6;
    pub const BLOCKING: u32 = 1 << 7;
    pub const LOADING: u32 = 1 << 8;
    pub const STALE: u32 = 1 << 9;
    pub const SKIP_MONITOR: u32 = 1 << 10;
    pub const SKIP_SLOWLOG: u32 = 1 << 11;
    pub const ASKING: u32 = 1 << 12;
    pub const FAST: u32 = 1 << 13;
    pub const NO_AUTH: u32 = 1 << 14;
    pub const MAY_REPLICATE: u32 = 1 << 15;
    pub const NO_MANDATORY_KEYS: u32 = 1 << 16;
    pub const NO_ASYNC_LOADING: u32 = 1 << 17;
    pub const NO_MULTI: u32 = 1 << 18;
    pub const ALLOW_BUSY: u32 = 1 << 19;
    /// Keys are not where first, last and step say: COMMAND GETKEYS tells.
    pub const MOVABLEKEYS: u32 = 1 << 20;
    pub const PROTECTED: u32 = 1 << 21;

    /// Ours: waits until all that the connection sent earlier has taken effect.
    pub const BARRIER: u32 = 1 << 24;
    /// Ours: runs while clients are paused.
    pub const UNPAUSED: u32 = 1 << 25;
    /// Ours: runs at once between MULTI and EXEC.
    pub const UNQUEUED: u32 = 1 << 26;
    /// Ours: runs what MULTI has queued, and is judged by that.
    pub const RUNS_QUEUE: u32 = 1 << 27;
    /// Ours: open to a connection that is subscribed to something and speaks RESP2.
    pub const LISTENING: u32 = 1 << 28;

    /// Names in the order in which COMMAND INFO lists them; `may_replicate` and `protected` it keeps to itself.
    pub const NAMES: &[(u32, &str)] = &[
        (WRITE, "write"),
        (READONLY, "readonly"),
        (DENYOOM, "denyoom"),
        (MODULE, "module"),
        (ADMIN, "admin"),
        (PUBSUB, "pubsub"),
        (NOSCRIPT, "noscript"),
        (BLOCKING, "blocking"),
        (LOADING, "loading"),
        (STALE, "stale"),
        (SKIP_MONITOR, "skip_monitor"),
        (SKIP_SLOWLOG, "skip_slowlog"),
        (ASKING, "asking"),
        (FAST, "fast"),
        (NO_AUTH, "no_auth"),
        (NO_MANDATORY_KEYS, "no_mandatory_keys"),
        (NO_ASYNC_LOADING, "no_async_loading"),
        (NO_MULTI, "no_multi"),
        (MOVABLEKEYS, "movablekeys"),
        (ALLOW_BUSY, "allow_busy"),
    ];
}

/// ACL categories that do not follow from flags; names and order are Redis's (ACL CAT).
pub mod acl {
    pub const KEYSPACE: u32 = 1 << 0;
    pub const READ: u32 = 1 << 1;
    pub const WRITE: u32 = 1 << 2;
    pub const SET: u32 = 1 << 3;
    pub const SORTEDSET: u32 = 1 << 4;
    pub const LIST: u32 = 1 << 5;
    pub const HASH: u32 = 1 << 6;
    pub const STRING: u32 = 1 << 7;
    pub const BITMAP: u32 = 1 << 8;
    pub const HYPERLOGLOG: u32 = 1 << 9;
    pub const GEO: u32 = 1 << 10;
    pub const STREAM: u32 = 1 << 11;
    pub const PUBSUB: u32 = 1 << 12;
    pub const ADMIN: u32 = 1 << 13;
    pub const FAST: u32 = 1 << 14;
    pub const SLOW: u32 = 1 << 15;
    pub const BLOCKING: u32 = 1 << 16;
    pub const DANGEROUS: u32 = 1 << 17;
    pub const CONNECTION: u32 = 1 << 18;
    pub const TRANSACTION: u32 = 1 << 19;
    pub const SCRIPTING: u32 = 1 << 20;

    pub const NAMES: &[(u32, &str)] = &[
        (KEYSPACE, "keyspace"),
        (READ, "read"),
        (WRITE, "write"),
        (SET, "set"),
        (SORTEDSET, "sortedset"),
        (LIST, "list"),
        (HASH, "hash"),
        (STRING, "string"),
        (BITMAP, "bitmap"),
        (HYPERLOGLOG, "hyperloglog"),
        (GEO, "geo"),
        (STREAM, "stream"),
        (PUBSUB, "pubsub"),
        (ADMIN, "admin"),
        (FAST, "fast"),
        (SLOW, "slow"),
        (BLOCKING, "blocking"),
        (DANGEROUS, "dangerous"),
        (CONNECTION, "connection"),
        (TRANSACTION, "transaction"),
        (SCRIPTING, "scripting"),
    ];
}

/// What a command does with the keys of one key specification; names are Redis's.
pub mod key_flag {
    pub const RO: u16 = 1 << 0;
    pub const RW: u16 = 1 << 1;
    pub const OW: u16 = 1 << 2;
    pub const RM: u16 = 1 << 3;
    pub const ACCESS: u16 = 1 << 4;
    pub const UPDATE: u16 = 1 << 5;
    pub const INSERT: u16 = 1 << 6;
    pub const DELETE: u16 = 1 << 7;
    pub const NOT_KEY: u16 = 1 << 8;
    pub const INCOMPLETE: u16 = 1 << 9;
    pub const VARIABLE_FLAGS: u16 = 1 << 10;

    /// Ours: the key is changed, although Redis says that it is only read.
    pub const CHANGES: u16 = 1 << 15;

    pub const NAMES: &[(u16, &str)] = &[
        (RO, "RO"),
        (RW, "RW"),
        (OW, "OW"),
        (RM, "RM"),
        (ACCESS, "access"),
        (UPDATE, "update"),
        (INSERT, "insert"),
        (DELETE, "delete"),
        (NOT_KEY, "not_key"),
        (INCOMPLETE, "incomplete"),
        (VARIABLE_FLAGS, "variable_flags"),
    ];
}

/// The family a command is documented under; COMMAND DOCS's `group`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Bitmap,
    Cluster,
    Connection,
    Generic,
    Geo,
    Hash,
    Hyperloglog,
    List,
    Pubsub,
    Server,
    Set,
    SortedSet,
    Stream,
    String,
    Transactions,
}

impl Group {
    /// Commands of this group work on values that are objects: see [`crate::store::Object`].
    pub const fn is_of_collections(self) -> bool {
        matches!(self, Self::Geo | Self::Hash | Self::List | Self::Set | Self::SortedSet | Self::Stream)
    }

    pub const ALL: [Self; 15] = [
        Self::Bitmap,
        Self::Cluster,
        Self::Connection,
        Self::Generic,
        Self::Geo,
        Self::Hash,
        Self::Hyperloglog,
        Self::List,
        Self::Pubsub,
        Self::Server,
        Self::Set,
        Self::SortedSet,
        Self::Stream,
        Self::String,
        Self::Transactions,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Bitmap => "bitmap",
            Self::Cluster => "cluster",
            Self::Connection => "connection",
            Self::Generic => "generic",
            Self::Geo => "geo",
            Self::Hash => "hash",
            Self::Hyperloglog => "hyperloglog",
            Self::List => "list",
            Self::Pubsub => "pubsub",
            Self::Server => "server",
            Self::Set => "set",
            Self::SortedSet => "sorted-set",
            Self::Stream => "stream",
            Self::String => "string",
            Self::Transactions => "transactions",
        }
    }

    const fn acl(self) -> u32 {
        match self {
            Self::Bitmap => acl::BITMAP,
            Self::Connection => acl::CONNECTION,
            Self::Generic => acl::KEYSPACE,
            Self::Geo => acl::GEO,
            Self::Hash => acl::HASH,
            Self::Hyperloglog => acl::HYPERLOGLOG,
            Self::List => acl::LIST,
            Self::Cluster | Self::Pubsub | Self::Server => 0,
            Self::Set => acl::SET,
            Self::SortedSet => acl::SORTEDSET,
            Self::Stream => acl::STREAM,
            Self::String => acl::STRING,
            Self::Transactions => acl::TRANSACTION,
        }
    }
}

/// Where a key specification begins.
#[derive(Clone, Copy, Debug)]
pub enum Begin {
    /// At this argument.
    Index(u8),
    /// Behind this word, looked for from `from` (negative: backwards from the end).
    Keyword {
        word: &'static str,
        from: i8,
    },
    /// The same, for a request whose options have values that may be that word: `step` says how many arguments the option
    /// at an index takes, from the first on.
    Option {
        word: &'static str,
        from: i8,
        step: fn(Args<'_>, usize) -> usize,
    },
    Unknown,
}

/// How many keys follow, and how far apart.
#[derive(Clone, Copy, Debug)]
pub enum Find {
    /// `last` relative to the first key, or to the last argument when negative; `limit` n: only the first 1/n of the
    /// remaining arguments (0 and 1: all of them).
    Range {
        last: i8,
        step: u8,
        limit: u8,
    },
    /// The argument at `at` says how many keys begin at `first`; all relative to the beginning.
    Keynum {
        at: u8,
        first: u8,
        step: u8,
    },
    Unknown,
}

#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    pub begin: Begin,
    pub find: Find,
    pub flags: u16,
}

impl KeySpec {
    /// One key, at `index`.
    pub const fn one(index: u8, flags: u16) -> Self {
        Self::range(index, 0, 1, flags)
    }

    pub const fn range(index: u8, last: i8, step: u8, flags: u16) -> Self {
        Self { begin: Begin::Index(index), find: Find::Range { last, step, limit: 0 }, flags }
    }

    /// A count at `index`, the keys behind it.
    pub const fn counted(index: u8, flags: u16) -> Self {
        Self { begin: Begin::Index(index), find: Find::Keynum { at: 0, first: 1, step: 1 }, flags }
    }

    pub const fn writes(&self) -> bool {
        self.flags & (key_flag::RO | key_flag::CHANGES) != key_flag::RO
    }

    /// Calls `each` with the index of every key. Positions past the end are left out: the handler reports those.
    fn visit(&self, args: Args<'_>, mut each: impl FnMut(usize)) {
        let Some(begin) = self.begin_at(args) else { return };
        match self.find {
            Find::Range { last, step, limit } => {
                let share = (args.len() - begin) / usize::from(limit.max(1));
                let behind = if last >= 0 {
                    begin + last as usize + 1
                } else {
                    (begin + share + 1).saturating_sub(last.unsigned_abs().into())
                };
                (begin..behind.min(args.len())).step_by(step as usize).for_each(each);
            }
            Find::Keynum { at, first, step } => {
                let Some(count) = args.get(begin + at as usize).and_then(parse_count) else { return };
                let first = begin + first as usize;
                (first..args.len()).step_by(step as usize).take(count).for_each(&mut each);
            }
            Find::Unknown => {}
        }
    }

    fn has_all_keys(&self, args: Args<'_>) -> bool {
        let Some(begin) = self.begin_at(args) else { return !matches!(self.begin, Begin::Index(_)) };
        let Find::Keynum { at, first, step } = self.find else { return true };
        let count = args.get(begin + at as usize).and_then(parse_count).unwrap_or(0);
        let left = args.len().saturating_sub(begin + first as usize);
        count > 0 && count.saturating_mul(step as usize) < left + step as usize
    }

    fn begin_at(&self, args: Args<'_>) -> Option<usize> {
        let begin = match self.begin {
            Begin::Index(index) => index as usize,
            Begin::Option { word, step, .. } => {
                let mut at = 1;
                while !args.is(at, word) {
                    at += step(args, at);
                    args.get(at)?;
                }
                at + 1
            }
            Begin::Keyword { word, from } if from >= 0 => {
                (from as usize..args.len()).find(|&i| args.is(i, word))? + 1
            }
            Begin::Keyword { word, from } => {
                (1..=args.len().checked_sub(from.unsigned_abs() as usize)?)
                    .rev()
                    .find(|&i| args.is(i, word))?
                    + 1
            }
            Begin::Unknown => return None,
        };
        (begin < args.len()).then_some(begin)
    }
}

fn parse_count(arg: &[u8]) -> Option<usize> {
    std::str::from_utf8(arg).ok()?.parse().ok()
}

/// Work on one shard's data. It cannot suspend and cannot reach another shard.
pub type ShardFn = fn(&mut Cx<'_>, Args<'_>, &mut Reply<'_>) -> Result<(), CommandError>;
/// The course of a request whose arguments do not name all the keys it needs; none if they do.
pub type WideFn = fn(&'static Command, Args<'_>, Caller) -> Option<Box<dyn Course>>;
/// Work on the connection itself.
pub type ConnFn = fn(&mut Session<'_>, Args<'_>) -> Result<(), CommandError>;

/// How the parts of a scattered command's reply become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Integers are added.
    Sum,
    /// Arrays are put together in the order of the keys.
    Positions,
    /// Every part said OK.
    Ok,
}

/// Who runs the command.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// The connection's own reactor; no keys.
    Conn(ConnFn),
    /// The shard that owns the keys. Keys of several shards are brought together for the time of the call.
    Shard(ShardFn),
    /// The same, for requests whose arguments name every key. The others are courses over all shards.
    Wide(ShardFn, WideFn),
    /// As [`Self::Shard`]; where it finds nothing to answer, it may wait.
    Blocking(ShardFn, &'static Blocking),
    /// The shard that owns the channel, which is the first argument. It is no key: no keyspace is touched.
    Publish(ShardFn),
    /// Every shard runs the command on the keys it owns; the replies are merged.
    Scatter(ShardFn, Merge),
    /// Only subcommands run.
    Container,
    /// Subcommands run, and without one the connection's own reactor does (COMMAND).
    ContainerOr(ConnFn),
}

impl Run {
    /// What runs on a shard, or on keys brought together from several.
    #[inline]
    pub const fn on_shard(&self) -> Option<ShardFn> {
        match self {
            Self::Shard(run)
            | Self::Wide(run, _)
            | Self::Blocking(run, _)
            | Self::Publish(run)
            | Self::Scatter(run, _) => Some(*run),
            Self::Conn(_) | Self::Container | Self::ContainerOr(_) => None,
        }
    }

    /// How it waits, if it may.
    pub const fn blocking(&self) -> Option<&'static Blocking> {
        if let Self::Blocking(_, blocking) = self { Some(blocking) } else { None }
    }
}

/// A row of the command table.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    pub id: CommandId,
    /// Lower case; `container|sub` for a subcommand.
    pub name: &'static str,
    /// Number of arguments, name included; negative: at least that many.
    pub arity: i16,
    pub flags: u32,
    pub group: Group,
    pub run: Run,
    pub keys: &'static [KeySpec],
    acl: u32,
    /// The group gives no ACL category.
    apart: bool,
    pub tips: &'static [&'static str],
    pub since: &'static str,
    pub complexity: &'static str,
    pub summary: &'static str,
    /// The arguments in the notation of Redis's manual, without the name.
    pub syntax: &'static str,
    pub deprecated: Option<Deprecated>,
    /// What is otherwise than in Redis, for people; empty if nothing is.
    pub differs: &'static str,
    secrets: SecretFn,
    actual_flags: Option<KeyFlagsFn>,
    further_key: Option<FurtherKeyFn>,
    replay: Option<ReplayFn>,
}

/// Since when a command should not be used any more, and what should instead.
#[derive(Clone, Copy, Debug)]
pub struct Deprecated {
    pub since: &'static str,
    pub instead: &'static str,
}

/// Whether the argument at an index is a secret: monitors and the slow log are not shown it.
type SecretFn = fn(Args<'_>, usize) -> bool;
/// What a request does with its key where the key specification covers more (SET without GET).
type KeyFlagsFn = fn(Args<'_>) -> u16;
/// A key that key specifications do not find in every request: index of the argument, and what is done with it.
type FurtherKeyFn = fn(Args<'_>) -> Option<(usize, u16)>;

/// What every shard does again when the journal has a command that is not one of keys, in a database.
pub type ReplayFn = fn(&mut Core, usize, Args<'_>);

/// A row without keys; the rest is added by the methods below.
pub const fn command(name: &'static str, arity: i16, flags: u32, group: Group, run: Run) -> Command {
    Command {
        id: CommandId(0),
        name,
        arity,
        flags,
        group,
        run,
        keys: &[],
        acl: 0,
        apart: false,
        tips: &[],
        since: "",
        complexity: "",
        summary: "",
        syntax: "",
        deprecated: None,
        differs: "",
        secrets: no_secrets,
        actual_flags: None,
        further_key: None,
        replay: None,
    }
}

fn no_secrets(_: Args<'_>, _: usize) -> bool {
    false
}

impl Command {
    pub const fn keys(mut self, keys: &'static [KeySpec]) -> Self {
        self.keys = keys;
        self
    }

    /// ACL categories beside those that follow from flags and group.
    pub const fn acl(mut self, categories: u32) -> Self {
        self.acl = categories;
        self
    }

    /// ACL categories in place of the group's.
    pub const fn acl_apart(mut self, categories: u32) -> Self {
        self.acl = categories;
        self.apart = true;
        self
    }

    pub const fn tips(mut self, tips: &'static [&'static str]) -> Self {
        self.tips = tips;
        self
    }

    pub const fn docs(
        mut self,
        since: &'static str,
        complexity: &'static str,
        summary: &'static str,
        syntax: &'static str,
    ) -> Self {
        self.since = since;
        self.complexity = complexity;
        self.summary = summary;
        self.syntax = syntax;
        self
    }

    pub const fn deprecated(mut self, since: &'static str, instead: &'static str) -> Self {
        self.deprecated = Some(Deprecated { since, instead });
        self
    }

    /// What is otherwise than in Redis.
    pub const fn differs(mut self, differs: &'static str) -> Self {
        self.differs = differs;
        self
    }

    /// Says how every shard does it again when the journal has it.
    pub const fn on_replay(mut self, replay: ReplayFn) -> Self {
        self.replay = Some(replay);
        self
    }

    /// How every shard does it again, if it is not a command of keys.
    pub const fn replay(&self) -> Option<ReplayFn> {
        self.replay
    }

    /// Says which arguments are secrets.
    pub const fn secrets(mut self, secrets: SecretFn) -> Self {
        self.secrets = secrets;
        self
    }

    /// Says what a request does with its keys, for a row whose key specification has [`key_flag::VARIABLE_FLAGS`].
    pub const fn actual_flags(mut self, flags: KeyFlagsFn) -> Self {
        self.actual_flags = Some(flags);
        self
    }

    /// Says which key the key specifications may not find (the last of several STORE).
    pub const fn further_key(mut self, find: FurtherKeyFn) -> Self {
        self.further_key = Some(find);
        self
    }

    /// Whether the argument at `index` is a secret: not shown to monitors and in the slow log.
    pub fn hides(&self, args: Args<'_>, index: usize) -> bool {
        (self.secrets)(args, index)
    }

    #[inline]
    pub const fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    #[inline]
    pub const fn is_write(&self) -> bool {
        self.has(flag::WRITE)
    }

    #[inline]
    pub const fn accepts(&self, args: usize) -> bool {
        if self.arity >= 0 { args == self.arity as usize } else { args >= self.arity.unsigned_abs() as usize }
    }

    /// The container's name of a subcommand.
    pub fn container(&self) -> Option<&'static str> {
        self.name.split_once('|').map(|(container, _)| container)
    }

    /// Has subcommands.
    pub const fn is_container(&self) -> bool {
        matches!(self.run, Run::Container | Run::ContainerOr(_))
    }

    /// All categories, as ACL and COMMAND INFO know them. A container that never runs is in no group's.
    pub const fn categories(&self) -> u32 {
        let mut all = self.acl;
        if !matches!(self.run, Run::Container) && !self.apart {
            all |= self.group.acl();
        }
        if self.has(flag::WRITE) {
            all |= acl::WRITE;
        }
        if self.has(flag::READONLY) {
            all |= acl::READ;
        }
        if self.has(flag::ADMIN) {
            all |= acl::ADMIN | acl::DANGEROUS;
        }
        if self.has(flag::PUBSUB) {
            all |= acl::PUBSUB;
        }
        if self.has(flag::BLOCKING) {
            all |= acl::BLOCKING;
        }
        all | if self.has(flag::FAST) { acl::FAST } else { acl::SLOW }
    }

    /// The course of a request over several shards whose arguments do not name all the keys it needs.
    pub fn course(&'static self, args: Args<'_>, caller: Caller) -> Option<Box<dyn Course>> {
        if let Run::Wide(_, course) = self.run { course(self, args, caller) } else { None }
    }

    /// Index of the only key, when the row says that there is always exactly one and where.
    #[inline]
    pub const fn only_key(&self) -> Option<usize> {
        match self.keys {
            [KeySpec { begin: Begin::Index(index), find: Find::Range { last: 0, .. }, flags }]
                if *flags & key_flag::NOT_KEY == 0 =>
            {
                Some(*index as usize)
            }
            _ => None,
        }
    }

    /// Says something to whoever is subscribed to a channel.
    #[inline]
    pub const fn says_something(&self) -> bool {
        matches!(self.run, Run::Publish(_))
    }

    /// Index of the argument that alone decides which shard runs the command: its only key, or a channel.
    #[inline]
    pub const fn routed_by(&self) -> Option<usize> {
        match self.only_key() {
            None if self.says_something() => Some(1),
            key => key,
        }
    }

    /// Every key of a request: index of the argument, and whether it may be written.
    pub fn keys_of(&self, args: Args<'_>, mut each: impl FnMut(usize, bool)) {
        for spec in self.key_specs() {
            spec.visit(args, |index| each(index, spec.writes()));
        }
        if let Some((index, flags)) = self.further_key_of(args) {
            each(index, flags & key_flag::RO == 0);
        }
    }

    /// Every argument that has a slot: keys, and the channels of shards.
    pub fn slotted_of(&self, args: Args<'_>, mut each: impl FnMut(usize)) {
        self.keys.iter().for_each(|spec| spec.visit(args, &mut each));
        if let Some((index, _)) = self.further_key_of(args) {
            each(index);
        }
    }

    /// Every key of a request: index of the argument, and what is done with it, in [`key_flag`]s.
    pub fn key_flags_of(&self, args: Args<'_>, mut each: impl FnMut(usize, u16)) {
        for spec in self.key_specs() {
            let flags = self.actual_flags.map_or(spec.flags, |flags| flags(args));
            spec.visit(args, |index| each(index, flags));
        }
        if let Some((index, flags)) = self.further_key_of(args) {
            each(index, flags);
        }
    }

    /// Only where no specification finds it.
    fn further_key_of(&self, args: Args<'_>) -> Option<(usize, u16)> {
        let further = self.further_key.and_then(|find| find(args))?;
        let mut is_found = false;
        self.key_specs().for_each(|spec| spec.visit(args, |index| is_found |= index == further.0));
        (!is_found).then_some(further)
    }

    /// Whether there are as many keys as the request says, where it says so.
    pub fn has_all_keys(&self, args: Args<'_>) -> bool {
        self.key_specs().all(|spec| spec.has_all_keys(args))
    }

    fn key_specs(&self) -> impl Iterator<Item = &'static KeySpec> {
        self.keys.iter().filter(|spec| spec.flags & key_flag::NOT_KEY == 0)
    }

    /// How many arguments belong to one key: the key and what follows it up to the next.
    pub const fn key_step(&self) -> usize {
        match self.keys {
            [KeySpec { find: Find::Range { step, .. }, .. }, ..] => *step as usize,
            _ => 1,
        }
    }

    /// Whether every key has the arguments that belong to it: MSET's last key may lack its value.
    pub const fn is_whole(&self, args: usize) -> bool {
        match self.keys {
            [KeySpec { begin: Begin::Index(first), find: Find::Range { step, .. }, .. }, ..] if *step > 1 => {
                args.saturating_sub(*first as usize).is_multiple_of(*step as usize)
            }
            _ => true,
        }
    }

    /// First key, last key and step, as COMMAND INFO has told them since before key specifications.
    pub const fn legacy_keys(&self) -> (i64, i64, i64) {
        match self.keys {
            [KeySpec { begin: Begin::Index(first), find: Find::Range { last, step, .. }, .. }, rest @ ..] => {
                let first = *first as i64;
                let mut last = if *last >= 0 { first + *last as i64 } else { *last as i64 };
                // Adjoining keys make one range, as for RENAME and BITOP.
                if let [KeySpec { begin: Begin::Index(next), find: Find::Range { last: more, .. }, .. }] =
                    rest
                    && *next as i64 == last + 1
                {
                    last = if *more >= 0 { *next as i64 + *more as i64 } else { *more as i64 };
                }
                (first, last, *step as i64)
            }
            _ => (0, 0, 0),
        }
    }
}
