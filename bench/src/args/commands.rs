//! The flags that say what is sent: the mix by --ratio, by --command or by a file, and the values.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args};

use super::PatternLetter;
use crate::Error;

/// A connection's turn lists every share of it.
const RATIO_MAX: u32 = 1_000_000;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Commands and values")]
pub struct CommandArgs {
    /// SET to GET ratio
    #[arg(long, value_name = "SETS:GETS", default_value = "1:10", value_parser = ratio, conflicts_with = "command")]
    pub ratio: (u32, u32),
    /// A command to send instead, quoted as in redis-cli; `__key__` and `__data__` stand for a key and
    /// its value, and a lone `;` joins several to one request. May be repeated
    #[arg(long, value_name = "LINE")]
    pub command: Vec<String>,
    /// A file of commands to send instead, one in a line as RATIO PATTERN COMMAND, such as
    /// `3 Z GET __key__`; lines that begin with # are skipped
    #[arg(long, value_name = "FILE", conflicts_with_all = ["command", "ratio"])]
    pub command_file: Option<PathBuf>,
    /// How often the --command before it is sent in its turn
    #[arg(long, value_name = "NUMBER", requires = "command")]
    pub command_ratio: Vec<u32>,
    /// Key pattern of the --command before it
    #[arg(long, value_name = "PATTERN", requires = "command")]
    pub command_key_pattern: Vec<PatternLetter>,
    /// Bytes of a value
    #[arg(short, long, value_name = "BYTES", default_value_t = 32)]
    pub data_size: usize,
    /// Write every key once before the run
    #[arg(long)]
    pub populate: bool,
    /// The command that --populate runs for every key
    #[arg(long, value_name = "LINE", default_value = "SET __key__ __data__", requires = "populate")]
    pub populate_command: String,
    /// Check every reply to a GET, and read every key back after the run
    #[arg(long, alias = "data-verify")]
    pub verify: bool,
    /// The lines above with their own options, by order on the command line.
    #[arg(skip)]
    lines: Vec<CommandLine>,
}

/// One command of the mix.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CommandLine {
    pub(super) line: String,
    pub(super) ratio: u32,
    pub(super) pattern: PatternLetter,
}

impl CommandArgs {
    /// Joins each --command with the options typed behind it.
    pub(super) fn attach(&mut self, matches: &ArgMatches) {
        let typed_at = |id: &str| matches.indices_of(id).into_iter().flatten().collect::<Vec<usize>>();
        let commands = typed_at("command");
        let owner = |at: usize| commands.iter().rposition(|command| *command < at).unwrap_or(0);
        let line = |line: &String| CommandLine { line: line.clone(), ratio: 1, pattern: PatternLetter::R };
        self.lines = self.command.iter().map(line).collect();
        for (at, ratio) in typed_at("command_ratio").into_iter().zip(&self.command_ratio) {
            self.lines[owner(at)].ratio = *ratio;
        }
        for (at, pattern) in typed_at("command_key_pattern").into_iter().zip(&self.command_key_pattern) {
            self.lines[owner(at)].pattern = *pattern;
        }
    }

    /// The mix as typed, read from its file, or memtier's SET and GET.
    pub(super) fn lines(&self, patterns: (PatternLetter, PatternLetter)) -> Result<Vec<CommandLine>, Error> {
        if let Some(path) = &self.command_file {
            return read_file(path);
        }
        if !self.lines.is_empty() {
            return Ok(self.lines.clone());
        }
        let line = |line: &str, ratio, pattern| CommandLine { line: line.to_owned(), ratio, pattern };
        Ok(vec![
            line("SET __key__ __data__", self.ratio.0, patterns.0),
            line("GET __key__", self.ratio.1, patterns.1),
        ])
    }
}

fn read_file(path: &Path) -> Result<Vec<CommandLine>, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::File { path: path.to_path_buf(), source })?;
    let is_command = |(_, line): &(usize, &str)| !line.is_empty() && !line.starts_with('#');
    let lines = (1..).zip(text.lines().map(str::trim)).filter(is_command);
    let parsed = lines.map(|(number, line)| {
        let refused =
            |reason| Error::flag("--command-file", format!("{}, line {number}: {reason}", path.display()));
        line_of_file(line).map_err(refused)
    });
    parsed.collect()
}

/// `RATIO PATTERN COMMAND`
fn line_of_file(text: &str) -> Result<CommandLine, String> {
    let (ratio, rest) = split_word(text)?;
    let (pattern, line) = split_word(rest)?;
    let ratio = share(ratio).ok_or_else(|| format!("{ratio:?} is not a ratio up to {RATIO_MAX}"))?;
    Ok(CommandLine { line: line.to_owned(), ratio, pattern: pattern.parse()? })
}

fn split_word(text: &str) -> Result<(&str, &str), String> {
    let (word, rest) = text.split_once(char::is_whitespace).ok_or("RATIO PATTERN COMMAND is expected")?;
    Ok((word, rest.trim_start()))
}

fn ratio(text: &str) -> Result<(u32, u32), String> {
    text.split_once(':')
        .and_then(|(sets, gets)| Some((share(sets)?, share(gets)?)))
        .ok_or_else(|| format!("two numbers up to {RATIO_MAX} are expected, as in 1:10"))
}

fn share(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number <= RATIO_MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn lines_of(text: &str) -> Result<Vec<CommandLine>, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        read_file(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_lists_ratio_pattern_and_command() {
        let lines = lines_of("# a mix\n\n 9  Z\t GET __key__\n1 R HSET __key__ f \"a b\"\n").unwrap();
        let line = |line: &str, ratio, pattern| CommandLine { line: line.to_owned(), ratio, pattern };
        let get = line("GET __key__", 9, PatternLetter::Z);
        assert_eq!(lines, [get, line("HSET __key__ f \"a b\"", 1, PatternLetter::R)]);
    }

    #[test]
    fn a_bad_line_of_a_file_is_named() {
        for (text, reason) in [
            ("1 R GET k\n1 R", "line 2: RATIO PATTERN COMMAND"),
            ("x R GET k", "\"x\" is not a ratio"),
            ("1 X GET k", "line 1: one of R, Z, G, S, P"),
            ("9999999 R GET k", "not a ratio"),
        ] {
            let error = lines_of(text).expect_err(text);
            assert!(error.contains(reason), "{text:?}: {error}");
        }
        assert!(read_file(Path::new("/nonexistent/mix")).is_err());
    }
}
