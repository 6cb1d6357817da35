//! How much of what people look at the national service could have shown them: the share of views that only the regional
//! network could serve.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Serialize;

use super::National;
use crate::model::audit::{AuditEvent, Outcome};
use crate::model::error::Error;
use crate::peer::national::Call;
use crate::service::database;
use crate::store::db::DbError;
use crate::store::national::coverage::{self, Arrival};

/// A calendar month in Japan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Month {
    pub year: i16,
    pub month: i8,
}

impl Month {
    /// `2026-11`.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        let (year, month): (i16, i8) = (year.parse().ok()?, month.parse().ok()?);
        (text.len() == 7 && (1..=12).contains(&month)).then_some(Self { year, month })
    }

    /// When it begins and when the next one does, in microseconds since 1970.
    pub fn span(self) -> Option<(i64, i64)> {
        let first = jiff::civil::Date::new(self.year, self.month, 1).ok()?;
        let next = first.checked_add(jiff::Span::new().months(1)).ok()?;
        let at =
            |date: jiff::civil::Date| date.in_tz("Asia/Tokyo").ok().map(|z| z.timestamp().as_microsecond());
        Some((at(first)?, at(next)?))
    }
}

/// Below every UUIDv7 of a moment (microseconds since 1970), and above those before it.
fn first_id(at: i64) -> String {
    let ms = at.div_euclid(1000).max(0);
    format!("{:08x}-{:04x}", ms >> 16, ms & 0xffff)
}

/// Views of documents, as far as they are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Documents retrieved, each time counted.
    pub views: u64,
    /// Of documents that the national service held too, at that moment.
    pub both: u64,
    /// Of documents that only the regional network had.
    pub regional_only: u64,
    /// Of documents that are no longer registered.
    pub unknown: u64,
}

impl National {
    /// The views of a month: retrievals by our own members (ITI-43) and by other communities (ITI-39).
    pub async fn views(&self, month: Month) -> Result<Tally, Error> {
        let mut tally = Tally::default();
        let Some((from, to)) = month.span() else { return Ok(tally) };
        for transaction in ["ITI-43", "ITI-39"] {
            let (mut after, before) = (first_id(from), first_id(to));
            loop {
                const PAGE: i64 = 1000;
                let asked = Arc::new((after.clone(), before.clone(), transaction));
                let page = self.0.db.read(move |tx| {
                    let asked = asked.clone();
                    Box::pin(async move {
                        let (after, before, transaction) = &*asked;
                        coverage::views(tx, transaction, after, before, PAGE).await
                    })
                });
                let page = page.await.map_err(|e: DbError| database(e))?;
                let Some((id, _)) = page.last() else { break };
                after.clone_from(id);
                self.count(&page, &mut tally).await?;
            }
        }
        Ok(tally)
    }

    async fn count(&self, page: &[(String, String)], tally: &mut Tally) -> Result<(), Error> {
        let mut seen: HashMap<String, Vec<i64>> = HashMap::new();
        for (_, body) in page {
            let Ok(event) = serde_json::from_str::<AuditEvent>(body) else { continue };
            // A question we sent on to another community is no view of a document of ours.
            if event.outcome == Outcome::SeriousFailure || event.sent_to.is_some() {
                continue;
            }
            for document in event.documents {
                seen.entry(document).or_default().push(event.at);
            }
        }
        let ids: Arc<Vec<String>> = Arc::new(seen.keys().cloned().collect());
        let (of, arrivals, letters) = self
            .0
            .db
            .snapshot(move |tx| {
                let ids = ids.clone();
                Box::pin(async move {
                    let of = coverage::documents(tx, &ids).await?;
                    let lids: Vec<String> = of.iter().map(|(_, lid)| lid.clone()).collect();
                    let arrivals = coverage::arrivals(tx, &lids).await?;
                    let wanted: HashSet<Letter> = arrivals.iter().filter_map(letter).collect();
                    let mut letters = HashMap::new();
                    for letter in wanted {
                        let its = coverage::of_letter(tx, &letter.0, &letter.1).await?;
                        letters.insert(letter, its);
                    }
                    Ok((of, arrivals, letters))
                })
            })
            .await
            .map_err(|e: DbError| database(e))?;
        for (document, at) in
            seen.into_iter().flat_map(|(d, times)| times.into_iter().map(move |at| (d.clone(), at)))
        {
            tally.views += 1;
            let mut lids = of.iter().filter(|(id, _)| *id == document).map(|(_, lid)| lid).peekable();
            match lids.peek().is_some() {
                false => tally.unknown += 1,
                true if lids.any(|lid| was_there(&arrivals, &letters, lid, at)) => tally.both += 1,
                true => tally.regional_only += 1,
            }
        }
        Ok(())
    }
}

