//! HELP of every container, made from the rows of its subcommands, in Redis's format; and the error that points to
//! it.

use super::spec::Command;
use super::{Args, Session, commands, subcommands};
use crate::error::{CommandError, beginning, printable};

/// The handler of every `container|help`.
pub fn help(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let container = session.command.container().unwrap_or(session.command.name);
    let lines = lines(container);
    session.reply(|reply| {
        reply.array(lines.len());
        lines.iter().for_each(|line| reply.simple(line));
    });
    Ok(())
}

/// A subcommand's arguments are of a number that its arity lets through and its handler does not.
pub(super) fn wrong_usage(args: Args<'_>) -> CommandError {
    let container = printable(args.at(0)).to_ascii_uppercase();
    let after = format!("'. Try {container} HELP.");
    let before = "ERR unknown subcommand or wrong number of arguments for '";
    CommandError::quoting(before, beginning(args.at(1)), after)
}

fn lines(container: &str) -> Vec<String> {
    let mut lines = vec![format!(
        "{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        container.to_ascii_uppercase()
    )];
    let Some(row) = commands().find(|row| row.name == container) else { return lines };
    for sub in subcommands(row).filter(|sub| !is_help(sub)).chain(subcommands(row).filter(|sub| is_help(sub)))
    {
        let name = sub_name(sub).to_ascii_uppercase();
        lines.push(if sub.syntax.is_empty() { name } else { format!("{name} {}", sub.syntax) });
        lines.push(format!("    {}", sub.summary));
    }
    lines
}

fn is_help(sub: &Command) -> bool {
    sub_name(sub) == "help"
}

fn sub_name(sub: &Command) -> &'static str {
    sub.name.split_once('|').map_or(sub.name, |(_, sub)| sub)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subcommand_is_helped_with_and_help_comes_last() {
        for container in commands().filter(|row| subcommands(row).next().is_some()) {
            let lines = lines(container.name);
            assert_eq!(lines.len(), 1 + 2 * subcommands(container).count());
            assert_eq!(lines[lines.len() - 2], "HELP", "{}", container.name);
        }
    }
}
