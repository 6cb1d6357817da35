//! FindDocuments and its kin, FindSubmissionSets, FindFolders, GetAll: by attributes of one patient or several.

use super::*;

// === FindDocuments ===

#[tokio::test]
async fn find_documents_by_status_and_type() {
    for t in databases().await {
        world(&t.db).await;
        let ask = async |status: &[AvailabilityStatus], types: &[_]| {
            let (status, entry_types) = (status.to_vec(), types.to_vec());
            ask(&t.db, StoredQuery::FindDocuments(FindDocuments { status, entry_types, ..documents() })).await
        };
        assert_eq!(ask(&[Approved], &[Stable]).await, [11, 14]);
        assert_eq!(ask(&[Deprecated], &[Stable]).await, [12]);
        assert_eq!(ask(&[Approved], &[OnDemand]).await, [13]);
        assert_eq!(ask(&BOTH, &[Stable, OnDemand]).await, [13, 12, 11, 14]);
        assert_eq!(ask(&BOTH, &[]).await, NONE);
    }
}

/// Each parameter: a value that selects entry 11, and one that does not.
#[tokio::test]
async fn find_documents_parameters() {
    type Set = fn(&mut FindDocuments, &str);
    let cases: &[(&str, Set, &str, &str)] = &[
        ("patientId", |q, v| q.patient_ids = text(v), PID1, PID2),
        ("unknown patientId", |q, v| q.patient_ids = text(v), PID1, "9^^^&1.2.392.9.4&ISO"),
        ("classCode", |q, v| q.class_code = vec!["x^^S".into(), v.into()], "c1^^S", "c1^^T"),
        ("typeCode", |q, v| q.type_code = text(v), "t1^^S", "t2^^S"),
        ("practiceSettingCode", |q, v| q.practice_setting_code = text(v), "p1^^S", "p2^^S"),
        ("facilityTypeCode", |q, v| q.healthcare_facility_type_code = text(v), "h1^^S", "h2^^S"),
        ("formatCode", |q, v| q.format_code = text(v), "f1^^S", "F1^^S"),
        ("eventCodeList", |q, v| q.event_code_list = vec![text(v)], "e2^^S", "e3^^S"),
        ("eventCodeList AND", |q, v| q.event_code_list = vec![text("e1^^S"), text(v)], "e2^^S", "e3^^S"),
        ("confidentialityCode", |q, v| q.confidentiality_code = vec![text(v)], "R^^S", "V^^S"),
        ("author, whole", |q, v| q.author_person = text(v), YAMADA, "D1^山田^Taro"),
        ("author, LIKE", |q, v| q.author_person = text(v), "%^山_^Taro%", "%^山_^taro%"),
        ("author, one of two", |q, v| q.author_person = vec!["%x".into(), v.into()], "D1%", "d1%"),
        ("creationTimeFrom", |q, v| q.creation_time = within(v, ""), "20250401100000", "20250401100001"),
        ("creationTimeTo", |q, v| q.creation_time = within("", v), "20250401100001", "20250401100000"),
        (
            "serviceStartTimeFrom",
            |q, v| q.service_start_time = within(v, ""),
            "20250401000000",
            "20250401000001",
        ),
        (
            "serviceStartTimeTo",
            |q, v| q.service_start_time = within("", v),
            "20250401000001",
            "20250401000000",
        ),
        (
            "serviceStopTimeFrom",
            |q, v| q.service_stop_time = within(v, ""),
            "20250402000000",
            "20250402000001",
        ),
        ("serviceStopTimeTo", |q, v| q.service_stop_time = within("", v), "20250402000001", "20250402000000"),
        ("referenceIdList", |q, v| q.reference_id_list = vec![text(v)], ORDER, "O1"),
        ("referenceIdList, case", |q, v| q.reference_id_list = vec![text(v)], REFERRAL, "r_1%"),
        ("referenceIdList, LIKE", |q, v| q.reference_id_list = vec![text(v)], "O%order", "O%referral"),
        ("referenceIdList AND", |q, v| q.reference_id_list = vec![text("R%"), text(v)], ORDER, "O2%"),
    ];
    for t in databases().await {
        world(&t.db).await;
        for (name, set, hit, miss) in cases {
            for (value, expected) in [(hit, true), (miss, false)] {
                let mut q = documents();
                set(&mut q, value);
                let found = ask(&t.db, StoredQuery::FindDocumentsByReferenceId(q)).await;
                assert_eq!(found.contains(&11), expected, "{name} {value}: {found:?}");
            }
        }
    }
}

