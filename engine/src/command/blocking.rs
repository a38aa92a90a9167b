//! What commands that wait have in common: how long, for what, and what a wait for one key is.
//!
//! A blocking command's handler is that of its twin that does not wait, but writes nothing where there is nothing to
//! be had. The core decides what becomes of it then: a wait, or the answer of a time-out.

use bobbin_proto::Reply;

use super::args::{Args, OwnedArgs};
use super::context::Cx;
use super::long_double::LongDouble;
use crate::error::CommandError;
use crate::store::Type;

/// How long a command waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Not at all.
    None,
    Ms(u64),
    Forever,
}

/// What is answered in a transaction when there is nothing to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {
    Null,
    NullArray,
}

impl Nothing {
    pub fn write(self, reply: &mut Reply<'_>) {
        match self {
            Self::Null => reply.null(),
            Self::NullArray => reply.null_array(),
        }
    }
}

/// How a command waits. It waits on the keys that its key specification says it accesses.
#[derive(Clone, Copy, Debug)]
pub struct Blocking {
    /// The type of value that ends a wait.
    pub serves: Type,
    pub nothing: Nothing,
    /// Of arguments that the handler has accepted.
    pub patience: fn(Args<'_>) -> Patience,
    /// The request as it waits: what depends on the moment (`$`) is settled.
    pub settle: fn(&mut Cx<'_>, Args<'_>) -> OwnedArgs,
    /// The request for one of its keys alone, by the key's index.
    pub narrow: fn(Args<'_>, usize) -> OwnedArgs,
    /// A wait ends, with an error, when the key goes.
    pub ends_with_key: bool,
}

/// Nothing in the request depends on the moment.
pub fn as_it_is(_: &mut Cx<'_>, args: Args<'_>) -> OwnedArgs {
    args.into()
}

/// A name, keys, and a time-out at the end.
pub fn narrow_keys(args: Args<'_>, key: usize) -> OwnedArgs {
    OwnedArgs::new([0, key, args.len() - 1].into_iter().map(|index| args.at(index)))
}

/// A name, a time-out, the number of keys, the keys, and more.
pub fn narrow_counted(args: Args<'_>, key: usize) -> OwnedArgs {
    let keys: usize = std::str::from_utf8(args.at(2)).ok().and_then(|count| count.parse().ok()).unwrap_or(0);
    let head = [args.at(0), args.at(1), b"1", args.at(key)];
    OwnedArgs::new(head.into_iter().chain(args.iter_from(3 + keys)))
}

/// All keys belong together.
pub fn narrow_to_all(args: Args<'_>, _: usize) -> OwnedArgs {
    args.into()
}

pub fn patience_at_end(args: Args<'_>) -> Patience {
    patience(args.last()).unwrap_or(Patience::None)
}

pub fn patience_first(args: Args<'_>) -> Patience {
    patience(args.at(1)).unwrap_or(Patience::None)
}

const NOT_A_TIMEOUT: CommandError = CommandError::text("ERR timeout is not a float or out of range");
const NEGATIVE: CommandError = CommandError::text("ERR timeout is negative");

/// A time-out in seconds, with a fraction; 0 is forever. What does not fit the milliseconds of an i64 is negative, as
/// in Redis.
pub fn patience(arg: &[u8]) -> Result<Patience, CommandError> {
    const MS_END: f64 = 9_223_372_036_854_775_808.0;
    let ms = (LongDouble::parse(arg).ok_or(NOT_A_TIMEOUT)?.to_f64() * 1000.0).ceil();
    match ms {
        0.0 => Ok(Patience::Forever),
        ms if ms > 0.0 && ms < MS_END => Ok(Patience::Ms(ms as u64)),
        _ => Err(NEGATIVE),
    }
}
