//! Names with their real frequencies, and the rare rest put together from common parts.

use crate::synthetic::SplitMix64;
use crate::synthetic::people::Sex;

/// As written, and its reading in katakana.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Name {
    pub kanji: String,
    pub kana: String,
}

impl Name {
    fn of(kanji: &str, kana: &str) -> Self {
        Self { kanji: kanji.into(), kana: kana.into() }
    }
}

/// Names and the sums of their weights up to each.
#[derive(Default)]
struct Table {
    names: Vec<(&'static str, &'static str)>,
    sums: Vec<f64>,
}

impl Table {
    fn add(&mut self, kanji: &'static str, kana: &'static str, weight: f64) {
        self.sums.push(self.sums.last().copied().unwrap_or(0.0) + weight);
        self.names.push((kanji, kana));
    }

    /// None in as many cases as the names listed leave of 10,000.
    fn draw(&self, rng: &mut SplitMix64) -> Option<Name> {
        let drawn = rng.below(10_000_000) as f64 / 1000.0;
        let at = self.sums.partition_point(|sum| *sum <= drawn);
        self.names.get(at).map(|(kanji, kana)| Name::of(kanji, kana))
    }
}

pub(super) struct Names {
    family: Table,
    /// By decade from the 1920s, men and women.
    given: [[Table; 2]; 11],
}

const FAMILY: &str = include_str!("../../matching/names/family.tsv");
const GIVEN: &str = include_str!("../../matching/names/given.tsv");

