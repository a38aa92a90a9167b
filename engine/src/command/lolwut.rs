//! LOLWUT: a bobbin, wound with as much thread as asked for.

use std::fmt::Write;

use super::spec::{Command, Group, Run, command, flag};
use super::{Args, Session};
use crate::error::CommandError;
use crate::limits::REDIS_VERSION;
use crate::store::parse_canonical;

pub const ROWS: &[Command] =
    &[command("lolwut", -1, flag::READONLY | flag::FAST, Group::Server, Run::Conn(lolwut))
        .differs("Draws a bobbin.")
        .docs(
            "5.0.0",
            "O(N) with N turns of thread, 64 at most",
            "Draws a bobbin, and tells the server's version.",
            "[VERSION version] [turns]",
        )];

const TURNS_DEFAULT: usize = 9;
const TURNS_MAX: usize = 64;
/// Characters from one edge of the thread to the other.
const WIDTH: usize = 24;

fn lolwut(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let mut first = 1;
    if args.len() >= 3 && args.is(1, "VERSION") {
        parse_canonical(args.at(2)).ok_or(CommandError::NotInteger)?;
        first = 3;
    }
    let turns = args
        .get(first)
        .and_then(parse_canonical)
        .map_or(TURNS_DEFAULT, |turns| usize::try_from(turns).unwrap_or(0).min(TURNS_MAX));
    let text = format!(
        "{}\nBobbin ver. {} (Redis ver. {REDIS_VERSION})\n",
        draw(turns, &mut session.core.shard.rest.rng),
        env!("CARGO_PKG_VERSION")
    );
    session.reply(|reply| reply.verbatim(*b"txt", text.as_bytes()));
    Ok(())
}

/// Two flanges, a spindle, and thread that runs to one side and the other.
fn draw(turns: usize, rng: &mut fastrand::Rng) -> String {
    let flange = format!("  ({})\n", "=".repeat(WIDTH + 4));
    let spindle = format!("{:>1$}\n", "||", WIDTH / 2 + 6);
    let mut text = format!("{spindle}{flange}");
    for turn in 0..turns {
        let thread = if turn % 2 == 0 { '/' } else { '\\' };
        let slack = rng.usize(0..3);
        let wound = thread.to_string().repeat(WIDTH - 2 * slack);
        writeln!(text, "    {}|{wound}|", " ".repeat(slack)).expect("a String takes all");
    }
    text + &flange + &spindle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_line_for_every_turn() {
        for turns in [0, 1, TURNS_MAX] {
            let drawn = draw(turns, &mut fastrand::Rng::with_seed(1));
            assert_eq!(drawn.lines().count(), turns + 4);
            assert!(drawn.lines().all(|line| line.len() <= WIDTH + 8));
        }
    }
}
