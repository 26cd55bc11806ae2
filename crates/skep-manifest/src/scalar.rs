//! What an unquoted word of a manifest means, as `kubectl` takes it.
//!
//! kubectl reads YAML with `sigs.k8s.io/yaml`, whose `goyaml.v2/resolve.go` is YAML 1.1 with exceptions: `on` and `no`
//! are booleans, `0400` is octal, `1_000` is a number; `12:30:45` is not base 60, and dates stay strings.

use serde_json::{Number, Value};

/// The value of a plain scalar.
///
/// # Errors
/// When it is a float that JSON has no way to write: `.nan` and `.inf`.
pub(crate) fn plain(text: &str) -> Result<Value, &'static str> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Ok(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Ok(Value::Bool(false));
        }
        _ => {}
    }
    if matches!(text.trim_start_matches(['+', '-']), ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return Err("JSON, which Kubernetes speaks, has no infinity and no NaN; quote it if it is text");
    }
    Ok(number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number))
}

/// A scalar under an explicit tag of YAML's core schema, such as `!!str 0400`.
///
/// # Errors
/// When the text isn't of that type.
pub(crate) fn tagged(tag: &str, text: &str) -> Result<Value, &'static str> {
    let value = match tag {
        "str" => return Ok(Value::String(text.to_owned())),
        _ => plain(text)?,
    };
    match (tag, value) {
        ("float", Value::Number(number)) | ("int", Value::Number(number))
            if tag == "float" || !number.is_f64() =>
        {
            Ok(Value::Number(number))
        }
        ("bool", value @ Value::Bool(_)) | ("null", value @ Value::Null) => Ok(value),
        _ => Err("the value is not of the type that its tag names"),
    }
}

/// What a mapping's key becomes in JSON, where every key is a string: `on:` is the key `true`.
pub(crate) fn key(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn number(text: &str) -> Option<Number> {
    let first = text.bytes().next()?;
    if first == b'.' {
        return float(text);
    }
    if !first.is_ascii_digit() && first != b'+' && first != b'-' {
        return None;
    }
    let text = text.replace('_', "");
    integer(&text).or_else(|| float(&text))
}

/// Go's `strconv.ParseInt(text, 0, 64)`, then `ParseUint`: the prefix says the base, and `0` alone is one, for octal.
fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.get(..2).unwrap_or_default().to_ascii_lowercase();
    let (base, digits) = match lower.as_str() {
        "0x" => (16, &digits[2..]),
        "0b" => (2, &digits[2..]),
        "0o" => (8, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    // `from_str_radix` takes a sign of its own, which would make `--5` a number.
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    if negative {
        return i64::from_str_radix(&format!("-{digits}"), base).ok().map(Number::from);
    }
    let value = u64::from_str_radix(digits, base).ok()?;
    match i64::try_from(value) {
        Ok(value) => Some(Number::from(value)),
        // Kubernetes' JSON has 64-bit signed integers and floats, nothing between.
        #[expect(clippy::cast_precision_loss, reason = "kubectl loses the same digits")]
        Err(_) => Number::from_f64(value as f64),
    }
}

/// A decimal float. One without fraction becomes an integer, as it does on the way through Go's JSON.
fn float(text: &str) -> Option<Number> {
    let digits = text.trim_start_matches(['+', '-']);
    let fine = |c: char| c.is_ascii_digit() || ".eE+-".contains(c);
    if text.len() - digits.len() > 1
        || !digits.chars().all(fine)
        || !digits.contains(|c: char| c.is_ascii_digit())
    {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    if value.fract() == 0.0 && value.abs() < 9.0e18 {
        #[expect(clippy::cast_possible_truncation, reason = "the value is whole and within an i64")]
        return Some(Number::from(value as i64));
    }
    Number::from_f64(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn as_goyaml_v2_resolves() {
        for (text, value) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("NULL", json!(null)),
            ("nUll", json!("nUll")),
            ("on", json!(true)),
            ("Off", json!(false)),
            ("yes", json!(true)),
            ("y", json!(true)),
            ("N", json!(false)),
            ("oN", json!("oN")),
            ("0400", json!(256)),
            ("-0400", json!(-256)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("0b101", json!(5)),
            ("08", json!(8)),
            ("0", json!(0)),
            ("00", json!(0)),
            ("+5", json!(5)),
            ("--5", json!("--5")),
            ("+-5", json!("+-5")),
            ("1_000", json!(1000)),
            ("_1", json!("_1")),
            ("9223372036854775807", json!(i64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("18446744073709551615", json!(1.844_674_407_370_955_2e19)),
            ("123456789012345678901234567890", json!(1.234_567_890_123_456_8e29)),
            ("1.0", json!(1)),
            ("1e3", json!(1000)),
            ("1.5", json!(1.5)),
            (".5", json!(0.5)),
            ("5.", json!(5)),
            (".", json!(".")),
            ("-", json!("-")),
            ("1e400", json!("1e400")),
            ("1.2.3", json!("1.2.3")),
            ("100m", json!("100m")),
            ("0x", json!("0x")),
            ("12:30:45", json!("12:30:45")),
            ("2026-01-02", json!("2026-01-02")),
            ("1e", json!("1e")),
            ("d3708e6", json!("d3708e6")),
            ("infinity", json!("infinity")),
            ("1inf", json!("1inf")),
            ("+nan", json!("+nan")),
        ] {
            assert_eq!(plain(text), Ok(value), "{text}");
        }
        assert!(plain(".inf").is_err() && plain("-.INF").is_err() && plain(".nan").is_err());
    }

    #[test]
    fn a_commit_of_digits_is_a_trap_that_kubectl_has_too() {
        assert_eq!(plain("d3708e6"), Ok(json!("d3708e6")));
        assert_eq!(plain("3708e6"), Ok(json!(3_708_000_000_i64)));
    }

    #[test]
    fn tags_decide() {
        assert_eq!(tagged("str", "0400"), Ok(json!("0400")));
        assert_eq!(tagged("int", "0400"), Ok(json!(256)));
        assert_eq!(tagged("bool", "on"), Ok(json!(true)));
        assert_eq!(tagged("float", "3"), Ok(json!(3)));
        assert!(tagged("int", "x").is_err());
        assert!(tagged("int", "1.5").is_err());
    }
}
