//! Nodes: the servers there are, by name, where they are reached, and whether they are marked down.
//!
//! A mark is somebody's word, an operator's or an election's; nothing here finds out for itself.

use std::fmt;
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;

/// Longest name of a node.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest address: a host name of 253 bytes, a colon, a port.
pub const ADDRESS_BYTES_MAX: usize = 259;

/// The nodes of a cluster. A copy costs nothing, and shares what is not changed.
pub type Nodes = RedBlackTreeMapSync<NodeName, Node>;

/// A node's name: letters, digits, `.`, `_` and `-`, [`NAME_BYTES_MAX`] at most.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(Arc<str>);

/// Where clients reach a node, as `host:port`; a host that is an IPv6 address stands in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Arc<str>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub address: Address,
    pub is_up: bool,
}

/// Why a word is no name or no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNode {
    #[error("a node's name is of 1 to {NAME_BYTES_MAX} letters, digits, '.', '_' and '-'")]
    Name,
    #[error("a node's address is host:port")]
    Address,
}

impl NodeName {
    pub fn new(word: &[u8]) -> Result<Self, BadNode> {
        let is_name_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        let name = std::str::from_utf8(word).map_err(|_| BadNode::Name)?;
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !word.iter().all(is_name_byte) {
            return Err(BadNode::Name);
        }
        Ok(Self(name.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Address {
    pub fn new(word: &[u8]) -> Result<Self, BadNode> {
        let text = std::str::from_utf8(word).map_err(|_| BadNode::Address)?;
        let (host, port) = text.rsplit_once(':').ok_or(BadNode::Address)?;
        let is_port = port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port);
        if text.len() > ADDRESS_BYTES_MAX || !is_port || !is_host(host) {
            return Err(BadNode::Address);
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_host(host: &str) -> bool {
    if let Some(inside) = host.strip_prefix('[') {
        return inside.strip_suffix(']').is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok());
    }
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_of_few_bytes() {
        for good in ["a", "node-1", "eu_west.2", &"x".repeat(NAME_BYTES_MAX)] {
            assert_eq!(NodeName::new(good.as_bytes()).unwrap().as_str(), good);
        }
        for bad in [&b""[..], b"a b", b"a:1", b"\xff", "é".as_bytes(), &[b'x'; NAME_BYTES_MAX + 1]] {
            assert_eq!(NodeName::new(bad), Err(BadNode::Name), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn addresses_are_a_host_and_a_port() {
        for good in ["10.0.0.1:6379", "db-1.example.org:1", "[::1]:6379", "localhost:65535"] {
            assert_eq!(Address::new(good.as_bytes()).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "host",
            "host:",
            ":1",
            "host:0",
            "host:65536",
            "host:+1",
            "host:01",
            "::1:6379",
            "[x]:1",
            "a b:1",
        ] {
            assert_eq!(Address::new(bad.as_bytes()), Err(BadNode::Address), "{bad}");
        }
    }
}
