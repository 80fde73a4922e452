//! The environment: which variables there are, what they accept, and what is wrong with what was found.
//!
//! Reading is pure: the caller brings the function that looks a variable up. Which of code, environment and
//! default wins is decided where domains are built, not here.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use crate::pressure::Watermarks;

#[cfg(all(test, not(larder_shuttle)))]
mod tests;

/// Bytes in what options, variables and tables call a megabyte.
pub(crate) const MB: u64 = 1 << 20;

/// The longest and shortest waits between two looks at memory.
const INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(24 * 3600);
/// More background threads than this are a typing error.
const MAX_THREADS: usize = 1024;

const BUDGET: Variable = Variable {
    name: "LARDER_BUDGET_MB",
    accepts: "a number of megabytes above 0 (1 MB = 1,048,576 bytes)",
    example: "256",
};
const AUTO: Variable = Variable {
    name: "LARDER_BUDGET",
    accepts: "`auto` (the limit follows memory; LARDER_BUDGET_MB sets a number)",
    example: "auto",
};
const PRESSURE: Variable = Variable { name: "LARDER_PRESSURE", accepts: "`on` or `off`", example: "off" };
const THREADS: Variable = Variable {
    name: "LARDER_THREADS",
    accepts: "a whole number of background threads from 0 to 1024 (0: `tick()` does their work; 1: none waits for the system's word that memory gets short)",
    example: "1",
};
const HIGH: Variable = Variable {
    name: "LARDER_PRESSURE_HIGH",
    accepts: "a fraction or percentage above 0 and below LARDER_PRESSURE_EMERGENCY (0.95 unless set)",
    example: "80%",
};
const EMERGENCY: Variable = Variable {
    name: "LARDER_PRESSURE_EMERGENCY",
    accepts: "a fraction or percentage above LARDER_PRESSURE_HIGH (0.80 unless set) and up to 1",
    example: "0.95",
};
const INTERVAL: Variable = Variable {
    name: "LARDER_INTERVAL",
    accepts: "a duration from 10ms to 24h, in ms, s, m or h",
    example: "30s",
};

/// An environment variable and what it accepts.
#[derive(Clone, Copy, Debug)]
struct Variable {
    name: &'static str,
    accepts: &'static str,
    example: &'static str,
}

/// What the environment says; `None` where it says nothing, or nonsense.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Settings {
    /// `LARDER_BUDGET_MB`, in bytes.
    pub(crate) budget: Option<u64>,
    /// `LARDER_BUDGET=auto`: the limit follows memory.
    pub(crate) auto: bool,
    /// `LARDER_PRESSURE`: whether memory is watched.
    pub(crate) pressure: Option<bool>,
    /// `LARDER_THREADS`: how many background threads there may be.
    pub(crate) threads: Option<usize>,
    /// `LARDER_PRESSURE_HIGH` and `LARDER_PRESSURE_EMERGENCY`, if either is set.
    pub(crate) watermarks: Option<Watermarks>,
    /// `LARDER_INTERVAL`: how long the monitor waits between two looks.
    pub(crate) interval: Option<Duration>,
}

impl Settings {
    /// Reads all variables with `lookup`. What is wrong is left out, and said in the second part.
    ///
    /// A variable that is set to nothing counts as not set.
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<OsString>) -> (Self, Vec<SettingError>) {
        let mut reader = Reader { lookup, errors: Vec::new() };
        let settings = Self {
            budget: reader.take(BUDGET, parse_megabytes),
            auto: reader.take(AUTO, parse_auto).is_some(),
            pressure: reader.take(PRESSURE, parse_switch),
            threads: reader.take(THREADS, parse_threads),
            watermarks: reader.take_watermarks(),
            interval: reader.take(INTERVAL, parse_interval),
        };
        (settings, reader.errors)
    }

    /// Reads the environment of the process.
    pub(crate) fn from_env() -> (Self, Vec<SettingError>) {
        Self::read(|name| std::env::var_os(name))
    }
}

/// Looks variables up and collects what is wrong with them.
struct Reader<L> {
    lookup: L,
    errors: Vec<SettingError>,
}

