//! Many feeds at once: the persons are those of one feed after another.

use std::collections::{BTreeMap, BTreeSet};

use super::links::linked;
use super::*;

/// Orders tried, on each engine.
const SHUFFLES: u64 = 4;

/// A patient as one hospital registers them.
#[derive(Clone)]
struct Registration {
    domain: &'static str,
    value: String,
    sent: Sent,
}

/// The same family name as two systems have it.
const VARIANTS: [(&str, &str, &str); 6] = [
    ("佐藤", "佐藤", "サトウ"),
    ("高橋", "髙橋", "タカハシ"),
    ("斎藤", "齋藤", "サイトウ"),
    ("渡辺", "渡邊", "ワタナベ"),
    ("浜田", "濵田", "ハマダ"),
    ("宮崎", "宮﨑", "ミヤザキ"),
];
const GIVENS: [(&str, &str); 6] = [
    ("花子", "ハナコ"),
    ("優子", "ユウコ"),
    ("太郎", "タロウ"),
    ("健一", "ケンイチ"),
    ("美咲", "ミサキ"),
    ("遥香", "ハルカ"),
];

/// Registrations of invented people at three hospitals: as they are, with errors, variant characters, moved house,
/// married; households at one address and telephone, twins, namesakes, patients registered twice.
fn crowd(households: u64) -> Vec<Registration> {
    fn leak(text: String) -> &'static str {
        text.leak()
    }
    let mut rng = Dice::new(4711);
    let mut all = vec![];
    for n in 0..households {
        let surname = rng.below(6) as usize;
        let (family, variant, family_kana) = VARIANTS[surname];
        // Few days, streets and numbers, so that people meet.
        let home = Who {
            family,
            family_kana,
            birth: leak(format!("19{}0{}1{}", 60 + rng.below(3), 1 + rng.below(3), rng.below(5))),
            postal: leak(format!("42{}8033", rng.below(3))),
            address: leak(format!("静岡県静岡市駿河区登呂{}-{}", 1 + rng.below(3), 1 + rng.below(4))),
            phone: leak(format!("054285{:04}", rng.below(12))),
            ..HANAKO
        };
        let first = rng.below(6) as usize;
        let mut people = vec![(first, home.clone(), None)];
        match n % 4 {
            // Twins: another given name, else all the same; sometimes their order is told.
            0 => {
                let told = rng.chance(50);
                people[0].2 = told.then_some(1);
                people.push(((first + 1 + rng.below(5) as usize) % 6, home.clone(), told.then_some(2)));
            }
            // A child with the parent's given name, or another's.
            1 => {
                let child = Who { birth: leak(format!("1990{}", &home.birth[4..])), ..home.clone() };
                people.push((if rng.chance(30) { first } else { rng.below(6) as usize }, child, None));
            }
            _ => {}
        }
        for (m, (given, who, order)) in people.into_iter().enumerate() {
            let who = Who { sex: if given % 2 == 0 { "F" } else { "M" }, ..who };
            for (h, domain) in [A, B, C].into_iter().enumerate() {
                if h > 0 && rng.chance(25) {
                    continue;
                }
                let mut here = Who { given: GIVENS[given].0, given_kana: GIVENS[given].1, ..who.clone() };
                if rng.chance(25) {
                    here.family = variant;
                }
                if rng.chance(15) {
                    here.phone = "";
                }
                if rng.chance(15) {
                    here.address = "神奈川県横浜市西区北幸1-1";
                    here.postal = "2200004";
                }
                if rng.chance(10) {
                    here.birth = leak(format!("{}{}", &who.birth[..7], rng.below(10)));
                }
                if rng.chance(10) {
                    (here.given, here.given_kana) = ("", "");
                }
                if rng.chance(10) {
                    // Married.
                    (here.family, here.family_kana) = ("五十嵐", "イガラシ");
                }
                let mut sent = here.sent();
                if let (Some(order), true) = (order, rng.chance(70)) {
                    sent.multiple_birth = Update::Set(true);
                    sent.birth_order = Update::Set(order);
                }
                if rng.chance(5) {
                    all.push(Registration { domain, value: format!("d{n}.{m}"), sent: sent.clone() });
                }
                all.push(Registration { domain, value: format!("p{n}.{m}"), sent });
            }
        }
    }
    all
}

