//! What becomes of a call: a pure decision over what is held, as effects and an answer.
//!
//! The order of refusals: certificate and header; the key; kind; the rules; institution inside the Bundle;
//! qualification; destination; what is registered already.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::contract::{Code, Service, Verb};
use super::envelope::{Answer, ConsentStatus, Request, Triple, receipt_number};
use super::json::sha256;
use super::unit::{Gone, State, Unit, resources};
use super::validate::{self, Kind, Level, Problem, Report, names};
use super::world::{Effect, Known, RuleSet, Settings, World};

/// An answer and what it changes.
pub type Decision = (Answer, Vec<Effect>);

fn refuse(code: Code, detail: impl Into<String>) -> Decision {
    (Answer::saying(code, detail), vec![])
}

/// A request whose Bundle has been looked at; that needs nothing that is held, and takes the longest.
pub struct Checked {
    pub request: Request,
    bundle: Option<Looked>,
}

struct Looked {
    value: Value,
    kind: Kind,
    report: Report,
}

impl Checked {
    pub fn new(request: Request, settings: Settings) -> Checked {
        let look = |text: &str| {
            let value: Value = serde_json::from_str(text).ok()?;
            let wanted = request.op.kind()?;
            // Another of the known kinds is not this operation's; of anything else the rules say what is wrong.
            let kind = Kind::of(&value).unwrap_or(wanted);
            let report = validate::validate(&value, kind, settings.validation);
            Some(Looked { value, kind, report })
        };
        let bundle = request.bundle.as_deref().and_then(look);
        Checked { request, bundle }
    }
}

/// Decides about a call of `institution`, which its certificate names.
pub fn decide(world: &World, checked: &Checked, institution: &str, now: Timestamp) -> Decision {
    let request = &checked.request;
    if request.institution != institution {
        let what = format!("the certificate is of {institution}, MessageHeader says {}", request.institution);
        return refuse(Code::InstitutionMismatch, what);
    }
    match request.op.verb {
        Verb::Ask if request.op.service == Service::Availability => availability(world, request),
        Verb::Ask => result(world, request),
        Verb::Status => status(world, request, now),
        Verb::List => list(world, request, now),
        Verb::Fetch => fetch(world, request, now),
        _ => keyed(world, checked, now),
    }
}

/// Changes are answered once: what was done under a key is not done again. What was refused may be sent again.
fn keyed(world: &World, checked: &Checked, now: Timestamp) -> Decision {
    let request = &checked.request;
    let digest = request.digest();
    if let Some(Known::Answered { digest: before, answer }) = world.known(&request.institution, &request.key)
        && answer.code == Code::Ok
    {
        if *before != digest {
            return refuse(Code::KeyReused, format!("key {}", request.key));
        }
        return (Answer { replayed: true, ..answer.clone() }, vec![]);
    }
    let (answer, mut effects) = change(world, checked, now);
    effects.push(Effect::Answered {
        institution: request.institution.clone(),
        key: request.key.clone(),
        digest,
        answer: Box::new(answer.clone()),
    });
    (answer, effects)
}

fn change(world: &World, checked: &Checked, now: Timestamp) -> Decision {
    let request = &checked.request;
    let Some(triple) = &request.triple else { return refuse(Code::Unreadable, "no identifiers") };
    let of = triple.value.split('^').next().unwrap_or_default();
    if of != request.institution && super::directory::institution_code(of) {
        return refuse(Code::InstitutionMismatch, format!("BundleIdentifierValue is of {of}"));
    }
    match request.op.verb {
        Verb::Register | Verb::Change | Verb::AttachLater => match brought(world, checked, triple) {
            Ok(bundle) => register(world, request, triple, bundle, now),
            Err(refusal) => (*refusal, vec![]),
        },
        Verb::Cancel => cancel(world, request, triple, now),
        _ => undo(world, request, triple, now),
    }
}

