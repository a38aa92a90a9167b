//! Whether file descriptors and locked memory suffice for the clients, and how many clients fit if not.
//!
//! As in Redis, a low limit on open files lowers `maxclients` and is said in the log; only a limit that leaves no
//! room for a single client stops the start.

use super::Host;
use crate::reactor::LOCKED_BYTES;

/// Log, lock, journal and snapshot files, sockets that listen, and some to spare: Redis keeps as many.
const FILES_RESERVED: u64 = 32;

/// A ring, its wake-up and its share of the rest.
const FILES_PER_REACTOR: u64 = 4;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    #[error(
        "the limit of {files} open files leaves none for clients: {reserved} are needed for the server itself. Raise it: ulimit -n 65536, LimitNOFILE=65536, or docker run --ulimit nofile=65536"
    )]
    NoClients { files: u64, reserved: u64 },
}

/// What the limits allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// The number of clients to run with.
    pub clients: u32,
    /// The most that `maxclients` may be set to.
    pub clients_max: u32,
    pub files_warning: Option<String>,
    pub memory_warning: Option<String>,
}

pub fn fit(host: &Host, clients: u32, reactors: usize) -> Result<Fit, LimitsError> {
    let reserved = FILES_RESERVED + FILES_PER_REACTOR * reactors as u64;
    let files = host.open_files.unwrap_or(u64::MAX);
    let clients_max = u32::try_from(files.saturating_sub(reserved)).unwrap_or(u32::MAX);
    if clients_max == 0 {
        return Err(LimitsError::NoClients { files, reserved });
    }
    let wanted = u64::from(clients) + reserved;
    let files_warning = (clients > clients_max).then(|| {
        format!(
            "maxclients {clients} needs {wanted} open files, but the limit is {files}: maxclients is {clients_max} \
             for now. Raise the limit (ulimit -n {wanted}, LimitNOFILE={wanted}, or docker run --ulimit \
             nofile={wanted}) or set maxclients to {clients_max} or less"
        )
    });
    let memory_warning = memory_warning(host.locked_memory, reactors);
    Ok(Fit { clients: clients.min(clients_max), clients_max, files_warning, memory_warning })
}

fn memory_warning(limit: Option<u64>, reactors: usize) -> Option<String> {
    let needed = LOCKED_BYTES * reactors as u64;
    let limit = limit.filter(|limit| *limit < needed)?;
    let kib = needed.div_ceil(1024);
    Some(format!(
        "{reactors} reactors lock {needed} bytes of memory, but the limit is {limit}: a reactor may fail to start. \
         Raise the limit: ulimit -l {kib}, LimitMEMLOCK={needed}, or docker run --ulimit memlock={needed}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::startup::host::capable;

    #[test]
    fn enough_is_enough() {
        let fit = fit(&capable(), 10_000, 2).unwrap();
        assert_eq!(
            fit,
            Fit { clients: 10_000, clients_max: 19_960, files_warning: None, memory_warning: None }
        );
    }

    #[test]
    fn no_limit_allows_any_number() {
        let host = Host { open_files: None, locked_memory: None, ..capable() };
        assert_eq!(fit(&host, u32::MAX, 64).unwrap().clients, u32::MAX);
    }

    #[test]
    fn few_files_lower_maxclients_and_say_what_to_set() {
        let host = Host { open_files: Some(1024), ..capable() };
        let fit = fit(&host, 10_000, 1).unwrap();
        assert_eq!((fit.clients, fit.clients_max), (988, 988));
        let text = fit.files_warning.unwrap();
        assert!(text.contains("maxclients is 988 for now") && text.contains("ulimit -n 10036"), "{text}");
    }

    #[test]
    fn files_for_no_client_stop_the_start() {
        let host = Host { open_files: Some(36), ..capable() };
        let text = fit(&host, 10, 1).unwrap_err().to_string();
        assert!(text.contains("the limit of 36 open files") && text.contains("ulimit -n 65536"), "{text}");
        assert_eq!(fit(&Host { open_files: Some(37), ..capable() }, 10, 1).unwrap().clients, 1);
    }

    #[test]
    fn little_lockable_memory_is_a_warning() {
        let host = Host { locked_memory: Some(LOCKED_BYTES), ..capable() };
        assert_eq!(fit(&host, 10, 1).unwrap().memory_warning, None);
        let text = fit(&host, 10, 2).unwrap().memory_warning.unwrap();
        assert!(text.contains("ulimit -l 544") && text.contains("the limit is 278528"), "{text}");
    }
}
