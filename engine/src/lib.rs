//! The Bobbin server.

pub mod config;
