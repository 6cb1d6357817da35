//! The survivor view: what is known of a person, from what is known of their identities. Always derived, never
//! edited (patient-identity, 6.7).

use crate::matching::fold;
use crate::model::identity::{Demographics, NameUse, PersonName};

/// An identity's demographics and when they were said last (microseconds since 1970).
pub(super) type Known = (i64, Demographics);

/// What to show of a person.
pub(super) fn of(mut all: Vec<Known>) -> Demographics {
    // The newest first.
    all.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let newest = |get: &dyn Fn(&Demographics) -> bool| all.iter().map(|(_, d)| d).find(|d| get(d)).cloned();
    let mut view = all.first().map(|(_, d)| d.clone()).unwrap_or_default();
    view.names = names(&all);
    view.birth_date = most(all.iter().filter_map(|(_, d)| d.birth_date.as_ref()), |date| {
        // A whole date says more than a year.
        (date.len() >= 8 && !date.ends_with("00")) as usize
    });
    view.sex = most(all.iter().filter_map(|(_, d)| d.sex.as_ref()), |sex| usize::from(sex != "U"));
    view.addresses = newest(&|d| d.addresses.is_some()).and_then(|d| d.addresses);
    view.phones = newest(&|d| d.phones.is_some()).and_then(|d| d.phones);
    view.insurances = newest(&|d| d.insurances.is_some()).and_then(|d| d.insurances);
    view.mother_maiden_name = newest(&|d| d.mother_maiden_name.is_some()).and_then(|d| d.mother_maiden_name);
    view.mother_id = newest(&|d| d.mother_id.is_some()).and_then(|d| d.mother_id);
    view.multiple_birth = newest(&|d| d.multiple_birth.is_some()).and_then(|d| d.multiple_birth);
    view.birth_order = newest(&|d| d.birth_order.is_some()).and_then(|d| d.birth_order);
    view.account = newest(&|d| d.account.is_some()).and_then(|d| d.account);
    // Death from any source is shown, to be checked.
    view.deceased = newest(&|d| d.deceased.is_some()).and_then(|d| d.deceased);
    view
}

/// The commonest value, the more telling and then the newer of several.
fn most<'v>(values: impl Iterator<Item = &'v String>, telling: impl Fn(&str) -> usize) -> Option<String> {
    let values: Vec<&String> = values.collect();
    let times = |value: &String| values.iter().filter(|v| **v == value).count();
    // `max_by_key` takes the last of equals: the newest must come last.
    values.iter().rev().max_by_key(|v| (telling(v), times(v))).map(|v| (*v).clone())
}

/// Names as the legal ones stand most often, then whatever else the person is or was called.
fn names(all: &[Known]) -> Option<Vec<PersonName>> {
    let every: Vec<&PersonName> = all.iter().flat_map(|(_, d)| d.names.iter().flatten()).collect();
    if every.is_empty() {
        return None;
    }
    let folded = |n: &PersonName| (n.script, fold::search(&n.family), fold::search(&n.given));
    let times = |n: &PersonName| {
        let own = folded(n);
        every.iter().filter(|o| o.usage == n.usage && folded(o) == own).count()
    };
    let mut chosen: Vec<PersonName> = vec![];
    let mut by_rank = every.clone();
    by_rank.sort_by_key(|n| (n.usage != NameUse::Legal, std::cmp::Reverse(times(n))));
    for name in by_rank {
        // One way of writing stands for all that differ by variants: the richest, which the fewest systems have.
        match chosen.iter_mut().find(|c| c.usage == name.usage && folded(c) == folded(name)) {
            Some(same) if rarity(name) > rarity(same) => *same = name.clone(),
            Some(_) => {}
            None => chosen.push(name.clone()),
        }
    }
    Some(chosen)
}

/// Characters that folding would change: 髙 says more than 高.
fn rarity(name: &PersonName) -> usize {
    let text = format!("{}{}", name.family, name.given);
    text.chars().zip(fold::search(&text).chars()).filter(|(a, b)| a != b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::identity::NameScript;

    fn person(at: i64, family: &str, birth: &str, sex: &str) -> Known {
        let name = PersonName {
            family: family.into(),
            given: "美咲".into(),
            script: Some(NameScript::Ideographic),
            ..PersonName::default()
        };
        let known = Demographics {
            names: Some(vec![name]),
            birth_date: Some(birth.into()),
            sex: Some(sex.into()),
            ..Demographics::default()
        };
        (at, known)
    }

    #[test]
    fn what_most_say_is_shown_and_the_richest_writing() {
        let view = of(vec![
            person(1, "高橋", "19880302", "F"),
            person(2, "髙橋", "19880302", "F"),
            person(3, "山本", "1988", "U"),
        ]);
        let names = view.names.unwrap();
        assert_eq!(names[0].family, "髙橋");
        assert!(names.iter().any(|n| n.family == "山本") && names.len() == 2);
        assert_eq!((view.birth_date.as_deref(), view.sex.as_deref()), (Some("19880302"), Some("F")));
        // Of two that are as common, the newer.
        let view = of(vec![person(1, "a", "19880302", "F"), person(2, "a", "19880303", "F")]);
        assert_eq!(view.birth_date.as_deref(), Some("19880303"));
        assert_eq!(of(vec![]), Demographics::default());
    }
}
