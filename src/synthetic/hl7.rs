//! HL7 v2.5 messages as an SS-MIX2 standardised storage holds them: segments end with CR, text is ISO-2022-JP
//! (`~ISO IR87`) or UTF-8. They are wrapped in CDA as they are, byte for byte.

use jiff::civil::DateTime;

use super::jis;
use super::people::{Hospital, Patient, Physician};
use super::rng::SplitMix64;

/// How the text of a message is written; named in MSH-18.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    Iso2022Jp,
    Utf8,
}

/// What all messages of a visit share.
pub(super) struct Visit<'a> {
    pub hospital: &'a Hospital,
    pub physician: &'a Physician,
    pub patient: &'a Patient,
    pub local_id: &'a str,
    /// 診療科コード and name.
    pub department: (&'a str, &'a str),
    /// Order number, 15 digits.
    pub order: &'a str,
    /// Japanese Standard Time.
    pub at: DateTime,
    pub charset: Charset,
}

impl Visit<'_> {
    fn stamp(&self) -> String {
        self.at.strftime("%Y%m%d%H%M%S").to_string()
    }

    fn day(&self) -> String {
        self.at.strftime("%Y%m%d").to_string()
    }

    /// MSH, PID and PV1.
    fn head(&self, message_type: &str) -> Vec<String> {
        let charset = match self.charset {
            Charset::Iso2022Jp => "~ISO IR87||ISO 2022-1994",
            Charset::Utf8 => "UNICODE UTF-8||",
        };
        let p = self.patient;
        let name = &p.name;
        let doctor = &self.physician.name;
        vec![
            format!(
                "MSH|^~\\&|HIS|{}|SSMIX2|GW|{}||{message_type}|{}|P|2.5||||||{charset}|SS-MIX2_1.20^SS-MIX2^1.2.392.200250.2.1.100.1.2.120^ISO",
                self.hospital.facility_code,
                self.stamp(),
                self.order
            ),
            format!(
                "PID|0001||{}^^^^PI||{}^{}^^^^^L^I~{}^{}^^^^^L^P||{}|{}|||{}^^^^{}^JPN^H||^PRN^PH^^^^^^^^^{}",
                self.local_id,
                name.family,
                name.given,
                name.family_kana,
                name.given_kana,
                p.birth_dtm(),
                p.sex.hl7(),
                p.address,
                p.postcode,
                p.phone
            ),
            format!(
                "PV1|0001|O|{}^^^^^C||||{}^{}^{}^^^^^^^L^^^^^I|||{}",
                self.department.0, self.physician.id, doctor.family, doctor.given, self.department.0
            ),
        ]
    }

    fn encode(&self, segments: &[String]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(segments.iter().map(|s| s.len() + 8).sum());
        for segment in segments {
            match self.charset {
                Charset::Iso2022Jp => jis::encode(segment, &mut bytes),
                Charset::Utf8 => bytes.extend_from_slice(segment.as_bytes()),
            }
            bytes.push(b'\r');
        }
        bytes
    }
}

