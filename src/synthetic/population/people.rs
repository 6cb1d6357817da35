//! Persons in households, and what becomes of them: addresses, family names, telephones, insurance.

use jiff::civil::Date;

use super::Settings;
use super::names::{self, Name, Names};
use super::places::{self, Address, Region};
use crate::synthetic::SplitMix64;
use crate::synthetic::people::Sex;

/// The day the population is looked at.
pub(super) const TODAY: Date = jiff::civil::date(2026, 4, 1);
/// Registrations begin.
pub(super) const FIRST_YEAR: i16 = 2012;

/// 被保険者証 as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Card {
    pub insurer: String,
    pub symbol: String,
    pub number: String,
    pub branch: u8,
}

/// Something that holds from a day on.
#[derive(Debug, Clone)]
pub(super) struct From<T> {
    pub since: Date,
    pub value: T,
}

#[derive(Debug, Clone)]
pub struct Person {
    pub(super) sex: Sex,
    pub(super) birth: Date,
    pub(super) given: Name,
    pub(super) families: Vec<From<Name>>,
    pub(super) addresses: Vec<From<Address>>,
    /// By address; none since nobody has one any more.
    pub(super) landlines: Vec<Option<String>>,
    pub(super) mobiles: Vec<From<String>>,
    pub(super) cards: Vec<From<Card>>,
    /// 通称名.
    pub(super) alias: Option<(Name, Name)>,
    /// Latin letters of family and given name.
    pub(super) latin: Option<(&'static str, &'static str)>,
    /// Born together with another, as which.
    pub(super) order: Option<u8>,
    /// How many registrations there are.
    pub(super) registrations: u8,
}

impl Person {
    /// Part of a multiple birth.
    pub fn is_twin(&self) -> bool {
        self.order.is_some()
    }
}

/// What held at a day, and which it is.
pub(super) fn at<T>(values: &[From<T>], day: Date) -> Option<(u8, &T)> {
    let n = values.iter().rposition(|v| v.since <= day).unwrap_or(0);
    values.get(n).map(|v| (n as u8, &v.value))
}

fn day(rng: &mut SplitMix64, year: i16) -> Date {
    let first = jiff::civil::date(year.clamp(1900, 2026), 1, 1);
    first.saturating_add(jiff::Span::new().days(rng.range(0, 364)))
}

/// The years of birth of those who are looked after: old people are many.
fn year(rng: &mut SplitMix64) -> i16 {
    let age = match rng.below(100) {
        0..=8 => rng.range(0, 14),
        9..=20 => rng.range(15, 29),
        21..=40 => rng.range(30, 49),
        41..=62 => rng.range(50, 66),
        63..=86 => rng.range(67, 81),
        _ => rng.range(82, 100),
    };
    (2026 - age) as i16
}

pub(super) fn invent(settings: Settings, names: &Names, region: &Region) -> Vec<Person> {
    let mut people: Vec<Person> = vec![];
    let mut household = 0;
    while (people.len() as u64) < settings.persons {
        let mut rng = SplitMix64::derived(settings.seed, 41, household);
        household += 1;
        let family = Household::invent(&mut rng, names, region);
        people.extend(family.members(&mut rng, names, region));
    }
    people.truncate(settings.persons as usize);
    plant(settings, names, region, &mut people);
    people
}

/// Some are given the name, sex and birth date of another, or nearly the birth date.
fn plant(settings: Settings, names: &Names, region: &Region, people: &mut [Person]) {
    let mut rng = SplitMix64::derived(settings.seed, 43, 0);
    let n = people.len() as u64;
    for _ in 0..n * settings.planted / 1000 {
        let (one, other) = (rng.below(n) as usize, rng.below(n) as usize);
        if one == other || people[one].latin.is_some() || people[other].latin.is_some() {
            continue;
        }
        let original = people[one].clone();
        let near = rng.chance(40);
        let shift = jiff::Span::new().days(rng.range(1, 9));
        let family = original.families.first().map(|f| f.value.clone()).unwrap_or_default();
        let home = Household { family, ..Household::invent(&mut rng, names, region) };
        let birth = if near { original.birth.saturating_add(shift) } else { original.birth };
        let mut copy = home.member(&mut rng, names, region, original.sex, birth, 0);
        copy.given = original.given.clone();
        copy.alias = None;
        people[other] = copy;
    }
}

struct Household {
    family: Name,
    addresses: Vec<From<Address>>,
    landlines: Vec<Option<String>>,
    /// 国保 or the employer of who earns.
    cards: Vec<From<Card>>,
}

