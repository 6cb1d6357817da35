//! From a record as we keep it to the messages of ITI-20: one for each patient, two for a PartialSuccess.

use super::facts::Held;
use super::kinds::{self, Kind, Shape};
use super::message::{AuditMessage, Coded, Object, Participant, Source};
use super::rows::{self, About, Patients, Row};
use super::{AuditEvent, Outcome, SECURITY_ALERT};

/// Who we are in the messages: `[audit]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reporter {
    /// `AuditSourceID`: an OID or a host name that stays.
    pub source_id: String,
    /// `AuditEnterpriseSiteID`: the network's OID.
    pub site: Option<String>,
    /// Our network access point where a connection does not tell it.
    pub host: String,
}

/// Application server process (RFC 3881 5.4.3).
const SOURCE_TYPE: &str = "4";

/// The messages of a record, in order.
pub fn compose(event: &AuditEvent, reporter: &Reporter) -> Vec<AuditMessage> {
    match rows::find(&event.transaction) {
        Some(row) => transaction(event, row, reporter),
        None => vec![happened(event, kind_of(event), reporter)],
    }
}

/// What a record without transaction is about. Refusals before a transaction is known are alerts: of a node or person
/// that did not prove itself, or of a request for what is not to be had.
pub fn kind_of(event: &AuditEvent) -> &'static Kind {
    let unproven = |label: &String| {
        label.starts_with("wsse:") || matches!(label.as_str(), "TLS" | "token" | "node" | "certificate")
    };
    let named = event.errors.first().map(String::as_str).and_then(kinds::find);
    if let (SECURITY_ALERT, Some(kind)) = (event.transaction.as_str(), named) {
        return kind;
    }
    let key = match event.transaction.as_str() {
        // A call of the national service, which the detail `operation` names.
        call if call.starts_with(kinds::NATIONAL_CALL) && event.sent_to.is_some() => kinds::NATIONAL_EXPORT,
        SECURITY_ALERT if event.errors.iter().any(unproven) => kinds::NODE_AUTHENTICATION,
        SECURITY_ALERT => kinds::RESTRICTED_FUNCTION,
        other => other,
    };
    let operator = || kinds::KINDS.iter().find(|k| k.key == kinds::OPERATOR);
    kinds::find(key).or_else(operator).unwrap_or(&kinds::KINDS[0])
}

fn transaction(event: &AuditEvent, row: &Row, reporter: &Reporter) -> Vec<AuditMessage> {
    let outcomes: &[Outcome] = match event.outcome {
        Outcome::MinorFailure if row.partial && event.repeated.is_none() => {
            &[Outcome::Success, Outcome::SeriousFailure]
        }
        Outcome::Success => &[Outcome::Success],
        Outcome::MinorFailure => &[Outcome::MinorFailure],
        Outcome::SeriousFailure => &[Outcome::SeriousFailure],
        Outcome::MajorFailure => &[Outcome::MajorFailure],
    };
    let patients: Vec<&[String]> = match row.patients {
        _ if event.patients.is_empty() => vec![&[]],
        // XCPD: the asking gateway's record names no patient (ITI TF-2 3.55.5.1).
        _ if row.about == About::Discovery && event.sent_to.is_some() => vec![&[]],
        Patients::Together => vec![&event.patients],
        Patients::Each => event.patients.chunks(1).collect(),
    };
    let mut messages = Vec::with_capacity(outcomes.len() * patients.len());
    for outcome in outcomes {
        for patients in &patients {
            messages.push(one(event, row, *outcome, patients, reporter));
        }
    }
    messages
}

fn one(
    event: &AuditEvent,
    row: &Row,
    outcome: Outcome,
    patients: &[String],
    reporter: &Reporter,
) -> AuditMessage {
    let (id, act) = if event.sent_to.is_some() { row.sender } else { row.receiver };
    let act = act.or(event.facts.act).unwrap_or(super::Act::Update);
    let partial = event.outcome == Outcome::MinorFailure && row.partial;
    AuditMessage {
        action: Some(act.code().into()),
        at: event.at,
        outcome: outcome as u8,
        id: Coded::of(id),
        types: vec![Coded::of(row.event_type())],
        description: described(event, outcome),
        purposes: purposes(event),
        participants: exchange(event, row.retrieve, reporter),
        source: source(reporter),
        objects: objects(event, row, patients, partial.then_some(outcome)),
    }
}

