//! A client that is told exactly which bytes came.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bobbin_proto::{Value, decode, encode_command, split_words};

/// Past this a reply will not come; long, because the machine may be busy building.
const REPLY_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    /// Received and not yet looked at.
    buffer: Vec<u8>,
}

impl Client {
    pub fn try_connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Sends a command and takes its reply.
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Value {
        value(&self.call_raw(args))
    }

    /// The same, of a command in one line, quoted as in redis-cli: `SET a "\x00"`.
    pub fn run(&mut self, line: &str) -> Value {
        self.call(&words(line))
    }

    /// Sends a command and takes the bytes of its reply; none if the server closed the connection.
    pub fn call_raw<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Vec<u8> {
        match self.send(args).and_then(|()| self.read_raw()) {
            Ok(reply) => reply,
            Err(error) if is_closed(&error) => Vec::new(),
            Err(error) => panic!("no reply: {error}"),
        }
    }

    pub fn send<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<()> {
        let mut out = Vec::new();
        encode_command(&mut out, args);
        self.send_raw(&out)
    }

    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next reply.
    pub fn read(&mut self) -> Value {
        value(&self.read_raw().unwrap_or_else(|error| panic!("no reply: {error}")))
    }

    /// The next reply's bytes.
    pub fn read_raw(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let len = decode::skip(&self.buffer).unwrap_or_else(|error| {
                panic!("{error}: {}", self.buffer.escape_ascii());
            });
            if let Some(len) = len {
                return Ok(self.buffer.drain(..len).collect());
            }
            self.fill()?;
        }
    }

    /// What has come and not been read.
    pub fn received(&self) -> &[u8] {
        &self.buffer
    }

    /// Whether nothing comes within a while that is long for a reply and short for a test.
    pub fn is_silent(&mut self) -> bool {
        if !self.buffer.is_empty() {
            return false;
        }
        self.stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout above zero");
        let filled = self.fill();
        self.stream.set_read_timeout(Some(REPLY_TIMEOUT)).expect("a timeout above zero");
        matches!(filled, Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut))
    }

    /// Whether the server closes the connection, with all replies read.
    pub fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && matches!(self.fill(), Err(error) if is_closed(&error))
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0; 16 << 10];
        match self.stream.read(&mut chunk)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            len => {
                self.buffer.extend_from_slice(&chunk[..len]);
                Ok(())
            }
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// A command line's words, as redis-cli takes them apart.
pub fn words(line: &str) -> Vec<Vec<u8>> {
    split_words(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error:?}"))
}

fn value(reply: &[u8]) -> Value {
    let decoded = decode::decode(reply).expect("the reply was measured");
    decoded.unwrap_or_else(|| panic!("the connection was closed")).0
}
