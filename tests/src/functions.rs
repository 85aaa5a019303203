//! The functions' programs as their platforms run them: a process with an
//! environment of its own, spoken to over HTTP.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The longest wait for a program to listen, to answer or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that runs, and ends with this.
pub struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts a program in the folder of its settings, with these variables alone.
    pub fn start(binary: &str, folder: &Path, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(binary);
        command.env_clear().envs(variables.iter().copied());
        Self::run(command, folder)
    }

    /// Runs a command in a folder, where its log is kept as well.
    pub(crate) fn run(mut command: Command, folder: &Path) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let log = folder.join(format!("program-{number}.log"));
        let out = File::create(&log).unwrap();
        let child = command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stderr(out.try_clone().unwrap())
            .stdout(out)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    /// What it wrote: each line is an object.
    pub fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.log).unwrap();
        let read = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        text.lines().map(read).collect()
    }

    /// All that it wrote.
    pub fn text(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it listens.
    pub fn listening(self, port: u16) -> Self {
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                began.elapsed() < PATIENCE,
                "it does not listen: {}",
                self.text()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        self
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The most memory that it had so far, in bytes.
    pub fn peak_bytes(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(status).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.unwrap().trim().strip_suffix(" kB").unwrap();
        peak.parse::<u64>().unwrap() * 1024
    }

    /// Ends it at once, wherever it is.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// How it ended.
    pub fn ended(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "it does not end: {}",
                self.text()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of this workspace by its name, as `cargo test --workspace` builds it
/// beside the tests, or from the folder that `FUNCTIONS` names.
///
/// # Panics
///
/// Where it is not built.
pub fn built(name: &str) -> String {
    let own = std::env::current_exe().unwrap();
    // The tests are in `deps`, the programs above it.
    let beside = own.parent().and_then(Path::parent).unwrap().to_owned();
    let folder = std::env::var_os("FUNCTIONS").map_or(beside, PathBuf::from);
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is not built: run cargo test --workspace --all-features --no-run",
        path.display()
    );
    path.to_str().unwrap().to_owned()
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// An answer of a program.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers, in lower case.
    pub headers: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// Posts a body to a program; none where it ended before it answered.
pub fn post(port: u16, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
    request(port, "POST", path, headers, body)
}

/// Asks a program for a page.
pub fn get(port: u16, path: &str) -> Option<Answer> {
    request(port, "GET", path, &[], &[])
}

fn request(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let headers = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    Some(Answer {
        status: headers.split(' ').nth(1)?.parse().ok()?,
        headers,
        body: answer.split_off(end + 4),
    })
}
