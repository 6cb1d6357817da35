//! Update DocumentEntry Metadata. ITI Metadata Update 3.57.4.1.3.3.1.

use super::decide::Decision;
use super::decode::Version;
use super::restricted;
use crate::model::error::ErrorCode;
use crate::model::metadata::{AvailabilityStatus, DocumentEntry, MetadataObject};

const PRECONDITIONS: &str = "ITI Metadata Update 3.57.4.1.3.3.1.3";

impl Decision<'_> {
    pub fn entry_metadata(&mut self, v: &Version, new: &DocumentEntry) {
        let Some(latest) = self.facts.latest.get(&v.logical_id) else {
            self.lineage_missing(v);
            return;
        };
        let MetadataObject::DocumentEntry(old) = &latest.object else { return };
        if new.unique_id != old.unique_id {
            let message = format!("differs from that of the registered versions, '{}'", old.unique_id);
            let value = Some(new.unique_id.as_str());
            let code = ErrorCode::XDSMetadataIdentifierError;
            self.problem(code, v.id(), "DocumentEntry.uniqueId", value, &message, PRECONDITIONS);
        }
        if new.object_type != old.object_type {
            let message = format!("differs from that of the registered versions, {}", old.object_type.urn());
            let value = Some(new.object_type.urn());
            let code = match self.plan.restricted {
                true => ErrorCode::XDSObjectTypeError,
                false => ErrorCode::XDSMetadataIdentifierError,
            };
            self.problem(code, v.id(), "DocumentEntry.objectType", value, &message, PRECONDITIONS);
        }
        if self.plan.restricted {
            restricted::compare(self, v, old, new);
        }
        self.succeed(v);
        let mut entry = new.clone();
        entry.version = v.previous.saturating_add(1);
        entry.home_community_id = None;
        // Set for good once all status changes are known.
        entry.availability_status = AvailabilityStatus::Approved;
        self.effects.entries.push(entry);
    }
}
