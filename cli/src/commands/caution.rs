//! What must be done before acting on a notice, in words: the same in every output.

/// One line each, the gravest first. `owner` is whose notice it is.
pub(super) fn in_words(cautions: &[String], owner: &str) -> Vec<String> {
    cautions.iter().filter(|caution| !caution.is_empty()).map(|caution| one(caution, owner)).collect()
}

fn one(caution: &str, owner: &str) -> String {
    match caution {
        "register-forked" => format!("THE REGISTER OF {owner} HAS FORKED: do not rely on this notice"),
        "confirm-with-owner" => format!("CONFIRM WITH {owner} FIRST: do not act on this copy alone"),
        "screen-first" => "SCREEN FIRST: may be a victim (non-punishment)".to_owned(),
        "emergency-unapproved" => {
            format!("EMERGENCY: not yet approved by a second officer; ask {owner} before acting")
        }
        "contested" => "CONTESTED: somebody has challenged this notice".to_owned(),
        "not-this-person" => {
            "NOT THIS PERSON: whoever was asked for is marked as somebody else than is meant here".to_owned()
        }
        other => other.to_uppercase(),
    }
}

/// For a column of a table: what must be done first, shortly.
pub(super) fn in_short(cautions: &[String]) -> String {
    cautions.join(", ")
}
