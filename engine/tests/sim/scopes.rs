//! Scopes that change while writes of all kinds are under way.
//!
//! The keys that begin with `p` go to another node and come back; those with `q` are ours, in a scope or in none; those
//! with `f` are free. Clients write all of them, by commands of one shard and of several, by blocks of every kind, and by
//! commands that wait. What is sent after the answer to a change goes by it, whichever core the client is on; what
//! was under way then may do either, but whole. Values are unique, so what a request has done is found by them.

use std::collections::{BTreeMap, BTreeSet};

use bobbin_proto::Value;

use crate::for_seeds;
use crate::world::World;

const LISTS: [&str; 7] = ["pl0", "pl1", "pl2", "ql0", "ql1", "fl0", "fl1"];
const STRINGS: [&str; 6] = ["ps0", "ps1", "qs0", "qs1", "fs0", "fs1"];
/// Where sorted lists are stored.
const SORTED: [&str; 3] = ["pt", "qt", "ft"];

/// The client that changes scopes, and the one that looks.
const ADMIN: usize = 0;
const LOOKER: usize = 1;
const WRITERS: usize = 5;
const REQUESTS_EACH: usize = 6;

/// Sets up, takes keys away, gives them back.
const CHANGES: [[&[&[&str]]; 3]; 3] = [
    [&[], &[&["SCOPE", "ADD", "p", "WRITER", "them"]], &[&["SCOPE", "DEL", "p"]]],
    [
        &[&["SCOPE", "ADD", "q", "WRITER", "us"]],
        &[&["SCOPE", "ADD", "p", "WRITER", "them"]],
        &[&["SCOPE", "DEL", "p"]],
    ],
    [
        &[
            &["SCOPE", "ADD", "q", "WRITER", "us"],
            &["SCOPE", "ADD", "p", "WRITER", "them", "FALLBACK", "us"],
            &["SCOPE", "NODE", "them", "DOWN"],
        ],
        &[&["SCOPE", "NODE", "them", "UP"]],
        &[&["SCOPE", "NODE", "them", "DOWN"]],
    ],
];

const MISDIRECTED: &[u8] = b"MISDIRECTED writer is 10.0.0.2:1";
const SEVERAL: &[u8] = b"CROSSSCOPE the transaction's keys are in more than one scope";

/// What holds once a change is answered.
#[derive(Clone, Copy)]
struct Rules {
    p_is_ours: bool,
    /// Both are in scopes.
    are_scoped: bool,
}

/// A command, or a block of them.
#[derive(Debug, Default)]
struct Request {
    parts: Vec<Vec<String>>,
    /// That it writes.
    keys: Vec<&'static str>,
    /// That it adds to lists.
    elements: Vec<String>,
    /// That it writes elsewhere.
    values: Vec<String>,
    /// Its bytes begin behind so many that its client sends.
    begins: usize,
    /// None of it had been sent when the change was answered.
    is_after: bool,
}

impl Request {
    fn is_block(&self) -> bool {
        self.parts.len() > 1
    }

    fn writes(&self, scope: char) -> bool {
        self.keys.iter().any(|key| key.starts_with(scope))
    }

    /// How it is refused, if it is.
    fn refusal(&self, rules: Rules) -> Option<&'static [u8]> {
        let crosses = self.is_block() && rules.are_scoped && self.writes('p') && self.writes('q');
        let elsewhere = self.writes('p') && !rules.p_is_ours;
        crosses.then_some(SEVERAL).or(elsewhere.then_some(MISDIRECTED))
    }

    fn part(&mut self, words: &[&str]) {
        self.parts.push(words.iter().map(|word| (*word).to_owned()).collect());
    }
}

/// Makes requests with values that nobody else has.
struct Maker {
    rng: fastrand::Rng,
    last_value: usize,
}

impl Maker {
    fn value(&mut self) -> String {
        self.last_value += 1;
        format!("v{}", self.last_value)
    }

