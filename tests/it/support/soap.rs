//! A client that is not the gateway's own: envelopes by hand, HTTP by hyper, and every answer held
//! against the published schemas before a test sees it.

use std::net::SocketAddr;

use bytes::Bytes;
use chiren::model::metadata::{Association, DocumentEntry, Folder, MetadataObject, Submission, Update};
use chiren::model::query::QueryResult;
use chiren::model::transaction::{Packaging, Transaction};
use chiren::wire::ebxml::query::{self, AdhocQueryRequest};
use chiren::wire::ebxml::response::{self, ResponseStatus};
use chiren::wire::ebxml::retrieve::{self, Content, DocumentRequest, DocumentResponse};
use chiren::wire::ebxml::{remove, remove_documents, submit, update};
use chiren::wire::mtom::content_type::{ContentType, Packaging as Packed};
use chiren::wire::mtom::split::{MtomLimits, PartEvent, Splitter};
use chiren::wire::mtom::write::{Multipart, soap_type};
use chiren::wire::soap::{SoapResponse, read_response};
use chiren::wire::xml::{XmlWriter, tree};
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::schema::validate_soap;

/// A client of one listener.
#[derive(Clone)]
pub struct Soap {
    pub address: SocketAddr,
}

/// A request that wants its answer elsewhere, and what came back at once.
#[derive(Debug)]
pub struct Sent {
    pub message_id: String,
    pub answer: Answer,
}

/// An answer, its envelope valid.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub envelope: String,
    /// Documents by Content-ID.
    pub parts: Vec<(String, Bytes)>,
    pub mtom: bool,
}

impl Soap {
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Sends bytes as they are.
    pub async fn post(&self, path: &str, content_type: &str, body: impl Into<Bytes>) -> Answer {
        let stream = tokio::net::TcpStream::connect(self.address).await.expect("the gateway listens");
        stream.set_nodelay(true).expect("nodelay");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a connection");
        tokio::spawn(connection);
        let request = Request::post(path)
            .header(header::HOST, self.address.to_string())
            .header(header::CONTENT_TYPE, content_type)
            .body(Full::new(body.into()))
            .expect("a request");
        let response = sender.send_request(request).await.expect("an answer");
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a whole answer").to_bytes();
        Answer::read(head.status, head.headers, body)
    }

    /// Sends a body element in an envelope, packed as the transaction wants it, with documents as
    /// parts `(Content-ID, bytes)`.
    pub async fn send(&self, t: Transaction, body: &str, parts: &[(&str, &[u8])]) -> Answer {
        self.send_with_headers(t, body, parts, &synchronous()).await
    }

    /// The same, its answer wanted at `reply_to`.
    pub async fn send_to(&self, t: Transaction, body: &str, parts: &[(&str, &[u8])], reply_to: &str) -> Sent {
        let message_id = format!("urn:uuid:{}", uuid::Uuid::new_v4());
        let headers = format!(
            "<a:MessageID>{message_id}</a:MessageID>\
             <a:ReplyTo><a:Address>{reply_to}</a:Address></a:ReplyTo>"
        );
        let answer = self.send_with_headers(t, body, parts, &headers).await;
        Sent { message_id, answer }
    }

    /// The same with these headers beside the Action.
    pub async fn send_with_headers(
        &self,
        t: Transaction,
        body: &str,
        parts: &[(&str, &[u8])],
        headers: &str,
    ) -> Answer {
        let row = t.row();
        let envelope = envelope_with(row.request_action, headers, body);
        match row.packaging {
            Packaging::Simple => {
                let action = row.action_in_content_type.then_some(row.request_action);
                self.post(row.path, &soap_type(action), envelope).await
            }
            Packaging::Mtom => {
                let (content_type, message) = mtom(&envelope, parts);
                self.post(row.path, &content_type, message).await
            }
        }
    }

    /// ITI-42.
    pub async fn register(&self, s: &Submission) -> Answer {
        self.send(Transaction::Iti42, &submit_objects(s), &[]).await
    }

