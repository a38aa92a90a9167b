//! Reading what is new, of several streams: XREAD, and XREADGROUP for groups of consumers.
//!
//! How they wait, with BLOCK, is in `core/block`.
//!
//! A consumer is created, and noted as seen, also where there is nothing for it to read, as from Redis 7.2 on. That it was
//! seen is no change, and not journalled: polling a stream that has nothing new writes nothing.

use std::borrow::Cow;

use bobbin_proto::{Mark, Reply, Version};

use super::super::blocking::{Blocking, Nothing, Patience, as_it_is};
use super::super::number::integer;
use super::super::spec::{Begin, Command, Find, Group as Family, KeySpec, Run, command, flag, key_flag};
use super::super::{Args, Cx, OwnedArgs};
use super::{group_changed, id, no_key_or_group, reply_entries, reply_entry, reply_id};
use crate::error::{CommandError, before_nul};
use crate::store::encoding::stream::{Log, Order, Range, StreamId};
use crate::store::{ConsumerId, Group, Pending, Stream, Type};

const READS: u32 = flag::BLOCKING | flag::MOVABLEKEYS;
const PER_STREAM: &str = "O(N) for each stream with N entries answered";

/// The first half of what follows STREAMS.
const fn keys_behind_streams(from: i8, flags: u16) -> KeySpec {
    KeySpec {
        begin: Begin::Option { word: "STREAMS", from, step: option_len },
        find: Find::Range { last: -1, step: 1, limit: 2 },
        flags: key_flag::RO | key_flag::ACCESS | flags,
    }
}

const WAITS: Blocking = Blocking {
    serves: Type::Stream,
    nothing: Nothing::NullArray,
    patience: patience_of,
    settle: settled,
    narrow: narrowed,
    ends_with_key: false,
};
const WAITS_IN_GROUP: Blocking = Blocking { settle: as_it_is, ends_with_key: true, ..WAITS };

pub const ROWS: &[Command] = &[
    command("xread", -4, flag::READONLY | READS, Family::Stream, Run::Blocking(xread, &WAITS))
        .keys(&[keys_behind_streams(1, 0)])
        .docs(
            "5.0.0",
            PER_STREAM,
            "Answers the entries of streams that are behind the ids given; $ stands for the last there is.",
            "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
        ),
    command(
        "xreadgroup",
        -7,
        flag::WRITE | READS,
        Family::Stream,
        Run::Blocking(xreadgroup, &WAITS_IN_GROUP),
    )
    .keys(&[keys_behind_streams(4, key_flag::CHANGES)])
    .docs(
        "5.0.0",
        PER_STREAM,
        "Answers entries that no consumer of a group was given yet (>), or those that this one has pending.",
        "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...]",
    ),
];

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
const LAST_IN_XREADGROUP: CommandError = CommandError::text(
    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by \
     specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.",
);
const NO_GROUP_OPTION: CommandError = CommandError::text("ERR Missing GROUP option for XREADGROUP");

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader<'a> {
    Anyone,
    /// A member of a group, which GROUP must name.
    Member {
        names: Option<(&'a [u8], &'a [u8])>,
        acknowledges_at_once: bool,
    },
}

/// What is to be read.
#[derive(Clone, Copy, Debug)]
struct Request<'a> {
    args: Args<'a>,
    reader: Reader<'a>,
    /// Entries of each stream at most.
    count: usize,
    keys_at: usize,
    keys: usize,
}

impl<'a> Request<'a> {
    fn parse(cx: &Cx<'_>, args: Args<'a>, reader: Reader<'a>) -> Result<Self, CommandError> {
        let mut request = Self { args, reader, count: usize::MAX, keys_at: 0, keys: 0 };
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
                    return Err(self.unbalanced(cx.command.name));
                }
                (self.keys_at, self.keys) = (at + 1, behind / 2);
                Ok(args.len())
            }
            () if args.is(at, "group") && behind > 1 => self.take_group(at),
            () if args.is(at, "noack") => self.take_noack(at),
            () => Err(CommandError::Syntax),
        }
    }

    fn take_group(&mut self, at: usize) -> Result<usize, CommandError> {
        match &mut self.reader {
            Reader::Anyone => Err(GROUP_IN_XREAD),
            Reader::Member { names, .. } => {
                *names = Some((self.args.at(at + 1), self.args.at(at + 2)));
                Ok(at + 3)
            }
        }
    }

    fn take_noack(&mut self, at: usize) -> Result<usize, CommandError> {
        match &mut self.reader {
            Reader::Anyone => Err(NOACK_IN_XREAD),
            Reader::Member { acknowledges_at_once, .. } => {
                *acknowledges_at_once = true;
                Ok(at + 1)
            }
        }
    }

    /// In the words of Redis 7.2, which names the command.
    fn unbalanced(&self, command: &str) -> CommandError {
        let symbol = if self.reader == Reader::Anyone { '$' } else { '>' };
        CommandError::owned(format!(
            "ERR Unbalanced '{command}' list of streams: for each stream key an ID or '{symbol}' must be specified."
        ))
    }

    fn keys(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.args.iter_from(self.keys_at).take(self.keys)
    }

    /// Each key with the id behind which to read.
    fn streams(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.keys().zip(self.args.iter_from(self.keys_at + self.keys))
    }
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
    let request = Request::parse(cx, args, Reader::Anyone)?;
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
            reply_entries(entries_from(&stream.log, start), request.count, replies.add(key));
        }
    }
    replies.end();
    Ok(())
}

