use super::*;
use crate::model::identity::{Address, Insurance, NameScript, NameUse, PersonName, Phone, PhoneUse};

fn name(family: &str, given: &str, script: Option<NameScript>) -> PersonName {
    PersonName { family: family.into(), given: given.into(), script, ..PersonName::default() }
}

fn of(names: Vec<PersonName>) -> Features {
    Features::of(&Demographics { names: Some(names), ..Demographics::default() })
}

fn sample() -> Demographics {
    Demographics {
        names: Some(vec![
            name("髙橋", "花子", Some(NameScript::Ideographic)),
            name("ﾀｶﾊｼ", "ﾊﾅｺ", Some(NameScript::Phonetic)),
        ]),
        birth_date: Some("昭和55年3月2日".into()),
        sex: Some("F".into()),
        addresses: Some(vec![Address {
            text: "静岡県静岡市葵区追手町一丁目2番3号".into(),
            postal_code: "422-8033".into(),
            ..Address::default()
        }]),
        phones: Some(vec![Phone { number: "+81 54-000-1234".into(), usage: PhoneUse::Home }]),
        insurances: Some(vec![Insurance {
            insurer: "00012345".into(),
            symbol: "あいう".into(),
            number: "１８７".into(),
            branch: Some("05".into()),
        }]),
        birth_order: Some(2),
        ..Demographics::default()
    }
}

#[test]
fn the_line_holds_what_is_compared_and_is_read_back() {
    let features = Features::of(&sample());
    assert_eq!(
        features.store(),
        "1\t|タカハシ|ハナコ|||髙橋|花子|高橋||;\t19800302\tF\t静岡市葵区追手町|1-2-3|4228033|;\t0540001234|;\t00012345:アイウ:187|05|;\t2||||;"
    );
    let read = Features::read(features.store()).unwrap();
    assert_eq!((read.birth, read.sex, read.order), (features.birth, features.sex, 2));
    let entry = read.names[0];
    assert_eq!(read.get(entry.family[PLAIN]), "高橋");
    assert_eq!(read.get(entry.given[PLAIN]), "花子");
    assert_eq!(read.get(entry.family[SOUND]), "タカハシ");
    let json = serde_json::to_string(&features).unwrap();
    assert_eq!(serde_json::from_str::<Features>(&json).unwrap(), features);
    assert_eq!(format!("{features:?}"), "Features(…)");
}

#[test]
fn a_line_of_another_form_is_refused() {
    let line = Features::of(&sample()).store().to_owned();
    for bad in [
        "",
        "2\t",
        "1",
        "1\t\t\t",
        &line.replace("|;", ";"),
        &line.replacen("|タ", "|タ|", 1),
        "{\"names\":[]}",
    ] {
        assert_eq!(Features::read(bad), Err(BadFeatures), "{bad}");
    }
    assert!(Features::read(&line).is_ok());
    // Separators in a value do not divide it.
    let odd = of(vec![name("山;田|", "太\t郎", None)]);
    assert_eq!(odd.get(odd.names[0].family[WRITTEN]), "山田");
}

#[test]
fn scripts_are_told_by_their_characters() {
    // The label is wrong, or there is none.
    for label in
        [None, Some(NameScript::Phonetic), Some(NameScript::Ideographic), Some(NameScript::Alphabetic)]
    {
        let features = of(vec![name("山田", "太郎", label)]);
        assert_eq!(features.get(features.names[0].given[WRITTEN]), "太郎");
    }
    let features = of(vec![name("ﾔﾏﾀﾞ", "ﾀﾛｳ", Some(NameScript::Ideographic))]);
    assert_eq!(features.get(features.names[0].given[KANA]), "タロウ", "kana alone is its own reading");
    let features = of(vec![name("山田", "さくら", None), name("ヤマダ", "サクラ", None)]);
    assert_eq!(features.names.len(), 1);
    assert_eq!(features.get(features.names[0].given[WRITTEN]), "サクラ");
}

#[test]
fn latin_letters_stand_for_kana_where_there_is_none() {
    let features = of(vec![name("山田", "祐子", None), name("YAMADA", "YUKO", None)]);
    assert_eq!(features.names.len(), 1);
    assert_eq!(features.get(features.names[0].given[SOUND]), "ユコ");
    assert_eq!(features.get(features.names[0].given[KANA]), "");
    let foreign = of(vec![name("SMITH", "JOHN", None)]);
    assert_eq!(foreign.get(foreign.names[0].family[WRITTEN]), "SMITH");
    assert_eq!(foreign.get(foreign.names[0].family[SOUND]), "");
}

#[test]
fn whole_names_are_divided_at_their_blank() {
    for whole in ["山田　太郎", "山田 太郎"] {
        let features = of(vec![name(whole, "", None)]);
        assert_eq!(features.get(features.names[0].family[WRITTEN]), "山田");
        assert_eq!(features.get(features.names[0].given[WRITTEN]), "太郎");
    }
    let features = of(vec![name("山田太郎", "", None)]);
    assert_eq!(features.get(features.names[0].family[WRITTEN]), "山田太郎");
}

#[test]
fn placeholders_of_newborns_are_no_given_names() {
    for given in ["ベビー", "花子ベビー", "第1子", "女児"] {
        let features = of(vec![name("山田", given, None), name("ヤマダ", "", None)]);
        assert!(features.names[0].newborn, "{given}");
        assert_eq!(features.get(features.names[0].given[WRITTEN]), "");
    }
}

#[test]
fn former_names_aliases_and_older_versions_are_alternatives() {
    let maiden = PersonName { usage: NameUse::Maiden, ..name("鈴木", "", None) };
    let alias = PersonName { usage: NameUse::Alias, ..name("新井", "花子", None) };
    let pseudonym = PersonName { usage: NameUse::Pseudonym, ..name("匿名", "希望", None) };
    let features = of(vec![maiden, name("高橋", "花子", None), alias, pseudonym]);
    let families: Vec<&str> = features.names.iter().map(|n| features.get(n.family[WRITTEN])).collect();
    assert_eq!(families, ["高橋", "新井", "鈴木"]);
    assert_eq!(features.get(features.names[2].given[WRITTEN]), "花子", "the given name stayed");

    let older = Demographics { names: Some(vec![name("佐藤", "花子", None)]), ..sample() };
    let features = Features::of_versions(&sample(), &[older]);
    assert_eq!(features.names.len(), 2);
    assert_eq!(features.addresses.len(), 1, "the same address once");
}
