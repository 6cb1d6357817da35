//! Invented patients, physicians and hospitals. Names are common ones combined at random; prefecture, towns,
//! postcodes and telephone numbers do not exist (no exchange begins with 0000, no postcode with 000).

use jiff::civil::Date;

use super::rng::SplitMix64;

/// Kanji (or kana) as written, and its reading in katakana.
type Reading = (&'static str, &'static str);

#[rustfmt::skip]
const FAMILY: &[Reading] = &[
    ("佐藤", "サトウ"), ("鈴木", "スズキ"), ("高橋", "タカハシ"), ("田中", "タナカ"), ("伊藤", "イトウ"),
    ("渡辺", "ワタナベ"), ("山本", "ヤマモト"), ("中村", "ナカムラ"), ("小林", "コバヤシ"), ("加藤", "カトウ"),
    ("吉田", "ヨシダ"), ("山田", "ヤマダ"), ("佐々木", "ササキ"), ("山口", "ヤマグチ"), ("松本", "マツモト"),
    ("木村", "キムラ"), ("林", "ハヤシ"), ("斎藤", "サイトウ"), ("清水", "シミズ"), ("山崎", "ヤマザキ"),
    ("森", "モリ"), ("池田", "イケダ"), ("橋本", "ハシモト"), ("阿部", "アベ"), ("石川", "イシカワ"),
    ("山下", "ヤマシタ"), ("中島", "ナカジマ"), ("石井", "イシイ"), ("小川", "オガワ"), ("前田", "マエダ"),
    ("岡田", "オカダ"), ("長谷川", "ハセガワ"), ("藤田", "フジタ"), ("後藤", "ゴトウ"), ("近藤", "コンドウ"),
    ("村上", "ムラカミ"), ("遠藤", "エンドウ"), ("青木", "アオキ"), ("坂本", "サカモト"), ("福田", "フクダ"),
    ("太田", "オオタ"), ("西村", "ニシムラ"), ("藤井", "フジイ"), ("金子", "カネコ"), ("岡本", "オカモト"),
    ("藤原", "フジワラ"), ("中野", "ナカノ"), ("三浦", "ミウラ"), ("原田", "ハラダ"), ("松田", "マツダ"),
    ("竹内", "タケウチ"), ("小野", "オノ"), ("中川", "ナカガワ"), ("田村", "タムラ"), ("服部", "ハットリ"),
    ("大野", "オオノ"), ("菊池", "キクチ"), ("星野", "ホシノ"), ("新井", "アライ"), ("武田", "タケダ"),
];

#[rustfmt::skip]
const GIVEN_MALE: &[Reading] = &[
    ("太郎", "タロウ"), ("一郎", "イチロウ"), ("健一", "ケンイチ"), ("浩二", "コウジ"), ("翔太", "ショウタ"),
    ("大輔", "ダイスケ"), ("拓也", "タクヤ"), ("直樹", "ナオキ"), ("誠", "マコト"), ("隆", "タカシ"),
    ("博", "ヒロシ"), ("茂", "シゲル"), ("実", "ミノル"), ("清", "キヨシ"), ("勇", "イサム"),
    ("進", "ススム"), ("正", "タダシ"), ("明", "アキラ"), ("修", "オサム"), ("豊", "ユタカ"),
    ("和夫", "カズオ"), ("幸雄", "ユキオ"), ("義男", "ヨシオ"), ("昭", "アキラ"), ("剛", "ツヨシ"),
    ("学", "マナブ"), ("亮", "リョウ"), ("蓮", "レン"), ("陽翔", "ハルト"), ("悠真", "ユウマ"),
    ("大和", "ヤマト"), ("湊", "ミナト"), ("颯太", "ソウタ"), ("樹", "イツキ"), ("健太", "ケンタ"),
    ("哲也", "テツヤ"), ("秀樹", "ヒデキ"), ("達也", "タツヤ"), ("純一", "ジュンイチ"), ("良平", "リョウヘイ"),
];

