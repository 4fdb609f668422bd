//! How a peer stands with this node.

use eads_domain::clock::Timestamp;
use eads_proto::v1 as proto;
use serde::Serialize;

use crate::output::{Grid, Page, Tone, age, json_time};

/// A clock that differs from ours by more than this is worth a remark, seconds.
const SKEW_REMARK: u64 = 60;

/// A peer in JSON.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct PeerView {
    pub(in crate::commands) member: String,
    display_name: String,
    standing: String,
    /// "candidate", "accepted", "recall-only", "frozen".
    pub(in crate::commands) state: String,
    connected: bool,
    register_cursor: u64,
    delivery_cursor: u64,
    checkpoint: String,
    last_heard: Option<String>,
    #[serde(skip)]
    last_heard_unix: i64,
    clock_skew_seconds: i64,
    last_error: String,
    endpoints: Vec<String>,
    card_sequence: u64,
    /// Entries of the own register that the peer has cosigned.
    pub(in crate::commands) cosigned_size: u64,
    pub(in crate::commands) cosigned_at: Option<String>,
    awaiting_receipt: u64,
    owed_receipts: u64,
}

impl PeerView {
    /// All of them as a table, with a line for each that is in trouble.
    pub(in crate::commands) fn show_all(peers: &[Self], page: &mut Page, now: Timestamp) {
        if peers.is_empty() {
            page.line("no peers");
            return;
        }
        let mut grid =
            Grid::new(&["MEMBER", "NAME", "STANDING", "STATE", "LINK", "ENTRIES", "LAST HEARD", "UNRECEIPTED", "OWED"]);
        for peer in peers {
            let state = match peer.state.as_str() {
                "accepted" => Tone::Good,
                "frozen" => Tone::Bad,
                _ => Tone::Caution,
            };
            let link = if peer.connected { ("up", Tone::Good) } else { ("down", Tone::Caution) };
            grid.row([
                (peer.member.clone(), Tone::Plain),
                (peer.display_name.clone(), Tone::Plain),
                (peer.standing.clone(), Tone::Plain),
                (peer.state.clone(), state),
                (link.0.to_owned(), link.1),
                (peer.register_cursor.to_string(), Tone::Plain),
                (age(now, peer.last_heard_unix), Tone::Plain),
                (peer.awaiting_receipt.to_string(), Tone::Plain),
                (peer.owed_receipts.to_string(), Tone::Plain),
            ]);
        }
        page.grid(&grid);
        for peer in peers {
            if !peer.last_error.is_empty() {
                page.toned(&format!("{}: {}", peer.member, peer.last_error), Tone::Bad);
            }
            if peer.clock_skew_seconds.unsigned_abs() > SKEW_REMARK {
                let text = format!("{}: its clock differs by {} s", peer.member, peer.clock_skew_seconds);
                page.toned(&text, Tone::Caution);
            }
        }
    }
}

impl From<proto::PeerStatus> for PeerView {
    fn from(peer: proto::PeerStatus) -> Self {
        Self {
            member: peer.member,
            display_name: peer.display_name,
            standing: peer.standing,
            state: peer.state,
            connected: peer.connected,
            register_cursor: peer.register_cursor,
            delivery_cursor: peer.delivery_cursor,
            checkpoint: String::from_utf8_lossy(&peer.checkpoint).into_owned(),
            last_heard: json_time(peer.last_heard),
            last_heard_unix: peer.last_heard,
            clock_skew_seconds: peer.clock_skew,
            last_error: peer.last_error,
            endpoints: peer.endpoints,
            card_sequence: peer.card_sequence,
            cosigned_size: peer.cosigned_size,
            cosigned_at: json_time(peer.cosigned_at),
            awaiting_receipt: peer.awaiting_receipt,
            owed_receipts: peer.owed_receipts,
        }
    }
}
