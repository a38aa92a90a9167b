//! The wire: RESP2, RESP3 and inline requests in, replies out. No I/O, no `unsafe`.
//!
//! | module   | owns                                                                     |
//! |----------|--------------------------------------------------------------------------|
//! | `parse`  | requests: the incremental, zero-copy parser                              |
//! | `inline` | requests typed by hand: Redis's quoting rules                            |
//! | `quote`  | the way back: words made into a line                                    |
//! | `encode` | replies, and commands as a client sends them                             |
//! | `decode` | replies as a client reads them                                           |
//! | `limits` | what a request may ask of the server                                     |
//! | `error`  | protocol errors, in Redis's words                                        |
//!
//! What must hold is in `tests/properties`, run on fixed inputs by the tests and on new ones by the fuzz
//! targets (`fuzz/fuzz_targets`, on the stable toolchain):
//! `cd proto/fuzz && cargo run --release --bin requests -- -max_total_time=60 -dict=resp.dict`.
//!
//! Source: the RESP specification, and the replies of `redis-server` 7.0.15 where it is silent.

#![forbid(unsafe_code)]

pub mod decode;
mod encode;
mod error;
mod inline;
mod limits;
mod parse;
mod quote;

pub use decode::Value;
pub use encode::{Mark, Reply, Version, encode_command, format_double};
pub use error::{DecodeError, ProtocolError};
pub use inline::split_words;
pub use limits::{BULK_LEN_DEFAULT, Limits, REQUEST_LEN_DEFAULT};
pub use parse::{Parser, Span, Step};
pub use quote::{join_words, quote, quote_if_needed};
