//! CLIENT: what a connection says of itself, and what it asks of others.
//!
//! | module     | owns                                               |
//! |------------|----------------------------------------------------|
//! | `own`      | the connection's own name, modes and marks         |
//! | `list`     | CLIENT INFO and LIST                               |
//! | `kill`     | CLIENT KILL                                        |
//! | `pause`    | CLIENT PAUSE, UNPAUSE and UNBLOCK                  |
//! | `tracking` | client-side caching: that there is none            |
//!
//! Commands over all connections are errands. Source: the replies of redis-server 7.0.15; SETINFO, NO-TOUCH and the
//! fields lib-name and lib-ver as Redis 7.2 documents them, MAXAGE as 7.4.

mod kill;
mod list;
mod own;
mod pause;
mod tracking;

pub use own::check_name;

use super::help::help;
use super::spec::{Command, ConnFn, Group, Run, command, flag};
use crate::conn::Conn;
use crate::error::CommandError;

const ANYTIME: u32 = flag::LOADING | flag::STALE;
const OWN: u32 = flag::NOSCRIPT | ANYTIME;
const OTHERS: u32 = flag::ADMIN | OWN | flag::BARRIER;
const OF_CLIENTS: &str = "O(N) with N clients";

const fn row(name: &'static str, arity: i16, flags: u32, run: ConnFn) -> Command {
    command(name, arity, flags, Group::Connection, Run::Conn(run))
}

pub const ROWS: &[Command] = &[
    command("client", -2, 0, Group::Connection, Run::Container).docs(
        "2.4.0",
        "Depends on the subcommand",
        "Looks at and changes connections.",
        "",
    ),
    row("client|caching", 3, OWN, tracking::caching).docs(
        "6.0.0",
        "O(1)",
        "Says whether the next command's keys are tracked.",
        "<YES|NO>",
    ),
    row("client|getname", 2, OWN, own::name).docs("2.6.9", "O(1)", "Answers the connection's name.", ""),
    row("client|getredir", 2, OWN, tracking::redirection).docs(
        "6.0.0",
        "O(1)",
        "Answers the id of the connection that tracking redirects to.",
        "",
    ),
    row("client|help", 2, ANYTIME, help).docs("5.0.0", "O(1)", "Prints this text.", ""),
    row("client|id", 2, OWN, own::id).docs("5.0.0", "O(1)", "Answers the connection's id.", ""),
    row("client|info", 2, OWN, list::info).tips(&["nondeterministic_output"]).docs(
        "6.2.0",
        "O(1)",
        "Describes the connection in one line.",
        "",
    ),
    row("client|kill", -3, OTHERS, kill::kill).docs(
        "2.4.0",
        OF_CLIENTS,
        "Closes the connection with an address, or all that every filter fits.",
        "<ip:port | <<[ID client-id] | [TYPE <NORMAL|MASTER|SLAVE|REPLICA|PUBSUB>] | [USER username] | \
         [ADDR ip:port] | [LADDR ip:port] | [SKIPME yes/no] | [MAXAGE maxage]> ...>>",
    ),
    row("client|list", -2, OTHERS, list::list).tips(&["nondeterministic_output"]).docs(
        "2.4.0",
        OF_CLIENTS,
        "Describes connections, a line each.",
        "[TYPE <NORMAL|MASTER|REPLICA|PUBSUB>] [ID client-id [client-id ...]]",
    ),
    row("client|no-evict", 3, flag::ADMIN | OWN, own::no_evict).docs(
        "7.0.0",
        "O(1)",
        "Keeps the connection out of client eviction, or not.",
        "<ON|OFF>",
    ),
    row("client|no-touch", 3, OWN, own::no_touch).docs(
        "7.2.0",
        "O(1)",
        "Lets the connection's commands leave the access times of keys alone, or not.",
        "<ON|OFF>",
    ),
    row("client|pause", -3, OTHERS, pause::pause).docs(
        "2.9.50",
        "O(1)",
        "Lets all commands, or writes, of all clients wait for so many milliseconds.",
        "timeout [WRITE|ALL]",
    ),
    row("client|reply", 3, OWN, own::reply).docs(
        "3.2.0",
        "O(1)",
        "Answers the connection's commands, does not, or does not answer the next.",
        "<ON|OFF|SKIP>",
    ),
    row("client|setinfo", 4, OWN, own::set_info).docs(
        "7.2.0",
        "O(1)",
        "Notes the name or version of the client library.",
        "<LIB-NAME libname | LIB-VER libver>",
    ),
    row("client|setname", 3, OWN, own::set_name).docs(
        "2.6.9",
        "O(1)",
        "Names the connection.",
        "connection-name",
    ),
    row("client|tracking", -3, OWN, tracking::tracking).differs("ON is refused.").docs(
        "6.0.0",
        "O(1)",
        "Turns client-side caching on or off.",
        "<ON|OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
    ),
    row("client|trackinginfo", 2, OWN, tracking::info).docs(
        "6.2.0",
        "O(1)",
        "Tells how client-side caching is set for the connection.",
        "",
    ),
    row("client|unblock", -3, OTHERS, pause::unblock).docs(
        "5.0.0",
        "O(1)",
        "Ends another connection's wait in a blocking command.",
        "client-id [TIMEOUT|ERROR]",
    ),
    row("client|unpause", 2, OTHERS | flag::UNPAUSED, pause::unpause).docs(
        "6.2.0",
        "O(N) with N paused clients",
        "Ends CLIENT PAUSE.",
        "",
    ),
];

/// The kinds of client that filters tell apart. There are no replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientType {
    Normal,
    Master,
    Replica,
    Pubsub,
}

impl ClientType {
    fn parse(name: &[u8]) -> Result<Self, CommandError> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Ok(Self::Normal),
            b"master" => Ok(Self::Master),
            b"replica" | b"slave" => Ok(Self::Replica),
            b"pubsub" => Ok(Self::Pubsub),
            _ => Err(CommandError::quoting("ERR Unknown client type '", name, "'")),
        }
    }

    fn of(conn: &Conn) -> Self {
        if conn.is_subscribed() { Self::Pubsub } else { Self::Normal }
    }
}
