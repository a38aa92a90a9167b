//! `bobbin-bench`: the command line.

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};

use bobbin_bench::args::LoadArgs;
use bobbin_bench::{Error, interrupt, report, run};

/// Loads a server that speaks the Redis protocol, and measures it.
#[derive(Debug, Parser)]
#[command(name = "bobbin-bench", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    load: LoadArgs,
}

fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let mut cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    cli.load.attach_commands(&matches);
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
    load(&cli.load)
}

fn load(args: &LoadArgs) -> Result<bool, Error> {
    let report = run::run(args)?;
    print!("{}", report.text());
    if let Some(path) = &args.output.json_out_file {
        report::write_json(path, &report)?;
    }
    Ok(report.is_sound())
}
