//! Replies that cannot be compared by themselves: walks and random draws. More is asked of the servers, and what one
//! of them took away at random is then taken away from the other.

use std::collections::BTreeSet;

use bobbin_proto::Value;

use super::call::Call;
use super::exceptions::unordered;
use super::session::{Broken, Two};

/// Calls after which a walk that does not end is one that never will.
const WALK_CALLS_MAX: usize = 100_000;

/// Whether the replies to an interactive command are both right; errors are compared before.
pub fn is_right(two: &mut Two, call: &Call, bobbin: &Value, oracle: &Value) -> Result<bool, Broken> {
    match call.name().as_str() {
        "SCAN" => is_same_walk(two, call, 1, bobbin, oracle),
        "SSCAN" | "HSCAN" | "ZSCAN" => is_same_walk(two, call, 2, bobbin, oracle),
        "SPOP" => took_members(two, call, bobbin, oracle),
        "RANDOMKEY" => is_key(two, bobbin, oracle),
        name if name.starts_with("GEO") => is_as_near(two, call, bobbin, oracle),
        "SORT" | "SORT_RO" => has_no_order(two, call, bobbin, oracle),
        _ => drew_members(two, call, bobbin, oracle),
    }
}

fn is_same_walk(
    two: &mut Two,
    call: &Call,
    cursor_at: usize,
    bobbin: &Value,
    oracle: &Value,
) -> Result<bool, Broken> {
    if call.0[cursor_at] != b"0" {
        // A cursor that is not the server's own leads anywhere.
        return Ok(page(bobbin).is_some() && page(oracle).is_some());
    }
    let together = if call.name() == "SCAN" || call.name() == "SSCAN" { 1 } else { 2 };
    let bobbin = walk(call, cursor_at, together, bobbin, |args| two.ask_bobbin(args))?;
    let oracle = walk(call, cursor_at, together, oracle, |args| two.ask_oracle(args))?;
    Ok(bobbin.is_some() && bobbin == oracle)
}

/// All that a walk returns, from its first reply on.
fn walk(
    call: &Call,
    cursor_at: usize,
    together: usize,
    first: &Value,
    mut ask: impl FnMut(&[Vec<u8>]) -> Result<Value, Broken>,
) -> Result<Option<BTreeSet<String>>, Broken> {
    let (mut all, mut args, mut reply) = (BTreeSet::new(), call.0.clone(), first.clone());
    for _ in 0..WALK_CALLS_MAX {
        let Some((cursor, items)) = page(&reply) else { return Ok(None) };
        all.extend(items.chunks(together).map(|item| format!("{item:?}")));
        if cursor == b"0" {
            return Ok(Some(all));
        }
        args[cursor_at] = cursor.to_vec();
        reply = ask(&args)?;
    }
    Ok(None)
}

fn page(reply: &Value) -> Option<(&[u8], &[Value])> {
    let Value::Array(reply) = reply else { return None };
    match &reply[..] {
        [Value::Bulk(cursor), Value::Array(items)] => Some((cursor, items)),
        _ => None,
    }
}

/// Brings the oracle's set to what Bobbin left of its own.
fn took_members(two: &mut Two, call: &Call, bobbin: &Value, oracle: &Value) -> Result<bool, Broken> {
    let (taken, others) = (items(bobbin), items(oracle));
    let is_same_shape = std::mem::discriminant(bobbin) == std::mem::discriminant(oracle);
    if !is_same_shape || taken.len() != others.len() {
        return Ok(false);
    }
    if unordered(&Value::Array(taken.clone()), 1) == unordered(&Value::Array(others.clone()), 1) {
        return Ok(true);
    }
    let with = |name: &str, members: &[Value]| {
        let head = [name.as_bytes().to_vec(), call.0[1].clone()];
        head.into_iter().chain(members.iter().map(|member| bytes(member).to_vec())).collect::<Vec<_>>()
    };
    two.ask_oracle(&with("SADD", &others))?;
    let removed = two.ask_oracle(&with("SREM", &taken))?;
    Ok(removed == Value::Int(taken.len() as i64))
}

