//! The report by mail, over a real mail server.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use countersign_tests::mails::{Mails, address};

use super::*;

/// Three clouds with a record each, anchored.
fn sealed() -> Clouds {
    let clouds = Clouds::new();
    for cloud in CLOUDS {
        clouds.write("event.json", format!("{{\"of\":\"{cloud}\"}}\n").as_bytes());
        clouds.expect(0, &["seal", "--chain", cloud, "event.json"]);
    }
    clouds.expect(0, &["anchor"]);
    clouds
}

fn mailing(clouds: &Clouds, to: &str, more: &str) {
    let path = clouds.path("countersign.toml");
    let mut settings = fs::read_to_string(&path).unwrap();
    settings += &format!("[mail]\nfrom = \"countersign@example.org\"\nto = [\"{to}\"]\n{more}\n");
    fs::write(path, settings).unwrap();
}

#[test]
fn the_report_is_mailed_over_tls_with_all_that_a_reader_needs() {
    let Some(mails) = Mails::found() else { return };
    let clouds = sealed();
    let to = address("report");
    let password = clouds.path("smtp-password");
    fs::write(&password, "correct horse\n").unwrap();
    fs::set_permissions(&password, Permissions::from_mode(0o600)).unwrap();
    mailing(
        &clouds,
        &to,
        &format!(
            "server = \"localhost:{}\"\nuser = \"countersign\"\npassword = \"file:smtp-password\"",
            mails.port()
        ),
    );
    let mut command = clouds.command(&["verify", "--mail"]);
    command.env("SSL_CERT_FILE", &mails.authority);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains(&to), "{}", stderr(&output));

    let found = mails.to(&to);
    let [mail] = &found[..] else {
        panic!("{found:?}")
    };
    let subject = mail["Subject"].as_str().unwrap();
    assert!(
        subject.starts_with("[countersign] VERIFIED audit.example.org: 3 chains"),
        "{subject}"
    );
    let text = mail["Text"].as_str().unwrap();
    assert!(
        text.contains("Policy enforced") && text.contains("To reproduce"),
        "{text}"
    );
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    let html = mail["HTML"].as_str().unwrap();
    assert!(html.contains("VERIFIED") && html.len() < 100_000);
    for loaded in ["<script", "<img", "src=", "url(", "http:"] {
        assert!(!html.contains(loaded), "{loaded}");
    }
    let attachments = mail["Attachments"].as_array().unwrap();
    let names: Vec<_> = attachments.iter().map(|one| &one["FileName"]).collect();
    assert_eq!(names, ["report.html", "report.json"]);
    let report = mails.attached(mail, "report.json");
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["result"], "verified");
    let id = mail["ID"].as_str().unwrap();
    let headers = mails.json(&format!("/api/v1/message/{id}/headers"));
    assert_eq!(headers["Auto-Submitted"][0], "auto-generated");
    assert!(
        headers["References"][0]
            .as_str()
            .unwrap()
            .contains(".countersign@")
    );
    let raw = String::from_utf8(mails.get(&format!("/api/v1/message/{id}/raw"))).unwrap();
    assert!(!raw.contains("correct horse"));
}

#[test]
fn no_mail_goes_to_a_server_whose_certificate_nobody_vouches_for() {
    let Some(mails) = Mails::found() else { return };
    let clouds = sealed();
    let to = address("stranger");
    mailing(
        &clouds,
        &to,
        &format!("server = \"localhost:{}\"", mails.port()),
    );
    let output = clouds.command(&["verify", "--mail"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("certificate"), "{said}");
    // The report itself was made.
    assert!(stdout(&output).contains("VERIFIED"));
    assert_eq!(mails.to(&to), Vec::<Value>::new());
}

#[test]
fn a_mail_that_cannot_go_out_is_said() {
    let clouds = sealed();
    let output = clouds.command(&["verify", "--mail"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("[mail]"), "{}", stderr(&output));
    // Nothing listens there.
    mailing(
        &clouds,
        "a@example.org",
        "server = \"127.0.0.1:1\"\ntls = \"none\"",
    );
    let output = clouds.command(&["verify", "--mail"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("127.0.0.1:1"),
        "{}",
        stderr(&output)
    );
    for (setting, says) in [
        ("server = \"mail.example.org\"\ntls = \"none\"", "starttls"),
        ("server = \"mail.example.org\"\nuser = \"x\"", "together"),
        ("server = \"mail.example.org\"\nwhen = \"daily\"", "weekly"),
        ("server = \"http://x\"", "HOST:PORT"),
    ] {
        let clouds = Clouds::new();
        mailing(&clouds, "a@example.org", setting);
        let output = clouds.command(&["verify"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(
            stderr(&output).contains(says),
            "{setting}: {}",
            stderr(&output)
        );
    }
}
