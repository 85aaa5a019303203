//! The store of heads.

use std::fmt::{self, Debug, Display};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{HeadError, SwapError};
use crate::key::{INVALID_KEY, key_is_valid};

/// The largest document that every head store holds, in bytes. The narrowest
/// backend is a DynamoDB item: 400 KB with names and version.
pub const MAX_HEAD_BYTES: usize = 384 * 1024;

/// A store of small documents by key that move by compare-and-swap: a table,
/// or a folder.
///
/// # Contract
///
/// Every backend holds to this, and runs [`conformance`](crate::conformance) to show it:
///
/// - **Atomic.** A swap compares and writes in one step. Of the swaps that
///   expect the same version at most one succeeds; the others are lost.
/// - **Versions do not come back.** A version names one write of one key, not
///   a content: swapping the same bytes in again gives another version.
/// - **Durable**, and **read after write**: once a swap has succeeded, every
///   later load and swap, in every process, sees it.
/// - **Whole documents only.** No load ever sees a part of a document.
///
/// Keys are valid in the sense of [`key_is_valid`], and a
/// document holds at most [`MAX_HEAD_BYTES`]; all else is refused.
///
/// A swap is never repeated inside a backend unless it is certain that the
/// first attempt was not done: a repetition of one that was would report its
/// own success as lost.
#[async_trait]
pub trait HeadStore: Send + Sync + Debug {
    /// The document at `key` and its version; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`HeadError`].
    async fn load(&self, key: &str) -> Result<Option<Stored>, HeadError>;

    /// Writes `new` at `key` if the document there is at version `expected`
    /// (`None`: if there is no document), and gives the new version.
    ///
    /// # Errors
    ///
    /// [`SwapError`]; after `Lost` and `Unknown` the caller loads the head.
    async fn swap(
        &self,
        key: &str,
        expected: Option<&Version>,
        new: Bytes,
    ) -> Result<Version, SwapError>;

    /// The store's address, as in the settings: `file:data/aws/state`.
    fn describe(&self) -> String;
}

#[async_trait]
impl<S: HeadStore + ?Sized> HeadStore for Arc<S> {
    async fn load(&self, key: &str) -> Result<Option<Stored>, HeadError> {
        (**self).load(key).await
    }

    async fn swap(
        &self,
        key: &str,
        expected: Option<&Version>,
        new: Bytes,
    ) -> Result<Version, SwapError> {
        (**self).swap(key, expected, new).await
    }

    fn describe(&self) -> String {
        (**self).describe()
    }
}

/// A document as it was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its content.
    pub bytes: Bytes,
    /// What a swap that replaces it must expect.
    pub version: Version,
}

/// Names one write of one document. Opaque: only its store can read it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version(String);

impl Version {
    /// A version as the backend writes it.
    pub fn new(version: impl Into<String>) -> Self {
        Self(version.into())
    }

    /// What the backend wrote.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why no head store takes this document, and what to do next.
pub(crate) fn swap_refusal(key: &str, new: &Bytes) -> Option<(String, String)> {
    if !key_is_valid(key) {
        let (reason, next) = INVALID_KEY;
        return Some((reason.to_owned(), next.to_owned()));
    }
    (new.len() > MAX_HEAD_BYTES).then(|| {
        (
            format!(
                "{} bytes are more than the {MAX_HEAD_BYTES} a head may hold",
                new.len()
            ),
            "run anchor, so that the head lists fewer unpublished segments".to_owned(),
        )
    })
}
