//! Names as they are compared: which scripts belong together, which stand for which.

use crate::matching::fold;
use crate::model::identity::{NameScript, NameUse, PersonName};

/// A name in the forms of `NameSpans`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct NameEntry {
    family: Forms,
    given: Forms,
    newborn: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Forms {
    kana: String,
    sound: String,
    written: String,
    plain: String,
}

impl NameEntry {
    /// As stored: forms that are the same as the one before are empty.
    pub fn parts(&self) -> [&str; 9] {
        let (f, g) = (&self.family, &self.given);
        fn unless(same: bool, value: &str) -> &str {
            if same { "" } else { value }
        }
        [
            if self.newborn { "n" } else { "" },
            &f.kana,
            &g.kana,
            unless(f.sound == f.kana, &f.sound),
            unless(g.sound == g.kana, &g.sound),
            &f.written,
            &g.written,
            unless(f.plain == f.written, &f.plain),
            unless(g.plain == g.written, &g.plain),
        ]
    }

    fn is_empty(&self) -> bool {
        self.family == Forms::default() && self.given == Forms::default()
    }
}

/// Family and given name of one script.
#[derive(Clone, Default)]
struct Piece {
    family: String,
    given: String,
}

/// The names of one use by script.
#[derive(Default)]
struct Scripts {
    written: Vec<Piece>,
    kana: Vec<Piece>,
    roman: Vec<Piece>,
}

/// The entries compared of `names`, legal ones first.
pub(super) fn entries(names: &[PersonName]) -> Vec<NameEntry> {
    const USES: [NameUse; 5] =
        [NameUse::Legal, NameUse::Display, NameUse::Alias, NameUse::Maiden, NameUse::Birth];
    let mut entries: Vec<NameEntry> = vec![];
    for usage in USES {
        let mut scripts = Scripts::default();
        for name in names.iter().filter(|n| n.usage == usage) {
            scripts.add(name);
        }
        for mut entry in scripts.entries() {
            // A former family name alone: the given name stayed.
            if matches!(usage, NameUse::Maiden | NameUse::Birth)
                && entry.given == Forms::default()
                && let Some(first) = entries.first()
            {
                entry.given = first.given.clone();
                entry.newborn = first.newborn;
            }
            if !entry.is_empty() && !entries.contains(&entry) {
                entries.push(entry);
            }
        }
    }
    entries
}

impl Scripts {
    fn add(&mut self, name: &PersonName) {
        let (family, given) = split(name);
        let whole = format!("{family}{given}");
        let (folded, _) = fold::kanji(&whole);
        if folded.is_empty() {
            return;
        }
        // What the characters say outranks what the sender says of them.
        let roman = fold::roman(&whole);
        let piece = Piece { family, given };
        match () {
            () if fold::is_han(&folded) => self.written.push(piece),
            () if roman.chars().any(|c| c.is_ascii_alphabetic()) && !fold::is_kana(&folded) => {
                self.roman.push(piece)
            }
            () if name.script == Some(NameScript::Ideographic) => self.written.push(piece),
            () => self.kana.push(piece),
        }
    }

    fn entries(self) -> Vec<NameEntry> {
        let Self { written, mut kana, roman } = self;
        // さくら in the kanji field is its own reading.
        if kana.is_empty() {
            let is_kana = |p: &&Piece| fold::is_kana(&fold::kana(&format!("{}{}", p.family, p.given)));
            kana.extend(written.iter().filter(is_kana).cloned());
        }
        let mut entries: Vec<NameEntry> = (0..written.len().max(kana.len()))
            .map(|i| NameEntry {
                family: forms(kana.get(i).map(|p| &*p.family), written.get(i).map(|p| &*p.family)),
                given: forms(kana.get(i).map(|p| &*p.given), written.get(i).map(|p| &*p.given)),
                newborn: false,
            })
            .collect();
        for (i, piece) in roman.iter().enumerate() {
            let (family, given) = (fold::roman(&piece.family), fold::roman(&piece.given));
            let sounds = (fold::roman_sound(&family), fold::roman_sound(&given));
            match (sounds, entries.get_mut(i)) {
                // Japanese in Latin letters: its kana, where no kana was sent.
                ((Some(f), Some(g)), Some(entry)) => {
                    if entry.family.kana.is_empty() && entry.given.kana.is_empty() {
                        (entry.family.sound, entry.given.sound) = (f, g);
                    }
                }
                ((f, g), _) => {
                    let form = |sound: Option<String>, written: String| Forms {
                        kana: String::new(),
                        sound: sound.unwrap_or_default(),
                        plain: written.clone(),
                        written,
                    };
                    let both = f.is_some() && g.is_some();
                    let entry = NameEntry {
                        family: form(f.filter(|_| both), family),
                        given: form(g.filter(|_| both), given),
                        newborn: false,
                    };
                    entries.push(entry);
                }
            }
        }
        for entry in &mut entries {
            if [&entry.given.kana, &entry.given.written].into_iter().any(|g| fold::newborn(g)) {
                entry.given = Forms::default();
                entry.newborn = true;
            }
        }
        entries
    }
}

fn forms(kana: Option<&str>, written: Option<&str>) -> Forms {
    let kana = kana.map(fold::kana).unwrap_or_default();
    let sound = fold::sound(&kana);
    let written = written.map(|w| fold::kanji(w).0).unwrap_or_default();
    let plain = fold::variants(&written);
    Forms { kana, sound, written, plain }
}

/// Family and given name; a whole name in the family's place is divided at its blank, if it has one.
fn split(name: &PersonName) -> (String, String) {
    let family = name.family.trim();
    let given = name.given.trim();
    let divided = |whole: &str| {
        let at = whole.find(|c: char| c.is_whitespace() || matches!(c, '・' | '･' | ','));
        at.map(|at| {
            let (family, given) = whole.split_at(at);
            (
                family.to_owned(),
                given
                    .trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '・' | '･' | ','))
                    .to_owned(),
            )
        })
    };
    let (family, mut given) = match (family, given) {
        ("", whole) | (whole, "") => divided(whole).unwrap_or_else(|| (whole.to_owned(), String::new())),
        (family, given) => (family.to_owned(), given.to_owned()),
    };
    // Middle names of foreigners stand with the given name here and there.
    if !name.middle.trim().is_empty() && !fold::is_han(&given) {
        given.push_str(name.middle.trim());
    }
    (family, given)
}
