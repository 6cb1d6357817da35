//! The Bundle: its id, the URLs of its entries, their order, its bytes.

use super::json::{Json, Object};
use super::parts::identifier;
use super::said::{NotMade, NotMadeKey, Step};
use super::systems::{code, id, profile};
use super::{Context, Kind, ids, time};
use crate::model::national::{bundle_id, is_institution};

/// What is settled before any resource is made.
pub struct Frame {
    pub kind: Kind,
    pub lineage: String,
    pub bundle_id: String,
}

/// A resource, where it can be referred to.
pub struct Entry {
    pub full_url: String,
    pub resource: Object,
}

impl Frame {
    /// `content`: the lineage as the content tells it.
    pub fn new(kind: Kind, context: &Context<'_>, content: String) -> Step<Frame> {
        let number = &context.institution.number;
        if !is_institution(number) {
            return Err(NotMade::new(NotMadeKey::Institution, "institution", number));
        }
        let lineage = context.lineage.map_or(content, str::to_owned);
        let bundle_id = match context.bundle_id {
            Some(stored) => stored.to_owned(),
            None => bundle_id::make(number, time::year(context.now), kind.letter(), &lineage),
        };
        Ok(Frame { kind, lineage, bundle_id })
    }

    /// The UUID of a resource, by its identifier within the Bundle.
    pub fn uuid(&self, resource: &str, identifier: &str) -> String {
        ids::uuid(&format!("{}|{resource}|{identifier}", self.bundle_id)).to_string()
    }

    pub fn full_url(&self, resource: &str, identifier: &str) -> String {
        format!("urn:uuid:{}", self.uuid(resource, identifier))
    }

    /// The Bundle of these entries, in this order.
    pub fn bundle(&self, context: &Context<'_>, entries: Vec<Entry>) -> Vec<u8> {
        let at = time::instant(context.now);
        let (profile, collection) = match self.kind {
            Kind::Conditions | Kind::Allergies | Kind::Laboratory => (profile::CLINS, true),
            Kind::Referral => (profile::REFERRAL, false),
            Kind::Discharge => (profile::DISCHARGE, false),
        };
        let tag = self
            .kind
            .resource_type()
            .map(|resource| Object::new().set("system", code::BUNDLE_RESOURCE).set("code", resource));
        let entry = |e: Entry| Object::new().set("fullUrl", e.full_url).set("resource", e.resource);
        let bundle = Object::resource("Bundle")
            .set("id", ids::uuid(&format!("{}|Bundle", self.bundle_id)).to_string())
            .set(
                "meta",
                Object::new().set("lastUpdated", at.as_str()).one("profile", profile).list("tag", tag),
            )
            .set("identifier", identifier(id::BUNDLE, &self.bundle_id))
            .set("type", if collection { "collection" } else { "document" })
            .set("timestamp", at)
            .list("entry", entries.into_iter().map(entry));
        Json::Object(bundle).bytes()
    }
}
