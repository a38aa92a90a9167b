//! The log, on standard output or appended to a file, in one of two forms (`log-format`):
//!
//! ```text
//! 4711:M 21 Nov 2026 01:28:39.123 * Ready to accept connections
//! pid:role date time.ms level message
//!
//! pid=4711 role=primary timestamp="21 Nov 2026 01:28:39.123" level=notice thread=main message="Ready to accept connections"
//! ```
//! The first is Redis's, the second Valkey's logfmt, with the thread (of a reactor `reactor-0`) and, behind the message,
//! whatever figures the event has, each under its name. `log-timestamp-format` is Valkey's as well.
//!
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
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
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

use crate::config::{Config, LogFormat, LogLevel, LogTimestampFormat};

#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    #[error("can't open the log file {}: {cause}. Name another with --logfile, or an empty one for standard output", path.display())]
    File { path: PathBuf, cause: io::Error },
    #[error("a log was set up before")]
    Twice,
}

/// The way to change level and form while the server runs.
#[derive(Debug, Clone)]
pub struct Log {
    filter: reload::Handle<LevelFilter, Registry>,
    form: Arc<Form>,
}

impl Log {
    /// Makes the log of `config` the process's.
    pub fn start(config: &Config) -> Result<Self, LoggingError> {
        let (subscriber, log) = Self::write_to(writer(config)?, config);
        tracing::subscriber::set_global_default(subscriber).map_err(|_| LoggingError::Twice)?;
        CURRENT.set(log.clone()).map_err(|_| LoggingError::Twice)?;
        Ok(log)
    }

    fn write_to(writer: BoxMakeWriter, config: &Config) -> (impl Subscriber + Send + Sync, Self) {
        let (filter, handle) = reload::Layer::new(filter(config.loglevel));
        let form = Arc::new(Form::default());
        form.set(config);
        let lines = Line(Arc::clone(&form));
        let lines = tracing_subscriber::fmt::layer().event_format(lines).with_writer(writer);
        (tracing_subscriber::registry().with(filter).with(lines), Self { filter: handle, form })
    }

    /// Only the end of the process takes the log away, and then nobody minds the level.
    pub fn configure(&self, config: &Config) {
        drop(self.filter.reload(filter(config.loglevel)));
        self.form.set(config);
    }
}

/// `log-format` and `log-timestamp-format`.
#[derive(Debug, Default)]
struct Form {
    format: AtomicU8,
    time: AtomicU8,
}

impl Form {
    fn set(&self, config: &Config) {
        self.format.store(config.log_format as u8, Ordering::Relaxed);
        self.time.store(config.log_timestamp_format as u8, Ordering::Relaxed);
    }

    fn is_logfmt(&self) -> bool {
        self.format.load(Ordering::Relaxed) == LogFormat::Logfmt as u8
    }

    fn time(&self, now: &jiff::Zoned) -> String {
        const ISO8601: u8 = LogTimestampFormat::Iso8601 as u8;
        const MILLISECONDS: u8 = LogTimestampFormat::Milliseconds as u8;
        match self.time.load(Ordering::Relaxed) {
            ISO8601 => now.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string(),
            MILLISECONDS => now.timestamp().as_millisecond().to_string(),
            _ => now.strftime("%d %b %Y %H:%M:%S%.3f").to_string(),
        }
    }
}

/// The process's log, once it is started.
static CURRENT: OnceLock<Log> = OnceLock::new();

