//! What is declared, changed and declared again, over starts: each is a file that is read, and written.

use bobbin_cluster::catalog::{BadDeclaration, Catalog, CatalogLog, Change, Refusal, parse_scope};
use bobbin_cluster::scope::{Scope, ScopeError, Verdict};
use bobbin_proto::split_words;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn scope(line: &str) -> Scope {
    parse_scope(&split_words(line.as_bytes()).expect("words")).expect("a scope")
}

fn change(log: &mut CatalogLog, line: &str) {
    let change = Change::parse_line(line.as_bytes()).expect("a change");
    log.save(log.current().version(), change).unwrap_or_else(|error| panic!("{line}: {error}"));
}

fn first() -> CatalogLog {
    let mut log = CatalogLog::new(Catalog::default(), 32);
    ["node a h:1", "node b h:2"].iter().for_each(|line| change(&mut log, line));
    log
}

/// A start from the file that the log was stored in, with these declarations.
fn start(log: &CatalogLog, declared: &[&str]) -> Result<CatalogLog, String> {
    let mut log = CatalogLog::decode(&log.encode(), 32).expect("it was written");
    let scopes: Vec<Scope> = declared.iter().map(|line| scope(line)).collect();
    log.declare(&scopes).map(|()| log).map_err(|bad| match bad {
        BadDeclaration::Wrong { refusal, .. } => format!("wrong: {refusal}"),
        BadDeclaration::Refused { refusal, .. } => format!("refused: {refusal}"),
    })
}

/// Each scope with its writer.
fn scopes(log: &CatalogLog) -> Vec<String> {
    let show = |owner: bobbin_cluster::catalog::Owner<'_>| {
        format!("{} {}", owner.from.unwrap_or(owner.prefix).escape_ascii(), owner.writer)
    };
    log.current().owners().map(show).collect()
}

/// Started with the first, changed, started with the second.
fn after(declared: &[&str], changes: &[&str], again: &[&str]) -> Result<Vec<String>, String> {
    let mut log = start(&first(), declared)?;
    changes.iter().for_each(|line| change(&mut log, line));
    start(&log, again).map(|log| scopes(&log))
}

#[test]
fn what_is_declared_as_before_is_as_changes_have_left_it() {
    let declared = ["x writer a", "y writer b"];
    for (changes, expected) in [
        (&[][..], &["x a", "y b"][..]),
        (&["unscope x"], &["y b"]),
        (&["unscope x", "scope x writer b"], &["x b", "y b"]),
        (&["unscope x", "scope xx writer b"], &["xx b", "y b"]),
        (&["unscope x", "unscope y", "scope z writer a"], &["z a"]),
        (&["cut 1 xm"], &["x a", "xm a", "y b"]),
    ] {
        assert_eq!(after(&declared, changes, &declared).unwrap(), expected, "{changes:?}");
        // The order of the lines does not matter.
        let reversed = [declared[1], declared[0]];
        assert_eq!(after(&declared, changes, &reversed).unwrap(), expected, "{changes:?}");
    }
    // One that begins what was declared.
    let longer = ["xx writer a"];
    assert_eq!(after(&longer, &["unscope xx", "scope x writer b"], &longer).unwrap(), ["x b"]);
}

#[test]
fn a_start_that_changes_nothing_makes_no_version() {
    let log = start(&first(), &["x writer a", "y writer b"]).unwrap();
    assert_eq!(log.current().version().0, 4);
    assert_eq!(start(&log, &["x writer a", "y writer b"]).unwrap(), log);
}

