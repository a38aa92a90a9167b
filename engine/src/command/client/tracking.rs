//! Client-side caching: this server keeps no track of what its clients cache. Turning it off is granted, asking is
//! answered, and turning it on is refused, after Redis's checks of the options.

use super::own::parse_switch;
use crate::command::{Args, Session};
use crate::error::CommandError;
use crate::store::parse_canonical;

pub(super) fn tracking(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let options = Options::parse(args)?;
    if parse_switch(args)? {
        options.check()?;
        return Err(CommandError::text("ERR client-side caching is not supported by this server"));
    }
    session.ok();
    Ok(())
}

#[derive(Default)]
struct Options {
    broadcast: bool,
    opt_in: bool,
    opt_out: bool,
    prefixed: bool,
    redirected: bool,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut at = 3;
        while at < args.len() {
            if args.is(at, "BCAST") {
                options.broadcast = true;
            } else if args.is(at, "OPTIN") {
                options.opt_in = true;
            } else if args.is(at, "OPTOUT") {
                options.opt_out = true;
            } else if args.is(at, "PREFIX") && at + 1 < args.len() {
                options.prefixed = true;
                at += 1;
            } else if args.is(at, "REDIRECT") && at + 1 < args.len() {
                at += 1;
                options.redirect(args.at(at))?;
            } else if !args.is(at, "NOLOOP") {
                return Err(CommandError::Syntax);
            }
            at += 1;
        }
        Ok(options)
    }

    fn redirect(&mut self, id: &[u8]) -> Result<(), CommandError> {
        if self.redirected {
            return Err(CommandError::text("ERR A client can only redirect to a single other client"));
        }
        parse_canonical(id).ok_or(CommandError::NotInteger)?;
        self.redirected = true;
        Ok(())
    }

    fn check(&self) -> Result<(), CommandError> {
        if self.prefixed && !self.broadcast {
            return Err(CommandError::text("ERR PREFIX option requires BCAST mode to be enabled"));
        }
        if self.broadcast && (self.opt_in || self.opt_out) {
            return Err(CommandError::text("ERR OPTIN and OPTOUT are not compatible with BCAST"));
        }
        if self.opt_in && self.opt_out {
            return Err(CommandError::text("ERR You can't specify both OPTIN mode and OPTOUT mode"));
        }
        Ok(())
    }
}

pub(super) fn caching(_: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    Err(CommandError::text(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
    ))
}

pub(super) fn redirection(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    session.reply(|reply| reply.int(-1));
    Ok(())
}

pub(super) fn info(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    session.reply(|reply| {
        reply.map(3);
        reply.bulk(b"flags");
        reply.set(1);
        reply.bulk(b"off");
        reply.bulk(b"redirect");
        reply.int(-1);
        reply.bulk(b"prefixes");
        reply.array(0);
    });
    Ok(())
}
