//! `[nodes]`, and the directory of nodes it names: who may connect, known by which certificates, and what each may
//! ask (ITI-19; security alerts name what is outside of it).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::fault::{Fault, Faults};
use super::section::{self, section};
use crate::model::node::grants::{ANY, GROUPS, OPS};
use crate::model::node::{Class, Entry, Grants, Marks, Names, Node, Pair, Window};

section! {
    /// Who may connect. Without a directory, whoever the authorities of a listener vouch for.
    pub struct NodesConfig {
        /// A file of `[[node]]` and `[[class]]` tables (`chiren node example` prints one). It is read again when it
        /// changes and on SIGHUP; with a fault in it the directory before stays in force. With it, a certificate
        /// that no node has ends the handshake, and a node may ask only what is granted.
        directory: Option<PathBuf> = None; commented "\"/etc/chiren/nodes.toml\"",
        /// Seconds between two looks at whether the file, certificates, keys, authorities or revocation lists have
        /// changed.
        look_seconds: u64 = 5,
    }
}

section! {
    /// A node: a machine, or several, of one organization. What is left out is not granted.
    pub struct NodeConfig {
        /// A short name of letters, digits, `-` and `_`: in logs, metrics, records and commands.
        id: String = String::new(); example "\"hospital-a\"",
        /// The name people know it by.
        name: String = String::new(); example "\"A病院 地域連携サーバ\"",
        /// URIs of the organizations it acts for: what `organization-id` of its users' assertions may be.
        organizations: Vec<String> = vec![]; example "[\"urn:oid:2.999.392.10.1\"]",
        /// Their ten-digit facility numbers (医療機関コード).
        facility_numbers: Vec<String> = vec![]; example "[\"1310000001\"]",
        /// Of a gateway: the homeCommunityId of its network, which its users' assertions must name. Absent: ours.
        home_community_id: Option<String> = None; commented "\"urn:oid:2.999.392.7\"",
        /// SHA-256 of its certificates (`openssl x509 -noout -fingerprint -sha256`), old and new while they overlap.
        certificates: Vec<String> = vec![]; commented "[\"0f:3a:…\"]",
        /// Or: URIs of subjectAltName of its certificates. They outlive a renewal.
        uris: Vec<String> = vec![]; example "[\"urn:oid:2.999.392.10.1\"]",
        /// Or: DNS names of subjectAltName.
        dns_names: Vec<String> = vec![]; commented "[\"gw.hospital-a.example.jp\"]",
        /// Or, only for old certificates of an authority that serves this network alone: the issuer's name and the
        /// subject's commonName, as `chiren node check FILE` shows them.
        issued: Vec<String> = vec![]; commented "[\"CN=Old CA,O=Network,C=JP|hospital-a\"]",
        /// Trust the certificates listed by SHA-256 as they are, without an authority or a revocation list.
        direct_trust: bool = false,
        /// The first day or instant it may connect; a day begins in Japan.
        valid_from: Option<String> = None; commented "\"2026-04-01\"",
        /// The last day, or the instant at which it ends.
        valid_to: Option<String> = None; commented "\"2028-03-31\"",
        /// What it may ask: codes as `ITI-18`, groups as `document-consumer`, `ops` for listeners of that role, or
        /// `*` for all but `ops`.
        transactions: Vec<String> = vec![]; example "[\"document-source\", \"document-consumer\"]",
        /// OIDs of the assigning authorities whose patients it may feed; `*`: any.
        patient_id_authorities: Vec<String> = vec![]; example "[\"2.999.392.10.1.9\"]",
        /// Who it may be in HL7 v2, `MSH-4|MSH-3`; `*` for either.
        msh: Vec<String> = vec![]; example "[\"2.999.392.10.1|*\"]",
        /// Take its HL7 v2 where it is not quite that: LF between segments, an end block without CR, a start block
        /// within a message, a control id (MSH-10) used for another message within the hour.
        hl7_lenient: bool = false,
        /// OIDs it may give as SubmissionSet.sourceId; `*`: any.
        source_ids: Vec<String> = vec![]; example "[\"2.999.392.10.1\"]",
        /// Addresses it may have asynchronous answers sent to; they must be among `asynchronous.reply_to` too.
        reply_urls: Vec<String> = vec![]; commented "[\"https://gw.hospital-a.example.jp/answers\"]",
        /// The rate class; absent, the one named `default`.
        class: Option<String> = None; commented "\"clinic\"",
        /// Shut out at once, whatever else is written.
        suspended: bool = false,
    }
}

