//! Times, ages and sizes as people read them.

use eads_domain::clock::Timestamp;

/// A moment as RFC 3339 in UTC; `-` where there is none (0).
pub(crate) fn moment(unix: i64) -> String {
    if unix == 0 { "-".to_owned() } else { Timestamp::from_unix(unix).to_string() }
}

/// A moment for JSON; null where there is none (0).
pub(crate) fn json_time(unix: i64) -> Option<String> {
    (unix != 0).then(|| moment(unix))
}

/// How long ago, or in how long: `3 s ago`, `in 5 d`; `never` where there is none (0).
pub(crate) fn age(now: Timestamp, unix: i64) -> String {
    if unix == 0 {
        return "never".to_owned();
    }
    let seconds = now.seconds_since(Timestamp::from_unix(unix));
    match seconds {
        0 => "now".to_owned(),
        1.. => format!("{} ago", span(seconds.unsigned_abs())),
        _ => format!("in {}", span(seconds.unsigned_abs())),
    }
}

/// A moment with how far it is from now; `-` where there is none (0).
pub(crate) fn dated(now: Timestamp, unix: i64) -> String {
    if unix == 0 { "-".to_owned() } else { format!("{} ({})", moment(unix), age(now, unix)) }
}

/// The two-digit-or-less count of the largest unit that fits.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Milliseconds: `12 ms`, `1.2 s`.
pub(crate) fn milliseconds(ms: u32) -> String {
    if ms < 1_000 { format!("{ms} ms") } else { format!("{}.{} s", ms / 1_000, ms % 1_000 / 100) }
}

/// Bytes in binary units: `512 B`, `1.5 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut whole = count;
    let mut tenths = 0;
    let mut unit = "B";
    for next in UNITS {
        if whole < 1_024 {
            break;
        }
        tenths = whole % 1_024 * 10 / 1_024;
        whole /= 1_024;
        unit = next;
    }
    if unit == "B" { format!("{whole} B") } else { format!("{whole}.{tenths} {unit}") }
}

/// `1 notice`, `2 notices`.
pub(crate) fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_say_the_largest_unit_that_fits() {
        let now = Timestamp::from_unix(1_000_000);
        for (unix, text) in [
            (0, "never"),
            (1_000_000, "now"),
            (999_997, "3 s ago"),
            (999_000, "16 min ago"),
            (990_000, "2 h ago"),
            (1_432_000, "in 5 d"),
        ] {
            assert_eq!(age(now, unix), text);
        }
    }

    #[test]
    fn sizes_and_times_are_short() {
        assert_eq!([bytes(0), bytes(1_023), bytes(1_536), bytes(5 << 30)].join(" "), "0 B 1023 B 1.5 KiB 5.0 GiB");
        assert_eq!([milliseconds(12), milliseconds(1_240)].join(" "), "12 ms 1.2 s");
        assert_eq!(moment(1_795_492_085), "2026-11-24T03:48:05Z");
        assert_eq!(json_time(0), None);
    }
}
