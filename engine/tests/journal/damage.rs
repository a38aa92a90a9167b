//! Damage: what a crash cannot have done is refused and left alone; what it may have done is cut and kept aside.

use std::path::Path;

use bobbin_engine::ids::Stamp;
use bobbin_engine::journal::{
    Cut, Disk as _, FileId, GROUP_HEADER_LEN, Group, JournalFile, Manifest, Refusal,
};

use crate::disk::FaultyDisk;
use crate::model::{Server, batch, recover, state_at};

const SALT: u64 = 0x5A17;

fn name(number: u64) -> String {
    FileId(number).to_string()
}

fn server(disk: &FaultyDisk) -> Server {
    let (_, recovered) = recover(disk).expect("a state");
    Server::start(disk, recovered, SALT).expect("the disk is well")
}

/// Two files of some groups each, all synced.
fn two_files() -> FaultyDisk {
    let disk = FaultyDisk::default();
    let mut server = server(&disk);
    for _ in 0..2 {
        (0..3).for_each(|_| {
            server.write(2).expect("the disk is well");
            server.sync().expect("the disk is well");
        });
        server.rotate().expect("the disk is well");
    }
    disk
}

/// Where the groups of a file begin, and its end.
fn groups(bytes: &[u8]) -> Vec<usize> {
    let mut at = JournalFile::HEADER_LEN as usize;
    let mut all = vec![at];
    while at < bytes.len() {
        let body_len: [u8; 8] = bytes[at + 8..at + 16].try_into().expect("eight bytes");
        at += GROUP_HEADER_LEN + u64::from_le_bytes(body_len) as usize;
        all.push(at);
    }
    all
}

