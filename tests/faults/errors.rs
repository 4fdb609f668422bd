//! System calls that fail under a working node: nobody is told that something is done which is not, refusals have
//! codes, and the next start finds everything that was acknowledged.

use std::time::Duration;

use eads_tests::content::red;
use eads_tests::operator::code;
use eads_tests::strace::{Failing, Fault};
use tonic::{Code, Status};

use crate::load::{Fate, now, patient};
use crate::pair::Pair;

/// How long calls go on failing once the first has.
const FOR: Duration = Duration::from_millis(150);
/// Below the directory of the node; empty is everything.
type Part = &'static str;

const fn fault(calls: &'static str, error: &'static str, when: &'static str) -> Fault {
    Fault { calls, error, when }
}

const CASES: [(Part, Fault); 12] = [
    ("journal", fault("fdatasync", "EIO", "1+")),
    ("journal", fault("fdatasync", "ENOSPC", "2+3")),
    ("journal", fault("pwrite64", "EIO", "1+")),
    ("journal", fault("pwrite64", "ENOSPC", "2+2")),
    ("audit", fault("fdatasync", "EIO", "2+2")),
    ("audit", fault("pwrite64", "ENOSPC", "1+")),
    ("view", fault("pwrite64,write,pwritev", "ENOSPC", "1+")),
    ("view", fault("sync_file_range,fsync,fdatasync", "EIO", "1+")),
    ("keys", fault("fsync,fdatasync", "EIO", "1+")),
    ("keys", fault("pwrite64,write", "ENOSPC", "1+")),
    ("", fault("rename,renameat,renameat2,unlink,unlinkat", "EIO", "1+")),
    ("", fault("openat", "EMFILE", "1+")),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root: traces a process to let its calls fail"]
async fn a_disk_that_fails_under_an_owner_makes_it_neither_lie_nor_forget() {
    failing("ID", 0xe10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root: traces a process to let its calls fail"]
async fn a_disk_that_fails_under_a_holder_makes_it_neither_lie_nor_forget() {
    failing("MY", 0xe11).await;
}

async fn failing(id: &str, seed: u64) {
    let mut pair = Pair::new(seed).await;
    for (round, (part, fault)) in (0..).zip(CASES) {
        let place = format!("{}, {fault:?} in {part:?} of {id}", pair.place(round));
        pair.caught_up().await;
        let load = pair.work(round).await;
        let node = pair.node(id);
        let (process, dir) = (node.process_id().expect("it runs"), node.dir().to_path_buf());
        let log = dir.with_extension(format!("{round}.strace"));
        let part = (!part.is_empty()).then(|| dir.join(part));
        let failing = Failing::begin(process, fault, part.as_deref(), log).await;
        failing.hit(&place).await;
        tokio::time::sleep(FOR).await;
        drop(failing);
        let (issued, ends) = load.end(&mut pair.ledger).await;
        for end in &ends {
            assert!(has_code(end), "{place}: a refusal without a code: {end:?}");
        }
        // It either goes on, or says by a code why not.
        let content = red("goeson");
        match patient(|| pair.id.issue(&content, &[], now())).await {
            Ok(reference) => drop(pair.ledger.notices.insert(reference, Fate::InForce)),
            Err(status) => assert!(has_code(&status), "{place}: {status:?}"),
        }
        let before = if id == "MY" { Some(pair.said(&issued).await) } else { None };
        pair.stop(id).await;
        pair.start(id).await;
        let said = match before {
            Some(said) => said,
            None => pair.said(&issued).await,
        };
        pair.holds(&said, &place).await;
    }
    pair.settled().await;
}

/// Every refusal of a living node says by a code what it is.
fn has_code(status: &Status) -> bool {
    !code(status).is_empty() || status.code() == Code::Unavailable
}
