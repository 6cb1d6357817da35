//! Consent on every path, over real sockets, callers known by assertions they really signed.

mod abroad;
mod administration;
mod assertion;
mod bound;
mod lasting;
mod paths;
mod said;

use chiren::config::{Config, XuaIssuerConfig, XuaMode};
use chiren::model::consent::Mode;
use chiren::model::consent::record::{Consent, Rule};
use chiren::model::metadata::Submission;
use chiren::model::transaction::Transaction;
use chiren::service::consent::{Change, Refused, Word};
use chiren::service::context::Context;
use chiren::wire::ebxml::query::AdhocQueryRequest;

use crate::support::samples::*;
use crate::support::soap::{adhoc_query, retrieve_documents};
use crate::support::{Answer, Gateway};
use assertion::{Idp, Person};

/// 登呂病院, whose documents the samples are; and two that look.
pub const HERE: &str = "2.999.1.1";
pub const CLINIC: &str = "2.999.1.2";
pub const PHARMACY: &str = "2.999.1.3";
pub const POLICY: &str = "2.999.9.1";
pub const REFUSAL: &str = "2.999.9.2";

const RULES: &str = r#"
version = "test"

[[facility]]
oid = "2.999.1.1"
name = "登呂病院"
aliases = ["1312345670", "1.2.392.200119.6.102.1312345670"]
notice = true

[[facility]]
oid = "2.999.1.2"
name = "診療所"

[[facility]]
oid = "2.999.1.3"
name = "薬局"
groups = ["pharmacy"]
joined = "2026-10-01"

[[kind]]
name = "psychiatry"
codes = ["typeCode=18842-5|2.16.840.1.113883.6.1"]

[[policy]]
oid = "2.999.9.1"
name = "一括同意"

[[policy]]
oid = "2.999.9.2"
name = "撤回"
refuses = true

[[release]]
data = ["*"]
audience = ["*"]
"#;

/// A network that asks for consent, and who may say who asks.
pub struct World {
    pub gateway: Gateway,
    pub idp: Idp,
}

pub async fn world() -> World {
    world_with(|_| {}).await
}

pub async fn world_with(change: impl FnOnce(&mut Config)) -> World {
    let idp = Idp::new();
    let rules = idp.dir.path().join("consent.toml");
    std::fs::write(&rules, RULES).unwrap();
    let gateway = Gateway::start_with(|c| {
        c.consent.mode = Mode::OptIn;
        c.consent.rules = Some(rules);
        c.xua.mode = XuaMode::Optional;
        c.xua.audiences = vec!["urn:oid:2.999.392.1.1".into()];
        c.xua.communities = vec!["urn:oid:2.999.7".into()];
        c.xua.issuer = vec![XuaIssuerConfig {
            name: idp.name().into(),
            certificates: vec![idp.certificate()],
            ..XuaIssuerConfig::default()
        }];
        change(c);
    })
    .await;
    gateway.add_patient(OTHER_PATIENT).await;
    World { gateway, idp }
}

impl World {
    /// A stored query as somebody asks it.
    pub async fn query(&self, who: &Person, request: &AdhocQueryRequest) -> Answer {
        self.ask(who, Transaction::Iti18, &adhoc_query(request)).await
    }

    pub async fn retrieve(&self, who: &Person, unique_id: &str) -> Answer {
        self.ask(who, Transaction::Iti43, &retrieve_documents(REPOSITORY, &[unique_id])).await
    }

    pub async fn ask(&self, who: &Person, t: Transaction, body: &str) -> Answer {
        let security = self.idp.security(who, self.gateway.clock.now());
        let headers = format!(
            "<a:MessageID>urn:uuid:{}</a:MessageID><a:ReplyTo><a:Address>\
             http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo>{security}",
            uuid::Uuid::new_v4()
        );
        self.gateway.soap().send_with_headers(t, body, &[], &headers).await
    }

    /// uniqueIds FindDocuments shows, sorted.
    pub async fn sees(&self, who: &Person) -> Vec<String> {
        let found = self.query(who, &find(PATIENT)).await;
        found.assert_success();
        let mut ids: Vec<String> = found.entries().into_iter().map(|e| e.unique_id).collect();
        ids.sort();
        ids
    }

    /// Something is said of a patient.
    pub async fn say(&self, patient: &str, change: Change) -> Result<Vec<String>, Refused> {
        let word = Word { who: "yamada".into(), reason: "test".into() };
        self.gateway.tick();
        self.gateway.rooms().consents.change(&self.context(), patient, change, word).await
    }

    pub async fn said(&self, change: Change) -> String {
        self.say(PATIENT, change).await.expect("taken").remove(0)
    }

    pub async fn grant(&self, rules: Vec<Rule>) -> String {
        self.said(Change::Grant(Consent { policy: POLICY.into(), rules, ..Consent::default() })).await
    }

    pub fn context(&self) -> Context {
        Context::of_operator("test", Some("yamada"), self.gateway.clock.now())
    }

    /// Publishes a submission whose documents are these.
    pub async fn publish(&self, s: &Submission) {
        let parts: Vec<(String, Vec<u8>)> = s
            .document_entries
            .iter()
            .map(|e| (e.entry_uuid.clone(), format!("document {}", e.unique_id).into_bytes()))
            .collect();
        let mut s = s.clone();
        for entry in &mut s.document_entries {
            (entry.hash, entry.size) = (None, None);
        }
        let parts: Vec<(&str, &[u8])> = parts.iter().map(|(id, bytes)| (id.as_str(), &bytes[..])).collect();
        self.gateway.tick();
        self.gateway.soap().provide(&s, &parts).await.assert_success();
    }

    pub fn doctor(&self) -> Person {
        Person::doctor("sato", CLINIC)
    }
}

/// FindDocuments of what is Approved.
pub fn find(patient: &str) -> AdhocQueryRequest {
    query(
        FIND_DOCUMENTS,
        vec![
            single("$XDSDocumentEntryPatientId", patient),
            list("$XDSDocumentEntryStatus", &["urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"]),
        ],
    )
}

/// An answer without what is new in each.
pub fn bare(answer: &Answer) -> String {
    let mut text = answer.envelope.clone();
    for element in ["MessageID", "RelatesTo"] {
        while let Some(at) = text.find(&format!("{element}>urn:")) {
            let end = text[at..].find('<').map_or(text.len(), |n| at + n);
            text.replace_range(at + element.len() + 1..end, "");
        }
    }
    text
}
