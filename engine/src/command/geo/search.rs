//! Members in an area: GEOSEARCH, GEORADIUS and their kin.
//!
//! The cells that cover the area are ranges of scores, and so of ranks; of their members each is asked whether it is
//! in the area. Unless sorted they are answered cell by cell. Members of one distance keep that order when sorted;
//! Redis leaves their order open where COUNT is given.

use std::ops::Range;

use bobbin_proto::Reply;

use super::super::element::reply_element;
use super::super::number::{double, integer};
use super::super::spec::{Begin, Command, Find, Group, KeySpec, Run, command, flag, key_flag};
use super::super::zset;
use super::super::{Args, Cx};
use super::geohash::{Cell, Position};
use super::point::position_of;
use super::shape::{Extent, Shape};
use super::{READ, position, reply_distance, reply_position, unit};
use crate::error::{CommandError, printable};
use crate::store::Zset;
use crate::store::encoding::listpack::Element;
use crate::store::encoding::zset_table::ZsetTable;

const STORED: u16 = key_flag::OW | key_flag::UPDATE;
const STORES: u32 = flag::WRITE | flag::DENYOOM;

const COMPLEXITY: &str = "O(N+log(M)) with N members in the cells around the area, M in the sorted set";

const DIFFERS: &str = "Redis leaves members out of areas that reach over a pole, and those at the edges of its map; here none is.";

pub const ROWS: &[Command] = &[
    command("geosearch", -7, flag::READONLY, Group::Geo, Run::Shard(geosearch))
        .keys(&[KeySpec::one(1, READ)])
        .differs(DIFFERS)
        .docs(
            "6.2.0",
            COMPLEXITY,
            "Answers the members within a circle or a box.",
            "key <FROMMEMBER member|FROMLONLAT longitude latitude> \
             <BYRADIUS radius <M|KM|FT|MI>|BYBOX width height <M|KM|FT|MI>> [ASC|DESC] [COUNT count [ANY]] \
             [WITHCOORD] [WITHDIST] [WITHHASH]",
        ),
    command("geosearchstore", -8, STORES, Group::Geo, Run::Shard(geosearchstore))
        .keys(&[KeySpec::one(1, STORED), KeySpec::one(2, READ)])
        .differs(DIFFERS)
        .docs(
            "6.2.0",
            COMPLEXITY,
            "Makes a key hold the members within a circle or a box.",
            "destination source <FROMMEMBER member|FROMLONLAT longitude latitude> \
             <BYRADIUS radius <M|KM|FT|MI>|BYBOX width height <M|KM|FT|MI>> [ASC|DESC] [COUNT count [ANY]] \
             [STOREDIST]",
        ),
    command("georadius", -6, STORES | flag::MOVABLEKEYS, Group::Geo, Run::Shard(georadius))
        .keys(&[KeySpec::one(1, READ), stored_behind("STORE", 6), stored_behind("STOREDIST", 6)])
        .further_key(stored_by_radius)
        .differs(DIFFERS)
        .docs(
            "3.2.0",
            COMPLEXITY,
            "Answers the members within a circle, or makes a key hold them.",
            "key longitude latitude radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] \
             [ASC|DESC] [STORE key] [STOREDIST key]",
        )
        .deprecated("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument"),
    command("georadius_ro", -6, flag::READONLY, Group::Geo, Run::Shard(georadius_ro))
        .keys(&[KeySpec::one(1, READ)])
        .differs(DIFFERS)
        .docs(
            "3.2.10",
            COMPLEXITY,
            "Answers the members within a circle.",
            "key longitude latitude radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] \
             [ASC|DESC]",
        )
        .deprecated("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument"),
    command("georadiusbymember", -5, STORES | flag::MOVABLEKEYS, Group::Geo, Run::Shard(georadiusbymember))
        .keys(&[KeySpec::one(1, READ), stored_behind("STORE", 5), stored_behind("STOREDIST", 5)])
        .further_key(stored_by_member)
        .differs(DIFFERS)
        .docs(
            "3.2.0",
            COMPLEXITY,
            "Answers the members within a circle around one of them, or makes a key hold them.",
            "key member radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC|DESC] \
             [STORE key] [STOREDIST key]",
        )
        .deprecated(
            "6.2.0",
            "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
        ),
    command("georadiusbymember_ro", -5, flag::READONLY, Group::Geo, Run::Shard(georadiusbymember_ro))
        .keys(&[KeySpec::one(1, READ)])
        .differs(DIFFERS)
        .docs(
            "3.2.10",
            COMPLEXITY,
            "Answers the members within a circle around one of them.",
            "key member radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC|DESC]",
        )
        .deprecated("6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments"),
];

