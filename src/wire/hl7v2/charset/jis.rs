//! The tables of Japanese character sets, fixed here so that no platform's habit shows: JIS X 0208 by its own
//! mapping (0x215D is U+2212 MINUS SIGN, 0x2141 U+301C WAVE DASH, …), what vendors put into its empty rows by
//! CP932's (NEC row 13, IBM), JIS X 0212, and what may stand for a character that JIS X 0208 lacks.
//!
//! A line of a table is a row number and its cells in order; U+FFFD is a cell without a character.

use std::collections::HashMap;
use std::sync::LazyLock;

const CELLS: usize = 94;
/// JIS X 0208 ends at row 94; CP932 counts on to 119.
const ROWS: usize = 120;

struct Plane(Vec<u16>);

impl Plane {
    fn read(tables: &[&str]) -> Self {
        let mut cells = vec![0; ROWS * CELLS];
        for line in tables.iter().flat_map(|table| table.lines()) {
            let Some((row, characters)) = line.split_once('\t') else { continue };
            let Ok(row) = row.parse::<usize>() else { continue };
            for (cell, c) in characters.chars().enumerate() {
                if let Some(slot) = cells.get_mut((row - 1) * CELLS + cell) {
                    *slot = u16::try_from(u32::from(c)).ok().filter(|_| c != '\u{fffd}').unwrap_or(0);
                }
            }
        }
        Self(cells)
    }

    fn at(&self, row: u8, cell: u8) -> Option<char> {
        let index = usize::from(row).checked_sub(1)? * CELLS + usize::from(cell).checked_sub(1)?;
        self.0.get(index).filter(|c| **c != 0).and_then(|c| char::from_u32(u32::from(*c)))
    }

    fn characters(&self) -> impl Iterator<Item = (char, u8, u8)> {
        self.0.iter().enumerate().filter_map(|(i, c)| {
            let c = char::from_u32(u32::from(*c)).filter(|c| *c != '\0')?;
            Some((c, u8::try_from(i / CELLS + 1).ok()?, u8::try_from(i % CELLS + 1).ok()?))
        })
    }
}

const JIS_X_0208: &str = include_str!("jisx0208.txt");
const VENDOR: &str = include_str!("vendor.txt");

/// What is read: the standard, and vendors' characters in its empty rows.
static READ: LazyLock<Plane> = LazyLock::new(|| Plane::read(&[JIS_X_0208, VENDOR]));
/// What is written.
static STANDARD: LazyLock<Plane> = LazyLock::new(|| Plane::read(&[JIS_X_0208]));
static SUPPLEMENT: LazyLock<Plane> = LazyLock::new(|| Plane::read(&[include_str!("jisx0212.txt")]));

static WRITE: LazyLock<HashMap<char, (u8, u8)>> = LazyLock::new(|| {
    let mut map: HashMap<char, (u8, u8)> =
        STANDARD.characters().map(|(c, row, cell)| (c, (row, cell))).collect();
    // The same cells under CP932's names for them, and the dash that other tables have for 0x213D.
    for (c, code) in [
        ('\u{ff5e}', (1, 33)),
        ('\u{2225}', (1, 34)),
        ('\u{2014}', (1, 29)),
        ('\u{ff0d}', (1, 61)),
        ('\u{ffe0}', (1, 81)),
        ('\u{ffe1}', (1, 82)),
        ('\u{ffe2}', (2, 44)),
    ] {
        map.insert(c, code);
    }
    map
});

static VENDOR_WRITE: LazyLock<HashMap<char, (u8, u8)>> = LazyLock::new(|| {
    // Later rows win: IBM's own rows rather than NEC's selection of them, as CP932 writes.
    Plane::read(&[VENDOR]).characters().map(|(c, row, cell)| (c, (row, cell))).collect()
});

static SUBSTITUTES: LazyLock<HashMap<char, &'static str>> = LazyLock::new(|| {
    include_str!("substitutes.txt")
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter_map(|(from, to)| Some((from.chars().next()?, to)))
        .collect()
});

/// The character of a JIS X 0208 cell (both from 1), vendors' included.
pub fn read(row: u8, cell: u8) -> Option<char> {
    READ.at(row, cell)
}

/// The character of a JIS X 0212 cell.
pub fn read_supplement(row: u8, cell: u8) -> Option<char> {
    SUPPLEMENT.at(row, cell)
}

/// Row and cell of a character in JIS X 0208.
pub fn write(c: char) -> Option<(u8, u8)> {
    WRITE.get(&c).copied()
}

/// Row and cell of a character in the rows CP932 adds.
pub fn write_vendor(c: char) -> Option<(u8, u8)> {
    VENDOR_WRITE.get(&c).copied()
}

/// What may stand for a character that JIS X 0208 lacks: 髙 as 高, ① as (1).
pub fn substitute(c: char) -> Option<&'static str> {
    SUBSTITUTES.get(&c).copied()
}

