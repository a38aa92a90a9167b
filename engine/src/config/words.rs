//! Settings of several words: each has its own type, its grammar and Redis's texts for what breaks it.

use super::{
    kind::{self, Kind},
    setting::{BadValue, Load, Setting, Text},
    syntax,
};

/// One address of `bind`. `*` is every IPv4 address and `::*` every IPv6 address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindAddress {
    pub address: String,
    /// Written with a leading `-`: left out if the machine does not have it.
    pub optional: bool,
}

/// The addresses to listen on; none: no TCP listener.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BindAddresses(pub Vec<BindAddress>);

impl BindAddresses {
    const COUNT_MAX: usize = 16;
}

impl Setting for BindAddresses {
    fn assign(&mut self, _: &Kind, words: &[Vec<u8>], _: Load) -> Result<(), BadValue> {
        if words.len() > Self::COUNT_MAX {
            return Err(BadValue::from("Too many bind addresses specified."));
        }
        self.0 = without_lone_empty(words).iter().map(|word| bind_address(word)).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn text(&self, _: &Kind) -> Vec<u8> {
        let written =
            self.0.iter().map(|bind| format!("{}{}", if bind.optional { "-" } else { "" }, bind.address));
        written.collect::<Vec<_>>().join(" ").into()
    }

    fn lines(&self, kind: &Kind) -> Vec<Vec<u8>> {
        vec![or_empty_word(self.text(kind))]
    }
}

fn bind_address(word: &[u8]) -> Result<BindAddress, BadValue> {
    let text = syntax::ascii(word).ok_or(BadValue::from("Invalid bind address."))?;
    let (address, optional) = text.strip_prefix('-').map_or((text, false), |address| (address, true));
    let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b".:*%-_".contains(&byte);
    if address.is_empty() || !address.bytes().all(is_host_byte) {
        return Err(BadValue::from("Invalid bind address."));
    }
    Ok(BindAddress { address: address.into(), optional })
}

/// Take a snapshot if at least `changes` writes happened within `seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavePoint {
    pub seconds: u64,
    pub changes: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SavePoints(pub Vec<SavePoint>);

impl Setting for SavePoints {
    const GATHERS: bool = true;

    /// `save ""` forgets the points of the lines before it, too.
    fn assign(&mut self, _: &Kind, words: &[Vec<u8>], load: Load) -> Result<(), BadValue> {
        let words = without_lone_empty(words);
        let (pairs, rest) = words.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(BadValue::from("Invalid save parameters"));
        }
        let points = pairs.iter().map(save_point).collect::<Result<Vec<_>, _>>()?;
        if load == Load::Replace || points.is_empty() {
            self.0.clear();
        }
        self.0.extend(points);
        Ok(())
    }

    fn text(&self, _: &Kind) -> Vec<u8> {
        let written = self.0.iter().map(|point| format!("{} {}", point.seconds, point.changes));
        written.collect::<Vec<_>>().join(" ").into()
    }

    fn lines(&self, _: &Kind) -> Vec<Vec<u8>> {
        if self.0.is_empty() {
            return vec![b"\"\"".to_vec()];
        }
        self.0.iter().map(|point| format!("{} {}", point.seconds, point.changes).into()).collect()
    }
}

fn save_point([seconds, changes]: &[Vec<u8>; 2]) -> Result<SavePoint, BadValue> {
    let number = |word: &[u8], min: i64| {
        let number = kind::integer(word).filter(|number| *number >= min);
        number.map(|number| number as u64).ok_or(BadValue::from("Invalid save parameters"))
    };
    Ok(SavePoint { seconds: number(seconds, 1)?, changes: number(changes, 0)? })
}

/// When a client that does not read its replies is cut off: at `hard_bytes` at once, above `soft_bytes` after
/// `soft_seconds`. 0 is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutputBufferLimit {
    pub hard_bytes: u64,
    pub soft_bytes: u64,
    pub soft_seconds: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutputBufferLimits {
    pub normal: OutputBufferLimit,
    pub replica: OutputBufferLimit,
    pub pubsub: OutputBufferLimit,
}

