//! XON, an organization: `name^^^^^&OID&ISO^^^^id`. ITI TF-3 Table 4.2.3.1.7-2.

use super::{Hd, Hl7Error, component, components, escape, unescape, unexpected, write_components};
use crate::model::ids::is_oid;
use std::borrow::Cow;
use std::fmt;

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Xon<'a> {
    pub name: Cow<'a, str>,
    /// OID of the authority that assigned `id`.
    pub authority: Option<Cow<'a, str>>,
    /// Either an OID, unique by itself, or an id within `authority`.
    pub id: Option<Cow<'a, str>>,
}

impl<'a> Xon<'a> {
    /// A name is required; components other than 1, 6 and 10 must be empty; an id that is no OID needs
    /// its authority.
    pub fn parse(value: &'a str) -> Result<Self, Hl7Error> {
        if value.is_empty() {
            return Err(Hl7Error::Empty);
        }
        let parts: Vec<&str> = components(value).collect();
        if let Some(error) = unexpected(&parts, &[1, 6, 10]) {
            return Err(error);
        }
        let name = unescape(component(&parts, 1));
        if name.trim().is_empty() {
            return Err(Hl7Error::MissingName);
        }
        let authority = match component(&parts, 6) {
            "" => None,
            hd => Some(Hd::parse_iso(hd)?.universal_id),
        };
        let id = Some(unescape(component(&parts, 10))).filter(|id| !id.is_empty());
        if authority.is_none() && id.as_ref().is_some_and(|id| !is_oid(id)) {
            return Err(Hl7Error::MissingOrganizationAuthority);
        }
        Ok(Self { name, authority, id })
    }

    pub fn into_owned(self) -> Xon<'static> {
        Xon {
            name: self.name.into_owned().into(),
            authority: self.authority.map(|a| a.into_owned().into()),
            id: self.id.map(|id| id.into_owned().into()),
        }
    }
}

impl fmt::Display for Xon<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.authority.as_ref().map(|oid| format!("&{oid}&ISO")).unwrap_or_default();
        let empty = || Cow::Borrowed("");
        write_components(
            f,
            &[
                escape(&self.name),
                empty(),
                empty(),
                empty(),
                empty(),
                Cow::Owned(authority),
                empty(),
                empty(),
                empty(),
                self.id.as_deref().map(escape).unwrap_or_default(),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_frameworks_examples_round_trip() {
        for good in [
            "Some Hospital",
            "Some Hospital^^^^^^^^^2.999.1.2.3.4.5.6.7.8.9.1789.45",
            "Some Hospital^^^^^&2.999.1.2.3.4.5.6.7.8.9.1789&ISO^^^^45",
            "登呂病院^^^^^&1.2.392.200119.6.102&ISO^^^^1312345670",
        ] {
            assert_eq!(Xon::parse(good).unwrap().to_string(), good);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (bad, why) in [
            ("", Hl7Error::Empty),
            ("^^^^^&1.2&ISO^^^^45", Hl7Error::MissingName),
            ("A^L", Hl7Error::UnexpectedComponent(2)),
            ("A^^^^^^^^^45", Hl7Error::MissingOrganizationAuthority),
            ("A^^^^^HOSP^^^^45", Hl7Error::BadAuthority),
        ] {
            assert_eq!(Xon::parse(bad), Err(why), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(name in "[^\\pC\\pZ]{1,12}", id in "[\\PC]{1,8}") {
            let x = Xon { name: name.into(), authority: Some("1.2.3".into()), id: Some(id.into()) };
            let text = x.to_string();
            prop_assert_eq!(Xon::parse(&text).unwrap(), x);
        }
    }
}
