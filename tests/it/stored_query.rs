//! ITI-18: every query, every parameter, and what is refused.

use chiren::config::registry::UnknownPatientQuery;
use chiren::model::audit::Outcome;
use chiren::model::ebrim::Slot;
use chiren::model::metadata::{
    Association, AssociationType, MetadataObject, Submission, SubmissionSetStatus,
};
use chiren::model::query::values::quote_list;
use chiren::model::query::{Param, QUERIES, QueryResult, QueryRow, ReturnType, ValueKind};
use chiren::model::transaction::Transaction;
use chiren::model::uuids::{document_availability, object_type, status};
use chiren::wire::ebxml::query::AdhocQueryRequest;

use crate::support::samples::*;
use crate::support::soap::adhoc_query;
use crate::support::{Answer, Gateway};

const FIND_SETS: &str = "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9";
const FIND_FOLDERS: &str = "urn:uuid:958f3006-baad-4929-a4de-ff1114824431";
const BY_REFERENCE_ID: &str = "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492";
const GET_FOLDERS: &str = "urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4";
const GET_ASSOCIATIONS: &str = "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155";
const GET_DOCUMENTS_AND_ASSOCIATIONS: &str = "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a";
const GET_SETS: &str = "urn:uuid:51224314-5390-4169-9b91-b1980040715a";
const GET_SET_AND_CONTENTS: &str = "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83";
const GET_FOLDER_AND_CONTENTS: &str = "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7";
const GET_FOLDERS_FOR_DOCUMENT: &str = "urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578";
const GET_RELATED: &str = "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6";

const REFERENCE_ID: &str = "12^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:accession";
const AUTHOR: &str = "110^医師^一郎^^^^^^&1.2.392.100495.20.3.41.11312345670&ISO";
const LOINC: &str = "2.16.840.1.113883.6.1";

/// What a query is asked about: one document in a folder, every attribute of it known, and a
/// transformation of it.
pub struct World {
    pub gateway: Gateway,
    pub first: Submission,
    pub document: String,
    pub set: String,
    pub folder: String,
    pub transformation: String,
}

impl World {
    pub async fn new() -> Self {
        let gateway = Gateway::start().await;
        gateway.add_patient(OTHER_PATIENT).await;
        let mut first = submission_with_folder();
        let e = &mut first.document_entries[0];
        e.event_code_list = vec![code("e1", "S", "一"), code("e2", "S", "二")];
        e.confidentiality_code.push(code("R", "2.16.840.1.113883.5.25", "制限"));
        e.service_start_time = Some("20250401".into());
        e.service_stop_time = Some("202504020930".into());
        e.reference_id_list = vec![REFERENCE_ID.into()];
        first.folders[0].code_list.push(code("f2", "S", "二"));
        gateway.soap().register(&first).await.assert_success();
        let mut found = gateway.soap().query(&get_all(PATIENT)).await.objects();
        let document = id_of(&found, |o| matches!(o, MetadataObject::DocumentEntry(_)));
        let set = id_of(&found, |o| matches!(o, MetadataObject::SubmissionSet(_)));
        let folder = id_of(&found, |o| matches!(o, MetadataObject::Folder(_)));
        let pdf = related(AssociationType::Transform, &document);
        gateway.soap().register(&pdf).await.assert_success();
        found = gateway.soap().query(&get_all(PATIENT)).await.objects();
        let transformation =
            id_of(&found, |o| matches!(o, MetadataObject::DocumentEntry(e) if e.entry_uuid != document));
        Self { gateway, first, document, set, folder, transformation }
    }

