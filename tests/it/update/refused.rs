//! What ITI-57 refuses, each by a message with one thing spoiled.

use super::*;

/// What a spoiled update earns, on a registry with a document, its addendum and a Folder of the first.
struct Spoiled {
    entry: DocumentEntry,
    addendum: DocumentEntry,
    folder: Folder,
}

type Spoil = fn(&Spoiled) -> Update;

const REFUSED: &[(&str, Spoil)] = &[
    ("XDSMetadataUpdateError", |s| Update { submission_sets: 0, ..next_entry(update(), "DE", &s.entry) }),
    ("XDSInvalidRequestException", |s| {
        let mut u = next_entry(update(), "DE", &s.entry);
        u.submission.document_entries[0].logical_id = None;
        u
    }),
    ("XDSInvalidRequestException", |s| next_entry(update(), &s.entry.entry_uuid, &s.entry)),
    ("XDSInvalidRequestException", |s| {
        let mut u = next_folder(update(), "FD", &s.folder);
        u.submission.folders[0].logical_id = None;
        u
    }),
    ("XDSMetadataUpdateOperationError", |_| update()),
    ("XDSMetadataUpdateOperationError", |s| {
        let mut u = next_entry(update(), "DE", &s.entry);
        u.submission.document_entries[0].logical_id = Some("Document01".into());
        u
    }),
    ("XDSMetadataUpdateOperationError", |s| {
        let mut u = next_entry(update(), "DE", &s.entry);
        u.submission.associations[0].extra.slots.clear();
        u
    }),
    ("XDSMetadataUpdateOperationError", |s| {
        let mut u = next_entry(update(), "DE", &s.entry);
        annotate(&mut u.submission.associations[0], slot::PREVIOUS_VERSION, "first");
        u
    }),
    ("XDSMetadataUpdateOperationError", |s| {
        propagation(next_entry(update(), "DE", &s.entry), "DE", "perhaps")
    }),
    ("XDSMetadataUpdateOperationError", |s| {
        let mut u = next_entry(update(), "DE", &s.entry);
        u.submission.associations.clear();
        u
    }),
    ("XDSMetadataUpdateOperationError", |s| {
        let mut u = status_of(update(), &s.entry.entry_uuid, Approved, Deprecated);
        u.triggers[0].new_status = vec!["urn:nonsense".into()];
        u
    }),
    ("XDSMetadataUpdateOperationError", |s| {
        let mut u = status_of(update(), &s.entry.entry_uuid, Approved, Deprecated);
        u.triggers[0].source_object = s.folder.entry_uuid.clone();
        u
    }),
    ("XDSMetadataUpdateOperationError", |_| status_of(update(), "Document01", Approved, Deprecated)),
    ("XDSMetadataUpdateOperationError", |s| {
        let mut u =
            submit(update(), AssociationType::Append, "A", &s.addendum.entry_uuid, &s.entry.entry_uuid);
        u.triggers.clear();
        u
    }),
    ("XDSMetadataUpdateOperationError", |s| {
        let mut u =
            submit(update(), AssociationType::Append, "A", &s.addendum.entry_uuid, &s.entry.entry_uuid);
        u.triggers[0].target_object = s.entry.entry_uuid.clone();
        u.submission.associations.clear();
        u
    }),
    // Linked by the registry and by hand at once.
    ("XDSMetadataUpdateOperationError", |s| {
        let u = next_entry(update(), "DE", &s.addendum);
        submit(u, AssociationType::Append, "A", "DE", &s.entry.entry_uuid)
    }),
    ("XDSMetadataUpdateError", |s| next_entry(next_entry(update(), "DE", &s.entry), "DE2", &s.entry)),
    ("XDSMetadataUpdateError", |s| {
        let u = status_of(update(), &s.entry.entry_uuid, Approved, Deprecated);
        status_of(u, &s.entry.entry_uuid, Approved, Deprecated)
    }),
    ("XDSMetadataUpdateError", |s| {
        status_of(next_entry(update(), "DE", &s.entry), "DE", Deprecated, Approved)
    }),
    ("XDSMetadataUpdateError", |s| {
        submit(update(), AssociationType::Append, "A", &s.folder.entry_uuid, &s.entry.entry_uuid)
    }),
    ("XDSMetadataUpdateError", |s| {
        submit(update(), AssociationType::IsSnapshotOf, "A", &s.addendum.entry_uuid, &s.entry.entry_uuid)
    }),
    ("XDSMetadataUpdateError", |s| {
        submit(update(), AssociationType::HasMember, "A", "SS", &s.entry.entry_uuid)
            .without_member_semantics()
    }),
    // Its end is being superseded.
    ("XDSMetadataUpdateError", |s| {
        let u = propagation(next_entry(update(), "DE", &s.entry), "DE", "no");
        submit(u, AssociationType::Append, "A", &s.addendum.entry_uuid, &s.entry.entry_uuid)
    }),
    ("UnresolvedReferenceException", |s| {
        let mut u = next_entry(update(), "DE", &s.entry);
        u.submission.document_entries[0].logical_id = Some(UNKNOWN.into());
        u
    }),
    ("UnresolvedReferenceException", |_| status_of(update(), UNKNOWN, Approved, Deprecated)),
    ("UnresolvedReferenceException", |s| {
        submit(update(), AssociationType::Append, "A", &s.entry.entry_uuid, UNKNOWN)
    }),
    ("XDSMetadataIdentifierError", |s| {
        let mut u = next_entry(update(), "DE", &s.entry);
        u.submission.document_entries[0].unique_id = new_oid();
        u
    }),
    ("XDSMetadataIdentifierError", |s| {
        let mut u = next_entry(update(), "DE", &s.entry);
        u.submission.document_entries[0].logical_id = s.folder.logical_id.clone();
        u
    }),
    ("XDSMetadataIdentifierError", |s| {
        let mut u = next_entry(update(), "DE", &s.entry);
        let e = &mut u.submission.document_entries[0];
        e.object_type = EntryType::OnDemand;
        (e.hash, e.size, e.creation_time) = (None, None, None);
        u
    }),
    ("XDSMetadataIdentifierError", |s| {
        let mut u = next_folder(update(), "FD", &s.folder);
        u.submission.folders[0].unique_id = new_oid();
        u
    }),
    ("XDSMetadataVersionError", |s| {
        let mut u = next_entry(update(), "DE", &s.entry);
        annotate(&mut u.submission.associations[0], slot::PREVIOUS_VERSION, "2");
        u
    }),
    ("XDSMetadataVersionError", |s| {
        let mut u = next_folder(update(), "FD", &s.folder);
        annotate(&mut u.submission.associations[0], slot::PREVIOUS_VERSION, "7");
        u
    }),
    ("XDSPatientIDReconciliationError", |s| {
        let mut u = next_entry(update(), "DE", &s.entry);
        u.submission.document_entries[0].patient_id = OTHER_PATIENT.into();
        u
    }),
    ("XDSUnknownPatientId", |s| {
        next_entry(update(), "DE", &s.addendum).with_patient("nobody^^^&2.999.392.1.2&ISO").unlinked()
    }),
    ("XDSRegistryMetadataError", |s| {
        let mut u = next_entry(update(), "DE", &s.entry);
        u.submission.document_entries[0].class_code = None;
        u
    }),
    ("XDSRegistryMetadataError", |s| {
        let mut u = next_entry(update(), "DE", &s.entry);
        u.submission.associations[0].submission_set_status = None;
        u
    }),
    ("XDSRegistryMetadataError", |s| next_entry(update(), &s.folder.entry_uuid, &s.entry)),
    ("XDSDuplicateUniqueIdInRegistry", |s| {
        let mut u = next_entry(update(), "DE", &s.entry);
        u.submission.submission_set.unique_id = s.folder.unique_id.clone();
        u
    }),
];