/// The Bundle, once nothing speaks against it that does not depend on other units.
fn brought<'a>(world: &World, checked: &'a Checked, triple: &Triple) -> Result<&'a Looked, Box<Answer>> {
    let request = &checked.request;
    let no = |code, detail: String| Err(Box::new(Answer::saying(code, detail)));
    let Some(looked) = &checked.bundle else { return no(Code::Unreadable, "the Bundle".into()) };
    let Looked { value, kind, report } = looked;
    let alone = *kind == Kind::Discharge && request.op.service == Service::Referral;
    let allowed = match request.op.verb {
        Verb::AttachLater => alone && world.settings.rule_set == RuleSet::V2_0_0,
        _ if alone => world.settings.rule_set == RuleSet::V2_0_0,
        _ => {
            Some(*kind) == request.op.kind() && !only_prescriptions(value) && !asks_for_deletion(*kind, value)
        }
    };
    if !allowed {
        let what = format!("{} under rule set {}", kind.as_str(), world.settings.rule_set.as_str());
        let refusal = Answer::saying(Code::KindNotAllowed, what);
        return Err(Box::new(Answer { problems: report.errors.clone(), ..refusal }));
    }
    let mut problems = report.errors.clone();
    problems.extend(differing(value, triple));
    if !problems.is_empty() {
        let refusal = Answer::saying(Code::Validation, format!("{} problem(s)", problems.len()));
        return Err(Box::new(Answer { problems, warnings: report.warnings.clone(), ..refusal }));
    }
    if let Some((place, other)) = stranger(value, &request.institution) {
        return no(Code::InstitutionMismatch, format!("{place} names {other}"));
    }
    let birth = patient(value).and_then(|p| p["birthDate"].as_str());
    if !world.directory.qualified(&triple.insured, birth) {
        return no(Code::QualificationInvalid, "InsuredIdentifier".into());
    }
    Ok(looked)
}

fn register(world: &World, request: &Request, triple: &Triple, looked: &Looked, now: Timestamp) -> Decision {
    let Looked { value, kind, report } = looked;
    let held = world.held(triple, now);
    let before = match (request.op.verb, held) {
        (Verb::Change, None) => return refuse(Code::NotFound, "nothing to change"),
        (Verb::Change, Some(unit)) if unit.service != request.op.service => {
            return refuse(Code::NotFound, "registered by another service");
        }
        (Verb::Change, Some(unit)) => Some(unit),
        (_, Some(_)) => return refuse(Code::Duplicate, "use change"),
        (_, None) => None,
    };
    if before.is_some_and(|u| u.received.is_some()) {
        return refuse(Code::AlreadyReceived, "it cannot be changed");
    }
    let attached = match letter_of(world, request, *kind, triple, now) {
        Ok(attached) => attached,
        Err(refusal) => return (*refusal, vec![]),
    };
    let destination = match (request.op.service, attached) {
        (Service::Referral, Some(letter)) => letter.destination.clone(),
        (Service::Referral, None) => match destination(world, request, *kind, value) {
            Ok(code) => Some(code),
            Err(refusal) => return (*refusal, vec![]),
        },
        _ => None,
    };
    // Consent is per destination, and once given it stays.
    let stays = before.is_some_and(|u| u.consented && u.destination == destination);
    let receipt = world.next_receipt();
    let unit = Unit {
        receipt,
        institution: request.institution.clone(),
        service: request.op.service,
        kind: *kind,
        triple: triple.clone(),
        version: before.map_or(1, |u| u.version.saturating_add(1)),
        lineage: before.map(|u| u.lineage.iter().copied().chain([u.receipt]).collect()).unwrap_or_default(),
        registered: now,
        destination,
        consented: stays
            || attached.is_some_and(|l| l.consented)
            || request.consent == Some(ConsentStatus::Now),
        received: None,
        gone: None,
        attached: attached.map(|l| l.receipt),
        resources: resources(*kind, value),
        sha256: sha256(request.bundle.as_deref().unwrap_or_default().as_bytes()),
        bundle: request.bundle.clone().unwrap_or_default(),
    };
    let mut more = Map::new();
    more.insert("Version".into(), json!(unit.version));
    more.insert("BundleSha256".into(), json!(unit.sha256));
    // In one journal entry: a change that fails leaves everything as it was.
    let mut effects: Vec<Effect> = before
        .map(|u| Effect::Gone { receipt: u.receipt, at: now, how: Gone::Replaced(receipt) })
        .into_iter()
        .collect();
    effects.push(Effect::Registered(Box::new(unit)));
    let done = Answer::of(Code::Ok);
    (Answer { receipt: Some(receipt), warnings: report.warnings.clone(), more, ..done }, effects)
}

