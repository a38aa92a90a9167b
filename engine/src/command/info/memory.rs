//! INFO memory.

use super::facts::Facts;
use super::{Fields, Human};
use crate::allocator;
use crate::observe::process;

pub(super) fn memory(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    usage(facts, fields);
    allocation(facts, fields);
    fields.add_bytes("total_system_memory", process::system_bytes());
    scripts(fields);
    limit(facts, fields);
    fragmentation(facts, fields);
    holders(facts, fields);
}

fn usage(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    let (used, peak) = (facts.used_bytes, facts.peak_bytes);
    let at_start = facts.total.memory_at_start;
    let dataset = (facts.total.keyspace_memory as u64).min(used);
    fields.add_bytes("used_memory", used);
    fields.add_bytes("used_memory_rss", facts.resident_bytes);
    fields.add_bytes("used_memory_peak", peak);
    fields.add_all(&[
        ("used_memory_peak_perc", &Percent::of(used, peak)),
        ("used_memory_overhead", &(used - dataset)),
        ("used_memory_startup", &at_start),
        ("used_memory_dataset", &dataset),
        ("used_memory_dataset_perc", &Percent::of(dataset, used.saturating_sub(at_start).max(dataset))),
    ]);
}

fn allocation(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    fields.add_all(&[
        ("allocator_allocated", &facts.heap.allocated),
        ("allocator_active", &facts.heap.active),
        ("allocator_resident", &facts.heap.resident),
    ]);
}

/// Of what is not here.
fn scripts(fields: &mut Fields<'_>) {
    let human = Human(0);
    fields.add_all(&[
        ("used_memory_lua", &0),
        ("used_memory_vm_eval", &0),
        ("used_memory_lua_human", &human),
        ("used_memory_scripts_eval", &0),
        ("number_of_cached_scripts", &0),
        ("number_of_functions", &0),
        ("number_of_libraries", &0),
        ("used_memory_vm_functions", &0),
        ("used_memory_vm_total", &0),
        ("used_memory_vm_total_human", &human),
        ("used_memory_functions", &0),
        ("used_memory_scripts", &0),
        ("used_memory_scripts_human", &human),
    ]);
}

fn limit(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    fields.add_bytes("maxmemory", facts.env.config.maxmemory);
    fields.add("maxmemory_policy", facts.env.config.maxmemory_policy.as_str());
}

fn fragmentation(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    let heap = facts.heap;
    let rss = facts.resident_bytes;
    for (ratio, bytes, whole, part) in [
        ("allocator_frag_ratio", "allocator_frag_bytes", heap.active, heap.allocated),
        ("allocator_rss_ratio", "allocator_rss_bytes", heap.resident, heap.active),
        ("rss_overhead_ratio", "rss_overhead_bytes", rss, heap.resident),
        ("mem_fragmentation_ratio", "mem_fragmentation_bytes", rss, facts.used_bytes),
    ] {
        fields.add(ratio, format_args!("{:.2}", whole as f64 / part.max(1) as f64));
        fields.add(bytes, whole as i64 - part as i64);
    }
}

/// Who holds memory beside the keys.
fn holders(facts: &Facts<'_>, fields: &mut Fields<'_>) {
    fields.add("mem_not_counted_for_evict", facts.env.shared.saves.recorded());
    fields.add_zeros(&["mem_replication_backlog", "mem_total_replication_buffers", "mem_clients_slaves"]);
    fields.add("mem_clients_normal", facts.total.clients_memory);
    fields.add_zeros(&["mem_cluster_links", "mem_aof_buffer"]);
    fields.add("mem_allocator", allocator::name());
    fields.add_zeros(&["active_defrag_running", "lazyfree_pending_objects", "lazyfreed_objects"]);
}

struct Percent(f64);

impl Percent {
    fn of(part: u64, whole: u64) -> Self {
        Self(part as f64 * 100.0 / whole.max(1) as f64)
    }
}

impl std::fmt::Display for Percent {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:.2}%", self.0)
    }
}
