//! Several writes decided side by side in one transaction of PostgreSQL. What they ask at one time is one question,
//! and what they change is one statement: of a round trip, a statement's start and a commit each has its share only.
//!
//! They must want nothing of each other. Where writes of transactions of their own would wait for a lock, here whoever
//! comes second goes apart ([`DbError::Apart`]): it has written nothing yet, and is begun anew by itself when the rest is
//! done. So does whoever wants a lock that another transaction holds, and whoever runs a statement that is not made for
//! several. All see what was committed before, and nothing of each other, as transactions do that wait for nobody.

use std::collections::HashMap;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::later::{Kept, Later, can_join, join};
use super::pg::{Lent, Pg, commit_error};
use super::tx::{Conn, within};
use super::{DbError, Sql, Tx, TxFuture, Val};

/// A row that another transaction holds is waited for but a moment: the writes are waited for, all of them.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '50ms'";

const TRY_LOCK: &str = "SELECT n FROM unnest($1) AS v(n) WHERE pg_try_advisory_xact_lock(n)";

/// One of those that decide side by side.
pub(super) struct Seat {
    desk: Arc<Mutex<Desk>>,
    claims: Arc<Mutex<HashMap<i64, usize>>>,
    number: usize,
}

/// What lies between a write and whoever asks for it.
#[derive(Default)]
struct Desk {
    question: Option<Question>,
    answer: Option<Arc<Rows>>,
}

struct Question {
    sql: Sql,
    args: Vec<Kept>,
}

/// The answer to all who asked the same.
pub(super) struct Rows {
    all: Vec<PgRow>,
    /// Which rows begin with which number, once somebody looks for their own that way.
    by_number: OnceLock<HashMap<i64, Vec<usize>>>,
}

impl Rows {
    pub(super) fn iter(&self) -> impl Iterator<Item = &PgRow> {
        self.all.iter()
    }

    /// The rows that begin with one of these numbers.
    pub(super) fn of(&self, numbers: &[i64]) -> impl Iterator<Item = &PgRow> {
        let by_number = self.by_number.get_or_init(|| {
            let mut by_number = HashMap::<i64, Vec<usize>>::new();
            for (n, row) in self.all.iter().enumerate() {
                // A row that begins with none is nobody's.
                if let Ok(number) = row.try_get(0) {
                    by_number.entry(number).or_default().push(n);
                }
            }
            by_number
        });
        let ours = numbers.iter().filter_map(|number| by_number.get(number)).flatten();
        ours.filter_map(|n| self.all.get(*n))
    }
}

fn at<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seat {
    pub(super) async fn ask(&self, sql: Sql, args: &[Val<'_>]) -> Arc<Rows> {
        let args = args.iter().map(|value| Kept::of(*value)).collect();
        at(&self.desk).question = Some(Question { sql, args });
        // Nobody wakes us: whoever answers asks again whether we go on.
        poll_fn(|_| at(&self.desk).answer.take().map_or(Poll::Pending, Poll::Ready)).await
    }

    pub(super) fn claim(&self, numbers: &[i64]) -> Result<(), DbError> {
        let mut claims = at(&self.claims);
        for number in numbers {
            if *claims.entry(*number).or_insert(self.number) != self.number {
                return Err(DbError::Apart);
            }
        }
        Ok(())
    }

    /// `numbers`: sorted, each once.
    pub(super) async fn lock(&self, numbers: &[i64]) -> Result<(), DbError> {
        self.claim(numbers)?;
        let rows = self.ask(TRY_LOCK.into(), &[Val::I64s(numbers)]).await;
        if rows.of(numbers).count() == numbers.len() { Ok(()) } else { Err(DbError::Apart) }
    }
}

/// How each ended; none: it is to be done by itself.
type Ends<T, E> = Vec<Option<Result<T, E>>>;

struct Decided<T, E> {
    /// None: it is to be done by itself.
    done: Option<Result<T, E>>,
    later: Later,
}

struct Member<'w, T, E> {
    desk: Arc<Mutex<Desk>>,
    work: BoxFuture<'w, Decided<T, E>>,
    decided: Option<Decided<T, E>>,
}

impl Pg {
    pub(super) async fn write_beside<T, E, F>(&self, writes: Vec<(Vec<i64>, F)>) -> Ends<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E> + Send + Sync + 'static,
    {
        let mut conn = match self.acquire().await {
            Ok(conn) => conn,
            Err(e) => return writes.iter().map(|_| Some(Err(e.clone().into()))).collect(),
        };
        match self.beside(&mut conn, &writes).await {
            Ok(ends) => ends,
            Err((ends, e)) => {
                tracing::debug!(cause = %e, "writes beside each other were not written together");
                if e.is_lost_connection() {
                    conn.throw_away();
                }
                let mut ends = ends.unwrap_or_else(|| writes.iter().map(|_| None).collect());
                // A server that hangs is not waited for once more by each.
                if matches!(e, DbError::Silent(_)) {
                    ends.iter_mut()
                        .filter(|end| end.is_none())
                        .for_each(|end| *end = Some(Err(e.clone().into())));
                }
                ends
            }
        }
    }