section! {
    /// A rate class: how much each node of it may ask. 0 means without limit.
    pub struct ClassConfig {
        /// Its name. A class `default` replaces the one built in.
        name: String = String::new(); example "\"clinic\"",
        /// Requests per second, in the long run.
        requests_per_second: u32 = 50,
        /// Requests at once after a rest.
        burst: u32 = 200,
        /// MiB per second of answers.
        retrieve_mib_per_second: u32 = 200,
        /// Connections open at the same time.
        connections: u32 = 100,
        /// Requests per second of each person whose assertions it brings.
        user_requests_per_second: u32 = 20,
        /// Requests of a person at once after a rest.
        user_burst: u32 = 100,
    }
}

/// The name of the class of nodes that name none.
const DEFAULT_CLASS: &str = "default";

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeFile {
    pub class: Vec<ClassConfig>,
    pub node: Vec<NodeConfig>,
}

impl NodesConfig {
    pub(super) fn check(&self, list: &mut Vec<Fault>) {
        let mut faults = Faults::of("nodes", list);
        faults.range("look_seconds", self.look_seconds, 1, 3600);
        if let Some(path) = &self.directory {
            match NodeFile::load(path) {
                Ok((_, warnings)) => list.extend(warnings),
                Err(found) => list.extend(found),
            }
        }
    }
}

impl ClassConfig {
    fn class(&self) -> Arc<Class> {
        Arc::new(Class {
            name: self.name.clone(),
            requests_per_second: self.requests_per_second,
            burst: self.burst.max(1),
            retrieve_bytes_per_second: u64::from(self.retrieve_mib_per_second) << 20,
            connections: self.connections,
            user_requests_per_second: self.user_requests_per_second,
            user_burst: self.user_burst.max(1),
        })
    }
}

impl NodeFile {
    /// Reads and judges a file: its nodes with the warnings about them, or every fault.
    pub fn load(path: &Path) -> Result<(Vec<Entry>, Vec<Fault>), Vec<Fault>> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|e| vec![super::fault::unreadable("nodes.directory", path, e)])?;
        let file: Self = toml::from_str(&text).map_err(|e| {
            vec![Fault::new(
                "nodes.directory",
                format!("file {shown} cannot be understood: {e}"),
                format!("ファイル {shown} に誤りがあります: {e}"),
            )]
        })?;
        file.entries()
    }

    /// The nodes, if all of them are in order.
    pub fn entries(&self) -> Result<(Vec<Entry>, Vec<Fault>), Vec<Fault>> {
        let mut list = vec![];
        let classes = self.classes(&mut list);
        let mut entries = vec![];
        let mut owners: HashMap<(&str, String), usize> = HashMap::new();
        for (i, node) in self.node.iter().enumerate() {
            let mut faults = Faults::of(format!("node[{i}]"), &mut list);
            let entry = node.entry(&classes, &mut faults);
            if self.node.iter().take(i).any(|other| other.id == node.id) && !node.id.is_empty() {
                faults.add(
                    "id",
                    format!("{:?} is the id of another node too", node.id),
                    format!("{:?} は別のノードの ID と重複しています", node.id),
                );
            }
            // What names two nodes names neither.
            let marks = &entry.marks;
            let issued = marks.issued.iter().map(|(issuer, name)| format!("{issuer}|{name}"));
            let all = (marks.certificates.iter().map(|v| ("certificates", v.clone())))
                .chain(marks.uris.iter().map(|v| ("uris", v.clone())))
                .chain(marks.dns_names.iter().map(|v| ("dns_names", v.clone())))
                .chain(issued.map(|v| ("issued", v)));
            for (key, value) in all {
                if let Some(owner) = owners.insert((key, value.clone()), i).filter(|owner| *owner != i) {
                    faults.add(
                        key,
                        format!("{value:?} is a mark of node[{owner}] too"),
                        format!("{value:?} は node[{owner}] と重複しています"),
                    );
                }
            }
            entries.push(entry);
        }
        if list.iter().any(Fault::refuses) { Err(list) } else { Ok((entries, list)) }
    }

    fn classes(&self, list: &mut Vec<Fault>) -> HashMap<String, Arc<Class>> {
        let built_in = ClassConfig { name: DEFAULT_CLASS.into(), ..ClassConfig::default() };
        let mut classes = HashMap::from([(built_in.name.clone(), built_in.class())]);
        for (i, class) in self.class.iter().enumerate() {
            let mut faults = Faults::of(format!("class[{i}]"), list);
            if class.name.is_empty() {
                faults.missing("name");
            }
            if self.class.iter().take(i).any(|other| other.name == class.name) {
                faults.add(
                    "name",
                    format!("{:?} is the name of another class too", class.name),
                    format!("{:?} は別のクラスの名前と重複しています", class.name),
                );
            }
            classes.insert(class.name.clone(), class.class());
        }
        classes
    }
}

