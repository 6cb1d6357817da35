//! Consent forms with rules: APPC documents that come with their bytes (ITI-41), read before anything is stored. What
//! our rules cannot say is refused, and the submission with it: half of a form would permit what the patient denied.

use std::collections::HashMap;

use super::apply::checked;
use super::{Change, Refused, Word};
use crate::content::consent::{APPC_FORMAT, appc};
use crate::model::consent::Network;
use crate::model::consent::record::Consent;
use crate::model::hl7types::Cx;
use crate::model::metadata::DocumentEntry;
use crate::service::access::Access;

/// What the forms of a submission say, by uniqueId.
pub(crate) type Forms = HashMap<String, Consent>;

/// Whether an entry is of an APPC document.
pub(crate) fn is_appc(entry: &DocumentEntry) -> bool {
    entry.format_code.as_ref().is_some_and(|format| format.code == APPC_FORMAT)
}

/// What the APPC document of an entry says, where consent is asked for; `bytes`: of one that is not too large.
pub(crate) fn read(
    access: &Access,
    entry: &DocumentEntry,
    patient: &str,
    bytes: Option<&[u8]>,
) -> Result<Option<Consent>, String> {
    if !access.is_on() || !is_appc(entry) {
        return Ok(None);
    }
    let network = access.network();
    let bytes = bytes.ok_or("an APPC document of more than 256 KiB is not read")?;
    let text = std::str::from_utf8(bytes).map_err(|_| "an APPC document is UTF-8".to_owned())?;
    let read = appc::read(text).map_err(|trouble| trouble.to_string())?;
    let whole = |text: &str| Cx::parse(text).map_or_else(|_| text.to_owned(), |cx| cx.to_string());
    if read.patient.as_deref().is_some_and(|named| whole(named) != whole(patient)) {
        return Err("resource-id: the policies are about another patient than the submission".into());
    }
    let acknowledged = read.policy.is_some();
    let consent = acknowledging(read.consent(&network, None), acknowledged, &network, entry)?;
    let word = Word { who: "the document".into(), reason: "the document".into() };
    match checked(&Change::Grant(consent.clone()), &word, &network) {
        Err(refused @ Refused::Invalid(_)) => Err(refused.to_string()),
        _ => Ok(Some(consent)),
    }
}

/// With the policy that the entry's eventCodeList names, where the document refers to none.
fn acknowledging(
    mut consent: Consent,
    acknowledged: bool,
    network: &Network,
    entry: &DocumentEntry,
) -> Result<Consent, String> {
    let named = entry.event_code_list.iter().find_map(|code| network.policy_of(&code.code));
    match named {
        Some(policy) if acknowledged && policy.oid != consent.policy => {
            Err(format!("it refers to the policy {}, and eventCodeList names {}", consent.policy, policy.oid))
        }
        Some(policy) if !acknowledged => {
            (consent.policy, consent.pattern) = (policy.oid.clone(), policy.pattern);
            Ok(consent)
        }
        _ => Ok(consent),
    }
}
