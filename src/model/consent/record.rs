//! What was said of one patient's documents: consents with their rules, reservations, attestations, break-glass, the
//! list of VIPs. jahis-profile.md §7, security.md §4.1.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::terms::{Audience, Data};

/// How the patient consented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// 一括: everybody the policy covers.
    #[default]
    Bulk,
    /// A list of facilities: those that a rule permits.
    List,
    /// One facility at a visit: as a list, to which rules are added.
    PerFacility,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// 有効
    #[default]
    Active,
    /// 一部撤回
    PartlyWithdrawn,
    /// 撤回
    Withdrawn,
    /// 失効
    Lapsed,
}

impl Status {
    pub fn holds(self) -> bool {
        matches!(self, Self::Active | Self::PartlyWithdrawn)
    }

    pub fn japanese(self) -> &'static str {
        match self {
            Self::Active => "有効",
            Self::PartlyWithdrawn => "一部撤回",
            Self::Withdrawn => "撤回",
            Self::Lapsed => "失効",
        }
    }
}

/// Who signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// 本人
    #[default]
    Oneself,
    /// 代理
    Proxy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    Permit,
    Deny,
}

/// A signed form.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Consent {
    pub id: String,
    /// The policy it acknowledges (Patient Privacy Policy Identifier, ITI TF-1 19). Of the consents of one policy the one
    /// signed last counts, and no other.
    pub policy: String,
    pub pattern: Pattern,
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    pub relation: Relation,
    /// The facility it was obtained at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obtained_at: Option<String>,
    pub signed_on: Option<Date>,
    /// The last day included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<Date>,
    /// uniqueId of the document that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// The patient wants no emergency access either.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_break_glass: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

/// A rule of a consent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    pub effect: Effect,
    /// Whose documents: of a facility, a group, a community, or all.
    #[serde(default)]
    pub source: Audience,
    /// Who looks.
    #[serde(default)]
    pub viewer: Audience,
    #[serde(default)]
    pub data: Data,
    /// Documents of these days, both included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents_from: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents_to: Option<Date>,
    /// Days on which it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<Date>,
    /// `SYSTEM|CODE`: only requests with this purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
}

impl Rule {
    pub fn new(effect: Effect) -> Self {
        Self {
            effect,
            source: Audience::All,
            viewer: Audience::All,
            data: Data::All,
            documents_from: None,
            documents_to: None,
            valid_from: None,
            valid_to: None,
            purpose: None,
        }
    }
}

/// 留保: the patient keeps back what a facility would provide.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Reservation {
    pub id: String,
    /// Whose documents.
    pub source: Audience,
    pub data: Data,
    /// From whom they are kept.
    pub viewer: Audience,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<Date>,
}

/// The viewing facility says that the patient consented explicitly at the visit (MHLW 事務連絡 2020-03-31).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Attestation {
    pub id: String,
    /// `person:…` or `facility:…`.
    pub viewer: Audience,
    /// `SYSTEM|CODE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Microseconds since 1970.
    pub from: i64,
    pub until: i64,
}

/// Emergency access.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BreakGlass {
    pub id: String,
    /// `user@issuer`, or the user's NameID alone.
    pub user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facility: Option<String>,
    /// Microseconds since 1970.
    pub from: i64,
    pub until: i64,
}

/// One record of a patient, as kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Known {
    Consent(Consent),
    Reservation(Reservation),
    Attestation(Attestation),
    BreakGlass(BreakGlass),
    /// Whose documents only a care team sees.
    Vip {
        id: String,
        team: Vec<Audience>,
    },
}

impl Known {
    pub fn id(&self) -> &str {
        match self {
            Self::Consent(c) => &c.id,
            Self::Reservation(r) => &r.id,
            Self::Attestation(a) => &a.id,
            Self::BreakGlass(b) => &b.id,
            Self::Vip { id, .. } => id,
        }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::Consent(_) => Kind::Consent,
            Self::Reservation(_) => Kind::Reservation,
            Self::Attestation(_) => Kind::Attestation,
            Self::BreakGlass(_) => Kind::BreakGlass,
            Self::Vip { .. } => Kind::Vip,
        }
    }
}

/// `consent_record.kind`
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Consent = 1,
    Reservation = 2,
    Attestation = 3,
    BreakGlass = 4,
    Vip = 5,
}

