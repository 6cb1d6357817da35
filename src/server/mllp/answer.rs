//! One message: read, handed to the index, answered.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jiff::Timestamp;
use jiff::tz;
use tracing::{error, info, warn};

use super::{MllpFace, rehearse, strict};
use crate::model::audit::{self, Outcome as AuditOutcome};
use crate::model::error::Error;
use crate::model::identity::{DomainId, Feed, FeedMessage, Source, Warning};
use crate::model::node::{Entry, Trespass, alert};
use crate::model::transaction::Transaction;
use crate::server::http::ConnInfo;
use crate::server::metrics::Outcome;
use crate::service::audit::Faulted;
use crate::service::context::Context;
use crate::service::mpi::{Page, Refusal};
use crate::service::nodes::check;
use crate::wire::hl7v2::charset::Encoded;
use crate::wire::hl7v2::reply::{self, Answering, Hit, Totals};
use crate::wire::hl7v2::{
    self, Ack, Body, Condition, Echo, ErrorSegment, Exchange, Header, Identifier, Location, Refused, Request,
};

/// What is to be answered.
pub enum Arrived {
    Message(Vec<u8>),
    TooLong { beginning: Vec<u8>, bytes: u64 },
}

/// How much of a message is set aside for the case that it cannot be answered as it should.
const SPARE: usize = 2048;

impl Arrived {
    pub fn bytes(&self) -> u64 {
        match self {
            Arrived::Message(message) => message.len() as u64,
            Arrived::TooLong { bytes, .. } => *bytes,
        }
    }

    pub fn beginning(&self) -> Arrived {
        match self {
            Arrived::Message(message) | Arrived::TooLong { beginning: message, .. } => {
                Arrived::Message(message.get(..SPARE).unwrap_or(message).to_vec())
            }
        }
    }
}

/// Why a message cannot be answered as it should: ours, not the sender's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Too much to do.
    Busy,
    /// Not done in time.
    Late,
    Failed,
}

/// An answer, and what is logged of it.
pub struct Done {
    pub bytes: Vec<u8>,
    pub transaction: &'static str,
    pub outcome: Outcome,
    pub ack: &'static str,
    /// Of the first error.
    pub code: &'static str,
    pub event: String,
    pub control_id: String,
    pub source: String,
    pub warnings: usize,
    pub substituted: usize,
}

/// One message being answered.
pub struct Asking<'a> {
    face: &'a MllpFace,
    conn: &'a ConnInfo,
    request_id: &'a str,
    received_at: Timestamp,
    /// MSH-7 and MSH-10 of the answer.
    time: String,
    control_id: String,
}

impl<'a> Asking<'a> {
    pub fn new(face: &'a MllpFace, conn: &'a ConnInfo, request_id: &'a str, received_at: Timestamp) -> Self {
        // Twenty characters is what MSH-10 holds: the time and 26 bits of chance.
        let control_id = request_id.chars().filter(|c| *c != '-').take(20).collect::<String>().to_uppercase();
        Self { face, conn, request_id, received_at, time: hl7_time(received_at), control_id }
    }

