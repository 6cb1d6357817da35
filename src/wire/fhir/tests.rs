//! A good resource or query, and the same with one thing spoiled.

use serde_json::{Value, json};

use super::*;
use crate::model::identity::{
    Demographics, DomainId, Field, NameScript, NameUse, PhoneUse, Place, Representation, Trouble, Update,
};

fn patient() -> Value {
    json!({
        "resourceType": "Patient",
        "identifier": [
            { "system": "urn:oid:1.2.3", "value": "00012345", "type": { "coding": [
                { "system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR" }] } },
            { "system": "http://jpfhir.jp/fhir/clins/Idsystem/JP_Insurance_memberID", "value": "00012345:あいう:１８７:05" },
        ],
        "active": true,
        "name": [
            { "extension": [{ "url": "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation", "valueCode": "IDE" }],
              "use": "official", "text": "髙橋 美咲", "family": "髙橋", "given": ["美咲"] },
            { "use": "official", "family": "タカハシ", "given": ["ミサキ"] },
            { "use": "nickname", "text": "田中 美咲" },
        ],
        "telecom": [
            { "system": "phone", "value": "054-000-0000", "use": "home" },
            { "system": "email", "value": "a@example.jp" },
        ],
        "gender": "female",
        "birthDate": "1988-03-02",
        "deceasedBoolean": false,
        "multipleBirthInteger": 2,
        "address": [{ "use": "home", "text": "静岡県静岡市葵区1-2", "postalCode": "422-8033", "country": "JP" }],
        "extension": [{ "url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName", "valueString": "海野" }],
    })
}

/// Code and place of each issue.
fn issues<T>(read: Result<T, Vec<Issue>>) -> Vec<(&'static str, String)> {
    let said = |i: &Issue| (i.code.as_str(), i.expression.clone().unwrap_or_default());
    read.err().unwrap_or_default().iter().map(said).collect()
}

#[test]
fn a_patient_of_jp_core_is_read() {
    let read = read(&patient()).unwrap();
    assert_eq!(read.ids.len(), 1, "the insurance is evidence, no id");
    assert_eq!(read.ids[0].value, "00012345");
    assert_eq!(read.ids[0].authority.universal_id.as_deref(), Some("1.2.3"));
    assert_eq!(read.ids[0].type_code.as_deref(), Some("MR"));
    let Update::Set(names) = &read.sent.names else { panic!("no names") };
    let said: Vec<_> = names.iter().map(|n| (n.script, n.usage)).collect();
    assert_eq!(
        said,
        [
            (Some(NameScript::Ideographic), NameUse::Legal),
            (Some(NameScript::Phonetic), NameUse::Legal),
            (Some(NameScript::Ideographic), NameUse::Alias),
        ]
    );
    assert_eq!((names[2].family.as_str(), names[2].given.as_str()), ("田中 美咲", ""), "as sent");
    let Update::Set(insurances) = &read.sent.insurances else { panic!("no insurance") };
    assert_eq!(insurances[0].branch.as_deref(), Some("05"));
    assert_eq!(read.sent.birth_date, Update::Set("19880302".into()));
    assert_eq!(read.sent.deceased, Update::Delete);
    let Update::Set(phones) = &read.sent.phones else { panic!("no phones") };
    assert_eq!((phones.len(), phones[0].usage), (1, PhoneUse::Home));
    assert_eq!(read.sent.birth_order, Update::Set(2));
}

#[test]
fn what_an_update_does_not_hold_is_no_more() {
    let read = read(
        &json!({ "resourceType": "Patient", "identifier": [{ "system": "urn:oid:1.2", "value": "1" }] }),
    );
    let sent = read.unwrap().sent;
    assert!(sent.phones == Update::Delete && sent.birth_date == Update::Delete);
    assert_eq!(sent.insurances, Update::Keep, "no Patient holds insurances as a rule");
}

