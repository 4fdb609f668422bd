//! Officers from their first request to their last call: enrolment, renewal, suspension, revocation.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use eads_proto::v1;
use eads_proto::v1::import_records_request::Part;
use eads_tests::content::{content, red, values};
use eads_tests::house::House;
use eads_tests::member::{Member, PASSPHRASE};
use eads_tests::officers::Applicant;
use eads_tests::operator::{Operator, code, refused};
use eads_tests::wait::until;
use tonic::Status;

use crate::programs::{EADS, EADS_NODE};

async fn works(operator: &Operator) -> Result<(), Status> {
    operator.node().get_status(v1::GetStatusRequest {}).await.map(drop)
}

async fn suspend(member: &Member, by: &str, name: &str) -> Result<(), Status> {
    let request = v1::SuspendOfficerRequest { name: name.to_owned(), reason: "under inquiry".to_owned() };
    member.operator(by).officers().suspend_officer(request).await.map(drop)
}

async fn resume(member: &Member, by: &str, name: &str) -> Result<(), Status> {
    let request = v1::ResumeOfficerRequest { name: name.to_owned(), reason: "cleared".to_owned() };
    member.operator(by).officers().resume_officer(request).await.map(drop)
}

async fn revoke(member: &Member, by: &str, name: &str) -> Result<(), Status> {
    let request = v1::RevokeOfficerRequest { name: name.to_owned(), reason: "key lost".to_owned() };
    member.operator(by).officers().revoke_officer(request).await.map(drop)
}

async fn officer(member: &Member, name: &str) -> v1::Officer {
    let request = v1::GetOfficerRequest { name: name.to_owned() };
    let answer = member.operator("admin-1").officers().get_officer(request).await.expect("an officer");
    answer.into_inner().officer.expect("an officer")
}

async fn renew(operator: &Operator, with: &Applicant) -> Result<Vec<u8>, Status> {
    let request = v1::RenewOfficerRequest { request: with.request(), days: 0 };
    Ok(operator.officers().renew_officer(request).await?.into_inner().certificate)
}

