//! The suite that every backend runs: what the contracts of [`SealedStore`] and
//! [`HeadStore`] promise, tried out.
//!
//! For tests: the functions panic at the first promise that is not kept, and
//! say which. They need a tokio runtime, best one of several threads.
//!
//! ```
//! # tokio::runtime::Builder::new_multi_thread().build().unwrap().block_on(async {
//! use std::sync::Arc;
//!
//! use countersign_store::conformance::{self, Scope};
//! use countersign_store::memory::{MemoryHeadStore, MemorySealedStore};
//!
//! let scope = Scope { many: 100, ..Scope::new("conformance") };
//! conformance::sealed_store(Arc::new(MemorySealedStore::new("x")), &scope).await;
//! conformance::head_store(Arc::new(MemoryHeadStore::new("x")), &scope).await;
//! # });
//! ```

mod head;
mod sealed;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::error::{GetError, HeadError, ListError, PutError, SwapError};
use crate::head::HeadStore;
use crate::requests::count_requests;
use crate::sealed::{Retention, SealedStore};

/// Writers that race for one key.
const WRITERS: usize = 16;

/// Keys that no store takes.
const INVALID_KEYS: [&str; 9] = [
    "",
    "/a",
    "a/",
    "a//b",
    "..",
    "a/../b",
    ".hidden",
    "white space",
    "per%20cent",
];

/// Where the suite works in a store, and how hard.
#[derive(Clone, Debug)]
pub struct Scope {
    /// A folder in which nothing stands yet, without a slash at the end. What
    /// is written stays there.
    pub folder: String,
    /// How many objects the listing is tried on. Over 10,000 show paging in
    /// every backend.
    pub many: usize,
    /// The retention of what is written.
    pub retention: Retention,
    /// How often each of the 16 racing writers moves a head.
    pub swaps: usize,
}

impl Scope {
    /// The full suite in `folder`, without retention.
    pub fn new(folder: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            many: 10_000,
            retention: Retention::None,
            swaps: 25,
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }
}

/// Runs everything that a sealed store must do.
///
/// # Panics
///
/// If it does not.
pub async fn sealed_store(store: Arc<dyn SealedStore>, scope: &Scope) {
    sealed::empty_folder(&*store, scope).await;
    sealed::requests_are_counted(&*store, scope).await;
    sealed::create_only(&*store, scope).await;
    sealed::ranges(&*store, scope).await;
    sealed::large_object(&*store, scope).await;
    sealed::invalid_keys(&*store, scope).await;
    sealed::order_and_prefixes(&*store, scope).await;
    sealed::one_winner(&store, scope).await;
    sealed::many_objects(&store, scope).await;
    sealed::versions_and_retention(&*store, scope).await;
}

/// Runs everything that a head store must do.
///
/// # Panics
///
/// If it does not.
pub async fn head_store(store: Arc<dyn HeadStore>, scope: &Scope) {
    head::requests_are_counted(&*store, scope).await;
    head::load_and_swap(&*store, scope).await;
    head::stale_versions(&*store, scope).await;
    head::refused_heads(&*store, scope).await;
    head::no_lost_update(&store, scope).await;
}

/// Runs what a sealed store must say whose folder or bucket is not there.
///
/// # Panics
///
/// If it does not.
pub async fn missing_sealed_store(store: &dyn SealedStore) {
    let got = store.get("a", 1).await;
    assert!(matches!(got, Err(GetError::NoStore { .. })), "get: {got:?}");
    let got = store.get_range("a/b", 0..1).await;
    assert!(
        matches!(got, Err(GetError::NoStore { .. })),
        "get_range: {got:?}"
    );
    let listed = store.list("", None).await;
    assert!(
        matches!(listed, Err(ListError::NoStore { .. })),
        "list: {listed:?}"
    );
    for key in ["a", "a/b"] {
        let put = store.put_new(key, Bytes::new(), Retention::None).await;
        let Err(PutError::Refused { next, .. }) = &put else {
            panic!("put_new: {put:?}")
        };
        assert!(next.contains("run init"), "{next}");
    }
}

/// Runs what a head store must say whose folder or table is not there.
///
/// # Panics
///
/// If it does not.
pub async fn missing_head_store(store: &dyn HeadStore) {
    let loaded = store.load("a").await;
    assert!(
        matches!(loaded, Err(HeadError::NoStore { .. })),
        "load: {loaded:?}"
    );
    for key in ["a", "a/b"] {
        let swapped = store.swap(key, None, Bytes::new()).await;
        let Err(SwapError::Refused { next, .. }) = &swapped else {
            panic!("swap: {swapped:?}")
        };
        assert!(next.contains("run init"), "{next}");
    }
}

/// What `call` gives, and how many requests it tells of.
async fn counting<T>(call: impl Future<Output = T>) -> (T, u64) {
    let sent = Arc::default();
    let given = count_requests(&sent, call).await;
    (given, sent.load(Ordering::Relaxed))
}

/// `len` bytes that do not repeat soon and differ from seed to seed.
fn pattern(len: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}
