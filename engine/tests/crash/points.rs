//! The server ended at named points of the journal's work (see `bobbin_engine::faults`), under load and while it starts.

use std::fs;
use std::time::Duration;

use bobbin_proto::Value;

use crate::files::filled;
use crate::load::end_again_and_again;
use crate::support::Server;

/// In the middle of what the journal does with one group, each a way to end there.
const POINTS: [&str; 4] = [
    "write kill",
    // Half a group is there.
    "write short\nwritten kill",
    "written kill",
    "synced kill",
];

fn end_at(points: &str) -> impl Fn(&mut Server) {
    move |server| {
        server.set_faults(points);
        server.wait_ended();
        server.set_faults("");
    }
}

#[test]
fn with_always_no_acknowledged_write_is_lost_wherever_it_ends() {
    end_again_and_again("always", 0, &POINTS.map(end_at));
}

#[test]
fn with_everysec_what_is_left_is_a_prefix_wherever_it_ends() {
    end_again_and_again("everysec", u64::MAX, &POINTS.map(end_at));
}

/// What one snapshot does with files, in its order, each a way to end there: as the journal's next file is made, as the
/// manifest lists it, as the snapshot is written, as the manifest names it, as files go that are no longer needed.
const SNAPSHOT_POINTS: [&str; 21] = [
    // Before the journal's next file is there, before it has a header, before that is on disk, before its name is.
    "create 1 kill",
    "store 1 kill",
    "flush 1 kill",
    "names 1 kill",
    // The manifest with it: before it is there, before it takes the place of the other, before that is durable.
    "create 2 kill",
    "flush 2 kill",
    "rename 1 kill",
    "names 2 kill",
    // After the cut: on a reactor, and with nothing, the head, a part of a chunk, and much of the snapshot written.
    "walk 1 kill",
    "walk 3 kill",
    "create 3 kill",
    "store 4 kill",
    "store 6 kill\nstore short",
    "store 9 kill\nstore short",
    // Whole, before it is on disk; before it has its name; before that is durable.
    "flush 3 kill",
    "rename 2 kill",
    "names 3 kill",
    // The manifest that names it, and what goes.
    "create 4 kill",
    "rename 3 kill",
    "names 4 kill",
    "remove 1 kill",
];

fn end_saving_at(points: &str) -> impl Fn(&mut Server) {
    move |server| {
        let mut client = server.connect();
        // What there is to load does not grow from one end to the next.
        assert_eq!(client.run("SAVE"), Value::Simple(b"OK".to_vec()));
        server.set_faults(points);
        client.send(&["SAVE"]).expect("the server reads");
        server.wait_ended();
        server.set_faults("");
    }
}

#[test]
fn with_always_no_acknowledged_write_is_lost_wherever_a_snapshot_ends() {
    end_again_and_again("always", 0, &SNAPSHOT_POINTS.map(end_saving_at));
}

#[test]
fn with_everysec_what_is_left_is_a_prefix_wherever_a_snapshot_ends() {
    end_again_and_again("everysec", u64::MAX, &SNAPSHOT_POINTS.map(end_saving_at));
}

/// Every write takes many, and nobody notices.
#[test]
fn short_writes_lose_nothing() {
    let end = |server: &mut Server| {
        server.set_faults("write short");
        std::thread::sleep(Duration::from_millis(200));
        server.kill();
    };
    end_again_and_again("always", 0, &[end; 3]);
}

/// How many keys there are; one more from now on.
fn go_on(server: &Server) -> Value {
    let mut client = server.connect();
    let keys = client.run("DBSIZE");
    client.run("SET more v");
    keys
}

/// A start makes, renames and removes files: whichever was the last, the next start finds all there was.
#[test]
fn a_start_may_be_ended_before_any_change_of_names() {
    for point in ["create", "rename", "remove", "names"] {
        let (mut server, last) = filled();
        // There is a torn tail to be put aside, too.
        let bytes = fs::read(&last).expect("a journal");
        fs::write(&last, &bytes[..bytes.len() - 3]).expect("there is room");
        let mut ended = 0;
        loop {
            server.set_faults(&format!("{point} {} kill", ended + 1));
            if server.try_again("2", &["--appendfsync", "always"]) {
                break;
            }
            ended += 1;
        }
        server.set_faults("");
        assert_eq!(go_on(&server), Value::Int(9), "{point}, after {ended} that ended");
        assert!(ended > 0 || point == "remove", "{point} is never passed");
        server.kill();
        server.start_again("1", &[]);
        assert_eq!(go_on(&server), Value::Int(10));
    }
}