    /// For a parameter: a value that finds an object, values that do not, and the object.
    pub fn values(&self, p: &Param) -> (Slot, Vec<Slot>, &str) {
        let e = &self.first.document_entries[0];
        let f = &self.first.folders[0];
        let s = &self.first.submission_set;
        let slot = |value: &str| match (p.kind, p.list) {
            (ValueKind::Time | ValueKind::Number, _) => {
                Slot { name: p.name.into(), slot_type: None, values: vec![value.into()] }
            }
            (_, true) => list(p.name, &[value]),
            (_, false) => single(p.name, value),
        };
        let coded = |right: &str, scheme: &str| {
            let code = |c: &str, s: &str| slot(&format!("{c}^^{s}"));
            (code(right, scheme), vec![code("nope", scheme), code(right, "1.2.3.4")])
        };
        let one = |right: &str, wrong: &str| (slot(right), vec![slot(wrong)]);
        let from = |at: &str, later: &str| (slot(at), vec![slot(later)]);
        let to = |at: &str, later: &str| (slot(later), vec![slot(at)]);
        let unknown = "urn:uuid:00000000-0000-4000-8000-000000000000";
        let object = match p.name {
            n if n.starts_with("$XDSSubmissionSet") => &self.set,
            n if n.starts_with("$XDSFolder") => &self.folder,
            _ => &self.document,
        };
        let (hit, misses) = match p.name {
            n if n.ends_with("PatientId") || n == "$patientId" => one(PATIENT, OTHER_PATIENT),
            // Both hide more than they select; see module `update`.
            "$MetadataLevel" => (slot("2"), vec![]),
            "$XDSAssociationStatus" => (slot(status::APPROVED), vec![]),
            "$XDSDocumentEntryDocumentAvailability" => {
                one(document_availability::ONLINE, document_availability::OFFLINE)
            }
            "$XDSDocumentEntryLogicalID" | "$XDSFolderLogicalID" => one(object, unknown),
            n if n.ends_with("Status") => one(status::APPROVED, status::DEPRECATED),
            "$XDSDocumentEntryClassCode"
            | "$XDSDocumentEntryTypeCode"
            | "$XDSSubmissionSetContentType"
            | "$XDSFolderCodeList" => coded("57133-1", LOINC),
            "$XDSDocumentEntryPracticeSettingCode" => coded("01", "1.2.392.200250.2.2.2"),
            "$XDSDocumentEntryHealthcareFacilityTypeCode" => coded("1", "1.2.392.100495.20.3.22"),
            "$XDSDocumentEntryFormatCode" => coded("urn:ihe:iti:xds-sd:pdf:2008", "1.3.6.1.4.1.19376.1.2.3"),
            "$XDSDocumentEntryEventCodeList" => coded("e2", "S"),
            "$XDSDocumentEntryConfidentialityCode" => coded("R", "2.16.840.1.113883.5.25"),
            "$XDSDocumentEntryCreationTimeFrom" => from("20250401", "20250401000001"),
            "$XDSDocumentEntryCreationTimeTo" => to("20250401", "20250401000001"),
            "$XDSDocumentEntryServiceStartTimeFrom" => from("2025040100", "20250402"),
            "$XDSDocumentEntryServiceStartTimeTo" => to("2025040100", "20250402"),
            "$XDSDocumentEntryServiceStopTimeFrom" => from("20250402093000", "202504020931"),
            "$XDSDocumentEntryServiceStopTimeTo" => to("20250402093000", "202504020931"),
            "$XDSSubmissionSetSubmissionTimeFrom" => from("20250401013000", "20250401013001"),
            "$XDSSubmissionSetSubmissionTimeTo" => to("20250401013000", "20250401013001"),
            "$XDSFolderLastUpdateTimeFrom" => from("20261122030000", "20261122030001"),
            "$XDSFolderLastUpdateTimeTo" => to("20261122030000", "20261122030001"),
            "$XDSDocumentEntryAuthorPerson" | "$XDSSubmissionSetAuthorPerson" => {
                (slot("%医師^一_%"), vec![slot("%看護師%"), slot("医師"), slot("%医師^一")])
            }
            "$XDSDocumentEntryReferenceIdList" => {
                one(REFERENCE_ID, "12^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:order")
            }
            "$XDSDocumentEntryType" => one(object_type::STABLE, object_type::ON_DEMAND),
            "$XDSDocumentEntryEntryUUID" | "$XDSSubmissionSetEntryUUID" | "$XDSFolderEntryUUID" => {
                one(object, unknown)
            }
            "$XDSDocumentEntryUniqueId" => one(&e.unique_id, "2.999.404"),
            "$XDSSubmissionSetUniqueId" => one(&s.unique_id, "2.999.404"),
            "$XDSFolderUniqueId" => one(&f.unique_id, "2.999.404"),
            "$XDSSubmissionSetSourceId" => one("2.999.392.1.9", "2.999.404"),
            "$uuid" => one(&self.document, unknown),
            "$AssociationTypes" => one(AssociationType::Transform.urn(), AssociationType::Append.urn()),
            other => panic!("{other}: give it values in World::values"),
        };
        (hit, misses, object)
    }

