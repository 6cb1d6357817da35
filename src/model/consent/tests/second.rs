//! Random worlds, decided twice: by [`decide`], and by [`World::plainly`], which knows nothing of the engine's types.

use std::collections::BTreeSet;

use jiff::civil::{Date, date};
use proptest::prelude::*;

use crate::model::consent::facts::Institution;
use crate::model::consent::network::{
    CONFIDENTIALITY, ConsentPolicy, Facility, Function, KindOfData, Level, Release, Role,
};
use crate::model::consent::record::{
    Attestation, BreakGlass, Consent, Effect, Pattern, Policy, Reservation, Rule, Status,
};
use crate::model::consent::{
    Attribute, Audience, Data, Facts, Mode, Network, Standing, Viewer, decide, decide_about_patient,
};
use crate::model::user::Coded;

const US: &str = "urn:oid:2.999.1";
const THEM: &str = "urn:oid:2.999.2";
const SYSTEM: &str = "1.9";
const THIS: &str = "1^^^&2.999.3&ISO";
const OTHER: &str = "2^^^&2.999.3&ISO";
/// The third day of the world, noon in Japan.
const NOW: i64 = 1_775_185_200_000_000;
const TODAY: u8 = 3;

/// Choices, taken from bytes one by one; when they are used up, the first alternative.
struct Choices<'a>(std::slice::Iter<'a, u8>);

