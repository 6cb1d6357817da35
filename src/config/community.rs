//! `[[community]]` and `[[foreign_repository]]`: whom the gateway asks.

use std::path::PathBuf;
use std::time::Duration;

use super::fault::{Fault, Faults};
use super::gateway::CommunityFile;
use super::peer::PeerConfig;
use super::section::section;
use super::tls::TlsProfile;
use super::xua::XuaMode;
use crate::model::community::{AssertionPolicy, Community, CorrelateBy, WithoutUser};
use crate::model::ids::HomeCommunityId;

section! {
    /// Another network. The table may be repeated, here or in the file `gateway.communities`.
    pub struct CommunityConfig {
        /// A short name of letters, digits, `-` and `_`: in logs, metrics and commands.
        id: String = String::new(); example "\"tonari\"",
        /// The name people know it by.
        name: String = String::new(); example "\"となり地域医療ネットワーク\"",
        /// Its homeCommunityId, `urn:oid:` and an OID.
        home_community_id: String = String::new(); example "\"urn:oid:2.999.392.7\"",
        /// homeCommunityIds of further communities that it answers for: the members behind a hub.
        stands_for: Vec<String> = vec![],
        /// The OID of the authority of its patient ids (CX.4 in ITI-38). With `shared_id`, that of the ids both
        /// networks share; absent then: `network.patient_id_authority`.
        patient_id_authority: Option<String> = None; example "\"2.999.392.7.2\"",
        /// How a patient of ours is found there: `pix` (ITI-44, ITI-45, ITI-46), `xcpd` (ITI-55), or `shared_id`
        /// (the same id means the same patient in both networks).
        correlate: CorrelateBy = CorrelateBy::Pix,
        /// Its addresses, by transaction.
        endpoint: EndpointConfig = EndpointConfig::default(); table,
        /// The OID of its device: receiver of HL7 v3 messages.
        device: Option<String> = None; commented "\"2.999.392.7.9\"",
        /// PEM files of the authorities (or the very certificate) that vouch for its certificate.
        server_ca: Vec<PathBuf> = vec![]; example "[\"/etc/chiren/tls/nodes-ca.pem\"]",
        /// PEM file of the certificate we present, with its chain.
        certificate: Option<PathBuf> = None; commented "\"/etc/chiren/tls/gateway.pem\"",
        /// PEM file of its private key.
        private_key: Option<PathBuf> = None; commented "\"/etc/chiren/tls/gateway.key\"",
        /// TLS versions and suites, as for a listener.
        tls_profile: TlsProfile = TlsProfile::JpHigh,
        /// A proxy to go through, `http://host:port`.
        proxy: Option<String> = None; commented "\"http://proxy.example.jp:3128\"",
        /// Milliseconds it has for an answer, connecting included.
        budget_ms: u64 = 5_000,
        /// Milliseconds to connect, the TLS handshake included.
        connect_ms: u64 = 3_000,
        /// Milliseconds of silence within a document after which it is given up.
        stall_ms: u64 = 30_000,
        /// Requests to it at the same time; more wait, within their budget.
        at_once: u64 = 16,
        /// Failures in a row after which it is not asked for a while (the breaker opens). What counts: it is not
        /// reached, does not answer in time, or answers with no SOAP or a Receiver fault.
        breaker_failures: u64 = 5,
        /// Milliseconds for which it is then not asked. After them one request tries; another failure doubles
        /// them, up to sixteen times.
        breaker_pause_ms: u64 = 15_000,
        /// Size of the answer to a query, in MiB.
        answer_mib: u64 = 32,
        /// Size of the answer to a retrieval, in MiB.
        documents_mib: u64 = 4096,
        /// Objects in the answer to a query.
        results: u64 = 10_000,
        /// Which assertion of who asks goes with our requests to it (XUA): `none`; `issue`, our own of our user
        /// (`[xua.own]`); `pass`, the one our user brought, where it is for this community too.
        assertion: AssertionPolicy = AssertionPolicy::None,
        /// What becomes of a request without a user where `assertion` is not `none`: `refuse`, it is not asked; `send`,
        /// without an assertion; `system`, with one of this gateway itself (`xua.own.system_user`).
        without_user: WithoutUser = WithoutUser::Refuse,
        /// What it is called in AudienceRestriction. Absent: its homeCommunityId.
        audience: Option<String> = None; commented "\"https://gw.example.jp/xua\"",
        /// Whether what it asks of us names its user: `off`, `optional`, `required`. Absent: as `[xua]` says.
        incoming_assertion: Option<XuaMode> = None; commented "\"required\"",
        /// SHA-256 fingerprints (hex) of the certificates its gateway shows us, where the directory of nodes does not say
        /// whose it is. What is known to be its node speaks for this community and no other.
        client_certificates: Vec<String> = vec![],
    }
}