/// Where the word STREAMS is: options come before it, and take what follows them.
fn streams_at(args: Args<'_>) -> usize {
    let mut at = 1;
    while at < args.len() && !args.is(at, "streams") {
        at += option_len(args, at);
    }
    at
}

fn option_len(args: Args<'_>, at: usize) -> usize {
    match () {
        () if args.is(at, "block") || args.is(at, "count") => 2,
        () if args.is(at, "group") => 3,
        () => 1,
    }
}

fn patience_of(args: Args<'_>) -> Patience {
    let mut patience = Patience::None;
    let mut at = 1;
    while at < streams_at(args) {
        if args.is(at, "block") {
            patience = match args.get(at + 1).and_then(|ms| integer(ms).ok()) {
                Some(0) => Patience::Forever,
                Some(ms) => Patience::Ms(ms.unsigned_abs()),
                None => Patience::None,
            };
        }
        at += option_len(args, at);
    }
    patience
}

/// The request with the last id of each stream for `$`.
fn settled(cx: &mut Cx<'_>, args: Args<'_>) -> OwnedArgs {
    let first = streams_at(args) + 1;
    let streams = (args.len() - first) / 2;
    let mut words: Vec<Cow<'_, [u8]>> = args.iter().map(Cow::Borrowed).collect();
    for at in first..first + streams {
        if before_nul(args.at(at + streams)) == b"$" {
            let last = cx.find_as::<Stream>(args.at(at)).ok().flatten();
            let last = last.map_or(StreamId::MIN, |stream| stream.log.last_id);
            words[at + streams] = Cow::Owned(last.text().to_vec());
        }
    }
    OwnedArgs::new(words.iter().map(|word| &**word))
}

/// The request for the stream whose key is the argument `key`.
fn narrowed(args: Args<'_>, key: usize) -> OwnedArgs {
    let first = streams_at(args) + 1;
    let streams = (args.len() - first) / 2;
    OwnedArgs::new(args.iter().take(first).chain([args.at(key), args.at(key + streams)]))
}

/// The id behind which to read; `$` is the last of the stream.
fn read_behind(arg: &[u8], last: StreamId) -> Result<StreamId, CommandError> {
    match before_nul(arg) {
        b"$" => Ok(last),
        b">" => Err(NEW_IN_XREAD),
        _ => id::strict(arg, 0),
    }
}

fn entries_from(log: &Log, from: StreamId) -> Range<'_> {
    log.range(from, StreamId::MAX, Order::Ascending)
}

fn xreadgroup(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let reader = Reader::Member { names: None, acknowledges_at_once: false };
    let request = Request::parse(cx, args, reader)?;
    let Reader::Member { names: Some((group, consumer)), acknowledges_at_once } = request.reader else {
        return Err(NO_GROUP_OPTION);
    };
    // All are looked at before any is changed.
    let mut wanted = Vec::with_capacity(request.keys);
    for (key, arg) in request.streams() {
        let stream = cx.find_as::<Stream>(key)?;
        if stream.and_then(|stream| stream.group(group)).is_none() {
            return Err(no_key_or_group(key, group, " in XREADGROUP with GROUP option"));
        }
        wanted.push(Wanted::parse(arg)?);
    }
    let mut replies = StreamReplies::begin(reply);
    let member = Member { consumer, acknowledges_at_once, now_ms: cx.now_ms(), count: request.count };
    for (key, wanted) in request.keys().zip(wanted) {
        let read = |group: &mut Group, log: &Log| member.read(group, log, wanted, key, &mut replies);
        let done = cx.change(key, |stream: &mut Stream| stream.change_group(group, read))?.flatten();
        if let Some(done) = done.filter(|done| done.has_new_consumer || done.has_read) {
            group_changed(cx, key, done.has_new_consumer);
        }
    }
    replies.end();
    Ok(())
}

