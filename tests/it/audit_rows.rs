//! ITI-20, row by row (security.md 2.3 and 2.4): each record received by syslog from a real gateway that did the real
//! transaction, in both roles where both are ours. The expectations are written here by hand, not taken from the
//! program's own tables; what those have and this has not fails.

mod documents;
mod events;
mod identity;

use std::collections::BTreeSet;

use chiren::model::audit::message::{AuditMessage, Object};
use chiren::model::audit::rows;

use crate::support::arr::{Arr, Arrived};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    /// Who asked writes it.
    Sender,
    Receiver,
}
use Side::{Receiver, Sender};

/// EventTypeCode, who writes it, EventID, the actions, and which objects there are: `PAT`, `QRY`, `SUB`, `DOC`, `OBJ`.
type Expected = (&'static str, Side, &'static str, &'static [&'static str], &'static [&'static str]);

/// By `identity.rs`.
const IDENTITY: &[Expected] = &[
    ("ITI-8", Receiver, "110110", &["C", "U", "D"], &["PAT"]),
    ("ITI-9", Receiver, "110112", &["E"], &["PAT", "QRY"]),
    ("ITI-10", Sender, "110110", &["R"], &["PAT"]),
    ("ITI-21", Receiver, "110112", &["E"], &["PAT", "QRY"]),
    ("ITI-30", Receiver, "110110", &["C"], &["PAT"]),
    ("ITI-31", Receiver, "110110", &["U"], &["PAT"]),
    ("ITI-44", Receiver, "110110", &["C", "U", "D"], &["PAT"]),
    ("ITI-44", Sender, "110110", &["C"], &["PAT"]),
    ("ITI-45", Receiver, "110112", &["E"], &["PAT", "QRY"]),
    ("ITI-45", Sender, "110112", &["E"], &["PAT", "QRY"]),
    ("ITI-46", Receiver, "110110", &["U"], &["PAT"]),
    ("ITI-46", Sender, "110110", &["R"], &["PAT"]),
    ("ITI-47", Receiver, "110112", &["E"], &["PAT", "QRY"]),
    ("ITI-55", Receiver, "110112", &["E"], &["PAT", "QRY"]),
    ("ITI-55", Sender, "110112", &["E"], &["QRY"]),
    ("ITI-56", Receiver, "110112", &["E"], &["PAT", "QRY"]),
    ("ITI-78", Receiver, "110112", &["E"], &["PAT", "QRY"]),
    ("ITI-83", Receiver, "110112", &["E"], &["PAT", "QRY"]),
    ("ITI-104", Receiver, "110110", &["C"], &["PAT"]),
    ("ITI-119", Receiver, "110112", &["E"], &["PAT", "QRY"]),
];

/// By `documents.rs`.
const DOCUMENTS: &[Expected] = &[
    ("ITI-18", Receiver, "110112", &["E"], &["PAT", "QRY"]),
    ("ITI-18", Sender, "110112", &["E"], &["PAT", "QRY"]),
    ("ITI-38", Receiver, "110112", &["E"], &["PAT", "QRY"]),
    ("ITI-38", Sender, "110112", &["E"], &["PAT", "QRY"]),
    ("ITI-39", Receiver, "110106", &["R"], &["PAT", "DOC"]),
    ("ITI-39", Sender, "110107", &["C"], &["DOC"]),
    ("ITI-41", Receiver, "110107", &["C"], &["PAT", "SUB"]),
    ("ITI-42", Receiver, "110107", &["C"], &["PAT", "SUB"]),
    ("ITI-42", Sender, "110106", &["R"], &["PAT", "SUB"]),
    ("ITI-43", Receiver, "110106", &["R"], &["PAT", "DOC"]),
    ("ITI-43", Sender, "110107", &["C"], &["PAT", "DOC"]),
    ("ITI-51", Receiver, "110112", &["E"], &["PAT", "QRY"]),
    ("ITI-57", Receiver, "110107", &["U"], &["PAT", "SUB"]),
    ("ITI-61", Receiver, "110107", &["C"], &["PAT", "SUB"]),
    ("ITI-62", Receiver, "110110", &["D"], &["PAT", "OBJ"]),
    ("ITI-86", Receiver, "110110", &["D"], &["PAT", "OBJ"]),
    ("ITI-92", Receiver, "110107", &["U"], &["PAT", "SUB"]),
];

/// Sides that are not ours, and why.
const NOT_OURS: &[(&str, Side, &str)] = &[
    ("ITI-8", Sender, "we are no Patient Identity Source of HL7 v2"),
    ("ITI-9", Sender, "we ask by ITI-45"),
    ("ITI-10", Receiver, "notices of others come by ITI-46"),
    ("ITI-21", Sender, "we ask no supplier"),
    ("ITI-30", Sender, "as ITI-8"),
    ("ITI-31", Sender, "as ITI-8"),
    ("ITI-41", Sender, "no Document Source but `chiren send`, which is a test client"),
    ("ITI-47", Sender, "we ask no supplier"),
    ("ITI-51", Sender, "gateways pass on ITI-18 alone"),
    ("ITI-56", Sender, "a gateway asks for places of nobody"),
    ("ITI-57", Sender, "no Document Administrator"),
    ("ITI-61", Sender, "no On-Demand Document Source of another registry"),
    ("ITI-62", Sender, "no Document Administrator"),
    ("ITI-65", Sender, "not built"),
    ("ITI-65", Receiver, "not built"),
    ("ITI-66", Sender, "not built"),
    ("ITI-66", Receiver, "not built"),
    ("ITI-67", Sender, "not built"),
    ("ITI-67", Receiver, "not built"),
    ("ITI-68", Sender, "not built"),
    ("ITI-68", Receiver, "not built"),
    ("ITI-78", Sender, "we ask no supplier"),
    ("ITI-83", Sender, "we ask by ITI-45"),
    ("ITI-86", Sender, "no Document Administrator"),
    ("ITI-92", Sender, "no Update Initiator"),
    ("ITI-104", Sender, "we feed by ITI-44"),
    ("ITI-119", Sender, "we ask no supplier"),
];

