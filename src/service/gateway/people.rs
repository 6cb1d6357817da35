//! Which assertion of who asks goes with a request to another community (XUA, ITI TF-2 3.40): none, our own, or the one
//! our user brought, as the community's row of the directory says.

use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::trouble::Trouble;
use crate::config::XuaOwnConfig;
use crate::model::assertion::{
    Assertion, Attribute, Authenticated, BEARER, Conditions, Confirmation, UNSPECIFIED, Value, name,
};
use crate::model::community::{AssertionPolicy, Community, Step, WithoutUser};
use crate::model::user::{Coded, User};
use crate::peer::assertion::Issuer;
use crate::service::context::Context;

/// Gives assertions. Clones share it.
#[derive(Clone)]
pub struct People(Arc<Inner>);

struct Inner {
    config: XuaOwnConfig,
    /// Our homeCommunityId.
    home: String,
    /// As it was read last; `None` without `[xua.own]`.
    issuer: RwLock<Option<Arc<Issuer>>>,
}

fn refused(why: impl Into<String>) -> Trouble {
    Trouble::new(Step::Assertion, why)
}

impl People {
    /// Reads our own key, where there is one.
    pub fn open(config: &XuaOwnConfig, home: &str) -> anyhow::Result<Self> {
        let issuer = Issuer::open(config).context("xua.own")?.map(Arc::new);
        Ok(Self(Arc::new(Inner {
            config: config.clone(),
            home: home.to_owned(),
            issuer: RwLock::new(issuer),
        })))
    }

    /// Reads our own key anew; with an error the one before stays in force. How many there are.
    pub fn reload(&self) -> anyhow::Result<usize> {
        let read = Issuer::open(&self.0.config).context("xua.own")?.map(Arc::new);
        let count = usize::from(read.is_some());
        *self.0.issuer.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(count)
    }

    /// What goes with a request of this context to a community. `patient` is whom it is about, as they know him: an
    /// assertion of a user who may see one patient alone is about that one there too.
    pub fn assertion(
        &self,
        context: &Context,
        community: &Community,
        patient: Option<&str>,
    ) -> Result<Option<String>, Trouble> {
        let user = context.caller.user.as_deref();
        let now = context.received_at;
        match (community.assertion, user) {
            (AssertionPolicy::None, _) => Ok(None),
            (AssertionPolicy::Issue, Some(user)) => {
                let about = user.patient.as_deref().map(|own| patient.unwrap_or(own));
                self.issue(user, community, about, now).map(Some)
            }
            (AssertionPolicy::Pass, Some(user)) => pass(user, community, now).map(Some),
            (_, None) => match community.without_user {
                WithoutUser::Send => Ok(None),
                WithoutUser::System => self.system(community, now).map(Some),
                WithoutUser::Refuse => {
                    Err(refused("it wants to know who asks, and no user is known behind this request"))
                }
            },
        }
    }

    /// Of this gateway itself, behind which nobody is.
    pub fn system(&self, community: &Community, now: Timestamp) -> Result<String, Trouble> {
        let config = &self.0.config;
        let coded = |text: &str| {
            let (system, code) = text.split_once('|')?;
            Some(Coded { code: code.to_owned(), system: system.to_owned(), display: None })
        };
        let user = User {
            name_id: config.system_user.clone(),
            organization_id: Some(self.0.home.clone()),
            roles: coded(&config.system_role).into_iter().collect(),
            ..User::default()
        };
        self.issue(&user, community, None, now)
    }

    fn issue(
        &self,
        user: &User,
        community: &Community,
        patient: Option<&str>,
        now: Timestamp,
    ) -> Result<String, Trouble> {
        let issuer = self.0.issuer.read().unwrap_or_else(PoisonError::into_inner).clone();
        let issuer = issuer.ok_or_else(|| refused("there is no key to sign assertions with ([xua.own])"))?;
        let assertion = self.written(user, community, patient, issuer.name(), now)?;
        issuer.sign(&assertion).map_err(|e| {
            tracing::error!(
                community = community.id,
                cause = format!("{e:#}"),
                "an assertion cannot be made"
            );
            refused("our own assertion could not be made")
        })
    }

    fn written(
        &self,
        user: &User,
        community: &Community,
        patient: Option<&str>,
        issuer: &str,
        now: Timestamp,
    ) -> Result<Assertion, Trouble> {
        let config = &self.0.config;
        let lifetime = SignedDuration::from_secs(i64::try_from(config.lifetime_seconds).unwrap_or(300));
        // Nobody is vouched for longer than they were to us.
        let brought = user.brought.original().map(|original| original.until);
        let until = brought.map_or(now + lifetime, |until| until.min(now + lifetime));
        if until <= now {
            return Err(refused("the assertion our user brought is over"));
        }
        let text = |value: &str| vec![Value::Text(value.to_owned())];
        let coded = |all: &[Coded]| -> Vec<Value> {
            let value = |c: &Coded| Value::Coded {
                code: c.code.clone(),
                system: c.system.clone(),
                display: c.display.clone(),
            };
            all.iter().map(value).collect()
        };
        let mut purposes = coded(&user.purposes);
        if let (true, Some((system, code))) = (purposes.is_empty(), config.default_purpose.split_once('|')) {
            purposes.push(Value::Coded { code: code.into(), system: system.into(), display: None });
        }
        let home = user.home_community_id.as_deref().unwrap_or(&self.0.home);
        let optional = |value: &Option<String>| value.as_deref().map(text).unwrap_or_default();
        let attributes = [
            (name::SUBJECT, text(user.name.as_deref().unwrap_or(&user.name_id))),
            (name::ORGANIZATION, optional(&user.organization)),
            (name::ORGANIZATION_ID, optional(&user.organization_id)),
            (name::HOME[0], text(home)),
            (name::ROLE, coded(&user.roles)),
            (name::PURPOSE, purposes),
            (name::PATIENT, patient.map(text).unwrap_or_default()),
        ];
        let attributes = attributes.into_iter().filter(|(_, values)| !values.is_empty());
        Ok(Assertion {
            // An NCName (SAML 2.0 Core 1.3.4).
            id: format!("_{}", Uuid::new_v4().simple()),
            issued: now,
            issuer: issuer.to_owned(),
            name_id: user.name_id.clone(),
            provided_id: user.alias.clone(),
            confirmations: vec![Confirmation {
                method: BEARER.into(),
                not_on_or_after: Some(until),
                ..Confirmation::default()
            }],
            conditions: Some(Conditions {
                not_before: Some(now),
                not_on_or_after: Some(until),
                audiences: vec![vec![community.audience.clone()]],
                one_time_use: false,
            }),
            authenticated: vec![Authenticated {
                at: now,
                class: user.signed_in.clone().unwrap_or_else(|| UNSPECIFIED.into()),
            }],
            attributes: attributes
                .map(|(name, values)| Attribute { name: name.to_owned(), values })
                .collect(),
        })
    }
}

