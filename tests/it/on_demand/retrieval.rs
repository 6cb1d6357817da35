//! Documents made when they are retrieved (ITI-43), and their lists.

use super::*;

#[tokio::test]
async fn a_document_is_made_when_it_is_retrieved() {
    let (gateway, unique_id) = with(on_demand(), |_| {}).await;
    let stable = submission();
    gateway.soap().register(&stable).await.assert_success();
    let files = gateway.files();
    let (response, document) = retrieved(&gateway, &unique_id).await;
    assert_eq!(response.repository_unique_id, REPOSITORY);
    assert_eq!(response.document_unique_id, unique_id);
    assert_eq!(response.new_repository_unique_id, None);
    assert_eq!(response.mime_type, "text/xml");
    let made = response.new_document_unique_id.expect("NewDocumentUniqueId");
    assert_ne!(made, unique_id);
    validate_cda(&document).unwrap_or_else(|e| panic!("{e:#?}\n{document}"));
    for word in
        [&made, &stable.document_entries[0].unique_id, "診療情報提供書", "登呂病院", "試験", "2025年04月01日"]
    {
        assert!(document.contains(word), "{word} in {document}");
    }
    let audit = gateway.audit().await;
    let record = audit.iter().find(|r| r.transaction == "ITI-43").expect("a record");
    assert_eq!(
        (&record.patients, &record.documents),
        (&vec![PATIENT.to_owned()], &vec![unique_id, made.clone()])
    );
    // Nothing is kept.
    assert_eq!(gateway.files(), files);
    assert_eq!(of_type(&gateway, EntryType::Stable).await.len(), 1);
    gateway.soap().retrieve(REPOSITORY, &[&made]).await.assert_failure(&["XDSDocumentUniqueIdError"]);
}

#[tokio::test]
async fn the_id_is_the_contents() {
    let (gateway, unique_id) = with(on_demand(), |_| {}).await;
    let retrieved = async || {
        let (response, document) = retrieved(&gateway, &unique_id).await;
        (response.new_document_unique_id, document)
    };
    let (first, document) = retrieved().await;
    gateway.tick();
    assert_eq!(retrieved().await, (first.clone(), document.clone()));
    // Whatever changes what the registry has of the patient changes the document.
    gateway.soap().register(&submission()).await.assert_success();
    let (second, longer) = retrieved().await;
    assert_ne!(second, first);
    assert_ne!(longer, document);
    // Another patient's does not.
    gateway.tick();
    gateway.add_patient(OTHER_PATIENT).await;
    gateway.soap().register(&of_patient(submission(), OTHER_PATIENT)).await.assert_success();
    assert_eq!(retrieved().await, (second, longer));
}

#[tokio::test]
async fn a_simple_request_gets_the_document_inline() {
    use crate::support::soap::{SIMPLE, envelope};
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let body = format!(
        "<xds:RetrieveDocumentSetRequest xmlns:xds=\"urn:ihe:iti:xds-b:2007\"><xds:DocumentRequest>\
         <xds:HomeCommunityId>{HOME}</xds:HomeCommunityId><xds:RepositoryUniqueId>{REPOSITORY}\
         </xds:RepositoryUniqueId><xds:DocumentUniqueId>{unique_id}</xds:DocumentUniqueId>\
         </xds:DocumentRequest></xds:RetrieveDocumentSetRequest>"
    );
    let request = envelope("urn:ihe:iti:2007:RetrieveDocumentSet", &body);
    let answer = gateway.soap().post("/xds/iti43", SIMPLE, request).await;
    answer.assert_success();
    let response = answer.responses().remove(0);
    assert_eq!(response.home_community_id.as_deref(), Some(HOME));
    assert_eq!(response.new_repository_unique_id.as_deref(), Some(REPOSITORY));
    assert!(String::from_utf8_lossy(&answer.documents()[0].1).contains("ClinicalDocument"));
}

#[tokio::test]
async fn made_and_kept_documents_come_together() {
    let (gateway, unique_id) = with(on_demand(), |_| {}).await;
    let mut kept = submission();
    (kept.document_entries[0].hash, kept.document_entries[0].size) = (None, None);
    gateway.soap().provide(&kept, &[("DE", b"test")]).await.assert_success();
    let kept = kept.document_entries[0].unique_id.clone();
    let answer = gateway.soap().retrieve(REPOSITORY, &[&unique_id, &kept, "2.999.404"]).await;
    let missing = ("XDSDocumentUniqueIdError".to_owned(), "2.999.404".to_owned());
    assert_eq!(answer.registry(), (ResponseStatus::PartialSuccess, vec![missing]));
    let new: Vec<bool> = answer.responses().iter().map(|d| d.new_document_unique_id.is_some()).collect();
    assert_eq!(new, [true, false]);
    assert_eq!(answer.documents()[1].1, "test");
}

