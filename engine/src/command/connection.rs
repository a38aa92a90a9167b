//! Commands on the connection itself: greeting, authentication, selecting, leaving.
//!
//! There is one user, `default`, whose password is `requirepass`; without one, any password is right, as in Redis.
//! Source: the replies of redis-server 7.0.15.

use bobbin_proto::Reply;
use constant_time_eq::constant_time_eq;

use super::client::check_name;
use super::keyspace::parse_db;
use super::spec::{Command, Group, Run, command, flag};
use super::{Args, Session};
use crate::conn::{Closing, DEFAULT_USER};
use crate::error::CommandError;
use crate::limits::REDIS_VERSION;
use crate::mesh::SessionBits;
use crate::nodes::refuse_as_node;
use crate::store::parse_canonical;

/// Flags of what is answered before authentication.
const GREETING: u32 = flag::NOSCRIPT | ANYTIME | flag::NO_AUTH | flag::ALLOW_BUSY;
const ANYTIME: u32 = flag::LOADING | flag::STALE | flag::FAST;

pub const ROWS: &[Command] = &[
    command("ping", -1, flag::FAST | flag::LISTENING, Group::Connection, Run::Conn(ping))
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .docs("1.0.0", "O(1)", "Answers PONG, or the message given.", "[message]"),
    command("echo", 2, ANYTIME, Group::Connection, Run::Conn(echo)).docs(
        "1.0.0",
        "O(1)",
        "Answers with the message given.",
        "message",
    ),
    command("auth", -2, GREETING, Group::Connection, Run::Conn(auth)).secrets(|_, index| index > 0).docs(
        "1.0.0",
        "O(1)",
        "Authenticates the connection.",
        "[username] password",
    ),
    command("hello", -1, GREETING, Group::Connection, Run::Conn(hello)).secrets(hello_secrets).docs(
        "6.0.0",
        "O(1)",
        "Agrees on the version of the protocol, and can authenticate and name the connection.",
        "[protover [AUTH username password] [SETNAME clientname]]",
    ),
    command("select", 2, ANYTIME, Group::Connection, Run::Conn(select)).docs(
        "1.0.0",
        "O(1)",
        "Selects the connection's database.",
        "index",
    ),
    command("quit", -1, GREETING | flag::UNQUEUED | flag::LISTENING, Group::Connection, Run::Conn(quit))
        .deprecated("7.2.0", "closing the connection")
        .docs("1.0.0", "O(1)", "Closes the connection once its replies are out.", ""),
    command(
        "reset",
        1,
        GREETING | flag::UNQUEUED | flag::LISTENING | flag::BARRIER,
        Group::Connection,
        Run::Conn(reset),
    )
    .docs("6.2.0", "O(1)", "Makes the connection as it was when it was new.", ""),
];

fn ping(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    match args.len() {
        1 | 2 if session.conn.is_listening_only() => session.reply(|reply| {
            reply.array(2);
            reply.bulk(b"pong");
            reply.bulk(args.get(1).unwrap_or_default());
        }),
        1 => session.reply(|reply| reply.simple("PONG")),
        2 => session.reply(|reply| reply.bulk(args.at(1))),
        _ => return Err(CommandError::Arity("ping")),
    }
    Ok(())
}

fn echo(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    session.reply(|reply| reply.bulk(args.at(1)));
    Ok(())
}

fn auth(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    const NO_PASSWORD: CommandError = CommandError::text(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
         configuration is correct?",
    );
    match args.len() {
        2 if session.core.env.config.requirepass.is_empty() => return Err(NO_PASSWORD),
        2 => authenticate(session, DEFAULT_USER, args.at(1))?,
        3 => authenticate(session, args.at(1), args.at(2))?,
        _ => return Err(CommandError::Syntax),
    }
    session.ok();
    Ok(())
}

