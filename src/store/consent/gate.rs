//! What a permit lets out of one read. The records of the patients concerned are loaded once, in the transaction of the
//! read; each entry is then decided on as its row comes by.
//!
//! Answers of entries alone (FindDocuments, GetDocuments, retrieval) need no more. What else an answer may hold,
//! Folders, SubmissionSets and Associations, shows that there are documents: for those a [`Survey`] of the patient says
//! which. It is two statements for a patient, however much is shown.

use std::collections::{HashMap, HashSet};

use super::{Loaded, Whose, load};
use crate::model::consent::record::Standing;
use crate::model::consent::{Decision, Facts, Permit};
use crate::model::ebrim::ObjectKind;
use crate::model::metadata::AssociationType;
use crate::store::db::{DbError, Tx, Val};
use crate::store::registry::{STILL, kind};

/// The permit of a request with what it needs to know of the patients met so far. Without a permit (its default) it is
/// shut: it stands in while the real one is at work.
#[derive(Debug, Default)]
pub struct Gate<'p> {
    permit: Option<&'p Permit>,
    known: HashMap<i64, Loaded>,
    surveys: HashMap<i64, Survey>,
}

/// Which objects of a patient may be shown. Objects it does not name may not.
#[derive(Debug, Default)]
struct Survey {
    /// entryUUID of every version of every entry, and whether it may be shown.
    documents: HashMap<String, bool>,
    /// Everything else that may be shown.
    shown: HashSet<String>,
}

/// An association as a survey reads it.
pub(super) struct Link {
    pub id: String,
    pub source: String,
    pub target: String,
    pub member: bool,
}

impl<'p> Gate<'p> {
    pub fn new(permit: &'p Permit) -> Self {
        Self { permit: Some(permit), known: HashMap::new(), surveys: HashMap::new() }
    }

    /// Whether anything may be left out.
    pub fn is_narrow(&self) -> bool {
        self.permit.is_none_or(Permit::is_narrow)
    }

    /// Loads what is not known yet of these patients.
    pub async fn meet(&mut self, tx: &mut Tx<'_>, keys: &[i64]) -> Result<(), DbError> {
        if !self.is_narrow() {
            return Ok(());
        }
        let mut new: Vec<i64> = keys.iter().copied().filter(|key| !self.known.contains_key(key)).collect();
        new.sort_unstable();
        new.dedup();
        if !new.is_empty() {
            self.known.extend(load(tx, Whose::Keys(&new)).await?);
        }
        Ok(())
    }

    /// The same of patients named by id (CX); their keys.
    pub async fn meet_named(&mut self, tx: &mut Tx<'_>, ids: &[String]) -> Result<Vec<i64>, DbError> {
        if !self.is_narrow() {
            return Ok(vec![]);
        }
        let loaded = load(tx, Whose::Ids(ids)).await?;
        let keys = loaded.keys().copied().collect();
        self.known.extend(loaded);
        Ok(keys)
    }

    /// Whether an entry may be shown, by its JSON. Patients must have been met: of others nothing is shown.
    pub fn shows_entry(&self, patient_key: i64, body: &str) -> bool {
        if !self.is_narrow() {
            return true;
        }
        self.decision(patient_key, body).is_some_and(|decision| decision.permits())
    }

    /// How an entry was decided on; none of a patient who was not met.
    pub fn decision(&self, patient_key: i64, body: &str) -> Option<Decision> {
        let (permit, known) = (self.permit?, self.known.get(&patient_key)?);
        Some(match Facts::at_rest(body) {
            Ok(facts) => permit.judge(&known.patient, &known.standing, &facts),
            Err(_) => permit.unreadable(),
        })
    }

    /// Whether somebody may know that there is such a patient.
    pub fn shows_patient(&self, patient_key: i64) -> bool {
        if !self.is_narrow() {
            return true;
        }
        let (Some(permit), Some(known)) = (self.permit, self.known.get(&patient_key)) else { return false };
        permit.judge_patient(&known.patient, &known.standing).permits()
    }

    /// Whether a document that another community holds may be shown: its patient known here by a key, or there alone by
    /// an id (CX), of whom nobody here has said anything.
    pub fn shows_foreign(&self, patient_key: Option<i64>, id: &str, facts: &Facts) -> bool {
        let Some(permit) = self.permit else { return false };
        if !permit.is_narrow() {
            return true;
        }
        let decision = match patient_key {
            Some(key) => self.known.get(&key).map(|of| permit.judge(&of.patient, &of.standing, facts)),
            None => Some(permit.judge(id, &Standing::default(), facts)),
        };
        decision.is_some_and(|decision| decision.permits())
    }