/// Of a discharge summary that follows its letter: the letter.
fn letter_of<'a>(
    world: &'a World,
    request: &Request,
    kind: Kind,
    triple: &Triple,
    now: Timestamp,
) -> Result<Option<&'a Unit>, Box<Answer>> {
    if kind != Kind::Discharge {
        return Ok(None);
    }
    let fits = |u: &&Unit| {
        u.kind == Kind::Referral
            && u.institution == request.institution
            && u.triple.insured == triple.insured
            && request.letter.as_deref().is_none_or(|value| value == u.triple.value)
            && request.destination.is_none() | (request.destination == u.destination)
            && world.state(u, now).live()
    };
    match world.units().filter(fits).last() {
        None => Err(Box::new(Answer::saying(Code::NotFound, "no letter of this patient to attach it to"))),
        letter => Ok(letter),
    }
}

fn destination(world: &World, request: &Request, kind: Kind, bundle: &Value) -> Result<String, Box<Answer>> {
    let no = |code, detail: String| Err(Box::new(Answer::saying(code, detail)));
    let Some(code) = &request.destination else {
        return no(Code::DestinationUnknown, "DestinationInstitutionCode is missing".into());
    };
    if let Err(refused) = world.directory.destination(code) {
        return no(refused, code.clone());
    }
    match (kind, referred_to(bundle)) {
        (Kind::Referral, said) if said.as_deref() != Some(code.as_str()) => {
            let said = said.unwrap_or_else(|| "no institution".into());
            no(
                Code::DestinationMismatch,
                format!("section 910 names {said}, DestinationInstitutionCode {code}"),
            )
        }
        _ => Ok(code.clone()),
    }
}

fn cancel(world: &World, request: &Request, triple: &Triple, now: Timestamp) -> Decision {
    match world.held(triple, now).filter(|u| u.service == request.op.service) {
        None => refuse(Code::NotFound, "nothing to cancel"),
        Some(unit) if unit.received.is_some() => refuse(Code::AlreadyReceived, "it cannot be cancelled"),
        Some(unit) => {
            // What was attached to a letter goes with it.
            let also = world.units().filter(|u| u.is_attached_to(unit) && u.gone.is_none());
            let gone = std::iter::once(unit).chain(also);
            let effects =
                gone.map(|u| Effect::Gone { receipt: u.receipt, at: now, how: Gone::Cancelled }).collect();
            (Answer { receipt: Some(unit.receipt), ..Answer::of(Code::Ok) }, effects)
        }
    }
}

fn undo(world: &World, request: &Request, triple: &Triple, now: Timestamp) -> Decision {
    let Some(unit) = world.named(triple).filter(|u| u.service == request.op.service) else {
        return refuse(Code::NotFound, "nothing to restore");
    };
    match world.state(unit, now) {
        State::Cancelled => {}
        state if state.live() => return refuse(Code::Duplicate, "it is not cancelled"),
        _ => return refuse(Code::NotFound, "nothing to restore"),
    }
    let cancelled = unit.gone;
    let with = world.units().filter(|u| u.is_attached_to(unit) && u.gone == cancelled);
    let restored =
        std::iter::once(unit).chain(with).map(|u| Effect::Restored { receipt: u.receipt }).collect();
    (Answer { receipt: Some(unit.receipt), ..Answer::of(Code::Ok) }, restored)
}