#[test]
fn a_declaration_that_is_another_applies_whatever_was_made_of_it() {
    for changes in [
        &[][..],
        &["unscope x"],
        &["unscope x", "scope x writer b fallback a"],
        &["cut 1 xm", "fence 1"],
        &["unscope x", "scope x writer b"],
    ] {
        assert_eq!(after(&["x writer a"], changes, &["x writer b"]).unwrap(), ["x b"], "{changes:?}");
    }
    // Taken over once: it is as before from then on.
    let mut log = start(&first(), &["x writer a"]).unwrap();
    log = start(&log, &["x writer b"]).unwrap();
    change(&mut log, "unscope x");
    assert_eq!(scopes(&start(&log, &["x writer b"]).unwrap()), [""; 0]);
    // What is so already is not made again.
    let log = start(&first(), &["x writer a"]).unwrap();
    let mut changed = log.clone();
    ["unscope x", "scope x writer b"].iter().for_each(|line| change(&mut changed, line));
    let again = start(&changed, &["x writer b"]).unwrap();
    assert_eq!(again.current(), changed.current());
}

#[test]
fn what_is_taken_out_goes_unless_it_was_made_another() {
    for (changes, expected) in [
        (&[][..], &["y b"][..]),
        (&["unscope x"], &["y b"]),
        (&["unscope x", "scope x writer b"], &["x b", "y b"]),
        (&["cut 1 xm"], &["x a", "xm a", "y b"]),
        (&["move x to b"], &["x a", "x b", "y b"]),
        (&["unscope x", "scope xx writer b"], &["xx b", "y b"]),
    ] {
        assert_eq!(after(&["x writer a", "y writer b"], changes, &["y writer b"]).unwrap(), expected);
    }
    // What was never declared is nobody's to take out.
    assert_eq!(after(&[], &["scope z writer a"], &[]).unwrap(), ["z a"]);
    // It makes room, whatever the order of the lines.
    assert_eq!(after(&["x writer a"], &[], &["x2 writer b", "x1 writer a"]).unwrap(), ["x1 a", "x2 b"]);
    assert_eq!(after(&["x1 writer a", "x2 writer a"], &[], &["x writer b"]).unwrap(), ["x b"]);
}

#[test]
fn what_is_declared_and_gone_is_there_again_once_it_was_taken_out() {
    let mut log = start(&first(), &["x writer a"]).unwrap();
    change(&mut log, "unscope x");
    log = start(&log, &[]).unwrap();
    assert_eq!(scopes(&start(&log, &["x writer a"]).unwrap()), ["x a"]);
}

#[test]
fn what_can_t_be_declared_is_told_apart_from_what_is_in_the_way() {
    for (declared, text) in [
        (&["x writer a", "x writer a"][..], "wrong: there is a scope 'x' already"),
        (&["x writer a", "x1 writer b"], "wrong: scope 'x1' overlaps with scope 'x'"),
        (&["x writer z"], "wrong: there is no node 'z'"),
        (&["x writer a fallback a"], "wrong: the fallback of a scope can't be its writer"),
        (&["\"\" writer a"], "wrong: a scope's prefix can't be empty"),
    ] {
        assert_eq!(start(&first(), declared).unwrap_err(), text);
    }
    let overlapping = after(&[], &["scope x1 writer a"], &["x writer a"]);
    assert_eq!(overlapping.unwrap_err(), "refused: scope 'x' overlaps with scope 'x1'");
    // That what was declared first is gone does not make it right.
    let wrong = after(&["x writer a"], &["unscope x"], &["x writer a", "x1 writer a"]);
    assert_eq!(wrong.unwrap_err(), "wrong: scope 'x1' overlaps with scope 'x'");
    let moving = after(&["x writer a"], &["move x to b"], &["x writer b"]);
    assert_eq!(moving.unwrap_err(), "refused: 'x' is migrating already");
}