impl Kind {
    pub const ALL: [Kind; 5] =
        [Self::Consent, Self::Reservation, Self::Attestation, Self::BreakGlass, Self::Vip];

    pub fn from_i64(value: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i64 == value)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Reservation => "reservation",
            Self::Attestation => "attestation",
            Self::BreakGlass => "break-glass",
            Self::Vip => "vip",
        }
    }

    pub fn japanese(self) -> &'static str {
        match self {
            Self::Consent => "同意",
            Self::Reservation => "留保",
            Self::Attestation => "受診時同意",
            Self::BreakGlass => "緊急閲覧",
            Self::Vip => "要配慮患者",
        }
    }
}

/// All records of one patient, sorted for deciding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    pub consents: Vec<Consent>,
    pub reservations: Vec<Reservation>,
    pub attestations: Vec<Attestation>,
    pub break_glass: Vec<BreakGlass>,
    pub vip: Option<(String, Vec<Audience>)>,
    /// A record could not be read: decided as an error.
    pub broken: bool,
}

impl Policy {
    pub fn take(&mut self, known: Known) {
        match known {
            Known::Consent(c) => self.consents.push(c),
            Known::Reservation(r) => self.reservations.push(r),
            Known::Attestation(a) => self.attestations.push(a),
            Known::BreakGlass(b) => self.break_glass.push(b),
            Known::Vip { id, team } => self.vip = Some((id, team)),
        }
    }

    pub fn of(all: impl IntoIterator<Item = Known>) -> Self {
        let mut policy = Self::default();
        all.into_iter().for_each(|known| policy.take(known));
        policy
    }

    /// Of each policy the consent signed last; of several of a day, the one registered last. An older one never comes
    /// back by a newer one being withdrawn.
    pub fn latest(&self) -> impl Iterator<Item = &Consent> {
        let rank = |c: &Consent| (c.signed_on, c.id.clone());
        self.consents.iter().filter(move |c| {
            !self.consents.iter().any(|other| other.policy == c.policy && rank(other) > rank(c))
        })
    }
}

/// What holds for one patient: their own records, and those of patients joined to them, or whom they were parted
/// from, until the office has confirmed what holds now (security.md §4.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    pub own: Policy,
    pub tied: Vec<Policy>,
    /// How many changes there were, for the version a decision names.
    pub version: i64,
    /// uniqueIds of documents on hold.
    pub held: std::collections::BTreeSet<String>,
}

impl Standing {
    pub fn all(&self) -> impl Iterator<Item = &Policy> {
        std::iter::once(&self.own).chain(&self.tied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn kinds_are_complete() {
        for (n, kind) in (1..).zip(Kind::ALL) {
            assert_eq!(kind as i64, n);
            assert_eq!(Kind::from_i64(n), Some(kind));
        }
        assert_eq!(Kind::from_i64(6), None);
    }

    #[test]
    fn the_consent_signed_last_counts_and_no_other() {
        let consent = |id: &str, policy: &str, day| Consent {
            id: id.into(),
            policy: policy.into(),
            signed_on: Some(date(2026, 4, day)),
            ..Consent::default()
        };
        let policy = Policy {
            consents: vec![
                consent("1", "a", 2),
                Consent { status: Status::Withdrawn, ..consent("2", "a", 3) },
                consent("3", "b", 1),
                consent("4", "a", 3),
            ],
            ..Policy::default()
        };
        assert_eq!(policy.latest().map(|c| &*c.id).collect::<Vec<_>>(), ["3", "4"]);
    }

    #[test]
    fn records_round_trip() {
        let known = Known::Consent(Consent {
            id: "1".into(),
            signed_on: Some(date(2026, 4, 1)),
            rules: vec![Rule {
                viewer: Audience::Facility("1.2".into()),
                documents_from: Some(date(2025, 1, 1)),
                ..Rule::new(Effect::Deny)
            }],
            ..Consent::default()
        });
        let text = serde_json::to_string(&known).unwrap();
        assert!(text.contains("\"facility:1.2\"") && text.contains("\"2025-01-01\""), "{text}");
        assert_eq!(serde_json::from_str::<Known>(&text).unwrap(), known);
    }
}
