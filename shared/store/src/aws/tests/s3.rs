//! The sealed store over a server that keeps locks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use bytes::Bytes;

use super::super::failure::{self, Asked};
use super::{UNTIL, admin, fresh_name, new_bucket, store};
use crate::address::Bucket;
use crate::aws::{Access, S3SealedStore};
use crate::conformance::{self, Scope};
use crate::failure::Failure;
use crate::posture::Lock;
use crate::testing::stand_in;
use crate::{
    GetError, Knowledge, ListError, ObjectPages, PutError, Retention, SealedStore, VersionLock,
};

fn scope(many: usize, retention: Retention) -> Scope {
    Scope {
        many,
        retention,
        ..Scope::new("suite")
    }
}

async fn conforms(endpoint: &str, lock: Lock, scope: &Scope) {
    let bucket = new_bucket(endpoint, lock != Lock::Off).await;
    let store = store(endpoint, &bucket, "chains/a", lock);
    assert_eq!(store.describe(), format!("s3://{bucket}/chains/a"));
    conformance::sealed_store(Arc::new(store), scope).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sealed_store_conforms_in_governance_mode() {
    let Some(endpoint) = stand_in("STANDIN_S3") else {
        return;
    };
    let scope = scope(1_150, Retention::Until(UNTIL));
    conforms(&endpoint, Lock::Governance, &scope).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sealed_store_conforms_in_compliance_mode() {
    let Some(endpoint) = stand_in("STANDIN_S3") else {
        return;
    };
    let scope = scope(150, Retention::Until(UNTIL));
    conforms(&endpoint, Lock::Compliance, &scope).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sealed_store_conforms_without_a_lock() {
    let Some(endpoint) = stand_in("STANDIN_S3") else {
        return;
    };
    conforms(&endpoint, Lock::Off, &scope(50, Retention::None)).await;
}

#[tokio::test]
async fn a_store_may_be_a_whole_bucket() {
    let Some(endpoint) = stand_in("STANDIN_S3") else {
        return;
    };
    let bucket = new_bucket(&endpoint, true).await;
    let whole = store(&endpoint, &bucket, "", Lock::Governance);
    let part = store(&endpoint, &bucket, "part", Lock::Governance);
    let one = Bytes::from_static(b"1");
    for key in ["a", "part/b", "parts"] {
        whole
            .put_new(key, one.clone(), Retention::Until(UNTIL))
            .await
            .unwrap();
    }
    assert_eq!(part.get("b", 1).await.unwrap(), one);
    let keys = async |store: &S3SealedStore| {
        let objects = ObjectPages::new(store, "").collect().await.unwrap();
        objects
            .into_iter()
            .map(|object| object.key)
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&whole).await, ["a", "part/b", "parts"]);
    assert_eq!(keys(&part).await, ["b"]);
}

#[tokio::test]
async fn a_missing_bucket_is_said() {
    let Some(endpoint) = stand_in("STANDIN_S3") else {
        return;
    };
    let missing = store(&endpoint, &fresh_name("missing"), "p", Lock::Governance);
    conformance::missing_sealed_store(&missing).await;
    let versions = missing.versions("", None).await;
    assert!(
        matches!(versions, Err(ListError::NoStore { .. })),
        "{versions:?}"
    );
}

#[tokio::test]
async fn nothing_removes_a_locked_version() {
    let Some(endpoint) = stand_in("STANDIN_S3") else {
        return;
    };
    let bucket = new_bucket(&endpoint, true).await;
    let store = store(&endpoint, &bucket, "", Lock::Compliance);
    store
        .put_new("k", Bytes::from_static(b"1"), Retention::Until(UNTIL))
        .await
        .unwrap();
    let admin = admin(&endpoint);
    let Knowledge::Known(page) = store.versions("", None).await.unwrap() else {
        panic!("a bucket has versions")
    };
    let version = &page.versions[0];
    let asked = Asked {
        permission: "s3:DeleteObjectVersion",
        resource: "x",
    };

    let removed = admin
        .delete_object()
        .bucket(&bucket)
        .key("k")
        .version_id(&version.version)
        .bypass_governance_retention(true)
        .send()
        .await;
    let failure = failure::of(&removed.unwrap_err(), asked);
    assert!(matches!(failure, Failure::Refused { .. }), "{failure:?}");

    let sooner = aws_sdk_s3::types::ObjectLockRetention::builder()
        .mode(aws_sdk_s3::types::ObjectLockRetentionMode::Compliance)
        .retain_until_date(aws_sdk_s3::primitives::DateTime::from_secs(2_000_000_000))
        .build();
    let shortened = admin
        .put_object_retention()
        .bucket(&bucket)
        .key("k")
        .version_id(&version.version)
        .retention(sooner)
        .bypass_governance_retention(true)
        .send()
        .await;
    let failure = failure::of(&shortened.unwrap_err(), asked);
    assert!(matches!(failure, Failure::Refused { .. }), "{failure:?}");

    let Knowledge::Known(after) = store.versions("", None).await.unwrap() else {
        panic!("a bucket has versions")
    };
    assert_eq!(after, page, "nothing has changed");
    let VersionLock::Until { millis, .. } = after.versions[0].lock else {
        panic!("it is locked: {after:?}")
    };
    assert_eq!(millis, UNTIL.div_ceil(1000) * 1000, "in whole seconds");
}

#[tokio::test]
async fn a_locked_put_to_a_bucket_without_locks_is_refused() {
    let Some(endpoint) = stand_in("STANDIN_S3") else {
        return;
    };
    let bucket = new_bucket(&endpoint, false).await;
    let store = store(&endpoint, &bucket, "", Lock::Governance);
    let put = store
        .put_new("k", Bytes::new(), Retention::Until(UNTIL))
        .await;
    let Err(PutError::Refused { reason, next, .. }) = &put else {
        panic!("{put:?}")
    };
    assert!(next.contains("Object Lock"), "{reason}; {next}");
}

#[tokio::test]
async fn a_retention_that_has_ended_is_refused() {
    let Some(endpoint) = stand_in("STANDIN_S3") else {
        return;
    };
    let bucket = new_bucket(&endpoint, true).await;
    let store = store(&endpoint, &bucket, "", Lock::Governance);
    let put = store
        .put_new("k", Bytes::new(), Retention::Until(1_000_000_000_000))
        .await;
    let Err(PutError::Refused { next, .. }) = &put else {
        panic!("{put:?}")
    };
    assert!(next.contains("clock"), "{next}");
}

#[tokio::test]
async fn a_key_that_is_too_long_with_the_prefix_is_refused() {
    let store = store("http://127.0.0.1:1", "b", "prefix", Lock::Off);
    let key = "k".repeat(1_020);
    let put = store.put_new(&key, Bytes::new(), Retention::None).await;
    assert!(matches!(put, Err(PutError::Refused { .. })), "{put:?}");
    let got = store.get(&key, 1).await;
    assert!(matches!(got, Err(GetError::Refused { .. })), "{got:?}");
}

#[tokio::test]
async fn wrong_credentials_are_said_within_thirty_seconds() {
    let Some(endpoint) = stand_in("STANDIN_S3") else {
        return;
    };
    let name = new_bucket(&endpoint, true).await;
    let bucket = Bucket {
        name,
        prefix: String::new(),
        region: None,
    };
    let with = |key: &str, secret: &str| {
        let credentials = Credentials::new(key, secret, None, None, "test");
        Access::new(credentials, Some(super::REGION), Some(&endpoint)).unwrap()
    };
    let unknown = with("nobody0nobody0", "nobody0nobody0");
    let wrong = with("minioadmin", "not-the-secret");
    for (access, says) in [
        (&unknown, "AWS does not know these credentials"),
        (&wrong, "the secret key does not belong"),
    ] {
        let store = S3SealedStore::open(access, &bucket, Lock::Off).unwrap();
        let began = Instant::now();
        let put = store.put_new("k", Bytes::new(), Retention::None).await;
        assert!(matches!(put, Err(PutError::Refused { .. })), "{put:?}");
        let got = store.get("k", 1).await;
        assert!(matches!(got, Err(GetError::Refused { .. })), "{got:?}");
        let listed = store.list("", None).await;
        assert!(
            matches!(listed, Err(ListError::Refused { .. })),
            "{listed:?}"
        );
        for error in [
            put.unwrap_err().to_string(),
            got.unwrap_err().to_string(),
            listed.unwrap_err().to_string(),
        ] {
            assert!(error.contains(says), "{error}");
            assert!(!error.contains("not-the-secret"), "{error}");
        }
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}

#[tokio::test]
async fn objects_that_nobody_of_us_named_are_listed_as_such() {
    let Some(endpoint) = stand_in("STANDIN_S3") else {
        return;
    };
    let bucket = new_bucket(&endpoint, true).await;
    let admin = admin(&endpoint);
    let mut planted = ["a b+c%d&e", "caf\u{e9}", "x?y=1", "ok"].map(str::to_owned);
    planted.sort();
    for key in &planted {
        admin
            .put_object()
            .bucket(&bucket)
            .key(format!("p/{key}"))
            .send()
            .await
            .unwrap();
    }
    let store = store(&endpoint, &bucket, "p", Lock::Off);
    let listed = ObjectPages::new(&store, "").collect().await.unwrap();
    let seen: Vec<_> = listed.iter().map(|object| object.key.clone()).collect();
    assert_eq!(seen, planted);
    assert!(
        listed
            .iter()
            .all(|object| object.valid_name == (object.key == "ok"))
    );
    let Knowledge::Known(page) = store.versions("", None).await.unwrap() else {
        panic!("a bucket has versions")
    };
    let seen: Vec<_> = page.versions.iter().map(|version| &version.key).collect();
    assert_eq!(seen, planted.iter().collect::<Vec<_>>());
}
