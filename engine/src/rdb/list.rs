//! Lists as bytes, both ways.
//!
//! ```text
//!  elements    count · strings                                                                    oldest
//!  ziplist     all elements
//!  quicklist   count · ziplists
//!  quicklist2  count · pieces, each: 1 and a large element, or 2 and a listpack                   written
//! ```

use super::packed::{self, EMPTY};
use super::{Error, Reader, Scratch, Sink, Writer};
use crate::store::encoding::quicklist::{ChunkLimit, End, Quicklist};
use crate::store::{List, Piece};

const LARGE: u64 = 1;
const PACK: u64 = 2;
/// Bytes of an empty listpack in a string.
const PIECE_LEN_MIN: usize = 8;

pub(super) fn write<S: Sink>(writer: &mut Writer<S>, list: &List) {
    writer.length(list.piece_count() as u64);
    for piece in list.pieces() {
        let (container, bytes) = match piece {
            Piece::Pack(pack) => (PACK, pack.as_bytes()),
            Piece::Large(text) => (LARGE, text),
        };
        writer.length(container);
        writer.string(bytes);
    }
}

pub(super) fn read_elements(reader: &mut Reader<'_>, limit: ChunkLimit) -> Result<List, Error> {
    let (mut list, mut scratch) = (List::with_room_for(b""), Scratch::new());
    for _ in 0..reader.count()? {
        list.push(End::Back, std::iter::once(reader.string(&mut scratch)?), limit);
    }
    if list.is_empty() { Err(EMPTY) } else { Ok(list) }
}

/// Elements that were in one ziplist whatever their number.
pub(super) fn read_ziplist(reader: &mut Reader<'_>, limit: ChunkLimit) -> Result<List, Error> {
    let pack = packed::from_ziplist(reader)?;
    let (mut list, mut digits) = (List::with_room_for(b""), itoa::Buffer::new());
    for element in &pack {
        list.push(End::Back, std::iter::once(element.text(&mut digits)), limit);
    }
    if list.is_empty() { Err(EMPTY) } else { Ok(list) }
}

/// A quicklist, its pieces kept as they are. Empty ones are passed over, as Redis does.
pub(super) fn read_quicklist<'a>(
    reader: &mut Reader<'a>,
    read_piece: fn(&mut Reader<'a>, &mut Quicklist, ChunkLimit) -> Result<(), Error>,
    limit: ChunkLimit,
) -> Result<List, Error> {
    let pieces = reader.count()?;
    let mut list = Quicklist::with_capacity(pieces.min(reader.rest().len() / PIECE_LEN_MIN));
    for _ in 0..pieces {
        read_piece(reader, &mut list, limit)?;
    }
    if list.is_empty() { Err(EMPTY) } else { Ok(List::of_quicklist(list, limit)) }
}

/// Of the first form.
pub(super) fn ziplist_piece(
    reader: &mut Reader<'_>,
    list: &mut Quicklist,
    _: ChunkLimit,
) -> Result<(), Error> {
    list.push_pack(packed::from_ziplist(reader)?);
    Ok(())
}

/// Of the second.
pub(super) fn piece(reader: &mut Reader<'_>, list: &mut Quicklist, limit: ChunkLimit) -> Result<(), Error> {
    match reader.length()? {
        PACK => list.push_pack(packed::listpack(reader)?),
        LARGE => list.push_alone(reader.string(&mut Scratch::new())?, limit),
        _ => return Err(Error::Malformed("a piece of a list of no known kind")),
    }
    Ok(())
}
