//! Tables over all replays.

use larder::Policy;

use super::replay::{Cell, Replayed, Who};
use crate::plot::{Line, Role};
use crate::table::markdown;

/// Everything that was replayed.
#[derive(Default)]
pub struct Report {
    pub traces: Vec<Replayed>,
}

/// The hit ratios of one trace, for a picture.
pub struct Curves {
    pub name: String,
    pub title: String,
    /// The capacities, in words.
    pub positions: Vec<String>,
    pub lines: Vec<Line>,
}

/// Which traces a summary is over.
#[derive(Clone, Copy)]
enum Group {
    Recorded,
    Synthetic,
}

/// Cells in which an exact LRU is this close to the optimum say nothing about closing the gap.
const SMALLEST_GAP: f64 = 0.001;

impl Report {
    pub fn add(&mut self, replayed: Replayed) {
        eprintln!("   replayed {}", replayed.trace);
        self.traces.push(replayed);
    }

    pub fn print(&self) {
        println!("\n## Hit ratios\n");
        for group in [Group::Recorded, Group::Synthetic] {
            self.print_summary(group);
        }
        self.print_quoted();
        println!("\n### Each trace, hit ratio in %, by capacity in % of the distinct keys");
        self.traces.iter().for_each(print_trace);
    }

    /// What to draw of each trace that was replayed at several capacities.
    pub fn curves(&self) -> Vec<Curves> {
        self.traces.iter().filter_map(curves_of).collect()
    }

    fn cells(&self, group: Group) -> impl Iterator<Item = (&Replayed, &Cell)> {
        self.traces
            .iter()
            .filter(move |replayed| replayed.is_recorded == matches!(group, Group::Recorded))
            .flat_map(|replayed| replayed.cells.iter().map(move |cell| (replayed, cell)))
            .filter(|(_, cell)| cell.share.is_some())
    }

    fn print_summary(&self, group: Group) {
        let words = match group {
            Group::Recorded => "recorded",
            Group::Synthetic => "synthetic",
        };
        let Some((_, first)) = self.cells(group).next() else { return };
        let count = self.cells(group).count();
        println!("### All {count} cells of the {words} traces\n");
        println!(
            "Misses against the best rival of each cell: geometric mean, and the worst cell. The share of the gap \
             from exact LRU to the optimum that is closed: mean. The most entries that were ever above a capacity.\n"
        );
        let header = ["", "misses x best rival", "worst cell", "where", "gap closed", "above capacity"];
        let mut lines = vec![header.map(str::to_owned).to_vec()];
        for who in first.outcomes.iter().map(|outcome| outcome.who) {
            lines.push(self.summary_of(who, group));
        }
        markdown(&lines);
        println!();
        self.print_lru_gap(group);
    }

    fn summary_of(&self, who: Who, group: Group) -> Vec<String> {
        let (mut logarithms, mut worst, mut closed, mut excess) =
            (Vec::new(), (0.0, String::new()), Vec::new(), Some(0));
        for (replayed, cell) in self.cells(group) {
            let ratio = misses(replayed, cell, who) / best_rival(replayed, cell);
            logarithms.push(ratio.ln());
            if ratio > worst.0 {
                worst = (ratio, format!("{} at {}", replayed.trace, cell.capacity));
            }
            let (lru, optimum) = (misses(replayed, cell, Who::Lru), misses(replayed, cell, Who::Optimum));
            if (lru - optimum) / replayed.accesses as f64 > SMALLEST_GAP {
                closed.push((lru - misses(replayed, cell, who)) / (lru - optimum));
            }
            excess = excess
                .zip(find(cell, who).and_then(|outcome| outcome.excess))
                .map(|(a, b): (u64, u64)| a.max(b));
        }
        vec![
            who.name(),
            format!("{:.3}", mean(&logarithms).exp()),
            format!("{:.2}", worst.0),
            worst.1,
            format!("{:.2}", mean(&closed)),
            excess.map_or("not known".to_owned(), |excess| excess.to_string()),
        ]
    }

