//! Feeds through the service, on each engine at hand.

mod crowd;
mod documents;
mod links;
mod questions;

use super::*;
use crate::model::caller::Caller;
use crate::model::identity::{
    Address, Authority, Feed, Field, Insurance, NameScript, PersonName, Phone, PhoneUse, Place, Sent, Source,
    Trouble, Update,
};
use crate::model::transaction::Transaction;
use crate::store::testing::{self, TestDb};

const NETWORK: &str = "2.999.1.2";
const A: &str = "1.2.392.100495.20.3.51.11310000001";
const B: &str = "1.2.392.100495.20.3.51.11310000002";
const C: &str = "1.2.392.100495.20.3.51.11310000003";
const FAR: &str = "2.999.7.2";

const CONFIG: &str = "
    enabled = true
    [[domain]]
    facility = '1310000001'
    namespace = 'A'
    senders = ['HIS|A']
    [[domain]]
    facility = '1310000002'
    namespace = 'B'
    senders = ['HIS|B']
    [[domain]]
    facility = '1310000003'
    namespace = 'C'
    senders = ['HIS|C']
    [[domain]]
    kind = 'neighbour'
    oid = '2.999.7.2'
    namespace = 'FAR'
    [[consumer]]
    name = 'emr-a'
    url = 'mllp://127.0.0.1:1'
    domains = ['A', 'B']
";

/// Chance that is the same every time (SplitMix64).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}

struct World {
    mpi: Mpi,
    t: TestDb,
}

async fn worlds() -> Vec<World> {
    worlds_of(CONFIG).await
}

async fn worlds_of(config: &str) -> Vec<World> {
    let mut all = vec![];
    for t in testing::databases().await {
        all.push(World { mpi: mpi(&t, config).await, t });
    }
    all
}

async fn mpi(t: &TestDb, config: &str) -> Mpi {
    let config: MpiConfig = toml::from_str(config).unwrap();
    let domains = Domains::new(&config, NETWORK);
    let clock = std::sync::atomic::AtomicI64::new(1_800_000_000_000_000);
    let now = Arc::new(move || clock.fetch_add(1, Ordering::Relaxed));
    let settings = Settings { config, domains, neighbours: Arc::new(Vec::new), now, access: Access::off() };
    Mpi::open(t.db.clone(), Audit::new(t.db.clone(), true), settings).await.unwrap()
}

fn context() -> Context {
    Context {
        transaction: Transaction::Iti30,
        caller: Caller {
            address: "10.0.0.1".into(),
            listener: "mllp".into(),
            certificate: None,
            ..Caller::default()
        },
        request_id: uuid::Uuid::now_v7().to_string(),
        received_at: jiff::Timestamp::from_microsecond(1_800_000_000_000_000).unwrap(),
        elsewhere: None,
        exchange: std::sync::Arc::default(),
    }
}

fn id(domain: &str, value: &str) -> SentId {
    SentId {
        value: value.into(),
        authority: Authority::oid(domain),
        place: Place::of(Field::Identifier),
        ..SentId::default()
    }
}

fn at(domain: &str, value: &str) -> DomainId {
    DomainId { domain: domain.into(), value: value.into() }
}

/// Somebody: kanji, kana, birth date, sex, address, telephone.
#[derive(Clone)]
struct Who {
    family: &'static str,
    given: &'static str,
    family_kana: &'static str,
    given_kana: &'static str,
    birth: &'static str,
    sex: &'static str,
    postal: &'static str,
    address: &'static str,
    phone: &'static str,
}

const HANAKO: Who = Who {
    family: "宮崎",
    given: "遥香",
    family_kana: "ミヤザキ",
    given_kana: "ハルカ",
    birth: "19880302",
    sex: "F",
    postal: "4228033",
    address: "静岡県静岡市駿河区登呂五丁目十番二号",
    phone: "0542850000",
};

const TARO: Who = Who {
    family: "五十嵐",
    given: "琢磨",
    family_kana: "イガラシ",
    given_kana: "タクマ",
    birth: "19451107",
    sex: "M",
    postal: "9500911",
    address: "新潟県新潟市中央区笹口1-2-3",
    phone: "0252410000",
};

