//! Asynchronous Web Services Exchange: a request whose `wsa:ReplyTo` is an address is read and judged as any
//! other, answered 202, and worked on; its answer goes there by the outbox. ITI TF-2 V.3, WS-Addressing 1.0.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::{Response, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::SoapFace;
use super::dispatch::{self, Asked};
use super::reply::{Body, Included, Reply};
use crate::config::AsynchronousConfig;
use crate::model::addressing::{Elsewhere, FaultsTo};
use crate::model::error::{Error, Fault, FaultCode, FaultKind, clip};
use crate::model::namespace::{WSA_ANONYMOUS, WSA_NONE};
use crate::model::transaction::Packaging;
use crate::server::http::{RespBody, Transacted, empty};
use crate::server::metrics::{self, Outcome};
use crate::service::answers::{self, Answers, Document};
use crate::service::audit::Audited;
use crate::service::context::Context;
use crate::service::outbox::{Outbox, OutboxRow};
use crate::service::repository::BlobReader;
use crate::wire::soap::{Address, SoapRequest, write_fault_to};

/// What answering elsewhere takes.
#[derive(Clone)]
pub struct Asynchronous {
    answers: Answers,
    outbox: Outbox,
    /// Places for requests under way.
    places: Arc<Semaphore>,
    /// `asynchronous.waiting`
    waiting: u64,
    tasks: TaskTracker,
}

impl Asynchronous {
    pub fn new(config: &AsynchronousConfig, answers: Answers, outbox: Outbox) -> Self {
        Self {
            answers,
            outbox,
            places: Arc::new(Semaphore::new(config.under_way)),
            waiting: config.waiting,
            tasks: TaskTracker::new(),
        }
    }

    /// Whether answers may be sent to this address.
    pub fn may_reach(&self, address: &str) -> bool {
        self.answers.may_reach(address)
    }

    /// Something waits in the outbox.
    pub fn wake(&self) {
        self.outbox.wake();
    }

    /// Lets requests under way come to their answers; how many did not in time.
    pub async fn drain(&self, patience: Duration) -> usize {
        self.tasks.close();
        match timeout(patience, self.tasks.wait()).await {
            Ok(()) => 0,
            Err(_) => self.tasks.len(),
        }
    }
}

fn only_anonymous(name: &str, found: &str) -> Fault {
    Fault::sender(format!(
        "wsa:{name} asks for an answer to '{}', which this gateway does not send to; {WSA_ANONYMOUS} is supported",
        clip(found)
    ))
    .subcode("wsa:OnlyAnonymousAddressSupported")
}

/// Documents that pass through cannot wait in the outbox.
pub(super) fn passing() -> Fault {
    Fault::sender(format!(
        "documents of other communities are given on the connection they are asked on; wsa:ReplyTo must be \
         {WSA_ANONYMOUS} here"
    ))
    .subcode("wsa:OnlyAnonymousAddressSupported")
}

impl SoapFace {
    /// Where the answer goes: back on the connection (`None`), or to an address that must be allowed. An address
    /// to call back is a way to make us call anybody.
    pub(super) fn destination(&self, request: &SoapRequest<'_, '_>) -> Result<Option<Elsewhere>, Fault> {
        let allowed = |name: &str, address: &String| match &self.asynchronous {
            Some(a) if a.answers.may_reach(address) => Ok(address.clone()),
            _ => Err(only_anonymous(name, address)),
        };
        let to = match &request.reply_to {
            Address::Anonymous => match &request.fault_to {
                // Faults come back on the connection with everything else; of none, there is none to keep.
                None | Some(Address::Anonymous | Address::None) => return Ok(None),
                Some(Address::Elsewhere(address)) => return Err(only_anonymous("FaultTo", address)),
            },
            // Every transaction has an answer, and its sender owes it a place.
            Address::None => return Err(only_anonymous("ReplyTo", WSA_NONE)),
            Address::Elsewhere(address) => allowed("ReplyTo", address)?,
        };
        let faults_to = match &request.fault_to {
            // What is found while the request is read comes back on the connection; later that is closed.
            None | Some(Address::Anonymous) => FaultsTo::Answers,
            Some(Address::None) => FaultsTo::Nowhere,
            Some(Address::Elsewhere(address)) => FaultsTo::Address(allowed("FaultTo", address)?),
        };
        let relates_to = request.message_id.clone().ok_or_else(|| {
            Fault::sender("the header wsa:MessageID is required where wsa:ReplyTo is an address")
                .subcode("wsa:MessageAddressingHeaderRequired")
        })?;
        let message_id = format!("urn:uuid:{}", Uuid::new_v4());
        Ok(Some(Elsewhere { to, faults_to, message_id, relates_to }))
    }

