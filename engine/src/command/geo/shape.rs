//! Areas on the globe: what is in them, and which cells of a grid cover them.
//!
//! The globe is a sphere, and distances are those along great circles (haversines). A box is as high as its meridian
//! and, at every latitude, as wide as the great circle between two points of that latitude.
//!
//! Invariant: a position in the area lies in one of its cells or their edges.
//!
//! Source: the size of the cells and their order, in which members are answered unless sorted, are those of
//! redis-server 7.0.15 as long as these cover the area. Where they do not (areas that reach over a pole, or are
//! wide near one; members at the greatest longitude or latitude) Redis leaves members out, and here none is.

use std::f64::consts::{FRAC_PI_2, PI};

use super::geohash::{Cell, LATITUDE_MAX, Position, STEP_MAX};

/// Mean radius, in metres.
const EARTH_RADIUS: f64 = 6_372_797.560_856;
/// Half the width of Mercator's map, in metres; about that of the widest cells.
const MERCATOR_MAX: f64 = 20_037_726.37;
/// Radians of a circle that is taken for the whole globe: beyond it the arc of a haversine loses digits.
const WHOLE_GLOBE: f64 = 3.0;
/// Degrees by which rounding may be wrong about where an area ends.
const MARGIN: f64 = 1e-9;

/// A cell and the eight around it: how far east, how far north.
const NEIGHBOURHOOD: [(i32, i32); 9] =
    [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];

/// Metres between two positions.
pub(super) fn distance(a: Position, b: Position) -> f64 {
    let meridians = ((b.longitude.to_radians() - a.longitude.to_radians()) / 2.0).sin();
    if meridians == 0.0 {
        return distance_of_latitudes(a.latitude, b.latitude);
    }
    let (from, to) = (a.latitude.to_radians(), b.latitude.to_radians());
    let parallels = ((to - from) / 2.0).sin();
    let haversine = parallels * parallels + from.cos() * to.cos() * meridians * meridians;
    // Rounding can take antipodes beyond half the globe.
    2.0 * EARTH_RADIUS * haversine.sqrt().min(1.0).asin()
}

/// Metres between two latitudes on one meridian.
fn distance_of_latitudes(a: f64, b: f64) -> f64 {
    EARTH_RADIUS * (b.to_radians() - a.to_radians()).abs()
}

/// How far an area reaches, in metres.
#[derive(Clone, Copy, Debug)]
pub(super) enum Extent {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) center: Position,
    pub(super) extent: Extent,
}

impl Shape {
    /// Metres from the center, if the position is in the area.
    pub(super) fn distance_within(&self, position: Position) -> Option<f64> {
        match self.extent {
            Extent::Circle { radius } => Some(distance(self.center, position)).filter(|&far| far <= radius),
            Extent::Box { width, height } => {
                let on_meridian = Position { longitude: self.center.longitude, ..position };
                let is_in = distance_of_latitudes(position.latitude, self.center.latitude) <= height / 2.0
                    && distance(position, on_meridian) <= width / 2.0;
                is_in.then(|| distance(self.center, position))
            }
        }
    }

    /// Cells that cover the area, each once, the one around the center first. Their edges belong to it too.
    pub(super) fn cells(&self) -> Vec<Cell> {
        let bounds = self.bounds();
        let step = self.step(&bounds);
        let center = Cell::around(self.center, step);
        let mut cells = Vec::with_capacity(NEIGHBOURHOOD.len());
        for (east, north) in NEIGHBOURHOOD {
            let cell = center.neighbour(east, north);
            let is_met = step == 1 || bounds.reach(center, east, north);
            if is_met && !cells.contains(&cell) {
                cells.push(cell);
            }
        }
        cells
    }

    /// The size of the cells: Redis's, unless a cell and its neighbours are too small for the area. Four cells are
    /// the globe.
    fn step(&self, bounds: &Bounds) -> u32 {
        let usual = self.usual_step();
        (1..=usual).rev().find(|&step| bounds.are_near(Cell::around(self.center, step))).unwrap_or(1)
    }

    /// Redis's estimate, one step larger if the area seems to reach beyond the neighbours.
    fn usual_step(&self) -> u32 {
        let step = step_of_radius(self.reach(), self.center.latitude);
        let reaches_beyond = self.seems_beyond_neighbours(Cell::around(self.center, step));
        if step > 1 && reaches_beyond { step - 1 } else { step }
    }

    /// Metres from the center to the furthest point.
    fn reach(&self) -> f64 {
        match self.extent {
            Extent::Circle { radius } => radius,
            Extent::Box { width, height } => {
                let (half_width, half_height) = (width / 2.0, height / 2.0);
                (half_width * half_width + half_height * half_height).sqrt()
            }
        }
    }

