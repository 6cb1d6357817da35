//! The life of a SOAP request, from its head to its answer.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use http::{Response, header};
use jiff::Timestamp;
use roxmltree::Document;

use super::dispatch;
use super::intake::{self, Intake};
use super::reply::{self, Reply};
use super::{Endpoint, SoapFace, fault, granted};
use crate::config::{SecurityHeader, XuaMode};
use crate::model::addressing::Elsewhere;
use crate::model::audit::Outcome;
use crate::model::caller::Caller;
use crate::model::error::{Error, Fault, FaultKind, clip};
use crate::model::namespace::NS_WSSE;
use crate::model::transaction::{Packaging, Transaction};
use crate::model::user::User;
use crate::server::http::{ConnInfo, GuardedBody, Request, RespBody};
use crate::server::metrics::Outcome as Counted;
use crate::service::audit::Faulted;
use crate::service::context::Context;
use crate::service::xua::{self, Examined, Node, Note, Seen, alarm};
use crate::wire::hl7v3::xcpd;
use crate::wire::mtom::content_type::Packaging as Packed;
use crate::wire::saml;
use crate::wire::soap;
use crate::wire::xml::tree::{self, TreeFault};

/// A request as read.
struct Read {
    transaction: Transaction,
    message_id: Option<String>,
    elsewhere: Option<Elsewhere>,
    /// Of an assertion that held.
    user: Option<User>,
    /// What may not be brought by another, or twice.
    brings: Vec<Note>,
    asked: dispatch::Asked,
}

/// Why there is no reply; with what is known of the message by then.
struct Refused {
    fault: Fault,
    relates_to: Option<String>,
    transaction: Option<Transaction>,
}

impl Refused {
    fn early(error: Error, request_id: &str) -> Self {
        // Spooling failed: the disk, not the message.
        let fault = fault::of(error, Transaction::Iti41, request_id);
        Self { fault, relates_to: None, transaction: None }
    }
}

impl SoapFace {
    /// Read with limits → envelope and WS-Addressing → catalogue row → handler → audit → encode. What is to be
    /// answered elsewhere is accepted after the catalogue row.
    pub(super) async fn transact(&self, endpoint: Endpoint, request: Request) -> Response<RespBody> {
        let (request_id, conn, received_at) = (request.id.clone(), request.conn.clone(), request.received_at);
        match self.run(endpoint, request).await {
            Ok(response) => response,
            Err(Refused { fault, relates_to, transaction }) => {
                let caller = conn.caller();
                let mut shown = None;
                if let Some(xua) = self.xua.as_ref().filter(|_| is_of_user(&fault)) {
                    xua.refused(&self.audit, &fault, &caller, &request_id, received_at).await;
                    shown = xua.shown(&fault, &request_id);
                }
                self.record(&fault, transaction, caller, &request_id, received_at).await;
                let transaction = transaction.map_or("soap", Transaction::code);
                let fault = shown.unwrap_or(fault);
                fault::respond(&fault, relates_to.as_deref(), &request_id, transaction)
            }
        }
    }

    /// Leaves a fault in the audit trail, if it can: the answer does not depend on it.
    pub(super) async fn record(
        &self,
        fault: &Fault,
        transaction: Option<Transaction>,
        caller: Caller,
        request_id: &str,
        at: Timestamp,
    ) {
        // A sender that may try the same again has lost less than one that was refused.
        let outcome = if fault.status == 503 { Outcome::MinorFailure } else { Outcome::SeriousFailure };
        let request_id = request_id.to_owned();
        let labels = fault.labels();
        self.audit.fault(Faulted { transaction, labels, outcome, caller, request_id, at }).await;
    }