/// The setup's certificates end in a year, renewed ones in 90 days.
fn days_left(member: &Member, officer: &v1::Officer) -> i64 {
    (officer.certificates.last().expect("a certificate").not_after - member.now().as_unix()) / 86_400
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_officer_is_cut_off_in_the_middle_of_a_stream_and_for_good() {
    let house = House::new();
    let mut id = house.member("ID").await;
    let clerk = Applicant::new("clerk", &["officer", "issuer"]).enrol(&id).await;
    works(&clerk).await.unwrap();
    assert!(officer(&id, "clerk").await.last_seen > 0);

    // A stream that would never end by itself.
    let (keep_open, parts) = tokio::sync::mpsc::channel(1);
    let options =
        v1::ImportRecordsOptions { format: "csv".to_owned(), source: "desk".to_owned(), ..Default::default() };
    keep_open.send(v1::ImportRecordsRequest { part: Some(Part::Options(options)) }).await.unwrap();
    let parts = tokio_stream::wrappers::ReceiverStream::new(parts);
    let mut answers = clerk.records().import_records(parts).await.unwrap().into_inner();
    answers.message().await.unwrap().expect("the import has begun");
    let streaming = tokio::spawn(async move {
        while answers.message().await?.is_some() {}
        Ok::<(), Status>(())
    });
    works(&clerk).await.unwrap();
    assert!(!streaming.is_finished());
    revoke(&id, "admin-1", "clerk").await.unwrap();
    let ended = streaming.await.unwrap().unwrap_err();
    assert_eq!(code(&ended), "", "the connection went: {ended:?}");
    drop(keep_open);

    // The handshake already refuses it, and the audit log tells.
    assert_eq!(code(&works(&clerk).await.unwrap_err()), "");
    until("the refused handshake is written down", || async {
        id.audit_entries().await.iter().any(|entry| entry.result == "TLS_CERTIFICATE_REVOKED")
    })
    .await;
    assert_eq!(officer(&id, "clerk").await.state, "revoked");

    // For good: not resumed, not after a restart, not under the same key; those of the setup neither.
    assert_eq!(refused(resume(&id, "admin-1", "clerk").await), "OFFICER_STATE");
    revoke(&id, "admin-1", "issuer").await.unwrap();
    id.restart().await;
    assert!(works(&clerk).await.is_err());
    assert!(works(&id.operator("issuer")).await.is_err());
    works(&id.operator("officer")).await.unwrap();
    assert_eq!(officer(&id, "issuer").await.state, "revoked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_officer_works_again_when_resumed() {
    let house = House::new();
    let mut id = house.member("ID").await;
    let operator = id.operator("officer");
    works(&operator).await.unwrap();
    suspend(&id, "admin-2", "officer").await.unwrap();
    until("a call on a new connection says why", || async {
        works(&operator).await.is_err_and(|status| code(&status) == "OFFICER_SUSPENDED")
    })
    .await;
    assert_eq!(refused(suspend(&id, "admin-2", "officer").await), "OFFICER_STATE");
    id.restart().await;
    assert_eq!(refused(works(&operator).await), "OFFICER_SUSPENDED");
    let shown = officer(&id, "officer").await;
    assert_eq!(
        (shown.state.as_str(), shown.by.as_str(), shown.reason.as_str()),
        ("suspended", "admin-2", "under inquiry")
    );
    resume(&id, "admin-1", "officer").await.unwrap();
    works(&operator).await.unwrap();
    let entries = id.audit_entries().await;
    let refusals = entries.iter().filter(|entry| entry.result == "OFFICER_SUSPENDED" && entry.operation == "GetStatus");
    assert!(refusals.count() >= 2, "who tried is written down");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn administrators_and_approvers_are_made_by_two_and_there_are_always_two() {
    let house = House::new();
    let id = house.member("ID").await;
    let third = Applicant::new("admin-3", &["administrator"]);
    assert_eq!(third.ask(&id, "admin-1").await.unwrap(), Vec::<u8>::new());
    assert_eq!(refused(third.ask(&id, "admin-1").await), "SECOND_ADMINISTRATOR_REQUIRED");
    let waiting = id.operator("admin-1").officers().list_officers(v1::ListOfficersRequest {}).await.unwrap();
    let waiting = waiting.into_inner().awaited;
    assert_eq!(
        waiting.iter().map(|one| (one.name.as_str(), one.administrator.as_str())).collect::<Vec<_>>(),
        [("admin-3", "admin-1")]
    );
    // Another request under the same name is another word, and the first one is forgotten.
    let other = Applicant::new("admin-3", &["administrator"]);
    assert_eq!(other.ask(&id, "admin-2").await.unwrap(), Vec::<u8>::new());
    assert_eq!(third.ask(&id, "admin-1").await.unwrap(), Vec::<u8>::new());

    for (by, name) in [("admin-1", "admin-2"), ("admin-2", "admin-1")] {
        assert_eq!(refused(revoke(&id, by, name).await), "LAST_ADMINISTRATORS");
        assert_eq!(refused(suspend(&id, by, name).await), "LAST_ADMINISTRATORS");
        assert_eq!(refused(revoke(&id, by, by).await), "OFFICER_SELF");
    }
    let certificate = third.ask(&id, "admin-2").await.unwrap();
    let third = third.with(&id, &certificate);
    third.officers().list_officers(v1::ListOfficersRequest {}).await.unwrap();
    assert_eq!(officer(&id, "admin-3").await.certificates[0].by, ["admin-1", "admin-2"]);
    revoke(&id, "admin-2", "admin-1").await.unwrap();
    assert_eq!(refused(revoke(&id, "admin-2", "admin-3").await), "LAST_ADMINISTRATORS");

    // The word of an administrator who was revoked meanwhile does not count.
    let approver = Applicant::new("night-desk", &["officer", "approver"]);
    assert_eq!(approver.ask(&id, "admin-2").await.unwrap(), Vec::<u8>::new());
    let fourth = Applicant::new("admin-4", &["administrator"]);
    assert_eq!(fourth.ask(&id, "admin-2").await.unwrap(), Vec::<u8>::new());
    assert!(!third.officers().enrol_officer(fourth.enrolment(0)).await.unwrap().into_inner().certificate.is_empty());
    let request = v1::RevokeOfficerRequest { name: "admin-2".to_owned(), reason: "left".to_owned() };
    third.officers().revoke_officer(request).await.unwrap();
    let answer = third.officers().enrol_officer(approver.enrolment(0)).await.unwrap().into_inner();
    assert!(answer.certificate.is_empty(), "one word is left, and it is admin-3's own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_and_a_key_are_one_persons() {
    let house = House::new();
    let id = house.member("ID").await;
    let clerk = Applicant::new("clerk", &["officer"]);
    let operator = clerk.enrol(&id).await;
    works(&operator).await.unwrap();
    // Somebody else under this name; this key under another name.
    assert_eq!(refused(Applicant::new("clerk", &["officer"]).ask(&id, "admin-1").await), "OFFICER_NAME_TAKEN");
    assert_eq!(refused(clerk.same_key("other", &["officer"]).ask(&id, "admin-1").await), "OFFICER_KEY_IN_USE");
    // More roles for the same key: what administrators say last counts, also for the certificate in use.
    let promoted = clerk.same_key("clerk", &["officer", "issuer"]);
    let certificate = promoted.ask(&id, "admin-1").await.unwrap();
    assert_eq!(refused(works(&operator).await), "OFFICER_CERTIFICATE_SUPERSEDED");
    works(&promoted.with(&id, &certificate)).await.unwrap();
    // A revoked name is given anew by two, and never to the revoked key.
    revoke(&id, "admin-1", "clerk").await.unwrap();
    assert_eq!(refused(clerk.ask(&id, "admin-1").await), "OFFICER_KEY_REVOKED");
    let successor = Applicant::new("clerk", &["officer"]);
    assert!(successor.ask(&id, "admin-1").await.unwrap().is_empty());
    let certificate = successor.ask(&id, "admin-2").await.unwrap();
    works(&successor.with(&id, &certificate)).await.unwrap();
    assert!(works(&operator).await.is_err(), "the old certificate stays revoked");
    assert_eq!(officer(&id, "clerk").await.state, "active");

    // What the administrator says and what the request says must agree.
    let wanted = Applicant::new("new", &["officer"]);
    let administrator = id.operator("admin-1");
    let said = |change: &dyn Fn(&mut v1::EnrolOfficerRequest)| {
        let mut request = wanted.enrolment(0);
        change(&mut request);
        let administrator = administrator.clone();
        async move { administrator.officers().enrol_officer(request).await }
    };
    assert_eq!(refused(said(&|request| request.name = "newer".to_owned()).await), "OFFICER_REQUEST_DIFFERS");
    assert_eq!(refused(said(&|request| request.roles.push("auditor".to_owned())).await), "OFFICER_REQUEST_DIFFERS");
    assert_eq!(refused(said(&|request| request.days = 367).await), "OFFICER_DAYS");
    assert_eq!(refused(said(&|request| request.request.truncate(40)).await), "OFFICER_REQUEST_MALFORMED");
    assert_eq!(refused(said(&|request| *request.request.last_mut().unwrap() ^= 1).await), "OFFICER_REQUEST_SIGNATURE");
    assert_eq!(refused(said(&|request| request.roles.clear()).await), "OPERATOR_ROLE_MISSING");
    // And a certificate that the right authority issued behind the node's back admits nobody.
    let (stranger, _) = id.certify("stranger", &["administrator"]);
    assert_eq!(refused(works(&stranger).await), "OFFICER_UNREGISTERED");
    let (impostor, _) = id.certify("second-officer", &["officer"]);
    assert_eq!(refused(works(&impostor).await), "OFFICER_UNREGISTERED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_keeps_name_and_roles_and_a_new_key_ends_the_old_one() {
    let house = House::new();
    let id = house.member("ID").await;
    let both = Applicant::new("both", &["issuer", "approver"]);
    let operator = both.enrol(&id).await;
    assert_eq!(days_left(&id, &officer(&id, "both").await), 90);
    id.clock.advance(80 * 86_400);
    // The same key: both certificates work until their ends.
    let renewed = both.with(&id, &renew(&operator, &both).await.unwrap());
    works(&renewed).await.unwrap();
    works(&operator).await.unwrap();
    assert_eq!(days_left(&id, &officer(&id, "both").await), 90);
    // Nobody renews into more, or into somebody else.
    for (other, expected) in [
        (both.same_key("both", &["issuer", "approver", "administrator"]), "OFFICER_REQUEST_DIFFERS"),
        (both.same_key("officer", &["issuer", "approver"]), "OFFICER_REQUEST_DIFFERS"),
    ] {
        assert_eq!(refused(renew(&renewed, &other).await), expected);
    }
    // A draft under one certificate is not approved under the next: the rule is about the person.
    let request = v1::CreateDraftRequest {
        action: "issue".to_owned(),
        values: values(&content(&red("renewed"))),
        not_after: id.now().plus_seconds(86_400).as_unix(),
        ..v1::CreateDraftRequest::default()
    };
    let draft = renewed.notices().create_draft(request).await.unwrap().into_inner();
    let fresh = Applicant::new("both", &["issuer", "approver"]);
    let fresh = fresh.with(&id, &renew(&renewed, &fresh).await.unwrap());
    works(&renewed).await.unwrap();
    assert_eq!(code(&fresh.approve(&draft.draft_id).await.unwrap_err()), "APPROVAL_BY_DRAFTER");
    // That was the first use of the new key.
    assert_eq!(refused(works(&renewed).await), "OFFICER_CERTIFICATE_SUPERSEDED");
    assert_eq!(refused(works(&operator).await), "OFFICER_CERTIFICATE_SUPERSEDED");
    id.operator("approver").approve(&draft.draft_id).await.unwrap();

    // An approval outlives the officer who gave it.
    id.clock.advance(60);
    revoke(&id, "admin-1", "approver").await.unwrap();
    let issued = fresh.notices().issue_draft(v1::IssueDraftRequest { draft_id: draft.draft_id }).await.unwrap();
    assert_eq!(id.state_of(&issued.into_inner().reference).await, "valid");
    // An open connection does not outlive its certificate.
    id.clock.advance(91 * 86_400);
    assert_eq!(refused(works(&fresh).await), "OFFICER_CERTIFICATE_EXPIRED");
    assert_eq!(
        refused(renew(&fresh, &Applicant::new("both", &["issuer", "approver"])).await),
        "OFFICER_CERTIFICATE_EXPIRED"
    );
}

/// Runs `eads` with the profile of somebody.
fn eads(profile: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(EADS);
    command.arg("--profile").arg(profile).args(arguments).env_remove("EADS_PROFILE");
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The document of a command that succeeded.
fn json(profile: &Path, arguments: &[&str]) -> serde_json::Value {
    let output = eads(profile, &[&["--output", "json"], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {} {}", text(&output.stdout), text(&output.stderr));
    assert!(output.stderr.is_empty(), "nothing stands beside a document: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The code of a command that failed.
fn failure(profile: &Path, arguments: &[&str]) -> String {
    let output = eads(profile, &[&["--output", "json"], arguments].concat());
    assert_ne!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let document: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    document["error"]["code"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_leads_an_officer_from_the_request_to_the_revocation() {
    let house = House::new();
    let mut id = house.member("ID").await;
    let profiles = id.dir().join("profiles");
    let [first, second] = ["admin-1", "admin-2"].map(|name| profiles.join(name).join("profile.toml"));
    let endpoint = toml_text(&first, "endpoint");
    let desk = house.path().join("desk");
    let place = |name: &str| desk.join(name).to_str().unwrap().to_owned();
    let (profile, request, sent) = (desk.join("profile.toml"), place("request.csr"), place("sent.pem"));

    // Key and request are made without a node, and the key is its owner's alone.
    let who = ["--name", "night-desk", "--roles", "officer,approver"];
    let made = json(&profile, &[&["officer", "request", "--out", desk.to_str().unwrap()], &who[..]].concat());
    assert_eq!(std::fs::metadata(place("operator.key")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        failure(&profile, &[&["officer", "request", "--out", desk.to_str().unwrap()], &who[..]].concat()),
        "FILE_UNWRITABLE",
        "a key is never made over a key"
    );
    // For an approver it takes two administrators, who see the same key as the officer.
    let enrol = [&["officer", "enrol", &request, "--out", &sent, "--days", "10"], &who[..]].concat();
    let once = json(&first, &enrol);
    assert_eq!((&once["enrolled"], &once["key_digits"]), (&false.into(), &made["key_digits"]));
    assert!(!Path::new(&sent).exists());
    assert_eq!(json(&second, &enrol)["enrolled"], true);
    assert_eq!(json(&first, &["officer", "list"])["awaiting_second_administrator"], serde_json::json!([]));
    let profiled = ["officer", "profile", desk.to_str().unwrap(), "--certificate", &sent, "--endpoint", &endpoint];
    json(&profile, &[&profiled[..], &["--server-name", "localhost"]].concat());

    // The officer works; ten days before the end a person is told so, and a program is not.
    assert_eq!(json(&profile, &["status"])["certificate"]["roles"], "officer,approver");
    let told = eads(&profile, &["status"]);
    assert!(text(&told.stderr).contains("eads officer renew"), "{}", text(&told.stderr));
    assert!(text(&told.stdout).contains("night-desk (officer,approver), valid until"));
    json(&profile, &["officer", "renew"]);
    let told = eads(&profile, &["status"]);
    assert_eq!((told.status.code(), text(&told.stderr)), (Some(0), String::new()));

    // For a browser; whoever has it needs the password.
    let password = desk.join("password");
    std::fs::write(&password, "four words for browsers\n").unwrap();
    let p12 = place("browser.p12");
    json(&profile, &["officer", "export", "--pkcs12", &p12, "--password-file", password.to_str().unwrap()]);
    openssl_reads(&p12, "four words for browsers", "night-desk");

    // Other roles for the same key; the certificate with the old ones ends at once.
    let key = place("operator.key");
    let more = house.path().join("more");
    let who = ["--name", "night-desk", "--roles", "officer"];
    let more = more.to_str().unwrap();
    json(&profile, &[&["officer", "request", "--out", more, "--key", &key], &who[..]].concat());
    let (csr, sent) = (format!("{more}/request.csr"), place("less.pem"));
    json(&first, &[&["officer", "enrol", &csr, "--out", &sent], &who[..]].concat());
    assert_eq!(failure(&profile, &["status"]), "OFFICER_CERTIFICATE_SUPERSEDED");
    let profiled = ["officer", "profile", desk.to_str().unwrap(), "--certificate", &sent, "--endpoint", &endpoint];
    json(&profile, &[&profiled[..], &["--server-name", "localhost"]].concat());
    assert_eq!(json(&profile, &["status"])["certificate"]["roles"], "officer");

    // A new key of one's own, for a certificate that the setup made.
    let moved = house.path().join("moved");
    let by_setup = profiles.join("officer").join("profile.toml");
    json(&by_setup, &["officer", "renew", "--new-key", moved.to_str().unwrap()]);
    json(&by_setup, &["status"]);
    json(&moved.join("profile.toml"), &["status"]);
    assert_eq!(failure(&by_setup, &["status"]), "OFFICER_CERTIFICATE_SUPERSEDED");

    json(&first, &["officer", "suspend", "night-desk", "--reason", "on leave"]);
    assert_eq!(failure(&profile, &["status"]), "OFFICER_SUSPENDED");
    json(&first, &["officer", "resume", "night-desk", "--reason", "back"]);
    json(&first, &["officer", "revoke", "night-desk", "--reason", "left"]);
    assert_eq!(failure(&profile, &["status"]), "NODE_TLS_REFUSED");
    let shown = text(&eads(&first, &["officer", "show", "night-desk"]).stdout);
    for word in ["night-desk", "revoked", "left", "admin-1, admin-2"] {
        assert!(shown.contains(word), "{word} is not in {shown}");
    }
    assert_eq!(failure(&first, &["officer", "revoke", "admin-2", "--reason", "x"]), "LAST_ADMINISTRATORS");
    assert_eq!(failure(&first, &["officer", "show", "nobody"]), "OFFICER_UNKNOWN");
    assert_eq!(failure(&profile, &["officer", "renew"]), "NODE_TLS_REFUSED");

    // The way back: an administrator certified on the node's own machine.
    let rescue = house.path().join("rescue");
    let who = ["--name", "rescue", "--roles", "administrator"];
    json(&profile, &[&["officer", "request", "--out", rescue.to_str().unwrap()], &who[..]].concat());
    let (csr, sent) = (rescue.join("request.csr"), rescue.join("sent.pem"));
    let mut certify = Command::new(EADS_NODE);
    certify.arg("officer").arg("--dir").arg(id.dir()).arg("--request").arg(&csr).arg("--out").arg(&sent).args(who);
    let certified = certify.env("EADS_PASSPHRASE", PASSPHRASE).stdin(Stdio::null()).output().unwrap();
    assert!(certified.status.success(), "{}", text(&certified.stderr));
    let sent = sent.to_str().unwrap();
    let profiled = ["officer", "profile", rescue.to_str().unwrap(), "--certificate", sent, "--endpoint", &endpoint];
    json(&profile, &[&profiled[..], &["--server-name", "localhost"]].concat());
    let rescue = rescue.join("profile.toml");
    assert_eq!(failure(&rescue, &["status"]), "OFFICER_UNREGISTERED");
    id.restart().await;
    json(&rescue, &["officer", "revoke", "admin-1", "--reason", "key stolen"]);
    assert_eq!(failure(&first, &["status"]), "NODE_TLS_REFUSED");
    assert!(id.audit_entries().await.iter().any(|entry| entry.operation == "AdoptOfficer"));
}

/// One text of a TOML file.
fn toml_text(file: &Path, key: &str) -> String {
    let table: toml::Table = std::fs::read_to_string(file).unwrap().parse().unwrap();
    table[key].as_str().unwrap().to_owned()
}

/// Another program opens the file with the right password only, and finds the officer in it.
#[allow(clippy::print_stderr, reason = "what was not tried is said")]
fn openssl_reads(file: &str, password: &str, name: &str) {
    let open = |password: &str| {
        let pass = format!("pass:{password}");
        let arguments = ["pkcs12", "-in", file, "-nodes", "-passin", &pass];
        Command::new("openssl").args(arguments).stdin(Stdio::null()).output()
    };
    let Ok(opened) = open(password) else {
        eprintln!("openssl is not here: that it opens a PKCS#12 file was not tried");
        return;
    };
    let found = text(&opened.stdout);
    assert!(opened.status.success(), "{}", text(&opened.stderr));
    assert!(found.contains("BEGIN PRIVATE KEY") && found.contains(name), "{found}");
    assert_eq!(found.matches("BEGIN CERTIFICATE").count(), 2, "the officer's and the authority's");
    assert!(!open("three words for browsers").unwrap().status.success());
}
