//! Text that stands for an amount: `"5m"` for a duration, `"64MiB"` for a size, and numbers.
//!
//! Only reads; which amounts an option takes is the option's business.

use std::time::Duration;

use syn::{Expr, ExprLit, ExprUnary, Lit, UnOp};

/// 1 MB in every option of larder.
pub(crate) const MEGABYTE: u64 = 1 << 20;

/// Sizes and counts end here: no allocation can be larger.
pub(crate) const LARGEST: u64 = i64::MAX as u64;

/// Durations end here: the clock counts nanoseconds in a `u64` and adds to them.
const LONGEST: Duration = Duration::from_nanos(u64::MAX / 2);

/// Why a text is no duration.
#[derive(Debug, PartialEq)]
pub(crate) enum BadDuration {
    /// Not a number and a unit.
    Malformed,
    /// Longer than the clock can count.
    TooLong,
}

/// Reads `"5m"`, `"250ms"`, `"1.5h"`.
pub(crate) fn duration(text: &str) -> Result<Duration, BadDuration> {
    let (number, unit) = split(text).ok_or(BadDuration::Malformed)?;
    let nanos: u64 = match unit {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" | "min" => 60 * 1_000_000_000,
        "h" => 3_600 * 1_000_000_000,
        "d" => 86_400 * 1_000_000_000,
        _ => return Err(BadDuration::Malformed),
    };
    let nanos = times(number, nanos).ok_or(BadDuration::Malformed)?;
    match u64::try_from(nanos) {
        Ok(nanos) if Duration::from_nanos(nanos) <= LONGEST => Ok(Duration::from_nanos(nanos)),
        _ => Err(BadDuration::TooLong),
    }
}

/// Why a text is no size.
#[derive(Debug, PartialEq)]
pub(crate) enum BadSize {
    /// Not a number and a unit.
    Malformed,
    /// More than [`LARGEST`].
    TooLarge,
}

/// Reads `"64MiB"`, `"1.5 GB"`, `"4096"`, in bytes. `KB` is `KiB`: a megabyte is one number in larder.
pub(crate) fn size(text: &str) -> Result<u64, BadSize> {
    let (number, unit) = split(text).ok_or(BadSize::Malformed)?;
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "kb" | "kib" => 10,
        "mb" | "mib" => 20,
        "gb" | "gib" => 30,
        "tb" | "tib" => 40,
        _ => return Err(BadSize::Malformed),
    };
    let bytes = times(number, 1 << shift).ok_or(BadSize::Malformed)?;
    match u64::try_from(bytes) {
        Ok(bytes) if bytes <= LARGEST => Ok(bytes),
        _ => Err(BadSize::TooLarge),
    }
}

/// The digits and the unit of an amount.
fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let starts_well = number.starts_with(|c: char| c.is_ascii_digit());
    starts_well.then(|| (number, unit.trim_start()))
}

/// `number x unit` to the nearest whole, exact for whole numbers. More than fits counts as all that fits.
fn times(number: &str, unit: u64) -> Option<u128> {
    let number = number.replace('_', "");
    if number.bytes().all(|digit| digit.is_ascii_digit()) {
        let whole: u128 = number.parse().unwrap_or(u128::MAX);
        return Some(whole.saturating_mul(u128::from(unit)));
    }
    let fraction: f64 = number.parse().ok()?;
    // The cast saturates, and a fraction of a byte or a nanosecond is nobody's intention.
    Some((fraction * unit as f64).round() as u128)
}

/// Reads `"10%"` as 0.1.
pub(crate) fn percentage(text: &str) -> Option<Number> {
    let number = text.trim().strip_suffix('%')?.trim_end();
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, number),
    };
    let plain = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'_');
    let percent: f64 = if plain { digits.replace('_', "").parse().ok()? } else { return None };
    Some(if sign { Number::Negative } else { Number::Fraction(percent / 100.0) })
}

/// A number as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    /// Without a point; what doesn't fit is `u128::MAX`.
    Whole(u128),
    /// With a point or an exponent.
    Fraction(f64),
    /// Either, with a minus.
    Negative,
}

/// Reads a number literal, also one that a macro put in an invisible group.
pub(crate) fn number(expr: &Expr) -> Option<Number> {
    match expr {
        Expr::Group(group) => number(&group.expr),
        Expr::Paren(paren) => number(&paren.expr),
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => number(expr).map(|_| Number::Negative),
        Expr::Lit(ExprLit { lit, .. }) => literal_number(lit),
        _ => None,
    }
}

