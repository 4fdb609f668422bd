//! Learning from peers what this member's register held before its node was restored or rolled back, and taking it
//! up again (PROTOCOL §3). That is recovery, not equivocation: nothing is signed before it is done.

use std::time::Duration;

use eads_domain::id::{Hash, MemberId, RequestId};
use eads_domain::register::{Frontier, SignedCheckpoint};
use eads_store::port::Batch;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use super::returned::{Held, Returned};
use crate::area::{self, meta};
use crate::audit::{Actor, Entry, EntryKind};
use crate::error::ServiceError;
use crate::node::Node;
use crate::peers::{LinkError, LinkFailure};
use crate::rows;

/// The most leaves that are taken back at once: 128 MiB.
const MOST_LEAVES: u64 = 4 << 20;

/// Where the recovered tail begins, and who has given back what it holds of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recovered {
    pub(crate) from: u64,
    pub(crate) asked: Vec<MemberId>,
}

/// Why a peer was not heard.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HearError {
    /// It could not be reached or refused.
    #[error("{0}")]
    Link(#[from] LinkError),
    /// This node failed, or what the peer gave back is not this member's register.
    #[error("{0}")]
    Own(#[from] ServiceError),
}

impl HearError {
    /// The peer answered, and holds nothing that it would tell.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Link(error) if matches!(error.failure, LinkFailure::Refused | LinkFailure::Incompatible))
    }
}

type Giving = BoxStream<'static, Result<Returned, LinkError>>;

impl Node {
    /// Asks a peer what it holds of the own register and deliveries, and takes back what was lost here.
    pub(crate) async fn hear(&self, peer: MemberId) -> Result<(), HearError> {
        let held = self.link.get_held(peer, self.register_id, false).await?;
        let _recovering = self.trust.recovering.lock().await;
        if self.regain(peer, &held).await? {
            // What it has receipted since is lost here too.
            self.link.get_held(peer, self.register_id, true).await?;
        }
        self.was_asked(peer, true);
        self.no_longer_restored().await?;
        Ok(())
    }

    /// Takes back what a peer holds and this node does not. Returns whether it gave anything back.
    async fn regain(&self, peer: MemberId, held: &Held) -> Result<bool, HearError> {
        let size = self.register.size();
        let signed = self.own_signed(held)?;
        if let Some(signed) = &signed {
            let (shown, root) = (signed.checkpoint().size, signed.checkpoint().root);
            match self.register.root_at(shown) {
                Some(own) if own == root => {}
                Some(_) => {
                    self.cloned(peer, shown);
                    return Ok(false);
                }
                None => self.has_signed(shown),
            }
        }
        let recovered = self.recovered().await?;
        let from = recovered.as_ref().map_or(size, |recovered| recovered.from.min(size));
        let is_asked = recovered.as_ref().is_some_and(|recovered| recovered.asked.contains(&peer));
        let mut gave = false;
        if let Some(signed) = signed.filter(|signed| {
            let shown = signed.checkpoint().size;
            shown > size || (recovered.is_some() && !is_asked && shown > from)
        }) {
            let mut giving = self.link.return_register(peer, self.register_id, from).await?;
            let leaves = self.take_leaves(&mut giving, from, signed.checkpoint().size).await?;
            if signed.checkpoint().size > size && !self.take_up(peer, from, &leaves, &signed).await? {
                return Ok(false);
            }
            self.take_content(peer, from, &mut giving).await?;
            self.mark_asked(peer).await?;
            gave = true;
        }
        if self.is_awaited(peer) || gave {
            self.pad_deliveries(peer, held.delivery_cursor).await?;
        }
        Ok(gave)
    }

    pub(crate) async fn recovered(&self) -> Result<Option<Recovered>, ServiceError> {
        rows::get(&*self.store, area::META, meta::RECOVERED).await
    }

    async fn mark_asked(&self, peer: MemberId) -> Result<(), ServiceError> {
        let Some(mut recovered) = self.recovered().await? else { return Ok(()) };
        if !recovered.asked.contains(&peer) {
            recovered.asked.push(peer);
        }
        let mut batch = Batch::new();
        rows::put(&mut batch, area::META, meta::RECOVERED, &recovered)?;
        self.store.commit(batch).await?;
        let lost = self.unrecovered().await?.0;
        self.alarms.raise(
            "REGISTER_RECOVERED",
            self.clock.now(),
            format!(
                "this node ran on an old copy: entries from {} on came back from {}; the content of {lost} is lost; \
                 see `eads register status`",
                recovered.from,
                recovered.asked.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            ),
        );
        self.note_recovery("RecoverRegister", peer, format!("from entry {}, {lost} lost", recovered.from)).await
    }

