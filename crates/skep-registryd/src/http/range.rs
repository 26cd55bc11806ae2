//! Byte ranges: of a blob that is read, and of a piece that is sent.

use http::{HeaderMap, header};

/// The part of a blob that a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Everything: no range, or one of a kind that may be ignored (RFC 9110, 14.2).
    Whole,
    /// First and last byte, both inclusive.
    Part(u64, u64),
    /// Nothing of it is in the blob.
    Nothing,
}

/// Reads `Range: bytes=…` for content of `size` bytes.
pub(super) fn asked(headers: &HeaderMap, size: u64) -> Asked {
    let text = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let Some((first, last)) = text.and_then(|text| text.trim().strip_prefix("bytes=")?.split_once('-'))
    else {
        return Asked::Whole;
    };
    let part = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.min(size.saturating_sub(1))),
        (Ok(first), Err(_)) if last.trim().is_empty() => (first, size.saturating_sub(1)),
        // The last so many bytes.
        (Err(_), Ok(0)) if first.trim().is_empty() => return Asked::Nothing,
        (Err(_), Ok(length)) if first.trim().is_empty() => {
            (size.saturating_sub(length), size.saturating_sub(1))
        }
        _ => return Asked::Whole,
    };
    if part.0 >= size { Asked::Nothing } else { Asked::Part(part.0, part.1) }
}

/// Reads an upload's `Content-Range: <first>-<last>` (without a unit, as the distribution spec has it; with one is fine).
/// `None` if there is none, an error text if it makes no sense.
pub(super) fn sent(headers: &HeaderMap) -> Result<Option<(u64, u64)>, String> {
    let Some(value) = headers.get(header::CONTENT_RANGE) else {
        return Ok(None);
    };
    let parse = || {
        let text = value.to_str().ok()?.trim();
        let text = text.strip_prefix("bytes").map_or(text, str::trim_start);
        let text = text.split('/').next()?;
        let (first, last) = text.split_once('-')?;
        let (first, last) = (first.trim().parse::<u64>().ok()?, last.trim().parse::<u64>().ok()?);
        (first <= last).then_some((first, last))
    };
    parse().map(Some).ok_or_else(|| format!("Content-Range {value:?} is not `<first byte>-<last byte>`"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn ranges_of_a_blob() {
        for (text, expected) in [
            ("bytes=0-3", Asked::Part(0, 3)),
            ("bytes=2-", Asked::Part(2, 9)),
            ("bytes=-3", Asked::Part(7, 9)),
            ("bytes=-30", Asked::Part(0, 9)),
            ("bytes=5-50", Asked::Part(5, 9)),
            ("bytes=10-", Asked::Nothing),
            ("bytes=-0", Asked::Nothing),
            ("bytes=5-2", Asked::Whole),
            ("bytes=0-1,4-5", Asked::Whole),
            ("lines=1-2", Asked::Whole),
        ] {
            let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static(text))]);
            assert_eq!(asked(&headers, 10), expected, "{text}");
        }
        assert_eq!(asked(&HeaderMap::new(), 0), Asked::Whole);
    }

    #[test]
    fn ranges_of_a_piece() {
        let of =
            |text| sent(&HeaderMap::from_iter([(header::CONTENT_RANGE, HeaderValue::from_static(text))]));
        assert_eq!(of("0-9"), Ok(Some((0, 9))));
        assert_eq!(of("bytes 5-9/*"), Ok(Some((5, 9))));
        assert!(of("9-5").is_err());
        assert!(of("all").is_err());
        assert_eq!(sent(&HeaderMap::new()), Ok(None));
    }
}
