//! TCVN 5712:1993, the Vietnamese standard behind the `.Vn` fonts (`.VnTime`, `.VnArial`), called TCVN3 or ABC.
//!
//! Source: the upper half of the character set `TCVN5712-1` of the GNU C library (localedata/charmaps), which also
//! holds the capitals with tone marks that the fonts leave out. Text in a font of capitals (`.VnTimeH`) has the
//! codes of small letters and comes out as small letters: nothing in the bytes says otherwise. Its control codes
//! for capitals (below 0x20) and 0x80 to 0x9F occur in no text of these fonts and mean nothing here.

use super::UNDECODABLE;

/// The characters of 0xA0 to 0xFF; 0xB0 to 0xB4 are the five tone marks, combining with the letter before.
const UPPER: [char; 96] = [
    '\u{a0}', 'Ă', 'Â', 'Ê', 'Ô', 'Ơ', 'Ư', 'Đ', 'ă', 'â', 'ê', 'ô', 'ơ', 'ư', 'đ', 'Ằ', // A0
    '\u{300}', '\u{309}', '\u{303}', '\u{301}', '\u{323}', 'à', 'ả', 'ã', 'á', 'ạ', 'Ẳ', 'ằ', 'ẳ', 'ẵ', 'ắ',
    'Ẵ', // B0
    'Ắ', 'Ầ', 'Ẩ', 'Ẫ', 'Ấ', 'Ề', 'ặ', 'ầ', 'ẩ', 'ẫ', 'ấ', 'ậ', 'è', 'Ể', 'ẻ', 'ẽ', // C0
    'é', 'ẹ', 'ề', 'ể', 'ễ', 'ế', 'ệ', 'ì', 'ỉ', 'Ễ', 'Ế', 'Ồ', 'ĩ', 'í', 'ị', 'ò', // D0
    'Ổ', 'ỏ', 'õ', 'ó', 'ọ', 'ồ', 'ổ', 'ỗ', 'ố', 'ộ', 'ờ', 'ở', 'ỡ', 'ớ', 'ợ', 'ù', // E0
    'Ỗ', 'ủ', 'ũ', 'ú', 'ụ', 'ừ', 'ử', 'ữ', 'ứ', 'ự', 'ỳ', 'ỷ', 'ỹ', 'ý', 'ỵ', 'Ố', // F0
];

/// Appends the text of `bytes`.
pub(super) fn decode(bytes: &[u8], text: &mut Vec<u8>) {
    let mut room = [0; 4];
    for byte in bytes {
        match byte {
            0..0x80 => text.push(*byte),
            0x80..0xa0 => text.push(UNDECODABLE),
            _ => match UPPER.get(usize::from(*byte) - 0xa0) {
                Some(character) => text.extend_from_slice(character.encode_utf8(&mut room).as_bytes()),
                None => text.push(UNDECODABLE),
            },
        }
    }
}

/// The byte of a character, for tests that compose samples.
#[cfg(test)]
pub(super) fn encode(character: char) -> Option<u8> {
    if character.is_ascii() {
        return u8::try_from(character).ok();
    }
    UPPER.iter().position(|known| *known == character).and_then(|at| u8::try_from(at + 0xa0).ok())
}
