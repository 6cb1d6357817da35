//! Is the database what this program wrote, and are the documents what was sent? Every patient's chain of
//! changes is followed, every row compared with the state the chain says, every document read.
//!
//! What someone gains who may write into the database: nothing that is not found here, except by taking off
//! the newest links of a chain together with all they did, or a patient altogether. Against that stands the
//! digest of all chains at a moment, which an operator keeps elsewhere and has compared later.

mod documents;
mod patient;

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::model::error::Error;
use crate::service::database;
use crate::store::blob::Blobs;
use crate::store::db::{Db, DbError, Tx, Val};
use crate::store::registry::history;
use crate::store::registry::state::{Digest, Hasher};

use patient::Proof;

/// Patients proven in one read of the database.
const PATIENTS: i64 = 20;

/// What is wrong with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// A link of the chain is missing, or its number is not the next.
    ChainGap,
    /// A link's hash is not that of its row and the link before.
    ChainHash,
    /// A link is not later than the one before.
    ChainTime,
    /// A link's contents cannot be read.
    ChainContents,
    /// A row is not in the state its last change left it in.
    Altered,
    /// A row that must exist does not.
    Missing,
    /// A row exists that no change accounts for, or that was removed.
    Unrecorded,
    /// An entryUUID is not registered as its object says.
    Identity,
    /// Rows of a patient that does not exist; `id` is the table.
    Orphans,
    /// The repository's index does not say of a document what the entry or the chain says.
    DocumentIndex,
    /// A document's bytes are not in the store.
    DocumentMissing,
    /// A document's bytes have another size or hash.
    DocumentAltered,
    /// A document is encrypted under a key that is not at hand.
    DocumentLocked,
    /// The chains at that moment are not those the digest was made from.
    Digest,
}

/// One finding. Ids only: whoever reads it may look further, a log may not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub fault: Fault,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_key: Option<i64>,
    /// `DocumentEntry`, … or `Document`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Number of the change in the patient's chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// What was found, in figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Finding {
    fn new(fault: Fault) -> Self {
        Self { fault, patient_key: None, kind: None, id: None, seq: None, detail: None }
    }
}

/// The digest of all chains at a moment, `TIME/SHA-256`: it never changes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// Microseconds since 1970.
    pub moment: i64,
    pub digest: Digest,
}

impl std::fmt::Display for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let moment = Timestamp::from_microsecond(self.moment).unwrap_or(Timestamp::MAX);
        write!(f, "{moment}/{}", self.digest)
    }
}

impl std::str::FromStr for Seal {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "is not TIME/SHA-256 as an earlier `chiren verify` printed it";
        let (moment, digest) = text.trim().split_once('/').ok_or(FORM)?;
        let moment: Timestamp = moment.parse().map_err(|_| FORM)?;
        Ok(Self { moment: moment.as_microsecond(), digest: Digest::parse(digest).ok_or(FORM)? })
    }
}

impl Serialize for Seal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The seal of all chains as the transaction sees them, without looking at anything else.
pub async fn seal(tx: &mut Tx<'_>, moment: i64) -> Result<Seal, DbError> {
    let mut sealing = Sealing::at(moment);
    history::heads(tx, moment, |patient_key, seq, hash| {
        sealing.add(patient_key, Some(&(seq, hash.to_owned())));
    })
    .await?;
    Ok(sealing.seal())
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    pub patients: u64,
    pub changes: u64,
    /// Current objects.
    pub objects: u64,
    pub past_states: u64,
    /// Objects registered before this database kept a history: nothing vouches for them.
    pub before_history: u64,
    pub documents: u64,
    pub octets: u64,
}

/// What `verify` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub counts: Counts,
    pub seal: Seal,
    /// How many findings there are; [`findings`](Self::findings) has the first of them.
    pub faults: u64,
    pub findings: Vec<Finding>,
}

/// What to look at.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The moment of the new seal, microseconds since 1970.
    pub moment: i64,
    /// An earlier seal to be compared.
    pub expect: Option<Seal>,
    /// Whether documents are read.
    pub documents: bool,
    /// Findings reported; the others are counted.
    pub limit: usize,
}

/// The stores to be verified.
pub struct Verify {
    db: Db,
    /// Our documents, and `repository.unique_id`.
    repository: Option<(Blobs, String)>,
}

impl Verify {
    pub fn new(db: Db, repository: Option<(Blobs, String)>) -> Self {
        Self { db, repository }
    }

