//! A resource held against FHIR R4 and the profiles that apply to it, element by element. Everything is found, nothing
//! stops at the first.

mod around;
mod guide;
mod primitive;
mod references;
mod slicing;

pub use around::Around;

use super::base::base;
use super::check::Mode;
use super::finding::{Finding, Layer, Rule, Severity};
use super::profile::{Constraint, Elem, Profile, Strength};
use super::settled;
use crate::fhirpath::equality::json_equal;
use crate::fhirpath::r4::{self, Element, ElementType, Kind, Type};
use crate::fhirpath::value::resource_type;
use crate::fhirpath::{Context, Expression, Json, Node, Object};
use std::fmt::Write;

/// An element of a profile that applies, with its profile.
pub type Bound<'a> = (&'a Elem, &'a Profile);

/// The resource an element stands in, and that one's container.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub resource: Node<'a>,
    pub root: Node<'a>,
}

/// An element that stands there.
struct Occurrence<'a> {
    element: &'static Element,
    key: &'a str,
    of: &'static ElementType,
    node: Node<'a>,
    /// In its array.
    index: Option<usize>,
    bounds: Vec<Bound<'a>>,
}

pub struct Walk<'w, 'a> {
    pub around: &'w Around<'a>,
    pub findings: Vec<Finding>,
    /// The package whose editions of profiles are meant.
    package: Option<usize>,
    path: String,
    depth: usize,
}

/// Resources in resources; JSON's own limit is above it.
const MAX_DEPTH: usize = 90;

static NULL: Json = Json::Null;

impl<'w, 'a> Walk<'w, 'a> {
    pub fn new(around: &'w Around<'a>) -> Self {
        Self { around, findings: vec![], package: None, path: String::new(), depth: 0 }
    }

