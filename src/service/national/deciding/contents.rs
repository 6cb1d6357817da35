//! What a document is made of before it goes: its octets, the Bundle made of them where they are none, and what the
//! checks say.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::super::National;
use super::super::gather::Seen;
use super::super::making::{self, Order};
use super::super::preflight::Finding;
use super::{Plan, entry_of, hold, skip};
use crate::config::national::InsuredSource;
use crate::model::error::Error;
use crate::model::hl7types::Cx;
use crate::model::identity::Demographics;
use crate::model::national::decide::{BundleFacts, Decision, Facts, Outcome, decide};
use crate::model::national::{Family, Kind, bundle};
use crate::service::mpi::insured::demographics;
use crate::service::{database, storage};
use crate::store::db::DbError;
use crate::store::national::entry;

/// What a conversion needs beside the document.
#[derive(Default)]
struct Beside {
    patient: Option<Demographics>,
    enclosed: Vec<Bytes>,
}

impl National {
    /// Reads the document, finds its lineage where the Bundle names the unit, checks it, and decides again.
    pub(super) async fn with_document(&self, plan: &mut Plan, facts: &mut Facts) -> Result<(), Error> {
        let Some(bytes) = self.document(plan.seen.blob.as_deref()).await? else {
            plan.decision = hold("document-not-here", 16, self.0.policy.rule_set);
            return Ok(());
        };
        let beside = match bundle::read(&bytes) {
            Some(_) => Beside::default(),
            None => self.beside(&plan.seen, facts).await?,
        };
        let made = self.bundle_of(&plan.seen, plan.lineage_id.as_deref(), plan.now, facts, bytes, &beside);
        let (bytes, read) = match made {
            Ok((bytes, read, told)) => {
                plan.made = told;
                (bytes, read)
            }
            Err(findings) if findings.iter().any(|f| f.rule == "nothing-to-send") => {
                plan.decision = skip("nothing-to-send", 16, self.0.policy.rule_set);
                return Ok(());
            }
            Err(findings) => {
                facts.findings = findings.iter().map(|f| f.rule.clone()).collect();
                plan.findings = findings;
                plan.decision = decide(facts, &self.0.policy);
                // Whom it is about it should have said itself.
                if self.config().insured_id != InsuredSource::Index && plan.decision.gate == 10 {
                    let outcome = Outcome::Fail { rules: facts.findings.clone() };
                    plan.decision = Decision { outcome, gate: 16, ..plan.decision.clone() };
                }
                return Ok(());
            }
        };
        let bytes = self.0.preflight.normalised(&bytes).map_or(bytes, Bytes::from);
        let (bytes, read) = self.with_summaries(plan, facts, bytes, read).await?;
        if facts.insured_id.is_none() && self.config().insured_id != InsuredSource::Index {
            facts.insured_id.clone_from(&read.insured_id);
        }
        let institution = facts.institution.clone().unwrap_or_default();
        let kind = facts.kind.unwrap_or(Kind::Info);
        // Of 5情報 the unit is the lineage, whatever document brings it (national-service, 9).
        let own =
            plan.lineage_id.clone().unwrap_or_else(|| lineage_of(&plan.seen, kind, &institution, &read));
        if plan.lineage_id.as_deref() != Some(own.as_str())
            && let Some(seen) = self.see(&entry_of(&plan.seen), Some(&own)).await?
        {
            plan.seen = seen;
            let again = plan.seen.facts(self.config(), &self.facts(), &self.0.settings.home, plan.now);
            facts.predecessor = again.predecessor;
        }
        plan.lineage_id = Some(own);
        facts.bundle = Some(read);
        let before = decide(facts, &self.0.policy);
        // The checks take the longest: only for what would go.
        if matches!(before.outcome, Outcome::Send { .. }) {
            plan.findings = self.0.preflight.check(&bytes, facts.kind);
            facts.findings = plan.findings.iter().map(|f| f.rule.clone()).collect();
            facts.findings.dedup();
        }
        plan.decision = decide(facts, &self.0.policy);
        plan.bundle = Some(bytes);
        Ok(())
    }

    /// What a conversion needs beside the document: who the patient is, and what came with a letter.
    async fn beside(&self, seen: &Seen, facts: &Facts) -> Result<Beside, Error> {
        let Some(placed) = &seen.placed else { return Ok(Beside::default()) };
        let first = if placed.version > 1 { placed.lid.clone() } else { placed.entry.entry_uuid.clone() };
        let is_letter = facts.kind.is_some_and(|k| k.family() == Family::Referral);
        let asked = Arc::new((placed.patient_key, first, placed.entry.patient_id.clone(), is_letter));
        let read = self.0.db.snapshot(move |tx| {
            let asked = asked.clone();
            Box::pin(async move {
                let (key, first, pid, is_letter) = &*asked;
                let patient = match Cx::parse(pid) {
                    Ok(cx) => demographics(tx, &cx.id).await?,
                    Err(_) => None,
                };
                let mut enclosed = vec![];
                if *is_letter {
                    for entry in entry::beside(tx, *key, first).await? {
                        let format = entry.format_code.map(|c| c.code).unwrap_or_default();
                        enclosed.push((format, entry::blob(tx, &entry.unique_id).await?));
                    }
                }
                Ok((patient, enclosed))
            })
        });
        let (patient, found) = read.await.map_err(|e: DbError| database(e))?;
        let config = self.config();
        let patient = patient.map(|p| match config.insured_id {
            // Then the index has no word in who is insured.
            InsuredSource::Bundle => Demographics { insurances: None, ..p },
            _ => p,
        });
        let mut enclosed = vec![];
        for (_, blob) in found.iter().filter(|(format, _)| config.enclose.contains(format)) {
            enclosed.extend(self.document(blob.as_deref()).await?);
        }
        Ok(Beside { patient, enclosed })
    }

