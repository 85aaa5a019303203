//! How many requests a call sends, as the backends themselves tell.
//!
//! One call of a store may cost several requests: a listing of S3's versions
//! asks for the retention of each, a client's library tries a read again. So
//! it is not the calls that are counted but what a backend hands to its
//! transport, attempt by attempt, where it does so. Each file system call of a
//! folder and each look into memory counts as one.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU64, Ordering};
//!
//! use countersign_store::memory::MemorySealedStore;
//! use countersign_store::{SealedStore, count_requests};
//!
//! let store = MemorySealedStore::new("x");
//! let sent = Arc::new(AtomicU64::new(0));
//! let page = count_requests(&sent, store.list("", None)).await.unwrap();
//! assert!(page.objects.is_empty());
//! assert_eq!(sent.load(Ordering::Relaxed), 1);
//! # });
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

tokio::task_local! {
    static COUNT: Arc<AtomicU64>;
}

/// Runs `call`, and adds to `sent` the requests that stores send in it, failed
/// ones and repetitions included. Not counted: requests for credentials. Of
/// counts inside each other the inner one counts; what `call` hands to other
/// tasks is not seen.
pub async fn count_requests<T>(sent: &Arc<AtomicU64>, call: impl Future<Output = T>) -> T {
    COUNT.scope(Arc::clone(sent), call).await
}

/// A request is about to be sent.
pub(crate) fn request() {
    Count::current().request();
}

/// The count of the task that a call began in, for work that another task may do.
#[derive(Clone, Debug)]
pub(crate) struct Count(Option<Arc<AtomicU64>>);

impl Count {
    pub(crate) fn current() -> Self {
        Self(COUNT.try_with(Arc::clone).ok())
    }

    /// A request is about to be sent.
    pub(crate) fn request(&self) {
        if let Self(Some(sent)) = self {
            sent.fetch_add(1, Ordering::Relaxed);
        }
    }
}