    /// So many different keys of a kind.
    fn keys<const N: usize>(&mut self, kind: &[&'static str]) -> [&'static str; N] {
        let mut keys = kind.to_vec();
        self.rng.shuffle(&mut keys);
        std::array::from_fn(|index| keys[index])
    }

    fn request(&mut self) -> Request {
        let mut request = Request::default();
        if self.rng.u8(..4) > 0 {
            self.add_command(&mut request, true);
            return request;
        }
        request.part(&["MULTI"]);
        for _ in 0..self.rng.usize(1..4) {
            self.add_command(&mut request, false);
        }
        // What visits every core makes the block run step by step.
        if self.rng.bool() {
            request.part(&["DBSIZE"]);
        }
        request.part(&["EXEC"]);
        request
    }

    fn add_command(&mut self, request: &mut Request, may_pop: bool) {
        let ([a, b, c], [into, other, third], [sorted]) =
            (self.keys(&LISTS), self.keys(&STRINGS), self.keys(&SORTED));
        let (one, two) = (self.value(), self.value());
        let (words, keys, elements): (&[&str], &[&'static str], &[&String]) =
            match self.rng.u8(..if may_pop { 15 } else { 10 }) {
                0 | 1 => (&["RPUSH", a, &one, &two], &[a], &[&one, &two]),
                2 => (&["SET", into, &one], &[into], &[]),
                3 => (&["MSET", into, &one, other, &two, third, &one], &[into, other, third], &[]),
                4 => (&["MSETNX", into, &one, other, &two], &[into, other], &[]),
                5 => (&["DEL", into, other, third], &[into, other, third], &[]),
                6 => (&["RENAME", into, other], &[into, other], &[]),
                7 => (&["RENAMENX", a, b], &[a, b], &[]),
                8 => (&["LMOVE", a, b, "LEFT", "RIGHT"], &[a, b], &[]),
                9 => (&["SORT", a, "BY", "w_*", "GET", "#", "STORE", sorted], &[a, sorted], &[]),
                10 => (&["LMPOP", "2", a, b, "LEFT"], &[a, b], &[]),
                11 => (&["BLPOP", a, "0"], &[a], &[]),
                12 => (&["BLPOP", a, b, c, "0"], &[a, b, c], &[]),
                13 => (&["BLMOVE", a, b, "LEFT", "RIGHT", "0"], &[a, b], &[]),
                _ => (&["BLMPOP", "0", "2", a, b, "LEFT"], &[a, b], &[]),
            };
        request.part(words);
        // A SORT only reads what it sorts, but is checked for all of its keys as writes are: its row says so.
        request.keys.extend(keys);
        request.elements.extend(elements.iter().copied().cloned());
        if elements.is_empty() {
            request.values.extend([one, two]);
        }
    }
}

struct Game {
    world: World,
    maker: Maker,
    /// Elements that requests have added and that nobody has popped, as the replies say.
    there: BTreeSet<String>,
    /// Values of requests that were refused, or not answered.
    nowhere: BTreeSet<String>,
}

impl Game {
    /// Random requests of some clients, with a change in between; then of all that was asked nothing is under way.
    fn round(&mut self, writers: std::ops::Range<usize>, change: &[&[&str]], rules: Rules) {
        let mut asked: BTreeMap<usize, Vec<Request>> = BTreeMap::new();
        for writer in writers {
            for _ in 0..REQUESTS_EACH {
                let mut request = self.maker.request();
                let client = &mut self.world.clients[writer];
                request.begins = client.sent + client.unsent_len();
                request.parts.iter().for_each(|part| {
                    client.request(&part.iter().map(String::as_str).collect::<Vec<_>>());
                });
                asked.entry(writer).or_default().push(request);
            }
        }
        for _ in 0..self.world.rng.usize(..40) {
            self.world.step();
        }
        change.iter().for_each(|words| self.world.clients[ADMIN].request(words));
        self.run_to_the_answers(change.len());
        for (writer, requests) in &mut asked {
            let sent = self.world.clients[*writer].sent;
            requests.iter_mut().for_each(|request| request.is_after = request.begins >= sent);
        }
        self.world.run();
        let mut popped = Vec::new();
        for (writer, requests) in asked {
            popped.extend(self.take_replies(writer, requests, rules));
            // It may be waiting: then it does not until the next round.
            self.world.disconnect(writer);
        }
        self.world.run();
        assert!(self.world.is_at_rest());
        for element in popped {
            assert!(self.there.remove(&element), "{element} is popped twice, or was never there");
        }
        self.check_values();
    }

    fn run_to_the_answers(&mut self, mut missing: usize) {
        while missing > 0 {
            while let Some(reply) = self.world.clients[ADMIN].reply() {
                assert_eq!(reply, Value::Simple(b"OK".to_vec()));
                missing -= 1;
            }
            assert!(missing == 0 || self.world.step(), "a change is answered");
        }
    }

    /// Returns what its requests have popped.
    fn take_replies(&mut self, writer: usize, requests: Vec<Request>, rules: Rules) -> Vec<String> {
        let (mut taken, mut is_waiting) = (Vec::new(), false);
        for request in requests {
            let replies: Vec<Value> =
                request.parts.iter().map_while(|_| self.world.clients[writer].reply()).collect();
            let Some(last) = replies.last().filter(|_| replies.len() == request.parts.len()) else {
                if !is_waiting {
                    assert_eq!(
                        request.refusal(rules),
                        None,
                        "{writer} waits for what others write: {request:?}"
                    );
                }
                is_waiting = true;
                self.nowhere.extend(request.elements.into_iter().chain(request.values));
                continue;
            };
            let refused = match last {
                Value::Error(text) if *text == *MISDIRECTED || *text == *SEVERAL => Some(&text[..]),
                _ => None,
            };
            if request.is_after {
                assert_eq!(refused, request.refusal(rules), "{writer}: {request:?}: {last:?}");
            }
            if refused.is_some() {
                self.nowhere.extend(request.elements.into_iter().chain(request.values));
                continue;
            }
            self.there.extend(request.elements);
            if request.parts[0][0].ends_with("POP") {
                taken.extend(popped(last));
            }
        }
        taken
    }

    /// All that there is.
    fn look(&mut self) -> BTreeMap<&'static str, Value> {
        let looks = LISTS.iter().chain(&SORTED).map(|key| (*key, vec!["LRANGE", *key, "0", "-1"]));
        let looks: Vec<_> = looks.chain(STRINGS.iter().map(|key| (*key, vec!["GET", *key]))).collect();
        looks.iter().for_each(|(_, words)| self.world.clients[LOOKER].request(words));
        self.world.run();
        let reply = |world: &mut World| world.clients[LOOKER].reply().expect("a look is answered");
        looks.into_iter().map(|(key, _)| (key, reply(&mut self.world))).collect()
    }

    /// What was refused has done nothing, and of what was not nothing is lost or doubled.
    fn check_values(&mut self) {
        let found = self.look();
        let all: BTreeSet<String> = found.values().flat_map(texts).collect();
        let wrong: Vec<_> = all.intersection(&self.nowhere).collect();
        assert!(wrong.is_empty(), "{wrong:?} are of requests that were refused");
        let elements: Vec<String> = LISTS.iter().flat_map(|key| texts(&found[key])).collect();
        let different: BTreeSet<String> = elements.iter().cloned().collect();
        assert_eq!(different.len(), elements.len(), "elements are there twice");
        assert_eq!(different, self.there);
    }

    /// Requests that are all refused change nothing.
    fn try_in_vain(&mut self, writers: std::ops::Range<usize>, rules: Rules) {
        let before = self.look();
        for writer in writers.clone() {
            let mut asked = 0;
            while asked < REQUESTS_EACH {
                let request = self.maker.request();
                if request.refusal(rules).is_some() {
                    request.parts.iter().for_each(|part| {
                        let words: Vec<&str> = part.iter().map(String::as_str).collect();
                        self.world.clients[writer].request(&words);
                    });
                    asked += 1;
                }
            }
        }
        self.world.run();
        assert_eq!(self.look(), before);
        for writer in writers {
            let replies = std::iter::from_fn(|| self.world.clients[writer].reply());
            let refusals = replies.filter(|reply| matches!(reply, Value::Error(_))).count();
            assert_eq!(refusals, REQUESTS_EACH, "each is refused once, and none waits");
        }
    }
}

/// Elements in the reply of a command that pops: of a key and an element, or of a key and elements.
fn popped(reply: &Value) -> Vec<String> {
    if let Value::Array(pair) = reply { texts(&pair[1]) } else { Vec::new() }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Bulk(bytes) => vec![String::from_utf8_lossy(bytes).into_owned()],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// Panics where something is not as the module says.
pub(crate) fn play(seed: u64) {
    let [setup, taken, given_back] = CHANGES[seed as usize % CHANGES.len()];
    let are_scoped = !setup.is_empty();
    let world = World::new(seed, 3, 2 + 3 * WRITERS);
    let maker = Maker { rng: fastrand::Rng::with_seed(!seed), last_value: 0 };
    let mut game = Game { world, maker, there: BTreeSet::new(), nowhere: BTreeSet::new() };
    let writers = |round: usize| 2 + round * WRITERS..2 + (round + 1) * WRITERS;
    setup.iter().for_each(|words| game.world.clients[ADMIN].request(words));
    game.run_to_the_answers(setup.len());
    let elsewhere = Rules { p_is_ours: false, are_scoped };
    game.round(writers(0), taken, elsewhere);
    game.try_in_vain(writers(1), elsewhere);
    // Where a scope is deleted the keys of blocks are in no two.
    let are_scoped = are_scoped && given_back[0][1] != "DEL";
    game.round(writers(2), given_back, Rules { p_is_ours: true, are_scoped });
}

/// A change of scopes in the middle of writes of all kinds: what is sent after its answer goes by it, nothing is done by
/// halves, and nobody is left waiting for what others write.
#[test]
fn nothing_is_written_that_others_write_once_a_change_is_answered() {
    for_seeds(play);
}
