//! Amounts of cpu and memory, in Kubernetes' canonical form (`resource.Quantity`).

use std::fmt;

/// An amount, exact to a billionth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quantity {
    nanos: i128,
    binary: bool,
}

const NANOS: i128 = 1_000_000_000;
const BINARY: &[(&str, u32)] = &[("Ei", 60), ("Pi", 50), ("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)];
const DECIMAL: &[(&str, u32)] = &[
    ("E", 27),
    ("P", 24),
    ("T", 21),
    ("G", 18),
    ("M", 15),
    ("k", 12),
    ("", 9),
    ("m", 6),
    ("u", 3),
    ("n", 0),
];

impl Quantity {
    /// A number of things.
    #[must_use]
    pub fn of(number: u32) -> Self {
        Self { nanos: i128::from(number) * NANOS, binary: false }
    }

    /// What is left of it; nothing where the other is more.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { nanos: (self.nanos - other.nanos).max(0), binary: self.binary }
    }

    /// Whether it is at most that much.
    pub fn fits(self, limit: Self) -> bool {
        self.nanos <= limit.nanos
    }

    /// The two together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let binary = (self.binary || self.nanos == 0) && (other.binary || other.nanos == 0);
        Self { nanos: self.nanos.saturating_add(other.nanos), binary }
    }

    /// Reads `500m`, `1.5Gi`, `2e3`.
    pub fn parse(text: &str) -> Option<Self> {
        let end =
            text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (sign, number) = match number.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let places = u32::try_from(fraction.len()).ok()?;
        let scaled = |factor: i128| Some(sign * digits.checked_mul(factor)? / 10_i128.checked_pow(places)?);
        if let Some((_, bits)) = BINARY.iter().find(|(name, _)| *name == suffix) {
            return Some(Self { nanos: scaled(NANOS.checked_mul(1 << bits)?)?, binary: true });
        }
        let power = match DECIMAL.iter().find(|(name, _)| *name == suffix) {
            Some((_, power)) => i32::try_from(*power).ok()?,
            None => 9 + suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?,
        };
        let factor = 10_i128.checked_pow(u32::try_from(power).ok()?)?;
        Some(Self { nanos: scaled(factor)?, binary: false })
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let whole = self.nanos / NANOS;
        if self.binary && self.nanos % NANOS == 0 && whole.abs() >= 1024 {
            let fits = BINARY.iter().find(|(_, bits)| whole % (1_i128 << bits) == 0);
            return match fits {
                Some((suffix, bits)) => write!(f, "{}{suffix}", whole >> bits),
                None => write!(f, "{whole}"),
            };
        }
        let fits = DECIMAL.iter().find(|(_, power)| self.nanos % 10_i128.pow(*power) == 0);
        let (suffix, power) = fits.copied().unwrap_or(("n", 0));
        write!(f, "{}{suffix}", self.nanos / 10_i128.pow(power))
    }
}

#[cfg(test)]
mod tests {
    use super::Quantity;

    #[test]
    fn has_one_spelling() {
        for (sent, kept) in [
            ("1", "1"),
            ("1000m", "1"),
            ("0.5", "500m"),
            ("500m", "500m"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("128Mi", "128Mi"),
            ("100000k", "100M"),
            ("2e3", "2k"),
            ("0", "0"),
            ("0Mi", "0"),
            ("512Ki", "512Ki"),
            ("1Ki", "1Ki"),
            ("0.5Ki", "512"),
            ("1500m", "1500m"),
            ("-1", "-1"),
            ("100n", "100n"),
        ] {
            assert_eq!(Quantity::parse(sent).map(|q| q.to_string()).as_deref(), Some(kept), "{sent}");
        }
        for wrong in ["", "x", "1Zi", "1.2.3", "m"] {
            assert_eq!(Quantity::parse(wrong), None, "{wrong}");
        }
    }
}
