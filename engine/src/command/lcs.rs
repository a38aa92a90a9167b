//! LCS: the longest common subsequence of two strings.
//!
//! ```text
//! the table, row by row: `lens[i][j]` is the length of the answer for the first i bytes of a and j of b
//!        b0 b1 …          a match adds one to the cell up and left; otherwise the larger of up and left
//!     0  0  0
//! a0  0  ·  ·
//! a1  0  ·  ·
//! ```
//! The answer is read from the last corner backwards. Where both ways are equally long Redis steps left, and which
//! answer is given depends on it; so does this.
//!
//! Refused: tables larger than `proto-max-bulk-len`. Time is that of filling the table.
//! Source: replies and errors are those of redis-server 7.0.15.

use bobbin_proto::Reply;

use super::number::integer;
use super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::string::find_bytes;
use super::{Args, Cx};
use crate::error::CommandError;

pub const ROWS: &[Command] = &[command("lcs", -3, flag::READONLY, Group::String, Run::Shard(lcs))
    .keys(&[KeySpec::range(1, 1, 1, key_flag::RO | key_flag::ACCESS)])
    .docs(
        "7.0.0",
        "O(N*M) with strings of N and M bytes",
        "Answers the longest sequence of bytes found in two strings in the same order.",
        "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
    )];

fn lcs(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let a = find_text(cx, args.at(1));
    let b = find_text(cx, args.at(2));
    let (Ok(a), Ok(b)) = (a, b) else {
        return Err(CommandError::text("ERR The specified keys must contain string values"));
    };
    let options = Options::parse(args)?;
    let table = Table::new(&a, &b, cx.env.config.proto_max_bulk_len)?;
    if options.idx {
        options.reply_matches(&table, reply);
    } else if options.len {
        reply.int(table.len().into());
    } else {
        reply.bulk(&table.subsequence());
    }
    Ok(())
}

/// A copy, since the other string is looked up while this one is kept; small beside the table.
fn find_text(cx: &mut Cx<'_>, key: &[u8]) -> Result<Vec<u8>, CommandError> {
    Ok(find_bytes(cx, key, &mut itoa::Buffer::new())?.unwrap_or_default().to_vec())
}

#[derive(Default)]
struct Options {
    len: bool,
    idx: bool,
    with_match_len: bool,
    min_match_len: i64,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut index = 3;
        while index < args.len() {
            if args.is(index, "IDX") {
                options.idx = true;
            } else if args.is(index, "LEN") {
                options.len = true;
            } else if args.is(index, "WITHMATCHLEN") {
                options.with_match_len = true;
            } else if args.is(index, "MINMATCHLEN") && index + 1 < args.len() {
                index += 1;
                options.min_match_len = integer(args.at(index))?;
            } else {
                return Err(CommandError::Syntax);
            }
            index += 1;
        }
        if options.idx && options.len {
            return Err(CommandError::text(
                "ERR If you want both the length and indexes, please just use IDX.",
            ));
        }
        Ok(options)
    }

    fn reply_matches(&self, table: &Table<'_>, reply: &mut Reply<'_>) {
        let mut matches = table.matches();
        matches.retain(|found| found.len as i64 >= self.min_match_len);
        reply.map(2);
        reply.bulk(b"matches");
        reply.array(matches.len());
        for Match { a, b, len } in matches {
            reply.array(if self.with_match_len { 3 } else { 2 });
            for start in [a, b] {
                reply.array(2);
                reply.int(start as i64);
                reply.int((start + len - 1) as i64);
            }
            if self.with_match_len {
                reply.int(len as i64);
            }
        }
        reply.bulk(b"len");
        reply.int(table.len().into());
    }
}

/// Bytes that the strings share at these places.
struct Match {
    a: usize,
    b: usize,
    len: usize,
}

struct Table<'a> {
    a: &'a [u8],
    b: &'a [u8],
    /// `a.len() + 1` rows of `b.len() + 1`.
    lens: Vec<u32>,
}

impl<'a> Table<'a> {
    fn new(a: &'a [u8], b: &'a [u8], bytes_max: u64) -> Result<Self, CommandError> {
        if a.len().max(b.len()) >= u32::MAX as usize - 1 {
            return Err(CommandError::text("ERR String too long for LCS"));
        }
        let cells = (a.len() + 1) * (b.len() + 1);
        if cells.checked_mul(size_of::<u32>()).is_none_or(|bytes| bytes as u64 > bytes_max) {
            return Err(CommandError::text(
                "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
            ));
        }
        let mut lens = Vec::new();
        lens.try_reserve_exact(cells).map_err(|_| {
            CommandError::text("ERR Insufficient memory, failed allocating transient memory for LCS")
        })?;
        lens.resize(cells, 0);
        let mut table = Self { a, b, lens };
        table.fill();
        Ok(table)
    }

    fn fill(&mut self) {
        let width = self.b.len() + 1;
        for (row, &from_a) in self.a.iter().enumerate() {
            let (above, below) = self.lens.split_at_mut((row + 1) * width);
            let above = &above[row * width..];
            let below = &mut below[..width];
            for (column, &from_b) in self.b.iter().enumerate() {
                below[column + 1] =
                    if from_a == from_b { above[column] + 1 } else { above[column + 1].max(below[column]) };
            }
        }
    }

    /// Of the first `i` bytes of a and `j` of b.
    fn at(&self, i: usize, j: usize) -> u32 {
        self.lens[i * (self.b.len() + 1) + j]
    }

    fn len(&self) -> u32 {
        self.at(self.a.len(), self.b.len())
    }

    /// Calls `each` with the places of every byte of the answer, from the last to the first.
    fn walk_back(&self, mut each: impl FnMut(usize, usize)) {
        let (mut i, mut j) = (self.a.len(), self.b.len());
        while i > 0 && j > 0 {
            if self.a[i - 1] == self.b[j - 1] {
                i -= 1;
                j -= 1;
                each(i, j);
            } else if self.at(i - 1, j) > self.at(i, j - 1) {
                i -= 1;
            } else {
                j -= 1;
            }
        }
    }

    fn subsequence(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len() as usize);
        self.walk_back(|i, _| bytes.push(self.a[i]));
        bytes.reverse();
        bytes
    }

    /// The answer in runs that are unbroken in both strings, last first.
    fn matches(&self) -> Vec<Match> {
        let mut matches: Vec<Match> = Vec::new();
        self.walk_back(|a, b| match matches.last_mut() {
            Some(last) if last.a == a + 1 && last.b == b + 1 => {
                *last = Match { a, b, len: last.len + 1 };
            }
            _ => matches.push(Match { a, b, len: 1 }),
        });
        matches
    }
}
