//! CDA R2 documents: narrative ones (診療情報提供書, 退院時サマリ, 経過記録) and the envelope around an HL7 v2 message.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::{Date, DateTime};

use super::codes::{Kind, KindRow, LOINC};
use super::people::{Hospital, Patient, Physician};
use super::rng::SplitMix64;

/// What the header of every document says.
pub(super) struct Header<'a> {
    pub row: &'a KindRow,
    pub unique_id: &'a str,
    pub title: &'a str,
    pub hospital: &'a Hospital,
    pub physician: &'a Physician,
    pub patient: &'a Patient,
    pub local_id: &'a str,
    /// Japanese Standard Time.
    pub at: DateTime,
    /// First and last day of the care described.
    pub service: (Date, Date),
    /// To whom a letter is addressed.
    pub recipient: Option<&'a Hospital>,
}

impl Header<'_> {
    fn write(&self, out: &mut String) {
        let stamp = self.at.strftime("%Y%m%d%H%M%S+0900");
        let (type_id, template, code) = if self.row.kind == Kind::Referral {
            // HS008: the Japanese header and the JMIX code, which differs from the storage code 57133-1.
            (
                r#"root="2.16.840.1.113883.2.2.3.2" extension="POCD_HD000040JP00""#,
                r#"<templateId root="2.16.840.1.113883.2.2.3.6.100"/>"#,
                r#"code="MD0020730" codeSystem="1.2.392.200119.5.3.1" codeSystemName="JMIX""#.to_owned(),
            )
        } else {
            let c = self.row.type_code;
            (
                r#"root="2.16.840.1.113883.1.3" extension="POCD_HD000040""#,
                "",
                format!(
                    r#"code="{}" codeSystem="{LOINC}" codeSystemName="LOINC" displayName="{}""#,
                    c.code, c.display
                ),
            )
        };
        let (hospital, patient) = (self.hospital, self.patient);
        let doctor = &self.physician.name;
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            r#"<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <typeId {type_id}/>
  {template}<id root="{unique_id}"/>
  <code {code}/>
  <title>{title}</title>
  <effectiveTime value="{stamp}"/>
  <confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>
  <languageCode code="ja-JP"/>
  <recordTarget>
    <patientRole>
      <id root="{authority}" extension="{local_id}"/>
      <addr><country>JPN</country><postalCode>{postcode}</postalCode><streetAddressLine>{address}</streetAddressLine></addr>
      <telecom value="tel:{phone}"/>
      <patient>
        <name use="IDE"><family>{family}</family><given>{given}</given></name>
        <name use="SYL"><family>{family_kana}</family><given>{given_kana}</given></name>
        <name use="ABC"><family>{family_latin}</family><given>{given_latin}</given></name>
        <administrativeGenderCode code="{sex}" codeSystem="2.16.840.1.113883.5.1"/>
        <birthTime value="{birth}"/>
      </patient>
    </patientRole>
  </recordTarget>
  <author>
    <time value="{stamp}"/>
    <assignedAuthor>
      <id root="{doctors}" extension="{doctor_id}"/>
      <assignedPerson><name use="IDE"><family>{doctor_family}</family><given>{doctor_given}</given></name></assignedPerson>
      <representedOrganization>
        <id root="1.2.392.200119.6.102" extension="{facility}"/>
        <name>{facility_name}</name>
        <telecom value="tel:{facility_phone}"/>
        <addr><streetAddressLine>{facility_address}</streetAddressLine></addr>
      </representedOrganization>
    </assignedAuthor>
  </author>
  <custodian><assignedCustodian><representedCustodianOrganization><id root="1.2.392.200119.6.102" extension="{facility}"/><name>{facility_name}</name></representedCustodianOrganization></assignedCustodian></custodian>
"#,
            unique_id = self.unique_id,
            title = self.title,
            authority = hospital.patient_authority(),
            local_id = self.local_id,
            postcode = patient.postcode,
            address = patient.address,
            phone = patient.phone,
            family = patient.name.family,
            given = patient.name.given,
            family_kana = patient.name.family_kana,
            given_kana = patient.name.given_kana,
            family_latin = patient.name.family_romaji(),
            given_latin = patient.name.given_romaji(),
            sex = patient.sex.hl7(),
            birth = patient.birth_dtm(),
            doctors = hospital.physician_authority(),
            doctor_id = self.physician.id,
            doctor_family = doctor.family,
            doctor_given = doctor.given,
            facility = hospital.facility_code,
            facility_name = hospital.name,
            facility_phone = hospital.phone,
            facility_address = hospital.address,
        );
        if let Some(to) = self.recipient {
            let _ = writeln!(
                out,
                r#"  <informationRecipient><intendedRecipient><receivedOrganization><id root="1.2.392.200119.6.102" extension="{}"/><name>{}</name></receivedOrganization></intendedRecipient></informationRecipient>"#,
                to.facility_code, to.name
            );
        }
        let (low, high) = (self.service.0.strftime("%Y%m%d"), self.service.1.strftime("%Y%m%d"));
        let class = if self.row.kind == Kind::DischargeSummary { "ACCM" } else { "ENC" };
        let _ = writeln!(
            out,
            r#"  <documentationOf><serviceEvent classCode="{class}"><effectiveTime><low value="{low}"/><high value="{high}"/></effectiveTime></serviceEvent></documentationOf>"#
        );
    }
}

