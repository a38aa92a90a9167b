//! MEMORY: what keys and server hold.

use bobbin_proto::Reply;

use super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::{Args, Cx, Session, help};
use crate::allocator::{self, Heap};
use crate::core::Core;
use crate::errand::{Errand, Need, Targets};
use crate::error::CommandError;
use crate::observe::{Report, process};
use crate::store::parse_canonical;

const EVERY_SHARD: &[&str] =
    &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"];

pub const ROWS: &[Command] = &[
    command("memory", -2, 0, Group::Server, Run::Container).docs(
        "4.0.0",
        "Depends on the subcommand",
        "Tells what keys and server hold in memory.",
        "",
    ),
    command("memory|doctor", 2, flag::BARRIER, Group::Server, Run::Conn(doctor)).tips(EVERY_SHARD).docs(
        "4.0.0",
        "O(1)",
        "Looks for what is wrong with the use of memory.",
        "",
    ),
    command("memory|help", 2, flag::LOADING | flag::STALE, Group::Server, Run::Conn(help)).docs(
        "4.0.0",
        "O(1)",
        "Lists the subcommands.",
        "",
    ),
    command("memory|malloc-stats", 2, 0, Group::Server, Run::Conn(malloc_stats)).tips(EVERY_SHARD).docs(
        "4.0.0",
        "Depends on how much memory is allocated",
        "Answers the allocator's own statistics.",
        "",
    ),
    command("memory|purge", 2, 0, Group::Server, Run::Conn(purge))
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .docs(
            "4.0.0",
            "Depends on how much memory is allocated",
            "Gives unused pages back to the system at once.",
            "",
        ),
    command("memory|stats", 2, flag::BARRIER, Group::Server, Run::Conn(stats)).tips(EVERY_SHARD).docs(
        "4.0.0",
        "O(N) with N clients",
        "Tells in figures what the server holds, and for what.",
        "",
    ),
    command("memory|usage", -3, flag::READONLY, Group::Server, Run::Shard(usage))
        .keys(&[KeySpec::one(2, key_flag::RO)])
        .docs("4.0.0", "O(1)", "Answers the bytes that a key and its value take.", "key [SAMPLES count]"),
];

/// SAMPLES is read and changes nothing: the size of a value is known, not estimated.
fn usage(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    for at in (3..args.len()).step_by(2) {
        match args.get(at + 1) {
            Some(count) if args.is(at, "samples") => {
                if parse_canonical(count).ok_or(CommandError::NotInteger)? < 0 {
                    return Err(CommandError::Syntax);
                }
            }
            _ => return Err(CommandError::Syntax),
        }
    }
    match cx.peek(args.at(2)) {
        Some(entry) => reply.int(entry.memory_with_place() as i64),
        None => reply.null(),
    }
    Ok(())
}

fn malloc_stats(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let text = allocator::statistics();
    session.reply(|reply| reply.verbatim(*b"txt", &text));
    Ok(())
}

fn purge(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    if !allocator::purge() {
        return Err(CommandError::text("ERR Error purging dirty pages"));
    }
    session.ok();
    Ok(())
}

fn stats(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    session.ask(Stats, Targets::All);
    Ok(())
}

fn doctor(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    session.ask(Doctor, Targets::All);
    Ok(())
}

/// One reactor's figures.
#[derive(Debug)]
struct Held {
    report: Report,
    /// Bytes of the table of each database.
    tables: Vec<usize>,
    /// Bytes that wait to be written to a snapshot.
    recorded: usize,
}

impl Held {
    fn by(core: &Core) -> Self {
        let tables = core.shard.keyspace.iter().map(|db| db.table_memory()).collect();
        Self { report: Report::of(core, false), tables, recorded: core.shard.keyspace.recorded_bytes() }
    }
}

/// The figures of the whole server.
struct Figures {
    total: Report,
    tables: Vec<usize>,
    recorded: u64,
    heap: Heap,
    resident: u64,
    used: u64,
    peak: u64,
    maxmemory: u64,
}

