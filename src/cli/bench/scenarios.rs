//! What the driver asks: one type per scenario, each rendering its requests from a template.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use jiff::civil::date;

use super::checks::{Common, PARSED, Registered, Retrieved};
use super::connection::Pieces;
use super::drive::{Ask, Scenario};
use super::template::{Documents, Template, mark};
use crate::cli::submission::{publish_all, synthetic_objects};
use crate::model::metadata::{DocumentEntry, Submission};
use crate::model::transaction::Transaction;
use crate::peer::soap::{SOAP_TYPE, write_provide};
use crate::synthetic::{NETWORK_OID, Network, SplitMix64};
use crate::wire::ebxml::retrieve::{Content, DocumentRequest, write_request as write_retrieve};
use crate::wire::ebxml::submit;
use crate::wire::mtom::write::Multipart;
use crate::wire::saml::secured;
use crate::wire::soap::write_request;
use crate::wire::xml::XmlWriter;

/// The holes of a request.
pub(super) const MESSAGE: usize = 0;
/// The number in patient ids and uniqueIds.
pub(super) const PATIENT: usize = 1;
/// The number in uniqueIds that makes a submission unlike all others.
pub(super) const NUMBER: usize = 2;
/// The last digits of an entryUUID, and the version of an entry: updates alone have them.
pub(super) const UUID: usize = 3;
pub(super) const VERSION: usize = 4;
const HOLES: usize = 5;

/// What all scenarios of a run share.
#[derive(Debug, Clone)]
pub struct Run {
    /// Random: no two runs use the same ids.
    pub id: u32,
    pub seed: u64,
    pub url: String,
    /// Assigning authority of the patients.
    pub authority: String,
    /// repositoryUniqueId.
    pub repository: String,
    /// Signed; goes along with every request.
    pub assertion: Option<String>,
}

impl Run {
    /// `holes` in an envelope of `transaction`.
    pub(super) fn template(
        &self,
        transaction: Transaction,
        body: impl FnOnce(&mut XmlWriter<'static>),
    ) -> Template {
        let message = mark(MESSAGE);
        let mut request = write_request(transaction.row().request_action, &message, &self.url, body);
        if let Some(assertion) = &self.assertion {
            request = secured(&request, assertion);
        }
        Template::new(&request, HOLES)
    }

    pub(super) fn common(&self, transaction: Transaction, n: u64) -> Common {
        let message_id = format!("urn:uuid:{:08x}-0000-4000-8000-{n:012x}", self.id);
        Common { transaction, message_id, parse: n.is_multiple_of(PARSED) }
    }

    pub(super) fn patient(&self, name: &str) -> String {
        format!("{name}{}^^^&{}&ISO", mark(PATIENT), self.authority)
    }

    /// A submission of `entries` synthetic documents, of one patient; ids by [`NUMBER`] or, for
    /// data sets that must be the same each time, by `stem`.
    pub(super) fn submission(&self, entries: u32, patient: &str, stem: &str) -> Submission {
        let network = Network::generate(self.seed, 100, date(2026, 4, 1));
        let documents: Vec<_> = network.documents(u64::from(entries)).collect();
        let mut set = documents.first().map(|d| synthetic_objects(d).1).unwrap_or_default();
        set.unique_id = format!("{stem}0");
        set.patient_id = patient.to_owned();
        let entries = documents
            .iter()
            .zip(1..)
            .map(|(document, n)| DocumentEntry {
                entry_uuid: format!("Document{n:03}"),
                unique_id: format!("{stem}{n}"),
                patient_id: patient.to_owned(),
                repository_unique_id: Some(self.repository.clone()),
                hash: Some("da39a3ee5e6b4b0d3255bfef95601890afd80709".to_owned()),
                size: Some(document.bytes.len().to_string()),
                ..synthetic_objects(document).0
            })
            .collect();
        publish_all(entries, set)
    }
}

/// uniqueIds that no other run makes.
fn fresh_stem(run: &Run) -> String {
    format!("{NETWORK_OID}.8.{}.{}.", run.id, mark(NUMBER))
}

/// Patients that take what ITI-41 and ITI-42 write.
pub(super) const WRITTEN: &str = "BENCH-W";

pub(super) fn simple() -> HeaderValue {
    HeaderValue::from_static(SOAP_TYPE)
}

/// ITI-42, one DocumentEntry each.
pub struct Register {
    run: Run,
    template: Template,
    patients: u64,
}

impl Register {
    /// `bytes`: the request is filled up to about this size by indentation, as pretty-printing
    /// senders do.
    pub fn new(run: Run, patients: u64, bytes: usize) -> Self {
        let submission = run.submission(1, &run.patient(WRITTEN), &fresh_stem(&run));
        let message = mark(MESSAGE);
        let action = Transaction::Iti42.row().request_action;
        let text = write_request(action, &message, &run.url, |w| submit::write(w, &submission));
        let template = Template::new(&indented(&text, bytes), HOLES);
        Self { run, template, patients: patients.max(1) }
    }
}

/// `xml` with line breaks and blanks between its tags, about `bytes` in all.
fn indented(xml: &str, bytes: usize) -> String {
    let joints = xml.matches("><").count().max(1);
    let each = bytes.saturating_sub(xml.len()).div_ceil(joints);
    if each == 0 {
        return xml.to_owned();
    }
    xml.replace("><", &format!(">\n{}<", " ".repeat(each - 1)))
}

impl Scenario for Register {
    type Check = Registered;

