//! 診療情報提供書 from HS008, with messages enclosed.

use base64::Engine as _;
use serde_json::Value;

use super::sources::{self, section};
use super::{Site, codes, json, left_out, resources, unmapped, warned};

fn inside<'v>(bundle: &'v Value, code: &str) -> Option<&'v Value> {
    let sections = bundle["entry"][0]["resource"]["section"].as_array().unwrap();
    let all =
        sections.iter().chain(sections.iter().flat_map(|s| s["section"].as_array().into_iter().flatten()));
    all.into_iter().find(|s| codes(&s["code"])[0].1 == code)
}

fn div(bundle: &Value, code: &str) -> String {
    inside(bundle, code).unwrap()["text"]["div"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_letter_becomes_a_document() {
    let (bundle, made) = Site::new().bundle(&sources::letter());
    assert_eq!(
        (made.destination.as_deref(), made.lineage.as_str()),
        (Some("2719900026"), "referral:2.999.1.2^SET-0003")
    );
    let composition = &bundle["entry"][0]["resource"];
    assert_eq!(composition["identifier"]["value"], "1319900018-DOC-2.999.1.1^CDA-0003");
    assert_eq!(codes(&composition["category"][0])[0].1, "OUTPATIENT");
    assert_eq!(composition["date"], "2025-09-30T10:15:00+09:00");
    let order: Vec<&str> = bundle["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["resource"]["resourceType"].as_str().unwrap())
        .collect();
    assert_eq!(
        order[..7],
        [
            "Composition",
            "Patient",
            "Practitioner",
            "Practitioner",
            "Organization",
            "Organization",
            "Encounter"
        ]
    );
    let organizations = resources(&bundle, "Organization");
    assert_eq!(organizations[1]["identifier"][0]["value"], "2719900026");
    assert!(div(&bundle, "910").contains("仮想中央病院") && div(&bundle, "920").contains("架空第一診療所"));
    // Every section where it belongs.
    assert!(div(&bundle, "950").contains("精査・加療のお願い"));
    assert_eq!(resources(&bundle, "Encounter")[1]["reasonCode"][0]["text"], "精査・加療のお願い");
    assert!(div(&bundle, "370").contains("<p>母 胃がん</p>") && inside(&bundle, "550").is_none());
    assert!(div(&bundle, "360").contains("<td>4.40</td>"));
    assert!(div(&bundle, "330").contains("内服を開始した"));
    assert!(div(&bundle, "430").contains("アムロジピン"));
    // Coded entries in national codes only; the others keep their text, and are said.
    let conditions = resources(&bundle, "Condition");
    assert_eq!((conditions.len(), codes(&conditions[0]["code"])[0].1), (1, "20058911"));
    assert!(unmapped(&made).contains(&("not-national", "section \"傷病名\"/observation/value")));
    assert_eq!(
        codes(&resources(&bundle, "MedicationRequest")[0]["medicationCodeableConcept"])[0].1,
        "2171022F6276"
    );
    assert!(String::from_utf8(made.bundle.clone()).unwrap().contains(r#""value":4.40"#));
    assert_eq!(inside(&bundle, "620").unwrap()["entry"].as_array().unwrap().len(), 1);
    // Remarks, and under them what no table knows.
    assert!(
        div(&bundle, "220").contains("画像は別途CD") && div(&bundle, "220").contains("<b>看護上の注意</b>")
    );
    assert!(warned(&made).contains(&"section-unknown"));
    let document = resources(&bundle, "DocumentReference")[0];
    assert_eq!(
        (&document["content"][0]["attachment"]["contentType"], &document["content"][0]["attachment"]["data"]),
        (&"application/pdf".into(), &"JVBERi0xLjQK".into())
    );
    assert!(inside(&bundle, "230").is_some());
}

#[test]
fn a_letter_may_be_embedded() {
    let site = Site::with("[cda]\nmode = \"embed\"");
    let text = sources::letter();
    let (bundle, _) = site.bundle(&text);
    assert!(inside(&bundle, "200").is_some() && inside(&bundle, "300").is_none());
    let attachment = &resources(&bundle, "DocumentReference")[0]["content"][0]["attachment"];
    assert_eq!(attachment["contentType"], "application/hl7-cda+xml");
    let data =
        base64::engine::general_purpose::STANDARD.decode(attachment["data"].as_str().unwrap()).unwrap();
    assert_eq!(data, text.as_bytes());
}

#[test]
fn messages_travel_inside_a_letter() {
    let site = Site::with("flags = [{ field = \"ZPR-7\", value = \"ギプス固定\", flag = \"UNDELIVERED\" }]");
    let (rx, lab, problems, allergies) = (
        sources::iso_2022_jp(&sources::prescription()),
        sources::report(),
        sources::problems(),
        sources::allergies(),
    );
    let enclosed: [&[u8]; 4] = [&rx, lab.as_bytes(), problems.as_bytes(), allergies.as_bytes()];
    let made = site.make_with(sources::letter().as_bytes(), &enclosed).unwrap();
    let bundle = json(&made);
    let medicines = resources(&bundle, "MedicationRequest");
    assert_eq!(medicines.len(), 3);
    let amlodipine = medicines[1];
    assert_eq!(
        codes(&amlodipine["medicationCodeableConcept"]),
        [
            ("http://capstandard.jp/iyaku.info/CodeSystem/YJ-code", "2171022F6276"),
            ("http://medis.or.jp/CodeSystem/master-HOT9", "100558502")
        ]
    );
    let numbers: Vec<&str> =
        amlodipine["identifier"].as_array().unwrap().iter().map(|i| i["value"].as_str().unwrap()).collect();
    assert_eq!(numbers, ["1", "1", "1319900018-RX-0000123-RX900-1-1"]);
    let dosage = &amlodipine["dosageInstruction"][0];
    assert_eq!(dosage["text"], "1日1回 朝食後 1回1錠 28日分");
    assert_eq!(
        codes(&dosage["timing"]["code"])[1],
        ("http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationUsage_ePrescription", "1011000400000000")
    );
    assert_eq!(dosage["timing"]["repeat"]["boundsDuration"]["value"], 28);
    assert_eq!((codes(&dosage["route"])[0].1, codes(&amlodipine["category"][0])[0].1), ("PO", "OHP"));
    assert_eq!(amlodipine["dispenseRequest"]["quantity"]["code"], "TAB");
    let gargle = medicines[2];
    assert_eq!(codes(&gargle["medicationCodeableConcept"])[0].1, "NOCODED");
    assert_eq!(gargle["dosageInstruction"][0]["text"], "1日数回うがい 1回30mL 28日分");
    assert!(gargle["dosageInstruction"][0]["doseAndRate"].is_null());
    for said in [
        ("no-unit-code", "RXE[2]-5[1].1"),
        ("unknown-code", "TQ1[2]-3[1].1"),
        ("unknown-system", "RXE[2]-2[1].1"),
    ] {
        assert!(unmapped(&made).contains(&said), "{said:?}");
    }
    assert!(left_out(&made).contains(&("discontinued", "カロナール錠300")));
    assert_eq!(inside(&bundle, "620").unwrap()["entry"].as_array().unwrap().len(), 1 + 9);
    assert_eq!(inside(&bundle, "340").unwrap()["entry"].as_array().unwrap().len(), 1 + 3);
    assert_eq!(inside(&bundle, "510").unwrap()["entry"].as_array().unwrap().len(), 6);
    // A letter's words are filtered by nobody.
    assert!(warned(&made).contains(&"undelivered-in-letter"));
    // Another patient's message does not travel.
    let other = sources::report().replace("0000123", "9999");
    let made = site.make_with(sources::letter().as_bytes(), &[other.as_bytes()]).unwrap();
    let warning = made.warnings.iter().find(|w| w.key.code() == "enclosure-left-out").unwrap();
    assert_eq!(
        (warning.source.as_str(), warning.value.0.as_str()),
        ("enclosed[1] PID[1]-3", "several-patients")
    );
    // By itself a prescription is nothing.
    assert_eq!(site.refused(&sources::prescription()).0, "only-inside-letters");
}

#[test]
fn what_is_missing_is_refused_by_its_key() {
    let site = Site::new();
    let spoiled = |from: &str, to: &str| {
        let text = sources::letter();
        assert!(text.contains(from), "{from}");
        site.refused(&text.replace(from, to)).0
    };
    let cases = [
        (r#"<id root="2.999.1.1" extension="CDA-0003"/>"#, "", "no-document-id"),
        (r#"<effectiveTime value="20250930101500+0900"/>"#, "", "no-document-time"),
        (r#"extension="2719900026""#, r#"extension="27""#, "destination-number"),
        (r#"extension="2719900026""#, r#"extension="1319900018""#, "destination-is-sender"),
        ("<title>紹介目的</title>", "<title>別の見出し</title>", "section-missing"),
        ("<title>傷病名</title>", "<title>別の見出し</title>", "section-missing"),
        (r#"<code code="AMB" codeSystem="2.16.840.1.113883.5.4"/>"#, "", "no-encounter-class"),
        (r#"<code code="MD0020730""#, r#"<code code="MD9""#, "unknown-source"),
        ("<family>灰原</family><given>梓</given>", "", "no-author"),
        ("</structuredBody>", "", "unreadable"),
        (
            r#"<patientRole><id root="1.2.392.100495.20.3.51.11319900018" extension="0000123"/>"#,
            "<patientRole>",
            "no-patient-id",
        ),
    ];
    for (from, to, key) in cases {
        assert_eq!(spoiled(from, to), key, "{from}");
    }
    let other = sources::letter().replace(r#"extension="1319900018""#, r#"extension="1319900026""#);
    assert_eq!(site.refused(&other).0, "other-institution");
    let nobody = sources::letter();
    let (before, rest) = nobody.split_once("<informationRecipient><intendedRecipient>").unwrap();
    let (_, after) = rest.split_once("</intendedRecipient></informationRecipient>").unwrap();
    assert_eq!(site.refused(&format!("{before}{after}")).0, "no-destination");
    assert_eq!(site.refused("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>").0, "unreadable");
    assert_eq!(site.refused("<a/>").0, "unknown-source");
}

#[test]
fn sections_are_found_by_the_sites_own_codes_and_in_parts() {
    let site = Site::with(
        "[cda]\nsections = [{ code = \"MD0018950\", section = \"360\" }, { title = \"かかりつけ薬局\", section = \"220\" }]",
    );
    let coded = "<component><section><code code=\"MD0018950\" codeSystem=\"1.2.392.200119.5.3.1\"/><title>病状</title><text>咳</text></section></component>";
    let parted = "<component><section><title>既往歴及び家族歴</title>\
        <component><section><title>既往歴</title><text>虫垂炎</text></section></component>\
        <component><section><title>家族歴</title><text>母 胃がん</text></section></component>\
        <component><section><title>詳細</title><text>なし</text></section></component></section></component>";
    let body = [
        section("紹介目的", "依頼", ""),
        section("傷病名", "感冒", ""),
        coded.into(),
        parted.into(),
        section("かかりつけ薬局", "架空薬局", ""),
    ];
    let (bundle, made) = site.bundle(&sources::letter_of(&body.concat()));
    assert!(div(&bundle, "360").contains("咳") && div(&bundle, "550").contains("母 胃がん"));
    assert!(div(&bundle, "370").contains("虫垂炎") && div(&bundle, "370").contains("<b>詳細</b><br/>なし"));
    assert!(div(&bundle, "220").contains("架空薬局") && warned(&made).is_empty());
    // A letter without 現病歴 says that it has none.
    let (bundle, made) = site.bundle(&sources::letter_of(&body[..2].concat()));
    assert!(
        div(&bundle, "360").contains("原文書に記載なし") && warned(&made).contains(&"section-not-in-source")
    );
}

#[test]
fn a_message_wrapped_in_a_document_is_what_it_is() {
    let site = Site::new();
    let message = sources::iso_2022_jp(&sources::problems());
    let data = base64::engine::general_purpose::STANDARD.encode(&message);
    let wrapped = format!(
        "<ClinicalDocument xmlns=\"urn:hl7-org:v3\"><component><nonXMLBody><text mediaType=\"text/plain\" representation=\"B64\">{data}</text></nonXMLBody></component></ClinicalDocument>"
    );
    assert_eq!(chiren::clins::make::cda::unwrap(wrapped.as_bytes()).unwrap().unwrap(), message);
    assert_eq!(site.make(wrapped.as_bytes()).unwrap().bundle, site.make(&message).unwrap().bundle);
    assert_eq!(chiren::clins::make::cda::unwrap(sources::letter().as_bytes()).unwrap(), None);
    let broken = wrapped.replace(&data[..8], "!");
    assert_eq!(site.refused(&broken).0, "unreadable");
}

#[test]
fn depth_is_bounded() {
    let site = Site::new();
    let deep = |n: usize| format!("{}x{}", "<content>".repeat(n), "</content>".repeat(n));
    let body = |text: &str| [section("紹介目的", text, ""), section("傷病名", "感冒", "")].concat();
    let (bundle, made) = site.bundle(&sources::letter_of(&body(&deep(500))));
    assert!(div(&bundle, "950").contains('x') && warned(&made).contains(&"narrative-reduced"));
    let nested = |n: usize| {
        format!(
            "{}{}",
            "<component><section><title>付記</title><text>y</text>".repeat(n),
            "</section></component>".repeat(n)
        )
    };
    site.bundle(&sources::letter_of(&format!("{}{}", body("x"), nested(200))));
    // Far beyond what any document has.
    let _ = site.make(sources::letter_of(&body(&deep(100_000))).as_bytes());
}

#[test]
fn what_of_the_header_goes_nowhere_is_said() {
    let more = "<confidentialityCode code=\"R\"/><legalAuthenticator><time value=\"20250930\"/><assignedEntity><assignedPerson><name>署名者</name></assignedPerson></assignedEntity></legalAuthenticator>";
    let text = sources::letter().replace("<recordTarget>", &format!("{more}<recordTarget>"));
    let (recipient, _) = text
        .split_once("<informationRecipient><intendedRecipient>")
        .unwrap()
        .1
        .split_once("<componentOf>")
        .unwrap();
    let text = text.replace(
        "<componentOf>",
        &format!("<informationRecipient><intendedRecipient>{recipient}<componentOf>"),
    );
    let (_, made) = Site::new().bundle(&text);
    for name in ["confidentialityCode", "legalAuthenticator", "informationRecipient"] {
        assert!(
            unmapped(&made).contains(&("not-carried", format!("/ClinicalDocument/{name}").as_str())),
            "{name}"
        );
    }
    let usual = text.replace("code=\"R\"", "code=\"N\"");
    assert!(
        !unmapped(&Site::new().bundle(&usual).1).iter().any(|(_, at)| at.ends_with("confidentialityCode"))
    );
}
