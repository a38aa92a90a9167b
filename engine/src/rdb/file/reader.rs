//! A file being read: its items, one after the other.

use std::io::Read;

use super::super::payload::{Checksum, VERSION_MAX};
use super::super::skim::{self, Pieces as _};
use super::super::{Limits, Reader, Scratch, ValueType, read_entry};
use super::window::Window;
use super::{Access, Cause, FileError, MAGIC, VERSION_DIGITS, VERSION_WITH_CHECKSUM, opcode};
use crate::store::Entry;

/// What a file is made of.
#[derive(Debug)]
pub enum Item<'a> {
    /// A fact about the server that wrote the file.
    Fact {
        name: &'a [u8],
        value: &'a [u8],
    },
    /// The database that follows has about so many keys, of which so many expire.
    Sizes {
        database: u64,
        keys: u64,
        expiring: u64,
    },
    Key(Record<'a>),
    /// A library of functions, which is passed over.
    Functions {
        source: &'a [u8],
    },
    /// What a module keeps beside its keys, which is passed over.
    Module {
        name: String,
    },
}

/// A key with its value, as bytes.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub database: u64,
    pub key: &'a [u8],
    /// Unix milliseconds.
    pub expiry_ms: Option<u64>,
    pub access: Option<Access>,
    pub value_type: ValueType,
    pub value: &'a [u8],
    /// Where in the file the value begins.
    pub at: u64,
    string_len_max: usize,
}

impl Record<'_> {
    /// Reads the value.
    pub fn entry(&self, limits: &Limits) -> Result<Entry, FileError> {
        let mut reader = Reader::new(self.value, self.string_len_max);
        let entry = read_entry(&mut reader, self.value_type, self.key, self.expiry_ms, limits);
        let at = self.at + (self.value.len() - reader.rest().len()) as u64;
        entry.map_err(|error| FileError { at, cause: error.into() })
    }
}

#[derive(Debug)]
pub struct FileReader<R> {
    window: Window<R>,
    version: u16,
    database: u64,
    is_over: bool,
    key: Scratch,
    value: Scratch,
}

/// An item that is in the window or in the reader's own buffers.
#[derive(Clone, Copy)]
enum Found {
    Fact,
    Sizes { keys: u64, expiring: u64 },
    Key { expiry_ms: Option<u64>, access: Option<Access>, value_type: ValueType, value_from: usize },
    Functions,
    Module(u64),
}

impl<R: Read> FileReader<R> {
    /// Reads the version. Strings beyond `string_len_max` bytes will be refused.
    pub fn open(source: R, checksum: Checksum, string_len_max: usize) -> Result<Self, FileError> {
        let mut window = Window::new(source, checksum, string_len_max);
        let version = version(&mut window).map_err(|cause| FileError { at: window.offset(), cause })?;
        let (key, value) = (Scratch::new(), Scratch::new());
        Ok(Self { window, version, database: 0, is_over: false, key, value })
    }

    pub fn version(&self) -> u16 {
        self.version
    }

    /// How much has been read, in bytes.
    pub fn offset(&self) -> u64 {
        self.window.offset()
    }

