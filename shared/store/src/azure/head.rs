//! The head store in a container.

use async_trait::async_trait;
use azure_core::http::Etag;
use bytes::Bytes;

use super::access::{Access, AccessError};
use super::blob::{Container, If, ReadFailure};
use crate::error::{HeadError, SwapError};
use crate::failure::Failure;
use crate::head::{HeadStore, MAX_HEAD_BYTES, Stored, Version, swap_refusal};
use crate::key::key_is_valid;

/// A head store in a container of an Azure storage account: one blob per head,
/// its version the blob's ETag.
///
/// An ETag is the time of the write in units of 100 ns, told by the service; a
/// blob that is deleted and made anew has another. The container must not be
/// that of a sealed store: one with an immutability policy refuses every swap.
#[derive(Debug)]
pub struct BlobHeadStore {
    container: Container,
}

impl BlobHeadStore {
    /// The store below `prefix` (empty for all) of `container`. Nothing is sent
    /// yet: a missing container shows at the first call.
    ///
    /// # Errors
    /// When the account cannot be addressed.
    pub fn open(
        access: &Access,
        account: &str,
        container: &str,
        prefix: &str,
    ) -> Result<Self, AccessError> {
        Ok(Self {
            container: Container::open(access, account, container, prefix)?,
        })
    }
}

#[async_trait]
impl HeadStore for BlobHeadStore {
    async fn load(&self, key: &str) -> Result<Option<Stored>, HeadError> {
        let head = self.container.address(key);
        let failed = |failure: Failure| Err(failure.into_load(head.clone(), self.describe()));
        let corrupt = |reason: String| {
            Err(HeadError::Corrupt {
                head: head.clone(),
                reason,
                next: "run verify to learn where the chain ends, and find out who wrote it; do not delete it"
                    .to_owned(),
            })
        };
        if !key_is_valid(key) {
            return failed(Failure::invalid_key());
        }
        match self.container.read(key, MAX_HEAD_BYTES as u64).await {
            Ok(read) => match read.etag {
                Some(etag) => Ok(Some(Stored {
                    bytes: read.bytes,
                    version: Version::new(etag.as_ref()),
                })),
                None => failed(Failure::refused(
                    "the answer has no ETag",
                    "check that the address is the account's own",
                )),
            },
            Err(ReadFailure::Failed(Failure::Missing)) => Ok(None),
            Err(ReadFailure::Failed(failure)) => failed(failure),
            Err(ReadFailure::TooLarge { bytes }) => {
                corrupt(format!("its {bytes} bytes are more than any head has"))
            }
            Err(ReadFailure::Corrupt { reason }) => corrupt(reason),
        }
    }

    async fn swap(
        &self,
        key: &str,
        expected: Option<&Version>,
        new: Bytes,
    ) -> Result<Version, SwapError> {
        let head = self.container.address(key);
        if let Some((reason, next)) = swap_refusal(key, &new) {
            return Err(SwapError::Refused { head, reason, next });
        }
        let condition = match expected {
            None => If::Absent,
            Some(version) if is_etag(version.as_str()) => If::At(Etag::from(version.as_str())),
            // No blob was ever at it. Azure would take `*` for any version.
            Some(_) => return Err(SwapError::Lost { head }),
        };
        let replaces = expected.is_some();
        match self.container.write(key, new, condition, None).await {
            Ok(written) => match written.etag {
                Some(etag) => Ok(Version::new(etag.as_ref())),
                None => Err(SwapError::Unknown {
                    head,
                    cause: "the answer has no ETag".into(),
                }),
            },
            // A condition that does not hold is another code.
            Err(Failure::Exists) if replaces => Err(SwapError::Refused {
                head,
                reason: "its container keeps blobs from being changed".to_owned(),
                next: "keep heads in a container without an immutability policy, not in that of the sealed store"
                    .to_owned(),
            }),
            Err(failure) => Err(failure.into_swap(head)),
        }
    }

    fn describe(&self) -> String {
        self.container.describe()
    }
}

fn is_etag(text: &str) -> bool {
    let inside = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    inside.is_some_and(|inside| {
        inside
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"')
    })
}