/// Codes of errors, and how many requests share the record; nothing of a success.
fn described(event: &AuditEvent, outcome: Outcome) -> Option<String> {
    let mut said = match outcome {
        Outcome::Success => String::new(),
        _ => event.errors.join(", "),
    };
    if let Some(repeated) = &event.repeated {
        if !said.is_empty() {
            said.push_str("; ");
        }
        said.push_str(&format!("{} requests", repeated.times));
    }
    Some(said).filter(|s| !s.is_empty())
}

fn purposes(event: &AuditEvent) -> Vec<Coded> {
    let user = event.caller.user.as_deref();
    user.iter().flat_map(|u| &u.purposes).map(coded).collect()
}

fn coded(code: &crate::model::user::Coded) -> Coded {
    let text = code.display.clone().unwrap_or_else(|| code.code.clone());
    Coded::new(code.code.clone(), code.system.clone(), text)
}

fn source(reporter: &Reporter) -> Source {
    Source { id: reporter.source_id.clone(), site: reporter.site.clone(), types: vec![SOURCE_TYPE.into()] }
}

/// The host of a URI or of `host:port`, and whether it is a name (1) or an address (2).
pub fn network_point(uri: &str) -> Option<(String, u8)> {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None if authority.matches(':').count() > 1 => authority,
        None => authority.split(':').next().unwrap_or_default(),
    };
    if host.is_empty() {
        return None;
    }
    let kind = if host.parse::<std::net::IpAddr>().is_ok() { 2 } else { 1 };
    Some((host.to_owned(), kind))
}

/// The machine behind a request, by the best name it has.
fn node(event: &AuditEvent) -> String {
    let caller = &event.caller;
    match (&caller.node, &caller.certificate) {
        (Some(node), _) => node.id.clone(),
        (None, Some(certificate)) => format!("sha256:{certificate}"),
        (None, None) => caller.address.clone(),
    }
}

/// At the command line there is no connection.
const LOCAL: &str = "local";

/// The person: of an assertion, or at the command line.
fn human(event: &AuditEvent) -> Option<Participant> {
    if let Some(user) = &event.caller.user {
        return Some(Participant {
            user_id: user.name_id.clone(),
            user_name: Some(user.audited()),
            requestor: true,
            roles: user.roles.iter().map(coded).collect(),
            ..Participant::default()
        });
    }
    let operator = event.caller.listener.split_once(" by ").map(|(_, user)| user);
    operator.filter(|_| event.caller.address == LOCAL).map(|user| Participant {
        user_id: user.to_owned(),
        requestor: true,
        ..Participant::default()
    })
}

fn process(event: &AuditEvent) -> Option<String> {
    event.facts.process.map(|pid| pid.to_string())
}

/// Source, destination and person of a transaction (security.md 2.2).
fn exchange(event: &AuditEvent, retrieve: bool, reporter: &Reporter) -> Vec<Participant> {
    let facts = &event.facts.exchange;
    let host = || facts.local.clone().or_else(|| Some(reporter.host.clone())).filter(|h| !h.is_empty());
    let ours_at = || host().and_then(|h| network_point(&h));
    let (asks, answers) = match &event.sent_to {
        // We ask, at the address it was sent to.
        Some(to) => (
            Participant {
                user_id: facts
                    .sender
                    .clone()
                    .or_else(|| facts.reply_to.clone())
                    .unwrap_or(reporter.source_id.clone()),
                alternative_user_id: process(event),
                network: ours_at(),
                ..Participant::default()
            },
            Participant {
                user_id: facts.receiver.clone().unwrap_or_else(|| to.clone()),
                network: network_point(to),
                ..Participant::default()
            },
        ),
        // We are asked.
        None => (
            Participant {
                user_id: facts
                    .sender
                    .clone()
                    .or_else(|| facts.reply_to.clone())
                    .unwrap_or_else(|| node(event)),
                network: match event.caller.address.as_str() {
                    LOCAL => ours_at(),
                    address => network_point(address),
                },
                ..Participant::default()
            },
            Participant {
                user_id: facts
                    .receiver
                    .clone()
                    .or_else(|| facts.endpoint.clone())
                    .unwrap_or_else(|| reporter.source_id.clone()),
                alternative_user_id: process(event),
                network: facts.endpoint.as_deref().and_then(network_point).or_else(ours_at),
                ..Participant::default()
            },
        ),
    };
    let person = human(event);
    let asks = Participant { requestor: person.is_none(), ..asks };
    let with = |participant: Participant, role| Participant { roles: vec![Coded::of(role)], ..participant };
    let (source, destination) = if retrieve { (answers, asks) } else { (asks, answers) };
    let mut all = vec![with(source, rows::SOURCE_ROLE)];
    all.extend(person);
    all.push(with(destination, rows::DESTINATION_ROLE));
    all
}

