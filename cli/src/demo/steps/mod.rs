//! The steps of the demonstration, in the order in which they are played. Each asserts on what really came back.

mod attacks;
mod ceremony;
mod issue;
mod outage;
mod proof;
mod receipts;
mod records;
mod search;
mod start;
mod thief;
mod withdrawal;

use std::fmt::Display;
use std::fs;

use eads_domain::id::MemberId;
use serde_json::Value;

use super::Trouble;
use super::federation::{Federation, FederationError, Operator};
use super::narrate::Narrator;

/// What the steps share.
pub(super) struct Story<'a, 'b> {
    federation: &'a mut Federation,
    narrator: &'a mut Narrator<'b>,
    indonesia: MemberId,
    malaysia: MemberId,
    thailand: MemberId,
    /// The reference of the red notice, once there is one.
    reference: String,
}

/// Plays all steps; the first has begun already.
pub(super) async fn perform(story: &mut Story<'_, '_>) -> Result<(), Trouble> {
    start::play(story).await?;
    ceremony::play(story).await?;
    records::play(story).await?;
    issue::play(story).await?;
    search::play(story).await?;
    outage::play(story).await?;
    withdrawal::play(story).await?;
    attacks::play(story).await?;
    proof::play(story).await
}

/// An operator who may draft and approve, so that only the rule of four eyes keeps one from doing both.
const CHIEF: &str = "chief";

impl<'a, 'b> Story<'a, 'b> {
    pub(super) fn new(federation: &'a mut Federation, narrator: &'a mut Narrator<'b>) -> Result<Self, Trouble> {
        let [indonesia, malaysia, thailand] = ["ID", "MY", "TH"].map(|id| {
            let found = federation.members().into_iter().find(|member| member.to_string() == id);
            found.ok_or_else(|| FederationError::Directory {
                path: federation.dir().to_owned(),
                why: "Indonesia, Malaysia or Thailand takes no part",
            })
        });
        let (indonesia, malaysia, thailand) = (indonesia?, malaysia?, thailand?);
        Ok(Self { federation, narrator, indonesia, malaysia, thailand, reference: String::new() })
    }

    fn operator(&self, member: MemberId, name: &str) -> Result<Operator, FederationError> {
        self.federation.operator(member, name)
    }

    /// Writes a file that an officer hands in, and says where it lies.
    fn file(&self, name: &str, text: &str) -> Result<String, FederationError> {
        let path = self.federation.dir().join("exchange").join(name);
        fs::write(&path, text)
            .map_err(|cause| FederationError::machine(format!("cannot write {}", path.display()), cause))?;
        Ok(path.to_string_lossy().into_owned())
    }
}

/// Fails unless it holds.
fn expect(holds: bool, member: MemberId, expected: &str, found: &dyn Display) -> Result<(), FederationError> {
    if holds { Ok(()) } else { Err(FederationError::unexpected(member, expected, found)) }
}

/// A text of a JSON object; empty where there is none.
fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

/// The items of a JSON array; none where it is something else.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
