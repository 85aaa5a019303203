//! The command line as programs and people use it: the binary, its streams and
//! its exit status.

// Clippy takes only functions marked as tests for tests.
#![allow(clippy::unwrap_used)]

#[cfg(feature = "emulators")]
mod clouds;
#[cfg(feature = "emulators")]
mod deploy;
mod doctor;
#[cfg(feature = "emulators")]
mod emulated;
#[cfg(unix)]
mod hostile;
mod mail;
mod survive;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const CLOUDS: [&str; 3] = ["aws", "azure", "gcp"];

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("COUNTERSIGN_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

fn run_with(mut command: Command, stdin: &[u8]) -> Output {
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    let writer = std::thread::spawn(move || {
        // The program may end before it has read everything.
        let _ = pipe.write_all(&stdin);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Three clouds on local folders.
struct Clouds(TempDir);

impl Clouds {
    fn new() -> Self {
        Self::begun(TempDir::new().unwrap())
    }

    fn begun(folder: TempDir) -> Self {
        let clouds = Self::settings(folder);
        clouds.expect(0, &["init"]);
        clouds
    }

    /// Settings alone, without keys and chains.
    fn settings(folder: TempDir) -> Self {
        let mut text = "domain = \"audit.example.org\"\n".to_owned();
        for cloud in CLOUDS {
            text += &format!(
                "[chain.{cloud}]\nsealed = \"file:{cloud}/sealed\"\nhead = \"file:{cloud}/state\"\nkey = \"file:keys/{cloud}.seed\"\n\
                 [witness.{cloud}]\nsealed = \"file:{cloud}/sealed\"\nstate = \"file:{cloud}/state\"\nkey = \"file:keys/{cloud}-witness.seed\"\n"
            );
        }
        fs::write(folder.path().join("countersign.toml"), text).unwrap();
        Self(folder)
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path(name), content).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = binary();
        command.current_dir(self.0.path()).args(arguments);
        command
    }

    fn expect(&self, status: i32, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(status),
            "{arguments:?}\n{}\n{}",
            stdout(&output),
            stderr(&output)
        );
        output
    }
}

fn status_of(arguments: &[&str]) -> (i32, String, String) {
    let folder = TempDir::new().unwrap();
    let output = binary()
        .current_dir(folder.path())
        .args(arguments)
        .output()
        .unwrap();
    (
        output.status.code().unwrap(),
        stdout(&output),
        stderr(&output),
    )
}

#[test]
fn every_command_has_help_with_examples() {
    let (status, help, _) = status_of(&["--help"]);
    assert_eq!(status, 0);
    for command in [
        "init",
        "seal",
        "anchor",
        "verify",
        "prove",
        "check",
        "canonicalize",
        "log",
        "demo",
        "completions",
        "man",
    ] {
        assert!(help.contains(&format!("\n  {command}")), "{command}");
        let (status, help, _) = status_of(&[command, "--help"]);
        assert_eq!(status, 0);
        assert!(help.contains("Examples:"), "{command}");
        assert!(help.contains("--policy"), "{command}");
        let (status, page, _) = status_of(&["man", command]);
        assert_eq!(status, 0);
        assert!(page.contains(&format!("countersign\\-{command}")), "{page}");
    }
    assert_eq!(status_of(&["--version"]).0, 0);
    assert!(
        status_of(&["completions", "bash"])
            .1
            .contains("_countersign")
    );
}

#[test]
fn what_cannot_be_done_is_2_and_says_what_next() {
    for (arguments, expected) in [
        (&[][..], "Usage"),
        (&["nonsense"], "nonsense"),
        (&["seal"], "--chain"),
        (&["anchor"], "--config"),
        (&["verify"], "--config"),
        (&["log"], "--config"),
        (&["log", "--format", "ocsf"], "--format json"),
        (&["log", "--since", "yesterday"], "RFC 3339"),
        (&["check", "proof.json"], "--policy"),
        (&["check", "proof.json", "--policy", "none"], "none"),
        (&["prove", "--chain", "aws"], "--index"),
        (&["man", "nonsense"], "nonsense"),
    ] {
        let (status, out, err) = status_of(arguments);
        assert_eq!(status, 2, "{arguments:?} {err}");
        assert!(err.contains(expected), "{arguments:?} {err}");
        assert_eq!(out, "", "{arguments:?}");
    }
}

#[test]
fn canonicalize_gives_lines_or_reasons() {
    let mut command = binary();
    command.arg("canonicalize");
    let output = run_with(
        command,
        b"{ \"b\" : 1.0, \"a\" : 2 }\r\n\n  \n{\"a\":1,\"a\":2}\n[333333333.33333329]\n{\n\"last\"",
    );
    assert_eq!(stdout(&output), "{\"a\":2,\"b\":1}\n\"last\"\n");
    let reasons = stderr(&output);
    let lines: Vec<_> = reasons.lines().collect();
    assert_eq!(lines.len(), 3, "{reasons}");
    for (line, number) in lines.iter().zip([4, 5, 6]) {
        assert!(line.starts_with(&format!("line {number}: ")), "{line}");
    }
    assert_eq!(output.status.code(), Some(1));

    let mut command = binary();
    command.arg("canonicalize");
    let output = run_with(command, b"");
    assert_eq!((output.status.code(), &*stderr(&output)), (Some(0), ""));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut command = binary();
    command.arg("canonicalize").stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all("[1,2,3]\n".repeat(1 << 18).as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!((output.status.code(), &*stderr(&output)), (Some(0), ""));
}

#[test]
fn a_second_init_refuses_and_changes_nothing() {
    let clouds = Clouds::new();
    let policy = fs::read(clouds.path("countersign.policy")).unwrap();
    let output = clouds.expect(2, &["init"]);
    assert!(stderr(&output).contains("nothing was changed"));
    assert_eq!(fs::read(clouds.path("countersign.policy")).unwrap(), policy);
}

#[test]
fn seal_prints_ranges_and_names_what_it_leaves_out() {
    let clouds = Clouds::new();
    clouds.write("two.ndjson", b"{\"a\":1}\n{\"a\":2}\n");
    clouds.write("blank.ndjson", b"\n\n");
    clouds.write("broken.json", b"{\"Records\":[{},\n");
    clouds.write("empty.json", b"");
    let output = clouds.expect(
        2,
        &[
            "seal",
            "--chain",
            "aws",
            "broken.json",
            "two.ndjson",
            ".",
            "blank.ndjson",
            "empty.json",
            "none.json",
            "two.ndjson",
        ],
    );
    assert_eq!(
        stdout(&output),
        "sealed 1..2 2 records two.ndjson\n\
         sealed - 0 records blank.ndjson\n\
         already sealed - 2 records two.ndjson\n"
    );
    let said = stderr(&output);
    for (name, what) in [
        ("broken.json", "byte 16 (uncompressed)"),
        (".", "folder"),
        ("empty.json", "empty"),
        ("none.json", "cannot be read"),
    ] {
        let of_name = format!("countersign: {name} ");
        let line = said.lines().find(|line| line.starts_with(&of_name));
        assert!(line.is_some_and(|line| line.contains(what)), "{said}");
    }

    let output = run_with(clouds.command(&["seal", "--chain", "aws"]), b"[1,[2]]");
    assert_eq!(stdout(&output), "sealed 4..5 2 records stdin\n");
    assert_eq!(output.status.code(), Some(0));
    let again = clouds.expect(0, &["seal", "--chain", "aws", "two.ndjson"]);
    assert_eq!(stdout(&again), "already sealed - 2 records two.ndjson\n");
    let unknown = clouds.expect(2, &["seal", "--chain", "ibm", "two.ndjson"]);
    assert!(stderr(&unknown).contains("aws, azure, gcp"));
}

#[cfg(unix)]
#[test]
fn a_pipe_among_the_files_is_not_waited_for() {
    let clouds = Clouds::new();
    let made = Command::new("mkfifo").arg(clouds.path("pipe")).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no mkfifo here");
        return;
    }
    clouds.write("one.json", b"{}");
    let output = clouds.expect(2, &["seal", "--chain", "gcp", "pipe", "one.json"]);
    assert!(stderr(&output).contains("countersign: pipe is not a regular file"));
    assert_eq!(stdout(&output), "sealed 1..1 1 records one.json\n");
}

#[test]
fn a_proof_goes_round_and_a_changed_byte_fails() {
    let clouds = Clouds::new();
    clouds.write("events.ndjson", b"{\"a\":1}\n{ \"who\" : \"me\" }\n");
    clouds.expect(0, &["seal", "--chain", "aws", "events.ndjson"]);
    let early = clouds.expect(2, &["prove", "--chain", "aws", "--index", "2"]);
    assert!(stderr(&early).contains("not published yet: run anchor"));
    clouds.expect(0, &["anchor"]);
    let none = clouds.expect(2, &["prove", "--chain", "aws", "--index", "99"]);
    assert!(stderr(&none).contains("no leaf 99"));

    clouds.expect(
        0,
        &[
            "prove",
            "--chain",
            "aws",
            "--index",
            "2",
            "-o",
            "proof.json",
        ],
    );
    clouds.write("event.json", b"{\n  \"who\": \"me\"\n}\n");
    let found = clouds.expect(0, &["prove", "--chain", "aws", "--event", "event.json"]);
    let proof = fs::read(clouds.path("proof.json")).unwrap();
    assert_eq!(found.stdout, proof);
    clouds.write("event.json", b"{\"who\":\"you\"}");
    clouds.expect(2, &["prove", "--chain", "aws", "--event", "event.json"]);

    // Where no settings are, as an auditor has it.
    let desk = TempDir::new().unwrap();
    for name in [
        "proof.json",
        "countersign.aws.policy",
        "countersign.azure.policy",
    ] {
        fs::copy(clouds.path(name), desk.path().join(name)).unwrap();
    }
    let check = |proof: &str, policy: &str| {
        let mut command = binary();
        command.current_dir(desk.path());
        command
            .args(["check", proof, "--policy", policy])
            .output()
            .unwrap()
    };
    let output = check("proof.json", "countersign.aws.policy");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let shown = stdout(&output);
    for expected in [
        "audit.example.org/aws",
        "2 of 3",
        "audit.example.org/witness/azure",
        "audit.example.org/witness/gcp",
    ] {
        assert!(shown.contains(expected), "{shown}");
    }
    assert!(!shown.contains("witness/aws"), "{shown}");
    assert_eq!(
        check("proof.json", "countersign.azure.policy")
            .status
            .code(),
        Some(1)
    );
    assert_eq!(
        check("nowhere.json", "countersign.aws.policy")
            .status
            .code(),
        Some(2)
    );
    assert_eq!(check(".", "countersign.aws.policy").status.code(), Some(2));
    assert_eq!(check("proof.json", "nowhere.policy").status.code(), Some(2));

    for at in (0..proof.len()).step_by(7) {
        let mut changed = proof.clone();
        changed[at] ^= 1;
        fs::write(desk.path().join("changed.json"), changed).unwrap();
        let output = check("changed.json", "countersign.aws.policy");
        assert_eq!(
            output.status.code(),
            Some(1),
            "byte {at}: {}",
            stdout(&output)
        );
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn the_timeline_is_one_and_in_order() {
    let clouds = Clouds::new();
    let at = |time: &str| {
        format!(
            r#"{{"eventVersion":"1","eventSource":"s","eventName":"Do","eventTime":"{time}","userIdentity":{{"userName":"me"}}}}"#
        )
    };
    let aws = [at("2026-01-01T10:00:02.5Z"), at("2026-01-01T10:00:00Z")].join("\n");
    clouds.write("aws.json", aws.as_bytes());
    clouds.write(
        "gcp.json",
        br#"{"logName":"x","timestamp":"2026-01-01T10:00:01.000000001Z","n":1e0}"#,
    );
    clouds.expect(0, &["seal", "--chain", "aws", "aws.json"]);
    clouds.expect(0, &["seal", "--chain", "gcp", "gcp.json"]);

    let json = stdout(&clouds.expect(0, &["log", "--format", "json"]));
    let entries: Vec<Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let order: Vec<_> = entries
        .iter()
        .map(|entry| {
            (
                entry["chain"].as_str().unwrap(),
                entry["index"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(order, [("aws", 2), ("gcp", 1), ("aws", 1)]);
    assert_eq!(entries[1]["origin"], "audit.example.org/gcp");
    assert!(entries[1]["sealed_at"].is_string());
    assert!(json.contains(r#""record":{"cloud":"gcp","event":{"logName":"x","n":1,"#));

    let text = stdout(&clouds.expect(0, &["log", "--since", "2026-01-01T11:00:02+01:00"]));
    assert_eq!(text.lines().count(), 1, "{text}");
    for word in ["2026-01-01T10:00:02.5Z", "aws.cloudtrail", "me", "Do"] {
        assert!(text.contains(word), "{text}");
    }
    let one = stdout(&clouds.expect(0, &["log", "--chain", "azure"]));
    assert_eq!(one, "");

    // A damaged segment is named, the rest is shown.
    let segment = clouds.path("aws/sealed/segments/00000000000000000000.ndjson.zst");
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&segment).unwrap();
    fs::write(&segment, bytes).unwrap();
    let output = clouds.expect(1, &["log"]);
    assert!(stderr(&output).contains("segments/00000000000000000000.ndjson.zst"));
    assert_eq!(stdout(&output).lines().count(), 1);
}

#[test]
fn verify_reports_in_text_and_json_and_by_status() {
    let clouds = Clouds::new();
    for cloud in CLOUDS {
        clouds.write("event.json", format!("{{\"of\":\"{cloud}\"}}").as_bytes());
        clouds.expect(0, &["seal", "--chain", cloud, "event.json"]);
    }
    clouds.expect(0, &["anchor"]);
    // No keys are needed.
    fs::rename(clouds.path("keys"), clouds.path("away")).unwrap();
    let text = stdout(&clouds.expect(0, &["verify"]));
    assert!(text.to_lowercase().contains("verified"), "{text}");
    let json = clouds.expect(0, &["verify", "--chain", "aws", "--format", "json"]);
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["result"], "verified");
    assert_eq!(report["chains"].as_array().unwrap().len(), 1);
    let quiet = clouds.expect(
        0,
        &["verify", "--format", "json", "--output", "report.json"],
    );
    assert_eq!(stdout(&quiet), "");
    let report: Value =
        serde_json::from_slice(&fs::read(clouds.path("report.json")).unwrap()).unwrap();
    assert_eq!(report["chains"].as_array().unwrap().len(), 3);
    let page = stdout(&clouds.expect(0, &["verify", "--format", "html"]));
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("VERIFIED"));
    let quiet = clouds.expect(0, &["verify", "--format", "html", "-o", "report.html"]);
    assert_eq!(
        (stdout(&quiet), stderr(&quiet)),
        (String::new(), String::new())
    );
    let page = fs::read_to_string(clouds.path("report.html")).unwrap();
    for cloud in CLOUDS {
        assert!(page.contains(&format!("audit.example.org/witness/{cloud}")));
    }
    for bad in ["<script", "http:", "https:", "url("] {
        assert!(!page.contains(bad), "{bad}");
    }
    let nowhere = &["verify", "--format", "html", "-o", "none/report.html"];
    assert!(stderr(&clouds.expect(2, nowhere)).contains("none/report.html"));
    clouds.expect(2, &["verify", "--since", "many"]);
    clouds.expect(2, &["verify", "--at", "noon"]);
    clouds.expect(2, &["verify", "--chain", "ibm"]);

    // Years later the anchors are stale.
    let later = clouds.expect(
        1,
        &["verify", "--at", "2099-01-01T00:00:00Z", "--format", "json"],
    );
    assert!(stdout(&later).contains("\"anchor-freshness\""));
    let later = ["verify", "--at", "2099-01-01T00:00:00Z", "--format", "html"];
    let page = stdout(&clouds.expect(1, &later));
    assert!(page.contains("FAILED") && page.contains("CS-1301"));
    fs::rename(clouds.path("gcp"), clouds.path("gone")).unwrap();
    clouds.expect(2, &["verify", "--chain", "gcp"]);
}

#[test]
fn the_demo_comes_out_as_expected() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("demo");
    let demo = |dir: &Path| binary().arg("demo").arg("--dir").arg(dir).output().unwrap();
    let output = demo(&dir);
    let shown = stdout(&output);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{shown}\n{}",
        stderr(&output)
    );
    for expected in [
        "verified",
        "StopLogging",
        "refused",
        "record-hashes",
        "segments-contiguous",
        "anchors-consistent",
        "genesis",
        "countersign verify",
    ] {
        assert!(shown.contains(expected), "{expected}\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'), "no colour in a pipe");
    let verify = |config: &str| {
        let mut command = binary();
        command.arg("verify").arg("--config").arg(dir.join(config));
        command.output().unwrap().status.code()
    };
    for (report, word) in [
        ("report.html", "VERIFIED"),
        ("tampered/5-rebuilt/report.html", "FAILED"),
    ] {
        assert!(shown.contains(report), "{shown}");
        let page = fs::read_to_string(dir.join(report)).unwrap();
        assert!(page.contains(&format!("<h1>{word}</h1>")), "{report}");
    }
    assert_eq!(verify("countersign.toml"), Some(0));
    assert_eq!(verify("tampered/5-rebuilt/countersign.toml"), Some(1));

    let again = demo(&dir);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("not empty"));
}

#[cfg(not(feature = "emulators"))]
#[test]
fn without_the_demo_over_emulators_it_says_how_to_get_it() {
    let (status, _, err) = status_of(&["demo", "--stores", "emulators"]);
    assert_eq!(status, 2, "{err}");
    assert!(err.contains("--features emulators"), "{err}");
}

#[test]
fn four_processes_at_once_lose_nothing_and_repeat_nothing() {
    const FILES: usize = 24;
    let clouds = Clouds::new();
    let names: Vec<String> = (0..FILES).map(|n| format!("{n}.ndjson")).collect();
    for (nth, name) in names.iter().enumerate() {
        let lines: String = (0..20)
            .map(|n| format!("{{\"file\":{nth},\"n\":{n}}}\n"))
            .collect();
        clouds.write(name, lines.as_bytes());
    }
    // Each process seals every file, one call a file, beginning elsewhere.
    let outputs: Vec<String> = std::thread::scope(|scope| {
        let processes: Vec<_> = (0..4)
            .map(|process| {
                let (clouds, names) = (&clouds, &names);
                scope.spawn(move || {
                    let from = process * FILES / 4;
                    let order = (0..FILES).map(|n| &names[(from + n) % FILES]);
                    order
                        .map(|name| stdout(&clouds.expect(0, &["seal", "--chain", "aws", name])))
                        .collect::<String>()
                })
            })
            .collect();
        processes
            .into_iter()
            .map(|process| process.join().unwrap())
            .collect()
    });
    let lines = || outputs.iter().flat_map(|output| output.lines());
    assert_eq!(lines().count(), 4 * FILES);
    // A process whose own segment was adopted by another may be told that it was
    // sealed already, so this is at most one for each file.
    assert!(lines().filter(|line| line.starts_with("sealed ")).count() <= FILES);
    for cloud in ["azure", "gcp"] {
        clouds.expect(0, &["seal", "--chain", cloud, &names[0]]);
    }
    clouds.expect(0, &["anchor"]);
    let report = clouds.expect(0, &["verify", "--format", "json"]);
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!(report["result"], "verified");
    let aws = &report["chains"][0];
    // And the records of two anchors.
    assert_eq!(aws["records"].as_u64().unwrap(), (FILES * 20 + 2) as u64);
    assert_eq!(aws["duplicates"], 0);
}
