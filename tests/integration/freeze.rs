//! A register that has forked: its owner is frozen by its own signatures and by nothing else, what protects people
//! still applies, and anybody can verify the proof.

use std::process::Command;

use eads_domain::id::Hash;
use eads_domain::register::{Checkpoint, SignedCheckpoint, Tree};
use eads_domain::statement::Action;
use eads_proto::v1;
use eads_tests::content::red;
use eads_tests::hostile::{Hostile, noise};
use eads_tests::house::{House, alarmed, peers, sound, status};
use eads_tests::member::Member;
use eads_tests::operator::refused;
use eads_tests::wait::until;

use crate::programs::EADS;

struct Scene {
    my: Member,
    id: Hostile,
    reference: String,
    house: House,
}

impl Scene {
    /// MY holds three notices of ID, the first of which is the reference.
    async fn new() -> Self {
        let house = House::new();
        let my = house.member("MY").await;
        let mut id = Hostile::accepted_by(&my, &house, "ID").await;
        for name in ["first", "second", "third"] {
            id.issue(&red(name));
        }
        id.serve([id.batch(0, 3)]);
        until("MY holds three notices", || async { my.listed("held").await.len() == 3 }).await;
        let held = my.listed("held").await;
        let reference = held.into_iter().find(|notice| notice.index == 0).unwrap().reference;
        Self { my, id, reference, house }
    }

    async fn state(&self) -> String {
        peers(&self.my).await[0].state.clone()
    }

    async fn frozen(&self) {
        until("ID is frozen", || async { self.state().await == "frozen" }).await;
    }

    /// A register of ID that parts from the one that MY holds at its entry `at`.
    fn fork(&self, at: u64, size: u64) -> Vec<u8> {
        let mut tree = Tree::new();
        for index in 0..size {
            let other = Hash::from_bytes(noise());
            tree.append(if index < at { self.id.tree.leaf(index).unwrap() } else { other });
        }
        self.id.checkpoint_of(size, tree.root())
    }

