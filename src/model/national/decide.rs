//! Whether a document goes to the national service: the gates of national-service, 8, in their order. The first that
//! stops decides. Facts in, decision out; no clock, no I/O.

use serde::{Deserialize, Serialize};

use super::insured::{self, Form};
use super::reasons::{self, Effect};
use super::{ConsentStatus, Kind, Op, Verb, is_institution};

/// What is in force of the service's guide (電子カルテ情報共有サービス技術解説書).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum RuleSet {
    /// A discharge summary rides on a letter only.
    #[default]
    #[serde(rename = "1.2.0")]
    V1_2_0,
    /// It may follow its letter.
    #[serde(rename = "2.0.0")]
    V2_0_0,
}

impl RuleSet {
    pub const ALL: [RuleSet; 2] = [Self::V1_2_0, Self::V2_0_0];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1_2_0 => "1.2.0",
            Self::V2_0_0 => "2.0.0",
        }
    }
}

/// What happened to the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    Register,
    /// RPLC, XFRM_RPLC.
    Replace,
    /// APND.
    Append,
    /// XFRM.
    Transform,
    /// ITI-57 without new content.
    MetadataUpdate,
    /// availabilityStatus Deprecated, and nothing in its place.
    Deprecate,
    /// ITI-62.
    Remove,
}

impl Event {
    pub fn withdraws(self) -> bool {
        matches!(self, Self::Deprecate | Self::Remove)
    }
}

/// Where what went before it in its lineage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Predecessor {
    /// Decided on, and never sent.
    Held,
    /// On its way, or parked there.
    InFlight,
    Accepted,
    /// Fetched by the destination of the letter.
    Received,
}

/// A document's Bundle as far as the gates look at it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BundleFacts {
    /// By `meta.profile`; none if it is no Bundle of the service.
    pub kind: Option<Kind>,
    /// `meta.tag` of 5情報.
    pub resource_type: Option<String>,
    pub identifier_system: Option<String>,
    pub identifier_value: Option<String>,
    pub insured_id: Option<String>,
    /// Organization of section 910.
    pub destination: Option<String>,
    /// Types of nested documents (section 210).
    pub attachments: Vec<String>,
    /// LTS, UNINFORMED, UNDELIVERED, in this order.
    pub flags: Vec<String>,
    pub signed: bool,
    pub bytes: u64,
    /// formatCode of what it was made from.
    pub converted_from: Option<String>,
    /// Of a Bundle made here: what names the 5情報 unit through its versions.
    pub unit: Option<String>,
}

/// Everything the gates ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    pub event: Event,
    /// The institution of the author; ten digits if it is one.
    pub institution: Option<String>,
    /// It has an egress profile.
    pub enabled: bool,
    /// homeCommunityId is ours, and no mark of another origin.
    pub ours: bool,
    pub mime_type: String,
    pub format_code: String,
    pub type_code: String,
    /// By the configured mapping.
    pub kind: Option<Kind>,
    pub is_reply: bool,
    /// None: nobody said anything against it.
    pub regional_deny: bool,
    pub objection: bool,
    pub confidentiality: Vec<String>,
    pub insured_id: Option<String>,
    /// None: never checked, where no check is demanded.
    pub qualified: Option<bool>,
    pub send_agreed: Option<bool>,
    pub view_consent: ConsentStatus,
    pub recipient: Option<String>,
    pub recipient_participates: Option<bool>,
    pub predecessor: Option<Predecessor>,
    /// Where this very document is: what was permitted when it went may be permitted no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Predecessor>,
    /// A letter of the lineage of this discharge summary has been accepted (rule set 2.0.0).
    pub letter_sent: bool,
    pub bundle: Option<BundleFacts>,
    /// Rules that the Bundle breaks.
    pub findings: Vec<String>,
}

impl Facts {
    /// Whether the network or the patient is against it.
    pub fn is_denied(&self) -> bool {
        self.regional_deny || self.objection
    }
}

/// What is configured of the gates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub rule_set: RuleSet,
    pub size_limit_bytes: u64,
    /// A code list beside `N` that may leave.
    pub confidentiality: Vec<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { rule_set: RuleSet::default(), size_limit_bytes: 10_485_760, confidentiality: vec!["N".into()] }
    }
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "decision")]
pub enum Outcome {
    #[serde(rename_all = "camelCase")]
    Send {
        operation: Op,
        #[serde(skip_serializing_if = "Option::is_none")]
        consent_status: Option<ConsentStatus>,
        /// Under the Bundle-ID the lineage has.
        keeps_identifier: bool,
        /// What waited of the lineage goes no more.
        supersedes_pending: bool,
    },
    Skip {
        reason: String,
    },
    Hold {
        reason: String,
    },
    Fail {
        rules: Vec<String>,
    },
}

