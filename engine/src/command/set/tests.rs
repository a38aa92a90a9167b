//! Whether chance is fair: SPOP and SRANDMEMBER, in every encoding and every way they have.

use bobbin_proto::{Reply, Value, Version, decode};
use fastrand::Rng;

use super::super::element::reply_element;
use super::remove::{Left, take_one, take_some};
use super::walk::{reply_different, reply_repeating};
use crate::store::encoding::listpack::Element;
use crate::store::{Set, SetLimits};

const LIMITS: SetLimits =
    SetLimits { ints_len_max: 512, packed_len_max: 128, packed_member_len_max: 64, seed: 5 };
const ALWAYS_TABLE: SetLimits = SetLimits { ints_len_max: 0, packed_len_max: 0, ..LIMITS };
const MEMBERS: usize = 60;
const DRAWS: usize = 60_000;

fn sets() -> [Set; 3] {
    [("", LIMITS), ("m", LIMITS), ("m", ALWAYS_TABLE)].map(|(prefix, limits)| {
        let mut set = Set::new();
        let texts = (0..MEMBERS).map(|number| format!("{prefix}{number}"));
        texts.for_each(|text| assert!(set.add(Element::Str(text.as_bytes()), &limits)));
        set
    })
}

/// The numbers of the members that a command answers.
fn answered(answer: impl FnOnce(&mut Reply<'_>)) -> Vec<usize> {
    let mut out = Vec::new();
    answer(&mut Reply::new(&mut out, Version::Resp2));
    let number = |value: Value| match value {
        Value::Bulk(text) => {
            String::from_utf8_lossy(&text).trim_start_matches('m').parse().expect("a number")
        }
        other => panic!("not a member: {other:?}"),
    };
    match decode::decode(&out).expect("a reply").expect("a whole reply").0 {
        Value::Array(members) => members.into_iter().map(number).collect(),
        member => vec![number(member)],
    }
}

/// Draws until enough members were drawn, and compares how often each was with what chance does: within five deviations
/// of chi-squared's mean. Draws of several at once spread less; `spread` says how much of the spread of single ones is
/// left.
fn assert_fair(what: &str, spread: f64, mut draw: impl FnMut(&Set, &mut Rng) -> Vec<usize>) {
    for set in sets() {
        let (mut rng, mut counts, mut drawn) = (Rng::with_seed(11), [0usize; MEMBERS], 0);
        while drawn < DRAWS {
            let members = draw(&set, &mut rng);
            drawn += members.len();
            members.into_iter().for_each(|member| counts[member] += 1);
        }
        let expected = drawn as f64 / MEMBERS as f64;
        let chi_squared: f64 = counts.iter().map(|&count| (count as f64 - expected).powi(2) / expected).sum();
        let freedom = MEMBERS as f64 - 1.0;
        let off = (chi_squared / spread - freedom).abs() / (2.0 * freedom).sqrt();
        assert!(off < 5.0, "{what}, {}: {chi_squared} for {freedom}", set.encoding());
    }
}

/// Of `count` different members at once.
fn spread(count: usize) -> f64 {
    (MEMBERS - count) as f64 / (MEMBERS - 1) as f64
}

#[test]
fn every_member_has_the_same_chance_to_be_answered() {
    let repeating = |set: &Set, rng: &mut Rng| answered(|reply| reply_repeating(set, 500, rng, reply));
    assert_fair("repeating", 1.0, repeating);
    for count in [1, 7, 59] {
        let different = |set: &Set, rng: &mut Rng| answered(|reply| reply_different(set, count, rng, reply));
        assert_fair(&format!("{count} different"), spread(count), different);
    }
}

#[test]
fn every_member_has_the_same_chance_to_be_popped() {
    let one = |set: &Set, rng: &mut Rng| {
        answered(|reply| take_one(&mut set.clone(), rng, |member| reply_element(member, reply)))
    };
    assert_fair("one", 1.0, one);
    for count in [1, 7, 49, 50, 59] {
        let some = |set: &Set, rng: &mut Rng| {
            let mut set = set.clone();
            let is_table = set.encoding() == "hashtable";
            answered(|reply| {
                let left = take_some(&mut set, count, &LIMITS, rng, reply, reply_element);
                assert_eq!(matches!(left, Left::Moved(_)), is_table && count >= 50, "{left:?}");
            })
        };
        assert_fair(&format!("{count}"), spread(count), some);
    }
}

/// Who is popped first is chance as well, not only who is.
#[test]
fn a_set_is_popped_empty_in_any_order() {
    let last = |set: &Set, rng: &mut Rng| {
        let mut set = set.clone();
        (1..MEMBERS).for_each(|_| take_one(&mut set, rng, |_| {}));
        answered(|reply| take_one(&mut set, rng, |member| reply_element(member, reply))).repeat(20)
    };
    assert_fair("the last", 20.0, last);
}
