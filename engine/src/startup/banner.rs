//! What the server says about itself once it is ready: a few lines, the last of them to copy.

use std::fmt;

use super::Ready;
use crate::config::CpuList;

/// Displays as lines without a line end after the last.
#[derive(Debug)]
pub struct Banner<'a> {
    pub ready: &'a Ready,
    /// What a client may rely on after a crash, in words.
    pub durability: &'a str,
}

impl Banner<'_> {
    fn addresses(&self) -> String {
        let tcp = self.ready.listeners.addresses().iter().map(ToString::to_string);
        let unix = self.ready.listeners.unix_path().map(|path| path.display().to_string());
        tcp.chain(unix).collect::<Vec<_>>().join(", ")
    }

    fn reactors(&self) -> String {
        let cpus = &self.ready.cpus;
        let mut distinct = cpus.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let noun = if distinct.len() == 1 { "core" } else { "cores" };
        format!("{} on {noun} {}", cpus.len(), CpuList(distinct))
    }

    /// The command that reaches the first address from this machine.
    fn connect(&self) -> String {
        match (self.ready.listeners.addresses().first(), self.ready.listeners.unix_path()) {
            (Some(address), _) if address.ip().is_loopback() || address.ip().is_unspecified() => {
                format!("redis-cli -p {}", address.port())
            }
            (Some(address), _) => format!("redis-cli -h {} -p {}", address.ip(), address.port()),
            (None, Some(path)) => format!("redis-cli -s {}", path.display()),
            (None, None) => String::new(),
        }
    }
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "Bobbin {}, process {}", env!("CARGO_PKG_VERSION"), std::process::id())?;
        writeln!(out, "  address     {}", self.addresses())?;
        writeln!(out, "  reactors    {}", self.reactors())?;
        writeln!(out, "  durability  {}", self.durability)?;
        writeln!(out, "  data        {}", self.ready.data_dir.path().display())?;
        write!(out, "  connect     {}", self.connect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Config,
        startup::{Host, host::capable, prepare},
    };

    fn ready(config: Config, host: &Host, dir: &tempfile::TempDir) -> Ready {
        let socket = dir.path().join("s");
        let config = Config { dir: dir.path().into(), unixsocket: socket.as_path().into(), ..config };
        prepare(config, host).unwrap()
    }

    #[test]
    fn it_says_where_how_many_how_safe_and_how_to_connect() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { port: 0, reactors: 3, ..Config::default() };
        let ready = ready(config, &capable(), &dir);
        let banner = Banner { ready: &ready, durability: "none" }.to_string();
        let path = std::fs::canonicalize(dir.path()).unwrap();
        let expected = format!(
            "  address     {0}/s\n  reactors    3 on cores 0,1\n  durability  none\n  data        {1}\n  \
             connect     redis-cli -s {0}/s",
            dir.path().display(),
            path.display()
        );
        assert_eq!(banner.split_once('\n').unwrap().1, expected);
        assert_eq!(ready.warnings.len(), 1);
    }

    #[test]
    fn the_first_tcp_address_is_the_one_to_connect_to() {
        let dir = tempfile::tempdir().unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let ready = ready(Config { port: free, ..Config::default() }, &capable(), &dir);
        let banner = Banner { ready: &ready, durability: "none" }.to_string();
        assert!(banner.ends_with(&format!("connect     redis-cli -p {free}")), "{banner}");
        assert!(banner.contains(&format!("127.0.0.1:{free}")), "{banner}");
    }

    #[test]
    fn what_the_machine_does_not_allow_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host { open_files: Some(1000), ..capable() };
        let ready = ready(Config { port: 0, ..Config::default() }, &host, &dir);
        assert_eq!((ready.config.maxclients, ready.config.maxclients_ceiling), (960, 960));
        assert!(ready.config.dir.path().unwrap().is_absolute());
    }

    #[test]
    fn this_machine_is_read() {
        let host = Host::read();
        assert!(!host.kernel_release.is_empty() && !host.affinity.is_empty());
        assert!(host.open_files.is_none_or(|files| files > 0));
    }
}
