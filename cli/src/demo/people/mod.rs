//! Invented people: for each member the same every time, made by chance from a seed.

mod names;

use std::fmt::Write as _;

use eads_domain::entropy::{Entropy as _, SeededEntropy, random};
use eads_domain::id::MemberId;

use self::names::{Name, Order, names_of};

/// Member states in the order in which they join, with what people call them.
pub(super) const MEMBERS: [(&str, &str); 11] = [
    ("ID", "Indonesia"),
    ("MY", "Malaysia"),
    ("TH", "Thailand"),
    ("SG", "Singapore"),
    ("PH", "the Philippines"),
    ("VN", "Viet Nam"),
    ("KH", "Cambodia"),
    ("LA", "Lao PDR"),
    ("MM", "Myanmar"),
    ("BN", "Brunei Darussalam"),
    ("TL", "Timor-Leste"),
];

/// The name of the register that the records come from.
pub(super) const SOURCE: &str = "national-register";

/// The person whom Indonesia looks for, and of whom Malaysia has a record of its own.
pub(super) struct Wanted;

impl Wanted {
    /// As an officer in another country writes it: another order, other letters.
    pub(super) const ASKED: &str = "WIRATAMA surya bagaskara";
    /// The number of the passport.
    pub(super) const PASSPORT: &str = "X7301948";
    /// A telephone number, which not every peer is shown.
    pub(super) const PHONE: &str = "+62 800 0000 417";

    /// The draft of the red notice; `armed` is what becomes known later.
    pub(super) fn draft(armed: bool) -> String {
        let (warning, summary) = if armed {
            ("warnings = [\"armed\", \"violent\"]\n", "Invented. Seen with a firearm; approach with caution.")
        } else {
            ("", "Invented. Ran call centres that defrauded the elderly.")
        };
        format!(
            r#"kind = "red"
subject = "person"
handling = ["H1"]
grading = "B2"
legal-basis = ["arrest-warrant"]
reasons = []
protection = []
authority = "Demonstration prosecutor"
requested-action = "arrest-for-extradition"
family-name = "Wiratama"
given-names = "Surya Bagaskara"
aliases = ["Mr Cahaya", {{ name = "Suriya Wirattama", quality = "spelling", original-script = "สุริยา วิรัตธรรม" }}]
birth-date = 1984-07-19
sex = "M"
nationalities = ["ID"]
documents = [{{ type = "passport", number = "{passport}", country = "ID" }}]
phones = ["{phone}"]
height-cm = 171
warrants = [{{ country = "ID", charge = "Online fraud", penalty = "up to 6 years", reference = "DEMO/2026/17" }}]
penalty = {{ maximum-months = 72 }}
offences = ["online-scam"]
{warning}summary = "{summary}"
"#,
            passport = Self::PASSPORT,
            phone = Self::PHONE
        )
    }

    /// The line of Malaysia's file.
    fn record() -> String {
        format!("IMM-88417,WIRATAMA,Surya Bagaskara,,1984-07-19,M,ID,passport|{}|ID\n", Self::PASSPORT)
    }
}

/// A draft about a stolen passport of Thailand with this number.
pub(super) fn stolen_passport(number: &str) -> String {
    format!(
        r#"kind = "document"
subject = "document"
handling = ["H1"]
grading = "A1"
legal-basis = ["theft-or-loss-report"]
reasons = []
protection = []
requested-action = "seize-document"
document-type = "passport"
number = "{number}"
country = "TH"
document-reason = "stolen"
event-date = "2026-03"
report = "DEMO/2026/18"
"#
    )
}

/// A file of `count` records of `member`, CSV with the names of the slot table; Malaysia's ends with one more.
pub(super) fn records(member: MemberId, count: usize) -> String {
    let member = member.to_string();
    let chance = Chance(SeededEntropy::new(&format!("eads demo {member}")));
    let mut file =
        String::from("key,family-name,given-names,name-original-script,birth-date,sex,nationalities,documents\n");
    for number in 0..count {
        let person = Person::invent(&member, &chance);
        let Person { family, given, original, birth_date, sex } = person;
        // Writing to a string does not fail.
        let _ = writeln!(
            file,
            "R-{number:05},{family},{given},{original},{birth_date},{sex},{member},passport|{member}{passport:07}|{member}",
            passport = 1_000_000 + number
        );
    }
    if member == "MY" {
        file.push_str(&Wanted::record());
    }
    file
}