    fn ask(&self, n: u64) -> Option<(Ask, Registered)> {
        let common = self.run.common(Transaction::Iti42, n);
        let (patient, number) = ((n % self.patients).to_string(), n.to_string());
        let body = self.template.fill(b"", &[&common.message_id, &patient, &number], b"");
        let ask = Ask::Post { content_type: simple(), body: Pieces::new([body]) };
        Some((ask, Registered { common, content_type: String::new(), body: BytesMut::with_capacity(1024) }))
    }
}

/// ITI-41, one document each.
pub struct Provide {
    run: Run,
    template: Template,
    head: Bytes,
    /// Between envelope and document.
    between: Bytes,
    tail: Bytes,
    content_type: HeaderValue,
    documents: Arc<Documents>,
    patients: u64,
    /// Stop after this many.
    limit: u64,
}

/// Above this the document is sent in slices rather than copied behind its envelope.
const COPIED: u64 = 256 << 10;

impl Provide {
    pub fn new(run: Run, patients: u64, documents: Arc<Documents>, limit: u64) -> Result<Self, String> {
        let mut submission = run.submission(1, &run.patient(WRITTEN), &fresh_stem(&run));
        for entry in &mut submission.document_entries {
            // The repository's to say.
            (entry.repository_unique_id, entry.hash, entry.size) = (None, None, None);
        }
        let multipart = Multipart::fresh();
        let id = multipart.document_id(1);
        let template = run.template(Transaction::Iti41, |w| {
            write_provide(w, &submission, &[("Document001", Content::Include(id.clone()))]);
        });
        let mime = submission.document_entries.first().map_or("", |e| &e.mime_type);
        Ok(Self {
            template,
            head: multipart.root_head(),
            between: [multipart.part_end(), multipart.part_head(&id, mime)].concat().into(),
            tail: [multipart.part_end(), multipart.closing()].concat().into(),
            content_type: HeaderValue::from_str(&multipart.content_type(None)).map_err(|e| e.to_string())?,
            documents,
            patients: patients.max(1),
            limit,
            run,
        })
    }

    /// uniqueId of the document of number `n`.
    pub fn unique_id(run: &Run, n: u64) -> String {
        format!("{NETWORK_OID}.8.{}.{n}.1", run.id)
    }
}

impl Scenario for Provide {
    type Check = Registered;

