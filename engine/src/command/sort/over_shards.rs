//! SORT by keys of several shards, in rounds: the elements; what they are sorted by; what is answered for those that
//! are wanted; storing it. Every round is left out that is not needed, and in each every shard looks after its own
//! keys.

use std::mem::replace;
use std::sync::Arc;

use bobbin_cluster::Slot;
use bobbin_proto::Reply;

use super::super::{Args, Command, Cx};
use super::elements::{Loaded, Order};
use super::pattern::Pattern;
use super::request::Request;
use super::texts::Texts;
use super::values::{Found, Values};
use super::{answer, store};
use crate::core::{Caller, Core};
use crate::course::{Course, Round, typed};
use crate::errand::AnyAnswer;
use crate::error::CommandError;

pub(super) fn sort(command: &'static Command, args: Args<'_>, caller: Caller) -> Option<Box<dyn Course>> {
    course(command, Request::parse(args), caller)
}

pub(super) fn sort_ro(command: &'static Command, args: Args<'_>, caller: Caller) -> Option<Box<dyn Course>> {
    course(command, Request::parse_read_only(args), caller)
}

/// What is wrong with a request is for the handler to say.
fn course(
    command: &'static Command,
    request: Result<Request, CommandError>,
    caller: Caller,
) -> Option<Box<dyn Course>> {
    let request = request.ok().filter(Request::is_wide)?;
    let asked = Arc::new(Asked { request, command, caller });
    Some(Box::new(Sort { asked, awaited: Awaited::Nothing }))
}

/// What every round knows.
#[derive(Debug)]
struct Asked {
    request: Request,
    command: &'static Command,
    caller: Caller,
}

impl Asked {
    fn on_shard<R>(&self, core: &mut Core, work: impl FnOnce(&mut Cx<'_>) -> R) -> R {
        core.shard.with_context(&core.env, self.command, self.caller, work)
    }
}

#[derive(Debug)]
struct Sort {
    asked: Arc<Asked>,
    awaited: Awaited,
}

/// What the answers of the round under way are to be.
#[derive(Debug)]
enum Awaited {
    Nothing,
    Elements,
    Weights(Loaded),
    /// For the elements that are wanted, in order.
    Values(Arc<Texts>),
    /// That so many are stored.
    Stored(usize),
}

type Next = Result<Option<Arc<dyn Round>>, CommandError>;

impl Course for Sort {
    fn writes(&self) -> bool {
        self.asked.request.store.is_some()
    }

    fn next(&mut self, answers: Vec<AnyAnswer>, reply: &mut Reply<'_>) -> Next {
        match replace(&mut self.awaited, Awaited::Nothing) {
            Awaited::Nothing => {
                let asked = Arc::clone(&self.asked);
                Ok(self.visit(Awaited::Elements, ReadElements { asked }))
            }
            Awaited::Elements => {
                let loaded = typed::<Option<Result<Loaded, CommandError>>>(answers).flatten().next();
                self.weigh(loaded.expect("one of the shards has the key")?, reply)
            }
            Awaited::Weights(loaded) => {
                let weights = Values::join(self.patterns(Use::Weights), &loaded.elements, typed(answers));
                self.choose(&loaded, Some(&weights), reply)
            }
            Awaited::Values(chosen) => {
                let values = Values::join(self.patterns(Use::Answers), &chosen, typed(answers));
                Ok(self.end(values, reply))
            }
            Awaited::Stored(len) => {
                reply.int(len as i64);
                Ok(None)
            }
        }
    }
}

impl Sort {
    fn patterns(&self, used: Use) -> &[Pattern] {
        used.patterns(&self.asked.request)
    }

    fn visit(&mut self, awaited: Awaited, round: impl Round + 'static) -> Option<Arc<dyn Round>> {
        self.awaited = awaited;
        Some(Arc::new(round))
    }

    fn look_up(&self, used: Use, elements: &Arc<Texts>) -> LookUp {
        LookUp { asked: Arc::clone(&self.asked), used, elements: Arc::clone(elements) }
    }

    fn weigh(&mut self, loaded: Loaded, reply: &mut Reply<'_>) -> Next {
        if loaded.order != Order::ByPattern {
            return self.choose(&loaded, None, reply);
        }
        let round = self.look_up(Use::Weights, &loaded.elements);
        Ok(self.visit(Awaited::Weights(loaded), round))
    }

    fn choose(&mut self, loaded: &Loaded, weights: Option<&Values>, reply: &mut Reply<'_>) -> Next {
        let chosen = loaded.sorted(&self.asked.request, weights)?;
        let gets = self.patterns(Use::Answers);
        if gets.is_empty() {
            return Ok(self.end(Values::from(chosen), reply));
        }
        if !gets.iter().any(Pattern::is_key) {
            let values = Values::join(gets, &chosen, []);
            return Ok(self.end(values, reply));
        }
        let chosen = Arc::new(chosen);
        let round = self.look_up(Use::Answers, &chosen);
        Ok(self.visit(Awaited::Values(chosen), round))
    }

    fn end(&mut self, results: Values, reply: &mut Reply<'_>) -> Option<Arc<dyn Round>> {
        if self.asked.request.store.is_some() {
            let asked = Arc::clone(&self.asked);
            return self.visit(Awaited::Stored(results.len()), StoreResults { asked, results });
        }
        answer(&results, reply);
        None
    }
}

/// What patterns are for.
#[derive(Clone, Copy, Debug)]
enum Use {
    Weights,
    Answers,
}

impl Use {
    fn patterns(self, request: &Request) -> &[Pattern] {
        match self {
            Self::Weights => request.weight_pattern(),
            Self::Answers => &request.gets,
        }
    }
}

#[derive(Debug)]
struct ReadElements {
    asked: Arc<Asked>,
}

impl Round for ReadElements {
    fn visit(&self, core: &mut Core) -> AnyAnswer {
        let request = &self.asked.request;
        let is_mine = core.owner(&request.key) == core.id;
        Box::new(is_mine.then(|| self.asked.on_shard(core, |cx| Loaded::read(cx, request))))
    }
}

#[derive(Debug)]
struct LookUp {
    asked: Arc<Asked>,
    used: Use,
    elements: Arc<Texts>,
}

impl Round for LookUp {
    fn visit(&self, core: &mut Core) -> AnyAnswer {
        let (id, owners) = (core.id.index(), core.slots());
        let patterns = self.used.patterns(&self.asked.request);
        Box::new(self.asked.on_shard(core, |cx| {
            Found::read(cx, patterns, &self.elements, |key| owners.owner(Slot::of(key)) == id)
        }))
    }
}

#[derive(Debug)]
struct StoreResults {
    asked: Arc<Asked>,
    results: Values,
}

impl Round for StoreResults {
    fn visit(&self, core: &mut Core) -> AnyAnswer {
        if let Some(key) = &self.asked.request.store
            && core.owner(key) == core.id
        {
            self.asked.on_shard(core, |cx| store(cx, key, &self.results));
        }
        Box::new(())
    }
}