struct Person {
    family: String,
    given: String,
    original: String,
    birth_date: String,
    sex: &'static str,
}

impl Person {
    fn invent(member: &str, chance: &Chance) -> Self {
        let names = names_of(member);
        let woman = chance.below(2) == 0;
        let family = chance.pick(&names.family);
        let given = chance.pick(if woman { &names.women } else { &names.men });
        let (year, month, day) = (1950 + chance.below(55), 1 + chance.below(12), 1 + chance.below(28));
        let (latin_family, latin_given) = match names.order {
            Order::GivenOnlyJoined => (String::new(), format!("{} {}", given.0, family.0)),
            _ => (family.0.to_owned(), given.0.to_owned()),
        };
        Self {
            family: latin_family,
            given: latin_given,
            original: original(names.order, family, given, woman),
            birth_date: format!("{year:04}-{month:02}-{day:02}"),
            sex: if woman { "F" } else { "M" },
        }
    }
}

/// The whole name in its own script; empty where that is Latin without other letters.
fn original(order: Order, family: Name, given: Name, woman: bool) -> String {
    let (family, given) = (family.1, given.1);
    if family.is_empty() || given.is_empty() {
        return String::new();
    }
    match order {
        Order::GivenFirst => format!("{given} {family}"),
        Order::FamilyFirst => format!("{family} {given}"),
        Order::FamilyFirstJoined => format!("{family}{given}"),
        Order::GivenOnlyJoined => format!("{given}{family}"),
        Order::Patronymic => format!("{given} {} {family}", if woman { "بنت" } else { "بن" }),
    }
}

/// Chance that repeats itself.
struct Chance(SeededEntropy);

impl Chance {
    fn below(&self, bound: u16) -> u16 {
        u16::from_be_bytes(random(&self.0)) % bound
    }

    fn pick(&self, names: &[Name]) -> Name {
        let mut at = [0];
        self.0.fill(&mut at);
        let place = usize::from(at[0]) % names.len().max(1);
        names.get(place).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use eads_domain::slot::{Content, FieldInput};
    use eads_domain::statement::Action;

    use super::*;

    fn member(text: &str) -> MemberId {
        text.parse().expect("member")
    }

    #[test]
    fn the_same_people_are_invented_every_time_and_others_in_each_state() {
        let all: Vec<String> = MEMBERS.iter().map(|(id, _)| records(member(id), 40)).collect();
        for (at, (id, _)) in MEMBERS.iter().enumerate() {
            assert_eq!(all.get(at), Some(&records(member(id), 40)));
            assert_eq!(all.iter().filter(|file| Some(*file) == all.get(at)).count(), 1, "{id}");
        }
    }

    #[test]
    fn every_line_has_every_column() {
        for (id, _) in MEMBERS {
            let file = records(member(id), 25);
            let mut reader = csv::Reader::from_reader(file.as_bytes());
            let lines = reader.records().collect::<Result<Vec<_>, _>>().expect("CSV");
            assert_eq!(lines.len(), if id == "MY" { 26 } else { 25 });
        }
    }

    #[test]
    fn names_stand_in_their_own_script() {
        for (id, letter) in [("TH", 'ส'), ("KH", 'ស'), ("LA", 'ວ'), ("MM", 'အ'), ("MY", 'ا'), ("SG", '明')] {
            assert!(records(member(id), 60).contains(letter), "{id}");
        }
    }

    #[test]
    fn the_drafts_are_ones_that_an_officer_may_hand_in() {
        for (draft, action) in [
            (Wanted::draft(false), Action::Issue),
            (Wanted::draft(true), Action::Amend),
            (stolen_passport("AA0000001"), Action::Issue),
        ] {
            let fields: BTreeMap<String, FieldInput> = toml::from_str(&draft).expect("TOML");
            let content = Content::from_fields(fields).expect("content");
            content.check_draft(action).expect("complete");
        }
    }
}
