//! Who could be meant by two notices at once: the one a suspect, the other a victim or a missing person (DESIGN §5).
//!
//! Pure rules over the fields of one notice or record; whether two of them mean the same person is the search's
//! work. A false alarm costs a conversation, a missed one punishes a victim: any code of protection counts.

use crate::slot::Fields;
use crate::subject::NoticeKind;

/// What a notice or record says of the person whom it means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    /// That the person, or the holder of the document, may have done something: acting on it may harm a victim.
    pub accuses: bool,
    /// That the person is missing, dead or in need of protection.
    pub protects: bool,
}

impl Sides {
    /// What a notice says.
    pub fn of(content: &impl Fields) -> Self {
        Self::of_parts(Some(content.kind()), &content.protection(), content.text_of("document-reason"))
    }

    /// What a notice of a kind, or a record where there is none, says with these codes.
    pub fn of_parts(kind: Option<NoticeKind>, protection: &[&str], document_reason: Option<&str>) -> Self {
        let accuses = matches!(kind, Some(NoticeKind::Red | NoticeKind::Blue | NoticeKind::Document));
        let is_victims = matches!(kind, Some(NoticeKind::Yellow | NoticeKind::Black));
        let is_withheld = document_reason == Some(WITHHELD);
        Self { accuses, protects: is_victims || is_withheld || !protection.is_empty() }
    }

    /// Whether the person is to be screened before anything else by what this one notice says itself.
    pub const fn screen_first(self) -> bool {
        self.accuses && self.protects
    }

    /// Whether two that mean one person contradict each other.
    pub const fn collides(self, other: Self) -> bool {
        (self.accuses && other.protects) || (self.protects && other.accuses)
    }

    /// Whether anything could ever collide with it.
    pub const fn is_any(self) -> bool {
        self.accuses || self.protects
    }
}

/// A document that somebody keeps from its holder: a sign of trafficking, not a crime of the holder.
const WITHHELD: &str = "withheld-from-holder";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_wanted_and_who_is_to_be_protected() {
        let sides = |kind, codes: &[&str], reason| {
            let sides = Sides::of_parts(kind, codes, reason);
            (sides.accuses, sides.protects)
        };
        let table = [
            (Some(NoticeKind::Red), (true, false)),
            (Some(NoticeKind::Blue), (true, false)),
            (Some(NoticeKind::Document), (true, false)),
            (Some(NoticeKind::Yellow), (false, true)),
            (Some(NoticeKind::Black), (false, true)),
            (Some(NoticeKind::Green), (false, false)),
            (Some(NoticeKind::Vehicle), (false, false)),
            (None, (false, false)),
        ];
        for (kind, expected) in table {
            assert_eq!(sides(kind, &[], None), expected, "{kind:?}");
            assert_eq!(sides(kind, &["victim"], None), (expected.0, true), "{kind:?} of a victim");
        }
        assert_eq!(sides(Some(NoticeKind::Document), &[], Some("stolen")), (true, false));
        assert_eq!(sides(Some(NoticeKind::Document), &[], Some("withheld-from-holder")), (true, true));
    }

    #[test]
    fn only_an_accusation_and_a_protection_collide() {
        let of = |accuses, protects| Sides { accuses, protects };
        for (one, other, collide) in [
            (of(true, false), of(false, true), true),
            (of(false, true), of(true, false), true),
            (of(true, true), of(true, false), true),
            (of(true, false), of(true, false), false),
            (of(false, true), of(false, true), false),
            (of(false, false), of(false, true), false),
        ] {
            assert_eq!(one.collides(other), collide, "{one:?} {other:?}");
            assert_eq!(other.collides(one), collide, "{other:?} {one:?}");
        }
    }
}
