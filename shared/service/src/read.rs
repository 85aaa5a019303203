//! Reading objects of a chain: sizes, and the newest of those named by size.

use countersign_core::names::{self, Object};
use countersign_store::{ListError, ObjectPages, SealedStore};

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
