//! The sockets clients connect to: bound and listening before anything is served, so that an address in use stops
//! the start and not the first client.
//!
//! One listening socket per address, without `SO_REUSEPORT`: with it a second server of the same user would bind the
//! same port without an error, and take half the connections.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener, ToSocketAddrs as _},
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, socket_with, sockopt};

use crate::config::{BindAddress, BindAddresses, Config};
use crate::nodes::first_port;

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("{address} is in use: another program listens there. Stop it (ss -ltnp 'sport = :{}' names it) or choose another port with {directive}", address.port())]
    PortInUse { address: SocketAddr, directive: &'static str },
    #[error(
        "no right to listen on {address}: ports below 1024 are reserved. Choose another with {directive}, or give the server the right (setcap cap_net_bind_service=+ep bobbin-server)"
    )]
    NotAllowed { address: SocketAddr, directive: &'static str },
    #[error(
        "can't listen on {address}: {cause}. Does this machine have that address? (ip addr) Put a - before it in bind to leave it out where it is missing"
    )]
    Address { address: SocketAddr, cause: io::Error },
    #[error("can't resolve the bind address '{name}': {cause}. Write an IP address, or * for all")]
    Name { name: String, cause: io::Error },
    #[error(
        "there is nothing to listen on: port is 0 or bind is empty, and there is no unixsocket. Set one of them"
    )]
    Nothing,
    #[error(
        "cluster-enabled wants a port for each reactor, and port is 0: say with --cluster-reactor-port where they begin"
    )]
    NoOwnPort,
    #[error(
        "{reactors} reactors want a port each from {first} on, and there are only 65535: choose another with --cluster-reactor-port"
    )]
    OwnPorts { first: u16, reactors: usize },
    #[error("{} is in use: another program answers there. Stop it, or choose another with --unixsocket", path.display())]
    SocketInUse { path: PathBuf },
    #[error("{} exists and is not a socket. Remove it, or choose another with --unixsocket", path.display())]
    NotASocket { path: PathBuf },
    #[error("can't listen on {}: {cause}. Choose another path with --unixsocket", path.display())]
    Path { path: PathBuf, cause: io::Error },
}

/// Every socket that listens.
#[derive(Debug)]
pub struct Listeners {
    tcp: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    /// By reactor: those of its own port.
    own: Vec<Vec<TcpListener>>,
    metrics: Vec<TcpListener>,
    unix: Option<UnixSocket>,
    warnings: Vec<String>,
}

