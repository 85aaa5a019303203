//! Buckets in which a cloud delivers its logs. They are read, never written.

use std::fmt::Debug;
use std::io::Write;

use async_trait::async_trait;

use crate::error::GetError;

/// An object that was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogObject<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// The key.
    pub key: &'a str,
    /// The version or generation that was announced: another one is another
    /// delivery. None for the current one, in a bucket without versions.
    pub version: Option<&'a str>,
}

/// Where delivered logs are read.
#[async_trait]
pub trait LogStore: Debug + Send + Sync {
    /// Writes an object to `sink` as it comes, if it has at most `max_bytes`;
    /// gives its size. What is in the sink after an error is to be thrown away.
    ///
    /// # Errors
    /// [`GetError::NotFound`] when the object, or that version of it, is gone: it
    /// was announced, so that its log is lost unless somebody has it elsewhere.
    async fn fetch(
        &self,
        object: &LogObject<'_>,
        max_bytes: u64,
        sink: &mut (dyn Write + Send),
    ) -> Result<u64, GetError>;
}
