use super::*;
use crate::matching::Thresholds;
use crate::model::identity::{Address, Demographics, Insurance, NameUse, PersonName, Phone, PhoneUse};

/// Enough identities for the prior of a network.
const POPULATION: u64 = 100_000;

fn name(family: &str, given: &str) -> PersonName {
    PersonName { family: family.into(), given: given.into(), ..PersonName::default() }
}

fn sample() -> Demographics {
    Demographics {
        names: Some(vec![name("高橋", "健一"), name("タカハシ", "ケンイチ")]),
        birth_date: Some("19800302".into()),
        sex: Some("M".into()),
        addresses: Some(vec![Address {
            text: "東川市本町1-2-3".into(),
            postal_code: "9001234".into(),
            ..Address::default()
        }]),
        phones: Some(vec![Phone { number: "054-000-1234".into(), usage: PhoneUse::Home }]),
        ..Demographics::default()
    }
}

/// The sample with one thing other.
fn but(change: impl FnOnce(&mut Demographics)) -> Demographics {
    let mut demographics = sample();
    change(&mut demographics);
    demographics
}

fn elsewhere(d: &mut Demographics) {
    d.addresses = Some(vec![Address {
        text: "西浜市栄町9-9-9".into(),
        postal_code: "9119876".into(),
        ..Address::default()
    }]);
    d.phones = Some(vec![Phone { number: "090-0123-4567".into(), usage: PhoneUse::Mobile }]);
}

fn insured(number: &str, branch: Option<&str>) -> Option<Vec<Insurance>> {
    let card = Insurance {
        insurer: "06990011".into(),
        symbol: "12".into(),
        number: number.into(),
        branch: branch.map(str::to_owned),
    };
    Some(vec![card])
}

/// What becomes of `subject`, at a facility of its own, where one person has `known`.
fn judge(known: &Demographics, subject: &Demographics) -> Judgement {
    judge_among(&[&[known]], subject)
}

/// The same where persons have identities, each at another facility.
fn judge_among(persons: &[&[&Demographics]], subject: &Demographics) -> Judgement {
    let features: Vec<Vec<Features>> =
        persons.iter().map(|p| p.iter().map(|d| Features::of(d)).collect()).collect();
    let domains = ["1.2.1", "1.2.2", "1.2.3", "1.2.4"];
    let candidates: Vec<Candidate<'_>> = features
        .iter()
        .enumerate()
        .map(|(person, identities)| Candidate {
            person: person as i64,
            identities: identities
                .iter()
                .zip(domains)
                .enumerate()
                .map(|(n, (features, domain))| Known {
                    key: (person * 10 + n) as i64,
                    domain,
                    features,
                    do_not_link: false,
                })
                .collect(),
        })
        .collect();
    let subject = Features::of(subject);
    Model::shipped().decide(POPULATION, &Subject { domain: "9.9.9", features: &subject }, &candidates)
}

fn outcome(known: &Demographics, subject: &Demographics) -> (Outcome, Reason) {
    let judgement = judge(known, subject);
    (judgement.outcome, judgement.reason)
}

#[test]
fn the_same_is_linked_with_reasons() {
    let judgement = judge(&sample(), &sample());
    assert_eq!((judgement.outcome, judgement.reason), (Outcome::Link(0), Reason::Certain));
    let score = &judgement.ranked[0].score;
    assert!(score.corroborated && score.vetoes.is_empty());
    let sum: f64 = score.prior + score.fields.iter().map(|f| f.weight).sum::<f64>();
    assert!((sum - score.total).abs() < 1e-3, "what is shown adds up");
    let fields: Vec<Field> = score.fields.iter().map(|f| f.field).collect();
    assert_eq!(fields, Field::ALL);
    assert_eq!((score.fields[0].left.as_str(), score.fields[4].left.as_str()), ("タカハシ", "1980-03-02"));
    assert!(!format!("{judgement:?}").contains("タカハシ"), "no name reaches a log");
}