/// Removes the socket's file when dropped.
#[derive(Debug)]
pub struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl Listeners {
    pub fn open(config: &Config, reactors: usize) -> Result<Self, ListenError> {
        let mut listeners = Self {
            tcp: Vec::new(),
            addresses: Vec::new(),
            own: Vec::new(),
            metrics: Vec::new(),
            unix: None,
            warnings: Vec::new(),
        };
        if config.port != 0 {
            let bound = listeners.bind_all(&config.bind, config.port, "--port", config.tcp_backlog)?;
            (listeners.addresses, listeners.tcp) = bound.into_iter().unzip();
        }
        if config.cluster_enabled {
            for port in own_ports(config, reactors)? {
                let backlog = config.tcp_backlog;
                let bound = listeners.bind_all(&config.bind, port, "--cluster-reactor-port", backlog)?;
                listeners.own.push(bound.into_iter().map(|(_, socket)| socket).collect());
            }
        }
        if config.metrics_port != 0 {
            let (port, backlog) = (config.metrics_port, config.tcp_backlog);
            let bound = listeners.bind_all(&config.metrics_bind, port, "--metrics-port", backlog)?;
            listeners.metrics = bound.into_iter().map(|(_, socket)| socket).collect();
        }
        listeners.unix = config.unixsocket.path().map(|path| UnixSocket::open(path, config)).transpose()?;
        if listeners.tcp.is_empty() && listeners.unix.is_none() {
            return Err(ListenError::Nothing);
        }
        Ok(listeners)
    }

    pub fn tcp(&self) -> &[TcpListener] {
        &self.tcp
    }

    /// By reactor: the sockets of its own port.
    pub fn own(&self) -> &[Vec<TcpListener>] {
        &self.own
    }

    pub fn metrics(&self) -> &[TcpListener] {
        &self.metrics
    }

    pub fn unix(&self) -> Option<&UnixListener> {
        self.unix.as_ref().map(|socket| &socket.listener)
    }

    pub fn unix_path(&self) -> Option<&Path> {
        self.unix.as_ref().map(|socket| socket.path.as_path())
    }

    /// In the order of `bind`.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Listens on a port of every address.
    fn bind_all(
        &mut self,
        binds: &BindAddresses,
        port: u16,
        directive: &'static str,
        backlog: i32,
    ) -> Result<Vec<(SocketAddr, TcpListener)>, ListenError> {
        let bound = binds.0.iter().filter_map(|bind| self.bind(bind, port, directive, backlog).transpose());
        bound.collect()
    }

    /// Listens on an address; on none, if it is optional and missing.
    fn bind(
        &mut self,
        bind: &BindAddress,
        port: u16,
        directive: &'static str,
        backlog: i32,
    ) -> Result<Option<(SocketAddr, TcpListener)>, ListenError> {
        let address = match resolve(&bind.address, port) {
            Err(cause) if !bind.optional => {
                return Err(ListenError::Name { name: bind.address.clone(), cause });
            }
            Err(cause) => return Ok(self.leave_out(&bind.address, &cause)),
            Ok(address) => address,
        };
        match tcp_listener(address, backlog) {
            Err(cause) if bind.optional && is_missing(&cause) => Ok(self.leave_out(&bind.address, &cause)),
            Err(cause) => Err(match cause.kind() {
                io::ErrorKind::AddrInUse => ListenError::PortInUse { address, directive },
                io::ErrorKind::PermissionDenied => ListenError::NotAllowed { address, directive },
                _ => ListenError::Address { address, cause },
            }),
            Ok(listener) => Ok(Some((address, listener))),
        }
    }

    /// The server's own default asks for an address that many machines lack: nothing to warn of.
    fn leave_out<T>(&mut self, name: &str, cause: &io::Error) -> Option<T> {
        let warning = format!("not listening on the optional bind address {name}: {cause}");
        if name != "::1" && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
        None
    }
}

impl UnixSocket {
    fn open(path: &Path, config: &Config) -> Result<Self, ListenError> {
        clear(path)?;
        let failed = |cause| ListenError::Path { path: path.to_owned(), cause };
        let listener = UnixListener::bind(path).map_err(failed)?;
        let socket = Self { listener, path: path.to_owned() };
        listen(&socket.listener, config.tcp_backlog).map_err(|error| failed(error.into()))?;
        if config.unixsocketperm != 0 {
            let mode = fs::Permissions::from_mode(config.unixsocketperm);
            fs::set_permissions(path, mode).map_err(failed)?;
        }
        Ok(socket)
    }
}

impl Drop for UnixSocket {
    /// A file that someone else removed is as good as one removed here.
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

/// Removes the socket of a server that is gone; anything else stays.
fn clear(path: &Path) -> Result<(), ListenError> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(ListenError::NotASocket { path: path.to_owned() });
    }
    if UnixStream::connect(path).is_ok() {
        return Err(ListenError::SocketInUse { path: path.to_owned() });
    }
    fs::remove_file(path).map_err(|cause| ListenError::Path { path: path.to_owned(), cause })
}

/// The reactors' own ports.
fn own_ports(config: &Config, reactors: usize) -> Result<impl Iterator<Item = u16>, ListenError> {
    let first = first_port(config).filter(|_| config.port != 0 || config.cluster_reactor_port != 0);
    let first = first.ok_or(ListenError::NoOwnPort)?;
    let last = u16::try_from(usize::from(first) + reactors.saturating_sub(1));
    last.map(|last| first..=last).map_err(|_| ListenError::OwnPorts { first, reactors })
}

/// The first address of `name`, which may be a host name.
pub(crate) fn resolve(name: &str, port: u16) -> io::Result<SocketAddr> {
    let name = match name {
        "*" => "0.0.0.0",
        "::*" => "::",
        other => other,
    };
    let unknown = || io::Error::new(io::ErrorKind::NotFound, "no address has that name");
    (name, port).to_socket_addrs()?.next().ok_or_else(unknown)
}