const fn stored_behind(word: &'static str, from: i8) -> KeySpec {
    KeySpec {
        begin: Begin::Keyword { word, from },
        find: Find::Range { last: 0, step: 1, limit: 0 },
        flags: STORED,
    }
}

fn stored_by_radius(args: Args<'_>) -> Option<(usize, u16)> {
    last_stored(args, Form::Radius)
}

fn stored_by_member(args: Args<'_>) -> Option<(usize, u16)> {
    last_stored(args, Form::RadiusByMember)
}

/// Of several STORE and STOREDIST the last counts; key specifications find the first of each.
fn last_stored(args: Args<'_>, form: Form) -> Option<(usize, u16)> {
    let (mut at, mut last) = (form.options_at(), None);
    while at + 1 < args.len() {
        if args.is(at, "store") || args.is(at, "storedist") {
            at += 1;
            last = Some((at, STORED));
        }
        at += 1;
    }
    last
}

fn geosearch(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    search(cx, args, Form::Search, reply)
}

fn geosearchstore(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    search(cx, args, Form::SearchStore, reply)
}

fn georadius(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    search(cx, args, Form::Radius, reply)
}

fn georadius_ro(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    search(cx, args, Form::RadiusReadOnly, reply)
}

fn georadiusbymember(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    search(cx, args, Form::RadiusByMember, reply)
}

fn georadiusbymember_ro(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    search(cx, args, Form::RadiusByMemberReadOnly, reply)
}

/// Which of the commands: they differ in how the area is told and whether a key may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Search,
    SearchStore,
    Radius,
    RadiusReadOnly,
    RadiusByMember,
    RadiusByMemberReadOnly,
}

impl Form {
    fn source_at(self) -> usize {
        if self == Self::SearchStore { 2 } else { 1 }
    }

    fn options_at(self) -> usize {
        match self {
            Self::Search => 2,
            Self::SearchStore => 3,
            Self::Radius | Self::RadiusReadOnly => 6,
            Self::RadiusByMember | Self::RadiusByMemberReadOnly => 5,
        }
    }

    fn is_search(self) -> bool {
        matches!(self, Self::Search | Self::SearchStore)
    }

    fn has_store_options(self) -> bool {
        matches!(self, Self::Radius | Self::RadiusByMember)
    }
}

const NO_SUCH_MEMBER: CommandError = CommandError::text("ERR could not decode requested zset member");
const BAD_COUNT: CommandError = CommandError::text("ERR COUNT must be > 0");
const ANY_WITHOUT_COUNT: CommandError = CommandError::text("ERR the ANY argument requires COUNT argument");
const STORE_WITH: CommandError = CommandError::text(
    "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
);
const SEARCH_STORE_WITH: CommandError =
    CommandError::text("ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options");

/// Around what a search goes.
#[derive(Clone, Copy, Debug)]
enum Center {
    Coordinates(Position),
    /// Of a member, if the key is there.
    Member(Option<Position>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sorting {
    Ascending,
    Descending,
}

/// A key to be made of what is found.
#[derive(Clone, Copy, Debug)]
struct Store<'a> {
    key: &'a [u8],
    /// Distances are the scores, not positions.
    distances: bool,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Query<'a> {
    center: Option<Center>,
    extent: Option<Extent>,
    /// Metres of the unit that distances are told in.
    unit: f64,
    with_distance: bool,
    with_score: bool,
    with_position: bool,
    /// No more than so many.
    count: Option<usize>,
    /// The first found will do.
    any: bool,
    sorting: Option<Sorting>,
    store: Option<Store<'a>>,
}

impl<'a> Query<'a> {
    fn parse(args: Args<'a>, form: Form, zset: Option<&Zset>) -> Result<Self, CommandError> {
        let mut query = Self::default();
        match form {
            Form::Search => {}
            Form::SearchStore => query.store = Some(Store { key: args.at(1), distances: false }),
            Form::Radius | Form::RadiusReadOnly => {
                query.center = Some(Center::Coordinates(position(args, 2)?));
                query.set_circle(args, 4)?;
            }
            Form::RadiusByMember | Form::RadiusByMemberReadOnly => {
                query.center = Some(member(args.at(2), zset)?);
                // Of a key that is not there Redis does not look at the radius.
                if zset.is_some() {
                    query.set_circle(args, 3)?;
                }
            }
        }
        let mut at = form.options_at();
        while at < args.len() {
            at += 1 + query.take(args, at, form, zset)?;
        }
        query.check(args, form)?;
        Ok(query)
    }

