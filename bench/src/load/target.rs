//! Where the server is, and the handshake that makes a connection ready for load.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use bobbin_proto::decode::{self, Value};
use bobbin_proto::encode_command;

use crate::Error;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct Target {
    pub address: Address,
    /// `user:password`, or a password alone.
    pub credentials: Option<String>,
    pub database: u32,
    /// Sends HELLO 3.
    pub resp3: bool,
    /// The address is that of one node of a cluster.
    pub cluster: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Target {
    /// A server on this machine without a password.
    pub fn local(port: u16) -> Self {
        let address = Address::Tcp { host: "127.0.0.1".to_owned(), port };
        Self { address, credentials: None, database: 0, resp3: false, cluster: false }
    }

    /// A connection that has logged in and blocks.
    pub fn connect(&self) -> Result<Blocking, Error> {
        let refused = |source| Error::Connect { target: self.address.to_string(), source };
        let mut connection = Blocking { stream: self.open().map_err(refused)?, received: Vec::new() };
        for command in self.greetings() {
            let reply = connection.call(&command)?;
            if let Value::Error(text) = reply {
                let reply = String::from_utf8_lossy(text.as_ref()).into_owned();
                return Err(Error::Handshake { command: command[0].clone(), reply });
            }
        }
        Ok(connection)
    }

    fn open(&self) -> std::io::Result<Stream> {
        match &self.address {
            Address::Tcp { host, port } => {
                let bare = host.trim_start_matches('[').trim_end_matches(']');
                let stream = TcpStream::connect((bare, *port))?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(HANDSHAKE_TIMEOUT))?;
                Ok(Stream::Tcp(stream))
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(HANDSHAKE_TIMEOUT))?;
                Ok(Stream::Unix(stream))
            }
        }
    }

    fn greetings(&self) -> Vec<Vec<String>> {
        let mut commands = Vec::new();
        if let Some(credentials) = &self.credentials {
            let parts = credentials.splitn(2, ':').map(str::to_owned);
            commands.push(std::iter::once("AUTH".to_owned()).chain(parts).collect());
        }
        if self.resp3 {
            commands.push(vec!["HELLO".to_owned(), "3".to_owned()]);
        }
        if self.database != 0 {
            commands.push(vec!["SELECT".to_owned(), self.database.to_string()]);
        }
        commands
    }
}

/// A connection that answers one command at a time.
#[derive(Debug)]
pub struct Blocking {
    stream: Stream,
    received: Vec<u8>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Blocking {
    pub fn call(&mut self, args: &[impl AsRef<[u8]>]) -> Result<Value, Error> {
        let mut request = Vec::new();
        encode_command(&mut request, args.iter());
        let broken = |source| Error::Broken { in_flight: 1, source };
        self.stream.write_all(&request).map_err(broken)?;
        let mut chunk = [0; 4096];
        loop {
            let decoded =
                decode::decode(&self.received).map_err(|error| Error::Protocol(error.to_string()))?;
            if let Some((value, len)) = decoded {
                self.received.drain(..len);
                return Ok(value);
            }
            match self.stream.read(&mut chunk).map_err(broken)? {
                0 => return Err(Error::Closed { in_flight: 1 }),
                len => self.received.extend_from_slice(&chunk[..len]),
            }
        }
    }

    /// The socket alone, no longer blocking.
    pub(crate) fn into_socket(self) -> Result<OwnedFd, Error> {
        let set = match &self.stream {
            Stream::Tcp(stream) => stream.set_nonblocking(true),
            Stream::Unix(stream) => stream.set_nonblocking(true),
        };
        set.map_err(|source| Error::system("cannot make a socket non-blocking", source))?;
        Ok(match self.stream {
            Stream::Tcp(stream) => stream.into(),
            Stream::Unix(stream) => stream.into(),
        })
    }
}

impl Stream {
    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Unix(stream) => stream.write_all(bytes),
        }
    }

    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(into),
            Self::Unix(stream) => stream.read(into),
        }
    }
}
