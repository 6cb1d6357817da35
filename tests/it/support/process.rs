//! The real program in a process of its own, for what only a process can show: exit codes, signals, the log, the
//! metrics of one recorder, and death without warning.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use chiren::config::Config;

/// How long anything is waited for before a test gives up; never a measure of success.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program, with no configuration of the machine's. `PROGRAM_UNDER_TEST` names another build of it.
pub fn chiren() -> Command {
    let program = std::env::var_os("PROGRAM_UNDER_TEST");
    let mut command = Command::new(program.unwrap_or_else(|| env!("CARGO_BIN_EXE_chiren").into()));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CHIREN") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command to its end.
pub fn run(arguments: &[&str]) -> Output {
    chiren().args(arguments).output().expect("the program runs")
}

/// Writes `config` to `chiren.toml` in `dir`.
pub fn write_config(dir: &Path, config: &Config) -> PathBuf {
    let path = dir.join("chiren.toml");
    std::fs::write(&path, toml::to_string(config).expect("TOML")).expect("written");
    path
}

/// What the process wrote to standard error so far, and whether it has closed it.
#[derive(Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    more: Condvar,
}

/// `chiren serve`, ready.
pub struct Process {
    child: Child,
    log: Arc<Log>,
    pub address: SocketAddr,
    pub ops: SocketAddr,
}

impl Process {
    /// Starts and waits until it says it is ready.
    pub fn start(config: &Path, environment: &[(&str, &str)]) -> Self {
        let mut command = chiren();
        command.args(["serve", "--config"]).arg(config).envs(environment.iter().copied());
        Self::started(command)
    }

    /// As [`start`](Self::start), but no file may grow beyond so many blocks of 512 octets: what would is told
    /// "file too large", as a full disk says "no space".
    pub fn start_limited(config: &Path, blocks: u32) -> Self {
        let program = chiren();
        let mut command = Command::new("sh");
        for (name, _) in program.get_envs() {
            command.env_remove(name);
        }
        // Ignored signals stay ignored in what `exec` starts; unheeded, XFSZ would end the process.
        let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" serve --config \"$1\"");
        command.args(["-c", &limited]).arg(program.get_program()).arg(config);
        Self::started(command)
    }

    fn started(command: Command) -> Self {
        let mut process = Self::spawned(command);
        process.wait_until_ready();
        process
    }

    /// Waits until it says it is ready, and where it listens.
    pub fn wait_until_ready(&mut self) {
        self.wait_for("network=");
        (self.address, self.ops) = (self.listening("Soap"), self.listening("Ops"));
    }

    /// The address of its listener of a role.
    pub fn listening(&self, role: &str) -> SocketAddr {
        let lines = self.log();
        let line = lines.iter().find(|l| l.contains("listening") && l.contains(&format!("role={role}")));
        let line = line.unwrap_or_else(|| panic!("no {role} in {lines:#?}"));
        let (_, text) = line.split_once("address=").expect("an address");
        text.split_whitespace().next().expect("an address").parse().expect("an address")
    }

    /// Another command than `serve`, under way.
    pub fn command(arguments: &[&str]) -> Self {
        let mut command = chiren();
        command.args(arguments);
        Self::spawned(command)
    }

    /// Whether it has ended, and how.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child")
    }

    fn spawned(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let log = Arc::new(Log::default());
        let stderr = BufReader::new(child.stderr.take().expect("standard error"));
        let reader = log.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                reader.lines.lock().unwrap().0.push(line);
                reader.more.notify_all();
            }
            reader.lines.lock().unwrap().1 = true;
            reader.more.notify_all();
        });
        let none = SocketAddr::from(([0, 0, 0, 0], 0));
        Self { child, log, address: none, ops: none }
    }

    /// Waits for a line that contains `text`.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_until(&format!("a line with {text:?}"), |lines, _| {
            lines.iter().find(|l| l.contains(text)).cloned()
        })
    }

    fn wait_until<T>(&self, what: &str, found: impl Fn(&[String], bool) -> Option<T>) -> T {
        let mut held = self.log.lines.lock().unwrap();
        loop {
            if let Some(found) = found(&held.0, held.1) {
                return found;
            }
            assert!(!held.1, "the program ended before {what}: {:#?}", held.0);
            let (again, late) = self.log.more.wait_timeout(held, PATIENCE).unwrap();
            assert!(!late.timed_out(), "no {what} in {:#?}", again.0);
            held = again;
        }
    }

    pub fn log(&self) -> Vec<String> {
        self.log.lines.lock().unwrap().0.clone()
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.expect("kill").success());
    }

    /// SIGTERM; how it ended, and everything it logged.
    pub fn stop(mut self) -> (ExitStatus, Vec<String>) {
        self.signal("TERM");
        self.ended()
    }

    /// SIGKILL: no goodbye, nothing flushed.
    pub fn kill(mut self) {
        self.kill_now();
    }

    /// The same to one that is kept until another takes its place.
    pub fn kill_now(&mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("the end");
    }

    /// `chiren serve`, perhaps not ready for a while, or never.
    pub fn begin(config: &Path) -> Self {
        let mut command = chiren();
        command.args(["serve", "--config"]).arg(config);
        Self::spawned(command)
    }

    /// Waits for the end that something else brings about.
    pub fn ended(&mut self) -> (ExitStatus, Vec<String>) {
        let lines = self.wait_until("the end", |lines, closed| closed.then(|| lines.to_vec()));
        (self.child.wait().expect("the end"), lines)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
