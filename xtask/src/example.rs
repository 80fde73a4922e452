//! The examples, run as people run them, on what is small enough to know the answer.
//!
//! Those of the pools check their own results, and end with a panic where one is wrong; here it is seen that they say so, and
//! that what they say is right. What the README's example prints is compared where it is a promise: the pairs, whatever the threads and the budget; the statement that
//! caches changed nothing; an error and status 2, never a panic, for what makes no sense.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::steps::{Failure, Run};

pub(crate) fn check() -> Result<(), Failure> {
    // Compiled with their progress on the screen; later calls find it done.
    Run::cargo(&["build", "--locked", "--release", "--examples"]).check()?;
    near_duplicates()?;
    parser_service()?;
    file_hasher()?;
    gpu_similarity()
}

/// Each compares what a device finds with what the processor finds; one that has nothing to compute on says so.
fn gpu_similarity() -> Result<(), Failure> {
    let package = ["run", "--quiet", "--locked", "--release", "--package", "gpu_similarity", "--bin"];
    for name in ["gpu_similarity", "gpu_similarity_cuda"] {
        let output = Run::cargo(&[&package[..], &[name]].concat()).output()?;
        if output.status.code() == Some(3) {
            let err = text(&output.stderr);
            need(err.contains("nothing to compute on: "), &format!("`{name}` does not say why:\n{err}"))?;
            eprint!("   {name}: {err}");
            continue;
        }
        let out = succeeded(name, &output)?;
        for says in ["128 questions were asked, 32 went to the device", "the processor finds the same"] {
            need(out.contains(says), &format!("`{name}` does not say `{says}`:\n{out}"))?;
        }
    }
    Ok(())
}

/// A service and its clients, who know the answers.
fn parser_service() -> Result<(), Failure> {
    let (clients, requests) = (4, 2000);
    let output = example("parser_service", &[&clients.to_string(), &requests.to_string()])?;
    let out = succeeded("parser_service", &output)?;
    let all = format!("{} requests, all answered right", clients * requests);
    need(out.starts_with(&all), &format!("the service does not say `{all}`:\n{out}"))?;
    // A client has one parser at a time.
    let made = out.lines().find_map(|line| line.split_once(" parsers made")).map(|(made, _)| made);
    let few = made.and_then(|made| made.parse().ok()).is_some_and(|made: u32| (1..=clients).contains(&made));
    need(few, &format!("the pool did not keep its parsers:\n{out}"))?;
    for args in [&["0"][..], &["many"], &["1", "1", "1"]] {
        let output = example("parser_service", args)?;
        need(output.status.code() == Some(2), &format!("`parser_service {}` is accepted", args.join(" ")))?;
    }
    Ok(())
}

/// Files whose hashes are known, one of them longer than what is read at a time.
fn file_hasher() -> Result<(), Failure> {
    let corpus = Corpus::write()?;
    let long = "larder".repeat(200_000);
    fs::write(corpus.root.join("long.txt"), &long)
        .map_err(|error| format!("cannot write a long file: {error}"))?;
    let output = example("file_hasher", &[&corpus.path("")])?;
    let out = succeeded("file_hasher", &output)?;
    // FNV-1a of 64 bits: of nothing its starting value, of `a` as its authors list it.
    need(fnv(b"a") == 0xaf63_dc4c_8601_ec8c, "the check itself hashes wrong")?;
    for (name, bytes) in [("nothing.txt", &b""[..]), ("long.txt", long.as_bytes())] {
        let line = format!("{:016x}  {:>12}  {}", fnv(bytes), bytes.len(), corpus.path(name));
        need(out.contains(&line), &format!("no line `{line}` in:\n{out}"))?;
    }
    need(out.contains("buffers were filled; "), &format!("nothing is said of the buffers:\n{out}"))?;
    let nowhere = example("file_hasher", &[&corpus.path("nowhere")])?;
    need(nowhere.status.code() == Some(2), "`file_hasher nowhere` is accepted")
}