#[tokio::test]
async fn times_do_not_exclude_what_has_none() {
    for t in databases().await {
        world(&t.db).await;
        let never = || within("20300101000000", "20310101000000");
        let mut q = documents();
        q.service_start_time = never();
        assert_eq!(ask(&t.db, StoredQuery::FindDocuments(q.clone())).await, [14], "14 has no service times");
        q.service_start_time = TimeRange::default();
        q.service_stop_time = never();
        assert_eq!(ask(&t.db, StoredQuery::FindDocuments(q)).await, [14]);
        let q = FindDocuments { creation_time: never(), entry_types: vec![Stable, OnDemand], ..documents() };
        assert_eq!(ask(&t.db, StoredQuery::FindDocuments(q)).await, [13], "13 is on demand");
    }
}

#[tokio::test]
async fn find_documents_for_multiple_patients() {
    for t in databases().await {
        world(&t.db).await;
        let base = || FindDocuments { patient_ids: vec![], ..documents() };
        let several = FindDocuments { patient_ids: vec![PID1.into(), PID2.into(), "x".into()], ..base() };
        let class = FindDocuments { class_code: text("c1^^S"), ..base() };
        let facility = FindDocuments { healthcare_facility_type_code: text("h1^^S"), ..base() };
        let event = FindDocuments { event_code_list: vec![text("e1^^S")], ..base() };
        let events = FindDocuments { event_code_list: vec![text("e1^^S"), text("e2^^S")], ..base() };
        let author = FindDocuments { author_person: text("%山田%"), ..class.clone() };
        let nothing = FindDocuments { class_code: text("c9^^S"), ..base() };
        for (query, expected) in [
            (several, vec![11, 14, 51]),
            (class, vec![11, 51]),
            (facility, vec![11, 51]),
            (event, vec![11, 51]),
            (events, vec![11]),
            (author, vec![11]),
            (nothing, vec![]),
        ] {
            let query = StoredQuery::FindDocumentsForMultiplePatients(query);
            assert_eq!(ask(&t.db, query).await, expected);
        }
    }
}

// === FindSubmissionSets, FindFolders, GetAll ===

#[tokio::test]
async fn find_submission_sets_parameters() {
    type Set = fn(&mut FindSubmissionSets, &str);
    let cases: &[(&str, Set, &str, &str)] = &[
        ("patientId", |q, v| q.patient_id = v.into(), PID1, PID2),
        ("sourceId", |q, v| q.source_id = text(v), "1.5.21", "1.5.29"),
        ("contentType", |q, v| q.content_type = text(v), "ct21^^S", "ct22^^S"),
        ("author", |q, v| q.author_person = Some(v.into()), "A21^佐藤", "A21"),
        ("author, LIKE", |q, v| q.author_person = Some(v.into()), "%21^佐_", "a21%"),
        ("submissionTimeFrom", |q, v| q.submission_time = within(v, ""), "20250401120000", "20250401120001"),
        ("submissionTimeTo", |q, v| q.submission_time = within("", v), "20250401120001", "20250401120000"),
    ];
    for t in databases().await {
        world(&t.db).await;
        for (name, set, hit, miss) in cases {
            for (value, expected) in [(hit, true), (miss, false)] {
                let status = vec![Approved];
                let mut q = FindSubmissionSets { patient_id: PID1.into(), status, ..Default::default() };
                set(&mut q, value);
                let found = ask(&t.db, StoredQuery::FindSubmissionSets(q)).await;
                assert_eq!(found.contains(&21), expected, "{name} {value}: {found:?}");
            }
        }
        let status = vec![Deprecated];
        let none = FindSubmissionSets { patient_id: PID1.into(), status, ..Default::default() };
        assert_eq!(ask(&t.db, StoredQuery::FindSubmissionSets(none)).await, NONE);
    }
}