impl NodeConfig {
    fn entry(&self, classes: &HashMap<String, Arc<Class>>, faults: &mut Faults<'_>) -> Entry {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.id.is_empty() {
            faults.missing("id");
        } else if !self.id.chars().all(plain) || self.id.len() > 64 {
            faults.add(
                "id",
                "may hold letters, digits, - and _ only, 64 at most",
                "英数字と - _ のみ、64 文字以内にしてください",
            );
        }
        self.check_ids(faults);
        let marks = self.marks(faults);
        let none = marks == Marks::default();
        if none {
            faults.add(
                "uris",
                "nothing names its certificates: certificates, uris, dns_names or issued is required",
                "証明書を特定する certificates、uris、dns_names、issued のいずれかが必要です",
            );
        }
        if self.direct_trust && self.certificates.is_empty() {
            faults.add(
                "direct_trust",
                "needs the SHA-256 of the certificates",
                "certificates に SHA-256 が必要です",
            );
        }
        let window = Window {
            from: self.time("valid_from", self.valid_from.as_deref(), false, faults),
            to: self.time("valid_to", self.valid_to.as_deref(), true, faults),
        };
        if let Window { from: Some(from), to: Some(to) } = window
            && from >= to
        {
            faults.add("valid_to", "is before valid_from", "valid_from より前です");
        }
        let name = self.class.as_deref().unwrap_or(DEFAULT_CLASS);
        let class = classes.get(name).cloned().unwrap_or_else(|| {
            faults.add(
                "class",
                format!("{name:?} is no class of this file"),
                format!("クラス {name:?} はこのファイルにありません"),
            );
            ClassConfig::default().class()
        });
        Entry {
            node: Node {
                id: self.id.clone(),
                organizations: self.organizations.clone(),
                home_community_id: self.home_community_id.clone(),
            },
            name: self.name.clone(),
            facility_numbers: self.facility_numbers.clone(),
            marks,
            direct_trust: self.direct_trust,
            window,
            suspended: self.suspended,
            hl7_lenient: self.hl7_lenient,
            grants: self.grants(faults),
            class,
        }
    }

    fn check_ids(&self, faults: &mut Faults<'_>) {
        if let Some(home) = &self.home_community_id
            && crate::model::ids::HomeCommunityId::parse(home).is_none()
        {
            faults.add(
                "home_community_id",
                format!("{home:?} is not urn:oid: and an OID"),
                format!("{home:?} は urn:oid: で始まる OID ではありません"),
            );
        }
        for number in &self.facility_numbers {
            if number.len() != 10 || !number.bytes().all(|b| b.is_ascii_digit()) {
                faults.add(
                    "facility_numbers",
                    format!("{number:?} is not ten digits"),
                    format!("{number:?} は 10 桁の数字ではありません"),
                );
            }
        }
    }

    fn marks(&self, faults: &mut Faults<'_>) -> Marks {
        let mut marks = Marks { uris: self.uris.clone(), ..Marks::default() };
        for text in &self.certificates {
            let hex: String = text.chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
            if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
                faults.add(
                    "certificates",
                    format!("{text:?} is no SHA-256 in hex"),
                    format!("{text:?} は 16 進数の SHA-256 ではありません"),
                );
            }
            marks.certificates.push(hex);
        }
        marks.dns_names.extend(self.dns_names.iter().map(|name| name.to_ascii_lowercase()));
        for text in &self.issued {
            match text.rsplit_once('|').filter(|(issuer, name)| !issuer.is_empty() && !name.is_empty()) {
                Some((issuer, name)) => marks.issued.push((issuer.to_owned(), name.to_owned())),
                None => faults.add(
                    "issued",
                    format!("{text:?} is not an issuer's name, | and a commonName"),
                    format!("{text:?} は「発行者名|commonName」の形式ではありません"),
                ),
            }
        }
        marks
    }

    fn grants(&self, faults: &mut Faults<'_>) -> Grants {
        let mut grants = Grants {
            authorities: Names::new(self.patient_id_authorities.clone()),
            source_ids: Names::new(self.source_ids.clone()),
            reply_urls: Names::new(self.reply_urls.clone()),
            ..Grants::default()
        };
        for word in &self.transactions {
            if !grants.allow(word) {
                let groups: Vec<&str> = GROUPS.iter().map(|(name, _)| *name).collect();
                let groups = groups.join(", ");
                faults.add(
                    "transactions",
                    format!("{word:?} is no transaction of the catalogue, none of {groups}, {OPS} or {ANY}"),
                    format!(
                        "{word:?} はトランザクションでもグループ（{groups}、{OPS}、{ANY}）でもありません"
                    ),
                );
            }
        }
        if grants.transactions.is_empty() && !grants.ops {
            faults.warn(
                "transactions",
                "is empty: the node may connect and ask nothing",
                "空です。接続はできますが何も要求できません",
            );
        }
        for text in &self.msh {
            match Pair::parse(text) {
                Some(pair) => grants.pairs.push(pair),
                None => faults.add(
                    "msh",
                    format!("{text:?} is not MSH-4|MSH-3"),
                    format!("{text:?} は「MSH-4|MSH-3」の形式ではありません"),
                ),
            }
        }
        grants
    }

    /// An instant, or a day in Japan: its beginning, or its end.
    fn time(&self, key: &str, text: Option<&str>, end: bool, faults: &mut Faults<'_>) -> Option<Timestamp> {
        let text = text?;
        let day = || {
            let mut day: Date = text.parse().ok()?;
            if end {
                day = day.checked_add(Span::new().days(1)).ok()?;
            }
            let japan = jiff::tz::offset(9).to_time_zone();
            Some(day.to_zoned(japan).ok()?.timestamp())
        };
        let read = text.parse::<Timestamp>().ok().or_else(day);
        if read.is_none() {
            faults.add(
                key,
                format!("{text:?} is neither a day (2026-04-01) nor an instant (2026-04-01T00:00:00+09:00)"),
                format!("{text:?} は日付（2026-04-01）でも時刻（2026-04-01T00:00:00+09:00）でもありません"),
            );
        }
        read
    }
}

