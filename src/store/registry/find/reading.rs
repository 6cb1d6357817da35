//! What all stored queries share: running a statement over one kind of object, in the form asked for
//! and within the limit.

use std::collections::HashSet;

use super::as_of;
use super::statement::Statement;
use super::{FindError, FindOptions};
use crate::model::consent::Permit;
use crate::model::ebrim::ObjectKind;
use crate::model::metadata::AtRest;
use crate::model::query::{ReturnType, View};
use crate::store::consent::Gate;
use crate::store::db::{DbError, Row, Tx};
use crate::store::registry::row::{self, Moment, RowError};

/// One object of the answer; without its body if only ObjectRefs were asked for.
pub(super) struct Hit {
    pub kind: ObjectKind,
    pub patient_key: i64,
    moment: Moment,
    found: Found,
}

enum Found {
    Reference(String),
    Object(AtRest),
}

impl Hit {
    pub fn id(&self) -> &str {
        match &self.found {
            Found::Reference(id) => id,
            Found::Object(object) => &object.id,
        }
    }

    pub fn into_id(self) -> String {
        match self.found {
            Found::Reference(id) => id,
            Found::Object(object) => object.id,
        }
    }

    pub fn object(self) -> Option<AtRest> {
        match self.found {
            Found::Reference(_) => None,
            Found::Object(object) => Some(object),
        }
    }
}

/// entryUUIDs of hits.
pub(super) fn ids(hits: &[Hit]) -> HashSet<String> {
    hits.iter().map(|hit| hit.id().to_owned()).collect()
}

/// A stored query at work.
pub(super) struct Reading<'t, 'c> {
    tx: &'t mut Tx<'c>,
    return_type: ReturnType,
    pub view: View,
    limit: usize,
    /// How many objects the answer may still grow by.
    left: usize,
    as_of: Option<i64>,
    gate: Gate<'t>,
    /// The patients the query names; none: any.
    named: Option<Vec<i64>>,
    /// How SQLite would run each statement, once somebody wants to know.
    #[cfg(test)]
    pub plans: Option<Vec<String>>,
}

impl<'t, 'c> Reading<'t, 'c> {
    pub fn new(tx: &'t mut Tx<'c>, options: &FindOptions, permit: &'t Permit) -> Self {
        Self {
            tx,
            return_type: options.return_type,
            view: options.view,
            limit: options.limit,
            left: options.limit,
            as_of: options.as_of,
            gate: Gate::new(permit),
            named: None,
            #[cfg(test)]
            plans: None,
        }
    }

    /// Loads what decides about the patients a query names, if it names any.
    pub async fn meet(&mut self, ids: &[String]) -> Result<(), DbError> {
        if self.gate.is_narrow() && !ids.is_empty() {
            self.named = Some(self.gate.meet_named(self.tx, ids).await?);
        }
        Ok(())
    }

    /// The patients a statement may be about, met; and surveyed where its rows show more than themselves.
    async fn prepare(&mut self, kind: ObjectKind, s: &Statement<'_>) -> Result<(), DbError> {
        if !self.gate.is_narrow() {
            return Ok(());
        }
        let keys = match &self.named {
            Some(keys) => keys.clone(),
            None => self.patients_of(s).await?,
        };
        self.gate.meet(self.tx, &keys).await?;
        // Old versions are decided on with the one that followed them.
        let past = self.as_of.is_some();
        if kind != ObjectKind::DocumentEntry || self.view.everything() || past {
            self.gate.survey(self.tx, &keys, past).await?;
        }
        Ok(())
    }

    /// Patients of a statement's rows, each once, before any row is read.
    async fn patients_of(&mut self, s: &Statement<'_>) -> Result<Vec<i64>, DbError> {
        let around = Statement {
            sql: format!("SELECT q.patient_key FROM ({}) q GROUP BY q.patient_key", s.sql),
            args: s.args.clone(),
        };
        self.rows(around, |row| row.get(0)).await
    }

    pub fn too_many(&self) -> FindError {
        FindError::TooManyResults(self.limit)
    }

