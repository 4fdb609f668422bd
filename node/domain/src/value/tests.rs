use proptest::prelude::*;

use super::*;
use crate::id::Hash;

fn text(text: &str) -> Value {
    Value::Text(Text::new(text).unwrap())
}

fn blob() -> BlobRef {
    BlobRef { id: [7; 16], sha256: Hash::from_bytes([9; 32]), len: 123_456, media: Media::Png }
}

fn any_date() -> impl Strategy<Value = PartialDate> {
    (1000..=9999u16, proptest::option::of(1..=12u8), proptest::option::of(1..=28u8))
        .prop_map(|(year, month, day)| PartialDate::new(year, month, month.and(day)).unwrap())
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Absent),
        Just(Value::Unknown),
        Just(Value::Blob(blob())),
        any_date().prop_map(Value::Date),
        ".{1,30}".prop_filter_map("not a text", |typed| Value::text(&typed).ok()),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| proptest::collection::vec(inner, 0..5).prop_map(Value::List))
}

proptest! {
    #[test]
    fn a_value_is_read_back_from_its_encoding(value in any_value()) {
        let bytes = value.encode();
        prop_assert_eq!(bytes.len(), value.encoded_len());
        prop_assert_eq!(Value::parse(&bytes), Ok(value));
    }

    #[test]
    fn what_parses_has_exactly_the_bytes_that_were_parsed(bytes in proptest::collection::vec(0..6u8, 0..40)) {
        if let Ok(value) = Value::parse(&bytes) {
            prop_assert_eq!(value.encode(), bytes);
        }
    }

    #[test]
    fn no_other_bytes_are_the_same_value(value in any_value(), at in any::<usize>(), flip in 1..=255u8) {
        let bytes = value.encode();
        let mut other = bytes.clone();
        let at = at % other.len();
        other[at] ^= flip;
        prop_assert_ne!(Value::parse(&other), Ok(value.clone()));
        prop_assert!(Value::parse(&bytes[..at]) != Ok(value.clone()));
        prop_assert_ne!(Value::parse(&[bytes.as_slice(), &[0]].concat()), Ok(value));
    }

    #[test]
    fn a_date_is_read_back_from_its_text(date in any_date()) {
        prop_assert_eq!(date.to_string().parse(), Ok(date));
    }
}

#[test]
fn the_encodings_are_those_of_the_protocol() {
    assert_eq!(Value::Absent.encode(), [0]);
    assert_eq!(Value::Unknown.encode(), [1]);
    assert_eq!(text("é").encode(), [2, 0xC3, 0xA9]);
    assert_eq!(Value::Date("1990-05".parse().unwrap()).encode(), b"\x031990-05");
    let list = Value::List(vec![Value::Unknown, text("a")]);
    assert_eq!(list.encode(), [4, 0, 2, 0, 0, 0, 1, 1, 0, 0, 0, 2, 2, b'a']);
    assert_eq!(Value::Blob(blob()).encode()[..17], [&[5][..], &[7; 16]].concat());
}

#[test]
fn malformed_encodings_are_refused_by_name() {
    let cases: [(&[u8], &str); 12] = [
        (&[], "VALUE_MALFORMED"),
        (&[6], "VALUE_TAG_UNKNOWN"),
        (&[0, 0], "VALUE_MALFORMED"),
        (&[1, 0], "VALUE_MALFORMED"),
        (&[2], "TEXT_BLANK"),
        (&[2, 0xFF], "VALUE_NOT_UTF8"),
        (b"\x02e\xCC\x81", "TEXT_NOT_NORMALISED"),
        (b"\x02a\x00", "TEXT_CONTROL_CHARACTER"),
        (b"\x031990-02-29", "DATE_NO_SUCH_DAY"),
        (b"\x031990-5", "DATE_FORM"),
        (&[4, 0, 1, 0, 0, 0, 2, 1], "VALUE_MALFORMED"),
        (&[4, 0, 0, 1], "VALUE_MALFORMED"),
    ];
    for (bytes, code) in cases {
        assert_eq!(Value::parse(bytes).unwrap_err().code().as_str(), code, "{bytes:?}");
    }
    let mut other_media = Value::Blob(blob()).encode();
    *other_media.last_mut().unwrap() = 3;
    assert_eq!(Value::parse(&other_media), Err(InvalidValue::Media(InvalidMedia)));
}