    /// Takes a request on: 202, and the rest in a task of its own.
    pub(super) async fn accept(
        &self,
        asynchronous: &Asynchronous,
        context: Context,
        to: Arc<Elsewhere>,
        asked: Asked,
    ) -> Result<Response<RespBody>, Fault> {
        let place = asynchronous.places.clone().try_acquire_owned().map_err(|_| {
            Fault::busy(
                "as many requests are being worked on for answers elsewhere as may be; send it again later",
            )
        })?;
        let stream = answers::stream(&to.to);
        match asynchronous.outbox.is_full(&stream, asynchronous.waiting).await {
            Ok(false) => {}
            Ok(true) => {
                return Err(Fault::busy(format!(
                    "as many answers wait for {stream} as may; it does not take them"
                )));
            }
            Err(e) => {
                let cause = format!("{e:?}");
                tracing::error!(request_id = context.request_id, cause, "the outbox cannot be looked into");
                return Err(Fault::busy("the database does not answer; send it again later"));
            }
        }
        let transaction = context.transaction.code();
        let (face, outbox) = (self.clone(), asynchronous.outbox.clone());
        asynchronous.tasks.spawn(async move {
            face.work(&outbox, context, &to, asked).await;
            drop(place);
            outbox.wake();
        });
        let mut response = Response::new(empty());
        *response.status_mut() = StatusCode::ACCEPTED;
        response.extensions_mut().insert(Transacted { transaction, outcome: Outcome::Accepted });
        Ok(response)
    }

    async fn work(&self, outbox: &Outbox, context: Context, to: &Elsewhere, asked: Asked) {
        let row = context.transaction.row();
        let mtom = row.packaging == Packaging::Mtom;
        let answering = dispatch::answer(self, &context, asked, Some(&to.relates_to), mtom);
        let fault = match AssertUnwindSafe(answering).catch_unwind().await {
            Ok(Ok(reply)) => {
                let outcome = reply.outcome;
                match self.put(&context, to, reply).await {
                    Ok(()) => return metrics::answered_elsewhere(row.code, outcome),
                    Err(e) => super::pipeline::unrecorded(e, &context.request_id),
                }
            }
            Ok(Err(fault)) => fault,
            Err(_) => {
                tracing::error!(request_id = context.request_id, "a request panicked");
                let text = format!("internal failure (reference {})", context.request_id);
                Fault { code: FaultCode::Receiver, ..Fault::sender(text).kind(FaultKind::Ours).status(500) }
            }
        };
        let outcome = if fault.status == 503 { Outcome::Busy } else { Outcome::Fault };
        metrics::answered_elsewhere(row.code, outcome);
        let (caller, at) = (context.caller.clone(), context.received_at);
        self.record(&fault, Some(context.transaction), caller, &context.request_id, at).await;
        let address = match &to.faults_to {
            FaultsTo::Answers => &to.to,
            FaultsTo::Address(address) => address,
            FaultsTo::Nowhere => return,
        };
        let own = Some((to.message_id.as_str(), address.as_str()));
        let envelope = write_fault_to(&fault, Some(&to.relates_to), own, &context.request_id);
        let kept = match answers::row(&context, address, envelope, vec![]) {
            Ok(row) => outbox.enqueue(row).await,
            Err(e) => Err(Error::Internal(e.into())),
        };
        if let Err(e) = kept {
            // What could not be done most likely found the same database away.
            let cause = format!("{e:?}");
            tracing::error!(request_id = context.request_id, cause, "an answer elsewhere is lost");
        }
    }

    /// Writes the answer into the outbox with its audit record, unless both are there: a change wrote them.
    async fn put(&self, context: &Context, to: &Elsewhere, reply: Reply) -> Result<(), Error> {
        if matches!(reply.audited, Audited::Written) {
            return Ok(());
        }
        let row = outbox_row(context, to, reply.body)?;
        self.audit.settle_with(reply.audited, Some(row)).await
    }
}

fn outbox_row(context: &Context, to: &Elsewhere, body: Body) -> Result<OutboxRow, Error> {
    let (envelope, documents) = match body {
        // Such requests are refused as they come.
        Body::Passing(_) => return Err(Error::Internal(anyhow::anyhow!("documents passing through"))),
        Body::Envelope(envelope) => (envelope, vec![]),
        Body::Unwritten(write) => (write().map_err(Error::Fault)?, vec![]),
        Body::WithDocuments(Included { envelope, multipart, documents }) => {
            let document = |(n, (mime_type, reader)): (usize, (String, BlobReader))| Document {
                content_id: multipart.document_id(n),
                mime_type,
                key: reader.key().as_str().to_owned(),
            };
            (envelope, documents.into_iter().enumerate().map(document).collect())
        }
    };
    answers::row(context, &to.to, envelope, documents).map_err(|e| Error::Internal(e.into()))
}