    async fn run(&self, endpoint: Endpoint, request: Request) -> Result<Response<RespBody>, Refused> {
        let id = request.id.clone();
        let conn = request.conn.clone();
        let received_at = request.received_at;
        let exchange = request.exchange();
        let intake = self
            .intake(endpoint, request.header(header::CONTENT_TYPE).map(str::to_owned), request.body)
            .await
            .map_err(|e| Refused::early(e, &id))?;
        let mtom = intake.multipart;
        let path = request.uri.path().trim_end_matches('/').to_owned();
        let Read { transaction, message_id, elsewhere, user, mut brings, asked } =
            self.read(endpoint, &path, intake, &conn, received_at)?;
        let caller = Caller { user: user.map(Box::new), ..conn.caller() };
        let elsewhere = elsewhere.map(Arc::new);
        let context = Context {
            transaction,
            caller,
            request_id: id.clone(),
            received_at,
            elsewhere: elsewhere.clone(),
            exchange: exchange.into(),
        };
        let refused =
            |fault| Refused { fault, relates_to: message_id.clone(), transaction: Some(transaction) };
        let question = is_question(endpoint, transaction) && elsewhere.is_none();
        // A security alert rather than a failed transaction.
        let not_brought = |fault| Refused { transaction: None, ..refused(fault) };
        let mut seen = None;
        if let Some(xua) = self.xua.as_ref().filter(|_| question) {
            seen = xua.with_record(&mut brings, received_at).map_err(not_brought)?;
        }
        let bringing = async {
            let Some(xua) = &self.xua else { return Ok(()) };
            let brought = xua.bring(brings, received_at).await;
            brought.map_err(|e| refused(fault::of(e, transaction, &id)))?.map_err(not_brought)
        };
        let answered = if question {
            // Worked on while what it brings is noted: it changes nothing, and is not answered before both are done.
            let answering = dispatch::answer(self, &context, asked, message_id.as_deref(), mtom);
            let (brought, answered) = tokio::join!(bringing, answering);
            brought?;
            answered
        } else {
            bringing.await?;
            if let (Some(asynchronous), Some(to)) = (&self.asynchronous, elsewhere) {
                return self.accept(asynchronous, context, to, asked).await.map_err(refused);
            }
            dispatch::answer(self, &context, asked, message_id.as_deref(), mtom).await
        };
        let reply = answered.map_err(refused)?;
        let given = self.give(reply, seen, mtom, transaction, &id).await.map_err(refused)?;
        given.ok_or_else(|| not_brought(xua::duplicate()))
    }

    /// Writes the answer while its record is on its way to the disk; it may leave when that is there. `None`: the
    /// message was answered before.
    async fn give(
        &self,
        reply: Reply,
        seen: Option<Seen>,
        mtom: bool,
        transaction: Transaction,
        request_id: &str,
    ) -> Result<Option<Response<RespBody>>, Fault> {
        let Reply { body, audited, outcome } = reply;
        let mut settling = pin!(self.audit.settle_noting(audited, seen));
        let begun = futures_util::poll!(&mut settling);
        let response = reply::encode(body, outcome, mtom, transaction.row());
        let settled = match begun {
            Poll::Ready(settled) => settled,
            Poll::Pending => settling.await,
        };
        match settled {
            Ok(true) => response.map(Some),
            Ok(false) => Ok(None),
            Err(e) => {
                let fault = unrecorded(e, request_id);
                // Without a durable record nothing is shown. A refusal shows nothing, and its reason may be
                // the same full disk that the record found.
                match outcome {
                    Counted::Success | Counted::Warning | Counted::Partial => Err(fault),
                    _ => response.map(Some),
                }
            }
        }
    }

    async fn intake(
        &self,
        endpoint: Endpoint,
        content_type: Option<String>,
        body: GuardedBody,
    ) -> Result<Intake, Error> {
        let packaging = intake::packaging(content_type.as_deref())?;
        if let (Endpoint::One(t) | Endpoint::Initiating(t), Packed::Mtom(_)) = (endpoint, &packaging) {
            refuse_multipart(t)?;
        }
        intake::take_in(body, &packaging, &self.limits, self.repository.as_ref()).await
    }

