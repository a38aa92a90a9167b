//! Quicklists against a plain vector, under limits that make many chunks.

use proptest::prelude::*;

use super::*;

const LIMITS: [i32; 5] = [-1, -2, 1, 3, 100];

#[derive(Clone, Debug)]
enum Op {
    Push(End, Vec<u8>),
    PushMany(End, Vec<u8>, usize),
    RemoveEnd(End),
    Insert(usize, Vec<u8>),
    Replace(usize, Vec<u8>),
    RemoveRange(usize, usize),
    RemoveMatching(usize, usize, End),
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Front), Just(End::Back)]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[0-9]{0,3}".prop_map(String::into_bytes),
        "[ab]".prop_map(String::into_bytes),
        (0usize..3000).prop_map(|len| vec![b'.'; len]),
        (4000usize..9000).prop_map(|len| vec![b':'; len]),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (end(), text()).prop_map(|(end, text)| Op::Push(end, text)),
        (end(), text(), 1usize..40).prop_map(|(end, text, count)| Op::PushMany(end, text, count)),
        end().prop_map(Op::RemoveEnd),
        (any::<usize>(), text()).prop_map(|(index, text)| Op::Insert(index, text)),
        (any::<usize>(), text()).prop_map(|(index, text)| Op::Insert(index, text)),
        (any::<usize>(), text()).prop_map(|(index, text)| Op::Replace(index, text)),
        (any::<usize>(), 0usize..30).prop_map(|(index, count)| Op::RemoveRange(index, count)),
        (any::<usize>(), 0usize..5, end())
            .prop_map(|(index, count, end)| Op::RemoveMatching(index, count, end)),
    ]
}

fn push(list: &mut Quicklist, model: &mut Vec<Vec<u8>>, end: End, text: &[u8], limit: ChunkLimit) {
    list.push(end, text, limit);
    let index = if end == End::Front { 0 } else { model.len() };
    model.insert(index, text.to_vec());
}

fn run(op: Op, list: &mut Quicklist, model: &mut Vec<Vec<u8>>, limit: ChunkLimit) {
    match op {
        Op::Push(end, text) => push(list, model, end, &text, limit),
        Op::PushMany(end, text, count) => (0..count).for_each(|_| push(list, model, end, &text, limit)),
        Op::RemoveEnd(End::Front) => {
            list.remove_end(End::Front);
            drop(model.drain(..model.len().min(1)));
        }
        Op::RemoveEnd(End::Back) => {
            list.remove_end(End::Back);
            model.pop();
        }
        Op::Insert(index, text) => {
            let index = index % (model.len() + 1);
            list.insert(index, &text, limit);
            model.insert(index, text);
        }
        _ if model.is_empty() => {}
        Op::Replace(index, text) => {
            let index = index % model.len();
            list.replace(index, &text, limit);
            model[index] = text;
        }
        Op::RemoveRange(index, count) => {
            let index = index % model.len();
            let before = list.len();
            let whole = list.remove_range(index, count);
            whole.assert_invariants(limit);
            let removed = model.drain(index..(index + count).min(model.len())).count();
            assert_eq!(before - list.len(), removed);
        }
        Op::RemoveMatching(index, count, from) => {
            let text = model[index % model.len()].clone();
            let mut doomed: Vec<_> = (0..model.len()).filter(|&at| model[at] == text).collect();
            if from == End::Front {
                doomed.reverse();
            }
            doomed.drain(..doomed.len().saturating_sub(count));
            doomed.sort_unstable();
            doomed.iter().rev().for_each(|&at| drop(model.remove(at)));
            assert_eq!(list.remove_matching(&text, count, from), doomed.len());
        }
    }
}

fn texts<'a>(elements: impl Iterator<Item = Element<'a>>) -> Vec<Vec<u8>> {
    elements.map(Element::to_vec).collect()
}

proptest! {
    #[test]
    fn a_quicklist_holds_what_a_vector_would(
        ops in prop::collection::vec(op(), 0..60),
        limit in prop::sample::select(&LIMITS[..]),
        index in any::<prop::sample::Index>(),
    ) {
        let limit = ChunkLimit::from_directive(limit);
        let (mut list, mut model) = (Quicklist::default(), Vec::new());
        for op in ops {
            run(op, &mut list, &mut model, limit);
            list.assert_invariants(limit);
            prop_assert_eq!(list.len(), model.len());
        }
        prop_assert_eq!(&texts(list.iter(0, End::Front)), &model);
        prop_assert_eq!(list.end(End::Front).map(Element::to_vec), model.first().cloned());
        prop_assert_eq!(list.end(End::Back).map(Element::to_vec), model.last().cloned());
        prop_assert!(list.get(model.len()).is_none());
        if !model.is_empty() {
            let index = index.index(model.len());
            prop_assert_eq!(list.get(index).map(Element::to_vec), Some(model[index].clone()));
            prop_assert_eq!(&texts(list.iter(index, End::Front)), &model[index..]);
            let mut back = texts(list.iter(index, End::Back));
            back.reverse();
            prop_assert_eq!(&back, &model[..=index]);
        }
    }
}

#[test]
fn limits_are_those_of_the_directive() {
    let limit = ChunkLimit::from_directive;
    for (directive, bytes) in [(-1, 4096), (-2, 8192), (-3, 16384), (-4, 32768), (-5, 65536), (-6, 65536)] {
        assert!(limit(directive).admits(bytes, 1_000_000) && !limit(directive).admits(bytes + 1, 1));
    }
    assert_eq!(limit(i32::MIN), limit(-5));
    assert!(limit(3).admits(8192, 3) && !limit(3).admits(8192, 4) && !limit(3).admits(8193, 1));
    assert_eq!(limit(0), limit(1));
    assert_eq!(limit(i32::MAX), limit(32767));
}

#[test]
fn chunks_are_small_and_full() {
    assert_eq!(size_of::<Chunk>(), 32);
    let limit = ChunkLimit::from_directive(-2);
    let mut list = Quicklist::default();
    for number in 0..100_000 {
        list.push(End::Back, format!("element:{number}").as_bytes(), limit);
    }
    let held: usize = list.iter(0, End::Front).map(Listpack::len_of).sum();
    assert!(list.memory() < held + held / 50, "{} bytes for {held}", list.memory());
}

#[test]
fn a_large_list_is_freed_chunk_by_chunk() {
    let limit = ChunkLimit::from_directive(1);
    let mut list = Quicklist::default();
    (0..100).for_each(|_| list.push(End::Back, b"x", limit));
    assert_eq!([30, 30, 30, 30].map(|budget| list.free_step(budget)), [0, 0, 0, 20]);
}
