//! What a sealed store must do.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::{INVALID_KEYS, Scope, WRITERS, counting, pattern};
use crate::error::{GetError, PutError};
use crate::listing::{ObjectPages, VersionPages};
use crate::sealed::{Knowledge, Retention, SealedStore, VersionLock};

/// Puts that are under way at a time while many objects are written.
const PUTS_IN_FLIGHT: usize = 32;

pub(super) async fn empty_folder(store: &dyn SealedStore, scope: &Scope) {
    let page = store
        .list(&scope.key(""), None)
        .await
        .expect("an empty folder lists");
    assert!(
        page.objects.is_empty() && !page.more,
        "nothing stands there yet: {page:?}"
    );
    let key = scope.key("missing");
    for got in [store.get(&key, 1).await, store.get_range(&key, 0..1).await] {
        let Err(error @ GetError::NotFound { .. }) = got else {
            panic!("a missing object is not found: {got:?}");
        };
        let address = format!("{}/{key}", store.describe());
        assert!(
            error.to_string().contains(&address),
            "the error names the object: {error}"
        );
    }
    let past_the_end = store.get_range(&key, 5..5).await;
    assert!(
        matches!(past_the_end, Err(GetError::NotFound { .. })),
        "{past_the_end:?}"
    );
}

/// Reports say how many requests a store was sent: every call tells of its own.
pub(super) async fn requests_are_counted(store: &dyn SealedStore, scope: &Scope) {
    let key = scope.key("counted");
    let put = store.put_new(&key, Bytes::from_static(b"1"), scope.retention);
    let (written, count) = counting(put).await;
    written.expect("it is put");
    assert!(count >= 1, "put_new counted {count} requests");
    let (read, count) = counting(store.get(&key, 1)).await;
    read.expect("it is read");
    assert!(count >= 1, "get counted {count} requests");
    let (read, count) = counting(store.get_range(&key, 0..1)).await;
    read.expect("it is read");
    assert!(count >= 1, "get_range counted {count} requests");
    let (listed, count) = counting(store.list(&key, None)).await;
    listed.expect("it lists");
    assert!(count >= 1, "list counted {count} requests");
    let (versions, count) = counting(store.versions(&key, None)).await;
    let known = matches!(versions.expect("it lists"), Knowledge::Known(_));
    assert_eq!(count >= 1, known, "versions counted {count} requests");
}

pub(super) async fn create_only(store: &dyn SealedStore, scope: &Scope) {
    for (name, content) in [("once", "first"), ("deep/er/once", "second"), ("empty", "")] {
        let key = scope.key(name);
        put(store, scope, &key, Bytes::from_static(content.as_bytes())).await;
        for other in [content, "other"] {
            let other = Bytes::from_static(other.as_bytes());
            let again = store.put_new(&key, other, scope.retention).await;
            assert!(
                matches!(again, Err(PutError::Exists { .. })),
                "a key is put once: {again:?}"
            );
        }
        let bytes = content.len() as u64;
        assert_eq!(store.get(&key, bytes).await.expect("it was put"), content);
        assert_eq!(
            store.get(&key, u64::MAX).await.expect("it was put"),
            content
        );
        let listed = ObjectPages::new(store, &key)
            .collect()
            .await
            .expect("it lists");
        assert_eq!(listed.len(), 1, "it is listed once it was put: {listed:?}");
        let meta = &listed[0];
        assert_eq!((meta.key.as_str(), meta.bytes), (key.as_str(), bytes));
        assert!(meta.valid_name && meta.regular, "{meta:?}");
    }
    let key = scope.key("once");
    match store.get(&key, 4).await {
        Err(GetError::TooLarge {
            bytes: 5, limit: 4, ..
        }) => {}
        other => panic!("an object over the limit is not read: {other:?}"),
    }
}

