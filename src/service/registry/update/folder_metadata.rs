//! Update Folder Metadata. ITI Metadata Update 3.57.4.1.3.3.3.

use super::decide::Decision;
use super::decode::Version;
use crate::model::error::ErrorCode;
use crate::model::metadata::{AvailabilityStatus, Folder, MetadataObject};
use crate::store::registry::State;

const PRECONDITIONS: &str = "ITI Metadata Update 3.57.4.1.3.3.3.3";

impl Decision<'_> {
    pub fn folder_metadata(&mut self, v: &Version, new: &Folder) {
        let Some(latest) = self.facts.latest.get(&v.logical_id) else {
            self.lineage_missing(v);
            return;
        };
        let MetadataObject::Folder(old) = &latest.object else { return };
        if latest.state != State::Approved {
            let message = "names a Folder that is Deprecated; only an Approved one is updated";
            let value = Some(v.logical_id.as_str());
            let code = ErrorCode::XDSMetadataUpdateError;
            self.problem(code, v.id(), "Folder.logicalID", value, message, PRECONDITIONS);
        }
        if new.unique_id != old.unique_id {
            let message = format!("differs from that of the registered versions, '{}'", old.unique_id);
            let value = Some(new.unique_id.as_str());
            let code = ErrorCode::XDSMetadataIdentifierError;
            self.problem(code, v.id(), "Folder.uniqueId", value, &message, PRECONDITIONS);
        }
        self.succeed(v);
        let mut folder = new.clone();
        folder.version = v.previous.saturating_add(1);
        folder.last_update_time = Some(self.plan.time.clone());
        folder.home_community_id = None;
        folder.availability_status = AvailabilityStatus::Approved;
        self.effects.folders.push(folder);
    }
}
