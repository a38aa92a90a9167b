//! Sets: integers in order or packed while small, a table from the thresholds on.
//!
//! Owns the choice of encoding, which is that of Redis 7.2 for members that come one after the other:
//!
//! ```text
//!                    a member that is no integer, small enough
//!   empty ──► Intset ─────────────────────────────────────────► Listpack
//!                │  too many, or the member too long               │  too many, or too long
//!                └───────────────────────► MemberTable ◄───────────┘
//! ```
//!
//! Members are given and told as [`Element`]s. A text may be given as [`Element::Str`] even where it spells a number,
//! and a table tells such members so.
//!
//! Every member has a place from 0 on, until one is removed.
//!
//! Invariants: a table stays one; an intset becomes nothing else while its members are integers and few enough.

use super::encoding::intset::{self, Intset};
use super::encoding::listpack::{self, Element, Listpack, Pos, Wanted};
use super::encoding::member_table::{self, MemberTable, Place};
use super::integer::parse_canonical;
use super::size_class::size_class;

/// See the module.
#[derive(Clone, Debug)]
pub enum Set {
    Ints(Intset),
    Packed(Listpack),
    Table(Box<MemberTable<()>>),
}

/// How long a set stays small, and what a table's hash begins with.
#[derive(Clone, Copy, Debug)]
pub struct SetLimits {
    /// `set-max-intset-entries`, no more than [`intset::LEN_MAX`]
    pub ints_len_max: usize,
    /// `set-max-listpack-entries`
    pub packed_len_max: usize,
    /// `set-max-listpack-value`
    pub packed_member_len_max: usize,
    /// Must not be known to clients.
    pub seed: u64,
}

/// Members that an allocation is made for ahead.
const EXPECTED_MAX: usize = 16;

impl Set {
    /// See [`Object::content`](super::object::Object::content).
    #[inline]
    pub(super) fn content(&self) -> *const u8 {
        match self {
            Self::Ints(ints) => ints.as_bytes().as_ptr(),
            Self::Packed(pack) => pack.as_bytes().as_ptr(),
            Self::Table(table) => std::ptr::from_ref(&**table).cast(),
        }
    }

    /// An empty one. It must not stay in the keyspace.
    pub fn new() -> Self {
        Self::Ints(Intset::new())
    }

    /// An empty one that is about to take in `count` members, the first of which is known.
    pub fn with_room_for(first: &[u8], count: usize, limits: &SetLimits) -> Self {
        let expected = count.min(EXPECTED_MAX);
        match parse_canonical(first) {
            Some(number) if count <= limits.ints_len_max => {
                Self::Ints(Intset::with_room_for(number, expected))
            }
            _ if count <= limits.packed_len_max => {
                let each = Listpack::len_of(first).min(limits.packed_member_len_max);
                Self::Packed(Listpack::with_capacity(Listpack::new().bytes_len() + expected * each))
            }
            _ => Self::Table(Box::new(MemberTable::new(limits.seed))),
        }
    }

    /// A set of these integers: an intset if there are not too many.
    pub fn of_ints(ints: Intset, limits: &SetLimits) -> Self {
        let fits = ints.len() <= limits.ints_len_max;
        let mut set = Self::Ints(ints);
        if !fits {
            set.become_table(limits.seed);
        }
        set
    }

