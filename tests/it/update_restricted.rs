//! ITI-92: what a restricted update may change, and what it may not.

use chiren::model::metadata::AvailabilityStatus::{Approved, Deprecated};
use chiren::model::metadata::{AssociationType, DocumentEntry, EntryType, Update};
use chiren::model::uuids::{document_availability, slot};

use crate::support::Gateway;
use crate::support::samples::*;
use crate::support::updates::*;

const UNKNOWN: &str = "urn:uuid:00000000-0000-4000-8000-000000000000";

async fn with_document(keeps: &[&str]) -> (Gateway, DocumentEntry) {
    let gateway = Gateway::start_with(|c| {
        c.registry.restricted_update_keeps = keeps.iter().map(|k| (*k).to_owned()).collect();
    })
    .await;
    gateway.soap().register(&submission_with_folder()).await.assert_success();
    let entry = gateway.entry(PATIENT).await;
    (gateway, entry)
}

#[tokio::test]
async fn what_may_change() {
    let (gateway, v1) = with_document(&[]).await;
    let mut u = next_entry(update(), "DE", &v1);
    u.home_community_id = Some(HOME.into());
    let e = &mut u.submission.document_entries[0];
    e.title = text("訂正");
    e.confidentiality_code = vec![code("R", "2.16.840.1.113883.5.25", "制限")];
    e.creation_time = Some("20250402".into());
    e.comments = text("他院より");
    gateway.soap().update_restricted(&u).await.assert_success();
    let v2 = gateway.entry(PATIENT).await;
    assert_eq!((v2.version, &v2.title), (2, &text("訂正")));
    // Memberships follow, as in ITI-57.
    assert_eq!(gateway.associations(&v2.entry_uuid).await.len(), 2);
    assert!(gateway.audit().await.iter().any(|r| r.transaction == "ITI-92"));
    gateway.assert_verified().await;
}

type Spoil = fn(&mut Update, &DocumentEntry);

const REFUSED: &[(&str, Spoil)] = &[
    ("UnmodifiableMetadataError", |u, _| {
        u.submission.document_entries[0].source_patient_id = Some("9^^^&1.2.3&ISO".into());
    }),
    ("UnmodifiableMetadataError", |u, _| {
        u.submission.document_entries[0].repository_unique_id = Some("2.999.404".into());
    }),
    ("UnmodifiableMetadataError", |u, _| {
        u.submission.document_entries[0].document_availability = Some(document_availability::OFFLINE.into());
    }),
    ("UnmodifiableMetadataError", |u, _| {
        *u = status_of(u.clone(), "DE", Approved, Deprecated);
    }),
    ("XDSPatientIDReconciliationError", |u, _| {
        u.submission = of_patient(u.submission.clone(), OTHER_PATIENT)
    }),
    ("XDSMetadataIdentifierError", |u, _| u.submission.document_entries[0].unique_id = new_oid()),
    ("XDSObjectTypeError", |u, _| {
        let e = &mut u.submission.document_entries[0];
        e.object_type = EntryType::OnDemand;
        (e.hash, e.size, e.creation_time) = (None, None, None);
    }),
    ("XDSMetadataAnnotationError", |u, _| u.submission.associations[0].extra.slots.clear()),
    ("XDSMetadataAnnotationError", |u, _| {
        annotate(&mut u.submission.associations[0], slot::ASSOCIATION_PROPAGATION, "perhaps");
    }),
    ("XDSMetadataVersionError", |u, _| {
        annotate(&mut u.submission.associations[0], slot::PREVIOUS_VERSION, "2");
    }),
    ("XDSInvalidRequestException", |u, _| u.submission.document_entries[0].logical_id = None),
    ("UnresolvedReferenceException", |u, _| {
        u.submission.document_entries[0].logical_id = Some(UNKNOWN.into());
    }),
    ("XDSMetadataUpdateError", |u, e| {
        *u = submit(u.clone(), AssociationType::Append, "A", &e.entry_uuid, &e.entry_uuid.replace('a', "b"));
    }),
    ("XDSMetadataUpdateError", |u, _| u.submission.folders.push(folder("FD"))),
    ("XDSUnknownCommunity", |u, _| u.home_community_id = Some("urn:oid:2.999.404".into())),
];

#[tokio::test]
async fn what_may_not() {
    let (gateway, v1) = with_document(&[]).await;
    gateway.add_patient(OTHER_PATIENT).await;
    let before = gateway.all(PATIENT).await;
    for (n, (code, spoil)) in REFUSED.iter().enumerate() {
        let mut u = next_entry(update(), "DE", &v1);
        spoil(&mut u, &v1);
        let answer = gateway.soap().update_restricted(&u).await;
        let (_, errors) = answer.registry();
        assert!(errors.iter().any(|(c, _)| c == code), "{n}: {code}: {}", answer.envelope);
    }
    assert_eq!(gateway.all(PATIENT).await, before);
}

#[tokio::test]
async fn what_this_network_keeps() {
    let (gateway, v1) = with_document(&["hash", "typeCode"]).await;
    let mut u = next_entry(update(), "DE", &v1);
    u.submission.document_entries[0].hash = Some("da39a3ee5e6b4b0d3255bfef95601890afd80709".into());
    let refused = gateway.soap().update_restricted(&u).await;
    refused.assert_failure(&["LocalPolicyRestrictionError"]);
    // ITI-57 is the administrator's, and not restricted.
    gateway.soap().update(&u).await.assert_success();
    let v2 = gateway.entry(PATIENT).await;
    let mut u = next_entry(update(), "DE", &v2);
    u.submission.document_entries[0].title = text("可");
    gateway.soap().update_restricted(&u).await.assert_success();
}
