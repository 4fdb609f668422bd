//! How long a notice usually stands before it has to be looked at again.

use crate::subject::NoticeKind;

/// The longest that a notice which one officer issued in an emergency may stand alone, hours: no configuration
/// allows more, and a receiver relies on it no longer, whatever its owner does.
pub const LONGEST_EMERGENCY_HOURS: u32 = 72;

/// Days of validity where an officer names none. The end of validity is the review date: nothing outlives it
/// without two officers who say so again.
pub const fn usual_validity_days(kind: NoticeKind, is_minor: bool) -> u32 {
    match kind {
        NoticeKind::Yellow if is_minor => 2 * 365,
        NoticeKind::Red | NoticeKind::Yellow | NoticeKind::Black => 5 * 365,
        NoticeKind::Blue | NoticeKind::Green | NoticeKind::Orange | NoticeKind::Un => 365,
        NoticeKind::Purple | NoticeKind::Silver => 3 * 365,
        NoticeKind::Document | NoticeKind::Vehicle | NoticeKind::Vessel | NoticeKind::Firearm => 10 * 365,
    }
}
