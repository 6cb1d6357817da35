//! FHIR R4's types as a table: what elements a type has, of what types, how many. Read once from `types.txt`.
//!
//! A *part* is an element with elements of its own (`Bundle.entry`), a type that has no name elsewhere.

use std::collections::HashMap;
use std::sync::OnceLock;

const TEXT: &str = include_str!("types.txt");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Primitive,
    Type,
    Part,
    Resource,
}

/// A type by its place in the table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TypeId(u16);

pub struct Type {
    pub id: TypeId,
    /// `Patient`, `Bundle.entry`, `string`.
    pub name: &'static str,
    pub base: Option<TypeId>,
    pub kind: Kind,
    pub is_abstract: bool,
    /// Own and inherited, in the order of the definitions.
    pub elements: Vec<Element>,
    /// JSON member → element and which of its types, sorted by name.
    keys: Vec<(Box<str>, u16, u16)>,
}

pub struct Element {
    /// Without `[x]`.
    pub name: &'static str,
    pub is_choice: bool,
    pub min: u32,
    /// `None`: any number.
    pub max: Option<u32>,
    pub types: Vec<ElementType>,
    /// The required value set's name below `http://hl7.org/fhir/ValueSet/`.
    pub value_set: Option<&'static str>,
}

pub struct ElementType {
    pub id: TypeId,
    /// Resource types a Reference may name; none: any.
    pub targets: Vec<&'static str>,
}

pub struct Table {
    types: Vec<Type>,
    by_name: HashMap<&'static str, TypeId>,
}

/// The types `value[x]` of an Extension may be of, and every other element open to all (FHIR R4 2.4.0.2).
const OPEN: &str = "base64Binary boolean canonical code date dateTime decimal id instant integer markdown oid positiveInt \
    string time unsignedInt uri url uuid Address Age Annotation Attachment CodeableConcept Coding ContactPoint Count \
    Distance Duration HumanName Identifier Money Period Quantity Range Ratio Reference SampledData Signature Timing \
    ContactDetail Contributor DataRequirement Expression ParameterDefinition RelatedArtifact TriggerDefinition \
    UsageContext Dosage Meta";

/// FHIR R4 (4.0.1).
pub fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| Table::read(TEXT))
}

impl Table {
    fn read(text: &'static str) -> Self {
        let lines = || text.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
        let heads: Vec<Vec<&str>> =
            lines().filter(|l| !l.starts_with(' ')).map(|l| l.split(' ').collect()).collect();
        let by_name: HashMap<&str, TypeId> =
            heads.iter().zip(0..).map(|(head, i)| (head[0], TypeId(i))).collect();
        let mut own: Vec<Vec<Element>> = vec![];
        for line in lines() {
            match line.strip_prefix("  ") {
                None => own.push(vec![]),
                Some(rest) => {
                    if let (Some(list), Some(element)) = (own.last_mut(), element(rest, &by_name)) {
                        list.push(element);
                    }
                }
            }
        }
        let mut own: Vec<Option<Vec<Element>>> = own.into_iter().map(Some).collect();
        let base_of = |head: &Vec<&str>| head.get(2).and_then(|name| by_name.get(name)).copied();
        let mut types: Vec<Type> = vec![];
        // A base stands before what is made of it, except that parts may come before their relatives.
        let mut elements: Vec<Option<Vec<Element>>> = heads.iter().map(|_| None).collect();
        for _ in 0..heads.len() {
            let mut moved = false;
            for (i, head) in heads.iter().enumerate() {
                if elements[i].is_some() {
                    continue;
                }
                let inherited = match base_of(head) {
                    None => Some(vec![]),
                    Some(base) => elements[base.0 as usize]
                        .as_ref()
                        .map(|list| list.iter().map(Element::copy).collect()),
                };
                if let Some(mut list) = inherited {
                    list.extend(own[i].take().unwrap_or_default());
                    elements[i] = Some(list);
                    moved = true;
                }
            }
            if !moved {
                break;
            }
        }
        for ((i, head), elements) in (0..).zip(&heads).zip(elements) {
            let kind = match head.get(3).copied() {
                Some("primitive") => Kind::Primitive,
                Some("resource") => Kind::Resource,
                Some("part") => Kind::Part,
                _ => Kind::Type,
            };
            types.push(Type {
                id: TypeId(i),
                name: head[0],
                base: base_of(head),
                kind,
                is_abstract: head.contains(&"abstract"),
                keys: vec![],
                elements: elements.unwrap_or_default(),
            });
        }
        for i in 0..types.len() {
            let mut keys = vec![];
            for (e, element) in (0..).zip(&types[i].elements) {
                for (t, of) in (0..).zip(&element.types) {
                    let key = if element.is_choice {
                        choice_key(element.name, types[of.id.0 as usize].name)
                    } else {
                        element.name.into()
                    };
                    keys.push((key, e, t));
                }
            }
            keys.sort();
            keys.dedup_by(|a, b| a.0 == b.0);
            types[i].keys = keys;
        }
        Self { types, by_name }
    }

