//! `eads-node key rotate` and `key compromised`: the announced next signing key takes over.

use std::path::{Path, PathBuf};

use eads_domain::card::{Card, SignedCard, key_digest};
use eads_domain::entropy::random;
use eads_service::succession::{Compromise, Rotation};
use ed25519_dalek::SigningKey;
use serde_json::json;

use super::journal::Change;
use crate::control::{Outcome, Progress, Refusal, Target, blocking};
use crate::identity::{KeyCost, Passphrase, open_signing_key, place, seal_signing_key};

/// What a rotation needs.
#[derive(Debug)]
pub(crate) struct RotateOptions {
    /// The file with the next signing key; the one below the data directory if none is named.
    pub(crate) next_key: Option<PathBuf>,
    /// Opens it, and seals the one after it.
    pub(crate) secret: crate::backup::Secret,
    /// The old key was stolen.
    pub(crate) stolen: Option<Compromise>,
    /// What sealing costs.
    pub(crate) cost: KeyCost,
}

pub(crate) async fn rotate_key(
    target: &Target,
    progress: &Progress,
    options: RotateOptions,
) -> Result<Outcome, Refusal> {
    let node = super::running(target)?;
    let passphrase = super::passphrase(&options.secret)?;
    let file = options.next_key.unwrap_or_else(|| target.dir.join(place::NEXT_SIGNING_KEY));
    let compromised_from = match options.stolen {
        Some(since) => Some(node.compromised_from(since).await?),
        None => None,
    };
    progress.tell("opening the next key and sealing the one after it");
    let work = Work {
        dir: target.dir.clone(),
        old: node.card().card,
        passphrase,
        cost: options.cost,
        compromised_from,
        target: target.clone(),
    };
    let (prepared, rotation) = blocking(move || work.prepare(&file)).await?;
    let card = rotation.card.clone();
    progress.tell("writing the key-change into the register");
    let index = match node.rotate(rotation).await {
        Ok(index) => index,
        Err(error) => {
            // Whether the commit failed or only its answer, the store says.
            let known = node.knows_card(&card).await;
            if known.is_ok_and(|known| !known) {
                blocking(move || Ok(prepared.abandon()?)).await?;
            }
            return Err(error.into());
        }
    };
    blocking(move || Ok(prepared.finish()?)).await?;
    Ok(outcome(&target.dir, &card, index))
}

fn outcome(dir: &Path, card: &SignedCard, index: u64) -> Outcome {
    let named = card.card();
    let offline = dir.join(place::NEXT_SIGNING_KEY);
    let mut lines = vec![
        format!(
            "The signing key of {} is now number {}, from entry {index} of the register on.",
            named.member, named.keyseq
        ),
        format!("  card               {}, peers get it by themselves", named.sequence),
        format!("  verification code  {}", card.verification_code()),
        format!("  next signing key   {}  <- move it to offline media now, over the key used today", offline.display()),
    ];
    if let Some(from) = named.compromised_from {
        lines.push(format!(
            "  stolen key         entries from {from} to {index} are vouched for no more; issue again what still holds"
        ));
    }
    lines.push("Next: eads-node key backup, since the old shares hold the old key".to_owned());
    let report = json!({
        "member": named.member.to_string(), "keyseq": named.keyseq, "card_sequence": named.sequence, "index": index,
        "verification_code": card.verification_code().to_string(), "offline_key": offline,
        "compromised_from": named.compromised_from,
    });
    Outcome { lines, report, sound: true }
}

struct Work {
    dir: PathBuf,
    old: SignedCard,
    passphrase: Passphrase,
    cost: KeyCost,
    compromised_from: Option<u64>,
    target: Target,
}

impl Work {
    fn prepare(&self, file: &Path) -> Result<(super::journal::Prepared, Rotation), Refusal> {
        let signing = open_signing_key(file, &self.passphrase)?;
        let old = self.old.card();
        if key_digest(&signing.verifying_key()) != old.next_signing_key {
            let text = format!("{} is not the key that the card in force announces", file.display());
            let hint = "take the file that the last rotation, or init, wrote; without it peers have to accept this \
                        member anew";
            return Err(Refusal::new("NEXT_KEY_WRONG", text, Some(hint)));
        }
        let entropy = &*self.target.entropy;
        let next = SigningKey::from_bytes(&random(entropy));
        let card = Card {
            signing_key: signing.verifying_key(),
            keyseq: old.keyseq.saturating_add(1),
            next_signing_key: key_digest(&next.verifying_key()),
            compromised_from: self.compromised_from,
            ..successor(&self.old, &self.target)
        };
        let card = SignedCard::sign(card, &signing)?;
        let seal = |key: &SigningKey| seal_signing_key(key, &self.passphrase, self.cost, entropy);
        let change = Change::begin(&self.dir)?;
        change.private("next-signing.key", seal(&next)?.as_bytes())?;
        change.private("signing.key", seal(&signing)?.as_bytes())?;
        change.card(&card)?;
        Ok((change.prepared()?, Rotation { card, signing }))
    }
}

/// The card after `old`, not signed, which changes nothing by itself.
pub(super) fn successor(old: &SignedCard, target: &Target) -> Card {
    Card {
        sequence: old.card().sequence.saturating_add(1),
        previous: Some(old.digest()),
        issued: target.clock.now(),
        compromised_from: None,
        ..old.card().clone()
    }
}
