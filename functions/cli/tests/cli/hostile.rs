//! What an attacker, or a bad day, may hand over: each is refused with a clear
//! error or sealed as it is, within a bound on memory, and nothing ever crashes.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use countersign_core::keys::{KeyKind, Seed, SeedSigner, Signer};
use countersign_core::segment::{MAX_CONTENT_BYTES, MAX_RECORDS, body_sha256, encode, open_header};
use countersign_core::signed;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::{CLOUDS, Clouds, stderr, stdout};

const MIB: usize = 1 << 20;

// What each command may write to, in MiB, whatever comes; the README's table
// says the same. Stacks count too: the threads that come with many cores.
const SEAL_MIB: u64 = 256;
const CANONICALIZE_MIB: u64 = 192;
const CHECK_MIB: u64 = 640;

/// Of what reads a chain's segments, several at a time.
fn verify_mib() -> u64 {
    384 * std::thread::available_parallelism().unwrap().get().max(2) as u64
}

/// Nothing here takes longer, even unoptimized and beside other tests.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a command that may write so much memory and no more: past that an
/// allocation fails, which aborts. Fails the test unless it ends in time with
/// status 0, 1 or 2, quietly.
fn within(mib: u64, command: &Command, stdin: Stdio) -> Output {
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -d \"$0\" && exec \"$@\""]);
    limited.arg((mib << 10).to_string());
    limited.env("TOKIO_WORKER_THREADS", "2");
    limited.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    limited.stdin(stdin);
    limited.stdout(Stdio::piped()).stderr(Stdio::piped());
    ended_well(limited)
}

