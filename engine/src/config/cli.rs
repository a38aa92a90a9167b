//! The command line: `bobbin-server [config-file] [-] [--directive value …]`, or a word that asks for something else.
//!
//! An option is turned into the configuration line it stands for, by Redis's rules: `--name` starts a line and
//! what follows are its words, quoted, up to the next `--name`; the word after a bare `--name` is always a value,
//! even if it starts with `--`; `--save` without a value is `save ""`.

use std::{ffi::OsString, os::unix::ffi::OsStrExt as _, path::PathBuf};

use super::{Config, syntax};
use crate::check::Check;
use crate::transfer::{DATABASES_MAX, Export, Import, Readers, Source};

/// What to read the configuration from.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    pub file: Option<PathBuf>,
    pub standard_input: bool,
    /// Configuration lines.
    pub options: Vec<Vec<u8>>,
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Invocation {
    Run(Arguments),
    Check(Check),
    Export(Export),
    Import(Import),
    /// Ask the server that these start whether it serves.
    Ping(Arguments),
    /// Words that ask for nothing.
    Misuse,
    Version,
    Help,
}

pub const USAGE: &str = "\
Usage: bobbin-server [config-file] [-] [--directive value ...]
       bobbin-server check DIR [--repair]
       bobbin-server export DIR FILE [--snapshot] [--redis 7.4] [--databases N] [--force]
       bobbin-server import FILE DIR
       bobbin-server ping [config-file] [-] [--directive value ...]
       bobbin-server -v | --version
       bobbin-server -h | --help

A lone - reads the configuration from standard input. Options override the file.

check verifies the journal of a data directory that no server runs on; it ends with
0 if a server would start on it. With --repair it cuts off what is not whole, and
keeps that aside. ping asks the server that the same arguments start whether it serves;
it ends with 0 if so. (A config file of such a name is ./check or ./ping.)

export writes the keys of a data directory that no server runs on into one dump file,
which redis-server loads as its dump.rdb, from 7.0 on. It needs memory for all of them,
unless the journal is empty behind the last snapshot. --snapshot exports that snapshot
alone, also while a server runs (have it made with BGSAVE). --redis 7.4 also takes
hashes with fields that expire, which older ones do not load. --databases is to be
given where the server's configuration does. A file that is there already is replaced
only with --force.

import makes a dump file the data of a directory that has no keys; a server started on
that has its keys. It needs memory for the largest value alone. Keys whose time is over
are left out, as redis-server does; libraries of functions are left out as well. Run both
as the server's user. They end with 0 if all was done, and leave nothing half done.

Examples:
       bobbin-server                            run with the defaults
       bobbin-server /etc/bobbin/bobbin.conf
       bobbin-server --port 7777 --save \"\" --appendonly no
       bobbin-server bobbin.conf --reactors 4 --loglevel verbose
       echo 'maxmemory 128mb' | bobbin-server -
       bobbin-server import dump.rdb /var/lib/bobbin
       bobbin-server export /var/lib/bobbin dump.rdb
";

impl Invocation {
    /// `arguments` are those after the program's name.
    pub fn parse(arguments: &[OsString]) -> Self {
        match arguments.first().map(|first| first.as_bytes()) {
            Some(b"-v" | b"--version") => Self::Version,
            Some(b"-h" | b"--help") => Self::Help,
            Some(b"check" | b"export" | b"import" | b"ping") if asks_for_help(&arguments[1..]) => Self::Help,
            Some(b"check") => parse_check(&arguments[1..]),
            Some(b"export") => parse_export(&arguments[1..]).map_or(Self::Misuse, Self::Export),
            Some(b"import") => parse_import(&arguments[1..]),
            Some(b"ping") => Self::Ping(Arguments::parse(&arguments[1..])),
            _ => Self::Run(Arguments::parse(arguments)),
        }
    }
}

impl Arguments {
    fn parse(arguments: &[OsString]) -> Self {
        match arguments.first().map(|first| first.as_bytes()) {
            Some([first, ..]) if *first != b'-' => {
                let file = Some(PathBuf::from(&arguments[0]));
                Self { file, ..parse_options(&arguments[1..], false) }
            }
            _ => parse_options(arguments, true),
        }
    }
}

/// A directory, and perhaps what to do with it, in any order.
fn parse_check(arguments: &[OsString]) -> Invocation {
    let (options, dirs): (Vec<&OsString>, Vec<&OsString>) =
        arguments.iter().partition(|argument| argument.as_bytes().starts_with(b"--"));
    match (&dirs[..], &options[..]) {
        ([dir], []) => Invocation::Check(Check { dir: dir.into(), repair: false }),
        ([dir], [option]) if *option == "--repair" => {
            Invocation::Check(Check { dir: dir.into(), repair: true })
        }
        _ => Invocation::Misuse,
    }
}

