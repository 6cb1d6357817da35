//! Sections of the two Compositions (JP-CLINS 1.5.3), and what their sources call them. The codes of HS008 are JMIX's
//! and not confirmed: a site configures those it knows, and titles decide the rest (national-service.md §11).

use roxmltree::Node;

use super::{HL7, attr, flat};
use crate::clins::make::Kind;
use crate::clins::make::options::Cda;
use crate::clins::make::text::wide;
use crate::wire::xml::tree;

/// A section of a Composition.
pub struct Section {
    pub code: &'static str,
    /// Fixed by the profile.
    pub title: &'static str,
    pub presence: Presence,
    /// LOINC codes of its source, where the standard says them.
    pub loinc: &'static [&'static str],
    /// Titles of its source, folded: no spaces, no 「及び」, no punctuation.
    pub titles: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Without it nothing is made.
    Required,
    /// The Composition must have it; where the source has none, it says so.
    Said,
    Optional,
}

use Presence::{Optional, Required, Said};

const fn section(
    code: &'static str,
    title: &'static str,
    presence: Presence,
    loinc: &'static [&'static str],
    titles: &'static [&'static str],
) -> Section {
    Section { code, title, presence, loinc, titles }
}

/// Inside 300 of a letter, in the order of the profile.
pub const REFERRAL: &[Section] = &[
    section("950", "紹介目的", Required, &[], &["紹介目的", "紹介理由", "依頼目的"]),
    section("340", "傷病名・主訴", Required, &[], &["傷病名", "傷病名主訴", "診断名", "病名", "主訴"]),
    section(
        "360",
        "現病歴",
        Said,
        &["10164-2"],
        &["症状経過検査結果", "現病歴", "症状経過", "病状経過", "症状経過検査所見"],
    ),
    section("370", "既往歴", Optional, &["11348-0"], &["既往歴家族歴", "既往歴"]),
    section(
        "510",
        "アレルギー・不耐性反応",
        Optional,
        &["48765-2"],
        &["アレルギー", "アレルギー不耐性反応", "禁忌アレルギー"],
    ),
    section("550", "家族歴", Optional, &["10157-6"], &["家族歴"]),
    section("610", "身体所見", Optional, &["29545-1"], &["身体所見", "現症"]),
    section("520", "感染症情報", Optional, &[], &["感染症情報", "感染症"]),
    section(
        "640",
        "社会歴・生活習慣",
        Optional,
        &["29762-2"],
        &["社会歴生活習慣", "社会歴", "生活習慣", "生活歴"],
    ),
    section("530", "予防接種歴", Optional, &["11369-6"], &["予防接種歴", "予防接種"]),
    section("730", "手術", Optional, &[], &["手術", "手術歴"]),
    section("740", "輸血歴", Optional, &[], &["輸血歴", "輸血"]),
    section("720", "処置", Optional, &[], &["処置"]),
    section(
        "430",
        "投薬指示",
        Optional,
        &[],
        &["現在処方", "処方", "投薬指示", "投薬", "内服薬", "使用薬剤"],
    ),
    section("620", "検査結果", Optional, &[], &["検査結果", "検査所見"]),
    section("330", "臨床経過", Optional, &[], &["治療経過", "臨床経過", "経過"]),
    section("420", "診療方針指示", Optional, &["18776-5"], &["診療方針指示", "診療方針", "治療方針"]),
    section("810", "医療機器", Optional, &[], &["医療機器"]),
    section("410", "事前指示", Optional, &[], &["事前指示"]),
    section("830", "臨床研究参加", Optional, &[], &["臨床研究参加"]),
];

/// Inside 300 of a discharge summary.
pub const DISCHARGE: &[Section] = &[
    // 322 and 324 are the stay itself, which the header has.
    section("322", "入院時詳細", Said, &[], &["入院時詳細"]),
    section("342", "入院時診断", Said, &["46241-6"], &["入院時診断", "入院時診断名", "入院時病名"]),
    section(
        "510",
        "アレルギー・不耐性反応",
        Optional,
        &["48765-2"],
        &["アレルギー", "アレルギー不耐性反応", "禁忌アレルギー"],
    ),
    section("352", "主訴", Said, &["10154-3"], &["主訴"]),
    section("312", "入院理由", Said, &[], &["入院理由", "入院目的"]),
    section("362", "現病歴", Said, &["10164-2"], &["現病歴"]),
    section("372", "既往歴", Optional, &["11348-0"], &["既往歴", "既往歴家族歴"]),
    section("432", "入院時服薬", Optional, &["42346-7"], &["入院時服薬", "入院時処方", "持参薬"]),
    section(
        "642",
        "社会歴・生活習慣",
        Optional,
        &["29762-2"],
        &["社会歴生活習慣", "社会歴", "生活習慣", "生活歴"],
    ),
    section("612", "入院時身体所見", Optional, &[], &["入院時身体所見", "入院時現症", "身体所見"]),
    section("552", "家族歴", Optional, &["10157-6"], &["家族歴"]),
    section("333", "入院中経過", Required, &["8648-8"], &["入院中経過", "入院経過", "入院後経過", "経過"]),
    section("324", "退院時詳細", Said, &[], &["退院時詳細"]),
    section(
        "344",
        "退院時診断",
        Required,
        &["11535-2"],
        &["退院時診断", "退院時診断名", "退院時病名", "退院診断", "退院診断名"],
    ),
    section(
        "444",
        "退院時投薬指示",
        Said,
        &["10183-2"],
        &["退院時投薬指示", "退院時処方", "退院処方", "退院時使用薬剤"],
    ),
    section(
        "424",
        "退院時方針指示",
        Said,
        &["8653-8", "18776-5"],
        &["退院時方針指示", "退院時方針", "退院後方針", "退院時指示", "退院後指示"],
    ),
    section("614", "退院時身体所見", Optional, &["10184-0"], &["退院時身体所見", "退院時現症", "退院時状態"]),
    section("713", "入院中治療", Optional, &[], &["入院中治療", "手術", "処置", "手術処置", "治療"]),
    section("623", "入院中検査結果", Optional, &[], &["入院中検査結果", "検査結果", "検査所見"]),
    section("810", "医療機器", Optional, &[], &["医療機器"]),
    section("530", "予防接種歴", Optional, &["11369-6"], &["予防接種歴", "予防接種"]),
    section("410", "事前指示", Optional, &[], &["事前指示"]),
    section("830", "臨床研究参加", Optional, &[], &["臨床研究参加"]),
];

