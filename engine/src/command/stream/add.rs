//! Adding entries: XADD; and XSETID, which sets what the next ones follow.

use bobbin_proto::Reply;

use super::super::number::integer;
use super::super::spec::{Command, Group, Run, command, flag};
use super::super::{Args, Cx, Event};
use super::trim::{self, TrimOptions, trimmed};
use super::{UPDATE, id, reply_id};
use crate::error::CommandError;
use crate::store::Stream;
use crate::store::encoding::stream::{Log, NewId, NodeLimits, Refusal, StreamId, Trim, Trimmed};

const GROWING: u32 = flag::WRITE | flag::DENYOOM | flag::FAST;

pub const ROWS: &[Command] = &[
    command("xadd", -5, GROWING, Group::Stream, Run::Shard(xadd))
        .keys(UPDATE)
        .tips(&["nondeterministic_output"])
        .docs(
            "5.0.0",
            "O(1); with trimming O(N) with N entries removed",
            "Adds an entry to a stream, which is created if missing, and answers its id.",
            "key [NOMKSTREAM] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value [field value ...]",
        ),
    command("xsetid", -3, GROWING, Group::Stream, Run::Shard(xsetid)).keys(UPDATE).docs(
        "5.0.0",
        "O(1)",
        "Sets the last id of a stream, and how many entries it has had.",
        "key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
    ),
];

const ZERO_ID: CommandError = CommandError::text("ERR The ID specified in XADD must be greater than 0-0");
const EXHAUSTED: CommandError =
    CommandError::text("ERR The stream has exhausted the last possible ID, unable to add more items");
const NOT_ABOVE: CommandError =
    CommandError::text("ERR The ID specified in XADD is equal or smaller than the target stream top item");
const TOO_LARGE: CommandError = CommandError::text("ERR Elements are too large to be stored");

/// What XADD is asked for.
#[derive(Clone, Copy, Debug)]
struct Addition<'a> {
    args: Args<'a>,
    creates: bool,
    id: NewId,
    trim: Option<Trim>,
    /// Where names and values begin.
    pairs_at: usize,
}

impl<'a> Addition<'a> {
    fn parse(cx: &Cx<'_>, args: Args<'a>) -> Result<Self, CommandError> {
        let (mut trim, mut creates, mut at) = (TrimOptions::default(), true, 2);
        let id = loop {
            if let Some(next) = trim.take(args, at)? {
                at = next;
            } else if args.is(at, "nomkstream") {
                creates = false;
                at += 1;
            } else {
                break args.get(at).map(id::new_id).transpose()?;
            }
        };
        let trim = trim.resolve(cx.env.config.stream_node_max_entries)?;
        let Some(id) = id else { return Err(CommandError::Arity(cx.command.name)) };
        Self { args, creates, id, trim, pairs_at: at + 1 }.check(cx)
    }

    fn check(self, cx: &Cx<'_>) -> Result<Self, CommandError> {
        let pairs = self.pairs();
        match pairs.len() {
            len if len == 0 || !len.is_multiple_of(2) => Err(CommandError::Arity(cx.command.name)),
            _ if self.id == NewId::Exactly(StreamId::MIN) => Err(ZERO_ID),
            len if !Log::admits(pairs.map(<[u8]>::len).sum(), len) => Err(TOO_LARGE),
            _ => Ok(self),
        }
    }

    /// Names and values in turn.
    fn pairs(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        self.args.iter_from(self.pairs_at)
    }

    /// Adds the entry, unless its id is refused, which that of a stream's first entry is not.
    fn run(&self, stream: &mut Stream, limits: NodeLimits, now_ms: u64) -> Result<Added, CommandError> {
        let id = stream.log.resolve(self.id, now_ms).map_err(|refusal| match refusal {
            Refusal::Exhausted => EXHAUSTED,
            Refusal::NotAboveLast => NOT_ABOVE,
        })?;
        stream.log.append(id, self.pairs(), limits);
        let trimmed = self.trim.map(|trim| stream.log.trim(&trim)).unwrap_or_default();
        Ok(Added { id, trimmed })
    }
}

struct Added {
    id: StreamId,
    trimmed: Trimmed,
}

