//! Nodes that are killed with SIGKILL at random moments: nothing that was acknowledged is lost, nothing half done is
//! seen, and what was interrupted is finished after the next start.
//!
//! The moments come from a fixed seed, which a failure names with its round. What a power cut takes beyond that
//! (the page cache) is tested beside the store.

use std::collections::BTreeSet;
use std::time::Duration;

use eads_cli::demo::federation::{Federation, Participant, Terms};
use eads_domain::clock::{Clock as _, SystemClock};
use eads_domain::id::MemberId;
use eads_tests::content::red;
use eads_tests::process::Officers;
use eads_tests::wait::until;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tonic::Status;

use crate::programs::programs;

const ISSUE_ROUNDS: u64 = 8;
const SYNC_ROUNDS: u64 = 6;
const PURGE_ROUNDS: u64 = 6;
/// A node is killed so long after what it was to be interrupted in has begun, in milliseconds, at the latest.
const LATEST: u64 = 150;
/// A purge is interrupted later too: keys are gathered for a moment before they are destroyed.
const LATEST_IN_PURGE: u64 = 400;
/// Notices are issued by so many at a time, so that an append is always under way.
const ISSUERS: u64 = 2;
/// How long the first acknowledgement of a round may take.
const BEGINS_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issue_that_was_acknowledged_survives_the_death_of_its_owner() {
    let mut pair = Pair::new(0x1551).await;
    for round in 0..ISSUE_ROUNDS {
        let place = pair.place(round);
        pair.caught_up().await;
        let mut issuing = pair.issuing(round);
        let mut acknowledged = vec![issuing.first().await];
        pair.moment(LATEST).await;
        pair.kill("ID").await;
        acknowledged.extend(issuing.rest().await);
        pair.start("ID").await;
        pair.issued_holds(&acknowledged, &place).await;
        let receipted = pair.receipted_of(&acknowledged).await;
        pair.held_holds(receipted, &place).await;
        pair.sound(&place).await;
    }
    pair.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_peer_has_receipted_survives_the_death_of_that_peer() {
    let mut pair = Pair::new(0x5157).await;
    for round in 0..SYNC_ROUNDS {
        let place = pair.place(round);
        pair.caught_up().await;
        let mut issuing = pair.issuing(round);
        let mut acknowledged = vec![issuing.first().await];
        pair.moment(LATEST).await;
        pair.kill("MY").await;
        // In every other round it is killed once more while it catches up with what it missed.
        if round % 2 == 1 {
            pair.start("MY").await;
            pair.moment(LATEST).await;
            pair.kill("MY").await;
        }
        acknowledged.extend(issuing.stop().await);
        // While it is dead: what it has receipted so far must be there as soon as it answers.
        let receipted = pair.receipted_of(&acknowledged).await;
        pair.start("MY").await;
        pair.held_holds(receipted, &place).await;
        pair.sound(&place).await;
    }
    pair.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_that_was_interrupted_is_finished_and_receipted() {
    let mut pair = Pair::new(0x90e6).await;
    for round in 0..PURGE_ROUNDS {
        let place = pair.place(round);
        pair.caught_up().await;
        let mut references = Vec::new();
        for number in 0..2 {
            references.push(pair.id.issue(&red(&tag(round, number, 0)), &["MY"], now()).await.expect("an issue"));
        }
        let [kept, ended] = references.as_slice() else { panic!("two were issued") };
        pair.receipted(ended, &["issue accepted"]).await;
        pair.id.withdraw(ended).await.expect("a withdrawal");
        pair.moment(LATEST_IN_PURGE).await;
        let dies = if round % 2 == 0 { "MY" } else { "ID" };
        pair.kill(dies).await;
        if dies == "MY" {
            // The owner has destroyed it, or still serves its withdrawal: in force it is for nobody.
            assert_eq!(pair.id.state_of(ended).await, "withdrawn", "{place}");
        }
        let purged = match dies {
            "MY" => pair.id.receipts(ended, "MY").await.contains(&"issue purged".to_owned()),
            _ => false,
        };
        pair.start(dies).await;
        if purged {
            assert_ne!(pair.my.state_of(ended).await, "valid", "{place}: shown after its purge was receipted");
        }
        assert_eq!(pair.id.state_of(ended).await, "withdrawn", "{place}");
        pair.receipted(ended, &["issue purged", "withdraw accepted"]).await;
        assert!(!pair.my.in_force("held").await.contains(ended), "{place}: {ended} is still shown");
        pair.receipted(kept, &["issue accepted"]).await;
        assert_eq!(pair.my.state_of(kept).await, "valid", "{place}: another notice went with it");
        pair.sound(&place).await;
    }
    pair.settled().await;
}

/// Two members, each a process; Malaysia follows Indonesia.
struct Pair {
    /// Before the directory, in which its processes write.
    federation: Federation,
    id: Officers,
    my: Officers,
    seed: u64,
    random: u64,
    acknowledged: BTreeSet<String>,
    _house: TempDir,
}

impl Pair {
    async fn new(seed: u64) -> Self {
        let house = tempfile::tempdir().expect("a directory");
        let participant = |id: &str| Participant { member: member(id), name: id.to_owned() };
        let members = ["ID", "MY"].map(participant);
        let mut federation =
            Federation::create(&programs(), &house.path().join("federation"), &members).await.expect("a federation");
        federation.start().await.expect("both serve");
        federation.peer_all(|_, _| Terms::default()).await.expect("both accept each other");
        federation.connected().await.expect("both follow each other");
        let officers = |id: &str| Officers::of(federation.node(member(id)).expect("a node"));
        let (id, my) = (officers("ID"), officers("MY"));
        Self { federation, id, my, seed, random: seed, acknowledged: BTreeSet::new(), _house: house }
    }

    /// For the message of a failure.
    fn place(&self, round: u64) -> String {
        format!("seed {:#x}, round {round}", self.seed)
    }

    /// Waits for a random time, in which the nodes work.
    async fn moment(&mut self, latest: u64) {
        // SplitMix64: the moments must be the same in every run.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        tokio::time::sleep(Duration::from_millis((mixed ^ (mixed >> 31)) % latest)).await;
    }

    async fn kill(&mut self, id: &str) {
        self.federation.node_mut(member(id)).expect("a node").kill().await.expect("it ran until now");
    }

    async fn start(&mut self, id: &str) {
        let node = self.federation.node_mut(member(id)).expect("a node");
        if let Err(error) = node.start().await {
            panic!("{error}: {:#?}", node.log_tail(20));
        }
    }

    /// Begins to issue notices to Malaysia, one after the other.
    fn issuing(&self, round: u64) -> Issuing {
        let (sender, acknowledged) = mpsc::unbounded_channel();
        let stop = tokio_util::sync::CancellationToken::new();
        let issuers = (0..ISSUERS).map(|issuer| {
            let (sender, stop, officers) = (sender.clone(), stop.clone(), self.id.clone());
            tokio::spawn(async move {
                for number in 0.. {
                    if stop.is_cancelled() {
                        return Ok(());
                    }
                    let reference = officers.issue(&red(&tag(round, issuer, number)), &["MY"], now()).await?;
                    let _ = sender.send(reference);
                }
                Ok(())
            })
        });
        Issuing { issuers: issuers.collect(), acknowledged, stop }
    }

    /// Every acknowledged notice is in force at its owner, and of others at most those that were under way.
    async fn issued_holds(&mut self, acknowledged: &[String], place: &str) {
        self.acknowledged.extend(acknowledged.iter().cloned());
        let own: BTreeSet<String> = self.id.in_force("own").await.into_iter().collect();
        let lost: Vec<_> = self.acknowledged.difference(&own).collect();
        assert!(lost.is_empty(), "{place}: {lost:?} were acknowledged and are lost");
        let size = self.id.status().await.register_size;
        assert_eq!(size, own.len() as u64, "{place}: an entry without its notice, or a notice without its entry");
        // What nobody was told of may stand or not, but then it stands for good.
        let unacknowledged = own.len() - self.acknowledged.len();
        assert!(unacknowledged as u64 <= ISSUERS, "{place}: {unacknowledged} notices that nobody issued");
        self.acknowledged = own;
    }

    /// Those of the notices that Malaysia has said to hold.
    async fn receipted_of(&self, issued: &[String]) -> Vec<String> {
        let mut receipted = Vec::new();
        for reference in issued {
            let said = self.id.receipts(reference, "MY").await;
            if said.iter().any(|line| line == "issue accepted" || line == "issue delivered") {
                receipted.push(reference.clone());
            }
        }
        receipted
    }

    /// Malaysia holds what it has receipted, and nothing that its owner does not know.
    async fn held_holds(&self, receipted: Vec<String>, place: &str) {
        let held: BTreeSet<String> = self.my.in_force("held").await.into_iter().collect();
        let lost: Vec<_> = receipted.into_iter().filter(|reference| !held.contains(reference)).collect();
        assert!(lost.is_empty(), "{place}: {lost:?} were receipted and are lost");
        let own: BTreeSet<String> = self.id.in_force("own").await.into_iter().collect();
        let strange: Vec<_> = held.difference(&own).collect();
        assert!(strange.is_empty(), "{place}: {strange:?} are held, and their owner knows nothing of them");
    }

    async fn receipted(&self, reference: &str, expected: &[&str]) {
        until(&format!("MY says {expected:?} of {reference}"), || async {
            self.id.receipts(reference, "MY").await == expected
        })
        .await;
    }

    async fn sound(&self, place: &str) {
        for (id, officers) in [("ID", &self.id), ("MY", &self.my)] {
            let unsound = officers.unsound().await;
            assert!(unsound.is_empty(), "{place}: at {id}: {unsound:?}");
        }
    }

    /// Waits until Malaysia follows and holds the whole register, and nobody owes a receipt.
    async fn caught_up(&self) {
        until("every receipt is given and taken", || async {
            let size = self.id.status().await.register_size;
            let (at_owner, at_holder) = (self.id.peer("MY").await, self.my.peer("ID").await);
            let is_there = at_holder.connected && at_holder.register_cursor == size;
            is_there && at_owner.awaiting_receipt == 0 && at_holder.owed_receipts == 0
        })
        .await;
    }

    /// In the end Malaysia holds every notice in force and nothing else.
    async fn settled(&self) {
        self.caught_up().await;
        let held: BTreeSet<String> = self.my.in_force("held").await.into_iter().collect();
        let own: BTreeSet<String> = self.id.in_force("own").await.into_iter().collect();
        assert_eq!(held, own, "seed {:#x}", self.seed);
        self.sound("in the end").await;
        for id in ["ID", "MY"] {
            // As an auditor types it.
            let auditor = self.federation.operator(member(id), "auditor").expect("an operator");
            for command in ["register", "audit"] {
                auditor.get(&[command, "verify"]).await.expect("sound");
            }
        }
    }
}

/// Notices that are being issued.
struct Issuing {
    issuers: Vec<tokio::task::JoinHandle<Result<(), Status>>>,
    acknowledged: mpsc::UnboundedReceiver<String>,
    stop: tokio_util::sync::CancellationToken,
}

impl Issuing {
    /// The first that is acknowledged.
    async fn first(&mut self) -> String {
        let first = tokio::time::timeout(BEGINS_WITHIN, self.acknowledged.recv()).await.expect("one in time");
        match first {
            Some(reference) => reference,
            None => panic!("nothing was issued: {:?}", self.ends().await),
        }
    }

    /// The others, until the node was killed.
    async fn rest(mut self) -> Vec<String> {
        let ends = self.ends().await;
        assert!(ends.iter().all(Result::is_err), "the node was killed and still answered");
        self.told()
    }

    /// The others, until now.
    async fn stop(mut self) -> Vec<String> {
        self.stop.cancel();
        for end in self.ends().await {
            end.expect("the owner goes on");
        }
        self.told()
    }

    async fn ends(&mut self) -> Vec<Result<(), Status>> {
        let ends = futures::future::join_all(self.issuers.drain(..)).await;
        ends.into_iter().map(|end| end.expect("no panic")).collect()
    }

    fn told(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.acknowledged.try_recv().ok()).collect()
    }
}

fn member(id: &str) -> MemberId {
    id.parse().expect("a member")
}

/// A word of letters for the notice `number` of an issuer in a round.
fn tag(round: u64, issuer: u64, number: u64) -> String {
    let letters = format!("{round:02}{issuer}{number:03}");
    letters.bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
}

fn now() -> i64 {
    SystemClock.now().as_unix()
}