/// The end of a day, for listings: the last instant is the day people wrote.
pub fn day_of(at: Timestamp) -> String {
    at.to_zoned(TimeZone::fixed(jiff::tz::offset(9))).strftime("%Y-%m-%d %H:%M").to_string()
}

/// An example of the file: every key with its meaning.
pub fn example() -> String {
    let mut out = String::from(
        "# The directory of nodes of Chiren Gateway: who may connect, and what each may ask.\n\
         # Printed by `chiren node example`. It is read again when it changes; `chiren node check` says what is\n\
         # wrong with it. OIDs below 2.999 are examples.\n\n",
    );
    section::print::<ClassConfig>(&mut out, "[[class]]");
    section::print::<NodeConfig>(&mut out, "[[node]]");
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
        [[class]]
        name = 'clinic'
        requests_per_second = 5
        [[node]]
        id = 'a'
        uris = ['urn:oid:2.999.1']
        certificates = ['00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF']
        transactions = ['document-consumer', 'ITI-41']
        valid_from = '2026-04-01'
        valid_to = '2026-04-30'
        class = 'clinic'
        [[node]]
        id = 'b'
        dns_names = ['GW.b.example']
        transactions = ['*']
    ";

    fn keys(text: &str) -> Vec<String> {
        let file: NodeFile = toml::from_str(text).unwrap();
        match file.entries() {
            Ok((_, warnings)) => warnings.into_iter().map(|f| f.key).collect(),
            Err(faults) => faults.into_iter().map(|f| f.key).collect(),
        }
    }

    #[test]
    fn a_good_file_is_read() {
        let file: NodeFile = toml::from_str(GOOD).unwrap();
        let (entries, warnings) = file.entries().unwrap();
        assert_eq!(warnings, vec![]);
        let a = &entries[0];
        assert!(a.marks.certificates[0].starts_with("001122") && a.class.requests_per_second == 5);
        assert_eq!(a.window.from.unwrap().to_string(), "2026-03-31T15:00:00Z");
        assert_eq!(a.window.to.unwrap().to_string(), "2026-04-30T15:00:00Z");
        assert_eq!(entries[1].marks.dns_names, ["gw.b.example"]);
        assert_eq!(entries[1].class.requests_per_second, 50);
    }

    #[test]
    fn each_spoiling_is_named() {
        let cases: &[(&str, &str, &str)] = &[
            ("id = 'b'", "id = 'a'", "node[1].id"),
            ("id = 'b'", "id = 'b b'", "node[1].id"),
            ("id = 'b'", "", "node[1].id"),
            ("dns_names = ['GW.b.example']", "", "node[1].uris"),
            ("dns_names = ['GW.b.example']", "uris = ['urn:oid:2.999.1']", "node[1].uris"),
            ("transactions = ['*']", "transactions = ['ITI-1000']", "node[1].transactions"),
            ("transactions = ['*']", "", "node[1].transactions"),
            ("class = 'clinic'", "class = 'other'", "node[0].class"),
            ("valid_to = '2026-04-30'", "valid_to = 'soon'", "node[0].valid_to"),
            ("valid_to = '2026-04-30'", "valid_to = '2026-03-30'", "node[0].valid_to"),
            ("'00:11", "'0x:11", "node[0].certificates"),
            ("name = 'clinic'", "name = ''", "class[0].name"),
            ("id = 'b'", "id = 'b'\nmsh = ['A']", "node[1].msh"),
            ("id = 'b'", "id = 'b'\nissued = ['CN=x']", "node[1].issued"),
            ("id = 'b'", "id = 'b'\nfacility_numbers = ['13']", "node[1].facility_numbers"),
            ("id = 'b'", "id = 'b'\nhome_community_id = '1.2'", "node[1].home_community_id"),
            ("id = 'b'", "id = 'b'\ndirect_trust = true", "node[1].direct_trust"),
        ];
        for (from, to, key) in cases {
            assert!(GOOD.contains(from), "{from}");
            let found = keys(&GOOD.replacen(from, to, 1));
            assert!(found.contains(&key.to_string()), "{to}: {found:?}");
        }
    }

    #[test]
    fn the_example_is_the_printed_one_and_has_no_faults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/nodes.toml");
        let file = std::fs::read_to_string(path).unwrap();
        assert!(file == example(), "write config/nodes.toml anew: `chiren node example > config/nodes.toml`");
        assert_eq!(keys(&file), Vec::<String>::new());
    }
}
