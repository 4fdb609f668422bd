//! The backup of keys by shares.

use std::fs;

use eads_domain::entropy::SystemEntropy;

use super::{Splitting, join, split};
use crate::identity::{Identity, Passphrase};
use crate::init::tests::made;

#[test]
fn any_three_of_five_restore_keys_and_passphrase_and_two_do_not() {
    let home = tempfile::tempdir().unwrap();
    let (dir, passphrase) = made(home.path());
    let out = home.path().join("shares");
    let how = Splitting { shares: 5, threshold: 3, out: out.clone() };
    split(&dir, &passphrase, &how, &SystemEntropy).unwrap();
    let share = |number: u8| fs::read_to_string(out.join(format!("share-{number}.txt"))).unwrap().trim().to_owned();
    let file = out.join("identity.eads-keys");
    let there = home.path().join("there");
    fs::create_dir(&there).unwrap();
    let secret = home.path().join("passphrase");
    let refused = |shares: &[String]| join(&there, &file, shares, &secret).unwrap_err().code;
    assert_eq!(refused(&[share(1), share(4)]), "SHARES_TOO_FEW");
    assert_eq!(refused(&[share(1), share(4), share(4)]), "SHARES_TOO_FEW");
    assert_eq!(refused(&[share(1), share(4), share(2).replace('7', "8").replace('a', "b")]), "SHARE_INVALID");
    assert!(!there.join("identity").exists());
    join(&there, &file, &[share(5), share(1), share(3)], &secret).unwrap();
    let found = Passphrase::obtain(Some(&secret)).unwrap();
    let restored = Identity::load(&there, &found).unwrap();
    assert_eq!(restored.card, Identity::load(&dir, &passphrase).unwrap().card);
    // Over an identity that is there, which is kept.
    fs::remove_file(&secret).unwrap();
    join(&there, &file, &[share(2), share(4), share(3)], &secret).unwrap();
    assert!(there.join("identity.before-restore").is_dir());
}
