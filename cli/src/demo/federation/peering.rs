//! The peering ceremony between all members: cards are exchanged, codes compared, and two administrators on each
//! side accept the other under an agreement.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use eads_domain::id::MemberId;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use super::{Federation, FederationError, MemberNode, Waiting, until};

/// How many commands run at a time.
const AT_A_TIME: usize = 4;
/// How long all nodes may take to find each other after the last acceptance.
const CONNECTED_WITHIN: Duration = Duration::from_secs(60);

/// What one member's agreement with another says, beside that everything is sent, answered and taken.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Fields of persons that are withheld.
    pub withheld: Vec<&'static str>,
}

/// What came of a ceremony.
#[derive(Clone, Debug, Default)]
pub struct Ceremony {
    /// Pairs of members that accept each other.
    pub pairs: usize,
    /// Times that a code was read out on one side and found on the other.
    pub codes_compared: usize,
    /// Confirmations of administrators.
    pub confirmations: usize,
}

/// A card as its member exported it.
struct Exported {
    file: String,
    code: String,
}

impl Federation {
    /// Lets every two members go through the ceremony. `terms(a, b)` is what `a` agrees to towards `b`.
    ///
    /// All first confirmations come before all second ones, as they would in a signing session, so that no node
    /// tries for long to reach one that does not know it yet.
    ///
    /// # Errors
    /// [`FederationError`] for the first command that fails, the first code that differs, and the first acceptance
    /// that takes effect too early or not at all.
    pub async fn peer_all(&self, terms: impl Fn(MemberId, MemberId) -> Terms) -> Result<Ceremony, FederationError> {
        let exchange = self.dir().join("exchange");
        let cannot = |cause| FederationError::machine(format!("cannot write {}", exchange.display()), cause);
        fs::create_dir_all(&exchange).map_err(cannot)?;
        let exported = self.export_cards().await?;
        let mut sessions = Vec::new();
        for node in self.nodes() {
            for other in self.others(node.member()) {
                let (here, there) = (node.member(), other.member());
                let agreement = exchange.join(format!("{here}-{there}.toml"));
                fs::write(&agreement, agreement_text(here, there, &terms(here, there))).map_err(cannot)?;
                sessions.push((node, there, agreement.to_string_lossy().into_owned()));
            }
        }
        let card_of = |member| exported.get(&member).ok_or(FederationError::NotAMember { member });
        let compared = stream::iter(sessions.iter().map(|(node, there, agreement)| async move {
            import(node, *there, card_of(*there)?).await?;
            confirm(node, "admin-1", *there, agreement, &card_of(*there)?.code, false).await
        }));
        compared.buffer_unordered(AT_A_TIME).try_collect::<Vec<()>>().await?;
        let accepted = stream::iter(sessions.iter().map(|(node, there, agreement)| async move {
            confirm(node, "admin-2", *there, agreement, &card_of(*there)?.code, true).await
        }));
        accepted.buffer_unordered(AT_A_TIME).try_collect::<Vec<()>>().await?;
        let both_ways = sessions.len();
        Ok(Ceremony { pairs: both_ways / 2, codes_compared: both_ways, confirmations: both_ways * 2 })
    }

    /// Waits until every node follows every other one.
    ///
    /// # Errors
    /// [`FederationError::Unexpected`] for the first node that does not.
    pub async fn connected(&self) -> Result<(), FederationError> {
        // One after the other: all have to be connected anyway, and asking all at once only keeps them busy.
        for node in self.nodes() {
            self.follows(node, CONNECTED_WITHIN).await?;
        }
        Ok(())
    }

    /// Waits until one node follows every other one.
    ///
    /// # Errors
    /// [`FederationError::Unexpected`] if it does not.
    pub async fn follows(&self, node: &MemberNode, within: Duration) -> Result<(), FederationError> {
        let administrator = node.operator("admin-1");
        until(node.member(), "every peer accepted and connected", within, || async {
            let peers = administrator.get(&["peer", "list"]).await?;
            let missing: Vec<String> = self.others(node.member()).filter_map(|other| missing(&peers, other)).collect();
            Ok(if missing.is_empty() { Waiting::Over(()) } else { Waiting::NotYet(missing.join("; ")) })
        })
        .await
    }

