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
