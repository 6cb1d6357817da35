//! Asks for the Permit that every read wants: by the network's rules as they are now, for who asks.

use std::sync::{Arc, PoisonError, RwLock};

use crate::model::caller::Caller;
use crate::model::consent::{
    Action, Decision, Facts, Mode, Network, Permit, Viewer, admit, network::Function,
};
use crate::model::error::{ErrorCode, RegistryError};
use crate::model::hl7types::Cx;
use crate::model::metadata::DocumentEntry;
use crate::model::transaction::Transaction;
use crate::service::context::Context;
use crate::store::consent::{Whose, load};
use crate::store::db::{DbError, Tx};

/// The network's rules in force. Clones share them.
#[derive(Debug, Clone)]
pub struct Access(Arc<State>);

#[derive(Debug)]
struct State {
    network: RwLock<Arc<Network>>,
    /// Transactions that show no patient without a consent; empty: all show everybody.
    patients: Vec<String>,
}

impl Access {
    /// `patients`: codes of transactions that show no patient without a consent.
    pub fn new(network: Network, patients: Vec<String>) -> Self {
        Self(Arc::new(State { network: RwLock::new(Arc::new(network)), patients }))
    }

    /// No consent is asked for.
    pub fn off() -> Self {
        Self::new(Network::default(), vec![])
    }

    /// The rules as they are now.
    pub fn network(&self) -> Arc<Network> {
        self.0.network.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on these hold.
    pub fn use_rules(&self, network: Network) {
        *self.0.network.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(network);
    }

    pub fn is_on(&self) -> bool {
        self.network().mode != Mode::Off
    }

    /// The decision for one request.
    pub fn permit(&self, context: &Context, action: Action) -> Permit {
        admit(&self.network(), &context.caller, action, context.micros())
    }

    /// The same for questions who is a patient here (security.md §4.4).
    pub fn permit_discovery(&self, context: &Context) -> Permit {
        let asked = self.0.patients.iter().any(|code| code == context.transaction.code());
        self.permit(context, if asked { Action::Discover } else { Action::Upkeep })
    }

    /// Somebody described, to explain decisions about them.
    pub fn permit_for(&self, viewer: Viewer, function: Function, now: i64) -> Permit {
        Permit::narrow(self.network(), viewer, function, now)
    }
}

/// Transactions that tell who is a patient here.
pub const DISCOVERY: [Transaction; 9] = [
    Transaction::Iti9,
    Transaction::Iti21,
    Transaction::Iti45,
    Transaction::Iti47,
    Transaction::Iti55,
    Transaction::Iti56,
    Transaction::Iti78,
    Transaction::Iti83,
    Transaction::Iti119,
];

/// Says what was decided, for the log: how many documents by which rule. Nothing of the patient.
pub fn note(context: &Context, permit: &Permit) {
    if let Some((rules, policy)) = permit.decided() {
        let transaction = context.transaction.code();
        tracing::info!(request_id = context.request_id, transaction, rules, policy, "consent decided");
    }
}

/// Whether a document of a patient (CX) may be handed to a service outside the network, such as `national`: the same
/// decision as every read, in the transaction of whoever asks. No means that nothing of it may leave.
pub async fn decide_for_export(
    tx: &mut Tx<'_>,
    access: &Access,
    now: i64,
    service: &str,
    patient: &str,
    entry: &DocumentEntry,
) -> Result<Decision, DbError> {
    let permit = admit(&access.network(), &Caller::default(), Action::Export(service.to_owned()), now);
    if !permit.is_narrow() {
        return Ok(permit.judge(patient, &Default::default(), &Facts::of(entry)));
    }
    let patients = [patient.to_owned()];
    let loaded = load(tx, Whose::Ids(&patients)).await?.into_values().next().unwrap_or_default();
    Ok(permit.judge(patient, &loaded.standing, &Facts::of(entry)))
}

/// Refuses what is about another patient than the user's assertion (resource-id, ITI TF-2 3.40.4.1.2.2).
pub fn bound<'p>(
    caller: &Caller,
    patients: impl IntoIterator<Item = &'p String>,
    code: ErrorCode,
) -> Result<(), RegistryError> {
    let Some(only) = caller.user.as_ref().and_then(|user| user.patient.as_deref()) else { return Ok(()) };
    let whole = |text: &str| Cx::parse(text).map_or_else(|_| text.to_owned(), |cx| cx.to_string());
    let meant = whole(only);
    match patients.into_iter().all(|patient| whole(patient) == meant) {
        true => Ok(()),
        false => Err(RegistryError::new(
            code,
            "authorization denied: the user's assertion is about another patient (resource-id, ITI TF-2 3.40.4.1.2)",
        )),
    }
}
