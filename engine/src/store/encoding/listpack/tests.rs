//! Listpacks against a plain vector, and against bytes that redis-server 7.0.15 dumped.

use proptest::prelude::*;

use super::*;

fn pack(texts: &[&[u8]]) -> Listpack {
    let mut pack = Listpack::new();
    for &text in texts {
        pack.push_back(text);
    }
    pack
}

fn texts(pack: &Listpack) -> Vec<Vec<u8>> {
    pack.iter().map(Element::to_vec).collect()
}

/// The listpack in what DUMP answers for a hash of these.
#[test]
fn bytes_are_those_of_redis() {
    let numbers = "0 127 128 -1 4095 -4096 4096 -4097 32767 -32768 32768 8388607 -8388608 8388608 2147483647 \
                   -2147483648 2147483648 9223372036854775807 -9223372036854775808";
    let dumped = "000000017f01c08002dfff02cfff02d00002f1001003f1ffef03f1ff7f03f1008003f200800004f2ffff7f04f2000080\
                  04f30000800005f3ffffff7f05f30000008005f4000000800000000009f4ffffffffffffff7f09f40000000000000080\
                  098001816102822d3003bf";
    let mut elements: Vec<&[u8]> = numbers.split(' ').map(str::as_bytes).collect();
    let (x, y) = ([b'x'; 63], [b'y'; 64]);
    elements.extend([&b""[..], b"a", b"-0", &x, &y]);
    let pack = pack(&elements);

    let mut expected = vec![0xF3, 0, 0, 0, 24, 0];
    // The first of the number's bytes is its value, 0.
    expected.extend(base16ct::lower::decode_vec(&dumped[4..]).expect("hexadecimal"));
    expected.extend(x);
    expected.extend([0x40, 0xE0, 0x40]);
    expected.extend(y);
    expected.extend([0x42, 0xFF]);
    assert_eq!(pack.as_bytes(), expected);
    assert_eq!(texts(&pack), elements);
}

/// Behind a field `f`, values as long as where the backlen's length changes: their heads and backlens as dumped.
#[test]
fn backlens_are_those_of_redis() {
    let rows: [(usize, &[u8], &[u8]); 8] = [
        (125, &[0xE0, 125], &[0x7F]),
        (126, &[0xE0, 126], &[0x01, 0x80]),
        (127, &[0xE0, 127], &[0x01, 0x81]),
        (4095, &[0xEF, 0xFF], &[0x20, 0x81]),
        (4096, &[0xF0, 0, 0x10, 0, 0], &[0x20, 0x85]),
        (16378, &[0xF0, 0xFA, 0x3F, 0, 0], &[0x00, 0xFF, 0xFF]),
        (16379, &[0xF0, 0xFB, 0x3F, 0, 0], &[0x01, 0x80, 0x80]),
        (16381, &[0xF0, 0xFD, 0x3F, 0, 0], &[0x01, 0x80, 0x82]),
    ];
    for (len, head, backlen) in rows {
        let value = vec![b'z'; len];
        let pack = pack(&[b"f", &value]);
        let expected = [&[0x81, b'f', 2], head, &value, backlen, &[END]].concat();
        assert_eq!(pack.as_bytes()[ELEMENTS_AT..], expected, "{len}");
        assert_eq!(
            pack.as_bytes()[..ELEMENTS_AT],
            [&(pack.bytes_len() as u32).to_le_bytes()[..], &[2, 0]].concat()
        );
        assert!(pack.last().is_some_and(|last| pack.get(last).eq_bytes(&value)));
        assert_eq!(Listpack::from_bytes(pack.as_bytes()), Ok(pack));
    }
}

#[test]
fn more_elements_than_the_count_holds_are_counted() {
    let mut pack = Listpack::new();
    for number in 0..70_000 {
        pack.push_back(number);
    }
    assert_eq!(pack.len(), 70_000);
    assert_eq!(pack.seek(-1).map(|last| pack.get(last)), Some(Element::Int(69_999)));
    assert_eq!(Listpack::from_bytes(pack.as_bytes()), Ok(pack.clone()));
    assert_eq!(pack.remove_range(1, 69_000), 69_000);
    assert_eq!(pack.len(), 1_000);
}

