//! COMMAND and COMMAND INFO.

use bobbin_proto::Reply;

use crate::command::spec::{Begin, Command, Find, KeySpec, acl, flag, key_flag};
use crate::command::{Args, Session, commands, find_any, subcommands};
use crate::error::CommandError;

pub(super) fn all(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    session.reply(|reply| {
        reply.array(commands().count());
        commands().for_each(|row| info(reply, row));
    });
    Ok(())
}

/// A name that is no command's is answered with a null in its place.
pub(super) fn some(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    if args.len() == 2 {
        return all(session, args);
    }
    session.reply(|reply| {
        reply.array(args.len() - 2);
        for name in args.iter_from(2) {
            match find_any(name) {
                Some(row) => info(reply, row),
                None => reply.null(),
            }
        }
    });
    Ok(())
}

fn info(reply: &mut Reply<'_>, row: &Command) {
    reply.array(10);
    reply.bulk(row.name.as_bytes());
    reply.int(row.arity.into());
    names(reply, flag::NAMES.iter().filter(|&&(bit, _)| row.has(bit)).map(|&(_, name)| name.to_owned()));
    let (first, last, step) = row.legacy_keys();
    [first, last, step].into_iter().for_each(|number| reply.int(number));
    let categories = row.categories();
    names(
        reply,
        acl::NAMES.iter().filter(|&&(bit, _)| categories & bit != 0).map(|(_, name)| format!("@{name}")),
    );
    reply.set(row.tips.len());
    row.tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
    reply.set(row.keys.len());
    row.keys.iter().for_each(|spec| key_spec(reply, spec));
    match subcommands(row).count() {
        0 => reply.set(0),
        count => reply.array(count),
    }
    subcommands(row).for_each(|sub| info(reply, sub));
}

/// A set of statuses.
fn names(reply: &mut Reply<'_>, names: impl Iterator<Item = String> + Clone) {
    reply.set(names.clone().count());
    names.for_each(|name| reply.simple(&name));
}

pub(super) fn key_flags(reply: &mut Reply<'_>, flags: u16) {
    let set = key_flag::NAMES.iter().filter(|&&(bit, _)| flags & bit != 0);
    names(reply, set.map(|&(_, name)| name.to_owned()));
}

fn key_spec(reply: &mut Reply<'_>, spec: &KeySpec) {
    reply.map(3);
    reply.bulk(b"flags");
    key_flags(reply, spec.flags);
    reply.bulk(b"begin_search");
    match spec.begin {
        Begin::Index(index) => part(reply, "index", &[("index", index.into())]),
        Begin::Keyword { word, from } | Begin::Option { word, from, .. } => {
            head(reply, "keyword", 2);
            reply.bulk(b"keyword");
            reply.bulk(word.as_bytes());
            number(reply, "startfrom", from.into());
        }
        Begin::Unknown => part(reply, "unknown", &[]),
    }
    reply.bulk(b"find_keys");
    match spec.find {
        Find::Range { last, step, limit } => part(
            reply,
            "range",
            &[("lastkey", last.into()), ("keystep", step.into()), ("limit", limit.into())],
        ),
        Find::Keynum { at, first, step } => part(
            reply,
            "keynum",
            &[("keynumidx", at.into()), ("firstkey", first.into()), ("keystep", step.into())],
        ),
        Find::Unknown => part(reply, "unknown", &[]),
    }
}

/// One half of a key specification: its type, and the numbers that belong to it.
fn part(reply: &mut Reply<'_>, kind: &str, numbers: &[(&str, i64)]) {
    head(reply, kind, numbers.len());
    numbers.iter().for_each(|&(name, value)| number(reply, name, value));
}

fn head(reply: &mut Reply<'_>, kind: &str, pairs: usize) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(pairs);
}

fn number(reply: &mut Reply<'_>, name: &str, value: i64) {
    reply.bulk(name.as_bytes());
    reply.int(value);
}
