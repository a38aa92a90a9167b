//! Plots as SVG: lines over two axes, and horizontal bars. Colours and type are the style sheet's.

use std::fmt::Write;

use super::escape;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 300.0;
/// Room for labels: left, right, above, below.
const MARGINS: [f64; 4] = [62.0, 24.0, 44.0, 40.0];
/// The style sheet has so many colours.
const COLOURS: usize = 6;
/// A linear axis has no more ticks beside its first.
const LINEAR_TICKS: f64 = 5.0;
/// Above this ratio of highest to lowest, a scale is logarithmic.
const DECADES_FROM: f64 = 20.0;

/// One line.
pub(super) struct Series {
    pub(super) name: String,
    /// The same for the same server in all plots of a page.
    pub(super) colour: usize,
    pub(super) points: Vec<(f64, f64)>,
}

/// One bar.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) colour: usize,
    pub(super) value: f64,
}

/// How values become places.
#[derive(Clone, Copy)]
pub(super) enum Scale {
    Linear,
    Log,
    /// Of percentiles: every nine takes the same room.
    Nines,
}

impl Scale {
    /// Linear from zero, or logarithmic if that would press most of it flat.
    pub(super) fn fitting(values: impl Iterator<Item = f64> + Clone) -> Self {
        let highest = values.clone().fold(0.0, f64::max);
        let lowest = values.fold(f64::INFINITY, f64::min);
        if lowest > 0.0 && highest / lowest > DECADES_FROM { Self::Log } else { Self::Linear }
    }

    fn place(self, value: f64) -> f64 {
        /// 100 % has no place; six nines are the most that is shown.
        const REST_MIN: f64 = 1e-6;
        match self {
            Self::Linear => value,
            Self::Log => value.max(f64::MIN_POSITIVE).log10(),
            Self::Nines => -(1.0 - value / 100.0).max(REST_MIN).log10(),
        }
    }

    /// Round values from `from` to `to`.
    fn ticks(self, from: f64, to: f64) -> Vec<f64> {
        match self {
            Self::Linear => {
                let step = round_up((to - from) / LINEAR_TICKS);
                (0..=LINEAR_TICKS as u32)
                    .map(|index| from + f64::from(index) * step)
                    .filter(|tick| *tick <= to)
                    .collect()
            }
            Self::Log => {
                let decades = from.log10().floor() as i32..=to.log10().ceil() as i32;
                let ticks =
                    decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(decade)));
                ticks.filter(|tick| (from..=to).contains(tick)).collect()
            }
            Self::Nines => {
                let nines = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999, 99.9999];
                nines.into_iter().filter(|tick| (from..=to).contains(tick)).collect()
            }
        }
    }
}

/// The least of 1, 2, 5 and their tenfolds that is not below.
fn round_up(value: f64) -> f64 {
    let decade = 10f64.powf(value.max(f64::MIN_POSITIVE).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|digit| digit * decade).into_iter().find(|step| *step >= value).unwrap_or(value)
}

/// An axis that holds all values it is given.
struct Axis {
    scale: Scale,
    from: f64,
    to: f64,
}

impl Axis {
    fn new(scale: Scale, values: impl Iterator<Item = f64> + Clone) -> Self {
        let highest = values.clone().fold(0.0, f64::max);
        let (from, to) = match scale {
            Scale::Linear | Scale::Nines => (0.0, highest),
            Scale::Log => (values.fold(f64::INFINITY, f64::min), highest),
        };
        Self { scale, from, to: if to > from { to } else { from + 1.0 } }
    }

    /// From 0 to 1.
    fn part(&self, value: f64) -> f64 {
        let [from, to, at] = [self.from, self.to, value].map(|value| self.scale.place(value));
        ((at - from) / (to - from)).clamp(0.0, 1.0)
    }

    fn ticks(&self) -> impl Iterator<Item = (f64, String)> {
        let ticks = self.scale.ticks(self.from, self.to);
        ticks.into_iter().map(|tick| (self.part(tick), short(tick)))
    }
}

/// Lines over two axes; nothing where there is nothing to draw.
pub(super) fn lines(title: &str, (x, x_label): (Scale, &str), y: Scale, series: &[Series]) -> String {
    let points = || series.iter().flat_map(|series| series.points.iter().copied());
    if points().next().is_none() {
        return String::new();
    }
    let (x, y) = (Axis::new(x, points().map(|(x, _)| x)), Axis::new(y, points().map(|(_, y)| y)));
    let mut svg = open(title, HEIGHT);
    write_axes(&mut svg, &x, &y, x_label);
    for (index, Series { name, colour, points }) in series.iter().enumerate() {
        let path: Vec<String> = points
            .iter()
            .map(|(px, py)| format!("{:.1},{:.1}", place_x(x.part(*px)), place_y(y.part(*py))))
            .collect();
        let class = colour % COLOURS;
        // Writing to a String cannot fail.
        let _ = writeln!(
            svg,
            "<polyline class=\"line s{class}\" style=\"fill:none\" points=\"{}\"/>",
            path.join(" ")
        );
        write_legend(&mut svg, index, class, name);
    }
    svg.push_str("</svg>\n");
    svg
}