#[test]
fn each_spoiling_of_a_patient_is_named_where_it_stands() {
    let cases: &[(&str, Value, &str, &str)] = &[
        ("/resourceType", json!("Person"), "structure", "resourceType"),
        ("/identifier", json!({}), "structure", "Patient.identifier"),
        ("/identifier/0", json!("x"), "structure", "Patient.identifier"),
        ("/identifier/0/value", json!(12345), "structure", "Patient.identifier[0]"),
        ("/identifier/0/value", json!("9".repeat(65)), "too-long", "Patient.identifier[0]"),
        ("/identifier/1/value", json!("1:2:3"), "value", "Patient.identifier[1]"),
        ("/name", json!("髙橋"), "structure", "Patient.name"),
        ("/name/0/use", json!("private"), "code-invalid", "Patient.name[0]"),
        ("/name/0/given", json!("美咲"), "structure", "Patient.name[0]"),
        ("/name/0/extension/0/valueCode", json!("KAN"), "code-invalid", "Patient.name[0]"),
        ("/name/0/family", json!("x".repeat(5000)), "too-long", "Patient.name[0]"),
        ("/gender", json!("F"), "code-invalid", "Patient.gender"),
        ("/birthDate", json!("1988-02-30"), "value", "Patient.birthDate"),
        ("/birthDate", json!("19880302"), "value", "Patient.birthDate"),
        ("/deceasedBoolean", json!("no"), "structure", "Patient.deceasedBoolean"),
        ("/multipleBirthInteger", json!(0), "value", "Patient.multipleBirth"),
        ("/active", json!("yes"), "structure", "Patient.active"),
    ];
    for (pointer, value, code, at) in cases {
        let mut spoiled = patient();
        *spoiled.pointer_mut(pointer).unwrap() = value.clone();
        assert_eq!(issues(read(&spoiled)), [(*code, (*at).to_owned())], "{pointer} {value}");
    }
    assert_eq!(issues(read(&json!([]))), [("structure", "resourceType".to_owned())]);
    let mut dead = patient();
    dead["deceasedDateTime"] = json!("2014-01-01T10:61:00+09:00");
    assert_eq!(issues(read(&dead)), [("value", "Patient.deceased".to_owned())]);
    dead["deceasedDateTime"] = json!("2014-01-01T10:00:00+09:00");
    assert_eq!(read(&dead).unwrap().sent.deceased, Update::Set("20140101100000+0900".into()));
}

#[test]
fn links_name_whom_a_patient_was_replaced_by() {
    let linked = |other: Value| {
        let mut p = patient();
        p["link"] = json!([{ "type": "seealso", "other": {} }, { "type": "replaced-by", "other": other }]);
        read(&p).map(|r| r.replaced_by)
    };
    let named = Some(("urn:oid:1.2.3".to_owned(), "9".to_owned()));
    let by_identifier = linked(json!({ "identifier": { "system": "urn:oid:1.2.3", "value": "9" } })).unwrap();
    assert_eq!(by_identifier[0].identifier, named);
    let by_search = linked(json!({ "reference": "Patient?identifier=urn:oid:1.2.3%7C9" })).unwrap();
    assert_eq!(by_search[0].identifier, named);
    let by_id = linked(json!({ "reference": "http://h/fhir/Patient/123" })).unwrap();
    assert_eq!((by_id.len(), by_id[0].id.as_deref()), (1, Some("123")));
    for other in [json!({}), json!({ "reference": "Patient/" }), json!({ "reference": "Patient?name=x" })] {
        assert_eq!(issues(linked(other)), [("value", "Patient.link[1].other".to_owned())]);
    }
}

#[test]
fn a_person_is_written_as_it_is_read() {
    let given = read(&patient()).unwrap();
    let mut known = Demographics::default();
    given.sent.over(&mut known);
    let ids = [DomainId { domain: "1.2.3".into(), value: "00012345".into() }];
    let written = write("P1", &ids, &known);
    assert_eq!(written["name"][0]["extension"][0]["valueCode"], "IDE");
    assert_eq!(written["name"][1]["extension"][0]["valueCode"], "SYL");
    assert_eq!(written["address"][0]["text"], "静岡県静岡市葵区1-2");
    assert_eq!(written["identifier"][0]["system"], "urn:oid:1.2.3");
    let mut again = Demographics::default();
    read(&written).unwrap().sent.over(&mut again);
    again.insurances.clone_from(&known.insurances);
    again.multiple_birth = known.multiple_birth;
    assert!(again == known);
    let partial = Demographics { birth_date: Some("19880000".into()), ..Demographics::default() };
    assert_eq!(write("P1", &[], &partial)["birthDate"], "1988");
}

fn asked(query: &str) -> Result<Search, Vec<Issue>> {
    read_search(&pairs(query).map_err(|i| vec![i])?, false)
}

