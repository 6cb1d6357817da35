//! What a decision looks at, in few round trips: identities near another, and all that hangs together with some.

use super::events::{Class, Pair, Two, Verdict};
use super::identity::{self, COLUMNS, Identity, Status};
use super::person::{Person, Secret};
use super::{PARAMETERS, among};
use crate::model::identity::DomainId;
use crate::store::db::{DbError, Row, Tx, Val};

/// Active identities that share one of the blocking keys with another ([`identity::sharing`]), in order of their keys;
/// and how many blocks were skipped.
pub async fn near(
    tx: &mut Tx<'_>,
    hashes: &[i64],
    cap: usize,
    but: i64,
) -> Result<(Vec<Identity>, u64), DbError> {
    // Two questions: most patients who are new share no key with anybody, and one for both costs PostgreSQL more.
    let (keys, skipped) = identity::sharing(tx, hashes, cap, but).await?;
    Ok((identity::active(tx, &keys, false).await?, skipped))
}

/// Active identities by their keys and by their persons, in order of their keys, held until the transaction ends. Who
/// had to wait for one of them does not see yet whom the other transaction brought to its person: [`told`] does.
pub async fn held(tx: &mut Tx<'_>, keys: &[i64], persons: &[i64]) -> Result<Vec<Identity>, DbError> {
    if !tx.is_postgres() {
        let mut found = identity::active(tx, keys, true).await?;
        found.extend(identity::of_persons(tx, persons, true).await?);
        found.sort_unstable_by_key(|i| i.key);
        found.dedup_by_key(|i| i.key);
        return Ok(found);
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM identity WHERE (identity_key = ANY($1) OR person_key = ANY($2)) AND status = 1 \
         ORDER BY identity_key FOR NO KEY UPDATE"
    );
    let args = [Val::I64s(keys), Val::I64s(persons)];
    let found = tx.fetch_ours(sql, &args, |row| {
        let ours = keys.contains(&row.get(0)?) || persons.contains(&row.get(4)?);
        ours.then(|| identity::read_from(row, 0)).transpose()
    });
    let found = found.await?;
    let held: Vec<i64> = found.iter().flat_map(|i| [i.key, i.person_key]).collect();
    tx.claim(&held)?;
    Ok(found)
}

/// What is known of identities and persons.
#[derive(Default)]
pub struct Told {
    /// Without their reasons.
    pub pairs: Vec<Pair>,
    pub verdicts: Vec<Verdict>,
    pub persons: Vec<Person>,
    /// The active identities of those persons, each once.
    pub members: Vec<i64>,
}

/// All pairs and verdicts of identities, and these persons with their members, as they are once the identities are held.
pub async fn told(tx: &mut Tx<'_>, keys: &[i64], persons: &[i64]) -> Result<Told, DbError> {
    const PAIRS: &str = "SELECT CAST(0 AS BIGINT), a_key, b_key, class, score, model FROM pair WHERE";
    const VERDICTS: &str =
        "SELECT CAST(1 AS BIGINT), a_key, b_key, same, CAST(0 AS BIGINT), event_id FROM verdict WHERE";
    const MEMBERS: &str = "SELECT CAST(3 AS BIGINT), identity_key, person_key, CAST(0 AS BIGINT), \
                           CAST(0 AS BIGINT), '' FROM identity WHERE status = 1 AND";
    const PERSONS: &str = "SELECT CAST(2 AS BIGINT), person_key, replaced_by, created_at, CAST(0 AS BIGINT), value \
                           FROM person WHERE";
    let mut found = Told::default();
    let most = keys.len().max(persons.len());
    for from in (0..most).step_by(PARAMETERS) {
        let (keys, persons) = (part(keys, from), part(persons, from));
        let (a, mut args) = among(tx, "a_key", 1, keys);
        let b = a.replace("a_key", "b_key");
        let (those, more) = among(tx, "person_key", args.len() + 1, persons);
        args.extend(more);
        let sql = format!(
            "{PAIRS} {a} UNION ALL {PAIRS} {b} UNION ALL {VERDICTS} {a} UNION ALL {VERDICTS} {b} \
             UNION ALL {PERSONS} {those} UNION ALL {MEMBERS} {those}"
        );
        tx.fetch_ours(sql, &args, |row| {
            let of = if row.get::<i64>(0)? < 2 { keys } else { persons };
            let ends: [i64; 2] = [row.get(1)?, row.get::<Option<i64>>(2)?.unwrap_or_default()];
            // A person is told by its key, its members by who they are of.
            let ours = match row.get::<i64>(0)? {
                2 => of.contains(&ends[0]),
                3 => of.contains(&ends[1]),
                _ => ends.iter().any(|end| of.contains(end)),
            };
            if ours {
                read(row, &mut found)?;
            }
            Ok(None::<()>)
        })
        .await?;
    }
    found.pairs.sort_by_key(|p| p.two);
    found.pairs.dedup_by_key(|p| p.two);
    found.verdicts.sort_by_key(|v| v.two);
    found.verdicts.dedup();
    Ok(found)
}

/// As many as one statement takes, from `from` on.
fn part(all: &[i64], from: usize) -> &[i64] {
    let rest = all.get(from..).unwrap_or_default();
    rest.get(..PARAMETERS).unwrap_or(rest)
}