#[rustfmt::skip]
const FAMILY_HEADS: &[(&str, &str)] = &[
    ("上", "カミ"), ("下", "シモ"), ("小", "コ"), ("大", "オオ"), ("西", "ニシ"), ("東", "ヒガシ"), ("北", "キタ"), ("南", "ミナミ"), ("高", "タカ"), ("髙", "タカ"),
    ("新", "ニイ"), ("古", "フル"), ("長", "ナガ"), ("広", "ヒロ"), ("廣", "ヒロ"), ("深", "フカ"), ("浅", "アサ"), ("青", "アオ"), ("赤", "アカ"), ("黒", "クロ"), ("白", "シラ"),
    ("松", "マツ"), ("竹", "タケ"), ("梅", "ウメ"), ("桜", "サクラ"), ("櫻", "サクラ"), ("杉", "スギ"), ("柳", "ヤナギ"), ("栗", "クリ"), ("柿", "カキ"), ("桑", "クワ"), ("稲", "イネ"),
    ("石", "イシ"), ("岩", "イワ"), ("沢", "サワ"), ("澤", "サワ"), ("宮", "ミヤ"), ("寺", "テラ"), ("神", "カミ"), ("鳥", "トリ"), ("鶴", "ツル"), ("亀", "カメ"), ("熊", "クマ"), ("猪", "イノ"),
    ("塩", "シオ"), ("金", "カネ"), ("鉄", "テツ"), ("土", "ツチ"), ("水", "ミズ"), ("池", "イケ"), ("荒", "アラ"), ("早", "ハヤ"), ("今", "イマ"), ("前", "マエ"), ("奥", "オク"), ("内", "ウチ"),
    ("榊", "サカキ"), ("相", "アイ"), ("芦", "アシ"), ("粟", "アワ"), ("磯", "イソ"), ("江", "エ"), ("尾", "オ"), ("垣", "カキ"), ("笠", "カサ"), ("勝", "カツ"), ("門", "カド"), ("岸", "キシ"),
];
#[rustfmt::skip]
const FAMILY_TAILS: &[(&str, &str)] = &[
    ("田", "ダ"), ("川", "カワ"), ("河", "カワ"), ("山", "ヤマ"), ("野", "ノ"), ("村", "ムラ"), ("島", "シマ"), ("嶋", "シマ"), ("原", "ハラ"), ("木", "キ"), ("本", "モト"), ("井", "イ"),
    ("谷", "タニ"), ("沢", "ザワ"), ("澤", "ザワ"), ("崎", "サキ"), ("﨑", "サキ"), ("橋", "ハシ"), ("岡", "オカ"), ("坂", "サカ"), ("口", "グチ"), ("尾", "オ"), ("浦", "ウラ"), ("瀬", "セ"),
    ("瀨", "セ"), ("部", "ベ"), ("辺", "ベ"), ("邊", "ベ"), ("邉", "ベ"), ("森", "モリ"), ("林", "バヤシ"), ("塚", "ヅカ"), ("津", "ツ"), ("屋", "ヤ"), ("下", "シタ"), ("上", "ウエ"),
    ("中", "ナカ"), ("内", "ウチ"), ("藤", "フジ"), ("倉", "クラ"), ("垣", "ガキ"), ("戸", "ド"), ("江", "エ"), ("地", "チ"), ("堀", "ホリ"), ("越", "コシ"), ("間", "マ"), ("見", "ミ"),
];
#[rustfmt::skip]
const MALE_HEADS: &[(&str, &str)] = &[
    ("健", "ケン"), ("賢", "ケン"), ("謙", "ケン"), ("信", "シン"), ("真", "シン"), ("慎", "シン"), ("伸", "シン"), ("幸", "コウ"), ("康", "コウ"), ("浩", "コウ"), ("孝", "コウ"),
    ("龍", "リュウ"), ("竜", "リュウ"), ("隆", "リュウ"), ("祐", "ユウ"), ("雄", "ユウ"), ("勇", "ユウ"), ("悠", "ユウ"), ("裕", "ユウ"), ("優", "ユウ"), ("大", "ダイ"), ("周", "シュウ"), ("修", "シュウ"),
    ("秀", "シュウ"), ("圭", "ケイ"), ("敬", "ケイ"), ("慶", "ケイ"), ("俊", "シュン"), ("淳", "ジュン"), ("純", "ジュン"), ("順", "ジュン"), ("良", "リョウ"), ("亮", "リョウ"), ("遼", "リョウ"),
    ("翔", "ショウ"), ("将", "ショウ"), ("正", "ショウ"), ("栄", "エイ"), ("英", "エイ"), ("恭", "キョウ"), ("泰", "タイ"), ("太", "タ"), ("宗", "ソウ"), ("聡", "ソウ"), ("貞", "テイ"), ("虎", "トラ"),
    ("義", "ヨシ"), ("吉", "ヨシ"), ("良", "ヨシ"), ("正", "マサ"), ("雅", "マサ"), ("政", "マサ"), ("昌", "マサ"), ("幸", "ユキ"), ("和", "カズ"), ("一", "カズ"), ("敏", "トシ"), ("俊", "トシ"), ("利", "トシ"),
    ("博", "ヒロ"), ("弘", "ヒロ"), ("裕", "ヒロ"), ("宏", "ヒロ"), ("秀", "ヒデ"), ("英", "ヒデ"), ("孝", "タカ"), ("隆", "タカ"), ("貴", "タカ"), ("高", "タカ"), ("克", "カツ"), ("勝", "カツ"),
    ("光", "ミツ"), ("満", "ミツ"), ("昭", "アキ"), ("明", "アキ"), ("章", "アキ"), ("彰", "アキ"), ("晃", "アキ"), ("直", "ナオ"), ("尚", "ナオ"), ("信", "ノブ"), ("伸", "ノブ"), ("宣", "ノブ"),
    ("文", "フミ"), ("史", "フミ"), ("武", "タケ"), ("剛", "タケ"), ("哲", "テツ"), ("鉄", "テツ"), ("安", "ヤス"), ("康", "ヤス"), ("保", "ヤス"), ("泰", "ヤス"), ("善", "ヨシ"), ("喜", "ヨシ"),
];
#[rustfmt::skip]
const MALE_TAILS: &[(&str, &str)] = &[
    ("一", "イチ"), ("二", "ジ"), ("次", "ジ"), ("治", "ジ"), ("司", "ジ"), ("三", "ゾウ"), ("蔵", "ゾウ"), ("造", "ゾウ"), ("一郎", "イチロウ"), ("太郎", "タロウ"), ("次郎", "ジロウ"), ("郎", "ロウ"),
    ("太", "タ"), ("介", "スケ"), ("輔", "スケ"), ("助", "スケ"), ("也", "ヤ"), ("哉", "ヤ"), ("矢", "ヤ"), ("樹", "キ"), ("輝", "キ"), ("希", "キ"), ("紀", "ノリ"), ("則", "ノリ"), ("典", "ノリ"), ("徳", "ノリ"),
    ("人", "ト"), ("斗", "ト"), ("真", "マ"), ("馬", "マ"), ("平", "ヘイ"), ("吾", "ゴ"), ("悟", "ゴ"), ("夫", "オ"), ("男", "オ"), ("雄", "オ"), ("生", "オ"), ("彦", "ヒコ"), ("之", "ユキ"), ("行", "ユキ"), ("幸", "ユキ"),
    ("志", "シ"), ("史", "シ"), ("士", "シ"), ("弘", "ヒロ"), ("宏", "ヒロ"), ("博", "ヒロ"), ("浩", "ヒロ"), ("明", "アキ"), ("昭", "アキ"), ("章", "アキ"), ("信", "ノブ"), ("久", "ヒサ"), ("久", "ヒサ"), ("成", "ナリ"),
    ("晴", "ハル"), ("春", "ハル"), ("仁", "ヒト"), ("仁", "ジン"), ("美", "ミ"), ("実", "ミ"), ("光", "ミツ"), ("道", "ミチ"), ("義", "ヨシ"), ("良", "ヨシ"), ("利", "トシ"), ("俊", "トシ"),
];
#[rustfmt::skip]
const FEMALE_HEADS: &[(&str, &str)] = &[
    ("美", "ミ"), ("実", "ミ"), ("未", "ミ"), ("由", "ユ"), ("友", "ユ"), ("結", "ユ"), ("優", "ユウ"), ("裕", "ユウ"), ("祐", "ユウ"), ("有", "ユウ"), ("真", "マ"), ("麻", "マ"), ("茉", "マ"), ("里", "リ"), ("梨", "リ"), ("莉", "リ"), ("理", "リ"),
    ("佐", "サ"), ("沙", "サ"), ("早", "サ"), ("紗", "サ"), ("千", "チ"), ("智", "チ"), ("知", "チ"), ("奈", "ナ"), ("菜", "ナ"), ("恵", "エ"), ("絵", "エ"), ("江", "エ"), ("香", "カ"), ("佳", "カ"), ("加", "カ"), ("夏", "ナツ"), ("春", "ハル"),
    ("秋", "アキ"), ("明", "アキ"), ("章", "アキ"), ("彩", "アヤ"), ("綾", "アヤ"), ("文", "アヤ"), ("亜", "ア"), ("和", "カズ"), ("一", "カズ"), ("喜", "キ"), ("紀", "キ"), ("貴", "キ"), ("清", "キヨ"), ("久", "ク"), ("桂", "ケイ"),
    ("静", "シズ"), ("志", "シ"), ("澄", "スミ"), ("節", "セツ"), ("園", "ソノ"), ("孝", "タカ"), ("敬", "タカ"), ("珠", "タマ"), ("鶴", "ツル"), ("照", "テル"), ("輝", "テル"), ("時", "トキ"), ("富", "トミ"), ("登", "ト"), ("直", "ナオ"), ("尚", "ナオ"),
    ("信", "ノブ"), ("典", "ノリ"), ("則", "ノリ"), ("初", "ハツ"), ("花", "ハナ"), ("日", "ヒ"), ("陽", "ヒ"), ("久", "ヒサ"), ("秀", "ヒデ"), ("弘", "ヒロ"), ("博", "ヒロ"), ("房", "フサ"), ("史", "フミ"), ("冬", "フユ"), ("帆", "ホ"), ("保", "ヤス"),
    ("雅", "マサ"), ("昌", "マサ"), ("松", "マツ"), ("道", "ミチ"), ("光", "ミツ"), ("幸", "ユキ"), ("雪", "ユキ"), ("百合", "ユリ"), ("陽", "ヨウ"), ("洋", "ヨウ"), ("良", "ヨシ"), ("芳", "ヨシ"), ("淑", "ヨシ"), ("律", "リツ"), ("若", "ワカ"), ("心", "コ"), ("琴", "コト"),
];
#[rustfmt::skip]
const FEMALE_TAILS: &[(&str, &str)] = &[
    ("子", "コ"), ("子", "コ"), ("子", "コ"), ("子", "コ"), ("美", "ミ"), ("美", "ミ"), ("実", "ミ"), ("代", "ヨ"), ("世", "ヨ"), ("江", "エ"), ("恵", "エ"), ("枝", "エ"), ("絵", "エ"), ("香", "カ"), ("佳", "カ"), ("花", "カ"), ("華", "カ"),
    ("奈", "ナ"), ("菜", "ナ"), ("那", "ナ"), ("乃", "ノ"), ("野", "ノ"), ("穂", "ホ"), ("帆", "ホ"), ("音", "ネ"), ("希", "キ"), ("紀", "キ"), ("貴", "キ"), ("樹", "キ"), ("葉", "ハ"), ("羽", "ハ"), ("里", "リ"), ("理", "リ"), ("梨", "リ"),
    ("衣", "イ"), ("依", "イ"), ("緒", "オ"), ("織", "オリ"), ("保", "ホ"), ("沙", "サ"), ("紗", "サ"), ("月", "ツキ"), ("海", "ミ"), ("愛", "ア"), ("咲", "サキ"), ("美子", "ミコ"), ("恵子", "エコ"), ("津子", "ツコ"), ("美代", "ミヨ"), ("由美", "ユミ"), ("由紀", "ユキ"),
];
/// Readings that differ from the commonest.
const OTHER_READINGS: &[(&str, &str)] = &[
    ("中島", "ナカシマ"),
    ("山崎", "ヤマサキ"),
    ("東", "アズマ"),
    ("河野", "カワノ"),
    ("上村", "カミムラ"),
    ("新井", "ニイ"),
    ("高田", "タカタ"),
    ("神田", "コウダ"),
    ("小山", "オヤマ"),
    ("角田", "スミダ"),
    ("長田", "ナガタ"),
    ("古田", "コダ"),
    ("柳田", "ヤナギタ"),
    ("浜田", "ハマタ"),
    ("大谷", "オオヤ"),
    ("熊谷", "クマタニ"),
    ("早田", "ソウダ"),
    ("菅野", "スガノ"),
    ("羽田", "ハダ"),
    ("金城", "カナシロ"),
];
/// Common names that families write with other characters.
const OTHER_CHARACTERS: &[(&str, &str, u64)] = &[
    ("高", "髙", 12),
    ("崎", "﨑", 10),
    ("辺", "邊", 14),
    ("辺", "邉", 14),
    ("斎", "齋", 20),
    ("斉", "齊", 6),
    ("沢", "澤", 18),
    ("浜", "濱", 14),
    ("広", "廣", 15),
    ("桜", "櫻", 10),
    ("島", "嶋", 8),
    ("国", "國", 6),
    ("関", "關", 1),
    ("真", "眞", 6),
    ("渋", "澁", 8),
    ("滝", "瀧", 15),
    ("塩", "鹽", 1),
    ("徳", "德", 8),
    ("曽", "曾", 15),
    ("瀬", "瀨", 8),
    ("黒", "黑", 3),
    ("吉", "𠮷", 8),
    ("柳", "栁", 4),
    ("富", "冨", 12),
];

