//! Commands: a row in the table and a handler for each, one file per family.
//!
//! `spec` says what a row is, `table` joins all rows and finds them by name, `context` and `session` are what
//! handlers are given. Adding a command is one row, one function, one test.

pub mod acl;
pub mod args;
pub mod bitfield;
pub mod bitmap;
pub mod blocking;
pub mod client;
pub mod cluster;
pub mod config;
pub mod connection;
mod context;
pub mod counter;
pub mod debug;
pub mod dump;
mod element;
pub mod expire;
pub mod geo;
pub mod hash;
mod help;
pub mod hyperloglog;
pub mod info;
pub mod introspect;
pub mod key;
pub mod keys_report;
pub mod keyspace;
pub mod latency;
pub mod lcs;
pub mod list;
pub mod list_block;
pub mod list_move;
pub mod lolwut;
mod long_double;
mod member_scan;
pub mod memory;
pub mod monitor;
mod number;
pub mod persistence;
mod pop;
pub mod pubsub;
mod random;
mod reference;
pub mod replication;
pub mod scan;
pub mod scope;
pub mod server;
mod session;
pub mod set;
mod set_options;
pub mod slowlog;
pub mod sort;
pub mod spec;
pub mod stream;
pub mod string;
mod table;
pub mod transaction;
pub mod zset;

pub use args::{Args, OwnedArgs};
pub use context::{Cx, Event, EventClass};
pub use help::help;
pub use reference::reference;
pub use session::Session;
pub use spec::{Command, ConnFn, Merge, Run, ShardFn, WideFn, flag};
pub use table::{TABLE, commands, find, find_any, find_request, find_sub, row, subcommands};
