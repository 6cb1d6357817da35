//! The network's own rules, a file that is data: facilities and groups, kinds of data, what facilities release, what
//! roles may, which purposes and consent policies there are. Read once; docs/consent.md shows one.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::facts::{Facts, Institution};
use super::record::Pattern;
use super::terms::{Attribute, Audience, Data, plain_oid};
use super::viewer::Viewer;

/// `[consent] mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// No consent is asked for: whoever a listener admitted may read what the network holds.
    #[default]
    Off,
    /// Without a consent nothing is shown to other facilities.
    OptIn,
    /// Without a consent what is released is shown, until the patient refuses.
    OptOut,
}

/// Code system of confidentialityCode (ITI TF-3 4.2.3.2.5).
pub const CONFIDENTIALITY: &str = "2.16.840.1.113883.5.25";

/// confidentialityCode, in order (security.md §4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    U,
    L,
    M,
    N,
    R,
    V,
}

impl Level {
    pub const ALL: [Level; 6] = [Self::U, Self::L, Self::M, Self::N, Self::R, Self::V];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::U => "U",
            Self::L => "L",
            Self::M => "M",
            Self::N => "N",
            Self::R => "R",
            Self::V => "V",
        }
    }

    pub fn read(code: &str, scheme: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| plain_oid(scheme) == CONFIDENTIALITY && level.as_str() == code)
    }
}

/// What somebody does. One row per way to ask; [`Function::ALL`] is what roles are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Function {
    /// Stored queries: ITI-18, ITI-38, ITI-51.
    Query,
    /// ITI-39, ITI-43.
    Retrieve,
    /// Whether somebody is a patient here: ITI-45, ITI-47, ITI-55, ITI-78 and their kin.
    Discover,
    BreakGlass,
    /// To a service outside the network.
    Export,
}

impl Function {
    pub const ALL: [Function; 5] =
        [Self::Query, Self::Retrieve, Self::Discover, Self::BreakGlass, Self::Export];
}

/// A facility of the network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Facility {
    pub oid: String,
    pub name: String,
    /// Other ids, bare codes and names that mean it in authorInstitution.
    pub aliases: Vec<String>,
    pub groups: Vec<String>,
    /// It posted what it provides and for what (院内掲示), without which an attestation at a visit opens none of its
    /// documents.
    pub notice: bool,
    /// Since when it takes part: forms signed before did not name it.
    pub joined: Option<Date>,
}

/// A kind of data under a name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KindOfData {
    pub name: String,
    pub codes: Vec<Data>,
    /// Its documents are at least this confidential, whatever their confidentialityCode says.
    pub level: Option<Level>,
}

/// What a facility publishes at all (facility_release).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Release {
    /// `facility:OID`, `group:NAME` or `*`.
    pub source: Audience,
    pub data: Vec<Data>,
    /// Documents of these days.
    pub from: Option<Date>,
    pub to: Option<Date>,
    pub audience: Vec<Audience>,
}

/// What people of a role may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Role {
    pub system: String,
    /// `*`: every code of the system that no other row names.
    pub code: String,
    pub functions: Vec<Function>,
    pub clearance: Level,
    /// Only these kinds of data; empty: all.
    pub data: Vec<Data>,
    /// They are patients, who look at their own documents.
    pub patient: bool,
}

impl Default for Role {
    fn default() -> Self {
        Self {
            system: String::new(),
            code: "*".into(),
            functions: vec![Function::Query, Function::Retrieve, Function::Discover],
            clearance: Level::N,
            data: vec![],
            patient: false,
        }
    }
}

