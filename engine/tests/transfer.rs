//! `bobbin-server export` and `import`: what is there whatever ends them, and what they refuse.

use std::cell::Cell;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bobbin_engine::ids::Stamp;
use bobbin_engine::journal::{
    Batch, Chunk, Clock, Directory, Disk, DiskFile as _, Files, Group, JournalFile, Manifest, NewSnapshot,
    Refusal, Replay, SnapshotHead,
};
use bobbin_engine::rdb::{Checksum, Compression, FileWriter};
use bobbin_engine::startup::data_dir::DataDir;
use bobbin_engine::store::Entry;
use bobbin_engine::transfer::{
    DATABASES_MAX, Export, ExportError, Import, ImportError, Imported, Meter, Readers, Source, Stop,
};
use proptest::prelude::*;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const SIGINT: i32 = 2;

fn dir() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// All names below a directory, but that of the lock.
fn names(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(names(&path));
        } else if !path.ends_with("bobbin.lock") {
            all.push(path.file_name().expect("a name").to_string_lossy().into_owned());
        }
    }
    all.sort();
    all
}

/// A dump file of texts and numbers in two databases, one with a deadline.
fn dump() -> Vec<u8> {
    let mut file = FileWriter::new(Vec::new(), Compression::On, Checksum::Checked);
    let there = "memory does not fail";
    file.fact("redis-ver", b"7.0.15").expect(there);
    for (database, keys) in [(0, 0..20), (3, 20..30)] {
        file.database(database, 20, 1).expect(there);
        for n in keys {
            let expiry_ms = (n == 7).then_some(4_000_000_000_000);
            let value = format!("value {n} ").repeat(n + 1);
            file.entry(&Entry::string(format!("key {n}").as_bytes(), value.as_bytes(), expiry_ms), None)
                .expect(there);
        }
    }
    file.finish().expect(there)
}

fn put(dir: &TempDir, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join("dump.rdb");
    fs::write(&path, bytes).expect("there is room");
    path
}

fn import_from(file: &Path, dir: &Path, out: impl Write, stop: &Stop) -> Result<Imported, ImportError> {
    let import = Import { file: file.to_owned(), dir: dir.to_owned() };
    import.run(&mut Meter::new(out, false), stop)
}

/// Whether a server would start, with no keys.
fn has_nothing(dir: &Path) -> bool {
    let disk = Directory::new(dir.join("appendonlydir"));
    let mut replay = Replay::open(&disk).expect("a state");
    replay.snapshot().expect("a state").is_none() && replay.next_batch().expect("a state").is_none()
}

fn exporting(dir: &Path, file: &Path) -> Export {
    let (dir, file) = (dir.to_owned(), file.to_owned());
    Export { dir, file, force: false, source: Source::State, readers: Readers::From7_0, databases: 16 }
}

/// Damaged, cut short, or no dump file: it is named with the place, and the directory is as it was.
fn is_refused(bytes: &[u8], data: &TempDir) -> Result<(), TestCaseError> {
    let from = dir();
    let path = put(&from, bytes);
    let error = import_from(&path, data.path(), io::sink(), &Stop::default()).expect_err("it is damaged");
    let ImportError::File { path: named, error: why } = &error else { panic!("{error}") };
    prop_assert_eq!(named, &path);
    prop_assert!(why.at <= bytes.len() as u64);
    let place = format!("{}: at byte {}: ", path.display(), why.at);
    prop_assert!(error.to_string().starts_with(&place), "{}", error);
    prop_assert!(names(data.path()).is_empty());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file_is_refused_and_leaves_nothing(at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut bytes = dump();
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        is_refused(&bytes, &dir())?;
    }

    #[test]
    fn a_file_cut_short_is_refused_and_leaves_nothing(len in any::<prop::sample::Index>()) {
        let bytes = dump();
        is_refused(&bytes[..len.index(bytes.len())], &dir())?;
    }
}

