//! What expressions are about: elements of a resource, and values of the System types.

use super::decimal::Decimal;
use super::json::Json;
use super::quantity::Quantity;
use super::r4::{self, Kind, Type};
use super::temporal::{Temporal, TemporalKind};
use std::borrow::Cow;

/// A value of a System type (FHIRPath 2.0 4.1).
#[derive(Clone, Debug)]
pub enum System {
    Boolean(bool),
    Integer(i64),
    Decimal(Decimal),
    String(Box<str>),
    Temporal(Temporal),
    Quantity(Quantity),
}

/// An element where it stands.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    /// The value; `None` for a primitive that has an id or extensions alone.
    pub json: Option<&'a Json>,
    /// The `_member` beside a primitive: its id and extensions (FHIR R4 2.6.2.1).
    pub beside: Option<&'a Json>,
    /// `None` where the definitions do not know the element.
    pub of: Option<&'static Type>,
    /// The resource it stands in; a contained one's container.
    pub owner: Option<&'a Json>,
}

#[derive(Clone)]
pub enum Item<'a> {
    Node(Node<'a>),
    Text(Cow<'a, str>),
    System(System),
    /// What `type()` gives.
    TypeInfo {
        namespace: &'static str,
        name: Cow<'static, str>,
    },
}

pub type Collection<'a> = Vec<Item<'a>>;

static NULL: Json = Json::Null;

// === impl System ===

impl System {
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "Boolean",
            Self::Integer(_) => "Integer",
            Self::Decimal(_) => "Decimal",
            Self::String(_) => "String",
            Self::Quantity(_) => "Quantity",
            Self::Temporal(t) => match t.kind {
                TemporalKind::Date => "Date",
                TemporalKind::DateTime => "DateTime",
                TemporalKind::Time => "Time",
            },
        }
    }

    /// As `toString()` writes it.
    pub fn text(&self) -> String {
        match self {
            Self::Boolean(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Decimal(value) => value.to_string(),
            Self::String(value) => value.to_string(),
            Self::Temporal(value) => value.to_string(),
            Self::Quantity(value) => value.to_string(),
        }
    }

    pub fn decimal(&self) -> Option<Decimal> {
        match self {
            Self::Integer(value) => Some(Decimal::from_int(*value)),
            Self::Decimal(value) => Some(*value),
            _ => None,
        }
    }

    pub fn quantity(&self) -> Option<Cow<'_, Quantity>> {
        match self {
            Self::Quantity(quantity) => Some(Cow::Borrowed(quantity)),
            _ => self.decimal().map(|value| Cow::Owned(Quantity::new(value, "1"))),
        }
    }
}

// === impl Node ===

impl<'a> Node<'a> {
    /// A resource with nothing around it.
    pub fn resource(json: &'a Json) -> Self {
        Self { json: Some(json), beside: None, of: resource_type(json), owner: Some(json) }
    }

