//! Batches as they go over a thin line: the same message, deflated. Salts, commitments and signatures do not get
//! smaller; texts, certificates and the frames around everything do.

use std::io::{Read as _, Write as _};

use eads_domain::wire::InvalidMessage;
use eads_proto::v1;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use prost::Message as _;

use super::MAX_ANSWER_BYTES;

/// Below this a message is mostly random or mostly empty.
const WORTH_BYTES: usize = 512;

/// The message packed, if that makes it smaller by a fiftieth at least: on a thin line every byte waits.
pub(super) fn pack(message: v1::SyncResponse) -> v1::SyncResponse {
    let plain = message.encode_to_vec();
    if plain.len() < WORTH_BYTES {
        return message;
    }
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(plain.len()), Compression::best());
    match encoder.write_all(&plain).and_then(|()| encoder.finish()) {
        Ok(packed) if packed.len() < plain.len() - plain.len() / 50 => {
            v1::SyncResponse { packed, ..v1::SyncResponse::default() }
        }
        _ => message,
    }
}

/// The message that came, unpacked if it was packed. Bounded: a bomb goes off at 4 MiB.
pub(super) fn unpack(mut message: v1::SyncResponse) -> Result<v1::SyncResponse, InvalidMessage> {
    if message.packed.is_empty() {
        return Ok(message);
    }
    let unknown = || InvalidMessage::Unknown { field: "packed" };
    let packed = std::mem::take(&mut message.packed);
    if message != v1::SyncResponse::default() {
        return Err(unknown());
    }
    let mut plain = Vec::new();
    let limit = MAX_ANSWER_BYTES as u64 + 1;
    ZlibDecoder::new(packed.as_slice()).take(limit).read_to_end(&mut plain).map_err(|_| unknown())?;
    if plain.len() > MAX_ANSWER_BYTES {
        return Err(InvalidMessage::TooLong { field: "packed", max: MAX_ANSWER_BYTES });
    }
    let message = v1::SyncResponse::decode(plain.as_slice()).map_err(|_| unknown())?;
    if message.packed.is_empty() { Ok(message) } else { Err(unknown()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wordy() -> v1::SyncResponse {
        v1::SyncResponse { checkpoint: b"id.eads/register\n".repeat(200), ..v1::SyncResponse::default() }
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn packed(packed: Vec<u8>) -> v1::SyncResponse {
        v1::SyncResponse { packed, ..v1::SyncResponse::default() }
    }

    #[test]
    fn what_is_packed_comes_back_and_what_does_not_pay_is_left_alone() {
        let small = pack(wordy());
        assert!(small.encoded_len() < wordy().encoded_len() / 10);
        assert_eq!(unpack(small), Ok(wordy()));
        assert_eq!(unpack(wordy()), Ok(wordy()));
        let mut state = 1_u32;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        let random = v1::SyncResponse { leaves: noise.take(4096).collect(), ..v1::SyncResponse::default() };
        assert_eq!(pack(random.clone()), random);
        assert_eq!(pack(v1::SyncResponse::default()), v1::SyncResponse::default());
    }

    #[test]
    fn bombs_nests_noise_and_company_are_refused() {
        let bomb = zlib(&vec![0; MAX_ANSWER_BYTES + 1]);
        assert!(bomb.len() < 8192);
        assert_eq!(unpack(packed(bomb)), Err(InvalidMessage::TooLong { field: "packed", max: MAX_ANSWER_BYTES }));
        let nested = packed(zlib(&pack(wordy()).encode_to_vec()));
        let company = v1::SyncResponse { clock: 1, ..pack(wordy()) };
        let cut = packed(zlib(&wordy().encode_to_vec())[..20].to_vec());
        for bad in [nested, company, cut, packed(vec![1, 2, 3]), packed(zlib(&[0xff; 40]))] {
            assert_eq!(unpack(bad), Err(InvalidMessage::Unknown { field: "packed" }));
        }
    }
}
