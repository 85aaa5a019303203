//! Connections that are slow, cut and silent, over both stores.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::dynamodb::new_table;
use super::{UNTIL, access, new_bucket, store};
use crate::aws::{DynamoHeadStore, S3SealedStore};
use crate::posture::Lock;
use crate::testing::stand_in;
use crate::testing::wire::{Mode, Wire};
use crate::{GetError, HeadStore, PutError, Retention, SealedStore, SwapError};

const ONE: Bytes = Bytes::from_static(b"1");
const WITHIN: Duration = Duration::from_secs(30);

async fn wired() -> Option<(Wire, S3SealedStore)> {
    let endpoint = stand_in("STANDIN_S3")?;
    let bucket = new_bucket(&endpoint, true).await;
    let wire = Wire::before(&endpoint).await;
    let store = store(&wire.url(), &bucket, "p", Lock::Governance);
    Some((wire, store))
}

async fn put(store: &S3SealedStore, key: &str, bytes: Bytes) -> Result<(), PutError> {
    store.put_new(key, bytes, Retention::Until(UNTIL)).await
}

#[tokio::test]
async fn a_put_whose_answer_is_lost_is_unknown_and_done() {
    let Some((wire, store)) = wired().await else {
        return;
    };
    wire.next("PUT ", Mode::LoseAnswer);
    let lost = put(&store, "k", ONE).await;
    assert!(matches!(lost, Err(PutError::Unknown { .. })), "{lost:?}");
    assert_eq!(wire.counts().exchanges, 1, "it was not repeated");
    assert_eq!(store.get("k", 1).await.unwrap(), ONE);
    let again = put(&store, "k", ONE).await;
    assert!(matches!(again, Err(PutError::Exists { .. })), "{again:?}");
}

#[tokio::test]
async fn a_put_that_is_cut_on_its_way_is_unknown_and_not_done() {
    let Some((wire, store)) = wired().await else {
        return;
    };
    let large = Bytes::from(vec![7; 10_000_000]);
    wire.next("PUT ", Mode::CutUpload(5_000_000));
    let cut = put(&store, "k", large.clone()).await;
    assert!(matches!(cut, Err(PutError::Unknown { .. })), "{cut:?}");
    let counts = wire.counts();
    assert_eq!((counts.exchanges, counts.hits), (1, 1), "not repeated");
    let got = store.get("k", 1).await;
    assert!(matches!(got, Err(GetError::NotFound { .. })), "{got:?}");
    put(&store, "k", large.clone()).await.unwrap();
    assert!(store.get("k", 10_000_000).await.unwrap() == large);
}

#[tokio::test]
async fn a_server_that_falls_silent_is_given_up_within_thirty_seconds() {
    let Some((wire, store)) = wired().await else {
        return;
    };
    put(&store, "k", ONE).await.unwrap();
    wire.all(Mode::Stall);
    let timed = async |name: &str, call: &mut (dyn Future<Output = String> + Unpin + Send)| {
        let began = Instant::now();
        let text = call.await;
        assert!(began.elapsed() < WITHIN, "{name}: {:?}", began.elapsed());
        assert!(text.contains("s3://"), "{name}: {text}");
    };
    let mut silent_put = Box::pin(async {
        let put = put(&store, "new", ONE).await;
        assert!(matches!(put, Err(PutError::Unknown { .. })), "{put:?}");
        put.unwrap_err().to_string()
    });
    let mut silent_upload = Box::pin(async {
        let put = put(&store, "large", Bytes::from(vec![7; 10_000_000])).await;
        assert!(matches!(put, Err(PutError::Unknown { .. })), "{put:?}");
        put.unwrap_err().to_string()
    });
    let mut silent_get = Box::pin(async {
        let got = store.get("k", 1).await;
        assert!(matches!(got, Err(GetError::Transient { .. })), "{got:?}");
        got.unwrap_err().to_string()
    });
    let mut silent_list = Box::pin(async { store.list("", None).await.unwrap_err().to_string() });
    tokio::join!(
        timed("put", &mut silent_put),
        timed("upload", &mut silent_upload),
        timed("get", &mut silent_get),
        timed("list", &mut silent_list),
    );
}

#[tokio::test]
async fn a_slow_server_is_waited_for() {
    let Some((wire, store)) = wired().await else {
        return;
    };
    // Longer than one attempt of a read may take.
    wire.next("PUT ", Mode::Delay(Duration::from_secs(11)));
    put(&store, "k", ONE).await.unwrap();
    wire.all(Mode::Delay(Duration::from_secs(2)));
    assert_eq!(store.get("k", 1).await.unwrap(), ONE);
    assert_eq!(wire.counts().exchanges, 2, "without a repetition");
}

#[tokio::test]
async fn a_read_whose_answer_is_lost_is_repeated() {
    let Some((wire, store)) = wired().await else {
        return;
    };
    put(&store, "k", ONE).await.unwrap();
    wire.next("GET ", Mode::LoseAnswer);
    assert_eq!(store.get("k", 1).await.unwrap(), ONE);
    assert_eq!(wire.counts().exchanges, 3);
}

#[tokio::test]
async fn swaps_that_are_lost_or_done_are_unknown_and_told_apart_by_a_load() {
    let Some(endpoint) = stand_in("STANDIN_AWS") else {
        return;
    };
    let table = new_table(&endpoint, "pk").await;
    let wire = Wire::before(&endpoint).await;
    let heads = DynamoHeadStore::open(&access(&wire.url()), &table, None).unwrap();
    let first = heads.swap("h", None, ONE).await.unwrap();

    let large = Bytes::from(vec![b'x'; 300_000]);
    wire.next("POST ", Mode::CutUpload(100_000));
    let lost = heads.swap("h", Some(&first), large).await;
    assert!(matches!(lost, Err(SwapError::Unknown { .. })), "{lost:?}");
    let stands = heads.load("h").await.unwrap().unwrap();
    assert_eq!((stands.bytes, &stands.version), (ONE, &first));

    let before = wire.counts().exchanges;
    wire.next("POST ", Mode::LoseAnswer);
    let two = Bytes::from_static(b"2");
    let done = heads.swap("h", Some(&first), two.clone()).await;
    assert!(matches!(done, Err(SwapError::Unknown { .. })), "{done:?}");
    assert_eq!(wire.counts().exchanges, before + 1, "it was not repeated");
    let stands = heads.load("h").await.unwrap().unwrap();
    assert_eq!(stands.bytes, two);
    assert_ne!(stands.version, first);

    wire.next("POST ", Mode::Stall);
    let began = Instant::now();
    let silent = heads.swap("h", Some(&stands.version), ONE).await;
    assert!(
        matches!(silent, Err(SwapError::Unknown { .. })),
        "{silent:?}"
    );
    assert!(began.elapsed() < WITHIN);
}
