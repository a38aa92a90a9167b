//! Histories that are known to be good or bad.

use bobbin_proto::Value;

use super::*;

/// What happened, line by line: client, when it was sent and answered, what it asked, what it was answered. One that
/// was answered at 0 never was, its client having gone away at once.
struct Told(History);

impl Told {
    fn new() -> Self {
        Self(History { cores: 3, operations: Vec::new() })
    }

    fn call(mut self, client: usize, sent_us: u64, at_us: u64, call: Call, reply: Value) -> Self {
        let ending =
            if at_us == 0 { Ending::Gone { at_us: sent_us } } else { Ending::Answered { at_us, reply } };
        self.0.operations.push(Operation { client, call, sent_us, in_line_us: None, ending });
        self.0.operations.sort_by_key(|op| op.sent_us);
        self
    }

    fn one(self, client: usize, sent_us: u64, at_us: u64, text: &str, reply: Value) -> Self {
        self.call(client, sent_us, at_us, Call::new(0, text), reply)
    }

    fn exec(self, client: usize, sent_us: u64, at_us: u64, block: &[&str], reply: Value) -> Self {
        self.call(client, sent_us, at_us, Call::exec(0, block), reply)
    }

    /// The last one stood in line by this time.
    fn in_line(mut self, at_us: u64) -> Self {
        self.0.operations.last_mut().expect("an operation").in_line_us = Some(at_us);
        self
    }

    /// The last one's client goes away then.
    fn gone(mut self, at_us: u64) -> Self {
        self.0.operations.last_mut().expect("an operation").ending = Ending::Gone { at_us };
        self
    }

    /// The last one stands in line to the end.
    fn waits(mut self) -> Self {
        self.0.operations.last_mut().expect("an operation").ending = Ending::Waits;
        self
    }

    fn good(self) {
        assert_eq!(check(&self.0), Ok(()), "\n{}", self.0);
    }

    fn bad(self) {
        let anomaly = check(&self.0).expect_err("an anomaly");
        assert!(!anomaly.is_undecided, "\n{}", self.0);
    }
}

fn ok() -> Value {
    Value::Simple(b"OK".to_vec())
}

fn int(number: i64) -> Value {
    Value::Int(number)
}

fn bulk(text: &str) -> Value {
    Value::Bulk(text.into())
}

fn nil() -> Value {
    Value::NullArray
}

fn array<const N: usize>(values: [Value; N]) -> Value {
    Value::Array(values.into())
}

fn pair(first: &str, second: &str) -> Value {
    array([bulk(first), bulk(second)])
}

#[test]
fn what_overlaps_may_take_effect_in_either_order() {
    let told = |first, second| {
        let told = Told::new().one(0, 10, 30, "SET a 1", ok()).one(1, 20, 40, "SET a 2", ok());
        told.one(2, 25, 35, "GET a", bulk(first)).one(2, 50, 60, "GET a", bulk(second))
    };
    for (first, second) in [("1", "2"), ("2", "1"), ("1", "1"), ("2", "2")] {
        told(first, second).good();
    }
}

#[test]
fn a_stale_read_is_found() {
    Told::new()
        .one(0, 10, 20, "SET a 1", ok())
        .one(0, 30, 40, "SET a 2", ok())
        .one(1, 50, 60, "GET a", bulk("1"))
        .bad();
}

#[test]
fn time_does_not_go_backwards_for_who_reads_twice() {
    let told = |first, second| {
        Told::new()
            .one(0, 10, 15, "SET a 1", ok())
            .one(0, 20, 90, "SET a 2", ok())
            .one(1, 30, 40, "GET a", bulk(first))
            .one(2, 50, 60, "GET a", bulk(second))
    };
    told("1", "2").good();
    told("2", "1").bad();
}

#[test]
fn a_lost_update_is_found() {
    let told =
        |second| Told::new().one(0, 10, 30, "INCRBY a 1", int(1)).one(1, 20, 40, "INCRBY a 1", int(second));
    told(2).good();
    told(1).bad();
}

#[test]
fn an_update_lost_under_watch_is_found() {
    let told = |outcome: Value| {
        Told::new()
            .one(0, 10, 20, "WATCH a", ok())
            .one(0, 30, 40, "GET a", nil())
            .one(1, 50, 60, "SET a 9", ok())
            .exec(0, 70, 80, &["SET a 1"], outcome)
    };
    told(nil()).good();
    told(array([ok()])).bad();
}