fn ended_well(mut command: Command) -> Output {
    let mut child = command.spawn().unwrap();
    let mut pipes = (child.stdout.take(), child.stderr.take());
    let began = Instant::now();
    let (out, err) = std::thread::scope(|scope| {
        let out = scope.spawn(|| pipes.0.as_mut().map(all_of).unwrap_or_default());
        let err = scope.spawn(|| pipes.1.as_mut().map(all_of).unwrap_or_default());
        while child.try_wait().unwrap().is_none() {
            if began.elapsed() > PATIENCE {
                child.kill().unwrap();
                panic!("{command:?} hangs");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        (out.join().unwrap(), err.join().unwrap())
    });
    let output = Output {
        status: child.wait().unwrap(),
        stdout: out,
        stderr: err,
    };
    let said = stderr(&output);
    assert!(
        matches!(output.status.code(), Some(0..=2)),
        "{command:?}: {}\n{said}",
        output.status
    );
    assert!(!said.contains("panicked"), "{command:?}\n{said}");
    let unfit = |c: char| c.is_control() && c != '\n';
    assert!(!said.contains(unfit), "{command:?}\n{said:?}");
    output
}

fn all_of(pipe: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes).unwrap();
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What becomes of an input.
enum Fate {
    /// Sealed, so many records of them.
    Sealed(u64),
    /// Refused with these words.
    Refused(&'static str),
}

use Fate::{Refused, Sealed};

/// An object with a million members; the names in this order.
fn members(name: impl Fn(u64) -> String) -> Vec<u8> {
    let mut object = b"{".to_vec();
    for n in 0..1_000_000 {
        let comma = if n == 0 { "" } else { "," };
        write!(object, "{comma}\"{}\":{n}", name(n)).unwrap();
    }
    object.push(b'}');
    object
}

fn string_of(mib: usize) -> Vec<u8> {
    [&b"{\"a\":\""[..], &vec![b'x'; mib * MIB], b"\"}"].concat()
}

/// The name, the bytes, and what becomes of them.
fn table() -> Vec<(&'static str, Vec<u8>, Fate)> {
    let deep = |open: &str, close: &str| open.repeat(100_000) + &close.repeat(100_000);
    vec![
        // 1,040 MiB each, in a file of some MiB: gzip members in a row.
        (
            "bomb of blank lines",
            gzip(&vec![b'\n'; 16 * MIB]).repeat(65),
            Refused("has more than 1073741824 bytes uncompressed"),
        ),
        (
            "bomb of zeros",
            gzip(&vec![0; 16 * MIB]).repeat(65),
            Refused("the event at byte 0 (uncompressed) makes a record of more than 50331648"),
        ),
        ("deep arrays", deep("[", "]").into_bytes(), Sealed(1)),
        (
            "deep objects",
            deep("{\"a\":", "}").replace(":}", ":1}").into_bytes(),
            Sealed(1),
        ),
        (
            "deep and cut off",
            vec![b'['; 100_000],
            Refused("is broken at byte 100000"),
        ),
        ("string of 40 MiB", string_of(40), Sealed(1)),
        (
            "string of 64 MiB",
            [b"{}\n", &string_of(64)[..]].concat(),
            Refused("the event at byte 3 (uncompressed) makes a record of more than 50331648"),
        ),
        (
            "members in order",
            members(|n| format!("k{n:07}")),
            Sealed(1),
        ),
        (
            "members out of order",
            members(|n| format!("k{:06}", n * 7_919 % 1_000_000)),
            Sealed(1),
        ),
        ("members of one name", members(|_| "k".into()), Sealed(1)),
        ("empty lines", vec![b'\n'; 1_000_000], Sealed(0)),
        ("tiny records", b"1\n".repeat(1_000_000), Sealed(1_000_000)),
        (
            "not UTF-8",
            b"\xff\xfe\n{\"a\":\"\xc3\"}\n".to_vec(),
            Sealed(2),
        ),
        ("NUL bytes", vec![0; 1000], Sealed(1)),
        (
            "byte order mark",
            b"\xef\xbb\xbf{\"a\":1}\n".to_vec(),
            Sealed(1),
        ),
        ("nothing", Vec::new(), Refused("is empty")),
    ]
}

#[test]
fn hostile_files_are_sealed_as_they_are_or_refused() {
    let clouds = Clouds::new();
    let mut records = 0;
    for (name, bytes, fate) in table() {
        clouds.write(name, &bytes);
        drop(bytes);
        let command = clouds.command(&["seal", "--chain", "aws", name]);
        let output = within(SEAL_MIB, &command, Stdio::null());
        let said = stderr(&output);
        match fate {
            Sealed(count) => {
                let line = stdout(&output);
                assert_eq!(output.status.code(), Some(0), "{name}: {said}");
                assert!(line.starts_with("sealed "), "{line}");
                assert!(
                    line.ends_with(&format!(" {count} records {name}\n")),
                    "{line}"
                );
                records += count;
            }
            Refused(words) => {
                assert_eq!(output.status.code(), Some(2), "{name}: {said}");
                assert_eq!(stdout(&output), "");
                let expected = format!("countersign: {name} {words}");
                assert!(said.starts_with(&expected), "{said}");
            }
        }
        fs::remove_file(clouds.path(name)).unwrap();
    }
    for cloud in ["azure", "gcp"] {
        clouds.write("one.json", b"{}");
        clouds.expect(0, &["seal", "--chain", cloud, "one.json"]);
    }
    // What was sealed holds, and is read again within bounds.
    let anchored = within(verify_mib(), &clouds.command(&["anchor"]), Stdio::null());
    assert_eq!(anchored.status.code(), Some(0), "{}", stderr(&anchored));
    let verify = clouds.command(&["verify", "--format", "json"]);
    let output = within(verify_mib(), &verify, Stdio::null());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["result"], "verified");
    // Two anchors of the other clouds, too.
    assert_eq!(report["chains"][0]["records"], records + 2);
}

#[test]
fn streams_without_end_are_given_up() {
    let clouds = Clouds::new();
    let endless = || Stdio::from(File::open("/dev/zero").unwrap());
    let mut seal = clouds.command(&["seal", "--chain", "aws"]);
    seal.env("COUNTERSIGN_MAX_INPUT_BYTES", "100000000");
    let output = within(SEAL_MIB, &seal, endless());
    assert_eq!(output.status.code(), Some(2));
    let expected = "countersign: stdin has more than 100000000 bytes uncompressed";
    assert!(stderr(&output).starts_with(expected), "{}", stderr(&output));

    let canonicalize = clouds.command(&["canonicalize"]);
    let output = within(CANONICALIZE_MIB, &canonicalize, endless());
    assert_eq!(output.status.code(), Some(2));
    let expected = "countersign: line 1 of stdin has more than 50331648 bytes";
    assert!(stderr(&output).starts_with(expected), "{}", stderr(&output));

    let check = clouds.command(&["check", "-", "--policy", "countersign.policy"]);
    let output = within(CHECK_MIB, &check, endless());
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("larger than any proof"));
    for arguments in [
        &["verify", "--config", "/dev/zero"][..],
        &["verify", "--policy", "/dev/zero"],
        &["check", "/dev/zero", "--policy", "countersign.policy"],
    ] {
        let output = within(64, &clouds.command(arguments), Stdio::null());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains("/dev/zero"), "{arguments:?}");
    }
}

