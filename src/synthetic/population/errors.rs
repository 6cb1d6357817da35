//! What goes wrong between a person and a record.

use super::names::{Name, Names};
use super::registrations::Style;
use super::{Kind, Kinds};
use crate::synthetic::SplitMix64;
use crate::synthetic::people::Sex;

/// A registration before it is written down.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    pub family: Name,
    pub given: Name,
    pub birth: Option<String>,
    pub sex: Option<Sex>,
    pub landline: Option<String>,
    pub mobile: Option<String>,
    pub hiragana: bool,
    pub no_address: bool,
    /// Says the order of a multiple birth.
    pub tells_order: bool,
}

/// Lets errors happen, each at its rate; `scale` times as often.
pub(super) fn befall(
    rng: &mut SplitMix64,
    scale: f64,
    names: &Names,
    style: &Style,
    draft: &mut Draft,
    kinds: &mut Kinds,
) {
    // Of 10,000.
    let happens = |rng: &mut SplitMix64, rate: u64| (rng.below(10_000) as f64) < rate as f64 * scale;
    draft.hiragana = rng.chance(4);
    draft.tells_order = rng.chance(30);
    names_befall(rng, &happens, names, style, draft, kinds);
    if let Some(birth) = draft.birth.clone()
        && let Some((birth, kind)) = birth_befalls(rng, &happens, &birth)
    {
        draft.birth = birth;
        kinds.add(kind);
    }
    if happens(rng, 20) {
        kinds.add(Kind::WrongSex);
        draft.sex = draft.sex.map(Draft::other_sex);
    } else if happens(rng, 40) {
        kinds.add(Kind::SexMissing);
        draft.sex = None;
    }
    if happens(rng, 250) {
        kinds.add(Kind::AddressMissing);
        draft.no_address = true;
    }
    for phone in [&mut draft.landline, &mut draft.mobile].into_iter().flatten() {
        if happens(rng, 60) {
            kinds.add(Kind::PhoneTypo);
            *phone = digit(rng, phone, 4);
        }
    }
}

fn names_befall(
    rng: &mut SplitMix64,
    happens: &impl Fn(&mut SplitMix64, u64) -> bool,
    names: &Names,
    style: &Style,
    draft: &mut Draft,
    kinds: &mut Kinds,
) {
    for name in [&mut draft.family, &mut draft.given] {
        if happens(rng, 250)
            && let Some(kana) = written_otherwise(rng, &name.kana)
        {
            kinds.add(Kind::KanaWriting);
            name.kana = kana;
        }
        if happens(rng, 60) && name.kana.chars().count() > 1 {
            kinds.add(Kind::KanaTypo);
            name.kana = typo(rng, &name.kana);
        }
        if happens(rng, 60) && !name.kanji.is_empty() && !name.kanji.is_ascii() {
            kinds.add(Kind::KanjiTypo);
            name.kanji = homophone(rng, &name.kanji);
        }
        let simple = simplified(rng, style, &name.kanji);
        if simple != name.kanji {
            kinds.add(if simple.contains('〓') { Kind::Gaiji } else { Kind::VariantKanji });
            name.kanji = simple;
        }
    }
    if happens(rng, 20) {
        kinds.add(Kind::Swapped);
        std::mem::swap(&mut draft.family, &mut draft.given);
    }
    if happens(rng, 100) {
        kinds.add(Kind::Undivided);
        let given = std::mem::take(&mut draft.given);
        draft.family.kanji.push_str(&given.kanji);
        draft.family.kana.push_str(&given.kana);
    }
    if happens(rng, 300) {
        kinds.add(Kind::MissingKana);
        draft.family.kana.clear();
        draft.given.kana.clear();
    } else if happens(rng, 120) {
        kinds.add(Kind::MissingKanji);
        draft.family.kanji.clear();
        draft.given.kanji.clear();
    }
    // An empty name is none: a reading at least.
    if draft.family.kanji.is_empty() && draft.family.kana.is_empty() {
        draft.family = names.family(rng);
    }
}

