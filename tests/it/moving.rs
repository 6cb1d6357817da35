//! A database moved to another engine; a registry exported and imported, here and at an address.

use std::collections::BTreeMap;
use std::path::Path;

use chiren::config::{Config, UnknownPatients};
use chiren::model::metadata::{AssociationType, AvailabilityStatus, MetadataObject, SubmissionSetStatus};
use chiren::model::uuids::status;
use chiren::wire::ebxml::query::AdhocQueryRequest;

use crate::backup::{command, file_of};
use crate::support::process::write_config;
use crate::support::samples::*;
use crate::support::schema::validate;
use crate::support::soap::submit_objects;
use crate::support::updates::*;
use crate::support::{Gateway, Soap, gateway};

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// What a long life leaves in a registry: replacements, addenda, transformations, Folders and what was added
/// to them, new versions of both, statuses, a membership by reference, and something removed.
async fn live(gateway: &Gateway) {
    gateway.add_patient(OTHER_PATIENT).await;
    let soap = gateway.soap();
    let mut first = submission_with_folder();
    (first.document_entries[0].hash, first.document_entries[0].size) = (None, None);
    soap.provide(&first, &[("DE", b"hello")]).await.assert_success();
    gateway.tick();
    let document = gateway.entry(PATIENT).await;
    let folder = gateway.folder(PATIENT).await;

    let mut addendum = related(AssociationType::Append, &document.entry_uuid);
    (addendum.document_entries[0].hash, addendum.document_entries[0].size) = (None, None);
    soap.provide(&addendum, &[("DE", b"more")]).await.assert_success();
    gateway.tick();
    // The Folder takes the replacement in by itself, and the addendum falls.
    soap.register(&related(AssociationType::Replace, &document.entry_uuid)).await.assert_success();
    gateway.tick();
    let mut later = submission();
    later.associations.push(has_member("A-L", &folder.entry_uuid, "DE"));
    later.associations.push(has_member("A-SS-L", "SS", "A-L"));
    soap.register(&later).await.assert_success();
    gateway.tick();

    let id = |s: &chiren::model::metadata::Submission| s.document_entries[0].unique_id.clone();
    let of = async |unique_id: &str| {
        gateway.entries(PATIENT).await.into_iter().find(|e| e.unique_id == unique_id).expect("an entry")
    };
    let mut entry = of(&id(&later)).await;
    entry.title = text("訂正");
    soap.update(&next_entry(update(), "DE2", &entry)).await.assert_success();
    gateway.tick();
    let mut folder = gateway.folder(PATIENT).await;
    folder.title = text("改題");
    soap.update(&next_folder(update(), "FD2", &folder)).await.assert_success();
    gateway.tick();
    let entry = of(&id(&later)).await;
    let fall =
        status_of(update(), &entry.entry_uuid, AvailabilityStatus::Approved, AvailabilityStatus::Deprecated);
    soap.update(&fall).await.assert_success();
    gateway.tick();

    let transformed = submission();
    soap.register(&transformed).await.assert_success();
    let target = of(&id(&transformed)).await.entry_uuid;
    gateway.tick();
    soap.register(&related(AssociationType::Transform, &target)).await.assert_success();
    gateway.tick();
    let mut shared = of_patient(submission(), OTHER_PATIENT);
    let mut reference = has_member("A-REF", "SS", &target);
    reference.submission_set_status = Some(SubmissionSetStatus::Reference);
    shared.associations.push(reference);
    soap.register(&shared).await.assert_success();
    gateway.tick();

    let short = of_patient(submission(), OTHER_PATIENT);
    soap.register(&short).await.assert_success();
    let mut ids: Vec<String> = vec![];
    for object in gateway.all(OTHER_PATIENT).await {
        let brought = match &object {
            MetadataObject::SubmissionSet(s) => s.unique_id == short.submission_set.unique_id,
            MetadataObject::DocumentEntry(e) => e.unique_id == id(&short),
            _ => false,
        };
        if brought {
            ids.push(object.id().to_owned());
        }
    }
    let set = ids.clone();
    for object in set {
        ids.extend(gateway.associations(&object).await.into_iter().map(|a| a.entry_uuid));
    }
    ids.sort();
    ids.dedup();
    soap.remove(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await.assert_success();
}

/// Error codes and objects of each query.
type Answers = BTreeMap<String, (Vec<String>, Vec<MetadataObject>)>;

/// The answers to every stored query about everything there is, in an order of their own.
async fn answers(soap: &Soap) -> Answers {
    let mut found = BTreeMap::new();
    let mut ask = async |name: String, request: AdhocQueryRequest| {
        let answer = soap.query(&request).await;
        let codes: Vec<String> = answer.registry().1.into_iter().map(|(code, _)| code).collect();
        let mut objects = answer.objects();
        objects.sort_by(|a, b| a.id().cmp(b.id()));
        found.insert(name, (codes, objects.clone()));
        objects
    };
    let both = [status::APPROVED, status::DEPRECATED];
    for patient in [PATIENT, OTHER_PATIENT] {
        for (level, request) in [(1, get_all(patient)), (2, everything(get_all(patient)))] {
            let objects = ask(format!("GetAll {patient} {level}"), request).await;
            for object in objects {
                let id = object.id();
                for (name, urn, slot) in [
                    ("GetDocuments", GET_DOCUMENTS, "$XDSDocumentEntryEntryUUID"),
                    ("GetFolders", GET_FOLDERS, "$XDSFolderEntryUUID"),
                    ("GetAssociations", GET_ASSOCIATIONS, "$uuid"),
                    (
                        "GetDocumentsAndAssociations",
                        "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a",
                        "$XDSDocumentEntryEntryUUID",
                    ),
                    ("GetSubmissionSets", "urn:uuid:51224314-5390-4169-9b91-b1980040715a", "$uuid"),
                ] {
                    ask(format!("{name} {id} {level}"), query(urn, vec![list(slot, &[id])])).await;
                }
                for (name, urn, slot) in [
                    (
                        "GetSubmissionSetAndContents",
                        "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83",
                        "$XDSSubmissionSetEntryUUID",
                    ),
                    (
                        "GetFolderAndContents",
                        "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7",
                        "$XDSFolderEntryUUID",
                    ),
                    (
                        "GetFoldersForDocument",
                        "urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578",
                        "$XDSDocumentEntryEntryUUID",
                    ),
                ] {
                    let request = query(urn, vec![single(slot, id)]);
                    ask(
                        format!("{name} {id} {level}"),
                        if level == 2 { everything(request) } else { request },
                    )
                    .await;
                }
                let types: Vec<&str> = AssociationType::ALL.iter().map(|t| t.urn()).collect();
                let related = query(
                    "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6",
                    vec![single("$XDSDocumentEntryEntryUUID", id), list("$AssociationTypes", &types)],
                );
                ask(format!("GetRelatedDocuments {id} {level}"), related).await;
            }
        }
        for (name, urn, pid, slot) in [
            ("FindDocuments", FIND_DOCUMENTS, "$XDSDocumentEntryPatientId", "$XDSDocumentEntryStatus"),
            (
                "FindSubmissionSets",
                "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9",
                "$XDSSubmissionSetPatientId",
                "$XDSSubmissionSetStatus",
            ),
            (
                "FindFolders",
                "urn:uuid:958f3006-baad-4929-a4de-ff1114824431",
                "$XDSFolderPatientId",
                "$XDSFolderStatus",
            ),
        ] {
            for statuses in [&both[..1], &both[..]] {
                let request = query(urn, vec![single(pid, patient), list(slot, statuses)]);
                ask(format!("{name} {patient} {}", statuses.len()), request).await;
            }
        }
    }
    found
}

fn assert_same(found: &Answers, wanted: &Answers) {
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for (name, wanted) in wanted {
        assert_eq!(&found[name], wanted, "{name}");
    }
}

/// A gateway's place that nobody used yet, SQLite beside `dir` or whatever is under test.
async fn place(dir: &tempfile::TempDir, sqlite: bool) -> Config {
    let mut config = gateway::config(dir).await;
    if sqlite {
        config.database.url = format!("sqlite:{}", dir.path().join("moved.db").display());
    }
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_moves_to_the_other_engine_and_back() {
    let gateway = Gateway::start().await;
    live(&gateway).await;
    let wanted = answers(&gateway.soap()).await;
    let (from, mut config) = gateway.stop().await;
    let mut file = write_config(from.path(), &config);
    let mut dirs = vec![from];
    // Under test on PostgreSQL this goes to SQLite first and then comes back.
    for sqlite in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let target = place(&dir, sqlite).await;
        let to = write_config(dir.path(), &target);
        let scratch = dir.path().join("scratch");
        let (code, out, said) = command(&[
            "move",
            "--from",
            path(&file),
            "--to",
            path(&to),
            "--documents",
            "--even-if-open",
            "--scratch",
            path(&scratch),
        ]);
        assert_eq!(code, 0, "{out}{said}");
        assert!(out.contains("the same on both sides") && out.contains("2 documents"), "{out}");
        assert_eq!(gateway::count(&scratch), 0, "nothing of the rows is left lying about");
        let seal = out.lines().find_map(|l| l.strip_prefix("seal ")).unwrap().to_owned();
        let (code, out, _) = command(&["verify", "--config", path(&to), "--expect", &seal]);
        assert_eq!(code, 0, "{out}");
        let moved = Gateway::start_in(dir, target).await;
        assert_same(&answers(&moved.soap()).await, &wanted);
        let dir;
        (dir, config) = moved.stop().await;
        file = write_config(dir.path(), &config);
        dirs.push(dir);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_is_refused_while_the_source_is_open_or_the_target_holds_something() {
    let gateway = Gateway::start().await;
    gateway.soap().register(&submission()).await.assert_success();
    let from = file_of(&gateway);
    let dir = tempfile::tempdir().unwrap();
    let target = place(&dir, true).await;
    let to = write_config(dir.path(), &target);
    let (code, _, said) = command(&["move", "--from", path(&from), "--to", path(&to)]);
    assert!(code == 1 && said.contains("has the source open"), "{said}");
    let (code, _, said) = command(&["--lang", "ja", "move", "--from", path(&from), "--to", path(&to)]);
    assert!(code == 1 && said.contains("使用中のゲートウェイ"), "{said}");
    assert!(!dir.path().join("moved.db").exists());
    let (code, _, said) = command(&["move", "--from", path(&from), "--to", path(&from)]);
    assert!(code == 1 && said.contains("are the same"), "{said}");

    let other = Gateway::start_in(dir, target).await;
    other.soap().register(&submission()).await.assert_success();
    let wanted = answers(&other.soap()).await;
    let (code, _, said) = command(&["move", "--from", path(&from), "--to", path(&to), "--even-if-open"]);
    assert!(code == 1 && said.contains("is not empty"), "{said}");
    assert_same(&answers(&other.soap()).await, &wanted);
    let (code, _, said) = command(&[
        "move",
        "--from",
        "sqlite:/nonexistent/x.db",
        "--to",
        "sqlite:/nonexistent/y.db",
        "--documents",
    ]);
    assert!(code == 1 && said.contains("configuration files"), "{said}");
}

/// Exports a gateway; the folder of it.
fn export(gateway: &Gateway, to: &Path) -> serde_json::Value {
    let file = file_of(gateway);
    let (code, out, said) = command(&["export", "--config", path(&file), "--to", path(to), "--json"]);
    assert_eq!(code, 0, "{out}{said}");
    serde_json::from_str(&out).unwrap()
}

fn messages(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(messages(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_and_imported_answers_every_query_the_same() {
    let gateway = Gateway::start().await;
    live(&gateway).await;
    let wanted = answers(&gateway.soap()).await;
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("export");
    let report = export(&gateway, &to);
    assert_eq!((&report["patients"], &report["leftBehind"]), (&2.into(), &0.into()), "{report}");
    let written = messages(&to.join("submissions"));
    assert_eq!(written.len() as u64, report["submissions"].as_u64().unwrap());
    for file in &written {
        let xml = std::fs::read_to_string(file).unwrap();
        validate(&xml).unwrap_or_else(|e| panic!("{file:?}: {e:#?}"));
    }
    assert_eq!(gateway::count(&to.join("objects")), 2);
    let record = gateway.audit().await.pop().unwrap();
    assert_eq!(record.query.as_deref(), Some("export"));
    // Into a folder that holds something it is not written.
    let (code, _, said) = command(&["export", "--config", path(&file_of(&gateway)), "--to", path(&to)]);
    assert!(code == 1 && said.contains("not empty"), "{said}");

    let other = Gateway::start().await;
    let file = file_of(&other);
    let import = || {
        let (code, out, said) = command(&["import", "--config", path(&file), "--from", path(&to), "--json"]);
        assert_eq!(code, 0, "{out}{said}");
        serde_json::from_str::<serde_json::Value>(&out).unwrap()
    };
    let first = import();
    assert_eq!((&first["registered"], &first["documents"]), (&report["submissions"], &2.into()), "{first}");
    assert_same(&answers(&other.soap()).await, &wanted);
    other.assert_verified().await;
    for e in other.entries(PATIENT).await.iter().filter(|e| {
        e.size.as_deref() != Some("4")
            || e.hash.as_deref() != Some("a94a8fe5ccb19ba61c4c0873d391e987982fbbd3")
    }) {
        other.soap().retrieve(REPOSITORY, &[&e.unique_id]).await.assert_success();
    }
    let again = import();
    assert_eq!((&again["registered"], &again["before"]), (&0.into(), &report["submissions"]), "{again}");
    assert_same(&answers(&other.soap()).await, &wanted);
    // It is a registry like any other: the next version of what came is taken.
    let mut entry = other.entries(PATIENT).await.into_iter().find(|e| e.version == 2).unwrap();
    entry.title = text("三版");
    other.soap().update(&next_entry(update(), "DE3", &entry)).await.assert_success();
    other.assert_verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spoiled_message_is_named_and_an_export_cut_short_is_refused() {
    let gateway = Gateway::start().await;
    gateway.soap().register(&submission()).await.assert_success();
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("export");
    export(&gateway, &to);
    let message = messages(&to.join("submissions")).remove(0);
    let xml = std::fs::read_to_string(&message).unwrap();
    std::fs::write(&message, xml.replace("紹介状", "紹介仗")).unwrap();
    let other = Gateway::start().await;
    let file = file_of(&other);
    let import = || command(&["import", "--config", path(&file), "--from", path(&to)]);
    let (code, _, said) = import();
    assert!(code == 1 && said.contains("000000001.xml") && said.contains("SHA-256"), "{said}");
    std::fs::write(&message, xml).unwrap();
    let book = std::fs::read(to.join("export.json")).unwrap();
    std::fs::remove_file(to.join("export.json")).unwrap();
    let (code, _, said) = import();
    assert!(code == 1 && said.contains("cut short"), "{said}");
    std::fs::write(to.join("export.json"), book).unwrap();
    assert_eq!(import().0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_patient_is_exported_alone_and_a_repository_may_change_its_name() {
    let gateway = Gateway::start().await;
    gateway.add_patient(OTHER_PATIENT).await;
    gateway.soap().register(&of_patient(submission(), OTHER_PATIENT)).await.assert_success();
    let mut s = submission();
    (s.document_entries[0].hash, s.document_entries[0].size) = (None, None);
    gateway.soap().provide(&s, &[("DE", b"hello")]).await.assert_success();
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("export");
    let file = file_of(&gateway);
    let (code, out, said) =
        command(&["export", "--config", path(&file), "--to", path(&to), "--patient", PATIENT]);
    assert_eq!(code, 0, "{out}{said}");
    let xml: String =
        messages(&to).iter().filter_map(|f| std::fs::read_to_string(f).ok()).collect::<Vec<_>>().join("\n");
    assert!(xml.contains("1001^^^") && !xml.contains("1002^^^"), "{xml}");

    const NEW: &str = "2.999.392.1.33";
    let other = Gateway::start_with(|c| c.repository.unique_id = NEW.into()).await;
    let file = file_of(&other);
    let (code, _, said) = command(&["import", "--config", path(&file), "--from", path(&to)]);
    assert!(code == 1 && said.contains("--rehome"), "{said}");
    let (code, out, said) = command(&["import", "--config", path(&file), "--from", path(&to), "--rehome"]);
    assert_eq!(code, 0, "{out}{said}");
    let entry = other.entry(PATIENT).await;
    assert_eq!(entry.repository_unique_id.as_deref(), Some(NEW));
    other.soap().retrieve(NEW, &[&entry.unique_id]).await.assert_success();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_sent_to_any_registry_by_its_address() {
    let gateway = Gateway::start().await;
    live(&gateway).await;
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("export");
    export(&gateway, &to);
    // A registry with rules and patients of its own, which judges every message.
    let other = Gateway::start_with(|c| c.registry.unknown_patients = UnknownPatients::Accept).await;
    let url = format!("http://{}", other.address);
    let import = |more: &[&str]| {
        let words = [&["import", "--url", &url, "--from", path(&to), "--json"][..], more].concat();
        let (code, out, said) = command(&words);
        (code, serde_json::from_str::<serde_json::Value>(&out).unwrap_or_else(|_| panic!("{out}{said}")))
    };
    let (code, report) = import(&[]);
    assert_eq!((code, report["refused"].as_array().unwrap().len()), (0, 0), "{report:#}");
    // Ids, versions and statuses are those of the source.
    let state = async |g: &Gateway, patient: &str| {
        let mut all: Vec<_> = g
            .all(patient)
            .await
            .iter()
            .filter_map(|o| match o {
                MetadataObject::DocumentEntry(e) => {
                    Some((e.entry_uuid.clone(), e.version, e.availability_status))
                }
                MetadataObject::Folder(f) => Some((f.entry_uuid.clone(), f.version, f.availability_status)),
                _ => None,
            })
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    };
    for patient in [PATIENT, OTHER_PATIENT] {
        assert_eq!(state(&other, patient).await, state(&gateway, patient).await);
    }
    other.assert_verified().await;
    // What was taken is not sent again; another target wants a journal of its own.
    let (code, again) = import(&[]);
    assert_eq!((code, &again["registered"]), (0, &0.into()), "{again:#}");
    let (code, _, said) = command(&["import", "--url", "http://127.0.0.1:9", "--from", path(&to)]);
    assert!(code == 1 && said.contains("journal"), "{said}");
    // A registry that knows nobody refuses each, with its code.
    let strict = Gateway::start().await;
    let url = format!("http://{}", strict.address);
    let journal = dir.path().join("strict.jsonl");
    let (code, out, _) =
        command(&["import", "--url", &url, "--from", path(&to), "--journal", path(&journal), "--no-updates"]);
    assert!(code == 4 && out.contains("XDSUnknownPatientId"), "{out}");
    assert!(out.contains("later versions"), "{out}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_go_along_by_iti_41() {
    let gateway = Gateway::start().await;
    live(&gateway).await;
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("export");
    let file = file_of(&gateway);
    let (code, out, said) = command(&["export", "--config", path(&file), "--to", path(&to), "--mtom"]);
    assert_eq!(code, 0, "{out}{said}");
    const NEW: &str = "2.999.392.1.33";
    let other = Gateway::start_with(|c| {
        c.registry.unknown_patients = UnknownPatients::Accept;
        c.repository.unique_id = NEW.into();
    })
    .await;
    let url = format!("http://{}", other.address);
    let (code, out, said) = command(&["import", "--url", &url, "--from", path(&to), "--provide"]);
    assert!(code == 0 && out.contains("with 2 documents"), "{out}{said}");
    let provided: Vec<_> =
        other.all(PATIENT).await.into_iter().filter(|o| matches!(o, MetadataObject::DocumentEntry(e) if e.repository_unique_id.as_deref() == Some(NEW))).collect();
    assert_eq!(provided.len(), 2);
    for object in provided {
        let MetadataObject::DocumentEntry(e) = object else { continue };
        let there = other.soap().retrieve(NEW, &[&e.unique_id]).await;
        let here = gateway.soap().retrieve(REPOSITORY, &[&e.unique_id]).await;
        assert_eq!(there.documents(), here.documents());
    }
    // The same message from a file, to a repository that has not seen it.
    let third = Gateway::start().await;
    let url = format!("http://{}", third.address);
    let first = messages(&to.join("provide")).remove(0);
    let (code, out, said) = command(&["send", "iti41", "--url", &url, "--raw", path(&first)]);
    assert_eq!(code, 0, "{out}{said}");
    let entry = third.entry(PATIENT).await;
    assert_eq!(third.soap().retrieve(REPOSITORY, &[&entry.unique_id]).await.documents()[0].1, "hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_another_program_are_registered_by_all_rules() {
    let gateway = Gateway::start().await;
    let dir = tempfile::tempdir().unwrap();
    let good = submission();
    std::fs::write(dir.path().join("1.xml"), submit_objects(&good)).unwrap();
    std::fs::write(dir.path().join("2.xml"), submit_objects(&of_patient(submission(), OTHER_PATIENT)))
        .unwrap();
    std::fs::write(dir.path().join("3.xml"), "<nothing/>").unwrap();
    let file = file_of(&gateway);
    let import = || command(&["import", "--config", path(&file), "--from", path(dir.path())]);
    let (code, out, said) = import();
    assert_eq!(code, 4, "{out}{said}");
    assert!(out.contains("XDSUnknownPatientId") && out.contains("no lcm:SubmitObjectsRequest"), "{out}");
    assert_eq!(gateway.entry(PATIENT).await.unique_id, good.document_entries[0].unique_id);
    gateway.add_patient(OTHER_PATIENT).await;
    std::fs::remove_file(dir.path().join("3.xml")).unwrap();
    let (code, out, said) = import();
    assert_eq!(code, 0, "{out}{said}");
    assert!(out.contains("1 registered now") && out.contains("1 before"), "{out}");
}
