//! The demonstration over the servers that stand in for the clouds.

use std::fs;

use tempfile::TempDir;

use super::{binary, stderr, stdout};

#[test]
fn without_stand_ins_it_says_how_to_start_them() {
    let folder = TempDir::new().unwrap();
    for (address, expected) in [
        (None, "scripts/services up"),
        (Some("http://example.org"), "STANDIN_S3 is refused"),
        (Some("http://127.0.0.1:1"), "STANDIN_AWS is not set"),
    ] {
        let mut command = binary();
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("STANDIN_") {
                command.env_remove(name);
            }
        }
        if let Some(address) = address {
            command.env("STANDIN_S3", address);
        }
        let dir = folder.path().join("demo");
        command.current_dir(folder.path());
        command.args(["demo", "--stores", "emulators", "--dir"]);
        let output = command.arg(&dir).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
        assert!(!dir.exists(), "nothing was begun");
    }
}

#[test]
fn what_administrators_do_to_three_clouds_is_refused_or_found() {
    if countersign_tests::stand_in("STANDIN_S3").is_none() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("demo");
    let mut command = binary();
    command.current_dir(folder.path());
    command.args(["demo", "--stores", "emulators", "--dir"]);
    let output = command.arg(&dir).output().unwrap();
    let shown = stdout(&output);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{shown}\n{}",
        stderr(&output)
    );

    // As many as there are, over all clouds, each with its code.
    let rows = |word: &str| {
        let rows = shown.lines().filter(|line| line.starts_with("   "));
        let of_word = format!("  {word}  ");
        rows.filter(|line| line.contains(&of_word))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (refused, failed) = (rows("refused"), rows("failed "));
    assert_eq!((refused.len(), failed.len()), (12, 18), "{shown}");
    for cloud in ["aws", "azure", "gcp"] {
        let of_cloud = |row: &&String| row.starts_with(&format!("   {cloud}: "));
        assert!(refused.iter().filter(of_cloud).count() >= 3, "{shown}");
        assert!(failed.iter().filter(of_cloud).count() >= 3, "{shown}");
    }
    for row in &refused {
        assert!(row.contains(" 403 ") || row.contains(" 409 ") || row.contains(" 400 "));
    }
    assert!(failed.iter().all(|row| row.contains("CS-")), "{shown}");
    assert!(
        refused.iter().chain(&failed).all(|row| row.len() <= 80),
        "{shown}"
    );
    assert_eq!(shown.matches("   verified: all undone, ").count(), 2);
    assert!(!shown.contains('\u{1b}'), "no colour in a pipe");

    for (report, word) in [
        ("report.html", "VERIFIED"),
        ("governance/report.html", "VERIFIED"),
        ("tampered/1-aws-delete-marker/report.html", "FAILED"),
        ("tampered/18-gcp-removed-anchor/report.html", "FAILED"),
    ] {
        let page = fs::read_to_string(dir.join(report)).unwrap();
        assert!(page.contains(&format!("<h1>{word}</h1>")), "{report}");
    }

    // The other commands reach the stores with what the demo left, and it is
    // nobody else's to read.
    let environment = dir.join("env");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(&environment).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let text = fs::read_to_string(&environment).unwrap();
    let mut verify = binary();
    for line in text.lines() {
        let (name, value) = line.split_once('=').unwrap();
        verify.env(name, value.trim_matches('\''));
    }
    let config = dir.join("countersign.toml");
    let output = verify.arg("verify").arg("--config").arg(config).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    for secret in ["minioadmin", "sig="] {
        assert!(!shown.contains(secret) && !stdout(&output).contains(secret));
    }
}
