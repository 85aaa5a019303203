//! The sealed store itself.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Mutex;

use super::listing;
use super::objects::{LIST_PERMISSION, Objects, READ_PERMISSION, ReadFailure};
use super::posture;
use super::settings::{Policy, Settings};
use crate::address::Bucket;
use crate::error::{GetError, ListError, PutError};
use crate::gcp::access::Access;
use crate::gcp::failure::Failure;
use crate::key::key_is_valid;
use crate::posture::{Expected, Lock, Setting};
use crate::sealed::{Knowledge, Page, Retention, SealedStore, VersionPage};

const PUT_PERMISSION: &str = "storage.objects.create";

/// A sealed store in a Cloud Storage bucket, or in a part of one.
///
/// The bucket's retention policy keeps the objects: it counts from each
/// object's creation and cannot be told a time per put. So a put that asks for
/// a retention is refused where the bucket has no such policy, as far as the
/// credentials may look; whether the policy is long enough and locked is seen
/// by [`posture`](SealedStore::posture), and per object by
/// [`versions`](SealedStore::versions).
///
/// Objects that were removed but can still be restored (soft delete) are listed
/// among the versions: they show that a key held something else, or that its
/// object is gone.
#[derive(Debug)]
pub struct GcsSealedStore {
    objects: Objects,
    lock: Lock,
    /// Whether the bucket was seen to have a retention policy.
    retains: AtomicBool,
    /// What was known of the policy when the walk over the versions began.
    policy: Mutex<Option<Policy>>,
}

impl GcsSealedStore {
    /// The store in `bucket`, which is never made by this: while it is missing
    /// every call says so. With a `lock` other than [`Lock::Off`] nothing is
    /// put into a bucket without a retention policy.
    pub fn open(access: &Access, bucket: &Bucket, lock: Lock) -> Self {
        Self {
            objects: Objects::new(access.clone(), bucket),
            lock,
            retains: AtomicBool::new(false),
            policy: Mutex::new(None),
        }
    }

    /// Why the bucket would not keep what is put. Where its settings cannot be
    /// read, nothing is refused on that ground.
    async fn keeps_nothing(&self) -> Option<Failure> {
        if self.retains.load(Ordering::Relaxed) {
            return None;
        }
        let settings = Settings::read(&self.objects).await.ok()?;
        if settings.policy().retains() {
            self.retains.store(true, Ordering::Relaxed);
            return None;
        }
        Some(Failure::refused(
            "its bucket has no retention policy, so that anybody with access could remove it",
            format!(
                "set one (gcloud storage buckets update gs://{} --retention-period=PERIOD), or lock = \"off\" to try things out",
                self.objects.bucket()
            ),
        ))
    }

    fn get_error(&self, key: &str, limit: u64, failure: ReadFailure) -> GetError {
        let (object, store) = (self.objects.address(key), self.describe());
        match failure {
            ReadFailure::Missing => GetError::NotFound { object },
            ReadFailure::NoBucket => GetError::NoStore { store },
            ReadFailure::TooLarge(bytes) => GetError::TooLarge {
                object,
                bytes,
                limit,
            },
            ReadFailure::Corrupt(reason) => GetError::Corrupt { object, reason },
            ReadFailure::Failed(failure) => failure.into_get(object, store, READ_PERMISSION),
        }
    }
}

#[async_trait]
impl SealedStore for GcsSealedStore {
    async fn put_new(&self, key: &str, bytes: Bytes, retention: Retention) -> Result<(), PutError> {
        let object = self.objects.address(key);
        if !key_is_valid(key) {
            return Err(Failure::invalid_key().into_put(object, PUT_PERMISSION));
        }
        if self.lock != Lock::Off
            && matches!(retention, Retention::Until(_))
            && let Some(failure) = self.keeps_nothing().await
        {
            return Err(failure.into_put(object, PUT_PERMISSION));
        }
        match self.objects.write(key, bytes, 0, "").await {
            Ok(_) => Ok(()),
            Err(failure) => Err(failure.into_put(object, PUT_PERMISSION)),
        }
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, GetError> {
        if !key_is_valid(key) {
            return Err(self.get_error(key, 0, ReadFailure::Failed(Failure::invalid_key())));
        }
        match self.objects.read(key, max_bytes).await {
            Ok(whole) => Ok(whole.bytes),
            Err(failure) => Err(self.get_error(key, max_bytes, failure)),
        }
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, GetError> {
        if !key_is_valid(key) {
            return Err(self.get_error(key, 0, ReadFailure::Failed(Failure::invalid_key())));
        }
        let limit = range.end.saturating_sub(range.start);
        self.objects
            .read_range(key, range)
            .await
            .map_err(|failure| self.get_error(key, limit, failure))
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, ListError> {
        listing::objects(&self.objects, prefix, after)
            .await
            .map_err(|failure| failure.into_list(self.describe(), LIST_PERMISSION))
    }

    async fn versions(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Knowledge<VersionPage>, ListError> {
        let failed = |failure: Failure| failure.into_list(self.describe(), LIST_PERMISSION);
        let policy = {
            let mut policy = self.policy.lock().await;
            match *policy {
                Some(known) if after.is_some() => known,
                _ => {
                    let read = Settings::read(&self.objects).await;
                    let read = Policy::as_far_as_known(read).map_err(failed)?;
                    *policy.insert(read)
                }
            }
        };
        listing::versions(&self.objects, prefix, after, policy)
            .await
            .map(Knowledge::Known)
            .map_err(failed)
    }

    async fn posture(&self, expected: Expected) -> Knowledge<Vec<Setting>> {
        Knowledge::Known(posture::judge(&self.objects, expected).await)
    }

    fn describe(&self) -> String {
        self.objects.describe()
    }
}
