//! What officers do while a node is being disturbed, and what they were told of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use eads_domain::clock::{Clock as _, SystemClock};
use eads_tests::content::{passport, red};
use eads_tests::operator::code;
use eads_tests::process::Officers;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// Notices are issued by so many at a time, so that an append is always under way.
pub(crate) const ISSUERS: u64 = 2;
/// Records of one import.
const RECORDS: u64 = 30;
/// How long the first acknowledgement of a round may take.
const BEGINS_WITHIN: Duration = Duration::from_secs(30);
/// Codes that say "not yet", and nothing else: an officer tries again.
const NOT_YET: [&str; 2] = ["SEQUENCING_WAITS", "RECOVERY_PENDING"];
const PAUSE: Duration = Duration::from_millis(10);

type Sender = mpsc::UnboundedSender<Told>;

/// Something that a node has said to be done, or an officer has asked for.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// Indonesia has issued it.
    Issued(String),
    /// Its withdrawal was asked for.
    Withdrawing(String),
    /// It is withdrawn.
    Withdrawn(String),
    /// These members have answered a question of this request.
    Answered(Vec<u8>, Vec<String>),
    /// A run of records is imported: the number of the run.
    Imported(u64),
}

/// What is known of an own notice of Indonesia.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    InForce,
    Suspended,
    /// Nobody knows whether the withdrawal was done.
    Withdrawing,
    Withdrawn,
}

/// Everything that was acknowledged, kept outside of the nodes.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) notices: BTreeMap<String, Fate>,
    /// Requests that each member must have written down with their end; those that were looked for are taken out.
    pub(crate) answered: BTreeMap<String, BTreeSet<Vec<u8>>>,
    pub(crate) imported: BTreeSet<u64>,
    /// Runs that were begun: some of their records may be there.
    pub(crate) runs: u64,
}

impl Ledger {
    fn note(&mut self, told: Told) {
        match told {
            Told::Issued(reference) => {
                self.notices.insert(reference, Fate::InForce);
            }
            Told::Withdrawing(reference) => {
                self.notices.insert(reference, Fate::Withdrawing);
            }
            Told::Withdrawn(reference) => {
                self.notices.insert(reference, Fate::Withdrawn);
            }
            Told::Answered(request, members) => {
                for member in members {
                    self.answered.entry(member).or_default().insert(request.clone());
                }
            }
            Told::Imported(run) => {
                self.imported.insert(run);
            }
        }
    }

    /// Records that must be there.
    pub(crate) fn records(&self) -> u64 {
        self.imported.len() as u64 * RECORDS
    }
}

/// Officers at work; each goes on until a call fails, or until it is told to stop, and then to the end of its call.
pub(crate) struct Load {
    tasks: Vec<JoinHandle<Status>>,
    told: mpsc::UnboundedReceiver<Told>,
    stop: CancellationToken,
    /// References acknowledged in this round.
    pub(crate) issued: Vec<String>,
}

impl Load {
    /// Indonesia issues to Malaysia, withdraws and imports; Malaysia asks Indonesia.
    pub(crate) fn begin(id: &Officers, my: &Officers, round: u64, ledger: &mut Ledger) -> Self {
        let (sender, told) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let mut tasks = Vec::new();
        for issuer in 0..ISSUERS {
            let (id, to, stop) = (id.clone(), sender.clone(), stop.clone());
            tasks.push(tokio::spawn(async move { issue(&id, round, issuer, &to, &stop).await }));
        }
        let run = ledger.runs;
        // More than one import is never begun after the last that was counted.
        ledger.runs += 1_000;
        let (importer, to, end) = (id.clone(), sender.clone(), stop.clone());
        tasks.push(tokio::spawn(async move { import(&importer, run, &to, &end).await }));
        let (asker, end) = (my.clone(), stop.clone());
        tasks.push(tokio::spawn(async move { ask(&asker, &sender, &end).await }));
        Self { tasks, told, stop, issued: Vec::new() }
    }

    /// Waits until a notice is issued: then everything is under way.
    pub(crate) async fn begun(&mut self, ledger: &mut Ledger) {
        let first = async {
            while self.issued.is_empty() {
                match self.told.recv().await {
                    Some(told) => self.take(told, ledger),
                    None => return false,
                }
            }
            true
        };
        if !tokio::time::timeout(BEGINS_WITHIN, first).await.expect("a notice in time") {
            panic!("nothing was issued: {:?}", self.ends().await);
        }
    }