/// Whether as many members as the oracle's were drawn, all of them members, and different if that was asked.
fn drew_members(two: &mut Two, call: &Call, bobbin: &Value, oracle: &Value) -> Result<bool, Broken> {
    let together = if call.0.len() > 3 { 2 } else { 1 };
    let mut read = match call.name().as_str() {
        "SRANDMEMBER" => vec![b"SMEMBERS".to_vec(), call.0[1].clone()],
        "HRANDFIELD" => vec![b"HGETALL".to_vec(), call.0[1].clone()],
        _ => [&b"ZRANGE"[..], &call.0[1], b"0", b"-1", b"WITHSCORES"].map(<[u8]>::to_vec).to_vec(),
    };
    let all = two.ask_oracle(&read.split_off(0))?;
    let (drawn, others) = (flat(bobbin), flat(oracle));
    let all = flat(&all);
    let step = if call.name() == "SRANDMEMBER" { 1 } else { 2 };
    let is_there = |item: &[Value]| all.chunks(step).any(|member| member[..together] == *item);
    let different: BTreeSet<String> = drawn.chunks(together).map(|item| format!("{item:?}")).collect();
    let may_repeat = call.number(2).is_some_and(|count| count < 0);
    Ok(shape(bobbin) == shape(oracle)
        && drawn.len() == others.len()
        && drawn.chunks(together).all(is_there)
        && (may_repeat || different.len() * together == drawn.len()))
}

fn is_key(two: &mut Two, bobbin: &Value, oracle: &Value) -> Result<bool, Broken> {
    let (Value::Bulk(key), Value::Bulk(_)) = (bobbin, oracle) else { return Ok(false) };
    Ok(two.ask_oracle(&[b"EXISTS".to_vec(), key.clone()])? == Value::Int(1))
}

/// The same distances in the same order, of any members.
fn is_as_near(two: &mut Two, call: &Call, bobbin: &Value, oracle: &Value) -> Result<bool, Broken> {
    let mut args = call.0.clone();
    if !call.has("WITHDIST") {
        args.push(b"WITHDIST".to_vec());
    }
    let distances =
        |reply: &Value| items(reply).iter().map(|found| items(found).get(1).cloned()).collect::<Vec<_>>();
    let nearest = distances(&two.ask_bobbin(&args)?) == distances(&two.ask_oracle(&args)?);
    Ok(nearest && items(bobbin).len() == items(oracle).len())
}

/// A set that is not sorted has no order, nor have elements that are equal by the keys that ALPHA compares: all in any
/// order are as good, or with LIMIT as many.
fn has_no_order(two: &mut Two, call: &Call, bobbin: &Value, oracle: &Value) -> Result<bool, Broken> {
    let kind = two.ask_oracle(&[b"TYPE".to_vec(), call.0[1].clone()])?;
    let is_set = kind == Value::Simple(b"set".to_vec());
    let by = (2..call.0.len()).rfind(|&at| call.is(at, "BY")).and_then(|at| call.0.get(at + 1));
    let is_open = by.is_some_and(|by| if by.contains(&b'*') { call.has("ALPHA") } else { is_set });
    let together = 1.max((2..call.0.len()).filter(|&at| call.is(at, "GET")).count());
    let (bobbin, oracle) = (unordered(bobbin, together), unordered(oracle, together));
    let lens = |items: &Option<Vec<Vec<Value>>>| items.as_ref().map(Vec::len);
    let is_same = if call.has("LIMIT") { lens(&bobbin) == lens(&oracle) } else { bobbin == oracle };
    Ok(is_open && bobbin.is_some() && is_same)
}

/// The types of a reply and of its first item, which may be a pair.
fn shape(reply: &Value) -> String {
    let name = |value: &Value| format!("{:?}", std::mem::discriminant(value));
    let first = items(reply).first().map(name);
    format!("{} {first:?}", name(reply))
}

/// The items of a reply, or the one it is.
fn items(reply: &Value) -> Vec<Value> {
    match reply {
        Value::Array(items) | Value::Set(items) => items.clone(),
        one => vec![one.clone()],
    }
}

/// Pairs, however a protocol nests them, taken apart.
pub fn flat(reply: &Value) -> Vec<Value> {
    match reply {
        Value::Array(items) | Value::Set(items) => items.iter().flat_map(flat).collect(),
        Value::Map(pairs) => pairs.iter().flat_map(|(key, value)| [key.clone(), value.clone()]).collect(),
        one => vec![one.clone()],
    }
}

fn bytes(value: &Value) -> &[u8] {
    match value {
        Value::Bulk(bytes) => bytes,
        _ => b"",
    }
}
