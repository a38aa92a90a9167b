//! `bobbin-server check DIR [--repair]`: the journal of a data directory, looked at and made whole.
//!
//! Every checksum is verified. What is said is what a start would say: whole, torn by a crash (which a start cuts), or
//! damaged. Repairing cuts, again and again until it is whole, and keeps aside what is cut.
//!
//! Refused: a directory that a server runs on. Without `--repair` nothing is changed, not even the lock file made.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::ids::Stamp;
use crate::journal::{
    Cut, Directory, Disk, DiskFile as _, Listed, Manifest, Recovered, Refusal, Replay, SnapshotHead, Tally,
};
use crate::startup::data_dir::{DataDir, DataDirError};
use crate::startup::state_dir::{StateDir, StateDirError};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// As [`StateDir::find`] takes it.
    pub dir: PathBuf,
    pub repair: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error(transparent)]
    Nowhere(#[from] StateDirError),
    #[error(transparent)]
    Dir(#[from] DataDirError),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// What a start would make of the files.
#[derive(Debug)]
enum Outcome {
    Whole(Recovered),
    Torn(Recovered, Cut),
    Refused(Refusal),
}

impl Check {
    /// Says what there is. Returns whether a server would start.
    pub fn run(&self, out: &mut impl Write) -> Result<bool, CheckError> {
        let StateDir { data_dir, path } = StateDir::find(&self.dir)?;
        let _held = self.hold(&data_dir)?;
        let disk = Directory::new(path);
        writeln!(out, "{}", disk.path().display())?;
        let mut looked = Look::at(&disk);
        while let Some(cut) = looked.cut().filter(|_| self.repair) {
            looked.tell_outcome(out)?;
            let mut manifest = looked.manifest;
            for name in cut.apply(&disk, &mut manifest)? {
                writeln!(out, "  put aside: {name}")?;
            }
            looked = Look::at(&disk);
        }
        looked.tell_files(&disk, out)?;
        looked.tell_outcome(out)?;
        Ok(!matches!(looked.outcome, Outcome::Refused(_)))
    }

    fn hold(&self, data_dir: &Path) -> Result<Option<DataDir>, DataDirError> {
        if self.repair { DataDir::hold(data_dir).map(Some) } else { DataDir::hold_if_used(data_dir) }
    }
}

/// All that can be known of the files without changing them.
#[derive(Debug)]
struct Look {
    manifest: Manifest,
    snapshot: Option<(SnapshotHead, Vec<Tally>)>,
    /// Of the batch behind the last that is whole.
    reached: Stamp,
    outcome: Outcome,
}

impl Look {
    fn at(disk: &Directory) -> Self {
        // A manifest that cannot be read lists nothing; the outcome tells why.
        let manifest = Manifest::load(disk).ok().flatten().unwrap_or_default();
        let mut look = Self {
            manifest,
            snapshot: None,
            reached: Stamp(0),
            outcome: Outcome::Whole(Recovered::default()),
        };
        look.outcome = match look.read(disk) {
            Ok(recovered) => match recovered.torn {
                Some(cut) => Outcome::Torn(recovered, cut),
                None => Outcome::Whole(recovered),
            },
            Err(refusal) => Outcome::Refused(refusal),
        };
        look
    }

    fn read(&mut self, disk: &Directory) -> Result<Recovered, Refusal> {
        let mut replay = Replay::open(disk)?;
        self.reached = replay.reached();
        if let Some(snapshot) = replay.snapshot()? {
            let mut buffer = Vec::new();
            for chunk in snapshot.chunks() {
                let keys = snapshot.keys(*chunk, &mut buffer);
                let checked = keys.and_then(|mut keys| keys.try_for_each(|key| key.map(|_| ())));
                checked.map_err(|error| replay.snapshot_refusal(error))?;
            }
            self.snapshot = Some((snapshot.head(), snapshot.tallies().to_vec()));
        }
        loop {
            let next = replay.next_batch().map(|batch| batch.is_some());
            self.reached = replay.reached();
            if !next? {
                return replay.finish();
            }
        }
    }

    /// What is to be cut to have files that are whole.
    fn cut(&self) -> Option<Cut> {
        match &self.outcome {
            Outcome::Torn(_, cut) => Some(*cut),
            Outcome::Refused(Refusal::Damaged { cut, .. }) => *cut,
            Outcome::Whole(_) | Outcome::Refused(_) => None,
        }
    }

    fn tell_outcome(&self, out: &mut impl Write) -> io::Result<()> {
        match &self.outcome {
            Outcome::Whole(recovered) => writeln!(out, "whole, {}", up_to(recovered.next)),
            Outcome::Torn(recovered, cut) => writeln!(
                out,
                "torn: the last {} bytes of {} are no whole group, and were not known to be durable; whole before them, {}. A start cuts them, and keeps them aside",
                cut.len,
                self.manifest.journals[cut.journal].id,
                up_to(recovered.next)
            ),
            Outcome::Refused(refusal) => writeln!(out, "{refusal}"),
        }
    }

    fn tell_files(&self, disk: &Directory, out: &mut impl Write) -> io::Result<()> {
        let mut names = disk.names()?;
        names.sort_unstable();
        for name in names {
            let len = disk.open(&name)?.len()?;
            writeln!(out, "  {name:<40} {len:>14} bytes   {}", self.facts(&name))?;
        }
        Ok(())
    }

    fn facts(&self, name: &str) -> String {
        if name == Manifest::NAME {
            return "which files are the state".into();
        }
        if self.manifest.snapshot_name().is_some_and(|listed| listed == name) {
            return self.snapshot_facts();
        }
        let place = self.manifest.journals.iter().position(|listed| listed.id.to_string() == name);
        match place {
            Some(place) => self.journal_facts(place),
            None if name.starts_with("aside-") => "put aside".into(),
            None => "not part of the state".into(),
        }
    }

    fn snapshot_facts(&self) -> String {
        let Some((head, tallies)) = &self.snapshot else { return "not readable".into() };
        let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
        let (keys, expiring) = (sum(|tally| tally.keys), sum(|tally| tally.expiring));
        format!(
            "{keys} keys in {} databases, {expiring} with an expiry, as of stamp {}",
            tallies.len(),
            head.stamp.0
        )
    }

    fn journal_facts(&self, place: usize) -> String {
        let Listed { first, .. } = self.manifest.journals[place];
        let behind = self.manifest.journals.get(place + 1).map_or(self.reached, |next| next.first);
        match behind.min(self.reached).0.checked_sub(first.0) {
            Some(0) => "no batches".into(),
            Some(count) => format!("{count} batches, stamps {} to {}", first.0, first.0 + count - 1),
            None => "not read".into(),
        }
    }
}

fn up_to(next: Stamp) -> String {
    match next.0 {
        0 | 1 => "and empty".into(),
        next => format!("up to stamp {}", next - 1),
    }
}