/// A decision, and which gate made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Number of the gate in national-service, 8; 0: none stopped it.
    pub gate: u8,
    pub rule_set: RuleSet,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Decision {
    /// The reason of a skip or hold, the first rule of a failure.
    pub fn reason(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Send { .. } => None,
            Outcome::Skip { reason } | Outcome::Hold { reason } => Some(reason),
            Outcome::Fail { rules } => rules.first().map(String::as_str),
        }
    }
}

/// What a gate says.
enum Pass {
    Go,
    Stop(&'static str),
    Fail(Vec<String>),
    Send(Verb),
}

/// A gate: its number, what it asks, and the answer.
pub struct Gate {
    pub number: u8,
    pub en: &'static str,
    pub ja: &'static str,
    ask: fn(&Facts, &Policy, &mut Vec<String>) -> Pass,
}

/// The gates of a rule set, in order. Both sets have the same; what differs between them is asked in gate 14.
pub fn gates(_: RuleSet) -> &'static [Gate] {
    GATES
}

const GATES: &[Gate] = &[
    Gate {
        number: 1, en: "the author's institution takes part", ja: "作成医療機関の参加", ask: takes_part
    },
    Gate { number: 2, en: "the document is our own", ja: "自ネットワークの文書", ask: is_our_own },
    Gate {
        number: 3, en: "the event concerns content", ja: "内容に関わる変更", ask: concerns_content
    },
    Gate {
        number: 4, en: "withdrawals and what was fetched", ja: "取下げと取得済み", ask: withdrawals
    },
    Gate { number: 5, en: "format and type map to a kind", ja: "文書種別の対応", ask: has_a_kind },
    Gate { number: 6, en: "no reply", ja: "返書でない", ask: is_no_reply },
    Gate {
        number: 7, en: "the regional policy permits", ja: "地域ポリシーの許可", ask: policy_permits
    },
    Gate { number: 8, en: "no objection", ja: "拒否の申出なし", ask: no_objection },
    Gate { number: 9, en: "confidentiality is normal", ja: "機密コードが通常", ask: is_normal },
    Gate { number: 10, en: "the patient is insured", ja: "被保険者の確認", ask: is_insured },
    Gate { number: 11, en: "electronic sending is agreed", ja: "電子的送信の同意", ask: is_agreed },
    Gate {
        number: 12,
        en: "the destination is another institution",
        ja: "宛先が他の保険医療機関",
        ask: has_a_destination,
    },
    Gate { number: 13, en: "the destination takes part", ja: "宛先の参加", ask: destination_takes_part },
    Gate {
        number: 14,
        en: "a discharge summary has its letter",
        ja: "退院時サマリーの添付先",
        ask: has_its_letter,
    },
    Gate {
        number: 15, en: "what went before has arrived", ja: "先行分の完了", ask: predecessor_arrived
    },
    Gate { number: 16, en: "the Bundle holds", ja: "Bundle の検証", ask: bundle_holds },
    Gate { number: 17, en: "the size", ja: "サイズ", ask: fits },
];

/// Decides.
pub fn decide(facts: &Facts, policy: &Policy) -> Decision {
    let mut warnings = vec![];
    for gate in gates(policy.rule_set) {
        let outcome = match (gate.ask)(facts, policy, &mut warnings) {
            Pass::Go => continue,
            Pass::Stop(reason) => stopped(reason),
            Pass::Fail(rules) => Outcome::Fail { rules },
            Pass::Send(verb) => send(facts, verb),
        };
        return Decision { outcome, gate: gate.number, rule_set: policy.rule_set, warnings };
    }
    let verb = match facts.predecessor {
        Some(Predecessor::Accepted | Predecessor::Received) => Verb::Change,
        _ if facts.kind == Some(Kind::Discharge) => Verb::AttachLater,
        _ => Verb::Register,
    };
    Decision { outcome: send(facts, verb), gate: 0, rule_set: policy.rule_set, warnings }
}

