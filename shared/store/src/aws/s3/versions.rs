//! The versions of a bucket's objects, and what keeps each from being removed.

use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::types::{EncodingType, ObjectLockRetentionMode};
use futures_util::stream::{self, StreamExt};

use super::{S3SealedStore, decoded};
use crate::aws::failure::{self, Answer};
use crate::error::ListError;
use crate::failure::Failure;
use crate::sealed::{LockMode, ObjectVersion, VersionLock, VersionPage};

/// Retentions that are asked for at a time.
const REQUESTS_IN_FLIGHT: usize = 16;

/// Of no key more versions are listed. A second one is a finding already; who
/// piles up more must not keep the rest of the bucket from being read.
const MAX_VERSIONS_OF_A_KEY: usize = 10_000;

impl S3SealedStore {
    /// A page of versions with their locks.
    pub(super) async fn version_page(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<VersionPage, ListError> {
        let mut page = self.versions_alone(prefix, after).await?;
        // One answer may tell of all: that the bucket has no locks.
        let mut locks: Option<VersionLock> = None;
        for batch in page.versions.chunks_mut(REQUESTS_IN_FLIGHT * 4) {
            if let Some(lock) = &locks {
                for version in batch.iter_mut().filter(|version| !version.delete_marker) {
                    version.lock = lock.clone();
                }
                continue;
            }
            let asked: Vec<_> = batch.iter().map(|version| self.lock_of(version)).collect();
            let found: Vec<_> = stream::iter(asked)
                .buffered(REQUESTS_IN_FLIGHT)
                .collect()
                .await;
            for (version, found) in batch.iter_mut().zip(found) {
                version.lock = match found {
                    Found::Of(lock) => lock,
                    Found::OfAll(lock) => locks.insert(lock).clone(),
                };
            }
        }
        Ok(page)
    }

    /// A page of versions, all of each key, their locks not read.
    async fn versions_alone(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<VersionPage, ListError> {
        let mut versions: Vec<ObjectVersion> = Vec::new();
        let mut key_marker = after.map(|after| self.full(after));
        let mut version_marker = None;
        loop {
            let listed = self
                .client
                .list_object_versions()
                .bucket(&self.bucket.name)
                .prefix(self.full(prefix))
                .set_key_marker(key_marker)
                .set_version_id_marker(version_marker)
                .encoding_type(EncodingType::Url)
                .send()
                .await
                .map_err(|error| {
                    failure::of(&error, self.on_bucket("s3:ListBucketVersions"))
                        .into_list(self.address.clone())
                })?;
            versions.extend(self.merged(&listed));
            if !listed.is_truncated().unwrap_or(false) {
                return Ok(VersionPage {
                    versions,
                    more: false,
                });
            }
            // More versions of the last key may follow: it is left to the next
            // page, unless it is the only one.
            let last = versions.last().map(|version| version.key.clone());
            let whole = versions
                .iter()
                .position(|version| Some(&version.key) == last.as_ref())
                .unwrap_or(0);
            if whole > 0 {
                versions.truncate(whole);
                return Ok(VersionPage {
                    versions,
                    more: true,
                });
            }
            if versions.len() >= MAX_VERSIONS_OF_A_KEY {
                return Ok(VersionPage {
                    versions,
                    more: true,
                });
            }
            key_marker = listed.next_key_marker().map(decoded);
            version_marker = listed.next_version_id_marker().map(str::to_owned);
            if key_marker.is_none() {
                return Err(ListError::Refused {
                    store: self.address.clone(),
                    reason: "its listing of versions says that it goes on, and not from where"
                        .to_owned(),
                    next: "check that the endpoint is S3, or a server that lists as it does"
                        .to_owned(),
                });
            }
        }
    }

    /// Versions and delete markers, which the library hands over apart, as S3
    /// lists them: keys ascending, of one key the newest first.
    fn merged(&self, listed: &ListObjectVersionsOutput) -> Vec<ObjectVersion> {
        let versions = listed.versions().iter().filter_map(|version| {
            let bytes = version.size().and_then(|size| u64::try_from(size).ok());
            let merged = ObjectVersion {
                key: self.own(&decoded(version.key()?))?,
                version: version.version_id().unwrap_or("null").to_owned(),
                is_latest: version.is_latest().unwrap_or(false),
                delete_marker: false,
                bytes: bytes.unwrap_or(0),
                lock: VersionLock::None,
            };
            Some((version.last_modified().copied(), merged))
        });
        let markers = listed.delete_markers().iter().filter_map(|marker| {
            let merged = ObjectVersion {
                key: self.own(&decoded(marker.key()?))?,
                version: marker.version_id().unwrap_or("null").to_owned(),
                is_latest: marker.is_latest().unwrap_or(false),
                delete_marker: true,
                bytes: 0,
                lock: VersionLock::None,
            };
            Some((marker.last_modified().copied(), merged))
        });
        let mut merged: Vec<_> = versions.chain(markers).collect();
        // Stable: what has the same second keeps its order among its kind.
        merged.sort_by(|(a_time, a), (b_time, b)| {
            (a.key.cmp(&b.key))
                .then(b.is_latest.cmp(&a.is_latest))
                .then(b_time.cmp(a_time))
        });
        merged.into_iter().map(|(_, version)| version).collect()
    }

    /// What keeps a version from being removed. Not by HEAD: it leaves the lock
    /// out, as if there were none, where the permission to read it is missing.
    async fn lock_of(&self, version: &ObjectVersion) -> Found {
        if version.delete_marker {
            return Found::Of(VersionLock::None);
        }
        let asked = self
            .client
            .get_object_retention()
            .bucket(&self.bucket.name)
            .key(self.full(&version.key))
            .version_id(&version.version)
            .send()
            .await;
        let error =
            match asked {
                Ok(output) => {
                    let retention = output.retention();
                    let mode = match retention.and_then(|retention| retention.mode()) {
                        Some(ObjectLockRetentionMode::Compliance) => LockMode::Compliance,
                        // The modes to come are no firmer than this is taken to be.
                        Some(_) => LockMode::Governance,
                        None => return Found::Of(VersionLock::None),
                    };
                    let until = retention
                        .and_then(|retention| retention.retain_until_date())
                        .and_then(|until| until.to_millis().ok())
                        .and_then(|millis| u64::try_from(millis).ok());
                    return Found::Of(until.map_or(VersionLock::None, |millis| {
                        VersionLock::Until { millis, mode }
                    }));
                }
                Err(error) => error,
            };
        if let Some(answer) = Answer::of(&error) {
            if answer.code == "NoSuchObjectLockConfiguration" {
                return Found::Of(VersionLock::None);
            }
            if answer.is_without_lock() {
                return Found::OfAll(VersionLock::None);
            }
        }
        let failure = failure::of(&error, self.on_objects("s3:GetObjectRetention"));
        let reason = match failure {
            Failure::Refused { reason, next } => format!("{reason}; {next}"),
            other => failure::reason(other),
        };
        Found::Of(VersionLock::Unknown { reason })
    }
}

/// A lock, and of what.
enum Found {
    /// Of the version that was asked for.
    Of(VersionLock),
    /// Of every version of the bucket.
    OfAll(VersionLock),
}
