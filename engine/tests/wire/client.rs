//! CLIENT: lists, kills, pauses, and what a connection says of itself.

use std::time::{Duration, Instant};

use bobbin_proto::{Value, Version};

use crate::support::{Client, Pair, Server, bobbin, same_replies};

fn ok() -> Value {
    Value::Simple(b"OK".to_vec())
}

fn pong() -> Value {
    Value::Simple(b"PONG".to_vec())
}

fn text(value: Value) -> String {
    match value {
        Value::Bulk(text) | Value::Verbatim { text, .. } => String::from_utf8(text).expect("a text"),
        other => panic!("not a text: {other:?}"),
    }
}

fn id(client: &mut Client) -> i64 {
    match client.run("CLIENT ID") {
        Value::Int(id) => id,
        other => panic!("not an id: {other:?}"),
    }
}

fn field<'a>(line: &'a str, name: &str) -> &'a str {
    line.split_whitespace()
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        .unwrap_or_else(|| panic!("no {name} in {line}"))
}

/// Enough connections that both reactors have some.
fn several(server: &Server) -> Vec<Client> {
    (0..6).map(|_| server.connect()).collect()
}

#[test]
fn replies_are_those_of_redis() {
    same_replies(&[
        "CLIENT",
        "CLIENT unknown",
        "CLIENT ID x",
        "CLIENT INFO x",
        "CLIENT GETNAME",
        "CLIENT GETNAME x",
        r#"CLIENT SETNAME "a b""#,
        r#"CLIENT SETNAME "a\n""#,
        r#"CLIENT SETNAME "\xff""#,
        "CLIENT SETNAME name",
        "CLIENT GETNAME",
        r#"CLIENT SETNAME """#,
        "CLIENT GETNAME",
        "CLIENT SETNAME",
        "CLIENT LIST x",
        "CLIENT LIST TYPE",
        "CLIENT LIST TYPE unknown",
        "CLIENT LIST TYPE pubsub",
        "CLIENT LIST TYPE MASTER",
        "CLIENT LIST TYPE replica",
        "CLIENT LIST TYPE slave",
        "CLIENT LIST ID",
        "CLIENT LIST ID x",
        "CLIENT LIST ID 0 -1 999999",
        "CLIENT LIST TYPE normal ID 1",
        "CLIENT KILL",
        "CLIENT KILL 1.2.3.4:5",
        "CLIENT KILL ID",
        "CLIENT KILL ID x",
        "CLIENT KILL ID 0",
        "CLIENT KILL ID -1",
        "CLIENT KILL ID 99999999999999999999",
        "CLIENT KILL ID 999999",
        "CLIENT KILL TYPE unknown",
        "CLIENT KILL TYPE master",
        "CLIENT KILL TYPE pubsub SKIPME no",
        "CLIENT KILL USER nobody",
        "CLIENT KILL USER default ID 999999",
        "CLIENT KILL SKIPME maybe",
        "CLIENT KILL ID 999999 SKIPME",
        "CLIENT KILL ADDR 1.2.3.4:5 LADDR 1.2.3.4:6",
        "CLIENT KILL unknown x",
        "CLIENT REPLY",
        "CLIENT REPLY maybe",
        "CLIENT REPLY ON",
        "CLIENT NO-EVICT",
        "CLIENT NO-EVICT maybe",
        "CLIENT NO-EVICT on",
        "CLIENT NO-EVICT off",
        "CLIENT PAUSE",
        "CLIENT PAUSE x",
        "CLIENT PAUSE 1.5",
        "CLIENT PAUSE -1",
        "CLIENT PAUSE 99999999999999999999",
        "CLIENT PAUSE 1 maybe",
        "CLIENT PAUSE 1 ALL x",
        "CLIENT PAUSE 0",
        "CLIENT PAUSE 20 ALL",
        "CLIENT PAUSE 9223372036854775807 WRITE",
        "CLIENT UNPAUSE x",
        "CLIENT UNPAUSE",
        "CLIENT UNBLOCK",
        "CLIENT UNBLOCK x",
        "CLIENT UNBLOCK x maybe",
        "CLIENT UNBLOCK 999999",
        "CLIENT UNBLOCK 999999 TIMEOUT",
        "CLIENT UNBLOCK 999999 error",
        "CLIENT UNBLOCK 999999 maybe",
        "CLIENT UNBLOCK 999999 ERROR x",
        "CLIENT GETREDIR",
        "CLIENT GETREDIR x",
        "CLIENT TRACKINGINFO",
        "CLIENT CACHING",
        "CLIENT CACHING yes",
        "CLIENT CACHING maybe",
        "CLIENT CACHING yes x",
        "CLIENT TRACKING",
        "CLIENT TRACKING maybe",
        "CLIENT TRACKING off",
        "CLIENT TRACKING off x",
        "CLIENT TRACKING off BCAST OPTIN PREFIX a NOLOOP",
        "CLIENT TRACKING on PREFIX",
        "CLIENT TRACKING on REDIRECT x",
        "CLIENT TRACKING on PREFIX a",
        "CLIENT TRACKING on BCAST OPTIN",
        "CLIENT TRACKING on BCAST OPTOUT",
        "CLIENT TRACKING on OPTIN OPTOUT",
        "CLIENT HELP x",
        "PING",
    ]);
}

