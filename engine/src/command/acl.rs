//! ACL: the one user that there is, and the categories of commands.
//!
//! Users are not made, changed or loaded here: those subcommands are unknown, so that nobody is let believe that a
//! rule is enforced. The user `default` may do everything, with the password of `requirepass` if there is one.

use sha2::{Digest, Sha256};

use super::help::{help, wrong_usage};
use super::spec::{Command, Group, Run, acl, command, flag};
use super::{Args, Session, TABLE};
use crate::config::Config;
use crate::error::CommandError;

const ANY_TIME: u32 = flag::LOADING | flag::STALE;
const OPEN: u32 = flag::NOSCRIPT | ANY_TIME;
const ADMIN: u32 = flag::ADMIN | OPEN;

const USER: &str = "default";

pub const ROWS: &[Command] = &[
    command("acl", -2, 0, Group::Server, Run::Container)
        .differs("There is one user, default, and users are neither made nor changed.")
        .docs("6.0.0", "See the subcommands.", "Who may do what.", ""),
    command("acl|whoami", 2, OPEN, Group::Server, Run::Conn(acl_whoami)).docs(
        "6.0.0",
        "O(1)",
        "Tells the user of this connection.",
        "",
    ),
    command("acl|cat", -2, OPEN, Group::Server, Run::Conn(acl_cat)).docs(
        "6.0.0",
        "O(N) with N commands",
        "Lists the categories of commands, or the commands of one.",
        "[category]",
    ),
    command("acl|users", 2, ADMIN, Group::Server, Run::Conn(acl_users)).docs(
        "6.0.0",
        "O(1)",
        "Lists the names of the users.",
        "",
    ),
    command("acl|list", 2, ADMIN, Group::Server, Run::Conn(acl_list)).docs(
        "6.0.0",
        "O(1)",
        "Lists the users and what they may do, as lines of a configuration file.",
        "",
    ),
    command("acl|getuser", 3, ADMIN, Group::Server, Run::Conn(acl_getuser)).docs(
        "6.0.0",
        "O(1)",
        "Shows what a user may do.",
        "username",
    ),
    command("acl|help", 2, ANY_TIME, Group::Server, Run::Conn(help)).docs(
        "6.0.0",
        "O(1)",
        "Prints this help.",
        "",
    ),
];

fn acl_whoami(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let user = session.conn.about.user.clone();
    session.reply(|reply| reply.bulk(&user));
    Ok(())
}

fn acl_cat(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let names: Vec<&str> = match (args.len(), args.get(2)) {
        (2, _) => acl::NAMES.iter().map(|&(_, name)| name).collect(),
        (3, Some(category)) => commands_of(category)?,
        _ => return Err(wrong_usage(args)),
    };
    session.reply(|reply| {
        reply.array(names.len());
        names.iter().for_each(|name| reply.bulk(name.as_bytes()));
    });
    Ok(())
}

fn commands_of(category: &[u8]) -> Result<Vec<&'static str>, CommandError> {
    let known = acl::NAMES.iter().find(|(_, name)| name.as_bytes().eq_ignore_ascii_case(category));
    let &(bit, _) = known.ok_or_else(|| CommandError::quoting("ERR Unknown category '", category, "'"))?;
    Ok(TABLE.iter().filter(|row| row.categories() & bit != 0).map(|row| row.name).collect())
}

fn acl_users(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    session.reply(|reply| {
        reply.array(1);
        reply.bulk(USER.as_bytes());
    });
    Ok(())
}

fn acl_list(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let password = password_hash(&session.core.env.config).map_or("nopass".into(), |hash| format!("#{hash}"));
    session.reply(|reply| {
        reply.array(1);
        reply.bulk(format!("user {USER} on {password} ~* &* +@all").as_bytes());
    });
    Ok(())
}

fn acl_getuser(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    if args.at(2) != USER.as_bytes() {
        session.reply(|reply| reply.null());
        return Ok(());
    }
    let hash = password_hash(&session.core.env.config);
    let flags: &[&str] = if hash.is_some() { &["on"] } else { &["on", "nopass"] };
    session.reply(|reply| {
        reply.map(6);
        reply.bulk(b"flags");
        reply.set(flags.len());
        flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
        reply.bulk(b"passwords");
        reply.array(hash.iter().len());
        hash.iter().for_each(|hash| reply.bulk(hash.as_bytes()));
        for (name, rule) in [("commands", "+@all"), ("keys", "~*"), ("channels", "&*")] {
            reply.bulk(name.as_bytes());
            reply.bulk(rule.as_bytes());
        }
        reply.bulk(b"selectors");
        reply.array(0);
    });
    Ok(())
}

/// SHA-256 in hexadecimal, as Redis shows passwords.
fn password_hash(config: &Config) -> Option<String> {
    let password = config.requirepass.as_bytes();
    (!password.is_empty()).then(|| base16ct::lower::encode_string(&Sha256::digest(password)))
}
