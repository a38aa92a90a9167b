//! Tests over the wire, a module per command family: a real server, a real client, and redis-server to compare with.

#[path = "../support/mod.rs"]
mod support;

mod acl;
mod bitmap;
mod blocking;
mod client;
mod cluster;
mod config;
mod connection;
mod debug;
mod dump;
mod eviction;
mod expire;
mod geo;
mod hash;
mod hash_expire;
mod hyperloglog;
mod info;
mod introspect;
mod key;
mod keys_report;
mod keyspace;
mod latency;
mod list;
mod memory;
mod metrics;
mod monitor;
mod network;
mod notifications;
mod persistence;
mod pubsub;
mod rdb_file;
mod scan;
mod scope;
mod server;
mod set;
mod slowlog;
mod snapshot;
mod sort;
mod stream;
mod stream_group;
mod string;
mod transaction;
mod transfer;
mod zset;
