//! Elements and members as replies.

use bobbin_proto::Reply;

use crate::store::encoding::listpack::Element;

#[inline]
pub(super) fn reply_element(element: Element<'_>, reply: &mut Reply<'_>) {
    match element {
        Element::Int(number) => reply.bulk_int(number),
        Element::Str(bytes) => reply.bulk(bytes),
    }
}

#[inline]
pub(super) fn reply_or_null(element: Option<Element<'_>>, reply: &mut Reply<'_>) {
    match element {
        Some(element) => reply_element(element, reply),
        None => reply.null(),
    }
}
