//! Invented people by number: names from stocks as large as those of a real population, everything else distinct.

/// Distinct family and given names, about as many as a million real persons have.
const FAMILIES: usize = 40_000;
const GIVEN: usize = 60_000;

const HEADS: [&str; 20] = [
    "ba", "cha", "de", "fi", "gu", "ha", "ji", "ka", "li", "ma", "na", "po", "ra", "sa", "ta", "u", "wi", "ya", "zu",
    "ngo",
];
const TAILS: [&str; 20] = [
    "n", "ng", "to", "ri", "wan", "di", "mat", "sak", "chai", "lee", "no", "ra", "kan", "tip", "yut", "man", "rin",
    "da", "sor", "vit",
];

/// A word of three syllables; another for every number below 160,000.
fn word(number: usize) -> String {
    let pick = |list: &'static [&'static str; 20], at: usize| list.get(at % 20).copied().unwrap_or_default();
    let (first, second) = (pick(&HEADS, number), pick(&HEADS, number / 20));
    let (third, fourth) = (pick(&HEADS, number / 400 / 20), pick(&TAILS, number / 400));
    format!("{first}{second}{third}{fourth}")
}

/// Scatters numbers so that neighbours share nothing.
fn scattered(number: usize, salt: usize) -> usize {
    let mixed = (number as u64 ^ (salt as u64) << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> 24).unwrap_or_default()
}

/// Family name.
pub(crate) fn family(number: usize) -> String {
    word(scattered(number, 1) % FAMILIES)
}

/// Two given names.
pub(crate) fn given(number: usize) -> String {
    format!("{} {}", word(FAMILIES + scattered(number, 2) % GIVEN), word(FAMILIES + scattered(number, 3) % GIVEN))
}

/// Day of birth.
pub(crate) fn birth(number: usize) -> String {
    let at = scattered(number, 4);
    format!("{}-{:02}-{:02}", 1940 + at % 65, 1 + at / 65 % 12, 1 + at / 780 % 28)
}

/// Passport number; no two are the same.
pub(crate) fn passport(number: usize) -> String {
    format!("X{number:07}")
}

/// A wanted person, as an officer drafts it.
pub(crate) fn wanted(number: usize) -> String {
    format!(
        r#"kind = "red"
subject = "person"
handling = ["H1"]
grading = "B2"
legal-basis = ["arrest-warrant"]
reasons = []
protection = []
authority = "Court of First Instance"
requested-action = "arrest-for-extradition"
family-name = "{family}"
given-names = "{given}"
birth-date = {birth}
sex = "M"
nationalities = ["ID"]
documents = [{{ type = "passport", number = "{passport}", country = "ID" }}]
height-cm = 171
warrants = [{{ country = "ID", charge = "fraud by an online scheme", penalty = "up to 6 years", reference = "{number}/17" }}]
penalty = {{ maximum-months = 72 }}
offences = ["online-scam"]
summary = "Invented for a measurement; belongs to nobody."
"#,
        family = family(number),
        given = given(number),
        birth = birth(number),
        passport = passport(number),
    )
}

/// Records as a register of persons exports them, with a line of heads.
pub(crate) fn csv(count: usize) -> String {
    let mut out = String::from("key,family-name,given-names,birth-date,sex,nationalities\n");
    for number in 0..count {
        out.push_str(&format!("R-{number},{},{},{},M,ID\n", family(number), given(number), birth(number)));
    }
    out
}
