//! Commands over several shards that a connection sends one behind the other: one transaction, and replies as if each had
//! been waited for.

use bobbin_proto::encode_command;

use super::Cores;
use crate::limits::GROUP_COMMANDS_MAX;

struct Sender {
    cores: Cores,
    client: usize,
    here: String,
    there: String,
}

impl Sender {
    fn new() -> Self {
        let mut cores = Cores::new(2, |_| ());
        let client = cores.connect_to(0);
        let (here, there) = (cores.key_of(0), cores.key_of(1));
        Self { cores, client, here, there }
    }

    /// Sends lines of commands at once (`A` and `B` stand for keys of two shards). Returns the replies, and how many
    /// transactions it took.
    fn send(&mut self, lines: &[&str]) -> (String, u64) {
        let mut bytes = Vec::new();
        for line in lines {
            let args = line.split(' ').map(|arg| match arg {
                "A" => &self.here,
                "B" => &self.there,
                other => other,
            });
            encode_command(&mut bytes, args.collect::<Vec<_>>());
        }
        let first = self.cores.all[0].env.shared.next_tx();
        self.cores.send_bytes(self.client, &bytes);
        // Large replies are read before more is run.
        (0..4).for_each(|_| self.cores.run());
        let last = self.cores.all[0].env.shared.next_tx();
        assert!(self.cores.all.iter().all(super::Core::is_at_rest));
        (self.cores.received(self.client), last.0 - first.0 - 1)
    }
}

#[test]
fn a_pipeline_of_scattered_commands_is_one_transaction() {
    let mut sender = Sender::new();
    let lines = ["MSET A 1 B 2", "DEL B C", "MSET A 3 B 4", "EXISTS A B C", "MGET B A B", "TOUCH A"];
    let replies = "+OK\r\n:1\r\n+OK\r\n:2\r\n*3\r\n$1\r\n4\r\n$1\r\n3\r\n$1\r\n4\r\n:1\r\n";
    assert_eq!(sender.send(&lines), (replies.to_owned(), 1));
}

/// What a read removes because its time is over is journalled when it runs, what the train writes before.
#[test]
fn a_write_behind_a_read_is_journalled_behind_what_the_read_has_removed() {
    let mut sender = Sender::new();
    sender.cores.all.iter_mut().for_each(|core| core.set_journalled(true));
    sender.send(&["SET A old PX 1", "SET B old PX 1"]);
    sender.cores.now_ms += 10;
    super::effects::effects(&mut sender.cores);
    assert_eq!(sender.send(&["MGET A B", "MSET A 1 B 2", "MSET A 3 B 4"]).1, 2);
    let journalled = super::effects::effects(&mut sender.cores);
    let (first, then) = journalled.split_at(journalled.find("MSET").expect("they are written"));
    assert_eq!(first.matches("DEL").count(), 1, "{journalled}");
    assert!(!then.lines().take(2).any(|line| line.contains("DEL")), "{journalled}");
}

#[test]
fn what_is_no_scattered_command_starts_when_those_before_it_are_answered() {
    let mut sender = Sender::new();
    let lines = ["MSET A 1 B 2", "MSET A 3 B 4", "INCR A", "GET B", "MSET A 5 B 6", "GET A"];
    let replies = "+OK\r\n+OK\r\n:4\r\n$1\r\n4\r\n+OK\r\n$1\r\n5\r\n";
    assert_eq!(sender.send(&lines), (replies.to_owned(), 2));
}

#[test]
fn what_is_refused_is_answered_in_its_place_and_changes_nothing() {
    let mut sender = Sender::new();
    for refused in ["MSET A", "MSET A 1 B", "NOSUCH A", "MGET"] {
        let (replies, _) = sender.send(&["MSET A 1 B 2", refused, "MSET A 3 B 4", "MGET A B"]);
        assert!(replies.starts_with("+OK\r\n-ERR "), "{refused}: {replies}");
        assert!(replies.ends_with("\r\n+OK\r\n*2\r\n$1\r\n3\r\n$1\r\n4\r\n"), "{refused}: {replies}");
    }
    sender.send(&["DEL A B", "LPUSH B x"]);
    let (replies, transactions) = sender.send(&["MSET A 1 NEW 1", "MGET A B", "TOUCH A B"]);
    assert_eq!((&*replies, transactions), ("+OK\r\n*2\r\n$1\r\n1\r\n$-1\r\n:2\r\n", 1));
}

#[test]
fn who_wants_no_replies_gets_none_of_those() {
    let mut sender = Sender::new();
    let lines =
        ["MSET A 1 B 2", "CLIENT REPLY SKIP", "MSET A 3 B 4", "MGET A B", "CLIENT REPLY OFF", "DEL A B"];
    assert_eq!(sender.send(&lines).0, "+OK\r\n*2\r\n$1\r\n3\r\n$1\r\n4\r\n");
    assert_eq!(sender.send(&["MGET A B", "CLIENT REPLY ON", "MGET A B"]).0, "+OK\r\n*2\r\n$-1\r\n$-1\r\n");
}

#[test]
fn a_train_is_no_longer_than_a_step_of_others() {
    let mut sender = Sender::new();
    let times = 2 * GROUP_COMMANDS_MAX;
    assert_eq!(sender.send(&vec!["MSET A 1 B 2"; times]), ("+OK\r\n".repeat(times), 2));
    let many = format!("MSET{}", " A 1 B 2".repeat(150));
    assert_eq!(sender.send(&[&*many; 4]), ("+OK\r\n".repeat(4), 2));
}

/// The replies of a train are held until the last is there.
#[test]
fn fewer_commands_go_together_where_replies_are_large() {
    let mut sender = Sender::new();
    let value = "x".repeat(8 << 20);
    sender.send(&[&format!("MSET A {value} B {value}")]);
    let (first, _) = sender.send(&["MGET A B"; 8]);
    assert_eq!(first.len(), 8 * (2 * (value.len() + 2 + "$8388608\r\n".len()) + "*2\r\n".len()));
    let (_, transactions) = sender.send(&["MGET A B"; 8]);
    assert_eq!(transactions, 3, "replies of 16 MiB came last: three of them may be had at once");
}