impl Names {
    pub fn load() -> Self {
        let mut names = Self { family: Table::default(), given: Default::default() };
        for line in FAMILY.lines().filter(|l| !l.starts_with('#')) {
            if let [kanji, kana, share] = line.split('\t').collect::<Vec<_>>()[..] {
                names.family.add(kanji, kana, share.parse().unwrap_or(0.0));
            }
        }
        for line in GIVEN.lines().filter(|l| !l.starts_with('#')) {
            if let [kanji, kana, sex, shares] = line.split('\t').collect::<Vec<_>>()[..] {
                let sex = usize::from(sex == "F");
                for (decade, share) in shares.split(' ').enumerate() {
                    if let Some(tables) = names.given.get_mut(decade) {
                        tables[sex].add(kanji, kana, share.parse().unwrap_or(0.0));
                    }
                }
            }
        }
        names
    }

    pub fn family(&self, rng: &mut SplitMix64) -> Name {
        let mut name = self.family.draw(rng).unwrap_or_else(|| {
            let (head, tail) = (rng.pick(FAMILY_HEADS), rng.pick(FAMILY_TAILS));
            Name { kanji: format!("{}{}", head.0, tail.0), kana: format!("{}{}", head.1, tail.1) }
        });
        if rng.chance(20)
            && let Some((_, kana)) = OTHER_READINGS.iter().find(|(kanji, _)| *kanji == name.kanji)
        {
            name.kana = (*kana).into();
        }
        for (common, other, percent) in OTHER_CHARACTERS {
            if name.kanji.contains(common) && rng.chance(*percent) {
                name.kanji = name.kanji.replace(common, other);
            }
        }
        name
    }