/// A letter: its institution and its 文書ID.
type Letter = (String, String);

/// The letter that a discharge summary was attached to.
fn letter(arrival: &Arrival) -> Option<Letter> {
    let call = serde_json::from_str::<Call>(arrival.call.as_deref()?).ok()?;
    Some((call.institution, call.letter?))
}

/// Whether the service held a document at a moment: the last that arrived of its lineage by then was this document, and
/// what it is attached to was there too.
fn was_there(arrivals: &[Arrival], letters: &HashMap<Letter, Vec<Arrival>>, lid: &str, at: i64) -> bool {
    let stands = |a: &Arrival| !a.operation.ends_with(".cancel") && a.expires_at.is_none_or(|end| at < end);
    let last = arrivals.iter().rfind(|a| a.of == lid && a.at <= at);
    last.is_some_and(|last| {
        let carried = letter(last).and_then(|letter| letters.get(&letter));
        let carried = carried.and_then(|its| its.iter().rfind(|a| a.at <= at));
        last.lid == lid && stands(last) && carried.is_none_or(stands)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::national::Op;

    #[test]
    fn a_document_was_there_from_its_arrival_to_its_end() {
        let arrival = |at, lid: &str, operation: &str| Arrival {
            of: "a".into(),
            at,
            lid: lid.into(),
            operation: operation.into(),
            expires_at: Some(100),
            call: None,
        };
        let all = [
            arrival(10, "a", "info.register"),
            arrival(20, "a", "info.cancel"),
            arrival(30, "a", "info.register"),
            arrival(40, "b", "info.change"),
        ];
        let none = HashMap::new();
        let was = |at| was_there(&all, &none, "a", at);
        assert_eq!([5, 10, 19, 20, 30, 40].map(was), [false, true, true, false, true, false]);
        assert!(was_there(&all[..1], &none, "a", 99) && !was_there(&all[..1], &none, "a", 100));
    }

    #[test]
    fn a_summary_was_there_while_its_letter_was() {
        let call = Call { letter: Some("L".into()), ..Call::new(Op::Availability, "1", "k") };
        let arrival = |at, operation: &str, expires_at, call: Option<&Call>| Arrival {
            of: "s".into(),
            at,
            lid: "s".into(),
            operation: operation.into(),
            expires_at,
            call: call.map(|call| serde_json::to_string(call).unwrap()),
        };
        let summary = [arrival(20, "referral.attach-later", None, Some(&call))];
        let letter = vec![
            arrival(10, "referral.register", Some(60), None),
            arrival(30, "referral.cancel", Some(60), None),
            arrival(40, "referral.undo", Some(60), None),
        ];
        let letters = HashMap::from([(("1".to_owned(), "L".to_owned()), letter)]);
        let was = |at| was_there(&summary, &letters, "s", at);
        assert_eq!(
            [15, 20, 29, 30, 39, 40, 59, 60].map(was),
            [false, true, true, false, false, true, true, false]
        );
    }

    #[test]
    fn a_month_is_japans() {
        let (from, to) = Month::parse("2026-11").unwrap().span().unwrap();
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_microsecond();
        assert_eq!((from, to), (at("2026-10-31T15:00:00Z"), at("2026-11-30T15:00:00Z")));
        for bad in ["2026", "2026-13", "26-1", "2026-1"] {
            assert_eq!(Month::parse(bad), None, "{bad}");
        }
    }
}
