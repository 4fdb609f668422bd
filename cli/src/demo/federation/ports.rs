//! Ports of the loopback interface that nobody else listens on.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use eads_domain::entropy::{Entropy, random};

/// Below the range from which systems take the ports of outgoing connections: a node that was killed must find
/// its port free when it comes back.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;
const ATTEMPTS: usize = 200;

/// Holds a free port until it is dropped, so that the next one is another.
pub(super) struct HeldPort(TcpListener);

impl HeldPort {
    /// Some free port.
    pub(super) fn take(entropy: &dyn Entropy) -> std::io::Result<Self> {
        for _ in 0..ATTEMPTS {
            let port = FIRST + u16::from_be_bytes(random(entropy)) % COUNT;
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                return Ok(Self(listener));
            }
        }
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map(Self)
    }

    /// Where it is.
    pub(super) fn address(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use eads_domain::entropy::SystemEntropy;

    use super::*;

    #[test]
    fn held_ports_differ() {
        let held: Vec<HeldPort> = (0..20).map(|_| HeldPort::take(&SystemEntropy).expect("a port")).collect();
        let ports: BTreeSet<u16> = held.iter().map(|held| held.address().expect("address").port()).collect();
        assert_eq!(ports.len(), held.len());
    }
}
