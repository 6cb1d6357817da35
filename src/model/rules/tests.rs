//! Each test takes a good object, spoils one thing and expects one location.

use super::samples;
use super::table::{MANY, XmlAttribute};
use super::*;
use crate::model::codes::LOINC;
use crate::model::uuids::{folder, object_type, submission_set};

const KINDS: [ObjectKind; 4] =
    [ObjectKind::DocumentEntry, ObjectKind::SubmissionSet, ObjectKind::Folder, ObjectKind::Association];

fn check(object: &RegistryObject, column: Column, vocabulary: &Vocabulary) -> Vec<RegistryError> {
    let mut out = vec![];
    check_object(
        object,
        &Rules { column, profile: Profile::Jahis, vocabulary, limited_metadata: false },
        &mut out,
    );
    assert!(out.iter().all(|e| e.code == ErrorCode::XDSRegistryMetadataError));
    out
}

/// Locations of the errors as a repository's registration, codes unchecked.
fn errors(object: &RegistryObject) -> Vec<String> {
    locations(check(object, Column::DocumentRepository, &Vocabulary::unrestricted()), Severity::Error)
}

fn warnings(object: &RegistryObject) -> Vec<String> {
    locations(check(object, Column::DocumentRepository, &Vocabulary::unrestricted()), Severity::Warning)
}

fn locations(problems: Vec<RegistryError>, severity: Severity) -> Vec<String> {
    problems.into_iter().filter(|e| e.severity == severity).filter_map(|e| e.location).collect()
}

#[test]
fn the_samples_are_good() {
    let vocabulary = Vocabulary::japan(CodeCheck::Strict).unwrap();
    for kind in KINDS {
        assert_eq!(
            check(&samples::of(kind), Column::DocumentRepository, &vocabulary),
            vec![],
            "{}",
            kind.as_str()
        );
        assert_eq!(
            check(&samples::of(kind), Column::DocumentSource, &vocabulary),
            vec![],
            "{}",
            kind.as_str()
        );
    }
}

/// Removes whatever the object has in a place.
fn remove(object: &mut RegistryObject, place: Place) {
    match place {
        Place::Attribute(XmlAttribute::Id) => object.id.clear(),
        Place::Attribute(XmlAttribute::ObjectType) => object.object_type = None,
        Place::Attribute(XmlAttribute::MimeType) => object.mime_type = None,
        Place::Attribute(XmlAttribute::AssociationType) => object.association_type = None,
        Place::Attribute(XmlAttribute::SourceObject) => object.source_object = None,
        Place::Attribute(XmlAttribute::TargetObject) => object.target_object = None,
        Place::Slot(name) => object.slots.retain(|s| s.name != name),
        Place::Classification(scheme) => {
            object.classifications.retain(|c| c.scheme.as_deref() != Some(scheme))
        }
        Place::ExternalIdentifier { scheme, .. } => {
            object.external_identifiers.retain(|e| e.scheme != scheme)
        }
        Place::Name => object.name.clear(),
        _ => unreachable!("nothing else is required"),
    }
}

#[test]
fn every_required_attribute_is_missed() {
    for kind in KINDS {
        for rule in rules(kind).iter().filter(|r| r.obligations.repository == Presence::R) {
            let mut object = samples::of(kind);
            remove(&mut object, rule.place);
            let id = if object.id.is_empty() { NO_ID } else { &object.id };
            let location = format!("{id}/{}", rule.name);
            assert!(errors(&object).contains(&location), "{} may be missing", rule.name);
        }
    }
}