    /// The Bundle of a document as it would go, whatever is decided about it; `None` if there is none.
    pub(in super::super) async fn bundle_alone(
        &self,
        seen: &Seen,
        facts: &Facts,
        now: i64,
    ) -> Result<Option<(Bytes, BundleFacts)>, Error> {
        let Some(bytes) = self.document(seen.blob.as_deref()).await? else { return Ok(None) };
        let beside = match bundle::read(&bytes) {
            Some(_) => Beside::default(),
            None => self.beside(seen, facts).await?,
        };
        let lineage = format!("doc:{}", seen.root);
        let made = self.bundle_of(seen, Some(&lineage), now, facts, bytes, &beside);
        let Ok((bytes, read, _)) = made else { return Ok(None) };
        Ok(Some((self.0.preflight.normalised(&bytes).map_or(bytes, Bytes::from), read)))
    }

    async fn document(&self, blob: Option<&str>) -> Result<Option<Bytes>, Error> {
        let (Some(repository), Some(blob)) = (&self.0.repository, blob) else { return Ok(None) };
        let mut reader = repository.open(blob).await.map_err(storage)?;
        let mut all = vec![];
        while let Some(chunk) = reader.next().await {
            all.extend_from_slice(&chunk.map_err(storage)?);
        }
        Ok(Some(all.into()))
    }

    /// The Bundle that goes for a document: itself, or one made of it, with what is to be said of the making.
    fn bundle_of(
        &self,
        seen: &Seen,
        lineage: Option<&str>,
        now: i64,
        facts: &Facts,
        bytes: Bytes,
        beside: &Beside,
    ) -> Result<(Bytes, BundleFacts, Vec<Finding>), Vec<Finding>> {
        if let Some(read) = bundle::read(&bytes) {
            return Ok((bytes, read, vec![]));
        }
        if facts.mime_type.contains("json") || facts.format_code.starts_with("jp:fhir:") {
            return Err(vec![Finding {
                rule: "bundle-unreadable".into(),
                path: "Bundle".into(),
                ..Finding::default()
            }]);
        }
        let lineage = lineage.filter(|_| facts.kind != Some(Kind::Info));
        let enclosed: Vec<&[u8]> = beside.enclosed.iter().map(|b| b.as_ref()).collect();
        let order = Order {
            institution: facts.institution.as_deref().unwrap_or_default(),
            insured_id: facts.insured_id.as_deref(),
            lineage,
            bundle_id: seen.lineage.as_ref().and_then(|l| l.bundle_value.as_deref()),
            patient: beside.patient.as_ref(),
            enclosed: &enclosed,
            now,
        };
        let made = self.0.making.make(&bytes, &order).map_err(|refused| vec![making::refused(&refused)])?;
        let told = making::told(&made);
        let bytes = Bytes::from(made.bundle);
        match bundle::read(&bytes) {
            Some(read) => {
                let converted_from = Some(facts.format_code.clone());
                Ok((bytes, BundleFacts { converted_from, unit: Some(made.lineage), ..read }, told))
            }
            None => Err(vec![Finding {
                rule: "not-convertible".into(),
                path: "Bundle".into(),
                ..Finding::default()
            }]),
        }
    }
}

/// Of which lineage a document is that replaces none: the unit's, of 5情報.
fn lineage_of(seen: &Seen, kind: Kind, institution: &str, read: &BundleFacts) -> String {
    match (kind, read.resource_type.as_deref()) {
        (Kind::Info, Some(unit @ ("Condition" | "AllergyIntolerance"))) => {
            format!("unit:{institution}:{}:{unit}", seen.patient_key)
        }
        (Kind::Info, _) if read.unit.is_some() => {
            format!("unit:{institution}:{}:{}", seen.patient_key, read.unit.as_deref().unwrap_or_default())
        }
        (Kind::Info, unit) if read.identifier_value.is_some() => format!(
            "unit:{institution}:{}:{}:{}",
            seen.patient_key,
            unit.unwrap_or_default(),
            read.identifier_value.as_deref().unwrap_or_default()
        ),
        _ => format!("doc:{}", seen.root),
    }
}
