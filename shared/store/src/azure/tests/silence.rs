//! Slow, cut and silent connections, to a real server.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{ACCOUNT, access, new_container};
use crate::azure::{BlobHeadStore, BlobSealedStore};
use crate::error::{GetError, HeadError, ListError, PutError, SwapError};
use crate::head::{HeadStore, Version};
use crate::posture::Lock;
use crate::sealed::{Retention, SealedStore};
use crate::testing::stand_in;
use crate::testing::wire::{Mode, Wire};

struct Ground {
    wire: Wire,
    sealed: BlobSealedStore,
    heads: BlobHeadStore,
    /// The same store, by a way that does not fail.
    direct: BlobSealedStore,
    direct_heads: BlobHeadStore,
}

async fn ground() -> Option<Ground> {
    let server = stand_in("STANDIN_BLOB")?;
    let container = new_container(&server).await;
    let wire = Wire::before(&server).await;
    let sealed = |url: &str| {
        BlobSealedStore::open(&access(url), ACCOUNT, &container, "p", Lock::Off).unwrap()
    };
    let heads =
        |url: &str| BlobHeadStore::open(&access(url), ACCOUNT, &container, "heads").unwrap();
    Some(Ground {
        sealed: sealed(&wire.url()),
        heads: heads(&wire.url()),
        direct: sealed(&server),
        direct_heads: heads(&server),
        wire,
    })
}

fn large() -> Bytes {
    Bytes::from(vec![7; 10_000_000])
}

#[tokio::test]
async fn a_put_whose_answer_is_lost_is_unknown_and_done_and_not_repeated() {
    let Some(ground) = ground().await else { return };
    ground.wire.next("PUT /", Mode::LoseAnswer);
    let put = ground.sealed.put_new("a", large(), Retention::None).await;
    assert!(matches!(put, Err(PutError::Unknown { .. })), "{put:?}");
    assert_eq!(ground.wire.counts().exchanges, 1, "it was sent once");
    assert_eq!(ground.direct.get("a", 10_000_000).await.unwrap(), large());
    let again = ground.sealed.put_new("a", large(), Retention::None).await;
    assert!(matches!(again, Err(PutError::Exists { .. })), "{again:?}");
}

#[tokio::test]
async fn a_put_that_is_cut_in_the_middle_is_certainly_not_done() {
    let Some(ground) = ground().await else { return };
    ground.wire.next("PUT /", Mode::CutUpload(100_000));
    let put = ground.sealed.put_new("a", large(), Retention::None).await;
    assert!(matches!(put, Err(PutError::Transient { .. })), "{put:?}");
    assert_eq!(ground.wire.counts().exchanges, 1, "it was sent once");
    let got = ground.direct.get("a", 1).await;
    assert!(matches!(got, Err(GetError::NotFound { .. })), "{got:?}");
    ground
        .sealed
        .put_new("a", large(), Retention::None)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_small_put_that_is_cut_may_have_been_handed_over_and_is_unknown() {
    let Some(ground) = ground().await else { return };
    ground.wire.next("PUT /", Mode::CutUpload(10));
    let put = ground
        .sealed
        .put_new("a", Bytes::from_static(b"x"), Retention::None)
        .await;
    assert!(matches!(put, Err(PutError::Unknown { .. })), "{put:?}");
    let got = ground.direct.get("a", 1).await;
    assert!(matches!(got, Err(GetError::NotFound { .. })), "{got:?}");
}

#[tokio::test]
async fn a_swap_whose_answer_is_lost_is_unknown_and_done_and_not_repeated() {
    let Some(ground) = ground().await else { return };
    let first = ground
        .heads
        .swap("h", None, Bytes::from_static(b"1"))
        .await
        .unwrap();
    let before = ground.wire.counts().exchanges;
    ground.wire.next("PUT /", Mode::LoseAnswer);
    let swapped = ground
        .heads
        .swap("h", Some(&first), Bytes::from_static(b"2"))
        .await;
    assert!(
        matches!(swapped, Err(SwapError::Unknown { .. })),
        "{swapped:?}"
    );
    assert_eq!(
        ground.wire.counts().exchanges,
        before + 1,
        "it was sent once"
    );
    let stored = ground.direct_heads.load("h").await.unwrap().unwrap();
    assert_eq!(stored.bytes, "2");
    let again = ground
        .heads
        .swap("h", Some(&first), Bytes::from_static(b"3"))
        .await;
    assert!(matches!(again, Err(SwapError::Lost { .. })), "{again:?}");
}

#[tokio::test]
async fn a_slow_server_is_waited_for() {
    let Some(ground) = ground().await else { return };
    ground.wire.all(Mode::Delay(Duration::from_secs(3)));
    ground
        .sealed
        .put_new("a", large(), Retention::None)
        .await
        .unwrap();
    assert_eq!(ground.sealed.get("a", 10_000_000).await.unwrap(), large());
}

/// Whatever stalls is told within 30 seconds: all calls at once, so that the
/// test waits once.
#[tokio::test]
async fn a_silent_server_is_given_up_within_30_seconds() {
    let Some(ground) = ground().await else { return };
    ground.wire.all(Mode::Stall);
    let began = Instant::now();
    let (sealed, heads) = (&ground.sealed, &ground.heads);
    let version = Version::new("\"0x8D\"");
    let (put, small, got, listed, versions, loaded, swapped) = tokio::join!(
        sealed.put_new("a", large(), Retention::None),
        sealed.put_new("b", Bytes::from_static(b"x"), Retention::None),
        sealed.get("c", 1),
        sealed.list("", None),
        sealed.versions("", None),
        heads.load("h"),
        heads.swap("h", Some(&version), Bytes::from_static(b"x")),
    );
    let took = began.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert!(
        matches!(
            put,
            Err(PutError::Unknown { .. } | PutError::Transient { .. })
        ),
        "{put:?}"
    );
    assert!(matches!(small, Err(PutError::Unknown { .. })), "{small:?}");
    assert!(matches!(got, Err(GetError::Transient { .. })), "{got:?}");
    assert!(
        matches!(listed, Err(ListError::Transient { .. })),
        "{listed:?}"
    );
    assert!(
        matches!(versions, Err(ListError::Transient { .. })),
        "{versions:?}"
    );
    assert!(
        matches!(loaded, Err(HeadError::Transient { .. })),
        "{loaded:?}"
    );
    assert!(
        matches!(swapped, Err(SwapError::Unknown { .. })),
        "{swapped:?}"
    );
    let text = small.unwrap_err().to_string();
    assert!(text.contains("stopped answering"), "{text}");
}
