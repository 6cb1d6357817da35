//! A submission of an export as its source would send it now: by ITI-42, or with its documents by ITI-41.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use futures_util::StreamExt as _;

use super::folder::{self, Listed};
use crate::model::metadata::{EntryType, Submission};
use crate::model::transaction::Transaction;
use crate::peer::http::Client;
use crate::peer::soap::{BoxError, Call, Outgoing, write_provide};
use crate::service::backup::{Place, create, make_dirs};
use crate::store::blob::{BlobError, BlobReader, Blobs};
use crate::wire::ebxml::retrieve::Content;
use crate::wire::mtom::write::Multipart;
use crate::wire::soap::write_request;

/// Takes away what a registry decides.
pub fn as_submitted(s: &mut Submission) {
    s.document_entries.iter_mut().for_each(|e| e.logical_id = None);
    s.folders.iter_mut().for_each(|f| f.logical_id = None);
}

/// The objects that ITI-42 cannot bring, with their versions: those that follow another.
pub fn later_versions(s: &Submission) -> BTreeMap<String, u32> {
    let entries = s.document_entries.iter().map(|e| (&e.entry_uuid, &e.logical_id, e.version));
    let folders = s.folders.iter().map(|f| (&f.entry_uuid, &f.logical_id, f.version));
    entries
        .chain(folders)
        .filter(|(id, lid, _)| lid.as_deref().is_some_and(|lid| lid != id.as_str()))
        .map(|(id, _, version)| (id.clone(), version))
        .collect()
}

/// A document on its way.
pub struct Provided {
    /// entryUUID.
    entry: String,
    mime_type: String,
    bytes: BlobReader,
}

/// The documents of a submission, which then names no repository; none if the export lacks one, for ITI-41
/// brings all of them or none.
pub async fn documents(
    store: &Blobs,
    listed: &Listed,
    s: &mut Submission,
) -> anyhow::Result<Option<Vec<Provided>>> {
    let mut found = vec![];
    for e in &s.document_entries {
        let document = listed.documents.iter().find(|d| d.unique_id == e.unique_id);
        let (Some(document), EntryType::Stable) = (document, e.object_type) else { return Ok(None) };
        match store.read(&folder::key(document)?).await {
            Ok(bytes) => {
                let (entry, mime_type) = (e.entry_uuid.clone(), e.mime_type.clone());
                found.push(Provided { entry, mime_type, bytes });
            }
            Err(BlobError::NotFound(_)) => return Ok(None),
            Err(e) => return Err(e.into()),
        }
    }
    if found.is_empty() {
        return Ok(None);
    }
    s.document_entries.iter_mut().for_each(|e| e.repository_unique_id = None);
    Ok(Some(found))
}

/// The ITI-41 request of a submission with its documents.
pub fn call(client: &Client, s: &Submission, documents: Vec<Provided>) -> Call {
    let (mut outgoing, mut contents) = (vec![], vec![]);
    for document in documents {
        let (size, bytes) = (document.bytes.size(), document.bytes);
        let bytes = bytes.map(|chunk| chunk.map_err(|e| BoxError::from(e.to_string()))).boxed();
        let part = Outgoing::new(document.mime_type, size, bytes);
        contents.push((document.entry, Content::Include(part.content_id.clone())));
        outgoing.push(part);
    }
    Call::new(client, Transaction::Iti41, outgoing, |w| {
        let named: Vec<(&str, Content)> = contents.iter().map(|(id, c)| (id.as_str(), c.clone())).collect();
        write_provide(w, s, &named);
    })
}

/// Writes every submission that ITI-41 can bring as a whole multipart message; `chiren send iti41 --raw` sends
/// one.
pub async fn write_messages(dir: &Path) -> anyhow::Result<()> {
    let store = Place::at(dir).documents()?;
    for listed in folder::listed(dir)? {
        let listed = listed?;
        let mut s = listed.message(dir)?;
        if !later_versions(&s).is_empty() {
            continue;
        }
        as_submitted(&mut s);
        if let Some(documents) = documents(&store, &listed, &mut s).await? {
            let file = listed.file.replacen("submissions/", "provide/", 1).replace(".xml", ".mtom");
            let path = dir.join(&file);
            write_message(&path, &s, documents).await.with_context(|| file.clone())?;
        }
    }
    Ok(())
}

async fn write_message(path: &Path, s: &Submission, documents: Vec<Provided>) -> anyhow::Result<()> {
    let multipart = Multipart::fresh();
    let ids: Vec<String> = (0..documents.len()).map(|n| multipart.document_id(n)).collect();
    let named: Vec<(&str, Content)> =
        documents.iter().zip(&ids).map(|(d, id)| (d.entry.as_str(), Content::Include(id.clone()))).collect();
    let message_id = format!("urn:uuid:{}", uuid::Uuid::new_v4());
    let action = Transaction::Iti41.row().request_action;
    // Whom it is for is not known yet.
    let to = "http://www.w3.org/2005/08/addressing/anonymous";
    let envelope = write_request(action, &message_id, to, |w| write_provide(w, s, &named));
    make_dirs(path.parent().context("a folder")?)?;
    let mut out = BufWriter::new(create(path)?);
    out.write_all(&multipart.root_head())?;
    out.write_all(envelope.as_bytes())?;
    out.write_all(&multipart.part_end())?;
    for (document, id) in documents.into_iter().zip(&ids) {
        out.write_all(&multipart.part_head(id, &document.mime_type))?;
        let mut bytes = document.bytes;
        while let Some(chunk) = bytes.next().await {
            out.write_all(&chunk?)?;
        }
        out.write_all(&multipart.part_end())?;
    }
    out.write_all(&multipart.closing())?;
    out.flush()?;
    Ok(())
}
