//! Messages, documents and masters. All persons, institutions and numbers are invented.

use chiren::wire::hl7v2::charset::{CharacterSet, encode};

pub const MASTERS: &[(&str, &str)] = &[
    (
        "disease.csv",
        "key,exchange,name,icd10,icd10_name\n20061593,K11A,高血圧症,I10,本態性（原発性）高血圧（症）\n\
         20054178,K22B,胃癌,,\n20080427,K33C,前腕骨折,,\n20058911,K44D,狭心症,,\n20075383,TWIN,腹痛症,,\n20075384,TWIN,腹痛,,\n",
    ),
    ("modifier.csv", "key,exchange,name\n27000358,M111,左\n27000999,M222,の疑い\n27000500,M333,術後\n"),
    (
        "medicine.csv",
        "hot9,yj,name\n103835401,1141007F1063,カロナール錠３００\n100558502,2171022F6276,アムロジピンＯＤ錠１０ｍｇ\n",
    ),
    ("general-name.csv", "code,name\n2260701F1ZZZ,ポビドンヨード含嗽用液７％\n"),
    ("usage.csv", "code,name\n1011000400000000,１日１回朝食後　服用\n"),
    ("unit.csv", "name,code\n錠,TAB\n"),
    ("jfagy.csv", "code,name\nJ9FC11310000,さば\n"),
    ("department.csv", "local,code,name\nNAI,01,内科\n"),
    ("lab-local.csv", "local,specimen,jlac10\n0102,023,3A015000002327101\n"),
];

pub const PID: &str = "PID|1||0000123^^^^PI||青井^みなと^^^^^L^I~ｱｵｲ^ﾐﾅﾄ^^^^^L^P||19581103|F|||^^架空区^東京都^100-9999^JPN^H^東京都架空区青空一丁目1番1号";

pub const PV1: &str = "PV1|1|O||||||||01|||||||||V001";

/// A message of these segments.
pub fn message(kind: &str, segments: &[&str]) -> String {
    let head =
        format!("MSH|^~\\&|HIS|HOSP|GW|GW|20250930120000||{kind}|1|P|2.5||||||~ISO IR87||ISO 2022-1994|");
    let mut all = vec![head.as_str()];
    all.extend(segments);
    // The tests write UTF-8 unless they encode; MSH-18 says what the storage says.
    let mut text = all.join("\r");
    text.push('\r');
    text.replacen("~ISO IR87", "UNICODE UTF-8", 1)
}

/// As a storage holds it.
pub fn iso_2022_jp(message: &str) -> Vec<u8> {
    encode(&message.replacen("UNICODE UTF-8", "~ISO IR87", 1), CharacterSet::Iso2022Jp).bytes
}

pub fn shift_jis(message: &str) -> Vec<u8> {
    encode(&message.replacen("UNICODE UTF-8", "~ISO IR87", 1), CharacterSet::Cp932).bytes
}

/// A list of diagnoses: main, modified, ended, old, deleted, suspected.
pub fn problems() -> String {
    message(
        "PPR^ZD1^PPR_ZD1",
        &[
            PID,
            PV1,
            "PRB|AD|20250930|^高血圧症^99ZDX|P1|||20190501||||||||20190501",
            "ZPR||20061593^高血圧症||||",
            "ORC|NW|||||||||||110^灰原^梓|||||01^内科^HL70069",
            "PRB|AD|20250930|^左前腕骨折術後^99ZDX|P2|||20240410||20240701|||||2^治癒||20240410",
            "ZPR|27000358^左|20080427|27000500^術後|M111|K33C|M333|ギプス固定",
            "PRB|AD|20250930|^腸炎^99ZDX|P3|||20100101||20150101|||||2^治癒||20100101",
            "ZPR||20099999^腸炎",
            "PRB|DE|20250930|^誤記^99ZDX|P4|||20250101||||||||20250101",
            "ZPR||20099998^誤記",
            "PRB|AD|20250930|^胃癌の疑い^99ZDX|P5|||20250901||||||||20250901",
            "ZPR||20054178^胃癌|27000999^の疑い",
            "PRB|AD|20250930|K22B^胃癌^MDCDX2|P6|||20250915||||||||",
        ],
    )
}

