//! What is made of a bucket's settings, and of what it says of its objects.

use super::answers::{BUCKET, denied, sealed};
use super::scripted::{Reply, Server};
use crate::posture::{Aspect, Expected, Lock, Setting, SettingState};
use crate::sealed::{Knowledge, LockMode, ObjectVersion, SealedStore, VersionLock};

const LOCKED: &str = r#""retentionPolicy":{"retentionPeriod":"31536000","isLocked":true,"effectiveTime":"2026-01-01T00:00:00.000Z"}"#;
const UNLOCKED: &str = r#""retentionPolicy":{"retentionPeriod":"31536000","effectiveTime":"2026-01-01T00:00:00.000Z"}"#;

/// A store whose bucket has these settings and lists these objects.
async fn listed(settings: Option<&str>, live: &str, removed: &str) -> Vec<ObjectVersion> {
    let settings = settings.map(|settings| format!("{{{settings}}}"));
    let (live, removed) = (live.to_owned(), removed.to_owned());
    let server = Server::new(move |asked| {
        if asked.is("GET", BUCKET) {
            return settings
                .clone()
                .map_or_else(|| denied("storage.buckets.get"), Reply::json);
        }
        let items = if asked.line.contains("softDeleted=true") {
            &removed
        } else {
            assert!(asked.line.contains("versions=true"), "{}", asked.line);
            &live
        };
        Reply::json(format!(r#"{{"items":[{items}]}}"#))
    })
    .await;
    match sealed(&server).versions("", None).await.expect("it lists") {
        Knowledge::Known(page) => {
            assert!(!page.more);
            page.versions
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_version_tells_until_when_it_is_retained_and_how_firmly() {
    let retained = r#"{"name":"a","size":"1","generation":"5","retentionExpirationTime":"2027-01-15T08:00:00.250Z"}"#;
    let own = r#"{"name":"a","size":"1","generation":"5","retentionExpirationTime":"2027-01-15T08:00:00.250Z","retention":{"mode":"Locked","retainUntilTime":"2027-01-15T08:00:00.250Z"}}"#;
    let own_shorter = r#"{"name":"a","size":"1","generation":"5","retentionExpirationTime":"2027-01-15T08:00:00.250Z","retention":{"mode":"Locked","retainUntilTime":"2026-01-15T08:00:00Z"}}"#;
    let free = r#"{"name":"a","size":"1","generation":"5"}"#;
    let held = |mode| VersionLock::Until {
        millis: 1_800_000_000_250,
        mode,
    };
    let unknown = VersionLock::Unknown {
        reason: "it is retained, and how firmly is not known: storage.buckets.get is missing"
            .to_owned(),
    };
    for (settings, item, expected) in [
        (Some(LOCKED), retained, held(LockMode::Locked)),
        (Some(UNLOCKED), retained, held(LockMode::Unlocked)),
        (Some(UNLOCKED), own, held(LockMode::Locked)),
        (Some(UNLOCKED), own_shorter, held(LockMode::Unlocked)),
        (Some(""), free, VersionLock::None),
        // The settings may not be read: retained, but how firmly is not known.
        (None, retained, unknown),
        (None, free, VersionLock::None),
    ] {
        let versions = listed(settings, item, "").await;
        assert_eq!(versions.len(), 1, "{versions:?}");
        assert_eq!(versions[0].lock, expected, "{item}");
    }
}

#[tokio::test]
async fn what_was_removed_but_can_be_restored_is_among_the_versions() {
    let settings = r#""softDeletePolicy":{"retentionDurationSeconds":"604800"}"#;
    let live =
        r#"{"name":"a","size":"1","generation":"7"},{"name":"c","size":"1","generation":"2"}"#;
    let removed = r#"{"name":"a","size":"9","generation":"5","softDeleteTime":"2026-10-01T00:00:00Z"},{"name":"b","size":"4","generation":"3","softDeleteTime":"2026-10-01T00:00:00Z"}"#;
    let versions = listed(Some(settings), live, removed).await;
    let seen: Vec<_> = versions
        .iter()
        .map(|version| (&*version.key, &*version.version, version.is_latest))
        .collect();
    let expected = [
        ("a", "7", true),
        ("a", "5", false),
        ("b", "3", false),
        ("c", "2", true),
    ];
    assert_eq!(seen, expected);
}

async fn posture(settings: Reply, liens: Reply, expected: Expected) -> Vec<Setting> {
    let server = Server::new(move |asked| {
        if asked.is("GET", BUCKET) {
            return settings.clone();
        }
        if asked.line.contains("softDeleted=true") {
            return Reply::json("{}");
        }
        assert!(
            asked.line.starts_with("GET /v3/liens?parent=projects%2F42"),
            "{}",
            asked.line
        );
        liens.clone()
    })
    .await;
    match sealed(&server).posture(expected).await {
        Knowledge::Known(settings) => settings,
        other => panic!("{other:?}"),
    }
}

const YEAR_LOCKED: Expected = Expected {
    retention_days: 365,
    lock: Lock::Compliance,
};

const LIEN: &str = r#"{"liens":[{"restrictions":["resourcemanager.projects.delete"]}]}"#;

fn good_bucket() -> String {
    format!(
        r#"{{"projectNumber":"42",{LOCKED},"softDeletePolicy":{{"retentionDurationSeconds":"604800"}},"iamConfiguration":{{"uniformBucketLevelAccess":{{"enabled":true}},"publicAccessPrevention":"enforced"}}}}"#
    )
}

#[tokio::test]
async fn a_bucket_as_it_should_be_holds_in_every_setting() {
    let settings = posture(Reply::json(good_bucket()), Reply::json(LIEN), YEAR_LOCKED).await;
    assert_eq!(settings.len(), 9);
    for setting in &settings {
        assert!(
            matches!(setting.state, SettingState::Holds { .. }),
            "{setting:?}"
        );
    }
    assert_eq!(settings[0].aspect, Aspect::Retention);
}

#[tokio::test]
async fn each_weakness_of_a_bucket_is_found_alone_with_what_mends_it() {
    let delete = |condition: &str| {
        format!(
            r#","lifecycle":{{"rule":[{{"action":{{"type":"Delete"}},"condition":{{{condition}}}}}]}}}}"#
        )
    };
    let good = good_bucket();
    // In place of the brace that closes it.
    let open = |more: &str| format!("{}{more}", &good[..good.len() - 1]);
    let yes = true;
    for (bucket, name, open_now, mend) in [
        (
            good.replace(LOCKED, r#""id":"x""#),
            "retention policy",
            yes,
            "--retention-period=365d",
        ),
        (
            good.replace("31536000", "2592000"),
            "retention policy",
            yes,
            "--retention-period=365d",
        ),
        (
            good.replace(r#""isLocked":true"#, r#""isLocked":false"#),
            "retention policy",
            yes,
            "--lock-retention-period",
        ),
        (
            open(r#","versioning":{"enabled":true}}"#),
            "Object Versioning",
            yes,
            "--no-versioning",
        ),
        (
            open(&delete(r#""age":30"#)),
            "lifecycle",
            false,
            "--clear-lifecycle",
        ),
        (
            open(&delete(r#""createdBefore":"2026-01-01""#)),
            "lifecycle",
            false,
            "--clear-lifecycle",
        ),
        (
            good.replace("604800", "0"),
            "soft delete",
            false,
            "--soft-delete-duration=7d",
        ),
        (
            open(
                r#","encryption":{"defaultKmsKeyName":"projects/p/locations/l/keyRings/r/cryptoKeys/k"}}"#,
            ),
            "encryption",
            false,
            "--clear-default-encryption-key",
        ),
        (
            good.replace(r#""enabled":true"#, r#""enabled":false"#),
            "uniform",
            false,
            "--uniform-bucket-level-access",
        ),
        (
            good.replace("enforced", "inherited"),
            "public access",
            false,
            "--public-access-prevention",
        ),
    ] {
        let settings = posture(Reply::json(&*bucket), Reply::json(LIEN), YEAR_LOCKED).await;
        let weak: Vec<_> = settings
            .iter()
            .filter(|setting| !matches!(setting.state, SettingState::Holds { .. }))
            .collect();
        assert_eq!(weak.len(), 1, "{name}: {weak:?}");
        assert!(weak[0].name.contains(name), "{name}: {weak:?}");
        match &weak[0].state {
            SettingState::Weak {
                open,
                mend: says,
                why,
                ..
            } => {
                assert_eq!(*open, open_now, "{weak:?}");
                assert!(says.contains(mend) && !why.is_empty(), "{says}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    // Rules that cannot touch a record in time are no weakness.
    for condition in [
        r#""age":365"#,
        r#""age":3,"isLive":false"#,
        r#""daysSinceNoncurrentTime":1"#,
        r#""numNewerVersions":2"#,
    ] {
        let bucket = open(&delete(condition));
        let settings = posture(Reply::json(bucket), Reply::json(LIEN), YEAR_LOCKED).await;
        assert!(
            matches!(settings[2].state, SettingState::Holds { .. }),
            "{condition}: {:?}",
            settings[2]
        );
    }
    let settings = posture(Reply::json(good), Reply::json("{}"), YEAR_LOCKED).await;
    assert!(
        matches!(settings[8].state, SettingState::Weak { open: false, .. }),
        "{:?}",
        settings[8]
    );
}

#[tokio::test]
async fn who_may_not_list_what_was_removed_is_told_so() {
    let server = Server::new(|asked| {
        if asked.is("GET", BUCKET) {
            return Reply::json(good_bucket());
        }
        if asked.line.contains("softDeleted=true") {
            return denied("storage.objects.restore");
        }
        Reply::json(r#"{"items":[{"name":"a","size":"1","generation":"7"}]}"#)
    })
    .await;
    let store = sealed(&server);
    match store.versions("", None).await.expect("it lists") {
        Knowledge::Known(page) => assert_eq!(page.versions.len(), 1),
        other => panic!("{other:?}"),
    }
    let Knowledge::Known(settings) = store.posture(YEAR_LOCKED).await else {
        panic!("it has settings")
    };
    let found = settings
        .iter()
        .find(|setting| setting.name.contains("removed"));
    let Some(SettingState::Unknown { permission, .. }) = found.map(|found| &found.state) else {
        panic!("{found:?}")
    };
    assert_eq!(permission.as_deref(), Some("storage.objects.restore"));
}

#[tokio::test]
async fn a_lifecycle_rule_without_a_retention_policy_lays_records_open() {
    let bucket = r#"{"projectNumber":"42","lifecycle":{"rule":[{"action":{"type":"Delete"},"condition":{"age":30}}]}}"#;
    let settings = posture(Reply::json(bucket), Reply::json(LIEN), YEAR_LOCKED).await;
    assert!(
        matches!(settings[2].state, SettingState::Weak { open: true, .. }),
        "{:?}",
        settings[2]
    );
}

#[tokio::test]
async fn settings_that_may_not_be_read_are_unknown_with_the_permission() {
    let no = denied("storage.buckets.get");
    let settings = posture(no, Reply::json(LIEN), YEAR_LOCKED).await;
    assert_eq!(settings.len(), 9);
    for setting in &settings {
        let SettingState::Unknown { permission, .. } = &setting.state else {
            panic!("{setting:?}")
        };
        assert_eq!(permission.as_deref(), Some("storage.buckets.get"));
    }
    let no = Reply::rpc(
        403,
        "PERMISSION_DENIED",
        "The caller does not have permission",
    );
    let settings = posture(Reply::json(good_bucket()), no, YEAR_LOCKED).await;
    let SettingState::Unknown { permission, .. } = &settings[8].state else {
        panic!("{:?}", settings[8])
    };
    assert_eq!(permission.as_deref(), Some("resourcemanager.projects.get"));
}
