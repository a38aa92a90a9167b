//! The coordinator's side of transactions: what has been asked of whom, and what came back.

use std::sync::Arc;

use crate::collections::Map;

use super::{BlockJob, Cut, Grant, Job, Lent, Outcome, Part, Terms, Train};
use crate::command::{Args, Command};
use crate::course::Course;
use crate::errand::{AnyErrand, Asked};
use crate::ids::{ReactorId, ReplyTo, TxId};
use crate::rules::{Rule, holds};

/// What a transaction is for.
#[derive(Debug)]
pub enum Work {
    /// Every shard runs its share of the commands.
    Scatter(Arc<Train>),
    /// The keys are brought together and the command runs on them.
    Together { job: Job },
    /// The keys are brought together and the commands run on them; the keys of each share are given, in its order.
    Block { job: Box<BlockJob>, asked: Asked, keys: Vec<Vec<Box<[u8]>>> },
    /// Shards, or keys of theirs, are held while the commands run, wherever each belongs.
    Hold { job: Box<BlockJob>, asked: Asked, claims: Claims },
    /// Every shard is visited, as one step.
    Atomic { errand: Arc<dyn AnyErrand>, asked: Asked },
    /// Every shard is held for one moment.
    Cut(Cut),
    /// Every shard is held, and visited any number of times. `ns` is how long the rounds so far took.
    Course { job: Job, course: Box<dyn Course>, ns: u64 },
}

/// What a block that runs step by step holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claims {
    /// Its shards, whole.
    Shards,
    /// The keys of so many of its commands so far. So many attempts before this one were refused.
    Keys { commands: usize, refusals: usize },
}

/// Refusals of a claim of many keys after which their shards are claimed whole, so that it gets through in any traffic.
const REFUSALS_MAX: usize = 3;

impl Claims {
    /// What to ask for after a refusal.
    fn again(self) -> Self {
        match self {
            Self::Keys { refusals, .. } if refusals < REFUSALS_MAX => {
                Self::Keys { commands: 0, refusals: refusals + 1 }
            }
            Self::Keys { .. } | Self::Shards => Self::Shards,
        }
    }
}

impl Work {
    /// The same work after a refusal.
    fn again(self) -> Self {
        match self {
            Self::Hold { job, asked, claims } => Self::Hold { job, asked, claims: claims.again() },
            other => other,
        }
    }

    /// Shards lend keys with their grant, be they none, and wait for them.
    pub fn lends(&self) -> bool {
        matches!(self, Self::Together { .. } | Self::Block { .. })
    }
}

/// One shard's share of a transaction: indices of the keys among the command's arguments, and whether each may be
/// written.
#[derive(Clone, Debug)]
pub struct Share {
    pub shard: ReactorId,
    pub keys: Vec<(usize, bool)>,
}

impl Share {
    /// Of work that does not go by the keys of one command.
    pub fn whole(shard: ReactorId) -> Self {
        Self { shard, keys: Vec::new() }
    }
}

#[derive(Debug)]
enum Progress {
    Asked,
    Granted(Vec<Lent>),
    Done(Outcome),
}

/// A transaction under way.
#[derive(Debug)]
pub struct Pending {
    pub reply_to: ReplyTo,
    pub work: Work,
    pub shares: Vec<Share>,
    pub terms: Terms,
    /// A watched key has changed.
    pub watch_failed: bool,
    /// When the time of the first watched key is over.
    pub watch_ends_ms: Option<u64>,
    /// When it takes effect, in Unix microseconds, once all have granted.
    pub at_us: u64,
    /// Shards on which somebody waits for one of its keys.
    pub awaited: Vec<ReactorId>,
    /// It is for a command that stands in line on this shard.
    pub waits_at: Option<ReactorId>,
    /// And that shard has made it an offer, under this txid.
    pub offer: Option<TxId>,
    /// A shard has refused, and what others have lent is on its way.
    pub is_refused: bool,
    progress: Vec<Progress>,
}

impl Pending {
    pub fn new(reply_to: ReplyTo, work: Work, shares: Vec<Share>, terms: Terms) -> Self {
        let progress = shares.iter().map(|_| Progress::Asked).collect();
        Self {
            reply_to,
            work,
            shares,
            terms,
            watch_failed: false,
            watch_ends_ms: None,
            at_us: 0,
            awaited: Vec::new(),
            waits_at: None,
            offer: None,
            is_refused: false,
            progress,
        }
    }

    /// The same, to be asked for anew after a refusal. What could not be had at once is waited for.
    pub fn again(self) -> Self {
        let terms = if self.terms == Terms::Try { Terms::Wait } else { self.terms };
        let waits_at = self.waits_at;
        Self { waits_at, ..Self::new(self.reply_to, self.work.again(), self.shares, terms) }
    }

    /// What is asked of each shard.
    pub fn parts(&self) -> impl Iterator<Item = (ReactorId, Part)> {
        self.shares.iter().enumerate().map(|(at, share)| (share.shard, self.part(at, share)))
    }

    fn part(&self, at: usize, share: &Share) -> Part {
        match &self.work {
            Work::Scatter(train) => Part::Share { train: Arc::clone(train), shard: share.shard },
            Work::Together { job } => {
                let args = job.args.as_args();
                let keys = share.keys.iter().map(|&(index, _)| args.at(index).into()).collect();
                Part::Lend { keys, lent: false, watch: None }
            }
            Work::Block { job, keys, .. } => {
                Part::Lend { keys: keys[at].clone(), lent: false, watch: job.watch }
            }
            Work::Hold { job, claims, .. } => {
                Part::Hold { watch: job.watch, whole: *claims == Claims::Shards }
            }
            Work::Atomic { errand, .. } => Part::Atomic(Arc::clone(errand)),
            Work::Cut(_) => Part::Cut,
            Work::Course { course, .. } => Part::Course { writes: course.writes() },
        }
    }

