//! The nodes of one reading, found by what their certificates show.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::x509;
use crate::model::node::{Entry, Shown};

/// See the module.
#[derive(Debug, Default)]
pub struct Listed {
    entries: Vec<Arc<Entry>>,
    certificates: HashMap<String, usize>,
    uris: HashMap<String, usize>,
    dns_names: HashMap<String, usize>,
    issued: HashMap<(String, String), usize>,
}

/// Reads from a certificate what a node is known by.
pub fn shown(leaf: &[u8]) -> Shown {
    Shown {
        fingerprint: x509::fingerprint(leaf),
        uris: x509::alternative_uris(leaf),
        dns_names: x509::alternative_dns_names(leaf),
        issuer: x509::issuer_text(leaf).unwrap_or_default(),
        common_name: x509::subject(leaf).unwrap_or_default(),
    }
}

impl Listed {
    pub fn new(entries: Vec<Entry>) -> Self {
        let mut listed = Self::default();
        for (i, entry) in entries.into_iter().enumerate() {
            let marks = &entry.marks;
            listed.certificates.extend(marks.certificates.iter().map(|m| (m.clone(), i)));
            listed.uris.extend(marks.uris.iter().map(|m| (m.clone(), i)));
            listed.dns_names.extend(marks.dns_names.iter().map(|m| (m.clone(), i)));
            listed.issued.extend(marks.issued.iter().map(|m| (m.clone(), i)));
            listed.entries.push(Arc::new(entry));
        }
        listed
    }

    pub fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    pub fn by_id(&self, id: &str) -> Option<&Arc<Entry>> {
        self.entries.iter().find(|e| e.node.id == id)
    }

    /// By the leaf itself, else a URI of it, else a DNS name, else its issuer and commonName: the first that any
    /// node is known by. A certificate whose URIs name two nodes names none.
    pub fn find(&self, shown: &Shown) -> Option<Arc<Entry>> {
        let issued = (shown.issuer.clone(), shown.common_name.clone());
        let certificate = self.certificates.get(&shown.fingerprint).copied();
        let found = match certificate {
            Some(i) => Some(i),
            None => match one(shown.uris.iter().filter_map(|u| self.uris.get(u))) {
                Found::One(i) => Some(i),
                Found::Several => None,
                Found::None => match one(shown.dns_names.iter().filter_map(|n| self.dns_names.get(n))) {
                    Found::One(i) => Some(i),
                    Found::Several => None,
                    Found::None => self.issued.get(&issued).copied(),
                },
            },
        };
        self.entries.get(found?).cloned()
    }
}

enum Found {
    None,
    One(usize),
    Several,
}

fn one<'a>(mut found: impl Iterator<Item = &'a usize>) -> Found {
    match found.next() {
        None => Found::None,
        Some(first) if found.all(|other| other == first) => Found::One(*first),
        Some(_) => Found::Several,
    }
}
