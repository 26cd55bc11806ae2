//! Go's durations: read for `-timeout`, printed after each migration.

use std::time::Duration;

const UNITS: [(&str, f64); 7] =
    [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// `1h13m`, `1.5s`, `300ms`; `0` has no unit.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        seconds += number.parse::<f64>().ok()? * factor;
        rest = next;
    }
    if text.is_empty() { None } else { Duration::try_from_secs_f64(seconds).ok() }
}

/// As goose shows it: two digits after the point of the largest fitting unit, `1.23ms`.
pub(crate) fn show(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let (unit, size) = match nanos {
        n if n > 1_000_000_000 => ("s", 1_000_000_000),
        n if n > 1_000_000 => ("ms", 1_000_000),
        n if n > 1_000 => ("µs", 1_000),
        n => return format!("{n}ns"),
    };
    let hundredths = (nanos + size / 200) / (size / 100);
    let minutes = if unit == "s" { hundredths / 6000 } else { 0 };
    let hundredths = hundredths - minutes * 6000;
    let number = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    let number = number.trim_end_matches('0').trim_end_matches('.');
    match minutes {
        0 => format!("{number}{unit}"),
        _ if minutes >= 60 => format!("{}h{}m{number}{unit}", minutes / 60, minutes % 60),
        _ => format!("{minutes}m{number}{unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_as_go_reads_them() {
        for (text, millis) in [
            ("1h13m", 4_380_000),
            ("90s", 90_000),
            ("1.5s", 1500),
            ("300ms", 300),
            ("0", 0),
            ("1m0.5s", 60_500),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "s", "1x", "1h x", "-1s", "1..2s"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn shown_as_goose_shows_them() {
        for (nanos, text) in [
            (0, "0ns"),
            (646_250, "646.25µs"),
            (727_500, "727.5µs"),
            (1_234_567, "1.23ms"),
            (12_000_000, "12ms"),
            (1_500_000_000, "1.5s"),
            (61_010_000_000, "1m1.01s"),
            (3_661_000_000_000, "1h1m1s"),
        ] {
            assert_eq!(show(Duration::from_nanos(nanos)), text);
        }
    }
}