/// The same attribute, there but empty.
#[test]
fn present_but_empty_counts_as_missing() {
    for kind in KINDS {
        for rule in rules(kind).iter().filter(|r| r.obligations.repository == Presence::R) {
            let mut object = samples::of(kind);
            match rule.place {
                Place::Slot(name) => {
                    object
                        .slots
                        .iter_mut()
                        .filter(|s| s.name == name)
                        .for_each(|s| s.values = vec![" ".into()]);
                }
                Place::ExternalIdentifier { scheme, .. } => {
                    let found = object.external_identifiers.iter_mut().filter(|e| e.scheme == scheme);
                    found.for_each(|e| e.value.clear());
                }
                Place::Name => object.name = samples::text(""),
                Place::Attribute(XmlAttribute::MimeType) => object.mime_type = Some(String::new()),
                _ => continue,
            }
            assert_eq!(errors(&object), [format!("{}/{}", object.id, rule.name)]);
        }
    }
}

#[test]
fn every_single_attribute_is_counted() {
    for kind in KINDS {
        for rule in rules(kind).iter().filter(|r| r.max == 1) {
            let mut object = samples::of(kind);
            let id = object.id.clone();
            match rule.place {
                Place::Slot(name) => {
                    let value = object.slot_value(name).unwrap_or(good_value(rule)).to_owned();
                    object.slots.retain(|s| s.name != name);
                    object.slots.push(samples::slot(name, &[&value, &value]));
                }
                Place::Classification(scheme) => {
                    object.classifications.retain(|c| c.scheme.as_deref() != Some(scheme));
                    let code = samples::code(&id, scheme, "x", "1.2.3", "y");
                    object.classifications.extend([code.clone(), code]);
                }
                Place::Marker(node) if rule.obligations.repository != Presence::X => {
                    object.classifications.push(samples::marker(&id, node));
                }
                Place::ExternalIdentifier { scheme, .. } => {
                    let again = object.external_identifier(scheme).unwrap().clone();
                    object.external_identifiers.push(again);
                }
                _ => continue,
            }
            assert_eq!(errors(&object), [format!("{id}/{}", rule.name)], "{} may repeat", rule.name);
        }
    }
}

/// A value of the rule's type, for attributes the samples lack.
fn good_value(rule: &AttributeRule) -> &'static str {
    match rule.data_type {
        DataType::Xcn => "^医師^一郎",
        DataType::Uri => "DOC001.XML",
        DataType::DocumentAvailability => "urn:ihe:iti:2010:DocumentAvailability:Online",
        DataType::Dtm => "20250401013000",
        DataType::Version => "1",
        DataType::SubmissionSetStatus => "Original",
        _ => "x",
    }
}

/// A value that is not of the type; `None` where any text is.
fn bad_value(data_type: DataType) -> Option<String> {
    let bad = match data_type {
        DataType::Text(max) => return Some("名".repeat(max + 1)),
        DataType::EntryId
        | DataType::Ignored
        | DataType::Flag
        | DataType::Code(_)
        | DataType::Author
        | DataType::SourcePatientInfo => return None,
        DataType::DocumentEntryType => object_type::ON_DEMAND,
        DataType::Oid | DataType::OidUrn => "1.02",
        DataType::UniqueId => "../../etc/passwd",
        DataType::Cx | DataType::Cxi => "1001",
        DataType::Xcn => "^^一郎",
        DataType::Dtm => "20250230",
        DataType::Sha1Hex => "e543",
        DataType::Size => "4 KB",
        DataType::Language => "日本語",
        DataType::MimeType => "pdf",
        DataType::Uri => "a b",
        DataType::Version => "zero",
        DataType::IntendedRecipient => "||",
        DataType::DocumentAvailability => "Online",
        DataType::AssociationType => "HasMember",
        DataType::SubmissionSetStatus => "original",
    };
    Some(bad.to_owned())
}

