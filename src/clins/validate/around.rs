//! The Bundles a resource stands in: what its references point at.

use crate::clins::check::{Checker, Mode};
use crate::fhirpath::{Json, Node, Surroundings};
use std::cell::RefCell;
use std::collections::HashMap;

pub struct Around<'a> {
    pub checker: &'a Checker,
    pub mode: Mode,
    bundles: Vec<Bundle<'a>>,
    /// Resource (by its place in memory) → Bundle it is an entry of.
    home: HashMap<*const Json, usize>,
    /// What was found of a resource and a profile before.
    pub conforms: RefCell<HashMap<(*const Json, *const str), bool>>,
}

struct Bundle<'a> {
    parent: Option<usize>,
    by_url: HashMap<&'a str, &'a Json>,
    /// `Patient/1`
    by_type: HashMap<String, &'a Json>,
}

/// Bundles in Bundles in Bundles.
const MAX_NESTING: usize = 8;

impl<'a> Around<'a> {
    pub fn new(checker: &'a Checker, mode: Mode, root: &'a Json) -> Self {
        let mut me =
            Self { checker, mode, bundles: vec![], home: HashMap::new(), conforms: RefCell::default() };
        me.index(root, None, 0);
        me
    }

    fn index(&mut self, json: &'a Json, parent: Option<usize>, depth: usize) {
        if json.str("resourceType") != Some("Bundle") || depth > MAX_NESTING {
            return;
        }
        let at = self.bundles.len();
        let mut bundle = Bundle { parent, by_url: HashMap::new(), by_type: HashMap::new() };
        for entry in json.items("entry") {
            let Some(resource) = entry.get("resource") else { continue };
            if let Some(url) = entry.str("fullUrl") {
                bundle.by_url.entry(url).or_insert(resource);
            }
            if let (Some(of), Some(id)) = (resource.str("resourceType"), resource.str("id")) {
                bundle.by_type.entry(format!("{of}/{id}")).or_insert(resource);
            }
            self.home.insert(std::ptr::from_ref(resource), at);
        }
        self.home.insert(std::ptr::from_ref(json), at);
        self.bundles.push(bundle);
        for entry in json.items("entry") {
            if let Some(resource) = entry.get("resource") {
                self.index(resource, Some(at), depth + 1);
            }
        }
        // A nested Bundle is at home in itself for its own entries, and in its parent for what it refers to.
    }

    /// Whether the resource stands in a Bundle at all.
    pub fn in_bundle(&self, owner: Option<&Json>) -> bool {
        owner.is_some_and(|owner| self.home.contains_key(&std::ptr::from_ref(owner)))
    }

    pub fn find(&self, reference: &str, owner: Option<&Json>) -> Option<&'a Json> {
        let reference = reference.split_once('#').map_or(reference, |(head, _)| head);
        let unversioned = reference.split_once("/_history/").map_or(reference, |(head, _)| head);
        let mut here = owner.and_then(|owner| self.home.get(&std::ptr::from_ref(owner))).copied();
        while let Some(at) = here {
            let bundle = self.bundles.get(at)?;
            if let Some(found) = bundle.by_url.get(unversioned).or_else(|| bundle.by_type.get(unversioned)) {
                return Some(found);
            }
            here = bundle.parent;
        }
        None
    }
}

impl<'a> Surroundings<'a> for Around<'a> {
    fn resolve(&self, reference: &str, owner: Option<&'a Json>) -> Option<Node<'a>> {
        self.find(reference, owner).map(Node::resource)
    }

    fn member_of(&self, value_set: &str, system: Option<&str>, code: &str) -> Option<bool> {
        self.checker.member_of(value_set, system, code)
    }

    fn conforms_to(&self, node: &Node<'a>, profile: &str) -> Option<bool> {
        let profile = self.checker.profiles().find(profile, None)?;
        let json = node.json?;
        let key = (std::ptr::from_ref(json), std::ptr::from_ref::<str>(&profile.url));
        if let Some(known) = self.conforms.borrow().get(&key) {
            return Some(*known);
        }
        // Taken as true while it is being found out: profiles refer to one another.
        self.conforms.borrow_mut().insert(key, true);
        let holds = super::Walk::quietly(self, node, profile);
        self.conforms.borrow_mut().insert(key, holds);
        Some(holds)
    }
}
