//! Commands that wait: for locks, for room in a lane, for the end of a pause. Whatever they wait for, they are not
//! forgotten, and however many wait, the core stands it.

use super::{Core, Cores};
use crate::ids::ReactorId;
use crate::limits::{BATCH_BYTES_MAX, OUTPUT_PAUSE_BYTES, REPLY_BYTES_ASSUMED};

/// Replies that a connection may await before it has had one.
const AWAITED_FIRST: usize = OUTPUT_PAUSE_BYTES / REPLY_BYTES_ASSUMED;

const SOON_US: u64 = 1000;

/// Cores on which a transaction holds the lock of a key of reactor 0, whose clients these are.
struct Held {
    cores: Cores,
    key: String,
    writer: usize,
    others: Vec<usize>,
}

/// `first` is what happens before.
fn with_a_lock_held(others: usize, first: impl FnOnce(&mut Cores, &[usize])) -> Held {
    let mut cores = Cores::new(2, |_| ());
    let writer = cores.connect_to(0);
    let others: Vec<_> = (0..others).map(|_| cores.connect_to(0)).collect();
    first(&mut cores, &others);
    let (key, there) = (cores.key_of(0), cores.key_of(1));
    cores.send(writer, &format!("MSET {key} x {there} y"));
    Held { cores, key, writer, others }
}

#[test]
fn tens_of_thousands_may_wait_behind_one_key() {
    for (command, reply) in [("GET", "$1\r\nx\r\n"), ("PERSIST", ":0\r\n")] {
        let Held { mut cores, key, writer, others } = with_a_lock_held(160, |_, _| ());
        for &client in &others {
            cores.send_repeated(client, &format!("{command} {key}"), AWAITED_FIRST);
        }
        cores.run();
        assert_eq!(cores.received(writer), "+OK\r\n");
        for client in others {
            assert!(cores.received(client) == reply.repeat(AWAITED_FIRST));
        }
        assert!(cores.all.iter().all(Core::is_at_rest));
    }
}

#[test]
fn what_one_client_has_waiting_for_locks_is_bounded() {
    let Held { mut cores, key, others, .. } = with_a_lock_held(1, |_, _| ());
    cores.send_repeated(others[0], &format!("GET {key}"), 3 * AWAITED_FIRST);
    assert_eq!(cores.conn(others[0]).order.awaited(), AWAITED_FIRST);
    cores.run();
    assert!(cores.received(others[0]) == "$1\r\nx\r\n".repeat(3 * AWAITED_FIRST));
}

#[test]
fn monitors_are_shown_what_waits_for_locks() {
    let Held { mut cores, key, others, .. } = with_a_lock_held(2, |cores, others| {
        assert_eq!(cores.call(others[1], "MONITOR"), "+OK\r\n");
    });
    cores.send(others[0], &format!("GET {key}"));
    cores.run();
    let shown = cores.received(others[1]);
    assert!(shown.contains(&format!("\"GET\" \"{key}\"")), "{shown}");
}

/// The batch that was in the way has left, but nothing that it says need be answered: nobody else calls.
#[test]
fn who_waits_for_room_in_a_lane_is_looked_at_soon() {
    let mut cores = Cores::new(2, |_| ());
    let client = cores.connect_to(0);
    let key = cores.key_of(1);
    cores.run();
    let value = "v".repeat(BATCH_BYTES_MAX / 4);
    cores.send_repeated(client, &format!("SET {key} {value}"), 6);
    assert!(cores.conn(client).order.awaited() < 6, "not all fit");
    assert!(!cores.all[0].has_work());
    assert!(cores.all[0].next_deadline_us() <= cores.mono_us() + SOON_US);
    cores.now_ms += 1;
    cores.iterate(0);
    assert_eq!(cores.conn(client).order.awaited(), 6);
    cores.run();
    assert_eq!(cores.received(client), "+OK\r\n".repeat(6));
    assert!(cores.all[0].next_deadline_us() > cores.mono_us() + SOON_US, "then it rests");
}

#[test]
fn a_batch_that_found_its_lane_full_is_offered_again_soon() {
    let mut cores = Cores::new(2, |_| ());
    let client = cores.connect_to(0);
    let key = cores.key_of(1);
    cores.run();
    let mut bytes = Vec::new();
    bobbin_proto::encode_command(&mut bytes, ["GET", &key]);
    cores.arrive(client, &bytes);
    let (core, other) = (&mut cores.all[0], ReactorId(1));
    core.settle();
    let batch = core.take_batch(other).expect("a command is in it");
    core.return_batch(other, batch);
    let now_us = cores.mono_us();
    assert!(cores.all[0].next_deadline_us() <= now_us + SOON_US);
    cores.iterate(0);
    assert!(cores.all[0].next_deadline_us() > now_us + SOON_US, "then it rests");
    cores.run();
    assert_eq!(cores.received(client), "$-1\r\n");
}

