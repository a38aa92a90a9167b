//! From a configuration to a server that may run: everything checked, nothing served yet.
//!
//! `host` reads what the machine offers; `kernel`, `limits`, `huge_pages` and `cores` are functions of what it read, so each
//! verdict and each text is tested with values. `data_dir`, `listen` and `pidfile` take hold of what the server
//! keeps for life and let go when dropped. `banner` says what came of it. `state_dir` is for those that look at a
//! directory without a configuration.
//!
//! Invariant: an error or a warning names what was found and the exact remedy.

pub mod banner;
pub mod cores;
pub mod data_dir;
mod host;
mod huge_pages;
pub mod kernel;
pub mod limits;
pub mod listen;
pub mod pidfile;
pub mod state_dir;

use std::sync::Arc;

use crate::config::Config;

pub use host::Host;

/// A reason not to start.
#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    #[error(transparent)]
    Kernel(#[from] kernel::KernelError),
    #[error(transparent)]
    Limits(#[from] limits::LimitsError),
    #[error(transparent)]
    Cores(#[from] cores::CoresError),
    #[error(transparent)]
    DataDir(#[from] data_dir::DataDirError),
    #[error(transparent)]
    Listen(#[from] listen::ListenError),
    #[error(transparent)]
    Pidfile(#[from] pidfile::PidfileError),
}

/// A server about to run. Dropping it lets go of the directory, the sockets and the pidfile.
#[derive(Debug)]
pub struct Ready {
    /// With `dir` made absolute and `maxclients` within what the machine allows.
    pub config: Arc<Config>,
    /// The CPU of each reactor.
    pub cpus: Vec<usize>,
    pub listeners: listen::Listeners,
    pub data_dir: data_dir::DataDir,
    pub pidfile: Option<pidfile::Pidfile>,
    /// What should be put right, in words for the log.
    pub warnings: Vec<String>,
}

/// Checks the machine and takes hold of what the server needs.
pub fn prepare(mut config: Config, host: &Host) -> Result<Ready, StartupError> {
    kernel::check(host)?;
    let cores = cores::plan(&host.affinity, host.cpu_quota, &config)?;
    let limits = limits::fit(host, config.maxclients, cores.cpus.len())?;
    config.maxclients = limits.clients;
    config.maxclients_ceiling = limits.clients_max;
    let data_dir = data_dir::DataDir::open(&config)?;
    config.dir = data_dir.path().into();
    let listeners = listen::Listeners::open(&config, cores.cpus.len())?;
    let pidfile = config.pidfile.path().map(pidfile::Pidfile::create).transpose()?;
    let no_huge_pages = huge_pages::arrange(host, &config);
    let warnings = [cores.warning, limits.files_warning, limits.memory_warning, no_huge_pages];
    Ok(Ready {
        cpus: cores.cpus,
        warnings: warnings.into_iter().flatten().chain(listeners.warnings().iter().cloned()).collect(),
        config: Arc::new(config),
        listeners,
        data_dir,
        pidfile,
    })
}