#[tokio::test]
async fn a_list_of_nothing() {
    let (gateway, unique_id) = with(on_demand(), |_| {}).await;
    let (_, document) = retrieved(&gateway, &unique_id).await;
    validate_cda(&document).unwrap_or_else(|e| panic!("{e:#?}\n{document}"));
    assert!(document.contains("登録されている文書はありません"));
}

/// What a FHIR document must be: Composition first, each resource named once, each reference resolved.
#[tokio::test]
async fn a_list_as_a_fhir_document() {
    let (gateway, unique_id) = with(fhir(), |_| {}).await;
    let stable = submission();
    gateway.soap().register(&stable).await.assert_success();
    let (response, document) = retrieved(&gateway, &unique_id).await;
    assert_eq!(response.mime_type, "application/fhir+json");
    let made = response.new_document_unique_id.expect("NewDocumentUniqueId");
    let bundle: serde_json::Value = serde_json::from_str(&document).expect("JSON");
    assert_eq!((&bundle["resourceType"], &bundle["type"]), (&"Bundle".into(), &"document".into()));
    assert_eq!(bundle["identifier"]["value"], format!("urn:oid:{made}"));
    let entries = bundle["entry"].as_array().expect("entries");
    let resources: Vec<&str> =
        entries.iter().map(|e| e["resource"]["resourceType"].as_str().expect("a type")).collect();
    assert_eq!(
        resources,
        ["Composition", "Patient", "Device", "Organization", "Organization", "DocumentReference"]
    );
    let urls: HashSet<&str> = entries.iter().map(|e| e["fullUrl"].as_str().expect("a fullUrl")).collect();
    assert_eq!(urls.len(), entries.len());
    let mut references = vec![];
    collect(&bundle, &mut references);
    assert!(references.len() >= 5, "{references:?}");
    for reference in references {
        assert!(urls.contains(reference.as_str()), "{reference} names nothing of the document");
    }
    let composition = &entries[0]["resource"];
    for (name, value) in [("status", "final"), ("title", "文書一覧"), ("date", "2026-11-22T12:00:00+09:00")]
    {
        assert_eq!(composition[name], value, "{name}");
    }
    let listed = &entries[5]["resource"];
    let e = &stable.document_entries[0];
    assert_eq!(listed["masterIdentifier"]["value"], format!("urn:oid:{}", e.unique_id));
    assert_eq!(listed["content"][0]["attachment"]["title"], "診療情報提供書");
    assert_eq!(listed["content"][0]["attachment"]["creation"], "2025-04-01");
    assert_eq!(listed["author"][0]["display"], "登呂病院");
    let div = composition["section"][0]["text"]["div"].as_str().expect("a div");
    roxmltree::Document::parse(div).expect("XHTML");
}

fn collect(value: &serde_json::Value, into: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            into.extend(map.get("reference").and_then(|r| r.as_str()).map(str::to_owned));
            map.values().for_each(|v| collect(v, into));
        }
        serde_json::Value::Array(list) => list.iter().for_each(|v| collect(v, into)),
        _ => {}
    }
}

/// Only Approved stable documents are listed.
#[tokio::test]
async fn what_is_not_in_force_is_not_listed() {
    let (gateway, unique_id) = with(on_demand(), |_| {}).await;
    let (old, kept) = (submission(), submission());
    gateway.soap().register(&old).await.assert_success();
    let entry = gateway.entry(PATIENT).await;
    gateway.soap().register(&kept).await.assert_success();
    let new = related(AssociationType::Replace, &entry.entry_uuid);
    gateway.soap().register(&new).await.assert_success();
    let (_, document) = retrieved(&gateway, &unique_id).await;
    for (s, listed) in [(&old, false), (&kept, true), (&new, true)] {
        assert_eq!(document.contains(&format!("<td>{}</td>", s.document_entries[0].unique_id)), listed);
    }
    assert!(!document.contains(&format!("<td>{unique_id}</td>")));
}

/// Deprecated, offline, removed, another repository's.
#[tokio::test]
async fn an_entry_that_is_not_in_force() {
    let (gateway, unique_id) = with(on_demand(), |_| {}).await;
    let entry = in_force(&gateway).await;
    let refused = async || {
        let answer = gateway.soap().retrieve(REPOSITORY, &[&unique_id]).await;
        answer.assert_failure(&["XDSDocumentUniqueIdError"]);
    };
    let id = &entry.entry_uuid;
    gateway.soap().update(&status_of(update(), id, Approved, Deprecated)).await.assert_success();
    refused().await;
    gateway.soap().update(&status_of(update(), id, Deprecated, Approved)).await.assert_success();
    made_id(&gateway, &unique_id).await;

    let mut offline = next_entry(update(), "DE", &entry);
    offline.submission.document_entries[0].document_availability =
        Some(document_availability::OFFLINE.into());
    gateway.soap().update(&offline).await.assert_success();
    refused().await;

    let elsewhere = gateway.soap().retrieve("2.999.404", &[&unique_id]).await;
    elsewhere.assert_failure(&["XDSUnknownRepositoryId"]);
}