#[tokio::test]
async fn find_folders_parameters() {
    type Set = fn(&mut FindFolders, &str);
    let cases: &[(&str, Set, &str, &str)] = &[
        ("patientId", |q, v| q.patient_ids = text(v), PID1, PID2),
        ("codeList", |q, v| q.code_list = vec![vec!["x^^S".into(), v.into()]], "k1^^S", "k2^^S"),
        ("codeList AND", |q, v| q.code_list = vec![text("k1^^S"), text(v)], "k3^^S", "k2^^S"),
        ("lastUpdateTimeFrom", |q, v| q.last_update_time = within(v, ""), "20250401120000", "20250401120001"),
        ("lastUpdateTimeTo", |q, v| q.last_update_time = within("", v), "20250401120001", "20250401120000"),
    ];
    for t in databases().await {
        world(&t.db).await;
        for (name, set, hit, miss) in cases {
            for (value, expected) in [(hit, true), (miss, false)] {
                let mut q =
                    FindFolders { patient_ids: text(PID1), status: vec![Approved], ..Default::default() };
                set(&mut q, value);
                let found = ask(&t.db, StoredQuery::FindFolders(q)).await;
                assert_eq!(found.contains(&41), expected, "{name} {value}: {found:?}");
            }
        }
        let q = FindFolders { patient_ids: text(PID1), status: BOTH.to_vec(), ..Default::default() };
        assert_eq!(ask(&t.db, StoredQuery::FindFolders(q)).await, [42, 41]);
        let everyone =
            FindFolders { status: vec![Approved], code_list: vec![text("k1^^S")], ..Default::default() };
        let query = StoredQuery::FindFoldersForMultiplePatients(everyone.clone());
        assert_eq!(ask(&t.db, query).await, [41, 43]);
        let narrow = FindFolders { code_list: vec![text("k1^^S"), text("k3^^S")], ..everyone };
        assert_eq!(ask(&t.db, StoredQuery::FindFoldersForMultiplePatients(narrow)).await, [41]);
    }
}

#[tokio::test]
async fn get_all() {
    for t in databases().await {
        world(&t.db).await;
        let all = GetAll {
            patient_id: PID1.into(),
            document_status: BOTH.to_vec(),
            submission_set_status: BOTH.to_vec(),
            folder_status: BOTH.to_vec(),
            contents: any_type(),
        };
        let expected = [21, 22, 13, 12, 11, 14, 42, 41, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 62];
        assert_eq!(ask(&t.db, StoredQuery::GetAll(all.clone())).await, expected);
        // Only the replaced entry: its associations dangle.
        let old = GetAll {
            document_status: vec![Deprecated],
            submission_set_status: vec![Deprecated],
            folder_status: vec![Deprecated],
            contents: stable(),
            ..all.clone()
        };
        assert_eq!(ask(&t.db, StoredQuery::GetAll(old)).await, [12, 42, 35, 39]);
        let contents = ContentFilter {
            format_code: text("f1^^S"),
            confidentiality_code: vec![text("R^^S"), text("N^^S")],
            ..stable()
        };
        let narrow = GetAll { contents, folder_status: vec![Approved], ..all };
        let expected = [21, 22, 11, 41, 31, 32, 33, 34, 35, 36, 37, 38, 40, 62];
        assert_eq!(ask(&t.db, StoredQuery::GetAll(narrow.clone())).await, expected);
        let nobody = GetAll { patient_id: "nobody".into(), ..narrow };
        assert_eq!(ask(&t.db, StoredQuery::GetAll(nobody)).await, NONE);
    }
}
