//! The first operators: a profile for each, ready to be handed out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use eads_domain::clock::Timestamp;
use eads_domain::operator::{OperatorName, Role, Roles};

use super::InitError;
use crate::identity::{Authority, create_private_dir, sync_dir, write_issued, write_list, write_public};

const DIRECTORY: &str = "profiles";

/// The operators that a new node has, with their roles. Two administrators, since decisions that cannot be undone
/// take two; and an issuer who is not the approver.
pub const PROFILES: [(&str, &[Role]); 6] = [
    ("admin-1", &[Role::Administrator]),
    ("admin-2", &[Role::Administrator]),
    ("issuer", &[Role::Officer, Role::Issuer]),
    ("approver", &[Role::Officer, Role::Approver]),
    ("officer", &[Role::Officer]),
    ("auditor", &[Role::Auditor]),
];

/// `profile.toml` of each operator below the data directory `dir`.
pub(super) fn paths(dir: &Path) -> Vec<PathBuf> {
    PROFILES.iter().map(|(name, _)| dir.join(DIRECTORY).join(name).join("profile.toml")).collect()
}

/// Issues a certificate for each operator, writes its profile, and enters the certificate into the list of those that
/// the node enrols at its start.
pub(super) fn write(root: &Path, authority: &Authority, listen: SocketAddr, now: Timestamp) -> Result<(), InitError> {
    let profiles = root.join(DIRECTORY);
    create_private_dir(&profiles)?;
    let mut certificates = Vec::new();
    for (name, roles) in PROFILES {
        let dir = profiles.join(name);
        create_private_dir(&dir)?;
        let operator: OperatorName = name.parse()?;
        let roles: Roles = roles.iter().copied().collect();
        let issued = authority.issue_operator(&operator, roles, now)?;
        write_issued(&dir, "operator", &issued)?;
        certificates.push(issued.certificate_der()?);
        write_public(&dir.join("ca.crt"), authority.anchor_pem().as_bytes())?;
        write_public(&dir.join("profile.toml"), profile(&operator, roles, listen).as_bytes())?;
        sync_dir(&dir)?;
    }
    write_list(root, &certificates)?;
    Ok(sync_dir(&profiles)?)
}

fn profile(operator: &OperatorName, roles: Roles, listen: SocketAddr) -> String {
    let endpoint = SocketAddr::new(reachable(listen.ip()), listen.port());
    format!(
        r#"# Profile of the operator {operator} ({roles}). Paths are relative to this file.
# Hand the whole directory to that person, over a channel that you trust, and remove it here.
endpoint = "{endpoint}"
server_name = "localhost"
ca = "ca.crt"
certificate = "operator.crt"
key = "operator.key"
"#
    )
}

/// Nobody can dial "every address".
fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}
