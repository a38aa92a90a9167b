//! Union, intersection and difference of sorted sets, and of sets among them.
//!
//! A score is weighted where it is read, and those of one member are aggregated; what is not a number on the way
//! (0 times infinity, infinity less infinity) is 0.

use bobbin_proto::Reply;

use super::super::number::{double, integer_within};
use super::super::spec::{Command, Group, KeySpec, Run, command, flag};
use super::super::{Args, Cx};
use super::{OVERWRITE, READ, Scores, counted_keys, limits, reply_members, store};
use crate::error::CommandError;
use crate::store::encoding::listpack::Element;
use crate::store::encoding::zset_table::ZsetTable;
use crate::store::{Entry, Object, Set, Zset};

const READS: u32 = flag::READONLY | flag::MOVABLEKEYS;
const STORES: u32 = flag::WRITE | flag::DENYOOM | flag::MOVABLEKEYS;
const STORE_KEYS: &[KeySpec] = &[KeySpec::one(1, OVERWRITE), KeySpec::counted(2, READ)];

pub const ROWS: &[Command] = &[
    command("zunion", -3, READS, Group::SortedSet, Run::Shard(zunion))
        .keys(&[KeySpec::counted(1, READ)])
        .docs(
            "6.2.0",
            "O(N)+O(M*log(M)) with N members in all, M in the union",
            "Answers the members that any of the sorted sets has.",
            "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM|MIN|MAX>] [WITHSCORES]",
        ),
    command("zinter", -3, READS, Group::SortedSet, Run::Shard(zinter))
        .keys(&[KeySpec::counted(1, READ)])
        .docs(
            "6.2.0",
            "O(N*K)+O(M*log(M)) with N members in the smallest of K sets, M in all of them",
            "Answers the members that all of the sorted sets have.",
            "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM|MIN|MAX>] [WITHSCORES]",
        ),
    command("zdiff", -3, READS, Group::SortedSet, Run::Shard(zdiff)).keys(&[KeySpec::counted(1, READ)]).docs(
        "6.2.0",
        "O(N*K)+O(M*log(M)) with N members in the first of K sets, M in the difference",
        "Answers the members of the first sorted set that no other has.",
        "numkeys key [key ...] [WITHSCORES]",
    ),
    command("zunionstore", -4, STORES, Group::SortedSet, Run::Shard(zunionstore)).keys(STORE_KEYS).docs(
        "2.0.0",
        "O(N)+O(M*log(M)) with N members in all, M in the union",
        "Makes a key hold the members that any of the sorted sets has.",
        "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM|MIN|MAX>]",
    ),
    command("zinterstore", -4, STORES, Group::SortedSet, Run::Shard(zinterstore)).keys(STORE_KEYS).docs(
        "2.0.0",
        "O(N*K)+O(M*log(M)) with N members in the smallest of K sets, M in all of them",
        "Makes a key hold the members that all of the sorted sets have.",
        "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM|MIN|MAX>]",
    ),
    command("zdiffstore", -4, STORES, Group::SortedSet, Run::Shard(zdiffstore)).keys(STORE_KEYS).docs(
        "6.2.0",
        "O(N*K)+O(M*log(M)) with N members in the first of K sets, M in the difference",
        "Makes a key hold the members of the first sorted set that no other has.",
        "destination numkeys key [key ...]",
    ),
    command("zintercard", -3, READS, Group::SortedSet, Run::Shard(zintercard))
        .keys(&[KeySpec::counted(1, READ)])
        .docs(
            "7.0.0",
            "O(N*K) with N members in the smallest of K sets",
            "Answers how many members all of the sorted sets have.",
            "numkeys key [key ...] [LIMIT limit]",
        ),
];

const BAD_WEIGHT: CommandError = CommandError::text("ERR weight value is not a float");
const BAD_LIMIT: CommandError = CommandError::text("ERR LIMIT can't be negative");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// What becomes of several scores of one member.
#[derive(Clone, Copy, Debug)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn parse(word: &[u8]) -> Result<Self, CommandError> {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        match () {
            () if is("sum") => Ok(Self::Sum),
            () if is("min") => Ok(Self::Min),
            () if is("max") => Ok(Self::Max),
            () => Err(CommandError::Syntax),
        }
    }

    fn join(self, score: f64, other: f64) -> f64 {
        match self {
            Self::Sum => number_or_zero(score + other),
            Self::Min if other < score => other,
            Self::Max if other > score => other,
            Self::Min | Self::Max => score,
        }
    }
}