section! {
    /// A community's addresses, `https://…` or, on a protected network only, `http://…`. What it does not offer
    /// is left out.
    pub struct EndpointConfig {
        /// Cross Gateway Query.
        iti38: Option<String> = None; example "\"https://gw.example.jp:8443/xca/iti38\"",
        /// Cross Gateway Retrieve.
        iti39: Option<String> = None; example "\"https://gw.example.jp:8443/xca/iti39\"",
        /// Patient Identity Feed HL7 V3: where our patients are made known.
        iti44: Option<String> = None; commented "\"https://gw.example.jp:8443/mpi/iti44\"",
        /// PIXV3 Query.
        iti45: Option<String> = None; example "\"https://gw.example.jp:8443/mpi/iti45\"",
        /// Cross Gateway Patient Discovery.
        iti55: Option<String> = None; commented "\"https://gw.example.jp:8443/xca/iti55\"",
        /// Patient Location Query.
        iti56: Option<String> = None; commented "\"https://gw.example.jp:8443/xca/iti56\"",
    }
}

section! {
    /// A repository of another system whose documents our registry lists: its repositoryUniqueId in a retrieval
    /// leads there (ITI-43). The table may be repeated, here or in the file `gateway.communities`.
    pub struct ForeignRepositoryConfig {
        /// A short name, as of a community; none may be both.
        id: String = String::new(); example "\"gazou\"",
        /// Its repositoryUniqueId, an OID.
        unique_id: String = String::new(); example "\"2.999.392.1.9\"",
        /// Its ITI-43 address, and how it is spoken to.
        peer: PeerConfig = PeerConfig::default(); table,
        /// As for a community.
        budget_ms: u64 = 10_000,
        /// As for a community.
        at_once: u64 = 16,
        /// As for a community.
        breaker_failures: u64 = 5,
        /// As for a community.
        breaker_pause_ms: u64 = 15_000,
    }
}

impl EndpointConfig {
    /// The addresses that are there, by key.
    pub fn all(&self) -> Vec<(&'static str, &str)> {
        let rows = [
            ("iti38", &self.iti38),
            ("iti39", &self.iti39),
            ("iti44", &self.iti44),
            ("iti45", &self.iti45),
            ("iti55", &self.iti55),
            ("iti56", &self.iti56),
        ];
        rows.into_iter().filter_map(|(key, url)| Some((key, url.as_deref()?))).collect()
    }
}

impl CommunityConfig {
    /// The community as the program knows it; `None` while its ids are faulty.
    pub fn community(&self) -> Option<Community> {
        let homes: Option<Vec<_>> = self.stands_for.iter().map(|h| HomeCommunityId::parse(h)).collect();
        Some(Community {
            id: self.id.clone(),
            name: self.name.clone(),
            home: HomeCommunityId::parse(&self.home_community_id)?,
            stands_for: homes?,
            patient_id_authority: self.patient_id_authority.clone(),
            correlate: self.correlate,
            endpoints: self.endpoint.all().into_iter().map(|(key, url)| (key, url.to_owned())).collect(),
            device: self.device.clone(),
            budget: Duration::from_millis(self.budget_ms),
            assertion: self.assertion,
            without_user: self.without_user,
            audience: self.audience.clone().unwrap_or_else(|| self.home_community_id.clone()),
        })
    }