/// A policy that a consent acknowledges, by its OID: `eventCodeList` of BPPC documents.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsentPolicy {
    pub oid: String,
    pub name: String,
    pub pattern: Pattern,
    /// Acknowledging it is refusing: a withdrawal.
    pub refuses: bool,
    /// Which consents it withdraws; empty: all.
    pub withdraws: Vec<String>,
    /// Whom 一括同意 covers; empty: as `covers` of the file.
    pub covers: Vec<Audience>,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    #[serde(skip)]
    pub mode: Mode,
    /// homeCommunityId of the network.
    #[serde(skip)]
    pub home: String,
    /// The version decisions name; the file's hash is added.
    pub version: String,
    /// Whom 一括同意 covers.
    pub covers: Vec<Audience>,
    /// What a caller may without a user: the node alone.
    pub node_clearance: Level,
    pub node_functions: Vec<Function>,
    /// Purposes that are permitted, `SYSTEM|CODE`; empty: all. A request without a purpose is, unless
    /// `purpose_required`.
    pub purposes: Vec<String>,
    pub purpose_required: bool,
    /// Purposes of emergency access, `SYSTEM|CODE`. A request uses its break-glass only with one of them.
    pub emergency: Vec<String>,
    pub break_glass_minutes: u32,
    /// Days until a break-glass must have been reviewed.
    pub review_days: u32,
    /// Whether an attestation at a visit stands for a consent (MHLW 2020-03-31).
    pub attestation: bool,
    /// Kinds of data that patients are not shown.
    pub patient_hidden: Vec<Data>,
    /// Whether documents are exported to a service only with a consent.
    /// Whether operators see everything at the gateway's own machine and private listener; else nothing of documents.
    pub operators: bool,
    pub export_needs_consent: bool,
    pub export_clearance: Level,
    pub facility: Vec<Facility>,
    pub kind: Vec<KindOfData>,
    pub release: Vec<Release>,
    pub role: Vec<Role>,
    pub policy: Vec<ConsentPolicy>,
    /// Every id, code and name of a facility, to its place.
    #[serde(skip)]
    pub(super) index: BTreeMap<String, usize>,
}

/// HPKI's hcRole (security.md §3.4).
pub const HPKI_ROLES: &str = "1.2.392.100495.1.6.1.1";

/// HL7 v3 ActReason, where purposes come from unless the network has its own.
const ACT_REASON: &str = "2.16.840.1.113883.5.8";

impl Default for Network {
    /// What holds without a file: everything is released to members, HPKI's doctors see what is restricted, other
    /// roles what is normal.
    fn default() -> Self {
        let see = vec![Function::Query, Function::Retrieve, Function::Discover];
        let doctor = |code: &str| Role {
            system: HPKI_ROLES.into(),
            code: code.into(),
            functions: see.iter().copied().chain([Function::BreakGlass]).collect(),
            clearance: Level::R,
            ..Role::default()
        };
        let mut role: Vec<Role> =
            ["Medical Doctor", "Dentist", "Director of Hospital", "Director of Clinic", "Director"]
                .map(doctor)
                .into();
        role.push(Role { system: HPKI_ROLES.into(), ..Role::default() });
        Self {
            mode: Mode::Off,
            home: String::new(),
            version: "built in".into(),
            covers: vec![Audience::Members],
            node_clearance: Level::N,
            node_functions: see,
            purposes: vec![],
            purpose_required: false,
            emergency: vec![format!("{ACT_REASON}|ETREAT"), format!("{ACT_REASON}|BTG")],
            break_glass_minutes: 60,
            review_days: 3,
            attestation: true,
            patient_hidden: vec![],
            operators: true,
            export_needs_consent: false,
            export_clearance: Level::N,
            facility: vec![],
            kind: vec![],
            release: vec![Release {
                audience: vec![Audience::All],
                data: vec![Data::All],
                ..Release::default()
            }],
            role,
            policy: vec![],
            index: BTreeMap::new(),
        }
    }
}

/// What is wrong with a policy file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct PolicyFault {
    pub place: String,
    pub what: String,
}

