//! What a demonstration says on the terminal: where it serves, what it holds, what to try.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha1::{Digest as _, Sha1};

use super::certificates::Certificates;
use super::folder::Folder;
use super::{FHIR, MLLP, NAMESPACES, SOAP, TLS, seed};
use crate::cli::send::endpoint::{Endpoint, quoted};
use crate::cli::send::hex;
use crate::cli::submission::synthetic_objects;
use crate::config::{Language, Role};
use crate::model::ebrim::Slot;
use crate::model::query::QUERIES;
use crate::model::query::{QueryId, ReturnType};
use crate::model::transaction::Transaction;
use crate::model::uuids::status;
use crate::synthetic::{Kind, NETWORK_OID, Network, REPOSITORY_OID, SyntheticDocument};
use crate::wire::ebxml::query::{AdhocQueryRequest, write_request};
use crate::wire::fhir;
use crate::wire::soap;

/// Documents looked through for a letter that is not registered yet.
const LOOKED_THROUGH: u64 = 20_000;

/// Patients and documents that the commands name, and the files they read.
pub struct Example {
    /// CX and name in kanji; the first has the most documents.
    patients: Vec<(String, String, usize)>,
    /// A registered document of the first patient: uniqueId and the ending of a file name.
    document: Option<(String, &'static str)>,
    /// uniqueIds of a SubmissionSet that can go without anybody missing it, and of its document.
    removable: Option<(String, String)>,
    /// A letter to provide or register, with its size and SHA-1.
    letter: Option<(PathBuf, usize, String)>,
    /// An ITI-18 request.
    query: PathBuf,
}

impl Example {
    pub fn prepare(network: &Network, documents: u64, folder: &Folder) -> anyhow::Result<Self> {
        let queues = seed::by_patient(network, documents);
        let patients: Vec<_> = network
            .patients
            .iter()
            .zip(&queues)
            .take(2)
            .map(|(p, numbers)| (network.patient_cx(p), p.name.kanji(), numbers.len()))
            .collect();
        let document = seed::example(network, documents).and_then(|number| seed::document(network, number));
        let letter = match new_letter(network, documents) {
            Some(letter) => {
                let (size, hash) = (letter.bytes.len(), hex(&Sha1::digest(&letter.bytes)));
                Some((folder.write("letter.xml", letter.bytes)?, size, hash))
            }
            None => None,
        };
        let patient = patients.first().map(|p| p.0.as_str()).unwrap_or_default();
        let query = folder.write("iti18.xml", find_documents(patient))?;
        let removable = seed::removable(network, documents)
            .and_then(|number| seed::document(network, number))
            .map(|d| (synthetic_objects(&d).1.unique_id, d.unique_id));
        let document = document.map(|d| (d.unique_id, ending(d.mime_type)));
        Ok(Self { patients, document, removable, letter, query })
    }

    pub fn patient(&self, n: usize) -> &str {
        self.patients.get(n).map(|p| p.0.as_str()).unwrap_or_default()
    }
}

/// A letter of the first patient that comes after those registered.
fn new_letter(network: &Network, documents: u64) -> Option<SyntheticDocument> {
    (documents..documents.saturating_add(LOOKED_THROUGH))
        .filter(|number| network.patient_of(*number) == Some(0))
        .filter_map(|number| network.document(number))
        .find(|document| document.kind == Kind::Referral)
}

fn ending(mime_type: &str) -> &'static str {
    match mime_type {
        "application/pdf" => "pdf",
        "application/fhir+json" => "json",
        _ => "xml",
    }
}

/// FindDocuments for the patient's approved documents, as an envelope for curl.
fn find_documents(patient: &str) -> String {
    let row = Transaction::Iti18.row();
    let slot =
        |name: &str, value: String| Slot { name: name.to_owned(), slot_type: None, values: vec![value] };
    let request = AdhocQueryRequest {
        return_type: ReturnType::LeafClass,
        id: QUERIES.iter().find(|q| q.id == QueryId::FindDocuments).map_or("", |q| q.urn).to_owned(),
        home: None,
        slots: vec![
            slot("$XDSDocumentEntryPatientId", format!("'{patient}'")),
            slot("$XDSDocumentEntryStatus", format!("('{}')", status::APPROVED)),
        ],
    };
    soap::write_request(row.request_action, "urn:uuid:6d296e90-e5dc-43d0-b455-7c1f3eb35d83", "", |w| {
        write_request(w, &request);
    })
}