    /// Works beside a running gateway: each patient is looked at in one state of the database. `progress`
    /// hears from time to time how far it is.
    pub async fn run(&self, scope: &Scope, progress: &(dyn Fn(&Counts) + Sync)) -> Result<Report, Error> {
        let mut work = Work {
            counts: Counts::default(),
            faults: 0,
            findings: vec![],
            limit: scope.limit,
            seal: Sealing::at(scope.moment),
            expected: scope.expect.map(|seal| Sealing::at(seal.moment)),
        };
        self.patients(&mut work, progress).await?;
        let orphans =
            self.db.read(|tx| Box::pin(history::orphans(tx))).await.map_err(|e: DbError| database(e))?;
        for (table, count) in orphans {
            let detail = Some(format!("{count} rows"));
            work.found(Finding { id: Some(table.into()), detail, ..Finding::new(Fault::Orphans) });
        }
        if let Some((blobs, _)) = self.repository.as_ref().filter(|_| scope.documents) {
            documents::verify(&self.db, blobs, &mut work, progress).await?;
        }
        if let (Some(expected), Some(made)) = (scope.expect, work.expected.take().map(Sealing::seal))
            && expected != made
        {
            let detail = Some(format!("expected {}, is {}", expected.digest, made.digest));
            work.found(Finding { detail, ..Finding::new(Fault::Digest) });
        }
        progress(&work.counts);
        let Work { counts, faults, findings, seal, .. } = work;
        Ok(Report { counts, seal: seal.seal(), faults, findings })
    }

    async fn patients(&self, work: &mut Work, progress: &(dyn Fn(&Counts) + Sync)) -> Result<(), Error> {
        let repository: Option<Arc<str>> = self.repository.as_ref().map(|(_, id)| id.as_str().into());
        let moments: Vec<i64> = [Some(work.seal.moment), work.expected.as_ref().map(|s| s.moment)]
            .into_iter()
            .flatten()
            .collect();
        let moments: Arc<[i64]> = moments.into();
        let mut after = i64::MIN;
        loop {
            let (repository, moments) = (repository.clone(), moments.clone());
            let proofs: Vec<Proof> = self
                .db
                .snapshot(move |tx| {
                    let (repository, moments) = (repository.clone(), moments.clone());
                    Box::pin(async move {
                        let began = history::began(tx).await?;
                        let mut proofs = vec![];
                        for key in history::patients(tx, after, PATIENTS).await? {
                            proofs
                                .push(patient::prove(tx, key, repository.as_deref(), &moments, began).await?);
                        }
                        Ok(proofs)
                    })
                })
                .await
                .map_err(|e: DbError| database(e))?;
            let Some(last) = proofs.last().map(|p| p.patient_key) else { return Ok(()) };
            after = last;
            for proof in proofs {
                work.proven(proof);
            }
            progress(&work.counts);
        }
    }
}

/// A digest of all chains in the making: each patient's last link at the moment, in order of their keys.
struct Sealing {
    moment: i64,
    hasher: Hasher,
}

impl Sealing {
    fn at(moment: i64) -> Self {
        Self { moment, hasher: Hasher::default() }
    }

    fn add(&mut self, patient_key: i64, head: Option<&(i64, String)>) {
        if let Some((seq, hash)) = head {
            for value in [Val::I64(patient_key), Val::I64(*seq), Val::Text(hash)] {
                self.hasher.value(value);
            }
        }
    }

    fn seal(self) -> Seal {
        Seal { moment: self.moment, digest: self.hasher.digest() }
    }
}

/// A verification under way.
struct Work {
    counts: Counts,
    faults: u64,
    findings: Vec<Finding>,
    limit: usize,
    seal: Sealing,
    expected: Option<Sealing>,
}

impl Work {
    fn found(&mut self, finding: Finding) {
        self.faults += 1;
        if self.findings.len() < self.limit {
            self.findings.push(finding);
        }
    }

    fn proven(&mut self, proof: Proof) {
        let (all, one) = (&mut self.counts, &proof.counts);
        all.patients += 1;
        all.changes += one.changes;
        all.objects += one.objects;
        all.past_states += one.past_states;
        all.before_history += one.before_history;
        let mut heads = proof.heads.iter();
        self.seal.add(proof.patient_key, heads.next().and_then(Option::as_ref));
        if let Some(expected) = &mut self.expected {
            expected.add(proof.patient_key, heads.next().and_then(Option::as_ref));
        }
        proof.findings.into_iter().for_each(|finding| self.found(finding));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_read_as_it_is_written() {
        let text = format!("2026-11-22T03:00:00.000001Z/{}", "0a".repeat(32));
        let seal: Seal = text.parse().unwrap();
        assert_eq!(seal.moment % 1_000_000, 1);
        assert_eq!(seal.to_string(), text);
        for wrong in ["", "2026-11-22T03:00:00Z", "2026-11-22T03:00:00Z/ab", "today/0a"] {
            assert!(wrong.parse::<Seal>().is_err(), "{wrong}");
        }
    }
}
