//! What ZSCAN and its kin share: the cursor and the options.
//!
//! Source: as in redis-server 7.0.15 the cursor is read before the key is looked up, the options only where there is
//! something to scan.

use super::Args;
use super::scan::{parse_cursor, parse_scan_count};
use crate::error::CommandError;
use crate::store::{Case, glob_matches};

const COUNT_DEFAULT: usize = 10;

/// Where a scan of `key cursor [option ...]` is to go on.
pub(super) fn member_cursor(args: Args<'_>) -> Result<u64, CommandError> {
    parse_cursor(args.at(2)).ok_or(CommandError::text("ERR invalid cursor"))
}

/// MATCH and COUNT, and a command's own word.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScanOptions<'a> {
    pattern: Option<&'a [u8]>,
    pub(super) count: usize,
    /// Whether the command's own word was given.
    pub(super) has_flag: bool,
}

impl<'a> ScanOptions<'a> {
    /// The options behind the cursor; `flag` is a word that stands alone.
    pub(super) fn parse(args: Args<'a>, flag: Option<&str>) -> Result<Self, CommandError> {
        let mut options = Self { pattern: None, count: COUNT_DEFAULT, has_flag: false };
        let mut at = 3;
        while at < args.len() {
            at += match (args.get(at + 1), flag) {
                (_, Some(flag)) if args.is(at, flag) => {
                    options.has_flag = true;
                    1
                }
                (Some(count), _) if args.is(at, "count") => {
                    options.count = parse_scan_count(count)?;
                    2
                }
                (Some(pattern), _) if args.is(at, "match") => {
                    options.pattern = (pattern != b"*").then_some(pattern);
                    2
                }
                _ => return Err(CommandError::Syntax),
            };
        }
        Ok(options)
    }

    pub(super) fn matches(self, member: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob_matches(pattern, member, Case::Sensitive))
    }
}
