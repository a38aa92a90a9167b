//! `bobbin-server check`: what it says of a directory, what it ends with, and what it changes.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use bobbin_engine::ids::Stamp;
use bobbin_engine::journal::{
    Batch, Chunk, Clock, Directory, Disk as _, DiskFile as _, Group, JournalFile, Replay, SnapshotHead,
    Totals,
};
use bobbin_engine::startup::data_dir::DataDir;
use bobbin_engine::store::Entry;
use tempfile::TempDir;

const JOURNAL: &str = "appendonlydir/journal-0000000001";
const SECOND: &str = "appendonlydir/journal-0000000002";

fn check(arguments: &[&str]) -> (bool, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_bobbin-server"))
        .arg("check")
        .args(arguments)
        .output()
        .expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).expect("text"))
}

fn path(dir: &TempDir) -> &str {
    dir.path().to_str().expect("a path that is text")
}

/// Begins a new file and writes groups of two batches into it.
fn write(disk: &Directory, groups: u64) {
    let mut recovered = Replay::open(disk).expect("a state").finish().expect("a state");
    let (facts, file, _) = recovered.begin(disk, 7, 0).expect("there is room");
    let (mut group, mut at) = (Group::new(recovered.next), JournalFile::HEADER_LEN);
    for _ in 0..groups {
        for _ in 0..2 {
            let mut batch = Batch::default();
            batch.push(0, [&b"SET"[..], b"k", b"v"].into_iter());
            group.push(group.next(), batch.bytes());
        }
        let bytes = group.seal(facts.place(at), at);
        file.write_all_at(bytes, at).expect("there is room");
        at += bytes.len() as u64;
        group.restart();
    }
    file.sync().expect("there is room");
}

/// Two files with six batches each.
fn data_dir() -> (TempDir, Directory) {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Directory::make(dir.path().join("appendonlydir")).expect("a directory");
    write(&disk, 3);
    write(&disk, 3);
    (dir, disk)
}

/// A snapshot at stamp 8, of two keys.
fn save(disk: &Directory) {
    let head = SnapshotHead { stamp: Stamp(8), made_ms: 0, clock: Clock::None };
    let file = head.create(disk).expect("there is room");
    let (mut chunk, mut totals) = (Chunk::new(0), Totals::default());
    chunk.push(&Entry::string(b"a", b"b", None), None);
    chunk.push(&Entry::string(b"c", b"d", Some(1)), None);
    totals.add(chunk.tally());
    let bytes = [head.bytes(), chunk.seal().to_vec(), totals.footer()].concat();
    file.write_all_at(&bytes, 0).expect("there is room");
    head.install(disk, &file).expect("there is room");
    let mut manifest = Replay::open(disk).expect("a state").manifest().clone();
    manifest.set_snapshot(head.stamp);
    manifest.store(disk).expect("there is room");
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("a file");
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("there is room");
}

/// All names and bytes below a directory.
fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(contents(&path));
        } else {
            all.push((path.display().to_string(), fs::read(&path).expect("a file")));
        }
    }
    all.sort();
    all
}

#[test]
fn files_that_are_whole_are_told() {
    let (dir, disk) = data_dir();
    save(&disk);
    fs::write(dir.path().join("appendonlydir/other"), b"x").expect("there is room");
    let before = contents(dir.path());
    for asked in [path(&dir), disk.path().to_str().expect("text")] {
        let (starts, text) = check(&[asked]);
        assert!(starts, "{text}");
        for part in [
            "appendonlydir\n",
            "manifest ",
            "snapshot-00000000000000000008 ",
            "2 keys in 1 databases, 1 with an expiry, as of stamp 8\n",
            "journal-0000000001 ",
            "not part of the state\n",
            "journal-0000000002 ",
            "6 batches, stamps 7 to 12\n",
            "\nwhole, up to stamp 12\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn a_torn_tail_is_told_and_cut_if_asked_for() {
    let (dir, _) = data_dir();
    let (file, mut bytes) = (dir.path().join(SECOND), fs::read(dir.path().join(SECOND)).expect("a file"));
    let whole = bytes.clone();
    bytes.extend(b"torn");
    fs::write(&file, &bytes).expect("there is room");
    let (starts, text) = check(&[path(&dir)]);
    assert!(
        starts && text.contains("torn: the last 4 bytes of journal-0000000002 are no whole group"),
        "{text}"
    );
    assert_eq!(fs::read(&file).expect("a file"), bytes);
    let (starts, text) = check(&[path(&dir), "--repair"]);
    let aside = format!("aside-journal-0000000002-{}", whole.len());
    assert!(starts && text.contains(&format!("put aside: {aside}\n")), "{text}");
    assert!(text.ends_with("\nwhole, up to stamp 12\n"), "{text}");
    assert_eq!(fs::read(&file).expect("a file"), whole);
    assert_eq!(fs::read(dir.path().join("appendonlydir").join(aside)).expect("a file"), b"torn");
}

#[test]
fn damage_is_told_and_cut_if_asked_for() {
    let (dir, disk) = data_dir();
    flip(&dir.path().join(JOURNAL), JournalFile::HEADER_LEN as usize + 80);
    let before = contents(dir.path());
    let (starts, text) = check(&[path(&dir)]);
    let expected = format!("{} is damaged at byte ", disk.path().join("journal-0000000001").display());
    assert!(!starts && text.contains(&expected), "{text}");
    assert!(text.contains(&format!("`bobbin-server check {}`", disk.path().display())), "{text}");
    assert!(text.contains("2 batches, stamps 1 to 2\n") && text.contains("not read\n"), "{text}");
    assert_eq!(contents(dir.path()), before);
    let (starts, text) = check(&["--repair", path(&dir)]);
    assert!(starts, "{text}");
    assert!(text.contains("put aside: aside-journal-0000000001-"), "{text}");
    assert!(text.contains("put aside: aside-journal-0000000002\n"), "{text}");
    assert!(text.ends_with("\nwhole, up to stamp 2\n"), "{text}");
    assert!(check(&[path(&dir)]).0);
}

/// A snapshot has nothing that could be cut.
#[test]
fn a_damaged_snapshot_is_not_repaired() {
    let (dir, disk) = data_dir();
    save(&disk);
    flip(&dir.path().join("appendonlydir/snapshot-00000000000000000008"), SnapshotHead::LEN as usize + 30);
    let before = contents(disk.path());
    for arguments in [&[path(&dir)][..], &[path(&dir), "--repair"]] {
        let (starts, text) = check(arguments);
        assert!(
            !starts && text.contains("the checksum of a chunk is wrong. Nothing has been changed."),
            "{text}"
        );
        assert!(!text.contains("--repair"), "{text}");
    }
    assert_eq!(contents(disk.path()), before);
}

#[test]
fn a_directory_in_use_is_left_alone() {
    let (dir, disk) = data_dir();
    let held = DataDir::hold(dir.path()).expect("nobody has it");
    for asked in [path(&dir), disk.path().to_str().expect("text")] {
        let (starts, text) = check(&[asked]);
        assert!(!starts && text.contains(&format!("is in use by process {}", std::process::id())), "{text}");
    }
    drop(held);
    assert!(check(&[path(&dir)]).0);
}

#[test]
fn what_has_no_journal_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let (starts, text) = check(&[path(&dir)]);
    assert!(!starts && text.contains("there is no journal in "), "{text}");
    let (starts, text) = check(&[]);
    assert!(!starts && text.contains("bobbin-server check DIR [--repair]"), "{text}");
}
