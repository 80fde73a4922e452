//! Prints rows as ratios to larder.

use crate::measure::Score;
use crate::workloads::Row;

/// The contestant that everybody is compared with, and that every row has first.
const OURS: &str = "larder";

/// Prints one line for each row: larder's time, then everybody's multiple of it.
pub fn print(rows: &[Row]) {
    let mut names: Vec<&str> = Vec::new();
    for score in rows.iter().flat_map(|row| &row.scores) {
        if score.name != OURS && !names.contains(&score.name) {
            names.push(score.name);
        }
    }
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);

    print!("{:width$}  {:>10}", "", OURS);
    names.iter().for_each(|name| print!("  {name:>11}"));
    println!();
    for row in rows {
        let Some(ours) = find(row, OURS) else { continue };
        print!("{:width$}  {:>7.1} ns", row.name, ours.nanoseconds);
        for name in &names {
            let columns = name.len().max(11);
            match find(row, name) {
                Some(score) => print!("  {:>columns$.2}", score.nanoseconds / ours.nanoseconds),
                None => print!("  {:>columns$}", "-"),
            }
        }
        println!();
        if ours.hit_rate.is_some() {
            print!("{:width$}  {:>10}", "  share of hits", percent(Some(ours)));
            for name in &names {
                let columns = name.len().max(11);
                print!("  {:>columns$}", percent(find(row, name)));
            }
            println!();
        }
    }
}

fn find<'a>(row: &'a Row, name: &str) -> Option<&'a Score> {
    row.scores.iter().find(|score| score.name == name)
}

fn percent(score: Option<&Score>) -> String {
    match score.and_then(|score| score.hit_rate) {
        Some(rate) => format!("{:.2} %", rate * 100.0),
        None => "-".to_owned(),
    }
}
