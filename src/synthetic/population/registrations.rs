//! How facilities write down who came: each in its way, at its time.

use jiff::civil::Date;

use super::errors::{self, Draft};
use super::names::hiragana;
use super::people::{self, FIRST_YEAR, Person, TODAY};
use super::places::{self, PREFECTURE, building};
use super::{Kind, Kinds, Population, Registration, Truth};
use crate::model::identity::{
    Address, Demographics, Insurance, NameScript, NameUse, PersonName, Phone, PhoneUse,
};
use crate::synthetic::SplitMix64;
use crate::synthetic::people::Sex;

/// A facility's system and habits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// JIS X 0208 only: 髙 becomes 高, others 〓.
    pub jis: bool,
    pub half_width: bool,
    /// Family and given name in one piece with a blank.
    pub one_piece: bool,
    /// `1-2-3` rather than 一丁目2番3号; with the prefecture; with the postcode's hyphen.
    pub short_address: bool,
    pub prefecture: bool,
    pub hyphens: bool,
    pub branch: bool,
    pub insurance: bool,
    pub updated: bool,
    /// 10, 9 or 8 digits.
    pub digits: usize,
}

impl Style {
    fn of(seed: u64, facility: u16) -> Self {
        let mut rng = SplitMix64::derived(seed, 53, u64::from(facility));
        Self {
            jis: rng.chance(45),
            half_width: rng.chance(25),
            one_piece: rng.chance(12),
            short_address: rng.chance(55),
            prefecture: rng.chance(60),
            hyphens: rng.chance(70),
            branch: rng.chance(45),
            insurance: rng.chance(88),
            updated: rng.chance(50),
            digits: *rng.pick(&[10, 9, 8]),
        }
    }
}

impl Population {
    /// Registration `n` of a person.
    pub(super) fn registration(&self, person: u32, n: u8) -> Option<Registration> {
        let p = self.people.get(person as usize)?;
        let seed = self.settings.seed;
        let mut rng = SplitMix64::derived(seed, 61 + u64::from(n), u64::from(person));
        let day = self.day(&mut rng, p, n);
        let (address_at, address) = people::at(&p.addresses, day)?;
        let facility = self.facility(&mut rng, person, p, n);
        let style = Style::of(seed, facility);
        let (family_at, family) = people::at(&p.families, day)?;
        let (card_at, card) = people::at(&p.cards, day)?;
        let (phone_at, mobile) = people::at(&p.mobiles, day)?;
        let mut kinds = Kinds::default();

        let mut draft = Draft {
            family: family.clone(),
            given: p.given.clone(),
            birth: Some(p.birth.strftime("%Y%m%d").to_string()),
            sex: Some(p.sex),
            landline: p.landlines.get(usize::from(address_at)).cloned().flatten(),
            mobile: (p.birth < day.saturating_sub(jiff::Span::new().years(13))).then(|| mobile.clone()),
            ..Draft::default()
        };
        // Before it has a name.
        if day < p.birth.saturating_add(jiff::Span::new().days(14)) {
            kinds.add(Kind::Newborn);
            let given = *rng.pick(&["ベビー", "児", "女児", "男児", "第1子", "ベビーA"]);
            draft.given.kanji = given.into();
            draft.given.kana = if rng.chance(50) { "ベビー".into() } else { String::new() };
        }
        let mut alias = None;
        if let Some((family, given)) = &p.alias {
            match rng.below(10) {
                // Only the alias, only the name of the passport, or both.
                0..=3 => {
                    kinds.add(Kind::Alias);
                    (draft.family, draft.given) = (family.clone(), given.clone());
                }
                4..=6 => kinds.add(Kind::Alias),
                _ => alias = Some((family.clone(), given.clone())),
            }
        }
        if p.latin.is_some() && !kinds.has(Kind::Alias) {
            kinds.add(Kind::Roman);
            // Latin letters, or kana, where the kanji go.
            if rng.chance(40) {
                (draft.family.kanji, draft.given.kanji) =
                    (draft.family.kana.clone(), draft.given.kana.clone());
            }
        }
        errors::befall(&mut rng, self.settings.errors, &self.names, &style, &mut draft, &mut kinds);
        let truth = Truth {
            person,
            facility,
            kinds,
            address: address_at,
            family: family_at,
            insurance: card_at,
            phone: phone_at,
        };
        let mut truth = truth;
        let demographics =
            self.demographics(&mut rng, p, &style, draft, alias, address, card, day, &mut truth.kinds);
        let id = format!(
            "{:0width$}",
            (u64::from(person) * 7 + u64::from(n) + 1) % 10_u64.pow(style.digits as u32),
            width = style.digits
        );
        Some(Registration { id, demographics, truth })
    }

