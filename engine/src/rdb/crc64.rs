//! The checksum at the end of payloads and of files.

use std::fmt;

use crc::{CRC_64_REDIS, Crc, Digest, Table};

static CRC64: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// Taken of bytes as they come.
#[derive(Clone)]
pub(super) struct Crc64(Digest<'static, u64, Table<16>>);

impl Crc64 {
    pub(super) fn of(bytes: &[u8]) -> u64 {
        CRC64.checksum(bytes)
    }

    pub(super) fn new() -> Self {
        Self(CRC64.digest())
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn value(self) -> u64 {
        self.0.finalize()
    }
}

impl fmt::Debug for Crc64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crc64({:016x})", self.clone().value())
    }
}