    /// ITI-61.
    pub async fn register_on_demand(&self, s: &Submission) -> Answer {
        self.send(Transaction::Iti61, &submit_objects(s), &[]).await
    }

    /// ITI-41 with each document as an MTOM part, `(DocumentEntry id, bytes)`.
    pub async fn provide(&self, s: &Submission, documents: &[(&str, &[u8])]) -> Answer {
        let includes: Vec<String> =
            documents.iter().enumerate().map(|(n, (id, _))| include(id, &format!("doc{n}@test"))).collect();
        let names: Vec<String> = (0..documents.len()).map(|n| format!("doc{n}@test")).collect();
        let parts: Vec<(&str, &[u8])> =
            names.iter().zip(documents).map(|(name, (_, bytes))| (name.as_str(), *bytes)).collect();
        self.send(Transaction::Iti41, &provide_and_register(s, &includes.concat()), &parts).await
    }

    /// ITI-18.
    pub async fn query(&self, request: &AdhocQueryRequest) -> Answer {
        self.send(Transaction::Iti18, &adhoc_query(request), &[]).await
    }

    /// ITI-57.
    pub async fn update(&self, u: &Update) -> Answer {
        self.send(Transaction::Iti57, &update_objects(u), &[]).await
    }

    /// ITI-92.
    pub async fn update_restricted(&self, u: &Update) -> Answer {
        self.send(Transaction::Iti92, &update_objects(u), &[]).await
    }

    /// ITI-62.
    pub async fn remove(&self, ids: &[&str]) -> Answer {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        let mut w = XmlWriter::new();
        remove::write(&mut w, &ids);
        self.send(Transaction::Iti62, &w.finish(), &[]).await
    }

    /// ITI-51.
    pub async fn query_multi_patient(&self, request: &AdhocQueryRequest) -> Answer {
        self.send(Transaction::Iti51, &adhoc_query(request), &[]).await
    }

    /// ITI-43 of documents of one repository.
    pub async fn retrieve(&self, repository: &str, unique_ids: &[&str]) -> Answer {
        self.send(Transaction::Iti43, &retrieve_documents(repository, unique_ids), &[]).await
    }

    /// ITI-86 of documents of one repository.
    pub async fn remove_documents(&self, repository: &str, unique_ids: &[&str]) -> Answer {
        let mut w = XmlWriter::new();
        remove_documents::write(&mut w, &documents(repository, unique_ids));
        self.send(Transaction::Iti86, &w.finish(), &[]).await
    }
}

/// `xds:DocumentRequest`s for documents of one repository.
pub fn documents(repository: &str, unique_ids: &[&str]) -> Vec<DocumentRequest> {
    let request = |id: &&str| DocumentRequest {
        home_community_id: None,
        repository_unique_id: repository.into(),
        document_unique_id: (*id).into(),
    };
    unique_ids.iter().map(request).collect()
}

pub const SIMPLE: &str = "application/soap+xml; charset=UTF-8";

pub fn envelope(action: &str, body: &str) -> String {
    envelope_with(action, &synchronous(), body)
}

/// The headers of a request that is answered on its connection.
fn synchronous() -> String {
    format!(
        "<a:MessageID>urn:uuid:{}</a:MessageID>\
         <a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo>",
        uuid::Uuid::new_v4()
    )
}

pub fn envelope_with(action: &str, headers: &str, body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:a=\"http://www.w3.org/2005/08/addressing\"><s:Header>\
         <a:Action s:mustUnderstand=\"1\">{action}</a:Action>{headers}\
         </s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
}

pub fn submit_objects(s: &Submission) -> String {
    let mut w = XmlWriter::new();
    submit::write(&mut w, s);
    w.finish()
}

pub fn update_objects(u: &Update) -> String {
    let mut w = XmlWriter::new();
    update::write(&mut w, u);
    w.finish()
}

pub fn adhoc_query(request: &AdhocQueryRequest) -> String {
    let mut w = XmlWriter::new();
    query::write_request(&mut w, request);
    w.finish()
}