fn read(row: &Row<'_>, found: &mut Told) -> Result<(), DbError> {
    match row.get::<i64>(0)? {
        0 => found.pairs.push(Pair {
            two: Two(row.get(1)?, row.get(2)?),
            class: Class::of_code(row.get(3)?),
            score: row.get(4)?,
            model: row.get(5)?,
            body: String::new(),
        }),
        1 => found.verdicts.push(Verdict {
            two: Two(row.get(1)?, row.get(2)?),
            same: row.get(3)?,
            event: row.get(5)?,
        }),
        3 => found.members.push(row.get(1)?),
        _ => found.persons.push(Person {
            key: row.get(1)?,
            replaced_by: row.get(2)?,
            created_at: row.get(3)?,
            value: Secret(row.get(5)?),
        }),
    }
    Ok(())
}

/// What an id is cross-referenced with.
pub struct References {
    /// Status and version of the identity, if the id is one.
    pub identity: Option<(Status, i64)>,
    pub person: i64,
    /// 地連患者ID; none if the person was joined to another.
    pub value: Option<String>,
    /// The person's active identities, in no order.
    pub ids: Vec<DomainId>,
}

/// Whose an id is, and all ids of theirs: one question, as a PIX query asks no more. `network`: whether it is an id of
/// the network's own.
pub async fn references(
    tx: &mut Tx<'_>,
    id: &DomainId,
    network: bool,
) -> Result<Option<References>, DbError> {
    // Asked for by its own key each time, so that no plan can take another way than by index.
    let (whose, own) = match network {
        true => ("SELECT person_key FROM person WHERE value = $1", ""),
        false => (
            "SELECT person_key FROM identity WHERE domain = $2 AND value = $1",
            "SELECT CAST(0 AS BIGINT), person_key, status, version, domain, value FROM identity \
             WHERE domain = $2 AND value = $1 UNION ALL ",
        ),
    };
    let sql = format!(
        "{own}SELECT CAST(1 AS BIGINT), person_key, status, COALESCE(replaced_by, 0), '', value FROM person \
         WHERE person_key = ({whose}) UNION ALL \
         SELECT CAST(2 AS BIGINT), person_key, status, version, domain, value FROM identity \
         WHERE person_key = ({whose}) AND status = 1"
    );
    let args: [Val<'_>; 2] = [(&id.value).into(), (&id.domain).into()];
    let args = args.get(..if network { 1 } else { 2 }).unwrap_or_default();
    let mut found: Option<References> = None;
    tx.each(sql, args, |row| {
        let person = row.get(1)?;
        let found =
            found.get_or_insert_with(|| References { identity: None, person, value: None, ids: vec![] });
        match row.get::<i64>(0)? {
            0 => found.identity = Some((Status::of_code(row.get(2)?), row.get(3)?)),
            1 if row.get::<i64>(3)? != 0 => {}
            1 => found.value = Some(row.get(5)?),
            _ => found.ids.push(DomainId { domain: row.get(4)?, value: row.get(5)? }),
        }
        Ok(true)
    })
    .await?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::mpi::identity::Version;
    use crate::store::testing::databases;

    async fn add(tx: &mut Tx<'_>, key: i64, person: i64, hashes: &[i64]) -> Result<(), DbError> {
        let id = DomainId { domain: "1.2.3".into(), value: key.to_string() };
        let version =
            Version { number: 1, at: 1, occurred: None, source: "{}", sent: "{}", raw: b"", features: "f" };
        identity::insert(tx, key, &id, person, &version).await?;
        identity::set_keys(tx, key, &[], hashes).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whole_blocks_are_near_and_large_ones_are_skipped() {
        for t in databases().await {
            let found: Result<(Vec<i64>, u64), DbError> =
                t.db.write(|tx| {
                    Box::pin(async move {
                        // Three others share 10, two share 20, nobody shares 30.
                        for (key, hashes) in
                            [(1, &[10, 20, 30][..]), (2, &[10]), (3, &[10]), (4, &[10, 20]), (5, &[20])]
                        {
                            add(tx, key, key, hashes).await?;
                        }
                        let (found, skipped) = near(tx, &[10, 20, 30], 2, 1).await?;
                        Ok((found.into_iter().map(|i| i.key).collect(), skipped))
                    })
                })
                .await;
            assert_eq!(found, Ok((vec![4, 5], 1)));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_id_is_told_with_its_person_and_all_ids_of_them() {
        for t in databases().await {
            let found: Result<_, DbError> =
                t.db.write(|tx| {
                    Box::pin(async move {
                        crate::store::mpi::person::insert_later(tx, 7, "P7", 1).await?;
                        add(tx, 1, 7, &[]).await?;
                        add(tx, 2, 7, &[]).await?;
                        add(tx, 3, 8, &[]).await?;
                        let one = DomainId { domain: "1.2.3".into(), value: "1".into() };
                        let person = DomainId { domain: "1.2.1".into(), value: "P7".into() };
                        let nobody = DomainId { domain: "1.2.3".into(), value: "9".into() };
                        Ok((
                            references(tx, &one, false).await?,
                            references(tx, &person, true).await?,
                            references(tx, &nobody, false).await?.is_none(),
                        ))
                    })
                })
                .await;
            let (one, person, unknown) = found.unwrap();
            assert!(unknown);
            for (found, identity) in
                [(one.unwrap(), Some((Status::Active, 1))), (person.unwrap(), None::<(Status, i64)>)]
            {
                assert_eq!((found.person, found.identity), (7, identity));
                assert_eq!(found.value.as_deref(), Some("P7"));
                let mut values: Vec<String> = found.ids.into_iter().map(|id| id.value).collect();
                values.sort();
                assert_eq!(values, ["1", "2"]);
            }
        }
    }
}
