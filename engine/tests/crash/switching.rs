//! The journal begins and ends while clients write, and the server ends at any moment of that, or its disk fails.

use std::fs;
use std::time::Duration;

use bobbin_proto::Value;

use crate::files::journals;
use crate::load::{CLIENTS, REACTORS, look, run};
use crate::rounds;
use crate::support::{Client, Server, bobbin_journalled, eventually};

const OFF: [&str; 4] = ["--appendonly", "no", "--appendfsync", "always"];
const ON: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];
const BEGUN: &str = "The journal has begun";
const ENDED: &str = "The journal has ended";

fn ok() -> Value {
    Value::Simple(b"OK".to_vec())
}

fn times(server: &Server, text: &str) -> usize {
    server.log().matches(text).count()
}

fn set(server: &Server, is_on: &str) {
    assert_eq!(server.connect().run(&format!("CONFIG SET appendonly {is_on}")), ok());
}

fn begin(server: &Server) {
    let before = times(server, BEGUN);
    set(server, "yes");
    eventually(|| times(server, BEGUN) > before);
}

/// What may be lost of what was acknowledged in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Nothing,
    /// All of the round.
    Round,
}

/// How a round ends, and what that may take.
type Round<'a> = (Loss, &'a dyn Fn(&mut Server));

/// Rounds of load, each of which begins with a journal that is off, or on, as the directives say.
fn end_again_and_again(directives: &[&str], rounds: &[Round<'_>]) {
    let mut server = bobbin_journalled(REACTORS[0], directives);
    let mut done = vec![0; CLIENTS];
    for (round, (loss, end)) in rounds.iter().enumerate() {
        let time = Duration::from_millis(fastrand::u64(20..200));
        let acknowledged = run(&mut server, &done, time, *end);
        server.start_again(REACTORS[(round + 1) % REACTORS.len()], directives);
        let found = look(&server);
        for client in 0..CLIENTS {
            let least = if *loss == Loss::Nothing { acknowledged[client] } else { done[client] };
            assert!(
                (least..=acknowledged[client] + 1).contains(&found[client]),
                "round {round}: client {client} has {}; {} at first, {} acknowledged",
                found[client],
                done[client],
                acknowledged[client]
            );
        }
        done = found;
    }
}

#[test]
fn once_it_has_begun_no_acknowledged_write_is_lost_by_kill_9() {
    let end = |server: &mut Server| {
        begin(server);
        std::thread::sleep(Duration::from_millis(fastrand::u64(..50)));
        server.kill();
    };
    end_again_and_again(&OFF, &vec![(Loss::Nothing, &end as &dyn Fn(&mut Server)); rounds()]);
}

/// As it is asked for, at any moment from then on: what was there before is not lost, and what is there is a prefix.
#[test]
fn while_it_begins_a_kill_9_leaves_what_was_there_or_more() {
    let end = |server: &mut Server| {
        set(server, "yes");
        std::thread::sleep(Duration::from_millis(fastrand::u64(..80)));
        server.kill();
    };
    end_again_and_again(&OFF, &vec![(Loss::Round, &end as &dyn Fn(&mut Server)); 2 * rounds()]);
}

/// What the beginning does with files, in its order: the journal's file is made and written to, the snapshot, the manifest
/// that lists both.
const POINTS: [&str; 17] = [
    "create 1 kill",
    "store 1 kill",
    "flush 1 kill",
    "names 1 kill",
    "walk 1 kill",
    "write 2 kill",
    "write short\nwritten 3 kill",
    "synced 2 kill",
    "create 2 kill",
    "store 2 kill",
    "flush 2 kill",
    "rename 1 kill",
    "names 2 kill",
    "create 3 kill",
    "flush 3 kill",
    "rename 2 kill",
    "names 3 kill",
];

#[test]
fn wherever_its_beginning_ends_what_was_there_or_more_is_left() {
    let ends: Vec<_> = POINTS
        .iter()
        .map(|point| {
            move |server: &mut Server| {
                // There is a manifest.
                assert_eq!(server.connect().run("SAVE"), ok());
                server.set_faults(point);
                server.connect().send(&["CONFIG", "SET", "appendonly", "yes"]).expect("the server reads");
                server.wait_ended();
                server.set_faults("");
            }
        })
        .collect();
    let rounds: Vec<_> = ends.iter().map(|end| (Loss::Round, end as &dyn Fn(&mut Server))).collect();
    end_again_and_again(&OFF, &rounds);
}

/// A directory with other files and no manifest would be taken for damaged.
#[test]
fn wherever_the_first_file_of_a_directory_ends_it_can_be_started() {
    for what in ["CONFIG SET appendonly yes", "SAVE"] {
        for point in 1..=12 {
            let kind = ["create", "rename", "names", "flush"][point % 4];
            let nth = point / 4 + 1;
            let mut server = bobbin_journalled("2", &OFF);
            let mut client = server.connect();
            client.run("MSET a 1 b 1 c 1 d 1");
            server.set_faults(&format!("{kind} {nth} kill"));
            client.send(&crate::support::words(what)).expect("the server reads");
            let is_over = |server: &Server| times(server, "DB saved on disk") > 0;
            eventually(|| Client::try_connect(server.port).is_err() || is_over(&server));
            // Some do not pass the point so often.
            server.kill();
            server.set_faults("");
            server.start_again("1", &OFF);
            let keys = server.connect().run("DBSIZE");
            assert!([Value::Int(0), Value::Int(4)].contains(&keys), "{what}, {kind} {nth}: {keys:?}");
        }
    }
}

/// Replies that wait for the disk when it ends are not given before what they tell is durable.
#[test]
fn what_was_acknowledged_before_its_end_is_not_lost() {
    let ways: [&dyn Fn(&mut Server); 5] = [
        &|server| {
            set(server, "no");
            server.kill();
        },
        &|server| {
            set(server, "no");
            std::thread::sleep(Duration::from_millis(fastrand::u64(..80)));
            server.kill();
        },
        &|server| ended_at(server, "synced 20 kill"),
        &|server| ended_at(server, "write 10 kill"),
        &|server| {
            let before = times(server, ENDED);
            set(server, "no");
            eventually(|| times(server, ENDED) > before);
            server.kill();
        },
    ];
    let rounds: Vec<_> = ways.iter().cycle().take(2 * ways.len()).map(|end| (Loss::Round, *end)).collect();
    end_again_and_again(&ON, &rounds);
}

/// If the point is passed so often before it has ended.
fn ended_at(server: &mut Server, point: &str) {
    let before = times(server, ENDED);
    server.set_faults(point);
    let mut client = server.connect();
    // The reply may be one that waits, and never come.
    client.send(&["CONFIG", "SET", "appendonly", "no"]).expect("the server reads");
    eventually(|| Client::try_connect(server.port).is_err() || times(server, ENDED) > before);
    server.kill();
    server.set_faults("");
}

fn info_has(client: &mut Client, line: &str) -> bool {
    String::from_utf8_lossy(&client.call_raw(&["INFO", "persistence"])).contains(line)
}

/// The disk is full in the middle: the server is as it was, and the next attempt comes by itself.
#[test]
fn a_beginning_that_fails_leaves_the_server_as_it_was_and_is_tried_again() {
    for faults in ["create 1 ENOSPC", "store 3 ENOSPC", "create 3 EIO"] {
        let mut server = bobbin_journalled("2", &OFF);
        let (mut client, mut writer) = (server.connect(), server.connect());
        assert_eq!(client.run("MSET a 1 b 1 c 1 d 1"), ok());
        assert_eq!(client.run("SAVE"), ok());
        server.set_faults(faults);
        assert_eq!(client.run("CONFIG SET appendonly yes"), ok());
        eventually(|| info_has(&mut client, "aof_last_bgrewrite_status:err\r\n"));
        assert!(info_has(&mut client, "aof_enabled:1\r\n"));
        assert_eq!(writer.run("MSET a 2 b 2 c 2 d 2"), ok(), "{faults}: nobody waits");
        assert_eq!(journals(&server).len(), 0, "{faults}: something is left");
        assert_eq!(times(&server, BEGUN), 0);
        server.set_faults("");
        eventually(|| times(&server, BEGUN) == 1);
        assert_eq!(writer.run("SET e 1"), ok());
        server.kill();
        server.start_again("3", &OFF);
        let mut client = server.connect();
        assert_eq!(client.run("DBSIZE"), Value::Int(5), "{faults}");
        assert_eq!(client.run("GET a"), Value::Bulk(b"2".to_vec()), "{faults}");
    }
}

/// The manifest may be in place, or not: both are right, so the file stays until the next is.
#[test]
fn a_manifest_that_may_be_in_place_is_right_whatever_comes_next() {
    for goes_on in [false, true] {
        let mut server = bobbin_journalled("2", &OFF);
        let mut client = server.connect();
        assert_eq!(client.run("MSET a 1 b 1 c 1 d 1"), ok());
        assert_eq!(client.run("SAVE"), ok());
        assert_eq!(client.run("SET e 1"), ok());
        server.set_faults("names 3 EIO");
        assert_eq!(client.run("CONFIG SET appendonly yes"), ok());
        eventually(|| info_has(&mut client, "aof_last_bgrewrite_status:err\r\n"));
        if goes_on {
            server.set_faults("");
            eventually(|| times(&server, BEGUN) == 1);
            assert_eq!(journals(&server).len(), 1, "what was left is gone");
        }
        server.kill();
        server.set_faults("");
        server.start_again("1", &OFF);
        assert_eq!(server.connect().run("DBSIZE"), Value::Int(5), "{}", server.log());
    }
}

/// A journal whose disk fails can be ended: nothing is refused any more, and nobody waits.
#[test]
fn it_can_be_ended_while_its_disk_fails() {
    let mut server = bobbin_journalled("2", &ON);
    let (mut client, mut writer) = (server.connect(), server.connect());
    assert_eq!(writer.run("MSET a 1 b 1 c 1 d 1"), ok());
    server.set_faults("written ENOSPC");
    writer.send(&["SET", "waits", "1"]).expect("the server reads");
    eventually(|| server.log().contains("Error writing to the journal"));
    eventually(|| info_has(&mut client, "aof_last_write_status:err\r\n"));
    assert_eq!(client.run("CONFIG SET appendonly no"), ok());
    assert_eq!(writer.read(), ok());
    eventually(|| client.call_raw(&["SET", "a", "3"]) == b"+OK\r\n");
    eventually(|| server.log().contains("its last writes may not be durable"));
    assert!(info_has(&mut client, "aof_last_write_status:ok\r\n"));
    server.set_faults("");
    assert_eq!(client.run("CONFIG SET appendonly yes"), ok());
    eventually(|| times(&server, BEGUN) == 1);
    assert_eq!(client.run("SET more 1"), ok());
    server.kill();
    server.start_again("3", &ON);
    let mut client = server.connect();
    assert_eq!(client.run("DBSIZE"), Value::Int(6));
    assert_eq!(client.run("GET a"), Value::Bulk(b"3".to_vec()));
    let aside = fs::read_dir(server.dir().join("appendonlydir")).expect("a directory");
    let is_aside = |entry: fs::DirEntry| entry.file_name().to_string_lossy().starts_with("aside-");
    assert!(!aside.map(|entry| entry.expect("a file")).any(is_aside), "nothing was torn");
}
