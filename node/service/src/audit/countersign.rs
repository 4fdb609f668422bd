//! Auditors' signatures over the log: taken only over what is there, kept beside it.

use eads_domain::clock::Timestamp;
use eads_domain::encode::sha256;
use eads_domain::id::Hash;
use eads_domain::operator::OperatorName;
use eads_store::port::Batch;

use super::Countersignature;
use crate::area;
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;
use crate::pages::Pages;
use crate::rows;

/// How far the auditor's clock may be from the node's, seconds.
const CLOCKS: i64 = 300;

impl Node {
    /// Keeps the caller's signature over the log up to `sequence`.
    ///
    /// # Errors
    /// `AUDIT_HEAD_UNKNOWN` when the log has another chain there, `COUNTERSIGNATURE_TIME`, `COUNTERSIGNATURE_*`,
    /// `COUNTERSIGNER_NOT_AUDITOR`.
    pub async fn countersign_audit(
        &self,
        call: &Call,
        (sequence, chain): (u64, Hash),
        at: Timestamp,
        signature: &[u8],
    ) -> Result<(), ServiceError> {
        let signed = Countersignature::new(sequence, chain, at, signature, &call.certificate);
        let work = async {
            let identity = self.identity();
            let anchor = identity.card.card().operator_anchor.as_der();
            signed.verify(self.member, self.register_id, anchor)?;
            if at.seconds_since(self.clock.now()).abs() > CLOCKS {
                let text = "the signature's time is far from this node's clock";
                return Err(ServiceError::invalid("COUNTERSIGNATURE_TIME", text));
            }
            let log = self.audit.clone();
            if super::blocking(move || log.chain_after(sequence)).await? != Some(chain) || sequence == 0 {
                let text = format!("the log has no entry {sequence} with that chain");
                return Err(ServiceError::conflict("AUDIT_HEAD_UNKNOWN", text));
            }
            let digest = sha256(&call.certificate);
            let key = [&sequence.to_be_bytes(), digest.as_bytes().get(..8).unwrap_or_default()].concat();
            let mut batch = Batch::new();
            rows::put(&mut batch, area::AUDIT_COUNTERSIGNATURE, &key, &signed)?;
            Ok(self.store.commit(batch).await.map(drop)?)
        };
        self.audited(call, "CountersignAudit", Some(format!("entry {sequence}, chain {chain}")), work).await
    }

    /// The signatures that are good under the present operator CA, by the entries that they cover, each with its
    /// auditor.
    pub(super) async fn countersignatures(&self) -> Result<Vec<(OperatorName, Countersignature)>, ServiceError> {
        let identity = self.identity();
        let anchor = identity.card.card().operator_anchor.as_der();
        let mut good = Vec::new();
        let mut pages = Pages::of(&*self.store, area::AUDIT_COUNTERSIGNATURE);
        while let Some(page) = pages.next().await? {
            for (_, row) in page {
                let signed: Countersignature = rows::parse(&row)?;
                if let Ok(auditor) = signed.verify(self.member, self.register_id, anchor) {
                    good.push((auditor, signed));
                }
            }
        }
        Ok(good)
    }

    /// The signatures for an auditor to see.
    ///
    /// # Errors
    /// `AUDIT_UNAVAILABLE`; when the store cannot be read.
    pub async fn list_countersignatures(
        &self,
        call: &Call,
    ) -> Result<Vec<(OperatorName, Countersignature)>, ServiceError> {
        self.audited(call, "ListAuditCountersignatures", None, self.countersignatures()).await
    }
}
