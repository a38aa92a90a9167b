//! `appendfsync` at a start and at run time: nobody waits for what will not come.

use std::time::{Duration, Instant};

use crate::support::{Client, Server, bobbin_journalled};

/// After this everything is durable under `everysec`: no sync is due that would tell of it.
const SYNCED: Duration = Duration::from_millis(1300);

/// On all reactors.
fn clients(server: &Server) -> Vec<Client> {
    (0..6).map(|_| server.connect()).collect()
}

#[test]
fn with_always_a_restarted_server_answers_on_every_reactor() {
    let mut server = bobbin_journalled("2", &["--appendfsync", "always"]);
    for (n, client) in clients(&server).iter_mut().enumerate() {
        client.run(&format!("SET k{n} v"));
    }
    server.kill();
    server.start_again("2", &["--appendfsync", "always"]);
    for client in &mut clients(&server) {
        client.run("GET k1");
    }
}

#[test]
fn the_policy_changes_at_run_time_and_nobody_waits() {
    let server = bobbin_journalled("2", &["--appendfsync", "everysec"]);
    let mut clients = clients(&server);
    for policy in ["always", "no", "always", "everysec", "always"] {
        clients
            .iter_mut()
            .enumerate()
            .for_each(|(n, client)| drop(client.run(&format!("SET k{n} {policy}"))));
        std::thread::sleep(SYNCED);
        clients[0].run(&format!("CONFIG SET appendfsync {policy}"));
        let began = Instant::now();
        clients.iter_mut().for_each(|client| drop(client.run("GET k1")));
        assert!(began.elapsed() < Duration::from_secs(10), "{policy}");
    }
}
