//! Any bytes as a value in RDB, a type first: refused, or a value that is whole and comes back when it is written.
//!
//! ```text
//! cd engine/fuzz && cargo run --release --bin rdb -- -max_total_time=60 -dict=rdb.dict
//! ```
//!
//! As `proto/fuzz` in all else; the fixed run is in `tests/rdb/main.rs`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/properties/rdb.rs"]
mod property;

fuzz_target!(|input: &[u8]| {
    property::check_value(input);
});
