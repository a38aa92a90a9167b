//! Single places: putting them in, and telling where they are.

use bobbin_proto::Reply;

use super::super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::super::zset::{self, add};
use super::super::{Args, Cx};
use super::geohash::Position;
use super::{READ, position, reply_distance, reply_position, shape, unit};
use crate::error::CommandError;
use crate::store::Zset;

/// Longitude, latitude, member.
const PLACE_ARGS: usize = 3;

pub const ROWS: &[Command] = &[
    command("geoadd", -5, flag::WRITE | flag::DENYOOM, Group::Geo, Run::Shard(geoadd))
        .keys(&[KeySpec::one(1, key_flag::RW | key_flag::UPDATE)])
        .docs(
            "3.2.0",
            "O(log(N)) a member, with N in the sorted set",
            "Puts members with positions into a sorted set, or moves those there.",
            "key [NX|XX] [CH] longitude latitude member [longitude latitude member ...]",
        ),
    command("geopos", -2, flag::READONLY, Group::Geo, Run::Shard(geopos))
        .keys(&[KeySpec::one(1, READ)])
        .docs(
            "3.2.0",
            "O(1) a member",
            "Answers the longitudes and latitudes of members.",
            "key member [member ...]",
        ),
    command("geodist", -4, flag::READONLY, Group::Geo, Run::Shard(geodist))
        .keys(&[KeySpec::one(1, READ)])
        .docs("3.2.0", "O(1)", "Answers how far two members are apart.", "key member1 member2 [M|KM|FT|MI]"),
    command("geohash", -2, flag::READONLY, Group::Geo, Run::Shard(geohash))
        .keys(&[KeySpec::one(1, READ)])
        .docs(
            "3.2.0",
            "O(1) a member",
            "Answers the positions of members as geohashes.",
            "key member [member ...]",
        ),
];

fn geoadd(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (options, first) = parse_add(args)?;
    let place = |at| Ok((position(args, at)?.score(), args.at(at + 2)));
    let places = (first..args.len()).step_by(PLACE_ARGS).map(place);
    let done = add::add(cx, args.at(1), places, options)?;
    reply.int(done.count(options) as i64);
    Ok(())
}

/// The options, and where the places begin.
fn parse_add(args: Args<'_>) -> Result<(add::Options, usize), CommandError> {
    let mut options = add::Options::default();
    let mut at = 2;
    while at < args.len() {
        match () {
            () if args.is(at, "nx") => options.only_new = true,
            () if args.is(at, "xx") => options.only_present = true,
            () if args.is(at, "ch") => options.count_changed = true,
            () => break,
        }
        at += 1;
    }
    let words = args.len() - at;
    let is_whole = words > 0 && words.is_multiple_of(PLACE_ARGS);
    if !is_whole || options.only_new && options.only_present {
        return Err(CommandError::Syntax);
    }
    Ok((options, at))
}

fn geopos(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let zset = zset::find(cx, args.at(1))?;
    reply.array(args.len() - 2);
    for member in args.iter_from(2) {
        match zset.and_then(|zset| position_of(zset, member)) {
            Some(position) => reply_position(position, reply),
            None => reply.null_array(),
        }
    }
    Ok(())
}

fn geodist(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let unit = match args.len() {
        4 => 1.0,
        5 => unit(args.at(4))?,
        _ => return Err(CommandError::Syntax),
    };
    let Some(zset) = zset::find(cx, args.at(1))? else {
        reply.null();
        return Ok(());
    };
    match position_of(zset, args.at(2)).zip(position_of(zset, args.at(3))) {
        Some((from, to)) => reply_distance(shape::distance(from, to) / unit, reply),
        None => reply.null(),
    }
    Ok(())
}

fn geohash(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let zset = zset::find(cx, args.at(1))?;
    reply.array(args.len() - 2);
    for member in args.iter_from(2) {
        match zset.and_then(|zset| position_of(zset, member)) {
            Some(position) => reply.bulk(&position.text()),
            None => reply.null(),
        }
    }
    Ok(())
}

pub(super) fn position_of(zset: &Zset, member: &[u8]) -> Option<Position> {
    zset.score(member).map(Position::from_score)
}
