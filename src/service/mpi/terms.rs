//! What of demographics can be searched: names folded by script, birth date, postcode, telephone, account, the
//! mother's name.

use super::search::SOUND;
use crate::matching::fold;
use crate::model::identity::{Demographics, NameUse};
use crate::store::mpi::search::{Name, TermKind, Terms};

/// Names of one identity at most.
const NAMES: usize = 20;

pub(super) fn of(known: &Demographics) -> Terms {
    let mut names: Vec<Name> = known
        .names
        .iter()
        .flatten()
        .filter(|n| n.usage != NameUse::Pseudonym)
        .flat_map(|n| {
            let (family, given) = parts(&n.family, &n.given);
            [
                Name { family: fold::search(family), given: fold::search(given) },
                Name { family: sound(family), given: sound(given) },
            ]
        })
        .filter(|n| !is_empty(&n.family) || !is_empty(&n.given))
        .collect();
    names.sort();
    names.dedup();
    names.truncate(NAMES);
    let birth = known.birth_date.as_deref().map(day).unwrap_or_default();
    // Who has no name is found by the birth date all the same.
    if names.is_empty() && !birth.is_empty() {
        names.push(Name { family: String::new(), given: String::new() });
    }
    let mut terms = vec![];
    for address in known.addresses.iter().flatten() {
        terms.push((TermKind::Postal, postal(&address.postal_code)));
    }
    for number in known.phones.iter().flatten() {
        terms.push((TermKind::Phone, phone(&number.number)));
    }
    if let Some(account) = &known.account {
        terms.push((TermKind::Account, self::account(account)));
    }
    if let Some(mother) = &known.mother_maiden_name {
        let (family, given) = parts(&mother.family, &mother.given);
        terms.push((TermKind::Mother, fold::search(family)));
        terms.push((TermKind::Mother, fold::search(family) + &fold::search(given)));
    }
    terms.retain(|(_, value)| !value.is_empty());
    terms.sort();
    terms.dedup();
    Terms { names, birth, terms }
}

/// A name as it sounds, marked: searches that want likeness ask for these. Kanji have no sound of their own.
pub(super) fn sound(name: &str) -> String {
    let folded = fold::search(name);
    match fold::is_kana(&folded) || fold::is_roman(&folded) {
        true => format!("{SOUND}{}", fold::search_sound(name)),
        false => folded,
    }
}

fn is_empty(name: &str) -> bool {
    name.trim_start_matches(SOUND).is_empty()
}

/// A name sent in one piece, parted where a blank parts it.
pub(super) fn parts<'n>(family: &'n str, given: &'n str) -> (&'n str, &'n str) {
    let family = family.trim();
    match (given.trim(), family.split_once(char::is_whitespace)) {
        ("", Some((family, given))) => (family, given.trim()),
        (given, _) => (family, given),
    }
}

/// `YYYY`, `YYYYMM` or `YYYYMMDD`: what is known of a date.
pub(super) fn day(date: &str) -> String {
    let digits: String = date.chars().take_while(char::is_ascii_digit).take(8).collect();
    let known = match digits.get(4..) {
        Some(rest) if rest.starts_with("00") => 4,
        Some(rest) if rest.len() == 4 && rest.ends_with("00") => 6,
        _ => digits.len(),
    };
    digits.get(..known).unwrap_or_default().to_owned()
}

pub(super) fn postal(text: &str) -> String {
    fold::search(text).chars().filter(char::is_ascii_alphanumeric).collect()
}

pub(super) fn phone(text: &str) -> String {
    fold::phone(text).unwrap_or_else(|| text.chars().filter(char::is_ascii_digit).collect())
}

/// The number of an account (CX.1).
pub(super) fn account(text: &str) -> String {
    text.split('^').next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_cut_to_what_is_known() {
        for (sent, known) in [
            ("19480405", "19480405"),
            ("198306", "198306"),
            ("19830000", "1983"),
            ("19830600", "198306"),
            ("202503310215", "20250331"),
            ("1983", "1983"),
            ("", ""),
        ] {
            assert_eq!(day(sent), known, "{sent}");
        }
    }

    #[test]
    fn names_in_one_piece_are_parted_at_the_blank() {
        assert_eq!(parts("山本　美咲", ""), ("山本", "美咲"));
        assert_eq!(parts("山本美咲", ""), ("山本美咲", ""));
        assert_eq!(parts("山本", "美咲"), ("山本", "美咲"));
        assert_eq!(postal("４２２−８０３３"), "4228033");
    }
}
