//! A file system that turns read-only, and one that is when the node starts.

use eads_tests::content::red;
use eads_tests::operator::code;

use crate::load::now;
use crate::pair::{Pair, Said};

const MIB: u64 = 700;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root: mounts a file system and makes it read-only"]
async fn a_file_system_that_turns_read_only_stops_writes_and_loses_nothing() {
    let mut pair = Pair::on_disk(0x20, "ID", MIB).await;
    pair.issue("before").await.unwrap();
    pair.caught_up().await;
    // As the kernel does when the file system finds an error in itself.
    pair.disk().remount("abort");
    let refusal = pair.id.issue(&red("after"), &["MY"], now()).await.expect_err("nothing can be written");
    assert_ne!(code(&refusal), "", "{refusal:?}");
    // Without an audit log nothing is answered, and that is said too.
    let unanswered = pair.id.ask_for("XBEFORE").await.expect_err("nothing can be written down");
    assert_eq!(code(&unanswered), "AUDIT_UNAVAILABLE");
    pair.kill("ID").await;
    pair.disk().unmount();
    pair.disk().mount();
    pair.disk().remount("ro");
    let why = pair.fails_to_start("ID").await;
    assert!(why.contains("error[") && why.to_lowercase().contains("read-only"), "{why}");
    pair.disk().remount("rw");
    pair.start("ID").await;
    pair.caught_up().await;
    pair.holds(&Said::default(), "writable again").await;
    pair.settled().await;
}