fn object(id: &str, kind: u8, role: u8, id_type: rows::Ev) -> Object {
    Object {
        id: id.to_owned(),
        kind: Some(kind),
        role: Some(role),
        id_type: Coded::of(id_type),
        ..Object::default()
    }
}

fn patient(id: &str) -> Object {
    object(id, 1, 1, rows::PATIENT_NUMBER)
}

const HOME_OF_QUERY: &str = "urn:ihe:iti:xca:2010:homeCommunityId";
const HOME: &str = "ihe:homeCommunityID";

/// `partial`: which half of a PartialSuccess this is.
fn objects(event: &AuditEvent, row: &Row, patients: &[String], partial: Option<Outcome>) -> Vec<Object> {
    let facts = &event.facts;
    let mut all: Vec<Object> = patients.iter().map(|id| patient(id)).collect();
    let message_id = facts.exchange.message_id.as_deref();
    let with_id = |object: Object, name: &str| Object {
        details: message_id.iter().map(|id| (name.to_owned(), id.as_bytes().to_vec())).collect(),
        ..object
    };
    match row.about {
        About::Feed(name) => all = all.into_iter().map(|p| with_id(p, name)).collect(),
        About::Question(name) => {
            let asked = question(event, row);
            let asked = match name {
                Some(name) => with_id(asked, name),
                None => Object { details: headers(event), ..asked },
            };
            all.push(asked);
        }
        About::StoredQuery => all.push(stored_query(event, row)),
        About::Discovery => {
            let mut asked = question(event, row);
            let home = event.home_community_id.iter();
            asked.details.extend(home.map(|home| (HOME.to_owned(), home.as_bytes().to_vec())));
            all.push(asked);
        }
        About::Submission => {
            all.extend(event.submission_set.iter().map(|id| object(id, 2, 20, rows::SUBMISSION_SET)));
        }
        About::Documents => {
            let of = |id: &&String| {
                let missing = facts.missing.contains(id);
                let of_patient = |held: &Held| match (&held.patient, patients.first()) {
                    (Some(of), Some(patient)) => of == patient,
                    _ => true,
                };
                let fits = facts.held.iter().filter(|h| h.document == **id).all(of_patient);
                match partial {
                    None => fits,
                    Some(Outcome::Success) => fits && !missing,
                    Some(_) => missing || facts.missing.is_empty(),
                }
            };
            for id in event.documents.iter().filter(of) {
                all.push(document(event, id, "Repository Unique ID"));
            }
        }
        About::DocumentsRemoved => {
            for id in &event.documents {
                let removed = document(event, id, "urn:ihe:iti:xds:2007:repositoryUniqueId");
                all.push(Object { lifecycle: Some(15), ..removed });
            }
        }
        About::ObjectsRemoved => {
            for id in &event.objects {
                let kind = facts.kinds.iter().find(|(of, _)| of == id).map(|(_, kind)| kind.as_str());
                let id_type = match kind {
                    Some(association) if association.starts_with("urn:") => {
                        Coded::new(association, rows::SUBMISSION_SET.1, "association type")
                    }
                    kind => {
                        let known = rows::OBJECTS.iter().find(|(name, _)| Some(*name) == kind);
                        Coded::of(known.map_or(rows::OBJECT_REF, |(_, ev)| *ev))
                    }
                };
                all.push(Object { id_type, lifecycle: Some(15), ..object(id, 2, 3, rows::OBJECT_REF) });
            }
        }
    }
    if let Some(first) = all.first_mut() {
        let more = facts.details.iter().map(|(name, value)| (name.clone(), value.as_bytes().to_vec()));
        first.details.extend(more);
    }
    all
}