#[test]
fn numbers_in_a_longer_form_are_found() {
    let as_i16: &[u8] = &[11, 0, 0, 0, 1, 0, 0xF1, 5, 0, 3, END];
    let as_text: &[u8] = &[10, 0, 0, 0, 1, 0, 0x81, b'5', 2, END];
    for bytes in [as_i16, as_text] {
        let pack = Listpack::from_bytes(bytes).expect("a listpack");
        let first = pack.first().expect("an element");
        assert_eq!(pack.find(first, b"5", 0), Some(first));
        assert_eq!(pack.find(first, b"6", 0), None);
    }
}

#[derive(Clone, Debug)]
enum Op {
    PushFront(Vec<u8>),
    PushBack(Vec<u8>),
    InsertBefore(usize, Vec<u8>),
    InsertAfter(usize, Vec<u8>),
    Replace(usize, Vec<u8>),
    Remove(usize),
    RemoveRange(i64, usize),
    RemoveMatching(usize, usize, usize),
    SplitAndSwap(usize),
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[0-9]{0,3}".prop_map(String::into_bytes),
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        (0u32..64, any::<bool>()).prop_map(|(shift, minus)| {
            let power = 1i128 << shift;
            (if minus { -power } else { power - 1 }).to_string().into_bytes()
        }),
        prop::collection::vec(any::<u8>(), 0..70),
        (100usize..5000).prop_map(|len| vec![b'.'; len]),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        text().prop_map(Op::PushFront),
        text().prop_map(Op::PushBack),
        (any::<usize>(), text()).prop_map(|(at, text)| Op::InsertBefore(at, text)),
        (any::<usize>(), text()).prop_map(|(at, text)| Op::InsertAfter(at, text)),
        (any::<usize>(), text()).prop_map(|(at, text)| Op::Replace(at, text)),
        any::<usize>().prop_map(Op::Remove),
        (-20i64..20, 0usize..6).prop_map(|(at, count)| Op::RemoveRange(at, count)),
        (any::<usize>(), 0usize..3, 0usize..4)
            .prop_map(|(at, skip, count)| Op::RemoveMatching(at, skip, count)),
        any::<usize>().prop_map(Op::SplitAndSwap),
    ]
}

fn run(op: Op, pack: &mut Listpack, model: &mut Vec<Vec<u8>>) {
    match op {
        Op::PushFront(text) => {
            pack.push_front(&text[..]);
            model.insert(0, text);
        }
        Op::PushBack(text) => {
            pack.push_back(&text[..]);
            model.push(text);
        }
        Op::RemoveRange(index, count) => {
            let len = model.len() as i64;
            let start = if index < 0 { index + len } else { index };
            if (0..len).contains(&start) {
                let start = start as usize;
                let removed = model.drain(start..(start + count).min(model.len())).count();
                assert_eq!(pack.remove_range(index, count), removed);
            } else {
                assert_eq!(pack.remove_range(index, count), 0);
            }
        }
        _ if model.is_empty() => {}
        Op::InsertBefore(at, text) => {
            let at = at % model.len();
            let pos = pack.insert_before(pack.seek(at as i64).expect("in range"), &text[..]);
            assert!(pack.get(pos).eq_bytes(&text));
            model.insert(at, text);
        }
        Op::InsertAfter(at, text) => {
            let at = at % model.len();
            let pos = pack.insert_after(pack.seek(at as i64).expect("in range"), &text[..]);
            assert!(pack.get(pos).eq_bytes(&text));
            model.insert(at + 1, text);
        }
        Op::Replace(at, text) => {
            let at = at % model.len();
            pack.replace(pack.seek(at as i64).expect("in range"), &text[..]);
            model[at] = text;
        }
        Op::Remove(at) => {
            let at = at % model.len();
            let behind = pack.remove(pack.seek(at as i64).expect("in range"));
            model.remove(at);
            assert_eq!(behind.map(|pos| pack.get(pos).to_vec()).as_ref(), model.get(at));
        }
        Op::RemoveMatching(at, skip, count) => {
            let text = model[at % model.len()].clone();
            let matching = (0..model.len()).filter(|&index| model[index] == text);
            let doomed: Vec<_> = matching.skip(skip).take(count).collect();
            doomed.iter().rev().for_each(|&index| drop(model.remove(index)));
            assert_eq!(pack.remove_matching(&text, skip, count), doomed.len());
        }
        Op::SplitAndSwap(at) => {
            let at = at % model.len();
            let mut behind = pack.split_off(pack.seek(at as i64).expect("in range"));
            behind.append(pack);
            *pack = behind;
            model.rotate_left(at);
        }
    }
}

