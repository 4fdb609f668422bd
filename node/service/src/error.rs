//! What a use case can fail with: whose fault, a stable code, a text for outside and a cause that stays inside.

use std::borrow::Cow;
use std::fmt;

use eads_domain::code::{Code, Coded, Fault};

/// How a failure is to be answered; one table in the edge maps it to gRPC and HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The input is wrong and would be wrong again.
    Invalid,
    /// What was named does not exist, or the caller may not know that it does.
    NotFound,
    /// The caller is known and may not do this.
    Denied,
    /// The state does not allow it now.
    Conflict,
    /// Too much, too often.
    Exhausted,
    /// Not now; trying later can help.
    Unavailable,
    /// Versions do not meet.
    Incompatible,
    /// A fault of this node.
    Internal,
}

/// A failed use case.
#[derive(Debug)]
pub struct ServiceError {
    class: Class,
    code: Code,
    fault: Fault,
    text: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ServiceError {
    fn new(class: Class, fault: Fault, code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self { class, code: Code::new(code), fault, text: text.into(), hint: None, cause: None }
    }

    /// The caller's input is wrong.
    pub fn invalid(code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Class::Invalid, Fault::Caller, code, text)
    }

    /// What was named is not there.
    pub fn not_found(code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Class::NotFound, Fault::Caller, code, text)
    }

    /// The caller may not do this.
    pub fn denied(code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Class::Denied, Fault::Caller, code, text)
    }

    /// The state of things does not allow it.
    pub fn conflict(code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Class::Conflict, Fault::Caller, code, text)
    }

    /// A limit was reached.
    pub fn exhausted(code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Class::Exhausted, Fault::Caller, code, text)
    }

    /// This node cannot do it now.
    pub fn unavailable(code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Class::Unavailable, Fault::Ourselves, code, text)
    }

    /// The other side speaks a version that this node does not.
    pub fn incompatible(code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Class::Incompatible, Fault::Peer, code, text)
    }

    /// The peer sent what must not be accepted.
    pub fn peer(code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Class::Invalid, Fault::Peer, code, text)
    }

    /// Something of this node is broken.
    pub fn internal(code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Class::Internal, Fault::Ourselves, code, text)
    }

    /// From an error of the domain: its code and text stand, its fault decides the class.
    pub fn from_coded<E: Coded + Send + Sync + 'static>(error: E) -> Self {
        let class = match error.fault() {
            Fault::Caller | Fault::Peer => Class::Invalid,
            Fault::Ourselves => Class::Internal,
        };
        Self {
            class,
            code: error.code(),
            fault: error.fault(),
            text: error.to_string().into(),
            hint: None,
            cause: Some(Box::new(error)),
        }
    }

    /// From an error of the domain over bytes that a peer sent: always the peer's fault.
    pub fn from_peer<E: Coded + Send + Sync + 'static>(error: E) -> Self {
        Self { class: Class::Invalid, fault: Fault::Peer, ..Self::from_coded(error) }
    }

    /// From a refusal by a rule of this member: its code and text stand.
    pub fn denied_by<E: Coded + Send + Sync + 'static>(error: E) -> Self {
        Self { class: Class::Denied, ..Self::from_coded(error) }
    }

    /// Adds what the caller can do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Replaces the text that goes outside.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.text = text.into();
        self
    }

    /// Adds the cause, which is logged and never sent.
    #[must_use]
    pub fn caused_by(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }

    /// How it is to be answered.
    pub const fn class(&self) -> Class {
        self.class
    }

    /// What the caller can do next, if anything.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for ServiceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as &(dyn std::error::Error + 'static))
    }
}

impl Coded for ServiceError {
    fn code(&self) -> Code {
        self.code
    }

    fn fault(&self) -> Fault {
        self.fault
    }
}

macro_rules! coded {
    ($($error:ty),+ $(,)?) => {$(
        impl From<$error> for ServiceError {
            fn from(error: $error) -> Self {
                Self::from_coded(error)
            }
        }
    )+};
}

coded!(
    eads_domain::agreement::AgreementError,
    eads_domain::approval::ApprovalError,
    eads_domain::audience::AudienceError,
    eads_domain::audit::CountersignatureError,
    eads_domain::card::CardError,
    eads_domain::disclosure::DisclosureError,
    eads_domain::id::InvalidId,
    eads_domain::record::RecordError,
    eads_domain::register::CheckpointError,
    eads_domain::register::EquivocationError,
    eads_domain::register::FrontierError,
    eads_domain::slot::ContentError,
    eads_domain::slot::InvalidSlot,
    eads_domain::statement::InvalidDetail,
    eads_domain::statement::StatementError,
    eads_domain::subject::InvalidSubject,
    eads_domain::value::InvalidText,
    eads_domain::value::InvalidValue,
    eads_store::archive::ArchiveError,
    eads_store::journal::JournalError,
    eads_store::StoreError,
    eads_store::blobs::BlobError,
    eads_store::keys::KeyError,
    eads_store::vault::VaultError,
);
