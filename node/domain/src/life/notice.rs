//! The life of an issued notice.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Refused, Whose};
use crate::operator::Role;
use crate::statement::Action;

/// Where an own notice is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Life {
    /// Issued and in force.
    Issued,
    /// Not to be acted on.
    Suspended,
    /// Ended by its owner.
    Withdrawn,
    /// Ended by its end of validity.
    Expired,
}

/// What can be done with an issued notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoticeAct {
    /// Say something else; drafted and approved.
    Amend,
    /// Say the same for longer: an amendment, drafted and approved.
    Extend,
    /// Sign in the late approval of an emergency: an amendment, drafted and approved. Ends its suspension too.
    Confirm,
    /// Stop everybody from acting on it: one officer's act.
    Suspend,
    /// Let it be acted on again; drafted and approved.
    Resume,
    /// End it for good; drafted and approved.
    Withdraw,
    /// Suspend an emergency that no second officer approved in time.
    Lapse,
    /// End it with its validity.
    Expire,
}

impl Life {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Issued, Self::Suspended, Self::Withdrawn, Self::Expired];

    /// What it is called in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "in force",
            Self::Suspended => "suspended",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
        }
    }

    /// What `act` leads to from here.
    ///
    /// # Errors
    /// [`Refused::Notice`] where it is not possible.
    pub const fn after(self, act: NoticeAct) -> Result<Self, Refused> {
        use NoticeAct::{Amend, Confirm, Expire, Extend, Lapse, Resume, Suspend, Withdraw};
        match (self, act) {
            (Self::Issued, Amend | Extend | Confirm) | (Self::Suspended, Resume | Confirm) => Ok(Self::Issued),
            (Self::Issued, Suspend | Lapse) => Ok(Self::Suspended),
            (Self::Issued | Self::Suspended, Withdraw) => Ok(Self::Withdrawn),
            (Self::Issued | Self::Suspended, Expire) => Ok(Self::Expired),
            (life, act) => Err(Refused::Notice { life, act }),
        }
    }
}

impl NoticeAct {
    /// Every act.
    pub const ALL: [Self; 8] = [
        Self::Amend,
        Self::Extend,
        Self::Confirm,
        Self::Suspend,
        Self::Resume,
        Self::Withdraw,
        Self::Lapse,
        Self::Expire,
    ];

    /// What it is called in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Amend => "amend",
            Self::Extend => "extend",
            Self::Confirm => "confirm",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Withdraw => "withdraw",
            Self::Lapse => "lapse",
            Self::Expire => "expire",
        }
    }

    /// The act that a drafted statement does; `None` for what is not drafted about an issued notice.
    pub const fn of(action: Action) -> Option<Self> {
        match action {
            Action::Amend => Some(Self::Amend),
            Action::Resume => Some(Self::Resume),
            Action::Withdraw => Some(Self::Withdraw),
            _ => None,
        }
    }

    /// The method of the operator interface that begins it; none for what the node does by itself.
    pub const fn method(self) -> Option<&'static str> {
        match self {
            Self::Amend | Self::Resume | Self::Withdraw => Some("CreateDraft"),
            Self::Extend => Some("ExtendNotice"),
            Self::Confirm => Some("ConfirmEmergency"),
            Self::Suspend => Some("SuspendNotice"),
            Self::Lapse | Self::Expire => None,
        }
    }

    /// The roles of which one is needed to begin it.
    pub const fn roles(self) -> &'static [Role] {
        match self {
            Self::Amend | Self::Extend | Self::Confirm | Self::Resume | Self::Withdraw => &[Role::Issuer],
            Self::Suspend => &[Role::Issuer, Role::Approver],
            Self::Lapse | Self::Expire => &[],
        }
    }

    /// Whose act it must be.
    pub const fn whose(self) -> Whose {
        match self {
            Self::Lapse | Self::Expire => Whose::Node,
            _ => Whose::Anyone,
        }
    }

    /// Whether it takes a second officer: everything but what only protects, and what time alone does.
    pub const fn takes_approval(self) -> bool {
        !matches!(self, Self::Suspend | Self::Lapse | Self::Expire)
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for NoticeAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
