//! The project's own commands, run as `cargo xtask COMMAND`.
//!
//! This is a list of steps and nothing clever: every step is a command that a person could type, printed before it
//! runs. It is not a build system, and nothing here is needed to use larder.

mod compile_times;
mod crate_count;
mod deep;
mod example;
mod features;
mod glibc;
mod gpu;
mod machine;
mod rivals;
mod steps;
mod test;

use std::process::ExitCode;

const HELP: &str = "\
The project's own commands.

    cargo xtask test             what CI runs: format, clippy, docs, tests, each feature, the examples, crate counts
    cargo xtask deep             the long forms: longer tests and models, sanitizers (nightly), rust-version
    cargo xtask deep STEPS..     some of them: tests, models, allocators, address, thread, fuzz, lowest-rust, deny,
                                 measuring; and rivals, every table that compares larder with its peers
    cargo xtask rivals ARGS..    those tables; `cargo xtask rivals --help` says what can be chosen, and `rivals tiers --help`
                                 what of those of tiers
    cargo xtask gpu-check        builds one program that checks and measures pools of GPU memory, on any machine, and starts it
    cargo xtask compile-times    what 200 annotations take to compile, beside `cached` (Linux); and the crate count
    cargo xtask help             this text

All stop at the first step that fails, and print the command that failed.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args[..] {
        ["test"] => test::run(),
        ["deep", ref steps @ ..] => deep::run(steps),
        ["rivals", ref rest @ ..] => rivals::run(rest),
        ["gpu-check", ref rest @ ..] => gpu::check(rest),
        ["compile-times"] => compile_times::run(),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("error: {}\n\n{HELP}", complaint(&args));
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nerror: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn complaint(args: &[&str]) -> String {
    match args {
        [] => "a command is missing".to_owned(),
        args => format!("`cargo xtask {}` is not a command", args.join(" ")),
    }
}