    /// Columns of an object in the form asked for.
    pub fn columns(&self, kind: ObjectKind) -> &'static str {
        match self.return_type {
            // To be decided on, an entry is read whole.
            ReturnType::ObjectRef if self.gate.is_narrow() && kind == ObjectKind::DocumentEntry => {
                row::table(kind).object
            }
            ReturnType::LeafClass => row::table(kind).object,
            ReturnType::ObjectRef => row::table(kind).reference,
        }
    }

    /// Appends `SELECT … FROM … WHERE `, to be continued with conditions on [`row::Table::alias`].
    pub fn select(&self, s: &mut Statement<'_>, kind: ObjectKind) {
        for part in ["SELECT ", self.columns(kind), " FROM ", row::table(kind).from, " WHERE "] {
            s.push(part);
        }
    }

    /// Appends the selection of the objects in `keys`, a sub-select of `patient_key` and `id`, each
    /// once; to be continued with ` AND …`.
    ///
    /// As a join, and CROSS: SQLite then keeps the order, where it would read a whole table
    /// for `(patient_key, id) IN (…)` over anything but a simple sub-select.
    pub fn select_among(&self, s: &mut Statement<'_>, kind: ObjectKind, keys: &str) {
        for part in ["SELECT ", self.columns(kind), " FROM "] {
            s.push(part);
        }
        among(s, kind, keys);
    }

    /// Runs a statement of [`select`](Self::select). Every row is part of the answer.
    pub async fn hits(&mut self, kind: ObjectKind, mut s: Statement<'_>) -> Result<Vec<Hit>, FindError> {
        let return_type = self.return_type;
        if self.gate.is_narrow() {
            return self.narrowed(kind, s).await;
        }
        // One row too many is enough to know. Which rows does not matter then, so we sort and not the
        // database, which would carry the bodies through its sorter.
        s.bind(" LIMIT ", i64::try_from(self.left).unwrap_or(i64::MAX).saturating_add(1));
        let rows = self.rows(s, |row| Ok(hit(kind, return_type, row))).await?;
        self.take(kind, rows.into_iter())
    }

    /// The same, without what the permit leaves out: that counts for nothing, not even for the limit.
    async fn narrowed(&mut self, kind: ObjectKind, s: Statement<'_>) -> Result<Vec<Hit>, FindError> {
        self.prepare(kind, &s).await?;
        let (return_type, most) = (self.return_type, self.left);
        let alone = kind == ObjectKind::DocumentEntry && !self.view.everything() && self.as_of.is_none();
        let gate = std::mem::take(&mut self.gate);
        let mut kept = 0;
        let rows = self
            .rows(s, |row| {
                let key: i64 = row.get(0)?;
                let shown = kept <= most
                    && (kind != ObjectKind::DocumentEntry || gate.shows_entry(key, row.text(3)?))
                    && (alone || gate.shows(kind, key, row.text(1)?));
                if !shown {
                    return Ok(None);
                }
                kept += 1;
                Ok(Some(hit(kind, return_type, row)))
            })
            .await;
        self.gate = gate;
        self.take(kind, rows?.into_iter().flatten())
    }

    /// Appends the selection of the associations in `keys` that the query shows, with their ends.
    pub fn select_links(&self, s: &mut Statement<'_>, keys: &str) {
        let kind = ObjectKind::Association;
        s.push("SELECT ");
        s.push(self.columns(kind));
        // The ends stand in columns 5 and 6 whatever is asked for.
        s.push(match self.return_type {
            ReturnType::LeafClass => ", a.source_id, a.target_id FROM ",
            ReturnType::ObjectRef => ", NULL, NULL, a.source_id, a.target_id FROM ",
        });
        among(s, kind, keys);
        s.push(&self.view.associations("a"));
    }

    /// Runs a statement of [`select_links`](Self::select_links) and takes those associations into the
    /// answer that `keep` says yes to, given source and target. Bodies of others are not read.
    pub async fn links<K>(&mut self, s: Statement<'_>, mut keep: K) -> Result<Vec<Hit>, FindError>
    where
        K: FnMut(&str, &str) -> bool + Send,
    {
        let kind = ObjectKind::Association;
        self.prepare(kind, &s).await?;
        let (return_type, most) = (self.return_type, self.left);
        let gate = std::mem::take(&mut self.gate);
        let mut kept = 0;
        let rows = self
            .rows(s, |row| {
                let shown = kept <= most
                    && keep(row.text(5)?, row.text(6)?)
                    && gate.shows(kind, row.get(0)?, row.text(1)?);
                if !shown {
                    return Ok(None);
                }
                kept += 1;
                Ok(Some(hit(kind, return_type, row)))
            })
            .await;
        self.gate = gate;
        self.take(kind, rows?.into_iter().flatten())
    }

    /// Runs any statement.
    pub async fn rows<T, M>(&mut self, mut s: Statement<'_>, map: M) -> Result<Vec<T>, DbError>
    where
        T: Send,
        M: FnMut(&Row<'_>) -> Result<T, DbError> + Send,
    {
        if let Some(moment) = self.as_of {
            s.args.push(moment.into());
            s.sql = as_of::over(&s.sql, s.args.len());
        }
        #[cfg(test)]
        if let Some(plans) = &mut self.plans {
            let explain = ["EXPLAIN QUERY PLAN ", &s.sql].concat();
            plans.extend(self.tx.fetch(explain, &s.args, |row| row.get::<String>(3)).await?);
        }
        self.tx.fetch(s.sql, &s.args, map).await
    }

    /// Counts, sorts and removes doubles: an association between two patients' objects may be kept under
    /// each of them.
    fn take(
        &mut self,
        kind: ObjectKind,
        rows: impl Iterator<Item = Result<Hit, RowError>>,
    ) -> Result<Vec<Hit>, FindError> {
        let mut hits = rows.collect::<Result<Vec<_>, _>>()?;
        self.left = self.left.checked_sub(hits.len()).ok_or(FindError::TooManyResults(self.limit))?;
        hits.sort_unstable_by(|a, b| (&a.moment, a.id()).cmp(&(&b.moment, b.id())));
        if kind == ObjectKind::Association {
            hits.dedup_by(|a, b| a.id() == b.id());
        }
        Ok(hits)
    }
}

fn among(s: &mut Statement<'_>, kind: ObjectKind, keys: &str) {
    let row::Table { from, alias, .. } = row::table(kind);
    s.push(&format!(
        "{keys} k CROSS JOIN {from} WHERE {alias}.patient_key = k.patient_key AND {alias}.id = k.id"
    ));
}

fn hit(kind: ObjectKind, return_type: ReturnType, row: &Row<'_>) -> Result<Hit, RowError> {
    let found = match return_type {
        ReturnType::LeafClass => Found::Object(row::object(kind, row)?),
        ReturnType::ObjectRef => Found::Reference(row.get(1)?),
    };
    Ok(Hit { kind, patient_key: row.get(0)?, moment: row::moment(kind, row)?, found })
}
