//! A file being written.

use std::io::{self, Write};
use std::mem;

use super::super::crc64::Crc64;
use super::super::payload::Checksum;
use super::super::{Compression, Sink, ValueType, Writer, type_of, write_value};
use super::{Access, MAGIC, VERSION, VERSION_DIGITS, opcode};
use crate::store::Entry;

/// Bytes gathered before they are handed on.
const GATHERED_MAX: usize = 256 << 10;

/// A dump file of the version that redis-server 7.0 loads. Databases come one after the other, each announced.
///
/// ```text
///  new · fact* · (database · entry*)* · finish
/// ```
#[derive(Debug)]
pub struct FileWriter<W: Write> {
    writer: Writer<Gathered<W>>,
    /// What a reader must know to read all values.
    version_needed: u16,
}

impl<W: Write> FileWriter<W> {
    /// `rdbcompression`, `rdbchecksum`.
    pub fn new(out: W, compression: Compression, checksum: Checksum) -> Self {
        let mut writer = Writer::new(Gathered::new(out, checksum), compression);
        writer.bytes(MAGIC);
        writer.bytes(format!("{VERSION:0VERSION_DIGITS$}").as_bytes());
        Self { writer, version_needed: VERSION }
    }

    /// Something to know about the server: `redis-ver`, `ctime`.
    pub fn fact(&mut self, name: &str, value: &[u8]) -> io::Result<()> {
        self.writer.byte(opcode::FACT);
        self.writer.string(name.as_bytes());
        self.writer.string(value);
        self.failure()
    }

    /// The keys that follow are in this database: about so many, of which so many expire.
    pub fn database(&mut self, number: u64, keys: u64, expiring: u64) -> io::Result<()> {
        self.writer.byte(opcode::DATABASE);
        self.writer.length(number);
        self.writer.byte(opcode::SIZES);
        self.writer.length(keys);
        self.writer.length(expiring);
        self.failure()
    }

    pub fn entry(&mut self, entry: &Entry, access: Option<Access>) -> io::Result<()> {
        let value_type = type_of(entry.value());
        self.head(entry.key(), value_type, entry.expiry(), access);
        write_value(&mut self.writer, entry.value());
        self.failure()
    }

    /// What comes before the value.
    fn head(&mut self, key: &[u8], value_type: ValueType, expiry_ms: Option<u64>, access: Option<Access>) {
        if let Some(expiry_ms) = expiry_ms {
            self.writer.byte(opcode::EXPIRES_MS);
            self.writer.millis(expiry_ms);
        }
        match access {
            Some(Access::IdleSecs(secs)) => {
                self.writer.byte(opcode::IDLE);
                self.writer.length(secs);
            }
            Some(Access::Frequency(frequency)) => self.writer.bytes(&[opcode::FREQUENCY, frequency]),
            None => {}
        }
        self.writer.byte(value_type.number());
        self.writer.string(key);
        self.version_needed = self.version_needed.max(value_type.version());
    }

    /// The version whose types a reader of the file must know: above 10 if there are hashes whose fields expire,
    /// which redis-server knows from 7.4 on.
    pub fn version_needed(&self) -> u16 {
        self.version_needed
    }

    /// Writes the end. Making the file durable is the caller's.
    pub fn finish(mut self) -> io::Result<W> {
        self.writer.byte(opcode::END);
        let mut gathered = self.writer.into_sink();
        gathered.hand_on();
        let checksum = gathered.checksum.take().map_or(0, Crc64::value);
        gathered.put(&checksum.to_le_bytes());
        gathered.hand_on();
        gathered.failure()?;
        gathered.out.flush()?;
        Ok(gathered.out)
    }

    fn failure(&mut self) -> io::Result<()> {
        self.writer.sink_mut().failure()
    }
}

/// Bytes on their way out. Nothing is written after a failure: what follows it would be taken for whole.
#[derive(Debug)]
struct Gathered<W> {
    out: W,
    bytes: Vec<u8>,
    checksum: Option<Crc64>,
    failure: Option<io::Error>,
    has_failed: bool,
}

impl<W: Write> Gathered<W> {
    fn new(out: W, checksum: Checksum) -> Self {
        let checksum = (checksum == Checksum::Checked).then(Crc64::new);
        Self { out, bytes: Vec::with_capacity(GATHERED_MAX), checksum, failure: None, has_failed: false }
    }

    fn hand_on(&mut self) {
        let bytes = mem::take(&mut self.bytes);
        self.write(&bytes);
        self.bytes = bytes;
        self.bytes.clear();
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.has_failed {
            return;
        }
        if let Some(checksum) = &mut self.checksum {
            checksum.update(bytes);
        }
        if let Err(error) = self.out.write_all(bytes) {
            self.failure = Some(error);
            self.has_failed = true;
        }
    }

    /// The first failure as it was, and that there was one from then on.
    fn failure(&mut self) -> io::Result<()> {
        match self.failure.take() {
            Some(failure) => Err(failure),
            None if self.has_failed => Err(io::Error::other("the file could not be written")),
            None => Ok(()),
        }
    }
}

impl<W: Write> Sink for Gathered<W> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        if self.bytes.len() + bytes.len() > GATHERED_MAX {
            self.hand_on();
            if bytes.len() > GATHERED_MAX {
                return self.write(bytes);
            }
        }
        self.bytes.extend_from_slice(bytes);
    }
}
