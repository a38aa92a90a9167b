//! Tests over the wire, a module per command family: a real server, a real client, and redis-server to compare with.

#[path = "../support/mod.rs"]
mod support;

mod client;
mod connection;
mod monitor;
mod network;
