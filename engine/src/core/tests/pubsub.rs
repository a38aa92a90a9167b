//! Pub/sub with very many subscribers.

use super::{Core, Cores};

const SUBSCRIBERS: usize = 10_000;

#[test]
fn ten_thousand_subscribers_get_a_message_and_leave_nothing_behind() {
    let mut cores = Cores::new(2, |config| config.maxclients = 20_000);
    let publisher = cores.connect();
    let subscribers: Vec<usize> = (0..SUBSCRIBERS).map(|_| cores.connect()).collect();
    for &subscriber in &subscribers {
        assert_eq!(cores.call(subscriber, "SUBSCRIBE ch"), "*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n");
    }
    assert_eq!(cores.call(publisher, "PUBLISH ch x"), format!(":{SUBSCRIBERS}\r\n"));
    for &subscriber in &subscribers {
        assert_eq!(cores.received(subscriber), "*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$1\r\nx\r\n");
    }
    for &subscriber in &subscribers {
        let id = cores.conn(subscriber).id;
        cores.core_of(subscriber).hung_up(id);
    }
    cores.run();
    while cores.all.iter().any(Core::has_work) {
        cores.run();
    }
    assert_eq!(cores.call(publisher, "PUBLISH ch x"), ":0\r\n");
    assert!(cores.all.iter().all(|core| core.shard.rest.bus.registry.is_empty()));
}
