//! `bobbin-bench`: the command line.

use std::process::ExitCode;

use std::fmt::Display;
use std::path::Path;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

use bobbin_bench::args::LoadArgs;
use bobbin_bench::compare::{CompareArgs, compare};
use bobbin_bench::growth::{GrowthArgs, growth};
use bobbin_bench::idle::{IdleArgs, idle};
use bobbin_bench::memory::{MemoryArgs, memory};
use bobbin_bench::null::{self, NullArgs};
use bobbin_bench::overload::{OverloadArgs, overload};
use bobbin_bench::{Error, interrupt, report, run};

/// Loads a server that speaks the Redis protocol, and measures it.
#[derive(Debug, Parser)]
#[command(name = "bobbin-bench", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    load: LoadArgs,
    #[command(subcommand)]
    measurement: Option<Measurement>,
}

#[derive(Debug, Subcommand)]
enum Measurement {
    /// Load on a server that is running; what happens without a subcommand too
    Load(Box<LoadArgs>),
    /// Servers side by side: requests per second, CPU per request, latency, memory
    Compare(CompareArgs),
    /// Resident bytes per key
    Memory(MemoryArgs),
    /// CPU time of a server whose connections do nothing
    Idle(IdleArgs),
    /// The longest reply while a server is filled from empty
    Growth(GrowthArgs),
    /// Latency of one client while others behave badly
    Overload(OverloadArgs),
    /// A server that answers +OK to everything: the floor of what any server costs
    NullServer(NullArgs),
}

fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let mut cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match (&mut cli.measurement, matches.subcommand_matches("load")) {
        (Some(Measurement::Load(args)), Some(matches)) => args.attach_commands(matches),
        _ => cli.load.attach_commands(&matches),
    }
    match dispatch(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bobbin-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the figures stand for what was asked.
fn dispatch(cli: &Cli) -> Result<bool, Error> {
    interrupt::install()?;
    allow_all_descriptors()?;
    match &cli.measurement {
        None => return load(&cli.load),
        Some(Measurement::Load(args)) => return load(args),
        Some(Measurement::Compare(args)) => {
            let comparison = compare(args)?;
            show(&comparison, args.peers.json_out_file.as_deref())?;
            if let Some(name) = &args.save {
                report::write_text(&name.with_added_extension("txt"), &comparison.to_string())?;
                report::write_json(&name.with_added_extension("json"), &comparison)?;
                report::write_page(&name.with_added_extension("html"), comparison.html())?;
            }
            return Ok(comparison.is_whole());
        }
        Some(Measurement::Memory(args)) => show(&memory(args)?, args.peers.json_out_file.as_deref())?,
        Some(Measurement::Idle(args)) => show(&idle(args)?, args.peers.json_out_file.as_deref())?,
        Some(Measurement::Growth(args)) => show(&growth(args)?, args.peers.json_out_file.as_deref())?,
        Some(Measurement::Overload(args)) => show(&overload(args)?, args.peers.json_out_file.as_deref())?,
        Some(Measurement::NullServer(args)) => null::serve(args)?,
    }
    Ok(true)
}

/// Connections are descriptors, here and in the servers that are started; the soft limit is for
/// programs that use select(2).
fn allow_all_descriptors() -> Result<(), Error> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    setrlimit(Resource::Nofile, raised).map_err(|errno| Error::System {
        what: "cannot raise the descriptor limit".to_owned(),
        source: errno.into(),
    })
}

fn show(outcome: &(impl Display + Serialize), json: Option<&Path>) -> Result<(), Error> {
    print!("{outcome}");
    json.map_or(Ok(()), |path| report::write_json(path, outcome))
}

fn load(args: &LoadArgs) -> Result<bool, Error> {
    let report = run::run(args)?;
    print!("{}", report.text());
    if let Some(path) = &args.output.json_out_file {
        report::write_json(path, &report)?;
    }
    if let Some(path) = &args.output.html_out_file {
        report::write_page(path, report.html())?;
    }
    Ok(report.is_sound())
}
