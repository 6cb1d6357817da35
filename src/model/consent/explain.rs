//! Decisions in words, for operators: English and Japanese.

use super::decide::{Decision, Ground};

/// Which language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tongue {
    English,
    Japanese,
}

impl Ground {
    /// What the ground says.
    pub fn sentence(self, tongue: Tongue) -> &'static str {
        let (english, japanese) = match self {
            Self::Unasked => ("consent is not asked for", "同意の判定対象外です"),
            Self::OtherPatient => {
                ("the request is about another patient", "要求の対象患者と文書の患者が異なります")
            }
            Self::NotAllowed => (
                "the organization, role or node may not do this",
                "施設・職種・接続元にこの操作が許可されていません",
            ),
            Self::Held => ("the document is on hold", "事務局により文書が保留されています"),
            Self::BreakGlass => ("emergency access is open", "緊急閲覧が有効です"),
            Self::Own => ("it is the facility's own document", "自施設が登録した文書です"),
            Self::Vip => (
                "only the patient's care team may see it",
                "要配慮患者のため、担当チーム以外は閲覧できません",
            ),
            Self::Denied => (
                "the patient keeps it back: a rule, a reservation, or what patients are not shown",
                "患者の拒否または留保（もしくは患者閲覧の対象外）に該当します",
            ),
            Self::NoConsent => {
                ("there is no consent that permits it", "閲覧を許可する有効な同意がありません")
            }
            Self::NotReleased => (
                "the facility has not released it to this viewer",
                "提供元施設がこの閲覧者に公開していません",
            ),
            Self::Confidential => (
                "it is more confidential than the viewer's role may see",
                "機密度区分が閲覧者の職種の閲覧範囲を超えています",
            ),
            Self::Purpose => ("the purpose is not permitted", "利用目的が許可されていません"),
            Self::Permitted => ("nothing speaks against it", "閲覧できます"),
            Self::Error => ("it could not be evaluated, which is no", "判定できないため閲覧できません"),
        };
        match tongue {
            Tongue::English => english,
            Tongue::Japanese => japanese,
        }
    }
}

impl Decision {
    /// `deny, rule 8: there is no consent that permits it (…)`
    pub fn explained(&self, tongue: Tongue) -> String {
        let verdict = match (self.permits(), tongue) {
            (true, Tongue::English) => "permit",
            (false, Tongue::English) => "deny",
            (true, Tongue::Japanese) => "許可",
            (false, Tongue::Japanese) => "不許可",
        };
        let number = self.ground.number();
        let rule = match tongue {
            Tongue::English => format!(", rule {number}: "),
            Tongue::Japanese => format!("（規則{number}）: "),
        };
        let by = self.by.as_ref().map(|by| format!(" [{by}]")).unwrap_or_default();
        format!("{verdict}{rule}{}{by}", self.ground.sentence(tongue))
    }
}