fn node_limits(cx: &Cx<'_>) -> NodeLimits {
    let config = &cx.env.config;
    NodeLimits {
        bytes_max: config.stream_node_max_bytes as usize,
        entries_max: config.stream_node_max_entries as u64,
    }
}

fn xadd(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (addition, key) = (Addition::parse(cx, args)?, args.at(1));
    let (limits, now_ms) = (node_limits(cx), cx.now_ms());
    let run = |stream: &mut Stream| addition.run(stream, limits, now_ms);
    let added = if addition.creates {
        Some(cx.create_or_change(key, Stream::new, run)??)
    } else {
        cx.change(key, run)?.transpose()?
    };
    let Some(Added { id, trimmed: removed }) = added else {
        reply.null();
        return Ok(());
    };
    reply_id(id, reply);
    cx.changed(key, Event::stream("xadd"));
    let was_trimmed = removed.entries > 0;
    trimmed(cx, key, removed);
    if cx.effects().is_on() {
        tell(cx, &addition, id, was_trimmed);
    }
    Ok(())
}

/// Tells the journal what was added, and how many entries are left: which ones approximate trimming takes depends on
/// how they are packed.
fn tell(cx: &mut Cx<'_>, addition: &Addition<'_>, id: StreamId, was_trimmed: bool) {
    let (key, db) = (addition.args.at(1), cx.db);
    let (id, mut digits) = (id.text(), itoa::Buffer::new());
    let mut args: Vec<&[u8]> = vec![b"XADD", key];
    if was_trimmed && let Some(len) = trim::len(cx, key) {
        args.extend([&b"MAXLEN"[..], b"=", digits.format(len).as_bytes()]);
    }
    args.push(&id);
    args.extend(addition.pairs());
    cx.effects().tell(db, args);
}

const NOT_POSITIVE: CommandError = CommandError::text("ERR entries_added must be positive");
const BELOW_GIVEN: CommandError =
    CommandError::text("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id");
const BELOW_DELETED: CommandError =
    CommandError::text("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id");
const BELOW_LAST: CommandError =
    CommandError::text("ERR The ID specified in XSETID is smaller than the target stream top item");
const FEWER_THAN_THERE: CommandError =
    CommandError::text("ERR The entries_added specified in XSETID is smaller than the target stream length");

/// What XSETID sets.
#[derive(Clone, Copy, Debug)]
struct Position {
    last_id: StreamId,
    entries_added: Option<u64>,
    max_deleted_id: StreamId,
}

impl Position {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let last_id = id::strict(args.at(2), 0)?;
        let mut state = Self { last_id, entries_added: None, max_deleted_id: StreamId::MIN };
        for at in (3..args.len()).step_by(2) {
            let value = args.get(at + 1).ok_or(CommandError::Syntax)?;
            if args.is(at, "entriesadded") {
                let added = integer(value)?;
                state.entries_added = Some(u64::try_from(added).map_err(|_| NOT_POSITIVE)?);
            } else if args.is(at, "maxdeletedid") {
                state.max_deleted_id = id::strict(value, 0)?;
                if last_id < state.max_deleted_id {
                    return Err(BELOW_GIVEN);
                }
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(state)
    }

    fn apply(self, log: &mut Log) -> Result<(), CommandError> {
        if self.last_id < log.max_deleted_id {
            return Err(BELOW_DELETED);
        }
        if log.last().is_some_and(|last| self.last_id < last.id) {
            return Err(BELOW_LAST);
        }
        if !log.is_empty() && self.entries_added.is_some_and(|added| added < log.len()) {
            return Err(FEWER_THAN_THERE);
        }
        log.last_id = self.last_id;
        log.entries_added = self.entries_added.unwrap_or(log.entries_added);
        if self.max_deleted_id > StreamId::MIN {
            log.max_deleted_id = self.max_deleted_id;
        }
        Ok(())
    }
}

fn xsetid(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let state = Position::parse(args)?;
    cx.change(args.at(1), |stream: &mut Stream| state.apply(&mut stream.log))?
        .ok_or(CommandError::NoSuchKey)??;
    cx.changed_unwatched(args.at(1), Some(Event::stream("xsetid")));
    reply.ok();
    Ok(())
}
