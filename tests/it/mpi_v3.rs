//! ITI-44, ITI-45 and ITI-47 over real HTTP: the public corpus, every refusal earned with one thing spoiled, and
//! every answer held against the published schemas.

use chiren::config::{Config, MpiConsumerConfig, MpiDomainConfig, Role};
use chiren::model::identity::{
    Address, Authority, Demographics, DemographicsQuery, DomainId, NameScript, PersonName, Phone, PhoneUse,
    Representation, SentId,
};
use chiren::model::transaction::Transaction;
use chiren::peer::http::Client;
use chiren::peer::soap::notify;
use chiren::wire::hl7v3::ack::{self, Ack, Acknowledgement};
use chiren::wire::hl7v3::{Device, Ii, Own, QueryAck, Totals, feed, pdq, pix};
use chiren::wire::soap::{SoapResponse, read_response};
use chiren::wire::xml::{XmlWriter, tree};

use crate::support::gateway::listener;
use crate::support::mllp::{self, CORPUS, HOSPA, HOSPB};
use crate::support::samples::AUTHORITY as AUTHORITY_OID;
use crate::support::schema::validate_hl7v3;
use crate::support::sink::{Sink, allowed};
use crate::support::soap::{SIMPLE, envelope};
use crate::support::{Answer, Gateway};

const OWN: &str = "0193a2f0-0000-7000-8000-000000000001";

fn own() -> Own {
    Own { id: OWN.into(), time: "20261122030000+0000".into() }
}

fn device(root: &str) -> Device {
    Device { id: Ii::of(root), organization: Some(Ii::of("2.999.9")) }
}

#[test]
fn what_a_client_sends_is_valid() {
    let (sender, receiver) = (device("2.999.1"), device("2.999.2"));
    let person = Demographics {
        names: Some(vec![PersonName {
            family: "山本".into(),
            given: "美咲".into(),
            ..PersonName::default()
        }]),
        birth_date: Some("19880302".into()),
        sex: Some("F".into()),
        deceased: Some(String::new()),
        multiple_birth: Some(true),
        birth_order: Some(2),
        mother_maiden_name: Some(PersonName { family: "海野".into(), ..PersonName::default() }),
        ..Demographics::default()
    };
    let ids = [Ii::with("2.999.3", "1"), Ii::with("2.999.4", "2")];
    let subsumed = Ii::with("2.999.3", "9");
    let mut written = vec![];
    for (interaction, subsumed) in
        [(feed::ADDED, None), (feed::REVISED, None), (feed::RESOLVED, Some(&subsumed))]
    {
        let mut w = XmlWriter::new();
        let out = feed::Outgoing {
            interaction,
            sender: &sender,
            receiver: &receiver,
            ids: &ids,
            demographics: &person,
            subsumed,
        };
        feed::write(&mut w, &own(), &out);
        written.push(w.finish());
    }
    for names in [person.clone(), Demographics::default()] {
        let mut w = XmlWriter::new();
        feed::write_notification(&mut w, &own(), &sender, &receiver, &ids, &names);
        written.push(w.finish());
    }
    let mut w = XmlWriter::new();
    let wanted = ["2.999.4".to_owned()];
    let out =
        pix::Outgoing { sender: &sender, receiver: &receiver, query_id: OWN, id: &ids[0], wanted: &wanted };
    pix::write_query(&mut w, &own(), &out);
    written.push(w.finish());
    let query = DemographicsQuery {
        ids: vec![SentId { value: "7".into(), authority: Authority::oid("2.999.3"), ..SentId::default() }],
        family: vec![("山".into(), Representation::Prefix)],
        given: vec![("美咲".into(), Representation::Folded)],
        birth_date: Some("1988".into()),
        sex: Some("F".into()),
        postal_code: Some("422-8033".into()),
        phone: Some("054-000-0000".into()),
        mother_maiden_name: Some(("海野".into(), Representation::Folded)),
        fuzzy: true,
        returned: vec![Authority::oid("2.999.4")],
        ..DemographicsQuery::default()
    };
    let mut w = XmlWriter::new();
    let out =
        pdq::Outgoing { sender: &sender, receiver: &receiver, query_id: OWN, size: Some(5), query: &query };
    pdq::write_query(&mut w, &own(), &out);
    written.push(w.finish());
    for cancel in [false, true] {
        let mut w = XmlWriter::new();
        let id = Ii::of(OWN);
        let out = pdq::GoOn { query_id: &id, from: Some(3), size: Some(2), cancel };
        pdq::write_continuation(&mut w, &own(), &sender, &receiver, &out);
        written.push(w.finish());
    }
    for message in written {
        assert_eq!(validate_hl7v3(&message), Ok(()), "{message}");
        let spoiled = message.replacen("creationTime", "creationTim", 1);
        assert!(validate_hl7v3(&spoiled).is_err(), "the schema judges");
    }
}

