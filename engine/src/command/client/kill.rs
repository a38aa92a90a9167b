//! CLIENT KILL, in both forms: an address, or filters that must all fit.

use bobbin_proto::Reply;

use super::ClientType;
use crate::command::{Args, Session};
use crate::conn::{Closing, Conn, DEFAULT_USER};
use crate::core::Core;
use crate::errand::{Errand, Targets};
use crate::error::CommandError;
use crate::ids::{ConnId, ReactorId};
use crate::store::parse_canonical;

pub(super) fn kill(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let form = if args.len() == 3 { Form::Address } else { Form::Filters };
    let filter = match form {
        // With the old form a client may kill itself.
        Form::Address => Filter { addr: Some(args.at(2).to_vec()), ..Filter::default() },
        Form::Filters => Filter::parse(args)?,
    };
    let asker = (session.core.id, session.conn.id);
    session.ask(KillClients { form, filter, asker }, Targets::All);
    Ok(())
}

/// The form decides the reply: whether the one was there, or how many were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Address,
    Filters,
}

/// What a client has to be; what is not said fits all.
#[derive(Debug, Default)]
struct Filter {
    id: Option<u64>,
    kind: Option<ClientType>,
    addr: Option<Vec<u8>>,
    local_addr: Option<Vec<u8>>,
    user: Option<Vec<u8>>,
    age_min_s: Option<u64>,
    skips_asker: bool,
}

impl Filter {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        const BAD_ID: CommandError = CommandError::text("ERR client-id should be greater than 0");
        let mut filter = Self { skips_asker: true, ..Self::default() };
        for at in (2..args.len()).step_by(2) {
            let value = args.get(at + 1).ok_or(CommandError::Syntax)?;
            if args.is(at, "ID") {
                filter.id = Some(positive(value).ok_or(BAD_ID)?);
            } else if args.is(at, "TYPE") {
                filter.kind = Some(ClientType::parse(value)?);
            } else if args.is(at, "ADDR") {
                filter.addr = Some(value.to_vec());
            } else if args.is(at, "LADDR") {
                filter.local_addr = Some(value.to_vec());
            } else if args.is(at, "USER") {
                filter.user = Some(known_user(value)?);
            } else if args.is(at, "SKIPME") {
                filter.skips_asker = parse_yes_no(args, at + 1)?;
            } else if args.is(at, "MAXAGE") {
                filter.age_min_s = Some(parse_age(value)?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(filter)
    }

    fn fits(&self, conn: &Conn, now_ms: u64) -> bool {
        let about = &conn.about;
        let age_s = now_ms.saturating_sub(about.created_ms) / 1000;
        self.id.is_none_or(|id| conn.client_id == id)
            && self.kind.is_none_or(|kind| ClientType::of(conn) == kind)
            && self.addr.as_ref().is_none_or(|addr| about.endpoints.peer().as_bytes() == addr)
            && self.local_addr.as_ref().is_none_or(|addr| about.endpoints.local().as_bytes() == addr)
            && self.user.as_ref().is_none_or(|user| about.user == *user)
            && self.age_min_s.is_none_or(|min| age_s >= min)
    }
}

fn positive(value: &[u8]) -> Option<u64> {
    parse_canonical(value).filter(|&number| number > 0).map(i64::unsigned_abs)
}

fn known_user(name: &[u8]) -> Result<Vec<u8>, CommandError> {
    if name == DEFAULT_USER {
        return Ok(name.to_vec());
    }
    Err(CommandError::quoting("ERR No such user '", name, "'"))
}

fn parse_yes_no(args: Args<'_>, at: usize) -> Result<bool, CommandError> {
    if args.is(at, "YES") {
        Ok(true)
    } else if args.is(at, "NO") {
        Ok(false)
    } else {
        Err(CommandError::Syntax)
    }
}

fn parse_age(value: &[u8]) -> Result<u64, CommandError> {
    const NOT_A_NUMBER: CommandError = CommandError::text("ERR maxage is not an integer or out of range");
    const NOT_POSITIVE: CommandError = CommandError::text("ERR maxage should be greater than 0");
    parse_canonical(value).ok_or(NOT_A_NUMBER)?;
    positive(value).ok_or(NOT_POSITIVE)
}

#[derive(Debug)]
struct KillClients {
    form: Form,
    filter: Filter,
    asker: (ReactorId, ConnId),
}

impl Errand for KillClients {
    type Answer = usize;

    /// The asker, if it is to go, goes once it has been answered.
    fn visit(&self, core: &mut Core) -> usize {
        let now_ms = core.env.now.unix_ms();
        let fitting: Vec<ConnId> = core
            .conns
            .iter()
            .filter(|conn| conn.closing != Closing::Now && self.filter.fits(conn, now_ms))
            .map(|conn| conn.id)
            .filter(|&id| !(self.filter.skips_asker && (core.id, id) == self.asker))
            .collect();
        for &id in &fitting {
            let when = if (core.id, id) == self.asker { Closing::AfterFlush } else { Closing::Now };
            core.close_client(id, when);
        }
        fitting.len()
    }

    fn finish(&self, answers: Vec<usize>, _: &mut Core, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        let killed: usize = answers.into_iter().sum();
        match (self.form, killed) {
            (Form::Filters, _) => reply.int(killed as i64),
            (Form::Address, 0) => return Err(CommandError::text("ERR No such client")),
            (Form::Address, _) => reply.ok(),
        }
        Ok(())
    }
}
