//! Who is linked, and what senders say of it.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn one_patient_of_two_hospitals_is_one_person() {
    for w in worlds().await {
        let person = w.add(A, "1", &HANAKO).await;
        // Half-width and other ways of writing are the same.
        let other =
            Who { phone: "054-285-0000", address: "静岡県静岡市駿河区登呂5-10-2", ..HANAKO };
        assert_eq!(w.add(B, "77", &other).await, person);
        let found = w.elsewhere(A, "1").await.unwrap();
        assert_eq!(found, [at(B, "77"), at(NETWORK, &person)]);
        let history = w.mpi.history(&context(), &at(B, "77")).await.unwrap();
        let linked = history.iter().find(|e| e.kind == crate::store::mpi::events::Kind::Linked).unwrap();
        assert!(linked.cause["score"].as_i64().unwrap() > 12_000 && !linked.manual, "{linked:?}");
        let why = w.mpi.why(&context(), &at(A, "1"), Some(&at(B, "77"))).await.unwrap().unwrap();
        assert!(why.pairs[0]["pair"]["score"]["fields"].as_array().unwrap().len() > 4);
        assert_eq!(why.now.unwrap()["together"], true);
        // The consumer heard of the pair, not of a patient alone.
        assert_eq!(w.count("SELECT COUNT(*) FROM outbox WHERE kind = 'pix-update'").await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twins_and_strangers_stay_apart() {
    for w in worlds().await {
        let one = w.add(A, "1", &HANAKO).await;
        let twin = Who { given: "美咲", given_kana: "ミサキ", ..HANAKO };
        assert_ne!(w.add(B, "2", &twin).await, one);
        assert_ne!(w.add(C, "3", &TARO).await, one);
        // Two patients of one hospital: only the hospital merges them.
        assert_ne!(w.add(A, "4", &HANAKO).await, one);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_joins_what_belongs_to_either() {
    for w in worlds().await {
        let elder = w.add(A, "1", &HANAKO).await;
        let younger = w.add(A, "2", &TARO).await;
        w.add(B, "9", &TARO).await;
        assert_eq!(w.person(B, "9").await, younger);
        let merge = |to: &str, from: &str| Feed::Merge {
            surviving: vec![id(A, to)],
            subsumed: vec![SentId { place: Place::of(Field::PriorIdentifier), ..id(A, from) }],
        };
        let fed = w.feed("A", merge("1", "2")).await.unwrap();
        assert_eq!(fed.person.unwrap().value, elder, "the older person survives");
        assert_eq!(w.person(B, "9").await, elder);
        assert_eq!(w.elsewhere(A, "2").await, Err(Trouble::UnknownId));
        assert_eq!(w.elsewhere(NETWORK, &younger).await, Err(Trouble::UnknownId));
        // Said again it is nothing new; any other way it is refused.
        w.feed("A", merge("1", "2")).await.unwrap();
        assert_eq!(trouble(w.feed("A", merge("2", "1")).await), Trouble::Subsumed);
        assert_eq!(trouble(w.feed("A", merge("1", "1")).await), Trouble::SameId);
        let across = Feed::Merge { surviving: vec![id(A, "1")], subsumed: vec![id(B, "9")] };
        assert_eq!(trouble(w.feed("A", across).await), Trouble::OtherAuthority);
        let two = Feed::Merge { surviving: vec![id(A, "1")], subsumed: vec![id(A, "7"), id(A, "8")] };
        assert_eq!(trouble(w.feed("A", two).await), Trouble::TooMany);
        let unknown = w.feed("A", merge("1", "404")).await.unwrap();
        assert_eq!((unknown.person, unknown.warnings.len()), (None, 1));
        assert_eq!(trouble(w.feed("A", upsert(vec![id(A, "2")], &TARO)).await), Trouble::Subsumed);

        // An operator takes it back, with all it brought about.
        let changed = w.mpi.unmerge(&context(), &at(A, "2"), "clerk", "wrong patient").await.unwrap();
        assert_eq!(changed.persons.len(), 2);
        assert_eq!(w.person(A, "2").await, younger);
        assert_eq!(w.person(B, "9").await, younger);
        assert_eq!(w.elsewhere(A, "1").await.unwrap(), [at(NETWORK, &elder)]);
        // And the machine does not join them again.
        w.feed("A", upsert(vec![id(A, "1")], &Who { phone: "0312345678", ..HANAKO })).await.unwrap();
        assert_ne!(w.person(A, "1").await, w.person(A, "2").await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_survivor_makes_a_merge_a_change_of_id() {
    for w in worlds().await {
        let person = w.add(A, "1", &HANAKO).await;
        let merge = Feed::Merge { surviving: vec![id(A, "new")], subsumed: vec![id(A, "1")] };
        w.feed("A", merge).await.unwrap();
        assert_eq!(w.person(A, "new").await, person);
        assert_eq!(w.elsewhere(A, "1").await, Ok(vec![]), "known once, and nobody's now");
        let rename = |from: &str, to: &str| Feed::Rename { from: id(A, from), to: id(A, to) };
        w.feed("A", rename("new", "newer")).await.unwrap();
        assert_eq!(w.person(A, "newer").await, person);
        assert_eq!(trouble(w.feed("A", rename("newer", "1")).await), Trouble::Taken, "not by a change");
        assert_eq!(trouble(w.feed("A", rename("404", "5")).await), Trouble::UnknownId);
        assert_eq!(trouble(w.feed("A", rename("newer", "newer")).await), Trouble::SameId);
        // A facility that uses the old id again has a new patient.
        assert_ne!(w.add(A, "1", &TARO).await, person);
        assert_eq!(w.person(A, "newer").await, person);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn manual_words_outrank_the_machine_in_both_directions() {
    for w in worlds().await {
        let one = w.add(A, "1", &HANAKO).await;
        let two = w.add(B, "2", &TARO).await;
        let link = linked(id(A, "1"), id(B, "2"));
        w.feed("A", link.clone()).await.unwrap();
        assert_eq!(w.person(B, "2").await, one, "the older person");
        // New data that speak against it change nothing.
        w.feed("B", upsert(vec![id(B, "2")], &Who { phone: "0300000001", ..TARO })).await.unwrap();
        assert_eq!(w.person(B, "2").await, one);
        let unlink = Feed::Unlink { one: id(A, "1"), other: id(B, "2") };
        w.feed("A", unlink).await.unwrap();
        assert_ne!(w.person(A, "1").await, w.person(B, "2").await);
        // Nor do data that speak for it.
        w.feed("B", upsert(vec![id(B, "2")], &HANAKO)).await.unwrap();
        assert_ne!(w.person(A, "1").await, w.person(B, "2").await);
        assert_eq!(
            w.elsewhere(NETWORK, &two).await,
            Err(Trouble::UnknownId),
            "an id once joined is not reused"
        );
        let itself = linked(id(A, "1"), id(A, "1"));
        assert_eq!(trouble(w.feed("A", itself).await), Trouble::SameId);
        let unknown = Feed::Unlink { one: id(A, "1"), other: id(B, "404") };
        assert_eq!(trouble(w.feed("A", unknown).await), Trouble::UnknownId);
        let nobody = linked(id(A, "1"), id(NETWORK, "404"));
        assert_eq!(trouble(w.feed("A", nobody).await), Trouble::UnknownId);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_makes_the_ids_known_that_were_not() {
    for w in worlds().await {
        let one = w.add(A, "1", &HANAKO).await;
        let sent = Box::new([TARO.sent(), TARO.sent()]);
        let link = Feed::Link { one: id(A, "1"), other: id(B, "404"), sent };
        let fed = w.feed("A", link.clone()).await.unwrap();
        assert!(fed.created);
        assert_eq!(w.person(B, "404").await, one);
        let told = |domain, value| {
            let mpi = w.mpi.clone();
            async move { mpi.versions(&context(), &at(domain, value)).await.unwrap() }
        };
        // Of an id that was known the message is not the one to say; of the other it says all there is.
        assert_eq!(told(A, "1").await.len(), 1);
        assert_eq!(told(B, "404").await[0].demographics.birth_date.as_deref(), Some(TARO.birth));
        let again = w.feed("A", link).await.unwrap();
        assert!(!again.created && told(B, "404").await.len() == 1);
        let number = Sent { mother_id: Update::Set("123456789018".into()), ..Sent::default() };
        let sent = Box::new([Sent::default(), number]);
        let forbidden = Feed::Link { one: id(A, "1"), other: id(C, "5"), sent };
        assert_eq!(trouble(w.feed("A", forbidden).await), Trouble::IndividualNumber);
        assert_eq!(w.count("SELECT COUNT(*) FROM identity").await, 2);
    }
}

/// A24 that says nothing but the ids.
pub(super) fn linked(one: SentId, other: SentId) -> Feed {
    Feed::Link { one, other, sent: Box::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_one_message_and_the_network_s_id_are_one_person() {
    for w in worlds().await {
        let fed = w.feed("A", upsert(vec![id(A, "1"), id(B, "2")], &HANAKO)).await.unwrap();
        let person = fed.person.unwrap().value;
        assert_eq!(w.person(B, "2").await, person);
        // The network's id names the person outright, whatever the data say.
        w.feed("C", upsert(vec![id(C, "3"), id(NETWORK, &person)], &TARO)).await.unwrap();
        assert_eq!(w.person(C, "3").await, person);
        // Another facility's patient is described by that facility.
        let versions = w.mpi.versions(&context(), &at(B, "2")).await.unwrap();
        assert_eq!(versions.len(), 1);
        w.feed("A", upsert(vec![id(A, "1"), id(B, "2")], &TARO)).await.unwrap();
        assert_eq!(w.mpi.versions(&context(), &at(B, "2")).await.unwrap().len(), 1);
        assert_eq!(w.mpi.versions(&context(), &at(A, "1")).await.unwrap().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_another_source_of_the_network_are_taken_where_that_is_said() {
    let config = format!("accept_network_ids = true\n{CONFIG}");
    for w in worlds_of(&config).await {
        let fed = w.feed("A", upsert(vec![id(NETWORK, "N1")], &HANAKO)).await.unwrap();
        assert_eq!(fed.person.unwrap().value, "N1");
        w.feed("A", upsert(vec![id(NETWORK, "N2")], &TARO)).await.unwrap();
        assert_eq!(w.add(B, "5", &HANAKO).await, "N1");
        let merge = Feed::Merge { surviving: vec![id(NETWORK, "N2")], subsumed: vec![id(NETWORK, "N1")] };
        w.feed("A", merge.clone()).await.unwrap();
        assert_eq!(w.person(B, "5").await, "N2", "the surviving id is the one named");
        w.feed("A", merge).await.unwrap();
        assert_eq!(trouble(w.feed("A", upsert(vec![id(NETWORK, "N1")], &HANAKO)).await), Trouble::Subsumed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_across_networks_wait_for_somebody() {
    for w in worlds().await {
        let person = w.add(A, "1", &HANAKO).await;
        let fed = w.feed("A", upsert(vec![id(FAR, "f1")], &HANAKO)).await.unwrap();
        let far = fed.person.unwrap().value;
        assert_ne!(far, person);
        let open = w.mpi.reviews(ReviewState::Candidate, None, None, 10).await.unwrap();
        assert_eq!(open.len(), 1);
        assert!(open[0].across_networks && open[0].state_name == "候補");
        let task = &open[0].id;
        w.mpi.assign(&context(), task, Some("yamada")).await.unwrap();
        let shown = w.mpi.review(&context(), task).await.unwrap().unwrap();
        assert_eq!(shown.state_name, "確認待ち");
        assert!(shown.candidates[0].pair["score"]["fields"].as_array().is_some_and(|f| !f.is_empty()));
        let done = w.mpi.decide(&context(), task, Verdict::Same, None, "yamada", "asked them").await.unwrap();
        assert_eq!(done, Decided::Done);
        assert_eq!(w.person(FAR, "f1").await, person);
        assert_eq!(w.mpi.review(&context(), task).await.unwrap().unwrap().state_name, "確定");
        w.mpi.unlink(&context(), &at(A, "1"), &at(FAR, "f1"), "yamada", "a mistake").await.unwrap();
        assert_ne!(w.person(FAR, "f1").await, person);
        assert_eq!(w.mpi.review(&context(), task).await.unwrap().unwrap().state_name, "解除");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reviewer_tells_two_apart_for_good() {
    for w in worlds().await {
        // Name and birth date alone: a namesake's, perhaps.
        let bare = Who { address: "", phone: "", ..HANAKO };
        let moved =
            Who {
                address: "北海道札幌市北区北十条西1-1", postal: "0600810", phone: "0117000000", ..HANAKO
            };
        let one = w.add(A, "1", &bare).await;
        let two = w.add(B, "2", &moved).await;
        let open = w.mpi.reviews(ReviewState::Candidate, None, None, 10).await.unwrap();
        if one == two {
            // A rare name may corroborate itself; then there is nothing to look at.
            assert!(open.is_empty());
            continue;
        }
        let task = open[0].id.clone();
        let done = w.mpi.decide(&context(), &task, Verdict::Different, None, "sato", "").await.unwrap();
        assert_eq!(done, Decided::Done);
        assert!(w.mpi.reviews(ReviewState::Candidate, None, None, 10).await.unwrap().is_empty());
        w.feed("A", upsert(vec![id(A, "1")], &moved)).await.unwrap();
        assert_ne!(w.person(A, "1").await, w.person(B, "2").await);
        // What it rested on has changed: somebody looks again.
        let again = w.mpi.reviews(ReviewState::Candidate, None, None, 10).await.unwrap();
        assert_eq!(again.len(), 1);
        assert_eq!(w.mpi.review(&context(), &again[0].id).await.unwrap().unwrap().again.len(), 1);
        let gone = w.mpi.decide(&context(), &task, Verdict::Same, None, "sato", "").await;
        assert!(matches!(gone, Err(Undecided::Closed)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_join_and_part_persons() {
    for w in worlds().await {
        let one = w.add(A, "1", &HANAKO).await;
        w.add(B, "2", &HANAKO).await;
        let two = w.add(C, "3", &TARO).await;
        let (from, into) = (at(NETWORK, &one), at(NETWORK, &two));
        w.mpi.merge(&context(), &from, &into, "clerk", "same card").await.unwrap();
        for (domain, value) in [(A, "1"), (B, "2"), (C, "3")] {
            assert_eq!(w.person(domain, value).await, two, "the person named keeps its id");
        }
        w.mpi.split(&context(), &[at(B, "2")], "clerk", "not hers").await.unwrap();
        assert_eq!(w.person(A, "1").await, two);
        let third = w.person(B, "2").await;
        assert!(third != one && third != two);
        w.mpi.unmerge(&context(), &from, "clerk", "after all").await.unwrap();
        assert_eq!(w.person(A, "1").await, one);
        assert_eq!(w.person(C, "3").await, two);
        let none = w.mpi.unmerge(&context(), &from, "clerk", "").await;
        assert!(matches!(none, Err(Refusal::Identity(_))));
        let shown = w.mpi.show(&context(), &at(A, "1")).await.unwrap().unwrap();
        assert_eq!((shown.identities.len(), shown.documents), (1, false));
        let history = w.mpi.history(&context(), &from).await.unwrap();
        assert!(
            history.iter().any(|e| e.manual && e.cause["by"] == "clerk" && e.cause["reason"] == "same card")
        );
        assert_eq!(w.mpi.named(&cx(&from)).unwrap(), from);
        assert_eq!(w.mpi.named("A:1").unwrap(), at(A, "1"));
    }
}
