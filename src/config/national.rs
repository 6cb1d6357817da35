//! `[national]`: what goes to the national record-sharing service (電子カルテ情報共有サービス), by which way, how patiently.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::fault::{Fault, Faults};
use super::mapping::Mapping;
use super::peer::PeerConfig;
use super::section::section;
use crate::model::national::decide::RuleSet;
use crate::model::national::{ConsentStatus, Kind, is_institution};

/// How Bundles are checked before they leave (national-service, 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Validation {
    /// By what the published rules mean.
    Intended,
    /// By what they say.
    Published,
    /// Not at all: the service refuses what is wrong.
    Off,
}

/// Who says what a patient's 被保険者個人識別子 is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InsuredSource {
    /// The index of patients alone.
    Index,
    /// The index; of whom it knows no insurance, the Bundle.
    IndexOrBundle,
    /// The Bundle alone.
    Bundle,
}

/// What is taken for granted of a patient's agreement to electronic sending where nobody recorded it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Agreement {
    Unknown,
    Agreed,
}

/// How an institution's calls reach the service (national-service, 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// By `chiren relay` inside the facility, where its certificate is.
    Relay,
    /// By request and result files in a folder of the 資格確認端末.
    Folder,
    /// From here, with the institution's certificate.
    Direct,
}

section! {
    /// The adapter to the national record-sharing service (電子カルテ情報共有サービス): a document registered here goes there
    /// too when it qualifies. See docs/national-service.md.
    pub struct NationalConfig {
        /// Whether anything is decided and sent at all. What is registered while this is off is not caught up by itself.
        enabled: bool = false,
        /// Which edition of the service's guide is in force: `1.2.0`, or `2.0.0` (a discharge summary may follow its letter).
        rule_set: RuleSet = RuleSet::V1_2_0,
        /// How Bundles are checked before they leave: `intended` by the meaning of the published rules, `published`
        /// by their letter, `off` not at all.
        validation: Validation = Validation::Intended,
        /// FHIR packages as published (files .tgz, or folders) that the checks are read from.
        packages: Vec<PathBuf> = vec![],
        /// Folder of code tables (CSV) by which Bundles are made of HL7 v2 and CDA; see docs/national-making.md.
        masters: Option<PathBuf> = None; commented "\"/etc/chiren/masters\"",
        /// formatCodes of documents that go into a letter made here of a document of the same SubmissionSet:
        /// prescriptions.
        enclose: Vec<String> = vec!["jp:ssmix2:OMP-01".into()],
        /// Whether a discharge summary that waits for a letter (rule set `1.2.0`) is put into section 210 of the next
        /// letter about its patient by its institution, if it has waited for 30 days at most. Otherwise whoever writes the
        /// letter attaches it.
        nest_summaries: bool = false,
        /// The largest Bundle sent, in bytes. What is larger waits and is never split.
        size_limit_bytes: u64 = 10_485_760,
        /// Versions in the profiles of entries: `none` takes them off (unsigned Bundles only), `keep` leaves them.
        entry_profile_version: String = "none".into(),
        /// Who says what a patient's insured-person identifier is: `index` (the index of patients), `bundle` (the
        /// document), or `index-or-bundle`.
        insured_id: InsuredSource = InsuredSource::Index,
        /// Days after which a check of the insurance counts no more. 0: recorded lapses count, age does not.
        qualification_days: u64 = 0,
        /// Whether electronic sending of a letter is taken to be `agreed` where nobody recorded it, or `unknown`.
        send_agreement: Agreement = Agreement::Unknown,
        /// Whether a letter may be read by its destination at once (`viewable`) or after the patient's word there
        /// (`pending`), where its metadata do not say.
        view_consent: ConsentStatus = ConsentStatus::Pending,
        /// Codes of confidentialityCode that may leave.
        confidentiality: Vec<String> = vec!["N".into()],
        /// Codes (typeCode or eventCodeList) by which a reply (返書) is known.
        reply_codes: Vec<String> = vec!["reply-letter".into()],
        /// File of facts about institutions: who takes part, where agreement is taken for granted.
        facts: Option<PathBuf> = None; commented "\"/etc/chiren/national-facts.toml\"",
        /// Files of mappings beside the built-in one: how operations look on the wire.
        mappings: Vec<PathBuf> = vec![],
        /// Whether answers of ITI-18 say of each document whether it is national too
        /// (slot `urn:chiren:national:coverage`, values `regional` and `both`).
        coverage_slot: bool = false,
        /// Calls under way at the same time for one institution, by all gateways together.
        open_calls: u64 = 4,
        /// Calls begun per minute for one institution. 0: as many as there are.
        calls_per_minute: u64 = 0,
        /// Seconds between two looks for what is due.
        poll_seconds: u64 = 2,
        /// Seconds after which a call that a gateway took and left is taken over. Longer than any call takes.
        lease_seconds: u64 = 180,
        /// Seconds to the second attempt; each further one comes twice as long after the last.
        retry_seconds: u64 = 5,
        /// Minutes between two attempts at most.
        retry_limit_minutes: u64 = 30,
        /// Hours after the first attempt when it is given up and parked for a person to look at.
        give_up_hours: u64 = 24,
        /// Failures in a row after which a lane rests, and for how many seconds.
        breaker_failures: u64 = 5,
        breaker_seconds: u64 = 60,
        /// Minutes between two looks whether a fact changed that something waits for.
        review_minutes: u64 = 10,
        /// Hours between two questions whether a letter has been fetched. 0: never asked.
        follow_hours: u64 = 12,
        /// Days before a letter's national copy expires unfetched when this is said.
        warn_days: u64 = 14,
        /// What a document is to the service.
        kind: Vec<KindConfig> = default_kinds(); table,
        /// The institutions that send, by their ten digits.
        egress: BTreeMap<String, EgressConfig> = BTreeMap::new(); table,
    }
}