#[test]
fn what_begins_nothing_is_told_with_its_place() {
    let (from, data) = (dir(), dir());
    let path = put(&from, b"REDIS0010\x1a\xff\0\0\0\0\0\0\0\0");
    let error = import_from(&path, data.path(), io::sink(), &Stop::default()).expect_err("no opcode");
    let expected =
        format!("{}: at byte 10: 26 is the type of no value, and begins nothing else", path.display());
    assert_eq!(error.to_string(), expected);
    let error = import_from(Path::new("/no/such"), data.path(), io::sink(), &Stop::default());
    assert!(error.expect_err("no file").to_string().starts_with("can't read /no/such: "));
}

#[test]
fn an_empty_file_is_an_empty_state() {
    let (from, data) = (dir(), dir());
    let file = FileWriter::new(Vec::new(), Compression::On, Checksum::Checked);
    let path = put(&from, &file.finish().expect("memory does not fail"));
    let imported = import_from(&path, data.path(), io::sink(), &Stop::default()).expect("it is whole");
    assert_eq!(imported, Imported::default());
    let back = data.path().join("back.rdb");
    let export = exporting(data.path(), &back);
    let exported = export.run(&mut Meter::new(io::sink(), false), &Stop::default()).expect("it is whole");
    assert_eq!((exported.keys, exported.bytes), (0, fs::metadata(&back).expect("it is there").len()));
}

#[test]
fn data_are_not_overwritten() {
    let (from, data) = (dir(), dir());
    let path = put(&from, &dump());
    let run = || import_from(&path, data.path(), io::sink(), &Stop::default());
    assert_eq!(run().expect("it is whole").keys, 30);
    let before = names(data.path());
    let error = run().expect_err("there are data");
    assert!(matches!(error, ImportError::NotEmpty(_)), "{error}");
    assert_eq!(names(data.path()), before);
    let export = exporting(data.path(), &path);
    let error = export.run(&mut Meter::new(io::sink(), false), &Stop::default()).expect_err("a file");
    assert!(matches!(&error, ExportError::Exists(named) if *named == path), "{error}");
    assert_eq!(fs::read(&path).expect("it is there"), dump());
    let export = Export { force: true, ..export };
    let exported = export.run(&mut Meter::new(io::sink(), false), &Stop::default()).expect("it may");
    assert_eq!((exported.keys, exported.databases), (30, 2));
    assert_ne!(fs::read(&path).expect("it is there"), dump());
    assert_eq!(names(from.path()), ["dump.rdb"]);
    // And what was exported is what was imported.
    let again = dir();
    assert_eq!(import_from(&path, again.path(), io::sink(), &Stop::default()).expect("it is whole").keys, 30);
}

/// What can be imported can be exported.
#[test]
fn an_import_has_no_more_databases_than_an_export() {
    let import = |database: u32| {
        let mut file = FileWriter::new(Vec::new(), Compression::Off, Checksum::Checked);
        file.database(database.into(), 1, 0).expect("memory does not fail");
        file.entry(&Entry::string(b"k", b"v", None), None).expect("memory does not fail");
        let (from, data) = (dir(), dir());
        let path = put(&from, &file.finish().expect("memory does not fail"));
        import_from(&path, data.path(), io::sink(), &Stop::default())
    };
    let said = import(DATABASES_MAX - 1).expect("it is the last").to_string();
    assert_eq!(said, "1 keys in 1 databases; start the server with --databases 1048576 or more");
    let error = import(DATABASES_MAX).expect_err("it is one too many").to_string();
    assert!(error.ends_with(": a key in database 1048576; the last there may be is 1048575"), "{error}");
}

