//! The facts of a decision, read from registry, index, ledger and what people said.

use super::nesting;
use crate::config::national::{Agreement, Facts as FactsFile, InsuredSource};
use crate::config::{NationalConfig, mpi::FACILITY_ARC};
use crate::model::ebrim::Slot;
use crate::model::hl7types::{Cx, Xon};
use crate::model::metadata::{Author, DocumentEntry};
use crate::model::national::decide::{Event, Facts, Predecessor};
use crate::model::national::insured::{self, Form};
use crate::model::national::{ConsentStatus, Kind, is_institution};
use crate::service::mpi::insured::insurances;
use crate::store::db::{DbError, Tx};
use crate::store::national::decision::{self, Kept, Kind as Outcome};
use crate::store::national::delivery::{self, Delivery, State as Going};
use crate::store::national::entry::{self, Placed, Related};
use crate::store::national::fact::{self, Fact};
use crate::store::national::lineage::{self, Lineage, State};

/// Slots of a DocumentEntry that say what its sender knows.
pub mod slots {
    /// `yes`, `no`: whether the patient agreed to electronic sending.
    pub const SEND_AGREEMENT: &str = "urn:chiren:national:send-agreement";
    /// `now`, `later`: whether the patient agreed at once that the destination reads it.
    pub const VIEW_CONSENT: &str = "urn:chiren:national:view-consent";
    /// Where a document was fetched from: what came from the national side never goes back there.
    pub const ORIGIN: &str = "urn:chiren:national:origin";
    /// In answers: `regional` or `both`.
    pub const COVERAGE: &str = "urn:chiren:national:coverage";
}

/// Names of facts that people say, with their values.
pub const FACTS: &[(&str, &str, &[&str])] = &[
    ("patient", "objection", &["yes", "no"]),
    ("patient", "regional-sharing", &["permit", "deny"]),
    ("patient", "qualification", &["valid", "invalid"]),
    ("patient", "send-agreement", &["yes", "no"]),
    ("entry", "send-agreement", &["yes", "no"]),
    ("entry", "view-consent", &["now", "later"]),
    ("institution", "participates", &["yes", "no"]),
];

/// Everything read of a document and its lineage, in one view of the database.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub placed: Option<Placed>,
    pub lid: String,
    /// logicalID of the first document of those that replaced each other.
    pub root: String,
    pub patient_key: i64,
    pub patient_pid: String,
    pub related: Related,
    pub recipients: Vec<String>,
    pub lineage_id: Option<String>,
    pub lineage: Option<Lineage>,
    pub deliveries: Vec<Delivery>,
    pub current: Option<Kept>,
    /// Another document of the lineage waits or failed.
    pub others_pending: bool,
    /// Another document that is Approved is on its way: nothing of it is taken back.
    pub others_go: bool,
    /// What takes its place was decided not to go.
    pub heir_skipped: bool,
    /// Whether what it is a transformation of has been sent.
    pub original_sent: bool,
    pub insurances: Vec<String>,
    /// By the consent engine nothing of it may leave the network.
    pub withheld: bool,
    pub of_patient: Vec<Fact>,
    pub of_entry: Vec<Fact>,
    pub of_recipient: Vec<Fact>,
    pub asked: Option<(Option<bool>, i64)>,
    pub letter: Option<Lineage>,
    /// It went inside a letter that is there, or on its way.
    pub carried: bool,
    pub blob: Option<String>,
}

/// The value of a fact by name.
pub(super) fn say<'f>(facts: &'f [Fact], name: &str) -> Option<&'f Fact> {
    facts.iter().find(|f| f.name == name)
}

