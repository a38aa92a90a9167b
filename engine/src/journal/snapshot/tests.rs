use std::fs::File;
use std::io::Write as _;

use proptest::prelude::*;

use super::super::DiskFile as _;
use super::*;
use crate::config::Config;
use crate::rdb::{Compression, Limits, Writer, write_newest};
use crate::store::encoding::quicklist::End;
use crate::store::{Entry, List};

fn limits() -> Limits {
    Config::default().value_limits(&mut fastrand::Rng::with_seed(1))
}

const HEAD: SnapshotHead = SnapshotHead { stamp: Stamp(1234), made_ms: 1_700_000_000_000, clock: Clock::Lru };

/// A database, a key and its access clock.
type Given = (u32, Entry, Option<u32>);

fn given() -> Vec<Given> {
    let mut list = List::with_room_for(b"");
    list.push(End::Back, [&b"one"[..], b"2"].into_iter(), limits().list);
    vec![
        (0, Entry::string(b"a", b"text", None), None),
        (0, Entry::integer(b"", 12, Some(1_800_000_000_000)), Some(0x00AB_CDEF)),
        (3, Entry::with_object(b"list", list.into(), Some(1)), Some(0)),
        (3, Entry::string(b"large", &[b'x'; 5000], None), None),
    ]
}

/// Like fields are in like chunks; a chunk is full at two.
fn bytes_of(given: &[Given]) -> Vec<u8> {
    written(given, None)
}

/// The same with chunks compressed where that gains anything.
fn packed_bytes_of(given: &[Given]) -> Vec<u8> {
    written(given, Some(Packer::default()))
}

fn written(given: &[Given], mut packer: Option<Packer>) -> Vec<u8> {
    let (mut bytes, mut totals, mut chunk) = (HEAD.bytes(), Totals::default(), Chunk::new(0));
    for keys in given.chunk_by(|a, b| a.0 == b.0).flat_map(|keys| keys.chunks(2)) {
        chunk.restart(keys[0].0);
        keys.iter().for_each(|(_, entry, access)| chunk.push(entry, *access));
        bytes.extend_from_slice(match &mut packer {
            Some(packer) => chunk.seal_packed(packer),
            None => chunk.seal(),
        });
        totals.add(chunk.tally());
    }
    bytes.extend(totals.footer());
    bytes
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("there is room");
    file
}

fn facts(database: u32, entry: &Entry, access: Option<u32>) -> String {
    format!("{database} {} {:?} {access:?} {:?}", entry.key().escape_ascii(), entry.expiry(), entry.value())
}

/// Every key of every chunk.
fn read(bytes: &[u8]) -> Result<Vec<String>, SnapshotError> {
    let snapshot = Snapshot::open(file_of(bytes))?;
    let (mut buffer, mut all) = (Vec::new(), Vec::new());
    for chunk in snapshot.chunks() {
        for key in snapshot.keys(*chunk, &mut buffer)? {
            let key = key?;
            let entry = key.entry(&limits()).expect("a value");
            assert_eq!(entry.access(), key.access.unwrap_or_default());
            all.push(facts(key.database, &entry, key.access));
        }
    }
    Ok(all)
}

#[test]
fn keys_come_back() {
    let given = given();
    let expected: Vec<String> =
        given.iter().map(|(database, entry, access)| facts(*database, entry, *access)).collect();
    for (bytes, packed) in [(bytes_of(&given), [false, false]), (packed_bytes_of(&given), [false, true])] {
        assert_eq!(read(&bytes).expect("a snapshot"), expected);
        let snapshot = Snapshot::open(file_of(&bytes)).expect("a snapshot");
        assert_eq!(snapshot.head(), HEAD);
        let tally = |database, keys, expiring| Tally { database, keys, expiring };
        assert_eq!(snapshot.tallies(), [tally(0, 2, 1), tally(3, 2, 1)]);
        assert!(snapshot.chunks().iter().map(|chunk| chunk.is_packed).eq(packed));
    }
    assert!(bytes_of(&given).len() > packed_bytes_of(&given).len() + 4000);
}