    fn ask(&self, n: u64) -> Option<(Ask, Registered)> {
        if n >= self.limit {
            return None;
        }
        let common = self.run.common(Transaction::Iti41, n);
        let (patient, number) = ((n % self.patients).to_string(), n.to_string());
        let envelope =
            self.template.fill(&self.head, &[&common.message_id, &patient, &number], &self.between);
        let document = self.documents.pieces(n);
        let body = match self.documents.size <= COPIED {
            true => {
                let pieces: Vec<Bytes> =
                    [envelope].into_iter().chain(document).chain([self.tail.clone()]).collect();
                Pieces::new([Bytes::from(pieces.concat())])
            }
            false => Pieces::new([envelope].into_iter().chain(document).chain([self.tail.clone()])),
        };
        let ask = Ask::Post { content_type: self.content_type.clone(), body };
        Some((ask, Registered { common, content_type: String::new(), body: BytesMut::with_capacity(1024) }))
    }
}

/// ITI-43, one document each, at random among those [`Provide`] gave under the same run.
pub struct Retrieve {
    run: Run,
    template: Template,
    content_type: HeaderValue,
    head: Bytes,
    tail: Bytes,
    documents: Arc<Documents>,
    count: u64,
}

impl Retrieve {
    pub fn new(run: Run, documents: Arc<Documents>, count: u64) -> Result<Self, String> {
        let multipart = Multipart::fresh();
        let request = DocumentRequest {
            home_community_id: None,
            repository_unique_id: run.repository.clone(),
            document_unique_id: mark(NUMBER),
        };
        Ok(Self {
            template: run.template(Transaction::Iti43, |w| write_retrieve(w, &[request])),
            content_type: HeaderValue::from_str(&multipart.content_type(None)).map_err(|e| e.to_string())?,
            head: multipart.root_head(),
            tail: [multipart.part_end(), multipart.closing()].concat().into(),
            documents,
            count: count.max(1),
            run,
        })
    }
}

impl Scenario for Retrieve {
    type Check = Retrieved;

    fn ask(&self, n: u64) -> Option<(Ask, Retrieved)> {
        let common = self.run.common(Transaction::Iti43, n);
        let document = SplitMix64::derived(self.run.seed, 3, n).below(self.count);
        let unique_id = Provide::unique_id(&self.run, document);
        let body = self.template.fill(&self.head, &[&common.message_id, "", &unique_id], &self.tail);
        let ask = Ask::Post { content_type: self.content_type.clone(), body: Pieces::new([body]) };
        let check = Retrieved {
            common,
            documents: self.documents.clone(),
            n: document,
            unique_id,
            reader: None,
            events: vec![],
            offset: 0,
            count: 0,
        };
        Some((ask, check))
    }
}

/// Documents of one order in a [`DataSet`]: the hits of a FindDocumentsByReferenceId.
pub(super) const ORDER: u32 = 5;

/// A data set that queries know: `per_patient` documents for each of `patients` patients, the same
/// ids each time it is loaded.
#[derive(Debug, Clone, Copy)]
pub struct DataSet {
    /// Data sets of different numbers share nothing.
    pub number: u32,
    pub patients: u64,
    pub per_patient: u32,
}

impl DataSet {
    pub(super) fn patient_name(self) -> String {
        format!("BENCH-{}-", self.number)
    }

    pub(super) fn stem(self, patient: &str) -> String {
        format!("{NETWORK_OID}.7.{}.{patient}.", self.number)
    }

    /// An order of [`ORDER`] documents, as CXi of referenceIdList (ITI TF-3 4.2.3.2.28).
    pub(super) fn order(patient: &str, n: &str) -> String {
        format!("ORDER-{patient}-{n}^^^&{NETWORK_OID}.7&ISO^urn:ihe:iti:xds:2013:order")
    }

    /// How many orders a patient has.
    pub(super) fn orders(self) -> u64 {
        u64::from(self.per_patient.div_ceil(ORDER))
    }
}

/// ITI-42, a patient's documents in one submission.
pub struct Load {
    run: Run,
    template: Template,
    set: DataSet,
    /// The first patient.
    from: u64,
}

impl Load {
    pub fn new(run: Run, set: DataSet, from: u64) -> Self {
        let mut submission =
            run.submission(set.per_patient, &run.patient(&set.patient_name()), &set.stem(&mark(PATIENT)));
        for (entry, n) in submission.document_entries.iter_mut().zip(0..) {
            entry.reference_id_list = vec![DataSet::order(&mark(PATIENT), &(n / ORDER).to_string())];
        }
        let template = run.template(Transaction::Iti42, |w| submit::write(w, &submission));
        Self { run, template, set, from }
    }
}

impl Scenario for Load {
    type Check = Registered;

