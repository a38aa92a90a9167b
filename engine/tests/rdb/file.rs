//! Dump files: whatever is in them is read or refused, and what is written comes back.

use std::io::{self, Read, Write};

use bobbin_engine::rdb::{Access, Cause, Checksum, Compression, Error, FileReader, FileWriter, Item};
use bobbin_engine::store::Entry;
use proptest::prelude::*;

use crate::{config, property, samples, text};

#[path = "../properties/rdb_file.rs"]
mod file_property;

use file_property::{Key, check_file, read_file, write_file};
use property::STRING_LEN_MAX;

/// One key of each type and form over three databases, some with deadlines, some that say how they were used.
fn keys() -> Vec<Key> {
    let make = |(nth, (bytes, _)): (usize, (Vec<u8>, &str))| {
        let expiry_ms = (nth % 3 == 1).then_some(4_000_000_000_000 + nth as u64);
        let key = format!("key {nth}");
        let entry = with_expiry(&property::read(&bytes).expect("a value"), key.as_bytes(), expiry_ms);
        let access = match nth % 4 {
            1 => Some(Access::IdleSecs(70_000)),
            2 => Some(Access::Frequency(nth as u8)),
            _ => None,
        };
        Key { database: nth as u64 / 15, access, entry }
    };
    samples().into_iter().enumerate().map(make).collect()
}

fn with_expiry(entry: &Entry, key: &[u8], expiry_ms: Option<u64>) -> Entry {
    let payload = property::write(entry, Compression::Off);
    let value_type = bobbin_engine::rdb::ValueType::from_number(payload[0]).expect("a type");
    let mut reader = bobbin_engine::rdb::Reader::new(&payload[1..], STRING_LEN_MAX);
    bobbin_engine::rdb::read_entry(&mut reader, value_type, key, expiry_ms, &property::limits())
        .expect("a value")
}

fn facts(keys: &[Key]) -> Vec<impl PartialEq + std::fmt::Debug + use<>> {
    keys.iter().map(Key::facts).collect()
}

/// Magic, version, what is between, the end and no checksum.
fn unsealed(version: &str, between: &[u8]) -> Vec<u8> {
    [b"REDIS", version.as_bytes(), between, &[0xFF], &[0; 8]].concat()
}

fn cause(bytes: &[u8]) -> (u64, Cause) {
    let error = read_file(bytes, Checksum::Checked).expect_err("it is to be refused");
    (error.at, error.cause)
}

/// A source that gives little at a time, and is interrupted.
struct Dripping<'a>(&'a [u8], usize);

impl Read for Dripping<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.1 += 1;
        if self.1.is_multiple_of(3) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = (self.1 % 7 + 1).min(self.0.len()).min(buf.len());
        let (now, later) = self.0.split_at(len);
        buf[..len].copy_from_slice(now);
        self.0 = later;
        Ok(len)
    }
}

#[test]
fn every_type_comes_back() {
    let keys = keys();
    for compression in [Compression::Off, Compression::On] {
        for checksum in [Checksum::Checked, Checksum::Ignored] {
            let file = write_file(&keys, compression, checksum);
            assert_eq!(facts(&read_file(&file[..], Checksum::Checked).expect("a file")), facts(&keys));
            let dripping = Dripping(&file, 0);
            assert_eq!(facts(&read_file(dripping, Checksum::Checked).expect("a file")), facts(&keys));
        }
    }
}

/// Values of many windows, and keys that straddle their edges.
#[test]
fn large_values_and_many_keys_come_back() {
    let large = |nth: usize| (0..nth).flat_map(|n| (n as u32).to_le_bytes()).collect::<Vec<u8>>();
    let lens = (0..20).map(|nth| 1 << nth).chain((0..4000).map(|nth| nth % 700)).map(|len| len / 4);
    let keys: Vec<Key> = lens
        .enumerate()
        .map(|(nth, len)| {
            let entry = Entry::string(format!("key {nth}").as_bytes(), &large(len), None);
            Key { database: 0, access: None, entry }
        })
        .collect();
    let file = write_file(&keys, Compression::Off, Checksum::Checked);
    assert!(file.len() > 2 << 20);
    assert_eq!(facts(&read_file(&file[..], Checksum::Checked).expect("a file")), facts(&keys));
}

#[test]
fn what_is_cut_short_is_refused_where_it_ends() {
    let file = write_file(&keys(), Compression::On, Checksum::Checked);
    for len in 0..file.len() {
        let (at, cause) = cause(&file[..len]);
        assert!(matches!(cause, Cause::Value(Error::Truncated)), "{len}: {cause}");
        assert!(at <= len as u64);
    }
}

