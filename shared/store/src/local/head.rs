//! The head store in a folder.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rustix::fs::{Mode, OFlags};

use super::blocking;
use super::folder::{CreateError, Folder, PublishFailure, ReadFailure};
use crate::error::{HeadError, SwapError};
use crate::failure::Failure;
use crate::head::{HeadStore, MAX_HEAD_BYTES, Stored, Version, swap_refusal};
use crate::key::key_is_valid;

/// A head's file is readable and writable by its owner; the umask decides
/// about others.
const HEAD_MODE: u32 = 0o644;

/// The counter's line: up to 20 digits and LF.
const MAX_COUNTER_LINE: usize = 21;

/// What to do about a file that is not a head.
const RESTORE: &str =
    "restore the file from a copy, or run verify to learn where the chain ends; do not delete it";

/// A head store in a folder: one file per head, its first line counts the
/// swaps, the rest is the document.
///
/// A swap holds an exclusive lock on the file `.<name>.lock` beside the head
/// while it compares, writes a new file and renames it over the old one. Loads
/// take no lock. The version is the count and a hash of the document, so that
/// a file put back from a copy is not mistaken for another.
#[derive(Debug)]
pub struct LocalHeadStore {
    folder: Arc<Folder>,
}

impl LocalHeadStore {
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
}

#[async_trait]
impl HeadStore for LocalHeadStore {
    async fn load(&self, key: &str) -> Result<Option<Stored>, HeadError> {
        let (head, store) = (self.folder.address(key), self.describe());
        if !key_is_valid(key) {
            return Err(Failure::invalid_key().into_load(head, store));
        }
        let (folder, key, lost) = (Arc::clone(&self.folder), key.to_owned(), head.clone());
        let work = move || match load_settled(&folder, &key) {
            Ok(counted) => Ok(counted.map(|counted| counted.stored)),
            Err(LoadFailure::Corrupt(reason)) => Err(HeadError::Corrupt {
                head,
                reason,
                next: RESTORE.to_owned(),
            }),
            Err(LoadFailure::Failed(failure)) => Err(failure.into_load(head, store)),
        };
        blocking(work, |cause| HeadError::Transient { head: lost, cause }).await
    }

    async fn swap(
        &self,
        key: &str,
        expected: Option<&Version>,
        new: Bytes,
    ) -> Result<Version, SwapError> {
        let head = self.folder.address(key);
        if let Some((reason, next)) = swap_refusal(key, &new) {
            return Err(SwapError::Refused { head, reason, next });
        }
        let (folder, key, lost) = (Arc::clone(&self.folder), key.to_owned(), head.clone());
        let expected = expected.cloned();
        let work = move || {
            swap(&folder, &key, expected.as_ref(), &new).map_err(|failure| match failure {
                SwapFailure::Lost => SwapError::Lost { head },
                SwapFailure::Unknown(error) => SwapError::Unknown {
                    head,
                    cause: error.into(),
                },
                SwapFailure::Corrupt(reason) => SwapError::Refused {
                    head,
                    reason,
                    next: RESTORE.to_owned(),
                },
                SwapFailure::Failed(failure) => failure.into_swap(head),
            })
        };
        blocking(work, |cause| SwapError::Unknown { head: lost, cause }).await
    }

    fn describe(&self) -> String {
        self.folder.describe()
    }
}

/// A document with the count of swaps that its version is made of.
struct Counted {
    count: u64,
    stored: Stored,
}

enum LoadFailure {
    Corrupt(String),
    Failed(Failure),
}

enum SwapFailure {
    Lost,
    Unknown(io::Error),
    Corrupt(String),
    Failed(Failure),
}

/// Loads a head that survives a crash, though its writer may have died before
/// it made sure of that.
fn load_settled(folder: &Folder, key: &str) -> Result<Option<Counted>, LoadFailure> {
    let current = load(folder, key)?;
    if current.is_some() {
        folder
            .settle(key)
            .map_err(|error| LoadFailure::Failed(error.into()))?;
    }
    Ok(current)
}

fn load(folder: &Folder, key: &str) -> Result<Option<Counted>, LoadFailure> {
    let limit = (MAX_COUNTER_LINE + MAX_HEAD_BYTES) as u64;
    match folder.read(key, limit) {
        Ok(bytes) => parse(&bytes).map(Some).map_err(LoadFailure::Corrupt),
        Err(ReadFailure::Missing) => Ok(None),
        Err(ReadFailure::TooLarge { bytes }) => Err(LoadFailure::Corrupt(format!(
            "its {bytes} bytes are more than any head has"
        ))),
        Err(ReadFailure::Corrupt(reason)) => Err(LoadFailure::Corrupt(reason)),
        Err(ReadFailure::Failed(failure)) => Err(LoadFailure::Failed(failure)),
    }
}

fn swap(
    folder: &Folder,
    key: &str,
    expected: Option<&Version>,
    new: &Bytes,
) -> Result<Version, SwapFailure> {
    folder.check()?;
    let path = folder.prepare(key)?;
    // Held until the end of this function.
    let _lock = lock_beside(&path).map_err(Failure::from)?;
    let current = load(folder, key)?;
    if current.as_ref().map(|counted| &counted.stored.version) != expected {
        return Err(SwapFailure::Lost);
    }
    let count = current
        .map_or(0, |counted| counted.count)
        .checked_add(1)
        .ok_or_else(|| {
            SwapFailure::Corrupt("its first line counts more swaps than can have been".to_owned())
        })?;
    let mut content = format!("{count}\n").into_bytes();
    content.extend_from_slice(new);
    folder
        .write_temp(&content, HEAD_MODE)?
        .publish_over(&path)?;
    Ok(version(count, new))
}

fn parse(bytes: &Bytes) -> Result<Counted, String> {
    let line = bytes
        .iter()
        .take(MAX_COUNTER_LINE)
        .position(|byte| *byte == b'\n');
    let count = line
        .and_then(|end| std::str::from_utf8(&bytes[..end]).ok())
        .and_then(|digits| {
            digits
                .parse::<u64>()
                .ok()
                .filter(|count| count.to_string() == digits)
        });
    let (Some(end), Some(count)) = (line, count) else {
        return Err("its first line is not a number".to_owned());
    };
    let bytes = bytes.slice(end + 1..);
    let version = version(count, &bytes);
    Ok(Counted {
        count,
        stored: Stored { bytes, version },
    })
}

fn version(count: u64, document: &[u8]) -> Version {
    // FNV-1a. It tells a restored document from another by accident, not by
    // intent: who can write here needs no collision.
    let hash = document
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    Version::new(format!("{count}-{hash:016x}"))
}

/// Takes the lock beside the head's file, waiting for whoever has it.
fn lock_beside(path: &Path) -> io::Result<File> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let lock = path.with_file_name(format!(".{name}.lock"));
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(
        lock,
        flags,
        Mode::from_raw_mode(HEAD_MODE),
    )?);
    file.lock()?;
    Ok(file)
}

impl From<Failure> for SwapFailure {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<LoadFailure> for SwapFailure {
    fn from(failure: LoadFailure) -> Self {
        match failure {
            LoadFailure::Corrupt(reason) => Self::Corrupt(reason),
            LoadFailure::Failed(failure) => Self::Failed(failure),
        }
    }
}

impl From<PublishFailure> for SwapFailure {
    fn from(failure: PublishFailure) -> Self {
        match failure {
            PublishFailure::Unknown(error) => Self::Unknown(error),
            PublishFailure::Failed(failure) => Self::Failed(failure),
            // A rename replaces what stands there; a folder there is refused.
            PublishFailure::Exists => Self::Lost,
        }
    }
}
