//! Cutting what is not part of the state, and keeping it aside for whoever wants to look.
//!
//! Invariant: nothing is cut that has not been copied, durably, or given another name. After a crash in the middle of
//! it, it is done again: what was copied by then is there twice.

use std::io;

use super::{Disk, DiskFile, Listed, Manifest};

/// What is not part of the state: a journal file from a byte on, and all that follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Its place in the manifest.
    pub journal: usize,
    /// 0 if nothing of it is of use.
    pub at: u64,
    /// How many bytes of the file are beyond that; 0 if it is not there.
    pub len: u64,
}

impl Cut {
    /// Puts aside what is cut, as `aside-` and its name. After a crash in the middle of it, it is done again.
    pub fn apply<D: Disk>(self, disk: &D, manifest: &mut Manifest) -> io::Result<Vec<String>> {
        let mut aside = Vec::new();
        let kept = self.journal + usize::from(self.at > 0);
        let name = manifest.journal_name(self.journal);
        if self.at > 0 {
            let file = disk.open(&name)?;
            aside.push(copy_aside(disk, &name, &file, self.at)?);
        }
        let dropped: Vec<Listed> = manifest.journals.drain(kept.min(manifest.journals.len())..).collect();
        if !dropped.is_empty() {
            manifest.store(disk)?;
        }
        if self.at > 0 {
            let file = disk.open(&name)?;
            file.set_len(self.at)?;
            file.sync()?;
        }
        let names = disk.names()?;
        for name in dropped.iter().map(|listed| listed.id.to_string()).filter(|name| names.contains(name)) {
            let free = free_name(&names, &format!("aside-{name}"));
            disk.rename(&name, &free)?;
            aside.push(free);
        }
        disk.sync()?;
        Ok(aside)
    }
}

/// Copies a file from a byte on, durably. Returns the copy's name.
fn copy_aside<D: Disk>(disk: &D, name: &str, file: &D::File, from: u64) -> io::Result<String> {
    const STEP: usize = 1 << 20;
    let aside = free_name(&disk.names()?, &format!("aside-{name}-{from}"));
    let copy = disk.create(&aside)?;
    let (mut buffer, mut at) = (vec![0; STEP], 0);
    loop {
        let read = file.read_full_at(&mut buffer, from + at)?;
        if read == 0 {
            break;
        }
        copy.write_all_at(&buffer[..read], at)?;
        at += read as u64;
    }
    copy.sync()?;
    disk.sync()?;
    Ok(aside)
}

/// The name, or one with a number behind it.
fn free_name(names: &[String], wanted: &str) -> String {
    let numbered = (1..).map(|number| format!("{wanted}.{number}"));
    let mut all = std::iter::once(wanted.to_owned()).chain(numbered);
    all.find(|name| !names.contains(name)).unwrap_or_default()
}
