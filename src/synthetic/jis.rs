//! ISO-2022-JP for the characters the synthetic messages use. Enough to write messages, not a codec: the kanji
//! table holds only what occurs, and anything else becomes `■`, as SS-MIX2 prescribes for 外字.

/// Appends `text` in ISO-2022-JP: ASCII as it is, runs of JIS X 0208 between `ESC $ B` and `ESC ( B`.
pub(super) fn encode(text: &str, out: &mut Vec<u8>) {
    let mut kanji = false;
    for c in text.chars() {
        if c.is_ascii() {
            if std::mem::take(&mut kanji) {
                out.extend_from_slice(b"\x1b(B");
            }
            out.push(c as u8);
        } else {
            if !std::mem::replace(&mut kanji, true) {
                out.extend_from_slice(b"\x1b$B");
            }
            out.extend_from_slice(&jis(c).unwrap_or(BLACK_SQUARE).to_be_bytes());
        }
    }
    if kanji {
        out.extend_from_slice(b"\x1b(B");
    }
}

/// `■`.
const BLACK_SQUARE: u16 = 0x2223;

/// The JIS X 0208 code of a character: kana and full-width letters lie in rows of their own, kanji and signs in the table.
fn jis(c: char) -> Option<u16> {
    let row = |start: char, first: u16| Some(first + (c as u32 - start as u32) as u16);
    match c {
        '０'..='９' => row('０', 0x2330),
        'Ａ'..='Ｚ' => row('Ａ', 0x2341),
        'ａ'..='ｚ' => row('ａ', 0x2361),
        'ぁ'..='ん' => row('ぁ', 0x2421),
        'ァ'..='ヶ' => row('ァ', 0x2521),
        _ => {
            TABLE.binary_search_by_key(&c, |(k, _)| *k).ok().and_then(|i| TABLE.get(i)).map(|(_, code)| *code)
        }
    }
}

