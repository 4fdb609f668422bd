//! Cards: signed, altered, replayed, forked, rotated.

use std::sync::LazyLock;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

use super::*;
use crate::code::Coded as _;
use crate::register::SignedCheckpoint;
use crate::statement::{Action, Statement};

static CA: LazyLock<Vec<u8>> = LazyLock::new(|| certificate(IsCa::Ca(BasicConstraints::Unconstrained)));

fn certificate(is_ca: IsCa) -> Vec<u8> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = is_ca;
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// A first card, signed by key 1, that announces key 2.
pub(crate) fn genesis() -> Card {
    let anchor = Anchor::from_der(CA.clone()).unwrap();
    Card {
        member: "ID".parse().unwrap(),
        standing: Standing::Member,
        display_name: "Contoh Kepolisian".parse().unwrap(),
        endpoints: vec!["node.example.test:7443".parse().unwrap(), "[2001:db8::1]:7443".parse().unwrap()],
        tls_anchors: vec![anchor.clone()],
        operator_anchor: anchor,
        signing_key: key(1).verifying_key(),
        keyseq: 0,
        cosigner_key: key(100).verifying_key(),
        register: RegisterId::from_bytes([5; 16]),
        protocol: ProtocolRange::new(1, 1).unwrap(),
        duty_contacts: vec!["+62 0 000 0000, day and night".parse().unwrap()],
        sequence: GENESIS_SEQUENCE,
        previous: None,
        issued: Timestamp::from_unix(1_800_000_000),
        next_signing_key: key_digest(&key(2).verifying_key()),
        compromised_from: None,
    }
}

fn signed(card: Card, by: u8) -> SignedCard {
    SignedCard::sign(card, &key(by)).unwrap()
}

fn after(old: &SignedCard) -> Card {
    let sequence = old.card().sequence + 1;
    Card { sequence, previous: Some(old.digest()), ..old.card().clone() }
}

fn rotated(old: &SignedCard) -> Card {
    let announced = key_digest(&key(3).verifying_key());
    Card { signing_key: key(2).verifying_key(), keyseq: 1, next_signing_key: announced, ..after(old) }
}

fn refusal(outcome: Result<impl std::fmt::Debug, CardError>) -> &'static str {
    outcome.unwrap_err().code().as_str()
}

#[test]
fn a_card_comes_back_verbatim_as_bytes_and_as_text() {
    let card = signed(genesis(), 1);
    assert_eq!(SignedCard::parse_and_verify(card.bytes()).as_ref(), Ok(&card));
    let text = card.to_armor();
    assert!(text.starts_with("-----BEGIN EADS CARD-----\n") && !text.contains('\r'));
    assert_eq!(SignedCard::from_armor(&text).as_ref(), Ok(&card));
    assert_eq!(SignedCard::from_armor(&format!("sent by mail\n\n{text}\n")).as_ref(), Ok(&card));
    assert_eq!(card.card(), &genesis());
}

#[test]
fn every_flipped_byte_every_cut_and_every_addition_is_refused() {
    let bytes = signed(genesis(), 1).bytes().to_vec();
    for place in 0..bytes.len() {
        for mask in [0x01, 0x80] {
            let mut altered = bytes.clone();
            altered[place] ^= mask;
            assert!(SignedCard::parse_and_verify(&altered).is_err(), "byte {place}");
        }
        assert!(SignedCard::parse_and_verify(&bytes[..place]).is_err());
    }
    assert!(SignedCard::parse_and_verify(&[bytes.as_slice(), &[0]].concat()).is_err());
    assert_eq!(refusal(SignedCard::parse_and_verify(&vec![1; MAX_CARD_BYTES + 1])), "CARD_TOO_LARGE");
}

#[test]
fn text_that_is_not_exactly_one_card_is_refused() {
    let text = signed(genesis(), 1).to_armor();
    assert_eq!(refusal(SignedCard::from_armor("")), "CARD_ARMOR");
    assert_eq!(refusal(SignedCard::from_armor(&text.repeat(2))), "CARD_ARMOR");
    assert_eq!(refusal(SignedCard::from_armor(&text.replace("EADS CARD", "CERTIFICATE"))), "CARD_ARMOR");
}

