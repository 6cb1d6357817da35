//! What differs from hospital to hospital, read from a TOML file per institution. Every default is the reading of
//! national-service.md §10 and §11; what no public text settles is a list here.

use serde::{Deserialize, Serialize};

/// How one institution's sources are read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The institution sends Shift_JIS whatever MSH-18 says.
    pub shift_jis: bool,
    /// Department where the source names none: code of the SS-MIX2 table and name.
    pub default_department: Option<Department>,
    /// Outpatient or inpatient where the source does not say (a list of diagnoses without PV1).
    pub default_class: Option<Class>,
    /// The component of IN1-10 that holds the 枝番; 0 for none.
    pub insurance_branch_component: usize,
    /// Append `_` and the specimen's code to the institution's own item code.
    pub local_code_with_specimen: bool,
    /// Suspected diagnoses stay in the list, as `unconfirmed`.
    pub keep_unconfirmed: bool,
    /// Allergies known from the patient only stay in the list.
    pub keep_patient_asserted: bool,
    /// What becomes of diagnoses flagged 未提供: `copy` with the flag, or `drop`.
    pub undelivered: Undelivered,
    /// Fields that carry the doctor's flags. None: no flag is ever set.
    pub flags: Vec<FlagRule>,
    /// Which value of which field makes a diagnosis the principal one (主病名). Unverified which field vendors use.
    pub principal: Option<Marked>,
    /// PRB-13, by code or name: confirmed.
    pub confirmed: Vec<String>,
    /// PRB-13, by code or name: suspected.
    pub suspected: Vec<String>,
    /// Codes of ZPR-3 and ZPR-6 that mean の疑い; its name is recognised anyway.
    pub suspected_modifiers: Vec<String>,
    /// PRB-14, by code or name: healed or better, so `resolved` once it has ended.
    pub resolved: Vec<String>,
    /// PRB-14, by code or name: ended otherwise, so `inactive`.
    pub ended: Vec<String>,
    /// IAM-3 texts that state there is no allergy.
    pub no_allergy: Vec<String>,
    /// IAM-15: the reporter is the patient.
    pub self_reported: Vec<String>,
    /// Names of code systems as messages write them.
    pub systems: Systems,
    /// How CDA documents are converted.
    pub cda: Cda,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Department {
    pub code: String,
    pub name: String,
}

/// Encounter.class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    Outpatient,
    Inpatient,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undelivered {
    #[default]
    Copy,
    Drop,
}

/// national-service.md §1.4. Set by a doctor, copied, never inferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub enum Flag {
    /// 長期保存.
    #[serde(rename = "LTS")]
    LongTerm,
    /// 未告知.
    #[serde(rename = "UNINFORMED")]
    Uninformed,
    /// 未提供.
    #[serde(rename = "UNDELIVERED")]
    Undelivered,
}

impl Flag {
    pub fn code(self) -> &'static str {
        match self {
            Flag::LongTerm => "LTS",
            Flag::Uninformed => "UNINFORMED",
            Flag::Undelivered => "UNDELIVERED",
        }
    }
}

/// `flags = [{ field = "ZPR-8", value = "1", flag = "UNINFORMED" }]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FlagRule {
    pub field: Field,
    pub value: String,
    pub flag: Flag,
}

/// A field and the values that mark.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Marked {
    pub field: Field,
    pub values: Vec<String>,
}

/// `ZPR-8` or `ZPR-8.2`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Field {
    pub segment: String,
    pub field: usize,
    pub component: usize,
}

impl TryFrom<String> for Field {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no field such as ZPR-8 or ZPR-8.2");
        let (segment, rest) = text.split_once('-').ok_or_else(wrong)?;
        let (field, component) = rest.split_once('.').unwrap_or((rest, "1"));
        let number =
            |part: &str| part.parse::<usize>().ok().filter(|n| (1..=99).contains(n)).ok_or_else(wrong);
        if segment.len() != 3 || !segment.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
            return Err(wrong());
        }
        Ok(Field { segment: segment.to_owned(), field: number(field)?, component: number(component)? })
    }
}