    /// One of its addresses as a peer. Times are the community's own: `budget_ms`, `connect_ms`.
    pub fn peer(&self, url: &str) -> PeerConfig {
        PeerConfig {
            url: url.to_owned(),
            server_ca: self.server_ca.clone(),
            certificate: self.certificate.clone(),
            private_key: self.private_key.clone(),
            tls_profile: self.tls_profile,
            connect_seconds: self.connect_ms.div_ceil(1000),
            answer_seconds: self.budget_ms.div_ceil(1000),
            answer_mib: self.answer_mib,
            proxy: self.proxy.clone(),
        }
    }

    fn check(&self, authority: &str, examples: bool, section: &str, list: &mut Vec<Fault>) {
        let mut faults = Faults::of(section, list);
        short_name(&self.id, &mut faults);
        if self.name.trim().is_empty() {
            faults.missing("name");
        }
        home(&mut faults, "home_community_id", &self.home_community_id, examples);
        for other in &self.stands_for {
            home(&mut faults, "stands_for", other, examples);
        }
        match (&self.patient_id_authority, self.correlate) {
            (None, CorrelateBy::SharedId) => {}
            (None, _) => faults.missing("patient_id_authority"),
            (Some(oid), by) => {
                faults.oid("patient_id_authority", oid, examples);
                if oid == authority && by != CorrelateBy::SharedId {
                    faults.add(
                        "patient_id_authority",
                        "is our own network's; ids that both networks share are correlated by shared_id",
                        "自ネットワークと同じです。両ネットワーク共通の ID の場合は correlate を shared_id にしてください",
                    );
                }
            }
        }
        if let Some(device) = &self.device {
            faults.oid("device", device, examples);
        }
        for (n, fingerprint) in self.client_certificates.iter().enumerate() {
            let plain = plain_fingerprint(fingerprint);
            if plain.len() != 64 || !plain.bytes().all(|b| b.is_ascii_hexdigit()) {
                faults.add(
                    &format!("client_certificates[{n}]"),
                    "is no SHA-256 fingerprint: 64 hexadecimal digits",
                    "SHA-256 フィンガープリント（16 進 64 桁）ではありません",
                );
            }
        }
        faults.range("budget_ms", self.budget_ms, 50, 600_000);
        faults.range("connect_ms", self.connect_ms, 50, 600_000);
        faults.range("stall_ms", self.stall_ms, 100, 600_000);
        faults.range("results", self.results, 1, 10_000_000);
        faults.range("answer_mib", self.answer_mib, 1, 1024);
        faults.range("documents_mib", self.documents_mib, 1, 1 << 20);
        limits(self.at_once, self.breaker_failures, self.breaker_pause_ms, &mut faults);
        let needed: &[&str] = match self.correlate {
            CorrelateBy::Pix | CorrelateBy::SharedId => &[],
            CorrelateBy::Xcpd => &["iti55"],
        };
        let endpoints = self.endpoint.all();
        if endpoints.is_empty() {
            faults.add(
                "endpoint",
                "has no address; a community without any cannot be asked",
                "アドレスがありません。少なくとも 1 つ必要です",
            );
        } else {
            for key in needed {
                if !endpoints.iter().any(|(k, _)| k == key) {
                    faults.missing(&format!("endpoint.{key}"));
                }
            }
        }
        for (key, url) in endpoints {
            let mut found = vec![];
            // The ranges of seconds are the community's own, in milliseconds.
            self.peer(url).check(section, &mut found);
            for fault in found {
                let own = fault.key.strip_prefix(section).is_some_and(|k| k == ".url");
                let fault = match own {
                    true => Fault { key: format!("{section}.endpoint.{key}"), ..fault },
                    false => fault,
                };
                if !list.contains(&fault) {
                    list.push(fault);
                }
            }
        }
    }
}