fn literal_number(lit: &Lit) -> Option<Number> {
    match lit {
        Lit::Int(int) if is_number_suffix(int.suffix()) => {
            if int.base10_digits().starts_with('-') {
                return Some(Number::Negative);
            }
            Some(Number::Whole(int.base10_parse().unwrap_or(u128::MAX)))
        }
        Lit::Float(float) if is_number_suffix(float.suffix()) => {
            let fraction: f64 = float.base10_parse().ok()?;
            Some(if fraction.is_sign_negative() { Number::Negative } else { Number::Fraction(fraction) })
        }
        _ => None,
    }
}

/// `50u64` is a number; `50MB` is a mistake worth a message.
fn is_number_suffix(suffix: &str) -> bool {
    matches!(
        suffix,
        "" | "u8"
            | "u16"
            | "u32"
            | "u64"
            | "u128"
            | "usize"
            | "i8"
            | "i16"
            | "i32"
            | "i64"
            | "i128"
            | "isize"
            | "f32"
            | "f64"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |text, expected| assert_eq!(duration(text), Ok(expected), "{text}");
        check("5m", Duration::from_secs(300));
        check("5min", Duration::from_secs(300));
        check("250ms", Duration::from_millis(250));
        check("1.5h", Duration::from_secs(5400));
        check(" 10 s ", Duration::from_secs(10));
        check("1_000s", Duration::from_secs(1000));
        check("7d", Duration::from_secs(7 * 86_400));
        check("0s", Duration::ZERO);
    }

    #[test]
    fn not_durations() {
        for text in ["", "5", "m", "5 parsecs", "-5m", "1h30m", "1.2.3s", ".5s", "5M", "٥m"] {
            assert_eq!(duration(text), Err(BadDuration::Malformed), "{text}");
        }
        for text in ["1000000d", "99999999999999999999999999999999999999999999s", "1e9d"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(duration("1000000d"), Err(BadDuration::TooLong));
        assert_eq!(duration("99999999999999999999999999999999999999999999s"), Err(BadDuration::TooLong));
        assert_eq!(duration("99999999999999999999999.5s"), Err(BadDuration::TooLong));
    }

    #[test]
    fn sizes() {
        let check = |text, expected| assert_eq!(size(text), Ok(expected), "{text}");
        check("64MiB", 64 << 20);
        check("64 mb", 64 << 20);
        check("1.5KiB", 1536);
        check("4096", 4096);
        check("17b", 17);
        check("2TB", 2 << 40);
    }

    #[test]
    fn not_sizes() {
        for text in ["", "MiB", "64 lots", "-1MB", "1..5MB"] {
            assert_eq!(size(text), Err(BadSize::Malformed), "{text}");
        }
        assert_eq!(size("9999999TB"), Err(BadSize::TooLarge));
        assert_eq!(size("99999999999999999999999999999999999999999999"), Err(BadSize::TooLarge));
    }

    #[test]
    fn percentages() {
        assert_eq!(percentage("10%"), Some(Number::Fraction(0.1)));
        assert_eq!(percentage(" 2.5 % "), Some(Number::Fraction(0.025)));
        assert_eq!(percentage("250%"), Some(Number::Fraction(2.5)));
        assert_eq!(percentage("-1%"), Some(Number::Negative));
        for text in ["", "%", "10", "ten%", "1e1%", "1.2.3%", "inf%"] {
            assert_eq!(percentage(text), None, "{text}");
        }
    }

    #[test]
    fn numbers() {
        let read = |text: &str| number(&syn::parse_str(text).expect("an expression"));
        assert_eq!(read("50"), Some(Number::Whole(50)));
        assert_eq!(read("0x10u64"), Some(Number::Whole(16)));
        assert_eq!(read("(1_000)"), Some(Number::Whole(1000)));
        assert_eq!(read("0.5"), Some(Number::Fraction(0.5)));
        assert_eq!(read("1e3"), Some(Number::Fraction(1000.0)));
        assert_eq!(read("-1"), Some(Number::Negative));
        assert_eq!(read("-0.5"), Some(Number::Negative));
        assert_eq!(read("99999999999999999999999999999999999999999"), Some(Number::Whole(u128::MAX)));
        assert_eq!(read("50MB"), None);
        assert_eq!(read("\"50\""), None);
        assert_eq!(read("LIMIT"), None);
    }
}
