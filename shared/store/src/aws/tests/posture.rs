//! What a bucket's settings are found to be.

use aws_sdk_s3::types::{
    DefaultRetention, ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter,
    ObjectLockConfiguration, ObjectLockEnabled, ObjectLockRetentionMode, ObjectLockRule,
};

use bytes::Bytes;

use super::canned::{Answer, Canned};
use super::{UNTIL, admin, new_bucket, store};
use crate::aws::S3SealedStore;
use crate::posture::Lock;
use crate::testing::stand_in;
use crate::{Expected, Knowledge, Retention, SealedStore, Setting, SettingState};

const EXPECTED: Expected = Expected {
    retention_days: 365,
    lock: Lock::Compliance,
};

async fn settings(store: &S3SealedStore, expected: Expected) -> Vec<Setting> {
    match store.posture(expected).await {
        Knowledge::Known(settings) => settings,
        Knowledge::NotApplicable { reason } => panic!("{reason}"),
    }
}

fn state<'a>(settings: &'a [Setting], name: &str) -> &'a SettingState {
    let setting = settings
        .iter()
        .find(|setting| setting.name.starts_with(name));
    &setting
        .unwrap_or_else(|| panic!("{name}: {settings:?}"))
        .state
}

fn is_open(state: &SettingState) -> Option<bool> {
    match state {
        SettingState::Weak { open, .. } => Some(*open),
        _ => None,
    }
}

fn holds(state: &SettingState) -> bool {
    matches!(state, SettingState::Holds { .. })
}

#[tokio::test]
async fn a_locked_bucket_holds_once_its_default_is_long_enough() {
    let Some(endpoint) = stand_in("STANDIN_S3") else {
        return;
    };
    let bucket = new_bucket(&endpoint, true).await;
    let store = store(&endpoint, &bucket, "p", Lock::Compliance);
    let seen = settings(&store, EXPECTED).await;
    assert!(holds(state(&seen, "Object Lock")), "{seen:?}");
    assert!(holds(state(&seen, "Versioning")), "{seen:?}");
    assert!(holds(state(&seen, "Lifecycle")), "{seen:?}");
    assert_eq!(is_open(state(&seen, "Default retention")), Some(false));

    let admin = admin(&endpoint);
    for (mode, days, enough) in [
        (ObjectLockRetentionMode::Governance, 365, false),
        (ObjectLockRetentionMode::Compliance, 364, false),
        (ObjectLockRetentionMode::Compliance, 365, true),
    ] {
        let default = DefaultRetention::builder().mode(mode).days(days).build();
        let rule = ObjectLockRule::builder().default_retention(default).build();
        let configuration = ObjectLockConfiguration::builder()
            .object_lock_enabled(ObjectLockEnabled::Enabled)
            .rule(rule)
            .build();
        admin
            .put_object_lock_configuration()
            .bucket(&bucket)
            .object_lock_configuration(configuration)
            .send()
            .await
            .unwrap();
        let seen = settings(&store, EXPECTED).await;
        let default = state(&seen, "Default retention");
        assert_eq!(holds(default), enough, "{default:?}");
    }

    for (prefix, days, enough) in [
        ("p/segments/", 400, true),
        ("q/", 1, true),
        ("p/s", 30, false),
    ] {
        let expiration = LifecycleExpiration::builder().days(days).build();
        let rule = LifecycleRule::builder()
            .id("rule-1")
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().prefix(prefix).build())
            .expiration(expiration)
            .build()
            .unwrap();
        let rules = aws_sdk_s3::types::BucketLifecycleConfiguration::builder()
            .rules(rule)
            .build()
            .unwrap();
        let put = admin.put_bucket_lifecycle_configuration().bucket(&bucket);
        put.lifecycle_configuration(rules).send().await.unwrap();
        let seen = settings(&store, EXPECTED).await;
        let lifecycle = state(&seen, "Lifecycle");
        assert_eq!(holds(lifecycle), enough, "{prefix}: {lifecycle:?}");
        if !enough {
            assert_eq!(is_open(lifecycle), Some(true));
        }
    }
}

#[tokio::test]
async fn a_bucket_without_lock_and_versions_is_open() {
    let Some(endpoint) = stand_in("STANDIN_S3") else {
        return;
    };
    let bucket = new_bucket(&endpoint, false).await;
    let store = store(&endpoint, &bucket, "", Lock::Off);
    let seen = settings(&store, EXPECTED).await;
    assert_eq!(is_open(state(&seen, "Object Lock")), Some(true), "{seen:?}");
    assert_eq!(is_open(state(&seen, "Versioning")), Some(true), "{seen:?}");
    let off = Expected {
        lock: Lock::Off,
        ..EXPECTED
    };
    let seen = settings(&store, off).await;
    assert!(holds(state(&seen, "Object Lock")), "{seen:?}");
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let denied = Answer::s3(403, "AccessDenied", "Access Denied");
    let server = Canned::new(vec![denied]).await;
    let seen = settings(&store(server.url(), "b", "", Lock::Off), EXPECTED).await;
    let mut named: Vec<_> = seen
        .iter()
        .map(|setting| match &setting.state {
            SettingState::Unknown {
                permission: Some(permission),
                ..
            } => permission.as_str(),
            other => panic!("{}: {other:?}", setting.name),
        })
        .collect();
    named.dedup();
    assert_eq!(
        named,
        [
            "s3:GetBucketObjectLockConfiguration",
            "s3:GetBucketVersioning",
            "s3:GetBucketPolicy",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetLifecycleConfiguration",
            "s3:GetReplicationConfiguration",
            "s3:GetEncryptionConfiguration",
            "s3:GetBucketOwnershipControls",
        ]
    );
}

