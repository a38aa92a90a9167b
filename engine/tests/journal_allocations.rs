//! What the journal's hot path allocates once its buffers have grown: nothing.

use bobbin_engine::ids::Stamp;
use bobbin_engine::journal::{Batch, Chunk, Group, Place};
use bobbin_engine::store::Entry;
use tikv_jemalloc_ctl::thread;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Bytes that this thread allocates in a run, the one before it having grown what it grows.
fn allocated_by(mut run: impl FnMut()) -> u64 {
    let allocated = thread::allocatedp::read().expect("jemalloc counts");
    run();
    let before = allocated.get();
    run();
    allocated.get() - before
}

#[test]
fn batches_and_groups_are_put_together_without_allocating() {
    let (mut batch, mut group) = (Batch::default(), Group::new(Stamp(1)));
    let (key, value) = (*b"key:000000000001", [b'x'; 64]);
    let allocated = allocated_by(|| {
        for at in 0..100 {
            for _ in 0..50 {
                batch.clear();
                batch.push(0, [b"SET", &key[..], &value].into_iter());
                batch.push(1, [b"DEL", &key[..]].into_iter());
                group.push(group.next(), batch.bytes());
            }
            assert!(group.seal(Place { salt: 1, at }, 0).len() > 5000);
            group.restart();
        }
    });
    assert_eq!(allocated, 0);
}

#[test]
fn chunks_are_put_together_without_allocating() {
    let entries = [
        Entry::string(b"text", &[b'x'; 500], Some(1)),
        Entry::integer(b"number", 12, None),
        Entry::string(b"noise", b"8c1f7a09b2e4d6530918273645fedcba", None),
    ];
    let mut chunk = Chunk::new(0);
    let allocated = allocated_by(|| {
        chunk.restart(0);
        while !chunk.is_full() {
            entries.iter().for_each(|entry| chunk.push(entry, Some(7)));
        }
        chunk.seal();
    });
    assert_eq!(allocated, 0);
}
