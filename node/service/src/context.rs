//! Who calls, why, and under which request: handed to every use case.

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
}

impl Call {
    /// The caller as the audit log names it.
    pub fn actor(&self) -> Actor {
        Actor::Operator {
            name: self.operator.name.to_string(),
            roles: self.operator.roles.iter().map(|role| role.as_str().to_owned()).collect(),
        }
    }
}
