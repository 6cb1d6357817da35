//! The decision, in the order of security.md §4.3: the first ground that applies decides, and whatever cannot be
//! evaluated is no.

use jiff::civil::Date;

use super::facts::{Facts, today};
use super::network::{Function, Level, Mode, Network};
use super::record::{Consent, Effect, Pattern, Policy, Rule, Standing, Status};
use super::terms::Audience;
use super::viewer::Viewer;

/// What decided, with its number in security.md §4.3. The table of docs/consent.md has the same rows; a test compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ground {
    /// Nothing to decide: no consent is asked for, or it is the gateway's own work.
    Unasked = 0,
    OtherPatient = 1,
    NotAllowed = 2,
    Held = 3,
    BreakGlass = 4,
    Own = 5,
    Vip = 6,
    Denied = 7,
    NoConsent = 8,
    NotReleased = 9,
    Confidential = 10,
    Purpose = 11,
    Permitted = 12,
    /// Something could not be evaluated.
    Error = 13,
}

impl Ground {
    pub const ALL: [Ground; 14] = [
        Self::Unasked,
        Self::OtherPatient,
        Self::NotAllowed,
        Self::Held,
        Self::BreakGlass,
        Self::Own,
        Self::Vip,
        Self::Denied,
        Self::NoConsent,
        Self::NotReleased,
        Self::Confidential,
        Self::Purpose,
        Self::Permitted,
        Self::Error,
    ];

    pub fn number(self) -> u8 {
        self as u8
    }

    pub fn permits(self) -> bool {
        matches!(self, Self::Unasked | Self::BreakGlass | Self::Own | Self::Permitted)
    }
}

/// Yes or no, why, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub ground: Ground,
    /// The record or rule that decided, in its own words: ids and codes, no names of people.
    pub by: Option<String>,
}

impl Decision {
    pub fn permits(&self) -> bool {
        self.ground.permits()
    }

    fn on(ground: Ground) -> Self {
        Self { ground, by: None }
    }

    fn by(ground: Ground, by: impl Into<String>) -> Self {
        Self { ground, by: Some(by.into()) }
    }
}

/// One question, as all the steps below see it.
struct Question<'a> {
    network: &'a Network,
    viewer: &'a Viewer,
    function: Function,
    now: i64,
    today: Date,
    facts: &'a Facts,
}

/// Whether `viewer` may do `function` with a document of `patient` (CX) at `now` (microseconds since 1970).
pub fn decide(
    network: &Network,
    viewer: &Viewer,
    function: Function,
    now: i64,
    patient: &str,
    standing: &Standing,
    facts: &Facts,
) -> Decision {
    if network.mode == Mode::Off {
        return Decision::on(Ground::Unasked);
    }
    let Some(today) = today(now) else { return Decision::on(Ground::Error) };
    let q = Question { network, viewer, function, now, today, facts };
    q.decide(patient, standing)
}

/// The same about the patient and no document: whether they may know that there is such a patient, or see what
/// belongs to no document.
pub fn decide_about_patient(
    network: &Network,
    viewer: &Viewer,
    function: Function,
    now: i64,
    patient: &str,
    standing: &Standing,
) -> Decision {
    let facts = Facts::default();
    if network.mode == Mode::Off {
        return Decision::on(Ground::Unasked);
    }
    let Some(today) = today(now) else { return Decision::on(Ground::Error) };
    let q = Question { network, viewer, function, now, today, facts: &facts };
    q.about_patient(patient, standing)
}

