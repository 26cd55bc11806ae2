//! Kubernetes' quantities: `100m`, `1.5`, `128Mi`, `2e3`.

/// A quantity in thousandths of its unit; `None` if it is not one.
pub(crate) fn thousandths(text: &str) -> Option<i128> {
    let split =
        text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let scale: f64 = match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024.0_f64.powi(4),
        "Pi" => 1024.0_f64.powi(5),
        "Ei" => 1024.0_f64.powi(6),
        exponent => 10.0_f64.powi(exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    let value: f64 = number.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "far below i128's range, and fractions below 1/1000 round up"
    )]
    let thousandths = (value * scale * 1000.0 - 1e-6).ceil() as i128;
    Some(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read() {
        for (text, expected) in [
            ("100m", Some(100)),
            ("1.5", Some(1500)),
            ("2", Some(2000)),
            ("128Mi", Some(128 * 1024 * 1024 * 1000)),
            ("2e3", Some(2_000_000)),
            ("1k", Some(1_000_000)),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(thousandths(text), expected, "{text}");
        }
    }
}
