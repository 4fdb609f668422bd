//! `eads-node cert renew` and `eads-node ca …`: the certificate that peers see, and the authority behind it.
//!
//! An authority is replaced in three steps, each safe to stop after: `rotate` makes the new one and puts both on the
//! card; `switch` lets the new one issue the node's certificate, once every peer holds that card; `retire` takes the
//! old one off the card.

use std::path::Path;

use eads_domain::card::{Anchor, Card, SignedCard};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::journal::Change;
use super::rotate::successor;
use crate::backup::Secret;
use crate::config::{Config, FILE_NAME};
use crate::control::{Outcome, Progress, Refusal, Target, blocking};
use crate::identity::{Authority, AuthorityKind, Issued, KeyCost, Passphrase, node_hosts, operator_hosts, read_card};

/// Which step of replacing the node's authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaStep {
    /// A new authority, beside the old one on the card.
    Rotate,
    /// The new one issues the node's certificate.
    Switch {
        /// Also while a peer does not hold the card with it.
        force: bool,
    },
    /// The old one leaves the card.
    Retire,
}

/// Renews the certificates of both listeners from the authorities below the directory.
pub(crate) async fn renew(target: &Target, secret: &Secret) -> Result<Outcome, Refusal> {
    let passphrase = super::passphrase(secret)?;
    let target = target.clone();
    let until = blocking(move || renew_now(&target, &passphrase)).await?;
    let lines = vec![format!("Both listeners' certificates are renewed, until {until}.")];
    Ok(Outcome { lines, report: json!({ "not_after": until.as_unix() }), sound: true })
}

/// The same on this thread. Returns until when the node's is valid.
pub(super) fn renew_now(target: &Target, passphrase: &Passphrase) -> Result<eads_domain::clock::Timestamp, Refusal> {
    let dir = &target.dir;
    let card = read_card(dir)?;
    let card = card.card();
    let now = target.clock.now();
    let authority = Authority::open(dir, AuthorityKind::Node, card.member, passphrase)?;
    let node = authority.issue_node(&node_hosts(card.member, &card.endpoints), now)?;
    let authority = Authority::open(dir, AuthorityKind::Operators, card.member, passphrase)?;
    let config = Config::load(&dir.join(FILE_NAME))?;
    let hosts = operator_hosts(config.operators.listen, &card.endpoints);
    let operators = authority.issue_listener(&hosts, now)?;
    let change = Change::begin(dir)?;
    for (stem, issued) in [("node", &node), ("operators", &operators)] {
        change.private(&format!("{stem}.key"), issued.key_pem.as_bytes())?;
        change.public(&format!("{stem}.crt"), issued.certificate_pem.as_bytes())?;
    }
    change.prepared()?.finish()?;
    if let Some(reload) = &target.reload {
        reload.reload(dir)?;
    }
    Ok(crate::identity::TlsIdentities::load(dir)?.node.not_after())
}

