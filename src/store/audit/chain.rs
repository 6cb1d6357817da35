//! The chain over the audit trail (security.md 2.6-4): `h[i] = SHA-256(h[i-1] ‖ u64 i ‖ u32 length ‖ record)`.
//!
//! Writers only note the ids of their rows as waiting; whoever appends to the chain takes rows that are committed, in
//! the order of their ids, and writes one segment for many of them. So a record that commits late comes into the chain
//! late, and none is passed over. The notes are a table of their own: a mark in the row would write it a second time.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::places;
use crate::store::db::{DbError, Row, Tx, Val};

/// Rows named in one statement.
pub const AT_ONCE: usize = 200;

/// Which records: ours, or what others sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Chain {
    Own,
    Received,
}

impl Chain {
    pub const ALL: [Chain; 2] = [Chain::Own, Chain::Received];

    pub fn as_str(self) -> &'static str {
        match self {
            Chain::Own => "own",
            Chain::Received => "received",
        }
    }

    fn table(self) -> &'static str {
        match self {
            Chain::Own => "audit_event",
            Chain::Received => "audit_received",
        }
    }
}

/// SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Of the record number `seq` after this one.
    pub fn next(self, seq: i64, record: &[u8]) -> Hash {
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        hasher.update(seq.to_be_bytes());
        hasher.update(u32::try_from(record.len()).unwrap_or(u32::MAX).to_be_bytes());
        hasher.update(record);
        Hash(hasher.finalize().into())
    }

    pub fn hex(self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
    }

    pub fn from_hex(text: &str) -> Option<Hash> {
        let mut out = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (n, byte) in out.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok()?;
        }
        Some(Hash(out))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.hex())
    }
}

/// A record, as the chain sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub id: String,
    pub at: i64,
    /// What is hashed.
    pub octets: Vec<u8>,
    /// Patients it is about, as CX: of our own records.
    pub patients: Vec<String>,
}

/// A run of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub first_seq: i64,
    pub last_seq: i64,
    pub first_at: i64,
    pub last_at: i64,
    pub made_at: i64,
    pub previous: Hash,
    pub hash: Hash,
    pub mac: Option<String>,
    /// Id and hash of each record. Empty: purged.
    pub links: Vec<(String, Hash)>,
    pub purged_at: Option<i64>,
}

impl Segment {
    /// The records as a run after `previous`. `None` of none.
    pub fn over(records: &[Record], last_seq: i64, previous: Hash, made_at: i64) -> Option<Segment> {
        let (first, rest) = records.split_first()?;
        let (mut hash, mut links) = (previous, Vec::with_capacity(records.len()));
        for (seq, record) in (last_seq + 1..).zip(records) {
            hash = hash.next(seq, &record.octets);
            links.push((record.id.clone(), hash));
        }
        let times = || rest.iter().map(|r| r.at);
        Some(Segment {
            first_seq: last_seq + 1,
            last_seq: last_seq.saturating_add(i64::try_from(records.len()).unwrap_or(i64::MAX)),
            first_at: times().fold(first.at, i64::min),
            last_at: times().fold(first.at, i64::max),
            made_at,
            previous,
            hash,
            mac: None,
            links,
            purged_at: None,
        })
    }

    /// What a key vouches for.
    pub fn vouched(&self, chain: Chain) -> String {
        let Segment { first_seq, last_seq, previous, hash, .. } = self;
        format!("{} {first_seq} {last_seq} {} {}", chain.as_str(), previous.hex(), hash.hex())
    }
}

const COLUMNS: &str =
    "first_seq, last_seq, first_at, last_at, made_at, previous, hash, mac, links, purged_at";

fn hash(row: &Row<'_>, column: usize) -> Result<Hash, DbError> {
    let bad = || DbError::Decode { column, message: "no SHA-256 in hexadecimal".into() };
    Hash::from_hex(row.text(column)?).ok_or_else(bad)
}

