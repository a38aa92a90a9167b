//! What parsing a pipeline of SETs and answering it costs:
//!
//! ```text
//! cargo build --release -p bobbin-proto --example hot_path
//! target/release/examples/hot_path                 # nanoseconds per command
//! valgrind --tool=callgrind target/release/examples/hot_path 1000    # instructions
//! ```

use std::hint::black_box;
use std::time::Instant;

use bobbin_proto::{Limits, Parser, Reply, Step, Version, encode_command};

const PIPELINE: usize = 1000;

fn main() {
    let rounds = std::env::args().nth(1).map_or(Ok(20_000), |n| n.parse());
    let rounds: u64 = rounds.expect("a number of rounds");

    let mut input = Vec::new();
    for _ in 0..PIPELINE {
        encode_command(&mut input, ["SET", "key:000000000042", "value:0123456789"]);
    }
    let (mut parser, limits, mut spans) = (Parser::default(), Limits::default(), Vec::new());
    let mut output = Vec::new();
    let start = Instant::now();
    for _ in 0..rounds {
        let mut rest = black_box(&input[..]);
        while let Ok(Step::Command { consumed }) = parser.next(rest, &limits, &mut spans) {
            black_box(&spans);
            rest = &rest[consumed..];
        }
    }
    let parsed = start.elapsed();
    let start = Instant::now();
    for _ in 0..rounds {
        output.clear();
        for _ in 0..PIPELINE {
            Reply::new(&mut output, Version::Resp2).bulk(black_box(b"value:0123456789"));
        }
        black_box(&output);
    }
    let replied = start.elapsed();
    let commands = (rounds * PIPELINE as u64) as f64;
    println!("parse {:.1} ns", parsed.as_nanos() as f64 / commands);
    println!("reply {:.1} ns", replied.as_nanos() as f64 / commands);
}
