//! What patients and the office said, at rest; and the [`Gate`] that every row of a patient's documents passes on its way
//! out.

pub mod foreign;
mod gate;
pub mod record;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use crate::model::consent::record::{Policy, Status};
use crate::model::consent::{Known, Standing};
use crate::store::db::{DbError, Tx, Val};

pub use gate::Gate;

/// A patient's id (CX) and what holds for them.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    pub patient: String,
    pub standing: Standing,
}

/// Whose records are wanted.
pub enum Whose<'a> {
    Keys(&'a [i64]),
    /// By id (CX).
    Ids(&'a [String]),
}

/// Keys in one statement at most.
const TOGETHER: usize = 500;
/// Ties followed from one patient: more is a circle.
const MOST_TIES: usize = 1000;

/// What one statement tells of a patient.
#[derive(Default)]
struct Told {
    patient: Option<String>,
    policy: Policy,
    ties: BTreeSet<i64>,
    held: BTreeSet<String>,
    version: i64,
}

/// What holds for these patients: one statement for all of them, and one more for those they are tied to. Who is not
/// known here is not in the answer.
pub async fn load(tx: &mut Tx<'_>, whose: Whose<'_>) -> Result<HashMap<i64, Loaded>, DbError> {
    let mut told: BTreeMap<i64, Told> = BTreeMap::new();
    match whose {
        Whose::Keys(keys) => {
            for some in keys.chunks(TOGETHER) {
                let args: Vec<Val<'_>> = some.iter().map(|k| Val::I64(*k)).collect();
                ask(tx, &list(args.len()), &args, &mut told).await?;
            }
        }
        Whose::Ids(ids) => {
            for some in ids.chunks(TOGETHER) {
                let args: Vec<Val<'_>> = some.iter().map(Val::from).collect();
                let keys =
                    format!("(SELECT y.patient_key FROM patient y WHERE y.pid IN {})", list(args.len()));
                ask(tx, &keys, &args, &mut told).await?;
            }
        }
    }
    let wanted: Vec<i64> = told.iter().filter(|(_, t)| t.patient.is_some()).map(|(key, _)| *key).collect();
    // Whom they are tied to, and whom those are.
    for _ in 0..MOST_TIES {
        let more: BTreeSet<i64> = told.values().flat_map(|t| &t.ties).copied().collect();
        let more: Vec<i64> = more.into_iter().filter(|key| !told.contains_key(key)).collect();
        if more.is_empty() {
            break;
        }
        for some in more.chunks(TOGETHER) {
            let args: Vec<Val<'_>> = some.iter().map(|k| Val::I64(*k)).collect();
            ask(tx, &list(args.len()), &args, &mut told).await?;
        }
        for key in more {
            told.entry(key).or_default();
        }
    }
    let mut loaded = HashMap::new();
    for key in wanted {
        let Some(own) = told.get(&key) else { continue };
        let mut family = BTreeSet::from([key]);
        let mut open: Vec<i64> = own.ties.iter().copied().collect();
        while let Some(other) = open.pop() {
            if family.insert(other) {
                open.extend(told.get(&other).into_iter().flat_map(|t| &t.ties));
            }
        }
        family.remove(&key);
        let tied = family.iter().filter_map(|other| told.get(other)).map(|t| t.policy.clone()).collect();
        loaded.insert(
            key,
            Loaded {
                patient: own.patient.clone().unwrap_or_default(),
                standing: Standing {
                    own: own.policy.clone(),
                    tied,
                    version: own.version,
                    held: own.held.clone(),
                },
            },
        );
    }
    Ok(loaded)
}

/// One statement: records in force, ties not confirmed, documents on hold, how many changes, the id. `keys` is what
/// stands behind IN.
async fn ask(
    tx: &mut Tx<'_>,
    keys: &str,
    args: &[Val<'_>],
    told: &mut BTreeMap<i64, Told>,
) -> Result<(), DbError> {
    let sql = format!(
        "SELECT r.patient_key, CAST(1 AS BIGINT), r.body, CASE WHEN r.evidence IS NULL THEN CAST(1 AS BIGINT) ELSE \
         (SELECT COUNT(*) FROM document_entry d WHERE d.unique_id = r.evidence AND d.status = 1) END \
         FROM consent_record r WHERE r.patient_key IN {keys} AND r.ended_at IS NULL \
         UNION ALL SELECT t.patient_key, CAST(2 AS BIGINT), CAST(NULL AS TEXT), t.other_key FROM consent_tie t \
         WHERE t.patient_key IN {keys} AND t.confirmed_at IS NULL \
         UNION ALL SELECT d.patient_key, CAST(3 AS BIGINT), h.unique_id, CAST(0 AS BIGINT) FROM consent_hold h \
         CROSS JOIN document_entry d WHERE d.unique_id = h.unique_id AND d.patient_key IN {keys} \
         UNION ALL SELECT c.patient_key, CAST(4 AS BIGINT), CAST(NULL AS TEXT), COUNT(*) FROM consent_change c \
         WHERE c.patient_key IN {keys} GROUP BY c.patient_key \
         UNION ALL SELECT p.patient_key, CAST(5 AS BIGINT), p.pid, CAST(0 AS BIGINT) FROM patient p \
         WHERE p.patient_key IN {keys}"
    );
    let rows = tx
        .fetch(sql, args, |row| {
            Ok((row.get::<i64>(0)?, row.get::<i64>(1)?, row.get::<Option<String>>(2)?, row.get::<i64>(3)?))
        })
        .await?;
    for (key, what, text, number) in rows {
        let told = told.entry(key).or_default();
        match (what, text) {
            (1, Some(body)) => match serde_json::from_str::<Known>(&body) {
                Ok(known) => told.policy.take(shown_by(known, number > 0)),
                // One that cannot be read may have said no.
                Err(_) => told.policy.broken = true,
            },
            (2, _) => drop(told.ties.insert(number)),
            (3, Some(unique_id)) => drop(told.held.insert(unique_id)),
            (4, _) => told.version = number,
            (5, text) => told.patient = text,
            _ => {}
        }
    }
    Ok(())
}

/// A consent whose document is no longer Approved has lapsed (BPPC: only an Approved consent document counts).
fn shown_by(known: Known, approved: bool) -> Known {
    match known {
        Known::Consent(mut consent) if !approved => {
            if consent.status.holds() {
                consent.status = Status::Lapsed;
            }
            Known::Consent(consent)
        }
        known => known,
    }
}

/// `($1,$2 …)`
fn list(count: usize) -> String {
    let mut out = String::from("(");
    for n in 1..=count {
        let _ = write!(out, "{}${n}", if n == 1 { "" } else { "," });
    }
    out.push(')');
    out
}
