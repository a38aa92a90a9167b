//! A batch: all that one loop iteration of a reactor has to say to one other reactor.
//!
//! Buffers travel to and fro: an emptied batch is filled with what goes the other way, so that under load nothing
//! is allocated and little is freed on another core than it was allocated on (peers measured 18–39 % for that).

use std::collections::VecDeque;

use super::message::Message;

/// Commands to run, replies to deliver, and messages of the transactions' and errands' protocols.
#[derive(Debug, Default)]
pub struct Batch {
    pub messages: VecDeque<Message>,
    /// Reply frames (see [`super::frame`]).
    pub replies: Vec<u8>,
    /// Command frames.
    pub commands: Vec<u8>,
    /// What the stopwatch showed when it left.
    pub left_at: u64,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.replies.is_empty() && self.messages.is_empty()
    }

    /// Bytes in the flat buffers.
    pub fn len(&self) -> usize {
        self.commands.len() + self.replies.len()
    }

    /// Empties it for reuse. A buffer grown by a large value is not kept.
    pub fn clear(&mut self) {
        self.messages.clear();
        self.replies.clear();
        self.replies.shrink_to(BUFFER_KEPT_BYTES);
        self.commands.clear();
        self.commands.shrink_to(BUFFER_KEPT_BYTES);
    }
}

/// What a buffer may hold on to between uses: about a thousand small commands.
const BUFFER_KEPT_BYTES: usize = 128 * 1024;