#[test]
fn every_type_is_checked() {
    for kind in KINDS {
        for rule in rules(kind) {
            let Some(bad) = bad_value(rule.data_type) else { continue };
            let mut object = samples::of(kind);
            let id = object.id.clone();
            match rule.place {
                Place::Attribute(attribute) => {
                    let bad = Some(bad);
                    match attribute {
                        XmlAttribute::Id | XmlAttribute::Status => continue,
                        XmlAttribute::LogicalId => object.lid = bad,
                        XmlAttribute::Home => object.home = bad,
                        XmlAttribute::ObjectType => object.object_type = bad,
                        XmlAttribute::MimeType => object.mime_type = bad,
                        XmlAttribute::AssociationType => object.association_type = bad,
                        XmlAttribute::SourceObject => object.source_object = bad,
                        XmlAttribute::TargetObject => object.target_object = bad,
                    }
                }
                Place::VersionInfo => object.version_name = Some(bad),
                Place::Slot(name) => {
                    object.slots.retain(|s| s.name != name);
                    object.slots.push(samples::slot(name, &[&bad]));
                }
                Place::ExternalIdentifier { scheme, .. } => {
                    let found = object.external_identifiers.iter_mut().filter(|e| e.scheme == scheme);
                    found.for_each(|e| e.value.clone_from(&bad));
                }
                Place::Name => object.name = samples::text(&bad),
                Place::Description => object.description = samples::text(&bad),
                Place::Classification(_) | Place::Marker(_) => continue,
            }
            let found = errors(&object);
            assert!(found.contains(&format!("{id}/{}", rule.name)), "{} accepts anything", rule.name);
            assert!(found.iter().all(|l| *l == format!("{id}/{}", rule.name)), "{found:?}");
        }
    }
}

#[test]
fn every_code_needs_code_scheme_and_display() {
    for kind in KINDS {
        for rule in rules(kind) {
            let (Place::Classification(scheme), DataType::Code(_)) = (rule.place, rule.data_type) else {
                continue;
            };
            let good = |object: &RegistryObject| samples::code(&object.id, scheme, "x", "1.2.3", "y");
            let spoils: [fn(&mut Classification); 5] = [
                |c| c.node_representation = None,
                |c| c.slots.clear(),
                |c| c.slots[0].values.push("1.2.4".into()),
                |c| c.name.clear(),
                |c| c.name = samples::text(" "),
            ];
            for spoil in spoils {
                let mut object = samples::of(kind);
                object.classifications.retain(|c| c.scheme.as_deref() != Some(scheme));
                let mut code = good(&object);
                spoil(&mut code);
                object.classifications.push(code);
                assert_eq!(errors(&object), [format!("{}/{}", object.id, rule.name)]);
            }
        }
    }
}

#[test]
fn columns_forbid_and_require() {
    let none = Vocabulary::unrestricted();
    let in_column =
        |object: &RegistryObject, column| locations(check(object, column, &none), Severity::Error);

    let mut on_demand = samples::document_entry();
    on_demand.object_type = Some(object_type::ON_DEMAND.to_owned());
    assert_eq!(
        in_column(&on_demand, Column::OnDemand),
        ["DE1/DocumentEntry.creationTime", "DE1/DocumentEntry.hash", "DE1/DocumentEntry.size"]
    );
    on_demand.slots.retain(|s| !matches!(s.name.as_str(), "creationTime" | "hash" | "size"));
    assert_eq!(in_column(&on_demand, Column::OnDemand), Vec::<String>::new());

    let mut at_source = samples::document_entry();
    at_source.slots.retain(|s| !matches!(s.name.as_str(), "hash" | "size" | "repositoryUniqueId"));
    assert_eq!(in_column(&at_source, Column::DocumentSource), Vec::<String>::new());
    assert_eq!(
        in_column(&at_source, Column::DocumentRepository),
        ["DE1/DocumentEntry.hash", "DE1/DocumentEntry.repositoryUniqueId", "DE1/DocumentEntry.size"]
    );

    for (mut object, marker) in [
        (samples::document_entry(), document_entry::LIMITED_METADATA),
        (samples::submission_set(), submission_set::LIMITED_METADATA),
        (samples::folder(), folder::LIMITED_METADATA),
    ] {
        let fault = [format!("{}/{}.limitedMetadata", object.id, object.kind.as_str())];
        assert_eq!(in_column(&object, Column::MetadataLimited), fault);
        object.classifications.push(samples::marker(&object.id, marker));
        assert_eq!(in_column(&object, Column::MetadataLimited), Vec::<String>::new());
        assert_eq!(in_column(&object, Column::XdrSource), fault);
    }
}