    async fn beside<T, E, F>(
        &self,
        conn: &mut Lent,
        writes: &[(Vec<i64>, F)],
    ) -> Result<Ends<T, E>, (Option<Ends<T, E>>, DbError)>
    where
        T: Send,
        E: From<DbError> + Send,
        F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E> + Send + Sync,
    {
        let mut txn = conn.begin(BEGIN, self.patience).await.map_err(|e| (None, e))?;
        let (mut ends, later) = match decide(&mut txn, self.patience, writes).await {
            Ok(decided) => decided,
            Err(e) => return Err((None, self.roll_back(txn, e).await)),
        };
        if later.is_empty() && !ends.iter().any(|end| matches!(end, Some(Ok(_)))) {
            let _ = within(self.patience, txn.rollback()).await;
            return Ok(ends);
        }
        // A refusal stands, whatever becomes of the others.
        let put_back = |ends: &mut Ends<T, E>, why: Option<&DbError>| {
            for end in ends.iter_mut().filter(|end| matches!(end, Some(Ok(_)))) {
                *end = why.map(|e| Err(e.clone().into()));
            }
        };
        if !later.is_empty()
            && let Err(e) = within(self.patience, later.query().execute(&mut *txn)).await
        {
            put_back(&mut ends, None);
            return Err((Some(ends), self.roll_back(txn, e).await));
        }
        match within(self.patience, txn.commit()).await.map_err(commit_error) {
            Ok(()) => Ok(ends),
            Err(e) => {
                let unknown = matches!(e, DbError::OutcomeUnknown(_));
                put_back(&mut ends, Some(&e).filter(|_| unknown));
                Err((Some(ends), e))
            }
        }
    }

    /// Nothing is asked of a connection that is lost, which undoes as well.
    async fn roll_back(&self, txn: sqlx::Transaction<'_, sqlx::Postgres>, e: DbError) -> DbError {
        if !e.is_lost_connection() {
            let _ = within(self.patience, txn.rollback()).await;
        }
        e
    }
}

/// Lets all decide, and answers what they ask whenever all that are left ask something.
async fn decide<T, E, F>(
    conn: &mut PgConnection,
    patience: Option<Duration>,
    writes: &[(Vec<i64>, F)],
) -> Result<(Ends<T, E>, Later), DbError>
where
    T: Send,
    E: From<DbError> + Send,
    F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E> + Send + Sync,
{
    let claims = Arc::<Mutex<HashMap<i64, usize>>>::default();
    let mut members: Vec<Member<'_, T, E>> = writes
        .iter()
        .enumerate()
        .map(|(number, (numbers, write))| {
            let desk = Arc::<Mutex<Desk>>::default();
            let seat = Seat { desk: desk.clone(), claims: claims.clone(), number };
            Member { desk, work: Box::pin(one(seat, numbers, write)), decided: None }
        })
        .collect();
    loop {
        poll_fn(|context| {
            for member in members.iter_mut().filter(|m| m.decided.is_none()) {
                if let Poll::Ready(decided) = member.work.as_mut().poll(context) {
                    member.decided = Some(decided);
                }
            }
            Poll::Ready(())
        })
        .await;
        let asked: Vec<_> =
            members.iter().filter_map(|m| Some((m.desk.clone(), at(&m.desk).question.take()?))).collect();
        if asked.is_empty() {
            break;
        }
        answer(conn, patience, asked).await?;
    }
    let mut all = Later::default();
    // One that is not done and asks nothing waits for something else, which a write may not.
    let ends = members
        .into_iter()
        .map(|member| {
            let Decided { done, later } = member.decided?;
            if matches!(done, Some(Ok(_))) {
                all.append(later);
            }
            done
        })
        .collect();
    all.sort();
    Ok((ends, all))
}

async fn one<T, E, F>(seat: Seat, numbers: &[i64], write: &F) -> Decided<T, E>
where
    E: From<DbError>,
    F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E>,
{
    let mut tx = Tx::new(Conn::Beside(seat), false);
    let done = AssertUnwindSafe(async {
        tx.lock(numbers.to_vec()).await?;
        write(&mut tx).await
    })
    .catch_unwind()
    .await;
    // What failed here, or panicked, is looked at where it is done by itself.
    let done = done.ok().filter(|_| tx.failed().is_none());
    Decided { done, later: tx.take_later() }
}

async fn answer(
    conn: &mut PgConnection,
    patience: Option<Duration>,
    asked: Vec<(Arc<Mutex<Desk>>, Question)>,
) -> Result<(), DbError> {
    let mut questions: Vec<(Question, Vec<Arc<Mutex<Desk>>>)> = vec![];
    for (desk, question) in asked {
        let same = questions.iter_mut().find(|(other, _)| {
            other.sql.as_str() == question.sql.as_str() && can_join(&other.args, &question.args)
        });
        match same {
            Some((other, desks)) => {
                join(&mut other.args, question.args);
                desks.push(desk);
            }
            None => questions.push((question, vec![desk])),
        }
    }
    for (Question { sql, args }, desks) in questions {
        let query = args.into_iter().fold(sqlx::query(sql), |query, value| value.bind(query));
        let all = within(patience, query.fetch_all(&mut *conn)).await?;
        let rows = Arc::new(Rows { all, by_number: OnceLock::new() });
        for desk in desks {
            at(&desk).answer = Some(rows.clone());
        }
    }
    Ok(())
}
