use proptest::prelude::*;

use super::*;

const LIMITS: NodeLimits = NodeLimits { bytes_max: 200, entries_max: 7 };

type Pairs = Vec<Vec<u8>>;

/// What a log is: entries, oldest first.
#[derive(Debug, Default)]
struct Model(Vec<(StreamId, Pairs)>);

impl Model {
    fn remove(&mut self, id: StreamId) -> bool {
        let at = self.0.iter().position(|(other, _)| *other == id);
        at.map(|at| self.0.remove(at)).is_some()
    }

    fn first_id(&self) -> StreamId {
        self.0.first().map_or(StreamId::MIN, |(id, _)| *id)
    }
}

fn pairs_of(entry: Entry<'_>) -> Pairs {
    assert_eq!(entry.fields.len(), entry.fields.clone().count());
    entry.fields.flat_map(|(name, value)| [name.to_vec(), value.to_vec()]).collect()
}

fn contents(entries: Range<'_>) -> Vec<(StreamId, Pairs)> {
    entries.map(|entry| (entry.id, pairs_of(entry))).collect()
}

fn append(log: &mut Log, id: StreamId, pairs: &[Vec<u8>]) {
    log.append(id, pairs.iter().map(Vec::as_slice), LIMITS);
}

#[derive(Clone, Debug)]
enum Step {
    /// Milliseconds and numbers ahead of the last id.
    Append(u64, u64, Pairs),
    /// The entry at about this share of 256 of all, or an id that there is not.
    Delete(u8, bool),
    Trim(Trim),
    Range(StreamId, StreamId),
}

fn pairs() -> impl Strategy<Value = Pairs> {
    let name = prop::sample::select(vec![b"a".to_vec(), b"b".to_vec(), b"17".to_vec()]);
    let value = prop_oneof![
        4 => (0..300i64).prop_map(|n| n.to_string().into_bytes()),
        4 => prop::collection::vec(any::<u8>(), 0..12),
        1 => prop::collection::vec(any::<u8>(), 100..300),
    ];
    let usual = value.clone().prop_map(|value| vec![b"a".to_vec(), b"1".to_vec(), b"b".to_vec(), value]);
    let any = prop::collection::vec((name, value), 1..4)
        .prop_map(|pairs| pairs.into_iter().flat_map(|(name, value)| [name, value]).collect());
    prop_oneof![3 => usual, 1 => any]
}

fn ids() -> impl Strategy<Value = StreamId> {
    prop_oneof![
        8 => (0..60u64, 0..4u64).prop_map(|(ms, seq)| StreamId::new(ms, seq)),
        1 => Just(StreamId::MAX),
        1 => Just(StreamId::MIN),
    ]
}

fn trims() -> impl Strategy<Value = Trim> {
    let keep = prop_oneof![(0..60u64).prop_map(Keep::Last), ids().prop_map(Keep::From)];
    let exactness = prop_oneof![
        Just(Exactness::Exact),
        (0..40u64).prop_map(|removed_max| Exactness::WholeNodes { removed_max }),
    ];
    (keep, exactness).prop_map(|(keep, exactness)| Trim { keep, exactness })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0..2u64, 0..3u64, pairs()).prop_map(|(ms, seq, pairs)| Step::Append(ms, seq, pairs)),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(at, there)| Step::Delete(at, there)),
        1 => trims().prop_map(Step::Trim),
        2 => (ids(), ids()).prop_map(|(from, to)| Step::Range(from, to)),
    ];
    prop::collection::vec(step, 0..200)
}

/// What must hold of any trimming: the oldest went, none that was to be kept, and all of the others if it was exact.
fn check_trim(log: &mut Log, model: &mut Model, trim: &Trim) -> Result<(), TestCaseError> {
    let surplus = match trim.keep {
        Keep::Last(count) => model.0.len().saturating_sub(count as usize),
        Keep::From(first) => model.0.iter().take_while(|(id, _)| *id < first).count(),
    };
    let removed = log.trim(trim).entries as usize;
    match trim.exactness {
        Exactness::Exact => prop_assert_eq!(removed, surplus),
        Exactness::WholeNodes { removed_max } => {
            prop_assert!(removed <= surplus);
            prop_assert!(removed_max == 0 || removed as u64 <= removed_max);
        }
    }
    model.0.drain(..removed);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_log_is_entries_in_order(steps in steps()) {
        let (mut log, mut model) = (Log::default(), Model::default());
        let mut added = 0;
        for step in steps {
            match step {
                Step::Append(ms, seq, pairs) => {
                    let last = log.last_id;
                    let id = if ms > 0 { StreamId::new(last.ms + ms, seq) } else { StreamId::new(last.ms, last.seq + 1 + seq) };
                    append(&mut log, id, &pairs);
                    model.0.push((id, pairs));
                    added += 1;
                }
                Step::Delete(at, there) => {
                    let at = usize::from(at) * model.0.len() / 256;
                    let mut id = model.0.get(at).map_or(StreamId::MIN, |(id, _)| *id);
                    if !there {
                        id.seq += 1;
                    }
                    prop_assert_eq!(log.contains(id), model.0.iter().any(|(other, _)| *other == id));
                    prop_assert_eq!(log.delete(&[id, id]) == 1, model.remove(id));
                }
                Step::Trim(trim) => check_trim(&mut log, &mut model, &trim)?,
                Step::Range(from, to) => {
                    let expected = model.0.iter().filter(|(id, _)| (from..=to).contains(id)).cloned();
                    let mut expected: Vec<_> = expected.collect();
                    prop_assert_eq!(&contents(log.range(from, to, Order::Ascending)), &expected);
                    expected.reverse();
                    prop_assert_eq!(contents(log.range(from, to, Order::Descending)), expected);
                }
            }
            prop_assert_eq!(log.len(), model.0.len() as u64);
            prop_assert_eq!(log.first_id(), model.first_id());
            prop_assert_eq!(log.entries_added, added);
        }
        log.assert_invariants();
        prop_assert_eq!(contents(log.entries()), &model.0[..]);
        prop_assert_eq!(log.last().map(|entry| entry.id), model.0.last().map(|(id, _)| *id));
    }

    /// Whatever is changed in a node's bytes, it is refused or read to its end.
    #[test]
    fn nodes_from_outside_are_checked(entries in prop::collection::vec(pairs(), 1..6), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let base = StreamId::new(1, 0);
        let mut node = Node::new(entries[0].iter().map(Vec::as_slice), 0);
        for (seq, pairs) in entries.iter().enumerate() {
            node.append(base, StreamId::new(1, seq as u64), pairs.iter().map(Vec::as_slice));
        }
        let mut bytes = node.as_bytes().to_vec();
        prop_assert!(Node::from_bytes(base, &bytes).is_ok());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(node) = Node::from_bytes(base, &bytes) {
            let mut records = node.records(base);
            let found = std::iter::from_fn(|| records.step()).filter(|record| record.is_live()).count();
            prop_assert_eq!(found as u64, node.counts().live);
            let mut back = node.records_back(base);
            prop_assert_eq!(std::iter::from_fn(|| back.step_back()).count() as u64, node.counts().live + node.counts().deleted);
        }
    }
}

