//! The directive table: one row per directive, and with it the `Config` type.
//!
//! Reads as `Class Change "name" | "alias" => field: Type, kind, "default", "help";`. A row becomes live by its
//! first word when something starts to read its field. Names, ranges and defaults are those of redis-server 7.0.15
//! (of 7.2 for what it added, and of Valkey 8.1 for log-format and log-timestamp-format); `reactors`, `reactor-cpus`, `node-id`, `node`, `scope`, `scope-history` and
//! `hotkeys-sample-ratio` are Bobbin's, and `bind`, `dir`, `save`, `appendonly` and `disable-thp` have defaults of
//! Bobbin's own.

use super::{
    checks,
    choices::{
        AppendFsync, EndpointType, LogFormat, LogLevel, LogTimestampFormat, MaxmemoryPolicy,
        PropagationError, ProtectedAction, Supervised,
    },
    cluster::{NodeDeclarations, NodeId, ScopeDeclarations},
    directive::{Change, Class, Directive, Field, directives},
    kind::{
        Kind, LONG_MAX, between, checked, checked_words, count, memory, memory_any, positive, seconds,
        signed, text, timed, words,
    },
    setting::{Frequency, MemoryOrPercent, Setting, Text},
    words::{BindAddresses, CpuList, OutputBufferLimits, Percentiles, Phrase, SavePoints, ShutdownFlags},
};
use crate::pubsub::EventClasses;

