//! CLUSTER, READONLY, READWRITE, ASKING: the reactors as nodes of a cluster. What a node is, is in [`crate::nodes`].
//!
//! | module | owns |
//! |---|---|
//! | `layout` | SLOTS, SHARDS, NODES, INFO |
//! | `slot` | KEYSLOT, COUNTKEYSINSLOT, GETKEYSINSLOT |
//!
//! Refused: everything, without `cluster-enabled`; changes of the layout, which is that of the reactors.
//! Source: replies and errors are those of redis-server 7.0.15.

mod layout;
mod slot;

use super::help::help;
use super::spec::{Command, ConnFn, Group, Run, acl, command, flag};
use super::{Args, Session};
use crate::error::{CommandError, printable};
use crate::nodes::Nodes;

const ADMIN: u32 = flag::ADMIN | flag::STALE;
const CHANGE: u32 = ADMIN | flag::NO_ASYNC_LOADING;
const OUTPUT_VARIES: &[&str] = &["nondeterministic_output"];
const IS_FIXED: &str = "Refused: the nodes are this server's reactors, each with its slots.";

pub const ROWS: &[Command] = &[
    command("cluster", -2, 0, Group::Cluster, Run::Container).docs(
        "3.0.0",
        "Depends on subcommand.",
        "A container for what concerns the cluster.",
        "",
    ),
    shown("cluster|info", layout::info, "3.0.0", "O(1)", "Tells how the cluster is."),
    shown("cluster|links", links, "7.0.0", "O(1)", "Lists the connections between nodes: there are none."),
    shown("cluster|nodes", layout::nodes, "3.0.0", "O(N) with N nodes", "Lists the nodes, a line each."),
    shown(
        "cluster|shards",
        layout::shards,
        "7.0.0",
        "O(N) with N nodes",
        "Lists the nodes with their slots.",
    ),
    shown(
        "cluster|slots",
        layout::slots,
        "3.0.0",
        "O(N) with N nodes",
        "Lists ranges of slots with their nodes.",
    )
    .deprecated("7.0.0", "`CLUSTER SHARDS`"),
    command("cluster|myid", 2, flag::STALE, Group::Cluster, Run::Conn(myid))
        .differs("An id lasts as long as the server runs.")
        .docs("3.0.0", "O(1)", "Answers the id of the node that serves this connection.", ""),
    command("cluster|keyslot", 3, flag::STALE, Group::Cluster, Run::Conn(slot::keyslot)).docs(
        "3.0.0",
        "O(N) with N bytes",
        "Answers the slot of a key.",
        "text",
    ),
    command(
        "cluster|countkeysinslot",
        3,
        flag::STALE | flag::BARRIER,
        Group::Cluster,
        Run::Conn(slot::countkeysinslot),
    )
    .differs("The keys of the slot's core are walked over, as by KEYS.")
    .docs("3.0.0", "O(N) with N keys on the slot's core", "Counts the keys in a slot.", "slot"),
    command(
        "cluster|getkeysinslot",
        4,
        flag::STALE | flag::BARRIER,
        Group::Cluster,
        Run::Conn(slot::getkeysinslot),
    )
    .tips(OUTPUT_VARIES)
    .differs("The keys of the slot's core are walked over, as by KEYS.")
    .docs("3.0.0", "O(N) with N keys on the slot's core", "Answers keys in a slot.", "slot count"),
    command("cluster|replicas", 3, ADMIN, Group::Cluster, Run::Conn(replicas)).tips(OUTPUT_VARIES).docs(
        "5.0.0",
        "O(N) with N nodes",
        "Lists the replicas of a node: it has none.",
        "node-id",
    ),
    command("cluster|slaves", 3, flag::ADMIN | flag::STALE, Group::Cluster, Run::Conn(replicas))
        .tips(OUTPUT_VARIES)
        .deprecated("5.0.0", "`CLUSTER REPLICAS`")
        .docs("3.0.0", "O(N) with N nodes", "Lists the replicas of a node: it has none.", "node-id"),
    command("cluster|count-failure-reports", 3, ADMIN, Group::Cluster, Run::Conn(failure_reports))
        .tips(OUTPUT_VARIES)
        .docs("3.0.0", "O(N) with N nodes", "Counts who takes a node for failed: nobody does.", "node-id"),
    fixed("cluster|addslots", -3, "3.0.0", "Gives slots to the node.", "slot [slot ...]"),
    fixed(
        "cluster|addslotsrange",
        -4,
        "7.0.0",
        "Gives ranges of slots to the node.",
        "start-slot end-slot [start-slot end-slot ...]",
    ),
    fixed("cluster|bumpepoch", 2, "3.0.0", "Raises the epoch.", "").tips(OUTPUT_VARIES),
    fixed("cluster|delslots", -3, "3.0.0", "Takes slots from the node.", "slot [slot ...]"),
    fixed(
        "cluster|delslotsrange",
        -4,
        "7.0.0",
        "Takes ranges of slots from the node.",
        "start-slot end-slot [start-slot end-slot ...]",
    ),
    fixed("cluster|failover", -2, "3.0.0", "Makes a replica the master.", "[FORCE|TAKEOVER]"),
    fixed("cluster|flushslots", 2, "3.0.0", "Takes all slots from the node.", ""),
    fixed("cluster|forget", 3, "3.0.0", "Removes a node.", "node-id"),
    fixed("cluster|meet", -4, "3.0.0", "Adds a node.", "ip port [cluster-bus-port]"),
    fixed("cluster|replicate", 3, "3.0.0", "Makes the node a replica.", "node-id"),
    command("cluster|reset", -2, ADMIN | flag::NOSCRIPT, Group::Cluster, Run::Conn(refuse_change))
        .differs(IS_FIXED)
        .docs("3.0.0", "O(1)", "Makes the node forget the cluster.", "[HARD|SOFT]"),
    fixed("cluster|saveconfig", 2, "3.0.0", "Saves the layout.", ""),
    fixed("cluster|set-config-epoch", 3, "3.0.0", "Sets the node's epoch.", "config-epoch"),
    fixed(
        "cluster|setslot",
        -4,
        "3.0.0",
        "Gives a slot to a node, or begins or ends its move.",
        "slot <IMPORTING node-id|MIGRATING node-id|NODE node-id|STABLE>",
    ),
    command("cluster|help", 2, flag::LOADING | flag::STALE, Group::Cluster, Run::Conn(cluster_help)).docs(
        "5.0.0",
        "O(1)",
        "Prints this help.",
        "",
    ),
    mode(
        "readonly",
        flag::LOADING | flag::STALE,
        "Lets a replica answer reads of this connection; there are none.",
    ),
    mode("readwrite", flag::LOADING | flag::STALE, "Ends what READONLY began."),
    mode("asking", 0, "Announces a command on a slot that is being moved; none is."),
];

