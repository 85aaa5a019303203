//! What contradicts is mailed at once by whichever cloud's function sees it, and
//! what a scheduled verification finds goes out as the settings say.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use countersign_tests::mails::{Mails, address};
use countersign_tests::{CLOUDS, Clouds, copy_folder};
use serde_json::Value;

use super::Deployed;

async fn sealed(clouds: &Clouds, cloud: &str, text: &str) {
    let event = format!("{{\"text\":\"{text}\"}}").into_bytes();
    let (_, errors) = clouds.seal(cloud, vec![(text.to_owned(), event)]).await;
    assert!(errors.is_empty(), "{errors:?}");
}

/// Puts a cloud back to what it was in a copy, as its administrator can.
fn put_back(clouds: &Clouds, copy: &Clouds, cloud: &str) {
    fs::remove_dir_all(clouds.path(cloud)).unwrap();
    copy_folder(&copy.path(cloud), &clouds.path(cloud));
}

/// Three chains that were countersigned, and the function of `witness` that is
/// shown another history of `victim`: one as long (a fork) or an older one.
async fn alarms(victim: &'static str, witness: &'static str, fork: bool) {
    let Some(mails) = Mails::found() else { return };
    let Some(deployed) = Deployed::in_folders().await else {
        return;
    };
    let clouds = &deployed.clouds;
    let to = address("alarm");
    deployed.add_settings(&mails.settings(&to, "failure"));
    for cloud in CLOUDS {
        sealed(clouds, cloud, "first").await;
    }
    assert_eq!(clouds.anchor().await.exit_code(), 0);
    let before = clouds.copy();
    sealed(clouds, victim, "what happened").await;
    assert_eq!(clouds.anchor().await.exit_code(), 0);
    // All is well until then, and nothing is mailed.
    assert_eq!(deployed.scheduled(witness, "anchor"), Ok(()));
    assert_eq!(mails.to(&to), Vec::<Value>::new());

    if fork {
        sealed(&before, victim, "what is said").await;
        assert_eq!(before.anchor().await.exit_code(), 0);
    }
    put_back(clouds, &before, victim);
    let anchors = clouds.named(witness, "anchors/").len();
    let error = deployed.scheduled(witness, "anchor").unwrap_err();
    let origin = format!("audit.example.org/{victim}");
    assert!(
        error.contains("ALARM") && error.contains(&origin),
        "{error}"
    );
    let evidence = clouds.named(witness, "evidence/");
    assert!(!evidence.is_empty());
    // The third cloud's chain may be countersigned, the victim's is not.
    assert!(clouds.named(witness, "anchors/").len() <= anchors + 1);

    let found = mails.to(&to);
    let [mail] = &found[..] else {
        panic!("{found:?}")
    };
    let subject = mail["Subject"].as_str().unwrap();
    assert!(
        subject.starts_with("[countersign] ALARM audit.example.org"),
        "{subject}"
    );
    for body in ["Text", "HTML"] {
        let body = mail[body].as_str().unwrap();
        let joined = body.split_whitespace().collect::<Vec<_>>().join(" ");
        for says in [&*origin, "contradicts", "Do not delete anything"] {
            assert!(joined.contains(says), "{says}: {joined}");
        }
    }
    // As long as it stands, each run says so again.
    assert!(deployed.scheduled(witness, "anchor").is_err());
    assert_eq!(mails.to(&to).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_function_of_azure_mails_a_fork_of_aws() {
    alarms("aws", "azure", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_function_of_google_cloud_mails_a_rollback_of_azure() {
    alarms("azure", "gcp", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_function_of_aws_mails_a_fork_of_google_cloud() {
    alarms("gcp", "aws", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_mailed_every_time_and_good_reports_once_a_week() {
    let Some(mails) = Mails::found() else { return };
    for cloud in CLOUDS {
        let Some(deployed) = Deployed::in_folders().await else {
            return;
        };
        let clouds = &deployed.clouds;
        let to = address("schedule");
        deployed.add_settings(&mails.settings(&to, "weekly"));
        deployed.add_settings(&format!(
            "[report]\nchain = \"{cloud}\"\nkey = \"file:keys/report.seed\"\nstate = \"file:{cloud}/state\"\n"
        ));
        let key = clouds.path("keys/report.seed");
        fs::write(&key, format!("{}\n", "5a".repeat(32))).unwrap();
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        for chain in CLOUDS {
            sealed(clouds, chain, "first").await;
        }
        assert_eq!(clouds.anchor().await.exit_code(), 0);
        let told = |count: usize| {
            let found = mails.to(&to);
            assert_eq!(found.len(), count, "{found:?}");
            found[0]["Subject"].as_str().unwrap().to_owned()
        };
        for _ in 0..2 {
            assert_eq!(deployed.scheduled(cloud, "verify"), Ok(()));
            assert!(told(1).contains("VERIFIED"));
        }
        // What was found in order before is not read each time: what is new is.
        sealed(clouds, "azure", "second").await;
        let names = clouds.named("azure", "segments/");
        let name = names.last().unwrap();
        let bytes = clouds.objects("azure")[name].clone();
        clouds.replace("azure", name, b"another");
        for count in [2, 3] {
            let error = deployed.scheduled(cloud, "verify").unwrap_err();
            assert!(error.contains("FAILED"), "{error}");
            assert!(told(count).contains("FAILED"));
        }
        clouds.replace("azure", name, &bytes);
        // It is well again, and the week is not over.
        assert_eq!(deployed.scheduled(cloud, "verify"), Ok(()));
        told(3);
        // Nor is a run that could not read all passed over in silence.
        let other = if cloud == "gcp" { "aws" } else { "gcp" };
        let (here, away) = (clouds.path(other), clouds.path("away"));
        fs::rename(&here, &away).unwrap();
        let error = deployed.scheduled(cloud, "verify").unwrap_err();
        assert!(error.contains("INCOMPLETE"), "{error}");
        assert!(told(4).contains("INCOMPLETE"));
        fs::rename(&away, &here).unwrap();
    }
}