impl Household {
    fn invent(rng: &mut SplitMix64, names: &Names, region: &Region) -> Self {
        let mut addresses = vec![From { since: day(rng, 1980), value: region.address(rng, None) }];
        let mut year = FIRST_YEAR - 4;
        while year < 2026 {
            year += rng.range(1, 30) as i16;
            if year < 2026 && rng.chance(55) {
                let near = addresses.last().map(|a| a.value.city).filter(|_| rng.chance(60));
                addresses.push(From { since: day(rng, year), value: region.address(rng, near) });
            }
        }
        let mut landline = rng.chance(70).then(|| region.landline(rng, &addresses[0].value));
        let mut landlines = vec![];
        for (n, address) in addresses.iter().enumerate() {
            if n > 0 && landline.is_some() && rng.chance(80) {
                landline = rng.chance(75).then(|| region.landline(rng, &address.value));
            }
            landlines.push(landline.clone());
        }
        let mut cards = vec![From { since: day(rng, 2000), value: card(rng) }];
        let mut year = FIRST_YEAR - 4;
        while year < 2026 {
            year += rng.range(2, 24) as i16;
            if year < 2026 {
                cards.push(From { since: day(rng, year), value: card(rng) });
            }
        }
        Self { family: names.family(rng), addresses, landlines, cards }
    }

    fn members(self, rng: &mut SplitMix64, names: &Names, region: &Region) -> Vec<Person> {
        if rng.chance(2) {
            return vec![self.foreigner(rng, names, region)];
        }
        let born = year(rng).min(2006);
        let head = if rng.chance(70) { Sex::Male } else { Sex::Female };
        let date = day(rng, born);
        let first = self.member(rng, names, region, head, date, 0);
        let mut members = vec![first];
        if head == Sex::Male && rng.chance(62) {
            let since = born + rng.range(-6, 4) as i16;
            let date = day(rng, since.min(2006));
            let mut wife = self.member(rng, names, region, Sex::Female, date, 1);
            // She bore another name before; most of the changes are long past.
            let age = rng.range(22, 36) as i16;
            let married = day(rng, born.max(since) + age);
            if married < TODAY {
                let maiden = names.family(rng);
                wife.families = vec![
                    From { since: wife.birth, value: maiden },
                    From { since: married, value: self.family.clone() },
                ];
                wife.addresses.retain(|a| a.since > married);
                let before = From { since: wife.birth, value: region.address(rng, None) };
                let here = at(&self.addresses, married).map(|(n, a)| (n, *a));
                wife.landlines = vec![Some(region.landline(rng, &before.value))];
                if let Some((n, address)) = here {
                    wife.addresses.insert(0, From { since: married, value: address });
                    let rest = self.landlines.iter().skip(usize::from(n)).cloned();
                    wife.landlines.extend(rest);
                }
                wife.addresses.insert(0, before);
            }
            members.push(wife);
        }
        let most = match members.len() {
            1 => rng.below(100) / 72,
            _ => [0, 1, 1, 2, 2, 3][rng.below(6) as usize],
        };
        let mut n = 0;
        let mut at_age = 24 + rng.range(0, 8) as i16;
        while n < most && born + at_age <= 2025 {
            let twins = rng.chance(1);
            let date = day(rng, born + at_age);
            let sex = if rng.chance(51) { Sex::Male } else { Sex::Female };
            let branch = members.len() as u8;
            let mut child = self.member(rng, names, region, sex, date, branch);
            if date.year() < 2004 && rng.chance(70) {
                child.leave(rng, names, region);
            }
            // A name may run in the family: read otherwise, or written otherwise.
            if sex == Sex::Male && members[0].sex == Sex::Male && rng.below(400) == 0 {
                child.given.kana = members[0].given.kana.clone();
                child.given.kanji = names.given(rng, sex, date.year()).kanji;
            } else if sex == Sex::Male && members[0].sex == Sex::Male && rng.below(400) == 0 {
                child.given = members[0].given.clone();
            }
            if twins {
                let sex = if rng.chance(70) { sex } else { Sex::Female };
                let mut twin = self.member(rng, names, region, sex, date, branch + 1);
                twin.given = names.twin(rng, sex, date.year(), &child.given);
                (child.order, twin.order) = (Some(1), Some(2));
                if child.addresses.len() > self.addresses.len() {
                    twin.leave(rng, names, region);
                }
                members.push(twin);
            }
            members.push(child);
            n += 1;
            at_age += rng.range(1, 5) as i16;
        }
        members
    }

