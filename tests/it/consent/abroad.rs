//! What other communities hold, asked for by our own people: our patients' word holds there too.

use chiren::model::consent::Audience;
use chiren::model::consent::record::{Effect, Pattern};
use chiren::model::query::ReturnType;
use chiren::wire::ebxml::retrieve::{self, DocumentRequest};
use chiren::wire::xml::XmlWriter;

use super::*;
use crate::support::community::{Neighbour, Way, community, entry, home};
use crate::support::soap::{SIMPLE, envelope_with, mtom};

/// The patient in the other network, whose ids both share.
const THERE: &str = PATIENT;

struct Abroad {
    world: World,
    neighbour: Neighbour,
    /// uniqueIds: open, and of psychiatry.
    ids: [String; 2],
}

async fn abroad() -> Abroad {
    let mut entries = vec![entry(Some(&home(2))), entry(Some(&home(2)))];
    entries[1].type_code = Some(code("18842-5", "2.16.840.1.113883.6.1", "退院時サマリ"));
    entries.iter_mut().for_each(|e| e.patient_id = THERE.into());
    let ids = [entries[0].unique_id.clone(), entries[1].unique_id.clone()];
    let neighbour = Neighbour::start(2, Way::Entries(entries)).await;
    let world = world_with(|c| {
        c.gateway.enabled = true;
        c.community = vec![community(2, neighbour.address)];
    })
    .await;
    Abroad { world, neighbour, ids }
}

impl Abroad {
    async fn post(&self, who: &Person, t: Transaction, path: &str, body: &str) -> Answer {
        let security = self.world.idp.security(who, self.world.gateway.clock.now());
        let headers = format!(
            "<a:MessageID>urn:uuid:{}</a:MessageID><a:ReplyTo><a:Address>\
             http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo>{security}",
            uuid::Uuid::new_v4()
        );
        let text = envelope_with(t.row().request_action, &headers, body);
        let (kind, message) = match t {
            Transaction::Iti43 => mtom(&text, &[]),
            _ => (SIMPLE.to_owned(), text.into_bytes()),
        };
        self.world.gateway.soap().post(path, &kind, message).await
    }

    async fn found(&self, who: &Person, form: ReturnType) -> Answer {
        let mut request = find(PATIENT);
        (request.return_type, request.home) = (form, Some(home(2)));
        let answer = self.post(who, Transaction::Iti18, "/xca/iti18", &adhoc_query(&request)).await;
        answer.assert_success();
        answer
    }

    async fn sees(&self, who: &Person) -> Vec<String> {
        let answer = self.found(who, ReturnType::LeafClass).await;
        answer.entries().into_iter().map(|e| e.unique_id).collect()
    }

    async fn fetch(&self, who: &Person, unique_id: &str) -> Answer {
        let mut w = XmlWriter::new();
        let request = DocumentRequest {
            home_community_id: Some(home(2)),
            repository_unique_id: "2.999.392.77.3".into(),
            document_unique_id: unique_id.into(),
        };
        retrieve::write_request(&mut w, &[request]);
        self.post(who, Transaction::Iti43, "/xca/iti43", &w.finish()).await
    }

    fn retrievals(&self) -> usize {
        self.neighbour.asked().iter().filter(|text| text.contains("CrossGatewayRetrieve<")).count()
    }
}

#[tokio::test]
async fn what_a_patient_denies_here_is_not_brought_from_elsewhere() {
    let abroad = abroad().await;
    let (doctor, pharmacist) = (abroad.world.doctor(), Person::doctor("suzuki", PHARMACY));
    let [open, closed] = abroad.ids.clone();
    // Nothing consented to: as if the other community had nothing, and no document is asked for.
    assert!(abroad.sees(&doctor).await.is_empty());
    abroad.fetch(&doctor, &open).await.assert_failure(&["XDSDocumentUniqueIdError"]);
    assert_eq!(abroad.retrievals(), 0);
    abroad
        .world
        .grant(vec![
            Rule { data: "@psychiatry".parse().unwrap(), ..Rule::new(Effect::Deny) },
            Rule { viewer: Audience::Facility(PHARMACY.into()), ..Rule::new(Effect::Deny) },
        ])
        .await;
    assert_eq!(abroad.sees(&doctor).await, std::slice::from_ref(&open));
    let refs = abroad.found(&doctor, ReturnType::ObjectRef).await;
    assert_eq!(refs.found().len(), 1, "references are of what may be seen");
    assert!(abroad.sees(&pharmacist).await.is_empty(), "whom the patient excluded");
    // Query and retrieval agree.
    abroad.fetch(&doctor, &open).await.assert_success();
    abroad.fetch(&doctor, &closed).await.assert_failure(&["XDSDocumentUniqueIdError"]);
    abroad.fetch(&pharmacist, &open).await.assert_failure(&["XDSDocumentUniqueIdError"]);
    assert_eq!(abroad.retrievals(), 1);
    // Withdrawn, at once.
    abroad.world.said(Change::Withdraw(None)).await;
    assert!(abroad.sees(&doctor).await.is_empty());
    abroad.fetch(&doctor, &open).await.assert_failure(&["XDSDocumentUniqueIdError"]);
}

#[tokio::test]
async fn a_rule_may_speak_of_another_community() {
    let abroad = abroad().await;
    let from = Rule { source: Audience::Community(home(2)), ..Rule::new(Effect::Permit) };
    let consent =
        Consent { policy: POLICY.into(), pattern: Pattern::List, rules: vec![from], ..Consent::default() };
    abroad.world.said(Change::Grant(consent)).await;
    assert_eq!(abroad.sees(&abroad.world.doctor()).await.len(), 2);
    abroad.world.publish(&submission()).await;
    assert!(abroad.world.sees(&abroad.world.doctor()).await.is_empty(), "of ours it says nothing");
}
