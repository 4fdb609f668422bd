//! PROTOCOL §1: pre-authentication encoding and values.

use eads_domain::code::Coded as _;
use eads_domain::encode;
use eads_domain::id::Hash;
use eads_domain::value::{BlobRef, MAX_DEPTH, Media, Value};

use crate::json::{Json, hex, list, object, text};

pub(crate) fn pae() -> Json {
    let long = [0x61; 300];
    let cases: [(&str, &[&[u8]]); 8] = [
        ("no part at all", &[]),
        ("one empty part is not no part", &[b""]),
        ("one part", &[b"eads/v1/card"]),
        ("two parts", &[b"ab", b"c"]),
        ("the same bytes cut elsewhere", &[b"a", b"bc"]),
        ("empty parts count", &[b"", b"abc", b""]),
        ("integers inside parts are big-endian, PAE's own lengths little-endian", &[b"eads/v1/salt", &[0, 47]]),
        ("a length that needs two bytes", &[&long]),
    ];
    let case = |(why, parts): (&str, &[&[u8]])| {
        object([
            ("why", text(why)),
            ("parts", list(parts.iter().map(hex))),
            ("encoding", hex(encode::pae(parts))),
            ("sha256", hex(encode::sha256_pae(parts).as_bytes())),
        ])
    };
    object([
        (
            "description",
            text("PAE(p1..pn) = LE64(n) | (LE64(len pi) | pi)*, and its SHA-256. All bytes in hexadecimal."),
        ),
        ("cases", list(cases.map(case))),
    ])
}

fn blob(media: Media) -> Value {
    let sha256 = encode::sha256(b"not a photograph");
    Value::Blob(BlobRef { id: std::array::from_fn(|n| n.to_le_bytes()[0]), sha256, len: 16, media })
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Unknown, |inner, _| Value::List(vec![inner]))
}

pub(crate) fn values() -> Json {
    let word = |typed: &str| Value::text(typed).expect("a text");
    let date = |written: &str| Value::Date(written.parse().expect("a date"));
    let accepted = [
        ("nothing is said", "absent", Value::Absent),
        ("said not to be known", "unknown", Value::Unknown),
        ("a text", "\"Contoh\"", word("Contoh")),
        ("a composed letter (NFC)", "\"é\"", word("é")),
        ("another script", "\"บูดี้\"", word("บูดี้")),
        ("line feed and tab are allowed", "\"a\\n\\tb\"", word("a\n\tb")),
        ("a year", "1990", date("1990")),
        ("a month", "1990-05", date("1990-05")),
        ("a leap day", "2000-02-29", date("2000-02-29")),
        ("an empty list is not absent", "[]", Value::List(Vec::new())),
        ("a list", "[unknown, \"a\"]", Value::List(vec![Value::Unknown, word("a")])),
        (
            "parts of a value, one of them absent",
            "[[\"passport\", \"X0000001\", absent]]",
            Value::List(vec![Value::List(vec![word("passport"), word("X0000001"), Value::Absent])]),
        ),
        ("lists stand at most four deep", "[[[[unknown]]]]", nested(MAX_DEPTH)),
        ("a photograph", "image/jpeg", blob(Media::Jpeg)),
        ("another photograph", "image/png", blob(Media::Png)),
    ];
    let accepted = accepted.map(|(why, value, parsed)| {
        object([("why", text(why)), ("value", text(value)), ("encoding", hex(parsed.encode()))])
    });
    let rejected = rejected().into_iter().map(|(why, bytes)| {
        let error = Value::parse(&bytes).expect_err(why);
        object([("why", text(why)), ("encoding", hex(bytes)), ("code", text(error.code()))])
    });
    object([
        (
            "description",
            text(
                "Values: u8 tag | body. Every accepted encoding is the only one of its value. Every rejected one must be \
                 refused; the code is the one that this implementation gives. Bounds: 65536 bytes a value, 16384 a text, \
                 1024 items a list, lists four deep.",
            ),
        ),
        ("accepted", list(accepted)),
        ("rejected", list(rejected)),
    ])
}

fn rejected() -> Vec<(&'static str, Vec<u8>)> {
    let mut unknown_media = blob(Media::Png).encode();
    unknown_media.pop();
    let cut_blob = unknown_media.clone();
    unknown_media.push(3);
    let long_blob = [blob(Media::Png).encode(), vec![0]].concat();
    let zero = Hash::from_bytes([0; 32]);
    let fixed: [(&str, &[u8]); 26] = [
        ("no tag", b""),
        ("an unknown tag", b"\x06"),
        ("a body after absent", b"\x00\x00"),
        ("a body after unknown", b"\x01\x00"),
        ("an empty text: say absent or unknown", b"\x02"),
        ("white space only", b"\x02 \t"),
        ("not UTF-8", b"\x02\xff"),
        ("a surrogate in UTF-8", b"\x02\xed\xa0\x80"),
        ("an overlong encoding in UTF-8", b"\x02\xc0\xaf"),
        ("a decomposed letter is not NFC", b"\x02e\xcc\x81"),
        ("a control character", b"\x02a\x00"),
        ("a carriage return is a control character", b"\x02a\r\nb"),
        ("a day that does not exist", b"\x031990-02-29"),
        ("a month that does not exist", b"\x031990-13"),
        ("a month of one digit", b"\x031990-5"),
        ("a year before 1000", b"\x030999"),
        ("an empty date", b"\x03"),
        ("a date with a time", b"\x031990-05-01T00"),
        ("digits of another script", b"\x03\xd9\xa1\xd9\xa9"),
        ("a list without a count", b"\x04\x00"),
        ("fewer items than counted", b"\x04\x00\x01"),
        ("an item shorter than its length", b"\x04\x00\x01\x00\x00\x00\x02\x01"),
        ("an item with a body too many", b"\x04\x00\x01\x00\x00\x00\x02\x01\x00"),
        ("bytes after the last item", b"\x04\x00\x00\x01"),
        ("an item of no bytes", b"\x04\x00\x01\x00\x00\x00\x00"),
        ("more items than allowed", b"\x04\x04\x01"),
    ];
    let mut all: Vec<_> = fixed.into_iter().map(|(why, bytes)| (why, bytes.to_vec())).collect();
    all.push(("lists five deep", nested(MAX_DEPTH + 1).encode()));
    all.push(("a blob without its last byte", cut_blob));
    all.push(("a blob of an unknown media type", unknown_media));
    all.push(("a byte after a blob", long_blob));
    all.push(("a blob without length and media", [&[5; 17], zero.as_bytes().as_slice()].concat()));
    all
}
