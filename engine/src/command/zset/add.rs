//! Putting members in: ZADD, ZINCRBY.

use bobbin_proto::Reply;

use super::super::number::double;
use super::super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::super::{Args, Cx, Event};
use super::{limits, of_object};
use crate::error::CommandError;
use crate::store::{Entry, Object, Zset, ZsetLimits};

const GROWING: u32 = flag::WRITE | flag::DENYOOM | flag::FAST;

pub const ROWS: &[Command] = &[
    command("zadd", -4, GROWING, Group::SortedSet, Run::Shard(zadd))
        .keys(&[KeySpec::one(1, key_flag::RW | key_flag::UPDATE)])
        .docs(
            "1.2.0",
            "O(log(N)) a member, with N in the sorted set",
            "Puts members with scores into a sorted set, or changes the scores of those there.",
            "key [NX|XX] [GT|LT] [CH] [INCR] score member [score member ...]",
        ),
    command("zincrby", 4, GROWING, Group::SortedSet, Run::Shard(zincrby))
        .keys(&[KeySpec::one(1, key_flag::RW | key_flag::ACCESS | key_flag::UPDATE)])
        .docs(
            "1.2.0",
            "O(log(N)) with N members",
            "Adds to a member's score, which is 0 if it was not there.",
            "key increment member",
        ),
];

const NX_AND_XX: CommandError =
    CommandError::text("ERR XX and NX options at the same time are not compatible");
const GT_LT_NX: CommandError =
    CommandError::text("ERR GT, LT, and/or NX options at the same time are not compatible");
const ONE_INCREMENT: CommandError =
    CommandError::text("ERR INCR option supports a single increment-element pair");
const NOT_A_NUMBER: CommandError = CommandError::text("ERR resulting score is not a number (NaN)");

/// A score and a member, as a request gives them.
pub(in crate::command) type Pair<'a> = Result<(f64, &'a [u8]), CommandError>;

/// Options of ZADD.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::command) struct Options {
    pub(in crate::command) only_new: bool,
    pub(in crate::command) only_present: bool,
    only_greater: bool,
    only_less: bool,
    pub(in crate::command) count_changed: bool,
    increment: bool,
}

impl Options {
    /// And where the pairs begin.
    fn parse(args: Args<'_>) -> Result<(Self, usize), CommandError> {
        let mut options = Self::default();
        let mut at = 2;
        while at < args.len() && options.take(args.at(at)) {
            at += 1;
        }
        options.check(args.len() - at)?;
        Ok((options, at))
    }

    /// False if the word is no option.
    fn take(&mut self, word: &[u8]) -> bool {
        let is = |option: &str| word.eq_ignore_ascii_case(option.as_bytes());
        match () {
            () if is("nx") => self.only_new = true,
            () if is("xx") => self.only_present = true,
            () if is("gt") => self.only_greater = true,
            () if is("lt") => self.only_less = true,
            () if is("ch") => self.count_changed = true,
            () if is("incr") => self.increment = true,
            () => return false,
        }
        true
    }

    /// `words` follow the options.
    fn check(self, words: usize) -> Result<(), CommandError> {
        let restrictions = [self.only_new, self.only_greater, self.only_less];
        match () {
            () if words == 0 || !words.is_multiple_of(2) => Err(CommandError::Syntax),
            () if self.only_new && self.only_present => Err(NX_AND_XX),
            () if restrictions.into_iter().filter(|&is_set| is_set).count() > 1 => Err(GT_LT_NX),
            () if self.increment && words > 2 => Err(ONE_INCREMENT),
            () => Ok(()),
        }
    }

    /// The score that a member is to have; None if it is to be left as it is.
    fn resolve(self, old: Option<f64>, given: f64) -> Result<Option<f64>, CommandError> {
        let Some(old) = old else { return Ok((!self.only_present).then_some(given)) };
        if self.only_new {
            return Ok(None);
        }
        let score = if self.increment { old + given } else { given };
        if score.is_nan() {
            return Err(NOT_A_NUMBER);
        }
        let refused = self.only_less && score >= old || self.only_greater && score <= old;
        Ok((!refused).then_some(score))
    }
}

/// What a ZADD has done.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::command) struct Done {
    added: usize,
    updated: usize,
    /// The last member's score, unless an option kept it.
    score: Option<f64>,
}

impl Done {
    fn set(
        &mut self,
        zset: &mut Zset,
        member: &[u8],
        given: f64,
        options: Options,
        limits: &ZsetLimits,
    ) -> Result<(), CommandError> {
        let mut refusal = Ok(());
        zset.update(member, limits, |old| {
            match options.resolve(old, given) {
                Ok(score) => self.score = score,
                Err(error) => refusal = Err(error),
            }
            let score = self.score.filter(|&score| old != Some(score))?;
            self.added += usize::from(old.is_none());
            self.updated += usize::from(old.is_some());
            Some(score)
        });
        refusal
    }

    fn set_all<'a>(
        &mut self,
        zset: &mut Zset,
        pairs: impl Iterator<Item = Pair<'a>>,
        options: Options,
        limits: &ZsetLimits,
    ) -> Result<(), CommandError> {
        for pair in pairs {
            let (score, member) = pair?;
            self.set(zset, member, score, options, limits)?;
        }
        Ok(())
    }

    /// What is answered where it is not a score.
    pub(in crate::command) fn count(self, options: Options) -> usize {
        self.added + if options.count_changed { self.updated } else { 0 }
    }
}

fn zadd(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (options, first) = Options::parse(args)?;
    let done = add(cx, args.at(1), pairs(args, first), options)?;
    if options.increment {
        reply_score(done.score, reply);
    } else {
        reply.int(done.count(options) as i64);
    }
    Ok(())
}

fn zincrby(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let mut options = Options { increment: true, ..Options::default() };
    // Redis takes what stands there for an option of ZADD, and then misses the increment.
    if options.take(args.at(2)) {
        return Err(CommandError::Syntax);
    }
    let done = add(cx, args.at(1), pairs(args, 2), options)?;
    reply_score(done.score, reply);
    Ok(())
}

/// The arguments from `first` on.
fn pairs(args: Args<'_>, first: usize) -> impl Iterator<Item = Pair<'_>> + Clone {
    (first..args.len()).step_by(2).map(move |at| Ok((double(args.at(at))?, args.at(at + 1))))
}

fn reply_score(score: Option<f64>, reply: &mut Reply<'_>) {
    match score {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
}

/// Puts pairs into a sorted set, all or, where one is refused, none.
pub(in crate::command) fn add<'a>(
    cx: &mut Cx<'_>,
    key: &[u8],
    pairs: impl Iterator<Item = Pair<'a>> + Clone,
    options: Options,
) -> Result<Done, CommandError> {
    // Nothing may change if any of the scores is not one.
    pairs.clone().try_for_each(|pair| pair.map(drop))?;
    let limits = limits(cx);
    let mut done = Done::default();
    if let Some(mut entry) = cx.find_mut(key) {
        let Some(mut object) = entry.object_mut() else { return Err(CommandError::WrongType) };
        done.set_all(of_object(&mut object)?, pairs, options, &limits)?;
    } else {
        let mut zset = Zset::new();
        done.set_all(&mut zset, pairs, options, &limits)?;
        if !zset.is_empty() {
            cx.db().insert(Entry::with_object(key, Object::Zset(zset), None));
        }
    }
    if done.added + done.updated > 0 {
        cx.changed(key, Event::zset(if options.increment { "zincr" } else { "zadd" }));
    }
    Ok(done)
}
