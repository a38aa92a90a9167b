//! The ring of the null server, with the slots of its connections.
//!
//! Invariant: a slot's inbox is lent to the kernel from [`Ring::answer`] until its completion is
//! returned by [`Ring::wait`], and nobody else looks at it meanwhile.

#![allow(unsafe_code, reason = "the ring takes raw addresses")]

use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use io_uring::squeue::{Entry, Flags};
use io_uring::{IoUring, cqueue, opcode, types};

use crate::{Error, interrupt};

/// Bytes of requests a connection may have sent and not had answered.
pub(super) const INBOX_LEN: usize = 256 * 1024;
pub(super) const REPLY: &[u8; 5] = b"+OK\r\n";
/// Replies in one send.
pub(super) const REPLIES_MAX: usize = 4096;

const ENTRIES: u32 = 4096;
const ACCEPT: u64 = u64::MAX;
/// The send's only completion is its failure, which the receive linked to it reports as its own.
const SEND: u64 = u64::MAX - 1;

/// All a connection is ever sent.
static REPLIES: [[u8; REPLY.len()]; REPLIES_MAX] = [*REPLY; REPLIES_MAX];

pub(super) struct Ring {
    uring: IoUring,
    listener: TcpListener,
    slots: Vec<Slot>,
    free: Vec<usize>,
}

struct Slot {
    socket: Option<OwnedFd>,
    /// Never freed, so that the kernel may write into it whatever becomes of the ring.
    inbox: &'static mut [u8],
    len: usize,
}

pub(super) enum Completion {
    Accepted(usize),
    Received(usize),
}

impl Ring {
    pub(super) fn new(listener: TcpListener) -> Result<Self, Error> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .build(ENTRIES)
            .map_err(|source| Error::system("cannot set up io_uring", source))?;
        let mut this = Self { uring, listener, slots: Vec::new(), free: Vec::new() };
        this.accept()?;
        Ok(this)
    }

    /// Submits what was pushed and waits for completions; none if a signal came instead.
    pub(super) fn wait(&mut self) -> Result<Vec<Completion>, Error> {
        match self.uring.submit_and_wait(1) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            result => {
                result.map_err(|source| Error::system("io_uring_enter", source))?;
            }
        }
        let entries: Vec<cqueue::Entry> = self.uring.completion().collect();
        let mut completions = Vec::with_capacity(entries.len());
        for entry in entries {
            match entry.user_data() {
                ACCEPT => completions.extend(self.accepted(&entry)?),
                SEND => {}
                slot => completions.extend(self.received_more(slot as usize, entry.result())),
            }
        }
        Ok(completions)
    }

    /// What has arrived on the connection and not been consumed.
    pub(super) fn received(&self, slot: usize) -> &[u8] {
        &self.slots[slot].inbox[..self.slots[slot].len]
    }

    /// Drops the first `len` bytes received.
    pub(super) fn consume(&mut self, slot: usize, len: usize) {
        let slot = &mut self.slots[slot];
        slot.inbox.copy_within(len..slot.len, 0);
        slot.len -= len;
    }

    /// Sends `replies` replies, then receives again.
    pub(super) fn answer(&mut self, index: usize, replies: usize) -> Result<(), Error> {
        let slot = &mut self.slots[index];
        let Some(socket) = &slot.socket else { return Ok(()) };
        let fd = types::Fd(socket.as_raw_fd());
        let room = &mut slot.inbox[slot.len..];
        let receive =
            opcode::Recv::new(fd, room.as_mut_ptr(), room.len() as u32).build().user_data(index as u64);
        if replies == 0 {
            return self.push(&[receive]);
        }
        let bytes = REPLIES[..replies].as_flattened();
        let send = opcode::Send::new(fd, bytes.as_ptr(), bytes.len() as u32)
            .flags(
                rustix::net::SendFlags::NOSIGNAL.bits() as i32
                    | rustix::net::RecvFlags::WAITALL.bits() as i32,
            )
            .build()
            .flags(Flags::IO_LINK | Flags::SKIP_SUCCESS)
            .user_data(SEND);
        self.push(&[send, receive])
    }

    /// Forgets the connection; nothing of it may be under way.
    pub(super) fn close(&mut self, slot: usize) {
        self.slots[slot].socket = None;
        self.slots[slot].len = 0;
        self.free.push(slot);
    }

    fn accept(&mut self) -> Result<(), Error> {
        let fd = types::Fd(self.listener.as_raw_fd());
        self.push(&[opcode::AcceptMulti::new(fd).build().user_data(ACCEPT)])
    }

    fn accepted(&mut self, entry: &cqueue::Entry) -> Result<Option<Completion>, Error> {
        if !cqueue::more(entry.flags()) {
            self.accept()?;
        }
        if entry.result() < 0 {
            return Ok(None);
        }
        // SAFETY:
        // - A result that is not negative is a descriptor the kernel has just opened for us.
        // - Each is reported once, so nothing else owns it.
        let socket = unsafe { OwnedFd::from_raw_fd(entry.result()) };
        // Otherwise a small reply waits until the one before it is acknowledged.
        rustix::net::sockopt::set_tcp_nodelay(&socket, true)
            .map_err(|errno| Error::system("cannot set TCP_NODELAY", errno))?;
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                socket: None,
                inbox: Box::leak(vec![0; INBOX_LEN].into_boxed_slice()),
                len: 0,
            });
            self.slots.len() - 1
        });
        self.slots[index].socket = Some(socket);
        Ok(Some(Completion::Accepted(index)))
    }

    fn received_more(&mut self, slot: usize, result: i32) -> Option<Completion> {
        if result <= 0 {
            self.close(slot);
            return None;
        }
        self.slots[slot].len += result as usize;
        Some(Completion::Received(slot))
    }

    fn push(&mut self, chain: &[Entry]) -> Result<(), Error> {
        loop {
            // SAFETY:
            // - Every entry's buffer is static: `REPLIES`, or an inbox that is never freed.
            // - An inbox is in one entry at a time: its slot is answered only once its receive completed.
            // - Every descriptor is owned by the ring's listener or slot, and a slot's is closed only when
            //   its chain has completed.
            match unsafe { self.uring.submission().push_multiple(chain) } {
                Ok(()) => return Ok(()),
                Err(_) if interrupt::requested() => return Err(Error::Interrupted),
                Err(_) => self.uring.submit().map_err(|source| Error::system("io_uring_enter", source))?,
            };
        }
    }
}