/// A wrong password changes nothing: who was authenticated stays so.
fn authenticate(session: &mut Session<'_>, user: &[u8], password: &[u8]) -> Result<(), CommandError> {
    let required = session.core.env.config.requirepass.as_bytes();
    let is_right = required.is_empty() || constant_time_eq(required, password);
    if user != DEFAULT_USER || !is_right {
        session.core.observed.counts.denied_auth += 1;
        return Err(CommandError::text("WRONGPASS invalid username-password pair or user is disabled."));
    }
    session.conn.authenticated = true;
    Ok(())
}

/// What HELLO was asked for.
#[derive(Default)]
struct Greeting<'a> {
    version: Option<i64>,
    user_password: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a [u8]>,
}

impl<'a> Greeting<'a> {
    fn parse(args: Args<'a>) -> Result<Self, CommandError> {
        const NOT_A_NUMBER: CommandError =
            CommandError::text("ERR Protocol version is not an integer or out of range");
        let mut greeting = Self::default();
        if let Some(version) = args.get(1) {
            greeting.version = Some(match parse_canonical(version).ok_or(NOT_A_NUMBER)? {
                version @ 2..=3 => version,
                _ => return Err(CommandError::text("NOPROTO unsupported protocol version")),
            });
        }
        let mut at = 2;
        while at < args.len() {
            if let (true, Some(user), Some(password)) =
                (args.is(at, "AUTH"), args.get(at + 1), args.get(at + 2))
            {
                greeting.user_password = Some((user, password));
                at += 3;
            } else if let (true, Some(name)) = (args.is(at, "SETNAME"), args.get(at + 1)) {
                check_name(name)?;
                greeting.name = Some(name);
                at += 2;
            } else {
                return Err(CommandError::quoting("ERR Syntax error in HELLO option '", args.at(at), "'"));
            }
        }
        Ok(greeting)
    }
}

/// User name and password behind AUTH; the options are walked as [`Greeting::parse`] does.
fn hello_secrets(args: Args<'_>, index: usize) -> bool {
    let mut at = 2;
    while at < index {
        let values = if args.is(at, "AUTH") { 2 } else { 1 };
        if values == 2 && index <= at + values {
            return true;
        }
        at += 1 + values;
    }
    false
}

fn hello(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    const AUTH_FIRST: CommandError = CommandError::text(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> \
         option can be used to authenticate the client and select the RESP protocol version at the same time",
    );
    let greeting = Greeting::parse(args)?;
    if let Some((user, password)) = greeting.user_password {
        authenticate(session, user, password)?;
    }
    if !session.conn.authenticated {
        return Err(AUTH_FIRST);
    }
    if let Some(name) = greeting.name {
        session.conn.about.name = name.to_vec();
    }
    if let Some(version) = greeting.version {
        session.conn.session.set(SessionBits::RESP3, version == 3);
    }
    let (version, id) = (greeting.version, session.conn.client_id);
    let spoken = version.unwrap_or(if session.conn.session.has(SessionBits::RESP3) { 3 } else { 2 });
    let mode = session.core.env.config.mode();
    session.reply(|reply| greet(reply, spoken, id, mode));
    Ok(())
}

/// Client libraries look at `server` and `version` to know what they may ask for.
fn greet(reply: &mut Reply<'_>, spoken: i64, id: u64, mode: &str) {
    reply.map(7);
    for (name, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    for (name, value) in [("proto", spoken), ("id", id as i64)] {
        reply.bulk(name.as_bytes());
        reply.int(value);
    }
    for (name, value) in [("mode", mode), ("role", "master")] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
}

fn select(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let db = parse_db(args.at(1), &session.core.env)?;
    if db != 0 {
        refuse_as_node(session.conn.session, "SELECT")?;
    }
    session.conn.db = db;
    session.ok();
    Ok(())
}

fn quit(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    session.ok();
    session.conn.close(Closing::AfterFlush);
    Ok(())
}

fn reset(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    if session.conn.monitor {
        session.core.forget_monitor(session.conn.id);
    }
    let authenticated = session.core.env.config.requirepass.is_empty();
    session.core.unwatch(session.conn);
    session.conn.reset(authenticated);
    session.end_subscriptions();
    Ok(())
}
