use std::collections::BTreeMap;

use super::*;

fn population() -> Population {
    Population::generate(Settings::of(7, 4000))
}

#[test]
fn the_same_seed_gives_the_same_region() {
    let (a, b) = (population(), population());
    assert!(a.registrations().eq(b.registrations()));
    let other = Population::generate(Settings::of(8, 4000));
    assert!(!a.registrations().take(50).eq(other.registrations().take(50)));
    assert_eq!(a.registrations().count(), a.len());
}

#[test]
fn every_kind_befalls_somebody() {
    let population = Population::generate(Settings { errors: 3.0, ..Settings::of(7, 20_000) });
    let mut seen = Kinds::default();
    let mut first: BTreeMap<u32, Truth> = BTreeMap::new();
    for registration in population.registrations() {
        let truth = registration.truth;
        seen = seen.all(truth.kinds);
        if let Some(other) = first.insert(truth.person, truth) {
            seen = seen.all(truth.between(&other));
        }
    }
    let missing: Vec<Kind> = Kind::ALL.into_iter().filter(|k| !seen.has(*k)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn people_live_in_households_and_some_are_twins() {
    let population = population();
    let twins = population.people().iter().filter(|p| p.is_twin()).count();
    assert!((8..200).contains(&twins), "{twins}");
    let per_person = population.len() as f64 / population.people().len() as f64;
    assert!((1.5..2.2).contains(&per_person), "{per_person}");
}

#[test]
fn ids_are_each_ones_own_at_a_facility() {
    let population = population();
    let mut seen = std::collections::BTreeSet::new();
    for registration in population.registrations() {
        assert!(seen.insert((registration.truth.facility, registration.id)));
    }
}

#[test]
fn frequencies_are_those_of_the_country() {
    let population = Population::generate(Settings::of(3, 20_000));
    let sato =
        population.people().iter().filter(|p| p.families.iter().any(|f| f.value.kanji == "佐藤")).count();
    // 1.5 %; a household shares the name.
    assert!((150..700).contains(&sato), "{sato}");
}
