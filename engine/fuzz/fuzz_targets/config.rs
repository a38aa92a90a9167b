//! Any bytes as a configuration file: refused, or read; and what is written of it reads back the same.
//!
//! ```text
//! cd engine/fuzz && cargo run --release --bin config -- -max_total_time=60 -dict=catalog.dict
//! ```
//!
//! As `rdb` in all else; the fixed run is in `engine/src/config/table_tests.rs`.

#![no_main]

use std::path::Path;

use bobbin_engine::config::load_text;
use libfuzzer_sys::fuzz_target;

/// Whoever includes other files reads what is on this machine.
const INCLUDE: &[u8] = b"include";

fuzz_target!(|input: &[u8]| {
    let (file, includes) = (Path::new("fuzzed"), |word: &[u8]| word.eq_ignore_ascii_case(INCLUDE));
    // Also in pieces of quotes and escapes, which leave nothing of the word to see.
    if input.windows(INCLUDE.len()).any(includes) || input.iter().any(|byte| b"\\\"'".contains(byte)) {
        return;
    }
    if let Ok(loaded) = load_text(file, input) {
        let written = loaded.config.rewritten(file, b"").expect("what was read can be written");
        let mut again = load_text(file, &written).expect("what was written can be read").config;
        again.renamed_commands = loaded.config.renamed_commands.clone();
        assert_eq!(again, loaded.config);
    }
});
