//! The officers of an origin, who draft, approve and issue through the use cases, without a transport.

use std::sync::Arc;

use eads_domain::approval::Approval;
use eads_domain::entropy::SystemEntropy;
use eads_domain::id::{DraftId, MemberId, RequestId};
use eads_domain::operator::Operator;
use eads_domain::slot::SlotNumber;
use eads_domain::statement::Action;
use eads_domain::value::Value;
use eads_service::notices::NewDraft;
use eads_service::{Call, Node};
use eads_tests::content::content;
use eads_tests::member::Member;
use eads_tests::notices::YEAR;
use p256::ecdsa::SigningKey;
use tokio::task::JoinSet;

use crate::people;

/// How many officers work side by side.
const DESKS: usize = 8;

/// Two officers of a running member.
#[derive(Clone)]
pub(crate) struct Desk {
    node: Arc<Node>,
    issuer: Call,
    approver: Call,
    key: SigningKey,
    not_after: eads_domain::clock::Timestamp,
}

fn call(member: &Member, name: &str) -> Call {
    let certificate = member.operator(name).certificate;
    let operator = Operator::from_certificate(&certificate).expect("an operator");
    Call::new(operator, certificate, RequestId::random(&SystemEntropy))
}

impl Desk {
    pub(crate) fn of(member: &Member) -> Self {
        Self {
            node: member.node().clone(),
            issuer: call(member, "issuer"),
            approver: call(member, "approver"),
            key: member.operator("approver").key,
            not_after: member.now().plus_seconds(YEAR),
        }
    }

    /// A draft of the person `number`, approved.
    pub(crate) async fn approved(&self, number: usize, to: MemberId) -> DraftId {
        let of_the_node = [SlotNumber::REFERENCE, SlotNumber::VERSION, SlotNumber::APPROVALS];
        let values = content(&people::wanted(number)).to_slot_values();
        let values = values.into_iter().filter(|(slot, _)| !of_the_node.contains(slot));
        let values = values.map(|(slot, value)| (slot, Value::parse(&value).expect("a value"))).collect();
        let new = NewDraft {
            action: Action::Issue,
            reference: None,
            values,
            audience: vec![to],
            not_after: self.not_after,
            hold: false,
            replace: None,
        };
        let draft = self.node.create_draft(&self.issuer, new).await.expect("a draft");
        let message = draft.committed().approval_message(draft.not_after);
        let approval = Approval::sign(&message, &self.key, self.approver.certificate.clone());
        let signed = (&approval.signature, &approval.certificate);
        self.node.approve_draft(&self.approver, draft.id, signed.0, signed.1, "").await.expect("an approval");
        draft.id
    }

    /// Issues an approved draft. Returns its reference.
    pub(crate) async fn issue(&self, draft: DraftId) -> String {
        self.node.issue_draft(&self.issuer, draft).await.expect("an issue").reference
    }

    /// Issues so many persons, by several officers at a time. Returns the reference of the last.
    pub(crate) async fn issue_all(&self, count: usize, to: MemberId) -> String {
        let mut desks = JoinSet::new();
        for first in 0..DESKS {
            let desk = self.clone();
            desks.spawn(async move {
                for number in (first..count.saturating_sub(1)).step_by(DESKS) {
                    let draft = desk.approved(number, to).await;
                    desk.issue(draft).await;
                }
            });
        }
        desks.join_all().await;
        let last = self.approved(count - 1, to).await;
        self.issue(last).await
    }
}
