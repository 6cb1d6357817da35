//! `$MetadataLevel`, `$XDSAssociationStatus` and documentAvailability as conditions: what of an update history
//! a query shows. Old versions and Offline documents are told by the columns a query reads anyway.
//! ITI Metadata Update 3.18.4.1.2.3.5.1.

use super::statement::Statement;
use crate::model::metadata::{AvailabilityStatus, EntryType};
use crate::model::query::{DocumentAvailability, View};
use crate::store::registry::State;
use crate::store::registry::put::entry_type_column;

impl View {
    /// Values of `status` of the versions that a list of statuses selects.
    pub(super) fn states(&self, statuses: &[AvailabilityStatus]) -> Vec<State> {
        let mut states: Vec<State> = statuses.iter().map(|s| State::from(*s)).collect();
        if self.everything() && states.contains(&State::Deprecated) {
            states.push(State::Superseded);
        }
        states
    }

    /// ` AND …` of DocumentEntries that are named and not selected by status.
    pub(super) fn entries(&self) -> &'static str {
        match self.everything() {
            true => "",
            false => " AND d.status <> 3 AND d.entry_type <= 2",
        }
    }

    /// ` AND …` of Folders that are named and not selected by status.
    pub(super) fn folders(&self) -> &'static str {
        match self.everything() {
            true => "",
            false => " AND f.status = 1",
        }
    }

    /// ` AND …` of Associations under an alias, as they are shown and followed.
    pub(super) fn associations(&self, alias: &str) -> String {
        let approved = self.shows_association(AvailabilityStatus::Approved);
        let deprecated = self.shows_association(AvailabilityStatus::Deprecated);
        match (approved, deprecated) {
            (true, true) => String::new(),
            (true, false) => format!(" AND {alias}.status = 1"),
            (false, true) => format!(" AND {alias}.status = 2"),
            (false, false) => format!(" AND {alias}.status = 0"),
        }
    }

    /// ` AND …` of DocumentEntries by type and availability. No type known selects nothing.
    pub(super) fn entry_types(
        &self,
        s: &mut Statement<'_>,
        types: &[EntryType],
        availability: &[DocumentAvailability],
    ) {
        let wanted = |a| availability.is_empty() || availability.contains(&a);
        let mut columns = vec![];
        for entry_type in [EntryType::Stable, EntryType::OnDemand] {
            for (a, offline) in [(DocumentAvailability::Online, false), (DocumentAvailability::Offline, true)]
            {
                if types.contains(&entry_type) && wanted(a) && (self.everything() || !offline) {
                    columns.push(entry_type_column(entry_type, offline));
                }
            }
        }
        if columns.len() < 4 {
            s.bind_list(" AND d.entry_type IN ", columns.into_iter().map(Into::into));
        }
    }
}