#[test]
fn a_search_is_read() {
    let s = asked(
        "family=%E5%B1%B1&given:exact=%E7%BE%8E%E5%92%B2&birthdate=eq1988-03&gender=female&telecom=tel:054-000\
         &address-city=%E9%9D%99%E5%B2%A1%E5%B8%82&address-state=%E9%9D%99%E5%B2%A1%E7%9C%8C\
         &address-postalcode=422-8033&mothersMaidenName=x&identifier=urn:oid:1.2.3%7C7&identifier=urn:oid:1.2.4|,urn:oid:1.2.5|\
         &active=true&_count=5&_id=P1&_format=json",
    )
    .unwrap();
    assert_eq!(s.query.family, [("山".to_owned(), Representation::Prefix)]);
    assert_eq!(s.query.given, [("美咲".to_owned(), Representation::Exact)]);
    assert_eq!((s.query.birth_date.as_deref(), s.query.sex.as_deref()), (Some("198803"), Some("F")));
    assert_eq!(s.query.address.as_deref(), Some("静岡県静岡市"));
    assert_eq!((s.query.ids.len(), s.query.returned.len()), (1, 2));
    assert_eq!((s.size, s.persons.as_slice()), (Some(5), ["P1".to_owned()].as_slice()));
    assert!(s.said.starts_with("family=%E5%B1%B1&given:exact="));
    assert_eq!(asked("family=a%5C,b").unwrap().query.family[0].0, "a,b", "an escaped comma is one");
}

#[test]
fn each_spoiling_of_a_search_is_named() {
    for (query, code, at) in [
        ("name=x", "not-supported", "name"),
        ("family:contains=x", "not-supported", "family:contains"),
        ("family=", "value", "family"),
        ("family=a,b", "not-supported", "family"),
        ("gender=F", "code-invalid", "gender"),
        ("birthdate=ge1988", "not-supported", "birthdate"),
        ("birthdate=1988-13", "value", "birthdate"),
        ("birthdate=1988&birthdate=1989", "not-supported", "birthdate"),
        ("identifier=7", "value", "identifier"),
        ("identifier=a%7C1,b%7C2", "not-supported", "identifier"),
        ("active=maybe", "value", "active"),
        ("_count=x", "value", "_count"),
        ("_id=../x", "value", "_id"),
        ("family=%4", "structure", ""),
        ("family=%ff", "structure", ""),
    ] {
        assert_eq!(issues(asked(query)), [(code, at.to_owned())], "{query}");
    }
    let lenient = read_search(&pairs("name=x&family=y").unwrap(), true).unwrap();
    assert_eq!(
        (lenient.ignored.as_slice(), lenient.said.as_str()),
        (["name".to_owned()].as_slice(), "family=y")
    );
    assert!(asked(&"a=b&".repeat(200)).is_err());
}

#[test]
fn every_parameter_of_the_statement_is_read() {
    for name in search_parameters() {
        let value = match name {
            "gender" => "male",
            "birthdate" => "1988",
            "active" => "true",
            "identifier" => "urn:oid:1.2%7C1",
            _ => "x",
        };
        assert_eq!(issues(asked(&format!("{name}={value}"))), [], "{name}");
    }
    let statement = statement("2026-11-22", "http://h/fhir", "0", false);
    assert_eq!(statement["fhirVersion"], "4.0.1");
}

#[test]
fn the_question_of_pix_is_read_both_ways() {
    let by_get = read_pix_query(
        &pairs("sourceIdentifier=urn:oid:1.2.3%7C7&targetSystem=urn:oid:1.2.4,urn:oid:1.2.5").unwrap(),
    )
    .unwrap();
    let by_post = read_pix(&json!({ "resourceType": "Parameters", "parameter": [
        { "name": "sourceIdentifier", "valueIdentifier": { "system": "urn:oid:1.2.3", "value": "7" } },
        { "name": "targetSystem", "valueUri": "urn:oid:1.2.4" },
        { "name": "targetSystem", "valueUri": "urn:oid:1.2.5" },
    ] }))
    .unwrap();
    assert_eq!(by_get, by_post);
    for (query, code, at) in [
        ("", "required", "sourceIdentifier"),
        ("sourceIdentifier=7", "value", "sourceIdentifier"),
        ("sourceIdentifier=a%7C1&sourceIdentifier=a%7C2", "value", "sourceIdentifier"),
        ("sourceIdentifier=a%7C1&target=x", "not-supported", "target"),
    ] {
        assert_eq!(issues(read_pix_query(&pairs(query).unwrap())), [(code, at.to_owned())], "{query}");
    }
    assert_eq!(issues(read_pix(&json!({ "resourceType": "Bundle" })))[0].0, "structure");
    assert_eq!(issues(read_pix(&json!({ "resourceType": "Parameters", "parameter": {} })))[0].0, "structure");
}

