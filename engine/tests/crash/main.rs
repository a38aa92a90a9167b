//! The real server, ended at any moment and started again in its directory with another number of reactors: what was
//! acknowledged is there as far as `appendfsync` promises, and what is there is a prefix of what each client did, with
//! transactions whole.
//!
//! `BOBBIN_CRASH_ROUNDS=n` sets how often it is killed under each policy.

mod files;
mod load;
mod loading;
mod points;
mod policies;
mod stopping;
mod switching;
mod trouble;

#[path = "../support/mod.rs"]
mod support;

/// How often the server is killed under each policy.
fn rounds() -> usize {
    std::env::var("BOBBIN_CRASH_ROUNDS").ok().and_then(|value| value.parse().ok()).unwrap_or(4)
}