pub fn allergies() -> String {
    message(
        "ADT^A60^ADT_A60",
        &[
            "EVN||20250930",
            PID,
            PV1,
            "IAM|1|FA|J9FC11310000^サバ^JFAGY|MO|じんま疹~嘔吐|A|A1||AL||20010401||20250930||||C||",
            "IAM|2|DA|2260701F1ZZZ^ポビドンヨード^YJ^L99^ヨード^99LOC|MI||A|A2||||||20250930||||C",
            "IAM|3|DA|103835401^カロナール錠300^HOT9||||A3||||||20250930",
            "IAM|4|EA|^ラテックス様の手袋でかぶれる|SV||A|A4",
            "IAM|5|MC|1141007F1063^カロナール^YJ|||A|A5",
            "IAM|6|DA|^薬剤アレルギーなし|||A|A6",
            "IAM|7|FA|^キウイ|||D|A7",
            "IAM|8|FA|^そば|||A|A8||||||20250930|青井みなと|SEL^本人",
            "IAM|9|FA|^えび|||A|A9||||||20250930|青井みなと|SEL^本人||C|D1001",
            "IAM|10|AA|^ねこ|||A|A10||||||||||E",
        ],
    )
}

const SPM: &str = "SPM|1|S1||023^血清^JC10|||||||||||||20250930083000";
const OBR: &str =
    "OBR|1|ORD001|REP001|E001^生化学^99LAB|||20250930080000|||||||||D1001^灰原^梓||||||20250930110000";
const ORC: &str = "ORC|SC|ORD001|||CM||||20250930|||D1001^灰原^梓|||||01^内科^HL70069";

/// One report with serum and urine, every kind of value, states of every kind.
pub fn report() -> String {
    message(
        "OUL^R22^OUL_R22",
        &[
            PID,
            PV1,
            SPM,
            OBR,
            ORC,
            "OBX|1|NM|0101^血清カリウム^99LAB^3H015000002326101^カリウム^JC10||4.40|mmol/L|3.6-4.8|N|||F",
            "NTE|1||溶血なし",
            "OBX|2|NM|0102^アルブミン^99LAB||<0.10|g/dL||L|||F",
            "OBX|3|NM|0103^ALT(GPT)^99LAB^3B045000002327201^ALT^JC10||溶血|U/L||H~X9|||C",
            "OBX|4|ST|0701^HBs抗原判定^99LAB^5F016141002302311^HBs抗原^JC10||陰性||||||F",
            "OBX|5|NM|0106^総コレステロール^99LAB^3F050000002327101^T-CHO^JC10|||mg/dL|||||X",
            "OBX|6|NM|0107^中性脂肪^99LAB^3F015000002327101^TG^JC10||120|mg/dL|||||P",
            "OBX|7|SN|0108^抗体価^99LAB||^1^:^128||||||F",
            "OBX|8|NM|0109^eGFR^99LAB^8A065000002391901^eGFR^JC10||75.0|mL/min/1.73m2|60～|||||",
            "SPM|2|S2||001^尿(含むその他)^JC10|||||||||||||20250930083500",
            "OBR|2|ORD001|REP001|E002^尿検査^99LAB|||20250930080000|||||||||D1001^灰原^梓||||||20250930110000",
            "OBX|1|CWE|0104^尿蛋白定性^99LAB^1A990000000190153^尿蛋白^JC10||2^±^1.2.392.200119.6.2102||||||F",
            "OBX|2|ST|0105^尿ケトン体^99LAB||(-)||||||F|||||D9^検査技師",
        ],
    )
}