    /// A set of the elements of a listpack: packed if there are not too many. `None` if one of them is there twice.
    pub fn of_pack(pack: Listpack, limits: &SetLimits) -> Option<Self> {
        let (fits, distinct) = (pack.len() <= limits.packed_len_max, pack.are_distinct(1));
        let mut set = Self::Packed(pack);
        if !fits {
            set.become_table(limits.seed);
        }
        distinct.then_some(set)
    }

    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::Ints(ints) => ints.len(),
            Self::Packed(pack) => pack.len(),
            Self::Table(table) => table.len(),
        }
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Redis's name, as OBJECT ENCODING answers it.
    pub fn encoding(&self) -> &'static str {
        match self {
            Self::Ints(_) => "intset",
            Self::Packed(_) => "listpack",
            Self::Table(_) => "hashtable",
        }
    }

    /// Bytes allocated.
    #[inline]
    pub fn memory(&self) -> usize {
        match self {
            Self::Ints(ints) => ints.memory(),
            Self::Packed(pack) => pack.memory(),
            Self::Table(table) => size_class(size_of::<MemberTable<()>>()) + table.memory(),
        }
    }

    #[inline]
    pub fn contains(&self, member: Element<'_>) -> bool {
        match self {
            Self::Ints(ints) => integer_of(member).is_some_and(|number| ints.contains(number)),
            Self::Packed(pack) => find_in(pack, member).is_some(),
            Self::Table(table) => table.find(member.text(&mut itoa::Buffer::new())).is_some(),
        }
    }

    /// Where a member is.
    pub fn place_of(&self, member: Element<'_>) -> Option<usize> {
        match self {
            Self::Ints(ints) => ints.find(integer_of(member)?).ok(),
            Self::Packed(pack) => {
                let mut digits = itoa::Buffer::new();
                let wanted = Wanted::new(member.text(&mut digits));
                pack.iter().position(|other| wanted.is(other))
            }
            Self::Table(table) => table.find(member.text(&mut itoa::Buffer::new())).map(Place::number),
        }
    }

    /// The member with a place; there must be one.
    #[inline]
    pub fn nth(&self, place: usize) -> Element<'_> {
        match self {
            Self::Ints(ints) => Element::Int(ints.nth(place)),
            Self::Packed(pack) => pack.seek(place as i64).map_or(Element::Str(b""), |pos| pack.get(pos)),
            Self::Table(table) => Element::Str(table.get(table.nth(place)).0),
        }
    }

    /// Every member, in the order of places.
    pub fn iter(&self) -> Iter<'_> {
        match self {
            Self::Ints(ints) => Iter::Ints(ints.iter()),
            Self::Packed(pack) => Iter::Packed(pack.iter()),
            Self::Table(table) => Iter::Table(table.iter()),
        }
    }

    /// Tells of the members with these places, which are in ascending order.
    pub fn visit_places<'a>(&'a self, places: &[usize], mut tell: impl FnMut(Element<'a>)) {
        if let Self::Packed(pack) = self {
            let mut listed = Listed::new(places);
            pack.iter().filter(|_| listed.is_next()).for_each(tell);
        } else {
            places.iter().for_each(|&place| tell(self.nth(place)));
        }
    }

    /// Visits up to `count` members from a cursor on, 0 being the start; those of a small set all at once. Returns the
    /// cursor to go on from; 0 if all were visited.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(Element<'_>)) -> u64 {
        match self {
            Self::Ints(_) | Self::Packed(_) => {
                self.iter().for_each(visit);
                0
            }
            Self::Table(table) => table.scan(cursor, count, |text, ()| visit(Element::Str(text))),
        }
    }
}

/// Changing.
impl Set {
    /// Prepares for `count` members that are about to be added: a set that they would be too many for is a table from
    /// here on, even if some of them are there already.
    #[inline]
    pub fn expect(&mut self, count: usize, limits: &SetLimits) {
        let exceeds = match self {
            Self::Ints(_) => count > limits.ints_len_max,
            Self::Packed(_) => count > limits.packed_len_max,
            Self::Table(_) => false,
        };
        if exceeds {
            self.become_table(limits.seed);
        }
    }

    /// False if it is there already.
    #[inline]
    pub fn add(&mut self, member: Element<'_>, limits: &SetLimits) -> bool {
        match self {
            Self::Table(table) => put(table, member),
            Self::Ints(ints) => {
                let Some(number) = integer_of(member) else {
                    self.leave_ints(limits);
                    return self.add(member, limits);
                };
                let added = ints.insert(number);
                if added && ints.len() > limits.ints_len_max {
                    self.become_table(limits.seed);
                }
                added
            }
            Self::Packed(pack) => {
                let is_new = find_in(pack, member).is_none();
                if is_new {
                    self.append(member, limits);
                }
                is_new
            }
        }
    }

    /// Adds a member that is known not to be there: a listpack is not searched.
    pub fn add_new(&mut self, member: Element<'_>, limits: &SetLimits) {
        if let Self::Packed(_) = self {
            self.append(member, limits);
        } else {
            self.add(member, limits);
        }
    }

    /// False if it is not there.
    #[inline]
    pub fn remove(&mut self, member: Element<'_>) -> bool {
        match self {
            Self::Ints(ints) => integer_of(member).is_some_and(|number| ints.remove(number)),
            Self::Packed(pack) => find_in(pack, member).map(|pos| pack.remove(pos)).is_some(),
            Self::Table(table) => table.remove(member.text(&mut itoa::Buffer::new())).is_some(),
        }
    }

