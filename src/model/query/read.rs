//! Slots of an `AdhocQuery` to a [`StoredQuery`], with every problem reported.

use super::params::{Param, QueryRow, ValueKind};
use super::{
    AndOfOr, ContentFilter, DocumentAvailability, FindDocuments, FindFolders, FindSubmissionSets, GetAll,
    Ids, MetadataLevel, QueryId, StoredQuery, TimeRange, View, values,
};
use crate::model::ebrim::Slot;
use crate::model::error::{ErrorCode, RegistryError, clip};
use crate::model::hl7types::Dtm;
use crate::model::metadata::{AssociationType, AvailabilityStatus, EntryType};
use crate::model::uuids;

/// Everything wrong with a query.
pub type QueryProblems = Vec<RegistryError>;

/// A list longer than this is refused: nothing a person asks needs it, and each value costs.
const MAX_VALUES: usize = 500;

impl StoredQuery {
    /// Reads the query `urn` from `slots`. `multi_patient` says whether the request came as ITI-51.
    /// Parameters the query does not know are ignored (ITI TF-2 3.18.4.1.2.3.4).
    pub fn from_slots(urn: &str, multi_patient: bool, slots: &[Slot]) -> Result<StoredQuery, QueryProblems> {
        Self::with_view(urn, multi_patient, slots).map(|(query, _)| query)
    }

    /// The same with the states of things it wants to see.
    pub fn with_view(
        urn: &str,
        multi_patient: bool,
        slots: &[Slot],
    ) -> Result<(StoredQuery, View), QueryProblems> {
        let row = match QueryId::by_urn(urn) {
            Some(row) if row.multi_patient == multi_patient => row,
            Some(row) => {
                let right = if row.multi_patient { "ITI-51" } else { "ITI-18" };
                return Err(vec![RegistryError::new(
                    ErrorCode::XDSUnknownStoredQuery,
                    format!(
                        "AdhocQuery/@id '{urn}' is {}, a query of {right}: send it there ({})",
                        row.name, row.clause
                    ),
                )]);
            }
            None => {
                return Err(vec![RegistryError::new(
                    ErrorCode::XDSUnknownStoredQuery,
                    format!(
                        "AdhocQuery/@id '{}' is no stored query known here (ITI TF-2 3.18.4.1.2.4)",
                        clip(urn)
                    ),
                )]);
            }
        };
        let mut reader = Reader { row, slots, problems: vec![] };
        reader.check_presence();
        let query = reader.build();
        let view = reader.view();
        if reader.problems.is_empty() { Ok((query, view)) } else { Err(reader.problems) }
    }
}

struct Reader<'a> {
    row: &'static QueryRow,
    slots: &'a [Slot],
    problems: QueryProblems,
}

