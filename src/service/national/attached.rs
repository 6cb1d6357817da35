//! Discharge summaries attached to a letter: what becomes of the letter becomes of them.

use super::deciding::letter_of;
use super::{nesting, store};
use crate::model::national::{Kind, Op, Verb};
use crate::store::db::{DbError, Tx};
use crate::store::national::delivery::{self, Delivery};
use crate::store::national::lineage::{self, Lineage, State};

/// The summaries that were attached to a letter, each with its deliveries.
async fn to(tx: &mut Tx<'_>, letter: &Lineage) -> Result<Vec<(Lineage, Vec<Delivery>)>, DbError> {
    let mut found = vec![];
    for summary in lineage::summaries(tx, letter.patient_key, &letter.institution).await? {
        let deliveries = delivery::of_lineage(tx, &summary.id).await?;
        if letter_of(&deliveries) == letter.bundle_value {
            found.push((summary, deliveries));
        }
    }
    Ok(found)
}

/// They go and come back with the letter (docs/national-simulator.md, assumed of the service).
pub(super) async fn follow(tx: &mut Tx<'_>, letter: &Lineage, op: Op, now: i64) -> Result<(), DbError> {
    if let (true, Some(verb)) = (letter.kind == Kind::Referral.as_str(), op.verb()) {
        nesting::follow(tx, &letter.id, verb, now).await?;
    }
    let goes = match (letter.kind == Kind::Referral.as_str(), op.verb()) {
        (true, Some(Verb::Cancel)) => true,
        (true, Some(Verb::Undo)) => false,
        _ => return Ok(()),
    };
    for (mut summary, deliveries) in to(tx, letter).await? {
        let last = deliveries.iter().rev().find(|d| d.state == delivery::State::Done);
        let last = last.filter(|d| Op::parse(&d.operation).is_some_and(Op::carries));
        let (Some(last), true) = (last, summary.state.is_there() == goes) else { continue };
        match goes {
            true => {
                summary.state = State::Cancelled;
                summary.current_lid = None;
                summary.current_entry = None;
            }
            false => {
                summary.state = State::Accepted;
                summary.current_lid = Some(last.lid.clone());
                summary.current_entry = Some(last.entry_id.clone());
            }
        }
        summary.updated_at = now;
        lineage::put(tx, &summary).await?;
        let entries = vec![last.entry_id.clone()];
        let changed = store::Changed { patient_key: summary.patient_key, entries, again: false };
        store::changed(tx, &changed, now).await?;
    }
    Ok(())
}

/// They are kept as long as the letter (national-service, 1.2).
pub(super) async fn end(tx: &mut Tx<'_>, letter: &Lineage, now: i64) -> Result<(), DbError> {
    if letter.state != State::Expired {
        return Ok(());
    }
    for (mut summary, _) in to(tx, letter).await? {
        if summary.state.is_there() {
            summary.state = State::Expired;
            summary.updated_at = now;
            lineage::put(tx, &summary).await?;
        }
    }
    Ok(())
}
