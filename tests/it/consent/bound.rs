//! A user whose assertion is about one patient (resource-id, ITI TF-2 3.40.4.1.2) is told of no other, by any question
//! of any transaction; consent is off here.

use chiren::model::hl7types::Cx;
use chiren::model::identity::{DemographicsQuery, DomainId, PixQuery, Representation, SentId};
use chiren::model::user::User;
use chiren::service::mpi::Page;
use chiren::wire::ebxml::retrieve::{self, DocumentRequest};
use chiren::wire::hl7v3::{Device, Ii, Own, feed, pdq, pix, xcpd_answer, xcpd_location};
use chiren::wire::xml::XmlWriter;

use super::*;
use crate::mpi_v3::{fed, message, misaki, person};
use crate::support::mllp::{self, HOSPA};
use crate::xcpd::{body, described, network_id, question};

async fn two_patients() -> (World, [String; 2]) {
    let world = world_with(|c| {
        c.consent.mode = Mode::Off;
        c.consent.rules = None;
        mllp::configure(c);
        c.gateway.enabled = true;
    })
    .await;
    let other = person(("山本", "ヤマモト"), ("花子", "ハナコ"), "19500101");
    for (id, of) in [("a1", misaki()), ("a2", other)] {
        let add = message(feed::ADDED, &[Ii::with(HOSPA, id)], &of, None);
        assert_eq!(fed(&world.gateway, &add).await.code, "AA");
    }
    let cx = async |id: &str| {
        let value = network_id(&world.gateway, HOSPA, id).await;
        Cx::new(value, AUTHORITY).expect("an id").to_string()
    };
    let ids = [cx("a1").await, cx("a2").await];
    (world, ids)
}

fn own() -> Own {
    Own { id: uuid::Uuid::new_v4().to_string(), time: "20261122030000+0000".into() }
}

fn device(root: &str) -> Device {
    Device { id: Ii::of(root), organization: Some(Ii::of("2.999.9")) }
}

fn by_name() -> DemographicsQuery {
    DemographicsQuery {
        family: vec![("髙橋".into(), Representation::Folded)],
        ..DemographicsQuery::default()
    }
}

/// The questions of HL7 v3 about misaki.
fn questions(patient: &str) -> [(Transaction, String); 4] {
    let (sender, receiver) = (device("2.999.1"), device("2.999.2"));
    let mut w = XmlWriter::new();
    let id = Ii::with(HOSPA, "a1");
    let query_id = "0193a2f0-0000-7000-8000-000000000001";
    let out = pix::Outgoing { sender: &sender, receiver: &receiver, query_id, id: &id, wanted: &[] };
    pix::write_query(&mut w, &own(), &out);
    let pix = w.finish();
    let mut w = XmlWriter::new();
    let query = by_name();
    let out = pdq::Outgoing { sender: &sender, receiver: &receiver, query_id, size: None, query: &query };
    pdq::write_query(&mut w, &own(), &out);
    let pdq = w.finish();
    let mut w = XmlWriter::new();
    let cx = Cx::parse(patient).expect("an id");
    xcpd_location::write_request(&mut w, &Ii::with(AUTHORITY, cx.id.to_string()));
    [
        (Transaction::Iti45, pix),
        (Transaction::Iti47, pdq),
        (Transaction::Iti55, question(&described(misaki()), None)),
        (Transaction::Iti56, w.finish()),
    ]
}

#[tokio::test]
async fn questions_who_is_a_patient_are_answered_of_that_one_alone() {
    let (world, [own_id, other_id]) = two_patients().await;
    let of_hospital = |id: &str| format!("{id}^^^&{HOSPA}&ISO");
    for (about, told) in [
        (own_id.clone(), true),
        (of_hospital("a1"), true),
        (other_id.clone(), false),
        (of_hospital("a2"), false),
        ("nobody".into(), false),
    ] {
        let who = Person { patient: Some(about.clone()), ..world.doctor() };
        for (t, text) in questions(&own_id) {
            let answer = world.ask(&who, t, &text).await;
            let found = match t {
                Transaction::Iti45 => !body(&answer, pix::read_answer).ids.is_empty(),
                Transaction::Iti47 => !body(&answer, pdq::read_answer).candidates.is_empty(),
                Transaction::Iti55 => !body(&answer, xcpd_answer::read).found.is_empty(),
                _ => !answer.envelope.contains("Fault"),
            };
            assert_eq!(found, told, "{t:?} about {about}: {}", answer.envelope);
        }
        // ITI-78, 83 and 119 ask the same of the index, by a token.
        let mut context = world.context();
        let user = User { patient: Some(about.clone()), ..User::default() };
        context.caller.user = Some(Box::new(user));
        let mpi = world.gateway.rooms().mpi.as_ref().expect("an index");
        let page = Page { query_id: format!("q {about}"), ..Page::default() };
        assert_eq!(mpi.find(&context, by_name(), page).await.expect("an answer").total, u64::from(told));
        let id = mpi.named(&of_hospital("a1")).expect("an id");
        let sent = SentId {
            value: id.value.clone(),
            authority: chiren::model::identity::Authority::oid(&id.domain),
            ..SentId::default()
        };
        assert_eq!(mpi.pix(&context, PixQuery { id: sent, wanted: vec![] }).await.is_ok(), told);
        assert_eq!(mpi.likely(&context, misaki(), vec![], 10).await.expect("an answer").is_empty(), !told);
        let id = DomainId { domain: HOSPA.into(), value: "a1".into() };
        assert_eq!(mpi.may_tell(&context, &id).await.expect("an answer"), told);
    }
}

#[tokio::test]
async fn another_communitys_gateway_is_held_to_it_too() {
    let (world, _) = two_patients().await;
    world.publish(&submission()).await;
    let entry = world.gateway.soap().query(&find(PATIENT)).await.entries().remove(0);
    let mut request = find(PATIENT);
    request.home = Some(HOME.into());
    let mut w = XmlWriter::new();
    let wanted = DocumentRequest {
        home_community_id: Some(HOME.into()),
        repository_unique_id: REPOSITORY.into(),
        document_unique_id: entry.unique_id.clone(),
    };
    retrieve::write_request(&mut w, &[wanted]);
    let retrieval = w.finish();
    for (about, code) in [(PATIENT, None), (OTHER_PATIENT, Some(["XDSRegistryError", "XDSRepositoryError"]))]
    {
        let who = Person { patient: Some(about.into()), ..world.doctor() };
        let found = world.ask(&who, Transaction::Iti38, &adhoc_query(&request)).await;
        let given = world.ask(&who, Transaction::Iti39, &retrieval).await;
        match code {
            None => {
                found.assert_success();
                given.assert_success();
            }
            Some([query, document]) => {
                found.assert_failure(&[query]);
                given.assert_failure(&[document]);
            }
        }
    }
}