impl Reader<'_> {
    fn problem(&mut self, code: ErrorCode, param: &str, value: Option<&str>, message: &str) {
        let value = value.map(|v| format!(": '{}'", clip(v))).unwrap_or_default();
        let text = format!("{param} of {}{value}: {message} ({})", self.row.name, self.row.clause);
        self.problems.push(RegistryError::new(code, text).at(param));
    }

    /// Present with a value: `''` stands for a parameter left empty by a form.
    fn given(&self, name: &str) -> bool {
        self.slots.iter().any(|s| s.name == name && s.values.iter().any(|v| v.trim() != "''"))
    }

    /// Presence rules of the row: required, one of, at least one of.
    fn check_presence(&mut self) {
        for param in self.row.params.iter().filter(|p| p.required) {
            if !self.given(param.name) {
                self.problem(ErrorCode::XDSStoredQueryMissingParam, param.name, None, "required and absent");
            }
        }
        let one_of = self.row.one_of;
        if !one_of.is_empty() {
            let given = one_of.iter().filter(|n| self.given(n)).count();
            let names = one_of.join(" or ");
            match given {
                0 => self.problem(
                    ErrorCode::XDSStoredQueryMissingParam,
                    &names,
                    None,
                    "one of them is required",
                ),
                1 => {}
                _ => self.problem(
                    ErrorCode::XDSStoredQueryParamNumber,
                    &names,
                    None,
                    "only one of them may be given",
                ),
            }
        }
        let any_of = self.row.any_of;
        if !any_of.is_empty() && !any_of.iter().any(|n| self.given(n)) {
            self.problem(
                ErrorCode::XDSStoredQueryMissingParam,
                &any_of.join(", "),
                None,
                "at least one of them is required, or the query would select every patient",
            );
        }
    }

    /// Values of a parameter: an outer entry per slot (AND), inner items per slot (OR).
    fn groups(&mut self, name: &'static str) -> AndOfOr {
        let Some(param) = self.row.params.iter().find(|p| p.name == name).copied() else { return vec![] };
        let mut groups: AndOfOr = vec![];
        let slots = self.slots;
        if !self.given(name) {
            return groups;
        }
        for slot in slots.iter().filter(|s| s.name == name) {
            let items = self.items(&param, slot);
            groups.push(items);
        }
        if groups.len() > 1 && !param.and {
            self.problem(
                ErrorCode::XDSStoredQueryParamNumber,
                name,
                None,
                "given in several Slots, which only AND parameters may be; put the values into one list",
            );
        }
        groups.retain(|g| !g.is_empty());
        groups
    }

    fn items(&mut self, param: &Param, slot: &Slot) -> Vec<String> {
        let mut items = vec![];
        let mut broken = false;
        for value in &slot.values {
            match values::parse(value) {
                Ok(parsed) => items.extend(parsed.items),
                Err(e) => {
                    broken = true;
                    self.problem(ErrorCode::XDSRegistryError, param.name, Some(value), &e.to_string());
                }
            }
        }
        if items.is_empty() && !broken {
            self.problem(ErrorCode::XDSStoredQueryMissingParam, param.name, None, "the Slot holds no value");
        }
        if items.len() > 1 && !param.list {
            self.problem(
                ErrorCode::XDSStoredQueryParamNumber,
                param.name,
                None,
                &format!("takes exactly one value, {} given", items.len()),
            );
        }
        if items.len() > MAX_VALUES {
            self.problem(
                ErrorCode::XDSStoredQueryParamNumber,
                param.name,
                None,
                &format!("{} values given, {MAX_VALUES} is the limit here", items.len()),
            );
            items.truncate(MAX_VALUES);
        }
        if param.kind == ValueKind::Code {
            for item in &items {
                if !is_query_code(item) {
                    self.problem(
                        ErrorCode::XDSRegistryError,
                        param.name,
                        Some(item),
                        "a coded value is written code^^codingScheme with both parts",
                    );
                }
            }
        }
        items
    }

    fn list(&mut self, name: &'static str) -> Vec<String> {
        self.groups(name).into_iter().flatten().collect()
    }

    fn single(&mut self, name: &'static str) -> Option<String> {
        self.list(name).into_iter().next()
    }

    fn patient(&mut self, name: &'static str) -> String {
        self.single(name).map(|v| v.trim().to_owned()).unwrap_or_default()
    }

    fn patients(&mut self, name: &'static str) -> Vec<String> {
        self.list(name).iter().map(|v| v.trim().to_owned()).collect()
    }

    /// Unknown statuses are dropped; none left is a missing parameter.
    fn status(&mut self, name: &'static str) -> Vec<AvailabilityStatus> {
        let given = self.list(name);
        let mut known: Vec<_> = given.iter().filter_map(|v| AvailabilityStatus::from_urn(v)).collect();
        known.dedup();
        if known.is_empty() && !given.is_empty() {
            self.problem(
                ErrorCode::XDSStoredQueryMissingParam,
                name,
                given.first().map(String::as_str),
                &format!("no known status; use {} or {}", uuids::status::APPROVED, uuids::status::DEPRECATED),
            );
        }
        known
    }

    /// `$XDSDocumentEntryType`; absent means stable entries only.
    fn entry_types(&mut self) -> Vec<EntryType> {
        let given = self.list("$XDSDocumentEntryType");
        if given.is_empty() {
            return vec![EntryType::Stable];
        }
        given.iter().filter_map(|v| EntryType::from_urn(v)).collect()
    }

    fn time(&mut self, name: &'static str) -> Option<String> {
        let text = self.single(name)?;
        match Dtm::parse(&text) {
            Ok(dtm) => Some(dtm.to_padded()),
            Err(e) => {
                self.problem(ErrorCode::XDSRegistryError, name, Some(&text), &e.to_string());
                None
            }
        }
    }

    fn range(&mut self, from: &'static str, to: &'static str) -> TimeRange {
        TimeRange { from: self.time(from), to: self.time(to) }
    }

    fn ids(&mut self, uuid: &'static str, unique_id: &'static str) -> Ids {
        if self.given(uuid) { Ids::EntryUuid(self.list(uuid)) } else { Ids::UniqueId(self.list(unique_id)) }
    }

    /// As [`ids`](Self::ids), where all versions may be asked for too.
    fn ids_or_lineages(&mut self, uuid: &'static str, unique_id: &'static str, lid: &'static str) -> Ids {
        if self.given(lid) { Ids::LogicalId(self.list(lid)) } else { self.ids(uuid, unique_id) }
    }

    fn availability(&mut self, name: &'static str) -> Vec<DocumentAvailability> {
        let given = self.list(name);
        let known: Vec<_> = given.iter().filter_map(|v| DocumentAvailability::from_urn(v)).collect();
        if known.is_empty() && !given.is_empty() {
            let value = given.first().map(String::as_str);
            self.problem(ErrorCode::XDSRegistryError, name, value, "no known documentAvailability URN");
        }
        known
    }

    fn view(&mut self) -> View {
        let level = match self.single("$MetadataLevel").as_deref() {
            None | Some("1") => MetadataLevel::One,
            Some("2") => MetadataLevel::Two,
            Some(other) => {
                let message = "this registry knows the levels 1 and 2";
                self.problem(ErrorCode::XDSRegistryError, "$MetadataLevel", Some(other), message);
                MetadataLevel::One
            }
        };
        let statuses = self.status("$XDSAssociationStatus");
        let has = |status| statuses.contains(&status);
        let association_status = (!statuses.is_empty())
            .then(|| (has(AvailabilityStatus::Approved), has(AvailabilityStatus::Deprecated)));
        View { level, association_status }
    }

    fn document_ids(&mut self) -> Ids {
        self.ids("$XDSDocumentEntryEntryUUID", "$XDSDocumentEntryUniqueId")
    }

    fn contents(&mut self) -> ContentFilter {
        ContentFilter {
            format_code: self.list("$XDSDocumentEntryFormatCode"),
            confidentiality_code: self.groups("$XDSDocumentEntryConfidentialityCode"),
            entry_types: self.entry_types(),
        }
    }

    fn find_documents(&mut self) -> FindDocuments {
        FindDocuments {
            patient_ids: self.patients("$XDSDocumentEntryPatientId"),
            status: self.status("$XDSDocumentEntryStatus"),
            entry_types: self.entry_types(),
            class_code: self.list("$XDSDocumentEntryClassCode"),
            type_code: self.list("$XDSDocumentEntryTypeCode"),
            practice_setting_code: self.list("$XDSDocumentEntryPracticeSettingCode"),
            healthcare_facility_type_code: self.list("$XDSDocumentEntryHealthcareFacilityTypeCode"),
            format_code: self.list("$XDSDocumentEntryFormatCode"),
            event_code_list: self.groups("$XDSDocumentEntryEventCodeList"),
            confidentiality_code: self.groups("$XDSDocumentEntryConfidentialityCode"),
            reference_id_list: self.groups("$XDSDocumentEntryReferenceIdList"),
            author_person: self.list("$XDSDocumentEntryAuthorPerson"),
            creation_time: self.range("$XDSDocumentEntryCreationTimeFrom", "$XDSDocumentEntryCreationTimeTo"),
            service_start_time: self
                .range("$XDSDocumentEntryServiceStartTimeFrom", "$XDSDocumentEntryServiceStartTimeTo"),
            service_stop_time: self
                .range("$XDSDocumentEntryServiceStopTimeFrom", "$XDSDocumentEntryServiceStopTimeTo"),
            document_availability: self.availability("$XDSDocumentEntryDocumentAvailability"),
        }
    }

    fn find_folders(&mut self) -> FindFolders {
        FindFolders {
            patient_ids: self.patients("$XDSFolderPatientId"),
            status: self.status("$XDSFolderStatus"),
            last_update_time: self.range("$XDSFolderLastUpdateTimeFrom", "$XDSFolderLastUpdateTimeTo"),
            code_list: self.groups("$XDSFolderCodeList"),
        }
    }

    fn association_types(&mut self) -> Vec<AssociationType> {
        let given = self.list("$AssociationTypes");
        let known: Vec<_> = given.iter().filter_map(|v| AssociationType::from_urn(v)).collect();
        if known.is_empty() && !given.is_empty() {
            self.problem(
                ErrorCode::XDSRegistryError,
                "$AssociationTypes",
                given.first().map(String::as_str),
                "no known association type URN",
            );
        }
        known
    }

    fn build(&mut self) -> StoredQuery {
        match self.row.id {
            QueryId::FindDocuments => StoredQuery::FindDocuments(self.find_documents()),
            QueryId::FindDocumentsByReferenceId => {
                StoredQuery::FindDocumentsByReferenceId(self.find_documents())
            }
            QueryId::FindDocumentsForMultiplePatients => {
                StoredQuery::FindDocumentsForMultiplePatients(self.find_documents())
            }
            QueryId::FindSubmissionSets => StoredQuery::FindSubmissionSets(FindSubmissionSets {
                patient_id: self.patient("$XDSSubmissionSetPatientId"),
                status: self.status("$XDSSubmissionSetStatus"),
                source_id: self.list("$XDSSubmissionSetSourceId"),
                submission_time: self
                    .range("$XDSSubmissionSetSubmissionTimeFrom", "$XDSSubmissionSetSubmissionTimeTo"),
                author_person: self.single("$XDSSubmissionSetAuthorPerson"),
                content_type: self.list("$XDSSubmissionSetContentType"),
            }),
            QueryId::FindFolders => StoredQuery::FindFolders(self.find_folders()),
            QueryId::FindFoldersForMultiplePatients => {
                StoredQuery::FindFoldersForMultiplePatients(self.find_folders())
            }
            QueryId::GetAll => StoredQuery::GetAll(GetAll {
                patient_id: self.patient("$patientId"),
                document_status: self.status("$XDSDocumentEntryStatus"),
                submission_set_status: self.status("$XDSSubmissionSetStatus"),
                folder_status: self.status("$XDSFolderStatus"),
                contents: self.contents(),
            }),
            QueryId::GetDocuments => StoredQuery::GetDocuments(self.ids_or_lineages(
                "$XDSDocumentEntryEntryUUID",
                "$XDSDocumentEntryUniqueId",
                "$XDSDocumentEntryLogicalID",
            )),
            QueryId::GetFolders => StoredQuery::GetFolders(self.ids_or_lineages(
                "$XDSFolderEntryUUID",
                "$XDSFolderUniqueId",
                "$XDSFolderLogicalID",
            )),
            QueryId::GetAssociations => StoredQuery::GetAssociations { uuids: self.list("$uuid") },
            QueryId::GetDocumentsAndAssociations => {
                StoredQuery::GetDocumentsAndAssociations(self.document_ids())
            }
            QueryId::GetSubmissionSets => StoredQuery::GetSubmissionSets { uuids: self.list("$uuid") },
            QueryId::GetSubmissionSetAndContents => StoredQuery::GetSubmissionSetAndContents {
                id: self.ids("$XDSSubmissionSetEntryUUID", "$XDSSubmissionSetUniqueId"),
                contents: self.contents(),
            },
            QueryId::GetFolderAndContents => StoredQuery::GetFolderAndContents {
                id: self.ids("$XDSFolderEntryUUID", "$XDSFolderUniqueId"),
                contents: self.contents(),
            },
            QueryId::GetFoldersForDocument => StoredQuery::GetFoldersForDocument(self.document_ids()),
            QueryId::GetRelatedDocuments => StoredQuery::GetRelatedDocuments {
                id: self.document_ids(),
                types: self.association_types(),
                entry_types: self.entry_types(),
            },
        }
    }
}

