//! The Security Council's list: one notice an entry, one amendment a change, two officers for each, and at every
//! addressee the same list as here.

use eads_proto::v1::{ImportNoticesOptions, ImportNoticesResponse};
use eads_tests::house::{House, peer_status, sound};
use eads_tests::lists::{Listed, assemble, elements, list, options, published};
use eads_tests::member::Member;
use eads_tests::operator::{code, refused};
use eads_tests::wait::until;

/// Of the published list.
const PERSONS: usize = 120;
const ENTITIES: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_entry_of_a_list_becomes_a_notice_at_every_addressee() {
    let house = House::new();
    let [id, my, th] = house.federation(["ID", "MY", "TH"]).await;
    let persons = people(1..=9);
    let found = id.import_list(&list(&persons), options(&[&my, &th])).await.unwrap();
    assert_eq!(outline(&found), Outline { issues: 10, ..Outline::default() });
    assert_eq!((found.persons, found.entities, found.aliases), (9, 1, 9));
    assert!(id.listed("own").await.is_empty(), "nothing is published by an import alone");
    assert_eq!(id.publish_batch(&found.batch).await, 10);
    settled(&id, &[&my, &th]).await;
    for member in [&my, &th] {
        let held = member.listed("held").await;
        assert_eq!(held.len(), 10);
        assert!(held.iter().all(|notice| notice.kind == "un" && notice.state == "valid"));
        // By an alias too, and by its number on the list.
        let hits = member.finds(&format!("Kilat {}", persons[4].family)).await;
        assert!(hits.first().is_some_and(|hit| hit.owner == "ID" && hit.kind == "un"), "{hits:?}");
        sound(member).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_run_of_the_same_list_changes_nothing() {
    let house = House::new();
    let id = house.member("ID").await;
    let text = list(&people(1..=6));
    let first = id.import_list(&text, options(&[])).await.unwrap();
    // While the drafts wait already.
    let waiting = id.import_list(&text, options(&[])).await.unwrap();
    assert_eq!(outline(&waiting), Outline { unchanged: 7, ..Outline::default() });
    assert!(waiting.batch.is_empty());
    assert_eq!(id.publish_batch(&first.batch).await, 7);
    let again = id.import_list(&text, options(&[])).await.unwrap();
    assert_eq!(outline(&again), Outline { unchanged: 7, ..Outline::default() });
    assert!(id.drafts("").await.is_empty());
    // After a restart as well: what was imported is remembered with the notices.
    let mut id = id;
    id.restart().await;
    let later = id.import_list(&text, options(&[])).await.unwrap();
    assert_eq!(outline(&later), Outline { unchanged: 7, ..Outline::default() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_changed_is_amended_and_the_others_are_left_alone() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let mut persons = people(1..=6);
    imported(&id, &[&my], &persons).await;
    let before = persons[2].family.clone();
    persons[2].family = "Changedfamily".to_owned();
    let found = id.import_list(&list(&persons), options(&[&my])).await.unwrap();
    assert_eq!(outline(&found), Outline { amendments: 1, unchanged: 6, ..Outline::default() });
    assert_eq!(id.publish_batch(&found.batch).await, 1);
    settled(&id, &[&my]).await;
    until("MY finds the new name", || async { !my.finds("Changedfamily").await.is_empty() }).await;
    assert!(my.finds(&before).await.iter().all(|hit| !hit.fields.iter().any(|field| field.value == before)));
    let versions: Vec<u32> = my.listed("held").await.iter().map(|notice| notice.version).collect();
    assert_eq!(versions.iter().filter(|version| **version == 2).count(), 1, "{versions:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_that_waits_is_replaced_when_its_entry_changes_again() {
    let house = House::new();
    let id = house.member("ID").await;
    let mut persons = people(1..=3);
    id.import_list(&list(&persons), options(&[])).await.unwrap();
    persons[0].family = "Latestfamily".to_owned();
    let found = id.import_list(&list(&persons), options(&[])).await.unwrap();
    assert_eq!(outline(&found), Outline { issues: 1, unchanged: 3, ..Outline::default() });
    assert_eq!(id.drafts("").await.len(), 4, "one draft an entry, never two");
    id.publish_batch("").await;
    assert_eq!(id.listed("own").await.len(), 4);
    assert_eq!(id.finds("Latestfamily").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_vanished_is_withdrawn_only_when_that_is_asked_for() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let mut persons = people(1..=6);
    imported(&id, &[&my], &persons).await;
    let gone = persons.remove(1);
    let found = id.import_list(&list(&persons), options(&[&my])).await.unwrap();
    assert_eq!(outline(&found), Outline { unchanged: 6, missing: 1, ..Outline::default() });
    assert!(id.drafts("").await.is_empty());
    let withdrawing = ImportNoticesOptions { withdraw_missing: true, ..options(&[&my]) };
    let found = id.import_list(&list(&persons), withdrawing.clone()).await.unwrap();
    assert_eq!(outline(&found), Outline { unchanged: 6, withdrawals: 1, ..Outline::default() });
    // Drafted once, however often the list is imported before the second officer comes.
    let again = id.import_list(&list(&persons), withdrawing.clone()).await.unwrap();
    assert_eq!(outline(&again), Outline { unchanged: 7, ..Outline::default() });
    assert_eq!(id.publish_batch(&found.batch).await, 1);
    until("MY has destroyed it", || async { my.listed("held").await.len() == 6 }).await;
    settled(&id, &[&my]).await;
    assert!(my.finds(&gone.family).await.iter().all(|hit| !hit.fields.iter().any(|field| field.value == gone.family)));
    // Listed again it is a new notice: a withdrawn one is never resurrected.
    persons.push(gone);
    let found = id.import_list(&list(&persons), withdrawing).await.unwrap();
    assert_eq!(outline(&found), Outline { issues: 1, unchanged: 6, ..Outline::default() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_which_much_vanished_withdraws_nothing_unless_it_is_told_to() {
    let house = House::new();
    let id = house.member("ID").await;
    let persons = people(1..=12);
    imported(&id, &[], &persons).await;
    let half = list(&persons[..6]);
    let withdrawing = ImportNoticesOptions { withdraw_missing: true, ..options(&[]) };
    assert_eq!(refused(id.import_list(&half, withdrawing.clone()).await), "MASS_WITHDRAWAL_GUARD");
    assert!(id.drafts("").await.is_empty(), "refused means that nothing was drafted");
    let overriding = ImportNoticesOptions { override_guard: true, ..withdrawing };
    let counted = ImportNoticesOptions { dry_run: true, ..overriding.clone() };
    let found = id.import_list(&half, counted).await.unwrap();
    assert_eq!(outline(&found), Outline { unchanged: 7, withdrawals: 6, ..Outline::default() });
    assert!(id.drafts("").await.is_empty(), "counted only");
    let found = id.import_list(&half, overriding).await.unwrap();
    assert_eq!(id.drafts(&found.batch).await.len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_not_the_whole_list_changes_nothing() {
    let house = House::new();
    let id = house.member("ID").await;
    let whole = list(&people(1..=6));
    let withdrawing = || ImportNoticesOptions { withdraw_missing: true, override_guard: true, ..options(&[]) };
    imported(&id, &[], &people(1..=6)).await;
    let cut = &whole[..whole.len() / 2];
    let answer = id.import_list(cut, withdrawing()).await.unwrap_err();
    assert!(code(&answer).starts_with("XML_"), "{answer:?}");
    let another = whole.replace("CONSOLIDATED_LIST", "OTHER_LIST");
    assert_eq!(refused(id.import_list(&another, withdrawing()).await), "UN_LIST_ROOT");
    let bomb = whole.replacen('\n', "\n<!DOCTYPE a [<!ENTITY b \"c\">]>\n", 1);
    let answer = id.import_list(&bomb, withdrawing()).await.unwrap_err();
    assert!(code(&answer).starts_with("XML_"), "{answer:?}");
    assert!(id.drafts("").await.is_empty());
    assert_eq!(id.listed("own").await.len(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_cannot_be_used_is_named_and_the_others_are_imported() {
    let house = House::new();
    let id = house.member("ID").await;
    let text = list(&people(1..=3)).replace("<DATAID>2</DATAID>", "<DATAID>two</DATAID>");
    let found = id.import_list(&text, options(&[])).await.unwrap();
    assert_eq!(outline(&found), Outline { issues: 3, rejected: 1, ..Outline::default() });
    let rejected = &found.rejected[0];
    assert_eq!((rejected.line, rejected.key.as_str(), rejected.code.as_str()), (4, "EXi.002", "UN_DATA_ID_INVALID"));
    assert_eq!(id.drafts(&found.batch).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_for_a_member_that_is_no_peer_is_refused_before_anything_is_drafted() {
    let house = House::new();
    let (id, my) = (house.member("ID").await, house.member("MY").await);
    let code = refused(id.import_list(&list(&people(1..=3)), options(&[&my])).await);
    assert!(code.starts_with("AUDIENCE_"), "{code}");
    assert!(id.drafts("").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_published_list_goes_through_a_federation_and_back_out_of_it() {
    let Some(file) = published() else {
        println!("skipped: no copy of the consolidated list (set EADS_UN_LIST)");
        return;
    };
    let house = House::new();
    let [id, my, th] = house.federation(["ID", "MY", "TH"]).await;
    let (mut persons, mut entities) = (elements(&file, "INDIVIDUAL"), elements(&file, "ENTITY"));
    persons.truncate(PERSONS);
    entities.truncate(ENTITIES);
    let whole = assemble(&persons, &entities);
    let count = (PERSONS + ENTITIES) as u64;
    let withdrawing = || ImportNoticesOptions { withdraw_missing: true, ..options(&[&my, &th]) };

    let found = id.import_list(&whole, withdrawing()).await.unwrap();
    assert_eq!(outline(&found), Outline { issues: count, ..Outline::default() });
    assert_eq!((found.persons, found.entities), (PERSONS as u64, ENTITIES as u64));
    assert_eq!(id.publish_batch(&found.batch).await as u64, count);
    settled(&id, &[&my, &th]).await;
    let again = id.import_list(&whole, withdrawing()).await.unwrap();
    assert_eq!(outline(&again), Outline { unchanged: count, ..Outline::default() });

    let first_name = elements(persons[7], "FIRST_NAME")[0];
    let changed = persons[7].replacen(first_name, "<FIRST_NAME>Changedgiven</FIRST_NAME>", 1);
    persons[7] = &changed;
    persons.truncate(PERSONS - 3);
    let found = id.import_list(&assemble(&persons, &entities), withdrawing()).await.unwrap();
    let expected = Outline { amendments: 1, withdrawals: 3, unchanged: count - 4, ..Outline::default() };
    assert_eq!(outline(&found), expected);
    assert_eq!(id.publish_batch(&found.batch).await, 4);
    settled(&id, &[&my, &th]).await;
    for member in [&my, &th] {
        assert_eq!(member.listed("held").await.len() as u64, count - 3);
        sound(member).await;
    }
    sound(&id).await;
    // A truncated download must not empty the list at everybody.
    persons.truncate(PERSONS / 2);
    let torn = assemble(&persons, &entities);
    assert_eq!(refused(id.import_list(&torn, withdrawing()).await), "MASS_WITHDRAWAL_GUARD");
}

/// What a run found and drafted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outline {
    issues: u64,
    amendments: u64,
    withdrawals: u64,
    unchanged: u64,
    missing: u64,
    rejected: usize,
}

fn outline(found: &ImportNoticesResponse) -> Outline {
    Outline {
        issues: found.issues,
        amendments: found.amendments,
        withdrawals: found.withdrawals,
        unchanged: found.unchanged,
        missing: found.missing,
        rejected: found.rejected.len(),
    }
}

fn people(numbers: impl IntoIterator<Item = u32>) -> Vec<Listed> {
    numbers.into_iter().map(Listed::new).collect()
}

/// A list that is issued, and held by everybody it is addressed to.
async fn imported(member: &Member, audience: &[&Member], persons: &[Listed]) {
    let found = member.import_list(&list(persons), options(audience)).await.unwrap();
    assert_eq!(member.publish_batch(&found.batch).await, persons.len() + 1);
    settled(member, audience).await;
}

/// Waits until nobody owes a receipt.
async fn settled(member: &Member, peers: &[&Member]) {
    for peer in peers {
        until(&format!("{} has receipted everything", peer.id), || async {
            peer_status(member, peer).await.awaiting_receipt == 0
        })
        .await;
    }
}