trait Adjusted {
    fn without_member_semantics(self) -> Self;
    fn unlinked(self) -> Self;
}

impl Adjusted for Update {
    /// A SubmissionSet in the registry is no end either; the one of the message would be its member.
    fn without_member_semantics(mut self) -> Self {
        self.submission.associations[0].association_type = AssociationType::Append;
        self
    }

    fn unlinked(self) -> Self {
        propagation(self, "DE", "no")
    }
}

#[tokio::test]
async fn what_is_refused_and_changes_nothing() {
    let (gateway, entry, addendum) = with_addendum().await;
    gateway.add_patient(OTHER_PATIENT).await;
    let mut filed = submission();
    filed.folders.push(folder("FD"));
    filed.associations.push(has_member("A-FD", "SS", "FD"));
    filed.associations.push(has_member("A-FD-DE", "FD", &entry.entry_uuid));
    filed.associations.push(has_member("A-SS-HM", "SS", "A-FD-DE"));
    filed.document_entries.clear();
    filed.associations.remove(0);
    gateway.soap().register(&filed).await.assert_success();
    let folder = gateway.folder(PATIENT).await;
    let s = Spoiled { entry, addendum, folder };
    let before = gateway.all(PATIENT).await;
    for (n, (code, spoil)) in REFUSED.iter().enumerate() {
        let answer = gateway.soap().update(&spoil(&s)).await;
        let (status, errors) = answer.registry();
        assert_eq!(status, ResponseStatus::Failure, "{n}");
        let codes: Vec<&str> = errors.iter().map(|(code, _)| code.as_str()).collect();
        assert!(codes.contains(code), "{n}: {code}: {}", answer.envelope);
        assert!(codes.iter().all(|c| c == code), "{n}: {code} and others: {}", answer.envelope);
    }
    assert_eq!(gateway.all(PATIENT).await, before);
    gateway.assert_verified().await;
}

