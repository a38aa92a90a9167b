use super::*;
use crate::config::{Peer, load_text, syntax};
use proptest::prelude::*;
use std::path::Path;

/// A value for `row` that is not its default, as a configuration line writes it.
fn another_value(row: &Directive) -> String {
    match row.name {
        "bind" => "10.0.0.1 -fe80::1%eth0".into(),
        "save" => "900 1".into(),
        "client-output-buffer-limit" => "pubsub 1mb 1k 9".into(),
        "latency-tracking-info-percentiles" => "50 99.99".into(),
        "oom-score-adj-values" => "1 2 3".into(),
        "replicaof" => "10.0.0.1 6380".into(),
        "shutdown-on-sigint" | "shutdown-on-sigterm" => "save now".into(),
        "reactor-cpus" => "0-3,6".into(),
        "notify-keyspace-events" => "AKE".into(),
        "maxmemory-clients" => "5%".into(),
        "proc-title-template" => "{title}".into(),
        "hz" => "20".into(),
        "node" => "a 10.0.0.1:6379".into(),
        "scope" => "user: writer a fallback b".into(),
        _ => match &row.kind {
            Kind::Bool => if row.default == "yes" { "no" } else { "yes" }.into(),
            Kind::Integer { min, max, .. } => {
                if row.default == max.to_string() {
                    min.to_string()
                } else {
                    max.to_string()
                }
            }
            Kind::Octal { max } => format!("{max:o}"),
            Kind::Memory { min, .. } => format!("{}", min + 7),
            Kind::Choice(names) => (*names.iter().find(|name| **name != row.default).unwrap()).into(),
            _ => "another".into(),
        },
    }
}

/// Rows that take their default only.
fn is_fixed(row: &Directive) -> bool {
    ["aclfile", "daemonize"].contains(&row.name)
}

fn bad_value(row: &Directive) -> Option<&'static str> {
    match row.kind {
        Kind::Text { .. } if row.name == "reactor-cpus" => Some("3-1"),
        Kind::Text { .. } if is_fixed(row) => Some("yes"),
        Kind::Text { .. } | Kind::Secret => None,
        _ => Some("\u{1}"),
    }
}