    /// Slots that make a query find everything it can, `with` in place of a parameter of that name.
    fn slots(&self, row: &QueryRow, with: &Slot) -> Vec<Slot> {
        let mut slots = vec![with.clone()];
        for p in row.params.iter().filter(|p| p.name != with.name) {
            let chosen = p.required
                || (row.one_of.first() == Some(&p.name) && !row.one_of.contains(&&*with.name))
                || (row.any_of.first() == Some(&p.name));
            if chosen {
                slots.push(self.values(p).0);
            }
        }
        slots
    }

    pub async fn ask(&self, row: &QueryRow, slots: Vec<Slot>, return_type: ReturnType) -> Answer {
        let request = AdhocQueryRequest { return_type, ..query(row.urn, slots) };
        match row.multi_patient {
            true => self.gateway.soap().query_multi_patient(&request).await,
            false => self.gateway.soap().query(&request).await,
        }
    }

    /// Each parameter of a query with values that find its object and values that do not.
    pub async fn check_each_parameter(&self, row: &QueryRow) {
        for p in row.params {
            let (hit, misses, mut object) = self.values(p);
            let name = format!("{} {}", row.name, p.name);
            // Where a query shows no documents or no sets, its own object is looked for.
            if misses.is_empty() {
                object = "";
            }
            match row.urn {
                GET_ASSOCIATIONS => object = "",
                GET_SETS => object = &self.set,
                GET_FOLDERS_FOR_DOCUMENT => object = &self.folder,
                _ => {}
            }
            let found = self.ask(row, self.slots(row, &hit), ReturnType::LeafClass).await;
            found.assert_success();
            let objects = found.objects();
            assert!(
                objects.iter().any(|o| o.id() == object || object.is_empty()),
                "{name}: {}",
                found.envelope
            );
            let refs = self.ask(row, self.slots(row, &hit), ReturnType::ObjectRef).await;
            let QueryResult::Refs(refs) = refs.found() else { panic!("{name}: no references") };
            let refs: Vec<&str> = refs.iter().map(|r| r.id.as_str()).collect();
            let ids: Vec<&str> = objects.iter().map(MetadataObject::id).collect();
            assert_eq!(refs, ids, "{name}");
            for miss in misses {
                let answer = self.ask(row, self.slots(row, &miss), ReturnType::LeafClass).await;
                answer.assert_success();
                let gone = match object {
                    "" => answer.objects().is_empty(),
                    object => answer.objects().iter().all(|o| o.id() != object),
                };
                assert!(gone, "{name} {miss:?}");
            }
        }
    }
}

fn id_of(objects: &[MetadataObject], is: impl Fn(&MetadataObject) -> bool) -> String {
    objects.iter().find(|o| is(o)).expect("an object").id().to_owned()
}

#[tokio::test]
async fn each_parameter_of_each_query() {
    let world = World::new().await;
    let mut asked = 0;
    for row in QUERIES.iter().filter(|row| !row.multi_patient) {
        world.check_each_parameter(row).await;
        asked += 1;
    }
    assert_eq!(asked, 14);
}

/// How many objects of each kind: sets, documents, folders, associations.
fn counts(answer: &Answer) -> [usize; 4] {
    let mut counts = [0; 4];
    for object in answer.objects() {
        counts[match object {
            MetadataObject::SubmissionSet(_) => 0,
            MetadataObject::DocumentEntry(_) => 1,
            MetadataObject::Folder(_) => 2,
            MetadataObject::Association(_) => 3,
        }] += 1;
    }
    counts
}

