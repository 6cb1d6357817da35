//! `[network]`: who we are.

use super::fault::{Fault, Faults};
use super::section::section;

section! {
    /// The network and the affinity domain this gateway serves.
    pub struct NetworkConfig {
        /// The name people know the network by; shown in logs and answers to operators.
        name: String = "chiren".into(),
        /// The homeCommunityId of this community, `urn:oid:` and an OID (ITI TF-3 4.2.3.2.12).
        home_community_id: String = String::new(); example "\"urn:oid:2.999.392.1\"",
        /// The OID of the assigning authority of the network's patient ids, the affinity domain's
        /// (地連患者ID の発番元): the CX.4 of every patientId in metadata and queries.
        patient_id_authority: String = String::new(); example "\"2.999.392.1.2\"",
        /// Whether OIDs of the example arc 2.999 are accepted. For trials only.
        allow_example_oids: bool = false,
    }
}

impl NetworkConfig {
    pub(super) fn check(&self, list: &mut Vec<Fault>) {
        let mut faults = Faults::of("network", list);
        if self.name.trim().is_empty() {
            faults.missing("name");
        }
        match self.home_community_id.strip_prefix("urn:oid:") {
            Some(oid) => faults.oid("home_community_id", oid, self.allow_example_oids),
            None if self.home_community_id.is_empty() => faults.missing("home_community_id"),
            None => faults.add(
                "home_community_id",
                format!("{:?} must begin with urn:oid:", self.home_community_id),
                format!("{:?} は urn:oid: で始めてください", self.home_community_id),
            ),
        }
        faults.oid("patient_id_authority", &self.patient_id_authority, self.allow_example_oids);
    }
}
