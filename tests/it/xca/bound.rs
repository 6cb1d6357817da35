//! A user whose assertion names one patient (resource-id) is told of no other: by our registry, our repository, nor by
//! other communities.

use chiren::model::caller::Caller;
use chiren::model::error::{Error, ErrorCode};
use chiren::model::query::{QueryRequest, StoredQuery};
use chiren::model::user::User;
use chiren::service::context::Context;
use chiren::service::repository::DocumentRequest as Wanted;

use super::ours;
use crate::support::community::{Neighbour, Way, community};
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