fn fnv(bytes: &[u8]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325;
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn near_duplicates() -> Result<(), Failure> {
    let corpus = Corpus::write()?;
    let whole = corpus.path("");
    let expected = results_of(&search(&["--budget-mb", "16", &whole])?)?;
    for says in
        ["near-a.txt", "near-b.txt", "1 set of copies", "binary", "not UTF-8", "shorter than five words"]
    {
        need(expected.contains(says), &format!("the results do not mention `{says}`:\n{expected}"))?;
    }
    need(!expected.contains("other.txt"), &format!("a file unlike any other is listed:\n{expected}"))?;
    for args in [["--threads", "1"], ["--threads", "7"], ["--budget-mb", "1"], ["--budget-mb", "4096"]] {
        let [flag, value] = args;
        let results = results_of(&search(&[flag, value, &whole])?)?;
        need(results == expected, &format!("`{flag} {value}` changes the results to:\n{results}"))?;
    }
    let switched_off = results_of(&search(&["--no-cache", &whole])?)?;
    need(switched_off == expected, &format!("`--no-cache` changes the results to:\n{switched_off}"))?;

    let empty = text(&search(&[&corpus.path("empty")])?.stdout);
    need(empty.starts_with("0 text files"), &format!("an empty directory gives:\n{empty}"))?;

    let nowhere = corpus.path("nowhere");
    for args in [
        ["--budget-mb", "0"],
        ["--budget-mb", "-3"],
        ["--budget-mb", "plenty"],
        ["--threads", "0"],
        ["--threshold", "2"],
        ["--no-check", &nowhere],
    ] {
        refused(&args)?;
    }
    Ok(())
}

fn search(args: &[&str]) -> Result<Output, Failure> {
    example("near_duplicates", args)
}

fn example(name: &str, args: &[&str]) -> Result<Output, Failure> {
    let mut line = vec!["run", "--quiet", "--locked", "--release", "--example", name, "--"];
    line.extend_from_slice(args);
    Run::cargo(&line).output()
}

/// What it printed, if it ended well.
fn succeeded(name: &str, output: &Output) -> Result<String, Failure> {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    need(output.status.success(), &format!("`{name}` ended with {}:\n{out}{err}", output.status))?;
    Ok(out)
}

/// The results alone, without times and tables; also checks the statements that stand beside them.
fn results_of(output: &Output) -> Result<String, Failure> {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    need(output.status.success(), &format!("the example ended with {}:\n{out}{err}", output.status))?;
    let (results, rest) =
        out.split_once("\nSearched in ").ok_or_else(|| format!("no line `Searched in`:\n{out}"))?;
    let claimed = rest.contains("Same answer without caches: ")
        || rest.contains("with every cache and pool switched off");
    need(claimed, &format!("the example does not say that caches change nothing:\n{rest}"))?;
    Ok(results.to_owned())
}

fn refused(args: &[&str]) -> Result<(), Failure> {
    let output = search(args)?;
    let err = text(&output.stderr);
    let clear = output.status.code() == Some(2) && err.starts_with("error: ") && !err.contains("panicked");
    need(clear, &format!("`{}` ended with {} and:\n{err}", args.join(" "), output.status))
}

fn need(holds: bool, complaint: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(complaint.to_owned()) }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A directory with one near-duplicate pair, one set of copies, and files that must be passed over.
struct Corpus {
    root: PathBuf,
}

impl Corpus {
    fn write() -> Result<Self, Failure> {
        let root = std::env::temp_dir().join(format!("larder-xtask-{}", std::process::id()));
        let corpus = Self { root };
        corpus.fill().map_err(|error| format!("cannot write {}: {error}", corpus.root.display()))?;
        Ok(corpus)
    }

    fn fill(&self) -> std::io::Result<()> {
        let prose = |seed: usize| {
            (0..400).fold(String::new(), |mut text, at| {
                // Numbers are words too; the factor keeps different seeds apart.
                let _ = write!(text, "word{} ", (seed + 1) * 10_007 + at);
                text
            })
        };
        let near = prose(0).replace("word10107 ", "changed ");
        fs::create_dir_all(self.root.join("empty"))?;
        fs::create_dir_all(self.root.join("below"))?;
        let write = |name: &str, contents: &[u8]| fs::write(self.root.join(name), contents);
        write("near-a.txt", prose(0).as_bytes())?;
        write("below/near-b.txt", near.as_bytes())?;
        write("copy-a.txt", prose(1).as_bytes())?;
        write("below/copy-b.txt", prose(1).as_bytes())?;
        write("other.txt", prose(2).as_bytes())?;
        write("short.txt", b"too short to compare")?;
        write("nothing.txt", b"")?;
        write("binary.bin", b"one two three four five six\0seven")?;
        write("latin1.txt", b"one two three four five six \xe9\xe8 seven")?;
        write("closed.txt", b"not for everybody")?;
        close(&self.root.join("closed.txt"))?;
        link(Path::new(".."), &self.root.join("below").join("loop"))
    }

    fn path(&self, below: &str) -> String {
        self.root.join(below).display().to_string()
    }
}

impl Drop for Corpus {
    fn drop(&mut self) {
        // What stays behind lies in the system's temporary directory; nothing to report.
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Takes all permissions away. The superuser reads the file all the same, and finds it too short.
#[cfg(unix)]
fn close(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o000))
}

#[cfg(not(unix))]
fn close(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn link(to: &Path, at: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(to, at)
}

#[cfg(not(unix))]
fn link(_to: &Path, _at: &Path) -> std::io::Result<()> {
    // Links need a privilege elsewhere; the check goes without one.
    Ok(())
}