fn document(event: &AuditEvent, id: &str, repository: &str) -> Object {
    let mut of = object(id, 2, 3, rows::REPORT_NUMBER);
    if let Some(held) = event.facts.held.iter().find(|h| h.document == id) {
        of.details.push((repository.to_owned(), held.repository.as_bytes().to_vec()));
        let home = held.home.iter().map(|home| (HOME.to_owned(), home.as_bytes().to_vec()));
        of.details.extend(home);
    }
    of
}

/// The query as asked; never what it found.
fn question(event: &AuditEvent, row: &Row) -> Object {
    let facts = &event.facts.exchange;
    let asked = facts.question.as_ref().or(event.query.as_ref());
    Object {
        query: asked.map(|text| text.as_bytes().to_vec()),
        ..object(facts.message_id.as_deref().unwrap_or(&event.request_id), 2, 24, row.event_type())
    }
}

fn headers(event: &AuditEvent) -> Vec<(String, Vec<u8>)> {
    let header = |line: &String| line.split_once(": ").map(|(n, v)| (n.to_owned(), v.as_bytes().to_vec()));
    event.facts.exchange.headers.iter().filter_map(header).collect()
}

fn stored_query(event: &AuditEvent, row: &Row) -> Object {
    let text = event.query.as_deref().unwrap_or_default();
    let mut of = question(event, row);
    of.id = attribute_of_query(text, "id").unwrap_or(&event.request_id).to_owned();
    of.details.push(("QueryEncoding".into(), b"UTF-8".to_vec()));
    let home = event.home_community_id.as_deref().or_else(|| attribute_of_query(text, "home"));
    of.details.extend(home.map(|home| (HOME_OF_QUERY.to_owned(), home.as_bytes().to_vec())));
    of
}

/// An attribute of `AdhocQuery`, in the text of a request that has been read.
fn attribute_of_query<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let at = text.match_indices("AdhocQuery").find(|(at, word)| {
        let after = text.get(at + word.len()..).unwrap_or_default();
        let before = text.get(..*at).unwrap_or_default();
        after.starts_with(char::is_whitespace) && (before.ends_with(':') || before.ends_with('<'))
    });
    let tag = text.get(at?.0..)?.split('>').next()?;
    let mut rest = tag;
    loop {
        let at = rest.find(name)?;
        let before = rest.get(..at)?.chars().last()?;
        let after = rest.get(at + name.len()..)?.trim_start();
        rest = rest.get(at + name.len()..)?;
        if let (true, Some(value)) = (before.is_whitespace(), after.strip_prefix('=')) {
            let value = value.trim_start();
            let quote = value.chars().next().filter(|q| matches!(q, '"' | '\''))?;
            return value.get(1..)?.split(quote).next();
        }
    }
}

