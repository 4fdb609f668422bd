//! `[audit]`: how long what was asked, and that it was asked, is kept.

use eads_service::limits::Limits;
use serde::Deserialize;

const MAX_DAYS: u32 = 36_500;

/// How long; each key that is left out has its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, try_from = "Written")]
pub struct AuditConfig {
    query_days: u32,
    /// 0 is for ever.
    keep_days: u32,
}

impl AuditConfig {
    /// `limits` with what is written here.
    #[must_use]
    pub fn limits(&self, limits: Limits) -> Limits {
        let audit_keep_days = (self.keep_days > 0).then_some(self.keep_days);
        Limits { audit_query_days: self.query_days, audit_keep_days, ..limits }
    }
}

impl Default for AuditConfig {
    fn default() -> Self {
        let limits = Limits::default();
        Self { query_days: limits.audit_query_days, keep_days: limits.audit_keep_days.unwrap_or(0) }
    }
}

/// As it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    query_days: u32,
    keep_days: u32,
}

impl Default for Written {
    fn default() -> Self {
        let AuditConfig { query_days, keep_days } = AuditConfig::default();
        Self { query_days, keep_days }
    }
}

impl TryFrom<Written> for AuditConfig {
    type Error = String;

    fn try_from(Written { query_days, keep_days }: Written) -> Result<Self, String> {
        if !(1..=MAX_DAYS).contains(&query_days) {
            return Err(format!("audit.query_days must be 1 to {MAX_DAYS}, not {query_days}"));
        }
        if keep_days != 0 && !(query_days..=MAX_DAYS).contains(&keep_days) {
            return Err(format!(
                "audit.keep_days must be 0, or {query_days} (query_days) to {MAX_DAYS}, not {keep_days}"
            ));
        }
        Ok(Self { query_days, keep_days })
    }
}