impl Who {
    fn sent(&self) -> Sent {
        let name = |family: &str, given: &str, script| PersonName {
            family: family.into(),
            given: given.into(),
            script: Some(script),
            ..PersonName::default()
        };
        let set = |text: &str| match text {
            "" => Update::Keep,
            text => Update::Set(text.to_owned()),
        };
        let mut names = vec![];
        if !self.family.is_empty() {
            names.push(name(self.family, self.given, NameScript::Ideographic));
        }
        if !self.family_kana.is_empty() {
            names.push(name(self.family_kana, self.given_kana, NameScript::Phonetic));
        }
        Sent {
            names: Update::Set(names),
            birth_date: set(self.birth),
            sex: set(self.sex),
            addresses: match self.address {
                "" => Update::Keep,
                text => Update::Set(vec![Address {
                    text: text.into(),
                    postal_code: self.postal.into(),
                    ..Address::default()
                }]),
            },
            phones: match self.phone {
                "" => Update::Keep,
                number => Update::Set(vec![Phone { number: number.into(), usage: PhoneUse::Home }]),
            },
            ..Sent::default()
        }
    }
}

fn message(facility: &str, feed: Feed) -> FeedMessage {
    FeedMessage {
        source: Source { application: "HIS".into(), facility: facility.into(), ..Source::default() },
        control_id: "1".into(),
        event: "ADT^A28".into(),
        occurred: None,
        feed,
        warnings: vec![],
        raw: b"MSH|^~\\&|HIS".to_vec(),
    }
}

fn upsert(ids: Vec<SentId>, who: &Who) -> Feed {
    Feed::Upsert { ids, sent: Box::new(who.sent()) }
}

impl World {
    async fn feed(&self, facility: &str, feed: Feed) -> Result<Fed, Refusal> {
        self.mpi.feed(&context(), message(facility, feed)).await
    }

    /// Somebody at a facility; the network's id of their person.
    async fn add(&self, domain: &str, value: &str, who: &Who) -> String {
        let facility = self.mpi.domains().by_name(domain).unwrap().namespace.clone();
        let fed = self.feed(&facility, upsert(vec![id(domain, value)], who)).await.unwrap();
        fed.person.unwrap().value
    }

    async fn person(&self, domain: &str, value: &str) -> String {
        let query = PixQuery { id: id(domain, value), wanted: vec![Authority::oid(NETWORK)] };
        let found = self.mpi.pix(&context(), query).await.unwrap();
        found.ids.first().unwrap().value.clone()
    }

    async fn elsewhere(&self, domain: &str, value: &str) -> Result<Vec<DomainId>, Trouble> {
        let query = PixQuery { id: id(domain, value), wanted: vec![] };
        match self.mpi.pix(&context(), query).await {
            Ok(found) => Ok(found.ids),
            Err(Refusal::Identity(errors)) => Err(errors[0].trouble),
            Err(Refusal::Error(e)) => panic!("{e:?}"),
        }
    }

    async fn count(&self, sql: &'static str) -> i64 {
        self.t
            .db
            .read(move |tx| Box::pin(async move { tx.fetch_one(sql, &[], |row| row.get(0)).await }))
            .await
            .unwrap_or_else(|e: DbError| panic!("{e}"))
    }
}