fn asks_for_help(arguments: &[OsString]) -> bool {
    matches!(arguments, [only] if *only == "--help" || *only == "-h")
}

/// A directory, a file, and perhaps how, in any order. An option's value is the word behind it.
fn parse_export(arguments: &[OsString]) -> Option<Export> {
    let mut export = Export {
        dir: PathBuf::new(),
        file: PathBuf::new(),
        force: false,
        source: Source::State,
        readers: Readers::From7_0,
        databases: Config::default().databases,
    };
    let mut places = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_bytes() {
            b"--force" => export.force = true,
            b"--snapshot" => export.source = Source::Snapshot,
            b"--redis" => {
                export.readers = match words.next()?.as_bytes() {
                    b"7.0" | b"7.2" => Readers::From7_0,
                    b"7.4" => Readers::From7_4,
                    _ => return None,
                }
            }
            b"--databases" => {
                let number = words.next()?.to_str()?.parse().ok();
                export.databases = number.filter(|number| (1..=DATABASES_MAX).contains(number))?;
            }
            option if option.starts_with(b"--") => return None,
            _ => places.push(PathBuf::from(word)),
        }
    }
    [export.dir, export.file] = places.try_into().ok()?;
    Some(export)
}

fn parse_import(arguments: &[OsString]) -> Invocation {
    match arguments {
        [file, dir] if ![file, dir].iter().any(|word| word.as_bytes().starts_with(b"--")) => {
            Invocation::Import(Import { file: file.into(), dir: dir.into() })
        }
        _ => Invocation::Misuse,
    }
}

/// `may_start_with_dash`: a lone `-` asks for standard input where it is the first or the last of all arguments.
fn parse_options(arguments: &[OsString], may_start_with_dash: bool) -> Arguments {
    let mut parsed = Arguments::default();
    let mut awaits_value = false;
    for (index, argument) in arguments.iter().enumerate() {
        let word = argument.as_bytes();
        let next = arguments.get(index + 1).map(|next| next.as_bytes());
        let is_outermost = next.is_none() || (index == 0 && may_start_with_dash);
        match word.strip_prefix(b"--") {
            _ if word == b"-" && is_outermost => parsed.standard_input = true,
            Some(line) if !awaits_value => {
                let (line, awaits) = option_line(line, next);
                parsed.options.push(line);
                awaits_value = awaits;
            }
            _ => {
                append_word(&mut parsed.options, word);
                awaits_value = false;
            }
        }
    }
    parsed
}

/// The line an option starts, and whether the next argument is its value whatever it looks like.
fn option_line(line: &[u8], next: Option<&[u8]>) -> (Vec<u8>, bool) {
    let has_value = syntax::split_words(line).is_none_or(|words| words.len() != 1);
    let next_is_option = next.is_none_or(|next| next.starts_with(b"--"));
    if line.eq_ignore_ascii_case(b"save") && next_is_option {
        return (b"save \"\"".to_vec(), false);
    }
    (line.to_vec(), !has_value)
}

