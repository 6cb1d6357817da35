//! CX, an identifier with its authority (`id^^^&OID&ISO`), and CXi, the same with a type
//! (`id^^^&OID&ISO^type[^home]`). ITI TF-3 Table 4.2.3.1.7-2.

use super::{Hd, Hl7Error, component, components, escape, unescape, unexpected};
use crate::model::ids::{HomeCommunityId, is_oid};
use std::borrow::Cow;
use std::fmt;

/// A patient identifier in one domain. `Debug` prints the domain only: ids of patients stay out of logs.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cx<'a> {
    pub id: Cow<'a, str>,
    /// OID of the assigning authority.
    pub authority: Cow<'a, str>,
}

impl<'a> Cx<'a> {
    /// `None` if the id is empty or the authority is no OID.
    pub fn new(id: impl Into<Cow<'a, str>>, authority: impl Into<Cow<'a, str>>) -> Option<Self> {
        let cx = Self { id: id.into(), authority: authority.into() };
        (!cx.id.is_empty() && is_oid(&cx.authority)).then_some(cx)
    }

    /// Reads `id^^^&OID&ISO`; no other component, not even an empty one, may follow.
    pub fn parse(value: &'a str) -> Result<Self, Hl7Error> {
        if value.is_empty() {
            return Err(Hl7Error::Empty);
        }
        let parts: Vec<&str> = components(value).take(6).collect();
        if parts.len() > 4 {
            return Err(Hl7Error::UnexpectedComponent(5));
        }
        let (id, authority) = id_and_authority(&parts)?;
        Ok(Self { id, authority: authority.ok_or(Hl7Error::MissingAuthority)? })
    }

    pub fn into_owned(self) -> Cx<'static> {
        Cx { id: self.id.into_owned().into(), authority: self.authority.into_owned().into() }
    }
}

impl fmt::Display for Cx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}^^^&{}&ISO", escape(&self.id), self.authority)
    }
}

impl fmt::Debug for Cx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cx(…^^^&{}&ISO)", self.authority)
    }
}

/// Components 1 to 4, shared by CX and CXi.
fn id_and_authority<'a>(parts: &[&'a str]) -> Result<(Cow<'a, str>, Option<Cow<'a, str>>), Hl7Error> {
    let id = component(parts, 1);
    if id.is_empty() {
        return Err(Hl7Error::MissingId);
    }
    if id.contains('&') {
        return Err(Hl7Error::UnexpectedComponent(1));
    }
    if let Some(error) = unexpected(parts, &[1, 4, 5, 6]) {
        return Err(error);
    }
    let authority = match component(parts, 4) {
        "" => None,
        hd => Some(Hd::parse_iso(hd)?.universal_id),
    };
    Ok((unescape(id), authority))
}

/// One entry of referenceIdList. ITI TF-3 4.2.3.2.28.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cxi<'a> {
    pub id: Cow<'a, str>,
    /// OID of the assigning authority; absent where the id is globally unique by itself.
    pub authority: Option<Cow<'a, str>>,
    /// What the id identifies: one of [`crate::model::uuids::reference_id_type`] or a local code.
    pub id_type: Cow<'a, str>,
    pub home: Option<HomeCommunityId>,
}

impl<'a> Cxi<'a> {
    pub fn parse(value: &'a str) -> Result<Self, Hl7Error> {
        if value.is_empty() {
            return Err(Hl7Error::Empty);
        }
        let parts: Vec<&str> = components(value).collect();
        let (id, authority) = id_and_authority(&parts)?;
        let id_type = unescape(component(&parts, 5));
        if id_type.is_empty() {
            return Err(Hl7Error::MissingType);
        }
        let home = match component(&parts, 6) {
            "" => None,
            home => Some(HomeCommunityId::parse(home).ok_or(Hl7Error::BadHome)?),
        };
        Ok(Self { id, authority, id_type, home })
    }

    pub fn into_owned(self) -> Cxi<'static> {
        Cxi {
            id: self.id.into_owned().into(),
            authority: self.authority.map(|a| a.into_owned().into()),
            id_type: self.id_type.into_owned().into(),
            home: self.home,
        }
    }
}

impl fmt::Display for Cxi<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}^^^", escape(&self.id))?;
        if let Some(authority) = &self.authority {
            write!(f, "&{authority}&ISO")?;
        }
        write!(f, "^{}", escape(&self.id_type))?;
        if let Some(home) = &self.home {
            write!(f, "^{home}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Cxi<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cxi(… {})", self.id_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cx_is_exact() {
        let cx = Cx::parse("1001^^^&1.2.392.9.4&ISO").unwrap();
        assert_eq!((cx.id.as_ref(), cx.authority.as_ref()), ("1001", "1.2.392.9.4"));
        for (bad, why) in [
            ("", Hl7Error::Empty),
            ("1001", Hl7Error::MissingAuthority),
            ("^^^&1.2.3&ISO", Hl7Error::MissingId),
            ("1001^^^1.2.3", Hl7Error::BadAuthority),
            ("1001^^^&1.2.3&iso", Hl7Error::BadAuthority),
            ("1001^^^HOSP&1.2.3&ISO", Hl7Error::BadAuthority),
            ("1001^5^^&1.2.3&ISO", Hl7Error::UnexpectedComponent(2)),
            ("1001^^M10^&1.2.3&ISO", Hl7Error::UnexpectedComponent(3)),
            ("1001^^^&1.2.3&ISO^PI", Hl7Error::UnexpectedComponent(5)),
            ("1001^^^&1.2.3&ISO^", Hl7Error::UnexpectedComponent(5)),
            ("10&01^^^&1.2.3&ISO", Hl7Error::UnexpectedComponent(1)),
        ] {
            assert_eq!(Cx::parse(bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn debug_hides_the_id() {
        let cx = Cx::parse("1001^^^&1.2.392.9.4&ISO").unwrap();
        assert!(!format!("{cx:?}").contains("1001"));
    }

    #[test]
    fn cxi_needs_a_type() {
        for good in [
            "2013001^^^&1.2.3.4.5.6&ISO^urn:ihe:iti:xds:2013:accession",
            "2.16.840.1^^^^urn:ihe:iti:xdw:2013:workflowInstanceId",
            "x^^^&1.2&ISO^urn:ihe:iti:xds:2013:order^urn:oid:1.2.392.9.8",
        ] {
            assert_eq!(Cxi::parse(good).unwrap().to_string(), good);
        }
        assert_eq!(Cxi::parse("1^^^&1.2&ISO"), Err(Hl7Error::MissingType));
        assert_eq!(Cxi::parse("1^^^&1.2&ISO^t^1.2"), Err(Hl7Error::BadHome));
        assert_eq!(Cxi::parse("1^^^&1.2&ISO^t^^7"), Err(Hl7Error::UnexpectedComponent(7)));
    }

    proptest! {
        #[test]
        fn round_trip(id in "[\\PC^&|\\\\]{1,20}", arc in 0u32..1_000_000) {
            let cx = Cx::new(id, format!("1.2.{arc}")).unwrap();
            let text = cx.to_string();
            prop_assert_eq!(Cx::parse(&text).unwrap(), cx);
        }
    }
}
