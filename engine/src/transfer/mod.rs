//! `bobbin-server export` and `import`: the state of a data directory as a dump file that redis-server loads, and back.
//!
//! ```text
//!  export   snapshot, and the journal after it ─► (one core's memory, if there is a journal) ─► dump.rdb
//!  import   dump.rdb ─► value by value ─► a snapshot, made the state
//! ```
//!
//! | module | owns |
//! |---|---|
//! | `export`, `import` | the two commands |
//! | `databases` | how many there may be, and how many a server needs |
//! | `offline` | the state of a directory in the memory of one core, without a server |
//! | `meter` | what whoever waits is shown |
//! | `stop` | signals that end the work |
//!
//! Invariants:
//! - A file or a state is there whole or not at all, whatever ends the work: a crash, a full disk, a signal.
//! - What is exported is what a start loads of the same files, or the last snapshot. Commands of the journal that fail
//!   are told, and passed over, as by a start whose `propagation-error-behavior` is not `panic`. No file of the state is
//!   changed.
//! - Nothing is overwritten unless that is asked for.
//!
//! An import holds a value at a time and a chunk; an export of a snapshot alone as well. With a journal behind it the
//! whole state has to be in memory, because what the journal changes may be anywhere in it.

mod databases;
mod export;
mod import;
mod meter;
mod offline;
mod stop;

pub use databases::DATABASES_MAX;
pub use export::{Export, ExportError, Exported, Readers, Source};
pub use import::{Import, ImportError, Imported};
pub use meter::Meter;
pub use stop::{Stop, Stopped};
