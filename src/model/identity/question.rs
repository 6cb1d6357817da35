//! Questions to the MPI, the same from ITI-9/45/83 and ITI-21/47/78/119.

use super::{Authority, SentId};

/// Which ids a person has elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PixQuery {
    pub id: SentId,
    /// Domains asked for, in order; none: all.
    pub wanted: Vec<Authority>,
}

/// How a name asked for is to be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Representation {
    /// As the standards' plain search: folded width, kana and variants; the whole value.
    #[default]
    Folded,
    /// Character by character (`:exact`).
    Exact,
    /// Folded, and what begins with it (a trailing `*`; FHIR's plain string search).
    Prefix,
}

/// Who has these demographics. Everything said must agree.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct DemographicsQuery {
    pub ids: Vec<SentId>,
    pub family: Vec<(String, Representation)>,
    pub given: Vec<(String, Representation)>,
    /// `YYYY[MM[DD]]`.
    pub birth_date: Option<String>,
    pub sex: Option<String>,
    pub postal_code: Option<String>,
    /// Text that the address holds, folded.
    pub address: Option<String>,
    pub phone: Option<String>,
    pub mother_maiden_name: Option<(String, Representation)>,
    pub account: Option<String>,
    /// Names that only sound alike are welcome too (`use="SRCH"`).
    pub fuzzy: bool,
    /// Domains whose ids are wanted, in order; none: all.
    pub returned: Vec<Authority>,
}

impl std::fmt::Debug for DemographicsQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DemographicsQuery(…)")
    }
}
