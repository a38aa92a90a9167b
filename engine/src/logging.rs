//! The log: Redis's line format, on standard output or appended to a file.
//!
//! ```text
//! 4711:M 21 Nov 2026 01:28:39.123 * Ready to accept connections
//! pid:role date time.ms level message
//! ```
//! The level is one letter: `.` debug, `-` verbose, `*` notice, `#` warning. In code `trace!` is debug, `debug!`
//! verbose, `info!` notice, `warn!` and `error!` warning. One write per line, so lines of threads do not mix. A line
//! break in a message is written as `\n`: what a client sends cannot forge a line.
//!
//! Writing blocks: nothing on a reactor's way from request to reply logs.

use std::{
    fmt,
    fs::File,
    io,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Registry,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer, writer::BoxMakeWriter},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    reload,
};

use crate::config::{Config, LogLevel};

#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    #[error("can't open the log file {}: {cause}. Name another with --logfile, or an empty one for standard output", path.display())]
    File { path: PathBuf, cause: io::Error },
    #[error("a log was set up before")]
    Twice,
}

/// The way to change the level while the server runs.
#[derive(Debug, Clone)]
pub struct Log {
    filter: reload::Handle<LevelFilter, Registry>,
}

impl Log {
    /// Makes the log of `config` the process's.
    pub fn start(config: &Config) -> Result<Self, LoggingError> {
        let (subscriber, log) = Self::write_to(writer(config)?, config.loglevel);
        tracing::subscriber::set_global_default(subscriber).map_err(|_| LoggingError::Twice)?;
        CURRENT.set(log.clone()).map_err(|_| LoggingError::Twice)?;
        Ok(log)
    }

    fn write_to(writer: BoxMakeWriter, level: LogLevel) -> (impl Subscriber + Send + Sync, Self) {
        let (filter, handle) = reload::Layer::new(filter(level));
        let lines = tracing_subscriber::fmt::layer().event_format(RedisLine).with_writer(writer);
        (tracing_subscriber::registry().with(filter).with(lines), Self { filter: handle })
    }

    /// Only the end of the process takes the log away, and then nobody minds the level.
    pub fn set_level(&self, level: LogLevel) {
        drop(self.filter.reload(filter(level)));
    }
}

/// The process's log, once it is started.
static CURRENT: OnceLock<Log> = OnceLock::new();

/// Changes how much the process's log says.
pub fn set_level(level: LogLevel) {
    if let Some(log) = CURRENT.get() {
        log.set_level(level);
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::TRACE,
        LogLevel::Verbose => LevelFilter::DEBUG,
        LogLevel::Notice => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Nothing => LevelFilter::OFF,
    }
}

fn writer(config: &Config) -> Result<BoxMakeWriter, LoggingError> {
    let Some(path) = config.logfile.path() else { return Ok(BoxMakeWriter::new(io::stdout)) };
    let file = File::options().create(true).append(true).open(path);
    let file = file.map_err(|cause| LoggingError::File { path: path.to_owned(), cause })?;
    Ok(BoxMakeWriter::new(Arc::new(file)))
}

struct RedisLine;

impl<S, N> FormatEvent<S, N> for RedisLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let time = jiff::Zoned::now().strftime("%d %b %Y %H:%M:%S%.3f");
        write!(out, "{}:M {time} {} ", std::process::id(), letter(*event.metadata().level()))?;
        let mut text = Message(String::new());
        event.record(&mut text);
        writeln!(out, "{}", text.0.trim_start())
    }
}

fn letter(level: Level) -> char {
    match level {
        Level::TRACE => '.',
        Level::DEBUG => '-',
        Level::INFO => '*',
        _ => '#',
    }
}

/// The message, then the fields as `name=value`.
struct Message(String);

impl Message {
    fn push_escaped(&mut self, text: &str) {
        for letter in text.chars() {
            if letter.is_control() { self.0.extend(letter.escape_default()) } else { self.0.push(letter) }
        }
    }
}

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let fields = std::mem::take(&mut self.0);
            self.push_escaped(&format!("{value:?}"));
            self.0.push_str(&fields);
        } else {
            self.push_escaped(&format!(" {}={value:?}", field.name()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn captured(level: LogLevel, log: impl FnOnce(&Log)) -> String {
        let captured = Captured::default();
        let target = captured.clone();
        let (subscriber, handle) = Log::write_to(BoxMakeWriter::new(move || target.clone()), level);
        tracing::subscriber::with_default(subscriber, || log(&handle));
        String::from_utf8(captured.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn lines_look_like_those_of_redis() {
        let line = captured(LogLevel::Notice, |_| tracing::info!(port = 7, "ready {}", 1));
        let (head, message) = line.split_at(line.find(" * ").unwrap());
        assert_eq!(message, " * ready 1 port=7\n");
        let (role, time) = head.split_once(' ').unwrap();
        assert_eq!(role, format!("{}:M", std::process::id()));
        assert!(jiff::civil::DateTime::strptime("%d %b %Y %H:%M:%S%.f", time).is_ok(), "{time}");
        assert_eq!(time.rsplit_once('.').unwrap().1.len(), 3, "{time}");
    }

    #[test]
    fn each_level_shows_itself_and_what_is_graver() {
        for (level, letters) in [
            (LogLevel::Debug, ".-*##"),
            (LogLevel::Verbose, "-*##"),
            (LogLevel::Notice, "*##"),
            (LogLevel::Warning, "##"),
            (LogLevel::Nothing, ""),
        ] {
            let text = captured(level, |_| {
                tracing::trace!("x");
                tracing::debug!("x");
                tracing::info!("x");
                tracing::warn!("x");
                tracing::error!("x");
            });
            let seen: String = text.lines().filter_map(|line| line.chars().rev().nth(2)).collect();
            assert_eq!(seen, letters);
        }
    }

    #[test]
    fn a_message_cannot_forge_a_line() {
        let text = captured(LogLevel::Notice, |_| tracing::info!("a\nb\x1b[0m"));
        assert!(text.ends_with("a\\nb\\u{1b}[0m\n"), "{text}");
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn the_level_changes_while_running() {
        let text = captured(LogLevel::Notice, |log| {
            tracing::debug!("before");
            log.set_level(LogLevel::Verbose);
            tracing::debug!("between");
            log.set_level(LogLevel::Nothing);
            tracing::error!("after");
        });
        assert!(text.ends_with(" - between\n") && text.lines().count() == 1, "{text}");
    }
}