impl From<Field> for String {
    fn from(field: Field) -> String {
        format!("{}-{}.{}", field.segment, field.field, field.component)
    }
}

/// Names of code systems in CWE.3 and CWE.6, compared without case, blanks and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Systems {
    pub jlac10: Vec<String>,
    /// An institution's own code only where there is no other; `lab-local.csv` may give the JLAC10 code of one.
    pub jlac11: Vec<String>,
    pub yj: Vec<String>,
    pub hot9: Vec<String>,
    pub general_name: Vec<String>,
    pub jfagy: Vec<String>,
    pub merit9: Vec<String>,
    pub jami_usage: Vec<String>,
    pub route: Vec<String>,
    pub department: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cda {
    pub mode: CdaMode,
    /// Sections by code, before the built-in table by title.
    pub sections: Vec<SectionRule>,
    /// Composition.category of letters whose encounter does not say it.
    pub default_category: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CdaMode {
    /// Header and text, coded entries where their codes are national.
    #[default]
    Structured,
    /// Section 200 with the document's bytes.
    Embed,
}

/// `sections = [{ code = "MD0018950", section = "360" }]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SectionRule {
    /// `section/code/@code`.
    pub code: Option<String>,
    /// A title, as it is written.
    pub title: Option<String>,
    /// The section of the Composition, by its code.
    pub section: String,
}

fn list(values: &[&str]) -> Vec<String> {
    values.iter().map(|v| (*v).to_owned()).collect()
}

impl Default for Options {
    fn default() -> Self {
        Self {
            shift_jis: false,
            default_department: None,
            default_class: None,
            insurance_branch_component: 0,
            local_code_with_specimen: true,
            keep_unconfirmed: false,
            keep_patient_asserted: false,
            undelivered: Undelivered::Copy,
            flags: vec![],
            principal: None,
            confirmed: list(&["C", "CONFIRMED", "確定", "確定病名"]),
            suspected: list(&[
                "P",
                "D",
                "S",
                "U",
                "PROVISIONAL",
                "DIFFERENTIAL",
                "UNCONFIRMED",
                "RULE-OUT",
                "疑い",
                "疑",
                "疑い病名",
            ]),
            suspected_modifiers: list(&["8002"]),
            resolved: list(&["治癒", "軽快", "寛解", "全治"]),
            ended: list(&["中止", "転医", "移行", "死亡", "不変", "悪化", "その他"]),
            no_allergy: list(&[
                "なし",
                "無し",
                "無",
                "ナシ",
                "特になし",
                "アレルギーなし",
                "アレルギー無し",
                "薬剤アレルギーなし",
                "食物アレルギーなし",
                "該当なし",
            ]),
            self_reported: list(&["SEL", "SELF", "本人"]),
            systems: Systems::default(),
            cda: Cda::default(),
        }
    }
}

impl Default for Systems {
    fn default() -> Self {
        Self {
            jlac10: list(&["JC10", "JLAC10", "1.2.392.200119.4.504", super::systems::code::LAB_JLAC10]),
            jlac11: list(&["JC11", "JLAC11"]),
            yj: list(&["YJ", "YJCODE", "1.2.392.100495.20.2.73", super::systems::code::YJ]),
            hot9: list(&[
                "HOT9",
                "HOT",
                "1.2.392.200119.4.403.1",
                "1.2.392.100495.20.2.74",
                super::systems::code::HOT9,
            ]),
            general_name: list(&[
                "一般名",
                "GENERAL",
                "1.2.392.100495.20.1.81",
                super::systems::code::GENERAL_NAME,
            ]),
            jfagy: list(&[
                "JFAGY",
                super::systems::code::ALLERGEN_FOOD,
                super::systems::code::ALLERGEN_OTHER,
                super::systems::code::ALLERGEN_BRAND,
                super::systems::code::ALLERGEN_GENERAL,
            ]),
            merit9: list(&["MR9P", "MERIT9", super::systems::code::UNIT_MERIT9]),
            jami_usage: list(&["JAMISDP01", super::systems::code::USAGE_JAMI]),
            route: list(&["HL70162", super::systems::code::ROUTE]),
            department: list(&[
                "SSMIX2",
                "SS-MIX2",
                "1.2.392.200250.2.2.2",
                "HL70069",
                super::systems::code::DEPARTMENT,
            ]),
        }
    }
}