    /// Everything about the envelope that needs no waiting.
    #[expect(clippy::result_large_err, reason = "made once a request, and moved twice")]
    fn read(
        &self,
        endpoint: Endpoint,
        path: &str,
        intake: Intake,
        conn: &ConnInfo,
        now: Timestamp,
    ) -> Result<Read, Refused> {
        let malformed = |e: TreeFault| Refused {
            fault: Fault::sender(e.to_string()).kind(FaultKind::Xml),
            relates_to: None,
            transaction: None,
        };
        let doc = tree::parse(&intake.envelope).map_err(malformed)?;
        let ignore = self.soap.security_header == SecurityHeader::Ignore || self.xua.is_some();
        let understood = move |header: roxmltree::Node<'_, '_>| {
            ignore && tree::is(header, NS_WSSE, "Security") || xcpd::understands(header)
        };
        let envelope = soap::read(&doc, &understood).map_err(|e| {
            let (fault, relates_to) = *e;
            Refused { fault, relates_to, transaction: None }
        })?;
        let relates_to = envelope.message_id.clone();
        let refused = |fault, transaction| Refused { fault, relates_to: relates_to.clone(), transaction };
        let elsewhere = self.destination(&envelope).map_err(|f| refused(f, None))?;
        let transaction = self.transaction(endpoint, &envelope.action).map_err(|f| refused(f, None))?;
        granted::transaction(conn, transaction).map_err(|f| refused(f, Some(transaction)))?;
        granted::community(self, conn, transaction).map_err(|f| refused(f, None))?;
        // A security alert rather than a failed transaction.
        let (user, brings) = self
            .user(&doc, transaction, path, relates_to.as_deref(), conn, now)
            .map_err(|f| refused(f, None))?;
        granted::person(conn, user.as_ref()).map_err(|f| refused(f, Some(transaction)))?;
        let row = transaction.row();
        let mut elements = row.elements(&envelope.action);
        let (ns, name) = row.elements(&envelope.action).next().unwrap_or(row.request_element);
        if !elements.any(|(ns, name)| tree::is(envelope.body, ns, name)) {
            let found = envelope.body.tag_name();
            let fault = Fault::sender(format!(
                "wsa:Action '{}' wants the body element {{{ns}}}{name}, found {{{}}}{} ({})",
                envelope.action,
                clip(found.namespace().unwrap_or_default()),
                clip(found.name()),
                row.clause
            ))
            .subcode("wsa:ActionNotSupported");
            return Err(refused(fault, Some(transaction)));
        }
        if intake.multipart {
            refuse_multipart(transaction).map_err(|f| refused(f, Some(transaction)))?;
        }
        if elsewhere.is_some() && endpoint == Endpoint::Initiating(Transaction::Iti43) {
            return Err(refused(super::asynchronous::passing(), Some(transaction)));
        }
        let asked = dispatch::read(self, endpoint, transaction, &envelope, intake.documents)
            .map_err(|f| refused(f, Some(transaction)))?;
        // As above: who speaks in another's name is no failed transaction.
        granted::message(self, conn, &asked, elsewhere.as_ref()).map_err(|f| refused(f, None))?;
        Ok(Read { transaction, message_id: relates_to, elsewhere, user, brings, asked })
    }

