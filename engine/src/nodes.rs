//! The reactors as the nodes of a cluster, as `cluster-enabled` has them shown to clients.
//!
//! Each reactor is a master that owns its shard's slots and listens on a port of its own. A client of a cluster sends
//! each key straight to the core that has it, and no command hops. Who comes by such a port is treated as by a node:
//! keys of other slots are refused with `MOVED`, keys of several slots with `CROSSSLOT`. The port of the server itself
//! goes on serving any key.
//!
//! Invariant: what is told of slots is what the router goes by ([`Core::slots`]).
//!
//! Not told: replicas (there are none), failures of nodes (a reactor that fails ends the server), a bus port (there is
//! no bus).
//!
//! [`Core::slots`]: crate::core::Core::slots

use std::net::{IpAddr, Ipv4Addr};

use bobbin_cluster::{Slot, SlotMap};

use crate::config::{Config, EndpointType};
use crate::conn::Endpoints;
use crate::core::{About, Core};
use crate::error::CommandError;
use crate::ids::ReactorId;
use crate::mesh::SessionBits;

/// Hex digits at the end of a node's id that are its number.
const NUMBER_DIGITS: usize = 4;

/// The port on which the first reactor serves as a node, if it can be one: the others' follow it.
pub fn first_port(config: &Config) -> Option<u16> {
    if config.cluster_reactor_port > 0 {
        Some(config.cluster_reactor_port)
    } else {
        config.port.checked_add(1)
    }
}

/// Nodes have one database.
pub fn refuse_as_node(session: SessionBits, what: &str) -> Result<(), CommandError> {
    if session.has(SessionBits::AS_NODE) {
        Err(CommandError::owned(format!("ERR {what} is not allowed in cluster mode")))
    } else {
        Ok(())
    }
}

/// All nodes, as one client sees them.
#[derive(Clone, Copy, Debug)]
pub struct Nodes<'a> {
    config: &'a Config,
    about: &'a About,
    slots: SlotMap,
    reactors: usize,
    /// Where the client has come in.
    local: IpAddr,
}

impl<'a> Nodes<'a> {
    pub fn seen_by(core: &'a Core, endpoints: &Endpoints) -> Self {
        let local = match endpoints {
            Endpoints::Tcp { local, .. } => local.ip().to_canonical(),
            Endpoints::Unix { .. } => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        Self {
            config: &core.env.config,
            about: &core.env.shared.about,
            slots: core.slots(),
            reactors: core.env.shared.reactors(),
            local,
        }
    }

    pub fn iter(self) -> impl Iterator<Item = Node<'a>> {
        (0..self.reactors).map(move |index| self.node(ReactorId::from_index(index)))
    }

    pub fn node(self, reactor: ReactorId) -> Node<'a> {
        Node { nodes: self, reactor }
    }

    /// The node with this id.
    pub fn find(self, id: &[u8]) -> Option<Node<'a>> {
        self.iter().find(|node| node.id().as_bytes() == id)
    }

    /// Where a slot's keys are.
    pub fn owner(self, slot: Slot) -> Node<'a> {
        self.node(ReactorId::from_index(self.slots.owner(slot)))
    }

    pub fn hostname(self) -> Option<String> {
        let name = &self.config.cluster_announce_hostname;
        (!name.is_empty()).then(|| name.display().to_string())
    }

    /// The address that nodes have: all the same.
    pub fn ip(self) -> String {
        let announced = &self.config.cluster_announce_ip;
        if announced.is_empty() { self.local.to_string() } else { announced.display().to_string() }
    }

    pub fn prefers(self) -> EndpointType {
        self.config.cluster_preferred_endpoint_type
    }

    /// What clients are to connect to, as MOVED has it: Redis's `?` stands for a host name that nobody has set, and
    /// nothing for the address that the client has used.
    pub fn endpoint(self) -> String {
        match self.prefers() {
            EndpointType::Ip => self.ip(),
            EndpointType::Hostname => self.hostname().unwrap_or_else(|| "?".into()),
            EndpointType::Unknown => String::new(),
        }
    }
}

/// One node.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    nodes: Nodes<'a>,
    reactor: ReactorId,
}

impl Node<'_> {
    pub fn reactor(self) -> ReactorId {
        self.reactor
    }

    /// As long as the server runs, and no longer.
    pub fn id(self) -> String {
        let run_id = &self.nodes.about.run_id;
        let run = run_id.get(NUMBER_DIGITS..).unwrap_or_default();
        format!("{run}{:0NUMBER_DIGITS$x}", self.reactor.index())
    }

    pub fn port(self) -> u16 {
        let config = self.nodes.config;
        let first = if config.cluster_announce_port > 0 {
            config.cluster_announce_port
        } else {
            first_port(config).unwrap_or_default()
        };
        first.saturating_add(self.reactor.0)
    }

    /// The first slot and the last.
    pub fn slots(self) -> (u16, u16) {
        self.nodes.slots.range(self.reactor.index())
    }

    /// No two are the same.
    pub fn epoch(self) -> usize {
        self.reactor.index() + 1
    }

    /// Where a client is to ask instead.
    pub fn moved(self, slot: Slot) -> CommandError {
        let (slot, endpoint, port) = (slot.number(), self.nodes.endpoint(), self.port());
        CommandError::Redirected(format!("MOVED {slot} {endpoint}:{port}").into())
    }
}
