//! One request of HTTP/1.1 and its answer, after which the connection is closed.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where the page is.
const PATH: &str = "/metrics";
const REQUEST_BYTES_MAX: usize = 8 << 10;
const HEADERS_MAX: usize = 64;
const PLAIN: &str = "text/plain; charset=utf-8";
/// What Prometheus takes for its text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    Page { with_body: bool },
    OtherPath,
    OtherMethod,
    Malformed,
}

/// Takes a request and answers it, all before the deadline.
pub(super) fn answer(
    stream: &TcpStream,
    deadline: Instant,
    page: impl FnOnce() -> Arc<str>,
) -> io::Result<()> {
    let request = read(stream, deadline)?;
    // How long the figures take is not the peer's fault.
    let took = Instant::now();
    let (status, kind, body, with_body): (_, _, Arc<str>, _) = match request {
        Request::Page { with_body } => ("200 OK", METRICS, page(), with_body),
        Request::OtherPath => ("404 Not Found", PLAIN, "The metrics are at /metrics.\n".into(), true),
        Request::OtherMethod => ("405 Method Not Allowed", PLAIN, "GET and HEAD are taken.\n".into(), true),
        Request::Malformed => ("400 Bad Request", PLAIN, "That is no request.\n".into(), true),
    };
    let allow = if request == Request::OtherMethod { "Allow: GET, HEAD\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{allow}Connection: close\r\n\r\n",
        body.len()
    );
    let deadline = deadline + took.elapsed();
    write(stream, head.as_bytes(), deadline)?;
    if with_body {
        write(stream, body.as_bytes(), deadline)?;
    }
    part(stream, deadline)
}

/// Closes the connection once the peer has: closed with something unread, it would be reset, and the answer lost.
fn part(mut stream: &TcpStream, deadline: Instant) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let mut unread = [0; 2048];
    loop {
        stream.set_read_timeout(Some(left(deadline)?))?;
        if stream.read(&mut unread)? == 0 {
            return Ok(());
        }
    }
}

fn read(mut stream: &TcpStream, deadline: Instant) -> io::Result<Request> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 2048];
    loop {
        stream.set_read_timeout(Some(left(deadline)?))?;
        let len = stream.read(&mut chunk)?;
        bytes.extend_from_slice(&chunk[..len]);
        if bytes.len() > REQUEST_BYTES_MAX {
            return Ok(Request::Malformed);
        }
        match parse(&bytes) {
            Some(request) => return Ok(request),
            None if len == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            None => {}
        }
    }
}

fn write(mut stream: &TcpStream, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(left(deadline)?))?;
        let len = stream.write(bytes)?;
        bytes = &bytes[len..];
    }
    Ok(())
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// The request, once all of its head has come.
fn parse(bytes: &[u8]) -> Option<Request> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Partial) => return None,
        Ok(httparse::Status::Complete(_)) => {}
        Err(_) => return Some(Request::Malformed),
    }
    let path = request.path.unwrap_or_default().split('?').next();
    Some(match (request.method, path) {
        (Some("GET"), Some(PATH)) => Request::Page { with_body: true },
        (Some("HEAD"), Some(PATH)) => Request::Page { with_body: false },
        (Some("GET" | "HEAD"), _) => Request::OtherPath,
        _ => Request::OtherMethod,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart() {
        for (text, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", Some(Request::Page { with_body: true })),
            ("GET /metrics?name=a HTTP/1.0\r\n\r\n", Some(Request::Page { with_body: true })),
            ("HEAD /metrics HTTP/1.1\r\n\r\n", Some(Request::Page { with_body: false })),
            ("GET / HTTP/1.1\r\n\r\n", Some(Request::OtherPath)),
            ("POST /metrics HTTP/1.1\r\n\r\n", Some(Request::OtherMethod)),
            ("GET /metrics HTTP/1.1\r\nHost:", None),
            ("*1\r\n$4\r\nPING\r\n", Some(Request::Malformed)),
            ("", None),
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }
}