pub(super) async fn ranges(store: &dyn SealedStore, scope: &Scope) {
    let key = scope.key("ranges");
    put(store, scope, &key, Bytes::from_static(b"0123456789")).await;
    for (range, expected) in [
        (0..10, "0123456789"),
        (0..1, "0"),
        (3..7, "3456"),
        (9..10, "9"),
        (4..4, ""),
        (0..0, ""),
        (8..100, "89"),
        (5..u64::MAX, "56789"),
        (10..11, ""),
        (11..20, ""),
        (u64::MAX - 1..u64::MAX, ""),
    ] {
        let got = store
            .get_range(&key, range.clone())
            .await
            .expect("ranges are cut, not refused");
        assert_eq!(got, expected, "{range:?}");
    }
    let key = scope.key("empty");
    assert_eq!(
        store
            .get_range(&key, 0..9)
            .await
            .expect("the object is there"),
        ""
    );
}

pub(super) async fn large_object(store: &dyn SealedStore, scope: &Scope) {
    let key = scope.key("large");
    let content = pattern(10_000_000, 7);
    put(store, scope, &key, content.clone()).await;
    let got = store.get(&key, 10_000_000).await.expect("it was put");
    assert!(got == content, "10 MB come back as they were");
    let part = store
        .get_range(&key, 9_999_990..10_000_100)
        .await
        .expect("it was put");
    assert_eq!(part, content[9_999_990..]);
    let part = store
        .get_range(&key, 5_000_000..6_000_000)
        .await
        .expect("it was put");
    assert!(
        part == content[5_000_000..6_000_000],
        "a part of it is that part"
    );
}

pub(super) async fn invalid_keys(store: &dyn SealedStore, scope: &Scope) {
    for key in INVALID_KEYS {
        let put = store.put_new(key, Bytes::new(), scope.retention).await;
        assert!(
            matches!(put, Err(PutError::Refused { .. })),
            "put_new {key:?}: {put:?}"
        );
        let got = store.get(key, 1).await;
        assert!(
            matches!(got, Err(GetError::Refused { .. })),
            "get {key:?}: {got:?}"
        );
        let got = store.get_range(key, 0..1).await;
        assert!(
            matches!(got, Err(GetError::Refused { .. })),
            "get_range {key:?}: {got:?}"
        );
    }
}

