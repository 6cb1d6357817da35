//! Code systems and value sets as loaded: membership, as far as what is loaded tells.

use crate::fhirpath::Json;
use std::collections::{HashMap, HashSet};

#[derive(Default)]
pub struct Terminology {
    systems: HashMap<Box<str>, CodeSystem>,
    sets: HashMap<Box<str>, ValueSet>,
}

struct CodeSystem {
    version: Option<Box<str>>,
    /// Whether all its codes are here (`content`: `complete`).
    complete: bool,
    /// Code → the code above it, its displays.
    concepts: HashMap<Box<str>, Concept>,
}

struct Concept {
    above: Option<Box<str>>,
    display: Option<Box<str>>,
}

struct ValueSet {
    version: Option<Box<str>>,
    include: Vec<Part>,
    exclude: Vec<Part>,
    /// Worked out when everything was loaded: per system the codes; `None` where not all of it is known.
    expanded: Option<HashMap<Box<str>, HashSet<Box<str>>>>,
}

#[derive(Clone)]
struct Part {
    system: Option<Box<str>>,
    codes: Option<Vec<Box<str>>>,
    /// property, op, value
    filters: Vec<(Box<str>, Box<str>, Box<str>)>,
    sets: Vec<Box<str>>,
}

type Codes = HashMap<Box<str>, HashSet<Box<str>>>;

/// Value sets of value sets of value sets: no published one goes deeper than two.
const MAX_NESTING: usize = 8;

impl Terminology {
    /// Takes a CodeSystem or a ValueSet; of several of one URL the first stays.
    pub fn add(&mut self, json: &Json) {
        let Some(url) = json.str("url") else { return };
        let version = json.str("version").map(Into::into);
        match json.str("resourceType") {
            Some("CodeSystem") => {
                let mut concepts = HashMap::new();
                read_concepts(json.items("concept"), None, &mut concepts);
                let complete = json.str("content") == Some("complete") && !concepts.is_empty();
                self.systems.entry(url.into()).or_insert(CodeSystem { version, complete, concepts });
            }
            Some("ValueSet") => {
                let parts = |name| {
                    json.at(&["compose", name])
                        .and_then(Json::as_list)
                        .unwrap_or_default()
                        .iter()
                        .map(part)
                        .collect()
                };
                let set = ValueSet {
                    version,
                    include: parts("include"),
                    exclude: parts("exclude"),
                    expanded: None,
                };
                self.sets.entry(url.into()).or_insert(set);
            }
            _ => {}
        }
    }

    /// Works out what each value set holds, when all is loaded.
    pub fn expand(&mut self) {
        let expanded: Vec<(Box<str>, Option<Codes>)> =
            self.sets.keys().map(|url| (url.clone(), self.expansion(url, 0))).collect();
        for (url, codes) in expanded {
            if let Some(set) = self.sets.get_mut(&url) {
                set.expanded = codes;
            }
        }
    }

    fn expansion(&self, url: &str, depth: usize) -> Option<Codes> {
        if depth > MAX_NESTING {
            return None;
        }
        let set = self.sets.get(url)?;
        let mut codes = Codes::new();
        for part in &set.include {
            for (system, found) in self.part(part, depth)? {
                codes.entry(system).or_default().extend(found);
            }
        }
        for part in &set.exclude {
            for (system, found) in self.part(part, depth)? {
                if let Some(codes) = codes.get_mut(&system) {
                    codes.retain(|code| !found.contains(code));
                }
            }
        }
        Some(codes)
    }

    fn part(&self, part: &Part, depth: usize) -> Option<Codes> {
        let mut codes = Codes::new();
        if let Some(system) = &part.system {
            let found = match &part.codes {
                Some(listed) => listed.iter().cloned().collect(),
                None => self.systems.get(system).filter(|s| s.complete)?.filtered(&part.filters)?,
            };
            codes.insert(system.clone(), found);
        }
        for (i, set) in part.sets.iter().enumerate() {
            let other = self.expansion(unversioned(set), depth + 1)?;
            if i == 0 && part.system.is_none() {
                codes = other;
                continue;
            }
            // Parts of one include narrow one another (FHIR R4 4.9.7).
            codes.retain(|system, _| other.contains_key(system));
            for (system, codes) in &mut codes {
                codes.retain(|code| other.get(system).is_some_and(|o| o.contains(code)));
            }
        }
        Some(codes)
    }

    /// Whether the set holds the code; `None` where not all of the set is loaded. Without a system, in any of its systems.
    pub fn member_of(&self, value_set: &str, system: Option<&str>, code: &str) -> Option<bool> {
        let (url, version) = value_set.split_once('|').map_or((value_set, None), |(u, v)| (u, Some(v)));
        let set = self.sets.get(url)?;
        if version.is_some() && set.version.as_deref() != version {
            return None;
        }
        let codes = set.expanded.as_ref()?;
        Some(match system {
            Some(system) => codes.get(system).is_some_and(|codes| codes.contains(code)),
            None => codes.values().any(|codes| codes.contains(code)),
        })
    }

