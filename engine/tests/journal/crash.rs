//! Crashes: at every change of the disk, again and again, with writes that are short and that fail.

use std::io;

use fastrand::Rng;

use crate::disk::FaultyDisk;
use crate::for_seeds;
use crate::model::{Server, recover, state_at};

/// Recovers; the state is that of a stamp, no earlier than the last that was synced and no later than the last that
/// was written. Returns what is known of the server that goes on.
#[track_caller]
fn check(disk: &FaultyDisk, synced: u64, written: u64) -> bobbin_engine::journal::Recovered {
    let (state, recovered) = recover(disk).unwrap_or_else(|refusal| panic!("{refusal}"));
    let last = recovered.next.0 - 1;
    assert!((synced..=written).contains(&last), "synced {synced}, recovered {last}, written {written}");
    assert!(state == state_at(last), "the state is not that of stamp {last}");
    recovered
}

/// How a server's life ends.
#[derive(Clone, Copy)]
enum Ending {
    Power,
    /// The kernel has all that was written.
    Process,
}

/// A life from one start to the next crash, after so many changes of the disk. The stamps that were synced and
/// written go from one life to the next. Returns how many changes it made.
fn live(disk: &FaultyDisk, rng: &mut Rng, stamps: &mut (u64, u64), changes: u64, ending: Ending) -> u64 {
    const ACTS: usize = 40;
    let recovered = check(disk, stamps.0, stamps.1);
    // A crash may take back what this life has found, if that was not synced.
    let found = recovered.next.0 - 1;
    let before = disk.steps();
    disk.stop_after(changes);
    let mut last = (stamps.0, found.max(stamps.0));
    if let Ok(mut server) = Server::start(disk, recovered, rng.u64(..)) {
        last.0 = server.synced;
        for _ in 0..ACTS {
            let done = server.act(rng);
            last = (server.synced, server.written);
            if done.is_err() {
                break;
            }
        }
    }
    let made = disk.steps() - before;
    match ending {
        Ending::Power => disk.crash(rng),
        Ending::Process => disk.restart(),
    }
    *stamps = last;
    made
}

#[test]
fn an_empty_directory_is_an_empty_state() {
    check(&FaultyDisk::default(), 0, 0);
}

/// The same life, cut off at each of its changes, three times each; then another one.
#[test]
fn a_crash_at_every_point_leaves_a_prefix_with_all_that_was_synced() {
    for_seeds(6, |seed| {
        let life = |changes: u64, crash: u64| {
            let (disk, mut rng, mut stamps) = (FaultyDisk::default(), Rng::with_seed(seed), (0, 0));
            let made = live(&disk, &mut rng, &mut stamps, changes, Ending::Process);
            let mut rng = Rng::with_seed(seed ^ crash << 32);
            disk.crash(&mut rng);
            live(&disk, &mut rng, &mut stamps, 15, Ending::Power);
            check(&disk, stamps.0, stamps.1);
            made
        };
        let all = life(u64::MAX / 2, 1);
        for changes in 0..all {
            for crash in 1..=3 {
                life(changes, crash);
            }
        }
    });
}

/// Lives of any length, one after the other on the same disk, each ended by whatever it is.
#[test]
fn crash_after_crash_leaves_a_prefix_with_all_that_was_synced() {
    for_seeds(400, |seed| {
        let (disk, mut rng, mut stamps) = (FaultyDisk::default(), Rng::with_seed(seed), (0, 0));
        if rng.bool() {
            disk.short_writes(rng.usize(1..100));
        }
        for _ in 0..8 {
            let ending = if rng.bool() { Ending::Power } else { Ending::Process };
            let changes = rng.u64(..120);
            if rng.bool() {
                let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::Other, io::ErrorKind::Interrupted];
                disk.fail_after(rng.u64(..60), *rng.choice(&kinds).unwrap_or(&io::ErrorKind::Other));
            }
            live(&disk, &mut rng, &mut stamps, changes, ending);
        }
        check(&disk, stamps.0, stamps.1);
    });
}