impl World {
    async fn register(&self, r: &Registration) {
        let facility = self.mpi.domains().by_name(r.domain).unwrap().namespace.clone();
        let feed = Feed::Upsert { ids: vec![id(r.domain, &r.value)], sent: Box::new(r.sent.clone()) };
        match self.feed(&facility, feed).await {
            Ok(_) => {}
            // Merged away meanwhile.
            Err(Refusal::Identity(errors)) if errors[0].trouble == Trouble::Subsumed => {}
            Err(e) => panic!("{e:?}"),
        }
    }
}

/// Who is with whom, by ids alone.
async fn partition(w: &World) -> BTreeSet<BTreeSet<(String, String)>> {
    let rows: Vec<(i64, String, String)> =
        w.t.db
            .read(|tx| {
                Box::pin(async move {
                    tx.fetch("SELECT person_key, domain, value FROM identity WHERE status = 1", &[], |r| {
                        Ok((r.get(0)?, r.get(1)?, r.get(2)?))
                    })
                    .await
                })
            })
            .await
            .unwrap_or_else(|e: DbError| panic!("{e}"));
    let mut by: BTreeMap<i64, BTreeSet<(String, String)>> = BTreeMap::new();
    for (person, domain, value) in rows {
        by.entry(person).or_default().insert((domain, value));
    }
    by.into_values().collect()
}

/// Every registration `times` times, in an order of chance.
fn shuffled(all: &[Registration], times: usize, seed: u64) -> Vec<Registration> {
    let mut list: Vec<Registration> = std::iter::repeat_n(all, times).flatten().cloned().collect();
    Dice::new(seed).shuffle(&mut list);
    list
}

/// Every active identity has an active person, every active person an identity and a patient of the registry.
async fn is_sound(w: &World) {
    for sql in [
        "SELECT COUNT(*) FROM identity i WHERE NOT EXISTS (SELECT 1 FROM person p WHERE \
         p.person_key = i.person_key AND p.status = 1) AND i.status = 1",
        "SELECT COUNT(*) FROM person p WHERE p.status = 1 AND NOT EXISTS (SELECT 1 FROM identity i WHERE \
         i.person_key = p.person_key AND i.status = 1)",
        "SELECT COUNT(*) FROM person p WHERE NOT EXISTS (SELECT 1 FROM patient q WHERE \
         q.patient_key = p.person_key AND (q.merged_into IS NULL) = (p.status = 1))",
    ] {
        assert_eq!(w.count(sql).await, 0, "{sql}");
    }
}