/// `code^^scheme`: two carets in a row, something on both sides.
fn is_query_code(item: &str) -> bool {
    let mut parts = item.split('^');
    matches!(
        (parts.next(), parts.next(), parts.next(), parts.next()),
        (Some(code), Some(""), Some(scheme), None) if !code.is_empty() && !scheme.is_empty()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::query::QUERIES;

    const FIND_DOCUMENTS: &str = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d";
    const GET_DOCUMENTS: &str = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4";

    fn slot(name: &str, values: &[&str]) -> Slot {
        Slot { name: name.into(), slot_type: None, values: values.iter().map(|v| v.to_string()).collect() }
    }

    fn good() -> Vec<Slot> {
        vec![
            slot("$XDSDocumentEntryPatientId", &["'1001^^^&1.2.3&ISO'"]),
            slot("$XDSDocumentEntryStatus", &["('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')"]),
        ]
    }

    fn codes(result: Result<StoredQuery, QueryProblems>) -> Vec<ErrorCode> {
        result.unwrap_err().into_iter().map(|e| e.code).collect()
    }

    #[test]
    fn every_query_is_in_the_table_once() {
        for id in QueryId::ALL {
            let rows = QUERIES.iter().filter(|r| r.id == id).count();
            assert_eq!(rows, 1, "give {id:?} one row in QUERIES (model/query/params.rs)");
        }
        assert_eq!(QUERIES.len(), QueryId::ALL.len());
    }

    #[test]
    fn every_query_can_be_built_from_its_required_parameters() {
        for row in QUERIES {
            let mut slots = vec![];
            let wanted = row.params.iter().filter(|p| {
                p.required || row.one_of.first() == Some(&p.name) || row.any_of.first() == Some(&p.name)
            });
            for p in wanted {
                let value = match p.kind {
                    ValueKind::Status => "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')",
                    ValueKind::Code => "('a^^b')",
                    ValueKind::Text if p.name == "$AssociationTypes" => {
                        "('urn:ihe:iti:2007:AssociationType:RPLC')"
                    }
                    _ => "'x'",
                };
                slots.push(slot(p.name, &[value]));
            }
            let query = StoredQuery::from_slots(row.urn, row.multi_patient, &slots);
            assert_eq!(query.map(|q| q.id()), Ok(row.id), "{}", row.name);
        }
    }

    #[test]
    fn and_or_lists() {
        let mut slots = good();
        slots.push(slot("$XDSDocumentEntryEventCodeList", &["('e1^^S','e2^^S')"]));
        slots.push(slot("$XDSDocumentEntryEventCodeList", &["('e3^^S')"]));
        let Ok(StoredQuery::FindDocuments(q)) = StoredQuery::from_slots(FIND_DOCUMENTS, false, &slots) else {
            panic!("a good query")
        };
        assert_eq!(q.event_code_list, vec![vec!["e1^^S".to_owned(), "e2^^S".into()], vec!["e3^^S".into()]]);
        assert_eq!(q.entry_types, [EntryType::Stable]);
    }

    #[test]
    fn unknown_query() {
        assert_eq!(
            codes(StoredQuery::from_slots("urn:uuid:0", false, &[])),
            [ErrorCode::XDSUnknownStoredQuery]
        );
    }

    #[test]
    fn multi_patient_query_sent_as_iti18() {
        let urn = "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f";
        assert_eq!(codes(StoredQuery::from_slots(urn, false, &[])), [ErrorCode::XDSUnknownStoredQuery]);
    }

    #[test]
    fn all_missing_parameters_are_reported() {
        let missing = ErrorCode::XDSStoredQueryMissingParam;
        assert_eq!(codes(StoredQuery::from_slots(FIND_DOCUMENTS, false, &[])), [missing, missing]);
    }

    #[test]
    fn two_values_where_one_is_due() {
        let mut slots = good();
        slots[0].values = vec!["('a','b')".into()];
        assert_eq!(
            codes(StoredQuery::from_slots(FIND_DOCUMENTS, false, &slots)),
            [ErrorCode::XDSStoredQueryParamNumber]
        );
    }

    #[test]
    fn repeated_slot_of_an_or_parameter() {
        let mut slots = good();
        slots.push(slot("$XDSDocumentEntryClassCode", &["('a^^b')"]));
        slots.push(slot("$XDSDocumentEntryClassCode", &["('c^^d')"]));
        assert_eq!(
            codes(StoredQuery::from_slots(FIND_DOCUMENTS, false, &slots)),
            [ErrorCode::XDSStoredQueryParamNumber]
        );
    }

    #[test]
    fn code_without_scheme() {
        let mut slots = good();
        slots.push(slot("$XDSDocumentEntryClassCode", &["('a^^')"]));
        assert_eq!(
            codes(StoredQuery::from_slots(FIND_DOCUMENTS, false, &slots)),
            [ErrorCode::XDSRegistryError]
        );
    }

    #[test]
    fn unknown_status_only() {
        let mut slots = good();
        slots[1].values = vec!["('Approved')".into()];
        assert_eq!(
            codes(StoredQuery::from_slots(FIND_DOCUMENTS, false, &slots)),
            [ErrorCode::XDSStoredQueryMissingParam]
        );
    }

    #[test]
    fn both_identifiers_given() {
        let slots =
            [slot("$XDSDocumentEntryEntryUUID", &["('a')"]), slot("$XDSDocumentEntryUniqueId", &["('b')"])];
        assert_eq!(
            codes(StoredQuery::from_slots(GET_DOCUMENTS, false, &slots)),
            [ErrorCode::XDSStoredQueryParamNumber]
        );
    }

    #[test]
    fn levels_and_association_statuses() {
        let get_associations = "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155";
        let deprecated = "('urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated')";
        let mut slots = vec![slot("$uuid", &["('a')"])];
        let view = |slots: &[Slot]| StoredQuery::with_view(get_associations, false, slots).map(|(_, v)| v);
        assert_eq!(view(&slots), Ok(View::default()));
        slots.push(slot("$XDSAssociationStatus", &[deprecated]));
        assert!(!view(&slots).unwrap().shows_association(AvailabilityStatus::Deprecated));
        for two in ["2", "'2'"] {
            let mut slots = slots.clone();
            slots.push(slot("$MetadataLevel", &[two]));
            let view = view(&slots).unwrap();
            assert!(view.shows_association(AvailabilityStatus::Deprecated));
            assert!(!view.shows_association(AvailabilityStatus::Approved));
        }
        slots.push(slot("$MetadataLevel", &["3"]));
        assert_eq!(view(&slots).unwrap_err()[0].code, ErrorCode::XDSRegistryError);
    }

    #[test]
    fn two_ways_to_name_a_document() {
        let slots =
            [slot("$XDSDocumentEntryLogicalID", &["('a')"]), slot("$XDSDocumentEntryUniqueId", &["('b')"])];
        assert_eq!(
            codes(StoredQuery::from_slots(GET_DOCUMENTS, false, &slots)),
            [ErrorCode::XDSStoredQueryParamNumber]
        );
    }

    #[test]
    fn a_time_that_is_none() {
        let mut slots = good();
        slots.push(slot("$XDSDocumentEntryCreationTimeFrom", &["20251340"]));
        assert_eq!(
            codes(StoredQuery::from_slots(FIND_DOCUMENTS, false, &slots)),
            [ErrorCode::XDSRegistryError]
        );
    }

    #[test]
    fn unknown_parameters_are_ignored() {
        let mut slots = good();
        slots.push(slot("$XDSDocumentEntryWhatever", &["("]));
        assert!(StoredQuery::from_slots(FIND_DOCUMENTS, false, &slots).is_ok());
    }
}
