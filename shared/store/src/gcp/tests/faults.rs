//! Over a wire that is slow, cut or silent, and to addresses where nobody is.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{Emulator, TOLD_WITHIN, anonymous, bucket};
use crate::error::{GetError, HeadError, ListError, PutError, SwapError};
use crate::gcp::{GcsHeadStore, GcsSealedStore};
use crate::head::HeadStore;
use crate::posture::Lock;
use crate::sealed::{Retention, SealedStore};
use crate::testing::wire::{Mode, Wire};

/// A sealed store and a head store over a wire before the stand-in.
struct Wired {
    emulator: Emulator,
    wire: Wire,
    sealed: GcsSealedStore,
    heads: GcsHeadStore,
}

impl Wired {
    async fn new(name: &str) -> Option<Self> {
        let emulator = Emulator::new(name).await?;
        let wire = Wire::before(&emulator.url).await;
        let (access, bucket) = (anonymous(&wire.url()), bucket(&emulator.bucket, ""));
        Some(Self {
            sealed: GcsSealedStore::open(&access, &bucket, Lock::Off),
            heads: GcsHeadStore::open(&access, &bucket),
            emulator,
            wire,
        })
    }

    async fn put(&self, key: &str, bytes: &Bytes) -> Result<(), PutError> {
        self.sealed
            .put_new(key, bytes.clone(), Retention::None)
            .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_whose_answer_is_lost_is_unknown_and_its_object_is_there() {
    let Some(wired) = Wired::new("lost").await else {
        return;
    };
    for bytes in [0, 1_000, 3_000_000] {
        let (key, content) = (format!("a{bytes}"), Bytes::from(vec![7; bytes]));
        wired.wire.next("POST /upload", Mode::LoseAnswer);
        let put = wired.put(&key, &content).await;
        assert!(matches!(put, Err(PutError::Unknown { .. })), "{put:?}");
        let read = wired.sealed.get(&key, u64::MAX).await;
        assert!(read.expect("it was written") == content);
        let again = wired.put(&key, &content).await;
        assert!(matches!(again, Err(PutError::Exists { .. })), "{again:?}");
    }
    assert_eq!(wired.wire.counts().hits, 3, "nothing is repeated inside");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_is_cut_off_is_not_there_and_may_be_tried_again() {
    let Some(wired) = Wired::new("cut").await else {
        return;
    };
    for (key, bytes, cut_after, certain) in [
        // More than the buffers between the two ends hold.
        ("large", 32_000_000, 1_000_000, true),
        // Handed to the connection whole before it was cut.
        ("small", 50_000, 20_000, false),
    ] {
        let content = Bytes::from(vec![7; bytes]);
        wired.wire.next("POST /upload", Mode::CutUpload(cut_after));
        let put = wired.put(key, &content).await;
        let put = put.expect_err("it was cut");
        let told = match put {
            PutError::Transient { .. } => true,
            PutError::Unknown { .. } => !certain,
            _ => false,
        };
        assert!(told, "{key}: {put:?}");
        let read = wired.sealed.get(key, u64::MAX).await;
        assert!(matches!(read, Err(GetError::NotFound { .. })), "{read:?}");
        let again = wired.put(key, &content).await;
        again.expect("it may be tried again");
    }
    assert_eq!(wired.wire.counts().hits, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_is_waited_for() {
    let Some(wired) = Wired::new("slow").await else {
        return;
    };
    wired.wire.all(Mode::Delay(Duration::from_secs(2)));
    let content = Bytes::from_static(b"late");
    wired.put("a", &content).await.expect("it is new");
    assert_eq!(
        wired.sealed.get("a", 9).await.expect("it is there"),
        content
    );
    let version = wired.heads.swap("h", None, content.clone()).await;
    version.expect("it swaps");
    assert_eq!(
        wired
            .sealed
            .list("", None)
            .await
            .expect("it lists")
            .objects
            .len(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_whose_answer_is_lost_is_unknown_and_done() {
    let Some(wired) = Wired::new("swap").await else {
        return;
    };
    let (one, two) = (Bytes::from_static(b"one"), Bytes::from_static(b"two"));
    let first = wired.heads.swap("h", None, one).await.expect("it swaps");
    wired.wire.next("POST /upload", Mode::LoseAnswer);
    let swapped = wired.heads.swap("h", Some(&first), two.clone()).await;
    assert!(
        matches!(swapped, Err(SwapError::Unknown { .. })),
        "{swapped:?}"
    );
    let stored = wired.heads.load("h").await.expect("it loads");
    let stored = stored.expect("it is there");
    assert!(stored.bytes == two && stored.version != first);
    let again = wired.heads.swap("h", Some(&first), two).await;
    assert!(matches!(again, Err(SwapError::Lost { .. })), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_repeated_after_a_lost_answer() {
    let Some(wired) = Wired::new("reads").await else {
        return;
    };
    let content = Bytes::from_static(b"x");
    wired.put("a", &content).await.expect("it is new");
    wired.wire.next("GET ", Mode::LoseAnswer);
    assert_eq!(
        wired.sealed.get("a", 9).await.expect("it is there"),
        content
    );
    wired.wire.next("GET ", Mode::LoseAnswer);
    assert_eq!(
        wired
            .sealed
            .list("", None)
            .await
            .expect("it lists")
            .objects
            .len(),
        1
    );
    assert_eq!(wired.wire.counts().hits, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_is_told_within_30_seconds() {
    let Some(wired) = Wired::new("silent").await else {
        return;
    };
    wired
        .put("a", &Bytes::from_static(b"x"))
        .await
        .expect("it is new");
    wired.wire.all(Mode::Stall);
    let (small, large) = (Bytes::from_static(b"x"), Bytes::from(vec![7; 32_000_000]));
    let (store, heads) = (&wired.sealed, &wired.heads);
    let (put_small, put_large, get, range, list, versions, load, swap) = tokio::join!(
        timed(async { matches!(wired.put("b", &small).await, Err(PutError::Unknown { .. })) }),
        timed(async {
            // The wire takes all of it, so that its end was sent.
            matches!(wired.put("c", &large).await, Err(PutError::Unknown { .. }))
        }),
        timed(async { matches!(store.get("a", 9).await, Err(GetError::Transient { .. })) }),
        timed(async {
            matches!(
                store.get_range("a", 0..1).await,
                Err(GetError::Transient { .. })
            )
        }),
        timed(async { matches!(store.list("", None).await, Err(ListError::Transient { .. })) }),
        timed(async {
            matches!(
                store.versions("", None).await,
                Err(ListError::Transient { .. })
            )
        }),
        timed(async { matches!(heads.load("h").await, Err(HeadError::Transient { .. })) }),
        timed(async {
            let swapped = heads.swap("h", None, Bytes::new()).await;
            matches!(swapped, Err(SwapError::Unknown { .. }))
        }),
    );
    let calls = [put_small, put_large, get, range, list, versions, load, swap];
    assert_eq!(
        calls,
        [(true, true); 8],
        "(classed as it should be, in time)"
    );
    wired.wire.all(Mode::Pass);
    let read = store.get("b", 9).await;
    assert!(matches!(read, Err(GetError::NotFound { .. })), "{read:?}");
    assert!(wired.emulator.delete("a").await < 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_is_one_clear_error_and_nothing_was_written() {
    // A port that was free a moment ago, and a name that is nobody's.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has one");
    drop(listener);
    for url in [
        format!("http://{address}"),
        "https://nobody.invalid".to_owned(),
    ] {
        let mut endpoints = crate::gcp::Endpoints::google();
        endpoints.storage = crate::gcp::Endpoint::parse(&url).expect("it is one");
        let access = crate::gcp::Access::new(
            google_cloud_auth::credentials::anonymous::Builder::new().build(),
            endpoints,
        );
        let bucket = bucket("b", "");
        let store = GcsSealedStore::open(&access, &bucket, Lock::Off);
        let heads = GcsHeadStore::open(&access, &bucket);
        let began = Instant::now();
        let put = store.put_new("a", Bytes::from_static(b"x"), Retention::None);
        let put = put.await.expect_err("nobody is there");
        assert!(matches!(put, PutError::Transient { .. }), "{put:?}");
        let swap = heads.swap("a", None, Bytes::new()).await;
        let swap = swap.expect_err("nobody is there");
        assert!(matches!(swap, SwapError::Transient { .. }), "{swap:?}");
        let get = store.get("a", 1).await.expect_err("nobody is there");
        assert!(matches!(get, GetError::Transient { .. }), "{get:?}");
        let list = store.list("", None).await.expect_err("nobody is there");
        assert!(matches!(list, ListError::Transient { .. }), "{list:?}");
        assert!(began.elapsed() < TOLD_WITHIN, "{:?}", began.elapsed());
        for text in [put.to_string(), get.to_string(), list.to_string()] {
            assert!(text.contains("gs://b"), "{text}");
            assert!(text.contains("error") || text.contains("refused"), "{text}");
            assert!(text.contains("check the network"), "{text}");
        }
    }
}

/// What a call says, and whether it said so in time.
async fn timed(call: impl Future<Output = bool>) -> (bool, bool) {
    let began = Instant::now();
    (call.await, began.elapsed() < TOLD_WITHIN)
}