pub fn prescription() -> String {
    message(
        "RDE^O11^RDE_O11",
        &[
            PID,
            PV1,
            "ORC|NW|RX900||RX900_01_001|||||20250930101500|||D1001^灰原^梓|||||01^内科^HL70069",
            "RXE||100558502^アムロジピンOD錠10mg^HOT9|1||TAB^錠^MR9P|||||28|TAB^錠^MR9P||||||||||OHP^外来処方^MR9P",
            "TQ1|||1011000400000000&1日1回 朝食後&JAMISDP01|||28^D|20250930",
            "RXR|PO^内服^HL70162",
            "ORC|NW|RX900||RX900_02_001|||||20250930101500|||D1001^灰原^梓",
            "RXE||L1^院内製剤うがい液^99DRG|30||ML^mL^99U|||||1|HON^本^MR9P",
            "TQ1|||9999&1日数回うがい&99USE|||28^D&日|20250930",
            "ORC|CA|RX900||RX900_03_001|||||20250930101500|||D1001^灰原^梓",
            "RXE||1141007F1063^カロナール錠300^YJ|1||TAB^錠^MR9P",
            "TQ1|||X&発熱時&99USE",
        ],
    )
}

/// A letter by HS008, with `sections` as its body.
pub fn letter_of(sections: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="letter.xsl"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<typeId extension="POCD_HD000040JP00" root="2.16.840.1.113883.2.2.3.2"/>
<templateId root="2.16.840.1.113883.2.2.3.6.100"/>
<id root="2.999.1.1" extension="CDA-0003"/>
<code code="MD0020730" codeSystem="1.2.392.200119.5.3.1" codeSystemName="JMIX"/>
<title>診療情報提供書</title>
<effectiveTime value="20250930101500+0900"/>
<setId root="2.999.1.2" extension="SET-0003"/><versionNumber value="1"/>
<recordTarget><patientRole><id root="1.2.392.100495.20.3.51.11319900018" extension="0000123"/>
<addr><state>東京都</state><city>架空区</city><streetAddressLine>青空一丁目1番1号</streetAddressLine><postalCode>100-9999</postalCode></addr>
<patient><name use="IDE"><family>青井</family><given>みなと</given></name><name use="SYL"><family>アオイ</family><given>ミナト</given></name>
<administrativeGenderCode code="F"/><birthTime value="19581103"/></patient></patientRole></recordTarget>
<author><time value="20250930"/><assignedAuthor><id root="1.2.392.100495.20.3.41.11319900018" extension="D1001"/>
<assignedPerson><name use="IDE"><family>灰原</family><given>梓</given></name></assignedPerson>
<representedOrganization><id root="1.2.392.200119.6.102" extension="1319900018"/><name>架空第一診療所</name>
<standardIndustryClassCode code="01" displayName="内科"/></representedOrganization></assignedAuthor></author>
<custodian><assignedCustodian><representedCustodianOrganization><id root="1.2.392.200119.6.102" extension="1319900018"/><name>架空第一診療所</name></representedCustodianOrganization></assignedCustodian></custodian>
<informationRecipient><intendedRecipient><informationRecipient><name use="IDE"><family>白石</family><given>湊</given></name></informationRecipient>
<receivedOrganization><id root="1.2.392.200119.6.102" extension="2719900026"/><name>仮想中央病院</name><addr>大阪府仮市中央1番1号</addr></receivedOrganization></intendedRecipient></informationRecipient>
<componentOf><encompassingEncounter><id root="2.999.1.3" extension="V001"/><code code="AMB" codeSystem="2.16.840.1.113883.5.4"/><effectiveTime><low value="20250930"/></effectiveTime></encompassingEncounter></componentOf>
<component><structuredBody>{sections}</structuredBody></component>
</ClinicalDocument>"#
    )
}

pub fn section(title: &str, text: &str, entries: &str) -> String {
    format!("<component><section><title>{title}</title><text>{text}</text>{entries}</section></component>")
}

