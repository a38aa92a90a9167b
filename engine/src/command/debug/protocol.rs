//! DEBUG PROTOCOL: a reply of every type, for those who write clients. The replies are Redis's.

use bobbin_proto::{Reply, Version};

use super::super::{Args, Session};
use crate::error::CommandError;

type Write = fn(&mut Reply<'_>);

/// Not meant for pi: an example of a number.
#[expect(clippy::approx_constant, reason = "it is what Redis answers")]
const DOUBLE: f64 = 3.141;

static TYPES: &[(&str, Write)] = &[
    ("string", |reply| reply.bulk(b"Hello World")),
    ("integer", |reply| reply.int(12345)),
    ("double", |reply| reply.double(DOUBLE)),
    ("bignum", |reply| reply.big_number("1234567999999999999999999999999999999")),
    ("null", |reply| reply.null()),
    ("array", |reply| {
        reply.array(3);
        (0..3).for_each(|n| reply.int(n));
    }),
    ("set", |reply| {
        reply.set(3);
        (0..3).for_each(|n| reply.int(n));
    }),
    ("map", |reply| {
        reply.map(3);
        for n in 0..3 {
            reply.int(n);
            reply.bool(n == 1);
        }
    }),
    ("attrib", |reply| {
        if reply.attribute(1) {
            reply.bulk(b"key-popularity");
            reply.array(2);
            reply.bulk(b"key:123");
            reply.int(90);
        }
        reply.bulk(b"Some real reply following the attribute");
    }),
    ("push", |reply| {
        reply.push(2);
        reply.bulk(b"server-cpu-usage");
        reply.int(42);
        reply.bulk(b"Some real reply following the push reply");
    }),
    ("verbatim", |reply| reply.verbatim(*b"txt", b"This is a verbatim\nstring")),
    ("true", |reply| reply.bool(true)),
    ("false", |reply| reply.bool(false)),
];

pub(super) fn debug_protocol(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let Some((name, write)) = TYPES.iter().find(|(name, _)| args.is(2, name)) else {
        let names: Vec<_> = TYPES.iter().map(|&(name, _)| name).collect();
        return Err(CommandError::owned(format!(
            "ERR Wrong protocol type name. Please use one of the following: {}",
            names.join("|")
        )));
    };
    if *name == "push" && session.conn.version() == Version::Resp2 {
        return Err(CommandError::text("ERR RESP2 is not supported by this command"));
    }
    session.reply(write);
    Ok(())
}