/// Reads all of an entry. `lineage`: which it is of, where the document said so.
pub(super) async fn read(tx: &mut Tx<'_>, id: &str, lineage: Option<&str>) -> Result<Option<Seen>, DbError> {
    let mut seen = Seen { placed: entry::get(tx, id).await?, ..Seen::default() };
    match &seen.placed {
        Some(placed) => {
            seen.lid = placed.lid.clone();
            seen.patient_key = placed.patient_key;
            seen.patient_pid = placed.entry.patient_id.clone();
        }
        None => {
            let known = match decision::lid_of(tx, id).await? {
                Some(lid) => Some(lid),
                None => entry::removed_lid(tx, id).await?,
            };
            let Some(lid) = known else { return Ok(None) };
            seen.lid = lid;
        }
    }
    seen.root = seen.lid.clone();
    seen.lineage_id = lineage::of_lid(tx, &seen.lid).await?;
    if let Some(placed) = seen.placed.clone() {
        seen.related = entry::related(tx, placed.patient_key, id).await?;
        // Another document's addendum or transformation keeps its associations under the lineage's newest version.
        let first = first_version(tx, &placed, id).await?;
        seen.recipients = entry::recipients(tx, placed.patient_key, &first).await?;
        let (root, known) = ancestry(tx, &placed, id).await?;
        seen.root = root;
        seen.lineage_id = seen.lineage_id.or(known);
        for target in &seen.related.transforms {
            let Some(original) = entry::get(tx, target).await? else { continue };
            if let (_, Some(id)) = ancestry(tx, &original, target).await?
                && let Some(original) = lineage::get(tx, &id).await?
                && original.state.is_there()
            {
                seen.original_sent = true;
            }
        }
        if let Some(heir) = last_heir(tx, &seen.related).await?
            && let Some(lid) = decision::lid_of(tx, &heir).await?
            && let Some(kept) = decision::current(tx, &lid).await?
        {
            seen.heir_skipped = kept.outcome == Outcome::Skip;
        }
        seen.blob = entry::blob(tx, &placed.entry.unique_id).await?;
        if let Ok(cx) = Cx::parse(&placed.entry.patient_id) {
            seen.insurances = insurances(tx, &cx.id).await?.iter().map(insured::of).collect();
        }
    }
    seen.lineage_id = seen.lineage_id.or_else(|| lineage.map(str::to_owned));
    if let Some(id) = &seen.lineage_id {
        seen.lineage = lineage::get(tx, id).await?;
        seen.deliveries = delivery::of_lineage(tx, id).await?;
        for delivery in seen.deliveries.iter().filter(|d| d.state.is_open() && d.lid != seen.lid) {
            seen.others_go |= entry::is_approved(tx, &delivery.lid).await?;
        }
        seen.others_pending = decision::pending_others(tx, id, &seen.lid).await?;
    }
    if seen.patient_pid.is_empty()
        && let Some(lineage) = &seen.lineage
    {
        seen.patient_pid = lineage.patient_pid.clone();
        seen.patient_key = lineage.patient_key;
    }
    seen.current = decision::current(tx, &seen.lid).await?;
    seen.carried = nesting::is_carried(tx, seen.current.as_ref()).await?;
    if seen.patient_pid.is_empty()
        && let Some(kept) = &seen.current
    {
        seen.patient_key = kept.patient_key;
    }
    seen.of_patient = fact::of(tx, "patient", &seen.patient_pid).await?;
    seen.of_entry = fact::of(tx, "entry", &seen.lid).await?;
    if let Some(recipient) = seen.recipient() {
        seen.of_recipient = fact::of(tx, "institution", &recipient).await?;
        seen.asked = fact::destination(tx, &recipient).await?;
    }
    if let Some(institution) = seen.institution() {
        seen.letter = lineage::letter_of(tx, seen.patient_key, &institution).await?;
    }
    Ok(Some(seen))
}

/// SubmissionSets name the version they brought: of an updated entry the first.
async fn first_version(tx: &mut Tx<'_>, placed: &Placed, id: &str) -> Result<String, DbError> {
    if placed.version <= 1 {
        return Ok(id.to_owned());
    }
    // The logicalID is the entryUUID of the first version.
    let first = entry::get(tx, &placed.lid).await?;
    Ok(first.map_or_else(|| id.to_owned(), |_| placed.lid.clone()))
}