/// Changes how much the process's log says, and how.
pub fn configure(config: &Config) {
    if let Some(log) = CURRENT.get() {
        log.configure(config);
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

struct Line(Arc<Form>);

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let (pid, time) = (std::process::id(), self.0.time(&jiff::Zoned::now()));
        let level = *event.metadata().level();
        let mut said = Said { is_logfmt: self.0.is_logfmt(), ..Said::default() };
        event.record(&mut said);
        let Said { message, fields, is_logfmt } = said;
        if !is_logfmt {
            return writeln!(
                out,
                "{pid}:M {time} {} {}",
                letter(level),
                format!("{message}{fields}").trim_start()
            );
        }
        let thread = std::thread::current();
        let (thread, level) = (value(thread.name().unwrap_or_default()), word(level));
        writeln!(
            out,
            "pid={pid} role=primary timestamp=\"{time}\" level={level} thread={thread} message=\"{message}\"{fields}"
        )
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

/// Valkey's words, which say info where Redis's letter is that of verbose.
fn word(level: Level) -> &'static str {
    match level {
        Level::TRACE => "debug",
        Level::DEBUG => "info",
        Level::INFO => "notice",
        _ => "warning",
    }
}

/// What an event says: its message, and ` name=value` for each of its fields.
#[derive(Default)]
struct Said {
    message: String,
    fields: String,
    is_logfmt: bool,
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, text: &str) {
        if self.is_logfmt {
            self.record_debug(field, &format_args!("{text}"));
        } else {
            self.record_debug(field, &text);
        }
    }

    fn record_debug(&mut self, field: &Field, said: &dyn fmt::Debug) {
        let said = format!("{said:?}");
        match (field.name(), self.is_logfmt) {
            ("message", true) => self.message.push_str(&quotable(&said)),
            ("message", false) => self.message.push_str(&printable(&said)),
            (name, true) => self.fields.extend([" ", name, "=", &value(&said)]),
            (name, false) => self.fields.push_str(&printable(&format!(" {name}={said}"))),
        }
    }
}

/// Control characters as escapes.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() { out.extend(letter.escape_default()) } else { out.push(letter) }
    }
    out
}

/// The same, and what would end or bend a quoted text.
fn quotable(text: &str) -> String {
    printable(&text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A value of logfmt: as it is where that is one word.
fn value(text: &str) -> String {
    let is_word = |letter: char| !letter.is_control() && !letter.is_whitespace() && !"\"=\\".contains(letter);
    if !text.is_empty() && text.chars().all(is_word) {
        text.to_owned()
    } else {
        format!("\"{}\"", quotable(text))
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
        captured_in(&Config { loglevel: level, ..Config::default() }, log)
    }

    fn captured_in(config: &Config, log: impl FnOnce(&Log)) -> String {
        let captured = Captured::default();
        let target = captured.clone();
        let (subscriber, handle) = Log::write_to(BoxMakeWriter::new(move || target.clone()), config);
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
            log.configure(&Config { loglevel: LogLevel::Verbose, ..Config::default() });
            tracing::debug!("between");
            log.configure(&Config { loglevel: LogLevel::Nothing, ..Config::default() });
            tracing::error!("after");
        });
        assert!(text.ends_with(" - between\n") && text.lines().count() == 1, "{text}");
    }

    fn logfmt(time: LogTimestampFormat) -> Config {
        Config { log_format: LogFormat::Logfmt, log_timestamp_format: time, ..Config::default() }
    }

    #[test]
    fn logfmt_has_a_name_for_everything() {
        let log = || {
            tracing::warn!(client = 7, name = "a \"b\"", word = "plain", "it is \\ \"so\"\n{}", 1);
        };
        let spawn = || std::thread::Builder::new().name("reactor-3".into());
        let text = captured_in(&logfmt(LogTimestampFormat::Milliseconds), |_| {
            tracing::dispatcher::get_default(|dispatch| {
                let dispatch = dispatch.clone();
                let told = spawn().spawn(move || tracing::dispatcher::with_default(&dispatch, log));
                told.expect("a thread").join().expect("it ends");
            });
        });
        let (head, rest) = text.split_once(" timestamp=\"").unwrap();
        assert_eq!(head, format!("pid={} role=primary", std::process::id()));
        let (time, rest) = rest.split_once('"').unwrap();
        assert!(time.parse::<u64>().unwrap() > 1_700_000_000_000, "{time}");
        assert_eq!(
            rest,
            concat!(
                r#" level=warning thread=reactor-3 message="it is \\ \"so\"\n1" client=7 name="a \"b\"" word=plain"#,
                "\n"
            )
        );
    }

    #[test]
    fn times_are_as_asked_for() {
        let line = captured_in(&logfmt(LogTimestampFormat::Iso8601), |log| {
            tracing::info!("a");
            log.configure(&Config { log_timestamp_format: LogTimestampFormat::Iso8601, ..Config::default() });
            tracing::info!("b");
        });
        let (first, second) = line.trim_end().split_once('\n').unwrap();
        let time = first.split('"').nth(1).unwrap();
        assert!(time.len() == 29 && time.parse::<jiff::Timestamp>().is_ok(), "{time}");
        let time = second.split(' ').nth(1).unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok() && second.ends_with(" * b"), "{second}");
    }
}
