//! Values of directives: times, sizes, numbers and words, with the ranges they may have.
//! The notations are nginx's own (<https://nginx.org/en/docs/syntax.html>).

use std::time::Duration;

/// Reads a time: `100` or `100ms` are milliseconds only with the unit; without one, seconds.
/// Units are `y` (365 days), `M` (30 days), `w`, `d`, `h`, `m`, `s` and `ms`, the largest first
/// when several follow each other (`1m 30s`).
pub fn time(text: &str) -> Option<Duration> {
    const HOUR: u64 = 3_600_000;
    const UNITS: [(&str, u64); 8] = [
        ("y", 365 * 24 * HOUR),
        ("M", 30 * 24 * HOUR),
        ("w", 7 * 24 * HOUR),
        ("d", 24 * HOUR),
        ("h", HOUR),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    let mut total: u64 = 0;
    let mut next_unit = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = leading_number(rest)?;
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end)?;
        let unit = if unit.is_empty() && after.is_empty() { "s" } else { unit };
        let place = UNITS.iter().position(|(name, _)| *name == unit)?;
        if place < next_unit {
            return None;
        }
        next_unit = place + 1;
        total = total.checked_add(number.checked_mul(UNITS.get(place)?.1)?)?;
        rest = after.trim_start_matches(' ');
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

/// Reads a size in bytes, with an optional unit `k`, `m` or `g` in either case.
pub fn size(text: &str) -> Option<usize> {
    let (number, unit) = leading_number(text)?;
    let factor = match unit {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return None,
    };
    usize::try_from(number).ok()?.checked_mul(factor)
}

/// Reads a decimal number without a sign.
pub fn number(text: &str) -> Option<u32> {
    let (number, rest) = leading_number(text)?;
    rest.is_empty().then(|| u32::try_from(number).ok())?
}

/// Reads a whole number with or without a percent sign.
pub fn percent(text: &str) -> Option<u32> {
    number(text.strip_suffix('%').unwrap_or(text))
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let millis = |text| time(text).map(|t| t.as_millis());
        assert_eq!(millis("100ms"), Some(100));
        assert_eq!(millis("2"), Some(2000));
        assert_eq!(millis("1m30s"), Some(90_000));
        assert_eq!(millis("1h 5ms"), Some(3_600_005));
        assert_eq!(millis("1y 1M 1w 1d"), Some((365 + 30 + 7 + 1) * 86_400_000));
        for bad in ["", "ms", "-1", "1s1m", "1x", "1s1s", "1 s", "99999999999999999999s", "1.5s"] {
            assert_eq!(millis(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn sizes_and_numbers() {
        assert_eq!(size("8m"), Some(8 << 20));
        assert_eq!(size("512"), Some(512));
        assert_eq!(size("1G"), Some(1 << 30));
        for bad in ["", "k", "1kb", "-1", "99999999999999999999", "18446744073709551615g"] {
            assert_eq!(size(bad), None, "{bad:?}");
        }
        assert_eq!(number("1024"), Some(1024));
        assert_eq!((number("4294967296"), number("1k"), number("")), (None, None, None));
    }
}
