//! ITI-43 of our own consumers: documents of ours and of others in one answer, passed on as they come.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use chiren::config::{ForeignRepositoryConfig, PeerConfig};
use chiren::model::transaction::Transaction;
use chiren::wire::ebxml::response::ResponseStatus;
use chiren::wire::ebxml::retrieve::DocumentRequest;

use super::{of, ours, ours_with, retrieval};
use crate::on_demand::on_demand;
use crate::support::community::{Neighbour, Way, community, content, home, large, network, repository};
use crate::support::raw::post;
use crate::support::samples::*;
use crate::support::sink::{Sink, allowed};
use crate::support::soap::{SIMPLE, envelope, mtom};

#[tokio::test]
async fn documents_of_three_networks_in_one_answer() {
    let (second, third) = (network(2, |_| {}).await, network(3, |_| {}).await);
    let first = ours(vec![community(2, second.address), community(3, third.address)]).await;
    let large: Vec<u8> = (0..3_000_000u32).map(|n| u8::try_from(n * 31 % 253).unwrap()).collect();
    let ids = [
        first.publish(b"first").await,
        second.publish(&large).await,
        second.publish(b"small").await,
        third.publish(b"third").await,
    ];
    let requests = [
        of(3, &repository(3), &ids[3]),
        of(2, &repository(2), &ids[1]),
        DocumentRequest { home_community_id: None, ..of(1, &repository(1), &ids[0]) },
        of(2, &repository(2), &ids[2]),
    ];
    let answer = first.fetch(&requests).await;
    answer.assert_success();
    let found = answer.documents();
    assert_eq!(found.len(), 4);
    for (id, bytes) in ids.iter().zip([&b"first"[..], &large, b"small", b"third"]) {
        assert!(found.iter().any(|(given, content)| given == id && content == bytes), "{id}");
    }
    // homeCommunityId exactly where it was asked for.
    for response in answer.responses() {
        let request = requests.iter().find(|r| r.document_unique_id == response.document_unique_id).unwrap();
        assert_eq!(response.home_community_id, request.home_community_id);
    }
}

#[tokio::test]
async fn parts_in_any_order_find_their_documents() {
    let neighbour = Neighbour::start(2, Way::Good).await;
    let first = ours(vec![community(2, neighbour.address)]).await;
    let ids: Vec<String> = (0..5).map(|_| new_oid()).collect();
    let requests: Vec<_> = ids.iter().map(|id| of(2, "2.999.392.77.3", id)).collect();
    let found = first.fetch(&requests).await.documents();
    assert_eq!(found, ids.iter().map(|id| (id.clone(), content(id).into())).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_plain_request_is_answered_in_parts() {
    let neighbour = Neighbour::start(2, Way::Good).await;
    let first = ours(vec![community(2, neighbour.address)]).await;
    let id = new_oid();
    let body = envelope(Transaction::Iti43.row().request_action, &retrieval(&[of(2, "2.999.392.77.3", &id)]));
    let answer = first.soap().post("/xca/iti43", SIMPLE, body).await;
    assert!(answer.mtom);
    assert_eq!(answer.documents(), [(id.clone(), content(&id).into())]);
}

#[tokio::test]
async fn a_small_document_that_breaks_off_is_an_error_of_its_community_alone() {
    let (broken, good) = (Neighbour::start(2, Way::Cut).await, Neighbour::start(3, Way::Good).await);
    let first = ours(vec![community(2, broken.address), community(3, good.address)]).await;
    let (lost, kept) = (new_oid(), new_oid());
    let answer = first.fetch(&[of(2, "2.999.392.77.3", &lost), of(3, "2.999.392.77.3", &kept)]).await;
    let (status, errors) = answer.registry();
    assert_eq!(status, ResponseStatus::PartialSuccess);
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].0, "XDSUnavailableCommunity");
    assert_eq!(answer.documents(), [(kept.clone(), content(&kept).into())]);
    assert_eq!(first.failed_at(2), Some(chiren::model::community::Step::BadAnswer));
    assert_eq!(broken.asked().len(), 3, "it was asked again, twice");
}

#[tokio::test]
async fn what_broke_off_once_is_asked_for_again() {
    // Before our own answer began, and after.
    for (size, after) in [(200_000, 100_000), (8_000_000, 7_000_000)] {
        let neighbour = Neighbour::start(2, Way::Breaks { size, after, times: 1 }).await;
        let first = ours(vec![community(2, neighbour.address)]).await;
        let id = new_oid();
        let answer = first.fetch(&[of(2, "2.999.392.77.3", &id)]).await;
        answer.assert_success();
        assert_eq!(answer.documents(), [(id.clone(), large(&id, size).into())], "{size}");
        assert_eq!(neighbour.asked().len(), 2, "{size}");
    }
}

#[tokio::test]
async fn of_several_the_one_that_broke_off_and_those_behind_it_are_asked_for_again() {
    let (size, after) = (3_000_000, 8_000_000);
    let neighbour = Neighbour::start(2, Way::Breaks { size, after, times: 1 }).await;
    let first = ours(vec![community(2, neighbour.address)]).await;
    let ids: Vec<String> = (0..4).map(|_| new_oid()).collect();
    let requests: Vec<_> = ids.iter().map(|id| of(2, "2.999.392.77.3", id)).collect();
    let answer = first.fetch(&requests).await;
    answer.assert_success();
    for (id, bytes) in answer.documents() {
        assert!(bytes == large(&id, size), "{id}");
    }
    assert_eq!(answer.documents().len(), 4);
}

