//! The ring of one reactor: what it submits, and that nothing it submits is lost.
//!
//! Needs Linux 6.1 (`SINGLE_ISSUER`, `DEFER_TASKRUN`). A full submission queue is submitted and tried again; what
//! still finds no place waits in a backlog and goes first the next time: no receive, send or wake is ever dropped.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::buffers::{self, Buffers, GROUP};
use super::token::Token;

/// Entries of the submission queue: more than one loop iteration of a busy reactor submits.
const SUBMISSIONS: u32 = 2048;
/// Entries of the completion queue: multishot operations complete more than once.
const COMPLETIONS: u32 = 8192;

/// What the kernel locks for a ring, and from 6.14 on counts against the limit on locked memory: the queues, their
/// heads, and the list of receive buffers, each in pages of its own.
pub const LOCKED_BYTES: u64 = {
    let submissions = SUBMISSIONS as usize * size_of::<squeue::Entry>();
    let heads = PAGE;
    let indices = SUBMISSIONS as usize * size_of::<u32>();
    let completions = COMPLETIONS as usize * size_of::<cqueue::Entry>();
    let buffers = buffers::ENTRIES_LEN.next_multiple_of(PAGE);
    (submissions + heads + indices + completions + buffers) as u64
};
const PAGE: usize = 4096;

/// A ring with its receive buffers.
pub(super) struct Ring {
    io: IoUring,
    pub(super) buffers: Buffers,
    backlog: VecDeque<squeue::Entry>,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring")
            .field("fd", &self.fd())
            .field("backlog", &self.backlog.len())
            .finish_non_exhaustive()
    }
}

/// A completion, copied out of the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Completion {
    pub(super) token: Token,
    pub(super) result: i32,
    pub(super) flags: u32,
}

impl Completion {
    /// The operation goes on: it is multishot and not over.
    pub(super) fn more(&self) -> bool {
        cqueue::more(self.flags)
    }

    /// The receive buffer that was filled.
    pub(super) fn buffer(&self) -> Option<u16> {
        cqueue::buffer_select(self.flags)
    }

    /// The result, or the error it stands for.
    pub(super) fn outcome(&self) -> io::Result<usize> {
        usize::try_from(self.result).map_err(|_| io::Error::from_raw_os_error(-self.result))
    }
}

impl Ring {
    /// Makes the ring of the calling thread, which alone may use it.
    pub(super) fn new() -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        let buffers = Buffers::register(&ring.submitter())?;
        Ok(Self { io: ring, buffers, backlog: VecDeque::new() })
    }

    pub(super) fn fd(&self) -> RawFd {
        self.io.as_raw_fd()
    }

    /// Accepts connections of a listener until told otherwise.
    pub(super) fn accept(&mut self, listener: RawFd, token: Token) {
        let entry = opcode::AcceptMulti::new(Fd(listener)).flags(libc::SOCK_CLOEXEC).build();
        self.push(entry, token);
    }

    /// Receives from a socket into the ring's buffers until told otherwise.
    pub(super) fn receive(&mut self, socket: RawFd, token: Token) {
        self.push(opcode::RecvMulti::new(Fd(socket), GROUP).build(), token);
    }

    /// Sends bytes, all of them if the peer lets them through.
    ///
    /// # Safety
    /// `bytes` must stay where they are, unchanged, until the completion of `token` has come.
    pub(super) unsafe fn send(&mut self, socket: RawFd, bytes: &[u8], token: Token) {
        let len = bytes.len().min(SEND_LEN_MAX) as u32;
        let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
        self.push(opcode::Send::new(Fd(socket), bytes.as_ptr(), len).flags(flags).build(), token);
    }

    /// Writes bytes to a file, all of them or some.
    ///
    /// # Safety
    /// `bytes` must stay where they are, unchanged, until the completion of `token` has come.
    pub(super) unsafe fn write(&mut self, file: RawFd, bytes: &[u8], at: u64, token: Token) {
        let len = bytes.len().min(SEND_LEN_MAX) as u32;
        self.push(opcode::Write::new(Fd(file), bytes.as_ptr(), len).offset(at).build(), token);
    }

    /// Makes what has been written to a file durable.
    pub(super) fn sync(&mut self, file: RawFd, token: Token) {
        let entry = opcode::Fsync::new(Fd(file)).flags(io_uring::types::FsyncFlags::DATASYNC).build();
        self.push(entry, token);
    }

    /// Ends an operation; it completes with an error.
    pub(super) fn cancel(&mut self, token: Token) {
        let entry = opcode::AsyncCancel2::new(CancelBuilder::user_data(token.to_bits())).build();
        self.push(entry, Token::Cancel);
    }

    /// Completes once when a descriptor can be read.
    pub(super) fn poll_readable(&mut self, fd: RawFd, token: Token) {
        self.push(opcode::PollAdd::new(Fd(fd), libc::POLLIN as u32).build(), token);
    }

    /// Wakes the reactor that owns another ring.
    pub(super) fn wake(&mut self, ring: RawFd) {
        let entry = opcode::MsgRingData::new(Fd(ring), 0, Token::Wake.to_bits(), None).build();
        self.push(entry.flags(squeue::Flags::SKIP_SUCCESS), Token::Cancel);
    }

    fn push(&mut self, entry: squeue::Entry, token: Token) {
        let entry = entry.user_data(token.to_bits());
        if !self.backlog.is_empty() || !self.try_push(&entry) {
            self.backlog.push_back(entry);
        }
    }

    /// Puts an entry into the queue; submits the queue once if it is full.
    fn try_push(&mut self, entry: &squeue::Entry) -> bool {
        for last_try in [false, true] {
            // SAFETY: what the entry points to stays valid until it completes: it points to nothing but the bytes
            // of a send or a write, whose callers have promised it, and to the buffer ring, which `self` owns.
            let pushed = unsafe { self.io.submission().push(entry) };
            if pushed.is_ok() {
                return true;
            }
            if last_try || self.io.submit().is_err() {
                break;
            }
        }
        false
    }

    fn push_backlog(&mut self) {
        while let Some(entry) = self.backlog.pop_front() {
            if !self.try_push(&entry) {
                self.backlog.push_front(entry);
                return;
            }
        }
    }

    /// Submits what is queued and takes in what has happened, without waiting.
    pub(super) fn submit(&mut self) -> io::Result<()> {
        self.push_backlog();
        passing(self.io.submit())
    }

    /// Submits what is queued and waits for something to happen, at most until `timeout` is over.
    pub(super) fn submit_and_wait(&mut self, timeout: Duration) -> io::Result<()> {
        self.push_backlog();
        if !self.backlog.is_empty() {
            return passing(self.io.submit());
        }
        let timeout = Timespec::from(timeout);
        passing(self.io.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&timeout)))
    }

    /// Moves up to `most` completions into `into`.
    pub(super) fn reap(&mut self, into: &mut Vec<Completion>, most: usize) {
        into.extend(self.io.completion().take(most).map(|entry| Completion {
            token: Token::from_bits(entry.user_data()),
            result: entry.result(),
            flags: entry.flags(),
        }));
    }

    /// Whether completions are left to reap.
    pub(super) fn has_completions(&mut self) -> bool {
        !self.io.completion().is_empty()
    }
}

/// A send's length is 32 bits, and a result is an `i32`.
const SEND_LEN_MAX: usize = 1 << 30;

/// Waiting may end without anything to show for it; a full completion queue is emptied by the caller next.
fn passing(entered: io::Result<usize>) -> io::Result<()> {
    match entered {
        Err(error)
            if !matches!(
                error.raw_os_error(),
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN)
            ) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}
