//! Access from the environment, in a process that has one of its own.

use std::process::Command;

use crate::address::StoreAddress;
use crate::gcp::{Access, GcsHeadStore};
use crate::{HeadError, HeadStore};

/// Set for the process that has the environment.
const TASK: &str = "COUNTERSIGN_TEST_GCP";

#[tokio::test]
async fn in_a_process_of_its_own() {
    if std::env::var_os(TASK).is_none() {
        return;
    }
    let access = Access::from_environment().unwrap();
    let StoreAddress::Gcs(bucket) = StoreAddress::parse("gs://b/p").unwrap() else {
        panic!("a bucket of Google's")
    };
    let loaded = GcsHeadStore::open(&access, &bucket).load("h").await;
    let Err(HeadError::Refused { reason, next, .. }) = &loaded else {
        panic!("{loaded:?}")
    };
    assert!(
        reason.contains("GOOGLE_APPLICATION_CREDENTIALS"),
        "{reason}"
    );
    assert!(reason.contains("/nonexistent/key.json"), "{reason}");
    assert!(
        next.contains("gcloud auth application-default login"),
        "{next}"
    );
}

#[test]
fn credentials_that_cannot_be_read_are_named_at_the_first_call() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "gcp::tests::environment::in_a_process_of_its_own",
        ])
        .arg("--nocapture")
        .env(TASK, "1")
        .env_remove("STORAGE_EMULATOR_HOST")
        .env("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent/key.json")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}