fn availability(world: &World, request: &Request) -> Decision {
    let code = request.destination.clone().unwrap_or_default();
    let participates = match world.directory.destination(&code) {
        Ok(()) => true,
        Err(Code::NotParticipating) => false,
        Err(refused) => return refuse(refused, code),
    };
    let mut answer = Answer::of(Code::Ok);
    answer.more.insert("DestinationInstitutionCode".into(), json!(code));
    answer.more.insert("Participates".into(), json!(participates));
    (answer, vec![])
}

fn result(world: &World, request: &Request) -> Decision {
    match world.known(&request.institution, &request.key) {
        None => refuse(Code::NotFound, "nothing is known under this key"),
        Some(Known::Answered { answer, .. }) => (answer.clone(), vec![]),
        Some(Known::Waiting { .. }) => (Answer { again: Some(2), ..Answer::of(Code::Processing) }, vec![]),
    }
}

/// What the sender or a destination is told of a letter.
fn told(unit: &Unit, state: State) -> Map<String, Value> {
    let value = json!({
        "InsuredIdentifier": unit.triple.insured,
        "BundleIdentifierSystem": unit.triple.system,
        "BundleIdentifierValue": unit.triple.value,
        "SenderInstitutionCode": unit.institution,
        "DestinationInstitutionCode": unit.destination,
        "State": state.as_str(),
        "ConsentStatus": if unit.consented { "1" } else { "2" },
        "Version": unit.version,
        "ReceiptNumber": receipt_number(unit.receipt),
        "RegisteredAt": unit.registered.to_string(),
        "ReceivedAt": unit.received.map(|at| at.to_string()),
        "ExpiresAt": unit.ends().map(|at| at.to_string()),
        "BundleSha256": unit.sha256,
    });
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// 同意・取得状況照会, by the sender.
fn status(world: &World, request: &Request, now: Timestamp) -> Decision {
    let mine =
        request.triple.as_ref().and_then(|t| world.named(t)).filter(|u| u.institution == request.institution);
    match mine {
        Some(unit) if unit.service == Service::Referral => {
            let more = told(unit, world.state(unit, now));
            (Answer { receipt: Some(unit.receipt), more, ..Answer::of(Code::Ok) }, vec![])
        }
        _ => refuse(Code::NotFound, "no letter of yours"),
    }
}

/// Whether the destination may see it.
fn visible(world: &World, unit: &Unit, destination: &str, now: Timestamp) -> bool {
    unit.service == Service::Referral
        && unit.destination.as_deref() == Some(destination)
        && matches!(world.state(unit, now), State::Viewable | State::Received)
}

fn list(world: &World, request: &Request, now: Timestamp) -> Decision {
    let letters: Vec<Value> = world
        .units()
        .filter(|u| visible(world, u, &request.institution, now))
        .filter(|u| request.insured.as_ref().is_none_or(|id| *id == u.triple.insured))
        .map(|u| Value::Object(told(u, world.state(u, now))))
        .collect();
    let mut answer = Answer::of(Code::Ok);
    answer.more.insert("Count".into(), json!(letters.len()));
    answer.more.insert("ReferralList".into(), Value::Array(letters));
    (answer, vec![])
}

fn fetch(world: &World, request: &Request, now: Timestamp) -> Decision {
    let named = request.triple.as_ref().and_then(|t| world.named(t));
    let Some(unit) = named.filter(|u| visible(world, u, &request.institution, now)) else {
        return refuse(Code::NotFound, "no letter for you that may be read");
    };
    let mut seen = unit.clone();
    seen.received = seen.received.or(Some(now));
    let effects = match unit.received {
        Some(_) => vec![],
        None => vec![Effect::Received { receipt: unit.receipt, at: now }],
    };
    let more = told(&seen, State::Received);
    let bundle = Some(unit.bundle.clone());
    (Answer { receipt: Some(unit.receipt), more, bundle, ..Answer::of(Code::Ok) }, effects)
}

/// What request and Bundle say differently.
fn differing(bundle: &Value, triple: &Triple) -> Vec<Problem> {
    let mut problems = vec![];
    let mut compare =
        |said: Option<&str>, wanted: &str, rule: &'static str, location: &str, element: &str| {
            if let Some(said) = said.filter(|s| *s != wanted) {
                let message = format!("{element} は {wanted} ですが、Bundle では {said} です。");
                problems.push(Problem::new(rule, location, message, Level::Service));
            }
        };
    let at = |path: &str| bundle.pointer(path).and_then(Value::as_str);
    compare(
        at("/identifier/system"),
        &triple.system,
        "bundle-identifier-differs",
        "Bundle.identifier.system",
        "BundleIdentifierSystem",
    );
    compare(
        at("/identifier/value"),
        &triple.value,
        "bundle-identifier-differs",
        "Bundle.identifier.value",
        "BundleIdentifierValue",
    );
    let insured = patient(bundle).and_then(insured);
    compare(
        insured,
        &triple.insured,
        "insured-identifier-differs",
        "Bundle.entry.resource.identifier",
        "InsuredIdentifier",
    );
    problems
}

