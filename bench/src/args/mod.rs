//! The load generator's flags as typed, and what they come to. Names and meanings are memtier's where
//! memtier has the flag; keys of fixed width, `--rate`, filling and reading back are ours.

mod commands;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{ArgMatches, Args, ValueEnum};

use crate::Error;
use crate::cpus::Cpus;
use crate::histogram::PERCENTILES;
use crate::load::{Address, Arrivals, Check, Limit, Phase, Role, SessionShape, Target};
use crate::workload::{KeySpace, Mix, Pattern, Row, Template};

pub use commands::CommandArgs;
use commands::CommandLine;

const DEFAULT_SEED: u64 = 12_345;
const CLIENTS_MAX: usize = 100_000;
/// Filling and reading back keep a bit per key.
const VERIFIABLE_KEYS_MAX: u64 = 1 << 33;

#[derive(Args, Clone, Debug)]
pub struct LoadArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub shape: ShapeArgs,
    #[command(flatten)]
    pub commands: CommandArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// Host name or address
    #[arg(short, long, alias = "host", default_value = "127.0.0.1")]
    pub server: String,
    /// TCP port
    #[arg(short, long, default_value_t = 6379)]
    pub port: u16,
    /// Connect to a Unix domain socket instead
    #[arg(short = 'S', long, value_name = "PATH")]
    pub unix_socket: Option<PathBuf>,
    /// Password, or user and password as USER:PASSWORD
    #[arg(short, long, value_name = "CREDENTIALS")]
    pub authenticate: Option<String>,
    /// Database to select
    #[arg(long, value_name = "DB", default_value_t = 0)]
    pub select_db: u32,
    /// Version of the protocol; resp3 sends HELLO 3
    #[arg(short = 'P', long, value_enum, default_value_t = Protocol::Redis)]
    pub protocol: Protocol,
    /// The server is a node of a cluster: every client has a connection to every node, and sends each
    /// request to the node that owns its key
    #[arg(long, conflicts_with_all = ["unix_socket", "select_db"])]
    pub cluster_mode: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    Redis,
    Resp2,
    Resp3,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Load")]