fn segment(row: &Row<'_>) -> Result<Segment, DbError> {
    let bad = || DbError::Decode { column: 8, message: "no line of an id and a hash".into() };
    let link = |line: &str| {
        let (id, hash) = line.split_once(' ').ok_or_else(bad)?;
        Ok::<_, DbError>((id.to_owned(), Hash::from_hex(hash).ok_or_else(bad)?))
    };
    Ok(Segment {
        first_seq: row.get(0)?,
        last_seq: row.get(1)?,
        first_at: row.get(2)?,
        last_at: row.get(3)?,
        made_at: row.get(4)?,
        previous: hash(row, 5)?,
        hash: hash(row, 6)?,
        mac: row.get(7)?,
        links: row.text(8)?.lines().map(link).collect::<Result<_, _>>()?,
        purged_at: row.get(9)?,
    })
}

/// Number and hash of the last record in the chain; 0 and zeros of an empty one.
pub async fn tip(tx: &mut Tx<'_>, chain: Chain) -> Result<(i64, Hash), DbError> {
    let sql = "SELECT last_seq, hash FROM audit_segment WHERE chain = $1 ORDER BY first_seq DESC LIMIT 1";
    let last = tx
        .fetch_opt(sql, &[Val::Text(chain.as_str())], |row| Ok((row.get::<i64>(0)?, hash(row, 1)?)))
        .await?;
    Ok(last.unwrap_or_default())
}

/// Number of the last record in the chain; 0 of an empty one.
pub async fn length(tx: &mut Tx<'_>, chain: Chain) -> Result<i64, DbError> {
    let sql = "SELECT last_seq FROM audit_segment WHERE chain = $1 ORDER BY first_seq DESC LIMIT 1";
    let last = tx.fetch_opt(sql, &[Val::Text(chain.as_str())], |row| row.get::<i64>(0)).await?;
    Ok(last.unwrap_or_default())
}

/// The first segments that reach beyond `seq`.
pub async fn beyond(tx: &mut Tx<'_>, chain: Chain, seq: i64, limit: i64) -> Result<Vec<Segment>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM audit_segment WHERE chain = $1 AND first_seq > $2 ORDER BY first_seq LIMIT $3"
    );
    // The segment that `seq` lies in begins at or before it.
    let begins = tx
        .fetch_opt(
            "SELECT first_seq FROM audit_segment WHERE chain = $1 AND first_seq <= $2 ORDER BY first_seq DESC LIMIT 1",
            &[Val::Text(chain.as_str()), Val::I64(seq)],
            |row| row.get::<i64>(0),
        )
        .await?
        .unwrap_or_default();
    let args = [Val::Text(chain.as_str()), Val::I64(begins - 1), Val::I64(limit.saturating_add(1))];
    let mut found = tx.fetch(sql, &args, segment).await?;
    found.retain(|s| s.last_seq > seq);
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

/// Notes that records wait for the chain.
pub async fn wait(tx: &mut Tx<'_>, chain: Chain, ids: &[&str]) -> Result<(), DbError> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut sql = String::from("INSERT INTO audit_waiting (chain, id) VALUES ");
    for n in 0..ids.len() {
        let _ = write!(sql, "{}($1, ${})", if n == 0 { "" } else { ", " }, n + 2);
    }
    let ids = ids.iter().map(|id| Val::Text(id));
    let args: Vec<Val<'_>> = std::iter::once(Val::Text(chain.as_str())).chain(ids).collect();
    tx.insert(sql, &args).await
}

/// Committed records that are in no segment yet, in the order of their ids.
pub async fn pending(tx: &mut Tx<'_>, chain: Chain, limit: i64) -> Result<Vec<Record>, DbError> {
    let sql = pending_sql(tx, chain);
    tx.fetch(sql, &[Val::Text(chain.as_str()), Val::I64(limit)], move |row| record(chain, row)).await
}

fn pending_sql(tx: &Tx<'_>, chain: Chain) -> String {
    let these = tx.among("SELECT id FROM audit_waiting WHERE chain = $1 ORDER BY id LIMIT $2");
    format!("{} WHERE id {these} ORDER BY id", select(chain))
}

/// Whether there are any.
pub async fn is_pending(tx: &mut Tx<'_>) -> Result<bool, DbError> {
    tx.fetch_opt("SELECT id FROM audit_waiting LIMIT 1", &[], |row| row.get::<String>(0))
        .await
        .map(|found| found.is_some())
}

/// How many.
pub async fn waiting(tx: &mut Tx<'_>, chain: Chain) -> Result<i64, DbError> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM audit_waiting WHERE chain = $1";
    tx.fetch_one(sql, &[Val::Text(chain.as_str())], |row| row.get(0)).await
}

