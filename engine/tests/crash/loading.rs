//! A server that loads: it listens, says so, and serves nobody's data.

use std::path::PathBuf;

use bobbin_engine::ids::Stamp;
use bobbin_engine::journal::{Batch, Directory, Disk as _, DiskFile as _, Group, JournalFile, Replay};
use bobbin_proto::Value;

use crate::support::{Client, Server, bobbin_journalled, eventually, words};

/// Ten keys, and a server that has yet to load them.
fn loading() -> Server {
    let mut server = bobbin_journalled("2", &["--appendfsync", "always"]);
    let mut client = server.connect();
    (0..10).for_each(|n| drop(client.run(&format!("SET k{n} {n}"))));
    server.kill();
    server.set_faults("load wait");
    server.listen_again("2", &[]);
    server
}

fn words_of(value: &Value) -> Vec<String> {
    let (Value::Array(items) | Value::Set(items)) = value else { panic!("a list: {value:?}") };
    let text = |item: &Value| match item {
        Value::Simple(text) | Value::Bulk(text) => String::from_utf8_lossy(text).into_owned(),
        other => panic!("a text: {other:?}"),
    };
    items.iter().map(text).collect()
}

/// Of every command that is no container: its name, with as many arguments as it needs, and whether it is for any time.
fn commands(client: &mut Client) -> Vec<(Vec<String>, bool)> {
    let Value::Array(rows) = client.run("COMMAND") else { panic!("COMMAND is a list") };
    let row = |row: Value| {
        let Value::Array(facts) = row else { panic!("of lists") };
        let (Value::Bulk(name), Value::Int(arity)) = (&facts[0], &facts[1]) else { panic!("name and arity") };
        let is_container = matches!(facts.get(9), Some(Value::Array(subcommands)) if !subcommands.is_empty());
        let mut words = vec![String::from_utf8_lossy(name).into_owned()];
        words.resize(arity.unsigned_abs() as usize, "1".to_owned());
        (!is_container).then(|| (words, words_of(&facts[2]).iter().any(|flag| flag == "loading")))
    };
    rows.into_iter().filter_map(row).collect()
}

/// Which those are is compared with redis-server by the tests of COMMAND.
#[test]
fn only_commands_for_any_time_are_run_while_the_data_are_loaded() {
    let mut server = loading();
    let all = commands(&mut server.connect());
    assert!(all.len() > 150 && all.iter().any(|(_, is_for_any_time)| *is_for_any_time));
    for (words, is_for_any_time) in all {
        // Those that end the server or make the connection another; and those nobody answers.
        if ["shutdown", "monitor", "subscribe", "psubscribe", "unsubscribe", "punsubscribe", "quit"]
            .contains(&words[0].as_str())
        {
            continue;
        }
        let reply = server.connect().call_raw(&words);
        let is_refused = reply.starts_with(b"-LOADING ");
        assert_eq!(is_refused, !is_for_any_time, "{words:?}: {}", reply.escape_ascii());
    }
    server.set_faults("");
    server.await_ready();
    assert_eq!(server.connect().run("DBSIZE"), Value::Int(10));
}

#[test]
fn info_says_that_the_data_are_loaded() {
    let mut server = loading();
    let says = |server: &Server, field: &str| {
        let info = server.connect().call_raw(&["INFO", "persistence"]);
        String::from_utf8_lossy(&info).contains(field)
    };
    assert!(says(&server, "\r\nloading:1\r\n"));
    server.set_faults("");
    server.await_ready();
    assert!(says(&server, "\r\nloading:0\r\n"));
}

/// The fields of INFO persistence that are there only while data are loaded.
fn loading_fields(client: &mut Client) -> Vec<(String, f64)> {
    let info = client.call_raw(&["INFO", "persistence"]);
    let info = String::from_utf8_lossy(&info).into_owned();
    let fields = info.lines().filter_map(|line| line.split_once(':'));
    let fields = fields.filter(|(name, _)| name.starts_with("loading_"));
    fields.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect()
}

/// With the fields of redis-server 7.0.15, in its order.
#[test]
fn info_and_the_log_tell_how_far_loading_is() {
    // So that nothing of before the snapshot is in the journal behind it.
    let mut server = bobbin_journalled("2", &["--rdbcompression", "no", "--appendfsync", "always"]);
    let mut client = server.connect();
    for n in 0..12 {
        client.call(&["SET", &format!("k{n}"), &"v".repeat(700_000)]);
    }
    assert_eq!(client.run("SAVE"), Value::Simple(b"OK".to_vec()));
    client.call(&["SET", "after", &"v".repeat(700_000)]);
    server.kill();
    server.set_faults("load-part 2 wait");
    server.listen_again("2", &[]);
    let mut client = server.connect();
    // The log tells once a second.
    let (mut fields, mut seconds) = (Vec::new(), 0.0);
    eventually(|| {
        fields = loading_fields(&mut client);
        let Value::Array(time) = client.run("TIME") else { panic!("a list") };
        let Value::Bulk(now) = &time[0] else { panic!("a text") };
        seconds = String::from_utf8_lossy(now).parse::<f64>().expect("a number") - fields[0].1;
        fields[3].1 > 0.0 && seconds >= 3.0
    });
    let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
    let expected =
        ["start_time", "total_bytes", "rdb_used_mem", "loaded_bytes", "loaded_perc", "eta_seconds"];
    assert_eq!(names, expected.map(|name| format!("loading_{name}")));
    let [_, (_, total), _, (_, done), (_, percent), (_, left)] = &fields[..] else { panic!("{fields:?}") };
    // Two chunks of two or three values, of twelve and one more.
    assert!(*total > 13.0 * 700_000.0 && *total < 14.0 * 700_000.0, "{fields:?}");
    assert!(*done > 4.0 * 700_000.0 && *done < 7.0 * 700_000.0, "{fields:?}");
    assert!((percent - done * 100.0 / total).abs() < 0.01, "{fields:?}");
    let expected = seconds * (total - done) / done;
    assert!((left - expected).abs() <= expected / 2.0, "{expected} {fields:?}");
    server.set_faults("");
    server.await_ready();
    assert!(loading_fields(&mut client).is_empty());
    let info = client.call_raw(&["INFO", "persistence"]);
    assert!(String::from_utf8_lossy(&info).contains("\r\nrdb_last_load_keys_loaded:12\r\n"));
    assert!(server.log().contains(" %, ") && server.log().contains(" keys, 0:00:0"), "{}", server.log());
}