    /// The whole of what is to be checked. `profiles`: those it must conform to whatever it declares.
    pub fn root(&mut self, json: &'a Json, profiles: &[&'a Profile]) {
        self.path = json.str("resourceType").unwrap_or("Resource").to_owned();
        self.package = profiles.first().map(|p| p.package);
        let bounds = profiles.iter().map(|p| (&p.root, *p)).collect();
        self.resource(json, bounds, None);
        if self.around.mode == Mode::Intended {
            guide::check(self, json);
        }
        let mut seen = std::collections::HashSet::new();
        self.findings.retain(|f| seen.insert((f.rule.clone(), f.path.clone(), f.message.clone())));
    }

    /// Whether a node conforms to a profile, saying nothing.
    pub fn quietly(around: &Around<'a>, node: &Node<'a>, profile: &'a Profile) -> bool {
        let mut walk = Walk::new(around);
        walk.path = "$this".to_owned();
        walk.package = Some(profile.package);
        let Some(json) = node.json else { return false };
        match node.of {
            Some(of) if of.kind == Kind::Resource => {
                if !r4::table().is_a(of.id, profile.type_of().name) {
                    return false;
                }
                walk.resource(json, vec![(&profile.root, profile)], None);
            }
            _ => walk.element(node, &[(&profile.root, profile)], Place { resource: *node, root: *node }),
        }
        super::finding::passes(&walk.findings)
    }

    pub fn profile(&self, canonical: &str) -> Option<&'a Profile> {
        self.around.checker.profiles().find(canonical, self.package)
    }

    pub fn say(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn at(&mut self, rule: Rule, detail: &str) {
        let finding = rule.at(&self.path, detail);
        self.findings.push(finding);
    }

    fn below(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    fn resource(&mut self, json: &'a Json, mut bounds: Vec<Bound<'a>>, container: Option<Node<'a>>) {
        if self.depth > MAX_DEPTH {
            return;
        }
        let Json::Object(_) = json else { return self.at(Rule::NotObject, "") };
        let Some(of) = resource_type(json) else {
            let found = json.str("resourceType").unwrap_or_default();
            return self.at(Rule::ResourceType, &super::finding::shown(found));
        };
        let owner = container.and_then(|c| c.json).unwrap_or(json);
        let node = Node { json: Some(json), beside: None, of: Some(of), owner: Some(owner) };
        for (i, canonical) in
            json.at(&["meta", "profile"]).and_then(Json::as_list).unwrap_or_default().iter().enumerate()
        {
            let Some(canonical) = canonical.as_str() else { continue };
            let path = format!("{}.meta.profile[{i}]", self.path);
            match self.profile(canonical) {
                Some(profile) if !r4::table().is_a(of.id, profile.type_of().name) => {
                    self.say(Rule::ProfileOf.at(&path, canonical));
                }
                Some(profile) => add(&mut bounds, profile),
                // FHIR's own profiles of a type say nothing more than the type.
                None if canonical.starts_with("http://hl7.org/fhir/StructureDefinition/") => {}
                None => self.say(Rule::ProfileMissing.at(&path, canonical)),
            }
        }
        let place = Place { resource: node, root: container.unwrap_or(node) };
        self.depth += 1;
        self.element(&node, &bounds, place);
        if container.is_none() {
            self.contained(json);
        }
        if of.name == "Bundle" {
            self.bundle(json);
        }
        if self.around.mode == Mode::Intended {
            self.settled(&node, &bounds, place);
        }
        self.depth -= 1;
    }

    /// One element with everything that applies to it.
    fn element(&mut self, node: &Node<'a>, bounds: &[Bound<'a>], place: Place<'a>) {
        let Some(of) = node.of else { return };
        if self.depth > MAX_DEPTH {
            return;
        }
        self.depth += 1;
        if of.kind == Kind::Primitive {
            self.primitive(node, of, bounds);
        } else {
            match node.json {
                Some(Json::Object(object)) => self.children(node, object, of, bounds, place),
                _ => {
                    let shown = node.json.map(Json::to_string).unwrap_or_default();
                    let finding = Rule::Type.at(&self.path, of.name).with_value(shown);
                    self.say(finding);
                    self.depth -= 1;
                    return;
                }
            }
        }
        for &(elem, profile) in bounds {
            self.value(node, elem, profile);
        }
        self.invariants(node, of, bounds, place);
        self.depth -= 1;
    }

    fn primitive(&mut self, node: &Node<'a>, of: &'static Type, bounds: &[Bound<'a>]) {
        if let Some(beside) = node.beside {
            self.beside(beside, node);
        }
        let Some(json) = node.json else { return };
        match primitive::check(of.name, json) {
            Ok(()) => {}
            Err(wrong) => {
                let rule = match wrong {
                    primitive::Wrong::Type => Rule::Type,
                    primitive::Wrong::Format if json.as_str() == Some("") => Rule::Empty,
                    primitive::Wrong::Format => Rule::Format,
                };
                let finding = rule.at(&self.path, of.name).with_value(plain(json));
                self.say(finding);
            }
        }
        for &(elem, profile) in bounds {
            if let (Some(limit), Some(text)) = (elem.max_length, json.as_str())
                && text.chars().count() > limit
            {
                let finding = Rule::MaxLength
                    .at(&self.path, &limit.to_string())
                    .with_value(text)
                    .of_profile(Some(&profile.url));
                self.say(finding);
            }
        }
    }

    /// The id and extensions of a primitive.
    fn beside(&mut self, beside: &'a Json, node: &Node<'a>) {
        let (Json::Object(object), Some(of)) = (beside, r4::table().find("Element")) else {
            return self.at(Rule::NotObject, "");
        };
        let holder = Node { json: Some(beside), beside: None, of: Some(of), owner: node.owner };
        let place = Place { resource: holder, root: holder };
        self.children(&holder, object, of, &[], place);
    }

    fn children(
        &mut self,
        node: &Node<'a>,
        object: &'a Object,
        of: &'static Type,
        bounds: &[Bound<'a>],
        place: Place<'a>,
    ) {
        let mut there = self.members(node, object, of);
        for element in &of.elements {
            let count = there.iter().filter(|o| std::ptr::eq(o.element, element)).count();
            if count < element.min as usize {
                let finding = Rule::CardMin.at(&self.below(element.name), &element.min.to_string());
                self.say(finding);
            }
            if element.is_choice && count > 1 {
                self.at(Rule::ChoiceMany, element.name);
            }
        }
        for &(elem, profile) in bounds {
            self.profile_children(of, elem, profile, &mut there);
        }
        let length = self.path.len();
        for occurrence in there {
            self.path.push('.');
            self.path.push_str(occurrence.element.name);
            if let Some(index) = occurrence.index {
                let _ = write!(self.path, "[{index}]");
            }
            self.occurrence(occurrence, place);
            self.path.truncate(length);
        }
    }

    /// What of an object is an element, and in the form JSON gives it (FHIR R4 2.6.2).
    fn members(&mut self, node: &Node<'a>, object: &'a Object, of: &'static Type) -> Vec<Occurrence<'a>> {
        let mut there = vec![];
        let bare = object.iter().all(|(key, _)| key == "id") && of.kind != Kind::Resource;
        // What stands beside a primitive may be an id alone.
        if bare && (of.name != "Element" || object.is_empty()) {
            self.at(if object.is_empty() { Rule::Empty } else { Rule::Ele1 }, "");
        }
        for (key, value) in object.iter() {
            if key == "resourceType" && of.kind == Kind::Resource {
                continue;
            }
            let bare = key.strip_prefix('_').unwrap_or(key);
            let Some((element, of)) = of.member(bare) else {
                let path = self.below(&super::finding::shown(key));
                self.say(Rule::Unknown.at(&path, &super::finding::shown(key)));
                continue;
            };
            let is_primitive = r4::table().get(of.id).kind == Kind::Primitive;
            if key.len() != bare.len() {
                if !is_primitive {
                    let path = self.below(key);
                    self.say(Rule::Unknown.at(&path, key));
                    continue;
                }
                if object.contains(bare) {
                    continue;
                }
            }
            let (value, beside) = if key.len() == bare.len() {
                (value, if is_primitive { sibling(object, bare) } else { None })
            } else {
                (&NULL, Some(value))
            };
            let repeats = element.max != Some(1);
            let path = self.below(element.name);
            let is_list = matches!(value, Json::List(_))
                || matches!((value, beside), (Json::Null, Some(Json::List(_))));
            if is_list && !repeats {
                self.say(Rule::IsArray.at(&path, key));
            } else if !is_list && repeats {
                self.say(Rule::NotArray.at(&path, key));
            }
            let values = value.as_list();
            let extras = beside.and_then(Json::as_list);
            let count = match (values, extras) {
                (None, None) => 1,
                (values, extras) => values.map_or(0, <[Json]>::len).max(extras.map_or(0, <[Json]>::len)),
            };
            if count == 0 {
                self.say(Rule::Empty.at(&path, ""));
            }
            for i in 0..count {
                let json = match values {
                    Some(values) => values.get(i).unwrap_or(&NULL),
                    None => value,
                };
                let extra = match extras {
                    Some(extras) => extras.get(i),
                    None => beside,
                };
                let json = (!matches!(json, Json::Null)).then_some(json);
                let extra = extra.filter(|e| !matches!(e, Json::Null));
                if json.is_none() && extra.is_none() {
                    self.say(Rule::Empty.at(&path, ""));
                    continue;
                }
                let child = Node { json, beside: extra, of: Some(r4::table().get(of.id)), owner: node.owner };
                there.push(Occurrence {
                    element,
                    key: bare,
                    of,
                    node: child,
                    index: repeats.then_some(i),
                    bounds: vec![],
                });
            }
        }
        there
    }

    /// Cardinalities and slices a profile gives the children; what of it applies to each is noted there.
    fn profile_children(
        &mut self,
        of: &'static Type,
        elem: &'a Elem,
        profile: &'a Profile,
        there: &mut [Occurrence<'a>],
    ) {
        let children = match &elem.content {
            Some(content) if elem.children.is_empty() => {
                profile.content(content).map_or(&elem.children, |e| &e.children)
            }
            _ => &elem.children,
        };
        for child in children {
            let mine: Vec<usize> = there
                .iter()
                .enumerate()
                .filter(|(_, o)| *o.element.name == *child.name || *o.key == *child.name)
                .map(|(i, _)| i)
                .collect();
            let count = mine.len();
            let base_min = of.element(&child.name).map_or(0, |e| e.min as usize);
            if count < child.min as usize && count >= base_min {
                let finding = Rule::CardMin
                    .at(&self.below(&child.name), &child.min.to_string())
                    .of_profile(Some(&profile.url));
                self.say(finding);
            }
            if child.max.is_some_and(|max| count > max as usize) {
                let max = child.max.unwrap_or_default().to_string();
                let finding = Rule::CardMax.at(&self.below(&child.name), &max).of_profile(Some(&profile.url));
                self.say(finding);
            }
            for i in &mine {
                there[*i].bounds.push((child, profile));
            }
            if !child.slices.is_empty() && child.slicing.is_some() {
                self.slices(child, profile, &mine, there);
            }
        }
    }

    fn occurrence(&mut self, mut occurrence: Occurrence<'a>, place: Place<'a>) {
        let node = occurrence.node;
        let Some(of) = node.of else { return };
        let of = match of.kind {
            Kind::Resource => node.json.and_then(resource_type).unwrap_or(of),
            _ => of,
        };
        for (elem, profile) in occurrence.bounds.clone() {
            if elem.types.is_empty() {
                continue;
            }
            let fitting: Vec<_> = elem.types.iter().filter(|t| r4::table().is_a(of.id, &t.code)).collect();
            if fitting.is_empty() {
                // An unknown resource type is said elsewhere.
                if !(of.kind == Kind::Resource && of.is_abstract) {
                    let allowed: Vec<&str> = elem.types.iter().map(|t| &*t.code).collect();
                    let finding = Rule::ProfileType
                        .at(&self.path, &allowed.join(", "))
                        .with_value(of.name)
                        .of_profile(Some(&profile.url));
                    self.say(finding);
                }
                continue;
            }
            let urls: Vec<&str> = fitting.iter().flat_map(|t| &t.profiles).map(|p| &**p).collect();
            match urls[..] {
                [] => {}
                [url] => match self.around.checker.profiles().find(url, Some(profile.package)) {
                    Some(found) => add(&mut occurrence.bounds, found),
                    None => self.not_loaded(url),
                },
                _ => self.one_of(&node, &urls, profile),
            }
        }
        let table_element = occurrence.of;
        match of.kind {
            Kind::Resource => {
                let container = (occurrence.element.name == "contained").then_some(place.root);
                if let Some(json) = node.json {
                    self.resource(json, occurrence.bounds, container);
                }
                return;
            }
            _ if of.name == "Extension" => {
                let url = node.json.and_then(|json| json.str("url"));
                if let Some(profile) = url.and_then(|url| self.profile(url)) {
                    add(&mut occurrence.bounds, profile);
                } else if let Some(url) = url.filter(|url| url.starts_with("http://jpfhir.jp/")) {
                    self.not_loaded(url);
                }
            }
            _ if of.name == "Reference" => self.reference(&node, table_element, &occurrence.bounds),
            _ => {}
        }
        if let Some(set) = occurrence.element.value_set {
            self.base_binding(&node, set);
        }
        self.element(&node, &occurrence.bounds, place);
    }

    /// Conforms to one at least.
    fn one_of(&mut self, node: &Node<'a>, urls: &[&str], profile: &Profile) {
        let loaded: Vec<&Profile> = urls
            .iter()
            .filter_map(|url| self.around.checker.profiles().find(url, Some(profile.package)))
            .collect();
        if loaded.len() == urls.len() && !loaded.iter().any(|p| Self::quietly(self.around, node, p)) {
            let finding = Rule::ProfileType.at(&self.path, &urls.join(", ")).of_profile(Some(&profile.url));
            self.say(finding);
        }
    }

    /// FHIR's own profiles of data types come with no package of the publisher's; the table of types stands for them.
    fn not_loaded(&mut self, url: &str) {
        if !url.starts_with("http://hl7.org/fhir/StructureDefinition/") {
            self.at(Rule::ProfileMissing, url);
        }
    }

    /// Fixed values, patterns, bindings.
    fn value(&mut self, node: &Node<'a>, elem: &Elem, profile: &Profile) {
        if let Some(json) = node.json {
            if let Some(fixed) = &elem.fixed
                && !json_equal(json, fixed, false)
            {
                let finding = Rule::Fixed
                    .at(&self.path, &plain(fixed))
                    .with_value(plain(json))
                    .of_profile(Some(&profile.url));
                self.say(finding);
            }
            if let Some(pattern) = &elem.pattern
                && !matches_pattern(json, pattern)
            {
                let finding = Rule::Pattern
                    .at(&self.path, &plain(pattern))
                    .with_value(plain(json))
                    .of_profile(Some(&profile.url));
                self.say(finding);
            }
        }
        let Some(binding) = &elem.binding else { return };
        if settled::NOT_APPLIED.contains(&&*binding.value_set) {
            return;
        }
        let Some((found, value)) = self.bound(node, &binding.value_set) else { return };
        // A method of 998 or 999 counts as listed, whatever the value set enumerates.
        let any_method = node.json.and_then(|json| json.str("code")).is_some_and(guide::any_method);
        if !(found || any_method && self.around.mode == Mode::Intended) {
            let rule =
                if binding.strength == Strength::Required { Rule::Binding } else { Rule::BindingUsual };
            let finding =
                rule.at(&self.path, &binding.value_set).with_value(value).of_profile(Some(&profile.url));
            self.say(finding);
        }
    }

    /// Whether a code, Coding, CodeableConcept or Quantity is of a value set, and how it shows; `None` where that is not
    /// known, or there is no code.
    fn bound(&self, node: &Node<'a>, set: &str) -> Option<(bool, String)> {
        let checker = self.around.checker;
        let coding = |json: &Json| checker.member_of(set, json.str("system"), json.str("code")?);
        let json = node.json?;
        let known = |codings: &[Json]| {
            let found: Vec<Option<bool>> = codings.iter().map(coding).collect();
            if found.contains(&Some(true)) {
                Some(true)
            } else if found.contains(&None) || found.is_empty() {
                None
            } else {
                Some(false)
            }
        };
        let found = match (node.type_name(), json) {
            ("CodeableConcept", json) => known(json.items("coding"))?,
            ("Coding" | "Quantity" | "Age" | "Duration", json) => coding(json)?,
            (_, Json::Text(code)) => checker.member_of(set, None, code)?,
            _ => return None,
        };
        Some((found, plain(json)))
    }

    fn base_binding(&mut self, node: &Node<'a>, set: &str) {
        let Some(json) = node.json else { return };
        let base = base();
        let coding = |json: &Json| base.has_coding(set, json.str("system"), json.str("code")?);
        let found = match (node.type_name(), json) {
            ("CodeableConcept", json) => {
                let found: Vec<Option<bool>> = json.items("coding").iter().map(coding).collect();
                if found.is_empty() || found.contains(&Some(true)) {
                    None
                } else {
                    Some(found.contains(&None))
                }
            }
            ("Coding", json) => coding(json),
            (_, Json::Text(code)) => base.has_code(set, code),
            _ => None,
        };
        if found == Some(false) {
            let set = format!("http://hl7.org/fhir/ValueSet/{set}");
            let finding = Rule::BaseBinding.at(&self.path, &set).with_value(plain(json));
            self.say(finding);
        }
    }

    fn invariants(&mut self, node: &Node<'a>, of: &'static Type, bounds: &[Bound<'a>], place: Place<'a>) {
        let table = r4::table();
        let mut here = Some(of);
        while let Some(of) = here {
            // The narrative's rules stand at its element (txt-1, txt-2).
            let name = if of.name == "xhtml" { "Narrative.div" } else { of.name };
            for invariant in base().invariants(name) {
                // An expression that has no result in FHIR's own words is no finding of ours.
                if self.holds(&invariant.expression, node, place) == Ok(false) {
                    let mut finding = Rule::BaseInvariant.at(&self.path, invariant.text);
                    finding.rule = invariant.key.to_owned();
                    finding.severity = if invariant.is_error { Severity::Error } else { Severity::Warning };
                    self.say(finding);
                }
            }
            here = of.base.map(|id| table.get(id));
        }
        for (i, (elem, profile)) in bounds.iter().enumerate() {
            for constraint in &elem.constraints {
                let before = bounds[..i].iter().flat_map(|(e, _)| &e.constraints);
                if before
                    .into_iter()
                    .any(|c| c.key == constraint.key && c.expression.text() == constraint.expression.text())
                {
                    continue;
                }
                self.constraint(constraint, node, profile, place);
            }
        }
    }

    fn constraint(&mut self, constraint: &Constraint, node: &Node<'a>, profile: &Profile, place: Place<'a>) {
        let settled = settled::find(&constraint.key, &profile.url);
        let expression = match settled.and_then(|s| s.instead.as_ref()) {
            Some(instead) if self.around.mode == Mode::Intended => instead,
            _ => &constraint.expression,
        };
        let holds = self.holds(expression, node, place);
        if holds == Ok(true) {
            return;
        }
        let mut finding = match holds {
            Err(_) => Rule::InvariantError.at(&self.path, &constraint.key),
            Ok(_) => Rule::BaseInvariant.at(&self.path, ""),
        };
        finding.rule = constraint.key.to_string();
        finding.layer = Layer::ProfileInvariant;
        finding.severity = if constraint.is_error { Severity::Error } else { Severity::Warning };
        finding.label =
            settled.and_then(|s| s.row.label.map(str::to_owned)).or_else(|| settled::label(&constraint.text));
        if holds.is_ok() {
            finding.message_ja = constraint.text.to_string();
            finding.message = match settled {
                Some(s) => s.row.message.to_owned(),
                None => format!("invariant {} of {} does not hold", constraint.key, profile.url),
            };
        }
        settled::hints(settled, &mut finding);
        finding.value = settled.and_then(|s| self.show(s, node, place));
        finding.profile = Some(profile.url.to_string());
        self.say(finding);
    }

    /// Rules of the guide's text that no profile carries (national-service rules, `settled`).
    fn settled(&mut self, node: &Node<'a>, bounds: &[Bound<'a>], place: Place<'a>) {
        for settled in settled::unattached() {
            let Some((_, profile)) = bounds
                .iter()
                .find(|(elem, p)| std::ptr::eq(*elem, &p.root) && settled.row.profiles.contains(&&*p.url))
            else {
                continue;
            };
            let Some(expression) = &settled.instead else { continue };
            if self.holds(expression, node, place) == Ok(true) {
                continue;
            }
            let mut finding = Rule::BaseInvariant.at(&self.path, "");
            finding.rule = settled.row.key.to_owned();
            finding.label = settled.row.label.map(str::to_owned);
            finding.layer = Layer::GuideText;
            finding.severity = settled.row.severity;
            finding.message = settled.row.message.to_owned();
            finding.message_ja = settled.row.message_ja.to_owned();
            settled::hints(Some(settled), &mut finding);
            finding.value = self.show(settled, node, place);
            finding.profile = Some(profile.url.to_string());
            self.say(finding);
        }
    }

    fn show(&self, settled: &settled::Settled, node: &Node<'a>, place: Place<'a>) -> Option<String> {
        let shows = settled.shows.as_ref()?;
        let found = shows.evaluate(&self.context(node, place)).ok()?;
        let texts: Vec<String> = found.iter().filter_map(|item| item.to_text()).collect();
        (!texts.is_empty()).then(|| super::finding::shown(&texts.join(", ")))
    }

    fn context(&self, node: &Node<'a>, place: Place<'a>) -> Context<'w, 'a> {
        Context {
            resource: place.resource,
            root: place.root,
            context: *node,
            surroundings: self.around,
            now: self.around.checker.now(),
            // Moments without an offset are Japanese.
            offset: 540,
        }
    }

    fn holds(
        &self,
        expression: &Expression,
        node: &Node<'a>,
        place: Place<'a>,
    ) -> Result<bool, crate::fhirpath::EvalError> {
        expression.holds(&self.context(node, place))
    }
}

fn add<'a>(bounds: &mut Vec<Bound<'a>>, profile: &'a Profile) {
    if !bounds.iter().any(|(elem, _)| std::ptr::eq(*elem, &profile.root)) {
        bounds.push((&profile.root, profile));
    }
}

fn sibling<'a>(object: &'a Object, bare: &str) -> Option<&'a Json> {
    object.iter().find(|(key, _)| key.strip_prefix('_') == Some(bare)).map(|(_, value)| value)
}

/// Text as it is, all else as JSON.
pub fn plain(json: &Json) -> String {
    match json {
        Json::Text(text) => text.to_string(),
        _ => json.to_string(),
    }
}

/// Whether a value has what a pattern has (FHIR R4 ElementDefinition.pattern): members of it, and of its lists each item.
pub fn matches_pattern(json: &Json, pattern: &Json) -> bool {
    match (json, pattern) {
        (Json::Object(object), Json::Object(pattern)) => pattern
            .iter()
            .all(|(key, value)| object.get(key).is_some_and(|found| matches_pattern(found, value))),
        (Json::List(list), Json::List(pattern)) => {
            pattern.iter().all(|value| list.iter().any(|item| matches_pattern(item, value)))
        }
        _ => json_equal(json, pattern, false),
    }
}