/// The records of these ids, in no order.
pub async fn records(tx: &mut Tx<'_>, chain: Chain, ids: &[&str]) -> Result<Vec<Record>, DbError> {
    let mut found = vec![];
    for ids in ids.chunks(AT_ONCE) {
        let sql = format!("{} WHERE id IN ({})", select(chain), places(1, ids.len()));
        let args: Vec<Val<'_>> = ids.iter().map(|id| Val::Text(id)).collect();
        found.extend(tx.fetch(sql, &args, move |row| record(chain, row)).await?);
    }
    Ok(found)
}

fn select(chain: Chain) -> &'static str {
    match chain {
        Chain::Own => "SELECT id, at, body FROM audit_event",
        Chain::Received => {
            "SELECT id, at, received_at, sender, certificate, transport, original FROM audit_received"
        }
    }
}

/// What of a record the index by patient wants.
#[derive(Default, serde::Deserialize)]
struct About {
    #[serde(default)]
    patients: Vec<String>,
}

fn record(chain: Chain, row: &Row<'_>) -> Result<Record, DbError> {
    let (id, at) = (row.get::<String>(0)?, row.get::<i64>(1)?);
    Ok(match chain {
        Chain::Own => {
            let body = row.text(2)?;
            // A body that somebody spoiled is for verifying to name; it is about nobody we know.
            let patients = serde_json::from_str::<About>(body).map(|e| e.patients).unwrap_or_default();
            Record { id, at, octets: body.as_bytes().to_vec(), patients }
        }
        Chain::Received => {
            let (received_at, sender) = (row.get::<i64>(2)?, row.get::<String>(3)?);
            let (certificate, transport) = (row.get::<Option<String>>(4)?, row.get::<String>(5)?);
            let head =
                format!("{id} {at} {received_at} {sender} {} {transport}\n", certificate.unwrap_or_default());
            let octets = [head.into_bytes(), row.get::<Vec<u8>>(6)?].concat();
            Record { id, at, octets, patients: vec![] }
        }
    })
}

