//! One transaction's changes to several patients' registries, each in its own history.

use std::collections::BTreeMap;

use crate::store::db::{DbError, Tx};
use crate::store::patient::{self, Held};
use crate::store::registry::change::{Cause, Change};

/// Patients held until the transaction ends: what was read of them stays true.
pub type HeldPatients = BTreeMap<i64, Held>;

/// The [`Change`] of each patient, begun when it is first needed.
pub struct Changes {
    held: HeldPatients,
    now: i64,
    begun: BTreeMap<i64, Change>,
}

impl Changes {
    /// `now`: see [`Change::begin`].
    pub fn new(held: HeldPatients, now: i64) -> Self {
        Self { held, now, begun: BTreeMap::new() }
    }

    /// Adds a patient that became known in this transaction.
    pub fn hold(&mut self, held: Held) -> i64 {
        self.held.insert(held.key(), held);
        held.key()
    }

    /// The change of a patient's registry. Whom the decision did not rest on is held now.
    pub async fn of(&mut self, tx: &mut Tx<'_>, key: i64) -> Result<&mut Change, DbError> {
        if !self.begun.contains_key(&key) {
            let held = match self.held.get(&key) {
                Some(held) => *held,
                None => patient::hold_key(tx, key).await?.ok_or(DbError::NoRow)?,
            };
            let change = Change::begin(tx, held, self.now).await?;
            self.begun.insert(key, change);
        }
        self.begun.get_mut(&key).ok_or(DbError::NoRow)
    }

    pub async fn finish(self, tx: &mut Tx<'_>, cause: &Cause) -> Result<(), DbError> {
        for change in self.begun.into_values() {
            change.finish(tx, cause).await?;
        }
        Ok(())
    }
}

/// How often what was read may have moved to further patients before they were held.
pub const ROUNDS: usize = 8;
