//! The README's example, run as the README runs it, on a directory small enough to know the answer.
//!
//! What it prints is compared where it is a promise: the pairs, whatever the threads and the budget; the statement that
//! caches changed nothing; an error and status 2, never a panic, for what makes no sense.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::steps::{Failure, Run};

pub(crate) fn check() -> Result<(), Failure> {
    // Compiled with its progress on the screen; later calls find it done.
    Run::cargo(&["build", "--locked", "--release", "--example", "near_duplicates"]).check()?;

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
    let mut line = vec!["run", "--quiet", "--locked", "--release", "--example", "near_duplicates", "--"];
    line.extend_from_slice(args);
    Run::cargo(&line).output()
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