pub struct Guide<'a> {
    pub listeners: Vec<(String, Role, SocketAddr)>,
    pub folder: &'a Folder,
    pub certificates: Option<&'a Certificates>,
    pub network: &'a Network,
    pub documents: u64,
    pub example: Example,
}

impl Guide<'_> {
    /// Facts in each language, then the commands once.
    /// `whole`: every document is registered already.
    pub fn text(&self, languages: &[Language], ready_after: Duration, whole: bool) -> String {
        let mut out = String::new();
        for language in languages {
            self.facts(&mut out, *language, ready_after, whole);
            out.push('\n');
        }
        self.commands(&mut out, languages);
        out
    }

    fn address(&self, name: &str) -> Option<SocketAddr> {
        self.listeners.iter().find(|l| l.0 == name).map(|l| l.2)
    }

    fn facts(&self, out: &mut String, language: Language, ready_after: Duration, whole: bool) {
        let en = language == Language::En;
        let choose = |english: String, japanese: String| if en { english } else { japanese };
        let seconds = ready_after.as_secs_f64();
        let _ = writeln!(
            out,
            "{}",
            choose(
                format!(
                    "Chiren Gateway demonstration, ready after {seconds:.1} s. Everything in it is invented."
                ),
                format!(
                    "Chiren Gateway デモ（起動 {seconds:.1} 秒）。登場する病院・患者・文書はすべて架空です。"
                ),
            )
        );
        for (name, role, address) in &self.listeners {
            let (scheme, tls) = if name == TLS { ("https", true) } else { ("http", false) };
            let _ = match (role, tls) {
                (Role::Soap, false) => writeln!(out, "  SOAP     {scheme}://{address}"),
                (Role::Soap, true) => writeln!(
                    out,
                    "  SOAP/TLS {scheme}://{address}  {}",
                    choose("a client certificate may be shown".into(), "クライアント証明書は任意".into())
                ),
                (Role::Mllp, _) => writeln!(out, "  HL7 v2   mllp://{address}"),
                (Role::Audit, _) => writeln!(out, "  audit    {address}"),
                (Role::Fhir, _) => writeln!(out, "  FHIR     {scheme}://{address}/fhir"),
                (Role::Ops, _) => {
                    writeln!(out, "  ops      {scheme}://{address}/metrics, /health/live, /health/ready")
                }
            };
        }
        let (hospitals, patients) = (self.network.hospitals.len(), self.network.patients.len());
        let documents = self.documents;
        let _ = writeln!(
            out,
            "{}",
            choose(
                format!(
                    "  holds    {hospitals} hospitals, {patients} patients, {documents} documents{}",
                    if whole { "" } else { " (arriving)" }
                ),
                format!(
                    "  内容     {hospitals} 病院、患者 {patients} 人、文書 {documents} 件{}",
                    if whole { "" } else { "（登録中）" }
                ),
            )
        );
        if let Some((id, name, count)) = self.example.patients.first() {
            let _ = writeln!(
                out,
                "{}",
                choose(
                    format!("  patient  {id}  {name}, {count} documents"),
                    format!("  患者例   {id}  {name}（文書 {count} 件）"),
                )
            );
        }
        let path = self.folder.path().display();
        let _ = writeln!(
            out,
            "{}",
            match self.folder.temporary {
                true => choose(
                    format!("  folder   {path}, removed at the end"),
                    format!("  保存先   {path}（終了時に削除）")
                ),
                false => choose(format!("  folder   {path}"), format!("  保存先   {path}")),
            }
        );
        if let Some(c) = self.certificates {
            let (authority, client, key) =
                (c.authority.display(), c.client.display(), c.client_key.display());
            let _ = writeln!(
                out,
                "{}",
                choose(
                    format!("  TLS      authority {authority}, client {client} with {key}"),
                    format!("  TLS      認証局 {authority}、クライアント {client}、秘密鍵 {key}"),
                )
            );
        }
    }

    fn commands(&self, out: &mut String, languages: &[Language]) {
        let say = |out: &mut String, english: &str, japanese: &str| {
            let both: Vec<&str> = languages
                .iter()
                .map(|l| match l {
                    Language::En => english,
                    Language::Ja => japanese,
                })
                .collect();
            out.push_str(&both.join(" / "));
            out.push('\n');
        };
        say(out, "Try in another terminal:", "別の端末で試せます:");
        for (transaction, words) in self.sends() {
            let row = transaction.row();
            let _ = writeln!(out, "# {} {}", row.code, row.name);
            let _ = writeln!(out, "{}", self.send(transaction, &words));
        }
        for (comment, line) in self.others() {
            let [english, japanese] = &comment;
            out.push_str("# ");
            say(out, english, japanese);
            let _ = writeln!(out, "{line}");
        }
        say(out, "Ctrl-C ends it.", "Ctrl-C で終了します。");
    }

    /// For each transaction the words after `chiren send itiNN --url URL`.
    pub fn sends(&self) -> Vec<(Transaction, Vec<String>)> {
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let (first, second) = (self.example.patient(0), self.example.patient(1));
        let described = ["--patient", first, "--type-code", "57133-1", "--title", "診療情報提供書"];
        let mut list = vec![];
        if let Some((letter, size, hash)) = &self.example.letter {
            let file = letter.display().to_string();
            let mut provide = words(&described);
            provide.extend(words(&["--format", "jp:cda:hs008", "--file", &file]));
            list.push((Transaction::Iti41, provide));
            // The repository of another system: it keeps the document, we register it.
            let (other, size) = (format!("{NETWORK_OID}.2.2"), size.to_string());
            let mut register = words(&described);
            register.extend(words(&["--format", "jp:cda:hs008", "--mime", "text/xml"]));
            register.extend(words(&["--repository", &other, "--hash", hash, "--size", &size]));
            list.push((Transaction::Iti42, register));
        }
        list.push((Transaction::Iti18, words(&["--patient", first])));
        // As another network's gateway asks.
        let home = format!("urn:oid:{NETWORK_OID}");
        list.push((Transaction::Iti38, words(&["--patient", first, "--home", &home])));
        if let Some((unique_id, ending)) = &self.example.document {
            let file = self.folder.file(&format!("retrieved.{ending}")).display().to_string();
            let retrieve = ["--repository", REPOSITORY_OID, "--document", unique_id, "--output", &file];
            list.push((Transaction::Iti43, words(&retrieve)));
            let retrieve = ["--repository", REPOSITORY_OID, "--document", unique_id, "--home", &home];
            list.push((Transaction::Iti39, words(&retrieve)));
        }
        let facility = "XDSDocumentEntryHealthcareFacilityTypeCode=1^^1.2.392.100495.20.3.22";
        list.push((
            Transaction::Iti51,
            words(&["--patient", first, "--patient", second, "--param", facility]),
        ));
        if let Some((unique_id, _)) = &self.example.document {
            let title = ["--document", unique_id, "--title", "訂正した題名"];
            list.push((Transaction::Iti57, words(&title)));
            list.push((Transaction::Iti92, words(&["--document", unique_id, "--confidentiality", "R"])));
        }
        let announce = ["--patient", second, "--repository", REPOSITORY_OID, "--document-list", "fhir"];
        list.push((Transaction::Iti61, words(&announce)));
        if let Some((set, document)) = &self.example.removable {
            list.push((Transaction::Iti62, words(&["--submission-set", set])));
            let remove = ["--repository", REPOSITORY_OID, "--document", document];
            list.push((Transaction::Iti86, words(&remove)));
        }
        list
    }

    fn send(&self, transaction: Transaction, words: &[String]) -> String {
        let url = self.address(SOAP).map(|a| format!("http://{a}")).unwrap_or_default();
        let endpoint = Endpoint { url, ca: vec![], cert: None, key: None, timeout: 60 };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        in_this_shell(&endpoint.command(transaction, &words))
    }

    /// Commands beside those, each with its comment in both languages.
    fn others(&self) -> Vec<([String; 2], String)> {
        let row = Transaction::Iti18.row();
        let body = quoted(&format!("@{}", self.example.query.display()));
        let content_type =
            format!("Content-Type: application/soap+xml; charset=UTF-8; action=\"{}\"", row.request_action);
        let mut list = vec![];
        let mut curl = |comment: [&str; 2], url: String, more: &str| {
            let line =
                format!("curl -s{more} -H {} --data-binary {body} {url}{}", quoted(&content_type), row.path);
            list.push((comment.map(str::to_owned), line));
        };
        if let Some(address) = self.address(SOAP) {
            curl(["ITI-18 by curl", "curl による ITI-18"], format!("http://{address}"), "");
        }
        if let (Some(address), Some(c)) = (self.address(TLS), self.certificates) {
            let path = |p: &Path| quoted(&p.display().to_string());
            let more = format!(
                " --cacert {} --cert {} --key {}",
                path(&c.authority),
                path(&c.client),
                path(&c.client_key)
            );
            let url = format!("https://localhost:{}", address.port());
            curl(
                [
                    "the same over TLS with the client certificate",
                    "同じ問い合わせを TLS とクライアント証明書で",
                ],
                url,
                &more,
            );
        }
        let file = self.folder.file("list.xml").display().to_string();
        let (list_of_documents, _) = seed::DOCUMENT_LISTS[0];
        let fetch = ["--repository", REPOSITORY_OID, "--document", list_of_documents, "--output", &file];
        let fetch: Vec<String> = fetch.iter().map(|w| (*w).to_owned()).collect();
        list.push((
            [
                "The first patient's document list, made when it is fetched".to_owned(),
                "最初の患者の文書一覧（取得時に作成されるオンデマンド文書）".to_owned(),
            ],
            self.send(Transaction::Iti43, &fetch),
        ));
        list.extend(self.index());
        list.extend(self.fhir());
        let config = quoted(&self.folder.file("chiren.toml").display().to_string());
        list.push((
            ["Who is known".to_owned(), "患者の一覧".to_owned()],
            in_this_shell(&format!("chiren patient list --config {config} --limit 10")),
        ));
        list
    }
}

