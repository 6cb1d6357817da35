//! `chiren mpi`: files are fed, refused lines reported, a run that was cut short goes on, and operators see and
//! correct what came of it.

use serde_json::Value;

use crate::support::mllp::{HOSPA, HOSPB, gateway};
use crate::support::process;

fn out(output: &std::process::Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_fed_and_persons_corrected_at_the_command_line() {
    let (gateway, _) = gateway().await;
    let (dir, config) = gateway.stop().await;
    let config = process::write_config(dir.path(), &config);
    let config = config.to_str().unwrap().to_owned();
    let mpi = |arguments: &[&str]| {
        let mut all = vec!["mpi", "--config", &config];
        all.extend(arguments);
        process::run(&all)
    };
    let csv = dir.path().join("patients.csv");
    let row = "宮崎,遥香,ミヤザキ,ハルカ,1988-03-02,F,422-8033,静岡県静岡市駿河区登呂5-10-2,0542850000";
    let table = format!(
        "id,domain,familyKanji,givenKanji,familyKana,givenKana,birth,sex,postal,address,phone\n\
         001,HOSPA,{row}\n\
         77,{HOSPB},{row}\n\
         3,NOBODY,{row}\n\
         4,HOSPA,五十嵐,\"琢\n磨\",イガラシ,タクマ,19450230,M,,,\n\
         5,HOSPA,too,few\n\
         6,HOSPA,番号123456789018,,,,,,,,\n"
    );
    std::fs::write(&csv, table).unwrap();
    let file = csv.to_str().unwrap();
    let text = out(&mpi(&["import", file]));
    assert!(
        text.starts_with("6 records read, 0 of them taken before; 2 taken, 2 of them new; 4 rejected"),
        "{text}"
    );
    let rejected = std::fs::read_to_string(dir.path().join("patients.csv.rejected")).unwrap();
    let lines: Vec<Value> = rejected.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let mut numbers: Vec<u64> = lines.iter().map(|l| l["record"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers, [3, 4, 5, 6]);
    assert!(!rejected.contains("123456789018"), "{rejected}");
    // A second run takes nothing twice.
    let text = out(&mpi(&["import", file]));
    assert!(text.starts_with("6 records read, 6 of them taken before; 0 taken"), "{text}");
    // HL7 v2: two messages, a question among them is no feed.
    let hl7 = dir.path().join("adt.hl7");
    let message = |id: &str| {
        format!(
            "MSH|^~\\&|HIS|X|MPI|N|20250401||ADT^A28|C{id}|P|2.5\nEVN||20250401\nPID|1||{id}^^^HOSPA&{HOSPA}&ISO||A^B\nPV1||N\n"
        )
    };
    let question =
        "MSH|^~\\&|V|C|MPI|N|20250401||QBP^Q23^QBP_Q21|Q1|P|2.5\nQPD|IHE PIX Query|T1|1^^^HOSPA\nRCP|I\n";
    std::fs::write(&hl7, [message("h1"), question.to_owned(), message("h2")].concat()).unwrap();
    let text = out(&mpi(&["import", hl7.to_str().unwrap()]));
    assert!(
        text.starts_with("3 records read, 0 of them taken before; 2 taken, 2 of them new; 1 rejected"),
        "{text}"
    );

    let listed: Value = serde_json::from_str(&out(&mpi(&["list", "--json"]))).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 3, "{listed}");
    let shown: Value = serde_json::from_str(&out(&mpi(&["show", "HOSPA:001"]))).unwrap();
    assert_eq!(shown["identities"].as_array().unwrap().len(), 2);
    let why: Value = serde_json::from_str(&out(&mpi(&["why", "HOSPA:001", "HOSPB:77"]))).unwrap();
    assert_eq!(why["now"]["together"], true);
    let unlink = ["unlink", "HOSPA:001", "HOSPB:77", "--reason", "two sisters"];
    let changed: Value = serde_json::from_str(&out(&mpi(&unlink))).unwrap();
    assert_eq!(changed["persons"].as_array().unwrap().len(), 2);
    let history: Value = serde_json::from_str(&out(&mpi(&["history", "HOSPB:77"]))).unwrap();
    let reasons: Vec<&Value> = history.as_array().unwrap().iter().map(|e| &e["cause"]["reason"]).collect();
    assert!(reasons.contains(&&Value::from("two sisters")), "{history}");
    let trained: Value = serde_json::from_str(&out(&mpi(&["train"]))).unwrap();
    out(&mpi(&["trial", trained["id"].as_str().unwrap()]));
    out(&mpi(&["accept", trained["id"].as_str().unwrap(), "--link", "13"]));
    out(&mpi(&["review", "list"]));
    let unknown = mpi(&["show", "HOSPA:404"]);
    assert!(!unknown.status.success());
}