/// One bar for each label, with its figure behind it.
pub(super) fn bars(title: &str, bars: &[Bar]) -> String {
    const ROW: f64 = 24.0;
    const LABELS: f64 = 90.0;
    const FIGURES: f64 = 70.0;
    let highest = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    if highest <= 0.0 {
        return String::new();
    }
    let mut svg = open(title, 34.0 + bars.len() as f64 * ROW);
    for (index, Bar { name, colour, value }) in bars.iter().enumerate() {
        let (top, len) = (30.0 + index as f64 * ROW, value / highest * (WIDTH - LABELS - FIGURES));
        let (text, class) = (top + 14.0, colour % COLOURS);
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{text:.1}\" text-anchor=\"end\">{}</text>\
             <rect class=\"s{class}\" x=\"{LABELS:.1}\" y=\"{top:.1}\" width=\"{len:.1}\" height=\"18\"/>\
             <text x=\"{:.1}\" y=\"{text:.1}\">{}</text>",
            LABELS - 6.0,
            escape(name),
            LABELS + len + 5.0,
            short(*value)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn open(title: &str, height: f64) -> String {
    let title = escape(title);
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" role=\"img\" aria-label=\"{title}\">\n\
         <text x=\"4\" y=\"15\" font-weight=\"600\">{title}</text>\n"
    )
}

fn place_x(part: f64) -> f64 {
    let [left, right, ..] = MARGINS;
    left + part * (WIDTH - left - right)
}

fn place_y(part: f64) -> f64 {
    let [.., above, below] = MARGINS;
    HEIGHT - below - part * (HEIGHT - above - below)
}

fn write_axes(svg: &mut String, x: &Axis, y: &Axis, x_label: &str) {
    let (left, right, bottom, top) = (place_x(0.0), place_x(1.0), place_y(0.0), place_y(1.0));
    for (part, label) in y.ticks() {
        let at = place_y(part);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{left:.1}\" y1=\"{at:.1}\" x2=\"{right:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            left - 6.0,
            at + 4.0
        );
    }
    for (part, label) in x.ticks() {
        let at = place_x(part);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{at:.1}\" y1=\"{bottom:.1}\" x2=\"{at:.1}\" y2=\"{top:.1}\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            bottom + 16.0
        );
    }
    let (middle, below) = (f64::midpoint(left, right), bottom + 33.0);
    let label = escape(x_label);
    let _ = writeln!(svg, "<text x=\"{middle:.1}\" y=\"{below:.1}\" text-anchor=\"middle\">{label}</text>");
}

fn write_legend(svg: &mut String, index: usize, class: usize, name: &str) {
    let x = MARGINS[0] + 86.0 * index as f64;
    let _ = writeln!(
        svg,
        "<rect class=\"s{class}\" x=\"{x:.1}\" y=\"24\" width=\"10\" height=\"10\"/>\
         <text x=\"{:.1}\" y=\"33\">{}</text>",
        x + 14.0,
        escape(name)
    );
}

/// Three digits or so, large numbers with k or M.
pub(super) fn short(value: f64) -> String {
    let (value, unit) = match value {
        1e6.. => (value / 1e6, "M"),
        1e4.. => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = match value {
        _ if value.fract() == 0.0 => 0,
        99.0..100.0 => 4,
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let trimmed = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{trimmed}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(points: &[(f64, f64)]) -> Series {
        Series { name: "a<b".to_owned(), colour: 0, points: points.to_vec() }
    }

    #[test]
    fn lines_go_from_corner_to_corner() {
        let points = [(0.0, 0.0), (2.0, 50.0), (4.0, 100.0)];
        let svg = lines("t", (Scale::Linear, "s"), Scale::Linear, &[series(&points)]);
        assert!(svg.contains("points=\"62.0,260.0 299.0,152.0 536.0,44.0\""), "{svg}");
        assert!(svg.contains(">a&lt;b</text>") && svg.contains(">100</text>"));
        assert_eq!(lines("t", (Scale::Linear, "s"), Scale::Linear, &[series(&[])]), "");
    }

    #[test]
    fn every_nine_takes_the_same_room() {
        let axis = Axis::new(Scale::Nines, [0.0, 99.99].into_iter());
        for (percentile, part) in [(90.0, 0.25), (99.0, 0.5), (99.9, 0.75), (99.99, 1.0), (100.0, 1.0)] {
            assert!((axis.part(percentile) - part).abs() < 1e-9, "{percentile}");
        }
        let ticks: Vec<String> = axis.ticks().map(|(_, label)| label).collect();
        assert_eq!(ticks, ["0", "50", "90", "99", "99.9", "99.99"]);
    }

    #[test]
    fn scales_have_round_ticks() {
        assert_eq!(Scale::Linear.ticks(0.0, 47.0), [0.0, 10.0, 20.0, 30.0, 40.0]);
        assert_eq!(Scale::Log.ticks(8.0, 210.0), [10.0, 20.0, 50.0, 100.0, 200.0]);
        assert!(matches!(Scale::fitting([1.0, 15.0].into_iter()), Scale::Linear));
        assert!(matches!(Scale::fitting([1.0, 150.0].into_iter()), Scale::Log));
        assert!(matches!(Scale::fitting([0.0, 150.0].into_iter()), Scale::Linear));
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let bar = |name: &str, colour, value| Bar { name: name.to_owned(), colour, value };
        let svg = bars("CPU", &[bar("x", 0, 2.0), bar("y", 3, 1.0)]);
        assert!(svg.contains("width=\"400.0\"") && svg.contains("width=\"200.0\""), "{svg}");
        assert!(svg.contains("class=\"s3\""), "{svg}");
        assert_eq!(bars("CPU", &[bar("x", 0, 0.0)]), "");
    }

    #[test]
    fn figures_are_short() {
        let texts = [0.0, 0.4567, 9.996, 42.42, 999.0, 1234.5, 45_678.0, 1_200_000.0, 99.99].map(short);
        assert_eq!(texts, ["0", "0.457", "10", "42.4", "999", "1234", "45.7k", "1.2M", "99.99"]);
    }
}
