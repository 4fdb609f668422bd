//! Two members whose nodes never connect: everything goes by file, and comes to the same.

use eads_proto::v1;
use eads_tests::content::red;
use eads_tests::house::{House, peer, sound};
use eads_tests::member::Member;
use eads_tests::operator::refused;
use eads_tests::ports;
use futures::TryStreamExt as _;
use tonic::Status;

/// Two members whose cards name endpoints at which nobody listens.
async fn apart<const N: usize>(house: &House, ids: [&str; N]) -> [Member; N] {
    let mut members = Vec::new();
    for id in ids {
        let mut member = Member::create_at(house.path(), id, ports::free(), Some(vec![ports::free()]));
        member.start().await;
        members.push(member);
    }
    for (place, one) in members.iter().enumerate() {
        for other in members.iter().skip(place + 1) {
            peer(one, other).await;
        }
    }
    members.try_into().unwrap_or_else(|_| panic!("as many as were asked for"))
}

async fn export_from(from: &Member, to: &Member, start: Option<(u64, u64)>) -> Result<Vec<u8>, Status> {
    let request = v1::ExportSyncRequest {
        member: to.id.to_string(),
        register_cursor: start.map(|(register, _)| register),
        delivery_cursor: start.map(|(_, delivery)| delivery),
    };
    let chunks = from.operator("admin-1").peering().export_sync(request).await?.into_inner();
    let chunks: Vec<v1::ExportSyncResponse> = chunks.try_collect().await?;
    Ok(chunks.into_iter().flat_map(|message| message.chunk).collect())
}

async fn export(from: &Member, to: &Member) -> Vec<u8> {
    export_from(from, to, None).await.expect("a file")
}

async fn import(at: &Member, file: &[u8]) -> Result<v1::ImportSyncResponse, Status> {
    let chunks: Vec<_> = file.chunks(1000).map(|chunk| v1::ImportSyncRequest { chunk: chunk.to_vec() }).collect();
    let imported = at.operator("admin-1").peering().import_sync(futures::stream::iter(chunks)).await;
    imported.map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_receipts_and_withdrawals_travel_by_file_between_members_that_never_connect() {
    let house = House::new();
    let [id, my] = apart(&house, ["ID", "MY"]).await;
    let mut references = Vec::new();
    for number in 0..20 {
        references.push(id.issue(&red(&format!("posted{number}")), &[&my]).await);
    }
    let (first, second) = (references[0].clone(), references[1].clone());

    let there = export(&id, &my).await;
    let brought = import(&my, &there).await.expect("an import");
    assert_eq!((brought.member.as_str(), brought.leaves, brought.deliveries), ("ID", 20, 20));
    for reference in &references {
        assert_eq!(my.state_of(reference).await, "valid");
    }
    let again = import(&my, &there).await.expect("the same file once more");
    assert_eq!((again.leaves, again.deliveries, again.receipts), (0, 0, 0));
    assert_eq!((again.register_cursor, again.delivery_cursor), (20, 20));

    // Receipts come back in a file of the other direction, and with them where the reader stands.
    let back = import(&id, &export(&my, &id).await).await.expect("receipts");
    assert!(back.receipts >= 20, "{} receipts", back.receipts);
    id.receipted(&references[5], &my, &["issue delivered"]).await;

    id.withdraw(&first).await;
    id.suspend(&second).await;
    let next = export(&id, &my).await;
    assert!(next.len() < there.len() / 2, "{} bytes go on from where the reader stands", next.len());
    let brought = import(&my, &next).await.expect("a withdrawal");
    assert_eq!(brought.leaves, 2);
    assert_eq!(my.state_of(&first).await, "NOTICE_WITHDRAWN");
    assert_eq!(my.state_of(&second).await, "suspended");
    // A file of before brings nothing back, and says that it is old.
    assert_eq!(refused(import(&my, &there).await), "SYNC_FILE_OLD");
    assert_eq!(my.state_of(&first).await, "NOTICE_WITHDRAWN");
    assert_eq!(my.state_of(&second).await, "suspended");

    eads_tests::wait::until("the purge receipt has come by file", || async {
        import(&id, &export(&my, &id).await).await.expect("receipts");
        id.receipts(&first, &my).await == ["issue purged", "withdraw accepted"]
    })
    .await;
    for member in [&id, &my] {
        sound(member).await;
    }
    for (member, operation) in [(&id, "ExportSync"), (&my, "ImportSync"), (&id, "PostReceipts")] {
        assert!(member.audit_entries().await.iter().any(|entry| entry.operation == operation), "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_cut_altered_misdirected_or_ahead_is_refused_by_name_and_harms_nothing() {
    let house = House::new();
    let [id, my, th] = apart(&house, ["ID", "MY", "TH"]).await;
    let mut references = Vec::new();
    for number in 0..40 {
        references.push(id.issue(&red(&format!("carried{number}")), &[&my, &th]).await);
    }
    let file = export(&id, &my).await;

    assert_eq!(refused(import(&th, &file).await), "SYNC_FILE_OTHER_RECEIVER");
    assert_eq!(refused(import(&my, b"something else").await), "SYNC_FILE_MALFORMED");
    let ahead = export_from(&id, &my, Some((30, 30))).await.expect("a file");
    assert_eq!(refused(import(&my, &ahead).await), "SYNC_FILE_GAP");
    assert_eq!(refused(export_from(&id, &my, Some((41, 0))).await), "CURSOR_IN_FUTURE");
    let mut altered = file.clone();
    let last = altered.len() - 100;
    altered[last] ^= 1;
    assert_eq!(refused(import(&my, &altered).await), "SYNC_FILE_ALTERED");
    assert_eq!(refused(import(&my, &file[..file.len() - 70]).await), "SYNC_FILE_TRUNCATED");
    let before = eads_tests::house::peer_status(&my, &id).await.delivery_cursor;
    assert!(before < 40, "the end was missing");

    // What came stays, and the whole file goes on from there.
    let brought = import(&my, &file).await.expect("an import");
    assert_eq!(brought.deliveries, 40 - before);
    assert_eq!((brought.register_cursor, brought.delivery_cursor), (40, 40));
    for reference in &references {
        assert_eq!(my.state_of(reference).await, "valid");
    }
    // Files overlap where they were exported at different times.
    let more = id.issue(&red("carriedlast"), &[&my]).await;
    let brought = import(&my, &export_from(&id, &my, Some((17, 11))).await.expect("a file")).await.expect("an import");
    assert_eq!((brought.leaves, brought.deliveries), (1, 1));
    assert_eq!(my.state_of(&more).await, "valid");
    sound(&my).await;
}
