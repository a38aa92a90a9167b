//! CONFIG GET and CONFIG SET, as functions of a `Config`.
//!
//! A set is all or nothing: it makes a new `Config` or none. Names are checked for every pair before any value is.
//! Reply texts and their precedence are those of redis-server 7.0.15.

use crate::store::{Case, glob_matches};

use super::{
    Config, DIRECTIVES, ProtectedAction,
    directive::{Change, Directive},
    setting::{BadValue, Load},
};

/// A directive under the name it is set by.
type Target = (&'static str, &'static Directive);

/// Where the client that sets is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// On this machine: loopback or a Unix socket.
    Local,
    Remote,
}

/// Why a CONFIG SET changed nothing. The text is the reply without its `ERR`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    #[error("syntax error")]
    Syntax,
    #[error("Unknown option or number of arguments for CONFIG SET - '{name}'")]
    Unknown { name: String },
    #[error("CONFIG SET failed (possibly related to argument '{name}') - {reason}")]
    Failed { name: String, reason: BadValue },
}

impl Config {
    /// The directives that `patterns` name, each once, with their values. A pattern without `*`, `?` or `[` is a
    /// name, and is answered as the client wrote it.
    pub fn matching(&self, patterns: &[&[u8]]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut add = |name: &[u8], row: &Directive| {
            if !found.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                found.push((name.to_vec(), row.text(self)));
            }
        };
        for pattern in patterns {
            if !pattern.iter().any(|byte| b"*?[".contains(byte)) {
                if let Some(row) = Directive::find(pattern) {
                    add(pattern, row);
                }
                continue;
            }
            for row in DIRECTIVES {
                row.names()
                    .filter(|name| glob_matches(pattern, name.as_bytes(), Case::Ignored))
                    .for_each(|name| add(name.as_bytes(), row));
            }
        }
        found
    }

    /// The settings after `arguments`, which are name, value, name, value, and the directives whose value is
    /// another now, in table order.
    pub fn set(&self, arguments: &[&[u8]], peer: Peer) -> Result<(Self, Vec<&'static Directive>), SetError> {
        let (pairs, rest) = arguments.as_chunks::<2>();
        if pairs.is_empty() || !rest.is_empty() {
            return Err(SetError::Syntax);
        }
        let targets = self.targets(pairs, peer)?;
        let mut changed = self.clone();
        for ((name, row), [_, value]) in targets.iter().zip(pairs) {
            let failed = |reason| SetError::Failed { name: (*name).into(), reason };
            row.assign(&mut changed, &words(row, value), Load::Replace).map_err(failed)?;
        }
        changed.check_ceiling()?;
        let is_target = |row: &Directive| targets.iter().any(|(_, target)| *target == row);
        let differing =
            DIRECTIVES.iter().filter(|row| is_target(row) && !row.is_equal(self, &changed)).collect();
        Ok((changed, differing))
    }

    fn check_ceiling(&self) -> Result<(), SetError> {
        if self.maxclients <= self.maxclients_ceiling {
            return Ok(());
        }
        let reason = format!(
            "The operating system is not able to handle the specified number of clients, try with {}",
            self.maxclients_ceiling
        );
        Err(SetError::Failed { name: "maxclients".into(), reason: reason.into() })
    }

    /// The name and the row of each pair, if all may be set. A name and its alias count as two directives, as in
    /// Redis: the later one wins.
    fn targets(&self, pairs: &[[&[u8]; 2]], peer: Peer) -> Result<Vec<Target>, SetError> {
        let mut targets: Vec<Target> = Vec::new();
        for [written, _] in pairs {
            let text = || String::from_utf8_lossy(written).into_owned();
            let (name, row) =
                Directive::find_name(written).ok_or_else(|| SetError::Unknown { name: text() })?;
            let is_duplicate = targets.iter().any(|(earlier, _)| *earlier == name);
            if let Some(reason) = self.refusal(row, peer).or(is_duplicate.then_some("duplicate parameter")) {
                return Err(SetError::Failed { name: text(), reason: reason.into() });
            }
            targets.push((name, row));
        }
        Ok(targets)
    }

    fn refusal(&self, row: &Directive, peer: Peer) -> Option<&'static str> {
        let may_set_protected = match self.enable_protected_configs {
            ProtectedAction::Yes => true,
            ProtectedAction::Local => peer == Peer::Local,
            ProtectedAction::No => false,
        };
        match row.change {
            Change::Protected | Change::ProtectedStart if !may_set_protected => {
                Some("can't set protected config")
            }
            Change::Runtime | Change::Protected => None,
            Change::Start | Change::ProtectedStart => Some("can't set immutable config"),
        }
    }
}

