//! ITI-86: remove documents from a repository.

use clap::Args;

use super::endpoint::{Endpoint, Failure, Messages, Session};
use super::{Ending, refusals, write_out};
use crate::config::Language;
use crate::model::transaction::Transaction;
use crate::peer::soap::{Call, Discard};
use crate::wire::ebxml::remove_documents;
use crate::wire::ebxml::response::ResponseStatus;
use crate::wire::ebxml::retrieve::DocumentRequest;

#[derive(Debug, Args)]
pub struct Arguments {
    /// uniqueId of a document; may be repeated
    #[arg(long, value_name = "UNIQUE-ID", required_unless_present = "raw")]
    document: Vec<String>,

    /// repositoryUniqueId of its repository
    #[arg(long, value_name = "OID", required_unless_present = "raw")]
    repository: Option<String>,

    #[command(flatten)]
    endpoint: Endpoint,

    #[command(flatten)]
    messages: Messages,
}

pub async fn run(arguments: &Arguments, language: Language) -> Result<Ending, Failure> {
    let transaction = Transaction::Iti86;
    let session = Session::new(&arguments.endpoint, transaction, &arguments.messages)?;
    let answer = match session.raw(&mut Discard).await? {
        Some(answer) => answer,
        None => {
            let request = |document: &String| DocumentRequest {
                home_community_id: None,
                repository_unique_id: arguments.repository.clone().unwrap_or_default(),
                document_unique_id: document.clone(),
            };
            let requests: Vec<DocumentRequest> = arguments.document.iter().map(request).collect();
            let call =
                Call::new(&session.client, transaction, vec![], |w| remove_documents::write(w, &requests));
            session.exchange(call, &mut Discard).await?
        }
    };
    let (status, errors) = answer.registry_response()?;
    let said = match (status, language) {
        (ResponseStatus::Success, Language::En) => "the documents are removed",
        (ResponseStatus::Success, Language::Ja) => "文書を削除しました",
        (ResponseStatus::PartialSuccess, Language::En) => "not all documents were removed",
        (ResponseStatus::PartialSuccess, Language::Ja) => "一部の文書は削除されませんでした",
        (ResponseStatus::Failure, Language::En) => "nothing was removed",
        (ResponseStatus::Failure, Language::Ja) => "何も削除されませんでした",
    };
    write_out(&format!("{} {status:?}: {said}\n", transaction.code()));
    write_out(&refusals(&errors, language));
    Ok(if status == ResponseStatus::Success { Ending::Success } else { Ending::Refused })
}
