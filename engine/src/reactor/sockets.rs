//! The sockets of one reactor: descriptors, and what is in flight on each.
//!
//! A socket's seat has the index of its connection. The descriptor is closed, and the connection forgotten, only
//! when nothing is in flight: a completion never meets a reused descriptor or seat.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use crate::ids::ConnId;

/// One socket.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) conn: ConnId,
    fd: OwnedFd,
    /// A receive is in flight.
    pub(super) receiving: bool,
    /// The core wants no more input for now.
    pub(super) paused: bool,
    /// Bytes being sent, and how many of them are out.
    pub(super) sending: Option<(Vec<u8>, usize)>,
    /// Nothing more is wanted of it; it goes when nothing is in flight.
    pub(super) closing: bool,
}

impl Socket {
    pub(super) fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Ends the connection both ways: what is in flight completes.
    pub(super) fn shut_down(&mut self) {
        self.closing = true;
        let _ = rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Both);
    }

    pub(super) fn in_flight(&self) -> bool {
        self.receiving || self.sending.is_some()
    }
}

#[derive(Debug, Default)]
pub(super) struct Sockets(Vec<Option<Socket>>);

impl Sockets {
    pub(super) fn seat(&mut self, conn: ConnId, fd: OwnedFd) -> &mut Socket {
        let index = conn.index as usize;
        if index >= self.0.len() {
            self.0.resize_with(index + 1, || None);
        }
        let socket = Socket { conn, fd, receiving: false, paused: false, sending: None, closing: false };
        self.0[index].insert(socket)
    }

    #[inline]
    pub(super) fn find(&mut self, index: u32) -> Option<&mut Socket> {
        self.0.get_mut(index as usize)?.as_mut()
    }

    /// Closes a socket with nothing in flight.
    pub(super) fn remove(&mut self, index: u32) {
        if let Some(seat) = self.0.get_mut(index as usize) {
            *seat = None;
        }
    }
}
