use super::DraftAct::{Approve, Discard, Issue, IssueInEmergency, Replace, Return, Submit};
use super::DraftState::{Approved, Draft, Returned, Submitted};
use super::NoticeAct::{Amend, Confirm, Expire, Extend, Lapse, Resume, Suspend, Withdraw};
use super::*;
use crate::operator::Role;
use crate::subject::NoticeKind;

/// Every transition of a draft that there is.
const DRAFT: &[(DraftState, DraftAct, DraftStep)] = &[
    (Draft, Submit, DraftStep::To(Submitted)),
    (Draft, Replace, DraftStep::To(Draft)),
    (Draft, Discard, DraftStep::Gone),
    (Submitted, Replace, DraftStep::To(Draft)),
    (Submitted, Return, DraftStep::To(Returned)),
    (Submitted, Approve, DraftStep::To(Approved)),
    (Submitted, IssueInEmergency, DraftStep::Published),
    (Submitted, Discard, DraftStep::Gone),
    (Approved, Return, DraftStep::To(Returned)),
    (Approved, Approve, DraftStep::To(Approved)),
    (Approved, Issue, DraftStep::Published),
    (Approved, Discard, DraftStep::Gone),
    (Returned, Replace, DraftStep::To(Draft)),
    (Returned, Submit, DraftStep::To(Submitted)),
    (Returned, Discard, DraftStep::Gone),
];

/// Every transition of a notice that there is.
const NOTICE: &[(Life, NoticeAct, Life)] = &[
    (Life::Issued, Amend, Life::Issued),
    (Life::Issued, Extend, Life::Issued),
    (Life::Issued, Confirm, Life::Issued),
    (Life::Issued, Suspend, Life::Suspended),
    (Life::Issued, Lapse, Life::Suspended),
    (Life::Issued, Withdraw, Life::Withdrawn),
    (Life::Issued, Expire, Life::Expired),
    (Life::Suspended, Resume, Life::Issued),
    (Life::Suspended, Confirm, Life::Issued),
    (Life::Suspended, Withdraw, Life::Withdrawn),
    (Life::Suspended, Expire, Life::Expired),
];

#[test]
fn a_draft_does_what_its_table_says_and_nothing_else() {
    for state in DraftState::ALL {
        for act in DraftAct::ALL {
            let listed = DRAFT.iter().find(|(from, by, _)| (*from, *by) == (state, act)).map(|(.., to)| *to);
            assert_eq!(state.after(act).ok(), listed, "{state}, {act}");
        }
    }
}

#[test]
fn a_notice_does_what_its_table_says_and_nothing_else() {
    for life in Life::ALL {
        for act in NoticeAct::ALL {
            let listed = NOTICE.iter().find(|(from, by, _)| (*from, *by) == (life, act)).map(|(.., to)| *to);
            assert_eq!(life.after(act).ok(), listed, "{life}, {act}");
        }
    }
}

#[test]
fn nothing_is_published_that_only_its_drafter_has_seen_but_an_emergency() {
    let published: Vec<_> = DRAFT.iter().filter(|(.., to)| *to == DraftStep::Published).collect();
    assert_eq!(published.len(), 2);
    for (state, act, _) in published {
        assert!(*state == Approved || *act == IssueInEmergency);
    }
    // Approved is reached by an approval alone, and an approval is another's.
    for (_, act, to) in DRAFT {
        if *to == DraftStep::To(Approved) {
            assert_eq!((*act, act.whose()), (Approve, Whose::Another));
        }
    }
    assert_eq!(Approve.allow(true), Err(Refused::ByDrafter));
    assert_eq!(Return.allow(true), Err(Refused::ByDrafter));
    assert_eq!(Replace.allow(false), Err(Refused::NotByDrafter));
    for act in DraftAct::ALL {
        assert!(act.allow(true).is_ok() || act.allow(false).is_ok(), "{act} can be done by somebody");
    }
}

#[test]
fn what_ends_or_widens_takes_two_officers_and_what_ends_is_final() {
    for act in NoticeAct::ALL {
        let protects_or_time = matches!(act, Suspend | Lapse | Expire);
        assert_eq!(act.takes_approval(), !protects_or_time, "{act}");
        assert_eq!(act.roles().is_empty(), act.whose() == Whose::Node, "{act}");
        for ended in [Life::Withdrawn, Life::Expired] {
            assert!(ended.after(act).is_err(), "{ended} is final");
        }
    }
    assert!(DraftAct::ALL.iter().all(|act| !act.roles().contains(&Role::Auditor)));
}

#[test]
fn codes_of_reasons_come_back() {
    for reason in ReturnReason::ALL {
        assert_eq!(reason.as_str().parse(), Ok(reason));
        assert!(UnknownReturnReason.to_string().contains(reason.as_str()));
    }
    assert_eq!("because".parse::<ReturnReason>(), Err(UnknownReturnReason));
}

#[test]
fn every_kind_has_a_usual_validity_below_the_longest() {
    for kind in NoticeKind::ALL {
        for minor in [false, true] {
            assert!((1..=3650).contains(&usual_validity_days(kind, minor)), "{kind}");
        }
    }
    assert!(usual_validity_days(NoticeKind::Yellow, true) < usual_validity_days(NoticeKind::Yellow, false));
}
