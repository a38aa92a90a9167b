//! Sets as bytes, both ways.
//!
//! ```text
//!  members   count · strings            a packed one and a table are written: 7.0 has no listpacks here
//!  intset    the integers               an intset is written
//!  listpack  the members
//! ```

use super::packed::{self, EMPTY};
use super::{Error, Reader, Scratch, Sink, Writer};
use crate::store::encoding::intset::Intset;
use crate::store::encoding::listpack::Element;
use crate::store::{Set, SetLimits};

pub(super) fn write<S: Sink>(writer: &mut Writer<S>, set: &Set) {
    if let Set::Ints(ints) = set {
        return writer.string(ints.as_bytes());
    }
    writer.length(set.len() as u64);
    set.iter().for_each(|member| writer.element(member));
}

const TWICE: Error = Error::Malformed("a member that is there twice");

pub(super) fn read_members(reader: &mut Reader<'_>, limits: &SetLimits) -> Result<Set, Error> {
    let (mut set, mut scratch) = (Set::new(), Scratch::new());
    for _ in 0..reader.count()? {
        if !set.add(Element::Str(reader.string(&mut scratch)?), limits) {
            return Err(TWICE);
        }
    }
    if set.is_empty() { Err(EMPTY) } else { Ok(set) }
}

pub(super) fn read_intset(reader: &mut Reader<'_>, limits: &SetLimits) -> Result<Set, Error> {
    let mut scratch = Scratch::new();
    let ints = Intset::from_bytes(reader.string(&mut scratch)?);
    let ints = ints.map_err(|_| Error::Malformed("bytes that are not an intset"))?;
    if ints.is_empty() { Err(EMPTY) } else { Ok(Set::of_ints(ints, limits)) }
}

pub(super) fn read_listpack(reader: &mut Reader<'_>, limits: &SetLimits) -> Result<Set, Error> {
    let pack = packed::listpack(reader)?;
    if pack.is_empty() { Err(EMPTY) } else { Set::of_pack(pack, limits).ok_or(TWICE) }
}
