//! ITI-41 Provide and Register Document Set-b. ITI TF-2 3.41.

use roxmltree::Node;

use super::SoapFace;
use super::intake::Documents;
use super::iti42::{registry_response, subject_of};
use super::reply::Reply;
use crate::model::error::{Error, ErrorCode, Fault, Problem, RegistryError};
use crate::model::metadata::Submission;
use crate::model::namespace::{NS_LCM, NS_XDS, NS_XOP};
use crate::model::rules::{Column, submission};
use crate::service::context::Context;
use crate::service::repository::{ProvidedDocument, Repository};
use crate::service::storage;
use crate::wire::ebxml::submit::{self, Draft};
use crate::wire::xml::tree;

const CLAUSE: &str = "ITI TF-2 3.41.4.1.2";

/// A submission with its documents.
pub struct Asked {
    draft: Draft,
    documents: Vec<ProvidedDocument>,
    /// Ids of `xds:Document` elements without content: documents of no octets.
    empty: Vec<String>,
}

impl Asked {
    pub fn source_id(&self) -> &str {
        &self.draft.submission.submission_set.source_id
    }
}

pub fn read(face: &SoapFace, body: Node<'_, '_>, mut parts: Documents) -> Result<Asked, Fault> {
    let mut draft = match tree::child(body, NS_LCM, "SubmitObjectsRequest") {
        Some(request) => {
            let rules = face.registry_behind().map(|r| r.rules(Column::DocumentSource));
            submit::read(request, rules.as_ref())
        }
        None => Draft {
            submission: Submission::default(),
            problems: vec![problem(
                "ProvideAndRegisterDocumentSetRequest",
                "SubmitObjectsRequest",
                "is missing",
            )],
        },
    };
    submission::check(
        &draft.submission,
        ErrorCode::XDSRepositoryDuplicateUniqueIdInMessage,
        &mut draft.problems,
    );
    unlabelled_limited_metadata(&draft.submission, &mut draft.problems);
    let mut documents = vec![];
    let mut empty = vec![];
    for (n, node) in tree::children(body, NS_XDS, "Document").enumerate() {
        let id = tree::attr(node, "id").unwrap_or_default().trim().to_owned();
        if id.is_empty() {
            draft.problems.push(problem(&format!("Document[{}]", n + 1), "Document/@id", "is required"));
        }
        match tree::child(node, NS_XOP, "Include").map(|i| tree::attr(i, "href").unwrap_or_default()) {
            Some(href) => documents.push(ProvidedDocument { content: parts.take(href)?, id }),
            None => empty.push(id),
        }
    }
    Ok(Asked { draft, documents, empty })
}

fn problem(object: &str, attribute: &str, message: &str) -> RegistryError {
    let code = ErrorCode::XDSRepositoryMetadataError;
    Problem { code, object, attribute, value: None, message, clause: CLAUSE }.error()
}

/// Metadata as a metadata-limited source sends it, without saying so: no patient on the
/// SubmissionSet and no marker. The repository has nobody to file the documents under.
fn unlabelled_limited_metadata(s: &Submission, problems: &mut Vec<RegistryError>) {
    let set = &s.submission_set;
    if set.patient_id.is_empty() && !set.limited_metadata && !set.entry_uuid.is_empty() {
        problems.push(problem(
            &set.entry_uuid,
            "SubmissionSet.patientId",
            "is absent and the set is not marked limitedMetadata, so its documents belong to nobody",
        ));
    }
}

impl SoapFace {
    /// The registry our repository registers at, if it is in this program.
    fn registry_behind(&self) -> Option<&crate::service::registry::Registry> {
        self.repository.as_ref().and_then(Repository::registry)
    }
}

pub async fn answer(
    face: &SoapFace,
    context: &Context,
    asked: Asked,
    message_id: Option<&str>,
) -> Result<Reply, Fault> {
    let Asked { draft: Draft { submission, problems }, mut documents, empty } = asked;
    let subject = subject_of(&submission);
    let done = match &face.repository {
        Some(repository) => match spool_empty(repository, empty, &mut documents).await {
            Ok(()) => repository
                .provide(context, submission, documents, problems)
                .await
                .map(|p| (p.warnings, p.audited)),
            Err(e) => Err(e),
        },
        None => Err(Error::Internal(anyhow::anyhow!("the repository is switched off"))),
    };
    registry_response(context, done, subject, message_id)
}

async fn spool_empty(
    repository: &Repository,
    ids: Vec<String>,
    documents: &mut Vec<ProvidedDocument>,
) -> Result<(), Error> {
    for id in ids {
        let content = repository.spool().finish().await.map_err(storage)?;
        documents.push(ProvidedDocument { id, content });
    }
    Ok(())
}
