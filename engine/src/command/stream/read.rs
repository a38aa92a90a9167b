//! Reading what is new, of several streams: XREAD.
//!
//! With BLOCK, when there is nothing to be had, the answer is that of a time-out: so it is in a transaction, where
//! nothing waits.

use bobbin_proto::{Mark, Reply, Version};

use super::super::number::integer;
use super::super::spec::{Begin, Command, Find, Group, KeySpec, Run, command, flag, key_flag};
use super::super::{Args, Cx};
use super::{id, reply_entries};
use crate::error::{CommandError, before_nul};
use crate::store::Stream;
use crate::store::encoding::stream::{Order, StreamId};

const READS: u32 = flag::BLOCKING | flag::MOVABLEKEYS;
const PER_STREAM: &str = "O(N) for each stream with N entries answered";

/// The first half of what follows STREAMS.
const fn keys_behind_streams(from: i8) -> KeySpec {
    KeySpec {
        begin: Begin::Keyword { word: "STREAMS", from },
        find: Find::Range { last: -1, step: 1, limit: 2 },
        flags: key_flag::RO | key_flag::ACCESS,
    }
}

pub const ROWS: &[Command] =
    &[command("xread", -4, flag::READONLY | READS, Group::Stream, Run::Shard(xread))
        .keys(&[keys_behind_streams(1)])
        .docs(
            "5.0.0",
            PER_STREAM,
            "Answers the entries of streams that are behind the ids given; $ stands for the last there is.",
            "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
        )];

const NOT_A_TIMEOUT: CommandError = CommandError::text("ERR timeout is not an integer or out of range");
const NEGATIVE_TIMEOUT: CommandError = CommandError::text("ERR timeout is negative");
const LONG_TIMEOUT: CommandError = CommandError::text("ERR timeout is out of range");
const GROUP_IN_XREAD: CommandError =
    CommandError::text("ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.");
const NOACK_IN_XREAD: CommandError =
    CommandError::text("ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.");
const NEW_IN_XREAD: CommandError = CommandError::text(
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
);

/// What is to be read.
#[derive(Clone, Copy, Debug)]
struct Request<'a> {
    args: Args<'a>,
    /// Entries of each stream at most.
    count: usize,
    keys_at: usize,
    keys: usize,
}

impl<'a> Request<'a> {
    fn parse(cx: &Cx<'_>, args: Args<'a>) -> Result<Self, CommandError> {
        let mut request = Self { args, count: usize::MAX, keys_at: 0, keys: 0 };
        let mut at = 1;
        while at < args.len() {
            at = request.take(cx, at)?;
        }
        if request.keys_at == 0 { Err(CommandError::Syntax) } else { Ok(request) }
    }

    /// Takes the option at `at`. Returns where the next is.
    fn take(&mut self, cx: &Cx<'_>, at: usize) -> Result<usize, CommandError> {
        let args = self.args;
        let behind = args.len() - at - 1;
        match () {
            () if args.is(at, "block") && behind > 0 => {
                check_timeout(args.at(at + 1), cx.now_ms())?;
                Ok(at + 2)
            }
            () if args.is(at, "count") && behind > 0 => {
                let count = integer(args.at(at + 1))?;
                self.count = if count > 0 { count as usize } else { usize::MAX };
                Ok(at + 2)
            }
            () if args.is(at, "streams") && behind > 0 => {
                if !behind.is_multiple_of(2) {
                    return Err(unbalanced(cx.command.name, '$'));
                }
                (self.keys_at, self.keys) = (at + 1, behind / 2);
                Ok(args.len())
            }
            () if args.is(at, "group") && behind > 1 => Err(GROUP_IN_XREAD),
            () if args.is(at, "noack") => Err(NOACK_IN_XREAD),
            () => Err(CommandError::Syntax),
        }
    }

    fn keys(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.args.iter_from(self.keys_at).take(self.keys)
    }

    /// Each key with the id behind which to read.
    fn streams(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.keys().zip(self.args.iter_from(self.keys_at + self.keys))
    }
}

/// In the words of Redis 7.2, which names the command.
fn unbalanced(command: &str, symbol: char) -> CommandError {
    CommandError::owned(format!(
        "ERR Unbalanced '{command}' list of streams: for each stream key an ID or '{symbol}' must be specified."
    ))
}

fn check_timeout(arg: &[u8], now_ms: u64) -> Result<(), CommandError> {
    match integer(arg) {
        Err(_) => Err(NOT_A_TIMEOUT),
        Ok(..0) => Err(NEGATIVE_TIMEOUT),
        Ok(timeout_ms) if timeout_ms.checked_add_unsigned(now_ms).is_none() => Err(LONG_TIMEOUT),
        Ok(_) => Ok(()),
    }
}

fn xread(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let request = Request::parse(cx, args)?;
    // All are looked at before any is answered.
    let mut starts = Vec::with_capacity(request.keys);
    for (key, arg) in request.streams() {
        let last = cx.find_as::<Stream>(key)?.map_or(StreamId::MIN, |stream| stream.log.last_id);
        starts.push(read_behind(arg, last)?);
    }
    let mut replies = StreamReplies::begin(reply);
    for (key, &start) in request.keys().zip(&starts) {
        let Some(start) = start.next() else { continue };
        let Some(stream) = cx.find_as::<Stream>(key)? else { continue };
        if stream.log.last().is_some_and(|last| last.id >= start) {
            let entries = stream.log.range(start, StreamId::MAX, Order::Ascending);
            replies.add(key, |reply| reply_entries(entries, request.count, reply));
        }
    }
    replies.end();
    Ok(())
}

/// The id behind which to read; `$` is the last of the stream.
fn read_behind(arg: &[u8], last: StreamId) -> Result<StreamId, CommandError> {
    match before_nul(arg) {
        b"$" => Ok(last),
        b">" => Err(NEW_IN_XREAD),
        _ => id::strict(arg, 0),
    }
}

/// Streams with their entries: pairs, and in RESP3 a map; null if there are none.
struct StreamReplies<'r, 'out> {
    reply: &'r mut Reply<'out>,
    mark: Mark,
    streams: usize,
}

impl<'r, 'out> StreamReplies<'r, 'out> {
    fn begin(reply: &'r mut Reply<'out>) -> Self {
        Self { mark: reply.mark(), reply, streams: 0 }
    }

    fn add(&mut self, key: &[u8], entries: impl FnOnce(&mut Reply<'_>)) {
        if self.reply.version() == Version::Resp2 {
            self.reply.array(2);
        }
        self.reply.bulk(key);
        entries(self.reply);
        self.streams += 1;
    }

    fn end(self) {
        match (self.streams, self.reply.version()) {
            (0, _) => self.reply.null_array(),
            (streams, Version::Resp2) => self.reply.array_at(self.mark, streams),
            (streams, Version::Resp3) => self.reply.map_at(self.mark, streams),
        }
    }
}