fn number_or_zero(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// What is asked for beside the keys.
#[derive(Debug)]
struct Options {
    /// One for each key, or none for 1 each.
    weights: Vec<f64>,
    aggregate: Aggregate,
    scores: Scores,
}

impl Options {
    /// Of the arguments behind `keys` keys, from `at` on.
    fn parse(
        args: Args<'_>,
        mut at: usize,
        keys: usize,
        operation: Operation,
        stores: bool,
    ) -> Result<Self, CommandError> {
        let mut options = Self { weights: Vec::new(), aggregate: Aggregate::Sum, scores: Scores::Without };
        let weighs = operation != Operation::Difference;
        while at < args.len() {
            match () {
                () if weighs && args.is(at, "weights") && args.len() - at > keys => {
                    let weights = args.iter_from(at + 1).take(keys).map(double);
                    options.weights = weights.collect::<Result<_, _>>().map_err(|_| BAD_WEIGHT)?;
                    at += keys;
                }
                () if weighs && args.is(at, "aggregate") && args.len() - at > 1 => {
                    options.aggregate = Aggregate::parse(args.at(at + 1))?;
                    at += 1;
                }
                () if !stores && args.is(at, "withscores") => options.scores = Scores::With,
                () => return Err(CommandError::Syntax),
            }
            at += 1;
        }
        Ok(options)
    }
}

/// One of the sets that are combined.
#[derive(Clone, Copy, Debug)]
struct Operand<'a> {
    members: Members<'a>,
    weight: f64,
}

#[derive(Clone, Copy, Debug)]
enum Members<'a> {
    /// The key is not there.
    None,
    Scored(&'a Zset),
    /// Of a set: each scores 1.
    Plain(&'a Set),
}

impl<'a> Members<'a> {
    fn of(entry: Option<&'a Entry>) -> Result<Self, CommandError> {
        match entry.map(Entry::object) {
            None => Ok(Self::None),
            Some(Some(Object::Zset(zset))) => Ok(Self::Scored(zset)),
            Some(Some(Object::Set(set))) => Ok(Self::Plain(set)),
            Some(_) => Err(CommandError::WrongType),
        }
    }

    fn len(self) -> usize {
        match self {
            Self::None => 0,
            Self::Scored(zset) => zset.len(),
            Self::Plain(set) => set.len(),
        }
    }

    fn iter(self) -> impl Iterator<Item = (Element<'a>, f64)> {
        let (zset, set) = match self {
            Self::None => (None, None),
            Self::Scored(zset) => (Some(zset), None),
            Self::Plain(set) => (None, Some(set)),
        };
        let plain = set.into_iter().flatten().map(|member| (member, 1.0));
        zset.into_iter().flatten().chain(plain)
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Self::None => None,
            Self::Scored(zset) => zset.score(member),
            Self::Plain(set) => set.contains(Element::Str(member)).then_some(1.0),
        }
    }
}

impl<'a> Operand<'a> {
    fn len(self) -> usize {
        self.members.len()
    }

    /// Members with their weighted scores.
    fn iter(self) -> impl Iterator<Item = (Element<'a>, f64)> {
        self.members.iter().map(move |(member, score)| (member, number_or_zero(score * self.weight)))
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        Some(self.members.score(member)? * self.weight)
    }

    fn has(self, member: &[u8]) -> bool {
        self.members.score(member).is_some()
    }
}

/// The sets of `keys` keys from `at` on, unweighted.
fn operands<'a>(
    cx: &'a mut Cx<'_>,
    args: Args<'_>,
    at: usize,
    keys: usize,
) -> Result<Vec<Operand<'a>>, CommandError> {
    let found = cx.find_each(args.iter_from(at).take(keys));
    found.map(|entry| Ok(Operand { members: Members::of(entry)?, weight: 1.0 })).collect()
}

