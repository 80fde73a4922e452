//! Steps with a name and a time, and the commands they run.
//!
//! A step that fails ends the run: later steps would only bury the first error.

use std::fmt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// What went wrong, as a sentence for the last line of the output.
pub(crate) type Failure = String;

/// How a step that did not fail ended.
pub(crate) enum Ending {
    /// The step did its work.
    Passed,
    /// The step could not run here; the text says why.
    Skipped(String),
}

/// The steps run so far.
pub(crate) struct Steps {
    title: &'static str,
    started: Instant,
    finished: Vec<Finished>,
}

struct Finished {
    name: String,
    took: Duration,
    ending: Ending,
}

impl Steps {
    pub(crate) fn new(title: &'static str) -> Self {
        Self { title, started: Instant::now(), finished: Vec::new() }
    }

    /// Runs one step that always can run.
    pub(crate) fn step(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.step_or_skip(name, || work().map(|()| Ending::Passed))
    }

    /// Runs one step that some machines cannot run.
    pub(crate) fn step_or_skip(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Result<Ending, Failure>,
    ) -> Result<(), Failure> {
        eprintln!("\n== {name}");
        let started = Instant::now();
        let ending = work().map_err(|failure| format!("step `{name}`: {failure}"))?;
        let took = started.elapsed();
        match &ending {
            Ending::Passed => eprintln!("== {name}: {}", Seconds(took)),
            Ending::Skipped(reason) => eprintln!("== {name}: skipped, {reason}"),
        }
        self.finished.push(Finished { name: name.to_owned(), took, ending });
        Ok(())
    }

    /// Prints where the time went, and the line that says all is well.
    pub(crate) fn summary(self) {
        println!("\n{} steps:", self.title);
        let mut skipped = 0;
        for Finished { name, took, ending } in &self.finished {
            match ending {
                Ending::Passed => println!("    {:>8}  {name}", Seconds(*took).to_string()),
                Ending::Skipped(reason) => {
                    skipped += 1;
                    println!("    {:>8}  {name} ({reason})", "skipped");
                }
            }
        }
        let passed = self.finished.len() - skipped;
        println!(
            "\nxtask result: ok. {passed} steps passed; 0 failed; {skipped} skipped; finished in {}",
            Seconds(self.started.elapsed())
        );
    }
}

/// A time as cargo prints it.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}s", self.0.as_secs_f64())
    }
}

/// One command of a step. It is printed before it runs, as it could be typed.
pub(crate) struct Run {
    command: Command,
    line: String,
}

impl Run {
    /// The cargo that runs us, at the workspace's root.
    pub(crate) fn cargo(args: &[&str]) -> Self {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(args).current_dir(root());
        Self { command, line: format!("cargo {}", args.join(" ")) }
    }

    /// Cargo of another toolchain, through rustup.
    pub(crate) fn cargo_of(toolchain: &str, args: &[&str]) -> Self {
        let mut command = Command::new("rustup");
        command.args(["run", toolchain, "cargo"]).args(args).current_dir(root());
        // Cargo told its children which compiler it is; another toolchain's cargo must find its own.
        for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
            command.env_remove(name);
        }
        Self { command, line: format!("cargo +{toolchain} {}", args.join(" ")) }
    }

    /// Any other program.
    pub(crate) fn program(name: &str, args: &[&str]) -> Self {
        let mut command = Command::new(name);
        command.args(args).current_dir(root());
        Self { command, line: format!("{name} {}", args.join(" ")) }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self.line = format!("{name}={} {}", quoted(value), self.line);
        self
    }

    /// Runs to the end with our own output streams; anything but success is a failure.
    pub(crate) fn check(mut self) -> Result<(), Failure> {
        eprintln!("   $ {}", self.line);
        let status = self.command.status().map_err(|error| self.not_started(&error))?;
        if status.success() { Ok(()) } else { Err(format!("`{}` ended with {status}", self.line)) }
    }

    /// Runs to the end and hands back everything, whatever the exit status.
    pub(crate) fn output(mut self) -> Result<Output, Failure> {
        eprintln!("   $ {}", self.line);
        self.command.output().map_err(|error| self.not_started(&error))
    }

    /// Standard output of a command that must succeed.
    pub(crate) fn read(self) -> Result<String, Failure> {
        let line = self.line.clone();
        let output = self.output()?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            return Err(format!("`{line}` ended with {}\n{errors}", output.status));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Whether the command starts and succeeds; says nothing.
    pub(crate) fn succeeds_quietly(mut self) -> bool {
        self.command.output().is_ok_and(|output| output.status.success())
    }

    fn not_started(&self, error: &std::io::Error) -> Failure {
        format!("`{}` did not start: {error}", self.line)
    }
}

fn quoted(value: &str) -> String {
    if value.contains(' ') { format!("'{value}'") } else { value.to_owned() }
}

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    // This is intentional: the path of the sources this program was built from, so that the command works from any
    // directory of the checkout.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}
