//! What all stored queries share: running a statement over one kind of object, in the form asked for
//! and within the limit.

use std::collections::HashSet;

use super::statement::Statement;
use super::{FindError, FindOptions};
use crate::model::ebrim::ObjectKind;
use crate::model::metadata::MetadataObject;
use crate::model::query::ReturnType;
use crate::store::db::{Row, Tx};
use crate::store::registry::row::{self, RowError};

/// One object of the answer; without its body if only ObjectRefs were asked for.
pub(super) struct Hit {
    pub kind: ObjectKind,
    pub patient_key: i64,
    found: Found,
}

enum Found {
    Reference(String),
    Object(MetadataObject),
}

impl Hit {
    pub fn id(&self) -> &str {
        match &self.found {
            Found::Reference(id) => id,
            Found::Object(object) => object.id(),
        }
    }

    pub fn into_id(self) -> String {
        match self.found {
            Found::Reference(id) => id,
            Found::Object(object) => object.id().to_owned(),
        }
    }

    pub fn object(self) -> Option<MetadataObject> {
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
    pub tx: &'t mut Tx<'c>,
    return_type: ReturnType,
    limit: usize,
    /// How many objects the answer may still grow by.
    left: usize,
}

impl<'t, 'c> Reading<'t, 'c> {
    pub fn new(tx: &'t mut Tx<'c>, options: &FindOptions) -> Self {
        Self { tx, return_type: options.return_type, limit: options.limit, left: options.limit }
    }

    pub fn too_many(&self) -> FindError {
        FindError::TooManyResults(self.limit)
    }

    /// `SELECT … FROM … WHERE `, to be continued with conditions on [`row::Table::alias`].
    pub fn select<'q>(&self, kind: ObjectKind) -> Statement<'q> {
        let table = row::table(kind);
        let columns = match self.return_type {
            ReturnType::LeafClass => table.object,
            ReturnType::ObjectRef => table.reference,
        };
        Statement::new(&["SELECT ", columns, " FROM ", table.from, " WHERE "])
    }

    /// Runs a statement of [`select`](Self::select). Every row is part of the answer.
    pub async fn hits(&mut self, kind: ObjectKind, mut s: Statement<'_>) -> Result<Vec<Hit>, FindError> {
        let return_type = self.return_type;
        s.push(" ORDER BY ");
        s.push(row::table(kind).order);
        s.bind(" LIMIT ", i64::try_from(self.left).unwrap_or(i64::MAX).saturating_add(1));
        let rows = self.tx.fetch(s.sql, &s.args, |row| Ok(hit(kind, return_type, row))).await?;
        self.count(rows.len())?;
        let mut hits = rows.into_iter().collect::<Result<Vec<_>, _>>()?;
        if kind == ObjectKind::Association {
            // An association between two patients' objects may be kept under each of them.
            let mut seen = HashSet::new();
            hits.retain(|hit| seen.insert(hit.id().to_owned()));
        }
        Ok(hits)
    }

    /// `SELECT …, source, target FROM association a WHERE a.status = 1 AND `: only Approved
    /// associations are ever shown.
    pub fn select_links<'q>(&self) -> Statement<'q> {
        let table = row::table(ObjectKind::Association);
        // The ends stand in columns 4 and 5 whatever is asked for.
        let columns = match self.return_type {
            ReturnType::LeafClass => table.object,
            ReturnType::ObjectRef => "a.patient_key, a.id, NULL, NULL",
        };
        let ends = ", a.source_id, a.target_id FROM association a WHERE a.status = 1 AND ";
        Statement::new(&["SELECT ", columns, ends])
    }

    /// Runs a statement of [`select_links`](Self::select_links) and takes those associations into the
    /// answer that `keep` says yes to, given source and target. Bodies of others are not read.
    pub async fn links<K>(&mut self, mut s: Statement<'_>, mut keep: K) -> Result<Vec<Hit>, FindError>
    where
        K: FnMut(&str, &str) -> bool + Send,
    {
        let kind = ObjectKind::Association;
        let (return_type, most) = (self.return_type, self.left);
        s.push(" ORDER BY ");
        s.push(row::table(kind).order);
        let mut seen = HashSet::new();
        let rows = self
            .tx
            .fetch(s.sql, &s.args, |row| {
                if seen.len() > most
                    || !keep(row.text(4)?, row.text(5)?)
                    || !seen.insert(row.get::<String>(1)?)
                {
                    return Ok(None);
                }
                Ok(Some(hit(kind, return_type, row)))
            })
            .await?;
        let hits = rows.into_iter().flatten().collect::<Result<Vec<_>, _>>()?;
        self.count(hits.len())?;
        Ok(hits)
    }

    fn count(&mut self, more: usize) -> Result<(), FindError> {
        self.left = self.left.checked_sub(more).ok_or(FindError::TooManyResults(self.limit))?;
        Ok(())
    }
}

fn hit(kind: ObjectKind, return_type: ReturnType, row: &Row<'_>) -> Result<Hit, RowError> {
    let found = match return_type {
        ReturnType::LeafClass => Found::Object(row::object(kind, row)?),
        ReturnType::ObjectRef => Found::Reference(row.get(1)?),
    };
    Ok(Hit { kind, patient_key: row.get(0)?, found })
}
