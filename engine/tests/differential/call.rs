//! A command with its arguments, and a case: what is sent, by which connection, in which writes.

use std::fmt;

use super::session::described;

/// A command and its arguments. One argument equal to [`PAYLOAD`] stands for what the server itself last answered
/// to DUMP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call(pub Vec<Vec<u8>>);

pub const PAYLOAD: &[u8] = b"\0payload of the last DUMP\0";

impl Call {
    /// Of a line without quotes.
    pub fn of(line: &str) -> Self {
        Self(line.split_whitespace().map(|word| word.as_bytes().to_vec()).collect())
    }

    /// The command's name, in upper case.
    pub fn name(&self) -> String {
        self.0.first().map(|name| String::from_utf8_lossy(name).to_ascii_uppercase()).unwrap_or_default()
    }

    pub fn is(&self, index: usize, word: &str) -> bool {
        self.0.get(index).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    }

    pub fn has(&self, word: &str) -> bool {
        (1..self.0.len()).any(|index| self.is(index, word))
    }

    /// The argument as Redis reads integers.
    pub fn number(&self, index: usize) -> Option<i64> {
        let text = std::str::from_utf8(self.0.get(index)?).ok()?;
        text.parse().ok().filter(|number: &i64| number.to_string() == text)
    }

    /// With the stand-in replaced by a server's payload.
    pub fn with_payload(&self, payload: &[u8]) -> Vec<Vec<u8>> {
        self.0.iter().map(|arg| if arg == PAYLOAD { payload.to_vec() } else { arg.clone() }).collect()
    }
}

impl fmt::Display for Call {
    /// As redis-cli reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, arg) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"'\\".contains(byte);
            if arg == PAYLOAD {
                write!(f, "{space}<payload>")?;
            } else if !arg.is_empty() && arg.iter().all(is_plain) {
                write!(f, "{space}{}", String::from_utf8_lossy(arg))?;
            } else {
                write!(f, "{space}\"{}\"", quoted(arg))?;
            }
        }
        Ok(())
    }
}

fn quoted(arg: &[u8]) -> String {
    arg.escape_ascii().to_string().replace("\\'", "'")
}

/// What one connection sends in one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub client: usize,
    pub calls: Vec<Call>,
}

impl Step {
    /// Whether the first call makes the others wait for the last.
    pub fn is_transaction(&self) -> bool {
        self.calls.len() > 1 && self.calls[0].name() == "MULTI"
    }
}

pub type Case = Vec<Step>;

/// The commands of a case, for redis-cli.
pub fn script(case: &[Step]) -> String {
    let lines = |step: &Step| {
        let together = if step.calls.len() > 1 { ", in one write" } else { "" };
        let head = format!("# connection {}{together}\n", described(step.client));
        std::iter::once(head).chain(step.calls.iter().map(|call| format!("{call}\n"))).collect::<String>()
    };
    case.iter().map(lines).collect()
}
