//! A server of one kind of command, and what its state must be at every stamp.
//!
//! Batch `n` sets a few keys to `n`, so that every stamp has a state of its own, and a state of half a batch is the
//! state of no stamp.

use std::collections::BTreeMap;
use std::io;

use bobbin_engine::config::Config;
use bobbin_engine::ids::Stamp;
use bobbin_engine::journal::{
    Batch, Chunk, Clock, DiskFile, Files, Group, JournalFile, Recovered, Refusal, Replay, SnapshotHead,
    Totals,
};
use bobbin_engine::rdb::Limits;
use bobbin_engine::store::Entry;
use fastrand::Rng;

use crate::disk::{FaultyDisk, FaultyFile};

pub(crate) type State = BTreeMap<(u32, Vec<u8>), Vec<u8>>;

const NOW_MS: u64 = 1_700_000_000_000;

fn limits() -> Limits {
    Config::default().value_limits(&mut Rng::with_seed(1))
}

/// What the batch with this stamp sets.
fn writes(stamp: u64) -> impl Iterator<Item = ((u32, Vec<u8>), Vec<u8>)> {
    let mut rng = Rng::with_seed(stamp);
    let count = rng.u8(1..4);
    (0..count).map(move |_| {
        let key = (rng.u32(..3), format!("k{}", rng.u8(..8)).into_bytes());
        (key, [format!("v{stamp}").as_bytes(), &vec![b'.'; rng.usize(..60)]].concat())
    })
}

pub(crate) fn batch(stamp: u64) -> Batch {
    let mut batch = Batch::default();
    for ((database, key), value) in writes(stamp) {
        batch.push(database, [b"SET", &key[..], &value].into_iter());
    }
    batch
}

/// The state when all batches up to this stamp have been run.
pub(crate) fn state_at(stamp: u64) -> State {
    (1..=stamp).flat_map(writes).collect()
}

/// What a directory has in it, read as a server does.
pub(crate) fn recover(disk: &FaultyDisk) -> Result<(State, Recovered), Refusal> {
    let mut replay = Replay::open(disk)?;
    let mut state = State::new();
    if let Some(snapshot) = replay.snapshot()? {
        let mut buffer = Vec::new();
        for chunk in snapshot.chunks() {
            let keys = snapshot.keys(*chunk, &mut buffer).map_err(|error| replay.snapshot_refusal(error))?;
            for key in keys {
                let key = key.map_err(|error| replay.snapshot_refusal(error))?;
                let entry = key.entry(&limits()).expect("the chunk's checksum is right");
                let bobbin_engine::store::Value::Bytes(value) = entry.value() else { panic!("a string") };
                state.insert((key.database, key.key.to_vec()), value.to_vec());
            }
        }
    }
    while let Some((_, batch)) = replay.next_batch()? {
        for command in bobbin_engine::journal::Commands::of(batch) {
            let command = command.expect("the batch has been looked at");
            let args: Vec<&[u8]> = command.args.collect();
            let [b"SET", key, value] = args[..] else { panic!("a command of the test") };
            state.insert((command.database, key.to_vec()), value.to_vec());
        }
    }
    Ok((state, replay.finish()?))
}

/// A server that writes batches, syncs, begins new files and takes snapshots.
pub(crate) struct Server {
    files: Files<FaultyDisk>,
    facts: JournalFile,
    file: FaultyFile,
    at: u64,
    durable: u64,
    group: Group,
    /// The last stamp that was given to the disk, and the last that is known to be on it.
    pub(crate) written: u64,
    pub(crate) synced: u64,
}

impl Server {
    /// On a directory that has been recovered.
    pub(crate) fn start(disk: &FaultyDisk, mut recovered: Recovered, salt: u64) -> io::Result<Self> {
        let (facts, file, _aside) = recovered.begin(disk, salt, NOW_MS)?;
        let (at, last) = (JournalFile::HEADER_LEN, recovered.next.0 - 1);
        let group = Group::new(recovered.next);
        let mut files = Files::new(disk.clone(), recovered.manifest);
        files.clean()?;
        Ok(Self { files, facts, file, at, durable: at, group, written: last, synced: last })
    }

    /// One group of so many batches.
    pub(crate) fn write(&mut self, batches: u64) -> io::Result<()> {
        for _ in 0..batches {
            self.written += 1;
            self.group.push(Stamp(self.written), batch(self.written).bytes());
        }
        let bytes = self.group.seal(self.facts.place(self.at), self.durable);
        self.file.write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        self.group.restart();
        Ok(())
    }

    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        (self.durable, self.synced) = (self.at, self.written);
        Ok(())
    }

    /// Goes on in a new file.
    pub(crate) fn rotate(&mut self) -> io::Result<()> {
        self.sync()?;
        let (next, salt) = (Stamp(self.written + 1), self.facts.salt.wrapping_mul(31));
        let (facts, file) = self.files.make_journal(next, salt, NOW_MS)?;
        self.files.list_journal(&facts)?;
        (self.file, self.facts, self.at, self.durable) =
            (file, facts, JournalFile::HEADER_LEN, JournalFile::HEADER_LEN);
        Ok(())
    }

    /// Of all that has been written, whether it is synced or not.
    pub(crate) fn snapshot(&mut self) -> io::Result<()> {
        let head = SnapshotHead { stamp: Stamp(self.written), made_ms: NOW_MS, clock: Clock::None };
        let file = head.create(self.files.disk())?;
        let (mut bytes, mut totals, mut chunk) = (head.bytes(), Totals::default(), Chunk::new(0));
        let state: Vec<_> = state_at(self.written).into_iter().collect();
        for keys in state.chunk_by(|a, b| a.0.0 == b.0.0).flat_map(|keys| keys.chunks(3)) {
            chunk.restart(keys[0].0.0);
            keys.iter().for_each(|((_, key), value)| chunk.push(&Entry::bytes(key, value, None), None));
            bytes.extend_from_slice(chunk.seal());
            totals.add(chunk.tally());
        }
        bytes.extend(totals.footer());
        file.write_all_at(&bytes, 0)?;
        self.files.install(&head, &file, None)?;
        self.synced = self.written;
        self.files.clean().map(drop)
    }

    /// Whatever comes to mind.
    pub(crate) fn act(&mut self, rng: &mut Rng) -> io::Result<()> {
        match rng.u8(..12) {
            0 => self.rotate(),
            1 => self.snapshot(),
            2..=4 => self.sync(),
            _ => self.write(rng.u64(1..4)),
        }
    }
}
