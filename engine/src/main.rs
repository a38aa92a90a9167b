//! `bobbin-server`: reads the configuration, checks the machine and says what came of it; or checks the files of one
//! that does not run, exports and imports them, or asks one that runs whether it serves.

use std::{
    ffi::OsString,
    io::{IsTerminal as _, Stderr, Write as _},
    process::ExitCode,
};

use bobbin_engine::{
    allocator,
    check::Check,
    config::{self, AppendFsync, Arguments, Config, Invocation, Loaded},
    logging::Log,
    ping,
    server::Server,
    startup::{self, Host, Ready, banner::Banner},
    supervisor::Supervisor,
    transfer::{Export, Import, Meter, Stop},
};

/// Threads allocate and free without meeting each other, and sizes are rounded up little.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What jemalloc reads before the first allocation: the heap asks for huge pages. Look-ups go all over it, and with small
/// pages half of what one takes is finding the page. Nothing is copied on write here, as it would be by a server that forks.
#[unsafe(export_name = "_rjem_malloc_conf")]
static ALLOCATOR_OPTIONS: &[u8; 11] = b"thp:always\0";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match Invocation::parse(&arguments) {
        Invocation::Version => print(&format!("Bobbin server v={}\n", env!("CARGO_PKG_VERSION"))),
        Invocation::Help => print(config::USAGE),
        Invocation::Run(arguments) => start(&arguments),
        Invocation::Check(check) => run_check(&check),
        Invocation::Export(export) => run_export(&export),
        Invocation::Import(import) => run_import(&import),
        Invocation::Ping(arguments) => run_ping(&arguments),
        Invocation::Misuse => {
            eprint!("{}", config::USAGE);
            ExitCode::FAILURE
        }
    }
}

/// Nobody reads on: that is no failure.
fn print(text: &str) -> ExitCode {
    drop(std::io::stdout().write_all(text.as_bytes()));
    ExitCode::SUCCESS
}

fn run_check(check: &Check) -> ExitCode {
    match check.run(&mut std::io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => failed(&failure),
    }
}

fn run_export(export: &Export) -> ExitCode {
    transfer(|meter, stop| Ok(format!("{}: {}\n", export.run(meter, stop)?, export.file.display())))
}

fn run_import(import: &Import) -> ExitCode {
    transfer(|meter, stop| Ok(format!("{}: {}\n", import.run(meter, stop)?, import.dir.display())))
}

/// Says how far it is on standard error, and what came of it on standard output.
fn transfer(
    run: impl FnOnce(&mut Meter<Stderr>, &Stop) -> Result<String, Box<dyn std::error::Error>>,
) -> ExitCode {
    let stop = match Stop::on_signals() {
        Ok(stop) => stop,
        Err(failure) => return failed(&failure),
    };
    let stderr = std::io::stderr();
    let is_terminal = stderr.is_terminal();
    let ended = run(&mut Meter::new(stderr, is_terminal), &stop);
    match ended {
        Ok(text) => print(&text),
        Err(failure) => {
            let code = failed(failure.as_ref());
            stop.exit_code().map_or(code, ExitCode::from)
        }
    }
}

/// As a health check wants it: one line, and a code that says it all.
fn run_ping(arguments: &Arguments) -> ExitCode {
    match config::load(arguments) {
        Ok(loaded) => match ping::ping(&loaded.config) {
            Ok(()) => print("PONG\n"),
            Err(failure) => failed(&failure),
        },
        Err(failure) => failed(&failure),
    }
}

fn failed(failure: &dyn std::error::Error) -> ExitCode {
    eprintln!("bobbin-server: {failure}");
    ExitCode::FAILURE
}

fn start(arguments: &Arguments) -> ExitCode {
    match prepare(arguments) {
        Ok((ready, _log)) => {
            announce(&ready);
            serve(ready)
        }
        Err(failure) => failed(failure.as_ref()),
    }
}

/// Serves until a signal or a client ends it.
fn serve(ready: Ready) -> ExitCode {
    let supervisor = Supervisor::find(ready.config.supervised);
    let ended = Server::start(&ready).and_then(|server| server.run_until_told(supervisor));
    if ended.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::TimedOut) {
        // A thread hangs in the disk: until it is gone with the process, nobody else may have the directory.
        std::mem::forget(ready);
    } else {
        // The socket file, the pidfile and the lock on the directory go with it.
        drop(ready);
    }
    match ended {
        Ok(()) => {
            tracing::warn!("Bobbin is now ready to exit, bye bye...");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            tracing::error!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// The log starts as soon as it is known where to write.
fn prepare(arguments: &Arguments) -> Result<(Ready, Log), Box<dyn std::error::Error>> {
    let Loaded { config, without_effect } = config::load(arguments)?;
    let log = Log::start(&config)?;
    allocator::configure(&config);
    for row in without_effect {
        tracing::info!("the directive '{}' has no effect here: {}", row.name, row.help);
    }
    Ok((startup::prepare(config, &Host::read())?, log))
}

/// A terminal gets the banner as it is; a log gets it line by line.
fn announce(ready: &Ready) {
    let durability = match (ready.config.appendonly, ready.config.appendfsync) {
        (false, _) => "none, data lives in memory only",
        (true, AppendFsync::Always) => "journal, durable before every reply",
        (true, AppendFsync::EverySec) => "journal, durable every second",
        (true, AppendFsync::No) => "journal, durable when the kernel pleases",
    };
    let banner = Banner { ready, durability };
    for warning in &ready.warnings {
        tracing::warn!("{warning}");
    }
    if is_for_eyes(&ready.config) {
        print(&format!("{banner}\n"));
    } else {
        banner.to_string().lines().for_each(|line| tracing::info!("{line}"));
    }
}

fn is_for_eyes(config: &Config) -> bool {
    config.always_show_logo || (config.logfile.is_empty() && std::io::stdout().is_terminal())
}
