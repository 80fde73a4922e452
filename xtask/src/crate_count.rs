//! How many crates a build compiles: a promise, so it is checked.
//!
//! Counted for Linux on every machine: bindings to other systems come in many crates, and they are not ours to choose.

use std::collections::BTreeSet;

use crate::steps::{Failure, Run};

/// Distinct crates a default build of larder may compile, itself included.
pub(crate) const OF_A_BUILD: usize = 25;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Through one of these comes all that pools of GPU memory need. Who does not ask for them has none.
const OF_GPUS: [&str; 4] = ["larder-wgpu", "larder-cuda", "wgpu", "libloading"];

fn tree(edges: &[&str]) -> Result<String, Failure> {
    let mut args = vec!["tree", "--locked", "--package", "larder", "--prefix", "none", "--target", TARGET];
    args.extend_from_slice(edges);
    Run::cargo(&args).read()
}

/// Fails when a build with all features but those of GPUs has a crate that only these need.
pub(crate) fn check_without_gpus(features: &[String]) -> Result<(), Failure> {
    let others: Vec<&str> =
        features.iter().map(String::as_str).filter(|feature| !feature.starts_with("gpu-")).collect();
    let features = others.join(",");
    let tree = tree(&["-e", "normal,build", "--no-default-features", "--features", &features])?;
    match named(&tree, &OF_GPUS) {
        found if found.is_empty() => Ok(()),
        found => Err(format!("a build without features for GPUs compiles {}", found.join(", "))),
    }
}

/// Which of these crates a tree has.
fn named<'a>(tree: &str, names: &[&'a str]) -> Vec<&'a str> {
    let has = |name: &str| tree.lines().any(|line| line.trim().split(' ').next() == Some(name));
    names.iter().copied().filter(|name| has(name)).collect()
}

/// Fails when the facade's tree with these `edges` holds more than `limit` distinct crates.
pub(crate) fn check(what: &str, edges: &[&str], limit: usize) -> Result<(), Failure> {
    let tree = tree(edges)?;
    let crates = distinct(&tree);
    eprintln!("   {what} compiles {} crates; the limit is {limit}", crates.len());
    if crates.len() > limit {
        let names: Vec<&str> = crates.into_iter().collect();
        return Err(format!("{what} compiles more than {limit} crates:\n    {}", names.join("\n    ")));
    }
    Ok(())
}

/// `name vVERSION` of each line: what follows (a path, `(proc-macro)`, `(*)`) differs between mentions of one crate.
fn distinct(tree: &str) -> BTreeSet<&str> {
    tree.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('['))
        .map(|line| match line.match_indices(' ').nth(1) {
            Some((end, _)) => &line[..end],
            None => line,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{distinct, named};

    #[test]
    fn a_crate_is_known_by_its_whole_name() {
        let tree = "larder v0.1.0 (/somewhere)\nwgpu-types v30.0.0\n  libloading v0.8.0 (*)\n";
        assert_eq!(named(tree, &["wgpu", "libloading", "v0.1.0"]), ["libloading"]);
    }

    #[test]
    fn a_crate_counts_once_however_often_it_is_named() {
        let tree = "larder v0.1.0 (/somewhere)\n\
                    quote v1.0.0\n\
                    macros v0.1.0 (proc-macro) (/elsewhere)\n\
                    \n\
                    [dev-dependencies]\n\
                    quote v1.0.0 (*)\n\
                    quote v2.0.0\n";
        let crates: Vec<&str> = distinct(tree).into_iter().collect();
        assert_eq!(crates, ["larder v0.1.0", "macros v0.1.0", "quote v1.0.0", "quote v2.0.0"]);
    }
}
