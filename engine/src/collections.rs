//! Maps whose behaviour depends on their contents only, so that a simulation replays exactly.

/// A hash map with a fixed seed: for keys that no client chooses.
pub type Map<K, V> = hashbrown::HashMap<K, V, foldhash::fast::FixedState>;

/// The same of a set.
pub type Set<K> = hashbrown::HashSet<K, foldhash::fast::FixedState>;
