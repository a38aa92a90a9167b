//! From files, standard input and the command line to a `Config`.
//!
//! Later lines override earlier ones; lines of a directive that gathers (`save`) add up. Includes are read where
//! they stand, by glob pattern if the name is one. Refused, with the place, the line and what would be right:
//! unknown directives, bad values, unbalanced quotes, missing files, includes that never end.

use std::{
    fmt, fs,
    io::{self, Read as _},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use super::{
    Config, DIRECTIVES, RenamedCommand,
    cli::Arguments,
    directive::{Class, Directive},
    setting::Load,
    syntax,
};

/// Files may include files, so deep and no deeper.
const INCLUDE_DEPTH_MAX: usize = 16;

/// A name is taken for a slip of the finger if it is so many edits from a known one, and not half rewritten by them.
const TYPO_DISTANCE_MAX: usize = 3;

/// No directive's name is longer; the distance of a longer one is not worth its time.
const NAME_BYTES_MAX: usize = 64;

/// Directives that only a file or the command line can hold.
const FILE_ONLY: [&str; 5] = ["include", "rename-command", "user", "loadmodule", "sentinel"];

/// True for the directives that are not settings, so have no row.
pub(super) fn is_file_only(name: &[u8]) -> bool {
    FILE_ONLY.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Where a line came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    File { path: PathBuf, line: usize },
    StandardInput { line: usize },
    CommandLine,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(out, "{}:{line}", path.display()),
            Self::StandardInput { line } => write!(out, "standard input:{line}"),
            Self::CommandLine => out.write_str("command line"),
        }
    }
}

/// Why the configuration could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{place}: {problem}\n  line:     {text}\n  expected: {expected}")]
    Line { place: Place, text: String, problem: String, expected: String },
    #[error("can't open config file '{}': {cause}", path.display())]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error("can't read the configuration from standard input: {0}")]
    StandardInput(io::Error),
}

/// What the loader found.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// Inert directives that were given a value, in table order.
    pub without_effect: Vec<&'static Directive>,
}

/// Reads what the command line names, in Redis's order: file, standard input, options.
pub fn load(arguments: &Arguments) -> Result<Loaded, LoadError> {
    let mut loader = Loader::default();
    if let Some(path) = &arguments.file {
        let text = fs::read(path).map_err(|cause| LoadError::Unreadable { path: path.clone(), cause })?;
        loader.file_lines(path, &text, 0)?;
        loader.config.file = Some(std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    }
    if arguments.standard_input {
        let mut text = Vec::new();
        io::stdin().read_to_end(&mut text).map_err(LoadError::StandardInput)?;
        loader.lines(&text, 0, |line| Place::StandardInput { line })?;
    }
    for option in &arguments.options {
        loader.line(option, 0, &Place::CommandLine)?;
    }
    Ok(loader.finish())
}

/// Reads `text` as the content of a file called `path`.
pub fn load_text(path: &Path, text: &[u8]) -> Result<Loaded, LoadError> {
    let mut loader = Loader::default();
    loader.file_lines(path, text, 0)?;
    Ok(loader.finish())
}

#[derive(Default)]
struct Loader {
    config: Config,
    /// Directives that were given, in order, each once.
    given: Vec<&'static Directive>,
}

/// What is wrong with a line, before it is known which line it is.
struct Fault {
    problem: String,
    expected: String,
}

impl Loader {
    fn file_lines(&mut self, path: &Path, text: &[u8], depth: usize) -> Result<(), LoadError> {
        self.lines(text, depth, |line| Place::File { path: path.to_owned(), line })
    }

    fn lines(&mut self, text: &[u8], depth: usize, place: impl Fn(usize) -> Place) -> Result<(), LoadError> {
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            self.line(line, depth, &place(index + 1))?;
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8], depth: usize, place: &Place) -> Result<(), LoadError> {
        let line = line.trim_ascii();
        if line.first().is_none_or(|byte| *byte == b'#') {
            return Ok(());
        }
        let at_place = |fault: Fault| LoadError::Line {
            place: place.clone(),
            text: shown(line),
            problem: fault.problem,
            expected: fault.expected,
        };
        let words = syntax::split_words(line).ok_or_else(|| at_place(unbalanced()))?;
        match words.as_slice() {
            [name, pattern] if name.eq_ignore_ascii_case(b"include") => {
                let paths = included(pattern, depth).map_err(at_place)?;
                paths.iter().try_for_each(|path| {
                    let text = fs::read(path).map_err(|cause| at_place(unreadable(path, &cause)))?;
                    self.file_lines(path, &text, depth + 1)
                })
            }
            [name, values @ ..] => self.directive(name, values).map_err(at_place),
            [] => Ok(()),
        }
    }

    fn directive(&mut self, name: &[u8], values: &[Vec<u8>]) -> Result<(), Fault> {
        let Some(row) = Directive::find(name) else { return self.file_only(name, values) };
        let first = !self.given.contains(&row);
        let load = if first { Load::Replace } else { Load::Gather };
        let result = match values {
            // One quoted word may hold all the words: `--save "900 1 300 10"`.
            [all] if row.kind.takes_many() && !all.is_empty() => {
                let words = syntax::split_words(all).ok_or_else(unbalanced)?;
                row.assign(&mut self.config, &words, load)
            }
            _ => row.assign(&mut self.config, values, load),
        };
        result.map_err(|problem| Fault {
            problem: problem.to_string(),
            expected: format!("{} <{}>", row.name, row.kind.expected()),
        })?;
        if first {
            self.given.push(row);
        }
        Ok(())
    }

    fn file_only(&mut self, name: &[u8], values: &[Vec<u8>]) -> Result<(), Fault> {
        let fault =
            |problem: &str, expected: &str| Err(Fault { problem: problem.into(), expected: expected.into() });
        match (name.to_ascii_lowercase().as_slice(), values) {
            (b"rename-command", [from, to]) => {
                self.config
                    .renamed_commands
                    .push(RenamedCommand { from: from.as_slice().into(), to: to.as_slice().into() });
                Ok(())
            }
            (b"rename-command", _) => {
                fault("wrong number of arguments", "rename-command <command> <new name, or \"\">")
            }
            (b"include", _) => fault("wrong number of arguments", "include <path or glob pattern>"),
            (b"user", _) => fault("users cannot be declared here", "requirepass <password> instead"),
            (b"loadmodule", _) => fault("modules cannot be loaded here", "no loadmodule line"),
            (b"sentinel", _) => fault("sentinel directive while not in sentinel mode", "no sentinel line"),
            _ => Err(unknown(name)),
        }
    }

    fn finish(self) -> Loaded {
        let is_ineffective = |row: &&Directive| row.class == Class::Inert && self.given.contains(row);
        Loaded { without_effect: DIRECTIVES.iter().filter(is_ineffective).collect(), config: self.config }
    }
}

