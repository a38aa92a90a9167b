//! Any bytes as a dump file, without its checksum: refused, or keys that come back when a file is made of them.
//!
//! ```text
//! cd engine/fuzz && cargo run --release --bin rdb_file -- -max_total_time=60 -dict=rdb.dict
//! ```
//!
//! As `rdb` in all else; the fixed run is in `tests/rdb/file.rs`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/properties/rdb.rs"]
mod property;
#[path = "../../tests/properties/rdb_file.rs"]
mod file_property;

fuzz_target!(|input: &[u8]| {
    file_property::check_file(input);
});
