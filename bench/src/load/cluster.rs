//! A cluster as its clients see it: which node owns which slot, by CLUSTER SLOTS, corrected by every MOVED.
//!
//! A client of the load has a connection to every node. Each of them goes through the client's one sequence
//! of keys and sends those that its node owned when the phase began. A request that is answered with MOVED
//! is sent again by the client's connection to the node that was named, opened if there is none; its
//! latency counts from its first start.
//!
//! Refused: a command whose key is always the same, which only one node could be sent.

use std::ops::Range;

use bobbin_cluster::Slot;
use bobbin_cluster::slot::SLOTS;
use bobbin_proto::decode::Value;

use super::connection::InFlight;
use super::target::{Address, Target};
use crate::Error;
use crate::workload::{Mix, Template};

/// The nodes and their slots.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    /// Where the cluster was asked; a node without a host is there too.
    asked: Target,
    nodes: Vec<Address>,
    /// By slot.
    owners: Vec<u16>,
}

/// Where each row of a mix has its key, as a range of the request; none in a command without keys.
pub(crate) type Routes = Vec<Option<Range<usize>>>;

impl Topology {
    pub(crate) fn ask(target: &Target) -> Result<Self, Error> {
        let reply = target.connect()?.call(&["CLUSTER", "SLOTS"])?;
        let mut this = Self { asked: target.clone(), nodes: Vec::new(), owners: vec![0; usize::from(SLOTS)] };
        if let Value::Error(text) = &reply {
            return Err(Error::Cluster(String::from_utf8_lossy(text).into_owned()));
        }
        let uncovered =
            this.take(&reply).ok_or_else(|| Error::Cluster("CLUSTER SLOTS is malformed".into()))?;
        match uncovered {
            0 => Ok(this),
            count => Err(Error::Cluster(format!("no node serves {count} of the {SLOTS} slots"))),
        }
    }

    pub(crate) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Where to connect to a node.
    pub(crate) fn target(&self, node: usize) -> Target {
        Target { address: self.nodes[node].clone(), ..self.asked.clone() }
    }

    /// The node that owns a key's slot.
    #[inline]
    pub(crate) fn owner(&self, key: &[u8]) -> usize {
        usize::from(self.owners[usize::from(Slot::of(key).number())])
    }

    /// Learns from an error reply that a slot has another owner; returns which. None if it says
    /// something else.
    pub(crate) fn follow(&mut self, reply: &[u8]) -> Option<usize> {
        let mut words = std::str::from_utf8(reply.strip_prefix(b"-MOVED ")?).ok()?.split_ascii_whitespace();
        let slot = Slot::new(words.next()?.parse().ok()?)?;
        let (host, port) = words.next()?.rsplit_once(':')?;
        let node = self.node(host, port.parse().ok()?);
        self.owners[usize::from(slot.number())] = node as u16;
        Some(node)
    }

    /// Takes in the reply of CLUSTER SLOTS; returns how many slots have no owner.
    fn take(&mut self, reply: &Value) -> Option<usize> {
        let Value::Array(ranges) = reply else { return None };
        let mut covered = 0;
        for range in ranges {
            let Value::Array(range) = range else { return None };
            let [Value::Int(first), Value::Int(last), Value::Array(node), ..] = &range[..] else {
                return None;
            };
            let [host, Value::Int(port), ..] = &node[..] else { return None };
            let host = if let Value::Bulk(host) = host { host.as_slice() } else { b"" };
            let node = self.node(std::str::from_utf8(host).ok()?, u16::try_from(*port).ok()?);
            let slots = self.owners.get_mut(usize::try_from(*first).ok()?..=usize::try_from(*last).ok()?)?;
            slots.fill(node as u16);
            covered += slots.len();
        }
        usize::from(SLOTS).checked_sub(covered)
    }

    /// The number of a node, a new one if it was not known.
    fn node(&mut self, host: &str, port: u16) -> usize {
        let host = match &self.asked.address {
            Address::Tcp { host: asked, .. } if matches!(host, "" | "?") => asked.clone(),
            _ => host.to_owned(),
        };
        let address = Address::Tcp { host, port };
        self.nodes.iter().position(|known| *known == address).unwrap_or_else(|| {
            self.nodes.push(address);
            self.nodes.len() - 1
        })
    }
}

/// What a worker's connections know of the cluster during a phase.
pub(crate) struct Map<'a> {
    routes: &'a Routes,
    /// As it was when the phase began: whose connection sends which keys.
    began: Topology,
    live: &'a mut Topology,
    /// Requests that were answered with MOVED, and the nodes that were named.
    pub(crate) moved: Vec<(InFlight, usize)>,
}

impl<'a> Map<'a> {
    pub(crate) fn new(routes: &'a Routes, live: &'a mut Topology) -> Self {
        Self { routes, began: live.clone(), live, moved: Vec::new() }
    }

    /// Whether a request of `row` is one that connections to `node` send.
    #[inline]
    pub(crate) fn is_for(&self, node: usize, row: usize, request: &[u8]) -> bool {
        self.routes[row].clone().is_none_or(|key| self.began.owner(&request[key]) == node)
    }

