//! The wire: RESP2, RESP3 and inline requests in, replies out. No I/O, no `unsafe`.
