//! What is sorted, in which order.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use super::super::Cx;
use super::super::number::weight;
use super::request::Request;
use super::texts::Texts;
use super::values::Values;
use crate::error::{CommandError, before_nul};
use crate::store::encoding::listpack::Element;
use crate::store::encoding::quicklist::End;
use crate::store::{List, Object, Set, Value, Zset};

const NOT_NUMBERS: CommandError = CommandError::text("ERR One or more scores can't be converted into double");

/// What elements are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// They stay in the order in which they were found.
    AsFound,
    ByElement {
        alpha: bool,
    },
    ByPattern,
}

/// The elements of a key, as far as they are needed.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) elements: Arc<Texts>,
    pub(super) order: Order,
    /// Which are wanted, once they are in order.
    window: Range<usize>,
}

impl Loaded {
    pub(super) fn read(cx: &mut Cx<'_>, request: &Request) -> Result<Self, CommandError> {
        let Some(entry) = cx.find(&request.key) else { return Ok(Self::all([].into_iter(), request)) };
        match entry.value() {
            Value::Object(Object::List(list)) => Ok(Self::of_list(list, request)),
            Value::Object(Object::Set(set)) => Ok(Self::of_set(set, request)),
            Value::Object(Object::Zset(zset)) => Ok(Self::of_zset(zset, request)),
            _ => Err(CommandError::WrongType),
        }
    }

    fn of_list(list: &List, request: &Request) -> Self {
        if !request.unsorted {
            return Self::all(list.iter(0, End::Front), request);
        }
        let window = request.window(list.len());
        if window.is_empty() {
            return Self::wanted([].into_iter());
        }
        let (first, from) = if request.descending {
            (list.len() - 1 - window.start, End::Back)
        } else {
            (window.start, End::Front)
        };
        Self::wanted(list.iter(first, from).take(window.len()))
    }

    /// A set has no order of its own that could be kept: what is stored of it is sorted all the same.
    fn of_set(set: &Set, request: &Request) -> Self {
        let all = Self::all(set.iter(), request);
        let is_kept = request.unsorted && request.store.is_some();
        if is_kept { Self { order: Order::ByElement { alpha: true }, ..all } } else { all }
    }

    fn of_zset(zset: &Zset, request: &Request) -> Self {
        if !request.unsorted {
            return Self::all(names(zset.iter()), request);
        }
        let (window, len) = (request.window(zset.len()), zset.len());
        if request.descending {
            Self::wanted(names(zset.range(len - window.end..len - window.start).rev()))
        } else {
            Self::wanted(names(zset.range(window)))
        }
    }

    /// What is answered as it is.
    fn wanted<'a>(elements: impl Iterator<Item = Element<'a>>) -> Self {
        let elements = texts(elements);
        Self { window: 0..elements.len(), elements: Arc::new(elements), order: Order::AsFound }
    }

    fn all<'a>(elements: impl Iterator<Item = Element<'a>>, request: &Request) -> Self {
        let elements = texts(elements);
        let order = match () {
            () if request.unsorted => Order::AsFound,
            () if !request.weight_pattern().is_empty() => Order::ByPattern,
            () => Order::ByElement { alpha: request.alpha },
        };
        Self { window: request.window(elements.len()), elements: Arc::new(elements), order }
    }

    /// The elements wanted, in order. `weights` has what the pattern leads to if they are sorted by that.
    pub(super) fn sorted(&self, request: &Request, weights: Option<&Values>) -> Result<Texts, CommandError> {
        let elements = &self.elements;
        let weight_of = |index| weights.and_then(|weights| weights.at(index));
        let compare = TextOrder::of(request);
        let chosen = match self.order {
            Order::AsFound => self.window.clone().collect(),
            Order::ByElement { alpha: true } => {
                self.choose(request, |a, b| compare.texts(elements.at(a), elements.at(b)))
            }
            Order::ByPattern if request.alpha => self.choose(request, |a, b| {
                let (a, b) = (weight_of(a), weight_of(b));
                a.zip(b).map_or(a.is_some().cmp(&b.is_some()), |(a, b)| compare.texts(a, b))
            }),
            Order::ByElement { alpha: false } => {
                self.choose_by_numbers(request, elements.iter().map(Some))?
            }
            Order::ByPattern => self.choose_by_numbers(request, (0..elements.len()).map(weight_of))?,
        };
        Ok(chosen.into_iter().map(|index| elements.at(index)).collect())
    }

    /// What has no weight weighs nothing. Elements of one weight are in the order of their bytes.
    fn choose_by_numbers<'a>(
        &self,
        request: &Request,
        weights: impl Iterator<Item = Option<&'a [u8]>>,
    ) -> Result<Vec<usize>, CommandError> {
        let numbers = weights.map(|text| text.map_or(Some(0.0), weight)).collect::<Option<Vec<f64>>>();
        let numbers = numbers.ok_or(NOT_NUMBERS)?;
        Ok(self.choose(request, |a, b| {
            let by_weight = numbers[a].partial_cmp(&numbers[b]).unwrap_or(Ordering::Equal);
            by_weight.then_with(|| self.elements.at(a).cmp(self.elements.at(b)))
        }))
    }

    /// Those in the window, when all are sorted; what compares as equal stays in the order in which it was found.
    fn choose(&self, request: &Request, compare: impl Fn(usize, usize) -> Ordering) -> Vec<usize> {
        let compare = |a: &usize, b: &usize| {
            let order = compare(*a, *b);
            (if request.descending { order.reverse() } else { order }).then(a.cmp(b))
        };
        let mut chosen: Vec<usize> = (0..self.elements.len()).collect();
        let Range { start, end } = self.window;
        if end < chosen.len() {
            chosen.select_nth_unstable_by(end, compare);
            chosen.truncate(end);
        }
        if (1..chosen.len()).contains(&start) {
            chosen.select_nth_unstable_by(start, compare);
        }
        chosen.drain(..start);
        chosen.sort_unstable_by(compare);
        chosen
    }
}

/// How texts are compared: Redis's collation ends at a zero byte, and is not used for what is stored.
#[derive(Clone, Copy, Debug)]
enum TextOrder {
    Bytes,
    CStrings,
}

impl TextOrder {
    fn of(request: &Request) -> Self {
        if request.store.is_some() { Self::Bytes } else { Self::CStrings }
    }

    fn texts(self, a: &[u8], b: &[u8]) -> Ordering {
        match self {
            Self::Bytes => a.cmp(b),
            Self::CStrings => before_nul(a).cmp(before_nul(b)),
        }
    }
}

fn names<'a>(members: impl Iterator<Item = (Element<'a>, f64)>) -> impl Iterator<Item = Element<'a>> {
    members.map(|(name, _)| name)
}

fn texts<'a>(elements: impl Iterator<Item = Element<'a>>) -> Texts {
    let (mut texts, mut digits) = (Texts::default(), itoa::Buffer::new());
    elements.for_each(|element| texts.push(element.text(&mut digits)));
    texts
}