/// A zstd frame whose window is 128 MiB: blocks that repeat one byte, with the
/// bit of a checksum set, which nobody gets to compare.
fn zstd_bomb(mib: usize) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0b100, 17 << 3];
    let blocks = mib * 8;
    for block in 1..=blocks {
        let header = (128 << 10) << 3 | 1 << 1 | u32::from(block == blocks);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(b'x');
    }
    frame.extend_from_slice(&[0; 4]);
    frame
}

#[test]
fn hostile_objects_in_a_store_fail_its_check() {
    let clouds = Clouds::new();
    clouds.write("one.json", b"{}");
    for cloud in CLOUDS {
        clouds.expect(0, &["seal", "--chain", cloud, "one.json"]);
    }
    clouds.expect(0, &["anchor"]);
    let segment = clouds.path("aws/sealed/segments/00000000000000000000.ndjson.zst");
    let mut indexes = fs::read_dir(clouds.path("aws/sealed/index")).unwrap();
    let index = indexes.next().unwrap().unwrap().path();
    let bomb = zstd_bomb(2048);
    assert!(bomb.len() < MIB / 8);
    let replace = |path: &Path, bytes: &[u8]| {
        fs::remove_file(path).unwrap();
        fs::write(path, bytes).unwrap();
    };
    for path in [&segment, &index] {
        let whole = fs::read(path).unwrap();
        replace(path, &bomb);
        let verify = clouds.command(&["verify", "--format", "json"]);
        let output = within(verify_mib(), &verify, Stdio::null());
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let report = stdout(&output);
        let expected = format!("more than {MAX_CONTENT_BYTES} bytes");
        assert!(report.contains(&expected), "{report}");
        within(verify_mib(), &clouds.command(&["log"]), Stdio::null());
        within(verify_mib(), &clouds.command(&["anchor"]), Stdio::null());
        replace(path, &whole);
    }
    clouds.expect(0, &["verify"]);
    // Signed by the chain's own key, and yet no records: as many as a header may
    // name, and a header that is all of the segment.
    let seed = Seed::parse(&fs::read(clouds.path("keys/aws.seed")).unwrap()).unwrap();
    let signer = SeedSigner::new("audit.example.org/aws", KeyKind::Log, &seed).unwrap();
    let many = b"1\n".repeat(MAX_RECORDS as usize);
    for (records, deliveries, body, code) in [
        (MAX_RECORDS, 1, &many[..], "CS-601"),
        (0, 300_000, b"", "CS-20"),
    ] {
        let whole = fs::read(&segment).unwrap();
        let mut header = open_header(&whole, signer.key()).unwrap();
        header.deliveries[0].records = records;
        header.deliveries = vec![header.deliveries[0].clone(); deliveries];
        header.end = header.start + 1 + records;
        header.body_sha256 = body_sha256(body);
        let line = signed::sign(&mut header, &signer).unwrap();
        replace(&segment, &encode(&line, &[body], 1).unwrap());
        let verify = clouds.command(&["verify", "--format", "json"]);
        let output = within(verify_mib(), &verify, Stdio::null());
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stdout(&output).contains(code), "{}", stdout(&output));
        replace(&segment, &whole);
    }
    // A name that would steer a terminal, a file larger than memory, a pipe.
    let sealed = clouds.path("aws/sealed");
    fs::write(sealed.join("\u{1b}[2Jverified\n"), b"").unwrap();
    let huge = sealed.join("checkpoints/00000000000000000099");
    File::create(huge).unwrap().set_len(1 << 40).unwrap();
    let pipe = sealed.join("anchors/pipe");
    let made = Command::new("mkfifo").arg(pipe).status();
    assert!(made.is_ok_and(|status| status.success()));
    let output = within(verify_mib(), &clouds.command(&["verify"]), Stdio::null());
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let report = stdout(&output);
    assert!(
        !report.contains(|c: char| c.is_control() && c != '\n'),
        "{report:?}"
    );
    for expected in ["checkpoints/00000000000000000099", "anchors/pipe"] {
        assert!(report.contains(expected), "{report}");
    }
}

