//! Letters made here of a CDA document: with the prescriptions that came along, and what the index of patients knows.

use super::flow::sent;
use super::*;
use crate::national_make::sources;
use crate::support::mllp::{HOSPA, Mllp, gateway_with};

/// A letter by HS008 with a prescription beside it, in one SubmissionSet.
fn with_prescription() -> Submission {
    let mut s = letter();
    let entry = &mut s.document_entries[0];
    entry.mime_type = "text/xml".into();
    entry.format_code = Some(code("jp:cda:hs008", "2.999.1", "HS008"));
    let mut message = entry.clone();
    message.entry_uuid = "RX".into();
    message.unique_id = new_oid();
    message.mime_type = "application/edi-hl7".into();
    message.format_code = Some(code("jp:ssmix2:OMP-01", "2.999.1", "OMP-01"));
    message.type_code = Some(code("OMP-01", "2.999.2", "OMP-01"));
    s.document_entries.push(message);
    s.associations.push(original("A-RX", "RX"));
    s
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_has_its_prescriptions_and_the_patient_whom_the_index_knows() {
    let service = simulated::National::start().await;
    let dir = tempfile::tempdir().unwrap();
    let facts = dir.path().join("facts.toml");
    std::fs::write(&facts, format!("[participates]\n{DESTINATION} = true\n")).unwrap();
    let (gateway, address) = gateway_with(|c| {
        direct(c, &service.pki(), service.address().port(), &[SENDER]);
        c.national.insured_id = InsuredSource::Index;
        c.national.facts = Some(facts.clone());
    })
    .await;
    let mut mllp = Mllp::connect(address).await;
    let fed = format!(
        "MSH|^~\\&|HIS|X|MPI|N|20250401||ADT^A28|N1|P|2.5||||||UNICODE UTF-8\rEVN||20250401\r\
         PID|1||a1^^^&{HOSPA}&ISO||AOI^MINATO^^^^^L^A~青井^みなと^^^^^L^I~アオイ^ミナト^^^^^L^P||19581103|F|||\
         ^^^^100-9999^^H^東京都架空区青空一丁目1番1号\rPV1||N\rIN1|1|01|06990011|||||||4567^^^^^^^01|123\r"
    );
    assert_eq!(mllp.ask(fed).await.code, "AA");
    let persons = gateway.rooms().mpi.as_ref().unwrap().persons("", 10).await.unwrap();
    let patient = persons[0].person.clone();

    // A letter that does not say when its patient was born, nor how the name is read.
    let letter = sources::letter()
        .replace("<birthTime value=\"19581103\"/>", "")
        .replace("<name use=\"SYL\"><family>アオイ</family><given>ミナト</given></name>", "");
    let s = of_patient(with_prescription(), &patient);
    let prescription = sources::iso_2022_jp(&sources::prescription());
    let documents: [(&str, &[u8]); 2] = [("DE", letter.as_bytes()), ("RX", &prescription)];
    gateway.soap().provide(&s, &documents).await.assert_success();
    settle(&gateway).await;
    let national = gateway.rooms().national.clone().unwrap();
    let story = national.story(&s.document_entries[0].unique_id).await.unwrap().unwrap();
    let last = story.decisions.last().unwrap();
    assert_eq!(word(last), sent("referral.register"), "{}", last.body);
    let state = service.running.state();
    let problems = story.deliveries.last().map(|d| d.problems.clone());
    assert_eq!(state["Counts"]["Units"], 1, "{problems:#?}");
    // One coded in the letter, two of the message: what was stopped there is left out.
    assert_eq!(state["Counts"]["Prescriptions"], 3);

    // What the letter lacks the index has, and each is said.
    let body: Value = serde_json::from_str(&last.body).unwrap();
    let made = body["made"].as_array().unwrap();
    let of_index: Vec<&str> = made
        .iter()
        .filter(|m| m["rule"] == "from-patient-index")
        .map(|m| m["path"].as_str().unwrap())
        .collect();
    assert_eq!(of_index, ["Patient.name", "Patient.birthDate"]);
    let receipt = state["Units"][0]["ReceiptNumber"].as_str().unwrap();
    let url = format!("http://{}/_unit/{receipt}", service.running.control.unwrap());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let bundle: Value =
        serde_json::from_str(&client.get(url).send().await.unwrap().text().await.unwrap()).unwrap();
    let known = chiren::cli::simulate::national::decide::patient(&bundle).unwrap();
    assert_eq!(known["birthDate"], "1958-11-03");
    let kana = known["name"].as_array().unwrap().iter().find(|n| n["family"] == "アオイ");
    assert!(kana.is_some(), "{known:#}");
    assert_eq!(state["Units"][0]["InsuredIdentifier"], "06990011:4567:123:01");

    // The prescription itself goes nowhere alone.
    let alone = national.story(&s.document_entries[1].unique_id).await.unwrap().unwrap();
    assert_eq!(word(alone.decisions.last().unwrap()).0, DecisionKind::Skip);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_neither_the_letter_nor_the_index_says_is_not_invented() {
    let service = simulated::National::start().await;
    let (gateway, address) = gateway_with(|c| {
        direct(c, &service.pki(), service.address().port(), &[SENDER]);
        c.national.insured_id = InsuredSource::Index;
    })
    .await;
    let mut mllp = Mllp::connect(address).await;
    let fed = format!(
        "MSH|^~\\&|HIS|X|MPI|N|20250401||ADT^A28|N1|P|2.5||||||UNICODE UTF-8\rEVN||20250401\r\
         PID|1||a1^^^&{HOSPA}&ISO||青井^みなと^^^^^L^I|||F\rPV1||N\rIN1|1|01|06990011|||||||4567^^^^^^^01|123\r"
    );
    assert_eq!(mllp.ask(fed).await.code, "AA");
    let persons = gateway.rooms().mpi.as_ref().unwrap().persons("", 10).await.unwrap();
    let mut s = of_patient(document("jp:ssmix2:OML-11", "OML-11", SENDER), &persons[0].person);
    s.document_entries[0].mime_type = "application/edi-hl7".into();
    let report = sources::report().replace("|19581103|", "||");
    let entry = publish(&gateway, &s, &report).await;
    settle(&gateway).await;
    let story = gateway.rooms().national.clone().unwrap().story(&entry).await.unwrap().unwrap();
    assert_eq!(word(story.decisions.last().unwrap()), (DecisionKind::Fail, "no-birth-date".into()));
    assert_eq!(service.running.state()["Counts"]["Units"], 0);
}
