//! Profiles made ready to be held against: the elements of a snapshot as a tree, expressions parsed, slices with what
//! tells them apart (FHIR R4 5.1).

use super::base::base;
use super::package::{Definitions, LoadError};
use super::terminology::unversioned;
use crate::fhirpath::r4::{self, Type, TypeId};
use crate::fhirpath::{Expression, Json};
use std::collections::HashMap;

/// All profiles loaded.
pub struct Profiles {
    list: Vec<Profile>,
    by_url: HashMap<Box<str>, Vec<usize>>,
    /// Expressions that are none: they are said, and nothing else fails for them.
    pub unreadable: Vec<Unreadable>,
}

#[derive(Clone, Debug)]
pub struct Unreadable {
    pub profile: String,
    pub element: String,
    pub key: String,
    pub why: String,
}

pub struct Profile {
    pub url: Box<str>,
    pub version: Option<Box<str>>,
    /// `name#version` of its package.
    pub origin: String,
    pub package: usize,
    pub of: TypeId,
    pub root: Elem,
}

#[derive(Default)]
pub struct Elem {
    /// Without `[x]`.
    pub name: Box<str>,
    /// As the snapshot has it.
    pub id: Box<str>,
    pub slice: Option<Box<str>>,
    pub min: u32,
    pub max: Option<u32>,
    pub types: Vec<TypeRef>,
    pub fixed: Option<Json>,
    pub pattern: Option<Json>,
    pub binding: Option<Binding>,
    pub max_length: Option<usize>,
    pub constraints: Vec<Constraint>,
    pub slicing: Option<Slicing>,
    pub children: Vec<Elem>,
    pub slices: Vec<Elem>,
    /// The path of the element whose children it shares (`contentReference`).
    pub content: Option<Box<str>>,
    /// Of a slice: what of an element says that it is of it. One list per discriminator.
    pub tests: Vec<Test>,
}

pub struct TypeRef {
    pub code: Box<str>,
    pub profiles: Vec<Box<str>>,
    pub targets: Vec<Box<str>>,
}

pub struct Binding {
    pub strength: Strength,
    pub value_set: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    Required,
    Extensible,
}

pub struct Constraint {
    pub key: Box<str>,
    pub is_error: bool,
    pub text: Box<str>,
    pub expression: Expression,
}

pub struct Slicing {
    pub discriminators: Vec<Discriminator>,
    pub rules: SlicingRules,
    pub ordered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlicingRules {
    Open,
    OpenAtEnd,
    Closed,
}

pub struct Discriminator {
    pub kind: DiscriminatorKind,
    pub path: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscriminatorKind {
    Value,
    Exists,
    Type,
    Profile,
}

/// What one discriminator asks of an element of a slice.
pub struct Test {
    pub steps: Vec<Step>,
    pub asks: Ask,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Child(Box<str>),
    Extension(Box<str>),
    Resolve,
}

pub enum Ask {
    /// All of them: value (fixed or pattern) at steps below.
    Values(Vec<(Vec<Step>, Json, bool)>),
    /// In the value set.
    Member(Box<str>),
    Present(bool),
    Types(Vec<Box<str>>),
    Profiles(Vec<Box<str>>),
}

// === impl Profiles ===

impl Profiles {
    pub fn build(definitions: &Definitions) -> Result<Self, LoadError> {
        let mut me = Self { list: vec![], by_url: HashMap::new(), unreadable: vec![] };
        for (url, editions) in &definitions.structures {
            for structure in editions {
                let json = &structure.json;
                // Logical models and FHIR's own definitions are no profiles of a type known here.
                let Some(of) = json.str("type").and_then(|name| r4::table().find(name)) else { continue };
                if json.str("derivation") != Some("constraint") {
                    continue;
                }
                let elements = json.at(&["snapshot", "element"]).and_then(Json::as_list).unwrap_or_default();
                if elements.is_empty() {
                    return Err(LoadError::NoSnapshot { url: url.to_string() });
                }
                let root = me.tree(url, elements)?;
                me.by_url.entry(url.clone()).or_default().push(me.list.len());
                me.list.push(Profile {
                    url: url.clone(),
                    version: json.str("version").map(Into::into),
                    origin: definitions.origin(structure),
                    package: structure.package,
                    of: of.id,
                    root,
                });
            }
        }
        me.link();
        Ok(me)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.list.iter()
    }

