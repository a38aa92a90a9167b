//! SCOPE: who writes which keys, declared and changed, on every connection and again after a start.

use bobbin_cluster::catalog::{Catalog, CatalogLog, Change};
use bobbin_proto::Value;

use crate::support::{Client, Server, bobbin, bobbin_with};

const DECLARED: [&str; 8] =
    ["--node-id", "us", "--node", "us 10.0.0.1:1", "--node", "them [::1]:2", "--scope", "their: writer them"];

fn ok() -> Value {
    Value::Simple(b"OK".to_vec())
}

fn error(text: &str) -> Value {
    Value::Error(text.into())
}

fn misdirected() -> Value {
    error("MISDIRECTED writer is [::1]:2")
}

/// Enough connections that both reactors have some.
fn several(server: &Server) -> Vec<Client> {
    (0..6).map(|_| server.connect()).collect()
}

/// What SCOPE LIST says: of each scope its prefix, writer, fallback, owner, address and state.
fn listed(client: &mut Client) -> Vec<String> {
    let Value::Array(scopes) = client.run("SCOPE LIST") else { panic!("not a list") };
    scopes.iter().map(shown).collect()
}

fn shown(owner: &Value) -> String {
    let text = |value: &Value| match value {
        Value::Bulk(bytes) => bytes.escape_ascii().to_string(),
        Value::Null | Value::NullBulk => "-".into(),
        other => panic!("{other:?}"),
    };
    let Value::Array(fields) = owner else { panic!("{owner:?}") };
    let (pairs, _) = fields.as_chunks::<2>();
    let names: Vec<_> = pairs.iter().map(|[name, _]| text(name)).collect();
    assert_eq!(names, ["prefix", "from", "writer", "fallback", "owner", "address", "state"]);
    pairs.iter().map(|[_, value]| text(value)).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_declared_is_gone_by() {
    let server = bobbin_with(&DECLARED);
    let mut client = server.connect();
    assert_eq!(listed(&mut client), ["their: - them - them [::1]:2 active"]);
    assert_eq!(shown(&client.run("SCOPE OWNER their:1")), "their: - them - them [::1]:2 active");
    assert_eq!(client.run("SCOPE OWNER free"), Value::NullBulk);
    assert_eq!(client.run("SCOPE VERSION"), Value::Int(3));
    for mut client in several(&server) {
        assert_eq!(client.run("SET their:1 v"), misdirected());
        assert_eq!(client.run("MSET a v their:1 v"), misdirected());
        assert_eq!(client.run("GET their:1"), Value::NullBulk);
        assert_eq!(client.run("SET free v"), ok());
    }
    let setting = [&b"scope"[..], b"their: writer them"].map(|text| Value::Bulk(text.into()));
    assert_eq!(client.run("CONFIG GET scope"), Value::Array(setting.into()));
    let fixed = "ERR CONFIG SET failed (possibly related to argument 'node-id') - can't set immutable config";
    assert_eq!(client.run("CONFIG SET node-id them"), error(fixed));
}

#[test]
fn a_change_holds_on_every_connection_once_it_is_answered() {
    let server = bobbin_with(&DECLARED);
    let (mut admin, mut others) = (server.connect(), several(&server));
    for round in 0..20 {
        assert_eq!(admin.run("SCOPE ADD new: WRITER them FALLBACK us"), ok());
        others.iter_mut().for_each(|client| assert_eq!(client.run("SET new:1 v"), misdirected(), "{round}"));
        assert_eq!(admin.run("SCOPE NODE them DOWN"), ok());
        others.iter_mut().for_each(|client| assert_eq!(client.run("SET new:1 v"), ok(), "{round}"));
        assert_eq!(admin.run("SCOPE NODE them up"), ok());
        others.iter_mut().for_each(|client| assert_eq!(client.run("SET new:1 v"), misdirected(), "{round}"));
        assert_eq!(admin.run("SCOPE DEL new:"), ok());
        others.iter_mut().for_each(|client| assert_eq!(client.run("SET new:1 v"), ok(), "{round}"));
        let version = Value::Int(3 + 4 * (round + 1));
        others.iter_mut().for_each(|client| assert_eq!(client.run("SCOPE VERSION"), version));
    }
}

#[test]
fn changes_by_many_clients_at_once_are_all_made() {
    let server = bobbin_with(&DECLARED);
    let mut clients = several(&server);
    for (number, client) in clients.iter_mut().enumerate() {
        for scope in 0..10 {
            client
                .send(&["SCOPE", "ADD", &format!("s{number}-{scope}:"), "writer", "us"])
                .expect("it is sent");
        }
    }
    for client in &mut clients {
        (0..10).for_each(|_| assert_eq!(client.read(), ok()));
    }
    assert_eq!(clients[0].run("SCOPE VERSION"), Value::Int(3 + 60));
    assert_eq!(listed(&mut clients[1]).len(), 61);
}

#[test]
fn the_history_is_told_newest_first_and_owners_of_then_too() {
    let server = bobbin_with(&[&DECLARED[..], &["--scope-history", "3"]].concat());
    let mut client = server.connect();
    for change in ["SCOPE ADD \"a b\" WRITER us", "SCOPE NODE them DOWN", "SCOPE DEL \"a b\""] {
        assert_eq!(client.run(change), ok());
    }
    let change = |version, text: &str| {
        let bulk = |text: &str| Value::Bulk(text.into());
        Value::Array(vec![bulk("version"), Value::Int(version), bulk("change"), bulk(text)])
    };
    let newest =
        [change(6, "unscope \"a b\""), change(5, "mark them down"), change(4, "scope \"a b\" writer us")];
    assert_eq!(client.run("SCOPE HISTORY 99"), Value::Array(newest.to_vec()));
    assert_eq!(client.run("SCOPE HISTORY 1"), Value::Array(newest[..1].to_vec()));
    assert_eq!(client.run("SCOPE HISTORY 0"), Value::Array(Vec::new()));
    assert_eq!(shown(&client.run("SCOPE OWNER \"a b1\" 5")), "a b - us - us 10.0.0.1:1 active");
    assert_eq!(client.run("SCOPE OWNER \"a b1\" 6"), Value::NullBulk);
    assert_eq!(client.run("SCOPE OWNER x 2"), error("ERR that version is not remembered"));
}

#[test]
fn what_is_wrong_is_told() {
    let server = bobbin_with(&DECLARED);
    let mut client = server.connect();
    for (request, text) in [
        ("SCOPE", "ERR wrong number of arguments for 'scope' command"),
        ("SCOPE nothing", "ERR unknown subcommand 'nothing'. Try SCOPE HELP."),
        ("SCOPE ADD x WRITER", "ERR wrong number of arguments for 'scope|add' command"),
        ("SCOPE ADD x OWNER us", "ERR syntax error"),
        ("SCOPE ADD x WRITER us FALLBACK", "ERR syntax error"),
        ("SCOPE ADD x WRITER us FALLBACK us", "ERR the fallback of a scope can't be its writer"),
        ("SCOPE ADD x WRITER nobody", "ERR there is no node 'nobody'"),
        (
            "SCOPE ADD x WRITER \"no name\"",
            "ERR a node's name is of 1 to 64 letters, digits, '.', '_' and '-'",
        ),
        ("SCOPE ADD \"\" WRITER us", "ERR a scope's prefix can't be empty"),
        ("SCOPE ADD their: WRITER us", "ERR there is a scope 'their:' already"),
        ("SCOPE ADD their:1 WRITER us", "ERR scope 'their:1' overlaps with scope 'their:'"),
        ("SCOPE ADD th WRITER us", "ERR scope 'th' overlaps with scope 'their:'"),
        ("SCOPE DEL x", "ERR there is no scope 'x'"),
        ("SCOPE NODE nobody UP", "ERR there is no node 'nobody'"),
        ("SCOPE NODE us SIDEWAYS", "ERR syntax error"),
        ("SCOPE OWNER x 1 2", "ERR syntax error"),
        ("SCOPE OWNER x -1", "ERR value is not an integer or out of range"),
        ("SCOPE HISTORY -1", "ERR value is not an integer or out of range"),
        ("SCOPE HISTORY x", "ERR value is not an integer or out of range"),
    ] {
        assert_eq!(client.run(request), error(text), "{request}");
    }
    assert_eq!(client.run("SCOPE VERSION"), Value::Int(3));
    assert_eq!(client.run("MULTI"), ok());
    assert_eq!(client.run("SCOPE DEL their:"), error("ERR Command not allowed inside a transaction"));
    assert_eq!(client.run("DISCARD"), ok());
}

#[test]
fn a_server_without_a_name_has_no_scopes() {
    let server = bobbin();
    let mut client = server.connect();
    assert_eq!(client.run("SCOPE VERSION"), Value::Int(0));
    assert_eq!(client.run("SCOPE LIST"), Value::Array(Vec::new()));
    let refused = error("ERR this server has no node-id: it can't take part in scopes");
    assert_eq!(client.run("SCOPE ADD x WRITER us"), refused);
}

#[test]
fn replies_are_maps_in_resp3() {
    let server = bobbin_with(&DECLARED);
    let mut client = server.connect();
    client.run("HELLO 3");
    let bulk = |text: &str| Value::Bulk(text.into());
    let their = Value::Map(vec![
        (bulk("prefix"), bulk("their:")),
        (bulk("from"), Value::Null),
        (bulk("writer"), bulk("them")),
        (bulk("fallback"), Value::Null),
        (bulk("owner"), bulk("them")),
        (bulk("address"), bulk("[::1]:2")),
        (bulk("state"), bulk("active")),
    ]);
    assert_eq!(client.run("SCOPE OWNER their:1"), their);
    assert_eq!(client.run("SCOPE OWNER x"), Value::Null);
    assert_eq!(client.run("SCOPE LIST"), Value::Array(vec![their]));
    assert_eq!(client.run("SCOPE VERSION"), Value::Int(3));
    let change = Value::Map(vec![
        (bulk("version"), Value::Int(3)),
        (bulk("change"), bulk("scope their: writer them")),
    ]);
    assert_eq!(client.run("SCOPE HISTORY 1"), Value::Array(vec![change]));
    assert_eq!(client.run("SCOPE ADD our: WRITER us"), ok());
    assert_eq!(client.run("SCOPE NODE them DOWN"), ok());
    assert_eq!(client.run("SCOPE DEL our:"), ok());
    assert_eq!(client.run("SCOPE DEL our:"), error("ERR there is no scope 'our:'"));
    assert_eq!(client.run("SET their:1 v"), misdirected());
}

#[test]
fn thirty_two_changes_are_remembered_unless_another_number_is_asked_for() {
    let server = bobbin_with(&DECLARED);
    let mut client = server.connect();
    for _ in 0..20 {
        assert_eq!(client.run("SCOPE NODE them DOWN"), ok());
        assert_eq!(client.run("SCOPE NODE them UP"), ok());
    }
    let Value::Array(changes) = client.run("SCOPE HISTORY 99") else { panic!("not a list") };
    assert_eq!(changes.len(), 32);
    assert_eq!(client.run("SCOPE VERSION"), Value::Int(43));
}

/// A start does again what was done, also on keys that have gone to another node since.
#[test]
fn what_a_read_has_kept_in_a_key_is_there_again_when_the_key_is_anothers() {
    let options = [&DECLARED[..], &["--appendonly", "yes", "--appendfsync", "always"]].concat();
    let mut server = bobbin_with(&options);
    let mut client = server.connect();
    assert_eq!(client.run("PFADD key a b c"), Value::Int(1));
    assert_eq!(client.run("PFCOUNT key"), Value::Int(3));
    assert_eq!(client.run("SCOPE ADD key WRITER them"), ok());
    let value = client.run("GET key");
    server.kill();
    server.start_again("2", &options);
    assert_eq!(server.connect().run("GET key"), value);
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let mut server = bobbin_with(&DECLARED);
    let mut client = server.connect();
    for change in [
        "SCOPE ADD \"a\\x00b:\" WRITER them FALLBACK us",
        "SCOPE DEL their:",
        "SCOPE NODE them DOWN",
        "SCOPE ADD x WRITER us",
    ] {
        assert_eq!(client.run(change), ok());
    }
    let (before, history) = (listed(&mut client), client.run("SCOPE HISTORY 99"));
    assert_eq!(before, ["a\\x00b: - them us us 10.0.0.1:1 active", "x - us - us 10.0.0.1:1 active"]);
    server.kill();
    // With what was declared but for the scope that was given up, and with another number of reactors.
    server.start_again("3", &DECLARED[..6]);
    let mut client = server.connect();
    assert_eq!(listed(&mut client), before);
    assert_eq!(client.run("SCOPE HISTORY 99"), history);
    assert_eq!(client.run("SET \"a\\x00b:1\" v"), ok());
    assert_eq!(client.run("SCOPE NODE them UP"), ok());
    assert_eq!(client.run("SET \"a\\x00b:1\" v"), misdirected());
}

/// A start takes over what is different in the configuration; all else is as SCOPE has left it.
#[test]
fn what_scope_has_made_of_declarations_holds_until_they_are_others() {
    let mut server = bobbin_with(&DECLARED);
    let again = |server: &mut Server, scopes: &[&str]| {
        server.kill();
        let scopes = scopes.iter().flat_map(|scope| ["--scope", scope]);
        server.start_again("2", &DECLARED[..6].iter().copied().chain(scopes).collect::<Vec<_>>());
        let mut client = server.connect();
        let listed = listed(&mut client);
        (client, listed)
    };
    assert_eq!(server.connect().run("SCOPE DEL their:"), ok());
    let (mut client, scopes) = again(&mut server, &["their: writer them"]);
    assert_eq!(scopes, [""; 0], "deleted, and still gone");
    assert_eq!(client.run("SET their:1 v"), ok());
    assert_eq!(client.run("SCOPE ADD the WRITER us"), ok());
    let (_, scopes) = again(&mut server, &["their: writer them"]);
    assert_eq!(scopes, ["the - us - us 10.0.0.1:1 active"], "what overlaps with it stops no start");
    assert!(server.log().contains("is not what"), "{}", server.log());
    let (mut client, _) = again(&mut server, &[]);
    assert_eq!(client.run("SCOPE DEL the"), ok());
    let (mut client, scopes) = again(&mut server, &["their: writer them", "our: writer us"]);
    let theirs = "their: - them - them [::1]:2 active";
    assert_eq!(scopes, ["our: - us - us 10.0.0.1:1 active", theirs], "declared anew");
    assert_eq!(client.run("SET their:1 v"), misdirected());
    let (_, scopes) = again(&mut server, &["their: writer them", "our: writer them fallback us"]);
    assert_eq!(scopes, ["our: - them us them [::1]:2 active", theirs], "declared as another");
    let (mut client, scopes) = again(&mut server, &["their: writer them"]);
    assert_eq!(scopes, [theirs], "taken out");
    assert_eq!(client.run("SCOPE DEL their:"), ok());
    assert_eq!(client.run("SCOPE ADD their: WRITER us"), ok());
    let (_, scopes) = again(&mut server, &[]);
    assert_eq!(scopes, ["their: - us - us 10.0.0.1:1 active"], "taken out, but SCOPE had made it another");
}

#[test]
fn keys_that_are_being_moved_are_quiesced() {
    let mut server = bobbin_with(&DECLARED);
    server.kill();
    let lines = ["node us 10.0.0.1:1", "node them [::1]:2", "scope our: writer us", "move our:1 to them"];
    let mut log = CatalogLog::new(Catalog::default(), 32);
    for line in lines {
        let change = Change::parse_line(line.as_bytes()).expect("a change");
        log.save(log.current().version(), change).expect("it can be made");
    }
    std::fs::write(server.dir().join("catalog"), log.encode()).expect("there is room");
    server.start_again("2", &DECLARED);
    let mut client = server.connect();
    assert_eq!(client.run("SET our:1 v"), error("QUIESCED migrating to [::1]:2"));
    assert_eq!(client.run("SET our:2 v"), ok());
    let moving =
        ["our:1 - us - us 10.0.0.1:1 migrating-source", "our:1 - them - them [::1]:2 migrating-target"];
    assert_eq!(listed(&mut client)[1..3], moving);
}

#[test]
fn a_damaged_catalog_stops_the_start() {
    let mut server = bobbin_with(&DECLARED);
    server.kill();
    let path = server.dir().join("catalog");
    let text = std::fs::read_to_string(&path).expect("it is stored");
    std::fs::write(&path, text.replace("their:", "other:")).expect("there is room");
    assert!(!server.try_again("2", &DECLARED));
    assert!(server.log().contains("it is not as it was written. Put back a copy of it"), "{}", server.log());
}

#[test]
fn a_change_that_can_t_be_stored_is_not_made() {
    let server = bobbin_with(&DECLARED);
    let mut client = server.connect();
    // Where the file is made first there is something that is no file.
    std::fs::create_dir(server.dir().join("catalog.new")).expect("there is room");
    let Value::Error(refused) = client.run("SCOPE DEL their:") else { panic!("it is refused") };
    assert!(String::from_utf8_lossy(&refused).starts_with("ERR the catalog can't be written: "));
    assert_eq!(client.run("SET their:1 v"), misdirected());
    std::fs::remove_dir(server.dir().join("catalog.new")).expect("it is empty");
    assert_eq!(client.run("SCOPE DEL their:"), ok());
    assert_eq!(client.run("SET their:1 v"), ok());
}
