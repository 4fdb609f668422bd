use unicode_normalization::UnicodeNormalization as _;

use super::*;

const THAI: &str =
    "key,family-name,given-names\n1,ดวงแก้ว,สมชาย\n2,ศรีสุวรรณ,มาลี\n3,ทองดี,ประเสริฐ\n4,แสงจันทร์,วิชัย\n5,ใจเย็น,นภา\n";
const VIETNAMESE: &str = "key,family-name,given-names\n1,Nguyễn,Văn Đức\n2,Trần,Thị Hằng\n3,Phạm,Quốc Tuấn\n4,Lê,Thuý Hạnh\n\
                          5,Đặng,Hữu Phước\n";

fn in_1258(text: &str) -> Vec<u8> {
    // Its letters are composed with circumflex, breve and horn; the tone marks combine.
    let mut bytes = Vec::new();
    for character in text.nfc() {
        let whole = encoding_rs::WINDOWS_1258.encode(&character.to_string()).0.into_owned();
        if !whole.starts_with(b"&#") {
            bytes.extend(whole);
            continue;
        }
        let is_tone = |c: &char| ['\u{300}', '\u{301}', '\u{303}', '\u{309}', '\u{323}'].contains(c);
        let parts: Vec<char> = std::iter::once(character).nfd().collect();
        let letter: String = parts.iter().copied().filter(|c| !is_tone(c)).nfc().collect();
        let order = letter + &parts.iter().filter(|c| is_tone(c)).collect::<String>();
        for character in order.chars() {
            let part = encoding_rs::WINDOWS_1258.encode(&character.to_string()).0.into_owned();
            assert!(!part.starts_with(b"&#"), "{character:?} of {order:?}");
            bytes.extend(part);
        }
    }
    bytes
}

fn in_tcvn3(text: &str) -> Vec<u8> {
    text.nfc().map(|character| tcvn3::encode(character).unwrap_or_else(|| panic!("{character}"))).collect()
}

fn in_874(text: &str) -> Vec<u8> {
    encoding_rs::WINDOWS_874.encode(text).0.into_owned()
}