    /// The profile a canonical names: of that version where it names one, else of `package`, else the first loaded.
    /// A version nobody loaded is read as the one that is.
    pub fn find(&self, canonical: &str, package: Option<usize>) -> Option<&Profile> {
        let (url, version) = canonical.split_once('|').map_or((canonical, None), |(url, v)| (url, Some(v)));
        let editions: Vec<&Profile> = self.by_url.get(url)?.iter().map(|i| &self.list[*i]).collect();
        let of_version = editions.iter().find(|p| {
            version.is_some() && p.version.as_deref() == version && package.is_none_or(|at| at == p.package)
        });
        of_version
            .or_else(|| editions.iter().find(|p| package == Some(p.package)))
            .or(editions.first())
            .copied()
    }

    fn tree(&mut self, url: &str, elements: &[Json]) -> Result<Elem, LoadError> {
        let mut root = Elem::default();
        for (i, json) in elements.iter().enumerate() {
            let id = json.str("id").or(json.str("path")).unwrap_or_default();
            let fail = |what: &str| LoadError::Definition {
                url: url.to_owned(),
                element: id.to_owned(),
                what: what.to_owned(),
            };
            let mut segments = id.split('.');
            segments.next();
            let elem = self.elem(url, id, json);
            let steps: Vec<&str> = segments.collect();
            let Some((last, parents)) = steps.split_last() else {
                if i > 0 {
                    return Err(fail("a second root"));
                }
                root = elem;
                continue;
            };
            let mut here = &mut root;
            for step in parents {
                here = descend(here, step).ok_or_else(|| fail("stands before its parent"))?;
            }
            let (name, slice) = segment(last);
            let mut elem = elem;
            elem.name = name.into();
            match slice {
                None => here.children.push(elem),
                Some(slice) => {
                    elem.slice = Some(slice.into());
                    match here.children.iter_mut().find(|c| *c.name == *name) {
                        Some(child) => child.slices.push(elem),
                        None => return Err(fail("a slice without its element")),
                    }
                }
            }
        }
        Ok(root)
    }

    fn elem(&mut self, url: &str, id: &str, json: &Json) -> Elem {
        let mut constraints = vec![];
        for constraint in json.items("constraint") {
            let (Some(key), Some(text)) = (constraint.str("key"), constraint.str("expression")) else {
                continue;
            };
            // FHIR's own are checked at every element, whatever its profile.
            if base().has(key) {
                continue;
            }
            match Expression::parse(text) {
                Ok(expression) => constraints.push(Constraint {
                    key: key.into(),
                    is_error: constraint.str("severity") != Some("warning"),
                    text: constraint.str("human").unwrap_or_default().into(),
                    expression,
                }),
                Err(e) => self.unreadable.push(Unreadable {
                    profile: url.to_owned(),
                    element: id.to_owned(),
                    key: key.to_owned(),
                    why: e.to_string(),
                }),
            }
        }
        let value = |prefix: &str| {
            json.as_object()?
                .iter()
                .find(|(name, _)| name.starts_with(prefix))
                .map(|(_, value)| value.clone())
        };
        let number = |name: &str| match json.get(name) {
            Some(Json::Number(n)) => n.parse().ok(),
            _ => None,
        };
        let list = |json: &Json, name: &str| {
            json.items(name).iter().filter_map(Json::as_str).map(Into::into).collect()
        };
        Elem {
            id: id.into(),
            min: number("min").unwrap_or(0),
            max: json.str("max").and_then(|max| max.parse().ok()),
            types: json
                .items("type")
                .iter()
                .filter_map(|t| {
                    Some(TypeRef {
                        code: t.str("code")?.into(),
                        profiles: list(t, "profile"),
                        targets: list(t, "targetProfile"),
                    })
                })
                .filter(|t| !t.code.starts_with("http://hl7.org/fhirpath/"))
                .collect(),
            fixed: value("fixed"),
            pattern: value("pattern"),
            binding: json.get("binding").and_then(|b| {
                let strength = match b.str("strength")? {
                    "required" => Strength::Required,
                    "extensible" => Strength::Extensible,
                    _ => return None,
                };
                Some(Binding { strength, value_set: b.str("valueSet")?.into() })
            }),
            max_length: number("maxLength").and_then(|n| usize::try_from(n).ok()),
            constraints,
            slicing: json.get("slicing").map(slicing),
            content: json.str("contentReference").map(|c| c.rsplit('#').next().unwrap_or(c).into()),
            ..Elem::default()
        }
    }