fn entries(bundle: &Value) -> impl Iterator<Item = &Value> {
    bundle["entry"].as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

pub fn patient(bundle: &Value) -> Option<&Value> {
    entries(bundle).map(|e| &e["resource"]).find(|r| r["resourceType"] == "Patient")
}

/// The insured person's number.
pub fn insured(patient: &Value) -> Option<&str> {
    let list = patient["identifier"].as_array()?;
    list.iter().find(|i| i["system"] == names::INSURED)?["value"].as_str()
}

/// The first place of the Bundle that names another institution than the caller: the resources' extension, or the
/// custodian.
fn stranger(bundle: &Value, institution: &str) -> Option<(String, String)> {
    for (at, entry) in entries(bundle).enumerate() {
        let extensions = entry.pointer("/resource/extension").and_then(Value::as_array);
        for extension in extensions.map(Vec::as_slice).unwrap_or_default() {
            let said = extension.pointer("/valueIdentifier/value").and_then(Value::as_str);
            if extension["url"] == names::INSTITUTION_EXTENSION && said != Some(institution) {
                return Some((
                    format!("Bundle.entry[{at}].resource.extension"),
                    said.unwrap_or("nobody").to_owned(),
                ));
            }
        }
    }
    let custodian = bundle.pointer("/entry/0/resource/custodian/reference").and_then(Value::as_str)?;
    let said = organization(bundle, custodian)?;
    (said != institution).then(|| ("Bundle.entry[0].resource.custodian".into(), said))
}

/// The institution number of an Organization in the Bundle.
fn organization(bundle: &Value, reference: &str) -> Option<String> {
    let one = entries(bundle).find(|e| e["fullUrl"] == reference).map(|e| &e["resource"])?;
    let list = one["identifier"].as_array()?;
    let number = list.iter().find(|i| i["system"] == names::INSTITUTION)?;
    number["value"].as_str().map(str::to_owned)
}

/// The institution that section 910 refers to.
fn referred_to(bundle: &Value) -> Option<String> {
    let sections = bundle.pointer("/entry/0/resource/section")?.as_array()?;
    let to = sections.iter().find(|s| s.pointer("/code/coding/0/code").is_some_and(|c| c == "910"))?;
    let references = to["entry"].as_array()?.iter().filter_map(|e| e["reference"].as_str());
    references.filter_map(|r| organization(bundle, r)).next()
}

/// 処方 comes out of documents only.
fn only_prescriptions(bundle: &Value) -> bool {
    let mut others =
        entries(bundle).map(|e| &e["resource"]["resourceType"]).filter(|t| *t != "Patient").peekable();
    Kind::of(bundle) == Some(Kind::Info)
        && others.peek().is_some()
        && others.all(|t| t == "MedicationRequest")
}

/// Categories of a checkup report that ask for deletion; here deletion is an operation.
const DELETIONS: [&str; 5] = ["19", "49", "69", "79", "89"];

fn asks_for_deletion(kind: Kind, bundle: &Value) -> bool {
    let category = bundle.pointer("/entry/0/resource/category/0/coding/0/code").and_then(Value::as_str);
    kind == Kind::Checkup && category.is_some_and(|code| DELETIONS.contains(&code))
}
