//! When certificates end: warned of in time, and the ones that this node can issue itself are renewed by it.

use std::sync::Arc;
use std::time::Duration;

use eads_domain::clock::Timestamp;
use eads_domain::id::RequestId;
use eads_edge::tls::validity;
use eads_service::Node;
use eads_service::audit::{Actor, Entry, EntryKind};
use tokio_util::sync::CancellationToken;

use super::certificates::renew_now;
use crate::control::{Refusal, Target};
use crate::identity::{Passphrase, TlsIdentities};

const DAY: i64 = 86_400;
/// Days before the end at which it is warned of; each is told once.
const THRESHOLDS: [i64; 3] = [1, 7, 30];

/// One certificate with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Term {
    /// In alarms and metrics.
    name: &'static str,
    /// For a person, with what to do.
    text: &'static str,
    from: Timestamp,
    until: Timestamp,
    /// Issued by this node itself.
    renewable: bool,
}

/// Looks after the ends of certificates.
pub(crate) struct Expiry {
    passphrase: Passphrase,
    every: Duration,
    told: Vec<(&'static str, i64)>,
    /// A renewal that failed is tried again after a day.
    retry_at: Timestamp,
}

impl Expiry {
    /// With what opens the authorities' keys, as long as they lie in the directory.
    pub(crate) const fn new(passphrase: Passphrase, every: Duration) -> Self {
        Self { passphrase, every, told: Vec::new(), retry_at: Timestamp::from_unix(0) }
    }

    /// Until `stop`.
    pub(crate) async fn run(mut self, target: Target, stop: CancellationToken) {
        let Some(node) = target.node.clone() else { return };
        loop {
            self.look(&target, &node).await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.every) => {}
            }
        }
    }

    async fn look(&mut self, target: &Target, node: &Arc<Node>) {
        let now = target.clock.now();
        let Some(mut terms) = terms(target, node) else { return };
        let due =
            |term: &Term| term.renewable && term.until.seconds_since(now) < term.until.seconds_since(term.from) / 3;
        if now >= self.retry_at && terms.iter().any(due) {
            self.retry_at = now.plus_seconds(DAY);
            match self.renew(target).await {
                Ok(until) => tracing::info!(%until, "the certificates of both listeners were renewed"),
                Err(refusal) => {
                    tracing::warn!(code = refusal.code, "certificates were not renewed: {}", refusal.text);
                }
            }
            match self::terms(target, node) {
                Some(renewed) => terms = renewed,
                None => return,
            }
        }
        let list = terms.iter().map(|term| (term.name.to_owned(), term.until)).collect();
        node.note_certificates(list);
        for term in terms {
            self.warn(node, term, now);
        }
    }

    fn warn(&mut self, node: &Node, term: Term, now: Timestamp) {
        let left = term.until.seconds_since(now);
        let code = format!("CERTIFICATE_ENDS:{}", term.name);
        let reached = THRESHOLDS.into_iter().find(|days| left <= days * DAY);
        let told = self.told.iter().find(|(name, _)| *name == term.name).map(|(_, days)| *days);
        if reached == told {
            return;
        }
        self.told.retain(|(name, _)| *name != term.name);
        match reached {
            None => node.alarms().clear(&code),
            Some(days) => {
                self.told.push((term.name, days));
                let when = if left < 0 { "has ended" } else { "ends" };
                node.alarms().raise(&code, now, format!("{} {when} at {}", term.text, term.until));
            }
        }
    }

    async fn renew(&self, target: &Target) -> Result<Timestamp, Refusal> {
        let id = RequestId::random(&*target.entropy);
        let intent = Entry::new(EntryKind::Intent, target.clock.now(), id, Actor::Node, "CertificateRenew");
        let intent = target.audit.intent(intent).await?;
        let (work, passphrase) = (target.clone(), self.passphrase.clone());
        let done = crate::control::blocking(move || renew_now(&work, &passphrase)).await;
        let result = done.as_ref().map_or_else(|refusal| refusal.code.clone(), |_| "OK".to_owned());
        target.audit.outcome(&intent, &result, Vec::new()).await?;
        done
    }
}

/// The certificates of this node with their ends; none where they cannot be read.
fn terms(target: &Target, node: &Node) -> Option<Vec<Term>> {
    let TlsIdentities { node: seen, operators } = TlsIdentities::load(&target.dir).ok()?;
    let card = node.card().card;
    let card = card.card();
    let term = |name, text, der: &[u8], renewable| {
        let (from, until) = validity(der)?;
        Some(Term { name, text, from, until, renewable })
    };
    // Of several authorities on the card the one that ends last carries on.
    let anchors = card.tls_anchors.iter().filter_map(|anchor| Some((validity(anchor.as_der())?.1, anchor)));
    let (_, anchor) = anchors.max_by_key(|(until, _)| *until)?;
    [
        term("node", "the certificate that peers see (renew with `eads-node cert renew`)", seen.chain().first()?, true),
        term(
            "operators",
            "the operator listener's certificate (renew with `eads-node cert renew`)",
            operators.chain().first()?,
            true,
        ),
        term("node-ca", "the node's authority (replace it with `eads-node ca rotate`)", anchor.as_der(), false),
        term("operator-ca", "the operators' authority", card.operator_anchor.as_der(), false),
    ]
    .into_iter()
    .collect()
}