/// The domains of the corpus, a door for FHIR, and ids of Japanese hospitals.
pub async fn gateway() -> Gateway {
    gateway_with(|_| {}).await
}

pub async fn gateway_with(change: impl FnOnce(&mut Config)) -> Gateway {
    Gateway::start_with(|config| {
        mllp::configure(config);
        config.listener.push(listener("fhir", Role::Fhir));
        for (oid, namespace) in [("2.16.840.1.113883.4.1", "SSN"), ("1.2.3", "D123")] {
            config.mpi.domain.push(MpiDomainConfig {
                name: namespace.into(),
                oid: Some(oid.into()),
                namespace: namespace.into(),
                ..MpiDomainConfig::default()
            });
        }
        change(config);
    })
    .await
}

fn corpus(name: &str) -> String {
    std::fs::read_to_string(format!("{CORPUS}/{name}")).expect(name)
}

/// Sends a message by its own Action.
async fn send(gateway: &Gateway, path: &str, message: &str) -> Answer {
    let xml = message.trim_start_matches("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    let doc = roxmltree::Document::parse(xml).expect("a message");
    let action = format!("urn:hl7-org:v3:{}", doc.root_element().tag_name().name());
    gateway.soap().post(path, SIMPLE, envelope(&action, xml)).await
}

fn body<T>(answer: &Answer, read: impl FnOnce(roxmltree::Node<'_, '_>) -> Result<T, String>) -> T {
    let doc = tree::parse(&answer.envelope).expect("XML");
    match read_response(&doc).expect("SOAP") {
        SoapResponse::Body { body, .. } => read(body).unwrap_or_else(|e| panic!("{e}\n{}", answer.envelope)),
        SoapResponse::Fault { code, subcode, reason } => panic!("fault {code} {subcode:?}: {reason}"),
    }
}

/// The acknowledgement code, and code and location of the first detail.
fn said(a: &Acknowledgement) -> (String, String, String) {
    let first = a.details.first();
    (
        a.code.clone(),
        first.map(|d| d.code.to_owned()).unwrap_or_default(),
        first.and_then(|d| d.location.clone()).unwrap_or_default(),
    )
}

pub async fn fed(gateway: &Gateway, message: &str) -> Acknowledgement {
    body(&send(gateway, "/mpi/iti44", message).await, ack::read)
}

pub fn person(family: (&str, &str), given: (&str, &str), birth: &str) -> Demographics {
    let name = |family: &str, given: &str, script| PersonName {
        family: family.into(),
        given: given.into(),
        script: Some(script),
        ..PersonName::default()
    };
    Demographics {
        names: Some(vec![
            name(family.0, given.0, NameScript::Ideographic),
            name(family.1, given.1, NameScript::Phonetic),
        ]),
        birth_date: Some(birth.into()),
        sex: Some("F".into()),
        addresses: Some(vec![Address {
            text: "静岡県静岡市葵区1-2".into(),
            postal_code: "422-8033".into(),
            usage: "H".into(),
            ..Address::default()
        }]),
        phones: Some(vec![Phone { number: "054-000-0000".into(), usage: PhoneUse::Home }]),
        ..Demographics::default()
    }
}

pub fn misaki() -> Demographics {
    person(("髙橋", "タカハシ"), ("美咲", "ミサキ"), "19880302")
}

pub fn message(interaction: &'static str, ids: &[Ii], of: &Demographics, subsumed: Option<&Ii>) -> String {
    let mut w = XmlWriter::new();
    let own = Own { id: uuid::Uuid::new_v4().to_string(), ..own() };
    let out = feed::Outgoing {
        interaction,
        sender: &device("2.999.1"),
        receiver: &device("2.999.2"),
        ids,
        demographics: of,
        subsumed,
    };
    feed::write(&mut w, &own, &out);
    w.finish()
}

pub async fn asked_pix(gateway: &Gateway, id: &Ii, wanted: &[&str]) -> pix::Answered {
    let wanted: Vec<String> = wanted.iter().map(|w| (*w).to_owned()).collect();
    let mut w = XmlWriter::new();
    let out = pix::Outgoing {
        sender: &device("2.999.1"),
        receiver: &device("2.999.2"),
        query_id: OWN,
        id,
        wanted: &wanted,
    };
    pix::write_query(&mut w, &own(), &out);
    body(&send(gateway, "/mpi/iti45", &w.finish()).await, pix::read_answer)
}

fn question(query: &DemographicsQuery, query_id: &str, size: Option<u64>) -> String {
    let mut w = XmlWriter::new();
    let out =
        pdq::Outgoing { sender: &device("2.999.1"), receiver: &device("2.999.2"), query_id, size, query };
    pdq::write_query(&mut w, &own(), &out);
    w.finish()
}

pub async fn asked_pdq(gateway: &Gateway, query: &DemographicsQuery) -> pdq::Answered {
    body(&send(gateway, "/mpi/iti47", &question(query, OWN, None)).await, pdq::read_answer)
}

async fn go_on(
    gateway: &Gateway,
    query_id: &str,
    from: Option<u64>,
    size: Option<u64>,
    cancel: bool,
) -> Answer {
    let mut w = XmlWriter::new();
    let id = Ii::of(query_id);
    let out = pdq::GoOn { query_id: &id, from, size, cancel };
    pdq::write_continuation(&mut w, &own(), &device("2.999.1"), &device("2.999.2"), &out);
    let action = format!("urn:hl7-org:v3:QUQI_IN000003UV01_{}", if cancel { "Cancel" } else { "Continue" });
    gateway.soap().post("/mpi/iti47", SIMPLE, envelope(&action, &w.finish())).await
}

#[tokio::test]
async fn the_feeds_of_the_corpus_end_as_its_index_says() {
    let gateway = gateway().await;
    for file in ["accept/add-maximal.xml", "accept/revise-maximal.xml", "accept/merge-from-a40.xml"] {
        let acknowledgement = fed(&gateway, &corpus(&format!("iti-44/{file}"))).await;
        assert_eq!(acknowledgement.code, "AA", "{file}: {:?}", acknowledgement.details);
    }
    // An id that is there already is a revision, not an error.
    assert_eq!(fed(&gateway, &corpus("iti-44/accept/add-maximal.xml")).await.code, "AA");
    let same = asked_pix(&gateway, &Ii::with("1.3.6.1.4.1.21367.2005.1.1", "PIX10515W3"), &[]).await;
    let ids: Vec<&str> = same.ids.iter().filter_map(|id| id.extension.as_deref()).collect();
    for other in ["PIX10515W4", "PIX10515W5", "100-09-1234", "100-09-123456"] {
        assert!(ids.contains(&other), "{other} of {ids:?}");
    }
    let two = fed(&gateway, &corpus("iti-44/reject/two-patients-in-one-message.xml")).await;
    assert_eq!(said(&two).0, "AE");
    let merge = fed(&gateway, &corpus("iti-44/reject/merge-different-authorities.xml")).await;
    assert_eq!((said(&merge).0.as_str(), said(&merge).1.as_str()), ("AE", "204"));
    assert!(said(&merge).2.ends_with("/priorRegisteredRole/id"), "{:?}", merge.details);
}

#[tokio::test]
async fn the_questions_of_the_corpus_end_as_its_index_says() {
    let gateway = gateway().await;
    let ids =
        [Ii::with("1.3.6.1.4.1.21367.2005.1.1", "PIX10501"), Ii::with("1.3.6.1.4.1.21367.2005.1.2", "XREF1")];
    assert_eq!(fed(&gateway, &message(feed::ADDED, &ids, &misaki(), None)).await.code, "AA");
    let answer = send(&gateway, "/mpi/iti45", &corpus("iti-45/accept/query-nist-10501-04.xml")).await;
    let found = body(&answer, pix::read_answer);
    assert_eq!((found.acknowledgement.code.as_str(), found.query_ack), ("AA", QueryAck::Found));
    assert_eq!(found.ids, [Ii { authority_name: Some("XREF2005".into()), ..ids[1].clone() }]);
    for file in ["AE-unknown-id-nist-10502-03", "AE-unknown-authority-nist-10503-01"] {
        let answer = send(&gateway, "/mpi/iti45", &corpus(&format!("iti-45/reject/{file}.xml"))).await;
        let refused = body(&answer, pix::read_answer);
        let (code, detail, at) = said(&refused.acknowledgement);
        assert_eq!(
            (code.as_str(), refused.query_ack, detail.as_str()),
            ("AE", QueryAck::Error, "204"),
            "{file}"
        );
        assert!(at.ends_with("/parameterList/patientIdentifier/value"), "{at}");
    }
    let maximal = send(&gateway, "/mpi/iti47", &corpus("iti-47/accept/query-maximal.xml")).await;
    let none = body(&maximal, pdq::read_answer);
    assert_eq!((none.acknowledgement.code.as_str(), none.query_ack), ("AA", QueryAck::NothingFound));
    let moore = Demographics {
        names: Some(vec![PersonName {
            family: "Moore".into(),
            given: "Chip".into(),
            ..PersonName::default()
        }]),
        ..Demographics::default()
    };
    let id = [Ii::with("1.3.6.1.4.1.21367.2005.1.1", "M1")];
    assert_eq!(fed(&gateway, &message(feed::ADDED, &id, &moore, None)).await.code, "AA");
    let answer = send(&gateway, "/mpi/iti47", &corpus("iti-47/accept/query-namespaces-2011.xml")).await;
    let found = body(&answer, pdq::read_answer);
    assert_eq!((found.acknowledgement.code.as_str(), found.candidates.len()), ("AA", 1));
    let action = "urn:hl7-org:v3:PRPA_IN201301UV02";
    let bare = corpus("iti-47/reject/not-the-schema.xml");
    let fault = gateway.soap().post("/mpi/iti44", SIMPLE, envelope(action, &bare)).await;
    assert_eq!((fault.status.as_u16(), fault.fault().0.as_str()), (400, "soap:Sender"));
}

#[tokio::test]
async fn a_japanese_patient_comes_back_as_she_was_told() {
    let gateway = gateway().await;
    let ids = [Ii::with(HOSPA, "0000012345"), Ii::with(HOSPB, "777")];
    assert_eq!(fed(&gateway, &message(feed::ADDED, &ids, &misaki(), None)).await.code, "AA");
    // Asked by the usual form of her name.
    let query = DemographicsQuery {
        family: vec![("高橋".into(), Representation::Folded)],
        given: vec![("美".into(), Representation::Prefix)],
        birth_date: Some("19880302".into()),
        sex: Some("F".into()),
        returned: vec![Authority::oid(HOSPB), Authority::oid("1.2.3")],
        ..DemographicsQuery::default()
    };
    let answer = send(&gateway, "/mpi/iti47", &question(&query, OWN, None)).await;
    assert!(answer.envelope.contains("<name use=\"IDE\"><family>髙橋</family><given>美咲</given></name>"));
    assert!(answer.envelope.contains("<name use=\"SYL\"><family>タカハシ</family>"));
    let without = "<id nullFlavor=\"NA\"/><scopingOrganization classCode=\"ORG\" determinerCode=\"INSTANCE\">\
                   <id root=\"1.2.3\"/>";
    assert!(answer.envelope.contains(without), "a domain without an id is told\n{}", answer.envelope);
    let found = body(&answer, pdq::read_answer);
    assert_eq!(found.candidates.len(), 1);
    assert_eq!(found.totals, Some(Totals { total: 1, current: 1, remaining: 0 }));
    let candidate = &found.candidates[0];
    assert_eq!(candidate.ids, [Ii { authority_name: Some("HOSPB".into()), ..ids[1].clone() }]);
    let mut known = Demographics::default();
    candidate.sent.over(&mut known);
    assert!(known.names == misaki().names && known.birth_date == misaki().birth_date);
    assert!(known.addresses == misaki().addresses && known.phones == misaki().phones);
    // All domains: the network's own id among them.
    let all = asked_pix(&gateway, &ids[0], &[]).await;
    assert!(all.ids.iter().any(|id| id.root.as_deref() == Some(AUTHORITY_OID)), "{:?}", all.ids);
    // Known, but nowhere asked.
    let nowhere = asked_pix(&gateway, &ids[0], &["1.2.3"]).await;
    assert_eq!((nowhere.acknowledgement.code.as_str(), nowhere.query_ack), ("AA", QueryAck::NothingFound));
    // Unknown domains, each named.
    let unknown = asked_pix(&gateway, &ids[0], &["1.2.3", "2.999.77", "2.999.78"]).await;
    let at: Vec<_> = unknown.acknowledgement.details.iter().map(|d| d.location.clone().unwrap()).collect();
    assert_eq!((unknown.acknowledgement.code.as_str(), at.len()), ("AE", 2));
    assert!(at[0].ends_with("/dataSource[2]/value") && at[1].ends_with("/dataSource[3]/value"), "{at:?}");
    let query = DemographicsQuery { returned: vec![Authority::oid("2.999.77")], ..query };
    let refused = asked_pdq(&gateway, &query).await;
    let (code, detail, at) = said(&refused.acknowledgement);
    assert_eq!((code.as_str(), detail.as_str()), ("AE", "204"));
    assert!(at.ends_with("/otherIDsScopingOrganization[1]/value"), "{at}");
}

#[tokio::test]
async fn an_answer_is_continued_and_cancelled() {
    let gateway = gateway().await;
    for n in 1..=5 {
        let who = person(("山本", "ヤマモト"), ("花子", "ハナコ"), &format!("1950010{n}"));
        let id = [Ii::with(HOSPA, format!("P{n}"))];
        assert_eq!(fed(&gateway, &message(feed::ADDED, &id, &who, None)).await.code, "AA");
    }
    let query = DemographicsQuery {
        family: vec![("山本".into(), Representation::Folded)],
        ..DemographicsQuery::default()
    };
    let all = asked_pdq(&gateway, &query).await;
    assert_eq!(all.candidates.len(), 5, "without a quantity, all of them");
    let query_id = uuid::Uuid::new_v4().to_string();
    let mut seen = vec![];
    let first = send(&gateway, "/mpi/iti47", &question(&query, &query_id, Some(2))).await;
    let mut page = body(&first, pdq::read_answer);
    for (current, remaining) in [(2, 3), (2, 1), (1, 0)] {
        assert_eq!(page.totals, Some(Totals { total: 5, current, remaining }));
        seen.extend(
            page.candidates.iter().flat_map(|c| c.ids.clone()).filter(|id| id.root.as_deref() == Some(HOSPA)),
        );
        if remaining > 0 {
            page = body(&go_on(&gateway, &query_id, None, Some(2), false).await, pdq::read_answer);
        }
    }
    seen.sort_by_key(Ii::key);
    seen.dedup();
    assert_eq!(seen.len(), 5, "nobody twice, nobody missing");
    let from_two = body(&go_on(&gateway, &query_id, Some(2), Some(1), false).await, pdq::read_answer);
    assert_eq!((from_two.candidates.len(), from_two.totals.unwrap().remaining), (1, 3));
    let cancelled = body(&go_on(&gateway, &query_id, None, None, true).await, ack::read);
    assert_eq!(cancelled.code, "AA");
    let gone = body(&go_on(&gateway, &query_id, None, Some(2), false).await, pdq::read_answer);
    let (code, detail, at) = said(&gone.acknowledgement);
    assert_eq!((code.as_str(), detail.as_str()), ("AE", "204"));
    assert!(at.ends_with("/queryContinuation/queryId"), "{at}");
    let again = body(&go_on(&gateway, &query_id, None, None, true).await, ack::read);
    assert_eq!(again.code, "AA", "a question that is not known is as good as cancelled");
    // The Action says cancel, the message says continue.
    let mut w = XmlWriter::new();
    let id = Ii::of(query_id.as_str());
    let out = pdq::GoOn { query_id: &id, from: None, size: None, cancel: false };
    pdq::write_continuation(&mut w, &own(), &device("2.999.1"), &device("2.999.2"), &out);
    let mixed = envelope("urn:hl7-org:v3:QUQI_IN000003UV01_Cancel", &w.finish());
    let mixed = body(&gateway.soap().post("/mpi/iti47", SIMPLE, mixed).await, ack::read);
    assert_eq!(said(&mixed).1, "103");
}

#[tokio::test]
async fn a_merge_moves_an_id() {
    let gateway = gateway().await;
    let (old, new) = (Ii::with(HOSPA, "OLD1"), Ii::with(HOSPA, "NEW1"));
    let other = Ii::with(HOSPB, "777");
    assert_eq!(
        fed(&gateway, &message(feed::ADDED, &[old.clone(), other.clone()], &misaki(), None)).await.code,
        "AA"
    );
    assert_eq!(
        fed(&gateway, &message(feed::ADDED, std::slice::from_ref(&new), &misaki(), None)).await.code,
        "AA"
    );
    let merged =
        fed(&gateway, &message(feed::RESOLVED, std::slice::from_ref(&new), &misaki(), Some(&old))).await;
    assert_eq!(merged.code, "AA", "{:?}", merged.details);
    let now = asked_pix(&gateway, &other, &[HOSPA]).await;
    assert!(!now.ids.iter().any(|id| id.extension.as_deref() == Some("OLD1")), "{:?}", now.ids);
    let same =
        fed(&gateway, &message(feed::RESOLVED, std::slice::from_ref(&new), &misaki(), Some(&new))).await;
    assert_eq!((said(&same).0.as_str(), said(&same).1.as_str()), ("AE", "205"));
}

#[tokio::test]
async fn each_refusal_is_earned_and_nothing_is_stored() {
    let gateway = gateway().await;
    let good = message(feed::ADDED, &[Ii::with(HOSPA, "R1")], &misaki(), None);
    let id = format!("<id root=\"{HOSPA}\" extension=\"R1\"/>");
    let cases: Vec<(&str, String, &str)> = vec![
        ("<processingCode code=\"P\"/>", String::new(), "101"),
        ("<creationTime value=\"", "<creationTime value=\"x".into(), "102"),
        ("value=\"19880302\"", "value=\"19881332\"".into(), "102"),
        ("administrativeGenderCode code=\"F\"", "administrativeGenderCode code=\"X\"".into(), "103"),
        (id.as_str(), "<id root=\"2.999.77\" extension=\"R1\"/>".into(), "204"),
        (id.as_str(), "<id extension=\"R1\" assigningAuthorityName=\"NOBODY\"/>".into(), "204"),
        (id.as_str(), format!("<id root=\"{HOSPA}\" nullFlavor=\"NI\"/>"), "101"),
        (id.as_str(), format!("{id}<id root=\"2.999.392.22.1\" extension=\"123456789018\"/>"), "102"),
        ("<statusCode code=\"active\"/>", "<statusCode code=\"completed\"/>".into(), "103"),
        ("<birthTime ", "<bogus/><birthTime ".into(), "100"),
    ];
    for (from, to, code) in cases {
        assert!(good.contains(from), "nothing to spoil: {from}");
        let answer = send(&gateway, "/mpi/iti44", &good.replacen(from, &to, 1)).await;
        let refused = body(&answer, ack::read);
        assert_eq!((said(&refused).0.as_str(), said(&refused).1.as_str()), ("AE", code), "{from} -> {to}");
        assert!(!answer.envelope.contains("123456789018"), "an individual number is told nobody");
    }
    let unknown = asked_pix(&gateway, &Ii::with(HOSPA, "R1"), &[]).await;
    assert_eq!(said(&unknown.acknowledgement).0, "AE", "nothing was stored");
    assert_eq!(fed(&gateway, &good).await.code, "AA");
    // Each leaves its record, and none a name or an id of the individual's number.
    let audit = gateway.audit().await;
    let records: Vec<_> = audit.iter().filter(|e| e.transaction == "ITI-44").collect();
    assert!(records.len() >= 10, "{} records", records.len());
    let text = format!("{audit:?}");
    assert!(!text.contains("123456789018") && !text.contains("髙橋"));
}

#[tokio::test]
async fn training_data_changes_nothing() {
    let gateway = gateway().await;
    let id = Ii::with(HOSPA, "T1");
    let training = |of: &str| of.replacen("processingCode code=\"P\"", "processingCode code=\"T\"", 1);
    let good = message(feed::ADDED, std::slice::from_ref(&id), &misaki(), None);
    let checked = fed(&gateway, &training(&good)).await;
    assert_eq!((checked.code.as_str(), checked.details.len()), ("AA", 1));
    assert_eq!(said(&asked_pix(&gateway, &id, &[]).await.acknowledgement).0, "AE");
    let wrong = message(feed::ADDED, &[Ii::with("2.999.77", "T1")], &misaki(), None);
    assert_eq!(said(&fed(&gateway, &training(&wrong)).await).1, "204", "it is checked");
}

#[tokio::test]
async fn addresses_take_what_they_serve() {
    let gateway = gateway().await;
    let add = message(feed::ADDED, &[Ii::with(HOSPA, "A1")], &misaki(), None);
    for path in ["/mpi/iti44", "/mpi/pixv3", "/xds/registry"] {
        assert_eq!(body(&send(&gateway, path, &add).await, ack::read).code, "AA", "{path}");
    }
    for path in ["/mpi/iti45", "/mpi/pdqv3", "/xds/iti18"] {
        let (_, subcode) = send(&gateway, path, &add).await.fault();
        assert_eq!(subcode.as_deref(), Some("wsa:ActionNotSupported"), "{path}");
    }
    // Action and element must agree.
    let mixed = envelope("urn:hl7-org:v3:PRPA_IN201302UV02", &add);
    let (_, subcode) = gateway.soap().post("/mpi/iti44", SIMPLE, mixed).await.fault();
    assert_eq!(subcode.as_deref(), Some("wsa:ActionNotSupported"));
    let strange = envelope("urn:hl7-org:v3:PRPA_IN201301UV02", &add).replacen(
        "<s:Header>",
        "<s:Header><x:h xmlns:x=\"urn:x\" s:mustUnderstand=\"1\"/>",
        1,
    );
    assert_eq!(gateway.soap().post("/mpi/iti44", SIMPLE, strange).await.fault().0, "soap:MustUnderstand");
    let off = gateway_with(|config| {
        config.mpi.enabled = false;
        config.listener.retain(|l| !matches!(l.role, Role::Mllp | Role::Fhir));
    })
    .await;
    let (_, subcode) = send(&off, "/mpi/iti44", &add).await.fault();
    assert_eq!(subcode.as_deref(), Some("wsa:ActionNotSupported"));
}

#[tokio::test]
async fn a_consumer_is_told_of_ids() {
    // Our own feed takes a notification as the revision that it is.
    let gateway = gateway().await;
    let ids = [Ii::with(HOSPA, "N1"), Ii::with(HOSPB, "N2")];
    assert_eq!(fed(&gateway, &message(feed::ADDED, &ids, &misaki(), None)).await.code, "AA");
    let consumer = MpiConsumerConfig {
        name: "emr".into(),
        url: format!("http://{}/mpi/iti44", gateway.address),
        ..MpiConsumerConfig::default()
    };
    let client = Client::new(&notify::peer(&consumer)).expect("a client");
    let told: Vec<DomainId> = [(HOSPA, "N1"), (HOSPB, "N2")]
        .map(|(domain, value)| DomainId { domain: domain.into(), value: value.into() })
        .into();
    let notice = notify::Notice {
        id: OWN,
        time: "20261122030000+0000",
        ids: &told,
        sender: "2.999.1",
        receiver: Some("2.999.5"),
    };
    let acknowledgement = notify::notify(&client, &notice).await.expect("an acknowledgement");
    assert_eq!(acknowledgement.code, "AA", "{:?}", acknowledgement.details);
    let query = DemographicsQuery {
        family: vec![("髙橋".into(), Representation::Folded)],
        ..DemographicsQuery::default()
    };
    assert_eq!(asked_pdq(&gateway, &query).await.candidates.len(), 1, "the name is left as it was");
    let stranger = [DomainId { domain: "2.999.77".into(), value: "1".into() }];
    let refused =
        notify::notify(&client, &notify::Notice { ids: &stranger, ..notice }).await.expect("an answer");
    assert_eq!(refused.ack, Ack::Error);
}

#[tokio::test]
async fn a_consumer_hears_through_the_outbox() {
    // The consumer is another gateway's feed, which takes notices as revisions.
    let consumer = gateway().await;
    let url = format!("http://{}/mpi/iti44", consumer.address);
    let gateway = gateway_with(|config| {
        config.mpi.consumer = vec![MpiConsumerConfig {
            name: "emr".into(),
            url,
            domains: vec![HOSPA.into(), HOSPB.into()],
            ..MpiConsumerConfig::default()
        }];
    })
    .await;
    let ids = [Ii::with(HOSPA, "C1"), Ii::with(HOSPB, "C2")];
    assert_eq!(fed(&gateway, &message(feed::ADDED, &ids, &misaki(), None)).await.code, "AA");
    let now = gateway.clock.clone();
    let now: chiren::service::outbox::Now = std::sync::Arc::new(move || now.now().as_microsecond());
    let stop = Default::default();
    let rooms = gateway.rooms();
    rooms.outbox.run(&rooms.couriers, &now, &stop).await.expect("the outbox runs");
    let told = asked_pix(&consumer, &ids[0], &[HOSPB]).await;
    assert_eq!(told.ids.iter().filter_map(|id| id.extension.as_deref()).collect::<Vec<_>>(), ["C2"]);
}

#[tokio::test]
async fn what_is_asked_for_elsewhere_is_answered_there() {
    let mut sink = Sink::start().await;
    let address = sink.address;
    let gateway = gateway_with(|config| config.asynchronous.reply_to = vec![allowed(address)]).await;
    let id = Ii::with(HOSPA, "E1");
    let add = message(feed::ADDED, std::slice::from_ref(&id), &misaki(), None);
    let mut w = XmlWriter::new();
    let (sender, receiver) = (device("2.999.1"), device("2.999.2"));
    let out = pix::Outgoing { sender: &sender, receiver: &receiver, query_id: OWN, id: &id, wanted: &[] };
    pix::write_query(&mut w, &own(), &out);
    let query = DemographicsQuery { birth_date: Some("19880302".into()), ..DemographicsQuery::default() };
    let spoiled = add.replacen("<acceptAckCode code=\"AL\"/>", "", 1);
    for (t, body, wanted) in [
        (Transaction::Iti44, add.clone(), "<typeCode code=\"AA\"/>"),
        (Transaction::Iti44, spoiled, "<typeCode code=\"AE\"/>"),
        (Transaction::Iti45, w.finish(), "<queryResponseCode code=\"OK\"/>"),
        (Transaction::Iti47, question(&query, OWN, None), "<resultTotalQuantity value=\"1\"/>"),
    ] {
        let sent = gateway.soap().send_to(t, &body, &[], &sink.url()).await;
        assert_eq!(sent.answer.status.as_u16(), 202, "{t:?}");
        let arrived = sink.next().await;
        assert_eq!(
            (arrived.action.as_str(), &arrived.relates_to),
            (t.row().response_action, &sent.message_id)
        );
        assert!(arrived.answer.envelope.contains(wanted), "{t:?}\n{}", arrived.answer.envelope);
    }
    let audit = gateway.audit().await;
    let records = |t: Transaction| audit.iter().filter(|e| e.transaction == t.code()).count();
    assert_eq!(
        (records(Transaction::Iti44), records(Transaction::Iti45), records(Transaction::Iti47)),
        (2, 1, 1)
    );
}
