//! 検査, 感染症 from OUL^R22.

use serde_json::Value;

use super::sources::{self, PID, PV1, message};
use super::{Site, codes, left_out, resources, unmapped, warned};

const CORE: &str = "http://jpfhir.jp/fhir/clins/CodeSystem/JLAC10/JP_CLINS_ObsLabResult_CoreLabo_CS";
const INFECTION: &str =
    "http://jpfhir.jp/fhir/clins/CodeSystem/JLAC10/JP_CLINS_ObsLabResult_InfectionLabo_CS";
const JLAC10: &str = "http://medis.or.jp/CodeSystem/master-JLAC10-17digits";
const NONE: &str = "http://jpfhir.jp/fhir/clins/CodeSystem/JP_CLINS_ObsLabResult_Uncoded_CS";

#[test]
fn a_report_becomes_a_unit() {
    let site = Site::new();
    let (bundle, made) = site.bundle(&sources::report());
    let all = resources(&bundle, "Observation");
    let seen: Vec<((&str, &str), &str)> = all
        .iter()
        .map(|o| (codes(&o["code"])[1], o["code"]["coding"][0]["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        seen,
        [
            ((CORE, "3H015000002326101"), "0101_023"),
            // By the institution's own code, in lab-local.csv.
            ((CORE, "3A015000002327101"), "0102_023"),
            ((CORE, "3B045000002327201"), "0103_023"),
            ((INFECTION, "5F016141002302311"), "0701_023"),
            ((CORE, "3F050000002327101"), "0106_023"),
            ((NONE, "99999999999999999"), "0108_023"),
            ((JLAC10, "8A065000002391901"), "0109_023"),
            ((CORE, "1A990000000190153"), "0104_001"),
            ((NONE, "99999999999999999"), "0105_001"),
        ]
    );
    // Digits are kept as written, which serde_json's numbers do not.
    let text = String::from_utf8(made.bundle.clone()).unwrap();
    assert!(text.contains(r#""valueQuantity":{"value":4.40,"unit":"mmol/L","system":"http://unitsofmeasure.org","code":"mmol/L"}"#));
    assert!(text.contains(r#""valueQuantity":{"value":0.10,"comparator":"<","unit":"g/dL""#));
    let potassium = all[0];
    assert_eq!(potassium["code"]["coding"][1]["display"], "K");
    assert_eq!(potassium["effectiveDateTime"], "2025-09-30T08:30:00+09:00");
    assert_eq!(potassium["issued"], "2025-09-30T11:00:00+09:00");
    assert_eq!(potassium["referenceRange"][0]["low"]["value"], 3.6);
    assert_eq!(potassium["note"][0]["text"], "溶血なし");
    assert_eq!(
        (codes(&potassium["interpretation"][0])[0].1, potassium["identifier"][0]["value"].as_str()),
        ("N", Some("1319900018-LAB-0000123-ORD001-0101_023"))
    );
    let contained: Vec<&str> = potassium["contained"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["resourceType"].as_str().unwrap())
        .collect();
    assert_eq!(contained, ["Encounter", "Practitioner", "Specimen", "ServiceRequest"]);
    assert_eq!(
        potassium["contained"][1]["identifier"][0]["system"],
        "urn:oid:1.2.392.100495.20.3.41.11319900018"
    );
    assert_eq!(
        (&potassium["contained"][3]["status"], &potassium["contained"][0]["identifier"][0]["value"]),
        (&"completed".into(), &"V001".into())
    );
    assert_eq!((&all[2]["status"], &all[2]["valueString"]), (&"corrected".into(), &"溶血".into()));
    assert_eq!(codes(&all[4]["dataAbsentReason"])[0].1, "unknown");
    assert_eq!(all[5]["valueString"], "1:128");
    assert_eq!((&all[6]["referenceRange"][0]["text"], &all[6]["status"]), (&"60～".into(), &"final".into()));
    assert_eq!(codes(&all[7]["valueCodeableConcept"]), [("urn:oid:1.2.392.200119.6.2102", "2")]);
    assert_eq!(all[7]["contained"][2]["type"]["coding"][0]["code"], "001");
    assert!(made.corrects && made.lineage == "laboratory:ORD001:REP001");
    assert_eq!(left_out(&made), [("result-not-final", "中性脂肪")]);
    for warning in ["corrected", "not-numeric", "status-assumed"] {
        assert!(warned(&made).contains(&warning), "{warning}");
    }
    assert!(unmapped(&made).contains(&("unknown-code", "OBX[3]-8[2].1")));
    assert!(unmapped(&made).contains(&("not-carried", "OBX[10]-16[1].1")));
}

/// One result, one thing spoiled.
fn one(spm: &str, obr: &str, orc: &str, obx: &str) -> String {
    message("OUL^R22", &[PID, PV1, spm, obr, orc, obx])
}

const SPM: &str = "SPM|1|||023^血清^JC10|||||||||||||202509300830";
const OBR: &str = "OBR|1|ORD001|||||20250930|||||||||D1001^灰原^梓";
const ORC: &str = "ORC|SC|ORD001|||||||||||||||01^内科^HL70069";
const OBX: &str = "OBX|1|NM|0101^K^99L^3H015000002326101^カリウム^JC10||4.1|mmol/L|||||F";

#[test]
fn what_is_missing_is_refused_by_its_key() {
    let site = Site::new();
    site.bundle(&one(SPM, OBR, ORC, OBX));
    let cases = [
        (one(SPM, "OBR|1|ORD001|||||20250930", ORC, OBX), "no-performer", "OBR[1]-16"),
        (one(SPM, "OBR|1||||||20250930|||||||||D1^a^b", "ORC|SC", OBX), "no-report-number", "OBR[1]-2"),
        (one("SPM|1", OBR, ORC, "OBX|1|NM|9^x^99L||1||||||F"), "no-specimen", "SPM[1]-4"),
        (one("SPM|1|||023^血清^JC10", "OBR|1|ORD001||||||||||||||D1^a^b", ORC, OBX), "no-time", "OBX[1]-14"),
        (one(SPM, OBR, ORC, "OBX|1|NM|^x||1||||||F"), "no-item-code", "OBX[1]-3"),
        (one(SPM, OBR, ORC, "OBX|1|NM|9^^99L||1||||||F"), "no-item-name", "OBX[1]-3"),
        (one(SPM, OBR, ORC, "OBX|1|NM|9^x^99L||1||||||F"), "no-listed-item", "OBX"),
        (one(SPM, OBR, ORC, &OBX.replace("||F", "||I")), "nothing-to-send", "MSH[1]"),
    ];
    for (text, key, place) in cases {
        assert_eq!(site.refused(&text), (key, place.to_owned()));
    }
}

#[test]
fn hospitals_write_differently() {
    let site = Site::new();
    let only = |text: &str| -> Value { resources(&site.bundle(text).0, "Observation")[0].clone() };
    // JLAC10 alone, with hyphens: it is the institution's own code too. No SPM-4: the material is in the code.
    let lone = only(&one(
        "SPM|1",
        OBR,
        ORC,
        "OBX|1|NM|3H015-0000-023-261-01^カリウム^JC10||4.1|mmol/L|||||F|||20250930",
    ));
    assert_eq!(codes(&lone["code"])[1], (CORE, "3H015000002326101"));
    assert_eq!(lone["contained"][2]["type"]["coding"][0]["display"], "血清");
    // ORC before OBR, and the order's type for the visit.
    let inpatient = message("OUL^R22", &[PID, SPM, &format!("{ORC}||||||||||||I"), OBR, OBX]);
    assert_eq!(only(&inpatient)["contained"][0]["class"]["code"], "IMP");
    // Minutes only: the seconds are zero, and said.
    assert_eq!(only(&one(SPM, OBR, ORC, OBX))["effectiveDateTime"], "2025-09-30T08:30:00+09:00");
    assert!(warned(&site.bundle(&one(SPM, OBR, ORC, OBX)).1).contains(&"seconds-assumed"));
    // A date without time stays a date.
    assert_eq!(only(&one("SPM|1|||023^血清^JC10", OBR, ORC, OBX))["effectiveDateTime"], "2025-09-30");
    // Full-width digits, half-width kana, a local specimen code, a local department.
    let odd = one(
        "SPM|1|||B1^ｹｯｾｲ^99S|||||||||||||20250930",
        OBR,
        &ORC.replace("01^内科^HL70069", "NAI^ないか^99D"),
        &OBX.replace("4.1", "＞４．１０"),
    );
    let odd = only(&odd);
    assert_eq!(
        (&odd["valueQuantity"]["comparator"], &odd["contained"][2]["type"]["text"]),
        (&">".into(), &"ケッセイ".into())
    );
    assert_eq!(odd["extension"][1]["valueCodeableConcept"]["coding"][0]["code"], "01");
    assert_eq!(odd["code"]["coding"][0]["code"], "0101");
    // The same item twice in one report keeps two identifiers.
    let twice = message("OUL^R22", &[PID, PV1, SPM, OBR, ORC, OBX, &OBX.replace("4.1", "4.2")]);
    let (bundle, _) = site.bundle(&twice);
    assert_eq!(
        resources(&bundle, "Observation")[1]["identifier"][0]["value"],
        "1319900018-LAB-0000123-ORD001-0101_023-2"
    );
    // A JLAC11 code is no code of the institution's own, and has no system to be sent in.
    let eleven =
        OBX.replace("0101^K^99L^3H015000002326101^カリウム^JC10", "C1002000025000155^K^JC11^0101^K^99L");
    let both = message("OUL^R22", &[PID, PV1, SPM, OBR, ORC, OBX, &eleven]);
    let (bundle, made) = site.bundle(&both);
    assert_eq!(resources(&bundle, "Observation")[1]["code"]["coding"][0]["code"], "0101_023");
    assert!(unmapped(&made).contains(&("unknown-system", "OBX[2]-3[1].1")));
    // A doctor without id is named.
    let named = site.bundle(&one(SPM, &OBR.replace("D1001", ""), ORC, OBX));
    assert!(warned(&named.1).contains(&"doctor-without-id"));
}