/// A document whose body holds `original` unchanged, as base64.
pub(super) fn wrap(header: &Header<'_>, original: &[u8]) -> Vec<u8> {
    let mut out = String::with_capacity(original.len() * 4 / 3 + 4096);
    header.write(&mut out);
    let _ = write!(
        out,
        "  <component><nonXMLBody><text mediaType=\"text/plain\" representation=\"B64\">{}</text></nonXMLBody></component>\n</ClinicalDocument>\n",
        STANDARD.encode(original)
    );
    out.into_bytes()
}

/// Section titles with LOINC codes, by kind.
fn sections(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::Referral => &[
            ("42349-1", "紹介目的"),
            ("10154-3", "主訴"),
            ("10164-2", "現病歴"),
            ("11348-0", "既往歴"),
            ("29549-3", "現在の処方"),
            ("18776-5", "依頼事項"),
        ],
        Kind::DischargeSummary => &[
            ("46241-6", "入院時診断"),
            ("11535-2", "退院時診断"),
            ("8648-8", "入院経過"),
            ("10183-2", "退院時処方"),
            ("8653-8", "退院後の方針"),
        ],
        _ => &[
            ("61150-9", "S（主観的情報）"),
            ("61149-1", "O（客観的情報）"),
            ("51848-0", "A（評価）"),
            ("18776-5", "P（計画）"),
        ],
    }
}

const SENTENCES: &[&str] = &[
    "数日前から乾性咳嗽があり、夜間に増悪する傾向がみられた。",
    "血圧は家庭血圧で130／80前後に落ち着いており、めまいやふらつきの訴えはない。",
    "胸部聴診で明らかなラ音を聴取せず、下腿浮腫も認めない。",
    "血糖コントロールは改善傾向にあり、食事療法と運動療法を継続する方針とした。",
    "採血にて腎機能の軽度低下を認めたため、水分摂取について指導した。",
    "腹部超音波検査では脂肪肝の所見を認めるほか、特記すべき異常はない。",
    "疼痛は内服にて自制内であり、日常生活動作は自立している。",
    "薬剤アレルギーの既往はなく、現在の内服薬に変更はない。",
    "本人および家族に病状と今後の方針を説明し、同意を得た。",
    "次回は四週間後の外来受診とし、症状増悪時は早めに受診するよう伝えた。",
    "心電図は洞調律で、前回と比較して有意な変化を認めなかった。",
    "リハビリテーションを開始し、歩行器を用いて病棟内歩行が可能となった。",
];

/// A narrative document of `paragraphs` paragraphs a section.
pub(super) fn narrative(header: &Header<'_>, paragraphs: u64, rng: &mut SplitMix64) -> Vec<u8> {
    let mut out = String::with_capacity(8192);
    header.write(&mut out);
    out.push_str("  <component><structuredBody>\n");
    for (code, title) in sections(header.row.kind) {
        let _ = writeln!(
            out,
            "    <component><section><code code=\"{code}\" codeSystem=\"{LOINC}\"/><title>{title}</title><text>"
        );
        for _ in 0..paragraphs {
            out.push_str("      <paragraph>");
            for _ in 0..rng.range(2, 5) {
                let sentence: &&str = rng.pick(SENTENCES);
                out.push_str(sentence);
            }
            out.push_str("</paragraph>\n");
        }
        out.push_str("    </text></section></component>\n");
    }
    out.push_str("  </structuredBody></component>\n</ClinicalDocument>\n");
    out.into_bytes()
}
