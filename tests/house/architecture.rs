//! The walls of the house: which crate may see which, where wire types may appear, how long a file may be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// What each crate may depend on inside the house; nothing else, and nobody depends on `eads-tests`.
const MAY_SEE: &[(&str, &[&str])] = &[
    ("eads-proto", &[]),
    ("eads-domain", &["eads-proto"]),
    ("eads-search", &["eads-domain"]),
    ("eads-store", &["eads-domain"]),
    ("eads-service", &["eads-domain", "eads-search", "eads-store"]),
    ("eads-edge", &["eads-proto", "eads-domain", "eads-service"]),
    ("eads-node", &["eads-domain", "eads-search", "eads-store", "eads-service", "eads-edge"]),
    ("eads", &["eads-proto", "eads-domain", "eads-node"]),
];

/// The only places where protobuf types may be named.
const WIRE: &[&str] = &[
    "proto/",
    "node/domain/src/wire/",
    "node/edge/src/grpc/",
    "node/edge/src/server/",
    "node/edge/src/tls/tests/",
    "cli/",
    "tests/",
];

const MAX_LINES: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Every Rust source of the workspace, with its path from the root.
fn sources() -> Vec<(String, String)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && name != "gen" && !name.starts_with('.') {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let (root, mut found) = (root(), Vec::new());
    walk(&root, &mut found);
    assert!(found.len() > 50, "the sources were not found");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path.strip_prefix(&root).unwrap().to_string_lossy().into_owned(), text)
    };
    found.into_iter().map(read).collect()
}

#[test]
fn dependencies_point_one_way() {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap();
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        MAY_SEE.iter().map(|(name, sees)| (*name, sees.iter().copied().collect())).collect();
    let mut checked = 0;
    for package in &metadata.packages {
        let name = package.name.as_str();
        let inside = package.dependencies.iter().filter(|d| d.path.is_some() && d.kind != DependencyKind::Development);
        for dependency in inside {
            if name == "eads-tests" {
                continue;
            }
            let sees = allowed.get(name).unwrap_or_else(|| panic!("{name} has no place in the house"));
            assert!(sees.contains(dependency.name.as_str()), "{name} must not depend on {}", dependency.name);
            checked += 1;
        }
    }
    assert!(checked >= 12, "only {checked} dependencies were checked");
}

#[test]
fn only_the_demonstration_links_the_node_into_the_cli() {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap();
    let cli = metadata.packages.iter().find(|package| package.name.as_str() == "eads").unwrap();
    let node = cli.dependencies.iter().find(|dependency| dependency.name == "eads-node").unwrap();
    assert!(node.optional);
    assert_eq!(cli.features.get("demo").unwrap(), &["dep:eads-node"]);
}

#[test]
fn wire_types_stay_at_the_border() {
    for (path, text) in sources() {
        if WIRE.iter().any(|place| path.starts_with(place)) {
            continue;
        }
        let named = text.lines().find(|line| line.contains("eads_proto") || line.contains("prost::"));
        assert!(named.is_none(), "{path} names a wire type: {}", named.unwrap_or_default());
    }
}

#[test]
fn the_domain_has_no_runtime_and_no_network() {
    let manifest = fs::read_to_string(root().join("node/domain/Cargo.toml")).unwrap();
    for banned in ["tokio", "tonic", "hyper", "sled", "rustls"] {
        assert!(!manifest.lines().any(|line| line.starts_with(banned)), "eads-domain must not depend on {banned}");
    }
}

#[test]
fn no_file_is_longer_than_can_be_read() {
    let long: Vec<String> = sources()
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| format!("{path}: {lines}"))
        .collect();
    assert!(long.is_empty(), "files above {MAX_LINES} lines: {long:?}");
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let table = manifest.split("[workspace.dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    for line in table.lines().filter(|line| line.contains(" = ") && !line.contains("path = ")) {
        assert!(line.contains('#'), "no reason given: {line}");
    }
}
