//! What `scripts/build` packs, with files in place of built programs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const FUNCTIONS: [&str; 9] = [
    "aws-anchor",
    "aws-seal",
    "aws-verify",
    "azure-anchor",
    "azure-seal",
    "azure-verify",
    "gcp-anchor",
    "gcp-seal",
    "gcp-verify",
];

/// A folder with a program for each function, whose content is its name.
fn programs() -> TempDir {
    let folder = TempDir::new().unwrap();
    for function in FUNCTIONS {
        fs::write(folder.path().join(function), function).unwrap();
    }
    folder
}

fn build(programs: &Path, to: &Path, more: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut command = Command::new(root.join("scripts/build"));
    command.arg("--programs").arg(programs).arg("--to").arg(to);
    // Where there is no repository, as in a source archive, the time is given.
    command.env("SOURCE_DATE_EPOCH", "1764000000");
    command.args(more).output().unwrap()
}

#[track_caller]
fn built(programs: &Path, more: &[&str]) -> TempDir {
    let to = TempDir::new().unwrap();
    let output = build(programs, to.path(), more);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    to
}

/// The files of a package, unpacked as a platform does, and whether each may run.
fn unpacked(package: &Path) -> BTreeMap<String, (String, bool)> {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let mut command = match package.extension().unwrap().to_str().unwrap() {
        "zip" => {
            let mut command = Command::new("unzip");
            command.arg("-q").arg(package).arg("-d").arg(folder.path());
            command
        }
        _ => {
            let mut command = Command::new("tar");
            command
                .arg("-xzpf")
                .arg(package)
                .arg("-C")
                .arg(folder.path());
            command
        }
    };
    assert!(command.status().unwrap().success());
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.path().to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder.path()).unwrap();
            let runs = fs::metadata(&path).unwrap().permissions().mode() & 0o111 == 0o111;
            let content = fs::read_to_string(&path).unwrap();
            found.insert(name.to_str().unwrap().to_owned(), (content, runs));
        }
    }
    found
}

fn package(folder: &Path, function: &str) -> PathBuf {
    let ending = if function.starts_with("gcp") {
        "tar.gz"
    } else {
        "zip"
    };
    folder.join(format!("{function}.{ending}"))
}

#[test]
fn each_function_has_a_package_in_its_platforms_layout() {
    let programs = programs();
    let to = built(programs.path(), &[]);
    let sums = fs::read_to_string(to.path().join("SHA256SUMS")).unwrap();
    assert_eq!(sums.lines().count(), FUNCTIONS.len());
    for function in FUNCTIONS {
        let package = package(to.path(), function);
        let name = package.file_name().unwrap().to_str().unwrap();
        assert!(sums.contains(&format!("  {name}\n")), "{sums}");
        let (cloud, job) = function.split_once('-').unwrap();
        let mut files = unpacked(&package);
        let program = match cloud {
            "aws" => "bootstrap",
            "azure" => "handler",
            _ => "service",
        };
        // The program may run, nothing else may.
        assert_eq!(files.remove(program), Some((function.to_owned(), true)));
        if cloud == "azure" {
            let mut of = |name: &str| {
                let (text, runs) = files.remove(name).unwrap();
                assert!(!runs, "{name}");
                serde_json::from_str::<Value>(&text).unwrap()
            };
            let host = of("host.json");
            let handler = &host["customHandler"]["description"]["defaultExecutablePath"];
            assert_eq!(handler, program);
            check_trigger(job, &of(&format!("{job}/function.json")));
        }
        assert_eq!(files, BTreeMap::new(), "{function}");
    }
}

/// What the host posts depends on these: see `functions/azure`.
fn check_trigger(job: &str, function: &Value) {
    let trigger = &function["bindings"][0];
    assert_eq!(function["bindings"].as_array().unwrap().len(), 1);
    if job == "seal" {
        assert_eq!(trigger["type"], "eventHubTrigger");
        assert_eq!(trigger["name"], "events");
        assert_eq!(trigger["cardinality"], "many");
        assert_eq!(trigger["dataType"], "binary");
        // Without it a failed batch is passed over.
        assert_eq!(function["retry"]["maxRetryCount"], -1);
    } else {
        assert_eq!(trigger["type"], "timerTrigger");
    }
}

#[test]
fn the_same_programs_give_the_same_bytes() {
    let programs = programs();
    let (one, other) = (built(programs.path(), &[]), built(programs.path(), &[]));
    for function in FUNCTIONS {
        let read = |folder: &TempDir| fs::read(package(folder.path(), function)).unwrap();
        assert_eq!(read(&one), read(&other), "{function}");
    }
}

#[test]
fn what_is_deployed_carries_its_settings_and_policy() {
    let programs = programs();
    let deployment = TempDir::new().unwrap();
    let settings = deployment.path().join("prod.toml");
    fs::write(&settings, "domain = \"d\"\npolicy = \"prod.policy\"\n").unwrap();
    let option = [
        "--settings",
        settings.to_str().unwrap(),
        "gcp-seal",
        "aws-seal",
    ];
    let refused = build(programs.path(), TempDir::new().unwrap().path(), &option);
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("run countersign init first"), "{told}");

    fs::write(deployment.path().join("prod.policy"), "log\n").unwrap();
    let to = built(programs.path(), &option);
    for (function, program) in [("gcp-seal", "service"), ("aws-seal", "bootstrap")] {
        let files = unpacked(&package(to.path(), function));
        let mut expected = ["countersign.toml", "prod.policy", program];
        expected.sort_unstable();
        assert!(files.keys().eq(expected), "{files:?}");
        assert_eq!(files["prod.policy"], ("log\n".to_owned(), false));
    }
    assert!(!package(to.path(), "azure-seal").exists());

    fs::write(&settings, "policy = \"prod.policy\"\nkey = \"file:seed\"\n").unwrap();
    let refused = build(programs.path(), TempDir::new().unwrap().path(), &option);
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("folders of this machine"), "{told}");
}

#[test]
fn what_is_not_there_is_said() {
    let programs = programs();
    fs::remove_file(programs.path().join("gcp-verify")).unwrap();
    for (option, part) in [
        ("gcp-verify", "there is no"),
        ("gcp-verifi", "there is no function 'gcp-verifi'"),
    ] {
        let refused = build(programs.path(), TempDir::new().unwrap().path(), &[option]);
        assert_eq!(refused.status.code(), Some(2));
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(told.contains(part), "{told}");
    }
}
