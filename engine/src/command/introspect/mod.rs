//! COMMAND: what the server can run. Every answer is derived from the rows of the table.
//!
//! | module   | owns                                                            |
//! |----------|-----------------------------------------------------------------|
//! | `list`   | COMMAND COUNT and LIST                                          |
//! | `info`   | COMMAND and COMMAND INFO                                        |
//! | `docs`   | COMMAND DOCS                                                    |
//! | `syntax` | a row's syntax, read: DOCS' arguments                           |
//! | `keys`   | COMMAND GETKEYS and GETKEYSANDFLAGS                             |
//!
//! Shapes are those of redis-server 7.0.15. The `notes` it adds to some key specifications, and the history of
//! options, are not told.

mod docs;
mod info;
mod keys;
mod list;
mod syntax;

use super::help::help;
use super::spec::{Command, ConnFn, Group, Run, acl, command, flag};

const ANYTIME: u32 = flag::LOADING | flag::STALE;
const UNORDERED: &[&str] = &["nondeterministic_output_order"];

const fn row(name: &'static str, arity: i16, run: Run) -> Command {
    command(name, arity, ANYTIME, Group::Server, run).acl(acl::CONNECTION)
}

const fn sub(name: &'static str, arity: i16, run: ConnFn) -> Command {
    row(name, arity, Run::Conn(run))
}

const LAST_STORE: &str = "Of several STORE of GEORADIUS the last is told too: it is the key that is made.";

pub const ROWS: &[Command] = &[
    row("command", -1, Run::ContainerOr(info::all)).tips(UNORDERED).docs(
        "2.8.13",
        "O(N) with N commands",
        "Tells how every command is called, and what it does with its keys.",
        "",
    ),
    sub("command|count", 2, list::count).docs("2.8.13", "O(1)", "Counts the commands.", ""),
    sub("command|docs", -2, docs::docs)
        .tips(UNORDERED)
        .differs("Summaries and complexities are in Bobbin's own words, and there is no history.")
        .docs(
            "7.0.0",
            "O(N) with N commands asked for",
            "Documents commands: all, or those named.",
            "[command-name ...]",
        ),
    sub("command|getkeys", -4, keys::keys).differs(LAST_STORE).docs(
        "2.8.13",
        "O(N) with N arguments of the command",
        "Picks the keys out of a whole command.",
        "command [arg ...]",
    ),
    sub("command|getkeysandflags", -4, keys::keys_and_flags).differs(LAST_STORE).docs(
        "7.0.0",
        "O(N) with N arguments of the command",
        "Picks the keys out of a whole command, and tells what it does with each.",
        "command [arg ...]",
    ),
    sub("command|help", 2, help).docs("5.0.0", "O(1)", "Prints this text.", ""),
    sub("command|info", -2, info::some).tips(UNORDERED).docs(
        "2.8.13",
        "O(N) with N commands asked for",
        "Tells how commands are called: all, or those named.",
        "[command-name ...]",
    ),
    sub("command|list", -2, list::list).tips(UNORDERED).docs(
        "7.0.0",
        "O(N) with N commands",
        "Names the commands: all, or those that a filter fits.",
        "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
    ),
];
