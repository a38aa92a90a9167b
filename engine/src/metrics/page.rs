//! The figures as text. Names, units and kinds follow Prometheus's conventions: base units, `_total` for what only
//! grows, a label for each of several.
//!
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4.

use std::fmt::{Display, Write as _};

use hdrhistogram::Histogram;

use crate::allocator::Heap;
use crate::command::TABLE;
use crate::core::Shared;
use crate::ids::ReactorId;
use crate::limits::REDIS_VERSION;
use crate::observe::process::{self, CpuTime};
use crate::observe::{CommandCounts, DbReport, Report, Timing};
use crate::pubsub::Topic;
use crate::reactor::Plant;

const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];
const NANOS: f64 = 1e9;
/// Hot keys, and big keys, that the page names.
const KEYS_MAX: usize = 10;
/// Bytes of a key's name that are shown.
const NAME_SHOWN: usize = 128;

/// Kinds of metrics.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Counter,
    Gauge,
    Summary,
}

/// A figure of each of several: its name, what it is, and how it is read.
type Figure<T> = (&'static str, &'static str, fn(&T) -> f64);
/// A figure of each reactor: its name, kind, what it is, and how it is read.
type OfReactor = (&'static str, Kind, &'static str, fn(&Report) -> f64);

/// In the order in which they are shown.
const OF_REACTORS: &[OfReactor] = {
    use Kind::{Counter, Gauge};
    &[
        ("connected_clients", Gauge, "Clients connected.", |r| r.clients as f64),
        ("blocked_clients", Gauge, "Clients in a command that waits.", |r| r.blocked_clients as f64),
        ("clients_memory_bytes", Gauge, "Buffers of clients.", |r| r.clients_memory as f64),
        ("connections_total", Counter, "Connections let in.", |r| r.counts.connections as f64),
        ("rejected_connections_total", Counter, "Connections refused.", |r| {
            r.counts.rejected_connections as f64
        }),
        ("denied_auth_total", Counter, "Passwords that were wrong.", |r| r.counts.denied_auth as f64),
        ("protocol_errors_total", Counter, "Requests that were none.", |r| r.counts.protocol_errors as f64),
        ("query_limit_disconnections_total", Counter, "Clients cut off for their input.", |r| {
            r.counts.query_limit_disconnections as f64
        }),
        ("output_limit_disconnections_total", Counter, "Clients cut off for replies not read.", |r| {
            r.counts.output_limit_disconnections as f64
        }),
        ("commands_total", Counter, "Commands run.", |r| r.total_commands as f64),
        ("net_input_bytes_total", Counter, "Bytes received.", |r| r.counts.net_in as f64),
        ("net_output_bytes_total", Counter, "Bytes sent.", |r| r.counts.net_out as f64),
        ("reads_total", Counter, "Times that a socket was read from.", |r| r.counts.reads as f64),
        ("writes_total", Counter, "Times that a socket was written to.", |r| r.counts.writes as f64),
        ("restarted_transactions_total", Counter, "Transactions over cores begun again.", |r| {
            r.counts.transactions_restarted as f64
        }),
        ("loop_iterations_total", Counter, "Iterations of the loop.", |r| r.loops.count as f64),
        ("loop_busy_seconds_total", Counter, "Time in iterations, waiting excluded.", |r| {
            r.loops.busy_us as f64 / 1e6
        }),
        ("loop_longest_seconds", Gauge, "The longest iteration: the bound of tail latency.", |r| {
            r.loops.longest_us as f64 / 1e6
        }),
        ("cpu_user_seconds_total", Counter, "CPU time of the reactor's thread.", |r| {
            r.cpu.user.as_secs_f64()
        }),
        ("cpu_system_seconds_total", Counter, "CPU time of the kernel for it.", |r| {
            r.cpu.system.as_secs_f64()
        }),
        ("keyspace_memory_bytes", Gauge, "Keys, values and tables.", |r| r.keyspace_memory as f64),
        ("keyspace_hits_total", Counter, "Reads that found their key.", |r| r.shard.hits as f64),
        ("keyspace_misses_total", Counter, "Reads that did not.", |r| r.shard.misses as f64),
        ("expired_keys_total", Counter, "Keys whose time was over.", |r| r.shard.expired as f64),
        ("expired_fields_total", Counter, "Fields whose time was over.", |r| r.shard.expired_fields as f64),
        ("evicted_keys_total", Counter, "Keys that made room.", |r| r.shard.evicted as f64),
        ("changes_total", Counter, "Changes of keys.", |r| r.shard.changes as f64),
        ("pubsub_channels", Gauge, "Channels with subscribers.", |r| r.topics[Topic::Channel.index()] as f64),
        ("pubsub_patterns", Gauge, "Patterns with subscribers.", |r| r.topics[Topic::Pattern.index()] as f64),
        ("pubsub_shard_channels", Gauge, "Shard channels with subscribers.", |r| {
            r.topics[Topic::ShardChannel.index()] as f64
        }),
    ]
};

