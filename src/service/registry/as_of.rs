//! Questions of an operator: a stored query as of a moment, an object's history. Either leaves an audit
//! record, whatever `audit.queries` says.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use crate::model::audit::Outcome;
use crate::model::error::{Error, ErrorCode, RegistryError};
use crate::model::query::{QueryRequest, QueryResult, ReturnType, StoredQuery, plain};
use crate::service::audit::{Audit, Audited};
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::service::registry::{History, Registry};
use crate::store::db::DbError;
use crate::store::registry::history;

/// A stored query as an operator writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsOf {
    pub moment: Timestamp,
    /// By name or URN.
    pub query: String,
    pub patients: Vec<String>,
    /// `NAME=VALUE`; see [`plain::slots`].
    pub params: Vec<String>,
    pub return_type: ReturnType,
}

/// What was found.
#[derive(Debug)]
pub struct AsOfAnswer {
    pub result: QueryResult,
    /// Before this, changes of status were not kept: an answer for an earlier moment shows what there was,
    /// with the status it had when the history began.
    pub history_began: Timestamp,
}

/// A moment as an operator writes it: RFC 3339, or a date with or without a time, which is Japan's.
pub fn moment(text: &str) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let japan = TimeZone::fixed(Offset::constant(9));
    text.parse::<DateTime>().ok().and_then(|local| japan.to_timestamp(local).ok()).ok_or_else(|| {
        format!("'{text}' is no moment: 2026-03-31T12:00:00+09:00, or 2026-03-31T12:00 for Japan's time")
    })
}

impl Registry {
    /// Answers as the registry would have answered then.
    pub async fn as_of(&self, audit: &Audit, context: &Context, asked: AsOf) -> Result<AsOfAnswer, Error> {
        let text = format!("as of {}: {} {}", asked.moment, asked.query, asked.params.join(" "));
        let patients = asked.patients.clone();
        let answered = self.answer_as_of(context, asked).await;
        let shown = answered.as_ref().map(|(_, shown)| shown.clone()).unwrap_or_default();
        self.recorded(audit, context, text.trim_end().to_owned(), patients, shown, answered.map(|(a, _)| a))
            .await
    }

    /// [`Registry::history`], on the record.
    pub async fn history_for_operator(
        &self,
        audit: &Audit,
        context: &Context,
        name: &str,
    ) -> Result<Vec<History>, Error> {
        let found = self.history(context, name).await;
        let shown: Vec<String> = found.iter().flatten().filter_map(|h| h.patient_id.clone()).collect();
        self.recorded(audit, context, format!("history {name}"), vec![], shown, found).await
    }

    async fn answer_as_of(&self, context: &Context, asked: AsOf) -> Result<(AsOfAnswer, Vec<String>), Error> {
        let row = plain::by_name(&asked.query).ok_or_else(|| {
            RegistryError::new(
                ErrorCode::XDSUnknownStoredQuery,
                format!("'{}' is no stored query known here (ITI TF-2 3.18.4.1.2.4)", asked.query),
            )
        })?;
        let slots = plain::slots(Some(row), &asked.patients, &asked.params)
            .map_err(|fault| RegistryError::new(ErrorCode::XDSRegistryError, fault))?;
        let (query, view) =
            StoredQuery::with_view(row.urn, row.multi_patient, &slots).map_err(Error::Rejected)?;
        let request = QueryRequest { query, return_type: asked.return_type, home: None, view };
        let answer = self.query_as_of(context, request, Some(asked.moment.as_microsecond())).await?;
        let began =
            self.db.read(|tx| Box::pin(history::began(tx))).await.map_err(|e: DbError| database(e))?;
        let history_began = Timestamp::from_microsecond(began).unwrap_or(Timestamp::MAX);
        let result = answer.found.read().map_err(|e| Error::Internal(e.into()))?;
        Ok((AsOfAnswer { result, history_began }, answer.patients))
    }

    /// Nothing is shown that is not on record.
    async fn recorded<T>(
        &self,
        audit: &Audit,
        context: &Context,
        query: String,
        mut patients: Vec<String>,
        shown: Vec<String>,
        answered: Result<T, Error>,
    ) -> Result<T, Error> {
        patients.extend(shown);
        patients.sort_unstable();
        patients.dedup();
        let subject = Subject { query: Some(query), patients, ..Subject::default() };
        let event = match &answered {
            Ok(_) => context.audit(Outcome::Success, subject),
            Err(error) => context.audit(Outcome::SeriousFailure, subject.with_failure(error)),
        };
        audit.settle(Audited::Due(Box::new(event))).await?;
        answered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let noon = "2026-03-31T03:00:00Z";
        for text in [noon, "2026-03-31T12:00:00+09:00", "2026-03-31T12:00", " 2026-03-31 12:00:00 "] {
            assert_eq!(moment(text).map(|m| m.to_string()).as_deref(), Ok(noon), "{text}");
        }
        assert_eq!(moment("2026-03-31").unwrap().to_string(), "2026-03-30T15:00:00Z");
        assert!(moment("last March").is_err());
    }
}
