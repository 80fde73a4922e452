//! Rows as they come, and all together in the end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// How a row ended.
enum Ending {
    Passed(String),
    Skipped(String),
    Failed(String),
}

struct Row {
    device: String,
    what: String,
    ending: Ending,
}

/// All that was checked and measured.
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { rows: Vec::new() }
    }

    fn add(&mut self, device: &str, what: &str, ending: Ending) {
        let row = Row { device: device.to_owned(), what: what.to_owned(), ending };
        eprintln!("{}", row.line());
        self.rows.push(row);
    }

    /// Runs a check, which says what it saw, or panics.
    pub(crate) fn check(&mut self, device: &str, what: &str, check: impl FnOnce() -> String) {
        let start = Instant::now();
        let ending = match caught(check) {
            Ok(saw) => Ending::Passed(format!("{saw} ({:.1?})", start.elapsed())),
            Err(why) => Ending::Failed(why),
        };
        self.add(device, what, ending);
    }

    /// Measures, which gives a row for each thing that was measured: what it is, and what was found.
    pub(crate) fn measure(
        &mut self,
        device: &str,
        what: &str,
        measure: impl FnOnce() -> Vec<(String, String)>,
    ) {
        match caught(measure) {
            Ok(rows) => {
                rows.into_iter().for_each(|(what, found)| self.add(device, &what, Ending::Passed(found)));
            }
            Err(why) => self.add(device, what, Ending::Failed(why)),
        }
    }

    /// Notes what could not be run, and why: a failure, where it has to be.
    pub(crate) fn skip(&mut self, device: &str, what: &str, why: String, required: bool) {
        let ending = if required { Ending::Failed(why) } else { Ending::Skipped(why) };
        self.add(device, what, ending);
    }

    /// Prints all rows, and whether none failed.
    pub(crate) fn print(&self) -> bool {
        println!();
        self.rows.iter().for_each(|row| println!("{}", row.line()));
        let count = |is_it: fn(&Ending) -> bool| self.rows.iter().filter(|row| is_it(&row.ending)).count();
        let failed = count(|ending| matches!(ending, Ending::Failed(_)));
        let skipped = count(|ending| matches!(ending, Ending::Skipped(_)));
        println!("\n{} passed; {failed} failed; {skipped} skipped", self.rows.len() - failed - skipped);
        failed == 0
    }
}

/// What it says, or with what it panicked.
fn caught<R>(run: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|thrown| {
        let text = thrown.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| thrown.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
    })
}

impl Row {
    fn line(&self) -> String {
        let (word, text) = match &self.ending {
            Ending::Passed(text) => ("ok", text),
            Ending::Skipped(text) => ("SKIPPED", text),
            Ending::Failed(text) => ("FAILED", text),
        };
        format!("{:<36}  {:<46}  {word:<7}  {text}", self.device, self.what)
    }
}