fn log_of(ids: std::ops::Range<u64>) -> Log {
    let mut log = Log::default();
    ids.for_each(|ms| append(&mut log, StreamId::new(ms, 0), &[b"f".to_vec(), b"v".to_vec()]));
    log
}

#[test]
fn ids_go_up() {
    let mut log = log_of(5..6);
    assert_eq!(log.resolve(NewId::Auto, 9), Ok(StreamId::new(9, 0)));
    assert_eq!(log.resolve(NewId::Auto, 5), Ok(StreamId::new(5, 1)));
    assert_eq!(log.resolve(NewId::Auto, 1), Ok(StreamId::new(5, 1)));
    assert_eq!(log.resolve(NewId::Within(5), 9), Ok(StreamId::new(5, 1)));
    assert_eq!(log.resolve(NewId::Within(6), 9), Ok(StreamId::new(6, 0)));
    assert_eq!(log.resolve(NewId::Within(4), 9), Err(Refusal::NotAboveLast));
    assert_eq!(log.resolve(NewId::Exactly(StreamId::new(5, 0)), 9), Err(Refusal::NotAboveLast));
    log.last_id = StreamId::new(5, u64::MAX);
    assert_eq!(log.resolve(NewId::Within(5), 9), Err(Refusal::NotAboveLast));
    assert_eq!(log.resolve(NewId::Auto, 3), Ok(StreamId::new(6, 0)));
    log.last_id = StreamId::MAX;
    assert_eq!(log.resolve(NewId::Auto, 9), Err(Refusal::Exhausted));
}

/// Much that goes at once is handed back, to be freed in steps.
#[test]
fn a_long_trim_hands_back_its_nodes() {
    let mut log = log_of(0..5000);
    let trimmed = log.trim(&Trim { keep: Keep::Last(10), exactness: Exactness::Exact });
    assert_eq!((trimmed.entries, log.len()), (4990, 10));
    log.assert_invariants();
    let mut remains = trimmed.remains.expect("hundreds of nodes");
    assert_eq!(remains.free_step(100), 0);
    let mut rounds = 0;
    while remains.free_step(100) == 0 {
        rounds += 1;
    }
    assert!(rounds > 3);
    assert!(log_of(0..50).trim(&Trim { keep: Keep::Last(0), exactness: Exactness::Exact }).remains.is_none());
}

/// The bytes that DUMP of redis-server 7.0.15 answers for these entries.
#[test]
fn nodes_are_those_of_redis() {
    let mut log = Log::default();
    append(&mut log, StreamId::new(1, 1), &[b"a".to_vec(), b"1".to_vec()]);
    append(&mut log, StreamId::new(1, 2), &[b"a".to_vec(), b"x".to_vec()]);
    append(&mut log, StreamId::new(3, 0), &[b"b".to_vec(), b"2".to_vec()]);
    log.delete(&[StreamId::new(1, 2)]);
    let (base, node) = log.nodes().next().expect("a node");
    assert_eq!(*base, StreamId::new(1, 1));
    let elements = [
        &[2, 1, 1, 1, 1, 1][..],
        &[0x81, b'a', 2, 0, 1],
        &[2, 1, 0, 1, 0, 1, 1, 1, 4, 1],
        &[3, 1, 0, 1, 1, 1, 0x81, b'x', 2, 4, 1],
        &[0, 1, 2, 1, 0xDF, 0xFF, 2, 1, 1, 0x81, b'b', 2, 2, 1, 6, 1],
    ]
    .concat();
    let bytes = node.as_bytes();
    assert_eq!(&bytes[6..bytes.len() - 1], elements);
}
