//! The file that an administrator starts from.

use crate::id::MemberId;
use crate::operator::Purpose;
use crate::receipt::ReceiptReason;

const TEMPLATE: &str = r#"# What this node sends to, answers and takes from one peer. What is not written is not allowed;
# a key that is not known is refused. Two administrators confirm this file together with the peer's card.

version = 1
member = "@MEMBER@"
# The treaty, agreement or memorandum on which it rests.
reference = "Example memorandum of understanding"

[sends]
# Kinds of notices that the peer may be addressed with. "un" is local unless addressed explicitly.
kinds = [
    "red", "blue", "green", "yellow", "black", "orange", "purple", "silver",
    "document", "vehicle", "vessel", "firearm",
]

# Fields that the peer is not shown, by subject. It can prove that the rest is what was signed.
# Mandatory fields (handling, legal basis, reasons …) cannot be withheld.
[sends.withhold]
person = ["biometric-references"]
body = ["biometric-references"]

[answers]
# Subjects that the peer may ask about, and purposes for which it may.
# Purposes: @PURPOSES@.
subjects = ["person", "organisation", "body", "document", "vehicle", "vessel", "firearm", "asset", "identifier"]
purposes = [
    "crime-prevention", "criminal-investigation", "missing-person-search", "victim-protection",
    "humanitarian-identification", "border-check", "counter-terrorism", "extradition", "exercise",
]
# What a hit shows: "score", "reference", or a list of fields such as ["family-name", "given-names"].
shows = "reference"
queries_per_hour = 600

[receives]
# Kinds that are taken from the peer, and what becomes of them: "actionable" at once, "quarantine" until the desk
# approves, or "refuse:REASON" with a signed reason code.
# Reasons: @REASONS@.
kinds = ["red", "blue", "green", "black", "orange", "purple", "silver", "document", "vehicle", "vessel", "firearm"]
decision = "quarantine"
# Show a challenged notice of the peer to the desk only, once its answer to the challenge is overdue.
block_when_unanswered = false

# Kinds for which something else holds.
[receives.exceptions]
yellow = "actionable"
"#;

const COMMENT_WIDTH: usize = 110;

pub(super) fn example(member: MemberId) -> String {
    let reasons = ReceiptReason::decisions().map(|reason| reason.to_string()).collect::<Vec<_>>().join(", ");
    TEMPLATE
        .replace("@MEMBER@", &member.to_string())
        .replace("@PURPOSES@", &wrapped(&Purpose::codes()))
        .replace("@REASONS@", &wrapped(&reasons))
}

/// A long list over several comment lines.
fn wrapped(list: &str) -> String {
    let mut out = String::new();
    let mut width = 0;
    for word in list.split(' ') {
        if width + word.len() > COMMENT_WIDTH - 20 {
            out.push_str("\n#   ");
            width = 0;
        } else if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
        width += word.len() + 1;
    }
    out
}
