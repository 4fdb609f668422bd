//! Who calls, why, and under which request: handed to every use case.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eads_domain::id::RequestId;
use eads_domain::operator::Operator;

use crate::audit::Actor;

/// One call by an officer or administrator of this member.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who the certificate says it is.
    pub operator: Operator,
    /// The certificate itself, DER.
    pub certificate: Vec<u8>,
    /// End to end, the same at every member concerned.
    pub request: RequestId,
    /// Whether anything of it was written to the audit log yet; clones are of the same call.
    written: Arc<AtomicBool>,
}

impl Call {
    /// A call that nothing was written of yet.
    pub fn new(operator: Operator, certificate: Vec<u8>, request: RequestId) -> Self {
        Self { operator, certificate, request, written: Arc::default() }
    }

    /// Whether the audit log knows of it.
    pub fn is_written(&self) -> bool {
        self.written.load(Ordering::Acquire)
    }

    /// The audit log knows of it, or is about to.
    pub(crate) fn mark_written(&self) {
        self.written.store(true, Ordering::Release);
    }

    /// The caller as the audit log names it.
    pub fn actor(&self) -> Actor {
        Actor::Operator {
            name: self.operator.name.to_string(),
            roles: self.operator.roles.iter().map(|role| role.as_str().to_owned()).collect(),
        }
    }
}