/// A value as the row's words: every blank parts two, so two blanks hold an empty word between them.
fn words(row: &Directive, value: &[u8]) -> Vec<Vec<u8>> {
    if row.kind.takes_many() {
        value.split(|byte| *byte == b' ').map(<[u8]>::to_vec).collect()
    } else {
        vec![value.to_vec()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(arguments: &[&str]) -> Result<(Config, Vec<&'static Directive>), SetError> {
        let arguments: Vec<_> = arguments.iter().map(|argument| argument.as_bytes()).collect();
        Config::default().set(&arguments, Peer::Local)
    }

    fn refused(arguments: &[&str]) -> String {
        set(arguments).expect_err("must be refused").to_string()
    }

    #[test]
    fn a_set_changes_all_that_it_names() {
        let (config, changed) = set(&["TIMEOUT", "7", "maxmemory", "1kb", "hz", "10"]).unwrap();
        assert_eq!((config.timeout, config.maxmemory), (7, 1024));
        assert_eq!(changed.iter().map(|row| row.name).collect::<Vec<_>>(), ["timeout", "maxmemory"]);
    }

    #[test]
    fn errors_have_the_texts_of_redis() {
        let failed = |name: &str, reason: &str| {
            format!("CONFIG SET failed (possibly related to argument '{name}') - {reason}")
        };
        for (arguments, text) in [
            (&["hz"] as &[&str], "syntax error".to_owned()),
            (&["hz", "5", "hz"], "syntax error".to_owned()),
            (&["foo", "1"], "Unknown option or number of arguments for CONFIG SET - 'foo'".to_owned()),
            (
                &["foo", "1", "databases", "3"],
                "Unknown option or number of arguments for CONFIG SET - 'foo'".to_owned(),
            ),
            (&["databases", "3", "foo", "1"], failed("databases", "can't set immutable config")),
            (&["maxclients", "5", "MAXCLIENTS", "6"], failed("MAXCLIENTS", "duplicate parameter")),
            (&["timeout", "-1"], failed("timeout", "argument must be between 0 and 2147483647 inclusive")),
            (&["timeout", "+5"], failed("timeout", "argument couldn't be parsed into an integer")),
            (&["maxmemory", "1x"], failed("maxmemory", "argument must be a memory value")),
            (&["protected-mode", "1"], failed("protected-mode", "argument must be 'yes' or 'no'")),
            (&["save", "1  2"], failed("save", "Invalid save parameters")),
            (&["dbfilename", "x"], failed("dbfilename", "can't set protected config")),
        ] {
            assert_eq!(refused(arguments), text);
        }
    }

    #[test]
    fn protected_directives_follow_the_peer() {
        let local = Config { enable_protected_configs: ProtectedAction::Local, ..Config::default() };
        let pair: [&[u8]; 2] = [b"dbfilename", b"x.rdb"];
        assert!(local.set(&pair, Peer::Local).is_ok());
        assert!(local.set(&pair, Peer::Remote).is_err());
    }

    #[test]
    fn maxclients_stays_within_what_the_machine_allows() {
        let config = Config { maxclients: 100, maxclients_ceiling: 100, ..Config::default() };
        assert!(config.set(&[b"maxclients", b"100"], Peer::Remote).is_ok());
        let text = config.set(&[b"maxclients", b"101"], Peer::Remote).unwrap_err().to_string();
        assert!(text.ends_with("the specified number of clients, try with 100"), "{text}");
    }

    #[test]
    fn the_later_of_a_name_and_its_alias_wins() {
        let (config, changed) = set(&["busy-reply-threshold", "5", "lua-time-limit", "6"]).unwrap();
        assert_eq!(config.busy_reply_threshold, 6);
        assert_eq!(changed.len(), 1);
    }

    #[test]
    fn names_are_answered_once_and_as_written() {
        let found = Config::default().matching(&[b"PORT", b"p?RT", b"Port", b"nothing"]);
        assert_eq!(found, [(b"PORT".to_vec(), b"6379".to_vec())]);
    }
}