pub const DIAGNOSIS: &str = r#"<entry><observation classCode="OBS" moodCode="EVN"><id root="2.999.4" extension="D1"/><code code="x" codeSystem="2.999.9"/><effectiveTime><low value="20250820"/></effectiveTime>
<value xsi:type="CD" code="20058911" codeSystem="1.2.392.200119.4.101.2" displayName="狭心症"/></observation></entry>"#;

pub fn letter() -> String {
    letter_of(
        &[
            section("紹介目的", "精査・加療のお願い", ""),
            section("傷病名", "狭心症、高血圧症", &format!(
                r#"{DIAGNOSIS}<entry><observation classCode="OBS" moodCode="EVN"><code code="x" codeSystem="2.999.9"/><value xsi:type="CD" code="I10" codeSystem="2.16.840.1.113883.6.3" displayName="高血圧"/></observation></entry>"#
            )),
            section("既往歴及び家族歴", "<paragraph>2018年 虫垂炎</paragraph><paragraph>母 胃がん</paragraph>", ""),
            section("症状経過及び検査結果", "<table><tbody><tr><td>Ｋ</td><td>4.40</td></tr></tbody></table>", r#"<entry><observation classCode="OBS" moodCode="EVN"><code code="3H015000002326101" codeSystem="1.2.392.200119.4.504" displayName="カリウム"/><effectiveTime value="20250929"/><value xsi:type="PQ" value="4.40" unit="mmol/L"/></observation></entry>"#),
            section("治療経過", "内服を開始した。", ""),
            section("現在の処方", "アムロジピンOD錠10mg 1錠 1日1回朝食後", r#"<entry><substanceAdministration classCode="SBADM" moodCode="RQO"><text>1日1回 朝食後 1回1錠</text><effectiveTime xsi:type="IVL_TS"><low value="20250930"/></effectiveTime><consumable><manufacturedProduct><manufacturedLabeledDrug><code code="2171022F6276" codeSystem="1.2.392.100495.20.2.73" displayName="アムロジピンOD錠10mg"/></manufacturedLabeledDrug></manufacturedProduct></consumable></substanceAdministration></entry>"#),
            section("備考", "画像は別途CDにてお渡しします。", ""),
            section("看護上の注意", "転倒に注意", ""),
            section("添付", "", r#"<entry><observationMedia classCode="OBS" moodCode="EVN"><value mediaType="application/pdf" representation="B64">JVBERi0x
LjQK</value></observationMedia></entry>"#),
        ]
        .concat(),
    )
}

/// A discharge summary by HS032.
pub fn summary() -> String {
    summary_of(
        &[
            section("入院時診断", "狭心症", ""),
            section("主訴", "胸痛", ""),
            section("入院理由", "精査加療", ""),
            section("現病歴", "8月下旬より胸痛", ""),
            section("入院経過", "冠動脈造影施行。\n合併症なし。", ""),
            section("退院時診断", "狭心症", DIAGNOSIS),
            section("退院時処方", "なし", ""),
            section("退院後方針", "外来通院", ""),
            section("看護", "特記なし", ""),
        ]
        .concat(),
    )
}

pub fn summary_of(sections: &str) -> String {
    letter_of(sections)
        .replace(r#"code="MD0020730" codeSystem="1.2.392.200119.5.3.1" codeSystemName="JMIX""#, r#"code="18842-5" codeSystem="2.16.840.1.113883.6.1""#)
        .replace("<title>診療情報提供書</title>", "<title>退院時サマリー</title>")
        .replace(r#"<code code="AMB" codeSystem="2.16.840.1.113883.5.4"/><effectiveTime><low value="20250930"/></effectiveTime>"#, r#"<code code="IMP" codeSystem="2.16.840.1.113883.5.4"/><effectiveTime><low value="20250901"/><high value="20250914"/></effectiveTime>"#)
}
