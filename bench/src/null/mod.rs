//! A server that does nothing but answer: it counts the requests it receives and sends `+OK` to each.
//! What it costs is what the kernel costs; no server that does more can cost less.
//!
//! One thread, one ring. A connection has one chain under way at any time: the send of the last replies,
//! linked to the receive of the next requests. So replies leave in order, a client that does not read
//! is not read from, and a chain ends in exactly one completion.
//!
//! Refused, by closing the connection: a request that does not fit in 256 KiB, and what is not RESP.

mod ring;

use std::net::TcpListener;

use bobbin_proto::decode;
use clap::Args;

use crate::cpus::Cpus;
use crate::{Error, interrupt};
use ring::{Completion, INBOX_LEN, REPLIES_MAX, REPLY, Ring};

#[derive(Args, Clone, Debug)]
pub struct NullArgs {
    /// TCP port on 127.0.0.1
    #[arg(long)]
    pub port: u16,
    /// CPUs to run on
    #[arg(long, alias = "cpu")]
    pub cpus: Option<Cpus>,
}

/// Serves until interrupted.
pub fn serve(args: &NullArgs) -> Result<(), Error> {
    if let Some(cpus) = &args.cpus {
        cpus.pin_current()?;
    }
    let address = ("127.0.0.1", args.port);
    let listener = TcpListener::bind(address)
        .map_err(|source| Error::system(format!("cannot listen on 127.0.0.1:{}", args.port), source))?;
    let mut ring = Ring::new(listener)?;
    while !interrupt::requested() {
        for completion in ring.wait()? {
            match completion {
                Completion::Accepted(slot) => ring.answer(slot, 0)?,
                Completion::Received(slot) => answer(&mut ring, slot)?,
            }
        }
    }
    Ok(())
}

fn answer(ring: &mut Ring, slot: usize) -> Result<(), Error> {
    match count_requests(ring.received(slot)) {
        Some((requests, len)) if len > 0 || ring.received(slot).len() < INBOX_LEN => {
            ring.consume(slot, len);
            ring.answer(slot, requests)
        }
        _ => {
            ring.close(slot);
            Ok(())
        }
    }
}

/// The whole requests in `bytes` and their length; none if it is not RESP. A request is an array of
/// bulk strings, so it is skipped as a reply is.
fn count_requests(bytes: &[u8]) -> Option<(usize, usize)> {
    let (mut count, mut len) = (0, 0);
    while count < REPLIES_MAX && len < bytes.len() {
        match decode::skip(&bytes[len..]) {
            Ok(Some(one)) => len += one,
            Ok(None) => break,
            Err(_) => return None,
        }
        count += 1;
    }
    Some((count, len))
}

const _: () = assert!(REPLIES_MAX * REPLY.len() < u32::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_requests_are_counted_and_the_rest_is_left() {
        let get = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
        let mut bytes = get.repeat(3);
        bytes.extend_from_slice(&get[..7]);
        assert_eq!(count_requests(&bytes), Some((3, 3 * get.len())));
        assert_eq!(count_requests(b""), Some((0, 0)));
        assert_eq!(count_requests(b"GET k\r\n"), None);
    }
}