    /// Takes an option. Returns how many arguments belong to it.
    fn take(
        &mut self,
        args: Args<'a>,
        at: usize,
        form: Form,
        zset: Option<&Zset>,
    ) -> Result<usize, CommandError> {
        let values = args.len() - at - 1;
        let is = |word| args.is(at, word);
        match () {
            () if is("withdist") => self.with_distance = true,
            () if is("withhash") => self.with_score = true,
            () if is("withcoord") => self.with_position = true,
            () if is("any") => self.any = true,
            () if is("asc") => self.sorting = Some(Sorting::Ascending),
            () if is("desc") => self.sorting = Some(Sorting::Descending),
            () if is("count") && values >= 1 => {
                let count = integer(args.at(at + 1))?;
                let count = usize::try_from(count).ok().filter(|&count| count > 0);
                self.count = Some(count.ok_or(BAD_COUNT)?);
                return Ok(1);
            }
            () if form.has_store_options() && values >= 1 && (is("store") || is("storedist")) => {
                self.store = Some(Store { key: args.at(at + 1), distances: is("storedist") });
                return Ok(1);
            }
            () if form.is_search() => return self.take_of_search(args, at, zset),
            () => return Err(CommandError::Syntax),
        }
        Ok(0)
    }

    /// The options that tell an area, and GEOSEARCHSTORE's.
    fn take_of_search(
        &mut self,
        args: Args<'a>,
        at: usize,
        zset: Option<&Zset>,
    ) -> Result<usize, CommandError> {
        let values = args.len() - at - 1;
        let is = |word| args.is(at, word);
        let (is_around_member, is_around_place) = match self.center {
            None => (false, false),
            Some(Center::Member(_)) => (true, false),
            Some(Center::Coordinates(_)) => (false, true),
        };
        match (&mut self.store, self.extent) {
            (Some(store), _) if is("storedist") => {
                store.distances = true;
                Ok(0)
            }
            _ if is("frommember") && values >= 1 && !is_around_place => {
                self.center = Some(member(args.at(at + 1), zset)?);
                Ok(1)
            }
            _ if is("fromlonlat") && values >= 2 && !is_around_member => {
                self.center = Some(Center::Coordinates(position(args, at + 1)?));
                Ok(2)
            }
            (_, None | Some(Extent::Circle { .. })) if is("byradius") && values >= 2 => {
                self.set_circle(args, at + 1)?;
                Ok(2)
            }
            (_, None | Some(Extent::Box { .. })) if is("bybox") && values >= 3 => {
                self.set_box(args, at + 1)?;
                Ok(3)
            }
            _ => Err(CommandError::Syntax),
        }
    }

    /// Radius and unit, from the argument `at` on.
    fn set_circle(&mut self, args: Args<'_>, at: usize) -> Result<(), CommandError> {
        let radius = double(args.at(at)).map_err(|_| CommandError::text("ERR need numeric radius"))?;
        if radius < 0.0 {
            return Err(CommandError::text("ERR radius cannot be negative"));
        }
        self.unit = unit(args.at(at + 1))?;
        self.extent = Some(Extent::Circle { radius: radius * self.unit });
        Ok(())
    }

    /// Width, height and unit, from the argument `at` on.
    fn set_box(&mut self, args: Args<'_>, at: usize) -> Result<(), CommandError> {
        let width = double(args.at(at)).map_err(|_| CommandError::text("ERR need numeric width"))?;
        let height = double(args.at(at + 1)).map_err(|_| CommandError::text("ERR need numeric height"))?;
        if width < 0.0 || height < 0.0 {
            return Err(CommandError::text("ERR height or width cannot be negative"));
        }
        self.unit = unit(args.at(at + 2))?;
        self.extent = Some(Extent::Box { width: width * self.unit, height: height * self.unit });
        Ok(())
    }

    /// Whether the options go together.
    fn check(&self, args: Args<'_>, form: Form) -> Result<(), CommandError> {
        let missing = |what: &str| {
            let name = printable(args.at(0));
            CommandError::owned(format!("ERR exactly one of {what} can be specified for {name}"))
        };
        let is_detailed = self.with_distance || self.with_score || self.with_position;
        match () {
            () if is_detailed && self.store.is_some() && form.is_search() => Err(SEARCH_STORE_WITH),
            () if is_detailed && self.store.is_some() => Err(STORE_WITH),
            () if form.is_search() && self.center.is_none() => Err(missing("FROMMEMBER or FROMLONLAT")),
            () if form.is_search() && self.extent.is_none() => Err(missing("BYRADIUS and BYBOX")),
            () if self.any && self.count.is_none() => Err(ANY_WITHOUT_COUNT),
            () => Ok(()),
        }
    }

    /// The area; None around a member of a key that is not there.
    fn shape(&self) -> Option<Shape> {
        let center = match self.center? {
            Center::Coordinates(position) => position,
            Center::Member(position) => position?,
        };
        Some(Shape { center, extent: self.extent? })
    }

    /// The closest are meant where only so many are wanted, unless any will do.
    fn sorting(&self) -> Option<Sorting> {
        self.sorting.or_else(|| (self.count.is_some() && !self.any).then_some(Sorting::Ascending))
    }

