//! Checks of answers: by scanning for all, by parsing whole for one in a hundred.

use std::sync::{Arc, LazyLock};

use bytes::{Bytes, BytesMut};
use memchr::memmem::{self, Finder};

use super::drive::Check;
use super::template::Documents;
use crate::model::metadata::MetadataObject;
use crate::model::query::QueryResult;
use crate::model::transaction::Transaction;
use crate::peer::soap::{AnswerEvent, AnswerReader};
use crate::wire::ebxml::response::{self, ResponseStatus};
use crate::wire::ebxml::{query, retrieve};
use crate::wire::soap::{SoapResponse, read_response};
use crate::wire::xml::tree;

/// Every so manyth answer is parsed whole.
pub const PARSED: u64 = 100;

struct Finders {
    success: Finder<'static>,
    status: Finder<'static>,
    code: Finder<'static>,
    entry: Finder<'static>,
}

static FIND: LazyLock<Finders> = LazyLock::new(|| Finders {
    success: Finder::new("ResponseStatusType:Success"),
    status: Finder::new("ResponseStatusType:"),
    code: Finder::new("errorCode="),
    // A start tag with attributes: an end tag has none.
    entry: Finder::new("ExtrinsicObject "),
});

/// What every answer must be.
#[derive(Debug, Clone)]
pub struct Common {
    pub transaction: Transaction,
    pub message_id: String,
    pub parse: bool,
}

impl Common {
    fn scan(&self, envelope: &[u8]) -> Result<(), String> {
        if FIND.success.find(envelope).is_none() || FIND.status.find_iter(envelope).count() != 1 {
            let code = FIND.code.find(envelope).and_then(|at| envelope.get(at + 11..));
            let code = code.and_then(|rest| rest.split(|b| matches!(b, b'"' | b'\'')).next());
            let code = code.map_or("no error code".into(), String::from_utf8_lossy);
            let code: String = code.chars().filter(|c| c.is_ascii_alphanumeric()).take(60).collect();
            return Err(format!("the status is not Success: {code}"));
        }
        if memmem::find(envelope, self.message_id.as_bytes()).is_none() {
            return Err("the answer relates to another request".into());
        }
        Ok(())
    }

    /// Parses the envelope and reads its body.
    fn read<T>(
        &self,
        envelope: &[u8],
        read: impl FnOnce(roxmltree::Node<'_, '_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let text = std::str::from_utf8(envelope).map_err(|_| "the answer is not UTF-8")?;
        let doc = tree::parse(text).map_err(|_| "the answer is not well-formed XML")?;
        match read_response(&doc)? {
            SoapResponse::Fault { code, .. } => Err(format!("fault {code}")),
            SoapResponse::Body { action, .. } if action != self.transaction.row().response_action => {
                Err("the answer's Action is wrong".into())
            }
            SoapResponse::Body { relates_to, .. } if relates_to.as_ref() != Some(&self.message_id) => {
                Err("the answer relates to another request".into())
            }
            SoapResponse::Body { body, .. } => read(body),
        }
    }
}

/// ITI-41 and ITI-42: Success, and nothing but.
pub struct Registered {
    pub common: Common,
    pub content_type: String,
    pub body: BytesMut,
}

impl Check for Registered {
    fn head(&mut self, content_type: Option<&str>) -> Result<(), String> {
        self.content_type = soap(content_type)?.to_owned();
        Ok(())
    }

    fn data(&mut self, bytes: Bytes) -> Result<(), String> {
        self.body.extend_from_slice(&bytes);
        Ok(())
    }

