//! This binary once more: one ignored test of it, told by the environment what to do.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Write};
use std::process::{self, Command, Stdio};

/// What lines of a child begin with that are for its parent.
const MARK: &str = "child: ";

/// What the parent said.
pub(crate) fn argument(name: &str) -> Option<OsString> {
    env::var_os(format!("LARDER_TEST_{name}"))
}

/// Says something to the parent.
pub(crate) fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    // A parent that is gone wants to know nothing.
    let _ = writeln!(out, "\n{MARK}{what}").and_then(|()| out.flush());
}

/// A child, killed when it is dropped.
pub(crate) struct Child {
    process: process::Child,
    lines: BufReader<process::ChildStdout>,
}

impl Child {
    pub(crate) fn start(test: &str, arguments: &[(&str, &OsStr)]) -> Self {
        Self::with(test, arguments, |_| {})
    }

    /// `with` may say more of the process.
    pub(crate) fn with(test: &str, arguments: &[(&str, &OsStr)], with: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]);
        for (name, value) in arguments {
            command.env(format!("LARDER_TEST_{name}"), value);
        }
        with(&mut command);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self { process, lines }
    }

    /// The next thing that it says; `None` when it has ended.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // A line that was cut off says nothing.
            if let Some(said) = line.strip_suffix('\n').and_then(|line| line.strip_prefix(MARK)) {
                return Some(said.to_owned());
            }
        }
    }

    /// Ends it, with no chance to do anything about it.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