impl Figures {
    fn of(held: Vec<Held>, core: &Core) -> Self {
        let (mut total, mut tables) = (Report::default(), vec![0; core.shard.keyspace.databases()]);
        let recorded = held.iter().map(|part| part.recorded as u64).sum();
        for part in held {
            total.merge(&part.report);
            tables.iter_mut().zip(part.tables).for_each(|(sum, table)| *sum += table);
        }
        let used = core.env.memory_used;
        Self {
            peak: total.memory_peak.max(used),
            total,
            tables,
            recorded,
            heap: Heap::read(),
            resident: process::resident_bytes(),
            used,
            maxmemory: core.env.config.maxmemory,
        }
    }

    /// Bytes of keys and values, without the tables that find them.
    fn dataset(&self) -> u64 {
        (self.total.keyspace_memory as u64).saturating_sub(self.overhead_of_tables()).min(self.used)
    }

    fn overhead_of_tables(&self) -> u64 {
        self.tables.iter().sum::<usize>() as u64
    }
}

/// Whether so much of the whole is of no use that it is worth a word.
fn is_lost(whole: u64, part: u64, from_ratio: f64) -> bool {
    whole.saturating_sub(part) > LOSS_BYTES && ratio(whole, part) > from_ratio
}

fn ratio(whole: u64, part: u64) -> f64 {
    whole as f64 / part.max(1) as f64
}

#[derive(Debug)]
struct Stats;

impl Errand for Stats {
    type Answer = Held;

    fn need(&self) -> Need {
        Need::WholeShard
    }

    fn visit(&self, core: &mut Core) -> Held {
        Held::by(core)
    }

    fn finish(&self, held: Vec<Held>, core: &mut Core, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        let figures = Figures::of(held, core);
        let fields = figures.fields();
        reply.map(fields.len());
        for (name, value) in fields {
            reply.bulk(name.as_bytes());
            match value {
                Figure::Count(count) => reply.int(count),
                Figure::Ratio(ratio) => reply.double(ratio),
                Figure::Table(bytes) => reply_table(bytes, reply),
            }
        }
        Ok(())
    }
}

enum Figure {
    Count(i64),
    Ratio(f64),
    /// A database's table, in bytes.
    Table(usize),
}

/// Expiries stand in the entries and slots in the routing: neither has a table of its own.
fn reply_table(bytes: usize, reply: &mut Reply<'_>) {
    let parts = [
        ("overhead.hashtable.main", bytes),
        ("overhead.hashtable.expires", 0),
        ("overhead.hashtable.slot-to-keys", 0),
    ];
    reply.map(parts.len());
    for (name, bytes) in parts {
        reply.bulk(name.as_bytes());
        reply.int(bytes as i64);
    }
}

impl Figures {
    /// Names and order are those of Redis 7.0; what is not here is 0.
    fn fields(&self) -> Vec<(String, Figure)> {
        let mut fields = Vec::new();
        let counted = |name: &str, count: u64| (name.to_owned(), Figure::Count(count as i64));
        fields.extend([
            counted("peak.allocated", self.peak),
            counted("total.allocated", self.used),
            counted("startup.allocated", self.total.memory_at_start),
            counted("replication.backlog", 0),
            counted("clients.slaves", 0),
            counted("clients.normal", self.total.clients_memory as u64),
            counted("cluster.links", 0),
            counted("aof.buffer", 0),
            counted("lua.caches", 0),
            counted("functions.caches", 0),
        ]);
        let held = self.tables.iter().zip(&self.total.dbs).enumerate().filter(|(_, (_, db))| db.keys > 0);
        fields.extend(held.map(|(index, (&bytes, _))| (format!("db.{index}"), Figure::Table(bytes))));
        let (keys, dataset) = (self.total.keys() as u64, self.dataset());
        let grown = self.used.saturating_sub(self.total.memory_at_start);
        fields.extend([
            counted("overhead.total", self.used - dataset),
            counted("keys.count", keys),
            counted("keys.bytes-per-key", grown.checked_div(keys).unwrap_or(0)),
            counted("dataset.bytes", dataset),
            ("dataset.percentage".to_owned(), Figure::Ratio(100.0 * ratio(dataset, grown.max(dataset)))),
            ("peak.percentage".to_owned(), Figure::Ratio(100.0 * ratio(self.used, self.peak))),
            counted("allocator.allocated", self.heap.allocated),
            counted("allocator.active", self.heap.active),
            counted("allocator.resident", self.heap.resident),
        ]);
        for (ratio_name, bytes_name, whole, part) in self.losses() {
            fields.push((ratio_name.to_owned(), Figure::Ratio(ratio(whole, part))));
            fields.push((bytes_name.to_owned(), Figure::Count(whole as i64 - part as i64)));
        }
        fields
    }

