//! ITI-44, ITI-45 and ITI-47 over real HTTP: the public corpus, every refusal earned with one thing spoiled, and
//! every answer held against the published schemas.

use chiren::wire::hl7v3::{Device, Ii, Own, feed, pdq, pix};
use chiren::wire::xml::XmlWriter;
use chiren::model::identity::{Authority, Demographics, DemographicsQuery, PersonName, Representation, SentId};

use crate::support::schema::validate_hl7v3;

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
        names: Some(vec![PersonName { family: "山本".into(), given: "美咲".into(), ..PersonName::default() }]),
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
    let out = pix::Outgoing { sender: &sender, receiver: &receiver, query_id: OWN, id: &ids[0], wanted: &wanted };
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