/// Sorted by character.
#[rustfmt::skip]
const TABLE: &[(char, u16)] = &[
    ('γ', 0x2643), ('々', 0x2139), ('・', 0x2126), ('ー', 0x213C), ('一', 0x306C), ('七', 0x3C37),
    ('三', 0x3B30), ('上', 0x3E65), ('下', 0x323C), ('中', 0x4366), ('久', 0x3557), ('也', 0x4C69),
    ('二', 0x4673), ('井', 0x3066), ('京', 0x357E), ('亮', 0x4E3C), ('代', 0x4265), ('仮', 0x323E),
    ('伊', 0x304B), ('佐', 0x3A34), ('体', 0x424E), ('例', 0x4E63), ('供', 0x3621), ('修', 0x3D24),
    ('健', 0x3772), ('優', 0x4D25), ('児', 0x3B79), ('共', 0x3626), ('典', 0x4535), ('内', 0x4662),
    ('凛', 0x515B), ('処', 0x3D68), ('前', 0x4130), ('剛', 0x3964), ('加', 0x3243), ('勇', 0x4D26),
    ('化', 0x323D), ('北', 0x4B4C), ('医', 0x3065), ('千', 0x4069), ('南', 0x466E), ('博', 0x476E),
    ('原', 0x3836), ('口', 0x387D), ('吉', 0x3548), ('告', 0x3970), ('和', 0x4F42), ('咲', 0x3A69),
    ('哲', 0x452F), ('器', 0x346F), ('回', 0x3273), ('坂', 0x3A64), ('報', 0x4A73), ('塩', 0x3176),
    ('夕', 0x4D3C), ('外', 0x3330), ('大', 0x4267), ('太', 0x4240), ('夫', 0x4957), ('央', 0x317B),
    ('子', 0x3B52), ('字', 0x3B7A), ('学', 0x3358), ('実', 0x3C42), ('富', 0x4959), ('射', 0x3C4D),
    ('小', 0x3E2E), ('尿', 0x4722), ('山', 0x3B33), ('岡', 0x322C), ('島', 0x4567), ('崎', 0x3A6A),
    ('川', 0x406E), ('市', 0x3B54), ('常', 0x3E6F), ('平', 0x4A3F), ('幸', 0x392C), ('康', 0x392F),
    ('形', 0x3741), ('彩', 0x3A4C), ('後', 0x3865), ('循', 0x3D5B), ('性', 0x402D), ('恵', 0x3743),
    ('悠', 0x4D2A), ('情', 0x3E70), ('想', 0x415B), ('愛', 0x3026), ('拓', 0x4273), ('提', 0x4473),
    ('擬', 0x353C), ('放', 0x4A7C), ('数', 0x3F74), ('整', 0x4030), ('文', 0x4A38), ('斎', 0x3A58),
    ('断', 0x4347), ('新', 0x3F37), ('方', 0x4A7D), ('日', 0x467C), ('明', 0x4C40), ('星', 0x4031),
    ('春', 0x3D55), ('昭', 0x3E3C), ('時', 0x3B7E), ('智', 0x4352), ('書', 0x3D71), ('服', 0x497E),
    ('朝', 0x442B), ('木', 0x4C5A), ('本', 0x4B5C), ('村', 0x423C), ('松', 0x3E3E), ('板', 0x4844),
    ('林', 0x4E53), ('果', 0x324C), ('架', 0x324D), ('査', 0x3A3A), ('根', 0x3A2C), ('森', 0x3F39),
    ('検', 0x3821), ('模', 0x4C4F), ('樹', 0x3C79), ('橋', 0x3636), ('正', 0x4035), ('武', 0x4970),
    ('毎', 0x4B68), ('水', 0x3F65), ('江', 0x393E), ('池', 0x4353), ('洋', 0x4D4E), ('浦', 0x313A),
    ('浩', 0x3940), ('海', 0x3324), ('消', 0x3E43), ('清', 0x4036), ('渡', 0x454F), ('港', 0x3941),
    ('湊', 0x4C2B), ('湯', 0x4572), ('熱', 0x472E), ('球', 0x3565), ('環', 0x3444), ('生', 0x4038),
    ('用', 0x4D51), ('田', 0x4544), ('由', 0x4D33), ('男', 0x434B), ('町', 0x442E), ('病', 0x4942),
    ('療', 0x4E45), ('発', 0x482F), ('白', 0x4772), ('直', 0x443E), ('県', 0x3829), ('真', 0x3F3F),
    ('石', 0x4050), ('示', 0x3C28), ('福', 0x4A21), ('秀', 0x3D28), ('秋', 0x3D29), ('科', 0x324A),
    ('穂', 0x4A66), ('空', 0x3675), ('窒', 0x4362), ('竹', 0x435D), ('箋', 0x6435), ('節', 0x4061),
    ('粒', 0x4E33), ('約', 0x4C73), ('純', 0x3D63), ('素', 0x4147), ('経', 0x3750), ('結', 0x376B),
    ('綾', 0x303D), ('総', 0x416D), ('緑', 0x4E50), ('線', 0x407E), ('美', 0x487E), ('義', 0x3541),
    ('翔', 0x6646), ('肪', 0x4B43), ('脂', 0x3B69), ('舞', 0x4971), ('良', 0x4E49), ('花', 0x3256),
    ('茂', 0x4C50), ('菊', 0x3546), ('菜', 0x3A5A), ('葛', 0x336B), ('葵', 0x302A), ('蓮', 0x4F21),
    ('藤', 0x4623), ('蛋', 0x4341), ('血', 0x376C), ('衣', 0x3061), ('裕', 0x4D35), ('西', 0x403E),
    ('要', 0x4D57), ('記', 0x352D), ('診', 0x3F47), ('誠', 0x403F), ('谷', 0x432B), ('豊', 0x4B2D),
    ('赤', 0x4056), ('輔', 0x4A65), ('辺', 0x4A55), ('近', 0x3661), ('退', 0x4260), ('通', 0x444C),
    ('進', 0x3F4A), ('過', 0x3261), ('達', 0x4323), ('遠', 0x3173), ('郎', 0x4F3A), ('部', 0x4974),
    ('酸', 0x3B40), ('野', 0x4C6E), ('金', 0x3662), ('鈴', 0x4E6B), ('錠', 0x3E7B), ('録', 0x4F3F),
    ('長', 0x4439), ('阿', 0x3024), ('院', 0x3121), ('陽', 0x4D5B), ('隆', 0x4E34), ('雄', 0x4D3A),
    ('雪', 0x4063), ('青', 0x4044), ('静', 0x4045), ('顆', 0x7079), ('颯', 0x7125), ('食', 0x3F29),
    ('香', 0x3961), ('高', 0x3962), ('麻', 0x4B63), ('．', 0x2125),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{hl7, people};

    #[test]
    fn the_table_is_sorted() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn known_codes() {
        let mut bytes = Vec::new();
        encode("A一|アあ１ａ^", &mut bytes);
        assert_eq!(bytes, b"A\x1b$B0l\x1b(B|\x1b$B%\x22$\x22#1#a\x1b(B^");
        bytes.clear();
        encode("佐藤^太郎", &mut bytes);
        assert_eq!(bytes, b"\x1b$B:4F#\x1b(B^\x1b$BB@O:\x1b(B");
    }

    #[test]
    fn every_character_of_the_messages_is_known() {
        let names = people::written_names();
        for c in names.chars().chain(hl7::vocabulary().chars()).filter(|c| !c.is_ascii()) {
            assert!(jis(c).is_some(), "{c} is not in TABLE of src/synthetic/jis.rs");
        }
    }
}
