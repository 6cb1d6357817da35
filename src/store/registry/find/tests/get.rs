//! The Get… queries: by UUID or uniqueId.

use super::*;

#[tokio::test]
async fn get_documents_of_any_status_and_type() {
    for t in databases().await {
        world(&t.db).await;
        let ids = Ids::EntryUuid(vec![uuid(12).to_uppercase(), uuid(13), uuid(13), uuid(99), uuid(41)]);
        assert_eq!(ask(&t.db, StoredQuery::GetDocuments(ids)).await, [13, 12]);
        assert_eq!(ask(&t.db, StoredQuery::GetDocuments(by_unique_id(11))).await, [11, 14]);
        assert_eq!(ask(&t.db, StoredQuery::GetDocuments(by_unique_id(41))).await, NONE);
    }
}

#[tokio::test]
async fn get_folders() {
    for t in databases().await {
        world(&t.db).await;
        let ids = Ids::EntryUuid(vec![uuid(41), uuid(42), uuid(11)]);
        assert_eq!(ask(&t.db, StoredQuery::GetFolders(ids)).await, [41], "42 is Deprecated");
        assert_eq!(ask(&t.db, StoredQuery::GetFolders(by_unique_id(43))).await, [43]);
        assert_eq!(ask(&t.db, StoredQuery::GetFolders(by_unique_id(21))).await, NONE);
    }
}

#[tokio::test]
async fn get_associations_at_either_end() {
    for t in databases().await {
        world(&t.db).await;
        let ask = async |n: &[u64]| {
            let uuids = n.iter().map(|n| uuid(*n)).collect();
            ask(&t.db, StoredQuery::GetAssociations { uuids }).await
        };
        assert_eq!(ask(&[11]).await, [31, 34, 35, 37, 62]);
        assert_eq!(ask(&[14]).await, [36, 37], "63 is Deprecated");
        assert_eq!(ask(&[23]).await, [61, 62]);
        assert_eq!(ask(&[34]).await, [33], "an association may be an end");
        assert_eq!(ask(&[12, 42]).await, [35, 39]);
        assert_eq!(ask(&[99]).await, NONE);
    }
}

#[tokio::test]
async fn get_documents_and_associations() {
    for t in databases().await {
        world(&t.db).await;
        let query = |ids| StoredQuery::GetDocumentsAndAssociations(ids);
        assert_eq!(ask(&t.db, query(by_uuid(13))).await, [13, 38, 40]);
        assert_eq!(ask(&t.db, query(by_unique_id(11))).await, [11, 14, 31, 34, 35, 36, 37, 62]);
        assert_eq!(ask(&t.db, query(by_uuid(41))).await, NONE, "a folder is no entry");
    }
}

#[tokio::test]
async fn get_submission_sets() {
    for t in databases().await {
        world(&t.db).await;
        let query =
            |n: &[u64]| StoredQuery::GetSubmissionSets { uuids: n.iter().map(|n| uuid(*n)).collect() };
        assert_eq!(ask(&t.db, query(&[14])).await, [22, 36]);
        assert_eq!(ask(&t.db, query(&[13, 14])).await, [22, 36, 38]);
        assert_eq!(ask(&t.db, query(&[41])).await, [21, 32]);
        assert_eq!(ask(&t.db, query(&[12])).await, NONE, "only a folder holds it");
        assert_eq!(refs(&t.db, query(&[11])).await, [21, 23, 31, 62], "by reference too");
    }
}

#[tokio::test]
async fn get_submission_set_and_contents() {
    for t in databases().await {
        world(&t.db).await;
        let query = |id, contents| StoredQuery::GetSubmissionSetAndContents { id, contents };
        let whole = [21, 11, 41, 31, 32, 33, 34];
        assert_eq!(ask(&t.db, query(by_uuid(21), stable())).await, whole);
        assert_eq!(ask(&t.db, query(by_unique_id(21), any_type())).await, whole);
        // Without the entry, its association to the folder and the set's to that go too.
        let other_format = ContentFilter { format_code: text("f2^^S"), ..stable() };
        assert_eq!(ask(&t.db, query(by_uuid(21), other_format)).await, [21, 41, 32]);
        let secret = ContentFilter { confidentiality_code: vec![text("V^^S")], ..stable() };
        assert_eq!(ask(&t.db, query(by_uuid(21), secret)).await, [21, 41, 32]);
        assert_eq!(ask(&t.db, query(by_uuid(22), stable())).await, [22, 14, 36]);
        assert_eq!(ask(&t.db, query(by_uuid(22), any_type())).await, [22, 13, 14, 36, 38]);
        assert_eq!(refs(&t.db, query(by_uuid(23), stable())).await, [23, 11, 51, 61, 62]);
        assert_eq!(ask(&t.db, query(by_uuid(41), stable())).await, NONE);
    }
}

#[tokio::test]
async fn get_folder_and_contents() {
    for t in databases().await {
        world(&t.db).await;
        let query = |id, contents| StoredQuery::GetFolderAndContents { id, contents };
        assert_eq!(ask(&t.db, query(by_uuid(41), stable())).await, [41, 11, 34]);
        assert_eq!(ask(&t.db, query(by_unique_id(41), any_type())).await, [41, 13, 11, 34, 40]);
        let other_format = ContentFilter { format_code: text("f9^^S"), ..stable() };
        assert_eq!(ask(&t.db, query(by_uuid(41), other_format)).await, [41]);
        assert_eq!(ask(&t.db, query(by_uuid(42), any_type())).await, NONE, "Deprecated");
    }
}

#[tokio::test]
async fn get_folders_for_document() {
    for t in databases().await {
        world(&t.db).await;
        let query = StoredQuery::GetFoldersForDocument;
        assert_eq!(ask(&t.db, query(by_uuid(11))).await, [41]);
        assert_eq!(ask(&t.db, query(by_unique_id(13))).await, [41]);
        assert_eq!(ask(&t.db, query(by_uuid(12))).await, NONE, "the folder is Deprecated");
        assert_eq!(ask(&t.db, query(by_uuid(14))).await, NONE, "the association is Deprecated");
    }
}

#[tokio::test]
async fn get_related_documents() {
    for t in databases().await {
        world(&t.db).await;
        let ask = async |id: Ids, types: &[AssociationType], entry_types: &[_]| {
            let (types, entry_types) = (types.to_vec(), entry_types.to_vec());
            ask(&t.db, StoredQuery::GetRelatedDocuments { id, types, entry_types }).await
        };
        assert_eq!(ask(by_uuid(11), &[Replace], &[Stable]).await, [11, 12, 35]);
        assert_eq!(ask(by_uuid(12), &[Replace], &[Stable]).await, [12, 11, 35]);
        assert_eq!(ask(by_uuid(11), &[Replace, Transform], &[Stable]).await, [11, 12, 14, 35, 37]);
        assert_eq!(ask(by_unique_id(11), &[Transform], &[Stable]).await, [11, 14, 37]);
        assert_eq!(ask(by_uuid(11), &[Append], &[Stable]).await, NONE, "alone is nothing");
        assert_eq!(ask(by_uuid(11), &[Replace], &[OnDemand]).await, NONE);
        assert_eq!(ask(by_uuid(11), &[HasMember], &[Stable]).await, NONE, "folders are no documents");
    }
}
