//! All that keys hold, whatever they are packed as; keys and fields whose time is over are not there.

use std::collections::BTreeMap;

use bobbin_engine::core::Core;
use bobbin_engine::store::encoding::quicklist::End;
use bobbin_engine::store::{Entry, Group, LiveHash, Object, Stream, Value};

/// What each key of each database holds, and until when.
pub type State = BTreeMap<(usize, String), Vec<String>>;

/// Of all cores together.
pub fn state<'a>(cores: impl IntoIterator<Item = &'a Core>, now_ms: u64) -> State {
    let databases = cores.into_iter().flat_map(|core| core.shard.keyspace.iter().enumerate());
    let entries = databases.flat_map(|(index, db)| db.iter().map(move |entry| (index, entry)));
    let is_over = |entry: &Entry| match entry.value() {
        _ if entry.expiry().is_some_and(|at_ms| at_ms < now_ms) => true,
        Value::Object(Object::Hash(hash)) => LiveHash::new(hash, now_ms).is_empty(),
        _ => false,
    };
    entries
        .filter(|(_, entry)| !is_over(entry))
        .map(|(db, entry)| ((db, text(entry.key())), facts(entry, now_ms)))
        .collect()
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn facts(entry: &Entry, now_ms: u64) -> Vec<String> {
    let mut facts = match entry.value() {
        Value::Int(number) => vec!["string".to_owned(), number.to_string()],
        Value::Bytes(bytes) => vec!["string".to_owned(), text(bytes)],
        Value::Object(Object::String(bytes)) => vec!["string".to_owned(), text(bytes)],
        Value::Object(object) => elements(object, now_ms),
    };
    facts.push(format!("until {:?}", entry.expiry()));
    facts
}

fn elements(object: &Object, now_ms: u64) -> Vec<String> {
    let (kind, mut all, ordered): (&str, Vec<String>, bool) = match object {
        Object::String(_) => unreachable!("it has no elements"),
        Object::List(list) => ("list", list.iter(0, End::Front).map(|e| text(&e.to_vec())).collect(), true),
        Object::Set(set) => ("set", set.iter().map(|member| text(&member.to_vec())).collect(), false),
        Object::Zset(zset) => {
            // A packed one keeps whole scores as integers, as in Redis, and zero has no sign then; the replica packs by
            // its own directives.
            let score = |score: f64| if score == 0.0 { 0.0 } else { score };
            let members =
                zset.iter().map(|(member, of)| format!("{} {:?}", text(&member.to_vec()), score(of)));
            ("zset", members.collect(), true)
        }
        Object::Hash(hash) => {
            let live = hash.iter().filter(|(.., at_ms)| at_ms.is_none_or(|at_ms| at_ms >= now_ms));
            let fields = live.map(|(field, value, at_ms)| {
                format!("{} = {} until {at_ms:?}", text(&field.to_vec()), text(&value.to_vec()))
            });
            ("hash", fields.collect(), false)
        }
        Object::Stream(stream) => ("stream", entries(stream), true),
    };
    if !ordered {
        all.sort();
    }
    all.insert(0, kind.to_owned());
    all
}

fn entries(stream: &Stream) -> Vec<String> {
    let log = &stream.log;
    let mut all = vec![format!("{:?} {:?} {}", log.last_id, log.max_deleted_id, log.entries_added)];
    for entry in log.entries() {
        let fields = entry.fields.map(|(name, value)| (text(&name.to_vec()), text(&value.to_vec())));
        all.push(format!("{:?} {:?}", entry.id, fields.collect::<Vec<_>>()));
    }
    for (name, group) in stream.groups() {
        all.push(format!("group {} {:?} {:?}", text(name), group.last_id, group.entries_read));
        all.extend(members(group));
    }
    all
}

fn members(group: &Group) -> Vec<String> {
    let mut all: Vec<String> = { group.pending().iter() }
        .map(|(id, pending)| {
            let owner = text(group.owner(pending).name());
            format!("pending {id:?} {owner} {} {}", pending.delivered_ms, pending.deliveries)
        })
        .collect();
    let mut consumers: Vec<String> = { group.consumers() }
        .map(|consumer| {
            // When it was last seen is journalled only with what else it did.
            format!("consumer {} {:?}", text(consumer.name()), consumer.active_ms)
        })
        .collect();
    consumers.sort();
    all.extend(consumers);
    all
}

/// What differs first.
pub fn first_difference(original: &State, replayed: &State) -> Option<String> {
    let keys = original.keys().chain(replayed.keys());
    let differs = |key: &&(usize, String)| original.get(key) != replayed.get(key);
    let key = { keys }.find(differs)?;
    let shown = |state: &State| state.get(key).map_or("none".to_owned(), |facts| facts.join("\n    "));
    Some(format!("key {:?}:\n  original: {}\n  replayed: {}", key, shown(original), shown(replayed)))
}
