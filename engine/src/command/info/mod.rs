//! INFO: the server in figures, by section.
//!
//! Sections, fields and their order are those of Redis 7.2, because tools look for them; a field of something that
//! is not here has the value it has on a Redis that does not use it. The section `Reactors` is ours.

mod facts;
mod memory;
mod persistence;
mod sections;
mod stats;

use std::fmt::{Display, Write};

use bobbin_proto::Reply;

use super::spec::{Command, Group, Run, acl, command, flag};
use super::{Args, Session};
use crate::core::Core;
use crate::errand::{Errand, Targets};
use crate::error::CommandError;
use crate::observe::Report;
use facts::Facts;

pub const ROWS: &[Command] = &[command(
    "info",
    -1,
    flag::LOADING | flag::STALE | flag::BARRIER,
    Group::Server,
    Run::Conn(info),
)
.acl(acl::DANGEROUS)
.tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
.differs(
    "Each core is looked at in its own moment; redis_version is 7.2.4, and bobbin_version is Bobbin's own.",
)
.docs(
    "1.0.0",
    "O(N) with N clients",
    "Tells the state of the server in figures: the sections named, or those that are shown by default.",
    "[section [section ...]]",
)];

/// A part of INFO.
#[derive(Debug)]
struct Section {
    name: &'static str,
    /// Another name that means the same.
    alias: &'static str,
    title: &'static str,
    /// Shown when no section is named.
    by_default: bool,
    /// It tells of every command.
    commands: bool,
    write: fn(&Facts<'_>, &mut Fields<'_>),
}

const fn section(
    name: &'static str,
    title: &'static str,
    by_default: bool,
    write: fn(&Facts<'_>, &mut Fields<'_>),
) -> Section {
    Section { name, alias: name, title, by_default, commands: false, write }
}

impl Section {
    const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = alias;
        self
    }

    const fn of_commands(mut self) -> Self {
        self.commands = true;
        self
    }

    fn is_named(&self, name: &[u8]) -> bool {
        [self.name, self.alias].iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name))
    }
}

/// In the order in which they are told.
static SECTIONS: &[Section] = &[
    section("server", "Server", true, sections::server),
    section("clients", "Clients", true, sections::clients),
    section("memory", "Memory", true, memory::memory),
    section("persistence", "Persistence", true, persistence::persistence),
    section("stats", "Stats", true, stats::stats),
    section("replication", "Replication", true, sections::replication),
    section("cpu", "CPU", true, sections::cpu),
    section("modules", "Modules", true, sections::modules).alias("module_list"),
    section("commandstats", "Commandstats", false, stats::commandstats).of_commands(),
    section("errorstats", "Errorstats", true, stats::errorstats),
    section("latencystats", "Latencystats", false, stats::latencystats).of_commands(),
    section("cluster", "Cluster", true, sections::cluster),
    section("reactors", "Reactors", true, sections::reactors),
    section("keyspace", "Keyspace", true, sections::keyspace),
];

fn info(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    session.ask(Telling { sections: chosen(args) }, Targets::All);
    Ok(())
}

/// Unknown names are passed over, as in Redis.
fn chosen(args: Args<'_>) -> Vec<&'static Section> {
    let named = |word: &str| (1..args.len()).any(|index| args.is(index, word));
    let all = named("all") || named("everything");
    let default = args.len() == 1 || named("default");
    let is_chosen = |section: &&Section| {
        all || (default && section.by_default) || args.iter_from(1).any(|name| section.is_named(name))
    };
    SECTIONS.iter().filter(is_chosen).collect()
}

#[derive(Debug)]
struct Telling {
    sections: Vec<&'static Section>,
}

impl Errand for Telling {
    type Answer = Report;

    fn visit(&self, core: &mut Core) -> Report {
        Report::of(core, self.sections.iter().any(|section| section.commands))
    }

    fn finish(
        &self,
        answers: Vec<Report>,
        core: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        let facts = Facts::gather(&answers, &core.env);
        let mut text = String::new();
        for section in &self.sections {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            write!(text, "# {}\r\n", section.title).expect("a String takes all");
            (section.write)(&facts, &mut Fields(&mut text));
        }
        reply.verbatim(*b"txt", text.as_bytes());
        Ok(())
    }
}

/// Where a section's fields are written.
struct Fields<'a>(&'a mut String);

impl Fields<'_> {
    fn add(&mut self, name: impl Display, value: impl Display) {
        write!(self.0, "{name}:{value}\r\n").expect("a String takes all");
    }

    /// Fields in a row.
    fn add_all(&mut self, fields: &[(&str, &dyn Display)]) {
        fields.iter().for_each(|(name, value)| self.add(name, value));
    }

    /// Fields of what is not here.
    fn add_zeros(&mut self, names: &[&str]) {
        names.iter().for_each(|name| self.add(name, 0));
    }

    /// Bytes as a number, and again for people.
    fn add_bytes(&mut self, name: &str, bytes: u64) {
        self.add(name, bytes);
        self.add(format_args!("{name}_human"), Human(bytes));
    }
}

/// Bytes with the unit that fits, as Redis writes them.
struct Human(u64);

impl Display for Human {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const UNITS: [&str; 5] = ["K", "M", "G", "T", "P"];
        if self.0 < 1024 {
            return write!(out, "{}B", self.0);
        }
        let power = (self.0.ilog2() / 10).min(UNITS.len() as u32);
        let in_unit = self.0 as f64 / 1024_f64.powi(power as i32);
        write!(out, "{in_unit:.2}{}", UNITS[power as usize - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::OwnedArgs;

    fn names(request: &str) -> Vec<&'static str> {
        let words: Vec<_> = request.split(' ').map(str::as_bytes).collect();
        let args = OwnedArgs::new(words.into_iter());
        chosen(args.as_args()).into_iter().map(|section| section.name).collect()
    }

    #[test]
    fn sections_come_once_and_in_their_order() {
        assert_eq!(names("INFO stats SERVER stats nothing"), ["server", "stats"]);
        assert_eq!(names("INFO module_list"), ["modules"]);
        assert_eq!(names("INFO nothing"), [""; 0]);
    }

    #[test]
    fn all_is_more_than_default() {
        let default = names("INFO");
        assert!(!default.contains(&"commandstats") && default.contains(&"errorstats"));
        assert_eq!(names("INFO DEFAULT"), default);
        assert_eq!(names("INFO default commandstats").len(), default.len() + 1);
        for word in ["all", "Everything"] {
            assert_eq!(names(&format!("INFO {word}")).len(), SECTIONS.len());
        }
    }

    #[test]
    fn bytes_are_readable() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.00K"),
            (965_776, "943.14K"),
            (25_276_510_208, "23.54G"),
            (u64::MAX, "16384.00P"),
        ] {
            assert_eq!(Human(bytes).to_string(), text);
        }
    }
}
