//! DEBUG's subcommands that look at keys and tables, or make some.

use bobbin_proto::Reply;

use super::super::{Args, Session};
use crate::conn::Conn;
use crate::core::{Core, Shard};
use crate::errand::{Errand, Need, Targets};
use crate::error::{CommandError, printable};
use crate::rdb;
use crate::store::{Entry, Expiry, Object, parse_canonical};

pub(super) fn debug_object(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    look(session, args.at(2), describe)
}

pub(super) fn debug_htstats_key(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    look(session, args.at(2), |_, _| {
        Err(CommandError::text(
            "ERR The value stored at the specified key is not represented using an hash table",
        ))
    })
}

/// Looks at one key where it is. Leaves no trace on it.
fn look(session: &mut Session<'_>, key: &[u8], say: Say) -> Result<(), CommandError> {
    let owner = session.core.owner(key);
    session.ask(Look { db: session.conn.db as usize, key: key.into(), say }, Targets::One(owner));
    Ok(())
}

/// What is to be said of an entry.
type Say = fn(&Entry, &Core) -> Result<String, CommandError>;

#[derive(Debug)]
struct Look {
    db: usize,
    key: Box<[u8]>,
    say: Say,
}

impl Errand for Look {
    type Answer = Result<String, CommandError>;

    fn need(&self) -> Need {
        Need::WholeShard
    }

    fn visit(&self, core: &mut Core) -> Result<String, CommandError> {
        let found = core.shard.keyspace.db(self.db).find_live(&self.key, core.env.now.unix_ms());
        (self.say)(found.live().ok_or(CommandError::NoSuchKey)?, core)
    }

    fn finish(
        &self,
        answers: Vec<Result<String, CommandError>>,
        _: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        for said in answers {
            reply.simple(&said?);
        }
        Ok(())
    }
}

fn describe(entry: &Entry, core: &Core) -> Result<String, CommandError> {
    let idle_s = core.shard.rest.evictor.config().idle_time_secs(entry, core.env.now.unix_ms());
    Ok(format!(
        "Value at:{:p} refcount:1 encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{idle_s}",
        std::ptr::from_ref(entry),
        entry.encoding(),
        rdb::value_len(entry.value(), core.env.config.rdbcompression.into()),
        entry.access(),
    ))
}

pub(super) fn debug_structsize(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let sizes = format!(
        "bits:{} entry:{} object:{} conn:{}",
        usize::BITS,
        size_of::<Entry>(),
        size_of::<Object>(),
        size_of::<Conn>()
    );
    session.reply(|reply| reply.bulk(sizes.as_bytes()));
    Ok(())
}

pub(super) fn debug_htstats(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let db = parse_canonical(args.at(2)).ok_or(CommandError::NotInteger)?;
    let known = usize::try_from(db).ok().filter(|&db| db < session.core.shard.keyspace.databases());
    let db = known.ok_or(CommandError::text("ERR Out of range database"))?;
    session.ask(TableStats { db }, Targets::All);
    Ok(())
}

#[derive(Debug)]
struct TableStats {
    db: usize,
}

impl Errand for TableStats {
    /// Keys, and those that expire.
    type Answer = (usize, usize);

    fn visit(&self, core: &mut Core) -> (usize, usize) {
        let db = core.shard.keyspace.db(self.db);
        (db.len(), db.volatile_len())
    }

    fn finish(
        &self,
        answers: Vec<(usize, usize)>,
        _: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        let keys: Vec<usize> = answers.iter().map(|answer| answer.0).collect();
        let volatile: Vec<usize> = answers.iter().map(|answer| answer.1).collect();
        let text = format!("[Dictionary HT]\n{}[Expires HT]\n{}", table_text(&keys), table_text(&volatile));
        reply.verbatim(*b"txt", text.as_bytes());
        Ok(())
    }
}

/// One table for each shard.
fn table_text(keys: &[usize]) -> String {
    if keys.iter().all(|&keys| keys == 0) {
        return "No stats available for empty dictionaries\n".to_owned();
    }
    let line = |(shard, keys): (usize, &usize)| format!("Shard {shard}:\n number of elements: {keys}\n");
    keys.iter().enumerate().map(line).collect()
}

pub(super) fn debug_populate(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let positive = |word: &[u8]| {
        parse_canonical(word)
            .and_then(|number| u64::try_from(number).ok())
            .ok_or(CommandError::text("ERR value is out of range, must be positive"))
    };
    let populate = Populate {
        db: session.conn.db as usize,
        count: positive(args.at(2))?,
        prefix: args.get(3).map_or("key".into(), |prefix| printable(prefix).into_owned()),
        size: args.get(4).map_or(Ok(0), positive)?.min(session.core.env.config.proto_max_bulk_len) as usize,
    };
    session.ask(populate, Targets::All);
    Ok(())
}

#[derive(Debug)]
struct Populate {
    db: usize,
    count: u64,
    prefix: String,
    /// 0: as long as the text is.
    size: usize,
}

impl Errand for Populate {
    type Answer = ();

    fn need(&self) -> Need {
        Need::WholeShard
    }

    fn visit(&self, core: &mut Core) {
        for number in 0..self.count {
            let key = format!("{}:{number}", self.prefix);
            if core.owner(key.as_bytes()) != core.id {
                continue;
            }
            let Shard { keyspace, rest, .. } = &mut core.shard;
            let db = keyspace.db_mut(self.db);
            if db.find(key.as_bytes()).is_none() {
                let mut value = format!("value:{number}").into_bytes();
                if self.size > 0 {
                    value.resize(self.size, 0);
                }
                db.set_string(key.as_bytes(), &value, Expiry::None);
                rest.effects.note(self.db, [b"SET", key.as_bytes(), &value]);
            }
        }
    }

    fn finish(&self, _: Vec<()>, _: &mut Core, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        reply.ok();
        Ok(())
    }
}