/// A word before any option is a line of its own: it will be refused as an unknown directive.
fn append_word(options: &mut Vec<Vec<u8>>, word: &[u8]) {
    if options.is_empty() {
        options.push(Vec::new());
    }
    if let Some(line) = options.last_mut() {
        line.push(b' ');
        line.extend(syntax::quote_if_needed(word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Invocation {
        Invocation::parse(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
    }

    fn options(arguments: &[&str]) -> Vec<String> {
        let Invocation::Run(parsed) = parse(arguments) else { panic!("does not run") };
        parsed.options.into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn options_become_lines() {
        assert_eq!(
            options(&["--port", "7777", "--save", "", "--appendonly", "no"]),
            ["port 7777", "save \"\"", "appendonly no"]
        );
        assert_eq!(options(&["--save", "900", "1", "300", "10"]), ["save 900 1 300 10"]);
        assert_eq!(options(&["--save", "900 1"]), ["save \"900 1\""]);
        assert_eq!(options(&["--port 6380", "--hz", "5"]), ["port 6380", "hz 5"]);
    }

    #[test]
    fn the_word_after_a_name_is_a_value_whatever_it_looks_like() {
        assert_eq!(
            options(&["--proc-title-template", "--x", "--hz", "5"]),
            ["proc-title-template --x", "hz 5"]
        );
        assert_eq!(options(&["--save", "--hz", "5"]), ["save \"\"", "hz 5"]);
        assert_eq!(options(&["--hz", "5", "--save"]), ["hz 5", "save \"\""]);
    }

    #[test]
    fn words_without_an_option_become_a_line_that_is_refused() {
        assert_eq!(options(&["-x"]), [" -x"]);
    }

    #[test]
    fn the_first_word_without_dash_is_the_file() {
        let Invocation::Run(parsed) = parse(&["a.conf", "--port", "1", "-"]) else { panic!("does not run") };
        assert_eq!(parsed.file, Some(PathBuf::from("a.conf")));
        assert!(parsed.standard_input);
        assert_eq!(parsed.options, [b"port 1"]);
    }

    #[test]
    fn a_dash_asks_for_standard_input_where_it_is_outermost() {
        for (arguments, expected) in [
            (&["-"] as &[&str], true),
            (&["-", "--port", "1"], true),
            (&["--port", "1", "-"], true),
            (&["--logfile", "-", "--port", "1"], false),
            (&[], false),
        ] {
            let Invocation::Run(parsed) = parse(arguments) else { panic!("does not run") };
            assert_eq!(parsed.standard_input, expected, "{arguments:?}");
        }
    }

    #[test]
    fn a_directory_is_checked() {
        let check = |repair| Invocation::Check(Check { dir: "data".into(), repair });
        assert_eq!(parse(&["check", "data"]), check(false));
        assert_eq!(
            (parse(&["check", "data", "--repair"]), parse(&["check", "--repair", "data"])),
            (check(true), check(true))
        );
        for misuse in
            [&["check"] as &[&str], &["check", "a", "b"], &["check", "a", "--port"], &["check", "--repair"]]
        {
            assert_eq!(parse(misuse), Invocation::Misuse, "{misuse:?}");
        }
        assert!(matches!(parse(&["./check"]), Invocation::Run(_)));
    }

    #[test]
    fn data_are_exported_and_imported() {
        let export = |source, readers, databases, force| {
            let [dir, file] = ["data", "dump.rdb"].map(PathBuf::from);
            Invocation::Export(Export { dir, file, force, source, readers, databases })
        };
        let plain = export(Source::State, Readers::From7_0, 16, false);
        assert_eq!(parse(&["export", "data", "dump.rdb"]), plain);
        assert_eq!(parse(&["export", "data", "dump.rdb", "--redis", "7.0"]), plain);
        assert_eq!(
            parse(&[
                "export",
                "--snapshot",
                "data",
                "--redis",
                "7.4",
                "dump.rdb",
                "--databases",
                "20",
                "--force"
            ]),
            export(Source::Snapshot, Readers::From7_4, 20, true)
        );
        let import = Import { file: "dump.rdb".into(), dir: "data".into() };
        assert_eq!(parse(&["import", "dump.rdb", "data"]), Invocation::Import(import));
        for misuse in [
            &["export"] as &[&str],
            &["export", "data"],
            &["export", "a", "b", "c"],
            &["export", "a", "b", "--redis"],
            &["export", "a", "b", "--redis", "6"],
            &["export", "a", "b", "--databases", "0"],
            &["export", "a", "b", "--databases", "x"],
            &["export", "a", "b", "--port"],
            &["import", "a"],
            &["import", "a", "b", "c"],
            &["import", "a", "--force"],
        ] {
            assert_eq!(parse(misuse), Invocation::Misuse, "{misuse:?}");
        }
        for word in ["check", "export", "import", "ping"] {
            assert_eq!(parse(&[word, "--help"]), Invocation::Help);
        }
        assert!(matches!(parse(&["./export"]), Invocation::Run(_)));
    }

    #[test]
    fn a_server_is_asked_with_the_arguments_that_start_it() {
        for arguments in [&[] as &[&str], &["a.conf", "--port", "1"], &["--port", "1"]] {
            let Invocation::Run(started) = parse(arguments) else { panic!("does not run") };
            assert_eq!(parse(&[&["ping"], arguments].concat()), Invocation::Ping(started));
        }
        assert!(matches!(parse(&["./ping"]), Invocation::Run(_)));
    }

    #[test]
    fn version_and_help_are_asked_for_first() {
        assert_eq!((parse(&["-v"]), parse(&["--version"])), (Invocation::Version, Invocation::Version));
        assert_eq!((parse(&["-h", "x"]), parse(&["--help"])), (Invocation::Help, Invocation::Help));
    }
}