fn trouble(result: Result<Fed, Refusal>) -> Trouble {
    match result {
        Err(Refusal::Identity(errors)) => errors[0].trouble,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_patient_gets_an_id_that_the_registry_knows() {
    for w in worlds().await {
        let fed = w.feed("A", upsert(vec![id(A, "0001")], &HANAKO)).await.unwrap();
        let person = fed.person.unwrap();
        assert!(fed.created && person.domain == NETWORK && person.value.len() == 10);
        assert_eq!(w.elsewhere(A, "0001").await.unwrap(), std::slice::from_ref(&person));
        assert_eq!(w.elsewhere(A, "1").await, Err(Trouble::UnknownId), "leading zeros count");
        let pid = cx(&person);
        let patients = crate::service::patients::Patients::new(w.t.db.clone());
        assert!(patients.unknown(vec![pid.clone()]).await.unwrap().is_empty());
        let listed = patients.list(String::new(), 10).await.unwrap();
        assert_eq!(listed[0].name_kana.as_deref(), Some("ミヤザキ ハルカ"));
        // The same again is nothing new, and makes no second version.
        let again = w.feed("A", upsert(vec![id(A, "0001")], &HANAKO)).await.unwrap();
        assert_eq!((again.person, again.created), (Some(person), false));
        assert_eq!(w.count("SELECT COUNT(*) FROM demographic_version").await, 1);
        // Every feed left its record.
        let audited = "SELECT COUNT(*) FROM audit_event WHERE transaction_code = 'ITI-30' AND outcome = 0";
        assert!(w.count(audited).await >= 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_changes_what_it_names_and_keeps_the_rest() {
    for w in worlds().await {
        w.add(A, "1", &HANAKO).await;
        let sent = Sent { phones: Update::Delete, sex: Update::Set("U".into()), ..Sent::default() };
        w.feed("A", Feed::Upsert { ids: vec![id(A, "1")], sent: Box::new(sent) }).await.unwrap();
        let versions = w.mpi.versions(&context(), &at(A, "1")).await.unwrap();
        assert_eq!(versions.len(), 2);
        let now = &versions[1].demographics;
        assert_eq!((now.phones.is_none(), now.sex.as_deref()), (true, Some("U")));
        assert_eq!(now.birth_date.as_deref(), Some("19880302"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_enter_leaves_nothing_behind() {
    for w in worlds().await {
        let unknown = upsert(vec![id(A, "1"), id("9.9.9", "1")], &HANAKO);
        assert_eq!(trouble(w.feed("A", unknown).await), Trouble::UnknownAuthority);
        let number = "123456789018";
        let mut typed = id(A, number);
        typed.type_code = Some("NNJPN".into());
        let mine = upsert(vec![id(A, "1"), typed], &HANAKO);
        assert_eq!(trouble(w.feed("A", mine).await), Trouble::IndividualNumber);
        let insured = Sent {
            insurances: Update::Set(vec![Insurance { number: number.into(), ..Insurance::default() }]),
            ..HANAKO.sent()
        };
        let insured = Feed::Upsert { ids: vec![id(A, "1")], sent: Box::new(insured) };
        assert_eq!(trouble(w.feed("A", insured).await), Trouble::IndividualNumber);
        let own = upsert(vec![id(NETWORK, "4711")], &HANAKO);
        assert_eq!(trouble(w.feed("A", own).await), Trouble::UnknownId);
        for sql in
            ["SELECT COUNT(*) FROM identity", "SELECT COUNT(*) FROM person", "SELECT COUNT(*) FROM patient"]
        {
            assert_eq!(w.count(sql).await, 0, "{sql}");
        }
        assert_eq!(w.count("SELECT COUNT(*) FROM audit_event WHERE outcome = 8").await, 4);
        let events = w.mpi.audit.since(0, 10).await.unwrap();
        assert!(events.iter().all(|e| !serde_json::to_string(e).unwrap().contains(number)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_kept_without_individual_numbers_and_without_insurance_where_that_is_off() {
    let config = format!("insurance = false\n{CONFIG}");
    for w in worlds_of(&config).await {
        let mut m = message("A", upsert(vec![id(A, "1")], &HANAKO));
        if let Feed::Upsert { sent, .. } = &mut m.feed {
            sent.insurances = Update::Set(vec![Insurance { number: "12".into(), ..Insurance::default() }]);
        }
        w.mpi.feed(&context(), m).await.unwrap();
        assert_eq!(
            w.count("SELECT COUNT(*) FROM demographic_version WHERE sent LIKE '%insurance%'").await,
            0
        );
        assert_eq!(w.count("SELECT COUNT(*) FROM demographic_version WHERE LENGTH(raw) > 0").await, 0);
    }
    for w in worlds().await {
        let mut m = message("A", upsert(vec![id(A, "1")], &HANAKO));
        m.raw = b"ZXX|123456789018|".to_vec();
        w.mpi.feed(&context(), m).await.unwrap();
        let raw: Vec<u8> =
            w.t.db
                .read(|tx| {
                    Box::pin(async move {
                        tx.fetch_one("SELECT raw FROM demographic_version", &[], |row| row.get(0)).await
                    })
                })
                .await
                .unwrap_or_else(|e: DbError| panic!("{e}"));
        assert_eq!(raw, b"ZXX|************|");
    }
}

#[test]
fn ids_issued_are_opaque_and_check() {
    let config = MpiConfig::default();
    for _ in 0..200 {
        let value = mint(&config);
        assert_eq!(value.len(), 10);
        let digits: Vec<u8> = value.bytes().map(|b| b - b'0').collect();
        assert!(digits[0] != 0 && luhn(&digits[..9]) == digits[9], "{value}");
    }
    let twelve = MpiConfig { id_length: 12, id_prefix: "T".into(), id_check_digit: false, ..config };
    assert!(mint(&twelve).starts_with('T'));
    assert_eq!(luhn(&[7, 9, 9, 2, 7, 3, 9, 8, 7, 1]), 3);
}