fn birth_befalls(
    rng: &mut SplitMix64,
    happens: &impl Fn(&mut SplitMix64, u64) -> bool,
    birth: &str,
) -> Option<(Option<String>, Kind)> {
    let (year, rest) = birth.split_at(4);
    let (month, day) = rest.split_at(2);
    let number: i64 = year.parse().unwrap_or(0);
    let years = |by: i64| Some(format!("{:04}{rest}", number + by));
    if happens(rng, 50) {
        return Some((Some(wrong_date(rng, birth)), Kind::BirthDigit));
    }
    if happens(rng, 20) {
        let at = *rng.pick(&[2, 4, 5, 6]);
        let mut chars: Vec<char> = birth.chars().collect();
        chars.swap(at, at + 1);
        let exchanged: String = chars.into_iter().collect();
        return (exchanged != birth).then_some((Some(exchanged), Kind::BirthExchanged));
    }
    if happens(rng, 8) && day <= "12" && day != month {
        return Some((Some(format!("{year}{day}{month}")), Kind::BirthTurned));
    }
    if happens(rng, 15) {
        let by = match number {
            ..=1926 => *rng.pick(&[14, -44]),
            1927..=1940 => *rng.pick(&[-14, 63]),
            1941..=1963 => 63,
            1989..=2018 => *rng.pick(&[-63, 30]),
            2019.. => -30,
            _ => return None,
        };
        // Nobody is registered before birth.
        return (number + by <= 2026).then_some((years(by), Kind::EraSlip));
    }
    if happens(rng, 8) && number < 1950 {
        return Some((Some(format!("{year}0101")), Kind::BirthPlaceholder));
    }
    if happens(rng, 8) {
        let kept = if rng.chance(50) { 4 } else { 6 };
        return Some((birth.get(..kept).map(str::to_owned), Kind::BirthPartial));
    }
    happens(rng, 10).then_some((None, Kind::BirthMissing))
}

/// One digit other, and a date all the same.
fn wrong_date(rng: &mut SplitMix64, birth: &str) -> String {
    for _ in 0..40 {
        let wrong = digit(rng, birth, 2);
        let part =
            |from: usize, to: usize| wrong.get(from..to).and_then(|t| t.parse::<i64>().ok()).unwrap_or(0);
        if (1910..=2026).contains(&part(0, 4))
            && (1..=12).contains(&part(4, 6))
            && (1..=28).contains(&part(6, 8))
        {
            return wrong;
        }
    }
    birth.to_owned()
}

/// One digit other, from `first` on.
fn digit(rng: &mut SplitMix64, text: &str, first: usize) -> String {
    let at = first + rng.below((text.len() - first) as u64) as usize;
    let by = rng.range(1, 9) as u8;
    let other = |c: u8| if c.is_ascii_digit() { b'0' + (c - b'0' + by) % 10 } else { c };
    text.bytes().enumerate().map(|(n, c)| char::from(if n == at { other(c) } else { c })).collect()
}

/// Long vowels, small kana, ヅ and ズ, a voice mark.
fn written_otherwise(rng: &mut SplitMix64, kana: &str) -> Option<String> {
    #[rustfmt::skip]
    const WAYS: &[(&str, &str)] = &[
        ("ョウ", "ヨウ"), ("ュウ", "ユウ"), ("ョ", "ヨ"), ("ュ", "ユ"), ("ャ", "ヤ"), ("ッ", "ツ"), ("ウ", "ー"), ("オオ", "オー"), ("オオ", "オ"), ("ロウ", "ロー"), ("ズ", "ヅ"), ("ヅ", "ズ"), ("ジ", "ヂ"),
        ("ザキ", "サキ"), ("サキ", "ザキ"), ("ジマ", "シマ"), ("シマ", "ジマ"), ("ガワ", "カワ"), ("カワ", "ガワ"), ("ダ", "タ"), ("ー", ""), ("ヴィ", "ビ"), ("ティ", "テイ"), ("ヲ", "オ"),
    ];
    let first = rng.below(WAYS.len() as u64) as usize;
    let (from, to) = WAYS
        .iter()
        .cycle()
        .skip(first)
        .take(WAYS.len())
        .find(|(from, _)| kana.find(from).is_some_and(|at| at > 0 || from.chars().count() > 1))?;
    Some(kana.replacen(from, to, 1))
}

/// One kana other, too many or missing, or two exchanged.
fn typo(rng: &mut SplitMix64, kana: &str) -> String {
    const KANA: &str =
        "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン";
    let mut chars: Vec<char> = kana.chars().collect();
    let other = KANA.chars().nth(rng.below(45) as usize).unwrap_or('ン');
    let at = rng.below(chars.len() as u64) as usize;
    match rng.below(4) {
        0 => chars.insert(at, other),
        1 if chars.len() > 2 => {
            chars.remove(at);
        }
        2 if at + 1 < chars.len() => chars.swap(at, at + 1),
        _ => chars[at] = other,
    }
    chars.into_iter().collect()
}

