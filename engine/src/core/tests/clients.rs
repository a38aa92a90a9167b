//! Who is let in, and what a password that changes means for whom.

use std::sync::Arc;

use super::Cores;
use crate::config::{Config, Text};
use crate::conn::Endpoints;

const DENIED: &str = "-DENIED ";
const NOAUTH: &str = "-NOAUTH Authentication required.\r\n";

fn from(peer: &str) -> Endpoints {
    Endpoints::Tcp {
        peer: peer.parse().expect("an address"),
        local: "10.1.1.1:6379".parse().expect("an address"),
    }
}

fn password(text: &str) -> Text {
    text.as_bytes().into()
}

impl Cores {
    /// As CONFIG SET requirepass, on every core.
    fn require(&mut self, text: &str) {
        for core in &mut self.all {
            let config = Config { requirepass: password(text), ..(*core.env.config).clone() };
            core.env.config = Arc::new(config);
        }
    }
}

#[test]
fn protected_mode_lets_in_who_is_on_this_machine() {
    for (peer, is_let_in) in [
        ("127.0.0.1:1", true),
        ("127.8.8.8:1", true),
        ("[::1]:1", true),
        ("[::ffff:127.0.0.1]:1", true),
        ("10.0.0.1:1", false),
        ("[fe80::1]:1", false),
        ("[::ffff:10.0.0.1]:1", false),
    ] {
        let mut cores = Cores::new(2, |_| ());
        let client = cores.connect_from(from(peer));
        let greeting = cores.received(client);
        assert_eq!(greeting.is_empty(), is_let_in, "{peer}: {greeting}");
        assert!(is_let_in || (greeting.starts_with(DENIED) && greeting.ends_with("\r\n")));
        assert_eq!(cores.is_closed(client), !is_let_in, "{peer}");
        let reply = cores.call(client, "PING");
        assert_eq!(reply == "+PONG\r\n", is_let_in, "{peer}: {reply}");
    }
}

#[test]
fn a_password_or_no_protected_mode_lets_everyone_in() {
    let mut open = Cores::new(1, |config| config.protected_mode = false);
    let client = open.connect_from(from("10.0.0.1:1"));
    assert_eq!(open.call(client, "PING"), "+PONG\r\n");

    let mut guarded = Cores::new(1, |config| config.requirepass = password("secret"));
    let client = guarded.connect_from(from("10.0.0.1:1"));
    assert_eq!(guarded.call(client, "PING"), NOAUTH);
    assert_eq!(guarded.call(client, "AUTH secret"), "+OK\r\n");
    assert_eq!(guarded.call(client, "PING"), "+PONG\r\n");
}

#[test]
fn a_changed_password_is_for_those_who_come_or_authenticate() {
    let mut cores = Cores::new(2, |_| ());
    let early = cores.connect();
    cores.require("first");
    assert_eq!(cores.call(early, "PING"), "+PONG\r\n");
    let late = cores.connect();
    assert_eq!(cores.call(late, "PING"), NOAUTH);
    assert_eq!(cores.call(late, "AUTH first"), "+OK\r\n");

    cores.require("second");
    assert_eq!(cores.call(late, "PING"), "+PONG\r\n");
    assert!(cores.call(late, "AUTH first").starts_with("-WRONGPASS "));
    assert_eq!(cores.call(late, "PING"), "+PONG\r\n");
    assert_eq!(cores.call(early, "RESET"), "+RESET\r\n");
    assert_eq!(cores.call(early, "PING"), NOAUTH);

    cores.require("");
    assert_eq!(cores.call(early, "PING"), "+PONG\r\n");
    assert!(cores.call(early, "MGET a b c d e f g h i j k l").starts_with("*12\r\n"));
    assert!(cores.call(early, "HELLO").starts_with("-NOAUTH HELLO "));
    assert!(cores.call(early, "AUTH any").starts_with("-ERR AUTH <password> called without any password"));
    assert_eq!(cores.call(early, "AUTH default any"), "+OK\r\n");
    assert!(cores.call(early, "HELLO").starts_with('*'));
}

#[test]
fn too_many_clients_are_turned_away() {
    let mut cores = Cores::new(2, |config| config.maxclients = 3);
    let clients: Vec<_> = (0..4).map(|_| cores.connect()).collect();
    for &client in &clients[..3] {
        assert_eq!(cores.call(client, "PING"), "+PONG\r\n");
    }
    assert_eq!(cores.received(clients[3]), "-ERR max number of clients reached\r\n");
    assert!(cores.is_closed(clients[3]));
    let reconnected = cores.connect();
    assert_eq!(cores.call(reconnected, "PING"), "-ERR max number of clients reached\r\n");
}

/// The end of a pause is kept to the millisecond, whatever `hz` says.
#[test]
fn paused_commands_run_when_the_pause_ends() {
    let mut cores = Cores::new(2, |_| ());
    let (pauser, reader, writer) = (cores.connect(), cores.connect(), cores.connect());
    assert_eq!(cores.call(pauser, "CLIENT PAUSE 7 WRITE"), "+OK\r\n");
    assert_eq!(cores.call(reader, "GET a"), "$-1\r\n");
    assert_eq!(cores.call(writer, "SET a 1"), "");
    cores.send(writer, "GET a");
    cores.now_ms += 6;
    cores.run();
    assert_eq!(cores.received(writer), "");
    let next_us = cores.all.iter().map(|core| core.next_deadline_us()).max();
    assert!(next_us <= Some(cores.mono_us() + 1000));
    cores.now_ms += 1;
    cores.run();
    assert_eq!(cores.received(writer), "+OK\r\n$1\r\n1\r\n");
}