    /// Works out what tells slices apart, which may stand in other profiles (the url of an extension).
    fn link(&mut self) {
        let mut done: Vec<(usize, Vec<usize>, Vec<Test>)> = vec![];
        for (i, profile) in self.list.iter().enumerate() {
            let mut at = vec![];
            self.tests_below(profile, &profile.root, &mut at, &mut |at, tests| {
                done.push((i, at.to_vec(), tests))
            });
        }
        for (i, at, tests) in done {
            if let Some(elem) = reach(&mut self.list[i].root, &at) {
                elem.tests = tests;
            }
        }
    }

    /// `at`: alternately a child's place and 0, or a slice's place plus one.
    fn tests_below(
        &self,
        profile: &Profile,
        elem: &Elem,
        at: &mut Vec<usize>,
        found: &mut dyn FnMut(&[usize], Vec<Test>),
    ) {
        for (c, child) in elem.children.iter().enumerate() {
            at.extend([c, 0]);
            self.tests_below(profile, child, at, found);
            at.truncate(at.len() - 2);
            let discriminators =
                child.slicing.as_ref().map(|s| s.discriminators.as_slice()).unwrap_or_default();
            for (s, slice) in child.slices.iter().enumerate() {
                at.extend([c, s + 1]);
                let tests = discriminators.iter().filter_map(|d| self.test(profile, slice, d)).collect();
                found(at, tests);
                self.tests_below(profile, slice, at, found);
                at.truncate(at.len() - 2);
            }
        }
    }

    fn test(&self, profile: &Profile, slice: &Elem, discriminator: &Discriminator) -> Option<Test> {
        let steps = steps(&discriminator.path)?;
        let target = self.walk(profile, slice, &steps);
        let types = || target.iter().flat_map(|e| &e.types);
        let asks = match discriminator.kind {
            DiscriminatorKind::Type => Ask::Types(types().map(|t| t.code.clone()).collect()),
            DiscriminatorKind::Profile => {
                let resolves = steps.contains(&Step::Resolve);
                let of = |t: &TypeRef| if resolves { t.targets.clone() } else { t.profiles.clone() };
                Ask::Profiles(types().flat_map(of).collect())
            }
            DiscriminatorKind::Exists => Ask::Present(target.first().is_none_or(|e| e.max != Some(0))),
            DiscriminatorKind::Value => {
                let mut values = vec![];
                for elem in &target {
                    gather(elem, &mut vec![], &mut values);
                }
                match target.iter().find_map(|e| e.binding.as_ref()) {
                    Some(binding) if values.is_empty() && binding.strength == Strength::Required => {
                        Ask::Member(binding.value_set.clone())
                    }
                    _ if values.is_empty() => return None,
                    _ => Ask::Values(values),
                }
            }
        };
        Some(Test { steps, asks })
    }

    /// The elements of a slice, and of the profiles its type names, that a path leads to. A step to what a reference
    /// resolves to stays at the reference: its targets tell.
    fn walk<'s>(&'s self, profile: &'s Profile, elem: &'s Elem, path: &[Step]) -> Vec<&'s Elem> {
        let mut here = vec![elem];
        for step in path {
            let mut next = vec![];
            for elem in here {
                match step {
                    Step::Resolve => next.push(elem),
                    Step::Child(name) => {
                        let own = elem.children.iter().find(|c| c.name == *name);
                        let typed = || {
                            elem.types.iter().flat_map(|t| &t.profiles).filter_map(|url| {
                                let root = &self.find(url, Some(profile.package))?.root;
                                root.children.iter().find(|c| c.name == *name)
                            })
                        };
                        match own {
                            Some(child) => next.push(child),
                            None => next.extend(typed()),
                        }
                    }
                    Step::Extension(url) => {
                        let slices =
                            elem.children.iter().filter(|c| &*c.name == "extension").flat_map(|c| &c.slices);
                        next.extend(slices.filter(|s| {
                            s.types.iter().any(|t| t.profiles.iter().any(|p| unversioned(p) == &**url))
                        }));
                    }
                }
            }
            here = next;
        }
        here
    }
}

