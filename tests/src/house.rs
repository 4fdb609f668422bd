//! Several members on one machine, and the ceremony between them.

use std::path::Path;

use eads_proto::v1;
use tempfile::TempDir;

use crate::content::Terms;
use crate::member::Member;
use crate::wait::until;

/// Where the directories of a test's members are; gone with it.
pub struct House(TempDir);

impl House {
    /// An empty one.
    ///
    /// # Panics
    /// When no directory can be made.
    #[allow(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A new member whose node runs.
    pub async fn member(&self, id: &str) -> Member {
        let mut member = Member::create(self.path(), id);
        member.start().await;
        member
    }

    /// Members that have all accepted each other under plain terms, and follow each other.
    pub async fn federation<const N: usize>(&self, ids: [&str; N]) -> [Member; N] {
        let mut members = Vec::new();
        for id in ids {
            members.push(self.member(id).await);
        }
        for (place, one) in members.iter().enumerate() {
            for other in members.iter().skip(place + 1) {
                peer(one, other).await;
            }
        }
        for member in &members {
            connected(member, N - 1).await;
        }
        members.try_into().unwrap_or_else(|_| panic!("as many as were asked for"))
    }
}

/// Both accept each other under plain terms.
pub async fn peer(one: &Member, other: &Member) {
    accept(one, other, &Terms::default()).await;
    accept(other, one, &Terms::default()).await;
}

/// `here` accepts `there` under `terms`: card and code go from hand to hand, and two administrators confirm.
///
/// # Panics
/// When a step is refused.
pub async fn accept(here: &Member, there: &Member, terms: &Terms) {
    let card = there.operator("admin-1").peering().export_card(v1::ExportCardRequest {}).await.expect("a card");
    let v1::ExportCardResponse { card, verification_code } = card.into_inner();
    accept_card(here, &there.id.to_string(), card, verification_code, &terms.with(there.id)).await;
}

/// `here` accepts the member of a card under an agreement.
///
/// # Panics
/// When a step is refused.
pub async fn accept_card(here: &Member, member: &str, card: Vec<u8>, verification_code: String, agreement: &str) {
    let imported = here.operator("admin-1").peering().import_card(v1::ImportCardRequest { card }).await;
    assert_eq!(imported.expect("the card is taken").into_inner().verification_code, verification_code);
    for (administrator, takes_effect) in [("admin-1", false), ("admin-2", true)] {
        let request = v1::AcceptPeerRequest {
            member: member.to_owned(),
            verification_code: verification_code.clone(),
            agreement: agreement.to_owned(),
        };
        let answer = here.operator(administrator).peering().accept_peer(request).await;
        assert_eq!(answer.expect("the peer is accepted").into_inner().accepted, takes_effect);
    }
}

/// Waits until `member` follows `count` peers.
pub async fn connected(member: &Member, count: usize) {
    until(&format!("{} follows {count} peers", member.id), || async {
        peers(member).await.iter().filter(|peer| peer.connected).count() == count
    })
    .await;
}

/// The peers of a member as its administrators see them.
///
/// # Panics
/// When they cannot be listed.
pub async fn peers(member: &Member) -> Vec<v1::PeerStatus> {
    let listed = member.operator("admin-1").peering().list_peers(v1::ListPeersRequest {}).await;
    listed.expect("a list of peers").into_inner().peers
}

/// One peer of a member as its administrators see it.
///
/// # Panics
/// When it is no peer.
pub async fn peer_status(member: &Member, of: &Member) -> v1::PeerStatus {
    let name = of.id.to_string();
    peers(member).await.into_iter().find(|peer| peer.member == name).expect("a peer")
}

/// The node's state with its alarms.
///
/// # Panics
/// When the node does not answer.
pub async fn status(member: &Member) -> v1::GetStatusResponse {
    member.operator("admin-1").node().get_status(v1::GetStatusRequest {}).await.expect("a status").into_inner()
}

/// Waits until an alarm of the node contains `words`.
pub async fn alarmed(member: &Member, words: &str) {
    until(&format!("{} raises an alarm with {words:?}", member.id), || async {
        status(member).await.alarms.iter().any(|alarm| alarm.contains(words))
    })
    .await;
}

/// Asserts that every register and the audit chain of a node verify anew.
///
/// # Panics
/// When one does not.
pub async fn sound(member: &Member) {
    let auditor = member.operator("auditor");
    let verified = auditor.node().verify_registers(v1::VerifyRegistersRequest {}).await.expect("a verification");
    for register in verified.into_inner().registers {
        assert!(register.sound, "the register of {} at {}: {}", register.member, member.id, register.finding);
    }
    let audit = auditor.audit().verify_audit(v1::VerifyAuditRequest {}).await.expect("a verification").into_inner();
    assert!(audit.sound, "the audit of {}: {}", member.id, audit.finding);
}

/// Waits until the last failure with a peer, or an alarm, says `code`.
pub async fn faulted(member: &Member, peer: eads_domain::id::MemberId, code: &str) {
    let name = peer.to_string();
    let deadline = tokio::time::Instant::now() + crate::wait::PATIENCE;
    loop {
        let said = peers(member).await.into_iter().find(|status| status.member == name).map(|peer| peer.last_error);
        let alarms = status(member).await.alarms;
        let said: Vec<String> = said.into_iter().chain(alarms).collect();
        if said.iter().any(|line| line.contains(code)) {
            return;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{} was to complain of {peer} with {code}, and says {said:?}",
            member.id
        );
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