/// As in Redis: the silence is not the client's.
#[test]
fn who_waits_for_the_server_is_not_idle() {
    let mut cores = Cores::new(1, |config| config.timeout = 1);
    let (pauser, paused, idle) = (cores.connect(), cores.connect(), cores.connect());
    cores.call(pauser, "CLIENT PAUSE 10000");
    assert_eq!(cores.call(paused, "SET a 1"), "");
    for _ in 0..100 {
        cores.now_ms += 100;
        cores.run();
    }
    assert!(cores.is_closed(idle));
    assert_eq!(cores.received(paused), "+OK\r\n");
}

/// Also while what comes before it has not left.
#[test]
fn input_behind_quit_is_not_kept() {
    let mut cores = Cores::new(1, |_| ());
    let client = cores.connect();
    cores.call(client, "CLIENT PAUSE 10 WRITE");
    for command in ["SET a 1", "QUIT", "PING"] {
        cores.send(client, command);
    }
    cores.now_ms += 11;
    for _ in 0..100 {
        cores.arrive(client, &[b'x'; 1000]);
        cores.all[0].settle();
    }
    assert!(cores.conn(client).query.len() < 2000);
    cores.run();
    assert_eq!(cores.received(client), "+OK\r\n+OK\r\n");
    assert!(cores.is_closed(client));
}

/// Its command may have waited for a lock, not for an element.
#[test]
fn nothing_is_taken_out_for_a_client_that_is_gone() {
    let mut cores = Cores::new(2, |_| ());
    let [reader, gone, stays] = [(); 3].map(|()| cores.connect_to(0));
    let (key, there) = (cores.key_of(0), cores.key_of(1));
    cores.call(stays, &format!("RPUSH {key} x"));
    cores.send(reader, &format!("MGET {key} {there}"));
    cores.send(gone, &format!("BLPOP {key} 0"));
    let id = cores.clients[gone].conn;
    cores.all[0].hung_up(id);
    cores.end(0);
    cores.run();
    assert_eq!(cores.received(reader), "*2\r\n$-1\r\n$-1\r\n");
    assert_eq!(cores.call(stays, &format!("LLEN {key}")), ":1\r\n");
    assert!(cores.all.iter().all(Core::is_at_rest));
}

/// EXECs that go to one shard in a row do not wait for each other's replies, and run there in their order all the same.
#[test]
fn a_block_behind_one_that_waits_for_a_lock_does_not_pass_it() {
    let mut cores = Cores::new(2, |_| ());
    let (writer, sender, reader) = (cores.connect_to(0), cores.connect_to(1), cores.connect_to(0));
    let (key, there) = (cores.key_of(0), cores.key_of(1));
    let other = format!("{{{key}}}2");
    cores.send(writer, &format!("MSET {key} x {there} y"));
    let mut bytes = Vec::new();
    for written in [&key, &other] {
        for command in ["MULTI", &format!("SET {written} 1"), "EXEC"] {
            bobbin_proto::encode_command(&mut bytes, command.split(' ').collect::<Vec<_>>());
        }
    }
    cores.send_bytes(sender, &bytes);
    assert_eq!(cores.conn(sender).order.awaited(), 2, "the second is on its way as well");
    // Both blocks arrive, and what the writer waits for does not.
    cores.deliver(1);
    cores.send(reader, &format!("GET {other}"));
    assert_eq!(cores.received(reader), "", "it stands behind the second, which stands behind the first");
    cores.run();
    assert_eq!(cores.received(reader), "$1\r\n1\r\n");
    let block = "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n";
    assert_eq!(cores.received(sender), block.repeat(2));
    assert_eq!(cores.call(reader, &format!("MGET {key} {other}")), "*2\r\n$1\r\n1\r\n$1\r\n1\r\n");
    assert!(cores.all.iter().all(Core::is_at_rest));
}

#[test]
fn whoever_asks_to_stop_in_the_iteration_of_another_is_heard_as_well() {
    let mut cores = Cores::new(1, |config| config.appendonly = true);
    let clients = [(); 2].map(|()| cores.connect());
    cores.arrive(clients[0], b"SHUTDOWN NOSAVE FORCE\r\n");
    cores.send_bytes(clients[1], b"SHUTDOWN SAVE\r\n");
    let core = cores.core_of(clients[0]);
    let heard: Vec<_> = std::iter::from_fn(|| core.next_shutdown()).collect();
    assert_eq!(
        heard.iter().map(|how| (how.save, how.force)).collect::<Vec<_>>(),
        [(Some(false), true), (Some(true), false)]
    );
    assert!(heard[0].reply_to.is_some() && heard[0].reply_to != heard[1].reply_to);
}