fn stopped(reason: &'static str) -> Outcome {
    match reasons::find(reason).map(|r| r.effect) {
        Some(Effect::Hold) => Outcome::Hold { reason: reason.into() },
        Some(Effect::Fail) => Outcome::Fail { rules: vec![reason.into()] },
        _ => Outcome::Skip { reason: reason.into() },
    }
}

fn send(facts: &Facts, verb: Verb) -> Outcome {
    let kind = facts.kind.unwrap_or(Kind::Info);
    Outcome::Send {
        operation: Op::Of(kind.family(), verb),
        consent_status: (kind == Kind::Referral && verb.carries()).then_some(facts.view_consent),
        keeps_identifier: verb == Verb::Change,
        supersedes_pending: verb == Verb::Register && facts.predecessor == Some(Predecessor::Held),
    }
}

fn is_letter(facts: &Facts) -> bool {
    facts.kind == Some(Kind::Referral)
}

fn sent(facts: &Facts) -> bool {
    matches!(facts.predecessor, Some(p) if p != Predecessor::Held)
}

fn takes_part(facts: &Facts, _: &Policy, _: &mut Vec<String>) -> Pass {
    if facts.enabled { Pass::Go } else { Pass::Stop("not-enabled") }
}

fn is_our_own(facts: &Facts, _: &Policy, _: &mut Vec<String>) -> Pass {
    if facts.ours { Pass::Go } else { Pass::Stop("foreign-origin") }
}

fn concerns_content(facts: &Facts, _: &Policy, _: &mut Vec<String>) -> Pass {
    match facts.event {
        Event::Append => Pass::Stop("addendum-not-supported"),
        Event::Transform if sent(facts) => Pass::Stop("transform-of-forwarded"),
        // What was never sent may qualify by the attributes it has now.
        Event::MetadataUpdate if sent(facts) && !withdrawn(facts) => Pass::Stop("no-content-change"),
        _ => Pass::Go,
    }
}

fn withdrawals(facts: &Facts, _: &Policy, _: &mut Vec<String>) -> Pass {
    match (facts.event, facts.predecessor) {
        (e, None | Some(Predecessor::Held)) if e.withdraws() => Pass::Stop("withdrawn-before-send"),
        (e, Some(Predecessor::Received)) if e.withdraws() || e == Event::Replace => {
            Pass::Stop("already-received")
        }
        // Gate 15 has the reason; a cancellation comes to no gate after this one.
        (e, Some(Predecessor::InFlight)) if e.withdraws() => Pass::Stop("behind-predecessor"),
        (e, Some(Predecessor::Accepted)) if e.withdraws() => Pass::Send(Verb::Cancel),
        _ => Pass::Go,
    }
}

fn has_a_kind(facts: &Facts, _: &Policy, _: &mut Vec<String>) -> Pass {
    let picture = facts.mime_type == "application/pdf" || facts.mime_type.starts_with("image/");
    match facts.kind {
        Some(_) => Pass::Go,
        None if picture => Pass::Stop("pdf-only"),
        None => Pass::Stop("no-mapping"),
    }
}

fn is_no_reply(facts: &Facts, _: &Policy, _: &mut Vec<String>) -> Pass {
    if facts.is_reply { Pass::Stop("reply-letter") } else { Pass::Go }
}

fn policy_permits(facts: &Facts, _: &Policy, warnings: &mut Vec<String>) -> Pass {
    if facts.regional_deny { denied(facts, "regional-deny", warnings) } else { Pass::Go }
}

fn no_objection(facts: &Facts, _: &Policy, warnings: &mut Vec<String>) -> Pass {
    if facts.objection { denied(facts, "patient-objection", warnings) } else { Pass::Go }
}

/// Whether it went, or goes, and may no more.
fn withdrawn(facts: &Facts) -> bool {
    facts.is_denied() && facts.own.is_some()
}

/// What is permitted no more goes no more; what has gone is taken back, as far as it can be.
fn denied(facts: &Facts, reason: &'static str, warnings: &mut Vec<String>) -> Pass {
    match facts.own {
        None | Some(Predecessor::Held) => Pass::Stop(reason),
        Some(Predecessor::InFlight) => Pass::Stop("behind-predecessor"),
        Some(Predecessor::Received) => Pass::Stop("already-received"),
        Some(Predecessor::Accepted) => {
            warnings.push(reason.into());
            Pass::Send(Verb::Cancel)
        }
    }
}

