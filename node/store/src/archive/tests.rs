use std::sync::Arc;

use eads_domain::entropy::{Entropy, SeededEntropy};

use super::*;
use crate::keys::{KdfCost, Passphrase};

fn entropy() -> Arc<dyn Entropy> {
    Arc::new(SeededEntropy::new("archive"))
}

/// Records of many lengths, some across the borders of chunks.
fn bodies() -> Vec<Vec<u8>> {
    let lengths = [0, 1, 5, 100, CHUNK - 5, CHUNK, CHUNK + 1, 3 * CHUNK, 0, 7];
    lengths.iter().zip(1u8..).map(|(length, byte)| vec![byte; *length]).collect()
}

fn archive(key: ArchiveKey) -> Vec<u8> {
    let mut writer = ArchiveWriter::new(Vec::new(), key, b"header", entropy()).unwrap();
    for (kind, body) in (0u8..).zip(bodies()) {
        let (left, right) = body.split_at(body.len() / 3);
        writer.record(kind, &[left, right]).unwrap();
    }
    let (bytes, written) = writer.finish().unwrap();
    assert_eq!((written.bytes, written.records), (bytes.len() as u64, bodies().len() as u64));
    bytes
}

fn read(bytes: &[u8], key: ArchiveKey) -> Result<Vec<Vec<u8>>, ArchiveError> {
    let mut reader = ArchiveReader::open(bytes)?;
    reader.unlock(key)?;
    let mut all = Vec::new();
    while let Some(record) = reader.next_record()? {
        assert_eq!(usize::from(record.kind), all.len());
        all.push(record.body.to_vec());
    }
    assert_eq!(reader.totals().bytes, bytes.len() as u64);
    Ok(all)
}

fn key() -> ArchiveKey {
    ArchiveKey::generate(&SeededEntropy::new("key"))
}

#[test]
fn what_was_written_is_read() {
    let bytes = archive(key());
    assert_eq!(ArchiveReader::open(bytes.as_slice()).unwrap().header(), b"header");
    assert_eq!(read(&bytes, key()).unwrap(), bodies());
    assert!(!bytes.windows(50).any(|window| window == [4; 50]), "nothing of it stands in the clear");
}

#[test]
fn a_file_that_was_cut_extended_or_changed_is_an_error_wherever_it_was() {
    let bytes = archive(key());
    for length in (0..bytes.len()).step_by(997).chain([bytes.len() - 1, bytes.len() - 32, bytes.len() - 33]) {
        let error = read(&bytes[..length], key()).unwrap_err();
        assert!(matches!(error, ArchiveError::Truncated | ArchiveError::Unknown { .. }), "{length}: {error:?}");
    }
    for place in (0..bytes.len()).step_by(499).chain(0..60).chain(bytes.len() - 40..bytes.len()) {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        assert!(read(&changed, key()).is_err(), "byte {place}");
    }
    let longer = [bytes.as_slice(), b"x"].concat();
    assert!(matches!(read(&longer, key()), Err(ArchiveError::Damaged { .. })));
}

#[test]
fn another_key_and_a_newer_format_are_told_apart_from_damage() {
    let mut bytes = archive(key());
    let other = ArchiveKey::generate(&SeededEntropy::new("other"));
    assert!(matches!(read(&bytes, other), Err(ArchiveError::KeyWrong)));
    bytes[9] = 2;
    assert!(matches!(read(&bytes, key()), Err(ArchiveError::Newer { format: 2 })));
}

#[test]
fn a_sealed_key_opens_with_its_passphrase_and_says_what_it_is_for() {
    let passphrase = Passphrase::new(b"right".to_vec()).unwrap();
    let sealed = key().seal(&passphrase, KdfCost::TESTS, b"about", &*entropy()).unwrap();
    let parsed = SealedKey::parse(&sealed).unwrap();
    assert_eq!(parsed.about(), b"about");
    assert_eq!(parsed.open(&passphrase).unwrap().id(), key().id());
    let wrong = Passphrase::new(b"wrong".to_vec()).unwrap();
    assert!(matches!(parsed.open(&wrong), Err(ArchiveError::PassphraseWrong)));
    for place in 10..sealed.len() {
        let mut changed = sealed.clone();
        changed[place] ^= 0x40;
        let opened = SealedKey::parse(&changed).and_then(|key| key.open(&passphrase));
        assert!(opened.is_err(), "byte {place}");
    }
}