    fn end(self) -> Result<(), String> {
        self.common.scan(&self.body)?;
        if self.common.parse {
            let mut reader = AnswerReader::new(Some(&self.content_type)).map_err(|e| e.to_string())?;
            let mut events = vec![];
            reader.push(self.body.freeze(), &mut events).map_err(|e| e.to_string())?;
            let envelope = reader.finish(&mut events).map_err(|e| e.to_string())?;
            let (status, errors) = self.common.read(envelope.as_bytes(), response::read)?;
            if status != ResponseStatus::Success || errors.iter().any(|e| e.is_error()) {
                return Err("the answer lists errors".into());
            }
        }
        Ok(())
    }
}

/// ITI-18: just the documents that [`super::scenarios::Load`] gave the patient.
pub struct Found {
    pub common: Common,
    pub body: BytesMut,
    /// uniqueIds are this and a number, from `first` on, `hits` in all.
    pub unique_id_stem: String,
    pub first: u32,
    pub hits: u32,
    /// The SubmissionSet, whose number is 0, and its Associations come too.
    pub whole: bool,
}

impl Found {
    /// Marks the number after each stem; every number must come just once.
    fn numbers(&self) -> Result<(), String> {
        let mut seen = vec![false; self.hits as usize];
        let (mut count, mut sets) = (0, 0);
        for at in memmem::find_iter(&self.body, self.unique_id_stem.as_bytes()) {
            let rest = self.body.get(at + self.unique_id_stem.len()..).unwrap_or_default();
            let number = rest
                .iter()
                .take_while(|b| b.is_ascii_digit())
                .fold(0usize, |n, b| n.saturating_mul(10).saturating_add(usize::from(b - b'0')));
            if self.whole && number == 0 {
                sets += 1;
                continue;
            }
            match number.checked_sub(self.first as usize).and_then(|i| seen.get_mut(i)) {
                Some(seen) if !*seen => *seen = true,
                Some(_) => return Err("a document was found twice".into()),
                None => return Err("a document was found that the patient does not have".into()),
            }
            count += 1;
        }
        match (count == self.hits, sets == u32::from(self.whole)) {
            (true, true) => Ok(()),
            (false, _) => Err(format!("{count} expected uniqueIds instead of {}", self.hits)),
            (true, false) => Err(format!("{sets} SubmissionSets instead of one")),
        }
    }
}

impl Check for Found {
    fn head(&mut self, content_type: Option<&str>) -> Result<(), String> {
        soap(content_type).map(drop)
    }

    fn data(&mut self, bytes: Bytes) -> Result<(), String> {
        self.body.extend_from_slice(&bytes);
        Ok(())
    }

    fn end(self) -> Result<(), String> {
        self.common.scan(&self.body)?;
        let entries = FIND.entry.find_iter(&self.body).count();
        if entries != self.hits as usize {
            return Err(format!("{entries} hits instead of {}", self.hits));
        }
        self.numbers()?;
        if !self.common.parse {
            return Ok(());
        }
        let (_, found, errors) = self.common.read(&self.body, query::read_response)?;
        let QueryResult::Objects(objects) = found else { return Err("ObjectRefs came".into()) };
        let right = objects.iter().all(|o| match o {
            MetadataObject::DocumentEntry(e) => {
                e.unique_id.starts_with(&self.unique_id_stem) && e.class_code.is_some() && e.hash.is_some()
            }
            _ => self.whole,
        });
        // With a membership for each document, and the set.
        let count = if self.whole { 2 * self.hits as usize + 1 } else { self.hits as usize };
        match right && errors.is_empty() && objects.len() == count {
            true => Ok(()),
            false => Err("the objects, read whole, are not those expected".into()),
        }
    }
}

/// ITI-43: every octet of the document, compared with what was provided.
pub struct Retrieved {
    pub common: Common,
    pub documents: Arc<Documents>,
    pub n: u64,
    pub unique_id: String,
    pub reader: Option<AnswerReader>,
    pub events: Vec<AnswerEvent>,
    pub offset: u64,
    pub count: u32,
}

impl Retrieved {
    fn compare(&mut self) -> Result<(), String> {
        for event in self.events.drain(..) {
            match event {
                AnswerEvent::Start(_) => self.count += 1,
                AnswerEvent::Data(bytes) => {
                    if !self.documents.matches(self.n, self.offset, &bytes) {
                        return Err("the document differs from the one provided".into());
                    }
                    self.offset += bytes.len() as u64;
                }
                AnswerEvent::End => {}
            }
        }
        Ok(())
    }
}

impl Check for Retrieved {
    fn head(&mut self, content_type: Option<&str>) -> Result<(), String> {
        self.reader = Some(AnswerReader::new(content_type).map_err(|e| e.to_string())?);
        Ok(())
    }