#[test]
fn an_exec_that_fails_for_nothing_is_found() {
    let told = Told::new().one(1, 10, 20, "SET a 9", ok()).one(0, 30, 40, "WATCH a", ok()).one(
        1,
        50,
        60,
        "SET b 9",
        ok(),
    );
    told.exec(0, 70, 80, &["SET a 1"], nil()).bad();
}

#[test]
fn write_skew_is_found() {
    let told = |second: Value| {
        let mut told = Told::new();
        for client in 0..2 {
            told = told.one(client, 10, 20, "WATCH a b", ok()).one(
                client,
                30,
                40,
                "MGET a b",
                array([nil(), nil()]),
            );
        }
        told.exec(0, 50, 80, &["SET a 1"], array([ok()])).exec(1, 60, 90, &["SET b 1"], second)
    };
    told(nil()).good();
    told(array([ok()])).bad();
}

#[test]
fn a_torn_write_is_found() {
    let told = |first, second| {
        Told::new().one(0, 10, 15, "MSET a 1 b 1", ok()).one(0, 20, 60, "MSET a 2 b 2", ok()).one(
            1,
            30,
            50,
            "MGET a b",
            pair(first, second),
        )
    };
    told("1", "1").good();
    told("2", "2").good();
    told("1", "2").bad();
}

#[test]
fn a_write_seen_half_by_two_reads_is_found() {
    Told::new()
        .one(0, 10, 90, "MSET a 2 b 2", ok())
        .one(1, 20, 30, "GET a", bulk("2"))
        .one(1, 40, 50, "GET b", nil())
        .bad();
}

#[test]
fn money_does_not_come_from_nowhere() {
    let told = |second| {
        Told::new()
            .one(0, 10, 20, "MSET a 100 b 100", ok())
            .exec(1, 30, 80, &["DECRBY a 7", "INCRBY b 7"], array([int(93), int(107)]))
            .exec(2, 40, 70, &["GET a", "GET b"], pair("93", second))
    };
    told("107").good();
    told("100").bad();
}

#[test]
fn a_block_reads_the_same_twice() {
    Told::new()
        .one(0, 10, 90, "SET a 1", ok())
        .exec(1, 20, 80, &["GET a", "GET a"], array([nil(), bulk("1")]))
        .bad();
}

#[test]
fn a_pop_is_served_once() {
    let told =
        |second: Value| {
            Told::new()
                .one(0, 10, 20, "RPUSH a x", int(1))
                .one(1, 30, 50, "BLPOP a 0.001", pair("a", "x"))
                .one(2, 40, 60, "BLPOP a 0.001", second)
        };
    told(nil()).good();
    told(pair("a", "x")).bad();
}

#[test]
fn nobody_waits_beside_an_element() {
    let told = || {
        let told = Told::new().one(1, 10, 0, "BLPOP a 0", nil()).in_line(20).waits();
        told.one(0, 30, 40, "RPUSH a x", int(1))
    };
    told().bad();
    told().one(2, 35, 50, "LPOP a", bulk("x")).bad();
    Told::new()
        .one(0, 10, 40, "RPUSH a x", int(1))
        .one(2, 20, 50, "LPOP a", bulk("x"))
        .one(1, 30, 0, "BLPOP a 0", nil())
        .waits()
        .good();
}

#[test]
fn whoever_has_waited_longest_is_served_first() {
    let told = |first: &str, second: &str| {
        Told::new()
            .one(0, 10, 90, "BLPOP a 0", pair("a", first))
            .in_line(20)
            .one(1, 30, 95, "BLPOP a 0", pair("a", second))
            .in_line(40)
            .one(2, 50, 60, "RPUSH a x y", int(2))
    };
    told("x", "y").good();
    told("y", "x").bad();
}

#[test]
fn nobody_overtakes_who_waits() {
    Told::new()
        .one(0, 10, 90, "BLPOP a 0", pair("a", "y"))
        .in_line(20)
        .one(2, 50, 60, "RPUSH a x", int(1))
        .one(1, 65, 70, "LPOP a", bulk("x"))
        .one(2, 75, 80, "RPUSH a y", int(1))
        .bad();
}

