//! Stored queries of our own consumers, asked here and of the communities that matter. ITI TF-2 3.18.4.1.3, 3.38.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::correlate::Known;
use super::directory::{Listed, Member};
use super::trouble::Trouble;
use super::{Correlations, Gateway};
use crate::model::audit::{AuditEvent, Outcome};
use crate::model::community::Step;
use crate::model::consent::Action;
use crate::model::error::{Error, ErrorCode, RegistryError, clip};
use crate::model::hl7types::Cx;
use crate::model::ids::HomeCommunityId;
use crate::model::metadata::MetadataObject;
use crate::model::query::{AdhocQueryRequest, QueryRequest, QueryResult, ReturnType};
use crate::model::transaction::Transaction;
use crate::peer::soap::xca::{self, ResponseStatus};
use crate::service::access;
use crate::service::context::{Context, Subject};
use crate::service::registry::Answer;

const CLAUSE: &str = "ITI TF-2 3.18.4.1.3";

/// What came of a query by its deadline.
pub struct Gathered {
    /// Of our own registry, unless another community was meant.
    pub ours: Option<Result<Answer, Error>>,
    /// Of other communities, each object with its homeCommunityId.
    pub theirs: Vec<QueryResult>,
    /// Of other communities, each with its homeCommunityId as location.
    pub errors: Vec<RegistryError>,
    /// Some other community answered, be it with nothing.
    pub answered: bool,
    /// ITI-38 as we sent it.
    pub records: Vec<AuditEvent>,
}

/// One community to be asked.
struct Target {
    member: Arc<Member>,
    request: AdhocQueryRequest,
    /// Ours, whose ids there are to be found first; with what is known of them here.
    patient: Option<(Cx<'static>, Arc<Known>)>,
}

/// One question, and what came of it.
struct Asked {
    text: String,
    patient: Option<Cx<'static>>,
    given: Result<Given, Trouble>,
}

/// What came of one community.
enum Reached {
    /// For each id that it has for the patient; none: it is not known to have any.
    Asked(Vec<Asked>),
    /// Who the patient is there could not be found.
    Unknown(Trouble),
}

/// Who is asked.
struct Plan {
    ours: bool,
    targets: Vec<Target>,
    /// About communities that were named and are not known.
    errors: Vec<RegistryError>,
}

/// What one community gave.
pub(super) struct Given {
    pub result: QueryResult,
    pub errors: Vec<RegistryError>,
}

impl Gateway {
    /// Asks our own registry and the communities that matter: the one named, or those that know the patient. The
    /// answer is there at the deadline, with what arrived.
    pub async fn query(
        &self,
        context: &Context,
        raw: AdhocQueryRequest,
        request: QueryRequest,
    ) -> Result<Gathered, Error> {
        // Before anybody is asked: others do not know of whom the user's assertion is.
        access::bound(&context.caller, request.query.patient_ids(), ErrorCode::XDSRegistryError)?;
        let deadline = Instant::now() + self.settings.deadline;
        let listed = self.directory.now();
        let permit = self.screen.permit(context, Action::Query);
        let ours_is = request.query.patient_ids().first().and_then(|id| Cx::parse(id).ok());
        let ours_is = ours_is.map(Cx::into_owned);
        let mut plan = self.plan(&listed, &raw, &request, deadline).await?;
        if permit.is_narrow() {
            // Of a reference alone nobody can tell what it is about.
            plan.targets.iter_mut().for_each(|t| t.request.return_type = ReturnType::LeafClass);
        }
        let mut tasks = JoinSet::new();
        let mut asked = vec![];
        for (n, target) in plan.targets.into_iter().enumerate() {
            asked.push(target.member.clone());
            let (ours, correlations) = (self.settings.home.clone(), self.correlations.clone());
            let context = context.clone();
            tasks.spawn(async move { (n, reach(&correlations, &context, target, &ours, deadline).await) });
        }
        let here = async {
            let registry = self.registry.as_ref().filter(|_| plan.ours)?;
            let late = || Error::Busy("our own registry did not answer in time");
            Some(timeout_at(deadline, registry.query(context, request)).await.unwrap_or_else(|_| Err(late())))
        };
        let there = async {
            let mut given: Vec<Option<Result<Reached, Error>>> = asked.iter().map(|_| None).collect();
            while let Some(done) = tasks.join_next().await {
                if let Ok((n, result)) = done
                    && let Some(slot) = given.get_mut(n)
                {
                    *slot = Some(result);
                }
            }
            given
        };
        let (ours, given) = tokio::join!(here, there);
        let mut gathered =
            Gathered { ours, theirs: vec![], errors: plan.errors, answered: false, records: vec![] };
        let mut seen = HashSet::new();
        for (member, reached) in asked.into_iter().zip(given) {
            let failed = |trouble: Trouble| trouble.error(&member.community.name, &member.home());
            let lost = || Ok(Reached::Unknown(Trouble::new(Step::Request, "our own failure")));
            let asked = match reached.unwrap_or_else(lost)? {
                Reached::Asked(asked) => asked,
                Reached::Unknown(trouble) => {
                    gathered.errors.push(failed(trouble));
                    continue;
                }
            };
            for Asked { text, patient, given } in asked {
                gathered.records.push(record(context, &member, text, patient, &given));
                match given {
                    Ok(Given { result, errors }) => {
                        let of = (&member.community, ours_is.as_ref());
                        let shown =
                            self.screen.let_through(context, &permit, of, result, raw.return_type).await?;
                        gathered.answered = true;
                        gathered.errors.extend(errors);
                        gathered.theirs.push(new_ones(shown, &mut seen));
                    }
                    Err(trouble) => gathered.errors.push(failed(trouble)),
                }
            }
        }
        access::note(context, &permit);
        Ok(gathered)
    }