fn is_normal(facts: &Facts, policy: &Policy, _: &mut Vec<String>) -> Pass {
    let normal = |code: &String| policy.confidentiality.contains(code);
    match !facts.confidentiality.is_empty() && facts.confidentiality.iter().all(normal) {
        true => Pass::Go,
        false => Pass::Stop("restricted"),
    }
}

fn is_insured(facts: &Facts, _: &Policy, warnings: &mut Vec<String>) -> Pass {
    let Some(id) = facts.insured_id.as_deref().filter(|id| !id.is_empty()) else {
        return Pass::Stop("no-insured-id");
    };
    let form = insured::form(id);
    if form == Form::PublicPayer {
        return Pass::Stop("public-assistance-unconfirmed");
    }
    if facts.qualified == Some(false) {
        return Pass::Stop("qualification-not-valid");
    }
    if form == Form::NoBranch {
        warnings.push("insured-branch-missing".into());
    }
    Pass::Go
}

fn is_agreed(facts: &Facts, _: &Policy, _: &mut Vec<String>) -> Pass {
    match (is_letter(facts), facts.send_agreed) {
        (true, Some(false)) => Pass::Stop("send-not-agreed"),
        (true, None) => Pass::Stop("send-agreement-unknown"),
        _ => Pass::Go,
    }
}

fn has_a_destination(facts: &Facts, _: &Policy, _: &mut Vec<String>) -> Pass {
    if !is_letter(facts) {
        return Pass::Go;
    }
    match facts.recipient.as_deref().filter(|r| is_institution(r)) {
        None => Pass::Stop("destination-not-insured"),
        Some(r) if facts.institution.as_deref() == Some(r) => Pass::Stop("destination-is-sender"),
        Some(_) => Pass::Go,
    }
}

fn destination_takes_part(facts: &Facts, _: &Policy, _: &mut Vec<String>) -> Pass {
    match (is_letter(facts), facts.recipient_participates) {
        (true, Some(false)) => Pass::Stop("destination-not-participating"),
        (true, None) => Pass::Stop("destination-unknown"),
        _ => Pass::Go,
    }
}

fn has_its_letter(facts: &Facts, policy: &Policy, _: &mut Vec<String>) -> Pass {
    if facts.kind != Some(Kind::Discharge) || facts.event.withdraws() {
        return Pass::Go;
    }
    match policy.rule_set {
        RuleSet::V2_0_0 if facts.letter_sent => Pass::Go,
        _ => Pass::Stop("waiting-for-referral"),
    }
}

fn predecessor_arrived(facts: &Facts, _: &Policy, _: &mut Vec<String>) -> Pass {
    match facts.predecessor {
        Some(Predecessor::InFlight) => Pass::Stop("behind-predecessor"),
        _ => Pass::Go,
    }
}

fn bundle_holds(facts: &Facts, _: &Policy, warnings: &mut Vec<String>) -> Pass {
    let Some(bundle) = &facts.bundle else {
        return Pass::Fail(match facts.findings.is_empty() {
            true => vec!["bundle-unreadable".into()],
            false => facts.findings.clone(),
        });
    };
    let mut rules: Vec<String> = vec![];
    if bundle.kind != facts.kind {
        rules.push("kind-mismatch".into());
    }
    if facts.insured_id.as_deref().is_some_and(|id| insured::form(id) == Form::Wrong) {
        rules.push("R1013".into());
    } else if bundle.insured_id.is_some() && bundle.insured_id != facts.insured_id {
        // A prepared Bundle keeps its content.
        warnings.push("insured-id-differs".into());
    }
    if is_letter(facts) && bundle.destination.is_some() && bundle.destination != facts.recipient {
        rules.push("destination-mismatch".into());
    }
    let owner = bundle.identifier_value.as_deref().and_then(super::bundle_id::institution);
    if owner.is_some() && owner != facts.institution.as_deref() {
        rules.push("institution-mismatch".into());
    }
    for found in &facts.findings {
        if !rules.contains(found) {
            rules.push(found.clone());
        }
    }
    if !rules.is_empty() {
        return Pass::Fail(rules);
    }
    if facts.kind.is_some_and(|k| k != Kind::Info) && bundle.flags.iter().any(|f| f == "UNDELIVERED") {
        warnings.push("undelivered-in-letter".into());
    }
    Pass::Go
}