directives! {
group "Network" {
Live Start "bind" => bind: BindAddresses, words("addresses; `-` before one makes it optional, `*` is every IPv4 and `::*` every IPv6 address"), "127.0.0.1 -::1", "Addresses to listen on.";
Live Start "port" => port: u16, between(0, 65535), "6379", "TCP port; 0 does not listen on TCP.";
Live Start "unixsocket" => unixsocket: Text, text(), "", "Path of a Unix socket to listen on; empty for none.";
Live Start "unixsocketperm" => unixsocketperm: u32, Kind::Octal { max: 0o777 }, "0", "File mode of the Unix socket; 0 leaves it to the umask.";
Live Start "tcp-backlog" => tcp_backlog: i32, count(), "511", "Connections the kernel holds until they are accepted.";
Live Runtime "tcp-keepalive" => tcp_keepalive: i32, seconds(), "300", "Idle time after which the kernel probes a peer; 0 never.";
Live Runtime "timeout" => timeout: i32, seconds(), "0", "Idle time after which a client is disconnected; 0 never.";
Live Runtime "maxclients" => maxclients: u32, between(1, u32::MAX as i128), "10000", "Clients connected at once.";
Live Runtime "protected-mode" => protected_mode: bool, Kind::Bool, "yes", "Refuse clients from other machines while there is no password.";
Live Start "metrics-port" => metrics_port: u16, between(0, 65535), "0", "Port of the page of metrics for Prometheus, at /metrics; 0 for none.";
Live Start "metrics-bind" => metrics_bind: BindAddresses, words("addresses as in bind"), "127.0.0.1", "Addresses that the page of metrics is served on; it asks for no password.";
Inert Start "bind-source-addr" => bind_source_addr: Text, text(), "", "Outgoing connections leave from the address the routing table gives.";
Inert Start "socket-mark-id" => socket_mark_id: u32, between(0, u32::MAX as i128), "0", "Sockets carry no mark.";
}

group "Threads" {
Live Start "reactors" => reactors: usize, between(0, 1024), "0", "Reactor threads, each with its share of the keys; 0 is one per core the process may use.";
Live Start "reactor-cpus" => reactor_cpus: CpuList, checked("CPU numbers such as 0-3,6", |_| Ok(())), "", "CPUs to pin reactors to, in this order; empty: those the process may use.";
Inert Start "io-threads" => io_threads: i32, between(1, 128), "1", "Every reactor does its own input and output: use reactors.";
Inert Start "io-threads-do-reads" => io_threads_do_reads: bool, Kind::Bool, "no", "Every reactor does its own input and output: use reactors.";
Inert Start "server_cpulist" => server_cpulist: Text, text(), "", "Pinning is set by reactor-cpus.";
Inert Start "bio_cpulist" => bio_cpulist: Text, text(), "", "There are no background threads of this kind.";
Inert Start "aof_rewrite_cpulist" => aof_rewrite_cpulist: Text, text(), "", "No process is forked to rewrite the journal.";
Inert Start "bgsave_cpulist" => bgsave_cpulist: Text, text(), "", "No process is forked to save.";
}

group "General" {
Live ProtectedStart "dir" => dir: Text, checked("a directory", checks::not_empty), "./bobbin-data", "Where the data lives; made at start if it does not exist.";
Live Start "databases" => databases: u32, positive(), "16", "Number of databases.";
Live Runtime "loglevel" => loglevel: LogLevel, LogLevel::KIND, "notice", "How much the log says.";
Live Runtime "log-format" => log_format: LogFormat, LogFormat::KIND, "legacy", "Lines as Redis writes them, or names and values (logfmt).";
Live Runtime "log-timestamp-format" => log_timestamp_format: LogTimestampFormat, LogTimestampFormat::KIND, "legacy", "Time in the log: as Redis writes it, ISO 8601, or milliseconds since 1970.";
Live Start "logfile" => logfile: Text, text(), "", "File the log is appended to; empty is standard output.";
Live Start "pidfile" => pidfile: Text, text(), "", "File that holds the process id while the server runs; empty for none.";
Live Start "daemonize" => daemonize: Text, checked("no", checks::stays_in_foreground), "no", "The server stays in the foreground.";
Live Runtime "hz" => hz: Frequency, count(), "10", "How often a second each shard does its periodic work; held between 1 and 500.";
Live Start "always-show-logo" => always_show_logo: bool, Kind::Bool, "no", "Print the banner even where the log is not a terminal.";
Live Runtime "shutdown-timeout" => shutdown_timeout: i32, seconds(), "10", "How long a shutdown waits for replicas and for data on its way to disk.";
Live Runtime "shutdown-on-sigint" => shutdown_on_sigint: ShutdownFlags, words("default, or of save, nosave, now, force"), "default", "A signal shuts the server down as SHUTDOWN does.";
Live Runtime "shutdown-on-sigterm" => shutdown_on_sigterm: ShutdownFlags, words("default, or of save, nosave, now, force"), "default", "A signal shuts the server down as SHUTDOWN does.";
Live Start "supervised" => supervised: Supervised, Supervised::KIND, "no", "Tell systemd when the server is ready and when it stops, and that it is alive where it watches for that; auto: if systemd started it.";
Inert Start "syslog-enabled" => syslog_enabled: bool, Kind::Bool, "no", "The log goes to standard output or logfile.";
Inert Start "syslog-ident" => syslog_ident: Text, text(), "redis", "The log goes to standard output or logfile.";
Inert Start "syslog-facility" => syslog_facility: Text, Kind::Choice(&["user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"]), "local0", "The log goes to standard output or logfile.";
Inert Runtime "crash-log-enabled" => crash_log_enabled: bool, Kind::Bool, "yes", "A panic is always reported.";
Inert Runtime "crash-memcheck-enabled" => crash_memcheck_enabled: bool, Kind::Bool, "yes", "Memory is not tested after a crash.";
Inert Start "set-proc-title" => set_proc_title: bool, Kind::Bool, "yes", "The process keeps its command line.";
Inert Runtime "proc-title-template" => proc_title_template: Text, checked("text with {title} {listen-addr} {server-mode} {port} {tls-port} {unixsocket} {config-file}", checks::title_template), "{title} {listen-addr} {server-mode}", "The process keeps its command line.";
Inert Runtime "ignore-warnings" => ignore_warnings: Text, text(), "", "No warning stops the start.";
Live Start "disable-thp" => disable_thp: bool, Kind::Bool, "no", "Do without huge pages. The server does not fork: they copy nothing, and spare it much time.";
Inert Runtime "oom-score-adj" => oom_score_adj: Text, Kind::Choice(&["no", "yes", "relative", "absolute"]), "no", "The kernel's score is left as it is.";
Inert Runtime "oom-score-adj-values" => oom_score_adj_values: Phrase, checked_words("three integers from -2000 to 2000", checks::oom_scores), "0 200 800", "The kernel's score is left as it is.";
Inert Runtime "dynamic-hz" => dynamic_hz: bool, Kind::Bool, "yes", "Each reactor sleeps when it has nothing to do.";
Inert Runtime "locale-collate" => locale_collate: Text, text(), "", "Strings are compared byte by byte.";
}

group "Security" {
Live Runtime "requirepass" => requirepass: Text, Kind::Secret, "", "Password every client must give; empty for none.";
Live Start "enable-debug-command" => enable_debug_command: ProtectedAction, ProtectedAction::KIND, "no", "Who may use DEBUG.";
Live Start "enable-protected-configs" => enable_protected_configs: ProtectedAction, ProtectedAction::KIND, "no", "Who may set protected directives by CONFIG SET.";
Inert Start "enable-module-command" => enable_module_command: Text, Kind::Choice(&["no", "yes", "local"]), "no", "There are no modules.";
Live Start "aclfile" => aclfile: Text, checked("nothing", checks::no_acl_file), "", "Must be empty: a list of users that is not enforced would open what it closes.";
Inert Runtime "acllog-max-len" => acllog_max_len: u64, between(0, LONG_MAX), "128", "There is no ACL log.";
Inert Runtime "acl-pubsub-default" => acl_pubsub_default: Text, Kind::Choice(&["allchannels", "resetchannels"]), "resetchannels", "There are no users with channel rules.";
}

group "Memory" {
Live Runtime "maxmemory" => maxmemory: u64, memory_any(), "0", "Memory for data over all shards; 0 is no limit.";
Live Runtime "maxmemory-policy" => maxmemory_policy: MaxmemoryPolicy, MaxmemoryPolicy::KIND, "noeviction", "What makes room when maxmemory is reached.";
Live Runtime "maxmemory-samples" => maxmemory_samples: i32, positive(), "5", "Keys looked at to find one to evict.";
Live Runtime "maxmemory-eviction-tenacity" => maxmemory_eviction_tenacity: i32, between(0, 100), "10", "How long one round of eviction may take, from 0 to 100.";
Live Runtime "maxmemory-clients" => maxmemory_clients: MemoryOrPercent, Kind::MemoryOrPercent, "0", "Memory for the buffers of all clients; 0 is no limit.";
Live Runtime "lfu-log-factor" => lfu_log_factor: i32, count(), "10", "How slowly a key's access count grows.";
Live Runtime "lfu-decay-time" => lfu_decay_time: i32, timed(0, i32::MAX as i128, "minutes"), "1", "Time after which an access count falls by one.";
Live Runtime "lazyfree-lazy-eviction" => lazyfree_lazy_eviction: bool, Kind::Bool, "no", "Free evicted values in slices.";
Live Runtime "lazyfree-lazy-expire" => lazyfree_lazy_expire: bool, Kind::Bool, "no", "Free expired values in slices.";
Live Runtime "lazyfree-lazy-server-del" => lazyfree_lazy_server_del: bool, Kind::Bool, "no", "Free values that a command overwrites in slices.";
Live Runtime "lazyfree-lazy-user-del" => lazyfree_lazy_user_del: bool, Kind::Bool, "no", "DEL frees as UNLINK does.";
Live Runtime "lazyfree-lazy-user-flush" => lazyfree_lazy_user_flush: bool, Kind::Bool, "no", "FLUSHALL and FLUSHDB free in slices unless SYNC is given.";
Live Runtime "active-expire-effort" => active_expire_effort: i32, between(1, 10), "1", "How eagerly expired keys are looked for.";
Inert Runtime "activerehashing" => activerehashing: bool, Kind::Bool, "yes", "Tables grow a bounded segment at a time, as writes come.";
Inert Runtime "activedefrag" => activedefrag: bool, Kind::Bool, "no", "Memory is not moved to defragment it.";
Inert Runtime "active-defrag-ignore-bytes" => active_defrag_ignore_bytes: u64, Kind::Memory { min: 1, max: LONG_MAX }, "104857600", "Memory is not moved to defragment it.";
Inert Runtime "active-defrag-threshold-lower" => active_defrag_threshold_lower: i32, between(0, 1000), "10", "Memory is not moved to defragment it.";
Inert Runtime "active-defrag-threshold-upper" => active_defrag_threshold_upper: i32, between(0, 1000), "100", "Memory is not moved to defragment it.";
Inert Runtime "active-defrag-cycle-min" => active_defrag_cycle_min: i32, between(1, 99), "1", "Memory is not moved to defragment it.";
Inert Runtime "active-defrag-cycle-max" => active_defrag_cycle_max: i32, between(1, 99), "25", "Memory is not moved to defragment it.";
Inert Runtime "active-defrag-max-scan-fields" => active_defrag_max_scan_fields: u64, between(1, LONG_MAX), "1000", "Memory is not moved to defragment it.";
Live Runtime "jemalloc-bg-thread" => jemalloc_bg_thread: bool, Kind::Bool, "yes", "Threads of the allocator give free memory back to the system.";
}

group "Clients" {
Live Runtime "proto-max-bulk-len" => proto_max_bulk_len: u64, memory(1024 * 1024), "536870912", "Longest argument of a request, and longest string.";
Live Runtime "client-query-buffer-limit" => client_query_buffer_limit: u64, memory(1024 * 1024), "1073741824", "Request bytes held for one client before it is disconnected.";
Live Runtime "client-output-buffer-limit" => client_output_buffer_limit: OutputBufferLimits, words("<normal|replica|pubsub> <hard> <soft> <seconds>, once or more"), "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", "Reply bytes held for one client before it is disconnected.";
Inert Runtime "tracking-table-max-keys" => tracking_table_max_keys: u64, between(0, LONG_MAX), "1000000", "There is no client-side caching.";
Live Runtime "busy-reply-threshold" | "lua-time-limit" => busy_reply_threshold: i64, timed(0, LONG_MAX, "milliseconds"), "5000", "Time after which a running script lets others be answered BUSY.";
Live Runtime "notify-keyspace-events" => notify_keyspace_events: EventClasses, checked("event classes, of Ag$lshzxeKEtmdn", |_| Ok(())), "", "Events of keys that are said to channels: K and E for the two channels, and classes of events, A for all but m and n.";
}

group "Observability" {
Live Runtime "slowlog-log-slower-than" => slowlog_log_slower_than: i64, timed(-1, LONG_MAX, "microseconds"), "10000", "Commands that ran longer enter the slow log; -1 none, 0 all.";
Live Runtime "slowlog-max-len" => slowlog_max_len: u64, between(0, LONG_MAX), "128", "Entries the slow log keeps.";
Live Runtime "latency-monitor-threshold" => latency_monitor_threshold: i64, timed(0, LONG_MAX, "milliseconds"), "0", "Events that took at least this long are sampled; 0 none.";
Live Runtime "hotkeys-sample-ratio" => hotkeys_sample_ratio: u32, between(0, 1_000_000), "512", "One command in so many has its keys counted for HOTKEYS; 0 counts none.";
Live Runtime "latency-tracking" => latency_tracking: bool, Kind::Bool, "yes", "Keep a histogram of latency per command.";
Live Runtime "latency-tracking-info-percentiles" => latency_tracking_info_percentiles: Percentiles, words("numbers from 0 to 100"), "50 99 99.9", "Percentiles of command latency in INFO.";
}

group "Persistence" {
Live Runtime "appendonly" => appendonly: bool, Kind::Bool, "yes", "Journal every write to disk.";
Live Runtime "appendfsync" => appendfsync: AppendFsync, AppendFsync::KIND, "everysec", "When the journal is made durable: always before a reply, every second, or when the kernel pleases.";
Live Runtime "save" => save: SavePoints, words("<seconds> <changes>, once or more, or \"\""), "", "Snapshot after so many seconds if there were so many changes.";
Inert Start "appendfilename" => appendfilename: Text, checked("a file name", checks::append_file_name), "appendonly.aof", "The journal names its files itself.";
Live Start "appenddirname" => appenddirname: Text, checked("a directory name", checks::append_dir_name), "appendonlydir", "Where in dir the journal is.";
Inert Runtime "no-appendfsync-on-rewrite" => no_appendfsync_on_rewrite: bool, Kind::Bool, "no", "The journal is never rewritten by a forked process.";
Live Runtime "auto-aof-rewrite-percentage" => auto_aof_rewrite_percentage: i32, count(), "100", "By how much the files of the state may have grown since the last snapshot before the next is made; 0 never.";
Live Runtime "auto-aof-rewrite-min-size" => auto_aof_rewrite_min_size: u64, memory(0), "67108864", "Bytes from which on growth is looked at.";
Inert Runtime "aof-load-truncated" => aof_load_truncated: bool, Kind::Bool, "yes", "A torn tail is always cut off and reported.";
Inert Runtime "aof-use-rdb-preamble" => aof_use_rdb_preamble: bool, Kind::Bool, "yes", "Snapshot and journal are separate files.";
Inert Runtime "aof-timestamp-enabled" => aof_timestamp_enabled: bool, Kind::Bool, "no", "The journal is ordered by stamps.";
Inert Runtime "aof-rewrite-incremental-fsync" => aof_rewrite_incremental_fsync: bool, Kind::Bool, "yes", "The journal is never rewritten by a forked process.";
Inert Runtime "aof-disable-auto-gc" => aof_disable_auto_gc: bool, Kind::Bool, "no", "There are no append-only files of Redis's kind.";
Inert Protected "dbfilename" => dbfilename: Text, checked("a file name", checks::file_name), "dump.rdb", "Snapshots name their files themselves.";
Live Runtime "rdbcompression" => rdbcompression: bool, Kind::Bool, "yes", "Compress snapshots, and the longer strings of what DUMP answers.";
Live Runtime "rdb-key-save-delay" => rdb_key_save_delay: i32, signed(), "0", "Microseconds that the thread which writes a snapshot rests after each key; for tests.";
Inert Start "rdbchecksum" => rdbchecksum: bool, Kind::Bool, "yes", "Snapshots always have checksums.";
Live Runtime "rdb-save-incremental-fsync" => rdb_save_incremental_fsync: bool, Kind::Bool, "yes", "Make a snapshot durable every 4 MB while it is written.";
Inert Runtime "rdb-del-sync-files" => rdb_del_sync_files: bool, Kind::Bool, "no", "No dump file is written.";
Live Runtime "stop-writes-on-bgsave-error" => stop_writes_on_bgsave_error: bool, Kind::Bool, "yes", "Refuse writes while snapshots fail, if there are save points.";
Inert Runtime "sanitize-dump-payload" => sanitize_dump_payload: Text, Kind::Choice(&["no", "yes", "clients"]), "no", "Every payload is checked in full.";
}

group "Data structures" {
Live Runtime "hash-max-listpack-entries" | "hash-max-ziplist-entries" => hash_max_listpack_entries: u64, between(0, LONG_MAX), "512", "Fields up to which a hash is kept packed.";
Live Runtime "hash-max-listpack-value" | "hash-max-ziplist-value" => hash_max_listpack_value: u64, memory(0), "64", "Longest field or value that a packed hash holds.";
Live Runtime "set-max-intset-entries" => set_max_intset_entries: u64, between(0, LONG_MAX), "512", "Members up to which a set of integers is kept as an ordered array.";
Live Runtime "set-max-listpack-entries" => set_max_listpack_entries: u64, between(0, LONG_MAX), "128", "Members up to which a set with others than integers is kept packed.";
Live Runtime "set-max-listpack-value" => set_max_listpack_value: u64, between(0, LONG_MAX), "64", "Longest member that a packed set holds.";
Live Runtime "zset-max-listpack-entries" | "zset-max-ziplist-entries" => zset_max_listpack_entries: u64, between(0, LONG_MAX), "128", "Members up to which a sorted set is kept packed.";
Live Runtime "zset-max-listpack-value" | "zset-max-ziplist-value" => zset_max_listpack_value: u64, memory(0), "64", "Longest member that a packed sorted set holds.";
Live Runtime "list-max-listpack-size" | "list-max-ziplist-size" => list_max_listpack_size: i32, signed(), "-2", "How much of a list is kept in one piece: -1 to -5 stand for 4, 8, 16, 32 and 64 KiB, a positive number counts elements.";
Inert Runtime "list-compress-depth" => list_compress_depth: i32, count(), "0", "Lists are not compressed.";
Live Runtime "stream-node-max-bytes" => stream_node_max_bytes: u64, memory(0), "4096", "Bytes of a stream's entries that are kept in one piece; 0 no limit.";
Live Runtime "stream-node-max-entries" => stream_node_max_entries: i64, between(0, LONG_MAX), "100", "Entries of a stream that are kept in one piece; 0 no limit.";
Live Runtime "hll-sparse-max-bytes" => hll_sparse_max_bytes: u64, memory(0), "3000", "Bytes up to which a HyperLogLog stays sparse.";
}

group "Replication" {
Inert Start "replicaof" | "slaveof" => replicaof: Phrase, checked_words("<host> <port>, or no one", checks::primary_address), "", "There is no replication: the server runs alone.";
Inert Runtime "masterauth" => masterauth: Text, Kind::Secret, "", "There is no replication.";
Inert Runtime "masteruser" => masteruser: Text, Kind::Secret, "", "There is no replication.";
Inert Runtime "replica-announce-ip" | "slave-announce-ip" => replica_announce_ip: Text, text(), "", "There is no replication.";
Inert Runtime "replica-announce-port" | "slave-announce-port" => replica_announce_port: u16, between(0, 65535), "0", "There is no replication.";
Inert Runtime "replica-announced" => replica_announced: bool, Kind::Bool, "yes", "There is no replication.";
Inert Runtime "replica-priority" | "slave-priority" => replica_priority: i32, count(), "100", "There is no replication.";
Inert Runtime "replica-read-only" | "slave-read-only" => replica_read_only: bool, Kind::Bool, "yes", "There is no replication.";
Inert Runtime "replica-serve-stale-data" | "slave-serve-stale-data" => replica_serve_stale_data: bool, Kind::Bool, "yes", "There is no replication.";
Inert Runtime "replica-ignore-maxmemory" | "slave-ignore-maxmemory" => replica_ignore_maxmemory: bool, Kind::Bool, "yes", "There is no replication.";
Inert Runtime "replica-lazy-flush" | "slave-lazy-flush" => replica_lazy_flush: bool, Kind::Bool, "no", "There is no replication.";
Inert Runtime "replica-ignore-disk-write-errors" => replica_ignore_disk_write_errors: bool, Kind::Bool, "no", "There is no replication.";
Inert Runtime "min-replicas-to-write" | "min-slaves-to-write" => min_replicas_to_write: i32, count(), "0", "There is no replication.";
Inert Runtime "min-replicas-max-lag" | "min-slaves-max-lag" => min_replicas_max_lag: i32, count(), "10", "There is no replication.";
Inert Runtime "repl-backlog-size" => repl_backlog_size: u64, memory(1), "1048576", "There is no replication.";
Inert Runtime "repl-backlog-ttl" => repl_backlog_ttl: i64, timed(0, LONG_MAX, "seconds"), "3600", "There is no replication.";
Inert Runtime "repl-disable-tcp-nodelay" => repl_disable_tcp_nodelay: bool, Kind::Bool, "no", "There is no replication.";
Inert Runtime "repl-diskless-load" => repl_diskless_load: Text, Kind::Choice(&["disabled", "on-empty-db", "swapdb"]), "disabled", "There is no replication.";
Inert Runtime "repl-diskless-sync" => repl_diskless_sync: bool, Kind::Bool, "yes", "There is no replication.";
Inert Runtime "repl-diskless-sync-delay" => repl_diskless_sync_delay: i32, seconds(), "5", "There is no replication.";
Inert Runtime "repl-diskless-sync-max-replicas" => repl_diskless_sync_max_replicas: i32, count(), "0", "There is no replication.";
Inert Runtime "repl-ping-replica-period" | "repl-ping-slave-period" => repl_ping_replica_period: i32, timed(1, i32::MAX as i128, "seconds"), "10", "There is no replication.";
Inert Runtime "repl-timeout" => repl_timeout: i32, timed(1, i32::MAX as i128, "seconds"), "60", "There is no replication.";
Live Runtime "propagation-error-behavior" => propagation_error_behavior: PropagationError, PropagationError::KIND, "ignore", "A command of the journal that fails when it is done again: panic ends the start, the others tell it and go on. There is no replication.";
}

group "Cluster" {
Live Start "node-id" => node_id: NodeId, checked("a node's name", |_| Ok(())), "", "Which of the nodes this server is.";
Live Start "node" => nodes: NodeDeclarations, words("<name> <host:port>, in a line for each node"), "", "A node: its name, and where clients reach it.";
Live Start "scope" => scopes: ScopeDeclarations, words("<prefix> writer <node> [fallback <node>], in a line for each scope"), "", "Keys with this prefix are written by this node alone, or by the fallback while that is down. SCOPE changes it at run time, and what it has made of it holds until the line is another.";
Live Start "scope-history" => scope_history: usize, between(0, 4096), "32", "Changes of nodes and scopes that are remembered.";
Live Start "cluster-enabled" => cluster_enabled: bool, Kind::Bool, "no", "Shows each reactor as a node of a cluster on a port of its own, so that clients send each key to the core that has it.";
Live Start "cluster-reactor-port" => cluster_reactor_port: u16, between(0, 65535), "0", "Port of the first reactor as a node; the others' follow it. 0 is the one after port.";
Inert Start "cluster-config-file" => cluster_config_file: Text, text(), "nodes.conf", "The nodes are the reactors of one process.";
Inert Runtime "cluster-node-timeout" => cluster_node_timeout: i64, timed(0, LONG_MAX, "milliseconds"), "15000", "The nodes are the reactors of one process.";
Inert Start "cluster-port" => cluster_port: u16, between(0, 65535), "0", "The nodes are the reactors of one process.";
Live Runtime "cluster-announce-ip" => cluster_announce_ip: Text, text(), "", "Address that nodes are shown with; empty: the one that the client has used.";
Live Runtime "cluster-announce-hostname" => cluster_announce_hostname: Text, checked("a host name", checks::host_name), "", "Host name that nodes are shown with.";
Inert Runtime "cluster-announce-human-nodename" => cluster_announce_human_nodename: Text, text(), "", "The nodes are the reactors of one process.";
Live Runtime "cluster-announce-port" => cluster_announce_port: u16, between(0, 65535), "0", "Port that the first reactor is shown with; the others' follow it. 0: the one that it has.";
Inert Runtime "cluster-announce-tls-port" => cluster_announce_tls_port: u16, between(0, 65535), "0", "The nodes are the reactors of one process.";
Inert Runtime "cluster-announce-bus-port" => cluster_announce_bus_port: u16, between(0, 65535), "0", "The nodes are the reactors of one process.";
Live Runtime "cluster-preferred-endpoint-type" => cluster_preferred_endpoint_type: EndpointType, EndpointType::KIND, "ip", "What clients are told to connect to.";
Inert Runtime "cluster-replica-validity-factor" | "cluster-slave-validity-factor" => cluster_replica_validity_factor: i32, count(), "10", "The nodes are the reactors of one process.";
Inert Runtime "cluster-replica-no-failover" | "cluster-slave-no-failover" => cluster_replica_no_failover: bool, Kind::Bool, "no", "The nodes are the reactors of one process.";
Inert Runtime "cluster-migration-barrier" => cluster_migration_barrier: i32, count(), "1", "The nodes are the reactors of one process.";
Inert Runtime "cluster-allow-replica-migration" => cluster_allow_replica_migration: bool, Kind::Bool, "yes", "The nodes are the reactors of one process.";
Inert Runtime "cluster-require-full-coverage" => cluster_require_full_coverage: bool, Kind::Bool, "yes", "The nodes are the reactors of one process.";
Inert Runtime "cluster-allow-reads-when-down" => cluster_allow_reads_when_down: bool, Kind::Bool, "no", "The nodes are the reactors of one process.";
Inert Runtime "cluster-allow-pubsubshard-when-down" => cluster_allow_pubsubshard_when_down: bool, Kind::Bool, "yes", "The nodes are the reactors of one process.";
Inert Runtime "cluster-link-sendbuf-limit" => cluster_link_sendbuf_limit: u64, memory_any(), "0", "The nodes are the reactors of one process.";
}

group "TLS" {
Inert Start "tls-port" => tls_port: u16, between(0, 65535), "0", "There is no TLS: put a proxy that ends it in front.";
Inert Runtime "tls-cert-file" => tls_cert_file: Text, text(), "", "There is no TLS.";
Inert Runtime "tls-key-file" => tls_key_file: Text, text(), "", "There is no TLS.";
Inert Runtime "tls-key-file-pass" => tls_key_file_pass: Text, Kind::Secret, "", "There is no TLS.";
Inert Runtime "tls-client-cert-file" => tls_client_cert_file: Text, text(), "", "There is no TLS.";
Inert Runtime "tls-client-key-file" => tls_client_key_file: Text, text(), "", "There is no TLS.";
Inert Runtime "tls-client-key-file-pass" => tls_client_key_file_pass: Text, Kind::Secret, "", "There is no TLS.";
Inert Runtime "tls-dh-params-file" => tls_dh_params_file: Text, text(), "", "There is no TLS.";
Inert Runtime "tls-ca-cert-file" => tls_ca_cert_file: Text, text(), "", "There is no TLS.";
Inert Runtime "tls-ca-cert-dir" => tls_ca_cert_dir: Text, text(), "", "There is no TLS.";
Inert Runtime "tls-auth-clients" => tls_auth_clients: Text, Kind::Choice(&["no", "yes", "optional"]), "yes", "There is no TLS.";
Inert Runtime "tls-replication" => tls_replication: bool, Kind::Bool, "no", "There is no TLS.";
Inert Runtime "tls-cluster" => tls_cluster: bool, Kind::Bool, "no", "There is no TLS.";
Inert Runtime "tls-protocols" => tls_protocols: Text, text(), "", "There is no TLS.";
Inert Runtime "tls-ciphers" => tls_ciphers: Text, text(), "", "There is no TLS.";
Inert Runtime "tls-ciphersuites" => tls_ciphersuites: Text, text(), "", "There is no TLS.";
Inert Runtime "tls-prefer-server-ciphers" => tls_prefer_server_ciphers: bool, Kind::Bool, "no", "There is no TLS.";
Inert Runtime "tls-session-caching" => tls_session_caching: bool, Kind::Bool, "yes", "There is no TLS.";
Inert Runtime "tls-session-cache-size" => tls_session_cache_size: i32, count(), "20480", "There is no TLS.";
Inert Runtime "tls-session-cache-timeout" => tls_session_cache_timeout: i32, seconds(), "300", "There is no TLS.";
}
}

impl Default for Config {
    fn default() -> Self {
        let mut config = Self::zeroed();
        for row in DIRECTIVES {
            row.reset(&mut config);
        }
        config
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