impl Question<'_> {
    fn decide(&self, patient: &str, standing: &Standing) -> Decision {
        if standing.all().any(|p| p.broken) {
            return Decision::on(Ground::Error);
        }
        if let Some(refused) = self.before(patient) {
            return refused;
        }
        if self.facts.held {
            return Decision::by(Ground::Held, &self.facts.unique_id);
        }
        let level = self.network.level_of(self.facts);
        if let Some(id) = self.break_glass(standing)
            && level.is_some_and(|level| level < Level::V)
        {
            return Decision::by(Ground::BreakGlass, id);
        }
        if self.is_own() {
            return Decision::on(Ground::Own);
        }
        if let Some(refused) = self.refused(standing) {
            return refused;
        }
        let mut by = None;
        if self.needs_consent() {
            for policy in standing.all() {
                match self.consented(policy) {
                    Ok(id) => by = by.or(id),
                    Err(id) => return Decision { ground: Ground::NoConsent, by: id },
                }
            }
        }
        if !self.released() {
            return Decision::on(Ground::NotReleased);
        }
        let clearance = self.viewer.clearance(self.network);
        match level {
            Some(level) if level <= clearance => {}
            level => {
                let level = level.map_or("?", Level::as_str);
                return Decision::by(Ground::Confidential, format!("{level} > {}", clearance.as_str()));
            }
        }
        if !self.purpose_permitted() {
            return Decision::on(Ground::Purpose);
        }
        Decision { ground: Ground::Permitted, by }
    }

    /// Without a document: grounds that speak of documents alone are left out, and a consent that permits any of them
    /// is one.
    fn about_patient(&self, patient: &str, standing: &Standing) -> Decision {
        if standing.all().any(|p| p.broken) {
            return Decision::on(Ground::Error);
        }
        if let Some(refused) = self.before(patient) {
            return refused;
        }
        if let Some(id) = self.break_glass(standing) {
            return Decision::by(Ground::BreakGlass, id);
        }
        if let Some(refused) = self.not_in_team(standing) {
            return refused;
        }
        if self.needs_consent() {
            for policy in standing.all() {
                if let Some(by) = self.denied_everything(policy) {
                    return Decision::by(Ground::Denied, by);
                }
                if let Err(by) = self.consented_to_anything(policy) {
                    return Decision { ground: Ground::NoConsent, by };
                }
            }
        }
        match self.purpose_permitted() {
            true => Decision::on(Ground::Permitted),
            false => Decision::on(Ground::Purpose),
        }
    }

    /// ① and ②.
    fn before(&self, patient: &str) -> Option<Decision> {
        let bound = self.viewer.bound_to.as_deref();
        if bound.is_some_and(|bound| !same_patient(bound, patient)) {
            return Some(Decision::on(Ground::OtherPatient));
        }
        if self.viewer.patient_self && bound.is_none() {
            return Some(Decision::by(Ground::OtherPatient, "resource-id"));
        }
        if !self.viewer.is_known() {
            return Some(Decision::by(Ground::NotAllowed, "organization"));
        }
        if !self.viewer.may(self.network, self.function) {
            return Some(Decision::by(Ground::NotAllowed, "role"));
        }
        let confined = self.viewer.confined_to(self.network);
        let outside = |kinds: Vec<&super::terms::Data>| {
            !self.facts.unique_id.is_empty() && !kinds.iter().any(|d| self.network.is_of(self.facts, d))
        };
        confined.is_some_and(outside).then(|| Decision::by(Ground::NotAllowed, "data"))
    }

    /// ④, for looking alone.
    fn break_glass(&self, standing: &Standing) -> Option<String> {
        let looks = matches!(self.function, Function::Query | Function::Retrieve | Function::Discover);
        let excluded = standing.all().flat_map(Policy::latest).any(|c| c.no_break_glass);
        if !looks || excluded || !self.viewer.may(self.network, Function::BreakGlass) {
            return None;
        }
        if !self.viewer.has_purpose(&self.network.emergency) {
            return None;
        }
        let mine = |b: &&super::record::BreakGlass| {
            let there = b
                .facility
                .as_ref()
                .is_none_or(|f| self.network.is_among(self.viewer, &Audience::Facility(f.clone())));
            self.viewer.is_person(&b.user) && there && b.from <= self.now && self.now < b.until
        };
        standing.own.break_glass.iter().find(mine).map(|b| b.id.clone())
    }

    /// ⑤
    fn is_own(&self) -> bool {
        let own = |oid: &str| self.viewer.facilities.iter().any(|f| f == oid);
        self.viewer.community.is_none()
            && self.facts.sources.iter().filter_map(|s| self.network.facility_of(s)).any(own)
    }

    /// ⑥ and ⑦
    fn refused(&self, standing: &Standing) -> Option<Decision> {
        if let Some(refused) = self.not_in_team(standing) {
            return Some(refused);
        }
        for policy in standing.all() {
            if let Some(by) = self.denied(policy) {
                return Some(Decision::by(Ground::Denied, by));
            }
        }
        let hidden = self.viewer.patient_self
            && self.network.patient_hidden.iter().any(|d| self.network.is_of(self.facts, d));
        hidden.then(|| Decision::by(Ground::Denied, "patient_hidden"))
    }

    fn not_in_team(&self, standing: &Standing) -> Option<Decision> {
        if self.viewer.patient_self {
            return None;
        }
        standing.all().filter_map(|p| p.vip.as_ref()).find_map(|(id, team)| {
            let member = team.iter().any(|a| self.network.is_among(self.viewer, a));
            (!member).then(|| Decision::by(Ground::Vip, id))
        })
    }

    /// A rule of a consent that counts, or a reservation.
    fn denied(&self, policy: &Policy) -> Option<String> {
        // Of a consent that ended its prohibitions end, too; of one withdrawn in part they are what is withdrawn.
        let rules = policy.latest().filter(|c| self.in_force(c));
        for consent in rules {
            for (n, rule) in consent.rules.iter().enumerate() {
                if rule.effect == Effect::Deny && self.speaks_of(rule) {
                    return Some(format!("{} rule {}", consent.id, n + 1));
                }
            }
        }
        policy
            .reservations
            .iter()
            .find(|r| {
                self.within(r.valid_from, r.valid_to, self.today)
                    && self.network.is_among(self.viewer, &r.viewer)
                    && self.network.is_from(self.facts, &r.source, false)
                    && self.network.is_of(self.facts, &r.data)
            })
            .map(|r| r.id.clone())
    }

    /// Denied whatever the document.
    fn denied_everything(&self, policy: &Policy) -> Option<String> {
        for consent in policy.latest().filter(|c| self.in_force(c)) {
            for (n, rule) in consent.rules.iter().enumerate() {
                let all = rule.source == Audience::All
                    && rule.data == super::terms::Data::All
                    && rule.documents_from.is_none()
                    && rule.documents_to.is_none();
                if rule.effect == Effect::Deny && all && self.holds_for_viewer(rule) {
                    return Some(format!("{} rule {}", consent.id, n + 1));
                }
            }
        }
        let all = |r: &&super::record::Reservation| {
            r.source == Audience::All
                && r.data == super::terms::Data::All
                && self.within(r.valid_from, r.valid_to, self.today)
                && self.network.is_among(self.viewer, &r.viewer)
        };
        policy.reservations.iter().find(all).map(|r| r.id.clone())
    }

    /// Patients look at their own documents without consenting to it; services have their own switch.
    fn needs_consent(&self) -> bool {
        match (&self.viewer.service, self.viewer.patient_self) {
            (Some(_), _) => self.network.export_needs_consent,
            (None, patient) => !patient,
        }
    }

    /// ⑧: the consent that permits it, or the one for want of which nothing does.
    fn consented(&self, policy: &Policy) -> Result<Option<String>, Option<String>> {
        self.by_consent(policy, |c| self.permits(c), true)
    }

    fn consented_to_anything(&self, policy: &Policy) -> Result<Option<String>, Option<String>> {
        let any = |c: &Consent| {
            (c.pattern == Pattern::Bulk && self.covers(c))
                || c.rules.iter().any(|r| r.effect == Effect::Permit && self.holds_for_viewer(r))
        };
        self.by_consent(policy, any, false)
    }

    fn by_consent(
        &self,
        policy: &Policy,
        permits: impl Fn(&Consent) -> bool,
        of_document: bool,
    ) -> Result<Option<String>, Option<String>> {
        let mut withdrawn = None;
        for consent in policy.latest() {
            match consent.status {
                _ if self.in_force(consent) && permits(consent) => return Ok(Some(consent.id.clone())),
                Status::Withdrawn => withdrawn = Some(consent.id.clone()),
                _ => {}
            }
        }
        if let Some(attestation) = self.attested(policy, of_document) {
            return Ok(Some(attestation));
        }
        match (self.network.mode, withdrawn) {
            // A patient who consented to some said no to the rest.
            (Mode::OptOut, None) if !policy.latest().any(|c| self.in_force(c)) => Ok(None),
            (_, withdrawn) => Err(withdrawn),
        }
    }

    fn permits(&self, consent: &Consent) -> bool {
        match consent.pattern {
            Pattern::Bulk if self.covers(consent) => true,
            _ => consent.rules.iter().any(|r| {
                r.effect == Effect::Permit
                    && self.holds_for_viewer(r)
                    && self.network.is_from(self.facts, &r.source, true)
                    && self.of_documents(r)
            }),
        }
    }

    fn covers(&self, consent: &Consent) -> bool {
        self.network.covered_by(&consent.policy).iter().any(|a| self.network.is_among(self.viewer, a))
    }

    /// An attestation for this viewer, of documents whose facilities posted what they provide.
    fn attested(&self, policy: &Policy, of_document: bool) -> Option<String> {
        if !self.network.attestation {
            return None;
        }
        let posted = |institution| {
            let facility = self.network.facility_of(institution).and_then(|oid| self.network.listed(oid));
            facility.is_some_and(|f| f.notice)
        };
        if of_document && (self.facts.sources.is_empty() || !self.facts.sources.iter().all(posted)) {
            return None;
        }
        let holds = |a: &&super::record::Attestation| {
            let purpose = a.purpose.as_ref().is_none_or(|p| self.viewer.has_purpose(std::slice::from_ref(p)));
            a.viewer != Audience::All
                && self.network.is_among(self.viewer, &a.viewer)
                && purpose
                && a.from <= self.now
                && self.now < a.until
        };
        policy.attestations.iter().find(holds).map(|a| a.id.clone())
    }

    /// ⑨: each of its facilities released it to this viewer. What another community holds, it released itself.
    fn released(&self) -> bool {
        if self.facts.home.as_ref().is_some_and(|home| *home != self.network.home) || self.viewer.patient_self
        {
            return true;
        }
        self.network.release.iter().any(|r| {
            self.network.is_from(self.facts, &r.source, true)
                && r.data.iter().any(|d| self.network.is_of(self.facts, d))
                && r.audience.iter().any(|a| self.network.is_among(self.viewer, a))
                && self.dated(r.from, r.to)
        })
    }

    /// ⑪
    fn purpose_permitted(&self) -> bool {
        let network = self.network;
        if self.viewer.purposes.is_empty() {
            return !network.purpose_required || self.viewer.service.is_some();
        }
        network.purposes.is_empty()
            || self.viewer.has_purpose(&network.purposes)
            || self.viewer.has_purpose(&network.emergency)
    }

    fn in_force(&self, consent: &Consent) -> bool {
        consent.status.holds() && self.within(consent.valid_from, consent.valid_to, self.today)
    }

    fn speaks_of(&self, rule: &Rule) -> bool {
        self.holds_for_viewer(rule)
            && self.network.is_from(self.facts, &rule.source, false)
            && self.of_documents(rule)
    }

    fn holds_for_viewer(&self, rule: &Rule) -> bool {
        let purpose = rule.purpose.as_ref().is_none_or(|p| self.viewer.has_purpose(std::slice::from_ref(p)));
        self.within(rule.valid_from, rule.valid_to, self.today)
            && self.network.is_among(self.viewer, &rule.viewer)
            && purpose
    }

    fn of_documents(&self, rule: &Rule) -> bool {
        let dated = match rule.effect {
            Effect::Permit => self.dated(rule.documents_from, rule.documents_to),
            // Deny wins: one without a day may be of those days.
            Effect::Deny => self.facts.day.is_none() || self.dated(rule.documents_from, rule.documents_to),
        };
        dated && self.network.is_of(self.facts, &rule.data)
    }

    /// Of these days; one without a day is of every day and of none that is asked for.
    fn dated(&self, from: Option<Date>, to: Option<Date>) -> bool {
        match (from, to, self.facts.day) {
            (None, None, _) => true,
            (_, _, None) => false,
            (from, to, Some(day)) => self.within(from, to, day),
        }
    }

    fn within(&self, from: Option<Date>, to: Option<Date>, day: Date) -> bool {
        from.is_none_or(|from| from <= day) && to.is_none_or(|to| day <= to)
    }
}

fn same_patient(one: &str, other: &str) -> bool {
    let whole = |text: &str| {
        crate::model::hl7types::Cx::parse(text).map_or_else(|_| text.to_owned(), |cx| cx.to_string())
    };
    one == other || whole(one) == whole(other)
}
