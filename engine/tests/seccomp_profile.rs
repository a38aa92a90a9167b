//! `docker/seccomp.json` is Docker's default profile and the calls of `io_uring`, and no more.
//!
//! Docker's is `default.json` of moby/profiles as Docker Engine 29.7.2 has it. To see where another one differs:
//! `DOCKER_DEFAULT_PROFILE=default.json cargo test -p bobbin-engine --test seccomp_profile`.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// SHA-256 of the lines that [`rules`] makes of Docker's default profile, each with its line end.
const DOCKERS_DEFAULT: &str = "8d1e183f6bba3bc1a43c00b4878e08ca9e267c286ee8686b6d02b0b241d6ab9d";

const ADDED: [&str; 3] = ["io_uring_enter", "io_uring_register", "io_uring_setup"];

type Object = Map<String, Value>;

/// A line per call and rule for it, and one for all that is no rule; without comments, and without conditions that are
/// empty.
fn rules(profile: &str) -> BTreeSet<String> {
    let mut profile: Object = serde_json::from_str(profile).unwrap();
    let Some(Value::Array(rules)) = profile.remove("syscalls") else { panic!("no rules") };
    let lines = rules.into_iter().flat_map(|rule| {
        let Value::Object(mut rule) = rule else { panic!("not a rule: {rule}") };
        let Some(Value::Array(names)) = rule.remove("names") else { panic!("no names: {rule:?}") };
        rule.retain(|field, value| field != "comment" && !is_empty(value));
        let condition = Value::Object(rule).to_string();
        names.into_iter().map(move |name| format!("{} {condition}", name.as_str().unwrap()))
    });
    let mut lines: BTreeSet<String> = lines.collect();
    lines.insert(Value::Object(profile).to_string());
    lines
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn is_added(line: &str) -> bool {
    ADDED.iter().any(|name| line == format!(r#"{name} {{"action":"SCMP_ACT_ALLOW"}}"#))
}

#[test]
fn the_profile_is_dockers_default_and_io_uring() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docker/seccomp.json");
    let (added, others): (BTreeSet<_>, BTreeSet<_>) =
        rules(&fs::read_to_string(path).unwrap()).into_iter().partition(|line| is_added(line));
    assert_eq!(added.len(), ADDED.len(), "{added:?}");
    if let Some(path) = std::env::var_os("DOCKER_DEFAULT_PROFILE") {
        let dockers = rules(&fs::read_to_string(path).unwrap());
        let missing: Vec<_> = dockers.difference(&others).collect();
        let surplus: Vec<_> = others.difference(&dockers).collect();
        assert!(missing.is_empty() && surplus.is_empty(), "missing: {missing:#?}\nsurplus: {surplus:#?}");
    }
    let mut digest = Sha256::new();
    others.iter().for_each(|line| digest.update(format!("{line}\n")));
    assert_eq!(
        base16ct::lower::encode_string(&digest.finalize()),
        DOCKERS_DEFAULT,
        "the rules:\n{others:#?}"
    );
}
