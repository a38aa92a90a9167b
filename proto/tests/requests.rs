//! Requests of every kind, whole, damaged and cut anywhere, mean what the model says they mean.

use bobbin_proto::{Limits, encode_command};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

#[path = "properties/requests.rs"]
mod property;

/// Always the same inputs: looking for new ones is the fuzz target's work (`fuzz_targets/requests.rs`).
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 10_000,
        rng_seed: RngSeed::Fixed(0x0b0b_b117),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_split_reads_the_same(
        pieces in vec(piece(), 0..8),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..2),
        cuts in vec(any::<usize>(), 0..6),
        limits in limits(),
    ) {
        let mut input = pieces.concat();
        for (index, byte) in damage {
            if !input.is_empty() {
                let index = index.index(input.len());
                input[index] = byte;
            }
        }
        let everywhere: Vec<usize> = (0..input.len()).collect();
        property::check_requests(&input, &[], &limits);
        property::check_requests(&input, &cuts, &limits);
        property::check_requests(&input, &everywhere, &limits);
    }

    #[test]
    fn what_is_encoded_is_read_back(commands in vec(command(), 0..20)) {
        let mut input = Vec::new();
        for command in &commands {
            encode_command(&mut input, command);
        }
        let reading = property::read_by_model(&input, &Limits::default());
        prop_assert_eq!(reading.commands, commands);
        property::check_requests(&input, &[], &Limits::default());
    }
}

#[test]
fn lines_at_their_limit_read_the_same_however_they_are_split() {
    for prefix in ["*", "*1\r\n$", "", "PING\r\n\r\n*0\r\n*", "*2\r\n$1\r\na\r\n"] {
        for len in 65530..65540 {
            for end in ["\r\n", "\n", ""] {
                let input = prefix.to_owned() + &"1".repeat(len) + end;
                let input = input.as_bytes();
                property::check_requests(input, &[], &Limits::default());
                let late = [input.len() - 3, input.len() - 2, input.len() - 1];
                property::check_requests(input, &late, &Limits::default());
            }
        }
    }
}

/// Each byte comes alone, and there are many arguments: quadratic work makes a second of it, or six.
#[test]
fn a_long_command_in_small_pieces_is_read_in_one_pass() {
    let mut input = Vec::new();
    encode_command(&mut input, vec![b"argument"; 100_000]);
    let everywhere: Vec<usize> = (0..input.len()).collect();
    property::check_requests(&input, &everywhere, &Limits::default());
}

fn command() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(argument(), 1..13)
}

fn argument() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..24),
        1 => vec(any::<u8>(), 90..120),
        1 => vec(prop::sample::select(b"\r\n*$1 \"".to_vec()), 0..12),
    ]
}

/// A stretch of a stream; damaged ones are among them.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let multibulk = command().prop_map(|command| {
        let mut piece = Vec::new();
        encode_command(&mut piece, command);
        piece
    });
    let header = (select("*$"), number(), select("\r\x00"), select("\nx"))
        .prop_map(|(kind, number, cr, lf)| format!("{kind}{number}{cr}{lf}").into_bytes());
    let opened = (number(), number()).prop_map(|(count, len)| format!("*{count}\r\n${len}\r\n").into_bytes());
    let line = "[a-c\"'\\\\ nx0-3\t\r\x0b\x00]{0,20}\r?\n".prop_map(String::into_bytes);
    prop_oneof![
        6 => multibulk,
        3 => line,
        2 => header,
        1 => opened,
        1 => Just(b"*0\r\n".to_vec()),
        1 => Just(b"*-1\r\n".to_vec()),
        1 => Just(b"\r\n".to_vec()),
        1 => vec(any::<u8>(), 0..20),
    ]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0..12_u32).prop_map(|n| n.to_string()),
        2 => (9..100_000_u32).prop_map(|n| n.to_string()),
        1 => any::<i64>().prop_map(|n| n.to_string()),
        1 => "[-+ 0]?[0-9a]{0,20}",
        1 => prop::sample::select(vec!["16384", "16385", "536870912", "536870913", "2147483647", "2147483648"])
            .prop_map(str::to_owned),
    ]
}

fn select(among: &'static str) -> impl Strategy<Value = char> {
    prop::sample::select(among.chars().collect::<Vec<_>>())
}

fn limits() -> impl Strategy<Value = Limits> {
    let default = Limits::default();
    (
        prop_oneof![4 => Just(default.bulk_len_max), 1 => 0..120_usize],
        prop_oneof![4 => Just(default.request_len_max), 1 => 0..400_usize],
        prop::bool::weighted(0.8),
    )
        .prop_map(|(bulk_len_max, request_len_max, authenticated)| Limits {
            bulk_len_max,
            request_len_max,
            authenticated,
        })
}