    fn data(&mut self, bytes: Bytes) -> Result<(), String> {
        let Some(reader) = &mut self.reader else { return Err("the answer has no head".into()) };
        reader.push(bytes, &mut self.events).map_err(|e| e.to_string())?;
        self.compare()
    }

    fn end(mut self) -> Result<(), String> {
        let Some(reader) = self.reader.take() else { return Err("the answer has no head".into()) };
        let envelope = reader.finish(&mut self.events).map_err(|e| e.to_string())?;
        self.compare()?;
        self.common.scan(envelope.as_bytes())?;
        if self.count != 1 || self.offset != self.documents.size {
            return Err(format!("{} documents, {} octets came", self.count, self.offset));
        }
        if memmem::find(envelope.as_bytes(), self.unique_id.as_bytes()).is_none() {
            return Err("the answer names another document".into());
        }
        if self.common.parse {
            let (_, errors, documents) = self.common.read(envelope.as_bytes(), retrieve::read_response)?;
            let right = documents.first().is_some_and(|d| d.document_unique_id == self.unique_id);
            if !right || documents.len() != 1 || !errors.is_empty() {
                return Err("the answer, read whole, is not the one expected".into());
            }
        }
        Ok(())
    }
}

fn soap(content_type: Option<&str>) -> Result<&str, String> {
    match content_type {
        Some(t) if t.starts_with("application/soap+xml") || t.starts_with("multipart/related") => Ok(t),
        other => Err(format!("the answer is {}", other.unwrap_or("of no media type"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::{ErrorCode, RegistryError};
    use crate::model::metadata::{Code, DocumentEntry};
    use crate::wire::soap::write_response;

    fn common(transaction: Transaction) -> Common {
        Common { transaction, message_id: "urn:uuid:m".into(), parse: true }
    }

    fn judged(mut check: impl Check, body: String) -> Result<(), String> {
        check.head(Some("application/soap+xml"))?;
        check.data(body.into())?;
        check.end()
    }

    fn answer(t: Transaction, body: impl FnOnce(&mut crate::wire::xml::XmlWriter<'static>)) -> String {
        write_response(t.row().response_action, Some("urn:uuid:m"), 0, body)
    }

    #[test]
    fn a_registration_must_succeed_and_relate() {
        let t = Transaction::Iti42;
        let check = || Registered { common: common(t), content_type: String::new(), body: BytesMut::new() };
        let good = answer(t, |w| response::write(w, ResponseStatus::Success, &[]));
        assert_eq!(judged(check(), good.clone()), Ok(()));
        assert!(judged(check(), good.replace("urn:uuid:m", "urn:uuid:n")).is_err());
        assert!(judged(check(), good.replace("bResponse", "bOther")).is_err());
        let errors = [RegistryError::new(ErrorCode::XDSUnknownPatientId, "x")];
        let bad = answer(t, |w| response::write(w, ResponseStatus::Failure, &errors));
        assert!(judged(check(), bad).unwrap_err().contains("XDSUnknownPatientId"));
    }

    #[test]
    fn a_query_must_find_just_what_was_loaded() {
        let t = Transaction::Iti18;
        let check = || Found {
            common: common(t),
            body: BytesMut::new(),
            unique_id_stem: "2.999.7.".into(),
            first: 1,
            hits: 2,
            whole: false,
        };
        let entry = |n: u32| {
            MetadataObject::DocumentEntry(Box::new(DocumentEntry {
                entry_uuid: format!("urn:uuid:{n}"),
                unique_id: format!("2.999.7.{n}"),
                class_code: Some(Code { code: "a".into(), scheme: "b".into(), ..Code::default() }),
                hash: Some("00".into()),
                ..DocumentEntry::default()
            }))
        };
        let found = |numbers: &[u32]| {
            let found = QueryResult::Objects(numbers.iter().map(|n| entry(*n)).collect());
            judged(check(), answer(t, |w| query::write_response(w, &found, &[])))
        };
        assert_eq!(found(&[2, 1]), Ok(()));
        for wrong in [&[1][..], &[1, 1], &[1, 3], &[1, 2, 3], &[0, 1]] {
            assert!(found(wrong).is_err(), "{wrong:?}");
        }
    }
}
