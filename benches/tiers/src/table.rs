//! Lines of cells as Markdown.

/// Prints lines of cells, the first as the header; all columns but the first stand to the right.
pub fn markdown(lines: &[Vec<String>]) {
    let columns = lines.first().map_or(0, Vec::len);
    let width =
        |at: usize| lines.iter().filter_map(|line| line.get(at)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|at| width(at).unwrap_or(0).max(3)).collect();
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

/// A line of cells.
pub fn line<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// Whether a bar holds, as a cell.
pub fn verdict(holds: bool) -> String {
    if holds { "yes" } else { "NO" }.to_owned()
}
