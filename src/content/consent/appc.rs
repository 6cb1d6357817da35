//! Consents as APPC documents: XACML 2.0 policy sets of a patient (IHE APPC).
//!
//! What our rules cannot say is refused, never dropped: a rule of which half was understood would permit what the patient
//! denied, or the other way round. Read are policy sets under deny-overrides; targets whose subject is one organization,
//! community, role, person or purpose, and whose resource is the patient, one author institution and one code. A reference to
//! a policy set is the policy acknowledged. Written is what is read.

use jiff::civil::Date;
use roxmltree::Node;

use crate::model::consent::record::{Consent, Effect, Pattern, Rule};
use crate::model::consent::terms::plain_oid;
use crate::model::consent::{Attribute, Audience, Data, Network};
use crate::model::hl7types::Cx;
use crate::wire::xml::{XmlWriter, tree};

const XACML: &str = "urn:oasis:names:tc:xacml:2.0:policy:schema:os";
const HL7: &str = "urn:hl7-org:v3";
const DENY_OVERRIDES: [&str; 4] = [
    "urn:oasis:names:tc:xacml:1.0:policy-combining-algorithm:deny-overrides",
    "urn:oasis:names:tc:xacml:1.0:rule-combining-algorithm:deny-overrides",
    "urn:oasis:names:tc:xacml:1.1:policy-combining-algorithm:ordered-deny-overrides",
    "urn:oasis:names:tc:xacml:1.1:rule-combining-algorithm:ordered-deny-overrides",
];
const ENTRY: &str = "urn:ihe:iti:appc:2016:document-entry:";
const INSTITUTION: &str = "urn:ihe:iti:appc:2016:author-institution:id";
const PATIENT: &str = "urn:oasis:names:tc:xacml:2.0:resource:resource-id";
const ORGANIZATION: &str = "urn:oasis:names:tc:xspa:1.0:subject:organization-id";
const COMMUNITY: &str = "urn:ihe:iti:xca:2010:homeCommunityId";
const ROLE: &str = "urn:oasis:names:tc:xacml:2.0:subject:role";
const PERSON: &str = "urn:oasis:names:tc:xacml:1.0:subject:subject-id";
const PURPOSE: &str = "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse";
const II: &str = "urn:hl7-org:v3#II";
const CV: &str = "urn:hl7-org:v3#CV";
const URI: &str = "http://www.w3.org/2001/XMLSchema#anyURI";
const STRING: &str = "http://www.w3.org/2001/XMLSchema#string";

/// What a document says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Appc {
    /// `PolicySetId`
    pub id: String,
    /// The patients named (CX): exactly one, or none.
    pub patient: Option<String>,
    /// OID of the policy referred to.
    pub policy: Option<String>,
    pub rules: Vec<Rule>,
}

impl Appc {
    /// As a consent: to the policy referred to, of its pattern; else one that permits what its rules permit.
    pub fn consent(self, network: &Network, signed_on: Option<Date>) -> Consent {
        let known = self.policy.as_deref().and_then(|oid| network.policy_of(oid));
        Consent {
            pattern: known.map_or(Pattern::List, |policy| policy.pattern),
            policy: self.policy.unwrap_or(self.id),
            signed_on,
            rules: self.rules,
            ..Consent::default()
        }
    }
}

/// What cannot be taken, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{element}: {what}")]
pub struct Trouble {
    pub element: String,
    pub what: String,
}

fn trouble<T>(element: &str, what: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble { element: element.to_owned(), what: what.into() })
}

/// A target taken together from the outside in: each part may be said once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Target {
    patient: Option<String>,
    source: Option<Audience>,
    viewer: Option<Audience>,
    data: Option<Data>,
    purpose: Option<String>,
}

pub fn read(text: &str) -> Result<Appc, Trouble> {
    let doc = match tree::parse(text) {
        Ok(doc) => doc,
        Err(fault) => {
            return trouble("PolicySet", format!("is no XML: line {}, column {}", fault.line, fault.column));
        }
    };
    let root = doc.root_element();
    if !tree::is(root, XACML, "PolicySet") {
        return trouble(root.tag_name().name(), "is not a PolicySet of XACML 2.0");
    }
    let mut appc =
        Appc { id: tree::attr(root, "PolicySetId").unwrap_or_default().to_owned(), ..Appc::default() };
    set(root, &[Target::default()], &mut appc)?;
    Ok(appc)
}