#[rustfmt::skip]
const GIVEN_FEMALE: &[Reading] = &[
    ("花子", "ハナコ"), ("和子", "カズコ"), ("幸子", "サチコ"), ("節子", "セツコ"), ("洋子", "ヨウコ"),
    ("恵子", "ケイコ"), ("京子", "キョウコ"), ("久美子", "クミコ"), ("由美", "ユミ"), ("真由美", "マユミ"),
    ("明美", "アケミ"), ("直美", "ナオミ"), ("裕子", "ユウコ"), ("智子", "トモコ"), ("陽子", "ヨウコ"),
    ("美穂", "ミホ"), ("愛", "アイ"), ("彩", "アヤ"), ("舞", "マイ"), ("葵", "アオイ"),
    ("結衣", "ユイ"), ("陽菜", "ヒナ"), ("凛", "リン"), ("咲良", "サクラ"), ("美咲", "ミサキ"),
    ("七海", "ナナミ"), ("さくら", "サクラ"), ("千代", "チヨ"), ("文子", "フミコ"), ("静江", "シズエ"),
    ("春子", "ハルコ"), ("秋子", "アキコ"), ("雪", "ユキ"), ("綾香", "アヤカ"), ("麻衣", "マイ"),
    ("優子", "ユウコ"), ("純子", "ジュンコ"), ("典子", "ノリコ"), ("富美", "フミ"), ("清美", "キヨミ"),
];

const TOWNS: &[&str] =
    &["模擬市中央", "模擬市本町", "例示市緑町", "例示市港町", "仮想町大字北", "仮想町大字南"];
const PREFECTURE: &str = "架空県";

/// Administrative sex as in HL7 table 0001.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sex {
    Male,
    Female,
}

impl Sex {
    /// PID-8.
    pub fn hl7(self) -> &'static str {
        match self {
            Sex::Male => "M",
            Sex::Female => "F",
        }
    }

    /// FHIR AdministrativeGender.
    pub fn fhir(self) -> &'static str {
        match self {
            Sex::Male => "male",
            Sex::Female => "female",
        }
    }
}

/// A person's name in the three representations of PID-5.8: I (kanji), P (kana), A (latin).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    pub family: &'static str,
    pub given: &'static str,
    pub family_kana: &'static str,
    pub given_kana: &'static str,
}

impl Name {
    fn invent(rng: &mut SplitMix64, sex: Sex) -> Self {
        let (family, family_kana) = *rng.pick(FAMILY);
        let (given, given_kana) = *rng.pick(match sex {
            Sex::Male => GIVEN_MALE,
            Sex::Female => GIVEN_FEMALE,
        });
        Self { family, given, family_kana, given_kana }
    }

    /// Family name in capital latin letters.
    pub fn family_romaji(&self) -> String {
        romaji(self.family_kana)
    }

    /// Given name in capital latin letters.
    pub fn given_romaji(&self) -> String {
        romaji(self.given_kana)
    }

    /// Family and given name with a space between.
    pub fn kanji(&self) -> String {
        format!("{} {}", self.family, self.given)
    }

    /// The repetitions of PID-5: kanji, kana, latin.
    pub fn pid5(&self) -> String {
        format!(
            "{}^{}^^^^^L^I~{}^{}^^^^^L^P~{}^{}^^^^^L^A",
            self.family,
            self.given,
            self.family_kana,
            self.given_kana,
            self.family_romaji(),
            self.given_romaji()
        )
    }
}

/// The identifier of a patient at one hospital.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalId {
    /// Index into [`super::Network::hospitals`].
    pub hospital: usize,
    pub id: String,
}

/// An invented patient of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patient {
    /// 地連患者ID, the patient identifier of the affinity domain.
    pub network_id: String,
    pub name: Name,
    pub sex: Sex,
    pub birth_date: Date,
    /// `000-nnnn`.
    pub postcode: String,
    /// Prefecture to house number in one line.
    pub address: String,
    /// `0000-nn-nnnn`.
    pub phone: String,
    /// At one to three hospitals.
    pub local_ids: Vec<LocalId>,
}