/// The document that stands at the end of those that replaced each other, from one that was replaced on.
async fn last_heir(tx: &mut Tx<'_>, related: &Related) -> Result<Option<String>, DbError> {
    const FARTHEST: usize = 100;
    let mut heir = related.replaced_by.last().cloned();
    for _ in 0..FARTHEST {
        let Some(id) = &heir else { return Ok(None) };
        let Some(placed) = entry::get(tx, id).await? else { break };
        match entry::related(tx, placed.patient_key, id).await?.replaced_by.last().cloned() {
            Some(next) => heir = Some(next),
            None => break,
        }
    }
    Ok(heir)
}

/// The logicalID of the first document of those that replaced each other, up to an entry; and the lineage of the
/// nearest that has one.
async fn ancestry(tx: &mut Tx<'_>, placed: &Placed, id: &str) -> Result<(String, Option<String>), DbError> {
    const DEEPEST: usize = 100;
    let (mut lid, mut id, mut key) = (placed.lid.clone(), id.to_owned(), placed.patient_key);
    for _ in 0..DEEPEST {
        if let Some(known) = lineage::of_lid(tx, &lid).await? {
            return Ok((lid, Some(known)));
        }
        let Some(older) = entry::related(tx, key, &id).await?.replaces.into_iter().next() else { break };
        let Some(placed) = entry::get(tx, &older).await? else { break };
        (lid, id, key) = (placed.lid, older, placed.patient_key);
    }
    Ok((lid, None))
}

impl Seen {
    pub fn entry(&self) -> Option<&DocumentEntry> {
        self.placed.as_ref().map(|p| &p.entry)
    }

    /// The institution of the author: the ten digits of authorInstitution, else of the facility whose patient id it has.
    pub fn institution(&self) -> Option<String> {
        let Some(entry) = self.entry() else {
            return self.lineage.as_ref().map(|l| l.institution.clone());
        };
        let named =
            entry.author.iter().flat_map(|a: &Author| &a.author_institution).find_map(|text| of_xon(text));
        named.or_else(|| {
            let source = Cx::parse(entry.source_patient_id.as_deref()?).ok()?;
            let code = source.authority.strip_prefix(FACILITY_ARC)?.to_owned();
            is_institution(&code).then_some(code)
        })
    }

    /// The ten digits of intendedRecipient; what is there else, where it has none.
    pub fn recipient(&self) -> Option<String> {
        self.recipients.iter().find_map(|text| of_xon(text.split('|').next().unwrap_or_default()))
    }

    /// What happened to it, by the state it is in: rows may come late or twice, and then this is what counts.
    pub fn event(&self) -> Event {
        let Some(placed) = &self.placed else { return Event::Remove };
        match placed.status {
            1 => match () {
                () if placed.version > 1 && self.related.replaces.is_empty() => Event::MetadataUpdate,
                () if !self.related.replaces.is_empty() => Event::Replace,
                () if self.related.appends => Event::Append,
                () if !self.related.transforms.is_empty() => Event::Transform,
                () => Event::Register,
            },
            _ => Event::Deprecate,
        }
    }

    pub fn open(&self) -> impl Iterator<Item = &Delivery> {
        self.deliveries.iter().filter(|d| d.state.is_open())
    }

    /// Deliveries on their way that nobody has begun: they can still be taken back.
    pub fn untouched(&self, now: i64) -> Vec<String> {
        if self.others_go {
            return vec![];
        }
        let open: Vec<&Delivery> = self.open().collect();
        let fresh = open.iter().all(|d| d.state == Going::Waiting && d.attempts == 0 && d.lease_until <= now);
        if fresh { open.iter().map(|d| d.id.clone()).collect() } else { vec![] }
    }

