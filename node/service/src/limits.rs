//! Every bound and deadline of the use cases, in one place.

use std::time::Duration;

/// Bounds and deadlines; the defaults are those of a national node.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Between two heartbeats of an idle sync stream.
    pub heartbeat: Duration,
    /// How long one item of a stream may make no progress before the stream is dropped; while bytes move it is waited
    /// for.
    pub stall: Duration,
    /// How long opening a connection may take.
    pub connect: Duration,
    /// For all answers to one search together.
    pub search_deadline: Duration,
    /// How much of it is kept back for the own work after the last peer.
    pub search_margin: Duration,
    /// First and longest pause between attempts to reach a peer; doubled with jitter in between. The longest bounds
    /// how late a withdrawal is after a line has healed.
    pub backoff: (Duration, Duration),
    /// How long the purge worker gathers keys before it destroys them together.
    pub purge_gather: Duration,
    /// Between two looks for ended validities.
    pub expiry_interval: Duration,
    /// Between two anchors of the audit log in the register.
    pub anchor_interval: Duration,
    /// After an exchange of checkpoints with a peer, the shortest time before the next one.
    pub exchange_gap: Duration,
    /// Between two exchanges with a peer when nothing has changed.
    pub exchange_interval: Duration,
    /// After a start, how long signing waits for the cursors of all peers; after that, those of one are enough.
    pub start_wait: Duration,
    /// How long a call that has to sign waits for that before it is refused.
    pub sequencing_patience: Duration,
    /// Between two entries that tell how many questions of a peer were refused.
    pub refusals_interval: Duration,
    /// The most hits of one answer.
    pub hits: usize,
    /// The most candidates that one name query may examine.
    pub search_budget: usize,
    /// Age of the owner's checkpoint, seconds, above which a coercive notice must be confirmed first.
    pub view_age_seconds: i64,
    /// How far a peer's clock may lead before its statements count as not yet valid, seconds.
    pub clock_tolerance_seconds: i64,
    /// How long withdrawal marks outlive the longest validity, seconds.
    pub mark_margin_seconds: i64,
    /// The longest validity that a notice may have, seconds.
    pub longest_validity_seconds: i64,
    /// How long what one officer issued in an emergency stays in force without a second officer, seconds.
    pub emergency_seconds: i64,
    /// How long an uploaded photograph waits for a draft that names it, seconds.
    pub loose_blob_seconds: i64,
    /// First and longest pause after a photograph that a peer served wrongly, seconds; doubled in between.
    pub blob_retry_seconds: (i64, i64),
    /// How long a purge receipt may be owed before an alarm says so, seconds.
    pub purge_owed_seconds: i64,
    /// Between two looks for purge receipts that are owed, seconds.
    pub purge_owed_look_seconds: i64,
    /// How long before its deadline an access request that is not answered raises an alarm, seconds.
    pub subject_request_warning_seconds: i64,
    /// How long questions stay readable in the audit log, days.
    pub audit_query_days: u32,
    /// How long an officer's certificate is valid where nothing else is asked for, days.
    pub officer_days: u32,
    /// The longest validity of an officer's certificate, days.
    pub officer_days_most: u32,
    /// How long entries of the audit log are kept, days; none is for ever.
    pub audit_keep_days: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(10),
            stall: Duration::from_secs(35),
            connect: Duration::from_secs(5),
            search_deadline: Duration::from_secs(10),
            search_margin: Duration::from_millis(200),
            backoff: (Duration::from_millis(200), Duration::from_secs(20)),
            purge_gather: Duration::from_millis(100),
            expiry_interval: Duration::from_secs(5),
            anchor_interval: Duration::from_secs(3600),
            exchange_gap: Duration::from_secs(5),
            exchange_interval: Duration::from_secs(60),
            start_wait: Duration::from_secs(60),
            sequencing_patience: Duration::from_secs(3),
            refusals_interval: Duration::from_secs(60),
            hits: 20,
            search_budget: 100_000,
            view_age_seconds: 3600,
            clock_tolerance_seconds: 300,
            mark_margin_seconds: 400 * 86_400,
            longest_validity_seconds: 10 * 366 * 86_400,
            emergency_seconds: 24 * 3600,
            loose_blob_seconds: 86_400,
            blob_retry_seconds: (60, 6 * 3600),
            purge_owed_seconds: 86_400,
            purge_owed_look_seconds: 600,
            subject_request_warning_seconds: 7 * 86_400,
            audit_query_days: 365,
            officer_days: 90,
            officer_days_most: 366,
            audit_keep_days: None,
        }
    }
}
