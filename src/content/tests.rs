use super::*;
use crate::model::codes::{CodeCheck, CodedAttribute, Membership, Vocabulary};
use crate::model::ebrim::LocalizedString;
use crate::model::metadata::{Author, Code};

fn text(value: &str) -> Vec<LocalizedString> {
    vec![LocalizedString { value: value.into(), lang: Some("ja-JP".into()), charset: None }]
}

fn coded(code: &str, scheme: &str) -> Option<Code> {
    Some(Code {
        code: code.into(),
        scheme: scheme.into(),
        display: text("診療情報提供書"),
        extra_slots: vec![],
    })
}

fn entry(format: &Format) -> DocumentEntry {
    DocumentEntry {
        entry_uuid: "urn:uuid:0c5d1d3a-5c3d-4b0e-8b7e-2f6d2f0a9f10".into(),
        unique_id: "2.999.1".into(),
        mime_type: format.mime_type.into(),
        title: text("一覧"),
        type_code: coded("51852-2", crate::model::codes::LOINC),
        format_code: coded(format.code, format.scheme),
        ..DocumentEntry::default()
    }
}

fn document(n: u8) -> DocumentEntry {
    DocumentEntry {
        entry_uuid: format!("urn:uuid:0c5d1d3a-5c3d-4b0e-8b7e-2f6d2f0a9f2{n}"),
        unique_id: format!("2.999.2.{n}"),
        mime_type: "application/pdf".into(),
        title: text(&format!("紹介状 <{n}> & 返書")),
        type_code: coded("57133-1", crate::model::codes::LOINC),
        creation_time: Some(format!("2026040{n}150000")),
        author: vec![Author {
            author_institution: vec!["登呂病院^^^^^&1.2.392.200119.6.102&ISO^^^^1312345670".into()],
            ..Author::default()
        }],
        ..DocumentEntry::default()
    }
}

fn patient() -> Patient {
    Patient {
        patient_id: "1001^^^&2.999.3&ISO".into(),
        name_kanji: Some("試験 太郎".into()),
        name_kana: None,
        name_romaji: None,
        birth_date: Some("19600101".into()),
        sex: Some("M".into()),
    }
}

/// What a document is made of.
struct Given {
    patient: Patient,
    documents: Vec<DocumentEntry>,
    at: Timestamp,
    network: &'static str,
}

/// Makes a document, one thing changed.
fn made(generator: &dyn Generator, change: impl FnOnce(&mut Given)) -> Made {
    let mut given = Given {
        patient: patient(),
        documents: vec![document(1), document(2)],
        at: "2026-04-02T03:04:05Z".parse().unwrap(),
        network: "試験ネット",
    };
    change(&mut given);
    let entry = entry(&generator.format());
    let custodian = Custodian { name: given.network, oid: "2.999.4" };
    let Given { patient, documents, at, .. } = &given;
    make(generator, &About { id: "", entry: &entry, patient, documents, at: *at, custodian })
}

fn shown(made: &Made) -> String {
    String::from_utf8(made.bytes.clone()).unwrap()
}

#[test]
fn each_generator_has_a_format_of_its_own_that_the_vocabulary_knows() {
    let vocabulary = Vocabulary::japan(CodeCheck::Strict).unwrap();
    for (n, generator) in GENERATORS.iter().enumerate() {
        let format = generator.format();
        let attribute = CodedAttribute::FormatCode;
        assert_ne!(vocabulary.membership(attribute, format.code, format.scheme), Membership::Unknown);
        assert_eq!(vocabulary.display(attribute, format.code, format.scheme), Some(format.display));
        assert!(GENERATORS.iter().skip(n + 1).all(|other| other.format().code != format.code));
    }
}

#[test]
fn an_entry_asks_by_format_and_media_type() {
    for generator in GENERATORS {
        let format = generator.format();
        let found = |change: fn(&mut DocumentEntry)| {
            let mut entry = entry(&format);
            change(&mut entry);
            generator_for(&entry).map(|g| g.format())
        };
        assert_eq!(found(|_| {}), Some(format));
        assert_eq!(found(|e| e.mime_type.push_str("; charset=UTF-8")), Some(format));
        let sufficient = |e: &mut DocumentEntry| {
            e.format_code = coded("urn:ihe:iti:xds:2017:mimeTypeSufficient", "1.3.6.1.4.1.19376.1.2.3");
        };
        assert_eq!(found(sufficient), Some(format));
        assert_eq!(found(|e| e.mime_type = "application/pdf".into()), None);
        assert_eq!(found(|e| e.format_code = coded("jp:cda:hs008", JP_FORMAT_CODES)), None);
        assert_eq!(found(|e| e.format_code = None), None);
    }
}

#[test]
fn one_content_has_one_id_and_another_has_another() {
    for generator in GENERATORS {
        let first = made(*generator, |_| {});
        assert_eq!(first, made(*generator, |_| {}));
        assert!(shown(&first).contains(&first.unique_id));
        assert!(crate::model::ids::is_oid(&first.unique_id));
        let others = [
            made(*generator, |g| drop(g.documents.pop())),
            made(*generator, |g| g.patient.name_kanji = Some("試験 次郎".into())),
            made(*generator, |g| g.at = "2026-04-02T03:04:06Z".parse().unwrap()),
            made(*generator, |g| g.network = "別のネット"),
        ];
        for other in others {
            assert_ne!(other.unique_id, first.unique_id);
        }
    }
}

/// The order in which a database gives documents is no content.
#[test]
fn the_latest_comes_first_however_they_are_given() {
    for generator in GENERATORS {
        let first = made(*generator, |_| {});
        assert_eq!(first, made(*generator, |g| g.documents.reverse()));
        let text = shown(&first);
        assert!(text.find("2.999.2.2").unwrap() < text.find("2.999.2.1").unwrap());
    }
}

#[test]
fn a_list_tells_what_people_look_for() {
    for generator in GENERATORS {
        let text = shown(&made(*generator, |_| {}));
        // 15:00 UTC is midnight in Japan.
        for word in ["診療情報提供書", "2026年04月02日 00:00", "登呂病院", "2.999.2.1", "試験", "試験ネット"]
        {
            assert!(text.contains(word), "{word} in {text}");
        }
        let none = shown(&made(*generator, |g| g.documents.clear()));
        assert!(none.contains("登録されている文書はありません"), "{none}");
    }
}
