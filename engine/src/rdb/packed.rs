//! Collections that come packed in a string: all become listpacks.

use super::{Error, Reader, Scratch, ziplist, zipmap};
use crate::store::encoding::listpack::Listpack;

pub(super) const EMPTY: Error = Error::Malformed("a collection of nothing");

pub(super) fn listpack(reader: &mut Reader<'_>) -> Result<Listpack, Error> {
    let mut scratch = Scratch::new();
    let bytes = reader.string(&mut scratch)?;
    Listpack::from_bytes(bytes).map_err(|_| Error::Malformed("bytes that are not a listpack"))
}

pub(super) fn from_ziplist(reader: &mut Reader<'_>) -> Result<Listpack, Error> {
    let mut scratch = Scratch::new();
    ziplist::to_listpack(reader.string(&mut scratch)?)
}

pub(super) fn from_zipmap(reader: &mut Reader<'_>) -> Result<Listpack, Error> {
    let mut scratch = Scratch::new();
    zipmap::to_listpack(reader.string(&mut scratch)?)
}