fn set(node: Node<'_, '_>, around: &[Target], appc: &mut Appc) -> Result<(), Trouble> {
    combined(node, "PolicyCombiningAlgId")?;
    let mut targets = around.to_vec();
    for child in tree::elements(node) {
        match child.tag_name().name() {
            "Description" => {}
            "Target" => targets = crossed(&targets, child)?,
            "PolicySet" => set(child, &targets, appc)?,
            "Policy" => policy(child, &targets, appc)?,
            "PolicySetIdReference" | "PolicyIdReference" => {
                let oid = plain_oid(&tree::text_of(child)).to_owned();
                if appc.policy.replace(oid).is_some() {
                    return trouble(
                        child.tag_name().name(),
                        "stands twice; a consent acknowledges one policy",
                    );
                }
                if targets.iter().any(|t| *t != Target { patient: t.patient.clone(), ..Target::default() }) {
                    return trouble(
                        child.tag_name().name(),
                        "is confined by a Target, which is not supported",
                    );
                }
            }
            name => return trouble(name, "is not supported"),
        }
    }
    noted(&targets, appc)
}

fn policy(node: Node<'_, '_>, around: &[Target], appc: &mut Appc) -> Result<(), Trouble> {
    combined(node, "RuleCombiningAlgId")?;
    let mut targets = around.to_vec();
    for child in tree::elements(node) {
        match child.tag_name().name() {
            "Description" => {}
            "Target" => targets = crossed(&targets, child)?,
            "Rule" => rule(child, &targets, appc)?,
            name => return trouble(name, "is not supported"),
        }
    }
    noted(&targets, appc)
}

fn rule(node: Node<'_, '_>, around: &[Target], appc: &mut Appc) -> Result<(), Trouble> {
    let effect = match tree::attr(node, "Effect") {
        Some("Permit") => Effect::Permit,
        Some("Deny") => Effect::Deny,
        _ => return trouble("Rule", "Effect is neither Permit nor Deny"),
    };
    let mut targets = around.to_vec();
    for child in tree::elements(node) {
        match child.tag_name().name() {
            "Description" => {}
            "Target" => targets = crossed(&targets, child)?,
            name => return trouble(name, "is not supported"),
        }
    }
    noted(&targets, appc)?;
    appc.rules.extend(targets.into_iter().map(|t| Rule {
        source: t.source.unwrap_or_default(),
        viewer: t.viewer.unwrap_or_default(),
        data: t.data.unwrap_or_default(),
        purpose: t.purpose,
        ..Rule::new(effect)
    }));
    Ok(())
}

/// All targets are about one patient.
fn noted(targets: &[Target], appc: &mut Appc) -> Result<(), Trouble> {
    for patient in targets.iter().filter_map(|t| t.patient.as_ref()) {
        match &appc.patient {
            Some(other) if other != patient => return trouble("Target", "is about several patients"),
            _ => appc.patient = Some(patient.clone()),
        }
    }
    Ok(())
}

fn combined(node: Node<'_, '_>, attribute: &str) -> Result<(), Trouble> {
    match tree::attr(node, attribute) {
        Some(algorithm) if DENY_OVERRIDES.contains(&algorithm) => Ok(()),
        algorithm => {
            let named = algorithm.unwrap_or_default();
            trouble(
                node.tag_name().name(),
                format!("{attribute} '{named}' is not supported; deny-overrides is"),
            )
        }
    }
}

/// Every target around with every alternative of a `Target`.
fn crossed(around: &[Target], node: Node<'_, '_>) -> Result<Vec<Target>, Trouble> {
    let mut targets = around.to_vec();
    for section in tree::elements(node) {
        let alternatives: Vec<Node<'_, '_>> = tree::elements(section).collect();
        match section.tag_name().name() {
            "Subjects" | "Resources" => {}
            // Whatever is done with documents is looking at them.
            "Actions" => continue,
            name => return trouble(name, "is not supported"),
        }
        if alternatives.is_empty() {
            continue;
        }
        let mut next = vec![];
        for target in &targets {
            for alternative in &alternatives {
                let mut target = target.clone();
                for matched in tree::elements(*alternative) {
                    matches(matched, &mut target)?;
                }
                next.push(target);
            }
        }
        targets = next;
        if targets.len() > 1000 {
            return trouble("Target", "has too many alternatives");
        }
    }
    Ok(targets)
}