    fn member(
        &self,
        rng: &mut SplitMix64,
        names: &Names,
        region: &Region,
        sex: Sex,
        birth: Date,
        branch: u8,
    ) -> Person {
        let given = names.given(rng, sex, birth.year());
        let mut cards: Vec<From<Card>> = self.cards.clone();
        for card in &mut cards {
            card.value.branch = branch;
        }
        // 後期高齢者医療 from the 75th birthday on: a number of one's own.
        let old = birth.saturating_add(jiff::Span::new().years(75));
        if old < TODAY {
            cards.retain(|c| c.since < old);
            let number = format!("{:08}", rng.range(10_000_000, 99_999_999));
            let value = Card { insurer: insurer(39, 990), symbol: String::new(), number, branch: 0 };
            cards.push(From { since: old, value });
        }
        let mut mobiles = vec![From { since: birth, value: places::mobile(rng) }];
        if rng.chance(12) {
            let changed = rng.range(2013, 2025) as i16;
            mobiles.push(From { since: day(rng, changed), value: places::mobile(rng) });
        }
        let _ = region;
        Person {
            sex,
            birth,
            given,
            families: vec![From { since: birth, value: self.family.clone() }],
            addresses: self.addresses.clone(),
            landlines: self.landlines.clone(),
            mobiles,
            cards,
            alias: None,
            latin: None,
            order: None,
            registrations: registrations(rng),
        }
    }

    fn foreigner(&self, rng: &mut SplitMix64, names: &Names, region: &Region) -> Person {
        let sex = if rng.chance(50) { Sex::Male } else { Sex::Female };
        let born = year(rng).min(2004);
        let date = day(rng, born);
        let mut person = self.member(rng, names, region, sex, date, 0);
        let (family, given) = if rng.chance(60) {
            let (family, given) = (rng.pick(names::LATIN), rng.pick(names::LATIN_GIVEN));
            person.latin = Some((family.0, given.0));
            (family, given)
        } else {
            (rng.pick(names::CHINESE), rng.pick(names::CHINESE_GIVEN))
        };
        let name = |(kanji, kana): &(&str, &str)| Name { kanji: (*kanji).into(), kana: (*kana).into() };
        person.families[0].value = name(family);
        person.given = name(given);
        if rng.chance(30) {
            person.alias = Some((names.family(rng), names.given(rng, sex, born)));
        }
        person
    }
}

impl Person {
    /// Moves out of the parents' house, to an employer of one's own; daughters may marry.
    fn leave(&mut self, rng: &mut SplitMix64, names: &Names, region: &Region) {
        let born = self.birth.year();
        let age = rng.range(18, 27) as i16;
        let since = day(rng, born + age);
        if since >= TODAY {
            return;
        }
        self.addresses.retain(|a| a.since < since);
        self.landlines.truncate(self.addresses.len());
        self.addresses.push(From { since, value: region.address(rng, None) });
        self.landlines.push(None);
        self.cards.retain(|c| c.since < since);
        self.cards.push(From { since, value: card(rng) });
        let mut moved = since.year();
        loop {
            moved += rng.range(2, 12) as i16;
            if moved >= 2026 {
                break;
            }
            let address = From { since: day(rng, moved), value: region.address(rng, None) };
            self.landlines.push(rng.chance(25).then(|| region.landline(rng, &address.value)));
            self.addresses.push(address);
            if rng.chance(40) {
                self.cards.push(From { since: day(rng, moved), value: card(rng) });
            }
        }
        if self.sex == Sex::Female && rng.chance(65) {
            let age = rng.range(23, 36) as i16;
            let married = day(rng, born + age);
            if married < TODAY {
                self.families.push(From { since: married, value: names.family(rng) });
            }
        }
    }
}

/// Most are known at one facility, few at many.
fn registrations(rng: &mut SplitMix64) -> u8 {
    match rng.below(100) {
        0..=51 => 1,
        52..=79 => 2,
        80..=92 => 3,
        93..=97 => 4,
        _ => 5,
    }
}

/// 国保 of a municipality, 協会けんぽ, or a 健康保険組合.
fn card(rng: &mut SplitMix64) -> Card {
    match rng.below(10) {
        0..=3 => Card {
            insurer: insurer(0, 900 + rng.below(24)),
            symbol: if rng.chance(50) { String::new() } else { format!("カ{}", rng.range(1, 40)) },
            number: format!("{}", rng.range(100_000, 9_999_999)),
            branch: 0,
        },
        4..=7 => Card {
            insurer: insurer(1, 990 + rng.below(4)),
            symbol: format!("{}", rng.range(10_000_000, 99_999_999)),
            number: format!("{}", rng.range(1, 400)),
            branch: 0,
        },
        _ => Card {
            insurer: insurer(6, rng.range(100, 999).unsigned_abs()),
            symbol: format!("{}", rng.range(1, 999)),
            number: format!("{}", rng.range(1, 99_999)),
            branch: 0,
        },
    }
}

/// 法別番号, a prefecture that does not exist, the insurer, and the check digit.
fn insurer(law: u64, number: u64) -> String {
    let digits = format!("{law:02}99{number:03}");
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(n, d)| u32::from(d - b'0') * if n % 2 == 0 { 2 } else { 1 })
        .map(|d| d / 10 + d % 10)
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}
