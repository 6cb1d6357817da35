//! Identifier and demographics queries.

use super::*;
use crate::model::identity::Representation;

fn family(value: &str) -> DemographicsQuery {
    DemographicsQuery { family: vec![(value.into(), Representation::Folded)], ..DemographicsQuery::default() }
}

async fn values(w: &World, query: DemographicsQuery) -> Vec<String> {
    let found = w.mpi.find(&context(), query, Page::default()).await.unwrap();
    let mut all: Vec<String> = found
        .patients
        .iter()
        .flat_map(|p| &p.ids)
        .filter(|i| i.domain == A)
        .map(|i| i.value.clone())
        .collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn pix_answers_in_the_order_asked_and_names_what_it_does_not_know() {
    for w in worlds().await {
        let person = w.add(A, "1", &HANAKO).await;
        w.add(B, "2", &HANAKO).await;
        let ask = |asked: SentId, wanted: &[&str]| {
            let wanted = wanted.iter().map(|d| Authority::oid(*d)).collect();
            let mpi = w.mpi.clone();
            async move { mpi.pix(&context(), PixQuery { id: asked, wanted }).await }
        };
        let found = ask(id(A, "1"), &[NETWORK, B, C]).await.unwrap();
        assert_eq!(found.ids, [at(NETWORK, &person), at(B, "2")]);
        assert_eq!(ask(id(A, "1"), &[C]).await.unwrap().ids, [], "known, but not there");
        assert_eq!(ask(id(NETWORK, &person), &[]).await.unwrap().ids, [at(A, "1"), at(B, "2")]);
        let Err(Refusal::Identity(errors)) = ask(id(A, "1"), &[B, "9.9", "8.8"]).await else { panic!() };
        let places: Vec<u32> = errors.iter().map(|e| e.place.repetition).collect();
        assert_eq!((errors[0].place.field, places), (Field::WantedDomain, vec![2, 3]));
        let Err(Refusal::Identity(errors)) = ask(id("9.9", "1"), &[]).await else { panic!() };
        assert_eq!(errors[0].trouble, Trouble::UnknownAuthority);
        assert_eq!((errors[0].place.field, errors[0].place.component), (Field::QueriedIdentifier, Some(4)));
        let Err(Refusal::Identity(errors)) = ask(id(A, "404"), &[]).await else { panic!() };
        assert_eq!((errors[0].trouble, errors[0].place.component), (Trouble::UnknownId, Some(1)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_found_however_they_are_written() {
    for w in worlds().await {
        w.add(A, "1", &HANAKO).await;
        w.add(
            A,
            "2",
            &Who {
                family: "髙橋", given: "優子", family_kana: "ﾀｶﾊｼ", given_kana: "ユウコ", ..TARO
            },
        )
        .await;
        w.add(A, "3", &Who { family: "山田　太郎", given: "", family_kana: "", ..TARO }).await;
        for (asked, found) in [
            ("宮崎", vec!["1"]),
            ("宮﨑", vec!["1"]),
            ("みやざき", vec!["1"]),
            ("ﾐﾔｻﾞｷ", vec!["1"]),
            ("高橋", vec!["2"]),
            ("タカハシ", vec!["2"]),
            ("タカ*", vec!["2"]),
            ("タカ", vec![]),
            ("山田", vec!["3"]),
            ("宮本", vec![]),
        ] {
            assert_eq!(values(&w, family(asked)).await, found, "{asked}");
        }
        let both = |f: &str, g: &str| DemographicsQuery {
            given: vec![(g.into(), Representation::Folded)],
            ..family(f)
        };
        assert_eq!(values(&w, both("宮崎", "遥香")).await, ["1"]);
        assert_eq!(values(&w, both("宮崎", "ハルカ")).await, Vec::<String>::new(), "one name in one script");
        assert_eq!(values(&w, both("山田", "太郎")).await, ["3"]);
        let exact = |f: &str| DemographicsQuery {
            family: vec![(f.into(), Representation::Exact)],
            ..DemographicsQuery::default()
        };
        assert_eq!(values(&w, exact("髙橋")).await, ["2"]);
        assert_eq!(values(&w, exact("高橋")).await, Vec::<String>::new());
        let fuzzy = DemographicsQuery { fuzzy: true, ..both("タカハシ", "ユーコ") };
        assert_eq!(values(&w, fuzzy).await, ["2"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_said_must_agree() {
    for w in worlds().await {
        w.add(A, "1", &HANAKO).await;
        w.add(A, "2", &Who { birth: "19880415", sex: "M", phone: "0330000000", ..HANAKO }).await;
        let q = DemographicsQuery::default;
        let text = |t: &str| Some(t.to_owned());
        for (query, found) in [
            (DemographicsQuery { birth_date: text("19880302"), ..q() }, vec!["1"]),
            (DemographicsQuery { birth_date: text("1988"), ..q() }, vec!["1", "2"]),
            (DemographicsQuery { birth_date: text("198804"), ..family("宮崎") }, vec!["2"]),
            (DemographicsQuery { phone: text("054-285-0000"), ..q() }, vec!["1"]),
            (DemographicsQuery { postal_code: text("422-8033"), sex: text("M"), ..q() }, vec!["2"]),
            (DemographicsQuery { postal_code: text("422"), ..family("宮崎") }, vec!["1", "2"]),
            (DemographicsQuery { address: text("登呂"), ..family("宮崎") }, vec!["1", "2"]),
            (DemographicsQuery { address: text("札幌"), ..family("宮崎") }, vec![]),
            (DemographicsQuery { ids: vec![id(A, "2")], ..q() }, vec!["2"]),
            (DemographicsQuery { ids: vec![id(A, "2")], sex: text("F"), ..q() }, vec![]),
            (DemographicsQuery { ids: vec![id(A, "1"), id(A, "2")], ..q() }, vec![]),
            (DemographicsQuery { ids: vec![id(A, "404")], ..q() }, vec![]),
        ] {
            assert_eq!(values(&w, query).await, found);
        }
        for query in
            [DemographicsQuery { sex: text("F"), ..q() }, DemographicsQuery { address: text("登呂"), ..q() }]
        {
            let refused = w.mpi.find(&context(), query, Page::default()).await;
            let Err(Refusal::Identity(errors)) = refused else { panic!() };
            assert_eq!(errors[0].trouble, Trouble::NotSupported);
        }
        let unknown = DemographicsQuery { returned: vec![Authority::oid("9.9")], ..family("宮崎") };
        let Err(Refusal::Identity(errors)) = w.mpi.find(&context(), unknown, Page::default()).await else {
            panic!()
        };
        assert_eq!((errors[0].place.field, errors[0].place.repetition), (Field::ReturnedDomain, 1));
        let only = DemographicsQuery { returned: vec![Authority::oid(B)], ..family("宮崎") };
        let found = w.mpi.find(&context(), only, Page::default()).await.unwrap();
        assert!(found.total == 2 && found.patients.iter().all(|p| p.ids.is_empty()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_comes_in_pages() {
    for w in worlds().await {
        for n in 0..7 {
            let phone: &'static str = format!("03{n}0000000").leak();
            let birth: &'static str = format!("198{n}0302").leak();
            w.add(A, &n.to_string(), &Who { birth, phone, ..HANAKO }).await;
        }
        let page = |pointer: Option<String>| Page { query_id: "Q1".into(), size: Some(3), pointer };
        let first = w.mpi.find(&context(), family("宮崎"), page(None)).await.unwrap();
        assert_eq!((first.patients.len(), first.total, first.remaining), (3, 7, 4));
        let second = w.mpi.find(&context(), family("宮崎"), page(first.next.clone())).await.unwrap();
        let third = w.mpi.go_on(&context(), "Q1", None, Some(3)).await.unwrap();
        assert_eq!((third.patients.len(), third.remaining, third.next), (1, 0, None));
        let mut seen: Vec<String> = [&first.patients, &second.patients, &third.patients]
            .into_iter()
            .flatten()
            .map(|p| p.person.value.clone())
            .collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 7);
        let again = w.mpi.go_on(&context(), "Q1", Some(2), Some(2)).await.unwrap();
        assert_eq!((again.patients.len(), again.remaining), (2, 4));
        // Whoever did not ask may not go on.
        let mut stranger = context();
        stranger.caller.address = "10.9.9.9".into();
        assert!(matches!(w.mpi.go_on(&stranger, "Q1", None, None).await, Err(Refusal::Identity(_))));
        let mut later = context();
        later.received_at =
            jiff::Timestamp::from_microsecond(1_800_000_000_000_000 + 11 * 60_000_000).unwrap();
        let late = w.mpi.find(&later, family("宮崎"), page(first.next.clone())).await;
        let Err(Refusal::Identity(errors)) = late else { panic!() };
        assert_eq!(errors[0].trouble, Trouble::Expired);
        assert!(w.mpi.cancel(&context(), "Q1").await.unwrap());
        assert!(!w.mpi.cancel(&context(), "Q1").await.unwrap());
        assert!(w.mpi.find(&context(), family("宮崎"), page(first.next)).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_is_matched_to_the_likeliest() {
    for w in worlds().await {
        let person = w.add(A, "1", &HANAKO).await;
        w.add(A, "2", &TARO).await;
        let mut described = Demographics::default();
        HANAKO.sent().over(&mut described);
        let likely = w.mpi.likely(&context(), described.clone(), vec![], 5).await.unwrap();
        assert_eq!(
            (likely[0].patient.person.value.as_str(), likely[0].grade),
            (person.as_str(), Grade::Certain)
        );
        assert_eq!(likely.len(), 1);
        described.phones = None;
        described.addresses = None;
        described.birth_date = Some("19880309".into());
        let likely = w.mpi.likely(&context(), described, vec![], 5).await.unwrap();
        assert!(likely.iter().all(|l| l.grade < Grade::Certain));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_individual_number_that_was_asked_for_is_in_no_record() {
    let number = "123456789018";
    for w in worlds().await {
        let typed = SentId { type_code: Some("NNJPN".into()), ..id(A, number) };
        let by_id = DemographicsQuery { ids: vec![typed.clone()], ..DemographicsQuery::default() };
        for refused in [
            w.mpi.find(&context(), by_id, Page::default()).await.err(),
            w.mpi.pix(&context(), PixQuery { id: typed, wanted: vec![] }).await.err(),
        ] {
            let Some(Refusal::Identity(errors)) = refused else { panic!() };
            assert_eq!(errors[0].trouble, Trouble::IndividualNumber);
        }
        w.mpi.find(&context(), family(number), Page::default()).await.unwrap();
        let events = w.mpi.audit.since(0, 10).await.unwrap();
        assert_eq!(events.len(), 3);
        assert!(events.iter().all(|e| !serde_json::to_string(e).unwrap().contains(number)));
    }
}
