//! CONFIG: the server's settings while it runs.
//!
//! A change is made once, on the configuration that all reactors share; then every core takes over the newest one,
//! and only then the client is answered. So whoever was told OK finds the change on every connection.

use super::help::help;
use super::spec::{Command, Group, Run, command, flag};
use super::{Args, Session, persistence};
use crate::allocator;
use crate::config::{Directive, Peer};
use crate::core::Core;
use crate::errand::{Everywhere, Targets};
use crate::error::CommandError;
use crate::logging;

const ANY_TIME: u32 = flag::LOADING | flag::STALE;
const ADMIN: u32 = flag::ADMIN | flag::NOSCRIPT | ANY_TIME;

pub const ROWS: &[Command] =
    &[
        command("config", -2, 0, Group::Server, Run::Container).docs(
            "2.0.0",
            "See the subcommands.",
            "Shows and changes settings.",
            "",
        ),
        command("config|get", -3, ADMIN, Group::Server, Run::Conn(config_get)).docs(
            "2.0.0",
            "O(N) with N directives",
            "Shows the directives whose names match, and their values.",
            "pattern [pattern ...]",
        ),
        command("config|set", -4, ADMIN | flag::BARRIER, Group::Server, Run::Conn(config_set))
            .secrets(set_secrets)
            .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
            .docs(
                "2.0.0",
                "O(N) with N directives",
                "Changes directives, all that are named or none.",
                "directive value [directive value ...]",
            ),
        command("config|resetstat", 2, ADMIN | flag::BARRIER, Group::Server, Run::Conn(config_resetstat))
            .docs("2.0.0", "O(1)", "Sets the counters of INFO back to zero.", ""),
        command("config|rewrite", 2, ADMIN, Group::Server, Run::Conn(config_rewrite)).docs(
            "2.8.0",
            "O(1)",
            "Brings the configuration file up to date with the settings.",
            "",
        ),
        command("config|help", 2, ANY_TIME, Group::Server, Run::Conn(help)).docs(
            "5.0.0",
            "O(1)",
            "Prints this help.",
            "",
        ),
    ];

fn config_get(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let patterns: Vec<&[u8]> = args.iter_from(2).collect();
    let found = session.core.env.config.matching(&patterns);
    session.reply(|reply| {
        reply.map(found.len());
        for (name, value) in &found {
            reply.bulk(name);
            reply.bulk(value);
        }
    });
    Ok(())
}

fn config_set(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let arguments: Vec<&[u8]> = args.iter_from(2).collect();
    let peer = if session.conn.about.endpoints.is_local() { Peer::Local } else { Peer::Remote };
    let changed = session.core.env.shared.change_config(|config| {
        // Inside, so that of two changes at once log and allocator follow the one that stays.
        config.set(&arguments, peer).inspect(|(config, _)| {
            logging::configure(config);
            allocator::configure(config);
        })
    });
    let (config, differing) = changed.map_err(|error| CommandError::owned(format!("ERR {error}")))?;
    if differing.iter().any(|row| row.name == "appendonly") {
        persistence::switch_journal(session, config.appendonly);
    }
    // Also if nothing differs: another client's equal change may be on its way to some reactors still.
    session.ask(Everywhere(Core::adopt_config), Targets::All);
    Ok(())
}

/// The values of directives that are passwords.
fn set_secrets(args: Args<'_>, index: usize) -> bool {
    let named = |name| Directive::find(name).is_some_and(Directive::is_sensitive);
    index >= 3 && index % 2 == 1 && named(args.at(index - 1))
}

fn config_resetstat(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    session.ask(Everywhere(Core::reset_stats), Targets::All);
    Ok(())
}

/// Waits for the disk, as Redis does: the client is to know that the file is safe.
fn config_rewrite(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let rewritten = session.core.env.config.rewrite();
    rewritten.map_err(|error| CommandError::owned(format!("ERR {error}")))?;
    session.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::OwnedArgs;

    #[test]
    fn passwords_are_secrets() {
        let words = [&b"CONFIG"[..], b"SET", b"hz", b"requirepass", b"RequirePass", b"s3cret", b"port", b"1"];
        let args = OwnedArgs::new(words.into_iter());
        let hidden: Vec<_> = (0..words.len()).filter(|&index| set_secrets(args.as_args(), index)).collect();
        assert_eq!(hidden, [5]);
    }
}
