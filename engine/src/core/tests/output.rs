//! What a client has not read yet: bounded, counted once, and timed by a clock that may be set.

use super::Cores;
use crate::config::OutputBufferLimit;
use crate::limits::OUTPUT_PAUSE_BYTES;

#[test]
fn commands_are_not_run_while_their_replies_pile_up() {
    const VALUE: usize = 4 << 20;
    let mut cores = Cores::new(1, |_| ());
    let client = cores.connect();
    cores.call(client, &format!("SET k {}", "v".repeat(VALUE)));
    let mut bytes = Vec::new();
    bobbin_proto::encode_command(&mut bytes, ["GET", "k"]);
    cores.arrive(client, &bytes.repeat(100));
    let held = cores.conn(client).output_len();
    assert!(held < OUTPUT_PAUSE_BYTES + 2 * VALUE, "{held} bytes");
    cores.run();
    (0..100).for_each(|_| cores.iterate(0));
    assert_eq!(cores.received(client).len(), 100 * (VALUE + "$4194304\r\n\r\n".len()));
}

fn soft(bytes: u64, seconds: u64) -> OutputBufferLimit {
    OutputBufferLimit { hard_bytes: 0, soft_bytes: bytes, soft_seconds: seconds }
}

#[test]
fn a_clock_that_is_set_back_cuts_nobody_off() {
    let mut cores = Cores::new(1, |config| config.client_output_buffer_limit.normal = soft(1, 10));
    let client = cores.connect();
    assert_eq!(cores.call(client, "PING"), "+PONG\r\n");
    cores.set_back_ms = 3_600_000;
    assert_eq!(cores.call(client, "PING"), "+PONG\r\n");
    assert!(!cores.is_closed(client));
}

#[test]
fn a_client_that_is_cut_off_is_counted_once() {
    let limit = OutputBufferLimit { hard_bytes: 10, soft_bytes: 0, soft_seconds: 0 };
    let mut cores = Cores::new(1, |config| config.client_output_buffer_limit.normal = limit);
    let client = cores.connect();
    let mut bytes = Vec::new();
    bobbin_proto::encode_command(&mut bytes, ["PING"]);
    cores.arrive(client, &bytes.repeat(20));
    for _ in 0..3 {
        let action = cores.all[0].next_action().expect("it is to be closed");
        assert!(action.close && action.send.is_none());
        cores.arrive(client, &bytes);
    }
    assert_eq!(cores.all[0].observed.counts.output_limit_disconnections, 1);
}
