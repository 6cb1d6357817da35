//! The node that brings an assertion or a token, as TLS proved it, and what is known of it.

use crate::config::x509;
use crate::model::caller::Caller;
use crate::model::community::Community;

#[derive(Debug, Clone, Copy)]
pub struct Node<'n> {
    pub caller: &'n Caller,
    /// DER, if it showed one.
    pub certificate: Option<&'n [u8]>,
    /// The community whose gateway it is, where that is known.
    pub community: Option<&'n Community>,
}

impl Node<'_> {
    /// What tells it from others: its certificate, or else its address.
    pub fn name(&self) -> &[u8] {
        self.certificate.unwrap_or(self.caller.address.as_bytes())
    }

    /// URIs of the organizations it acts for: those of the directory, or else those in its certificate. None: nobody
    /// said.
    fn organizations(&self) -> Vec<String> {
        match &self.caller.node {
            Some(node) => node.organizations.clone(),
            None => self.certificate.map(x509::alternative_uris).unwrap_or_default(),
        }
    }

    /// Whether it is one of `nodes`: names, fingerprints or URIs. Everybody is one of none.
    pub fn is_among(&self, nodes: &[String]) -> bool {
        if nodes.is_empty() {
            return true;
        }
        let organizations = self.organizations();
        nodes.iter().any(|wanted| {
            self.caller.node.as_ref().is_some_and(|node| node.id == *wanted)
                || organizations.contains(wanted)
                || self
                    .caller
                    .certificate
                    .as_ref()
                    .is_some_and(|own| own.eq_ignore_ascii_case(&crate::config::plain_fingerprint(wanted)))
        })
    }

    /// Whether it acts for an organization: the directory of nodes says, or else its certificate, where it says anything.
    pub fn acts_for(&self, organization: &str) -> bool {
        // A community's gateway acts for all who are there.
        if self.community.is_some()
            || self.caller.node.as_ref().is_some_and(|n| n.home_community_id.is_some())
        {
            return true;
        }
        let all = self.organizations();
        self.caller.node.is_none() && all.is_empty() || all.iter().any(|own| own == organization)
    }

    /// Whether users of a community may come by it. `ours` is our homeCommunityId, `others` those that may ask.
    pub fn speaks_for(&self, home: &str, ours: &str, others: &[String]) -> bool {
        match (self.community, &self.caller.node) {
            (Some(community), _) => community.speaks_for(home),
            // A node of the directory is of its community, or of ours.
            (None, Some(node)) => home == node.home_community_id.as_deref().unwrap_or(ours),
            (None, None) => home == ours || others.iter().any(|other| other == home),
        }
    }
}
