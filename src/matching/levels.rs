//! How two values of a field agree: levels, without weights.

use super::features::{AddressSpans, Features, KANA, NameSpans, PLAIN, SOUND, Span, WRITTEN};
use super::fold::{self, Birth, WILDCARD};
use super::score::Level;

/// Levels of family and given name in one script.
pub(super) type Pair = (Level, Level);

/// Names in kana.
pub(super) fn kana(left: &Features, a: &NameSpans, right: &Features, b: &NameSpans) -> Pair {
    let part = |form: usize| {
        let one = (left.get(a.family[form]), left.get(a.given[form]));
        (one, (right.get(b.family[form]), right.get(b.given[form])))
    };
    let (one, other) = part(SOUND);
    let (kana_one, kana_other) = part(KANA);
    if (one.0.is_empty() && one.1.is_empty()) || (other.0.is_empty() && other.1.is_empty()) {
        return (Level::Missing, Level::Missing);
    }
    if undivided(a, one) || undivided(b, other) {
        let equal = joined_equal(kana_one, kana_other);
        return joined(one, other, |a, b| if equal { Level::Equal } else { sounds("", "", a, b) });
    }
    let family = sounds(kana_one.0, kana_other.0, one.0, other.0);
    let given = sounds(kana_one.1, kana_other.1, one.1, other.1);
    swapped((family, given), one, other)
}

/// Names as written.
pub(super) fn written(left: &Features, a: &NameSpans, right: &Features, b: &NameSpans) -> Pair {
    let part = |form: usize| {
        let one = (left.get(a.family[form]), left.get(a.given[form]));
        (one, (right.get(b.family[form]), right.get(b.given[form])))
    };
    let (one, other) = part(PLAIN);
    let (raw_one, raw_other) = part(WRITTEN);
    if (one.0.is_empty() && one.1.is_empty()) || (other.0.is_empty() && other.1.is_empty()) {
        return (Level::Missing, Level::Missing);
    }
    if undivided(a, one) || undivided(b, other) {
        let equal = joined_equal(raw_one, raw_other);
        return joined(one, other, |a, b| if equal { Level::Equal } else { characters("", "", a, b) });
    }
    let family = characters(raw_one.0, raw_other.0, one.0, other.0);
    let given = characters(raw_one.1, raw_other.1, one.1, other.1);
    swapped((family, given), one, other)
}

/// A whole name in one piece.
fn undivided(name: &NameSpans, (family, given): (&str, &str)) -> bool {
    given.is_empty() && !family.is_empty() && !name.newborn
}

fn joined_equal((f, g): (&str, &str), (f2, g2): (&str, &str)) -> bool {
    let chars = |a: &str, b: &str| a.len() + b.len();
    chars(f, g) == chars(f2, g2) && f.bytes().chain(g.bytes()).eq(f2.bytes().chain(g2.bytes()))
}

/// Names of which one is not divided: where the other one's family name begins it, the rest is the given name.
fn joined(one: (&str, &str), other: (&str, &str), level: impl Fn(&str, &str) -> Level) -> Pair {
    // A rest that is empty: only the family name was sent.
    let rest = |whole: &str, (family, given): (&str, &str)| {
        let rest = whole.strip_prefix(family)?;
        Some(match (rest.is_empty(), given.is_empty()) {
            (false, false) => (level(family, family), level(rest, given)),
            _ => (level(family, family), Level::Missing),
        })
    };
    match (one, other) {
        ((a, ""), (b, "")) => {
            let level = level(a, b);
            (level, level)
        }
        ((whole, ""), divided) | (divided, (whole, "")) => {
            let none = || {
                let given = match whole.ends_with(divided.1) {
                    true => level(divided.1, divided.1),
                    false => Level::Differs,
                };
                (Level::Differs, given)
            };
            rest(whole, divided).unwrap_or_else(none)
        }
        _ => (Level::Missing, Level::Missing),
    }
}