pub struct ShapeArgs {
    /// Connections per thread, or clients with a connection to every node in cluster mode
    #[arg(short, long, default_value_t = 50)]
    pub clients: usize,
    /// Threads
    #[arg(short, long, default_value_t = 1)]
    pub threads: usize,
    /// Requests each connection sends before it waits for replies
    #[arg(long, default_value_t = 1)]
    pub pipeline: usize,
    /// Requests per client, or `allkeys` for as many in all as there are keys [default: 10000, or
    /// unlimited with --test-time]
    #[arg(short = 'n', long, value_name = "NUMBER|allkeys")]
    pub requests: Option<Requests>,
    /// Seconds to run for
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub test_time: Option<Duration>,
    /// Seconds of the same load before anything is measured
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub warmup_time: Option<Duration>,
    /// Open loop: requests per second of each client, latency counted from when each was due
    #[arg(long, value_name = "RATE", value_parser = positive, conflicts_with = "rate")]
    pub rate_limiting: Option<f64>,
    /// Open loop: requests per second of all connections together
    #[arg(long, value_name = "RATE", value_parser = positive)]
    pub rate: Option<f64>,
    /// Spacing of an open loop's requests
    #[arg(long, value_enum, default_value_t = Spacing::Fixed)]
    pub arrivals: Spacing,
    /// CPUs for the threads, one each in turn (e.g. 1 or 2-5)
    #[arg(long)]
    pub cpus: Option<Cpus>,
    /// Seed of all randomness
    #[arg(long, default_value_t = DEFAULT_SEED)]
    pub seed: u64,
    /// Take the seed from the clock
    #[arg(long, conflicts_with = "seed")]
    pub randomize: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Spacing {
    /// Evenly spaced
    Fixed,
    /// Exponential gaps, as from many independent users
    Poisson,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requests {
    Count(u64),
    AllKeys,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Keys")]
pub struct KeyArgs {
    /// What every key begins with
    #[arg(long, value_name = "PREFIX", default_value = "key:")]
    pub key_prefix: String,
    /// Digits of the number in a key, zero-padded
    #[arg(long, value_name = "NUMBER", default_value_t = 12, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub key_digits: u8,
    /// Lowest number in a key
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub key_minimum: u64,
    /// Highest number in a key
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000_000)]
    pub key_maximum: u64,
    /// Patterns of SET and GET: R uniform, Z zipfian, G Gaussian, S sequential, P sequential with the range
    /// divided among connections
    #[arg(long, value_name = "SET:GET", default_value = "R:R", value_parser = patterns)]
    pub key_pattern: (PatternLetter, PatternLetter),
    /// Exponent of Z, above 0 and below 5
    #[arg(long, value_name = "NUMBER", default_value_t = 1.0)]
    pub key_zipf_exp: f64,
    /// Centre of G [default: the middle of the range]
    #[arg(long, value_name = "NUMBER")]
    pub key_median: Option<f64>,
    /// Standard deviation of G [default: a sixth of the range]
    #[arg(long, value_name = "NUMBER")]
    pub key_stddev: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternLetter {
    R,
    Z,
    G,
    S,
    P,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Leave out the detailed latency distribution
    #[arg(long)]
    pub hide_histogram: bool,
    /// Percentiles to report, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = percentile)]
    pub print_percentiles: Vec<f64>,
    /// Write the results as JSON to this file too
    #[arg(long, value_name = "FILE")]
    pub json_out_file: Option<PathBuf>,
    /// Write the results as an HTML page with plots to this file too
    #[arg(long, value_name = "FILE")]
    pub html_out_file: Option<PathBuf>,
}

impl LoadArgs {
    /// Joins each --command with the options typed behind it.
    pub fn attach_commands(&mut self, matches: &ArgMatches) {
        self.commands.attach(matches);
    }

    pub fn key_space(&self) -> Result<KeySpace, Error> {
        let KeyArgs { key_prefix, key_digits, key_minimum, key_maximum, .. } = &self.keys;
        let keys =
            KeySpace::new(key_prefix.as_bytes(), usize::from(*key_digits), *key_minimum, *key_maximum)?;
        if self.commands.verify && keys.count() > VERIFIABLE_KEYS_MAX {
            return Err(Error::flag(
                "--verify",
                format!("more than {VERIFIABLE_KEYS_MAX} keys in the range"),
            ));
        }
        Ok(keys)
    }

    /// The phase to be measured.
    pub fn phase(&self, keys: &KeySpace) -> Result<Phase, Error> {
        let shape = &self.shape;
        if shape.pipeline == 0 {
            return Err(Error::flag("--pipeline", "must be at least 1"));
        }
        let connections = (shape.clients * shape.threads) as f64;
        let rate = shape.rate_limiting.or(shape.rate.map(|rate| rate / connections));
        let arrivals = match shape.arrivals {
            Spacing::Fixed => Arrivals::Fixed,
            Spacing::Poisson => Arrivals::Poisson,
        };
        let check = if self.commands.verify { Check::Either } else { Check::Nothing };
        let closed = Phase::closed(self.mix(keys)?, shape.pipeline, shape.limit());
        Ok(Phase { rate, arrivals, check, roles: vec![Role::All], ..closed })
    }

    fn mix(&self, keys: &KeySpace) -> Result<Mix, Error> {
        let row = |line: &CommandLine| -> Result<Row, Error> {
            let template = Template::parse(&line.line, keys, self.commands.data_size)?;
            Ok(Row { template, ratio: line.ratio, pattern: self.keys.pattern(line.pattern, keys)? })
        };
        let lines = self.commands.lines(self.keys.key_pattern)?;
        let rows: Vec<Row> = lines.iter().map(row).collect::<Result<_, _>>()?;
        let rows: Vec<Row> = rows.into_iter().filter(|row| row.ratio > 0).collect();
        if rows.is_empty() {
            return Err(Error::flag("--ratio", "at least one command must be sent"));
        }
        Ok(Mix { keys: keys.clone(), rows })
    }
}

impl ServerArgs {
    pub fn target(&self) -> Target {
        let address = match &self.unix_socket {
            Some(path) => Address::Unix(path.clone()),
            None => Address::Tcp { host: self.server.clone(), port: self.port },
        };
        Target {
            address,
            credentials: self.authenticate.clone(),
            database: self.select_db,
            resp3: self.protocol == Protocol::Resp3,
            cluster: self.cluster_mode,
        }
    }
}

impl ShapeArgs {
    pub fn session(&self) -> Result<SessionShape, Error> {
        if self.threads == 0 {
            return Err(Error::flag("--threads", "must be at least 1"));
        }
        if self.clients == 0 || self.clients.saturating_mul(self.threads) > CLIENTS_MAX {
            return Err(Error::flag("--clients", format!("from 1 to {CLIENTS_MAX} over all threads")));
        }
        let clock =
            || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        Ok(SessionShape {
            clients: self.clients,
            threads: self.threads,
            cpus: self.cpus.clone(),
            seed: if self.randomize { clock() } else { self.seed },
        })
    }

    fn limit(&self) -> Limit {
        const REQUESTS_DEFAULT: u64 = 10_000;
        let requests = match (self.requests, self.test_time) {
            (Some(Requests::Count(count)), _) => Some(count),
            (None, None) => Some(REQUESTS_DEFAULT),
            _ => None,
        };
        Limit { requests, time: self.test_time, own_keys: self.requests == Some(Requests::AllKeys) }
    }
}

impl KeyArgs {
    fn pattern(&self, letter: PatternLetter, keys: &KeySpace) -> Result<Pattern, Error> {
        let (minimum, maximum) = (keys.minimum() as f64, keys.maximum() as f64);
        Ok(match letter {
            PatternLetter::R => Pattern::Uniform,
            PatternLetter::Z if self.key_zipf_exp > 0.0 && self.key_zipf_exp < 5.0 => {
                Pattern::Zipfian { exponent: self.key_zipf_exp }
            }
            PatternLetter::Z => return Err(Error::flag("--key-zipf-exp", "must be above 0 and below 5")),
            PatternLetter::G => Pattern::Gaussian {
                median: self.key_median.unwrap_or(f64::midpoint(minimum, maximum)),
                deviation: self.key_stddev.unwrap_or((maximum - minimum) / 6.0),
            },
            PatternLetter::S => Pattern::Sequential,
            PatternLetter::P => Pattern::Parallel,
        })
    }
}

impl OutputArgs {
    pub fn percentiles(&self) -> &[f64] {
        if self.print_percentiles.is_empty() { &PERCENTILES } else { &self.print_percentiles }
    }
}

impl std::str::FromStr for Requests {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "allkeys" => Ok(Self::AllKeys),
            _ => text.parse().map(Self::Count).map_err(|_| "a number or `allkeys` is expected".to_owned()),
        }
    }
}

