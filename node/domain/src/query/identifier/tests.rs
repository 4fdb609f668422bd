//! Spellings that must meet, and mistakes that must be told.

use proptest::prelude::*;

use super::*;
use crate::code::Coded as _;
use crate::slot::{SearchRole, SlotTable};
use crate::subject::SubjectType;

fn canonical(kind: &str, written: &str) -> String {
    IdentifierKey::new(kind.parse().unwrap(), written).unwrap().value().to_owned()
}

fn refusal(kind: &str, written: &str) -> &'static str {
    IdentifierKey::new(kind.parse().unwrap(), written).unwrap_err().code().as_str()
}

#[test]
fn spellings_of_one_identifier_meet() {
    let table = [
        ("document", "X 1234-567", "X1234567"),
        ("document", "x1234567<<<", "X1234567"),
        ("document", "Ｘ１２３４５６７", "X1234567"),
        ("plate", "กข 1234", "กข1234"),
        ("plate", "กข ๑๒๓๔", "กข1234"),
        ("plate", "b 1234 xyz", "B1234XYZ"),
        ("vin", "1m8gdm9a-xkp042788", "1M8GDM9AXKP042788"),
        ("vin", "JZX100-0012345", "JZX1000012345"),
        ("imo", "IMO 9074729", "9074729"),
        ("mmsi", "533 000 123", "533000123"),
        ("wallet", "0xAbCdEf0123456789aBcDeF0123456789abcdef01", "0xabcdef0123456789abcdef0123456789abcdef01"),
        ("wallet", "BITCOIN:BC1QAR0SRRR7XFKVY5L643LYDNW9RE59GTZZWF5MD", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5md"),
        ("wallet", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"),
        ("account", "gb82 west 1234 5698 7654 32", "GB82WEST12345698765432"),
        ("account", "123-4-56789-0", "1234567890"),
        ("phone", "+66 (0)2 123 4567", "+6621234567"),
        ("phone", "0066-2-123-4567", "+6621234567"),
        ("phone", "02 123 4567", "021234567"),
        ("phone", "\u{200e}+66 2 123 4567", "+6621234567"),
        ("email", "MAILTO:Someone@Example.TEST", "someone@example.test"),
        ("domain", "hxxps://Bad[.]Example[.]test/login?x=1", "bad.example.test"),
        ("serial", "ab-12 / 34", "AB1234"),
        ("username", "@Some_One", "some_one"),
        ("url", "hxxps://Example[.]TEST/Path/?q=A#top", "https://example.test/Path/?q=A"),
        ("ip-address", "2001:0DB8::0001", "2001:db8::1"),
        ("ip-address", "192.0.2[.]1", "192.0.2.1"),
        ("imei", "49-015420-323751-8", "490154203237518"),
        ("imei", "4901542032375101", "490154203237518"),
        ("call-sign", "9v-abc", "9VABC"),
        ("other", "Badge  No 7", "badge no 7"),
        ("un-reference", "qdi.1", "QDi.001"),
        ("un-reference", "KPE 049", "KPe.049"),
    ];
    for (kind, written, expected) in table {
        assert_eq!(canonical(kind, written), expected, "{kind} {written}");
    }
}

#[test]
fn wrong_check_digits_are_typing_errors() {
    assert_eq!(refusal("imo", "9074728"), "IDENTIFIER_CHECK_FAILED");
    assert_eq!(refusal("imei", "490154203237517"), "IDENTIFIER_CHECK_FAILED");
    assert_eq!(refusal("account", "GB82 WEST 1234 5698 7654 33"), "IDENTIFIER_CHECK_FAILED");
    assert_eq!(refusal("account", "TL38 0080 0123 4567 8910 158"), "IDENTIFIER_CHECK_FAILED");
    assert_eq!(canonical("account", "TL38 0080 0123 4567 8910 157"), "TL380080012345678910157");
}

#[test]
fn a_vin_check_digit_is_only_advisory() {
    let genuine = IdentifierKey::new(IdentifierType::Vin, "1M8GDM9AXKP042788").unwrap();
    assert_eq!(genuine.advisory(), None);
    let european = IdentifierKey::new(IdentifierType::Vin, "1M8GDM9A1KP042788").unwrap();
    assert_eq!(european.advisory(), Some(Advisory::VinCheckDigit));
}

#[test]
fn what_has_not_the_shape_of_its_type_is_refused() {
    let table = [
        ("vin", "1M8GDM9AXKP04278O"),
        ("vin", "123"),
        ("imo", "907472"),
        ("mmsi", "53300012"),
        ("wallet", "0x12"),
        ("wallet", "has spaces; and, commas in it 1234"),
        ("phone", "call me"),
        ("phone", "1+2345678"),
        ("phone", "1234567890123456"),
        ("imei", "4901542032375"),
        ("url", "example.test"),
        ("ip-address", "192.0.2.256"),
        ("username", "two words"),
        ("email", "nobody"),
        ("email", "a@b"),
        ("email", "a b@example.test"),
        ("domain", "localhost"),
        ("domain", "-bad.test"),
        ("un-reference", "QDx.001"),
        ("un-reference", "QDi.000"),
        ("document", "X'; --"),
    ];
    for (kind, written) in table {
        assert_eq!(refusal(kind, written), "IDENTIFIER_MALFORMED", "{kind} {written}");
    }
}

#[test]
fn nothing_left_and_too_much_have_codes_of_their_own() {
    assert_eq!(refusal("document", " - / "), "QUERY_IDENTIFIER_EMPTY");
    assert_eq!(refusal("phone", "\u{200b}"), "QUERY_IDENTIFIER_EMPTY");
    assert_eq!(refusal("document", &"9".repeat(513)), "QUERY_TOO_LONG");
    assert_eq!(refusal("document", "1\u{0}2"), "QUERY_CONTROL_CHARACTERS");
    assert!("passport".parse::<IdentifierType>().is_err());
}

#[test]
fn every_identifier_of_the_slot_table_can_be_asked_for() {
    let table = SlotTable::get();
    for subject in SubjectType::ALL {
        for spec in table.slots(subject) {
            if let Some(SearchRole::Identifier(name)) = &spec.search {
                assert!(name.parse::<IdentifierType>().is_ok(), "{name}");
            }
        }
    }
    let codes = table.codes("identifier-type").unwrap();
    for kind in ["account", "wallet", "phone", "email", "domain", "username", "url", "ip-address", "imei", "other"] {
        assert!(codes.contains(kind) && kind.parse::<IdentifierType>().is_ok(), "{kind}");
    }
}

proptest! {
    #[test]
    fn normalising_never_panics_and_is_stable(kind in 0..IdentifierType::ALL.len(), written in "\\PC{0,40}") {
        let kind = IdentifierType::ALL[kind];
        if let Ok(key) = IdentifierKey::new(kind, &written) {
            let again = IdentifierKey::new(kind, key.value());
            prop_assert_eq!(again.as_ref().ok(), Some(&key));
        }
    }
}