/// A file of one group per element: its batches, and how much of the file it says was durable.
fn file(id: u64, first: u64, groups: &[(&[u64], Durable)]) -> Vec<u8> {
    let disk = FaultyDisk::default();
    let facts = JournalFile { id: FileId(id), first: Stamp(first), salt: SALT, made_ms: 0 };
    facts.create(&disk).expect("the disk is well");
    let mut bytes = disk.bytes(&name(id));
    for (stamps, durable) in groups {
        let mut group = Group::new(Stamp(stamps[0]));
        stamps.iter().for_each(|stamp| group.push(Stamp(*stamp), batch(*stamp).bytes()));
        let at = bytes.len() as u64;
        let durable = if *durable == Durable::All { at } else { JournalFile::HEADER_LEN };
        bytes.extend_from_slice(group.seal(facts.place(at), durable));
    }
    bytes
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Durable {
    All,
    Nothing,
}

use Durable::{All, Nothing};

fn listing(disk: &FaultyDisk, files: &[(u64, u64)]) {
    let listed =
        |&(id, first): &(u64, u64)| bobbin_engine::journal::Listed { id: FileId(id), first: Stamp(first) };
    let manifest = Manifest { snapshot: None, journals: files.iter().map(listed).collect() };
    manifest.store(disk).expect("the disk is well");
}

/// What is made of a file with these bytes, alone and with another behind it, which begins with stamp 7.
fn outcomes(bytes: &[u8]) -> [String; 2] {
    [false, true].map(|has_follower| {
        let disk = FaultyDisk::default();
        disk.put(&name(1), bytes);
        disk.put(&name(2), &file(2, 7, &[(&[7, 8], All)]));
        listing(&disk, if has_follower { &[(1, 1), (2, 7)] } else { &[(1, 1)] });
        match recover(&disk) {
            Ok((state, recovered)) => {
                assert!(state == state_at(recovered.next.0 - 1));
                format!(
                    "{} {}",
                    recovered.next.0 - 1,
                    if recovered.torn.is_some() { "torn" } else { "whole" }
                )
            }
            Err(Refusal::Damaged { path, at, cut, .. }) => {
                assert!(cut.is_some());
                format!("{} at {at}", path.display())
            }
            Err(other) => panic!("{other}"),
        }
    })
}

/// The table, row by row.
#[test]
fn how_a_file_ends_says_what_is_to_be_done() {
    let whole = file(1, 1, &[(&[1, 2], All), (&[3, 4], All), (&[5, 6], All)]);
    let [first, second, third, end] = groups(&whole)[..] else { panic!("three groups") };
    let damage = |at: usize| format!("/faulty/journal-0000000001 at {at}");
    assert_eq!(outcomes(&whole), ["6 whole", "8 whole"]);
    // Cut short, in the header and in the body; and zeros, as a file system may leave them.
    for len in [third + 1, third + GROUP_HEADER_LEN - 1, third + GROUP_HEADER_LEN, end - 1] {
        assert_eq!(outcomes(&whole[..len]), ["4 torn".to_owned(), damage(third)]);
    }
    assert_eq!(outcomes(&[&whole[..third], &[0; 5000]].concat()), ["4 torn".to_owned(), damage(third)]);
    let broken = |at: usize, durable| {
        let mut bytes = file(1, 1, &[(&[1, 2], All), (&[3, 4], durable), (&[5, 6], durable)]);
        bytes[at] ^= 1;
        bytes
    };
    for at in [second, second + 8, second + 20, third - 1] {
        // Neither was synced when the last was written, so the crash may have kept just that.
        assert_eq!(outcomes(&broken(at, Nothing)), ["2 torn".to_owned(), damage(second)]);
        assert_eq!(outcomes(&broken(at, All)), [damage(second), damage(second)]);
    }
    assert_eq!(outcomes(&broken(first, Nothing)), ["0 torn".to_owned(), damage(first)]);
    for stamps in [&[4, 5][..], &[2], &[1, 2]] {
        let out_of_order = file(1, 1, &[(&[1, 2], All), (stamps, All)]);
        assert_eq!(outcomes(&out_of_order), [damage(second), damage(second)]);
    }
}

#[test]
fn a_batch_that_is_no_run_of_commands_is_refused() {
    let facts = JournalFile { id: FileId(1), first: Stamp(1), salt: SALT, made_ms: 0 };
    let disk = FaultyDisk::default();
    facts.create(&disk).expect("the disk is well");
    let mut bytes = disk.bytes(&name(1));
    let mut group = Group::new(Stamp(1));
    group.push(Stamp(1), batch(1).bytes());
    group.push(Stamp(2), b"\x02\x01a");
    bytes.extend_from_slice(group.seal(facts.place(JournalFile::HEADER_LEN), 0));
    let at = format!("/faulty/journal-0000000001 at {}", JournalFile::HEADER_LEN);
    assert_eq!(outcomes(&bytes), [at.clone(), at]);
}

/// A value that has the bytes of a group in it, which says that what is broken was durable: it is believed only with the
/// file's salt, and at its place.
#[test]
fn what_looks_like_a_group_in_a_value_proves_nothing() {
    let facts = JournalFile { id: FileId(1), first: Stamp(1), salt: SALT, made_ms: 0 };
    let disk = FaultyDisk::default();
    facts.create(&disk).expect("the disk is well");
    let header = disk.bytes(&name(1));
    let group_with = |value: &[u8]| {
        let mut outer = bobbin_engine::journal::Batch::default();
        outer.push(0, [b"SET", &b"k0"[..], value].into_iter());
        let mut group = Group::new(Stamp(1));
        group.push(Stamp(1), outer.bytes());
        let mut bytes = [&header[..], group.seal(facts.place(JournalFile::HEADER_LEN), 0)].concat();
        bytes[JournalFile::HEADER_LEN as usize] ^= 1;
        bytes
    };
    let mut inner = Group::new(Stamp(9));
    inner.push(Stamp(9), batch(9).bytes());
    let at = (group_with(&vec![0; inner.len()]).len() - inner.len()) as u64;
    let broken_at = JournalFile::HEADER_LEN;
    let mut outcome = |salt, place| {
        let value = inner.seal(JournalFile { salt, ..facts }.place(place), broken_at + 1).to_vec();
        outcomes(&group_with(&value))[0].clone()
    };
    assert_eq!(outcome(SALT + 1, at), "0 torn");
    assert_eq!(outcome(SALT, at + 1), "0 torn");
    assert_eq!(outcome(SALT, at), format!("/faulty/journal-0000000001 at {broken_at}"));
}

/// Every bit of every file: a state that there was, or none. And none if what is damaged was synced, and something was
/// written after that.
#[test]
fn no_damage_makes_a_state_that_never_was() {
    let disk = two_files();
    let mut server = server(&disk);
    server.snapshot().expect("the disk is well");
    server.write(2).expect("the disk is well");
    server.sync().expect("the disk is well");
    let last_synced = disk.bytes(&name(4)).len();
    server.write(2).expect("the disk is well");
    for file in disk.names().expect("a directory") {
        let bytes = disk.bytes(&file);
        for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let copy = disk.snapshot();
            copy.put(&file, &damaged);
            let is_provable = file != name(4) || at < last_synced;
            match recover(&copy) {
                Ok((state, recovered)) => {
                    assert!(!is_provable, "bit {bit} of byte {at} of {file} is not noticed");
                    assert!(recovered.torn.is_some() && state == state_at(recovered.next.0 - 1));
                }
                Err(Refusal::Damaged { path, .. }) => assert_eq!(path, Path::new("/faulty").join(&file)),
                Err(other) => panic!("{other}"),
            }
        }
    }
}

