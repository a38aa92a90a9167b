//! A message as its subscribers get it.

use std::sync::Arc;

use bobbin_proto::{Reply, Version};

use super::Topic;

/// A message, encoded once for all. In RESP3 it is a push, in RESP2 an array: only the first byte differs.
#[derive(Clone, Debug)]
pub struct Push(Arc<[u8]>);

impl Push {
    /// For those subscribed to the channel itself.
    pub fn message(topic: Topic, channel: &[u8], payload: &[u8]) -> Self {
        let word: &[u8] = if topic == Topic::ShardChannel { b"smessage" } else { b"message" };
        Self::of(&[word, channel, payload])
    }

    /// For those subscribed to a pattern that the channel matches.
    pub fn pattern_message(pattern: &[u8], channel: &[u8], payload: &[u8]) -> Self {
        Self::of(&[b"pmessage", pattern, channel, payload])
    }

    fn of(words: &[&[u8]]) -> Self {
        let mut bytes = Vec::new();
        let mut reply = Reply::new(&mut bytes, Version::Resp2);
        reply.push(words.len());
        words.iter().for_each(|word| reply.bulk(word));
        Self(bytes.into())
    }

    pub fn write(&self, version: Version, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.0);
        if version == Version::Resp3 {
            out[start] = b'>';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_byte_depends_on_the_protocol() {
        let push = Push::pattern_message(b"c*", b"ch", b"");
        for (version, first) in [(Version::Resp2, "*"), (Version::Resp3, ">")] {
            let mut out = b"+OK\r\n".to_vec();
            push.write(version, &mut out);
            let text = "4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$2\r\nch\r\n$0\r\n\r\n";
            assert_eq!(out, format!("+OK\r\n{first}{text}").as_bytes());
        }
    }
}