fn matches(node: Node<'_, '_>, target: &mut Target) -> Result<(), Trouble> {
    let name = node.tag_name().name();
    let function = tree::attr(node, "MatchId").unwrap_or_default();
    if !function.ends_with("-equal") {
        return trouble(name, format!("MatchId '{function}' is not supported; equality is"));
    }
    let value = tree::child(node, XACML, "AttributeValue");
    let designator = tree::elements(node).find(|n| n.tag_name().name().ends_with("AttributeDesignator"));
    let (Some(value), Some(designator)) = (value, designator) else {
        return trouble(name, "needs an AttributeValue and an AttributeDesignator");
    };
    let id = tree::attr(designator, "AttributeId").unwrap_or_default();
    let once = |free: bool| match free {
        true => Ok(()),
        false => trouble(name, format!("{id} is said together with another of its kind")),
    };
    match id {
        PATIENT => {
            once(target.patient.is_none())?;
            target.patient = Some(patient(value)?);
        }
        INSTITUTION => {
            once(target.source.is_none())?;
            target.source = Some(Audience::Facility(instance(value)?));
        }
        ORGANIZATION => {
            once(target.viewer.is_none())?;
            target.viewer = Some(Audience::Facility(instance(value)?));
        }
        COMMUNITY => {
            once(target.viewer.is_none())?;
            target.viewer = Some(Audience::Community(format!("urn:oid:{}", instance(value)?)));
        }
        PERSON => {
            once(target.viewer.is_none())?;
            target.viewer = Some(Audience::Person(tree::text_of(value).trim().to_owned()));
        }
        ROLE => {
            once(target.viewer.is_none())?;
            let (code, system) = coded(value)?;
            target.viewer = Some(Audience::Role { system, code });
        }
        PURPOSE => {
            once(target.purpose.is_none())?;
            let (code, system) = coded(value)?;
            target.purpose = Some(format!("{system}|{code}"));
        }
        id => {
            let attribute = id
                .strip_prefix(ENTRY)
                .and_then(|named| Attribute::ALL.into_iter().find(|a| a.appc() == named));
            let Some(attribute) = attribute else {
                return trouble(name, format!("AttributeId '{id}' is not supported"));
            };
            once(target.data.is_none())?;
            let (code, scheme) = coded(value)?;
            target.data = Some(Data::Code { attribute, code, scheme });
        }
    }
    Ok(())
}

fn coded(value: Node<'_, '_>) -> Result<(String, String), Trouble> {
    let found = tree::child(value, HL7, "CodedValue").and_then(|n| {
        Some((tree::attr(n, "code")?.to_owned(), plain_oid(tree::attr(n, "codeSystem")?).to_owned()))
    });
    match found {
        Some(found) => Ok(found),
        None => trouble("AttributeValue", "is no CodedValue with code and codeSystem"),
    }
}

/// An organization: `root`, or `root.extension`; or a URI.
fn instance(value: Node<'_, '_>) -> Result<String, Trouble> {
    if let Some(node) = tree::child(value, HL7, "InstanceIdentifier") {
        let root = tree::attr(node, "root").unwrap_or_default();
        return match (root, tree::attr(node, "extension").filter(|e| !e.is_empty())) {
            ("", _) => trouble("InstanceIdentifier", "has no root"),
            (root, None) => Ok(root.to_owned()),
            (root, Some(extension)) => Ok(format!("{root}.{extension}")),
        };
    }
    match plain_oid(&tree::text_of(value)) {
        "" => trouble("AttributeValue", "is empty"),
        oid => Ok(oid.to_owned()),
    }
}

fn patient(value: Node<'_, '_>) -> Result<String, Trouble> {
    if let Some(node) = tree::child(value, HL7, "InstanceIdentifier") {
        let (root, extension) = (tree::attr(node, "root"), tree::attr(node, "extension"));
        return match (root, extension) {
            (Some(root), Some(extension)) => Ok(format!("{extension}^^^&{root}&ISO")),
            _ => trouble("InstanceIdentifier", "is no patient id: root and extension are needed"),
        };
    }
    Ok(tree::text_of(value).trim().to_owned())
}

type Writer = XmlWriter<'static>;

/// The document of a consent of `patient` (CX). What rules say by kinds named in our policy file, by groups or by days
/// cannot be written, which is told.
pub fn write(consent: &Consent, patient: &str) -> Result<String, Trouble> {
    let mut w = Writer::with_capacity(4096);
    w.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    w.open("PolicySet").attr("xmlns", XACML).attr("xmlns:hl7", HL7);
    w.attr("PolicySetId", &format!("urn:uuid:{}", consent.id));
    w.attr("PolicyCombiningAlgId", DENY_OVERRIDES[0]);
    w.leaf("Description", "Patient privacy consent");
    w.open("Target").open("Resources").open("Resource");
    match Cx::parse(patient) {
        Ok(cx) => instance_match(&mut w, "Resource", PATIENT, (&cx.authority, Some(&cx.id))),
        Err(_) => return trouble("Target", "the patient has no id of the form ID^^^&OID&ISO"),
    }
    w.close().close().close();
    if !consent.policy.is_empty() {
        w.leaf("PolicySetIdReference", &format!("urn:oid:{}", consent.policy));
    }
    for (n, rule) in consent.rules.iter().enumerate() {
        one(&mut w, &consent.id, n + 1, rule)?;
    }
    let mut text = w.finish();
    text.push('\n');
    Ok(text)
}

