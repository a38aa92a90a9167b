//! COMMAND: the table as clients see it, held against redis-server's.

use std::collections::BTreeSet;

use bobbin_proto::{Value, Version};

use crate::support::{Client, Pair, bobbin, oracle};

/// Redis tells these of a key specification in its own sentences.
const NOTES: &[u8] = b"notes";
/// Commands that Redis 7.2 takes more arguments for than the oracle: their arity is another.
const LONGER: &[&str] = &["zrank", "zrevrank"];

fn bytes(value: &Value) -> &[u8] {
    match value {
        Value::Bulk(bytes) | Value::Simple(bytes) => bytes,
        other => panic!("not a text: {other:?}"),
    }
}

fn items(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) | Value::Set(items) => items,
        other => panic!("not a list: {other:?}"),
    }
}

fn names(client: &mut Client) -> BTreeSet<String> {
    let names = items(client.run("COMMAND LIST"));
    names.iter().map(|name| String::from_utf8_lossy(bytes(name)).into_owned()).collect()
}

/// One command of COMMAND INFO, without notes, with subcommands by name and only those that both have.
fn info(client: &mut Client, name: &str, both: &BTreeSet<String>) -> Value {
    let mut info = items(client.call(&["COMMAND", "INFO", name])).remove(0);
    let Value::Array(fields) = &mut info else { panic!("{name}: {info:?}") };
    if LONGER.contains(&name) {
        fields[1] = Value::Null;
    }
    let specs = items(fields[8].clone());
    fields[8] = Value::Set(specs.into_iter().map(without_notes).collect());
    if let Value::Array(subs) = &mut fields[9] {
        subs.retain(|sub| both.contains(&sub_name(sub)));
        subs.sort_by_key(sub_name);
    }
    info
}

fn shown(value: &Value) -> String {
    let list = |items: &[Value]| items.iter().map(shown).collect::<Vec<_>>().join(" ");
    match value {
        Value::Bulk(text) | Value::Simple(text) => String::from_utf8_lossy(text).into_owned(),
        Value::Int(number) => number.to_string(),
        Value::Array(items) | Value::Set(items) => format!("[{}]", list(items)),
        Value::Map(pairs) => {
            let pairs: Vec<_> = pairs.iter().map(|(key, value)| shown(key) + "=" + &shown(value)).collect();
            format!("{{{}}}", pairs.join(" "))
        }
        other => format!("{other:?}"),
    }
}

fn sub_name(sub: &Value) -> String {
    let Value::Array(fields) = sub else { panic!("not a command: {sub:?}") };
    String::from_utf8_lossy(bytes(&fields[0])).into_owned()
}

fn without_notes(spec: Value) -> Value {
    match spec {
        Value::Map(pairs) => Value::Map(pairs.into_iter().filter(|(key, _)| bytes(key) != NOTES).collect()),
        Value::Array(flat) => {
            let (pairs, _) = flat.as_chunks::<2>();
            Value::Array(pairs.iter().filter(|pair| bytes(&pair[0]) != NOTES).flatten().cloned().collect())
        }
        other => panic!("not a key specification: {other:?}"),
    }
}