/// A half-width katakana as full width; with the voicing mark that follows it, if they make one character.
/// Returns whether the mark was used.
pub fn full_width(kana: char, next: Option<char>) -> Option<(char, bool)> {
    const FULL: &str = "。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン゛゜";
    let full = |c: char| {
        let index = u32::from(c).checked_sub(0xff61)?;
        FULL.chars().nth(usize::try_from(index).ok()?)
    };
    let plain = full(kana)?;
    let voiced = |by: u32| char::from_u32(u32::from(plain) + by);
    let joined = match next {
        Some('\u{ff9e}') if plain == 'ウ' => Some('ヴ'),
        Some('\u{ff9e}') if "カキクケコサシスセソタチツテトハヒフヘホ".contains(plain) => {
            voiced(1)
        }
        Some('\u{ff9f}') if "ハヒフヘホ".contains(plain) => voiced(2),
        _ => None,
    };
    Some(joined.map_or((plain, false), |c| (c, true)))
}

/// Row and cell of two bytes of Shift_JIS, counted on beyond row 94 as CP932 does.
pub fn of_shift_jis(lead: u8, trail: u8) -> Option<(u8, u8)> {
    let pair = match lead {
        0x81..=0x9f => lead - 0x81,
        0xe0..=0xfc => lead - 0xc1,
        _ => return None,
    };
    let (second, cell) = match trail {
        0x40..=0x7e => (0, trail - 0x3f),
        0x80..=0x9e => (0, trail - 0x40),
        0x9f..=0xfc => (1, trail - 0x9e),
        _ => return None,
    };
    Some((pair * 2 + 1 + second, cell))
}

/// The two bytes of Shift_JIS for a row and cell.
pub fn to_shift_jis(row: u8, cell: u8) -> (u8, u8) {
    let pair = (row - 1) / 2;
    let lead = pair + if pair < 31 { 0x81 } else { 0xc1 };
    let trail = match (row % 2, cell) {
        (1, 1..=63) => cell + 0x3f,
        (1, _) => cell + 0x40,
        _ => cell + 0x9e,
    };
    (lead, trail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_whole() {
        assert_eq!(STANDARD.characters().count(), 6879);
        assert_eq!(SUPPLEMENT.characters().count(), 6067);
        assert_eq!(READ.characters().count(), 6879 + 845);
        for (code, c) in [((1, 61), '−'), ((1, 33), '〜'), ((1, 34), '‖'), ((1, 32), '＼'), ((2, 44), '¬')]
        {
            assert_eq!(read(code.0, code.1), Some(c));
            assert_eq!(write(c), Some(code));
        }
        assert_eq!((read(13, 1), read(85, 1), read(0, 1), read(95, 1)), (Some('①'), None, None, None));
        assert_eq!(read(16, 1), Some('亜'));
        assert_eq!(
            (write('①'), write_vendor('①'), write_vendor('髙')),
            (None, Some((13, 1)), Some((118, 94)))
        );
    }

    #[test]
    fn substitutes_can_be_written_and_hold_no_delimiter() {
        for (from, to) in SUBSTITUTES.iter() {
            assert!(write(*from).is_none(), "{from} needs no substitute");
            for c in to.chars() {
                assert!(c.is_ascii() || write(c).is_some(), "{from}: {c}");
                assert!(!"|^~\\&".contains(c), "{from}: {c}");
            }
        }
        assert_eq!(
            (substitute('髙'), substitute('㈱'), substitute('Ⅲ')),
            (Some("高"), Some("(株)"), Some("III"))
        );
    }

    #[test]
    fn half_width_kana_have_full_width() {
        assert_eq!(full_width('ﾜ', Some('ﾀ')), Some(('ワ', false)));
        assert_eq!(full_width('ﾍ', Some('ﾞ')), Some(('ベ', true)));
        assert_eq!(full_width('ﾊ', Some('ﾟ')), Some(('パ', true)));
        assert_eq!(full_width('ｳ', Some('ﾞ')), Some(('ヴ', true)));
        assert_eq!(full_width('ﾅ', Some('ﾞ')), Some(('ナ', false)));
        assert_eq!((full_width('｡', None), full_width('ﾟ', None)), (Some(('。', false)), Some(('゜', false))));
        assert_eq!(full_width('ア', None), None);
    }

    #[test]
    fn shift_jis_is_the_same_cells() {
        assert_eq!(of_shift_jis(0x95, 0x5c).and_then(|(r, c)| read(r, c)), Some('表'));
        assert_eq!(of_shift_jis(0xfb, 0xfc).and_then(|(r, c)| read(r, c)), Some('髙'));
        for row in 1..=119 {
            for cell in 1..=94 {
                let (lead, trail) = to_shift_jis(row, cell);
                assert_eq!(of_shift_jis(lead, trail), Some((row, cell)));
            }
        }
        assert_eq!(of_shift_jis(0x80, 0x40), None);
        assert_eq!(of_shift_jis(0x81, 0x7f), None);
    }
}
