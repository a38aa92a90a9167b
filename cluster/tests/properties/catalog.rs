//! What must hold of any bytes as a catalog. Shared by `tests/catalog.rs` and the fuzz target.

use bobbin_cluster::catalog::{CatalogLog, Change};

/// Refused, or a catalog that is written as it was read, and of which every node has a table.
pub(crate) fn check_catalog(text: &[u8]) {
    let _ = CatalogLog::decode(text, 32);
    let Ok(log) = CatalogLog::read(text, 4096) else { return };
    let encoded = log.encode();
    assert!(encoded.starts_with(text), "it is written as it was read");
    assert_eq!(CatalogLog::decode(&encoded, 4096).as_ref(), Ok(&log));
    changes_can_go_on(&log);
    let catalog = log.current();
    for this in catalog.nodes().keys().map(Some).chain([None]) {
        let table = catalog.table(this);
        for owner in catalog.owners() {
            assert!(table.part(owner.from.unwrap_or(owner.prefix)).is_some());
        }
    }
}

/// Whatever is read leaves room for numbers.
fn changes_can_go_on(log: &CatalogLog) {
    let mut log = log.clone();
    for line in [&b"node a h:1"[..], b"scope \"\\x01\" writer a"] {
        let change = Change::parse_line(line).expect("a change");
        let (before, made) = (log.current().version(), log.save(log.current().version(), change));
        assert!(made.is_err() || made.is_ok_and(|version| version > before));
    }
}

/// No change, or one that is written as it was read but for quotes.
pub(crate) fn check_change(line: &[u8]) {
    if let Ok(change) = Change::parse_line(line) {
        assert_eq!(Change::parse_line(&change.line()), Ok(change));
    }
}
