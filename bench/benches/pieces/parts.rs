//! Pieces by themselves: the parser, the slot of a key, the table, a lane.

use std::hint::black_box;

use bobbin_cluster::Slot;
use bobbin_cluster::node::{Address, Node, NodeName, Nodes};
use bobbin_cluster::scope::{OwnershipTable, Scope, Verdict};
use bobbin_engine::ids::ReactorId;
use bobbin_engine::mesh::{Batch, Lanes};
use bobbin_engine::store::{Entry, Expiry, Keyspace};
use bobbin_proto::{Limits, Parser, Step, decode};

use crate::requests::{all, encoded};
use crate::{Call, Piece};

/// Requests in what one receive brings.
const PIPELINE: u64 = 16;
const KEYS: usize = 10_000;
const NOW_MS: u64 = 1_800_000_000_000;

pub(crate) fn pieces() -> Vec<Piece> {
    let piece = |name: &str, operations, prepare: fn() -> Call| Piece {
        name: name.to_owned(),
        operations,
        prepare: Box::new(prepare),
    };
    vec![
        piece("parse/get", PIPELINE, || parse("GET key:000000000001")),
        piece("parse/set", PIPELINE, || parse("SET key:000000000001 vvvvvvvvvvvvvvvv")),
        piece("parse/mset10", PIPELINE, || {
            parse(&format!("MSET{}", " key:000000000001 vvvvvvvvvvvvvvvv".repeat(10)))
        }),
        piece("skip/bulk", PIPELINE, skip),
        piece("slot/16-bytes", PIPELINE, slot),
        piece("scope/of-10000", PIPELINE, scope),
        piece("table/find", PIPELINE, || {
            on_table(|keyspace, key| {
                keyspace.db_mut(0).find_live(key, NOW_MS).live().map_or(0, |entry: &Entry| entry.key().len())
            })
        }),
        piece("table/find-missing", PIPELINE, || {
            on_table(|keyspace, key| {
                let mut other = key.to_vec();
                other[0] = b'K';
                usize::from(keyspace.db_mut(0).find_live(&other, NOW_MS).live().is_some())
            })
        }),
        piece("table/set", PIPELINE, || {
            on_table(|keyspace, key| {
                usize::from(keyspace.db_mut(0).set_string(key, &[b'w'; 16], Expiry::None).replaced)
            })
        }),
        piece("table/remove-insert", PIPELINE, || {
            on_table(|keyspace, key| {
                let db = keyspace.db_mut(0);
                let entry = db.remove(key).expect("the key is there");
                db.insert(entry);
                1
            })
        }),
        piece("lane/push-pop", PIPELINE, lane),
    ]
}

fn parse(line: &str) -> Call {
    let bytes = encoded(line).repeat(PIPELINE as usize);
    let (mut parser, limits, mut spans) = (Parser::default(), Limits::default(), Vec::new());
    Box::new(move || {
        let (mut at, mut arguments) = (0, 0);
        while at < bytes.len() {
            match parser.next(black_box(&bytes[at..]), &limits, &mut spans) {
                Ok(Step::Command { consumed }) => at += consumed,
                other => panic!("a whole request: {other:?}"),
            }
            arguments += spans.len();
            spans.clear();
        }
        arguments
    })
}

fn skip() -> Call {
    let bytes = b"$16\r\nvvvvvvvvvvvvvvvv\r\n".repeat(PIPELINE as usize);
    Box::new(move || {
        let mut at = 0;
        while let Ok(Some(len)) = decode::skip(black_box(&bytes[at..])) {
            at += len;
        }
        at
    })
}

fn slot() -> Call {
    Box::new(|| (0..PIPELINE).map(|_| usize::from(Slot::of(black_box(b"key:000000000001")).number())).sum())
}

/// Who writes a key, among 10,000 scopes with prefixes of 20 bytes; keys in an order in which none is near the last.
fn scope() -> Call {
    let us = NodeName::new(b"us").expect("a name");
    let node = Node { address: Address::new(b"10.0.0.1:6379").expect("an address"), is_up: true };
    let nodes: Nodes = [(us.clone(), node)].into_iter().collect();
    let prefix = |number: usize| format!("tenant:{number:012}:");
    let scope =
        |number| Scope { prefix: prefix(number).as_bytes().into(), writer: us.clone(), fallback: None };
    let table = OwnershipTable::declared(&us, &nodes, (0..KEYS).map(scope)).expect("they do not overlap");
    let mut keys: Vec<String> = (0..KEYS).map(|number| prefix(number) + "12345678").collect();
    fastrand::Rng::with_seed(1).shuffle(&mut keys);
    let mut at = 0;
    Box::new(move || {
        at = (at + PIPELINE as usize) % (KEYS - PIPELINE as usize);
        let keys = &keys[at..at + PIPELINE as usize];
        keys.iter().filter(|key| table.lookup(black_box(key.as_bytes())) == Verdict::Owned).count()
    })
}

fn on_table(operate: fn(&mut Keyspace, &[u8]) -> usize) -> Call {
    let keys: Vec<Vec<u8>> = all("key:{key}").into_iter().map(String::into_bytes).collect();
    let mut keyspace = Keyspace::new(16, 0x5eed);
    keys.iter().for_each(|key| _ = keyspace.db_mut(0).set_string(key, &[b'v'; 16], Expiry::None));
    let mut rng = fastrand::Rng::with_seed(1);
    Box::new(move || (0..PIPELINE).map(|_| operate(&mut keyspace, &keys[rng.usize(..KEYS)])).sum())
}

/// A batch's way from one reactor to another, and back.
fn lane() -> Call {
    let lanes = Lanes::new(2);
    let [one, two] = [0, 1].map(ReactorId::from_index);
    let mut batch = Some(Box::<Batch>::default());
    Box::new(move || {
        for _ in 0..PIPELINE / 2 {
            for (from, to) in [(one, two), (two, one)] {
                let pushed = lanes.push(from, to, batch.take().expect("it has come back"));
                assert!(pushed.is_ok(), "an empty lane has room");
                batch = lanes.pop(from, to);
            }
        }
        lanes.depth(one)
    })
}
