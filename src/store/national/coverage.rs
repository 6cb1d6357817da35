//! Which documents are national too: for answers, and for the views of a month.

use serde_json::{Value, json};

use super::decision::NESTED;
use super::lineage;
use crate::model::ebrim::ObjectKind;
use crate::model::metadata::AtRest;
use crate::store::db::{DbError, Row, Tx, Val};

/// Says in each DocumentEntry's body, by a slot, whether the document is `regional` or `both`.
pub async fn annotate(tx: &mut Tx<'_>, found: &mut [AtRest], slot: &str) -> Result<(), DbError> {
    let mut read: Vec<(usize, String, Value)> = vec![];
    for (n, object) in found.iter().enumerate().filter(|(_, o)| o.kind == ObjectKind::DocumentEntry) {
        // What cannot be read is told by whoever writes the answer.
        let Ok(body) = serde_json::from_str::<Value>(&object.body) else { continue };
        let lid = body.get("logicalID").and_then(Value::as_str).unwrap_or(&object.id).to_owned();
        read.push((n, lid, body));
    }
    let lids: Vec<String> = read.iter().map(|(_, lid, _)| lid.clone()).collect();
    let national = lineage::national(tx, &lids).await?;
    for (n, lid, mut body) in read {
        let word = if national.contains(&lid) { "both" } else { "regional" };
        let slot = json!({ "name": slot, "values": [word] });
        let Some(object) = body.as_object_mut() else { continue };
        let extra = object.entry("extra").or_insert_with(|| json!({}));
        if let Some(extra) = extra.as_object_mut()
            && let Some(slots) = extra.entry("slots").or_insert_with(|| json!([])).as_array_mut()
        {
            slots.push(slot);
        }
        if let Some(at) = found.get_mut(n) {
            at.body = body.to_string();
        }
    }
    Ok(())
}

/// Bodies of audit records of one transaction between two ids, a page: id, body. Ids are UUIDv7: a span of time is a span
/// of them.
pub async fn views(
    tx: &mut Tx<'_>,
    transaction: &str,
    after: &str,
    before: &str,
    limit: i64,
) -> Result<Vec<(String, String)>, DbError> {
    tx.fetch(
        "SELECT id, body FROM audit_event WHERE id > $2 AND id < $3 AND transaction_code = $1 ORDER BY id LIMIT $4",
        &[transaction.into(), after.into(), before.into(), limit.into()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
    .await
}

/// Something that arrived at the service, of the lineage of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// logicalID of the document that was asked for.
    pub of: String,
    pub at: i64,
    /// logicalID of the document that it was done with.
    pub lid: String,
    pub operation: String,
    /// When the copy ends, or ended.
    pub expires_at: Option<i64>,
    /// JSON, of a discharge summary: it names the letter.
    pub call: Option<String>,
}

const ARRIVAL: &str = "COALESCE(d.settled_at, 0), d.lid, d.operation, l.expires_at, \
                       CASE WHEN l.kind = 'discharge' THEN d.call END";

fn arrival(row: &Row<'_>) -> Result<Arrival, DbError> {
    Ok(Arrival {
        of: row.get(0)?,
        at: row.get(1)?,
        lid: row.get(2)?,
        operation: row.get(3)?,
        expires_at: row.get(4)?,
        call: row.get(5)?,
    })
}

/// All that ever arrived of the lineages of these documents, of each in its order.
pub async fn arrivals(tx: &mut Tx<'_>, lids: &[String]) -> Result<Vec<Arrival>, DbError> {
    const PART: usize = 500;
    let mut found = vec![];
    for part in lids.chunks(PART) {
        let list: Vec<String> = (1..=part.len()).map(|n| format!("${n}")).collect();
        let sql = format!(
            "SELECT m.lid, {ARRIVAL} FROM national_member m \
             JOIN national_lineage l ON l.id = m.lineage JOIN national_delivery d ON d.lineage = m.lineage \
             AND d.state = 3 WHERE m.lid IN ({}) ORDER BY m.lid, d.settled_at, d.id",
            list.join(", ")
        );
        let args: Vec<Val<'_>> = part.iter().map(Val::from).collect();
        found.extend(tx.fetch(sql, &args, arrival).await?);
        // What is inside a letter arrives, and goes, with it.
        let sql = format!(
            "SELECT n.lid, COALESCE(d.settled_at, 0), n.lid, d.operation, l.expires_at, CAST(NULL AS TEXT) \
             FROM national_decision n JOIN national_lineage l ON l.id = n.lineage JOIN national_delivery d \
             ON d.lineage = n.lineage AND d.state = 3 AND d.settled_at >= n.at WHERE n.reason = '{NESTED}' \
             AND n.lid IN ({}) ORDER BY n.lid, d.settled_at, d.id",
            list.join(", ")
        );
        let args: Vec<Val<'_>> = part.iter().map(Val::from).collect();
        found.extend(tx.fetch(sql, &args, arrival).await?);
    }
    Ok(found)
}

/// All that ever arrived of an institution's letter, by its 文書ID.
pub async fn of_letter(tx: &mut Tx<'_>, institution: &str, letter: &str) -> Result<Vec<Arrival>, DbError> {
    let sql = format!(
        "SELECT d.lid, {ARRIVAL} FROM national_lineage l JOIN national_delivery d ON d.lineage = l.id AND d.state = 3 \
         WHERE l.institution = $1 AND l.bundle_value = $2 AND l.kind = 'referral' ORDER BY d.settled_at, d.id"
    );
    tx.fetch(sql, &[institution.into(), letter.into()], arrival).await
}

/// logicalIDs of documents by uniqueId.
pub async fn documents(tx: &mut Tx<'_>, unique_ids: &[String]) -> Result<Vec<(String, String)>, DbError> {
    const PART: usize = 500;
    let mut found = vec![];
    for part in unique_ids.chunks(PART) {
        let list: Vec<String> = (1..=part.len()).map(|n| format!("${n}")).collect();
        let sql =
            format!("SELECT unique_id, lid FROM document_entry WHERE unique_id IN ({})", list.join(", "));
        let args: Vec<Val<'_>> = part.iter().map(Val::from).collect();
        found.extend(tx.fetch(sql, &args, |row| Ok((row.get(0)?, row.get(1)?))).await?);
    }
    Ok(found)
}