impl<L: Fn(&str) -> Option<OsString>> Reader<L> {
    /// What a variable is set to, if it is to anything.
    fn text(&self, variable: Variable) -> Option<String> {
        let raw = (self.lookup)(variable.name)?;
        let text = raw.to_string_lossy();
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn take<T>(&mut self, variable: Variable, parse: fn(&str) -> Option<T>) -> Option<T> {
        let found = self.text(variable)?;
        let parsed = parse(&found);
        if parsed.is_none() {
            self.errors.push(SettingError { variable, found });
        }
        parsed
    }

    /// The two watermarks are one setting: each may be right alone and wrong beside the other.
    fn take_watermarks(&mut self) -> Option<Watermarks> {
        let high = self.take(HIGH, parse_fraction);
        let emergency = self.take(EMERGENCY, parse_fraction);
        if high.is_none() && emergency.is_none() {
            return None;
        }
        let default = Watermarks::default();
        let marks = Watermarks::new(high.unwrap_or(default.high()), emergency.unwrap_or(default.emergency()));
        if marks.is_err() {
            // Whichever was set is to blame, both if both were.
            for (variable, fraction) in [(HIGH, high), (EMERGENCY, emergency)] {
                if let (Some(_), Some(found)) = (fraction, self.text(variable)) {
                    self.errors.push(SettingError { variable, found });
                }
            }
        }
        marks.ok()
    }
}

/// A finite number above 0, in digits. What `f64` reads besides (`inf`, `NaN`, `1e9`, signs) is no setting.
fn parse_number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = if plain { text.parse().ok()? } else { return None };
    (number.is_finite() && number > 0.0).then_some(number)
}

fn parse_megabytes(text: &str) -> Option<u64> {
    // Rounded up, so that a positive number is never a budget of 0.
    let bytes = (parse_number(text)? * MB as f64).ceil();
    // Beyond this a float no longer counts single bytes, and no machine has them.
    (bytes <= (1_u64 << 53) as f64).then_some(bytes as u64)
}

fn parse_switch(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("on") {
        Some(true)
    } else if text.eq_ignore_ascii_case("off") {
        Some(false)
    } else {
        None
    }
}

fn parse_auto(text: &str) -> Option<()> {
    text.eq_ignore_ascii_case("auto").then_some(())
}

fn parse_threads(text: &str) -> Option<usize> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|threads| digits && *threads <= MAX_THREADS)
}

fn parse_fraction(text: &str) -> Option<f64> {
    let fraction = match text.strip_suffix('%') {
        Some(percent) => parse_number(percent.trim_end())? / 100.0,
        None => parse_number(text)?,
    };
    (fraction <= 1.0).then_some(fraction)
}

fn parse_interval(text: &str) -> Option<Duration> {
    let unit_at = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let interval = Duration::try_from_secs_f64(parse_number(number.trim_end())? * seconds).ok()?;
    INTERVALS.contains(&interval).then_some(interval)
}

/// An environment variable whose content was not understood, and is ignored.
#[derive(Clone, Debug)]
pub struct SettingError {
    variable: Variable,
    found: String,
}

impl SettingError {
    /// The name of the variable.
    #[must_use]
    pub fn variable(&self) -> &'static str {
        self.variable.name
    }

    /// What it was set to; what is not Unicode in it is replaced.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.found
    }

    /// What it accepts, in words.
    #[must_use]
    pub fn accepts(&self) -> &'static str {
        self.variable.accepts
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Variable { name, accepts, example } = self.variable;
        write!(f, "{name} is {:?}, but takes {accepts}, for example {name}={example}", self.found)
    }
}

impl Error for SettingError {}

/// Everything in the environment that was not understood.
#[derive(Clone, Debug)]
pub struct SettingsError {
    errors: Vec<SettingError>,
}

impl SettingsError {
    /// The errors as one, if there are any.
    pub(crate) fn from_errors(errors: Vec<SettingError>) -> Result<(), Self> {
        if errors.is_empty() { Ok(()) } else { Err(Self { errors }) }
    }

    /// Each variable that was not understood, in a fixed order; at least one.
    #[must_use]
    pub fn errors(&self) -> &[SettingError] {
        &self.errors
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.errors.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl Error for SettingsError {}
