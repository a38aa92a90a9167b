//! COMMAND COUNT and COMMAND LIST.

use crate::command::spec::{Command, acl};
use crate::command::{Args, Session, TABLE, commands};
use crate::error::CommandError;
use crate::store::{Case, glob_matches};

pub(super) fn count(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    session.reply(|reply| reply.int(commands().count() as i64));
    Ok(())
}

/// Containers and their subcommands are all named.
pub(super) fn list(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let filter = if args.len() == 2 { Filter::All } else { Filter::parse(args)? };
    let names: Vec<&str> = TABLE.iter().filter(|row| filter.fits(row)).map(|row| row.name).collect();
    session.reply(|reply| {
        reply.array(names.len());
        names.iter().for_each(|name| reply.bulk(name.as_bytes()));
    });
    Ok(())
}

enum Filter<'a> {
    All,
    /// No command is a module's.
    Module,
    /// A category there is none of fits nothing.
    Category(Option<u32>),
    Pattern(&'a [u8]),
}

impl<'a> Filter<'a> {
    fn parse(args: Args<'a>) -> Result<Self, CommandError> {
        if args.len() != 5 || !args.is(2, "FILTERBY") {
            return Err(CommandError::Syntax);
        }
        if args.is(3, "MODULE") {
            Ok(Self::Module)
        } else if args.is(3, "ACLCAT") {
            let category = acl::NAMES.iter().find(|(_, name)| args.is(4, name));
            Ok(Self::Category(category.map(|&(bit, _)| bit)))
        } else if args.is(3, "PATTERN") {
            Ok(Self::Pattern(args.at(4)))
        } else {
            Err(CommandError::Syntax)
        }
    }

    fn fits(&self, row: &Command) -> bool {
        match *self {
            Self::All => true,
            Self::Module => false,
            Self::Category(bit) => bit.is_some_and(|bit| row.categories() & bit != 0),
            Self::Pattern(pattern) => glob_matches(pattern, row.name.as_bytes(), Case::Ignored),
        }
    }
}
