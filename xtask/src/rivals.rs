//! `cargo xtask rivals`: the tables that compare larder with its peers, from the package that depends on them.
//!
//! It only builds and starts those packages: what is measured, and how, is there. That of tiers is one of its own, because
//! its peers bring an async runtime and stores on disks, and because larder is built with more features there.

use crate::steps::{Failure, Run};

const MANIFEST: &str = "benches/rivals/Cargo.toml";
const TIERS: &str = "benches/tiers/Cargo.toml";

/// Prints the tables that `arguments` choose, all of them if there are none; `tiers`, and what follows, are those of tiers.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Failure> {
    if let ["tiers", rest @ ..] = arguments {
        return start(TIERS, rest);
    }
    start(MANIFEST, arguments)?;
    if arguments.is_empty() { start(TIERS, &[]) } else { Ok(()) }
}

fn start(manifest: &'static str, arguments: &[&str]) -> Result<(), Failure> {
    let mut args = cargo("run", manifest);
    args.push("--");
    args.extend_from_slice(arguments);
    Run::cargo(&args).check()
}

/// Its own tests: the reader of traces, and the reference policies that the others are measured by; then the pages for
/// users of other crates, with the code of those crates, too.
pub(crate) fn test() -> Result<(), Failure> {
    let mut own = cargo("test", MANIFEST);
    own.extend(["--bins"]);
    Run::cargo(&own).check()?;
    let mut pages = cargo("test", MANIFEST);
    pages.extend(["--doc", "--", "--include-ignored"]);
    Run::cargo(&pages).check()
}

fn cargo(action: &'static str, manifest: &'static str) -> Vec<&'static str> {
    // Not `--locked`: that lock file pins the peers, and a new dependency of larder's own may join it.
    vec![action, "--release", "--manifest-path", manifest]
}