pub(crate) async fn rotate_ca(
    target: &Target,
    progress: &Progress,
    step: CaStep,
    secret: &Secret,
    cost: KeyCost,
) -> Result<Outcome, Refusal> {
    let node = super::running(target)?;
    let passphrase = super::passphrase(secret)?;
    let old = node.card().card;
    match step {
        CaStep::Rotate => {
            if target.dir.join(AuthorityKind::NextNode.certificate()).exists() {
                let hint = "go on with `eads-node ca switch`";
                return Err(Refusal::new("CA_ROTATION_BEGUN", "a new authority is there already", Some(hint)));
            }
            progress.tell("making the new authority");
            let work = target.clone();
            let (prepared, card) = blocking(move || {
                let authority = Authority::create(AuthorityKind::NextNode, old.card().member, work.clock.now())?;
                let mut anchors = old.card().tls_anchors.clone();
                anchors.push(Anchor::from_der(authority.anchor().to_vec())?);
                let card = Card { tls_anchors: anchors, ..successor(&old, &work) };
                let change = Change::begin(&work.dir)?;
                let key = authority.sealed_key(&passphrase, cost, &*work.entropy)?;
                change.private("tls-ca-next.key", key.as_bytes())?;
                change.public("tls-ca-next.crt", authority.anchor_pem().as_bytes())?;
                let card = sign(card, &work, &passphrase)?;
                change.card(&card)?;
                Ok((change.prepared()?, card))
            })
            .await?;
            decide(&node, prepared, &card).await?;
            Ok(told(
                &card,
                "The card names both authorities.",
                "eads-node ca switch, when `eads peer list` shows every peer with this card",
            ))
        }
        CaStep::Switch { force } => {
            let behind = node.peers_behind().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            if !behind.is_empty() && !force {
                let text =
                    format!("{behind} do not hold the card with the new authority yet: they would refuse this node");
                let hint = "wait until they have synchronised, or use --force";
                return Err(Refusal::new("CA_NOT_KNOWN_TO_PEERS", text, Some(hint)));
            }
            let (work, card) = (target.clone(), old.clone());
            blocking(move || switch(&work, card.card(), &passphrase)).await?;
            Ok(told(
                &old,
                "The node shows a certificate of the new authority.",
                "eads-node ca retire, after a day without refused connections",
            ))
        }
        CaStep::Retire => {
            if target.dir.join(AuthorityKind::NextNode.certificate()).exists() {
                let hint = "`eads-node ca switch` comes first";
                return Err(Refusal::new("CA_NOT_SWITCHED", "the old authority is still in use", Some(hint)));
            }
            let work = target.clone();
            let (prepared, card) = blocking(move || {
                let authority = Authority::open(&work.dir, AuthorityKind::Node, old.card().member, &passphrase)?;
                let anchor = Anchor::from_der(authority.anchor().to_vec())?;
                if old.card().tls_anchors == [anchor.clone()] {
                    return Err(Refusal::new("CA_ALONE", "the card names one authority only", None));
                }
                let card = sign(Card { tls_anchors: vec![anchor], ..successor(&old, &work) }, &work, &passphrase)?;
                let change = Change::begin(&work.dir)?;
                change.card(&card)?;
                Ok((change.prepared()?, card))
            })
            .await?;
            decide(&node, prepared, &card).await?;
            Ok(told(
                &card,
                "The card names the new authority alone.",
                "eads-node key backup, since the old shares hold the old authority",
            ))
        }
    }
}

fn told(card: &SignedCard, what: &str, next: &str) -> Outcome {
    let sequence = card.card().sequence;
    let lines = vec![
        what.to_owned(),
        format!("  card               {sequence}, peers get it by themselves"),
        format!("  verification code  {}", card.verification_code()),
        format!("Next: {next}"),
    ];
    let report = json!({ "card_sequence": sequence, "verification_code": card.verification_code().to_string() });
    Outcome { lines, report, sound: true }
}

/// Makes a prepared card the one in force.
async fn decide(
    node: &eads_service::Node,
    prepared: super::journal::Prepared,
    card: &SignedCard,
) -> Result<(), Refusal> {
    if let Err(error) = node.update_card(card.clone()).await {
        if node.knows_card(card).await.is_ok_and(|known| !known) {
            blocking(move || Ok(prepared.abandon()?)).await?;
        }
        return Err(error.into());
    }
    blocking(move || Ok(prepared.finish()?)).await
}

fn sign(card: Card, target: &Target, passphrase: &Passphrase) -> Result<SignedCard, Refusal> {
    let key = crate::identity::open_signing_key(&target.dir.join(crate::identity::place::SIGNING_KEY), passphrase)?;
    Ok(SignedCard::sign(card, &key)?)
}

fn switch(target: &Target, card: &Card, passphrase: &Passphrase) -> Result<(), Refusal> {
    let dir = &target.dir;
    if !dir.join(AuthorityKind::NextNode.certificate()).exists() {
        let hint = "`eads-node ca rotate` comes first";
        return Err(Refusal::new("CA_ROTATION_NOT_BEGUN", "there is no new authority", Some(hint)));
    }
    let authority = Authority::open(dir, AuthorityKind::NextNode, card.member, passphrase)?;
    let Issued { certificate_pem, key_pem } =
        authority.issue_node(&node_hosts(card.member, &card.endpoints), target.clock.now())?;
    let change = Change::begin(dir)?;
    let read =
        |path: &Path| std::fs::read(path).map_err(|error| crate::identity::IdentityError::io("read", path, error));
    change.private("tls-ca.key", &read(&dir.join("identity/tls-ca-next.key"))?)?;
    change.public("tls-ca.crt", authority.anchor_pem().as_bytes())?;
    change.private("node.key", key_pem.as_bytes())?;
    change.public("node.crt", certificate_pem.as_bytes())?;
    change.prepared()?.finish()?;
    for file in ["tls-ca-next.key", "tls-ca-next.crt"] {
        let path = dir.join("identity").join(file);
        std::fs::remove_file(&path).map_err(|error| crate::identity::IdentityError::io("remove", &path, error))?;
    }
    if let Some(reload) = &target.reload {
        reload.reload(dir)?;
    }
    Ok(())
}