    pub fn type_name(&self) -> &'static str {
        self.of.map_or("Element", |of| of.name)
    }

    pub fn is_a(&self, name: &str) -> bool {
        self.of.is_some_and(|of| r4::table().is_a(of.id, name))
    }

    pub fn is_primitive(&self) -> bool {
        match self.of {
            Some(of) => of.kind == Kind::Primitive,
            None => !matches!(self.json, Some(Json::Object(_))),
        }
    }

    /// The elements of that name, in order.
    pub fn children(&self, name: &str, out: &mut Collection<'a>) {
        let object = match self.json {
            Some(Json::Object(object)) => object,
            // Of a primitive, id and extensions.
            _ => {
                if let (Some(beside), "extension" | "id") = (self.beside, name)
                    && let Some(value) = beside.get(name)
                {
                    let of = self.member_type(name, value).or_else(|| r4::table().find("Extension"));
                    self.spread(value, None, of, out);
                }
                return;
            }
        };
        if let Some(element) = self.of.and_then(|of| of.element(name))
            && element.is_choice
        {
            for (key, value) in object.iter() {
                let bare = key.strip_prefix('_').unwrap_or(key);
                if !bare.starts_with(name) || bare.len() == name.len() {
                    continue;
                }
                let Some((found, of)) = self.of.and_then(|of| of.member(bare)) else { continue };
                if found.name != name {
                    continue;
                }
                let of = Some(r4::table().get(of.id));
                if key.len() == bare.len() {
                    self.spread(value, beside(object, bare), of, out);
                } else if !object.contains(bare) {
                    self.spread(&NULL, Some(value), of, out);
                }
            }
            return;
        }
        match (object.get(name), beside(object, name)) {
            (Some(value), beside) => self.spread(value, beside, self.member_type(name, value), out),
            (None, Some(extra)) => self.spread(&NULL, Some(extra), self.member_type(name, &NULL), out),
            (None, None) => {}
        }
    }

    /// All elements, as JSON has them.
    pub fn all_children(&self, out: &mut Collection<'a>) {
        let members = match self.json {
            Some(Json::Object(object)) => object,
            _ => match self.beside {
                Some(Json::Object(object)) => object,
                _ => return,
            },
        };
        for (key, value) in members.iter() {
            if key == "resourceType" {
                continue;
            }
            match key.strip_prefix('_') {
                None => self.spread(value, beside(members, key), self.member_type(key, value), out),
                Some(bare) if !members.contains(bare) => {
                    self.spread(&NULL, Some(value), self.member_type(bare, &NULL), out);
                }
                Some(_) => {}
            }
        }
    }

    fn member_type(&self, key: &str, value: &Json) -> Option<&'static Type> {
        let of = self.of?;
        // Of a primitive's own members the table of Element knows.
        let (_, found) = of.member(key)?;
        let found = r4::table().get(found.id);
        if found.kind == Kind::Resource { resource_type(value).or(Some(found)) } else { Some(found) }
    }

    fn spread(
        &self,
        value: &'a Json,
        extra: Option<&'a Json>,
        of: Option<&'static Type>,
        out: &mut Collection<'a>,
    ) {
        let mut push = |value: &'a Json, extra: Option<&'a Json>| {
            let json = (!matches!(value, Json::Null)).then_some(value);
            let extra = extra.filter(|e| !matches!(e, Json::Null));
            if json.is_none() && extra.is_none() {
                return;
            }
            let mut node = Node { json, beside: extra, of, owner: self.owner };
            if of.is_some_and(|of| of.kind == Kind::Resource) {
                node.of = resource_type(value).or(of);
                // A contained resource is owned by its container: that is where `#id` is looked up.
                if !self.contains(value) {
                    node.owner = Some(value);
                }
            }
            out.push(Item::Node(node));
        };
        match (value, extra) {
            (Json::List(list), extra) => {
                let extras = extra.and_then(Json::as_list).unwrap_or_default();
                for i in 0..list.len().max(extras.len()) {
                    push(list.get(i).unwrap_or(&NULL), extras.get(i));
                }
            }
            (Json::Null, Some(Json::List(extras))) => {
                extras.iter().for_each(|extra| push(&NULL, Some(extra)))
            }
            (value, extra) => push(value, extra),
        }
    }

    fn contains(&self, value: &Json) -> bool {
        self.json.is_some_and(|me| me.items("contained").iter().any(|c| std::ptr::eq(c, value)))
    }

    /// The System value of a primitive; of a Quantity, itself.
    pub fn system(&self) -> Option<System> {
        let json = self.json?;
        let name = self.of.map(|of| of.name);
        Some(match json {
            Json::Bool(value) => System::Boolean(*value),
            Json::Number(text) => match name {
                Some("decimal") | None => match text.parse() {
                    Ok(integer) if name.is_none() => System::Integer(integer),
                    _ => System::Decimal(Decimal::parse(text)?),
                },
                _ => match text.parse() {
                    Ok(integer) => System::Integer(integer),
                    Err(_) => System::Decimal(Decimal::parse(text)?),
                },
            },
            Json::Text(text) => match name {
                Some("date") => {
                    Temporal::date(text).map_or_else(|| System::String(text.clone()), System::Temporal)
                }
                Some("dateTime" | "instant") => {
                    Temporal::date_time(text).map_or_else(|| System::String(text.clone()), System::Temporal)
                }
                Some("time") => {
                    Temporal::time(text).map_or_else(|| System::String(text.clone()), System::Temporal)
                }
                _ => System::String(text.clone()),
            },
            Json::Object(object) if self.is_a("Quantity") => {
                // A comparator makes it a range, with which nothing can be counted.
                if object.contains("comparator") {
                    return None;
                }
                let Some(Json::Number(value)) = object.get("value") else { return None };
                let code = object.get("code").and_then(Json::as_str);
                let unit = object.get("unit").and_then(Json::as_str);
                let calendar = match (object.get("system").and_then(Json::as_str), code) {
                    (Some("http://unitsofmeasure.org"), Some("a")) => Some("year"),
                    (Some("http://unitsofmeasure.org"), Some("mo")) => Some("month"),
                    _ => None,
                };
                System::Quantity(Quantity::new(
                    Decimal::parse(value)?,
                    calendar.or(code).or(unit).unwrap_or("1"),
                ))
            }
            _ => return None,
        })
    }
}

