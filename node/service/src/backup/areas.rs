//! Which rows are this member's own.

use eads_domain::id::MemberId;
use eads_store::port::Area;

use crate::area::{self, meta};
use crate::notices::Referred;
use crate::rows::{self, Followed, PurgeJob};

/// What becomes of an area in a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// Plain rows, those that are this member's own.
    Rows,
    /// Sealed values, sealed anew.
    Values,
    /// Never: it is what peers sent, or follows from it.
    Never,
}

/// Every area, in the order in which it is written.
const AREAS: &[(Area, Keep)] = &[
    (area::META, Keep::Rows),
    (area::OWN_ENTRY, Keep::Rows),
    (area::OWN_CONTENT, Keep::Values),
    (area::OWN_NOTICE, Keep::Rows),
    (area::OWN_VERSION, Keep::Rows),
    (area::REFERENCE, Keep::Rows),
    (area::DRAFT, Keep::Values),
    (area::DELIVERY, Keep::Rows),
    (area::HOLDING, Keep::Rows),
    (area::RECEIPT, Keep::Rows),
    (area::PEER, Keep::Values),
    (area::PEER_PART, Keep::Rows),
    (area::LEAVES, Keep::Never),
    // Before what was followed, which becomes one of these and is newer.
    (area::WITNESSED, Keep::Rows),
    (area::FOLLOWED, Keep::Rows),
    (area::HELD_NOTICE, Keep::Never),
    (area::HELD_CONTENT, Keep::Never),
    (area::MARK, Keep::Never),
    (area::OWED, Keep::Never),
    (area::ANSWERED, Keep::Never),
    (area::PURGE, Keep::Rows),
    (area::EXPIRY, Keep::Rows),
    (area::RECORD, Keep::Values),
    (area::IMPORT, Keep::Rows),
    (area::LISTED, Keep::Rows),
    (area::PEER_PENDING, Keep::Rows),
    (area::OWNERS_STATE, Keep::Never),
    (area::COSIGNED, Keep::Rows),
    (area::FORK, Keep::Rows),
    (area::UNFREEZE, Keep::Rows),
    (area::OPAQUE, Keep::Rows),
    (area::RECALLED, Keep::Rows),
    (area::BLOB, Keep::Values),
    (area::BLOB_LOOSE, Keep::Rows),
    (area::BLOB_STATEMENT, Keep::Rows),
    (area::HELD_BLOBS, Keep::Never),
    (area::BLOB_WANTED, Keep::Never),
    // Decisions about what peers sent, which is delivered and decided upon anew.
    (area::DESK, Keep::Never),
    (area::COLLISION, Keep::Never),
    (area::SCREEN, Keep::Never),
    (area::CHALLENGE, Keep::Values),
    (area::PEER_POSITION, Keep::Rows),
    (area::EMERGENCY, Keep::Rows),
    (area::OWN_CARD, Keep::Values),
    (area::OFFICER, Keep::Values),
    (area::OFFICER_PENDING, Keep::Values),
    (area::REBASELINE, Keep::Rows),
    (area::FORMER_REGISTER, Keep::Rows),
    (area::FORGETTING, Keep::Rows),
    (area::HOLD, Keep::Values),
    (area::WRITE_OFF, Keep::Rows),
    (area::SUBJECT_REQUEST, Keep::Values),
    (area::NOT_THIS_PERSON, Keep::Values),
    (area::AUDIT_COUNTERSIGNATURE, Keep::Rows),
];

/// The areas that go into a backup.
pub(super) fn kept() -> impl Iterator<Item = (Area, Keep)> {
    AREAS.iter().copied().filter(|(_, keep)| *keep != Keep::Never)
}

/// The area of these two bytes, if it goes into a backup.
pub(super) fn of(prefix: [u8; 2]) -> Option<Area> {
    kept().map(|(area, _)| area).find(|area| area.prefix() == prefix)
}

/// What becomes of the area of these two bytes.
pub(super) fn keep(prefix: [u8; 2]) -> Keep {
    AREAS.iter().find(|(area, _)| area.prefix() == prefix).map_or(Keep::Never, |(_, keep)| *keep)
}

/// The row as it goes into the backup of `member`; none if it does not. What cannot be read goes as it is, for the
/// check of the restored node to name.
pub(super) fn own(member: MemberId, area: Area, key: &[u8], row: Vec<u8>) -> Option<(Area, Vec<u8>, Vec<u8>)> {
    let is_own = match area {
        area::META => key == meta::CHECKPOINT || key == meta::RECOVERED,
        area::REFERENCE => rows::parse::<Referred>(&row).is_ok_and(|referred| referred.owner == member),
        area::EXPIRY => key.get(8..10) == Some(member.as_bytes()),
        area::PURGE => rows::parse::<PurgeJob>(&row).is_ok_and(|job| !matches!(job, PurgeJob::Held { .. })),
        area::FOLLOWED => {
            // Followed anew from the start; what was followed so far is remembered as a witness would, so that a
            // peer with another history is caught when it is followed so far again.
            let followed: Followed = rows::parse(&row).ok()?;
            let witness = [key, member.as_bytes()].concat();
            return (!followed.checkpoint.is_empty())
                .then(|| (area::WITNESSED, witness, followed.checkpoint.into_bytes()));
        }
        _ => true,
    };
    is_own.then(|| (area, key.to_vec(), row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_area_is_decided_upon() {
        let declared = include_str!("../area.rs").matches(": Area = Area::new(").count();
        assert_eq!(declared, AREAS.len(), "say of each new area whether it goes into a backup");
        for (at, (area, _)) in AREAS.iter().enumerate() {
            assert!(AREAS.iter().skip(at + 1).all(|(other, _)| other.prefix() != area.prefix()), "{area:?}");
        }
    }
}
