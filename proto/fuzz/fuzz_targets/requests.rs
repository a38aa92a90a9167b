//! The request parser against the model of `tests/properties/requests.rs`, on any bytes, cut anywhere.
//!
//! ```text
//! cd proto/fuzz && cargo run --release --bin requests -- -max_total_time=60 -dict=resp.dict
//! ```
//!
//! Coverage-guided, on the stable toolchain: `.cargo/config.toml` asks LLVM for the counters. A
//! failing input is written to `crash-…`; give that name instead of the options to run it again.
//! A fixed run of the same property is in `tests/requests.rs`.

#![no_main]

use bobbin_proto::Limits;
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/properties/requests.rs"]
mod property;

// The first bytes choose the limits and the cuts, the rest is what the client sends.
fuzz_target!(|data: &[u8]| {
    let Some(([flags, cuts @ ..], input)) = data.split_first_chunk::<8>() else {
        return;
    };
    let limits = Limits {
        authenticated: flags & 1 == 0,
        bulk_len_max: if flags & 2 == 0 { 512 << 20 } else { 20 },
        request_len_max: if flags & 4 == 0 { 1 << 30 } else { 200 },
    };
    property::check_requests(input, &[], &limits);
    property::check_requests(input, &cuts.map(usize::from), &limits);
    if flags & 8 != 0 {
        let everywhere: Vec<usize> = (0..input.len()).collect();
        property::check_requests(input, &everywhere, &limits);
    }
});