/// Appends a segment, and takes its records off those that wait. Of two that append at once one finds a conflict.
pub async fn append(
    tx: &mut Tx<'_>,
    chain: Chain,
    segment: &Segment,
    records: &[Record],
) -> Result<(), DbError> {
    let links = segment.links.iter().fold(String::new(), |mut out, (id, hash)| {
        let _ = writeln!(out, "{id} {}", hash.hex());
        out
    });
    let sql = format!(
        "INSERT INTO audit_segment (chain, {COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    );
    let args = [
        Val::Text(chain.as_str()),
        Val::I64(segment.first_seq),
        Val::I64(segment.last_seq),
        Val::I64(segment.first_at),
        Val::I64(segment.last_at),
        Val::I64(segment.made_at),
        Val::Text(&segment.previous.hex()),
        Val::Text(&segment.hash.hex()),
        (&segment.mac).into(),
        Val::Text(&links),
        None::<i64>.into(),
    ];
    tx.exec(sql, &args).await?;
    if forget(tx, chain, records).await? != records.len() as u64 {
        return Err(DbError::Conflict);
    }
    let mut named = vec![];
    for record in records {
        named.extend(record.patients.iter().map(|p| (p.as_str(), record.at, record.id.as_str())));
    }
    name_patients(tx, chain, &named).await
}

/// Takes records off those that wait; how many did.
async fn forget(tx: &mut Tx<'_>, chain: Chain, records: &[Record]) -> Result<u64, DbError> {
    let ids: Vec<&str> = records.iter().map(|r| r.id.as_str()).collect();
    if tx.is_postgres() {
        let sql = "DELETE FROM audit_waiting WHERE chain = $1 AND id = ANY($2)";
        return tx.exec(sql, &[Val::Text(chain.as_str()), Val::Texts(&ids)]).await;
    }
    let mut taken = 0;
    for ids in ids.chunks(AT_ONCE) {
        let sql = format!("DELETE FROM audit_waiting WHERE chain = $1 AND id IN ({})", places(2, ids.len()));
        let ids = ids.iter().map(|id| Val::Text(id));
        let args: Vec<Val<'_>> = std::iter::once(Val::Text(chain.as_str())).chain(ids).collect();
        taken += tx.exec(sql, &args).await?;
    }
    Ok(taken)
}

/// Makes records findable by their patients: patient, time and id of each.
pub async fn name_patients(
    tx: &mut Tx<'_>,
    chain: Chain,
    named: &[(&str, i64, &str)],
) -> Result<(), DbError> {
    if tx.is_postgres() && !named.is_empty() {
        let patients: Vec<&str> = named.iter().map(|(patient, ..)| *patient).collect();
        let times: Vec<i64> = named.iter().map(|(_, at, _)| *at).collect();
        let ids: Vec<&str> = named.iter().map(|(.., id)| *id).collect();
        let sql = "INSERT INTO audit_patient (patient, at, chain, id) SELECT p, at, $1, id \
                   FROM unnest($2, $3, $4) AS n(p, at, id) ON CONFLICT DO NOTHING";
        let args = [Val::Text(chain.as_str()), Val::Texts(&patients), Val::I64s(&times), Val::Texts(&ids)];
        return tx.insert(sql, &args).await;
    }
    for named in named.chunks(AT_ONCE) {
        let mut sql = String::from("INSERT INTO audit_patient (chain, patient, at, id) VALUES ");
        let mut args = vec![Val::Text(chain.as_str())];
        for (patient, at, id) in named {
            let n = args.len();
            let comma = if n == 1 { "" } else { ", " };
            let _ = write!(sql, "{comma}($1, ${}, ${}, ${})", n + 1, n + 2, n + 3);
            args.extend([Val::Text(patient), Val::I64(*at), Val::Text(id)]);
        }
        sql.push_str(" ON CONFLICT DO NOTHING");
        tx.insert(sql, &args).await?;
    }
    Ok(())
}

/// Ids of the records about a patient between two instants, oldest first, with their times and chains.
pub async fn of_patient(
    tx: &mut Tx<'_>,
    patient: &str,
    from: i64,
    until: i64,
    limit: i64,
) -> Result<Vec<(i64, Chain, String)>, DbError> {
    tx.fetch(
        "SELECT at, chain, id FROM audit_patient WHERE patient = $1 AND at >= $2 AND at <= $3 \
         ORDER BY at, chain, id LIMIT $4",
        &[Val::Text(patient), Val::I64(from), Val::I64(until), Val::I64(limit)],
        |row| {
            let chain = if row.text(1)? == Chain::Own.as_str() { Chain::Own } else { Chain::Received };
            Ok((row.get(0)?, chain, row.get(2)?))
        },
    )
    .await
}

/// Ids of rows that nobody put into a segment and that do not wait for one, after `after`: those of `page` rows.
/// With the last id looked at; `None` at the end.
pub async fn settled_ids(
    tx: &mut Tx<'_>,
    chain: Chain,
    after: &str,
    page: i64,
) -> Result<Vec<String>, DbError> {
    let table = chain.table();
    let sql = format!(
        "SELECT id FROM {table} WHERE id > $1 AND NOT EXISTS (SELECT 1 FROM audit_waiting w \
         WHERE w.chain = $2 AND w.id = {table}.id) ORDER BY id LIMIT $3"
    );
    let args = [Val::Text(after), Val::Text(chain.as_str()), Val::I64(page)];
    tx.fetch(sql, &args, |row| row.get(0)).await
}

/// Whole segments whose newest record is older than `before`, from the beginning on.
pub async fn purgeable(
    tx: &mut Tx<'_>,
    chain: Chain,
    before: i64,
    limit: i64,
) -> Result<Vec<Segment>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM audit_segment WHERE chain = $1 AND purged_at IS NULL ORDER BY first_seq LIMIT $2"
    );
    let found = tx.fetch(sql, &[Val::Text(chain.as_str()), Val::I64(limit)], segment).await?;
    Ok(found.into_iter().take_while(|s| s.last_at < before).collect())
}

