//! A prefecture that does not exist, its municipalities, towns and facilities.

use crate::synthetic::SplitMix64;

pub(super) const PREFECTURE: &str = "架空県";

#[rustfmt::skip]
const CITY_HEADS: &[&str] = &["東", "西", "北", "南", "中", "上", "下", "新", "大", "小", "豊", "松", "竹", "桜", "若", "富", "岩", "石", "白", "青"];
const CITY_TAILS: &[&str] = &["川", "原", "浜", "野", "山", "崎", "島", "橋", "沢", "田", "岡", "谷"];
#[rustfmt::skip]
const TOWN_HEADS: &[&str] = &[
    "本", "栄", "緑", "旭", "幸", "港", "中央", "大手", "追手", "若松", "末広", "寿", "錦", "元", "宮", "八幡", "桜木", "日の出", "千代田", "常盤",
    "高砂", "朝日", "春日", "神明", "泉", "清水", "松葉", "青葉", "美里", "新田", "古川", "長沼", "小坂", "平和", "昭和", "大和",
];
const TOWN_TAILS: &[&str] = &["町", "", "台", "が丘", "新町"];

/// An address as it is; how it is written is the facility's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Address {
    pub city: u16,
    pub town: u16,
    pub chome: u8,
    pub ban: u8,
    pub go: u8,
    /// 0: a house.
    pub building: u8,
    pub room: u16,
}

pub(super) struct City {
    pub name: String,
    /// Before a merger.
    pub former: Option<String>,
    /// First three digits of its postcodes.
    pub area: u16,
    pub towns: Vec<String>,
    /// Area code.
    pub phone: u16,
}

pub(super) struct Region {
    pub cities: Vec<City>,
}

/// Facilities by city: each city has as many.
pub(super) const FACILITIES: u64 = 4;
const CITIES: usize = 24;
const BUILDINGS: &[&str] =
    &["コーポ", "ハイツ", "メゾン", "サンハイム", "グランドハイツ", "第二コーポ", "レジデンス"];

impl Region {
    pub fn invent(seed: u64) -> Self {
        let mut cities = vec![];
        for at in 0..CITIES {
            let mut rng = SplitMix64::derived(seed, 31, at as u64);
            let name = loop {
                let name = format!("{}{}市", rng.pick(CITY_HEADS), rng.pick(CITY_TAILS));
                if !cities.iter().any(|c: &City| c.name == name) {
                    break name;
                }
            };
            let former =
                rng.chance(25).then(|| format!("{}{}町", rng.pick(CITY_HEADS), rng.pick(CITY_TAILS)));
            let mut towns: Vec<String> = vec![];
            while towns.len() < 60 {
                let town = format!("{}{}", rng.pick(TOWN_HEADS), rng.pick(TOWN_TAILS));
                if !towns.contains(&town) {
                    towns.push(town);
                }
            }
            cities.push(City { name, former, area: 900 + at as u16, towns, phone: 10 + at as u16 });
        }
        Self { cities }
    }

    /// Somewhere in a city; cities differ in size.
    pub fn address(&self, rng: &mut SplitMix64, city: Option<u16>) -> Address {
        let city = city.unwrap_or_else(|| rng.skewed(CITIES as u64) as u16);
        let flat = rng.chance(42);
        Address {
            city,
            town: rng.skewed(60) as u16,
            chome: rng.below(6) as u8,
            ban: rng.range(1, 40) as u8,
            go: rng.range(1, 30) as u8,
            building: if flat { rng.range(1, 7) as u8 } else { 0 },
            room: if flat { (rng.range(1, 9) * 100 + rng.range(1, 8)) as u16 } else { 0 },
        }
    }

    pub fn city(&self, address: &Address) -> Option<&City> {
        self.cities.get(address.city as usize)
    }

    /// `0540nnnnnn`: no exchange begins with 0.
    pub fn landline(&self, rng: &mut SplitMix64, address: &Address) -> String {
        let area = self.city(address).map_or(99, |c| c.phone);
        format!("0{area:02}0{:06}", rng.below(1_000_000))
    }

    /// One of the facilities a patient from there may visit.
    pub fn facility(&self, rng: &mut SplitMix64, address: &Address) -> u16 {
        let city = if rng.chance(75) { u64::from(address.city) } else { rng.skewed(CITIES as u64) };
        (city * FACILITIES + rng.skewed(FACILITIES)) as u16
    }
}

pub(super) fn building(address: &Address) -> Option<&'static str> {
    BUILDINGS.get(usize::from(address.building).checked_sub(1)?).copied()
}

/// `090-0nnn-nnnn`: no subscriber's number begins with 0.
pub(super) fn mobile(rng: &mut SplitMix64) -> String {
    format!("0{}00{:07}", rng.range(7, 9), rng.below(10_000_000))
}
