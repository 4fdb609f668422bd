//! Photographs from the officer's file to every peer that may see them, and to their end.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eads_cli::demo::federation::{Federation, Participant, Terms as PlainTerms};
use eads_domain::clock::{Clock as _, SystemClock};
use eads_domain::encode::sha256;
use eads_domain::id::MemberId;
use eads_domain::slot::Fields as _;
use eads_domain::value::BlobRef;
use eads_proto::v1;
use eads_proto::v1::peer_service_client::PeerServiceClient;
use eads_service::area;
use eads_service::rows::{self, BlobKey, HeldBlobs, OwnVersion};
use eads_store::blobs::BlobStore;
use eads_store::port::Scan;
use eads_store::vault::Vault;
use eads_tests::content::{Terms, red};
use eads_tests::hostile::{Hostile, Session};
use eads_tests::house::{House, accept, alarmed, connected, sound, status};
use eads_tests::member::Member;
use eads_tests::operator::{code, refused};
use eads_tests::photos::{BESIDE, draft_with, images, jpeg, picture, png, tagged};
use eads_tests::process::Officers;
use eads_tests::traces::{Needles, files};
use eads_tests::wait::until;

use crate::programs::programs;

/// Drafts, approves and issues a notice with photographs.
async fn issue(by: &Member, tag: &str, blobs: &[BlobRef], audience: &[&str]) -> String {
    let request = draft_with(&red(tag), blobs, audience, by.now().as_unix());
    let drafted = by.operator("issuer").notices().create_draft(request).await.expect("a draft").into_inner();
    by.publish(&drafted.draft_id).await.expect("an issue").reference
}

