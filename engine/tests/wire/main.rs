//! Tests over the wire, a module per command family: a real server, a real client, and redis-server to compare with.

#[path = "../support/mod.rs"]
mod support;

mod bitmap;
mod client;
mod connection;
mod eviction;
mod expire;
mod hyperloglog;
mod introspect;
mod key;
mod keyspace;
mod memory;
mod monitor;
mod network;
mod scan;
mod string;