impl Network {
    /// Makes it ready for a network; everything that is wrong with it.
    pub fn ready(mut self, mode: Mode, home: &str, digest: &str) -> Result<Self, Vec<PolicyFault>> {
        let mut faults = vec![];
        let mut index = BTreeMap::new();
        for (n, facility) in self.facility.iter_mut().enumerate() {
            facility.oid = plain_oid(&facility.oid).to_owned();
            let place = format!("facility[{n}]");
            if facility.oid.is_empty() {
                faults.push(PolicyFault { place: format!("{place}.oid"), what: "is empty".into() });
            }
            let names = facility.aliases.iter().map(|a| plain_oid(a).to_owned());
            for name in std::iter::once(facility.oid.clone()).chain(names) {
                if index.insert(name.clone(), n).is_some_and(|other| other != n) {
                    let what = format!("'{name}' means another facility already");
                    faults.push(PolicyFault { place: format!("{place}.aliases"), what });
                }
            }
        }
        self.index = index;
        let kinds = |data: &[Data], place: String, faults: &mut Vec<PolicyFault>| {
            for name in data.iter().filter_map(|d| if let Data::Kind(name) = d { Some(name) } else { None }) {
                if !self.kind.iter().any(|k| k.name == *name) {
                    faults.push(PolicyFault {
                        place: place.clone(),
                        what: format!("there is no kind '{name}'"),
                    });
                }
            }
        };
        let groups = |who: &[Audience], place: String, faults: &mut Vec<PolicyFault>| {
            for name in who.iter().filter_map(|a| if let Audience::Group(g) = a { Some(g) } else { None }) {
                if !self.facility.iter().any(|f| f.groups.contains(name)) {
                    let what = format!("no facility is in a group '{name}'");
                    faults.push(PolicyFault { place: place.clone(), what });
                }
            }
        };
        groups(&self.covers, "covers".into(), &mut faults);
        kinds(&self.patient_hidden, "patient_hidden".into(), &mut faults);
        for (n, kind) in self.kind.iter().enumerate() {
            let nested = kind.codes.iter().any(|d| !matches!(d, Data::Code { .. }));
            if nested || kind.codes.is_empty() {
                let what = "is a list of codes, ATTRIBUTE=CODE|SCHEME, at least one".into();
                faults.push(PolicyFault { place: format!("kind[{n}].codes"), what });
            }
        }
        for (n, release) in self.release.iter().enumerate() {
            kinds(&release.data, format!("release[{n}].data"), &mut faults);
            groups(std::slice::from_ref(&release.source), format!("release[{n}].source"), &mut faults);
            groups(&release.audience, format!("release[{n}].audience"), &mut faults);
        }
        for (n, role) in self.role.iter().enumerate() {
            kinds(&role.data, format!("role[{n}].data"), &mut faults);
        }
        for (n, policy) in self.policy.iter().enumerate() {
            if policy.oid.is_empty() {
                faults.push(PolicyFault { place: format!("policy[{n}].oid"), what: "is empty".into() });
            }
            groups(&policy.covers, format!("policy[{n}].covers"), &mut faults);
        }
        self.version = match digest.is_empty() {
            true => self.version,
            false => format!("{}/{digest}", self.version),
        };
        (self.mode, self.home) = (mode, home.to_owned());
        if faults.is_empty() { Ok(self) } else { Err(faults) }
    }

    /// The same of rules a test made, whatever is wrong with them.
    #[cfg(test)]
    pub(crate) fn ready_unchecked(mut self, mode: Mode, home: &str) -> Self {
        self.index = self.facility.iter().enumerate().map(|(n, f)| (f.oid.clone(), n)).collect();
        (self.mode, self.home) = (mode, home.to_owned());
        self
    }

    /// The facility an organization means: its OID as the file has it, or as it came. None: it has no id, and no
    /// facility listed is called so.
    pub fn facility_of<'a>(&'a self, institution: &'a Institution) -> Option<&'a str> {
        let listed = [&institution.id, &institution.code]
            .into_iter()
            .flatten()
            .find_map(|id| self.index.get(id))
            // A name counts only where there is no id: ids are checked, names are typed.
            .or_else(|| match institution.id {
                Some(_) => None,
                None => self.index.get(&institution.name),
            });
        match listed.and_then(|n| self.facility.get(*n)) {
            Some(facility) => Some(&facility.oid),
            None => institution.id.as_deref(),
        }
    }

    /// The same of an id as callers bring it.
    pub fn facility_named<'a>(&'a self, id: &'a str) -> &'a str {
        let id = plain_oid(id);
        self.listed(id).map_or(id, |f| &f.oid)
    }

    /// Of the file, by OID or alias.
    pub fn listed(&self, id: &str) -> Option<&Facility> {
        self.index.get(plain_oid(id)).and_then(|n| self.facility.get(*n))
    }

    pub fn policy_of(&self, oid: &str) -> Option<&ConsentPolicy> {
        self.policy.iter().find(|p| p.oid == plain_oid(oid))
    }

