//! ITI-78 Patient Demographics Query for Mobile: search by GET and POST, its pages, and one person by id. ITI PDQm
//! 3.78.

use http::StatusCode;

use super::answer::{Answer, Denied, refused};
use super::{FhirFace, wrong};
use crate::model::identity::{Authority, DemographicsQuery, Field, Place, SentId, Trouble};
use crate::service::context::Context;
use crate::service::mpi::{Found, FoundPatient, Page, Refusal};
use crate::wire::fhir::{self, Entry, Issue, IssueCode, Search};

pub async fn by_query(
    face: &FhirFace,
    context: &Context,
    base: &str,
    query: &str,
    lenient: bool,
) -> Result<Answer, Denied> {
    let pairs = fhir::pairs(query).map_err(|issue| wrong(vec![issue]))?;
    let search = fhir::read_search(&pairs, lenient).map_err(wrong)?;
    let count_only = search.size == Some(0);
    let size = search.size.filter(|n| *n > 0);
    let Search { query, persons, page, inactive, said, ignored, .. } = search;
    let found = match &page {
        Some((id, from)) => face.mpi.go_on(context, id, Some(*from), size).await,
        None => {
            let query = with_persons(face, query, &persons);
            let page = Page { query_id: context.request_id.clone(), size, pointer: None };
            face.mpi.find(context, query, page).await
        }
    };
    let mut found = match found {
        Ok(found) => found,
        Err(refusal) => return Ok(refused(context, told(refusal))),
    };
    if inactive {
        // Persons that are found are active.
        found = Found { patients: vec![], total: 0, remaining: 0, next: None };
    }
    let mut links = vec![("self", format!("{base}/Patient?{said}"))];
    if found.remaining > 0 && !count_only {
        let id = page.map_or_else(|| context.request_id.clone(), |(id, _)| id);
        let next = found.total.saturating_sub(found.remaining) + 1;
        let count = size.map(|n| format!("&_count={n}")).unwrap_or_default();
        links.push(("next", format!("{base}/Patient?_page={}&_from={next}{count}", fhir::encoded(&id))));
    }
    let entries = match count_only {
        true => vec![],
        false => found.patients.iter().map(|p| entry(base, p)).collect(),
    };
    let notes: Vec<Issue> = ignored
        .iter()
        .map(|name| Issue {
            severity: fhir::Severity::Warning,
            ..Issue::error(IssueCode::NotSupported, "the parameter was left out").at(name)
        })
        .collect();
    Ok(Answer::of(context, fhir::searchset(found.total, &links, entries, &notes)))
}

/// What an unknown domain is called here (ITI PDQm 3.78.4.1.3, case 3).
fn told(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Identity(mut errors) => {
            for error in errors.iter_mut().filter(|e| e.trouble == Trouble::UnknownAuthority) {
                error.text = format!("targetSystem not found: {}", error.text);
            }
            Refusal::Identity(errors)
        }
        other => other,
    }
}

/// `_id` is an id of the network's own domain.
fn with_persons(face: &FhirFace, mut query: DemographicsQuery, persons: &[String]) -> DemographicsQuery {
    let authority = Authority::oid(face.mpi.domains().network().oid.clone());
    for id in persons {
        query.ids.push(SentId {
            value: id.clone(),
            authority: authority.clone(),
            type_code: None,
            place: Place::of(Field::QueryParameter),
        });
    }
    query
}

pub(super) fn entry(base: &str, patient: &FoundPatient) -> Entry {
    let id = &patient.person.value;
    Entry {
        full_url: format!("{base}/Patient/{id}"),
        resource: fhir::write(id, &patient.ids, &patient.demographics),
        score: Some(patient.score),
        grade: None,
    }
}

/// `GET [base]/Patient/[id]`.
pub async fn read(face: &FhirFace, context: &Context, id: &str) -> Result<Answer, Denied> {
    let query = with_persons(face, DemographicsQuery::default(), &[id.to_owned()]);
    match face.mpi.find(context, query, Page { size: Some(1), ..Page::default() }).await {
        Ok(found) => match found.patients.iter().find(|p| p.person.value == id) {
            Some(patient) => {
                let resource = fhir::write(&patient.person.value, &patient.ids, &patient.demographics);
                Ok(Answer::of(context, resource))
            }
            None => {
                let text = "no person has this id (any more: joined to another, or split)";
                Err(Denied::new(StatusCode::NOT_FOUND, IssueCode::NotFound, text))
            }
        },
        Err(refusal) => Ok(refused(context, refusal)),
    }
}