fn one(w: &mut Writer, consent: &str, n: usize, rule: &Rule) -> Result<(), Trouble> {
    let dated = [rule.documents_from, rule.documents_to, rule.valid_from, rule.valid_to];
    if dated.iter().any(Option::is_some) {
        return trouble("Rule", format!("rule {n} is of certain days, which APPC is not written with"));
    }
    w.open("Policy").attr("PolicyId", &format!("urn:uuid:{consent}:{n}"));
    w.attr("RuleCombiningAlgId", DENY_OVERRIDES[1]);
    w.open("Target");
    let viewer = rule.viewer != Audience::All;
    if viewer || rule.purpose.is_some() {
        w.open("Subjects").open("Subject");
        match &rule.viewer {
            Audience::All => {}
            Audience::Facility(oid) => instance_match(w, "Subject", ORGANIZATION, (oid, None)),
            Audience::Community(home) => text_match(w, "Subject", COMMUNITY, URI, home),
            Audience::Person(id) => text_match(w, "Subject", PERSON, STRING, id),
            Audience::Role { system, code } => coded_match(w, "Subject", ROLE, (code, system)),
            other => return trouble("Subject", format!("rule {n} speaks of {other}, which APPC cannot say")),
        }
        if let Some((system, code)) = rule.purpose.as_deref().and_then(|p| p.split_once('|')) {
            coded_match(w, "Subject", PURPOSE, (code, system));
        }
        w.close().close();
    }
    if rule.source != Audience::All || rule.data != Data::All {
        w.open("Resources").open("Resource");
        match &rule.source {
            Audience::All => {}
            Audience::Facility(oid) => instance_match(w, "Resource", INSTITUTION, (oid, None)),
            other => {
                return trouble("Resource", format!("rule {n} speaks of {other}, which APPC cannot say"));
            }
        }
        match &rule.data {
            Data::All => {}
            Data::Code { attribute, code, scheme } => {
                coded_match(w, "Resource", &format!("{ENTRY}{}", attribute.appc()), (code, scheme));
            }
            kind => return trouble("Resource", format!("rule {n} speaks of {kind}, which APPC cannot say")),
        }
        w.close().close();
    }
    w.close();
    let effect = match rule.effect {
        Effect::Permit => "Permit",
        Effect::Deny => "Deny",
    };
    w.empty("Rule", &[("RuleId", &format!("urn:uuid:{consent}:{n}:1")), ("Effect", effect)]);
    w.close();
    Ok(())
}

fn matched(w: &mut Writer, of: &str, function: &str, id: &str, kind: &str, value: impl FnOnce(&mut Writer)) {
    let (element, designator) = match of {
        "Subject" => ("SubjectMatch", "SubjectAttributeDesignator"),
        _ => ("ResourceMatch", "ResourceAttributeDesignator"),
    };
    w.open(element).attr("MatchId", function);
    w.open("AttributeValue").attr("DataType", kind);
    value(w);
    w.close();
    w.empty(designator, &[("AttributeId", id), ("DataType", kind)]);
    w.close();
}

fn instance_match(w: &mut Writer, of: &str, id: &str, (root, extension): (&str, Option<&str>)) {
    matched(w, of, "urn:hl7-org:v3:function:II-equal", id, II, |w| {
        w.open("hl7:InstanceIdentifier").attr("root", root).attr_opt("extension", extension).close();
    });
}

fn coded_match(w: &mut Writer, of: &str, id: &str, (code, system): (&str, &str)) {
    matched(w, of, "urn:hl7-org:v3:function:CV-equal", id, CV, |w| {
        w.empty("hl7:CodedValue", &[("code", code), ("codeSystem", system)]);
    });
}

fn text_match(w: &mut Writer, of: &str, id: &str, kind: &'static str, text: &str) {
    let function = match kind {
        URI => "urn:oasis:names:tc:xacml:1.0:function:anyURI-equal",
        _ => "urn:oasis:names:tc:xacml:1.0:function:string-equal",
    };
    matched(w, of, function, id, kind, |w| {
        w.text(text);
    });
}
