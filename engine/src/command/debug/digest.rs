//! DEBUG DIGEST and DIGEST-VALUE: hashes of the data, equal to those of a Redis that holds the same.
//!
//! Two operations on 20 bytes: *xor* with the SHA-1 of something, which does not mind the order, and *mix*, which is
//! xor followed by the SHA-1 of the result, and does. Databases are mixed in by number; keys are xored in.
//!
//! Source: the replies of redis-server 7.0.15, and `src/debug.c` of Valkey.

use bobbin_proto::{Reply, format_double};
use sha1::{Digest as _, Sha1};

use super::super::{Args, OwnedArgs, Session};
use crate::core::Core;
use crate::errand::{Errand, Need, Targets};
use crate::error::CommandError;
use crate::store::encoding::listpack::Element;
use crate::store::encoding::quicklist::End;
use crate::store::encoding::stream;
use crate::store::{Db, Entry, Field, Object, Type, Value};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Digest([u8; 20]);

impl Digest {
    fn xor(&mut self, bytes: &[u8]) {
        self.join(Self(Sha1::digest(bytes).into()));
    }

    fn mix(&mut self, bytes: &[u8]) {
        self.xor(bytes);
        self.0 = Sha1::digest(self.0).into();
    }

    /// Xor with a digest itself.
    fn join(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, other)| *mine ^= other);
    }

    fn mix_value(&mut self, entry: &Entry) {
        self.mix(&type_number(entry.type_of()).to_be_bytes());
        match entry.value() {
            Value::Int(number) => self.mix(number.to_string().as_bytes()),
            Value::Bytes(bytes) => self.mix(bytes),
            Value::Object(object) => self.mix_object(object),
        }
        if entry.is_volatile() {
            self.xor(b"!!expire!!");
        }
    }

    fn mix_object(&mut self, object: &Object) {
        match object {
            Object::String(bytes) => self.mix(bytes),
            Object::List(list) => {
                let mut digits = itoa::Buffer::new();
                list.iter(0, End::Front).for_each(|element| self.mix(element.text(&mut digits)));
            }
            Object::Set(set) => {
                let mut digits = itoa::Buffer::new();
                set.iter().for_each(|member| self.xor(member.text(&mut digits)));
            }
            Object::Stream(stream) => stream.log.entries().for_each(|entry| self.mix_stream_entry(entry)),
            Object::Zset(zset) => zset.iter().for_each(|(member, score)| self.xor_member(member, score)),
            Object::Hash(hash) => hash.iter().for_each(|field| self.xor_field(field)),
        }
    }

    fn xor_field(&mut self, (field, value, deadline): Field<'_>) {
        let mut digest = Self::default();
        digest.mix(&field.to_vec());
        digest.mix(&value.to_vec());
        if deadline.is_some() {
            digest.xor(b"!!hexpire!!");
        }
        self.xor(&digest.0);
    }

    fn mix_stream_entry(&mut self, entry: stream::Entry<'_>) {
        let mut digits = itoa::Buffer::new();
        self.mix(&entry.id.joined(b'.'));
        for (name, value) in entry.fields {
            self.mix(name.text(&mut digits));
            self.mix(value.text(&mut digits));
        }
    }

    fn xor_member(&mut self, member: Element<'_>, score: f64) {
        let (mut digest, mut digits) = (Self::default(), Vec::new());
        format_double(score, &mut digits);
        digest.mix(&member.to_vec());
        digest.mix(&digits);
        self.xor(&digest.0);
    }

    fn of_entry(entry: &Entry) -> Self {
        let mut digest = Self::default();
        digest.mix(entry.key());
        digest.mix_value(entry);
        digest
    }

    fn of_value(entry: &Entry) -> Self {
        let mut digest = Self::default();
        digest.mix_value(entry);
        digest
    }

    fn hex(self) -> String {
        base16ct::lower::encode_string(&self.0)
    }
}

/// Redis's numbers of the types.
fn type_number(value: Type) -> u32 {
    match value {
        Type::String => 0,
        Type::List => 1,
        Type::Set => 2,
        Type::Zset => 3,
        Type::Hash => 4,
        Type::Stream => 6,
    }
}

pub(super) fn debug_digest(session: &mut Session<'_>, _: Args<'_>) -> Result<(), CommandError> {
    session.ask(WholeDigest, Targets::All);
    Ok(())
}

#[derive(Debug)]
struct WholeDigest;

/// The keys of one database on one shard.
struct DbDigest {
    keys: usize,
    digest: Digest,
}

impl DbDigest {
    fn of(db: &Db) -> Self {
        let mut digest = Digest::default();
        db.iter().for_each(|entry| digest.xor(&Digest::of_entry(entry).0));
        Self { keys: db.len(), digest }
    }
}

impl Errand for WholeDigest {
    type Answer = Vec<DbDigest>;

    fn need(&self) -> Need {
        Need::Atomic
    }

    fn visit(&self, core: &mut Core) -> Vec<DbDigest> {
        core.shard.keyspace.iter().map(DbDigest::of).collect()
    }

    fn finish(
        &self,
        answers: Vec<Vec<DbDigest>>,
        core: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        let mut whole = Digest::default();
        for number in 0..core.shard.keyspace.databases() {
            let parts = || answers.iter().map(|dbs| &dbs[number]);
            if parts().any(|part| part.keys > 0) {
                whole.mix(&(number as u32).to_be_bytes());
                parts().for_each(|part| whole.join(part.digest));
            }
        }
        reply.simple(whole.hex());
        Ok(())
    }
}

pub(super) fn debug_digest_value(session: &mut Session<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let db = session.conn.db as usize;
    session.ask(ValueDigests { db, keys: OwnedArgs::new(args.iter_from(1)) }, Targets::All);
    Ok(())
}

#[derive(Debug)]
struct ValueDigests {
    db: usize,
    /// The keys, behind the subcommand.
    keys: OwnedArgs,
}

impl Errand for ValueDigests {
    /// For each key its digest, if it is here.
    type Answer = Vec<Option<Digest>>;

    fn need(&self) -> Need {
        Need::WholeShard
    }

    fn visit(&self, core: &mut Core) -> Vec<Option<Digest>> {
        let now_ms = core.env.now.unix_ms();
        let db = core.shard.keyspace.db(self.db);
        let digest = |key| db.find_live(key, now_ms).live().map(Digest::of_value);
        self.keys.as_args().iter_from(1).map(digest).collect()
    }

    fn finish(
        &self,
        answers: Vec<Vec<Option<Digest>>>,
        _: &mut Core,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        let keys = self.keys.as_args().len() - 1;
        reply.array(keys);
        for key in 0..keys {
            let found = answers.iter().find_map(|digests| digests[key]);
            reply.simple(found.unwrap_or_default().hex());
        }
        Ok(())
    }
}