impl Patient {
    pub(super) fn invent(rng: &mut SplitMix64, number: u64, hospitals: usize, until: Date) -> Self {
        let sex = if rng.chance(50) { Sex::Male } else { Sex::Female };
        // The greater of two draws: patients are older than the population.
        let age_days = rng.range(1, 95 * 365).max(rng.range(1, 95 * 365));
        let birth_date = until.saturating_sub(jiff::Span::new().days(age_days));
        let town = rng.pick(TOWNS);
        let (block, lot, house) = (rng.range(1, 9), rng.range(1, 30), rng.range(1, 20));
        let first = rng.below(hospitals as u64) as usize;
        let visited = match rng.below(10) {
            0..=5 => 1,
            6..=8 => 2,
            _ => 3,
        };
        let local_ids = (0..visited.min(hospitals))
            .map(|k| {
                let hospital = (first + k) % hospitals;
                LocalId { hospital, id: local_id(hospital, number, rng) }
            })
            .collect();
        Self {
            network_id: format!("9{number:09}"),
            name: Name::invent(rng, sex),
            sex,
            birth_date,
            postcode: format!("000-{:04}", rng.below(10_000)),
            address: format!("{PREFECTURE}{town}{block}-{lot}-{house}"),
            phone: format!("0000-{:02}-{:04}", rng.below(100), rng.below(10_000)),
            local_ids,
        }
    }

    /// The identifier at `hospital`, when the patient is known there.
    pub fn local_id(&self, hospital: usize) -> Option<&str> {
        self.local_ids.iter().find(|l| l.hospital == hospital).map(|l| l.id.as_str())
    }

    /// `YYYYMMDD`.
    pub fn birth_dtm(&self) -> String {
        self.birth_date.strftime("%Y%m%d").to_string()
    }
}

/// Each hospital numbers in its own way: ten digits with leading zeros, eight digits, a letter and six digits. The
/// stride keeps the numbers of a patient at two hospitals apart.
fn local_id(hospital: usize, number: u64, rng: &mut SplitMix64) -> String {
    let n = number * 10 + rng.below(10);
    match hospital % 3 {
        0 => format!("{n:010}"),
        1 => format!("{:08}", 20_000_000 + n),
        _ => format!("K{n:06}"),
    }
}

/// A physician of a hospital.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Physician {
    pub id: String,
    pub name: Name,
}

/// An invented hospital.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hospital {
    pub name: &'static str,
    /// 医療機関コード10桁: 都道府県番号 2, 点数表番号 1, 医療機関コード 7.
    pub facility_code: &'static str,
    pub address: &'static str,
    pub phone: &'static str,
    pub physicians: Vec<Physician>,
}

const HOSPITALS: [(&str, &str, &str, &str); 3] = [
    ("架空中央病院", "1319999991", "架空県模擬市中央1-1-1", "0000-11-0001"),
    ("例示大学病院", "1319999992", "架空県例示市緑町2-2-2", "0000-22-0002"),
    ("仮想内科クリニック", "1319999993", "架空県仮想町大字北3-3", "0000-33-0003"),
];

impl Hospital {
    pub(super) fn invent(rng: &mut SplitMix64) -> Vec<Self> {
        HOSPITALS
            .iter()
            .map(|&(name, facility_code, address, phone)| Self {
                name,
                facility_code,
                address,
                phone,
                physicians: (1..=6)
                    .map(|n| {
                        let sex = if rng.chance(60) { Sex::Male } else { Sex::Female };
                        Physician { id: format!("D{n:04}"), name: Name::invent(rng, sex) }
                    })
                    .collect(),
            })
            .collect()
    }

    /// The assigning authority of the hospital's patient identifiers (JP Core): the arc of 医療機関 with `1` before
    /// the ten digits.
    pub fn patient_authority(&self) -> String {
        format!("1.2.392.100495.20.3.51.1{}", self.facility_code)
    }

    /// The assigning authority of the hospital's physicians.
    pub fn physician_authority(&self) -> String {
        format!("1.2.392.100495.20.3.41.1{}", self.facility_code)
    }

