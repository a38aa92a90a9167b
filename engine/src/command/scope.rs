//! SCOPE: who writes which keys, asked and changed while the server runs. Redis has no such command.
//!
//! A change is made and stored on the control thread; then every core takes it over, and only then the client is
//! answered. So whoever was told OK finds the change on every connection (`core/scopes.rs` says what of writes that are
//! under way). What is only asked is answered from the scopes that this reactor goes by.

use bobbin_cluster::catalog::{Change, Owner, Refusal, parse_scope};
use bobbin_cluster::{NodeName, Version};
use bobbin_proto::Reply;

use super::help::help;
use super::number::integer;
use super::spec::{Command, Group, Run, command, flag};
use super::{Args, Session};
use crate::error::CommandError;

const ANY_TIME: u32 = flag::LOADING | flag::STALE;
const CHANGES: u32 = flag::ADMIN | flag::NOSCRIPT | flag::STALE | flag::BARRIER | flag::NO_MULTI;
const SINCE: &str = "7.2.4";

pub const ROWS: &[Command] = &[
    command("scope", -2, 0, Group::Cluster, Run::Container).docs(
        SINCE,
        "See the subcommands.",
        "Tells and changes which node writes which keys.",
        "",
    ),
    command("scope|list", 2, ANY_TIME, Group::Cluster, Run::Conn(list)).docs(
        SINCE,
        "O(N) with N scopes",
        "Lists the scopes, in the order of their keys.",
        "",
    ),
    command("scope|add", -5, CHANGES, Group::Cluster, Run::Conn(add)).docs(
        SINCE,
        "O(N) with N scopes, and a write to disk",
        "Gives the keys with a prefix to a node, and to another while that is down.",
        "prefix WRITER node [FALLBACK node]",
    ),
    command("scope|del", 3, CHANGES, Group::Cluster, Run::Conn(del)).docs(
        SINCE,
        "O(N) with N scopes, and a write to disk",
        "Gives the keys with a prefix to everybody.",
        "prefix",
    ),
    command("scope|owner", -3, ANY_TIME, Group::Cluster, Run::Conn(owner)).docs(
        SINCE,
        "O(N) with the length N of the key",
        "Tells which node writes a key, or did at a version; null if any does.",
        "key [version]",
    ),
    command("scope|node", 4, CHANGES, Group::Cluster, Run::Conn(node)).docs(
        SINCE,
        "O(N) with N scopes, and a write to disk",
        "Marks a node as up, or as down: then the fallbacks write what is its.",
        "node <UP|DOWN>",
    ),
    command("scope|version", 2, ANY_TIME | flag::FAST, Group::Cluster, Run::Conn(version)).docs(
        SINCE,
        "O(1)",
        "Tells the version of the catalog of nodes and scopes: the number of changes so far.",
        "",
    ),
    command("scope|history", 3, ANY_TIME, Group::Cluster, Run::Conn(history)).docs(
        SINCE,
        "O(N) with N changes",
        "Lists the last changes of nodes and scopes that are remembered, newest first.",
        "count",
    ),
    command("scope|help", 2, ANY_TIME, Group::Cluster, Run::Conn(help)).docs(
        SINCE,
        "O(1)",
        "Prints this help.",
        "",
    ),
];

fn list(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let scopes = session.core.env.scopes.clone();
    let owners: Vec<_> = scopes.log.current().owners().collect();
    session.reply(|reply| {
        reply.array(owners.len());
        owners.iter().for_each(|owner| write_owner(owner, reply));
    });
    Ok(())
}

fn add(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let words: Vec<&[u8]> = args.iter_from(2).collect();
    let scope = parse_scope(&words).map_err(|refusal| refused(&refusal))?;
    session.ask_scope_change(Change::Scope(scope));
    Ok(())
}

fn del(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    session.ask_scope_change(Change::Unscope { prefix: args.at(2).into() });
    Ok(())
}

fn owner(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let scopes = session.core.env.scopes.clone();
    let version = match (args.get(3), args.len()) {
        (None, _) => scopes.version(),
        (Some(version), 4) => {
            u64::try_from(integer(version)?).map(Version).map_err(|_| CommandError::NotInteger)?
        }
        _ => return Err(CommandError::Syntax),
    };
    let owner = scopes.log.owner_at(version, args.at(2));
    let owner = owner.ok_or(CommandError::text("ERR that version is not remembered"))?;
    session.reply(|reply| match &owner {
        Some(owner) => write_owner(owner, reply),
        None => reply.null(),
    });
    Ok(())
}

fn node(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let is_up = match (args.is(3, "up"), args.is(3, "down")) {
        (false, false) => return Err(CommandError::Syntax),
        (is_up, _) => is_up,
    };
    let name = NodeName::new(args.at(2)).map_err(|bad| refused(&bad.into()))?;
    session.ask_scope_change(Change::Mark { name, is_up });
    Ok(())
}

fn version(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let version = session.core.env.scopes.version();
    session.reply(|reply| reply.int(version.0 as i64));
    Ok(())
}

fn history(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let count = usize::try_from(integer(args.at(2))?).map_err(|_| CommandError::NotInteger)?;
    let scopes = session.core.env.scopes.clone();
    let changes: Vec<_> = scopes.log.changes().take(count).collect();
    session.reply(|reply| {
        reply.array(changes.len());
        for (version, change) in &changes {
            reply.map(2);
            reply.bulk(b"version");
            reply.int(version.0 as i64);
            reply.bulk(b"change");
            reply.bulk(&change.line());
        }
    });
    Ok(())
}

/// `from` is null but for a part of a scope that is cut.
fn write_owner(owner: &Owner<'_>, reply: &mut Reply<'_>) {
    let state = owner.state.to_string();
    let fields: [(&str, Option<&[u8]>); 7] = [
        ("prefix", Some(owner.prefix)),
        ("from", owner.from.map(|from| &**from)),
        ("writer", Some(owner.writer.as_str().as_bytes())),
        ("fallback", owner.fallback.map(|fallback| fallback.as_str().as_bytes())),
        ("owner", Some(owner.holder.as_str().as_bytes())),
        ("address", Some(owner.address.as_str().as_bytes())),
        ("state", Some(state.as_bytes())),
    ];
    reply.map(fields.len());
    for (name, value) in fields {
        reply.bulk(name.as_bytes());
        match value {
            Some(value) => reply.bulk(value),
            None => reply.null(),
        }
    }
}

/// Words that are no scope are a syntax error, as they are elsewhere.
fn refused(refusal: &Refusal) -> CommandError {
    match refusal {
        Refusal::Syntax => CommandError::Syntax,
        refusal => CommandError::owned(format!("ERR {refusal}")),
    }
}