    /// Where what went before is; `but_open`: as if nothing were on its way.
    pub fn predecessor(&self, but_open: bool) -> Option<Predecessor> {
        if !but_open && self.open().next().is_some() {
            return Some(Predecessor::InFlight);
        }
        match self.lineage.as_ref().map(|l| l.state).unwrap_or_default() {
            State::Accepted => Some(Predecessor::Accepted),
            State::Received => Some(Predecessor::Received),
            _ if self.others_pending => Some(Predecessor::Held),
            _ => None,
        }
    }

    /// Where this very document is; `but_open`: as if nothing were on its way.
    pub fn own(&self, but_open: bool) -> Option<Predecessor> {
        if !but_open && self.open().any(|d| d.lid == self.lid) {
            return Some(Predecessor::InFlight);
        }
        let lineage =
            self.lineage.as_ref().filter(|l| l.current_lid.as_deref() == Some(self.lid.as_str()))?;
        match lineage.state {
            State::Accepted => Some(Predecessor::Accepted),
            State::Received => Some(Predecessor::Received),
            _ => None,
        }
    }

    /// The facts for the gates, without a Bundle.
    pub fn facts(&self, config: &NationalConfig, file: &FactsFile, home: &str, now: i64) -> Facts {
        let empty = DocumentEntry::default();
        let entry = self.entry().unwrap_or(&empty);
        let event = self.event();
        let code = |code: &Option<crate::model::metadata::Code>| {
            code.as_ref().map(|c| c.code.clone()).unwrap_or_default()
        };
        let (format_code, type_code) = (code(&entry.format_code), code(&entry.type_code));
        let institution = self.institution();
        let stored = self.lineage.as_ref().and_then(|l| Kind::parse(&l.kind));
        let kind = match self.entry() {
            Some(_) => config.kind_of(&format_code, &entry.mime_type, &type_code),
            None => stored,
        };
        let recipient = self.recipient();
        let said = |name: &str| say(&self.of_patient, name).map(|f| f.value.as_str());
        let of_entry = |name: &str| say(&self.of_entry, name).map(|f| f.value.as_str());
        let default =
            institution.as_ref().and_then(|i| file.send_agreement.get(i)).unwrap_or(&config.send_agreement);
        let agreed = of_entry("send-agreement")
            .or_else(|| slot(entry, slots::SEND_AGREEMENT))
            .or_else(|| said("send-agreement"))
            .map(|v| v == "yes");
        let view = of_entry("view-consent").or_else(|| slot(entry, slots::VIEW_CONSENT));
        let reply = |c: &crate::model::metadata::Code| config.reply_codes.contains(&c.code);
        Facts {
            event,
            enabled: institution.as_ref().is_some_and(|i| config.egress.contains_key(i)),
            ours: entry.home_community_id.as_deref().is_none_or(|h| h == home)
                && slot(entry, slots::ORIGIN).is_none(),
            mime_type: entry.mime_type.clone(),
            is_reply: entry.type_code.iter().chain(&entry.event_code_list).any(reply),
            format_code,
            type_code,
            kind,
            regional_deny: self.withheld || said("regional-sharing") == Some("deny"),
            objection: said("objection") == Some("yes"),
            confidentiality: entry.confidentiality_code.iter().map(|c| c.code.clone()).collect(),
            insured_id: self.insured(config),
            qualified: self.qualified(config, now),
            send_agreed: agreed.or((*default == Agreement::Agreed).then_some(true)),
            view_consent: match view {
                Some("now") => ConsentStatus::Viewable,
                Some("later") => ConsentStatus::Pending,
                _ => config.view_consent,
            },
            recipient_participates: self.participates(file, recipient.as_deref(), now),
            recipient,
            predecessor: match event {
                Event::Transform if self.original_sent => Some(Predecessor::Accepted),
                _ => self.predecessor(false),
            },
            own: self.own(false),
            letter_sent: self.letter.is_some(),
            bundle: None,
            findings: vec![],
            institution,
        }
    }

