//! `[notices]`: the life of own notices. That two officers act is not configured: it is so.

use eads_domain::life::LONGEST_EMERGENCY_HOURS;
use serde::Deserialize;

const SECONDS_AN_HOUR: i64 = 3600;

/// The life of own notices; each key that is left out has its default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, try_from = "Written")]
pub struct NoticesConfig {
    emergency_hours: Option<u32>,
}

impl NoticesConfig {
    /// How long what one officer issued in an emergency stays in force without a second officer, seconds; `usual`
    /// where the file does not say.
    pub fn emergency_seconds(&self, usual: i64) -> i64 {
        self.emergency_hours.map_or(usual, |hours| i64::from(hours) * SECONDS_AN_HOUR)
    }
}

/// As it stands in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    emergency_hours: Option<u32>,
}

impl TryFrom<Written> for NoticesConfig {
    type Error = String;

    fn try_from(Written { emergency_hours }: Written) -> Result<Self, String> {
        if emergency_hours.is_some_and(|hours| !(1..=LONGEST_EMERGENCY_HOURS).contains(&hours)) {
            return Err(format!("notices.emergency_hours must be 1 to {LONGEST_EMERGENCY_HOURS}"));
        }
        Ok(Self { emergency_hours })
    }
}
