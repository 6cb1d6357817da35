//! A user whose assertion names one patient (resource-id) is told of no other: by our registry, our repository, nor by
//! other communities.

use chiren::model::caller::Caller;
use chiren::model::error::{Error, ErrorCode};
use chiren::model::query::{QueryRequest, StoredQuery};
use chiren::model::user::User;
use chiren::service::context::Context;
use chiren::service::repository::DocumentRequest as Wanted;

use super::ours;
use crate::support::community::{Neighbour, Way, community, home};
use crate::support::samples::*;

#[tokio::test]
async fn an_assertion_about_one_patient_opens_no_other() {
    let neighbour = Neighbour::start(2, Way::Good).await;
    let first = ours(vec![community(2, neighbour.address)]).await;
    let unique_id = first.publish(b"of the patient").await;
    let rooms = first.rooms();
    let (registry, repository, gateway) = (
        rooms.registry.as_ref().unwrap(),
        rooms.repository.as_ref().unwrap(),
        rooms.gateway.as_ref().unwrap(),
    );
    for (about, refused) in [(PATIENT, false), ("2002^^^&2.999.392.1.2&ISO", true)] {
        let user = User { patient: Some(about.into()), ..User::default() };
        let asked = Context::of_operator("test", None, first.clock.now());
        let caller = Caller { user: Some(Box::new(user)), ..asked.caller.clone() };
        let context = Context { caller, ..asked };
        let raw = find_documents(PATIENT);
        let (query, view) = StoredQuery::with_view(&raw.id, false, &raw.slots).unwrap();
        let request = QueryRequest { query, return_type: raw.return_type, home: None, view };
        let rejected = |outcome: Result<(), Error>| match outcome {
            Ok(()) => false,
            Err(Error::Rejected(errors)) => errors[0].code == ErrorCode::XDSRegistryError,
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(rejected(registry.query(&context, request.clone()).await.map(drop)), refused, "registry");
        assert_eq!(rejected(gateway.query(&context, raw, request).await.map(drop)), refused, "gateway");
        assert_eq!(neighbour.asked().len(), 1, "only about the patient it names is another asked");
        let wanted = Wanted {
            home_community_id: None,
            repository_unique_id: repository.unique_id().to_owned(),
            document_unique_id: unique_id.clone(),
        };
        let retrieval = repository.retrieve(&context, vec![wanted]).await.unwrap();
        let codes: Vec<ErrorCode> = retrieval.errors.iter().map(|e| e.code).collect();
        let expected = if refused { (0, vec![ErrorCode::XDSRepositoryError]) } else { (1, vec![]) };
        assert_eq!((retrieval.documents.len(), codes), expected, "repository");
    }
}

/// Whose a document elsewhere is nobody knows here; but of a community that does not know the patient it cannot be his.
#[tokio::test]
async fn documents_are_asked_for_where_the_patient_is_known() {
    let (knows, stranger) = (Neighbour::start(2, Way::Good).await, Neighbour::start(3, Way::Good).await);
    let mut elsewhere = community(3, stranger.address);
    elsewhere.patient_id_authority = Some("2.999.392.3.2".into());
    let first = ours(vec![community(2, knows.address), elsewhere]).await;
    let gateway = first.rooms().gateway.as_ref().unwrap();
    let user = User { patient: Some(PATIENT.into()), ..User::default() };
    let asked = Context::of_operator("test", None, first.clock.now());
    let caller = Caller { user: Some(Box::new(user)), ..asked.caller.clone() };
    let context = Context { caller, ..asked };
    for (n, refused) in [(2, false), (3, true)] {
        let wanted = Wanted {
            home_community_id: Some(home(n)),
            repository_unique_id: "2.999.392.77.3".into(),
            document_unique_id: new_oid(),
        };
        let delivery = gateway.retrieve(&context, vec![wanted]).await.unwrap();
        let codes: Vec<ErrorCode> = delivery.errors.iter().map(|e| e.code).collect();
        let expected = if refused { vec![ErrorCode::XDSUnavailableCommunity] } else { vec![] };
        assert_eq!(codes, expected, "network {n}");
    }
    assert_eq!((knows.asked().len(), stranger.asked().len()), (1, 0));
}
