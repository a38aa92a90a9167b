//! The sections of INFO that count what was done.

use super::super::{Command, TABLE};
use super::Fields;
use super::facts::Facts;
use crate::observe::CommandCounts;
use crate::pubsub::Topic;

pub(super) fn stats(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    traffic(facts, fields);
    keys(facts, fields);
    topics(facts, fields);
    absent(fields);
    work(facts, fields);
}

fn traffic(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    let counts = &facts.total.counts;
    fields.add_all(&[
        ("total_connections_received", &counts.connections),
        ("total_commands_processed", &facts.total.total_commands),
        ("instantaneous_ops_per_sec", &facts.total.commands_per_second),
        ("total_net_input_bytes", &counts.net_in),
        ("total_net_output_bytes", &counts.net_out),
        ("total_net_repl_input_bytes", &0),
        ("total_net_repl_output_bytes", &0),
        ("instantaneous_input_kbps", &kib(facts.total.in_per_second)),
        ("instantaneous_output_kbps", &kib(facts.total.out_per_second)),
        ("instantaneous_input_repl_kbps", &kib(0)),
        ("instantaneous_output_repl_kbps", &kib(0)),
        ("rejected_connections", &counts.rejected_connections),
        ("sync_full", &0),
        ("sync_partial_ok", &0),
        ("sync_partial_err", &0),
    ]);
}

fn kib(bytes: u64) -> String {
    format!("{:.2}", bytes as f64 / 1024.0)
}

fn keys(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    let shard = &facts.total.shard;
    fields.add_all(&[
        ("expired_keys", &shard.expired),
        ("expired_subkeys", &shard.expired_fields),
        ("expired_stale_perc", &"0.00"),
        ("expired_time_cap_reached_count", &0),
        ("expire_cycle_cpu_milliseconds", &0),
        ("evicted_keys", &shard.evicted),
        ("evicted_clients", &facts.total.counts.evicted_clients),
        ("total_eviction_exceeded_time", &0),
        ("current_eviction_exceeded_time", &0),
        ("keyspace_hits", &shard.hits),
        ("keyspace_misses", &shard.misses),
    ]);
}

fn topics(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    let count = |topic: Topic| facts.total.topics[topic.index()];
    fields.add_all(&[
        ("pubsub_channels", &count(Topic::Channel)),
        ("pubsub_patterns", &count(Topic::Pattern)),
        ("pubsubshard_channels", &count(Topic::ShardChannel)),
    ]);
}

/// Of what is not here.
fn absent(fields: &mut Fields<'_>) {
    fields.add_zeros(&[
        "latest_fork_usec",
        "total_forks",
        "migrate_cached_sockets",
        "slave_expires_tracked_keys",
        "active_defrag_hits",
        "active_defrag_misses",
        "active_defrag_key_hits",
        "active_defrag_key_misses",
        "total_active_defrag_time",
        "current_active_defrag_time",
        "tracking_total_keys",
        "tracking_total_items",
        "tracking_total_prefixes",
        "unexpected_error_replies",
    ]);
}

fn work(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    let total = &facts.total;
    let counts = &total.counts;
    fields.add_all(&[
        ("total_error_replies", &total.errors.total),
        ("dump_payload_sanitizations", &0),
        ("total_reads_processed", &counts.reads),
        ("total_writes_processed", &counts.writes),
        ("io_threaded_reads_processed", &0),
        ("io_threaded_writes_processed", &0),
        ("reply_buffer_shrinks", &0),
        ("reply_buffer_expands", &0),
        ("client_query_buffer_limit_disconnections", &counts.query_limit_disconnections),
        ("client_output_buffer_limit_disconnections", &counts.output_limit_disconnections),
        ("protocol_errors", &counts.protocol_errors),
        ("eventloop_cycles", &total.loops.count),
        ("eventloop_duration_sum", &total.loops.busy_us),
        ("eventloop_duration_cmd_sum", &(total.commands_ns / 1000)),
        ("instantaneous_eventloop_cycles_per_sec", &total.loops_per_second),
        (
            "instantaneous_eventloop_duration_usec",
            &total.loops.busy_us.checked_div(total.loops.count).unwrap_or(0),
        ),
        ("acl_access_denied_auth", &counts.denied_auth),
        ("acl_access_denied_cmd", &0),
        ("acl_access_denied_key", &0),
        ("acl_access_denied_channel", &0),
    ]);
}

/// Every command with its counts.
fn each<'a>(facts: &'a Facts<'_>) -> impl Iterator<Item = (&'static Command, &'a CommandCounts)> {
    TABLE.iter().zip(&facts.total.commands)
}

pub(super) fn commandstats(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    for (row, counts) in each(facts).filter(|(_, counts)| counts.calls + counts.rejected > 0) {
        let us = counts.ns / 1000;
        let line = format!(
            "calls={},usec={us},usec_per_call={:.2},rejected_calls={},failed_calls={}",
            counts.calls,
            counts.ns as f64 / 1000.0 / counts.calls.max(1) as f64,
            counts.rejected,
            counts.failed
        );
        fields.add(format_args!("cmdstat_{}", row.name), line);
    }
}

pub(super) fn errorstats(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    for (code, count) in facts.total.errors.iter() {
        // A code comes from a client where DEBUG ERROR does; it must not look like a field or a section.
        let code = code.replace(['#', ':', '\r', '\n'], "_");
        fields.add(format_args!("errorstat_{code}"), format_args!("count={count}"));
    }
}

pub(super) fn latencystats(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    let percentiles = &facts.env.config.latency_tracking_info_percentiles.0;
    for (row, counts) in each(facts) {
        let Some(latency) = counts.latency.histogram() else { continue };
        let at = |percentile: &f64| {
            let us = latency.value_at_percentile(*percentile) as f64 / 1000.0;
            format!("p{percentile}={us:.3}")
        };
        let values: Vec<_> = percentiles.iter().map(at).collect();
        fields.add(format_args!("latency_percentiles_usec_{}", row.name), values.join(","));
    }
}