    /// With Redis's bounds, whose width is that at the latitude furthest from the equator: too wide for a circle, and
    /// meaningless where that is beyond a pole.
    fn seems_beyond_neighbours(&self, cell: Cell) -> bool {
        let (half_width, half_height) = self.half_sizes();
        let Position { longitude, latitude } = self.center;
        let up = (half_height / EARTH_RADIUS).to_degrees();
        let furthest = if latitude < 0.0 { latitude - up } else { latitude + up };
        let aside = (half_width / EARTH_RADIUS / furthest.to_radians().cos()).to_degrees();
        cell.neighbour(0, 1).latitudes().end < latitude + up
            || cell.neighbour(0, -1).latitudes().start > latitude - up
            || cell.neighbour(1, 0).longitudes().end < longitude + aside
            || cell.neighbour(-1, 0).longitudes().start > longitude - aside
    }

    fn half_sizes(&self) -> (f64, f64) {
        match self.extent {
            Extent::Circle { radius } => (radius, radius),
            Extent::Box { width, height } => (width / 2.0, height / 2.0),
        }
    }

    fn bounds(&self) -> Bounds {
        let (half_width, half_height) = self.half_sizes();
        let up = (half_height / EARTH_RADIUS).min(PI).to_degrees();
        let Position { longitude, latitude } = self.center;
        let (south, north) = (latitude - up, latitude + up);
        let angle = half_width / EARTH_RADIUS;
        let aside = match self.extent {
            _ if angle >= WHOLE_GLOBE => None,
            // A pole is in the circle, and with it every meridian.
            Extent::Circle { .. } if south <= -90.0 || north >= 90.0 => None,
            // The meridian that touches the circle makes a right angle with the radius (Napier's rule).
            Extent::Circle { .. } => arc_sine(angle.sin() / latitude.to_radians().cos()),
            Extent::Box { .. } => {
                let furthest = south.abs().max(north.abs()).min(LATITUDE_MAX);
                arc_sine((angle / 2.0).sin() / furthest.to_radians().cos()).map(|half| 2.0 * half)
            }
        };
        Bounds {
            south: south - MARGIN,
            north: north + MARGIN,
            center: longitude,
            aside: aside.map(|radians| radians.to_degrees() + MARGIN),
        }
    }
}

/// None where the angle would be a right one or more.
fn arc_sine(sine: f64) -> Option<f64> {
    Some(sine.asin()).filter(|&angle| angle < FRAC_PI_2)
}

/// Redis's estimate of the smallest cells of which nine cover a circle.
fn step_of_radius(radius: f64, latitude: f64) -> u32 {
    if radius == 0.0 {
        return STEP_MAX;
    }
    let mut step: u32 = 1;
    let mut doubled = radius;
    while doubled < MERCATOR_MAX {
        doubled *= 2.0;
        step += 1;
    }
    // Cells are narrower towards the poles.
    let back = match latitude.abs() {
        latitude if latitude > 80.0 => 4,
        latitude if latitude > 66.0 => 3,
        _ => 2,
    };
    step.saturating_sub(back).clamp(1, STEP_MAX)
}

/// Between which parallels and meridians an area lies.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    south: f64,
    north: f64,
    center: f64,
    /// Degrees to either side of the center; none where it goes around a pole.
    aside: Option<f64>,
}

impl Bounds {
    /// Whether a cell, which is around the center, and its neighbours are enough.
    fn are_near(&self, cell: Cell) -> bool {
        let ([west, east], [south, north]) = self.distances(cell);
        west.max(east).max(south).max(north) <= 1.0
    }

    /// Whether the neighbour in this direction is needed.
    fn reach(&self, cell: Cell, east: i32, north: i32) -> bool {
        let (columns, rows) = self.distances(cell);
        let is_needed = |by: i32, [back, forth]: [f64; 2]| match by {
            0 => true,
            ..0 => back > 0.0,
            _ => forth > 0.0,
        };
        is_needed(east, columns) && is_needed(north, rows)
    }