#[tokio::test]
async fn what_each_query_shows() {
    let w = World::new().await;
    let approved = |name: &str| list(name, &[status::APPROVED]);
    let de = |id: &str| single("$XDSDocumentEntryEntryUUID", id);
    // The first set: DE, FD, FD-DE and its SS-HM, so four associations from the set's side and one
    // from the folder's; the second: DE and XFRM.
    for (urn, slots, expected) in [
        (
            FIND_DOCUMENTS,
            vec![single("$XDSDocumentEntryPatientId", PATIENT), approved("$XDSDocumentEntryStatus")],
            [0, 2, 0, 0],
        ),
        (
            BY_REFERENCE_ID,
            vec![
                single("$XDSDocumentEntryPatientId", PATIENT),
                approved("$XDSDocumentEntryStatus"),
                list("$XDSDocumentEntryReferenceIdList", &[REFERENCE_ID]),
            ],
            [0, 1, 0, 0],
        ),
        (
            FIND_SETS,
            vec![single("$XDSSubmissionSetPatientId", PATIENT), approved("$XDSSubmissionSetStatus")],
            [2, 0, 0, 0],
        ),
        (
            FIND_FOLDERS,
            vec![single("$XDSFolderPatientId", PATIENT), approved("$XDSFolderStatus")],
            [0, 0, 1, 0],
        ),
        (GET_ALL, get_all(PATIENT).slots, [2, 2, 1, 6]),
        (
            GET_DOCUMENTS,
            vec![list("$XDSDocumentEntryEntryUUID", &[&w.document, &w.transformation])],
            [0, 2, 0, 0],
        ),
        (GET_FOLDERS, vec![list("$XDSFolderEntryUUID", &[&w.folder])], [0, 0, 1, 0]),
        (GET_ASSOCIATIONS, vec![list("$uuid", &[&w.document])], [0, 0, 0, 3]),
        (
            GET_DOCUMENTS_AND_ASSOCIATIONS,
            vec![list("$XDSDocumentEntryEntryUUID", &[&w.document])],
            [0, 1, 0, 3],
        ),
        (GET_SETS, vec![list("$uuid", &[&w.document, &w.folder])], [1, 0, 0, 2]),
        (GET_SET_AND_CONTENTS, vec![single("$XDSSubmissionSetEntryUUID", &w.set)], [1, 1, 1, 4]),
        (GET_FOLDER_AND_CONTENTS, vec![single("$XDSFolderEntryUUID", &w.folder)], [0, 1, 1, 1]),
        (GET_FOLDERS_FOR_DOCUMENT, vec![de(&w.document)], [0, 0, 1, 0]),
        (GET_FOLDERS_FOR_DOCUMENT, vec![de(&w.transformation)], [0, 0, 0, 0]),
        (
            GET_RELATED,
            vec![de(&w.document), list("$AssociationTypes", &[AssociationType::Transform.urn()])],
            [0, 2, 0, 1],
        ),
        (
            GET_RELATED,
            vec![de(&w.transformation), list("$AssociationTypes", &[AssociationType::Transform.urn()])],
            [0, 2, 0, 1],
        ),
    ] {
        let answer = w.gateway.soap().query(&query(urn, slots)).await;
        answer.assert_success();
        assert_eq!(counts(&answer), expected, "{urn}: {}", answer.envelope);
    }
}

/// Everything of a patient through FindDocuments with one more slot.
async fn finds(w: &World, slots: Vec<Slot>) -> usize {
    let mut request = find_documents(PATIENT);
    request.slots.extend(slots);
    let answer = w.gateway.soap().query(&request).await;
    answer.assert_success();
    answer.entries().len()
}

#[tokio::test]
async fn and_of_or() {
    let w = World::new().await;
    let events = |values: &[&str]| list("$XDSDocumentEntryEventCodeList", values);
    assert_eq!(finds(&w, vec![events(&["e1^^S", "e9^^S"])]).await, 1);
    assert_eq!(finds(&w, vec![events(&["e1^^S"]), events(&["e2^^S"])]).await, 1);
    assert_eq!(finds(&w, vec![events(&["e1^^S"]), events(&["e9^^S"])]).await, 0);
    // One list over several values of a slot.
    let split = Slot {
        name: "$XDSDocumentEntryEventCodeList".into(),
        slot_type: None,
        values: vec![quote_list(&["e8^^S"]), quote_list(&["e1^^S"])],
    };
    assert_eq!(finds(&w, vec![split]).await, 1);
}

