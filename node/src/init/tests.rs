use std::os::unix::fs::PermissionsExt as _;

use eads_domain::clock::ManualClock;
use eads_domain::code::Coded as _;
use eads_domain::entropy::SeededEntropy;
use eads_domain::operator::Operator;

use super::*;
use crate::config::Config;
use crate::identity::Identity;

const START: i64 = 1_795_000_000;

fn options(dir: PathBuf) -> InitOptions {
    InitOptions {
        member: "MY".parse().unwrap(),
        dir,
        display_name: "Malaysia".parse().unwrap(),
        standing: Standing::Member,
        peer_listen: "0.0.0.0:7443".parse().unwrap(),
        operator_listen: "127.0.0.1:7444".parse().unwrap(),
        endpoints: vec!["node.my.example:7443".parse().unwrap(), "192.0.2.7:7443".parse().unwrap()],
        duty_contacts: vec!["+60 3 5550 0100".parse().unwrap()],
        passphrase: Passphrase::new("correct horse battery staple").unwrap(),
        cost: KeyCost::Tests,
    }
}

/// The directory of a new node, and its passphrase.
pub(crate) fn made(home: &Path) -> (PathBuf, Passphrase) {
    let options = options(home.join("node"));
    run(&options).unwrap();
    (options.dir, options.passphrase)
}

fn run(options: &InitOptions) -> Result<InitSummary, InitError> {
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new("init"));
    init(options, &ManualClock::new(Timestamp::from_unix(START)), &entropy)
}

fn every_path(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { [vec![path.clone()], every_path(&path)].concat() } else { vec![path] })
        .collect()
}

#[test]
fn a_new_node_can_be_loaded_and_is_consistent() {
    let scratch = tempfile::tempdir().unwrap();
    let options = options(scratch.path().join("node"));
    let summary = run(&options).unwrap();

    let identity = Identity::load(&options.dir, &options.passphrase).unwrap();
    let card = identity.card.card();
    assert_eq!((card.member, card.standing, card.register), (options.member, Standing::Member, summary.register));
    assert_eq!(card.endpoints, options.endpoints);
    assert_eq!(identity.card.verification_code(), summary.verification_code);
    assert_eq!(card.signing_key, identity.signing_key.verifying_key());

    let config = Config::load(&summary.config).unwrap();
    assert_eq!(config.member, options.member);
    assert_eq!(config.dir.canonicalize().unwrap(), options.dir.canonicalize().unwrap());
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new("open"));
    KeyTree::open(&config.dir, &options.passphrase.for_key_tree().unwrap(), entropy).unwrap();
    assert!(summary.offline_key.exists() && summary.card.exists());
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1, "nothing lies beside the node");
}

#[test]
fn keys_are_for_their_owner_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let options = options(scratch.path().join("node"));
    run(&options).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&options.dir), 0o700);
    let paths = every_path(&options.dir);
    for path in paths.iter().filter(|path| path.is_dir()) {
        assert_eq!(mode(path), 0o700, "{}", path.display());
    }
    let keys: Vec<_> = paths.iter().filter(|path| path.extension().is_some_and(|it| it == "key")).collect();
    assert_eq!(keys.len(), 7 + PROFILES.len());
    for key in keys {
        assert_eq!(mode(key), 0o600, "{}", key.display());
    }
}

#[test]
fn each_profile_names_an_operator_with_its_roles() {
    let scratch = tempfile::tempdir().unwrap();
    let options = options(scratch.path().join("node"));
    let summary = run(&options).unwrap();
    assert_eq!(summary.profiles.len(), PROFILES.len());
    for (path, (name, roles)) in summary.profiles.iter().zip(PROFILES) {
        let profile: toml::Table = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let file = |key: &str| path.with_file_name(profile[key].as_str().unwrap());
        let certificate = pem::parse(std::fs::read(file("certificate")).unwrap()).unwrap();
        let operator = Operator::from_certificate(certificate.contents()).unwrap();
        assert_eq!((operator.name.as_str(), operator.member), (name, options.member));
        assert_eq!(operator.roles, roles.iter().copied().collect());
        assert_eq!(profile["endpoint"].as_str(), Some("127.0.0.1:7444"));
        assert!(file("ca").exists() && file("key").exists());
    }
}

#[test]
fn a_node_is_never_made_over_anything_and_failure_leaves_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let options = options(scratch.path().join("node"));
    let code = |result: Result<InitSummary, InitError>| result.unwrap_err().code().as_str();

    std::fs::write(&options.dir, "a file").unwrap();
    assert_eq!(code(run(&options)), "INIT_NOT_EMPTY");
    std::fs::remove_file(&options.dir).unwrap();

    let short = InitOptions { passphrase: Passphrase::new("short").unwrap(), ..options.clone() };
    assert_eq!(code(run(&short)), "PASSPHRASE_TOO_SHORT");
    let nowhere = InitOptions { dir: scratch.path().join("no/where"), ..options.clone() };
    assert_eq!(code(run(&nowhere)), "INIT_NO_PARENT");
    let twice = vec![options.endpoints[0].clone(), options.endpoints[0].clone()];
    assert_eq!(code(run(&InitOptions { endpoints: twice, ..options.clone() })), "CARD_ENDPOINT");
    assert_eq!(every_path(scratch.path()), Vec::<PathBuf>::new());

    std::fs::create_dir(scratch.path().join("node.partial")).unwrap();
    assert_eq!(code(run(&options)), "INIT_UNFINISHED");
    std::fs::remove_dir(scratch.path().join("node.partial")).unwrap();

    std::fs::create_dir(&options.dir).unwrap();
    run(&options).unwrap();
    assert_eq!(code(run(&options)), "INIT_NOT_EMPTY");
}
