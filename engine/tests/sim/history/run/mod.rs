//! The commands of a history as one thread runs them.

mod table;

use bobbin_proto::Value;

pub(super) use table::{Kind, ROWS, Row};

use super::name::Name;
use super::state::{Data, State, Stream};

/// Why a command has no reply of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::history) enum Halt {
    WrongType,
    Error(&'static str),
    /// It found nothing, and waits where it may.
    Waits,
}

type Ran = Result<Value, Halt>;

/// One command, in one database.
pub(in crate::history) struct Cx<'a> {
    pub(in crate::history) state: &'a mut State,
    pub(in crate::history) db: u8,
    pub(in crate::history) words: &'a [Name],
}

pub(in crate::history) fn ok() -> Value {
    Value::Simple(b"OK".to_vec())
}

fn int(number: usize) -> Value {
    Value::Int(number as i64)
}

fn bulk(name: Option<Name>) -> Value {
    name.map_or(Value::Null, Name::to_value)
}

/// A reader of one type: what a key holds, nothing, or another type.
macro_rules! reader {
    ($name:ident, $variant:ident, $type:ty) => {
        fn $name(&self, key: Name) -> Result<Option<&$type>, Halt> {
            match self.state.get(self.db, key) {
                None => Ok(None),
                Some(Data::$variant(held)) => Ok(Some(held)),
                Some(_) => Err(Halt::WrongType),
            }
        }
    };
}

