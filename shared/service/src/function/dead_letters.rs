//! Where broken deliveries are kept, on platforms that have no dead-letter queue of
//! their own.

use std::sync::Arc;

use bytes::Bytes;
use countersign_core::delivery::Identity;
use countersign_sources::trigger::{Content, Delivery};
use countersign_store::{AddressError, Lock, Retention, SealedStore, StoreAddress};
use data_encoding::BASE64;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::objects::{WriteError, put_same};
use crate::stores::{AccessError, Stores};

/// Names the container or bucket.
const PLACE: &str = "COUNTERSIGN_DEAD_LETTERS";

/// A container or bucket of dead letters, one object each, under `dead-letters/`:
/// JSON with `from`, `reason` and the bytes as they came, in base64. To try one
/// again: `jq -r .bytes FILE | base64 -d | countersign seal --chain NAME -`.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    store: Option<Arc<dyn SealedStore>>,
}

/// Why a broken delivery could not be set aside.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeadLetterError {
    /// Nowhere to put it.
    #[error("it cannot be set aside: {PLACE} names no place, such as azblob://ACCOUNT/CONTAINER")]
    NoPlace,
    /// The place is no store.
    #[error("{PLACE} {0}")]
    Address(#[from] AddressError),
    /// The store cannot be reached.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// It cannot be written.
    #[error("it could not be set aside: {0}")]
    Write(#[from] WriteError),
}

impl DeadLetters {
    /// The place that the environment names. Without one, nothing can be set aside,
    /// and a broken delivery comes again and again.
    ///
    /// # Errors
    /// When it names what is none.
    pub async fn open() -> Result<Self, DeadLetterError> {
        let place = std::env::var(PLACE).ok().filter(|place| !place.is_empty());
        let Some(place) = place else {
            tracing::warn!("{PLACE} is not set: a broken delivery will hold up its partition");
            return Ok(Self { store: None });
        };
        let address = StoreAddress::parse(&place)?;
        let store = Stores::default().sealed(&address, Lock::Off).await?;
        Ok(Self::of(store))
    }

    /// Keeps them in a store.
    pub fn of(store: Arc<dyn SealedStore>) -> Self {
        Self { store: Some(store) }
    }

    /// Keeps a delivery that cannot be sealed, and why.
    ///
    /// # Errors
    /// When it is not known to be kept.
    pub async fn keep(&self, delivery: &Delivery, reason: &str) -> Result<(), DeadLetterError> {
        let store = self.store.as_ref().ok_or(DeadLetterError::NoPlace)?;
        let bytes: &[u8] = match &delivery.content {
            Content::Bytes(bytes) => bytes,
            // It stands where it stood.
            Content::Object(_) => &[],
        };
        let id = delivery.id.clone().unwrap_or_else(|| {
            let sha256 = Sha256::digest(bytes).into();
            Identity::File { sha256 }.id()
        });
        let letter = json!({
            "bytes": BASE64.encode(bytes),
            "countersign": "dead-letter/v1",
            "from": delivery.from,
            "id": id,
            "reason": reason,
        });
        let letter = Bytes::from(letter.to_string() + "\n");
        let key = format!("dead-letters/{id}.json");
        put_same(&**store, &key, &letter, Retention::None).await?;
        Ok(())
    }
}