impl Choices<'_> {
    fn below(&mut self, n: u8) -> u8 {
        self.0.next().copied().unwrap_or(0) % n
    }

    fn maybe(&mut self) -> bool {
        self.below(2) == 1
    }

    /// Once in `n`.
    fn rarely(&mut self, n: u8) -> bool {
        self.below(n) == n - 1
    }

    fn some<T>(&mut self, most: u8, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let n = self.below(most + 1);
        (0..n).map(|_| make(self)).collect()
    }

    fn optional<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.maybe() { Some(make(self)) } else { None }
    }

    fn day(&mut self) -> Option<u8> {
        self.optional(|c| 1 + c.below(5))
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Who {
    All,
    Members,
    Facility(u8),
    /// Facilities 0 and 1.
    Group,
    Them,
    Person(u8),
    Role(u8),
    Patient,
    Service,
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    All,
    /// Types 0.
    Kind,
    Type(u8),
}

#[derive(Debug, Clone)]
struct Says {
    deny: bool,
    source: Who,
    viewer: Who,
    what: What,
    documents: (Option<u8>, Option<u8>),
    valid: (Option<u8>, Option<u8>),
    /// 0 treatment.
    purpose: Option<u8>,
}

#[derive(Debug, Clone)]
struct Form {
    policy: u8,
    bulk: bool,
    /// 0 active, 1 partly withdrawn, 2 withdrawn, 3 lapsed.
    status: u8,
    signed: Option<u8>,
    valid: (Option<u8>, Option<u8>),
    no_emergency: bool,
    rules: Vec<Says>,
}

#[derive(Debug, Clone)]
struct Kept {
    source: Who,
    viewer: Who,
    what: What,
    valid: (Option<u8>, Option<u8>),
}

#[derive(Debug, Clone)]
struct Visit {
    who: Who,
    purpose: Option<u8>,
    running: bool,
}

#[derive(Debug, Clone)]
struct Emergency {
    user: u8,
    facility: Option<u8>,
    running: bool,
}

#[derive(Debug, Clone, Default)]
struct Said {
    forms: Vec<Form>,
    kept: Vec<Kept>,
    visits: Vec<Visit>,
    emergencies: Vec<Emergency>,
    team: Option<Vec<Who>>,
}

#[derive(Debug, Clone)]
struct Published {
    source: Who,
    what: Vec<What>,
    days: (Option<u8>, Option<u8>),
    to: Vec<Who>,
}

#[derive(Debug, Clone)]
struct World {
    opt_out: bool,
    members_listed: bool,
    permitted: Vec<u8>,
    purpose_required: bool,
    visits_count: bool,
    hidden_from_patients: Vec<What>,
    export_needs_consent: bool,
    covers: Vec<Who>,
    other_covers: Vec<Who>,
    published: Vec<Published>,
    // who asks
    facilities: Vec<u8>,
    user: Option<u8>,
    /// 0 doctor, 1 nurse, 2 clerk, 3 patient, 4 nobody's row, 5 carer (sees type 1 only).
    roles: Vec<u8>,
    /// 0 treatment, 1 emergency, 2 other.
    purposes: Vec<u8>,
    from_them: bool,
    service: bool,
    /// 0 nobody, 1 this patient, 2 another.
    bound: u8,
    /// 0 query, 1 retrieve, 2 export.
    function: u8,
    // the document
    sources: Vec<u8>,
    kind: u8,
    /// 0 none, 1 N, 2 R, 3 V, 4 a code nobody understands.
    confidential: u8,
    day: Option<u8>,
    theirs: bool,
    held: bool,
    said: Said,
    tied: Vec<Said>,
}

/// A facility that is no member, and one that has no id.
const STRANGER: u8 = 4;
const NAMELESS: u8 = 5;

fn who(c: &mut Choices<'_>) -> Who {
    match c.below(12) {
        0..=2 => Who::All,
        3 => Who::Members,
        4 | 5 => Who::Facility(c.below(5)),
        6 => Who::Group,
        7 => Who::Them,
        8 => Who::Person(c.below(2)),
        9 => Who::Role(c.below(4)),
        10 => Who::Patient,
        _ => Who::Service,
    }
}

fn source(c: &mut Choices<'_>) -> Who {
    match c.below(7) {
        0..=2 => Who::All,
        3 | 4 => Who::Facility(c.below(5)),
        5 => Who::Group,
        _ => {
            if c.maybe() {
                Who::Members
            } else {
                Who::Them
            }
        }
    }
}

fn what(c: &mut Choices<'_>) -> What {
    match c.below(5) {
        0 | 1 => What::All,
        2 => What::Kind,
        _ => What::Type(c.below(3)),
    }
}

fn span(c: &mut Choices<'_>) -> (Option<u8>, Option<u8>) {
    if c.below(3) > 0 { (None, None) } else { (c.day(), c.day()) }
}

fn says(c: &mut Choices<'_>) -> Says {
    Says {
        deny: c.below(3) == 0,
        source: source(c),
        viewer: who(c),
        what: what(c),
        documents: span(c),
        valid: span(c),
        purpose: if c.rarely(6) { Some(c.below(3)) } else { None },
    }
}

fn said(c: &mut Choices<'_>) -> Said {
    Said {
        forms: c.some(3, |c| Form {
            policy: c.below(2),
            bulk: c.maybe(),
            status: [0, 0, 0, 1, 2, 3][usize::from(c.below(6))],
            signed: c.day(),
            valid: span(c),
            no_emergency: c.rarely(5),
            rules: c.some(3, says),
        }),
        kept: if c.rarely(3) {
            c.some(2, |c| Kept { source: source(c), viewer: who(c), what: what(c), valid: span(c) })
        } else {
            vec![]
        },
        visits: c.some(2, |c| Visit {
            who: if c.maybe() { Who::Person(c.below(2)) } else { Who::Facility(c.below(5)) },
            purpose: if c.rarely(4) { Some(c.below(3)) } else { None },
            running: c.below(3) > 0,
        }),
        emergencies: c.some(2, |c| Emergency {
            user: c.below(2),
            facility: c.optional(|c| c.below(5)),
            running: c.below(3) > 0,
        }),
        team: if c.rarely(5) { Some(c.some(2, who)) } else { None },
    }
}

fn world(c: &mut Choices<'_>) -> World {
    World {
        opt_out: c.below(3) == 0,
        members_listed: c.maybe(),
        permitted: c.some(2, |c| c.below(3)),
        purpose_required: c.rarely(6),
        visits_count: c.below(3) > 0,
        hidden_from_patients: c.some(1, what),
        export_needs_consent: c.maybe(),
        covers: if c.maybe() { vec![Who::Members] } else { c.some(2, who) },
        other_covers: c.some(1, who),
        published: if c.maybe() {
            vec![Published {
                source: Who::All,
                what: vec![What::All],
                days: (None, None),
                to: vec![Who::All],
            }]
        } else {
            c.some(3, |c| Published {
                source: source(c),
                what: c.some(2, what),
                days: span(c),
                to: c.some(2, who),
            })
        },
        facilities: c.some(2, |c| c.below(5)),
        user: if c.below(4) > 0 { Some(c.below(2)) } else { None },
        roles: c.some(2, |c| [0, 0, 0, 1, 1, 2, 3, 4, 5][usize::from(c.below(9))]),
        purposes: c.some(2, |c| c.below(3)),
        from_them: c.rarely(5),
        service: c.rarely(8),
        bound: [0, 0, 0, 1, 1, 2][usize::from(c.below(6))],
        function: c.below(2),
        sources: c.some(2, |c| c.below(6)),
        kind: c.below(3),
        confidential: [0, 1, 1, 1, 2, 3, 4][usize::from(c.below(7))],
        day: c.day(),
        theirs: c.rarely(6),
        held: c.rarely(12),
        said: said(c),
        tied: if c.rarely(4) { c.some(2, said) } else { vec![] },
    }
    .settled()
}

impl World {
    /// What cannot be at once.
    fn settled(mut self) -> Self {
        if self.service {
            (self.facilities, self.user, self.roles, self.purposes) = (vec![], None, vec![], vec![]);
            (self.from_them, self.bound, self.function) = (false, 0, 2);
        }
        if self.user.is_none() {
            (self.roles, self.purposes, self.bound) = (vec![], vec![], 0);
        }
        self
    }

    // === the second evaluation ===

    fn is_patient(&self) -> bool {
        self.roles.contains(&3)
    }

    fn is_member(&self, facility: u8) -> bool {
        !self.members_listed || facility < STRANGER
    }

    fn asks(&self, who: &Who) -> bool {
        match who {
            Who::All => true,
            Who::Members => {
                !self.from_them && !self.service && self.facilities.iter().any(|f| self.is_member(*f))
            }
            Who::Facility(f) => self.facilities.contains(f),
            Who::Group => self.members_listed && self.facilities.iter().any(|f| *f < 2),
            Who::Them => self.from_them,
            Who::Person(p) => self.user == Some(*p),
            Who::Role(r) => self.roles.contains(r),
            Who::Patient => self.is_patient(),
            Who::Service => self.service,
        }
    }

    fn wrote(&self, facility: u8, who: &Who) -> bool {
        facility != NAMELESS
            && match who {
                Who::Facility(f) => facility == *f,
                Who::Group => self.members_listed && facility < 2,
                Who::Members => self.is_member(facility),
                _ => false,
            }
    }

    fn any_wrote(&self, who: &Who) -> bool {
        match who {
            Who::All => true,
            Who::Them => self.theirs,
            who => self.sources.iter().any(|f| self.wrote(*f, who)),
        }
    }

    fn all_wrote(&self, who: &Who) -> bool {
        match who {
            Who::All => true,
            Who::Them => self.theirs,
            who => !self.sources.is_empty() && self.sources.iter().all(|f| self.wrote(*f, who)),
        }
    }

    fn is_of(&self, what: &What) -> bool {
        match what {
            What::All => true,
            What::Kind => self.kind == 0,
            What::Type(t) => self.kind == *t,
        }
    }

    fn level(&self) -> Option<u8> {
        let coded = match self.confidential {
            0 | 1 => 3,
            2 => 4,
            3 => 5,
            _ => return None,
        };
        Some(if self.kind == 0 { coded.max(4) } else { coded })
    }

    fn clearance(&self) -> u8 {
        let of = |role: &u8| match role {
            0 => 4,
            1 | 3 | 5 => 3,
            2 => 0,
            _ => 0,
        };
        match (self.service, self.roles.is_empty()) {
            (true, _) | (false, true) => 3,
            (false, false) => self.roles.iter().map(of).max().unwrap_or(0),
        }
    }

    fn has(&self, purpose: Option<u8>) -> bool {
        purpose.is_none_or(|p| self.purposes.contains(&p))
    }

    fn counts<'f>(&self, said: &'f Said) -> Vec<&'f Form> {
        let mut last: Vec<&Form> = vec![];
        for policy in 0..2 {
            let mut best: Option<(usize, &Form)> = None;
            for (n, form) in said.forms.iter().enumerate().filter(|(_, f)| f.policy == policy) {
                let later = match best {
                    None => true,
                    Some((_, other)) => form.signed.unwrap_or(0) >= other.signed.unwrap_or(0),
                };
                if later {
                    best = Some((n, form));
                }
            }
            last.extend(best.map(|(_, f)| f));
        }
        last
    }

    fn holds(&self, form: &Form) -> bool {
        form.status < 2 && within(form.valid, TODAY)
    }

    /// The number of the rule that decides.
    fn plainly(&self) -> u8 {
        let all: Vec<&Said> = std::iter::once(&self.said).chain(&self.tied).collect();
        // 1
        if self.bound == 2 || (self.is_patient() && self.bound == 0) {
            return 1;
        }
        // 2
        let known = !self.facilities.is_empty() || self.from_them || self.user.is_some() || self.service;
        let allowed = self.roles.is_empty() || self.roles.iter().any(|r| matches!(r, 0 | 1 | 3 | 5));
        let rows: Vec<u8> = self.roles.iter().copied().filter(|r| *r != 4).collect();
        let confined = !rows.is_empty() && rows.iter().all(|r| *r == 5);
        if !known || !allowed || (confined && self.kind != 1) {
            return 2;
        }
        // 3
        if self.held {
            return 3;
        }
        // 4
        let excluded = all.iter().any(|s| self.counts(s).iter().any(|f| f.no_emergency));
        let open = self.said.emergencies.iter().any(|e| {
            e.running && self.user == Some(e.user) && e.facility.is_none_or(|f| self.facilities.contains(&f))
        });
        let emergency = open && !excluded && self.roles.contains(&0) && self.purposes.contains(&1);
        if emergency && self.level().is_some_and(|l| l < 5) {
            return 4;
        }
        // 5
        let own = |f: &u8| *f != NAMELESS && self.facilities.contains(f);
        if !self.from_them && self.sources.iter().any(own) {
            return 5;
        }
        // 6
        let outside = |s: &&Said| s.team.as_ref().is_some_and(|t| !t.iter().any(|w| self.asks(w)));
        if !self.is_patient() && all.iter().any(outside) {
            return 6;
        }
        // 7
        for s in &all {
            let denies = |r: &Says| {
                r.deny
                    && self.asks(&r.viewer)
                    && within(r.valid, TODAY)
                    && self.has(r.purpose)
                    && self.any_wrote(&r.source)
                    && self.is_of(&r.what)
                    && self.day.is_none_or(|day| within(r.documents, day))
            };
            if self.counts(s).iter().any(|f| self.holds(f) && f.rules.iter().any(denies)) {
                return 7;
            }
            let keeps = |k: &Kept| {
                self.asks(&k.viewer)
                    && within(k.valid, TODAY)
                    && self.any_wrote(&k.source)
                    && self.is_of(&k.what)
            };
            if s.kept.iter().any(keeps) {
                return 7;
            }
        }
        if self.is_patient() && self.hidden_from_patients.iter().any(|w| self.is_of(w)) {
            return 7;
        }
        // 8
        let asked = if self.service { self.export_needs_consent } else { !self.is_patient() };
        if asked && !all.iter().all(|s| self.consented(s)) {
            return 8;
        }
        // 9
        let dated = |days: (Option<u8>, Option<u8>)| match (days, self.day) {
            ((None, None), _) => true,
            (_, None) => false,
            (days, Some(day)) => within(days, day),
        };
        let released = self.published.iter().any(|p| {
            self.all_wrote(&p.source)
                && p.what.iter().any(|w| self.is_of(w))
                && p.to.iter().any(|w| self.asks(w))
                && dated(p.days)
        });
        if !self.theirs && !self.is_patient() && !released {
            return 9;
        }
        // 10
        if self.level().is_none_or(|level| level > self.clearance()) {
            return 10;
        }
        // 11
        let purpose = match self.purposes.is_empty() {
            true => !self.purpose_required || self.service,
            false => {
                self.permitted.is_empty()
                    || self.purposes.iter().any(|p| self.permitted.contains(p))
                    || self.purposes.contains(&1)
            }
        };
        if purpose { 12 } else { 11 }
    }

    fn consented(&self, said: &Said) -> bool {
        let permits = |form: &&Form| {
            let covers = if form.policy == 1 && !self.other_covers.is_empty() {
                &self.other_covers
            } else {
                &self.covers
            };
            let everybody = form.bulk && covers.iter().any(|w| self.asks(w));
            let rule = |r: &Says| {
                !r.deny
                    && self.asks(&r.viewer)
                    && within(r.valid, TODAY)
                    && self.has(r.purpose)
                    && self.all_wrote(&r.source)
                    && self.is_of(&r.what)
                    && match (r.documents, self.day) {
                        ((None, None), _) => true,
                        (_, None) => false,
                        (days, Some(day)) => within(days, day),
                    }
            };
            self.holds(form) && (everybody || form.rules.iter().any(rule))
        };
        let counting = self.counts(said);
        if counting.iter().any(permits) {
            return true;
        }
        // Facilities 0 and 2 post what they provide.
        let posted = self.members_listed
            && !self.sources.is_empty()
            && self.sources.iter().all(|f| matches!(f, 0 | 2));
        let visit = |v: &Visit| v.running && self.asks(&v.who) && self.has(v.purpose);
        if self.visits_count && posted && said.visits.iter().any(visit) {
            return true;
        }
        let withdrawn = counting.iter().any(|f| f.status == 2);
        self.opt_out && !withdrawn && !counting.iter().any(|f| self.holds(f))
    }

    // === the same as the engine has it ===

    fn network(&self) -> Network {
        let row = |code: &str, clearance| Role {
            system: SYSTEM.into(),
            code: code.into(),
            clearance,
            ..Role::default()
        };
        let facility = |n: u8| Facility {
            oid: format!("1.1.{n}"),
            groups: if n < 2 { vec!["g".into()] } else { vec![] },
            notice: n == 0 || n == 2,
            ..Facility::default()
        };
        let look = vec![Function::Query, Function::Retrieve, Function::Discover];
        let network = Network {
            covers: self.covers.iter().map(audience).collect(),
            purposes: self.permitted.iter().map(purpose).collect(),
            purpose_required: self.purpose_required,
            emergency: vec![purpose(&1)],
            attestation: self.visits_count,
            patient_hidden: self.hidden_from_patients.iter().map(data).collect(),
            export_needs_consent: self.export_needs_consent,
            facility: if self.members_listed { (0..STRANGER).map(facility).collect() } else { vec![] },
            kind: vec![KindOfData {
                name: "k".into(),
                codes: vec![data(&What::Type(0))],
                level: Some(Level::R),
            }],
            release: self
                .published
                .iter()
                .map(|p| Release {
                    source: audience(&p.source),
                    data: p.what.iter().map(data).collect(),
                    from: p.days.0.map(day),
                    to: p.days.1.map(day),
                    audience: p.to.iter().map(audience).collect(),
                })
                .collect(),
            role: vec![
                Role {
                    functions: look.into_iter().chain([Function::BreakGlass]).collect(),
                    ..row("0", Level::R)
                },
                row("1", Level::N),
                Role { functions: vec![], ..row("2", Level::U) },
                Role { patient: true, ..row("3", Level::N) },
                Role { data: vec![data(&What::Type(1))], ..row("5", Level::N) },
            ],
            policy: vec![ConsentPolicy {
                oid: "p1".into(),
                covers: self.other_covers.iter().map(audience).collect(),
                ..ConsentPolicy::default()
            }],
            ..Network::default()
        };
        // Groups nobody is in are faults of a file; here they are a part of the world.
        let mode = if self.opt_out { Mode::OptOut } else { Mode::OptIn };
        network.ready_unchecked(mode, US)
    }

    fn viewer(&self) -> Viewer {
        let coded = |code: &u8| Coded { code: code.to_string(), system: SYSTEM.into(), display: None };
        Viewer {
            facilities: self.facilities.iter().map(|f| format!("1.1.{f}")).collect(),
            user: self.user.map(|u| (format!("u{u}"), "idp".into())),
            roles: self.roles.iter().map(coded).collect(),
            purposes: self.purposes.iter().map(coded).collect(),
            community: self.from_them.then(|| THEM.into()),
            bound_to: match self.bound {
                0 => None,
                1 => Some(THIS.into()),
                _ => Some(OTHER.into()),
            },
            patient_self: self.is_patient(),
            service: self.service.then(|| "national".into()),
        }
    }

    fn facts(&self) -> Facts {
        let mut codes = vec![(Attribute::TypeCode, self.kind.to_string(), "1.2".to_owned())];
        let level = ["", "N", "R", "V", "X"][usize::from(self.confidential)];
        if !level.is_empty() {
            codes.push((Attribute::ConfidentialityCode, level.into(), CONFIDENTIALITY.into()));
        }
        let institution = |f: &u8| match *f {
            NAMELESS => Institution { name: "病院".into(), ..Institution::default() },
            f => Institution { id: Some(format!("1.1.{f}")), ..Institution::default() },
        };
        Facts {
            unique_id: "2.999.8".into(),
            sources: self.sources.iter().map(institution).collect(),
            codes,
            day: self.day.map(day),
            home: self.theirs.then(|| THEM.into()),
            held: self.held,
        }
    }

    fn standing(&self) -> Standing {
        Standing {
            own: policy(&self.said),
            tied: self.tied.iter().map(policy).collect(),
            version: 1,
            held: BTreeSet::new(),
        }
    }
}

