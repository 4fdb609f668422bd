//! The rules of each type. Spaces, dashes and case go where they carry no meaning.

use std::net::IpAddr;

use unicode_normalization::UnicodeNormalization as _;

use super::IdentifierType;
use crate::query::QueryError;

/// The canonical spelling of `written`, whose length the caller has bounded.
pub(super) fn normalise(kind: IdentifierType, written: &str) -> Result<String, QueryError> {
    let plain: String = written.nfkc().filter(|c| !is_invisible(*c)).map(ascii_digit).collect();
    let plain = plain.trim();
    if plain.is_empty() {
        return Err(QueryError::IdentifierEmpty);
    }
    if plain.chars().any(char::is_control) {
        return Err(QueryError::Control { field: "identifier" });
    }
    match kind {
        IdentifierType::Document | IdentifierType::Serial | IdentifierType::CallSign | IdentifierType::Registration => {
            alphanumeric(kind, plain)
        }
        IdentifierType::Plate => plate(plain),
        IdentifierType::Vin => vin(plain),
        IdentifierType::Imo => imo(plain),
        IdentifierType::Mmsi => mmsi(plain),
        IdentifierType::Wallet => wallet(plain),
        IdentifierType::Account => account(plain),
        IdentifierType::Phone => phone(plain),
        IdentifierType::Email => email(plain),
        IdentifierType::Domain => domain(plain),
        IdentifierType::Username => username(plain),
        IdentifierType::Url => url(plain),
        IdentifierType::IpAddress => ip_address(plain),
        IdentifierType::Imei => imei(plain),
        IdentifierType::UnReference => un_reference(plain),
        IdentifierType::Other => Ok(plain.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")),
    }
}

/// Zero-width and direction marks that come along with copied text.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Digits of the scripts of the region as ASCII digits; other characters as they are.
fn ascii_digit(c: char) -> char {
    const ZEROS: [char; 8] = ['\u{660}', '\u{6f0}', '\u{966}', '\u{be6}', '\u{e50}', '\u{ed0}', '\u{1040}', '\u{17e0}'];
    ZEROS
        .iter()
        .filter_map(|zero| (c as u32).checked_sub(*zero as u32))
        .find_map(|offset| char::from_digit(offset, 10))
        .unwrap_or(c)
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '.' | '/' | '·' | '•' | '_' | '<' | '\u{2010}'..='\u{2015}')
}

fn without_separators(text: &str) -> String {
    text.chars().filter(|c| !is_separator(*c)).collect()
}

fn misshapen(kind: IdentifierType, expected: &'static str) -> QueryError {
    QueryError::IdentifierShape { kind, expected }
}

fn alphanumeric(kind: IdentifierType, text: &str) -> Result<String, QueryError> {
    let value: String = without_separators(text).to_uppercase();
    if value.chars().all(char::is_alphanumeric) { Ok(value) } else { Err(misshapen(kind, "letters and digits")) }
}

/// Plates of the region carry vowel signs and tone marks that are not letters, so only punctuation goes.
fn plate(text: &str) -> Result<String, QueryError> {
    let value = without_separators(text).to_uppercase();
    if value.chars().all(|c| c.is_alphanumeric() || !c.is_ascii()) {
        Ok(value)
    } else {
        Err(misshapen(IdentifierType::Plate, "letters and digits"))
    }
}

/// Chassis numbers of vehicles made for the Japanese market are shorter than the 17 characters of ISO 3779.
fn vin(text: &str) -> Result<String, QueryError> {
    let value = without_separators(text).to_ascii_uppercase();
    let plausible = (5..=17).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_alphanumeric());
    let iso_3779 = value.len() != 17 || !value.contains(['I', 'O', 'Q']);
    if plausible && iso_3779 {
        Ok(value)
    } else {
        Err(misshapen(IdentifierType::Vin, "17 characters without I, O and Q, or a chassis number of 5 to 16"))
    }
}

/// 49 CFR 565.15: transliterated values times position weights, modulo 11, at position 9.
pub(super) fn vin_check_digit_holds(vin: &str) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let worth = |c: char| match c {
        'A' | 'J' => 1,
        'B' | 'K' | 'S' => 2,
        'C' | 'L' | 'T' => 3,
        'D' | 'M' | 'U' => 4,
        'E' | 'N' | 'V' => 5,
        'F' | 'W' => 6,
        'G' | 'P' | 'X' => 7,
        'H' | 'Y' => 8,
        'R' | 'Z' => 9,
        digit => digit.to_digit(10).unwrap_or(0),
    };
    let sum: u32 = vin.chars().zip(WEIGHTS).map(|(c, weight)| worth(c) * weight).sum();
    let expected = match sum % 11 {
        10 => Some('X'),
        digit => char::from_digit(digit, 10),
    };
    vin.chars().nth(8) == expected
}

