//! A server that is told to stop while its disk fails or does nothing, and then told again.

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Client, Server, bobbin_journalled, eventually, words};

const REFUSED: &[u8] = b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n";

fn is_saving(client: &mut Client) -> bool {
    let info = client.call_raw(&["INFO", "persistence"]);
    String::from_utf8_lossy(&info).contains("rdb_bgsave_in_progress:1\r\n")
}

/// It is being saved before the end, and the disk does nothing.
fn stuck(server: &Server, stop: impl FnOnce()) {
    let mut client = server.connect();
    client.run("SET a 1");
    server.set_faults("flush wait");
    stop();
    eventually(|| is_saving(&mut client));
}

/// Nobody knows when there will be a snapshot. Once there can be one it does not end the server any more.
#[test]
fn a_stop_is_refused_at_once_while_no_snapshot_can_begin() {
    for is_under_way in [false, true] {
        let mut server = bobbin_journalled("2", &["--appendfsync", "everysec"]);
        let (mut client, mut asking) = (server.connect(), server.connect());
        client.run("SET a 1");
        server.set_faults("rename 1 EIO");
        if is_under_way {
            client.run("BGSAVE");
            eventually(|| client.call_raw(&["SET", "a", "2"]).starts_with(b"-MISCONF"));
        }
        assert_eq!(asking.call_raw(&["SHUTDOWN", "SAVE"]), REFUSED, "{is_under_way}");
        server.set_faults("");
        eventually(|| client.call_raw(&["SET", "b", "1"]) == b"+OK\r\n");
        eventually(|| !is_saving(&mut client));
        assert_eq!(client.call_raw(&["MSET", "a", "3", "b", "3", "c", "3"]), b"+OK\r\n");
        assert!(server.stop(), "{}", server.log());
        server.start_again("1", &[]);
        let values = server.connect().call_raw(&["MGET", "a", "b", "c"]);
        assert_eq!(values, b"*3\r\n$1\r\n3\r\n$1\r\n3\r\n$1\r\n3\r\n", "{is_under_way}");
    }
}

#[test]
fn a_stop_by_force_ends_a_server_whose_next_journal_file_cannot_be_listed() {
    let mut server = bobbin_journalled("2", &["--appendfsync", "everysec"]);
    let mut client = server.connect();
    client.run("SET a 1");
    server.set_faults("rename 1 EIO");
    client.run("BGSAVE");
    eventually(|| client.call_raw(&["SET", "a", "2"]).starts_with(b"-MISCONF"));
    client.send(&words("SHUTDOWN SAVE FORCE")).expect("the server reads");
    assert!(client.is_closed());
    server.wait_ended();
}

/// What waits for nothing is heard although another stop waits for the disk, and ends that.
#[test]
fn a_stop_that_waits_for_nothing_ends_one_that_waits_for_the_disk() {
    for line in ["SHUTDOWN NOSAVE", "SHUTDOWN NOSAVE NOW FORCE", "SHUTDOWN SAVE FORCE"] {
        let mut server = bobbin_journalled("2", &["--appendonly", "no", "--shutdown-timeout", "1"]);
        let (mut first, mut second) = (server.connect(), server.connect());
        stuck(&server, || first.send(&words("SHUTDOWN SAVE")).expect("the server reads"));
        second.send(&words(line)).expect("the server reads");
        assert!(second.is_closed(), "{line}");
        server.wait_ended();
        assert!(server.log().contains("Asked to stop without waiting"), "{line}: {}", server.log());
    }
}

#[test]
fn a_stop_by_force_waits_for_a_disk_that_goes_on() {
    let slowly = ["--shutdown-timeout", "1", "--rdb-key-save-delay", "30000", "--rdbcompression", "no"];
    let directives = [&["--appendonly", "no"], &slowly[..]].concat();
    let mut server = bobbin_journalled("2", &directives);
    let mut client = server.connect();
    // Ten mebibytes, a few hundred milliseconds each: longer than it would wait for nothing.
    (0..100).for_each(|n| drop(client.run(&format!("SETRANGE k{n} 100000 x"))));
    client.send(&words("SHUTDOWN SAVE FORCE")).expect("the server reads");
    assert!(client.is_closed());
    assert!(server.wait_ended(), "{}", server.log());
    server.start_again("1", &directives);
    assert_eq!(server.connect().call_raw(&["DBSIZE"]), b":100\r\n");
}

#[test]
fn a_second_sigterm_loses_nothing_and_sigint_ends_at_once() {
    let directives = ["--appendonly", "no", "--save", "10000 10000"];
    for ends_at_once in [false, true] {
        let mut server = bobbin_journalled("2", &directives);
        stuck(&server, || server.signal());
        server.signal();
        eventually(|| server.log().contains("Received SIGTERM, and is about to stop already"));
        if ends_at_once {
            let pid = Pid::from_raw(server.pid() as i32).expect("a process");
            kill_process(pid, Signal::INT).expect("the child is ours");
            assert!(!server.wait_ended(), "it ended well");
        }
        server.set_faults("");
        if !ends_at_once {
            assert!(server.wait_ended(), "{}", server.log());
        }
        server.start_again("1", &directives);
        let expected = if ends_at_once { b":0\r\n" } else { b":1\r\n" };
        assert_eq!(server.connect().call_raw(&["DBSIZE"]), expected, "{ends_at_once}");
    }
}

/// Whoever waits for one is told; the next is made.
#[test]
fn a_saver_that_panics_has_saved_nothing() {
    let mut server = bobbin_journalled("2", &["--appendonly", "no"]);
    let mut client = server.connect();
    client.run("SET a 1");
    server.set_faults("store panic");
    for _ in 0..2 {
        assert_eq!(client.call_raw(&["SHUTDOWN", "SAVE"]), REFUSED);
        assert_eq!(client.call_raw(&["MSET", "a", "2", "b", "2"]), b"+OK\r\n");
    }
    assert!(server.log().contains("Error saving DB on disk: it panicked"), "{}", server.log());
    server.set_faults("");
    assert_eq!(client.call_raw(&["SAVE"]), b"+OK\r\n");
    client.send(&words("SHUTDOWN SAVE")).expect("the server reads");
    assert!(client.is_closed());
    assert!(server.wait_ended(), "{}", server.log());
}

/// The reactor that writes the journal hangs with the disk, and hears nothing any more.
#[test]
fn a_signal_by_force_ends_a_server_whose_journal_is_never_synced() {
    let mut server = bobbin_journalled("2", &["--appendfsync", "everysec", "--shutdown-on-sigterm", "force"]);
    let (mut client, mut asking) = (server.connect(), server.connect());
    server.set_faults("synced wait");
    client.run("SET a 1");
    // One of them is on the other reactor.
    for client in [&mut client, &mut asking] {
        client.send(&words("SHUTDOWN NOSAVE")).expect("the server reads");
    }
    eventually(|| server.log().contains("A client asked to stop"));
    server.signal();
    assert!(!server.wait_ended(), "it ended well");
    assert!(server.log().contains("reactor 0 does not end; what was done last"), "{}", server.log());
}