fn within((from, to): (Option<u8>, Option<u8>), day: u8) -> bool {
    from.is_none_or(|from| from <= day) && to.is_none_or(|to| day <= to)
}

fn day(n: u8) -> Date {
    date(2026, 4, i8::try_from(n).unwrap())
}

fn purpose(code: &u8) -> String {
    format!("{SYSTEM}|{code}")
}

fn audience(who: &Who) -> Audience {
    match who {
        Who::All => Audience::All,
        Who::Members => Audience::Members,
        Who::Facility(f) => Audience::Facility(format!("1.1.{f}")),
        Who::Group => Audience::Group("g".into()),
        Who::Them => Audience::Community(THEM.into()),
        Who::Person(p) => Audience::Person(format!("u{p}")),
        Who::Role(r) => Audience::Role { system: SYSTEM.into(), code: r.to_string() },
        Who::Patient => Audience::Patient,
        Who::Service => Audience::Service("national".into()),
    }
}

fn data(what: &What) -> Data {
    match what {
        What::All => Data::All,
        What::Kind => Data::Kind("k".into()),
        What::Type(t) => {
            Data::Code { attribute: Attribute::TypeCode, code: t.to_string(), scheme: "1.2".into() }
        }
    }
}

fn policy(said: &Said) -> Policy {
    let running = |running: bool| if running { (NOW - 1, NOW + 1) } else { (NOW - 2, NOW) };
    let rule = |r: &Says| Rule {
        source: audience(&r.source),
        viewer: audience(&r.viewer),
        data: data(&r.what),
        documents_from: r.documents.0.map(day),
        documents_to: r.documents.1.map(day),
        valid_from: r.valid.0.map(day),
        valid_to: r.valid.1.map(day),
        purpose: r.purpose.as_ref().map(purpose),
        ..Rule::new(if r.deny { Effect::Deny } else { Effect::Permit })
    };
    Policy {
        consents: said
            .forms
            .iter()
            .enumerate()
            .map(|(n, f)| Consent {
                id: format!("c{n}"),
                policy: format!("p{}", f.policy),
                pattern: if f.bulk { Pattern::Bulk } else { Pattern::List },
                status: [Status::Active, Status::PartlyWithdrawn, Status::Withdrawn, Status::Lapsed]
                    [usize::from(f.status)],
                signed_on: f.signed.map(day),
                valid_from: f.valid.0.map(day),
                valid_to: f.valid.1.map(day),
                no_break_glass: f.no_emergency,
                rules: f.rules.iter().map(rule).collect(),
                ..Consent::default()
            })
            .collect(),
        reservations: said
            .kept
            .iter()
            .map(|k| Reservation {
                id: "r".into(),
                source: audience(&k.source),
                data: data(&k.what),
                viewer: audience(&k.viewer),
                valid_from: k.valid.0.map(day),
                valid_to: k.valid.1.map(day),
            })
            .collect(),
        attestations: said
            .visits
            .iter()
            .map(|v| {
                let (from, until) = running(v.running);
                let purpose = v.purpose.as_ref().map(purpose);
                Attestation { id: "a".into(), viewer: audience(&v.who), purpose, from, until }
            })
            .collect(),
        break_glass: said
            .emergencies
            .iter()
            .map(|e| {
                let (from, until) = running(e.running);
                let facility = e.facility.map(|f| format!("1.1.{f}"));
                BreakGlass { id: "b".into(), user: format!("u{}@idp", e.user), facility, from, until }
            })
            .collect(),
        vip: said.team.as_ref().map(|team| ("v".to_owned(), team.iter().map(audience).collect())),
        broken: false,
    }
}

fn choices() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 60..400)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_evaluations_agree(bytes in choices()) {
        let world = world(&mut Choices(bytes.iter()));
        let function = [Function::Query, Function::Retrieve, Function::Export][usize::from(world.function)];
        let decided = decide(
            &world.network(), &world.viewer(), function, NOW, THIS, &world.standing(), &world.facts(),
        );
        prop_assert_eq!(decided.ground.number(), world.plainly(), "{:#?}", world);
        // Who may see a document of a patient may know that there is such a patient.
        if decided.permits() && !world.service && !world.sources.iter().any(|f| world.facilities.contains(f)) {
            let patient = decide_about_patient(
                &world.network(), &world.viewer(), function, NOW, THIS, &world.standing(),
            );
            prop_assert!(patient.permits(), "{:#?} {:?}", world, patient);
        }
    }
}

/// The worlds reach every ground, or agreeing would show little.
#[test]
fn every_ground_decides_some_world() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut reached = BTreeSet::new();
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..300)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        reached.insert(world(&mut Choices(bytes.iter())).plainly());
    }
    assert_eq!(reached.into_iter().collect::<Vec<_>>(), (1..=12).collect::<Vec<u8>>());
}