/// Takes the records of a segment out; what the chain needs of it stays.
pub async fn purge(tx: &mut Tx<'_>, chain: Chain, segment: &Segment, now: i64) -> Result<(), DbError> {
    for links in segment.links.chunks(AT_ONCE) {
        let args: Vec<Val<'_>> = links.iter().map(|(id, _)| Val::Text(id)).collect();
        let places = places(1, links.len());
        tx.exec(format!("DELETE FROM {} WHERE id IN ({places})", chain.table()), &args).await?;
    }
    let until = Val::I64(segment.last_at);
    let of = Val::Text(chain.as_str());
    let from = Val::I64(segment.first_at);
    for links in segment.links.chunks(AT_ONCE) {
        let sql = format!(
            "DELETE FROM audit_patient WHERE chain = $1 AND at >= $2 AND at <= $3 AND id IN ({})",
            places(4, links.len())
        );
        let ids = links.iter().map(|(id, _)| Val::Text(id));
        let args: Vec<Val<'_>> = [of, from, until].into_iter().chain(ids).collect();
        tx.exec(sql, &args).await?;
    }
    tx.exec(
        "UPDATE audit_segment SET links = '', purged_at = $3 WHERE chain = $1 AND first_seq = $2",
        &[of, Val::I64(segment.first_seq), Val::I64(now)],
    )
    .await?;
    Ok(())
}

/// Up to which record of our chain a repository has them.
pub async fn cursor(tx: &mut Tx<'_>, repository: &str) -> Result<Option<i64>, DbError> {
    let sql = "SELECT seq FROM audit_cursor WHERE repository = $1";
    tx.fetch_opt(sql, &[Val::Text(repository)], |row| row.get(0)).await
}

/// Moves it on, never back.
pub async fn move_cursor(tx: &mut Tx<'_>, repository: &str, seq: i64, now: i64) -> Result<(), DbError> {
    tx.exec(
        "INSERT INTO audit_cursor (repository, seq, updated_at) VALUES ($1, $2, $3) \
         ON CONFLICT (repository) DO UPDATE SET seq = excluded.seq, updated_at = excluded.updated_at \
         WHERE audit_cursor.seq < excluded.seq",
        &[Val::Text(repository), Val::I64(seq), Val::I64(now)],
    )
    .await
    .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing;

    /// However long the trail is, what waits is looked up by its ids.
    #[tokio::test(flavor = "multi_thread")]
    async fn records_that_wait_are_found_without_going_through_the_others() {
        for t in testing::databases().await {
            let plan = t.db.write::<_, DbError, _>(|tx| {
                Box::pin(async move {
                    if !tx.is_postgres() {
                        return Ok(vec![]);
                    }
                    let many = "SELECT lpad(n::text, 8, '0') AS id FROM generate_series(1, 30000) n";
                    let prepared = pending_sql(tx, Chain::Own);
                    for statement in [
                        format!(
                            "INSERT INTO audit_event (id, at, transaction_code, outcome, body) \
                             SELECT id, 0, 'ITI-18', 0, repeat('x', 300) FROM ({many}) m"
                        ),
                        format!("INSERT INTO audit_waiting (chain, id) SELECT 'own', id FROM ({many}) m"),
                        "ANALYZE audit_event".into(),
                        "ANALYZE audit_waiting".into(),
                        format!("PREPARE waiting_records (text, bigint) AS {prepared}"),
                    ] {
                        tx.exec(statement, &[]).await?;
                    }
                    let plan = tx.fetch("EXPLAIN EXECUTE waiting_records('own', 100)", &[], |row| row.get(0));
                    let plan: Vec<String> = plan.await?;
                    tx.exec("DEALLOCATE waiting_records", &[]).await?;
                    Ok(plan)
                })
            });
            let plan = plan.await.unwrap();
            let by_id = plan.iter().any(|line| line.contains("Index Cond: (id = ANY"));
            assert!(plan.is_empty() || by_id, "{plan:#?}");
        }
    }

    #[test]
    fn a_hash_covers_place_length_and_record() {
        let start = Hash::default();
        let first = start.next(1, b"ab");
        assert_ne!(first, start.next(2, b"ab"));
        assert_ne!(first.next(2, b""), start.next(1, b"").next(2, b"ab"));
        assert_eq!(Hash::from_hex(&first.hex()), Some(first));
        assert_eq!(Hash::from_hex("é"), None);
        // By hand: SHA-256 of 32 zero octets, 00…01, 00000002, "ab".
        let mut by_hand = vec![0; 32];
        by_hand.extend([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2]);
        by_hand.extend(b"ab");
        assert_eq!(first.0[..], Sha256::digest(by_hand)[..]);
    }
}
