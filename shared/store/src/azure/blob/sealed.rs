//! The sealed store in a container.

use std::ops::Range;

use async_trait::async_trait;
use azure_core::http::StatusCode;
use azure_core::time::OffsetDateTime;
use azure_storage_blob::models::{BlobClientDownloadOptions, HttpRange, ImmutabilityPolicyMode};
use bytes::Bytes;
use tokio::sync::OnceCell;

use super::{Container, If, Immutability, ReadFailure, collect};
use crate::azure::access::{Access, AccessError};
use crate::azure::arm::Arm;
use crate::azure::failure::{self, Ask};
use crate::azure::wire::Call;
use crate::error::{GetError, ListError, PutError};
use crate::failure::Failure;
use crate::key::key_is_valid;
use crate::posture::{Expected, Lock, Setting};
use crate::sealed::{Knowledge, Page, Retention, SealedStore, VersionPage};

/// The longest range whose checksum the service tells.
const MAX_CHECKED_RANGE_BYTES: u64 = 4 * 1024 * 1024;

/// A sealed store in a container of an Azure storage account, as the blobs
/// below a prefix.
///
/// A container's immutability policy keeps every blob for a number of days from
/// its creation, whoever wrote it: a put says nothing of it. Only where
/// immutability is set per version (`az storage container-rm` shows
/// `immutableStorageWithVersioning`) does a put carry its own.
#[derive(Debug)]
pub struct BlobSealedStore {
    pub(super) container: Container,
    pub(super) arm: Option<Arm>,
    lock: Lock,
    /// Asked for once, at the first put that is to be kept.
    version_level: OnceCell<bool>,
    pub(super) page_blobs: Option<i32>,
}

impl BlobSealedStore {
    /// The store below `prefix` (empty for all) of `container`, whose objects
    /// are to be kept as firmly as `lock` says. Nothing is sent yet: a missing
    /// container shows at the first call.
    ///
    /// # Errors
    /// When the account cannot be addressed.
    pub fn open(
        access: &Access,
        account: &str,
        container: &str,
        prefix: &str,
        lock: Lock,
    ) -> Result<Self, AccessError> {
        Ok(Self {
            container: Container::open(access, account, container, prefix)?,
            arm: access.resource_manager(account)?,
            lock,
            version_level: OnceCell::new(),
            page_blobs: None,
        })
    }

    /// The same with pages of `blobs`, so that a test sees many.
    #[cfg(test)]
    pub(crate) fn with_pages_of(self, blobs: i32) -> Self {
        Self {
            page_blobs: Some(blobs),
            ..self
        }
    }

    async fn immutability(&self, retention: Retention) -> Result<Option<Immutability>, Failure> {
        let Retention::Until(millis) = retention else {
            return Ok(None);
        };
        let mode = match self.lock {
            Lock::Off => return Ok(None),
            Lock::Governance => ImmutabilityPolicyMode::Unlocked,
            Lock::Compliance => ImmutabilityPolicyMode::Locked,
        };
        let ask = async || self.own_properties().await.map(|own| own.version_level);
        if !*self.version_level.get_or_try_init(ask).await? {
            return Ok(None);
        }
        // Azure keeps whole seconds; a part of one is kept as a whole.
        let seconds = i64::try_from(millis.div_ceil(1000)).unwrap_or(i64::MAX);
        let until = OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| {
            Failure::refused(
                "its retention ends after the year 9999",
                "set fewer days of retention",
            )
        })?;
        Ok(Some(Immutability { until, mode }))
    }

    async fn range(&self, key: &str, range: Range<u64>) -> Result<Bytes, ReadFailure> {
        if range.is_empty() {
            self.container.size(key).await?;
            return Ok(Bytes::new());
        }
        // Azure takes positions up to 2^63 - 1, and no object comes near them.
        let start = range.start.min(i64::MAX as u64 - 1);
        let bytes = range.end.min(i64::MAX as u64) - start;
        let call = Call::reading(bytes, u64::MAX);
        let options = BlobClientDownloadOptions {
            method_options: call.options(),
            parallel: std::num::NonZero::new(1),
            partition_size: usize::try_from(bytes).ok().and_then(std::num::NonZero::new),
            range: Some(HttpRange::new(start, bytes)),
            range_get_content_md5: Some(bytes <= MAX_CHECKED_RANGE_BYTES),
            ..BlobClientDownloadOptions::default()
        };
        let failed = |error| failure::of(&error, &call, Ask::ReadBlobs);
        match self.container.blob(key).download(Some(options)).await {
            Ok(result) => Ok(collect(result.body).await.map_err(failed)?),
            Err(error) if error.http_status() == Some(StatusCode::RequestedRangeNotSatisfiable) => {
                Ok(Bytes::new())
            }
            Err(error) => Err(failed(error).into()),
        }
    }

    fn get_error(&self, key: &str, limit: u64, failure: ReadFailure) -> GetError {
        let object = self.container.address(key);
        match failure {
            ReadFailure::TooLarge { bytes } => GetError::TooLarge {
                object,
                bytes,
                limit,
            },
            ReadFailure::Corrupt { reason } => GetError::Corrupt { object, reason },
            ReadFailure::Failed(failure) => failure.into_get(object, self.describe()),
        }
    }
}

#[async_trait]
impl SealedStore for BlobSealedStore {
    async fn put_new(&self, key: &str, bytes: Bytes, retention: Retention) -> Result<(), PutError> {
        let put = async {
            if !key_is_valid(key) {
                return Err(Failure::invalid_key());
            }
            let immutability = self.immutability(retention).await?;
            self.container
                .write(key, bytes, If::Absent, immutability)
                .await
        };
        match put.await {
            Ok(_) => Ok(()),
            Err(failure) => Err(failure.into_put(self.container.address(key))),
        }
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, GetError> {
        if !key_is_valid(key) {
            return Err(self.get_error(key, max_bytes, Failure::invalid_key().into()));
        }
        let read = self.container.read(key, max_bytes).await;
        read.map(|read| read.bytes)
            .map_err(|failure| self.get_error(key, max_bytes, failure))
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, GetError> {
        if !key_is_valid(key) {
            return Err(self.get_error(key, u64::MAX, Failure::invalid_key().into()));
        }
        let read = self.range(key, range).await;
        read.map_err(|failure| self.get_error(key, u64::MAX, failure))
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, ListError> {
        self.list_page(prefix, after).await
    }

    async fn versions(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Knowledge<VersionPage>, ListError> {
        self.version_page(prefix, after).await.map(Knowledge::Known)
    }

    async fn posture(&self, expected: Expected) -> Knowledge<Vec<Setting>> {
        self.settings(expected).await
    }

    fn describe(&self) -> String {
        self.container.describe()
    }
}
