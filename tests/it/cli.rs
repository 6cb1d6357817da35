//! The program as an operator meets it: help, exit codes, sentences, signals.

use chiren::config::UnknownPatients;

use crate::support::process::{Process, chiren, run, write_config};
use crate::support::raw::connect;
use crate::support::samples::{OTHER_PATIENT, PATIENT, REPOSITORY};
use crate::support::{Gateway, gateway};

/// The commands the program's own help lists.
fn commands() -> Vec<String> {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    let (_, list) = help.split_once("Commands:\n").expect("a list of commands");
    list.lines()
        .take_while(|l| !l.is_empty())
        .filter(|l| l.starts_with("  ") && !l.starts_with("   "))
        .filter_map(|l| l.split_whitespace().next().map(str::to_owned))
        .filter(|name| name != "help")
        .collect()
}

#[test]
fn every_command_explains_itself_with_examples() {
    let commands = commands();
    for known in ["serve", "check"] {
        assert!(commands.iter().any(|c| c == known), "{commands:?}");
    }
    for command in commands {
        let output = run(&[&command, "--help"]);
        assert!(output.status.success());
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(help.contains("Usage:") && help.contains("Examples:"), "{command}: {help}");
        assert!(help.contains(&format!("chiren {command}")), "{command}: {help}");
    }
    assert_eq!(run(&["nonsense"]).status.code(), Some(2));
    assert!(run(&["--version"]).status.success());
}

#[test]
fn the_configuration_may_be_named_before_and_after_what_is_to_be_done() {
    for (command, what) in [("mpi", "list"), ("community", "links"), ("outbox", "list")] {
        let before = run(&[command, "-c", "/no/such.toml", what]);
        let after = run(&[command, what, "-c", "/no/such.toml"]);
        assert_eq!(
            (before.status.code(), before.stderr),
            (after.status.code(), after.stderr),
            "{command} {what}"
        );
        assert_eq!(after.status.code(), Some(78), "{command} {what}");
    }
}

#[tokio::test]
async fn check_says_what_is_wrong_and_ends_with_78() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = gateway::config(&dir).await;
    let file = write_config(dir.path(), &config);
    let check = |lang: &str| {
        let output = chiren().args(["check", "--lang", lang, "--config"]).arg(&file).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), text)
    };
    assert_eq!(check("en").0, Some(0));
    assert!(check("en").1.contains("no faults"));
    assert!(check("ja").1.contains("問題はありません"));

    config.network.home_community_id = "nonsense".into();
    config.limits.parts = 0;
    write_config(dir.path(), &config);
    let (code, text) = check("en");
    assert_eq!(code, Some(78));
    for wanted in ["error: network.home_community_id:", "error: limits.parts:"] {
        assert!(text.contains(wanted), "{text}");
    }
    let (code, text) = check("ja");
    assert_eq!(code, Some(78));
    assert!(text.contains("エラー: limits.parts:") && text.contains("値にしてください"), "{text}");

    std::fs::write(&file, "[limits]\npartz = 1\n").unwrap();
    let (code, text) = check("en");
    assert_eq!(code, Some(78));
    assert!(text.contains("partz") && text.contains("2 |"), "{text}");
    std::fs::remove_file(&file).unwrap();
    let (code, text) = check("ja");
    assert_eq!(code, Some(78));
    assert!(text.contains("読み込めません"), "{text}");
}

#[test]
fn the_example_comes_from_the_program() {
    let output = run(&["check", "--example"]);
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), chiren::config::example());
}

#[tokio::test]
async fn serve_refuses_what_check_refuses_and_says_what_it_cannot_open() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = gateway::config(&dir).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    config.listener[0].address = taken.local_addr().unwrap();
    let file = write_config(dir.path(), &config);
    let serve = || chiren().args(["serve", "--config"]).arg(&file).output().unwrap();
    let output = serve();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("listener soap") && text.contains(&config.listener[0].address.to_string()),
        "{text}"
    );

    config.repository.unique_id = String::new();
    write_config(dir.path(), &config);
    let output = serve();
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8(output.stderr).unwrap().contains("repository.unique_id"));
}

#[tokio::test]
async fn signals_stop_and_reload() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = gateway::config(&dir).await;
    config.registry.unknown_patients = UnknownPatients::Accept;
    let file = write_config(dir.path(), &config);
    for signal in ["TERM", "INT"] {
        let mut process = Process::start(&file, &[]);
        let request = b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(connect(process.ops).await.exchange(request).await.unwrap().status, 200);
        process.signal("HUP");
        assert_eq!(connect(process.address).await.exchange(request).await.unwrap().status, 200);
        process.signal(signal);
        let (status, log) = process.ended();
        assert_eq!(status.code(), Some(0), "{log:#?}");
        assert!(log.iter().any(|l| l.contains("stopping") && l.contains(signal)), "{log:#?}");
        assert!(log.last().unwrap().contains("stopped"), "{log:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn send_says_how_it_ended_in_either_language() {
    let gateway = Gateway::start().await;
    let url = format!("http://{}", gateway.address);
    let file = gateway.dir.path().join("letter.txt");
    std::fs::write(&file, "hello").unwrap();
    let file = file.to_str().unwrap().to_owned();
    let send = |language: &'static str, arguments: &[&str]| {
        let words = [&["send", "--lang", language], arguments, &["--url", &url]].concat();
        let output = run(&words);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    for (language, registered, refused, found, fetched) in [
        ("en", "is registered", "was refused", "object(s)", "1 document(s)"),
        ("ja", "登録されました", "拒否されました", "件", "文書 1 件"),
    ] {
        let provide = ["iti41", "--file", &file, "--patient"];
        let (code, out, _) = send(language, &[&provide[..], &[PATIENT]].concat());
        assert!(code == Some(0) && out.contains(registered), "{out}");
        let id = out.lines().find_map(|l| l.trim().strip_prefix("DocumentEntry.uniqueId")).unwrap().trim();
        let (code, out, _) = send(language, &[&provide[..], &[OTHER_PATIENT]].concat());
        assert!(code == Some(1) && out.contains(refused) && out.contains("XDSUnknownPatientId"), "{out}");
        let (code, out, _) = send(language, &["iti18", "--patient", PATIENT]);
        assert!(code == Some(0) && out.contains(found) && out.contains(id), "{out}");
        let (code, _, said) = send(language, &["iti43", "--repository", REPOSITORY, "--document", id]);
        assert!(code == Some(0) && said.contains(fetched), "{said}");
    }
}