    /// Exports the proof by the command, and has a program that is none of ours verify it.
    #[allow(clippy::print_stderr, reason = "says that it was not verified")]
    fn verify_proof(&self) {
        let file = self.house.path().join("proof.json");
        let profile = self.my.dir().join("profiles").join("auditor").join("profile.toml");
        let exported = Command::new(EADS)
            .args(["--profile".as_ref(), profile.as_os_str()])
            .args(["proof", "export", "ID", "-o"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/verify_proof.py");
        let key = hex::encode(self.id.key().verifying_key().as_bytes());
        let verify =
            |file: &std::path::Path, key: &str| Command::new("python3").arg(script).arg(file).arg(key).output();
        let Ok(verified) = verify(&file, &key) else {
            eprintln!("the proof was not verified by others: there is no python3");
            return;
        };
        let said = String::from_utf8_lossy(&verified.stdout).into_owned();
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
        assert!(said.starts_with("FORKED: id.eads/register/"), "{said}");
        // Nor does it believe a proof about another key, or one that was touched.
        assert!(!verify(&file, &"11".repeat(32)).unwrap().status.success());
        let touched = std::fs::read_to_string(&file).unwrap().replacen("\"smaller\": \"id", "\"smaller\": \"th", 1);
        std::fs::write(&file, touched).unwrap();
        assert!(!verify(&file, &key).unwrap().status.success(), "a proof that was changed still proves");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_checkpoints_of_one_size_freeze_their_owner_and_anybody_verifies_the_proof() {
    let scene = Scene::new().await;
    scene.id.script.tell("ID", scene.fork(2, 3));
    scene.frozen().await;
    alarmed(&scene.my, "REGISTER_FORKED:ID").await;
    scene.verify_proof();
    let seen = scene.my.notice(&scene.reference).await.unwrap();
    let seen = seen.notice.unwrap();
    assert_eq!((seen.state.as_str(), seen.cautions.as_slice()), ("frozen", &["register-forked".to_owned()][..]));
    sound(&scene.my).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_smaller_checkpoint_of_another_register_freezes_with_a_path() {
    let scene = Scene::new().await;
    scene.id.script.tell("ID", scene.fork(1, 2));
    scene.frozen().await;
    scene.verify_proof();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_larger_checkpoint_is_kept_until_the_register_was_followed_that_far() {
    let mut scene = Scene::new().await;
    scene.id.script.tell("ID", scene.fork(3, 4));
    until("MY has been told", || async { scene.id.script.told().len() >= 3 }).await;
    assert_eq!(scene.state().await, "accepted", "what nobody can judge yet freezes nobody");
    scene.id.issue(&red("fourth"));
    scene.id.serve([scene.id.batch(3, 4)]);
    scene.frozen().await;
    scene.verify_proof();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_rewrites_what_was_verified_freezes_its_owner() {
    let mut scene = Scene::new().await;
    // Another third entry, and one after it: its own proof of consistency gives it away.
    let honest = std::mem::take(&mut scene.id.tree);
    for index in 0..2 {
        scene.id.tree.append(honest.leaf(index).unwrap());
    }
    scene.id.entries.truncate(2);
    scene.id.issue(&red("other"));
    scene.id.issue(&red("another"));
    scene.id.serve([scene.id.batch(3, 4)]);
    scene.frozen().await;
    scene.verify_proof();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_frozen_owner_only_what_protects_people_is_taken() {
    let mut scene = Scene::new().await;
    scene.id.script.tell("ID", scene.fork(2, 3));
    scene.frozen().await;
    // The register goes on after the fork: another issue, and a withdrawal at an index that was answered before.
    scene.id.issue(&red("afterwards"));
    let withdrawal = scene.id.withdraw(0);
    let mut urgent = scene.id.urgent(3, withdrawal);
    urgent.urgent[0].inclusion.clear();
    urgent.urgent[0].index = 1;
    urgent.urgent[0].sequence = 1;
    scene.id.serve([scene.id.batch(3, 4), urgent]);
    scene.my.sees(&scene.reference, "NOTICE_WITHDRAWN").await;
    assert_eq!(scene.my.listed("held").await.len(), 2, "nothing new is taken");
    let at_my = &peers(&scene.my).await[0];
    assert_eq!((at_my.register_cursor, at_my.delivery_cursor), (3, 3), "no cursor moves");
    // Nor is what is suspended resumed.
    let suspension = scene.id.change_state(Action::Suspend, 1, "under-review");
    let resumption = scene.id.change_state(Action::Resume, 1, "review-completed");
    let deliveries = vec![scene.id.delivery(suspension), scene.id.delivery(resumption)];
    scene.id.serve([v1::SyncResponse { deliveries, ..scene.id.heartbeat(3) }]);
    until("the suspension is answered", || async { scene.id.script.receipts().len() >= 3 }).await;
    let answered = |index: usize| {
        let digest = scene.id.entries[index].statement.digest();
        let mut parts = scene.id.script.receipts().into_iter().flat_map(|posted| posted.parts);
        parts.any(|part| part.windows(32).any(|bytes| bytes == digest.as_bytes()))
    };
    until("the suspension is answered", || async { answered(suspension) }).await;
    assert!(!answered(resumption), "a frozen owner cannot take back what protects people");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_the_owners_own_signatures_freezes() {
    let house = House::new();
    let my = house.member("MY").await;
    let mut id = Hostile::accepted_by(&my, &house, "ID").await;
    let th = Hostile::accepted_by(&my, &house, "TH").await;
    th.serve([th.heartbeat(0)]);
    id.issue(&red("only"));
    id.serve([id.batch(0, 1)]);
    until("MY holds it", || async { my.listed("held").await.len() == 1 }).await;
    let register = id.identity.card.card().register;
    let forged = Checkpoint { member: id.id, register, size: 1, root: Hash::from_bytes(noise()) };
    // Signed by the teller, not by the owner; then the owner's own word, but nobody vouches for it.
    th.script.tell("ID", SignedCheckpoint::sign(forged, th.key()).unwrap().bytes().to_vec());
    let told = th.script.told().len();
    until("MY has been told", || async { th.script.told().len() > told + 2 }).await;
    id.script.tell("ID", b"no checkpoint at all".to_vec());
    let told = id.script.told().len();
    until("MY has been told", || async { id.script.told().len() > told + 2 }).await;
    assert!(peers(&my).await.iter().all(|peer| peer.state == "accepted"));
    assert!(!status(&my).await.alarms.iter().any(|alarm| alarm.contains("FORKED")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_third_members_cosigned_word_shows_a_fork() {
    let house = House::new();
    let my = house.member("MY").await;
    let mut id = Hostile::accepted_by(&my, &house, "ID").await;
    let th = Hostile::accepted_by(&my, &house, "TH").await;
    th.serve([th.heartbeat(0)]);
    id.issue(&red("told"));
    id.serve([id.batch(0, 1)]);
    until("MY holds it", || async { my.listed("held").await.len() == 1 }).await;
    // ID has told TH another first entry; TH hands on what ID signed, with its own cosignature.
    let register = id.identity.card.card().register;
    let other = Checkpoint { member: id.id, register, size: 1, root: Hash::from_bytes(noise()) };
    let signed = SignedCheckpoint::sign(other, id.key()).unwrap();
    let cosignature = signed.cosign(th.id, &th.identity.cosigner_key, my.now()).unwrap();
    th.script.tell("ID", signed.with_cosignature(&cosignature).unwrap().bytes().to_vec());
    until("ID is frozen, and TH is not", || async {
        peers(&my).await.iter().all(|peer| (peer.state == "frozen") == (peer.member == "ID"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_administrators_take_a_freeze_back_and_the_register_is_followed_on() {
    let mut scene = Scene::new().await;
    scene.id.script.tell("ID", scene.fork(2, 3));
    scene.frozen().await;
    let unfreeze = async |name: &str| {
        let request = v1::UnfreezePeerRequest { member: "ID".to_owned(), reason: "a second copy ran".to_owned() };
        scene.my.operator(name).peering().unfreeze_peer(request).await.map(|answer| answer.into_inner().unfrozen)
    };
    assert_eq!(refused(unfreeze("issuer").await), "ROLE_REQUIRED");
    assert!(!unfreeze("admin-1").await.unwrap());
    assert_eq!(refused(unfreeze("admin-1").await), "SECOND_ADMINISTRATOR_REQUIRED");
    assert_eq!(scene.state().await, "frozen");
    assert!(unfreeze("admin-2").await.unwrap());
    assert_eq!(scene.state().await, "accepted");
    assert_eq!(refused(unfreeze("admin-1").await), "PEER_NOT_FROZEN");
    // It is still told what it has forgiven, and goes on all the same.
    let told = scene.id.script.told().len();
    until("MY is told again", || async { scene.id.script.told().len() > told + 1 }).await;
    assert_eq!(scene.state().await, "accepted");
    scene.verify_proof();
    let fourth = scene.id.issue(&red("fourth"));
    scene.id.serve([scene.id.batch(3, 4)]);
    until("MY holds the fourth", || async {
        scene.my.listed("held").await.iter().any(|notice| notice.index == fourth as u64)
    })
    .await;
    sound(&scene.my).await;
    let written = scene.my.audit_entries().await;
    let of = |operation: &str| written.iter().filter(|entry| entry.operation == operation).count();
    assert!(of("FreezePeer") == 1 && of("UnfreezePeer") >= 4, "a freeze and its end are on record");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_cosign_what_they_have_verified() {
    let house = House::new();
    let [my, th] = house.federation(["MY", "TH"]).await;
    my.issue(&red("cosigned"), &[&th]).await;
    until("TH has cosigned the first entry of MY", || async { peers(&my).await[0].cosigned_size == 1 }).await;
    assert_ne!(peers(&my).await[0].cosigned_at, 0);
}
