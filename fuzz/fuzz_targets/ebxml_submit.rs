//! A submission reads the same whatever rules judge it and each time it is read, and one that the
//! rules accept, written for a foreign registry and read again, is accepted and equal.
#![no_main]

use std::sync::LazyLock;

use chiren_fuzz::model::codes::{CodeCheck, Vocabulary};
use chiren_fuzz::model::error::{ErrorCode, RegistryError};
use chiren_fuzz::model::metadata::{Extra, Submission};
use chiren_fuzz::model::namespace::NS_LCM;
use chiren_fuzz::model::rules::{Column, Profile, Rules, submission};
use chiren_fuzz::wire::ebxml::submit;
use chiren_fuzz::wire::xml::guard::{Guard, XmlLimits};
use chiren_fuzz::wire::xml::{XmlWriter, tree};
use libfuzzer_sys::fuzz_target;

static VOCABULARY: LazyLock<Vocabulary> =
    LazyLock::new(|| Vocabulary::japan(CodeCheck::Warn).expect("the built-in vocabulary"));

const IN_FORCE: [(Column, Profile); 4] = [
    (Column::DocumentSource, Profile::Ihe),
    (Column::DocumentRepository, Profile::Jahis),
    (Column::MetadataLimited, Profile::Jahis),
    (Column::OnDemand, Profile::Jahis),
];

fuzz_target!(|data: &[u8]| {
    let (mut guard, mut events) = (Guard::new(limits()), Vec::new());
    let Ok(envelope) = guard.push(data, &mut events).and_then(|()| guard.finish()) else { return };
    let Ok(doc) = tree::parse(&envelope) else { return };
    // The request stands alone, in a ProvideAndRegisterDocumentSetRequest, or in an envelope.
    let Some(node) = doc.descendants().find(|n| tree::is(*n, NS_LCM, "SubmitObjectsRequest")) else { return };
    let plain = submit::read(node, None);
    for (column, profile) in IN_FORCE {
        let rules = Rules { column, profile, vocabulary: &VOCABULARY, limited_metadata: false };
        let draft = submit::read(node, Some(&rules));
        assert_eq!(draft.submission, plain.submission);
        assert!(plain.problems.iter().all(|p| draft.problems.contains(p)));
        let mut problems = draft.problems;
        submission::check(&draft.submission, ErrorCode::XDSRegistryDuplicateUniqueIdInMessage, &mut problems);
        if problems.iter().any(RegistryError::is_error) {
            continue;
        }
        identified(&draft.submission);
        let written = write(&draft.submission);
        let doc = tree::parse(&written).expect("a request is well-formed");
        let again = submit::read(doc.root_element(), Some(&rules));
        let errors: Vec<&RegistryError> = again.problems.iter().filter(|p| p.is_error()).collect();
        assert!(errors.is_empty(), "accepted, then refused: {errors:?}");
        assert_eq!(carried(again.submission), carried(draft.submission));
    }
});

fn limits() -> XmlLimits {
    XmlLimits { envelope_bytes: 32 << 10, elements: 400, attributes: 16, depth: 16, ..XmlLimits::default() }
}

/// What the rules require of everybody is there.
fn identified(s: &Submission) {
    assert!(!s.submission_set.source_id.is_empty() && s.submission_set.submission_time.is_some());
    let ids = std::iter::once((&s.submission_set.entry_uuid, &s.submission_set.unique_id))
        .chain(s.document_entries.iter().map(|d| (&d.entry_uuid, &d.unique_id)))
        .chain(s.folders.iter().map(|f| (&f.entry_uuid, &f.unique_id)));
    for (id, unique_id) in ids {
        assert!(!id.is_empty() && !unique_id.is_empty());
    }
}

fn write(submission: &Submission) -> String {
    let mut w = XmlWriter::new();
    submit::write(&mut w, submission);
    w.finish()
}

/// What a request carries: status, version and lastUpdateTime belong to the registry, and the parts
/// of an object get ids of our making.
fn carried(mut s: Submission) -> Submission {
    for entry in &mut s.document_entries {
        (entry.availability_status, entry.version) = Default::default();
        without_ids(&mut entry.extra);
    }
    for folder in &mut s.folders {
        (folder.availability_status, folder.version) = Default::default();
        folder.last_update_time = None;
        without_ids(&mut folder.extra);
    }
    for association in &mut s.associations {
        association.availability_status = Default::default();
        without_ids(&mut association.extra);
    }
    without_ids(&mut s.submission_set.extra);
    s
}

fn without_ids(extra: &mut Extra) {
    extra.classifications.iter_mut().for_each(|c| c.id.clear());
    extra.external_identifiers.iter_mut().for_each(|e| e.id.clear());
}