    /// The same of the patient.
    pub fn shows_foreign_patient(&self, patient_key: Option<i64>, id: &str) -> bool {
        match (patient_key, self.permit) {
            (Some(key), _) => self.shows_patient(key),
            (None, Some(permit)) => permit.judge_patient(id, &Standing::default()).permits(),
            (None, None) => false,
        }
    }

    /// What is known of a patient met.
    pub fn standing(&self, patient_key: i64) -> Option<&Standing> {
        self.known.get(&patient_key).map(|known| &known.standing)
    }

    /// Whether an object may be shown, its patient surveyed before.
    pub fn shows(&self, of: ObjectKind, patient_key: i64, id: &str) -> bool {
        if !self.is_narrow() {
            return true;
        }
        let Some(survey) = self.surveys.get(&patient_key) else { return false };
        match of {
            ObjectKind::DocumentEntry => survey.documents.get(id).copied().unwrap_or(false),
            _ => survey.shown.contains(id),
        }
    }

    /// Finds out what of these patients may be shown; `past` where an answer may hold what is no more.
    pub async fn survey(&mut self, tx: &mut Tx<'_>, keys: &[i64], past: bool) -> Result<(), DbError> {
        if !self.is_narrow() {
            return Ok(());
        }
        self.meet(tx, keys).await?;
        for key in keys {
            if !self.surveys.contains_key(key) {
                let survey = self.look(tx, *key, past).await?;
                self.surveys.insert(*key, survey);
            }
        }
        Ok(())
    }

    async fn look(&mut self, tx: &mut Tx<'_>, key: i64, past: bool) -> Result<Survey, DbError> {
        let documents = self.documents(tx, key, past).await?;
        let table = if past { "association_states" } else { "association" };
        let sql = format!(
            "SELECT a.id, a.source_id, a.target_id, a.assoc_type FROM {table} a WHERE a.patient_key = $1"
        );
        let links = tx
            .fetch(sql, &[Val::I64(key)], |row| {
                Ok(Link {
                    id: row.get(0)?,
                    source: row.get(1)?,
                    target: row.get(2)?,
                    member: row.text(3)? == AssociationType::HasMember.urn(),
                })
            })
            .await?;
        let mut documents = documents;
        self.foreign(tx, key, &links, &mut documents).await?;
        let containers = containers(tx, key, past).await?;
        let bare = self.shows_patient(key);
        Ok(Survey { shown: spread(&documents, &links, &containers, bare), documents })
    }

    /// Every version of every entry. An older version is shown where it and the version in force are: what was made
    /// more confidential is so in its history, too.
    async fn documents(
        &self,
        tx: &mut Tx<'_>,
        key: i64,
        past: bool,
    ) -> Result<HashMap<String, bool>, DbError> {
        let sql = match past {
            true => {
                "SELECT d.id, d.lid, d.body, CASE WHEN d.status <> 3 AND d.valid_to = $2 THEN CAST(1 AS BIGINT) \
                 ELSE CAST(0 AS BIGINT) END FROM document_entry_states d WHERE d.patient_key = $1"
            }
            false => {
                "SELECT d.id, d.lid, d.body, CASE WHEN d.status <> 3 THEN CAST(1 AS BIGINT) \
                 ELSE CAST(0 AS BIGINT) END FROM document_entry d WHERE d.patient_key = $1"
            }
        };
        let args = [Val::I64(key), Val::I64(STILL)];
        let args = if past { &args[..] } else { &args[..1] };
        let rows = tx
            .fetch(sql, args, |row| {
                let shown = self.shows_entry(key, row.text(2)?);
                Ok((row.get::<String>(0)?, row.get::<String>(1)?, shown, row.get::<i64>(3)? == 1))
            })
            .await?;
        let hidden: HashSet<String> = rows
            .iter()
            .filter(|(_, _, shown, in_force)| *in_force && !shown)
            .map(|(_, lineage, ..)| lineage.clone())
            .collect();
        let mut documents = HashMap::with_capacity(rows.len());
        for (id, lineage, shown, _) in rows {
            let shown = shown && !hidden.contains(&lineage);
            // Of several states of one entry, all.
            documents.entry(id).and_modify(|all| *all &= shown).or_insert(shown);
        }
        Ok(documents)
    }

