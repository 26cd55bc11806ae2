//! Numbers as people read them.

/// `340 ms`, `4.2 s`, `3 min 05 s`.
pub(crate) fn duration(millis: u64) -> String {
    match millis {
        0..=999 => format!("{millis} ms"),
        1_000..=59_999 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        _ => format!("{} min {:02} s", millis / 60_000, millis % 60_000 / 1000),
    }
}

/// `812 B`, `4.2 kB`, `21.3 MB`: powers of ten, as network and disk makers count.
pub(crate) fn bytes(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..=999 => return format!("{bytes} B"),
        1_000..=999_999 => (1_000, "kB"),
        1_000_000..=999_999_999 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    };
    format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_well() {
        assert_eq!([duration(7), duration(4_250), duration(185_000)], ["7 ms", "4.2 s", "3 min 05 s"]);
        assert_eq!([bytes(812), bytes(4_250), bytes(21_300_000)], ["812 B", "4.2 kB", "21.3 MB"]);
    }
}