/// What is no transaction.
fn happened(event: &AuditEvent, kind: &Kind, reporter: &Reporter) -> AuditMessage {
    let (participants, objects) = match kind.shape {
        Shape::Life => (application(event, reporter), vec![]),
        Shape::Login => (at_node(event, reporter), vec![]),
        Shape::Alert => (vec![reporting(event, reporter)], alert(event)),
        Shape::Emergency => (at_node(event, reporter), event.patients.iter().map(|id| patient(id)).collect()),
        Shape::Change => (at_node(event, reporter), changed(event)),
        Shape::Trail => (exchange(event, false, reporter), vec![trail(event)]),
        Shape::Disclosure => (exchange(event, false, reporter), disclosed(event)),
    };
    let mut message = AuditMessage {
        action: Some(kind.action.into()),
        at: event.at,
        outcome: event.outcome as u8,
        id: Coded::of(kind.id),
        types: vec![Coded::of(kind.event_type)],
        description: described(event, event.outcome),
        purposes: purposes(event),
        participants,
        source: source(reporter),
        objects,
    };
    let mut details = event.facts.details.clone();
    if matches!(kind.key, kinds::OPERATOR | kinds::NATIONAL_EXPORT) && event.transaction != kind.key {
        details.insert(0, ("operation".into(), event.transaction.clone()));
    }
    if let Some(first) = message.objects.first_mut() {
        first.details.extend(details.into_iter().map(|(name, value)| (name, value.into_bytes())));
    }
    message
}

fn reporting(event: &AuditEvent, reporter: &Reporter) -> Participant {
    Participant {
        user_id: reporter.source_id.clone(),
        alternative_user_id: process(event),
        requestor: true,
        network: network_point(&reporter.host),
        roles: vec![Coded::of(rows::APPLICATION)],
        ..Participant::default()
    }
}

fn application(event: &AuditEvent, reporter: &Reporter) -> Vec<Participant> {
    let mut all = vec![Participant { requestor: false, ..reporting(event, reporter) }];
    all.extend(
        human(event).map(|who| Participant { roles: vec![Coded::of(rows::APPLICATION_LAUNCHER)], ..who }),
    );
    all
}

/// Who did it, and where. The machine is the one that asked, or ours where a person sat before it.
fn at_node(event: &AuditEvent, reporter: &Reporter) -> Vec<Participant> {
    let person = human(event);
    let machine = match event.caller.address.as_str() {
        "" | LOCAL => Participant { requestor: person.is_none(), ..reporting(event, reporter) },
        address => Participant {
            user_id: node(event),
            requestor: person.is_none(),
            network: network_point(address),
            ..Participant::default()
        },
    };
    person.into_iter().chain([machine]).collect()
}

fn alert(event: &AuditEvent) -> Vec<Object> {
    let described = event.errors.join(", ");
    let who = node(event);
    let who = if who.is_empty() { event.caller.listener.clone() } else { who };
    vec![Object {
        details: vec![("Alert Description".into(), described.into_bytes())],
        ..object(&who, 2, 13, rows::NODE_ID)
    }]
}

/// The thing that was changed: an object, a setting, or what was done in a word; and the patient it is about.
fn changed(event: &AuditEvent) -> Vec<Object> {
    let mut all: Vec<Object> = event.patients.iter().map(|id| patient(id)).collect();
    let said = event.query.iter().chain(&event.objects).chain(&event.documents);
    all.extend(said.map(|uri| object(uri, 2, 13, rows::URI)));
    if all.is_empty() {
        all.push(object(&event.transaction, 2, 13, rows::URI));
    }
    all
}

/// What the object of a reading of the trail is called (ITI TF-2 3.81.5.1).
const TRAIL_NAME: &str = "Security Audit Log";

fn trail(event: &AuditEvent) -> Object {
    let uri = event.query.as_deref().or(event.facts.exchange.endpoint.as_deref()).unwrap_or("audit");
    Object { name: Some(TRAIL_NAME.into()), ..object(uri, 2, 13, rows::URI) }
}

fn disclosed(event: &AuditEvent) -> Vec<Object> {
    let mut all: Vec<Object> = event.patients.iter().map(|id| patient(id)).collect();
    for id in &event.documents {
        all.push(Object { lifecycle: Some(11), ..document(event, id, "Repository Unique ID") });
    }
    // The adapter knows its documents by entryUUID; beside it stand names of its own, `key:…`.
    let entries = event.objects.iter().filter(|id| id.starts_with("urn:uuid:"));
    let entry_type = rows::OBJECTS.first().map_or(rows::OBJECT_REF, |(_, ev)| *ev);
    all.extend(entries.map(|id| Object { lifecycle: Some(11), ..object(id, 2, 3, entry_type) }));
    all
}

#[cfg(test)]
mod tests;