    /// The day of the last update: after birth.
    fn day(&self, rng: &mut SplitMix64, p: &Person, n: u8) -> Date {
        // A child's first registration is often the ward it was born in.
        if n == 0 && p.birth.year() >= FIRST_YEAR && rng.chance(30) {
            let days = rng.range(0, 30);
            return p.birth.saturating_add(jiff::Span::new().days(days));
        }
        let first = p.birth.max(jiff::civil::date(FIRST_YEAR, 1, 1));
        let span = (TODAY - first).get_days().max(1);
        // Most were seen lately.
        let back = rng.skewed(span as u64) as i64;
        TODAY.saturating_sub(jiff::Span::new().days(back))
    }

    /// Where: another for every registration, but for the few who are registered twice by one.
    fn facility(&self, rng: &mut SplitMix64, person: u32, p: &Person, n: u8) -> u16 {
        let mut of_person = SplitMix64::derived(self.settings.seed, 67, u64::from(person));
        let mut used: Vec<u16> = vec![];
        while used.len() <= usize::from(n) {
            let lived = of_person.pick(&p.addresses).value;
            let facility = self.places.facility(&mut of_person, &lived);
            if !used.contains(&facility) {
                used.push(facility);
            }
        }
        let at = if n > 0 && rng.below(1000) < 4 { n - 1 } else { n };
        used.get(usize::from(at)).copied().unwrap_or(0)
    }

    #[allow(clippy::too_many_arguments)]
    fn demographics(
        &self,
        rng: &mut SplitMix64,
        p: &Person,
        style: &Style,
        draft: Draft,
        alias: Option<(super::names::Name, super::names::Name)>,
        address: &places::Address,
        card: &people::Card,
        day: Date,
        kinds: &mut Kinds,
    ) -> Demographics {
        let mut names = vec![];
        let mut add = |family: &str, given: &str, script: NameScript, usage: NameUse| {
            let (family, given) = match style.one_piece {
                true => (format!("{family}　{given}"), String::new()),
                false => (family.to_owned(), given.to_owned()),
            };
            names.push(PersonName { family, given, script: Some(script), usage, ..PersonName::default() });
        };
        if !draft.family.kanji.is_empty() {
            add(&draft.family.kanji, &draft.given.kanji, NameScript::Ideographic, NameUse::Legal);
        }
        if !draft.family.kana.is_empty() {
            let kana = |text: &str| match style.half_width {
                true => errors::half_width(text),
                false if draft.hiragana => hiragana(text),
                false => text.to_owned(),
            };
            add(&kana(&draft.family.kana), &kana(&draft.given.kana), NameScript::Phonetic, NameUse::Legal);
        }
        if let Some((family, given)) = alias {
            add(&family.kanji, &given.kanji, NameScript::Ideographic, NameUse::Alias);
            add(&family.kana, &given.kana, NameScript::Phonetic, NameUse::Alias);
        }
        if style.half_width {
            kinds.add(Kind::HalfWidth);
        }
        let insurance = style.insurance && rng.chance(88) && !kinds.has(Kind::Newborn);
        if !insurance {
            kinds.add(Kind::InsuranceMissing);
        }
        let wide = rng.chance(30);
        let insurances = insurance.then(|| {
            vec![Insurance {
                insurer: card.insurer.clone(),
                symbol: if wide { errors::full_width(&card.symbol) } else { card.symbol.clone() },
                number: if wide { errors::full_width(&card.number) } else { card.number.clone() },
                // 枝番 since 2021.
                branch: (style.branch && day.year() >= 2021 && !card.symbol.is_empty())
                    .then(|| format!("{:02}", card.branch)),
            }]
        });
        let phones = self.phones(rng, style, draft.landline, draft.mobile, kinds);
        let addresses = match draft.no_address {
            true => None,
            false => Some(vec![self.address(rng, style, address, day, kinds)]),
        };
        Demographics {
            names: Some(names),
            birth_date: draft.birth,
            sex: draft.sex.map(|s| s.hl7().to_owned()),
            addresses,
            phones,
            insurances,
            multiple_birth: p.order.filter(|_| draft.tells_order).map(|_| true),
            birth_order: p.order.filter(|_| draft.tells_order).map(i64::from),
            updated: style.updated.then(|| day.strftime("%Y%m%d").to_string()),
            ..Demographics::default()
        }
    }