fn union(operands: &[Operand<'_>], aggregate: Aggregate, seed: u64) -> ZsetTable {
    let mut result = ZsetTable::new(seed);
    let mut digits = itoa::Buffer::new();
    for (member, score) in operands.iter().flat_map(|operand| operand.iter()) {
        result.update(member.text(&mut digits), |old| {
            Some(old.map_or(score, |old| aggregate.join(old, score)))
        });
    }
    result
}

/// Tells `each` of the members that all have, until it wants no more.
fn intersect(operands: &[Operand<'_>], aggregate: Aggregate, mut each: impl FnMut(&[u8], f64) -> bool) {
    let Some((smallest, others)) = operands.split_first() else { return };
    let mut digits = itoa::Buffer::new();
    for (member, score) in smallest.iter() {
        let member = member.text(&mut digits);
        let common =
            others.iter().try_fold(score, |score, other| Some(aggregate.join(score, other.score(member)?)));
        if let Some(score) = common
            && !each(member, score)
        {
            return;
        }
    }
}

fn difference(operands: &[Operand<'_>], seed: u64) -> ZsetTable {
    let mut result = ZsetTable::new(seed);
    let Some((first, others)) = operands.split_first() else { return result };
    let mut digits = itoa::Buffer::new();
    for (member, score) in first.iter() {
        let member = member.text(&mut digits);
        if !others.iter().any(|other| other.has(member)) {
            result.set(member, score);
        }
    }
    result
}

/// The result as a table, which keeps scores as they are, and the options.
fn combine(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    at: usize,
    operation: Operation,
) -> Result<(ZsetTable, Options), CommandError> {
    let keys = counted_keys(cx, args, at)?;
    let seed = cx.rest.rng.u64(..);
    let mut operands = operands(cx, args, at + 1, keys)?;
    let stores = at > 1;
    let options = Options::parse(args, at + 1 + keys, keys, operation, stores)?;
    operands.iter_mut().zip(&options.weights).for_each(|(operand, &weight)| operand.weight = weight);
    if operation != Operation::Difference {
        // The fewest first: sums depend on the order, and an intersection is no larger than its smallest.
        operands.sort_by_key(|operand| operand.len());
    }
    let result = match operation {
        Operation::Union => union(&operands, options.aggregate, seed),
        Operation::Difference => difference(&operands, seed),
        Operation::Intersection => {
            let mut result = ZsetTable::new(seed);
            intersect(&operands, options.aggregate, |member, score| {
                result.set(member, score);
                true
            });
            result
        }
    };
    Ok((result, options))
}

fn answer(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    operation: Operation,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let (result, options) = combine(cx, args, 1, operation)?;
    let result = Zset::from(result);
    reply_members(result.iter(), options.scores, reply);
    cx.db().bury_object(Object::Zset(result));
    Ok(())
}

fn combine_and_store(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    operation: Operation,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let (result, _) = combine(cx, args, 2, operation)?;
    let result = Zset::within(result, &limits(cx));
    store(cx, args.at(1), result, cx.command.name, reply);
    Ok(())
}

fn zunion(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    answer(cx, args, Operation::Union, reply)
}

fn zinter(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    answer(cx, args, Operation::Intersection, reply)
}

fn zdiff(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    answer(cx, args, Operation::Difference, reply)
}

fn zunionstore(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    combine_and_store(cx, args, Operation::Union, reply)
}

fn zinterstore(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    combine_and_store(cx, args, Operation::Intersection, reply)
}

fn zdiffstore(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    combine_and_store(cx, args, Operation::Difference, reply)
}

fn zintercard(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let keys = counted_keys(cx, args, 1)?;
    let mut operands = operands(cx, args, 2, keys)?;
    let mut limit = 0;
    for at in (2 + keys..args.len()).step_by(2) {
        if !args.is(at, "limit") || at + 1 == args.len() {
            return Err(CommandError::Syntax);
        }
        limit = integer_within(args.at(at + 1), 0, &BAD_LIMIT)?;
    }
    operands.sort_by_key(|operand| operand.len());
    let mut count = 0;
    intersect(&operands, Aggregate::Sum, |_, _| {
        count += 1;
        count != limit
    });
    reply.int(count as i64);
    Ok(())
}