/// The page. `reports`: by reactor, none of one that did not answer.
pub(super) fn write(shared: &Shared, plant: &Plant, reports: &[Option<Report>]) -> String {
    let mut page = Page(String::with_capacity(64 << 10));
    let numbered: Vec<(usize, &Report)> =
        reports.iter().enumerate().filter_map(|(number, report)| Some((number, report.as_ref()?))).collect();
    let mut total = Report::default();
    numbered.iter().for_each(|(_, report)| total.merge(report));
    server(&mut page, shared, plant, reports);
    for &(name, kind, help, figure) in OF_REACTORS {
        page.begin(name, kind, help);
        for (number, report) in &numbered {
            page.line(name, &[("reactor", number)], figure(report));
        }
    }
    stages(&mut page, &numbered);
    commands(&mut page, &total);
    errors(&mut page, &total);
    databases(&mut page, &total);
    keys(&mut page, total);
    page.0
}

/// What is not one reactor's.
fn server(page: &mut Page, shared: &Shared, plant: &Plant, reports: &[Option<Report>]) {
    let config = shared.config();
    let (heap, cpu) = (Heap::read(), CpuTime::of_process());
    page.begin("info", Kind::Gauge, "What this server is.");
    page.line(
        "info",
        &[
            ("version", &env!("CARGO_PKG_VERSION")),
            ("redis_version", &REDIS_VERSION),
            ("mode", &config.mode()),
            ("run_id", &shared.about.run_id),
        ],
        1.0,
    );
    let figures: &[(&str, Kind, &str, f64)] = &[
        ("start_time_seconds", Kind::Gauge, "When it started.", shared.about.started_unix_ms as f64 / 1e3),
        ("reactors", Kind::Gauge, "Reactors.", shared.reactors() as f64),
        ("max_clients", Kind::Gauge, "maxclients.", f64::from(config.maxclients)),
        ("memory_used_bytes", Kind::Gauge, "What counts against maxmemory.", plant.memory.total() as f64),
        ("memory_max_bytes", Kind::Gauge, "maxmemory; 0: no limit.", config.maxmemory as f64),
        ("memory_resident_bytes", Kind::Gauge, "In physical memory.", process::resident_bytes() as f64),
        ("allocator_allocated_bytes", Kind::Gauge, "In use, by the allocator.", heap.allocated as f64),
        ("allocator_active_bytes", Kind::Gauge, "In pages that are in use.", heap.active as f64),
        ("allocator_resident_bytes", Kind::Gauge, "In the allocator's physical pages.", heap.resident as f64),
        ("process_cpu_user_seconds_total", Kind::Counter, "CPU time.", cpu.user.as_secs_f64()),
        (
            "process_cpu_system_seconds_total",
            Kind::Counter,
            "CPU time in the kernel.",
            cpu.system.as_secs_f64(),
        ),
        ("journal_enabled", Kind::Gauge, "appendonly.", f64::from(u8::from(config.appendonly))),
        (
            "journal_batches_total",
            Kind::Counter,
            "Batches of effects that have got a stamp.",
            shared.last_stamp().0 as f64,
        ),
    ];
    for (name, kind, help, value) in figures {
        page.begin(name, *kind, help);
        page.line(name, &[], *value);
    }
    page.begin("reactor_up", Kind::Gauge, "Whether the reactor has told its figures in time.");
    for (number, report) in reports.iter().enumerate() {
        page.line("reactor_up", &[("reactor", &number)], f64::from(u8::from(report.is_some())));
    }
    page.begin("lane_batches", Kind::Gauge, "Batches on their way to the reactor.");
    for number in 0..reports.len() {
        let depth = plant.lanes.depth(ReactorId::from_index(number));
        page.line("lane_batches", &[("reactor", &number)], depth as f64);
    }
}

fn stages(page: &mut Page, reports: &[(usize, &Report)]) {
    let name = "stage_duration_seconds";
    page.begin(
        name,
        Kind::Summary,
        "lane: batches between two reactors; iteration: of the loop; send: replies in the kernel's hands; sync: of the journal.",
    );
    for (number, report) in reports {
        for (stage, timing) in report.stages.named() {
            page.summary(name, &[("reactor", number), ("stage", &stage)], timing);
        }
    }
}