/// Journals these commands, a batch for each, behind what a server has left in its directory. Returns the file, and
/// where in it the group of the batch begins that is asked for.
fn journal(server: &Server, commands: &[&str], asked: usize) -> (PathBuf, u64, Stamp) {
    let disk = Directory::new(server.dir().join("appendonlydir"));
    let mut recovered = Replay::open(&disk).expect("a state").finish().expect("a state");
    let (facts, file, _) = recovered.begin(&disk, 7, 0).expect("there is room");
    let (mut group, mut at, mut found) = (Group::new(recovered.next), JournalFile::HEADER_LEN, None);
    for (number, command) in commands.iter().enumerate() {
        if number == asked {
            found = Some((disk.path().join(facts.id.to_string()), at, group.next()));
        }
        let mut batch = Batch::default();
        batch.push(0, words(command).iter().map(Vec::as_slice));
        group.push(group.next(), batch.bytes());
        let bytes = group.seal(facts.place(at), at);
        file.write_all_at(bytes, at).expect("there is room");
        at += bytes.len() as u64;
        group.restart();
    }
    found.expect("it is one of them")
}

/// On one shard, and over two.
#[test]
fn a_command_of_the_journal_that_fails_is_told_with_its_place() {
    let (one, two) = ("INCR k", "SMOVE k l v");
    for (failing, reactors) in [(one, "1"), (one, "2"), (two, "2")] {
        let mut server = bobbin_journalled(reactors, &[]);
        assert!(server.stop());
        let (path, at, stamp) = journal(&server, &["SET k v", "SADD l v", failing, "SET after v"], 2);
        let dir = server.dir().join("appendonlydir");
        let files = || {
            let mut names: Vec<_> = std::fs::read_dir(&dir)
                .expect("a directory")
                .map(|entry| entry.expect("an entry").file_name())
                .collect();
            names.sort();
            names
        };
        let before = files();
        assert!(!server.try_again(reactors, &["--propagation-error-behavior", "panic"]), "{failing}");
        let place = format!("{}: in the group at byte {at}, of stamp {}: ", path.display(), stamp.0);
        let log = server.log();
        assert!(log.contains(&place) && log.contains(&format!("done again: {failing}: -")), "{log}");
        assert_eq!(files(), before);
        server.start_again(reactors, &[]);
        let log = server.log();
        assert!(
            log.contains(&format!("Loading goes on, but in the batch of stamp {}, ", stamp.0))
                && log.contains(&format!("{place}the first of 1 commands ")),
            "{log}"
        );
        // The place, and no advice: that one would cut off what has been loaded.
        let told = log.lines().find(|line| line.contains("The data may not be what they were"));
        assert!(told.is_some_and(|line| line.ends_with("and failed now")), "{log}");
        assert_eq!(server.connect().run("EXISTS k l after"), Value::Int(3));
    }
}

#[test]
fn a_command_that_is_none_ends_the_start_with_its_place() {
    let mut server = bobbin_journalled("1", &[]);
    assert!(server.stop());
    let (path, at, stamp) = journal(&server, &["SET k v", "NOSUCH k"], 1);
    assert!(!server.try_again("2", &[]));
    let place = format!("{}: in the group at byte {at}, of stamp {}: ", path.display(), stamp.0);
    let log = server.log();
    assert!(log.contains(&place) && log.contains("cannot do again: NOSUCH"), "{log}");
    // What the text says is to be done.
    std::fs::File::options().write(true).open(&path).and_then(|file| file.set_len(at)).expect("it is there");
    server.start_again("2", &[]);
    assert_eq!(server.connect().run("EXISTS k"), Value::Int(1));
}

/// What is on disk was within the limits of its time.
#[test]
fn lower_limits_lose_nothing() {
    let mut server = bobbin_journalled("2", &["--appendfsync", "always"]);
    let mut client = server.connect();
    let lines = [
        "SETRANGE a 1500000 x",
        "SETBIT b 12000000 1",
        "SET c x",
        "APPEND c y",
        "BITFIELD d SET u8 12000000 7",
    ];
    lines.iter().for_each(|line| drop(client.run(line)));
    client.call(&["SET", "e", &"v".repeat(1_500_000)]);
    let payload = client.call(&["DUMP", "e"]);
    let Value::Bulk(payload) = payload else { panic!("DUMP is a text") };
    client.call(&[b"RESTORE", &b"f"[..], b"0", &payload]);
    let lengths =
        |client: &mut Client| ["a", "b", "c", "d", "e", "f"].map(|key| client.run(&format!("STRLEN {key}")));
    let before = lengths(&mut client);
    server.kill();
    server.start_again("1", &["--proto-max-bulk-len", "1mb"]);
    let mut client = server.connect();
    assert_eq!(lengths(&mut client), before);
    let reply = client.call_raw(&["SETRANGE", "new", "1500000", "x"]);
    assert!(reply.starts_with(b"-ERR string exceeds maximum allowed size"), "{}", reply.escape_ascii());
}
