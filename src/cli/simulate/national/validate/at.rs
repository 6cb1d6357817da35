//! A place in the JSON: its FHIRPath and its value.

use serde_json::Value;

#[derive(Debug, Clone)]
pub struct At<'a> {
    pub path: String,
    pub value: &'a Value,
}

impl<'a> At<'a> {
    pub fn root(path: &str, value: &'a Value) -> At<'a> {
        At { path: path.to_owned(), value }
    }

    pub fn child(&self, name: &str) -> Option<At<'a>> {
        let value = self.value.get(name).filter(|v| !v.is_null())?;
        Some(At { path: format!("{}.{name}", self.path), value })
    }

    /// The members of an element: of a list each, else the one.
    pub fn list(&self, name: &str) -> Vec<At<'a>> {
        match self.child(name) {
            None => vec![],
            Some(At { path, value: Value::Array(items) }) => {
                let each = items.iter().enumerate();
                each.map(|(n, value)| At { path: format!("{path}[{n}]"), value }).collect()
            }
            Some(one) => vec![one],
        }
    }

    pub fn str(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.value.get(name).and_then(Value::as_str)
    }

    pub fn resource_type(&self) -> &'a str {
        self.text("resourceType").unwrap_or_default()
    }

    /// All at the end of a path of names.
    pub fn all(&self, path: &str) -> Vec<At<'a>> {
        let step = |here: Vec<At<'a>>, name| here.iter().flat_map(|at| at.list(name)).collect();
        path.split('.').fold(vec![self.clone()], step)
    }

    /// Texts at the end of a path.
    pub fn strings(&self, path: &str) -> Vec<&'a str> {
        self.all(path).iter().filter_map(At::str).collect()
    }

    /// `path.where(name = value)`.
    pub fn having(&self, path: &str, name: &str, value: &str) -> Vec<At<'a>> {
        let mut all = self.all(path);
        all.retain(|at| at.text(name) == Some(value));
        all
    }

    /// Everything below and including this.
    pub fn walk(&self, visit: &mut dyn FnMut(&At<'a>)) {
        visit(self);
        match self.value {
            Value::Object(members) => {
                for name in members.keys() {
                    for child in self.list(name) {
                        child.walk(visit);
                    }
                }
            }
            Value::Array(items) => {
                for (n, value) in items.iter().enumerate() {
                    At { path: format!("{}[{n}]", self.path), value }.walk(visit);
                }
            }
            _ => {}
        }
    }
}

/// Resources of the entries, with their places.
pub fn resources<'a>(bundle: &At<'a>) -> Vec<At<'a>> {
    bundle.list("entry").iter().filter_map(|e| e.child("resource")).collect()
}

pub fn profiles(resource: &Value) -> impl Iterator<Item = &str> {
    let list =
        resource.pointer("/meta/profile").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str)
}

/// Whether a resource declares this profile, in any version.
pub fn declares(resource: &Value, base: &str, name: &str) -> bool {
    profiles(resource).any(|p| p.split('|').next().and_then(|p| p.strip_prefix(base)) == Some(name))
}