#[test]
fn a_limited_entry_may_leave_much_out() {
    let mut entry = samples::document_entry();
    entry.slots.clear();
    entry.classifications.retain(|c| c.scheme.as_deref() == Some(document_entry::AUTHOR));
    entry.classifications.push(samples::marker("DE1", document_entry::LIMITED_METADATA));
    entry.external_identifiers.retain(|e| e.scheme == document_entry::UNIQUE_ID);
    assert_eq!(check(&entry, Column::MetadataLimited, &Vocabulary::unrestricted()), vec![]);
}

#[test]
fn slots_are_named_once_and_fit() {
    let spoiled = |slot| {
        let mut entry = samples::document_entry();
        entry.slots.push(slot);
        errors(&entry)
    };
    assert_eq!(spoiled(samples::slot("creationTime", &["2025"])), ["DE1/DocumentEntry.creationTime"]);
    assert_eq!(spoiled(samples::slot("department", &["x"])), ["DE1/DocumentEntry.department"]);
    assert_eq!(spoiled(samples::slot("urn:ihe:iti:new", &["x"])), ["DE1/DocumentEntry.urn:ihe:iti:new"]);
    assert_eq!(spoiled(samples::slot("urn:x", &["x"])), ["DE1/DocumentEntry.urn:x"]);
    assert_eq!(spoiled(samples::slot("urn:nist:extraslot", &["x"])), Vec::<String>::new());
    assert_eq!(spoiled(samples::slot("urn:jp:ssmix2:datakind", &["OMP-01"])), Vec::<String>::new());
    let long = "名".repeat(257);
    assert_eq!(spoiled(samples::slot("urn:a:b", &[&long])), ["DE1/DocumentEntry.urn:a:b"]);
    assert_eq!(spoiled(samples::slot("urn:a:b", &[&long[3..]])), Vec::<String>::new());
}

#[test]
fn classifications_are_whole() {
    let spoils: [fn(&mut Classification); 4] = [
        |c| c.id.clear(),
        |c| c.classified_object = "SS1".into(),
        |c| c.node_representation = Some("x".repeat(257)),
        |c| c.name = samples::text(&"x".repeat(1025)),
    ];
    for spoil in spoils {
        let mut entry = samples::document_entry();
        spoil(&mut entry.classifications[1]);
        assert_eq!(errors(&entry), ["DE1/DocumentEntry.classCode"]);
    }
    let mut entry = samples::document_entry();
    entry.classifications.push(samples::marker("DE1", ""));
    assert_eq!(errors(&entry), ["DE1/DocumentEntry.Classification"]);
    // A code that is a marker as well would be read as one of the two.
    let mut set = samples::submission_set();
    set.classifications.retain(|c| c.node.is_none());
    for code in set.classifications.iter_mut().filter(|c| !c.name.is_empty()) {
        code.node = Some(submission_set::MARKER.into());
    }
    assert_eq!(errors(&set), ["SS1/SubmissionSet.contentTypeCode"]);
    // Of a scheme we do not know: kept.
    let mut entry = samples::document_entry();
    entry.classifications.push(samples::code(
        "DE1",
        "urn:uuid:00000000-0000-0000-0000-000000000001",
        "a",
        "b",
        "c",
    ));
    assert_eq!(errors(&entry), Vec::<String>::new());
    // A set cannot be a folder too.
    let mut set = samples::submission_set();
    set.classifications.push(samples::marker("SS1", folder::MARKER));
    assert_eq!(errors(&set), ["SS1/SubmissionSet.Classification"]);
}