    async fn plan(
        &self,
        listed: &Listed,
        raw: &AdhocQueryRequest,
        request: &QueryRequest,
        deadline: Instant,
    ) -> Result<Plan, Error> {
        let by_patient = request.query.patient_ids().first();
        let named = raw.targets()?;
        let mut errors = vec![];
        let mut ours = raw.home.is_none();
        let members: Vec<Arc<Member>> = match (&raw.home, by_patient) {
            (Some(home), _) if *home == *self.settings.home => {
                return Ok(Plan { ours: true, targets: vec![], errors });
            }
            (Some(home), _) => vec![listed.by_home(home).cloned().ok_or_else(|| unknown(home))?],
            (None, Some(_)) => match named {
                None => listed.members.iter().filter(|m| m.client("iti38").is_some()).cloned().collect(),
                Some(homes) => {
                    ours = homes.iter().any(|home| *home == *self.settings.home);
                    let mut members: Vec<Arc<Member>> = vec![];
                    for home in homes.iter().filter(|home| **home != *self.settings.home) {
                        match listed.by_home(home) {
                            None => errors.push(unknown(home)),
                            Some(m) if members.iter().any(|known| Arc::ptr_eq(known, m)) => {}
                            Some(m) => members.push(m.clone()),
                        }
                    }
                    members
                }
            },
            (None, None) => return Err(self.homeless().into()),
        };
        let targets = match by_patient.map(|id| Cx::parse(id)) {
            None => members
                .into_iter()
                .map(|member| Target { member, request: raw.clone(), patient: None })
                .collect(),
            // What is no patient id is nobody's; our registry says so where it is asked.
            Some(Err(_)) => vec![],
            Some(Ok(patient)) => {
                let late = Error::Busy("where else the patient is known could not be found in time");
                let known =
                    timeout_at(deadline, self.correlations.look(&patient)).await.map_err(|_| late)??;
                let known = Arc::new(known);
                let target = |member| {
                    let patient = (patient.clone().into_owned(), known.clone());
                    Target { member, request: raw.clone(), patient: Some(patient) }
                };
                members.into_iter().map(target).collect()
            }
        };
        Ok(Plan { ours, targets, errors })
    }