#[test]
fn of_keys_filled_by_one_block_the_one_written_first_wins() {
    let told = |key| {
        Told::new().one(0, 10, 90, "BLPOP a b 0", pair(key, "x")).in_line(20).exec(
            2,
            50,
            60,
            &["RPUSH b x", "RPUSH a x"],
            array([int(1), int(1)]),
        )
    };
    told("b").good();
    told("a").bad();
}

#[test]
fn a_chain_of_waits_resolves() {
    // Both keys lie on one shard: the move cannot miss its turn.
    Told::new()
        .one(0, 10, 90, "BLMOVE {a}1 {a}2 LEFT LEFT 0", bulk("x"))
        .in_line(20)
        .one(1, 30, 95, "BLPOP {a}2 0", pair("{a}2", "x"))
        .in_line(40)
        .one(2, 50, 60, "RPUSH {a}1 x", int(1))
        .good();
}

#[test]
fn nothing_is_popped_for_a_client_that_was_gone() {
    let told = |push_us| {
        Told::new()
            .one(0, 10, 0, "BLPOP a 0", nil())
            .in_line(20)
            .gone(30)
            .one(2, push_us, push_us + 10, "RPUSH a x", int(1))
            .one(2, 50, 60, "LPOP a", nil())
    };
    told(30).good();
    told(31).bad();
}

#[test]
fn what_was_not_answered_happened_or_did_not() {
    let told = || Told::new().one(0, 10, 0, "INCRBY a 1", nil());
    told().one(1, 20, 30, "GET a", nil()).good();
    told().one(1, 20, 30, "GET a", bulk("1")).good();
    told().one(1, 20, 30, "GET a", nil()).one(1, 40, 50, "GET a", bulk("1")).good();
    told().one(1, 20, 30, "GET a", bulk("1")).one(1, 40, 50, "GET a", nil()).bad();
    told().one(1, 20, 30, "GET a", bulk("2")).bad();
}

#[test]
fn an_answer_to_what_nobody_wrote_is_found() {
    Told::new().one(0, 10, 20, "GET a", bulk("phantom")).bad();
    // Nor from what was sent only later.
    Told::new().one(0, 10, 20, "GET a", bulk("1")).one(1, 30, 40, "SET a 1", ok()).bad();
}

#[test]
fn of_one_connection_keys_and_barriers_keep_their_order() {
    let told = |second: &str, between: Option<&str>| {
        let mut told = Told::new().one(0, 10, 90, "SET a 1", ok());
        if let Some(between) = between {
            told = told.one(0, 10, 90, between, int(0));
        }
        told.one(0, 10, 90, second, ok())
    };
    let seen_late = |told: Told| told.one(1, 20, 30, "GET b", bulk("2")).one(1, 40, 50, "GET a", nil());
    // Two keys of one shard each: nothing is promised.
    seen_late(told("SET b 2", None)).good();
    // A barrier between them, or one of them.
    seen_late(told("SET b 2", Some("EXISTS a b c"))).bad();
    seen_late(told("SET b 2", Some("DBSIZE"))).bad();
    seen_late(told("MSET b 2 a 2 c 2", None)).bad();
    // The same key.
    told("SET a 2", None).one(1, 20, 30, "GET a", bulk("2")).one(1, 40, 50, "GET a", bulk("1")).bad();
}

#[test]
fn a_key_is_there_until_its_time_and_not_after() {
    let told = |at: u64, reply: Value| {
        Told::new().one(0, 10, 20, "SET a 1 PXAT 4", ok()).one(1, at, at + 100, "GET a", reply)
    };
    told(4800, bulk("1")).good();
    told(4800, nil()).bad();
    told(4950, bulk("1")).good();
    told(4950, nil()).good();
    told(5100, nil()).good();
    told(5100, bulk("1")).bad();
    // Two of one time are gone together.
    let told = Told::new().one(0, 10, 20, "SET a 1 PXAT 4", ok()).one(0, 30, 40, "SET b 1 PXAT 4", ok());
    told.one(1, 4950, 5050, "MGET a b", array([bulk("1"), nil()])).bad();
}

#[test]
fn the_shortest_beginning_that_fails_is_shown() {
    let told = Told::new().one(0, 10, 20, "SET a 1", ok()).one(1, 30, 40, "GET a", nil()).one(
        1,
        50,
        60,
        "GET a",
        bulk("1"),
    );
    let (beginning, anomaly) = told.0.shortest_failing().expect("an anomaly");
    assert_eq!(beginning.operations.len(), 2);
    assert_eq!(anomaly.row.len(), 1);
}