fn in_utf16(text: &str, swap: bool) -> Vec<u8> {
    text.encode_utf16().flat_map(|unit| if swap { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
}

fn decode(bytes: &[u8], named: Option<Encoding>, chunk: usize) -> Result<(String, Option<Encoding>), Undecided> {
    let mut decoder = TextDecoder::new(named);
    let mut text = Vec::new();
    for part in bytes.chunks(chunk) {
        text.extend_from_slice(&decoder.push(part)?);
    }
    text.extend(decoder.finish()?);
    let text = String::from_utf8_lossy(&text).trim_start_matches('\u{feff}').nfc().collect();
    Ok((text, decoder.encoding()))
}

#[test]
fn every_encoding_is_detected_and_read_across_chunks() {
    for (encoding, text, bytes) in [
        (Encoding::Utf8, THAI, THAI.as_bytes().to_vec()),
        (Encoding::Utf8, VIETNAMESE, [b"\xef\xbb\xbf", VIETNAMESE.as_bytes()].concat()),
        (Encoding::Utf16Le, THAI, [b"\xff\xfe".to_vec(), in_utf16(THAI, false)].concat()),
        (Encoding::Utf16Be, VIETNAMESE, [b"\xfe\xff".to_vec(), in_utf16(VIETNAMESE, true)].concat()),
        (Encoding::Utf16Le, THAI, in_utf16(THAI, false)),
        (Encoding::Utf16Be, THAI, in_utf16(THAI, true)),
        (Encoding::Windows874, THAI, in_874(THAI)),
        (Encoding::Windows1258, VIETNAMESE, in_1258(VIETNAMESE)),
        (Encoding::Tcvn3, VIETNAMESE, in_tcvn3(VIETNAMESE)),
    ] {
        for chunk in [1, 2, 3, 7, 10_000] {
            let (decoded, found) = decode(&bytes, None, chunk).unwrap_or_else(|error| panic!("{encoding}: {error:?}"));
            assert_eq!((decoded.as_str(), found), (text, Some(encoding)));
        }
        let named = encoding.as_str().parse().unwrap();
        assert_eq!(decode(&bytes, Some(named), 5), Ok((text.to_owned(), Some(encoding))));
    }
}

#[test]
fn bytes_of_real_text_are_what_the_standards_say() {
    // "Nguyễn Thị Đào" and "สมชาย ใจดี", composed by hand from the code charts.
    let cases: [(Encoding, &[u8], &str); 4] = [
        (Encoding::Tcvn3, b"Nguy\xd4n Th\xde \xa7\xb5o", "Nguyễn Thị Đào"),
        (Encoding::Windows1258, b"Nguy\xea\xden Thi\xf2 \xd0\xe0o", "Nguyễn Thị Đào"),
        (Encoding::Windows874, b"\xca\xc1\xaa\xd2\xc2 \xe3\xa8\xb4\xd5", "สมชาย ใจดี"),
        (Encoding::Windows1252, b"Jos\xe9 Concei\xe7\xe3o", "José Conceição"),
    ];
    for (encoding, bytes, text) in cases {
        assert_eq!(decode(bytes, Some(encoding), 3), Ok((text.to_owned(), Some(encoding))));
    }
}

#[test]
fn the_table_of_tcvn3_has_each_letter_once_and_every_vietnamese_one() {
    for byte in 0xa0..=0xff_u8 {
        let mut text = Vec::new();
        tcvn3::decode(&[byte], &mut text);
        let text = String::from_utf8(text).unwrap();
        let character = text.chars().next().unwrap();
        assert_eq!(tcvn3::encode(character), Some(byte), "{byte:x}");
        assert_eq!(text.nfc().collect::<String>(), text, "{byte:x} is composed");
    }
    for vowel in "aăâeêioôơuưy".chars() {
        for tone in ["", "\u{300}", "\u{301}", "\u{303}", "\u{309}", "\u{323}"] {
            let letter = format!("{vowel}{tone}").nfc().next().unwrap();
            assert!(tcvn3::encode(letter).is_some(), "{letter}");
        }
    }
}

#[test]
fn what_could_be_several_is_refused_with_its_candidates() {
    let few = decode(&in_874("key,family-name\n1,ดวงแก้ว\n"), None, 100).unwrap_err();
    assert!(few.0.contains(&Encoding::Windows874) && few.0.len() > 1, "{few:?}");
    let latin = encoding_rs::WINDOWS_1252.encode("1,José\n2,Conceição\n3,André\n4,Gonçalves\n").0.repeat(10);
    let latin = decode(&latin, None, 100).unwrap_err();
    assert!(latin.0.contains(&Encoding::Windows1252) && !latin.0.contains(&Encoding::Utf8), "{latin:?}");
    let chinese =
        encoding_rs::GBK.encode("1,王伟\n2,李娜\n3,张敏\n4,刘洋\n5,陈静\n6,杨帆\n7,赵磊\n8,黄丽\n").0.into_owned();
    assert!(decode(&chinese, None, 100).is_err());
    // A name that says one thing and a mark that says another.
    let marked = [b"\xff\xfe".to_vec(), in_utf16(THAI, false)].concat();
    assert!(decode(&marked, Some(Encoding::Utf8), 100).is_err());
}

#[test]
fn a_little_text_outside_ascii_in_utf8_is_enough() {
    for text in ["key,family-name\n1,José\n", "key,family-name\n1,ไทย\n", "1,Đỗ\n"] {
        assert_eq!(decode(text.as_bytes(), None, 4), Ok((text.to_owned(), Some(Encoding::Utf8))));
    }
    let ascii = "key\n".repeat(100_000);
    assert_eq!(decode(ascii.as_bytes(), None, 60_000), Ok((ascii, Some(Encoding::Utf8))));
}

#[test]
fn damaged_utf8_stays_utf8_and_the_damage_shows() {
    let damaged = [THAI.as_bytes(), b"6,\xff\xfe,x\n"].concat();
    let mut decoder = TextDecoder::new(None);
    let mut text = decoder.push(&damaged).unwrap().into_owned();
    text.extend(decoder.finish().unwrap());
    assert_eq!((text, decoder.encoding()), (damaged, Some(Encoding::Utf8)));
}

#[test]
fn a_byte_that_means_nothing_spoils_no_more_than_itself() {
    let mut decoder = TextDecoder::new(Some(Encoding::Windows874));
    let mut text = decoder.push(b"\xca\xdb\xc1\n\xaa").unwrap().into_owned();
    text.extend(decoder.finish().unwrap());
    assert_eq!(text, ["ส".as_bytes(), &[UNDECODABLE], "ม\nช".as_bytes()].concat());
    let mut decoder = TextDecoder::new(Some(Encoding::Utf16Le));
    let mut text = decoder.push(b"a\0\x00\xd8b\0c").unwrap().into_owned();
    text.extend(decoder.finish().unwrap());
    assert_eq!(text, [b"a".as_slice(), &[UNDECODABLE], b"b", &[UNDECODABLE]].concat());
    let mut decoder = TextDecoder::new(Some(Encoding::Tcvn3));
    assert_eq!(&*decoder.push(b"a\x85b").unwrap(), b"", "the beginning waits for a mark");
    assert_eq!(decoder.finish().unwrap(), b"a\xffb");
}

#[test]
fn names_of_encodings_are_read_and_others_are_not() {
    for encoding in Encoding::ALL {
        assert_eq!(encoding.as_str().to_uppercase().parse(), Ok(encoding));
    }
    assert_eq!("TIS-620".parse(), Ok(Encoding::Windows874));
    assert_eq!("utf-7".parse::<Encoding>(), Err(UnknownEncoding));
}

proptest::proptest! {
    #[test]
    fn chunks_make_no_difference_whatever_the_bytes_are(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), chunk in 1_usize..20,
    ) {
        proptest::prop_assert_eq!(decode(&bytes, None, chunk), decode(&bytes, None, 1000));
        for encoding in Encoding::ALL {
            proptest::prop_assert_eq!(decode(&bytes, Some(encoding), chunk), decode(&bytes, Some(encoding), 1000));
        }
    }
}
