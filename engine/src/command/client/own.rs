//! What a connection says of itself: its name, its library, how it wants to be treated.

use crate::command::{Args, Session};
use crate::conn::ReplyMode;
use crate::error::CommandError;
use crate::mesh::SessionBits;

pub(super) fn id(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let id = session.conn.client_id as i64;
    session.reply(|reply| reply.int(id));
    Ok(())
}

pub(super) fn name(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let name = session.conn.about.name.clone();
    session.reply(|reply| if name.is_empty() { reply.null() } else { reply.bulk(&name) });
    Ok(())
}

pub(super) fn set_name(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    check_name(args.at(2))?;
    session.conn.about.name = args.at(2).to_vec();
    session.ok();
    Ok(())
}

/// A name stands in CLIENT LIST, whose readers split at spaces and line ends.
pub fn check_name(name: &[u8]) -> Result<(), CommandError> {
    if is_one_word(name) {
        return Ok(());
    }
    Err(CommandError::text("ERR Client names cannot contain spaces, newlines or special characters."))
}

fn is_one_word(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_graphic)
}

pub(super) fn set_info(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (attribute, value) = (args.at(2), args.at(3));
    let about = &mut session.conn.about;
    let place = if args.is(2, "lib-name") {
        &mut about.lib_name
    } else if args.is(2, "lib-ver") {
        &mut about.lib_version
    } else {
        return Err(CommandError::quoting("ERR Unrecognized option '", attribute, "'"));
    };
    if !is_one_word(value) {
        let after = " cannot contain spaces, newlines or special characters.";
        return Err(CommandError::quoting("ERR ", attribute, after));
    }
    *place = value.to_vec();
    session.ok();
    Ok(())
}

/// ON answers for itself; the other two are not answered.
pub(super) fn reply(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let mode = &mut session.conn.reply_mode;
    if args.is(2, "ON") {
        *mode = ReplyMode::On;
        session.ok();
    } else if args.is(2, "OFF") {
        *mode = ReplyMode::Off;
    } else if !args.is(2, "SKIP") {
        return Err(CommandError::Syntax);
    } else if *mode != ReplyMode::Off {
        *mode = ReplyMode::SkipNext;
    }
    Ok(())
}

pub(super) fn no_evict(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    switch(session, args, SessionBits::NO_EVICT)
}

pub(super) fn no_touch(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    switch(session, args, SessionBits::NO_TOUCH)
}

fn switch(session: &mut Session<'_>, args: Args<'_>, bit: u16) -> Result<(), CommandError> {
    session.conn.session.set(bit, parse_switch(args)?);
    session.ok();
    Ok(())
}

/// ON or OFF behind the subcommand.
pub(super) fn parse_switch(args: Args<'_>) -> Result<bool, CommandError> {
    if args.is(2, "ON") {
        Ok(true)
    } else if args.is(2, "OFF") {
        Ok(false)
    } else {
        Err(CommandError::Syntax)
    }
}
