//! ITI-46 PIXV3 Update Notification: a consumer is told which ids a patient has (ITI TF-2 3.46).

use super::{Call, Discard, SoapError};
use crate::config::{MpiConsumerConfig, PeerConfig};
use crate::model::identity::{Demographics, DomainId};
use crate::model::transaction::Transaction;
use crate::peer::http::Client;
use crate::wire::hl7v3::ack;
use crate::wire::hl7v3::{Device, Ii, Own, feed};

pub use crate::wire::hl7v3::ack::{Ack, Acknowledgement};

/// What a consumer is told: all ids of one patient in the domains it wants to hear of.
pub struct Notice<'n> {
    /// A UUID that stays when the notice is sent again: `id` of the message.
    pub id: &'n str,
    /// When the ids became so, as TS (`YYYYMMDDHHMMSS+0000`).
    pub time: &'n str,
    pub ids: &'n [DomainId],
    /// OID of our device.
    pub sender: &'n str,
    /// OID of the consumer's device; none: it is not said.
    pub receiver: Option<&'n str>,
}

/// The consumer as a peer of SOAP.
pub fn peer(consumer: &MpiConsumerConfig) -> PeerConfig {
    PeerConfig {
        url: consumer.url.clone(),
        server_ca: consumer.server_ca.clone(),
        certificate: consumer.certificate.clone(),
        private_key: consumer.private_key.clone(),
        tls_profile: consumer.tls_profile,
        connect_seconds: consumer.connect_seconds,
        answer_seconds: consumer.answer_seconds,
        ..PeerConfig::default()
    }
}

/// Sends a notice. What the consumer made of it is in the answer: AA or CA, or why not.
pub async fn notify(client: &Client, notice: &Notice<'_>) -> Result<Acknowledgement, SoapError> {
    let own = Own { id: notice.id.to_owned(), time: notice.time.to_owned() };
    let device = |oid: Option<&str>| Device { id: oid.map(Ii::of).unwrap_or_default(), organization: None };
    let ids: Vec<Ii> = notice.ids.iter().map(|id| Ii::with(id.domain.clone(), id.value.clone())).collect();
    let call = Call::new(client, Transaction::Iti46, vec![], |w| {
        let (sender, receiver) = (device(Some(notice.sender)), device(notice.receiver));
        feed::write_notification(w, &own, &sender, &receiver, &ids, &Demographics::default());
    });
    call.send(client, &mut Discard).await?.body(ack::read)
}