    /// Whom a 一括同意 to a policy covers.
    pub fn covered_by(&self, policy: &str) -> &[Audience] {
        match self.policy_of(policy) {
            Some(policy) if !policy.covers.is_empty() => &policy.covers,
            _ => &self.covers,
        }
    }

    /// Whether the caller is among those a word speaks of.
    pub fn is_among(&self, viewer: &Viewer, audience: &Audience) -> bool {
        match audience {
            Audience::All => true,
            Audience::Members => {
                viewer.community.is_none() && viewer.service.is_none() && self.is_member(viewer)
            }
            Audience::Facility(oid) => {
                let oid = self.facility_named(oid);
                viewer.facilities.iter().any(|f| f == oid)
            }
            Audience::Group(name) => {
                viewer.facilities.iter().filter_map(|f| self.listed(f)).any(|f| f.groups.contains(name))
            }
            Audience::Community(home) => viewer.community.as_ref() == Some(home),
            Audience::Person(id) => viewer.is_person(id),
            Audience::Role { system, code } => viewer
                .roles
                .iter()
                .any(|r| plain_oid(&r.system) == plain_oid(system) && (code == "*" || r.code == *code)),
            Audience::Patient => viewer.patient_self,
            Audience::Service(name) => viewer.service.as_ref() == Some(name),
        }
    }

    fn is_member(&self, viewer: &Viewer) -> bool {
        match self.facility.is_empty() {
            true => !viewer.facilities.is_empty(),
            false => viewer.facilities.iter().any(|f| self.listed(f).is_some()),
        }
    }

    /// Whether a document comes from those a word speaks of. Of several institutions, any; or each one.
    pub fn is_from(&self, facts: &Facts, source: &Audience, every: bool) -> bool {
        let from = |institution: &Institution| {
            let Some(oid) = self.facility_of(institution) else { return false };
            match source {
                Audience::Facility(wanted) => self.facility_named(wanted) == oid,
                Audience::Group(name) => self.listed(oid).is_some_and(|f| f.groups.contains(name)),
                Audience::Members => self.facility.is_empty() || self.listed(oid).is_some(),
                _ => false,
            }
        };
        match source {
            Audience::All => true,
            Audience::Community(home) => facts.home.as_deref().unwrap_or(&self.home) == home,
            _ if every => !facts.sources.is_empty() && facts.sources.iter().all(from),
            _ => facts.sources.iter().any(from),
        }
    }

    /// Whether a document is of a kind.
    pub fn is_of(&self, facts: &Facts, data: &Data) -> bool {
        match data {
            Data::All => true,
            Data::Code { attribute, code, scheme } => {
                facts.codes_of(*attribute).any(|(c, s)| c == code && plain_oid(s) == plain_oid(scheme))
            }
            Data::Kind(name) => self
                .kind
                .iter()
                .filter(|k| k.name == *name)
                .flat_map(|k| &k.codes)
                .any(|d| matches!(d, Data::Code { .. }) && self.is_of(facts, d)),
        }
    }

    /// How confidential a document is: the highest of its codes and of its kinds. None: a code nobody understands.
    pub fn level_of(&self, facts: &Facts) -> Option<Level> {
        let mut level = None;
        for (code, scheme) in facts.codes_of(Attribute::ConfidentialityCode) {
            level = level.max(Some(Level::read(code, scheme)?));
        }
        let of_kinds = self
            .kind
            .iter()
            .filter(|k| k.codes.iter().any(|d| self.is_of(facts, d)))
            .filter_map(|k| k.level)
            .max();
        Some(level.unwrap_or(Level::N).max(of_kinds.unwrap_or(Level::U)))
    }

    /// The rows for a caller's roles: by code, else the system's rest.
    pub fn roles_of(&self, viewer: &Viewer) -> Vec<&Role> {
        let mut found: Vec<&Role> = vec![];
        for role in &viewer.roles {
            let of_system: Vec<&Role> =
                self.role.iter().filter(|r| plain_oid(&r.system) == plain_oid(&role.system)).collect();
            let named = of_system.iter().any(|r| r.code == role.code);
            let wanted = if named { &*role.code } else { "*" };
            found.extend(of_system.into_iter().filter(|r| r.code == wanted));
        }
        found
    }
}