#[test]
fn a_card_is_signed_by_the_key_it_names_and_no_other() {
    assert_eq!(refusal(SignedCard::sign(genesis(), &key(9))), "CARD_KEY_MISMATCH");
    let mut forged = signed(genesis(), 1).bytes().to_vec();
    let body = forged.len() - SIGNATURE_BYTES;
    let signature = key(9).sign(&pae(&[CARD_LABEL, &forged[..body]])).to_bytes();
    forged[body..].copy_from_slice(&signature);
    assert_eq!(refusal(SignedCard::parse_and_verify(&forged)), "CARD_SIGNATURE");
}

#[test]
fn weak_and_reused_keys_are_refused() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let weak = VerifyingKey::from_bytes(&identity).unwrap();
    assert_eq!(refusal(SignedCard::sign(Card { signing_key: weak, ..genesis() }, &key(1))), "CARD_WEAK_KEY");
    assert_eq!(refusal(SignedCard::sign(Card { cosigner_key: weak, ..genesis() }, &key(1))), "CARD_WEAK_KEY");
    let same = Card { cosigner_key: key(1).verifying_key(), ..genesis() };
    assert_eq!(refusal(SignedCard::sign(same, &key(1))), "CARD_KEY_REUSED");
    let announced = Card { next_signing_key: key_digest(&key(1).verifying_key()), ..genesis() };
    assert_eq!(refusal(SignedCard::sign(announced, &key(1))), "CARD_KEY_REUSED");
}

#[test]
fn a_weak_key_that_signs_everything_is_refused_on_import() {
    let card = signed(genesis(), 1);
    let place = card.bytes().windows(32).position(|window| window == key(1).verifying_key().as_bytes()).unwrap();
    let mut bytes = card.bytes().to_vec();
    bytes[place..place + 32].fill(0);
    bytes[place] = 1;
    let length = bytes.len();
    bytes[length - 64..].fill(0);
    bytes[length - 64] = 1;
    assert_eq!(refusal(SignedCard::parse_and_verify(&bytes)), "CARD_WEAK_KEY");
}

#[test]
fn rules_between_fields_hold_when_signing() {
    let sign = |card| refusal(SignedCard::sign(card, &key(1)));
    assert_eq!(sign(Card { tls_anchors: Vec::new(), ..genesis() }), "CARD_NO_ANCHOR");
    let twice = vec!["a.test:1".parse().unwrap(); 2];
    assert_eq!(sign(Card { endpoints: twice, ..genesis() }), "CARD_ENDPOINT");
    let many = vec![genesis().duty_contacts[0].clone(); MAX_ENTRIES + 1];
    assert_eq!(sign(Card { duty_contacts: many, ..genesis() }), "CARD_TOO_MANY");
    assert_eq!(sign(Card { sequence: 0, ..genesis() }), "CARD_SEQUENCE");
    assert_eq!(sign(Card { sequence: 2, ..genesis() }), "CARD_SEQUENCE");
    assert_eq!(sign(Card { previous: Some(Hash::from_bytes([1; 32])), ..genesis() }), "CARD_SEQUENCE");
}

#[test]
fn an_anchor_is_the_certificate_of_a_ca() {
    assert_eq!(refusal(Anchor::from_der(certificate(IsCa::NoCa))), "CARD_ANCHOR");
    assert_eq!(refusal(Anchor::from_der(certificate(IsCa::ExplicitNoCa))), "CARD_ANCHOR");
    assert_eq!(refusal(Anchor::from_der(b"not DER".to_vec())), "CARD_ANCHOR");
    assert_eq!(refusal(Anchor::from_der([CA.as_slice(), &[0]].concat())), "CARD_ANCHOR");
}

#[test]
fn endpoints_have_one_spelling() {
    for text in ["node.example.test:7443", "192.0.2.1:1", "[2001:db8::1]:65535", "localhost:80"] {
        assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
    }
    for text in [
        "node.example.test",
        "node.example.test:",
        "node.example.test:0",
        "node.example.test:065",
        "node.example.test:65536",
        "node.example.test:+80",
        "Node.example.test:80",
        "node..test:80",
        "-node.test:80",
        "2001:db8::1:80",
        "[2001:DB8::1]:80",
        "[2001:0db8::1]:80",
        "192.0.2:80",
        "192.0.2.256:80",
        "https://node.test:80",
        " node.test:80",
        ":80",
        "",
    ] {
        assert_eq!(text.parse::<Endpoint>(), Err(CardError::Endpoint), "{text}");
    }
}

#[test]
fn texts_that_could_deceive_are_refused() {
    for text in ["", " a", "a\nb", "a\u{202e}b", "e\u{301}", &"x".repeat(101)] {
        assert_eq!(text.parse::<DisplayName>(), Err(CardError::Text), "{text:?}");
    }
    assert!("ตำรวจ ตัวอย่าง".parse::<DisplayName>().is_ok());
}