/// Version 1 compressed strings, each by itself, and no chunks.
#[test]
fn the_first_version_is_read() {
    let entry = Entry::string(b"large", &[b'x'; 5000], None);
    let mut writer = Writer::new(b"\x00\x05large\x00".to_vec(), Compression::On);
    write_newest(&mut writer, entry.value());
    let mut chunk = [&[0; CHUNK_HEADER_LEN][..], &writer.into_sink()].concat();
    assert!(chunk.len() < 100);
    writer::seal(&mut chunk, KIND_KEYS, 0, 1);
    let mut header = HEAD.bytes();
    header[8] = 1;
    let sealed = header.len() - 4;
    let checksum = crc32c::crc32c(&header[..sealed]);
    header[sealed..].copy_from_slice(&checksum.to_le_bytes());
    let mut totals = Totals::default();
    totals.add(Tally { database: 0, keys: 1, expiring: 0 });
    let bytes = [header, chunk, totals.footer()].concat();
    assert_eq!(read(&bytes).expect("a snapshot"), [facts(0, &entry, None)]);
}

#[test]
fn what_gains_little_stays_as_it_is() {
    let mut packer = Packer::default();
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(80_000).collect();
    for (same, is_packed) in [(0, false), (8_000, false), (14_000, true), (80_000, true)] {
        let mut chunk = Chunk::new(0);
        chunk.push(&Entry::bytes(b"noise", &noise[same..], None), None);
        chunk.push(&Entry::bytes(b"same", &vec![b'x'; same], None), None);
        let whole = chunk.seal().len();
        let len = chunk.seal_packed(&mut packer).len();
        assert_eq!(len < whole, is_packed, "{len} of {whole}");
        assert!(!is_packed || len <= whole - whole / 8 + 100, "{len} of {whole}");
    }
}

/// Lengths that no such block can come to take no memory.
#[test]
fn what_cannot_be_unpacked_is_refused() {
    let mut packer = Packer::default();
    let keys = [b'x'; 10_000];
    let payload = packer.pack(&keys).expect("it is all the same")[CHUNK_HEADER_LEN..].to_vec();
    assert_eq!(pack::unpack(&payload).expect("a block"), keys);
    let (_, block) = payload.split_at(8);
    for len in [0, 1, 9_999, 10_001, 1 << 26, 1 << 40, u64::MAX] {
        assert!(pack::unpack(&[&len.to_le_bytes(), block].concat()).is_none(), "{len}");
    }
    for len in 0..payload.len() {
        assert!(pack::unpack(&payload[..len]).is_none(), "{len}");
    }
    assert!(packer.pack(&vec![0; pack::PACKED_MAX + 1]).is_none());
}

/// The checksum is right, and the keys are none: it is said of the chunk, which is where the file has them.
#[test]
fn a_packed_chunk_of_no_keys_is_refused() {
    let mut packer = Packer::default();
    let packed = packer.pack(&[0xFF; 1000]).expect("it is all the same");
    writer::seal(packed, KIND_PACKED, 0, 1);
    let mut totals = Totals::default();
    totals.add(Tally { database: 0, keys: 1, expiring: 0 });
    let bytes = [HEAD.bytes(), packed.to_vec(), totals.footer()].concat();
    let error = read(&bytes).expect_err("it is no run of keys");
    assert_eq!(
        (error.at(), error.to_string().as_str()),
        (SnapshotHead::LEN, "a chunk that is no run of keys")
    );
}

#[test]
fn nothing_is_a_snapshot_too() {
    assert!(read(&bytes_of(&[])).expect("a snapshot").is_empty());
}

#[test]
fn a_chunk_is_full_at_its_size() {
    let mut chunk = Chunk::new(0);
    let entry = Entry::string(b"k", &[b'x'; 1000], None);
    while !chunk.is_full() {
        chunk.push(&entry, None);
    }
    assert!((1000..1 << 11).contains(&chunk.tally().keys));
    assert!(chunk.seal().len() < CHUNK_BYTES + 2000);
    chunk.restart(1);
    assert!(chunk.is_empty() && !chunk.is_full());
}

#[test]
fn what_is_cut_short_is_not_whole() {
    let bytes = packed_bytes_of(&given());
    for len in 0..bytes.len() {
        assert!(Snapshot::open(file_of(&bytes[..len])).is_err(), "{len}");
    }
    assert!(Snapshot::open(file_of(&[&bytes[..], b"\0"].concat())).is_err());
}

#[test]
fn every_damaged_byte_is_noticed() {
    let (plain, packed) = (bytes_of(&given()), packed_bytes_of(&given()));
    for (bytes, at) in
        [&plain, &packed].into_iter().flat_map(|bytes| (0..bytes.len()).map(move |at| (bytes, at)))
    {
        let file = file_of(bytes);
        file.write_all_at(&[bytes[at] ^ 1 << (at % 8)], at as u64).expect("there is room");
        let snapshot = Snapshot::open(file);
        let mut buffer = Vec::new();
        let is_noticed = snapshot.is_ok_and(|snapshot| {
            snapshot.chunks().iter().all(|chunk| snapshot.keys(*chunk, &mut buffer).is_ok())
        });
        assert!(!is_noticed, "byte {at}");
    }
}

