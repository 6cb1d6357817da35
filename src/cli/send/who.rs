//! Options that say who a patient is, the same on every wire: of feeds, and of questions.

use clap::Args;

use crate::model::identity::{Address, Demographics, NameScript, PersonName, Phone, PhoneUse};

/// Who a feed speaks of. The sex is each wire's own, for its codes differ.
#[derive(Debug, Clone, Args)]
pub struct Who {
    /// Family and given name in kanji: '山本 美咲'
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// The same in kana
    #[arg(long, value_name = "NAME")]
    kana: Option<String>,

    /// The same in Latin letters
    #[arg(long, value_name = "NAME")]
    romaji: Option<String>,

    /// Date of birth, YYYYMMDD
    #[arg(long, value_name = "DATE")]
    birth: Option<String>,

    /// Postcode
    #[arg(long)]
    postcode: Option<String>,

    #[arg(long)]
    address: Option<String>,

    /// Telephone number
    #[arg(long)]
    phone: Option<String>,
}

/// Family and given name, a blank of either width between them.
pub fn parts(text: &str) -> (&str, &str) {
    let (family, given) = text.trim().split_once([' ', '　']).unwrap_or((text.trim(), ""));
    (family.trim(), given.trim())
}

impl Who {
    pub fn demographics(&self) -> Demographics {
        let names: Vec<PersonName> = [
            (&self.name, NameScript::Ideographic),
            (&self.kana, NameScript::Phonetic),
            (&self.romaji, NameScript::Alphabetic),
        ]
        .into_iter()
        .filter_map(|(text, script)| {
            let (family, given) = parts(text.as_deref()?);
            let (family, given) = (family.to_owned(), given.to_owned());
            Some(PersonName { family, given, script: Some(script), ..PersonName::default() })
        })
        .collect();
        let address = (self.postcode.is_some() || self.address.is_some()).then(|| Address {
            text: self.address.clone().unwrap_or_default(),
            postal_code: self.postcode.clone().unwrap_or_default(),
            country: "JPN".into(),
            usage: "H".into(),
        });
        Demographics {
            names: Some(names).filter(|n| !n.is_empty()),
            birth_date: self.birth.clone(),
            addresses: address.map(|a| vec![a]),
            phones: self.phone.clone().map(|number| vec![Phone { number, usage: PhoneUse::Home }]),
            ..Demographics::default()
        }
    }
}

/// Whom a question asks for.
#[derive(Debug, Clone, Args)]
pub struct Sought {
    /// Family name; * at its end stands for what follows
    #[arg(long)]
    pub family: Option<String>,

    /// Given name; * at its end stands for what follows
    #[arg(long)]
    pub given: Option<String>,

    /// Date of birth, YYYY[MM[DD]]
    #[arg(long, value_name = "DATE")]
    pub birth: Option<String>,

    #[arg(long)]
    pub postcode: Option<String>,

    /// Text of the address
    #[arg(long)]
    pub address: Option<String>,

    #[arg(long)]
    pub phone: Option<String>,
}
