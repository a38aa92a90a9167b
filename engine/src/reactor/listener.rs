//! Listening sockets, and what is asked of a socket that they accept.
//!
//! One listening socket per address, shared by all reactors: each accepts from it, and hands the connection to the
//! reactor that has fewest. A reactor's own port (`nodes`) is its alone. With `SO_REUSEPORT` instead, a second server on the same port would go unnoticed, and
//! one reactor would get twice another's connections.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use rustix::net::{getpeername, getsockname, sockopt};

use crate::conn::{Accepted, Endpoints};
use crate::ids::ReactorId;

/// Unacknowledged keep-alive probes before a peer is given up; Redis's number.
const KEEPALIVE_PROBES: u32 = 3;

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    /// Shown as both ends of the connections of a Unix socket.
    path: Option<String>,
    /// The reactor that alone accepts from it, and serves whoever comes.
    owner: Option<ReactorId>,
}

impl Listener {
    /// What is set here, accepted sockets inherit.
    pub fn tcp(socket: &TcpListener, keepalive_s: u32, owner: Option<ReactorId>) -> io::Result<Self> {
        sockopt::set_tcp_nodelay(socket, true)?;
        set_keepalive(socket.as_fd(), keepalive_s)?;
        Ok(Self { socket: socket.try_clone()?.into(), path: None, owner })
    }

    pub fn unix(socket: &UnixListener, path: &Path) -> io::Result<Self> {
        Ok(Self { socket: socket.try_clone()?.into(), path: Some(path.display().to_string()), owner: None })
    }

    pub(super) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Whether a reactor accepts from it.
    pub(super) fn serves(&self, reactor: ReactorId) -> bool {
        self.owner.is_none_or(|owner| owner == reactor)
    }

    /// Who has connected. Fails when the peer is gone already.
    pub(super) fn accepted(&self, socket: BorrowedFd<'_>) -> io::Result<Accepted> {
        let endpoints = match &self.path {
            Some(path) => Endpoints::Unix { path: path.clone() },
            None => Endpoints::Tcp {
                peer: SocketAddr::try_from(getpeername(socket)?.ok_or(io::ErrorKind::NotConnected)?)?,
                local: SocketAddr::try_from(getsockname(socket)?)?,
            },
        };
        Ok(Accepted { fd: socket.as_raw_fd(), endpoints, is_direct: self.owner.is_some() })
    }
}

/// `tcp-keepalive`: probes after that many seconds of silence, and three of them within another third each.
fn set_keepalive(socket: BorrowedFd<'_>, seconds: u32) -> io::Result<()> {
    if seconds == 0 {
        return Ok(());
    }
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, Duration::from_secs(seconds.into()))?;
    sockopt::set_tcp_keepintvl(socket, Duration::from_secs((seconds / KEEPALIVE_PROBES).max(1).into()))?;
    sockopt::set_tcp_keepcnt(socket, KEEPALIVE_PROBES)?;
    Ok(())
}
