//! Which node has which slots, and where it is.

use std::fmt::Write as _;

use bobbin_cluster::slot::SLOTS;
use bobbin_proto::Reply;

use super::nodes as nodes_of;
use crate::command::{Args, Session};
use crate::config::EndpointType;
use crate::error::CommandError;
use crate::nodes::Nodes;

pub(super) fn info(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let nodes = nodes_of(session)?;
    let (count, epoch) = (nodes.iter().count(), nodes.node(session.core.id).epoch());
    let fields: [(&str, &dyn std::fmt::Display); 12] = [
        ("cluster_state", &"ok"),
        ("cluster_slots_assigned", &SLOTS),
        ("cluster_slots_ok", &SLOTS),
        ("cluster_slots_pfail", &0),
        ("cluster_slots_fail", &0),
        ("cluster_known_nodes", &count),
        ("cluster_size", &count),
        ("cluster_current_epoch", &count),
        ("cluster_my_epoch", &epoch),
        ("cluster_stats_messages_sent", &0),
        ("cluster_stats_messages_received", &0),
        ("total_cluster_links_buffer_limit_exceeded", &0),
    ];
    let mut text = String::new();
    for (name, value) in fields {
        // A String takes everything.
        let _ = write!(text, "{name}:{value}\r\n");
    }
    session.reply(|reply| reply.verbatim(*b"txt", text.as_bytes()));
    Ok(())
}

pub(super) fn nodes(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let nodes = nodes_of(session)?;
    let (ip, hostname) = (nodes.ip(), nodes.hostname().map(|name| format!(",{name}")).unwrap_or_default());
    let mut text = String::new();
    for node in nodes.iter() {
        let (first, last) = node.slots();
        let myself = if node.reactor() == session.core.id { "myself," } else { "" };
        let (id, port, epoch) = (node.id(), node.port(), node.epoch());
        let _ = writeln!(
            text,
            "{id} {ip}:{port}@0{hostname} {myself}master - 0 0 {epoch} connected {}",
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        );
    }
    session.reply(|reply| reply.verbatim(*b"txt", text.as_bytes()));
    Ok(())
}

pub(super) fn slots(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let nodes = nodes_of(session)?;
    let mut out = Vec::new();
    let mut reply = Reply::new(&mut out, session.conn.version());
    reply.array(nodes.iter().count());
    for node in nodes.iter() {
        let (first, last) = node.slots();
        reply.array(3);
        reply.int(first.into());
        reply.int(last.into());
        reply.array(4);
        endpoint(nodes, &mut reply);
        reply.int(node.port().into());
        reply.bulk(node.id().as_bytes());
        further_names(nodes, &mut reply);
    }
    session.reply(|reply| reply.raw(&out));
    Ok(())
}

/// A client that is told nothing goes where it has been.
fn endpoint(nodes: Nodes<'_>, reply: &mut Reply<'_>) {
    match nodes.prefers() {
        EndpointType::Unknown => reply.null(),
        EndpointType::Ip | EndpointType::Hostname => reply.bulk(nodes.endpoint().as_bytes()),
    }
}

/// The names of a node that are not the preferred.
fn further_names(nodes: Nodes<'_>, reply: &mut Reply<'_>) {
    let prefers = nodes.prefers();
    let ip = (prefers != EndpointType::Ip).then(|| ("ip", nodes.ip()));
    let hostname = nodes.hostname().filter(|_| prefers != EndpointType::Hostname);
    let names: Vec<_> = ip.into_iter().chain(hostname.map(|name| ("hostname", name))).collect();
    reply.map(names.len());
    for (kind, name) in names {
        reply.bulk(kind.as_bytes());
        reply.bulk(name.as_bytes());
    }
}

pub(super) fn shards(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let nodes = nodes_of(session)?;
    let (ip, endpoint, hostname) = (nodes.ip(), nodes.endpoint(), nodes.hostname());
    let mut out = Vec::new();
    let mut reply = Reply::new(&mut out, session.conn.version());
    reply.array(nodes.iter().count());
    for node in nodes.iter() {
        let (first, last) = node.slots();
        reply.map(2);
        reply.bulk(b"slots");
        reply.array(2);
        reply.int(first.into());
        reply.int(last.into());
        reply.bulk(b"nodes");
        reply.array(1);
        reply.map(7 + usize::from(hostname.is_some()));
        text(&mut reply, "id", &node.id());
        number(&mut reply, "port", node.port().into());
        text(&mut reply, "ip", &ip);
        text(&mut reply, "endpoint", &endpoint);
        if let Some(hostname) = &hostname {
            text(&mut reply, "hostname", hostname);
        }
        text(&mut reply, "role", "master");
        number(&mut reply, "replication-offset", 0);
        text(&mut reply, "health", "online");
    }
    session.reply(|reply| reply.raw(&out));
    Ok(())
}

fn text(reply: &mut Reply<'_>, name: &str, value: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(value.as_bytes());
}

fn number(reply: &mut Reply<'_>, name: &str, value: i64) {
    reply.bulk(name.as_bytes());
    reply.int(value);
}