#[tokio::test]
async fn a_large_document_that_breaks_off_for_good_never_looks_whole() {
    let neighbour = Neighbour::start(2, Way::Breaks { size: 8_000_000, after: 7_000_000, times: 100 }).await;
    let first = ours(vec![community(2, neighbour.address)]).await;
    let action = Transaction::Iti43.row().request_action;
    let (content_type, body) =
        mtom(&envelope(action, &retrieval(&[of(2, "2.999.392.77.3", &new_oid())])), &[]);
    let mut stream = tokio::net::TcpStream::connect(first.address).await.expect("the gateway listens");
    stream.write_all(&post("/xca/iti43", &content_type, &body)).await.expect("sent");
    let mut bytes = vec![];
    // The connection ends; whether with a reset is the system's affair.
    let _ = stream.read_to_end(&mut bytes).await;
    assert!(bytes.starts_with(b"HTTP/1.1 200") && bytes.len() > 4_000_000);
    assert!(!bytes.ends_with(b"0\r\n\r\n"), "no last chunk");
    assert_eq!(first.failed_at(2), Some(chiren::model::community::Step::BadAnswer));
}

#[tokio::test]
async fn who_is_asked_is_told_by_the_request() {
    let neighbour = Neighbour::start(2, Way::Good).await;
    let first = ours(vec![community(2, neighbour.address)]).await;
    let id = first.publish(b"test").await;
    let homeless = |r: DocumentRequest| DocumentRequest { home_community_id: None, ..r };
    for (request, code) in [
        (of(9, &repository(9), &id), "XDSUnknownCommunity"),
        (homeless(of(2, &repository(2), &id)), "XDSMissingHomeCommunityId"),
        (of(1, &repository(9), &id), "XDSUnknownRepositoryId"),
    ] {
        let (status, errors) = first.fetch(&[request]).await.registry();
        assert_eq!((status, errors), (ResponseStatus::Failure, vec![(code.to_owned(), id.clone())]));
    }
    assert!(neighbour.asked().is_empty());
    first.fetch(&[of(1, &repository(1), &id)]).await.assert_success();
}

#[tokio::test]
async fn on_demand_documents_of_others_keep_their_new_names() {
    let second = network(2, |_| {}).await;
    let first = ours(vec![community(2, second.address)]).await;
    let mut listed = on_demand();
    listed.document_entries[0].repository_unique_id = Some(repository(2));
    second.soap().register_on_demand(&listed).await.assert_success();
    let id = &listed.document_entries[0].unique_id;
    let answer = first.fetch(&[of(2, &repository(2), id)]).await;
    answer.assert_success();
    assert!(answer.responses()[0].new_document_unique_id.is_some());
    let records = first.audit().await;
    let sent = records.iter().find(|r| r.transaction == "ITI-39").expect("its record");
    assert_eq!(sent.documents.len(), 2, "what was asked for and what was made");
}

#[tokio::test]
async fn a_repository_of_another_system_in_our_own_domain() {
    let other = network(7, |_| {}).await;
    let id = other.publish(b"image").await;
    let foreign = |url: String| ForeignRepositoryConfig {
        id: "gazou".into(),
        unique_id: repository(7),
        peer: PeerConfig { url, ..PeerConfig::default() },
        ..ForeignRepositoryConfig::default()
    };
    let url = format!("http://{}/xds/iti43", other.address);
    let first = ours_with(vec![], |c| c.foreign_repository = vec![foreign(url)]).await;
    for home_asked in [None, Some(home(1))] {
        let request = DocumentRequest { home_community_id: home_asked, ..of(1, &repository(7), &id) };
        let answer = first.fetch(std::slice::from_ref(&request)).await;
        answer.assert_success();
        assert_eq!(answer.documents(), [(id.clone(), "image".into())]);
        assert_eq!(answer.responses()[0].home_community_id, request.home_community_id);
    }
    // Another community finds it with us.
    let answer = first.fetch_as_gateway(&[of(1, &repository(7), &id)]).await;
    assert_eq!(answer.documents(), [(id.clone(), "image".into())]);
    // Away, it is our failure: the community is there.
    let first = ours_with(vec![], |c| {
        c.foreign_repository = vec![foreign(format!("http://{}/x", Sink::nowhere()))];
    })
    .await;
    let (status, errors) = first.fetch(&[of(1, &repository(7), &id)]).await.registry();
    assert_eq!((status, errors), (ResponseStatus::Failure, vec![("XDSRepositoryError".into(), id)]));
}

#[tokio::test]
async fn what_passes_through_does_not_wait_elsewhere() {
    let sink = Sink::start().await;
    let first = ours_with(vec![], |c| c.asynchronous.reply_to = vec![allowed(sink.address)]).await;
    let body = retrieval(&[of(1, &repository(1), "2.999.1")]);
    let headers = format!(
        "<a:MessageID>urn:uuid:{}</a:MessageID><a:ReplyTo><a:Address>{}</a:Address></a:ReplyTo>",
        uuid::Uuid::new_v4(),
        sink.url()
    );
    let envelope = format!(
        "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:a=\"http://www.w3.org/2005/08/addressing\"><s:Header><a:Action s:mustUnderstand=\"1\">{}</a:Action>\
         {headers}</s:Header><s:Body>{body}</s:Body></s:Envelope>",
        Transaction::Iti43.row().request_action
    );
    let (content_type, message) = mtom(&envelope, &[]);
    let answer = first.soap().post("/xca/iti43", &content_type, message).await;
    assert_eq!(answer.fault().1.as_deref(), Some("wsa:OnlyAnonymousAddressSupported"));
}
