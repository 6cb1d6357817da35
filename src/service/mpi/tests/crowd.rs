//! Many feeds at once: the persons are those of one feed after another.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Registrations of invented people at three hospitals: as they are, with errors, moved house, married, twins,
/// namesakes, patients registered twice.
fn crowd(people: u64) -> Vec<(&'static str, String, Who)> {
    const FAMILIES: [(&str, &str); 6] = [
        ("佐藤", "サトウ"),
        ("鈴木", "スズキ"),
        ("高橋", "タカハシ"),
        ("五十嵐", "イガラシ"),
        ("渡邊", "ワタナベ"),
        ("宮崎", "ミヤザキ"),
    ];
    const GIVENS: [(&str, &str); 6] = [
        ("花子", "ハナコ"),
        ("優子", "ユウコ"),
        ("太郎", "タロウ"),
        ("健一", "ケンイチ"),
        ("美咲", "ミサキ"),
        ("遥香", "ハルカ"),
    ];
    fn leak(text: String) -> &'static str {
        text.leak()
    }
    let mut rng = Dice::new(4711);
    let mut all = vec![];
    for n in 0..people {
        let (family, family_kana) = FAMILIES[rng.below(6) as usize];
        let (given, given_kana) = GIVENS[rng.below(6) as usize];
        // Few days, streets and numbers, so that people meet.
        let who = Who {
            family,
            given,
            family_kana,
            given_kana,
            birth: leak(format!("19{}0{}1{}", 60 + rng.below(3), 1 + rng.below(3), rng.below(5))),
            sex: if n % 2 == 0 { "F" } else { "M" },
            postal: leak(format!("42{}8033", rng.below(3))),
            address: leak(format!("静岡県静岡市駿河区登呂{}-{}", 1 + rng.below(3), 1 + rng.below(4))),
            phone: leak(format!("054285{:04}", rng.below(12))),
        };
        for (h, domain) in [A, B, C].into_iter().enumerate() {
            if h > 0 && rng.chance(25) {
                continue;
            }
            let mut here = who.clone();
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
                here.given = "";
                here.given_kana = "";
            }
            if rng.chance(5) {
                all.push((domain, format!("d{n}"), here.clone()));
            }
            all.push((domain, format!("p{n}"), here));
        }
    }
    all
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

fn shuffled(all: &[(&'static str, String, Who)], seed: u64) -> Vec<(&'static str, String, Who)> {
    let mut list = all.to_vec();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_order_of_feeds_and_their_number_at_once_make_no_difference() {
    let all = crowd(60);
    let mut expected = None;
    for w in worlds().await {
        for (domain, value, who) in &all {
            w.add(domain, value, who).await;
        }
        is_sound(&w).await;
        let found = partition(&w).await;
        assert!(found.len() < all.len() * 9 / 10, "somebody is linked: {} of {}", found.len(), all.len());
        match &expected {
            None => expected = Some(found),
            Some(expected) => assert_eq!(&found, expected, "both engines decide alike"),
        }
    }
    let expected = expected.unwrap();
    for seed in 1..=2 {
        for w in worlds().await {
            let w = Arc::new(w);
            let queue = Arc::new(std::sync::Mutex::new(shuffled(&all, seed)));
            let feeders: Vec<_> = (0..32)
                .map(|_| {
                    let (w, queue) = (w.clone(), queue.clone());
                    tokio::spawn(async move {
                        loop {
                            let next = queue.lock().unwrap().pop();
                            let Some((domain, value, who)) = next else { break };
                            w.add(domain, &value, &who).await;
                        }
                    })
                })
                .collect();
            for feeder in feeders {
                feeder.await.unwrap();
            }
            is_sound(&w).await;
            let found = partition(&w).await;
            let missing: Vec<_> = expected.difference(&found).collect();
            assert!(missing.is_empty(), "seed {seed}: {missing:?}");
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

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_the_network_s_own_is_trained_tried_and_accepted() {
    for w in worlds().await {
        for (domain, value, who) in crowd(40) {
            w.add(domain, &value, &who).await;
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
