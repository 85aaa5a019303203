//! Objects of a chain: their sizes, the newest of those named by size, and
//! writing those that any run would write alike.

use std::time::Duration;

use bytes::Bytes;
use countersign_core::names::{self, Object};
use countersign_store::{GetError, ListError, ObjectPages, PutError, Retention, SealedStore};

/// A segment's or index's object has at most this many bytes: its content's cap
/// and what zstd may add to what does not compress.
pub const MAX_OBJECT_BYTES: u64 = 65 << 20;

/// Genesis, checkpoints and anchors have at most this many bytes.
pub const MAX_SMALL_BYTES: u64 = 1 << 20;

/// The newest checkpoint's size, none below `from`. Lists from there on only.
///
/// # Errors
/// When the store cannot be listed.
pub async fn newest_checkpoint(
    store: &dyn SealedStore,
    from: u64,
) -> Result<Option<u64>, ListError> {
    let after = from.checked_sub(1).map(names::checkpoint);
    let mut pages = ObjectPages::after(store, "checkpoints/", after);
    let mut newest = None;
    while let Some(objects) = pages.next().await? {
        for object in objects {
            if let Some(Object::Checkpoint { size }) = Object::parse(&object.key) {
                newest = newest.max(Some(size));
            }
        }
    }
    Ok(newest)
}

/// Writes an object that any run would write with the same bytes. What stands
/// there already is success if it is the same.
///
/// # Errors
/// [`WriteError::Differs`] if something else stands there; else as the store.
pub async fn put_same(
    store: &dyn SealedStore,
    key: &str,
    bytes: &Bytes,
    retention: Retention,
) -> Result<(), WriteError> {
    put_with(store, key, bytes, retention, |found| found == bytes).await
}

/// As [`put_same`], for objects that may stand there with other bytes: `is_right`
/// tells.
///
/// # Errors
/// As [`put_same`].
pub async fn put_with(
    store: &dyn SealedStore,
    key: &str,
    bytes: &Bytes,
    retention: Retention,
    is_right: impl Fn(&Bytes) -> bool,
) -> Result<(), WriteError> {
    let mut tries = 0;
    loop {
        let error = match store.put_new(key, bytes.clone(), retention).await {
            Ok(()) => return Ok(()),
            Err(error @ PutError::Refused { .. }) => return Err(error.into()),
            Err(error) => error,
        };
        if !matches!(error, PutError::Transient { .. }) {
            match store.get(key, MAX_OBJECT_BYTES).await {
                Ok(found) if is_right(&found) => return Ok(()),
                Ok(_) => {
                    return Err(WriteError::Differs {
                        object: key.to_owned(),
                        store: store.describe(),
                    });
                }
                Err(GetError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if tries == MAX_RETRIES {
            return Err(error.into());
        }
        tries += 1;
        pause(tries).await;
    }
}

/// Why an object could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Something else stands there.
    #[error(
        "ALARM: {object} in {store} stands there with other content than it must have: run verify"
    )]
    Differs {
        /// The object.
        object: String,
        /// The store.
        store: String,
    },
    /// It could not be written.
    #[error(transparent)]
    Put(#[from] PutError),
    /// What stands there could not be read.
    #[error(transparent)]
    Get(#[from] GetError),
}

/// How often a call that certainly did nothing is repeated.
pub(crate) const MAX_RETRIES: u32 = 5;
/// The wait before the first repetition; it doubles.
const RETRY_DELAY: Duration = Duration::from_millis(50);

pub(crate) async fn pause(tries: u32) {
    tokio::time::sleep(RETRY_DELAY * 2u32.pow(tries.clamp(1, 6) - 1)).await;
}
