//! The journal's files after crashes and damage: what is recovered is a prefix, and has all in it that was synced. The
//! writer, driven as a reactor drives it.
//!
//! A failure names its seed; `BOBBIN_JOURNAL_SEED=n cargo test -p bobbin-engine --test journal` replays it, and
//! `BOBBIN_JOURNAL_SEEDS=n` sets how many are tried.

mod crash;
mod damage;
mod model;
mod writer;

#[path = "../support/disk.rs"]
mod disk;

/// Runs `test` under many seeds, or under the one asked for.
fn for_seeds(count: u64, test: impl Fn(u64) + std::panic::RefUnwindSafe) {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let seeds = match number("BOBBIN_JOURNAL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("BOBBIN_JOURNAL_SEEDS").unwrap_or(count),
    };
    for seed in seeds {
        if let Err(failure) = std::panic::catch_unwind(|| test(seed)) {
            eprintln!("failed with BOBBIN_JOURNAL_SEED={seed}");
            std::panic::resume_unwind(failure);
        }
    }
}
