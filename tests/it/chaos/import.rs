//! Death without warning, under `chiren mpi import`: the run is killed again and again, each next one goes on, and in
//! the end the persons are those of a run that nobody disturbed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chiren::config::Config;
use chiren::store::db::{Db, DbError};
use chiren::synthetic::SplitMix64;

use super::mpi::{UNSOUND, count};
use super::rounds;
use crate::support::process::{Process, run, write_config};
use crate::support::{gateway, mllp};

/// Registrations of a file.
const LINES: usize = 360;
/// New identities after which a run is killed, at most.
const DEADLY: u64 = 110;

type Partition = BTreeSet<BTreeSet<(String, String)>>;

/// A file of two hospitals' patients: many at both, some with errors, some lines refused.
fn table(random: &mut SplitMix64) -> String {
    const FAMILIES: [&str; 8] = [
        "佐藤,サトウ",
        "鈴木,スズキ",
        "高橋,タカハシ",
        "五十嵐,イガラシ",
        "渡邊,ワタナベ",
        "宮崎,ミヤザキ",
        "山本,ヤマモト",
        "日野,ヒノ",
    ];
    const GIVENS: [&str; 6] =
        ["花子,ハナコ", "優子,ユウコ", "太郎,タロウ", "健一,ケンイチ", "美咲,ミサキ", "遥香,ハルカ"];
    let mut out =
        "id,domain,familyKanji,familyKana,givenKanji,givenKana,birth,sex,postal,address,phone\n".to_owned();
    let mut line = 0;
    while line < LINES {
        let (family, given) = (random.pick(&FAMILIES), random.pick(&GIVENS));
        let birth =
            format!("19{:02}-{:02}-{:02}", 50 + random.below(40), 1 + random.below(12), 1 + random.below(28));
        let home = format!("422-8033,静岡県静岡市駿河区登呂{}-{}", 1 + random.below(5), 1 + random.below(20));
        let phone = format!("054285{:04}", random.below(10_000));
        for domain in ["HOSPA", "HOSPB"] {
            let (mut birth, mut home) = (birth.clone(), home.clone());
            match random.below(12) {
                0 => home = "220-0004,神奈川県横浜市西区北幸1-1".into(),
                1 => birth.replace_range(9.., &random.below(9).to_string()),
                2 => birth = "1950-13-45".into(),
                3 => continue,
                _ => {}
            }
            line += 1;
            let _ = writeln!(out, "{line:06},{domain},{family},{given},{birth},F,{home},{phone}");
        }
    }
    out
}

/// A place with a database and the file to import.
struct Place {
    dir: tempfile::TempDir,
    config: Config,
    file: PathBuf,
}

impl Place {
    async fn with(table: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = gateway::config(&dir).await;
        mllp::configure(&mut config);
        let file = dir.path().join("patients.csv");
        std::fs::write(&file, table).unwrap();
        write_config(dir.path(), &config);
        let migrated = run(&["migrate", "--config", dir.path().join("chiren.toml").to_str().unwrap()]);
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        Self { dir, config, file }
    }

    fn import(&self) -> Process {
        let config = self.dir.path().join("chiren.toml");
        let words = ["mpi", "--config", config.to_str().unwrap(), "import", self.file.to_str().unwrap()];
        Process::command(&words)
    }

    async fn persons(&self) -> Partition {
        let db = Db::open(&self.config.database).await.unwrap();
        for sql in UNSOUND {
            assert_eq!(count(&db, sql).await, 0, "{sql}");
        }
        let sql = "SELECT person_key, domain, value FROM identity WHERE status = 1";
        let rows: Vec<(i64, String, String)> = db
            .read(move |tx| {
                Box::pin(async move { tx.fetch(sql, &[], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?))).await })
            })
            .await
            .unwrap_or_else(|e: DbError| panic!("{e}"));
        db.close().await;
        let mut by: BTreeMap<i64, BTreeSet<(String, String)>> = BTreeMap::new();
        for (person, domain, value) in rows {
            by.entry(person).or_default().insert((domain, value));
        }
        by.into_values().collect()
    }

    /// What was refused, by line; each line of the report is whole.
    fn rejected(&self) -> BTreeSet<(u64, String)> {
        let text = std::fs::read_to_string(beside(&self.file, "rejected")).unwrap();
        let line = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).expect("a whole line");
            (line["record"].as_u64().expect("a record"), line["rule"].as_str().expect("a rule").to_owned())
        };
        text.lines().map(line).collect()
    }
}

fn beside(file: &Path, what: &str) -> PathBuf {
    PathBuf::from(format!("{}.{what}", file.display()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_killed_goes_on() {
    let rounds = rounds(2);
    let mut random = SplitMix64::new(super::seed());
    let (mut deaths, mut files, mut registrations) = (0, 0, 0);
    let begun = Instant::now();
    while deaths < rounds {
        let table = table(&mut random);
        let (calm, stormy) = (Place::with(&table).await, Place::with(&table).await);
        let (status, log) = calm.import().ended();
        assert!(status.success(), "{log:#?}");
        let db = Db::open(&stormy.config.database).await.unwrap();
        let mut died_here = 0;
        loop {
            let deadly = count(&db, "SELECT COUNT(*) FROM identity").await + random.below(DEADLY) as i64;
            let mut process = stormy.import();
            let ended = loop {
                if let Some(status) = process.has_ended() {
                    break Some(status);
                }
                if count(&db, "SELECT COUNT(*) FROM identity").await > deadly {
                    break None;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            };
            match ended {
                Some(status) => {
                    assert!(status.success(), "{:#?}", process.log());
                    break;
                }
                None => process.kill_now(),
            }
            died_here += 1;
            for sql in UNSOUND {
                assert_eq!(count(&db, sql).await, 0, "{sql}");
            }
        }
        db.close().await;
        let expected = calm.persons().await;
        assert!(expected.iter().any(|person| person.len() > 1), "somebody is linked");
        assert_eq!(stormy.persons().await, expected);
        assert_eq!(stormy.rejected(), calm.rejected());
        assert!(!calm.rejected().is_empty());
        assert!(died_here > 0, "the file was too short to die of");
        deaths += died_here;
        files += 1;
        registrations += LINES;
    }
    let line = format!(
        "import: {deaths} deaths over {files} files of {registrations} registrations in {} s; persons as undisturbed",
        begun.elapsed().as_secs()
    );
    println!("{line}");
    super::keep(&line);
}
