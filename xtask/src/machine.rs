//! What the steps need of the machine, beyond the Rust that runs us.
//!
//! `cargo xtask test` needs rustfmt and clippy, which rustup adds, and no system package: whoever could build this program
//! has a linker. With a Vulkan driver it also runs what needs one; where it may, it installs one in software. Sanitizers need
//! a package to put names on addresses.

use crate::steps::{Failure, Run};

/// Makes sure cargo's `components` can run, and adds them through rustup where it manages the toolchain.
pub(crate) fn need_components(components: &[&str]) -> Result<(), Failure> {
    for component in components {
        let subcommand = if *component == "rustfmt" { "fmt" } else { component };
        if Run::cargo(&[subcommand, "--version"]).succeeds_quietly() {
            continue;
        }
        eprintln!("   {component} is missing");
        Run::program("rustup", &["component", "add", component]).check().map_err(|failure| {
            format!("{component} is missing and could not be added; install it beside cargo ({failure})")
        })?;
    }
    Ok(())
}

/// Whether rustup has a toolchain of this name.
pub(crate) fn has_toolchain(name: &str) -> bool {
    Run::program("rustup", &["run", name, "rustc", "--version"]).succeeds_quietly()
}

/// The triple this machine's programs are built for.
pub(crate) fn host() -> Result<String, Failure> {
    let text = Run::program("rustc", &["-vV"]).read()?;
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| "`rustc -vV` names no host".to_owned())
}

/// A program of the system, and the Debian packages that bring it.
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    pub(crate) packages: &'static [&'static str],
    pub(crate) needed_for: &'static str,
}

/// Installs what is missing of `tools` with apt-get, on Linux and as root; elsewhere says what to install.
///
/// Never a failure: a tool only makes results better to read. A step that cannot do without must check for itself.
pub(crate) fn ensure_packages(tools: &[Tool]) {
    for tool in tools {
        if Run::program(tool.program, &["--version"]).succeeds_quietly() {
            continue;
        }
        install(tool.program, tool.packages, tool.needed_for);
    }
}

/// The loader that finds drivers of Vulkan, and one that needs no GPU.
const VULKAN: [&str; 2] = ["mesa-vulkan-drivers", "libvulkan1"];

/// Where drivers of Vulkan say that they are there.
const DRIVERS: [&str; 2] = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];

/// Installs a Vulkan driver in software where there is none, on Linux and as root. Without one its tests say that they were skipped.
pub(crate) fn ensure_vulkan() {
    let is_there = |folder: &&str| std::fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some());
    if cfg!(target_os = "linux") && !DRIVERS.iter().any(is_there) {
        install("a Vulkan driver", &VULKAN, "tests of GPU buffers");
    }
}

/// Installs packages with apt-get where that is possible, and says what is missing where it is not.
fn install(what: &str, packages: &[&str], needed_for: &str) {
    if !can_install() {
        eprintln!("   {what} is missing ({needed_for}); install {}", packages.join(" "));
        return;
    }
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend_from_slice(packages);
    let installed = Run::program("apt-get", &["update", "--quiet"])
        .check()
        .and_then(|()| Run::program("apt-get", &install).env("DEBIAN_FRONTEND", "noninteractive").check());
    if let Err(failure) = installed {
        eprintln!("   {what} stays missing ({needed_for}): {failure}");
    }
}

fn can_install() -> bool {
    cfg!(target_os = "linux")
        && Run::program("id", &["-u"]).read().is_ok_and(|id| id.trim() == "0")
        && Run::program("apt-get", &["--version"]).succeeds_quietly()
}