pub(super) async fn order_and_prefixes(store: &dyn SealedStore, scope: &Scope) {
    // In byte order: '-' < '.' < '/' < '0' < 'A' < '_' < 'a'.
    let names = [
        "a-b", "a.b", "a/b", "a/b.c/d", "a/bc/d", "a0", "aB", "a_b", "ab-/z", "ab.x", "ab/y", "b/c",
    ];
    let keys = names.map(|name| scope.key(&format!("order/{name}")));
    for key in keys.iter().rev() {
        put(store, scope, key, Bytes::from_static(b"x")).await;
    }
    let list = async |prefix: &str, after: Option<&str>| {
        let page = store.list(prefix, after).await.expect("it lists");
        assert!(!page.more, "a dozen keys fit a page");
        let start = scope.key("order/").len();
        page.objects
            .iter()
            .map(|object| object.key[start..].to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(list(&scope.key("order/"), None).await, names);
    for end in ["", "a", "a/", "a/b", "a.b", "ab", "ab-", "b/c", "b/cd", "c"] {
        let expected: Vec<_> = names
            .into_iter()
            .filter(|name| name.starts_with(end))
            .collect();
        let prefix = scope.key(&format!("order/{end}"));
        assert_eq!(list(&prefix, None).await, expected, "prefix {end:?}");
        for after in [
            "", "a", "a-b", "a.", "a.b", "a/", "a/b", "a/b.", "a/c", "ab/", "b", "zz",
        ] {
            let expected: Vec<_> = expected
                .iter()
                .copied()
                .filter(|name| *name > after)
                .collect();
            let after_key = scope.key(&format!("order/{after}"));
            let listed = list(&prefix, Some(&after_key)).await;
            assert_eq!(listed, expected, "prefix {end:?} after {after:?}");
        }
    }
    // Positions outside of the prefix.
    assert_eq!(list(&scope.key("order/"), Some("!")).await, names);
    assert!(list(&scope.key("order/"), Some("~")).await.is_empty());
}

pub(super) async fn one_winner(store: &Arc<dyn SealedStore>, scope: &Scope) {
    for round in 0..4 {
        let key = scope.key(&format!("race/{round}/object"));
        let barrier = Arc::new(Barrier::new(WRITERS));
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let (store, key) = (Arc::clone(store), key.clone());
            let (barrier, retention) = (Arc::clone(&barrier), scope.retention);
            writers.spawn(async move {
                let content = pattern(100_000 + writer, writer as u64);
                barrier.wait().await;
                let put = store.put_new(&key, content.clone(), retention).await;
                let seen = store.get(&key, u64::MAX).await;
                (
                    put,
                    content,
                    seen.expect("who has put, or was told it exists, can read it"),
                )
            });
        }
        let mut winner = None;
        let mut all_seen = Vec::new();
        for (put, content, seen) in writers.join_all().await {
            match put {
                Ok(()) => {
                    assert!(winner.replace(content).is_none(), "two writers put one key");
                }
                Err(PutError::Exists { .. }) => {}
                Err(error) => panic!("a loser is told that the object exists: {error}"),
            }
            all_seen.push(seen);
        }
        let winner = winner.expect("one of the writers wins");
        assert!(
            all_seen.iter().all(|seen| *seen == winner),
            "everybody sees the winner's bytes"
        );
    }
}

pub(super) async fn many_objects(store: &Arc<dyn SealedStore>, scope: &Scope) {
    let folder = scope.key("many/");
    let keys: Vec<_> = (0..scope.many)
        .map(|index| format!("{folder}{index:06}"))
        .collect();
    let mut puts = JoinSet::new();
    for key in keys.iter().rev() {
        if puts.len() == PUTS_IN_FLIGHT {
            puts.join_next()
                .await
                .expect("some are under way")
                .expect("a put does not panic");
        }
        let (store, scope, key) = (Arc::clone(store), scope.clone(), key.clone());
        puts.spawn(async move { put(&*store, &scope, &key, Bytes::from(key.clone())).await });
    }
    puts.join_all().await;

    let listed = ObjectPages::new(&**store, &folder)
        .collect()
        .await
        .expect("it lists");
    assert!(
        listed.iter().map(|object| &object.key).eq(&keys),
        "every object is listed, in order"
    );
    let bytes = keys[0].len() as u64;
    assert!(
        listed.iter().all(|object| object.bytes == bytes),
        "with its size"
    );
    for index in [0, scope.many / 3, scope.many - 1] {
        let after = Some(keys[index].clone());
        let rest = ObjectPages::after(&**store, &folder, after)
            .collect()
            .await
            .expect("it lists");
        assert!(
            rest.iter().map(|object| &object.key).eq(&keys[index + 1..]),
            "after {index}"
        );
    }
    let some = ObjectPages::new(&**store, &format!("{folder}0000"))
        .collect()
        .await;
    let expected = scope.many.min(100);
    assert_eq!(
        some.expect("it lists").len(),
        expected,
        "a prefix need not be a whole part"
    );
}

pub(super) async fn versions_and_retention(store: &dyn SealedStore, scope: &Scope) {
    let prefix = scope.key("order/");
    let mut pages = VersionPages::new(store, &prefix);
    let mut seen = Vec::new();
    loop {
        match pages.next().await.expect("versions list") {
            Knowledge::NotApplicable { reason } => {
                assert!(!reason.is_empty(), "it is said why there are no versions");
                return;
            }
            Knowledge::Known(None) => break,
            Knowledge::Known(Some(versions)) => seen.extend(versions),
        }
    }
    let listed = ObjectPages::new(store, &prefix)
        .collect()
        .await
        .expect("it lists");
    let keys = listed.iter().map(|object| &object.key);
    assert!(
        seen.iter().map(|version| &version.key).eq(keys),
        "one version of each object"
    );
    for version in seen {
        assert!(
            version.is_latest && !version.delete_marker && version.bytes == 1,
            "{version:?}"
        );
        if let Retention::Until(asked) = scope.retention {
            let kept = matches!(version.lock, VersionLock::Until { millis, .. } if millis >= asked);
            assert!(kept, "retained as asked: {version:?}");
        }
    }
}

async fn put(store: &dyn SealedStore, scope: &Scope, key: &str, content: Bytes) {
    store
        .put_new(key, content, scope.retention)
        .await
        .expect("a new key is put");
}