    /// The next item; `None` once the end is reached and the checksum is right.
    pub fn next_item(&mut self) -> Result<Option<Item<'_>>, FileError> {
        if self.is_over {
            return Ok(None);
        }
        match self.find() {
            Ok(found) => {
                self.is_over = found.is_none();
                Ok(found.map(|found| self.item(found)))
            }
            Err(cause) => Err(FileError { at: self.window.offset(), cause }),
        }
    }

    fn find(&mut self) -> Result<Option<Found>, Cause> {
        self.window.release();
        let (mut expiry_ms, mut access) = (None, None);
        loop {
            let [first] = self.window.array()?;
            match first {
                opcode::EXPIRES_MS => {
                    let at_ms = i64::from_le_bytes(self.window.array()?);
                    expiry_ms = (at_ms != NO_EXPIRY).then_some(since_epoch(at_ms));
                }
                opcode::EXPIRES_SECS => {
                    let at_secs = i32::from_le_bytes(self.window.array()?);
                    expiry_ms = Some(since_epoch(i64::from(at_secs) * 1000));
                }
                opcode::IDLE => access = Some(Access::IdleSecs(self.window.length()?)),
                opcode::FREQUENCY => access = Some(Access::Frequency(self.window.array::<1>()?[0])),
                opcode::DATABASE => self.database = self.window.length()?,
                opcode::SLOT_INFO => {
                    // Slot, keys in it, of which so many expire: what a cluster makes room by.
                    (0..3).try_for_each(|_| self.window.length().map(|_| ()))?;
                }
                opcode::END => return self.end().map(|()| None),
                opcode::FACT | opcode::SIZES | opcode::FUNCTIONS | opcode::MODULE => {
                    return self.beside_keys(first).map(Some);
                }
                opcode::FUNCTIONS_UNRELEASED => return Err(Cause::UnreleasedFunctions),
                number => return self.find_key(number, expiry_ms, access).map(Some),
            }
        }
    }

    fn beside_keys(&mut self, first: u8) -> Result<Found, Cause> {
        Ok(match first {
            opcode::FACT => {
                keep_string(&mut self.window, &mut self.key)?;
                keep_string(&mut self.window, &mut self.value)?;
                Found::Fact
            }
            opcode::SIZES => Found::Sizes { keys: self.window.length()?, expiring: self.window.length()? },
            opcode::FUNCTIONS => {
                keep_string(&mut self.window, &mut self.value)?;
                Found::Functions
            }
            _ => {
                let module = self.window.length()?;
                skip_module_pieces(&mut self.window)?;
                Found::Module(module)
            }
        })
    }

    fn find_key(
        &mut self,
        number: u8,
        expiry_ms: Option<u64>,
        access: Option<Access>,
    ) -> Result<Found, Cause> {
        let value_type = match ValueType::from_number(number) {
            Some(value_type) => value_type,
            None if matches!(number, MODULE_VALUE_OLD | MODULE_VALUE) => return Err(self.module_value()?),
            None => return Err(Cause::Opcode(number)),
        };
        keep(&mut self.window, KEY_LEN_MAX, &mut self.key)?;
        let value_from = self.window.used();
        skim::skip_value(&mut self.window, value_type)?;
        Ok(Found::Key { expiry_ms, access, value_type, value_from })
    }

    fn module_value(&mut self) -> Result<Cause, Cause> {
        keep(&mut self.window, KEY_LEN_MAX, &mut self.key)?;
        let module = module_name(self.window.length()?);
        Ok(Cause::ModuleValue { key: self.key.clone(), module })
    }

    fn end(&mut self) -> Result<(), Cause> {
        if self.version >= VERSION_WITH_CHECKSUM {
            let actual = self.window.checksum();
            let expected = u64::from_le_bytes(self.window.array()?);
            if let Some(actual) = actual.filter(|&actual| expected != NO_CHECKSUM && actual != expected) {
                return Err(Cause::Checksum { expected, actual });
            }
        }
        if self.window.is_at_end()? { Ok(()) } else { Err(Cause::Trailing) }
    }

    fn item(&self, found: Found) -> Item<'_> {
        match found {
            Found::Fact => Item::Fact { name: &self.key, value: &self.value },
            Found::Sizes { keys, expiring } => Item::Sizes { database: self.database, keys, expiring },
            Found::Functions => Item::Functions { source: &self.value },
            Found::Module(id) => Item::Module { name: module_name(id) },
            Found::Key { expiry_ms, access, value_type, value_from } => {
                let value = self.window.in_use(value_from);
                Item::Key(Record {
                    database: self.database,
                    key: &self.key,
                    expiry_ms,
                    access,
                    value_type,
                    value,
                    at: self.window.offset() - value.len() as u64,
                    string_len_max: self.window.string_len_max(),
                })
            }
        }
    }
}

/// In place of a deadline in milliseconds. Source: redis-server 7.0.15.
const NO_EXPIRY: i64 = -1;

/// What is over before time began is over.
fn since_epoch(at_ms: i64) -> u64 {
    at_ms.max(0).cast_unsigned()
}

/// A longer key fits into no entry.
const KEY_LEN_MAX: u64 = u32::MAX as u64;

/// In place of a checksum, where `rdbchecksum` was off.
const NO_CHECKSUM: u64 = 0;

/// The types of values that modules have; those of the older one do not say where they end.
const MODULE_VALUE_OLD: u8 = 6;
const MODULE_VALUE: u8 = 7;

fn version<R: Read>(window: &mut Window<R>) -> Result<u16, Cause> {
    if window.array::<{ MAGIC.len() }>()? != *MAGIC {
        return Err(Cause::Magic);
    }
    let digits: [u8; VERSION_DIGITS] = window.array()?;
    let version = str::from_utf8(&digits).ok().filter(|_| digits.iter().all(u8::is_ascii_digit));
    match version.and_then(|digits| digits.parse().ok()).ok_or(Cause::Magic)? {
        version @ 1..=VERSION_MAX => Ok(version),
        version => Err(Cause::Version(version)),
    }
}

fn keep_string<R: Read>(window: &mut Window<R>, kept: &mut Scratch) -> Result<(), Cause> {
    keep(window, u64::MAX, kept)
}

fn keep<R: Read>(window: &mut Window<R>, len_max: u64, kept: &mut Scratch) -> Result<(), Cause> {
    let mut scratch = Scratch::new();
    let bytes = window.string(len_max, &mut scratch)?;
    kept.clear();
    kept.extend_from_slice(bytes);
    Ok(())
}

/// What a module has written, piece by piece, to the end.
fn skip_module_pieces<R: Read>(window: &mut Window<R>) -> Result<(), Cause> {
    const END: u64 = 0;
    const SIGNED: u64 = 1;
    const UNSIGNED: u64 = 2;
    const FLOAT: u64 = 3;
    const DOUBLE: u64 = 4;
    const STRING: u64 = 5;
    loop {
        match window.length()? {
            END => return Ok(()),
            SIGNED | UNSIGNED => window.length().map(|_| ())?,
            FLOAT => window.skip(size_of::<f32>() as u64)?,
            DOUBLE => window.skip(size_of::<f64>() as u64)?,
            STRING => skim::skip_string(window)?,
            _ => return Err(super::super::Error::Malformed("a module's piece of no known kind").into()),
        }
    }
}

/// Nine characters of six bits, and ten bits for a version.
fn module_name(id: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..9).rev().map(|nth| char::from(LETTERS[(id >> (10 + 6 * nth)) as usize % LETTERS.len()])).collect()
}
