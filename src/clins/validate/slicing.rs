//! Slices (FHIR R4 5.1.0.7): which slice an element is of, and whether their counts, order and closedness hold.

use super::{Occurrence, Walk, matches_pattern, plain};
use crate::clins::finding::{Rule, shown};
use crate::clins::profile::{Ask, Elem, Profile, SlicingRules, Step, Test};
use crate::clins::terminology::unversioned;
use crate::fhirpath::equality::json_equal;
use crate::fhirpath::functions::contained;
use crate::fhirpath::r4;
use crate::fhirpath::{Item, Json, Node};

impl<'a> Walk<'_, 'a> {
    pub(super) fn slices(
        &mut self,
        child: &'a Elem,
        profile: &'a Profile,
        mine: &[usize],
        there: &mut [Occurrence<'a>],
    ) {
        let Some(slicing) = &child.slicing else { return };
        let mut counts = vec![0_u32; child.slices.len()];
        let mut last = 0;
        for i in mine {
            let occurrence = &mut there[*i];
            let found = child.slices.iter().position(|slice| self.is_of(slice, &occurrence.node));
            let path = match occurrence.index {
                Some(index) => format!("{}.{}[{index}]", self.path, child.name),
                None => format!("{}.{}", self.path, child.name),
            };
            match found {
                Some(at) => {
                    counts[at] += 1;
                    occurrence.bounds.push((&child.slices[at], profile));
                    if slicing.ordered && at < last {
                        let name = child.slices[at].slice.as_deref().unwrap_or_default();
                        self.say(Rule::SliceOrder.at(&path, name).of_profile(Some(&profile.url)));
                    }
                    last = last.max(at);
                }
                None if slicing.rules == SlicingRules::Closed => {
                    let names: Vec<&str> =
                        child.slices.iter().filter_map(|s| s.slice.as_deref()).take(12).collect();
                    let shown = shown_of(&occurrence.node);
                    let finding = Rule::SliceClosed
                        .at(&path, &names.join(", "))
                        .with_value(shown)
                        .of_profile(Some(&profile.url));
                    self.say(finding);
                }
                None => {}
            }
        }
        for (slice, count) in child.slices.iter().zip(counts) {
            let name = slice.slice.as_deref().unwrap_or_default();
            let path = format!("{}.{}", self.path, child.name);
            // Where nothing tells a slice apart, nothing can be counted.
            if slice.tests.is_empty() {
                continue;
            }
            if count < slice.min {
                let detail = format!("{name}: {count} < {}", slice.min);
                let asked = slice.tests.iter().filter_map(asked).collect::<Vec<_>>().join("; ");
                let mut finding = Rule::SliceMin.at(&path, &detail).of_profile(Some(&profile.url));
                if !asked.is_empty() {
                    finding.hint = format!("{} ({asked})", finding.hint);
                    finding.hint_ja = format!("{} ({asked})", finding.hint_ja);
                }
                self.say(finding);
            }
            if slice.max.is_some_and(|max| count > max) {
                let detail = format!("{name}: {count} > {}", slice.max.unwrap_or_default());
                self.say(Rule::SliceMax.at(&path, &detail).of_profile(Some(&profile.url)));
            }
        }
    }

    fn is_of(&self, slice: &Elem, node: &Node<'a>) -> bool {
        !slice.tests.is_empty() && slice.tests.iter().all(|test| self.passes(test, node))
    }

    fn passes(&self, test: &Test, node: &Node<'a>) -> bool {
        let found = self.follow(node, &test.steps);
        match &test.asks {
            Ask::Present(present) => found.is_empty() != *present,
            Ask::Types(types) => found
                .iter()
                .any(|node| node.of.is_some_and(|of| types.iter().any(|t| r4::table().is_a(of.id, t)))),
            Ask::Profiles(profiles) => found.iter().any(|node| self.declares(node, profiles)),
            Ask::Member(set) => {
                found.iter().any(|node| self.bound(node, set).is_some_and(|(found, _)| found))
            }
            Ask::Values(values) => found.iter().any(|node| {
                values.iter().all(|(steps, value, is_fixed)| {
                    self.follow(node, steps).iter().filter_map(|n| n.json).any(|json| {
                        if *is_fixed { json_equal(json, value, false) } else { matches_pattern(json, value) }
                    })
                })
            }),
        }
    }

    fn follow(&self, node: &Node<'a>, steps: &[Step]) -> Vec<Node<'a>> {
        let mut here = vec![*node];
        for step in steps {
            let mut next = vec![];
            for node in &here {
                match step {
                    Step::Child(name) => {
                        let mut items = vec![];
                        node.children(name, &mut items);
                        next.extend(items.iter().filter_map(Item::node).copied());
                    }
                    Step::Extension(url) => {
                        let mut items = vec![];
                        node.children("extension", &mut items);
                        next.extend(
                            items
                                .iter()
                                .filter_map(Item::node)
                                .filter(|n| n.json.and_then(|j| j.str("url")) == Some(&**url))
                                .copied(),
                        );
                    }
                    Step::Resolve => next.extend(self.resolved(node)),
                }
            }
            here = next;
        }
        here
    }

    /// What a Reference points at.
    pub(super) fn resolved(&self, node: &Node<'a>) -> Option<Node<'a>> {
        let reference = node.json?.str("reference")?;
        match reference.strip_prefix('#') {
            Some(id) => contained(node.owner?, id),
            None => self.around.find(reference, node.owner).map(Node::resource),
        }
    }

    /// Whether a resource says that it is of one of the profiles; of FHIR's own, by its type.
    pub(super) fn declares(&self, node: &Node<'a>, profiles: &[Box<str>]) -> bool {
        let Some(json) = node.json else { return false };
        let declared = json.at(&["meta", "profile"]).and_then(Json::as_list).unwrap_or_default();
        profiles.iter().any(|profile| {
            let base = profile.strip_prefix("http://hl7.org/fhir/StructureDefinition/");
            let of_type = |name: &str| {
                self.around
                    .checker
                    .profiles()
                    .find(name, None)
                    .is_none_or(|p| node.of.is_some_and(|of| r4::table().is_a(of.id, p.type_of().name)))
            };
            base.is_some_and(|base| node.is_a(base))
                || declared
                    .iter()
                    .filter_map(Json::as_str)
                    .any(|d| unversioned(d) == unversioned(profile) && of_type(profile))
        })
    }
}

/// What a slice asks for, for a hint.
fn asked(test: &Test) -> Option<String> {
    match &test.asks {
        Ask::Values(values) => {
            Some(values.iter().map(|(_, value, _)| plain(value)).collect::<Vec<_>>().join(", "))
        }
        Ask::Profiles(list) => Some(list.join(", ")),
        Ask::Types(list) => Some(list.join(", ")),
        Ask::Member(set) => Some(set.to_string()),
        Ask::Present(_) => None,
    }
}

/// An element in few words: what tells it apart, never all of it.
fn shown_of(node: &Node<'_>) -> String {
    let Some(json) = node.json else { return String::new() };
    let resource = json.get("resource").unwrap_or(json);
    if let Some(of) = resource.str("resourceType") {
        let profiles: Vec<&str> = resource
            .at(&["meta", "profile"])
            .and_then(Json::as_list)
            .unwrap_or_default()
            .iter()
            .filter_map(Json::as_str)
            .collect();
        return format!("{of} {}", profiles.join(" "));
    }
    shown(&plain(json))
}
