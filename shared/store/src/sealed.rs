//! The store of sealed objects.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{GetError, ListError, PutError};
use crate::key::key_is_valid;
use crate::posture::{Expected, Setting};

/// A store of immutable objects by key: a bucket or container with a retention
/// lock, or a folder.
///
/// # Contract
///
/// Every backend holds to this, and runs [`conformance`](crate::conformance) to show it:
///
/// - **Create-only.** Of any number of concurrent [`put_new`](Self::put_new)
///   calls for one key at most one succeeds, and one does unless all fail; the
///   others report that the object exists. Existence is decided by the store
///   in one atomic step, never by a read before a write.
/// - **Durable.** When a put succeeds, its object survives a crash of the
///   machine that wrote it.
/// - **Whole objects only.** No reader and no listing ever sees a part of an
///   object, whenever the writer stops.
/// - **Read after write.** Once a put has succeeded, or a reader has seen the
///   object, every later read and listing sees it, in every process.
/// - **Ordered listing.** Keys come strictly ascending by their bytes. A
///   listing shows all objects that stood when it began; those added meanwhile
///   may or may not be there.
/// - **Immutable.** There is no call that changes or removes an object. What
///   does so comes from outside, and is what `verify` looks for.
///
/// Keys given to the store are valid in the sense of
/// [`key_is_valid`]; any other is refused. A valid key is
/// never also the folder of another: `a` and `a/b` do not go together.
///
/// No call is repeated inside a backend unless it is certain that the first
/// attempt was not done.
#[async_trait]
pub trait SealedStore: Send + Sync + Debug {
    /// Writes `bytes` as a new object at `key`, kept for at least `retention`.
    ///
    /// # Errors
    ///
    /// [`PutError`]; after `Exists` and `Unknown` the caller reads the object.
    async fn put_new(&self, key: &str, bytes: Bytes, retention: Retention) -> Result<(), PutError>;

    /// Reads the whole object at `key`, if it holds at most `max_bytes` bytes.
    ///
    /// # Errors
    ///
    /// [`GetError`]; a larger object is not read at all.
    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, GetError>;

    /// Reads the bytes `range` of the object at `key`, as far as they exist: a
    /// range that passes the end is cut there, one that begins at the end or
    /// later, or that is empty, gives no bytes.
    ///
    /// # Errors
    ///
    /// [`GetError`]; a missing object is `NotFound` whatever the range.
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, GetError>;

    /// Lists objects whose keys begin with `prefix` (any string, not only
    /// whole parts; empty for all) and are greater than `after`. A page holds
    /// as many as suits the backend. See [`ObjectPages`](crate::ObjectPages)
    /// for all pages.
    ///
    /// # Errors
    ///
    /// [`ListError`]; an empty store is an empty page, a missing one an error.
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, ListError>;

    /// Lists every version and delete marker of the objects whose keys begin
    /// with `prefix` and are greater than `after`, or says why this store has
    /// no such thing.
    ///
    /// # Errors
    ///
    /// [`ListError`].
    async fn versions(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Knowledge<VersionPage>, ListError>;

    /// What the store's settings are, one by one, beside what they should be;
    /// or why this store has none. Settings that cannot be read are among them
    /// as unknown, so that this never fails.
    async fn posture(&self, expected: Expected) -> Knowledge<Vec<Setting>>;

    /// The store's address, as in the settings: `file:data/aws/sealed`.
    fn describe(&self) -> String;
}

#[async_trait]
impl<S: SealedStore + ?Sized> SealedStore for Arc<S> {
    async fn put_new(&self, key: &str, bytes: Bytes, retention: Retention) -> Result<(), PutError> {
        (**self).put_new(key, bytes, retention).await
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, GetError> {
        (**self).get(key, max_bytes).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, GetError> {
        (**self).get_range(key, range).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, ListError> {
        (**self).list(prefix, after).await
    }

    async fn versions(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Knowledge<VersionPage>, ListError> {
        (**self).versions(prefix, after).await
    }

    async fn posture(&self, expected: Expected) -> Knowledge<Vec<Setting>> {
        (**self).posture(expected).await
    }

    fn describe(&self) -> String {
        (**self).describe()
    }
}

/// How long the store must refuse to remove an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// What the store does by itself.
    None,
    /// At least until this time, in milliseconds since 1970 (UTC).
    Until(u64),
}

/// Some objects of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Keys strictly ascending by their bytes.
    pub objects: Vec<ObjectMeta>,
    /// Whether to ask on, after the last key. A page with more to follow is
    /// never empty.
    pub more: bool,
}

/// What a listing tells about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMeta {
    /// The key; where the store's name for it is not text, a printable
    /// rendering that is not a valid key.
    pub key: String,
    /// The size in bytes; 0 for what is not a regular object.
    pub bytes: u64,
    /// Whether [`key_is_valid`]. No writer of this project leaves any other.
    pub valid_name: bool,
    /// Whether it is an object that can be read. Of what is not (a symbolic
    /// link or a pipe in a folder) reads say that it is corrupt.
    pub regular: bool,
}

impl ObjectMeta {
    /// A regular object, its name checked.
    pub fn new(key: String, bytes: u64) -> Self {
        let valid_name = key_is_valid(&key);
        Self {
            key,
            bytes,
            valid_name,
            regular: true,
        }
    }
}

/// What can be known about a store, or why there is nothing to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Knowledge<T> {
    /// The store knows.
    Known(T),
    /// The question does not apply to this kind of store. What does apply but
    /// could not be read is an error instead.
    NotApplicable {
        /// Why not, for a report.
        reason: String,
    },
}

/// Some versions of a store's objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionPage {
    /// Keys ascending by their bytes, of one key the newest version first. All
    /// versions of a key stand in one page.
    pub versions: Vec<ObjectVersion>,
    /// Whether to ask on, after the last key. A page with more to follow is
    /// never empty.
    pub more: bool,
}

/// One version of an object, or a delete marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectVersion {
    /// The key.
    pub key: String,
    /// The store's name for the version.
    pub version: String,
    /// Whether it is what a read of the key answers.
    pub is_latest: bool,
    /// Whether it stands for a deletion rather than for content.
    pub delete_marker: bool,
    /// The size in bytes; 0 for a delete marker.
    pub bytes: u64,
    /// What keeps it from being removed.
    pub lock: VersionLock,
}

/// What keeps a version from being removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionLock {
    /// Nothing.
    None,
    /// The store refuses to remove it.
    Until {
        /// Until this time, in milliseconds since 1970 (UTC).
        millis: u64,
        /// How firmly.
        mode: LockMode,
    },
    /// It could not be read. The version itself was seen.
    Unknown {
        /// What happened, and the permission that is missing where that is the
        /// cause.
        reason: String,
    },
}

impl VersionLock {
    /// Until when it is kept, in milliseconds since 1970 (UTC), and how firmly;
    /// `None` where nothing keeps it and where that is not known.
    pub fn until(&self) -> Option<(u64, LockMode)> {
        match self {
            Self::Until { millis, mode } => Some((*millis, *mode)),
            Self::None | Self::Unknown { .. } => None,
        }
    }
}

/// How firmly a retention is held, in the clouds' own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// S3: some principals may lift it.
    Governance,
    /// S3: nobody may lift or shorten it.
    Compliance,
    /// Azure, GCS: the policy can still be changed.
    Unlocked,
    /// Azure, GCS: the policy can only be extended.
    Locked,
}

impl LockMode {
    /// Whether nobody can lift or shorten the retention.
    pub fn is_firm(self) -> bool {
        matches!(self, Self::Compliance | Self::Locked)
    }
}
