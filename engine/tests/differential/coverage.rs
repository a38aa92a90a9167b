//! Which commands are compared: what Redis has and Bobbin has not is known, and what both have is generated.

use std::collections::BTreeSet;

use super::strings;
use crate::grammar;
use crate::support::{Client, bobbin, oracle};

/// ACL categories of the commands that work on data.
const CATEGORIES: &[&str] =
    &["bitmap", "geo", "hash", "hyperloglog", "keyspace", "list", "set", "sortedset", "stream", "string"];

/// The oracle's commands that Bobbin does not have.
const MISSING: &[&str] = &["migrate"];

/// What both have and the grammar does not make.
const NOT_MADE: &[&str] = &[
    // They tell of themselves, or of how they are kept.
    "object|help",
    "pfdebug",
    "pfselftest",
    "xgroup|help",
    "xinfo|help",
    // Every case begins with the one and ends with the other.
    "flushall",
    "dbsize",
    // RESTORE by another name.
    "restore-asking",
];

fn data_commands(client: &mut Client) -> BTreeSet<String> {
    let of = |category: &&str| strings(client.run(&format!("COMMAND LIST FILTERBY ACLCAT {category}")));
    CATEGORIES.iter().flat_map(of).collect()
}

#[test]
fn every_command_that_both_have_is_generated() {
    let (bobbin, oracle) = (data_commands(&mut bobbin().connect()), data_commands(&mut oracle().connect()));
    let made = grammar::all_names();
    let is_made = |name: &&String| made.contains(*name) || NOT_MADE.contains(&name.as_str());
    let containers = ["object", "xgroup", "xinfo"];
    let forgotten: Vec<&String> = bobbin
        .intersection(&oracle)
        .filter(|name| !is_made(name) && !containers.contains(&name.as_str()))
        .collect();
    assert!(forgotten.is_empty(), "the grammar lacks {forgotten:?}");
}

#[test]
fn what_is_missing_is_known() {
    let (bobbin, oracle) = (data_commands(&mut bobbin().connect()), data_commands(&mut oracle().connect()));
    let missing: Vec<&str> = oracle.difference(&bobbin).map(String::as_str).collect();
    assert_eq!(missing, MISSING, "redis-server has the first that Bobbin has not; is the list up to date?");
}