    /// The insured id the index knows: the best formed of several.
    fn insured(&self, config: &NationalConfig) -> Option<String> {
        if config.insured_id == InsuredSource::Bundle {
            return None;
        }
        let rank = |id: &&String| match insured::form(id) {
            Form::Whole => 0,
            Form::NoBranch => 1,
            Form::PublicPayer => 2,
            Form::Wrong => 3,
        };
        self.insurances.iter().min_by_key(rank).cloned()
    }

    fn qualified(&self, config: &NationalConfig, now: i64) -> Option<bool> {
        const DAY: i64 = 86_400_000_000;
        let said = say(&self.of_patient, "qualification");
        let days = i64::try_from(config.qualification_days).unwrap_or(i64::MAX / DAY);
        match said {
            Some(fact) if fact.value == "invalid" => Some(false),
            Some(fact) if days > 0 => Some(now.saturating_sub(fact.at) <= days.saturating_mul(DAY)),
            Some(_) => Some(true),
            None if days > 0 => Some(false),
            None => None,
        }
    }

    /// What people said stands above the file, the file above what the service said.
    fn participates(&self, file: &FactsFile, recipient: Option<&str>, now: i64) -> Option<bool> {
        const FRESH: i64 = 24 * 3_600_000_000;
        let asked = self.asked.filter(|(_, at)| now.saturating_sub(*at) < FRESH).and_then(|(said, _)| said);
        say(&self.of_recipient, "participates")
            .map(|f| f.value == "yes")
            .or_else(|| file.participates.get(recipient?).copied())
            .or(asked)
    }
}

fn slot<'e>(entry: &'e DocumentEntry, name: &str) -> Option<&'e str> {
    entry.extra.slots.iter().find(|s: &&Slot| s.name == name)?.values.first().map(String::as_str)
}

/// The id of an XON if it has the form of an institution's, or whatever else it is.
fn of_xon(text: &str) -> Option<String> {
    let xon = Xon::parse(text).ok()?;
    let id = xon.id?.into_owned();
    // An institution may be named by the OID of its patient ids.
    Some(id.strip_prefix(FACILITY_ARC).filter(|code| is_institution(code)).unwrap_or(&id).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn institutions_are_found_in_xon() {
        let ten = of_xon("登呂病院^^^^^&1.2.392.200119.6.102&ISO^^^^1312345670");
        assert_eq!(ten.as_deref(), Some("1312345670"));
        assert_eq!(of_xon("某施設^^^^^&2.999&ISO^^^^2770123456A").as_deref(), Some("2770123456A"));
        assert_eq!(of_xon("名前のみ"), None);
    }

    #[test]
    fn what_has_not_begun_can_be_taken_back() {
        let d = |state, attempts, lease_until| Delivery {
            id: "d".into(),
            key: "k".into(),
            institution: "i".into(),
            queue: "q".into(),
            lineage: "l".into(),
            entry_id: "e".into(),
            lid: "e".into(),
            operation: "info.register".into(),
            call: "{}".into(),
            bundle_hash: None,
            state,
            unsure: false,
            attempts,
            polls: 0,
            not_before: 0,
            created_at: 0,
            first_attempt_at: None,
            settled_at: None,
            lease_until,
            code: None,
            failure: None,
            problems: None,
        };
        let seen = |d: Delivery| Seen { deliveries: vec![d], ..Seen::default() };
        assert_eq!(seen(d(Going::Waiting, 0, 0)).untouched(5), ["d"]);
        for begun in [d(Going::Waiting, 1, 0), d(Going::Waiting, 0, 9), d(Going::Parked, 0, 0)] {
            assert_eq!(seen(begun).untouched(5), [""; 0]);
        }
        assert_eq!(seen(d(Going::Done, 1, 0)).predecessor(false), None);
        assert_eq!(seen(d(Going::Parked, 1, 0)).predecessor(false), Some(Predecessor::InFlight));
    }
}
