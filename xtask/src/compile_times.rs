//! `cargo xtask compile-times`: what annotations cost to compile, beside the crate `cached`, in processor time.
//!
//! Two packages of 200 functions that differ in the attribute's crate only, in a folder of the target directory. Both are
//! built in turn, and the best of the rounds counts, because what else the machine does only ever adds. Processor time of
//! all processes together: on an idle machine with many cores a build may take less of a person's time than that.
//!
//! It is not a test: the figures are a machine's. The limits are printed beside them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::crate_count;
use crate::steps::{Failure, Run, root};

const FUNCTIONS: usize = 200;
const ROUNDS: usize = 3;
/// A build with all dependencies takes as long as many without.
const COLD_ROUNDS: usize = 2;

/// Who is compared, with its line in the manifest and where its attribute comes from.
const CONTESTANTS: [(&str, &str, &str); 2] = [
    ("larder", "larder = { path = \"ROOT\" }", "larder::cached"),
    ("cached", "cached = \"4.1\"", "cached::macros::cached"),
];

/// What is compared: its name, the command, and how much of what `cached` takes is ours to take.
const BUILDS: [(&str, &[&str], f64); 3] = [
    ("check", &["check"], 1.25),
    ("dev build", &["build"], 1.25),
    ("release build", &["build", "--release"], 1.0),
];

/// A dev build with all dependencies.
const COLD: f64 = 0.6;

/// Prints both tables.
pub(crate) fn run() -> Result<(), Failure> {
    let packages: Vec<PathBuf> = CONTESTANTS.iter().map(write_package).collect::<Result<_, _>>()?;
    let cold = best_of(COLD_ROUNDS, &packages, |package| {
        remove_target(package)?;
        build(package, &["build"])
    })?;
    let mut rows = vec![("cold dev build, dependencies included", cold, COLD)];
    for (name, args, limit) in BUILDS {
        // Dependencies first, once.
        each(&packages, |package| build(package, args))?;
        let best = best_of(ROUNDS, &packages, |package| {
            touch(package)?;
            build(package, args)
        })?;
        rows.push((name, best, limit));
    }
    println!(
        "\n{FUNCTIONS} functions `(u64, u32, String) -> u64`, seconds of processor time, best of {ROUNDS}, of {COLD_ROUNDS} for the cold one\n"
    );
    println!("{:<40} {:>8} {:>8} {:>8} {:>8}", "", "larder", "cached", "ratio", "limit");
    for (name, [ours, theirs], limit) in rows {
        println!("{name:<40} {ours:>8.2} {theirs:>8.2} {:>8.2} {limit:>8.2}", ours / theirs);
    }
    println!();
    crate_count::check("a default build", &["-e", "normal,build"], crate_count::OF_A_BUILD)
}

fn best_of(
    rounds: usize,
    packages: &[PathBuf],
    mut measure: impl FnMut(&Path) -> Result<f64, Failure>,
) -> Result<[f64; 2], Failure> {
    let mut best = [f64::INFINITY; 2];
    for _ in 0..rounds {
        let round = each(packages, &mut measure)?;
        best = std::array::from_fn(|idx| best[idx].min(round[idx]));
    }
    Ok(best)
}

fn each(
    packages: &[PathBuf],
    mut measure: impl FnMut(&Path) -> Result<f64, Failure>,
) -> Result<[f64; 2], Failure> {
    let [ours, theirs] = packages else { return Err("two packages are compared".to_owned()) };
    Ok([measure(ours)?, measure(theirs)?])
}

/// Writes a package whose functions all differ, so that none is folded into another.
fn write_package(
    (name, dependency, attribute): &(&'static str, &'static str, &'static str),
) -> Result<PathBuf, Failure> {
    let package = root().join("target/compile-times").join(name);
    let fail = |error: std::io::Error| format!("{}: {error}", package.display());
    fs::create_dir_all(package.join("src")).map_err(fail)?;
    let dependency = dependency.replace("ROOT", &root().display().to_string());
    let manifest = format!(
        "[package]\nname = \"functions-of-{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\n{dependency}\n"
    );
    write_if_new(&package.join("Cargo.toml"), &manifest).map_err(fail)?;
    let mut source = format!("//! {FUNCTIONS} functions.\n\nuse {attribute};\n");
    for idx in 0..FUNCTIONS {
        let _ = write!(
            source,
            "\n/// One of them.\n#[cached]\npub fn function_{idx}(a: u64, b: u32, c: String) -> u64 {{\n    \
             a + u64::from(b) + c.len() as u64 + {idx}\n}}\n"
        );
    }
    fs::write(package.join("src/lib.rs"), source).map_err(fail)?;
    Ok(package)
}

/// A manifest that is as it was keeps its lock file and what was built.
fn write_if_new(path: &Path, text: &str) -> std::io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) { Ok(()) } else { fs::write(path, text) }
}

fn remove_target(package: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(package.join("target")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", package.display()))
        }
        _ => Ok(()),
    }
}

fn touch(package: &Path) -> Result<(), Failure> {
    let source = package.join("src/lib.rs");
    let text = fs::read_to_string(&source).map_err(|error| format!("{}: {error}", source.display()))?;
    fs::write(&source, text + "\n").map_err(|error| format!("{}: {error}", source.display()))
}

/// Builds, and returns the seconds of processor time that it took.
fn build(package: &Path, args: &[&str]) -> Result<f64, Failure> {
    let (manifest, target) = (package.join("Cargo.toml"), package.join("target"));
    let (manifest, target) = (manifest.display().to_string(), target.display().to_string());
    let mut all = args.to_vec();
    all.extend(["--quiet", "--manifest-path", &manifest, "--target-dir", &target]);
    let before = children_seconds()?;
    // A build that was begun before must not help.
    Run::cargo(&all).env("CARGO_INCREMENTAL", "0").check()?;
    Ok(children_seconds()? - before)
}

/// Processor time of all children that have ended, theirs included, as Linux tells it.
fn children_seconds() -> Result<f64, Failure> {
    let stat = fs::read_to_string("/proc/self/stat")
        .map_err(|error| format!("processor time is read from /proc/self/stat, which Linux has: {error}"))?;
    // The second field is a name in parentheses, which may hold spaces.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    // Fields 16 and 17 of the whole line, in hundredths of a second on every Linux that has this file.
    match (ticks(13), ticks(14)) {
        (Some(user), Some(system)) => Ok((user + system) / 100.0),
        _ => Err("/proc/self/stat has another form here".to_owned()),
    }
}