    /// Waits until every call has come to its end, and writes down what was acknowledged. Returns how they failed.
    pub(crate) async fn end(mut self, ledger: &mut Ledger) -> (Vec<String>, Vec<Status>) {
        let ends = self.ends().await;
        while let Ok(told) = self.told.try_recv() {
            self.take(told, ledger);
        }
        (std::mem::take(&mut self.issued), ends)
    }

    fn take(&mut self, told: Told, ledger: &mut Ledger) {
        if let Told::Issued(reference) = &told {
            self.issued.push(reference.clone());
        }
        ledger.note(told);
    }

    async fn ends(&mut self) -> Vec<Status> {
        self.stop.cancel();
        let ends = futures::future::join_all(self.tasks.drain(..)).await;
        ends.into_iter().map(|end| end.expect("no panic")).filter(|end| end.code() != tonic::Code::Ok).collect()
    }
}

async fn issue(id: &Officers, round: u64, issuer: u64, told: &Sender, stop: &CancellationToken) -> Status {
    let mut last: Option<String> = None;
    for number in 0.. {
        if stop.is_cancelled() {
            break;
        }
        let content = red(&tag(round, issuer, number));
        let reference = match patient(|| id.issue(&content, &["MY"], now())).await {
            Ok(reference) => reference,
            Err(status) => return status,
        };
        let _ = told.send(Told::Issued(reference.clone()));
        // Every other one is withdrawn after the next was issued: by then it is on its way.
        if number % 2 == 1
            && let Some(ended) = last.take()
        {
            let _ = told.send(Told::Withdrawing(ended.clone()));
            if let Err(status) = patient(|| id.withdraw(&ended)).await {
                return status;
            }
            let _ = told.send(Told::Withdrawn(ended));
        }
        last = Some(reference);
    }
    Status::ok("")
}

/// Asks again while the node says that it waits for something.
pub(crate) async fn patient<T, F: Future<Output = Result<T, Status>>>(call: impl Fn() -> F) -> Result<T, Status> {
    let deadline = tokio::time::Instant::now() + BEGINS_WITHIN;
    loop {
        match call().await {
            Err(status) if NOT_YET.contains(&code(&status)) && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
}

async fn import(id: &Officers, first: u64, told: &Sender, stop: &CancellationToken) -> Status {
    for run in first.. {
        if stop.is_cancelled() {
            break;
        }
        if let Err(status) = id.import("register", &records(run)).await {
            return status;
        }
        let _ = told.send(Told::Imported(run));
        tokio::time::sleep(PAUSE).await;
    }
    Status::ok("")
}

async fn ask(my: &Officers, told: &Sender, stop: &CancellationToken) -> Status {
    for number in 0.. {
        if stop.is_cancelled() {
            break;
        }
        let answers = match my.ask_for(&passport(&tag(0, 0, number % 10))).await {
            Ok(answers) => answers,
            Err(status) => return status,
        };
        let request = answers.first().map(|answer| answer.request_id.clone()).unwrap_or_default();
        let answered = answers.into_iter().filter(|answer| matches!(answer.outcome.as_str(), "hit" | "no-hit"));
        let _ = told.send(Told::Answered(request, answered.map(|answer| answer.member).collect()));
        tokio::time::sleep(PAUSE).await;
    }
    Status::ok("")
}

/// The file of a run of imports.
pub(crate) fn records(run: u64) -> String {
    let mut file = "key,family-name,given-names,birth-date,sex,nationalities,documents\n".to_owned();
    for line in 0..RECORDS {
        writeln!(file, "R-{run:06}-{line:02},Family{line},Given,1980-01-02,F,ID,passport|R{run:06}{line:02}|ID")
            .expect("text");
    }
    file
}

/// A word of letters for the notice `number` of an issuer in a round.
pub(crate) fn tag(round: u64, issuer: u64, number: u64) -> String {
    let letters = format!("{round:02}{issuer}{number:03}");
    letters.bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
}

pub(crate) fn now() -> i64 {
    SystemClock.now().as_unix()
}
