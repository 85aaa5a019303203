//! Access from the environment, in a process that has one of its own.

use std::process::Command;

use bytes::Bytes;

use super::canned::{Answer, Canned};
use crate::aws::{Access, AccessError, DynamoHeadStore, S3SealedStore};
use crate::testing::process::passes_alone;
use crate::{HeadError, HeadStore, Lock, Retention, SealedStore, StoreAddress};

/// Set for the process that has the environment, to what it should do.
const TASK: &str = "COUNTERSIGN_TEST_AWS";

/// Runs [`in_a_process_of_its_own`] with these variables and no others of AWS.
async fn run(task: &str, variables: &[(&str, &str)]) {
    let test = "aws::tests::environment::in_a_process_of_its_own";
    let set_up = |child: &mut Command| {
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
            child.env_remove(name);
        }
        child
            .env(TASK, task)
            // No profile, and no instance to ask.
            .env("HOME", "/nonexistent")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(variables.iter().copied());
    };
    passes_alone(test, set_up).await;
}

#[tokio::test]
async fn in_a_process_of_its_own() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let access = Access::from_environment(None).await.unwrap();
    let StoreAddress::S3(bucket) = StoreAddress::parse("s3://b/p").unwrap() else {
        panic!("an S3 address")
    };
    let opened = S3SealedStore::open(&access, &bucket, Lock::Off);
    match &*task {
        "put" => {
            let store = opened.unwrap();
            store
                .put_new("k", Bytes::new(), Retention::None)
                .await
                .unwrap();
            let heads = DynamoHeadStore::open(&access, "t", None).unwrap();
            assert_eq!(heads.load("h").await.unwrap(), None);
        }
        "no credentials" => {
            let heads = DynamoHeadStore::open(&access, "t", None).unwrap();
            let loaded = heads.load("h").await;
            let Err(HeadError::Refused { reason, next, .. }) = &loaded else {
                panic!("{loaded:?}")
            };
            assert!(reason.contains("no usable AWS credentials"), "{reason}");
            assert!(next.contains("AWS_PROFILE"), "{next}");
        }
        "no region" => assert!(matches!(opened, Err(AccessError::NoRegion { .. }))),
        "plain http" => {
            let error = opened.unwrap_err();
            assert!(error.to_string().contains("AWS_ENDPOINT_URL_S3"), "{error}");
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_environment_gives_credentials_region_and_endpoints() {
    let s3 = Canned::new(vec![Answer::new(200, "")]).await;
    let others = Canned::new(vec![Answer::new(200, "{}")]).await;
    let variables = [
        ("AWS_ACCESS_KEY_ID", "AKIAFROMENV"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "token"),
        ("AWS_REGION", "eu-west-3"),
        ("AWS_ENDPOINT_URL_S3", s3.url()),
        ("AWS_ENDPOINT_URL", others.url()),
    ];
    run("put", &variables).await;
    for requests in [s3.requests(), others.requests()] {
        let [request] = &requests[..] else {
            panic!("{requests:?}")
        };
        for says in [
            "credential=akiafromenv/",
            "/eu-west-3/",
            "x-amz-security-token: token",
        ] {
            assert!(request.contains(says), "{says} in {request}");
        }
    }
    assert!(
        s3.requests()[0].starts_with("put /b/p/k"),
        "the bucket is in the path"
    );
}

#[tokio::test]
async fn what_the_environment_lacks_is_said() {
    run("no region", &[]).await;
    run("no credentials", &[("AWS_REGION", "eu-west-3")]).await;
    let plain = ("AWS_ENDPOINT_URL_S3", "http://s3.example.org");
    run("plain http", &[("AWS_REGION", "eu-west-3"), plain]).await;
}
