//! Files whole, cut, joined, altered, and read by the wrong node.

use ed25519_dalek::SigningKey;

use super::*;
use crate::card::{Card, tests::genesis};
use crate::entropy::SystemEntropy;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn origin() -> Card {
    genesis()
}

fn receiver() -> Card {
    Card { member: "MY".parse().unwrap(), signing_key: key(7).verifying_key(), ..genesis() }
}

/// A file with these bodies, all of kind 1.
fn file(bodies: &[Vec<u8>]) -> Vec<u8> {
    let (origin, receiver, signing) = (origin(), receiver(), key(1));
    let created = Timestamp::from_unix(1_800_000_000);
    let mut writer = FileWriter::new(&origin, &signing, &receiver, created, &SystemEntropy).unwrap();
    let mut out = Vec::new();
    for body in bodies {
        writer.frame(1, body).unwrap();
        out.append(&mut writer.take());
    }
    out.append(&mut writer.finish().unwrap());
    out
}

/// Reads a file that comes in chunks of that size, as the holder of a key.
fn read(file: &[u8], chunk: usize, seed: u8) -> Result<Vec<Vec<u8>>, SyncFileError> {
    let header = Header::parse(file)?.ok_or(SyncFileError::Truncated)?;
    let (begin, rest) = file.split_at(HEADER_BYTES);
    let mut reader = FileReader::new(&header, begin, origin().signing_key, &SyncFileKey::new(&key(seed)))?;
    let mut bodies = Vec::new();
    for bytes in rest.chunks(chunk) {
        reader.push(bytes);
        while let Some(frame) = reader.next_frame()? {
            assert_eq!(frame.kind, 1);
            bodies.push(frame.body.to_vec());
        }
    }
    reader.finish().map(|()| bodies)
}

/// The pieces behind the header.
fn pieces(file: &[u8]) -> Vec<&[u8]> {
    let mut rest = &file[HEADER_BYTES..];
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[1..5].try_into().unwrap()) as usize + 5 + SIGNATURE_BYTES;
        pieces.push(&rest[..length]);
        rest = &rest[length..];
    }
    pieces
}

fn bodies() -> Vec<Vec<u8>> {
    vec![b"first".to_vec(), Vec::new(), vec![9; 3 * PIECE_BYTES], b"last".to_vec()]
}

#[test]
fn what_was_written_is_read_in_chunks_of_any_size() {
    let whole = file(&bodies());
    assert!(pieces(&whole).len() > 3);
    for chunk in [7, 1000, PIECE_BYTES, whole.len()] {
        assert_eq!(read(&whole, chunk, 7), Ok(bodies()), "chunks of {chunk}");
    }
    assert_eq!(read(&file(&[]), 10, 7), Ok(Vec::new()));
    // A body that fills its piece to the last byte.
    let exact = vec![vec![1; PIECE_BYTES - FRAME_HEADER_BYTES]];
    assert_eq!(read(&file(&exact), 4096, 7), Ok(exact));
}

#[test]
fn a_header_says_for_whom_by_whom_and_of_which_register() {
    let whole = file(&bodies());
    let header = Header::parse(&whole).unwrap().unwrap();
    assert_eq!((header.origin, header.receiver), (origin().member, receiver().member));
    assert_eq!((header.register, header.keyseq), (origin().register, 0));
    assert_eq!(header.to_bytes(), whole[..HEADER_BYTES]);
    for short in [0, 1, 12, HEADER_BYTES - 1] {
        assert_eq!(Header::parse(&whole[..short]), Ok(None));
    }
    assert_eq!(Header::parse(b"eads-sync/2\n and so on"), Err(SyncFileError::Version));
    assert_eq!(Header::parse(b"PK\x03\x04"), Err(SyncFileError::Malformed));
}

#[test]
fn only_the_receiver_opens_it() {
    assert_eq!(read(&file(&bodies()), 4096, 8), Err(SyncFileError::OtherKey));
    let mut readdressed = file(&bodies());
    let at = HEADER_BYTES - 8 - 32 - 32;
    readdressed[at..at + 32].copy_from_slice(key(8).verifying_key().as_bytes());
    assert_eq!(read(&readdressed, 4096, 8), Err(SyncFileError::Altered));
}

#[test]
fn any_altered_byte_is_found_out() {
    let whole = file(&[b"a body of some length".to_vec()]);
    for place in 0..whole.len() {
        let mut altered = whole.clone();
        altered[place] ^= 1;
        assert!(read(&altered, whole.len(), 7).is_err(), "byte {place}");
    }
}

#[test]
fn cut_joined_and_reordered_files_are_found_out() {
    let whole = file(&bodies());
    for end in [HEADER_BYTES, HEADER_BYTES + 3, whole.len() / 2, whole.len() - 1] {
        assert_eq!(read(&whole[..end], 4096, 7), Err(SyncFileError::Truncated), "cut at {end}");
    }
    let parts = pieces(&whole);
    let without_last = [&whole[..HEADER_BYTES], parts[..parts.len() - 1].concat().as_slice()].concat();
    assert_eq!(read(&without_last, 4096, 7), Err(SyncFileError::Truncated));
    let swapped = [&whole[..HEADER_BYTES], parts[1], parts[0], parts[2..].concat().as_slice()].concat();
    assert_eq!(read(&swapped, 4096, 7), Err(SyncFileError::Altered));
    let mut goes_on = whole.clone();
    goes_on.push(0);
    assert_eq!(read(&goes_on, 4096, 7), Err(SyncFileError::Trailing));
    let other = file(&bodies());
    let spliced = [&whole[..HEADER_BYTES], parts[0], pieces(&other)[1..].concat().as_slice()].concat();
    assert_eq!(read(&spliced, 4096, 7), Err(SyncFileError::Altered));
}

#[test]
fn a_file_signed_by_somebody_else_is_refused_before_it_is_opened() {
    let (origin, receiver, thief) = (origin(), receiver(), key(66));
    let writer = FileWriter::new(&origin, &thief, &receiver, Timestamp::from_unix(1), &SystemEntropy).unwrap();
    assert_eq!(read(&writer.finish().unwrap(), 4096, 7), Err(SyncFileError::Altered));
}

#[test]
fn a_point_that_gives_everybody_the_same_secret_is_refused() {
    let mut whole = file(&bodies());
    let at = HEADER_BYTES - 8 - 32;
    whole[at..at + 32].fill(0);
    assert_eq!(read(&whole, 4096, 7), Err(SyncFileError::OtherKey));
}

#[test]
fn a_frame_that_no_message_can_be_is_refused() {
    let (origin, receiver, signing) = (origin(), receiver(), key(1));
    let created = Timestamp::from_unix(1);
    let mut writer = FileWriter::new(&origin, &signing, &receiver, created, &SystemEntropy).unwrap();
    assert_eq!(writer.frame(1, &vec![0; MAX_FRAME_BYTES + 1]), Err(SyncFileError::Frame));
}