#[test]
fn there_may_be_a_hundred_thousand_scopes_and_no_more() {
    let names = (0..=100_000).map(|number| scope(&format!("scope-{number:06}: writer a")));
    let declared: Vec<Scope> = names.collect();
    let mut log = first();
    log.declare(&declared[..100_000]).unwrap();
    let table = log.current().table(Some(&declared[0].writer));
    for (key, verdict) in [
        ("scope-000000:x", Verdict::Owned),
        ("scope-099999:x", Verdict::Owned),
        ("scope-100000:x", Verdict::Unscoped),
        ("scope-00000", Verdict::Unscoped),
    ] {
        assert_eq!(table.lookup(key.as_bytes()), verdict, "{key}");
    }
    let mut again = CatalogLog::decode(&log.encode(), 32).unwrap();
    assert_eq!(again, log);
    let refusal = Refusal::Scope(ScopeError::TooMany);
    let refused = BadDeclaration::Refused { scope: declared[100_000].clone(), refusal };
    assert_eq!(again.declare(&declared), Err(refused));
}

/// A file of before declarations were in it: what there is holds over what is declared, and the rest is added.
#[test]
fn a_file_of_format_version_1_is_read() {
    let text = "bobbin-catalog 1\nversion 5 next 3\nnode a h:1 up\nnode b h:2 up\nroute 2 x writer b\n";
    let old = CatalogLog::read(text.as_bytes(), 32).unwrap();
    assert_eq!(old.declared(), None);
    assert!(old.encode().starts_with(text.as_bytes()), "what it does not say is not made up");
    let log = start(&old, &["x writer a", "y writer a"]).unwrap();
    assert_eq!(scopes(&log), ["x b", "y a"]);
    assert!(
        log.encode().starts_with(b"bobbin-catalog 2\ndeclared x writer a\ndeclared y writer a\nversion 5 ")
    );
    let mut log = start(&log, &["x writer a", "y writer a"]).unwrap();
    change(&mut log, "unscope y");
    assert_eq!(scopes(&start(&log, &["x writer a", "y writer a"]).unwrap()), ["x b"]);
    assert_eq!(scopes(&start(&log, &["y writer a"]).unwrap()), ["x b"], "it is not what was declared");
}

/// Prefixes of which many overlap.
fn prefix() -> impl Strategy<Value = String> {
    "[xy]{1,3}"
}

fn line() -> impl Strategy<Value = String> {
    (prefix(), prop::sample::select(vec!["a", "b"]))
        .prop_map(|(prefix, node)| format!("{prefix} writer {node}"))
}

/// Changes that can be made; those that can't are left out.
fn change_all(log: &mut CatalogLog, changes: &[(bool, String)]) {
    for (adds, line) in changes {
        let words = line.split(' ').next().expect("a prefix");
        let line = if *adds { format!("scope {line}") } else { format!("unscope {words}") };
        let change = Change::parse_line(line.as_bytes()).expect("a change");
        let _ = log.save(log.current().version(), change);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3000,
        rng_seed: RngSeed::Fixed(0x0dec_1a7e),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_changes_stop_a_start_with_what_was_declared_before(
        declared in vec(line(), 0..4), changes in vec((any::<bool>(), line()), 0..12), next in vec(line(), 0..4)
    ) {
        let declared: Vec<&str> = declared.iter().map(String::as_str).collect();
        let Ok(mut log) = start(&first(), &declared) else { return Ok(()) };
        change_all(&mut log, &changes);
        let again = start(&log, &declared);
        prop_assert_eq!(again.as_ref(), Ok(&log));
        // With others, each that is new applies, and each that is not leaves what there is.
        let next: Vec<&str> = next.iter().map(String::as_str).collect();
        if let Ok(started) = start(&log, &next) {
            for line in &next {
                let scope = scope(line);
                if declared.contains(line) {
                    let there = |log: &CatalogLog| log.current().scopes().get(&scope.prefix).cloned();
                    prop_assert_eq!(there(&started), there(&log));
                } else {
                    prop_assert!(started.current().has(&scope));
                }
            }
            for prefix in log.current().scopes().keys().filter(|prefix| !started.current().scopes().contains_key(*prefix)) {
                let was_declared = declared.iter().any(|line| scope(line).prefix == *prefix);
                prop_assert!(was_declared, "only what was declared goes");
            }
        }
    }
}
