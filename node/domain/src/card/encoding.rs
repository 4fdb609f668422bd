//! The bytes of a card. Integers are big-endian, fields stand in the order of PROTOCOL §7.
//!
//! ```text
//! u8 version | member[2] | u8 standing | text16 display name | u8 n ‖ text16* endpoints
//! | u8 n ‖ bytes32* TLS anchors | bytes32 operator anchor | signing key[32] | u32 keyseq | cosigner key[32]
//! | register[16] | u16 protocol min | u16 protocol max | u8 n ‖ text16* duty contacts | u64 sequence
//! | previous[32] (zero on the first card) | i64 issued | next signing key digest[32]
//! | u64 first index that the stolen key before is not trusted for (version 2 only)
//! text16 = u16 length ‖ UTF-8       bytes32 = u32 length ‖ bytes
//! ```

use std::str::FromStr;

use ed25519_dalek::VerifyingKey;

use super::{Anchor, Card, CardError, DisplayName, Endpoint, MAX_ENTRIES, ProtocolRange, Standing};
use crate::clock::Timestamp;
use crate::encode::Reader;
use crate::id::{Hash, MemberId, RegisterId};

const VERSION: u8 = 1;
/// Of a card that says that the key before was stolen, and of no other.
const VERSION_COMPROMISED: u8 = 2;
const NO_PREVIOUS: Hash = Hash::from_bytes([0; 32]);

pub(super) fn encode(card: &Card) -> Vec<u8> {
    let mut out = vec![if card.compromised_from.is_some() { VERSION_COMPROMISED } else { VERSION }];
    out.extend_from_slice(card.member.as_bytes());
    out.push(card.standing.as_byte());
    put_text(&mut out, card.display_name.as_str());
    put_count(&mut out, card.endpoints.len());
    for endpoint in &card.endpoints {
        put_text(&mut out, &endpoint.to_string());
    }
    put_count(&mut out, card.tls_anchors.len());
    for anchor in card.tls_anchors.iter().chain([&card.operator_anchor]) {
        out.extend_from_slice(&u32::try_from(anchor.as_der().len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(anchor.as_der());
    }
    out.extend_from_slice(card.signing_key.as_bytes());
    out.extend_from_slice(&card.keyseq.to_be_bytes());
    out.extend_from_slice(card.cosigner_key.as_bytes());
    out.extend_from_slice(card.register.as_bytes());
    out.extend_from_slice(&card.protocol.min().to_be_bytes());
    out.extend_from_slice(&card.protocol.max().to_be_bytes());
    put_count(&mut out, card.duty_contacts.len());
    for contact in &card.duty_contacts {
        put_text(&mut out, contact.as_str());
    }
    out.extend_from_slice(&card.sequence.to_be_bytes());
    out.extend_from_slice(card.previous.unwrap_or(NO_PREVIOUS).as_bytes());
    out.extend_from_slice(&card.issued.as_unix().to_be_bytes());
    out.extend_from_slice(card.next_signing_key.as_bytes());
    if let Some(index) = card.compromised_from {
        out.extend_from_slice(&index.to_be_bytes());
    }
    out
}

/// Texts and counts are bounded by their types and by `Card::check` far below these integers; a value beyond
/// them would encode to something that does not parse, never to another card.
fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.push(u8::try_from(count).unwrap_or(u8::MAX));
}

pub(super) fn parse(bytes: &[u8]) -> Result<Card, CardError> {
    let mut reader = Reader::new(bytes);
    let version = reader.u8()?;
    if !matches!(version, VERSION | VERSION_COMPROMISED) {
        return Err(CardError::Version(version));
    }
    let member = MemberId::from_bytes(reader.array()?).map_err(|_| CardError::Member)?;
    let standing = Standing::from_byte(reader.u8()?).ok_or(CardError::Standing)?;
    let display_name = text::<DisplayName>(&mut reader)?;
    let endpoints = list(&mut reader, text::<Endpoint>)?;
    let tls_anchors = list(&mut reader, anchor)?;
    let operator_anchor = anchor(&mut reader)?;
    let signing_key = key(&mut reader)?;
    let keyseq = reader.u32()?;
    let cosigner_key = key(&mut reader)?;
    let register = RegisterId::from_bytes(reader.array()?);
    let protocol = ProtocolRange::new(reader.u16()?, reader.u16()?)?;
    let duty_contacts = list(&mut reader, text)?;
    let sequence = reader.u64()?;
    let previous = Some(Hash::from_bytes(reader.array()?)).filter(|digest| *digest != NO_PREVIOUS);
    let issued = Timestamp::from_unix(reader.i64()?);
    let next_signing_key = Hash::from_bytes(reader.array()?);
    let compromised_from = if version == VERSION_COMPROMISED { Some(reader.u64()?) } else { None };
    reader.finish()?;
    let card = Card {
        member,
        standing,
        display_name,
        endpoints,
        tls_anchors,
        operator_anchor,
        signing_key,
        keyseq,
        cosigner_key,
        register,
        protocol,
        duty_contacts,
        sequence,
        previous,
        issued,
        next_signing_key,
        compromised_from,
    };
    if encode(&card) == bytes { Ok(card) } else { Err(CardError::Malformed) }
}

fn text<T: FromStr<Err = CardError>>(reader: &mut Reader<'_>) -> Result<T, CardError> {
    let length = usize::from(reader.u16()?);
    std::str::from_utf8(reader.take(length)?).map_err(|_| CardError::Text)?.parse()
}

fn list<T>(
    reader: &mut Reader<'_>,
    item: impl Fn(&mut Reader<'_>) -> Result<T, CardError>,
) -> Result<Vec<T>, CardError> {
    let count = usize::from(reader.u8()?);
    if count > MAX_ENTRIES {
        return Err(CardError::TooMany);
    }
    (0..count).map(|_| item(reader)).collect()
}

fn anchor(reader: &mut Reader<'_>) -> Result<Anchor, CardError> {
    let length = usize::try_from(reader.u32()?).map_err(|_| CardError::Anchor)?;
    Anchor::from_der(reader.take(length)?.to_vec())
}

fn key(reader: &mut Reader<'_>) -> Result<VerifyingKey, CardError> {
    VerifyingKey::from_bytes(&reader.array()?).map_err(|_| CardError::WeakKey)
}