/// Outside 300: titles of the remarks of a letter.
pub const REMARKS: &[&str] = &["備考", "備考連絡情報", "連絡事項", "その他"];

/// doc-subtypecodes: Composition.category of a letter.
const CATEGORIES: &[(&str, &str)] = &[
    ("ADMISSION", "入院時文書"),
    ("INPATIENT", "入院中文書"),
    ("OUTPATIENT", "外来文書"),
    ("DISCHARGE", "退院時文書"),
    ("CONSULT", "他科コンサルト"),
    ("EXAMIN", "要精査依頼文書"),
    ("SECONDOP", "セカンドオピニオン文書"),
];

pub fn category(code: &str) -> Option<&'static str> {
    CATEGORIES.iter().find(|(c, _)| *c == code).map(|(_, display)| *display)
}

/// Whether a site may send a section of its documents there.
pub fn is_known(code: &str) -> bool {
    code == "220" || REFERRAL.iter().chain(DISCHARGE).any(|s| s.code == code)
}

const LOINC: &str = "2.16.840.1.113883.6.1";

pub fn table(kind: Kind) -> &'static [Section] {
    match kind {
        Kind::Discharge => DISCHARGE,
        _ => REFERRAL,
    }
}

/// Where a section of the source goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    Section(&'static str),
    Remarks,
    Unknown,
}

/// By configured code, by configured title, by LOINC, by title.
pub fn target(node: Node<'_, '_>, kind: Kind, cda: &Cda) -> Target {
    let table = table(kind);
    let code = attr(node, &["code"], "code");
    let title = title(node);
    let to = |code: &str| match code {
        "220" => Target::Remarks,
        code => table.iter().find(|s| s.code == code).map_or(Target::Unknown, |s| Target::Section(s.code)),
    };
    let by_code = cda.sections.iter().find(|rule| rule.code.is_some() && rule.code == code);
    let by_title =
        || cda.sections.iter().find(|rule| rule.title.as_deref().is_some_and(|t| fold(t) == fold(&title)));
    if let Some(rule) = by_code.or_else(by_title) {
        return to(&rule.section);
    }
    let is_loinc = attr(node, &["code"], "codeSystem").as_deref() == Some(LOINC);
    if let Some(code) = code.filter(|_| is_loinc)
        && let Some(section) = table.iter().find(|s| s.loinc.contains(&code.as_str()))
    {
        return Target::Section(section.code);
    }
    let folded = fold(&title);
    if let Some(section) =
        table.iter().find(|s| fold(s.title) == folded || s.titles.contains(&folded.as_str()))
    {
        return Target::Section(section.code);
    }
    if REMARKS.contains(&folded.as_str()) { Target::Remarks } else { Target::Unknown }
}

pub fn title(node: Node<'_, '_>) -> String {
    let title = tree::child(node, HL7, "title").map(flat).unwrap_or_default();
    if title.is_empty() { attr(node, &["code"], "displayName").unwrap_or_default() } else { title }
}

/// A title without what writers vary: spaces, numbering, punctuation, 「及び」「の」.
fn fold(title: &str) -> String {
    let wide = wide(title).replace("及び", "").replace("および", "");
    wide.chars().filter(|c| c.is_alphabetic() && *c != 'の').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_hold_together() {
        for table in [REFERRAL, DISCHARGE] {
            for (i, s) in table.iter().enumerate() {
                assert!(table[..i].iter().all(|o| o.code != s.code), "{}", s.code);
                for title in s.titles {
                    assert_eq!(fold(title), *title, "{title} is not folded");
                    let first = table.iter().position(|o| o.titles.contains(title));
                    assert_eq!(first, Some(i), "{title} stands twice");
                }
            }
        }
    }

    #[test]
    fn titles_are_found_however_they_are_written() {
        let of = |title: &str, kind| {
            let xml = format!("<section xmlns='urn:hl7-org:v3'><title>{title}</title></section>");
            let document = roxmltree::Document::parse(&xml).unwrap();
            target(document.root_element(), kind, &Cda::default())
        };
        for title in ["既往歴及び家族歴", "既往歴・家族歴", "４．既往歴 および 家族歴"]
        {
            assert_eq!(of(title, Kind::Referral), Target::Section("370"), "{title}");
        }
        assert_eq!(of("症状経過及び検査結果", Kind::Referral), Target::Section("360"));
        assert_eq!(of("現在の処方", Kind::Referral), Target::Section("430"));
        assert_eq!(of("備考", Kind::Referral), Target::Remarks);
        assert_eq!(of("看護", Kind::Referral), Target::Unknown);
        assert_eq!(of("退院時処方", Kind::Discharge), Target::Section("444"));
    }
}
