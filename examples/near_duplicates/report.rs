//! What the search prints: results first, then what they cost.

use std::io::{self, Write};
use std::time::Duration;

use crate::args::Options;
use crate::claim::Verdict;
use crate::corpus::{Corpus, Skipped, shown};
use crate::search::{FileIdx, Found, Pair};

/// Pairs, sets of copies, clusters, and what was passed over.
pub(crate) fn results(
    out: &mut impl Write,
    corpus: &Corpus,
    found: &Found,
    options: &Options,
) -> io::Result<()> {
    let path = |file: FileIdx| shown(&corpus.files[file as usize]);
    let pairs = found.pairs();
    writeln!(
        out,
        "{}: {} at least {} alike, {}",
        count(found.texts, "text file"),
        count(pairs.len(), "pair"),
        options.threshold,
        count(found.copies.len(), "set of copies"),
    )?;

    if !pairs.is_empty() {
        writeln!(out, "\nPairs, the most similar first")?;
        for pair in pairs.iter().take(options.limit) {
            // Rounding must not make a near duplicate look like a copy.
            let similarity = (pair.similarity * 1000.0).floor() / 1000.0;
            writeln!(out, "  {similarity:.3}  {}\n         {}", path(pair.left), path(pair.right))?;
        }
        more(out, pairs.len(), options)?;
    }

    if !found.copies.is_empty() {
        let mut copies: Vec<&Vec<FileIdx>> = found.copies.iter().collect();
        copies.sort_by_key(|same| std::cmp::Reverse(same.len()));
        writeln!(out, "\nCopies, the largest sets first (compared once, by the file named)")?;
        for same in copies.iter().take(options.limit) {
            writeln!(out, "  {:>5} x  {}", same.len(), path(same[0]))?;
        }
        more(out, copies.len(), options)?;
    }

    // A cluster of two is a pair, which is listed already.
    let clusters: Vec<Cluster> =
        clusters(&pairs, corpus.files.len()).into_iter().filter(|cluster| cluster.files > 2).collect();
    if !clusters.is_empty() {
        writeln!(out, "\nClusters: files linked by pairs, the largest first")?;
        for cluster in clusters.iter().take(options.limit) {
            writeln!(
                out,
                "  {:>5} files, {} of them close to {}",
                cluster.files,
                cluster.close,
                path(cluster.centre)
            )?;
        }
        more(out, clusters.len(), options)?;
    }

    passed_over(out, &[&corpus.passed_over, &found.skipped])
}

/// Time and memory of the search.
pub(crate) fn effort(
    out: &mut impl Write,
    found: &Found,
    options: &Options,
    took: Duration,
) -> io::Result<()> {
    write!(out, "\nSearched in {:.2} s on {}", took.as_secs_f64(), count(options.threads, "thread"))?;
    if options.caches {
        let peak = found.peak_bytes as f64 / (1 << 20) as f64;
        writeln!(out, ". The budget held at most {peak:.1} of {} MB.", options.budget_mb)
    } else {
        writeln!(out, ", with every cache and pool switched off.")
    }
}

/// How the repetition without caches compares with the search, which took `with`.
pub(crate) fn verdict(out: &mut impl Write, verdict: &Verdict, with: Duration) -> io::Result<()> {
    let Verdict { took, units_done, units, difference } = verdict;
    let (took, with) = (took.as_secs_f64(), with.as_secs_f64());
    if let Some(difference) = difference {
        writeln!(out, "DIFFERENT without caches, or a file changed meanwhile: {difference}")
    } else if units_done == units {
        let ratio = took / with.max(1e-6);
        writeln!(
            out,
            "Same answer without caches: {took:.2} s, against {with:.2} s with them ({ratio:.1} x)."
        )
    } else {
        let percent = *units_done as f64 * 100.0 / (*units).max(1) as f64;
        writeln!(
            out,
            "Same answer without caches as far as it came: {percent:.1} % of the comparisons in {took:.2} s, \
             against all in {with:.2} s with them."
        )
    }
}

fn passed_over(out: &mut impl Write, skipped: &[&Skipped]) -> io::Result<()> {
    let mut lines = skipped.iter().flat_map(|skipped| skipped.iter()).peekable();
    if lines.peek().is_some() {
        writeln!(out, "\nPassed over")?;
    }
    for (reason, count, example) in lines {
        writeln!(out, "  {count:>5}  {reason}, such as {example}")?;
    }
    Ok(())
}

fn more(out: &mut impl Write, all: usize, options: &Options) -> io::Result<()> {
    match all.saturating_sub(options.limit) {
        0 => Ok(()),
        hidden => writeln!(out, "  and {hidden} more (--limit 0 shows all)"),
    }
}

/// `1 pair`, `3 pairs`, `2 sets of copies`.
fn count(number: usize, what: &str) -> String {
    if number == 1 {
        return format!("1 {what}");
    }
    match what.split_once(' ') {
        Some((first, "of copies")) => format!("{number} {first}s of copies"),
        _ => format!("{number} {what}s"),
    }
}

/// Files linked by near duplicates, directly or by way of others.
struct Cluster {
    files: usize,
    /// The file with the most near duplicates, the first by path among equals.
    centre: FileIdx,
    /// How many files of the cluster are near duplicates of the centre.
    close: usize,
}

/// Groups the files that `pairs` link, the largest group first.
fn clusters(pairs: &[Pair], files: usize) -> Vec<Cluster> {
    // Union by the smaller index: each file points at one of its own cluster, roots at themselves.
    let mut parent: Vec<usize> = (0..files).collect();
    let mut degree = vec![0_usize; files];
    fn root(parent: &mut [usize], mut file: usize) -> usize {
        while parent[file] != file {
            parent[file] = parent[parent[file]];
            file = parent[file];
        }
        file
    }
    for pair in pairs {
        let (left, right) = (pair.left as usize, pair.right as usize);
        degree[left] += 1;
        degree[right] += 1;
        let (a, b) = (root(&mut parent, left), root(&mut parent, right));
        parent[a.max(b)] = a.min(b);
    }
    let mut linked: Vec<(usize, usize)> =
        (0..files).filter(|&file| degree[file] > 0).map(|file| (root(&mut parent, file), file)).collect();
    linked.sort_unstable();
    let mut clusters: Vec<Cluster> = linked
        .chunk_by(|a, b| a.0 == b.0)
        .map(|members| {
            let most = members.iter().map(|(_, file)| degree[*file]).max().unwrap_or(0);
            let centre = members.iter().find(|(_, file)| degree[*file] == most).map_or(0, |(_, file)| *file);
            Cluster { files: members.len(), centre: centre as FileIdx, close: most }
        })
        .collect();
    clusters.sort_by_key(|cluster| (std::cmp::Reverse(cluster.files), cluster.centre));
    clusters
}

#[cfg(test)]
mod tests {
    use super::{clusters, count};
    use crate::search::Pair;

    #[test]
    fn linked_files_form_one_cluster_around_the_best_connected() {
        let pair = |left, right| Pair { left, right, similarity: 0.9 };
        let clusters = clusters(&[pair(5, 6), pair(1, 3), pair(3, 4), pair(2, 3)], 8);
        let seen: Vec<_> = clusters.iter().map(|c| (c.files, c.centre, c.close)).collect();
        assert_eq!(seen, [(4, 3, 3), (2, 5, 1)]);
    }

    #[test]
    fn numbers_agree_with_their_nouns() {
        assert_eq!(count(1, "set of copies"), "1 set of copies");
        assert_eq!(count(2, "set of copies"), "2 sets of copies");
        assert_eq!(count(0, "text file"), "0 text files");
    }
}
