//! Own notices through their life, and held ones as they are shown.
//!
//! A change of content, a resumption and a withdrawal are drafted by one officer and approved by another; the
//! approval is signed into the notice. Suspending is one officer's act, because it only protects and can be
//! taken back; withdrawing destroys, and so takes two.

mod approve;
mod draft;
mod draft_rows;
mod due;
mod emergency;
mod expire;
mod extend;
mod issue;
mod listed;
mod purge;
mod review;
mod status;
mod suspend;
mod view;

pub use draft::{Draft, DraftOrigin, LegalReview, NewDraft, Returned};
pub use due::DueCount;
pub use emergency::EmergencyIssued;
pub(crate) use expire::held_purge;
pub use issue::Issued;
pub use listed::{ListImport, ListImportOptions};
pub use status::{HolderView, NoticeHolders};
pub(crate) use view::split;
pub use view::{NoticeDetail, NoticeFilter, NoticeState, NoticeView};

use eads_domain::code::Coded as _;
use eads_domain::id::{MemberId, NoticeId};
use eads_domain::life::Refused;
use eads_domain::reference::Reference;
use serde::{Deserialize, Serialize};

pub use crate::marks::Contest;

use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::rows::{self, OwnNotice};

/// Where a reference leads.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Referred {
    pub(crate) owner: MemberId,
    pub(crate) notice: NoticeId,
}

/// An act that the state of a draft or notice does not allow.
fn not_possible(refused: Refused) -> ServiceError {
    ServiceError::conflict(refused.code().as_str(), refused.to_string())
}

impl Node {
    /// References stand in store keys as HMACs only.
    pub(crate) fn reference_key(&self, reference: &str) -> Vec<u8> {
        self.keys.mac("reference", reference.as_bytes()).to_vec()
    }

    pub(crate) async fn referred(&self, reference: &str) -> Result<Referred, ServiceError> {
        let parsed: Reference = reference.parse().map_err(ServiceError::from_coded)?;
        rows::get(&*self.store, area::REFERENCE, &self.reference_key(&parsed.to_string())).await?.ok_or_else(|| {
            ServiceError::not_found("NOTICE_UNKNOWN", format!("no notice {parsed} is known here"))
                .with_hint("compare the reference with its source, or search for the subject")
        })
    }

    pub(crate) async fn own_notice(&self, notice: NoticeId) -> Result<Option<OwnNotice>, ServiceError> {
        rows::get(&*self.store, area::OWN_NOTICE, notice.as_bytes()).await
    }

    /// The own notice that `reference` cites.
    pub(crate) async fn own_by_reference(&self, reference: &str) -> Result<(NoticeId, OwnNotice), ServiceError> {
        let referred = self.referred(reference).await?;
        if referred.owner != self.member {
            return Err(ServiceError::denied(
                "NOTICE_NOT_OWN",
                format!("this notice belongs to {}; only its owner can change it", referred.owner),
            ));
        }
        let head = self.own_notice(referred.notice).await?;
        let head = head.ok_or_else(|| ServiceError::not_found("NOTICE_UNKNOWN", "the notice is not known here"))?;
        Ok((referred.notice, head))
    }
}