    pub fn get(&self, id: TypeId) -> &Type {
        &self.types[id.0 as usize]
    }

    pub fn find(&self, name: &str) -> Option<&Type> {
        self.by_name.get(name).map(|id| self.get(*id))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Type> {
        self.types.iter()
    }

    /// The resource type of that name; abstract ones are none.
    pub fn resource(&self, name: &str) -> Option<&Type> {
        self.find(name).filter(|t| t.kind == Kind::Resource && !t.is_abstract)
    }

    /// Whether `id` is `name` or made of it.
    pub fn is_a(&self, id: TypeId, name: &str) -> bool {
        let mut here = Some(id);
        while let Some(at) = here {
            let of = self.get(at);
            if of.name == name {
                return true;
            }
            here = of.base;
        }
        false
    }
}

impl Type {
    /// The element a JSON member belongs to, and the type that the member's name says. `key` without a leading `_`.
    pub fn member(&self, key: &str) -> Option<(&Element, &ElementType)> {
        let at = self.keys.binary_search_by(|(name, _, _)| (**name).cmp(key)).ok()?;
        let (_, element, of) = &self.keys[at];
        let element = self.elements.get(*element as usize)?;
        Some((element, element.types.get(*of as usize)?))
    }

    /// The element of that name, a choice without `[x]`.
    pub fn element(&self, name: &str) -> Option<&Element> {
        self.elements.iter().find(|e| e.name == name)
    }
}

impl Element {
    fn copy(&self) -> Self {
        Self {
            types: self.types.iter().map(|t| ElementType { id: t.id, targets: t.targets.clone() }).collect(),
            ..*self
        }
    }
}

/// `value` and `dateTime`: `valueDateTime`.
pub fn choice_key(element: &str, of: &str) -> Box<str> {
    let mut key = String::with_capacity(element.len() + of.len());
    key.push_str(element);
    let mut rest = of.chars();
    if let Some(first) = rest.next() {
        key.push(first.to_ascii_uppercase());
    }
    key.push_str(rest.as_str());
    key.into()
}

fn element(line: &'static str, names: &HashMap<&str, TypeId>) -> Option<Element> {
    let mut words = line.split(' ');
    let (name, cardinality, types) = (words.next()?, words.next()?, words.next()?);
    let value_set = words.next().and_then(|w| w.strip_prefix('!'));
    let (min, max) = cardinality.split_once("..")?;
    let types =
        if types == "*" { OPEN.split_whitespace().collect() } else { types.split('|').collect::<Vec<_>>() };
    let types = types
        .into_iter()
        .filter_map(|of| {
            let of = of.strip_prefix('@').unwrap_or(of);
            let (of, targets) = of.split_once('(').unwrap_or((of, ""));
            let targets = targets.trim_end_matches(')').split(',').filter(|t| !t.is_empty()).collect();
            Some(ElementType { id: *names.get(of)?, targets })
        })
        .collect();
    Some(Element {
        name: name.strip_suffix("[x]").unwrap_or(name),
        is_choice: name.ends_with("[x]"),
        min: min.parse().ok()?,
        max: max.parse().ok(),
        types,
        value_set,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read() {
        let table = table();
        let lines = TEXT.lines().filter(|l| l.starts_with("  ")).count();
        let own: usize =
            table.iter().map(|t| t.elements.len() - t.base.map_or(0, |b| table.get(b).elements.len())).sum();
        assert_eq!(own, lines);
        for of in table.iter() {
            for element in &of.elements {
                assert!(!element.types.is_empty(), "{}.{} has no type", of.name, element.name);
            }
        }
    }

    #[test]
    fn choices_and_parts() {
        let table = table();
        let observation = table.resource("Observation").unwrap();
        let (element, of) = observation.member("valueQuantity").unwrap();
        assert_eq!((element.name, table.get(of.id).name), ("value", "Quantity"));
        let bundle = table.resource("Bundle").unwrap();
        let (_, entry) = bundle.member("entry").unwrap();
        let (_, link) = table.get(entry.id).member("link").unwrap();
        assert_eq!(table.get(link.id).name, "Bundle.link");
        assert!(table.is_a(table.find("Age").unwrap().id, "Quantity"));
        assert!(table.find("positiveInt").is_some_and(|t| table.is_a(t.id, "integer")));
        assert!(table.resource("DomainResource").is_none());
        assert_eq!(
            table.find("Extension").unwrap().element("value").unwrap().types.len(),
            OPEN.split_whitespace().count()
        );
    }
}