impl OutputBufferLimits {
    /// `replica` is called `slave` where Redis answers clients, and by its own name in files.
    fn written(&self, replica: &str, bytes: fn(u64) -> String) -> Vec<String> {
        [("normal", self.normal), (replica, self.replica), ("pubsub", self.pubsub)]
            .map(|(class, limit)| {
                let (hard, soft) = (bytes(limit.hard_bytes), bytes(limit.soft_bytes));
                format!("{class} {hard} {soft} {}", limit.soft_seconds)
            })
            .into()
    }
}

impl Setting for OutputBufferLimits {
    /// Classes that are not named keep their limits.
    fn assign(&mut self, _: &Kind, words: &[Vec<u8>], _: Load) -> Result<(), BadValue> {
        let (groups, rest) = without_lone_empty(words).as_chunks::<4>();
        if !rest.is_empty() {
            return Err(BadValue::from("Wrong number of arguments in buffer limit configuration."));
        }
        let mut limits = self.clone();
        for [class, hard, soft, seconds] in groups {
            let slot = match class.to_ascii_lowercase().as_slice() {
                b"normal" => &mut limits.normal,
                b"replica" | b"slave" => &mut limits.replica,
                b"pubsub" => &mut limits.pubsub,
                _ => {
                    return Err(BadValue::from(
                        "Invalid client class specified in buffer limit configuration.",
                    ));
                }
            };
            *slot = output_buffer_limit(hard, soft, seconds).ok_or(BadValue::from(
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
            ))?;
        }
        *self = limits;
        Ok(())
    }

    fn text(&self, _: &Kind) -> Vec<u8> {
        self.written("slave", |bytes| bytes.to_string()).join(" ").into()
    }

    fn lines(&self, _: &Kind) -> Vec<Vec<u8>> {
        self.written("replica", kind::memory_text).into_iter().map(String::into_bytes).collect()
    }
}

fn output_buffer_limit(hard: &[u8], soft: &[u8], seconds: &[u8]) -> Option<OutputBufferLimit> {
    Some(OutputBufferLimit {
        hard_bytes: kind::memory_value(hard)?,
        soft_bytes: kind::memory_value(soft)?,
        soft_seconds: u64::try_from(kind::integer(seconds)?).ok()?,
    })
}

/// Which percentiles of command latency INFO reports.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Percentiles(pub Vec<f64>);