fn commands(page: &mut Page, total: &Report) {
    let called =
        || TABLE.iter().zip(&total.commands).filter(|(_, counts)| counts.calls + counts.rejected > 0);
    let figures: [Figure<CommandCounts>; 4] = [
        ("command_calls_total", "Calls of the command.", |counts| counts.calls as f64),
        ("command_seconds_total", "Time in the command.", |counts| counts.ns as f64 / NANOS),
        ("command_rejected_total", "Refused before they ran.", |counts| counts.rejected as f64),
        ("command_failed_total", "Answered with an error.", |counts| counts.failed as f64),
    ];
    for (name, help, figure) in figures {
        page.begin(name, Kind::Counter, help);
        for (row, counts) in called() {
            page.line(name, &[("command", &row.name)], figure(counts));
        }
    }
    let name = "command_duration_seconds";
    page.begin(name, Kind::Summary, "Run times of the command.");
    for (row, counts) in called() {
        page.summary(name, &[("command", &row.name)], &counts.latency);
    }
}

fn errors(page: &mut Page, total: &Report) {
    page.begin("errors_total", Kind::Counter, "Error replies by their code.");
    for (code, count) in total.errors.iter() {
        page.line("errors_total", &[("code", &code)], count as f64);
    }
}

fn databases(page: &mut Page, total: &Report) {
    let figures: [Figure<DbReport>; 3] = [
        ("keys", "Keys in the database.", |db| db.keys as f64),
        ("keys_expiring", "Keys that expire.", |db| db.volatile as f64),
        ("keys_average_ttl_seconds", "How long those have left, about.", |db| db.average_ttl_ms as f64 / 1e3),
    ];
    for (name, help, figure) in figures {
        page.begin(name, Kind::Gauge, help);
        for (number, db) in total.dbs.iter().enumerate().filter(|(number, db)| *number == 0 || db.keys > 0) {
            page.line(name, &[("db", &number)], figure(db));
        }
    }
}

/// The few keys that stand out.
fn keys(page: &mut Page, total: Report) {
    page.begin(
        "hot_key_accesses",
        Kind::Gauge,
        "Accesses to the key in the last one to two minutes, estimated.",
    );
    for (db, key, estimate) in total.hot_keys.top(KEYS_MAX) {
        page.line("hot_key_accesses", &[("db", &db), ("key", &shown(key))], estimate.accesses as f64);
    }
    page.begin("big_key_bytes", Kind::Gauge, "What the key holds, of those that hold most.");
    for big in total.big_keys.top(KEYS_MAX) {
        let labels: [(&str, &dyn Display); 3] =
            [("db", &big.db), ("key", &shown(&big.key)), ("type", &big.type_of.name())];
        page.line("big_key_bytes", &labels, big.bytes as f64);
    }
}

/// A key's name as text. What is cut off is told apart by how much it is, and the key's hash.
fn shown(key: &[u8]) -> String {
    match key.split_at_checked(NAME_SHOWN) {
        Some((shown, rest)) if !rest.is_empty() => {
            format!(
                "{}... ({} more bytes, CRC32C {:08x})",
                shown.escape_ascii(),
                rest.len(),
                crc32c::crc32c(key)
            )
        }
        _ => key.escape_ascii().to_string(),
    }
}

/// A page being written.
struct Page(String);

impl Page {
    fn begin(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Summary => "summary",
        };
        self.put(format_args!("# HELP bobbin_{name} {help}\n# TYPE bobbin_{name} {kind}\n"));
    }

    fn line(&mut self, name: &str, labels: &[(&str, &dyn Display)], value: f64) {
        self.put(format_args!("bobbin_{name}"));
        for (index, (label, value)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            self.put(format_args!("{open}{label}=\"{}\"", escaped(&value.to_string())));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        self.put(format_args!("{close} {value}\n"));
    }

    /// Quantiles, sum and count; nothing of what has never been.
    fn summary(&mut self, name: &str, labels: &[(&str, &dyn Display)], timing: &Timing) {
        let Some(times) = timing.histogram() else { return };
        for quantile in QUANTILES {
            let labels = [labels, &[("quantile", &quantile as &dyn Display)]].concat();
            self.line(name, &labels, at(times, quantile));
        }
        self.line(&format!("{name}_sum"), labels, timing.sum_ns() as f64 / NANOS);
        self.line(&format!("{name}_count"), labels, times.len() as f64);
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("a String takes all");
    }
}

/// In seconds.
fn at(times: &Histogram<u64>, quantile: f64) -> f64 {
    times.value_at_quantile(quantile) as f64 / NANOS
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