    fn ask(&self, n: u64) -> Option<(Ask, Registered)> {
        let patient = self.from + n;
        if patient >= self.set.patients {
            return None;
        }
        let common = self.run.common(Transaction::Iti42, n);
        let body = self.template.fill(b"", &[&common.message_id, &patient.to_string()], b"");
        let ask = Ask::Post { content_type: simple(), body: Pieces::new([body]) };
        Some((ask, Registered { common, content_type: String::new(), body: BytesMut::with_capacity(1024) }))
    }
}

#[cfg(test)]
mod tests {
    use hyper::body::Body;

    use super::super::find::{Find, Query};
    use super::super::revise::Revise;
    use super::*;
    use crate::model::codes::{CodeCheck, Vocabulary};
    use crate::model::error::ErrorCode;
    use crate::model::query::{QueryId, StoredQuery};
    use crate::model::rules::{self, Column, Profile, Rules};
    use crate::wire::ebxml::query;
    use crate::wire::soap;
    use crate::wire::xml::tree;

    fn run() -> Run {
        Run {
            id: 7,
            seed: 1,
            url: "http://h/x".into(),
            authority: "2.999.1".into(),
            repository: "2.999.2".into(),
            assertion: None,
        }
    }

    /// The whole request as text.
    fn sent(ask: Ask) -> String {
        let Ask::Post { body, .. } = ask else { return String::new() };
        let mut body = Box::pin(body);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let mut all = vec![];
        while let std::task::Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut cx) {
            all.extend_from_slice(&frame.into_data().unwrap());
        }
        String::from_utf8_lossy(&all).into_owned()
    }

    fn strictly(xml: &str) -> Submission {
        let doc = tree::parse(xml).unwrap();
        let body = soap::read(&doc, &|_| false).unwrap().body;
        let vocabulary = Vocabulary::japan(CodeCheck::Strict).unwrap();
        let rules = Rules {
            column: Column::DocumentRepository,
            profile: Profile::Jahis,
            vocabulary: &vocabulary,
            limited_metadata: false,
        };
        let mut draft = submit::read(body, Some(&rules));
        let duplicate = ErrorCode::XDSRegistryDuplicateUniqueIdInMessage;
        rules::submission::check(&draft.submission, duplicate, &mut draft.problems);
        assert_eq!(draft.problems, []);
        draft.submission
    }

    #[test]
    fn what_is_registered_keeps_the_rules_and_is_of_the_size_asked() {
        let register = Register::new(run(), 10, 12_000);
        let (first, check) = register.ask(0).unwrap();
        let first = sent(first);
        assert!((12_000..12_600).contains(&first.len()), "{}", first.len());
        assert!(first.contains(&check.common.message_id) && !first.contains("@@"));
        let first = strictly(&first);
        let second = strictly(&sent(register.ask(1).unwrap().0));
        assert_ne!(first.document_entries[0].unique_id, second.document_entries[0].unique_id);
        assert_ne!(first.submission_set.unique_id, second.submission_set.unique_id);
        assert_ne!(first.submission_set.patient_id, second.submission_set.patient_id);
    }

    #[test]
    fn a_data_set_is_what_its_queries_expect() {
        let set = DataSet { number: 1, patients: 3, per_patient: 25 };
        let load = Load::new(run(), set, 0);
        let submission = strictly(&sent(load.ask(2).unwrap().0));
        assert_eq!(submission.document_entries.len(), 25);
        assert!(load.ask(3).is_none());
        let (ask, check) = Find::new(run(), set, Query::FindDocuments).ask(5).unwrap();
        let xml = sent(ask);
        let doc = tree::parse(&xml).unwrap();
        let request = query::read_request(soap::read(&doc, &|_| false).unwrap().body, false).unwrap();
        assert_eq!(request.query.id(), QueryId::FindDocuments);
        let StoredQuery::FindDocuments(find) = request.query else { unreachable!() };
        let patient: u64 = check.unique_id_stem.rsplit('.').nth(1).unwrap().parse().unwrap();
        assert_eq!(find.patient_ids, [format!("BENCH-1-{patient}^^^&2.999.1&ISO")]);
        let loaded = strictly(&sent(load.ask(patient).unwrap().0));
        assert_eq!(loaded.submission_set.patient_id, find.patient_ids[0]);
        assert_eq!(loaded.document_entries[24].unique_id, format!("{}25", check.unique_id_stem));
    }