/// IMO resolution A.1117(30): the last digit is the sum of the first six times 7 to 2, modulo 10.
fn imo(text: &str) -> Result<String, QueryError> {
    let upper = without_separators(text).to_ascii_uppercase();
    let value = upper.strip_prefix("IMO").unwrap_or(&upper);
    let digits = digits_of(value, 7).ok_or(misshapen(IdentifierType::Imo, "seven digits"))?;
    let sum: u32 = digits.iter().zip((2..=7).rev()).map(|(digit, weight)| digit * weight).sum();
    if digits.last() == Some(&(sum % 10)) {
        Ok(value.to_owned())
    } else {
        Err(QueryError::IdentifierCheck { kind: IdentifierType::Imo })
    }
}

fn mmsi(text: &str) -> Result<String, QueryError> {
    let value = without_separators(text);
    digits_of(&value, 9).map(|_| value.clone()).ok_or(misshapen(IdentifierType::Mmsi, "nine digits"))
}

fn digits_of(text: &str, count: usize) -> Option<Vec<u32>> {
    let digits: Vec<u32> = text.chars().map(|c| c.to_digit(10)).collect::<Option<_>>()?;
    (digits.len() == count).then_some(digits)
}

/// Case carries meaning in base58 addresses, none in hexadecimal and bech32 ones (BIP 173).
fn wallet(text: &str) -> Result<String, QueryError> {
    const BECH32: [&str; 5] = ["bc1", "tb1", "ltc1", "addr1", "cosmos1"];
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let address = match compact.split_once(':') {
        Some((scheme, address)) if scheme.len() >= 3 && scheme.bytes().all(|b| b.is_ascii_alphabetic()) => address,
        _ => &compact,
    };
    if !(20..=128).contains(&address.len()) || !address.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(misshapen(IdentifierType::Wallet, "20 to 128 letters and digits"));
    }
    let lower = address.to_ascii_lowercase();
    let caseless = lower.starts_with("0x") || BECH32.iter().any(|prefix| lower.starts_with(prefix));
    Ok(if caseless { lower } else { address.to_owned() })
}

fn account(text: &str) -> Result<String, QueryError> {
    let value = alphanumeric(IdentifierType::Account, text)?;
    if value.chars().count() > 40 || !value.is_ascii() {
        return Err(misshapen(IdentifierType::Account, "at most 40 letters and digits"));
    }
    if looks_like_iban(&value) && !iban_check_holds(&value) {
        return Err(QueryError::IdentifierCheck { kind: IdentifierType::Account });
    }
    Ok(value)
}

/// Country and length as in the SWIFT IBAN registry. Elsewhere, as in most of the region, accounts are free text.
fn looks_like_iban(value: &str) -> bool {
    const REGISTRY: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 \
        DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 \
        IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 \
        NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 \
        TL23 TN24 TR26 UA29 VA22 VG24 XK20";
    let Some((country, rest)) = value.split_at_checked(2) else { return false };
    rest.bytes().take(2).all(|b| b.is_ascii_digit())
        && REGISTRY.split_ascii_whitespace().any(|entry| entry == format!("{country}{}", value.len()))
}

/// ISO 7064 MOD 97-10 over the rearranged IBAN.
fn iban_check_holds(value: &str) -> bool {
    let Some((head, tail)) = value.split_at_checked(4) else { return false };
    let remainder = tail.chars().chain(head.chars()).filter_map(|c| c.to_digit(36)).fold(0_u32, |sum, digit| {
        let shift = if digit > 9 { 100 } else { 10 };
        (sum * shift + digit) % 97
    });
    remainder == 1
}

/// `+` and up to 15 digits where the country code is written, else the digits as they are dialled at home.
fn phone(text: &str) -> Result<String, QueryError> {
    let wrong = misshapen(IdentifierType::Phone, "5 to 15 digits, with + before a country code");
    let text = text.strip_prefix("tel:").unwrap_or(text);
    let international = text.starts_with('+') || text.starts_with("00");
    // "+44 (0)20 …": the zero in brackets is dialled at home only.
    let text = if international { text.replace("(0)", "") } else { text.to_owned() };
    let mut digits = String::with_capacity(text.len());
    for (position, c) in text.chars().enumerate() {
        match c {
            '0'..='9' => digits.push(c),
            '+' if position == 0 => {}
            '(' | ')' => {}
            _ if is_separator(c) => {}
            _ => return Err(wrong),
        }
    }
    if !text.starts_with('+') && international {
        digits = digits.split_off(2);
    }
    if !(5..=15).contains(&digits.len()) {
        return Err(wrong);
    }
    Ok(if international { format!("+{digits}") } else { digits })
}