    /// How far the bounds go beyond a cell, in cells: west and east, south and north.
    fn distances(&self, cell: Cell) -> ([f64; 2], [f64; 2]) {
        let (columns, rows) = (cell.longitudes(), cell.latitudes());
        let (width, height) = (columns.end - columns.start, rows.end - rows.start);
        let aside = self.aside.unwrap_or(f64::INFINITY);
        let west = (columns.start - (self.center - aside)) / width;
        let east = (self.center + aside - columns.end) / width;
        let south = (rows.start - self.south.max(-LATITUDE_MAX)) / height;
        let north = (self.north.min(LATITUDE_MAX) - rows.end) / height;
        ([west, east], [south, north])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::geohash::tests::positions;
    use super::*;

    /// From a metre to further than anything is.
    fn lengths() -> impl Strategy<Value = f64> {
        prop_oneof![20 => (0.0..17.5f64).prop_map(f64::exp), 1 => Just(0.0), 1 => Just(f64::INFINITY)]
    }

    fn shapes() -> impl Strategy<Value = Shape> {
        let extents = prop_oneof![
            lengths().prop_map(|radius| Extent::Circle { radius }),
            (lengths(), lengths()).prop_map(|(width, height)| Extent::Box { width, height }),
        ];
        let anywhere = (positions(), extents).prop_map(|(center, extent)| Shape { center, extent });
        prop_oneof![3 => anywhere, 1 => wide_boxes_near_a_pole()]
    }

    fn wide_boxes_near_a_pole() -> impl Strategy<Value = Shape> {
        (-180.0..180.0, 75.0..85.0, 1.5e6..3.5e6, 1e5..2e6).prop_map(
            |(longitude, latitude, width, height)| Shape {
                center: Position { longitude, latitude },
                extent: Extent::Box { width, height },
            },
        )
    }

    /// Where one comes to from a position: an angle to the meridian and metres.
    fn destination(from: Position, bearing: f64, metres: f64) -> Position {
        let (latitude, angle) = (from.latitude.to_radians(), metres / EARTH_RADIUS);
        let to = (latitude.sin() * angle.cos() + latitude.cos() * angle.sin() * bearing.cos()).asin();
        let aside =
            (bearing.sin() * angle.sin() * latitude.cos()).atan2(angle.cos() - latitude.sin() * to.sin());
        let longitude = (from.longitude + aside.to_degrees() + 540.0).rem_euclid(360.0) - 180.0;
        Position { longitude, latitude: to.to_degrees().clamp(-LATITUDE_MAX, LATITUDE_MAX) }
    }

    fn is_found(shape: &Shape, member: Position) -> bool {
        let score = member.score();
        let cells = shape.cells();
        cells
            .iter()
            .any(|&cell| std::iter::once(cell).chain(cell.edges()).any(|cell| cell.scores().contains(&score)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// What every member by itself says to the question whether it is in the area, the cells must not contradict.
        #[test]
        fn nothing_in_the_area_is_outside_its_cells(
            shape in shapes(),
            anywhere in prop::collection::vec(positions(), 20),
            near in prop::collection::vec((0.0..std::f64::consts::TAU, 0.9..1.01f64), 20),
        ) {
            let reach = shape.reach().min(2e7);
            let near = near.into_iter().map(|(bearing, part)| destination(shape.center, bearing, part * reach));
            let further = (shape.center.latitude + shape.half_sizes().1 / 111_300.0).min(LATITUDE_MAX);
            let level = anywhere.iter().map(|place| Position { latitude: further, ..*place });
            for place in level.chain(anywhere.iter().copied()).chain(near).chain([shape.center]) {
                let member = Position::from_score(place.score());
                if shape.distance_within(member).is_some() {
                    prop_assert!(is_found(&shape, place), "{place:?}");
                }
            }
        }

        #[test]
        fn distances_are_the_same_both_ways(a in positions(), b in positions()) {
            let (there, back) = (distance(a, b), distance(b, a));
            prop_assert!((there - back).abs() < 1e-6);
            prop_assert!((0.0..=PI * EARTH_RADIUS + 1e-6).contains(&there));
        }

        #[test]
        fn a_destination_is_as_far_as_told(
            from in positions(),
            bearing in 0.0..std::f64::consts::TAU,
            metres in 1.0..1e6f64,
        ) {
            let to = destination(from, bearing, metres);
            prop_assume!(to.latitude.abs() < LATITUDE_MAX);
            prop_assert!((distance(from, to) - metres).abs() < metres * 1e-6);
        }
    }

    /// Redis does not find this one.
    #[test]
    fn a_box_near_a_pole_reaches_around_it() {
        let center = Position { longitude: 80.0, latitude: 79.9 };
        let shape = Shape { center, extent: Extent::Box { width: 2.24e6, height: 1.11e6 } };
        let place = Position { longitude: -135.0, latitude: 84.85 };
        assert!(shape.distance_within(place).is_some());
        assert!(is_found(&shape, place));
    }

    #[test]
    fn antipodes_are_half_the_globe_apart() {
        let here = Position { longitude: 10.0, latitude: 33.3 };
        let there = Position { longitude: -170.0, latitude: -33.3 };
        assert!((distance(here, there) - PI * EARTH_RADIUS).abs() < 1.0);
    }
}
