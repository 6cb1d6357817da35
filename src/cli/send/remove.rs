//! ITI-62: remove objects from a registry, all or none.

use std::collections::{BTreeSet, HashSet};

use clap::Args;

use super::ask::Registry;
use super::endpoint::{Endpoint, Failure, Messages, Session};
use super::{Ending, refusals, write_out};
use crate::config::Language;
use crate::model::metadata::{MetadataObject, SubmissionSetStatus};
use crate::model::query::QueryId;
use crate::model::transaction::Transaction;
use crate::peer::soap::{Call, Discard};
use crate::wire::ebxml::remove;
use crate::wire::ebxml::response::ResponseStatus;

#[derive(Debug, Args)]
pub struct Arguments {
    /// entryUUID of an object; repeat it for everything that must go together
    #[arg(long, value_name = "ENTRY-UUID", required_unless_present_any = ["raw", "submission_set"])]
    object: Vec<String>,

    /// uniqueId of a SubmissionSet: with all it brought, and every association of that
    #[arg(long, value_name = "OID", conflicts_with = "object")]
    submission_set: Option<String>,

    /// Address of the registry's ITI-18, if --url does not tell it
    #[arg(long, value_name = "URL")]
    query_url: Option<String>,

    #[command(flatten)]
    endpoint: Endpoint,

    #[command(flatten)]
    messages: Messages,
}

pub async fn run(arguments: &Arguments, language: Language) -> Result<Ending, Failure> {
    let transaction = Transaction::Iti62;
    let session = Session::new(&arguments.endpoint, transaction, &arguments.messages)?;
    let answer = match session.raw(&mut Discard).await? {
        Some(answer) => answer,
        None => {
            let objects = match &arguments.submission_set {
                Some(unique_id) => submission(arguments, unique_id, language).await?,
                None => arguments.object.clone(),
            };
            let call = Call::new(&session.client, transaction, vec![], |w| remove::write(w, &objects));
            session.exchange(call, &mut Discard).await?
        }
    };
    let (status, errors) = answer.registry_response()?;
    let ending = match status {
        ResponseStatus::Success => Ending::Success,
        _ => Ending::Refused,
    };
    let said = match (ending, language) {
        (Ending::Success, Language::En) => "the objects are removed",
        (Ending::Success, Language::Ja) => "削除されました",
        (Ending::Refused, Language::En) => "nothing was removed",
        (Ending::Refused, Language::Ja) => "何も削除されませんでした",
    };
    write_out(&format!("{} {status:?}: {said}\n", transaction.code()));
    write_out(&refusals(&errors, language));
    Ok(ending)
}

/// A SubmissionSet, what it brought, and the associations at any of these.
async fn submission(
    arguments: &Arguments,
    unique_id: &str,
    language: Language,
) -> Result<Vec<String>, Failure> {
    let registry =
        Registry::beside(&arguments.endpoint, arguments.query_url.as_ref(), &arguments.messages, language);
    let contents = QueryId::GetSubmissionSetAndContents;
    let found = registry.find(contents, "$XDSSubmissionSetUniqueId", &[unique_id]).await?;
    if found.is_empty() {
        return Err(Failure::Usage(match language {
            Language::En => format!("the registry knows no SubmissionSet {unique_id}"),
            Language::Ja => format!("SubmissionSet {unique_id} はレジストリーにありません"),
        }));
    }
    // What it only refers to stays.
    let referred: HashSet<&str> = found
        .iter()
        .filter_map(|o| match o {
            MetadataObject::Association(a) => Some(a),
            _ => None,
        })
        .filter(|a| a.submission_set_status == Some(SubmissionSetStatus::Reference))
        .map(|a| a.target_object.as_str())
        .collect();
    let brought =
        |o: &&MetadataObject| !matches!(o, MetadataObject::Association(_)) && !referred.contains(o.id());
    let mut ids: BTreeSet<String> = found.iter().filter(brought).map(|o| o.id().to_owned()).collect();
    // Associations at the objects, then those that hold associations.
    for _ in 0..2 {
        let all: Vec<String> = ids.iter().cloned().collect();
        for some in all.chunks(MOST) {
            let some: Vec<&str> = some.iter().map(String::as_str).collect();
            let around = registry.find(QueryId::GetAssociations, "$uuid", &some).await?;
            ids.extend(around.iter().map(|o| o.id().to_owned()));
        }
    }
    Ok(ids.into_iter().collect())
}

/// Ids in one query; a Value holds 256 characters by the schema, and peers insist.
const MOST: usize = 5;