/// Lower case throughout: no provider in use tells mailboxes apart by case.
fn email(text: &str) -> Result<String, QueryError> {
    let wrong = misshapen(IdentifierType::Email, "name@domain");
    let lower = text.to_lowercase();
    let address = lower.strip_prefix("mailto:").unwrap_or(&lower);
    let (mailbox, host) = address.rsplit_once('@').ok_or(wrong.clone())?;
    let mailbox_is_plausible = !mailbox.is_empty()
        && mailbox.len() <= 64
        && !mailbox.chars().any(|c| c.is_whitespace() || matches!(c, '@' | '<' | '>' | ','));
    if mailbox_is_plausible && is_host_name(host) { Ok(address.to_owned()) } else { Err(wrong) }
}

/// Accepts a URL and the "defanged" spellings of threat reports; keeps the host name only.
fn domain(text: &str) -> Result<String, QueryError> {
    let lower = text.to_lowercase().replace("[.]", ".").replace("(.)", ".");
    let after_scheme = lower.split_once("://").map_or(lower.as_str(), |(_, rest)| rest);
    let host = after_scheme.split(['/', '?', '#', ':']).next().unwrap_or_default().trim_end_matches('.');
    if is_host_name(host) { Ok(host.to_owned()) } else { Err(misshapen(IdentifierType::Domain, "a domain name")) }
}

fn username(text: &str) -> Result<String, QueryError> {
    let name = text.trim_start_matches('@').to_lowercase();
    if name.contains(char::is_whitespace) {
        Err(misshapen(IdentifierType::Username, "a name without spaces"))
    } else {
        Ok(name)
    }
}

/// Scheme and host in lower case, no fragment, no final slash; path and query as written.
fn url(text: &str) -> Result<String, QueryError> {
    let wrong = misshapen(IdentifierType::Url, "a web address such as https://example.test/page");
    let plain = text.replace("[.]", ".").replace("(.)", ".");
    let (scheme, rest) = plain.split_once("://").ok_or(wrong.clone())?;
    let scheme = scheme.to_ascii_lowercase().replace("hxxp", "http");
    let rest = rest.split('#').next().unwrap_or_default().trim_end_matches('/');
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let plausible = !scheme.is_empty()
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        && !host.is_empty()
        && !rest.contains(char::is_whitespace);
    if plausible { Ok(format!("{scheme}://{}{path}", host.to_lowercase())) } else { Err(wrong) }
}

fn ip_address(text: &str) -> Result<String, QueryError> {
    let plain = text.replace("[.]", ".");
    let address: Result<IpAddr, _> = plain.trim_matches(['[', ']']).parse();
    address.map(|address| address.to_string()).map_err(|_| misshapen(IdentifierType::IpAddress, "an IP address"))
}

/// 14 digits and a Luhn digit; the digit is added where only 14 are written, or 16 with a software version.
fn imei(text: &str) -> Result<String, QueryError> {
    let wrong = misshapen(IdentifierType::Imei, "14 to 16 digits");
    let written = without_separators(text);
    let digits = digits_of(&written, written.chars().count()).ok_or(wrong.clone())?;
    let body = digits.get(..14).filter(|_| digits.len() <= 16).ok_or(wrong)?;
    let sum: u32 = body.iter().zip([1, 2].iter().cycle()).map(|(digit, factor)| luhn(digit * factor)).sum();
    let check = (10 - sum % 10) % 10;
    if digits.len() == 15 && digits.last() != Some(&check) {
        return Err(QueryError::IdentifierCheck { kind: IdentifierType::Imei });
    }
    Ok(body.iter().chain([&check]).map(u32::to_string).collect())
}

const fn luhn(product: u32) -> u32 {
    product / 10 + product % 10
}

fn is_host_name(host: &str) -> bool {
    let labels = host.split('.').count();
    host.len() <= 253
        && labels >= 2
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_') || !c.is_ascii())
        })
}

/// `QDi.001`: two capital letters for the list, `i` or `e`, a dot, the number with three digits or more.
fn un_reference(text: &str) -> Result<String, QueryError> {
    let wrong = misshapen(IdentifierType::UnReference, "the form QDi.001");
    let compact = without_separators(text);
    let (letters, number) = compact.split_at_checked(3).ok_or(wrong.clone())?;
    let (list, class) = letters.split_at_checked(2).ok_or(wrong.clone())?;
    let well_formed = list.bytes().all(|b| b.is_ascii_alphabetic())
        && matches!(class, "i" | "I" | "e" | "E")
        && (1..=5).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit());
    let number: u32 = number.parse().map_err(|_| wrong.clone())?;
    if !well_formed || number == 0 {
        return Err(wrong);
    }
    Ok(format!("{}{}.{number:03}", list.to_ascii_uppercase(), class.to_ascii_lowercase()))
}