#[test]
fn bounds_hold_at_their_edges() {
    let nested = |depth: usize| (0..depth).fold(Value::Unknown, |inner, _| Value::List(vec![inner]));
    assert_eq!(Value::parse(&nested(MAX_DEPTH).encode()), Ok(nested(MAX_DEPTH)));
    assert_eq!(Value::parse(&nested(MAX_DEPTH + 1).encode()), Err(InvalidValue::TooDeep));
    assert_eq!(nested(MAX_DEPTH + 1).check_bounds(), Err(InvalidValue::TooDeep));

    let wide = |count: usize| Value::List(vec![Value::Unknown; count]);
    assert_eq!(Value::parse(&wide(MAX_ITEMS).encode()), Ok(wide(MAX_ITEMS)));
    assert_eq!(Value::parse(&wide(MAX_ITEMS + 1).encode()), Err(InvalidValue::TooManyItems));
    assert_eq!(Value::List(vec![wide(MAX_ITEMS + 1)]).check_bounds(), Err(InvalidValue::TooManyItems));

    let long = "x".repeat(Text::MAX_BYTES);
    assert!(Text::new(&long).is_ok());
    assert_eq!(Text::new(&format!("{long}x")), Err(InvalidText::TooLong));
    let heavy = Value::List(vec![text(&long); 4]);
    assert_eq!(heavy.check_bounds(), Err(InvalidValue::TooLong));
    assert_eq!(Value::parse(&heavy.encode()), Err(InvalidValue::TooLong));
}

#[test]
fn a_small_message_cannot_claim_a_large_list() {
    assert!(Value::parse(&[4, 4, 0]).is_err());
    assert!(Value::parse(&[4, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF]).is_err());
}

#[test]
fn typed_text_is_normalised_and_signed_text_is_not() {
    assert_eq!(Text::normalise("  Caf\u{65}\u{301}\r\nbar \n").unwrap().as_str(), "Café\nbar");
    assert_eq!(Text::new("Caf\u{65}\u{301}"), Err(InvalidText::NotNormalised));
    assert_eq!(Text::normalise(" \t\n"), Err(InvalidText::Blank));
    assert_eq!(Text::normalise("a\rb"), Err(InvalidText::ControlCharacter));
}

#[test]
fn only_days_of_the_calendar_are_dates() {
    for good in ["1000", "9999-12-31", "2000-02-29", "2024-02-29", "1990-11"] {
        assert!(good.parse::<PartialDate>().is_ok(), "{good}");
    }
    for bad in [
        "",
        "999",
        "0999",
        "10000",
        "1990-13",
        "1990-00",
        "1990-01-00",
        "1990-04-31",
        "1900-02-29",
        "1990-1-1",
        "1990-01-01-01",
        "1990/01/01",
        "+990",
        "１９９０",
        "1990-",
        "2533-02-30",
    ] {
        assert!(bad.parse::<PartialDate>().is_err(), "{bad}");
    }
    assert!(PartialDate::new(1990, None, Some(1)).is_err());
}

#[test]
fn partial_dates_agree_where_both_know() {
    let date = |text: &str| text.parse::<PartialDate>().unwrap();
    assert!(date("1990").is_compatible_with(date("1990-05-01")));
    assert!(date("1990-05").is_compatible_with(date("1990-05-01")));
    assert!(!date("1990-06").is_compatible_with(date("1990-05-01")));
    assert!(!date("1991").is_compatible_with(date("1990-05-01")));
    assert!(date("1990") < date("1990-01") && date("1990-01") < date("1990-01-01"));
}