impl Guide<'_> {
    /// HL7 v2: two hospitals tell the index of one patient, and it is asked which ids are one person's.
    fn index(&self) -> Vec<([String; 2], String)> {
        let (Some(address), Some(patient)) = (self.address(MLLP), self.told()) else { return vec![] };
        let mut list = vec![];
        let mut command = |comment: [&str; 2], transaction: &str, words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            let line = format!("chiren send {transaction} --url mllp://{address} {}", words.join(" "));
            list.push((comment.map(str::to_owned), in_this_shell(&line)));
        };
        let name = &patient.name;
        let kanji = format!("{} {}", name.family, name.given);
        let kana = format!("{} {}", name.family_kana, name.given_kana);
        let birth = patient.birth_dtm();
        for local in patient.local_ids.iter().take(2) {
            let namespace = NAMESPACES.get(local.hospital).copied().unwrap_or_default();
            let (sender, id) = (format!("HIS|{namespace}"), format!("{}^^^{namespace}", local.id));
            let sex = patient.sex.hl7();
            let words = [
                "--sender",
                &sender,
                "--event",
                "A04",
                "--id",
                &id,
                "--name",
                &kanji,
                "--kana",
                &kana,
                "--birth",
                &birth,
                "--sex",
                sex,
                "--postcode",
                &patient.postcode,
                "--address",
                &patient.address,
                "--phone",
                &patient.phone,
            ];
            command(
                ["A hospital tells the index of a patient (ITI-8)", "病院が患者情報を送る（ITI-8）"],
                "iti8",
                &words,
            );
        }
        if let Some(local) = patient.local_ids.first() {
            let namespace = NAMESPACES.get(local.hospital).copied().unwrap_or_default();
            let id = format!("{}^^^{namespace}", local.id);
            command(
                ["Which ids are this person's elsewhere (ITI-9)", "同じ人の他施設の患者ID（ITI-9）"],
                "iti9",
                &["--id", &id],
            );
        }
        let words = ["--family", name.family, "--birth", &birth];
        command(["Who is called so (ITI-21)", "氏名と生年月日で探す（ITI-21）"], "iti21", &words);
        list
    }
}