/// Another character that is read the same or looks alike.
fn homophone(rng: &mut SplitMix64, kanji: &str) -> String {
    #[rustfmt::skip]
    const ALIKE: &[&str] = &[
        "郎朗", "太大", "一市", "夫男雄", "子小", "美実", "恵慶", "裕祐", "弘宏博浩洋", "健建賢", "幸孝", "明昭章", "信伸", "和一", "正雅政昌", "田由", "川河", "木本", "山仙", "藤籐", "森林", "村邑",
        "島嶋", "野埜", "原源", "井伊", "沢渉", "崎岐", "橋僑", "口日", "千干", "土士", "未末", "土圡", "秀季", "香呑", "菜奈", "佳香", "樹貴", "也矢", "介助輔", "人仁", "優裕", "翔祥", "真慎", "由友", "里理", "江枝恵",
    ];
    for c in kanji.chars() {
        let Some(group) = ALIKE.iter().find(|g| g.contains(c)) else { continue };
        let others: Vec<char> = group.chars().filter(|o| *o != c).collect();
        return kanji.replacen(c, &rng.pick(&others).to_string(), 1);
    }
    // A slip of the input method: the last character is another.
    let mut chars: Vec<char> = kanji.chars().collect();
    if let Some(last) = chars.last_mut() {
        *last = *rng.pick(&['子', '夫', '美', '一', '司', '恵', '和', '介']);
    }
    chars.into_iter().collect()
}

/// As a system of few characters writes it; or a clerk of few.
fn simplified(rng: &mut SplitMix64, style: &Style, kanji: &str) -> String {
    #[rustfmt::skip]
    const FORMS: &[(char, char, bool)] = &[
        // Outside JIS X 0208.
        ('髙', '高', true), ('﨑', '崎', true), ('德', '徳', true), ('瀨', '瀬', true), ('𠮷', '吉', true), ('栁', '柳', true),
        // Old forms inside it.
        ('邊', '辺', false), ('邉', '辺', false), ('齋', '斎', false), ('齊', '斉', false), ('澤', '沢', false), ('濱', '浜', false), ('廣', '広', false), ('櫻', '桜', false), ('嶋', '島', false), ('國', '国', false), ('關', '関', false),
        ('眞', '真', false), ('澁', '渋', false), ('瀧', '滝', false), ('鹽', '塩', false), ('曾', '曽', false), ('黑', '黒', true), ('冨', '富', false), ('斎', '斉', false), ('斉', '斎', false),
    ];
    let form = |rng: &mut SplitMix64, c: char| {
        let Some((_, simple, outside)) = FORMS.iter().find(|(form, ..)| *form == c) else { return c };
        match (style.jis && *outside, matches!(c, '斎' | '斉')) {
            (true, _) if rng.chance(25) => '〓',
            (true, _) => *simple,
            (false, true) if rng.chance(6) => *simple,
            (false, false) if rng.chance(25) => *simple,
            _ => c,
        }
    };
    kanji.chars().map(|c| form(rng, c)).collect()
}

/// Katakana as half-width forms.
pub(super) fn half_width(kana: &str) -> String {
    const PLAIN: &str = "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲンァィゥェォャュョッー";
    const HALF: &str = "ｱｲｳｴｵｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾅﾆﾇﾈﾉﾊﾋﾌﾍﾎﾏﾐﾑﾒﾓﾔﾕﾖﾗﾘﾙﾚﾛﾜｦﾝｧｨｩｪｫｬｭｮｯｰ";
    const VOICED: &str = "ガギグゲゴザジズゼゾダヂヅデドバビブベボヴ";
    const UNVOICED: &str = "カキクケコサシスセソタチツテトハヒフヘホウ";
    const PLOSIVE: &str = "パピプペポ";
    let half = |c: char| PLAIN.chars().position(|p| p == c).and_then(|n| HALF.chars().nth(n));
    let mut out = String::new();
    for c in kana.chars() {
        let voiced = VOICED.chars().position(|v| v == c).and_then(|n| UNVOICED.chars().nth(n));
        let plosive = PLOSIVE.chars().position(|v| v == c).and_then(|n| "ハヒフヘホ".chars().nth(n));
        out.push(half(voiced.or(plosive).unwrap_or(c)).unwrap_or(c));
        if voiced.is_some() {
            out.push('ﾞ');
        } else if plosive.is_some() {
            out.push('ﾟ');
        }
    }
    out
}

/// ASCII as full-width forms.
pub(super) fn full_width(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_graphic() { char::from_u32(c as u32 + 0xFEE0).unwrap_or(c) } else { c })
        .collect()
}
