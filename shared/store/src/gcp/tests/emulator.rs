//! Over the server that stands in for Cloud Storage.

use std::sync::Arc;

use bytes::Bytes;

use super::{Emulator, anonymous, bucket, signed_with};
use crate::conformance::{self, Scope};
use crate::error::{PutError, SwapError};
use crate::gcp::{GcsHeadStore, GcsSealedStore};
use crate::head::HeadStore;
use crate::listing::VersionPages;
use crate::posture::{Expected, Lock, SettingState};
use crate::sealed::{Knowledge, LockMode, ObjectVersion, Retention, SealedStore, VersionLock};

/// Over a page of 1,000.
const MANY: usize = 1_150;

fn scope() -> Scope {
    Scope {
        many: MANY,
        swaps: 10,
        ..Scope::new("conformance")
    }
}

fn sealed(emulator: &Emulator, prefix: &str) -> GcsSealedStore {
    let bucket = bucket(&emulator.bucket, prefix);
    GcsSealedStore::open(&anonymous(&emulator.url), &bucket, Lock::Off)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_a_sealed_store() {
    let Some(emulator) = Emulator::new("sealed").await else {
        return;
    };
    conformance::sealed_store(Arc::new(sealed(&emulator, "")), &scope()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_bucket_is_a_sealed_store_that_sees_no_other_part() {
    let Some(emulator) = Emulator::new("part").await else {
        return;
    };
    for name in ["part", "part-", "part.x", "part0/a", "aaa", "zzz"] {
        assert_eq!(emulator.overwrite(name, "other").await, 200);
    }
    let scope = Scope {
        many: 100,
        ..scope()
    };
    conformance::sealed_store(Arc::new(sealed(&emulator, "part")), &scope).await;
    let all = sealed(&emulator, "part").list("", None).await;
    let all = all.expect("it lists").objects;
    assert!(
        all.iter()
            .all(|object| object.key.starts_with("conformance/")),
        "{all:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_a_head_store() {
    let Some(emulator) = Emulator::new("heads").await else {
        return;
    };
    let bucket = bucket(&emulator.bucket, "heads");
    let store = GcsHeadStore::open(&anonymous(&emulator.url), &bucket);
    conformance::head_store(Arc::new(store), &scope()).await;
}

#[tokio::test]
async fn a_missing_bucket_is_no_store() {
    let Some(emulator) = Emulator::new("there").await else {
        return;
    };
    let (access, missing) = (anonymous(&emulator.url), bucket("not-there-at-all", ""));
    for lock in [Lock::Off, Lock::Compliance] {
        conformance::missing_sealed_store(&GcsSealedStore::open(&access, &missing, lock)).await;
    }
    conformance::missing_head_store(&GcsHeadStore::open(&access, &missing)).await;
}

#[tokio::test]
async fn a_version_of_a_head_does_not_come_back_after_a_deletion() {
    let Some(emulator) = Emulator::new("deleted").await else {
        return;
    };
    let bucket = bucket(&emulator.bucket, "");
    let store = GcsHeadStore::open(&anonymous(&emulator.url), &bucket);
    let document = Bytes::from_static(b"the same");
    let first = store.swap("head", None, document.clone()).await;
    let first = first.expect("it swaps");
    assert_eq!(emulator.delete("head").await, 204);
    assert_eq!(store.load("head").await.expect("it loads"), None);

    let lost = store.swap("head", Some(&first), document.clone()).await;
    assert!(matches!(lost, Err(SwapError::Lost { .. })), "{lost:?}");
    let second = store.swap("head", None, document.clone()).await;
    let second = second.expect("it swaps");
    assert_ne!(first, second);
    let lost = store.swap("head", Some(&first), document).await;
    assert!(matches!(lost, Err(SwapError::Lost { .. })), "{lost:?}");
}

#[tokio::test]
async fn a_version_that_no_head_had_is_lost() {
    let Some(emulator) = Emulator::new("unknown").await else {
        return;
    };
    let bucket = bucket(&emulator.bucket, "");
    let store = GcsHeadStore::open(&anonymous(&emulator.url), &bucket);
    // 0 is the API's word for an object that is not there.
    for version in ["0", "-1", "", "not a number", "18446744073709551615"] {
        let version = crate::head::Version::new(version);
        let swapped = store.swap("head", Some(&version), Bytes::new()).await;
        assert!(
            matches!(swapped, Err(SwapError::Lost { .. })),
            "{version}: {swapped:?}"
        );
    }
}

#[tokio::test]
async fn every_generation_of_an_object_is_seen_the_newest_first() {
    let versioned = Emulator::with("versions", r#""versioning":{"enabled":true}"#).await;
    let Some(emulator) = versioned else { return };
    let store = sealed(&emulator, "p");
    for key in ["a", "b", "c"] {
        let put = store.put_new(key, Bytes::from_static(b"1"), Retention::None);
        put.await.expect("it is new");
    }
    assert_eq!(emulator.overwrite("p/b", "22").await, 200);
    assert_eq!(emulator.overwrite("p/b", "333").await, 200);
    assert_eq!(emulator.delete("p/c").await, 204);

    let seen = all_versions(&store).await;
    let seen: Vec<_> = seen
        .iter()
        .map(|version| (&*version.key, version.bytes, version.is_latest))
        .collect();
    let expected = [
        ("a", 1, true),
        ("b", 3, true),
        ("b", 2, false),
        ("b", 1, false),
        ("c", 1, false),
    ];
    assert_eq!(seen, expected);
    let after = store.versions("", Some("a")).await.expect("it lists");
    let Knowledge::Known(after) = after else {
        panic!("{after:?}")
    };
    assert_eq!(after.versions.len(), 4);
}

#[tokio::test]
async fn generations_of_many_objects_come_in_pages_that_part_no_key() {
    let versioned = Emulator::with("pages", r#""versioning":{"enabled":true}"#).await;
    let Some(emulator) = versioned else { return };
    let store = sealed(&emulator, "");
    for index in 0..10 {
        for _ in 0..130 {
            let name = format!("key{index}");
            assert_eq!(emulator.overwrite(&name, "x").await, 200);
        }
    }
    let page = store.versions("", None).await.expect("it lists");
    let Knowledge::Known(page) = page else {
        panic!("{page:?}")
    };
    // 1,000 fit a page: seven keys, and a part of the eighth.
    assert_eq!((page.versions.len(), page.more), (7 * 130, true));
    let all = all_versions(&store).await;
    assert_eq!(all.len(), 1_300);
    for versions in all.chunks(130) {
        assert!(versions.iter().all(|other| other.key == versions[0].key));
        assert!(versions[0].is_latest, "{:?}", versions[0]);
        assert!(versions[1..].iter().all(|other| !other.is_latest));
    }
}

#[tokio::test]
async fn what_stands_under_a_name_that_no_writer_uses_is_listed() {
    let Some(emulator) = Emulator::new("odd").await else {
        return;
    };
    for name in ["p/a b", "p/.hidden", "p/x//y", "p/\u{e9}"] {
        let name = name.replace(' ', "%20").replace('\u{e9}', "%C3%A9");
        assert_eq!(emulator.overwrite(&name, "x").await, 200);
    }
    let listed = sealed(&emulator, "p").list("", None).await;
    let listed = listed.expect("it lists").objects;
    let names: Vec<_> = listed.iter().map(|object| &*object.key).collect();
    assert_eq!(names, [".hidden", "a b", "x//y", "\u{e9}"]);
    assert!(listed.iter().all(|object| !object.valid_name));
}

#[tokio::test]
async fn nothing_is_sealed_in_a_bucket_that_keeps_nothing() {
    let Some(emulator) = Emulator::new("keepless").await else {
        return;
    };
    let bucket = bucket(&emulator.bucket, "");
    let access = anonymous(&emulator.url);
    let store = GcsSealedStore::open(&access, &bucket, Lock::Governance);
    let until = Retention::Until(4_000_000_000_000);
    let put = store.put_new("a", Bytes::new(), until).await;
    let Err(PutError::Refused { reason, next, .. }) = &put else {
        panic!("{put:?}")
    };
    assert!(reason.contains("retention policy"), "{reason}");
    assert!(next.contains("gcloud storage buckets update"), "{next}");
    assert!(
        store
            .list("", None)
            .await
            .expect("it lists")
            .objects
            .is_empty()
    );
    let off = GcsSealedStore::open(&access, &bucket, Lock::Off);
    off.put_new("a", Bytes::new(), until)
        .await
        .expect("it is new");
}

const TWO_DAYS: &str = r#""retentionPolicy":{"retentionPeriod":"172800"}"#;

const TWO_DAYS_MILLIS: u64 = 172_800_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_with_a_retention_policy_keeps_what_is_sealed_in_it() {
    let Some(emulator) = Emulator::with("retained", TWO_DAYS).await else {
        return;
    };
    // Generations count microseconds: the server's own clock.
    assert_eq!(emulator.overwrite("clock", "x").await, 200);
    let bucket = bucket(&emulator.bucket, "");
    let store = GcsSealedStore::open(&anonymous(&emulator.url), &bucket, Lock::Governance);
    let clock = all_versions(&store).await;
    let now_millis = clock[0].version.parse::<u64>().expect("it is a number") / 1000;
    let scope = Scope {
        many: 50,
        retention: Retention::Until(now_millis + TWO_DAYS_MILLIS),
        ..scope()
    };
    let store = Arc::new(store);
    conformance::sealed_store(store.clone(), &scope).await;

    for name in ["conformance/once", "conformance/order/a-b"] {
        assert_eq!(emulator.overwrite(name, "tampered").await, 403, "{name}");
        assert_eq!(emulator.delete(name).await, 403, "{name}");
    }
    let put = store.put_new("conformance/once", Bytes::new(), scope.retention);
    let put = put.await;
    assert!(matches!(put, Err(PutError::Exists { .. })), "{put:?}");
    let read = store.get("conformance/once", 99).await;
    assert_eq!(read.expect("it is there"), "first");
}

#[tokio::test]
async fn a_hold_keeps_an_object_too() {
    let Some(emulator) = Emulator::new("held").await else {
        return;
    };
    let store = sealed(&emulator, "");
    let put = store.put_new("a", Bytes::from_static(b"1"), Retention::None);
    put.await.expect("it is new");
    let path = format!("/storage/v1/b/{}/o/a", emulator.bucket);
    let held = emulator.call("PATCH", &path, r#"{"temporaryHold":true}"#);
    assert_eq!(held.await.0, 200);
    assert_eq!(emulator.delete("a").await, 403);
    let put = store.put_new("a", Bytes::new(), Retention::None).await;
    assert!(matches!(put, Err(PutError::Exists { .. })), "{put:?}");
}

#[tokio::test]
async fn a_head_cannot_move_in_a_bucket_that_retains() {
    let Some(emulator) = Emulator::with("stuck", TWO_DAYS).await else {
        return;
    };
    let bucket = bucket(&emulator.bucket, "");
    let store = GcsHeadStore::open(&anonymous(&emulator.url), &bucket);
    let first = store.swap("h", None, Bytes::new()).await;
    let first = first.expect("a new object is taken");
    let swapped = store.swap("h", Some(&first), Bytes::new()).await;
    let Err(SwapError::Refused { next, .. }) = &swapped else {
        panic!("{swapped:?}")
    };
    assert!(next.contains("a bucket of their own"), "{next}");
}

#[tokio::test]
async fn a_policy_is_weak_until_it_is_locked() {
    let Some(emulator) = Emulator::with("locked", TWO_DAYS).await else {
        return;
    };
    let store = sealed(&emulator, "");
    store
        .put_new("a", Bytes::new(), Retention::None)
        .await
        .expect("new");
    let expected = Expected {
        retention_days: 2,
        lock: Lock::Compliance,
    };
    let retention = async || match store.posture(expected).await {
        Knowledge::Known(settings) => settings[0].state.clone(),
        other => panic!("{other:?}"),
    };
    assert!(matches!(
        retention().await,
        SettingState::Weak { open: true, .. }
    ));
    assert_eq!(
        mode(&all_versions(&store).await[0]),
        Some(LockMode::Unlocked)
    );
    let path = format!(
        "/storage/v1/b/{}/lockRetentionPolicy?ifMetagenerationMatch=1",
        emulator.bucket
    );
    assert_eq!(emulator.call("POST", &path, "").await.0, 200);
    assert!(matches!(retention().await, SettingState::Holds { .. }));
    assert_eq!(mode(&all_versions(&store).await[0]), Some(LockMode::Locked));
}

#[tokio::test]
async fn what_is_not_permitted_is_told_with_the_permission() {
    let Some(emulator) = Emulator::with("denied", TWO_DAYS).await else {
        return;
    };
    let bucket = bucket(&emulator.bucket, "");
    let (sealed, heads) = (
        |token| GcsSealedStore::open(&signed_with(&emulator.url, token), &bucket, Lock::Off),
        |token| GcsHeadStore::open(&signed_with(&emulator.url, token), &bucket),
    );
    let any = sealed("any");
    let put = any.put_new("a", Bytes::new(), Retention::None).await;
    put.expect("this token may do anything");

    let denied = "without:storage.objects.create";
    let put = sealed(denied)
        .put_new("b", Bytes::new(), Retention::None)
        .await;
    let put = put.expect_err("it is denied");
    let swap = heads(denied).swap("h", None, Bytes::new()).await;
    let swap = swap.expect_err("it is denied");
    for text in [put.to_string(), swap.to_string()] {
        assert!(text.contains("storage.objects.create"), "{text}");
    }
    let denied = "without:storage.objects.get";
    for got in [
        sealed(denied).get("a", 9).await,
        sealed(denied).get("missing", 9).await,
    ] {
        let error = got.expect_err("it is denied").to_string();
        assert!(error.contains("storage.objects.get"), "{error}");
    }
    let denied = sealed("without:storage.objects.list").list("", None).await;
    let denied = denied.expect_err("it is denied").to_string();
    assert!(denied.contains("storage.objects.list"), "{denied}");

    // Without a look at the policy: retained, but it is not known how firmly.
    let blind = sealed("without:storage.buckets.get");
    let versions = all_versions(&blind).await;
    assert_eq!(versions.len(), 1);
    assert!(matches!(versions[0].lock, VersionLock::Unknown { .. }));
}

fn mode(version: &ObjectVersion) -> Option<LockMode> {
    match version.lock {
        VersionLock::Until { mode, .. } => Some(mode),
        _ => None,
    }
}

async fn all_versions(store: &dyn SealedStore) -> Vec<ObjectVersion> {
    let mut pages = VersionPages::new(store, "");
    let mut all = Vec::new();
    loop {
        match pages.next().await.expect("versions list") {
            Knowledge::Known(Some(versions)) => all.extend(versions),
            Knowledge::Known(None) => return all,
            Knowledge::NotApplicable { reason } => panic!("{reason}"),
        }
    }
}