    /// What is to be answered, in order.
    fn run<'z>(&self, zset: &'z Zset) -> Vec<Found<'z>> {
        let Some(shape) = self.shape() else { return Vec::new() };
        let enough = self.count.filter(|_| self.any).unwrap_or(usize::MAX);
        let mut found = find_within(zset, &shape, enough);
        let wanted = self.count.unwrap_or(usize::MAX);
        if let Some(sorting) = self.sorting() {
            sort(&mut found, sorting, wanted);
        }
        found.truncate(wanted);
        found
    }

    fn reply(&self, found: &[Found<'_>], reply: &mut Reply<'_>) {
        let details = [self.with_distance, self.with_score, self.with_position];
        let details = details.into_iter().filter(|&with| with).count();
        reply.array(found.len());
        for one in found {
            if details > 0 {
                reply.array(1 + details);
            }
            reply_element(one.member, reply);
            if self.with_distance {
                reply_distance(one.distance / self.unit, reply);
            }
            if self.with_score {
                reply.int(one.score as i64);
            }
            if self.with_position {
                reply_position(Position::from_score(one.score), reply);
            }
        }
    }
}

fn member(member: &[u8], zset: Option<&Zset>) -> Result<Center, CommandError> {
    let position = zset.map(|zset| position_of(zset, member).ok_or(NO_SUCH_MEMBER));
    position.transpose().map(Center::Member)
}

/// A member in the area.
#[derive(Clone, Copy, Debug)]
struct Found<'a> {
    member: Element<'a>,
    score: f64,
    /// In metres.
    distance: f64,
}

/// The members in an area, cell by cell, until there are `enough`.
fn find_within<'a>(zset: &'a Zset, shape: &Shape, enough: usize) -> Vec<Found<'a>> {
    let members = ranks_of(zset, &shape.cells()).into_iter().flat_map(|ranks| zset.range(ranks));
    let found = members.filter_map(|(member, score)| {
        let distance = shape.distance_within(Position::from_score(score))?;
        Some(Found { member, score, distance })
    });
    found.take(enough).collect()
}

/// The ranks of the members of each cell, then those of the cells' edges; none twice.
fn ranks_of(zset: &Zset, cells: &[Cell]) -> Vec<Range<usize>> {
    let ranks = |cell: Cell| {
        let scores = cell.scores();
        let [start, end] = [scores.start, scores.end].map(|end| zset.partition_point(|score, _| score < end));
        start..end
    };
    let mut edges: Vec<_> = cells.iter().flat_map(|cell| cell.edges()).map(ranks).collect();
    edges.sort_unstable_by_key(|edge| edge.start);
    // The scores of edges overlap.
    let mut behind = 0;
    for edge in &mut edges {
        edge.start = edge.start.max(behind).min(edge.end);
        behind = edge.end.max(behind);
    }
    cells.iter().copied().map(ranks).chain(edges).collect()
}

/// Sorts the first `wanted`; what is behind them is in no order.
fn sort(found: &mut Vec<Found<'_>>, sorting: Sorting, wanted: usize) {
    let order = |a: &Found<'_>, b: &Found<'_>| match sorting {
        Sorting::Ascending => a.distance.total_cmp(&b.distance),
        Sorting::Descending => b.distance.total_cmp(&a.distance),
    };
    if wanted < found.len() {
        let mut numbered: Vec<_> = std::mem::take(found).into_iter().enumerate().collect();
        let by_place = |a: &(usize, Found<'_>), b: &(usize, Found<'_>)| order(&a.1, &b.1).then(a.0.cmp(&b.0));
        numbered.select_nth_unstable_by(wanted, by_place);
        numbered.truncate(wanted);
        numbered.sort_unstable_by(by_place);
        found.extend(numbered.into_iter().map(|(_, one)| one));
    } else {
        found.sort_by(order);
    }
}

fn search(cx: &mut Cx<'_>, args: Args<'_>, form: Form, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let limits = zset::limits(cx);
    let zset = zset::find(cx, args.at(form.source_at()))?;
    let query = Query::parse(args, form, zset)?;
    let found = zset.map_or(Vec::new(), |zset| query.run(zset));
    let Some(store) = query.store else {
        query.reply(&found, reply);
        return Ok(());
    };
    let mut table = ZsetTable::new(limits.seed);
    let mut digits = itoa::Buffer::new();
    for one in found {
        let score = if store.distances { one.distance / query.unit } else { one.score };
        table.set(one.member.text(&mut digits), score);
    }
    let event = if form.is_search() { "geosearchstore" } else { "georadiusstore" };
    zset::store(cx, store.key, Zset::within(table, &limits), event, reply);
    Ok(())
}
