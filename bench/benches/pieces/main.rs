//! What single pieces of the server cost, without sockets: parsing, a command through a core, every encoding of
//! every type, the hop to another core.
//!
//! ```sh
//! cargo bench -p bobbin-bench --bench pieces [-- NAME]      # nanoseconds, by criterion
//! scripts/count-instructions [NAME]                         # instructions, by callgrind: the same on a busy machine
//! ```
//!
//! `--count NAME CALLS` runs a piece and says nothing: it is what the script counts. `--list` names them.

mod core;
mod parts;
mod requests;

use std::hint::black_box;

use criterion::{Criterion, Throughput};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Something to be measured, made ready by `prepare`.
struct Piece {
    name: String,
    /// How many operations one call is.
    operations: u64,
    prepare: Box<dyn Fn() -> Call>,
}

/// Returns something that depends on all it has done.
type Call = Box<dyn FnMut() -> usize>;

fn pieces() -> Vec<Piece> {
    parts::pieces().into_iter().chain(core::pieces()).collect()
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--list"] => pieces().iter().for_each(|piece| println!("{} {}", piece.name, piece.operations)),
        ["--count", name, calls] => count(name, calls.parse().expect("a number of calls")),
        _ => measure(),
    }
}

fn count(name: &str, calls: u64) {
    let pieces = pieces();
    let piece = pieces.iter().find(|piece| piece.name == name).expect("a name that --list knows");
    let mut call = (piece.prepare)();
    (0..calls).for_each(|_| _ = black_box(call()));
}

fn measure() {
    let mut criterion = Criterion::default().configure_from_args();
    for piece in pieces() {
        let mut group = criterion.benchmark_group(&piece.name);
        group.throughput(Throughput::Elements(piece.operations));
        group.bench_function("call", |bencher| {
            let mut call = (piece.prepare)();
            bencher.iter(|| black_box(call()));
        });
        group.finish();
    }
    criterion.final_summary();
}
