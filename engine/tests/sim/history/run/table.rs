//! The commands of a history: a row each.

use bobbin_proto::Value;

use super::{Cx, Ran};

/// What a command does as far as the order of a history is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::history) enum Kind {
    Reads,
    Writes,
    /// Writes, and may wait.
    Waits,
    /// Reads, and may wait.
    ReadsOrWaits,
    /// Takes one step of the whole database.
    All,
    /// Looks at every shard at its own moment, unless it is in a block.
    Walks,
}

#[derive(Debug)]
pub(in crate::history) struct Row {
    pub(in crate::history) name: &'static str,
    pub(in crate::history) kind: Kind,
    pub(in crate::history) run: fn(&mut Cx<'_>) -> Ran,
}

const fn row(name: &'static str, kind: Kind, run: fn(&mut Cx<'_>) -> Ran) -> Row {
    Row { name, kind, run }
}

fn not_looked_at(_: &mut Cx<'_>) -> Ran {
    Ok(Value::Null)
}

pub(in crate::history) const ROWS: &[Row] = &[
    row("GET", Kind::Reads, |cx| cx.get()),
    row("SET", Kind::Writes, |cx| cx.set()),
    row("SETNX", Kind::Writes, |cx| cx.setnx()),
    row("GETSET", Kind::Writes, |cx| cx.getset()),
    row("GETDEL", Kind::Writes, |cx| cx.getdel()),
    row("INCRBY", Kind::Writes, |cx| cx.incrby()),
    row("DECRBY", Kind::Writes, |cx| cx.decrby()),
    row("MSET", Kind::Writes, |cx| cx.mset()),
    row("MSETNX", Kind::Writes, |cx| cx.msetnx()),
    row("MGET", Kind::Reads, |cx| cx.mget()),
    row("DEL", Kind::Writes, |cx| cx.del()),
    row("UNLINK", Kind::Writes, |cx| cx.del()),
    row("EXISTS", Kind::Reads, |cx| cx.exists()),
    row("TOUCH", Kind::Reads, |cx| cx.exists()),
    row("RENAME", Kind::Writes, |cx| cx.rename()),
    row("RENAMENX", Kind::Writes, |cx| cx.renamenx()),
    row("COPY", Kind::Writes, |cx| cx.copy()),
    row("MOVE", Kind::Writes, |cx| cx.move_to_db()),
    row("PEXPIREAT", Kind::Writes, |cx| cx.pexpireat()),
    row("PERSIST", Kind::Writes, |cx| cx.persist()),
    row("LPUSH", Kind::Writes, |cx| cx.push(true)),
    row("RPUSH", Kind::Writes, |cx| cx.push(false)),
    row("LPOP", Kind::Writes, |cx| cx.pop(true)),
    row("RPOP", Kind::Writes, |cx| cx.pop(false)),
    row("LLEN", Kind::Reads, |cx| cx.llen()),
    row("LRANGE", Kind::Reads, |cx| cx.lrange()),
    row("LMOVE", Kind::Writes, |cx| cx.lmove()),
    row("RPOPLPUSH", Kind::Writes, |cx| cx.move_element(false, true)),
    row("LMPOP", Kind::Writes, |cx| cx.mpop(1)),
    row("BLPOP", Kind::Waits, |cx| cx.bpop(true)),
    row("BRPOP", Kind::Waits, |cx| cx.bpop(false)),
    row("BLMOVE", Kind::Waits, |cx| cx.bmove(cx.at(3).is("LEFT"), cx.at(4).is("LEFT"))),
    row("BRPOPLPUSH", Kind::Waits, |cx| cx.bmove(false, true)),
    row("BLMPOP", Kind::Waits, |cx| cx.mpop(2)),
    row("SADD", Kind::Writes, |cx| cx.change_members(true)),
    row("SREM", Kind::Writes, |cx| cx.change_members(false)),
    row("SISMEMBER", Kind::Reads, |cx| cx.sismember()),
    row("SCARD", Kind::Reads, |cx| cx.scard()),
    row("SMOVE", Kind::Writes, |cx| cx.smove()),
    row("SINTERSTORE", Kind::Writes, |cx| {
        cx.store_set(|all, set| all.iter().filter(|member| set.contains(member)).copied().collect())
    }),
    row("SUNIONSTORE", Kind::Writes, |cx| cx.store_set(|all, set| [all, set].concat())),
    row("SDIFFSTORE", Kind::Writes, |cx| {
        cx.store_set(|all, set| all.iter().filter(|member| !set.contains(member)).copied().collect())
    }),
    row("ZADD", Kind::Writes, |cx| cx.zadd()),
    row("ZCARD", Kind::Reads, |cx| cx.zcard()),
    row("ZPOPMIN", Kind::Writes, |cx| cx.zpop(true)),
    row("ZPOPMAX", Kind::Writes, |cx| cx.zpop(false)),
    row("ZMPOP", Kind::Writes, |cx| cx.zmpop(1)),
    row("BZPOPMIN", Kind::Waits, |cx| cx.bzpop(true)),
    row("BZPOPMAX", Kind::Waits, |cx| cx.bzpop(false)),
    row("BZMPOP", Kind::Waits, |cx| cx.zmpop(2)),
    row("HSET", Kind::Writes, |cx| cx.hset()),
    row("HGET", Kind::Reads, |cx| cx.hget()),
    row("XADD", Kind::Writes, |cx| cx.xadd()),
    row("XLEN", Kind::Reads, |cx| cx.xlen()),
    row("XREAD", Kind::ReadsOrWaits, |cx| cx.xread()),
    row("SORT", Kind::All, |cx| cx.sort()),
    row("SWAPDB", Kind::All, |cx| cx.swapdb()),
    row("FLUSHALL", Kind::All, |cx| cx.flushall()),
    row("FLUSHDB", Kind::All, |cx| cx.flushdb()),
    row("DBSIZE", Kind::Walks, |cx| cx.dbsize()),
    row("KEYS", Kind::Walks, not_looked_at),
    row("SCAN", Kind::Walks, not_looked_at),
    row("RANDOMKEY", Kind::Walks, not_looked_at),
    row("WAIT", Kind::Walks, not_looked_at),
    row("CLIENT", Kind::Walks, not_looked_at),
];