    /// Who asks, where this transaction is one whose users are looked at; and what the request brings that may not
    /// be brought by another, or twice.
    fn user(
        &self,
        doc: &Document<'_>,
        transaction: Transaction,
        path: &str,
        message_id: Option<&str>,
        conn: &ConnInfo,
        now: Timestamp,
    ) -> Result<(Option<User>, Vec<Note>), Fault> {
        let Some(xua) = &self.xua else { return Ok((None, vec![])) };
        let caller = conn.caller();
        let member = self.gateway.as_ref().and_then(|gateway| gateway.directory().whose(&caller));
        let asked = member.as_ref().and_then(|member| member.config.incoming_assertion);
        let mode = xua.mode(transaction, path, asked);
        if mode == XuaMode::Off {
            return Ok((None, vec![]));
        }
        let certificate = conn.tls.as_ref().map(|tls| tls.certificate.as_slice());
        let community = member.as_ref().map(|member| &*member.community);
        let node = Node { caller: &caller, certificate, community };
        let examined = || {
            let Some(located) = saml::locate(doc.root_element())? else {
                return xua.absent(transaction, mode).map(|()| None);
            };
            let xml = saml::original(located.assertion);
            let signature = xua.verify(xml.as_deref(), || {
                let signed = saml::take_apart(located)?;
                Ok((saml::read(located.assertion)?, signed))
            })?;
            xua.examine(&signature, xml, node, now).map(Some)
        };
        let examined = examined().map_err(|trouble| trouble.fault())?;
        let message = match mode {
            XuaMode::Required => xua.message(message_id, node, now)?,
            XuaMode::Off | XuaMode::Optional => None,
        };
        let Some(Examined { user, note }) = examined else {
            return Ok((None, message.into_iter().collect()));
        };
        alarm::examined("saml", "held");
        Ok((Some(user), std::iter::once(note).chain(message).collect()))
    }

    fn transaction(&self, endpoint: Endpoint, action: &str) -> Result<Transaction, Fault> {
        let unsupported = |why: String| Fault::sender(why).subcode("wsa:ActionNotSupported");
        // An address of one transaction decides which of two with one Action is meant.
        let own = match endpoint {
            Endpoint::One(only) if only.row().has(action) => Some(only),
            _ => Transaction::by_action(action),
        };
        let transaction =
            own.ok_or_else(|| unsupported(format!("wsa:Action '{}' is not known here", clip(action))))?;
        if !endpoint.takes(transaction) {
            return Err(unsupported(format!(
                "wsa:Action '{action}' is {}, which is not served at this address; it is served at {}",
                transaction.code(),
                transaction.row().path
            )));
        }
        let gateway = self.gateway.is_some();
        let enabled = match transaction.row().actor {
            _ if matches!(endpoint, Endpoint::Initiating(_)) => gateway,
            crate::model::transaction::Actor::RespondingGateway
                if matches!(transaction, Transaction::Iti55 | Transaction::Iti56) =>
            {
                self.discovery.is_some()
            }
            crate::model::transaction::Actor::RespondingGateway => gateway,
            crate::model::transaction::Actor::DocumentRegistry => self.registry.is_some(),
            crate::model::transaction::Actor::DocumentRepository => self.repository.is_some(),
            crate::model::transaction::Actor::PatientIdentityManager
            | crate::model::transaction::Actor::PatientDemographicsSupplier => self.mpi.is_some(),
            crate::model::transaction::Actor::PatientIdentityConsumer => self.discovery.is_some(),
        };
        if !enabled {
            return Err(unsupported(format!("{} is switched off in this gateway", transaction.code())));
        }
        Ok(transaction)
    }
}

/// A query of our own registry: nothing comes of it but its answer, with which its record is made.
fn is_question(endpoint: Endpoint, transaction: Transaction) -> bool {
    !matches!(endpoint, Endpoint::Initiating(_))
        && matches!(transaction, Transaction::Iti18 | Transaction::Iti51 | Transaction::Iti38)
}

/// A fault about who asks.
fn is_of_user(fault: &Fault) -> bool {
    fault.subcode.is_some_and(|subcode| subcode.starts_with("wsse:"))
}

fn refuse_multipart(transaction: Transaction) -> Result<(), Fault> {
    let row = transaction.row();
    if row.packaging == Packaging::Simple {
        return Err(Fault::sender(format!(
            "{} is a simple SOAP transaction; send application/soap+xml, not multipart/related (ITI TF-2 V.3.6)",
            row.code
        ))
        .kind(FaultKind::ContentType)
        .status(415));
    }
    Ok(())
}

pub(super) fn unrecorded(error: Error, request_id: &str) -> Fault {
    tracing::error!(request_id, cause = format!("{error:?}"), "the audit record could not be written");
    Fault::busy(format!(
        "the audit record could not be written, so nothing is shown (reference {request_id})"
    ))
}
