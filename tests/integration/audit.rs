//! The log of who asked what: complete, bounded, and impossible to change without being found out.

use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::Duration;

use eads_domain::code::Coded as _;
use eads_domain::entropy::SystemEntropy;
use eads_domain::id::RequestId;
use eads_domain::slot::{SlotSet, SlotTable};
use eads_domain::subject::SubjectType;
use eads_proto::v1;
use eads_service::audit::{Actor, Entry, EntryKind};
use eads_tests::content::{Terms, red};
use eads_tests::house::{House, accept, connected, peer, peer_status, sound};
use eads_tests::member::Member;
use eads_tests::operator::refused;
use eads_tests::questions;
use eads_tests::traces::files;
use eads_tests::wait::until;

const DAY: i64 = 86_400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_has_an_intent_and_an_outcome_that_names_it() {
    let house = House::new();
    let id = house.member("ID").await;
    id.issue(&red("walked"), &[]).await;
    id.finds("walkedfamily").await;
    let entries = id.audit_entries().await;
    let sequences: Vec<u64> = entries.iter().map(|entry| entry.sequence).collect();
    assert!(sequences.windows(2).all(|pair| pair[0] + 1 == pair[1]), "gap-free: {sequences:?}");
    for operation in ["CreateDraft", "GetDraft", "ApproveDraft", "IssueDraft", "Search"] {
        let of: Vec<_> = entries.iter().filter(|entry| entry.operation == operation).collect();
        let intent = of.iter().find(|entry| entry.kind == "intent").unwrap_or_else(|| panic!("{operation}: no intent"));
        let outcome = of.iter().find(|entry| entry.kind == "outcome").unwrap_or_else(|| panic!("{operation}: no end"));
        assert!(intent.sequence < outcome.sequence, "{operation}");
        assert_eq!(intent.request_id, outcome.request_id, "{operation}");
        assert!(intent.result.is_empty() && !outcome.result.is_empty(), "{operation}");
        assert!(!intent.unfinished, "{operation}");
    }
    // No value of a notice stands in any of it.
    assert!(!format!("{entries:?}").contains("walkedgiven"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_the_other_side_refused_is_written_down_on_both_sides() {
    let house = House::new();
    let (id, my) = (house.member("ID").await, house.member("MY").await);
    accept(&id, &my, &Terms { purposes: vec!["border-check"], ..Terms::default() }).await;
    accept(&my, &id, &Terms::default()).await;
    connected(&my, 1).await;
    let answers = my.search_for(questions::name("Somebody Refused")).await.unwrap();
    let refusal = answers.iter().find(|answer| answer.member == "ID").unwrap();
    assert_eq!(refusal.outcome, "refused");
    let here = my.audit_of(&refusal.request_id).await;
    assert!(here.iter().any(|entry| entry.result == "ID:refused"), "{here:?}");
    let there = id.audit_of(&refusal.request_id).await;
    let [intent, outcome] = there.as_slice() else { panic!("{there:?}") };
    assert_eq!((intent.operation.as_str(), intent.actor.as_str()), ("AnswerQuery", "peer:MY"));
    assert_eq!(intent.purpose, "criminal-investigation");
    assert_eq!((outcome.result.as_str(), outcome.shown.len()), (refusal.code.as_str(), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_peer_was_shown_is_written_down_by_its_slots() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let reference = id.issue(&red("slotted"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    let answers = my.search_for(questions::name("slottedgiven slottedfamily")).await.unwrap();
    let hit = &answers.iter().find(|answer| answer.member == "ID").unwrap().hits[0];
    let table = SlotTable::get();
    let slots = hit.fields.iter().map(|field| table.by_name(SubjectType::Person, &field.name).unwrap().number);
    let slots: SlotSet = slots.collect();
    assert_eq!(slots.len(), 3, "as the agreement says: {:?}", hit.fields);
    let entries = id.audit_of(&answers[0].request_id).await;
    let [shown] = entries.last().unwrap().shown.as_slice() else { panic!("{entries:?}") };
    assert_eq!(shown.slots, slots.bits());
    assert_eq!(shown.digest, hit.statement.as_ref().unwrap().digest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_failed_has_its_code_as_its_outcome() {
    let house = House::new();
    let id = house.member("ID").await;
    let draft = id.draft(&red("failed"), &[]).await.unwrap();
    assert_eq!(refused(id.issue_draft(&draft.draft_id).await), "APPROVAL_MISSING");
    let entries = id.audit_entries().await;
    let outcome = entries.iter().find(|entry| entry.operation == "IssueDraft" && entry.kind == "outcome").unwrap();
    assert_eq!((outcome.result.as_str(), outcome.actor.as_str()), ("APPROVAL_MISSING", "operator:issuer"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_intent_without_an_outcome_is_counted_and_marked() {
    let house = House::new();
    let mut id = house.member("ID").await;
    assert_eq!(verified(&id).await.unfinished, 1, "the verification itself, which is under way");
    // As a crash between the two leaves it.
    let node = id.node().clone();
    let request = RequestId::random(&SystemEntropy);
    let entry = Entry::new(EntryKind::Intent, id.now(), request, Actor::Node, "Interrupted");
    let _intent = node.audit().intent(entry).await.unwrap();
    drop(node);
    id.restart().await;
    let found = verified(&id).await;
    assert!(found.sound, "{}", found.finding);
    assert_eq!(found.unfinished, 2);
    let listed = id.audit_of(request.as_bytes()).await;
    assert_eq!(listed.len(), 1);
    assert!(listed[0].unfinished);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_questions_makes_one_entry_that_counts_them() {
    let house = House::new();
    // Long, so that only the end of the node writes it down: exactly one entry.
    let (mut id, my) = (house.member("ID").await, house.member("MY").await);
    accept(&id, &my, &Terms { queries_per_hour: 2, ..Terms::default() }).await;
    accept(&my, &id, &Terms::default()).await;
    connected(&my, 1).await;
    for number in 0..9 {
        let answers = my.search_for(questions::name("Somebody Flooded")).await.unwrap();
        let answer = answers.iter().find(|answer| answer.member == "ID").unwrap();
        assert_eq!(answer.outcome, if number < 2 { "no-hit" } else { "refused" });
        assert_eq!(answer.code, if number < 2 { "" } else { "RATE_LIMITED" });
    }
    id.restart().await;
    let entries: Vec<Entry> = all(&id).into_iter().filter(|entry| entry.operation == "AnswerQuery").collect();
    assert_eq!(entries.iter().filter(|entry| entry.kind == EntryKind::Intent).count(), 2);
    let refusals: Vec<&Entry> = entries.iter().filter(|entry| entry.kind == EntryKind::Event).collect();
    let [refusal] = refusals.as_slice() else { panic!("{refusals:?}") };
    assert_eq!(refusal.result.as_deref(), Some("RATE_LIMITED"));
    assert_eq!(refusal.subject.as_deref(), Some("7 questions"));
    assert_eq!((&refusal.actor, refusal.peer), (&Actor::Peer(my.id), Some(my.id)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_questions_are_told_while_the_node_runs() {
    let house = House::new();
    let mut id = Member::create(house.path(), "ID");
    id.limits.refusals_interval = Duration::from_millis(20);
    id.start().await;
    let my = house.member("MY").await;
    accept(&id, &my, &Terms { queries_per_hour: 0, ..Terms::default() }).await;
    accept(&my, &id, &Terms::default()).await;
    connected(&my, 1).await;
    my.search_for(questions::name("Somebody Told")).await.unwrap();
    until("it is written down", || async {
        id.audit_entries().await.iter().any(|entry| entry.result == "RATE_LIMITED" && entry.peer == "MY")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chain_goes_on_over_restarts_and_its_head_is_the_last_entry() {
    let house = House::new();
    let mut id = house.member("ID").await;
    id.issue(&red("chained"), &[]).await;
    let before = id.audit_entries().await;
    id.restart().await;
    let found = verified(&id).await;
    assert!(found.sound, "{}", found.finding);
    let after = id.audit_entries().await;
    assert!(found.entries > before.len() as u64);
    let old = |entry: &v1::AuditEntry| (entry.sequence, entry.chain.clone());
    assert!(before.iter().map(old).eq(after.iter().take(before.len()).map(old)), "what was written stays as it was");
    let last = after.iter().find(|entry| entry.sequence == found.entries).unwrap();
    assert_eq!(found.head, last.chain);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_head_of_the_log_is_anchored_in_the_register_where_peers_hold_it() {
    let house = House::new();
    let mut id = Member::create(house.path(), "ID");
    id.limits.anchor_interval = Duration::from_millis(300);
    id.start().await;
    let my = house.member("MY").await;
    peer(&id, &my).await;
    until("MY holds two anchors", || async { peer_status(&my, &id).await.register_cursor >= 2 }).await;
    assert!(my.listed("held").await.is_empty(), "an anchor is no notice");
    sound(&id).await;
    sound(&my).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_entry_is_named_and_a_node_does_not_start_over_it() {
    let house = House::new();
    let mut id = house.member("ID").await;
    id.issue(&red("forged"), &[]).await;
    let wrong = 4;
    let log = Log::of(&id);
    log.flip(log.payload_of(wrong));
    let found = verified(&id).await;
    assert!(!found.sound);
    assert_eq!(found.first_bad, wrong, "{}", found.finding);
    assert_eq!(found.entries, wrong - 1, "those before it are good");
    assert!(found.finding.contains(&log.name()) && found.finding.contains("offset"), "{}", found.finding);
    id.stop().await;
    let error = id.try_start().await.unwrap_err();
    assert_eq!(error.code().as_str(), "JOURNAL_DAMAGED");
    assert!(error.to_string().contains(&log.name()) && error.to_string().contains("offset"), "{error}");
    // Nothing was cut: put right, the whole log is there.
    log.flip(log.payload_of(wrong));
    id.start().await;
    sound(&id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_cut_short_does_not_pass_for_the_whole() {
    let house = House::new();
    let mut id = house.member("ID").await;
    id.issue(&red("cut"), &[]).await;
    let before = verified(&id).await;
    id.stop().await;
    // Everything from the third entry on is overwritten with zeros, as if it had never been.
    let log = Log::of(&id);
    let from = log.frame_of(3);
    let length = std::fs::metadata(&log.0).unwrap().len();
    let zeros = vec![0; usize::try_from(length).unwrap() - usize::try_from(from).unwrap()];
    log.write(from, &zeros);
    id.start().await;
    let after = verified(&id).await;
    // The chain alone cannot tell it from a shorter log; the head that was known before does.
    assert!(after.entries < before.entries || after.head != before.head);
    assert!(id.audit_entries().await.iter().all(|entry| entry.chain != before.head));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_is_unreadable_at_the_end_of_its_retention_and_the_chain_still_verifies() {
    let house = House::new();
    let mut id = Member::create(house.path(), "ID");
    id.limits.audit_query_days = 2;
    id.start().await;
    id.finds("Somebody Forgotten").await;
    let question = |entries: &[v1::AuditEntry]| {
        let search = entries.iter().find(|entry| entry.operation == "Search" && entry.kind == "intent").unwrap();
        search.query_text.clone()
    };
    assert!(question(&id.audit_entries().await).contains("Somebody Forgotten"));
    id.clock.advance(DAY);
    id.restart().await;
    assert!(question(&id.audit_entries().await).contains("Somebody Forgotten"), "kept until then");
    id.clock.advance(2 * DAY);
    id.restart().await;
    until("the question is gone", || async { question(&id.audit_entries().await).is_empty() }).await;
    sound(&id).await;
}

async fn verified(member: &Member) -> v1::VerifyAuditResponse {
    let answer = member.operator("auditor").audit().verify_audit(v1::VerifyAuditRequest {}).await;
    answer.unwrap().into_inner()
}

/// Every entry with what operators are not shown.
fn all(member: &Member) -> Vec<Entry> {
    let listed =
        member.node().audit().list(&eads_service::audit::Find { limit: 10_000, ..Default::default() }, false).unwrap();
    listed.into_iter().map(|listed| listed.entry).collect()
}

/// The first file of a member's audit log.
struct Log(PathBuf);

impl Log {
    /// Of the file, and of what stands before each payload in it.
    const HEADER: u64 = 256;
    const FRAME: u64 = 60;

    fn of(member: &Member) -> Self {
        let mut all = files(&member.dir().join("audit"));
        all.sort();
        Self(all.remove(0))
    }

    fn name(&self) -> String {
        self.0.file_name().unwrap().to_string_lossy().into_owned()
    }

    /// Where the entry `sequence` begins.
    fn frame_of(&self, sequence: u64) -> u64 {
        let file = std::fs::File::open(&self.0).unwrap();
        let mut offset = Self::HEADER;
        for _ in 1..sequence {
            let mut length = [0; 4];
            file.read_exact_at(&mut length, offset + 4).unwrap();
            offset += Self::FRAME + u64::from(u32::from_be_bytes(length));
        }
        offset
    }

    fn payload_of(&self, sequence: u64) -> u64 {
        self.frame_of(sequence) + Self::FRAME
    }

    /// Flips a bit of the byte at `offset`; the node may write behind it meanwhile.
    fn flip(&self, offset: u64) {
        let mut byte = [0];
        std::fs::File::open(&self.0).unwrap().read_exact_at(&mut byte, offset).unwrap();
        self.write(offset, &[byte[0] ^ 1]);
    }

    fn write(&self, offset: u64, bytes: &[u8]) {
        let file = std::fs::OpenOptions::new().write(true).open(&self.0).unwrap();
        file.write_all_at(bytes, offset).unwrap();
    }
}
