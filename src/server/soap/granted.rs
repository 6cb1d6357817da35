//! Whether a node is granted what it asks, and says what is its own to say (ITI-19; docs/security.md).

use super::SoapFace;
use super::dispatch::Asked;
use crate::model::addressing::{Elsewhere, FaultsTo};
use crate::model::error::{Fault, FaultKind};
use crate::model::node::{Grants, Trespass};
use crate::model::transaction::{Actor, Transaction};
use crate::model::user::User;
use crate::server::http::ConnInfo;
use crate::service::nodes::check;

/// What a trespass is answered with; its record names what kind it was.
pub fn fault(trespass: &Trespass) -> Fault {
    Fault::sender(trespass.sentence()).kind(FaultKind::Trespass(trespass.label())).status(403)
}

/// The transaction, before its body is read.
pub fn transaction(conn: &ConnInfo, transaction: Transaction) -> Result<(), Fault> {
    match conn.entry() {
        Some(entry) => entry.grants.transaction(transaction).map_err(|trespass| fault(&trespass)),
        None => Ok(()),
    }
}

/// Whether the gateway of another community asks for one that is listed: of others' patients nobody else is told
/// (security.md 1.6; jahis-profile.md 7).
pub fn community(face: &SoapFace, conn: &ConnInfo, transaction: Transaction) -> Result<(), Fault> {
    let (Some(gateway), Actor::RespondingGateway) = (&face.gateway, transaction.row().actor) else {
        return Ok(());
    };
    let caller = conn.caller();
    let home = caller.node.as_ref().and_then(|node| node.home_community_id.as_deref());
    match home.filter(|home| *home != gateway.home()) {
        Some(home) if gateway.directory().whose(&caller).is_none() => {
            Err(fault(&Trespass::Community(home.to_owned())))
        }
        _ => Ok(()),
    }
}

/// The rate of the person, of all connections of the node.
pub fn person(conn: &ConnInfo, user: Option<&User>) -> Result<(), Fault> {
    let (Some(seat), Some(user)) = (&conn.seat, user) else { return Ok(()) };
    seat.person(&format!("{}\n{}", user.issuer, user.name_id)).map_err(|_| {
        Fault::busy(
            "this person asks more than the rate class of the node allows; send the request again later",
        )
    })
}

/// What the message says: whose answers go where, whose patients are fed, who submits.
pub fn message(
    face: &SoapFace,
    conn: &ConnInfo,
    asked: &Asked,
    elsewhere: Option<&Elsewhere>,
) -> Result<(), Fault> {
    let Some(entry) = conn.entry() else { return Ok(()) };
    said(face, &entry.grants, asked, elsewhere).map_err(|trespass| fault(&trespass))
}

fn said(
    face: &SoapFace,
    grants: &Grants,
    asked: &Asked,
    elsewhere: Option<&Elsewhere>,
) -> Result<(), Trespass> {
    if let Some(to) = elsewhere {
        grants.reply_url(&to.to)?;
        if let FaultsTo::Address(address) = &to.faults_to {
            grants.reply_url(address)?;
        }
    }
    if let (Some(feed), Some(mpi)) = (asked.fed(), &face.mpi) {
        check::feed(grants, mpi.domains(), feed)?;
    }
    match asked.source_id() {
        // One that is missing is a fault of the metadata, and answered as one.
        Some(source_id) if !source_id.is_empty() => grants.source_id(source_id),
        _ => Ok(()),
    }
}
