//! The public corpus, and good messages with one thing spoiled.

use super::feed::{self, Read};
use super::{Paths, Problem, Reading, ack, pdq, pix};
use crate::model::identity::{
    Feed, Field, IdentityError, NameScript, NameUse, PhoneUse, Place, Representation, Trouble, Update,
};
use crate::wire::xml::{XmlWriter, tree};

pub(super) fn corpus(name: &str) -> String {
    let path = format!("{}/tests/corpus/identity/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn with<T>(xml: &str, read: impl FnOnce(roxmltree::Node<'_, '_>) -> T) -> T {
    let doc = tree::parse(xml).unwrap();
    read(doc.root_element())
}

fn fed(xml: &str) -> Read {
    with(xml, feed::read).unwrap().unwrap()
}

/// Code and location of each problem.
fn problems<T>(reading: Reading<T>) -> Vec<(String, String)> {
    let said = |p: &Problem| (p.code.to_owned(), p.location.clone().unwrap_or_default());
    match reading {
        Ok(Ok(_)) => vec![],
        Ok(Err(refused)) => refused.problems.iter().map(said).collect(),
        Err(_) => vec![("fault".into(), String::new())],
    }
}

#[track_caller]
fn spoiled(good: &str, from: &str, to: &str) -> String {
    assert!(good.contains(from), "nothing to spoil: {from}");
    good.replacen(from, to, 1)
}

#[test]
fn a_record_added_is_read_whole() {
    let read = fed(&corpus("iti-44/accept/add-maximal.xml"));
    assert_eq!(read.message.event, "PRPA_IN201301UV02");
    assert_eq!(read.message.control_id, "21acf7be-007c-41e6-b176-d0969794983b^345");
    assert_eq!(read.message.source.application, "1.2.840.114350.1.13.99998.8734");
    assert_eq!(read.message.source.facility_oid.as_deref(), Some("1.2.840.114350.1.13.99998"));
    assert_eq!(read.message.occurred.as_deref(), Some("20091112115139"));
    let Feed::Upsert { ids, sent } = read.message.feed else { panic!("no upsert") };
    let said: Vec<(&str, Option<&str>, Option<&str>)> = ids
        .iter()
        .map(|id| {
            (id.value.as_str(), id.authority.universal_id.as_deref(), id.authority.namespace.as_deref())
        })
        .collect();
    assert_eq!(
        said,
        [
            ("PIX10515W3", Some("1.3.6.1.4.1.21367.2005.1.1"), Some("HIMSS2005")),
            ("PIX10515W4", Some("1.2.3.4.5.1000"), None),
            ("PIX10515W5", None, Some("domain2")),
            ("100-09-1234", Some("2.16.840.1.113883.4.1"), None),
            ("100-09-123456", Some("1.2.3"), None),
        ]
    );
    assert_eq!(
        read.paths.locate(ids[3].place),
        "/PRPA_IN201301UV02/controlActProcess/subject/registrationEvent/subject1/patient/patientPerson/asOtherIDs[1]/id"
    );
    let Update::Set(names) = &sent.names else { panic!("no names") };
    assert_eq!(
        (names[0].family.as_str(), names[0].given.as_str(), names[0].middle.as_str()),
        ("WASHINGTON", "MARY", "ROSE")
    );
    assert_eq!((names[1].family.as_str(), names[1].usage), ("DEAN", NameUse::Birth));
    assert_eq!(names[0].script, Some(NameScript::Alphabetic));
    assert_eq!((&sent.birth_date, &sent.sex), (&Update::Set("19771208".into()), &Update::Set("F".into())));
    let Update::Set(phones) = &sent.phones else { panic!("no phones") };
    let uses: Vec<PhoneUse> = phones.iter().map(|p| p.usage).collect();
    assert_eq!(uses, [PhoneUse::Home, PhoneUse::Work, PhoneUse::Mobile], "fax and mail are no telephones");
    let Update::Set(addresses) = &sent.addresses else { panic!("no addresses") };
    assert_eq!(addresses[0].text, "IL CHICAGO 100 JORIE BLVD 5");
    assert_eq!(addresses[0].postal_code, "60523");
    assert_eq!(sent.deceased, Update::Delete);
    let Update::Set(mother) = &sent.mother_maiden_name else { panic!("no mother") };
    assert_eq!(mother.family, "JOHN");
}

#[test]
fn a_revision_leaves_what_it_does_not_say() {
    let Feed::Upsert { sent, .. } = fed(&corpus("iti-44/accept/revise-maximal.xml")).message.feed else {
        panic!("no upsert")
    };
    assert_eq!((&sent.sex, &sent.deceased), (&Update::Keep, &Update::Keep));
}

#[test]
fn a_merge_names_one_pair() {
    let Feed::Merge { surviving, subsumed } = fed(&corpus("iti-44/accept/merge-from-a40.xml")).message.feed
    else {
        panic!("no merge")
    };
    assert_eq!((surviving[0].value.as_str(), subsumed[0].value.as_str()), ("142025", "704686"));
    // Which authorities may be joined is for the MPI to say.
    let read = fed(&corpus("iti-44/reject/merge-different-authorities.xml"));
    let Feed::Merge { subsumed, .. } = &read.message.feed else { panic!("no merge") };
    let error = IdentityError {
        trouble: Trouble::OtherAuthority,
        place: subsumed[0].place,
        text: "another authority".into(),
    };
    let problem = read.paths.problem(&error);
    assert_eq!(problem.code, "204");
    assert_eq!(
        problem.location.as_deref(),
        Some(
            "/PRPA_IN201304UV02/controlActProcess/subject/registrationEvent/replacementOf/priorRegistration/subject1/\
             priorRegisteredRole/id"
        )
    );
}

#[test]
fn japanese_names_are_told_apart() {
    let name = "<name use=\"L IDE\"><family>髙橋</family><given>美咲</given></name>\
                <name use=\"SYL\"><family>タカハシ</family><given>ミサキ</given></name>\
                <name use=\"ABC\"><family>Takahashi</family><given>Misaki</given></name>\
                <name use=\"A\"><family>田中</family><given>美咲</given></name>";
    let xml = spoiled(
        &corpus("iti-44/accept/merge-from-a40.xml").replace("201304", "201301"),
        "<name use=\"L\">\n                <family>LENNON</family>\n                <given>JOHN</given>\n              </name>",
        name,
    );
    let from = xml.find("<replacementOf").unwrap();
    let to = xml.find("</replacementOf>").unwrap() + "</replacementOf>".len();
    let xml = format!("{}{}", &xml[..from], &xml[to..]);
    let Feed::Upsert { sent, .. } = fed(&xml).message.feed else { panic!("no upsert") };
    let Update::Set(names) = sent.names else { panic!("no names") };
    let said: Vec<_> = names.iter().map(|n| (n.script, n.usage)).collect();
    assert_eq!(
        said,
        [
            (Some(NameScript::Ideographic), NameUse::Legal),
            (Some(NameScript::Phonetic), NameUse::Legal),
            (Some(NameScript::Alphabetic), NameUse::Legal),
            (Some(NameScript::Ideographic), NameUse::Alias),
        ]
    );
}

#[test]
fn two_patients_and_what_is_no_message_are_refused() {
    let two = problems(with(&corpus("iti-44/reject/two-patients-in-one-message.xml"), feed::read));
    assert_eq!(two, [("100".into(), "/PRPA_IN201301UV02/controlActProcess/subject[2]".into())]);
    let bare = problems(with(&corpus("iti-47/reject/not-the-schema.xml"), pdq::read));
    assert_eq!(bare, [("fault".into(), String::new())]);
}

#[test]
fn each_spoiling_of_a_feed_is_named_where_it_stands() {
    const PATIENT: &str = "/PRPA_IN201301UV02/controlActProcess/subject/registrationEvent/subject1/patient";
    let add = corpus("iti-44/accept/add-maximal.xml");
    let at = |rest: &str| format!("{PATIENT}{rest}");
    let message = |rest: &str| format!("/PRPA_IN201301UV02{rest}");
    let cases: &[(&str, &str, &str, String)] = &[
        ("<creationTime value=\"20091112115139\"/>", "", "101", message("")),
        ("value=\"20091112115139\"", "value=\"20091332\"", "102", message("/creationTime")),
        ("<creationTime value=\"20091112115139\"/>", "<creationTime/>", "101", message("/creationTime")),
        (
            "<interactionId extension=\"PRPA_IN201301UV02\"",
            "<interactionId extension=\"PRPA_IN201302UV02\"",
            "200",
            message("/interactionId"),
        ),
        ("<processingCode code=\"P\"/>", "<processingCode code=\"X\"/>", "202", message("/processingCode")),
        (
            "<processingModeCode code=\"T\"/>",
            "<processingModeCode code=\"A\"/>",
            "202",
            message("/processingModeCode"),
        ),
        ("ITSVersion=\"XML_1.0\"", "ITSVersion=\"XML_2.0\"", "102", message("")),
        ("<acceptAckCode code=\"AL\"/>", "", "101", message("")),
        ("<acceptAckCode code=\"AL\"/>", "<acceptAckCode code=\"AL\"/><bogus/>", "100", message("/bogus")),
        (
            "<id root=\"1.2.840.114350.1.13.99998.8734\"/>",
            "<id nullFlavor=\"NI\"/>",
            "101",
            message("/sender/device"),
        ),
        (
            "<statusCode code=\"active\"/>",
            "<statusCode code=\"nullified\"/>",
            "103",
            message("/controlActProcess/subject/registrationEvent/statusCode"),
        ),
        (
            "<birthTime value=\"19771208\"/>",
            "<birthTime value=\"19771308\"/>",
            "102",
            at("/patientPerson/birthTime"),
        ),
        (
            "<administrativeGenderCode code=\"F\"/>",
            "<administrativeGenderCode code=\"X\"/>",
            "103",
            at("/patientPerson/administrativeGenderCode"),
        ),
        (
            "<deceasedInd value=\"false\"/>",
            "<deceasedInd value=\"no\"/>",
            "102",
            at("/patientPerson/deceasedInd"),
        ),
        (
            "<deceasedInd value=\"false\"/>",
            "<multipleBirthOrderNumber value=\"0\"/>",
            "102",
            at("/patientPerson/multipleBirthOrderNumber"),
        ),
        ("extension=\"PIX10515W3\"", &format!("extension=\"{}\"", "9".repeat(65)), "102", at("/id[1]")),
        ("root=\"1.2.3.4.5.1000\"", "root=\"1.2..5\"", "102", at("/id[2]")),
        ("<patient classCode=\"PAT\">", "<patient classCode=\"PAT\"><name>x</name>", "100", at("/name")),
        (
            "xsi:type=\"urn:PN\"",
            "xsi:type=\"urn:ON2\"",
            "102",
            at("/patientPerson/personalRelationship/relationshipHolder1/name"),
        ),
        (
            "xsi:type=\"urn:PN\"",
            "xsi:type=\"PQ\"",
            "102",
            at("/patientPerson/personalRelationship/relationshipHolder1/name"),
        ),
        (
            "<custodian typeCode=\"CST\">",
            "<replacementOf typeCode=\"RPLC\"/><custodian typeCode=\"CST\">",
            "100",
            message("/controlActProcess/subject/registrationEvent/replacementOf"),
        ),
    ];
    for (from, to, code, location) in cases {
        let found = problems(with(&spoiled(&add, from, to), feed::read));
        assert_eq!(found, [((*code).to_owned(), location.clone())], "{from} -> {to}");
    }
    // Without its name, there is nothing to acknowledge.
    for id in ["", "<id nullFlavor=\"NI\"/>", "<id root=\"no id\"/>"] {
        let nameless =
            spoiled(&add, "<id root=\"21acf7be-007c-41e6-b176-d0969794983b\" extension=\"345\"/>", id);
        assert_eq!(problems(with(&nameless, feed::read))[0].0, "fault");
    }
    let no_ids = add
        .replace(" extension=\"PIX10515W", " nullFlavor=\"")
        .replace("extension=\"100-09-1234", "nullFlavor=\"");
    assert_eq!(problems(with(&no_ids, feed::read)), [("101".into(), at(""))]);
}

#[test]
fn each_spoiling_of_a_merge_is_named_where_it_stands() {
    const EVENT: &str = "/PRPA_IN201304UV02/controlActProcess/subject/registrationEvent";
    let merge = corpus("iti-44/accept/merge-from-a40.xml");
    let prior = "<id root=\"2.16.840.1.113883.3.37.4.1.1.2.1.1\" extension=\"704686\" assigningAuthorityName=\"130\" />";
    let role = "/replacementOf/priorRegistration/subject1/priorRegisteredRole";
    let cases = [
        (prior.to_owned(), "<id nullFlavor=\"NI\"/>".to_owned(), "101", role.to_owned()),
        (prior.to_owned(), format!("{prior}{prior}"), "100", format!("{role}/id[2]")),
        (
            "code=\"obsolete\"".to_owned(),
            "code=\"active\"".to_owned(),
            "103",
            "/replacementOf/priorRegistration/statusCode".to_owned(),
        ),
        ("extension=\"142025\"".to_owned(), String::new(), "101", "/subject1/patient".to_owned()),
    ];
    for (from, to, code, at) in cases {
        let found = problems(with(&spoiled(&merge, &from, &to), feed::read));
        assert_eq!(found, [(code.to_owned(), format!("{EVENT}{at}"))], "{from} -> {to}");
    }
    let from = merge.find("<replacementOf").unwrap();
    let to = merge.find("</replacementOf>").unwrap() + "</replacementOf>".len();
    let none = format!("{}{}", &merge[..from], &merge[to..]);
    assert_eq!(problems(with(&none, feed::read)), [("101".into(), EVENT.into())]);
    let twice = format!("{}{}{}", &merge[..to], &merge[from..to], &merge[to..]);
    assert_eq!(problems(with(&twice, feed::read)), [("100".into(), format!("{EVENT}/replacementOf[2]"))]);
}

#[test]
fn a_question_about_an_id_is_read() {
    let read = with(&corpus("iti-45/accept/query-nist-10501-04.xml"), pix::read).unwrap().unwrap();
    assert_eq!(read.query.id.value, "PIX10501");
    assert_eq!(read.query.wanted[0].universal_id.as_deref(), Some("1.3.6.1.4.1.21367.2005.1.2"));
    assert!(read.asked.echo.starts_with("<queryByParameter><queryId root=\"1.2.3.4.5\"></queryId>"));
    let unknown =
        |field| IdentityError { trouble: Trouble::UnknownId, place: Place::of(field), text: String::new() };
    const LIST: &str = "/PRPA_IN201309UV02/controlActProcess/queryByParameter/parameterList";
    let said = |field| read.paths.problem(&unknown(field)).location.unwrap();
    assert_eq!(said(Field::QueriedIdentifier), format!("{LIST}/patientIdentifier/value"));
    assert_eq!(said(Field::WantedDomain), format!("{LIST}/dataSource[1]/value"));
    for name in ["AE-unknown-authority-nist-10503-01", "AE-unknown-id-nist-10502-03"] {
        assert!(
            with(&corpus(&format!("iti-45/reject/{name}.xml")), pix::read).unwrap().is_ok(),
            "for the MPI to say"
        );
    }
}

#[test]
fn each_spoiling_of_a_question_is_named_where_it_stands() {
    const QUERY: &str = "/PRPA_IN201309UV02/controlActProcess/queryByParameter";
    let good = corpus("iti-45/accept/query-nist-10501-04.xml");
    let list = format!("{QUERY}/parameterList");
    let value = "<value extension=\"PIX10501\" assigningAuthorityName=\"HIMSS2005\" root=\"1.3.6.1.4.1.21367.2005.1.1\"/>";
    let cases = [
        ("<queryId root=\"1.2.3.4.5\"/>", "", "101", QUERY.to_owned()),
        ("<queryId root=\"1.2.3.4.5\"/>", "<queryId extension=\"1\"/>", "101", format!("{QUERY}/queryId")),
        (
            "<statusCode code=\"new\"/>",
            "<statusCode code=\"aborted\"/>",
            "103",
            format!("{QUERY}/statusCode"),
        ),
        (
            "<responsePriorityCode code=\"I\"/>",
            "<responsePriorityCode code=\"D\"/>",
            "103",
            format!("{QUERY}/responsePriorityCode"),
        ),
        (value, "<value root=\"1.2\"/>", "101", format!("{list}/patientIdentifier/value")),
        (value, "<value extension=\"1\"/>", "101", format!("{list}/patientIdentifier/value")),
        (
            value,
            "<value extension=\"1\" root=\"1.2\"/><value extension=\"2\" root=\"1.2\"/>",
            "100",
            format!("{list}/patientIdentifier/value[2]"),
        ),
        (
            "<value root=\"1.3.6.1.4.1.21367.2005.1.2\"/>",
            "<value/>",
            "101",
            format!("{list}/dataSource[1]/value"),
        ),
        ("<parameterList>", "<parameterList><livingSubjectId/>", "100", format!("{list}/livingSubjectId")),
    ];
    for (from, to, code, at) in cases {
        let found = problems(with(&spoiled(&good, from, to), pix::read));
        assert_eq!(found, [(code.to_owned(), at)], "{from} -> {to}");
    }
}

#[test]
fn a_question_about_demographics_is_read() {
    let read = with(&corpus("iti-47/accept/query-maximal.xml"), pdq::read).unwrap().unwrap();
    let q = &read.query;
    assert_eq!(
        (read.size, read.least, q.sex.as_deref(), q.birth_date.as_deref()),
        (Some(2), 75, Some("F"), Some("19400101"))
    );
    assert_eq!(q.family, [("Heidi".to_owned(), Representation::Folded)]);
    assert_eq!(q.given, [("MARY".to_owned(), Representation::Folded)]);
    assert_eq!(q.address.as_deref(), Some("Some City 3443 North Arctic Avenue"));
    assert_eq!(q.returned.len(), 1);
    let read = with(&corpus("iti-47/accept/query-namespaces-2011.xml"), pdq::read).unwrap().unwrap();
    assert_eq!(read.query.family, [("MOORE".to_owned(), Representation::Folded)]);
    assert_eq!(read.asked.id.key(), "1.2.3.4.5^1326231396750");
    assert!(read.asked.echo.contains("xsi:type=\"EN\""), "the prefix is not there any more");
}

#[test]
fn each_spoiling_of_a_demographics_question_is_named() {
    const QUERY: &str = "/PRPA_IN201305UV02/controlActProcess/queryByParameter";
    let list = format!("{QUERY}/parameterList");
    let good = corpus("iti-47/accept/query-maximal.xml");
    let birth = "<value value=\"19400101\"/>";
    let name = "<given>MARY</given>";
    let cases = [
        (
            "<initialQuantity value=\"2\"/>",
            "<initialQuantity value=\"0\"/>",
            "102",
            format!("{QUERY}/initialQuantity"),
        ),
        (
            "<initialQuantity value=\"2\"/>",
            "<initialQuantity value=\"-2\"/>",
            "102",
            format!("{QUERY}/initialQuantity"),
        ),
        (
            "<initialQuantity value=\"2\"/>",
            "<initialQuantity value=\"2\"/><initialQuantityCode code=\"LI\"/>",
            "103",
            format!("{QUERY}/initialQuantityCode"),
        ),
        (
            "value=\"75\"",
            "value=\"101\"",
            "102",
            format!("{QUERY}/matchCriterionList/minimumDegreeMatch/value"),
        ),
        (
            "xsi:type=\"INT\"",
            "xsi:type=\"REAL\"",
            "102",
            format!("{QUERY}/matchCriterionList/minimumDegreeMatch/value"),
        ),
        (birth, "<value value=\"19400132\"/>", "102", format!("{list}/livingSubjectBirthTime/value")),
        (
            birth,
            "<value><low value=\"1940\"/><high value=\"1950\"/></value>",
            "103",
            format!("{list}/livingSubjectBirthTime/value"),
        ),
        (birth, "<value nullFlavor=\"UNK\"/>", "101", format!("{list}/livingSubjectBirthTime/value")),
        (
            "<value code=\"F\"/>",
            "<value code=\"F\"/><value code=\"M\"/>",
            "103",
            format!("{list}/livingSubjectAdministrativeGender"),
        ),
        (name, "<given>*ARY</given>", "102", format!("{list}/livingSubjectName/value")),
        ("livingSubjectAdministrativeGender>", "livingSubjectDeceasedTime>", "", String::new()),
        (
            "<value root=\"1.3.6.1.4.1.21367.2005.1.2\"/>",
            "<value nullFlavor=\"NI\"/>",
            "101",
            format!("{list}/otherIDsScopingOrganization[1]/value"),
        ),
    ];
    for (from, to, code, at) in cases {
        let xml = match code {
            "" => good.replace(from, to),
            _ => spoiled(&good, from, to),
        };
        let found = problems(with(&xml, pdq::read));
        let wanted = match code {
            "" => ("103".to_owned(), format!("{list}/livingSubjectDeceasedTime")),
            _ => (code.to_owned(), at),
        };
        assert_eq!(found, [wanted], "{from} -> {to}");
    }
    let star = spoiled(&good, name, "<given>MAR*</given>");
    let read = with(&star, pdq::read).unwrap().unwrap();
    assert_eq!(read.query.given, [("MAR".to_owned(), Representation::Prefix)]);
    let from = good.find("<livingSubjectAdministrativeGender>").unwrap();
    let to = good.find("</parameterList>").unwrap();
    let empty = format!("{}{}", &good[..from], &good[to..]);
    assert_eq!(problems(with(&empty, pdq::read)), [("101".into(), list)]);
}

#[test]
fn answers_of_peers_are_read() {
    for (file, ack, code) in [
        ("iti-44/response/ack.xml", ack::Ack::Accept, "CA"),
        ("iti-44/response/hieos-success.xml", ack::Ack::Accept, "CA"),
        ("iti-44/response/hieos-already-known.xml", ack::Ack::Error, "CE"),
    ] {
        let read = with(&corpus(file), ack::read).unwrap();
        assert_eq!((read.ack, read.code.as_str()), (ack, code), "{file}");
    }
    let known = with(&corpus("iti-44/response/hieos-already-known.xml"), ack::read).unwrap();
    assert!(known.details[0].text.contains("already exists"));
    let ok = with(&corpus("iti-45/response/ok.xml"), pix::read_answer).unwrap();
    assert_eq!((ok.query_ack, ok.ids.len()), (super::QueryAck::Found, 3));
    let all = with(&corpus("iti-47/response/maximal.xml"), pdq::read_answer).unwrap();
    assert_eq!((all.candidates.len(), all.candidates[0].score), (1, Some(50)));
    assert_eq!(all.candidates[0].ids.len(), 2, "a domain without an id is none");
    let none = with(&corpus("iti-47/response/empty.xml"), pdq::read_answer).unwrap();
    assert_eq!((none.candidates.len(), none.totals.map(|t| t.total)), (0, Some(0)));
    let prefixed = with(&corpus("iti-47/response/xsi-type-prefixed.xml"), pdq::read_answer).unwrap();
    assert_eq!(prefixed.candidates[0].score, Some(100));
    let wrong = with(&corpus("iti-47/reject/xsi-type-wrong.xml"), pdq::read_answer).unwrap_err();
    assert!(wrong.contains("'ns1:REAL' does not fit value"), "{wrong}");
}

#[test]
fn every_field_has_a_place() {
    let paths = Paths::new("M");
    for field in [
        Field::Message,
        Field::Identifier,
        Field::PriorIdentifier,
        Field::Name,
        Field::BirthDate,
        Field::Sex,
        Field::Address,
        Field::Phone,
        Field::Insurance,
        Field::MotherId,
        Field::MotherName,
        Field::BirthOrder,
        Field::Account,
        Field::Death,
        Field::EventTime,
        Field::QueriedIdentifier,
        Field::WantedDomain,
        Field::QueryParameter,
        Field::ReturnedDomain,
        Field::Continuation,
    ] {
        let path = paths.locate(Place::of(field));
        assert!(path.starts_with("/M") && !path.contains("//") && !path.ends_with('/'), "{path}");
    }
}

#[test]
fn what_a_client_writes_is_read_as_it_was_meant() {
    use super::{Device, Ii, Own};
    use crate::model::identity::{Authority, Demographics, DemographicsQuery, PersonName, SentId};
    let own = Own { id: "0193a2f0-0000-7000-8000-000000000001".into(), time: "20261122030000+0000".into() };
    let device = |root: &str| Device { id: Ii::of(root), organization: None };
    let (sender, receiver) = (device("1.2.1"), device("1.2.2"));
    let query = DemographicsQuery {
        ids: vec![SentId { value: "7".into(), authority: Authority::oid("1.2.3"), ..SentId::default() }],
        family: vec![("山本".into(), Representation::Prefix)],
        given: vec![("美咲".into(), Representation::Folded)],
        birth_date: Some("19880302".into()),
        sex: Some("F".into()),
        postal_code: Some("422-8033".into()),
        address: Some("静岡県".into()),
        phone: Some("054-000-0000".into()),
        mother_maiden_name: Some(("海野".into(), Representation::Folded)),
        fuzzy: true,
        returned: vec![Authority::oid("1.2.9")],
        ..DemographicsQuery::default()
    };
    let mut w = XmlWriter::new();
    let out = pdq::Outgoing {
        sender: &sender,
        receiver: &receiver,
        query_id: &own.id,
        size: Some(5),
        query: &query,
    };
    pdq::write_query(&mut w, &own, &out);
    let mut read = with(&w.finish(), pdq::read).unwrap().unwrap();
    read.query.ids.iter_mut().for_each(|id| id.place = Place::default());
    assert!(read.query == query && read.size == Some(5));

    let demographics = Demographics {
        names: Some(vec![PersonName {
            family: "ヤマモト".into(),
            given: "ミサキ".into(),
            script: Some(NameScript::Phonetic),
            ..PersonName::default()
        }]),
        birth_date: Some("19880302".into()),
        sex: Some("F".into()),
        ..Demographics::default()
    };
    let ids = [Ii::with("1.2.3", "0001"), Ii::with("1.2.4", "0002")];
    let subsumed = Ii::with("1.2.3", "0009");
    for (interaction, subsumed) in
        [(feed::ADDED, None), (feed::REVISED, None), (feed::RESOLVED, Some(&subsumed))]
    {
        let mut w = XmlWriter::new();
        let out = feed::Outgoing {
            interaction,
            sender: &sender,
            receiver: &receiver,
            ids: &ids,
            demographics: &demographics,
            subsumed,
        };
        feed::write(&mut w, &own, &out);
        match fed(&w.finish()).message.feed {
            Feed::Upsert { ids, sent } => {
                let mut known = Demographics::default();
                sent.over(&mut known);
                assert!(known == demographics && ids.len() == 2);
            }
            Feed::Merge { surviving, subsumed } => {
                assert_eq!((surviving.len(), subsumed[0].value.as_str()), (1, "0009"));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn continuations_and_cancels_say_what_they_are() {
    use super::{Device, Ii, Own};
    let own = Own { id: "0193a2f0-0000-7000-8000-000000000001".into(), time: "20261122030000".into() };
    let device = Device { id: Ii::of("1.2.1"), organization: None };
    let write = |cancel| {
        let mut w = XmlWriter::new();
        let id = Ii::with("1.2.3", "q");
        let out = pdq::GoOn { query_id: &id, from: Some(3), size: Some(2), cancel };
        pdq::write_continuation(&mut w, &own, &device, &device, &out);
        w.finish()
    };
    let read = with(&write(false), |n| pdq::read_continuation(n, false)).unwrap().unwrap();
    assert_eq!((read.query_id.key().as_str(), read.from, read.size), ("1.2.3^q", Some(3), Some(2)));
    assert!(with(&write(true), |n| pdq::read_continuation(n, true)).unwrap().is_ok());
    let mixed = problems(with(&write(false), |n| pdq::read_continuation(n, true)));
    assert_eq!(mixed[0].0, "103");
    let from_zero =
        spoiled(&write(false), "<startResultNumber value=\"3\"/>", "<startResultNumber value=\"0\"/>");
    assert_eq!(problems(with(&from_zero, |n| pdq::read_continuation(n, false)))[0].0, "102");
}