    /// A given name of somebody born in `year`.
    pub fn given(&self, rng: &mut SplitMix64, sex: Sex, year: i16) -> Name {
        let decade = usize::try_from((year - 1920) / 10).unwrap_or(0).min(10);
        let woman = sex == Sex::Female;
        if let Some(name) = self.given.get(decade).and_then(|t| t[usize::from(woman)].draw(rng)) {
            return name;
        }
        let (heads, tails) = if woman { (FEMALE_HEADS, FEMALE_TAILS) } else { (MALE_HEADS, MALE_TAILS) };
        let (head, tail) = (rng.pick(heads), rng.pick(tails));
        // Some go without kanji.
        if woman && rng.chance(if year < 1935 { 35 } else { 6 }) {
            let kana = format!("{}{}", head.1, tail.1);
            return Name { kanji: hiragana(&kana), kana };
        }
        Name { kanji: format!("{}{}", head.0, tail.0), kana: format!("{}{}", head.1, tail.1) }
    }

    /// A twin's name: in half of the cases it begins as the other's does.
    pub fn twin(&self, rng: &mut SplitMix64, sex: Sex, year: i16, other: &Name) -> Name {
        let woman = sex == Sex::Female;
        let heads = if woman { FEMALE_HEADS } else { MALE_HEADS };
        let tails = if woman { FEMALE_TAILS } else { MALE_TAILS };
        let head =
            heads.iter().find(|(kanji, kana)| other.kanji.starts_with(kanji) && other.kana.starts_with(kana));
        for _ in 0..8 {
            let name = match head {
                Some(head) if rng.chance(60) => {
                    let tail = rng.pick(tails);
                    Name { kanji: format!("{}{}", head.0, tail.0), kana: format!("{}{}", head.1, tail.1) }
                }
                _ => self.given(rng, sex, year),
            };
            if name.kana != other.kana && name.kanji != other.kanji {
                return name;
            }
        }
        Name::of("一二三", "ヒフミ")
    }
}

