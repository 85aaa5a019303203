//! What a store in a container must do.

use std::sync::Arc;

use bytes::Bytes;

use super::{ACCOUNT, access, new_container};
use crate::azure::{BlobHeadStore, BlobSealedStore};
use crate::conformance::{self, Scope};
use crate::error::{GetError, PutError};
use crate::posture::Lock;
use crate::sealed::{Knowledge, Retention, SealedStore, VersionLock};
use crate::testing::stand_in;

fn sealed(server: &str, container: &str, prefix: &str) -> BlobSealedStore {
    BlobSealedStore::open(&access(server), ACCOUNT, container, prefix, Lock::Off).unwrap()
}

fn heads(server: &str, container: &str, prefix: &str) -> BlobHeadStore {
    BlobHeadStore::open(&access(server), ACCOUNT, container, prefix).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sealed_store_conforms_over_pages_of_the_service_s_own_size() {
    let Some(server) = stand_in("STANDIN_BLOB") else {
        return;
    };
    let container = new_container(&server).await;
    let scope = Scope {
        many: 5_200,
        ..Scope::new("suite")
    };
    conformance::sealed_store(Arc::new(sealed(&server, &container, "")), &scope).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sealed_store_below_a_prefix_conforms_over_many_small_pages() {
    let Some(server) = stand_in("STANDIN_BLOB") else {
        return;
    };
    let container = new_container(&server).await;
    let store = sealed(&server, &container, "a/chain").with_pages_of(100);
    assert_eq!(
        store.describe(),
        format!("azblob://{ACCOUNT}/{container}/a/chain")
    );
    let scope = Scope {
        many: 450,
        ..Scope::new("suite")
    };
    conformance::sealed_store(Arc::new(store), &scope).await;

    // What lies outside of the prefix is not of this store.
    let other = sealed(&server, &container, "a/chains");
    assert!(other.list("", None).await.unwrap().objects.is_empty());
    let above = sealed(&server, &container, "a");
    let page = above.list("chain/suite/order/", None).await.unwrap();
    assert_eq!(page.objects.len(), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_head_store_conforms() {
    let Some(server) = stand_in("STANDIN_BLOB") else {
        return;
    };
    let container = new_container(&server).await;
    let store = Arc::new(heads(&server, &container, "state"));
    conformance::head_store(store, &Scope::new("suite")).await;
}

#[tokio::test]
async fn a_missing_container_is_told_from_an_empty_one() {
    let Some(server) = stand_in("STANDIN_BLOB") else {
        return;
    };
    conformance::missing_sealed_store(&sealed(&server, "no-such-container", "p")).await;
    conformance::missing_head_store(&heads(&server, "no-such-container", "p")).await;
}

#[tokio::test]
async fn a_head_that_was_deleted_and_made_anew_is_at_another_version() {
    use crate::head::HeadStore;
    let Some(server) = stand_in("STANDIN_BLOB") else {
        return;
    };
    let container = new_container(&server).await;
    let store = heads(&server, &container, "");
    let head = || Bytes::from_static(b"the same document");
    let first = store.swap("h", None, head()).await.unwrap();
    let raw = super::Container::open(&access(&server), ACCOUNT, &container, "").unwrap();
    raw.try_delete("h").await.unwrap();
    assert_eq!(store.load("h").await.unwrap(), None);
    assert!(
        store.swap("h", Some(&first), head()).await.is_err(),
        "it is gone"
    );
    let second = store.swap("h", None, head()).await.unwrap();
    assert_ne!(first, second);
    assert!(
        store.swap("h", Some(&first), head()).await.is_err(),
        "it is another"
    );
    store.swap("h", Some(&second), head()).await.unwrap();
}

#[tokio::test]
async fn a_put_is_one_request_even_of_a_large_object() {
    use crate::testing::wire::Wire;
    let Some(server) = stand_in("STANDIN_BLOB") else {
        return;
    };
    let container = new_container(&server).await;
    let wire = Wire::before(&server).await;
    let store = sealed(&wire.url(), &container, "");
    let large = Bytes::from(vec![7; 20_000_000]);
    store
        .put_new("large", large.clone(), Retention::None)
        .await
        .unwrap();
    assert_eq!(wire.counts().exchanges, 1);
    assert_eq!(store.get("large", 20_000_000).await.unwrap(), large);
    assert_eq!(wire.counts().exchanges, 2, "and so is reading it");
    let Err(GetError::TooLarge { bytes, limit, .. }) = store.get("large", 19_999_999).await else {
        panic!("it is larger than allowed")
    };
    assert_eq!((bytes, limit), (20_000_000, 19_999_999));
    let again = store.put_new("large", large, Retention::None).await;
    assert!(matches!(again, Err(PutError::Exists { .. })), "{again:?}");
}

#[tokio::test]
async fn a_store_without_versions_lists_each_object_once() {
    let Some(server) = stand_in("STANDIN_BLOB") else {
        return;
    };
    let container = new_container(&server).await;
    let store = sealed(&server, &container, "p").with_pages_of(2);
    for key in ["a", "b/c", "b/d", "e"] {
        store
            .put_new(key, Bytes::from_static(b"x"), Retention::None)
            .await
            .unwrap();
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let Knowledge::Known(page) = store.versions("", after.as_deref()).await.unwrap() else {
            panic!("a container has versions")
        };
        after = page.versions.last().map(|version| version.key.clone());
        seen.extend(page.versions.into_iter().map(|version| {
            assert!(version.is_latest && !version.delete_marker && version.bytes == 1);
            assert_eq!(version.lock, VersionLock::None);
            version.key
        }));
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, ["a", "b/c", "b/d", "e"]);
}