/// What the user brought, if it is for this community: passed to another it could be used against us.
fn pass(user: &User, community: &Community, now: Timestamp) -> Result<String, Trouble> {
    let original = user
        .brought
        .original()
        .ok_or_else(|| refused("our user brought no assertion that could be passed on"))?;
    let audience = &community.audience;
    if !original.audiences.iter().all(|restriction| restriction.contains(audience)) {
        return Err(refused("the assertion our user brought is not for it (AudienceRestriction)"));
    }
    if original.one_time_use {
        return Err(refused("the assertion our user brought is for one use, which this was"));
    }
    if original.until <= now {
        return Err(refused("the assertion our user brought is over"));
    }
    Ok(original.xml.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::assertion::{Brought, Original};
    use crate::model::community::CorrelateBy;
    use crate::model::ids::HomeCommunityId;

    fn now() -> Timestamp {
        "2026-06-15T03:00:00Z".parse().unwrap()
    }

    fn community(assertion: AssertionPolicy, without_user: WithoutUser) -> Community {
        Community {
            id: "n2".into(),
            name: "2".into(),
            home: HomeCommunityId::parse("urn:oid:1.2.2").unwrap(),
            stands_for: vec![],
            patient_id_authority: None,
            correlate: CorrelateBy::SharedId,
            endpoints: vec![],
            device: None,
            budget: std::time::Duration::from_secs(1),
            assertion,
            without_user,
            audience: "urn:oid:1.2.2".into(),
        }
    }

    fn context(user: Option<User>) -> Context {
        let mut context = Context::of_operator("test", None, now());
        context.caller.user = user.map(Box::new);
        context
    }

    fn brought(audiences: &[&[&str]], until: Timestamp, one_time_use: bool) -> Option<User> {
        let audiences = audiences.iter().map(|r| r.iter().map(|a| (*a).to_owned()).collect()).collect();
        let original = Original { xml: "<a/>".into(), audiences, until, one_time_use };
        Some(User { brought: Brought::new(original), ..User::default() })
    }

    #[test]
    fn the_policy_decides_what_goes_along() {
        let people = People::open(&XuaOwnConfig::default(), "urn:oid:1.2.1").unwrap();
        let (pass, late) = (AssertionPolicy::Pass, now() + SignedDuration::from_hours(1));
        let ours = "urn:oid:1.2.2";
        let cases = [
            (AssertionPolicy::None, WithoutUser::Refuse, None, Ok(None)),
            (pass, WithoutUser::Refuse, None, Err(())),
            (pass, WithoutUser::Send, None, Ok(None)),
            (pass, WithoutUser::System, None, Err(())),
            (pass, WithoutUser::Send, Some(User::default()), Err(())),
            (pass, WithoutUser::Send, brought(&[&["urn:x", ours]], late, false), Ok(Some("<a/>".to_owned()))),
            (pass, WithoutUser::Send, brought(&[&[ours], &["urn:x"]], late, false), Err(())),
            (pass, WithoutUser::Send, brought(&[&[ours]], late, true), Err(())),
            (pass, WithoutUser::Send, brought(&[&[ours]], now(), false), Err(())),
            (AssertionPolicy::Issue, WithoutUser::Send, Some(User::default()), Err(())),
        ];
        for (n, (policy, without, user, expected)) in cases.into_iter().enumerate() {
            let given = people.assertion(&context(user), &community(policy, without), None);
            assert_eq!(
                given.map_err(|trouble| assert_eq!(trouble.step, Step::Assertion)),
                expected,
                "case {n}"
            );
        }
    }

    #[test]
    fn our_own_is_about_one_patient_where_the_users_was() {
        let people = People::open(&XuaOwnConfig::default(), "urn:oid:1.2.1").unwrap();
        let user = User { name_id: "dr".into(), ..User::default() };
        let community = community(AssertionPolicy::Issue, WithoutUser::Refuse);
        let written = |patient| people.written(&user, &community, patient, "urn:own", now()).unwrap();
        let about = |a: &Assertion| a.texts(name::PATIENT).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(about(&written(Some("1^^^&2&ISO"))), ["1^^^&2&ISO"]);
        let unbound = written(None);
        assert_eq!(about(&unbound), Vec::<String>::new());
        assert_eq!(unbound.conditions.as_ref().unwrap().audiences, [["urn:oid:1.2.2"]]);
        assert_eq!(unbound.texts(name::HOME[0]).collect::<Vec<_>>(), ["urn:oid:1.2.1"]);
        assert_eq!(unbound.authenticated[0].class, UNSPECIFIED);
    }
}
