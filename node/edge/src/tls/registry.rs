//! Live connections by member or by operator, so that all of one can be ended at once.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eads_domain::id::MemberId;
use eads_domain::operator::OperatorName;
use eads_service::officers::OfficerLines;
use tokio_util::sync::CancellationToken;

/// One connection of this process; never reused while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// The next free one.
    pub(super) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

type Live<K> = HashMap<K, HashMap<ConnectionId, CancellationToken>>;

/// Every live connection with a peer, accepted or dialled. Share one between listener and connector.
pub type ConnectionRegistry = Registry<MemberId>;

/// Every live connection of an operator.
pub type OperatorRegistry = Registry<OperatorName>;

/// Live connections by whose they are.
#[derive(Clone, Debug)]
pub struct Registry<K>(Arc<Mutex<Live<K>>>);

impl<K> Default for Registry<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl OfficerLines for OperatorRegistry {
    fn cut(&self, name: &OperatorName) {
        Registry::cut(self, name.clone());
    }
}

impl<K: Clone + Eq + Hash + Ord> Registry<K> {
    /// With no connections.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends all live connections with `member` at once, streams in flight included; returns how many.
    ///
    /// Change the directory that the listener asks first: a handshake under way looks there once more after it has
    /// registered here, so that none slips through between the two.
    pub fn cut(&self, member: K) -> usize {
        let cut = self.live().remove(&member).unwrap_or_default();
        for token in cut.values() {
            token.cancel();
        }
        cut.len()
    }

    /// How many live connections with `member` there are.
    pub fn count(&self, member: K) -> usize {
        self.live().get(&member).map_or(0, HashMap::len)
    }

    /// Those with live connections, and how many each has.
    pub fn connected(&self) -> Vec<(K, usize)> {
        let mut members: Vec<_> = self.live().iter().map(|(member, live)| (member.clone(), live.len())).collect();
        members.sort_unstable();
        members
    }

    /// Enters a connection unless `member` has `limit` already. It leaves when the lease is dropped.
    pub(super) fn enter(&self, member: K, limit: usize) -> Option<Lease>
    where
        Entry: From<(Self, K)>,
    {
        let mut live = self.live();
        let of_member = live.entry(member.clone()).or_default();
        if of_member.len() >= limit {
            return None;
        }
        let (id, token) = (ConnectionId::next(), CancellationToken::new());
        of_member.insert(id, token.clone());
        Some(Lease { id, cut: token, entry: Some((self.clone(), member).into()) })
    }

    fn leave(&self, member: &K, connection: ConnectionId) {
        let mut live = self.live();
        if let Some(of_member) = live.get_mut(member) {
            of_member.remove(&connection);
            if of_member.is_empty() {
                live.remove(member);
            }
        }
    }

    fn live(&self) -> MutexGuard<'_, Live<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a connection is registered.
#[derive(Debug)]
pub(super) enum Entry {
    Peer(ConnectionRegistry, MemberId),
    Operator(OperatorRegistry, OperatorName),
}

impl From<(ConnectionRegistry, MemberId)> for Entry {
    fn from((registry, member): (ConnectionRegistry, MemberId)) -> Self {
        Self::Peer(registry, member)
    }
}

impl From<(OperatorRegistry, OperatorName)> for Entry {
    fn from((registry, name): (OperatorRegistry, OperatorName)) -> Self {
        Self::Operator(registry, name)
    }
}

/// The right of one connection to exist.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) id: ConnectionId,
    /// Cancelled when the connection must end at once.
    pub(super) cut: CancellationToken,
    entry: Option<Entry>,
}

impl Lease {
    /// The peer whose connection it is, where a registry keeps it.
    pub(super) fn member(&self) -> Option<MemberId> {
        match &self.entry {
            Some(Entry::Peer(_, member)) => Some(*member),
            Some(Entry::Operator(..)) | None => None,
        }
    }

    /// For a connection that is in no registry.
    pub(super) fn unregistered() -> Self {
        Self { id: ConnectionId::next(), cut: CancellationToken::new(), entry: None }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        match self.entry.take() {
            Some(Entry::Peer(registry, member)) => registry.leave(&member, self.id),
            Some(Entry::Operator(registry, name)) => registry.leave(&name, self.id),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_reaches_every_connection_of_the_member_and_no_other() {
        let registry = ConnectionRegistry::new();
        let (my, th) = ("MY".parse().unwrap(), "TH".parse().unwrap());
        let mine = [registry.enter(my, 2).unwrap(), registry.enter(my, 2).unwrap()];
        let theirs = registry.enter(th, 2).unwrap();
        assert!(registry.enter(my, 2).is_none(), "the limit holds");
        assert_eq!(registry.connected(), vec![(my, 2), (th, 1)]);

        assert_eq!(registry.cut(my), 2);
        assert!(mine.iter().all(|lease| lease.cut.is_cancelled()));
        assert!(!theirs.cut.is_cancelled());
        assert_eq!(registry.count(my), 0);

        let again = registry.enter(my, 1).unwrap();
        drop(mine);
        assert_eq!(registry.count(my), 1, "an old connection's end does not touch a new one");
        drop((again, theirs));
        assert_eq!(registry.connected(), vec![]);
    }
}
