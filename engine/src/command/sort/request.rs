//! What a SORT asks for.

use std::ops::Range;

use super::super::Args;
use super::super::number::integer;
use super::super::spec::key_flag;
use super::pattern::Pattern;
use crate::error::CommandError;

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) key: Box<[u8]>,
    /// The last pattern behind BY.
    by: Option<Pattern>,
    /// A BY had a pattern that leads nowhere: the order is left as it is.
    pub(super) unsorted: bool,
    pub(super) descending: bool,
    pub(super) alpha: bool,
    offset: i64,
    /// Negative: all.
    count: i64,
    pub(super) gets: Vec<Pattern>,
    pub(super) store: Option<Box<[u8]>>,
}

impl Request {
    pub(super) fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        Self::parse_with(args, true)
    }

    pub(super) fn parse_read_only(args: Args<'_>) -> Result<Self, CommandError> {
        Self::parse_with(args, false)
    }

    fn parse_with(args: Args<'_>, stores: bool) -> Result<Self, CommandError> {
        let mut request = Self {
            key: args.at(1).into(),
            by: None,
            unsorted: false,
            descending: false,
            alpha: false,
            offset: 0,
            count: -1,
            gets: Vec::new(),
            store: None,
        };
        let mut at = 2;
        while at < args.len() {
            at += 1 + request.take(args, at, stores)?;
        }
        Ok(request)
    }

    /// Takes an option. Returns how many arguments belong to it.
    fn take(&mut self, args: Args<'_>, at: usize, stores: bool) -> Result<usize, CommandError> {
        let values = args.len() - at - 1;
        let is = |word| args.is(at, word);
        match () {
            () if is("asc") => self.descending = false,
            () if is("desc") => self.descending = true,
            () if is("alpha") => self.alpha = true,
            () if is("limit") && values >= 2 => {
                (self.offset, self.count) = (integer(args.at(at + 1))?, integer(args.at(at + 2))?);
                return Ok(2);
            }
            () if stores && is("store") && values >= 1 => {
                self.store = Some(args.at(at + 1).into());
                return Ok(1);
            }
            () if is("by") && values >= 1 => {
                let pattern = Pattern::parse(args.at(at + 1));
                self.unsorted |= !pattern.is_key();
                self.by = Some(pattern);
                return Ok(1);
            }
            () if is("get") && values >= 1 => {
                self.gets.push(Pattern::parse(args.at(at + 1)));
                return Ok(1);
            }
            () => return Err(CommandError::Syntax),
        }
        Ok(0)
    }

    /// The pattern that leads to what elements are sorted by; none if it is the elements themselves.
    pub(super) fn weight_pattern(&self) -> &[Pattern] {
        self.by.as_slice()
    }

    /// Whether keys are needed that are not among the arguments.
    pub(super) fn is_wide(&self) -> bool {
        let weighs = !self.unsorted && self.by.is_some();
        weighs || self.gets.iter().any(Pattern::is_key)
    }

    /// Which of `len` elements are wanted.
    pub(super) fn window(&self, len: usize) -> Range<usize> {
        let within = |number: i64| usize::try_from(number.max(0)).map_or(len, |number| number.min(len));
        let start = within(self.offset);
        let count = if self.count < 0 { len } else { within(self.count) };
        start..start.saturating_add(count).min(len)
    }
}

/// The key behind the last STORE, and that it is overwritten.
pub(super) fn stored_key(args: Args<'_>) -> Option<(usize, u16)> {
    let (mut at, mut last) = (2, None);
    while at < args.len() {
        match () {
            () if args.is(at, "limit") => at += 2,
            () if args.is(at, "get") || args.is(at, "by") => at += 1,
            () if args.is(at, "store") && at + 1 < args.len() => {
                at += 1;
                last = Some((at, key_flag::OW | key_flag::UPDATE));
            }
            () => {}
        }
        at += 1;
    }
    last
}
