//! The reply decoder on any bytes: measuring and building agree, and nothing panics.
//!
//! ```text
//! cd proto/fuzz && cargo run --release --bin replies -- -max_total_time=60 -dict=resp.dict
//! ```
//!
//! As `requests` in all else; the fixed run is in `tests/replies.rs`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/properties/replies.rs"]
mod property;

fuzz_target!(|input: &[u8]| property::check_replies(input));
