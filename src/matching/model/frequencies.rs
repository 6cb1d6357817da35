//! How common names are: an agreement on 佐藤 tells less than one on 小鳥遊.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::matching::score::Field;

/// Shares of the names of one field.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FieldFrequencies {
    /// Share of a name that is not listed.
    pub rare: f64,
    pub shares: BTreeMap<String, f64>,
    /// The same, found fast.
    #[serde(skip)]
    index: HashMap<String, f64>,
}

impl FieldFrequencies {
    pub fn new(rare: f64, shares: BTreeMap<String, f64>) -> Self {
        // So short that JSON gives them back to the last bit.
        let shares = shares.into_iter().map(|(name, share)| (name, (share * 1e9).round() / 1e9));
        Self { rare, shares: shares.collect(), index: HashMap::new() }
    }

    pub fn share(&self, value: &str) -> f64 {
        self.index.get(value).copied().unwrap_or(self.rare)
    }
}

/// Of family and given names, by sound and as written by representatives.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Frequencies {
    pub family_kana: FieldFrequencies,
    pub given_kana: FieldFrequencies,
    pub family_kanji: FieldFrequencies,
    pub given_kanji: FieldFrequencies,
}

impl Frequencies {
    /// None for fields that have none.
    pub fn of(&self, field: Field) -> Option<&FieldFrequencies> {
        match field {
            Field::FamilyKana => Some(&self.family_kana),
            Field::GivenKana => Some(&self.given_kana),
            Field::FamilyKanji => Some(&self.family_kanji),
            Field::GivenKanji => Some(&self.given_kanji),
            _ => None,
        }
    }

    /// Makes the shares findable; before that every name is rare.
    pub(super) fn finish(&mut self) {
        for field in
            [&mut self.family_kana, &mut self.given_kana, &mut self.family_kanji, &mut self.given_kanji]
        {
            field.index = field.shares.iter().map(|(name, share)| (name.clone(), *share)).collect();
        }
    }
}