    /// Takes note of a request to be sent elsewhere; false if the reply is not MOVED.
    pub(crate) fn follow(&mut self, request: InFlight, reply: &[u8]) -> bool {
        let node = self.live.follow(reply);
        self.moved.extend(node.map(|node| (request, node)));
        node.is_some()
    }

    pub(crate) fn target(&self, node: usize) -> Target {
        self.live.target(node)
    }
}

/// Asks the server itself where the keys of a mix's commands stand.
pub(crate) fn routes(target: &Target, mix: &Mix) -> Result<Routes, Error> {
    let mut connection = target.connect()?;
    let mut keys_of = |args: &[&[u8]]| connection.call(&[&[&b"COMMAND"[..], b"GETKEYS"], args].concat());
    mix.rows.iter().map(|row| route(&row.template, &mut keys_of)).collect()
}

/// The first key of the first command that has one.
fn route(
    template: &Template,
    keys_of: &mut impl FnMut(&[&[u8]]) -> Result<Value, Error>,
) -> Result<Option<Range<usize>>, Error> {
    for arguments in template.arguments() {
        let texts: Vec<&[u8]> = arguments.iter().map(|range| &template.bytes()[range.clone()]).collect();
        // An error says that there are no keys; a command that does not exist fails when it is sent.
        let Value::Array(keys) = keys_of(&texts)? else { continue };
        let Some(Value::Bulk(key)) = keys.first() else { continue };
        let Some(position) = (1..texts.len()).find(|position| texts[*position] == key) else { continue };
        if !template.varies(&arguments[position]) {
            let reason = format!("the key of {:?} is always the same", template.line());
            return Err(Error::flag("--cluster-mode", reason));
        }
        return Ok(Some(arguments[position].clone()));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{KeySpace, Pattern};

    fn range(first: i64, last: i64, host: &str, port: i64) -> Value {
        let host = Value::Bulk(host.as_bytes().to_vec());
        let node = Value::Array(vec![host, Value::Int(port), Value::Bulk(b"id".to_vec())]);
        Value::Array(vec![Value::Int(first), Value::Int(last), node])
    }

    fn topology() -> Topology {
        Topology { asked: Target::local(7000), nodes: Vec::new(), owners: vec![0; usize::from(SLOTS)] }
    }

    #[test]
    fn slots_are_taken_from_the_servers_list() {
        let mut topology = topology();
        let list = [range(0, 8191, "10.0.0.1", 7000), range(8192, 16382, "", 7001)];
        assert_eq!(topology.take(&Value::Array(list.to_vec())), Some(1), "slot 16383 has no owner");
        assert_eq!(topology.nodes(), 2);
        assert_eq!(topology.target(1).address.to_string(), "127.0.0.1:7001");
        // CLUSTER KEYSLOT foo is 12182, of bar 5061.
        assert_eq!((topology.owner(b"foo"), topology.owner(b"x{bar}")), (1, 0));
    }

    #[test]
    fn lists_that_make_no_sense_are_refused() {
        let bad = [
            Value::Int(1),
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![range(0, 16384, "h", 1)]),
            Value::Array(vec![range(5, -1, "h", 1)]),
            Value::Array(vec![range(0, 1, "h", 70_000)]),
        ];
        for list in bad {
            assert_eq!(topology().take(&list), None, "{list:?}");
        }
    }

    #[test]
    fn moved_slots_are_followed_to_nodes_known_and_new() {
        let mut topology = topology();
        topology.take(&Value::Array(vec![range(0, 16383, "127.0.0.1", 7000)]));
        assert_eq!(topology.follow(b"-MOVED 12182 [::1]:7002\r\n"), Some(1));
        assert_eq!(topology.follow(b"-MOVED 5061 127.0.0.1:7000\r\n"), Some(0));
        assert_eq!((topology.owner(b"foo"), topology.owner(b"bar")), (1, 0));
        for other in ["-ERR MOVED", "-MOVED 99999 a:1", "-MOVED 1", "-MOVED 1 a:b"] {
            assert_eq!(topology.follow(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn the_server_says_where_the_key_is() {
        let keys = KeySpace::new(b"k", 1, 0, 9).unwrap();
        let route_of = |line: &str, key: &[u8]| {
            let mix = Mix::single(line, &keys, 4, Pattern::Uniform).unwrap();
            let template = mix.rows[0].template.clone();
            let mut answer = |args: &[&[u8]]| match args[0] {
                b"MULTI" => Ok(Value::Error(b"ERR The command has no key arguments".to_vec())),
                _ => Ok(Value::Array(vec![Value::Bulk(key.to_vec())])),
            };
            let found = route(&template, &mut answer).map_err(|error| error.to_string())?;
            Ok::<_, String>(found.map(|range| template.bytes()[range].to_vec()))
        };
        assert_eq!(route_of("MULTI ; SADD s:__key__ __key__ ; EXEC", b"s:k0"), Ok(Some(b"s:k0".to_vec())));
        assert_eq!(route_of("MULTI", b""), Ok(None));
        assert!(route_of("SADD s __key__", b"s").unwrap_err().contains("always the same"));
    }
}
