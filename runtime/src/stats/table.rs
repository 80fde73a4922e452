//! The snapshot as a table for people: one line a tenant, the budget above, what to know below.

use std::fmt;
use std::time::Duration;

use super::{Snapshot, TenantStats};

const COLUMNS: [&str; 12] = [
    "name",
    "kind",
    "entries",
    "bytes",
    "share",
    "hits",
    "misses",
    "hit rate",
    "time saved",
    "evictions",
    "reclaims",
    "price",
];

/// The first two columns are words and read from the left; the rest are numbers.
const LEFT: usize = 2;

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.heading(f)?;
        if self.tenants.is_empty() {
            return f.write_str("\nno caches or pools yet");
        }
        let rows: Vec<[String; 12]> = self.tenants.iter().map(row).collect();
        let width = |at: usize| {
            let cells = rows.iter().map(|row| row[at].chars().count());
            cells.chain([COLUMNS[at].len()]).max().unwrap_or(0)
        };
        let widths: [usize; 12] = std::array::from_fn(width);
        writeln!(f)?;
        line(f, &COLUMNS.map(String::from), &widths)?;
        let rule: [String; 12] = std::array::from_fn(|at| "-".repeat(widths[at]));
        writeln!(f)?;
        line(f, &rule, &widths)?;
        for row in &rows {
            writeln!(f)?;
            line(f, row, &widths)?;
        }
        #[cfg(feature = "tiers")]
        for tenant in &self.tenants {
            for tier in &tenant.tiers {
                write!(f, "\ntier of {}: {tier}", tenant.name)?;
            }
        }
        for namespace in &self.namespaces {
            let (used, promised) = (bytes(namespace.used), bytes(namespace.promised));
            let share = 100.0 * namespace.share;
            write!(f, "\nnamespace {}: {used} used, {promised} promised ({share:.1} %)", namespace.name)?;
        }
        for warning in &self.warnings {
            write!(f, "\n! {warning}")?;
        }
        Ok(())
    }
}

impl Snapshot {
    fn heading(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let budget = &self.budget;
        let percent = if budget.limit == 0 { 0.0 } else { 100.0 * budget.used as f64 / budget.limit as f64 };
        write!(
            f,
            "budget {} of {} used ({percent:.0} %), peak {}",
            bytes(budget.used),
            bytes(budget.limit),
            bytes(budget.peak)
        )?;
        if budget.allowed < budget.limit {
            write!(f, ", {} allowed while memory is short", bytes(budget.allowed))?;
        }
        write!(f, "; pressure {}", self.pressure.level)?;
        if self.pressure.limit > 0 {
            let fullness = 100.0 * self.pressure.used as f64 / self.pressure.limit as f64;
            write!(f, " ({}: {fullness:.0} % of {})", self.pressure.source, bytes(self.pressure.limit))?;
        }
        write!(f, "; {} saved", duration(self.time_saved()))
    }
}

fn row(tenant: &TenantStats) -> [String; 12] {
    let dash = || "-".to_owned();
    let seen = tenant.hits + tenant.misses > 0;
    let held = if tenant.estimated { format!(">{}", bytes(tenant.bytes)) } else { bytes(tenant.bytes) };
    [
        tenant.name.clone(),
        tenant.kind.to_string(),
        count(tenant.entries),
        if tenant.live { held } else { dash() },
        if tenant.live { format!("{:.1} %", 100.0 * tenant.share) } else { dash() },
        count(tenant.hits),
        count(tenant.misses),
        if seen { format!("{:.1} %", 100.0 * tenant.hit_rate()) } else { dash() },
        duration(tenant.time_saved),
        count(tenant.evictions),
        count(tenant.reclaims),
        if tenant.price > 0.0 { format!("{}/MB", time_per_megabyte(tenant.price)) } else { dash() },
    ]
}

fn line(f: &mut fmt::Formatter<'_>, cells: &[String; 12], widths: &[usize; 12]) -> fmt::Result {
    for (at, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        if at > 0 {
            f.write_str("  ")?;
        }
        if at < LEFT { write!(f, "{cell:<width$}")? } else { write!(f, "{cell:>width$}")? }
    }
    Ok(())
}

/// `1234567` as `1 234 567`.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// Bytes in the largest unit that leaves a number from 1; 1 MB is 1,048,576 bytes.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KB", "MB", "GB", "TB", "PB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

fn duration(duration: Duration) -> String {
    nanoseconds(duration.as_nanos() as f64)
}

/// What a megabyte at this price saves.
fn time_per_megabyte(price: f64) -> String {
    nanoseconds(price * 1_048_576.0)
}

pub(super) fn nanoseconds(nanos: f64) -> String {
    const SECOND: f64 = 1e9;
    match nanos {
        n if n < 1.0 => "0 s".to_owned(),
        n if n < 1e3 => format!("{n:.0} ns"),
        n if n < 1e6 => format!("{:.1} us", n / 1e3),
        n if n < SECOND => format!("{:.1} ms", n / 1e6),
        n if n < 120.0 * SECOND => format!("{:.1} s", n / SECOND),
        n if n < 7200.0 * SECOND => format!("{:.1} min", n / (60.0 * SECOND)),
        n => format!("{:.1} h", n / (3600.0 * SECOND)),
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1 234 567");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1024), "1.0 KB");
        assert_eq!(bytes(500 << 20), "500.0 MB");
        assert_eq!(bytes((1 << 20) - 1), "1.0 MB");
        assert_eq!(duration(Duration::from_micros(1500)), "1.5 ms");
        assert_eq!(duration(Duration::ZERO), "0 s");
        assert_eq!(nanoseconds(90e9), "90.0 s");
    }
}