    /// Entries of other patients, which a SubmissionSet may hold by reference (ITI TF-3 4.2.2.1.1).
    async fn foreign(
        &mut self,
        tx: &mut Tx<'_>,
        key: i64,
        links: &[Link],
        documents: &mut HashMap<String, bool>,
    ) -> Result<(), DbError> {
        let mut ends: Vec<&str> = links
            .iter()
            .flat_map(|l| [&*l.source, &*l.target])
            .filter(|id| !documents.contains_key(*id))
            .collect();
        ends.sort_unstable();
        ends.dedup();
        let mut found: Vec<(i64, String, String)> = vec![];
        for some in ends.chunks(super::TOGETHER) {
            let mut args: Vec<Val<'_>> = some.iter().map(|id| Val::Text(id)).collect();
            args.push(Val::I64(key));
            let sql = format!(
                "SELECT d.patient_key, d.id, d.body FROM object_id o CROSS JOIN document_entry d WHERE o.id IN {} \
                 AND o.kind = {} AND o.patient_key <> ${} AND d.patient_key = o.patient_key AND d.id = o.id",
                super::list(some.len()),
                kind::DOCUMENT_ENTRY,
                args.len()
            );
            found.extend(tx.fetch(sql, &args, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).await?);
        }
        let others: Vec<i64> = found.iter().map(|(other, ..)| *other).collect();
        self.meet(tx, &others).await?;
        for (other, id, body) in found {
            let shown = self.shows_entry(other, &body);
            documents.insert(id, shown);
        }
        Ok(())
    }
}

/// entryUUIDs of a patient's SubmissionSets and Folders.
async fn containers(tx: &mut Tx<'_>, key: i64, past: bool) -> Result<Vec<String>, DbError> {
    let mut found = vec![];
    for table in ["submission_set", "folder"] {
        let states = if past { "_states" } else { "" };
        let sql = format!("SELECT t.id FROM {table}{states} t WHERE t.patient_key = $1");
        found.extend(tx.fetch(sql, &[Val::I64(key)], |row| row.get::<String>(0)).await?);
    }
    Ok(found)
}

/// What may be shown beside documents: of what holds members, that of which some member is shown, and what holds none
/// where the patient is (`bare`); of associations, those with both ends shown.
pub(super) fn spread(
    documents: &HashMap<String, bool>,
    links: &[Link],
    containers: &[String],
    bare: bool,
) -> HashSet<String> {
    let mut members: HashMap<&str, Vec<&str>> = HashMap::new();
    for link in links.iter().filter(|l| l.member) {
        members.entry(&link.source).or_default().push(&link.target);
    }
    let visible =
        |shown: &HashSet<String>, id: &str| documents.get(id).copied().unwrap_or(false) || shown.contains(id);
    let mut shown: HashSet<String> = HashSet::new();
    for id in containers {
        if !members.contains_key(id.as_str()) && bare {
            shown.insert(id.clone());
        }
    }
    // A set holds Folders, which hold documents, and the associations that say so: each round reaches one step further,
    // and what is shown only grows.
    loop {
        let before = shown.len();
        for id in containers {
            let some = members.get(id.as_str()).is_some_and(|m| m.iter().any(|m| visible(&shown, m)));
            if some && !shown.contains(id) {
                shown.insert(id.clone());
            }
        }
        for link in links {
            if !shown.contains(&link.id) && visible(&shown, &link.source) && visible(&shown, &link.target) {
                shown.insert(link.id.clone());
            }
        }
        if shown.len() == before {
            return shown;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(id: &str, source: &str, target: &str, member: bool) -> Link {
        Link { id: id.into(), source: source.into(), target: target.into(), member }
    }

    #[test]
    fn what_holds_only_hidden_documents_is_hidden() {
        let documents = HashMap::from([("seen".to_owned(), true), ("hidden".to_owned(), false)]);
        let links = [
            link("a1", "set1", "seen", true),
            link("a2", "set1", "hidden", true),
            link("a3", "set2", "hidden", true),
            link("a4", "folder1", "seen", true),
            link("a5", "folder2", "hidden", true),
            link("a6", "set3", "folder1", true),
            link("a7", "set3", "a4", true),
            link("a8", "set4", "folder2", true),
            link("a9", "hidden", "seen", false),
            // A set that only puts a hidden document into a Folder that is shown.
            link("b1", "folder1", "hidden", true),
            link("b2", "set5", "b1", true),
        ];
        let containers =
            ["set1", "set2", "set3", "set4", "set5", "folder1", "folder2", "folder3"].map(String::from);
        let shown = |bare| {
            let mut shown: Vec<String> = spread(&documents, &links, &containers, bare).into_iter().collect();
            shown.sort();
            shown
        };
        assert_eq!(shown(false), ["a1", "a4", "a6", "a7", "folder1", "set1", "set3"]);
        assert_eq!(shown(true), ["a1", "a4", "a6", "a7", "folder1", "folder3", "set1", "set3"]);
    }
}
