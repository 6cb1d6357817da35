//! ITI-55 and ITI-56 as the responding gateway: the public corpus, every case of an answer, and what is never told.

use chiren::config::{Config, MpiDomainConfig};
use chiren::model::identity::{
    Authority, Demographics, Discovery, NameScript, PersonName, SentId, Unable, Wanted,
};
use chiren::model::ids::HomeCommunityId;
use chiren::model::transaction::Transaction;
use chiren::wire::hl7v3::ack::{self, Acknowledgement};
use chiren::wire::hl7v3::xcpd::{self, Outgoing};
use chiren::wire::hl7v3::xcpd_answer::{self, Answered};
use chiren::wire::hl7v3::xcpd_location::{self, Location};
use chiren::wire::hl7v3::{Ii, Own, QueryAck};
use chiren::wire::soap::{SoapResponse, read_response};
use chiren::wire::xml::{XmlWriter, tree};

use crate::mpi_v3::{fed, message, misaki, person};
use crate::support::mllp::{self, CORPUS, HOSPA, HOSPB};
use crate::support::samples::{AUTHORITY, HOME};
use crate::support::schema::validate_hl7v3;
use crate::support::sink::{Sink, allowed};
use crate::support::soap::{SIMPLE, envelope};
use crate::support::{Answer, Gateway};
use chiren::wire::hl7v3::feed::ADDED;

const OWN: &str = "0193a2f0-0000-7000-8000-000000000001";
/// The community that asks.
const OTHER: &str = "urn:oid:2.999.7";
const OTHER_AUTHORITY: &str = "2.999.7.2";

pub fn home(text: &str) -> HomeCommunityId {
    HomeCommunityId::parse(text).expect("a home community id")
}

/// A gateway with an index.
pub async fn gateway_with(change: impl FnOnce(&mut Config)) -> Gateway {
    Gateway::start_with(|config| {
        mllp::configure(config);
        config.gateway.enabled = true;
        change(config);
    })
    .await
}

pub async fn gateway() -> Gateway {
    gateway_with(|_| {}).await
}

pub fn question(discovery: &Discovery, respond_to: Option<&str>) -> String {
    let mut w = XmlWriter::new();
    let out = Outgoing {
        sender: &xcpd::device(&home(OTHER), None),
        receiver: &xcpd::device(&home(HOME), None),
        query_id: OWN,
        discovery,
        authority: Some(OTHER_AUTHORITY),
        respond_to,
    };
    xcpd::write_query(&mut w, &Own { id: OWN.into(), time: "20261122030000+0000".into() }, &out);
    w.finish()
}

pub fn described(of: Demographics) -> Discovery {
    Discovery { described: of, ..Discovery::default() }
}

pub fn id(domain: &str, value: &str) -> SentId {
    SentId { value: value.into(), authority: Authority::oid(domain), ..SentId::default() }
}

pub async fn ask(gateway: &Gateway, message: &str) -> Answer {
    gateway.soap().post("/xca/iti55", SIMPLE, envelope(xcpd::ACTION, message)).await
}

pub fn body<T>(answer: &Answer, read: impl FnOnce(roxmltree::Node<'_, '_>) -> Result<T, String>) -> T {
    let doc = tree::parse(&answer.envelope).expect("XML");
    match read_response(&doc).expect("SOAP") {
        SoapResponse::Body { body, .. } => read(body).unwrap_or_else(|e| panic!("{e}\n{}", answer.envelope)),
        SoapResponse::Fault { code, subcode, reason } => panic!("fault {code} {subcode:?}: {reason}"),
    }
}

async fn asked(gateway: &Gateway, discovery: &Discovery) -> Answered {
    body(&ask(gateway, &question(discovery, None)).await, xcpd_answer::read)
}

fn case(a: &Answered) -> (&str, QueryAck, usize) {
    (a.acknowledgement.code.as_str(), a.query_ack, a.found.len())
}

fn corpus(name: &str) -> String {
    let text = std::fs::read_to_string(format!("{CORPUS}/{name}")).expect(name);
    text.trim_start_matches("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").to_owned()
}

/// The network's id of a person, by an id of a hospital.
pub async fn network_id(gateway: &Gateway, hospital: &str, value: &str) -> String {
    let mpi = gateway.rooms().mpi.as_ref().expect("an index");
    let named = mpi.named(&format!("{value}^^^&{hospital}&ISO")).expect("an id");
    let context = chiren::service::context::Context::of_operator("test", None, gateway.clock.now());
    let shown = mpi.show(&context, &named).await.expect("shown").expect("known");
    shown.person.split('^').next().expect("an id").to_owned()
}