/// Family and given name exchanged outweighs that neither agrees.
fn swapped(levels: Pair, one: (&str, &str), other: (&str, &str)) -> Pair {
    let differ = !is_same(levels.0) && !is_same(levels.1);
    let crossed = !one.0.is_empty() && !one.1.is_empty() && one.0 == other.1 && one.1 == other.0;
    if differ && crossed { (Level::Swapped, Level::Swapped) } else { levels }
}

/// Whether a level speaks for one and the same name.
pub fn is_same(level: Level) -> bool {
    matches!(level, Level::Equal | Level::Sound | Level::Variant | Level::Swapped)
}

fn sounds(kana: &str, other_kana: &str, sound: &str, other: &str) -> Level {
    match () {
        () if sound.is_empty() || other.is_empty() => Level::Missing,
        () if !kana.is_empty() && kana == other_kana => Level::Equal,
        () if sound == other => Level::Sound,
        // One side came in Latin letters.
        () if kana.is_empty() != other_kana.is_empty()
            && fold::without_apostrophe(sound) == fold::without_apostrophe(other) =>
        {
            Level::Sound
        }
        () if one_edit(sound, other) || voiceless_equal(sound, other) => Level::Near,
        () => Level::Differs,
    }
}

fn voiceless_equal(a: &str, b: &str) -> bool {
    a.len() == b.len() && fold::voiceless(a) == fold::voiceless(b)
}

fn characters(raw: &str, other_raw: &str, plain: &str, other: &str) -> Level {
    if plain.is_empty() || other.is_empty() {
        return Level::Missing;
    }
    if !raw.is_empty() && raw == other_raw && !raw.contains(WILDCARD) {
        return Level::Equal;
    }
    // Only now, as most names end above or differ: kana or Latin letters in the place of kanji tell nothing.
    if fold::is_han(plain) != fold::is_han(other) || plain.is_ascii() != other.is_ascii() {
        return Level::Missing;
    }
    match unreadable(plain, other) {
        Some(level) => level,
        None if plain == other => Level::Variant,
        None if plain.chars().any(|c| other.contains(c)) => Level::Partly,
        None => Level::Differs,
    }
}

/// Names with a character nobody could read, if one is: the others decide, place by place.
fn unreadable(a: &str, b: &str) -> Option<Level> {
    if !a.contains(WILDCARD) && !b.contains(WILDCARD) {
        return None;
    }
    if a.chars().count() != b.chars().count() {
        return Some(Level::Missing);
    }
    let mut same = 0;
    for (x, y) in a.chars().zip(b.chars()) {
        match () {
            () if x == WILDCARD || y == WILDCARD => {}
            () if x == y => same += 1,
            () => return Some(Level::Differs),
        }
    }
    Some(if same > 0 { Level::Variant } else { Level::Missing })
}

/// Whether one insertion, deletion, substitution, or exchange of neighbours makes one the other.
pub(super) fn one_edit(a: &str, b: &str) -> bool {
    if a.len().abs_diff(b.len()) > 4 {
        return false;
    }
    let head = a.chars().zip(b.chars()).take_while(|(x, y)| x == y).map(|(x, _)| x.len_utf8()).sum::<usize>();
    let (Some(a), Some(b)) = (a.get(head..), b.get(head..)) else { return false };
    let tail = |text: &'_ str| text.chars().next().map_or(0, char::len_utf8);
    let (x, y) = (tail(a), tail(b));
    let (Some(a_rest), Some(b_rest)) = (a.get(x..), b.get(y..)) else { return false };
    if a_rest == b_rest || a == b_rest || a_rest == b {
        return true;
    }
    // Neighbours exchanged.
    let mut left = a.chars();
    let mut right = b.chars();
    let (a0, a1, b0, b1) = (left.next(), left.next(), right.next(), right.next());
    a0.is_some() && a0 == b1 && a1 == b0 && left.eq(right)
}

