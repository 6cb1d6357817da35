//! XCN, a person or a software agent: `id^family^given^further^suffix^prefix^degree^^&OID&ISO`.
//! ITI TF-3 Table 4.2.3.1.7-2.

use super::{Hd, Hl7Error, component, components, escape, unescape, write_components};
use std::borrow::Cow;
use std::fmt;

/// A person. Empty text means the component is absent. Components beyond those named are legal and not
/// kept here; the slot value they came in is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Xcn<'a> {
    pub id: Cow<'a, str>,
    /// Family name, or the name of a software agent.
    pub family: Cow<'a, str>,
    pub given: Cow<'a, str>,
    pub further_given: Cow<'a, str>,
    pub suffix: Cow<'a, str>,
    pub prefix: Cow<'a, str>,
    pub degree: Cow<'a, str>,
    /// Component 9. Should be `&OID&ISO`; other forms occur and are read as they are.
    pub authority: Option<Hd<'a>>,
}

impl<'a> Xcn<'a> {
    /// Needs an id or a family name; everything else is optional and trailing `^` are ignored.
    pub fn parse(value: &'a str) -> Result<Self, Hl7Error> {
        let parts: Vec<&str> = components(value).collect();
        let text = |number| unescape(component(&parts, number));
        // HL7's family name has parts of its own (FN); the first is the name.
        let family = component(&parts, 2).split('&').next().unwrap_or_default();
        let xcn = Self {
            id: text(1),
            family: unescape(family),
            given: text(3),
            further_given: text(4),
            suffix: text(5),
            prefix: text(6),
            degree: text(7),
            authority: Hd::parse(component(&parts, 9)),
        };
        if value.is_empty() {
            Err(Hl7Error::Empty)
        } else if xcn.id.trim().is_empty() && xcn.family.trim().is_empty() {
            Err(Hl7Error::MissingPerson)
        } else {
            Ok(xcn)
        }
    }

    pub fn into_owned(self) -> Xcn<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Xcn {
            id: owned(self.id),
            family: owned(self.family),
            given: owned(self.given),
            further_given: owned(self.further_given),
            suffix: owned(self.suffix),
            prefix: owned(self.prefix),
            degree: owned(self.degree),
            authority: self.authority.map(Hd::into_owned),
        }
    }
}

impl fmt::Display for Xcn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.authority.as_ref().map(ToString::to_string).unwrap_or_default();
        write_components(
            f,
            &[
                escape(&self.id),
                escape(&self.family),
                escape(&self.given),
                escape(&self.further_given),
                escape(&self.suffix),
                escape(&self.prefix),
                escape(&self.degree),
                Cow::Borrowed(""),
                Cow::Owned(authority),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_the_framework_and_senders_write() {
        let x = Xcn::parse("11375^Welby^Marcus^J^Jr. MD^Dr^^^&2.999.6.197&ISO").unwrap();
        assert_eq!((x.id.as_ref(), x.family.as_ref(), x.prefix.as_ref()), ("11375", "Welby", "Dr"));
        assert_eq!(x.authority, Some(Hd::iso("2.999.6.197")));
        let x = Xcn::parse("^Smitty^Gerald^^^").unwrap();
        assert_eq!(x.to_string(), "^Smitty^Gerald");
        let x = Xcn::parse("110^医師^一郎^^^^^^&1.2.392.100495.20.3.41.11312345670&ISO").unwrap();
        assert_eq!(x.family, "医師");
        assert!(Xcn::parse("7^^^^^^^^HOSP^L^^^^I").is_ok());
    }

    #[test]
    fn somebody_must_be_named() {
        assert_eq!(Xcn::parse(""), Err(Hl7Error::Empty));
        assert_eq!(Xcn::parse("^^Marcus"), Err(Hl7Error::MissingPerson));
        assert_eq!(Xcn::parse("^^^^"), Err(Hl7Error::MissingPerson));
    }

    proptest! {
        #[test]
        fn round_trip(id in "\\PC{0,8}", family in "[^\\pC\\pZ]{1,8}", given in "\\PC{0,8}", degree in "\\PC{0,4}") {
            let x = Xcn {
                id: id.into(), family: family.into(), given: given.into(), degree: degree.into(),
                authority: Some(Hd::iso("1.2.3")), ..Xcn::default()
            };
            let text = x.to_string();
            prop_assert_eq!(Xcn::parse(&text).unwrap(), x);
        }
    }
}