#[test]
fn every_damaged_byte_is_noticed() {
    let file = write_file(&keys(), Compression::On, Checksum::Checked);
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << bit;
            assert!(read_file(&damaged[..], Checksum::Checked).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn what_stands_beside_keys_is_told() {
    let module = b"\xf7\x81\x3f\x5a\x1b\xc3\x40\x00\x00\x07\x02\x02\x01\x05\x02\x80\0\0\0\x09\x03abcd\x04abcdefgh\x05\x03abc\x00";
    let between = [
        &b"\xfa\x03bit\xc0\x40\xf5\x07library\xf4\x01\x02\x00"[..],
        module,
        b"\xfe\x03\xfb\x05\x01\xfd\x0a\0\0\0\x00\x01a\x01x",
        b"\xf8\x09\xfc\x0b\0\0\0\0\0\0\0\x00\x01b\xc0\x07\xf9\xff\x00\x01c\x01z",
    ]
    .concat();
    let file = unsealed("0012", &between);
    let mut reader = FileReader::open(&file[..], Checksum::Checked, STRING_LEN_MAX).expect("a file");
    let mut told = Vec::new();
    while let Some(item) = reader.next_item().expect("an item") {
        told.push(match item {
            Item::Fact { name, value } => format!("{} {}", name.escape_ascii(), value.escape_ascii()),
            Item::Sizes { database, keys, expiring } => format!("{database} has {keys}, {expiring}"),
            Item::Functions { source } => source.escape_ascii().to_string(),
            Item::Module { name } => name,
            Item::Key(record) => format!(
                "{} {} {:?} {:?}",
                record.database,
                record.key.escape_ascii(),
                record.expiry_ms,
                record.access
            ),
        });
    }
    let expected = [
        "bit 64",
        "library",
        "P1obw0AAA",
        "3 has 5, 1",
        "3 a Some(10000) None",
        "3 b Some(11) Some(IdleSecs(9))",
        "3 c None Some(Frequency(255))",
    ];
    assert_eq!(told, expected);
    assert_eq!(reader.offset(), file.len() as u64);
}

#[test]
fn what_is_no_dump_file_is_refused_with_a_reason() {
    let of = |bytes: &[u8]| {
        let (at, cause) = cause(bytes);
        format!("{at} {cause}")
    };
    assert_eq!(
        of(b"*1\r\n$4\r\nPING\r\n"),
        "5 this is no dump file: it does not begin with REDIS and a version"
    );
    assert!(of(b"REDIS00x0").starts_with("9 this is no dump file"));
    assert!(of(b"REDIS+010").starts_with("9 this is no dump file"));
    assert_eq!(of(&unsealed("0013", b"")), "9 the file is of version 13; the latest that is known is 12");
    assert!(of(&unsealed("0000", b"")).contains("version 0;"));
    assert_eq!(of(&unsealed("0010", b"\x1a")), "10 26 is the type of no value, and begins nothing else");
    assert!(of(&unsealed("0010", b"\xf6")).contains("was not released"));
    assert_eq!(
        of(&unsealed("0010", b"\x07\x01k\x81\x3f\x5a\x1b\xc3\x40\x00\x00\x07")),
        "21 the key k has a value that only the module P1obw0AAA understands"
    );
    assert!(of(&unsealed("0010", b"\xf7\x01\x06")).contains("a module's piece of no known kind"));
    assert_eq!(
        of(&[unsealed("0010", b""), b"*1\r\n".to_vec()].concat()),
        "18 more follows behind the end; is this an append-only file with a dump in front?"
    );
    let mut sealed = unsealed("0010", b"");
    sealed[10] = 1;
    assert!(
        of(&sealed).starts_with("18 the checksum of the file is 0000000000000001, and that of its bytes ")
    );
    assert!(read_file(&sealed[..], Checksum::Ignored).is_ok());
}

/// They are signed, and the older form has no word for never. Which keys redis-server 7.0.15 loads of this file, and
/// which it finds over, was looked at.
#[test]
fn deadlines_before_the_epoch_are_over() {
    let between = [
        &b"\xfc\xff\xff\xff\xff\xff\xff\xff\xff\x00\x01a\x01x"[..],
        b"\xfc\xfe\xff\xff\xff\xff\xff\xff\xff\x00\x01b\x01x",
        b"\xfd\xff\xff\xff\xff\x00\x01c\x01x",
        b"\xfd\xff\xff\xff\x7f\x00\x01d\x01x",
        b"\xfc\xff\xff\xff\xff\xff\xff\xff\x7f\x00\x01e\x01x",
    ]
    .concat();
    let keys = read_file(&unsealed("0010", &between)[..], Checksum::Checked).expect("a file");
    let deadlines: Vec<_> = keys.iter().map(|key| key.entry.expiry()).collect();
    let last = i64::MAX.cast_unsigned();
    assert_eq!(deadlines, [None, Some(0), Some(0), Some(i32::MAX as u64 * 1000), Some(last)]);
}

/// Files up to version 4 have no checksum.
#[test]
fn old_files_end_without_a_checksum() {
    assert_eq!(read_file(&b"REDIS0004\x00\x01k\x01v\xff"[..], Checksum::Checked).expect("a file").len(), 1);
    assert!(matches!(cause(b"REDIS0005\x00\x01k\x01v\xff").1, Cause::Value(Error::Truncated)));
}

/// It is known by its length: none of its bytes is asked for, and none is here.
#[test]
fn a_key_of_4_gib_is_refused_where_it_begins() {
    let refused = |key: &[u8]| {
        let bytes = unsealed("0010", &[b"\x00", key].concat());
        let mut file = FileReader::open(&bytes[..], Checksum::Checked, usize::MAX).expect("a file");
        let error = file.next_item().expect_err("it is too long");
        error.to_string()
    };
    let text = "a key of 4294967296 bytes, of which there may be 4294967295";
    assert_eq!(refused(b"\x81\0\0\0\x01\0\0\0\0"), format!("at byte 19: {text}"));
    assert_eq!(refused(b"\xc3\x05\x81\0\0\0\x01\0\0\0\0"), format!("at byte 21: {text}"));
    assert_eq!(refused(b"\x80\xff\xff\xff\xff"), "at byte 15: the bytes end before the value does");
}

/// A few bytes that claim hundreds of millions.
#[test]
fn claims_are_not_believed() {
    let claims: [&[u8]; 5] = [
        b"\x00\x80\x1f\xff\xff\xff",
        b"\x00\x01k\x80\x00\x0f\xff\xff",
        b"\x00\x01k\x81\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x01\x01k\x81\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xfa\x01k\x80\xff\xff\xff\xff",
    ];
    for claim in claims {
        assert!(matches!(cause(&unsealed("0010", claim)).1, Cause::Value(_)));
    }
}

/// What a value is refused for has its place in the file.
#[test]
fn a_value_that_is_none_is_refused_where_it_is() {
    let (at, cause) = cause(&unsealed("0010", b"\x02\x01k\x02\x01a\x01a"));
    assert_eq!(cause.to_string(), "a member that is there twice");
    assert_eq!(at, 17);
}

/// An output that takes so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Also if it is asked for again.
#[test]
fn a_file_that_could_not_be_written_is_never_finished() {
    let large = Entry::string(b"k", &vec![0; 1 << 20], None);
    let mut file = FileWriter::new(Full(100), Compression::Off, Checksum::Checked);
    assert_eq!(file.entry(&large, None).map_err(|error| error.kind()), Err(io::ErrorKind::StorageFull));
    assert!(file.fact("a", b"b").is_err());
    assert!(file.finish().is_err());
    let file = FileWriter::new(Full(10), Compression::Off, Checksum::Checked);
    assert_eq!(file.finish().map(|_| ()).map_err(|error| error.kind()), Err(io::ErrorKind::StorageFull));
}

#[test]
fn a_file_says_what_its_readers_must_know() {
    let mut file = FileWriter::new(Vec::new(), Compression::Off, Checksum::Checked);
    file.entry(&Entry::string(b"k", b"v", None), None).expect("memory does not fail");
    assert_eq!(file.version_needed(), 10);
    let expiring = keys().into_iter().find(|key| key.entry.encoding() == "listpackex").expect("a sample");
    file.entry(&expiring.entry, None).expect("memory does not fail");
    assert_eq!(file.version_needed(), 12);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..config() })]

    #[test]
    fn any_damage_is_refused_or_makes_another_file(
        damage in prop::collection::vec((any::<usize>(), any::<u8>()), 1..5),
        cut in any::<usize>(),
    ) {
        let mut file = write_file(&keys()[..20], Compression::Off, Checksum::Ignored);
        for (at, byte) in damage {
            let at = at % file.len();
            file[at] = byte;
        }
        check_file(&file);
        check_file(&file[..cut % file.len()]);
    }

    #[test]
    fn any_bytes_are_refused_or_a_file(items in prop::collection::vec((0xF4..=0xFEu8, any::<[u8; 4]>()), 0..6)) {
        let items: Vec<u8> = items.iter().flat_map(|(first, more)| [&[*first][..], more].concat()).collect();
        check_file(&unsealed("0011", &[&items, &text(b"")[..]].concat()));
    }
}
