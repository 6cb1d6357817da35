//! Addresses: town and numbers, whatever the form they are written in.

use super::nfkc;

/// An address in the parts that are compared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FoldedAddress {
    /// Prefecture, city and town, without 大字, 字 and blanks; without the prefecture where it is one of the 47.
    pub town: String,
    /// 丁目, 番地, 号 and what follows as `1-2-3`.
    pub numbers: String,
    /// Seven digits, or none.
    pub postal: String,
}

/// Folds an address in one piece and its postcode.
pub fn address(text: &str, postal: &str) -> FoldedAddress {
    let text = numerals(&nfkc(text));
    let (town, numbers) = split(&text);
    let postal: String = nfkc(postal).chars().filter(char::is_ascii_digit).collect();
    let postal = if postal.len() == 7 && postal != "0000000" { postal } else { String::new() };
    FoldedAddress { town: plain_town(town), numbers, postal }
}

/// Prefecture cut, blanks and 大字, 字 dropped.
fn plain_town(town: &str) -> String {
    let mut plain: String =
        town.chars().filter(|c| !c.is_whitespace() && !matches!(c, ',' | '、' | '・')).collect();
    for name in PREFECTURES {
        if let Some(rest) = plain.strip_prefix(name) {
            plain = rest.to_owned();
            break;
        }
    }
    let plain = plain.replace("大字", "").replace("小字", "");
    // 字 between towns only: it is part of names such as 文字 and 十字.
    let mut out = String::with_capacity(plain.len());
    let mut chars = plain.chars().peekable();
    while let Some(c) = chars.next() {
        let after_town = out.ends_with(['町', '村', '市', '区', '郡']);
        match c {
            '字' if after_town && chars.peek().is_some() => {}
            'ヶ' | 'が' | 'ガ' => out.push('ケ'),
            'ノ' | '之' => out.push('の'),
            c => out.push(super::variants::representative(c)),
        }
    }
    out
}

/// The text before the first house number, and the numbers.
fn split(text: &str) -> (&str, String) {
    let mut at = None;
    for (i, c) in text.char_indices() {
        if !c.is_ascii_digit() {
            continue;
        }
        if text[..i].ends_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let rest = text[i..].trim_start_matches(|c: char| c.is_ascii_digit());
        // 北1条, 西2線, 3区, 第1町内: parts of a town's name.
        if rest.starts_with(['条', '線', '区', '町', '市', '村', '丁']) && !rest.starts_with("丁目")
        {
            continue;
        }
        at = Some(i);
        break;
    }
    let Some(at) = at else { return (text, String::new()) };
    let (town, tail) = text.split_at(at);
    let mut numbers = String::new();
    let mut rest = tail;
    loop {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if end == 0 {
            break;
        }
        if !numbers.is_empty() {
            numbers.push('-');
        }
        // 01-02 is 1-2.
        let number = rest[..end].trim_start_matches('0');
        numbers.push_str(if number.is_empty() { "0" } else { number });
        rest = rest[end..].trim_start();
        let joined = JOINTS.iter().find_map(|joint| rest.strip_prefix(joint));
        match joined {
            // 1丁目-2, 3番地の4: two joints.
            Some(after) => {
                let after = after.trim_start();
                rest =
                    JOINTS.iter().find_map(|joint| after.strip_prefix(joint)).unwrap_or(after).trim_start();
            }
            None => break,
        }
    }
    (town.trim_end_matches(['-', ' ']), numbers)
}

/// What joins house numbers, longest first.
const JOINTS: [&str; 22] = [
    "丁目",
    "番地の",
    "番地ノ",
    "番地",
    "番の",
    "番",
    "号室",
    "号",
    "地割",
    "の",
    "ノ",
    "之",
    "-",
    "\u{2010}",
    "\u{2011}",
    "\u{2012}",
    "\u{2013}",
    "\u{2014}",
    "\u{2015}",
    "\u{2212}",
    "ー",
    "–",
];

/// 漢数字 before 丁目, 番, 号, 条 and the like as digits.
fn numerals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while let Some(&c) = chars.get(i) {
        if value(c).is_none() {
            out.push(c);
            i += 1;
            continue;
        }
        let end = (i..chars.len()).find(|&j| value(chars[j]).is_none()).unwrap_or(chars.len());
        let after: String = chars[end..].iter().take(2).collect();
        let counts = after.starts_with("丁目")
            || after.starts_with("番地")
            || (after.starts_with('番') && !after.starts_with("番町"))
            || after.starts_with('号')
            || (after.starts_with('条') && !after.starts_with("条市"))
            || after.starts_with("地割");
        let run = &chars[i..end];
        match counts.then(|| number(run)).flatten() {
            Some(n) => out.push_str(&n.to_string()),
            None => out.extend(run),
        }
        i = end;
    }
    out
}

