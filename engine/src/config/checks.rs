//! Checks of single directives whose grammar is more than their kind's.

use super::{kind, syntax};

pub(super) fn not_empty(word: &[u8]) -> Result<(), &'static str> {
    if word.is_empty() { Err("argument can't be empty") } else { Ok(()) }
}

/// Redis would fork away; a server that manages its own background life cannot be watched by what started it.
pub(super) fn stays_in_foreground(word: &[u8]) -> Result<(), &'static str> {
    match word.to_ascii_lowercase().as_slice() {
        b"no" => Ok(()),
        b"yes" => Err("bobbin-server stays in the foreground: \
             let systemd (Type=simple), docker run -d or a supervisor put it in the background"),
        _ => Err("argument must be 'yes' or 'no'"),
    }
}

/// Accepting a list of users without enforcing it would open what the file closes.
pub(super) fn no_acl_file(word: &[u8]) -> Result<(), &'static str> {
    if word.is_empty() { Ok(()) } else { Err("users cannot be loaded from a file here: use requirepass") }
}

pub(super) fn file_name(word: &[u8]) -> Result<(), &'static str> {
    if word.contains(&b'/') { Err("dbfilename can't be a path, just a filename") } else { Ok(()) }
}

pub(super) fn append_file_name(word: &[u8]) -> Result<(), &'static str> {
    match word {
        [] => Err("appendfilename can't be empty"),
        _ if word.contains(&b'/') => Err("appendfilename can't be a path, just a filename"),
        _ => Ok(()),
    }
}

pub(super) fn append_dir_name(word: &[u8]) -> Result<(), &'static str> {
    match word {
        [] => Err("appenddirname can't be empty"),
        _ if word.contains(&b'/') => Err("appenddirname can't be a path, just a dirname"),
        _ => Ok(()),
    }
}

pub(super) fn host_name(word: &[u8]) -> Result<(), &'static str> {
    const BYTES_MAX: usize = 255;
    if word.len() > BYTES_MAX {
        return Err("Hostnames must be less than 256 characters");
    }
    let is_host_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"-.".contains(byte);
    if word.iter().all(is_host_byte) {
        return Ok(());
    }
    Err("Hostnames may only contain alphanumeric characters, hyphens or dots")
}

/// Text with `{variable}` in it, and `{{` for a brace.
pub(super) fn title_template(word: &[u8]) -> Result<(), &'static str> {
    const INVALID: &str = "template format is invalid or contains unknown variables";
    const VARIABLES: [&str; 7] =
        ["title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file"];
    let text = String::from_utf8_lossy(word).replace("{{", "");
    if word.trim_ascii().is_empty() {
        return Err(INVALID);
    }
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once('{') {
        let (variable, after) = after.split_once('}').ok_or(INVALID)?;
        if !VARIABLES.contains(&variable) {
            return Err(INVALID);
        }
        rest = after;
    }
    Ok(())
}

pub(super) fn oom_scores(words: &[Vec<u8>]) -> Result<(), &'static str> {
    if words.len() != 3 {
        return Err("wrong number of arguments");
    }
    let is_score = |word: &Vec<u8>| kind::integer(word).is_some_and(|score| (-2000..=2000).contains(&score));
    if words.iter().all(is_score) {
        return Ok(());
    }
    Err("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")
}

/// `host port`, or `no one`. The empty list is the default.
pub(super) fn primary_address(words: &[Vec<u8>]) -> Result<(), &'static str> {
    match words {
        [] => Ok(()),
        [no, one] if no.eq_ignore_ascii_case(b"no") && one.eq_ignore_ascii_case(b"one") => Ok(()),
        [_, port] => {
            let port = syntax::ascii(port).and_then(|port| port.parse::<u16>().ok());
            port.map(|_| ()).ok_or("Invalid master port")
        }
        _ => Err("wrong number of arguments"),
    }
}
