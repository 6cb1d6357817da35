//! Records in plain Japanese, for a citizen's request (本人からの開示請求): who, when, from where, what for.

use super::{AuditEvent, Outcome, SECURITY_ALERT, kinds};

/// What was done, without codes.
const DONE: &[(&str, &str)] = &[
    ("ITI-8", "患者情報を登録・更新した"),
    ("ITI-9", "他の施設での患者番号を問い合わせた"),
    ("ITI-10", "患者番号の変更を知らせた"),
    ("ITI-18", "文書の一覧を検索した"),
    ("ITI-21", "氏名などから患者を検索した"),
    ("ITI-30", "患者情報を登録・更新した"),
    ("ITI-31", "受診・入退院の情報を登録した"),
    ("ITI-38", "他の地域ネットワークとの間で文書の一覧を検索した"),
    ("ITI-39", "他の地域ネットワークとの間で文書を閲覧した"),
    ("ITI-41", "文書を登録した"),
    ("ITI-42", "文書の情報を登録した"),
    ("ITI-43", "文書を閲覧した"),
    ("ITI-44", "患者情報を登録・更新した"),
    ("ITI-45", "他の施設での患者番号を問い合わせた"),
    ("ITI-46", "患者番号の変更を知らせた"),
    ("ITI-47", "氏名などから患者を検索した"),
    ("ITI-51", "複数の患者の文書の一覧を検索した"),
    ("ITI-55", "他の地域ネットワークとの間で患者を照会した"),
    ("ITI-56", "受診のある地域ネットワークを照会した"),
    ("ITI-57", "文書の情報を変更した"),
    ("ITI-61", "閲覧時に作成される文書を登録した"),
    ("ITI-62", "文書の情報を削除した"),
    ("ITI-65", "文書を登録した"),
    ("ITI-66", "文書の一覧を検索した"),
    ("ITI-67", "文書の一覧を検索した"),
    ("ITI-68", "文書を閲覧した"),
    ("ITI-78", "氏名などから患者を検索した"),
    ("ITI-83", "他の施設での患者番号を問い合わせた"),
    ("ITI-86", "文書を削除した"),
    ("ITI-92", "文書の情報を変更した"),
    ("ITI-104", "患者情報を登録・更新した"),
    ("ITI-119", "氏名などから患者を照合した"),
    (kinds::EMERGENCY_OVERRIDE_STARTED, "緊急時の閲覧を開始した"),
    (kinds::EMERGENCY_OVERRIDE_STOPPED, "緊急時の閲覧を終了した"),
    (kinds::OBJECT_SECURITY_ATTRIBUTES, "同意の内容を変更した"),
    (kinds::NATIONAL_EXPORT, "電子カルテ情報共有サービスへ文書を送信した"),
    (kinds::AUDIT_READ, "閲覧の記録を確認した"),
    (SECURITY_ALERT, "認められない操作を試みた"),
];

/// Codes of purposes (ISO 14265, HL7 PurposeOfUse, XSPA) in words.
const PURPOSES: &[(&str, &str)] = &[
    ("TREATMENT", "診療のため"),
    ("TREAT", "診療のため"),
    ("CLINTRCH", "臨床研究のため"),
    ("EMERGENCY", "救急の診療のため"),
    ("ETREAT", "救急の診療のため"),
    ("BTG", "救急の診療のため"),
    ("OPERATIONS", "施設の運営のため"),
    ("HOPERAT", "施設の運営のため"),
    ("PAYMENT", "医療費の請求のため"),
    ("HPAYMT", "医療費の請求のため"),
    ("PUBLICHEALTH", "公衆衛生のため"),
    ("PUBHLTH", "公衆衛生のため"),
    ("RESEARCH", "研究のため"),
    ("HRESCH", "研究のため"),
    ("REQUEST", "本人の求めによる"),
    ("PATRQT", "本人の求めによる"),
    ("SYSADMIN", "システムの管理のため"),
    ("HSYSADMIN", "システムの管理のため"),
];

/// An access in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub at: i64,
    pub who: String,
    pub from: String,
    pub what: String,
    pub why: String,
    pub result: &'static str,
}

pub fn told(event: &AuditEvent) -> Told {
    Told {
        at: event.at,
        who: who(event),
        from: from(event),
        what: what(event),
        why: why(event),
        result: result(event),
    }
}