/// Checksums are no defence against a chunk that is left out whole.
#[test]
fn a_chunk_that_is_missing_is_noticed() {
    let bytes = bytes_of(&given());
    let snapshot = Snapshot::open(file_of(&bytes)).expect("a snapshot");
    let chunk = snapshot.chunks()[0];
    let without = [&bytes[..chunk.at as usize], &bytes[(chunk.at + chunk.len) as usize..]].concat();
    let error = Snapshot::open(file_of(&without)).expect_err("a chunk is missing");
    assert!(error.to_string().contains("other chunks than there are"), "{error}");
}

/// As often as it has to be there, but for the wrong database.
#[test]
fn a_footer_that_names_a_database_twice_is_refused() {
    let mut bytes = bytes_of(&given());
    let tally_at = bytes.len() - COUNT_LEN;
    let footer_at = tally_at - COUNT_LEN - size_of::<u64>() - CHUNK_HEADER_LEN;
    assert_eq!(bytes[tally_at], 3);
    bytes[tally_at] = 0;
    let footer = &mut bytes[footer_at..];
    let checksum = crc32c::crc32c(&footer[KIND..]);
    footer[CHECKSUM..KIND].copy_from_slice(&checksum.to_le_bytes());
    let error = Snapshot::open(file_of(&bytes)).expect_err("there are keys in database 3");
    assert!(error.to_string().contains("other chunks than there are"), "{error}");
}

#[test]
fn what_is_no_run_of_keys_is_refused() {
    for payload in [
        &b"\x04\x01k\x00\x01v"[..],
        b"\x00\x01k\x63\x01v",
        b"\x00\x01k\x00\x02v",
        b"",
        b"\x00\x01k\x00\x01v+",
    ] {
        let chunk = ChunkPlace { at: 0, len: payload.len() as u64, database: 0, keys: 1, is_packed: false };
        let mut keys = Keys::of(payload, chunk);
        assert!(keys.any(|key| key.is_err()), "{}", payload.escape_ascii());
        assert!(keys.next().is_none());
    }
}

proptest! {
    /// As if whoever wrote it had meant it: the checksum is no help here.
    #[test]
    fn any_payload_is_refused_or_read(damage in prop::collection::vec((any::<usize>(), any::<u8>()), 0..4), keys in 0..4u32) {
        let mut chunk = Chunk::new(0);
        given().iter().take(3).for_each(|(_, entry, access)| chunk.push(entry, *access));
        let mut payload = chunk.seal()[CHUNK_HEADER_LEN..].to_vec();
        for (at, byte) in &damage {
            let at = at % payload.len();
            payload[at] = *byte;
        }
        let place = ChunkPlace { at: 100, len: payload.len() as u64, database: 0, keys, is_packed: false };
        for key in Keys::of(&payload, place) {
            match key {
                Ok(key) => drop(key.entry(&limits())),
                Err(error) => prop_assert!((100..=100 + place.len).contains(&error.at())),
            }
        }
    }
}

proptest! {
    /// The same of what is packed: no damage has it take more memory than it says, or panic.
    #[test]
    fn any_block_is_refused_or_unpacked(damage in prop::collection::vec((any::<usize>(), any::<u8>()), 0..4), cut in 0..50usize) {
        let mut packer = Packer::default();
        let keys: Vec<u8> = (0..200u32).flat_map(|n| format!("key:{n:06} and its value").into_bytes()).collect();
        let mut payload = packer.pack(&keys).expect("it has much in common")[CHUNK_HEADER_LEN..].to_vec();
        let len = payload.len();
        damage.iter().for_each(|(at, byte)| payload[at % len] = *byte);
        let unpacked = pack::unpack(&payload[..len - cut]);
        prop_assert!(unpacked.is_none_or(|keys| keys.len() <= 255 * len));
    }
}

#[test]
fn names_are_stamps_in_one_spelling() {
    assert_eq!(stamp_of(&HEAD.name()), Some(HEAD.stamp));
    assert_eq!(HEAD.name(), "snapshot-00000000000000001234");
    assert_eq!(stamp_of("snapshot-1234"), None);
}
