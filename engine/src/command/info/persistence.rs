//! The section of INFO about the journal and snapshots.
//!
//! What Redis tells of its copy-on-write memory is told of what a snapshot under way has recorded and has yet to write.

use std::time::Duration;

use super::Fields;
use super::facts::Facts;
use crate::saves::{Reason, Record, State};

pub(super) fn persistence(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    let state = facts.env.shared.saves.state();
    of_walk(facts, &state, fields);
    of_saves(facts, &state, fields);
    of_rewrites(facts, &state, fields);
    if facts.env.config.appendonly {
        of_files(facts, &state, fields);
    }
    if facts.env.is_loading {
        of_loading(facts, fields);
    }
}

/// As in Redis, only while data are loaded.
fn of_loading(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    let loads = &facts.env.shared.loads;
    let (extent, began_ms) = (loads.extent(), loads.began_ms());
    let elapsed = Duration::from_millis(facts.env.now.unix_ms().saturating_sub(began_ms));
    // Redis says one second until it knows.
    let left = if elapsed.as_secs() == 0 { 1 } else { extent.secs_left(elapsed) };
    fields.add_all(&[
        ("loading_start_time", &(began_ms / 1000)),
        ("loading_total_bytes", &extent.total),
        ("loading_rdb_used_mem", &0),
        ("loading_loaded_bytes", &extent.done),
        ("loading_loaded_perc", &format_args!("{:.2}", extent.percent())),
        ("loading_eta_seconds", &left),
    ]);
}

fn of_walk(facts: &Facts<'_>, state: &State, fields: &mut Fields<'_>) {
    let saves = &facts.env.shared.saves;
    let is_running = state.running.is_some();
    let shown = |figure: u64| if is_running { figure } else { 0 };
    let (done, total) = saves.keys();
    let part = if is_running && total > 0 { done as f64 * 100.0 / total as f64 } else { 0.0 };
    fields.add_all(&[
        ("loading", &u8::from(facts.env.is_loading)),
        ("async_loading", &0),
        ("current_cow_peak", &shown(saves.recorded_max())),
        ("current_cow_size", &shown(saves.recorded())),
        ("current_cow_size_age", &0),
        ("current_fork_perc", &format_args!("{part:.2}")),
        ("current_save_keys_processed", &shown(done)),
        ("current_save_keys_total", &shown(total)),
    ]);
}

fn of_saves(facts: &Facts<'_>, state: &State, fields: &mut Fields<'_>) {
    fields.add_all(&[
        ("rdb_changes_since_last_save", &facts.total.shard.changes.saturating_sub(state.saved_changes)),
        ("rdb_bgsave_in_progress", &u8::from(state.is_running(Reason::Save))),
        ("rdb_last_save_time", &(state.saved_ms / 1000)),
        ("rdb_last_bgsave_status", &status(&state.save)),
        ("rdb_last_bgsave_time_sec", &took_s(&state.save)),
        ("rdb_current_bgsave_time_sec", &current_s(facts, state, Reason::Save)),
        ("rdb_saves", &state.save.done),
        ("rdb_last_cow_size", &state.save.waiting_bytes_max),
        ("rdb_last_load_keys_expired", &0),
        ("rdb_last_load_keys_loaded", &facts.env.shared.loads.snapshot_keys()),
    ]);
}

fn of_rewrites(facts: &Facts<'_>, state: &State, fields: &mut Fields<'_>) {
    fields.add_all(&[
        ("aof_enabled", &u8::from(facts.env.config.appendonly)),
        ("aof_rewrite_in_progress", &u8::from(state.is_running(Reason::Rewrite))),
        ("aof_rewrite_scheduled", &u8::from(state.is_rewrite_scheduled)),
        ("aof_last_rewrite_time_sec", &took_s(&state.rewrite)),
        ("aof_current_rewrite_time_sec", &current_s(facts, state, Reason::Rewrite)),
        ("aof_last_bgrewrite_status", &status(&state.rewrite)),
        ("aof_rewrites", &state.rewrite.done),
        ("aof_rewrites_consecutive_failures", &state.rewrite.failures),
        ("aof_last_write_status", &if facts.env.disk_failure.is_some() { "err" } else { "ok" }),
        ("aof_last_cow_size", &state.rewrite.waiting_bytes_max),
        ("module_fork_in_progress", &0),
        ("module_fork_last_cow_size", &0),
    ]);
}

/// As in Redis, only where there is a journal.
fn of_files(facts: &Facts<'_>, state: &State, fields: &mut Fields<'_>) {
    let saves = &facts.env.shared.saves;
    fields.add_all(&[
        ("aof_current_size", &saves.bytes()),
        ("aof_base_size", &state.base_bytes),
        ("aof_pending_rewrite", &0),
        ("aof_buffer_length", &saves.pending_bytes()),
        ("aof_pending_bio_fsync", &0),
        ("aof_delayed_fsync", &0),
    ]);
}

fn status(record: &Record) -> &'static str {
    if record.is_ok { "ok" } else { "err" }
}

/// -1: there was none.
fn took_s(record: &Record) -> i64 {
    record.took_ms.map_or(-1, |ms| (ms / 1000) as i64)
}

/// -1: there is none.
fn current_s(facts: &Facts<'_>, state: &State, reason: Reason) -> i64 {
    let running = state.running.filter(|running| running.reason == reason);
    running.map_or(-1, |running| (facts.env.now.unix_ms().saturating_sub(running.began_ms) / 1000) as i64)
}
