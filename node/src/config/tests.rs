use std::time::Duration;

use super::*;

fn sample() -> String {
    let endpoints = ["node.my.example:7443".parse().unwrap(), "[2001:db8::1]:7443".parse().unwrap()];
    Template {
        member: "MY".parse().unwrap(),
        peer_listen: "0.0.0.0:7443".parse().unwrap(),
        operator_listen: "127.0.0.1:7444".parse().unwrap(),
        endpoints: &endpoints,
    }
    .render()
}

#[test]
fn what_init_writes_is_read_back_and_means_the_defaults() {
    let config = Config::parse(&sample()).unwrap();
    assert_eq!(config.member.to_string(), "MY");
    assert_eq!(config.peers.advertised.len(), 2);
    assert_eq!(config.limits, LimitsConfig::default());
    assert_eq!(config.store, StoreConfig::default());
    assert_eq!(config.audit, AuditConfig::default());
    assert_eq!(config.log, LogConfig::default());
    let uncommented: String = sample()
        .lines()
        .map(|line| {
            line.strip_prefix("# ")
                .filter(|l| l.contains("_seconds =") || l.contains("_mib =") || l.contains("_days ="))
                .unwrap_or(line)
        })
        .map(|l| format!("{l}\n"))
        .collect();
    assert_ne!(uncommented, sample());
    assert_eq!(Config::parse(&uncommented).unwrap(), config, "the figures in the comments are the defaults");
}

#[test]
fn the_directory_is_relative_to_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    std::fs::write(&path, sample().replace("dir = \".\"", "dir = \"data\"")).unwrap();
    assert_eq!(Config::load(&path).unwrap().dir, dir.path().join("data"));
    let missing = Config::load(&dir.path().join("other.toml")).unwrap_err();
    assert!(matches!(missing, ConfigError::Unreadable { .. }));
}

#[test]
fn what_is_not_understood_is_refused_with_the_reason() {
    for (from, to, reason) in [
        ("[log]", "[log]\ncolour = true", "unknown field `colour`"),
        ("[limits]", "[limits]\nconnection = 1", "unknown field `connection`"),
        ("[limits]", "[limits]\nhandshakes = 0", "limits.handshakes must be 1 to 10000"),
        ("[notices]", "[notices]\nemergency_hours = 0", "notices.emergency_hours must be 1 to 72"),
        ("[notices]", "[notices]\nemergency_hours = 73", "notices.emergency_hours must be 1 to 72"),
        // Four eyes are not configured.
        ("[notices]", "[notices]\nfour_eyes = false", "unknown field `four_eyes`"),
        ("[store]", "[store]\nreserve_mib = 63", "store.reserve_mib must be 64 to 1048576"),
        ("[store]", "[store]\nreserve = 256", "unknown field `reserve`"),
        ("member = \"MY\"", "member = \"my\"", "two capital letters"),
        ("node.my.example:7443", "node.my.example", "is not an endpoint"),
        ("format = \"text\"", "format = \"xml\"", "unknown variant `xml`"),
        ("filter = \"info\"", "filter = \"eads=loud\"", "log.filter"),
        ("127.0.0.1:7444", "0.0.0.0:7443", "must differ"),
        ("[operators]", "[people]", "unknown field `people`"),
    ] {
        let error = Config::parse(&sample().replacen(from, to, 1)).unwrap_err();
        assert!(error.contains(reason), "{to}: {error}");
    }
}

#[test]
fn a_limit_reaches_listener_and_connector() {
    let text = sample().replace("# handshake_timeout_seconds = 10", "handshake_timeout_seconds = 7");
    let limits = Config::parse(&text).unwrap().limits;
    assert_eq!(limits.listener().handshake_timeout, Duration::from_secs(7));
    assert_eq!(limits.connect().handshake, Duration::from_secs(7));
}