#[test]
fn names_and_aliases_are_unique_and_lower_case() {
    let mut names: Vec<_> = DIRECTIVES.iter().flat_map(Directive::names).collect();
    assert!(names.iter().all(|name| *name == name.to_lowercase()));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn defaults_are_answered_as_the_table_writes_them() {
    let config = Config::default();
    for row in DIRECTIVES {
        assert_eq!(String::from_utf8(row.text(&config)).unwrap(), row.default, "{}", row.name);
    }
}

#[test]
fn the_bounds_of_a_row_fit_its_field() {
    for row in DIRECTIVES {
        let bounds = match row.kind {
            Kind::Integer { min, max, .. } | Kind::Memory { min, max } => [min, max],
            Kind::Octal { max } => [0, i128::from(max)],
            _ => continue,
        };
        for bound in bounds {
            let word =
                if matches!(row.kind, Kind::Octal { .. }) { format!("{bound:o}") } else { bound.to_string() };
            let result = row.assign(
                &mut Config::default(),
                &[word.into_bytes()],
                crate::config::setting::Load::Replace,
            );
            assert!(result.is_ok(), "{} {bound}", row.name);
        }
    }
}

#[test]
fn every_row_is_read_from_files_and_answered() {
    let default = Config::default();
    for row in DIRECTIVES.iter().filter(|row| !is_fixed(row)) {
        for name in row.names() {
            let line = format!("{} {}", name.to_uppercase(), another_value(row));
            let loaded = load_text(Path::new("t"), line.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
            assert!(!row.is_equal(&loaded.config, &default), "{name}");
            assert_eq!(loaded.without_effect.contains(&row), row.class == Class::Inert, "{name}");
            let answers = loaded.config.matching(&[name.as_bytes()]);
            assert_eq!(answers, [(name.as_bytes().to_vec(), row.text(&loaded.config))]);
        }
    }
}

#[test]
fn every_row_is_set_at_run_time_or_refused() {
    for row in DIRECTIVES.iter().filter(|row| !is_fixed(row)) {
        let value = another_value(row);
        let result = Config::default().set(&[row.name.as_bytes(), value.as_bytes()], Peer::Local);
        match row.change {
            Change::Runtime => assert_eq!(result.unwrap().1, [row]),
            Change::Start => assert!(result.unwrap_err().to_string().ends_with("can't set immutable config")),
            Change::Protected | Change::ProtectedStart => {
                assert!(result.unwrap_err().to_string().ends_with("can't set protected config"));
            }
        }
    }
}

#[test]
fn every_bad_value_is_refused_with_place_and_expectation() {
    for row in DIRECTIVES {
        let Some(value) = bad_value(row) else { continue };
        let text = format!("\n{} {value}", row.name);
        let error = load_text(Path::new("t"), text.as_bytes()).expect_err(row.name).to_string();
        assert!(error.starts_with("t:2: ") && error.contains("expected: "), "{error}");
        assert!(error.contains(&format!("{} <", row.name)), "{error}");
    }
}

/// Lines that are likely to be read.
fn plausible_line() -> impl Strategy<Value = String> {
    let changed = (0..DIRECTIVES.len()).prop_map(|index| {
        let row = &DIRECTIVES[index];
        if is_fixed(row) {
            format!("{} \"{}\"", row.name, row.default)
        } else {
            format!("{} {}", row.name, another_value(row))
        }
    });
    let explicit = (0..DIRECTIVES.len()).prop_map(|index| {
        let row = &DIRECTIVES[index];
        let default = if row.kind.takes_many() && !row.default.is_empty() {
            row.default.to_owned()
        } else {
            format!("\"{}\"", row.default)
        };
        format!("{} {default}", row.names().last().unwrap())
    });
    let secret = proptest::collection::vec(any::<u8>(), 0..8)
        .prop_map(|bytes| format!("requirepass {}", String::from_utf8(syntax::quote(&bytes)).unwrap()));
    let save = (1..1000u32, 0..1000u32).prop_map(|(seconds, changes)| format!("save {seconds} {changes}"));
    let other = prop_oneof![
        Just("# a comment".to_owned()),
        Just(String::new()),
        Just("save \"\"".to_owned()),
        Just("rename-command KEYS \"\"".to_owned()),
    ];
    prop_oneof![4 => changed, 4 => explicit, 1 => secret, 2 => save, 2 => other]
}

proptest! {
    #[test]
    fn what_is_rewritten_reads_back_the_same(
        old in proptest::collection::vec(plausible_line(), 0..30),
        now in proptest::collection::vec(plausible_line(), 0..30),
    ) {
        let file = Path::new("t");
        let old = old.join("\n");
        let renamed = load_text(file, old.as_bytes()).unwrap().config.renamed_commands;
        let mut config = load_text(file, now.join("\n").as_bytes()).unwrap().config;
        let text = config.rewritten(file, old.as_bytes()).unwrap();
        // Renaming cannot change while the server runs, so the old file's lines stay.
        config.renamed_commands = renamed;
        prop_assert_eq!(&load_text(file, &text).unwrap().config, &config);
        prop_assert_eq!(config.rewritten(file, &text).unwrap(), text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = load_text(Path::new("t"), &bytes);
        let _ = Config::default().rewritten(Path::new("t"), &bytes);
    }

    #[test]
    fn any_value_is_taken_or_refused(index in 0..DIRECTIVES.len(), value in proptest::collection::vec(any::<u8>(), 0..40)) {
        let row = &DIRECTIVES[index];
        if let Ok((config, _)) = Config::default().set(&[row.name.as_bytes(), &value], Peer::Local) {
            let text = config.rewritten(Path::new("t"), b"").unwrap();
            prop_assert_eq!(load_text(Path::new("t"), &text).unwrap().config, config);
        }
    }

    #[test]
    fn any_line_of_a_known_name_is_read_or_refused(index in 0..DIRECTIVES.len(), value in "[ -~]{0,40}") {
        let line = format!("{} {value}", DIRECTIVES[index].name);
        let _ = load_text(Path::new("t"), line.as_bytes());
    }
}
