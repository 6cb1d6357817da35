//! References, contained resources and the entries of a Bundle (FHIR R4 2.3, 2.6.9).

use super::{Bound, Walk};
use crate::clins::finding::Rule;
use crate::fhirpath::r4::{self, ElementType};
use crate::fhirpath::value::resource_type;
use crate::fhirpath::{Json, Node, Surroundings};
use std::collections::{HashMap, HashSet};

impl<'a> Walk<'_, 'a> {
    /// A reference leads somewhere, and to a resource that may stand there.
    pub(super) fn reference(&mut self, node: &Node<'a>, of: &ElementType, bounds: &[Bound<'a>]) {
        let Some(reference) = node.json.and_then(|json| json.str("reference")) else { return };
        let Some(target) = self.resolved(node) else {
            let is_local = reference.starts_with("urn:") || !reference.contains("://");
            let finding = if let Some(id) = reference.strip_prefix('#') {
                let mut finding = Rule::RefContained.at(&self.path, id);
                finding.label = Some("ref-1".to_owned());
                finding
            } else if is_local && self.around.in_bundle(node.owner) {
                Rule::RefUnresolved.at(&self.path, "")
            } else {
                return;
            };
            self.say(finding.with_value(reference));
            return;
        };
        let Some(target_type) = target.of else { return };
        let allowed = |name: &str| r4::table().is_a(target_type.id, name);
        if !of.targets.is_empty() && !of.targets.iter().any(|name| allowed(name)) {
            let finding = Rule::RefTarget.at(&self.path, target_type.name).with_value(reference);
            self.say(finding);
            return;
        }
        for &(elem, profile) in bounds {
            let targets: Vec<&str> = elem
                .types
                .iter()
                .filter(|t| &*t.code == "Reference")
                .flat_map(|t| &t.targets)
                .map(|t| &**t)
                .collect();
            if targets.is_empty() {
                continue;
            }
            let profiles = self.around.checker.profiles();
            let type_of = |url: &str| match url.strip_prefix("http://hl7.org/fhir/StructureDefinition/") {
                Some(name) => Some(name.to_owned()),
                None => profiles.find(url, Some(profile.package)).map(|p| p.type_of().name.to_owned()),
            };
            let types: Vec<Option<String>> = targets.iter().map(|url| type_of(url)).collect();
            let by_type: Vec<&str> = targets
                .iter()
                .zip(&types)
                .filter(|(_, of)| of.as_deref().is_none_or(allowed))
                .map(|(url, _)| *url)
                .collect();
            if by_type.is_empty() {
                let finding = Rule::RefTarget
                    .at(&self.path, target_type.name)
                    .with_value(reference)
                    .of_profile(Some(&profile.url));
                self.say(finding);
                continue;
            }
            let boxed: Vec<Box<str>> = by_type.iter().map(|url| (*url).into()).collect();
            // A profile nobody loaded forbids nothing; one the target declares is checked where it stands.
            let open = by_type.iter().any(|url| profiles.find(url, None).is_none());
            if open || self.declares(&target, &boxed) {
                continue;
            }
            if !by_type.iter().any(|url| self.around.conforms_to(&target, url) == Some(true)) {
                let finding = Rule::ReferenceProfile
                    .at(&self.path, &by_type.join(", "))
                    .with_value(reference)
                    .of_profile(Some(&profile.url));
                self.say(finding);
            }
        }
    }

    /// Contained resources have ids of their own and are referred to (dom-3).
    pub(super) fn contained(&mut self, owner: &'a Json) {
        let contained = owner.items("contained");
        if contained.is_empty() {
            return;
        }
        let mut named = HashSet::new();
        let mut seen = HashSet::new();
        local_references(owner, &mut named);
        for (i, resource) in contained.iter().enumerate() {
            let path = format!("{}.contained[{i}]", self.path);
            match resource.str("id") {
                None => self.say(Rule::ContainedId.at(&path, "")),
                Some(id) if !seen.insert(id) => self.say(Rule::ContainedId.at(&path, "").with_value(id)),
                Some(id) => {
                    let mut own = HashSet::new();
                    local_references(resource, &mut own);
                    // One that refers to its container is no orphan either.
                    if !named.contains(id) && !own.contains("") {
                        self.say(Rule::ContainedUnused.at(&path, "").with_value(id));
                    }
                }
            }
        }
    }

    /// No fullUrl twice (bdl-7), unless versions tell.
    pub(super) fn bundle(&mut self, bundle: &'a Json) {
        if bundle.str("type") == Some("history") {
            return;
        }
        let mut seen: HashMap<(&str, Option<&str>), usize> = HashMap::new();
        for (i, entry) in bundle.items("entry").iter().enumerate() {
            let Some(url) = entry.str("fullUrl") else { continue };
            let version = entry.at(&["resource", "meta", "versionId"]).and_then(Json::as_str);
            if seen.insert((url, version), i).is_some() {
                let path = format!("{}.entry[{i}].fullUrl", self.path);
                self.say(Rule::Bdl7.at(&path, "").with_value(url));
            }
        }
    }
}

/// The ids that `#id` references in a resource name.
fn local_references<'a>(json: &'a Json, out: &mut HashSet<&'a str>) {
    match json {
        Json::Object(object) => {
            for (key, value) in object.iter() {
                match value {
                    Json::Text(text) => {
                        if matches!(
                            key,
                            "reference" | "valueUri" | "valueUrl" | "valueCanonical" | "url" | "uri"
                        ) || key.ends_with("Canonical")
                        {
                            out.extend(text.strip_prefix('#'));
                        }
                    }
                    _ => local_references(value, out),
                }
            }
        }
        Json::List(list) => list.iter().for_each(|item| local_references(item, out)),
        _ => {}
    }
}

/// The resource type an entry has, for messages.
pub fn type_name(json: &Json) -> &'static str {
    resource_type(json).map_or("Resource", |of| of.name)
}