impl Setting for Percentiles {
    fn assign(&mut self, _: &Kind, words: &[Vec<u8>], _: Load) -> Result<(), BadValue> {
        let words = without_lone_empty(words);
        self.0 = words.iter().map(|word| percentile(word)).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Six decimals at most, without trailing zeros.
    fn text(&self, _: &Kind) -> Vec<u8> {
        let trimmed = |number: &f64| {
            let text = format!("{number:.6}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        self.0.iter().map(trimmed).collect::<Vec<_>>().join(" ").into()
    }

    fn lines(&self, _: &Kind) -> Vec<Vec<u8>> {
        let written = self.0.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
        vec![or_empty_word(written.into())]
    }
}

fn percentile(word: &[u8]) -> Result<f64, BadValue> {
    let number =
        syntax::ascii(word).and_then(|text| text.parse::<f64>().ok()).filter(|number| !number.is_nan());
    match number.ok_or(BadValue::from("Invalid latency-tracking-info-percentiles parameters"))? {
        number if (0.0..=100.0).contains(&number) => Ok(number),
        _ => {
            Err(BadValue::from("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"))
        }
    }
}

/// How a signal shuts the server down; nothing set: as SHUTDOWN without arguments does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "the flags of SHUTDOWN, each by its name")]
pub struct ShutdownFlags {
    pub save: bool,
    pub nosave: bool,
    pub now: bool,
    pub force: bool,
}

impl Setting for ShutdownFlags {
    fn assign(&mut self, _: &Kind, words: &[Vec<u8>], _: Load) -> Result<(), BadValue> {
        const UNKNOWN: &str = "argument(s) must be one of the following: default, save, nosave, now, force";
        let mut flags = Self::default();
        for word in words {
            match word.to_ascii_lowercase().as_slice() {
                b"default" => {}
                b"save" => flags.save = true,
                b"nosave" => flags.nosave = true,
                b"now" => flags.now = true,
                b"force" => flags.force = true,
                _ => return Err(BadValue::from(UNKNOWN)),
            }
        }
        if words.is_empty() {
            return Err(BadValue::from(UNKNOWN));
        }
        if flags.save && flags.nosave {
            return Err(BadValue::from("shutdown options SAVE and NOSAVE can't be used simultaneously"));
        }
        *self = flags;
        Ok(())
    }

    fn text(&self, _: &Kind) -> Vec<u8> {
        let flags = [(self.save, "save"), (self.nosave, "nosave"), (self.now, "now"), (self.force, "force")];
        let set: Vec<_> = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| *name).collect();
        if set.is_empty() { b"default".to_vec() } else { set.join(" ").into() }
    }

    fn lines(&self, kind: &Kind) -> Vec<Vec<u8>> {
        vec![self.text(kind)]
    }
}

/// CPU numbers as the kernel writes lists of them: `0-3,6`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CpuList(pub Vec<usize>);

impl CpuList {
    /// The kernel's own bound on CPU numbers.
    const CPU_MAX: usize = 8191;

    /// The list `text` writes; an empty text is an empty list.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (cpu_number(first)?, cpu_number(last)?);
            if first > last {
                return None;
            }
            cpus.extend(first..=last);
        }
        let mut distinct = cpus.clone();
        distinct.sort_unstable();
        distinct.dedup();
        (distinct.len() == cpus.len()).then_some(Self(cpus))
    }
}

fn cpu_number(text: &str) -> Option<usize> {
    let number = kind::integer(text.as_bytes())?;
    usize::try_from(number).ok().filter(|number| *number <= CpuList::CPU_MAX)
}

impl std::fmt::Display for CpuList {
    /// Runs of three and more as a range.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let runs = self.0.chunk_by(|left, right| left + 1 == *right);
        let parts = runs.flat_map(|run| match run {
            [first, _, .., last] => vec![format!("{first}-{last}")],
            _ => run.iter().map(usize::to_string).collect(),
        });
        out.write_str(&parts.collect::<Vec<_>>().join(","))
    }
}

impl Setting for CpuList {
    fn assign(&mut self, _: &Kind, words: &[Vec<u8>], _: Load) -> Result<(), BadValue> {
        let list = syntax::ascii(&words[0]).and_then(Self::parse);
        *self =
            list.ok_or(BadValue::from("argument must be a list of distinct CPU numbers such as 0-3,6"))?;
        Ok(())
    }

    fn text(&self, _: &Kind) -> Vec<u8> {
        self.to_string().into()
    }
}

/// Words that are remembered as given, after the row's check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Phrase(pub Vec<Text>);

impl Setting for Phrase {
    fn assign(&mut self, kind: &Kind, words: &[Vec<u8>], _: Load) -> Result<(), BadValue> {
        let words = without_lone_empty(words);
        kind.check_words(words)?;
        self.0 = words.iter().map(|word| word.as_slice().into()).collect();
        Ok(())
    }

    fn text(&self, _: &Kind) -> Vec<u8> {
        self.0.iter().map(Text::as_bytes).collect::<Vec<_>>().join(&b' ')
    }

    fn lines(&self, _: &Kind) -> Vec<Vec<u8>> {
        let words: Vec<_> = self.0.iter().map(|word| word.as_bytes().to_vec()).collect();
        vec![or_empty_word(syntax::join_words(&words))]
    }
}

/// `directive ""` means no words at all.
fn without_lone_empty(words: &[Vec<u8>]) -> &[Vec<u8>] {
    if matches!(words, [only] if only.is_empty()) { &[] } else { words }
}

fn or_empty_word(line: Vec<u8>) -> Vec<u8> {
    if line.is_empty() { b"\"\"".to_vec() } else { line }
}