impl Guide<'_> {
    /// FHIR: the index is asked for the patient whom the hospitals told it of.
    fn fhir(&self) -> Vec<([String; 2], String)> {
        let (Some(address), Some(patient)) = (self.address(FHIR), self.told()) else { return vec![] };
        let base = format!("http://{address}/fhir/Patient");
        let birth = patient.birth_dtm();
        let parts = (birth.get(..4), birth.get(4..6), birth.get(6..8));
        let (Some(year), Some(month), Some(day)) = parts else { return vec![] };
        let family = fhir::encoded(patient.name.family);
        let mut list = vec![(
            ["Who is called so (ITI-78)", "氏名と生年月日で探す（ITI-78）"].map(str::to_owned),
            format!("curl -s {}", quoted(&format!("{base}?family={family}&birthdate={year}-{month}-{day}"))),
        )];
        let local = patient.local_ids.first();
        if let Some((local, hospital)) =
            local.and_then(|l| Some((l, self.network.hospitals.get(l.hospital)?)))
        {
            let oid = hospital.patient_authority();
            let url =
                format!("{base}/$ihe-pix?sourceIdentifier=urn:oid:{oid}%7C{}", fhir::encoded(&local.id));
            list.push((
                ["Which ids are this person's elsewhere (ITI-83)", "同じ人の他施設の患者ID（ITI-83）"]
                    .map(str::to_owned),
                format!("curl -s {}", quoted(&url)),
            ));
        }
        list
    }

    /// The patient known at most hospitals.
    fn told(&self) -> Option<&crate::synthetic::Patient> {
        self.network.patients.iter().max_by_key(|p| p.local_ids.len())
    }
}