#[test]
fn the_question_of_match_is_read() {
    let good = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "resource", "resource": patient() },
        { "name": "onlyCertainMatches", "valueBoolean": true },
        { "name": "count", "valueInteger": 3 },
    ] });
    let read = read_match(&good).unwrap();
    assert_eq!((read.only_certain, read.count, read.patient.ids.len()), (true, Some(3), 1));
    for (pointer, value, code, at) in [
        ("/parameter/0/name", json!("subject"), "not-supported", "subject"),
        ("/parameter/0/resource/gender", json!("F"), "code-invalid", "Patient.gender"),
        ("/parameter/1/valueBoolean", json!("yes"), "value", "onlyCertainMatches"),
        ("/parameter/2/valueInteger", json!(0), "value", "count"),
    ] {
        let mut spoiled = good.clone();
        *spoiled.pointer_mut(pointer).unwrap() = value;
        assert_eq!(issues(read_match(&spoiled))[0], (code, at.to_owned()), "{pointer}");
    }
    assert_eq!(
        issues(read_match(&json!({ "resourceType": "Parameters" }))),
        [("required", "resource".to_owned())]
    );
}

#[test]
fn every_trouble_has_a_code_and_no_value_of_the_index_is_lost() {
    for trouble in [
        Trouble::Missing,
        Trouble::BadValue,
        Trouble::TooLong,
        Trouble::BadCode,
        Trouble::UnknownAuthority,
        Trouble::NoAuthority,
        Trouble::UnknownId,
        Trouble::Taken,
        Trouble::SameId,
        Trouble::OtherAuthority,
        Trouble::TooMany,
        Trouble::Subsumed,
        Trouble::IndividualNumber,
        Trouble::NotSupported,
        Trouble::Expired,
    ] {
        let error = crate::model::identity::IdentityError {
            trouble,
            place: Place::nth(Field::Identifier, 2),
            text: "why".into(),
        };
        let issue = of_error(&error);
        assert_eq!(
            (issue.text.as_str(), issue.expression.as_deref()),
            ("why", Some("Patient.identifier[1]"))
        );
    }
    let outcome = operation_outcome(&[Issue::error(IssueCode::Value, "why").at("Patient.name")]);
    assert_eq!(outcome["issue"][0]["expression"][0], "Patient.name");
}

/// Everything that is written goes to XML and comes back the same: an element without a row in `elements` would be lost.
#[test]
fn every_resource_says_in_xml_what_it_says_in_json() {
    let of = |raw: &Value| {
        let read = read(raw).unwrap();
        let mut known = Demographics::default();
        read.sent.over(&mut known);
        known
    };
    let ids = [DomainId { domain: "1.2.3".into(), value: "7<&\"\t7".into() }];
    let mut told = of(&patient());
    told.deceased = Some("20140101".into());
    let mut twin = told.clone();
    (twin.birth_order, twin.multiple_birth, twin.deceased) = (None, Some(true), Some(String::new()));
    let entry = Entry {
        full_url: "http://h/fhir/Patient/P1".into(),
        resource: write("P1", &ids, &told),
        score: Some(87),
        grade: Some(MatchGrade::Probable),
    };
    let notes = [Issue::error(IssueCode::Value, "why").at("Patient.name")];
    let links = [("self", "http://h/fhir/Patient?family=%E5%B1%B1&_count=5".to_owned())];
    for resource in [
        write("P1", &ids, &told),
        write("P1", &ids, &twin),
        searchset(1, &links, vec![entry], &notes),
        write_pix(&PixFound { ids: &ids, patients: &["P1".to_owned()] }),
        write_pix(&PixFound { ids: &[], patients: &[] }),
        operation_outcome(&notes),
        statement("2026-11-22", "http://h/fhir", "0", true),
    ] {
        let text = Format::Xml.write(&resource);
        let name = resource["resourceType"].as_str().unwrap();
        assert!(text.starts_with(b"<?xml"), "{name}");
        assert_eq!(Format::Xml.read(&text).unwrap(), resource, "{}", String::from_utf8_lossy(&text));
        assert_eq!(Format::Json.read(&Format::Json.write(&resource)).unwrap(), resource, "{name}");
    }
}