#[test]
fn every_command_is_described_as_redis_describes_it() {
    let (bobbin, oracle) = (bobbin(), oracle());
    let (mut ours, mut theirs) = (bobbin.connect(), oracle.connect());
    let (our_names, their_names) = (names(&mut ours), names(&mut theirs));
    let both: BTreeSet<_> = our_names.intersection(&their_names).cloned().collect();
    assert!(both.len() > 20);
    let mut wrong = Vec::new();
    for hello in ["HELLO 2", "HELLO 3"] {
        ours.run(hello);
        theirs.run(hello);
        for name in &both {
            let [ours, theirs] = [&mut ours, &mut theirs].map(|client| info(client, name, &both));
            if ours != theirs {
                wrong.push(format!(
                    "{hello} {name}:\n   redis: {}\n  bobbin: {}",
                    shown(&theirs),
                    shown(&ours)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), 2 * both.len(), wrong.join("\n"));
}

#[test]
fn command_and_its_info_and_count_agree() {
    let server = bobbin();
    let mut client = server.connect();
    let all = items(client.run("COMMAND"));
    assert_eq!(client.run("COMMAND COUNT"), Value::Int(all.len() as i64));
    assert_eq!(items(client.run("COMMAND INFO")), all);
    let listed = names(&mut client);
    assert!(all.iter().all(|command| listed.contains(&sub_name(command))));
    let docs = items(client.run("COMMAND DOCS"));
    assert_eq!(docs.len(), 2 * all.len());
}

#[test]
fn replies_are_those_of_redis() {
    for version in [Version::Resp2, Version::Resp3] {
        let mut pair = Pair::start(&[], version);
        for line in [
            "COMMAND unknown",
            "COMMAND COUNT x",
            "COMMAND INFO unknown",
            "COMMAND INFO get unknown GET",
            "COMMAND INFO client|id CLIENT|GETNAME client|unknown",
            "COMMAND DOCS unknown",
            "COMMAND LIST x",
            "COMMAND LIST FILTERBY",
            "COMMAND LIST FILTERBY MODULE",
            "COMMAND LIST FILTERBY unknown x",
            "COMMAND LIST FILTERBY PATTERN x y",
            "COMMAND LIST FILTERBY MODULE x",
            "COMMAND LIST FILTERBY aclcat unknown",
            "COMMAND LIST FILTERBY PATTERN unknown",
            "COMMAND LIST FILTERBY pattern CLIENT|ID",
            "COMMAND LIST FILTERBY pattern [c]lient",
            "COMMAND GETKEYS",
            "COMMAND GETKEYS get",
            "COMMAND GETKEYS unknown x",
            "COMMAND GETKEYS GET a",
            "COMMAND GETKEYS get a b",
            "COMMAND GETKEYS ping a",
            "COMMAND GETKEYS mset a 1",
            "COMMAND GETKEYS mset a 1 b",
            "COMMAND GETKEYS mset a 1 b 2",
            r#"COMMAND GETKEYS mget "\x00" "" a"#,
            "COMMAND GETKEYS xread count streams a",
            "COMMAND GETKEYS xread streams a b c",
            "COMMAND GETKEYS xread streams a b c d",
            "COMMAND GETKEYS pfmerge a",
            "COMMAND GETKEYS pfmerge a b c",
            "COMMAND GETKEYS zdiff 1 a b",
            "COMMAND GETKEYS zdiff 2 a",
            "COMMAND GETKEYS zdiff 2 a b",
            "COMMAND GETKEYS zdiff 0 a",
            "COMMAND GETKEYS zdiff -1 a",
            "COMMAND GETKEYS zdiff x a",
            "COMMAND GETKEYS zdiff 9223372036854775807 a",
            "COMMAND GETKEYS zdiffstore a 1 b",
            "COMMAND GETKEYS zdiffstore a 2 b",
            "COMMAND GETKEYS zdiffstore a x b",
            "COMMAND GETKEYS client list",
            "COMMAND GETKEYS client unknown",
            "COMMAND GETKEYSANDFLAGS get a",
            "COMMAND GETKEYSANDFLAGS mset a 1 b 2",
            "COMMAND GETKEYSANDFLAGS mget a b",
            "COMMAND GETKEYSANDFLAGS unknown b",
            "COMMAND GETKEYSANDFLAGS set a b",
            "COMMAND GETKEYSANDFLAGS set a b get",
            "COMMAND GETKEYSANDFLAGS set a b ex 10 get nx",
            "COMMAND GETKEYSANDFLAGS set a b get foo",
            "COMMAND GETKEYSANDFLAGS set a get",
            "COMMAND GETKEYSANDFLAGS set a b ex get",
            "COMMAND GETKEYSANDFLAGS bitfield a",
            "COMMAND GETKEYSANDFLAGS bitfield a get u8 0",
            "COMMAND GETKEYSANDFLAGS bitfield a get u8 0 get u8 1",
            "COMMAND GETKEYSANDFLAGS bitfield a get u8 0 set u8 0 1",
            "COMMAND GETKEYSANDFLAGS bitfield a overflow wrap",
            "COMMAND GETKEYSANDFLAGS bitfield a overflow wrap get u8 0",
            "COMMAND GETKEYSANDFLAGS bitfield a foo",
            "COMMAND GETKEYSANDFLAGS bitfield a get",
            "COMMAND GETKEYSANDFLAGS bitfield a get u8",
            "COMMAND GETKEYSANDFLAGS bitfield a set u8",
            "COMMAND GETKEYSANDFLAGS bitfield a incrby u8 0",
            "COMMAND GETKEYSANDFLAGS bitfield a incrby u8 0 1",
            "COMMAND GETKEYSANDFLAGS bitfield a get u8 0 incrby u8 0 1",
            "COMMAND GETKEYSANDFLAGS rename a b",
            "COMMAND GETKEYSANDFLAGS pfcount a b",
            "COMMAND GETKEYSANDFLAGS bitop and a b c",
            "COMMAND GETKEYS object encoding a",
            "COMMAND GETKEYS copy a b",
            "COMMAND GETKEYS msetnx a 1 b",
            "COMMAND GETKEYS lcs a b",
            "COMMAND HELP x",
        ] {
            pair.same(line);
        }
    }
}

/// Type, token, flags and key specification of arguments, and those within them: what hints are made of. Names are
/// left out where Redis made them up.
fn outline(arguments: &Value) -> String {
    let one = |argument: &Value| {
        let Value::Map(pairs) = argument else { panic!("not an argument: {argument:?}") };
        let find =
            |name: &str| pairs.iter().find(|(key, _)| bytes(key) == name.as_bytes()).map(|(_, value)| value);
        let text = |name: &str| find(name).map(|value| String::from_utf8_lossy(bytes(value)).into_owned());
        let spec = match find("key_spec_index") {
            Some(Value::Int(index)) => format!("#{index}"),
            _ => String::new(),
        };
        let flags: Vec<_> = find("flags").cloned().map(items).unwrap_or_default();
        let marks: String =
            flags.iter().map(|flag| if bytes(flag) == b"optional" { '?' } else { '*' }).collect();
        let inner = find("arguments").map_or(String::new(), |inner| format!("({})", outline(inner)));
        format!(
            "{}{inner}{spec}={}{marks}",
            text("type").unwrap_or_default(),
            text("token").unwrap_or_default()
        )
    };
    let Value::Array(arguments) = arguments else { panic!("not arguments: {arguments:?}") };
    arguments.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn documented_arguments(client: &mut Client, name: &str) -> String {
    let Value::Map(docs) = client.call(&["COMMAND", "DOCS", name]) else { panic!("{name}") };
    let Value::Map(fields) = &docs[0].1 else { panic!("{name}") };
    let arguments = fields.iter().find(|(key, _)| bytes(key) == b"arguments");
    arguments.map_or(String::new(), |(_, arguments)| outline(arguments))
}

/// Commands whose arguments Redis 7.0 tells otherwise than it takes them, in different ways, or not at all, or that
/// take more here.
const DOCUMENTED_OTHERWISE: &[&str] = &[
    "bitop",
    "client|kill",
    "client|list",
    "command|getkeys",
    "command|getkeysandflags",
    "config|get",
    "debug",
    "geosearch",
    "geosearchstore",
    "hscan",
    "lolwut",
    "pfmerge",
    "psubscribe",
    "xinfo|stream",
    "zrank",
    "zrevrank",
];

#[test]
fn arguments_are_documented_as_redis_documents_them() {
    let (bobbin, oracle) = (bobbin(), oracle());
    let (mut ours, mut theirs) = (bobbin.connect(), oracle.connect());
    ours.run("HELLO 3");
    theirs.run("HELLO 3");
    let (our_names, their_names) = (names(&mut ours), names(&mut theirs));
    let mut wrong = Vec::new();
    for name in our_names.intersection(&their_names) {
        let [ours, theirs] = [&mut ours, &mut theirs].map(|client| documented_arguments(client, name));
        if ours != theirs && !DOCUMENTED_OTHERWISE.contains(&name.as_str()) {
            wrong.push(format!("{name}:\n   redis: {theirs}\n  bobbin: {ours}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn help_is_lines_for_people() {
    let server = bobbin();
    let mut client = server.connect();
    for container in ["CLIENT", "COMMAND"] {
        let lines = items(client.call(&[container, "HELP"]));
        assert!(lines.len() > 5 && lines.iter().all(|line| matches!(line, Value::Simple(_))));
        let first = format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
        assert_eq!(bytes(&lines[0]), first.as_bytes());
    }
}
