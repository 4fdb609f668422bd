//! Stable error codes and whose fault an error is.
//!
//! Every error that can reach an officer, a peer or an operator of the node carries a [`Code`]. Codes are part
//! of the interface: they never change meaning and are never reused. Texts may change at any time.

use std::fmt;

/// Who has to act for the error to go away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The one who called: an officer, an administrator, a program.
    Caller,
    /// The peer that sent the bytes.
    Peer,
    /// This node or its machine.
    Ourselves,
}

/// A stable, documented identifier of an error, `UPPER_SNAKE_CASE`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(&'static str);

impl Code {
    /// Names a code; call sites use literals only.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The code as it appears on the wire and in outputs.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What every error of this house can say about itself.
pub trait Coded: std::error::Error {
    /// The stable code.
    fn code(&self) -> Code;

    /// Whose fault it is.
    fn fault(&self) -> Fault;
}
