//! Tables of time, as Markdown: one line for each contestant, one column for each form of the workload.

use crate::contestants::Kind;
use crate::measure::Score;

/// Workloads that share a table.
pub struct Group {
    /// What the command line calls it.
    pub name: &'static str,
    pub title: String,
    pub unit: Unit,
    pub columns: Vec<Column>,
}

/// One workload, and how everybody did.
pub struct Column {
    pub title: String,
    pub threads: usize,
    pub scores: Vec<Score>,
}

/// How a time is shown.
#[derive(Clone, Copy)]
pub enum Unit {
    Nanoseconds,
    MillionsASecond,
}

impl Unit {
    fn words(self) -> &'static str {
        match self {
            Self::Nanoseconds => "nanoseconds an operation",
            Self::MillionsASecond => "millions of operations a second, all threads together",
        }
    }

    /// A time of an operation in this unit.
    pub fn of(self, nanoseconds: f64) -> f64 {
        match self {
            Self::Nanoseconds => nanoseconds,
            Self::MillionsASecond => 1e3 / nanoseconds,
        }
    }
}

/// Prints a group: figures, then the multiple of larder's time in brackets, above 1 where larder is faster.
pub fn print(group: &Group) {
    println!("\n### {}\n", group.title);
    println!("In {}; in brackets the time as a multiple of larder's.\n", group.unit.words());

    let has_allocations =
        group.columns.iter().flat_map(|column| &column.scores).any(|s| s.allocations.is_some());
    let mut lines = vec![vec![String::new()]];
    for column in &group.columns {
        lines[0].push(column.title.clone());
        if column.scores.iter().any(|score| score.hit_rate.is_some()) {
            lines[0].push("hits".to_owned());
        }
    }
    if has_allocations {
        lines[0].push("allocations a hit".to_owned());
    }
    for (at, first) in group.columns[0].scores.iter().enumerate() {
        let mark = if first.kind == Kind::Limit { " (limit)" } else { "" };
        let mut line = vec![format!("{}{mark}", first.name)];
        for column in &group.columns {
            let score = &column.scores[at];
            let figure = group.unit.of(score.nanoseconds);
            line.push(match score.kind {
                Kind::Ours => format!("**{figure:.1}**"),
                Kind::Rival | Kind::Beside | Kind::Limit => format!("{figure:.1} ({:.2})", score.ratio),
            });
            if let Some(rate) = score.hit_rate {
                line.push(format!("{:.2} %", rate * 100.0));
            }
        }
        if let Some(allocations) = first.allocations {
            line.push(format!("{allocations:.2}"));
        }
        lines.push(line);
    }
    markdown(&lines);
    println!();
    group.columns.iter().for_each(print_verdict);
    print_beside(group);
    print_scaling(group);
}

/// larder against whoever of the rivals is fastest.
fn print_verdict(column: &Column) {
    let rivals = column.scores.iter().filter(|score| score.kind == Kind::Rival);
    let Some(best) = rivals.min_by(|a, b| a.ratio.total_cmp(&b.ratio)) else { return };
    println!(
        "- {}: larder takes {:.2} x the time of {}, the fastest rival; its throughput is {:.2} x.",
        column.title,
        1.0 / best.ratio,
        best.name,
        best.ratio
    );
}

/// How far apart the ways into larder are.
fn print_beside(group: &Group) {
    for column in &group.columns {
        let Some(ours) = column.scores.iter().find(|score| score.kind == Kind::Ours) else { continue };
        for other in column.scores.iter().filter(|score| score.kind == Kind::Beside) {
            let difference = other.nanoseconds - ours.nanoseconds;
            println!("- {}: {} takes {difference:+.1} ns against {}.", column.title, other.name, ours.name);
        }
    }
}

/// How throughput grows with threads: larder's, and that of a limit that shares nothing, which is all that the machine
/// had to give while it was measured.
fn print_scaling(group: &Group) {
    let Some(first) = group.columns.first().filter(|column| column.threads == 1) else { return };
    for column in group.columns.iter().filter(|column| column.threads > 1) {
        let growth = |kind: Kind| {
            // Of the limits the last: the one without a lock.
            let at = first.scores.iter().rposition(|score| score.kind == kind)?;
            let (alone, together) = (&first.scores[at], &column.scores[at]);
            Some((alone.name, alone.nanoseconds / together.nanoseconds))
        };
        let Some((ours, times)) = growth(Kind::Ours) else { continue };
        print!("- {} threads: {ours} does {times:.2} x what it does on one", column.threads);
        match growth(Kind::Limit) {
            Some((limit, times)) => println!("; {limit} {times:.2} x."),
            None => println!("."),
        }
    }
}

/// Prints lines of cells, the first as the header; all columns but the first stand to the right.
pub fn markdown(lines: &[Vec<String>]) {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|at| {
            lines
                .iter()
                .filter_map(|line| line.get(at))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
                .max(3)
        })
        .collect();
    for (number, line) in lines.iter().enumerate() {
        for (at, width) in widths.iter().enumerate() {
            let cell = line.get(at).map_or("", String::as_str);
            if at == 0 { print!("| {cell:width$} |") } else { print!(" {cell:>width$} |") }
        }
        println!();
        if number == 0 {
            for (at, width) in widths.iter().enumerate() {
                if at == 0 { print!("|{:-<1$}|", "", width + 2) } else { print!("{:-<1$}:|", "", width + 1) }
            }
            println!();
        }
    }
}