pub(super) fn hiragana(kana: &str) -> String {
    kana.chars()
        .map(|c| if ('ァ'..='ヶ').contains(&c) { char::from_u32(c as u32 - 0x60).unwrap_or(c) } else { c })
        .collect()
}

/// Foreign residents: Latin letters and kana, family and given name.
#[rustfmt::skip]
pub(super) const LATIN: &[(&str, &str)] = &[
    ("NGUYEN", "グエン"), ("TRAN", "チャン"), ("LE", "レ"), ("PHAM", "ファム"), ("SMITH", "スミス"), ("JOHNSON", "ジョンソン"), ("SANTOS", "サントス"), ("SILVA", "シルバ"), ("OLIVEIRA", "オリベイラ"),
    ("GARCIA", "ガルシア"), ("REYES", "レイエス"), ("CRUZ", "クルス"), ("SHRESTHA", "シュレスタ"), ("GURUNG", "グルン"), ("RAI", "ライ"), ("KHAN", "カーン"), ("PEREIRA", "ペレイラ"), ("MULLER", "ミュラー"),
];
#[rustfmt::skip]
pub(super) const LATIN_GIVEN: &[(&str, &str)] = &[
    ("VAN ANH", "バンアイン"), ("THI LAN", "ティラン"), ("MINH", "ミン"), ("HUNG", "フン"), ("JOHN", "ジョン"), ("MARIA", "マリア"), ("ANA", "アナ"), ("PAULO", "パウロ"), ("LUCAS", "ルーカス"), ("JOSE", "ホセ"),
    ("MICHAEL", "マイケル"), ("SARAH", "サラ"), ("RAM", "ラム"), ("SITA", "シタ"), ("ALI", "アリ"), ("CARLOS", "カルロス"), ("LINH", "リン"), ("DAVID", "デイビッド"), ("EMILY", "エミリー"), ("PEDRO", "ペドロ"),
];
#[rustfmt::skip]
pub(super) const CHINESE: &[(&str, &str)] = &[("王", "オウ"), ("李", "リ"), ("張", "チョウ"), ("劉", "リュウ"), ("陳", "チン"), ("金", "キム"), ("朴", "パク"), ("崔", "チェ"), ("楊", "ヨウ"), ("周", "シュウ")];
#[rustfmt::skip]
pub(super) const CHINESE_GIVEN: &[(&str, &str)] = &[
    ("偉", "イ"), ("芳", "ホウ"), ("静", "セイ"), ("敏", "ビン"), ("麗", "レイ"), ("強", "キョウ"), ("磊", "ライ"), ("洋", "ヨウ"), ("美玲", "ビレイ"), ("志明", "シメイ"), ("英姫", "ヨンヒ"), ("哲洙", "チョルス"), ("秀賢", "スヒョン"), ("民俊", "ミンジュン"),
];
