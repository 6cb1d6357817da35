//! ITI-61: register an on-demand entry. This is how an operator gives a patient a document list.

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::endpoint::{Endpoint, Failure, Messages, Session};
use super::provide::{next, outcome, show};
use super::{Ending, table, write_out};
use crate::cli::submission::{Facts, Metadata};
use crate::config::Language;
use crate::model::metadata::{EntryType, Submission};
use crate::model::transaction::Transaction;
use crate::peer::soap::{Call, Discard};
use crate::wire::ebxml::submit;

/// The title of a document list where none is given; with the ending that tells the media type, it is what a
/// file's name is to other documents.
const TITLE: &str = "文書一覧";

#[derive(Debug, Args)]
pub struct Arguments {
    /// repositoryUniqueId of the On-Demand Document Source that will make the document
    #[arg(long, value_name = "OID", required_unless_present = "raw")]
    repository: Option<String>,

    /// The patient's document list, which our repository makes; --format, --mime and --title announce another
    /// document
    #[arg(long, value_enum, default_value_t = DocumentList::Cda)]
    document_list: DocumentList,

    #[command(flatten)]
    metadata: Metadata,

    #[command(flatten)]
    endpoint: Endpoint,

    #[command(flatten)]
    messages: Messages,
}

/// Formats of the document list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DocumentList {
    Cda,
    Fhir,
}

/// An on-demand entry and its SubmissionSet.
pub fn submission(
    metadata: &Metadata,
    list: DocumentList,
    repository: Option<&str>,
    now: Timestamp,
) -> Result<Submission, String> {
    if metadata.creation_time.is_some() {
        return Err("--creation-time: an on-demand entry has none; its documents will".into());
    }
    let (ending, format) = match list {
        DocumentList::Cda => ("xml", "jp:chiren:document-list:cda"),
        DocumentList::Fhir => ("json", "jp:chiren:document-list:fhir"),
    };
    let facts = Facts {
        file_name: Some(format!("{TITLE}.{ending}")),
        repository_unique_id: repository.map(str::to_owned),
        format: Some(format),
        ..Facts::default()
    };
    let mut submission = metadata.submission(&facts, now)?;
    for entry in &mut submission.document_entries {
        entry.object_type = EntryType::OnDemand;
        entry.creation_time = None;
    }
    Ok(submission)
}

pub(super) async fn run(arguments: &Arguments, language: Language) -> Result<Ending, Failure> {
    let session = Session::new(&arguments.endpoint, Transaction::Iti61, &arguments.messages)?;
    if let Some(answer) = session.raw(&mut Discard).await? {
        return outcome(&session, &answer, language);
    }
    let repository = arguments.repository.as_deref();
    let submission = submission(&arguments.metadata, arguments.document_list, repository, Timestamp::now())
        .map_err(Failure::Usage)?;
    show(&submission);
    let call = Call::new(&session.client, Transaction::Iti61, vec![], |w| submit::write(w, &submission));
    let answer = session.exchange(call, &mut Discard).await?;
    let ending = outcome(&session, &answer, language)?;
    next(&arguments.endpoint, &submission, ending, language);
    if let (Ending::Success, Some(repository), Some(entry)) =
        (ending, repository, submission.document_entries.first())
    {
        let fetch = ["--repository", repository, "--document", &entry.unique_id, "--output", "-"];
        let words = match language {
            Language::En => "Fetch what it says now with:",
            Language::Ja => "現在の内容を取得するには:",
        };
        let command = arguments.endpoint.command(Transaction::Iti43, &fetch);
        write_out(&format!("\n{words}\n  {}\n", table::line(&command)));
    }
    Ok(ending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::submission::tests::problems;
    use crate::content::generator_for;
    use crate::model::rules::Column;

    fn metadata() -> Metadata {
        Metadata {
            patient: Some("1001^^^&2.999.392.1.1&ISO".into()),
            language: "ja-JP".into(),
            ..Metadata::default()
        }
    }

    #[test]
    fn a_list_of_either_format_keeps_the_rules_and_has_its_generator() {
        for list in [DocumentList::Cda, DocumentList::Fhir] {
            let s = submission(&metadata(), list, Some("2.999.392.1.2.1"), Timestamp::UNIX_EPOCH).unwrap();
            assert_eq!(problems(&s, Column::OnDemand), []);
            let entry = &s.document_entries[0];
            let format = generator_for(entry).unwrap().format();
            assert_eq!(format.code, entry.format_code.as_ref().unwrap().code);
            assert_eq!(entry.title[0].value, TITLE);
        }
    }

    #[test]
    fn it_has_no_creation_time() {
        let metadata = Metadata { creation_time: Some("20260401".into()), ..metadata() };
        assert!(submission(&metadata, DocumentList::Cda, None, Timestamp::UNIX_EPOCH).is_err());
    }
}