/// What redis-server 7.0 does not know yet.
#[test]
fn newer_subcommands_answer_as_documented() {
    let server = bobbin();
    let mut client = server.connect();
    let error = |text: &str| Value::Error(text.as_bytes().to_vec());
    let special = |attribute: &str| {
        error(&format!("ERR {attribute} cannot contain spaces, newlines or special characters."))
    };
    for (line, reply) in [
        ("CLIENT SETINFO LIB-NAME redis-py", ok()),
        ("CLIENT SETINFO lib-ver 5.0.1", ok()),
        (r#"CLIENT SETINFO lib-name "a b""#, special("lib-name")),
        (r#"CLIENT SETINFO LIB-VER "a\n""#, special("LIB-VER")),
        ("CLIENT SETINFO lib-age 3", error("ERR Unrecognized option 'lib-age'")),
        ("CLIENT SETINFO lib-ver", error("ERR wrong number of arguments for 'client|setinfo' command")),
        ("CLIENT NO-TOUCH on", ok()),
        ("CLIENT NO-TOUCH maybe", error("ERR syntax error")),
        ("CLIENT KILL MAXAGE 100", Value::Int(0)),
        ("CLIENT KILL MAXAGE x", error("ERR maxage is not an integer or out of range")),
        ("CLIENT KILL MAXAGE 0", error("ERR maxage should be greater than 0")),
        ("CLIENT TRACKING on", error("ERR client-side caching is not supported by this server")),
    ] {
        assert_eq!(client.run(line), reply, "{line}");
    }
    let info = text(client.run("CLIENT INFO"));
    assert_eq!(
        [field(&info, "lib-name"), field(&info, "lib-ver"), field(&info, "flags")],
        ["redis-py", "5.0.1", "T"]
    );
}

/// Redis 7.0's fields, in its order, then those of 7.2.
#[test]
fn a_line_has_the_fields_of_redis() {
    let mut pair = Pair::start(&[], Version::Resp2);
    let (bobbin, oracle) = pair.both("CLIENT INFO");
    let names = |reply: &[u8]| -> Vec<String> {
        let line = String::from_utf8_lossy(reply).into_owned();
        line.split_whitespace().filter_map(|pair| Some(pair.split_once('=')?.0.to_owned())).collect()
    };
    let mut expected = names(&oracle);
    expected.extend(["lib-name".to_owned(), "lib-ver".to_owned()]);
    assert_eq!(names(&bobbin), expected);
}

#[test]
fn the_list_shows_the_clients_of_all_reactors_by_age() {
    let server = bobbin();
    let mut clients = several(&server);
    let ids: Vec<i64> = clients.iter_mut().map(id).collect();
    clients[3].run("CLIENT SETNAME third");
    clients[3].run("SELECT 7");
    clients[3].run("HELLO 3");
    let list = text(clients[0].run("CLIENT LIST"));
    let listed: Vec<i64> = list.lines().map(|line| field(line, "id").parse().expect("a number")).collect();
    let mut sorted = listed.clone();
    sorted.sort_unstable();
    assert_eq!(listed, sorted);
    assert!(ids.iter().all(|id| listed.contains(id)));
    let line = list.lines().find(|line| field(line, "name") == "third").expect("it is listed");
    assert_eq!([field(line, "db"), field(line, "resp"), field(line, "cmd")], ["7", "3", "hello"]);

    let two = text(clients[0].run(&format!("CLIENT LIST ID {} {} {}", ids[4], ids[1], ids[4])));
    let two: Vec<i64> = two.lines().map(|line| field(line, "id").parse().expect("a number")).collect();
    assert_eq!(two, [ids[4], ids[1], ids[4]]);
}

#[test]
fn kill_closes_clients_of_any_reactor() {
    let server = bobbin();
    let mut clients = several(&server);
    let ids: Vec<i64> = clients.iter_mut().map(id).collect();
    for victim in 1..4 {
        assert_eq!(clients[0].run(&format!("CLIENT KILL ID {}", ids[victim])), Value::Int(1));
        assert!(clients[victim].is_closed());
    }
    let info = text(clients[4].run("CLIENT INFO"));
    assert_eq!(clients[0].run(&format!("CLIENT KILL {}", field(&info, "addr"))), ok());
    assert!(clients[4].is_closed());
    assert_eq!(clients[0].run("CLIENT KILL TYPE normal SKIPME yes"), Value::Int(1));
    assert!(clients[5].is_closed());
    assert_eq!(text(clients[0].run("CLIENT LIST")).lines().count(), 1);
}

#[test]
fn who_kills_itself_is_answered_first() {
    let server = bobbin();
    let mut client = server.connect();
    let own = id(&mut client);
    client.send_raw(format!("CLIENT KILL ID {own} SKIPME no\r\nPING\r\n").as_bytes()).unwrap();
    assert_eq!(client.read(), Value::Int(1));
    assert!(client.is_closed());

    let mut client = server.connect();
    let addr = field(&text(client.run("CLIENT INFO")), "addr").to_owned();
    assert_eq!(client.run(&format!("CLIENT KILL {addr}")), ok());
    assert!(client.is_closed());
}

#[test]
fn paused_writes_wait_in_order_on_every_reactor_and_reads_do_not() {
    let server = bobbin();
    let mut clients = several(&server);
    let mut pauser = server.connect();
    assert_eq!(pauser.run("CLIENT PAUSE 100000 WRITE"), ok());
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.run("GET a"), Value::NullBulk);
        client.send_raw(format!("SET key{number} 1\r\nGET key{number}\r\nPING\r\n").as_bytes()).unwrap();
    }
    for client in &mut clients {
        assert!(client.is_silent());
    }
    assert_eq!(pauser.run("CLIENT UNPAUSE"), ok());
    for client in &mut clients {
        assert_eq!(client.read(), ok());
        assert_eq!(client.read(), Value::Bulk(b"1".to_vec()));
        assert_eq!(client.read(), pong());
    }
}

