//! Kubernetes' quantities: `1000m` and `1` are the same amount of processor, `1Gi` and `1024Mi` of memory.

use std::str::FromStr;

use serde_json::Value;
use thiserror::Error;

/// An amount, exact: a decimal mantissa and the number of decimal places that it is shifted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity {
    mantissa: i128,
    exponent: i32,
}

/// Text that is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a quantity: expected a number and a suffix, such as `500m` or `1Gi`")]
pub struct QuantityError(pub String);

/// `k8s.io/apimachinery/pkg/api/resource/suffix.go`.
const BINARY: &[(&str, u32)] = &[("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];
const DECIMAL: &[(&str, i32)] =
    &[("n", -9), ("u", -6), ("m", -3), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

impl Quantity {
    /// The quantity that a JSON string or number is.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.to_string().parse().ok(),
            _ => None,
        }
    }

    /// The amount in units of ten to that power, rounded up; the largest number there is where it is more.
    pub fn in_units(self, power: i32) -> i128 {
        let shift = self.exponent.saturating_sub(power);
        let by = 10_i128.checked_pow(shift.unsigned_abs());
        if shift >= 0 {
            by.and_then(|by| self.mantissa.checked_mul(by)).unwrap_or(i128::MAX)
        } else {
            // What is less than a unit is one.
            by.map_or(1, |by| self.mantissa / by + i128::from(self.mantissa % by > 0))
        }
    }

    /// Without trailing zeros, so that equal amounts are equal values.
    fn reduced(mut mantissa: i128, mut exponent: i32) -> Self {
        if mantissa == 0 {
            return Self { mantissa, exponent: 0 };
        }
        while mantissa % 10 == 0 {
            mantissa /= 10;
            exponent += 1;
        }
        Self { mantissa, exponent }
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        parse(text).ok_or_else(|| QuantityError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Quantity> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !"+-.".contains(c)).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if number.trim_start_matches(['+', '-']).replace('.', "").is_empty() {
        return None;
    }
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let exponent = -i32::try_from(fraction.len()).ok()?;
    if let Some((_, shift)) = BINARY.iter().find(|(known, _)| *known == suffix) {
        return Some(Quantity::reduced(mantissa.checked_mul(1 << shift)?, exponent));
    }
    let shift = match DECIMAL.iter().find(|(known, _)| *known == suffix) {
        Some((_, shift)) => *shift,
        None if suffix.is_empty() => 0,
        None => suffix.strip_prefix(['e', 'E'])?.parse::<i16>().ok()?.into(),
    };
    Some(Quantity::reduced(mantissa, exponent.checked_add(shift)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_counted_in_units_and_rounded_up() {
        let units = |text: &str, power| text.parse::<Quantity>().unwrap().in_units(power);
        assert_eq!(units("1.5", -3), 1500);
        assert_eq!(units("1500m", 0), 2);
        assert_eq!(units("1Gi", 0), 1 << 30);
        assert_eq!(units("1n", 0), 1);
        assert_eq!(units("0", -3), 0);
        assert_eq!(units("1e30000", 0), i128::MAX);
        assert_eq!(units("1e-30000", 0), 1);
    }

    #[test]
    fn equal_amounts_are_equal() {
        for (a, b) in [
            ("1000m", "1"),
            ("1", "1.0"),
            ("0.5", "500m"),
            ("1Gi", "1024Mi"),
            ("1024", "1Ki"),
            ("1e3", "1k"),
            ("1.5Gi", "1536Mi"),
            ("100M", "100000k"),
            ("0", "0m"),
            ("1E3", "1000"),
            ("+1", "1"),
        ] {
            assert_eq!(a.parse::<Quantity>(), b.parse::<Quantity>(), "{a} and {b}");
        }
        for (a, b) in [("1", "1m"), ("1Gi", "1G"), ("1E", "1e1"), ("-1", "1")] {
            assert_ne!(a.parse::<Quantity>(), b.parse::<Quantity>(), "{a} and {b}");
        }
        for text in ["", "m", "1x", "1GiB", "one", ".", "1 Gi", "--1", "10e2147483647"] {
            assert!(text.parse::<Quantity>().is_err(), "{text}");
        }
    }
}