section! {
    /// What a document is to the national service, by its metadata. Rows stand in place of the built-in ones, which
    /// docs/national-service.md lists; the first that fits counts.
    pub struct KindConfig {
        /// formatCode.
        format_code: String = String::new(); example "\"jp:fhir:hs038\"",
        /// Media type; empty: any.
        mime_type: String = String::new(),
        /// typeCodes; none: any.
        type_code: Vec<String> = vec![]; example "[\"57133-1\"]",
        /// `referral`, `discharge`, `checkup`, `summary`, `info`.
        kind: String = "referral".into(),
    }
}

section! {
    /// How one institution's documents reach the service. Institutions without a table send nothing.
    pub struct EgressConfig {
        /// `relay`: by `chiren relay` in the facility; `folder`: by files for the qualification terminal; `direct`:
        /// from here.
        via: Via = Via::Relay,
        /// The mapping by name: how operations look on the wire.
        mapping: String = "simulator-json".into(),
        /// The institution's name, where a document of it does not say it.
        name: Option<String> = None; commented "\"登呂病院\"",
        /// File of what this institution's HL7 v2 and CDA do differently; see docs/national-making.md.
        site: Option<PathBuf> = None; commented "\"/etc/chiren/site-1319900018.toml\"",
        /// Relay: file of the key that jobs are sealed with (64 hexadecimal digits), the same as the relay has.
        seal_key: Option<PathBuf> = None; commented "\"/etc/chiren/relay-1319900018.key\"",
        /// Folder: where request files are put.
        request_folder: Option<PathBuf> = None; commented "\"/mnt/ons/req\"",
        /// Folder: where result files appear.
        result_folder: Option<PathBuf> = None; commented "\"/mnt/ons/res\"",
        /// Folder: milliseconds between two looks, and seconds after which the result is asked for later.
        folder_poll_ms: u64 = 2000,
        folder_timeout_seconds: u64 = 120,
        /// Direct: the service, with the institution's certificate. Relay: the relay, with ours.
        peer: Option<PeerConfig> = None; table,
    }
}

fn row(format_code: &str, type_code: &[&str], kind: Kind) -> KindConfig {
    KindConfig {
        format_code: format_code.into(),
        mime_type: String::new(),
        type_code: type_code.iter().map(|code| (*code).to_owned()).collect(),
        kind: kind.as_str().into(),
    }
}

