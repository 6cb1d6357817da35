//! Sentences of `chiren national`, in two languages.

use crate::config::Language;
use crate::service::national::Tally;

pub const RETRIED: (&str, &str) =
    ("it is tried at the gateway's next look", "ゲートウェイが次に確認するときに再送・再判定します");
pub const DROPPED: (&str, &str) =
    ("it is not sent; give it on paper where it matters", "送信しません。必要な場合は紙で交付してください");
pub const UNDONE: (&str, &str) = ("the cancellation is being taken back", "取消の取り下げを送信します");
pub const SAID: (&str, &str) =
    ("noted; what waits for it is decided anew", "記録しました。保留中の文書を再判定します");

pub fn paused(institution: &str, pause: bool, done: bool, language: Language) -> String {
    let sentence = match (pause, done, language) {
        (true, true, Language::En) => "is paused: nothing is sent for it",
        (true, false, Language::En) => "was paused already",
        (false, true, Language::En) => "is sent for again",
        (false, false, Language::En) => "was not paused",
        (true, true, Language::Ja) => "の送信を停止しました",
        (true, false, Language::Ja) => "の送信は既に停止しています",
        (false, true, Language::Ja) => "の送信を再開しました",
        (false, false, Language::Ja) => "の送信は停止していません",
    };
    format!("{institution} {sentence}\n")
}

/// The monthly report: the share of views that only the regional network could serve.
pub fn coverage(month: &str, tally: &Tally, language: Language) -> String {
    let known = tally.both + tally.regional_only;
    let share = if known == 0 { 0.0 } else { 100.0 * tally.regional_only as f64 / known as f64 };
    match language {
        Language::En => format!(
            "{month}: {} views of documents\n  only the regional network has them: {} ({share:.1} %)\n  the national \
             service has them too: {}\n  no longer registered: {}\n",
            tally.views, tally.regional_only, tally.both, tally.unknown
        ),
        Language::Ja => format!(
            "{month}：文書の閲覧 {} 件\n  地域ネットワークだけで閲覧できる文書：{} 件（{share:.1} %）\n  全国サービスにもある文書：\
             {} 件\n  登録が無くなった文書：{} 件\n",
            tally.views, tally.regional_only, tally.both, tally.unknown
        ),
    }
}
