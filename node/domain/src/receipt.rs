//! Receipts: a peer's signed word on what became of a statement (PROTOCOL §5).
//!
//! A receipt is a claim, not a proof. In particular a purge receipt says what its signer states about its own
//! store and until when backups could still hold the data; nothing here can check that.

mod reason;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

pub use reason::{ReceiptReason, UnknownReason};

use crate::clock::Timestamp;
use crate::code::{Code, Coded, Fault};
use crate::encode::{Misread, Reader, pae};
use crate::id::{Hash, MemberId, RegisterId};

/// The label of one receipt that is signed by itself.
pub const RECEIPT_LABEL: &[u8] = b"eads/v1/receipt";
/// The label of a batch of receipts.
pub const RECEIPTS_LABEL: &[u8] = b"eads/v1/receipts";
/// The length of one receipt in bytes.
pub const RECEIPT_BYTES: usize = 91;
/// The most receipts that one signature covers.
pub const MAX_RECEIPTS: usize = 1024;

/// Bytes that are not receipts of the one they are said to be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Not [`RECEIPT_BYTES`] long.
    #[error("a receipt is {RECEIPT_BYTES} bytes long")]
    Length,
    /// A status that does not exist.
    #[error("the receipt's status is not 1 to 5")]
    Status,
    /// A member id that is not well formed.
    #[error("the receipt's receiver or origin is not a member id")]
    Member,
    /// No receipt, or more than [`MAX_RECEIPTS`].
    #[error("a batch holds 1 to {MAX_RECEIPTS} receipts")]
    Count,
    /// A receiver other than the one whose key is checked.
    #[error("a receipt in the batch is of another receiver than its sender")]
    OtherReceiver,
    /// Signature not valid under the key.
    #[error("the signature over the receipts does not verify")]
    Signature,
}

impl Coded for ReceiptError {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::Length => "RECEIPT_LENGTH",
            Self::Status => "RECEIPT_STATUS",
            Self::Member => "RECEIPT_MEMBER",
            Self::Count => "RECEIPT_COUNT",
            Self::OtherReceiver => "RECEIPT_OTHER_RECEIVER",
            Self::Signature => "RECEIPT_SIGNATURE",
        })
    }

    fn fault(&self) -> Fault {
        Fault::Peer
    }
}

impl From<Misread> for ReceiptError {
    fn from(_: Misread) -> Self {
        Self::Length
    }
}

/// What became of a statement at the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ReceiptStatus {
    /// Verified, stored, in use.
    Accepted = 1,
    /// Not taken; the reason says why.
    Rejected = 2,
    /// Stored, not in use until the desk approves.
    Quarantined = 3,
    /// An officer has seen it.
    Delivered = 4,
    /// Destroyed.
    Purged = 5,
}

impl ReceiptStatus {
    /// The byte in a receipt.
    pub const fn as_byte(self) -> u8 {
        self as u8
    }

    /// From the byte in a receipt.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Accepted),
            2 => Some(Self::Rejected),
            3 => Some(Self::Quarantined),
            4 => Some(Self::Delivered),
            5 => Some(Self::Purged),
            _ => None,
        }
    }

    /// The code in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Quarantined => "quarantined",
            Self::Delivered => "delivered",
            Self::Purged => "purged",
        }
    }
}

/// One receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// What became of the statement.
    pub status: ReceiptStatus,
    /// Who says so.
    pub receiver: MemberId,
    /// Whose statement it is.
    pub origin: MemberId,
    /// In which of the origin's registers it stands.
    pub register: RegisterId,
    /// At which position.
    pub index: u64,
    /// D of the statement.
    pub digest: Hash,
    /// Slots that the receiver was shown; bit i is slot i.
    pub shown: u64,
    /// Why; [`ReceiptReason::NONE`] where nothing is to be explained.
    pub reason: ReceiptReason,
    /// When, by the receiver's clock.
    pub at: Timestamp,
    /// Until when the receiver's backups could still hold the data; `None` where no volume snapshots are declared.
    pub backups_until: Option<Timestamp>,
    /// The receiver's key under which it is signed.
    pub keyseq: u32,
}

impl Receipt {
    /// The fields as they are signed: one part of a batch.
    pub fn to_bytes(&self) -> [u8; RECEIPT_BYTES] {
        let mut out = [0; RECEIPT_BYTES];
        let fields: [&[u8]; 11] = [
            &[self.status.as_byte()],
            self.receiver.as_bytes(),
            self.origin.as_bytes(),
            self.register.as_bytes(),
            &self.index.to_be_bytes(),
            self.digest.as_bytes(),
            &self.shown.to_be_bytes(),
            &self.reason.number().to_be_bytes(),
            &self.at.as_unix().to_be_bytes(),
            &self.backups_until.map_or(0, Timestamp::as_unix).to_be_bytes(),
            &self.keyseq.to_be_bytes(),
        ];
        for (slot, byte) in out.iter_mut().zip(fields.concat()) {
            *slot = byte;
        }
        out
    }

