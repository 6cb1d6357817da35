//! Who asks, as decisions know them.

use super::network::{Function, Level, Network};
use super::terms::Data;
use crate::model::caller::Caller;
use crate::model::user::{Coded, User};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Viewer {
    /// OIDs of the facilities they act for.
    pub facilities: Vec<String>,
    /// `user@issuer`
    pub user: Option<(String, String)>,
    pub roles: Vec<Coded>,
    pub purposes: Vec<Coded>,
    /// Another network (homeCommunityId).
    pub community: Option<String>,
    /// The patient their assertion is about, as CX.
    pub bound_to: Option<String>,
    /// The patient looks at their own documents.
    pub patient_self: bool,
    /// A service documents are handed to.
    pub service: Option<String>,
}

impl Viewer {
    /// What TLS and the assertion proved of a caller. The facility is the user's, else the node's.
    pub fn of(caller: &Caller, network: &Network) -> Self {
        let user = caller.user.as_deref();
        let node = caller.node.as_deref();
        let of_user = user.and_then(|u| u.organization_id.as_ref()).map(std::slice::from_ref);
        let of_node = node.map(|n| n.organizations.as_slice());
        let facilities = of_user.or(of_node).unwrap_or_default();
        let community = node
            .and_then(|n| n.home_community_id.clone())
            .or_else(|| user.and_then(|u| u.home_community_id.clone()))
            .filter(|home| *home != network.home);
        let roles = user.map(|u| u.roles.clone()).unwrap_or_default();
        let mut viewer = Self {
            facilities: facilities.iter().map(|f| network.facility_named(f).to_owned()).collect(),
            user: user.map(|u: &User| (u.name_id.clone(), u.issuer.clone())),
            roles,
            purposes: user.map(|u| u.purposes.clone()).unwrap_or_default(),
            community,
            bound_to: user.and_then(|u| u.patient.clone()),
            patient_self: false,
            service: None,
        };
        viewer.patient_self = network.roles_of(&viewer).iter().any(|r| r.patient);
        viewer
    }

    /// A service documents are handed to.
    pub fn service(name: &str) -> Self {
        Self { service: Some(name.to_owned()), ..Self::default() }
    }

    pub fn is_person(&self, id: &str) -> bool {
        self.user.as_ref().is_some_and(|(name, issuer)| {
            name == id
                || id.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix('@')) == Some(issuer)
        })
    }

    /// Whether anything is known of them by which a rule could name them.
    pub fn is_known(&self) -> bool {
        !self.facilities.is_empty()
            || self.community.is_some()
            || self.user.is_some()
            || self.service.is_some()
    }

    /// Whether one of their purposes is among `SYSTEM|CODE`s.
    pub fn has_purpose(&self, among: &[String]) -> bool {
        self.purposes.iter().any(|p| {
            let system = super::terms::plain_oid(&p.system);
            among.iter().any(|text| {
                text.split_once('|').is_some_and(|(s, code)| {
                    super::terms::plain_oid(s) == system && (code == "*" || code == p.code)
                })
            })
        })
    }

    /// What they may do at all.
    pub fn may(&self, network: &Network, function: Function) -> bool {
        if self.service.is_some() {
            return function == Function::Export;
        }
        match &self.user {
            None => network.node_functions.contains(&function),
            // Assertions without roles come only where `xua.roles` asks for none.
            Some(_) if self.roles.is_empty() => network.node_functions.contains(&function),
            Some(_) => network.roles_of(self).iter().any(|r| r.functions.contains(&function)),
        }
    }

    pub fn clearance(&self, network: &Network) -> Level {
        if self.service.is_some() {
            return network.export_clearance;
        }
        let of_roles = network.roles_of(self).iter().map(|r| r.clearance).max();
        of_roles.unwrap_or(if self.roles.is_empty() { network.node_clearance } else { Level::U })
    }

    /// The kinds of data their roles are confined to; none: no confinement.
    pub fn confined_to<'n>(&self, network: &'n Network) -> Option<Vec<&'n Data>> {
        let rows = network.roles_of(self);
        if rows.is_empty() || rows.iter().any(|r| r.data.is_empty()) {
            return None;
        }
        Some(rows.iter().flat_map(|r| &r.data).collect())
    }
}
