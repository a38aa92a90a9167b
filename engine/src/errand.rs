//! Errands: commands that need several reactors, not keys. One reactor asks, each visited one answers, the asker
//! makes the reply. INFO, DBSIZE, SCAN, CLIENT LIST, CONFIG SET and FLUSHALL are errands.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use bobbin_proto::Reply;

use crate::command::{Command, OwnedArgs};
use crate::core::Core;
use crate::error::CommandError;
use crate::ids::ReactorId;

/// Names an errand under way; unique on the reactor that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

impl Ticket {
    /// Of an errand whose answers nobody waits for.
    pub const NOBODY: Self = Self(0);
}

/// Which reactors are visited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    All,
    One(ReactorId),
    These(Vec<ReactorId>),
}

/// The command that an errand is for.
#[derive(Clone, Debug)]
pub struct Asked {
    pub command: &'static Command,
    pub args: OwnedArgs,
}

/// What has to hold on a shard while it is visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: the visit does not look at keys.
    Nothing,
    /// The errand's keys are in their places, and no transaction is about to change them.
    Keys,
    /// Every key is in its place: none is lent to a transaction.
    WholeShard,
    /// All targets are visited in one atomic step of the whole database.
    Atomic,
}

/// One command's work over reactors.
pub trait Errand: Debug + Send + Sync + 'static {
    type Answer: Send + 'static;

    fn need(&self) -> Need {
        Need::Nothing
    }

    /// What [`Need::Keys`] is about.
    fn keys(&self) -> &[Box<[u8]>] {
        &[]
    }

    /// What the journal is to say of it, if it changes anything: a database, and a command.
    fn effect(&self) -> Option<(usize, OwnedArgs)> {
        None
    }

    /// Runs on every target.
    fn visit(&self, core: &mut Core) -> Self::Answer;

    /// Runs on the asker once all have answered, in the order of the reactors.
    fn finish(
        &self,
        answers: Vec<Self::Answer>,
        core: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError>;

    /// Runs on the asker instead, if the client is gone by then.
    fn abandon(&self, _: &mut Core) {}
}

/// Does the same on every target, then answers OK.
pub struct Everywhere<F>(pub F);

impl<F> Debug for Everywhere<F> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Everywhere")
    }
}

impl<F: Fn(&mut Core) + Send + Sync + 'static> Errand for Everywhere<F> {
    type Answer = ();

    fn visit(&self, core: &mut Core) {
        (self.0)(core);
    }

    fn finish(&self, _: Vec<()>, _: &mut Core, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        reply.ok();
        Ok(())
    }
}

pub type AnyAnswer = Box<dyn Any + Send>;

/// [`Errand`] without its answer's type, as the mesh carries it.
pub trait AnyErrand: Debug + Send + Sync {
    fn need(&self) -> Need;
    fn keys(&self) -> &[Box<[u8]>];
    fn effect(&self) -> Option<(usize, OwnedArgs)>;
    fn visit(&self, core: &mut Core) -> AnyAnswer;
    fn finish(
        &self,
        answers: Vec<AnyAnswer>,
        core: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError>;
    fn abandon(&self, core: &mut Core);
}

impl<E: Errand> AnyErrand for E {
    fn need(&self) -> Need {
        Errand::need(self)
    }

    fn keys(&self) -> &[Box<[u8]>] {
        Errand::keys(self)
    }

    fn effect(&self) -> Option<(usize, OwnedArgs)> {
        Errand::effect(self)
    }

    fn visit(&self, core: &mut Core) -> AnyAnswer {
        Box::new(Errand::visit(self, core))
    }

    fn finish(
        &self,
        answers: Vec<AnyAnswer>,
        core: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        let typed = answers
            .into_iter()
            .map(|answer| *answer.downcast::<E::Answer>().expect("an errand's answers are its own"))
            .collect();
        Errand::finish(self, typed, core, reply)
    }

    fn abandon(&self, core: &mut Core) {
        Errand::abandon(self, core);
    }
}

/// An errand whose answers are being gathered.
#[derive(Debug)]
pub struct Gather {
    pub errand: Arc<dyn AnyErrand>,
    pub asked: Asked,
    /// How long the longest visit took.
    pub ns: u64,
    answers: Vec<Option<AnyAnswer>>,
    missing: usize,
}

impl Gather {
    pub fn new(errand: Arc<dyn AnyErrand>, asked: Asked, targets: &[ReactorId], reactors: usize) -> Self {
        let answers = (0..reactors).map(|_| None).collect();
        Self { errand, asked, ns: 0, answers, missing: targets.len() }
    }

    /// Takes an answer in. Returns true when it was the last.
    pub fn take(&mut self, from: ReactorId, answer: AnyAnswer, ns: u64) -> bool {
        self.ns = self.ns.max(ns);
        self.answers[from.index()] = Some(answer);
        self.missing -= 1;
        self.missing == 0
    }

    /// The answers, in the order of the reactors.
    pub fn take_answers(&mut self) -> Vec<AnyAnswer> {
        std::mem::take(&mut self.answers).into_iter().flatten().collect()
    }
}