    /// authorInstitution: name and 医療機関コード.
    pub fn xon(&self) -> String {
        format!("{}^^^^^&1.2.392.200119.6.102&ISO^^^^{}", self.name, self.facility_code)
    }

    /// authorPerson.
    pub fn xcn(&self, physician: &Physician) -> String {
        let Physician { id, name } = physician;
        format!("{id}^{}^{}^^^^^^&{}&ISO", name.family, name.given, self.physician_authority())
    }
}

/// Katakana in capital latin letters, Hepburn as on passports: long vowels are not marked.
pub fn romaji(kana: &str) -> String {
    let mut out = String::with_capacity(kana.len());
    let mut doubled = false;
    for c in kana.chars() {
        if c == 'ッ' {
            doubled = true;
            continue;
        }
        if let Some(vowel) = small_y(c) {
            // シ+ャ = SHA, キ+ャ = KYA: the vowel I goes, and Y with it after SH, CH and J.
            out.pop();
            if !out.ends_with("SH") && !out.ends_with("CH") && !out.ends_with('J') {
                out.push('Y');
            }
            out.push(vowel);
            continue;
        }
        let syllable = SYLLABLES.iter().find(|(k, _)| *k == c).map_or("", |(_, s)| *s);
        if doubled {
            out.push_str(syllable.get(..1).unwrap_or(""));
            doubled = false;
        }
        out.push_str(syllable);
    }
    out.replace("OU", "O").replace("OO", "O").replace("UU", "U")
}

fn small_y(c: char) -> Option<char> {
    match c {
        'ャ' => Some('A'),
        'ュ' => Some('U'),
        'ョ' => Some('O'),
        _ => None,
    }
}

#[rustfmt::skip]
const SYLLABLES: &[(char, &str)] = &[
    ('ア', "A"), ('イ', "I"), ('ウ', "U"), ('エ', "E"), ('オ', "O"),
    ('カ', "KA"), ('キ', "KI"), ('ク', "KU"), ('ケ', "KE"), ('コ', "KO"),
    ('ガ', "GA"), ('ギ', "GI"), ('グ', "GU"), ('ゲ', "GE"), ('ゴ', "GO"),
    ('サ', "SA"), ('シ', "SHI"), ('ス', "SU"), ('セ', "SE"), ('ソ', "SO"),
    ('ザ', "ZA"), ('ジ', "JI"), ('ズ', "ZU"), ('ゼ', "ZE"), ('ゾ', "ZO"),
    ('タ', "TA"), ('チ', "CHI"), ('ツ', "TSU"), ('テ', "TE"), ('ト', "TO"),
    ('ダ', "DA"), ('ヂ', "JI"), ('ヅ', "ZU"), ('デ', "DE"), ('ド', "DO"),
    ('ナ', "NA"), ('ニ', "NI"), ('ヌ', "NU"), ('ネ', "NE"), ('ノ', "NO"),
    ('ハ', "HA"), ('ヒ', "HI"), ('フ', "FU"), ('ヘ', "HE"), ('ホ', "HO"),
    ('バ', "BA"), ('ビ', "BI"), ('ブ', "BU"), ('ベ', "BE"), ('ボ', "BO"),
    ('パ', "PA"), ('ピ', "PI"), ('プ', "PU"), ('ペ', "PE"), ('ポ', "PO"),
    ('マ', "MA"), ('ミ', "MI"), ('ム', "MU"), ('メ', "ME"), ('モ', "MO"),
    ('ヤ', "YA"), ('ユ', "YU"), ('ヨ', "YO"),
    ('ラ', "RA"), ('リ', "RI"), ('ル', "RU"), ('レ', "RE"), ('ロ', "RO"),
    ('ワ', "WA"), ('ン', "N"),
];

