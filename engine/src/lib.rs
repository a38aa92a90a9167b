//! The Bobbin server, without its `main`: see ARCHITECTURE.md beside this crate's manifest.

pub mod check;
pub mod collections;
pub mod command;
pub mod config;
pub mod conn;
pub mod core;
pub mod course;
pub mod errand;
pub mod error;
pub mod ids;
pub mod journal;
pub mod limits;
pub mod loader;
pub mod logging;
pub mod mesh;
pub mod nodes;
pub mod observe;
pub mod pubsub;
pub mod rdb;
pub mod reactor;
pub mod rules;
pub mod server;
pub mod startup;
pub mod store;
pub mod txn;