#[test]
fn nobody_and_strangers_make_a_new_person() {
    assert_eq!(judge_among(&[], &sample()).reason, Reason::NoCandidate);
    let stranger = but(|d| {
        d.names = Some(vec![name("鈴木", "花子"), name("スズキ", "ハナコ")]);
        elsewhere(d);
    });
    assert_eq!(outcome(&stranger, &sample()), (Outcome::New, Reason::Below));
}

#[test]
fn errors_and_changes_of_one_person_are_linked() {
    for (what, other) in [
        ("old characters", but(|d| d.names = Some(vec![name("髙橋", "健一"), name("ﾀｶﾊｼ", "ｹﾝｲﾁ")]))),
        ("no kana", but(|d| d.names = Some(vec![name("高橋", "健一")]))),
        ("no kanji", but(|d| d.names = Some(vec![name("タカハシ", "ケンイチ")]))),
        ("Latin letters", but(|d| d.names = Some(vec![name("TAKAHASHI", "KENICHI")]))),
        ("one piece", but(|d| d.names = Some(vec![name("高橋健一", ""), name("タカハシケンイチ", "")]))),
        ("a digit", but(|d| d.birth_date = Some("19800303".into()))),
        ("two digits exchanged", but(|d| d.birth_date = Some("19800320".into()))),
        ("the era", but(|d| d.birth_date = Some("昭和55年3月2日".into()))),
        (
            "moved, telephone kept",
            but(|d| {
                d.addresses =
                    Some(vec![Address { text: "西浜市栄町9-9-9".into(), ..Address::default() }])
            }),
        ),
        (
            "no telephone, address in words",
            but(|d| {
                d.phones = None;
                d.addresses = Some(vec![Address {
                    text: "架空県東川市大字本町一丁目2番地3".into(),
                    ..Address::default()
                }]);
            }),
        ),
        (
            "another family name",
            but(|d| d.names = Some(vec![name("佐藤", "健一"), name("サトウ", "ケンイチ")])),
        ),
        (
            "a former name",
            but(|d| {
                let maiden = PersonName { usage: NameUse::Maiden, ..name("高橋", "") };
                d.names = Some(vec![name("佐藤", "健一"), name("サトウ", "ケンイチ"), maiden]);
            }),
        ),
        ("sex not known", but(|d| d.sex = Some("U".into()))),
    ] {
        assert_eq!(outcome(&sample(), &other).0, Outcome::Link(0), "{what}: {:?}", judge(&sample(), &other));
    }
}

#[test]
fn namesakes_born_on_one_day_stay_apart() {
    // Name, sex and birth date agree, and all else differs: somebody looks.
    assert_eq!(outcome(&sample(), &but(elsewhere)), (Outcome::Review, Reason::Uncorroborated));
    // All else is not known: the same.
    let bare = but(|d| (d.addresses, d.phones) = (None, None));
    assert_eq!(outcome(&sample(), &bare), (Outcome::Review, Reason::Uncorroborated));
}

#[test]
fn a_network_may_let_rare_names_corroborate() {
    let model = Model::shipped();
    let relaxed = model.with_thresholds(Thresholds {
        namesakes: 3e-5,
        namesakes_elsewhere: 3e-5,
        ..model.thresholds()
    });
    let decide = |model: &Model, names: Vec<PersonName>, change: fn(&mut Demographics)| {
        let known = Features::of(&but(|d| d.names = Some(names.clone())));
        let mut other = but(|d| d.names = Some(names));
        change(&mut other);
        let other = Features::of(&other);
        let identity = Known { key: 1, domain: "1.2.1", features: &known, do_not_link: false };
        let candidates = [Candidate { person: 1, identities: vec![identity] }];
        model.decide(POPULATION, &Subject { domain: "9.9.9", features: &other }, &candidates).outcome
    };
    let rare = || vec![name("小鳥遊", "颯希"), name("タカナシ", "サツキ")];
    let common = || vec![name("佐藤", "誠"), name("サトウ", "マコト")];
    let moved: fn(&mut Demographics) = |d| {
        elsewhere(d);
        d.phones = None;
    };
    assert_eq!(decide(&model, rare(), moved), Outcome::Review);
    assert_eq!(decide(&relaxed, rare(), moved), Outcome::Link(1));
    assert_eq!(decide(&relaxed, common(), moved), Outcome::Review);
    // Two of the three differ: address and telephone.
    let changed: fn(&mut Demographics) = |d| {
        elsewhere(d);
        d.phones = Some(vec![Phone { number: "054-000-9999".into(), usage: PhoneUse::Home }]);
    };
    assert_eq!(decide(&relaxed, rare(), changed), Outcome::Review);
}