/// The default mapping of national-service, 8.
fn default_kinds() -> Vec<KindConfig> {
    vec![
        row("jp:fhir:hs037", &["53576-5"], Kind::Checkup),
        row("jp:fhir:hs038", &["57133-1"], Kind::Referral),
        row("jp:fhir:hs039", &["18842-5"], Kind::Discharge),
        row("jp:fhir:epcs", &["56447-6"], Kind::Summary),
        row("jp:fhir:clins", &[], Kind::Info),
        row("jp:cda:hs008", &[], Kind::Referral),
        row("jp:cda:hs032", &[], Kind::Discharge),
        row("jp:ssmix2:PPR-01", &[], Kind::Info),
        row("jp:ssmix2:ADT-61", &[], Kind::Info),
        row("jp:ssmix2:OML-11", &[], Kind::Info),
    ]
}

impl NationalConfig {
    /// What a document of these codes is.
    pub fn kind_of(&self, format_code: &str, mime_type: &str, type_code: &str) -> Option<Kind> {
        let fits = |row: &&KindConfig| {
            row.format_code == format_code
                && (row.mime_type.is_empty() || row.mime_type == mime_type)
                && (row.type_code.is_empty() || row.type_code.iter().any(|code| code == type_code))
        };
        Kind::parse(&self.kind.iter().find(fits)?.kind)
    }

    /// The mappings by name: those of the files, and the built-in one. The first fault otherwise.
    pub fn load_mappings(&self) -> Result<BTreeMap<String, Mapping>, Fault> {
        super::mapping::load("national.mappings", &self.mappings)
    }

    pub(super) fn check(&self, list: &mut Vec<Fault>) {
        if !self.enabled {
            return;
        }
        let mappings = match self.load_mappings() {
            Ok(mappings) => mappings,
            Err(fault) => {
                list.push(fault);
                BTreeMap::new()
            }
        };
        if let Some(path) = &self.facts
            && let Err(fault) = Facts::load(path)
        {
            list.push(fault);
        }
        let mut faults = Faults::of("national", list);
        if self.validation != Validation::Off && self.packages.is_empty() {
            faults.warn(
                "packages",
                "no package is named; Bundles leave unchecked and the service refuses what is wrong",
                "パッケージの指定がないため、送信前検証を行いません",
            );
        }
        if !["none", "keep"].contains(&self.entry_profile_version.as_str()) {
            faults.add("entry_profile_version", "must be none or keep", "none または keep にしてください");
        }
        for (n, row) in self.kind.iter().enumerate() {
            if Kind::parse(&row.kind).is_none() || row.format_code.is_empty() {
                faults.add(
                    &format!("kind[{n}].kind"),
                    format!("{:?} is no kind, or format_code is empty", row.kind),
                    format!("{:?} は文書種別ではないか、format_code がありません", row.kind),
                );
            }
        }
        faults.range("size_limit_bytes", self.size_limit_bytes, 1, 1 << 30);
        faults.range("open_calls", self.open_calls, 1, 1000);
        faults.range("poll_seconds", self.poll_seconds, 1, 3600);
        faults.range("lease_seconds", self.lease_seconds, 10, 86_400);
        faults.range("retry_seconds", self.retry_seconds, 1, 3600);
        faults.range("retry_limit_minutes", self.retry_limit_minutes, 1, 1440);
        faults.range("give_up_hours", self.give_up_hours, 1, 24 * 90);
        faults.range("breaker_failures", self.breaker_failures, 1, 1000);
        faults.range("breaker_seconds", self.breaker_seconds, 1, 86_400);
        faults.range("review_minutes", self.review_minutes, 1, 10_080);
        for (institution, egress) in &self.egress {
            egress.check(institution, &mappings, self.lease_seconds, list);
        }
    }
}

