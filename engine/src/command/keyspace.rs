//! Whole databases: counting, emptying and swapping them.

use bobbin_proto::Reply;

use super::spec::{Command, Group, Run, acl, command, flag};
use super::{Args, OwnedArgs, Session};
use crate::core::{Core, Env};
use crate::errand::{Errand, Need, Targets};
use crate::error::CommandError;
use crate::nodes::refuse_as_node;
use crate::store::parse_canonical;

const ALL_SHARDS_OK: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

const SYNC_IS_ASYNC: &str =
    "SYNC and ASYNC come to the same: the keys are gone at once, their memory is freed in small steps.";

pub const ROWS: &[Command] = &[
    command("dbsize", 1, flag::READONLY | flag::FAST | flag::BARRIER, Group::Server, Run::Conn(dbsize))
        .acl(acl::KEYSPACE)
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"])
        .differs("Each core is looked at in its own moment.")
        .docs("1.0.0", "O(1)", "Answers how many keys the database holds.", ""),
    command("flushdb", -1, flag::WRITE | flag::BARRIER, Group::Server, Run::Conn(flushdb))
        .acl(acl::KEYSPACE | acl::DANGEROUS)
        .tips(ALL_SHARDS_OK)
        .differs(SYNC_IS_ASYNC)
        .docs(
            "1.0.0",
            "O(1), and O(N) afterwards in small steps, with N keys",
            "Removes every key of the database.",
            "[ASYNC|SYNC]",
        )
        .on_replay(flush_again),
    command("flushall", -1, flag::WRITE | flag::BARRIER, Group::Server, Run::Conn(flushall))
        .acl(acl::KEYSPACE | acl::DANGEROUS)
        .tips(ALL_SHARDS_OK)
        .differs(SYNC_IS_ASYNC)
        .docs(
            "1.0.0",
            "O(1), and O(N) afterwards in small steps, with N keys",
            "Removes every key of every database.",
            "[ASYNC|SYNC]",
        )
        .on_replay(flush_again),
    command("swapdb", 3, flag::WRITE | flag::FAST | flag::BARRIER, Group::Server, Run::Conn(swapdb))
        .acl(acl::KEYSPACE | acl::DANGEROUS)
        .docs("4.0.0", "O(1)", "Lets two databases change places.", "index1 index2")
        .on_replay(swap_again),
];

/// The number of a database, as SELECT and its like take it.
pub(super) fn parse_db(arg: &[u8], env: &Env) -> Result<u16, CommandError> {
    let number = parse_canonical(arg).ok_or(CommandError::NotInteger)?;
    if i32::try_from(number).is_err() {
        return Err(CommandError::text(
            "ERR value is out of range, value must between -2147483648 and 2147483647",
        ));
    }
    existing_db(number, env)
}

fn existing_db(number: i64, env: &Env) -> Result<u16, CommandError> {
    u16::try_from(number)
        .ok()
        .filter(|&index| u32::from(index) < env.config.databases)
        .ok_or(CommandError::text("ERR DB index is out of range"))
}

fn dbsize(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let db = session.conn.db as usize;
    session.ask(DbSize { db }, session.own_keys());
    Ok(())
}

#[derive(Debug)]
struct DbSize {
    db: usize,
}

impl Errand for DbSize {
    type Answer = usize;

    fn need(&self) -> Need {
        Need::WholeShard
    }

    fn visit(&self, core: &mut Core) -> usize {
        core.shard.keyspace.db(self.db).len()
    }

    fn finish(&self, sizes: Vec<usize>, _: &mut Core, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        reply.int(sizes.iter().sum::<usize>() as i64);
        Ok(())
    }
}

fn flushdb(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    check_flush_mode(args)?;
    let db = Some(session.conn.db as usize);
    session.ask(Flush { db }, Targets::All);
    Ok(())
}

fn flushall(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    check_flush_mode(args)?;
    session.ask(Flush { db: None }, Targets::All);
    Ok(())
}

/// SYNC and ASYNC come to the same: the keys are gone when the reply is sent, and their memory is freed in slices by
/// the shard that holds it.
fn check_flush_mode(args: Args<'_>) -> Result<(), CommandError> {
    match args.len() {
        1 => Ok(()),
        2 if args.is(1, "sync") || args.is(1, "async") => Ok(()),
        _ => Err(CommandError::Syntax),
    }
}

fn flush_again(core: &mut Core, db: usize, args: Args<'_>) {
    Flush { db: args.is(0, "flushdb").then_some(db) }.visit(core);
}

#[derive(Debug)]
struct Flush {
    /// All, where none is named.
    db: Option<usize>,
}

impl Errand for Flush {
    type Answer = ();

    fn need(&self) -> Need {
        Need::Atomic
    }

    fn effect(&self) -> Option<(usize, OwnedArgs)> {
        let name: &[u8] = if self.db.is_some() { b"FLUSHDB" } else { b"FLUSHALL" };
        Some((self.db.unwrap_or(0), OwnedArgs::new(std::iter::once(name))))
    }

    fn visit(&self, core: &mut Core) {
        core.flush(self.db);
    }

    fn finish(&self, _: Vec<()>, _: &mut Core, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        reply.ok();
        Ok(())
    }
}

fn swapdb(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    refuse_as_node(session.conn.session, "SWAPDB")?;
    let number = |index: usize| parse_canonical(args.at(index)).filter(|n| i32::try_from(*n).is_ok());
    let first = number(1).ok_or(CommandError::text("ERR invalid first DB index"))?;
    let second = number(2).ok_or(CommandError::text("ERR invalid second DB index"))?;
    let env = &session.core.env;
    let (first, second) = (existing_db(first, env)?, existing_db(second, env)?);
    session.ask(SwapDb { first: first.into(), second: second.into() }, Targets::All);
    Ok(())
}

fn swap_again(core: &mut Core, _: usize, args: Args<'_>) {
    let [first, second] = [1, 2].map(|index| parse_db(args.at(index), &core.env));
    if let (Ok(first), Ok(second)) = (first, second) {
        SwapDb { first: first.into(), second: second.into() }.visit(core);
    }
}

#[derive(Debug)]
struct SwapDb {
    first: usize,
    second: usize,
}

impl Errand for SwapDb {
    type Answer = ();

    fn need(&self) -> Need {
        Need::Atomic
    }

    fn effect(&self) -> Option<(usize, OwnedArgs)> {
        let [first, second] = [self.first, self.second].map(|db| db.to_string().into_bytes());
        Some((0, OwnedArgs::new([b"SWAPDB", &first[..], &second].into_iter())))
    }

    fn visit(&self, core: &mut Core) {
        core.shard.swapdb(self.first, self.second, core.env.now.unix_ms());
    }

    fn finish(&self, _: Vec<()>, _: &mut Core, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        reply.ok();
        Ok(())
    }
}
