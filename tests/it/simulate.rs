//! `chiren simulate community` as a process: a network that answers, misbehaves as it is told over its door, and whose
//! patients are those of `chiren demo`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::support::process::chiren;

/// A network simulated, and what it printed until it could be tried.
struct Simulated {
    child: Child,
    guide: String,
    _dir: tempfile::TempDir,
}

impl Drop for Simulated {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Simulated {
    fn start(more: &[&str]) -> Self {
        let mut command = chiren();
        command.args(["simulate", "community", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]);
        command.args(["--patients", "5", "--documents", "5", "--lang", "en"]).args(more);
        // It is killed in the end, and then what it made is ours to remove.
        let dir = tempfile::tempdir().expect("a temporary directory");
        command.env("TMPDIR", dir.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("standard output")).lines();
        let mut guide = String::new();
        while let Some(Ok(line)) = lines.next() {
            guide.push_str(&line);
            guide.push('\n');
            if line.contains("Ctrl-C") {
                break;
            }
        }
        Self { child, guide, _dir: dir }
    }

    fn between(&self, before: &str, after: &str) -> String {
        let rest = self.guide.split(before).nth(1).unwrap_or_else(|| panic!("no {before} in {}", self.guide));
        rest.split(after).next().unwrap_or_default().to_owned()
    }

    /// Speaks to the door for faults.
    fn door(&self, method: &str, body: &str) -> String {
        let at = self.between("curl -X DELETE http://", "/faults");
        let mut socket = TcpStream::connect(&at).expect("the door");
        let request = format!(
            "{method} /faults HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// The question that the guide gives, asked: its exit status and what it says.
    fn ask(&self) -> (Option<i32>, String) {
        let line = self.between("Ask it:\n  chiren ", "\n");
        let mut words: Vec<String> = vec![];
        for (n, part) in line.split('\'').enumerate() {
            match n % 2 {
                1 => words.push(part.to_owned()),
                _ => words.extend(part.split_whitespace().map(str::to_owned)),
            }
        }
        let mut command: Command = chiren();
        let output = command.args(&words).args(["--timeout", "20"]).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

#[test]
fn a_simulated_network_answers_and_misbehaves() {
    let network = Simulated::start(&[]);
    assert!(network.guide.contains("home_community_id = \"urn:oid:2.999.392.7\""), "{}", network.guide);
    let (status, said) = network.ask();
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("ITI-55 AA OK: 1") && said.contains("&2.999.392.7.1&ISO"), "{said}");
    let list = network.door("POST", "{\"kind\": \"fault\", \"path\": \"/xca/iti55\", \"times\": 1}");
    assert!(list.starts_with("HTTP/1.1 200") && list.contains("\"times\": 1"), "{list}");
    assert_eq!(network.ask().0, Some(1), "a fault is a refusal");
    assert_eq!(network.ask().0, Some(0), "once");
    network.door("POST", "{\"kind\": \"wrong-home\"}");
    let (_, said) = network.ask();
    assert!(said.contains("urn:oid:2.999.392.99"), "{said}");
    assert!(network.door("DELETE", "").contains("\"faults\": []"));
    assert!(network.ask().1.contains("urn:oid:2.999.392.7 "));
    assert!(network.door("POST", "{\"kind\": \"lie\"}").starts_with("HTTP/1.1 400"));
}

#[test]
fn a_fault_may_be_there_from_the_beginning() {
    let network = Simulated::start(&["--fault", "malformed@/xca/iti55", "--home", "2.999.392.8"]);
    assert_eq!(network.ask().0, Some(3), "no usable answer");
    assert!(network.guide.contains("patient_id_authority = \"2.999.392.8.1\""));
}