#[test]
fn what_is_there_twice_is_found_however_it_is_kept() {
    assert!(pack(&[b"a", b"1", b"b", b"1", b"12", b""]).are_distinct(2));
    assert!(!pack(&[b"a", b"1", b"b", b"1", b"12", b""]).are_distinct(1));
    assert!(!pack(&[b"a", b"b", b"c", b"a"]).are_distinct(3));
    // The number 7, and a text that spells it.
    let bytes = b"\x0c\x00\x00\x00\x02\x00\x07\x01\x817\x02\xff";
    assert!(!Listpack::from_bytes(bytes).expect("a listpack").are_distinct(1));
}

proptest! {
    #[test]
    fn a_listpack_holds_what_a_vector_would(ops in prop::collection::vec(op(), 0..60)) {
        let (mut pack, mut model) = (Listpack::new(), Vec::new());
        for op in ops {
            run(op, &mut pack, &mut model);
            prop_assert_eq!(texts(&pack), &model[..]);
            prop_assert_eq!(pack.len(), model.len());
            prop_assert_eq!(pack.is_empty(), model.is_empty());
            prop_assert_eq!(Listpack::from_bytes(pack.as_bytes()), Ok(pack.clone()));
            prop_assert!(pack.memory() >= pack.bytes_len() && pack.memory() <= 2 * size_class(pack.bytes_len()));
        }
        let fresh = pack_of(&model);
        prop_assert_eq!(pack.as_bytes(), fresh.as_bytes());
    }

    #[test]
    fn it_is_walked_both_ways_and_searched(model in prop::collection::vec(text(), 1..30), skip in 0usize..3) {
        let pack = pack_of(&model);
        let last = pack.last().expect("not empty");
        let mut backwards: Vec<_> = pack.iter_back_from(last).map(Element::to_vec).collect();
        backwards.reverse();
        prop_assert_eq!(&backwards, &model);
        let first = pack.first().expect("not empty");
        for text in &model {
            let expected = model.iter().step_by(skip + 1).position(|other| other == text);
            let expected = expected.and_then(|index| pack.seek((index * (skip + 1)) as i64));
            prop_assert_eq!(pack.find(first, text, skip), expected);
        }
        prop_assert_eq!(pack.find(first, b"not among them", skip), None);
        prop_assert_eq!(pack.seek(model.len() as i64), None);
        prop_assert_eq!(pack.seek(-(model.len() as i64) - 1), None);
        prop_assert_eq!(pack.seek(i64::MIN), None);
    }

    #[test]
    fn damaged_bytes_are_refused_or_read_safely(
        model in prop::collection::vec(text(), 0..10),
        damage in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = pack_of(&model).as_bytes().to_vec();
        for (at, byte) in damage {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if let Ok(pack) = Listpack::from_bytes(&bytes) {
            prop_assert_eq!(pack.iter().count(), pack.len());
            prop_assert_eq!(pack.as_bytes(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read_safely(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(pack) = Listpack::from_bytes(&bytes) {
            prop_assert_eq!(pack.iter().count(), pack.len());
        }
    }
}

fn pack_of(model: &[Vec<u8>]) -> Listpack {
    let texts: Vec<&[u8]> = model.iter().map(Vec::as_slice).collect();
    pack(&texts)
}
