//! What can end a run early, in words for the person at the terminal.

use std::io;
use std::path::PathBuf;

/// Every failure of the crate; the binary prints it and exits with status 1.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot connect to {target}: {source}")]
    Connect { target: String, source: io::Error },
    #[error("the server refused {command}: {reply}")]
    Handshake { command: String, reply: String },
    #[error("the server closed a connection with {in_flight} requests unanswered")]
    Closed { in_flight: usize },
    #[error("the connection failed with {in_flight} requests unanswered: {source}")]
    Broken { in_flight: usize, source: io::Error },
    #[error("no reply for {seconds} s with {in_flight} requests unanswered")]
    Stalled { seconds: u64, in_flight: usize },
    #[error("the server sent bytes that are not RESP: {0}")]
    Protocol(String),
    #[error("the server sent a reply nobody asked for: {0}")]
    Unsolicited(String),
    #[error("the cluster cannot be loaded: {0}")]
    Cluster(String),
    #[error("of {expected} messages to subscribers {arrived} have arrived")]
    Undelivered { arrived: u64, expected: u64 },
    #[error("interrupted")]
    Interrupted,
    #[error("{flag}: {reason}")]
    Flag { flag: &'static str, reason: String },
    #[error("{what}: {source}")]
    System { what: String, source: io::Error },
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{peer} did not answer within {seconds} s; its last words:\n{log}")]
    PeerSilent { peer: String, seconds: u64, log: String },
    #[error("{peer} ended at start-up ({status}):\n{log}")]
    PeerExited { peer: String, status: String, log: String },
    #[error("none of these servers is on PATH or built: {0}")]
    NoPeers(String),
    #[error("{peer}, {workload}: {reason}")]
    Invalid { peer: String, workload: String, reason: String },
}

impl Error {
    pub(crate) fn system(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::System { what: what.into(), source: source.into() }
    }

    pub(crate) fn flag(flag: &'static str, reason: impl Into<String>) -> Self {
        Self::Flag { flag, reason: reason.into() }
    }
}