    /// Takes out the member with a place; there must be one.
    #[inline]
    pub fn take_nth(&mut self, place: usize, tell: impl FnOnce(Element<'_>)) {
        match self {
            Self::Ints(ints) => tell(Element::Int(ints.remove_nth(place))),
            Self::Packed(pack) => {
                if let Some(pos) = pack.seek(place as i64) {
                    tell(pack.get(pos));
                    pack.remove(pos);
                }
            }
            Self::Table(table) => tell(Element::Str(&table.remove_at(table.nth(place)).text)),
        }
    }

    /// Takes out the members with these places, which are in ascending order. One pass over a small set.
    pub fn take_places(&mut self, places: &[usize], mut tell: impl FnMut(Element<'_>)) {
        let mut listed = Listed::new(places);
        let mut goes = |member: Element<'_>| listed.is_next().then(|| tell(member)).is_some();
        match self {
            Self::Ints(ints) => ints.remove_where(|number| goes(Element::Int(number))),
            Self::Packed(pack) => _ = pack.remove_where(places.len(), goes),
            // From the last on: who moves into a gap comes from behind all that are still to go.
            Self::Table(_) => places.iter().rev().for_each(|&place| self.take_nth(place, &mut tell)),
        }
    }

    /// Takes out all members but those with these places, which are in ascending order. Returns what is to be freed.
    #[must_use]
    pub fn leave_places(
        &mut self,
        places: &[usize],
        limits: &SetLimits,
        mut tell: impl FnMut(Element<'_>),
    ) -> Self {
        let mut listed = Listed::new(places);
        let mut left = Self::Packed(Listpack::new());
        for member in self.iter() {
            if listed.is_next() {
                left.add_new(member, limits);
            } else {
                tell(member);
            }
        }
        std::mem::replace(self, left)
    }

    /// Frees about `budget` allocations, for good. Returns what is left of the budget: nothing, unless all is freed.
    pub(crate) fn free_step(&mut self, budget: usize) -> usize {
        match self {
            Self::Ints(_) | Self::Packed(_) => budget,
            Self::Table(table) => table.free_step(budget),
        }
    }

    /// Puts a member behind those of a listpack, if the limits allow.
    fn append(&mut self, member: Element<'_>, limits: &SetLimits) {
        if let Self::Packed(pack) = self {
            let len = member.text_len();
            let fits = pack.len() < limits.packed_len_max
                && len <= limits.packed_member_len_max
                && pack.has_room_for(len, 1);
            if fits {
                pack.push_back(spelled(member));
            } else {
                put(self.become_table(limits.seed), member);
            }
        }
    }

    /// Becomes what can hold members that are no integers: a listpack if those there are fit.
    #[cold]
    fn leave_ints(&mut self, limits: &SetLimits) {
        let Self::Ints(ints) = self else { return };
        // One of the outermost has the most digits.
        let ends = ints.len().checked_sub(1).map(|last| [ints.nth(0), ints.nth(last)]);
        let longest = ends.into_iter().flatten().map(|end| Element::Int(end).text_len()).max().unwrap_or(0);
        let fits = ints.len() < limits.packed_len_max
            && longest <= limits.packed_member_len_max
            && Listpack::new().has_room_for(longest * ints.len(), ints.len());
        if !fits {
            self.become_table(limits.seed);
            return;
        }
        let bytes: usize = ints.iter().map(Listpack::len_of).sum();
        let mut pack = Listpack::with_capacity(Listpack::new().bytes_len() + bytes);
        ints.iter().for_each(|number| _ = pack.push_back(number));
        *self = Self::Packed(pack);
    }

    #[cold]
    fn become_table(&mut self, seed: u64) -> &mut MemberTable<()> {
        *self = Self::Table(self.to_table(seed));
        match self {
            Self::Table(table) => table,
            _ => unreachable!("it has just become a table"),
        }
    }

    fn to_table(&self, seed: u64) -> Box<MemberTable<()>> {
        let mut table = Box::new(MemberTable::new(seed));
        self.iter().for_each(|member| _ = put(&mut table, member));
        table
    }
}

/// False if it is there already.
#[inline]
fn put(table: &mut MemberTable<()>, member: Element<'_>) -> bool {
    table.find_or_insert(member.text(&mut itoa::Buffer::new()), || ()).1
}

#[inline]
fn find_in(pack: &Listpack, member: Element<'_>) -> Option<Pos> {
    pack.find(pack.first()?, member.text(&mut itoa::Buffer::new()), 0)
}

/// The integer that a member spells.
#[inline]
fn integer_of(member: Element<'_>) -> Option<i64> {
    match member {
        Element::Int(number) => Some(number),
        Element::Str(text) => parse_canonical(text),
    }
}

/// A member as a listpack keeps it.
#[inline]
fn spelled(member: Element<'_>) -> Element<'_> {
    integer_of(member).map_or(member, Element::Int)
}

/// Which of the places of a walk are listed.
#[derive(Debug)]
struct Listed<'a> {
    /// Ascending.
    places: &'a [usize],
    next: usize,
}

impl<'a> Listed<'a> {
    fn new(places: &'a [usize]) -> Self {
        Self { places, next: 0 }
    }

    /// Whether the place that the walk has come to is.
    #[inline]
    fn is_next(&mut self) -> bool {
        let is = self.places.first() == Some(&self.next);
        self.next += 1;
        if is {
            self.places = &self.places[1..];
        }
        is
    }
}

impl Default for Set {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> IntoIterator for &'a Set {
    type Item = Element<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Members in the order of places.
#[derive(Clone, Debug)]
pub enum Iter<'a> {
    Ints(intset::Iter<'a>),
    Packed(listpack::Iter<'a>),
    Table(member_table::Iter<'a, ()>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        match self {
            Self::Ints(ints) => ints.next().map(Element::Int),
            Self::Packed(pack) => pack.next(),
            Self::Table(members) => members.next().map(|(text, ())| Element::Str(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const LIMITS: SetLimits =
        SetLimits { ints_len_max: 12, packed_len_max: 8, packed_member_len_max: 30, seed: 5 };
    const ALWAYS_TABLE: SetLimits = SetLimits { ints_len_max: 0, packed_len_max: 0, ..LIMITS };
    const NEVER_TABLE: SetLimits =
        SetLimits { ints_len_max: 1000, packed_len_max: 1000, packed_member_len_max: 1000, ..LIMITS };

    fn of<'a>(members: impl IntoIterator<Item = &'a str>, limits: &SetLimits) -> Set {
        let mut set = Set::new();
        members.into_iter().for_each(|member| _ = set.add(Element::Str(member.as_bytes()), limits));
        set
    }

    fn contents(set: &Set) -> BTreeSet<Vec<u8>> {
        set.iter().map(Element::to_vec).collect()
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(Vec<u8>),
        Remove(Vec<u8>),
        TakeNth(usize),
        TakePlaces(Vec<usize>),
        LeavePlaces(Vec<usize>),
        Expect(usize),
    }

    fn members() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => (-20..20i64).prop_map(|n| n.to_string().into_bytes()),
            1 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
            1 => prop::collection::vec(b'0'..b'3', 0..4),
            1 => prop::collection::vec(b'a'..b'd', 0..4),
            1 => prop::collection::vec(any::<u8>(), 20..40),
        ]
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let places = || prop::collection::vec(any::<usize>(), 0..6);
        let step = prop_oneof![
            20 => members().prop_map(Step::Add),
            6 => members().prop_map(Step::Remove),
            2 => any::<usize>().prop_map(Step::TakeNth),
            2 => places().prop_map(Step::TakePlaces),
            1 => places().prop_map(Step::LeavePlaces),
            1 => (0..20usize).prop_map(Step::Expect),
        ];
        prop::collection::vec(step, 0..150)
    }

    /// Places of a set out of any numbers.
    fn places_in(set: &Set, numbers: &[usize]) -> Vec<usize> {
        let len = set.len().max(1);
        let places: BTreeSet<usize> = numbers.iter().map(|number| number % len).collect();
        if set.is_empty() { Vec::new() } else { places.into_iter().collect() }
    }

    fn taken(tell: impl FnOnce(&mut dyn FnMut(Element<'_>))) -> Vec<Vec<u8>> {
        let mut told = Vec::new();
        tell(&mut |member| told.push(member.to_vec()));
        told
    }

    fn apply(set: &mut Set, model: &mut BTreeSet<Vec<u8>>, step: &Step, limits: &SetLimits) {
        let told = match step {
            Step::Add(member) => {
                assert_eq!(set.add(Element::Str(member), limits), model.insert(member.clone()));
                return;
            }
            Step::Remove(member) => {
                assert_eq!(set.remove(Element::Str(member)), model.remove(member));
                return;
            }
            Step::Expect(count) => {
                set.expect(*count, limits);
                return;
            }
            Step::TakeNth(_) if set.is_empty() => return,
            Step::TakeNth(number) => {
                let place = number % set.len();
                let expected = set.nth(place).to_vec();
                let told = taken(|tell| set.take_nth(place, tell));
                assert_eq!(told, [expected]);
                told
            }
            Step::TakePlaces(numbers) => {
                let places = places_in(set, numbers);
                let mut expected = taken(|tell| set.visit_places(&places, tell));
                let mut told = taken(|tell| set.take_places(&places, tell));
                expected.sort();
                told.sort();
                assert_eq!(told, expected);
                told
            }
            Step::LeavePlaces(numbers) => {
                let places = places_in(set, numbers);
                let left = taken(|tell| set.visit_places(&places, tell));
                let told = taken(|tell| drop(set.leave_places(&places, limits, tell)));
                assert_eq!(contents(set), left.into_iter().collect());
                told
            }
        };
        told.iter().for_each(|member| assert!(model.remove(member)));
    }

    proptest! {
        #[test]
        fn a_set_is_a_set(
            steps in steps(),
            limits in prop::sample::select(vec![LIMITS, ALWAYS_TABLE, NEVER_TABLE]),
            probes in prop::collection::vec(members(), 20),
        ) {
            let (mut set, mut model) = (Set::new(), BTreeSet::new());
            for step in &steps {
                apply(&mut set, &mut model, step, &limits);
                prop_assert_eq!(set.len(), model.len());
            }
            prop_assert_eq!(&contents(&set), &model);
            for (place, member) in set.iter().enumerate() {
                prop_assert_eq!(set.place_of(member), Some(place));
                prop_assert_eq!(set.nth(place), member);
            }
            for probe in probes.iter().chain(&model) {
                prop_assert_eq!(set.contains(Element::Str(probe)), model.contains(probe));
                prop_assert_eq!(set.contains(Element::from(&**probe)), model.contains(probe));
            }
            let (mut scanned, mut cursor) = (Vec::new(), 0);
            loop {
                cursor = set.scan(cursor, 3, |member| scanned.push(member.to_vec()));
                if cursor == 0 {
                    break;
                }
            }
            prop_assert_eq!(scanned.len(), model.len());
            prop_assert_eq!(scanned.into_iter().collect::<BTreeSet<_>>(), model);
        }
    }

    #[test]
    fn what_comes_from_outside_is_small_within_the_limits() {
        let ints = |len: i64| {
            let mut ints = Intset::new();
            (0..len).for_each(|number| _ = ints.insert(number));
            Set::of_ints(ints, &LIMITS).encoding()
        };
        assert_eq!((ints(12), ints(13)), ("intset", "hashtable"));
        let pack = |len: i64| {
            let mut pack = Listpack::new();
            (0..len).for_each(|number| _ = pack.push_back(number));
            Set::of_pack(pack, &LIMITS).map(|set| set.encoding())
        };
        assert_eq!((pack(8), pack(9)), (Some("listpack"), Some("hashtable")));
        let mut twice = Listpack::of(&b"a"[..]);
        twice.push_back(Element::Str(b"7"));
        assert!(Set::of_pack(twice.clone(), &LIMITS).is_some_and(|set| set.contains(Element::Int(7))));
        twice.push_back(7);
        assert!(Set::of_pack(twice, &LIMITS).is_none());
    }

    /// An object's box, and one allocation: what redis-server 7.0 takes is 16 and 32 bytes.
    #[test]
    fn ten_small_integers_take_32_bytes() {
        let texts: Vec<String> = (0..10).map(|n| (n * 100).to_string()).collect();
        assert_eq!(of(texts.iter().map(String::as_str), &NEVER_TABLE).memory(), 32);
        let mut announced = Set::with_room_for(b"0", 10, &NEVER_TABLE);
        texts.iter().for_each(|text| assert!(announced.add(Element::Str(text.as_bytes()), &NEVER_TABLE)));
        assert_eq!(announced.memory(), 32);
    }
}