    #[test]
    fn every_query_asks_for_what_was_loaded() {
        let set = DataSet { number: 1, patients: 3, per_patient: 12 };
        let asked = |query: Query, n| {
            let (ask, check) = Find::new(run(), set, query).ask(n).unwrap();
            let xml = sent(ask);
            let doc = tree::parse(&xml).unwrap();
            let request = query::read_request(soap::read(&doc, &|_| false).unwrap().body, false).unwrap();
            (request.query, check)
        };
        let (all, check) = asked(Query::GetAll, 3);
        assert!(all.id() == QueryId::GetAll && check.whole && check.hits == 12);
        let (some, check) = asked(Query::GetDocuments, 3);
        assert!(some.id() == QueryId::GetDocuments && (check.first, check.hits) == (1, 10));
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..100 {
            let (StoredQuery::FindDocumentsByReferenceId(q), check) =
                asked(Query::FindDocumentsByReferenceId, n)
            else {
                unreachable!()
            };
            let patient: u64 = check.unique_id_stem.rsplit('.').nth(1).unwrap().parse().unwrap();
            let loaded = strictly(&sent(Load::new(run(), set, 0).ask(patient).unwrap().0));
            let of_order = |e: &&DocumentEntry| q.reference_id_list[0] == e.reference_id_list;
            let ids: Vec<String> =
                loaded.document_entries.iter().filter(of_order).map(|e| e.unique_id.clone()).collect();
            let wanted =
                (check.first..check.first + check.hits).map(|n| format!("{}{n}", check.unique_id_stem));
            assert_eq!(ids, wanted.collect::<Vec<_>>());
            seen.insert((check.first, check.hits));
        }
        assert_eq!(seen, [(1, 5), (6, 5), (11, 2)].into());
    }

    #[test]
    fn each_update_follows_the_one_before() {
        let revise = Revise::new(run(), 10, 3);
        let first = strictly(&sent(revise.originals().ask(2).unwrap().0)).document_entries.remove(0);
        assert!(revise.originals().ask(3).is_none());
        for (n, version) in [(2, "1"), (5, "2"), (8, "3")] {
            let xml = sent(revise.ask(n).unwrap().0);
            let doc = tree::parse(&xml).unwrap();
            let body = soap::read(&doc, &|_| false).unwrap().body;
            let draft = crate::wire::ebxml::update::read(body, None);
            assert_eq!(draft.problems, []);
            let next = &draft.update.submission.document_entries[0];
            assert_eq!(next.logical_id.as_ref(), Some(&first.entry_uuid));
            assert_eq!((&next.unique_id, &next.patient_id), (&first.unique_id, &first.patient_id));
            assert!(xml.contains(&format!("<rim:Value>{version}</rim:Value>")), "{xml}");
        }
    }

    #[test]
    fn what_is_provided_can_be_retrieved() {
        for size in [100, COPIED + 1] {
            let documents = Arc::new(Documents::new(7, size));
            let provide = Provide::new(run(), 10, documents.clone(), 2).unwrap();
            let text = sent(provide.ask(1).unwrap().0);
            let unique_id = Provide::unique_id(&run(), 1);
            let envelope = text.split_once("</soap:Envelope>").unwrap().0;
            assert!(envelope.contains(&unique_id) && !envelope.contains("@@"));
            assert!(text.contains(&String::from_utf8_lossy(&documents.pieces(1)[0]).into_owned()));
            assert!(provide.ask(2).is_none());
            let retrieve = Retrieve::new(run(), documents, 2).unwrap();
            let (ask, check) = retrieve.ask(0).unwrap();
            assert!(sent(ask).contains(&check.unique_id));
        }
    }
}