fn refusal(disk: &FaultyDisk) -> String {
    match recover(disk) {
        Ok(_) => panic!("it is to be refused"),
        Err(refusal) => refusal.to_string(),
    }
}

#[test]
fn what_is_missing_is_named() {
    for number in 1..=3 {
        let disk = two_files();
        disk.remove(&name(number)).expect("it is there");
        let text = refusal(&disk);
        let expected = format!("/faulty/journal-000000000{number} is damaged at byte 0: it is not there.");
        assert!(text.starts_with(&expected), "{text}");
        assert!(text.contains("`bobbin-server check /faulty`"), "{text}");
    }
    let disk = two_files();
    disk.remove(Manifest::NAME).expect("it is there");
    let text = refusal(&disk);
    assert!(
        text.contains("/faulty/manifest is damaged at byte 0: it is not there, and journal-000000000"),
        "{text}"
    );
}

#[test]
fn a_file_in_the_place_of_another_is_refused() {
    let disk = two_files();
    disk.put(&name(2), &disk.bytes(&name(1)));
    assert!(refusal(&disk).contains("journal-0000000002 is damaged at byte 0: it is another file than"));
}

#[test]
fn stamps_between_files_are_not_skipped() {
    let disk = FaultyDisk::default();
    disk.put(&name(1), &file(1, 1, &[(&[1, 2], All)]));
    disk.put(&name(2), &file(2, 4, &[(&[4], All)]));
    listing(&disk, &[(1, 1), (2, 4)]);
    assert!(refusal(&disk).contains("journal-0000000002 is damaged at byte 0: the batches before stamp 4"));
    listing(&disk, &[(2, 4)]);
    assert!(refusal(&disk).contains("journal-0000000002 is damaged at byte 0: the batches before stamp 4"));
}

/// Newer is not damaged: nothing is to be cut.
#[test]
fn files_of_a_later_version_are_refused() {
    let disk = two_files();
    let mut bytes = disk.bytes(&name(2));
    bytes[8] = 3;
    let sealed_len = JournalFile::HEADER_LEN as usize - 4;
    let checksum = crc32c::crc32c(&bytes[..sealed_len]);
    bytes[sealed_len..sealed_len + 4].copy_from_slice(&checksum.to_le_bytes());
    disk.put(&name(2), &bytes);
    let text = refusal(&disk);
    assert!(
        text.starts_with("/faulty/journal-0000000002: it is of format version 3, written by a later"),
        "{text}"
    );
    assert!(matches!(recover(&disk), Err(Refusal::Newer { .. })));
}

/// What is torn is cut when the server goes on, and can be looked at afterwards.
#[test]
fn what_is_torn_is_kept_aside() {
    let disk = two_files();
    let whole = disk.bytes(&name(3));
    disk.put(&name(3), &[&whole[..], b"torn"].concat());
    let (_, mut recovered) = recover(&disk).expect("a crash may leave that");
    let at = whole.len() as u64;
    assert_eq!(recovered.torn, Some(Cut { journal: 2, at, len: 4 }));
    let (facts, _, aside) = recovered.begin(&disk, SALT, 0).expect("the disk is well");
    assert_eq!(aside, [format!("aside-journal-0000000003-{at}")]);
    assert_eq!(disk.bytes(&aside[0]), b"torn");
    assert_eq!(disk.bytes(&name(3)), whole);
    assert_eq!((facts.id, facts.first), (FileId(4), Stamp(13)));
    assert!(recover(&disk).expect("a state").1.torn.is_none());
}

/// Whatever is damaged in the journal: what is whole before it is a state once the rest is put aside.
#[test]
fn what_is_damaged_can_be_cut() {
    for number in 1..=2 {
        let bytes = two_files().bytes(&name(number));
        for at in 0..bytes.len() {
            let disk = two_files();
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            disk.put(&name(number), &damaged);
            let Err(Refusal::Damaged { cut: Some(cut), .. }) = recover(&disk) else {
                panic!("byte {at} of {number}")
            };
            let mut manifest = Manifest::load(&disk).expect("a manifest").expect("a manifest");
            let aside = cut.apply(&disk, &mut manifest).expect("the disk is well");
            let kept: usize = aside.iter().map(|name| disk.bytes(name).len()).sum();
            let (state, recovered) = recover(&disk).expect("a state");
            assert!(recovered.torn.is_none() && state == state_at(recovered.next.0 - 1));
            let left: usize =
                manifest.journals.iter().map(|listed| disk.bytes(&listed.id.to_string()).len()).sum();
            let all: usize = (1..=3).map(|number| two_files().bytes(&name(number)).len()).sum();
            assert_eq!(kept + left, all);
        }
    }
}
