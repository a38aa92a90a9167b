//! Taking entries out: XTRIM and XDEL; and the options of trimming, which XADD takes too.

use bobbin_proto::Reply;

use super::super::number::integer;
use super::super::spec::{Command, Group, Run, command, flag};
use super::super::{Args, Cx, Event};
use super::{DELETE, id};
use crate::error::CommandError;
use crate::store::encoding::stream::{Exactness, Keep, Trim, Trimmed};
use crate::store::{Collection as _, Stream};

pub const ROWS: &[Command] = &[
    command("xtrim", -4, flag::WRITE, Group::Stream, Run::Shard(xtrim))
        .keys(DELETE)
        .tips(&["nondeterministic_output"])
        .docs(
            "5.0.0",
            "O(N) with N entries removed, a hundred at a time",
            "Removes the oldest entries of a stream, down to a length or up to an id.",
            "key <<MAXLEN | MINID> [= | ~] threshold [LIMIT count]>",
        ),
    command("xdel", -3, flag::WRITE | flag::FAST, Group::Stream, Run::Shard(xdel)).keys(DELETE).docs(
        "5.0.0",
        "O(log(N)) an id, with N entries in the stream",
        "Removes entries from a stream; answers how many there were.",
        "key id [id ...]",
    ),
];

const BOTH: CommandError =
    CommandError::text("ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
const NEGATIVE_MAXLEN: CommandError = CommandError::text("ERR The MAXLEN argument must be >= 0.");
const NEGATIVE_LIMIT: CommandError = CommandError::text("ERR The LIMIT argument must be >= 0.");
const LIMIT_ALONE: CommandError =
    CommandError::text("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy");
const LIMIT_EXACT: CommandError =
    CommandError::text("ERR syntax error, LIMIT cannot be used without the special ~ option");
const NO_STRATEGY: CommandError =
    CommandError::text("ERR syntax error, XTRIM must be called with a trimming strategy");

/// So many nodes' worth of entries are trimmed at once where no limit is given.
const LIMIT_NODES: i64 = 100;
const LIMIT_DEFAULT: i64 = 10_000;
const LIMIT_MAX: i64 = 1_000_000;

/// The options of trimming, as they come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TrimOptions {
    keep: Option<Keep>,
    is_approximate: bool,
    limit: Option<u64>,
}

impl TrimOptions {
    /// Takes the option at `at`, if there is one. Returns where the next argument is.
    pub(super) fn take(&mut self, args: Args<'_>, at: usize) -> Result<Option<usize>, CommandError> {
        if at + 1 >= args.len() {
            return Ok(None);
        }
        match () {
            () if args.is(at, "maxlen") => {
                let value_at = self.begin(args, at)?;
                let count = integer(args.at(value_at))?;
                self.keep = Some(Keep::Last(u64::try_from(count).map_err(|_| NEGATIVE_MAXLEN)?));
                Ok(Some(value_at + 1))
            }
            () if args.is(at, "minid") => {
                let value_at = self.begin(args, at)?;
                self.keep = Some(Keep::From(id::strict(args.at(value_at), 0)?));
                Ok(Some(value_at + 1))
            }
            () if args.is(at, "limit") => {
                let limit = integer(args.at(at + 1))?;
                self.limit = Some(u64::try_from(limit).map_err(|_| NEGATIVE_LIMIT)?);
                Ok(Some(at + 2))
            }
            () => Ok(None),
        }
    }

    /// Where the threshold is, behind an operator that may be there.
    fn begin(&mut self, args: Args<'_>, at: usize) -> Result<usize, CommandError> {
        if self.keep.is_some() {
            return Err(BOTH);
        }
        let has_operator = at + 2 < args.len() && matches!(args.at(at + 1), b"~" | b"=");
        self.is_approximate = has_operator && args.at(at + 1) == b"~";
        Ok(if has_operator { at + 2 } else { at + 1 })
    }

    /// What is to be trimmed, if anything, with `stream-node-max-entries` as it is now.
    pub(super) fn resolve(self, node_entries_max: i64) -> Result<Option<Trim>, CommandError> {
        let Some(keep) = self.keep else {
            return match self.limit {
                None => Ok(None),
                Some(0) => Err(LIMIT_EXACT),
                Some(_) => Err(LIMIT_ALONE),
            };
        };
        let exactness = match (self.is_approximate, self.limit) {
            (false, Some(_)) => return Err(LIMIT_EXACT),
            (false, None) => Exactness::Exact,
            (true, Some(removed_max)) => Exactness::WholeNodes { removed_max },
            (true, None) => Exactness::WholeNodes { removed_max: default_limit(node_entries_max) },
        };
        Ok(Some(Trim { keep, exactness }))
    }
}

fn default_limit(node_entries_max: i64) -> u64 {
    // A product beyond an i64 wraps in Redis too.
    match node_entries_max.wrapping_mul(LIMIT_NODES) {
        ..=0 => LIMIT_DEFAULT as u64,
        limit => limit.min(LIMIT_MAX) as u64,
    }
}

/// Tells that entries were trimmed, if any were.
pub(super) fn trimmed(cx: &mut Cx<'_>, key: &[u8], trimmed: Trimmed) {
    if trimmed.entries > 0 {
        cx.changed(key, Event::stream("xtrim"));
    }
    if let Some(remains) = trimmed.remains {
        cx.db().bury_object(Stream::from(remains).into());
    }
}

/// How many entries a stream has: the newest, whatever was trimmed.
pub(super) fn len(cx: &mut Cx<'_>, key: &[u8]) -> Option<u64> {
    let stream = cx.db().find(key)?.object().and_then(Stream::of)?;
    Some(stream.log.len())
}

fn xtrim(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let mut options = TrimOptions::default();
    let mut at = 2;
    while at < args.len() {
        at = options.take(args, at)?.ok_or(CommandError::Syntax)?;
    }
    if options.keep.is_none() && options.limit.is_none_or(|limit| limit == 0) {
        return Err(NO_STRATEGY);
    }
    let trim = options.resolve(cx.env.config.stream_node_max_entries)?.ok_or(NO_STRATEGY)?;
    let done = cx.change(args.at(1), |stream: &mut Stream| stream.log.trim(&trim))?.unwrap_or_default();
    reply.int(done.entries as i64);
    let was_trimmed = done.entries > 0;
    trimmed(cx, args.at(1), done);
    if was_trimmed && let Some(len) = len(cx, args.at(1)) {
        let mut digits = itoa::Buffer::new();
        cx.tell([b"XTRIM", args.at(1), b"MAXLEN", b"=", digits.format(len).as_bytes()]);
    }
    Ok(())
}

fn xdel(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let delete = |stream: &mut Stream| -> Result<usize, CommandError> {
        Ok(stream.log.delete(&id::list(args.iter_from(2))?))
    };
    let deleted = cx.change(args.at(1), delete)?.unwrap_or(Ok(0))?;
    if deleted > 0 {
        cx.changed(args.at(1), Event::stream("xdel"));
    }
    reply.int(deleted as i64);
    Ok(())
}