#[test]
fn what_is_sent_is_valid() {
    let whole = Demographics {
        mother_maiden_name: Some(PersonName {
            family: "海野".into(),
            script: Some(NameScript::Ideographic),
            ..PersonName::default()
        }),
        ..misaki()
    };
    let discovery =
        Discovery { described: whole, ids: vec![id(OTHER_AUTHORITY, "77"), id(HOSPA, "1")], least: 80 };
    for respond_to in [None, Some("https://gw.example.jp/deferred")] {
        let message = question(&discovery, respond_to);
        assert_eq!(validate_hl7v3(&message), Ok(()), "{message}");
        let doc = tree::parse(&message).unwrap();
        let read = xcpd::read(doc.root_element()).unwrap().unwrap();
        assert_eq!((read.home, read.authority.as_deref()), (home(OTHER), Some(OTHER_AUTHORITY)));
        assert_eq!((read.respond_to.as_deref(), read.discovery.least), (respond_to, 80));
        assert!(read.discovery.described == discovery.described, "it reads back as it was meant");
    }
}

#[tokio::test]
async fn the_corpus_ends_as_its_index_says() {
    let gateway = gateway_with(|config| {
        config.mpi.domain.push(MpiDomainConfig {
            name: "jones".into(),
            oid: Some("1.2.840.114350.1.13.99997.2.3412".into()),
            ..MpiDomainConfig::default()
        });
    })
    .await;
    let name = |family: &str, given: &str| PersonName {
        family: family.into(),
        given: given.into(),
        script: Some(NameScript::Alphabetic),
        ..PersonName::default()
    };
    let jimmy = Demographics {
        names: Some(vec![name("Jones", "Jimmy")]),
        birth_date: Some("19630804".into()),
        sex: Some("M".into()),
        ..Demographics::default()
    };
    let ids = [Ii::with("1.2.840.114350.1.13.99997.2.3412", "1234")];
    assert_eq!(fed(&gateway, &message(ADDED, &ids, &jimmy, None)).await.code, "AA");
    let answer = ask(&gateway, &corpus("iti-55/accept/request.xml")).await;
    let found = body(&answer, xcpd_answer::read);
    assert_eq!(case(&found), ("AA", QueryAck::Found, 1), "by the id that both know\n{}", answer.envelope);
    // Deferred, to an address that is none of ours.
    let deferred = corpus("iti-55/accept/request-deferred.xml");
    let answer = gateway.soap().post("/xca/iti55", SIMPLE, envelope(xcpd::DEFERRED_ACTION, &deferred)).await;
    let refused = body(&answer, ack::read);
    assert_eq!((refused.code.as_str(), refused.details[0].code), ("AE", "NS250"));
    // An impossible day speaks for nobody, and harms nothing.
    let tolerated = ask(&gateway, &corpus("iti-55/accept/nist-name-gender-dob.xml")).await;
    assert_eq!(case(&body(&tolerated, xcpd_answer::read)), ("AA", QueryAck::NothingFound, 0));
    let reject = ask(&gateway, &corpus("iti-55/reject/AE-nist-no-birthtime.xml")).await;
    let reject = body(&reject, xcpd_answer::read);
    assert_eq!(case(&reject), ("AE", QueryAck::Error, 0));
    assert_eq!(reject.unable, Some(Unable::NotAvailable));
    // Answers of others.
    let read = |name: &str| {
        let text = corpus(name);
        let doc = roxmltree::Document::parse(text.trim()).expect(name);
        xcpd_answer::read(doc.root_element()).expect(name)
    };
    let two = read("iti-55/response/match.xml");
    assert_eq!(case(&two), ("AA", QueryAck::Found, 2));
    assert_eq!(two.found[0].home, Some(home("urn:oid:1.2.840.114350.1.13.99998.8734")));
    assert_eq!((two.found[0].locator, two.found[0].score, two.found[1].locator), (true, Some(92), false));
    let template = read("iti-55/response/nist-template.xml");
    assert_eq!((case(&template), template.found[0].home.clone()), (("AA", QueryAck::Found, 1), None));
    let text = corpus("iti-56/response/response.xml");
    let doc = roxmltree::Document::parse(text.trim()).unwrap();
    let places = xcpd_location::read_answer(doc.root_element()).unwrap();
    assert_eq!(places.len(), 2);
    assert_eq!(places[1].home, home("urn:oid:1.555.324.1.2.3"));
    let text = corpus("iti-56/accept/request.xml");
    let doc = roxmltree::Document::parse(text.trim()).unwrap();
    assert_eq!(xcpd_location::read(doc.root_element()).unwrap().value, "38273N237");
    // Nobody here has that id, and the answer's schema has no word for it.
    let unknown = gateway.soap().send(Transaction::Iti56, text.trim(), &[]).await;
    assert_eq!(unknown.fault().0, "soap:Sender");
}