/// Every text of the tables; for the test of the character table.
#[cfg(test)]
pub(super) fn written_names() -> String {
    let names =
        FAMILY.iter().chain(GIVEN_MALE).chain(GIVEN_FEMALE).flat_map(|(written, kana)| [*written, *kana]);
    let places = TOWNS.iter().copied().chain(HOSPITALS.iter().flat_map(|h| [h.0, h.2])).chain([PREFECTURE]);
    names.chain(places).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNTIL: Date = jiff::civil::date(2026, 4, 1);

    fn patients(n: u64) -> Vec<Patient> {
        (1..=n).map(|k| Patient::invent(&mut SplitMix64::derived(1, 1, k), k, 3, UNTIL)).collect()
    }

    #[test]
    fn romaji_follows_the_passport() {
        let table = [
            ("サトウ", "SATO"),
            ("ハットリ", "HATTORI"),
            ("キョウコ", "KYOKO"),
            ("ショウタ", "SHOTA"),
            ("ジュンイチ", "JUNICHI"),
            ("オオノ", "ONO"),
            ("ユウコ", "YUKO"),
            ("フジイ", "FUJII"),
            ("タケウチ", "TAKEUCHI"),
        ];
        for (kana, latin) in table {
            assert_eq!(romaji(kana), latin);
        }
    }

    #[test]
    fn every_reading_is_katakana_with_a_latin_form() {
        for (written, kana) in FAMILY.iter().chain(GIVEN_MALE).chain(GIVEN_FEMALE) {
            assert!(kana.chars().all(|c| ('ァ'..='ヶ').contains(&c)), "{written}");
            assert!(
                !romaji(kana).is_empty() && romaji(kana).bytes().all(|b| b.is_ascii_uppercase()),
                "{written}"
            );
            assert!(
                kana.chars().all(|c| small_y(c).is_some() || c == 'ッ' || SYLLABLES.iter().any(|s| s.0 == c))
            );
        }
        assert!(FAMILY.len() >= 60 && GIVEN_MALE.len() + GIVEN_FEMALE.len() >= 80);
    }

    #[test]
    fn the_three_names_of_a_patient_agree() {
        for patient in patients(300) {
            let Name { family, given, family_kana, given_kana } = patient.name;
            assert!(FAMILY.contains(&(family, family_kana)));
            let table = if patient.sex == Sex::Male { GIVEN_MALE } else { GIVEN_FEMALE };
            assert!(table.contains(&(given, given_kana)));
            let pid5 = patient.name.pid5();
            let [kanji, kana, latin] = pid5.split('~').collect::<Vec<_>>()[..] else { panic!("{pid5}") };
            assert_eq!(kanji, format!("{family}^{given}^^^^^L^I"));
            assert_eq!(kana, format!("{family_kana}^{given_kana}^^^^^L^P"));
            assert_eq!(latin, format!("{}^{}^^^^^L^A", romaji(family_kana), romaji(given_kana)));
        }
    }

    #[test]
    fn patients_are_plausible_and_unreachable() {
        let patients = patients(500);
        for patient in &patients {
            assert!(patient.birth_date < UNTIL && patient.birth_date.year() > 1925);
            assert!(patient.postcode.starts_with("000-") && patient.phone.starts_with("0000-"));
            assert!((1..=3).contains(&patient.local_ids.len()));
        }
        let distinct = |f: fn(&Patient) -> String| {
            patients.iter().map(f).collect::<std::collections::BTreeSet<_>>().len()
        };
        assert_eq!(distinct(|p| p.network_id.clone()), patients.len());
        assert_eq!(
            distinct(|p| format!("{} {}", p.local_ids[0].hospital, p.local_ids[0].id)),
            patients.len(),
            "local identifiers are unique at a hospital"
        );
    }

    #[test]
    fn facility_codes_make_the_arcs_of_jp_core() {
        for hospital in Hospital::invent(&mut SplitMix64::new(1)) {
            let code = hospital.facility_code;
            assert!(code.len() == 10 && code.bytes().all(|b| b.is_ascii_digit()));
            let prefecture: u32 = code[..2].parse().expect("digits");
            assert!((1..=47).contains(&prefecture) && code.as_bytes()[2] == b'1');
            assert_eq!(hospital.patient_authority(), format!("1.2.392.100495.20.3.51.1{code}"));
            assert_eq!(hospital.xon(), format!("{}^^^^^&1.2.392.200119.6.102&ISO^^^^{code}", hospital.name));
        }
    }
}
