//! The sealed store in a folder.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::folder::{CreateError, Folder, PublishFailure, ReadFailure};
use super::{blocking, walk};
use crate::error::{GetError, ListError, PutError};
use crate::failure::Failure;
use crate::key::key_is_valid;
use crate::posture::{Expected, Setting};
use crate::sealed::{Knowledge, Page, Retention, SealedStore, VersionPage};

/// How many objects a page holds.
const PAGE_OBJECTS: usize = 8192;

/// Objects are read-only for everybody; the umask decides who may read them.
const OBJECT_MODE: u32 = 0o444;

/// A sealed store in a folder: one read-only file per object.
///
/// An object is written and flushed under a temporary name and then linked to
/// its own, so that a crash at any instant leaves the whole object or nothing.
/// Retention is not kept: a folder cannot refuse its owner anything.
#[derive(Debug)]
pub struct LocalSealedStore {
    folder: Arc<Folder>,
}

impl LocalSealedStore {
    /// The store in the folder `path`, which is never made by this: while it is
    /// missing every call says so.
    pub fn open(path: impl Into<PathBuf>) -> Self {
        Self {
            folder: Arc::new(Folder::open(path.into())),
        }
    }

    /// The same, making the folder and those it lies in where they are missing.
    ///
    /// # Errors
    ///
    /// [`CreateError`].
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, CreateError> {
        Ok(Self {
            folder: Arc::new(Folder::create(path.into())?),
        })
    }

    async fn read(
        &self,
        key: &str,
        limit: u64,
        read: impl FnOnce(&Folder, &str) -> Result<Bytes, ReadFailure> + Send + 'static,
    ) -> Result<Bytes, GetError> {
        let object = self.folder.address(key);
        if !key_is_valid(key) {
            return Err(Failure::invalid_key().into_get(object, self.describe()));
        }
        let (folder, key, store) = (Arc::clone(&self.folder), key.to_owned(), self.describe());
        let lost = object.clone();
        let work = move || {
            read(&folder, &key).map_err(|failure| match failure {
                ReadFailure::Missing => GetError::NotFound { object },
                ReadFailure::TooLarge { bytes } => GetError::TooLarge {
                    object,
                    bytes,
                    limit,
                },
                ReadFailure::Corrupt(reason) => GetError::Corrupt { object, reason },
                ReadFailure::Failed(failure) => failure.into_get(object, store),
            })
        };
        blocking(work, |cause| GetError::Transient {
            object: lost,
            cause,
        })
        .await
    }
}

#[async_trait]
impl SealedStore for LocalSealedStore {
    async fn put_new(
        &self,
        key: &str,
        bytes: Bytes,
        _retention: Retention,
    ) -> Result<(), PutError> {
        let object = self.folder.address(key);
        if !key_is_valid(key) {
            return Err(Failure::invalid_key().into_put(object));
        }
        let (folder, key, lost) = (Arc::clone(&self.folder), key.to_owned(), object.clone());
        let work = move || {
            put_new(&folder, &key, &bytes).map_err(|failure| match failure {
                PublishFailure::Exists => PutError::Exists { object },
                PublishFailure::Unknown(error) => PutError::Unknown {
                    object,
                    cause: error.into(),
                },
                PublishFailure::Failed(failure) => failure.into_put(object),
            })
        };
        blocking(work, |cause| PutError::Unknown {
            object: lost,
            cause,
        })
        .await
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, GetError> {
        self.read(key, max_bytes, move |folder, key| {
            folder.read(key, max_bytes)
        })
        .await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, GetError> {
        self.read(key, u64::MAX, move |folder, key| {
            folder.read_range(key, range)
        })
        .await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, ListError> {
        let folder = Arc::clone(&self.folder);
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        let work = move || {
            walk::list(folder.root(), &prefix, after.as_deref(), PAGE_OBJECTS)
                .map_err(|(path, failure)| failure.into_list(format!("file:{}", path.display())))
        };
        blocking(work, |cause| ListError::Transient {
            store: self.describe(),
            cause,
        })
        .await
    }

    async fn versions(
        &self,
        _prefix: &str,
        _after: Option<&str>,
    ) -> Result<Knowledge<VersionPage>, ListError> {
        Ok(Knowledge::NotApplicable {
            reason: "a local folder keeps no versions and has no lock".to_owned(),
        })
    }

    async fn posture(&self, _expected: Expected) -> Knowledge<Vec<Setting>> {
        Knowledge::NotApplicable {
            reason: "a local folder has no settings of its own".to_owned(),
        }
    }

    fn describe(&self) -> String {
        self.folder.describe()
    }
}

fn put_new(folder: &Folder, key: &str, bytes: &[u8]) -> Result<(), PublishFailure> {
    folder.check()?;
    // Only spares the writing: what decides is the link.
    if fs::symlink_metadata(folder.path(key)).is_ok() {
        return Err(PublishFailure::Exists);
    }
    let temp = folder.write_temp(bytes, OBJECT_MODE)?;
    let path = folder.prepare(key)?;
    temp.publish_new(&path)
}

impl From<Failure> for PublishFailure {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}
