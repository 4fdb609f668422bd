//! National records: imported from the registers of this state, searched here, never sent as such.

mod import;

use std::fmt;
use std::str::FromStr;

use eads_domain::encode::sha256_pae;
use eads_domain::id::Hash;
use eads_domain::operator::Purpose;
use eads_domain::query::HitField;
use eads_domain::record::Record;
use eads_store::vault::Sealed;

pub(crate) use import::Importing;
pub use import::{Progress, RecordFormat, RecordImport, RecordImportOptions};

use crate::area;
use crate::audit::Shown;
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;
use crate::search::fields;

/// Names a record to an officer without saying anything of it: `R-` and 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHandle([u8; 16]);

impl RecordHandle {
    /// From the key of its row.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The key of its row.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// What the audit log calls it.
    pub fn digest(&self) -> Hash {
        sha256_pae(&[b"eads/v1/record-handle", &self.0])
    }
}

impl fmt::Display for RecordHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "R-{}", hex::encode(self.0))
    }
}

impl FromStr for RecordHandle {
    type Err = ServiceError;

    fn from_str(text: &str) -> Result<Self, ServiceError> {
        let digits = text.strip_prefix("R-").and_then(|digits| hex::decode(digits).ok());
        digits.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or_else(|| {
            ServiceError::invalid("RECORD_HANDLE_INVALID", "a record's handle is R- and 32 hexadecimal digits")
        })
    }
}

/// A record as an officer sees it.
#[derive(Clone, Debug)]
pub struct RecordView {
    /// The register that it comes from.
    pub source: String,
    /// Its key there.
    pub key: String,
    /// What it is about.
    pub subject: String,
    /// Its fields.
    pub fields: Vec<HitField>,
}

impl Node {
    /// The key of a record's row: nobody who reads the store can guess whose it is.
    pub(crate) fn record_key(&self, record: &Record) -> [u8; 16] {
        self.keys.mac("record", record.id().as_bytes())
    }

    /// One record. Audited with its purpose.
    ///
    /// # Errors
    /// `RECORD_UNKNOWN`, `RECORD_HANDLE_INVALID`.
    pub async fn get_record(
        &self,
        call: &Call,
        handle: &str,
        purpose: Purpose,
        legal_basis: Option<String>,
        case_reference: Option<String>,
    ) -> Result<RecordView, ServiceError> {
        let mut entry = self.entry(call, "GetRecord");
        entry.purpose = Some(purpose.as_str().to_owned());
        entry.legal_basis = legal_basis;
        entry.case_reference = case_reference;
        let intent = self.audit.intent(entry).await?;
        let outcome = self.record(handle).await;
        match &outcome {
            Ok((shown, _)) => self.audit.outcome(&intent, "OK", vec![shown.clone()]).await?,
            Err(_) => self.audit.close(intent, &outcome).await?,
        }
        outcome.map(|(_, view)| view)
    }

    async fn record(&self, handle: &str) -> Result<(Shown, RecordView), ServiceError> {
        let handle: RecordHandle = handle.parse()?;
        let Some(Sealed::Plain { bytes, .. }) = self.vault.get(area::RECORD, handle.as_bytes()).await? else {
            return Err(ServiceError::not_found("RECORD_UNKNOWN", "there is no such record"));
        };
        let record = Record::parse(&bytes)?;
        let shown = Shown { digest: handle.digest(), slots: record.fields().keys().copied().collect() };
        let view = RecordView {
            source: record.source().to_string(),
            key: record.key().to_string(),
            subject: record.subject().to_string(),
            fields: fields(&record.to_fields()),
        };
        Ok((shown, view))
    }
}
