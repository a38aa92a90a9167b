//! The journal on disk: which files there are, what is in them, and what is made of them after a crash.
//!
//! ```text
//!  dir/                                 the data directory, held by `bobbin.lock` (see `startup::data_dir`)
//!    appendonlydir/                     `appenddirname`
//!      manifest                         which of the files are the state
//!      snapshot-00000000000000001234    all keys as they were at stamp 1234
//!      journal-0000000007               the batches from stamp 1235 on, or from an earlier one
//!      journal-0000000008               those that follow them
//!      snapshot-00000000000000005678.new   one being made; so is any file with that behind its name
//!      aside-journal-0000000006-4242    what was cut off a file from byte 4242 on, kept for whoever wants to look
//! ```
//!
//! | module | owns |
//! |---|---|
//! | `disk` | what the journal asks of a directory and its files; the real one |
//! | `header` | what every file begins with |
//! | `effects` | what commands have done, until the loop iteration ends |
//! | `batch` | the effects of one loop iteration, in bytes |
//! | `group` | batches that are written together |
//! | `writer` | what is to be written and synced, and when |
//! | `file` | journal files: their header, creation |
//! | `files` | the manifest's owner while a server runs: new journal files, snapshots that take the place of older ones |
//! | `snapshot` | snapshot files: chunks of keys, and the footer that makes them whole |
//! | `manifest` | the list of files, replaced whole |
//! | `scan` | one journal file read, and how it ends |
//! | `recover` | all files in order, and what is to be done about how they end |
//! | `cut` | putting aside what is not part of the state |
//! | `varint`, `fixed` | numbers of one to ten bytes, and of four or eight |
//!
//! Invariants:
//! - Stamps are dense: batch `n + 1` follows batch `n`, in the same file or at the beginning of the next.
//! - A file is made durable to its end before the manifest lists the next one, and it has nothing added after that.
//!   Only the last file can end in the middle of something because of a crash.
//! - A file that the manifest lists has its header on disk, or all of it if it is a snapshot. It changes only by
//!   groups added to the last journal file; a snapshot of the same stamp may take its place whole.
//! - The state is the snapshot, if there is one, and all batches after its stamp, up to the end of what is whole.
//!
//! Refused: files of later versions, and damage where a crash cannot have made it. Nothing is changed then.
//!
//! Source: the crash model of Pillai et al., "All file systems are not created equal", OSDI 2014: writes that are not
//! synced may be there in part and in any order, and a name is there when its directory is synced.

mod batch;
mod cut;
mod disk;
mod effects;
mod file;
mod files;
mod fixed;
mod group;
mod header;
mod manifest;
mod recover;
mod scan;
mod snapshot;
mod varint;
mod writer;

pub use batch::{Args, Batch, Command, Commands, MalformedBatch};
pub use cut::Cut;
pub use disk::{Directory, Disk, DiskFile};
pub use effects::Effects;
pub use file::{FileId, JournalFile};
pub use files::Files;
pub use group::{GROUP_HEADER_LEN, Group, GroupHeader, Place};
pub use header::{FORMAT_VERSION, HeaderError};
pub use manifest::{Listed, Manifest, ManifestError, StoreError};
pub use recover::{BatchPlace, Recovered, Refusal, Replay};
pub use snapshot::{
    CHUNK_BYTES, Chunk, ChunkPlace, Clock, Keys, NewSnapshot, Packer, ReadChunk, Snapshot, SnapshotEntry,
    SnapshotError, SnapshotHead, Tally, Totals,
};
pub use writer::{DiskNews, Job, Writer};