#[tokio::test]
async fn what_a_server_does_not_know_is_unknown_and_names_no_permission() {
    let answer = Answer::s3(501, "NotImplemented", "x");
    let server = Canned::new(vec![answer]).await;
    let seen = settings(&store(server.url(), "b", "", Lock::Off), EXPECTED).await;
    assert!(seen.len() > 8, "{seen:?}");
    for setting in seen {
        let unknown = SettingState::Unknown {
            reason: "NotImplemented: x".to_owned(),
            permission: None,
        };
        assert_eq!(setting.state, unknown, "{}", setting.name);
    }
}

#[tokio::test]
async fn what_the_policy_does_not_deny_is_said_with_the_statement_that_does() {
    let statement = |action: &str, resource: &str, condition: &str| {
        format!(
            r#"{{"Effect":"Deny","Principal":"*","Action":"{action}","Resource":"arn:aws:s3:::{resource}"{condition}}}"#
        )
    };
    let document = format!(
        r#"{{"Statement":[{},{},{},{}]}}"#,
        statement("s3:DeleteObject*", "b/p/*", ""),
        statement(
            "s3:PutObject",
            "b/*",
            r#","Condition":{"Null":{"s3:if-none-match":"true"}}"#
        ),
        statement("s3:BypassGovernanceRetention", "b/*", ""),
        statement("s3:Replicate*", "b/p/segments/*", ""),
    );
    // Every question gets the policy; the others cannot make sense of it.
    let server = Canned::new(vec![Answer::new(200, document)]).await;
    let seen = settings(&store(server.url(), "b", "p", Lock::Off), EXPECTED).await;
    for (name, expected) in [
        ("Bucket policy: deletions", true),
        ("Bucket policy: create-only puts", true),
        ("Bucket policy: weaker locks", false),
        ("Bucket policy: replication", false),
        ("Bucket policy: TLS", false),
    ] {
        assert_eq!(holds(state(&seen, name)), expected, "{name}: {seen:?}");
    }
    let SettingState::Weak { found, mend, .. } = state(&seen, "Bucket policy: weaker locks") else {
        panic!("it is weak")
    };
    assert!(!found.contains("Bypass"), "{found}");
    assert!(
        found.contains("s3:PutBucketObjectLockConfiguration"),
        "{found}"
    );
    assert!(mend.contains(r#""Effect":"Deny""#), "{mend}");
    // The other parts of a chain are not denied.
    let found = state(&seen, "Bucket policy: replication");
    assert_eq!(is_open(found), Some(false));
}

#[tokio::test]
async fn a_key_of_ones_own_is_a_way_to_destroy_everything() {
    let configuration = |algorithm: &str, key: &str| {
        format!(
            "<?xml version=\"1.0\"?><ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
             <SSEAlgorithm>{algorithm}</SSEAlgorithm>{key}</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
        )
    };
    let key = |id: &str| format!("<KMSMasterKeyID>{id}</KMSMasterKeyID>");
    for (body, expected) in [
        (configuration("AES256", ""), true),
        (configuration("aws:kms", ""), true),
        (
            configuration("aws:kms", &key("arn:aws:kms:r:1:alias/aws/s3")),
            true,
        ),
        (
            configuration("aws:kms", &key("arn:aws:kms:r:1:key/x")),
            false,
        ),
    ] {
        let server = Canned::new(vec![Answer::new(200, body.clone())]).await;
        let seen = settings(&store(server.url(), "b", "", Lock::Off), EXPECTED).await;
        assert_eq!(
            holds(state(&seen, "Encryption")),
            expected,
            "{body}: {seen:?}"
        );
    }
}

#[tokio::test]
async fn the_statements_that_are_told_make_a_bucket_hold() {
    let Some(endpoint) = stand_in("STANDIN_S3") else {
        return;
    };
    let bucket = new_bucket(&endpoint, true).await;
    let store = store(&endpoint, &bucket, "p", Lock::Compliance);
    let of_policy = |settings: Vec<Setting>| {
        settings
            .into_iter()
            .filter(|setting| setting.name.starts_with("Bucket policy"))
            .map(|setting| setting.state)
    };
    let statements: Vec<_> = of_policy(settings(&store, EXPECTED).await)
        .map(|state| match state {
            SettingState::Weak { mend, .. } => mend[mend.find('{').unwrap()..].to_owned(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(statements.len(), 5);
    let document = format!(
        r#"{{"Version":"2012-10-17","Statement":[{}]}}"#,
        statements.join(",")
    );
    let admin = admin(&endpoint);
    let put = admin.put_bucket_policy().bucket(&bucket).policy(document);
    put.send().await.unwrap();
    for state in of_policy(settings(&store, EXPECTED).await) {
        assert!(holds(&state), "{state:?}");
    }

    // And they keep from happening what they are for, and nothing else.
    let one = Bytes::from_static(b"1");
    store
        .put_new("k", one.clone(), Retention::Until(UNTIL))
        .await
        .unwrap();
    assert_eq!(store.get("k", 1).await.unwrap(), one);
    let over = admin.put_object().bucket(&bucket).key("p/k");
    assert!(over.send().await.is_err());
    let delete = admin.delete_object().bucket(&bucket).key("p/k");
    assert!(delete.send().await.is_err());
}
