//! What a content must and must not say, by its kind and by what the statement does (DESIGN §5).

use super::{ContentError, Fields, SlotNumber, SlotSet, SlotTable, checks};
use crate::statement::Action;
use crate::value::Value;

/// How far a content is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Written by an officer: reference, version and approvals are still to come.
    Draft,
    /// Complete.
    Complete,
}

/// Everything that is wrong with the shown fields; empty if nothing is.
pub(crate) fn check(fields: &dyn Fields, action: Action, stage: Stage) -> Vec<ContentError> {
    let (subject, kind) = (fields.subject(), fields.kind());
    let table = SlotTable::get();
    if !table.is_kind_of(subject, kind) {
        return vec![ContentError::KindNotForSubject { subject, kind }];
    }
    let mut errors = Vec::new();
    for slot in SlotNumber::all() {
        let Some(value) = fields.shown(slot) else { continue };
        match table.slot(subject, slot) {
            None if value.is_absent() => {}
            None => errors.push(ContentError::UnknownSlot { subject, slot }),
            Some(spec) => {
                let field = spec.name.as_str();
                let said = !value.is_absent();
                let awaited = stage == Stage::Draft && set_by_node().contains(slot);
                let required = spec.mandatory && !awaited || action.describes_subject() && spec.is_required_in(kind);
                if said && !spec.mandatory && !action.describes_subject() {
                    errors.push(ContentError::NotInStateChange { field });
                } else if said && !spec.is_allowed_in(kind) {
                    errors.push(ContentError::NotAllowed { field, kind });
                } else if !said && required {
                    errors.push(ContentError::Required { field });
                } else if let Err(error) = spec.check(value) {
                    errors.push(error);
                }
            }
        }
    }
    check_handling(fields, &mut errors);
    if matches!(action, Action::Suspend | Action::Withdraw) && is_empty_list(fields.shown(SlotNumber::REASONS)) {
        errors.push(ContentError::ReasonRequired);
    }
    if action != Action::Issue && fields.is_emergency() {
        errors.push(ContentError::EmergencyNotFirst);
    }
    if action.describes_subject() {
        errors.extend(checks::broken(fields).map(ContentError::Check));
    }
    errors
}

/// The slots that the node fills in: reference, version, approvals.
pub(super) fn set_by_node() -> SlotSet {
    [SlotNumber::REFERENCE, SlotNumber::VERSION, SlotNumber::APPROVALS].into_iter().collect()
}

fn is_empty_list(value: Option<&Value>) -> bool {
    value.is_some_and(|value| matches!(value, Value::List(items) if items.is_empty()))
}

/// SIENA: H3 says in words what it restricts; H0, H1, H2 mean what they mean.
fn check_handling(fields: &dyn Fields, errors: &mut Vec<ContentError>) {
    let items = fields.shown(SlotNumber::HANDLING).map_or(&[][..], Value::items);
    let is_wrong = |item: &Value| match item.items() {
        [code, text] => (code.as_text() == Some("H3")) != matches!(text, Value::Text(_)),
        _ => false,
    };
    if items.iter().any(is_wrong) {
        errors.push(ContentError::HandlingText);
    }
}
