//! What holds for any bytes that are read as a dump file: they are refused with an offset within them, or every key
//! of them is one that comes back when a file is made of them.

use bobbin_engine::rdb::{Access, Checksum, Compression, FileError, FileReader, FileWriter, Item};
use bobbin_engine::store::Entry;

use super::property::{STRING_LEN_MAX, check_entry, limits, write};

/// A key as it is in a file.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) database: u64,
    pub(crate) access: Option<Access>,
    pub(crate) entry: Entry,
}

impl Key {
    /// All there is to compare.
    pub(crate) fn facts(&self) -> (u64, Option<Access>, Vec<u8>, Option<u64>, Vec<u8>) {
        let value = write(&self.entry, Compression::Off);
        (self.database, self.access, self.entry.key().to_vec(), self.entry.expiry(), value)
    }
}

/// All keys; everything else is passed over.
pub(crate) fn read_file(input: impl std::io::Read, checksum: Checksum) -> Result<Vec<Key>, FileError> {
    let mut file = FileReader::open(input, checksum, STRING_LEN_MAX)?;
    let mut keys = Vec::new();
    while let Some(item) = file.next_item()? {
        if let Item::Key(record) = item {
            let entry = record.entry(&limits())?;
            keys.push(Key { database: record.database, access: record.access, entry });
        }
    }
    Ok(keys)
}

/// A file of these keys.
pub(crate) fn write_file(keys: &[Key], compression: Compression, checksum: Checksum) -> Vec<u8> {
    let mut file = FileWriter::new(Vec::new(), compression, checksum);
    file.fact("redis-ver", b"7.0.15").expect("memory does not fail");
    for of_one in keys.chunk_by(|a, b| a.database == b.database) {
        let expiring = of_one.iter().filter(|key| key.entry.expiry().is_some()).count();
        let sizes = file.database(of_one[0].database, of_one.len() as u64, expiring as u64);
        sizes.expect("memory does not fail");
        of_one.iter().for_each(|key| file.entry(&key.entry, key.access).expect("memory does not fail"));
    }
    file.finish().expect("memory does not fail")
}

/// The property. Says whether the bytes were a file.
pub(crate) fn check_file(input: &[u8]) -> bool {
    let keys = match read_file(input, Checksum::Ignored) {
        Ok(keys) => keys,
        Err(error) => {
            assert!(error.at <= input.len() as u64, "{error}");
            return false;
        }
    };
    keys.iter().for_each(|key| check_entry(&key.entry));
    for compression in [Compression::Off, Compression::On] {
        let file = write_file(&keys, compression, Checksum::Checked);
        let again = read_file(&file[..], Checksum::Checked).expect("what is written can be read");
        // Written member by member, a packed set of integers is an intset when it is read.
        for (key, again) in keys.iter().zip(&again) {
            if (key.entry.encoding(), again.entry.encoding()) != ("listpack", "intset") {
                assert_eq!(key.facts(), again.facts());
            }
        }
        assert_eq!(keys.len(), again.len());
    }
    true
}
