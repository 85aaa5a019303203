//! The head store on Cloud Storage.

use async_trait::async_trait;
use bytes::Bytes;

use super::access::Access;
use super::failure::Failure;
use super::gcs::{Objects, READ_PERMISSION, ReadFailure};
use crate::address::Bucket;
use crate::error::{HeadError, SwapError};
use crate::head::{HeadStore, MAX_HEAD_BYTES, Stored, Version, swap_refusal};
use crate::key::key_is_valid;

/// A swap that replaces a head needs the second one too.
const SWAP_PERMISSIONS: &str = "storage.objects.create or storage.objects.delete";

/// A head store in a bucket, or in a part of one: an object per head, whose
/// version is its generation.
///
/// Google gives every write of an object a generation that is larger than all
/// before it, also after a deletion: a version does not come back. The bucket
/// has no retention policy, since a head must move.
///
/// Cloud Storage takes about one write per second to one object; more are
/// answered with 429, which is [`SwapError::Transient`]: certainly not done.
/// A caller that swaps faster waits a second and tries again, or gathers its
/// changes into fewer swaps.
#[derive(Debug)]
pub struct GcsHeadStore {
    objects: Objects,
}

impl GcsHeadStore {
    /// The store in `bucket`, which is never made by this: while it is missing
    /// every call says so.
    pub fn open(access: &Access, bucket: &Bucket) -> Self {
        Self {
            objects: Objects::new(access.clone(), bucket),
        }
    }
}

#[async_trait]
impl HeadStore for GcsHeadStore {
    async fn load(&self, key: &str) -> Result<Option<Stored>, HeadError> {
        let (head, store) = (self.objects.address(key), self.describe());
        if !key_is_valid(key) {
            return Err(Failure::invalid_key().into_load(head, store, READ_PERMISSION));
        }
        let corrupt = |reason| {
            HeadError::Corrupt {
            head: head.clone(),
            reason,
            next: "find out who wrote it, and run verify to learn where the chain ends; do not delete it"
                .to_owned(),
        }
        };
        match self.objects.read(key, MAX_HEAD_BYTES as u64).await {
            Ok(whole) => Ok(Some(Stored {
                bytes: whole.bytes,
                version: Version::new(whole.generation.to_string()),
            })),
            Err(ReadFailure::Missing) => Ok(None),
            Err(ReadFailure::NoBucket) => Err(HeadError::NoStore { store }),
            Err(ReadFailure::TooLarge(bytes)) => Err(corrupt(format!(
                "its {bytes} bytes are more than any head has"
            ))),
            Err(ReadFailure::Corrupt(reason)) => Err(corrupt(reason)),
            Err(ReadFailure::Failed(failure)) => {
                Err(failure.into_load(head, store, READ_PERMISSION))
            }
        }
    }

    async fn swap(
        &self,
        key: &str,
        expected: Option<&Version>,
        new: Bytes,
    ) -> Result<Version, SwapError> {
        let head = self.objects.address(key);
        if let Some((reason, next)) = swap_refusal(key, &new) {
            return Err(SwapError::Refused { head, reason, next });
        }
        let generation = match expected {
            // The API's word for "there is none".
            None => 0,
            Some(version) => match version.as_str().parse() {
                Ok(generation @ 1..) => generation,
                // No head ever had it.
                _ => return Err(SwapError::Lost { head }),
            },
        };
        // Google caches what everybody may read unless it is told not to.
        match self.objects.write(key, new, generation, "no-store").await {
            Ok(generation) => Ok(Version::new(generation.to_string())),
            Err(failure) => Err(failure.into_swap(head, SWAP_PERMISSIONS)),
        }
    }

    fn describe(&self) -> String {
        self.objects.describe()
    }
}
