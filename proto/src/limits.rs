//! What one request may ask of the server before it is refused.
//!
//! The numbers that are not directives are Redis's own (`server.h`): a client that stays within
//! Redis's limits stays within these.

/// `proto-max-bulk-len`'s default: 512 MiB.
pub const BULK_LEN_DEFAULT: usize = 512 << 20;
/// `client-query-buffer-limit`'s default: 1 GiB.
pub const REQUEST_LEN_DEFAULT: usize = 1 << 30;

/// The furthest a line's end may be from the line's first byte.
///
/// Redis tests this only when a read ends without having brought the line's end, so it lets some
/// longer lines through, depending on where the reads fall. Here the limit is exact.
pub(crate) const LINE_LEN_MAX: usize = 64 << 10;
/// `INT_MAX`, as in Redis.
pub(crate) const ARGS_MAX: i64 = i32::MAX as i64;
/// Arguments a client may send before it has authenticated itself.
pub(crate) const UNAUTHENTICATED_ARGS_MAX: i64 = 10;
/// Bytes of one argument a client may send before it has authenticated itself.
pub(crate) const UNAUTHENTICATED_BULK_LEN_MAX: usize = 16 << 10;

/// The limits of one connection's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one argument: `proto-max-bulk-len`.
    pub bulk_len_max: usize,
    /// Bytes of one whole request on the wire: `client-query-buffer-limit`. A [`crate::Span`]
    /// reaches 4 GiB; a larger limit is taken as that.
    pub request_len_max: usize,
    /// False while the connection owes a password: no more than 10 arguments of 16 KiB then.
    pub authenticated: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bulk_len_max: BULK_LEN_DEFAULT, request_len_max: REQUEST_LEN_DEFAULT, authenticated: true }
    }
}