const fn shown(
    name: &'static str,
    run: ConnFn,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
) -> Command {
    command(name, 2, flag::STALE, Group::Cluster, Run::Conn(run))
        .tips(OUTPUT_VARIES)
        .docs(since, complexity, summary, "")
}

const fn fixed(
    name: &'static str,
    arity: i16,
    since: &'static str,
    summary: &'static str,
    syntax: &'static str,
) -> Command {
    command(name, arity, CHANGE, Group::Cluster, Run::Conn(refuse_change))
        .differs(IS_FIXED)
        .docs(since, "O(1)", summary, syntax)
}

const fn mode(name: &'static str, flags: u32, summary: &'static str) -> Command {
    command(name, 1, flag::FAST | flags, Group::Cluster, Run::Conn(announce))
        .acl(acl::CONNECTION)
        .docs("3.0.0", "O(1)", summary, "")
}

/// The nodes, if they are shown at all.
fn nodes<'a>(session: &'a Session<'_>) -> Result<Nodes<'a>, CommandError> {
    const DISABLED: CommandError = CommandError::text("ERR This instance has cluster support disabled");
    if session.core.env.config.cluster_enabled {
        Ok(Nodes::seen_by(session.core, &session.conn.about.endpoints))
    } else {
        Err(DISABLED)
    }
}

fn cluster_help(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    nodes(session)?;
    help(session, args)
}

fn myid(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let id = nodes(session)?.node(session.core.id).id();
    session.reply(|reply| reply.bulk(id.as_bytes()));
    Ok(())
}

fn links(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    nodes(session)?;
    session.reply(|reply| reply.array(0));
    Ok(())
}

fn known_node(session: &Session<'_>, id: &[u8]) -> Result<(), CommandError> {
    let unknown = || CommandError::quoting("ERR Unknown node ", id, "");
    nodes(session)?.find(id).map(drop).ok_or_else(unknown)
}

fn replicas(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    known_node(session, args.at(2))?;
    session.reply(|reply| reply.array(0));
    Ok(())
}

fn failure_reports(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    known_node(session, args.at(2))?;
    session.reply(|reply| reply.int(0));
    Ok(())
}

fn refuse_change(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    nodes(session)?;
    let change = printable(args.at(1)).to_ascii_uppercase();
    Err(CommandError::owned(format!(
        "ERR CLUSTER {change} is not possible: the nodes are this server's reactors, each with its slots"
    )))
}

fn announce(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    nodes(session)?;
    session.ok();
    Ok(())
}
