//! Every id that a person is or was known by here, for who asks what was recorded of them.

use crate::model::error::Error;
use crate::model::hl7types::Cx;
use crate::model::identity::DomainId;
use crate::service::database;
use crate::service::mpi::cx;
use crate::store::db::{Db, DbError};
use crate::store::mpi::{correlation, identity};
use crate::store::patient;

/// The ids (CX) of whoever has this one: of the network, ids merged into it among them, and of hospitals. The id that
/// is asked for comes first, whether anybody has it or not. An id that was exchanged for another (A47) may be somebody
/// else's by now, and is left out. `network`: OID of the network's own authority.
pub async fn every_id(db: &Db, network: &str, asked: &str) -> Result<Vec<String>, Error> {
    let parsed = Cx::parse(asked).map(Cx::into_owned).ok();
    let (network, whole) = (network.to_owned(), asked.to_owned());
    let found = db
        .snapshot(move |tx| {
            let (network, parsed, whole) = (network.clone(), parsed.clone(), whole.clone());
            Box::pin(async move {
                let Some(parsed) = parsed else { return Ok::<_, DbError>(vec![]) };
                let key = match parsed.authority == network {
                    true => patient::any_key(tx, &whole).await?,
                    false => {
                        let id =
                            DomainId { domain: parsed.authority.to_string(), value: parsed.id.to_string() };
                        let found = identity::by_id(tx, &id).await?;
                        found.filter(|i| !i.is_buried()).map(|i| i.person_key)
                    }
                };
                let Some(key) = key else { return Ok(vec![]) };
                let key = patient::survivor(tx, key).await?;
                let mut all = vec![];
                for key in correlation::keys(tx, key).await? {
                    all.extend(patient::merged(tx, key).await?.map(|(pid, _)| pid));
                    all.extend(identity::every_id_of(tx, key).await?.iter().map(cx));
                }
                Ok(all)
            })
        })
        .await
        .map_err(|e: DbError| database(e))?;
    let mut all = vec![asked.to_owned()];
    for id in found {
        if !all.contains(&id) {
            all.push(id);
        }
    }
    Ok(all)
}