fn beside<'a>(object: &'a super::json::Object, name: &str) -> Option<&'a Json> {
    // Most members have nothing beside them: one look over the names that begin with an underscore.
    object.iter().find(|(key, _)| key.strip_prefix('_') == Some(name)).map(|(_, value)| value)
}

/// The type a resource says it is of.
pub fn resource_type(json: &Json) -> Option<&'static Type> {
    r4::table().resource(json.str("resourceType")?)
}

// === impl Item ===

impl<'a> Item<'a> {
    pub fn boolean(value: bool) -> Self {
        Self::System(System::Boolean(value))
    }

    pub fn integer(value: i64) -> Self {
        Self::System(System::Integer(value))
    }

    pub fn string(value: impl Into<String>) -> Self {
        Self::Text(Cow::Owned(value.into()))
    }

    pub fn node(&self) -> Option<&Node<'a>> {
        match self {
            Self::Node(node) => Some(node),
            _ => None,
        }
    }

    /// The System value, where it has one.
    pub fn system(&self) -> Option<System> {
        match self {
            Self::Node(node) => node.system(),
            Self::Text(text) => Some(System::String((&**text).into())),
            Self::System(value) => Some(value.clone()),
            Self::TypeInfo { .. } => None,
        }
    }

    /// The text of a string, without copying it. Dates of an element count as texts here, as every engine has it.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Node(Node { json: Some(Json::Text(text)), .. }) => Some(text),
            Self::Text(text) => Some(text),
            Self::System(System::String(text)) => Some(text),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Node(Node { json: Some(Json::Bool(value)), .. }) => Some(*value),
            Self::System(System::Boolean(value)) => Some(*value),
            _ => None,
        }
    }

    /// The text `toString()` gives.
    pub fn to_text(&self) -> Option<String> {
        match self {
            Self::Node(Node { json: Some(Json::Text(text)), .. }) => Some(text.to_string()),
            Self::Node(Node { json: Some(Json::Number(text)), .. }) => Some(text.to_string()),
            _ => self.system().map(|value| value.text()),
        }
    }

    /// `FHIR.Patient`, `System.String`.
    pub fn type_info(&self) -> (&'static str, Cow<'static, str>) {
        match self {
            Self::Node(node) => ("FHIR", Cow::Borrowed(node.type_name())),
            Self::Text(_) => ("System", Cow::Borrowed("String")),
            Self::System(value) => ("System", Cow::Borrowed(value.type_name())),
            Self::TypeInfo { .. } => ("System", Cow::Borrowed("SimpleTypeInfo")),
        }
    }
}

impl std::fmt::Debug for Item<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Node(node) => match node.json {
                Some(json) => write!(f, "{}:{json}", node.type_name()),
                None => write!(f, "{}:-", node.type_name()),
            },
            Self::Text(text) => write!(f, "{text:?}"),
            Self::System(value) => write!(f, "{}", value.text()),
            Self::TypeInfo { namespace, name } => write!(f, "{namespace}.{name}"),
        }
    }
}