#[tokio::test]
async fn a_certain_match_is_told_by_our_own_id() {
    let gateway = gateway().await;
    let ids = [Ii::with(HOSPA, "0000012345"), Ii::with(HOSPB, "777")];
    assert_eq!(fed(&gateway, &message(ADDED, &ids, &misaki(), None)).await.code, "AA");
    let ours = network_id(&gateway, HOSPA, "0000012345").await;
    let answer = ask(&gateway, &question(&described(misaki()), None)).await;
    assert!(
        answer.envelope.contains("<xcpd:CorrelationTimeToLive xmlns:xcpd=\"urn:ihe:iti:xcpd:2009\">P7D<")
    );
    assert!(!answer.envelope.contains("resultTotalQuantity"), "quantities are not told");
    let found = body(&answer, xcpd_answer::read);
    assert_eq!(case(&found), ("AA", QueryAck::Found, 1));
    let one = &found.found[0];
    assert_eq!((one.id.root.as_deref(), one.id.extension.as_deref()), (Some(AUTHORITY), Some(ours.as_str())));
    assert_eq!((one.home.clone(), one.locator), (Some(home(HOME)), false));
    assert!(!answer.envelope.contains("\"777\""), "ids of hospitals are nobody else's");
    // Who did not speak of an address is not told one: by an id, of which nothing else need be said.
    let by_id = Discovery { ids: vec![id(HOSPA, "0000012345")], ..Discovery::default() };
    let answer = ask(&gateway, &question(&by_id, None)).await;
    let found = body(&answer, xcpd_answer::read);
    assert_eq!(case(&found), ("AA", QueryAck::Found, 1));
    assert!(!answer.envelope.contains("054-000-0000") && !answer.envelope.contains("422-8033"));
    // An id and somebody else's description are nobody.
    let other = Discovery {
        ids: vec![id(HOSPA, "0000012345")],
        ..described(person(("山本", "ヤマモト"), ("花子", "ハナコ"), "19500101"))
    };
    assert_eq!(case(&asked(&gateway, &other).await), ("AA", QueryAck::NothingFound, 0));
    // With ids of others beside it, which tell nothing here.
    let both = Discovery { ids: vec![id(OTHER_AUTHORITY, "77")], ..described(misaki()) };
    assert_eq!(case(&asked(&gateway, &both).await).2, 1);
    let more = Discovery { least: 100, ..described(misaki()) };
    assert_eq!(case(&asked(&gateway, &more).await).2, 1, "every bit agrees");
}

#[tokio::test]
async fn near_misses_are_never_told() {
    let gateway = gateway().await;
    let ids = [Ii::with(HOSPA, "1")];
    assert_eq!(fed(&gateway, &message(ADDED, &ids, &misaki(), None)).await.code, "AA");
    // Name and birth date agree: an address would decide, and is asked for.
    let bare = Demographics { addresses: None, phones: None, ..misaki() };
    let wanted = asked(&gateway, &described(bare.clone())).await;
    assert_eq!(case(&wanted), ("AA", QueryAck::Found, 0));
    assert_eq!(wanted.wanted, [Wanted::Address, Wanted::Telecom]);
    let wanted = asked(&gateway, &described(Demographics { sex: None, ..bare.clone() })).await;
    assert!(wanted.wanted.contains(&Wanted::Gender), "{:?}", wanted.wanted);
    // They do not agree: nobody.
    for near in [
        Demographics { birth_date: Some("19880303".into()), ..bare.clone() },
        Demographics { sex: Some("M".into()), ..bare.clone() },
        person(("髙橋", "タカハシ"), ("美穂", "ミホ"), "19880302"),
    ] {
        let nobody = asked(&gateway, &described(near)).await;
        assert_eq!(case(&nobody), ("AA", QueryAck::NothingFound, 0));
        assert!(nobody.wanted.is_empty() && nobody.time_to_live.is_none());
    }
}

