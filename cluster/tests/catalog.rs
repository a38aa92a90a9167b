//! The catalog: its versions, its ids, its history, its file.

use bobbin_cluster::catalog::{BadCatalog, Catalog, CatalogLog, Change, Owner, SaveError, Update};
use bobbin_cluster::{Id, NodeName, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

#[path = "properties/catalog.rs"]
mod property;

fn change(line: &str) -> Change {
    Change::parse_line(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn log(most: usize, lines: &[&str]) -> CatalogLog {
    let mut log = CatalogLog::new(Catalog::default(), most);
    for line in lines {
        let made = log.save(log.current().version(), change(line));
        made.unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    log
}

fn refusal(log: &CatalogLog, line: &str) -> String {
    log.clone().save(log.current().version(), change(line)).expect_err("it is refused").to_string()
}

const NODES: [&str; 3] = ["node a 10.0.0.1:6379", "node b 10.0.0.2:6379", "node c [::1]:1"];

fn with_nodes(lines: &[&'static str]) -> CatalogLog {
    log(32, &[&NODES, lines].concat())
}

/// Of every route: its keys, holder and state.
fn listed(log: &CatalogLog) -> Vec<String> {
    let show = |owner: Owner<'_>| {
        let first = owner.from.unwrap_or(owner.prefix);
        format!("{} {} {} {}", owner.id, first.escape_ascii(), owner.holder, owner.state)
    };
    log.current().owners().map(show).collect()
}

#[test]
fn a_save_needs_the_current_version_and_makes_the_next() {
    let mut log = log(32, &["node a h:1"]);
    let scope = || change("scope x writer a");
    for wrong in [0, 2, 9] {
        let refused = log.save(Version(wrong), scope());
        assert_eq!(refused, Err(SaveError::Conflict { expected: Version(wrong), current: Version(1) }));
    }
    assert_eq!(log.save(Version(1), scope()), Ok(Version(2)));
    // What is refused makes no version.
    assert!(log.save(Version(2), scope()).is_err());
    assert_eq!(log.current().version(), Version(2));
    assert_eq!(log.save(Version(2), change("mark a down")), Ok(Version(3)));
}

#[test]
fn ids_are_never_used_again() {
    let log = with_nodes(&[
        "scope x writer a",
        "cut 1 xm",
        "unscope x",
        "scope x writer b",
        "move x to a",
        "abort 4",
        "move x to a",
    ]);
    assert_eq!(listed(&log), ["5 x b migrating-source", "5 x a migrating-target"]);
    let encoded = CatalogLog::decode(&log.encode(), 0).unwrap();
    let mut again = CatalogLog::decode(&encoded.encode(), 32).unwrap();
    again.save(again.current().version(), change("scope y writer c")).unwrap();
    assert_eq!(again.current().owner(b"y").unwrap().id, Id(6));
}

#[test]
fn a_route_that_is_no_prefix_moves_behind_a_fence() {
    let lines = ["scope user: writer a fallback b", "cut 1 user:5", "cut 2 user:8"];
    let log = with_nodes(&lines);
    assert_eq!(listed(&log), ["1 user: a active", "2 user:5 a active", "3 user:8 a active"]);
    assert_eq!(refusal(&log, "assign 2 writer c"), "route 2 is not fenced");
    assert_eq!(refusal(&log, "cut 1 user:5"), "'user:5' is no key inside of route 1");
    assert_eq!(refusal(&log, "cut 1 user:"), "'user:' is no key inside of route 1");
    assert_eq!(refusal(&log, "cut 2 user:4"), "'user:4' is no key inside of route 2");
    assert_eq!(refusal(&log, "fence 9"), "there is no route 9");
    let moved = with_nodes(&[&lines[..], &["fence 2", "assign 2 writer c", "lift 2"]].concat());
    assert_eq!(listed(&moved), ["1 user: a active", "2 user:5 c active", "3 user:8 a active"]);
    let at = |key: &str| moved.current().owner(key.as_bytes()).unwrap().holder.as_str().to_owned();
    assert_eq!(
        ["user:", "user:4zz", "user:5", "user:79", "user:8", "user:\u{7f}"].map(at),
        ["a", "a", "c", "c", "a", "a"]
    );
}

#[test]
fn moves_begin_where_they_can_and_end_once() {
    let log = with_nodes(&["scope user: writer a", "scope order: writer b", "cut 1 user:5", "fence 3"]);
    assert_eq!(refusal(&log, "move user: to b"), "'user:' is in no scope, or in more than one route of it");
    assert_eq!(refusal(&log, "move us to b"), "'us' is in no scope, or in more than one route of it");
    assert_eq!(refusal(&log, "move order: to b"), "it is node 'b' that has it");
    assert_eq!(refusal(&log, "move order: to z"), "there is no node 'z'");
    assert_eq!(refusal(&log, "move user:55 to b"), "route 3 is fenced");
    let moving = with_nodes(&["scope user: writer a", "move user:1 to b"]);
    assert_eq!(refusal(&moving, "move user:1 to c"), "'user:1' is migrating already");
    assert_eq!(refusal(&moving, "move user:11 to c"), "'user:11' overlaps with 'user:1', which is migrating");
    assert_eq!(refusal(&moving, "unscope user:"), "'user:1' is migrating already");
    assert_eq!(refusal(&moving, "cut 1 user:15"), "'user:1' has been moved as a whole");
    assert_eq!(refusal(&moving, "commit 7"), "there is no move 7");
    let ends = ["commit 2", "commit 2", "move user:1 to c", "abort 3", "abort 3"];
    let moved = with_nodes(&[&["scope user: writer a", "move user:1 to b"], &ends[..]].concat());
    assert_eq!(listed(&moved), ["1 user: a active", "2 user:1 b active"]);
    assert_eq!(refusal(&moved, "abort 2"), "move 2 has been committed");
}

#[test]
fn the_history_says_who_owned_a_key_and_forgets_what_is_too_old() {
    let log = log(3, &[&NODES[..], &["scope x writer a", "mark a down", "move x to b", "commit 2"]].concat());
    let holder = |version| {
        let owner = log.owner_at(Version(version), b"x1");
        owner.map(|owner| owner.map(|owner| (owner.holder.as_str(), owner.state.to_string())))
    };
    let was = |name, state: &str| Some(Some((name, state.to_owned())));
    assert_eq!(holder(3), None, "too old");
    assert_eq!(holder(4), was("a", "active"));
    assert_eq!(holder(6), was("a", "migrating-source"));
    assert_eq!(holder(7), was("b", "active"));
    assert_eq!(holder(8), None, "not yet");
    assert_eq!(log.owner_at(Version(7), b"y"), Some(None));
    let changes: Vec<_> = log.changes().map(|(version, change)| (version.0, change.line())).collect();
    assert_eq!(
        changes,
        [(7, b"commit 2".to_vec()), (6, b"move x to b".to_vec()), (5, b"mark a down".to_vec())]
    );
}

#[test]
fn whoever_is_behind_gets_the_changes_or_all_of_it() {
    let lines = [&NODES[..], &["scope x writer a", "mark a down", "unscope x"]].concat();
    let current = log(3, &lines);
    for behind in 0..=lines.len() {
        let old = log(3, &lines[..behind]).current().clone();
        match current.since(old.version()) {
            Update::Changes(changes) => {
                assert!(behind >= 3);
                let caught_up = changes.iter().fold(old, |old, change| old.changed(change).unwrap());
                assert_eq!(&caught_up, current.current());
            }
            Update::Snapshot(all) => {
                assert!(behind < 3);
                assert_eq!(&all, current.current());
            }
        }
    }
    assert_eq!(current.since(Version(99)), Update::Snapshot(current.current().clone()));
}

#[test]
fn an_address_may_change_and_a_mark_stays() {
    let log = with_nodes(&["scope x writer a fallback b", "mark a down", "node a new:1"]);
    assert_eq!(log.current().owner(b"x").unwrap().holder, &NodeName::new(b"b").unwrap());
    assert_eq!(log.current().nodes()[&NodeName::new(b"a").unwrap()].address.as_str(), "new:1");
}

fn varied() -> CatalogLog {
    let lines = [
        "scope \"user 1:\\x00\\xff\" writer a fallback b",
        "scope order: writer b",
        "cut 2 order:5",
        "fence 3",
        "move order:1 to c",
        "commit 4",
        "move order:2 to a",
        "mark c down",
    ];
    let mut log = CatalogLog::decode(&with_nodes(&lines).encode(), 0).expect("it is good");
    log = CatalogLog::decode(&log.encode(), 32).expect("it is good");
    for line in ["commit 5", "unscope \"user 1:\\x00\\xff\""] {
        log.save(log.current().version(), change(line)).expect("it is good");
    }
    log
}

/// A node may have the name of any word in the file.
#[test]
fn names_that_are_words_of_the_file_come_back() {
    for name in ["fenced", "writer", "fallback", "route", "from", "up"] {
        let lines = [
            &format!("node {name} 10.0.0.1:1"),
            "node b 10.0.0.2:1",
            &format!("scope x: writer {name}"),
            &format!("scope y: writer b fallback {name}"),
        ];
        let log = log(0, &lines);
        assert_eq!(CatalogLog::decode(&log.encode(), 0), Ok(log), "{name}");
    }
}

#[test]
fn the_file_is_text_and_every_change_to_it_is_noticed() {
    let log = varied();
    let text = log.encode();
    let expected = "bobbin-catalog 2\nversion 11 next 6\n\
        node a 10.0.0.1:6379 up\nnode b 10.0.0.2:6379 up\nnode c [::1]:1 down\n\
        route 2 order: writer b\nroute 3 order:5 writer b fenced\n\
        route 1 \"user 1:\\x00\\xff\" writer a fallback b\n\
        move 5 order:2 from b to a\nmoved 4 order:1 to c\n\
        change commit 5\nchange unscope \"user 1:\\x00\\xff\"\ncrc32c ";
    assert_eq!(std::str::from_utf8(&text[..text.len() - 9]).unwrap(), expected);
    assert_eq!(CatalogLog::decode(&text, 32), Ok(log));
    for at in 0..text.len() {
        assert!(CatalogLog::decode(&text[..at], 32).is_err());
        for bit in 0..8 {
            let mut damaged = text.clone();
            damaged[at] ^= 1 << bit;
            assert!(CatalogLog::decode(&damaged, 32).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn what_was_not_written_is_refused_although_it_is_sealed() {
    let head = "bobbin-catalog 1\nversion 3 next 9\nnode a h:1 up\nnode b h:2 up\n";
    let read = |lines: &str| CatalogLog::read(format!("{head}{lines}").as_bytes(), 32);
    assert!(read("route 1 x writer a\n").is_ok());
    for damaged in [
        "route 1 x  writer a\n",
        "route 1 \"x\" writer a\n",
        "route 01 x writer a\n",
        "node a h:1 up\n",
        "node c h:1 sideways\n",
        "route 2 y writer a\nroute 1 x writer a\n",
        "move 1 x from a to b\nroute 2 x writer a\n",
        "change scope x writer a\nroute 2 y writer a\n",
        "route 1 x WRITER a\n",
        "change scope x WRITER a\n",
        "declared x writer a\n",
        "route 1 x writer a",
    ] {
        let refused = read(damaged);
        let is_refused = matches!(refused, Err(BadCatalog::Damaged | BadCatalog::Impossible { .. }));
        assert!(is_refused, "{damaged}: {refused:?}");
    }
    for (impossible, text) in [
        ("route 9 x writer a\n", "its line 5 says what can't be: there is no route 9"),
        ("route 1 x writer z\n", "its line 5 says what can't be: there is no node 'z'"),
        ("route 1 x writer a\nroute 2 xx writer z\n", "its line 6 says what can't be: there is no node 'z'"),
        (
            "route 1 x writer a\nmoved 2 y to b\n",
            "its line 6 says what can't be: 'y' is in no scope, or in more than one route of it",
        ),
        ("change mark z up\n", "its line 5 says what can't be: there is no node 'z'"),
        ("nonsense\n", "its line 5 says what can't be: these words are no change"),
    ] {
        assert_eq!(read(impossible).unwrap_err().to_string(), text);
    }
    assert_eq!(CatalogLog::read(b"bobbin-catalog 3\nanything\n", 32), Err(BadCatalog::Newer(3)));
    assert_eq!(CatalogLog::read(b"bobbin-catalog 0\n", 32), Err(BadCatalog::Damaged));
    assert_eq!(CatalogLog::read(b"", 32), Err(BadCatalog::Damaged));
}

/// Of a version or an id that is too large the line is told; the largest leaves room for changes.
#[test]
fn numbers_that_would_overflow_are_refused() {
    let read = |numbers: &str, more: &str| {
        CatalogLog::read(format!("bobbin-catalog 2\n{numbers}\nnode a h:1 up\n{more}").as_bytes(), 32)
    };
    let largest = 1_u64 << 62;
    for number in [largest + 1, i64::MAX as u64, u64::MAX] {
        let text = format!(
            "its line 2 says what can't be: {number} is more than {largest}, the largest version and id"
        );
        let version = read(&format!("version {number} next 1"), "").unwrap_err();
        assert_eq!(version.to_string(), text);
        let next = read(&format!("version 1 next {number}"), "change scope x writer a\n").unwrap_err();
        assert_eq!(next.to_string(), text);
    }
    let mut log = read(&format!("version {largest} next {largest}"), "change scope x writer a\n").unwrap();
    log.save(log.current().version(), change("scope y writer a")).unwrap();
    assert_eq!(log.current().version(), Version(largest + 2));
    assert_eq!(log.current().owner(b"y").unwrap().id, Id(largest + 1));
}

/// Words that lines are made of, so that many of them are read.
fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "node",
        "a",
        "b",
        "h:1",
        "up",
        "down",
        "route",
        "1",
        "2",
        "x",
        "xx",
        "y",
        "writer",
        "fallback",
        "fenced",
        "move",
        "moved",
        "from",
        "to",
        "change",
        "scope",
        "unscope",
        "cut",
        "fence",
        "lift",
        "assign",
        "commit",
        "abort",
        "mark",
        "version",
        "next",
        "9",
        "\"\\xff\"",
        "declared",
        "18446744073709551615",
    ])
}

/// A line that is read if it stands where it may.
fn line() -> impl Strategy<Value = String> {
    let whole = prop::sample::select(vec![
        "route 1 x writer a",
        "route 2 xx writer b fenced",
        "route 3 y writer b fallback a",
        "declared x writer a",
        "declared z writer b fallback a",
        "move 4 x1 from a to b",
        "moved 5 x0 to b",
        "change scope z writer a",
        "change commit 4",
        "change cut 3 yy",
        "change unscope y",
    ]);
    prop_oneof![3 => whole.prop_map(String::from), 1 => vec(word(), 1..7).prop_map(|words| words.join(" "))]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3000,
        rng_seed: RngSeed::Fixed(0x0ca7_a109),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Always the same inputs: looking for new ones is the fuzz target's work (`engine/fuzz/fuzz_targets/catalog.rs`).
    #[test]
    fn any_lines_are_refused_or_written_as_they_are_read(format in 1_u8..3, lines in vec(line(), 0..8), damage in any::<(prop::sample::Index, u8)>(), damaged in any::<bool>()) {
        let (declared, others): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.starts_with("declared"));
        let lines_of = |lines: &[&String]| lines.iter().flat_map(|line| [line, "\n"]).collect::<String>();
        let head = "version 3 next 9\nnode a h:1 up\nnode b h:2 down\n";
        let title = format!("bobbin-catalog {format}\n");
        let mut text = [title, lines_of(&declared), head.to_owned(), lines_of(&others)].concat().into_bytes();
        if damaged {
            let at = damage.0.index(text.len());
            text[at] = damage.1;
        }
        property::check_catalog(&text);
        lines.iter().for_each(|line| property::check_change(line.as_bytes()));
    }

    #[test]
    fn any_bytes_are_refused_or_read(bytes in vec(any::<u8>(), 0..60)) {
        property::check_catalog(&bytes);
        property::check_change(&bytes);
    }
}