/// A snapshot of nothing, alone or with a journal that has no batches behind it, is no data. The stamp of the new one is
/// above it.
#[test]
fn a_snapshot_of_nothing_is_no_data() {
    for has_journal in [false, true] {
        let (from, data) = (dir(), dir());
        let path = put(&from, &dump());
        let disk = Directory::make(data.path().join("appendonlydir")).expect("a directory");
        save_of(&disk, 1, None);
        if has_journal {
            journal(&data, &[], b"");
        }
        let run = || import_from(&path, data.path(), io::sink(), &Stop::default());
        assert_eq!(run().expect("there are no data").keys, 30);
        assert_eq!(names(data.path()), ["manifest", "snapshot-00000000000000000002"]);
        let mut replay = Replay::open(&disk).expect("a state");
        assert_eq!(replay.snapshot().expect("a state").expect("it has one").tallies().len(), 2);
        assert!(replay.next_batch().expect("a state").is_none());
        assert!(matches!(run(), Err(ImportError::NotEmpty(_))));
    }
    // A batch behind it is data, whatever it leaves.
    let (from, data) = (dir(), dir());
    let path = put(&from, &dump());
    save_of(&Directory::make(data.path().join("appendonlydir")).expect("a directory"), 1, None);
    journal(&data, &["FLUSHALL"], b"");
    let error = import_from(&path, data.path(), io::sink(), &Stop::default()).expect_err("there is a batch");
    assert!(matches!(error, ImportError::NotEmpty(_)), "{error}");
}

/// A directory whose server makes another snapshot just before the first is opened.
struct Overtaken {
    dir: Directory,
    is_next: Cell<bool>,
}

/// Makes a snapshot of one key the state, at this stamp, and removes the one before.
fn save(dir: &Directory, stamp: u64) {
    save_of(dir, stamp, Some(&Entry::string(b"k", stamp.to_string().as_bytes(), None)));
}

fn save_of(dir: &Directory, stamp: u64, entry: Option<&Entry>) {
    let head = SnapshotHead { stamp: Stamp(stamp), made_ms: 0, clock: Clock::None };
    let manifest = Manifest::load(dir).expect("a directory").unwrap_or_default();
    let mut new = NewSnapshot::create(dir, head, Compression::On).expect("there is room");
    if let Some(entry) = entry {
        let mut chunk = Chunk::new(0);
        chunk.push(entry, None);
        new.append(&mut chunk, false).expect("there is room");
    }
    let mut files = Files::new(dir.clone(), manifest);
    new.install(&mut files, None).expect("there is room");
    files.clean().expect("a directory");
}

impl Disk for Overtaken {
    type File = fs::File;

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.dir.names()
    }

    fn create(&self, name: &str) -> io::Result<fs::File> {
        self.dir.create(name)
    }

    fn open(&self, name: &str) -> io::Result<fs::File> {
        if name.starts_with("snapshot") && self.is_next.take() {
            save(&self.dir, 2);
        }
        self.dir.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.dir.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.dir.remove(name)
    }

    fn sync(&self) -> io::Result<()> {
        self.dir.sync()
    }
}

#[test]
fn a_snapshot_that_another_replaces_meanwhile_is_no_damage() {
    let data = dir();
    let dir = Directory::make(data.path()).expect("a directory");
    save(&dir, 1);
    let disk = Overtaken { dir, is_next: Cell::new(true) };
    let (_, snapshot) = Replay::open_snapshot(&disk).expect("there is always one");
    assert_eq!(snapshot.expect("there is one").head().stamp, Stamp(2));
    disk.remove("snapshot-00000000000000000002").expect("it is there");
    assert!(matches!(Replay::open_snapshot(&disk), Err(Refusal::Damaged { .. })));
}

/// Tells to stop as soon as something is said.
struct Interrupting(Stop);

impl Write for Interrupting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.tell(SIGINT);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// More than a chunk, then what a module keeps, which is told, then more.
fn long_dump() -> Vec<u8> {
    let mut file = FileWriter::new(Vec::new(), Compression::Off, Checksum::Ignored);
    file.database(0, 40, 0).expect("memory does not fail");
    let mut rng = fastrand::Rng::with_seed(7);
    for n in 0..40u8 {
        // Nothing that would be compressed.
        let value: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(100_000).collect();
        let entry = Entry::string(&[n], &value, None);
        file.entry(&entry, None).expect("memory does not fail");
    }
    let mut bytes = file.finish().expect("memory does not fail");
    bytes.truncate(bytes.len() - 9);
    bytes.extend(b"\xf7\x81\x3f\x5a\x1b\xc3\x40\x00\x00\x07\x00\x00\x01z\x01z\xff\0\0\0\0\0\0\0\0");
    bytes
}

