//! Randomness as a parameter, so that tests and vectors can repeat what a node did.

use std::fmt;
use std::sync::Mutex;

use sha2::{Digest as _, Sha256};

/// A source of unpredictable bytes.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills `out` completely.
    fn fill(&self, out: &mut [u8]);
}

/// `N` fresh bytes from `entropy`.
pub fn random<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut out = [0; N];
    entropy.fill(&mut out);
    out
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// # Panics
    /// When the operating system has no randomness to give: nothing this node does would be safe then.
    #[allow(
        clippy::expect_used,
        clippy::disallowed_methods,
        reason = "the one place; a node without randomness must stop"
    )]
    fn fill(&self, out: &mut [u8]) {
        getrandom::fill(out).expect("the operating system gives random bytes");
    }
}

/// A repeatable stream, SHA-256(seed ‖ counter); for tests and published vectors only.
#[derive(Debug)]
pub struct SeededEntropy {
    seed: [u8; 32],
    state: Mutex<(u64, Vec<u8>)>,
}

impl SeededEntropy {
    /// The stream that belongs to `seed`.
    pub fn new(seed: &str) -> Self {
        Self { seed: Sha256::digest(seed.as_bytes()).into(), state: Mutex::new((0, Vec::new())) }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for byte in out {
            if state.1.is_empty() {
                let mut hasher = Sha256::new();
                hasher.update(self.seed);
                hasher.update(state.0.to_be_bytes());
                state.0 += 1;
                state.1 = hasher.finalize().to_vec();
            }
            *byte = state.1.pop().unwrap_or_default();
        }
    }
}