fn descend<'e>(elem: &'e mut Elem, step: &str) -> Option<&'e mut Elem> {
    let (name, slice) = segment(step);
    let child = elem.children.iter_mut().find(|c| *c.name == *name)?;
    match slice {
        None => Some(child),
        Some(slice) => child.slices.iter_mut().find(|s| s.slice.as_deref() == Some(slice)),
    }
}

fn reach<'e>(elem: &'e mut Elem, at: &[usize]) -> Option<&'e mut Elem> {
    let mut here = elem;
    for pair in at.chunks(2) {
        let child = here.children.get_mut(*pair.first()?)?;
        here = match *pair.get(1)? {
            0 => child,
            slice => child.slices.get_mut(slice - 1)?,
        };
    }
    Some(here)
}

/// `value[x]:valueQuantity`: `value` and its slice.
fn segment(text: &str) -> (&str, Option<&str>) {
    let (name, slice) = text.split_once(':').map_or((text, None), |(name, slice)| (name, Some(slice)));
    (name.strip_suffix("[x]").unwrap_or(name), slice)
}

fn slicing(json: &Json) -> Slicing {
    Slicing {
        discriminators: json
            .items("discriminator")
            .iter()
            .filter_map(|d| {
                let kind = match d.str("type")? {
                    "value" | "pattern" => DiscriminatorKind::Value,
                    "exists" => DiscriminatorKind::Exists,
                    "type" => DiscriminatorKind::Type,
                    "profile" => DiscriminatorKind::Profile,
                    _ => return None,
                };
                Some(Discriminator { kind, path: d.str("path")?.into() })
            })
            .collect(),
        rules: match json.str("rules") {
            Some("closed") => SlicingRules::Closed,
            Some("openAtEnd") => SlicingRules::OpenAtEnd,
            _ => SlicingRules::Open,
        },
        ordered: json.get("ordered") == Some(&Json::Bool(true)),
    }
}

/// A discriminator's path (FHIR R4 5.1.0.8: element selections, `extension(url)`, `resolve()`, `ofType(type)`).
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut steps = vec![];
    let mut rest = path.trim();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("extension(") {
            let (url, after) = after.split_once(')')?;
            steps.push(Step::Extension(url.trim_matches(['\'', '"']).into()));
            rest = after.strip_prefix('.').unwrap_or(after);
            continue;
        }
        let (step, after) = rest.split_once('.').unwrap_or((rest, ""));
        rest = after;
        match step {
            "$this" => {}
            "resolve()" => steps.push(Step::Resolve),
            _ if step.starts_with("ofType(") => {}
            _ => steps.push(Step::Child(step.strip_suffix("[x]").unwrap_or(step).into())),
        }
    }
    Some(steps)
}

/// Fixed values and patterns at an element and below it.
fn gather(elem: &Elem, at: &mut Vec<Step>, out: &mut Vec<(Vec<Step>, Json, bool)>) {
    if let Some(fixed) = &elem.fixed {
        out.push((at.clone(), fixed.clone(), true));
    }
    if let Some(pattern) = &elem.pattern {
        out.push((at.clone(), pattern.clone(), false));
    }
    for child in &elem.children {
        at.push(Step::Child(child.name.clone()));
        gather(child, at, out);
        at.pop();
    }
}

impl Profile {
    pub fn type_of(&self) -> &'static Type {
        r4::table().get(self.of)
    }

    /// The element whose path (without slices) a `contentReference` names.
    pub fn content(&self, path: &str) -> Option<&Elem> {
        path.split('.')
            .skip(1)
            .try_fold(&self.root, |elem, name| elem.children.iter().find(|c| *c.name == *name))
    }
}

impl Elem {
    /// Whether there is anything below it to hold an element against.
    pub fn is_bare(&self) -> bool {
        self.children.is_empty() && self.content.is_none()
    }
}
