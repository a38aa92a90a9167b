//! All data of a server, as far as it must be the same on both: which keys, of which type and encoding, with what in
//! them, until when.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use bobbin_proto::{Value, decode, encode_command};

use super::call::Call;
use super::exceptions::is_same;
use crate::support::Client;

const DATABASES: usize = 16;
/// How long what has expired may be counted still.
const EXPIRED_GOES_WITHIN: Duration = Duration::from_secs(5);

/// Of every key, by its database, what is asked about it.
pub type State = BTreeMap<(usize, Vec<u8>), Vec<(Call, Value)>>;

/// What there is to know of a key.
const QUESTIONS: &[&str] = &["TYPE", "OBJECT ENCODING", "DEBUG DIGEST-VALUE", "PEXPIRETIME"];

pub fn read(client: &mut Client) -> io::Result<State> {
    let mut state = State::new();
    for database in 0..DATABASES {
        let replies = ask(client, &[Call::of(&format!("SELECT {database}")), Call::of("KEYS *")])?;
        let Value::Array(keys) = &replies[1] else { continue };
        for key in keys {
            let Value::Bulk(key) = key else { continue };
            state.insert((database, key.clone()), facts(client, key)?);
        }
        await_size(client, keys.len())?;
    }
    Ok(state)
}

fn facts(client: &mut Client, key: &[u8]) -> io::Result<Vec<(Call, Value)>> {
    let mut calls: Vec<Call> = QUESTIONS.iter().map(|question| about(question, key)).collect();
    let mut replies = ask(client, &calls)?;
    if replies[0] == Value::Simple(b"stream".to_vec()) {
        let mut full = about("XINFO STREAM", key);
        full.0.extend([b"FULL".to_vec(), b"COUNT".to_vec(), b"0".to_vec()]);
        replies.extend(ask(client, std::slice::from_ref(&full))?);
        calls.push(full);
    }
    Ok(calls.into_iter().zip(replies).collect())
}

fn about(question: &str, key: &[u8]) -> Call {
    let mut call = Call::of(question);
    call.0.push(key.to_vec());
    call
}

/// Waits until no more keys are counted than are seen.
fn await_size(client: &mut Client, size: usize) -> io::Result<()> {
    let deadline = Instant::now() + EXPIRED_GOES_WITHIN;
    while ask(client, &[Call::of("DBSIZE")])? != [Value::Int(size as i64)] {
        if Instant::now() > deadline {
            return Err(io::Error::other("DBSIZE is not the number of KEYS"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn ask(client: &mut Client, calls: &[Call]) -> io::Result<Vec<Value>> {
    let mut out = Vec::new();
    calls.iter().for_each(|call| encode_command(&mut out, &call.0));
    client.send_raw(&out)?;
    let value = |reply: Vec<u8>| decode::decode(&reply).ok().flatten().map(|(value, _)| value);
    calls
        .iter()
        .map(|_| client.read_raw().map(|reply| value(reply).expect("the reply was measured")))
        .collect()
}

/// What differs first: the question, Bobbin's answer, the oracle's.
pub fn first_difference(bobbin: &State, oracle: &State) -> Option<(String, String, String)> {
    let place =
        |(database, key): &(usize, Vec<u8>)| format!("key {} of database {database}", key.escape_ascii());
    for (key, facts) in oracle {
        let Some(others) = bobbin.get(key) else {
            return Some((place(key), "is not there".to_owned(), "is there".to_owned()));
        };
        for ((call, oracle), (_, bobbin)) in facts.iter().zip(others) {
            if bobbin != oracle && !is_same(call, bobbin, oracle) {
                return Some((format!("{}: {call}", place(key)), shown(bobbin), shown(oracle)));
            }
        }
    }
    let extra = bobbin.keys().find(|key| !oracle.contains_key(key))?;
    Some((place(extra), "is there".to_owned(), "is not there".to_owned()))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Bulk(text) | Value::Simple(text) => text.escape_ascii().to_string(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(" "),
        other => format!("{other:?}"),
    }
}