/// What a transaction or event is called.
pub fn named(code: &str) -> Option<&'static str> {
    DONE.iter().find(|(known, _)| *known == code).map(|(_, words)| *words)
}

fn what(event: &AuditEvent) -> String {
    let key = match event.transaction.starts_with(kinds::NATIONAL_CALL) && event.sent_to.is_some() {
        true => kinds::NATIONAL_EXPORT,
        false => event.transaction.as_str(),
    };
    let done = named(key).unwrap_or("システムの管理者が操作した");
    match &event.home_community_id {
        Some(_) if event.sent_to.is_some() => format!("{done}（当ネットワークから照会）"),
        _ => done.to_owned(),
    }
}

fn who(event: &AuditEvent) -> String {
    if let Some(user) = &event.caller.user {
        let name = user.name.clone().unwrap_or_else(|| user.name_id.clone());
        let roles: Vec<&str> = user.roles.iter().filter_map(|r| r.display.as_deref()).collect();
        return match roles.is_empty() {
            true => name,
            false => format!("{name}（{}）", roles.join("、")),
        };
    }
    let caller = &event.caller;
    if let Some((_, operator)) = caller.listener.split_once(" by ") {
        return format!("ネットワークの管理者（{operator}）");
    }
    match &caller.node {
        Some(node) => format!("{}のシステム（操作した人の情報なし）", node.id),
        None => "接続されたシステム（操作した人の情報なし）".to_owned(),
    }
}

fn from(event: &AuditEvent) -> String {
    let caller = &event.caller;
    let organization = caller.user.as_ref().and_then(|user| user.organization.clone());
    let place = organization.or_else(|| caller.node.as_ref().map(|node| node.id.clone()));
    match (place, caller.address.as_str()) {
        (Some(place), "" | "local") => place,
        (Some(place), address) => format!("{place}（接続元 {address}）"),
        (None, "" | "local") => "ネットワークの事務局".to_owned(),
        (None, address) => format!("接続元 {address}"),
    }
}

fn why(event: &AuditEvent) -> String {
    let reason =
        event.facts.details.iter().find(|(name, _)| name == "reason").map(|(_, reason)| reason.clone());
    let purposes = event.caller.user.iter().flat_map(|user| &user.purposes);
    let words: Vec<String> = purposes
        .map(|purpose| {
            let known =
                PURPOSES.iter().find(|(code, _)| *code == purpose.code).map(|(_, words)| (*words).to_owned());
            known.or_else(|| purpose.display.clone()).unwrap_or_else(|| "その他の目的".into())
        })
        .chain(reason)
        .collect();
    if words.is_empty() { "目的の記録なし".into() } else { words.join("、") }
}

fn result(event: &AuditEvent) -> &'static str {
    match event.outcome {
        Outcome::Success => "行われた",
        Outcome::MinorFailure => "一部が行われた",
        Outcome::SeriousFailure | Outcome::MajorFailure => "拒否または失敗した（閲覧されていない）",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::audit::rows::ROWS;
    use crate::model::user::{Coded, User};

    #[test]
    fn every_transaction_has_words() {
        for row in ROWS {
            assert!(
                named(row.code).is_some(),
                "{} has no words: add them to model/audit/japanese.rs",
                row.code
            );
        }
    }

    #[test]
    fn an_access_is_told_without_codes() {
        let code = |code: &str, display: &str| Coded {
            code: code.into(),
            system: "1.2.392".into(),
            display: Some(display.into()),
        };
        let mut event = AuditEvent { transaction: "ITI-43".into(), ..AuditEvent::default() };
        event.caller.address = "10.0.0.1".into();
        event.caller.user = Some(Box::new(User {
            name: Some("山田 太郎".into()),
            organization: Some("中央病院".into()),
            roles: vec![code("1", "医師")],
            purposes: vec![code("TREATMENT", "Treatment")],
            ..User::default()
        }));
        let told = told(&event);
        assert_eq!(
            (told.who.as_str(), told.from.as_str(), told.what.as_str(), told.why.as_str(), told.result),
            ("山田 太郎（医師）", "中央病院（接続元 10.0.0.1）", "文書を閲覧した", "診療のため", "行われた")
        );
        let machine = AuditEvent { outcome: Outcome::SeriousFailure, ..AuditEvent::default() };
        assert_eq!(super::told(&machine).why, "目的の記録なし");
    }
}