    /// How far larder's `lru` is from an exact one.
    fn print_lru_gap(&self, group: Group) {
        let mut gaps: Vec<f64> = self
            .cells(group)
            .map(|(replayed, cell)| {
                ratio(replayed, cell, Who::Larder(Policy::Lru)) - ratio(replayed, cell, Who::Lru)
            })
            .map(|gap| gap.abs() * 100.0)
            .collect();
        gaps.sort_unstable_by(f64::total_cmp);
        println!(
            "larder's `lru` is {:.2} points of hit ratio from exact LRU in the mean, {:.2} at most.\n",
            mean(&gaps),
            gaps.last().copied().unwrap_or(0.0)
        );
    }

    fn print_quoted(&self) {
        let quoted: Vec<(&Replayed, &Cell)> = self
            .traces
            .iter()
            .flat_map(|replayed| replayed.cells.iter().map(move |cell| (replayed, cell)))
            .filter(|(_, cell)| cell.share.is_none())
            .collect();
        let Some((_, first)) = quoted.first() else { return };
        println!("### Cells that are often quoted, hit ratio in %\n");
        let mut lines = vec![vec![String::new()]];
        lines[0]
            .extend(quoted.iter().map(|(replayed, cell)| format!("{} at {}", replayed.trace, cell.capacity)));
        for who in first.outcomes.iter().map(|outcome| outcome.who) {
            let mut line = vec![who.name()];
            line.extend(
                quoted.iter().map(|(replayed, cell)| format!("{:.1}", ratio(replayed, cell, who) * 100.0)),
            );
            lines.push(line);
        }
        markdown(&lines);
    }
}

fn curves_of(replayed: &Replayed) -> Option<Curves> {
    let cells: Vec<&Cell> = replayed.cells.iter().filter(|cell| cell.share.is_some()).collect();
    let first = cells.first().filter(|_| cells.len() > 1)?;
    let line = |who: Who| Line {
        name: who.name(),
        role: match who {
            Who::Larder(_) => Role::Ours,
            Who::Rival(_) => Role::Rival,
            Who::Lru | Who::Optimum => Role::Limit,
        },
        values: cells.iter().map(|cell| ratio(replayed, cell, who) * 100.0).collect(),
    };
    // The default policy first: it takes the strongest colour.
    let mut lines: Vec<Line> = first.outcomes.iter().map(|outcome| line(outcome.who)).collect();
    let default = Who::Larder(Policy::default()).name();
    lines.sort_by_key(|line| line.name != default);
    Some(Curves {
        name: replayed.trace.clone(),
        title: format!(
            "{}: {} accesses, {} distinct keys",
            replayed.trace, replayed.accesses, replayed.distinct
        ),
        positions: cells.iter().map(|cell| format!("{:.0}", cell.share.unwrap_or(0.0) * 100.0)).collect(),
        lines,
    })
}

fn print_trace(replayed: &Replayed) {
    println!("\n{}: {} accesses, {} distinct keys\n", replayed.trace, replayed.accesses, replayed.distinct);
    let cells: Vec<&Cell> = replayed.cells.iter().filter(|cell| cell.share.is_some()).collect();
    let Some(first) = cells.first() else {
        println!("(too few keys for any capacity)");
        return;
    };
    let mut lines = vec![vec![String::new()]];
    lines[0].extend(cells.iter().map(|cell| format!("{:.0} %", cell.share.unwrap_or(0.0) * 100.0)));
    for who in first.outcomes.iter().map(|outcome| outcome.who) {
        let mut line = vec![who.name()];
        line.extend(cells.iter().map(|cell| format!("{:.1}", ratio(replayed, cell, who) * 100.0)));
        lines.push(line);
    }
    markdown(&lines);
}

fn find(cell: &Cell, who: Who) -> Option<&super::replay::Outcome> {
    cell.outcomes.iter().find(|outcome| outcome.who == who)
}

/// The share of accesses that hit.
fn ratio(replayed: &Replayed, cell: &Cell, who: Who) -> f64 {
    find(cell, who).map_or(0.0, |outcome| outcome.hits as f64 / replayed.accesses as f64)
}

fn misses(replayed: &Replayed, cell: &Cell, who: Who) -> f64 {
    replayed.accesses as f64 * (1.0 - ratio(replayed, cell, who))
}

/// The fewest misses of any rival; never 0, because a key's first access cannot hit.
fn best_rival(replayed: &Replayed, cell: &Cell) -> f64 {
    let rivals = cell.outcomes.iter().map(|outcome| outcome.who).filter(|who| who.is_rival());
    rivals.map(|who| misses(replayed, cell, who)).fold(f64::INFINITY, f64::min)
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}
