//! Connections that have subscribed to a channel, and a thread that takes what they are sent and counts it.
//!
//! Everything published is of one length, so that bytes tell how many messages have come.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::Timespec;

use bobbin_proto::encode_command;

use super::target::Target;
use crate::cpus::Cpus;
use crate::{Error, interrupt};

const BUFFER_LEN: usize = 256 * 1024;
const EVENTS_MAX: usize = 256;
/// How often the thread looks whether it is still wanted.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// How long messages may take to arrive once the last is published.
const ARRIVAL_MAX: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Subscribers {
    count: u64,
    message_len: u64,
    received: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl Subscribers {
    /// Subscribes `count` connections to `channel`, to which messages of `data_size` bytes are published.
    pub fn start(
        target: &Target,
        channel: &str,
        count: usize,
        data_size: usize,
        cpus: Cpus,
    ) -> Result<Self, Error> {
        let mut message = Vec::new();
        encode_command(&mut message, [&b"message"[..], channel.as_bytes(), &vec![0; data_size]]);
        let sockets = (0..count).map(|_| {
            let mut connection = target.connect()?;
            connection.call(&["SUBSCRIBE", channel])?;
            connection.into_socket()
        });
        let sockets = sockets.collect::<Result<Vec<OwnedFd>, Error>>()?;
        let (received, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, flag) = (Arc::clone(&received), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            cpus.pin_current()?;
            drain(&sockets, &counter, &flag)
        });
        let message_len = message.len() as u64;
        Ok(Self { count: count as u64, message_len, received, stop, thread: Some(thread) })
    }

    /// Waits until every connection has had `published` messages, and no more; an error says how many are
    /// missing.
    pub fn expect(&mut self, published: u64) -> Result<(), Error> {
        let expected = published * self.count;
        let began = Instant::now();
        while self.messages() < expected && began.elapsed() < ARRIVAL_MAX && !self.has_ended() {
            interrupt::sleep(Duration::from_millis(1))?;
        }
        match self.messages() {
            arrived if arrived == expected => Ok(()),
            arrived => self.end().and(Err(Error::Undelivered { arrived, expected })),
        }
    }

    fn messages(&self) -> u64 {
        self.received.load(Relaxed) / self.message_len
    }

    fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn end(&mut self) -> Result<(), Error> {
        self.stop.store(true, Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        ended.map_or(Ok(()), |result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
}

impl Drop for Subscribers {
    fn drop(&mut self) {
        // Who wanted to know has asked before.
        let _ = self.end();
    }
}

fn drain(sockets: &[OwnedFd], received: &AtomicU64, stop: &AtomicBool) -> Result<(), Error> {
    let failed = |errno| Error::system("epoll", errno);
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed)?;
    for (index, socket) in sockets.iter().enumerate() {
        epoll::add(&epoll, socket, EventData::new_u64(index as u64), EventFlags::IN).map_err(failed)?;
    }
    let (mut buffer, mut events) = (vec![0; BUFFER_LEN], Vec::with_capacity(EVENTS_MAX));
    while !stop.load(Relaxed) {
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), Some(&TICK)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(failed(errno)),
        }
        for event in &events {
            match rustix::io::read(&sockets[event.data.u64() as usize], &mut buffer) {
                Ok(0) => return Err(Error::Closed { in_flight: 0 }),
                Ok(len) => _ = received.fetch_add(len as u64, Relaxed),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(Error::Broken { in_flight: 0, source: errno.into() }),
            }
        }
    }
    Ok(())
}