fn fits(facts: &Facts, policy: &Policy, _: &mut Vec<String>) -> Pass {
    match facts.bundle.as_ref().is_some_and(|b| b.bytes > policy.size_limit_bytes) {
        true => Pass::Stop("too-large"),
        false => Pass::Go,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Facts {
        Facts {
            event: Event::Register,
            institution: Some("1319900018".into()),
            enabled: true,
            ours: true,
            mime_type: "application/fhir+json".into(),
            format_code: "jp:fhir:hs038".into(),
            type_code: "57133-1".into(),
            kind: Some(Kind::Referral),
            is_reply: false,
            regional_deny: false,
            objection: false,
            confidentiality: vec!["N".into()],
            insured_id: Some("06990011:１２３:４５６７:01".into()),
            qualified: Some(true),
            send_agreed: Some(true),
            view_consent: ConsentStatus::Viewable,
            recipient: Some("2719900026".into()),
            recipient_participates: Some(true),
            predecessor: None,
            own: None,
            letter_sent: false,
            bundle: Some(BundleFacts {
                kind: Some(Kind::Referral),
                destination: Some("2719900026".into()),
                bytes: 90_000,
                ..BundleFacts::default()
            }),
            findings: vec![],
        }
    }

    fn decided(spoil: impl FnOnce(&mut Facts)) -> Decision {
        let mut facts = letter();
        spoil(&mut facts);
        decide(&facts, &Policy::default())
    }

    #[test]
    fn the_gates_are_those_of_the_reference_in_order() {
        let numbers: Vec<u8> = gates(RuleSet::V1_2_0).iter().map(|g| g.number).collect();
        assert_eq!(numbers, (1..=17).collect::<Vec<_>>());
    }

    #[test]
    fn each_spoiling_stops_at_its_gate() {
        type Spoil = fn(&mut Facts);
        let cases: &[(Spoil, u8, &str)] = &[
            (|f| f.enabled = false, 1, "not-enabled"),
            (|f| f.ours = false, 2, "foreign-origin"),
            (|f| f.event = Event::Append, 3, "addendum-not-supported"),
            (
                |f| (f.event, f.predecessor) = (Event::Transform, Some(Predecessor::Accepted)),
                3,
                "transform-of-forwarded",
            ),
            (
                |f| (f.event, f.predecessor) = (Event::MetadataUpdate, Some(Predecessor::InFlight)),
                3,
                "no-content-change",
            ),
            (|f| f.event = Event::Remove, 4, "withdrawn-before-send"),
            (
                |f| (f.event, f.predecessor) = (Event::Replace, Some(Predecessor::Received)),
                4,
                "already-received",
            ),
            (
                |f| (f.event, f.predecessor) = (Event::Deprecate, Some(Predecessor::InFlight)),
                4,
                "behind-predecessor",
            ),
            (|f| f.kind = None, 5, "no-mapping"),
            (|f| (f.kind, f.mime_type) = (None, "image/jpeg".into()), 5, "pdf-only"),
            (|f| f.is_reply = true, 6, "reply-letter"),
            (|f| f.regional_deny = true, 7, "regional-deny"),
            (|f| f.objection = true, 8, "patient-objection"),
            (|f| (f.objection, f.own) = (true, Some(Predecessor::InFlight)), 8, "behind-predecessor"),
            (|f| (f.objection, f.own) = (true, Some(Predecessor::Received)), 8, "already-received"),
            (|f| f.confidentiality = vec!["N".into(), "R".into()], 9, "restricted"),
            (|f| f.confidentiality = vec![], 9, "restricted"),
            (|f| f.insured_id = None, 10, "no-insured-id"),
            (|f| f.insured_id = Some("12990011::1234567:".into()), 10, "public-assistance-unconfirmed"),
            (|f| f.qualified = Some(false), 10, "qualification-not-valid"),
            (|f| f.send_agreed = Some(false), 11, "send-not-agreed"),
            (|f| f.send_agreed = None, 11, "send-agreement-unknown"),
            (|f| f.recipient = None, 12, "destination-not-insured"),
            (|f| f.recipient = f.institution.clone(), 12, "destination-is-sender"),
            (|f| f.recipient_participates = Some(false), 13, "destination-not-participating"),
            (|f| f.recipient_participates = None, 13, "destination-unknown"),
            (|f| f.kind = Some(Kind::Discharge), 14, "waiting-for-referral"),
            (|f| f.predecessor = Some(Predecessor::InFlight), 15, "behind-predecessor"),
            (|f| f.bundle = None, 16, "bundle-unreadable"),
            (|f| f.findings = vec!["R3010".into()], 16, "R3010"),
            (|f| f.bundle.as_mut().unwrap().kind = Some(Kind::Info), 16, "kind-mismatch"),
            (|f| f.recipient = Some("0119900034".into()), 16, "destination-mismatch"),
            (|f| f.insured_id = Some("6990011:1:2:01".into()), 16, "R1013"),
            (
                |f| f.bundle.as_mut().unwrap().identifier_value = Some("2719900026^2025^A".into()),
                16,
                "institution-mismatch",
            ),
            (|f| f.bundle.as_mut().unwrap().bytes = 10_485_761, 17, "too-large"),
        ];
        for (spoil, gate, reason) in cases {
            let decision = decided(spoil);
            assert_eq!((decision.gate, decision.reason()), (*gate, Some(*reason)), "{decision:?}");
            let said = reasons::find(reason).map(|r| r.effect);
            match &decision.outcome {
                Outcome::Skip { .. } => assert_eq!(said, Some(Effect::Skip), "{reason}"),
                Outcome::Hold { .. } => assert_eq!(said, Some(Effect::Hold), "{reason}"),
                Outcome::Fail { .. } => assert!(said.is_none_or(|e| e == Effect::Fail), "{reason}"),
                Outcome::Send { .. } => panic!("{reason}"),
            }
        }
    }

    #[test]
    fn a_summary_follows_its_letter_by_the_newer_rules() {
        let mut facts = letter();
        facts.kind = Some(Kind::Discharge);
        facts.bundle.as_mut().unwrap().kind = Some(Kind::Discharge);
        facts.letter_sent = true;
        let newer = Policy { rule_set: RuleSet::V2_0_0, ..Policy::default() };
        let Outcome::Send { operation, .. } = decide(&facts, &newer).outcome else { panic!("not sent") };
        assert_eq!(operation.to_string(), "referral.attach-later");
        assert_eq!(decide(&facts, &Policy::default()).reason(), Some("waiting-for-referral"));
        // Another version of it changes what is attached.
        let changed =
            Facts { predecessor: Some(Predecessor::Accepted), event: Event::Replace, ..facts.clone() };
        let Outcome::Send { operation, .. } = decide(&changed, &newer).outcome else { panic!("not sent") };
        assert_eq!(operation.to_string(), "referral.change");
        facts.letter_sent = false;
        assert_eq!(decide(&facts, &newer).reason(), Some("waiting-for-referral"));
    }

    #[test]
    fn what_is_permitted_no_more_is_taken_back() {
        let there = |f: &mut Facts| {
            (f.predecessor, f.own) = (Some(Predecessor::Accepted), Some(Predecessor::Accepted))
        };
        type Spoil = fn(&mut Facts);
        let denials: [(Spoil, u8, &str); 3] = [
            (|f| f.regional_deny = true, 7, "regional-deny"),
            (|f| f.objection = true, 8, "patient-objection"),
            (|f| (f.event, f.objection) = (Event::MetadataUpdate, true), 8, "patient-objection"),
        ];
        for (deny, gate, reason) in denials {
            let decision = decided(|f| {
                there(f);
                deny(f);
            });
            let Outcome::Send { operation, .. } = decision.outcome else { panic!("{reason}: {decision:?}") };
            assert_eq!((operation.to_string().as_str(), decision.gate), ("referral.cancel", gate));
            assert_eq!(decision.warnings, [reason]);
        }
    }

    #[test]
    fn what_was_held_is_superseded_and_what_was_accepted_is_changed() {
        let Outcome::Send { operation, supersedes_pending, .. } =
            decided(|f| (f.event, f.predecessor) = (Event::Replace, Some(Predecessor::Held))).outcome
        else {
            panic!("not sent")
        };
        assert!(supersedes_pending && operation.to_string() == "referral.register");
        let Outcome::Send { operation, keeps_identifier, .. } =
            decided(|f| (f.event, f.predecessor) = (Event::Replace, Some(Predecessor::Accepted))).outcome
        else {
            panic!("not sent")
        };
        assert!(keeps_identifier && operation.to_string() == "referral.change");
    }
}