fn value(c: char) -> Option<u32> {
    Some(match c {
        '〇' => 0,
        '一' | '壱' => 1,
        '二' | '弐' => 2,
        '三' | '参' => 3,
        '四' => 4,
        '五' => 5,
        '六' => 6,
        '七' => 7,
        '八' => 8,
        '九' => 9,
        '十' => 10,
        '百' => 100,
        _ => return None,
    })
}

/// 二十三 = 23, 二三 = 23, 百五 = 105.
fn number(run: &[char]) -> Option<u32> {
    let (mut total, mut current) = (0_u32, 0_u32);
    for c in run {
        match value(*c)? {
            unit @ (10 | 100) => {
                total = total.checked_add(current.max(1) * unit)?;
                current = 0;
            }
            digit => current = current.checked_mul(10)?.checked_add(digit)?,
        }
    }
    total.checked_add(current)
}

const PREFECTURES: [&str; 47] = [
    "北海道",
    "青森県",
    "岩手県",
    "宮城県",
    "秋田県",
    "山形県",
    "福島県",
    "茨城県",
    "栃木県",
    "群馬県",
    "埼玉県",
    "千葉県",
    "東京都",
    "神奈川県",
    "新潟県",
    "富山県",
    "石川県",
    "福井県",
    "山梨県",
    "長野県",
    "岐阜県",
    "静岡県",
    "愛知県",
    "三重県",
    "滋賀県",
    "京都府",
    "大阪府",
    "兵庫県",
    "奈良県",
    "和歌山県",
    "鳥取県",
    "島根県",
    "岡山県",
    "広島県",
    "山口県",
    "徳島県",
    "香川県",
    "愛媛県",
    "高知県",
    "福岡県",
    "佐賀県",
    "長崎県",
    "熊本県",
    "大分県",
    "宮崎県",
    "鹿児島県",
    "沖縄県",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_one() {
        let expected = FoldedAddress {
            town: "静岡市葵区追手町".into(),
            numbers: "1-2-3".into(),
            postal: "4228033".into(),
        };
        for text in [
            "静岡県静岡市葵区追手町一丁目2番3号",
            "静岡県静岡市葵区追手町1丁目2番地の3",
            "静岡県静岡市葵区追手町１−２−３",
            "静岡市葵区追手町1-2-3",
            "静岡県 静岡市 葵区 追手町 1‐2‐3",
            "静岡市葵区追手町1ー2ー3",
            "静岡市葵区追手町1丁目2-3",
            "静岡市葵区追手町１丁目２番地３",
            "静岡市葵区追手町01-02-03",
            "静岡市葵区大字追手町1-2-3",
            "静岡市葵区字追手町1の2の3",
        ] {
            assert_eq!(address(text, "〒422-8033"), expected, "{text}");
        }
    }

    #[test]
    fn what_follows_the_numbers() {
        let one = address("札幌市中央区北一条西3丁目4番地 コーポ5 201号", "");
        assert_eq!((one.town.as_str(), one.numbers.as_str()), ("札幌市中央区北1条西", "3-4"));
        let room = address("港区芝5-6-7-801", "");
        assert_eq!(room.numbers, "5-6-7-801");
        let building = address("港区芝5丁目6番7号 801号室", "");
        assert_eq!(building.numbers, "5-6-7-801");
        let rural = address("盛岡市玉山第12地割34番地5", "");
        assert_eq!(rural.numbers, "12-34-5");
        let number = address("千代田区一番町10", "");
        assert_eq!((number.town.as_str(), number.numbers.as_str()), ("千代田区一番町", "10"));
        assert_eq!(address("中央区八丁堀二丁目三番四号", "").numbers, "2-3-4");
        assert_eq!(address("北区二十三丁目105", "").numbers, "23-105");
        assert_eq!(
            address("山間村", "12-3"),
            FoldedAddress { town: "山間村".into(), ..FoldedAddress::default() }
        );
        assert_eq!(address("", "000-0000"), FoldedAddress::default());
    }
}