#[test]
fn protocol_ranges_meet_or_do_not() {
    let range = |min, max| ProtocolRange::new(min, max).unwrap();
    assert_eq!(range(1, 3).newest_common(range(2, 5)), Some(3));
    assert_eq!(range(1, 1).newest_common(range(2, 5)), None);
    assert_eq!(ProtocolRange::new(0, 1), Err(CardError::Protocol));
    assert_eq!(ProtocolRange::new(2, 1), Err(CardError::Protocol));
}

#[test]
fn a_verification_code_is_sixty_digits_over_the_whole_card() {
    let card = signed(genesis(), 1);
    let code = card.verification_code();
    let text = code.to_string();
    assert_eq!(text.split(' ').map(str::len).collect::<Vec<_>>(), [5; 12]);
    assert_eq!(text.parse(), Ok(code));
    assert_eq!(text.replace(' ', "").parse(), Ok(code));
    assert_eq!(format!(" {}\n", text.replace(' ', " - \n")).parse(), Ok(code));
    let other = signed(Card { issued: Timestamp::from_unix(1_800_000_001), ..genesis() }, 1);
    assert_ne!(other.verification_code(), code);
    for text in ["", "1234", &text[1..], &format!("{text}0"), &text.replace(' ', "x"), &" ".repeat(1000)] {
        assert_eq!(text.parse::<VerificationCode>(), Err(InvalidCode));
    }
}

#[test]
fn a_verification_code_is_made_as_the_protocol_says() {
    let card = signed(genesis(), 1);
    let body = &card.bytes()[..card.bytes().len() - 64];
    let okm: [u8; 60] = crate::encode::hkdf(body, b"eads/v1/card-code");
    let number = |five: &[u8]| five.iter().fold(0_u64, |n, byte| n * 256 + u64::from(*byte)) % 100_000;
    let expected: Vec<String> = okm.chunks(5).map(|five| format!("{:05}", number(five))).collect();
    assert_eq!(card.verification_code().to_string(), expected.join(" "));
}

#[test]
fn an_updated_and_a_rotated_card_follow() {
    let old = signed(genesis(), 1);
    assert_eq!(check_successor(&old, &old), Ok(Succession::Unchanged));
    let moved = Card { endpoints: vec!["new.example.test:7443".parse().unwrap()], ..after(&old) };
    assert_eq!(check_successor(&old, &signed(moved, 1)), Ok(Succession::Updated));
    let next = signed(rotated(&old), 2);
    assert_eq!(check_successor(&old, &next), Ok(Succession::Rotated));
    assert_eq!(check_successor(&next, &signed(after(&next), 2)), Ok(Succession::Updated));
}

#[test]
fn replays_forks_gaps_and_other_members_are_told_apart() {
    let old = signed(genesis(), 1);
    let second = signed(after(&old), 1);
    assert_eq!(refusal(check_successor(&second, &old)), "CARD_REPLAYED");
    let fork = signed(Card { issued: Timestamp::from_unix(7), ..genesis() }, 1);
    assert_eq!(refusal(check_successor(&old, &fork)), "CARD_FORKED");
    assert_eq!(refusal(check_successor(&fork, &second)), "CARD_FORKED");
    let third = signed(after(&second), 1);
    assert_eq!(refusal(check_successor(&old, &third)), "CARD_GAP");
    let other = signed(Card { member: "MY".parse().unwrap(), ..after(&old) }, 1);
    assert_eq!(refusal(check_successor(&old, &other)), "CARD_OTHER_MEMBER");
    let register = Card { register: RegisterId::from_bytes([6; 16]), ..after(&old) };
    assert_eq!(refusal(check_successor(&old, &signed(register, 1))), "CARD_OTHER_REGISTER");
}

#[test]
fn a_key_that_was_not_announced_does_not_follow() {
    let old = signed(genesis(), 1);
    let stranger = Card { signing_key: key(9).verifying_key(), ..rotated(&old) };
    assert_eq!(refusal(check_successor(&old, &signed(stranger, 9))), "CARD_KEY_NOT_ANNOUNCED");
    for keyseq in [0, 2, u32::MAX] {
        let card = signed(Card { keyseq, ..rotated(&old) }, 2);
        assert_eq!(refusal(check_successor(&old, &card)), "CARD_KEY_NOT_ANNOUNCED");
    }
    let same_key = signed(Card { keyseq: 1, ..after(&old) }, 1);
    assert_eq!(refusal(check_successor(&old, &same_key)), "CARD_KEY_NOT_ANNOUNCED");
}