impl Cx<'_> {
    reader!(text_of, Text, Name);
    reader!(list_of, List, Vec<Name>);
    reader!(set_of, Set, Vec<Name>);
    reader!(sorted_of, Sorted, Vec<(i64, Name)>);
    reader!(hash_of, Hash, Vec<(Name, Name)>);
    reader!(stream_of, Stream, Stream);

    fn at(&self, index: usize) -> Name {
        self.words[index]
    }

    fn number_at(&self, index: usize) -> i64 {
        self.at(index).as_number().expect("a number")
    }

    /// A key is there to the end of the millisecond that is named as its last.
    fn end_us(&self, index: usize) -> u64 {
        (self.number_at(index) as u64 + 1) * 1000
    }

    fn is_there(&self, key: Name) -> bool {
        self.state.get(self.db, key).is_some()
    }

    fn put(&mut self, key: Name, data: Data) {
        self.state.put(self.db, key, data, None);
    }

    fn take(&mut self, key: Name) -> bool {
        self.state.take(self.db, key).is_some()
    }

    // Strings.

    fn get(&mut self) -> Ran {
        Ok(bulk(self.text_of(self.at(1))?.copied()))
    }

    fn set(&mut self) -> Ran {
        let expires_us = (self.words.len() == 5).then(|| self.end_us(4));
        self.state.put(self.db, self.at(1), Data::Text(self.at(2)), expires_us);
        Ok(ok())
    }

    fn setnx(&mut self) -> Ran {
        let is_new = !self.is_there(self.at(1));
        if is_new {
            self.put(self.at(1), Data::Text(self.at(2)));
        }
        Ok(int(is_new.into()))
    }

    fn getset(&mut self) -> Ran {
        let before = self.get()?;
        self.put(self.at(1), Data::Text(self.at(2)));
        Ok(before)
    }

    fn getdel(&mut self) -> Ran {
        let before = self.get()?;
        self.take(self.at(1));
        Ok(before)
    }

    fn incrby(&mut self) -> Ran {
        self.add(self.number_at(2))
    }

    fn decrby(&mut self) -> Ran {
        self.add(-self.number_at(2))
    }

    fn add(&mut self, by: i64) -> Ran {
        let before = self.text_of(self.at(1))?.map_or(Some(0), Name::as_number);
        let sum = before.ok_or(Halt::Error("ERR"))? + by;
        self.state.change(self.db, self.at(1), Data::Text(Name::number(sum)), |data| {
            *data = Data::Text(Name::number(sum));
        });
        Ok(Value::Int(sum))
    }

    fn mset(&mut self) -> Ran {
        for at in (1..self.words.len()).step_by(2) {
            self.put(self.at(at), Data::Text(self.at(at + 1)));
        }
        Ok(ok())
    }

    fn msetnx(&mut self) -> Ran {
        if (1..self.words.len()).step_by(2).any(|at| self.is_there(self.at(at))) {
            return Ok(int(0));
        }
        self.mset().map(|_| int(1))
    }

    fn mget(&mut self) -> Ran {
        let value = |key: &Name| bulk(self.text_of(*key).ok().flatten().copied());
        Ok(Value::Array(self.words[1..].iter().map(value).collect()))
    }

    // Keys of any type.

    fn del(&mut self) -> Ran {
        Ok(int((1..self.words.len()).filter(|&at| self.take(self.at(at))).count()))
    }

    fn exists(&mut self) -> Ran {
        Ok(int(self.words[1..].iter().filter(|key| self.is_there(**key)).count()))
    }

    fn rename(&mut self) -> Ran {
        let Some(entry) = self.state.take(self.db, self.at(1)) else { return Err(Halt::Error("ERR")) };
        self.state.put_shared(self.db, self.at(2), entry.data, entry.expires_us);
        Ok(ok())
    }

    fn renamenx(&mut self) -> Ran {
        if !self.is_there(self.at(1)) {
            return Err(Halt::Error("ERR"));
        }
        if self.is_there(self.at(2)) {
            return Ok(int(0));
        }
        self.rename().map(|_| int(1))
    }

    fn copy(&mut self) -> Ran {
        let entry = self.state.entry(self.db, self.at(1)).cloned();
        let Some(entry) = entry.filter(|_| !self.is_there(self.at(2))) else { return Ok(int(0)) };
        self.state.put_shared(self.db, self.at(2), entry.data, entry.expires_us);
        Ok(int(1))
    }

    fn move_to_db(&mut self) -> Ran {
        let to = self.number_at(2) as u8;
        if !self.is_there(self.at(1)) || self.state.get(to, self.at(1)).is_some() {
            return Ok(int(0));
        }
        let Some(entry) = self.state.take(self.db, self.at(1)) else { return Ok(int(0)) };
        self.state.put_shared(to, self.at(1), entry.data, entry.expires_us);
        Ok(int(1))
    }

    fn pexpireat(&mut self) -> Ran {
        let is_there = self.is_there(self.at(1));
        self.state.expire_at(self.db, self.at(1), Some(self.end_us(2)));
        Ok(int(is_there.into()))
    }

    fn persist(&mut self) -> Ran {
        let entry = self.state.entry(self.db, self.at(1));
        let has_end = entry.is_some_and(|entry| entry.expires_us.is_some());
        if has_end {
            self.state.expire_at(self.db, self.at(1), None);
        }
        Ok(int(has_end.into()))
    }

    // Lists.

    fn push(&mut self, is_left: bool) -> Ran {
        self.list_of(self.at(1))?;
        let elements = &self.words[2..];
        let len = self.state.change(self.db, self.at(1), Data::List(Vec::new()), |data| {
            let Data::List(list) = data else { return 0 };
            for &element in elements {
                list.insert(if is_left { 0 } else { list.len() }, element);
            }
            list.len()
        });
        Ok(int(len))
    }

    fn pop_element(&mut self, key: Name, is_left: bool) -> Result<Option<Name>, Halt> {
        if self.list_of(key)?.is_none() {
            return Ok(None);
        }
        Ok(self.state.change(self.db, key, Data::List(Vec::new()), |data| {
            let Data::List(list) = data else { return None };
            if is_left { Some(list.remove(0)) } else { list.pop() }
        }))
    }

    fn pop(&mut self, is_left: bool) -> Ran {
        Ok(bulk(self.pop_element(self.at(1), is_left)?))
    }

    fn llen(&mut self) -> Ran {
        Ok(int(self.list_of(self.at(1))?.map_or(0, Vec::len)))
    }

    /// All of a list.
    fn lrange(&mut self) -> Ran {
        let list = self.list_of(self.at(1))?;
        Ok(Value::Array(list.into_iter().flatten().map(|element| element.to_value()).collect()))
    }

    fn move_element(&mut self, from_left: bool, to_left: bool) -> Ran {
        if self.list_of(self.at(1))?.is_none() {
            return Ok(Value::Null);
        }
        self.list_of(self.at(2))?;
        let Some(element) = self.pop_element(self.at(1), from_left)? else { return Ok(Value::Null) };
        self.state.change(self.db, self.at(2), Data::List(Vec::new()), |data| {
            let Data::List(list) = data else { return };
            list.insert(if to_left { 0 } else { list.len() }, element);
        });
        Ok(element.to_value())
    }

    fn lmove(&mut self) -> Ran {
        self.move_element(self.at(3).is("LEFT"), self.at(4).is("LEFT"))
    }

    /// Pops one element of the first of these keys that is there: key and element.
    fn pop_first(&mut self, keys: &[Name], is_left: bool) -> Result<(Name, Name), Halt> {
        for &key in keys {
            if let Some(element) = self.pop_element(key, is_left)? {
                return Ok((key, element));
            }
        }
        Err(Halt::Waits)
    }

    fn bpop(&mut self, is_left: bool) -> Ran {
        let keys = &self.words[1..self.words.len() - 1];
        let (key, element) = self.pop_first(keys, is_left)?;
        Ok(Value::Array(vec![key.to_value(), element.to_value()]))
    }

    fn bmove(&mut self, from_left: bool, to_left: bool) -> Ran {
        match self.move_element(from_left, to_left)? {
            Value::Null => Err(Halt::Waits),
            moved => Ok(moved),
        }
    }

    /// The keys of LMPOP and the like, whose count is at an index, and what comes behind them.
    fn counted(&self, index: usize) -> (&[Name], Name) {
        let end = index + 1 + self.number_at(index) as usize;
        (&self.words[index + 1..end], self.at(end))
    }

    fn mpop(&mut self, index: usize) -> Ran {
        let (keys, side) = self.counted(index);
        let (keys, is_left) = (keys.to_vec(), side.is("LEFT"));
        let (key, element) = self.pop_first(&keys, is_left)?;
        Ok(Value::Array(vec![key.to_value(), Value::Array(vec![element.to_value()])]))
    }

    // Sets.

    fn change_members(&mut self, adds: bool) -> Ran {
        let key = self.at(1);
        let held = self.set_of(key)?;
        let differs = |member: &&Name| held.is_some_and(|held| held.contains(member)) != adds;
        let mut members: Vec<Name> = self.words[2..].iter().filter(differs).copied().collect();
        members.sort_unstable();
        members.dedup();
        if !members.is_empty() {
            self.state.change(self.db, key, Data::Set(Vec::new()), |data| {
                let Data::Set(set) = data else { return };
                set.retain(|member| !members.contains(member));
                set.extend(members.iter().filter(|_| adds));
                set.sort_unstable();
            });
        }
        Ok(int(members.len()))
    }

    fn sismember(&mut self) -> Ran {
        let member = self.at(2);
        Ok(int(self.set_of(self.at(1))?.is_some_and(|set| set.contains(&member)).into()))
    }

    fn scard(&mut self) -> Ran {
        Ok(int(self.set_of(self.at(1))?.map_or(0, Vec::len)))
    }

    fn smove(&mut self) -> Ran {
        let (from, to, member) = (self.at(1), self.at(2), self.at(3));
        self.set_of(to)?;
        if !self.set_of(from)?.is_some_and(|set| set.contains(&member)) {
            return Ok(int(0));
        }
        if from != to {
            Cx { state: self.state, db: self.db, words: &[member, from, member] }.change_members(false)?;
            Cx { state: self.state, db: self.db, words: &[member, to, member] }.change_members(true)?;
        }
        Ok(int(1))
    }

    fn store_set(&mut self, combine: impl Fn(&[Name], &[Name]) -> Vec<Name>) -> Ran {
        let mut all: Option<Vec<Name>> = None;
        for &key in &self.words[2..] {
            let set = self.set_of(key)?.map_or(&[][..], Vec::as_slice);
            all = Some(all.map_or_else(|| set.to_vec(), |all| combine(&all, set)));
        }
        let mut members = all.unwrap_or_default();
        members.sort_unstable();
        members.dedup();
        let len = members.len();
        if len == 0 {
            self.take(self.at(1));
        } else {
            self.put(self.at(1), Data::Set(members));
        }
        Ok(int(len))
    }

    // Sorted sets.

    fn zadd(&mut self) -> Ran {
        let (score, member) = (self.number_at(2), self.at(3));
        let before = self.sorted_of(self.at(1))?.into_iter().flatten().find(|held| held.1 == member).copied();
        if before != Some((score, member)) {
            self.state.change(self.db, self.at(1), Data::Sorted(Vec::new()), |data| {
                let Data::Sorted(all) = data else { return };
                all.retain(|held| held.1 != member);
                all.push((score, member));
                all.sort_unstable();
            });
        }
        Ok(int(before.is_none().into()))
    }

    fn zcard(&mut self) -> Ran {
        Ok(int(self.sorted_of(self.at(1))?.map_or(0, Vec::len)))
    }

    fn zpop_first(&mut self, keys: &[Name], is_min: bool) -> Result<(Name, [Value; 2]), Halt> {
        for &key in keys {
            if self.sorted_of(key)?.is_none() {
                continue;
            }
            let popped = self.state.change(self.db, key, Data::Sorted(Vec::new()), |data| match data {
                Data::Sorted(all) if is_min => Some(all.remove(0)),
                Data::Sorted(all) => all.pop(),
                _ => None,
            });
            let Some((score, member)) = popped else { continue };
            return Ok((key, [member.to_value(), Name::number(score).to_value()]));
        }
        Err(Halt::Waits)
    }

    fn zpop(&mut self, is_min: bool) -> Ran {
        let popped = self.zpop_first(&self.words[1..], is_min);
        match popped {
            Err(Halt::Waits) => Ok(Value::Array(Vec::new())),
            popped => popped.map(|(_, pair)| Value::Array(pair.into())),
        }
    }

    fn bzpop(&mut self, is_min: bool) -> Ran {
        let (key, [member, score]) = self.zpop_first(&self.words[1..self.words.len() - 1], is_min)?;
        Ok(Value::Array(vec![key.to_value(), member, score]))
    }

    fn zmpop(&mut self, index: usize) -> Ran {
        let (keys, end) = self.counted(index);
        let (keys, is_min) = (keys.to_vec(), end.is("MIN"));
        let (key, pair) = self.zpop_first(&keys, is_min)?;
        Ok(Value::Array(vec![key.to_value(), Value::Array(vec![Value::Array(pair.into())])]))
    }

    // Hashes.

    fn hset(&mut self) -> Ran {
        let (field, value) = (self.at(2), self.at(3));
        let is_new = !self.hash_of(self.at(1))?.into_iter().flatten().any(|held| held.0 == field);
        self.state.change(self.db, self.at(1), Data::Hash(Vec::new()), |data| {
            let Data::Hash(all) = data else { return };
            all.retain(|held| held.0 != field);
            all.push((field, value));
            all.sort_unstable();
        });
        Ok(int(is_new.into()))
    }

    fn hget(&mut self) -> Ran {
        let field = self.at(2);
        let held = self.hash_of(self.at(1))?.into_iter().flatten().find(|held| held.0 == field);
        Ok(bulk(held.map(|held| held.1)))
    }

    // Streams: ids are `n-0`.

    fn xadd(&mut self) -> Ran {
        let (id, value) = (half(self.at(2)), self.at(4));
        if self.stream_of(self.at(1))?.is_some_and(|stream| stream.last >= id) {
            return Err(Halt::Error("ERR"));
        }
        self.state.change(self.db, self.at(1), Data::Stream(Stream::default()), |data| {
            let Data::Stream(stream) = data else { return };
            stream.last = id;
            stream.entries.push((id, value));
        });
        self.state.wake(self.db, self.at(1));
        Ok(full(id))
    }

    fn xlen(&mut self) -> Ran {
        Ok(int(self.stream_of(self.at(1))?.map_or(0, |stream| stream.entries.len())))
    }

    fn xread(&mut self) -> Ran {
        let keys = self.words.iter().position(|word| word.is("STREAMS")).map_or(0, |at| at + 1);
        let count = (self.words.len() - keys) / 2;
        let mut read = Vec::new();
        for at in keys..keys + count {
            let (key, after) = (self.at(at), self.at(at + count));
            let Some(stream) = self.stream_of(key)?.filter(|_| !after.is("$")) else { continue };
            let new = stream.entries.iter().filter(|(id, _)| *id > half(after));
            let entries: Vec<Value> = new.map(|&(id, value)| entry(id, value)).collect();
            if !entries.is_empty() {
                read.push(Value::Array(vec![key.to_value(), Value::Array(entries)]));
            }
        }
        if read.is_empty() { Err(Halt::Waits) } else { Ok(Value::Array(read)) }
    }

    // Everything.

    /// SORT key BY nosort GET prefix* [STORE key]
    fn sort(&mut self) -> Ran {
        let prefix = self.at(5).to_string().replace('*', "");
        let keys = self.list_of(self.at(1))?.into_iter().flatten();
        let keys: Vec<Name> = keys.map(|element| Name::from(&*format!("{prefix}{element}"))).collect();
        let found: Vec<Option<Name>> =
            keys.iter().map(|key| self.text_of(*key).ok().flatten().copied()).collect();
        if self.words.len() < 8 {
            return Ok(Value::Array(found.into_iter().map(bulk).collect()));
        }
        let len = found.len();
        if len == 0 {
            self.take(self.at(7));
        } else {
            let elements = found.into_iter().map(|found| found.unwrap_or("".into())).collect();
            self.put(self.at(7), Data::List(elements));
        }
        Ok(int(len))
    }

    fn swapdb(&mut self) -> Ran {
        self.state.swap(self.number_at(1) as u8, self.number_at(2) as u8);
        Ok(ok())
    }

    fn flushall(&mut self) -> Ran {
        self.state.flush(|_| true);
        Ok(ok())
    }

    fn flushdb(&mut self) -> Ran {
        let flushed = self.db;
        self.state.flush(|db| db == flushed);
        Ok(ok())
    }

    fn dbsize(&mut self) -> Ran {
        Ok(int(self.state.len(self.db)))
    }
}

/// The first half of a stream id.
fn half(id: Name) -> i64 {
    let text = id.to_string();
    text.split('-').next().and_then(|half| half.parse().ok()).expect("an id")
}

fn full(id: i64) -> Value {
    Value::Bulk(format!("{id}-0").into_bytes())
}

fn entry(id: i64, value: Name) -> Value {
    Value::Array(vec![full(id), Value::Array(vec![Name::from("f").to_value(), value.to_value()])])
}
