//! Plots as SVG: hit ratio against capacity, throughput against threads.
//!
//! Positions along the bottom are the measured ones at equal distances; nothing between them was measured.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use larder::Policy;
use plotters::prelude::*;

use crate::contestants::Kind;
use crate::table::{Group, Unit};
use crate::traces::Report;

/// Pixels of a picture, and of the part that names its lines.
const SIZE: (u32, u32) = (890, 420);
const LEGEND: u32 = 280;

/// One line of a plot.
pub struct Line {
    pub name: String,
    pub role: Role,
    /// One value for each position, in order.
    pub values: Vec<f64>,
}

/// How a line is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Ours,
    Rival,
    /// Dashed: no cache.
    Limit,
}

struct Plot<'a> {
    title: &'a str,
    positions: &'a [String],
    x: &'a str,
    y: &'a str,
    is_logarithmic: bool,
}

/// Draws one picture for each trace.
pub fn hit_ratios(report: &Report, folder: &Path) -> Result<(), Box<dyn Error>> {
    for curves in report.curves() {
        let plot = Plot {
            title: &curves.title,
            positions: &curves.positions,
            x: "capacity, % of the distinct keys",
            y: "hit ratio, %",
            is_logarithmic: false,
        };
        plot.draw(&folder.join(format!("{}.svg", curves.name)), &curves.lines)?;
    }
    Ok(())
}

/// Draws lines over positions of any kind.
pub fn lines(
    path: &Path,
    title: &str,
    (x, y): (&str, &str),
    positions: &[String],
    lines: &[Line],
) -> Result<(), Box<dyn Error>> {
    Plot { title, positions, x, y, is_logarithmic: false }.draw(path, lines)
}

/// Draws one picture for a group whose columns are numbers of threads, where there are several.
pub fn throughput(group: &Group, folder: &Path) -> Result<(), Box<dyn Error>> {
    if group.columns.len() < 2 || !matches!(group.unit, Unit::MillionsASecond) {
        return Ok(());
    }
    let mut lines: BTreeMap<usize, Line> = BTreeMap::new();
    for column in &group.columns {
        for (at, score) in column.scores.iter().enumerate() {
            let role = match score.kind {
                Kind::Ours | Kind::Beside => Role::Ours,
                Kind::Rival => Role::Rival,
                Kind::Limit => Role::Limit,
            };
            let line =
                lines.entry(at).or_insert_with(|| Line { name: score.name.to_owned(), role, values: vec![] });
            line.values.push(group.unit.of(score.nanoseconds));
        }
    }
    let positions: Vec<String> = group.columns.iter().map(|column| column.threads.to_string()).collect();
    let plot = Plot {
        title: &group.title,
        positions: &positions,
        x: "threads",
        y: "millions of operations a second",
        is_logarithmic: true,
    };
    plot.draw(&folder.join(format!("{}.svg", group.name)), &lines.into_values().collect::<Vec<_>>())
}