    fn phones(
        &self,
        rng: &mut SplitMix64,
        style: &Style,
        landline: Option<String>,
        mobile: Option<String>,
        kinds: &mut Kinds,
    ) -> Option<Vec<Phone>> {
        let known = match (landline, mobile) {
            (Some(l), Some(m)) => match rng.below(10) {
                0..=3 => vec![l],
                4..=6 => vec![m],
                _ => vec![l, m],
            },
            (one, other) => one.into_iter().chain(other).collect(),
        };
        if known.is_empty() || rng.chance(9) {
            kinds.add(Kind::PhoneMissing);
            return None;
        }
        let phones = known.into_iter().map(|number| {
            let usage = if number.len() == 11 { PhoneUse::Mobile } else { PhoneUse::Home };
            let number = match (style.hyphens, number.len()) {
                (true, 11) => format!("{}-{}-{}", &number[..3], &number[3..7], &number[7..]),
                (true, _) => format!("{}-{}-{}", &number[..3], &number[3..6], &number[6..]),
                _ => number,
            };
            Phone { number, usage }
        });
        Some(phones.collect())
    }

    fn address(
        &self,
        rng: &mut SplitMix64,
        style: &Style,
        address: &places::Address,
        day: Date,
        kinds: &mut Kinds,
    ) -> Address {
        let Some(city) = self.places.city(address) else { return Address::default() };
        let town = city.towns.get(usize::from(address.town)).map_or("", String::as_str);
        let mut text = String::new();
        if style.prefecture {
            text.push_str(PREFECTURE);
        }
        match &city.former {
            // Some never learn.
            Some(former) if day.year() < 2016 && rng.chance(15) => {
                kinds.add(Kind::OldMunicipality);
                text.push_str(former);
            }
            _ => text.push_str(&city.name),
        }
        text.push_str(town);
        let (chome, ban, go) = (address.chome, address.ban, address.go);
        let numbers = match (style.short_address, chome) {
            (true, 0) => format!("{ban}-{go}"),
            (true, _) => format!("{chome}-{ban}-{go}"),
            (false, 0) => format!("{ban}番地{go}"),
            (false, _) => {
                let chome = ["", "一", "二", "三", "四", "五"].get(usize::from(chome)).copied().unwrap_or("");
                format!("{chome}丁目{ban}番{go}号")
            }
        };
        text.push_str(&if rng.chance(30) { errors::full_width(&numbers) } else { numbers });
        if let Some(building) = building(address) {
            match rng.below(10) {
                0..=4 => text.push_str(&format!(" {building}{}", address.room)),
                5..=6 => text.push_str(&format!("　{building}{}号室", address.room)),
                7 => text.push_str(&format!("-{}", address.room)),
                _ => {}
            }
        }
        let postal =
            format!("{}{}{:04}", city.area, if style.hyphens { "-" } else { "" }, address.town * 7 % 10_000);
        let postal_code = if rng.chance(93) { postal } else { String::new() };
        Address { text, postal_code, country: "JPN".into(), usage: "H".into() }
    }
}

impl Draft {
    pub(super) fn other_sex(sex: Sex) -> Sex {
        match sex {
            Sex::Male => Sex::Female,
            Sex::Female => Sex::Male,
        }
    }
}
