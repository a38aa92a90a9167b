//! PUBSUB: who is subscribed to what. Each core tells of the names it owns.

use bobbin_proto::Reply;

use crate::command::help::wrong_usage;
use crate::command::{Args, Session};
use crate::core::Core;
use crate::errand::{Errand, Targets};
use crate::error::CommandError;
use crate::pubsub::Topic;
use crate::store::{Case, glob_matches};

pub(super) fn channels(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    list(session, Topic::Channel, args)
}

pub(super) fn shardchannels(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    list(session, Topic::ShardChannel, args)
}

fn list(session: &mut Session<'_>, topic: Topic, args: Args<'_>) -> Result<(), CommandError> {
    if args.len() > 3 {
        return Err(wrong_usage(args));
    }
    session.ask(Names { topic, pattern: args.get(2).map(Box::from) }, Targets::All);
    Ok(())
}

/// Names that have subscribers.
#[derive(Debug)]
struct Names {
    topic: Topic,
    pattern: Option<Box<[u8]>>,
}

impl Errand for Names {
    type Answer = Vec<Box<[u8]>>;

    fn visit(&self, core: &mut Core) -> Self::Answer {
        let matches = |name: &&[u8]| {
            self.pattern.as_ref().is_none_or(|pattern| glob_matches(pattern, name, Case::Sensitive))
        };
        core.owned_topics(self.topic).filter(matches).map(Box::from).collect()
    }

    fn finish(
        &self,
        answers: Vec<Self::Answer>,
        _: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        reply.array(answers.iter().map(Vec::len).sum());
        answers.iter().flatten().for_each(|name| reply.bulk(name));
        Ok(())
    }
}

pub(super) fn numsub(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    count(session, Topic::Channel, args);
    Ok(())
}

pub(super) fn shardnumsub(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    count(session, Topic::ShardChannel, args);
    Ok(())
}

fn count(session: &mut Session<'_>, topic: Topic, args: Args<'_>) {
    let names = args.iter_from(2).map(Box::from).collect();
    session.ask(Subscribers { topic, names }, Targets::All);
}

/// How many are subscribed to each of these names.
#[derive(Debug)]
struct Subscribers {
    topic: Topic,
    names: Vec<Box<[u8]>>,
}

impl Errand for Subscribers {
    /// Nought for what is another core's.
    type Answer = Vec<usize>;

    fn visit(&self, core: &mut Core) -> Vec<usize> {
        let registry = &core.shard.rest.bus.registry;
        let count = |name: &[u8]| {
            if core.owner(name) == core.id { registry.count(self.topic, name) } else { 0 }
        };
        self.names.iter().map(|name| count(name)).collect()
    }

    fn finish(
        &self,
        answers: Vec<Vec<usize>>,
        _: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        reply.array(self.names.len() * 2);
        for (at, name) in self.names.iter().enumerate() {
            reply.bulk(name);
            reply.int(answers.iter().map(|counts| counts[at] as i64).sum());
        }
        Ok(())
    }
}

/// Every core knows all patterns.
pub(super) fn numpat(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let patterns = session.core.shard.rest.bus.registry.names(Topic::Pattern).count();
    session.reply(|reply| reply.int(patterns as i64));
    Ok(())
}