/// The command as it was called, where it was called by a path.
fn in_this_shell(command: &str) -> String {
    let called = std::env::args().next().filter(|name| name.contains('/'));
    match (called.and_then(|c| std::path::absolute(c).ok()), command.strip_prefix("chiren ")) {
        (Some(path), Some(rest)) => format!("{} {rest}", quoted(&path.display().to_string())),
        _ => command.to_owned(),
    }
}

/// The last document is registered.
pub fn whole(documents: u64, after: Duration, languages: &[Language]) -> String {
    let seconds = after.as_secs_f64();
    languages
        .iter()
        .map(|language| match language {
            Language::En => format!("All {documents} documents are registered, after {seconds:.1} s.\n"),
            Language::Ja => format!("文書 {documents} 件すべての登録が完了しました（{seconds:.1} 秒）。\n"),
        })
        .collect()
}

/// A port was taken.
pub fn moved(wanted: u16, got: SocketAddr, languages: &[Language]) -> String {
    languages
        .iter()
        .map(|language| match language {
            Language::En => format!("port {wanted} is in use; {} is taken instead\n", got.port()),
            Language::Ja => format!("ポート {wanted} は使用中のため、{} を使用します\n", got.port()),
        })
        .collect()
}

/// The last words.
pub fn ended(folder: &Folder, languages: &[Language]) -> String {
    let path = folder.path().display();
    languages
        .iter()
        .map(|language| match (language, folder.temporary) {
            (Language::En, true) => format!("ended; {path} is removed\n"),
            (Language::En, false) => format!("ended; {path} keeps the network\n"),
            (Language::Ja, true) => format!("終了しました。{path} を削除します\n"),
            (Language::Ja, false) => format!("終了しました。{path} に保存されています\n"),
        })
        .collect()
}