/// An IPv6 socket takes IPv6 only: `*` and `::*` are bound side by side.
fn tcp_listener(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, Some(ipproto::TCP))?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    sockopt::set_socket_reuseaddr(&socket, true)?;
    let mut tries = BIND_TRIES;
    while let Err(error) = bind(&socket, &address) {
        tries -= 1;
        if error != rustix::io::Errno::ADDRINUSE || tries == 0 {
            return Err(error.into());
        }
        std::thread::sleep(BIND_AGAIN);
    }
    listen(&socket, backlog)?;
    Ok(socket.into())
}

/// The kernel ends a killed server's ring, and with it the accept that holds its listener, some milliseconds after the
/// process (8 were measured): whoever starts the next at once is not to be told that the port is in use.
const BIND_TRIES: u32 = 50;
const BIND_AGAIN: Duration = Duration::from_millis(10);

/// True if the machine has no such address, or not the protocol at all.
fn is_missing(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let missing = [Errno::ADDRNOTAVAIL, Errno::AFNOSUPPORT, Errno::PROTONOSUPPORT, Errno::PFNOSUPPORT];
    error.raw_os_error().is_some_and(|number| missing.contains(&Errno::from_raw_os_error(number)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt as _;

    fn on(addresses: &[(&str, bool)], port: u16) -> Config {
        let bind = |(address, optional): &(&str, bool)| BindAddress {
            address: (*address).into(),
            optional: *optional,
        };
        let mut config = Config { port, ..Config::default() };
        config.bind.0 = addresses.iter().map(bind).collect();
        config
    }

    fn on_socket(path: &Path) -> Config {
        Config { unixsocket: path.as_os_str().as_bytes().into(), ..on(&[], 0) }
    }

    /// A port that was free a moment ago, and whoever holds it.
    fn taken_port() -> (TcpListener, u16) {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = holder.local_addr().unwrap().port();
        (holder, port)
    }

    #[test]
    fn a_port_in_use_is_named() {
        let (_holder, port) = taken_port();
        let text = Listeners::open(&on(&[("127.0.0.1", false)], port), 2).unwrap_err().to_string();
        assert!(
            text.starts_with(&format!("127.0.0.1:{port} is in use: another program listens there.")),
            "{text}"
        );
        assert!(text.contains(&format!("ss -ltnp 'sport = :{port}'")) && text.contains("--port"), "{text}");
    }

    #[test]
    fn a_port_in_use_is_an_error_even_where_the_address_is_optional() {
        let (_holder, port) = taken_port();
        assert!(matches!(
            Listeners::open(&on(&[("127.0.0.1", true)], port), 2),
            Err(ListenError::PortInUse { .. })
        ));
    }

    #[test]
    fn an_optional_address_may_be_missing() {
        let (holder, port) = taken_port();
        drop(holder);
        // 192.0.2.0/24 belongs to no machine (RFC 5737).
        let listeners = Listeners::open(&on(&[("127.0.0.1", false), ("192.0.2.1", true)], port), 2).unwrap();
        assert_eq!(listeners.addresses(), [SocketAddr::from(([127, 0, 0, 1], port))]);
        assert_eq!(listeners.warnings().len(), 1);
        drop(listeners);
        let text = Listeners::open(&on(&[("192.0.2.1", false)], port), 2).unwrap_err().to_string();
        assert!(text.contains("Does this machine have that address?"), "{text}");
    }

    #[test]
    fn listening_nowhere_is_refused() {
        for config in [on(&[("127.0.0.1", false)], 0), on(&[], 20_001)] {
            assert!(matches!(Listeners::open(&config, 2), Err(ListenError::Nothing)));
        }
    }

    #[test]
    fn a_stale_unix_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let stale = UnixListener::bind(&path).unwrap();
        assert!(matches!(Listeners::open(&on_socket(&path), 2), Err(ListenError::SocketInUse { .. })));
        drop(stale);
        let mut config = on_socket(&path);
        config.unixsocketperm = 0o700;
        let listeners = Listeners::open(&config, 2).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(listeners);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_in_the_place_of_a_socket_stays() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = Listeners::open(&on_socket(file.path()), 2).unwrap_err().to_string();
        assert!(text.contains("exists and is not a socket"), "{text}");
        assert!(file.path().exists());
    }
}
