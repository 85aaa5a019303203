//! What stands behind the newest version of an object.

use bytes::Bytes;

use super::{Canned, UNTIL, admin, new_bucket, store};
use crate::aws::S3SealedStore;
use crate::posture::Lock;
use crate::testing::stand_in;
use crate::{
    GetError, Knowledge, LockMode, ObjectVersion, PutError, Retention, SealedStore, VersionLock,
    VersionPages,
};

async fn all(store: &S3SealedStore) -> Vec<ObjectVersion> {
    let mut pages = VersionPages::new(store, "");
    let mut all = Vec::new();
    loop {
        match pages.next().await.unwrap() {
            Knowledge::Known(Some(page)) => all.extend(page),
            Knowledge::Known(None) => return all,
            Knowledge::NotApplicable { reason } => panic!("{reason}"),
        }
    }
}

#[tokio::test]
async fn second_versions_and_delete_markers_are_seen_newest_first() {
    let Some(endpoint) = stand_in("STANDIN_S3") else {
        return;
    };
    let bucket = new_bucket(&endpoint, true).await;
    let store = store(&endpoint, &bucket, "p", Lock::Compliance);
    for key in ["a", "b", "c"] {
        store
            .put_new(key, Bytes::from_static(b"1"), Retention::Until(UNTIL))
            .await
            .unwrap();
    }
    let admin = admin(&endpoint);
    let over = admin.put_object().bucket(&bucket).key("p/b");
    over.body(Bytes::from_static(b"22").into())
        .send()
        .await
        .unwrap();
    let delete = admin.delete_object().bucket(&bucket).key("p/c");
    delete.send().await.unwrap();

    let got = store.get("c", 9).await;
    assert!(matches!(got, Err(GetError::NotFound { .. })), "{got:?}");
    let locked = VersionLock::Until {
        millis: UNTIL.div_ceil(1000) * 1000,
        mode: LockMode::Compliance,
    };
    let seen = all(&store).await;
    let shown: Vec<_> = seen
        .iter()
        .map(|version| {
            let ObjectVersion {
                key,
                is_latest,
                delete_marker,
                bytes,
                lock,
                ..
            } = version;
            (&**key, *is_latest, *delete_marker, *bytes, lock)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("a", true, false, 1, &locked),
            ("b", true, false, 2, &VersionLock::None),
            ("b", false, false, 1, &locked),
            ("c", true, true, 0, &VersionLock::None),
            ("c", false, false, 1, &locked),
        ]
    );

    // The marker opens the key again, and that shows.
    let put = store
        .put_new("c", Bytes::from_static(b"333"), Retention::Until(UNTIL))
        .await;
    put.unwrap();
    let again = store
        .put_new("c", Bytes::from_static(b"4"), Retention::Until(UNTIL))
        .await;
    assert!(matches!(again, Err(PutError::Exists { .. })), "{again:?}");
    let of_c: Vec<_> = all(&store).await.into_iter().skip(3).collect();
    assert_eq!(of_c.len(), 3);
    assert!(of_c[0].is_latest && of_c[0].bytes == 3, "{of_c:?}");
    assert!(of_c.iter().skip(1).all(|version| !version.is_latest));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_versions_of_a_key_stand_in_one_page() {
    let Some(endpoint) = stand_in("STANDIN_S3") else {
        return;
    };
    let bucket = new_bucket(&endpoint, true).await;
    let store = store(&endpoint, &bucket, "", Lock::Off);
    let admin = admin(&endpoint);
    // A page of the service holds 1,000.
    const OF_B: usize = 1_020;
    for (key, count) in [("a", 1), ("b", OF_B), ("c", 2)] {
        let mut puts = tokio::task::JoinSet::new();
        for _ in 0..count {
            let put = admin.put_object().bucket(&bucket).key(key);
            puts.spawn(async move { put.send().await.map(drop).unwrap() });
        }
        puts.join_all().await;
    }
    let mut pages = VersionPages::new(&store, "");
    let mut shown: Vec<Vec<(String, usize)>> = Vec::new();
    while let Knowledge::Known(Some(page)) = pages.next().await.unwrap() {
        let of_keys = page.chunk_by(|a, b| a.key == b.key);
        shown.push(
            of_keys
                .map(|of_key| (of_key[0].key.clone(), of_key.len()))
                .collect(),
        );
        for of_key in page.chunk_by(|a, b| a.key == b.key) {
            let latest: Vec<_> = of_key.iter().map(|version| version.is_latest).collect();
            assert!(latest[0] && !latest[1..].contains(&true), "newest first");
        }
    }
    let (a, b, c) = (("a", 1), ("b", OF_B), ("c", 2));
    let flat: Vec<_> = shown
        .iter()
        .flatten()
        .map(|(key, count)| (&**key, *count))
        .collect();
    assert_eq!(flat, [a, b, c], "each key once: {shown:?}");
    assert!(shown.len() > 1, "over more than one page");
}

#[tokio::test]
async fn a_lock_that_may_not_be_read_is_unknown_and_not_none() {
    use super::canned::Answer;

    let listing = "<?xml version=\"1.0\"?><ListVersionsResult><IsTruncated>false</IsTruncated>\
        <Version><Key>k</Key><VersionId>v1</VersionId><IsLatest>true</IsLatest><Size>1</Size>\
        <LastModified>2026-01-01T00:00:00.000Z</LastModified></Version></ListVersionsResult>";
    let denied = Answer::s3(403, "AccessDenied", "Access Denied");
    let server = Canned::new(vec![Answer::new(200, listing), denied]).await;
    let seen = all(&store(server.url(), "b", "", Lock::Compliance)).await;
    let [version] = &seen[..] else {
        panic!("{seen:?}")
    };
    let VersionLock::Unknown { reason } = &version.lock else {
        panic!("{version:?}")
    };
    assert!(reason.contains("s3:GetObjectRetention"), "{reason}");
}