#[tokio::test]
async fn times_nobody_stated_and_ranges() {
    let w = World::new().await;
    let bare = |name: &str, v: &str| Slot { name: name.into(), slot_type: None, values: vec![v.into()] };
    // The transformation has no service times, so the parameter is ignored for it.
    assert_eq!(finds(&w, vec![bare("$XDSDocumentEntryServiceStartTimeFrom", "20260101")]).await, 1);
    let range = |from: &str, to: &str| {
        vec![bare("$XDSDocumentEntryCreationTimeFrom", from), bare("$XDSDocumentEntryCreationTimeTo", to)]
    };
    assert_eq!(finds(&w, range("2025", "2026")).await, 2);
    assert_eq!(finds(&w, range("20250401", "20250401")).await, 0);
    // Quoted times are taken too.
    assert_eq!(finds(&w, range("'2025'", "'2026'")).await, 2);
}

#[tokio::test]
async fn authors_by_like() {
    let w = World::new().await;
    let author = |pattern: &str| vec![list("$XDSDocumentEntryAuthorPerson", &[pattern])];
    for (pattern, expected) in [
        (AUTHOR, 2),
        ("%医師^一郎%", 2),
        ("110^医師%", 2),
        ("%^__^一郎%", 2),
        ("%^_^一郎%", 0),
        ("医師", 0),
        ("%一郎", 0),
        ("%iso", 0),
        ("%ISO", 2),
    ] {
        assert_eq!(finds(&w, author(pattern)).await, expected, "{pattern}");
    }
    assert_eq!(finds(&w, vec![list("$XDSDocumentEntryAuthorPerson", &["%二郎%", "%一郎%"])]).await, 2);
}

#[tokio::test]
async fn quotes_inside_values_are_doubled() {
    let gateway = Gateway::start().await;
    let mut s = submission();
    s.document_entries[0].author[0].author_person = vec!["9^O'Neil^A,B^^^Dr^^^&1.2.3&ISO".into()];
    gateway.soap().register(&s).await.assert_success();
    let mut request = find_documents(PATIENT);
    request.slots.push(list("$XDSDocumentEntryAuthorPerson", &["%O'Neil^A,B%"]));
    assert_eq!(gateway.soap().query(&request).await.entries().len(), 1);
}

#[tokio::test]
async fn deprecated_documents_are_seen_by_who_asks() {
    let w = World::new().await;
    w.gateway.soap().register(&related(AssociationType::Replace, &w.document)).await.assert_success();
    let with = |statuses: &[&str]| {
        let mut request = find_documents(PATIENT);
        request.slots[1] = list("$XDSDocumentEntryStatus", statuses);
        request
    };
    for (statuses, expected) in [
        (&[status::APPROVED][..], 1),
        (&[status::DEPRECATED], 2),
        (&[status::APPROVED, status::DEPRECATED], 3),
        (&[status::APPROVED, "urn:nonsense"], 1),
    ] {
        let answer = w.gateway.soap().query(&with(statuses)).await;
        assert_eq!(answer.entries().len(), expected, "{statuses:?}");
    }
    w.gateway.soap().query(&with(&["urn:nonsense"])).await.assert_failure(&["XDSStoredQueryMissingParam"]);
    // Queries by id ignore the status.
    let by_id = query(GET_DOCUMENTS, vec![list("$XDSDocumentEntryEntryUUID", &[&w.document])]);
    assert_eq!(w.gateway.soap().query(&by_id).await.entries().len(), 1);
    let upper = query(
        GET_DOCUMENTS,
        vec![list("$XDSDocumentEntryEntryUUID", &[&format!("urn:uuid:{}", w.document[9..].to_uppercase())])],
    );
    assert_eq!(w.gateway.soap().query(&upper).await.entries().len(), 1);
}

#[tokio::test]
async fn each_required_parameter_is_missed() {
    let w = World::new().await;
    for row in QUERIES.iter().filter(|row| !row.multi_patient) {
        let none = Slot { name: "urn:none".into(), slot_type: None, values: vec!["'x'".into()] };
        let slots = w.slots(row, &none);
        for p in row.params.iter().filter(|p| p.required || row.one_of.first() == Some(&p.name)) {
            let mut without = slots.clone();
            without.retain(|s| s.name != p.name);
            let answer = w.ask(row, without.clone(), ReturnType::LeafClass).await;
            answer.assert_failure(&["XDSStoredQueryMissingParam"]);
            assert!(answer.envelope.contains(p.name), "{}", answer.envelope);
            // Present but empty is missing.
            without.push(single(p.name, ""));
            let answer = w.ask(row, without, ReturnType::LeafClass).await;
            answer.assert_failure(&["XDSStoredQueryMissingParam"]);
        }
        // Unknown parameters are ignored.
        w.ask(row, slots, ReturnType::LeafClass).await.assert_success();
    }
}

