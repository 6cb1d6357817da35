//! XTN, an address for telecommunication: `^^Internet^a@b` or `^PRS^PH^^cc^area^number^ext`.
//! ITI TF-3 Table 4.2.3.1.7-2.

use super::{Hl7Error, component, components, escape, unescape, unexpected, write_components};
use std::borrow::Cow;
use std::fmt;

/// A telephone line or an e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Xtn<'a> {
    Phone {
        /// Component 2, e.g. `PRS`; empty if absent.
        use_code: Cow<'a, str>,
        /// Component 3, e.g. `PH`, `FX`, `CP`.
        equipment: Cow<'a, str>,
        country: Cow<'a, str>,
        area: Cow<'a, str>,
        number: Cow<'a, str>,
        extension: Cow<'a, str>,
    },
    Email {
        address: Cow<'a, str>,
    },
}

const INTERNET: &str = "Internet";

impl<'a> Xtn<'a> {
    pub fn parse(value: &'a str) -> Result<Self, Hl7Error> {
        if value.is_empty() {
            return Err(Hl7Error::Empty);
        }
        let parts: Vec<&str> = components(value).collect();
        let text = |number| unescape(component(&parts, number));
        match component(&parts, 3) {
            "" => Err(Hl7Error::MissingEquipment),
            INTERNET => {
                if !matches!(component(&parts, 2), "" | "NET") {
                    return Err(Hl7Error::BadUse);
                }
                if let Some(error) = unexpected(&parts, &[2, 3, 4]) {
                    return Err(error);
                }
                let address = text(4);
                if address.trim().is_empty() {
                    Err(Hl7Error::MissingAddress)
                } else {
                    Ok(Self::Email { address })
                }
            }
            _ => {
                if let Some(error) = unexpected(&parts, &[2, 3, 5, 6, 7, 8]) {
                    return Err(error);
                }
                let number = text(7);
                if number.trim().is_empty() {
                    return Err(Hl7Error::MissingNumber);
                }
                Ok(Self::Phone {
                    use_code: text(2),
                    equipment: text(3),
                    country: text(5),
                    area: text(6),
                    number,
                    extension: text(8),
                })
            }
        }
    }
}

impl fmt::Display for Xtn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Xtn::Email { address } => write!(f, "^^{INTERNET}^{}", escape(address)),
            Xtn::Phone { use_code, equipment, country, area, number, extension } => write_components(
                f,
                &[
                    Cow::Borrowed(""),
                    escape(use_code),
                    escape(equipment),
                    Cow::Borrowed(""),
                    escape(country),
                    escape(area),
                    escape(number),
                    escape(extension),
                ],
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_frameworks_examples_round_trip() {
        for good in [
            "^^Internet^radiology@healthcare.example.org",
            "^PRS^PH^^31^^(042) 1123 4567",
            "^PRS^PH^^^^+31 42 1123 4567",
        ] {
            assert_eq!(Xtn::parse(good).unwrap().to_string(), good);
        }
        assert!(Xtn::parse("^NET^Internet^a@b").is_ok());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (bad, why) in [
            ("", Hl7Error::Empty),
            ("03-1234-5678", Hl7Error::MissingEquipment),
            ("^NET^^a@b", Hl7Error::MissingEquipment),
            ("^PRS^Internet^a@b", Hl7Error::BadUse),
            ("^^Internet", Hl7Error::MissingAddress),
            ("^^Internet^a@b^81", Hl7Error::UnexpectedComponent(5)),
            ("^^PH", Hl7Error::MissingNumber),
            ("03^^PH^^^^1", Hl7Error::UnexpectedComponent(1)),
        ] {
            assert_eq!(Xtn::parse(bad), Err(why), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(number in "[^\\pC\\pZ]{1,12}", country in "[0-9]{0,3}", extension in "\\PC{0,5}") {
            let x = Xtn::Phone {
                use_code: "PRS".into(), equipment: "PH".into(), country: country.into(), area: "".into(),
                number: number.into(), extension: extension.into(),
            };
            let text = x.to_string();
            prop_assert_eq!(Xtn::parse(&text).unwrap(), x);
        }
    }
}
