//! `bobbin-server ping`: asks the server that the same arguments start whether it serves. Health checks need no other
//! program.
//!
//! It serves if it answers PONG, or asks for a password that it was given since. Not so one that still loads, may not
//! write to its disk, or takes no more clients: what it says is passed on. Each wait has an end.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use bobbin_proto::{Value, decode, encode_command};

use crate::config::Config;
use crate::startup::listen;

/// How long one connection, one request or one reply may take.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// No reply to AUTH or PING is longer.
const REPLY_LEN_MAX: usize = 64 << 10;

#[derive(Debug, thiserror::Error)]
pub enum PingError {
    #[error("no address to ask at: port is 0 or bind is empty, and there is no unixsocket")]
    Nowhere,
    #[error("no answer from {place}: {cause}")]
    Unreachable { place: String, cause: io::Error },
    #[error("the server at {place} does not serve: {reply}")]
    NotServing { place: String, reply: String },
}

/// Where the server can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Asks at the first of its addresses where someone listens.
pub fn ping(config: &Config) -> Result<(), PingError> {
    let mut last = PingError::Nowhere;
    for place in places(config) {
        match place.connect() {
            Ok(mut stream) => return ask(&mut *stream, &place, config.requirepass.as_bytes()),
            Err(cause) => last = PingError::Unreachable { place: place.name(), cause },
        }
    }
    Err(last)
}

/// In the order in which the server's banner names them. An address that this machine cannot resolve is left out.
fn places(config: &Config) -> Vec<Place> {
    let binds = if config.port == 0 { &[] } else { config.bind.0.as_slice() };
    let tcp = binds.iter().filter_map(|bind| listen::resolve(&bind.address, config.port).ok());
    let unix = config.unixsocket.path().map(|path| Place::Unix(path.to_owned()));
    tcp.map(|address| Place::Tcp(reachable(address))).chain(unix).collect()
}

/// Who listens on every address is reached on the loopback one.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

/// A connection to ask on.
trait Stream: Read + Write {}
impl Stream for TcpStream {}
impl Stream for UnixStream {}

impl Place {
    fn connect(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, WAIT_MAX)?;
                stream.set_read_timeout(Some(WAIT_MAX))?;
                stream.set_write_timeout(Some(WAIT_MAX))?;
                Ok(Box::new(stream))
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(WAIT_MAX))?;
                stream.set_write_timeout(Some(WAIT_MAX))?;
                Ok(Box::new(stream))
            }
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Tcp(address) => address.to_string(),
            Self::Unix(path) => path.display().to_string(),
        }
    }
}

fn ask(stream: &mut dyn Stream, place: &Place, password: &[u8]) -> Result<(), PingError> {
    let unreachable = |cause| PingError::Unreachable { place: place.name(), cause };
    if !password.is_empty() {
        // A refusal does not matter: what PING is answered does.
        call(stream, &[b"AUTH", password]).map_err(unreachable)?;
    }
    let reply = match call(stream, &[b"PING"]).map_err(unreachable)? {
        Value::Simple(text) if text == b"PONG" => return Ok(()),
        Value::Error(text) if text.starts_with(b"NOAUTH") => return Ok(()),
        Value::Simple(text) | Value::Error(text) => String::from_utf8_lossy(&text).into_owned(),
        _ => "it does not speak the Redis protocol".into(),
    };
    Err(PingError::NotServing { place: place.name(), reply })
}

fn call(stream: &mut dyn Stream, command: &[&[u8]]) -> io::Result<Value> {
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let (mut bytes, mut chunk) = (Vec::new(), [0; 512]);
    encode_command(&mut bytes, command);
    stream.write_all(&bytes)?;
    bytes.clear();
    while bytes.len() < REPLY_LEN_MAX {
        if let Some((value, _)) = decode::decode(&bytes).map_err(invalid)? {
            return Ok(value);
        }
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => bytes.extend_from_slice(&chunk[..len]),
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "a reply without an end"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BindAddress, load_text};

    fn at(lines: &str) -> Vec<String> {
        let config = load_text(std::path::Path::new("test.conf"), lines.as_bytes()).unwrap().config;
        places(&config).iter().map(Place::name).collect()
    }

    #[test]
    fn it_is_asked_where_it_listens() {
        assert_eq!(at("port 7000"), ["127.0.0.1:7000", "[::1]:7000"]);
        assert_eq!(at("bind * ::*\nport 7000"), ["127.0.0.1:7000", "[::1]:7000"]);
        assert_eq!(at("bind 192.0.2.1"), ["192.0.2.1:6379"]);
        assert_eq!(at("port 0\nunixsocket /run/bobbin.sock"), ["/run/bobbin.sock"]);
    }

    #[test]
    fn a_server_that_listens_nowhere_cannot_be_asked() {
        let config = Config { port: 0, ..Config::default() };
        assert!(matches!(ping(&config), Err(PingError::Nowhere)));
    }

    /// Asks a listener that answers whatever it is asked with these bytes, and then ends the connection.
    fn ping_to(reply: &'static [u8]) -> Result<(), PingError> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = Config { port: listener.local_addr().unwrap().port(), ..Config::default() };
        config.bind.0 = vec![BindAddress { address: "127.0.0.1".into(), optional: false }];
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; b"*1\r\n$4\r\nPING\r\n".len()]).unwrap();
            stream.write_all(reply).unwrap();
        });
        let asked = ping(&config);
        server.join().unwrap();
        asked
    }

    #[test]
    fn a_pong_or_a_wish_for_a_password_comes_from_one_that_serves() {
        assert!(ping_to(b"+PONG\r\n").is_ok());
        assert!(ping_to(b"-NOAUTH Authentication required.\r\n").is_ok());
    }

    #[test]
    fn what_keeps_it_from_serving_is_passed_on() {
        let text = ping_to(b"-LOADING Bobbin is loading the dataset in memory\r\n").unwrap_err().to_string();
        assert!(text.ends_with("does not serve: LOADING Bobbin is loading the dataset in memory"), "{text}");
        assert!(ping_to(b":1\r\n").unwrap_err().to_string().contains("does not speak the Redis protocol"));
        assert!(
            ping_to(b"HTTP/1.1 400 Bad Request\r\n")
                .unwrap_err()
                .to_string()
                .contains("no answer from 127.0.0.1:")
        );
        assert!(matches!(ping_to(b"+PON"), Err(PingError::Unreachable { .. })));
    }
}