/// Which entries a member of a group wants.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// Those that no one was given yet.
    New,
    /// Those behind an id that it was given and has not acknowledged.
    PendingBehind(StreamId),
}

impl Wanted {
    /// `>`, or an id; the last id there can be stands for `>` too.
    fn parse(arg: &[u8]) -> Result<Self, CommandError> {
        match before_nul(arg) {
            b"$" => Err(LAST_IN_XREADGROUP),
            b">" => Ok(Self::New),
            _ => match id::strict(arg, 0)? {
                StreamId::MAX => Ok(Self::New),
                id => Ok(Self::PendingBehind(id)),
            },
        }
    }
}

/// What reading has done to a group.
#[derive(Clone, Copy, Debug)]
struct Done {
    has_new_consumer: bool,
    /// There was something for it.
    has_read: bool,
}

/// A consumer that reads as a member of its group.
struct Member<'a> {
    consumer: &'a [u8],
    acknowledges_at_once: bool,
    now_ms: u64,
    count: usize,
}

impl Member<'_> {
    /// Reads one stream.
    fn read(
        &self,
        group: &mut Group,
        log: &Log,
        wanted: Wanted,
        key: &[u8],
        replies: &mut StreamReplies<'_, '_>,
    ) -> Done {
        let seen = group.see(self.consumer, self.now_ms);
        let answered = match wanted {
            Wanted::New => match group.last_id.next() {
                Some(from) if log.last().is_some_and(|last| last.id >= from) => {
                    self.deliver(group, log, from, seen.id, replies.add(key))
                }
                _ => 0,
            },
            Wanted::PendingBehind(id) => {
                let from = id.next().unwrap_or(StreamId::MAX);
                self.redeliver(group, log, from, seen.id, replies.add(key))
            }
        };
        Done { has_new_consumer: seen.is_new, has_read: answered > 0 }
    }

    /// Answers entries that are new to the group. Returns how many.
    fn deliver(
        &self,
        group: &mut Group,
        log: &Log,
        from: StreamId,
        to: ConsumerId,
        reply: &mut Reply<'_>,
    ) -> usize {
        let (mark, mut answered) = (reply.mark(), 0);
        for entry in entries_from(log, from).take(self.count) {
            let id = entry.id;
            group.advance(log, id);
            reply_entry(entry, reply);
            if !self.acknowledges_at_once {
                // It may be pending with another, if the group was set back.
                group.assign(id, Pending { owner: to, delivered_ms: self.now_ms, deliveries: 1 });
                group.consumer_mut(to).active_ms = Some(self.now_ms);
            }
            answered += 1;
        }
        reply.array_at(mark, answered);
        answered
    }

    /// Answers entries that the consumer has pending; of one that was deleted the id. Returns how many.
    fn redeliver(
        &self,
        group: &mut Group,
        log: &Log,
        from: StreamId,
        to: ConsumerId,
        reply: &mut Reply<'_>,
    ) -> usize {
        let (mark, mut answered) = (reply.mark(), 0);
        group.redeliver(to, from, self.count, |id, pending| {
            if let Some(entry) = log.get(id) {
                reply_entry(entry, reply);
                pending.delivered_ms = self.now_ms;
                pending.deliveries = pending.deliveries.saturating_add(1);
            } else {
                reply.array(2);
                reply_id(id, reply);
                reply.null_array();
            }
            answered += 1;
        });
        reply.array_at(mark, answered);
        answered
    }
}

/// Streams with their entries: pairs, and in RESP3 a map; nothing if there are none.
struct StreamReplies<'r, 'out> {
    reply: &'r mut Reply<'out>,
    mark: Mark,
    streams: usize,
}

impl<'r, 'out> StreamReplies<'r, 'out> {
    fn begin(reply: &'r mut Reply<'out>) -> Self {
        Self { mark: reply.mark(), reply, streams: 0 }
    }

    /// Begins a stream's part; its entries are to follow.
    fn add(&mut self, key: &[u8]) -> &mut Reply<'out> {
        if self.reply.version() == Version::Resp2 {
            self.reply.array(2);
        }
        self.reply.bulk(key);
        self.streams += 1;
        self.reply
    }

    fn end(self) {
        match (self.streams, self.reply.version()) {
            (0, _) => {}
            (streams, Version::Resp2) => self.reply.array_at(self.mark, streams),
            (streams, Version::Resp3) => self.reply.map_at(self.mark, streams),
        }
    }
}
