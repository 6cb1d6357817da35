//! What the `status` column of an object says: its availabilityStatus, and whether it is the latest version.

use crate::model::metadata::AvailabilityStatus;

/// An object's place in its lineage. Of the versions with one logicalID all but the latest are
/// [`Superseded`](State::Superseded), so one conditional update of a row decides who makes the next one,
/// and a query leaves old versions out without looking at the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Approved,
    /// Deprecated, and the latest version.
    Deprecated,
    /// Deprecated by a newer version (ITI Metadata Update 4.1.5).
    Superseded,
}

impl State {
    pub fn to_i64(self) -> i64 {
        match self {
            Self::Approved => 1,
            Self::Deprecated => 2,
            Self::Superseded => 3,
        }
    }

    pub fn from_i64(value: i64) -> Self {
        match value {
            2 => Self::Deprecated,
            3 => Self::Superseded,
            _ => Self::Approved,
        }
    }

    pub fn availability(self) -> AvailabilityStatus {
        AvailabilityStatus::from_i64(self.to_i64())
    }
}

impl From<AvailabilityStatus> for State {
    fn from(status: AvailabilityStatus) -> Self {
        match status {
            AvailabilityStatus::Approved => Self::Approved,
            AvailabilityStatus::Deprecated => Self::Deprecated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_read_back() {
        for state in [State::Approved, State::Deprecated, State::Superseded] {
            assert_eq!(State::from_i64(state.to_i64()), state);
        }
        assert_eq!(State::Superseded.availability(), AvailabilityStatus::Deprecated);
        for status in [AvailabilityStatus::Approved, AvailabilityStatus::Deprecated] {
            assert_eq!(State::from(status).to_i64(), status.to_i64());
        }
    }
}
