//! What may be changed of a prepared Bundle before it is sent: the versions of entry profiles, and tags of the region.
//! Everything else is the facility's; a signed Bundle is not touched at all.

use super::bundle::{FLAG_SYSTEM, kind};
use super::terminology::unversioned;
use crate::fhirpath::Json;

/// How entries declare their profiles (`national.entry_profile_version`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum EntryProfiles {
    /// Without a version: every reading of the published rules takes it.
    #[default]
    Unversioned,
    /// `|1`, as the guide's text asks.
    Versioned,
    /// As they came.
    AsIs,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// FHIRPath of the element.
    pub path: String,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    ProfileVersion,
    RegionalTag,
    RegionalLabel,
}

/// Where the profiles the service knows live.
const NATIONAL: &str = "http://jpfhir.jp/fhir/";

/// Changes `bundle`, and says what. Nothing where it is signed or no Bundle of a known kind.
pub fn normalise(bundle: &mut Json, profiles: EntryProfiles) -> Vec<Change> {
    let mut changes = vec![];
    if kind(bundle).is_none() {
        return changes;
    }
    if bundle.get("signature").is_some() {
        return changes;
    }
    let Some(entries) = bundle.get_mut("entry").and_then(Json::as_list_mut) else { return changes };
    for (i, entry) in entries.iter_mut().enumerate() {
        let Some(resource) = entry.get_mut("resource") else { continue };
        let path = format!("Bundle.entry[{i}].resource");
        if resource.str("resourceType") == Some("Bundle") {
            // A document in a document has its own signature, or goes by the same rules.
            for change in normalise(resource, profiles) {
                changes.push(Change { path: change.path.replacen("Bundle", &path, 1), ..change });
            }
            continue;
        }
        meta(resource, profiles, &path, &mut changes);
    }
    changes
}

fn meta(resource: &mut Json, profiles: EntryProfiles, path: &str, changes: &mut Vec<Change>) {
    let Some(meta) = resource.get_mut("meta") else { return };
    let mut change =
        |element: &str, what| changes.push(Change { path: format!("{path}.meta.{element}"), what });
    if let Some(list) = meta.get_mut("profile").and_then(Json::as_list_mut) {
        for (i, profile) in list.iter_mut().enumerate() {
            let Some(url) = profile.as_str().filter(|url| url.starts_with(NATIONAL)) else { continue };
            let due = match profiles {
                EntryProfiles::AsIs => continue,
                EntryProfiles::Unversioned => unversioned(url).to_owned(),
                EntryProfiles::Versioned if url.contains('|') => continue,
                EntryProfiles::Versioned => format!("{url}|1"),
            };
            if due != url {
                *profile = Json::text(due);
                change(&format!("profile[{i}]"), What::ProfileVersion);
            }
        }
    }
    // On 5情報 the tags are a closed list of flags; in documents a tag of the region says nothing to others either.
    for (name, what) in [("tag", What::RegionalTag), ("security", What::RegionalLabel)] {
        let Some(list) = meta.get_mut(name).and_then(Json::as_list_mut) else { continue };
        let before = list.len();
        list.retain(|tag| !is_regional(tag, what));
        let (after, left) = (list.len(), list.is_empty());
        if after != before {
            change(name, what);
        }
        if left && let Some(meta) = meta.as_object_mut() {
            meta.remove(name);
        }
    }
}

/// A tag that is no flag of the service and no label of FHIR itself.
fn is_regional(tag: &Json, what: What) -> bool {
    match (what, tag.str("system")) {
        (What::RegionalTag, system) => system != Some(FLAG_SYSTEM),
        (_, system) => !system.is_some_and(|s| s.starts_with("http://terminology.hl7.org/")),
    }
}

/// The same of octets; `None` where nothing is to be changed, or they are no JSON.
pub fn normalised(bytes: &[u8], profiles: EntryProfiles) -> Option<Vec<u8>> {
    let mut json = Json::parse(bytes).ok()?;
    let changes = normalise(&mut json, profiles);
    (!changes.is_empty()).then(|| json.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(extra: &str) -> Json {
        let text = format!(
            r#"{{"resourceType":"Bundle","meta":{{"profile":["http://jpfhir.jp/fhir/clins/StructureDefinition/JP_Bundle_CLINS|1"]}},
            "entry":[{{"resource":{{"resourceType":"Condition","meta":{{"profile":["http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Condition_eCS|1"],
            "security":[{{"system":"urn:region","code":"x"}}],
            "tag":[{{"system":"{FLAG_SYSTEM}","code":"LTS"}},{{"system":"urn:region","code":"y"}}]}},"x":1.00}}}}]{extra}}}"#
        );
        Json::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn changes_what_may_be_changed() {
        let mut json = bundle("");
        let changes = normalise(&mut json, EntryProfiles::Unversioned);
        let what: Vec<What> = changes.iter().map(|c| c.what).collect();
        assert_eq!(what, [What::ProfileVersion, What::RegionalTag, What::RegionalLabel]);
        let meta = json.at(&["entry", "0", "resource", "meta"]).unwrap();
        assert_eq!(
            meta.at(&["profile", "0"]).unwrap().as_str(),
            Some("http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Condition_eCS")
        );
        assert_eq!((meta.items("tag").len(), meta.get("security")), (1, None));
        assert_eq!(json.at(&["entry", "0", "resource", "x"]).unwrap().to_string(), "1.00");
        assert_eq!(normalise(&mut json, EntryProfiles::Unversioned), []);
    }

    #[test]
    fn signed_stays() {
        let mut json = bundle(r#","signature":{}"#);
        let before = json.clone();
        assert_eq!(normalise(&mut json, EntryProfiles::Versioned), []);
        assert_eq!(json, before);
    }
}