#[test]
fn a_pause_of_all_ends_by_itself_or_by_unpause() {
    let server = bobbin();
    let (mut pauser, mut paused) = (server.connect(), server.connect());
    let start = Instant::now();
    assert_eq!(pauser.run("CLIENT PAUSE 300"), ok());
    assert_eq!(paused.run("PING"), pong());
    assert!(start.elapsed() >= Duration::from_millis(299), "it ran after {:?}", start.elapsed());

    assert_eq!(pauser.run("CLIENT PAUSE 100000 ALL"), ok());
    paused.send(&["PING"]).unwrap();
    assert!(paused.is_silent());
    assert_eq!(pauser.run("CLIENT UNPAUSE"), ok());
    assert_eq!(paused.read(), pong());
}

#[test]
fn of_two_pauses_the_longer_and_stricter_hold() {
    let server = bobbin();
    let (mut pauser, mut paused) = (server.connect(), server.connect());
    pauser.send_raw(b"CLIENT PAUSE 100000 WRITE\r\nCLIENT PAUSE 1 ALL\r\n").unwrap();
    assert_eq!([pauser.read(), pauser.read()], [ok(), ok()]);
    paused.send(&["GET", "a"]).unwrap();
    assert!(paused.is_silent());
    assert_eq!(pauser.run("CLIENT UNPAUSE"), ok());
    assert_eq!(paused.read(), Value::NullBulk);
}

/// What is and is not answered, side by side with redis-server.
#[test]
fn reply_modes_leave_out_the_same_replies() {
    let script: &[(&[u8], usize)] = &[
        (b"CLIENT REPLY OFF\r\nPING\r\nunknown\r\nCLIENT REPLY SKIP\r\nPING\r\nCLIENT REPLY ON\r\nPING\r\n", 2),
        (b"CLIENT REPLY SKIP\r\nPING\r\nPING a\r\n", 1),
        (b"CLIENT REPLY SKIP\r\nunknown\r\nPING b\r\n", 1),
        (b"CLIENT REPLY SKIP\r\nGET\r\nPING c\r\n", 1),
        (b"CLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\nPING d\r\n", 2),
        (b"CLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nPING\r\nPING e\r\n", 1),
        (b"CLIENT REPLY SKIP\r\nMGET a b c d\r\nPING f\r\n", 1),
        (b"CLIENT REPLY SKIP\r\nCLIENT LIST\r\nPING g\r\n", 1),
        (b"CLIENT REPLY OFF\r\nSET a 1\r\nSET b 1\r\nRESET\r\nPING h\r\n", 2),
    ];
    let mut pair = Pair::start(&[], Version::Resp2);
    script.iter().for_each(|(bytes, replies)| pair.same_raw(bytes, *replies));
}
