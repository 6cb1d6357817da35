//! Consent documents (BPPC): a DocumentEntry whose eventCodeList names a policy of the network's rules is a consent to it,
//! written down in the transaction that registers it. It counts while the entry is Approved; the period of its service is
//! the period of the consent. ITI TF-1 19, ITI TF-3 5.1.

use jiff::civil::Date;

use super::forms::{Forms, is_appc};
use super::{ATTRIBUTES_CHANGED, Word, alert, line};
use crate::model::consent::facts::{Facts, Institution};
use crate::model::consent::network::ConsentPolicy;
use crate::model::consent::record::{Consent, Status};
use crate::model::consent::{Attribute, Known, Network};
use crate::model::metadata::DocumentEntry;
use crate::service::access::Access;
use crate::service::context::Context;
use crate::store::audit::{self, AuditRow};
use crate::store::consent::record;
use crate::store::db::{DbError, Tx};

/// Writes down what the consent documents among `entries` say of their patient. The patient is held.
pub(crate) async fn of_submission<'e>(
    tx: &mut Tx<'_>,
    access: &Access,
    context: &Context,
    patient_key: i64,
    patient: &str,
    entries: impl Iterator<Item = &'e DocumentEntry>,
    forms: &Forms,
) -> Result<(), DbError> {
    let network = access.network();
    if network.policy.is_empty() && forms.is_empty() {
        return Ok(());
    }
    let word = Word { who: signer(context), reason: "consent document registered".into() };
    for entry in entries {
        let consents = read(&network, entry, context, forms.get(&entry.unique_id));
        if consents.is_empty() {
            continue;
        }
        let mut ids = vec![];
        for consent in consents {
            let known = Known::Consent(consent);
            record::put(tx, patient_key, &known, Some(&entry.unique_id), context.micros()).await?;
            record::note(tx, &line(context, patient_key, known.id(), "document", &word, Some(&known))?)
                .await?;
            ids.push(known.id().to_owned());
        }
        let event = alert(context, ATTRIBUTES_CHANGED, patient, &ids, "document", &word);
        audit::append(tx, &AuditRow::new(event)?).await?;
    }
    Ok(())
}

/// Who sent it, as the history names them.
fn signer(context: &Context) -> String {
    let user = context.caller.user.as_ref().map(|u| u.audited());
    let node = context.caller.node.as_ref().map(|n| n.id.clone());
    user.or(node).unwrap_or_else(|| context.caller.address.clone())
}

/// The consents an entry shows: one for each policy its eventCodeList names; for one that refuses, a withdrawal of each
/// policy it withdraws.
/// `form`: what its APPC document says, whose bytes were read. Of one whose were not, such as by ITI-42, nothing is known
/// that could be a consent.
fn read(network: &Network, entry: &DocumentEntry, context: &Context, form: Option<&Consent>) -> Vec<Consent> {
    let facts = Facts::of(entry);
    let named: Vec<&ConsentPolicy> =
        facts.codes_of(Attribute::EventCode).filter_map(|(code, _)| network.policy_of(code)).collect();
    let unread = is_appc(entry) && form.is_none() && !named.iter().any(|policy| policy.refuses);
    if unread || named.is_empty() && form.is_none() {
        return vec![];
    }
    let institution = entry.author.iter().flat_map(|a| &a.author_institution).next();
    let obtained_at =
        institution.and_then(|i| network.facility_of(&Institution::parse(i)).map(str::to_owned));
    let base = Consent {
        signer: entry.legal_authenticator.clone(),
        obtained_at,
        signed_on: day(entry.creation_time.as_deref()),
        valid_from: day(entry.service_start_time.as_deref()),
        valid_to: day(entry.service_stop_time.as_deref()),
        document: Some(entry.unique_id.clone()),
        ..Consent::default()
    };
    let mut consents = vec![];
    if let Some(form) = form.filter(|_| !named.iter().any(|policy| policy.refuses)) {
        consents.push(Consent {
            id: context.uuid().to_string(),
            policy: form.policy.clone(),
            pattern: form.pattern,
            rules: form.rules.clone(),
            ..base
        });
        return consents;
    }
    for policy in named {
        let fresh = || context.uuid().to_string();
        if !policy.refuses {
            let id = fresh();
            consents.push(Consent {
                id,
                policy: policy.oid.clone(),
                pattern: policy.pattern,
                ..base.clone()
            });
            continue;
        }
        let all = network.policy.iter().filter(|p| !p.refuses);
        for other in all.filter(|p| policy.withdraws.is_empty() || policy.withdraws.contains(&p.oid)) {
            consents.push(Consent {
                id: fresh(),
                policy: other.oid.clone(),
                status: Status::Withdrawn,
                // A refusal has no end that would bring the consent back.
                valid_from: None,
                valid_to: None,
                ..base.clone()
            });
        }
    }
    consents
}

/// The day in Japan of a time of the metadata.
fn day(time: Option<&str>) -> Option<Date> {
    let entry = DocumentEntry { creation_time: time.map(str::to_owned), ..DocumentEntry::default() };
    Facts::of(&entry).day
}