#[test]
fn what_is_no_file_is_named_and_nothing_waits() {
    let clouds = Clouds::new();
    clouds.write("one.json", b"{}");
    symlink("loop", clouds.path("loop")).unwrap();
    symlink("gone", clouds.path("dangling")).unwrap();
    fs::create_dir(clouds.path("folder")).unwrap();
    clouds.write("unreadable.json", b"{\"u\":1}");
    let locked = clouds.path("unreadable.json");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o0)).unwrap();
    let mut table: Vec<(&OsStr, &str)> = vec![
        ("loop".as_ref(), "loop cannot be read: "),
        ("dangling".as_ref(), "dangling cannot be read: "),
        ("folder".as_ref(), "folder is a folder"),
        ("/dev/zero".as_ref(), "/dev/zero is not a regular file"),
        (
            "gone\u{1b}[2J\n\r\u{202e}.json".as_ref(),
            "gone\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}.json cannot be read: ",
        ),
        (
            OsStr::from_bytes(b"gone\xff.json"),
            "gone\u{fffd}.json cannot be read: ",
        ),
    ];
    let made = Command::new("mkfifo").arg(clouds.path("pipe")).status();
    assert!(made.is_ok_and(|status| status.success()));
    table.push(("pipe".as_ref(), "pipe is not a regular file"));
    // Permission bits do not bind root.
    if File::open(&locked).is_err() {
        table.push((
            "unreadable.json".as_ref(),
            "unreadable.json cannot be read: ",
        ));
    } else {
        eprintln!("skipped: unreadable.json, which this user may read");
    }
    let mut command = clouds.command(&["seal", "--chain", "aws"]);
    command
        .args(table.iter().map(|(name, _)| *name))
        .arg("one.json");
    let output = within(SEAL_MIB, &command, Stdio::null());
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "sealed 1..1 1 records one.json\n");
    let said = stderr(&output);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), table.len() + 1, "{said}");
    for ((_, expected), line) in table.iter().zip(lines) {
        assert!(
            line.starts_with(&format!("countersign: {expected}")),
            "{line}"
        );
        assert!(line.ends_with("; it was not sealed"), "{line}");
    }
    for arguments in [
        &["check", "pipe", "--policy", "countersign.policy"][..],
        &["check", "one.json", "--policy", "pipe"],
        &["verify", "--config", "pipe"],
        &["prove", "--chain", "aws", "--event", "pipe"],
    ] {
        let output = within(SEAL_MIB, &clouds.command(arguments), Stdio::null());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains("pipe"), "{arguments:?}");
    }
}