impl ForeignRepositoryConfig {
    fn check(&self, examples: bool, section: &str, list: &mut Vec<Fault>) {
        let mut faults = Faults::of(section, list);
        short_name(&self.id, &mut faults);
        faults.oid("unique_id", &self.unique_id, examples);
        faults.range("budget_ms", self.budget_ms, 50, 600_000);
        limits(self.at_once, self.breaker_failures, self.breaker_pause_ms, &mut faults);
        self.peer.check(&format!("{section}.peer"), list);
    }
}

fn limits(at_once: u64, failures: u64, pause: u64, faults: &mut Faults<'_>) {
    faults.range("at_once", at_once, 1, 10_000);
    faults.range("breaker_failures", failures, 1, 1_000_000);
    faults.range("breaker_pause_ms", pause, 10, 3_600_000);
}

/// A fingerprint as programs compare it: lower case, without colons.
pub fn plain_fingerprint(text: &str) -> String {
    text.chars().filter(|c| *c != ':' && !c.is_whitespace()).collect::<String>().to_ascii_lowercase()
}

fn short_name(id: &str, faults: &mut Faults<'_>) {
    if id.is_empty() {
        faults.missing("id");
    } else if id.len() > 32 || !id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
        faults.add(
            "id",
            format!("{id:?} is not of at most 32 letters, digits, - and _"),
            format!("{id:?} は英数字・ハイフン・下線 32 文字以内ではありません"),
        );
    }
}

fn home(faults: &mut Faults<'_>, key: &str, value: &str, examples: bool) {
    match value.strip_prefix("urn:oid:") {
        Some(oid) => faults.oid(key, oid, examples),
        None if value.is_empty() => faults.missing(key),
        None => faults.add(
            key,
            format!("{value:?} must begin with urn:oid:"),
            format!("{value:?} は urn:oid: で始めてください"),
        ),
    }
}