#[test]
fn twins_stay_apart() {
    let twin = but(|d| d.names = Some(vec![name("高橋", "浩二"), name("タカハシ", "コウジ")]));
    assert_eq!(outcome(&sample(), &twin).0, Outcome::New, "the names are known: there is no doubt");
    // The names are alike, or one is not known: somebody looks.
    let alike = but(|d| d.names = Some(vec![name("高橋", "健二"), name("タカハシ", "ケンジ")]));
    assert_ne!(outcome(&sample(), &alike).0, Outcome::Link(0));
    let kana = but(|d| d.names = Some(vec![name("タカハシ", "ケンイツ")]));
    assert_eq!(outcome(&sample(), &kana), (Outcome::Review, Reason::Vetoed(Veto::GivenName)));
    let order = |n: i64| but(|d| d.birth_order = Some(n));
    assert_eq!(outcome(&order(1), &order(2)), (Outcome::Review, Reason::Vetoed(Veto::BirthOrder)));
}

#[test]
fn parent_and_child_with_one_name_stay_apart() {
    let child = but(|d| d.birth_date = Some("20090817".into()));
    assert_eq!(outcome(&sample(), &child), (Outcome::Review, Reason::Vetoed(Veto::BirthDate)));
    let birthday = but(|d| d.birth_date = Some("20100302".into()));
    assert_eq!(outcome(&sample(), &birthday), (Outcome::Review, Reason::Vetoed(Veto::BirthDate)));
    let unknown = but(|d| d.birth_date = None);
    assert_eq!(outcome(&sample(), &unknown), (Outcome::Review, Reason::Vetoed(Veto::NoBirthDate)));
}

#[test]
fn spouses_and_siblings_are_new_persons() {
    let spouse = but(|d| {
        d.names = Some(vec![name("高橋", "美咲"), name("タカハシ", "ミサキ")]);
        d.birth_date = Some("19811124".into());
        d.sex = Some("F".into());
        d.insurances = insured("187", None);
    });
    let known = but(|d| d.insurances = insured("187", None));
    assert_eq!(outcome(&known, &spouse).0, Outcome::New);
}

#[test]
fn newborns_wait_for_their_names() {
    let newborn = but(|d| d.names = Some(vec![name("高橋", "ベビー"), name("タカハシ", "ベビー")]));
    assert_eq!(outcome(&sample(), &newborn), (Outcome::Review, Reason::Vetoed(Veto::NoGivenName)));
    assert_eq!(outcome(&newborn, &newborn), (Outcome::Review, Reason::Vetoed(Veto::NoGivenName)));
}

