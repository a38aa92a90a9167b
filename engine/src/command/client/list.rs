//! CLIENT INFO and CLIENT LIST. The lines themselves are made by [`Conn::describe`](crate::conn::Conn::describe).

use bobbin_proto::Reply;

use super::ClientType;
use crate::command::{Args, Session};
use crate::core::Core;
use crate::errand::{Errand, Targets};
use crate::error::CommandError;
use crate::store::parse_canonical;

const TEXT: [u8; 3] = *b"txt";

pub(super) fn info(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let mut line = Vec::new();
    session.conn.describe(session.core.env.now.unix_ms(), &mut line);
    session.reply(|reply| reply.verbatim(TEXT, &line));
    Ok(())
}

pub(super) fn list(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let which = Which::parse(args)?;
    session.ask(ListClients(which), Targets::All);
    Ok(())
}

#[derive(Debug)]
enum Which {
    All,
    Type(ClientType),
    Ids(Ids),
}

impl Which {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        const NOT_AN_ID: CommandError = CommandError::text("ERR Invalid client ID");
        if args.len() == 2 {
            Ok(Self::All)
        } else if args.len() == 4 && args.is(2, "TYPE") {
            ClientType::parse(args.at(3)).map(Self::Type)
        } else if args.len() > 3 && args.is(2, "ID") {
            args.iter_from(3)
                .map(|id| parse_canonical(id).ok_or(NOT_AN_ID))
                .collect::<Result<_, _>>()
                .map(|ids| Self::Ids(Ids::new(ids)))
        } else {
            Err(CommandError::Syntax)
        }
    }
}

#[derive(Debug)]
struct Ids {
    /// Answered in this order, and as often as named.
    as_named: Vec<i64>,
    /// Looked up for every client.
    sorted: Vec<i64>,
}

impl Ids {
    fn new(as_named: Vec<i64>) -> Self {
        let mut sorted = as_named.clone();
        sorted.sort_unstable();
        Self { as_named, sorted }
    }
}

#[derive(Debug)]
struct ListClients(Which);

impl Errand for ListClients {
    type Answer = Vec<(i64, Vec<u8>)>;

    fn visit(&self, core: &mut Core) -> Self::Answer {
        let now_ms = core.env.now.unix_ms();
        core.conns
            .iter()
            .filter(|conn| match &self.0 {
                Which::All => true,
                Which::Type(wanted) => ClientType::of(conn) == *wanted,
                Which::Ids(ids) => ids.sorted.binary_search(&(conn.client_id as i64)).is_ok(),
            })
            .map(|conn| {
                let mut line = Vec::new();
                conn.describe(now_ms, &mut line);
                (conn.client_id as i64, line)
            })
            .collect()
    }

    fn finish(
        &self,
        answers: Vec<Self::Answer>,
        _: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        let mut lines: Vec<_> = answers.into_iter().flatten().collect();
        lines.sort_unstable_by_key(|(id, _)| *id);
        let text = match &self.0 {
            Which::Ids(ids) => ids
                .as_named
                .iter()
                .filter_map(|id| lines.binary_search_by_key(id, |(id, _)| *id).ok())
                .flat_map(|at| lines[at].1.iter().copied())
                .collect(),
            Which::All | Which::Type(_) => lines.into_iter().flat_map(|(_, line)| line).collect::<Vec<_>>(),
        };
        reply.verbatim(TEXT, &text);
        Ok(())
    }
}