    fn answering(&self) -> Answering<'_> {
        Answering { time: &self.time, control_id: &self.control_id }
    }

    pub async fn answer(&self, arrived: Arrived) -> Done {
        if let Some(refused) = self.loose(&arrived) {
            self.record(&refused).await;
            return self.refuse(&refused);
        }
        let question = match &arrived {
            Arrived::Message(message) => self.question(message),
            Arrived::TooLong { .. } => None,
        };
        let read = match &arrived {
            Arrived::Message(message) => hl7v2::read(message, &self.face.reading),
            Arrived::TooLong { beginning, .. } => {
                Err(Box::new(hl7v2::too_long(beginning, self.face.config.message_bytes())))
            }
        };
        drop(arrived);
        let request = match read {
            Ok(request) => request,
            Err(refused) => {
                self.record(&refused).await;
                return self.refuse(&refused);
            }
        };
        let Request { header, transaction, body } = request;
        let party = |facility: &str, application: &str| Some(format!("{facility}|{application}"));
        let asks = matches!(body, Body::Pix(..) | Body::Demographics(..));
        let exchange = audit::Exchange {
            local: Some(self.conn.local_addr.ip().to_string()),
            sender: party(&header.sending_facility, &header.sending_application),
            receiver: party(&header.receiving_facility, &header.receiving_application),
            message_id: Some(header.control_id.trim().to_owned()).filter(|id| !id.is_empty()),
            event: Some(format!("{}^{}", header.message_type, header.event)),
            question: question.filter(|_| asks),
            ..audit::Exchange::default()
        };
        let ours = header.processing == self.face.config.processing_id.as_str();
        let context = Context {
            transaction,
            caller: self.conn.caller(),
            request_id: self.request_id.to_owned(),
            received_at: self.received_at,
            elsewhere: None,
            exchange: exchange.into(),
        };
        let known = Known { header: &header, transaction: Some(transaction), echo: None };
        if let Err(trespass) = self.granted(&header, transaction, &body) {
            return self.trespassed(known, &trespass, &body).await;
        }
        match body {
            Body::Feed(message) if !ours => self.rehearsed(known, &message).await,
            Body::Feed(message) => Box::pin(self.feed(&context, known, *message)).await,
            Body::Pix(echo, _) | Body::Demographics(echo, ..) if !ours => {
                let errors = vec![ErrorSegment::new(
                    Location::field("MSH", 1, 11),
                    Condition::Processing,
                    format!(
                        "MSH-11 {:?}: this gateway answers questions of kind {} only",
                        header.processing,
                        self.kind()
                    ),
                )];
                let refused = Refused {
                    header: Some(header),
                    transaction: Some(transaction),
                    echo: Some(echo),
                    ack: Ack::Reject,
                    errors,
                };
                self.record(&refused).await;
                self.refuse(&refused)
            }
            Body::Pix(echo, query) => {
                let known = Known { echo: Some(&echo), ..known };
                match Box::pin(self.face.mpi.pix(&context, query)).await {
                    Ok(answer) => {
                        let ids = self.identifiers(&answer.ids);
                        self.done(
                            known,
                            Ack::Accept,
                            "",
                            Outcome::Success,
                            reply::pix(&header, self.answering(), &echo, &ids),
                        )
                    }
                    Err(refusal) => self.refusal(known, refusal, Exchange::Pix),
                }
            }
            Body::Demographics(echo, query, page) => {
                let known = Known { echo: Some(&echo), ..known };
                let page = Page {
                    query_id: page.tag,
                    size: page.size.map(|size| size as u64),
                    pointer: page.pointer,
                };
                match Box::pin(self.face.mpi.find(&context, *query, page)).await {
                    Ok(found) => {
                        let hits: Vec<Hit<'_>> = found
                            .patients
                            .iter()
                            .map(|patient| Hit {
                                ids: self.identifiers(&patient.ids),
                                demographics: &patient.demographics,
                                confidence: patient.score,
                            })
                            .collect();
                        let totals = Totals {
                            total: found.total,
                            here: found.patients.len() as u64,
                            remaining: found.remaining,
                            next: found.next.as_deref(),
                        };
                        let answer = reply::demographics(&header, self.answering(), &echo, &hits, totals);
                        self.done(known, Ack::Accept, "", Outcome::Success, answer)
                    }
                    Err(refusal) => self.refusal(known, refusal, Exchange::Demographics),
                }
            }
            Body::Cancel(tag) => match self.face.mpi.cancel(&context, &tag).await {
                // A question that is not known (any more) is as good as cancelled.
                Ok(_known) => self.accept(known, &[], 0),
                Err(refusal) => self.refusal(known, refusal, Exchange::Demographics),
            },
        }
    }

    /// A question as it came, for its audit record: MSH and QPD, without numbers that may not be kept. What the
    /// message is written in shows only later; of what is no UTF-8 the ASCII part is kept.
    fn question(&self, message: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(message);
        let asked = text.split(['\r', '\n']).filter(|s| s.starts_with("MSH") || s.starts_with("QPD"));
        let asked: Vec<&str> = asked.collect();
        (asked.len() > 1).then(|| self.face.mpi.recordable(&asked.join("\r")))
    }

    /// Whether the node is granted this, and says what is its own to say (ITI-19): the transaction, MSH-3 and MSH-4,
    /// the authorities of the patients it feeds.
    fn granted(&self, header: &Header, transaction: Transaction, body: &Body) -> Result<(), Trespass> {
        let Some(entry) = self.conn.entry() else { return Ok(()) };
        let source = &header.source;
        entry.grants.sender(&source.facility, source.facility_oid.as_deref(), &source.application)?;
        entry.grants.transaction(transaction)?;
        match body {
            Body::Feed(message) => check::feed(&entry.grants, self.face.mpi.domains(), message),
            _ => Ok(()),
        }
    }

    /// `AR`: sending it again will not help. The record names the node and what it tried.
    async fn trespassed(&self, known: Known<'_>, trespass: &Trespass, body: &Body) -> Done {
        let own = matches!(trespass, Trespass::Transaction(_));
        self.face
            .audit
            .fault(Faulted {
                transaction: known.transaction.filter(|_| own),
                labels: [alert::RESTRICTED_FUNCTION, trespass.label()],
                outcome: AuditOutcome::SeriousFailure,
                caller: self.conn.caller(),
                request_id: self.request_id.to_owned(),
                at: self.received_at,
            })
            .await;
        let field = match trespass {
            Trespass::Sender(_) => 4,
            _ => 9,
        };
        let location = match trespass {
            Trespass::Authority(_) => Location::field("PID", 1, 3),
            _ => Location::field("MSH", 1, field),
        };
        let errors = vec![ErrorSegment::new(location, Condition::Internal, trespass.sentence())];
        let echo = match body {
            Body::Pix(echo, _) | Body::Demographics(echo, ..) => Some(echo),
            _ => None,
        };
        self.answer_refused(Known { echo, ..known }, Ack::Reject, Outcome::Refused, &errors)
    }

    fn kind(&self) -> &'static str {
        self.face.config.processing_id.as_str()
    }

    /// Who keeps to the specification.
    fn strict(&self) -> Option<Arc<Entry>> {
        self.conn.entry().filter(|entry| !entry.hl7_lenient)
    }

    /// A message of such a node whose segments end in LF.
    fn loose(&self, arrived: &Arrived) -> Option<Refused> {
        let Arrived::Message(message) = arrived else { return None };
        self.strict().filter(|_| strict::ends_in_lf(message))?;
        let text = "segments end in LF; CR is wanted of this node (HL7 2.5 chapter 2, 2.5.4)";
        let errors = vec![ErrorSegment::whole(Condition::SegmentSequence, text)];
        Some(Refused { ack: Ack::Reject, errors, ..hl7v2::too_long(message, 0) })
    }

    async fn feed(&self, context: &Context, known: Known<'_>, message: FeedMessage) -> Done {
        let exchange = exchange_of(&message.feed);
        let source = message.source.clone();
        let (control_id, raw) = (message.control_id.clone(), message.raw.clone());
        let node = self.strict().map(|entry| entry.node.id.clone());
        if let Some(node) = &node
            && self.face.heard.altered(node, &control_id, &raw, self.received_at)
        {
            let text = "another message with this MSH-10 was taken from this node within the hour";
            let location = Location::field("MSH", 1, 10);
            let refused = Refused {
                header: Some(known.header.clone()),
                transaction: known.transaction,
                echo: None,
                ack: Ack::Error,
                errors: vec![ErrorSegment::new(location, Condition::DuplicateKey, text)],
            };
            self.record(&refused).await;
            return self.refuse(&refused);
        }
        match self.face.mpi.feed(context, message).await {
            Ok(fed) => {
                if let Some(node) = &node {
                    self.face.heard.note(node, &control_id, &raw, self.received_at);
                }
                self.tell(&source, &fed.warnings);
                self.accept(known, &[], fed.warnings.len())
            }
            Err(refusal) => self.refusal(known, refusal, exchange),
        }
    }

    /// A feed for another kind of gateway: checked as far as that needs no change, acknowledged, and forgotten.
    async fn rehearsed(&self, known: Known<'_>, message: &FeedMessage) -> Done {
        let errors = rehearse::check(self.face.mpi.domains(), message);
        if !errors.is_empty() {
            return self.refusal(known, Refusal::Identity(errors), exchange_of(&message.feed));
        }
        let text = format!("checked only: this gateway keeps messages of kind {}", self.kind());
        let note = ErrorSegment {
            severity: hl7v2::Severity::Information,
            ..ErrorSegment::new(Location::field("MSH", 1, 11), Condition::Accepted, text)
        };
        self.accept(known, &[note], message.warnings.len())
    }

    fn accept(&self, known: Known<'_>, notes: &[ErrorSegment], warnings: usize) -> Done {
        // ERR-1 of 2.3.1 can only say errors.
        let notes = if known.header.version() == hl7v2::Version::V25 { notes } else { &[] };
        let answer = reply::acknowledge(Some(known.header), self.answering(), Ack::Accept, notes);
        let outcome = if warnings > 0 { Outcome::Warning } else { Outcome::Success };
        Done { warnings, ..self.done(known, Ack::Accept, "", outcome, answer) }
    }

    fn done(
        &self,
        known: Known<'_>,
        ack: Ack,
        code: &'static str,
        outcome: Outcome,
        answer: Encoded,
    ) -> Done {
        let Known { header, transaction, .. } = known;
        Done {
            bytes: answer.bytes,
            transaction: transaction.map_or("hl7v2", Transaction::code),
            outcome,
            ack: ack.code(),
            code,
            // Of messages nobody knows, MSH-9 may hold anything.
            event: match transaction {
                Some(_) => format!("{}^{}", header.message_type, header.event),
                None => String::new(),
            },
            control_id: clip(&header.control_id),
            source: clip(&format!("{}|{}", header.source.application, header.source.facility)),
            warnings: 0,
            substituted: answer.substituted,
        }
    }

    /// What the index refused, or could not do.
    fn refusal(&self, known: Known<'_>, refusal: Refusal, exchange: Exchange) -> Done {
        let (ack, outcome, errors) = match refusal {
            Refusal::Identity(errors) => {
                let errors = errors.iter().map(|e| hl7v2::error::of(e, exchange)).collect();
                (Ack::Error, Outcome::Failure, errors)
            }
            Refusal::Error(cause) => self.inability(cause),
        };
        let errors = match exchange {
            Exchange::Pix => hl7v2::error::joined(errors),
            _ => errors,
        };
        self.answer_refused(known, ack, outcome, &errors)
    }

    fn answer_refused(&self, known: Known<'_>, ack: Ack, outcome: Outcome, errors: &[ErrorSegment]) -> Done {
        let code = errors.first().map_or("", |e| e.condition.code());
        let answer = match known.echo {
            Some(echo) => reply::refuse_question(known.header, self.answering(), echo, ack, errors),
            None => reply::acknowledge(Some(known.header), self.answering(), ack, errors),
        };
        self.done(known, ack, code, outcome, answer)
    }

    /// A message refused before it reached the index.
    fn refuse(&self, refused: &Refused) -> Done {
        let outcome = match refused.ack {
            Ack::Reject => Outcome::Refused,
            _ => Outcome::Failure,
        };
        let Some(header) = &refused.header else {
            let answer = reply::acknowledge(None, self.answering(), refused.ack, &refused.errors);
            return Done {
                bytes: answer.bytes,
                transaction: "hl7v2",
                outcome,
                ack: refused.ack.code(),
                code: refused.errors.first().map_or("", |e| e.condition.code()),
                event: String::new(),
                control_id: String::new(),
                source: String::new(),
                warnings: 0,
                substituted: 0,
            };
        };
        let known = Known { header, transaction: refused.transaction, echo: refused.echo.as_ref() };
        self.answer_refused(known, refused.ack, outcome, &refused.errors)
    }

    /// In the audit trail, if it can be: the answer does not depend on it.
    async fn record(&self, refused: &Refused) {
        let code = refused.errors.first().map_or("", |e| e.condition.code());
        self.face
            .audit
            .fault(Faulted {
                transaction: refused.transaction,
                labels: [refused.ack.code(), code],
                outcome: AuditOutcome::SeriousFailure,
                caller: self.conn.caller(),
                request_id: self.request_id.to_owned(),
                at: self.received_at,
            })
            .await;
    }

    /// Our own inability: `AR` where the same may succeed later, with a reference to the log where it may not.
    fn inability(&self, cause: Error) -> (Ack, Outcome, Vec<ErrorSegment>) {
        let id = self.request_id;
        let (ack, outcome, text) = match &cause {
            Error::Busy(_) => (Ack::Reject, Outcome::Busy, "too much to do; send it again".to_owned()),
            Error::NoRoom(_) => (Ack::Reject, Outcome::Unavailable, format!("out of room; reference {id}")),
            Error::Away { .. } => {
                (Ack::Reject, Outcome::Unavailable, format!("nothing was changed; reference {id}"))
            }
            Error::Unavailable { .. } => (
                Ack::Reject,
                Outcome::Unavailable,
                format!("the outcome is not known; send it again; reference {id}"),
            ),
            Error::Rejected(_) | Error::Fault(_) | Error::Internal(_) => {
                (Ack::Error, Outcome::Internal, format!("internal error; reference {id}"))
            }
        };
        match outcome {
            Outcome::Busy => info!(request_id = id, "a message found too much to do"),
            _ => error!(request_id = id, cause = format!("{cause:?}"), "a message failed"),
        }
        (ack, outcome, vec![ErrorSegment::whole(Condition::Internal, text)])
    }

    /// The answer where nothing below could be asked, or did not answer.
    pub fn unable(&mut self, arrived: Arrived, trouble: Trouble) -> Done {
        let message = match &arrived {
            Arrived::Message(message) | Arrived::TooLong { beginning: message, .. } => message,
        };
        let beginning = hl7v2::too_long(message, 0);
        let (ack, outcome, text) = match trouble {
            Trouble::Busy => (Ack::Reject, Outcome::Busy, "too much to do; send it again".to_owned()),
            Trouble::Late => {
                let text = format!("not done in time; send it again; reference {}", self.request_id);
                (Ack::Reject, Outcome::Busy, text)
            }
            Trouble::Failed => {
                (Ack::Error, Outcome::Internal, format!("internal error; reference {}", self.request_id))
            }
        };
        let refused =
            Refused { ack, errors: vec![ErrorSegment::whole(Condition::Internal, text)], ..beginning };
        Done { outcome, ..self.refuse(&refused) }
    }

    fn identifiers(&self, ids: &[DomainId]) -> Vec<Identifier> {
        let domains = self.face.mpi.domains();
        ids.iter()
            .map(|id| Identifier {
                value: id.value.clone(),
                namespace: domains.by_name(&id.domain).map(|d| d.namespace.clone()).unwrap_or_default(),
                oid: id.domain.clone(),
            })
            .collect()
    }

    /// Oddities of a sender, each said once: they come with every message.
    fn tell(&self, source: &Source, warnings: &[Warning]) {
        for warning in warnings {
            let told = (source.application.clone(), source.facility.clone(), warning.text.clone());
            let mut known = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() < MOST_TOLD && known.insert(told) {
                warn!(
                    request_id = self.request_id,
                    source = %clip(&format!("{}|{}", source.application, source.facility)),
                    field = ?warning.place.field,
                    "an oddity of this sender's messages, said once: {}",
                    clip(&warning.text)
                );
            }
        }
    }
}

/// What is known of a message while it is answered.
#[derive(Clone, Copy)]
struct Known<'a> {
    header: &'a Header,
    transaction: Option<Transaction>,
    echo: Option<&'a Echo>,
}

/// Oddities told since the program began.
static TOLD: LazyLock<Mutex<HashSet<(String, String, String)>>> = LazyLock::new(Mutex::default);
const MOST_TOLD: usize = 4096;

fn exchange_of(feed: &Feed) -> Exchange {
    match feed {
        Feed::Link { .. } | Feed::Unlink { .. } => Exchange::Linking,
        _ => Exchange::Feed,
    }
}

/// Text of a sender, for a log: short, and on one line.
fn clip(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// An instant as MSH-7 has it, in Japan's time.
fn hl7_time(at: Timestamp) -> String {
    at.to_zoned(tz::offset(9).to_time_zone()).strftime("%Y%m%d%H%M%S%z").to_string()
}