#[test]
fn an_import_that_is_told_to_stop_leaves_nothing() {
    let (from, data) = (dir(), dir());
    let path = put(&from, &long_dump());
    let stop = Stop::default();
    let error = import_from(&path, data.path(), Interrupting(stop.clone()), &stop).expect_err("it stops");
    assert!(matches!(error, ImportError::Stopped(_)), "{error}");
    assert_eq!(stop.exit_code(), Some(130));
    assert!(names(data.path()).is_empty() && has_nothing(data.path()));
    let imported = import_from(&path, data.path(), io::sink(), &Stop::default()).expect("it is whole");
    assert_eq!(imported.keys, 41);
}

/// A journal of these commands, a batch and a group for each, and then these bytes. Returns its file, and where each
/// group begins.
fn journal(data: &TempDir, commands: &[&str], end: &[u8]) -> (PathBuf, Vec<u64>) {
    let disk = Directory::make(data.path().join("appendonlydir")).expect("a directory");
    let mut recovered = Replay::open(&disk).expect("a state").finish().expect("a state");
    let (facts, file, _) = recovered.begin(&disk, 7, 0).expect("there is room");
    let (mut group, mut at, mut places) = (Group::new(recovered.next), JournalFile::HEADER_LEN, Vec::new());
    for command in commands {
        let mut batch = Batch::default();
        let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
        batch.push(0, words.into_iter());
        group.push(group.next(), batch.bytes());
        let bytes = group.seal(facts.place(at), at);
        file.write_all_at(bytes, at).expect("there is room");
        places.push(at);
        at += bytes.len() as u64;
        group.restart();
    }
    file.write_all_at(end, at).expect("there is room");
    (disk.path().join(facts.id.to_string()), places)
}

/// A journal of one batch, with an end that a crash has torn.
fn torn(data: &TempDir) {
    journal(data, &["SET k v"], b"torn");
}

/// What a start passes over does not stop an export either, and is told with the place of the first. What a start does
/// not know is refused.
#[test]
fn commands_that_fail_are_told_and_passed_over() {
    let (data, to) = (dir(), dir());
    let (path, places) = journal(&data, &["SET k v", "INCR k", "SET l v", "INCR l"], b"");
    let export = exporting(data.path(), &to.path().join("dump.rdb"));
    let mut said = Vec::new();
    let exported = export.run(&mut Meter::new(&mut said, false), &Stop::default()).expect("a start loads it");
    assert_eq!(exported.keys, 2);
    let said = String::from_utf8(said).expect("text");
    let place = format!("{}: in the group at byte {}, of stamp 2: ", path.display(), places[1]);
    assert!(said.contains(&place) && said.contains("again: INCR k: -ERR value is not an integer"), "{said}");
    assert!(said.contains("the first of 2 that fail") && !said.contains("truncate"), "{said}");

    let data = dir();
    let (path, places) = journal(&data, &["SET k v", "NOSUCH k"], b"");
    let export = exporting(data.path(), &to.path().join("other.rdb"));
    let error = export.run(&mut Meter::new(io::sink(), false), &Stop::default()).expect_err("no command");
    let place = format!("{}: in the group at byte {}, of stamp 2: ", path.display(), places[1]);
    assert!(matches!(error, ExportError::Refused(Refusal::Effect { .. })), "{error}");
    assert!(error.to_string().starts_with(&place), "{error}");
    assert_eq!(names(to.path()), ["dump.rdb"]);
}