/// JLAC10 code, name, unit, reference range and decimals of a test.
struct Test(&'static str, &'static str, &'static str, (f64, f64), usize);

const TESTS: &[Test] = &[
    Test("2A020000001930101", "赤血球数", "10*6/uL", (4.10, 5.50), 2),
    Test("2A010000001930101", "白血球数", "10*3/uL", (3.3, 8.6), 1),
    Test("2A030000001930101", "ヘモグロビン", "g/dL", (12.0, 16.8), 1),
    Test("2A040000001930102", "ヘマトクリット", "%", (35.0, 50.0), 1),
    Test("2A050000001930101", "血小板数", "10*3/uL", (158.0, 348.0), 0),
    Test("3A010000002327101", "総蛋白", "g/dL", (6.6, 8.1), 1),
    Test("3A015000002327101", "アルブミン", "g/dL", (4.1, 5.1), 1),
    Test("3B035000002327201", "ＡＳＴ", "U/L", (13.0, 30.0), 0),
    Test("3B045000002327201", "ＡＬＴ", "U/L", (10.0, 42.0), 0),
    Test("3B090000002327101", "γＧＴ", "U/L", (9.0, 64.0), 0),
    Test("3C025000002327201", "尿素窒素", "mg/dL", (8.0, 20.0), 0),
    Test("3C015000002327101", "クレアチニン", "mg/dL", (0.46, 1.07), 2),
    Test("3C020000002327101", "尿酸", "mg/dL", (2.6, 7.8), 1),
    Test("3H010000002326101", "ナトリウム", "mmol/L", (138.0, 145.0), 0),
    Test("3H015000002326101", "カリウム", "mmol/L", (3.6, 4.8), 1),
    Test("3H020000002326101", "クロール", "mmol/L", (101.0, 108.0), 0),
    Test("3F050000002327101", "総コレステロール", "mg/dL", (142.0, 248.0), 0),
    Test("3F015000002327101", "中性脂肪", "mg/dL", (40.0, 234.0), 0),
    Test("3D046000001927102", "ヘモグロビンＡ１ｃ", "%", (4.9, 6.0), 1),
    Test("5C070000002306201", "ＣＲＰ", "mg/dL", (0.00, 0.14), 2),
];

/// OML-11 検体検査結果: OUL^R22.
pub(super) fn laboratory(visit: &Visit<'_>, rng: &mut SplitMix64) -> Vec<u8> {
    let mut segments = visit.head("OUL^R22^OUL_R22");
    let (stamp, order) = (visit.stamp(), visit.order);
    segments.push(format!("SPM|0001|{order}||019^血清^JC10|||||||||||||{stamp}"));
    segments.push(format!("OBR|0001|{order}||E001^生化学検査^L|||{stamp}|||||||||||||||||||F"));
    segments.push(format!("ORC|SC|{order}||||||||||||||||||||{}", visit.hospital.name));
    let first = rng.below(6) as usize;
    for (n, Test(code, name, unit, (low, high), decimals)) in TESTS.iter().skip(first).enumerate() {
        let width = high - low;
        // Nine results of ten lie in the range.
        let at = low + width * (rng.range(0, 1000) as f64 / 1000.0);
        let (value, flag) = match rng.below(20) {
            0 => (high + width * 0.3, "H"),
            1 if *low > 0.0 => (low * 0.8, "L"),
            _ => (at, "N"),
        };
        segments.push(format!(
            "OBX|{:04}|NM|{code}^{name}^JC10||{value:.decimals$}|{unit}^{unit}^ISO+|{low:.decimals$}-{high:.decimals$}|{flag}|||F|||{stamp}",
            n + 1
        ));
    }
    visit.encode(&segments)
}

/// Fictitious drug code, name, amount, unit code and name, usage.
struct Drug(&'static str, &'static str, &'static str, (&'static str, &'static str), &'static str);

const DRUGS: &[Drug] = &[
    Drug("999000101", "アムロジピン錠５ｍｇ", "1", ("TAB", "錠"), "１日１回朝食後に服用"),
    Drug("999000201", "メトホルミン塩酸塩錠２５０ｍｇ", "2", ("TAB", "錠"), "１日２回朝夕食後に服用"),
    Drug("999000301", "ロスバスタチン錠２．５ｍｇ", "1", ("TAB", "錠"), "１日１回夕食後に服用"),
    Drug("999000401", "ランソプラゾールＯＤ錠１５ｍｇ", "1", ("TAB", "錠"), "１日１回朝食後に服用"),
    Drug("999000501", "酸化マグネシウム錠３３０ｍｇ", "3", ("TAB", "錠"), "１日３回毎食後に服用"),
    Drug("999000601", "アセトアミノフェン錠２００ｍｇ", "2", ("TAB", "錠"), "発熱時に服用"),
    Drug("999000701", "カルボシステイン錠５００ｍｇ", "3", ("TAB", "錠"), "１日３回毎食後に服用"),
    Drug("999000801", "葛根湯エキス顆粒", "7.5", ("G", "ｇ"), "１日３回毎食前に服用"),
];

/// OMP-01 処方オーダ: RDE^O11.
pub(super) fn prescription(visit: &Visit<'_>, rng: &mut SplitMix64) -> Vec<u8> {
    let mut segments = visit.head("RDE^O11^RDE_O11");
    let (stamp, day, order) = (visit.stamp(), visit.day(), visit.order);
    let first = rng.below(DRUGS.len() as u64) as usize;
    let count = rng.range(1, 5) as usize;
    for (n, Drug(code, name, amount, (unit, unit_name), usage)) in
        DRUGS.iter().cycle().skip(first).take(count).enumerate()
    {
        let group = n + 1;
        let days = *rng.pick(&[7, 14, 28, 30]);
        segments.push(format!(
            "ORC|NW|{order}||{order}_{group:02}|||||{stamp}|||||||||||||{}",
            visit.hospital.name
        ));
        segments.push(format!(
            "RXE||{code}^{name}^HOT9|{amount}||{unit}^{unit_name}^MR9P||||{days}|DAY^日^MR9P|||||||||||01^院外処方^MR9P"
        ));
        segments.push(format!("TQ1|||U01^{usage}^JAMISDP01||||{day}"));
        segments.push("RXR|PO^口^HL70162".to_owned());
    }
    visit.encode(&segments)
}

/// Every text that can appear in a message besides names and addresses; for the character table's test.
#[cfg(test)]
pub(super) fn vocabulary() -> String {
    let tests = TESTS.iter().map(|t| t.1);
    let drugs = DRUGS.iter().flat_map(|d| [d.1, d.3.1, d.4]);
    tests.chain(drugs).collect()
}