    /// The keys that a share's shard has lent.
    pub fn keys_of(&self, share: usize) -> Box<dyn Iterator<Item = &[u8]> + '_> {
        match &self.work {
            Work::Together { job } => {
                let args = job.args.as_args();
                Box::new(self.shares[share].keys.iter().map(move |&(index, _)| args.at(index)))
            }
            Work::Block { keys, .. } => Box::new(keys[share].iter().map(|key| &**key)),
            _ => Box::new(std::iter::empty()),
        }
    }

    /// Notes a grant. Returns true when all have granted.
    fn granted(&mut self, shard: ReactorId, grant: Grant) -> bool {
        let at = self.position(shard);
        self.watch_failed |= grant.watch_failed;
        self.watch_ends_ms = self.watch_ends_ms.into_iter().chain(grant.watch_ends_ms).min();
        if grant.is_awaited && !self.awaited.contains(&shard) && holds(Rule::BlocksAreSettledInOrder) {
            self.awaited.push(shard);
        }
        self.progress[at] = Progress::Granted(grant.lent);
        !holds(Rule::AllGrantFirst)
            || self.progress.iter().all(|progress| matches!(progress, Progress::Granted(_)))
    }

    /// Notes an outcome. Returns true when it was the last.
    fn done(&mut self, shard: ReactorId, outcome: Outcome) -> bool {
        let at = self.position(shard);
        self.progress[at] = Progress::Done(outcome);
        self.progress.iter().all(|progress| matches!(progress, Progress::Done(_)))
    }

    fn position(&self, shard: ReactorId) -> usize {
        self.shares.iter().position(|share| share.shard == shard).expect("only those asked answer")
    }

    /// The txid under which a shard knows of it: an offer is made under one of its own.
    pub fn id_at(&self, shard: ReactorId, id: TxId) -> TxId {
        self.offer.filter(|_| self.waits_at == Some(shard)).unwrap_or(id)
    }

    /// A shard that has granted is asked for more.
    pub fn await_again(&mut self, at: usize) {
        self.progress[at] = Progress::Asked;
    }

    /// Whether a shard has yet to answer.
    pub fn awaits(&self, shard: ReactorId) -> bool {
        matches!(self.progress[self.position(shard)], Progress::Asked)
    }

    /// What each shard that granted has lent; `None` for those that have not granted.
    pub fn take_lent(&mut self) -> Vec<(ReactorId, Option<Vec<Lent>>)> {
        let lent = self.progress.iter_mut().map(|progress| match progress {
            Progress::Granted(lent) => Some(std::mem::take(lent)),
            Progress::Asked | Progress::Done(_) => None,
        });
        self.shares.iter().map(|share| share.shard).zip(lent).collect()
    }

    /// The outcomes, in the order of the shares, if all have answered; the next are awaited then.
    pub fn take_outcomes(&mut self) -> Vec<Outcome> {
        let next = self.shares.iter().map(|_| Progress::Asked).collect();
        let progress = std::mem::replace(&mut self.progress, next);
        progress
            .into_iter()
            .filter_map(|p| if let Progress::Done(outcome) = p { Some(outcome) } else { None })
            .collect()
    }
}

/// Splits a command's keys by owner. In key order within a share; shares in the order of the shards.
pub fn shares(command: &Command, args: Args<'_>, owner: impl Fn(&[u8]) -> ReactorId) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::new();
    command.keys_of(args, |index, writes| {
        let shard = owner(args.at(index));
        match shares.iter_mut().find(|share| share.shard == shard) {
            Some(share) => share.keys.push((index, writes)),
            None => shares.push(Share { shard, keys: vec![(index, writes)] }),
        }
    });
    shares.sort_unstable_by_key(|share| share.shard);
    shares
}

/// What the last grant or outcome of a transaction leads to.
#[derive(Debug)]
pub enum Next {
    /// Others are still to answer.
    Wait,
    /// All hold their locks.
    AllGranted,
    /// Another has refused.
    Refused,
    /// All have run.
    AllDone,
    /// The transaction is no longer under way: what was lent goes back.
    Unknown(Vec<Lent>),
}

/// Transactions that this reactor coordinates.
#[derive(Debug, Default)]
pub struct Coordinator {
    pending: Map<TxId, Pending>,
}

impl Coordinator {
    pub fn insert(&mut self, id: TxId, pending: Pending) {
        self.pending.insert(id, pending);
    }

    pub fn remove(&mut self, id: TxId) -> Option<Pending> {
        self.pending.remove(&id)
    }

    pub fn find(&mut self, id: TxId) -> Option<&mut Pending> {
        self.pending.get_mut(&id)
    }

    pub fn granted(&mut self, id: TxId, shard: ReactorId, grant: Grant) -> Next {
        let Some(pending) = self.pending.get_mut(&id) else { return Next::Unknown(grant.lent) };
        let all = pending.granted(shard, grant);
        match () {
            () if pending.is_refused => Next::Refused,
            () if all => Next::AllGranted,
            () => Next::Wait,
        }
    }

    pub fn done(&mut self, id: TxId, shard: ReactorId, outcome: Outcome) -> Next {
        let Some(pending) = self.pending.get_mut(&id) else { return Next::Unknown(Vec::new()) };
        if pending.done(shard, outcome) { Next::AllDone } else { Next::Wait }
    }

    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}
