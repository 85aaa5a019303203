//! Cold starts: from the start of a process until it is ready, beside one on the
//! same runtime that does nothing.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use countersign_service::clock::SystemClock;
use countersign_service::config::Settings;
use countersign_service::init::init;

/// Starts of each program; the median is told.
const STARTS: usize = 31;

/// Between two looks at whether one is ready: short beside what is measured.
const POLL: Duration = Duration::from_micros(20);

/// The longest wait for one.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a platform sees that a function is ready.
#[derive(Clone, Copy)]
enum Ready {
    /// It asks Lambda's runtime API for an event.
    Asks,
    /// It answers on the port that the variable names.
    Answers(&'static str),
}

/// Prints the starts of the programs that `scripts/bench starts` has unpacked in a
/// folder, each beside its size packed.
pub fn print(folder: &Path) -> Result<(), String> {
    let deployment = tempfile::tempdir().map_err(|error| error.to_string())?;
    begin(deployment.path())?;
    println!("cold start (ms, medians of {STARTS})   empty   ours  ratio   packed (MB)");
    for (seal, empty, program, empty_program, ready) in [
        (
            "aws-seal",
            "aws-empty",
            "bootstrap",
            "bootstrap",
            Ready::Asks,
        ),
        (
            "azure-seal",
            "gcp-empty",
            "handler",
            "service",
            Ready::Answers("FUNCTIONS_CUSTOMHANDLER_PORT"),
        ),
        (
            "gcp-seal",
            "gcp-empty",
            "service",
            "service",
            Ready::Answers("PORT"),
        ),
    ] {
        let ours = folder.join(seal).join(program);
        let empty = folder.join(empty).join(empty_program);
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for _ in 0..STARTS {
            let bare = match ready {
                Ready::Asks => ready,
                Ready::Answers(_) => Ready::Answers("PORT"),
            };
            without.push(start(&empty, deployment.path(), bare)?);
            with.push(start(&ours, deployment.path(), ready)?);
        }
        let (with, without) = (median(with), median(without));
        let packed = ["zip", "tar.gz"]
            .iter()
            .find_map(|ending| fs::metadata(folder.join(format!("{seal}.{ending}"))).ok())
            .ok_or_else(|| format!("there is no package of {seal}"))?;
        println!(
            "  {seal:<28} {without:8.1} {with:6.1} {:6.2} {:13.2}",
            with / without,
            packed.len() as f64 / 1e6
        );
    }
    println!("  (wanted: 1.5 at most, and 6 MB)");
    Ok(())
}

/// Three clouds whose stores are those of the clouds: opening them asks nobody,
/// but sets up what would.
fn begin(folder: &Path) -> Result<(), String> {
    let settings = |sealed: [&str; 3], head: [&str; 3]| {
        let chain = |nth: usize, cloud: &str| {
            format!(
                "[chain.{cloud}]\nsealed = \"{0}\"\nhead = \"{1}\"\nkey = \"file:{cloud}.seed\"\n\
                 [witness.{cloud}]\nsealed = \"{0}\"\nstate = \"{1}\"\nkey = \"file:{cloud}-witness.seed\"\n",
                sealed[nth], head[nth]
            )
        };
        let chains = ["aws", "azure", "gcp"].iter().enumerate();
        let chains: String = chains.map(|(nth, cloud)| chain(nth, cloud)).collect();
        format!("domain = \"audit.example.org\"\n{chains}")
    };
    let path = folder.join("countersign.toml");
    let local = settings(
        ["file:a", "file:b", "file:c"],
        ["file:a-head", "file:b-head", "file:c-head"],
    );
    fs::write(&path, local).map_err(|error| error.to_string())?;
    let loaded = Settings::load(&path, []).map_err(|error| error.to_string())?;
    let runtime = countersign_service::runtime().map_err(|error| error.to_string())?;
    runtime
        .block_on(init(&loaded, None, None, &SystemClock))
        .map_err(|error| error.to_string())?;
    let remote = settings(
        ["s3://bucket", "azblob://account/sealed", "gs://bucket"],
        ["dynamodb://heads", "azblob://account/heads", "gs://heads"],
    );
    fs::write(&path, remote).map_err(|error| error.to_string())
}

/// Milliseconds from a program's start until it is ready.
fn start(program: &Path, folder: &Path, ready: Ready) -> Result<f64, String> {
    let failed = |what: &str| format!("{}: {what}", program.display());
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .envs([
            ("AWS_LAMBDA_FUNCTION_NAME", "countersign"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "none"),
            ("AWS_SECRET_ACCESS_KEY", "none"),
        ]);
    match ready {
        Ready::Asks => {
            command.env("AWS_LAMBDA_RUNTIME_API", address.to_string());
            let began = Instant::now();
            let child = Killed(
                command
                    .spawn()
                    .map_err(|error| failed(&error.to_string()))?,
            );
            asked(&listener, child).map_err(|what| failed(&what))?;
            Ok(millis(began))
        }
        Ready::Answers(variable) => {
            drop(listener);
            command.env(variable, address.port().to_string());
            let began = Instant::now();
            let _child = Killed(
                command
                    .spawn()
                    .map_err(|error| failed(&error.to_string()))?,
            );
            loop {
                if let Ok(mut stream) = TcpStream::connect(address) {
                    let mut answer = [0; 12];
                    let asked = stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
                    asked
                        .and_then(|()| stream.read_exact(&mut answer))
                        .map_err(|error| failed(&error.to_string()))?;
                    return match answer.ends_with(b"200") {
                        true => Ok(millis(began)),
                        false => Err(failed("it is not well")),
                    };
                }
                if began.elapsed() > PATIENCE {
                    return Err(failed("it does not listen"));
                }
                std::thread::sleep(POLL);
            }
        }
    }
}

/// Waits until a function asks for its first event.
fn asked(listener: &TcpListener, _child: Killed) -> Result<(), String> {
    listener
        .set_nonblocking(true)
        .map_err(|error| error.to_string())?;
    let began = Instant::now();
    let mut stream = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock && began.elapsed() < PATIENCE => {
                std::thread::sleep(POLL);
            }
            Err(error) => return Err(error.to_string()),
        }
    };
    let whole = stream.set_nonblocking(false);
    let mut line = [0; 40];
    whole
        .and_then(|()| stream.read_exact(&mut line))
        .map_err(|error| error.to_string())?;
    match line.starts_with(b"GET /2018-06-01/runtime/invocation/next") {
        true => Ok(()),
        false => Err(format!("it asked for {}", String::from_utf8_lossy(&line))),
    }
}

/// Ended when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn millis(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1000.0
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}