impl Plot<'_> {
    fn draw(&self, path: &Path, lines: &[Line]) -> Result<(), Box<dyn Error>> {
        let area = SVGBackend::new(path, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let (left, right) = area.split_horizontally(SIZE.0 - LEGEND);

        let values = || lines.iter().flat_map(|line| &line.values).map(|value| self.height(*value));
        let (lowest, highest) =
            values().fold((f64::MAX, f64::MIN), |(low, high), y| (low.min(y), high.max(y)));
        let (lowest, highest) = if self.is_logarithmic {
            (lowest.floor(), highest.ceil())
        } else {
            (lowest - 1.0, highest + 1.0)
        };

        let mut chart = ChartBuilder::on(&left)
            .margin(12)
            .caption(self.title, ("sans-serif", 15))
            .x_label_area_size(38)
            .y_label_area_size(52)
            .build_cartesian_2d(0..self.positions.len() as i32 - 1, lowest..highest)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(RGBColor(225, 225, 225))
            .x_labels(self.positions.len().min(13))
            .y_labels(if self.is_logarithmic { (highest - lowest) as usize + 1 } else { 8 })
            .x_label_formatter(&|at| self.positions.get(*at as usize).cloned().unwrap_or_default())
            .y_label_formatter(&|y| self.label(*y))
            .x_desc(self.x)
            .y_desc(self.y)
            .label_style(("sans-serif", 12))
            .draw()?;

        // Rivals first: what the picture is about stays on top.
        let styles = styles(lines);
        let mut order: Vec<usize> = (0..lines.len()).collect();
        order.sort_by_key(|at| lines[*at].role == Role::Ours);
        for &at in &order {
            let points = || lines[at].values.iter().enumerate().map(|(x, y)| (x as i32, self.height(*y)));
            if lines[at].role == Role::Limit {
                chart.draw_series(DashedLineSeries::new(points(), 12, 8, styles[at]))?;
            } else {
                chart.draw_series(LineSeries::new(points(), styles[at]))?;
            }
            if self.positions.len() > 20 {
                continue;
            }
            chart.draw_series(points().map(|point| Circle::new(point, 2, styles[at].color.filled())))?;
        }

        // The names, in the order of the lines' right ends.
        let last = |at: &usize| lines[*at].values.last().copied().unwrap_or(0.0);
        order.sort_by(|a, b| last(b).total_cmp(&last(a)));
        for (row, at) in order.into_iter().enumerate() {
            let y = 46 + 22 * row as i32;
            let gap = if lines[at].role == Role::Limit { 4 } else { 0 };
            right.draw(&PathElement::new(vec![(4, y), (16 - gap, y)], styles[at]))?;
            right.draw(&PathElement::new(vec![(16, y), (28, y)], styles[at]))?;
            right.draw(&Text::new(lines[at].name.clone(), (35, y - 6), ("sans-serif", 13)))?;
        }
        area.present()?;
        Ok(())
    }

    /// The value at a height.
    fn label(&self, height: f64) -> String {
        let value = if self.is_logarithmic { height.exp2() } else { height };
        if self.is_logarithmic && value < 1.0 { format!("{value}") } else { format!("{value:.0}") }
    }

    fn height(&self, value: f64) -> f64 {
        if self.is_logarithmic { value.log2() } else { value }
    }
}

/// A colour for each line: ours in reds, one for each policy there is, and broad, limits in greys, rivals in a palette that the colour-blind can tell
/// apart (Okabe and Ito, 2008), continued.
fn styles(lines: &[Line]) -> Vec<ShapeStyle> {
    const OURS: [RGBColor; Policy::ALL.len()] = [
        RGBColor(200, 0, 30),
        RGBColor(240, 120, 120),
        RGBColor(150, 0, 80),
        RGBColor(250, 170, 140),
        RGBColor(225, 95, 0),
        RGBColor(205, 60, 215),
        RGBColor(95, 25, 10),
    ];
    const RIVALS: [RGBColor; 12] = [
        RGBColor(0, 114, 178),
        RGBColor(230, 159, 0),
        RGBColor(0, 158, 115),
        RGBColor(86, 180, 233),
        RGBColor(204, 121, 167),
        RGBColor(120, 94, 40),
        RGBColor(160, 150, 0),
        RGBColor(90, 70, 200),
        RGBColor(120, 200, 60),
        RGBColor(0, 70, 70),
        RGBColor(255, 90, 200),
        RGBColor(130, 130, 130),
    ];
    const LIMITS: [RGBColor; 2] = [RGBColor(40, 40, 40), RGBColor(140, 140, 140)];
    let mut numbers = [0_usize; 3];
    let style = |line: &Line| {
        let (palette, kind, width): (&[RGBColor], usize, u32) = match line.role {
            Role::Ours => (&OURS, 0, 3),
            Role::Rival => (&RIVALS, 1, 1),
            Role::Limit => (&LIMITS, 2, 1),
        };
        let colour = palette[numbers[kind] % palette.len()];
        numbers[kind] += 1;
        colour.stroke_width(width)
    };
    lines.iter().map(style).collect()
}