    /// Where memory is lost, each time between a whole and the part of it that is of use.
    fn losses(&self) -> [(&'static str, &'static str, u64, u64); 4] {
        let Heap { allocated, active, resident } = self.heap;
        [
            ("allocator-fragmentation.ratio", "allocator-fragmentation.bytes", active, allocated),
            ("allocator-rss.ratio", "allocator-rss.bytes", resident, active),
            ("rss-overhead.ratio", "rss-overhead.bytes", self.resident, resident),
            ("fragmentation", "fragmentation.bytes", self.resident, self.used),
        ]
    }
}

#[derive(Debug)]
struct Doctor;

impl Errand for Doctor {
    type Answer = Held;

    fn visit(&self, core: &mut Core) -> Held {
        Held::by(core)
    }

    fn finish(&self, held: Vec<Held>, core: &mut Core, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        reply.verbatim(*b"txt", Figures::of(held, core).diagnosis().as_bytes());
        Ok(())
    }
}

const MIB: u64 = 1 << 20;
/// Below this, figures are those of an empty server.
const TELLING_BYTES: u64 = 5 * MIB;
/// Losses below this are not worth a word.
const LOSS_BYTES: u64 = 10 * MIB;
const LOSS_RATIO: f64 = 1.4;
/// The same, of one cause of several.
const PART_LOSS_RATIO: f64 = 1.1;
const PEAK_RATIO: f64 = 1.5;
const NEARLY_FULL: f64 = 0.9;
const CLIENT_BYTES: u64 = 200 << 10;

impl Figures {
    fn diagnosis(&self) -> String {
        if self.used < TELLING_BYTES {
            return "The server holds too little for its figures to tell anything.\n".to_owned();
        }
        let findings = [
            self.was_larger(),
            self.is_resident_in_vain(),
            self.has_gaps(),
            self.keeps_empty_pages(),
            self.is_nearly_full(),
            self.feeds_clients(),
            self.waits_for_snapshot(),
        ];
        let findings: Vec<String> = findings.into_iter().flatten().collect();
        if findings.is_empty() {
            return "Nothing is wrong with the use of memory.\n".to_owned();
        }
        format!("{}\n", findings.join("\n"))
    }

    fn was_larger(&self) -> Option<String> {
        (ratio(self.peak, self.used) > PEAK_RATIO).then(|| {
            format!(
                "At its peak the server held {} MiB, now it holds {}. Pages of that time may still be resident; \
                 MEMORY PURGE gives back those that are free.",
                self.peak / MIB,
                self.used / MIB
            )
        })
    }

    fn is_resident_in_vain(&self) -> Option<String> {
        is_lost(self.resident, self.used, LOSS_RATIO).then(|| {
            format!(
                "{} MiB are resident for {} MiB in use. MEMORY STATS tells where the difference is: in gaps \
                 (allocator-fragmentation), in empty pages (allocator-rss), or outside of the allocator \
                 (rss-overhead).",
                self.resident / MIB,
                self.used / MIB
            )
        })
    }

    fn has_gaps(&self) -> Option<String> {
        let Heap { allocated, active, .. } = self.heap;
        is_lost(active, allocated, PART_LOSS_RATIO).then(|| {
            format!(
                "Pages of {} MiB hold {} MiB: between what is in use are gaps of what was freed. New data of the same \
                 sizes fill them; MEMORY MALLOC-STATS tells which sizes those are.",
                active / MIB,
                allocated / MIB
            )
        })
    }