    /// Whether a complete code system has the code; `None` where it is not loaded whole.
    pub fn has_code(&self, system: &str, code: &str) -> Option<bool> {
        self.systems.get(system).filter(|s| s.complete).map(|s| s.concepts.contains_key(code))
    }

    /// The display the code system gives.
    pub fn display(&self, system: &str, code: &str) -> Option<&str> {
        self.systems.get(system)?.concepts.get(code)?.display.as_deref()
    }

    pub fn counts(&self) -> (usize, usize) {
        (self.systems.len(), self.sets.len())
    }

    /// Sets whose codes are all known.
    pub fn expanded(&self) -> usize {
        self.sets.values().filter(|s| s.expanded.is_some()).count()
    }

    pub fn system_version(&self, url: &str) -> Option<&str> {
        self.systems.get(url)?.version.as_deref()
    }
}

impl CodeSystem {
    /// `None` for a filter that is not known here.
    fn filtered(&self, filters: &[(Box<str>, Box<str>, Box<str>)]) -> Option<HashSet<Box<str>>> {
        let mut codes: HashSet<Box<str>> = self.concepts.keys().cloned().collect();
        for (property, op, value) in filters {
            if &**property != "concept" {
                return None;
            }
            match &**op {
                "is-a" => codes.retain(|code| code == value || self.below(code, value)),
                // The publication spells it so (FHIR R4 4.8.14 has `descendent-of`).
                "descendent-of" | "descendant-of" => codes.retain(|code| self.below(code, value)),
                "is-not-a" => codes.retain(|code| code != value && !self.below(code, value)),
                "in" => codes.retain(|code| value.split(',').any(|v| v.trim() == &**code)),
                _ => return None,
            }
        }
        Some(codes)
    }

    fn below(&self, code: &str, ancestor: &str) -> bool {
        let mut here = code;
        // A loop in a code system ends where every code was seen.
        for _ in 0..self.concepts.len() {
            match self.concepts.get(here).and_then(|c| c.above.as_deref()) {
                Some(above) if above == ancestor => return true,
                Some(above) => here = above,
                None => return false,
            }
        }
        false
    }
}

fn read_concepts(list: &[Json], above: Option<&str>, out: &mut HashMap<Box<str>, Concept>) {
    for concept in list {
        let Some(code) = concept.str("code") else { continue };
        let entry = Concept { above: above.map(Into::into), display: concept.str("display").map(Into::into) };
        out.insert(code.into(), entry);
        read_concepts(concept.items("concept"), Some(code), out);
    }
}

fn part(json: &Json) -> Part {
    let text = |json: &Json, name: &str| json.str(name).unwrap_or_default().into();
    Part {
        system: json.str("system").map(Into::into),
        codes: json
            .get("concept")
            .and_then(Json::as_list)
            .map(|list| list.iter().filter_map(|c| c.str("code")).map(Into::into).collect()),
        filters: json
            .items("filter")
            .iter()
            .map(|f| (text(f, "property"), text(f, "op"), text(f, "value")))
            .collect(),
        sets: json.items("valueSet").iter().filter_map(Json::as_str).map(Into::into).collect(),
    }
}

/// A canonical without `|version`.
pub fn unversioned(canonical: &str) -> &str {
    canonical.split_once('|').map_or(canonical, |(url, _)| url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_worked_out() {
        let mut terms = Terminology::default();
        for text in [
            r#"{"resourceType":"CodeSystem","url":"s","content":"complete","concept":[{"code":"a","concept":[{"code":"b"},{"code":"c"}]},{"code":"d"}]}"#,
            r#"{"resourceType":"CodeSystem","url":"part","content":"fragment","concept":[{"code":"x"}]}"#,
            r#"{"resourceType":"ValueSet","url":"below","version":"1","compose":{"include":[{"system":"s","filter":[{"property":"concept","op":"descendent-of","value":"a"}]}],"exclude":[{"system":"s","concept":[{"code":"c"}]}]}}"#,
            r#"{"resourceType":"ValueSet","url":"both","compose":{"include":[{"valueSet":["below"]},{"system":"s","concept":[{"code":"d"}]}]}}"#,
            r#"{"resourceType":"ValueSet","url":"open","compose":{"include":[{"system":"part"}]}}"#,
        ] {
            terms.add(&Json::parse(text.as_bytes()).unwrap());
        }
        terms.expand();
        assert_eq!(terms.member_of("below", Some("s"), "b"), Some(true));
        assert_eq!(terms.member_of("below|1", Some("s"), "c"), Some(false));
        assert_eq!(terms.member_of("below|2", Some("s"), "b"), None);
        assert_eq!(terms.member_of("both", None, "d"), Some(true));
        assert_eq!(terms.member_of("both", Some("s"), "a"), Some(false));
        assert_eq!(terms.member_of("open", Some("part"), "x"), None);
        assert_eq!(terms.member_of("nowhere", None, "x"), None);
        assert_eq!(terms.has_code("s", "z"), Some(false));
    }
}