pub fn retrieve_documents(repository: &str, unique_ids: &[impl AsRef<str>]) -> String {
    let requests: Vec<DocumentRequest> = unique_ids
        .iter()
        .map(|id| DocumentRequest {
            home_community_id: None,
            repository_unique_id: repository.into(),
            document_unique_id: id.as_ref().into(),
        })
        .collect();
    let mut w = XmlWriter::new();
    retrieve::write_request(&mut w, &requests);
    w.finish()
}

/// The ITI-41 body around a submission and its `xds:Document` elements.
pub fn provide_and_register(s: &Submission, documents: &str) -> String {
    format!(
        "<xds:ProvideAndRegisterDocumentSetRequest xmlns:xds=\"urn:ihe:iti:xds-b:2007\">{}{documents}\
         </xds:ProvideAndRegisterDocumentSetRequest>",
        submit_objects(s)
    )
}

/// `xds:Document` whose bytes are in a part.
pub fn include(id: &str, content_id: &str) -> String {
    format!(
        "<xds:Document id=\"{id}\"><xop:Include xmlns:xop=\"http://www.w3.org/2004/08/xop/include\" \
         href=\"cid:{content_id}\"/></xds:Document>"
    )
}

/// `xds:Document` with its bytes in it.
pub fn inline(id: &str, bytes: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    format!("<xds:Document id=\"{id}\">{text}</xds:Document>")
}

/// A multipart message: Content-Type and bytes.
pub fn mtom(envelope: &str, parts: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let multipart = Multipart::fresh();
    let mut out = multipart.root_head().to_vec();
    out.extend_from_slice(envelope.as_bytes());
    out.extend_from_slice(&multipart.part_end());
    for (id, bytes) in parts {
        out.extend_from_slice(&multipart.part_head(id, "application/octet-stream"));
        out.extend_from_slice(bytes);
        out.extend_from_slice(&multipart.part_end());
    }
    out.extend_from_slice(&multipart.closing());
    (multipart.content_type(None), out)
}

impl Answer {
    pub fn read(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        let answer = Self::unjudged(status, headers, body);
        if answer.envelope.contains("http://www.w3.org/2003/05/soap-envelope") {
            validate_soap(&answer.envelope)
                .unwrap_or_else(|e| panic!("invalid answer: {e:#?}\n{}", answer.envelope));
        }
        answer
    }

    /// Not held against the schemas: for answers by the ten thousand.
    pub fn unjudged(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        let packed = ContentType::parse(kind).and_then(|c| c.packaging());
        let (envelope, parts, mtom) = match packed {
            Ok(Packed::Mtom(related)) => {
                let mut events = vec![];
                let mut splitter = Splitter::for_related(&related, MtomLimits::default());
                splitter.push(body, &mut events).expect("a multipart answer");
                splitter.finish(&mut events).expect("a whole multipart answer");
                let mut parts: Vec<(bool, String, Vec<u8>)> = vec![];
                for event in events {
                    match event {
                        PartEvent::Start(head) => {
                            parts.push((head.root, head.content_id.unwrap_or_default(), vec![]));
                        }
                        PartEvent::Data(bytes) => {
                            parts.last_mut().expect("a part").2.extend_from_slice(&bytes);
                        }
                        PartEvent::End => {}
                    }
                }
                let root = parts.iter().position(|p| p.0).expect("a root part");
                let (_, _, envelope) = parts.remove(root);
                let parts = parts.into_iter().map(|(_, id, bytes)| (id, bytes.into())).collect();
                (String::from_utf8(envelope).expect("UTF-8"), parts, true)
            }
            _ => (String::from_utf8_lossy(&body).into_owned(), vec![], false),
        };
        Self { status, headers, envelope, parts, mtom }
    }

    fn body<T>(&self, read: impl FnOnce(roxmltree::Node<'_, '_>) -> T) -> T {
        let doc = tree::parse(&self.envelope).unwrap_or_else(|e| panic!("{e}: {}", self.envelope));
        match read_response(&doc).unwrap_or_else(|e| panic!("{e}: {}", self.envelope)) {
            SoapResponse::Body { body, .. } => read(body),
            SoapResponse::Fault { code, subcode, reason } => panic!("fault {code} {subcode:?}: {reason}"),
        }
    }