    /// Reads one part of a batch.
    ///
    /// # Errors
    /// [`ReceiptError::Length`], [`ReceiptError::Status`], [`ReceiptError::Member`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let mut reader = Reader::new(bytes);
        let receipt = Self {
            status: ReceiptStatus::from_byte(reader.u8()?).ok_or(ReceiptError::Status)?,
            receiver: MemberId::from_bytes(reader.array()?).map_err(|_| ReceiptError::Member)?,
            origin: MemberId::from_bytes(reader.array()?).map_err(|_| ReceiptError::Member)?,
            register: RegisterId::from_bytes(reader.array()?),
            index: reader.u64()?,
            digest: Hash::from_bytes(reader.array()?),
            shown: reader.u64()?,
            reason: ReceiptReason::from_number(reader.u16()?),
            at: Timestamp::from_unix(reader.i64()?),
            backups_until: Some(reader.i64()?).filter(|seconds| *seconds != 0).map(Timestamp::from_unix),
            keyseq: reader.u32()?,
        };
        reader.finish()?;
        Ok(receipt)
    }

    /// Signs this receipt by itself, outside a batch.
    pub fn sign(&self, key: &SigningKey) -> [u8; 64] {
        key.sign(&pae(&[RECEIPT_LABEL, &self.to_bytes()])).to_bytes()
    }

    /// Checks the signature of a receipt that was signed by itself.
    ///
    /// # Errors
    /// [`ReceiptError::Signature`].
    pub fn verify(&self, signature: &[u8; 64], key: &VerifyingKey) -> Result<(), ReceiptError> {
        key.verify_strict(&pae(&[RECEIPT_LABEL, &self.to_bytes()]), &Signature::from_bytes(signature))
            .map_err(|_| ReceiptError::Signature)
    }
}

/// A batch of receipts of one receiver under one signature. One that exists was signed here or verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedReceipts {
    parts: Vec<Vec<u8>>,
    receipts: Vec<Receipt>,
    signature: [u8; 64],
}

impl SignedReceipts {
    /// Signs a batch, in this order.
    ///
    /// # Errors
    /// [`ReceiptError::Count`]; [`ReceiptError::OtherReceiver`] if the receipts are not all of one receiver.
    pub fn sign(receipts: &[Receipt], key: &SigningKey) -> Result<Self, ReceiptError> {
        let receiver = receipts.first().ok_or(ReceiptError::Count)?.receiver;
        check(receipts, receiver)?;
        let parts: Vec<Vec<u8>> = receipts.iter().map(|receipt| receipt.to_bytes().to_vec()).collect();
        let signature = key.sign(&message(&parts)).to_bytes();
        Ok(Self { parts, receipts: receipts.to_vec(), signature })
    }

    /// Takes a batch that is said to be of `receiver`, whose key is `key`.
    ///
    /// # Errors
    /// [`ReceiptError`], by what is wrong with it; nothing of a batch counts if anything is.
    pub fn verify(
        parts: Vec<Vec<u8>>,
        signature: &[u8],
        receiver: MemberId,
        key: &VerifyingKey,
    ) -> Result<Self, ReceiptError> {
        if parts.is_empty() || parts.len() > MAX_RECEIPTS {
            return Err(ReceiptError::Count);
        }
        let receipts = parts.iter().map(|part| Receipt::parse(part)).collect::<Result<Vec<_>, _>>()?;
        check(&receipts, receiver)?;
        let signature: [u8; 64] = signature.try_into().map_err(|_| ReceiptError::Signature)?;
        key.verify_strict(&message(&parts), &Signature::from_bytes(&signature)).map_err(|_| ReceiptError::Signature)?;
        Ok(Self { parts, receipts, signature })
    }

    /// The parts as they were signed.
    pub fn parts(&self) -> &[Vec<u8>] {
        &self.parts
    }

    /// The receipts, in the order of the parts.
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }

    /// The signature over all parts.
    pub const fn signature(&self) -> &[u8; 64] {
        &self.signature
    }
}

fn check(receipts: &[Receipt], receiver: MemberId) -> Result<(), ReceiptError> {
    if receipts.is_empty() || receipts.len() > MAX_RECEIPTS {
        Err(ReceiptError::Count)
    } else if receipts.iter().any(|receipt| receipt.receiver != receiver) {
        Err(ReceiptError::OtherReceiver)
    } else {
        Ok(())
    }
}

fn message(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut all: Vec<&[u8]> = Vec::with_capacity(parts.len() + 1);
    all.push(RECEIPTS_LABEL);
    all.extend(parts.iter().map(Vec::as_slice));
    pae(&all)
}

#[cfg(test)]
mod tests;