#[tokio::test]
async fn too_many_values() {
    let w = World::new().await;
    for row in QUERIES.iter().filter(|row| !row.multi_patient) {
        for p in row.params {
            let (hit, ..) = w.values(p);
            let slots = w.slots(row, &hit);
            if !p.and {
                let mut twice = slots.clone();
                twice.push(hit.clone());
                let answer = w.ask(row, twice, ReturnType::LeafClass).await;
                answer.assert_failure(&["XDSStoredQueryParamNumber"]);
            }
            if !p.list && !matches!(p.kind, ValueKind::Time | ValueKind::Number) {
                let mut several = slots.clone();
                several[0] = list(p.name, &["a", "b"]);
                let answer = w.ask(row, several, ReturnType::LeafClass).await;
                answer.assert_failure(&["XDSStoredQueryParamNumber"]);
            }
        }
        if let [uuid, unique_id, ..] = row.one_of {
            let values = |name: &str| w.values(row.params.iter().find(|p| p.name == name).unwrap()).0;
            let mut both = w.slots(row, &values(uuid));
            both.push(values(unique_id));
            let answer = w.ask(row, both, ReturnType::LeafClass).await;
            answer.assert_failure(&["XDSStoredQueryParamNumber"]);
        }
    }
}

#[tokio::test]
async fn queries_nobody_knows() {
    let gateway = Gateway::start().await;
    let mut request = find_documents(PATIENT);
    for id in
        ["urn:uuid:00000000-0000-4000-8000-000000000000", "", "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f"]
    {
        request.id = id.into();
        gateway.soap().query(&request).await.assert_failure(&["XDSUnknownStoredQuery"]);
    }
    request.id = FIND_DOCUMENTS.to_uppercase().replace("URN:UUID", "urn:uuid");
    gateway.soap().query(&request).await.assert_success();
}

#[tokio::test]
async fn return_types_nobody_knows() {
    let gateway = Gateway::start().await;
    for wrong in ["returnType=\"RegistryObject\"", "returnType=\"LeafClassWithRepositoryItem\"", ""] {
        let body = adhoc_query(&find_documents(PATIENT)).replace("returnType=\"LeafClass\"", wrong);
        let answer = gateway.soap().send(Transaction::Iti18, &body, &[]).await;
        answer.assert_failure(&["XDSRegistryError"]);
    }
}

#[tokio::test]
async fn values_that_cannot_be_read() {
    let gateway = Gateway::start().await;
    let bad =
        |name: &str, value: &str| Slot { name: name.into(), slot_type: None, values: vec![value.into()] };
    for slot in [
        bad("$XDSDocumentEntryClassCode", "('57133-1^^')"),
        bad("$XDSDocumentEntryClassCode", "('57133-1')"),
        bad("$XDSDocumentEntryClassCode", "('a^^b'"),
        bad("$XDSDocumentEntryCreationTimeFrom", "yesterday"),
        bad("$XDSDocumentEntryCreationTimeFrom", "20251301"),
    ] {
        let mut request = find_documents(PATIENT);
        request.slots.push(slot);
        gateway.soap().query(&request).await.assert_failure(&["XDSRegistryError"]);
    }
}

#[tokio::test]
async fn more_than_the_registry_returns() {
    let gateway = Gateway::start_with(|c| c.limits.query_results = 2).await;
    for _ in 0..2 {
        gateway.soap().register(&submission()).await.assert_success();
    }
    assert_eq!(gateway.soap().query(&find_documents(PATIENT)).await.entries().len(), 2);
    gateway.soap().query(&get_all(PATIENT)).await.assert_failure(&["XDSTooManyResults"]);
    gateway.soap().register(&submission()).await.assert_success();
    let answer = gateway.soap().query(&find_documents(PATIENT)).await;
    answer.assert_failure(&["XDSTooManyResults"]);
    assert_eq!(answer.objects(), []);
}