pub(super) fn birth(a: Option<Birth>, b: Option<Birth>) -> Level {
    let (Some(a), Some(b)) = (a, b) else { return Level::Missing };
    if a == b {
        return if a.is_whole() { Level::Equal } else { Level::Known };
    }
    if !a.is_whole() || !b.is_whole() {
        let months = a.month == 0 || b.month == 0 || a.month == b.month;
        return if a.year == b.year && months { Level::Known } else { Level::Differs };
    }
    let (x, y) = (a.digits(), b.digits());
    let wrong: u32 = x.iter().zip(&y).map(|(p, q)| u32::from(p != q)).sum();
    let at = x.iter().zip(&y).position(|(p, q)| p != q).unwrap_or(0);
    let exchanged = wrong == 2 && x.get(at) == y.get(at + 1) && x.get(at + 1) == y.get(at);
    let turned = a.year == b.year && a.month == b.day && a.day == b.month;
    match () {
        () if wrong == 1 || exchanged || turned => Level::Near,
        () if a.month == b.month && a.day == b.day => Level::Partly,
        // 1 January stands for "nobody knows".
        () if a.year == b.year && [a, b].iter().any(|d| (d.month, d.day) == (1, 1)) => Level::Partly,
        () => Level::Differs,
    }
}

/// The best of all pairs, and which.
pub(super) fn address(left: &Features, right: &Features) -> (Level, usize, usize) {
    let mut best = (Level::Missing, 0, 0);
    for (i, a) in left.addresses.iter().enumerate() {
        for (j, b) in right.addresses.iter().enumerate() {
            let level = one_address(left, a, right, b);
            if rank(level) > rank(best.0) {
                best = (level, i, j);
            }
        }
    }
    best
}

fn rank(level: Level) -> u8 {
    match level {
        Level::Missing => 0,
        Level::Differs => 1,
        Level::Partly | Level::Near => 2,
        Level::Known => 3,
        _ => 4,
    }
}

fn one_address(left: &Features, a: &AddressSpans, right: &Features, b: &AddressSpans) -> Level {
    let (town, other) = (left.get(a.town), right.get(b.town));
    let (numbers, other_numbers) = (left.get(a.numbers), right.get(b.numbers));
    let (postal, other_postal) = (left.get(a.postal), right.get(b.postal));
    let same_postal = !postal.is_empty() && postal == other_postal;
    if town.is_empty() || other.is_empty() {
        return match () {
            () if same_postal => Level::Partly,
            () if postal.is_empty() || other_postal.is_empty() => Level::Missing,
            () => Level::Differs,
        };
    }
    let same_town = (town.len() >= 6 && other.ends_with(town)) || (other.len() >= 6 && town.ends_with(other));
    let same_numbers = numbers_agree(numbers, other_numbers);
    match () {
        () if same_numbers && (same_town || same_postal) => Level::Equal,
        // The municipality has another name now; the end of the town and two numbers stayed.
        () if same_numbers
            && numbers.contains('-')
            && other_numbers.contains('-')
            && common_end(town, other) >= 2 =>
        {
            Level::Known
        }
        () if same_town || same_postal => Level::Partly,
        () => Level::Differs,
    }
}

/// Equal, or one goes on to the room where the other ends.
fn numbers_agree(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if short.is_empty() {
        return false;
    }
    match long.strip_prefix(short) {
        Some("") => true,
        Some(rest) => rest.starts_with('-') && short.contains('-'),
        None => false,
    }
}

fn common_end(a: &str, b: &str) -> usize {
    a.chars().rev().zip(b.chars().rev()).take_while(|(x, y)| x == y).count()
}

/// The best of all pairs, and which.
pub(super) fn phone(left: &Features, right: &Features) -> (Level, usize, usize) {
    let mut best = (Level::Missing, 0, 0);
    for (i, a) in left.phones.iter().enumerate() {
        for (j, b) in right.phones.iter().enumerate() {
            let level = one_phone(left.get(*a), right.get(*b));
            if rank(level) > rank(best.0) {
                best = (level, i, j);
            }
        }
    }
    best
}

/// A mobile number says nothing about a fixed one.
fn one_phone(a: &str, b: &str) -> Level {
    match () {
        () if a == b => Level::Equal,
        () if a.len() == b.len() && one_edit(a, b) => Level::Near,
        () if fold::is_mobile(a) == fold::is_mobile(b) => Level::Differs,
        () => Level::Missing,
    }
}

