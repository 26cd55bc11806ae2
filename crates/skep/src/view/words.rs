//! Numbers as people read them.

use std::time::Duration;

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

/// `1/3 new, 2 old`; without old ones they are just pods.
pub(crate) fn pods(ready: u32, wanted: u32, old: u32) -> String {
    match old {
        0 => format!("{ready}/{wanted}"),
        old => format!("{ready}/{wanted} new, {old} old"),
    }
}

/// `9m58s left`: a deadline is a short word in a narrow column.
pub(crate) fn left(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..=59 => format!("{seconds}s left"),
        seconds @ 60..=3599 => format!("{}m{:02}s left", seconds / 60, seconds % 60),
        seconds => format!("{}h{:02}m left", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_well() {
        assert_eq!([duration(7), duration(4_250), duration(185_000)], ["7 ms", "4.2 s", "3 min 05 s"]);
        assert_eq!([bytes(812), bytes(4_250), bytes(21_300_000)], ["812 B", "4.2 kB", "21.3 MB"]);
    }

    #[test]
    fn pods_and_what_is_left() {
        assert_eq!((pods(0, 2, 0), pods(1, 3, 2)), ("0/2".to_owned(), "1/3 new, 2 old".to_owned()));
        let left = |seconds| left(Duration::from_secs(seconds));
        assert_eq!(
            (left(5), left(598), left(3725)),
            ("5s left".into(), "9m58s left".into(), "1h02m left".into())
        );
    }
}
