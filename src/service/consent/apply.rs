//! One change, inside its transaction: the patient is held, records change, and history and audit say so.

use super::{
    ATTRIBUTES_CHANGED, Change, EMERGENCY_STARTED, EMERGENCY_STOPPED, Refused, Word, Work, alert, line,
};
use crate::model::consent::record::{Consent, Effect, Kind, Status};
use crate::model::consent::{Audience, Known, Network, facts};
use crate::store::audit::{self, AuditRow};
use crate::store::consent::record::{self, Kept};
use crate::store::db::{DbError, Tx};
use crate::store::patient;

pub(super) enum Stop {
    Refused(Refused),
    Db(DbError),
}

impl From<DbError> for Stop {
    fn from(e: DbError) -> Self {
        Self::Db(e)
    }
}

impl From<Refused> for Stop {
    fn from(e: Refused) -> Self {
        Self::Refused(e)
    }
}

/// What can be said without looking at the database.
pub(super) fn checked(change: &Change, word: &Word, network: &Network) -> Result<(), Refused> {
    let invalid = |why: &str| Err(Refused::Invalid(why.to_owned()));
    if word.who.trim().is_empty() || word.reason.trim().is_empty() {
        return invalid("say who does it and why");
    }
    let group = |audience: &Audience| match audience {
        Audience::Group(name) if !network.facility.iter().any(|f| f.groups.contains(name)) => {
            Err(Refused::Invalid(format!("no facility is in a group '{name}' (consent.rules)")))
        }
        _ => Ok(()),
    };
    let days = |from: Option<jiff::civil::Date>, to: Option<jiff::civil::Date>| match (from, to) {
        (Some(from), Some(to)) if to < from => {
            Err(Refused::Invalid(format!("{to} is before {from}: nothing would ever hold")))
        }
        _ => Ok(()),
    };
    match change {
        Change::Grant(consent) => {
            days(consent.valid_from, consent.valid_to)?;
            for rule in &consent.rules {
                group(&rule.source)?;
                group(&rule.viewer)?;
                days(rule.valid_from, rule.valid_to)?;
                days(rule.documents_from, rule.documents_to)?;
            }
            Ok(())
        }
        Change::Restrict(_, rule) if rule.effect != Effect::Deny => {
            invalid("what is withdrawn in part is withdrawn by a rule that denies")
        }
        Change::Restrict(_, rule) => group(&rule.source).and_then(|()| group(&rule.viewer)),
        Change::Reserve(r) => {
            days(r.valid_from, r.valid_to)?;
            group(&r.source).and_then(|()| group(&r.viewer))
        }
        Change::Attest(a) if !network.attestation => {
            invalid(&format!("the network's rules know no attestation for {} (consent.rules)", a.viewer))
        }
        Change::Attest(a) => match (&a.viewer, a.until > a.from) {
            (Audience::Person(_) | Audience::Facility(_), true) => Ok(()),
            (_, false) => invalid("the attestation would end before it begins"),
            _ => invalid("an attestation is a person's or a facility's"),
        },
        Change::BreakGlass(b) if b.user.trim().is_empty() => invalid("emergency access is a person's"),
        Change::BreakGlass(b) if b.until <= b.from => {
            invalid("the emergency access would end before it begins")
        }
        Change::Vip(team) => team.iter().try_for_each(group),
        _ => Ok(()),
    }
}

pub(super) async fn apply(tx: &mut Tx<'_>, work: &Work) -> Result<Vec<String>, Stop> {
    let (context, at) = (&work.context, work.context.micros());
    let held = patient::hold(tx, &work.patient).await?.ok_or(Refused::UnknownPatient)?;
    let key = held.key();
    let operation = work.change.operation();
    let id = context.uuid().to_string();
    let mut event_type = ATTRIBUTES_CHANGED;
    let mut said: Vec<(String, Option<Known>)> = vec![];
    match &work.change {
        Change::Grant(consent) => {
            let known = Known::Consent(Consent { id, ..consent.clone() });
            said.extend(grant(tx, key, &known, consent, at).await?);
        }
        Change::Withdraw(which) => said.extend(withdraw(tx, key, which.as_deref(), work, at).await?),
        Change::Restrict(which, rule) => {
            let kept = in_force(tx, key, which).await?;
            let Known::Consent(mut consent) = kept.known else {
                return Err(Refused::NoRecord(which.clone()).into());
            };
            if !consent.status.holds() {
                return Err(Refused::NoRecord(which.clone()).into());
            }
            consent.rules.push(rule.clone());
            consent.status = Status::PartlyWithdrawn;
            said.push(put(tx, key, Known::Consent(consent), at).await?);
        }
        Change::Reserve(r) => {
            let mut reservation = r.clone();
            reservation.id = id;
            said.push(put(tx, key, Known::Reservation(reservation), at).await?);
        }
        Change::Attest(a) => {
            let mut attestation = a.clone();
            attestation.id = id;
            said.push(put(tx, key, Known::Attestation(attestation), at).await?);
        }
        Change::BreakGlass(b) => {
            event_type = EMERGENCY_STARTED;
            let mut access = b.clone();
            access.id = id;
            said.push(put(tx, key, Known::BreakGlass(access), at).await?);
        }
        Change::Vip(team) => {
            for kept in record::of_patient(tx, key, false).await? {
                if kept.known.kind() == Kind::Vip {
                    record::end(tx, key, kept.known.id(), at).await?;
                }
            }
            said.push(put(tx, key, Known::Vip { id, team: team.clone() }, at).await?);
        }
        Change::End(which) => {
            let kept = in_force(tx, key, which).await?;
            match kept.known.kind() {
                // A consent is withdrawn: that it was is a part of deciding.
                Kind::Consent => {
                    return Err(Refused::Invalid("a consent is withdrawn, not ended".into()).into());
                }
                Kind::BreakGlass => event_type = EMERGENCY_STOPPED,
                _ => {}
            }
            if kept.known.kind() == Kind::BreakGlass {
                // It stays to be reviewed, and ends now.
                let Known::BreakGlass(mut access) = kept.known else { return Ok(vec![]) };
                access.until = access.until.min(at);
                said.push(put(tx, key, Known::BreakGlass(access), at).await?);
            } else {
                record::end(tx, key, which, at).await?;
                said.push((which.clone(), None));
            }
        }
        Change::Hold(unique_id) => {
            if !record::hold(tx, unique_id, at, &work.word.who, &work.word.reason).await? {
                return Err(Refused::Invalid("the document is on hold already".into()).into());
            }
            said.push((unique_id.clone(), None));
        }
        Change::Unhold(unique_id) => {
            if !record::unhold(tx, unique_id).await? {
                return Err(Refused::NoRecord(unique_id.clone()).into());
            }
            said.push((unique_id.clone(), None));
        }
        Change::Confirm => {
            if record::confirm(tx, key, at).await? == 0 {
                return Err(Refused::Invalid("there is nothing to confirm for this patient".into()).into());
            }
            said.push((key.to_string(), None));
        }
        Change::Review(which) => {
            let kept = in_force(tx, key, which).await?;
            if kept.known.kind() != Kind::BreakGlass || !record::reviewed(tx, key, which, at).await? {
                return Err(Refused::NoRecord(which.clone()).into());
            }
            said.push((which.clone(), None));
        }
    }
    for (id, known) in &said {
        record::note(tx, &line(context, key, id, operation, &work.word, known.as_ref())?).await?;
    }
    let ids: Vec<String> = said.into_iter().map(|(id, _)| id).collect();
    let event = alert(context, event_type, &work.patient, &ids, operation, &work.word);
    audit::append(tx, &AuditRow::new(event)?).await?;
    Ok(ids)
}