    pub(super) async fn note_recovery(
        &self,
        operation: &str,
        peer: MemberId,
        subject: String,
    ) -> Result<(), ServiceError> {
        let request = RequestId::random(&*self.entropy);
        let mut entry = Entry::new(EntryKind::Event, self.clock.now(), request, Actor::Node, operation);
        entry.peer = Some(peer);
        entry.subject = Some(subject);
        self.audit.event(entry, "OK").await
    }

    /// The checkpoint that a peer shows, which must be this member's own word.
    fn own_signed(&self, held: &Held) -> Result<Option<SignedCheckpoint>, ServiceError> {
        if held.register_cursor == 0 {
            return Ok(None);
        }
        let keys = &self.identity().keys;
        let signed =
            keys.bare_checkpoint(&held.checkpoint, self.member, self.register_id).map_err(ServiceError::from_peer)?;
        if signed.checkpoint().size != held.register_cursor {
            return Err(ServiceError::peer("HELD_CHECKPOINT_WRONG", "the checkpoint is not of the cursor's size"));
        }
        Ok(Some(signed))
    }

    async fn item(&self, giving: &mut Giving) -> Result<Option<Returned>, HearError> {
        match tokio::time::timeout(self.limits.stall.max(Duration::from_secs(1)), giving.next()).await {
            Ok(item) => Ok(item.transpose()?),
            Err(_) => Err(LinkError::new(LinkFailure::TimedOut, "STALLED", "the peer fell silent").into()),
        }
    }

    /// The leaves from `from` to `size`, unverified.
    async fn take_leaves(&self, giving: &mut Giving, from: u64, size: u64) -> Result<Vec<Hash>, HearError> {
        let wrong = || ServiceError::peer("REGISTER_NOT_RETURNED", "the leaves given back are not those asked for");
        if size - from > MOST_LEAVES {
            return Err(ServiceError::peer("REGISTER_TOO_LONG", "more leaves than are taken back at once").into());
        }
        let mut leaves: Vec<Hash> = Vec::new();
        loop {
            let item = self.item(giving).await?.ok_or_else(wrong)?;
            let next = from + leaves.len() as u64;
            if item.first_index != next || next + item.leaves.len() as u64 > size {
                return Err(wrong().into());
            }
            leaves.extend(item.leaves);
            if from + leaves.len() as u64 == size {
                return Ok(leaves);
            }
        }
    }

    /// Continues the own register by leaves that lead to a checkpoint which this member has signed. Returns false
    /// where they show another copy of this node.
    async fn take_up(
        &self,
        peer: MemberId,
        from: u64,
        leaves: &[Hash],
        signed: &SignedCheckpoint,
    ) -> Result<bool, HearError> {
        let size = self.register.size();
        let known = usize::try_from(size - from).unwrap_or(usize::MAX);
        if let Some((held, new)) = leaves.split_at_checked(known)
            && (from..size).zip(held).all(|(index, leaf)| self.register.leaf(index) == Some(*leaf))
            && self.continue_register(new, signed, from).await?
        {
            return Ok(true);
        }
        // Either the peer gives back something else, or this member has signed two registers: its own leaves from
        // the first on, under its own signature, tell which.
        let shown = signed.checkpoint().size;
        let mut giving = self.link.return_register(peer, self.register_id, 0).await?;
        let mut whole = Frontier::new();
        whole.extend(self.take_leaves(&mut giving, 0, shown).await?);
        if whole.root() == signed.checkpoint().root {
            self.cloned(peer, shown);
            return Ok(false);
        }
        let text = "what it gives back of this member's register is not what this member has signed";
        self.alarms.raise(&format!("REGISTER_NOT_RETURNED:{peer}"), self.clock.now(), format!("{peer}: {text}"));
        Err(ServiceError::peer("REGISTER_NOT_RETURNED", text).into())
    }

    async fn take_content(&self, peer: MemberId, from: u64, giving: &mut Giving) -> Result<(), HearError> {
        let mut before: Option<u64> = None;
        let mut marks = 0;
        while let Some(item) = self.item(giving).await? {
            for statement in item.statements {
                // In order, so that there cannot be more of them than leaves.
                if statement.index < from || before.is_some_and(|before| statement.index <= before) {
                    return Err(ServiceError::peer("STATEMENTS_OUT_OF_ORDER", "statements are not in order").into());
                }
                before = Some(statement.index);
                if let Err(error) = self.regain_statement(peer, statement).await {
                    tracing::warn!(%peer, "a statement that was given back is not taken: {error}");
                }
            }
            for mark in item.marks {
                marks += 1;
                if marks > 2 * MOST_LEAVES {
                    return Err(ServiceError::peer("MARKS_TOO_MANY", "more marks than entries").into());
                }
                self.regain_mark(peer, from, mark).await?;
            }
        }
        Ok(())
    }
}