#[tokio::test]
async fn several_patients_in_one_answer() {
    let w = World::new().await;
    let theirs = of_patient(submission_with_folder(), OTHER_PATIENT);
    w.gateway.soap().register(&theirs).await.assert_success();
    let found = w.gateway.soap().query(&get_all(OTHER_PATIENT)).await.objects();
    let document = id_of(&found, |o| matches!(o, MetadataObject::DocumentEntry(_)));
    let folder = id_of(&found, |o| matches!(o, MetadataObject::Folder(_)));
    // A set of the first patient that refers to the other's document.
    let mut referring = submission();
    referring.associations.push(Association {
        submission_set_status: Some(SubmissionSetStatus::Reference),
        ..has_member("A-REF", "SS", &document)
    });
    w.gateway.soap().register(&referring).await.assert_success();
    let documents = [&*w.document, &*document];
    for (request, expected) in [
        (query(GET_DOCUMENTS, vec![list("$XDSDocumentEntryEntryUUID", &documents)]), 2),
        (query(GET_FOLDERS, vec![list("$XDSFolderEntryUUID", &[&w.folder, &folder])]), 2),
        (query(GET_DOCUMENTS_AND_ASSOCIATIONS, vec![list("$XDSDocumentEntryEntryUUID", &documents)]), 8),
        (query(GET_SETS, vec![list("$uuid", &documents)]), 6),
        (
            query(
                GET_SET_AND_CONTENTS,
                vec![single("$XDSSubmissionSetUniqueId", &referring.submission_set.unique_id)],
            ),
            5,
        ),
    ] {
        let answer = w.gateway.soap().query(&request).await;
        answer.assert_failure(&["XDSResultNotSinglePatient"]);
        assert_eq!(answer.objects(), []);
        let refs = AdhocQueryRequest { return_type: ReturnType::ObjectRef, ..request };
        assert_eq!(w.gateway.soap().query(&refs).await.found().len(), expected, "{}", refs.id);
    }
}

#[tokio::test]
async fn a_patient_nobody_knows() {
    let sets = query(
        FIND_SETS,
        vec![
            single("$XDSSubmissionSetPatientId", OTHER_PATIENT),
            list("$XDSSubmissionSetStatus", &[status::APPROVED]),
        ],
    );
    for request in [find_documents(OTHER_PATIENT), get_all(OTHER_PATIENT), sets] {
        let gateway = Gateway::start().await;
        let answer = gateway.soap().query(&request).await;
        answer.assert_success();
        assert_eq!(answer.objects(), []);
        let gateway =
            Gateway::start_with(|c| c.registry.unknown_patient_query = UnknownPatientQuery::Error).await;
        gateway.soap().query(&request).await.assert_failure(&["XDSUnknownPatientId"]);
        gateway.soap().query(&find_documents(PATIENT)).await.assert_success();
    }
}

#[tokio::test]
async fn each_query_is_audited_once() {
    let w = World::new().await;
    let before = w.gateway.audit().await.len();
    w.gateway.tick();
    w.gateway.soap().query(&find_documents(PATIENT)).await.assert_success();
    let by_id = query(GET_DOCUMENTS, vec![list("$XDSDocumentEntryEntryUUID", &[&w.document])]);
    w.gateway.tick();
    w.gateway.soap().query(&by_id).await.assert_success();
    w.gateway.tick();
    w.gateway
        .soap()
        .query(&query(GET_DOCUMENTS, vec![]))
        .await
        .assert_failure(&["XDSStoredQueryMissingParam"]);
    let records = w.gateway.audit().await.split_off(before);
    assert_eq!(records.len(), 3);
    for (record, outcome, patients, id) in [
        (&records[0], Outcome::Success, &[PATIENT][..], FIND_DOCUMENTS),
        (&records[1], Outcome::Success, &[PATIENT], GET_DOCUMENTS),
        (&records[2], Outcome::SeriousFailure, &[], GET_DOCUMENTS),
    ] {
        assert_eq!((&*record.transaction, record.outcome), ("ITI-18", outcome));
        assert_eq!(record.patients, patients);
        assert!(record.query.as_ref().unwrap().contains(id), "the query is kept as asked");
        assert_eq!(record.documents, [""; 0]);
    }
    assert_eq!(records[2].errors, ["XDSStoredQueryMissingParam"]);
    let quiet = Gateway::start_with(|c| c.audit.queries = false).await;
    quiet.soap().query(&find_documents(PATIENT)).await.assert_success();
    assert_eq!(quiet.audit().await, []);
}