impl std::str::FromStr for PatternLetter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "R" => Self::R,
            "Z" => Self::Z,
            "G" => Self::G,
            "S" => Self::S,
            "P" => Self::P,
            _ => return Err("one of R, Z, G, S, P is expected".to_owned()),
        })
    }
}

fn patterns(text: &str) -> Result<(PatternLetter, PatternLetter), String> {
    let (set, get) = text.split_once(':').ok_or("two letters are expected, as in R:R")?;
    Ok((set.parse()?, get.parse()?))
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = positive(text)?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("a number above 0 is expected".to_owned()),
    }
}

fn percentile(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=100.0).contains(&number) => Ok(number),
        _ => Err("a percentage from 0 to 100 is expected".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};

    use super::*;

    fn parse(line: &str) -> Result<LoadArgs, String> {
        let words = std::iter::once("bench").chain(line.split(' ').filter(|word| !word.is_empty()));
        let words = words.map(|word| word.replace('+', " "));
        let command = LoadArgs::augment_args(Command::new("bench"));
        let matches = command.try_get_matches_from(words).map_err(|error| error.to_string())?;
        let mut args = LoadArgs::from_arg_matches(&matches).map_err(|error| error.to_string())?;
        args.attach_commands(&matches);
        Ok(args)
    }

    fn phase(line: &str) -> Result<Phase, String> {
        let args = parse(line)?;
        let text = |error: Error| error.to_string();
        args.shape.session().map_err(text)?;
        args.phase(&args.key_space().map_err(text)?).map_err(text)
    }

    #[test]
    fn the_defaults_are_a_closed_loop_of_memtiers_ratio() {
        let phase = phase("").unwrap();
        let rows: Vec<(&str, u32)> =
            phase.mix.rows.iter().map(|row| (row.template.name(), row.ratio)).collect();
        assert_eq!(rows, [("SET", 1), ("GET", 10)]);
        assert_eq!((phase.rate, phase.limit.requests, phase.limit.time), (None, Some(10_000), None));
    }

    #[test]
    fn options_belong_to_the_command_before_them() {
        let line = "--command GET+__key__ --command INCR+__key__ --command-ratio 3 --command-key-pattern Z";
        let rows = phase(line).unwrap().mix.rows;
        assert_eq!((rows[0].template.name(), rows[0].ratio, rows[0].pattern), ("GET", 1, Pattern::Uniform));
        let zipfian = Pattern::Zipfian { exponent: 1.0 };
        assert_eq!((rows[1].template.name(), rows[1].ratio, rows[1].pattern), ("INCR", 3, zipfian));
    }

    #[test]
    fn rates_are_per_connection_or_in_all() {
        assert_eq!(phase("--rate-limiting 5 -c 10 -t 2").unwrap().rate, Some(5.0));
        assert_eq!(phase("--rate 1000 -c 10 -t 2").unwrap().rate, Some(50.0));
    }

    #[test]
    fn limits_combine() {
        let limit = |line: &str| phase(line).unwrap().limit;
        assert_eq!(limit("--test-time 2").requests, None);
        assert_eq!(limit("--test-time 2 -n 5").requests, Some(5));
        assert!(limit("-n allkeys").own_keys);
    }

    #[test]
    fn bad_values_are_refused_with_a_reason() {
        let refused = [
            ("--ratio 0:0", "at least one"),
            ("--ratio 1", "two numbers"),
            ("--pipeline 0", "at least 1"),
            ("-c 0", "--clients"),
            ("-t 0", "--threads"),
            ("--test-time 0", "above 0"),
            ("--rate=-1", "above 0"),
            ("--rate=nan", "above 0"),
            ("--key-minimum 5 --key-maximum 4", "--key-minimum"),
            ("--key-pattern Z:Z --key-zipf-exp 9", "below 5"),
            ("--key-pattern X:R", "R, Z, G, S, P"),
            ("--rate 1 --rate-limiting 1", "cannot be used"),
            ("--command-ratio 2", "required"),
            ("--print-percentiles 101", "0 to 100"),
            ("--verify --key-maximum 99999999999", "keys in the range"),
        ];
        for (line, reason) in refused {
            let error = phase(line).expect_err(line);
            assert!(error.contains(reason), "{line}: {error}");
        }
    }
}