    /// Code and subcode of a fault.
    #[track_caller]
    pub fn fault(&self) -> (String, Option<String>) {
        let doc = tree::parse(&self.envelope).unwrap_or_else(|e| panic!("{e}: {}", self.envelope));
        match read_response(&doc).unwrap_or_else(|e| panic!("{e}: {}", self.envelope)) {
            SoapResponse::Fault { code, subcode, .. } => (code, subcode),
            SoapResponse::Body { .. } => panic!("no fault: {}", self.envelope),
        }
    }

    /// Status and `(code, location)` of every error and warning.
    pub fn registry(&self) -> (ResponseStatus, Vec<(String, String)>) {
        assert_eq!(self.status, StatusCode::OK, "{}", self.envelope);
        let (status, errors) = self.body(|body| {
            let inner = tree::elements(body).find(|n| n.tag_name().name() == "RegistryResponse");
            response::read(inner.unwrap_or(body)).expect("a registry response")
        });
        let errors = errors
            .into_iter()
            .map(|e| (e.code.as_str().to_owned(), e.location.unwrap_or_default()))
            .collect();
        (status, errors)
    }

    /// Success, perhaps with warnings.
    #[track_caller]
    pub fn assert_success(&self) {
        assert_eq!(self.registry().0, ResponseStatus::Success, "{}", self.envelope);
    }

    /// Failure with exactly these codes, in any order, each once however often it stands.
    #[track_caller]
    pub fn assert_failure(&self, codes: &[&str]) {
        let (status, errors) = self.registry();
        assert_eq!(status, ResponseStatus::Failure, "{}", self.envelope);
        let mut found: Vec<&str> = errors.iter().map(|(code, _)| code.as_str()).collect();
        found.sort_unstable();
        found.dedup();
        let mut wanted = codes.to_vec();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{}", self.envelope);
    }

    /// What a query found.
    pub fn found(&self) -> QueryResult {
        self.body(|body| query::read_response(body).expect("a query response").1)
    }

    pub fn objects(&self) -> Vec<MetadataObject> {
        match self.found() {
            QueryResult::Objects(objects) => objects,
            QueryResult::Refs(refs) if refs.is_empty() => vec![],
            QueryResult::Refs(refs) => panic!("references: {refs:?}"),
        }
    }

    pub fn entries(&self) -> Vec<DocumentEntry> {
        self.objects()
            .into_iter()
            .filter_map(|o| match o {
                MetadataObject::DocumentEntry(e) => Some(*e),
                _ => None,
            })
            .collect()
    }

    pub fn folders(&self) -> Vec<Folder> {
        self.objects()
            .into_iter()
            .filter_map(|o| match o {
                MetadataObject::Folder(f) => Some(*f),
                _ => None,
            })
            .collect()
    }

    pub fn associations(&self) -> Vec<Association> {
        self.objects()
            .into_iter()
            .filter_map(|o| match o {
                MetadataObject::Association(a) => Some(*a),
                _ => None,
            })
            .collect()
    }

    /// What an ITI-43 answer says of its documents.
    pub fn responses(&self) -> Vec<DocumentResponse> {
        self.body(|b| retrieve::read_response(b).expect("a retrieve response").2)
    }

    /// Documents of an ITI-43 answer by uniqueId, whether they came in parts or inline.
    pub fn documents(&self) -> Vec<(String, Bytes)> {
        use base64::Engine as _;
        self.responses()
            .into_iter()
            .map(|d| {
                let bytes = match &d.content {
                    Content::Include(href) => {
                        let id = href.strip_prefix("cid:").expect("a cid");
                        let part = self.parts.iter().find(|(name, _)| name == id);
                        part.unwrap_or_else(|| panic!("no part {id}")).1.clone()
                    }
                    Content::Base64(text) => {
                        base64::engine::general_purpose::STANDARD.decode(text.trim()).expect("base64").into()
                    }
                };
                (d.document_unique_id, bytes)
            })
            .collect()
    }
}