#[test]
fn a_name_steers_no_terminal_and_forges_no_line() {
    let clouds = Clouds::new();
    let name = OsString::from("a\nsealed 9..9 1 records b\u{1b}]0;x\u{7}\u{202e}");
    fs::write(clouds.path(&name), b"{\"a\":1}").unwrap();
    let other = OsStr::from_bytes(b"\xff\xfe.json");
    fs::write(clouds.path(other), b"{\"a\":2}").unwrap();
    let mut command = clouds.command(&["seal", "--chain", "aws"]);
    command.arg(&name).arg(other);
    let output = within(SEAL_MIB, &command, Stdio::null());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(
        stdout(&output),
        "sealed 1..1 1 records a\u{fffd}sealed 9..9 1 records b\u{fffd}]0;x\u{fffd}\u{fffd}\n\
         sealed 2..2 1 records \u{fffd}\u{fffd}.json\n"
    );
    // On the command line, too.
    for arguments in [
        &["\u{1b}[31mseal\n"][..],
        &["seal", "--chain", "\u{1b}[31m", "one.json"],
        &["check", "\u{1b}[31m", "--policy", "countersign.policy"],
        &["verify", "--config", "\u{1b}[31m"],
        &["log", "--since", "\u{1b}[31m"],
    ] {
        let output = within(SEAL_MIB, &clouds.command(arguments), Stdio::null());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn a_stdout_that_cannot_be_written_is_told_by_the_status() {
    let clouds = Clouds::new();
    clouds.write("one.json", b"{}");
    let full = || {
        Stdio::from(
            fs::OpenOptions::new()
                .write(true)
                .open("/dev/full")
                .unwrap(),
        )
    };
    for cloud in CLOUDS {
        clouds.expect(0, &["seal", "--chain", cloud, "one.json"]);
    }
    clouds.expect(0, &["anchor"]);
    for arguments in [
        &["seal", "--chain", "aws", "one.json"][..],
        &["verify"],
        &["verify", "--format", "json"],
        &["log"],
        &["prove", "--chain", "aws", "--index", "1"],
        &["canonicalize"],
        &["man"],
        &["completions", "bash"],
        &["--help"],
        &["--version"],
    ] {
        let mut command = clouds.command(arguments);
        command.stdin(File::open(clouds.path("one.json")).unwrap());
        command.stdout(full()).stderr(Stdio::piped());
        let output = ended_well(command);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = stderr(&output);
        assert!(
            said.contains("stdout cannot be written"),
            "{arguments:?} {said}"
        );
    }
}

#[test]
fn closed_streams_crash_nothing() {
    let clouds = Clouds::new();
    let closed = |arguments: &[&str]| {
        let inner = clouds.command(arguments);
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$@\" <&- >&- 2>&-", "sh"]);
        command.arg(inner.get_program()).args(inner.get_args());
        command.current_dir(clouds.path("."));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        ended_well(command).status.code()
    };
    // Of stdin there is nothing.
    assert_eq!(closed(&["seal", "--chain", "aws"]), Some(2));
    assert_eq!(
        closed(&["seal", "--chain", "aws", "countersign.toml"]),
        Some(0)
    );
    assert_eq!(closed(&["canonicalize"]), Some(0));
    assert_eq!(closed(&["verify", "--config", "gone"]), Some(2));
}

/// A file that another program writes to, cuts and removes all the while.
#[test]
fn a_file_that_changes_or_vanishes_is_sealed_whole_or_not() {
    let clouds = Clouds::new();
    let path = clouds.path("moving.ndjson");
    let text = b"{\"a\":1}\n".repeat(200_000);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let outputs: Vec<Output> = std::thread::scope(|scope| {
        scope.spawn(|| -> io::Result<()> {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                fs::write(&path, &text)?;
                File::options().write(true).open(&path)?.set_len(800_000)?;
                fs::remove_file(&path)?;
            }
            Ok(())
        });
        let seal = || {
            within(
                SEAL_MIB,
                &clouds.command(&["seal", "--chain", "aws", "moving.ndjson"]),
                Stdio::null(),
            )
        };
        let outputs = (0..20).map(|_| seal()).collect();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        outputs
    });
    for output in &outputs {
        let (said, sealed) = (stderr(output), stdout(output));
        match output.status.code() {
            Some(0) => assert!(
                sealed.starts_with("sealed ") || sealed.starts_with("already "),
                "{sealed}"
            ),
            Some(2) => assert!(said.starts_with("countersign: moving.ndjson "), "{said}"),
            other => panic!("{other:?} {said}"),
        }
    }
    for cloud in ["azure", "gcp"] {
        clouds.write("one.json", b"{}");
        clouds.expect(0, &["seal", "--chain", cloud, "one.json"]);
    }
    clouds.write("one.json", b"{}");
    clouds.expect(0, &["seal", "--chain", "aws", "one.json"]);
    clouds.expect(0, &["anchor"]);
    clouds.expect(0, &["verify"]);
}