async fn put(tx: &mut Tx<'_>, key: i64, known: Known, at: i64) -> Result<(String, Option<Known>), DbError> {
    record::put(tx, key, &known, None, at).await?;
    Ok((known.id().to_owned(), Some(known)))
}

/// Adds a consent. What was granted before under the same policy is ended, unless it was signed later: then the new one is
/// history already, and is kept so.
pub(super) async fn grant(
    tx: &mut Tx<'_>,
    key: i64,
    known: &Known,
    consent: &Consent,
    at: i64,
) -> Result<Vec<(String, Option<Known>)>, DbError> {
    record::put(tx, key, known, None, at).await?;
    supersede(tx, key, known.id(), consent, at).await?;
    Ok(vec![(known.id().to_owned(), Some(known.clone()))])
}

/// Ends the consents to the same policy that were signed no later.
pub(super) async fn supersede(
    tx: &mut Tx<'_>,
    key: i64,
    id: &str,
    consent: &Consent,
    at: i64,
) -> Result<(), DbError> {
    for kept in record::of_patient(tx, key, false).await? {
        let Known::Consent(earlier) = &kept.known else { continue };
        // What a document shows ends with the document.
        let mine = earlier.policy == consent.policy && earlier.id != id && kept.evidence.is_none();
        if mine && earlier.signed_on <= consent.signed_on {
            record::end(tx, key, &earlier.id, at).await?;
        }
    }
    Ok(())
}

/// Withdraws what is granted. It stays, as withdrawn: an older consent must not come back by it.
async fn withdraw(
    tx: &mut Tx<'_>,
    key: i64,
    which: Option<&str>,
    work: &Work,
    at: i64,
) -> Result<Vec<(String, Option<Known>)>, Stop> {
    let mut said = vec![];
    for kept in record::of_patient(tx, key, false).await? {
        let Known::Consent(mut consent) = kept.known else { continue };
        if !consent.status.holds() || which.is_some_and(|id| id != consent.id) {
            continue;
        }
        consent.status = Status::Withdrawn;
        said.push(put(tx, key, Known::Consent(consent), at).await?);
    }
    // The patient consented at visits, too.
    for kept in record::of_patient(tx, key, false).await? {
        if which.is_none() && kept.known.kind() == Kind::Attestation {
            record::end(tx, key, kept.known.id(), at).await?;
            said.push((kept.known.id().to_owned(), None));
        }
    }
    match (said.is_empty(), which) {
        (true, Some(id)) => Err(Refused::NoRecord(id.to_owned()).into()),
        (true, None) => {
            // A patient who never signed refuses: of every policy there is, so that no form of one stands alone.
            let policies = match work.policies.is_empty() {
                true => vec![String::new()],
                false => work.policies.clone(),
            };
            for policy in policies {
                let refusal = Consent {
                    id: work.context.uuid().to_string(),
                    policy,
                    status: Status::Withdrawn,
                    signed_on: facts::today(at),
                    ..Consent::default()
                };
                said.push(put(tx, key, Known::Consent(refusal), at).await?);
            }
            Ok(said)
        }
        (false, _) => Ok(said),
    }
}

async fn in_force(tx: &mut Tx<'_>, key: i64, id: &str) -> Result<Kept, Stop> {
    let found = record::get(tx, id).await?.filter(|k| k.patient_key == key && k.ended_at.is_none());
    Ok(found.ok_or_else(|| Refused::NoRecord(id.to_owned()))?)
}
