//! Access from the environment, in processes that have one of their own.

use std::process::Command;

use super::scripted::{Reply, Server};
use crate::address::StoreAddress;
use crate::gcp::{Access, GcsHeadStore, GcsSealedStore};
use crate::testing::process::passes_alone;
use crate::{GetError, HeadError, HeadStore, Lock, SealedStore};

/// Set for the process that has the environment, to what it should do.
const TASK: &str = "COUNTERSIGN_TEST_GCP";

/// Runs [`in_a_process_of_its_own`] with a variable.
async fn run(task: &str, variable: &str, value: &str) {
    let test = "gcp::tests::environment::in_a_process_of_its_own";
    let set_up = |child: &mut Command| {
        child
            .env(TASK, task)
            .env_remove("STORAGE_EMULATOR_HOST")
            .env(variable, value);
    };
    passes_alone(test, set_up).await;
}

#[tokio::test]
async fn in_a_process_of_its_own() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let access = Access::from_environment().unwrap();
    let StoreAddress::Gcs(bucket) = StoreAddress::parse("gs://b/p").unwrap() else {
        panic!("a bucket of Google's")
    };
    match &*task {
        "read" => {
            let store = GcsSealedStore::open(&access, &bucket, Lock::Off);
            let got = store.get("k", 10).await;
            assert!(matches!(got, Err(GetError::NotFound { .. })), "{got:?}");
        }
        "no credentials" => {
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
        other => panic!("{other}"),
    }
}

/// Nothing else has set up what the SDK's client needs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_call_may_be_one_of_the_sdk() {
    let missing = |_: &_| Reply::storage(404, "notFound", "No such object: b/p/k");
    let server = Server::new(missing).await;
    run("read", "STORAGE_EMULATOR_HOST", server.url()).await;
    assert!(!server.asked().is_empty());
}

#[tokio::test]
async fn credentials_that_cannot_be_read_are_named_at_the_first_call() {
    let file = "/nonexistent/key.json";
    run("no credentials", "GOOGLE_APPLICATION_CREDENTIALS", file).await;
}
