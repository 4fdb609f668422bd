//! The command and a node: searches, approvals, imports, refusals.

use std::fs;

use eads_domain::clock::Timestamp;
use eads_domain::disclosure::{CommittedContent, Seed};
use eads_domain::encode::sha256;
use eads_domain::entropy::SeededEntropy;
use eads_domain::id::NoticeId;
use eads_domain::slot::{Content, FieldInput, SlotNumber};
use eads_domain::value::{BlobRef, Media, Value};
use eads_proto::v1 as proto;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, SigningKey};
use tempfile::TempDir;
use tonic::Status;

use super::fake::{Fake, Script};
use super::{eads, transcript};

fn home() -> TempDir {
    tempfile::tempdir().expect("a home")
}

fn source(member: &str, outcome: &str) -> proto::SearchResponse {
    proto::SearchResponse {
        request_id: vec![1; 16],
        member: member.to_owned(),
        outcome: outcome.to_owned(),
        took_ms: 12,
        ..Default::default()
    }
}

fn missing(member: &str, outcome: &str, code: &str, text: &str) -> proto::SearchResponse {
    proto::SearchResponse { code: code.to_owned(), text: text.to_owned(), ..source(member, outcome) }
}

fn hit() -> proto::Hit {
    proto::Hit {
        score: 940,
        reasons: vec![
            proto::HitReason { code: "EXACT".to_owned(), text: "family name is the same".to_owned(), weight: 600 },
            proto::HitReason { code: "BIRTH-DATE".to_owned(), text: "same year".to_owned(), weight: -20 },
        ],
        source: "notice".to_owned(),
        owner: "TH".to_owned(),
        reference: "TH-2026-7K3QX9-5".to_owned(),
        kind: "red".to_owned(),
        fields: vec![proto::HitField { name: "family-name".to_owned(), value: "EXAMPLE\u{1b}[2J".to_owned() }],
        statement: Some(proto::StatementPointer { index: 7, digest: vec![0xab; 32] }),
        state: "valid".to_owned(),
        cautions: vec!["confirm-with-owner".to_owned()],
        exercise: false,
    }
}

const SEARCH: [&str; 13] = [
    "--profile",
    "profile.toml",
    "search",
    "person",
    "--name",
    "Jane Example",
    "--purpose",
    "border-check",
    "--legal-basis",
    "national-law",
    "--explain",
    "--request-id",
    "000102030405060708090a0b0c0d0e0f",
];

#[test]
fn a_search_with_a_hit_and_everybody_s_answer_is_complete() {
    let home = home();
    let hits = proto::SearchResponse { hits: vec![hit()], ..source("TH", "hit") };
    let script = Script { answers: vec![Ok(source("ID", "no-hit")), Ok(hits)], ..Script::default() };
    let fake = Fake::start(home.path(), script);
    let output = eads(home.path(), &SEARCH);
    insta::assert_snapshot!("search-hit", transcript(home.path(), &output));
    assert_eq!(output.status.code(), Some(0));
    let json = eads(home.path(), &[&SEARCH[..], &["--output", "json"]].concat());
    insta::assert_snapshot!("search-hit-json", transcript(home.path(), &json));
    let asked = fake.script().searched.clone();
    let query = asked[0].query.clone().expect("a query");
    assert_eq!((query.purpose.as_str(), query.legal_basis.as_str()), ("border-check", "national-law"));
}

