//! COMMAND DOCS.

use bobbin_proto::Reply;

use super::syntax::{self, Argument, Shape};
use crate::command::spec::{Begin, Command, KeySpec};
use crate::command::{Args, Session, commands, find_any, subcommands};
use crate::error::CommandError;

/// Names that are no command's are left out.
pub(super) fn docs(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let rows: Vec<_> = match args.len() {
        2 => commands().collect(),
        _ => args.iter_from(2).filter_map(find_any).collect(),
    };
    session.reply(|reply| {
        reply.map(rows.len());
        rows.iter().for_each(|row| named(reply, row));
    });
    Ok(())
}

fn named(reply: &mut Reply<'_>, row: &Command) {
    reply.bulk(row.name.as_bytes());
    document(reply, row);
}

fn document(reply: &mut Reply<'_>, row: &Command) {
    let arguments = syntax::parse(row.syntax).expect("the table's tests read every syntax");
    let subs = subcommands(row).count();
    let texts = [("summary", row.summary), ("since", row.since), ("group", row.group.name())];
    let complexity = (!row.complexity.is_empty()).then_some(("complexity", row.complexity));
    let texts = texts.into_iter().chain(complexity);
    let deprecated = row.deprecated.map_or(0, |_| 3);
    let more = usize::from(!arguments.is_empty()) + usize::from(subs > 0);
    reply.map(texts.clone().count() + deprecated + more);
    texts.for_each(|(name, text)| pair(reply, name, text));
    if let Some(deprecated) = row.deprecated {
        reply.bulk(b"doc_flags");
        reply.set(1);
        reply.simple("deprecated");
        pair(reply, "deprecated_since", deprecated.since);
        pair(reply, "replaced_by", deprecated.instead);
    }
    if !arguments.is_empty() {
        reply.bulk(b"arguments");
        KeyCounter::new(row).arguments(reply, &arguments);
    }
    if subs > 0 {
        reply.bulk(b"subcommands");
        reply.map(subs);
        subcommands(row).for_each(|sub| named(reply, sub));
    }
}

fn pair(reply: &mut Reply<'_>, name: &str, text: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(text.as_bytes());
}

/// Gives every key argument the key specification it belongs to: the next, and the last to all that remain. Patterns
/// that lead to keys share one.
struct KeyCounter {
    specs: usize,
    next: usize,
    by_pattern: Option<usize>,
}

impl KeyCounter {
    fn new(row: &Command) -> Self {
        let leads_to_keys = |spec: &KeySpec| matches!(spec.begin, Begin::Unknown) && !spec.writes();
        Self { specs: row.keys.len(), next: 0, by_pattern: row.keys.iter().position(leads_to_keys) }
    }

    fn spec_of(&mut self, shape: &Shape) -> Option<usize> {
        match shape {
            Shape::Pattern => self.by_pattern,
            Shape::Key if self.specs > 0 => {
                let next = self.next + usize::from(self.by_pattern == Some(self.next));
                self.next = next + 1;
                Some(next.min(self.specs - 1))
            }
            _ => None,
        }
    }

    fn arguments(&mut self, reply: &mut Reply<'_>, arguments: &[Argument]) {
        reply.array(arguments.len());
        arguments.iter().for_each(|argument| self.argument(reply, argument));
    }

    fn argument(&mut self, reply: &mut Reply<'_>, argument: &Argument) {
        let spec = self.spec_of(&argument.shape);
        let inner = argument.shape.inner();
        let flags: Vec<_> = argument.flag_names().collect();
        let optional_fields = [spec.is_some(), argument.token.is_some(), !flags.is_empty()];
        reply.map(3 + optional_fields.iter().filter(|is_there| **is_there).count());
        pair(reply, "name", &argument.name);
        pair(reply, "type", argument.shape.name());
        if inner.is_none() {
            pair(reply, "display_text", &argument.name);
        }
        if let Some(spec) = spec {
            reply.bulk(b"key_spec_index");
            reply.int(spec as i64);
        }
        if let Some(token) = argument.token {
            pair(reply, "token", token);
        }
        if !flags.is_empty() {
            reply.bulk(b"flags");
            reply.set(flags.len());
            flags.iter().for_each(|flag| reply.simple(flag));
        }
        if let Some(inner) = inner {
            reply.bulk(b"arguments");
            self.arguments(reply, inner);
        }
    }
}