#[tokio::test]
async fn an_error_is_located_at_its_object() {
    let (gateway, entry) = with_document().await;
    let mut u = next_entry(update(), "NEXT", &entry);
    u.submission.document_entries[0].class_code = None;
    u.submission.document_entries[0].unique_id = new_oid();
    let (_, errors) = gateway.soap().update(&u).await.registry();
    let mut errors: Vec<_> = errors.iter().map(|(c, l)| (c.as_str(), l.as_str())).collect();
    errors.sort_unstable();
    assert_eq!(errors, [("XDSMetadataIdentifierError", "NEXT"), ("XDSRegistryMetadataError", "NEXT")]);
}

#[tokio::test]
async fn only_the_latest_version_changes() {
    let (gateway, v1) = with_document().await;
    let soap = gateway.soap();
    soap.update(&next_entry(update(), "DE", &v1)).await.assert_success();
    let v2 = gateway.entry(PATIENT).await;
    soap.update(&next_entry(update(), "DE", &v1)).await.assert_failure(&["XDSMetadataVersionError"]);
    let old = status_of(update(), &v1.entry_uuid, Deprecated, Approved);
    soap.update(&old).await.assert_failure(&["XDSMetadataUpdateError"]);
    let mut by_version = next_entry(update(), "DE", &v2);
    by_version.submission.document_entries[0].logical_id = Some(v2.entry_uuid.clone());
    soap.update(&by_version).await.assert_failure(&["UnresolvedReferenceException"]);
    // Nothing new is related to an old version.
    let late = related(AssociationType::Append, &v1.entry_uuid);
    soap.register(&late).await.assert_failure(&["XDSRegistryDeprecatedDocumentError"]);
    let set = gateway.all(PATIENT).await.into_iter().find_map(|o| match o {
        MetadataObject::SubmissionSet(s) => Some(s.entry_uuid),
        _ => None,
    });
    let of_set = status_of(update(), &set.expect("a set"), Approved, Deprecated);
    soap.update(&of_set).await.assert_failure(&["XDSMetadataUpdateError"]);
}

/// In ITI-42 triggers mean nothing.
#[tokio::test]
async fn triggers_are_refused_elsewhere() {
    let (gateway, entry) = with_document().await;
    let u = status_of(update(), &entry.entry_uuid, Approved, Deprecated);
    let body = crate::support::soap::update_objects(&u);
    let answer = gateway.soap().send(Transaction::Iti42, &body, &[]).await;
    answer.assert_failure(&["XDSRegistryMetadataError"]);
}
