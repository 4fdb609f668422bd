//! Contents of invented subjects for the tests of this crate.

use std::collections::BTreeMap;

use super::{Content, FieldInput};
use crate::entropy::SeededEntropy;
use crate::reference::Reference;

/// What every draft says.
pub(crate) const COMMON: &str = r#"
handling = ["H1"]
grading = "B2"
legal-basis = ["arrest-warrant"]
"#;

pub(crate) const RED: &str = r#"
kind = "red"
subject = "person"
requested-action = "arrest-for-extradition"
family-name = "Contoh"
given-names = "Budi Sintetis"
aliases = ["Si Contoh", { name = "Budy", quality = "low", original-script = "บูดี้" }]
birth-date = 1990-05-01
sex = "m"
nationalities = ["id", "stateless"]
documents = [{ type = "passport", number = "X0000001", country = "ID" }]
phones = ["+62 800 0000 001"]
height-cm = 172
warrants = [{ country = "ID", charge = "Online fraud", penalty = "up to 6 years", reference = "W-1/2026" }]
penalty = { maximum-months = 72 }
offences = ["online-scam"]
summary = "Invented."
"#;

pub(crate) const DOCUMENT: &str = r#"
kind = "document"
subject = "document"
document-type = "passport"
number = "X0000002"
country = "MY"
document-reason = "withheld-from-holder"
protection = ["possible-victim-of-trafficking"]
"#;

/// The fields of a draft in TOML, with [`COMMON`] before it.
pub(crate) fn fields(draft: &str) -> BTreeMap<String, FieldInput> {
    toml::from_str(&format!("{COMMON}{draft}")).unwrap()
}

/// The content of a draft in TOML, as version 1 of a notice of Indonesia.
pub(crate) fn content(draft: &str) -> Content {
    let mut content = Content::from_fields(fields(draft)).unwrap();
    let reference = Reference::generate("ID".parse().unwrap(), 2026, &SeededEntropy::new("samples"));
    content.set_identity(reference, 1).unwrap();
    content
}