#[tokio::test]
async fn each_refusal_is_earned() {
    let gateway = gateway().await;
    let good = question(&described(misaki()), None);
    let organization = "<asAgent classCode=\"AGNT\"><representedOrganization classCode=\"ORG\" \
                        determinerCode=\"INSTANCE\"><id root=\"2.999.7\"/></representedOrganization></asAgent>";
    let priority = "<responsePriorityCode code=\"I\"/>";
    let cases: Vec<(&str, String, QueryAck, &str)> = vec![
        (organization, String::new(), QueryAck::QueryError, "101"),
        (
            "<id root=\"2.999.7\"/></rep",
            "<id root=\"urn:oid:2.999.7\"/></rep".into(),
            QueryAck::QueryError,
            "102",
        ),
        (priority, "<responsePriorityCode code=\"D\"/>".into(), QueryAck::QueryError, "101"),
        (priority, format!("{priority}<initialQuantity value=\"5\"/>"), QueryAck::QueryError, "103"),
        ("<value use=\"IDE\">", "<value use=\"SRCH\">".into(), QueryAck::QueryError, "103"),
        ("livingSubjectBirthTime>", "patientStatusCode>".into(), QueryAck::QueryError, "103"),
        ("<livingSubjectName>", "<bogus/><livingSubjectName>".into(), QueryAck::QueryError, "100"),
        ("髙橋", "髙橋123456789018".into(), QueryAck::Error, "102"),
    ];
    for (from, to, query, code) in cases {
        assert!(good.contains(from), "nothing to spoil: {from}");
        let answer = ask(&gateway, &good.replace(from, &to)).await;
        let refused = body(&answer, xcpd_answer::read);
        let detail = refused.acknowledgement.details.first().map_or("", |d| d.code);
        let said = (refused.acknowledgement.code.as_str(), refused.query_ack, detail);
        assert_eq!(said, ("AE", query, code), "{from} -> {to}");
        assert!(refused.unable.is_some(), "{from} -> {to}");
        let told = answer.envelope.split("<acknowledgementDetail").nth(1).unwrap_or_default();
        assert!(!told.split("</acknowledgementDetail>").next().unwrap_or_default().contains("9018"));
    }
    let text = format!("{:?}", gateway.audit().await);
    assert!(!text.contains("123456789018"), "an individual number is kept nowhere");
    // Who is no gateway answers nobody.
    let off = gateway_with(|config| config.gateway.enabled = false).await;
    assert_eq!(ask(&off, &good).await.fault().1.as_deref(), Some("wsa:ActionNotSupported"));
}

#[tokio::test]
async fn questions_are_recorded_with_who_was_told() {
    let gateway = gateway().await;
    let ids = [Ii::with(HOSPA, "1")];
    assert_eq!(fed(&gateway, &message(ADDED, &ids, &misaki(), None)).await.code, "AA");
    let ours = network_id(&gateway, HOSPA, "1").await;
    asked(&gateway, &described(misaki())).await;
    gateway.tick();
    asked(&gateway, &described(person(("山本", "ヤマモト"), ("花子", "ハナコ"), "19500101"))).await;
    let audit = gateway.audit().await;
    let records: Vec<_> = audit.iter().filter(|e| e.transaction == "ITI-55").collect();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].patients, [format!("{ours}^^^&{AUTHORITY}&ISO")]);
    assert!(records[1].patients.is_empty());
    for record in records {
        assert_eq!(record.home_community_id.as_deref(), Some(OTHER));
        let query = record.query.as_deref().unwrap_or_default();
        assert!(query.starts_with("<queryByParameter>"), "{query}");
    }
}

#[tokio::test]
async fn an_answer_may_come_later() {
    let mut sink = Sink::start().await;
    let address = sink.address;
    let gateway = gateway_with(|config| config.asynchronous.reply_to = vec![allowed(address)]).await;
    let ids = [Ii::with(HOSPA, "1")];
    assert_eq!(fed(&gateway, &message(ADDED, &ids, &misaki(), None)).await.code, "AA");
    let deferred = question(&described(misaki()), Some(&sink.url()));
    let sent = envelope(xcpd::DEFERRED_ACTION, &deferred);
    let message_id = sent.split("<a:MessageID>").nth(1).and_then(|t| t.split('<').next()).unwrap().to_owned();
    let acknowledged: Acknowledgement =
        body(&gateway.soap().post("/xca/iti55", SIMPLE, sent).await, ack::read);
    assert_eq!(acknowledged.code, "AA", "{:?}", acknowledged.details);
    let arrived = sink.next().await;
    assert_eq!((arrived.action.as_str(), arrived.relates_to), (xcpd::DEFERRED_ANSWER_ACTION, message_id));
    assert_eq!(case(&body(&arrived.answer, xcpd_answer::read)), ("AA", QueryAck::Found, 1));
    // The Action and the question must say the same.
    let mixed = envelope(xcpd::DEFERRED_ACTION, &question(&described(misaki()), None));
    let refused = body(&gateway.soap().post("/xca/iti55", SIMPLE, mixed).await, ack::read);
    assert_eq!((refused.code.as_str(), refused.details[0].code), ("AE", "103"));
}

#[tokio::test]
async fn a_patient_known_here_is_at_least_here() {
    let gateway = gateway().await;
    let ids = [Ii::with(HOSPA, "1")];
    assert_eq!(fed(&gateway, &message(ADDED, &ids, &misaki(), None)).await.code, "AA");
    let ours = Ii::with(AUTHORITY, network_id(&gateway, HOSPA, "1").await);
    let mut w = XmlWriter::new();
    xcpd_location::write_request(&mut w, &ours);
    let answer = gateway.soap().send(Transaction::Iti56, &w.finish(), &[]).await;
    let places = body(&answer, xcpd_location::read_answer);
    assert_eq!(places, [Location { home: home(HOME), corresponding: ours.clone(), requested: ours }]);
}
