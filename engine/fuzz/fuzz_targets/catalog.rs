//! Any bytes as a catalog without its checksum, and as one of its changes: refused, or written as they were read.
//!
//! ```text
//! cd engine/fuzz && cargo run --release --bin catalog -- -max_total_time=60 -dict=catalog.dict
//! ```
//!
//! As `rdb` in all else; the fixed run is in `cluster/tests/catalog.rs`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../../cluster/tests/properties/catalog.rs"]
mod property;

fuzz_target!(|input: &[u8]| {
    property::check_catalog(input);
    property::check_change(input);
});
