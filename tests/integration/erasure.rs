//! After a withdrawal nothing that could be read is left, at any holder, in any file.

use eads_proto::v1;
use eads_service::area;
use eads_store::port::{Area, Scan};
use eads_store::vault::{Sealed, Vault};
use eads_tests::content::{red, secrets};
use eads_tests::house::House;
use eads_tests::member::Member;
use eads_tests::traces::{Needles, found};

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

async fn rows(vault: &Vault, area: Area) -> Rows {
    vault.store().scan(Scan::new(area, 4096)).await.unwrap()
}

/// How many rows of a copy can still be opened.
async fn readable(vault: &Vault, area: Area, copied: &Rows) -> usize {
    let mut count = 0;
    for (key, row) in copied {
        if matches!(vault.open_row(area, key, row).await, Ok(Some(Sealed::Plain { .. }))) {
            count += 1;
        }
    }
    count
}

/// Every salt of a draft.
async fn salts(member: &Member, draft_id: &str) -> Vec<Vec<u8>> {
    let request = v1::GetDraftRequest { draft_id: draft_id.to_owned() };
    let draft = member.operator("approver").notices().get_draft(request).await.unwrap().into_inner();
    assert_eq!(draft.openings.len(), 47);
    draft.openings.into_iter().map(|opening| opening.salt).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_withdrawn_notice_can_be_found_or_opened_anywhere() {
    let house = House::new();
    let [mut id, mut my] = house.federation(["ID", "MY"]).await;
    let draft = id.draft(&red("erased"), &[&my]).await.unwrap();
    let mut needles = salts(&id, &draft.draft_id).await;
    let reference = id.publish(&draft.draft_id).await.unwrap().reference;
    let amendment = red("erasedagain");
    id.receipted(&reference, &my, &["issue accepted"]).await;
    id.amend(&reference, &amendment, &[&my]).await;
    id.receipted(&reference, &my, &["issue purged", "amend accepted"]).await;
    for tag in ["erased", "erasedagain"] {
        needles.extend(secrets(tag).into_iter().map(String::into_bytes));
    }

    let needles = Needles::new(&needles);

    // What a thief, a backup or a log-structured store may keep: the sealed rows as they are now.
    id.stop().await;
    my.stop().await;
    let (own, held) = {
        let (id, my) = (id.vault().await, my.vault().await);
        let own = rows(&id, area::OWN_CONTENT).await;
        let held = rows(&my, area::HELD_CONTENT).await;
        assert_eq!(readable(&id, area::OWN_CONTENT, &own).await, own.len());
        assert_eq!((own.len(), readable(&my, area::HELD_CONTENT, &held).await), (2, 1));
        (own, held)
    };
    // While it is in force it is sealed already.
    assert_eq!(needles.found_in(id.dir()), Vec::<String>::new());
    assert_eq!(needles.found_in(my.dir()), Vec::<String>::new());

    id.start().await;
    my.start().await;
    id.withdraw(&reference).await;
    id.receipted(&reference, &my, &["issue purged", "amend purged", "withdraw accepted"]).await;
    // The withdrawal itself goes when everybody has receipted; a stop in between must not keep it for ever.
    id.stop().await;
    let deadline = tokio::time::Instant::now() + eads_tests::wait::PATIENCE;
    while !rows(&id.vault().await, area::OWN_CONTENT).await.is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "the withdrawal itself stays");
        id.start().await;
        id.node().purge().await.unwrap();
        id.stop().await;
    }
    my.stop().await;
    assert_eq!(needles.found_in(id.dir()), Vec::<String>::new());
    assert_eq!(needles.found_in(my.dir()), Vec::<String>::new());
    // The search does find what is there.
    assert!(!found(id.dir(), reference.as_bytes()).is_empty());
    let (id, my) = (id.vault().await, my.vault().await);
    assert_eq!(readable(&id, area::OWN_CONTENT, &own).await, 0);
    assert_eq!(readable(&my, area::HELD_CONTENT, &held).await, 0);
    assert_eq!(rows(&my, area::HELD_CONTENT).await.len(), 0);
    for (_, row) in &own {
        let slot = id.slot_of(area::OWN_CONTENT, row).unwrap();
        assert!(id.keys().is_destroyed(slot).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_file_from_before_a_purge_is_no_file_of_the_node_any_more() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let reference = id.issue(&red("rotated"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    let keys = my.dir().join("keys");
    let contents = |dir: &std::path::Path| {
        eads_tests::traces::files(dir).into_iter().map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>()
    };
    let before = contents(&keys);
    id.withdraw(&reference).await;
    id.receipted(&reference, &my, &["issue purged", "withdraw accepted"]).await;
    let after = contents(&keys);
    // The root's file has two slots: the old root is in neither.
    let root = eads_tests::traces::files(&keys)
        .into_iter()
        .find(|file| std::fs::metadata(file).is_ok_and(|meta| meta.len() == 8192));
    let root = std::fs::read(root.expect("a root file of two slots")).unwrap();
    let old = before.iter().find(|bytes| bytes.len() == 8192).unwrap();
    let slots = |bytes: &[u8]| [bytes[..4096].to_vec(), bytes[4096..].to_vec()];
    for slot in slots(old).iter().filter(|slot| slot.iter().any(|byte| *byte != 0)) {
        assert!(!slots(&root).contains(slot), "an old root still stands in its slot");
    }
    assert_ne!(before, after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discarded_draft_is_destroyed() {
    let house = House::new();
    let mut id = house.member("ID").await;
    let draft = id.draft(&red("discarded"), &[]).await.unwrap();
    id.stop().await;
    let copied = {
        let vault = id.vault().await;
        let copied = rows(&vault, area::DRAFT).await;
        assert_eq!(readable(&vault, area::DRAFT, &copied).await, 1);
        copied
    };
    id.start().await;
    let request = v1::DiscardDraftRequest { draft_id: draft.draft_id };
    id.operator("issuer").notices().discard_draft(request).await.unwrap();
    eads_tests::wait::until("the key is destroyed", || async { id.node().purge().await.unwrap() == 0 }).await;
    id.stop().await;
    assert_eq!(readable(&id.vault().await, area::DRAFT, &copied).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_that_a_crash_interrupted_is_finished_at_the_next_start() {
    let house = House::new();
    let [mut id, mut my] = house.federation(["ID", "MY"]).await;
    let reference = id.issue(&red("interrupted"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    id.stop().await;
    my.stop().await;
    // The job is durable and nothing of it is done, as a crash right after the commit leaves it.
    let held = {
        let vault = my.vault().await;
        let held = rows(&vault, area::HELD_CONTENT).await;
        let heads = rows(&vault, area::HELD_NOTICE).await;
        let head: eads_service::rows::HeldNotice = eads_service::rows::parse(&heads[0].1).unwrap();
        let job = eads_service::rows::PurgeJob::Held {
            origin: id.id,
            index: head.content_index,
            digest: head.content_digest,
            slots: head.slots,
            reason: eads_domain::receipt::ReceiptReason::WITHDRAWN.number(),
            key: head.key,
            blobs: Vec::new(),
        };
        let mut batch = eads_store::port::Batch::new();
        eads_service::rows::put(&mut batch, area::PURGE, b"job", &job).unwrap();
        batch.delete(area::HELD_NOTICE, heads[0].0.clone());
        vault.store().commit(batch).await.unwrap();
        held
    };
    my.start().await;
    id.start().await;
    id.receipted(&reference, &my, &["issue purged"]).await;
    my.stop().await;
    assert_eq!(readable(&my.vault().await, area::HELD_CONTENT, &held).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_the_last_receipt_and_its_consequence_is_made_good_at_the_next_start() {
    let house = House::new();
    let [mut id, mut my] = house.federation(["ID", "MY"]).await;
    let reference = id.issue(&red("halfway"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    my.stop().await;
    id.withdraw(&reference).await;
    id.stop().await;
    {
        // Every receipt is durable, and nothing has followed from it.
        let vault = id.vault().await;
        let mut batch = eads_store::port::Batch::new();
        for (key, row) in rows(&vault, area::HOLDING).await {
            let holding: eads_service::rows::Holding = eads_service::rows::parse(&row).unwrap();
            let status = if holding.action.describes_subject() { 5 } else { 1 };
            let receipt = eads_service::rows::HoldingReceipt {
                status,
                reason: 0,
                at: id.now(),
                backups_until: eads_domain::clock::Timestamp::default(),
            };
            let holding = eads_service::rows::Holding { receipt: Some(receipt), ..holding };
            eads_service::rows::put(&mut batch, area::HOLDING, &key, &holding).unwrap();
        }
        vault.store().commit(batch).await.unwrap();
        assert!(!rows(&vault, area::OWN_CONTENT).await.is_empty());
    }
    let deadline = tokio::time::Instant::now() + eads_tests::wait::PATIENCE;
    loop {
        id.start().await;
        id.node().purge().await.unwrap();
        id.stop().await;
        if rows(&id.vault().await, area::OWN_CONTENT).await.is_empty() {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the withdrawal stays for ever");
    }
}
