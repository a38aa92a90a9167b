//! Places on the globe, kept as members of sorted sets.
//!
//! | module | owns |
//! |---|---|
//! | `geohash` | positions as scores, and the grid that scores make |
//! | `shape` | distances, areas, the cells that cover an area |
//! | `point` | GEOADD, GEOPOS, GEODIST, GEOHASH |
//! | `search` | GEOSEARCH, GEORADIUS and their kin |
//!
//! Invariant: a place is nothing but a score. Every command on sorted sets works on places, and members of any score
//! are places here.
//!
//! Source: replies, digits, errors and their precedence are those of redis-server 7.0.15.

mod geohash;
pub mod point;
pub mod search;
mod shape;

use std::fmt::Write;

use bobbin_proto::Reply;

use self::geohash::Position;
use super::Args;
use super::number::double;
use super::spec::key_flag;
use crate::error::CommandError;

const READ: u16 = key_flag::RO | key_flag::ACCESS;

/// Longitude and latitude, from the argument `at` on.
fn position(args: Args<'_>, at: usize) -> Result<Position, CommandError> {
    let position = Position { longitude: double(args.at(at))?, latitude: double(args.at(at + 1))? };
    if position.is_in_range() {
        return Ok(position);
    }
    let Position { longitude, latitude } = position;
    Err(CommandError::owned(format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}")))
}

/// How many metres a unit has.
fn unit(word: &[u8]) -> Result<f64, CommandError> {
    let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    match () {
        () if is("m") => Ok(1.0),
        () if is("km") => Ok(1000.0),
        () if is("ft") => Ok(0.3048),
        () if is("mi") => Ok(1609.34),
        () => Err(CommandError::text("ERR unsupported unit provided. please use M, KM, FT, MI")),
    }
}

/// A text with four decimals, in RESP3 too.
fn reply_distance(distance: f64, reply: &mut Reply<'_>) {
    let units = (distance * 10_000.0).round_ties_even() as u64;
    let mut text = String::new();
    let _ = write!(text, "{}.{:04}", units / 10_000, units % 10_000);
    reply.bulk(text.as_bytes());
}

/// With 17 decimals, less the zeros at their end.
fn reply_position(position: Position, reply: &mut Reply<'_>) {
    reply.array(2);
    for coordinate in [position.longitude, position.latitude] {
        let text = format!("{coordinate:.17}");
        reply.double_digits(text.trim_end_matches('0').trim_end_matches('.'));
    }
}
