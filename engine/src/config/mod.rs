//! The server's settings: redis.conf's syntax and names, one typed value per directive.
//!
//! `table` holds the rows, and everything else walks them: `load` reads files and the
//! command line, `runtime` is CONFIG GET and SET, `rewrite` CONFIG REWRITE,
//! `reference` the page of all directives. `kind`, `setting`, `choices`,
//! `words`, `cluster` and `checks` say what values look like; `syntax` says what a line looks like; `limits` gives the store what
//! concerns it.

mod checks;
mod choices;
mod cli;
mod cluster;
mod directive;
mod events;
mod kind;
mod limits;
mod load;
mod reference;
mod rewrite;
mod runtime;
mod setting;
pub mod syntax;
mod table;
mod words;

pub use choices::{
    AppendFsync, EndpointType, LogFormat, LogLevel, LogTimestampFormat, MaxmemoryPolicy, PropagationError,
    ProtectedAction, Supervised,
};
pub use cli::{Arguments, Invocation, USAGE};
pub use cluster::{NodeDeclarations, NodeId, ScopeDeclarations};
pub use directive::{Change, Class, Directive};
pub use kind::{Kind, memory_value};
pub use load::{LoadError, Loaded, Place, load, load_text};
pub use reference::reference;
pub use rewrite::RewriteError;
pub use runtime::{Peer, SetError};
pub use setting::{BadValue, Frequency, MemoryOrPercent, Text};
pub use table::{Config, DIRECTIVES};
pub use words::{
    BindAddress, BindAddresses, CpuList, OutputBufferLimit, OutputBufferLimits, Percentiles, Phrase,
    SavePoint, SavePoints,
};

impl Config {
    /// How the server presents itself: `redis_mode` of INFO.
    pub fn mode(&self) -> &'static str {
        if self.cluster_enabled { "cluster" } else { "standalone" }
    }
}

/// One `rename-command`: the command `from` is known as `to`, or not at all if `to` is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenamedCommand {
    pub from: Text,
    pub to: Text,
}