#[test]
fn an_export_that_is_told_to_stop_leaves_nothing() {
    let (data, to) = (dir(), dir());
    torn(&data);
    let export = exporting(data.path(), &to.path().join("dump.rdb"));
    let stop = Stop::default();
    let error = export.run(&mut Meter::new(Interrupting(stop.clone()), false), &stop).expect_err("it stops");
    assert!(matches!(error, ExportError::Stopped(_)), "{error}");
    assert!(names(to.path()).is_empty());
}

#[test]
fn a_torn_end_is_told_and_left_as_it_is() {
    let (data, to) = (dir(), dir());
    torn(&data);
    let read = || {
        let dir = data.path().join("appendonlydir");
        names(&dir).into_iter().map(|name| fs::read(dir.join(name)).expect("a file")).collect::<Vec<_>>()
    };
    let before = read();
    let export = exporting(data.path(), &to.path().join("dump.rdb"));
    let mut said = Vec::new();
    let exported = export.run(&mut Meter::new(&mut said, false), &Stop::default()).expect("a state");
    assert_eq!(exported.keys, 1);
    let said = String::from_utf8(said).expect("text");
    assert!(said.starts_with("bobbin-server: the end of the journal was torn by a crash"), "{said}");
    assert_eq!(read(), before);
}

/// Somebody who may read the files, and write none of them.
#[test]
fn a_reader_without_the_right_to_write_exports_nothing_while_a_server_runs() {
    const NOBODY: u32 = 65_534;
    let (data, to) = (dir(), dir());
    journal(&data, &["SET k v"], b"");
    let held = DataDir::hold(data.path()).expect("nobody has it");
    let allow = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    allow(&data.path().join("bobbin.lock"), 0o444);
    allow(data.path(), 0o555);
    allow(to.path(), 0o777);
    // Whoever is somebody else may not reach the program where it was built.
    let program = to.path().join("bobbin-server");
    fs::copy(env!("CARGO_BIN_EXE_bobbin-server"), &program).expect("there is room");
    let run = || {
        let mut command = Command::new(&program);
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY);
        }
        let output = command.arg("export").arg(data.path()).arg(to.path().join("dump.rdb")).output();
        let output = output.expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (is_done, said) = run();
    let holder = format!("is in use by process {}.", std::process::id());
    assert!(!is_done && said.contains(&holder), "{said}");
    drop(held);
    let (is_done, said) = run();
    assert!(is_done, "{said}");
    assert_eq!(names(to.path()), ["bobbin-server", "dump.rdb"]);
    allow(data.path(), 0o755);
}

/// The process itself: fed through a pipe, so that the signal comes in the middle. `how`: what `env` is told of signals.
/// Returns its exit code and what it said.
fn import_with(signal: Signal, how: &str, data: &TempDir) -> (Option<i32>, String) {
    let from = dir();
    let pipe = from.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::from(0o600), 0)
        .expect("a pipe");
    let child = Command::new("env")
        .args([how, env!("CARGO_BIN_EXE_bobbin-server"), "import"])
        .args([&pipe, data.path()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    // It opens the pipe once it listens to signals.
    let mut feed = fs::OpenOptions::new().write(true).open(&pipe).expect("it reads");
    let bytes = long_dump();
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    feed.write_all(first).expect("it reads");
    kill_process(Pid::from_child(&child), signal).expect("the child is ours");
    // It may have ended by now.
    let _ = feed.write_all(rest);
    drop(feed);
    let output = child.wait_with_output().expect("the child is ours");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_signal_ends_an_import_as_a_shell_expects() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let data = dir();
        let (code, said) = import_with(signal, "--default-signal", &data);
        assert_eq!(code, Some(128 + signal.as_raw()), "{said}");
        assert!(said.contains("stopped by a signal"), "{said}");
        assert!(names(data.path()).is_empty() && has_nothing(data.path()));
    }
}

#[test]
fn an_import_under_nohup_goes_on_without_its_terminal() {
    let data = dir();
    let (code, said) = import_with(Signal::HUP, "--ignore-signal=HUP", &data);
    assert_eq!(code, Some(0), "{said}");
    assert!(!has_nothing(data.path()));
}