/// What the crowd is for: in the persons that came of it, variants and moved houses are linked, twins are not.
fn is_telling(all: &[Registration], persons: &BTreeSet<BTreeSet<(String, String)>>) {
    let of = |r: &Registration| {
        let id = (r.domain.to_owned(), r.value.clone());
        persons.iter().position(|p| p.contains(&id)).unwrap()
    };
    let name = |r: &Registration| match &r.sent.names {
        Update::Set(names) => names.first().map(|n| (n.family.clone(), n.given.clone())).unwrap(),
        _ => panic!("a name"),
    };
    let pairs = || all.iter().enumerate().flat_map(|(n, a)| all[n + 1..].iter().map(move |b| (a, b)));
    let together = |differ: fn(&Registration, &Registration) -> bool| {
        pairs().filter(|(a, b)| differ(a, b) && of(a) == of(b)).count()
    };
    assert!(together(|a, b| a.sent.addresses != b.sent.addresses) > 3, "moved house");
    let variants = pairs().filter(|(a, b)| {
        let ((one, _), (other, _)) = (name(a), name(b));
        let kin = VARIANTS
            .iter()
            .any(|(f, v, _)| [*f, *v].contains(&one.as_str()) && [*f, *v].contains(&other.as_str()));
        one != other && kin && of(a) == of(b)
    });
    assert!(variants.count() > 3, "variants");
    let twins = pairs().filter(|(a, b)| {
        matches!((&a.sent.birth_order, &b.sent.birth_order), (Update::Set(a), Update::Set(b)) if a != b)
            && a.sent.birth_date == b.sent.birth_date
            && a.sent.phones == b.sent.phones
    });
    let (mut seen, mut joined) = (0, 0);
    for (a, b) in twins.filter(|(a, b)| !name(a).1.is_empty() && !name(b).1.is_empty()) {
        seen += 1;
        joined += usize::from(of(a) == of(b));
    }
    assert!(seen > 3 && joined == 0, "{joined} of {seen} twins are one");
    let households = pairs().filter(|(a, b)| {
        a.sent.addresses == b.sent.addresses && a.sent.phones == b.sent.phones && of(a) != of(b)
    });
    assert!(households.count() > 3, "households stay apart");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_order_of_feeds_and_their_number_at_once_make_no_difference() {
    let all = crowd(48);
    let mut expected = None;
    for w in worlds().await {
        for r in &all {
            w.register(r).await;
        }
        is_sound(&w).await;
        let found = partition(&w).await;
        is_telling(&all, &found);
        match &expected {
            None => expected = Some(found),
            Some(expected) => assert_eq!(&found, expected, "both engines decide alike"),
        }
    }
    let expected = expected.unwrap();
    for seed in 1..=SHUFFLES {
        for w in worlds().await {
            let w = Arc::new(w);
            // In every second shuffle each is fed by two at once.
            let queue = shuffled(&all, 1 + seed as usize % 2, seed);
            let queue = Arc::new(std::sync::Mutex::new(queue));
            let feeders: Vec<_> = (0..32)
                .map(|_| {
                    let (w, queue) = (w.clone(), queue.clone());
                    tokio::spawn(async move {
                        loop {
                            let next = queue.lock().unwrap().pop();
                            let Some(r) = next else { break };
                            w.register(&r).await;
                        }
                    })
                })
                .collect();
            for feeder in feeders {
                feeder.await.unwrap();
            }
            is_sound(&w).await;
            let found = partition(&w).await;
            let (missing, strange): (Vec<_>, Vec<_>) =
                (expected.difference(&found).collect(), found.difference(&expected).collect());
            assert!(missing.is_empty() && strange.is_empty(), "shuffle {seed}: {missing:?}, but {strange:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_new_patient_at_the_same_instant_is_one_identity() {
    for w in worlds().await {
        let w = Arc::new(w);
        let feeders: Vec<_> = (0..32)
            .map(|n| {
                let w = w.clone();
                tokio::spawn(async move {
                    let domain = [A, B, C][n % 3];
                    w.add(domain, "1", &HANAKO).await
                })
            })
            .collect();
        let mut persons = BTreeSet::new();
        for feeder in feeders {
            persons.insert(feeder.await.unwrap());
        }
        assert_eq!(w.count("SELECT COUNT(*) FROM identity").await, 3);
        assert_eq!(partition(&w).await.len(), 1);
        is_sound(&w).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_feeds_at_once_each_is_taken_or_refused_by_itself_and_leaves_its_record() {
    const FEEDS: usize = 64;
    for w in worlds().await {
        w.add(A, "stays", &HANAKO).await;
        w.add(A, "gone", &TARO).await;
        let merge = Feed::Merge {
            surviving: vec![id(A, "stays")],
            subsumed: vec![SentId { place: Place::of(Field::PriorIdentifier), ..id(A, "gone") }],
        };
        w.feed("A", merge).await.unwrap();
        let (identities, records) = (
            w.count("SELECT COUNT(*) FROM identity").await,
            w.count("SELECT COUNT(*) FROM audit_event").await,
        );
        let w = Arc::new(w);
        let feeders: Vec<_> = (0..FEEDS)
            .map(|n| {
                let w = w.clone();
                tokio::spawn(async move {
                    // Every fourth is of an id that was merged away; of the others, every second of one patient.
                    let value = match n % 4 {
                        0 => "gone".to_owned(),
                        2 => "stays".to_owned(),
                        _ => format!("n{n}"),
                    };
                    let phone: &str = format!("03{n:08}").leak();
                    let who = Who { phone, ..if n % 2 == 0 { HANAKO } else { TARO } };
                    (n, w.feed("C", upsert(vec![id(A, &value)], &who)).await)
                })
            })
            .collect();
        for feeder in feeders {
            let (n, done) = feeder.await.unwrap();
            match n % 4 {
                0 => assert_eq!(trouble(done), Trouble::Subsumed),
                _ => assert!(done.is_ok(), "{done:?}"),
            }
        }
        let half = FEEDS as i64 / 2;
        assert_eq!(w.count("SELECT COUNT(*) FROM identity").await, identities + half);
        assert_eq!(w.count("SELECT COUNT(*) FROM audit_event").await, records + FEEDS as i64);
        assert_eq!(
            w.count("SELECT COUNT(*) FROM demographic_version WHERE version > 1").await,
            FEEDS as i64 / 4,
            "each word of one patient is a version of its own"
        );
        is_sound(&w).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_the_network_s_own_is_trained_tried_and_accepted() {
    for w in worlds().await {
        for r in crowd(40) {
            w.register(&r).await;
        }
        let before = w.mpi.model().id().to_owned();
        let learned = w.mpi.train(&context(), "a test", &|_| {}).await.unwrap();
        assert_eq!(learned.identities, w.count("SELECT COUNT(*) FROM identity").await as u64);
        assert_eq!(w.mpi.model().id(), before, "nothing changes until somebody accepts");
        let trained = w.mpi.kept_model(&learned.id).await.unwrap().unwrap();
        let same = w.mpi.try_model(&w.mpi.model(), 1, &|_| {}).await.unwrap();
        assert!(same.pairs > 0 && same.zones.iter().all(|(now, then, _)| now == then), "{same:?}");
        let partition_before = partition(&w).await;
        w.mpi.try_model(&trained, 1, &|_| {}).await.unwrap();
        assert_eq!(partition(&w).await, partition_before);
        w.mpi.accept_model(&context(), &trained, "clerk").await.unwrap();
        assert_eq!(w.mpi.model().id(), learned.id);
        // Another gateway on the same database follows.
        let other = mpi(&w.t, CONFIG).await;
        assert_eq!(other.model().id(), learned.id);
    }
}

/// Feeds, merges, changes of ids, links and partings, as chance has them: after each everything is sound.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_said_in_whatever_order_everything_stays_sound() {
    let all = crowd(14);
    for seed in 1..=6 {
        for w in worlds().await {
            let mut dice = Dice::new(seed);
            let mut coming = shuffled(&all, 2, seed);
            let mut known: Vec<(&'static str, String)> = vec![];
            let mut story = vec![];
            while let Some(r) = coming.pop() {
                w.register(&r).await;
                story.push(format!("feed {} {}", r.domain, r.value));
                known.push((r.domain, r.value));
                is_sound(&w).await;
                if known.len() < 4 || dice.chance(40) {
                    continue;
                }
                let one = known[dice.below(known.len() as u64) as usize].clone();
                let other = known[dice.below(known.len() as u64) as usize].clone();
                let (a, b) = (id(one.0, &one.1), id(other.0, &other.1));
                let feed = match dice.below(6) {
                    5 => {
                        let query = PixQuery { id: b.clone(), wanted: vec![Authority::oid(NETWORK)] };
                        let Ok(found) = w.mpi.pix(&context(), query).await else { continue };
                        let Some(person) = found.ids.first() else { continue };
                        upsert(vec![a, id(NETWORK, &person.value)], &HANAKO)
                    }
                    0 | 1 => Feed::Merge { surviving: vec![a], subsumed: vec![b] },
                    2 => Feed::Rename { from: b, to: id(other.0, &format!("{}r", other.1)) },
                    3 => linked(a, b),
                    _ => Feed::Unlink { one: a, other: b },
                };
                story.push(format!("{feed:?}"));
                // It may well be refused: an id with itself, of another domain, merged away.
                let _ = w.feed("A", feed).await;
                let sound = std::panic::AssertUnwindSafe(is_sound(&w));
                if futures_util::FutureExt::catch_unwind(sound).await.is_err() {
                    panic!("seed {seed}: {story:#?}");
                }
            }
        }
    }
}