/// A line for an error message: passwords stay out of logs.
fn shown(line: &[u8]) -> String {
    let name = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    match Directive::find(name) {
        Some(row) if row.is_sensitive() => format!("{} (not shown)", row.name),
        _ => String::from_utf8_lossy(line).into_owned(),
    }
}

fn unreadable(path: &Path, cause: &io::Error) -> Fault {
    Fault { problem: format!("can't open '{}': {cause}", path.display()), expected: "a file to read".into() }
}

fn unbalanced() -> Fault {
    Fault {
        problem: "Unbalanced quotes in configuration line".into(),
        expected: "a closing quote, followed by a blank or the end of the line".into(),
    }
}

fn unknown(name: &[u8]) -> Fault {
    let name = String::from_utf8_lossy(name).to_lowercase();
    let expected = match nearest(&name) {
        Some(known) => format!("a known directive: did you mean '{known}'?"),
        None => "a known directive".into(),
    };
    Fault { problem: format!("unknown directive '{name}'"), expected }
}

fn nearest(name: &str) -> Option<&'static str> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let known = DIRECTIVES.iter().flat_map(Directive::names).chain(FILE_ONLY);
    let (distance, known) = known.map(|known| (strsim::damerau_levenshtein(name, known), known)).min()?;
    (distance <= TYPO_DISTANCE_MAX.min(name.len() / 2)).then_some(known)
}

/// The files an include names. A pattern may match none; a plain name must exist, which opening it finds out.
fn included(pattern: &[u8], depth: usize) -> Result<Vec<PathBuf>, Fault> {
    if depth == INCLUDE_DEPTH_MAX {
        let expected = "files that do not include themselves".into();
        return Err(Fault { problem: format!("includes nest deeper than {INCLUDE_DEPTH_MAX}"), expected });
    }
    if !pattern.iter().any(|byte| b"*?[".contains(byte)) {
        return Ok(vec![Path::new(std::ffi::OsStr::from_bytes(pattern)).to_owned()]);
    }
    let invalid = |problem: String| Fault { problem, expected: "include <path or glob pattern>".into() };
    let text = std::str::from_utf8(pattern).map_err(|_| invalid("the pattern is not UTF-8".into()))?;
    let matches = glob::glob(text).map_err(|error| invalid(error.to_string()))?;
    matches.map(|entry| entry.map_err(|error| invalid(error.to_string()))).collect()
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