    async fn export_cards(&self) -> Result<BTreeMap<MemberId, Exported>, FederationError> {
        let mut exported = BTreeMap::new();
        for node in self.nodes() {
            let file = self.card_file(node.member()).to_string_lossy().into_owned();
            let card = node.operator("admin-1").get(&["peer", "card", "--out", &file]).await?;
            let code = text(&card, "verification_code");
            exported.insert(node.member(), Exported { file, code });
        }
        Ok(exported)
    }

    /// Where the first card of `member` was exported to.
    pub fn card_file(&self, member: MemberId) -> PathBuf {
        self.dir().join("exchange").join(format!("{member}.card"))
    }
}

/// Why `other` does not count as connected; none if it does.
fn missing(peers: &Value, other: &MemberNode) -> Option<String> {
    let member = other.member().to_string();
    let peer = peers.as_array()?.iter().find(|peer| peer["member"] == member.as_str());
    let Some(peer) = peer else { return Some(format!("{member} is no peer")) };
    let there = peer["state"] == "accepted" && peer["connected"] == true;
    (!there).then(|| format!("{member} is {}, {}", text(peer, "state"), text(peer, "last_error")))
}

/// The code that the importing side computes is the one that the exporting side reads out.
async fn import(node: &MemberNode, there: MemberId, exported: &Exported) -> Result<(), FederationError> {
    let imported = node.operator("admin-1").get(&["peer", "import", &exported.file]).await?;
    let code = text(&imported, "verification_code");
    if code == exported.code && !code.is_empty() {
        return Ok(());
    }
    let expected = format!("the verification code {} that {there} reads out", exported.code);
    Err(FederationError::unexpected(node.member(), expected, code))
}

async fn confirm(
    node: &MemberNode,
    administrator: &str,
    there: MemberId,
    agreement: &str,
    code: &str,
    takes_effect: bool,
) -> Result<(), FederationError> {
    let there = there.to_string();
    let arguments = ["peer", "accept", &there, "--agreement", agreement, "--code", code];
    let confirmed = node.operator(administrator).get(&arguments).await?;
    if confirmed["accepted"] == takes_effect {
        return Ok(());
    }
    let expected = format!("{administrator}'s confirmation of {there} to make accepted = {takes_effect}");
    Err(FederationError::unexpected(node.member(), expected, confirmed))
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// An agreement that sends, answers and takes everything but what the terms withhold.
fn agreement_text(here: MemberId, there: MemberId, terms: &Terms) -> String {
    const KINDS: &str = r#"["red", "blue", "green", "yellow", "black", "orange", "purple", "silver", "un", "document", "vehicle", "vessel", "firearm"]"#;
    let withheld: Vec<String> = terms.withheld.iter().map(|field| format!("{field:?}")).collect();
    format!(
        r#"version = 1
member = "{there}"
reference = "Demonstration agreement between {here} and {there}"

[sends]
kinds = {KINDS}

[sends.withhold]
person = [{withheld}]

[answers]
subjects = ["person", "organisation", "body", "document", "vehicle", "vessel", "firearm", "asset", "identifier"]
purposes = ["criminal-investigation", "missing-person-search", "border-check", "victim-protection", "extradition", "exercise"]
shows = ["family-name", "given-names", "birth-date", "number"]
queries_per_hour = 600

[receives]
kinds = {KINDS}
decision = "actionable"
"#,
        withheld = withheld.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use eads_domain::agreement::Agreement;
    use eads_domain::subject::NoticeKind;

    use super::*;

    #[test]
    fn the_agreement_is_one_that_a_node_takes() {
        let [here, there] = ["ID", "MY"].map(|member| member.parse::<MemberId>().expect("member"));
        let text = agreement_text(here, there, &Terms { withheld: vec!["phones"] });
        let agreement = Agreement::parse(&text).expect("agreement");
        assert_eq!(agreement.member(), there);
        assert_eq!(agreement.receives().kinds().count(), NoticeKind::ALL.len());
        assert!(Agreement::parse(&agreement_text(here, there, &Terms::default())).is_ok());
    }
}
