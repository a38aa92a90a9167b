//! Each rule matters: without it some seed leads to an anomaly, to a world that does not come to rest, or to a panic.
//! With all rules the same seeds do not, as `every_history_is_strictly_serializable` shows, and for the rules of scopes
//! `nothing_is_written_that_others_write_once_a_change_is_answered`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bobbin_engine::rules::{Rule, with_broken};

use crate::history::check;
use crate::scopes;
use crate::workload::Plan;

/// Seeds tried before a rule counts as idle. Most are missed within 50, a few need some thousand.
const SEEDS_MAX: u64 = 20_000;

/// Of scopes: histories have none.
const OF_SCOPES: [Rule; 4] =
    [Rule::WritesMindScopes, Rule::BlocksMindScopes, Rule::WaitsMindScopes, Rule::ChangesReachAllCores];

/// Whether a history shows that a rule is broken.
fn shows(seed: u64, rule: Rule) -> bool {
    if OF_SCOPES.contains(&rule) {
        return catch_unwind(|| with_broken(rule, || scopes::play(seed))).is_err();
    }
    let play = || with_broken(rule, || Plan::of(seed).play(seed));
    match catch_unwind(AssertUnwindSafe(play)) {
        Ok(history) => check(&history).is_err_and(|anomaly| !anomaly.is_undecided),
        Err(_) => true,
    }
}

#[test]
fn every_rule_is_missed_when_it_is_broken() {
    let is_idle = |rule: &Rule| {
        let seed = (0..SEEDS_MAX).find(|&seed| shows(seed, *rule));
        eprintln!("without {rule:?}: seed {seed:?}");
        seed.is_none()
    };
    // `--test replay` breaks those of the journal.
    let here = |rule: &Rule| !Rule::OF_SNAPSHOTS.contains(rule) && !Rule::OF_SWITCHES.contains(rule);
    let idle: Vec<_> = Rule::ALL.iter().copied().filter(here).filter(is_idle).collect();
    assert_eq!(idle, [], "nobody notices when these are broken");
}