#[test]
fn each_further_veto_sends_to_review() {
    let other = but(|d| d.sex = Some("F".into()));
    assert_eq!(outcome(&sample(), &other), (Outcome::Review, Reason::Vetoed(Veto::Sex)));
    let branch = |b: &str| but(|d| d.insurances = insured("187", Some(b)));
    assert_eq!(outcome(&branch("01"), &branch("02")), (Outcome::Review, Reason::Vetoed(Veto::Branch)));
    let unknown = but(|d| d.unknown = Some(true));
    assert_eq!(outcome(&sample(), &unknown), (Outcome::Review, Reason::Vetoed(Veto::Unknown)));
    let died = but(|d| d.deceased = Some("20240105".into()));
    let seen = |day: &str| but(|d| d.updated = Some(day.into()));
    assert_eq!(outcome(&died, &seen("20250401")), (Outcome::Review, Reason::Vetoed(Veto::Deceased)));
    assert_eq!(outcome(&died, &seen("20231224")).0, Outcome::Link(0));
}

#[test]
fn ids_of_one_facility_are_the_facilitys_to_merge() {
    let features = Features::of(&sample());
    let known =
        |domain: &'static str, do_not_link: bool| Known { key: 1, domain, features: &features, do_not_link };
    let decide = |identities: Vec<Known<'_>>| {
        let subject = Subject { domain: "1.2.1", features: &features };
        let judgement = Model::shipped().decide(POPULATION, &subject, &[Candidate { person: 7, identities }]);
        (judgement.outcome, judgement.reason)
    };
    assert_eq!(decide(vec![known("1.2.2", false)]), (Outcome::Link(7), Reason::Certain));
    let same = (Outcome::Review, Reason::Vetoed(Veto::SameDomain));
    assert_eq!(decide(vec![known("1.2.1", false)]), same);
    assert_eq!(decide(vec![known("1.2.2", false), known("1.2.1", false)]), same, "any identity counts");
    // Somebody has looked already.
    assert_eq!(decide(vec![known("1.2.2", true)]), (Outcome::New, Reason::Vetoed(Veto::DoNotLink)));
}

#[test]
fn the_number_of_the_insured_person_decides() {
    let insured_elsewhere = but(|d| {
        elsewhere(d);
        d.insurances = insured("187", Some("00"));
    });
    let known = but(|d| d.insurances = insured("187", Some("00")));
    assert_eq!(outcome(&known, &insured_elsewhere), (Outcome::Link(0), Reason::StrongIdentifier));
    // Not against what is known.
    let twin = but(|d| {
        d.insurances = insured("187", Some("00"));
        d.names = Some(vec![name("高橋", "浩二"), name("タカハシ", "コウジ")]);
    });
    assert_ne!(outcome(&known, &twin).0, Outcome::Link(0));
}

#[test]
fn two_persons_as_near_are_both_looked_at() {
    let judgement = judge_among(&[&[&sample()], &[&sample()]], &sample());
    assert_eq!((judgement.outcome, judgement.reason), (Outcome::Review, Reason::TwoPersons));
    assert_eq!(judgement.ranked.len(), 2);
    // One has the address, the other only the name: far enough apart.
    let judgement = judge_among(&[&[&but(elsewhere)], &[&sample()]], &sample());
    assert_eq!(judgement.outcome, Outcome::Link(1));
    // A twin is not in the way.
    let twin = but(|d| d.names = Some(vec![name("高橋", "浩二"), name("タカハシ", "コウジ")]));
    assert_eq!(judge_among(&[&[&twin], &[&sample()]], &sample()).outcome, Outcome::Link(1));
}

#[test]
fn a_person_is_as_good_as_its_best_identity_and_refused_by_any() {
    let moved = but(elsewhere);
    assert_eq!(judge_among(&[&[&moved, &sample()]], &sample()).outcome, Outcome::Link(0));
    let other = but(|d| d.sex = Some("F".into()));
    let judgement = judge_among(&[&[&sample(), &other]], &sample());
    assert_eq!((judgement.outcome, judgement.reason), (Outcome::Review, Reason::Vetoed(Veto::Sex)));
    // What one identity does not know is no contradiction.
    let bare = but(|d| d.birth_date = None);
    assert_eq!(judge_among(&[&[&sample(), &bare]], &sample()).outcome, Outcome::Link(0));
}
