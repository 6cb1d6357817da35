//! A PostgreSQL of a test's own, which may be stopped, started and killed: durable, on a free port, in a temporary
//! directory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

pub struct Server {
    bin: PathBuf,
    dir: TempDir,
    port: u16,
}

impl Server {
    /// A running server with lines for its `postgresql.conf`; none where no `initdb` is to be found, which is
    /// said.
    pub fn start(settings: &str) -> Option<Self> {
        let Some(bin) = installed() else {
            eprintln!("skipped: no initdb under /usr/lib/postgresql and none on the PATH");
            return None;
        };
        let place = std::env::var_os("CHAOS_POSTGRES_DIR").unwrap_or_else(|| "/tmp".into());
        // Not TMPDIR: the user the server runs as may not be allowed in there.
        let dir = tempfile::Builder::new().prefix("chiren-pg.").tempdir_in(place).expect("a directory");
        if is_root() {
            done(Command::new("chown").arg("postgres").arg(dir.path()));
        }
        let port = free_port();
        let server = Self { bin, dir, port };
        let data = server.data();
        done(server.program("initdb").arg("-D").arg(&data).args([
            "--username=chiren",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]));
        let conf = format!(
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 100\n{settings}\n"
        );
        let path = data.join("postgresql.conf");
        let text = std::fs::read_to_string(&path).expect("postgresql.conf") + &conf;
        std::fs::write(&path, text).expect("postgresql.conf");
        server.up();
        done(
            server
                .program("createdb")
                .args(["-h", "127.0.0.1", "-U", "chiren", "-p"])
                .args([port.to_string(), "chiren".to_owned()]),
        );
        Some(server)
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A directory the server may write to.
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(&path).expect("a directory");
        if is_root() {
            done(Command::new("chown").arg("postgres").arg(&path));
        }
        path
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub fn url(&self) -> String {
        url(self.address())
    }

    /// PostgreSQL refuses to run as root.
    fn program(&self, name: &str) -> Command {
        let program = self.bin.join(name);
        let mut command = match is_root() {
            true => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--"]).arg(program);
                command
            }
            false => Command::new(program),
        };
        // The server's user may not be allowed to stand where the sources lie.
        command.current_dir("/");
        command
    }

    /// Starts it and waits until it answers, recovery included.
    pub fn up(&self) {
        let log = self.dir.path().join("data/server.log");
        let options = format!("-p {}", self.port);
        let mut command = self.program("pg_ctl");
        command.arg("-D").arg(self.data()).arg("-l").arg(log).args(["-w", "-t", "120", "-s", "-o", &options]);
        if !succeeds(command.arg("start")) {
            let log = std::fs::read_to_string(self.data().join("server.log")).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(20).collect();
            panic!("PostgreSQL does not start; its log, last line first: {last:#?}");
        }
    }

    /// Stops it as an administrator does: connections are ended.
    pub fn down(&self) {
        done(self.program("pg_ctl").arg("-D").arg(self.data()).args(["-m", "fast", "-w", "-s", "stop"]));
    }

    /// SIGKILL to the server and every process it has started.
    pub fn kill(&self) {
        let file = self.data().join("postmaster.pid");
        let text = std::fs::read_to_string(&file).expect("postmaster.pid");
        let server: u32 = text.lines().next().and_then(|line| line.trim().parse().ok()).expect("a pid");
        let all: Vec<u32> = [server].into_iter().chain(children(server)).collect();
        // All in one instant; one may have ended meanwhile.
        let mut command = Command::new("kill");
        command.arg("-KILL").args(all.iter().map(u32::to_string));
        let _ = command.stderr(Stdio::null()).status();
        while all.iter().any(|pid| is_alive(*pid)) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        // Who starts it again must not take another process of that number for it.
        let _ = std::fs::remove_file(file);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut command = self.program("pg_ctl");
        command.arg("-D").arg(self.data()).args(["-m", "immediate", "-w", "-s", "stop"]);
        let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// The database of such a server behind an address.
pub fn url(address: SocketAddr) -> String {
    format!("postgres://chiren@{address}/chiren?sslmode=disable")
}

/// Where the programs of the newest installed server are; Debian keeps them off the PATH.
fn installed() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path().join("bin"))
        .collect();
    found.sort_by_key(|p| {
        let version = p.parent().and_then(Path::file_name).and_then(|v| v.to_str());
        version.and_then(|v| v.parse::<u32>().ok())
    });
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    found.into_iter().rev().chain(on_path).find(|dir| dir.join("initdb").exists())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id");
    id.stdout.trim_ascii() == b"0"
}

fn free_port() -> u16 {
    super::port::lasting().local_addr().expect("a port").port()
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("it runs")
        .success()
}

fn done(command: &mut Command) {
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let output = output.spawn().and_then(std::process::Child::wait_with_output).expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn stat(pid: u32) -> Option<(char, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z')
}

fn children(of: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = processes.filter_map(|e| e.file_name().to_str().and_then(|n| n.parse().ok()));
    pids.filter(|pid| stat(*pid).is_some_and(|(_, parent)| parent == of)).collect()
}