#[test]
fn a_stolen_key_cannot_announce_its_own_successor() {
    let old = signed(genesis(), 1);
    let thief = Card { next_signing_key: key_digest(&key(9).verifying_key()), ..after(&old) };
    assert_eq!(refusal(check_successor(&old, &signed(thief, 1))), "CARD_ANNOUNCEMENT_CHANGED");
}

#[test]
fn a_theft_is_stated_on_the_card_of_a_rotation_and_on_no_other() {
    let old = signed(genesis(), 1);
    let stated = signed(Card { compromised_from: Some(7), ..rotated(&old) }, 2);
    assert_eq!((stated.bytes()[0], old.bytes()[0]), (2, 1));
    let read = SignedCard::parse_and_verify(stated.bytes()).unwrap();
    assert_eq!(read.card().compromised_from, Some(7));
    assert_eq!(check_successor(&old, &stated), Ok(Succession::Rotated));
    assert_eq!(refusal(SignedCard::sign(Card { compromised_from: Some(0), ..genesis() }, &key(1))), "CARD_COMPROMISE");
    let repeated = signed(Card { compromised_from: Some(7), ..after(&stated) }, 2);
    assert_eq!(refusal(check_successor(&stated, &repeated)), "CARD_COMPROMISE");
}

#[test]
fn each_key_counts_for_its_part_of_the_register() {
    use crate::register::{Checkpoint, empty_root};

    let old = signed(genesis(), 1);
    let change = Hash::from_bytes([9; 32]);
    let line = KeyLine::begin(old.card()).rotated(signed(rotated(&old), 2).card(), 10, change, 10);
    let stolen = signed(Card { compromised_from: Some(4), ..rotated(&old) }, 2);
    let after_theft = KeyLine::begin(old.card()).rotated(stolen.card(), 10, change, 6);
    let statement = |keyseq: u32, by: u8| {
        let payload = crate::statement::Payload { keyseq, ..crate::statement::tests::payload(Action::Issue) };
        Statement::sign(payload, &key(by)).unwrap()
    };
    // Key number, signer, index; what each of the two lines says.
    for (keyseq, by, index, rotated, stolen) in [
        (0, 1, 0, Ok(true), Ok(true)),
        (0, 1, 5, Ok(true), Ok(true)),
        (0, 1, 6, Ok(true), Ok(false)),
        (0, 1, 9, Ok(true), Ok(false)),
        (0, 1, 10, Err("STATEMENT_OTHER_KEYSEQ"), Err("STATEMENT_OTHER_KEYSEQ")),
        (1, 2, 9, Err("STATEMENT_OTHER_KEYSEQ"), Err("STATEMENT_OTHER_KEYSEQ")),
        (1, 2, 10, Ok(true), Ok(true)),
        (1, 1, 10, Err("STATEMENT_SIGNATURE_INVALID"), Err("STATEMENT_SIGNATURE_INVALID")),
        (2, 2, 10, Err("STATEMENT_OTHER_KEYSEQ"), Err("STATEMENT_OTHER_KEYSEQ")),
        (2, 3, 10, Err("STATEMENT_SIGNATURE_INVALID"), Err("STATEMENT_SIGNATURE_INVALID")),
    ] {
        let signed = statement(keyseq, by);
        let says = |line: &KeyLine| {
            let read = line.statement_at(signed.payload_bytes(), signed.signature(), index);
            read.map(|(_, vouched)| vouched).map_err(|error| error.code().as_str())
        };
        assert_eq!((says(&line), says(&after_theft)), (rotated, stolen), "key {keyseq} by {by} at {index}");
    }
    let (member, register) = (old.card().member, old.card().register);
    for (by, size, counts) in [(1, 10, true), (1, 11, false), (2, 3, true), (2, 11, true), (3, 3, false)] {
        let root = if size == 0 { empty_root() } else { Hash::from_bytes([1; 32]) };
        let checkpoint = SignedCheckpoint::sign(Checkpoint { member, register, size, root }, &key(by)).unwrap();
        assert_eq!(line.checkpoint(checkpoint.bytes(), member, register).is_ok(), counts, "{size} by {by}");
    }
    let spans: Vec<KeySpan> = line.spans().cloned().collect();
    assert_eq!(KeyLine::from_spans(spans), Some(line));
}
