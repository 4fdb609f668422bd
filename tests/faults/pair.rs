//! Two members under load, and everything that must hold of them after one of them was disturbed.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use eads_cli::demo::federation::{Federation, MemberNode, Participant, Programs, Terms};
use eads_domain::id::MemberId;
use eads_tests::content::red;
use eads_tests::disk::Disk;
use eads_tests::operator::code;
use eads_tests::process::Officers;
use eads_tests::wait::{PATIENCE, PAUSE, until};
use tempfile::TempDir;
use tokio::time::Instant;
use tonic::Status;

use crate::erased::erased;
use crate::load::{Fate, ISSUERS, Ledger, Load, now, patient, records};

/// Alarms that say only that the other one was away.
const AWAY: [&str; 1] = ["SYNC:"];

/// Indonesia issues; Malaysia follows. Each is a process.
pub(crate) struct Pair {
    /// Before the disk and the directory, in which its processes write.
    pub(crate) federation: Federation,
    pub(crate) id: Officers,
    pub(crate) my: Officers,
    pub(crate) ledger: Ledger,
    pub(crate) disk: Option<Disk>,
    seed: u64,
    random: u64,
    /// The last entry of each audit log that was looked at.
    audited: [u64; 2],
    _house: TempDir,
}

impl Pair {
    /// Both serve and follow each other.
    pub(crate) async fn new(seed: u64) -> Self {
        Self::made(seed, None, |_| {}).await
    }

    /// The same with the directory of one member on a file system of its own, of so many MiB.
    pub(crate) async fn on_disk(seed: u64, member: &str, mib: u64) -> Self {
        Self::made(seed, Some((member, mib)), |_| {}).await
    }

    /// The same again, with the directories as `prepare` leaves them.
    pub(crate) async fn made(seed: u64, disk: Option<(&str, u64)>, prepare: impl Fn(&MemberNode)) -> Self {
        let house = tempfile::tempdir().expect("a directory");
        let participant = |id: &str| Participant { member: member(id), name: id.to_owned() };
        let members = ["ID", "MY"].map(participant);
        let programs = Programs::new(env!("CARGO_BIN_EXE_eads-under-test"), env!("CARGO_BIN_EXE_eads-node-under-test"));
        let mut federation =
            Federation::create(&programs, &house.path().join("federation"), &members).await.expect("a federation");
        federation.nodes().iter().for_each(prepare);
        let disk = disk.map(|(id, mib)| Disk::under(federation.node(member(id)).expect("a node").dir(), mib));
        federation.start().await.expect("both serve");
        federation.peer_all(|_, _| Terms::default()).await.expect("both accept each other");
        federation.connected().await.expect("both follow each other");
        let officers = |id: &str| Officers::of(federation.node(member(id)).expect("a node"));
        let (id, my) = (officers("ID"), officers("MY"));
        let ledger = Ledger::default();
        Self { federation, id, my, ledger, disk, seed, random: seed, audited: [0; 2], _house: house }
    }

    /// For the message of a failure.
    pub(crate) fn place(&self, round: u64) -> String {
        format!("seed {:#x}, round {round}", self.seed)
    }

    /// A random number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // SplitMix64: the moments must be the same in every run.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Waits for a random time, in which the nodes work.
    pub(crate) async fn moment(&mut self, latest_ms: u64) {
        let moment = self.below(latest_ms);
        tokio::time::sleep(Duration::from_millis(moment)).await;
    }

    pub(crate) fn node(&self, id: &str) -> &MemberNode {
        self.federation.node(member(id)).expect("a node")
    }

    pub(crate) fn disk(&mut self) -> &mut Disk {
        self.disk.as_mut().expect("a file system of its own")
    }

    pub(crate) async fn kill(&mut self, id: &str) {
        self.federation.node_mut(member(id)).expect("a node").kill().await.expect("it ran until now");
    }

    pub(crate) async fn stop(&mut self, id: &str) -> bool {
        self.federation.node_mut(member(id)).expect("a node").stop().await.expect("it ends")
    }

    pub(crate) async fn start(&mut self, id: &str) {
        self.start_with(id, &[]).await;
    }

    pub(crate) async fn start_with(&mut self, id: &str, arguments: &[&str]) {
        let node = self.federation.node_mut(member(id)).expect("a node");
        if let Err(error) = node.start_with(arguments).await {
            panic!("{error}: {:#?}", node.log_tail(20));
        }
    }

    /// Starts a node that must not start. Returns its last words.
    pub(crate) async fn fails_to_start(&mut self, id: &str) -> String {
        let node = self.federation.node_mut(member(id)).expect("a node");
        node.start().await.expect_err("it must not start");
        node.log_tail(5).join("\n")
    }

