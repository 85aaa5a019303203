//! What a head store must do.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::{INVALID_KEYS, Scope, WRITERS, counting, pattern};
use crate::error::{HeadError, SwapError};
use crate::head::{HeadStore, MAX_HEAD_BYTES, Version};

/// As for the sealed store.
pub(super) async fn requests_are_counted(store: &dyn HeadStore, scope: &Scope) {
    let key = scope.key("counted");
    let (swapped, count) = counting(store.swap(&key, None, Bytes::new())).await;
    swapped.expect("it swaps");
    assert!(count >= 1, "swap counted {count} requests");
    let (loaded, count) = counting(store.load(&key)).await;
    loaded.expect("it loads");
    assert!(count >= 1, "load counted {count} requests");
}

pub(super) async fn load_and_swap(store: &dyn HeadStore, scope: &Scope) {
    let key = scope.key("head");
    assert_eq!(
        store.load(&key).await.expect("it loads"),
        None,
        "no document stands there yet"
    );
    let swapped = store
        .swap(&key, Some(&Version::new("1")), Bytes::new())
        .await;
    assert!(
        matches!(swapped, Err(SwapError::Lost { .. })),
        "there is no version 1: {swapped:?}"
    );

    let largest = pattern(MAX_HEAD_BYTES, 3);
    let mut version = None;
    for content in ["one", "", "7\n{}\n", "7\n{}\n"]
        .map(Bytes::from)
        .into_iter()
        .chain([largest])
    {
        let new = store
            .swap(&key, version.as_ref(), content.clone())
            .await
            .expect("it swaps");
        let stored = store
            .load(&key)
            .await
            .expect("it loads")
            .expect("it was swapped in");
        assert!(stored.bytes == content, "the document comes back as it was");
        assert_eq!(stored.version, new, "with the version that the swap gave");
        version = Some(new);
    }
    let deep = scope.key("deep/er/head");
    store
        .swap(&deep, None, Bytes::from_static(b"d"))
        .await
        .expect("heads do not share a state");
    let stored = store
        .load(&key)
        .await
        .expect("it loads")
        .expect("it stands");
    assert_eq!(
        Some(stored.version),
        version,
        "one head does not move another"
    );
}

pub(super) async fn stale_versions(store: &dyn HeadStore, scope: &Scope) {
    let key = scope.key("stale");
    let (a, b) = (Bytes::from_static(b"a"), Bytes::from_static(b"b"));
    let first = store.swap(&key, None, a.clone()).await.expect("it swaps");
    let second = store.swap(&key, Some(&first), b).await.expect("it swaps");
    let third = store
        .swap(&key, Some(&second), a.clone())
        .await
        .expect("it swaps");
    assert!(
        third != first && third != second,
        "a version names one write"
    );
    for stale in [None, Some(&first), Some(&second)] {
        let swapped = store.swap(&key, stale, Bytes::from_static(b"c")).await;
        assert!(
            matches!(swapped, Err(SwapError::Lost { .. })),
            "expected {stale:?}: {swapped:?}"
        );
    }
    let stored = store
        .load(&key)
        .await
        .expect("it loads")
        .expect("it stands");
    assert_eq!(
        (stored.bytes, stored.version),
        (a, third),
        "a lost swap changes nothing"
    );
}

pub(super) async fn refused_heads(store: &dyn HeadStore, scope: &Scope) {
    for key in INVALID_KEYS {
        let loaded = store.load(key).await;
        assert!(
            matches!(loaded, Err(HeadError::Refused { .. })),
            "load {key:?}: {loaded:?}"
        );
        let swapped = store.swap(key, None, Bytes::new()).await;
        assert!(
            matches!(swapped, Err(SwapError::Refused { .. })),
            "swap {key:?}: {swapped:?}"
        );
    }
    let key = scope.key("oversize");
    let swapped = store.swap(&key, None, pattern(MAX_HEAD_BYTES + 1, 1)).await;
    assert!(
        matches!(swapped, Err(SwapError::Refused { .. })),
        "too large: {swapped:?}"
    );
    assert_eq!(store.load(&key).await.expect("it loads"), None);
}

pub(super) async fn no_lost_update(store: &Arc<dyn HeadStore>, scope: &Scope) {
    let key = scope.key("race");
    let barrier = Arc::new(Barrier::new(WRITERS));
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (store, key, swaps) = (Arc::clone(store), key.clone(), scope.swaps);
        let barrier = Arc::clone(&barrier);
        writers.spawn(async move {
            barrier.wait().await;
            let mut versions = Vec::new();
            while versions.len() < swaps {
                versions.extend(increment(&*store, &key).await);
            }
            versions
        });
    }
    let versions: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    let total = WRITERS * scope.swaps;
    let distinct: HashSet<_> = versions.iter().collect();
    assert_eq!(distinct.len(), total, "no version is given twice");
    let stored = store
        .load(&key)
        .await
        .expect("it loads")
        .expect("it stands");
    assert_eq!(stored.bytes, total.to_string(), "no update is lost");
    assert!(
        versions.contains(&stored.version),
        "the last version is one that a swap gave"
    );
}

/// Adds one to the number at `key`; `None` if another writer was faster.
async fn increment(store: &dyn HeadStore, key: &str) -> Option<Version> {
    let stored = store.load(key).await.expect("it loads");
    let number: u64 = stored.as_ref().map_or(0, |stored| {
        let digits = std::str::from_utf8(&stored.bytes).expect("a document is never a part of one");
        digits.parse().expect("a document is never a part of one")
    });
    let expected = stored.as_ref().map(|stored| &stored.version);
    match store
        .swap(key, expected, Bytes::from((number + 1).to_string()))
        .await
    {
        Ok(version) => Some(version),
        Err(SwapError::Lost { .. }) => None,
        Err(error) => panic!("a loser is told that it lost: {error}"),
    }
}