/// The best of all pairs, and which. `Partly`: another branch under the same number, which is somebody else.
pub(super) fn insurance(left: &Features, right: &Features) -> (Level, usize, usize) {
    let mut best = (Level::Missing, 0, 0);
    for (i, a) in left.insurances.iter().enumerate() {
        for (j, b) in right.insurances.iter().enumerate() {
            let level = match (left.get(a.branch), right.get(b.branch)) {
                _ if left.get(a.key) != right.get(b.key) => Level::Differs,
                ("", _) | (_, "") => Level::Known,
                (one, other) if one == other => Level::Equal,
                _ => Level::Partly,
            };
            if rank(level) > rank(best.0) {
                best = (level, i, j);
            }
        }
    }
    best
}

/// The spans of a name for an explanation: the richest form there is.
pub(super) fn shown<'a>(features: &'a Features, forms: &[Span; 4], kana: bool) -> &'a str {
    let (first, second) = if kana { (KANA, SOUND) } else { (WRITTEN, PLAIN) };
    match features.get(forms[first]) {
        "" => features.get(forms[second]),
        text => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Option<Birth> {
        fold::birth(text)
    }

    #[test]
    fn birth_dates() {
        for (a, b, level) in [
            ("19800302", "19800302", Level::Equal),
            ("19800302", "19800303", Level::Near),
            ("19800312", "19800321", Level::Near),
            ("19800302", "19800203", Level::Near),
            ("19800302", "19900302", Level::Near),
            ("19531105", "19351105", Level::Near),
            // 昭和/平成.
            ("19560302", "20190302", Level::Partly),
            ("19800302", "19800101", Level::Partly),
            ("19800302", "198003", Level::Known),
            ("19800302", "1980", Level::Known),
            ("1980", "1980", Level::Known),
            ("19800302", "1981", Level::Differs),
            ("19800302", "19810417", Level::Differs),
            ("19800302", "", Level::Missing),
        ] {
            assert_eq!(birth(date(a), date(b)), level, "{a} {b}");
            assert_eq!(birth(date(b), date(a)), level, "{b} {a}");
        }
    }

    #[test]
    fn one_edit_is_one() {
        for (a, b) in
            [("ユミ", "ユリ"), ("タロ", "タロウ"), ("アキ", "キ"), ("ハナコ", "ナハコ"), ("ア", "イ")]
        {
            assert!(one_edit(a, b) && one_edit(b, a), "{a} {b}");
        }
        for (a, b) in [("ユミコ", "ユリカ"), ("タロ", "ジロウ"), ("ハナコ", "コハナ"), ("アキ", "")]
        {
            assert!(!one_edit(a, b) && !one_edit(b, a), "{a} {b}");
        }
    }

    #[test]
    fn numbers_go_on_to_the_room() {
        assert!(
            numbers_agree("1-2-3", "1-2-3") && numbers_agree("1-2-3", "1-2-3-405") && numbers_agree("7", "7")
        );
        assert!(!numbers_agree("1-2", "1-23") && !numbers_agree("1", "1-2") && !numbers_agree("", ""));
    }

    #[test]
    fn written_names() {
        for (a, b, level) in [
            ("髙橋", "髙橋", Level::Equal),
            ("髙橋", "高橋", Level::Variant),
            ("斎藤", "斉藤", Level::Variant),
            ("〓橋", "高橋", Level::Variant),
            ("〓", "高", Level::Missing),
            ("〓橋", "高梨", Level::Differs),
            ("高橋", "高梨", Level::Partly),
            ("高橋", "鈴木", Level::Differs),
            ("高橋", "タカハシ", Level::Missing),
            ("高橋", "TAKAHASHI", Level::Missing),
            ("SMITH", "スミス", Level::Missing),
            ("", "高橋", Level::Missing),
        ] {
            assert_eq!(characters(a, b, &fold::variants(a), &fold::variants(b)), level, "{a} {b}");
        }
    }
}
