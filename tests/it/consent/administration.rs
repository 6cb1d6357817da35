//! `chiren consent`, the index of patients, and documents written.

use chiren::content::Custodian;
use chiren::content::consent::{appc, bppc};
use chiren::model::consent::record::{Consent, Effect, Rule};
use chiren::service::consent::Change;
use serde_json::Value;

use super::*;
use crate::support::process::{chiren, write_config};
use crate::support::schema::validate_cda;

/// The command line beside the running gateway.
fn command(world: &World, arguments: &[&str]) -> (bool, String) {
    let file = write_config(world.gateway.dir.path(), &world.gateway.config);
    let output = chiren().arg("consent").arg("--config").arg(file).args(arguments).output().unwrap();
    let success = output.status.success();
    let said = if success { output.stdout } else { [output.stdout, output.stderr].concat() };
    (success, String::from_utf8(said).unwrap())
}

fn done(world: &World, arguments: &[&str]) -> String {
    let (success, text) = command(world, arguments);
    assert!(success, "{arguments:?}: {text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_grants_explains_exports_and_withdraws() {
    let world = world().await;
    world.publish(&submission()).await;
    let unique_id = world.sees(&Person::doctor("o", HERE)).await.remove(0);
    let explain = |world: &World| -> Value {
        let facility = format!("urn:oid:{CLINIC}");
        let arguments =
            ["explain", "--user", "sato", "--facility", &facility, "--document", &unique_id, "--json"];
        serde_json::from_str(&done(world, &arguments)).unwrap()
    };
    assert_eq!(explain(&world)["documents"][0]["rule"], 8);
    let said = ["--policy", POLICY, "--signed-on", "2026-04-01", "--reason", "同意書受領"];
    done(&world, &[&["grant", PATIENT][..], &said].concat());
    // The machine's clock is another than the test's: the form has no end.
    let explained = explain(&world);
    assert_eq!(explained["documents"][0]["rule"], 12);
    assert_eq!(explained["documents"][0]["permit"], true);
    assert!(explained["documents"][0]["ja"].as_str().unwrap().contains("許可"));
    assert_eq!(world.sees(&world.doctor()).await.len(), 1, "the running gateway heeds it");
    let today = ["today", "--user", "sato", "--facility", CLINIC, "--patient", PATIENT];
    assert!(done(&world, &today).contains(&unique_id));
    assert!(done(&world, &["list", "consent"]).contains(PATIENT));
    let joined = done(&world, &["list", "consent", "--before-joining", PHARMACY]);
    assert!(joined.contains(PATIENT), "signed before the pharmacy joined: {joined}");
    let lines = done(&world, &["export"]);
    done(&world, &["withdraw", PATIENT, "--reason", "撤回届"]);
    assert!(world.sees(&world.doctor()).await.is_empty());
    let file = world.gateway.dir.path().join("consents.json");
    std::fs::write(&file, lines).unwrap();
    let name = file.display().to_string();
    assert!(done(&world, &["import", &name, "--check"]).contains("grant"));
    done(&world, &["import", &name]);
    // Signed on the day of the one withdrawn, and written down later.
    assert_eq!(world.sees(&world.doctor()).await.len(), 1);
    let csv = world.gateway.dir.path().join("consents.csv");
    let text = format!(
        "patient,policy,signed_on,effect,viewer\n{PATIENT},{POLICY},2026-05-01,deny,facility:{CLINIC}\n"
    );
    std::fs::write(&csv, text).unwrap();
    done(&world, &["import", &csv.display().to_string()]);
    assert!(world.sees(&world.doctor()).await.is_empty());
    let dir = world.gateway.dir.path().join("bppc");
    done(&world, &["export", "--bppc", &dir.display().to_string()]);
    let written: Vec<_> = std::fs::read_dir(&dir).unwrap().flatten().collect();
    assert_eq!(written.len(), 1);
    let text = std::fs::read_to_string(written[0].path()).unwrap();
    assert_eq!(validate_cda(&text), Ok(()), "{text}");
    let shown = done(&world, &["--lang", "ja", "show", PATIENT, "--all"]);
    assert!(shown.contains("撤回届") && shown.contains("一括"), "{shown}");
    assert!(!command(&world, &["grant", "9^^^&2.999.392.1.2&ISO", "--reason", "x"]).0);
}

#[test]
fn consents_are_written_as_valid_documents() {
    let consent = Consent {
        id: "01a204df-9d9c-75dc-b182-a01389ea6912".into(),
        policy: POLICY.into(),
        signer: Some("試験 <太郎>".into()),
        obtained_at: Some(HERE.into()),
        signed_on: Some(jiff::civil::date(2026, 4, 1)),
        valid_to: Some(jiff::civil::date(2027, 3, 31)),
        rules: vec![Rule {
            viewer: format!("facility:{CLINIC}").parse().unwrap(),
            ..Rule::new(Effect::Deny)
        }],
        ..Consent::default()
    };
    let custodian = Custodian { name: "試験ネットワーク", oid: "2.999.392.1" };
    for consent in [consent.clone(), Consent { id: consent.id.clone(), ..Consent::default() }] {
        let text = bppc(&consent, PATIENT, "2.25.1", jiff::Timestamp::UNIX_EPOCH, custodian);
        assert_eq!(validate_cda(&text), Ok(()), "{text}");
    }
    let text = appc::write(&consent, PATIENT).unwrap();
    assert_eq!(appc::read(&text).unwrap().rules, consent.rules);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_reached_by_a_consent_is_nobody_to_the_index() {
    use crate::support::mllp::{HOSPA, Mllp, gateway_with};
    use chiren::model::identity::{DemographicsQuery, PixQuery};
    use chiren::service::mpi::Page;
    let idp = Idp::new();
    let rules = idp.dir.path().join("consent.toml");
    // HOSPA's patients are 登呂病院's own.
    std::fs::write(&rules, RULES.replace("\"1312345670\"", &format!("\"1312345670\", \"{HOSPA}\""))).unwrap();
    let (gateway, address) = gateway_with(|c| {
        c.consent.mode = Mode::OptIn;
        c.consent.rules = Some(rules);
    })
    .await;
    let mut mllp = Mllp::connect(address).await;
    let feed = format!(
        "MSH|^~\\&|HIS|X|MPI|N|20250401101500||ADT^A04|A1|P|2.5\rEVN||20250401101500\r\
         PID|1||1^^^HOSPA&{HOSPA}&ISO^PI||MIYAZAKI^HARUKA||19880302|F\rPV1|1|N\r"
    );
    assert_eq!(mllp.ask(feed.into_bytes()).await.code, "AA");
    let mpi = gateway.rooms().mpi.clone().unwrap();
    let id = mpi.named(&format!("1^^^&{HOSPA}&ISO")).unwrap();
    let context = |facility: &str| {
        let mut context = Context::of_operator("test", None, gateway.clock.now());
        context.transaction = Transaction::Iti47;
        let user = chiren::model::user::User {
            name_id: "sato".into(),
            organization_id: Some(format!("urn:oid:{facility}")),
            ..Default::default()
        };
        context.caller.user = Some(Box::new(user));
        context
    };
    let question = || DemographicsQuery {
        ids: vec![chiren::model::identity::SentId {
            value: id.value.clone(),
            authority: chiren::model::identity::Authority::oid(&id.domain),
            ..Default::default()
        }],
        ..DemographicsQuery::default()
    };
    let finds =
        async |facility: &str| mpi.find(&context(facility), question(), Page::default()).await.unwrap().total;
    assert_eq!((finds(HERE).await, finds(CLINIC).await), (1, 0), "a facility's own patients are always told");
    let found = mpi.find(&context(HERE), question(), Page::default()).await.unwrap();
    let patient = chiren::service::mpi::cx(&found.patients[0].person);
    let grant = Change::Grant(Consent { policy: POLICY.into(), ..Consent::default() });
    let word = Word { who: "x".into(), reason: "y".into() };
    gateway.rooms().consents.change(&context(HERE), &patient, grant, word.clone()).await.unwrap();
    assert_eq!((finds(HERE).await, finds(CLINIC).await), (1, 1));
    gateway.rooms().consents.change(&context(HERE), &patient, Change::Withdraw(None), word).await.unwrap();
    assert_eq!(finds(CLINIC).await, 0);
    let pix = PixQuery { id: question().ids.remove(0), wanted: vec![] };
    assert!(mpi.pix(&context(CLINIC), pix.clone()).await.is_err(), "as an id nobody has");
    assert!(mpi.pix(&context(HERE), pix).await.is_ok());
}
