//! DUMP and RESTORE: a value as bytes that any Redis takes, and back.
//!
//! Source: replies, errors and their precedence are those of redis-server 7.0.15, but that a deadline beyond the end
//! of time is no deadline that has passed. A payload may also be of a later version; see `rdb`.

use bobbin_proto::Reply;

use super::number::integer;
use super::spec::{Command, Group, KeySpec, Run, acl, command, flag, key_flag};
use super::{Args, Cx, Event};
use crate::error::CommandError;
use crate::rdb::{self, Access};
use crate::store::Entry;

const TARGET: &[KeySpec] = &[KeySpec::one(1, key_flag::OW | key_flag::UPDATE)];
const RESTORE: u32 = flag::WRITE | flag::DENYOOM;

pub const ROWS: &[Command] = &[
    command("dump", 2, flag::READONLY, Group::Generic, Run::Shard(dump))
        .keys(&[KeySpec::one(1, key_flag::RO | key_flag::ACCESS)])
        .tips(&["nondeterministic_output"])
        .docs(
            "2.6.0",
            "O(N) with N bytes of the value",
            "Answers a value as bytes that RESTORE takes, here or elsewhere.",
            "key",
        ),
    command("restore", -4, RESTORE, Group::Generic, Run::Shard(restore))
        .keys(TARGET)
        .acl(acl::DANGEROUS)
        .docs(
            "2.6.0",
            "O(N) with N bytes of the value, O(N*log(N)) for a sorted set of N members",
            "Makes a key of what DUMP answered.",
            "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
        ),
    command("restore-asking", -4, RESTORE | flag::ASKING, Group::Generic, Run::Shard(restore))
        .keys(TARGET)
        .acl(acl::DANGEROUS)
        .docs(
            "3.0.0",
            "As RESTORE",
            "RESTORE as one node of a cluster sends it to another.",
            "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
        ),
];

fn dump(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let compression = cx.env.config.rdbcompression.into();
    match cx.find(args.at(1)) {
        Some(entry) => reply.bulk(&payload(entry, compression)),
        None => reply.null(),
    }
    Ok(())
}

fn payload(entry: &Entry, compression: rdb::Compression) -> Vec<u8> {
    let value = entry.value();
    let value_type = rdb::type_of(value);
    let mut writer = rdb::Writer::new(Vec::with_capacity(entry.memory()), compression);
    writer.byte(value_type.number());
    rdb::write_value(&mut writer, value);
    let mut payload = writer.into_sink();
    rdb::seal(&mut payload, value_type);
    payload
}

const BUSY_KEY: CommandError = CommandError::text("BUSYKEY Target key name already exists.");
const BAD_TTL: CommandError = CommandError::text("ERR Invalid TTL value, must be >= 0");
const BAD_IDLE_TIME: CommandError = CommandError::text("ERR Invalid IDLETIME value, must be >= 0");
const BAD_FREQUENCY: CommandError = CommandError::text("ERR Invalid FREQ value, must be >= 0 and <= 255");
const BAD_FOOTER: CommandError = CommandError::text("ERR DUMP payload version or checksum are wrong");
const BAD_DATA: CommandError = CommandError::text("ERR Bad data format");

fn restore(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let key = args.at(1);
    let options = Options::parse(args)?;
    cx.expire_if_due(key);
    if !options.replace && cx.db().find(key).is_some() {
        return Err(BUSY_KEY);
    }
    let expiry_ms = options.deadline(args.at(2), cx.now_ms())?;
    let entry = read(cx, key, expiry_ms, args.at(3))?;
    let replaced = options.replace && cx.remove(key);
    if expiry_ms.is_some_and(|at_ms| at_ms <= cx.now_ms()) {
        if replaced {
            cx.changed(key, Event::generic("del"));
            cx.tell([b"DEL", key]);
        }
    } else {
        options.set_access(cx, &entry);
        cx.db().insert(entry);
        cx.changed(key, Event::generic("restore"));
        let mut digits = itoa::Buffer::new();
        let at_ms = digits.format(expiry_ms.unwrap_or(0)).as_bytes();
        cx.tell([b"RESTORE", key, at_ms, args.at(3), b"REPLACE", b"ABSTTL"]);
    }
    reply.ok();
    Ok(())
}

fn read(cx: &mut Cx<'_>, key: &[u8], expiry_ms: Option<u64>, payload: &[u8]) -> Result<Entry, CommandError> {
    let limits = cx.env.config.value_limits(&mut cx.rest.rng);
    let string_len_max = usize::try_from(cx.env.string_len_max()).unwrap_or(usize::MAX);
    let (value_type, mut value) =
        rdb::open(payload, cx.rest.payload_checksum, string_len_max).map_err(|error| match error {
            rdb::PayloadError::Footer => BAD_FOOTER,
            rdb::PayloadError::Type => BAD_DATA,
        })?;
    rdb::read_entry(&mut value, value_type, key, expiry_ms, &limits).map_err(|error| {
        tracing::warn!("RESTORE refused a payload: {error}");
        BAD_DATA
    })
}

#[derive(Clone, Copy, Debug, Default)]
struct Options {
    replace: bool,
    /// The time to live is a time.
    absolute: bool,
    /// What the value's access clock is to say.
    access: Option<Access>,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut at = 4;
        while at < args.len() {
            let idle_time_fits = !matches!(options.access, Some(Access::Frequency(_)));
            let frequency_fits = !matches!(options.access, Some(Access::IdleSecs(_)));
            let value = args.get(at + 1);
            match value {
                _ if args.is(at, "replace") => options.replace = true,
                _ if args.is(at, "absttl") => options.absolute = true,
                Some(value) if args.is(at, "idletime") && idle_time_fits => {
                    options.access = Some(idle_time(value)?);
                    at += 1;
                }
                Some(value) if args.is(at, "freq") && frequency_fits => {
                    options.access = Some(frequency(value)?);
                    at += 1;
                }
                _ => return Err(CommandError::Syntax),
            }
            at += 1;
        }
        Ok(options)
    }

    /// When the key goes, if ever, in Unix milliseconds.
    fn deadline(self, ttl: &[u8], now_ms: u64) -> Result<Option<u64>, CommandError> {
        let ttl = u64::try_from(integer(ttl)?).map_err(|_| BAD_TTL)?;
        let origin_ms = if self.absolute { 0 } else { now_ms };
        Ok((ttl > 0).then(|| (origin_ms + ttl).min(i64::MAX as u64)))
    }

    fn set_access(self, cx: &Cx<'_>, entry: &Entry) {
        let (config, now_ms) = (cx.rest.evictor.config(), cx.now_ms());
        match self.access {
            Some(Access::IdleSecs(secs)) if !config.policy.is_lfu() => {
                entry.set_access(config.access_for_idle_time(secs, now_ms));
            }
            Some(Access::Frequency(frequency)) if config.policy.is_lfu() => {
                entry.set_access(config.access_for_frequency(frequency, now_ms));
            }
            _ => {}
        }
    }
}

fn idle_time(value: &[u8]) -> Result<Access, CommandError> {
    u64::try_from(integer(value)?).map(Access::IdleSecs).map_err(|_| BAD_IDLE_TIME)
}

fn frequency(value: &[u8]) -> Result<Access, CommandError> {
    u8::try_from(integer(value)?).map(Access::Frequency).map_err(|_| BAD_FREQUENCY)
}