#[test]
fn a_search_that_somebody_did_not_answer_says_so_last_of_all() {
    let home = home();
    let answers = vec![
        Ok(source("ID", "no-hit")),
        Ok(source("TH", "no-hit")),
        Ok(source("SG", "no-hit")),
        Ok(missing("MY", "unreachable", "PEER_UNREACHABLE", "connection refused")),
    ];
    let _fake = Fake::start(home.path(), Script { answers, ..Script::default() });
    let output = eads(home.path(), &SEARCH);
    insta::assert_snapshot!("search-incomplete", transcript(home.path(), &output));
    assert_eq!(output.status.code(), Some(7));
    let lines = eads(home.path(), &[&SEARCH[..], &["--output", "jsonl"]].concat());
    assert_eq!(lines.status.code(), Some(7));
    let text = String::from_utf8(lines.stdout).expect("text");
    let documents: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("one document a line")).collect();
    assert_eq!(documents.len(), 5);
    assert_eq!(documents[4]["complete"], false);
}

#[test]
fn an_answer_that_breaks_off_is_shown_and_is_not_complete() {
    let home = home();
    let answers = vec![Ok(source("ID", "no-hit")), Err(Status::internal("disk"))];
    let _fake = Fake::start(home.path(), Script { answers, ..Script::default() });
    let output = eads(home.path(), &SEARCH);
    insta::assert_snapshot!("search-broken-off", transcript(home.path(), &output));
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn a_node_s_refusal_keeps_its_code_words_and_hint() {
    let home = home();
    let _fake = Fake::start(home.path(), Script::default());
    let show = ["--profile", "profile.toml", "record", "show", "h1", "--purpose", "audit"];
    let output = eads(home.path(), &show);
    insta::assert_snapshot!("node-refusal", transcript(home.path(), &output));
    assert_eq!(output.status.code(), Some(3));
    let json = eads(home.path(), &[&show[..], &["--output", "json"]].concat());
    insta::assert_snapshot!("node-refusal-json", transcript(home.path(), &json));
}

#[test]
fn a_node_that_is_gone_is_unreachable_and_nothing_else() {
    let home = home();
    drop(Fake::start(home.path(), Script::default()));
    let output = eads(home.path(), &["--profile", "profile.toml", "status"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.starts_with("error[NODE_UNREACHABLE]: no node answers at 127.0.0.1:"), "{error}");
    assert_eq!(output.status.code(), Some(6));
}

#[test]
fn a_node_of_another_authority_is_not_trusted() {
    let home = home();
    let other = tempfile::tempdir().expect("another home");
    let _fake = Fake::start(home.path(), Script::default());
    let _other = Fake::start(other.path(), Script::default());
    fs::copy(other.path().join("ca.pem"), home.path().join("ca.pem")).expect("copy");
    let output = eads(home.path(), &["--profile", "profile.toml", "status"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.starts_with("error[NODE_TLS_UNTRUSTED]"), "{error}");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a_certificate_that_the_node_does_not_accept_is_a_refusal() {
    let home = home();
    let other = tempfile::tempdir().expect("another home");
    let _fake = Fake::start(home.path(), Script::default());
    let _other = Fake::start(other.path(), Script::default());
    for file in ["cert.pem", "key.pem"] {
        fs::copy(other.path().join(file), home.path().join(file)).expect("copy");
    }
    let output = eads(home.path(), &["--profile", "profile.toml", "notice", "show", "ID-2026-7K3QX9-5"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.starts_with("error[NODE_TLS_REFUSED]"), "{error}");
    assert_eq!(output.status.code(), Some(3));
}

/// A content that may be signed.
fn content() -> Content {
    let fields = [("family-name", "Example"), ("given-names", "Jane"), ("birth-date", "1990-05"), ("sex", "F")];
    let mut fields: std::collections::BTreeMap<String, FieldInput> =
        fields.into_iter().map(|(name, value)| (name.to_owned(), FieldInput::from(value))).collect();
    for (name, value) in [
        ("kind", "yellow"),
        ("subject", "person"),
        ("grading", "B2"),
        ("legal-basis", "missing-person-report"),
        ("handling", "H0"),
        ("event-date", "2026-01-02"),
        ("summary", "Last seen at the harbour.\nTravels alone."),
    ] {
        fields.insert(name.to_owned(), FieldInput::from(value));
    }
    let mut content = Content::from_fields(fields).expect("content");
    content.set_identity(REFERENCE.parse().expect("reference"), 1).expect("identity");
    content
}

const REFERENCE: &str = "ID-2026-7K3QX9-5";
const DRAFT: &str = "00112233445566778899aabbccddeeff";

/// As the node commits to it.
fn committed() -> CommittedContent {
    let seed = Seed::random(&SeededEntropy::new("draft"));
    CommittedContent::new(NoticeId::from_bytes([9; 16]), seed, content())
}

fn draft() -> proto::GetDraftResponse {
    let content = committed();
    let opening = |slot: SlotNumber| {
        let opening = content.opening(slot);
        proto::SlotOpening { slot: u32::from(slot.get()), salt: opening.salt.to_vec(), value: opening.value }
    };
    proto::GetDraftResponse {
        draft: Some(proto::DraftSummary {
            draft_id: DRAFT.to_owned(),
            reference: REFERENCE.to_owned(),
            action: "issue".to_owned(),
            kind: "yellow".to_owned(),
            subject: "person".to_owned(),
            drafter: "issuer".to_owned(),
            audience: vec!["MY".to_owned()],
            not_after: 4_000_000_000,
            ..Default::default()
        }),
        notice: content.notice().as_bytes().to_vec(),
        schema: eads_domain::slot::SCHEMA.into(),
        openings: SlotNumber::all().filter(|slot| *slot != SlotNumber::APPROVALS).map(opening).collect(),
    }
}

#[test]
fn an_approval_signs_what_the_approver_was_shown() {
    let home = home();
    let fake = Fake::start(home.path(), Script { draft: Some(draft()), ..Script::default() });
    let output = eads(home.path(), &["--profile", "profile.toml", "notice", "approve", DRAFT, "--issue"]);
    let shown = transcript(home.path(), &output);
    let shown = shown.split(" (in ").next().map(str::to_owned).unwrap_or_default()
        + shown.split_once(" d)").map_or("", |(_, rest)| rest);
    insta::assert_snapshot!("approve", shown);
    let approved = fake.script().approved.clone();
    assert_eq!(approved.len(), 1);
    let message = committed().approval_message(Timestamp::from_unix(4_000_000_000));
    let key = fs::read_to_string(home.path().join("key.pem")).expect("key");
    let key = SigningKey::from(p256::SecretKey::from_pem(&key).expect("P-256"));
    let signature = Signature::from_slice(&approved[0].signature).expect("a signature");
    key.verifying_key().verify(&message, &signature).expect("it covers what the node commits to");
    let pem = fs::read_to_string(home.path().join("cert.pem")).expect("certificate");
    assert_eq!(approved[0].certificate, pem::parse(pem).expect("PEM").contents());
}

#[test]
fn a_draft_that_is_not_what_the_node_says_of_it_is_not_approved() {
    let home = home();
    let mut other = draft();
    other.draft.as_mut().expect("summary").kind = "red".to_owned();
    let fake = Fake::start(home.path(), Script { draft: Some(other), ..Script::default() });
    let approve = ["--profile", "profile.toml", "notice", "approve", DRAFT];
    let output = eads(home.path(), &approve);
    assert_eq!(output.status.code(), Some(8), "{}", transcript(home.path(), &output));

    let mut other = draft();
    other.openings.pop();
    fake.script().draft = Some(other);
    assert_eq!(eads(home.path(), &approve).status.code(), Some(8));

    let mut other = draft();
    let repeated = other.openings[3].clone();
    other.openings.push(repeated);
    fake.script().draft = Some(other);
    assert_eq!(eads(home.path(), &approve).status.code(), Some(8));
    assert!(fake.script().approved.is_empty());
}

#[test]
fn a_withdrawal_says_nothing_about_the_subject() {
    let home = home();
    let values = content()
        .to_slot_values()
        .into_iter()
        .map(|(slot, value)| proto::SlotValue { slot: u32::from(slot.get()), value })
        .collect();
    let notice =
        proto::NoticeSummary { audience: vec!["MY".to_owned()], not_after: 4_000_000_000, ..Default::default() };
    let notice = proto::GetNoticeResponse { notice: Some(notice), values, ..Default::default() };
    let fake = Fake::start(home.path(), Script { notice: Some(notice), ..Script::default() });
    let arguments = ["--profile", "profile.toml", "notice", "withdraw", REFERENCE, "--reason", "located"];
    let output = eads(home.path(), &arguments);
    insta::assert_snapshot!("withdraw", transcript(home.path(), &output));
    let created = fake.script().created.clone();
    assert_eq!((created[0].action.as_str(), created[0].reference.as_str()), ("withdraw", REFERENCE));
    assert!(created[0].values.iter().all(|value| value.slot < 16));
    let reasons = created[0].values.iter().find(|value| value.slot == 7).expect("reasons");
    assert_eq!(Value::parse(&reasons.value).expect("value").items().first().and_then(Value::as_text), Some("located"));
}

#[test]
fn a_record_import_goes_on_where_the_node_says() {
    let home = home();
    let rejection = proto::ImportRejection {
        line: 3,
        key: "k3".to_owned(),
        code: "FIELD_TYPE".to_owned(),
        reason: "no".to_owned(),
    };
    let script = Script { resume_at: 10, rejected: vec![rejection], ..Script::default() };
    let fake = Fake::start(home.path(), script);
    fs::write(home.path().join("persons.csv"), "key,family-name\nk1,Example\nk2,Sample\n").expect("file");
    let output = eads(
        home.path(),
        &[
            "--profile",
            "profile.toml",
            "record",
            "import",
            "persons.csv",
            "--source",
            "border",
            "--rejects",
            "rejects.csv",
        ],
    );
    insta::assert_snapshot!("record-import", transcript(home.path(), &output));
    assert_eq!(fake.script().received, b"key,family-name\nk1,Example\nk2,Sample\n");
    let rejects = fs::read_to_string(home.path().join("rejects.csv")).expect("rejects");
    assert_eq!(rejects, "line,key,code,reason\n3,k3,FIELD_TYPE,no\n");
}

/// A picture of a red and a blue pixel, as a PNG file.
fn two_pixels() -> Vec<u8> {
    let picture = image::RgbImage::from_fn(2, 1, |x, _| image::Rgb(if x == 0 { [255, 0, 0] } else { [0, 0, 255] }));
    let mut file = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut file, image::ImageFormat::Png).expect("a picture");
    file.into_inner()
}

fn notice_with(photo: &[u8], held: u32) -> proto::GetNoticeResponse {
    let blob = BlobRef {
        id: [5; 16],
        sha256: sha256(photo),
        len: u32::try_from(photo.len()).expect("short"),
        media: Media::Png,
    };
    let mut content = content();
    content.set_images(vec![blob]);
    let values = content.to_slot_values().into_iter();
    proto::GetNoticeResponse {
        notice: Some(proto::NoticeSummary {
            reference: REFERENCE.to_owned(),
            owner: "ID".to_owned(),
            kind: "yellow".to_owned(),
            subject: "person".to_owned(),
            state: "valid".to_owned(),
            version: 1,
            ..Default::default()
        }),
        values: values.map(|(slot, value)| proto::SlotValue { slot: u32::from(slot.get()), value }).collect(),
        digest: vec![3; 32],
        photos: vec![proto::Photo {
            id: blob.id.to_vec(),
            sha256: blob.sha256.as_bytes().to_vec(),
            len: blob.len,
            media: blob.media.to_string(),
            held,
        }],
        ..Default::default()
    }
}

#[test]
fn a_photograph_is_saved_only_if_it_is_the_one_that_was_signed_and_never_over_a_file() {
    let home = home();
    let photo = two_pixels();
    let script = Script {
        notice: Some(notice_with(&photo, u32::try_from(photo.len()).expect("short"))),
        photo: photo.clone(),
        ..Script::default()
    };
    let fake = Fake::start(home.path(), script);
    let show = |more: &[&str]| {
        let common = ["--profile", "profile.toml", "notice", "show", "ID-2026-7K3QX9-5"];
        eads(home.path(), &[common.as_slice(), more].concat())
    };
    insta::assert_snapshot!("photo-no-terminal", transcript(home.path(), &show(&["--photo"])));
    insta::assert_snapshot!("photo-saved", transcript(home.path(), &show(&["--photo", "--save", "one.png"])));
    assert_eq!(fs::read(home.path().join("one.png")).expect("a file"), photo);
    fs::write(home.path().join("one.png"), b"another").expect("a file");
    insta::assert_snapshot!("photo-exists", transcript(home.path(), &show(&["--photo", "1", "--save", "one.png"])));
    assert_eq!(fs::read(home.path().join("one.png")).expect("a file"), b"another");
    assert!(show(&["--photo", "--save", "one.png", "--force"]).status.success());
    assert_eq!(fs::read(home.path().join("one.png")).expect("a file"), photo);
    fake.script().photo.push(0);
    insta::assert_snapshot!("photo-tampered", transcript(home.path(), &show(&["--photo", "--save", "two.png"])));
    assert!(!home.path().join("two.png").exists());
}

#[test]
fn a_page_says_how_much_of_each_photograph_is_here() {
    let home = home();
    let photo = vec![0; 3000];
    let _fake = Fake::start(home.path(), Script { notice: Some(notice_with(&photo, 1024)), ..Script::default() });
    let output = eads(home.path(), &["--profile", "profile.toml", "notice", "show", "ID-2026-7K3QX9-5"]);
    insta::assert_snapshot!("notice-show-photos", transcript(home.path(), &output));
}

#[test]
fn a_draft_names_the_photographs_that_are_handed_in_with_it() {
    let home = home();
    let fake = Fake::start(home.path(), Script::default());
    let draft = "kind = \"yellow\"\nsubject = \"person\"\ngrading = \"B2\"\nhandling = [\"H0\"]\n\
                 legal-basis = [\"missing-person-report\"]\nfamily-name = \"Example\"\ngiven-names = \"Jane\"\n\
                 birth-date = 1990-05-01\nsex = \"F\"\nevent-date = 2026-01-02\nsummary = \"Last seen at sea.\"\n";
    fs::write(home.path().join("draft.toml"), draft).expect("a draft");
    let pictures = [vec![1; 200_000], vec![2; 9]];
    for (name, picture) in ["one.jpg", "two.jpg"].iter().zip(&pictures) {
        fs::write(home.path().join(name), picture).expect("a file");
    }
    let run = |photos: &[&str]| {
        let common = ["--profile", "profile.toml", "notice", "draft", "draft.toml", "--valid-days", "9"];
        let photos = photos.iter().flat_map(|photo| ["--photo", photo]);
        eads(home.path(), &common.into_iter().chain(photos).collect::<Vec<_>>())
    };
    let output = run(&["one.jpg", "two.jpg"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    {
        let script = fake.script();
        assert_eq!(script.uploaded, pictures);
        let images = script.created[0].values.iter().find(|value| value.slot == 13).expect("the slot of photographs");
        let images = Value::parse(&images.value).expect("a value");
        let named: Vec<_> = images.items().iter().filter_map(Value::as_blob).map(|blob| blob.sha256).collect();
        assert_eq!(named, pictures.map(|picture| sha256(&picture)));
    }
    // Too many are not even handed in.
    let output = run(&["one.jpg"; 9]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("PHOTOS_TOO_MANY"));
    assert_eq!(fake.script().uploaded.len(), 2);
}