    /// Begins to compact the store of a running node, as its administrator types it.
    pub(crate) fn compacting(&self, id: &str) -> Compacting {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eads-node-under-test"));
        command.args(["store", "compact", "--dir"]).arg(self.node(id).dir());
        command.arg("--passphrase-file").arg(self.federation.dir().join("passphrase"));
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Compacting(command.expect("a command"))
    }

    /// Begins to work, with something acknowledged already.
    pub(crate) async fn work(&mut self, round: u64) -> Load {
        let mut load = Load::begin(&self.id, &self.my, round, &mut self.ledger);
        load.begun(&mut self.ledger).await;
        load
    }

    /// Indonesia issues to Malaysia, on record.
    ///
    /// # Errors
    /// What the node answers.
    pub(crate) async fn issue(&mut self, tag: &str) -> Result<String, Status> {
        let content = red(tag);
        let reference = patient(|| self.id.issue(&content, &["MY"], now())).await?;
        self.ledger.notices.insert(reference.clone(), Fate::InForce);
        Ok(reference)
    }

    /// Issues until that is refused. Returns the code.
    pub(crate) async fn issue_until_refused(&mut self, tag: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Err(status) = self.issue(tag).await {
                return code(&status).to_owned();
            }
            assert!(Instant::now() < deadline, "notices are issued still");
        }
    }

    /// Tries to issue until it is no more refused with this code.
    pub(crate) async fn issue_until_taken(&mut self, tag: &str, refusal: &str) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(status) = self.issue(tag).await {
            assert_eq!(code(&status), refusal, "{status:?}");
            assert!(Instant::now() < deadline, "notices are refused still");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What Malaysia has said of these notices, as Indonesia tells it now.
    pub(crate) async fn said(&self, issued: &[String]) -> Said {
        let mut said = Said::default();
        for reference in issued {
            for line in self.id.receipts(reference, "MY").await {
                match line.as_str() {
                    "issue accepted" | "issue delivered" => drop(said.held.insert(reference.clone())),
                    "issue purged" => drop(said.purged.insert(reference.clone())),
                    _ => {}
                }
            }
        }
        said
    }

    /// Everything that was acknowledged is there, and nothing that is half done: at both, whichever was disturbed.
    /// `said` is what Malaysia was known to have said before it came back.
    pub(crate) async fn holds(&mut self, said: &Said, place: &str) {
        let own = self.id.notices("own").await;
        let held = self.my.notices("held").await;
        for (reference, fate) in &self.ledger.notices {
            let state = own.get(reference).map_or("nowhere", String::as_str);
            let is_as_told = match fate {
                Fate::InForce => state == "valid",
                Fate::Withdrawn => state == "withdrawn",
                Fate::Suspended => state == "suspended",
                Fate::Withdrawing => state == "valid" || state == "withdrawn",
            };
            assert!(is_as_told, "{place}: {reference} is {state}, and was acknowledged as {fate:?}");
        }
        let strange = own.keys().filter(|reference| !self.ledger.notices.contains_key(*reference)).count();
        assert!(strange as u64 <= ISSUERS, "{place}: {strange} notices that nobody issued");
        // A notice without its entry, an entry without its notice, or half a withdrawal shows here.
        let changed = own.values().filter(|state| *state == "withdrawn" || *state == "suspended").count();
        let size = self.id.status().await.register_size;
        assert_eq!(
            size,
            (own.len() + changed) as u64,
            "{place}: entries of {} notices, {changed} of them changed",
            own.len()
        );
        // What was under way and is there stands for good from now on.
        for (reference, state) in &own {
            let fate = match state.as_str() {
                "withdrawn" => Fate::Withdrawn,
                "suspended" => Fate::Suspended,
                _ => Fate::InForce,
            };
            self.ledger.notices.insert(reference.clone(), fate);
        }
        for reference in &said.held {
            let is_there = held.contains_key(reference) || own.get(reference).is_some_and(|state| state == "withdrawn");
            assert!(is_there, "{place}: {reference} was receipted as held and is lost");
        }
        for reference in &said.purged {
            let state = held.get(reference).map_or("gone", String::as_str);
            assert!(
                state != "valid" && state != "suspended",
                "{place}: {reference} was receipted as purged and is {state}"
            );
        }
        let unknown: Vec<_> = held.keys().filter(|reference| !own.contains_key(*reference)).collect();
        assert!(unknown.is_empty(), "{place}: {unknown:?} are held, and their owner knows nothing of them");
        let records = self.id.status().await.records;
        assert!(records >= self.ledger.records(), "{place}: {records} records, {} imported", self.ledger.records());
        self.audited(place).await;
        self.trusting(place).await;
    }

    /// Every question that was answered is in the audit log with its end, and both logs and registers verify.
    async fn audited(&mut self, place: &str) {
        for (number, id) in ["ID", "MY"].into_iter().enumerate() {
            let officers = if id == "ID" { &self.id } else { &self.my };
            let entries = officers.audit_after(self.audited[number]).await;
            self.audited[number] = entries.last().map_or(self.audited[number], |last| last.sequence);
            let intents: BTreeSet<&[u8]> =
                entries.iter().filter(|entry| entry.kind == "intent").map(|entry| &entry.request_id[..]).collect();
            let outcomes: BTreeSet<&[u8]> =
                entries.iter().filter(|entry| entry.kind == "outcome").map(|entry| &entry.request_id[..]).collect();
            for request in self.ledger.answered.remove(id).unwrap_or_default() {
                let written = intents.contains(&request[..]) && outcomes.contains(&request[..]);
                assert!(written, "{place}: {id} has answered {} and not written it down", hex::encode(request));
            }
            let unsound = officers.unsound().await;
            assert!(unsound.is_empty(), "{place}: at {id}: {unsound:?}");
        }
    }

    /// Neither blames the other: nothing is frozen, and no alarm says more than that one was away.
    async fn trusting(&self, place: &str) {
        for (officers, other) in [(&self.id, "MY"), (&self.my, "ID")] {
            let status = officers.status().await;
            let peer = status.peers.iter().find(|peer| peer.member == other).expect("a peer");
            assert_eq!(peer.state, "accepted", "{place}: {other} is {}: {}", peer.state, peer.last_error);
            let grave: Vec<_> =
                status.alarms.iter().filter(|alarm| !AWAY.iter().any(|away| alarm.starts_with(away))).collect();
            assert!(grave.is_empty(), "{place}: {grave:?}");
        }
    }

    /// Waits until Malaysia follows and holds the whole register, and nobody owes a receipt.
    pub(crate) async fn caught_up(&self) {
        until("every receipt is given and taken", || async {
            let size = self.id.status().await.register_size;
            let (at_owner, at_holder) = (self.id.peer("MY").await, self.my.peer("ID").await);
            let is_there = at_holder.connected && at_holder.register_cursor == size;
            is_there && at_owner.awaiting_receipt == 0 && at_holder.owed_receipts == 0
        })
        .await;
    }

    /// In the end Malaysia holds every notice in force and nothing else, and every record is there once.
    pub(crate) async fn settled(&mut self) {
        self.caught_up().await;
        let place = format!("seed {:#x}, in the end", self.seed);
        let held: BTreeSet<String> = self.my.in_force("held").await.into_iter().collect();
        let own: BTreeSet<String> = self.id.in_force("own").await.into_iter().collect();
        // Others are local, and nobody else's.
        assert!(held.is_subset(&own), "{place}: {held:?} of {own:?}");
        for reference in &own {
            let receipts = self.id.receipts(reference, "MY").await;
            assert_eq!(held.contains(reference), !receipts.is_empty(), "{place}: {reference}: {receipts:?}");
        }
        for run in self.ledger.imported.clone() {
            let again = self.id.import("register", &records(run)).await.expect("an import");
            let new = again.inserted + again.changed + again.rejected.len() as u64;
            assert_eq!(new, 0, "{place}: of run {run}, which was acknowledged, {again:?}");
        }
        for (reference, _) in self.ledger.notices.iter().filter(|(_, fate)| **fate == Fate::Withdrawn) {
            until(&format!("{place}: {reference} is purged"), || async {
                let said = self.id.receipts(reference, "MY").await;
                !said.iter().any(|line| line == "issue accepted" || line == "issue delivered")
            })
            .await;
        }
        self.holds(&Said::default(), &place).await;
        for id in ["ID", "MY"] {
            // As an auditor types it.
            let auditor = self.federation.operator(member(id), "auditor").expect("an operator");
            for command in ["register", "audit"] {
                auditor.get(&[command, "verify"]).await.expect("sound");
            }
        }
    }
}

impl Pair {
    /// Stops both and looks at what their disks would give away. Enough was done for that to mean something.
    pub(crate) async fn erased(&mut self) {
        let passphrase = self.federation.dir().join("passphrase");
        for id in ["ID", "MY"] {
            let place = format!("seed {:#x}, at {id}", self.seed);
            assert!(self.stop(id).await, "{place}: it does not end by itself");
            let (standing, destroyed) = erased(self.node(id).dir(), &passphrase, &place).await;
            assert!(standing > 0 && destroyed > 0, "{place}: {standing} contents stand, {destroyed} are destroyed");
        }
    }
}

/// A compaction by the running node; who asked for it is gone when this is dropped.
pub(crate) struct Compacting(Child);

impl Compacting {
    /// Whether it came to its end.
    pub(crate) fn succeeds(mut self) -> bool {
        self.0.wait().expect("a child").success()
    }
}

impl Drop for Compacting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What Malaysia has receipted.
#[derive(Debug, Default)]
pub(crate) struct Said {
    held: BTreeSet<String>,
    purged: BTreeSet<String>,
}

pub(crate) fn member(id: &str) -> MemberId {
    id.parse().expect("a member")
}
