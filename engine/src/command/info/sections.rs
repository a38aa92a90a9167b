//! The sections of INFO that are short.

use std::fmt::Display;
use std::time::Duration;

use super::Fields;
use super::facts::Facts;
use crate::config::Directive;
use crate::limits::REDIS_VERSION;
use crate::observe::process::CpuTime;

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;
/// What an entry's access clock counts to.
const LRU_CLOCK_MASK: u64 = (1 << 24) - 1;
/// The id of a data set's history where there is none.
const NO_REPLICATION_ID: &str = "0000000000000000000000000000000000000000";

pub(super) fn server(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    let about = &facts.env.shared.about;
    let config = &facts.env.config;
    let hz = config.hz.per_second();
    let unix_us = facts.env.now.unix_us;
    fields.add_all(&[
        ("redis_version", &REDIS_VERSION),
        ("server_name", &"bobbin"),
        ("bobbin_version", &env!("CARGO_PKG_VERSION")),
        ("redis_git_sha1", &"00000000"),
        ("redis_git_dirty", &0),
        ("redis_build_id", &"0"),
        ("redis_mode", &config.mode()),
        ("os", &about.os),
        ("arch_bits", &usize::BITS),
        ("monotonic_clock", &"POSIX clock_gettime"),
        ("multiplexing_api", &"io_uring"),
        ("atomicvar_api", &"c11-builtin"),
        ("gcc_version", &"0.0.0"),
        ("process_id", &about.pid),
        ("process_supervised", &about.supervisor),
        ("run_id", &about.run_id),
        ("tcp_port", &about.port),
        ("server_time_usec", &unix_us),
        ("uptime_in_seconds", &facts.uptime_s()),
        ("uptime_in_days", &(facts.uptime_s() / SECONDS_PER_DAY)),
        ("hz", &hz),
        ("configured_hz", &hz),
        ("lru_clock", &((unix_us / 1_000_000) & LRU_CLOCK_MASK)),
        ("executable", &about.executable),
        ("config_file", &about.config_file),
        ("io_threads_active", &0),
    ]);
    listeners(facts, fields);
}

fn listeners(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    let config = &facts.env.config;
    let port = facts.env.shared.about.port;
    let mut listeners = Vec::new();
    if port != 0 && !config.bind.0.is_empty() {
        let addresses = Directive::find(b"bind").map(|row| row.text(config)).unwrap_or_default();
        let binds = String::from_utf8_lossy(&addresses).replace(' ', ",bind=");
        listeners.push(format!("name=tcp,bind={binds},port={port}"));
    }
    if !config.unixsocket.is_empty() {
        listeners.push(format!("name=unix,bind={}", config.unixsocket.display()));
    }
    listeners.iter().enumerate().for_each(|(n, listener)| fields.add(format_args!("listener{n}"), listener));
}

pub(super) fn clients(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    fields.add_all(&[
        ("connected_clients", &facts.total.clients),
        ("cluster_connections", &0),
        ("maxclients", &facts.env.config.maxclients),
        ("client_recent_max_input_buffer", &facts.total.input_max),
        ("client_recent_max_output_buffer", &facts.total.output_max),
        ("blocked_clients", &facts.total.blocked_clients),
        ("tracking_clients", &0),
        ("clients_in_timeout_table", &facts.total.clients_with_timeout),
        ("total_blocking_keys", &facts.total.blocking_keys),
        ("total_blocking_keys_on_nokey", &facts.total.blocking_keys_on_nokey),
    ]);
}

pub(super) fn replication(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    fields.add_all(&[
        ("role", &"master"),
        ("connected_slaves", &0),
        ("master_failover_state", &"no-failover"),
        ("master_replid", &NO_REPLICATION_ID),
        ("master_replid2", &NO_REPLICATION_ID),
        ("master_repl_offset", &0),
        ("second_repl_offset", &-1),
        ("repl_backlog_active", &0),
        ("repl_backlog_size", &facts.env.config.repl_backlog_size),
        ("repl_backlog_first_byte_offset", &0),
        ("repl_backlog_histlen", &0),
    ]);
}

/// The main thread is, of a Redis, the one that serves: here all reactors are.
pub(super) fn cpu(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    let process = CpuTime::of_process();
    let children = CpuTime::of_children();
    for (of, time) in [("", process), ("_children", children), ("_main_thread", facts.total.cpu)] {
        fields.add(format_args!("used_cpu_sys{of}"), Seconds(time.system));
        fields.add(format_args!("used_cpu_user{of}"), Seconds(time.user));
    }
}

pub(super) fn modules(_: &Facts<'_>, _: &mut Fields<'_>) {}

pub(super) fn cluster(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    fields.add("cluster_enabled", u8::from(facts.env.config.cluster_enabled));
}

pub(super) fn reactors(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    fields.add("reactors", facts.reactors.len());
    for (number, report) in facts.reactors.iter().enumerate() {
        let line = format!(
            "clients={},keys={},memory={},commands={},ops_per_sec={},loops={},busy_usec={},longest_loop_usec={},\
             restarted_transactions={},cpu_sys={},cpu_user={}",
            report.clients,
            report.keys(),
            report.keyspace_memory,
            report.total_commands,
            report.commands_per_second,
            report.loops.count,
            report.loops.busy_us,
            report.loops.longest_us,
            report.counts.transactions_restarted,
            Seconds(report.cpu.system),
            Seconds(report.cpu.user),
        );
        fields.add(format_args!("reactor{number}"), line);
    }
}

pub(super) fn keyspace(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    for (number, db) in facts.total.dbs.iter().enumerate().filter(|(_, db)| db.keys > 0) {
        let (keys, expires, ttl, fields_expire) =
            (db.keys, db.volatile, db.average_ttl_ms, db.with_volatile_fields);
        fields.add(
            format_args!("db{number}"),
            format_args!("keys={keys},expires={expires},avg_ttl={ttl},subexpiry={fields_expire}"),
        );
    }
}

/// Seconds with six decimals.
struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}.{:06}", self.0.as_secs(), self.0.subsec_micros())
    }
}