    fn homeless(&self) -> RegistryError {
        RegistryError::new(
            ErrorCode::XDSMissingHomeCommunityId,
            format!(
                "AdhocQuery/@home is absent; a query that names no patient says which community is asked ({CLAUSE})"
            ),
        )
        .at(self.settings.home.as_ref())
    }
}

/// Nobody in the directory.
pub(super) fn unknown(home: &str) -> RegistryError {
    RegistryError::new(
        ErrorCode::XDSUnknownCommunity,
        format!("homeCommunityId '{}' is no community known here ({CLAUSE})", clip(home)),
    )
    .at(clip(home))
}

/// Finds the patient's ids in one community, where there is a patient, and asks it by each.
async fn reach(
    correlations: &Correlations,
    context: &Context,
    target: Target,
    ours: &str,
    deadline: Instant,
) -> Result<Reached, Error> {
    let Target { member, request, patient } = target;
    let about: Vec<(AdhocQueryRequest, Option<Cx<'static>>)> = match patient {
        None => vec![(request, None)],
        Some((patient, known)) => {
            let finding = correlations.resolve(context, &patient, &known, &member.community);
            let found = match timeout_at(deadline, finding).await {
                Ok(found) => found?,
                Err(_) => {
                    let why = "who the patient is there was not known in time";
                    return Ok(Reached::Unknown(Trouble::new(Step::Timeout, why)));
                }
            };
            if let Some(failed) = found.failed.into_iter().next() {
                return Ok(Reached::Unknown(failed.trouble));
            }
            found.found.into_iter().map(|c| (request.about(&c.patient), Some(c.patient))).collect()
        }
    };
    let people = correlations.people();
    let asking = about.into_iter().map(|(request, patient)| {
        let member = &member;
        async move {
            let given = match people.assertion(
                context,
                &member.community,
                patient.as_ref().map(Cx::to_string).as_deref(),
            ) {
                Ok(assertion) => ask(member, &request, assertion.as_deref(), ours, deadline).await,
                Err(trouble) => Err(trouble),
            };
            Asked { text: xca::query_text(&request), patient, given }
        }
    });
    Ok(Reached::Asked(join_all(asking).await))
}

/// Asks one community, and holds what it answers against what it may.
pub(super) async fn ask(
    member: &Member,
    request: &AdhocQueryRequest,
    assertion: Option<&str>,
    ours: &str,
    deadline: Instant,
) -> Result<Given, Trouble> {
    let Some(client) = member.client("iti38") else {
        return Err(Trouble::new(Step::Endpoint, "the directory has no address for ITI-38"));
    };
    // In a box: the way of a question through HTTP is long, and would be copied at each step of those around it.
    let asking = Box::pin(async {
        let found = xca::query(client, request, assertion).await?;
        vetted(member, request.return_type, found, ours)
    });
    member.line.ask(deadline, asking).await.map(|(given, _)| given)
}

/// What a community may say: objects in the form asked for, of communities it speaks for, and no more than it may.
fn vetted(member: &Member, asked: ReturnType, found: xca::Found, ours: &str) -> Result<Given, Trouble> {
    let xca::Found { status, result, errors } = found;
    let limit = usize::try_from(member.config.results).unwrap_or(usize::MAX);
    if result.len() > limit {
        return Err(Trouble::bad_answer(format!("it holds {} objects, more than {limit}", result.len())));
    }
    let home = member.home();
    let mut homeless: Option<(String, usize)> = None;
    let mut bare = |id: &str| homeless.get_or_insert_with(|| (id.to_owned(), 0)).1 += 1;
    let result = match (asked, result) {
        (_, result) if result.is_empty() => result,
        (ReturnType::LeafClass, QueryResult::Objects(objects)) => {
            let mut kept = vec![];
            for mut object in objects {
                // An Association has its community by the objects it joins (ITI TF-2 3.38.4.1.3).
                if object.home_community_id().is_none() && matches!(object, MetadataObject::Association(_)) {
                    object.set_home_community_id(&home);
                }
                match judged(member, object.home_community_id(), object.id(), ours)? {
                    Whose::Theirs => kept.push(object),
                    Whose::Ours => {}
                    Whose::Nobodys => bare(object.id()),
                }
            }
            QueryResult::Objects(kept)
        }
        (ReturnType::ObjectRef, QueryResult::Refs(refs)) => {
            let mut kept = vec![];
            for r in refs {
                match judged(member, r.home_community_id.as_deref(), &r.id, ours)? {
                    Whose::Theirs => kept.push(r),
                    Whose::Ours => {}
                    Whose::Nobodys => bare(&r.id),
                }
            }
            QueryResult::Refs(kept)
        }
        (asked, _) => {
            return Err(Trouble::bad_answer(format!("its objects are not in the form {}", asked.as_str())));
        }
    };
    let failed = errors.iter().any(RegistryError::is_error);
    if status != ResponseStatus::Success && !failed {
        return Err(Trouble::bad_answer("it reports a failure and names no error"));
    }
    let mut errors: Vec<RegistryError> = errors
        .into_iter()
        // Not knowing a patient is having nothing of him (ITI TF-2 3.18.4.1.3).
        .filter(|e| e.code != ErrorCode::XDSUnknownPatientId)
        .map(|e| e.at(home.clone()))
        .collect();
    if let Some((id, count)) = homeless {
        let context = format!(
            "{} ({home}) gave {count} objects without homeCommunityId, the first of them {}; they are left out \
             (ITI TF-2 3.38.4.1.3)",
            member.community.name,
            clip(&id)
        );
        errors.push(RegistryError::new(ErrorCode::XDSMissingHomeCommunityId, context).at(home));
    }
    Ok(Given { result, errors })
}

enum Whose {
    Theirs,
    /// Back to us by way of a hub: our own registry has said it.
    Ours,
    Nobodys,
}

fn judged(member: &Member, home: Option<&str>, id: &str, ours: &str) -> Result<Whose, Trouble> {
    if id.is_empty() {
        return Err(Trouble::bad_answer("an object has no id"));
    }
    let Some(home) = home else { return Ok(Whose::Nobodys) };
    if member.community.speaks_for(home) {
        return Ok(Whose::Theirs);
    }
    if home == ours && member.community.is_hub() {
        return Ok(Whose::Ours);
    }
    let shown = HomeCommunityId::parse(home).map_or_else(|| "none".to_owned(), |h| h.to_string());
    Err(Trouble::bad_answer(format!("an object has the homeCommunityId of another community, {shown}")))
}

/// Each object once: a network may be reached by two ways.
fn new_ones(result: QueryResult, seen: &mut HashSet<(String, String)>) -> QueryResult {
    let mut is_new = |home: Option<&str>, id: &str| {
        seen.insert((home.unwrap_or_default().to_owned(), id.to_ascii_lowercase()))
    };
    match result {
        QueryResult::Objects(mut objects) => {
            objects.retain(|o| is_new(o.home_community_id(), o.id()));
            QueryResult::Objects(objects)
        }
        QueryResult::Refs(mut refs) => {
            refs.retain(|r| is_new(r.home_community_id.as_deref(), &r.id));
            QueryResult::Refs(refs)
        }
    }
}

/// ITI-38 as its sender records it.
pub(super) fn record(
    context: &Context,
    member: &Member,
    text: String,
    patient: Option<Cx<'static>>,
    given: &Result<Given, Trouble>,
) -> AuditEvent {
    let subject = Subject {
        patients: patient.iter().map(Cx::to_string).collect(),
        home_community_id: Some(member.community.home.to_string()),
        query: Some(text),
        ..Subject::default()
    };
    let (outcome, subject) = match given {
        Ok(given) => {
            let failed = given.errors.iter().any(RegistryError::is_error);
            let outcome = match (failed, given.result.is_empty()) {
                (false, _) => Outcome::Success,
                (true, false) => Outcome::MinorFailure,
                (true, true) => Outcome::SeriousFailure,
            };
            (outcome, subject.with_errors(&given.errors))
        }
        Err(trouble) => (
            Outcome::SeriousFailure,
            Subject { errors: vec![format!("XDSUnavailableCommunity: {}", trouble.step)], ..subject },
        ),
    };
    let to = member.community.endpoint("iti38").unwrap_or_default();
    context.audit_sent(Transaction::Iti38, to, outcome, subject)
}