#[tokio::test]
async fn an_entry_of_another_repository_is_not_ours_to_make() {
    let mut s = on_demand();
    s.document_entries[0].repository_unique_id = Some("2.999.404".into());
    let (gateway, unique_id) = with(s, |_| {}).await;
    let answer = gateway.soap().retrieve(REPOSITORY, &[&unique_id]).await;
    answer.assert_failure(&["XDSDocumentUniqueIdError"]);
}

#[tokio::test]
async fn a_format_that_nothing_here_makes() {
    let (gateway, unique_id) = with(in_format("jp:cda:hs008", "text/xml"), |_| {}).await;
    let answer = gateway.soap().retrieve(REPOSITORY, &[&unique_id]).await;
    answer.assert_failure(&["XDSRepositoryError"]);
    assert_eq!(answer.registry().1[0].1, unique_id);
}

/// A uniqueId that two patients share tells nobody whose list is meant.
#[tokio::test]
async fn an_id_of_two_patients() {
    let s = on_demand();
    let (gateway, unique_id) = with(s.clone(), |_| {}).await;
    gateway.add_patient(OTHER_PATIENT).await;
    let mut other = of_patient(on_demand(), OTHER_PATIENT);
    other.document_entries[0].unique_id = unique_id.clone();
    gateway.soap().register_on_demand(&other).await.assert_success();
    let answer = gateway.soap().retrieve(REPOSITORY, &[&unique_id]).await;
    answer.assert_failure(&["XDSDocumentUniqueIdError"]);
}

#[tokio::test]
async fn more_documents_than_a_query_may_give() {
    let (gateway, unique_id) = with(on_demand(), |c| c.limits.query_results = 1).await;
    gateway.soap().register(&submission()).await.assert_success();
    made_id(&gateway, &unique_id).await;
    gateway.soap().register(&submission()).await.assert_success();
    let answer = gateway.soap().retrieve(REPOSITORY, &[&unique_id]).await;
    answer.assert_failure(&["XDSRepositoryError"]);
}

/// Whatever metadata a registry may hold, a CDA document of it is valid.
#[test]
fn odd_metadata_makes_a_valid_document() {
    let mut odd = document_entry("urn:uuid:00000000-0000-4000-8000-000000000001");
    odd.title = text("<&>\"'\u{0}\r\n𠮷野家 㐂");
    odd.author = vec![Author { author_institution: vec!["^^^".into()], ..Author::default() }];
    odd.type_code = Some(code("ADT-00", "jp:ssmix2:datakind", ""));
    let mut bare = DocumentEntry { entry_uuid: "urn:uuid:2".into(), ..DocumentEntry::default() };
    bare.creation_time = Some("not a time".into());
    let unique_ids = [
        "129.6.58.92.1",
        "2.999.1^00-1",
        "urn:uuid:08a15a6f-5b4a-42de-8f95-89474f83abdf",
        "urn:uuid:not-one",
        "https://example.jp/documents/1?a=b&c=d",
        "",
    ];
    let mut documents = vec![];
    for unique_id in unique_ids {
        for entry in [&odd, &bare] {
            documents.push(DocumentEntry { unique_id: unique_id.into(), ..entry.clone() });
        }
    }
    let nobody = Patient {
        patient_id: "not a CX".into(),
        name_kanji: Some("　".into()),
        name_kana: None,
        name_romaji: Some("A  B C".into()),
        birth_date: Some("1960-01-01".into()),
        sex: Some("O".into()),
    };
    let mut entry = DocumentEntry { language_code: Some("ja-JP".into()), ..bare.clone() };
    entry.author =
        vec![Author { author_institution: vec!["病院^^^^^&129.6&ISO^^^^1".into()], ..Author::default() }];
    entry.confidentiality_code = vec![code("R", "2.16.840.1.113883.5.25", "制限")];
    for generator in GENERATORS {
        let about = About {
            id: "",
            entry: &entry,
            patient: &nobody,
            documents: &documents,
            at: "2026-04-02T03:04:05Z".parse().unwrap(),
            custodian: Custodian { name: "試験", oid: "2.999.4" },
        };
        let made = String::from_utf8(make(*generator, &about).bytes).expect("UTF-8");
        match generator.format().mime_type {
            "text/xml" => validate_cda(&made).unwrap_or_else(|e| panic!("{e:#?}\n{made}")),
            _ => drop(serde_json::from_str::<serde_json::Value>(&made).expect("JSON")),
        }
    }
    assert!(validate_cda("<ClinicalDocument xmlns=\"urn:hl7-org:v3\"/>").is_err(), "the judge judges");
}
