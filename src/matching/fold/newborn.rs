//! Names that stand for a newborn's until it has one.

use super::kanji::kanji;

/// Whether a given name is only a placeholder: `ベビー`, `ベビーA`, `児`, `女児`, `第1子`, `花子ベビー`, `BABY BOY`.
pub fn newborn(given: &str) -> bool {
    let (folded, _) = kanji(given);
    let folded = folded.as_str();
    if folded.is_empty() {
        return false;
    }
    let whole = matches!(
        folded,
        "児" | "男児"
            | "女児"
            | "新生児"
            | "乳児"
            | "ベビー"
            | "ベイビー"
            | "ベビ"
            | "アカチャン"
            | "赤チャン"
            | "長男"
            | "長女"
            | "次男"
            | "次女"
            | "二男"
            | "二女"
            | "三男"
            | "三女"
            | "ジ"
            | "ダンジ"
            | "ジョジ"
            | "シンセイジ"
            | "ダイイチシ"
            | "ダイニシ"
            | "ダイサンシ"
            | "名無シ"
            | "未命名"
            | "ミメイメイ"
    );
    // Long enough that no name ends so by chance: 花子ベビー, 花子ノ児, HANAKOBABY.
    let part = ["ベビー", "ベイビー", "新生児", "BABY", "NEWBORN", "ノ児"].iter().any(|p| folded.contains(p));
    let numbered = folded
        .strip_prefix('第')
        .and_then(|rest| rest.strip_suffix('子').or_else(|| rest.strip_suffix('児')))
        .is_some_and(|n| n.chars().all(|c| c.is_ascii_digit() || "一二三四五".contains(c)));
    // 男児1, 児A.
    let bare = folded.trim_end_matches(|c: char| c.is_ascii_alphanumeric());
    whole || part || numbered || (bare.len() < folded.len() && matches!(bare, "児" | "男児" | "女児" | "ジ"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_told_from_names() {
        for given in [
            "ベビー",
            "ﾍﾞﾋﾞｰ",
            "ベビーA",
            "ベビーＢ",
            "児",
            "男児",
            "女児",
            "第1子",
            "第二子",
            "第３児",
            "花子ベビー",
            "ハナコベビー",
            "花子の児",
            "児A",
            "女児2",
            "Baby Boy",
            "新生児",
        ] {
            assert!(newborn(given), "{given}");
        }
        for given in
            ["", "花子", "児玉", "一児", "ベル", "ジン", "第一", "レイジ", "第子郎", "シンジ", "一", "A"]
        {
            assert!(!newborn(given), "{given}");
        }
    }
}