#[test]
fn external_identifiers_are_whole() {
    let spoils: [fn(&mut crate::model::ebrim::ExternalIdentifier); 2] =
        [|e| e.id.clear(), |e| e.registry_object = "SS1".into()];
    for spoil in spoils {
        let mut entry = samples::document_entry();
        spoil(&mut entry.external_identifiers[0]);
        assert_eq!(errors(&entry), ["DE1/DocumentEntry.patientId"]);
    }
    let mut entry = samples::document_entry();
    entry.external_identifiers[0].name = samples::text("patient");
    assert_eq!(errors(&entry), Vec::<String>::new());
    assert_eq!(warnings(&entry), ["DE1/DocumentEntry.patientId"]);
}

#[test]
fn packages_have_their_object_type_or_none() {
    let mut set = samples::submission_set();
    set.object_type = None;
    assert_eq!(errors(&set), Vec::<String>::new());
    set.object_type = Some(object_type::STABLE.to_owned());
    assert_eq!(errors(&set), ["SS1/SubmissionSet.objectType"]);
}

#[test]
fn authors_are_persons_institutions_or_addresses() {
    let with = |slots: Vec<crate::model::ebrim::Slot>| {
        let mut set = samples::submission_set();
        set.classifications[1].slots = slots;
        errors(&set)
    };
    let slot = samples::slot;
    assert_eq!(with(vec![slot("authorInstitution", &["登呂病院", "別院"])]), Vec::<String>::new());
    assert_eq!(with(vec![slot("authorTelecommunication", &["^PRS^PH^^^^03-1234"])]), Vec::<String>::new());
    assert_eq!(with(vec![slot("authorRole", &["主治医"])]), ["SS1/SubmissionSet.author"]);
    assert_eq!(with(vec![slot("authorPerson", &[" "])]), ["SS1/SubmissionSet.author"]);
    for (name, values) in [
        ("authorPerson", vec!["^A", "^B"]),
        ("authorPerson", vec!["^^x"]),
        ("authorInstitution", vec!["^^^^^^^^^1.2.3"]),
        ("authorTelecommunication", vec!["03-1234"]),
    ] {
        assert_eq!(with(vec![slot(name, &values)]), [format!("SS1/SubmissionSet.author.{name}")]);
    }
    let twice = vec![slot("authorInstitution", &["A"]), slot("authorInstitution", &["B"])];
    assert_eq!(with(twice), ["SS1/SubmissionSet.author.authorInstitution"]);
}

#[test]
fn jahis_demands_the_authors_institution() {
    let (column, vocabulary) = (Column::DocumentRepository, &Vocabulary::unrestricted());
    let mut entry = samples::document_entry();
    entry.classifications[0].slots.retain(|s| s.name != slot::AUTHOR_INSTITUTION);
    let mut out = vec![];
    check_object(
        &entry,
        &Rules { column, profile: Profile::Jahis, vocabulary, limited_metadata: false },
        &mut out,
    );
    assert_eq!(locations(out, Severity::Error), ["DE1/DocumentEntry.author"]);
    let mut out = vec![];
    check_object(
        &entry,
        &Rules { column, profile: Profile::Ihe, vocabulary, limited_metadata: false },
        &mut out,
    );
    assert!(out.iter().all(|e| !e.is_error()));
    assert_eq!(locations(out, Severity::Warning), ["DE1/DocumentEntry.author"]);
    entry.classifications.remove(0);
    assert_eq!(errors(&entry), ["DE1/DocumentEntry.author"]);
}