impl Default for Cda {
    fn default() -> Self {
        Self { mode: CdaMode::Structured, sections: vec![], default_category: None }
    }
}

impl Options {
    /// What no source could be converted with, a sentence each.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = vec![];
        for rule in &self.cda.sections {
            if rule.code.is_none() && rule.title.is_none() {
                faults.push(format!(
                    "cda.sections: the rule for {} names neither code nor title",
                    rule.section
                ));
            }
            if !super::cda::sections::is_known(&rule.section) {
                faults.push(format!("cda.sections: {} is no section of a letter or summary", rule.section));
            }
        }
        if let Some(category) = &self.cda.default_category
            && super::cda::sections::category(category).is_none()
        {
            faults.push(format!("cda.default_category: {category} is not in doc-subtypecodes"));
        }
        let code = self.default_department.as_ref().map(|d| d.code.as_str());
        if let Some(code) =
            code.filter(|c| !matches!(c.len(), 2 | 3) || !c.bytes().all(|b| b.is_ascii_alphanumeric()))
        {
            faults.push(format!("default_department: {code:?} is no code of two or three characters"));
        }
        faults
    }
}

/// Whether `name` is one of `names`.
pub fn named(names: &[String], name: &str) -> bool {
    let fold = |text: &str| -> String {
        let text = text.strip_prefix("urn:oid:").unwrap_or(text);
        let kept = text.chars().filter(|c| !matches!(c, ' ' | '-' | '_' | '\u{3000}'));
        kept.flat_map(char::to_uppercase).collect()
    };
    let name = fold(name);
    !name.is_empty() && names.iter().any(|n| fold(n) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_file_says_only_what_differs() {
        let text = r#"
            default_class = "outpatient"
            flags = [{ field = "ZPR-8", value = "1", flag = "UNINFORMED" }]
            principal = { field = "PRB-10.1", values = ["1"] }
            default_department = { code = "01", name = "内科" }
            [cda]
            mode = "embed"
            sections = [{ code = "MD0018950", section = "360" }]
        "#;
        let options: Options = toml::from_str(text).unwrap();
        assert_eq!(options.flags[0].field, Field { segment: "ZPR".into(), field: 8, component: 1 });
        assert_eq!((options.cda.mode, options.systems.clone()), (CdaMode::Embed, Systems::default()));
        assert!(
            toml::from_str::<Options>("flags = [{ field = \"ZPR\", value = \"1\", flag = \"LTS\" }]")
                .is_err()
        );
        assert!(toml::from_str::<Options>("defualt_class = \"outpatient\"").is_err());
        let written = toml::to_string(&options).unwrap();
        assert_eq!(toml::from_str::<Options>(&written).unwrap(), options);
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        assert!(Options::default().faults().is_empty());
        let text = r#"
            default_department = { code = "内科", name = "内科" }
            [cda]
            default_category = "X"
            sections = [{ code = "A", section = "999" }, { section = "360" }]
        "#;
        let options: Options = toml::from_str(text).unwrap();
        assert_eq!(options.faults().len(), 4);
    }

    #[test]
    fn systems_are_known_by_any_spelling() {
        let systems = Systems::default();
        for name in ["JC10", "jc10", "JLAC-10", "urn:oid:1.2.392.200119.4.504"] {
            assert!(named(&systems.jlac10, name), "{name}");
        }
        assert!(!named(&systems.jlac10, "") && !named(&systems.jlac10, "99XYZ"));
    }
}
