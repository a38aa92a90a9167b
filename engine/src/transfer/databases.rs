//! How many databases there may be, and how many whoever loads a dump must have.

use std::fmt;

use crate::config::Config;

/// More than anybody has, and few enough to be made.
pub const DATABASES_MAX: u32 = 1 << 20;

/// What is to be said to whoever loads keys of a database that a server does not have by default; Redis's default is the
/// same. Nothing if there are none.
pub(super) struct Needed {
    /// The number of the highest database that has keys.
    pub(super) last: Option<u32>,
    /// `"start the server with --databases"`.
    pub(super) how: &'static str,
}

impl fmt::Display for Needed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last.filter(|&last| last >= Config::default().databases) {
            Some(last) => write!(f, "; {} {} or more", self.how, last + 1),
            None => Ok(()),
        }
    }
}