    fn keeps_empty_pages(&self) -> Option<String> {
        let Heap { active, resident, .. } = self.heap;
        is_lost(resident, active, PART_LOSS_RATIO).then(|| {
            format!(
                "{} MiB are pages that nothing is in. They are given back to the system in time, by MEMORY PURGE at \
                 once.",
                (resident - active) / MIB
            )
        })
    }

    fn waits_for_snapshot(&self) -> Option<String> {
        (self.recorded > LOSS_BYTES).then(|| {
            format!(
                "{} MiB wait to be written to a snapshot: keys changed meanwhile are kept as they were until then. \
                 INFO persistence tells how far it is; a faster disk, or a time of fewer writes, keeps this small.",
                self.recorded / MIB
            )
        })
    }

    fn is_nearly_full(&self) -> Option<String> {
        (self.maxmemory > 0 && ratio(self.used, self.maxmemory) > NEARLY_FULL).then(|| {
            format!(
                "{} of the {} MiB of maxmemory are in use. From there on keys are evicted or writes refused, as \
                 maxmemory-policy says.",
                self.used / MIB,
                self.maxmemory / MIB
            )
        })
    }

    fn feeds_clients(&self) -> Option<String> {
        let (clients, bytes) = (self.total.clients as u64, self.total.clients_memory as u64);
        let each = bytes.checked_div(clients).unwrap_or(0);
        (each > CLIENT_BYTES).then(|| {
            format!(
                "The buffers of {clients} clients hold {} MiB, {} KiB each. CLIENT LIST tells whose (qbuf, omem); \
                 clients that read slowly are a usual reason.",
                bytes / MIB,
                each >> 10
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures of a server that is well.
    fn sound() -> Figures {
        let heap = Heap { allocated: 100 * MIB, active: 105 * MIB, resident: 110 * MIB };
        let (resident, used, peak) = (115 * MIB, 100 * MIB, 120 * MIB);
        Figures {
            total: Report::default(),
            tables: Vec::new(),
            recorded: 0,
            heap,
            resident,
            used,
            peak,
            maxmemory: 0,
        }
    }

    #[test]
    fn each_cause_is_told_and_nothing_else() {
        let heap = sound().heap;
        let many = Report { clients: 10, clients_memory: 10 << 20, ..Report::default() };
        let cases = [
            (Figures { used: MIB, ..sound() }, "The server holds too little"),
            (sound(), "Nothing is wrong"),
            (
                Figures { peak: 160 * MIB, ..sound() },
                "At its peak the server held 160 MiB, now it holds 100.",
            ),
            (Figures { resident: 150 * MIB, ..sound() }, "150 MiB are resident for 100 MiB in use."),
            (
                Figures { heap: Heap { allocated: 90 * MIB, ..heap }, ..sound() },
                "Pages of 105 MiB hold 90 MiB",
            ),
            (
                Figures { heap: Heap { resident: 130 * MIB, ..heap }, ..sound() },
                "25 MiB are pages that nothing is in.",
            ),
            (Figures { maxmemory: 105 * MIB, ..sound() }, "100 of the 105 MiB of maxmemory are in use."),
            (Figures { total: many, ..sound() }, "The buffers of 10 clients hold 10 MiB, 1024 KiB each."),
            (Figures { recorded: 12 * MIB, ..sound() }, "12 MiB wait to be written to a snapshot"),
        ];
        for (figures, told) in cases {
            let text = figures.diagnosis();
            assert!(text.starts_with(told) && text.lines().count() == 1, "{told}: {text}");
        }
    }

    #[test]
    fn losses_that_are_small_in_bytes_are_not_told() {
        let heap = Heap { allocated: 6 * MIB, active: 9 * MIB, resident: 15 * MIB };
        let small = Figures { heap, used: 6 * MIB, peak: 6 * MIB, resident: 15 * MIB, ..sound() };
        assert!(small.diagnosis().starts_with("Nothing is wrong"));
    }
}
