//! Reading objects and listings, with what certainly did nothing repeated.

use std::fmt::Display;

use bytes::Bytes;
use countersign_store::{GetError, ListError, ObjectMeta, ObjectPages, SealedStore};

use crate::objects::{MAX_RETRIES, pause};

/// Why an object is not at hand.
#[derive(Debug)]
pub(super) enum Absent {
    /// The store is there and holds no such object.
    Missing,
    /// Something else stands there.
    Corrupt(String),
    /// It could not be read: a permission, an outage, no store.
    Unreadable(String),
}

impl Display for Absent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("it does not exist"),
            Self::Corrupt(why) | Self::Unreadable(why) => f.write_str(why),
        }
    }
}

/// Reads an object of at most `limit` bytes.
pub(super) async fn get(store: &dyn SealedStore, key: &str, limit: u64) -> Result<Bytes, Absent> {
    let mut tries = 0;
    loop {
        match store.get(key, limit).await {
            Ok(bytes) => return Ok(bytes),
            Err(GetError::NotFound { .. }) => return Err(Absent::Missing),
            Err(error @ (GetError::TooLarge { .. } | GetError::Corrupt { .. })) => {
                return Err(Absent::Corrupt(error.to_string()));
            }
            Err(GetError::Transient { .. }) if tries < MAX_RETRIES => {
                tries += 1;
                pause(tries).await;
            }
            Err(error) => return Err(Absent::Unreadable(error.to_string())),
        }
    }
}

/// Hands every object under a prefix, after `after`, to `each`, which may end the
/// listing by answering false.
pub(super) async fn list(
    store: &dyn SealedStore,
    prefix: &str,
    after: Option<String>,
    mut each: impl FnMut(ObjectMeta) -> bool,
) -> Result<(), String> {
    let mut pages = ObjectPages::after(store, prefix, after);
    let mut tries = 0;
    loop {
        match pages.next().await {
            Ok(None) => return Ok(()),
            Ok(Some(objects)) => {
                tries = 0;
                for object in objects {
                    if !each(object) {
                        return Ok(());
                    }
                }
            }
            Err(ListError::Transient { .. }) if tries < MAX_RETRIES => {
                tries += 1;
                pause(tries).await;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}
