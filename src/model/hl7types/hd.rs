//! HD, an assigning authority: `namespace&universalId&universalIdType`. In XDS metadata it is always
//! `&OID&ISO`.

use super::{Hl7Error, escape, unescape};
use crate::model::ids::is_oid;
use std::borrow::Cow;
use std::fmt;

/// An assigning authority.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Hd<'a> {
    pub namespace: Cow<'a, str>,
    pub universal_id: Cow<'a, str>,
    pub universal_id_type: Cow<'a, str>,
}

impl<'a> Hd<'a> {
    /// The authority an OID names: `&OID&ISO`. The caller vouches for the OID.
    pub fn iso(oid: impl Into<Cow<'a, str>>) -> Self {
        Self {
            namespace: Cow::Borrowed(""),
            universal_id: oid.into(),
            universal_id_type: Cow::Borrowed("ISO"),
        }
    }

    /// Reads any HD; `None` if nothing is in it or it has more than three parts.
    pub fn parse(value: &'a str) -> Option<Self> {
        let mut parts = value.split('&').map(unescape);
        let hd = Self {
            namespace: parts.next().unwrap_or_default(),
            universal_id: parts.next().unwrap_or_default(),
            universal_id_type: parts.next().unwrap_or_default(),
        };
        (parts.all(|p| p.is_empty()) && hd != Self::default()).then_some(hd)
    }

    /// Reads `&OID&ISO` and nothing else.
    pub fn parse_iso(value: &'a str) -> Result<Self, Hl7Error> {
        let oid = value
            .strip_prefix('&')
            .and_then(|v| v.strip_suffix("&ISO"))
            .filter(|oid| is_oid(oid))
            .ok_or(Hl7Error::BadAuthority)?;
        Ok(Self::iso(oid))
    }

    pub fn into_owned(self) -> Hd<'static> {
        Hd {
            namespace: self.namespace.into_owned().into(),
            universal_id: self.universal_id.into_owned().into(),
            universal_id_type: self.universal_id_type.into_owned().into(),
        }
    }
}

impl fmt::Display for Hd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.namespace))?;
        if !self.universal_id.is_empty() || !self.universal_id_type.is_empty() {
            write!(f, "&{}&{}", escape(&self.universal_id), escape(&self.universal_id_type))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_form_is_exact() {
        assert_eq!(Hd::parse_iso("&1.2.392.9.4&ISO").unwrap(), Hd::iso("1.2.392.9.4"));
        for bad in
            ["", "1.2.392.9.4", "&1.2.392.9.4", "HOSP&1.2.392.9.4&ISO", "&1.2.x&ISO", "&1.2&iso", "&1.2&ISO&"]
        {
            assert_eq!(Hd::parse_iso(bad), Err(Hl7Error::BadAuthority), "{bad}");
        }
    }

    #[test]
    fn any_form_round_trips() {
        for value in ["HOSP", "HOSP&1.2.3&ISO", "&1.2.3&ISO", "&host.example&DNS", r"A\T\B"] {
            assert_eq!(Hd::parse(value).unwrap().to_string(), value);
        }
        assert_eq!(Hd::parse("&&"), None);
        assert_eq!(Hd::parse("A&B&C&D"), None);
    }
}
