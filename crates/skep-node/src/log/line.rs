//! One line of a log file: `2026-11-23T05:33:24.123456789Z stdout F text`.

use jiff::Timestamp;

/// The longest text of one line; what is longer is cut into parts.
pub(super) const LONGEST: usize = 16 * 1024;

/// A line taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) time: &'a [u8],
    /// Whether the container's line ends here.
    pub(super) full: bool,
    pub(super) text: &'a [u8],
}

impl<'a> Line<'a> {
    /// Reads a line without its newline; `None` if it is not one of ours (half written when the machine died).
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(4, |byte| *byte == b' ');
        let (time, _stream, tag, text) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        Some(Self { time, full: tag == b"F", text })
    }

    /// When it was written.
    pub(super) fn timestamp(&self) -> Option<Timestamp> {
        std::str::from_utf8(self.time).ok()?.parse().ok()
    }
}

/// Appends a line to `file`. `text` has no newline.
pub(super) fn append(file: &mut Vec<u8>, time: Timestamp, stream: &str, full: bool, text: &[u8]) {
    file.extend_from_slice(format!("{time:.9} {stream} {} ", if full { "F" } else { "P" }).as_bytes());
    file.extend_from_slice(text);
    file.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let mut file = Vec::new();
        let time = Timestamp::from_second(1_700_000_000).unwrap();
        append(&mut file, time, "stderr", true, b"two words");
        assert_eq!(file, b"2023-11-14T22:13:20.000000000Z stderr F two words\n");
        let line = Line::parse(file.strip_suffix(b"\n").unwrap()).unwrap();
        assert_eq!((line.text, line.full, line.timestamp()), (b"two words".as_slice(), true, Some(time)));
        assert_eq!(Line::parse(b"torn"), None);
    }
}
