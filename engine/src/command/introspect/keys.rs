//! COMMAND GETKEYS and COMMAND GETKEYSANDFLAGS: the row's key specifications, applied to a command.

use super::info::key_flags;
use crate::command::spec::{Command, flag, key_flag};
use crate::command::{Args, OwnedArgs, Session, find, find_sub};
use crate::error::CommandError;

pub(super) fn keys(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    answer(session, args, false)
}

pub(super) fn keys_and_flags(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    answer(session, args, true)
}

fn answer(session: &mut Session<'_>, args: Args<'_>, with_flags: bool) -> Result<(), CommandError> {
    let whole = OwnedArgs::new(args.iter_from(2));
    let whole = whole.as_args();
    let found = keys_of(whole)?;
    session.reply(|reply| {
        reply.array(found.len());
        for (index, flags) in found {
            if with_flags {
                reply.array(2);
            }
            reply.bulk(whole.at(index));
            if with_flags {
                key_flags(reply, flags);
            }
        }
    });
    Ok(())
}

/// Index and flags of every key.
fn keys_of(args: Args<'_>) -> Result<Vec<(usize, u16)>, CommandError> {
    let row = lookup(args).ok_or(CommandError::text("ERR Invalid command specified"))?;
    if row.keys.iter().all(|spec| spec.flags & key_flag::NOT_KEY != 0) {
        return Err(CommandError::text("ERR The command has no key arguments"));
    }
    if !row.accepts(args.len()) {
        return Err(CommandError::text("ERR Invalid number of arguments specified for command"));
    }
    let mut found = Vec::new();
    row.key_flags_of(args, |index, flags| found.push((index, flags)));
    if !row.has_all_keys(args) {
        found.clear();
    }
    if found.is_empty() && !row.has(flag::NO_MANDATORY_KEYS) {
        return Err(CommandError::text("ERR Invalid arguments specified for command"));
    }
    Ok(found)
}

fn lookup(args: Args<'_>) -> Option<&'static Command> {
    let row = find(args.at(0))?;
    if row.is_container() && args.len() > 1 { find_sub(row, args.at(1)) } else { Some(row) }
}