impl EgressConfig {
    fn check(
        &self,
        institution: &str,
        mappings: &BTreeMap<String, Mapping>,
        lease_seconds: u64,
        list: &mut Vec<Fault>,
    ) {
        let section = format!("national.egress.{institution}");
        if !is_institution(institution) {
            list.push(Fault::new(
                section.as_str(),
                "is no institution number of ten digits",
                "10 桁の医療機関コードではありません",
            ));
        }
        self.check_way(&section, mappings, list);
        let slowest = match (&self.peer, self.via) {
            (_, Via::Folder) => self.folder_timeout_seconds,
            (Some(peer), _) => peer.connect_seconds + peer.answer_seconds,
            (None, _) => 0,
        };
        if slowest >= lease_seconds {
            list.push(Fault::new(
                "national.lease_seconds",
                format!("must be longer than a call of {institution} may take ({slowest} s)"),
                format!("{institution} の呼び出しの最長時間（{slowest} 秒）より長くしてください"),
            ));
        }
    }

    /// The way itself, as the gateway and the relay have it.
    pub(super) fn check_way(
        &self,
        section: &str,
        mappings: &BTreeMap<String, Mapping>,
        list: &mut Vec<Fault>,
    ) {
        if !mappings.is_empty() && !mappings.contains_key(&self.mapping) {
            list.push(Fault::new(
                format!("{section}.mapping"),
                format!("{:?} is no mapping of the files, nor built in", self.mapping),
                format!("{:?} という対応定義はありません", self.mapping),
            ));
        }
        if let Some(peer) = &self.peer {
            peer.check(&format!("{section}.peer"), list);
        }
        let mut faults = Faults::of(section, list);
        if self.via != Via::Folder && self.peer.is_none() {
            faults.missing("peer");
        }
        if self.via == Via::Relay && self.seal_key.is_none() {
            faults.missing("seal_key");
        }
        if self.via == Via::Folder {
            for (key, folder) in
                [("request_folder", &self.request_folder), ("result_folder", &self.result_folder)]
            {
                if folder.is_none() {
                    faults.missing(key);
                }
            }
        }
        faults.range("folder_poll_ms", self.folder_poll_ms, 1, 60_000);
        faults.range("folder_timeout_seconds", self.folder_timeout_seconds, 1, 3600);
    }
}

/// `national.facts`: what is known of institutions. Read anew at each look for changed facts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Facts {
    /// Institution → whether it takes part as a destination.
    pub participates: BTreeMap<String, bool>,
    /// Institution → whether its patients' agreement to sending is taken for granted.
    pub send_agreement: BTreeMap<String, Agreement>,
}

impl Facts {
    pub fn load(path: &std::path::Path) -> Result<Self, Fault> {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| super::fault::unreadable("national.facts", path, cause))?;
        toml::from_str(&text).map_err(|cause| super::fault::unreadable("national.facts", path, cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_have_their_kinds() {
        let config = NationalConfig::default();
        let kind = |format: &str, code: &str| config.kind_of(format, "application/fhir+json", code);
        assert_eq!(kind("jp:fhir:hs038", "57133-1"), Some(Kind::Referral));
        assert_eq!(kind("jp:fhir:hs038", "18842-5"), None);
        assert_eq!(kind("jp:fhir:clins", "11502-2"), Some(Kind::Info));
        assert_eq!(kind("urn:ihe:iti:xds:2017:mimeTypeSufficient", "57133-1"), None);
    }

    #[test]
    fn an_egress_is_whole_or_a_fault() {
        let mut config = NationalConfig { enabled: true, ..NationalConfig::default() };
        config.egress.insert("1319900018".into(), EgressConfig::default());
        config.egress.insert(
            "x".into(),
            EgressConfig { via: Via::Folder, mapping: "none".into(), ..EgressConfig::default() },
        );
        let mut list = vec![];
        config.check(&mut list);
        let keys: Vec<&str> = list.iter().map(|f| f.key.as_str()).collect();
        for key in [
            "national.egress.1319900018.peer",
            "national.egress.1319900018.seal_key",
            "national.egress.x",
            "national.egress.x.mapping",
            "national.egress.x.request_folder",
        ] {
            assert!(keys.contains(&key), "{key} in {keys:?}");
        }
    }
}