/// The files under a node's `blobs`.
fn sealed(dir: &Path) -> Vec<PathBuf> {
    let mut all = files(&dir.join("blobs"));
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_photograph_reaches_those_who_may_see_it_without_what_stood_beside_it() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let th = house.member("TH").await;
    accept(&id, &th, &Terms { withhold: vec!["images"], ..Terms::default() }).await;
    accept(&th, &id, &Terms::default()).await;
    connected(&th, 1).await;

    let file = tagged(&jpeg(&picture(700, 500, 7)));
    let issuer = id.operator("issuer");
    let blob = issuer.upload(&file).await.unwrap();
    let reference = issue(&id, "pictured", &[blob], &["MY", "TH"]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    id.receipted(&reference, &th, &["issue accepted"]).await;
    my.has_photos(&reference, 1).await;

    let (media, shown) = id.operator("officer").photo(&reference, 1, false).await.unwrap();
    assert_eq!((media.as_str(), sha256(&shown), shown.len()), ("image/jpeg", blob.sha256, blob.len as usize));
    let (_, received) = my.operator("officer").photo(&reference, 1, false).await.unwrap();
    assert!(received == shown, "the peer shows other bytes than the owner");
    for secret in BESIDE.map(str::as_bytes).into_iter().chain([b"Exif".as_slice()]) {
        assert!(file.windows(secret.len()).any(|window| window == secret));
        assert!(!received.windows(secret.len()).any(|window| window == secret));
    }
    let (media, small) = my.operator("officer").photo(&reference, 1, true).await.unwrap();
    let small = image::load_from_memory(&small).unwrap();
    assert_eq!((media.as_str(), small.width(), small.height()), ("image/jpeg", 256, 183));
    assert_eq!(refused(my.operator("officer").photo(&reference, 2, false).await), "PHOTO_NONE");

    // Whom the agreement withholds it from learns nothing of it, not even by asking.
    assert_eq!(th.photos_of(&reference).await, []);
    assert_eq!(refused(th.operator("officer").photo(&reference, 1, false).await), "PHOTO_NONE");
    assert!(sealed(th.dir()).is_empty());
    for member in [&id, &my, &th] {
        sound(member).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_photograph_of_two_mebibytes_is_refused_and_leaves_nothing() {
    let house = House::new();
    let id = house.member("ID").await;
    let issuer = id.operator("issuer");
    let good = jpeg(&picture(300, 200, 1));
    let mut long = good.clone();
    long.resize(3 << 20, 0);
    let bomb = png(&image::DynamicImage::new_luma8(9_999, 9_999));
    assert!(bomb.len() < 1 << 20, "a bomb is small: {}", bomb.len());
    for (file, expected) in [
        (b"This is a text.\n".to_vec(), "PHOTO_FORMAT"),
        (Vec::new(), "PHOTO_FORMAT"),
        (good[..good.len() / 2].to_vec(), "PHOTO_DAMAGED"),
        (long, "PHOTO_TOO_LARGE"),
        (bomb, "PHOTO_DIMENSIONS"),
    ] {
        assert_eq!(refused(issuer.upload(&file).await), expected);
    }
    assert_eq!(refused(id.operator("officer").upload(&good).await), "ROLE_REQUIRED");
    assert!(sealed(id.dir()).is_empty());
    issuer.upload(&good).await.unwrap();
    assert_eq!(sealed(id.dir()).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_names_its_own_officers_uploads_and_nobody_elses() {
    let house = House::new();
    let id = house.member("ID").await;
    let (issuer, other) = (id.operator("issuer"), id.hire("second", &["issuer"]).await);
    let blob = other.upload(&jpeg(&picture(80, 60, 2))).await.unwrap();
    let draft = |blobs: Vec<BlobRef>| {
        let request = draft_with(&red("named"), &blobs, &[], id.now().as_unix());
        let issuer = issuer.clone();
        async move { issuer.notices().create_draft(request).await.map(tonic::Response::into_inner) }
    };
    assert_eq!(refused(draft(vec![blob]).await), "PHOTO_UNKNOWN");
    assert_eq!(refused(draft(vec![BlobRef { id: [9; 16], ..blob }]).await), "PHOTO_UNKNOWN");
    let own = issuer.upload(&jpeg(&picture(80, 60, 3))).await.unwrap();
    assert_eq!(refused(draft(vec![BlobRef { sha256: blob.sha256, ..own }]).await), "PHOTO_UNKNOWN");
    let many: Vec<BlobRef> = (0..9).map(|n| BlobRef { id: [n; 16], ..own }).collect();
    assert_eq!(refused(draft(many).await), "FIELD_FORM");
    let drafted = draft(vec![own]).await.unwrap();
    // Taken once, it is no longer there for another draft.
    assert_eq!(refused(draft(vec![own]).await), "PHOTO_UNKNOWN");

    // The approver looks at what the approval covers; an officer who reads no drafts does not.
    let (_, shown) = id.operator("approver").photo(&drafted.draft_id, 1, false).await.unwrap();
    assert_eq!(sha256(&shown), own.sha256);
    let (_, same) = id.operator("approver").photo(&drafted.reference, 1, false).await.unwrap();
    assert_eq!(same, shown);
    assert_eq!(refused(id.operator("officer").photo(&drafted.draft_id, 1, false).await), "ROLE_REQUIRED");
    assert_eq!(refused(id.operator("officer").photo(&drafted.reference, 1, false).await), "NOTICE_UNKNOWN");

    // With the draft goes its photograph; what nobody names goes after a day.
    assert_eq!(sealed(id.dir()).len(), 2);
    issuer.notices().discard_draft(v1::DiscardDraftRequest { draft_id: drafted.draft_id }).await.unwrap();
    until("the photograph of the draft is gone", || async { sealed(id.dir()).len() == 1 }).await;
    id.clock.advance(86_399);
    id.node().expire().await.unwrap();
    assert_eq!(sealed(id.dir()).len(), 1);
    id.clock.advance(2);
    until("the photograph that nobody names is gone", || async { sealed(id.dir()).is_empty() }).await;
    assert_eq!(refused(draft(vec![blob]).await), "PHOTO_UNKNOWN");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_amendment_keeps_a_photograph_under_a_new_id_and_the_holder_drops_the_old_one() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let issuer = id.operator("issuer");
    let first = issuer.upload(&jpeg(&picture(400, 300, 4))).await.unwrap();
    let reference = issue(&id, "amended", &[first], &["MY"]).await;
    my.has_photos(&reference, 1).await;
    let second = issuer.upload(&png(&picture(90, 70, 5))).await.unwrap();
    let mut request = draft_with(&red("amended"), &[second, first], &["MY"], id.now().as_unix());
    (request.action, request.reference) = ("amend".to_owned(), reference.clone());
    let drafted = issuer.notices().create_draft(request).await.unwrap().into_inner();
    id.publish(&drafted.draft_id).await.unwrap();
    id.receipted(&reference, &my, &["issue purged", "amend accepted"]).await;
    my.has_photos(&reference, 2).await;
    let (media, png) = my.operator("officer").photo(&reference, 1, false).await.unwrap();
    let (_, kept) = my.operator("officer").photo(&reference, 2, false).await.unwrap();
    assert_eq!((media.as_str(), sha256(&png), sha256(&kept)), ("image/png", second.sha256, first.sha256));
    let shown = id.notice(&reference).await.unwrap().photos;
    assert_ne!(shown[1].id, first.id, "an id that two versions share links them");
    assert_eq!((sealed(my.dir()).len(), sealed(id.dir()).len()), (2, 3));
    // Its own photograph is named by an amendment; one of another notice is not.
    let another = draft_with(&red("another"), &[second], &[], id.now().as_unix());
    assert_eq!(refused(issuer.notices().create_draft(another).await), "PHOTO_UNKNOWN");

    // Who is no longer addressed destroys all of it.
    let mut request = draft_with(&red("amended"), &[], &[], id.now().as_unix());
    request.values.retain(|value| value.slot != images(&[]).slot);
    (request.action, request.reference) = ("amend".to_owned(), reference.clone());
    let drafted = issuer.notices().create_draft(request).await.unwrap().into_inner();
    id.publish(&drafted.draft_id).await.unwrap();
    until("the holder has destroyed its photographs", || async { sealed(my.dir()).is_empty() }).await;
    sound(&my).await;
}

/// Own and held sealed files by their rows.
async fn rows_of(vault: &Vault) -> Vec<BlobKey> {
    let scan = |area| vault.store().scan(Scan::new(area, 4096));
    let own = scan(area::OWN_VERSION).await.unwrap();
    let held = scan(area::HELD_BLOBS).await.unwrap();
    let own = own.iter().flat_map(|(_, row)| rows::parse::<OwnVersion>(row).unwrap().blobs);
    own.chain(held.iter().flat_map(|(_, row)| rows::parse::<HeldBlobs>(row).unwrap().blobs)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawal_destroys_files_and_keys_at_both_ends() {
    let house = House::new();
    let [mut id, mut my] = house.federation(["ID", "MY"]).await;
    let issuer = id.operator("issuer");
    let blob = issuer.upload(&jpeg(&picture(900, 600, 6))).await.unwrap();
    let reference = issue(&id, "ended", &[blob], &["MY"]).await;
    my.has_photos(&reference, 1).await;
    let (_, plain) = my.operator("officer").photo(&reference, 1, false).await.unwrap();
    let needles: Vec<Vec<u8>> = plain.chunks_exact(4096).map(|chunk| chunk[..48].to_vec()).collect();
    assert!(needles.len() > 10);
    let needles = Needles::new(&needles);
    id.stop().await;
    my.stop().await;
    let mut copies = Vec::new();
    for member in [&id, &my] {
        let keys = rows_of(&member.vault().await).await;
        let file = sealed(member.dir());
        assert_eq!((keys.len(), file.len()), (1, 1));
        copies.push((keys[0], file[0].clone(), std::fs::read(&file[0]).unwrap()));
        assert_eq!(needles.found_in(member.dir()), Vec::<String>::new());
    }
    id.start().await;
    my.start().await;
    id.withdraw(&reference).await;
    id.receipted(&reference, &my, &["issue purged", "withdraw accepted"]).await;
    // The receipt says that it is gone, and then it is.
    assert!(sealed(my.dir()).is_empty());
    until("the owner's own is gone", || async { sealed(id.dir()).is_empty() }).await;
    assert_eq!(code(&my.operator("officer").photo(&reference, 1, false).await.unwrap_err()), "NOTICE_WITHDRAWN");
    id.stop().await;
    my.stop().await;
    for (member, (key, path, copy)) in [&id, &my].into_iter().zip(copies) {
        assert_eq!(needles.found_in(member.dir()), Vec::<String>::new());
        let vault = member.vault().await;
        assert!(rows_of(&vault).await.is_empty());
        assert!(vault.store().scan(Scan::new(area::BLOB, 9)).await.unwrap().is_empty());
        // A copy of the file, as a thief could have made it, opens no more.
        std::fs::write(path, copy).unwrap();
        let blobs = BlobStore::open(member.dir(), Arc::clone(vault.keys())).unwrap();
        assert_eq!(blobs.read(&key.name(), blob.len, 0..blob.len).unwrap(), None);
    }
    // A file that no row names is removed at the next start.
    id.start().await;
    assert!(sealed(id.dir()).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_killed_in_the_middle_goes_on_where_it_was() {
    let house = tempfile::tempdir().unwrap();
    let member = |id: &str| id.parse::<MemberId>().unwrap();
    let participants = ["ID", "MY"].map(|id| Participant { member: member(id), name: id.to_owned() });
    let mut federation =
        Federation::create(&programs(), &house.path().join("federation"), &participants).await.unwrap();
    federation.start().await.unwrap();
    federation.peer_all(|_, _| PlainTerms::default()).await.unwrap();
    federation.connected().await.unwrap();
    let [id, my] = ["ID", "MY"].map(|id| Officers::of(federation.node(member(id)).unwrap()));
    let dir = federation.node(member("MY")).unwrap().dir().to_owned();
    let mut blobs = Vec::new();
    for seed in 0..8 {
        // Noise, so that each takes most of what is allowed.
        blobs.push(id.issuer.upload(&jpeg(&picture(1900, 1400, 0x9000 + seed))).await.unwrap());
    }
    let total: u64 = blobs.iter().map(|blob| u64::from(blob.len)).sum();
    assert!(total > 4 << 20, "long enough to be interrupted: {total}");
    let on_disk = || sealed(&dir).iter().map(|file| std::fs::metadata(file).map_or(0, |meta| meta.len())).sum::<u64>();
    let request = draft_with(&red("interrupted"), &blobs, &["MY"], SystemClock.now().as_unix());
    let drafted = id.issuer.notices().create_draft(request).await.unwrap().into_inner();
    id.approver.approve(&drafted.draft_id).await.unwrap();
    let request = v1::IssueDraftRequest { draft_id: drafted.draft_id };
    let reference = id.issuer.notices().issue_draft(request).await.unwrap().into_inner().reference;

    let mut interrupted = 0;
    for share in [8, 3, 2] {
        until("some of it is there", || async { on_disk() > total / share }).await;
        federation.node_mut(member("MY")).unwrap().kill().await.unwrap();
        let before = on_disk();
        // Nobody to fetch from: what is shown is what survived.
        federation.node_mut(member("ID")).unwrap().kill().await.unwrap();
        federation.node_mut(member("MY")).unwrap().start().await.unwrap();
        let held = |officers: Officers, reference: String| async move {
            let request = v1::GetNoticeRequest { reference };
            let photos = officers.issuer.notices().get_notice(request).await.unwrap().into_inner().photos;
            photos.iter().map(|photo| u64::from(photo.held)).sum::<u64>()
        };
        let survived = held(my.clone(), reference.clone()).await;
        assert!(survived + 8 * 70_000 > before, "{survived} of {before} survived");
        if survived < total {
            interrupted += 1;
        }
        federation.node_mut(member("ID")).unwrap().start().await.unwrap();
    }
    assert!(interrupted > 0, "it was over before it could be interrupted");
    until("all of it is there", || async {
        let request = v1::GetNoticeRequest { reference: reference.clone() };
        let found = my.issuer.notices().get_notice(request).await.unwrap().into_inner();
        found.photos.len() == 8 && found.photos.iter().all(|photo| photo.held == photo.len)
    })
    .await;
    for (number, blob) in (1..).zip(&blobs) {
        let (_, bytes) = my.issuer.photo(&reference, number, false).await.unwrap();
        assert_eq!(sha256(&bytes), blob.sha256);
    }
    assert_eq!(sealed(&dir).len(), 8);
    id.withdraw(&reference).await.unwrap();
    until("it is destroyed", || async { sealed(&dir).is_empty() }).await;
    assert!(my.unsound().await.is_empty());
}

/// A statement of a hostile peer that names `file`, its reference, and the batch that delivers both.
fn announced(id: &mut Hostile, tag: &str, file: &[u8]) -> (String, v1::SyncResponse) {
    let (name, sum, len) = (hex::encode([7; 16]), sha256(file), file.len());
    let image = format!("{{ id = \"{name}\", sha256 = \"{sum}\", len = {len}, media = \"image/jpeg\" }}");
    let index = id.issue(&format!("{}images = [{image}]\n", red(tag)));
    let content = id.entries[index].committed.as_ref().unwrap().content();
    let reference = content.reference().unwrap().to_string();
    let mut batch = id.batch(0, id.tree.size());
    batch.deliveries.push(v1::Delivery {
        sequence: batch.deliveries.len() as u64,
        kind: v1::DeliveryKind::Blob.into(),
        index: index as u64,
        slot: 13,
        ..v1::Delivery::default()
    });
    (reference, batch)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_serves_another_picture_raises_an_alarm_and_nothing_of_it_is_shown() {
    let house = House::new();
    let my = house.member("MY").await;
    let mut id = Hostile::accepted_by(&my, &house, "ID").await;
    let good = jpeg(&picture(600, 400, 8));
    let mut other = good.clone();
    other[good.len() / 2] ^= 1;
    let (reference, batch) = announced(&mut id, "swapped", &good);
    id.script.serve_file(other);
    id.script.next(Session::Batches(vec![batch]));
    alarmed(&my, "BLOB_WRONG").await;
    assert_eq!(my.photos_of(&reference).await, [(0, u32::try_from(good.len()).unwrap())]);
    assert_eq!(refused(my.operator("officer").photo(&reference, 1, false).await), "PHOTO_INCOMPLETE");
    assert!(sealed(my.dir()).is_empty());
    // Half of it, again and again, is no photograph either; what came of it is kept for the next attempt.
    id.script.serve_file(good[..good.len() / 2].to_vec());
    my.clock.advance(61);
    alarmed(&my, "BLOB_EMPTY_ANSWER").await;
    assert_eq!(refused(my.operator("officer").photo(&reference, 1, false).await), "PHOTO_INCOMPLETE");
    id.script.serve_file(good.clone());
    my.clock.advance(121);
    my.has_photos(&reference, 1).await;
    let (_, shown) = my.operator("officer").photo(&reference, 1, false).await.unwrap();
    assert!(shown == good);
    until("the alarm is over", || async { !status(&my).await.alarms.iter().any(|alarm| alarm.contains("BLOB:")) })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_is_served_what_it_may_hold_and_only_as_long_as_it_may() {
    let house = House::new();
    let my = house.member("MY").await;
    let id = Hostile::accepted_by(&my, &house, "ID").await;
    let issuer = my.operator("issuer");
    let mut ours = Vec::new();
    for (seed, audience) in [(1, ["ID"].as_slice()), (2, &[])] {
        let blob = issuer.upload(&jpeg(&picture(500, 400, 0x70 + seed))).await.unwrap();
        let reference = issue(&my, &format!("asked{seed}"), &[blob], audience).await;
        let digest = my.notice(&reference).await.unwrap().digest;
        ours.push((reference, blob, digest));
    }
    let mut client = PeerServiceClient::new(id.dial(&my).await.channel());
    let ask = |blob: &BlobRef, digest: &[u8]| v1::FetchBlobRequest {
        digest: digest.to_vec(),
        slot: 13,
        id: blob.id.to_vec(),
        offset: 0,
        window: 0,
    };
    let mut fetched = async |request: v1::FetchBlobRequest| -> Result<Vec<u8>, tonic::Status> {
        let mut stream = client.fetch_blob(request).await?.into_inner();
        let mut bytes = Vec::new();
        while let Some(message) = stream.message().await? {
            assert!(message.chunk.len() <= 16 * 1024);
            bytes.extend(message.chunk);
        }
        Ok(bytes)
    };
    let [(reference, blob, digest), (_, hidden, unaddressed)] = ours.as_slice() else { panic!("two") };
    let whole = fetched(ask(blob, digest)).await.unwrap();
    assert_eq!(sha256(&whole), blob.sha256);
    // From any byte on, and no more than was asked for.
    let part = fetched(v1::FetchBlobRequest { offset: 12_345, window: 20_001, ..ask(blob, digest) }).await.unwrap();
    assert_eq!(part, whole[12_345..12_345 + 20_001]);
    let end = v1::FetchBlobRequest { offset: u64::from(blob.len), ..ask(blob, digest) };
    assert_eq!(fetched(end).await.unwrap(), Vec::<u8>::new());
    let behind = v1::FetchBlobRequest { offset: u64::from(blob.len) + 1, ..ask(blob, digest) };
    assert_eq!(refused(fetched(behind).await), "BLOB_OFFSET");
    for request in [
        ask(hidden, unaddressed),
        ask(hidden, digest),
        ask(blob, unaddressed),
        ask(blob, blob.sha256.as_bytes()),
        v1::FetchBlobRequest { slot: 12, ..ask(blob, digest) },
    ] {
        assert_eq!(refused(fetched(request).await), "BLOB_UNKNOWN");
    }
    my.withdraw(reference).await;
    assert_eq!(refused(fetched(ask(blob, digest)).await), "BLOB_UNKNOWN");
}