/// Elements stand in the order of their definitions (FHIR R4 2.6.1), whatever the order of JSON.
#[test]
fn a_patient_in_xml_is_read_and_written_as_fhir_has_it() {
    let xml = r#"<?xml version="1.0" encoding="UTF-8"?>
        <!-- as a source sends it -->
        <Patient xmlns="http://hl7.org/fhir">
          <text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml"><p>山本</p></div></text>
          <identifier><system value="urn:oid:1.2.3"/><value value="00012345"/></identifier>
          <active value="true"/>
          <name>
            <extension url="http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"><valueCode value="IDE"/></extension>
            <family value="山本"/><given value="美咲"/><given value="花"/>
          </name>
          <gender value="female"/>
          <birthDate value="1988-03-02"><extension url="urn:x"><valueString value="y"/></extension></birthDate>
          <multipleBirthInteger value="2"/>
          <contact><name><family value="海野"/></name></contact>
          <f:link xmlns:f="http://hl7.org/fhir"><f:other><f:reference value="Patient/P9"/></f:other><f:type value="replaced-by"/></f:link>
        </Patient>"#;
    let value = Format::Xml.read(xml.as_bytes()).unwrap();
    assert_eq!(value["birthDate"], "1988-03-02");
    assert_eq!(value["name"][0]["given"], json!(["美咲", "花"]));
    assert_eq!((&value["active"], &value["multipleBirthInteger"]), (&json!(true), &json!(2)));
    let of = read(&value).unwrap();
    assert_eq!((of.ids[0].value.as_str(), of.replaced_by[0].id.as_deref()), ("00012345", Some("P9")));
    let Update::Set(names) = &of.sent.names else { panic!("no names") };
    assert_eq!((names[0].script, names[0].middle.as_str()), (Some(NameScript::Ideographic), "花"));
    let written = String::from_utf8(Format::Xml.write(&value)).unwrap();
    let at = |element: &str| written.find(element).unwrap_or_else(|| panic!("{element} in {written}"));
    let order =
        ["<identifier>", "<active ", "<name>", "<gender ", "<birthDate ", "<multipleBirthInteger ", "<link>"];
    assert!(order.windows(2).all(|two| at(two[0]) < at(two[1])), "{written}");
}

#[test]
fn what_is_no_resource_in_xml_is_refused() {
    let good = "<Patient xmlns=\"http://hl7.org/fhir\"><gender value=\"male\"/></Patient>";
    assert!(Format::Xml.read(good.as_bytes()).is_ok());
    let doctype = format!("<!DOCTYPE Patient [<!ENTITY a \"b\">]>{good}");
    let deep = format!("<Patient xmlns=\"http://hl7.org/fhir\">{}", "<extension>".repeat(100_000));
    let wide = format!("<Patient xmlns=\"http://hl7.org/fhir\">{}</Patient>", "<name/>".repeat(100_000));
    for (what, text) in [
        ("another namespace", good.replace("hl7.org/fhir", "hl7.org/other")),
        ("no namespace", good.replace(" xmlns=\"http://hl7.org/fhir\"", "")),
        ("twice", good.replace("<gender ", "<gender value=\"female\"/><gender ")),
        ("not closed", good.replace("</Patient>", "")),
        ("a type definition", doctype),
        ("an entity", good.replace("male", "&b;")),
        ("too deep", deep),
        ("too wide", wide),
        ("nothing", String::new()),
        ("JSON", "{}".into()),
    ] {
        let issue = Format::Xml.read(text.as_bytes()).expect_err(what);
        assert_eq!(issue.code, IssueCode::Structure, "{what}");
    }
    assert!(Format::Xml.read(b"<Patient xmlns=\"http://hl7.org/fhir\">\xff</Patient>").is_err());
    // What is of another type than it should be, the reader refuses as it does in JSON.
    for (from, to, code, at) in [
        ("Patient", "Person", "structure", "resourceType"),
        ("<gender value=\"male\"/>", "<active value=\"yes\"/>", "structure", "Patient.active"),
        (
            "<gender value=\"male\"/>",
            "<multipleBirthInteger value=\"two\"/>",
            "value",
            "Patient.multipleBirth",
        ),
    ] {
        let value = Format::Xml.read(good.replace(from, to).as_bytes()).unwrap();
        assert_eq!(issues(read(&value)), [(code, at.to_owned())], "{to}");
    }
}