/// Each table, and that none is another's double. `home` and `authority` are our own network's.
pub(super) fn check_all(
    all: &CommunityFile,
    home: &str,
    authority: &str,
    examples: bool,
    list: &mut Vec<Fault>,
) {
    let mut ids: Vec<&str> = vec![];
    let mut homes: Vec<&str> = vec![home];
    let twice = |faults: &mut Faults<'_>, key: &str, value: &str| {
        faults.add(
            key,
            format!("{value:?} is taken: by us, or by another table"),
            format!("{value:?} は自ネットワークまたはほかの項目と重複しています"),
        );
    };
    for (i, community) in all.community.iter().enumerate() {
        let section = format!("community[{i}]");
        community.check(authority, examples, &section, list);
        let mut faults = Faults::of(section, list);
        if ids.contains(&community.id.as_str()) {
            twice(&mut faults, "id", &community.id);
        }
        if homes.contains(&community.home_community_id.as_str()) {
            twice(&mut faults, "home_community_id", &community.home_community_id);
        }
        if community.stands_for.iter().any(|h| h == home || *h == community.home_community_id) {
            twice(&mut faults, "stands_for", &community.home_community_id);
        }
        ids.push(&community.id);
        homes.push(&community.home_community_id);
    }
    let mut repositories: Vec<&str> = vec![];
    for (i, repository) in all.foreign_repository.iter().enumerate() {
        let section = format!("foreign_repository[{i}]");
        repository.check(examples, &section, list);
        let mut faults = Faults::of(section, list);
        if ids.contains(&repository.id.as_str()) {
            twice(&mut faults, "id", &repository.id);
        }
        if repositories.contains(&repository.unique_id.as_str()) {
            twice(&mut faults, "unique_id", &repository.unique_id);
        }
        ids.push(&repository.id);
        repositories.push(&repository.unique_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
        [[community]]
        id = 'tonari'
        name = 'となり'
        home_community_id = 'urn:oid:1.2.392.7'
        patient_id_authority = '1.2.392.7.2'
        [community.endpoint]
        iti38 = 'http://127.0.0.1:1/xca/iti38'
        [[foreign_repository]]
        id = 'gazou'
        unique_id = '1.2.392.1.9'
        [foreign_repository.peer]
        url = 'http://127.0.0.1:1/iti43'
    ";

    fn keys(all: &CommunityFile) -> Vec<String> {
        let mut list = vec![];
        check_all(all, "urn:oid:1.2.392.1", "1.2.392.1.2", false, &mut list);
        list.into_iter().filter(Fault::refuses).map(|f| f.key).collect()
    }

    #[test]
    fn a_good_list_has_no_faults_and_each_spoiling_is_named() {
        let good: CommunityFile = toml::from_str(GOOD).unwrap();
        assert_eq!(keys(&good), Vec::<String>::new());
        type Spoil = fn(&mut CommunityConfig);
        let cases: &[(&str, Spoil)] = &[
            ("id", |c| c.id = String::new()),
            ("id", |c| c.id = "と".into()),
            ("name", |c| c.name = " ".into()),
            ("home_community_id", |c| c.home_community_id = "1.2.392.7".into()),
            ("home_community_id", |c| c.home_community_id = "urn:oid:1.2.392.1".into()),
            ("home_community_id", |c| c.home_community_id = "urn:oid:2.999.1".into()),
            ("stands_for", |c| c.stands_for = vec!["x".into()]),
            ("stands_for", |c| c.stands_for = vec!["urn:oid:1.2.392.1".into()]),
            ("patient_id_authority", |c| c.patient_id_authority = None),
            ("patient_id_authority", |c| c.patient_id_authority = Some("1.2.392.1.2".into())),
            ("endpoint", |c| c.endpoint.iti38 = None),
            ("endpoint.iti38", |c| c.endpoint.iti38 = Some("ftp://x/".into())),
            ("endpoint.iti55", |c| c.correlate = CorrelateBy::Xcpd),
            ("server_ca", |c| c.endpoint.iti39 = Some("https://x/".into())),
            ("private_key", |c| {
                c.endpoint.iti38 = Some("https://x/".into());
                c.server_ca = vec![concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into()];
                c.certificate = Some("/x".into());
            }),
            ("device", |c| c.device = Some("x".into())),
            ("budget_ms", |c| c.budget_ms = 0),
            ("connect_ms", |c| c.connect_ms = 0),
            ("stall_ms", |c| c.stall_ms = 0),
            ("at_once", |c| c.at_once = 0),
            ("breaker_failures", |c| c.breaker_failures = 0),
            ("breaker_pause_ms", |c| c.breaker_pause_ms = 0),
            ("answer_mib", |c| c.answer_mib = 0),
            ("documents_mib", |c| c.documents_mib = 0),
            ("results", |c| c.results = 0),
            ("client_certificates[0]", |c| c.client_certificates = vec!["ab".into()]),
        ];
        for (i, (key, spoil)) in cases.iter().enumerate() {
            let mut all = good.clone();
            spoil(&mut all.community[0]);
            let found = keys(&all);
            assert!(found.contains(&format!("community[0].{key}")), "case {i}: {found:?}");
        }
    }

    #[test]
    fn nothing_is_there_twice() {
        let good: CommunityFile = toml::from_str(GOOD).unwrap();
        let mut all = good.clone();
        all.community.push(good.community[0].clone());
        assert_eq!(keys(&all), ["community[1].id", "community[1].home_community_id"]);
        let mut all = good.clone();
        all.foreign_repository[0].id = "tonari".into();
        assert_eq!(keys(&all), ["foreign_repository[0].id"]);
    }

    #[test]
    fn a_community_becomes_what_the_program_knows() {
        let mut good: CommunityFile = toml::from_str(GOOD).unwrap();
        good.community[0].stands_for = vec!["urn:oid:1.2.392.8".into()];
        let community = good.community[0].community().unwrap();
        assert_eq!(community.endpoint("iti38"), Some("http://127.0.0.1:1/xca/iti38"));
        assert_eq!(community.endpoint("iti39"), None);
        assert!(community.speaks_for("urn:oid:1.2.392.8") && !community.speaks_for("urn:oid:1.2.392.1"));
        assert!(community.is_hub());
    }
}