#[test]
fn service_ends_after_it_starts() {
    let with = |start: &str, stop: &str| {
        let mut entry = samples::document_entry();
        entry.slots.retain(|s| !s.name.starts_with("service"));
        entry.slots.push(samples::slot(slot::SERVICE_START_TIME, &[start]));
        entry.slots.push(samples::slot(slot::SERVICE_STOP_TIME, &[stop]));
        errors(&entry)
    };
    assert_eq!(with("20250331", "2025"), Vec::<String>::new());
    assert_eq!(with("20250401", "20250331"), ["DE1/DocumentEntry.serviceStartTime"]);
}

#[test]
fn odd_patient_info_is_only_a_warning() {
    let mut entry = samples::document_entry();
    entry.slots.retain(|s| s.name != slot::SOURCE_PATIENT_INFO);
    entry.slots.push(samples::slot(slot::SOURCE_PATIENT_INFO, &["太郎"]));
    assert_eq!(errors(&entry), Vec::<String>::new());
    assert_eq!(warnings(&entry), ["DE1/DocumentEntry.sourcePatientInfo"]);
}

#[test]
fn an_association_joins_two_objects() {
    let mut association = samples::association();
    association.target_object = Some("SS1".to_owned());
    assert_eq!(errors(&association), ["A1/Association.targetObject"]);
}

#[test]
fn codes_are_checked_as_the_domain_wishes() {
    let checked = |mode, spoil: fn(&mut RegistryObject)| {
        let mut entry = samples::document_entry();
        spoil(&mut entry);
        check(&entry, Column::DocumentRepository, &Vocabulary::japan(mode).unwrap())
    };
    type Spoil = fn(&mut RegistryObject);
    let spoils: [(Spoil, &str); 3] = [
        (|e| e.classifications[6].node_representation = Some("999".into()), "practiceSettingCode"),
        (|e| e.classifications[6].slots[0].values = vec!["1.2.3".into()], "practiceSettingCode"),
        (|e| e.mime_type = Some("application/x-msdownload".into()), "mimeType"),
    ];
    for (spoil, attribute) in spoils {
        let location = [format!("DE1/DocumentEntry.{attribute}")];
        assert_eq!(locations(checked(CodeCheck::Strict, spoil), Severity::Error), location);
        assert_eq!(locations(checked(CodeCheck::Warn, spoil), Severity::Warning), location);
        assert_eq!(checked(CodeCheck::Off, spoil), vec![]);
    }
    // The display name is the sender's business.
    let renamed = checked(CodeCheck::Strict, |e| e.classifications[6].name = samples::text("第一内科"));
    assert_eq!(renamed, vec![]);
    let parameter = checked(CodeCheck::Strict, |e| e.mime_type = Some("Text/XML; charset=UTF-8".into()));
    assert_eq!(parameter, vec![]);
}

#[test]
fn a_type_in_the_wrong_class_is_only_a_warning() {
    let mut entry = samples::document_entry();
    entry.classifications[2] = samples::code("DE1", document_entry::TYPE_CODE, "11506-3", LOINC, "経過記録");
    let out = check(&entry, Column::DocumentRepository, &Vocabulary::japan(CodeCheck::Strict).unwrap());
    assert!(out.iter().all(|e| !e.is_error()));
    assert_eq!(locations(out, Severity::Warning), ["DE1/DocumentEntry.typeCode"]);
}

#[test]
fn unbounded_attributes_may_repeat() {
    let mut entry = samples::document_entry();
    let codes =
        ["N", "LTS"].map(|c| samples::code("DE1", document_entry::CONFIDENTIALITY_CODE, c, "1.2", "x"));
    entry.classifications.extend(codes);
    entry.slots.push(samples::slot(
        slot::REFERENCE_ID_LIST,
        &["1^^^&1.2&ISO^urn:ihe:iti:xds:2013:order", "1.2.3^^^^urn:ihe:iti:xdw:2013:workflowInstanceId"],
    ));
    assert!(rules(ObjectKind::DocumentEntry).iter().any(|r| r.max == MANY));
    assert_eq!(errors(&entry), Vec::<String>::new());
}
