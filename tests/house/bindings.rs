//! The checked-in protobuf bindings are what the `.proto` files say.
//!
//! `EADS_BLESS=1 cargo test -p eads-tests --test house` writes them anew.

use std::fs;
use std::path::{Path, PathBuf};

use prost::Message as _;

fn proto_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto")
}

/// Every `.proto` file, in the order of their names.
fn files() -> Vec<PathBuf> {
    let names = fs::read_dir(proto_dir().join("eads/v1")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut files: Vec<PathBuf> = names.map(|name| Path::new("eads/v1").join(name)).collect();
    files.sort();
    files
}

fn generate(out: &Path) {
    let descriptors = protox::compile(files(), [proto_dir()]).unwrap_or_else(|error| panic!("{error:?}"));
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec()).unwrap();
    tonic_prost_build::configure()
        .build_client(true)
        .build_server(true)
        .build_transport(false)
        .client_mod_attribute(".", "#[cfg(feature = \"services\")]")
        .server_mod_attribute(".", "#[cfg(feature = \"services\")]")
        .out_dir(out)
        .compile_fds(descriptors)
        .unwrap();
}

#[test]
fn bindings_are_what_the_proto_files_say() {
    let checked_in = proto_dir().join("src/gen");
    if std::env::var_os("EADS_BLESS").is_some() {
        fs::create_dir_all(&checked_in).unwrap();
        generate(&checked_in);
        return;
    }
    let fresh = tempfile::tempdir().unwrap();
    generate(fresh.path());
    for name in ["eads.v1.rs", "descriptors.bin"] {
        let want = fs::read(fresh.path().join(name)).unwrap();
        let have = fs::read(checked_in.join(name)).unwrap_or_default();
        assert!(want == have, "{name} is stale: run EADS_BLESS=1 cargo test -p eads-tests --test house");
    }
}
