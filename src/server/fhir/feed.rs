//! ITI-104 Patient Identity Feed FHIR: `PUT [base]/Patient?identifier=system|value`, which creates, updates, or with
//! `active=false` and a link `replaced-by` joins that identifier to another. ITI PIXm 3.104.

use http::StatusCode;
use serde_json::Value;

use super::answer::{Answer, Denied, refused};
use super::{FhirFace, wrong};
use crate::model::identity::{Authority, DemographicsQuery, Feed, FeedMessage, Field, Place, SentId, Source};
use crate::model::node::Grants;
use crate::server::metrics::Outcome;
use crate::service::context::Context;
use crate::service::mpi::{Page, Refusal};
use crate::service::nodes::check;
use crate::wire::fhir::{self, Issue, IssueCode, Link, Read};

pub async fn answer(
    face: &FhirFace,
    context: &Context,
    grants: Option<&Grants>,
    base: &str,
    query: &str,
    resource: &Value,
    raw: Vec<u8>,
) -> Result<Answer, Denied> {
    let (system, value) = condition(query)?;
    let Read { ids, sent, active, replaced_by } = fhir::read(resource).map_err(wrong)?;
    let sought = SentId {
        value: value.clone(),
        authority: fhir::authority_of(&system),
        type_code: None,
        place: Place::of(Field::Identifier),
    };
    let Some(held) = ids.iter().find(|id| id.value == value && id.authority == sought.authority) else {
        let text = "the Patient does not hold the identifier it is updated by (ITI PIXm 3.104.4.1.2)";
        return Err(unprocessable(text).at("Patient.identifier"));
    };
    let feed = match (active, replaced_by.as_slice()) {
        (Some(false), [link]) => {
            let surviving = match survivor(face, context, link, held).await? {
                Ok(surviving) => surviving,
                Err(refusal) => return Ok(refused(context, refusal)),
            };
            Feed::Merge { surviving: vec![surviving], subsumed: vec![held.clone()] }
        }
        (Some(false), []) => {
            let text = "active=false without a link replaced-by: patients are joined, not switched off";
            return Err(unprocessable(text).at("Patient.active"));
        }
        (_, []) => Feed::Upsert { ids, sent: Box::new(sent) },
        (_, [_]) => {
            let text = "a Patient that is replaced-by another has active=false";
            return Err(unprocessable(text).at("Patient.active"));
        }
        _ => return Err(unprocessable("a Patient is replaced-by one other").at("Patient.link")),
    };
    let merge = matches!(feed, Feed::Merge { .. });
    let message = FeedMessage {
        source: Source::default(),
        control_id: context.request_id.clone(),
        event: "PUT Patient".to_owned(),
        occurred: None,
        feed,
        warnings: vec![],
        raw,
    };
    if let Some(grants) = grants
        && let Err(trespass) = check::feed(grants, face.mpi.domains(), &message)
    {
        let (caller, id, at) = (context.caller.clone(), &context.request_id, context.received_at);
        return Ok(face.trespassed(&trespass, Some(context.transaction), caller, id, at).await);
    }
    let fed = match face.mpi.feed(context, message).await {
        Ok(fed) => fed,
        Err(refusal) => return Ok(refused(context, refusal)),
    };
    let (status, said) = match (merge, fed.created) {
        (true, _) => (StatusCode::OK, "joined"),
        (false, true) => (StatusCode::CREATED, "created"),
        (false, false) => (StatusCode::OK, "updated"),
    };
    let mut issues = vec![Issue::information(said)];
    issues.extend(fed.warnings.iter().map(Issue::warning));
    let outcome = if fed.warnings.is_empty() { Outcome::Success } else { Outcome::Warning };
    let name = context.transaction.code();
    let answer = Answer::new(name, status, fhir::operation_outcome(&issues), outcome);
    Ok(match fed.person {
        Some(person) => answer.at(format!("{base}/Patient/{}", person.value)),
        None => answer,
    })
}

fn unprocessable(text: &str) -> Denied {
    Denied::new(StatusCode::UNPROCESSABLE_ENTITY, IssueCode::BusinessRule, text)
}

/// The one identifier a conditional update goes by.
fn condition(query: &str) -> Result<(String, String), Denied> {
    let mut found = None;
    for (name, value) in fhir::pairs(query).map_err(|issue| wrong(vec![issue]))? {
        match name.as_str() {
            "_format" | "_pretty" => {}
            "identifier" if found.is_none() => found = Some(value),
            other => {
                let text =
                    format!("parameter '{other}': a Patient is updated by one identifier=system|value");
                return Err(Denied::new(StatusCode::BAD_REQUEST, IssueCode::NotSupported, text));
            }
        }
    }
    let token = found.as_deref().unwrap_or_default();
    fhir::identifier_of(token).ok_or_else(|| {
        let text = "a Patient is updated by identifier=system|value (ITI PIXm 3.104.4.1)";
        Denied::new(StatusCode::BAD_REQUEST, IssueCode::Required, text).at("identifier")
    })
}

/// Whom the subsumed id belongs to from now on. Of a person named by our id, the one id in the domain of the
/// subsumed.
async fn survivor(
    face: &FhirFace,
    context: &Context,
    link: &Link,
    subsumed: &SentId,
) -> Result<Result<SentId, Refusal>, Denied> {
    let place = Place::of(Field::PriorIdentifier);
    let (id, person) = match (&link.identifier, &link.id) {
        (Some((system, value)), _) => {
            let authority = fhir::authority_of(system);
            return Ok(Ok(SentId { value: value.clone(), authority, type_code: None, place }));
        }
        (None, Some(id)) => (id, Authority::oid(face.mpi.domains().network().oid.clone())),
        (None, None) => return Err(unprocessable("replaced-by names no Patient").at("Patient.link")),
    };
    let query = DemographicsQuery {
        ids: vec![SentId { value: id.clone(), authority: person, type_code: None, place }],
        returned: vec![subsumed.authority.clone()],
        ..DemographicsQuery::default()
    };
    let found = match face.mpi.find(context, query, Page { size: Some(1), ..Page::default() }).await {
        Ok(found) => found,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let ids = found.patients.first().map(|p| p.ids.as_slice()).unwrap_or_default();
    match ids {
        [only] => Ok(Ok(SentId {
            value: only.value.clone(),
            authority: Authority::oid(only.domain.clone()),
            type_code: None,
            place,
        })),
        [] => {
            Err(unprocessable("the Patient of replaced-by has no identifier of that domain")
                .at("Patient.link"))
        }
        _ => {
            let text = "the Patient of replaced-by has several identifiers of that domain: name one by other.identifier";
            Err(unprocessable(text).at("Patient.link"))
        }
    }
}