#[test]
fn every_row_is_seen_on_the_wire_in_each_role_that_is_ours() {
    let tested: BTreeSet<(&str, Side)> =
        IDENTITY.iter().chain(DOCUMENTS).map(|(code, side, ..)| (*code, *side)).collect();
    let left: BTreeSet<(&str, Side)> = NOT_OURS.iter().map(|(code, side, _)| (*code, *side)).collect();
    for row in rows::ROWS {
        for side in [Sender, Receiver] {
            let (seen, out) = (tested.contains(&(row.code, side)), left.contains(&(row.code, side)));
            assert!(seen != out, "{} {side:?}: add it to tests/it/audit_rows.rs", row.code);
        }
    }
    assert_eq!(tested.len() + left.len(), 2 * rows::ROWS.len());
}

fn event_type(m: &AuditMessage) -> &str {
    m.types.first().map_or("", |t| t.code.as_str())
}

/// Which side wrote it: its process stands at its own participant. Documents flow against the request.
fn side(m: &AuditMessage) -> Side {
    let own = m.participants.iter().find(|p| p.alternative_user_id.is_some()).expect("who wrote it");
    let source = own.roles.iter().any(|r| r.code == "110153");
    let retrieve = matches!(event_type(m), "ITI-39" | "ITI-43" | "ITI-68");
    if source == retrieve { Receiver } else { Sender }
}

fn kind(object: &Object) -> &'static str {
    match (object.kind, object.role, object.id_type.code.as_str()) {
        (Some(1), Some(1), "2") => "PAT",
        (Some(2), Some(24), _) => "QRY",
        (Some(2), Some(20), _) => "SUB",
        (Some(2), Some(3), _) if object.lifecycle == Some(15) => "OBJ",
        (Some(2), Some(3), "9") => "DOC",
        _ => "?",
    }
}

/// Records of transactions as they arrived, each valid by the schema.
fn transactions(arrived: &[Arrived]) -> Vec<AuditMessage> {
    let all = arrived.iter().map(Arrived::message);
    all.filter(|m| event_type(m).starts_with("ITI-") && event_type(m) != "ITI-81").collect()
}

/// Waits until each row has arrived, then holds every success of each against it.
async fn held_against(arr: &Arr, table: &[Expected]) -> Vec<AuditMessage> {
    let of = |messages: &[AuditMessage], row: &Expected| -> Vec<AuditMessage> {
        let (of, written_by, ..) = *row;
        let fits = |m: &&AuditMessage| event_type(m) == of && m.outcome == 0 && side(m) == written_by;
        messages.iter().filter(fits).cloned().collect()
    };
    // How far it came is worth more than that something did not come.
    let last = table.iter().map(|row| format!("\"{}\"", row.0)).collect::<Vec<_>>();
    let arrived = arr
        .until("a record of each row", |a| {
            let all: Vec<String> = a.iter().map(Arrived::xml).collect();
            last.iter().all(|code| all.iter().any(|xml| xml.contains(code)))
        })
        .await;
    let mut messages = transactions(&arrived);
    for row in table {
        let (code, written_by, event, actions, objects) = *row;
        if of(&messages, row).is_empty() {
            let arrived =
                arr.until(&format!("{code} {written_by:?}"), |a| !of(&transactions(a), row).is_empty()).await;
            messages = transactions(&arrived);
        }
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for m in of(&messages, row) {
            let row = format!("{code} {written_by:?}: {m:#?}");
            assert_eq!(m.id.code, event, "{row}");
            assert!(actions.contains(&m.action.as_deref().unwrap_or_default()), "{row}");
            assert_eq!(m.participants.iter().filter(|p| p.requestor).count(), 1, "{row}");
            assert!(m.participants.iter().all(|p| p.network.is_some()), "{row}");
            let roles: Vec<&str> =
                m.participants.iter().flat_map(|p| &p.roles).map(|r| r.code.as_str()).collect();
            assert!(roles.contains(&"110153") && roles.contains(&"110152"), "{row}");
            assert_eq!(m.source.types, ["4"], "{row}");
            seen.extend(m.objects.iter().map(kind));
            for asked in m.objects.iter().filter(|o| kind(o) == "QRY") {
                assert!(asked.query.as_ref().is_some_and(|q| !q.is_empty()), "{row}");
            }
        }
        let wanted: BTreeSet<&str> = objects.iter().copied().collect();
        assert_eq!(seen, wanted, "{code} {written_by:?}");
    }
    messages
}

/// Names of the details of a row's successes.
fn details(messages: &[AuditMessage], of: &str, written_by: Side) -> BTreeSet<String> {
    let fits = messages.iter().filter(|m| event_type(m) == of && m.outcome == 0 && side(m) == written_by);
    fits.flat_map(|m| &m.objects).flat_map(|o| &o.details).map(|(name, _)| name.clone()).collect()
}
